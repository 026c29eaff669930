"""The combiner against one written row by row, its abstentions, thresholds, and the coverage of conformal quantiles."""

import math
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import combiner, schema
from provenance.calibration import Combiner, Second
from tests import calibrations as made

PAIR = {"weights": {"a": 0.5, "b": -1.0}, "bias": 0.25, "within": {"a": (-5.0, 5.0), "c": (0.0, 1.0)}}
WHOLE = made.combiner(
    made.cell(words_from=50, words_below=100, **PAIR),
    made.cell(
        words_from=200,
        open_from=0.0,
        second=(Second(model=made.MODEL, weight=0.5, thresholds={"0.005": 5.0, "0.01": 2.5, "0.02": 2.0, "0.05": 1.0}),),
    ),
    made.cell(
        group="rest",
        languages=("de", "fr"),
        words_from=80,
        weights={"b": 1.0},
        thresholds={"0.005": 9.0, "0.01": 8.0, "0.02": 2.0, "0.05": 1.0},
    ),
)


def slow(language: str | None, words: int | None, values: dict[str, float], whole: Combiner = WHOLE) -> float | None:
    """The score of one document, as the definition says it; None where there is none."""
    for cell in whole.cells:
        if language not in cell.languages or words is None or words < cell.words_from:
            continue
        if cell.words_below is not None and words >= cell.words_below:
            continue
        if any(name not in values for name in (*cell.weights, *cell.within)):
            return None
        if any(not low <= values[name] <= high for name, (low, high) in cell.within.items()):
            return None
        return cell.bias + math.fsum(weight * values[name] for name, weight in cell.weights.items())
    return None


LANGUAGES = st.sampled_from(["en", "de", "fr", "ru", None, ""])
WORDS = st.none() | st.sampled_from([0, 49, 50, 99, 100, 199, 200, 10**6]) | st.integers(0, 300)
VALUES = st.dictionaries(
    st.sampled_from(["a", "b", "c", made.READS, "other"]), st.floats(-6, 6) | st.sampled_from([0.0, 5.0, -5.0, 1.0]), max_size=5
)


@settings(max_examples=300, deadline=None)
@given(found=st.lists(st.tuples(LANGUAGES, WORDS, VALUES), max_size=8), order=st.randoms(use_true_random=False))
def test_scores_are_those_of_the_definition(found, order):
    documents = made.documents(*((language, words) for language, words, _ in found))
    rows = [(str(i), name, value) for i, (_, _, values) in enumerate(found) for name, value in values.items()]
    rows.append(("elsewhere", "a", 1.0))
    expected = [slow(*document) for document in found]
    out = combiner.combine(documents, made.readings(*rows), WHOLE)
    assert out.schema.equals(combiner.SCORED)
    assert out["key"].to_pylist() == documents["key"].to_pylist()
    scores = out["score"].to_pylist()
    assert [score is None for score in scores] == [score is None for score in expected]
    assert all(a is None or math.isclose(a, b, rel_tol=1e-12, abs_tol=1e-12) for a, b in zip(scores, expected, strict=True))
    for row in out.to_pylist():
        assert (row["score"] is None) == (row["abstention"] in combiner.ABSTENTIONS) == bool(row["why"])
    order.shuffle(rows)
    assert combiner.combine(documents, made.readings(*rows), WHOLE).equals(out)


def test_a_score_depends_on_its_document_alone():
    rows = [(str(i), name, value) for i in range(500) for name, value in zip("ab", made.normal(i, 2), strict=True)]
    whole = made.combiner(made.cell(weights={"a": 0.1, "b": 0.7}))
    documents = made.documents(*[("en", 60)] * 500)
    together = combiner.combine(documents, made.readings(*rows), whole)
    alone = [combiner.combine(documents.slice(i, 1), made.readings(*rows), whole)["score"][0].as_py() for i in range(0, 500, 50)]
    assert together["score"].to_pylist()[::50] == alone


