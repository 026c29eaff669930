"""The floor: how much of any prefix of a shard is human, kept in integers, in every listed unit at once.

Let p/q be the floor and d = q * human - p * total. A row that is not human is emitted only if d stays at or above 0 in
every unit, else a human row is: then d >= 0 after every row. Deficits add up, so every union or interleaving of shard
prefixes keeps the floor too.

A reader that holds back at most S rows of a shard, as a shuffle buffer does, has less than the prefix that it read: at
worst it lacks the S longest human rows, h units, which are worth (q - p) * h. A *lead* of as much keeps the floor for it:
others are emitted only if d stays at or above the lead.

A schedule that is too regular (human, other, human, other) would hand a reader of every second row one class alone. So
the n-th other row waits for a surplus theta_n more, drawn by the seed from 0 to J = p * Lm + (q - p) * Lh, for the longest
rows Lm (not human) and Lh (human) in the first unit. While others are left, d stays below J + J + lead: a human row is
emitted only while d < p * Lm + lead + theta_n, and it adds (q - p) * Lh at most.
"""

import hashlib
import heapq
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

REPETITION_CONSTANT = 15.39
"""R* of the data-constrained scaling law, Muennighoff et al. 2023, "Scaling Data-Constrained Language Models", section 6."""

_BLOCK = 65536


def chunk_ends(text: np.ndarray, size: int) -> list[int]:
    """Ends of the chunks of a UTF-8 text (uint8 array): each at most `size` >= 4 bytes long and cut before a character.

    An empty text has one empty chunk.
    """
    ends, start = [], 0
    while len(text) - start > size:
        end = start + size
        while text[end] & 0xC0 == 0x80:  # a continuation byte: the character began before
            end -= 1
        ends.append(end)
        start = end
    return [*ends, len(text)]


def turns(
    human: np.ndarray,
    other: np.ndarray,
    rates: Sequence[Fraction],
    held: Sequence[int] | None = None,
    seed: str | None = None,
) -> np.ndarray:
    """The order of two sequences of rows: true where the next human row is emitted, false where the next other one is.

    `human` and `other` have shape (rows, units), int64; `rates` is the least human share per unit, and `held` what a reader may hold back
    of the human rows, in each unit, while the rate is kept without it (`longest`; none by default). `seed` names the draws of the jitter;
    without one there is none. All human rows are emitted, and those others that the rates admit: all of them if the
    totals, without what is held back, keep the rates.
    """
    lead = [0] * len(rates) if held is None else held
    ready = np.zeros(len(other), np.int64)  # how many human rows stand before each other row
    fits = np.ones(len(other), bool)
    for unit, rate in enumerate(rates):
        p, q = rate.numerator, rate.denominator
        slack = (q - p) * lead[unit]
        most = jitter(human, other, rates) if unit == 0 and seed is not None else 0
        wide = _wide(q * int(human[:, unit].sum() + other[:, unit].sum()) + slack + most)
        gained = np.cumsum(np.concatenate([[0], human[:, unit]]).astype(wide) * (q - p))
        least = np.cumsum(other[:, unit].astype(wide) * p) + slack
        needed = least + _draws(seed, len(other), most).astype(wide) if most and seed is not None else least
        # After the last human row there is nothing to wait for.
        ready = np.maximum(ready, np.minimum(np.searchsorted(gained, needed), len(human)))
        fits &= (least <= gained[-1]).astype(bool)
    ready = np.maximum.accumulate(ready)[: int(np.argmin(fits)) if not fits.all() else len(fits)]
    order = np.ones(len(human) + len(ready), np.bool_)
    order[ready + np.arange(len(ready))] = False
    return order


def _wide(largest: int) -> Any:
    """The type of numbers up to `largest`: Python integers, which do not overflow, where 64 bits could."""
    return object if largest >= 1 << 62 else np.int64


def _draws(seed: str, count: int, most: int) -> np.ndarray:
    """Integers from 0 to `most`, as good as uniform: 64 bits of SHAKE-128 each, which no library's version changes."""
    drawn = np.frombuffer(hashlib.shake_128(seed.encode()).digest(8 * count), "<u8")
    return (drawn.astype(object) * (most + 1)) >> 64


def jitter(human: np.ndarray, other: np.ndarray, rates: Sequence[Fraction]) -> int:
    """J of the module's text: the most that a draw lets an other row wait, in the first unit's surplus."""
    return _step(human, other, rates[0], 0)


def _step(human: np.ndarray, other: np.ndarray, rate: Fraction, unit: int) -> int:
    p, q = rate.numerator, rate.denominator
    return p * int(other[:, unit].max(initial=0)) + (q - p) * int(human[:, unit].max(initial=0))


def bound(human: np.ndarray, other: np.ndarray, rates: Sequence[Fraction], held: Sequence[int] | None = None) -> list[int]:
    """What q * human - p * total stays at or below, in each unit, while others are left and `turns` orders them with jitter; where
    several units are listed, at each row in one of them at least, since each lets the others wait."""
    lead = [0] * len(rates) if held is None else held
    steps = [_step(human, other, rate, unit) for unit, rate in enumerate(rates)]
    waits = [jitter(human, other, rates), *[0] * (len(rates) - 1)]
    return [
        step + wait + (rate.denominator - rate.numerator) * more
        for step, wait, rate, more in zip(steps, waits, rates, lead, strict=True)
    ]


