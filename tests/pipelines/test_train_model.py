"""Calibration of the origin model: bounds that weaken, thresholds on human text, tables that rise."""

import hashlib
import math

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import train_model
from pipelines.model_card import card
from provenance import evidence
from provenance.signals import origin_model as signal

RANDOM = np.random.default_rng(1)


def test_wilson_bounds():
    """Ten of ten: the lower 95 % bound is 0.722 (SCIENCE 2.7 prints 72 %)."""
    assert train_model.wilson(10, 10, -1.96) == pytest.approx(0.722, abs=1e-3)
    assert train_model.wilson(0, 100, 1.96) == pytest.approx(0.037, abs=1e-3)


def test_threshold_holds_for_all_and_for_each_source():
    human = np.concatenate([RANDOM.normal(0, 1, 5000), RANDOM.normal(2, 1, 500)])
    sources = np.array(["easy"] * 5000 + ["hard"] * 500)
    bar = train_model.threshold(human, sources)
    assert (human >= bar).mean() <= 0.01
    assert (human[5000:] >= bar).mean() <= 0.02
    assert bar > train_model.threshold(human, np.array(["one"] * 5500))


def test_tables_rise_and_stay_in_bounds():
    human, machine = RANDOM.normal(0, 2, 4000), RANDOM.normal(4, 2, 2000)
    bar = train_model.threshold(human, np.array(["one"] * 4000))
    table = train_model.table("en", human, machine, bar)
    ratios = table.log_likelihood_ratios
    assert list(ratios) == sorted(ratios) and max(map(abs, ratios)) <= evidence.LLR_BOUND
    assert table.values[0] == -10 and table.values[-1] == pytest.approx(bar, abs=1e-3) and ratios[-1] == 3.0 and ratios[-2] < 3.0
    few = train_model.table("en", human[:300], machine[:45], bar)
    assert few.log_likelihood_ratios[-1] < ratios[-1] or ratios[-1] == 3.0
    mixed = train_model.table("en", human, human, bar)
    assert all(abs(r) < 0.2 for r in mixed.log_likelihood_ratios)


def test_auroc():
    assert train_model.auroc(np.array([1.0, 2.0]), np.array([0.0, 1.0])) == 0.875
    assert math.isnan(train_model.auroc(np.array([]), np.array([1.0])))


def test_groups_stay_on_one_side(tmp_path):
    rows = [
        {"text": f"text {i} of group {i // 4}", "label": "human", "lang": "en", "source": "S (part)", "group": f"g{i // 4}"}
        for i in range(400)
    ]
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "t.parquet")
    kept, held = train_model.split([tmp_path / "t.parquet"])
    group = {hashlib.sha256(row["text"].encode()).hexdigest(): row["group"] for row in rows}
    assert len(kept) + len(held) == 400 and held
    assert not {group[row.order] for row in kept} & {group[row.order] for row in held}
    assert {row.source for row in kept} == {"S"} and {row.licence for row in kept} == {"none stated"}


def test_unlabelled_rows_are_refused(tmp_path):
    pq.write_table(pa.table({"text": ["a"]}), tmp_path / "t.parquet")
    with pytest.raises(ValueError, match="without a label"):
        train_model.split([tmp_path / "t.parquet"])
    assert train_model.main(["--train", str(tmp_path / "missing.parquet"), "--into", str(tmp_path)]) == 2


def test_card_and_file_are_written(tmp_path):
    rows = [train_model.Row(f"{i:04}", i % 2 == 0, "en", "S", "MIT", "a line", 80.0) for i in range(600)]
    values = np.array([RANDOM.normal(4 if row.machine else 0, 2) for row in rows])
    weight, measured = train_model.calibrate(rows, values)
    path = tmp_path / "calibration.json"
    train_model.write_calibration(path, evidence.Calibration(prior=-1.0), {f"{signal.NAME}@{signal.VERSION}": weight})
    read = evidence.read_calibration(path.read_bytes())
    assert read.prior == -1.0 and read.signals["origin_model@1"] == weight
    text = card(rows, rows, values, weight, measured, 1000)
    assert "| S | MIT | en | 300 | 300 |" in text and "| en | 300 | 300 |" in text
