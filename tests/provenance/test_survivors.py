"""The survivor rule against brute force over random graphs, chains, copies, and independence of order."""

import random
import tracemalloc

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.minhash import MinHash
from provenance.similarity import Match, duplicate, measure
from provenance.survivors import Survivors

Pair = tuple[int, int, float]
"""Two documents, each a rank or -1, -2 ... for those of a reference, and their similarity."""


def merit(pair: Pair) -> tuple:
    """The order in which the pairs of one document are read: references first, then the most similar, then the earliest."""
    _, other, similarity = pair
    return other >= 0, -similarity, abs(other)


def run(n: int, pairs: list[Pair], protected: int = 0, cuts: list[int] | None = None) -> dict[int, Pair]:
    """The deciding pair of each document that has one, by a pass over batches that are cut anywhere."""
    turned = [(max(a, b), min(a, b), s) for a, b, s in pairs]
    ordered = sorted((pair for pair in turned if pair[0] >= 0), key=lambda pair: (pair[0], merit(pair)))
    left, right = (np.array([pair[side] for pair in ordered], np.int64) for side in (0, 1))
    found, state = {}, Survivors(n, protected)
    edges = sorted({0, len(ordered), *(cut % (len(ordered) + 1) for cut in cuts or [])})
    for start, stop in zip(edges, [*edges[1:], len(ordered)], strict=True):
        for place, rival in zip(*state.take(left[start:stop], right[start:stop], right[start:stop] < 0), strict=True):
            pair = ordered[start + int(place)]
            assert rival == pair[1]
            assert pair[0] not in found
            found[pair[0]] = pair
    gone = state.dropped(np.arange(n))
    assert np.flatnonzero(gone).tolist() == sorted(document for document in found if document >= protected)
    return found


def brute_force(n: int, pairs: list[Pair], protected: int) -> dict[int, Pair]:
    """The rule as it is said: in order, dropped if and only if there is a pair with one that is kept and comes first."""
    found: dict[int, Pair] = {}
    for document in range(n):
        rivals = []
        for a, b, similarity in pairs:
            for mine, other in ((a, b), (b, a)):
                if mine == document and other < document and (other < 0 or other not in found or other < protected):
                    rivals.append((mine, other, similarity))
        if rivals:
            found[document] = min(rivals, key=merit)
    return found


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list[Pair], int]:
    n = draw(st.integers(1, 20))
    documents = st.integers(-4, n - 1)
    pairs = draw(st.lists(st.tuples(documents, documents, st.sampled_from([0.5, 0.75, 0.8, 1.0])), max_size=50))
    return n, [(a, b, s) for a, b, s in pairs if a != b], draw(st.integers(0, n))


@settings(deadline=None)  # the first example compiles the kernel
@given(graphs(), st.randoms(use_true_random=False), st.lists(st.integers(0, 100), max_size=8))
def test_any_graph_in_any_order_direction_repetition_and_batches(graph: tuple, rng: random.Random, cuts: list[int]) -> None:
    n, pairs, protected = graph
    expected = brute_force(n, pairs, protected)
    assert run(n, pairs, protected) == expected
    shuffled = [(b, a, s) if rng.random() < 0.5 else (a, b, s) for a, b, s in pairs]
    rng.shuffle(shuffled)
    assert run(n, shuffled + shuffled[:3], protected, cuts) == expected


@settings(deadline=None)  # the first example compiles the kernel
@given(graphs())
def test_what_is_dropped_and_what_is_kept(graph: tuple) -> None:
    n, pairs, protected = graph
    found = run(n, pairs, protected)
    gone = {document for document in found if document >= protected}
    given_pairs = {(frozenset((a, b)), s) for a, b, s in pairs}
    for document in gone:
        _, canonical, similarity = found[document]
        assert canonical not in gone and canonical < document
        assert (frozenset((document, canonical)), similarity) in given_pairs
        assert document >= protected
    for a, b, _ in pairs:
        later, earlier = max(a, b), min(a, b)
        assert later < protected or later in gone or earlier in gone


def test_a_chain_is_not_closed() -> None:
    words = [f"w{i}" for i in range(240)]
    texts = pa.array([" ".join(words[start : start + 200]) for start in (0, 20, 40)])
    left, right = np.array([1, 2, 2]), np.array([0, 1, 0])
    found = duplicate(measure(texts, left, right, MinHash()), Match())
    assert found.tolist() == [True, True, False]
    pairs = [(int(a), int(b), 0.8) for a, b in zip(left[found], right[found], strict=True)]
    assert run(3, pairs) == {1: (1, 0, 0.8)}
    # With the middle one first in the order of survival, both its neighbours copy it.
    place = [1, 0, 2]
    assert run(3, [(place[a], place[b], s) for a, b, s in pairs]) == {1: (1, 0, 0.8), 2: (2, 0, 0.8)}


@pytest.mark.parametrize("reach", [1, 3])
def test_a_chain_of_ten_thousand_daily_edits_keeps_every_one_that_is_far_enough(reach: int) -> None:
    n = 10_000
    pairs = [(day, day - back, 1 - back / 10) for day in range(n) for back in range(1, reach + 1) if day >= back]
    found = run(n, pairs)
    kept = [day for day in range(n) if day not in found]
    assert kept == list(range(0, n, reach + 1))
    assert all(document - pair[1] <= reach for document, pair in found.items())
    everywhere = run(n, [(b, a, s) for a, b, s in reversed(pairs)], cuts=list(range(0, len(pairs), 7)))
    assert everywhere == found


