"""From a crawl to a mix: shares and survival stand in runs, mixes, queries, pages and the closing summaries, and add up."""

from pathlib import Path
from typing import Any

import pytest

from pipelines import report, toolbox
from store.catalog import connect, named_queries
from store.manifest import Opened, open_mix, open_run
from tests import calibrations
from tests.match import runs
from tests.pipelines._fixtures import LANGUAGES, prose


def rows_of(opened: Opened, name: str) -> list[dict[str, Any]]:
    with connect(opened) as con:
        return con.sql(named_queries()[name].sql).to_arrow_table().to_pylist()


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A snapshot of 240 texts, a crawl of 160 with 40 of them and some copies of its own, and a mix; cells that cover all of it."""
    folder = tmp_path_factory.mktemp("shares")
    shipped = calibrations.with_cells(toolbox.calibration(), calibrations.cell(human_rows=500, machine_rows=500))
    texts = {f"f{i}": prose(LANGUAGES[i % 4], f"frozen{i}", 120) for i in range(240)}
    urls = {name: f"https://h{i % 30}.example/{i}" for i, name in enumerate(texts)}
    dates = {name: f"{2014 + i % 8}-03-04T05:06:07Z" for i, name in enumerate(texts)}
    frozen = runs.write_rows(folder / "frozen" / "rows.parquet", texts, dates, url=urls)
    crawl = {f"c{i}": prose("en", f"crawl{i}", 120) for i in range(100)}
    crawl |= {f"e{i}": texts[f"f{i}"] for i in range(40)} | {f"d{i}": crawl[f"c{i}"] for i in range(20)}
    where = {name: f"https://w{i % 12}.example/{i}" for i, name in enumerate(crawl)}
    when = {name: f"{2018 + i % 7}-05-04T05:06:07Z" for i, name in enumerate(crawl)}
    rows = runs.write_rows(folder / "crawl" / "rows.parquet", crawl, when, url=where)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toolbox, "calibration", lambda: shipped)
        snapshot, run, mix = (folder / name for name in ("snapshot", "run", "mix"))
        runs.done("freeze", frozen, "--into", snapshot, "--cutoff", "2022-01-01", runs.DATED)
        curated = runs.curate(rows, run, [snapshot], runs.DATED)
        mixed = runs.done("mix", run, "--snapshot", snapshot, "--into", mix, "--floor", "0.5", "--min-attestation", "declared")
        again = folder / "again"
        runs.done("mix", run, "--snapshot", snapshot, "--into", again, "--floor", "0.5", "--min-attestation", "declared")
        assert runs.same(mix, again)
        verified = runs.command("verify", mix)
    return {
        "run": open_run(str(run)),
        "mix": open_mix(str(mix)),
        "curated": curated,
        "mixed": mixed,
        "verified": verified,
        "snapshot": snapshot,
    }


def test_a_run_states_its_share_and_every_document_is_in_one_group(made: dict[str, Any]) -> None:
    curated, run = made["curated"], made["run"]
    assert "documents" in curated["machine_share"] and run.manifest["prevalence"]["all"]["documents"] == 160
    for name in ("month", "language", "host", "file"):
        found = rows_of(run, f"prevalence_by_{name}")
        assert sum(row["documents"] for row in found) == 160
        origins = sum(row[origin] for row in found for origin in ("human", "machine_generated", "machine_translated", "unknown"))
        assert origins == 160
    assert [row["part"] for row in rows_of(run, "prevalence")] == ["all documents", "kept documents", "captured before 2020"]
    assert rows_of(run, "prevalence")[0]["estimated"] > 100


def test_a_run_without_documents_states_that_and_is_made_once(made: dict[str, Any], tmp_path: Path) -> None:
    source, run, page = tmp_path / "empty.jsonl", tmp_path / "run", tmp_path / "run.html"
    source.touch()
    for _ in range(2):
        told = runs.curate(source, run, [Path(made["snapshot"])])
        assert told["machine_share"] == "not estimated: there are no documents"
    found = rows_of(open_run(str(run)), "prevalence")
    assert [(row["part"], row["documents"]) for row in found] == [("all documents", 0), ("kept documents", 0)]
    report.run(str(run), str(page))
    assert "there are no documents" in page.read_text()


def test_survival_of_a_run_adds_up(made: dict[str, Any]) -> None:
    found = rows_of(made["run"], "survival")
    documents, kept = (next(row for row in found if row["stage"] == stage) for stage in ("became documents", "kept"))
    dropped = [row for row in found if row["stage"].startswith("dropped")]
    for origin in ("human", "machine_generated", "machine_translated", "unknown", "documents"):
        assert documents[origin] == kept[origin] + sum(row[origin] for row in dropped)
    assert {row["stage"]: row["documents"] for row in dropped} == {
        "dropped: equal to a text of the snapshot": 40,
        "dropped: equal to a text of the crawl": 20,
    }
    assert documents["of_human"] == 1 and kept["of_human"] == 0
    assert kept["of_unknown"] == pytest.approx(kept["unknown"] / documents["unknown"])


def test_survival_into_a_mix_adds_up(made: dict[str, Any]) -> None:
    mix, found = made["mix"], {row["step"]: row for row in rows_of(made["mix"], "mix_survival")}
    stated, counts = mix.manifest["stated"], mix.manifest["counts"]
    assert found[3]["documents"] == 160 and found[3]["human"] == 40
    assert found[4]["documents"] == sum(of["documents"] for of in stated["crawled"].values()) == 100
    for origin in ("human", "machine_generated", "machine_translated", "unknown"):
        assert found[4][origin] == sum(found[step][origin] for step in (5, 6, 7, 8, 9))
        assert found[10][origin] == counts["origins"].get(origin, {"documents": 0})["documents"]
    for step, reason in enumerate(("origin_not_allowed", "crawled_revoked", "equal_to_human", "equal_to_other"), 5):
        assert found[step]["documents"] == stated["kept_out"][reason]
    assert found[10]["of_human"] == pytest.approx(found[10]["human"] / found[1]["human"])


def test_the_purity_stands_apart_from_what_is_proven(made: dict[str, Any]) -> None:
    mix, said = made["mix"], made["mixed"]["machine_share_of_human_side"]
    (row,) = rows_of(mix, "mix_purity")
    assert row["documents"] == 240 and row["estimated"] > 150 and row["unit"] == "documents"
    card = (Path(mix.url) / "README.md").read_text()
    proven, estimate = card.index("## What is proven"), card.index("## How much is machine text: estimates")
    assert proven < estimate < card.index(said)
    assert "no part of" not in card[proven:estimate] and "Machine share" not in card[proven:estimate]
    assert made["verified"].code == 3, "consistent, and not anchored"


def test_the_pages_show_it(made: dict[str, Any], tmp_path: Path) -> None:
    for kind, titles in (
        ("run", ("What survives, by origin", "How much is machine text", "Machine share by month")),
        ("mix", ("What survives, by origin", "How pure the human side is")),
    ):
        out = tmp_path / f"{kind}.html"
        report.run(made[kind].url, str(out))
        text = out.read_text()
        assert all(f">{title}<" in text for title in titles)
        assert "Text of generators that the detectors have never seen" in text or kind == "mix"
