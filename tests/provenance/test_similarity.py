"""Measured similarity against Python sets, and the exactness of the thresholds."""

import itertools
import json
import math
from fractions import Fraction

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import config
from provenance.minhash import MinHash, matrix, minhash
from provenance.shingles import shingle_hashes
from provenance.similarity import ERROR, MEASURES, Match, decide, duplicate, estimate, measure, similarity, threshold

OPTIONS = MinHash()
ONE = MinHash(shingle=1, bands=1)


def sets(texts: list[str | None], options: MinHash) -> list[set[int]]:
    hashes, offsets = shingle_hashes(pa.array(texts, pa.string()), options)
    return [set(hashes[a:b].tolist()) for a, b in itertools.pairwise(offsets)]


def counts(common: int, left: int, right: int) -> pa.RecordBatch:
    union = left + right - common
    values = [common / union, common / left, common / right, common, left, right]
    return pa.record_batch([[value] for value in values], schema=MEASURES)


@settings(deadline=None)  # the first example compiles the kernel
@given(st.lists(st.text(st.sampled_from("abcdefgh 漢字"), max_size=60) | st.none(), min_size=1, max_size=6))
def test_measures_equal_those_of_python_sets(texts: list[str | None]) -> None:
    pairs = list(itertools.product(range(len(texts)), repeat=2))
    left, right = np.array(pairs).T
    for options in (OPTIONS, ONE):
        own = sets(texts, options)
        for (i, j), row in zip(pairs, measure(pa.array(texts, pa.string()), left, right, options).to_pylist(), strict=True):
            a, b = own[i], own[j]
            common = len(a & b)
            assert row == {
                "similarity": common / len(a | b) if a | b else 0,
                "containment": common / len(a) if a else 0,
                "contained": common / len(b) if b else 0,
                "intersection": common,
                "left_size": len(a),
                "right_size": len(b),
            }


def test_no_pairs_and_no_texts() -> None:
    none = np.zeros(0, np.int64)
    assert measure(pa.array(["a b"]), none, none, OPTIONS).num_rows == 0
    assert measure(pa.array([], pa.string()), none, none, OPTIONS).schema.equals(MEASURES)


def test_pairwise_form_slices_and_chunks() -> None:
    texts = pa.array(["skip", "a b c d e f", "a b c d e f g", "x"])
    left, right = texts[1:3], pa.chunked_array([texts[2:3], texts[1:2]])
    found = similarity(left, right, OPTIONS)
    assert found.column("similarity").to_pylist() == [2 / 3, 2 / 3]
    assert found.column("containment").to_pylist() == [1, 2 / 3]
    assert found.column("contained").to_pylist() == [2 / 3, 1]
    with pytest.raises(ValueError, match="2 texts cannot be paired with 1"):
        similarity(left, texts[:1], OPTIONS)


@pytest.mark.parametrize(
    ("common", "left", "right", "expected"),
    [
        (75, 75, 100, True),  # similarity 3/4
        (74, 74, 100, True),  # .74, but wholly inside the reference
        (600, 800, 800, False),  # .6; containment .75
        (85, 100, 1000, True),  # .85 of the document is in the reference
        (84, 100, 1000, False),
        (85, 200, 100, True),  # .85 of the reference is in a document of twice its size
        (85, 201, 100, False),  # in a larger one
        (84, 200, 100, False),
        (0, 0, 0, False),
    ],
)
def test_rule(common: int, left: int, right: int, expected: bool) -> None:
    measures = counts(common, left, right) if left else pa.record_batch([[0.0], [0.0], [0.0], [0], [0], [0]], schema=MEASURES)
    assert duplicate(measures, Match()).tolist() == [expected]


def test_thresholds_are_exact_where_floats_are_not() -> None:
    # The containments stay below 1, so that the similarity alone decides.
    assert duplicate(counts(3, 6, 7), Match(similarity="0.3", containment="1")).tolist() == [True]
    assert duplicate(counts(3, 6, 7), Match(similarity="0.300000001", containment="1")).tolist() == [False]
    assert duplicate(counts(7, 10, 20), Match(similarity="1", containment="0.7")).tolist() == [True]
    large = 2_000_000_000
    limit = Match(similarity="0.999999999", containment="1")
    assert duplicate(counts(large - 2, large - 1, large - 1), limit).tolist() == [True]
    assert duplicate(counts(large - 3, large - 2, large - 1), limit).tolist() == [False]


def test_texts_and_numbers_give_one_configuration() -> None:
    from_yaml = msgspec.convert({"similarity": 0.8, "containment": 1}, Match)
    from_text = msgspec.convert({"similarity": "0.8", "containment": "1.0"}, Match)
    assert from_yaml == from_text
    assert threshold("similarity", from_yaml.similarity) == Fraction(4, 5)
    assert msgspec.to_builtins(Match()) == {
        "similarity": "0.75",
        "containment": "0.85",
        "near": "drop",
        "url": "keep",
        "bucket_limit": 128,
        "common": 64,
        "protect": (),
    }


