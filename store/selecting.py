"""What of the candidates enters a mix, in which shard, and where in the order of its class.

The numbers are arrays; what else is known of a document stays in the table `offered` of the connection, which is read in its own order,
once for many shards.
"""

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from provenance.schema import LEAVES
from store import ordering, tables
from store.mixing import PLANNED, Part
from store.ordering import Class

if TYPE_CHECKING:
    import duckdb

AT_ONCE = 1 << 20
"""Rows of shards whose plans are made by one reading of the candidates."""
OPEN = 128
"""Shards whose leaves are written by one reading of the snapshot's."""
_LEAVES = 1 << 17
"""Leaves that are divided among shards at once."""
_FACTS = 'SELECT rowid AS id, key, part, "row", byte_count, leaf_index FROM offered'
_DIGITS = np.frombuffer(b"0123456789abcdef", np.uint8)


@dataclass(frozen=True)
class Selection:
    """What enters: of the human candidates `position`, `shard` and `epoch` of each row, of the others position and shard."""

    human: Class
    other: Class
    position: np.ndarray
    shard: np.ndarray
    epoch: np.ndarray
    taken: np.ndarray
    owner: np.ndarray

    @property
    def first(self) -> np.ndarray:
        """Positions of the human documents that enter, each once."""
        return self.position[self.epoch == 0]

    def chosen(self) -> dict[int, dict[str, Any]]:
        """Documents and bytes of each stratum that enter, each document once; and how often they do on average, by the first unit."""
        found: dict[int, dict[str, Any]] = {}
        for made, once, rows in ((self.human, self.first, self.position), (self.other, self.taken, self.taken)):
            of = made.stratum[once]
            length = made.units[0]
            documents = _sums(of, np.ones(len(once), np.int64))
            sizes, distinct = _sums(of, made.byte_count[once]), _sums(of, length[once])
            passed = _sums(made.stratum[rows], length[rows])
            for stratum in np.flatnonzero(documents).tolist():
                epochs = int(passed[stratum]) / max(int(distinct[stratum]), 1)
                found[stratum] = {
                    "documents": int(documents[stratum]),
                    "bytes": int(sizes[stratum]),
                    "epochs": round(epochs, 4),
                }
        return found

    def in_shards(self, origins: Sequence[str]) -> dict[str, int]:
        """Documents that enter, by origin; `origins` is what the numbers of the others' mean."""
        numbers = np.bincount(self.other.origin[self.taken], minlength=len(origins)).tolist()
        return dict(zip(origins, numbers, strict=True)) | {"human": len(self.first)}

    def near_human(self) -> dict[str, int]:
        """Documents and bytes among the others that entered though the match found them to be near copies of human documents, or
        that equal such a near copy."""
        near = self.taken[self.other.near[self.taken]]
        return {"documents": len(near), "bytes": int(self.other.byte_count[near].sum())}

    def left_over(self, origins: Sequence[str]) -> dict[str, dict[str, int]]:
        """Documents and bytes of allowed origins that passed the filter and did not enter, by origin."""
        left = np.ones(len(self.other), bool)
        left[self.taken] = False
        of = self.other.origin[left]
        numbers, sizes = np.bincount(of, minlength=len(origins)), _sums(of, self.other.byte_count[left], len(origins))
        found = zip(origins, numbers.tolist(), sizes.tolist(), strict=True)
        return {origin: {"documents": number, "bytes": size} for origin, number, size in sorted(found) if number}


def _sums(of: np.ndarray, values: np.ndarray, size: int = 0) -> np.ndarray:
    """The sum of the values of each number, as integers."""
    sums = np.zeros(max(size, int(of.max(initial=-1)) + 1), np.int64)
    np.add.at(sums, of, values)
    return sums


