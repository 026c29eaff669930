"""Exact intervals of a proportion, and Student's quantile: what little statistics a report needs without a library for it."""

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist


def binomial_interval(hits: float, count: float, level: float) -> tuple[float, float]:
    """The interval of Clopper & Pearson (1934) for `hits` of `count`, which may be no whole numbers (Korn & Graubard 1998); (0, 1) for none.

    Its ends are quantiles of beta distributions, found by halving, to 1e-12; for no hits, or nothing else, they are powers.
    """
    if count <= 0:
        return 0.0, 1.0
    tail = (1 - level) / 2
    if hits <= 0:
        return 0.0, 1 - tail ** (1 / count)
    if hits >= count:
        return tail ** (1 / count), 1.0
    low = _root(lambda p: beta_share(p, hits, count - hits + 1), tail)
    return low, _root(lambda p: beta_share(p, hits + 1, count - hits), 1 - tail)


def _root(rising: Callable[[float], float], goal: float) -> float:
    low, high = 0.0, 1.0
    while high - low > 1e-12:
        middle = (low + high) / 2
        low, high = (middle, high) if rising(middle) < goal else (low, middle)
    return (low + high) / 2


def beta_share(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function I_x(a, b), by its continued fraction (Abramowitz & Stegun 26.5.8, Lentz's method)."""
    if x <= 0 or x >= 1:
        return float(x >= 1)
    if x > (a + 1) / (a + b + 2):
        return 1 - beta_share(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    c, d = 1.0, 1 / _apart(1 - (a + b) * x / (a + 1), tiny)
    total = d
    for m in range(1, 10_000):
        before = total
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d, c = 1 / _apart(1 + term * d, tiny), _apart(1 + term / c, tiny)
            total *= c * d
        if abs(total - before) <= 1e-15 * abs(total):
            break
    return front * total


def _apart(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny


@lru_cache(4096)
def student(probability: float, freedom: float) -> float:
    """Quantile of Student's t, by halving on its distribution function; the normal one where `freedom` is infinite. `probability` is at
    least one half, `freedom` above 0."""
    if math.isinf(freedom) or freedom > 1e6:
        return NormalDist().inv_cdf(probability)
    tail = 2 * (1 - probability)
    # P(|T| > t) = I_x(freedom/2, 1/2) with x = freedom / (freedom + t^2); Abramowitz & Stegun 26.7.1.
    x = _root(lambda x: beta_share(x, freedom / 2, 0.5), tail)
    return math.sqrt(freedom * (1 - x) / x)
