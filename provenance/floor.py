"""The floor: how much of any prefix of a shard is human, kept in integers, in every listed unit at once.

Let p/q be the floor and d = q * human - p * total. A row that is not human is emitted only if d stays at or above 0 in
every unit, else a human row is. Then d >= 0 after every row, and while rows that are not human are left, d/q stays
below floor * Lm + (1 - floor) * Lh for the longest rows Lm (not human) and Lh (human): a human row is emitted only when
d < p * Lm, and it adds (q - p) * Lh at most. Deficits add up, so every union or interleaving of shard prefixes keeps
the floor too.
"""

import heapq
import math
import re
from collections.abc import Sequence
from fractions import Fraction
from typing import Annotated, Literal

import msgspec
import numpy as np

UNITS = ("bytes", "documents", "tokens")
LARGEST_DENOMINATOR = 10**9
"""Finer floors are refused: sums of a row group's units times the denominator have to fit 64 bits where they are checked."""

REPETITION_CONSTANT = 15.39
"""R* of the data-constrained scaling law, Muennighoff et al. 2023, "Scaling Data-Constrained Language Models", section 6."""

_FRACTION = re.compile(r"\d+/\d+|\d+(\.\d*)?|\.\d+")
_BLOCK = 65536


def fraction(value: str | int | float) -> Fraction:
    """A share from its text: `"0.37"` is 37/100 and `"1/2"` a half. A float counts as its shortest decimal text.

    Raises `ValueError` for what is no number in [0, 1], or has a denominator above 10^9.
    """
    text = value.strip() if isinstance(value, str) else repr(value)
    try:
        if isinstance(value, bool) or (isinstance(value, str) and not _FRACTION.fullmatch(text)):
            raise ValueError
        share = Fraction(text)
    except (ValueError, ZeroDivisionError) as error:
        raise ValueError(f"{value!r} is no share; a floor is read exactly, from a text such as 0.37 or 1/2") from error
    if not 0 <= share <= 1:
        raise ValueError(f"{value!r} lies outside 0 to 1; a share of the whole cannot")
    if share.denominator > LARGEST_DENOMINATOR:
        raise ValueError(f"{value!r} has a denominator above {LARGEST_DENOMINATOR:,}; give the share with fewer digits")
    return share


Share = str | int | float


class Ceilings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Largest share of the mix, in the first listed unit, of each origin that is not human; 0 keeps it out."""

    unknown: Annotated[Share, msgspec.Meta(description="documents whose origin nothing decides")] = "1"
    machine_generated: Annotated[Share, msgspec.Meta(description="documents tagged as written by a language model")] = "0"
    machine_translated: Annotated[Share, msgspec.Meta(description="documents tagged as translated by a machine")] = "0"

    def shares(self) -> dict[str, Fraction]:
        """The ceilings as exact shares, by origin. Raises `ValueError`."""
        return {origin: fraction(getattr(self, origin)) for origin in self.__struct_fields__}


class Mix(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a mix promises, what it may take, and how its shards are cut."""

    floor: Annotated[
        Share, msgspec.Meta(description="least share of human units at every prefix of every shard, read exactly: 0.37 or 1/3")
    ] = "0.5"
    units: Annotated[
        tuple[Literal["bytes", "documents", "tokens"], ...],
        msgspec.Meta(description="units in which the floor holds, each by itself: bytes, documents, tokens", min_length=1),
    ] = ("bytes",)
    seed: Annotated[int, msgspec.Meta(description="orders the documents of a class, with their keys")] = 0
    budget: Annotated[
        int | None, msgspec.Meta(description="size of the mix in the first listed unit; null takes all that the floor admits")
    ] = None
    shortfall: Annotated[
        Literal["fail", "shrink", "repeat"],
        msgspec.Meta(
            description="what to do when the human side is too small for the budget: fail, shrink the budget, or repeat human documents"
        ),
    ] = "fail"
    max_epochs: Annotated[
        int, msgspec.Meta(description="how often a human document may stand in the mix, with `shortfall: repeat`", ge=1)
    ] = 4
    min_attestation: Annotated[
        Literal["declared", "captured", "released", "corroborated", "timestamped"],
        msgspec.Meta(description="weakest attestation that counts as human"),
    ] = "corroborated"
    ceilings: Annotated[
        Ceilings, msgspec.Meta(description="largest share of each origin beside human, in the first listed unit")
    ] = Ceilings()
    format: Annotated[str, msgspec.Meta(description="format of the shards, a module of store/shards: parquet or jsonl")] = "parquet"
    shards: Annotated[int | None, msgspec.Meta(description="number of shards; null derives it from `shard_bytes`")] = None
    shard_bytes: Annotated[int, msgspec.Meta(description="text per shard in bytes, where `shards` is null", ge=1)] = 256_000_000
    chunk_bytes: Annotated[
        int, msgspec.Meta(description="longer documents are cut into rows of at most this many bytes", ge=4, le=1 << 24)
    ] = 16384
    tokenizer: Annotated[str | None, msgspec.Meta(description="tokenizer.json that counts the unit `tokens`")] = None

    def __post_init__(self) -> None:
        fraction(self.floor)
        self.ceilings.shares()
        if len(set(self.units)) < len(self.units):
            raise ValueError(f"units {', '.join(self.units)} name one unit twice; list each once")
        if ("tokens" in self.units) != (self.tokenizer is not None):
            raise ValueError("the unit `tokens` and a `tokenizer` need each other; name a tokenizer.json, or leave both out")
        if self.budget is not None and self.budget < 1:
            raise ValueError(f"budget {self.budget} is not positive; leave it out to take all that the floor admits")
        if self.shards is not None and not 1 <= self.shards <= 99999:
            raise ValueError(f"{self.shards} shards; give 1 to 99999, or leave it out to cut by shard_bytes")


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


