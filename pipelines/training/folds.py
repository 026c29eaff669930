"""Which rows each model may see, so that every row has values by models that did not see it, its group or its source.

Of the sources with human text alone a quarter is left out at a time, whole families; of the sources with machine text, one group
in four, so that rows of one prompt stay together. Beside these, each source with machine text is left out as a whole once:
what a model says of generators and genres that it has not seen.
"""

from collections.abc import Sequence
from multiprocessing import get_context
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.training import fit
from pipelines.training.calibrate import Scored
from pipelines.training.rows import Row, number

FOLDS = 4
APART = 3
"""Parts into which the sources with machine text are divided to be left out as a whole."""


class Fold(NamedTuple):
    """Places of the rows to learn from and to score; `apart` where whole sources are left out."""

    learn: np.ndarray
    score: np.ndarray
    apart: bool = False


def folds(rows: Sequence[Row]) -> list[Fold]:
    """The folds of rows; each row is scored once by a fold that is not apart, and each row of a source with machine text once by one that is."""
    labelled = {row.source for row in rows if row.machine}
    place = np.empty(len(rows), np.int64)
    families = _dealt([row.family for row in rows if row.source not in labelled], FOLDS)
    sources = _dealt([row.source for row in rows if row.source in labelled], APART)
    for i, row in enumerate(rows):
        place[i] = int(number(row.group, "fold") * FOLDS) if row.source in labelled else families[row.family]
    out = [Fold(np.flatnonzero(place != fold), np.flatnonzero(place == fold)) for fold in range(FOLDS)]
    part = np.array([sources.get(row.source, -1) for row in rows])
    for number_ in range(min(APART, len(labelled))):
        out.append(Fold(np.flatnonzero(part != number_), np.flatnonzero(part == number_), True))
    return out


def _dealt(names: list[str], parts: int) -> dict[str, int]:
    """Part of each name: dealt in turn from the most frequent on, back and forth, so that the parts are about even."""
    ordered = sorted(set(names), key=lambda name: (-names.count(name), name))
    turns = [*range(parts), *reversed(range(parts))]
    return {name: turns[i % len(turns)] for i, name in enumerate(ordered)}


def fitted(prepared: fit.Prepared, count: int, cropped: int, trainer: Path, workers: int = 1) -> tuple[Scored, fit.Fitted]:
    """The first `count` rows of `prepared` and the `cropped` crops after them, with values by models that did not see them; and the models of
    all rows.

    Nothing is learnt from a crop: cut texts among whole ones made the models worse on both.
    """
    both = count + cropped
    values, apart = np.full((both, 3), np.nan), np.full((both, 3), np.nan)
    plan = [Fold(np.arange(count), np.zeros(0, np.int64))]
    plan += [fold._replace(learn=fold.learn[fold.learn < count]) for fold in folds(prepared.rows[:both])]
    found = _run(prepared, plan, trainer, workers)
    for fold, (scores, _) in zip(plan, found, strict=True):
        (apart if fold.apart else values)[fold.score] = scores
    return Scored(prepared.rows[:both], values, apart), fit.read(found[0][1])


_SHARED: dict[str, Any] = {}


def _run(prepared: fit.Prepared, plan: list[Fold], trainer: Path, workers: int) -> list[tuple[np.ndarray, dict[str, bytes]]]:
    """Values of each fold's rows, and its models. Workers are forks, which see the prepared rows without a copy."""
    if workers == 1:
        return [_one(prepared, fold, trainer) for fold in plan]
    _SHARED.update(prepared=prepared, trainer=trainer)
    with get_context("fork").Pool(workers) as pool:
        return pool.map(_forked, plan, chunksize=1)


def _forked(fold: Fold) -> tuple[np.ndarray, dict[str, bytes]]:
    return _one(_SHARED["prepared"], fold, _SHARED["trainer"])


def _one(prepared: fit.Prepared, fold: Fold, trainer: Path) -> tuple[np.ndarray, dict[str, bytes]]:
    made = fit.fit(prepared, fold.learn, trainer)
    return fit.inputs(made, prepared, fold.score), made.files
