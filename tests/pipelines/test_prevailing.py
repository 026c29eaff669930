"""The stage `prevalence`: planted shares come back by month, language, host and file, placebos hold or are told, order changes nothing."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from pipelines import calibrating, config, prevailing, toolbox
from provenance import schema
from provenance.calibration import Cell, Combiner
from store import tables

RATE = "0.01"
EDGES = tuple(-1.5 + 0.25 * i for i in range(19))
MACHINE = 2.0
"""Mean score of machine text; human text has 0, and both a standard deviation of 1."""


def spread(mean: float) -> tuple[float, ...]:
    """Shares of a normal score in the bins of `EDGES`."""
    from statistics import NormalDist

    ends = [0.0, *(NormalDist(mean, 1).cdf(edge) for edge in EDGES), 1.0]
    return tuple(float(share) for share in np.diff(ends))


CELL = Cell(
    group="en",
    languages=("en", "de"),
    words_from=50,
    weights={"origin_model": 1.0},
    thresholds={RATE: 2.4},
    true_positives={RATE: (0.2, 0.6)},
    edges=EDGES,
    human=spread(0),
    machine=spread(MACHINE),
    sources=("made up",),
    human_rows=5000,
    machine_rows=5000,
)


@pytest.fixture
def calibrated(monkeypatch: pytest.MonkeyPatch) -> Combiner:
    combiner = Combiner(version="0", source="made up", cells=(CELL,))
    made = msgspec.structs.replace(toolbox.calibration(), combiner=combiner)
    monkeypatch.setattr(toolbox, "calibration", lambda: made)
    return combiner


def crawl(
    rng: np.random.Generator, shares: dict[str, float], hosts: int = 40, pages: int = 20, shift: float = 0.0
) -> list[dict[str, Any]]:
    """Documents by month, with the share of machine text that is planted in each; hosts differ a little, and all by `shift`."""
    found = []
    for month, share in shares.items():
        for host in range(hosts):
            apart = rng.normal(shift, 0.2)
            for page in range(pages):
                machine = rng.random() < share
                found.append(
                    {
                        "key": f"{len(found):032x}",
                        "url": f"https://H{host}.example:80/{page}",
                        "file_path": f"{month}.warc.gz",
                        "date": datetime(int(month[:4]), int(month[5:]), 5, tzinfo=UTC),
                        "date_end": datetime(int(month[:4]), int(month[5:]), 5, tzinfo=UTC),
                        "language": "de" if host % 4 == 0 else "en",
                        "word_count": 200 if page else 20,
                        "origin": "unknown" if rng.random() < 0.9 else "machine_generated",
                        "canonical": None if page % 3 else "0" * 32,
                        "score": float(rng.normal(MACHINE if machine else apart, 1)),
                    }
                )
    return found


def column(rows: list[dict[str, Any]], name: str, kind: pa.DataType) -> pa.Array:
    return pa.array([row[name] for row in rows], kind)


def lay(folder: Path, name: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    """A part's documents, tags and evidence, as far as the stage reads them."""
    parts = {
        "documents": ("key", "url", "file_path", "date", "date_end", "language", "word_count"),
        "tags": ("key", "origin", "canonical"),
    }
    schemas = {"documents": schema.DOCUMENTS, "tags": schema.TAGS}
    urls: dict[str, Any] = {"name": name}
    for dataset, names in parts.items():
        kind = pa.schema([schemas[dataset].field(column) for column in names])
        table = pa.table([column(rows, field.name, field.type) for field in kind], schema=kind)
        urls[dataset] = str(folder / tables.write(str(folder), f"{dataset}/{name}.parquet", table, kind)["path"])
    evidence = [
        {
            "key": row["key"],
            "signal": "origin_model",
            "version": "0",
            "value": row["score"],
            "detail": "",
            "log_likelihood_ratio": None,
        }
        for row in rows
    ]
    table = pa.Table.from_pylist(evidence, schema=schema.EVIDENCE)
    urls["evidence"] = [str(folder / tables.write(str(folder), f"evidence/{name}.parquet", table, schema.EVIDENCE)["path"])]
    return urls


def humans(folder: Path, rng: np.random.Generator, hosts: int = 120, pages: int = 20) -> str:
    """Scores of a snapshot's sample."""
    rows = []
    for host in range(hosts):
        apart = rng.normal(0, 0.2)
        for page in range(pages):
            scored = {"cell": CELL.name, "score": float(rng.normal(apart, 1)), "abstention": None}
            rows.append({"snapshot": "s", "key": f"{host}-{page}", "host": f"s{host}.example", **scored})
    names = [{field.name: row.get(field.name) for field in calibrating.HUMAN_SCORES} for row in rows]
    table = pa.Table.from_pylist(names, schema=calibrating.HUMAN_SCORES)
    tables.write(str(folder), "human_scores.parquet", table, calibrating.HUMAN_SCORES)
    return str(folder / "human_scores.parquet")


