"""Survivors: which documents of a graph of duplicates stay, and which kept one each dropped one copies.

Documents of the crawl have a rank in the order of survival: those of protected sources first, then by attestation, end of the capture
interval, digest and key; documents of a reference come before all of them. In this order a document is dropped if and only if it
is not protected and has a duplicate pair with an earlier one that is itself kept, as every document of a reference is. So each dropped
document's canonical is kept, measurably similar to it, and better attested; nothing is dropped through a chain.

A document's fate is settled when its own pairs are read, because all its rivals come before it. One pass over the pairs in the order of
their later document is therefore enough, however long a chain is, and one bit for each document is all that it has to remember.
"""

from __future__ import annotations

import numpy as np

from provenance.kernels import compiled


def _settle(
    left: np.ndarray, right: np.ndarray, outside: np.ndarray, dropped: np.ndarray, protected: int, last: int, out: np.ndarray
) -> tuple[int, int, int]:
    """Writes the deciding pairs to `out`. Returns how many there are, the last left document that has one, and the first pair
    (or -1) that is out of order."""
    end = 0
    for pair in range(left.shape[0]):
        document, rival = left[pair], right[pair]
        if (pair > 0 and document < left[pair - 1]) or (not outside[pair] and not 0 <= rival < document):
            return end, last, pair
        if document == last:
            continue
        if outside[pair] or not (dropped[rival >> 3] >> (rival & 7)) & 1:
            last = document
            out[end] = pair
            end += 1
            if document >= protected:
                dropped[document >> 3] |= np.uint8(1 << (document & 7))
    return end, last, -1


class Survivors:
    """The state of one pass over the duplicate pairs of a crawl: one bit for each of `documents`, by rank.

    The first `protected` ranks are never dropped.
    """

    def __init__(self, documents: int, protected: int = 0):
        if not 0 <= protected <= documents:
            raise ValueError(f"{protected} of {documents} documents cannot be protected; give a count of the first ranks.")
        self.documents, self.protected = documents, protected
        self._dropped = np.zeros(-(-documents // 8), np.uint8)
        self._last = self._reached = -1

    def take(self, left: np.ndarray, right: np.ndarray, outside: np.ndarray) -> np.ndarray:
        """Reads the next pairs; returns the places (int64) of those that decide: of each document that has a rival, the first
        pair with one. For a protected document it names what would else have dropped it.

        `left` are ranks, `right` ranks too or, where `outside` (bool) says that the other document is a reference's, anything. Pairs are
        sorted by `left`, and those of one document from the best canonical to the worst; where the stream is cut into batches
        does not matter, and neither does a pair that comes twice. Raises `ValueError` where the order is broken or a
        pair of the crawl does not have its later document on the left, since its document would be settled too soon.
        """
        left, right = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
        if not len(left):
            return np.zeros(0, np.int64)
        out = np.empty(len(left), np.int64)
        if left[0] < self._reached or left[0] < 0 or left[-1] >= self.documents:
            raise ValueError(
                f"pairs of documents {left[0]} to {left[-1]} follow those of {self._reached}, of {self.documents} in all; their rivals are "
                "settled already or unknown. Sort the pairs by their left document's rank."
            )
        end, self._last, broken = compiled(_settle)(
            left, right, np.ascontiguousarray(outside, np.bool_), self._dropped, self.protected, self._last, out
        )
        if broken >= 0:
            raise ValueError(
                f"the pair of {left[broken]} and {right[broken]} is out of order; its document would be settled before its rivals are. "
                "Put the later document on the left, and sort by it."
            )
        self._reached = int(left[-1])
        return out[:end]

    def dropped(self, ranks: np.ndarray) -> np.ndarray:
        """Whether documents of these ranks are dropped (bool), as far as their pairs were read."""
        ranks = np.asarray(ranks, np.int64)
        found: np.ndarray = (self._dropped[ranks >> 3] >> (ranks & 7).astype(np.uint8) & 1).astype(np.bool_)
        return found
