"""The orders of a mix's candidates, in integers: each class by virtual time, and the rows of a shard spread over it.

Arrays and not SQL: a window over millions of rows spills where a sort of their numbers does not, and products of bytes and draws
are divided here in 64-bit steps, exactly.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

if TYPE_CHECKING:
    import duckdb

PASS = 1 << 62
"""A pass through the documents of a class, in the virtual time of a shard."""

_BLOCK = 1 << 18
"""Documents whose times are found at once."""


@dataclass(frozen=True)
class Class:
    """The candidates of a class, arrays of one length: `id` (rowid in `offered`), number of the stratum, `rank` (64 bits), bytes, units
    (one array for each), number of the origin, whether near a human document, cluster (-1: none), number in it and how many of it may
    enter."""

    id: np.ndarray
    stratum: np.ndarray
    rank: np.ndarray
    byte_count: np.ndarray
    units: tuple[np.ndarray, ...]
    origin: np.ndarray
    near: np.ndarray
    cluster: np.ndarray
    member: np.ndarray
    members: np.ndarray

    def __len__(self) -> int:
        return len(self.id)

    @property
    def lengths(self) -> np.ndarray:
        """The units, shape (documents, units)."""
        return np.stack(self.units, axis=1)

    def take(self, order: np.ndarray) -> "Class":
        """The candidates in another order."""
        same: dict[int, np.ndarray] = {}  # an array that two columns share stays one

        def taken(column: np.ndarray) -> np.ndarray:
            if id(column) not in same:
                one = len(column) > 0 and column.strides == (0,)
                same[id(column)] = _alone(column[0], len(order)) if one else column[order]
            return same[id(column)]

        columns = {of.name: taken(getattr(self, of.name)) for of in fields(self) if of.name != "units"}
        return Class(**columns, units=tuple(map(taken, self.units)))

    def joined(self, other: "Class") -> "Class":
        """These candidates and then others."""

        def both(name: str) -> np.ndarray:
            return np.concatenate([getattr(self, name), getattr(other, name)])

        units = tuple(np.concatenate(pair) for pair in zip(self.units, other.units, strict=True))
        return Class(**{of.name: both(of.name) for of in fields(self) if of.name != "units"}, units=units)


def entered(con: "duckdb.DuckDBPyConnection", query: str, params: dict[str, object], units: Sequence[str]) -> Class:
    """The candidates of a class, in the order of ranks, of equal ones by key. `query` has the columns of `Class`, and `tokens` where these
    are one of the units."""
    rows = con.sql(query, params=params).to_arrow_reader(1 << 16).read_all()
    found = {name: _plain(rows[name]) for name in rows.column_names}
    del rows
    lengths = {"bytes": found["byte_count"], "documents": _alone(1, len(found["id"]))}
    if "tokens" in units:
        lengths["tokens"] = found.pop("tokens")
    made = Class(**found, units=tuple(lengths[unit] for unit in units))
    return made.take(_ranked(con, made))


def _alone(value: object, count: int) -> np.ndarray:
    """A column of one value, which has no memory for each row."""
    return np.broadcast_to(np.asarray(value), count)


def _plain(column: pa.ChunkedArray) -> np.ndarray:
    """A column as an array."""
    values = np.asarray(column.to_numpy())
    return _alone(values[0], len(values)) if len(values) and (values == values[0]).all() else values


def _ranked(con: "duckdb.DuckDBPyConnection", made: Class) -> np.ndarray:
    order = np.argsort(made.rank, kind="stable")
    same = np.diff(made.rank[order]) == 0
    if same.any():  # 64 bits of a digest: next to never
        tied = np.flatnonzero(np.append(same, False) | np.insert(same, 0, False))
        query = "SELECT rowid, key FROM offered WHERE rowid IN (SELECT unnest($ids))"
        keys = dict(con.execute(query, {"ids": made.id[order[tied]].tolist()}).fetchall())
        order[tied] = sorted(order[tied].tolist(), key=lambda row: (int(made.rank[row]), keys[int(made.id[row])]))
    return order


def divided(whole: np.ndarray, part: np.ndarray, bits: int, by: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(whole * 2**bits + part) // by as its multiples of 2**bits and the rest, for 0 <= part < 2**bits, bits < 64 and 0 < by < 2**63;
    arrays of uint64."""
    above = whole // by
    rest, found, left = whole - above * by, np.zeros_like(whole), bits
    step = 64 - int(by.max(initial=1)).bit_length()
    while left:
        taken = min(step, left)
        left -= taken
        rest = (rest << np.uint64(taken)) | ((part >> np.uint64(left)) & np.uint64((1 << taken) - 1))
        digit = rest // by
        rest -= digit * by
        found = (found << np.uint64(taken)) | digit
    return above, found


