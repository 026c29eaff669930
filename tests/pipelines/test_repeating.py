"""Repeats by weights: each stratum in as many passes as its share needs, none beyond its cap, and the budget never passed."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import repeating
from pipelines.budget import Humans
from store.verify_mix import verify_mix
from tests import mixes
from tests.pipelines.test_mix import rows

CAPS = st.lists(st.tuples(st.integers(0, 1000), st.integers(1, 50)), min_size=1, max_size=8)


@given(CAPS, st.integers(0, 5000))
def test_units_are_dealt_by_weight_and_what_does_not_fit_goes_to_the_others(strata: list[tuple[int, int]], wanted: int) -> None:
    caps, weights = [cap for cap, _ in strata], [weight for _, weight in strata]
    found = repeating.filled(wanted, caps, weights)
    assert all(0 <= given <= cap for given, cap in zip(found, caps, strict=True))
    assert min(wanted, sum(caps)) - len(caps) < sum(found) <= max(wanted, 0)
    full = [given == cap for given, cap in zip(found, caps, strict=True)]
    levels = [Fraction(given, weight) for given, weight, whole in zip(found, weights, full, strict=True) if not whole]
    for level in levels:  # those with room stand level, and none that is full stands higher
        assert max(levels) - level <= 1
        assert all(Fraction(cap, weight) <= level + 1 for cap, weight, whole in zip(caps, weights, full, strict=True) if whole)


@st.composite
def sides(draw: st.DrawFn) -> Humans:
    number = draw(st.integers(1, 30))
    units = np.array(draw(st.lists(st.integers(1, 100), min_size=number, max_size=number)), np.int64)
    stratum = np.array(draw(st.lists(st.integers(0, 3), min_size=number, max_size=number)), np.int32)
    member, members = np.zeros(number, np.int32), np.ones(number, np.int32)
    if number > 3:
        member[:3], members[:3] = [0, 1, 2], 3
    targets = np.array(draw(st.lists(st.integers(1, 9), min_size=4, max_size=4)), np.int64)
    return Humans(units, stratum, member, members, targets)


@given(sides(), st.integers(3, 5), st.integers(1, 4000), st.integers(0, 2))
@settings(max_examples=300, deadline=None)
def test_no_row_is_beyond_its_cap_or_the_budget(human: Humans, most: int, wanted: int, quota: int) -> None:
    number = len(human.units)
    first, kept = np.arange(number), min(quota, number)
    budget = max(wanted, int(human.units[:kept].sum()))
    position, epoch = repeating.chosen(human, first, kept, wanted, budget, most)
    pairs = list(zip(position.tolist(), epoch.tolist(), strict=True))
    assert len(set(pairs)) == len(pairs) and set(range(kept)) <= set(position[epoch == 0].tolist())
    assert int(human.units[position].sum()) <= budget
    for row in range(number):  # passes come one after the other, and a cluster has no more than may be
        passes = sorted(of for at, of in pairs if at == row)
        assert passes == list(range(len(passes)))
    if number > 3:
        assert sum(at < 3 for at, _ in pairs) <= most
    reachable = int((human.units * repeating.passes(human, most)).sum())
    assert int(human.units[position].sum()) >= min(wanted, reachable) - int(human.units.max()) - 4


def test_a_small_stratum_is_read_more_often_where_its_weight_asks_for_it() -> None:
    units, stratum = np.full(40, 100), np.array([0] * 36 + [1] * 4)
    human = Humans(units, stratum, np.zeros(40, np.int32), np.ones(40, np.int32), np.array([1, 1]))
    position, epoch = repeating.chosen(human, np.arange(40), 2, 3000, 3000, 4)
    taken = np.bincount(stratum[position], units[position])
    assert (
        taken.tolist() == [1500, 1500] and int(epoch[stratum[position] == 1].max()) == 3 and not epoch[stratum[position] == 0].any()
    )
    position, _ = repeating.chosen(human, np.arange(40), 2, 3000, 3000, 2)
    assert np.bincount(stratum[position], units[position]).tolist() == [2200, 800]
    with pytest.raises(ValueError, match="no"):
        repeating.chosen(Humans(units, stratum, stratum, np.ones(40, np.int32)), np.arange(40), 0, 1, 1, 1)


def test_a_mix_repeats_by_weights_and_spreads_the_repeats(tmp_path):
    documents = [
        mixes.sealed(mixes.document(f"{name}{i}", 400, language=name)) for name, n in (("en", 54), ("fi", 6)) for i in range(n)
    ]
    frozen = mixes.snapshot(tmp_path / "s", documents)
    crawled = mixes.run(tmp_path / "r", [frozen], [(mixes.document(f"new{i}", 400), "unknown", None) for i in range(60)])
    opened = mixes.make(
        tmp_path / "mix", frozen, [crawled], floor="1/2", budget=24_000, shortfall="repeat", strata=("language",),
        weights={"language=en": "1/2", "language=fi": "1/2"}, max_epochs=3, shards=1, quota=1,
    )  # fmt: skip
    counts = opened.manifest["counts"]["strata"]
    fi, en = counts["human/fi"], counts["human/en"]
    assert abs(fi["bytes"] - en["bytes"]) < 500
    assert opened.manifest["realised"]["bytes"]["total"] <= 24_000
    found = verify_mix(str(tmp_path / "mix"), frozen.id)
    assert found["anchored"], found["why"]
    human = [row for shard in rows(opened) for row in shard if row["origin"] == "human"]
    at = [i for i, row in enumerate(human) if row["language"] == "fi"]
    assert max(np.diff(at)) <= 6, "the repeated stratum lies all over the shard"
    places: dict[str, list[int]] = {}
    for i in at:
        places.setdefault(human[i]["key"], []).append(i)
    assert all(min(np.diff(where), default=99) >= len(human) // 6 for where in places.values())
