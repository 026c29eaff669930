"""Hot buckets: all documents of a crawl times all of a reference that share one hash, reduced by their signatures.

A template, a list of error pages or a flood of copies puts thousands of documents on either side of one bucket. No pair with a
reference may be left out by a count, since a copy could hide behind it; but most pairs are decided by the signatures alone
(`similarity.decide`), and of those that are duplicates beyond doubt one for each document is enough. Only buckets of a
band are reduced so, never those of a sampled shingle, which may speak against the signatures.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from provenance.kernels import compiled
from provenance.similarity import Match, decide

PRODUCT = 1 << 16
"""Pairs of one bucket beyond which it is hot: below, to write them down costs less than to read signatures."""
LEFTS, RIGHTS = 256, 1024
"""Signatures of a block: 640 kB of 128 minima each, and a quarter of a million pairs at a time."""


class Side(NamedTuple):
    """Signatures (uint32 or uint64, n x permutations) and counts of distinct shingles (n) of one side of a bucket."""

    signatures: np.ndarray
    sizes: np.ndarray


def _count_agreement(left: np.ndarray, right: np.ndarray, out: np.ndarray) -> None:
    for i in range(left.shape[0]):
        for j in range(right.shape[0]):
            agree = 0
            for k in range(left.shape[1]):
                agree += left[i, k] == right[j, k]
            out[i, j] = agree


def agreement(left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """How many minima are equal (int32, lefts x rights) in each pair of signatures."""
    out = np.empty((len(left), len(right)), np.int32)
    compiled(_count_agreement)(np.ascontiguousarray(left), np.ascontiguousarray(right), out)
    return out


def one_of_each(side: Side) -> np.ndarray:
    """Places (sorted) of the first of all documents that have equal signatures and sizes."""
    rows = np.ascontiguousarray(np.column_stack([side.signatures, side.sizes.astype(side.signatures.dtype)]))
    whole = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).reshape(-1)
    places: np.ndarray = np.sort(np.unique(whole, return_index=True)[1])
    return places


def reduced(left: Side, right: Side, options: Match) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The pairs (left place, right place) of a product that have to be looked at, in chunks.

    Of a left that is a duplicate of some right beyond doubt, the pair of most equal minima, of the first such right; of any other,
    each pair that is in doubt. Pairs that are no duplicates beyond doubt do not come. Memory does not grow with either side, time
    with their product.
    """
    for start in range(0, len(left.sizes), LEFTS):
        block = Side(left.signatures[start : start + LEFTS], left.sizes[start : start + LEFTS])
        most, best, doubt = (np.full(len(block.sizes), value, np.int64) for value in (-1, -1, 0))
        for first, agree, certain, duplicate in _blocks(block, right, options):
            sure = np.where(certain & duplicate, agree, -1)
            place = np.argmax(sure, axis=1)
            found = sure[np.arange(len(sure)), place]
            better = found > most
            most[better], best[better] = found[better], first + place[better]
            doubt += (~certain).sum(axis=1)
        done = np.flatnonzero(best >= 0)
        if len(done):
            yield start + done, best[done]
        open_ = np.flatnonzero((best < 0) & (doubt > 0))
        if len(open_):
            for first, _, certain, _ in _blocks(Side(block.signatures[open_], block.sizes[open_]), right, options):
                lefts, rights = np.nonzero(~certain)
                if len(lefts):
                    yield start + open_[lefts], first + rights


def _blocks(left: Side, right: Side, options: Match) -> Iterator[tuple[int, np.ndarray, np.ndarray, np.ndarray]]:
    """For each block of rights: its first place, and (lefts x rights) equal minima, certainty and verdict."""
    permutations = left.signatures.shape[1]
    for first in range(0, len(right.sizes), RIGHTS):
        sizes = right.sizes[first : first + RIGHTS]
        agree = agreement(left.signatures, right.signatures[first : first + RIGHTS])
        certain, duplicate = decide(agree, permutations, left.sizes[:, None], sizes[None, :], options)
        yield first, agree, certain, duplicate
