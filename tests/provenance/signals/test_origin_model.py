"""Where the detectors of model text stay silent, what a reading holds, and that the shipped weights do what their card says."""

from importlib import resources
from types import SimpleNamespace

import numpy as np
import pytest

from provenance import characters, combiner, evidence, lines, signals, style
from provenance.signals import _text, character_model, stylometry
from provenance.signals.origin_model import log_odds, origin_model
from tests.provenance.signals.pages import TOOLS, batch

MODELS = resources.files("provenance").joinpath("models")
DETECTORS = {"origin_model": origin_model, "character_model": character_model.character_model, "stylometry": stylometry.stylometry}


def stub(probability: float) -> signals.Tools:
    labels = ("__label__machine", "__label__human")
    weights = np.full(1 << characters.BITS, probability, np.float32)
    nothing = np.zeros(0, np.uint64)
    empty = np.zeros(0, np.int32)
    return signals.Tools(
        calibration=TOOLS.calibration,
        origin_model=SimpleNamespace(predict=lambda line, k: (labels, (probability, 1 - probability))),
        character_model=characters.Model(weights, 0.0),
        stylometry=style.Trees(empty, empty, np.zeros(0), empty, empty, np.zeros(0), probability, nothing, nothing),
    )


def test_log_odds_are_bounded():
    assert log_odds(stub(1.00001).origin_model, ["a"])[0] == pytest.approx(10)
    assert log_odds(SimpleNamespace(predict=lambda line, k: (("__label__human",), (1.0,))), ["a"])[0] == pytest.approx(-10)
    assert log_odds(stub(0.5).origin_model, ["a"])[0] == pytest.approx(0)
    assert len(log_odds(stub(0.5).origin_model, [])) == 0


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("row", [{"word_count": 24}, {"language": "fr"}, {"language": None}, {"word_count": None}])
def test_silent_where_it_does_not_apply(name, row):
    assert DETECTORS[name](batch({"text": "word " * 60, "word_count": 60} | row), stub(0.9)).num_rows == 0


@pytest.mark.parametrize("name", DETECTORS)
def test_silent_without_a_model(name):
    assert DETECTORS[name](batch({"text": "word " * 60, "word_count": 60}), TOOLS).num_rows == 0


@pytest.mark.parametrize(("name", "value"), [("origin_model", 2.197), ("stylometry", 0.9)])
def test_reading_has_language_and_length(name, value):
    pages = batch({"language": "fr"}, {"text": "word " * 60, "word_count": 60})
    found = DETECTORS[name](pages, stub(0.9)).to_pylist()
    assert [row["key"] for row in found] == ["1"]
    assert found[0]["value"] == pytest.approx(value, abs=1e-3) and found[0]["detail"] == "en, 60 words"


def test_detectors_have_no_weight_of_their_own():
    shipped = evidence.read_calibration(resources.files("provenance").joinpath("calibration.json").read_bytes())
    for name in DETECTORS:
        weight = shipped.weight(name, signals.versions()[name])
        assert weight is not None and not weight.tables and weight.decides_from is None


@pytest.fixture(scope="module")
def shipped() -> signals.Tools:
    pytest.importorskip("fasttext")
    from pipelines import toolbox

    return toolbox.evidence_tools()


def test_shipped_models_are_small_and_have_their_card():
    size = sum(len(MODELS.joinpath(name).read_bytes()) for name in ("origin.ftz", "characters.npz", "style.npz"))
    assert size < 20_000_000
    card = MODELS.joinpath("origin.md").read_text(encoding="utf-8")
    assert "Not for" in card and "licence" in card and all(language in card for language in _text.LANGUAGES)


def test_a_reading_does_not_depend_on_the_batch(shipped):
    texts = [
        {"text": f"Furthermore, it is important to note that this matters in case {i}. " * 9, "word_count": 110} for i in range(5)
    ]
    for name, signal in DETECTORS.items():
        together = signal(batch(*texts), shipped).column("value").to_pylist()
        assert together == [signal(batch(text), shipped).column("value")[0].as_py() for text in texts], name


def test_readings_survive_odd_text(shipped):
    odd = ["\ud800\udfff" * 50, "\0" * 300, "a" * 100_000, "\u202e" * 300, "字" * 300, ". " * 300, "\U0001f600 " * 300, ""]
    pages = batch(*({"text": text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"), "word_count": 60} for text in odd))
    for name, signal in DETECTORS.items():
        values = signal(pages, shipped).column("value").to_pylist()
        assert len(values) == len(odd) and np.isfinite(values).all(), name


def test_shipped_models_keep_their_false_positive_rate(shared, shipped):
    """Human prose of before 2022: at most 2 % of the texts are flagged; of machine text a share is."""
    import pyarrow.parquet as pq

    human = pq.read_table(shared / "human_pre2022/git-certified-prose.parquet", columns=["text", "lang"]).slice(0, 400).to_pylist()
    machine = (
        pq.read_table(
            shared / "labelled/dev-main.parquet",
            columns=["text", "lang", "label"],
            filters=[("label", "=", "machine"), ("lang", "=", "en")],
        )
        .slice(0, 400)
        .to_pylist()
    )
    found = shipped.calibration.combiner
    assert found is not None

    def tagged(rows: list[dict]) -> float:
        pages = batch(*({"text": r["text"], "language": r["lang"], "word_count": len(r["text"].split())} for r in rows))
        readings = evidence.score(pages, "page", shipped)
        decided = combiner.decide(combiner.combine(pages, readings, found), readings, found, "0.01")
        return sum(bool(flag) for flag in decided.column("flagged").to_pylist()) / len(rows)

    assert tagged(human) <= 0.02
    assert tagged(machine) >= 0.25


def test_lines_are_what_the_models_read(shipped):
    """Case, digits, quotation marks, line breaks and Markdown say nothing."""
    plain = "It was in 2015 that the committee said so; and nobody knew why. " * 6
    marked = plain.upper().replace("2015", "“1999”").replace(". ", ".\n\n- ")
    assert lines.words(lines.line(plain)) == lines.words(lines.line(marked))
