"""What the model reads, where it stays silent, and that the shipped weights do what their card says."""

from importlib import resources
from types import SimpleNamespace

import pytest

from provenance import evidence, signals
from provenance.signals.origin_model import LANGUAGES, log_odds, origin_model, tokens
from tests.provenance.signals.pages import TOOLS, batch

PACKAGE = resources.files("provenance")


def stub(probability: float) -> signals.Tools:
    labels = ("__label__machine", "__label__human")
    return signals.Tools(
        calibration=TOOLS.calibration,
        origin_model=SimpleNamespace(predict=lambda line, k: (labels, (probability, 1 - probability))),
    )


def test_leaks_of_the_training_table_are_gone():
    assert tokens('# A **bold**\n\n"claim"  and “another”, it\'s 2015:\n- _one_') == tokens(
        "A bold claim and another, it s 0000: one"
    )
    assert tokens("是的，通过") == "是 的 , 通 过"
    assert "\n" not in tokens("a\nb\x0bc\u2028d")


def test_log_odds_are_bounded():
    assert log_odds(stub(1.00001).origin_model, ["a"])[0] == pytest.approx(10)
    assert log_odds(SimpleNamespace(predict=lambda line, k: (("__label__human",), (1.0,))), ["a"])[0] == pytest.approx(-10)
    assert log_odds(stub(0.5).origin_model, ["a"])[0] == pytest.approx(0)
    assert len(log_odds(stub(0.5).origin_model, [])) == 0


@pytest.mark.parametrize("row", [{"word_count": 49}, {"language": "fr"}, {"language": None}, {"word_count": None}])
def test_silent_where_it_does_not_apply(row):
    assert origin_model(batch({"text": "word " * 60, "word_count": 60} | row), stub(0.9)).num_rows == 0


def test_silent_without_a_model():
    assert origin_model(batch({"text": "word " * 60, "word_count": 60}), TOOLS).num_rows == 0


def test_reading_has_language_and_length():
    found = origin_model(batch({"text": "word " * 60, "word_count": 60}), stub(0.9)).to_pylist()[0]
    assert found["value"] == pytest.approx(2.197, abs=1e-3) and found["detail"] == "en, 60 words" and found["group"] == "en"


@pytest.fixture(scope="module")
def shipped() -> signals.Tools:
    fasttext = pytest.importorskip("fasttext")
    calibration = evidence.read_calibration(PACKAGE.joinpath("calibration.json").read_bytes())
    with resources.as_file(PACKAGE.joinpath("models/origin.ftz")) as path:
        return signals.Tools(calibration=calibration, origin_model=fasttext.load_model(str(path)))


def test_shipped_model_is_small_and_has_its_card():
    assert len(PACKAGE.joinpath("models/origin.ftz").read_bytes()) < 2_000_000
    card = PACKAGE.joinpath("models/origin.md").read_text(encoding="utf-8")
    assert "Not for" in card and "licence" in card and all(language in card for language in LANGUAGES)


def test_shipped_model_keeps_its_false_positive_rate(shared, shipped):
    """Old prose that training did not see: at most 2 % reach the weight that makes a tag, and machine text reaches it."""
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

    def tagged(rows: list[dict]) -> float:
        pages = batch(*({"text": r["text"], "language": r["lang"], "word_count": len(r["text"].split())} for r in rows))
        found = [r for r in evidence.score(pages, "page", shipped).to_pylist() if r["signal"] == "origin_model"]
        return sum((r["log_likelihood_ratio"] or 0) >= 3 for r in found) / len(found)

    assert tagged(human) <= 0.02
    assert tagged(machine) >= 0.05
