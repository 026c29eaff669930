"""The tree of a snapshot: the leaves of one extension, sorted, behind those that were there before."""

import contextlib
import itertools
from collections.abc import Iterable, Iterator
from typing import Any

import pyarrow as pa

from provenance import schema
from provenance.identity import Frontier, consistency_ranges, subtree_roots
from store import sql, tables
from store.errors import CheckFailed
from store.leaves import hashes

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
        proof = subtree_roots(seen(itertools.chain(hashes(part["leaves"]), written)), ranges)
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
        """Writes the leaves, `LEAVES_PER_FILE` to a file, and gives their hashes."""
        last, writers = ("", ""), list[tables.Writer]()
        with contextlib.ExitStack() as file:
            for table in batches:
                while table.num_rows:
                    if not writers or writers[-1].rows == LEAVES_PER_FILE:
                        file.close()
                        name = f"leaves/{self.context['prefix']}-{len(writers):05d}.parquet"
                        writers.append(file.enter_context(tables.Writer(self.context["folder"], name, schema.LEAVES)))
                    piece = table.slice(0, LEAVES_PER_FILE - writers[-1].rows)
                    table = table.slice(piece.num_rows)
                    last = _check_keys(piece, last)
                    writers[-1].write(piece)
                    yield from map(bytes.fromhex, piece["leaf"].to_pylist())
        entries += [writer.entry for writer in writers]


def _placed(batches: Iterable[pa.RecordBatch], start: int) -> Iterator[pa.Table]:
    """The rows with their index in the tree."""
    for batch in batches:
        index = pa.array(range(start, start + batch.num_rows), pa.int64())
        start += batch.num_rows
        yield pa.Table.from_arrays([index, *batch.columns], names=schema.LEAVES.names).cast(schema.LEAVES)


def _check_keys(piece: pa.Table, last: tuple[str, str]) -> tuple[str, str]:
    """Raises `RuntimeError` where two first leaves have one key; returns the last key and what its leaf names."""
    for found in zip(piece["key"].to_pylist(), piece["names"].to_pylist(), strict=True):
        if found[0] == last[0] and not (found[1] and last[1]):
            raise RuntimeError(
                f"two leaves have the key {found[0]}; a proof could stand for either. Report this with the input files."
            )
        last = found
    return last
