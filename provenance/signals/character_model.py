"""A linear model of human against machine-generated text over hashed n-grams of characters and words.

The value is the log-odds of `machine` under the model. It has no weight of its own: the combiner weighs it together with the
other detectors (`provenance.combiner`). Training, sources and errors: `provenance/models/origin.md`.

No row below 25 words and for languages without machine text in the training table. Failure modes: those of `origin_model`; it is
the surest of the three on generators and genres that it has seen, and says least of all about others.
"""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from provenance import characters
from provenance.signals import Tools, _text

NAME = "character_model"
VERSION = "1"
STAGE = "page"
COLUMNS = ("key", "text", "language", "word_count")
STATISTICAL = True


def log_odds(model: characters.Model, found: Sequence[np.ndarray]) -> np.ndarray:
    """Log-odds of `machine` of lines (uint32 arrays): float64[n]."""
    hasher = characters.Hasher()
    return np.array([hasher.score(points, model) for points in found], np.float64)


def character_model(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the texts that are long enough and in a language of the models."""
    model = tools.character_model
    return _text.readings(batch, model, lambda found: log_odds(model, found) if model else np.zeros(0))