@pytest.mark.parametrize("wrong", ["0", "-0.5", "1.01", "nan", "inf", "1/0", "much", "", "0.12345678901", 1.5])
def test_impossible_thresholds_are_refused(wrong: object) -> None:
    for name in ("similarity", "containment"):
        with pytest.raises(msgspec.ValidationError, match=f"match.{name} is "):
            msgspec.convert({name: wrong}, Match)


def test_other_impossible_settings_are_refused() -> None:
    for name in ("bucket_limit", "common"):
        with pytest.raises(ValueError, match=f"match.{name} is 0"):
            Match(**{name: 0})
    for wrong in ({"near": "maybe"}, {"url": "maybe"}, {"threshold": "0.8"}, {"protect": "all"}, {"protect": [1]}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Match)


@pytest.mark.parametrize("wrong", ["", "  ", "/data/*", "s3://bucket/*"])
def test_patterns_that_protect_nothing_are_refused(wrong: str) -> None:
    with pytest.raises(ValueError, match="relative to the SOURCE"):
        Match(protect=("crawl/*", wrong))


def test_protected_sources_have_one_configuration_in_any_order_and_from_anywhere() -> None:
    given_in_yaml = msgspec.convert({"protect": ["b/*", "a*", "b/*"]}, Match)
    typed = config.resolve("curate", [], [("match.protect", "a*,b/*")])["match"]
    listed = config.resolve("curate", [], [("match.protect", '["b/*", "a*"]')])["match"]
    assert given_in_yaml == typed == listed and typed.protect == ("a*", "b/*")
    assert config.restore(json.loads(json.dumps(config.plain({"match": typed}))), "curate")["match"] == typed


def agreeing(equal: int, left: int, right: int, options: Match, permutations: int = 128) -> tuple[dict, bool]:
    """The estimate of one pair whose signatures agree in so many minima."""
    one = np.arange(permutations, dtype=np.uint32)[None]
    other = np.where(one < equal, one, one + 1000)
    measures, found = estimate(one, other, np.array([left], np.int32), np.array([right], np.int32), options)
    assert measures.schema.equals(MEASURES) and found.dtype == np.bool_
    return measures.to_pylist()[0], bool(found[0])


@pytest.mark.parametrize(
    ("equal", "left", "right", "expected", "found"),
    [
        (128, 100, 100, (1, 1, 1, 100), True),
        (96, 100, 100, (0.75, 6 / 7, 6 / 7, 86), True),  # exactly at the threshold
        (95, 1000, 1000, (95 / 128, 190 / 223, 190 / 223, 852), True),  # a containment of .852
        (94, 1000, 1000, (94 / 128, 188 / 222, 188 / 222, 847), False),
        (64, 100, 1000, (0.1, 1, 0.1, 100), True),  # no more than all of the smaller side is common
        (0, 100, 100, (0, 0, 0, 0), False),
        (128, 0, 0, (0, 0, 0, 0), False),
        (128, 0, 90, (0, 0, 0, 0), False),
    ],
)
def test_an_estimate_follows_from_the_equal_minima_and_the_sizes(
    equal: int, left: int, right: int, expected: tuple[float, ...], found: bool
) -> None:
    measures, duplicates = agreeing(equal, left, right, Match())
    names = ("similarity", "containment", "contained", "intersection", "left_size", "right_size")
    assert [measures[name] for name in names] == pytest.approx([*expected, left, right], abs=1e-12)
    assert duplicates is found


def test_estimates_are_decided_in_integers_of_any_length() -> None:
    large, limit = 2**31 - 1, Match(similarity="0.744186046", containment="1")
    assert agreeing(96, large, large, Match(similarity="0.75", containment="1"))[1]
    assert not agreeing(96, large, large, Match(similarity="0.750000001", containment="1"))[1]
    assert agreeing(96, 7, 7, limit)[1] and not agreeing(95, 7, 7, limit)[1]  # 95 of 128 are .7422, rounded to shingles .75


def test_estimates_lie_near_what_the_texts_measure() -> None:
    rng = np.random.default_rng(7)
    base = [f"w{n}" for n in range(400)]
    texts = [" ".join(base)]
    for share in (0, 0.01, 0.02, 0.05, 0.1, 0.3, 0.9):
        texts.append(" ".join(f"x{i}" if rng.random() < share else word for i, word in enumerate(base)))
    texts += [" ".join(base[:150]), " ".join([*base, *(f"y{i}" for i in range(300))])]
    options = MinHash(permutations=1024)
    sketch = minhash(pa.array(texts), options)
    minima, sizes = matrix(sketch.column("signature")), sketch.column("shingles").to_numpy()
    left, right = np.zeros(len(texts), np.int64), np.arange(len(texts))
    guessed, _ = estimate(minima[left], minima[right], sizes[left], sizes[right], Match())
    for guess, truth in zip(guessed.to_pylist(), measure(pa.array(texts), left, right, options).to_pylist(), strict=True):
        assert guess["similarity"] == pytest.approx(truth["similarity"], abs=4 * (0.25 / 1024) ** 0.5)
        assert guess["containment"] == pytest.approx(truth["containment"], abs=0.12)
        assert (guess["left_size"], guess["right_size"]) == (truth["left_size"], truth["right_size"])


