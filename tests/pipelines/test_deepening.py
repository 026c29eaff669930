"""The stage `model` with a made-up language model: who is asked, what a reading adds, what is told, and the same bytes each time."""

import hashlib
from pathlib import Path

import duckdb
import msgspec
import pytest

from pipelines import curate, deepening, language_models
from pipelines.cli import Job
from pipelines.language_models import Located, Place
from provenance.calibration import Second
from provenance.likelihood import LanguageModel, Statistics
from provenance.signals.watermark import Watermark
from store import manifest
from store.errors import UsageError
from tests import calibrations
from tests.builders import Capture, frozen, html, prose, write_warc

IDENTITY = "1d" * 32
LATER = "2025-03-04T05:06:07Z"
OVERRIDES = (("lm.model", "somewhere"),)


class Fake:
    """Entropy by the text's digest; writes down what it was asked."""

    asked: list[str] = []  # noqa: RUF012 - one list for all that are made

    def __init__(self, options, located):
        self.identity = located.identity

    def statistics(self, texts):
        self.asked.extend(texts)
        return [Statistics(100, -2.0, 2.0, 0.5, fraction(text), 0.0, 1.0) for text in texts]


def fraction(text: str) -> float:
    return round(hashlib.sha256(text.encode()).digest()[0] / 256, 4)


def cell(**changes):
    """All English texts are open unless `changes` say otherwise."""
    second = Second(model=IDENTITY, weight=100.0, thresholds={"0.005": -49.0, "0.01": -50.0, "0.02": -51.0, "0.05": -52.0})
    within = {"open_from": -100.0, "thresholds": dict.fromkeys(("0.005", "0.01", "0.02", "0.05"), 100.0), "second": (second,)}
    return calibrations.cell(**(within | changes))


@pytest.fixture(scope="module")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot, and a crawl of which one page is a copy of it and one is short."""
    base = tmp_path_factory.mktemp("deepening")
    old = [Capture(f"http://old.example/{i}", html(prose(i))) for i in range(4)]
    write_warc(base / "old/a.warc.gz", old)
    write_warc(
        base / "new/b.warc.gz",
        [
            Capture("http://new.example/copy", old[1].body, LATER),
            Capture("http://new.example/short", html("Only a few words stand here."), LATER),
            *(Capture(f"http://new.example/{i}", html(prose(100 + i)), LATER) for i in range(8)),
        ],
    )
    with pytest.MonkeyPatch.context() as patch:
        calibrations.install(patch, base / "calibration", calibrations.calibration(cell()))
        frozen([base / "old"], base / "snapshot")
    return base


@pytest.fixture
def base(inputs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the inputs; the language model is made up, and all that is long enough is open."""
    monkeypatch.setattr(language_models, "Lazy", Fake)
    located = Located(Place("somewhere"), None, IDENTITY, {"model": ["ab" * 32]})
    monkeypatch.setattr(language_models, "locate", lambda options: located)
    monkeypatch.setattr(Fake, "asked", [])
    calibrations.install(monkeypatch, tmp_path / "calibration", calibrations.calibration(cell()))
    for name in ("new", "snapshot"):
        (tmp_path / name).symlink_to(inputs / name)
    return tmp_path


def run(base: Path, name: str = "run", overrides=OVERRIDES) -> dict:
    return curate.run([str(base / "new")], str(base / name), [str(base / "snapshot")], Job(quiet=True, overrides=overrides))


def evidence(run: Path) -> list[tuple]:
    return duckdb.sql(
        f"select url, value, detail from '{run}/evidence/*.parquet' join '{run}/documents/*.parquet' using (key) "
        "where signal = 'language_model' order by url"
    ).fetchall()


def test_only_what_is_open_is_read_and_the_share_is_told(base):
    told = run(base)
    asked = evidence(base / "run")
    assert [url for url, *_ in asked] == [f"http://new.example/{i}" for i in range(8)]
    assert len(Fake.asked) == 8
    counts = manifest.open_run(str(base / "run")).manifest["counts"]
    assert (counts["left_open"], counts["read_by_language_model"]) == (8, 8)
    assert (told["left_open"], told["read_by_language_model"]) == (8, 8)
    assert any("left 8 of 10 documents open (80.0%)" in note for note in told["notes"])


def test_what_it_reads_decides(base):
    run(base)
    rows = duckdb.sql(
        f"select text, origin from '{base}/run/tags/*.parquet' join '{base}/run/documents/*.parquet' using (key) "
        "where url similar to '.*new.example/[0-9]'"
    ).fetchall()
    by_reading = {origin: [fraction(text) for text, own in rows if own == origin] for origin in ("machine_generated", "unknown")}
    assert len(rows) == 8 and min(map(len, by_reading.values())) >= 1
    assert max(by_reading["machine_generated"]) < min(by_reading["unknown"])


def test_nothing_open_means_no_question(base, monkeypatch):
    calibrations.install(monkeypatch, base / "calibration", calibrations.calibration(cell(open_from=None)))
    assert run(base)["left_open"] == 0 and Fake.asked == []


def test_a_model_that_is_not_calibrated_reads_and_weighs_nothing(base, monkeypatch):
    calibrations.install(monkeypatch, base / "calibration", calibrations.calibration(cell(second=())))
    told = run(base)
    assert len(evidence(base / "run")) == 8 and any("weigh nothing" in note and IDENTITY in note for note in told["notes"])
    assert told["origins"]["machine_generated"] == 0


def test_without_a_model_there_is_no_stage(base):
    told = run(base, overrides=())
    assert "left_open" not in told and evidence(base / "run") == []


def test_the_manifest_names_the_model_by_its_weights_and_not_by_its_place(base):
    first = run(base)
    found = manifest.open_run(str(base / "run")).manifest
    assert found["config"]["lm"]["model"] == "sha256:" + "ab" * 32 and found["parameters"]["causal_model"] == IDENTITY
    assert b"somewhere" not in (base / "run/manifest.json").read_bytes()
    again = run(base, "again", (("lm.model", "elsewhere"),))
    assert again["id"] == first["id"]
    assert run(base)["id"] == first["id"]


def test_another_model_is_another_run(base):
    run(base)
    with pytest.raises(UsageError):
        run(base, overrides=())


def test_an_observer_alone_is_refused():
    with pytest.raises(UsageError, match=r"without lm\.model"):
        deepening.locate({"lm": LanguageModel(observer="base"), "watermark": Watermark()})
    assert deepening.locate({"lm": LanguageModel(), "watermark": Watermark()}) is None


def test_a_stage_context_survives_the_way_to_a_worker():
    located = Located(Place("a", "b.gguf"), Place("c"), IDENTITY, {"model": ["1"], "observer": ["2"]})
    assert msgspec.convert(msgspec.json.decode(msgspec.json.encode(deepening.context(located, 3)["located"])), Located) == located
