"""Exact intervals of a proportion and Student's quantile, held against scipy."""

import math

import pytest

from provenance.proportions import binomial_interval, student


@pytest.mark.parametrize(
    ("hits", "count"), [(0, 10), (1, 10), (10, 10), (3, 20), (0, 1), (100, 20_000), (19_990, 20_000), (1.5, 30.2)]
)
@pytest.mark.parametrize("level", [0.9, 0.95, 0.99])
def test_the_interval_is_clopper_and_pearsons(hits: float, count: float, level: float) -> None:
    beta = pytest.importorskip("scipy.stats").beta
    tail = (1 - level) / 2
    low = beta.ppf(tail, hits, count - hits + 1) if hits else 0.0
    high = beta.ppf(1 - tail, hits + 1, count - hits) if hits < count else 1.0
    assert binomial_interval(hits, count, level) == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))


def test_nothing_seen_says_nothing() -> None:
    assert binomial_interval(0, 0, 0.95) == (0.0, 1.0)


def test_none_of_many_is_the_rule_of_three() -> None:
    assert binomial_interval(0, 1000, 0.95)[1] == pytest.approx(1 - 0.025 ** (1 / 1000), abs=1e-9)


@pytest.mark.parametrize("freedom", [0.7, 1, 1.5, 4, 10, 300, 1e5])
def test_students_quantile(freedom: float) -> None:
    t = pytest.importorskip("scipy.stats").t
    for probability in (0.6, 0.9, 0.975, 0.995):
        assert student(probability, freedom) == pytest.approx(t.ppf(probability, freedom), rel=1e-5)
    assert student(0.975, math.inf) == pytest.approx(1.959964, abs=1e-6)
