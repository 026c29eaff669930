"""Similarity: what two texts have in common, measured on their sets of shingles, and when that makes a duplicate.

A candidate is not a duplicate: bands and samples propose, this decides. `decide` tells from the signatures alone which pairs leave
no doubt; `measure` gives the exact numbers of the others from their texts, and `estimate` those of pairs that are clear or of which a
text is not there. Sets are of 64-bit shingle hashes; that two different shingles of a pair of million-shingle texts share one
has a probability below 1e-7.
"""

from __future__ import annotations

import functools
import math
import re
from fractions import Fraction
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from provenance.kernels import compiled
from provenance.minhash import MinHash
from provenance.shingles import shingle_sets

ZERO = np.uint64(0)
EXPONENT = re.compile(r"e[+-]?[\d_]{4,}", re.IGNORECASE)
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
    url: Annotated[
        Literal["drop", "keep"],
        msgspec.Meta(description="what becomes of further captures of one URL within the crawl, however unlike they are"),
    ] = "keep"
    bucket_limit: Annotated[int, msgspec.Meta(description="documents of one bucket that each is compared with, within a crawl")] = (
        128
    )
    common: Annotated[
        int,
        msgspec.Meta(
            description="documents of a reference that one sampled shingle proposes at most; what is in more tells little"
        ),
    ] = 64
    protect: Annotated[
        tuple[str, ...],
        msgspec.Meta(
            description="patterns of source files, by their path below SOURCE (`books/*`, or `*.warc.gz` of SOURCE crawl/), whose documents are never dropped"
        ),
    ] = ()

    def __post_init__(self) -> None:
        for name in ("similarity", "containment"):
            # One spelling in the configuration's digest, whether YAML gave a number or a command line a text.
            msgspec.structs.force_setattr(self, name, str(getattr(self, name)))
            threshold(name, getattr(self, name))
        for name in ("bucket_limit", "common"):
            if getattr(self, name) < 1:
                raise ValueError(f"match.{name} is {getattr(self, name)}; nothing would be compared. Set it to 1 or more.")
            if getattr(self, name) >= 2**31:
                raise ValueError(f"match.{name} is {getattr(self, name)}; no more than {2**31 - 1} can be counted. Lower it.")
        for pattern in self.protect:
            if not pattern.strip() or pattern.startswith("/") or "://" in pattern:
                raise ValueError(
                    f"match.protect has the pattern {pattern!r}, which no source file matches: their names are relative to the SOURCE that "
                    "was given. Write it as crawl/*.warc.gz, or * for all."
                )
        # The same patterns in another order are the same configuration.
        msgspec.structs.force_setattr(self, "protect", tuple(sorted(set(self.protect))))


