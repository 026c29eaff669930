"""The texts of a mix as its steps take them: read from the sources a stretch at a time, and cut into chunks without copying them."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from provenance import floor
from provenance.schema import TIME
from store import tables

STRETCH_ROWS = 1024
GROUP_BYTES = 8 << 20
"""Text of a row group of a shard, about."""

TEXTS = pa.schema([("text", pa.string()), *((name, pa.string()) for name in ("key", "id", "url", "language")), ("date", TIME)])
"""What a shard needs of a document; what a leaf binds comes from the leaf."""


def stretches(url: str, rows: np.ndarray) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """The stretches of a documents file that hold some rows (sorted), as `TEXTS`, with those rows' places in each."""
    with tables.opened(url) as file:
        columns = [name for name in TEXTS.names if name in file.schema_arrow.names]
        ends = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))])
        for group in np.flatnonzero(np.diff(np.searchsorted(rows, ends))).tolist():
            start = int(ends[group])
            # In one piece a group's texts grow into memory of twice their size.
            for batch in file.iter_batches(STRETCH_ROWS, row_groups=[group], columns=columns, use_threads=False):
                stop = start + batch.num_rows
                inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)] - start
                if len(inside):
                    yield _widen(batch), inside
                start = stop


def gathered(found: Iterable[tuple[pa.Table, np.ndarray]], size: float = math.inf) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """Stretches put together until they hold `size` bytes or all are read, and the wanted rows' places in each of these tables."""
    held, spots, rows, weight = [TEXTS.empty_table()], [np.zeros(0, np.int64)], 0, 0
    for table, inside in found:
        # Where most rows are wanted, copying them out would cost more than carrying the others.
        few = 2 * len(inside) < table.num_rows
        held.append(table.take(pa.array(inside)) if few else table)
        spots.append(rows + (np.arange(len(inside)) if few else inside))
        rows += held[-1].num_rows
        weight += held[-1].nbytes
        if weight >= size:
            yield pa.concat_tables(held), np.concatenate(spots)
            held, spots, rows, weight = held[:1], spots[:1], 0, 0
    yield pa.concat_tables(held), np.concatenate(spots)


def read_rows(url: str, rows: np.ndarray) -> Iterator[pa.Table]:
    """Some rows (sorted) of a documents file as `TEXTS`, a stretch at a time."""
    for table, inside in stretches(url, rows):
        yield table if len(inside) == table.num_rows else table.take(pa.array(inside))


def _widen(batch: pa.RecordBatch) -> pa.Table:
    there, rows = batch.schema.names, batch.num_rows
    columns = [batch[field.name].cast(field.type) if field.name in there else pa.nulls(rows, field.type) for field in TEXTS]
    return pa.table(columns, schema=TEXTS)


@dataclass
class Spans:
    """Texts where they lie: of each, which of `buffers` holds it, and its start and stop there."""

    buffers: list[memoryview]
    buffer: np.ndarray
    start: np.ndarray
    stop: np.ndarray

    def texts(self, rows: np.ndarray) -> pa.StringArray:
        """The texts of some rows, of 2 GiB at most."""
        ends = np.concatenate([[0], np.cumsum((self.stop - self.start)[rows])]).astype(np.int32)
        # Arrow's memory serves again for the next rows; bytes of Python's would be new pages every time.
        joined = pa.allocate_buffer(int(ends[-1]))
        into, at = memoryview(joined), 0
        where = (column[rows].tolist() for column in (self.buffer, self.start, self.stop))
        for end, i, start, stop in zip(ends[1:].tolist(), *where, strict=True):
            into[at:end] = self.buffers[i][start:stop]
            at = end
        return pa.StringArray.from_buffers(len(rows), pa.py_buffer(ends), joined)


@dataclass
class Pieces(Spans):
    """The rows of a shard before they have an order: chunks of the documents of its plan, human ones first.

    All arrays have one value per row: beside those of `Spans` the document's row in the plan, the chunk's number, the document's chunks.
    """

    document: np.ndarray
    chunk: np.ndarray
    chunks: np.ndarray


def spans(texts: pa.ChunkedArray) -> tuple[list[memoryview], np.ndarray, np.ndarray, np.ndarray]:
    """Where the texts lie: Arrow's own buffers, one per chunk, and for each text its buffer's number, start and stop.

    No text is copied, and none needs 64-bit offsets: each chunk has its own.
    """
    buffers, columns = [], []
    for number, chunk in enumerate(texts.chunks):
        offsets = np.frombuffer(chunk.buffers()[1] or bytes(4), np.int32)[chunk.offset : chunk.offset + len(chunk) + 1]
        buffers.append(memoryview(chunk.buffers()[2] or pa.py_buffer(b"")))
        columns.append((np.full(len(chunk), number), offsets[:-1], offsets[1:]))
    empty = np.zeros(0, np.int64)
    which, start, stop = (np.concatenate([empty, *(column[i] for column in columns)]) for i in range(3))
    return buffers, which, start, stop


def cut(texts: pa.ChunkedArray, place: np.ndarray, size: int) -> Pieces:
    """The chunks of the documents at `place` in `texts`, in that order."""
    buffers, which, first, last = spans(texts)
    which, first, last = which[place], first[place], last[place]
    counts, ends = np.ones(len(place), np.int64), {}
    for i in np.flatnonzero(last - first > size).tolist():
        ends[i] = first[i] + np.array(floor.chunk_ends(np.frombuffer(buffers[which[i]], np.uint8)[first[i] : last[i]], size))
        counts[i] = len(ends[i])
    document = np.repeat(np.arange(len(place)), counts)
    at = np.cumsum(counts) - counts
    start, stop = first[document], last[document]
    for i, cuts in ends.items():
        stop[at[i] : at[i] + counts[i]] = cuts
        start[at[i] + 1 : at[i] + counts[i]] = cuts[:-1]
    chunk = np.arange(len(document)) - at[document]
    return Pieces(buffers, which[document], start, stop, document, chunk, counts[document])


def grouped(pieces: Spans, rows: np.ndarray) -> list[np.ndarray]:
    """Rows in their order, in groups of about `GROUP_BYTES` of text."""
    group = np.cumsum((pieces.stop - pieces.start)[rows]) // GROUP_BYTES
    return np.split(rows, np.flatnonzero(np.diff(group)) + 1)