class Shards:
    """The plans of all shards of a selection, of candidates with so many rowids."""

    def __init__(
        self, con: "duckdb.DuckDBPyConnection", made: Selection, shards: int, labels: Sequence[str], parts: Sequence[Part]
    ):
        self.con, self.made, self.shards, self.parts = con, made, shards, parts
        self.labels = pa.array(labels, pa.string())
        self.origins = pa.array([label.partition("/")[0] for label in labels], pa.string())
        self._sides = [_by_shard(made.shard, shards), _by_shard(made.owner, shards)]
        self.candidates = int(con.execute("SELECT coalesce(max(rowid), -1) + 1 FROM offered").fetchall()[0][0])

    def _of(self, side: int, shard: int) -> tuple[Class, np.ndarray]:
        """The rows of a shard of one side in the order of their class and of epochs, and their epochs."""
        order, cuts = self._sides[side]
        own = order[cuts[shard] : cuts[shard + 1]]
        if side:
            return self.made.other.take(self.made.taken[own]), np.zeros(len(own), np.int32)
        position, epoch = self.made.position[own], self.made.epoch[own]
        sort = np.lexsort((epoch, position))
        return self.made.human.take(position[sort]), epoch[sort]

    def tables(self) -> Iterator[pa.Table]:
        """The plan of each shard (`PLANNED`): human documents epoch by epoch, then the others, each class in its order.

        The strata of a class stand spread by the shard's own shares. Documents that are near copies of each other (of one cluster)
        stand a pass over their number apart, and never side by side while there is another human document between them.
        """
        (_, human), (_, other) = self._sides
        sizes = np.diff(human) + np.diff(other)
        start = 0
        while start < self.shards:
            stop = start + max(1, int(np.searchsorted(np.cumsum(sizes[start:]), AT_ONCE, "right")))
            made = [self._order(shard) for shard in range(start, min(stop, self.shards))]
            facts, place = self._facts([rows.id for rows, _ in made])
            for shard, (rows, epoch) in enumerate(made, start):
                yield self._table(shard, rows, epoch, facts.take(pa.array(place[rows.id])))
            del facts, place  # before those of the next shards are read
            start = stop

    def _order(self, shard: int) -> tuple[Class, np.ndarray]:
        sides = []
        for side in range(2):
            rows, epoch = self._of(side, shard)
            order = ordering.in_shard(rows, epoch)
            if not side:
                named = np.where(rows.cluster < 0, rows.id, -1 - rows.cluster.astype(np.int64))[order]
                again = ordering.neighbours(named)
                order = order if again is None else order[again]
            sides.append((rows.take(order), epoch[order]))
        (human, epochs), (other, zeros) = sides
        return human.joined(other), np.concatenate([epochs, zeros])

    def _facts(self, ids: list[np.ndarray]) -> tuple[pa.Table, np.ndarray]:
        """What `offered` says of some candidates, and where each stands in it, by id."""
        place = np.full(self.candidates, -1, np.int32)
        for some in ids:
            place[some] = 0
        reader, known = self.con.sql(_FACTS).to_arrow_reader(1 << 16), 0
        found = []
        for batch in reader:
            rows = batch.column(0).to_numpy()
            wanted = np.flatnonzero(place[rows] >= 0)
            place[rows[wanted]] = np.arange(known, known + len(wanted))
            known += len(wanted)
            found.append(batch.take(pa.array(wanted)))
        return pa.Table.from_batches(found, reader.schema).combine_chunks(), place

    def _table(self, shard: int, rows: Class, epoch: np.ndarray, facts: pa.Table) -> pa.Table:
        part, stratum = facts["part"], pa.array(rows.stratum)
        columns: dict[str, Any] = {
            "key": facts["key"],
            "source": pa.array([of.source for of in self.parts], pa.string()).take(part),
            "part": pa.array([of.path for of in self.parts], pa.string()).take(part),
            "row": facts["row"],
            "origin": self.origins.take(stratum),
            "shard": np.full(len(epoch), shard, np.int32),
            "epoch": epoch,
            "rank": _hex(rows.rank),
            "stratum": self.labels.take(stratum),
            "byte_count": facts["byte_count"],
            "leaf_index": facts["leaf_index"],
        }
        return pa.table([columns[name] for name in PLANNED.names], schema=PLANNED)

    def _owners(self) -> np.ndarray:
        """The shard of each candidate by id, -1 where it does not enter."""
        owner = np.full(self.candidates, -1, np.int32)
        owner[self.made.human.id[self.made.position]] = self.made.shard
        owner[self.made.other.id[self.made.taken]] = self.made.owner
        return owner

    def rows(self) -> Iterator[tuple[int, pa.Table]]:
        """Of each part that is read from, which rows are, and the shard that each goes to; a repeated document once."""
        owner = self._owners()
        found: list[list[np.ndarray]] = [[] for _ in self.parts]
        shards: list[list[np.ndarray]] = [[] for _ in self.parts]
        for batch in self.con.sql('SELECT rowid, part, "row" FROM offered').to_arrow_reader(1 << 16):
            ids, parts, rows = (column.to_numpy() for column in batch.columns)
            wanted = owner[ids] >= 0
            for part in np.flatnonzero(np.bincount(parts[wanted])).tolist():
                own = wanted & (parts == part)
                found[part].append(rows[own])
                shards[part].append(owner[ids[own]])
        for part in range(len(self.parts)):
            if found[part]:
                row, shard = np.concatenate(found[part]), np.concatenate(shards[part])
                found[part], shards[part] = [], []
                order = np.lexsort((row, shard))
                yield part, pa.table({"row": row[order], "shard": shard[order]})

    def proven(self, size: int) -> tuple[np.ndarray, np.ndarray]:
        """The leaves (indices in a tree of so many) that each shard proves, shard by shard in the tree's order; and where those of each
        shard begin, and the last ones end."""
        owner, of_leaf = self._owners(), np.full(size, -1, np.int32)
        for batch in self.con.sql("SELECT rowid, leaf_index FROM offered WHERE leaf_index IS NOT NULL").to_arrow_reader(1 << 16):
            ids, leaves = (column.to_numpy() for column in batch.columns)
            of_leaf[leaves] = owner[ids]
        leaves = np.flatnonzero(of_leaf >= 0)
        order, cuts = _by_shard(of_leaf[leaves], self.shards)
        return leaves[order], cuts


