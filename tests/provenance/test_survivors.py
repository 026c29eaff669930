"""The survivor rule against brute force over random graphs, chains, copies, and independence of order."""

import random
import time

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.minhash import MinHash
from provenance.similarity import Match, duplicate, measure
from provenance.survivors import orient, positions, survivors


def run(n: int, pairs: list[tuple[int, int, float, bool]], ranks: list[int], reference: list[bool]) -> list[int]:
    left, right, similarity, identical = (list(column) for column in zip(*pairs, strict=True)) if pairs else ([], [], [], [])
    return survivors(
        np.array(ranks, np.int64),
        np.array(left, np.int64),
        np.array(right, np.int64),
        np.array(similarity, np.float64),
        np.array(identical, np.bool_),
        np.array(reference, np.bool_),
    ).tolist()


def brute_force(n: int, pairs: list[tuple[int, int, float, bool]], ranks: list[int], reference: list[bool]) -> list[int]:
    order = sorted(range(n), key=lambda i: (not reference[i], ranks[i]))
    kept: list[int] = []
    canonical = [-1] * n
    for document in order:
        options = []
        for a, b, similarity, identical in pairs:
            for mine, other in ((a, b), (b, a)):
                if mine == document and other in kept:
                    options.append((not identical, not reference[other], -similarity, ranks[other], other))
        if options and not reference[document]:
            canonical[document] = min(options)[-1]
        else:
            kept.append(document)
    return canonical


@st.composite
def graphs(draw: st.DrawFn) -> tuple[int, list, list, list]:
    n = draw(st.integers(1, 12))
    places = st.integers(0, n - 1)
    pairs = draw(st.lists(st.tuples(places, places, st.sampled_from([0.75, 0.8, 0.9, 1.0]), st.booleans()), max_size=30))
    pairs = [pair for pair in pairs if pair[0] != pair[1]]
    return n, pairs, draw(st.permutations(range(n))), draw(st.lists(st.booleans(), min_size=n, max_size=n))


@settings(deadline=None)  # the first example compiles the kernel
@given(graphs(), st.randoms(use_true_random=False))
def test_any_graph_in_any_order(graph: tuple, rng: random.Random) -> None:
    n, pairs, ranks, reference = graph
    expected = brute_force(n, pairs, ranks, reference)
    assert run(n, pairs, ranks, reference) == expected
    shuffled = [(b, a, s, i) if rng.random() < 0.5 else (a, b, s, i) for a, b, s, i in pairs]
    rng.shuffle(shuffled)
    assert run(n, shuffled + shuffled[:3], ranks, reference) == expected


@settings(deadline=None)  # the first example compiles the kernel
@given(graphs())
def test_what_a_dropped_document_names(graph: tuple) -> None:
    n, pairs, ranks, reference = graph
    canonical = run(n, pairs, ranks, reference)
    place = positions(np.array(ranks), np.array(reference))
    adjacent = {frozenset(pair[:2]) for pair in pairs}
    for document, other in enumerate(canonical):
        if other >= 0:
            assert canonical[other] == -1
            assert frozenset((document, other)) in adjacent
            assert place[other] < place[document]
            assert not reference[document]
    for a, b, *_ in pairs:
        assert canonical[a] >= 0 or canonical[b] >= 0 or (reference[a] and reference[b])


@settings(deadline=None)  # the first example compiles the kernel
@given(graphs(), st.randoms(use_true_random=False))
def test_the_numbering_of_documents_does_not_matter(graph: tuple, rng: random.Random) -> None:
    n, pairs, ranks, reference = graph
    new = rng.sample(range(n), n)
    old = [new.index(i) for i in range(n)]
    renamed = run(n, [(new[a], new[b], s, i) for a, b, s, i in pairs], [ranks[i] for i in old], [reference[i] for i in old])
    expected = run(n, pairs, ranks, reference)
    assert [renamed[new[i]] for i in range(n)] == [new[c] if c >= 0 else -1 for c in expected]


def test_a_chain_is_not_closed() -> None:
    words = [f"w{i}" for i in range(240)]
    texts = pa.array([" ".join(words[start : start + 200]) for start in (0, 20, 40)])
    left, right = np.array([1, 2, 2]), np.array([0, 1, 0])
    measures = measure(texts, left, right, MinHash())
    found = duplicate(measures, Match())
    assert found.tolist() == [True, True, False]
    pairs = [(int(a), int(b), 0.8, False) for a, b in zip(left[found], right[found], strict=True)]
    assert run(3, pairs, [0, 1, 2], [False] * 3) == [-1, 0, -1]
    assert run(3, pairs, [1, 0, 2], [False] * 3) == [1, -1, 1]


def test_three_copies_of_one_reference_all_go_and_name_it() -> None:
    texts = pa.array(["one text of some length that is copied three times over"] * 4)
    left, right = np.array([1, 2, 3, 2, 3, 3]), np.array([0, 0, 0, 1, 1, 2])
    measures = measure(texts, left, right, MinHash())
    assert duplicate(measures, Match()).all()
    pairs = [
        (a, b, s, True) for a, b, s in zip(left.tolist(), right.tolist(), measures.column("similarity").to_pylist(), strict=True)
    ]
    for ranks in ([3, 0, 1, 2], [0, 1, 2, 3], [2, 3, 0, 1]):
        assert run(4, pairs, ranks, [True, False, False, False]) == [-1, 0, 0, 0]


def test_preference_among_kept_documents() -> None:
    reference = [True, False, True, False, False]
    pairs = [(4, 0, 0.8, False), (4, 1, 0.8, True), (4, 2, 0.9, False), (4, 3, 1.0, False)]
    assert run(5, pairs, [0, 1, 2, 3, 4], reference)[4] == 1
    assert run(5, pairs[:1] + pairs[2:], [0, 1, 2, 3, 4], reference)[4] == 2
    assert run(5, [pairs[0], pairs[3]], [0, 1, 2, 3, 4], reference)[4] == 0
    assert run(5, [(4, 1, 0.8, False), (4, 3, 0.8, False)], [0, 3, 2, 1, 4], reference)[4] == 3


def test_orient_puts_the_later_document_left() -> None:
    place = positions(np.array([0, 1, 2]), np.array([False, False, True]))
    assert place.tolist() == [1, 2, 0]
    left, right = orient(np.array([0, 0, 2]), np.array([1, 2, 1]), place)
    assert [left.tolist(), right.tolist()] == [[1, 0, 1], [0, 2, 2]]


def test_a_million_pairs_take_seconds() -> None:
    rng = np.random.default_rng(0)
    n = 1_000_000
    left, right, similarity = rng.integers(0, n, n), rng.integers(0, n, n), rng.random(n)
    run(1, [], [0], [False])
    start = time.process_time()
    canonical = survivors(rng.permutation(n), left, right, similarity, similarity > 0.9, similarity > 0.99)
    assert time.process_time() - start < 5
    assert (canonical >= 0).any()
