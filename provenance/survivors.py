"""Survivors: which documents of a graph of duplicates stay, and which kept one each dropped one copies.

Documents of the crawl have a rank in the order of survival: those of protected sources first, then by attestation, end of the capture
interval, digest and key; documents of a reference come before all of them. In this order a document is dropped if and only if it
is not protected and has a duplicate pair with an earlier one that is itself kept, as every document of a reference is. So each dropped
document's canonical is kept, measurably similar to it, and better attested; nothing is dropped through a chain.

A document's fate is settled when its own pairs are read, because all its rivals come before it. One pass over the pairs in the order of
their later document is therefore enough, however long a chain is, and one bit for each document is all that it has to remember.

What is a duplicate of a text is one of each document that has it. A pair may therefore name a text in place of a document: its rival is
the first document of that text that is kept. Of n equal texts that takes n pairs, where every one with every other would take n².
"""

from __future__ import annotations

import numpy as np

from provenance.kernels import compiled


def _settle(
    left: np.ndarray,
    right: np.ndarray,
    outside: np.ndarray,
    group: np.ndarray,
    ends: np.ndarray,
    members: np.ndarray,
    reached: np.ndarray,
    dropped: np.ndarray,
    protected: int,
    last: int,
    out: np.ndarray,
    rivals: np.ndarray,
) -> tuple[int, int, int]:
    """Writes the deciding pairs to `out` and their rivals to `rivals`. Returns how many there are, the last left document that has
    one, and the first pair (or -1) that is out of order.

    `group` is the number of the group of equal texts that a pair names, -1 where it names a document; `ends` where each group ends in
    `members`, and `reached` the first of its members that is not known to be dropped.
    """
    end = 0
    for pair in range(left.shape[0]):
        document, rival = left[pair], right[pair]
        if (pair > 0 and document < left[pair - 1]) or (not outside[pair] and not 0 <= rival < document):
            return end, last, pair
        if document == last:
            continue
        if group[pair] >= 0:
            at = reached[group[pair]]
            while at < ends[group[pair]] and members[at] < document and (dropped[members[at] >> 3] >> (members[at] & 7)) & 1:
                at += 1
            reached[group[pair]] = at
            if at == ends[group[pair]] or members[at] >= document:
                continue
            rival = members[at]
        if outside[pair] or not (dropped[rival >> 3] >> (rival & 7)) & 1:
            last = document
            out[end] = pair
            rivals[end] = rival
            end += 1
            if document >= protected:
                dropped[document >> 3] |= np.uint8(1 << (document & 7))
    return end, last, -1


class Survivors:
    """The state of one pass over the duplicate pairs of a crawl: one bit for each of `documents`, by rank.

    The first `protected` ranks are never dropped. `texts` and `members` (int64, n each) are the texts that several documents have: the
    rank of the first of them, and theirs, sorted by both; they take 8 bytes a member.
    """

    def __init__(self, documents: int, protected: int = 0, texts: np.ndarray | None = None, members: np.ndarray | None = None):
        if not 0 <= protected <= documents:
            raise ValueError(f"{protected} of {documents} documents cannot be protected; give a count of the first ranks.")
        self.documents, self.protected = documents, protected
        self._dropped = np.zeros(-(-documents // 8), np.uint8)
        self._last = self._reached = -1
        self._members = np.zeros(0, np.int64) if members is None else np.ascontiguousarray(members, np.int64)
        self._texts, starts = np.unique(np.zeros(0, np.int64) if texts is None else np.asarray(texts, np.int64), return_index=True)
        self._next = starts.astype(np.int64)
        self._ends = np.append(self._next, len(self._members))[1:]

    def take(
        self, left: np.ndarray, right: np.ndarray, outside: np.ndarray, text: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """Reads the next pairs; returns the places (int64) of those that decide, of each document that has a rival the first
        pair with one, and these rivals (int64). For a protected document they name what would else have dropped it.

        `left` are ranks, `right` ranks too or, where `outside` (bool) says that the other document is a reference's, anything. Where `text`
        (bool) says so, `right` is the rank of the first document of a text, and stands for all of that text. Pairs are
        sorted by `left`, and those of one document from the best canonical to the worst; where the stream is cut into batches
        does not matter, and neither does a pair that comes twice. Raises `ValueError` where the order is broken or a
        pair of the crawl does not have its later document on the left, since its document would be settled too soon.
        """
        left, right = np.ascontiguousarray(left, np.int64), np.ascontiguousarray(right, np.int64)
        if not len(left):
            return np.zeros(0, np.int64), np.zeros(0, np.int64)
        out, rivals = np.empty(len(left), np.int64), np.empty(len(left), np.int64)
        if left[0] < self._reached or left[0] < 0 or left[-1] >= self.documents:
            raise ValueError(
                f"pairs of documents {left[0]} to {left[-1]} follow those of {self._reached}, of {self.documents} in all; their rivals are "
                "settled already or unknown. Sort the pairs by their left document's rank."
            )
        end, self._last, broken = compiled(_settle)(
            left,
            right,
            np.ascontiguousarray(outside, np.bool_),
            self._groups(right, outside, text),
            self._ends,
            self._members,
            self._next,
            self._dropped,
            self.protected,
            self._last,
            out,
            rivals,
        )
        if broken >= 0:
            raise ValueError(
                f"the pair of {left[broken]} and {right[broken]} is out of order; its document would be settled before its rivals are. "
                "Put the later document on the left, and sort by it."
            )
        self._reached = int(left[-1])
        return out[:end], rivals[:end]

    def _groups(self, right: np.ndarray, outside: np.ndarray, text: np.ndarray | None) -> np.ndarray:
        """The number of the text that each pair names, -1 where it names a document or a text that one document alone has."""
        if text is None or not len(self._texts):
            return np.full(len(right), -1, np.int64)
        found = np.minimum(np.searchsorted(self._texts, right), len(self._texts) - 1)
        return np.where(
            np.asarray(text, np.bool_) & ~np.asarray(outside, np.bool_) & (self._texts[found] == right), found, -1
        ).astype(np.int64)

    def dropped(self, ranks: np.ndarray) -> np.ndarray:
        """Whether documents of these ranks are dropped (bool), as far as their pairs were read."""
        ranks = np.asarray(ranks, np.int64)
        found: np.ndarray = (self._dropped[ranks >> 3] >> (ranks & 7).astype(np.uint8) & 1).astype(np.bool_)
        return found
