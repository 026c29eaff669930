"""What the product says of texts: signals, combiner and verdict as the stages of `curate` call them, on a table's rows."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from provenance import combiner, evidence, signals, verdict
from tests.bench.tags.texts import Text, batch

AT_ONCE = 2000
"""Texts that are judged together."""


@dataclass(frozen=True)
class Judged:
    """Of each text, in order: the combined score (NaN for none), its cell's name and threshold, the kind of abstention (`` for none), the tag,
    and the signals that are no detectors and gave a reading that bars or decides."""

    scores: np.ndarray
    cells: np.ndarray
    thresholds: np.ndarray
    abstentions: np.ndarray
    origins: np.ndarray
    marks: list[tuple[str, ...]]

    @property
    def scored(self) -> np.ndarray:
        return np.isfinite(self.scores)

    @property
    def machine(self) -> np.ndarray:
        """Which are tagged as machine text of any kind: bool[n]."""
        return np.array([origin.startswith("machine") for origin in self.origins], bool)

    def __getitem__(self, rows: np.ndarray) -> "Judged":
        """Those of a mask or of numbers."""
        numbers = np.arange(len(self.scores))[rows]
        parts = (part[rows] for part in (self.scores, self.cells, self.thresholds, self.abstentions, self.origins))
        return Judged(*parts, [self.marks[number] for number in numbers])


def judge(texts: Sequence[Text], tools: signals.Tools, options: verdict.Verdict | None = None) -> Judged:
    """The verdict on each text as on a document that is in no snapshot and has no date."""
    parts = [_part(texts[at : at + AT_ONCE], tools, options or verdict.Verdict()) for at in range(0, len(texts), AT_ONCE)]
    columns = [np.concatenate([part[place] for part in parts]) if parts else np.array([]) for place in range(5)]
    return Judged(*columns, [mark for part in parts for mark in part[5]])


def _part(texts: Sequence[Text], tools: signals.Tools, options: verdict.Verdict) -> tuple:
    documents = batch(texts)
    found = evidence.score(documents, "page", tools)
    weighed, decided = tools.calibration.combiner, None
    if weighed is not None:
        scored = combiner.combine(documents, found, weighed)
        decided = combiner.decide(scored, found, weighed, options.rate)
    tags = verdict.verdict(_standing(texts), found, tools.calibration, options, decided)
    return (*_scores(decided, len(texts)), np.array(tags["origin"].to_pylist(), object), _marks(texts, found, tools))


def _scores(decided: pa.RecordBatch | None, count: int) -> list[np.ndarray]:
    """Scores, cells, thresholds and abstentions."""
    if decided is None:
        nothing, nowhere = np.full(count, np.nan), np.full(count, "", object)
        return [nothing, nowhere, nothing, np.full(count, "no combiner", object)]
    numbers = [np.array(decided[name].to_pylist(), np.float64) for name in ("value", "threshold")]
    words = [np.array([word or "" for word in decided[name].to_pylist()], object) for name in ("cell", "abstention")]
    return [numbers[0], words[0], numbers[1], words[1]]


def _standing(texts: Sequence[Text]) -> pa.RecordBatch:
    """Documents in no snapshot."""
    told = {"attestation": "none", "identical": False, "protected": False}
    columns = {
        "key": [text.key for text in texts],
        "id": [text.key for text in texts],
        "language": [text.language for text in texts],
        "word_count": [text.words for text in texts],
    }
    schema = verdict.STANDING
    return pa.record_batch([pa.array(columns.get(f.name, [told.get(f.name)] * len(texts)), f.type) for f in schema], schema=schema)


def _marks(texts: Sequence[Text], found: pa.RecordBatch, tools: signals.Tools) -> list[tuple[str, ...]]:
    """Markup, disclosure and residue about each text, as signals whose reading reaches `bars_from`."""
    modules, marks = signals.found(), {text.key: set[str]() for text in texts}
    for key, name, version, value in zip(*(found[c].to_pylist() for c in ("key", "signal", "version", "value")), strict=True):
        weight = tools.calibration.weight(name, version)
        if weight and not modules[name].STATISTICAL and weight.bars_from is not None and value >= weight.bars_from:
            marks[key].add(name)
    return [tuple(sorted(marks[text.key])) for text in texts]
