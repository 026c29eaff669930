"""Similarity: what two texts have in common, measured on their sets of shingles, and when that makes a duplicate.

A candidate is not a duplicate: bands propose, this measures. Sets are of 64-bit shingle hashes; that two different shingles
of a pair of million-shingle texts share one has a probability below 1e-7. Where one of the texts is not there, its sketch
gives an estimate instead.
"""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Literal

import msgspec
import numpy as np
import pyarrow as pa

from provenance.minhash import MinHash
from provenance.shingles import compiled, shingle_sets

ZERO = np.uint64(0)
LARGEST_DENOMINATOR = 10**9
"""With it, threshold comparisons of counts below 2**32 fit 64-bit integers."""

LARGER = 2
"""How many times a reference's size a document may have to be dropped for containing it; of a larger one most is new."""


def _schema() -> pa.Schema:
    fields = {
        "similarity": (pa.float64(), "Jaccard similarity of the two shingle sets, 0 to 1"),
        "containment": (pa.float64(), "share of the left document's shingles that the right has"),
        "contained": (pa.float64(), "share of the right document's shingles that the left has"),
        "intersection": (pa.int64(), "shingles that both have"),
        "left_size": (pa.int64(), "distinct shingles of the left document"),
        "right_size": (pa.int64(), "distinct shingles of the right document"),
    }
    return pa.schema([pa.field(name, kind, metadata={"doc": doc}) for name, (kind, doc) in fields.items()])


MEASURES = _schema()
Threshold = str | float
"""A share, kept as the text that was typed, so that it is compared as an exact fraction."""


class Match(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """When a measured pair is a duplicate, and what becomes of it."""

    similarity: Annotated[Threshold, msgspec.Meta(description="least Jaccard similarity of a duplicate")] = "0.75"
    containment: Annotated[Threshold, msgspec.Meta(description="least share of one document's shingles in the other")] = "0.85"
    near: Annotated[Literal["drop", "keep"], msgspec.Meta(description="what becomes of near copies; exact ones are dropped")] = (
        "drop"
    )
    bucket_limit: Annotated[int, msgspec.Meta(description="documents of one bucket that each is compared with, within a crawl")] = (
        128
    )

    def __post_init__(self) -> None:
        for name in ("similarity", "containment"):
            # One spelling in the configuration's digest, whether YAML gave a number or a command line a text.
            msgspec.structs.force_setattr(self, name, str(getattr(self, name)))
            threshold(name, getattr(self, name))
        if self.bucket_limit < 1:
            raise ValueError(f"match.bucket_limit is {self.bucket_limit}; nothing would be compared. Set it to 1 or more.")


def threshold(name: str, text: Threshold) -> Fraction:
    """The exact fraction that a threshold's text says ("0.75" is 3/4).

    Raises `ValueError` for what is no number above 0 and up to 1, or needs a denominator above 10**9.
    """
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError, OverflowError):
        value = Fraction(0)
    if not 0 < value <= 1 or value.denominator > LARGEST_DENOMINATOR:
        raise ValueError(
            f"match.{name} is {text!r}; a share above 0 and up to 1 with at most nine digits is needed. Write it as 0.75."
        )
    return value


def _fill_tables(hashes: np.ndarray, offsets: np.ndarray, wanted: np.ndarray, starts: np.ndarray, slots: np.ndarray) -> None:
    """An open-addressing table, sized a power of two, for each text that some pair asks for."""
    for text in range(wanted.shape[0]):
        mask = starts[text + 1] - starts[text] - 1
        if wanted[text]:
            for i in range(offsets[text], offsets[text + 1]):
                slot = np.int64(hashes[i]) & mask
                while slots[starts[text] + slot] != ZERO:
                    slot = (slot + 1) & mask
                slots[starts[text] + slot] = hashes[i]


def _count_common(
    hashes: np.ndarray,
    offsets: np.ndarray,
    starts: np.ndarray,
    slots: np.ndarray,
    small: np.ndarray,
    large: np.ndarray,
    out: np.ndarray,
) -> None:
    for pair in range(small.shape[0]):
        text, start = small[pair], starts[large[pair]]
        mask = starts[large[pair] + 1] - start - 1
        common = 0
        if mask > 0:
            for i in range(offsets[text], offsets[text + 1]):
                slot = np.int64(hashes[i]) & mask
                while slots[start + slot] != ZERO and slots[start + slot] != hashes[i]:
                    slot = (slot + 1) & mask
                common += slots[start + slot] == hashes[i]
        out[pair] = common


