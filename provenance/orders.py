"""What of the floor holds under which reading order, computed from the lengths of the rows of all shards, one shard at a time.

With the floor p/q and d = q * human - p * total over the rows that a reader has given on, the floor holds for it if d >= 0 after each row.
`Orders` works d out in one unit for readers that trainers are known to be: one that holds rows back (a shuffle buffer), and several ranks
that share the rows, either each taking every w-th row or whole shards (`split_dataset_by_node`), or each a run of rows
(`Dataset.shard(contiguous=True)`).
"""

import heapq
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np

WORLDS = (2, 4, 8)
"""Numbers of ranks that are worked out."""


@dataclass
class Rank:
    """What one rank has read: units, d, and the least that d was, 0 before the first row."""

    human: int = 0
    total: int = 0
    surplus: int = 0
    least: int = 0

    def read(self, human: np.ndarray, total: np.ndarray, p: int, q: int) -> None:
        """Reads further rows."""
        if not len(total):
            return
        # Python's integers where 64 bits could overflow; what came before is added outside.
        wide: Any = object if q * int(total.sum()) >= 1 << 62 else np.int64
        surplus = np.cumsum(human.astype(wide) * q - total.astype(wide) * p)
        self.least = min(self.least, self.surplus + int(surplus.min()))
        self.surplus += int(surplus[-1])
        self.human += int(human.sum())
        self.total += int(total.sum())


class Orders:
    """The reading orders of one unit. Give it each shard's rows in the order of the shards, then ask for `stated`.

    `floor` is the promised share, `rows` and `shards` the numbers of both in all. Memory is that of one shard.
    """

    def __init__(self, floor: Fraction, rows: int, shards: int):
        self.p, self.q = floor.numerator, floor.denominator
        self.rows, self.shards = rows, shards
        self.longest, self.buffer = 0, rows
        self.done, self.shard = 0, 0
        self.strided = {world: [Rank() for _ in range(world)] for world in WORLDS}
        self.contiguous = {world: [Rank() for _ in range(world)] for world in WORLDS}

    def take(self, human: np.ndarray, total: np.ndarray) -> None:
        """One shard's rows in order: units of each, and how many of them are human. int64."""
        count = len(total)
        self.longest = max(self.longest, int(total.max(initial=0)))
        self.buffer = min(self.buffer, held_back(human, total, self.p, self.q, self.buffer))
        for world in WORLDS:
            for rank, reader in enumerate(self.strided[world]):
                if self.shards % world == 0:
                    chosen = slice(None) if self.shard % world == rank else slice(0)
                else:
                    chosen = slice((rank - self.done) % world, None, world)
                reader.read(human[chosen], total[chosen], self.p, self.q)
            cuts = [min(max(self._start(rank, world) - self.done, 0), count) for rank in range(world + 1)]
            for reader, (start, stop) in zip(self.contiguous[world], pairwise(cuts), strict=True):
                reader.read(human[start:stop], total[start:stop], self.p, self.q)
        self.done += count
        self.shard += 1

    def _start(self, rank: int, world: int) -> int:
        """First row of a rank that reads a run of rows, as `datasets` cuts them."""
        each, more = divmod(self.rows, world)
        return each * rank + min(rank, more)

    def stated(self) -> dict[str, Any]:
        """What the manifest says of the unit."""
        return {
            "rows": self.rows,
            "longest_row": self.longest,
            "shuffle_buffer": self.buffer,
            "strided": {str(world): _stated(ranks, self.shards % world == 0) for world, ranks in self.strided.items()},
            "contiguous": {str(world): _stated(ranks, False) for world, ranks in self.contiguous.items()},
        }


def _stated(ranks: list[Rank], whole: bool) -> dict[str, Any]:
    """The least surplus of all ranks, and the units of the first of those with the least human share; ranks without units have none."""
    poorest = min((rank for rank in ranks if rank.total), key=lambda rank: Fraction(rank.human, rank.total), default=Rank())
    least = min(rank.least for rank in ranks)
    return {"whole_shards": whole, "human": poorest.human, "total": poorest.total, "minimum_surplus": least}


def held_back(human: np.ndarray, total: np.ndarray, p: int, q: int, most: int) -> int:
    """The largest number of rows of a shard, `most` at most, of which any reader may hold back as many and keep the floor at each row.

    At worst it holds back those worth most to the floor, q * human - p * total each. They are kept in a heap as rows are read; where d
    falls below what they are worth together, the cheapest of them go until it does not, and no more are ever held again.
    """
    surplus, worth, limit, heap = 0, 0, most, list[int]()
    for ours, units in zip(human.tolist(), total.tolist(), strict=True):
        if not limit:
            break
        gain = q * ours - p * units
        surplus += gain
        if gain > 0:
            worth += gain
            heapq.heappush(heap, gain)
            if len(heap) > limit:
                worth -= heapq.heappop(heap)
        while heap and surplus < worth:
            worth -= heapq.heappop(heap)
            limit = len(heap)
        if surplus < 0:
            limit = 0
    return limit
