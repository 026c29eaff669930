"""Days from the cutoff to the end of the capture interval."""

import datetime

from provenance.signals import MATCHED
from provenance.signals.capture_time import capture_time
from tests.provenance.signals.pages import TOOLS, batch

CUTOFF = datetime.datetime(2022, 1, 1, tzinfo=datetime.UTC)


def test_the_end_of_the_interval_counts():
    hours = datetime.timedelta(hours=12)
    rows = [
        {"date": CUTOFF - hours, "date_end": CUTOFF + hours, "cutoff": CUTOFF},
        {"date": CUTOFF - hours, "date_end": CUTOFF - hours, "cutoff": CUTOFF},
    ]
    found = capture_time(batch(*rows, {"date_end": CUTOFF}, {"cutoff": CUTOFF}, schema=MATCHED), TOOLS).to_pylist()
    assert [(r["key"], r["value"]) for r in found] == [("0", 0.5), ("1", -0.5)]
    assert "at or after" in found[0]["detail"] and "before" in found[1]["detail"]


def test_the_cutoff_itself_is_not_before():
    found = capture_time(batch({"date_end": CUTOFF, "cutoff": CUTOFF}, schema=MATCHED), TOOLS).to_pylist()
    assert found[0]["value"] == 0 and "at or after" in found[0]["detail"]
