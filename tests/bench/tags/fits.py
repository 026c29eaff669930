"""The product's models fitted again without a fold, by the code of `make model`, and calibrated without it as well.

A fit is kept in the cache under a digest of the rows that it saw and of the code that made it.
"""

import hashlib
import multiprocessing
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipelines import toolbox
from pipelines.training import calibrate, fit, rows, solver
from pipelines.training.__main__ import human_only
from pipelines.training.fit import Fitted, Prepared
from pipelines.training.rows import Row
from provenance import characters, lines, style
from provenance.signals import Tools
from tests.bench.tags.folds import SLOTS, Fold, Plan

_CODE = [Path(str(module.__file__)) for module in (fit, rows, solver, characters, lines, style)]
_CODE.append(_CODE[0].with_name("fasttext_trainer.py"))


@dataclass
class Fits:
    """Fits of the first `count` of `rows` by `trainer`, `workers` at once; the others, crops, are scored for the calibration alone."""

    rows: Sequence[Row]
    count: int
    trainer: Path
    cache: Path
    workers: int
    say: Callable[[str], None]

    @classmethod
    def of(cls, learnt: Sequence[Row], trainer: Path, cache: Path, workers: int, say: Callable[[str], None]) -> "Fits":
        """The fits of `make model` for these rows."""
        return cls([*learnt, *rows.crops(human_only(list(learnt)))], len(learnt), trainer, cache, workers, say)

    @cached_property
    def prepared(self) -> Prepared:
        return fit.prepare(self.rows)

    @cached_property
    def plan(self) -> Plan:
        return Plan.of(self.rows)

    @cached_property
    def _code(self) -> bytes:
        return hashlib.sha256(b"".join(path.read_bytes() for path in _CODE)).digest()

    def path(self, left: np.ndarray) -> Path:
        """Where the fit without the rows of `left` (bool[n]) is kept."""
        made = hashlib.sha256(self._code)
        made.update(str(self.count).encode())
        for row, out in zip(self.rows, left, strict=True):
            made.update(f"{row.digest} {row.words} {int(out)}\n".encode())
        return self.cache / f"{made.hexdigest()[:24]}.msgpack"

    def ready(self, folds: Sequence[Fold]) -> None:
        """Makes the fits without each of `folds` that the cache lacks."""
        masks = [fold.mask(self.rows) for fold in folds]
        todo = {self.path(mask): mask for mask in masks if not self.path(mask).exists()}
        if not todo:
            return
        self.cache.mkdir(parents=True, exist_ok=True)
        self.say(f"{len(todo)} fits of {len(folds)} are not in the cache")
        global _fits
        _fits = self
        _ = self.prepared  # before the fork, so that the workers share it
        with multiprocessing.get_context("fork").Pool(self.workers) as pool:
            for done, path in enumerate(pool.imap_unordered(_make, todo.items()), 1):
                self.say(f"fit {done} of {len(todo)}: {path.name}")

    def make(self, path: Path, left: np.ndarray) -> None:
        fitted = fit.fit(self.prepared, np.flatnonzero(~left[: self.count]), self.trainer)
        values = fit.inputs(fitted, self.prepared, np.flatnonzero(left))
        kept = path.with_suffix(".part")
        kept.write_bytes(msgspec.msgpack.encode({"files": fitted.files, "values": values.astype("<f8").tobytes()}))
        kept.replace(path)

    def read(self, fold: Fold) -> tuple[Fitted, np.ndarray]:
        """The models without a fold, and their values of its rows: float64[n, 3], NaN for rows that they saw."""
        self.ready([fold])
        left = fold.mask(self.rows)
        kept = msgspec.msgpack.decode(self.path(left).read_bytes())
        values = np.full((len(self.rows), len(fit.SIGNALS)), np.nan)
        values[left] = np.frombuffer(kept["values"], "<f8").reshape(-1, len(fit.SIGNALS))
        return fit.read(kept["files"]), values

    def inner(self, fold: Fold) -> list[Fold]:
        """The fits whose values calibrate without a fold: a part of the cross-fit left out each, and the fold."""
        return [fold | self.plan.slot(place) for place in range(SLOTS) if self.plan.slot(place) != fold]

    def tools(self, fold: Fold, nested: bool = True) -> Tools:
        """Models, weights and thresholds that know nothing of a fold; unless `nested`, the values by which rows that are left are
        calibrated are of models that did know it."""
        fitted, _ = self.read(fold)
        left, parts = fold.mask(self.rows), [self.plan.slot(place) for place in range(SLOTS)]
        values = np.full((len(self.rows), len(fit.SIGNALS)), np.nan)
        for part in parts:
            if nested and part == fold:
                continue
            _, own = self.read(fold | part if nested else part)
            values[part.mask(self.rows)] = own[part.mask(self.rows)]
        kept = np.flatnonzero(~left)
        scored = calibrate.Scored(
            tuple(self.rows[row] for row in kept), values[kept], np.full((len(kept), values.shape[1]), np.nan)
        )
        combiner = calibrate.combiner(scored, f"without {fold.name}")
        shipped = toolbox.calibration()
        return Tools(
            calibration=msgspec.structs.replace(shipped, combiner=combiner),
            origin_model=fitted.origin,
            character_model=fitted.characters,
            stylometry=fitted.trees,
        )


_fits: Any = None
"""The fits that a forked worker makes."""


def _make(job: tuple[Path, np.ndarray]) -> Path:
    _fits.make(*job)
    return job[0]
