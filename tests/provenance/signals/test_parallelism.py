"""The signal of multi-way parallel pages."""

from provenance import signals
from tests.provenance.signals.pages import TOOLS, batch

PAGE = {"languages": ["de", "en", "fr"], "ways": "address and anchors", "hosts": 1}


def test_number_of_languages() -> None:
    rows = batch(PAGE, {"site": "a.example"}, PAGE | {"hosts": 2, "ways": "anchors"}, schema=signals.CROWD)
    found = signals.found()["parallelism"].parallelism(rows, TOOLS).to_pylist()
    assert [(row["key"], row["value"]) for row in found] == [("0", 3.0), ("2", 3.0)]
    assert found[0]["detail"] == "parallel in 3 languages (de, en, fr) on 1 host, by address and anchors"
    assert found[1]["detail"].endswith("on 2 hosts, by anchors")


def test_it_is_no_detector_of_model_text():
    """Else pages that people translated would get a probability of being a machine's from being parallel alone."""
    module = signals.found()["parallelism"]
    assert not module.STATISTICAL and module.STAGE == "crowd"
