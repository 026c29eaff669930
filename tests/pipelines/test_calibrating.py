"""The snapshots' own calibration: which documents are drawn, what their scores say, and that tags follow from it alone."""

import hashlib
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import calibrating, curate, toolbox, verify
from pipelines.calibrating import HUMAN_SCORES, SampleHumans, ScoreHumans
from pipelines.cli import Job
from provenance import combiner, evidence, schema
from provenance.verdict import Verdict
from store import manifest, tables
from store.errors import CheckFailed, UsageError
from tests import calibrations
from tests.builders import Capture, frozen, html, write_warc
from tests.pipelines._fixtures import prose

LOW = calibrations.cell(thresholds={"0.005": -9.5, "0.01": -9.5, "0.02": -9.5, "0.05": -9.5}, edges=(-5.0, 0.0))
"""Flags nearly all text, so that human text raises its thresholds."""
LATER = "2025-03-04T05:06:07Z"


def page(seed: str, words: int = 120) -> str:
    return html(prose("en", seed, words).replace("\n\n", " "), seed)


def table(*rows: tuple[str | None, float | None]) -> pa.Table:
    """Scores of (cell, score)."""
    made = [
        {"snapshot": "s", "key": f"{i:04d}", "cell": name, "score": score, "abstention": None if score is not None else "too short"}
        for i, (name, score) in enumerate(rows)
    ]
    return pa.Table.from_pylist(made, schema=HUMAN_SCORES)


def test_what_scores_say_of_a_cell():
    cells = (calibrations.cell(), calibrations.cell(group="de", languages=("de",)))
    values = np.arange(100) / 10  # 0.0 to 9.9
    found = calibrating.measured(table(*((cells[0].name, v) for v in values), (None, None), (cells[1].name, 8.0)), cells)
    assert (found["sampled"], found["scored"], found["abstained"]) == (102, 101, {"too short": 1})
    english, german = found["cells"]
    assert (english["cell"], english["rows"], german["rows"]) == ("en, 50 words and more", 100, 1)
    assert english["flagged"] == {"0.005": 60, "0.01": 70, "0.02": 80, "0.05": 90}
    assert english["quantiles"]["0.005"] is None and english["quantiles"]["0.01"] == math.nextafter(9.9, math.inf)
    assert english["thresholds"] == {
        "0.005": 4.0,
        "0.01": math.nextafter(9.9, math.inf),
        "0.02": math.nextafter(9.8, math.inf),
        "0.05": math.nextafter(9.5, math.inf),
    }
    assert english["histogram"] == [0, 30, 70] and german["thresholds"] == cells[1].thresholds
    raised = calibrating.raised(found, calibrations.combiner(*cells))
    assert raised == {"en, 50 words and more": {rate: english["thresholds"][rate] for rate in ("0.01", "0.02", "0.05")}}
    assert calibrating.said(found, "0.01").startswith(
        "of 101 human documents of the snapshots the detectors would have flagged 71 (70.30%)"
    )


def test_fewer_documents_than_the_least_have_no_say():
    cell = calibrations.cell()
    found = calibrating.measured(table(*((cell.name, 9.0) for _ in range(calibrating.SMALLEST - 1))), (cell,))
    assert found["cells"][0]["thresholds"] == cell.thresholds and found["cells"][0]["flagged"]["0.01"] == 99
    assert calibrating.raised(found, calibrations.combiner(cell)) is None
    assert calibrating.raised(None, calibrations.combiner(cell)) is None


def test_human_text_below_the_threshold_lowers_nothing():
    cell = calibrations.cell()
    found = calibrating.measured(table(*((cell.name, -5.0) for _ in range(1000))), (cell,))
    assert found["cells"][0]["thresholds"] == cell.thresholds


def test_nothing_in_the_sample_is_said_too():
    found = calibrating.measured(HUMAN_SCORES.empty_table(), (calibrations.cell(),))
    assert found["cells"] == [] and calibrating.said(found, "0.01").startswith("of 0 human documents")


