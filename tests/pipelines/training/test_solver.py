"""The solver finds what tells two classes apart, and finds the same again."""

import numpy as np

from pipelines.training.solver import Sparse, logistic

RANDOM = np.random.default_rng(1)


def problem(count: int = 400) -> tuple[Sparse, np.ndarray]:
    machine = RANDOM.random(count) < 0.5
    buckets = np.column_stack([np.where(machine, 0, 1), RANDOM.integers(2, 30, count)]).astype(np.int32)
    return Sparse(np.arange(count + 1) * 2, buckets.ravel(), np.full(2 * count, 0.7071, np.float32)), machine


def test_learns_what_tells_them_apart_and_repeats():
    rows, machine = problem()
    chosen, weight = np.arange(len(machine)), np.ones(len(machine))
    weights, bias = logistic(rows, chosen, machine, weight, 32)
    assert weights[0] > 2 and weights[1] < -2 and abs(weights[2:]).max() < weights[0] / 2
    again, same = logistic(rows, chosen, machine, weight, 32)
    assert (again == weights).all() and same == bias


def test_learns_from_the_chosen_rows_alone():
    rows, machine = problem()
    chosen = np.arange(100)
    spoilt = machine.copy()
    spoilt[100:] = ~spoilt[100:]
    one, other = (logistic(rows, chosen, side, np.ones(len(machine)), 32)[0] for side in (machine, spoilt))
    assert (one == other).all()


def test_weight_counts():
    rows = Sparse(np.arange(3), np.zeros(2, np.int32), np.ones(2, np.float32))
    machine, chosen = np.array([True, False]), np.arange(2)
    up, _ = logistic(rows, chosen, machine, np.array([3.0, 1.0]), 1)
    down, _ = logistic(rows, chosen, machine, np.array([1.0, 3.0]), 1)
    assert up[0] > 0 > down[0]
