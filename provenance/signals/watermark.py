"""Watermarks whose keys the user has: tokens that a keyed hash prefers more often than chance would have it.

Kirchenbauer et al. 2023 (arXiv:2301.10226; a keyed share of the vocabulary is preferred) and SynthID-Text (Dathathri et al. 2024,
Nature 634:818; a tournament over layers of keyed bits). The value is -log10 of the p-value after Bonferroni's correction for all
keys and all documents of the run, so that 2 means: one false finding in a hundred runs like this one. No row where that p-value
reaches 1.

The p-value is Chernoff's bound on the weighted number of hits (Hoeffding 1963, theorem 1): it holds at every length and is
mostly some times greater than the exact one. Repeated n-grams and contexts count once. Failure modes: text that was translated,
paraphrased or much edited has lost its watermark; so has text under 100 tokens, and text of low entropy such as code never
had much of one; a tokenizer other than the model's own finds nothing. No row says nothing about who wrote the text.
"""

import math
from collections.abc import Sequence
from typing import Annotated, Literal, NamedTuple, Protocol

import msgspec
import pyarrow as pa

from provenance.signals import Tools, readings

NAME = "watermark"
VERSION = "1"
STAGE = "model"
COLUMNS = ("key", "text")
STATISTICAL = False

MIN_TRIALS = 16
"""Tokens below which nothing is tested."""


class Kirchenbauer(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="scheme", tag="kirchenbauer"):
    """One key of the first scheme, as transformers' `WatermarkingConfig` has it; `vocabulary` is the model's `vocab_size`."""

    name: str
    tokenizer: str
    vocabulary: Annotated[int, msgspec.Meta(ge=2)]
    hashing_key: int
    greenlist_ratio: Annotated[float, msgspec.Meta(gt=0, lt=1)] = 0.25
    seeding_scheme: Literal["lefthash", "selfhash"] = "lefthash"
    context_width: Annotated[int, msgspec.Meta(ge=1)] = 1


class SynthID(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="scheme", tag="synthid"):
    """One set of keys of the second scheme, as transformers' `SynthIDTextWatermarkingConfig` has it."""

    name: str
    tokenizer: str
    keys: Annotated[tuple[int, ...], msgspec.Meta(min_length=1)]
    ngram_len: Annotated[int, msgspec.Meta(ge=2)] = 5
    sampling_table_size: Annotated[int, msgspec.Meta(ge=2)] = 65536
    sampling_table_seed: int = 0
    context_history_size: Annotated[int, msgspec.Meta(ge=1)] = 1024


class Watermark(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The watermarks to look for."""

    keys: Annotated[
        tuple[Kirchenbauer | SynthID, ...],
        msgspec.Meta(
            description="watermarks to look for in every document, each with scheme (kirchenbauer or synthid), name, tokenizer (a folder or a "
            "tokenizer.json) and its parameters as transformers names them; the manifest has their digest only"
        ),
    ] = ()
    tokens: Annotated[int, msgspec.Meta(description="tokens that are looked at from the start of a text", ge=32)] = 400


class Trials(NamedTuple):
    """What one key finds in one text: of `trials` tokens, how many are hits in each layer; in text that knows nothing of the key each
    is one with `probability`. `weights` are of the layers."""

    name: str
    hits: tuple[int, ...]
    trials: int
    probability: float
    weights: tuple[float, ...]


class Detector(Protocol):
    """What `Tools.watermark` is: of how many documents and keys a run is made, and what each key finds in each text."""

    documents: int
    keys: int

    def trials(self, texts: Sequence[str]) -> list[list[Trials]]:
        """For each text the trials of each key."""


def log_p(of: Trials) -> float:
    """Upper bound on the natural logarithm of the chance of as great a weighted number of hits: the least over t > 0 of
    sum over layers of trials x log(1 - p + p exp(t w)) - t x sum of w x hits, found by bisection of its derivative."""
    p, count = of.probability, of.trials
    total = math.fsum(w * hits for w, hits in zip(of.weights, of.hits, strict=True))
    if total <= count * p * math.fsum(of.weights):
        return 0.0

    def slope(t: float) -> float:
        return count * math.fsum(w / (1 + (1 - p) / p * math.exp(-t * w)) for w in of.weights) - total

    low, high = 0.0, 1.0
    while slope(high) < 0 and high < 64 / min(of.weights):
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if slope(middle) < 0 else (low, middle)
    cumulants = math.fsum(count * (low * w + math.log(p + (1 - p) * math.exp(-low * w))) for w in of.weights)
    return min(0.0, cumulants - low * total)


def watermark(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the texts in which a key finds more than chance would have it among all that were looked at."""
    detector: Detector | None = tools.watermark
    if detector is None:
        return readings([])
    rows = []
    for key, found in zip(batch.column("key").to_pylist(), detector.trials(batch.column("text").to_pylist()), strict=True):
        tested = [(log_p(one), one) for one in found if one.trials >= MIN_TRIALS]
        least, one = min(tested, default=(0.0, None), key=lambda pair: pair[0])
        corrected = least + math.log(detector.keys) + math.log(detector.documents)
        if one is not None and corrected < 0:
            share = sum(one.hits) / (one.trials * len(one.hits))
            detail = (
                f"watermark {one.name}: {share:.3f} hits where chance has {one.probability:.3f}, in {one.trials} tokens; p below "
                f"10^{corrected / math.log(10):.1f} after correction for {detector.keys} keys and {detector.documents} documents"
            )
            rows.append((key, round(-corrected / math.log(10), 4), detail))
    return readings(rows)
