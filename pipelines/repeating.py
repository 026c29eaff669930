"""Repeats by weights: how often each stratum of the human side is read, where a mix repeats text and its strata have target shares of their own.

Each stratum takes its share of the human units in as many passes as that needs, `max_epochs` at most; what a stratum cannot fill goes to the
others by their shares (as UniMax does for languages, Chung et al. 2023, https://arxiv.org/abs/2304.09151). Passes are whole but for the last.
"""

from collections.abc import Sequence
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pipelines.budget import Humans


def filled(wanted: int, caps: Sequence[int], weights: Sequence[int]) -> list[int]:
    """So many units dealt to strata by their weights (above 0), none beyond its cap; in all `wanted`, less what divisions leave, or all caps."""
    found, left, weight = list(caps), wanted, sum(weights)
    order = sorted(range(len(caps)), key=lambda s: (Fraction(caps[s], weights[s]), s))
    for at, stratum in enumerate(order):
        if caps[stratum] * weight > left * weights[stratum]:
            for other in order[at:]:
                found[other] = left * weights[other] // weight
            break
        left, weight = left - caps[stratum], weight - weights[stratum]
    return found


def passes(human: "Humans", most: int) -> np.ndarray:
    """How often each document may stand, by the passes that its cluster has: int64."""
    return np.maximum(-(-(most - human.member.astype(np.int64)) // human.members), 0)


def chosen(human: "Humans", first: np.ndarray, kept: int, wanted: int, budget: int, most: int) -> tuple[np.ndarray, np.ndarray]:
    """Positions and epochs of the human rows that come to about `wanted` units, `budget` at most, pass by pass.

    `first` is the order of a pass, with the `kept` documents of the quota in front: these enter whatever the shares are. A stratum ends with the
    document that reaches its units; where all of these ends together pass the budget, rows that stand last in their stratum stay out.
    """
    if human.targets is None:
        raise ValueError("strata without target shares have nothing to be repeated by")
    number = len(human.targets)
    allowed = passes(human, most)
    caps, due = np.zeros(number, np.int64), np.zeros(number, np.int64)
    np.add.at(caps, human.stratum, human.units * allowed)
    np.add.at(due, human.stratum[first[:kept]], human.units[first[:kept]])
    there = np.flatnonzero(caps)
    goal = np.zeros(number, np.int64)
    goal[there] = filled(wanted, caps[there].tolist(), human.targets[there].tolist())
    # What divisions leave: a unit each for the first strata that have room.
    spare = there[goal[there] < caps[there]][: max(wanted - int(goal.sum()), 0)]
    goal[spare] += 1
    goal = np.maximum(goal, due)
    order = first[np.argsort(human.stratum[first], kind="stable")]
    rows, epochs, parts, taken = [], [], [], np.zeros(number, np.int64)
    for epoch in range(most):
        of = order[(allowed[order] > epoch) & (taken[human.stratum[order]] < goal[human.stratum[order]])]
        if not len(of):
            break
        stratum, length = human.stratum[of], human.units[of].astype(np.int64)
        before = np.cumsum(length) - length
        starts = np.flatnonzero(np.diff(stratum, prepend=-1))
        before += taken[stratum] - np.repeat(before[starts], np.diff(starts, append=len(of)))
        entering = before < goal[stratum]
        np.add.at(taken, stratum[entering], length[entering])
        rows.append(of[entering])
        epochs.append(np.full(int(entering.sum()), epoch, np.int32))
        parts.append((before[entering] << 20) // goal[stratum[entering]])
    position = np.concatenate([*rows, np.zeros(0, np.int64)]).astype(np.int64)
    epoch_of = np.concatenate([*epochs, np.zeros(0, np.int32)])
    part = np.concatenate([*parts, np.zeros(0, np.int64)])
    due_rows = (epoch_of == 0) & np.isin(position, first[:kept])
    out = _beyond(human.units[position], part, due_rows, int(taken.sum()) - budget)
    return position[~out], epoch_of[~out]


def _beyond(units: np.ndarray, part: np.ndarray, due: np.ndarray, over: int) -> np.ndarray:
    """Which rows stay out so that `over` units less are taken, where that can be: those with the most of their stratum before them (`part`)
    first, and none that is due."""
    out = np.zeros(len(units), bool)
    if over <= 0:
        return out
    order = np.lexsort((np.arange(len(units)), part))[::-1]
    order = order[~due[order]]
    gone = np.cumsum(units[order])
    out[order[: int(np.searchsorted(gone, over)) + 1]] = True
    return out