def _before(stratum: np.ndarray, length: np.ndarray, once: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What stands before each row in its stratum, in the order given, and what the stratum has in all; `once` is the length where a row is
    counted and else 0."""
    order = np.argsort(stratum.astype(np.uint16), kind="stable")  # sorted in a linear pass
    sums = np.cumsum(once[order])
    of = stratum[order]
    starts = np.flatnonzero(np.diff(of, prepend=-1))
    base = np.concatenate([[0], sums])[starts]
    ends = np.append(starts[1:], len(of))
    sizes = np.diff(np.append(starts, len(of)))
    before, whole = np.empty(len(of), np.int64), np.empty(len(of), np.int64)
    before[order] = sums - length[order] - np.repeat(base, sizes)
    whole[order] = np.repeat(sums[ends - 1] - base, sizes) if len(of) else 0
    return before, whole


def _drawn(rank: np.ndarray, length: np.ndarray, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """What stands before a row and the part of its own length that its rank draws: whole units, and a rest of 32 bits."""
    draw, size, low = rank >> np.uint64(32), length.astype(np.uint64), np.uint64(0xFFFFFFFF)
    part = draw * (size & low)
    return before.astype(np.uint64) + draw * (size >> np.uint64(32)) + (part >> np.uint64(32)), part & low


def by_weight(made: Class, weights: np.ndarray) -> np.ndarray:
    """The order of a class that stands in the order of ranks: by virtual time, what stands before a document in its stratum with the part
    of its own length that its rank draws, over the stratum's weight (`weights`, by number). In the order of these times every beginning has
    nearly the weights' shares, and a stratum that is exhausted gives way to the others."""
    before, _ = _before(made.stratum, made.units[0], made.units[0])
    above, below = (np.empty(len(made), np.uint64) for _ in range(2))
    for start in range(0, len(made), _BLOCK):
        own = slice(start, start + _BLOCK)
        whole, part = _drawn(made.rank[own], made.units[0][own], before[own])
        above[own], below[own] = divided(whole, part, 32, weights[made.stratum[own]].astype(np.uint64))
    del before
    return _timed(above, below)


def _spread(time: np.ndarray, rest: np.ndarray, whole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return divided(time, rest << np.uint64(30), 62, np.maximum(whole, 1).astype(np.uint64))


def _timed(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """The order by two numbers, equal ones as they stand."""
    bits = int(below.max(initial=0)).bit_length()
    if int(above.max(initial=0)).bit_length() + bits <= 64:
        return np.argsort((above << np.uint64(bits)) | below, kind="stable")
    return np.lexsort((below, above))


def in_shard(rows: Class, epoch: np.ndarray) -> np.ndarray:
    """The order of a shard's rows of one class, given in the order of the class and of epochs: epoch by epoch, the strata spread by the shard's
    own shares. Where strata have passes of their own, those of each fill the shard evenly, so that its end is of no stratum alone.

    Documents of one cluster stand a pass over their number apart, after the first of them.
    """
    length = rows.units[0]
    before, whole = _before(rows.stratum, length, np.where(epoch == 0, length, 0))
    above, below = _spread(*_drawn(rows.rank, length, before), whole)
    place = (above << np.uint64(62)) | below
    _part(rows, epoch, place)
    if int(epoch.max(initial=0)) == 0:
        return np.lexsort((rows.rank, place))
    most = np.zeros(int(rows.stratum.max()) + 1, np.int64)
    np.maximum.at(most, rows.stratum, epoch.astype(np.int64) + 1)
    if int(most.max()) - int(most[most > 0].min()) > 1:
        passes = most[rows.stratum].astype(np.uint64)
        return np.lexsort((rows.rank, place // passes + epoch.astype(np.uint64) * (np.uint64(PASS) // passes)))
    return np.lexsort((rows.rank, place, epoch))


def _part(rows: Class, epoch: np.ndarray, place: np.ndarray) -> None:
    """Puts what is of one cluster apart, in each epoch."""
    among = np.flatnonzero(rows.cluster >= 0)
    if not len(among):
        return
    cluster, of = rows.cluster[among], epoch[among]
    order = np.lexsort((rows.rank[among], place[among], of, cluster))
    among, cluster, of = among[order], cluster[order], of[order]
    starts = np.flatnonzero((np.diff(cluster, prepend=-1) != 0) | (np.diff(of, prepend=-1) != 0))
    sizes = np.diff(np.append(starts, len(among)))
    number = (np.arange(len(among)) - np.repeat(starts, sizes)).astype(np.uint64)
    _, apart = divided(number, np.zeros_like(number), 62, np.repeat(sizes, sizes).astype(np.uint64))
    place[among] = (np.repeat(place[among[starts]], sizes) + apart) & np.uint64(PASS - 1)


def neighbours(alike: np.ndarray) -> np.ndarray | None:
    """An order of rows in which no two of the same value are neighbours where that can be; null where they stand so already."""
    if not (alike[1:] == alike[:-1]).any():
        return None
    _, codes = np.unique(alike, return_inverse=True)
    of: Sequence[int] = codes.tolist()
    order: list[int] = []
    waiting: list[int] = []
    last = -1
    for row in range(len(of)):
        waiting.append(row)
        while (at := next((i for i, held in enumerate(waiting) if of[held] != last), None)) is not None:
            last = of[waiting[at]]
            order.append(waiting.pop(at))
    for row in waiting:  # all of one value: they go where neither neighbour is of it, the last such places first
        gaps = (i for i in range(len(order), -1, -1) if of[row] not in [of[one] for one in order[max(i - 1, 0) : i + 1]])
        order.insert(next(gaps, len(order)), row)
    return np.array(order)
