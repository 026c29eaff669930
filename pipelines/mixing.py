"""The steps of a mix that touch text: each source file is read once, then each shard is written by itself.

`Scatter` splits one documents file by shard into Arrow IPC; `WriteShard` joins one shard's texts, puts them in the order
that keeps the floor, and writes the shard with the leaves that prove its human side. Memory is that of one shard.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import floor
from provenance.floor import Mix
from provenance.identity import Leaf, canonical_json, leaf_hash
from provenance.schema import SHARD, TIME
from store import files, shards, tables
from store.errors import CheckFailed

ROW_GROUP_BYTES = 8 << 20
SCATTER_BYTES = 128 << 20
"""Text that `Scatter` holds before it writes it out by shard."""

TEXTS = pa.schema(
    [
        ("text", pa.string()),
        *((name, pa.string()) for name in ("key", "id", "attestation", "url", "language")),
        ("date", TIME),
        ("date_end", TIME),
        ("eligible", pa.bool_()),
        *((name, pa.string()) for name in ("witness", "payload_digest", "extractor", "rules", "leaf")),
    ]
)
"""What a shard needs of a document; what only a snapshot's documents have is null for others."""


def part_name(number: int) -> str:
    return f"{number:05d}"


def row_groups(url: str, rows: np.ndarray) -> Iterator[tuple[pa.Table, np.ndarray]]:
    """The row groups of a documents file that hold some rows (sorted), as `TEXTS`, with those rows' places in each."""
    with tables.opened(url) as file:
        columns = [name for name in TEXTS.names if name in file.schema_arrow.names]
        start = 0
        for group in range(file.num_row_groups):
            stop = start + file.metadata.row_group(group).num_rows
            inside = rows[np.searchsorted(rows, start) : np.searchsorted(rows, stop)] - start
            if len(inside):
                yield _widen(file.read_row_group(group, columns=columns, use_threads=False)), inside
            start = stop


def read_rows(url: str, rows: np.ndarray) -> Iterator[pa.Table]:
    """Some rows (sorted) of a documents file as `TEXTS`, a row group at a time."""
    for table, inside in row_groups(url, rows):
        yield table if len(inside) == table.num_rows else table.take(pa.array(inside))


def _widen(table: pa.Table) -> pa.Table:
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in TEXTS
    ]
    return pa.table(columns, schema=TEXTS)


