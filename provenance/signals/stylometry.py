"""Boosted trees over stylometric features: how a text is written, and hardly what it is about.

The value is the log-odds of `machine` under the model. It has no weight of its own: the combiner weighs it together with the
other detectors (`provenance.combiner`). Features: `provenance.style`; training, sources and errors: `provenance/models/origin.md`.

No row below 25 words and for languages without machine text in the training table. Failure modes: even prose of few words (law,
sermons, manuals, learners' essays, simple English) looks like a model's; a model asked to vary its sentences does not; lists and
tables that the extractor kept have neither sentences nor a style.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from provenance import style
from provenance.signals import Tools, _text

NAME = "stylometry"
VERSION = "1"
STAGE = "page"
COLUMNS = ("key", "text", "language", "word_count")
STATISTICAL = True


def log_odds(trees: style.Trees, found: Sequence[np.ndarray]) -> np.ndarray:
    """Log-odds of `machine` of lines (uint32 arrays): float64[n]."""
    return np.array([style.score(style.features(points, trees.vocabulary, trees.excess), trees) for points in found], np.float64)


def stylometry(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the texts that are long enough and in a language of the models."""
    trees = tools.stylometry
    return _text.readings(batch, trees, lambda found: log_odds(trees, found) if trees else np.zeros(0))
