"""Weighs the detectors of model text together: one score per document, and the reason where there can be none.

`combine` gives each document its cell and score, `decide` its threshold, LLR and whether it is flagged, and `evidence` the
rows of the signal `combined`. The score of a cell is a fixed sum of readings (logistic regression's log-odds, fitted in
training); what it means is measured afterwards on human text (`provenance.calibration`). It abstains where the false-positive
rate was not shown to hold: too short a text, a language or length without a cell, a reading beyond all that calibration saw.

Sums go signal by signal in the order of the names, elementwise in float64, so that a score depends on its document alone.
"""

import math
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.calibration import Cell, Combiner, Second, between
from provenance.schema import EVIDENCE

NAME = "combined"
"""Signal of the rows of evidence that `evidence` gives; no file of `provenance.signals` has it."""

SECOND = "language_model"
"""Signal whose reading is added where a cell leaves a document open."""

ABSTENTIONS = ("too short", "language not calibrated", "length not calibrated", "reading missing", "outside the calibrated range")
"""Why a document has no score."""

SCORED = pa.schema(
    [
        ("key", pa.string()),
        ("cell", pa.int32()),
        ("score", pa.float64()),
        ("abstention", pa.string()),
        ("why", pa.string()),
    ]
)
"""What `combine` gives of each document, in order: number of its cell and score, or one of `ABSTENTIONS` and that in words. A document
that has a cell and no score lies in it and lacks a reading, or has one that the cell was not calibrated on."""

DECIDED = pa.schema(
    [
        ("key", pa.string()),
        ("cell", pa.string()),
        ("value", pa.float64()),
        ("threshold", pa.float64()),
        ("flagged", pa.bool_()),
        ("log_likelihood_ratio", pa.float64()),
        ("abstention", pa.string()),
        ("detail", pa.string()),
    ]
)
"""What `decide` gives of each document, in order: name of its cell, the score with what a language model added, the threshold that it is
held against, whether it reaches it, its LLR, and in `detail` all this in words, or why there is no score."""

Thresholds = Mapping[str, Mapping[str, float]]
"""Threshold by the cell's name and the false-positive rate: what a run's snapshots made of the shipped ones."""


