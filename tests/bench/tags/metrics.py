"""Measures of a detector, from the scores of machine and of human texts; higher scores say machine."""

import math

import numpy as np

from pipelines.training.card import auroc as auroc

Z95 = 1.959964
"""The 97.5 % quantile of the normal distribution: intervals of 95 %."""


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
