"""Survivors: which documents of a graph of duplicates stay, and which kept one each dropped one copies.

Documents have an order: those of the reference first, then by attestation, end of the capture interval, digest and key. In
this order a document is dropped if and only if it has a duplicate pair with an earlier one that is itself kept. So each
dropped document's canonical is kept, measurably similar to it, and better attested; nothing is dropped through a chain.
"""

from __future__ import annotations

import numpy as np

from provenance.shingles import compiled


def positions(ranks: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Place of each document (int64) in the order of survival: reference documents first, then by rank."""
    order = np.lexsort((ranks, ~np.asarray(reference, np.bool_)))
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order))
    return places


def orient(left: np.ndarray, right: np.ndarray, place: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pairs with the later document on the left and the earlier, its reference, on the right."""
    swap = place[left] < place[right]
    return np.where(swap, right, left), np.where(swap, left, right)


def _keep_first(later: np.ndarray, earlier: np.ndarray, reference: np.ndarray, canonical: np.ndarray) -> None:
    """Pairs are sorted by the later document's place, then from the best canonical to the worst."""
    for pair in range(later.shape[0]):
        document = later[pair]
        if canonical[document] < 0 and canonical[earlier[pair]] < 0 and not reference[document]:
            canonical[document] = earlier[pair]


def survivors(
    ranks: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    similarity: np.ndarray,
    identical: np.ndarray,
    reference: np.ndarray,
) -> np.ndarray:
    """For each document the index of the kept one that it copies, -1 where it is kept itself (int64, n).

    `ranks` (0 the first, unique) and `reference` (bool) are aligned with the documents, of which the duplicate pairs `left`, `right`
    are indices; which of the two is later is found here. Reference documents are always kept. Of several kept earlier
    documents the canonical is the best by: identical, in the reference, more similar, earlier. The result does not depend on
    the order, direction or repetition of the pairs.
    """
    left, right = np.asarray(left, np.int64), np.asarray(right, np.int64)
    reference = np.asarray(reference, np.bool_)
    place = positions(ranks, reference)
    later, earlier = orient(left, right, place)
    similarity, identical = np.asarray(similarity, np.float64), np.asarray(identical, np.bool_)
    order = np.lexsort((place[earlier], -similarity, ~reference[earlier], ~identical, place[later]))
    order = order[later[order] != earlier[order]]
    canonical = np.full(len(reference), -1, np.int64)
    compiled(_keep_first)(later[order], earlier[order], reference, canonical)
    return canonical