class Scatter:
    """Splits one documents file by shard. Context: `plan` (folder), `parts` (urls), `folder` (where to write)."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        """Nothing is loaded."""

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        """Writes `texts/PART.arrow`, whose batches belong to the shards that `texts/PART.json` lists in order."""
        name = part_name(part["part"])
        wanted = tables.read([files.join(self.context["plan"], "rows", f"{name}.parquet")])
        by_row = wanted.sort_by("row")
        rows, shard = (by_row[column].to_numpy() for column in ("row", "shard"))
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
    """Row groups put together until they hold `SCATTER_BYTES`."""
    held: list[pa.Table] = []
    for table in tables:
        held.append(table)
        if sum(t.nbytes for t in held) >= SCATTER_BYTES:
            yield pa.concat_tables(held)
            held = []
    if held:
        yield pa.concat_tables(held)


class Tokenizer:
    """Counts tokens as `transformers` does with this tokenizer.json, without special tokens."""

    def __init__(self, data: bytes):
        import tokenizers
        from transformers import PreTrainedTokenizerFast

        self._tokenizer = PreTrainedTokenizerFast(tokenizer_object=tokenizers.Tokenizer.from_str(data.decode()))

    def count(self, texts: list[str]) -> list[int]:
        """Tokens of each text."""
        encoded = self._tokenizer(texts, add_special_tokens=False, return_attention_mask=False, return_token_type_ids=False)
        return [len(ids) for ids in encoded["input_ids"]]


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

    def texts(self, rows: np.ndarray) -> list[memoryview]:
        """The UTF-8 bytes of some rows."""
        where = (column[rows].tolist() for column in (self.buffer, self.start, self.stop))
        return [self.buffers[i][start:stop] for i, start, stop in zip(*where, strict=True)]


def spans(texts: pa.ChunkedArray) -> tuple[list[memoryview], np.ndarray, np.ndarray, np.ndarray]:
    """Where the texts lie: Arrow's own buffers, one per chunk, and for each text its buffer's number, start and stop.

    No text is copied, and none needs 64-bit offsets: each chunk has its own.
    """
    buffers, columns = [], []
    for number, chunk in enumerate(texts.chunks):
        offsets = np.frombuffer(chunk.buffers()[1] or bytes(4), np.int32)[chunk.offset : chunk.offset + len(chunk) + 1].astype(
            np.int64
        )
        buffers.append(memoryview(chunk.buffers()[2] or b""))
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


def measure(pieces: Pieces, human: np.ndarray, units: Iterable[str], tokenizer: Tokenizer | None) -> dict[str, np.ndarray]:
    """Length of each row in each unit, int64. A human document counts at its last chunk and any other at its first, so
    that every prefix is safe."""
    found = {"bytes": pieces.stop - pieces.start}
    found["documents"] = np.where(human, pieces.chunk == pieces.chunks - 1, pieces.chunk == 0).astype(np.int64)
    if "tokens" in units and tokenizer:
        counts: list[int] = []
        for i in range(0, len(human), 1000):
            counts += tokenizer.count([str(text, "utf-8") for text in pieces.texts(np.arange(i, min(i + 1000, len(human))))])
        found["tokens"] = np.array(counts, np.int64)
    return found


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
        plan = tables.read([files.join(self.context["plan"], "shards", f"{part_name(part['shard'])}.parquet")])
        texts, place = self._texts(plan, part["shard"])
        pieces = cut(texts["text"], place, self.mix.chunk_bytes)
        is_human = np.array(plan["origin"].to_numpy() == "human", dtype=bool)
        human = is_human[pieces.document]
        lengths = measure(pieces, human, self.mix.units, self.tokenizer)
        order = self._order(np.stack([lengths[unit] for unit in self.mix.units], axis=1), human, name)
        proof = self._prove(plan, texts, place, is_human, name, part["shard"])
        path = f"data/{name}{self.format.SUFFIX}"
        with files.create(files.join(self.context["folder"], path)) as sink:
            rows = self.format.write(sink, _batches(plan, texts, place, pieces, order))
        units = {}
        for unit in self.mix.units:
            least, last = floor.surpluses(np.where(human, lengths[unit], 0)[order], lengths[unit][order], self.floor)
            totals = {"human": int(lengths[unit][human].sum()), "total": int(lengths[unit].sum())}
            units[unit] = totals | {"minimum_surplus": least, "final_surplus": last}
        entry = {"path": path, "sha256": sink.sha256, "size": sink.size, "rows": rows}
        counts = _counts(plan, texts, place, pieces, lengths)
        return {"rows": rows, "files": [entry, *proof], "shard": {"path": path, "rows": rows, "units": units}, "counts": counts}

    def _texts(self, plan: pa.Table, shard: int) -> tuple[pa.Table, np.ndarray]:
        """The shard's documents, each once, and the place of each plan row among them."""
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
        return pa.concat_tables(tables), spot[place.reshape(-1)]

    def _part(self, number: int, rows: np.ndarray, shard: int) -> Iterator[tuple[pa.Table, np.ndarray]]:
        """The shard's texts of one part: tables, and the places of its documents in each."""
        if self.context["texts"] is None:
            yield from row_groups(self.context["parts"][number], rows)
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
        order[turn] = np.flatnonzero(human)
        order[~turn] = np.flatnonzero(~human)
        return order

    def _prove(
        self, plan: pa.Table, texts: pa.Table, place: np.ndarray, is_human: np.ndarray, name: str, shard: int
    ) -> list[dict[str, Any]]:
        """Writes the leaves of the shard's human documents, in the tree's order, and the hashes of their multiproof."""
        index = plan["leaf_index"].to_numpy()
        rows = np.flatnonzero(is_human)
        _, once = np.unique(index[rows], return_index=True)
        rows = rows[once]
        leaves = _leaves(texts, place[rows])
        lines = [b"%d " % number + leaf for number, leaf in zip(index[rows].tolist(), leaves, strict=True)]
        paths = [f"proof/{name}.leaves.zst", f"proof/{name}.hashes.bin"]
        with (
            files.create(files.join(self.context["folder"], paths[0])) as packed,
            pa.CompressedOutputStream(pa.PythonFile(packed, "w"), "zstd") as out,
        ):
            out.write(b"".join(lines))
        with files.create(files.join(self.context["folder"], paths[1])) as hashes:
            hashes.write(files.read_bytes(files.join(self.context["plan"], "hashes", f"{part_name(shard)}.bin")))
        return [
            {"path": path, "sha256": file.sha256, "size": file.size, "rows": None}
            for path, file in zip(paths, (packed, hashes), strict=True)
        ]


