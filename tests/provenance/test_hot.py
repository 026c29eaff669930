"""Hot buckets: which pairs of a product are left, and that none that may be a duplicate is lost."""

import numpy as np
import pytest

from provenance import hot
from provenance.hot import Side
from provenance.minhash import MinHash, minima
from provenance.similarity import Match, decide, estimate

OPTIONS, MATCH = MinHash(), Match()
SHARED = np.random.default_rng(0).integers(0, 2**63, 400, np.uint64)


def sketched(sets: list[np.ndarray]) -> Side:
    offsets = np.concatenate([[0], np.cumsum([len(one) for one in sets])]).astype(np.int64)
    return Side(minima(np.concatenate(sets), offsets, OPTIONS), np.diff(offsets).astype(np.int32))


def pages(count: int, shared: int, own: int, seed: int) -> list[np.ndarray]:
    """Sets of shingles that have `shared` in common and `own` each."""
    rng = np.random.default_rng(seed)
    return [np.concatenate([SHARED[:shared], rng.integers(0, 2**63, own, np.uint64)]) for _ in range(count)]


def all_of(left: Side, right: Side) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
    """Pairs that are duplicates beyond doubt, and the others that are left, in the order in which they come."""
    sure: list[tuple[int, int]] = []
    doubt: list[tuple[int, int]] = []
    for lefts, rights in hot.reduced(left, right, MATCH):
        agree = (left.signatures[lefts] == right.signatures[rights]).sum(axis=1)
        certain, _ = decide(agree, OPTIONS.permutations, left.sizes[lefts], right.sizes[rights], MATCH)
        for one, other, clear in zip(lefts.tolist(), rights.tolist(), certain.tolist(), strict=True):
            (sure if clear else doubt).append((one, other))
    return sure, doubt


def test_agreement_counts_equal_minima() -> None:
    left, right = sketched(pages(5, 200, 60, 1)), sketched(pages(7, 200, 60, 2))
    wanted = (left.signatures[:, None, :] == right.signatures[None, :, :]).sum(axis=2)
    assert hot.agreement(left.signatures, right.signatures).tolist() == wanted.tolist()
    wide = left.signatures.astype(np.uint64) << np.uint64(20)
    assert hot.agreement(wide, wide).diagonal().tolist() == [OPTIONS.permutations] * 5


def test_equal_signatures_of_equal_size_stand_for_one_another_and_the_first_stays() -> None:
    some = sketched(pages(4, 200, 60, 3))
    order = [2, 0, 2, 1, 0, 3]
    side = Side(some.signatures[order], some.sizes[order])
    assert hot.one_of_each(side).tolist() == [0, 1, 3, 5]
    other = Side(side.signatures, side.sizes + np.array([0, 0, 1, 0, 0, 0], np.int32))
    assert hot.one_of_each(other).tolist() == [0, 1, 2, 3, 5]


@pytest.mark.parametrize(("lefts", "rights"), [(3, 5), (hot.LEFTS + 3, hot.RIGHTS + 5)])
def test_what_is_left_is_what_the_signatures_leave_in_doubt_and_the_best_of_what_they_prove(lefts: int, rights: int) -> None:
    reference = pages(rights, 260, 60, 4)
    copies = [np.concatenate([one[:-2], SHARED[-2:]]) for one in reference[-2:]]
    left, right = sketched([*pages(lefts - 2, 230, 90, 5), *copies]), sketched(reference)
    agree = hot.agreement(left.signatures, right.signatures)
    certain, duplicate = decide(agree, OPTIONS.permutations, left.sizes[:, None], right.sizes[None, :], MATCH)
    yes = certain & duplicate
    wanted = [(i, int(np.argmax(np.where(yes[i], agree[i], -1)))) for i in range(lefts) if yes[i].any()]
    sure, doubt = all_of(left, right)
    assert sorted(sure) == wanted and sure
    assert [pair for pair in wanted if pair[0] >= lefts - 2] == [(lefts - 2, rights - 2), (lefts - 1, rights - 1)]
    assert sorted(doubt) == [(i, j) for i in range(lefts) if not yes[i].any() for j in range(rights) if not certain[i, j]]


def test_of_equally_good_ones_the_first_is_taken_across_blocks() -> None:
    one = sketched(pages(1, 200, 60, 6))
    many = Side(np.repeat(one.signatures, hot.RIGHTS + 9, axis=0), np.repeat(one.sizes, hot.RIGHTS + 9))
    assert all_of(one, many) == ([(0, 0)], [])


def test_unlike_documents_leave_nothing() -> None:
    assert all_of(sketched(pages(40, 0, 200, 7)), sketched(pages(60, 0, 200, 8))) == ([], [])


def test_no_duplicate_of_a_full_bucket_is_lost() -> None:
    reference = pages(400, 240, 80, 9)
    rng = np.random.default_rng(10)
    edits = [one[rng.random(len(one)) > share] for one, share in zip(reference, rng.uniform(0, 0.3, 400), strict=True)]
    left, right = sketched(edits), sketched(reference)
    sure, doubt = all_of(left, right)
    left_over = {pair[0] for pair in (*sure, *doubt)}
    lefts, rights = np.indices((400, 400)).reshape(2, -1)
    _, alike = estimate(left.signatures[lefts], right.signatures[rights], left.sizes[lefts], right.sizes[rights], MATCH)
    assert {int(i) for i in lefts[alike]} <= left_over
