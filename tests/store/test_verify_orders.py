"""What a mix says of reading orders, recomputed in one pass, is what reading it row by row gives."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.verify_orders import WORLDS, Orders
from tests import forge_mix

ROW = st.tuples(st.sampled_from(["human", "unknown"]), st.integers(0, 9))
SHARDS = st.lists(st.lists(ROW, max_size=14), min_size=1, max_size=9)
FLOORS = st.fractions(0, 1, max_denominator=12)


def recomputed(of_shards, floor, batch=3):
    """`Orders` over shards of (origin, bytes), some rows at a time."""
    made = Orders(floor, ("bytes",), sum(map(len, of_shards)), len(of_shards))
    for shard in of_shards:
        made.begin()
        for start in range(0, len(shard) + 1, batch):
            some = shard[start : start + batch]
            total = np.array([size for _, size in some], np.int64)
            human = np.array([size * (origin == "human") for origin, size in some], np.int64)
            made.take({"bytes": (human, total)})
    return made.end()


def sound(of_shards, floor):
    """The rows of each shard that keep the floor, in their order."""
    kept, settings = [], {"floor": str(floor), "units": ["bytes"]}
    for shard in of_shards:
        rows = [forged(origin, size, number) for number, (origin, size) in enumerate(shard)]
        humans, others = ([row for row in rows if (row["origin"] == "human") == ours] for ours in (True, False))
        kept.append(forge_mix.scheduled(humans, others, settings))
    return kept


def forged(origin, size, number):
    return {"origin": origin, "text": "x" * size, "chunk": 0, "chunks": 1, "key": f"{number:032x}"}


@given(SHARDS, FLOORS, st.integers(1, 5))
def test_they_are_what_every_reader_would_find(of_shards, floor, batch):
    kept = sound(of_shards, floor)
    pairs = [[(row["origin"], len(row["text"])) for row in shard] for shard in kept]
    assert recomputed(pairs, floor, batch) == forge_mix.orders(kept, {"floor": str(floor), "units": ["bytes"]})


@given(SHARDS, FLOORS)
def test_the_writer_and_the_verifier_agree(of_shards, floor):
    from provenance import orders

    kept = sound(of_shards, floor)
    theirs = orders.Orders(floor, sum(map(len, kept)), len(kept))
    for shard in kept:
        total = np.array([len(row["text"]) for row in shard], np.int64)
        theirs.take(np.where([row["origin"] == "human" for row in shard], total, 0).astype(np.int64), total)
    pairs = [[(row["origin"], len(row["text"])) for row in shard] for shard in kept]
    assert recomputed(pairs, floor) == {"bytes": theirs.stated()}


@given(st.lists(ROW, max_size=10), st.fractions(0, 1, max_denominator=6), st.integers(1, 5))
def test_the_buffer_is_the_largest_that_no_reader_can_fall_below_the_floor_with(shard, floor, size):
    """Every set of rows that can be held back at any time is tried."""
    (kept,) = sound([shard], floor)
    pairs = [(row["origin"], len(row["text"])) for row in kept]
    found = recomputed([pairs], floor)["bytes"]["shuffle_buffer"]
    values = forge_mix.gains(kept, "bytes", floor)
    holds = all(sum(values[:end]) - sum(held) >= 0 for end in range(len(values) + 1) for held in subsets(values[:end], size))
    assert holds == (size <= found or found == len(kept))


def subsets(values, size):
    """All choices of at most `size` of some values."""
    found = [()]
    for value in values:
        found += [(*one, value) for one in found if len(one) < size]
    return found


def test_numbers_beyond_64_bits_are_exact():
    floor, long = Fraction(999_999_998, 999_999_999), 1 << 40
    pairs = [[("human", long)] * 3 + [("unknown", 3)] + [("human", long)] * 5]
    found = recomputed(pairs, floor)["bytes"]
    assert found["longest_row"] == long
    assert found == forge_orders(pairs, floor)


def forge_orders(pairs, floor):
    """The plain loops of `forge_mix` over lengths alone, since no text is that long."""
    shards = [[Fake(origin, size) for origin, size in shard] for shard in pairs]
    return forge_mix.orders(shards, {"floor": str(floor), "units": ["bytes"]})["bytes"]


class Fake(dict):
    """A row whose text is only as long as it says."""

    def __init__(self, origin, size):
        super().__init__(origin=origin, text=Long(size), chunk=0, chunks=1)


class Long:
    def __init__(self, size):
        self.size = size

    def encode(self):
        return range(self.size)


@pytest.mark.parametrize("world", WORLDS)
def test_ranks_get_whole_shards_where_these_can_be_dealt_evenly(world):
    shard = [("human", 4), ("unknown", 4)]
    for count in (world, world + 1):
        found = recomputed([shard] * count, Fraction(1, 2))["bytes"]["strided"][str(world)]
        assert found["whole_shards"] == (count == world)
        assert (found["minimum_surplus"] == 0) == (count == world or world % 2 == 1)