def test_no_estimates() -> None:
    none = np.zeros((0, 128), np.uint32)
    measures, found = estimate(none, none, np.zeros(0, np.int32), np.zeros(0, np.int32), Match())
    assert measures.num_rows == len(found) == 0


def tail(permutations: int, share: float, agree: int, above: bool) -> float:
    """Probability that a binomial count is `agree` or more, or `agree` or fewer, exactly."""
    p = Fraction(share).limit_denominator(10**6)
    counts = range(agree, permutations + 1) if above else range(agree + 1)
    return float(sum(math.comb(permutations, i) * p**i * (1 - p) ** (permutations - i) for i in counts))


@pytest.mark.parametrize("permutations", [64, 128, 256])
def test_what_is_certain_is_wrong_at_most_as_often_as_it_says(permutations: int) -> None:
    # Sizes so large that counts of shingles are as fine as the similarity itself; only the similarity decides.
    size, limit = np.array([10**9]), Match(similarity="0.75", containment="1")
    counts = np.arange(permutations + 1)
    certain, found = decide(counts, permutations, size, size, limit)
    assert certain.shape == found.shape == counts.shape
    yes, no = counts[certain & found], counts[certain & ~found]
    assert len(yes) and len(no) and yes.min() > no.max()
    assert 0.01 * ERROR < tail(permutations, 0.75, int(yes.min()), above=True) < ERROR
    assert 0.01 * ERROR < tail(permutations, 0.75, int(no.max()), above=False) < ERROR
    assert np.array_equal(counts[~certain], np.arange(no.max() + 1, yes.min()))
    # The bound is tight but for what Chernoff's leaves.
    assert tail(permutations, 0.75, int(yes.min()) - 6, above=True) > ERROR
    assert tail(permutations, 0.75, int(no.max()) + 6, above=False) > ERROR


def test_far_pairs_are_practically_never_taken_for_duplicates() -> None:
    size = np.array([1000])
    certain, found = decide(np.arange(129), 128, size, size, Match())
    assert tail(128, 0.5, int(np.flatnonzero(certain & found)[0]), above=True) < 1e-19


@given(
    st.integers(1, 300).flatmap(lambda k: st.tuples(st.just(k), st.integers(0, k))),
    st.integers(0, 2**31 - 1) | st.integers(0, 50),
    st.integers(0, 2**31 - 1) | st.integers(0, 50),
    st.sampled_from(["0.001", "0.5", "0.75", "0.999999999", "1"]),
    st.sampled_from(["0.001", "0.5", "0.85", "0.999999999", "1"]),
)
def test_what_is_certain_is_what_the_estimate_says(minima: tuple[int, int], left: int, right: int, near: str, inside: str) -> None:
    permutations, agree = minima
    options = Match(similarity=near, containment=inside)
    certain, found = decide(np.array([agree]), permutations, np.array([left]), np.array([right]), options)
    if left == 0 or right == 0:
        assert certain.tolist() == [True] and found.tolist() == [False]
    if certain[0]:
        assert agreeing(agree, left, right, options, permutations)[1] == bool(found[0])


def test_decisions_broadcast_and_follow_from_the_sizes() -> None:
    agree = np.full((2, 3), 90)
    certain, found = decide(agree, 128, np.array([[100], [1000]]), np.array([100, 60, 10_000]), Match())
    assert certain.shape == found.shape == (2, 3)
    # What is far smaller is wholly contained if so much agrees; what is 16 times as large is no duplicate for that.
    assert (certain[0, 2], found[0, 2]) == (True, True) and (certain[1, 1], found[1, 1]) == (True, False)
    assert not certain[0, 0]


@pytest.mark.parametrize("preset", ["lowbackground", "fineweb_2"])
def test_clear_pairs_of_real_sketches_are_decided_as_their_texts_are(preset: str) -> None:
    rng, letters = np.random.default_rng(11), str.maketrans("0123456789", "abcdefghij")
    texts = []
    for n in range(300):
        base = [f"w{n}x{i}".translate(letters) for i in range(int(rng.integers(5, 300)))]
        share = rng.random() ** 3
        texts += [" ".join(base), " ".join(word[::-1] if rng.random() < share else word for word in base)]
    left, right = np.arange(0, 600, 2), np.arange(1, 600, 2)
    options = MinHash(preset=preset)
    sketch = minhash(pa.array(texts), options)
    minima, sizes = matrix(sketch.column("signature")), sketch.column("shingles").to_numpy()
    assert minima.dtype == (np.uint64 if preset == "fineweb_2" else np.uint32)
    agree = (minima[left] == minima[right]).sum(axis=1)
    certain, found = decide(agree, minima.shape[1], sizes[left], sizes[right], Match())
    assert 100 < certain.sum() < 300 and 10 < found[certain].sum() < certain.sum()
    assert np.array_equal(found[certain], duplicate(measure(pa.array(texts), left, right, options), Match())[certain])
    _, guessed = estimate(minima[left], minima[right], sizes[left], sizes[right], Match())
    assert np.array_equal(guessed[certain], found[certain])
