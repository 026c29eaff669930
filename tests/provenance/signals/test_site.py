"""The signal of the other pages of a host."""

from provenance import signals
from tests.provenance.signals.pages import TOOLS, batch


def test_share_of_the_other_pages() -> None:
    rows = batch(
        {"site": "a.example", "site_pages": 15, "others": 14, "others_above": 7},
        {"site": "a.example", "site_pages": 15, "others": 15, "others_above": 8},
        {"site": "b.example", "site_pages": 14, "others": 13, "others_above": 13},
        {"site": "c.example"},
        schema=signals.CROWD,
    )
    found = signals.found()["site"].site(rows, TOOLS).to_pylist()
    assert [(row["key"], row["value"]) for row in found] == [("0", 0.5), ("1", 8 / 15)]
    assert found[0]["detail"] == "7 of 14 other pages of a.example score above 90% of human text"