def test_three_copies_of_one_reference_all_go_and_name_it() -> None:
    pairs = [(a, b, 1.0) for a in range(3) for b in range(-1, a)]
    assert run(3, pairs) == {a: (a, -1, 1.0) for a in range(3)}


def test_a_protected_document_stays_and_drops_what_comes_after() -> None:
    pairs = [(0, -1, 0.9), (1, 0, 0.9), (2, 1, 0.9), (3, 0, 0.8)]
    found = run(4, pairs, protected=2)
    assert found == {0: (0, -1, 0.9), 1: (1, 0, 0.9), 2: (2, 1, 0.9), 3: (3, 0, 0.8)}
    state = Survivors(4, 2)
    state.take(np.array([0, 1, 2, 3]), np.array([7, 0, 1, 0]), np.array([True, False, False, False]))
    assert state.dropped(np.arange(4)).tolist() == [False, False, True, True]


def test_of_several_kept_ones_the_first_pair_counts() -> None:
    pairs = [(4, -1, 0.75), (4, -2, 0.8), (4, 1, 1.0)]
    assert run(5, pairs)[4] == (4, -2, 0.8)
    assert run(5, pairs[2:])[4] == (4, 1, 1.0)
    assert run(5, [(4, 1, 0.8), (4, 3, 0.8)])[4] == (4, 1, 0.8)


@pytest.mark.parametrize(
    ("left", "right", "outside"),
    [
        ([1], [1], [False]),
        ([1], [2], [False]),
        ([1], [-1], [False]),
        ([2, 1], [0, 0], [False, False]),
        ([5], [0], [False]),
        ([-1], [0], [True]),
    ],
)
def test_pairs_that_would_settle_a_document_too_soon_are_refused(left: list, right: list, outside: list) -> None:
    with pytest.raises(ValueError, match="rivals are"):
        Survivors(5).take(np.array(left), np.array(right), np.array(outside))


def test_batches_out_of_order_are_refused() -> None:
    state = Survivors(5)
    state.take(np.array([3]), np.array([0]), np.array([False]))
    with pytest.raises(ValueError, match="documents 2 to 2 follow those of 3"):
        state.take(np.array([2]), np.array([0]), np.array([False]))
    with pytest.raises(ValueError, match="6 of 5"):
        Survivors(5, 6)


def of_texts(texts: list[int], pairs: list[tuple[int, int]], protected: int, cut: int) -> dict[int, int]:
    """The rival of each document that has one, by the text of each document and pairs (document, text) that may drop it."""
    numbers = np.arange(len(texts))
    first = np.array([texts.index(text) for text in texts])
    several = np.array([rank for rank in np.lexsort((numbers, first)) if texts.count(texts[rank]) > 1], np.int64)
    rows = [(rank, 0, texts.index(text)) for rank, text in pairs if text in texts[:rank]]
    rows += [(rank, 1, first[rank]) for rank in numbers if first[rank] < rank]
    left, _, right = np.array(sorted(rows), np.int64).reshape(-1, 3).T
    state, found = Survivors(len(texts), protected, first[several], several), {}
    for some in (slice(0, cut), slice(cut, None)):
        count = len(left[some])
        places, rivals = state.take(left[some], right[some], np.zeros(count, bool), np.ones(count, bool))
        found |= dict(zip(left[some][places].tolist(), rivals.tolist(), strict=True))
    return found


@settings(deadline=None)  # the first example compiles the kernel
@given(
    st.lists(st.integers(0, 4), min_size=1, max_size=20),
    st.sets(st.tuples(st.integers(0, 19), st.integers(0, 4)), max_size=20),
    st.integers(0, 5),
    st.integers(0, 20),
)
def test_a_text_stands_for_the_first_of_its_documents_that_is_kept(texts: list, pairs: set, protected: int, cut: int) -> None:
    protected = min(protected, len(texts))
    given_pairs = [(rank, text) for rank, text in pairs if rank < len(texts) and texts[rank] != text]
    found, dropped = of_texts(texts, given_pairs, protected, cut), set[int]()
    for rank, own in enumerate(texts):
        kept = {
            text: min(other for other in range(rank) if texts[other] == text and other not in dropped)
            for text in {texts[other] for other in set(range(rank)) - dropped}
        }
        rivals = {kept[text] for text in {own} | {text for one, text in given_pairs if one == rank} if text in kept}
        assert (rank in found) == bool(rivals) and found.get(rank) in rivals | {None}
        if rivals and rank >= protected:
            dropped.add(rank)


def test_a_location_in_a_reference_is_no_text() -> None:
    state = Survivors(3, 0, np.array([0, 0]), np.array([0, 1]))
    places, _ = state.take(np.array([0, 1]), np.array([0, 0]), np.array([True, True]), np.array([True, True]))
    assert places.tolist() == [0, 1]


def test_ten_million_documents_take_a_bit_each() -> None:
    rng = np.random.default_rng(0)
    n, count = 10_000_000, 1_000_000
    left = np.sort(rng.integers(1, n, count))
    right, outside = rng.integers(0, left), rng.random(count) > 0.99
    run(2, [(1, 0, 1.0)])  # compiles
    tracemalloc.start()
    state = Survivors(n)
    decided = sum(len(state.take(*(column[i : i + 65536] for column in (left, right, outside)))[0]) for i in range(0, count, 65536))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < n / 8 + 2_000_000
    assert decided == state.dropped(np.arange(n)).sum() > 0
