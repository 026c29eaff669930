"""The steps of a mix that touch text: each source file is read once, then each shard is written by itself.

`Scatter` splits one documents file by shard into Arrow IPC; `WriteShard` joins one shard's texts, puts them in the order
that keeps the floor, and writes the shard with the leaves that prove its human side. Memory is that of one shard.
"""

import contextlib
import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import arranging, orders
from pipelines.pieces import TEXTS, Spans, gathered, grouped, spans, stretches
from pipelines.tokenizer import Tokenizer
from provenance import floor, mixture
from provenance.identity import canonical_json
from provenance.mixture import Mix
from provenance.schema import LEAVES
from store import files, leaves, shards, tables
from store.errors import CheckFailed

SCATTER_BYTES = 128 << 20
"""Text that `Scatter` holds before it writes it out by shard."""

PLAN = ["source", "part", "row", "origin", "epoch", "stratum", "leaf_index"]
"""What a shard needs of its plan."""


def part_name(number: int) -> str:
    return f"{number:05d}"


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
        done = 0
        with (
            # Nobody reads the digest of a file that goes when the mix is written.
            files.create(files.join(self.context["folder"], "texts", f"{name}.arrow"), digest=False) as sink,
            pa.ipc.new_file(sink, TEXTS) as out,
        ):
            for table, spot in gathered(stretches(self.context["parts"][part["part"]], rows), SCATTER_BYTES):
                owners = shard[done : done + len(spot)]
                done += len(spot)
                by = np.argsort(owners, kind="stable")
                starts = np.flatnonzero(np.diff(owners[by], prepend=-1))
                for owner, mine in zip(owners[by[starts]].tolist(), np.split(by, starts)[1:], strict=True):
                    for batch in _batches(table, spot[mine]):
                        out.write_batch(batch)
                        order.append(owner)
        files.write_bytes(files.join(self.context["folder"], "texts", f"{name}.json"), canonical_json(order))
        return {"rows": done, "files": []}


