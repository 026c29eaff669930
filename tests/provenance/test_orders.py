"""Reading orders: what is worked out shard by shard is what somebody who tries every reader finds."""

from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import floor, mixture
from provenance.orders import WORLDS, Orders, held_back

FLOOR = st.one_of(
    st.sampled_from(["0", "1", "1/2", "0.37", "1/3", "0.999999"]).map(mixture.fraction), st.fractions(0, 1, max_denominator=20)
)
LENGTH = st.integers(0, 5) | st.integers(0, 10**7)
Shard = list[tuple[int, int]]


@st.composite
def shard(draw: st.DrawFn) -> Shard:
    """Rows of (human, total): of texts, whole rows of either side; of packed tokens, of both."""
    packed = draw(st.booleans())
    rows = []
    for length, part in draw(st.lists(st.tuples(LENGTH, st.integers(0, 4)), max_size=12)):
        rows.append((length * part // 4 if packed else length * (part > 1), length))
    return rows


def surpluses(rows: Shard, share: Fraction) -> list[int]:
    worth = [share.denominator * human - share.numerator * total for human, total in rows]
    return list(accumulate(worth))


def ranks(shards: list[Shard], world: int, kind: str) -> tuple[bool, list[Shard]]:
    """What each rank reads, from the definition."""
    together = [row for rows in shards for row in rows]
    if kind == "contiguous":
        div, mod = divmod(len(together), world)
        starts = [div * k + min(k, mod) for k in range(world + 1)]
        return False, [together[a:b] for a, b in pairwise(starts)]
    if len(shards) % world == 0:
        return True, [[row for rows in shards[k::world] for row in rows] for k in range(world)]
    return False, [together[k::world] for k in range(world)]


def stated(shards: list[Shard], share: Fraction) -> dict[str, Any]:
    """Everything by trying: no state is carried from shard to shard."""
    together = [row for rows in shards for row in rows]
    found: dict[str, Any] = {"rows": len(together), "longest_row": max((total for _, total in together), default=0)}
    found["shuffle_buffer"] = min((largest(rows, share, len(together)) for rows in shards), default=len(together))
    for kind in ("strided", "contiguous"):
        found[kind] = {}
        for world in WORLDS:
            whole, read = ranks(shards, world, kind)
            ends = [(sum(h for h, _ in rows), sum(t for _, t in rows)) for rows in read]
            there = [end for end in ends if end[1]]
            poorest = next((end for end in there if all(end[0] * t <= h * end[1] for h, t in there)), (0, 0))
            least = min(0, *(d for rows in read for d in [0, *surpluses(rows, share)]))
            found[kind][str(world)] = {"whole_shards": whole, "human": poorest[0], "total": poorest[1], "minimum_surplus": least}
    return found


def largest(rows: Shard, share: Fraction, most: int) -> int:
    """The largest number of rows that may be held back, by trying each at each prefix."""
    worth = [share.denominator * human - share.numerator * total for human, total in rows]

    def holds(size: int) -> bool:
        prefixes = [sorted(worth[:end], reverse=True) for end in range(len(rows) + 1)]
        return all(sum(rows_read) >= sum(x for x in rows_read[:size] if x > 0) for rows_read in prefixes)

    if not holds(0):
        return 0
    return max(size for size in range(most + 1) if holds(min(size, len(rows))))


def arrays(rows: Shard) -> tuple[np.ndarray, np.ndarray]:
    table = np.array(rows, np.int64).reshape(-1, 2)
    return table[:, 0], table[:, 1]


@given(st.lists(shard(), max_size=9), FLOOR)
def test_what_is_worked_out_shard_by_shard_is_what_trying_finds(shards, share):
    orders = Orders(share, sum(map(len, shards)), len(shards))
    for rows in shards:
        orders.take(*arrays(rows))
    assert orders.stated() == stated(shards, share)


@given(shard(), FLOOR, st.integers(0, 20))
def test_no_more_rows_than_asked_for_are_said_to_be_held_back(rows, share, most):
    found = held_back(*arrays(rows), share.numerator, share.denominator, most)
    assert found == min(most, largest(rows, share, max(most, len(rows))))


@pytest.mark.parametrize("buffer", [0, 1, 5, 40])
def test_a_schedule_with_a_lead_allows_the_buffer_that_it_was_made_for(buffer):
    human, other, share = np.full((400, 1), 10), np.full((300, 1), 10), Fraction(1, 2)
    held = floor.longest(human, share, buffer)
    turn = floor.turns(human, other, [share], held, "seed")
    total = np.full(len(turn), 10)
    assert held_back(np.where(turn, total, 0), total, 1, 2, len(turn)) >= buffer


def test_sums_beyond_64_bits_are_exact():
    share, long = Fraction(999_999_999, 10**9), 10**15
    shards = [[(long, long)] * 30 + [(0, long)] for _ in range(2)]
    orders = Orders(share, 62, 2)
    for rows in shards:
        orders.take(*arrays(rows))
    assert orders.stated() == stated(shards, share)
    assert orders.stated()["contiguous"]["2"]["minimum_surplus"] < -(2**63)
