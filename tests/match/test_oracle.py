"""The oracle agrees with the measure of the product, on scripts, marks and sizes where they could differ, and with SPEC.md's words."""

import random

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.minhash import MinHash
from provenance.similarity import MEASURES, Match, duplicate, measure
from tests.match import oracle, planted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("The Quick_brown fox2", ["the", "quick_brown", "fox2"]),
        ("don't", ["don", "t"]),
        ("港は静か", ["港", "は", "静", "か"]),
        ("in 東京 today", ["in", "東", "京", "today"]),
        ("q\u0307z", ["q\u0307z"]),
        ("\u0307 a", ["a"]),
        ("กำ", ["ก", "ำ"]),
        ("İ", ["i\u0307"]),
        ("❤\ufe0f", []),
        ("a\U000e0100b", ["a", "b"]),
        ("か\u3099", ["が"]),
        ("", []),
    ],
)
def test_tokens_are_those_of_the_specification(text: str, expected: list[str]) -> None:
    assert oracle.tokens(text) == expected


def test_shingles_are_runs_and_short_texts_have_one() -> None:
    assert oracle.shingles("a b c d e f") == {("a", "b", "c", "d", "e"), ("b", "c", "d", "e", "f")}
    assert oracle.shingles("a b") == {("a", "b")}
    assert oracle.shingles("?!") == frozenset()


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.text(st.sampled_from("aAbß Σσ\u0307\u0301が゛กำ東京_9Ⅷ²\U000e0100\ufe0f.,-İ가\u1100\u1161\u200d"), max_size=60),
        min_size=2,
        max_size=6,
    )
)
def test_sets_and_hashes_measure_the_same(texts: list[str]) -> None:
    left, right = np.divmod(np.arange(len(texts) ** 2), len(texts))
    found = measure(pa.array(texts), left, right, MinHash())
    for row, a, b in zip(found.to_pylist(), left, right, strict=True):
        truth = oracle.compare(texts[a], texts[b])
        assert (row["intersection"], row["left_size"], row["right_size"]) == truth
        assert (row["similarity"], row["containment"], row["contained"]) == (truth.similarity, truth.containment, truth.contained)


@pytest.mark.parametrize("script", planted.SCRIPTS)
def test_planted_copies_measure_the_same_and_cover_every_band(script: str) -> None:
    texts = [planted.prose(script, seed, 200) for seed in range(12)]
    copies = planted.plant(texts, 8, seed=3)
    everything = pa.array([*texts, *(copy.text for copy in copies)])
    left = np.arange(len(texts), len(everything))
    found = measure(everything, left, np.array([copy.source for copy in copies]), MinHash())
    truths = [oracle.compare(copy.text, texts[copy.source]) for copy in copies]
    assert found.column("intersection").to_pylist() == [truth.common for truth in truths]
    assert duplicate(found, Match()).tolist() == [truth.duplicate for truth in truths]
    bands = {int(truth.similarity * 20) for truth in truths}
    assert bands >= set(range(11, 20)), "some band of similarity has no pair"
    for kind in planted.EDITS:
        assert len({int(truth.similarity * 10) for truth, copy in zip(truths, copies, strict=True) if copy.kind == kind}) >= 4, kind


@pytest.mark.parametrize("script", planted.SCRIPTS)
def test_texts_of_other_seeds_share_next_to_nothing(script: str) -> None:
    sets = [oracle.shingles(planted.prose(script, seed, 150)) for seed in range(60)]
    assert max((pair.similarity for *_, pair in oracle.sharing(sets)), default=0) < 0.05


@given(st.integers(0, 40), st.integers(1, 40), st.integers(1, 40))
def test_the_rule_is_that_of_the_product(common: int, left: int, right: int) -> None:
    common = min(common, left, right)
    shares = [common / (left + right - common), common / left, common / right]
    row = pa.record_batch([[share] for share in shares] + [[common], [left], [right]], schema=MEASURES)
    assert duplicate(row, Match()).tolist() == [oracle.Pair(common, left, right).duplicate]


def test_all_pairs_that_share_anything_are_found() -> None:
    rng = random.Random(1)
    sets = [frozenset((str(rng.randrange(40)),) for _ in range(4)) for _ in range(30)]
    expected = {(i, j, oracle.pair(sets[i], sets[j])) for i in range(30) for j in range(i) if sets[i] & sets[j]}
    assert set(oracle.sharing(sets)) == expected
    beside = {(i, j, oracle.pair(sets[i], sets[20 + j])) for i in range(20) for j in range(10) if sets[i] & sets[20 + j]}
    assert set(oracle.sharing(sets[:20], sets[20:])) == beside


def test_the_rule_of_survival_drops_nothing_through_a_chain() -> None:
    a, b, c = planted.chain("survival", 3)
    truths = [oracle.compare(*two) for two in ((b, a), (c, b), (c, a))]
    assert [truth.duplicate for truth in truths] == [True, True, False]
    assert 0.78 < truths[0].similarity < 0.82 and truths[2].similarity < 0.7 and truths[2].containment < 0.8
    assert oracle.survivors([a, b, c]) == [True, False, True]
    assert oracle.survivors([b, a, c]) == [True, False, False]
    assert oracle.survivors([a, c], [b]) == [False, False]
    x, y, z = "one two three four five six", "ONE two three four five six", "one  two three four five six"
    assert oracle.survivors([x, y, z]) == [True, False, False]
    assert oracle.survivors([y], [x]) == [False]
    assert oracle.survivors([a, a]) == [True, False]
