"""A fastText classifier of human against machine text, over words and character n-grams.

The value is the log-odds of `machine` under the model, from -10 to 10; the group is the language. It is no probability on the
web: what it weighs is measured per language on human text and stands in the calibration file. How it was trained, on
what, and how often it errs: `provenance/models/origin.md`.

No row below 50 words and for languages without machine text in the training table. Failure modes: it learns genres and
generators, not origin, and carries over badly to those it has not seen (AUROC falls by 0.1 to 0.3); base models that sample
freely, paraphrase and careful editing pass; formulaic human prose and learners' essays are flagged more often than other
human text. It can move a document to `machine_generated` and never to `human`.
"""

import re
import unicodedata
from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from provenance.signals import READING, Tools

NAME = "origin_model"
VERSION = "1"
STAGE = "page"
COLUMNS = ("key", "text", "language", "word_count")
STATISTICAL = True

LANGUAGES = ("ar", "de", "en", "es", "id", "ko", "ru", "zh")
"""Languages whose training rows have both classes."""

MIN_WORDS = 50
READ = 1200
"""Characters that are read from the start of a text; training and calibration read the same."""

_BOUND = 10.0
# Words, single characters of unspaced scripts, and the punctuation that is written alike everywhere.
_UNSPACED = "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
_TOKENS = re.compile(rf"[{_UNSPACED}]|[^\W_{_UNSPACED}]+|[.,;:?!]")
_DIGITS = dict.fromkeys(range(ord("0"), ord("9") + 1), "0")


def tokens(text: str) -> str:
    """The line that the model reads: NFKC, lower case, digits as 0, without quotation marks, Markdown or line breaks, which
    separate the classes of the training table but not those of the web."""
    return " ".join(_TOKENS.findall(unicodedata.normalize("NFKC", text[:READ]).lower().translate(_DIGITS)))


def log_odds(model: object, lines: list[str]) -> np.ndarray:
    """Log-odds of `machine` for lines of `tokens`: float64[n], bounded."""
    # One line at a time: given a list, fasttext-predict 0.9.2 returns labels without their probabilities.
    machine = np.array([_machine(*model.predict(line, 2)) for line in lines], np.float64)  # type: ignore[attr-defined]
    limit = 1 / (1 + np.exp(_BOUND))
    machine = np.clip(machine, limit, 1 - limit)
    return np.log(machine) - np.log1p(-machine)


def _machine(labels: Iterable[str], probabilities: Iterable[float]) -> float:
    """Probability of the label `machine`; fastText orders by probability and may leave out a label at 0."""
    return next((float(p) for label, p in zip(labels, probabilities, strict=True) if label == "__label__machine"), 0.0)


def origin_model(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the texts that are long enough and in a language of the model; with the column `group`."""
    languages, words = batch.column("language").to_pylist(), batch.column("word_count").to_pylist()
    rows = [
        i
        for i, (language, count) in enumerate(zip(languages, words, strict=True))
        if language in LANGUAGES and (count or 0) >= MIN_WORDS
    ]
    if tools.origin_model is None:
        rows = []
    texts = batch.column("text").take(pa.array(rows, pa.int64())).to_pylist()
    values = log_odds(tools.origin_model, [tokens(text) for text in texts])
    group = [languages[i] for i in rows]
    columns = [
        batch.column("key").take(pa.array(rows, pa.int64())),
        pa.array(values, pa.float64()),
        pa.array([f"{language}, {words[i]} words" for language, i in zip(group, rows, strict=True)], pa.string()),
        pa.array(group, pa.string()),
    ]
    return pa.record_batch(columns, schema=READING.append(pa.field("group", pa.string())))