ABSTAINS = [
    (("en", 49), {}, "too short", "49 words, too short for a calibrated detector, which needs 50"),
    (("en", None), {}, "too short", "0 words"),
    (("de", 79), {}, "too short", "79 words, too short for a calibrated detector of language de, which needs 80"),
    (("ru", 300), {}, "language not calibrated", "covers language ru"),
    ((None, 300), {}, "language not calibrated", "a text of no known language"),
    (("en", 150), {}, "length not calibrated", "no calibrated detector of language en covers 150 words"),
    (("en", 60), {"a": 1.0, "c": 0.5}, "reading missing", "no reading of b,"),
    (("en", 60), {"a": 1.0, "b": 1.0}, "reading missing", "no reading of c,"),
    (("en", 60), {"a": 5.1, "b": 1.0, "c": 0.5}, "outside the calibrated range", "a reads 5.1, not -5 to 5"),
    (("en", 60), {"a": 1.0, "b": 1.0, "c": -0.1}, "outside the calibrated range", "c reads -0.1, not 0 to 1"),
    (("de", 80), {"b": math.inf}, "reading missing", "no reading of b"),
]


@pytest.mark.parametrize(("document", "values", "code", "words"), ABSTAINS)
def test_every_abstention_says_why(document, values, code, words):
    rows = made.readings(*(("0", name, value) for name, value in values.items()))
    out = combiner.combine(made.documents(document), rows, WHOLE)
    found = out.to_pylist()[0]
    assert (found["score"], found["abstention"]) == (None, code) and words in found["why"]
    decided = combiner.decide(out, rows, WHOLE, "0.01").to_pylist()[0]
    assert (decided["value"], decided["flagged"], decided["abstention"], decided["detail"]) == (None, None, code, found["why"])
    assert combiner.evidence(combiner.decide(out, rows, WHOLE, "0.01"), WHOLE).num_rows == 0


def test_bounds_of_a_range_belong_to_it():
    rows = made.readings(("0", "a", 5.0), ("0", "b", 0.0), ("0", "c", 1.0))
    assert combiner.combine(made.documents(("en", 99)), rows, WHOLE)["score"].to_pylist() == [2.75]


def test_nothing_in_gives_nothing_out():
    out = combiner.combine(made.documents(), made.readings(), WHOLE)
    assert out.num_rows == 0 and out.schema.equals(combiner.SCORED)
    assert combiner.decide(out, made.readings(), WHOLE, "0.01").schema.equals(combiner.DECIDED)


def test_what_would_count_twice_is_an_error():
    with pytest.raises(ValueError, match="two readings"):
        combiner.combine(made.documents(("en", 60)), made.readings(("0", "a", 1.0), ("0", "a", 1.0)), WHOLE)
    documents = made.documents(("en", 60))
    with pytest.raises(ValueError, match="stands there twice"):
        combiner.combine(pa.concat_batches([documents, documents]), made.readings(), WHOLE)


def one(score: float, rate: str = "0.01", whole: Combiner = WHOLE, words: int = 300, **further: object) -> dict[str, object]:
    """What is decided of one English document whose score is `score`."""
    further.setdefault("thresholds", None)
    reading = further.pop("reading", None)
    rows = made.readings(("0", made.READS, score), *([("0", combiner.SECOND, reading)] if reading is not None else []))
    scored = combiner.combine(made.documents(("en", words)), rows, whole)
    return combiner.decide(scored, rows, whole, rate, **further).to_pylist()[0]


@pytest.mark.parametrize(
    ("score", "rate", "flagged", "ratio"),
    [
        (3.0, "0.01", True, 2.5),
        (math.nextafter(3.0, 0), "0.01", False, 2.5),
        (3.5, "0.005", False, 2.5),
        (1.0, "0.05", True, 2.5 / 3),
        (-5.0, "0.05", False, -1.0),
        (-11.0, "0.05", False, -2.0),
    ],
)
def test_a_score_is_held_against_the_threshold_of_its_rate(score, rate, flagged, ratio):
    found = one(score, rate)
    assert (found["value"], found["flagged"], found["threshold"]) == (score, flagged, WHOLE.cells[1].thresholds[rate])
    assert found["log_likelihood_ratio"] == pytest.approx(ratio)
    assert "of the calibration file" in found["detail"] and f"rate of {rate}" in found["detail"]


