"""The tree of a snapshot: the leaves of one extension, sorted, behind those that were there before."""

from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from provenance import schema
from provenance.identity import Frontier, consistency_ranges, subtree_roots
from store import sql, tables
from store.errors import CheckFailed

LEAVES_PER_FILE = 1 << 20


class GrowTree:
    """Step, one part: an extension's leaves sorted by key, with their places, the new root and the proof that the old tree
    is its beginning."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        before, frontier, rows = part["size"], Frontier(), part["added"]
        entries: list[dict[str, Any]] = []
        con = sql.connect(self.context["folder"])
        sql.view(con, "fresh", part["fresh"], schema.LEAVES)
        batches = sql.stream(con, 'select * exclude ("index") from fresh order by key, witness')
        written = self._written(_placed(batches, before), entries)

        def seen(leaves: Iterable[bytes]) -> Iterator[bytes]:
            for leaf in leaves:
                self._check_parent(part, frontier)
                frontier.append(leaf)
                yield leaf

        ranges = consistency_ranges(before, before + rows)
        proof = subtree_roots(seen(_chained(part["leaves"], written)), ranges)
        self._check_parent(part, frontier)
        if frontier.size != before + rows:
            raise RuntimeError(f"the tree has {frontier.size} leaves, and {before} + {rows} were to be in it")
        return {"files": entries, "size": frontier.size, "root": frontier.root.hex(), "consistency": [node.hex() for node in proof]}

    @staticmethod
    def _check_parent(part: dict[str, Any], frontier: Frontier) -> None:
        """Raises `CheckFailed` where the parent's leaves, once they are all there, do not give its root."""
        if frontier.size == part["size"] and frontier.root.hex() != part["root"]:
            raise CheckFailed(
                f"the leaves of the version to extend give the root {frontier.root.hex()} and its manifest says {part['root']}; what "
                "grew from it could not be proven. Run verify on it, and restore what it names."
            )

    def _written(self, batches: Iterable[pa.Table], entries: list[dict[str, Any]]) -> Iterator[bytes]:
        """Writes the leaves, file by file, and gives their hashes."""
        last = ("", "")
        for number, table in enumerate(_chunks(batches, LEAVES_PER_FILE)):
            name = f"leaves/{self.context['prefix']}-{number:05d}.parquet"
            with tables.Writer(self.context["folder"], name, schema.LEAVES) as writer:
                for piece in table:
                    last = _check_keys(piece, last)
                    writer.write(piece)
                    yield from map(bytes.fromhex, piece["leaf"].to_pylist())
            entries.append(writer.entry)


def _chained(urls: Iterable[str], fresh: Iterator[bytes]) -> Iterator[bytes]:
    for url in urls:
        for batch in tables.batches(url, ["leaf"]):
            yield from map(bytes.fromhex, batch["leaf"].to_pylist())
    yield from fresh


def _placed(batches: Iterable[pa.RecordBatch], start: int) -> Iterator[pa.Table]:
    """The rows with their index in the tree."""
    for batch in batches:
        index = pa.array(range(start, start + batch.num_rows), pa.int64())
        start += batch.num_rows
        yield pa.Table.from_arrays([index, *batch.columns], names=schema.LEAVES.names).cast(schema.LEAVES)


def _chunks(pieces: Iterable[pa.Table], rows: int) -> Iterator[Iterator[pa.Table]]:
    """The pieces in groups of `rows` rows, each to be read to its end before the next."""
    source = iter(pieces)
    rest: list[pa.Table] = []

    def group(first: pa.Table) -> Iterator[pa.Table]:
        room, piece = rows, first
        while True:
            yield piece.slice(0, room)
            if piece.num_rows > room:
                rest.append(piece.slice(room))
                return
            room -= piece.num_rows
            found = next(source, None) if room else None
            if found is None:
                return
            piece = found

    while (first := rest.pop() if rest else next(source, None)) is not None:
        yield group(first)


def _check_keys(piece: pa.Table, last: tuple[str, str]) -> tuple[str, str]:
    """Raises `RuntimeError` where two first leaves have one key; returns the last key and what its leaf names."""
    for found in zip(piece["key"].to_pylist(), piece["names"].to_pylist(), strict=True):
        if found[0] == last[0] and not (found[1] and last[1]):
            raise RuntimeError(
                f"two leaves have the key {found[0]}; a proof could stand for either. Report this with the input files."
            )
        last = found
    return last
