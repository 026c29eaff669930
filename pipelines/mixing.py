"""The steps of a mix that touch text: each source file is read once, then each shard is written by itself.

`Scatter` splits one documents file by shard into Arrow IPC; `WriteShard` joins one shard's texts, puts them in the order
that keeps the floor, and writes the shard with the leaves that prove its human side. Memory is that of one shard.
"""

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.tokenizer import Tokenizer
from provenance import floor
from provenance.floor import Mix
from provenance.identity import canonical_json
from provenance.schema import LEAVES, SHARD, TIME
from store import files, leaves, shards, tables
from store.errors import CheckFailed

ROW_GROUP_BYTES = 8 << 20
STRETCH_ROWS = 1024
SCATTER_BYTES = 128 << 20
"""Text that `Scatter` holds before it writes it out by shard."""

TEXTS = pa.schema([("text", pa.string()), *((name, pa.string()) for name in ("key", "id", "url", "language")), ("date", TIME)])
"""What a shard needs of a document; what a leaf binds comes from the leaf."""

PLAN = ["source", "part", "row", "origin", "epoch", "leaf_index"]
"""What a shard needs of its plan."""


def part_name(number: int) -> str:
    return f"{number:05d}"


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


def read_rows(url: str, rows: np.ndarray) -> Iterator[pa.Table]:
    """Some rows (sorted) of a documents file as `TEXTS`, a stretch at a time."""
    for table, inside in stretches(url, rows):
        yield table if len(inside) == table.num_rows else table.take(pa.array(inside))


def _widen(batch: pa.RecordBatch) -> pa.Table:
    there, rows = batch.schema.names, batch.num_rows
    columns = [batch[field.name].cast(field.type) if field.name in there else pa.nulls(rows, field.type) for field in TEXTS]
    return pa.table(columns, schema=TEXTS)


class Scatter:
    """Splits one documents file by shard. Context: `plan` (folder), `parts` (urls), `folder` (where to write)."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        """Writes `texts/PART.arrow`, whose batches belong to the shards that `texts/PART.json` lists in order."""
        name = part_name(part["part"])
        wanted = tables.read([files.join(self.context["plan"], "rows", f"{name}.parquet")]).sort_by("row")
        rows, shard = (wanted[column].to_numpy() for column in ("row", "shard"))
        order: list[int] = []
        with (
            files.create(files.join(self.context["folder"], "texts", f"{name}.arrow")) as sink,
            pa.ipc.new_file(sink, TEXTS) as out,
        ):
            done = 0
            for table in _gathered(read_rows(self.context["parts"][part["part"]], rows)):
                owners = shard[done : done + table.num_rows]
                done += table.num_rows
                for owner in np.unique(owners).tolist():
                    mine = table if len(owners) == (owners == owner).sum() else table.filter(pa.array(owners == owner))
                    for batch in mine.combine_chunks().to_batches():
                        out.write_batch(batch)
                        order.append(owner)
        files.write_bytes(files.join(self.context["folder"], "texts", f"{name}.json"), canonical_json(order))
        return {"rows": done, "files": []}


def _gathered(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """Stretches put together until they hold `SCATTER_BYTES`."""
    held: list[pa.Table] = []
    size = 0
    for table in tables:
        held.append(table)
        size += table.nbytes
        if size >= SCATTER_BYTES:
            yield pa.concat_tables(held)
            held, size = [], 0
    if held:
        yield pa.concat_tables(held)


@dataclass
class Pieces:
    """The rows of a shard before they have an order: chunks of the documents of its plan, human ones first.

    All arrays have one value per row: the document's row in the plan, which of `buffers` holds the text and where, the
    chunk's number, the document's chunks.
    """

    buffers: list[memoryview]
    document: np.ndarray
    buffer: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    chunk: np.ndarray
    chunks: np.ndarray

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
    return Pieces(buffers, document, which[document], start, stop, np.arange(len(document)) - at[document], counts[document])


def _grouped(pieces: Pieces, rows: np.ndarray) -> list[np.ndarray]:
    """Rows in their order, in groups of about `ROW_GROUP_BYTES` of text."""
    group = np.cumsum((pieces.stop - pieces.start)[rows]) // ROW_GROUP_BYTES
    return np.split(rows, np.flatnonzero(np.diff(group)) + 1)


def measure(pieces: Pieces, human: np.ndarray, units: Iterable[str], tokenizer: Tokenizer | None) -> dict[str, np.ndarray]:
    """Length of each row in each unit, int64. A human document counts at its last chunk and any other at its first, so
    that every prefix is safe."""
    found = {"bytes": pieces.stop - pieces.start}
    found["documents"] = np.where(human, pieces.chunk == pieces.chunks - 1, pieces.chunk == 0).astype(np.int64)
    if "tokens" in units and tokenizer:
        groups = _grouped(pieces, np.arange(len(human)))
        found["tokens"] = np.array([n for rows in groups for n in tokenizer.count(pieces.texts(rows).to_pylist())], np.int64)
    return found


@dataclass
class Documents:
    """The documents of a shard, each once: texts and the other columns; `place` says of each plan row which it is."""

    texts: pa.ChunkedArray
    facts: pa.Table
    place: np.ndarray


@dataclass
class Bound:
    """The leaves that a shard proves, in the tree's order; `place` says of each plan row which it is, -1 where it is not human."""

    leaves: pa.Table
    place: np.ndarray

    def of_rows(self, name: str) -> pa.Array:
        """A column of the leaves for each plan row, null where it is not human."""
        return _one(self.leaves[name]).take(pa.array(self.place, mask=self.place < 0))