def test_a_snapshot_raises_a_threshold_and_never_lowers_it():
    name = WHOLE.cells[1].name
    assert name == "en, 200 words and more" and WHOLE.cells[0].name == "en, 50 to 99 words"
    raised = one(3.2, thresholds={name: {"0.01": 3.5}})
    assert (raised["flagged"], raised["threshold"]) == (False, 3.5) and "of the snapshot" in raised["detail"]
    assert one(3.2, thresholds={name: {"0.01": 2.0}})["threshold"] == 3.0
    assert one(3.2, thresholds={"another": {"0.01": 9.0}})["flagged"]


def test_a_rate_without_thresholds_is_an_error():
    with pytest.raises(ValueError, match=r"'0\.03' is none of .* Give one of: 0\.005, 0\.01, 0\.02, 0\.05"):
        one(1.0, "0.03")
    combiner.check_rate(None, "0.03")


@pytest.mark.parametrize(("score", "left"), [(-0.1, False), (0.0, True), (2.999, True), (3.0, False), (3.2, False)])
def test_what_is_left_open(score, left):
    rows = made.readings(("0", made.READS, score))
    scored = combiner.combine(made.documents(("en", 300)), rows, WHOLE)
    assert combiner.open_documents(scored, WHOLE, "0.01").to_pylist() == [left]
    raised = {WHOLE.cells[1].name: {"0.01": 3.5}}
    assert combiner.open_documents(scored, WHOLE, "0.01", raised).to_pylist() == [left or score >= 3.0]


def test_without_a_score_nothing_is_open():
    scored = combiner.combine(made.documents(("en", 300), ("ru", 300)), made.readings(), WHOLE)
    assert combiner.open_documents(scored, WHOLE, "0.01").to_pylist() == [False, False]


def test_a_language_model_adds_to_what_is_left_open():
    found = one(2.0, reading=1.0, model=made.MODEL)
    assert (found["value"], found["threshold"], found["flagged"]) == (2.5, 2.5, True)
    assert "language_model 1" in found["detail"] and found["log_likelihood_ratio"] == pytest.approx(5 / 3)
    assert not one(2.0, reading=0.9, model=made.MODEL)["flagged"]
    assert one(2.0, reading=1.0, model="b" * 64)["value"] == 2.0
    assert one(2.0, reading=1.0)["value"] == 2.0
    assert one(-0.5, reading=9.0, model=made.MODEL)["value"] == -0.5
    assert one(3.5, reading=-9.0, model=made.MODEL)["flagged"]


def test_the_sum_is_held_against_a_threshold_that_snapshots_raise_too():
    raised = {WHOLE.cells[1].name: {"0.01": 3.5}}
    found = one(2.0, reading=1.0, model=made.MODEL, thresholds=raised)
    assert (found["threshold"], found["flagged"]) == (3.0, False)
    assert one(2.0, reading=2.0, model=made.MODEL, thresholds=raised)["flagged"]


def test_the_sum_may_have_knots_of_its_own():
    second = Second(
        model=made.MODEL, weight=1.0, thresholds=WHOLE.cells[1].thresholds, values=(0.0, 2.0), log_likelihood_ratios=(-1.0, 1.0)
    )
    whole = made.combiner(made.cell(open_from=0.0, second=(second,)))
    assert one(1.0, whole=whole, reading=1.5, model=made.MODEL)["log_likelihood_ratio"] == 1.0


