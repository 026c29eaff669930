"""Measures of a detector, from the scores of machine and of human texts; higher scores say machine."""

import math
from collections.abc import Callable

import numpy as np

Z95 = 1.959964
"""The 97.5 % quantile of the normal distribution: intervals of 95 %."""


def auroc(machine: np.ndarray, human: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half (Mann & Whitney 1947); NaN where a class is missing."""
    if not len(machine) or not len(human):
        return math.nan
    order = np.sort(human)
    below = np.searchsorted(order, machine, "left") + np.searchsorted(order, machine, "right")
    return float(below.mean() / (2 * len(human)))


def auroc_error(value: float, machine: int, human: int) -> float:
    """Standard error of an AUROC (Hanley & McNeil 1982, Radiology 143, formula 2)."""
    if math.isnan(value):
        return math.nan
    q1, q2 = value / (2 - value), 2 * value * value / (1 + value)
    spread = value * (1 - value) + (machine - 1) * (q1 - value**2) + (human - 1) * (q2 - value**2)
    return math.sqrt(max(spread, 0.0) / (machine * human))


def bar(human: np.ndarray, rate: float) -> float:
    """The lowest score such that at most `rate` of `human` reach it; of equal scores all or none."""
    if not len(human):
        return math.nan
    order = np.sort(human)[::-1]
    allowed = math.floor(rate * len(order) + 1e-9)
    return float(np.nextafter(order[allowed], np.inf)) if allowed < len(order) else -math.inf


def tpr(machine: np.ndarray, human: np.ndarray, rate: float) -> float:
    """Share of `machine` that is flagged where at most `rate` of `human` are; NaN where a class is missing."""
    if not len(machine) or not len(human):
        return math.nan
    return float((machine >= bar(human, rate)).mean())


def conformal(human: np.ndarray, rate: float) -> float:
    """A bar that the next exchangeable human text reaches with probability `rate` at most: just above the
    ceil((n + 1)(1 - rate))-th smallest score (Vovk, Gammerman & Shafer 2005); infinite where n is too small for `rate`."""
    rank = math.ceil((len(human) + 1) * (1 - rate) - 1e-9)
    return math.inf if rank > len(human) else float(np.nextafter(np.sort(human)[rank - 1], np.inf))


def conformal_by_source(human: np.ndarray, sources: np.ndarray, rate: float) -> float:
    """The highest of the sources' own conformal bars, for a text of a new source; sources of too few rows have their highest score."""
    bars = []
    for source in np.unique(sources):
        own = human[sources == source]
        top = conformal(own, rate)
        bars.append(top if math.isfinite(top) else float(np.nextafter(own.max(), np.inf)))
    return max(bars, default=math.inf)


def wilson(hits: int, count: int) -> tuple[float, float]:
    """Wilson's score interval of a share, 95 % (Wilson 1927)."""
    if not count:
        return math.nan, math.nan
    share, spread = hits / count, Z95 * Z95 / count
    half = Z95 * math.sqrt(share * (1 - share) / count + spread / (4 * count))
    return (share + spread / 2 - half) / (1 + spread), (share + spread / 2 + half) / (1 + spread)


def clopper_pearson(hits: int, count: int, level: float = 0.95) -> tuple[float, float]:
    """The exact interval of a share (Clopper & Pearson 1934), two-sided at `level`."""
    from scipy.stats import beta

    if not count:
        return math.nan, math.nan
    tail = (1 - level) / 2
    low = 0.0 if hits == 0 else float(beta.ppf(tail, hits, count - hits + 1))
    high = 1.0 if hits == count else float(beta.ppf(1 - tail, hits + 1, count - hits))
    return low, high


def bootstrap(
    machine: np.ndarray, human: np.ndarray, statistic: Callable[[np.ndarray, np.ndarray], float], times: int = 200
) -> tuple[float, float]:
    """Percentile interval, 95 %, of a statistic of both classes, rows drawn anew within each class; the seed is fixed."""
    if not len(machine) or not len(human):
        return math.nan, math.nan
    chance = np.random.default_rng(1)
    drawn = [statistic(chance.choice(machine, len(machine)), chance.choice(human, len(human))) for _ in range(times)]
    return float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))