def measure(texts: pa.Array | pa.ChunkedArray, left: np.ndarray, right: np.ndarray, options: MinHash) -> pa.RecordBatch:
    """Exact similarity and both containments (schema `MEASURES`) of pairs of texts, given by their places in `texts`.

    Each text is shingled once, however many pairs it is in; a pair costs as many look-ups as its smaller side has shingles.
    Texts without shingles are similar to nothing: all three numbers are 0.
    """
    left, right = np.asarray(left, np.int64), np.asarray(right, np.int64)
    hashes, offsets = shingle_sets(texts, options)
    sizes = np.diff(offsets)
    left_size, right_size = sizes[left], sizes[right]
    small = np.where(left_size <= right_size, left, right)
    large = np.where(left_size <= right_size, right, left)
    wanted = np.zeros(len(sizes), np.bool_)
    wanted[large] = True
    # The power of two from twice the count on, so that at most half of a table is filled.
    room = np.where(wanted & (sizes > 0), 1 << np.frexp(2 * np.maximum(sizes, 1) - 1)[1].astype(np.int64), 0)
    starts = np.concatenate([[0], np.cumsum(room)]).astype(np.int64)
    slots = np.zeros(int(starts[-1]), np.uint64)
    compiled(_fill_tables)(hashes, offsets, wanted & (sizes > 0), starts, slots)
    common = np.empty(len(left), np.int64)
    compiled(_count_common)(hashes, offsets, starts, slots, small, large, common)
    return pa.record_batch(
        [
            _share(common, left_size + right_size - common),
            _share(common, left_size),
            _share(common, right_size),
            common,
            left_size,
            right_size,
        ],
        schema=MEASURES,
    )


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(len(part)), where=whole > 0)


def similarity(left: pa.Array | pa.ChunkedArray, right: pa.Array | pa.ChunkedArray, options: MinHash) -> pa.RecordBatch:
    """`measure` of two equally long arrays of texts, pair by pair."""
    if len(left) != len(right):
        raise ValueError(f"{len(left)} texts cannot be paired with {len(right)}; give arrays of equal length.")
    chunks = [chunk for side in (left, right) for chunk in (side.chunks if isinstance(side, pa.ChunkedArray) else [side])]
    texts = pa.chunked_array([chunk.cast(pa.large_string()) for chunk in chunks], pa.large_string())
    return measure(texts, np.arange(len(left)), np.arange(len(left)) + len(left), options)


def estimate(
    left: np.ndarray, right: np.ndarray, left_size: np.ndarray, right_size: np.ndarray, options: Match
) -> tuple[pa.RecordBatch, np.ndarray]:
    """`measure` and `duplicate` of pairs of which a text is not there: (schema `MEASURES`, bool n), from the sketches.

    `left` and `right` are signatures (uint32, n x permutations), the sizes counts of distinct shingles (n). Of k minima m are
    equal; m / k estimates the Jaccard similarity J with a standard error of sqrt(J (1 - J) / k) (A. Broder, "On the resemblance
    and containment of documents", 1997). What both have is then J (|A| + |B|) / (1 + J) = m (|A| + |B|) / (k + m) shingles, at
    most the smaller side's, and all three shares follow from it; `intersection` is rounded, the decision is not. A text
    without shingles, whose minima are all ones, is similar to nothing.
    """
    permutations = left.shape[1]
    sizes = np.stack([np.asarray(left_size, object), np.asarray(right_size, object)])
    # Integers of any length, in units of 1 / (k + m) of a shingle.
    agree = (left == right).sum(axis=1).astype(object)
    unit = agree + permutations
    a, b = sizes * unit
    common = np.minimum(agree * sizes.sum(axis=0), np.minimum(a, b))
    shares = [_share(*(side.astype(np.float64) for side in (common, whole))) for whole in (a + b - common, a, b)]
    counts = [(2 * common + unit) // (2 * unit), *sizes]
    measures = pa.record_batch([*shares, *(pa.array(column.tolist(), pa.int64()) for column in counts)], schema=MEASURES)
    return measures, _duplicate(common, a, b, options)


def duplicate(measures: pa.RecordBatch | pa.Table, options: Match) -> np.ndarray:
    """Whether the left document of each measured pair is a duplicate of the right one (bool, n).

    It is, where the similarity reaches `match.similarity`, or the share of the left in the right reaches `match.containment`,
    or the share of the right in the left does and the left is at most twice as large. The right document is the reference:
    one of the snapshot, or within a crawl the one that comes first (`provenance.survivors.orient`). Shares are compared as
    integers, never as rounded numbers.
    """
    common, left, right = (measures.column(name).to_numpy() for name in ("intersection", "left_size", "right_size"))
    return _duplicate(common, left, right, options)


def _duplicate(common: np.ndarray, left: np.ndarray, right: np.ndarray, options: Match) -> np.ndarray:
    near, inside = threshold("similarity", options.similarity), threshold("containment", options.containment)
    alike = common * near.denominator >= near.numerator * (left + right - common)
    of_left = common * inside.denominator >= inside.numerator * left
    of_right = (common * inside.denominator >= inside.numerator * right) & (left <= LARGER * right)
    found: np.ndarray = ((common > 0) & (alike | of_left | of_right)).astype(np.bool_)
    return found
