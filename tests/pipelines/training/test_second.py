"""Calibration of a language model for what the cheap signals leave open: the stated rate holds with it, and nothing else changes."""

import math

import msgspec
import numpy as np
import pytest

from pipelines.training import second
from provenance.calibration import Calibration, Cell, Combiner, Weight, between
from provenance.identity import sha256_hex
from provenance.likelihood import Statistics

RATES = ("0.01", "0.05")


def cell(human_scores, sources, **changes):
    """A cell whose thresholds follow the rule of `make model`."""
    of = second.Scored(np.zeros(len(human_scores), bool), sources, human_scores, np.full(len(human_scores), math.nan))
    bare = Cell(
        group="en", languages=("en",), words_from=50, weights={"origin_model": 1.0}, thresholds=dict.fromkeys(RATES, math.inf)
    )
    thresholds = {rate: second.threshold(np.where(np.isfinite(of.score), of.score, 0), sources, rate) for rate in RATES}
    return msgspec.structs.replace(bare, thresholds=thresholds, **changes)


def made_up(seed, machine_reading=1.5, sources=5, each=400):
    """Scores and readings that both tell the classes apart, independent given the class."""
    random = np.random.default_rng(seed)
    count = sources * each
    machine = np.repeat([False, True], count)
    source = np.tile(np.repeat([f"source {i}" for i in range(sources)], each), 2)
    score = random.normal(np.where(machine, 1.5, 0.0), 1.0)
    reading = random.normal(np.where(machine, machine_reading, 0.0), 1.0)
    return second.Scored(machine, source, score, reading)


def fitted(of):
    human = ~of.machine
    made = cell(of.score[human], of.source[human])
    made = msgspec.structs.replace(made, open_from=second.open_from(of))
    left = (of.score >= made.open_from) & (of.score < max(made.thresholds.values()))
    of = of._replace(reading=np.where(left, of.reading, math.nan))
    return of, made, second.second(of, made, "model")


def test_an_informative_reading_adds_and_the_rate_holds_on_new_text():
    _, made, found = fitted(made_up(1))
    fresh = made_up(2)
    for rate in RATES:
        strengths = second.strength(fresh, made, found.weight, rate)
        first, both = np.isposinf(strengths), strengths >= found.thresholds[rate]
        assert both[first].all()
        assert both[~fresh.machine].mean() <= float(rate) + 0.005
        gain = both[fresh.machine].mean() - first[fresh.machine].mean()
        assert gain > (0.02 if rate == "0.01" else 0.005)
    assert 0.5 < found.weight < 3
    assert list(found.values) == sorted(found.values) and list(found.log_likelihood_ratios) == sorted(found.log_likelihood_ratios)
    assert found.log_likelihood_ratios[-1] > 0 and max(map(abs, found.log_likelihood_ratios)) <= 3


def test_ratios_stand_where_their_steps_have_their_middle():
    """Over open texts, each class weighing the same, the probabilities that follow average about one half; ratios at the lower ends of
    their steps would give .58."""
    of, made, found = fitted(made_up(1))
    left = np.isfinite(of.reading) & (of.score < made.thresholds["0.01"])
    of = second.Scored(*(column[left] for column in of))
    ratios = [
        between(found.values, found.log_likelihood_ratios, total) for total in (of.score + found.weight * of.reading).tolist()
    ]
    assert np.average(1 / (1 + np.exp(-np.array(ratios))), weights=second.balanced(of)) == pytest.approx(0.5, abs=0.05)


def test_a_reading_that_says_nothing_or_the_reverse_is_not_weighed():
    assert fitted(made_up(3, machine_reading=-1.0))[2] is None
    useless = fitted(made_up(4, machine_reading=0.0))[2]
    assert useless is None or useless.weight < 0.5


def test_no_source_is_flagged_above_the_rate_where_thresholds_come_from_it():
    of = made_up(5)
    hard = (of.source == "source 0") & ~of.machine
    of = of._replace(reading=np.where(hard, of.reading + 2, of.reading))
    of, made, found = fitted(of)
    both = second.strength(of, made, found.weight, "0.01") >= found.thresholds["0.01"]
    for rows in second.by_source(of.source[~of.machine]).values():
        assert both[~of.machine][rows].mean() <= 0.02


def test_a_source_that_spends_the_rate_on_its_scores_leaves_nothing():
    scores = np.concatenate([np.full(5, math.inf), np.full(395, -math.inf)])
    assert second.threshold(scores, np.full(400, "one"), "0.01") == math.inf
    scores = np.concatenate([np.arange(8.0), np.full(392, -math.inf)])
    assert second.threshold(scores, np.full(400, "one"), "0.01") == pytest.approx(4.0)


def test_small_sources_are_judged_together():
    assert list(second.by_source(np.array(["a"] * 120 + ["b"] * 60 + ["c"] * 60))) == ["a", second.TOGETHER]
    assert list(second.by_source(np.array(["a"] * 120 + ["b"] * 6))) == ["a"]


def test_open_from_is_the_share_of_human_text():
    of = made_up(6)
    assert (of.score[~of.machine] >= second.open_from(of, 0.1)).mean() == pytest.approx(0.1, abs=0.001)


class Fake:
    """Reads the number that a text begins with."""

    identity = "fa" * 32

    def __init__(self):
        self.asked = []

    def statistics(self, texts):
        self.asked += texts
        return [Statistics(100, 0.0, 1.0, 0.0, -float(text.split()[0]), 0.0, 1.0) for text in texts]


def table(of):
    reading = [f"{value:.4f} text {i}" for i, value in enumerate(of.reading)]
    return {
        "digest": [sha256_hex(text.encode()) for text in reading],
        "text": reading,
        "language": ["en"] * len(reading),
        "words": [60] * len(reading),
        "label": ["machine" if machine else "human" for machine in of.machine],
        "source": of.source.tolist(),
        "score": of.score.tolist(),
    }


def test_only_open_texts_are_read_once_and_the_rest_of_the_file_stays(tmp_path):
    of = made_up(7, each=200)
    human = ~of.machine
    own = cell(of.score[human], of.source[human])
    other = msgspec.structs.replace(own, group="other", languages=("de", "ru"))
    calibration = Calibration(
        signals={"origin_model@1": Weight(source="s")}, combiner=Combiner(version="1", source="s", cells=(own, other))
    )
    model = Fake()
    run = lambda: second.calibrated(calibration, table(of), model, second.Cache(tmp_path, model.identity))  # noqa: E731
    found, lines = run()
    made = found.combiner.cells[0]
    scores = dict(zip(table(of)["text"], of.score, strict=True))
    assert model.asked and all(made.open_from <= scores[text] < max(own.thresholds.values()) for text in model.asked)
    assert [one.model for one in made.second] == [model.identity] and set(made.second[0].thresholds) == set(RATES)
    assert msgspec.structs.replace(made, second=(), open_from=None) == own
    assert found.combiner.cells[1] == other and found.signals == calibration.signals
    assert "left-out human source" in lines[0] and "too few" in lines[1]
    asked = len(model.asked)
    assert run()[0] == found and len(model.asked) == asked
    again, _ = second.calibrated(found, table(of), model, second.Cache(tmp_path, model.identity))
    assert again == found