def turns(human: np.ndarray, other: np.ndarray, rates: Sequence[Fraction]) -> np.ndarray:
    """The order of two sequences of rows: true where the next human row is emitted, false where the next other one is.

    `human` and `other` have shape (rows, units), int64; `rates` is the least human share per unit. All human rows are
    emitted, and those others that the rates admit: all of them if the totals keep the rates.
    """
    gains = _scaled(human, [rate.denominator - rate.numerator for rate in rates])
    costs = _scaled(other, [rate.numerator for rate in rates])
    # A tuple per row would wake the garbage collector over all that the process holds: one unit goes without.
    if len(rates) == 1:
        order = _turns_in_one(gains[0], costs[0])
    else:
        order = _turns([*zip(*gains, strict=True)], [*zip(*costs, strict=True)])
    return np.frombuffer(order, dtype=np.bool_)


def _scaled(rows: np.ndarray, factors: Sequence[int]) -> list[list[int]]:
    """Lengths times a factor, a list per unit, as Python integers, which do not overflow."""
    return [[x * factor for x in column.tolist()] for column, factor in zip(rows.T, factors, strict=True)]


def _turns(gains: list[tuple[int, ...]], costs: list[tuple[int, ...]]) -> bytes:
    surplus, order, at = [0] * len((gains or costs or [()])[0]), bytearray(), 0
    for gain in [*gains, None]:
        while at < len(costs) and all(d >= cost for d, cost in zip(surplus, costs[at], strict=True)):
            surplus = [d - cost for d, cost in zip(surplus, costs[at], strict=True)]
            order.append(0)
            at += 1
        if gain is not None:
            surplus = [d + more for d, more in zip(surplus, gain, strict=True)]
            order.append(1)
    return bytes(order)


def _turns_in_one(gains: list[int], costs: list[int]) -> bytes:
    """`_turns` for one unit, several times as fast."""
    surplus, order, at, end = 0, bytearray(), 0, len(costs)
    for gain in [*gains, None]:
        while at < end and surplus >= costs[at]:
            surplus -= costs[at]
            order.append(0)
            at += 1
        if gain is not None:
            surplus += gain
            order.append(1)
    return bytes(order)


def paced(human: np.ndarray, other: np.ndarray, floor: Fraction) -> list[Fraction]:
    """Rates for `turns` that spread a scarce other side evenly: the realised human share of the first unit where that
    is above the floor. They admit all that the floor does, since the first unit's surplus then ends at 0 exactly."""
    first = int(human[:, 0].sum())
    total = first + int(other[:, 0].sum())
    share = Fraction(first, total) if total else floor
    return [max(share, floor), *[floor] * (human.shape[1] - 1)]