def estimated(folder: Path, parts: list[dict[str, Any]], scores: str | None) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Rows of the dataset and what the manifest says."""
    plain = config.plain(config.resolve("curate", [], []))
    context = {"config": plain, "prefix": "part", "folder": str(folder), "thresholds": None, "human_scores": scores}
    step = prevailing.CountScores(context)
    step.setup()
    counted = [str(folder / step.part(part)["files"][0]["path"]) for part in parts]
    receipt = prevailing.EstimatePrevalence(context).part({"name": "all", "counted": counted})
    rows = tables.read([str(folder / receipt["files"][0]["path"])]).to_pylist()
    return rows, receipt["summary"]


def of(rows: list[dict[str, Any]], dimension: str) -> dict[str, dict[str, Any]]:
    return {row["value"]: row for row in rows if row["dimension"] == dimension}


PLANTED = {"2017-05": 0.0, "2019-12": 0.0, "2021-03": 0.01, "2023-06": 0.03, "2024-06": 0.1, "2025-06": 0.3}


def test_planted_shares_come_back_and_placebos_cover_zero(tmp_path: Path, calibrated: Combiner) -> None:
    rng = np.random.default_rng(3)
    rows = crawl(rng, PLANTED)
    found, summary = estimated(tmp_path, [lay(tmp_path, "00000", rows)], humans(tmp_path, rng))
    months = of(found, "month")
    assert list(months) == sorted(PLANTED)
    for month, share in PLANTED.items():
        row = months[month]
        assert row["share_low"] <= share <= row["share_high"], month
        assert row["rogan_gladen_low"] <= share <= row["rogan_gladen_high"], month
        assert row["placebo"] == (month < "2020"), month
        assert (row["documents"], row["estimated"], row["hosts"]) == (800, 760, 40), "pages of 20 words lie in no cell"
        assert row["share_high"] - row["share_low"] < 0.2
    assert months["2025-06"]["covers_zero"] is False and months["2017-05"]["covers_zero"] is True
    everything = of(found, "all")["all documents"]
    assert everything["documents"] == len(rows) and everything["human"] == 0
    assert everything["unknown"] + everything["machine_generated"] == len(rows)
    assert of(found, "kept")["kept documents"]["documents"] == sum(row["canonical"] is None for row in rows)
    assert of(found, "placebo")["captured before 2020"]["covers_zero"] is True
    assert set(of(found, "language")) == {"de", "en"} and len(of(found, "file")) == len(PLANTED)
    assert set(of(found, "host")) == {f"h{i}.example" for i in range(40)}, "hosts are told in lower case and without a port"
    assert summary["all"]["share"] == everything["share"] and summary["human_side"] == "the snapshots' sample"
    assert prevailing.alarm(summary) is None
    assert "FAILED" not in str(prevailing.said(summary))


def test_a_host_alone_has_an_interval_by_how_the_snapshots_hosts_differ(tmp_path: Path, calibrated: Combiner) -> None:
    rng = np.random.default_rng(4)
    found, _ = estimated(tmp_path, [lay(tmp_path, "00000", crawl(rng, {"2024-01": 0.5}, hosts=3))], humans(tmp_path, rng))
    for row in of(found, "host").values():
        assert row["share_low"] < 0.5 < row["share_high"] and "few hosts" in row["note"]
    alone, _ = estimated(tmp_path, [lay(tmp_path, "00000", crawl(rng, {"2024-01": 0.5}, hosts=3))], None)
    for row in of(alone, "host").values():
        assert row["share"] is not None and row["share_low"] is None and "too few hosts" in row["note"]


def test_a_placebo_that_fails_is_told_loudly(tmp_path: Path, calibrated: Combiner) -> None:
    rng = np.random.default_rng(5)
    rows = crawl(rng, {"2018-01": 0.0, "2024-01": 0.1}, shift=1.0)
    found, summary = estimated(tmp_path, [lay(tmp_path, "00000", rows)], humans(tmp_path, rng))
    row = of(found, "month")["2018-01"]
    assert row["covers_zero"] is False and "DOES NOT COVER 0" in row["note"]
    assert "no share here is to be trusted" in str(prevailing.alarm(summary))
    assert "FAILED" in prevailing.said(summary)["placebo"]


def test_neither_order_nor_parts_change_a_byte(tmp_path: Path, calibrated: Combiner) -> None:
    rng = np.random.default_rng(6)
    rows, scores = crawl(rng, {"2024-01": 0.2, "2024-02": 0.0}, hosts=20), humans(tmp_path, rng)
    once = estimated(tmp_path / "a", [lay(tmp_path / "a", "00000", rows)], scores)
    mixed = [rows[i] for i in rng.permutation(len(rows))]
    twice = estimated(
        tmp_path / "b", [lay(tmp_path / "b", "00000", mixed[:100]), lay(tmp_path / "b", "00001", mixed[100:])], scores
    )
    assert once == twice
    path = "prevalence/part-00000.parquet"
    assert (tmp_path / "a" / path).read_bytes() == (tmp_path / "b" / path).read_bytes()


def test_small_hosts_and_files_are_pooled_and_few_documents_are_not_estimated(tmp_path: Path, calibrated: Combiner) -> None:
    rng = np.random.default_rng(7)
    rows = crawl(rng, {"2024-01": 0.0}, hosts=30, pages=4) + [
        {**row, "key": "x" + row["key"], "url": None, "language": None} for row in crawl(rng, {"2023-01": 0.0}, hosts=1)
    ]
    found, _ = estimated(tmp_path, [lay(tmp_path, "00000", rows)], humans(tmp_path, rng))
    hosts = of(found, "host")
    assert {value: row["documents"] for value, row in hosts.items()} == {prevailing.OTHERS: 120, "no host": 20}
    assert hosts["no host"]["share"] is None and "are not estimated" in hosts["no host"]["note"]
    assert of(found, "language")["unknown"]["estimated"] == 0


def test_without_a_cell_nothing_is_estimated_and_all_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = msgspec.structs.replace(toolbox.calibration(), combiner=None)
    monkeypatch.setattr(toolbox, "calibration", lambda: made)
    rows = crawl(np.random.default_rng(8), {"2024-01": 0.2}, hosts=3)
    found, summary = estimated(tmp_path, [lay(tmp_path, "00000", rows)], None)
    assert {row["share"] for row in found} == {None} and {row["note"] for row in found} == {"there are no calibrated cells"}
    assert sum(row["documents"] for row in of(found, "month").values()) == len(rows)
    assert prevailing.told(summary["all"]) == "not estimated: there are no calibrated cells"


def day(year: int, month: int, number: int) -> datetime:
    return datetime(year, month, number, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("date", "end", "month", "placebo"),
    [
        (day(2019, 12, 31), day(2020, 1, 2), "2020-01", False),
        (day(2019, 12, 31), day(2021, 1, 1), "no date", False),
        (day(2025, 6, 30), day(2025, 7, 2), "2025-07", False),
        (day(2025, 6, 30), day(2025, 8, 1), "2025-07", False),
        (day(2019, 12, 30), day(2020, 1, 1), "2019-12", False),
        (day(2019, 11, 30), day(2019, 12, 2), "2019-12", True),
        (day(2014, 12, 31), day(2016, 1, 1), "no date", True),
        (None, None, "no date", False),
    ],
    ids=["2020-01-01", "2020", "2025-07-01", "2025-07", "2019-12-31", "2019-12-01", "2015", "none"],
)
def test_a_capture_lies_in_the_month_of_its_middle_and_is_a_placebo_only_as_a_whole(
    tmp_path: Path, calibrated: Combiner, date: datetime | None, end: datetime | None, month: str, placebo: bool
) -> None:
    rows = [{**row, "date": date, "date_end": end} for row in crawl(np.random.default_rng(1), {"2024-01": 0.0}, hosts=2)]
    found, summary = estimated(tmp_path, [lay(tmp_path, "00000", rows)], None)
    assert list(of(found, "month")) == [month]
    assert bool(of(found, "placebo")) == placebo == ("placebo" in summary)
    assert of(found, "month")[month]["placebo"] == (placebo and month != "no date")


def test_made_up_languages_months_and_hosts_are_pooled_under_names_that_are_none(tmp_path: Path, calibrated: Combiner) -> None:
    rows = []
    base = crawl(np.random.default_rng(1), {"2024-01": 0.0}, hosts=1, pages=1)[0]
    for i in range(1200):
        date = datetime(1900 + i // 36, 1 + i // 3 % 12, 5, tzinfo=UTC)
        made = {"key": f"{i:032x}", "language": f"x{i}", "date": date, "date_end": date, "url": f"http://all others/{i}"}
        rows.append({**base, **made, "file_path": "all others.jsonl"})
    for i, language in enumerate(("all others/", "all others", "de") * 20):
        rows.append({**base, "key": f"y{i:031x}", "language": language, "url": "http://no host/x", "file_path": "no host"})
    found, _ = estimated(tmp_path, [lay(tmp_path, "00000", rows)], None)
    counts = {name: {value: row["documents"] for value, row in of(found, name).items()} for name in prevailing.DIMENSIONS}
    assert counts["language"] == {prevailing.OTHERS: 1200, "de": 20, "unknown": 40}
    assert len(counts["month"]) == prevailing.MONTHS + 1 and counts["month"]["2024-01"] == 60
    assert counts["host"] == {"no host": 1260}
    assert counts["file"] == {"all others.jsonl": 1200, "no host": 60}
    for name in ("language", "month", "host", "file"):
        assert sum(counts[name].values()) == 1260, name


def test_without_documents_that_is_said(tmp_path: Path, calibrated: Combiner) -> None:
    for parts in ([], [lay(tmp_path, "00000", [])]):
        found, summary = estimated(tmp_path, parts, None)
        assert [(row["dimension"], row["documents"], row["share"]) for row in found] == [("all", 0, None), ("kept", 0, None)]
        assert prevailing.said(summary) == {"machine_share": "not estimated: there are no documents"}