def longest(human: np.ndarray, floor: Fraction, rows: int) -> list[int]:
    """Units of the `rows` longest human rows, in each unit: what a reader that holds back as many rows may lack. `human` has shape (rows,
    units). Without a floor nothing can be lacking."""
    if not floor or not rows or not len(human):
        return [0] * human.shape[1]
    top = np.partition(human, max(len(human) - rows, 0), axis=0)[-rows:]
    return [int(x) for x in top.sum(axis=0)]


def paced(human: np.ndarray, other: np.ndarray, floor: Fraction, held: Sequence[int] | None = None) -> list[Fraction]:
    """Rates for `turns` that spread a scarce other side evenly over what follows the lead: the share that human rows have in it, in the
    first unit, where that is above the floor.

    They admit all that the floor does. With H human units, h of them held back, and M others, the rate is r = (H - h) / (H - h + M), and the
    surplus (1 - r) * (human - h) - r * other ends at 0 exactly; where it is at or above 0, r >= floor makes that of the floor so too.
    """
    first = int(human[:, 0].sum()) - (held[0] if held is not None else 0)
    total = first + int(other[:, 0].sum())
    share = Fraction(first, total) if total else floor
    return [max(share, floor), *[floor] * (human.shape[1] - 1)]


def surpluses(human: np.ndarray, total: np.ndarray, floor: Fraction) -> tuple[int, int]:
    """Smallest and last value of q * human - p * total over the rows of a shard in one unit; (0, 0) where it has none."""
    if not len(total):
        return 0, 0
    q, p = floor.denominator, floor.numerator
    wide = _wide(int(total.sum()) * q)
    surplus = np.cumsum(human.astype(wide) * q - total.astype(wide) * p)
    return int(surplus.min()), int(surplus[-1])


class _Room:
    """What each shard and the whole mix can still take beside the human side."""

    def __init__(self, human: np.ndarray, held: np.ndarray, floor: Fraction, ceilings: Sequence[Fraction], budget: int | None):
        self.p, q = floor.numerator, floor.denominator
        self.surplus = [[x * (q - self.p) for x in row] for row in (human - held).tolist()]
        self.total = int(human[:, 0].sum())
        # The shard with the most room comes first; without a floor, the one that holds least.
        keys = [-row[0] for row in self.surplus] if self.p else human[:, 0].tolist()
        self.heap = list(zip(keys, range(len(human)), strict=True))
        heapq.heapify(self.heap)
        self.of_origin = [0] * len(ceilings)
        self.ceilings = [(ceiling.numerator, ceiling.denominator) for ceiling in ceilings]
        self.most: float = math.inf if budget is None else budget

    def exhausted(self, shortest: int) -> bool:
        """Whether not even a document of `shortest` units fits."""
        return (self.p > 0 and self.p * shortest > -self.heap[0][0]) or self.total + shortest > self.most

    def take(self, documents: list[list[int]], origins: list[int]) -> list[int]:
        """The shard that takes each document of so many units, or -1."""
        p, heap, surplus, ceilings, of_origin, most = self.p, self.heap, self.surplus, self.ceilings, self.of_origin, self.most
        total, taken = self.total, []
        for units, origin in zip(documents, origins, strict=True):
            length = units[0]
            grown = total + length
            share, of = ceilings[origin]
            if grown > most or (share < of and of * (of_origin[origin] + length) > share * grown):
                taken.append(-1)
                continue
            key, shard = heap[0]
            left = [d - p * x for d, x in zip(surplus[shard], units, strict=True)]
            if min(left) < 0:
                taken.append(-1)
                continue
            surplus[shard], total = left, grown
            of_origin[origin] += length
            heapq.heapreplace(heap, (-left[0] if p else key + length, shard))
            taken.append(shard)
        self.total = total
        return taken


def admit(
    human: np.ndarray,
    others: np.ndarray,
    origins: np.ndarray,
    floor: Fraction,
    ceilings: Sequence[Fraction],
    budget: int | None = None,
    lead: np.ndarray | None = None,
) -> np.ndarray:
    """Which shard takes each other document, in the order given: int32, -1 for what is left over.

    `human` (shards, units) is the human side of each shard, `others` (documents, units) the candidates and `origins`
    their index into `ceilings`. `lead` (shards, units) is what a reader may hold back of the human side (`longest`).
    A document goes to the shard with the most room, and is left over where it does not fit; the next one is tried.
    The totals then keep the floor in each shard and unit, without what is held back, the ceilings in the first unit
    over the whole mix, and the budget. A shard of which all could be held back takes nothing of any length.
    """
    result = np.full(len(others), -1, dtype=np.int32)
    if not len(others):
        return result
    held = np.zeros_like(human) if lead is None else lead
    room, shortest = _Room(human, held, floor, ceilings, budget), int(others[:, 0].min())
    for start in range(0, len(others), _BLOCK):
        if room.exhausted(shortest):
            break
        block = slice(start, start + _BLOCK)
        result[block] = room.take(others[block].tolist(), origins[block].tolist())
    return result


def effective(unique: int, epochs: float) -> float:
    """What `epochs` passes over `unique` units are worth in unique units: U + U R (1 - exp(-(epochs - 1) / R)).

    The data-constrained law of Muennighoff et al. 2023 (equation 5), with R = 15.39; 4 epochs are worth 3.73. At or
    below one epoch units are worth themselves.
    """
    if epochs <= 1:
        return unique * max(epochs, 0.0)
    return unique * (1 + REPETITION_CONSTANT * -math.expm1(-(epochs - 1) / REPETITION_CONSTANT))