class WriteShard:
    """Writes one shard and its proof.

    Context: `mix` (the config as plain values), `shards`, `plan` (folder), `parts` (urls), `numbers` (number of each part
    by source and path), `texts` (folder of `Scatter`, or null to read the parts), `tokenizer` (url or null), `folder`.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context
        self.mix = msgspec.convert(context["mix"], Mix)
        self.floor = floor.fraction(self.mix.floor)

    def setup(self) -> None:
        """Loads the tokenizer, if tokens are counted."""
        url = self.context["tokenizer"]
        self.tokenizer = Tokenizer(files.read_bytes(url)) if url else None
        self.format = shards.named(self.mix.format)

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        """Writes `data/NAME`, `proof/NAME.leaves.zst` and `proof/NAME.hashes.bin`.

        The receipt has their manifest lines, the shard's units and surpluses, and its counts. Raises `CheckFailed` where
        a text is not the one that the snapshot's leaf binds.
        """
        name = shards.shard_name(part["shard"], self.context["shards"])
        plan = tables.read([files.join(self.context["plan"], "shards", f"{part_name(part['shard'])}.parquet")], PLAN)
        documents, bound = self._documents(plan, part["shard"]), self._bound(plan, part["shard"])
        pieces = cut(documents.texts, documents.place, self.mix.chunk_bytes)
        human = (bound.place >= 0)[pieces.document]
        lengths = measure(pieces, human, self.mix.units, self.tokenizer)
        order = self._order(np.stack([lengths[unit] for unit in self.mix.units], axis=1), human, name)
        proof = self._prove(documents, bound, name, part["shard"])
        path = f"data/{name}{self.format.SUFFIX}"
        with files.create(files.join(self.context["folder"], path)) as sink:
            rows = self.format.write(sink, _batches(plan, documents, bound, pieces, order))
        units = {}
        for unit in self.mix.units:
            least, last = floor.surpluses(np.where(human, lengths[unit], 0)[order], lengths[unit][order], self.floor)
            totals = {"human": int(lengths[unit][human].sum()), "total": int(lengths[unit].sum())}
            units[unit] = totals | {"minimum_surplus": least, "final_surplus": last}
        entry = {"path": path, "sha256": sink.sha256, "size": sink.size, "rows": rows}
        shard = {"path": path, "rows": rows, "units": units}
        return {"rows": rows, "files": [entry, *proof], "shard": shard, "counts": _counts(plan, bound, pieces, lengths)}

    def _documents(self, plan: pa.Table, shard: int) -> Documents:
        """The shard's documents."""
        pairs = zip(plan["source"].to_pylist(), plan["part"].to_pylist(), strict=True)
        numbers = np.array([self.context["numbers"][source][path] for source, path in pairs], np.int64)
        # One integer per document, part first: sorted, they stand as the parts are read.
        wanted, place = np.unique((numbers << 40) | plan["row"].to_numpy(), return_inverse=True)
        tables, spots, base = [TEXTS.empty_table()], [np.zeros(0, np.int64)], 0
        for number in np.unique(numbers).tolist():
            rows = wanted[wanted >> 40 == number] & ((1 << 40) - 1)
            for table, inside in self._part(number, rows, shard):
                # Where most rows are wanted, copying them out would cost more than carrying the others.
                few = 2 * len(inside) < table.num_rows
                tables.append(table.take(pa.array(inside)) if few else table)
                spots.append(base + (np.arange(len(inside)) if few else inside))
                base += tables[-1].num_rows
        spot = np.concatenate(spots)
        if len(spot) != len(wanted):
            raise CheckFailed(
                f"shard {shard} was planned with {len(wanted)} documents and {len(spot)} were read; a source changed. Rerun mix."
            )
        table = pa.concat_tables(tables)
        return Documents(table["text"], table.drop_columns("text").combine_chunks(), spot[place.reshape(-1)])

    def _bound(self, plan: pa.Table, shard: int) -> Bound:
        """The shard's leaves."""
        found = tables.read([files.join(self.context["plan"], "leaves", f"{part_name(shard)}.parquet")]).cast(LEAVES)
        human = pc.equal(plan["origin"], "human").to_numpy()
        index = plan["leaf_index"].fill_null(-1).to_numpy()
        return Bound(found, np.where(human, np.searchsorted(found["index"].to_numpy(), index), -1))

    def _part(self, number: int, rows: np.ndarray, shard: int) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """The shard's texts of one part: tables, and the places of its documents in each."""
        if self.context["texts"] is None:
            yield from stretches(self.context["parts"][number], rows)
        else:
            yield from ((table, np.arange(table.num_rows)) for table in self._scattered(number, shard))

    def _scattered(self, number: int, shard: int) -> Iterator[pa.Table]:
        base = files.join(self.context["texts"], "texts", part_name(number))
        order = json.loads(files.read_bytes(f"{base}.json"))
        with files.open_input(f"{base}.arrow") as stream:
            reader = pa.ipc.open_file(stream)
            yield from (pa.Table.from_batches([reader.get_batch(i)]) for i, owner in enumerate(order) if owner == shard)

    def _order(self, lengths: np.ndarray, human: np.ndarray, name: str) -> np.ndarray:
        ours, others = lengths[human], lengths[~human]
        turn = floor.turns(ours, others, floor.paced(ours, others, self.floor))
        if len(turn) != len(human):
            raise CheckFailed(
                f"{name}: the texts are longer than the byte counts that the plan rests on, so the floor cannot hold. Verify the runs."
            )
        order = np.empty(len(turn), np.int64)
        order[turn], order[~turn] = np.flatnonzero(human), np.flatnonzero(~human)
        return order

    def _prove(self, documents: Documents, bound: Bound, name: str, shard: int) -> list[dict[str, Any]]:
        """Writes the leaves of the shard's human documents, in the tree's order, and the hashes of their multiproof."""
        human = np.flatnonzero(bound.place >= 0)
        place = documents.place[human[np.unique(bound.place[human], return_index=True)[1]]]
        buffers, *where = spans(documents.texts)
        spots = zip(*(column[place].tolist() for column in where), strict=True)
        texts = (buffers[i][start:stop] for i, start, stop in spots)
        keys = documents.facts["key"].take(pa.array(place)).to_pylist()
        paths = [f"proof/{name}.leaves.zst", f"proof/{name}.hashes.bin"]
        with (
            files.create(files.join(self.context["folder"], paths[0])) as packed,
            pa.CompressedOutputStream(pa.PythonFile(packed, "w"), "zstd") as out,
        ):
            out.write(b"".join(leaves.proven(bound.leaves, keys, texts)))
        with files.create(files.join(self.context["folder"], paths[1])) as hashes:
            hashes.write(files.read_bytes(files.join(self.context["plan"], "hashes", f"{part_name(shard)}.bin")))
        return [
            {"path": path, "sha256": file.sha256, "size": file.size, "rows": None}
            for path, file in zip(paths, (packed, hashes), strict=True)
        ]


