"""What the detectors of model text share: which documents they read, and the form of their readings."""

from collections.abc import Callable, Sequence

import numpy as np
import pyarrow as pa

from provenance import lines
from provenance.signals import READING

LANGUAGES = ("ar", "de", "en", "es", "id", "ko", "ru", "zh")
"""Languages whose training rows have both classes."""
MIN_WORDS = 25
"""Words from which on a text is read; where a reading begins to weigh, the combiner's cells say."""


def readings(batch: pa.RecordBatch, model: object | None, score: Callable[[Sequence[np.ndarray]], np.ndarray]) -> pa.RecordBatch:
    """Readings by `score` (lines to log-odds) of the documents that are long enough and in a language of the models."""
    languages, words = batch.column("language").to_pylist(), batch.column("word_count").to_pylist()
    pairs = enumerate(zip(languages, words, strict=True))
    rows = [i for i, (language, count) in pairs if language in LANGUAGES and (count or 0) >= MIN_WORDS]
    if model is None:
        rows = []
    places = pa.array(rows, pa.int64())
    values = score([lines.line(text) for text in batch.column("text").take(places).to_pylist()])
    detail = pa.array([f"{languages[i]}, {words[i]} words" for i in rows], pa.string())
    return pa.record_batch([batch.column("key").take(places), pa.array(values, pa.float64()), detail], schema=READING)
