"""Nearness to the snapshot: 1 only for equality."""

from provenance import signals
from provenance.signals import MATCHED
from provenance.signals.snapshot_match import snapshot_match
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
    assert found.column("detail").to_pylist() == [
        "similarity 0.500 with r, 75% of it contained",
        "similarity estimated as 0.500 with r, 75% of it contained",
        "similarity 0.500 with r, 75% of it contained",
    ]


def test_it_informs_only():
    assert not signals.found()["snapshot_match"].STATISTICAL