def _batches(plan: pa.Table, documents: Documents, bound: Bound, pieces: Pieces, order: np.ndarray) -> Iterator[pa.RecordBatch]:
    """The shard's rows in order, a row group at a time."""
    facts = documents.facts.select([name for name in SHARD.names if name in documents.facts.column_names])
    # What no leaf proves has no level in a shard, whatever its capture record says; what one proves has the leaf's date.
    planned = {
        "origin": _one(plan["origin"]),
        "epoch": _one(plan["epoch"]),
        "attestation": bound.of_rows("attestation").fill_null("none"),
        "date": pc.if_else(pa.array(bound.place >= 0), bound.of_rows("date"), _one(facts["date"]).take(pa.array(documents.place))),
    }
    for rows in _grouped(pieces, order):
        document = pieces.document[rows]
        of_text = facts.take(pa.array(documents.place[document]))
        made = {
            "text": pieces.texts(rows),
            **{name: column.take(pa.array(document)) for name, column in planned.items()},
            "chunk": pa.array(pieces.chunk[rows], pa.int32()),
            "chunks": pa.array(pieces.chunks[rows], pa.int32()),
        }
        arrays = [made[name] if name in made else _one(of_text[name]) for name in SHARD.names]
        yield pa.RecordBatch.from_arrays(arrays, schema=SHARD)


def _one(column: pa.ChunkedArray) -> pa.Array:
    """A column's values as one array."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _counts(plan: pa.Table, bound: Bound, pieces: Pieces, lengths: dict[str, np.ndarray]) -> dict[str, Any]:
    """Rows, documents, bytes and tokens, in all and by origin, and of the human side by attestation and witness."""
    measured = {"rows": np.bincount(pieces.document, minlength=plan.num_rows), "documents": np.ones(plan.num_rows, np.int64)}
    for unit in [unit for unit in ("bytes", "tokens") if unit in lengths]:
        measured[unit] = np.bincount(pieces.document, lengths[unit], plan.num_rows).astype(np.int64)  # exact below 2^53
    origin = np.array(plan["origin"].to_pylist(), dtype=object)
    human = origin == "human"
    labels = {"origins": (origin, np.ones(plan.num_rows, bool))}
    for column, name in (("attestation", "attestations"), ("witness", "witnesses")):
        labels[name] = (np.array(bound.of_rows(column).fill_null("").to_pylist(), dtype=object), human)
    found: dict[str, Any] = {unit: int(values.sum()) for unit, values in measured.items()}
    for name, (label, among) in labels.items():
        groups = sorted(set(label[among].tolist()))
        found[name] = {group: {unit: int(v[among & (label == group)].sum()) for unit, v in measured.items()} for group in groups}
    return found
