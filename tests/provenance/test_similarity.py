"""Measured similarity against Python sets, and the exactness of the thresholds."""

import itertools
from fractions import Fraction

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.minhash import MinHash, matrix, minhash
from provenance.shingles import shingle_hashes
from provenance.similarity import MEASURES, Match, duplicate, estimate, measure, similarity, threshold

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
    assert msgspec.to_builtins(Match()) == {"similarity": "0.75", "containment": "0.85", "near": "drop", "bucket_limit": 128}


@pytest.mark.parametrize("wrong", ["0", "-0.5", "1.01", "nan", "inf", "1/0", "much", "", "0.12345678901", 1.5])
def test_impossible_thresholds_are_refused(wrong: object) -> None:
    for name in ("similarity", "containment"):
        with pytest.raises(msgspec.ValidationError, match=f"match.{name} is "):
            msgspec.convert({name: wrong}, Match)


def test_other_impossible_settings_are_refused() -> None:
    with pytest.raises(ValueError, match="bucket_limit"):
        Match(bucket_limit=0)
    for wrong in ({"near": "maybe"}, {"threshold": "0.8"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Match)


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
