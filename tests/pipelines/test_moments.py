"""Instants: the middle of a capture interval is the day that a date names, whatever the margin on both sides."""

from pathlib import Path

import pyarrow as pa
import pytest

from pipelines import moments
from provenance import dates
from provenance.schema import TIME
from tests.match import runs
from tests.pipelines._fixtures import prose


@pytest.mark.parametrize(
    ("text", "month"),
    [("2020-01-01", "2020-01"), ("2025-07", "2025-07"), ("2020", "2020-07"), ("1999-12-31T23:59:59Z", "1999-12")],
)
def test_the_middle_lies_in_what_a_date_names(text: str, month: str) -> None:
    span = dates.interval(text)
    assert span is not None
    start, end = (pa.chunked_array([pa.array([moment, None], TIME)]) for moment in span)
    found, missing = moments.middles(start, end).to_pylist()
    assert found.strftime("%Y-%m") in (month, "2020-06") and missing is None
    assert span[0] <= found <= span[1]


def test_the_prior_is_that_of_the_month_a_date_names(tmp_path: Path) -> None:
    """Run and snapshot; the interval of the first day of a month begins in the one before."""
    dates = {"first": "2023-03-01", "month": "2023-03", "precise": "2023-03-20T01:02:03Z", "before": "2023-02-20T01:02:03Z"}
    source = runs.write_rows(tmp_path / "in" / "rows.parquet", {name: prose("en", name, 120) for name in dates}, dates)
    runs.done("freeze", source, "--into", tmp_path / "snapshot", "--cutoff", "2024-01-01", runs.DATED)
    runs.curate(source, tmp_path / "run", [], runs.DATED)
    for made in ("snapshot", "run"):
        ids = {row["key"]: row["id"] for row in runs.rows(tmp_path / made, "documents")}
        found = {ids[row["key"]]: row["prior"] for row in runs.rows(tmp_path / made, "tags")}
        by_name = {name: next(prior for of, prior in found.items() if name in of) for name in dates}
        assert by_name["first"] == by_name["month"] == by_name["precise"] != by_name["before"], made