def _by_shard(shard: np.ndarray, shards: int) -> tuple[np.ndarray, np.ndarray]:
    """Rows by shard, in each as they are given; and where those of each begin, and the last ones end."""
    order = np.argsort(shard.astype(np.uint16) if shards <= 1 << 16 else shard, kind="stable")
    return order, np.concatenate([[0], np.cumsum(np.bincount(shard, minlength=shards))]).astype(np.int64)


def _hex(rank: np.ndarray) -> pa.Array:
    """Numbers of 64 bits as 16 digits."""
    data = rank.astype(">u8").view(np.uint8)
    digits = np.stack([_DIGITS[data >> 4], _DIGITS[data & 15]], axis=1)
    offsets = np.arange(len(rank) + 1, dtype=np.int32) * 16
    return pa.StringArray.from_buffers(len(rank), pa.py_buffer(offsets), pa.py_buffer(digits.tobytes()))


def write_leaves(
    urls: Sequence[str], leaves: np.ndarray, cuts: np.ndarray, folder: str, paths: Sequence[str]
) -> Iterator[dict[str, Any]]:
    """Writes the leaves (schema `LEAVES`) of each shard in the tree's order to a file; yields the files' lines of a manifest. `leaves` and
    `cuts` are those of `Shards.proven`; all files of the snapshot's leaves are read once for each `OPEN` shards."""
    for start in range(0, len(paths), OPEN):
        stop = min(start + OPEN, len(paths))
        own = leaves[cuts[start] : cuts[stop]]
        owner = np.repeat(np.arange(stop - start, dtype=np.int16), np.diff(cuts[start : stop + 1]))
        order = np.argsort(own, kind="stable")
        own, owner = own[order], owner[order]
        with contextlib.ExitStack() as stack:
            writers = [stack.enter_context(tables.Writer(folder, path, LEAVES)) for path in paths[start:stop]]
            first = 0
            for url in urls if len(own) else ():
                for batch in tables.batches(url, LEAVES.names, _LEAVES):
                    low, high = np.searchsorted(own, [first, first + batch.num_rows])
                    _divide(batch, own[low:high] - first, owner[low:high], writers)
                    first += batch.num_rows
        yield from (writer.entry for writer in writers)


def _divide(batch: pa.RecordBatch, rows: np.ndarray, owner: np.ndarray, writers: Sequence[tables.Writer]) -> None:
    order, cuts = _by_shard(owner, len(writers))
    sorted_rows = batch.take(pa.array(rows[order]))
    for number, writer in enumerate(writers):
        writer.write(sorted_rows.slice(int(cuts[number]), int(cuts[number + 1] - cuts[number])))


def enter(con: "duckdb.DuckDBPyConnection", made: Selection) -> None:
    """Makes `selection` of the ids of the human documents that enter."""
    con.register("entering", pa.table({"id": made.human.id[made.first]}))
    con.execute("CREATE TABLE selection AS SELECT id FROM entering")
    con.unregister("entering")


def wanted(con: "duckdb.DuckDBPyConnection", part: int, among: str, human: bool | None = None) -> np.ndarray:
    """Rows of a part that some candidates (a table with column `id`) stand in, sorted; of the human ones, of the others, or of both."""
    side = "" if human is None else f"AND o.origin {'=' if human else '!='} 'human'"
    join = "" if among == "offered" else f"SEMI JOIN {among} a ON a.id = o.rowid"
    query = f'SELECT "row" FROM offered o {join} WHERE o.part = ? {side} ORDER BY 1'
    return np.asarray(con.execute(query, [part]).fetchnumpy()["row"], np.int64)
