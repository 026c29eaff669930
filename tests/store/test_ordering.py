"""The orders of a mix's candidates, against the same arithmetic in Python's integers."""

from collections import defaultdict
from typing import Any

import duckdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from store import ordering, strata
from store.ordering import Class

ROWS = st.lists(
    st.tuples(
        st.integers(0, 3), st.integers(0, (1 << 64) - 1), st.sampled_from([0, 1, 7, 1 << 20, (1 << 33) + 5]), st.integers(-1, 2)
    ),
    min_size=1,
    max_size=25,
)
"""Documents: stratum, rank, length and cluster."""


def documents(rows: list[tuple[int, int, int, int]]) -> Class:
    """A class in the order of ranks."""
    stratum, rank, length, cluster = zip(*sorted(rows, key=lambda row: row[1]), strict=True)
    none, lengths = np.zeros(len(rows), np.int32), np.array(length, np.int64)
    return Class(
        id=np.arange(len(rows)),
        stratum=np.array(stratum, np.int32),
        rank=np.array(rank, np.uint64),
        byte_count=lengths,
        units=(lengths,),
        origin=none,
        near=none > 0,
        cluster=np.array(cluster, np.int32),
        member=none,
        members=none,
    )


def before(rows: Class) -> tuple[list[int], dict[int, int]]:
    """What stands before each row in its stratum and the part of its own length that its rank draws, in units of 2**-32; and what strata
    have in all."""
    had: dict[int, int] = defaultdict(int)
    found = []
    for stratum, rank, length in zip(rows.stratum.tolist(), rows.rank.tolist(), rows.units[0].tolist(), strict=True):
        found.append((had[stratum] << 32) + (rank >> 32) * length)
        had[stratum] += length
    return found, had


@given(st.data(), st.integers(0, 63), st.integers(1, (1 << 63) - 1))
@settings(max_examples=300, deadline=None)
def test_long_division_is_exact(data: st.DataObject, bits: int, by: int) -> None:
    whole, part = data.draw(st.integers(0, (1 << 63) - 1)), data.draw(st.integers(0, (1 << bits) - 1))
    wholes, parts, divisors = (np.array([one], np.uint64) for one in (whole, part, by))
    above, below = ordering.divided(wholes, parts, bits, divisors)
    assert (int(above[0]) << bits) + int(below[0]) == ((whole << bits) + part) // by


@given(ROWS, st.lists(st.integers(1, strata.SHARE), min_size=4, max_size=4))
@settings(max_examples=200, deadline=None)
def test_a_class_stands_in_the_order_of_virtual_time(rows: list[tuple[int, int, int, int]], weights: list[int]) -> None:
    made = documents(rows)
    times, _ = before(made)
    of = made.stratum.tolist()
    by_weight = sorted(range(len(of)), key=lambda row: (times[row] // weights[of[row]], row))
    assert ordering.by_weight(made, np.array(weights)).tolist() == by_weight
    placed = strata.ordered(made, dict(enumerate(weights)))
    assert placed.id.tolist() == by_weight


@given(ROWS, st.integers(1, 3))
@settings(max_examples=200, deadline=None)
def test_a_shard_spreads_strata_and_the_documents_of_a_cluster(rows: list[tuple[int, int, int, int]], epochs: int) -> None:
    once = documents(rows)
    times, whole = before(once)
    time = [(at << 30) // max(whole[stratum], 1) for at, stratum in zip(times, once.stratum.tolist(), strict=True)]
    members: dict[int, list[int]] = defaultdict(list)
    for row in sorted(range(len(once)), key=lambda row: (time[row], once.rank[row], row)):
        members[int(once.cluster[row])].append(row)
    place = list(time)
    for cluster, own in members.items():
        for number, row in enumerate(own if cluster >= 0 else ()):
            place[row] = (time[own[0]] + ordering.PASS * number // len(own)) % ordering.PASS
    expected = sorted(range(len(once)), key=lambda row: (place[row], once.rank[row], row))
    made = once.take(np.repeat(np.arange(len(once)), epochs))
    epoch = np.tile(np.arange(epochs), len(once))
    order = ordering.in_shard(made, epoch)
    assert (
        made.id[order].tolist() == expected * epochs and epoch[order].tolist() == np.repeat(np.arange(epochs), len(once)).tolist()
    )


@pytest.mark.parametrize("units", [("bytes",), ("documents", "bytes"), ("tokens",)])
def test_of_equal_ranks_the_lower_key_stands_first(units: tuple[str, ...]) -> None:
    con: Any = duckdb.connect()
    con.execute("CREATE TABLE offered AS SELECT * FROM (VALUES ('d', 5), ('b', 9), ('c', 5), ('a', 9), ('e', 1)) t(key, rank)")
    query = (
        "SELECT rowid AS id, 0 AS stratum, rank::UBIGINT AS rank, 10 + rowid AS byte_count, 0::TINYINT AS origin, false AS near, -1 AS cluster, "
        "0 AS member, 1 AS members" + (", 7 AS tokens" if "tokens" in units else "") + " FROM offered WHERE $wanted"
    )
    made = ordering.entered(con, query, {"wanted": True}, units)
    assert ["dbcae"[i] for i in made.id.tolist()] == ["e", "c", "d", "a", "b"]
    lengths = {"bytes": made.byte_count.tolist(), "documents": [1] * 5, "tokens": [7] * 5}
    assert made.lengths.T.tolist() == [lengths[unit] for unit in units]
    assert len(ordering.entered(con, query, {"wanted": False}, units)) == 0


def test_no_neighbours_are_alike_where_that_can_be() -> None:
    assert ordering.neighbours(np.array([3, -1, 3])) is None
    order = ordering.neighbours(np.array([-1, -1, 5, -1, 6, 7]))
    assert order is not None and sorted(order.tolist()) == list(range(6))
    alike = np.array([-1, -1, 5, -1, 6, 7])[order]
    assert not (alike[1:] == alike[:-1]).any()