def _leaves(texts: pa.Table, place: np.ndarray) -> Iterator[bytes]:
    """The leaves' bytes of the snapshot documents at `place`, from their texts. Raises `CheckFailed` where one is not the snapshot's."""
    buffers, *where = spans(texts["text"])
    spots = zip(*(column[place].tolist() for column in where), strict=True)
    rest = texts.drop_columns("text").combine_chunks().take(pa.array(place))
    times = [pc.strftime(rest[name], format="%Y-%m-%dT%H:%M:%SZ").fill_null("").to_pylist() for name in ("date", "date_end")]
    words = [
        rest[name].fill_null("").to_pylist()
        for name in ("key", "attestation", "witness", "payload_digest", "extractor", "rules", "leaf")
    ]
    eligible = rest["eligible"].to_pylist()
    for spot, may, date, date_end, key, attestation, witness, payload, extractor, rules, bound in zip(
        spots, eligible, *times, *words, strict=True
    ):
        text = buffers[spot[0]][spot[1] : spot[2]]
        leaf = Leaf(
            key, hashlib.sha256(text).hexdigest(), len(text), date, date_end, attestation, witness, may, payload, extractor, rules
        ).data()
        if leaf_hash(leaf).hex() != bound:
            raise CheckFailed(
                f"document {key} is not what the snapshot's leaf binds; it could not be proven to anybody. "
                "Run verify on the snapshot, and restore what it names."
            )
        yield leaf


def _batches(plan: pa.Table, texts: pa.Table, place: np.ndarray, pieces: Pieces, order: np.ndarray) -> Iterator[pa.RecordBatch]:
    """The shard's rows in order, in row groups of about `ROW_GROUP_BYTES` of text."""
    group = np.cumsum((pieces.stop - pieces.start)[order]) // ROW_GROUP_BYTES
    columns = texts.select([name for name in SHARD.names if name != "text" and name in texts.column_names]).combine_chunks()
    origin, epoch = _one(plan["origin"]), _one(plan["epoch"])
    for rows in np.split(order, np.flatnonzero(np.diff(group)) + 1):
        offsets = np.concatenate([[0], np.cumsum((pieces.stop - pieces.start)[rows])]).astype(np.int32)
        documents = pa.array(pieces.document[rows])
        of_text = columns.take(pa.array(place[pieces.document[rows]]))
        made = {
            "text": pa.StringArray.from_buffers(len(rows), pa.py_buffer(offsets), pa.py_buffer(b"".join(pieces.texts(rows)))),
            "origin": origin.take(documents),
            "epoch": epoch.take(documents),
            "chunk": pa.array(pieces.chunk[rows], pa.int32()),
            "chunks": pa.array(pieces.chunks[rows], pa.int32()),
        }
        arrays = [made[name] if name in made else _one(of_text[name]) for name in SHARD.names]
        yield pa.RecordBatch.from_arrays(arrays, schema=SHARD)


def _one(column: pa.ChunkedArray) -> pa.Array:
    """A column's values as one array."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _counts(plan: pa.Table, texts: pa.Table, place: np.ndarray, pieces: Pieces, lengths: dict[str, np.ndarray]) -> dict[str, Any]:
    """Rows, documents, bytes and tokens, in all and by origin, and of the human side by attestation and witness."""
    measured = {"rows": np.bincount(pieces.document, minlength=len(place)), "documents": np.ones(len(place), np.int64)}
    for unit in [unit for unit in ("bytes", "tokens") if unit in lengths]:
        totals = np.zeros(len(place), np.int64)
        np.add.at(totals, pieces.document, lengths[unit])
        measured[unit] = totals
    origin = np.array(plan["origin"].to_pylist(), dtype=object)
    human = origin == "human"
    labels = {"origins": (origin, np.ones(len(place), bool))}
    for column, name in (("attestation", "attestations"), ("witness", "witnesses")):
        labels[name] = (np.array(texts[column].fill_null("").to_pylist(), dtype=object)[place], human)
    found: dict[str, Any] = {unit: int(values.sum()) for unit, values in measured.items()}
    for name, (label, among) in labels.items():
        groups = sorted(set(label[among].tolist()))
        found[name] = {group: {unit: int(v[among & (label == group)].sum()) for unit, v in measured.items()} for group in groups}
    return found