def threshold(name: str, text: Threshold) -> Fraction:
    """The exact fraction that a threshold's text says ("0.75" is 3/4).

    Raises `ValueError` for what is no number above 0 and up to 1, or needs a denominator above 10**9.
    """
    try:
        # An exponent of eight digits would be written out in full before it could be refused.
        value = Fraction(0) if EXPONENT.search(str(text)) else Fraction(text)
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
    """`measure` and `duplicate` of pairs whose texts are not read: (schema `MEASURES`, bool n), from the sketches.

    `left` and `right` are signatures (uint32 or uint64, n x permutations), the sizes counts of distinct shingles (n). Of k minima m are
    equal; m / k estimates the Jaccard similarity J with a standard error of sqrt(J (1 - J) / k) (A. Broder, "On the resemblance
    and containment of documents", 1997). What both have is then J (|A| + |B|) / (1 + J) = m (|A| + |B|) / (k + m) shingles, at
    most the smaller side's, and all three shares follow from it; `intersection` is rounded, the decision is not. A text
    without shingles, whose minima are all ones, is similar to nothing.
    """
    permutations = left.shape[1]
    # In units of 1 / (k + m) of a shingle; integers of any length where a threshold of many digits asks for them.
    finest = max(threshold(name, getattr(options, name)).denominator for name in ("similarity", "containment"))
    longest = 4 * permutations * max(int(np.max(side, initial=0)) for side in (left_size, right_size)) * finest
    kind: Any = np.int64 if longest < 1 << 63 else object
    sizes = np.stack([np.asarray(left_size, kind), np.asarray(right_size, kind)])
    agree = (left == right).sum(axis=1).astype(kind)
    unit = agree + permutations
    a, b = sizes * unit
    common = np.minimum(agree * sizes.sum(axis=0), np.minimum(a, b))
    shares = [_share(*(side.astype(np.float64) for side in (common, whole))) for whole in (a + b - common, a, b)]
    counts = [(2 * common + unit) // (2 * unit), *sizes]
    measures = pa.record_batch([*shares, *(pa.array(column.tolist(), pa.int64()) for column in counts)], schema=MEASURES)
    return measures, _duplicate(common, a, b, options)


ERROR = 1e-6
"""Probability, for each side, that the true similarity of a pair lies beyond the bounds that `decide` draws from its signatures."""

UNITS = 1 << 20
"""Bounds of a similarity are whole numbers of 1 / UNITS: with sizes below 2**31 all products fit 64-bit integers."""


@functools.lru_cache(maxsize=8)
def _bounds(permutations: int) -> tuple[np.ndarray, np.ndarray]:
    """For each count of equal minima, 0 to `permutations`: the least and the greatest similarity in doubt (int64, in `UNITS`)."""
    low, high = np.zeros(permutations + 1, np.int64), np.full(permutations + 1, UNITS, np.int64)
    allowed = -math.log(ERROR) / permutations
    for agree in range(1, permutations + 1):
        share = agree / permutations
        inside, outside = int(share * UNITS), 0
        while inside - outside > 1:
            middle = (inside + outside) // 2
            if _divergence(share, middle / UNITS) > allowed:
                outside = middle
            else:
                inside = middle
        low[agree] = outside
    # As many minima differ as agree under the complement, so that one bound mirrors the other.
    return low, high - low[::-1]


def _divergence(share: float, chance: float) -> float:
    """Kullback-Leibler divergence, in nats, of a coin of `share` from one of `chance`, which is above 0 and below 1."""
    same = share * math.log(share / chance) if share > 0 else 0.0
    other = (1 - share) * math.log((1 - share) / (1 - chance)) if share < 1 else 0.0
    return same + other


def decide(
    agree: np.ndarray, permutations: int, left_size: np.ndarray, right_size: np.ndarray, options: Match
) -> tuple[np.ndarray, np.ndarray]:
    """What the signatures say of pairs beyond doubt: (certain, duplicate), both bool, of the shape that the arguments broadcast to.

    Of `permutations` minima `agree` are equal; the sizes are counts of distinct shingles. Each pair of minima is equal with a
    probability of J, the Jaccard similarity, so `agree` is binomial, and Chernoff's bound holds (W. Hoeffding, "Probability inequalities
    for sums of bounded random variables", 1963, theorem 1): a similarity p below m / k gives m or more of k equal minima with a
    probability of at most exp(-k D(m/k, p)), D the Kullback-Leibler divergence, and one above gives m or fewer so. The two p
    where that is `ERROR` bound J; J (|A| + |B|) / (1 + J), at most the smaller side, bounds what both have, and since every threshold of
    `duplicate` is monotone in that, a pair that is decided alike at both bounds is decided. All roundings go outwards. `duplicate` means
    something only where `certain`, and there equals that of `estimate`.

    That a pair was proposed because a band agrees does not spoil the bound: being proposed *and* misjudged is no likelier than
    being misjudged. It is `ERROR` for pairs at a threshold, nearly all of which are proposed anyway, and falls exponentially with the
    distance from it: for J = 0.5 to be taken for 0.75 by 128 minima it is below 1e-19, so that the countless unlike pairs, from which
    bands select, add nothing. A text without shingles has a common part of 0 with certainty.
    """
    a, b = np.asarray(left_size, np.int64), np.asarray(right_size, np.int64)
    low, high = (bound[np.asarray(agree, np.int64)] for bound in _bounds(permutations))
    smaller = np.minimum(a, b)
    least = np.minimum(low * (a + b) // (UNITS + low), smaller)
    most = np.minimum(-(-high * (a + b) // (UNITS + high)), smaller)
    at_least, at_most = _duplicate(least, a, b, options), _duplicate(most, a, b, options)
    return at_least == at_most, at_least


def duplicate(measures: pa.RecordBatch | pa.Table, options: Match) -> np.ndarray:
    """Whether the left document of each measured pair is a duplicate of the right one (bool, n).

    It is, where the similarity reaches `match.similarity`, or the share of the left in the right reaches `match.containment`,
    or the share of the right in the left does and the left is at most twice as large. The right document is the reference:
    one of the snapshot, or within a crawl the one that comes first (`provenance.survivors`). Shares are compared as
    integers, never as rounded numbers.
    """
    common, left, right = (measures.column(name).to_numpy() for name in ("intersection", "left_size", "right_size"))
    return _duplicate(common, left, right, options)


def _duplicate(common: np.ndarray, left: np.ndarray, right: np.ndarray, options: Match) -> np.ndarray:
    near, inside = threshold("similarity", options.similarity), threshold("containment", options.containment)
    alike = common * near.denominator >= near.numerator * (left + right - common)
    of_left = common * inside.denominator >= inside.numerator * left
    of_right = (common * inside.denominator >= inside.numerator * right) & (left <= LARGER * right)
    found: np.ndarray = np.asarray((common > 0) & (alike | of_left | of_right), np.bool_)
    return found