def combine(documents: pa.RecordBatch | pa.Table, readings: pa.RecordBatch | pa.Table, combiner: Combiner) -> pa.RecordBatch:
    """Cell and score (`SCORED`) of documents with `key`, `language` and `word_count`, in their order.

    `readings` are rows of `schema.EVIDENCE` in any order; those about other documents and of other signals are ignored. Raises
    `ValueError` for two readings of one signal about one document, and for a key that stands there twice.
    """
    keys = _column(documents, "key")
    if pc.count_distinct(keys).as_py() != len(keys):
        raise ValueError("a document stands there twice; its readings would count twice. Give each once.")
    count = len(keys)
    words = pc.fill_null(_column(documents, "word_count").cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    languages = _column(documents, "language").cast(pa.string())
    values = {name: _values(readings, name, keys) for name in combiner.inputs}
    cells, scores = np.full(count, -1, np.int32), np.full(count, math.nan)
    for number, cell in enumerate(combiner.cells):
        rows = np.flatnonzero(inside(cell, languages, words))
        cells[rows] = number
        scores[rows] = _score(cell, {name: values[name][rows] for name in cell.inputs})
    abstained = np.flatnonzero(np.isnan(scores)).tolist()
    texts = languages.take(pa.array(abstained, pa.int64())).to_pylist()
    reasons: list[tuple[str | None, str | None]] = [(None, None)] * count
    for row, language in zip(abstained, texts, strict=True):
        own = combiner.cells[cells[row]] if cells[row] >= 0 else None
        reasons[row] = _why(combiner, own, language, int(words[row]), {name: values[name][row] for name in combiner.inputs})
    columns = [
        keys,
        pa.array(cells, mask=cells < 0),
        pa.array(scores, mask=np.isnan(scores)),
        pa.array([code for code, _ in reasons], pa.string()),
        pa.array([why for _, why in reasons], pa.string()),
    ]
    return pa.record_batch(columns, schema=SCORED)


def _column(table: pa.RecordBatch | pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def _values(readings: pa.RecordBatch | pa.Table, name: str, keys: pa.Array) -> np.ndarray:
    """Value of one signal for each key, NaN where it has none: float64[n]. Raises `ValueError` for two."""
    own = readings.filter(pc.equal(readings.column("signal"), name))
    at = pc.index_in(_column(own, "key"), value_set=keys)
    there = pc.is_valid(at)
    places = at.filter(there).to_numpy(zero_copy_only=False)
    if len(np.unique(places)) != len(places):
        raise ValueError(f"signal {name} has two readings of one document; its evidence would count twice. Give one.")
    out = np.full(len(keys), math.nan)
    out[places] = _column(own, "value").filter(there).to_numpy(zero_copy_only=False)
    return out


def inside(cell: Cell, languages: pa.Array, words: np.ndarray) -> np.ndarray:
    """Which documents belong to the cell: bool[n]."""
    spoken = pc.is_in(languages, value_set=pa.array(cell.languages, pa.string())).to_numpy(zero_copy_only=False)
    long = words >= max(cell.words_from, 0)
    found: np.ndarray = spoken & long & ((words < cell.words_below) if cell.words_below is not None else True)
    return found


def _score(cell: Cell, values: Mapping[str, np.ndarray]) -> np.ndarray:
    """Score of documents of a cell, NaN where a reading is missing or was not calibrated: float64[n]."""
    total = np.full(len(next(iter(values.values()), ())), cell.bias, np.float64)
    for name in cell.inputs:
        low, high = cell.within.get(name, (-math.inf, math.inf))
        usable = np.isfinite(values[name]) & (values[name] >= low) & (values[name] <= high)
        total = np.where(usable, total + cell.weights.get(name, 0.0) * np.where(usable, values[name], 0.0), math.nan)
    return np.where(np.isfinite(total), total, math.nan)


def _why(combiner: Combiner, cell: Cell | None, language: str | None, words: int, values: Mapping[str, float]) -> tuple[str, str]:
    """Abstention of a document without a score, as a code and in words."""
    least = min((one.words_from for one in combiner.cells), default=0)
    if words < least:
        return ABSTENTIONS[0], f"{max(words, 0)} words, too short for a calibrated detector, which needs {least}"
    own = [one for one in combiner.cells if language in one.languages]
    if not own:
        named = f"language {language}" if language else "a text of no known language"
        return ABSTENTIONS[1], f"no calibrated detector covers {named}"
    shortest = min(one.words_from for one in own)
    if words < shortest:
        return ABSTENTIONS[0], f"{words} words, too short for a calibrated detector of language {language}, which needs {shortest}"
    if cell is None:
        return ABSTENTIONS[2], f"no calibrated detector of language {language} covers {words} words"
    lacking = [name for name in cell.inputs if not math.isfinite(values[name])]
    if lacking:
        return ABSTENTIONS[3], f"no reading of {', '.join(lacking)}, without which the detectors are not calibrated"
    for name, (low, high) in sorted(cell.within.items()):
        if not low <= values[name] <= high:
            return (
                ABSTENTIONS[4],
                f"unlike all that the detectors were calibrated on: {name} reads {values[name]:.3g}, not {low:.3g} to {high:.3g}",
            )
    return ABSTENTIONS[4], "unlike all that the detectors were calibrated on: the score is no finite number"


def threshold(cell: Cell, rate: str, thresholds: Thresholds | None = None) -> float:
    """Lowest score that is flagged in a cell at a false-positive rate: the shipped one, or what a run's snapshots raised it to."""
    shipped = cell.thresholds[rate]
    return max(shipped, (thresholds or {}).get(cell.name, {}).get(rate, shipped))


def check_rate(combiner: Combiner | None, rate: str) -> None:
    """Raises `ValueError` for a false-positive rate that the combiner has no thresholds for."""
    if combiner is not None and rate not in combiner.rates:
        raise ValueError(
            f"verdict.false_positives {rate!r} is none of the rates that the calibration file has thresholds for; no document could be "
            f"flagged at it. Give one of: {', '.join(combiner.rates)}."
        )


def open_documents(scored: pa.RecordBatch, combiner: Combiner, rate: str, thresholds: Thresholds | None = None) -> pa.BooleanArray:
    """Which of the documents of `SCORED` are left open, and a language model is asked: `open_from` <= score < threshold."""
    check_rate(combiner, rate)
    left = np.zeros(len(scored), bool)
    cells, scores = _numbers(scored)
    for number, cell in enumerate(combiner.cells):
        if cell.open_from is not None:
            left |= (cells == number) & (scores >= cell.open_from) & (scores < threshold(cell, rate, thresholds))
    return pa.array(left)


def _numbers(scored: pa.RecordBatch) -> tuple[np.ndarray, np.ndarray]:
    """(cell int64[n], -1 for none; score float64[n], NaN for none)."""
    cells = pc.fill_null(scored.column("cell"), -1).to_numpy(zero_copy_only=False).astype(np.int64)
    return cells, scored.column("score").cast(pa.float64()).to_numpy(zero_copy_only=False)


def decide(
    scored: pa.RecordBatch,
    readings: pa.RecordBatch | pa.Table,
    combiner: Combiner,
    rate: str,
    thresholds: Thresholds | None = None,
    model: str | None = None,
) -> pa.RecordBatch:
    """What the scores say (`DECIDED`) at the false-positive rate `rate`, in the order of `scored`.

    `readings` are the rows that `combine` read, with those of the language model whose weights have the SHA-256 `model`, if one
    was asked. Raises `ValueError` for a rate without thresholds, and as `combine`.
    """
    check_rate(combiner, rate)
    cells, scores = _numbers(scored)
    asked = open_documents(scored, combiner, rate, thresholds).to_numpy(zero_copy_only=False)
    further = _values(readings, SECOND, scored.column("key")) if model is not None else np.full(len(scored), math.nan)
    shown = {name: _values(readings, name, scored.column("key")) for name in combiner.inputs}
    rows: list[dict[str, Any]] = []
    for row, (key, abstention, why) in enumerate(
        zip(*(scored.column(n).to_pylist() for n in ("key", "abstention", "why")), strict=True)
    ):
        cell = combiner.cells[cells[row]] if cells[row] >= 0 else None
        if cell is None or math.isnan(scores[row]):
            rows.append({"key": key, "cell": cell.name if cell else None, "abstention": abstention, "detail": why})
            continue
        second = next((one for one in cell.second if one.model == model), None)
        reading = float(further[row]) if asked[row] and second is not None else math.nan
        said = {name: float(shown[name][row]) for name in cell.inputs}
        rows.append({"key": key, "cell": cell.name} | _decided(cell, float(scores[row]), said, rate, thresholds, second, reading))
    return pa.RecordBatch.from_pylist(rows, schema=DECIDED)


def _decided(
    cell: Cell,
    score: float,
    readings: Mapping[str, float],
    rate: str,
    thresholds: Thresholds | None,
    second: Second | None,
    reading: float,
) -> dict[str, Any]:
    """What the score of one document says; `reading` is the language model's, NaN for none."""
    limit = threshold(cell, rate, thresholds)
    raised = limit > cell.thresholds[rate]
    value, ratio = score, between(cell.values, cell.log_likelihood_ratios, score)
    if second is not None and math.isfinite(reading):
        value = score + second.weight * reading
        # What the snapshots raised the cell's threshold by holds for the sum as well, which is on the same scale.
        limit = second.thresholds[rate] + (limit - cell.thresholds[rate])
        ratio = between(second.values, second.log_likelihood_ratios, value) if second.values else ratio
        readings = {**readings, SECOND: reading}
    rests = ", ".join(f"{name} {number:.3g}" for name, number in readings.items())
    whose = "of the snapshot" if raised else "of the calibration file"
    detail = f"{cell.name}: {rests}; score {value:.3g}, flagged from {limit:.3g} {whose} at a false-positive rate of {rate}"
    return {
        "value": value,
        "threshold": limit,
        "flagged": value >= limit,
        "log_likelihood_ratio": ratio,
        "detail": detail,
    }


def evidence(decided: pa.RecordBatch, combiner: Combiner) -> pa.RecordBatch:
    """Rows of `schema.EVIDENCE` of the signal `combined`, for the documents that have a score."""
    own = decided.filter(pc.is_valid(decided.column("value")))
    count = own.num_rows
    columns = [
        own.column("key"),
        pa.repeat(pa.scalar(NAME, pa.string()), count),
        pa.repeat(pa.scalar(combiner.version, pa.string()), count),
        own.column("value"),
        own.column("detail"),
        own.column("log_likelihood_ratio"),
    ]
    return pa.record_batch(columns, schema=EVIDENCE)


def conformal(scores: Sequence[float] | np.ndarray, rate: str) -> float | None:
    """Lowest score to flag so that of exchangeable further human texts at most `rate` are flagged in expectation.

    It lies just above the ceil((n + 1)(1 - rate))-th smallest of n scores (split conformal prediction; Vovk, Gammerman & Shafer
    2005, Lei et al. 2018); None where n is too small for the rate. Ranks are whole numbers: rates are decimals and not floats.
    """
    ordered = np.sort(np.asarray(scores, np.float64))
    rank = math.ceil((len(ordered) + 1) * (1 - Fraction(rate)))
    return float(np.nextafter(ordered[rank - 1], math.inf)) if 0 < rank <= len(ordered) else None