def surpluses(human: np.ndarray, total: np.ndarray, floor: Fraction) -> tuple[int, int]:
    """Smallest and last value of q * human - p * total over the rows of a shard in one unit; (0, 0) where it has none."""
    if not len(total):
        return 0, 0
    q, p = floor.denominator, floor.numerator
    wide = object if int(total.sum()) * q >= 1 << 62 else np.int64
    surplus = np.cumsum(human.astype(wide) * q - total.astype(wide) * p)
    return int(surplus.min()), int(surplus[-1])


class _Room:
    """What each shard and the whole mix can still take beside the human side."""

    def __init__(self, human: np.ndarray, floor: Fraction, ceilings: Sequence[Fraction], budget: int | None):
        self.p, q = floor.numerator, floor.denominator
        self.surplus = [[int(x) * (q - self.p) for x in row] for row in human.tolist()]
        self.total = int(human[:, 0].sum())
        self.filled = [int(row[0]) for row in human.tolist()]
        self.of_origin = [0] * len(ceilings)
        self.ceilings, self.budget = ceilings, budget
        self.heap = [(self._order(shard), shard) for shard in range(len(human))]
        heapq.heapify(self.heap)

    def _order(self, shard: int) -> int:
        """The shard with the most room comes first; without a floor, the one that holds least."""
        return -self.surplus[shard][0] if self.p else self.filled[shard]

    def exhausted(self, shortest: int) -> bool:
        """Whether not even a document of `shortest` units fits."""
        full = self.p > 0 and self.p * shortest > -self.heap[0][0]
        return full or (self.budget is not None and self.total + shortest > self.budget)

    def take(self, units: Sequence[int], origin: int) -> int:
        """The shard that takes a document of so many units, or -1."""
        length, shard, ceiling = units[0], self.heap[0][1], self.ceilings[origin]
        if self.budget is not None and self.total + length > self.budget:
            return -1
        if ceiling < 1 and ceiling.denominator * (self.of_origin[origin] + length) > ceiling.numerator * (self.total + length):
            return -1
        if any(d < self.p * x for d, x in zip(self.surplus[shard], units, strict=True)):
            return -1
        self.surplus[shard] = [d - self.p * x for d, x in zip(self.surplus[shard], units, strict=True)]
        self.total += length
        self.filled[shard] += length
        self.of_origin[origin] += length
        heapq.heapreplace(self.heap, (self._order(shard), shard))
        return shard


def admit(
    human: np.ndarray,
    others: np.ndarray,
    origins: np.ndarray,
    floor: Fraction,
    ceilings: Sequence[Fraction],
    budget: int | None = None,
) -> np.ndarray:
    """Which shard takes each other document, in the order given: int32, -1 for what is left over.

    `human` (shards, units) is the human side of each shard, `others` (documents, units) the candidates and `origins`
    their index into `ceilings`. A document goes to the shard with the most room, and is left over where it does not
    fit; the next one is tried. The totals then keep the floor in each shard and unit, the ceilings in the first unit
    over the whole mix, and the budget.
    """
    result = np.full(len(others), -1, dtype=np.int32)
    if not len(others):
        return result
    room, shortest = _Room(human, floor, ceilings, budget), int(others[:, 0].min())
    for start in range(0, len(others), _BLOCK):
        if room.exhausted(shortest):
            break
        block = slice(start, start + _BLOCK)
        for i, (units, origin) in enumerate(zip(others[block].tolist(), origins[block].tolist(), strict=True), start):
            result[i] = room.take(units, origin)
    return result


def effective(unique: int, epochs: float) -> float:
    """What `epochs` passes over `unique` units are worth in unique units: U + U R (1 - exp(-(epochs - 1) / R)).

    The data-constrained law of Muennighoff et al. 2023 (equation 5), with R = 15.39; 4 epochs are worth 3.73. At or
    below one epoch units are worth themselves.
    """
    if epochs <= 1:
        return unique * max(epochs, 0.0)
    return unique * (1 + REPETITION_CONSTANT * -math.expm1(-(epochs - 1) / REPETITION_CONSTANT))
