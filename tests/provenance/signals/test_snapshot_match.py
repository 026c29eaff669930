"""Nearness to the snapshot: 1 only for equality."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import signals
from provenance.signals import MATCHED
from provenance.signals.snapshot_match import diff_ratios, snapshot_match
from tests.provenance.signals.pages import TOOLS, batch


def values(*rows: dict) -> list[float]:
    return snapshot_match(batch(*rows, schema=MATCHED), TOOLS).column("value").to_pylist()


def test_equal_is_one_and_near_is_less():
    equal = {"identical": True, "reference": "r", "reference_attestation": "captured", "similarity": 1.0}
    near = {"identical": False, "reference": "r", "similarity": 1.0, "containment": 1.0}
    found = values(equal, near, {"identical": False, "similarity": 0.4}, {"identical": False})
    assert found[0] == 1.0 and 0.999 < found[1] < 1.0 and found[2] == 0.4 and len(found) == 3


def test_an_estimate_is_called_one():
    near = {"reference": "r", "similarity": 0.5, "containment": 0.75}
    found = snapshot_match(batch(near | {"exact": True}, near | {"exact": False}, near, schema=MATCHED), TOOLS)
    difference = ": shares parts, 25.0% of this one not there, 40.0% of that one not here"
    assert found.column("detail").to_pylist() == [
        "similarity 0.500 with r" + difference,
        "similarity estimated as 0.500 with r" + difference,
        "similarity 0.500 with r" + difference,
    ]


@pytest.mark.parametrize(
    ("mine", "theirs", "kind"),
    [
        (range(100), range(100), "the same shingles"),
        (range(100), range(10, 110), "edited"),
        (range(30), range(100), "an excerpt"),
        (range(300), range(100), "quoted whole"),
        (range(100), range(50, 150), "shares parts"),
    ],
)
def test_kinds_of_difference(mine, theirs, kind):
    left, right = set(mine), set(theirs)
    row = {"reference": "r", "similarity": len(left & right) / len(left | right), "containment": len(left & right) / len(left)}
    assert f": {kind}, " in snapshot_match(batch(row | {"exact": True}, schema=MATCHED), TOOLS).column("detail")[0].as_py()


@given(st.sets(st.integers(0, 40), min_size=1), st.sets(st.integers(0, 40), min_size=1))
def test_ratios_are_those_of_the_sets(left, right):
    both = len(left & right)
    found = diff_ratios(both / len(left | right), both / len(left))
    assert found == pytest.approx((1 - both / len(left), 1 - both / len(right)))


@given(st.floats(0, 1), st.floats(0, 1))
def test_ratios_stay_shares_for_any_estimate(similarity, containment):
    assert all(0 <= share <= 1 for share in diff_ratios(similarity, containment))


def test_it_informs_only():
    assert not signals.found()["snapshot_match"].STATISTICAL