def test_the_sample_is_the_least_digests_of_eligible_documents(tmp_path, monkeypatch):
    monkeypatch.setattr(calibrating, "SAMPLED", 40)
    known = pa.schema([("content_id", pa.string()), ("eligible", pa.bool_())])
    keys = [[f"{f}{i:03d}" for i in range(90)] for f in range(3)]
    keys[2][:30] = keys[0][:30]  # a further version of the snapshot holds them too
    held = [i % 3 > 0 for i in range(90)]
    for number, own in enumerate(keys):
        tables.write(str(tmp_path), f"d{number}.parquet", pa.table([own, held], schema=known), known)
    step = SampleHumans({"folder": str(tmp_path / "out")})
    receipt = step.part({"name": "all", "files": [{"url": str(tmp_path / f"d{number}.parquet")} for number in range(3)]})
    assert (receipt["documents"], receipt["sampled"]) == (180, 40)
    drawn = [
        keys[number][row]
        for number, entry in enumerate(receipt["files"])
        for row in tables.read([f"{tmp_path}/out/{entry['path']}"])["row"].to_pylist()
    ]
    eligible = {key for own in keys for key, yes in zip(own, held, strict=True) if yes}
    expected = sorted(eligible, key=lambda key: hashlib.sha256(f"calibrate {key}".encode()).digest())[:40]
    assert sorted(drawn) == sorted(expected)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of 140 human documents, one too short, and its index alone; a crawl in two parts."""
    base = tmp_path_factory.mktemp("calibrating")
    old = [Capture(f"http://old{i % 7}.example/{i}", page(f"old{i}")) for i in range(140)]
    write_warc(base / "old/a.warc.gz", [*old[:90], Capture("http://old.example/short", page("short", 20))])
    write_warc(base / "old/b.warc.gz", old[90:])
    new = [Capture(f"http://new.example/{i}", page(f"new{i}", 60 + i), LATER) for i in range(30)]
    write_warc(base / "new/c.warc.gz", [*new, Capture("http://new.example/few", page("few", 10), LATER)])
    write_warc(base / "new/d.warc.gz", [Capture("http://new.example/copy", old[3].body, LATER)])
    frozen([base / "old"], base / "snapshot")
    frozen([base / "old"], base / "index", index_only=True)
    return base


def curated(made: Path, into: str, workers: int = 1, against: tuple[str, ...] = ("snapshot",), **options: Any) -> dict[str, Any]:
    overrides = [(f"verdict.{name}", value) for name, value in options.items()]
    job = Job(quiet=True, workers=workers, overrides=[("read.part_bytes", "1000"), *overrides])
    return curate.run([str(made / "new")], str(made / into), [str(made / name) for name in against], job)


@pytest.fixture(scope="module")
def run(made: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    with pytest.MonkeyPatch.context() as patch:
        shipped = calibrations.with_cells(toolbox.calibration(), LOW)
        calibrations.install(patch, tmp_path_factory.mktemp("patched"), shipped)
        summary = curated(made, "run")
        curated(made, "run2", workers=2)
        return {"summary": summary, "calibration": shipped}


def tags(made: Path, name: str = "run") -> list[dict[str, Any]]:
    return tables.read(manifest.open_run(str(made / name)).files("tags")).to_pylist()


def test_the_manifest_says_what_the_detectors_say_of_the_snapshot(made, run):
    opened = manifest.open_run(str(made / "run"))
    found = opened.manifest["calibration"]
    snapshot = manifest.open_snapshot(str(made / "snapshot"))
    documents = tables.read(snapshot.files("documents"))
    eligible = sum(documents["eligible"].to_pylist())
    assert found["snapshots"] == [snapshot.id] and found["files"] == len(snapshot.files("documents"))
    assert found["documents"] == found["sampled"] == eligible == 140
    (cell,) = found["cells"]
    tools = toolbox.evidence_tools()
    rows = documents.filter(documents["eligible"]).combine_chunks().to_batches()[0]
    rows = rows.append_column("html", pa.repeat("", 140)).append_column("http_headers", pa.repeat("", 140))
    scored = combiner.combine(rows, evidence.score(rows, "page", tools, (calibrations.READS,)), calibrations.combiner(LOW))
    scores = [score for score in scored["score"].to_pylist() if score is not None]
    assert (found["scored"], cell["rows"]) == (len(scores), len(scores)) and len(scores) > calibrating.SMALLEST
    assert cell["flagged"]["0.01"] == sum(score >= -9.5 for score in scores)
    assert cell["quantiles"]["0.01"] == combiner.conformal(scores, "0.01") == cell["thresholds"]["0.01"]
    assert sum(cell["histogram"]) == len(scores)
    share = cell["flagged"]["0.01"] / len(scores)
    line = f"of {len(scores)} human documents of the snapshots the detectors would have flagged {cell['flagged']['0.01']} ({share:.2%})"
    assert run["summary"]["calibration"].startswith(line)


def test_tags_are_held_against_the_raised_threshold_and_name_it_in_their_rules(made, run):
    opened = manifest.open_run(str(made / "run"))
    raised = calibrating.raised(opened.manifest["calibration"], run["calibration"].combiner)
    bar = raised[LOW.name]["0.01"]
    found = tables.read(opened.files("evidence")).to_pylist()
    scores = {row["key"]: row["value"] for row in found if row["signal"] == "combined"}
    assert len(scores) == 31 and any(score < bar for score in scores.values())
    for row in tags(made):
        assert row["rules"] == evidence.rules(run["calibration"], Verdict(), raised) != opened.manifest["parameters"]["rules"]
        if row["origin"] == "human":
            assert row["basis"] == ["snapshot_match"]
            continue
        if row["key"] not in scores:
            assert "too short for a calibrated detector" in row["reason"] and row["p_machine"] is None
            continue
        assert (row["origin"] == "machine_generated") == (scores[row["key"]] >= bar)
        assert f"flagged from {bar:.3g} of the snapshot at a false-positive rate of 0.01" in row["reason"]
        odds = row["prior"] + row["log_likelihood_ratio"]
        assert math.isclose(row["p_machine"], 1 / (1 + math.exp(-odds)))
        assert math.isclose(row["prior"], math.log(0.141 / 0.859) + 0.5 * (math.log(0.161 / 0.839) - math.log(0.141 / 0.859)))
    assert [row["origin"] for row in tags(made)].count("human") == 1


def test_two_workers_write_the_same_bytes(made, run):
    one, two = (manifest.open_run(str(made / name)) for name in ("run", "run2"))
    assert one.manifest["files"] == two.manifest["files"] and one.id == two.id


def test_evidence_in_another_order_gives_the_same_tags(made, run):
    opened = manifest.open_run(str(made / "run"))
    documents = tables.read(opened.files("documents")).select(["key", "language", "word_count", "date", "id", "attestation"])
    found = tables.read(opened.files("evidence"))
    found = found.filter(pa.array([name != "combined" for name in found["signal"].to_pylist()]))
    given = run["calibration"]

    def made_of(rows: pa.Table) -> bytes:
        from provenance import verdict

        batch = documents.combine_chunks().to_batches()[0]
        decided = combiner.decide(combiner.combine(batch, rows, given.combiner), rows, given.combiner, "0.01")
        stands = pa.RecordBatch.from_pylist(batch.to_pylist(), schema=verdict.STANDING)
        out = verdict.verdict(stands, rows, given, Verdict(), decided)
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, out.schema) as writer:
            writer.write_batch(out)
        return sink.getvalue().to_pybytes()

    rng = np.random.default_rng(1)
    shuffled = [found.take(pa.array(rng.permutation(found.num_rows))) for _ in range(3)]
    assert {made_of(rows) for rows in shuffled} == {made_of(found)}


def test_the_run_is_whole(made, run):
    assert verify.run(str(made / "run"), None, Job(quiet=True))["exit_code"] in (0, 3)


def test_a_snapshot_without_texts_cannot_say_anything_and_that_is_told(made, run, monkeypatch, tmp_path):
    calibrations.install(monkeypatch, tmp_path, run["calibration"])
    summary = curated(made, "run-index", against=("index",))
    assert manifest.open_run(str(made / "run-index")).manifest["calibration"] is None
    assert "calibration" not in summary
    assert any("holds no texts: what the detectors would flag in it cannot be counted" in note for note in summary["notes"])
    assert {row["rules"] for row in tags(made, "run-index")} == {evidence.rules(run["calibration"], Verdict())}


def test_a_rate_that_the_file_does_not_have_is_told_before_any_work(made, run, monkeypatch, tmp_path):
    calibrations.install(monkeypatch, tmp_path, run["calibration"])
    with pytest.raises(UsageError, match=r"'0\.03' is none of the rates .* Give one of: 0\.005, 0\.01, 0\.02, 0\.05"):
        curated(made, "run-rate", false_positives="0.03")
    assert not (made / "run-rate").exists()


def test_a_damaged_file_of_the_snapshot_calibrates_nothing(made, run, monkeypatch, tmp_path):
    import shutil

    calibrations.install(monkeypatch, tmp_path, run["calibration"])
    broken = tmp_path / "broken"
    shutil.copytree(made / "snapshot", broken)
    file = sorted((broken / "documents").iterdir())[0]
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(bytes(data))
    opened = manifest.open_snapshot(str(broken))
    from pipelines import references

    with pytest.raises(CheckFailed):
        calibrating.run(lambda *a: None, None, [opened], references.Rows([opened]))


def test_files_are_drawn_from_all_snapshots_once(made, monkeypatch):
    opened = manifest.open_snapshot(str(made / "snapshot"))
    places = calibrating.chosen([opened, opened])
    assert len(places) == len(opened.files("documents")) and {place["scope"] for place in places} == {0}
    monkeypatch.setattr(calibrating, "FILES", 1)
    assert len(calibrating.chosen([opened])) == 1
    assert calibrating.chosen([manifest.open_snapshot(str(made / "index"))]) == []


def test_scores_are_those_of_the_crawls_own_way(made, run, monkeypatch, tmp_path):
    """A document of the crawl that equals one of the snapshot has its score."""
    opened = manifest.open_run(str(made / "run"))
    documents = tables.read(opened.files("documents"))
    copy = documents.filter(pa.array([url == "http://new.example/copy" for url in documents["url"].to_pylist()]))
    found = tables.read(opened.files("evidence")).to_pylist()
    score = next(row["value"] for row in found if row["signal"] == "combined" and row["key"] == copy["key"][0].as_py())
    calibrations.install(monkeypatch, tmp_path, run["calibration"])
    snapshot = manifest.open_snapshot(str(made / "snapshot"))
    for number, url in enumerate(snapshot.files("documents")):
        rows = tables.read([url], ["content_id"])["content_id"].to_pylist()
        if copy["content_id"][0].as_py() in rows:
            at = pa.table([[rows.index(copy["content_id"][0].as_py())]], schema=calibrating.PLACES)
            tables.write(str(tmp_path), "sample.parquet", at, calibrating.PLACES)
            step = ScoreHumans({"folder": str(tmp_path)})
            step.setup()
            step.part({"name": str(number), "snapshot": snapshot.id, "url": url, "sample": str(tmp_path / "sample.parquet")})
            (own,) = tables.read([f"{tmp_path}/scores/{number}.parquet"]).to_pylist()
            assert (own["score"], own["host"], own["cell"]) == (score, "old3.example", LOW.name)
            break
    else:
        pytest.fail("the document is in no file")


def test_the_shipped_manifest_field_is_json(made, run):
    opened = manifest.open_run(str(made / "run"))
    assert json.loads(json.dumps(opened.manifest["calibration"])) == opened.manifest["calibration"]
    assert pq.read_schema(opened.files("evidence")[0]).names == schema.EVIDENCE.names
