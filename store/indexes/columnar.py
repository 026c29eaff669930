"""Common Crawl's columnar index: Parquet with a row a capture (https://commoncrawl.org/columnar-index).

Read are `url`, `fetch_time`, `content_digest` (SHA-1 in base32, bare) and, where it stands, `fetch_status`: 304 is an answer
without a payload, which the crawl stores as a revisit.
"""

from collections.abc import Callable, Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store import files, tables
from store.indexes._captured import Counts, Split, captured, utf8

NAME = "columnar"

_STATUS = "fetch_status"
_NOT_MODIFIED = 304
_SPLIT = 256 << 20
"""Bytes of row groups, uncompressed and with all their columns, that one part of the work takes."""
_ROWS = 1 << 16


def sniff(head: bytes) -> bool:
    """Whether a file that begins with these bytes is Parquet; whether it has the columns, its survey says."""
    return head.startswith(b"PAR1")


def survey(stream: BinaryIO, tap: Callable[[bytes], None]) -> tuple[Split, ...] | None:
    """Splits of whole row groups; None where the file lacks the columns or its metadata do not parse."""
    stream.seek(0)
    while data := stream.read(files.CHUNK):
        tap(data)
    stream.seek(0)
    try:
        parquet = pq.ParquetFile(stream, pre_buffer=False)
        if not _has_columns(parquet.schema_arrow):
            return None
        sizes = [parquet.metadata.row_group(group).total_byte_size for group in range(parquet.metadata.num_row_groups)]
    except (pa.ArrowException, OSError, ValueError):
        return None
    splits: list[Split] = []
    for group, size in enumerate(sizes):
        if splits and splits[-1].bytes + size <= _SPLIT:
            splits[-1] = Split(splits[-1].start, group + 1, splits[-1].bytes + size)
        else:
            splits.append(Split(group, group + 1, size))
    return tuple(splits)


def _has_columns(schema: pa.Schema) -> bool:
    if any(schema.get_field_index(name) < 0 for name in ("url", "fetch_time", "content_digest")):
        return False
    return pa.types.is_timestamp(schema.field("fetch_time").type)


def batches(url: str, split: Split, counts: Counts) -> Iterator[pa.RecordBatch]:
    """Captures of one split, rows of `CAPTURED`. The rows of a row group behind damage are unreadable."""
    with tables.opened(url) as parquet:
        names = [name for name in ("url", "fetch_time", "content_digest", _STATUS) if name in parquet.schema_arrow.names]
        for group in range(split.start, split.stop):
            left = parquet.metadata.row_group(group).num_rows
            rows = parquet.iter_batches(batch_size=_ROWS, row_groups=[group], columns=names, use_threads=False)
            while left > 0:
                try:
                    batch = next(rows, None)
                except Exception:  # the library raises many kinds for damaged pages
                    batch = None
                if batch is None or not batch.num_rows:
                    counts.lines += left
                    counts.unreadable += left
                    break
                left -= batch.num_rows
                yield _batch(batch, counts)


def _batch(batch: pa.RecordBatch, counts: Counts) -> pa.RecordBatch:
    # Times are whole seconds in every published index; a fraction is cut, as the other forms cannot write it.
    when = batch.column("fetch_time").cast(pa.timestamp("s"), safe=False)
    values = pc.fill_null(when.cast(pa.int64()), 0).to_numpy()
    dated = when.is_valid().to_numpy(zero_copy_only=False)
    revisit = pa.repeat(False, batch.num_rows)
    if _STATUS in batch.schema.names:
        revisit = pc.equal(_text(batch.column(_STATUS)), str(_NOT_MODIFIED))
    return captured(_text(batch.column("url")), (np.asarray(values), dated), _text(batch.column("content_digest")), revisit, counts)


def _text(column: pa.Array) -> pa.Array:
    """A column of text or numbers as strings; what is no UTF-8 is null."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    if pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        return utf8(column)
    return column.cast(pa.string())