def test_evidence_has_the_score_and_what_it_rests_on():
    rows = made.readings(("0", made.READS, 3.25))
    decided = combiner.decide(combiner.combine(made.documents(("en", 300)), rows, WHOLE), rows, WHOLE, "0.01")
    (row,) = combiner.evidence(decided, WHOLE).to_pylist()
    assert row == {
        "key": "0",
        "signal": "combined",
        "version": "t1",
        "value": 3.25,
        "detail": f"en, 200 words and more: {made.READS} 3.25; score 3.25, flagged from 3 of the calibration file at a false-positive rate of 0.01",
        "log_likelihood_ratio": 2.5,
    }
    assert combiner.evidence(decided, WHOLE).schema.equals(schema.EVIDENCE)


@pytest.mark.parametrize(
    ("count", "rate", "rank"),
    [
        (99, "0.01", 99),
        (98, "0.01", None),
        (100, "0.01", 100),
        (1999, "0.05", 1900),
        (199, "0.005", 199),
        (0, "0.5", None),
        (1, "0.5", 1),
    ],
)
def test_the_conformal_rank(count, rate, rank):
    assert rank is None or rank == math.ceil((count + 1) * (1 - Fraction(rate)))
    found = combiner.conformal(np.arange(1.0, count + 1.0)[::-1], rate)
    assert found == (None if rank is None else math.nextafter(rank, math.inf))


@pytest.mark.parametrize("rate", ["0.05", "0.1"])
def test_of_exchangeable_text_no_more_than_the_rate_is_flagged(rate):
    """Over many calibration sets the mean rate of flags is 1 - rank / (n + 1), which is below the stated rate."""
    rng = np.random.default_rng(7)
    flags = []
    for _ in range(2000):
        scores = rng.normal(size=60)
        bar = combiner.conformal(scores[:59], rate)
        flags.append(scores[59] >= bar)
    expected = float(1 - Fraction(math.ceil(60 * (1 - Fraction(rate))), 60))
    assert expected <= float(rate)
    assert abs(np.mean(flags) - expected) < 4 * math.sqrt(expected * (1 - expected) / 2000)


def test_the_greatest_quantile_of_the_sources_holds_for_a_new_source():
    """Sources of other means: pooled text breaks the rate on the worst of them, the greatest of the sources' quantiles keeps it on all
    but the new source that is itself the most extreme of k + 1, which is 1 in k + 1."""
    rng = np.random.default_rng(3)
    worst_pooled, kept, trials, known = [], [], 300, 9
    for _ in range(trials):
        means = rng.normal(scale=2.0, size=known + 1)
        sources = [rng.normal(mean, size=300) for mean in means]
        greatest = max(combiner.conformal(scores, "0.05") for scores in sources[:known])
        pooled = combiner.conformal(np.concatenate(sources[:known]), "0.05")
        kept.append((sources[known] >= greatest).mean() <= 0.10)
        worst_pooled.append((sources[known] >= pooled).mean() <= 0.10)
    assert np.mean(kept) >= known / (known + 1) - 3 * math.sqrt(0.09 / trials)
    assert np.mean(kept) > np.mean(worst_pooled)


def test_a_million_documents_take_seconds():
    count = 200_000
    keys = pa.array([f"{i:08x}" for i in range(count)])
    documents = pa.record_batch(
        [keys, pa.repeat(pa.scalar("en"), count), pa.array(np.full(count, 60, np.int32))], schema=made.DOCUMENTS
    )
    value = pa.array(made.normal(1, count))
    rows = pa.record_batch(
        [
            keys,
            pa.repeat(pa.scalar("a"), count),
            pa.repeat(pa.scalar("1"), count),
            value,
            pa.repeat(pa.scalar(""), count),
            pa.nulls(count, pa.float64()),
        ],
        schema=schema.EVIDENCE,
    )
    import time

    start = time.process_time()
    out = combiner.combine(documents, rows, made.combiner(made.cell(weights={"a": 1.0})))
    assert time.process_time() - start < 2
    assert out["score"].to_pylist() == value.to_pylist()
