"""A fastText classifier of human against machine-generated text, over words and pairs of words.

The value is the log-odds of `machine` under the model, from -10 to 10. It is no probability on the web, and has no weight of its
own: the combiner weighs it together with the other detectors (`provenance.combiner`). How it was trained, on what, and how often it
errs: `provenance/models/origin.md`.

No row below 25 words and for languages without machine text in the training table. Failure modes: it learns genres and
generators, not origin, and carries over badly to those it has not seen (AUROC falls by 0.1 to 0.3); base models that sample
freely, paraphrase and careful editing pass; formulaic human prose and learners' essays are flagged more often than other
human text. It can move a document to `machine_generated` and never to `human`.
"""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa

from provenance import lines
from provenance.signals import Tools, _text

NAME = "origin_model"
VERSION = "2"
STAGE = "page"
COLUMNS = ("key", "text", "language", "word_count")
STATISTICAL = True

BOUND = 10.0


def log_odds(model: object, found: Sequence[str]) -> np.ndarray:
    """Log-odds of `machine` for lines of `lines.words`: float64[n], bounded."""
    # One line at a time: given a list, fasttext-predict 0.9.2 returns labels without their probabilities.
    machine = np.array([_machine(*model.predict(line, 2)) for line in found], np.float64)  # type: ignore[attr-defined]
    limit = 1 / (1 + np.exp(BOUND))
    machine = np.clip(machine, limit, 1 - limit)
    return np.log(machine) - np.log1p(-machine)


def _machine(labels: Iterable[str], probabilities: Iterable[float]) -> float:
    """Probability of the label `machine`; fastText orders by probability and may leave out a label at 0."""
    return next((float(p) for label, p in zip(labels, probabilities, strict=True) if label == "__label__machine"), 0.0)


def origin_model(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the texts that are long enough and in a language of the models."""
    model = tools.origin_model
    return _text.readings(batch, model, lambda found: log_odds(model, [lines.words(points) for points in found]))
