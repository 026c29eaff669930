"""The expected machine share of a mix: weighed by what the plan takes, less what tags name already, and none where a part has none."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa
import pytest

from pipelines import expecting
from provenance.schema import PREVALENCE
from store import tables
from store.manifest import Opened
from store.mixing import PLANNED

ENDS = {"share": 0.01, "share_low": 0.0, "share_high": 0.03}
PURE = {**ENDS, "estimated": 100, "before_2020": 60}


def run(tmp_path: Path, name: str, **kept: Any) -> Opened:
    row: dict[str, Any] = dict.fromkeys(PREVALENCE.names) | {"dimension": "kept", "value": "kept documents"}
    row |= dict.fromkeys(("documents", "estimated", "hosts", "human", "machine_generated", "machine_translated", "unknown"), 0)
    table = pa.Table.from_pylist([row | {"dimension": "all", "share": 0.9}, row | kept], schema=PREVALENCE)
    entry = tables.write(str(tmp_path / name), "prevalence/00000.parquet", table, PREVALENCE)
    return Opened(str(tmp_path / name), name, {"files": [entry]})


def planned(tmp_path: Path, *rows: tuple[str, str, int]) -> Any:
    empty: dict[str, Any] = dict.fromkeys(PLANNED.names)
    for number, some in enumerate((rows[:1], rows[1:])):
        made = [empty | {"source": source, "origin": origin, "byte_count": size} for source, origin, size in some]
        tables.write(str(tmp_path), f"plan/shards/{number:05d}.parquet", pa.Table.from_pylist(made, schema=PLANNED), PLANNED)
    return SimpleNamespace(folder=str(tmp_path / "plan"), shard_jobs=[{"name": "00000"}, {"name": "00001"}])


def test_parts_are_weighed_by_what_the_plan_takes_of_each(tmp_path):
    runs = [
        run(tmp_path, "one", documents=100, unknown=100, share=0.2, share_low=0.1, share_high=0.4),
        run(tmp_path, "two", documents=100, unknown=100, share=0.0, share_low=0.0, share_high=0.1),
    ]
    plan = planned(
        tmp_path, ("snapshot", "human", 600), ("one", "unknown", 300), ("two", "unknown", 50), ("two", "machine_generated", 50)
    )
    told = expecting.expected(str(tmp_path), plan, runs, PURE, "bytes")
    assert told["share"] == pytest.approx((600 * 0.01 + 300 * 0.2 + 50) / 1000)
    assert told["share_low"] == pytest.approx((300 * 0.1 + 50) / 1000)
    assert told["share_high"] == pytest.approx((600 * 0.03 + 300 * 0.4 + 50 * 0.1 + 50) / 1000)
    assert told["human_side"] == {"units": 600, **ENDS} and told["other"]["units"] == 400
    assert "interval" in expecting.line(told) and told["note"] is None
    by_documents = expecting.expected(str(tmp_path), plan, runs, PURE, "documents")
    assert by_documents["share"] == pytest.approx((0.01 + 0.2 + 0 + 1) / 4, abs=1e-6)


def test_what_tags_name_machine_text_is_not_counted_again_among_the_rest(tmp_path):
    found = expecting.unknown(
        run(
            tmp_path,
            "r",
            documents=100,
            machine_generated=20,
            machine_translated=5,
            unknown=75,
            share=0.4,
            share_low=0.1,
            share_high=1.0,
        )
    )
    assert found == {"share": pytest.approx(15 / 75), "share_low": 0.0, "share_high": 1.0}
    assert expecting.unknown(run(tmp_path, "s", documents=5, machine_generated=5, share=1.0))["share"] is None


def test_a_part_without_an_estimate_leaves_none_and_is_named(tmp_path):
    runs = [run(tmp_path, "one", documents=100, unknown=100), run(tmp_path, "none")]
    plan = planned(tmp_path, ("snapshot", "human", 600), ("one", "unknown", 300))
    told = expecting.expected(str(tmp_path), plan, runs, PURE, "bytes")
    assert told["share"] is None and told["human_side"]["share"] == 0.01 and told["note"] == "there is no estimate for the other"
    assert "not estimated" in expecting.line(told)
    alone = expecting.expected(
        str(tmp_path), planned(tmp_path, ("snapshot", "human", 1)), runs, PURE | {"share_low": None}, "bytes"
    )
    assert alone["share"] == 0.01 and alone["share_low"] is None and alone["note"] == "a part of it has no interval"
    empty = SimpleNamespace(folder=str(tmp_path), shard_jobs=[])
    assert expecting.expected(str(tmp_path), empty, runs, PURE, "bytes")["share"] is None


def test_what_its_dates_prove_pure_has_no_width(tmp_path):
    few = {"share": 0.0, "share_low": None, "share_high": None, "estimated": 20, "before_2020": 0}
    plan = planned(tmp_path, ("snapshot", "human", 9))
    told = expecting.expected(str(tmp_path), plan, [], few | {"before_2020": 20}, "bytes")
    assert [told[name] for name in expecting.ENDS] == [0.0, 0.0, 0.0]
    assert expecting.expected(str(tmp_path), plan, [], few, "bytes")["share_high"] is None
