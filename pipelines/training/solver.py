"""Logistic regression over sparse rows, by stochastic gradient descent that stops early.

One thread and a fixed order of rows: the same rows give the same weights. The step falls linearly to 0; what stops early needs
no penalty (Yao, Rosasco & Caponnetto 2007, "On early stopping in gradient descent learning").
"""

from typing import NamedTuple

import numpy as np

from provenance.kernels import compiled


class Sparse(NamedTuple):
    """Rows of features: row i has `buckets[starts[i]:starts[i + 1]]` with the `values` there."""

    starts: np.ndarray
    buckets: np.ndarray
    values: np.ndarray


def _descend(
    starts: np.ndarray,
    buckets: np.ndarray,
    values: np.ndarray,
    rows: np.ndarray,
    sign: np.ndarray,
    weight: np.ndarray,
    first: float,
    epochs: int,
    weights: np.ndarray,
) -> float:
    bias = 0.0
    steps, done = epochs * rows.shape[0], 0
    for epoch in range(epochs):
        # A stride that shares no divisor with the number of rows visits each once an epoch, in an order that differs by epoch.
        stride = 7919 + 104729 * epoch
        while True:
            a, b = rows.shape[0], stride
            while b:
                a, b = b, a % b
            if a == 1:
                break
            stride += 1
        place = epoch % rows.shape[0]
        for _ in range(rows.shape[0]):
            place = (place + stride) % rows.shape[0]
            row = rows[place]
            total = bias
            for i in range(starts[row], starts[row + 1]):
                total += values[i] * weights[buckets[i]]
            rate = first * (1.0 - done / steps)
            done += 1
            step = rate * weight[row] * sign[row] / (1.0 + np.exp(sign[row] * total))
            for i in range(starts[row], starts[row + 1]):
                weights[buckets[i]] += step * values[i]
            bias += 0.1 * step
    return bias


def logistic(
    rows: Sparse, chosen: np.ndarray, machine: np.ndarray, weight: np.ndarray, size: int, first: float = 8.0, epochs: int = 8
) -> tuple[np.ndarray, float]:
    """Weights (float32[size]) and constant that tell `machine` (bool per row) from the others on the `chosen` rows (int64).

    `weight` says how much each row counts; `first` is the first step's rate for a row of norm 1 and weight 1.
    """
    weights = np.zeros(size, np.float32)
    sign = np.where(machine, 1.0, -1.0)
    bias = compiled(_descend)(*rows, chosen, sign, weight.astype(np.float64), first, epochs, weights)
    return weights, float(bias)
