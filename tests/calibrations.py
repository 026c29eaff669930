"""Calibrations that tests make themselves: cells over the detectors of model text that this release has."""

import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pytest

from provenance import evidence, schema, signals
from provenance.calibration import Calibration, Cell, Combiner, Weight

RATES = ("0.005", "0.01", "0.02", "0.05")
DETECTORS = tuple(name for name, module in signals.found().items() if module.STATISTICAL and module.STAGE == "page")
"""The signals that a cell may read."""
READS = "origin_model" if "origin_model" in DETECTORS else DETECTORS[0]

MODEL = "a" * 64


def cell(**fields: Any) -> Cell:
    """A cell of English texts of 50 words and more that reads `READS` as it is, flagged from 3 at 1 %."""
    given = {
        "group": "en",
        "languages": ("en",),
        "words_from": 50,
        "weights": {READS: 1.0},
        "values": (-10.0, 0.0, 3.0),
        "log_likelihood_ratios": (-2.0, 0.0, 2.5),
        "thresholds": {"0.005": 4.0, "0.01": 3.0, "0.02": 2.0, "0.05": 1.0},
        "edges": (0.0, 3.0),
        "human": (0.8, 0.19, 0.01),
        "machine": (0.2, 0.3, 0.5),
    }
    return Cell(**(given | fields))


def combiner(*cells: Cell) -> Combiner:
    return Combiner(version="t1", source="a test", cells=cells or (cell(),))


def calibration(*cells: Cell, **fields: Any) -> Calibration:
    """A calibration of these cells, in which every signal of the folder stands in its version."""
    known = {f"{name}@{version}": Weight(source="a test") for name, version in signals.versions().items()}
    return Calibration(**({"signals": known, "combiner": combiner(*cells)} | fields))


def with_cells(shipped: Calibration, *cells: Cell) -> Calibration:
    """The shipped weights with cells of a test, and without tables for what they read."""
    known = {f"{name}@{version}": Weight(source="a test") for name, version in signals.versions().items()}
    for entry, weight in shipped.signals.items():
        known[entry] = msgspec.structs.replace(weight, tables=()) if entry.split("@")[0] in DETECTORS else weight
    return msgspec.structs.replace(shipped, signals=known, combiner=combiner(*cells))


def readings(*rows: tuple[str, str, float]) -> pa.RecordBatch:
    """Evidence rows of (key, signal, value), in the signals' versions."""
    versions = signals.versions()
    made = [
        {"key": key, "signal": name, "version": versions.get(name, "0"), "value": value, "detail": "a test"}
        for key, name, value in rows
    ]
    return pa.RecordBatch.from_pylist(made, schema=schema.EVIDENCE)


DOCUMENTS = pa.schema([("key", pa.string()), ("language", pa.string()), ("word_count", pa.int32())])


def documents(*rows: tuple[str | None, int | None]) -> pa.RecordBatch:
    """Documents of (language, word count) with keys `0`, `1`, ..."""
    return pa.RecordBatch.from_pylist(
        [{"key": str(i), "language": language, "word_count": words} for i, (language, words) in enumerate(rows)], schema=DOCUMENTS
    )


def install(monkeypatch: pytest.MonkeyPatch, folder: Path, made: Calibration) -> None:
    """Makes a calibration the shipped one, here and in the worker processes that start from now on."""
    from pipelines import toolbox

    data = msgspec.json.encode(made)
    evidence.read_calibration(data)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "calibration.json").write_bytes(data)
    (folder / "sitecustomize.py").write_text(
        "from pathlib import Path\nfrom pipelines import toolbox\nfrom provenance import evidence\n"
        f"data = Path({json.dumps(str(folder / 'calibration.json'))}).read_bytes()\n"
        "toolbox.calibration = lambda: evidence.read_calibration(data)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{folder}:{Path(__file__).resolve().parents[1]}")
    monkeypatch.setattr(toolbox, "calibration", lambda: evidence.read_calibration(data))


def normal(seed: int, count: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=count)
