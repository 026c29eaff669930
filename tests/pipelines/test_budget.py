"""The size of a mix: budgets, quotas, passes of clusters, target shares and shard counts, over random candidates."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import budget
from pipelines.budget import Humans, Others
from provenance.mixture import Mix
from store.errors import CheckFailed, UsageError
from store.strata import SHARE

LABELS = [f"human/{letter}" for letter in "abcdef"]
SUPPLY = {"captured": {"documents": 1, "bytes": 1}}
FLOORS = st.fractions(0, 1, max_denominator=20)


@st.composite
def humans(draw: st.DrawFn) -> Humans:
    """Candidates in strata, some of them in clusters of near copies, at most `most` of each."""
    count = draw(st.integers(1, 40))
    units = np.array(draw(st.lists(st.integers(0, 50), min_size=count, max_size=count)), np.int64)
    stratum = np.array(draw(st.lists(st.integers(0, 5), min_size=count, max_size=count)), np.int32)
    member, members = np.zeros(count, np.int32), np.ones(count, np.int32)
    size = draw(st.integers(1, 3))
    for start in range(0, count - size + 1, 7):
        member[start : start + size], members[start : start + size] = np.arange(size), size
    return Humans(units, stratum, member, members)


def others(units: int, ceiling: Fraction = Fraction(1)) -> Others:
    return Others((units, 0, 0), (ceiling, Fraction(0), Fraction(0)))


def made(**options: Any) -> Mix:
    return Mix(**({"quota": 0} | options))


@given(
    humans(), FLOORS, st.integers(0, 3000), st.integers(1, 3000), st.sampled_from(["fail", "shrink", "repeat"]), st.integers(0, 3)
)
@settings(max_examples=400, deadline=None)
def test_what_is_chosen_keeps_to_budget_passes_and_quota(
    human: Humans, floor: Fraction, there: int, size: int, shortfall: str, quota: int
) -> None:
    mix = made(floor=str(floor), budget=size, shortfall=shortfall, max_epochs=3, quota=quota)
    beside = others(there)
    try:
        side = budget.choose(mix, human, beside, SUPPLY, LABELS)
    except CheckFailed:
        less = made(floor=str(floor), budget=size, shortfall="shrink")
        if human.units[0] > size and floor:
            with pytest.raises(CheckFailed, match="no room for the first human document"):
                budget.choose(less, human, beside, SUPPLY, LABELS)
            return
        with_less = budget.choose(less, human, beside, SUPPLY, LABELS)
        assert with_less.budget is not None and with_less.budget <= size
        return
    assert side.budget is not None and side.budget <= size
    units = human.units[side.position]
    assert units.sum() <= side.budget
    assert (np.diff(side.epoch) >= 0).all()
    rows = list(zip(side.position.tolist(), side.epoch.tolist(), strict=True))
    assert len(set(rows)) == len(rows)
    for start in np.flatnonzero(human.member == 0):
        cluster = np.arange(start, start + human.members[start])
        passes = np.isin(side.position, cluster).sum()
        assert passes <= 3
    # In every stratum the first documents of its order come first, as many as the quota says.
    for stratum in range(6):
        where = np.flatnonzero(human.stratum == stratum)[:quota]
        assert np.isin(where, side.position).all()
    if shortfall == "fail":
        assert not side.epoch.any()
        wanted = budget.needed(floor, size, beside)
        longest = int(human.units.max())
        assert units.sum() > min(wanted, size) - longest - 1 or units.sum() >= wanted


@given(FLOORS, st.integers(0, 1000), st.integers(0, 1000), st.fractions(0, 1, max_denominator=10), st.integers(1, 3000))
@settings(max_examples=300, deadline=None)
def test_the_largest_mix_is_the_largest(floor: Fraction, human: int, there: int, ceiling: Fraction, most: int) -> None:
    beside = others(there, ceiling)
    size = budget.largest(floor, human, beside, most)
    assert 0 <= size <= most
    assert size == 0 or budget.needed(floor, size, beside) <= human
    if size < most:
        assert all(budget.needed(floor, larger, beside) > human for larger in range(size + 1, min(most, human + there) + 1))


def test_a_shortfall_names_three_ways_with_their_numbers() -> None:
    human = Humans(np.full(100, 10), np.zeros(100, np.int32), np.zeros(100, np.int32), np.ones(100, np.int32))
    mix = made(floor="0.5", budget=4000, max_epochs=4)
    found = budget.alternatives(mix, human, others(100_000))
    assert found == {
        "repeat": {"epochs": 2.0, "total": 4000, "effective": 1968 + 2000},
        "shrink": {"total": 2000, "human": 1000, "effective": 2000},
        "lower_floor": {"floor": "1/4", "total": 4000, "effective": 4000},
    }
    with pytest.raises(
        CheckFailed, match=r"shrink gives a mix of 2,000 .* 2\.00 epochs of at most 4, worth 3,968 .* a floor of 1/4 would do"
    ):
        budget.choose(mix, human, others(100_000), SUPPLY, LABELS)
    scarce = budget.alternatives(made(floor="0.5", budget=40_000), human, others(500))
    assert scarce == {"repeat": None, "shrink": {"total": 1500, "human": 1000, "effective": 1500}, "lower_floor": None}
    nothing = Humans(*(np.zeros(0, np.int32) for _ in range(4)))
    assert budget.alternatives(made(floor="0.5", budget=10), nothing, others(500))["shrink"] is None


def test_near_copies_make_no_more_passes_than_one_document() -> None:
    units = np.full(6, 10)
    member, members = np.array([0, 1, 2, 0, 0, 0]), np.array([3, 3, 3, 1, 1, 1])
    human = Humans(units, np.zeros(6, np.int32), member, members)
    assert human.reach(3) == [60, 90, 120]
    side = budget.choose(made(floor="1", budget=110, shortfall="repeat", max_epochs=3), human, others(0), SUPPLY, LABELS)
    assert side.position.tolist() == [0, 1, 2, 3, 4, 5, 3, 4, 5, 3, 4]
    with pytest.raises(CheckFailed, match=r"2\.17 epochs of at most 3, which reach 120"):
        budget.choose(made(floor="1", budget=130, shortfall="repeat", max_epochs=3), human, others(0), SUPPLY, LABELS)


def test_a_quota_that_the_budget_has_no_room_for_is_an_error_with_names() -> None:
    human = Humans(np.full(6, 10), np.arange(6, dtype=np.int32), np.zeros(6, np.int32), np.ones(6, np.int32))
    for options, said in (({"budget": 40}, r"need 60 bytes.*room for 4 documents.*human/e \(1\), human/f \(1\)"),):
        with pytest.raises(CheckFailed, match=said):
            budget.choose(made(floor="1", quota=1, **options), human, others(0), SUPPLY, LABELS)
        some = budget.choose(made(floor="1", quota=1, allow_empty=True, **options), human, others(0), SUPPLY, LABELS)
        assert len(some.position) == 4
    # The quota may need more than the floor does, where the budget has room.
    assert len(budget.choose(made(floor="0.1", quota=1, budget=100), human, others(1000), SUPPLY, LABELS).position) == 6


@given(
    st.dictionaries(st.integers(0, 5), st.integers(0, 10**12), min_size=1),
    st.sampled_from([1.0, 1.5, 3.0, 1000.0]),
    st.dictionaries(st.sampled_from(["v=a", "v=b", "v=c"]), st.sampled_from(["0.1", "1/3", "0.25"])),
)
def test_target_shares_add_up_and_weights_are_kept(units: dict[int, int], temperature: float, weights: dict[str, str]) -> None:
    mix = made(strata=("v",), temperature=temperature, weights=weights)
    found = budget.shares(mix, LABELS, units)
    assert found.keys() == units.keys() and min(found.values()) >= 1
    assert SHARE - 10 <= sum(found.values()) <= SHARE + 10
    named = {LABELS.index(f"human/{name[2:]}"): Fraction(share) for name, share in weights.items()}
    if set(units) - set(named):
        assert all(abs(found[stratum] - SHARE * share) <= 1 for stratum, share in named.items() if stratum in found)
    free = sorted(set(units) - set(named), key=lambda stratum: units[stratum])
    assert [found[stratum] for stratum in free] == sorted(found[stratum] for stratum in free)


def test_temperature_flattens_shares_as_the_power_says() -> None:
    units = {0: 1_000_000, 1: 10_000}
    assert budget.shares(made(strata=("v",)), LABELS, units) == {0: 990099009, 1: 9900990}
    flat = budget.shares(made(strata=("v",), temperature=2.0), LABELS, units)
    assert flat == {0: 909090909, 1: 90909090}
    other = budget.shares(made(strata=("v",)), ["human/a", "unknown/a"], units)
    assert other == {0: SHARE, 1: SHARE}


def test_a_weight_of_nobody_is_refused() -> None:
    mix = made(strata=("v",), weights={"v=z": "0.5"})
    with pytest.raises(UsageError, match=r"gives v=z a share.*v=a, v=b"):
        budget.check_weights(mix, LABELS)


@given(st.integers(1, 99_999), st.integers(1, 200_000))
def test_shards_are_as_many_as_common_numbers_of_readers_divide(most: int, wanted: int) -> None:
    found = budget.shard_count(most, wanted)
    assert 1 <= found <= most
    assert found in (1, 2, 4) or (found <= 64 and found % 8 == 0) or found % 64 == 0
    assert found >= wanted or all(
        budget.shard_count(larger, wanted) == found for larger in range(found, most + 1, max(1, most // 50))
    )
