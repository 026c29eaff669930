"""Cells: thresholds that hold for each source, tables that rise, and no cell where rows are few."""

import math

import msgspec
import numpy as np
import pytest

from pipelines.training import calibrate
from pipelines.training.rows import Row
from provenance import calibration

RANDOM = np.random.default_rng(1)


def sample(sources: int = 5, human: int = 200, machine: int = 400, language: str = "en", shift: float = 4.0) -> calibrate.Scored:
    rows, values = [], []
    for i in range(sources * human + machine):
        by_machine = i >= sources * human
        source = "generated" if by_machine else f"s{i % sources}"
        rows.append(Row(f"{i:06}", "t", language, 60, by_machine, source, f"g{i}", "model" if by_machine else ""))
        values.append(RANDOM.normal(shift if by_machine else 0.3 * (i % sources), 1.5, 3))
    found = np.array(values)
    return calibrate.Scored(tuple(rows), found, found)


def test_threshold_holds_for_each_source():
    scores = np.concatenate([RANDOM.normal(0, 1, 5000), RANDOM.normal(2, 1, 500), RANDOM.normal(9, 1, 30)])
    sources = np.array(["easy"] * 5000 + ["hard"] * 500 + ["tiny"] * 30)
    bar = calibrate.threshold(scores[:5500], sources[:5500], "0.01")
    assert (scores[:5000] >= bar).mean() <= 0.01 and 0.01 < (scores[5000:5500] >= bar).mean() <= 0.02
    assert bar > calibrate.threshold(scores[:5000], sources[:5000], "0.01")
    bars = [calibrate.threshold(scores[:5500], sources[:5500], rate) for rate in calibrate.RATES]
    assert bars == sorted(bars, reverse=True)


def test_small_sources_count_together():
    scores = np.concatenate([RANDOM.normal(0, 1, 1000), RANDOM.normal(5, 1, 120)])
    sources = np.array(["large"] * 1000 + [f"small{i % 4}" for i in range(120)])
    assert calibrate.threshold(scores, sources, "0.01") > 5


def test_weights_are_never_negative():
    machine = RANDOM.random(2000) < 0.5
    values = np.column_stack([RANDOM.normal(machine * 2.0, 1), RANDOM.normal(machine * -2.0, 1), RANDOM.normal(0, 1, 2000)])
    found = calibrate.logistic(values, machine, np.ones(2000))
    assert found[0] > 1 and (found[:-1] >= 0).all() and found[1] == 0


def test_newton_by_hand():
    """Three of four with x = 1 and one of four with x = 0: intercept log(1/3), slope log(9)."""
    design = np.array([[1.0, x] for x in (0, 0, 0, 0, 1, 1, 1, 1)])
    labels = np.array([1, 0, 0, 0, 1, 1, 1, 0], np.float64)
    assert calibrate.newton(design, labels, np.ones(8), np.zeros(2)) == pytest.approx([math.log(1 / 3), math.log(9)])


def test_sources_count_the_same():
    scored = sample(sources=2, human=150, machine=400)
    rows = [*scored.rows, *(msgspec.structs.replace(scored.rows[0], digest=f"x{i}") for i in range(900))]
    weight = calibrate.even(rows)
    total = {name: sum(w for row, w in zip(rows, weight, strict=True) if row.source == name) for name in ("s0", "s1", "generated")}
    assert total["s0"] == pytest.approx(total["s1"]) and total["generated"] == pytest.approx(total["s0"] + total["s1"])


def test_cell_is_valid_and_holds():
    found = calibrate.combiner(sample(), "made up")
    (cell,) = found.cells
    assert cell.name == "en, 50 to 99 words" and cell.human_rows == 1000 and cell.machine_rows == 400
    scored = sample()
    values = scored.values @ [cell.weights[name] for name in calibrate.SIGNALS] + cell.bias
    human = np.array([not row.machine for row in scored.rows])
    assert (values[human] >= cell.thresholds["0.01"]).mean() <= 0.015
    ratios = cell.log_likelihood_ratios
    assert list(ratios) == sorted(ratios) and max(map(abs, ratios)) <= calibration.LLR_BOUND
    assert sum(cell.human) == pytest.approx(1) and sum(cell.machine) == pytest.approx(1) and len(cell.human) == len(cell.edges) + 1
    low, high = cell.true_positives["0.01"]
    assert low == high == pytest.approx((values[~human] >= cell.thresholds["0.01"]).mean(), abs=0.06)


@pytest.mark.parametrize("few", [{"machine": 100}, {"sources": 3}, {"human": 50}, {"language": "fr"}])
def test_no_cell_where_rows_are_few(few):
    assert calibrate.combiner(sample(**few), "made up").cells == ()


def test_llr_keeps_the_order_of_scores_and_its_bound():
    machine = RANDOM.random(3000) < 0.4
    scores = RANDOM.normal(machine * 2.5, 1.2)
    apart = np.where(machine, scores - 2, np.nan)
    values, ratios = calibrate.knots(scores, apart, machine, np.ones(3000))
    places = np.linspace(scores.min() - 5, scores.max() + 5, 500)
    found = [calibration.between(values, ratios, place) for place in places.tolist()]
    assert found == sorted(found) and len(set(found)) == 500
    assert max(map(abs, found)) <= calibration.LLR_BOUND and found[0] < -0.5 < 1.5 < found[-1]
    known, _ = calibrate.knots(scores, np.full(3000, np.nan), machine, np.ones(3000))
    assert len(known) == len(values)


def test_machine_text_of_unknown_sources_weakens_the_llr():
    machine = RANDOM.random(4000) < 0.5
    scores = RANDOM.normal(machine * 3.0, 1)
    strong = calibrate.knots(scores, np.full(4000, np.nan), machine, np.ones(4000))
    weak = calibrate.knots(scores, np.where(machine, scores - 3, np.nan), machine, np.ones(4000))
    assert calibration.between(*weak, 4.0) < calibration.between(*strong, 4.0)
    assert calibration.between(*weak, -1.0) > calibration.between(*strong, -1.0)


def test_a_rising_sequence_is_left_and_a_falling_pair_is_pooled():
    assert calibrate._rising([0, 1, 2], [0.0, 1.0, 2.0], [1, 1, 1]) == pytest.approx([0, 1, 2])
    assert calibrate._rising([0, 1], [1.0, 0.0], [1, 3]) == pytest.approx([0.25 - 0.0075, 0.25 + 0.0025])


def test_a_source_in_several_languages_is_held_to_the_rate_in_each():
    rows, values = [], []
    for i in range(2400):
        language, hard = ("de", "ru")[i % 2], i % 12 == 1
        rows.append(Row(f"{i:06}", "t", language, 60, False, f"s{i % 12 // 2}", f"g{i}", ""))
        values.append(RANDOM.normal(3.0 if hard else 0.0, 1, 3))
    for i in range(300):
        rows.append(Row(f"m{i:05}", "t", "de", 60, True, "generated", f"m{i}", "model"))
        values.append(RANDOM.normal(5, 1, 3))
    found = np.array(values)
    (cell,) = calibrate.combiner(calibrate.Scored(tuple(rows), found, found), "made up").cells
    assert cell.group == "other" and "s0 de" in cell.sources and "s0 ru" in cell.sources
    scores = found @ [cell.weights[name] for name in calibrate.SIGNALS] + cell.bias
    worst = [i for i in range(2400) if i % 12 == 1]
    assert (scores[worst] >= cell.thresholds["0.01"]).mean() <= 0.01
