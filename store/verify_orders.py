"""Recomputes what is left of the floor when a mix is read in another order than row by row of one shard.

Everything is counted in q * human - p * total, integers, for a floor of p/q: a row of h human units among t adds q * h - p * t
to whoever reads it. Rows pass through once, in the order of the shards.
"""

import heapq
from collections.abc import Mapping
from fractions import Fraction
from typing import Any

import numpy as np

WORLDS = (2, 4, 8)
"""Numbers of readers that share a mix."""

Lengths = Mapping[str, tuple[np.ndarray, np.ndarray]]
"""Human units and all units of each of some rows, int64, by unit."""


class Orders:
    """Takes the rows of all shards one after the other. `rows` is the number that there will be."""

    def __init__(self, floor: Fraction, units: tuple[str, ...], rows: int, shards: int):
        self.units = {unit: _Unit(floor, rows, shards) for unit in units}
        self.shard = -1
        self.at = 0

    def begin(self) -> None:
        """The next shard begins."""
        self.shard += 1
        for unit in self.units.values():
            unit.buffer.begin()

    def take(self, lengths: Lengths) -> None:
        """The next rows of the shard."""
        rows = len(next(iter(lengths.values()))[1])
        for name, unit in self.units.items():
            unit.take(*lengths[name], self.at, self.shard)
        self.at += rows

    def end(self) -> dict[str, Any]:
        """The manifest's `orders`."""
        return {name: unit.end() for name, unit in self.units.items()}


class _Reader:
    """One of several readers: what it has read so far."""

    def __init__(self) -> None:
        self.human = self.total = self.surplus = self.least = 0

    def take(self, human: np.ndarray, total: np.ndarray, gains: np.ndarray) -> None:
        if not len(gains):
            return
        running = np.cumsum(gains)
        self.least = min(self.least, self.surplus + int(running.min()))
        self.surplus += int(running[-1])
        self.human += int(human.sum())
        self.total += int(total.sum())


class _Unit:
    """All orders in one unit."""

    def __init__(self, floor: Fraction, rows: int, shards: int):
        self.floor, self.rows, self.shards, self.longest = floor, rows, shards, 0
        self.buffer = _Buffer(rows)
        self.strided = {world: [_Reader() for _ in range(world)] for world in WORLDS}
        self.contiguous = {world: [_Reader() for _ in range(world)] for world in WORLDS}
        self.starts = {world: [rows // world * rank + min(rank, rows % world) for rank in range(world + 1)] for world in WORLDS}

    def take(self, human: np.ndarray, total: np.ndarray, at: int, shard: int) -> None:
        """Some rows of a shard, of which the first is row `at` of the mix."""
        p, q = self.floor.numerator, self.floor.denominator
        if len(total):
            self.longest = max(self.longest, int(total.max()))
        kind: Any = np.int64 if int(total.sum()) * q < 1 << 62 else object
        gains = human.astype(kind) * q - total.astype(kind) * p
        self.buffer.take(gains)
        for world in WORLDS:
            if self.shards % world == 0:
                self.strided[world][shard % world].take(human, total, gains)
            else:
                for rank, reader in enumerate(self.strided[world]):
                    mine = slice((rank - at) % world, None, world)
                    reader.take(human[mine], total[mine], gains[mine])
            starts = self.starts[world]
            for rank, reader in enumerate(self.contiguous[world]):
                mine = slice(max(starts[rank] - at, 0), max(starts[rank + 1] - at, 0))
                reader.take(human[mine], total[mine], gains[mine])

    def end(self) -> dict[str, Any]:
        strided = {str(world): _worst(readers, self.shards % world == 0) for world, readers in self.strided.items()}
        contiguous = {str(world): _worst(readers, False) for world, readers in self.contiguous.items()}
        buffer = self.buffer.size
        return {
            "rows": self.rows,
            "longest_row": self.longest,
            "shuffle_buffer": buffer,
            "strided": strided,
            "contiguous": contiguous,
        }


def _worst(readers: list[_Reader], whole: bool) -> dict[str, Any]:
    """The first reader with the least human share at its end, of those that have read any unit, and the least surplus of all."""
    least = readers[0]
    for reader in readers[1:]:
        if reader.total and (not least.total or reader.human * least.total < least.human * reader.total):
            least = reader
    return {
        "whole_shards": whole,
        "human": least.human,
        "total": least.total,
        "minimum_surplus": min(reader.least for reader in readers),
    }


class _Buffer:
    """The largest number of rows that a reader of any one shard may hold back with the floor kept in what it has given out.

    The worst that holding back S rows can do after n of them is to hold the S largest gains: the floor is kept while these
    are no more than the surplus. `kept` is the heap of the largest gains of the shard so far, at most `size` of them.
    """

    def __init__(self, rows: int):
        self.size = rows
        self.begin()

    def begin(self) -> None:
        """A new shard."""
        self.kept: list[int] = []
        self.sum = self.surplus = 0

    def take(self, gains: np.ndarray) -> None:
        """The next rows of the shard."""
        if not self.size:
            return
        for gain in gains.tolist():
            self.surplus += gain
            if gain > 0:
                self._keep(gain)
            # Gains alone add to the surplus what they add to the heap.
            while gain < 0 and self.kept and self.sum > self.surplus:
                self.sum -= heapq.heappop(self.kept)
                self.size = len(self.kept)

    def _keep(self, gain: int) -> None:
        if len(self.kept) < self.size:
            heapq.heappush(self.kept, gain)
            self.sum += gain
        elif self.kept:
            self.sum += gain - heapq.heappushpop(self.kept, gain)