def _batches(table: pa.Table, rows: np.ndarray) -> Iterator[pa.RecordBatch]:
    """Some rows of `TEXTS`, in batches of about a row group's text."""
    texts, facts = Spans(*spans(table["text"])), table.drop_columns("text")
    for some in grouped(texts, rows):
        others = facts.take(pa.array(some)).combine_chunks()
        yield pa.RecordBatch.from_arrays([texts.texts(some), *(_one(column) for column in others.columns)], schema=TEXTS)


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

    @property
    def human(self) -> np.ndarray:
        """Whether each plan row is human."""
        return self.place >= 0

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
        self.floor = mixture.fraction(self.mix.floor)

    def setup(self) -> None:
        """Loads the tokenizer, if tokens are counted."""
        url = self.context["tokenizer"]
        self.tokenizer = Tokenizer(files.read_bytes(url)) if url else None
        self.format = shards.named(self.mix.format)

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        """Writes the files of a shard, `proof/NAME.leaves.zst` and `proof/NAME.hashes.bin`; with `human_apart` the shard's human
        documents once more under `human/`; and, for the manifest's `orders` only, the lengths of its rows.

        The receipt has their manifest lines, the shard's units and surpluses, its counts, and how many human documents
        cannot be had back from their rows. Raises `CheckFailed` where
        a text is not the one that the snapshot's leaf binds.
        """
        number, name = part["shard"], shards.shard_name(part["shard"], self.context["shards"])
        plan = tables.read([files.join(self.context["plan"], "shards", f"{part_name(number)}.parquet")], PLAN)
        documents, bound = self._documents(plan, number), self._bound(plan, number)
        proof = self._prove(documents, bound, name, number)
        planned = arranging.Planned(documents.texts, documents.place, bound.human, _columns(plan, documents, bound))
        made = arranging.rows(planned, self.mix, self.tokenizer, name, self.format.TOKENS)
        written, rows = self._write(name, made.all(), "")
        apart = None
        if self.mix.human_apart:
            copies, count = self._write(name, made.human(), shards.HUMAN)
            apart = {"path": copies[0]["path"], "rows": count}
            written += copies
        lengths = made.lengths()
        units = {unit: self._realised(*sides) for unit, sides in lengths.items()}
        return {
            "rows": rows,
            "files": [*written, *proof],
            "shard": {"path": written[0]["path"], "rows": rows, "units": units, "human": apart},
            "counts": _counts(plan, bound, made, self.format.TOKENS),
            "inexact": made.inexact(),
            "lengths": orders.written(self.context["folder"], name, lengths),
        }

    def _write(self, name: str, batches: Iterator[pa.RecordBatch], root: str) -> tuple[list[dict[str, Any]], int]:
        """Writes the files of a shard below a root; their manifest lines, first of what loaders iterate, and the number of its rows."""
        sinks: dict[str, files.HashingFile] = {}

        @contextlib.contextmanager
        def create(path: str) -> Iterator[files.HashingFile]:
            with files.create(files.join(self.context["folder"], path)) as sinks[path]:
                yield sinks[path]

        rows = self.format.write(create, name, batches, self.context["mix"], root)
        first = self.format.paths(name, root)[0]
        entries = [
            {"path": path, "sha256": sink.sha256, "size": sink.size, "rows": rows if path == first else None}
            for path, sink in sinks.items()
        ]
        return sorted(entries, key=lambda entry: entry["path"] != first), rows

    def _realised(self, human: np.ndarray, total: np.ndarray) -> dict[str, int]:
        least, last = floor.surpluses(human, total, self.floor)
        return {"human": int(human.sum()), "total": int(total.sum()), "minimum_surplus": least, "final_surplus": last}

    def _documents(self, plan: pa.Table, shard: int) -> Documents:
        """The shard's documents."""
        numbers = self._numbers(plan)
        # One integer per document, part first: sorted, they stand as the parts are read.
        wanted, place = np.unique((numbers << 40) | plan["row"].to_numpy(), return_inverse=True)
        parts = (
            self._part(number, wanted[wanted >> 40 == number] & ((1 << 40) - 1), shard) for number in np.unique(numbers).tolist()
        )
        table, spot = next(gathered(itertools.chain.from_iterable(parts)))
        if len(spot) != len(wanted):
            raise CheckFailed(
                f"shard {shard} was planned with {len(wanted)} documents and {len(spot)} were read; a source changed. Rerun mix."
            )
        return Documents(table["text"], table.drop_columns("text").combine_chunks(), spot[place.reshape(-1)])

    def _numbers(self, plan: pa.Table) -> np.ndarray:
        """Number of the part that each plan row's text is in."""
        sources, paths = (_one(plan[name]).dictionary_encode() for name in ("source", "part"))
        codes = sources.indices.to_numpy().astype(np.int64) * len(paths.dictionary) + paths.indices.to_numpy()
        pairs, which = np.unique(codes, return_inverse=True)
        source, path = (one.dictionary.to_pylist() for one in (sources, paths))
        known = [self.context["numbers"][source[pair // len(path)]][path[pair % len(path)]] for pair in pairs.tolist()]
        return np.array(known, np.int64)[which.reshape(-1)]

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
        with _mapped(f"{base}.arrow") as source:
            reader = pa.ipc.open_file(source)
            yield from (pa.Table.from_batches([reader.get_batch(i)]) for i, owner in enumerate(order) if owner == shard)

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


@contextlib.contextmanager
def _mapped(url: str) -> Iterator[Any]:
    """A file to read Arrow's buffers from, which are not copied where the file is local."""
    if files.is_local(url):
        with pa.memory_map(files.split_url(url)[1]) as source:
            yield source
    else:
        with files.open_input(url) as stream:
            yield stream


def _columns(plan: pa.Table, documents: Documents, bound: Bound) -> dict[str, pa.Array]:
    """The columns of `SHARD` that say something of a document, by name, for each plan row."""
    facts = documents.facts.take(pa.array(documents.place))
    # What no leaf proves has no level in a shard, whatever its capture record says; what one proves has the leaf's date.
    return {
        **{name: _one(facts[name]) for name in ("key", "id", "url", "language")},
        **{name: _one(plan[name]) for name in ("origin", "epoch", "stratum")},
        "attestation": bound.of_rows("attestation").fill_null("none"),
        "date": pc.if_else(pa.array(bound.human), bound.of_rows("date"), _one(facts["date"])),
    }


def _one(column: pa.ChunkedArray) -> pa.Array:
    """A column's values as one array."""
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)


def _counts(plan: pa.Table, bound: Bound, made: arranging.Rows, packed: bool) -> dict[str, Any]:
    """Rows, documents, bytes and tokens, in all, by origin and by stratum, and of the human side by attestation, witness and year. Of packed
    tokens documents and tokens: a row is of several documents."""
    measured = {"documents": np.ones(plan.num_rows, np.int64)}
    if not packed:
        measured["rows"] = np.bincount(made.document, minlength=plan.num_rows)
    for unit in [unit for unit in ("bytes", "tokens") if unit in made.measured]:
        measured[unit] = np.bincount(made.document, made.measured[unit], plan.num_rows).astype(np.int64)  # exact below 2^53
    everything = np.ones(plan.num_rows, bool)
    years = pc.strftime(bound.of_rows("date"), format="%Y").fill_null("none")
    labels = {
        "origins": (_one(plan["origin"]), everything),
        "strata": (_one(plan["stratum"]), everything),
        "attestations": (bound.of_rows("attestation"), bound.human),
        "witnesses": (bound.of_rows("witness"), bound.human),
        "years": (years, bound.human),
    }
    found: dict[str, Any] = {unit: int(values.sum()) for unit, values in measured.items()}
    return found | {name: _grouped(label, among, measured) for name, (label, among) in labels.items()}


def _grouped(label: pa.Array, among: np.ndarray, measured: dict[str, np.ndarray]) -> dict[str, dict[str, int]]:
    """Sums of each measure by label, over some rows."""
    coded = label.fill_null("").dictionary_encode()
    codes, names = coded.indices.to_numpy()[among], coded.dictionary.to_pylist()
    there = np.bincount(codes, minlength=len(names))
    sums = {unit: np.bincount(codes, values[among], len(names)).astype(np.int64) for unit, values in measured.items()}
    return {
        name: {unit: int(of[code]) for unit, of in sums.items()}
        for name, code in sorted(zip(names, range(len(names)), strict=True))
        if there[code]
    }
