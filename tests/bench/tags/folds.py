"""What is left out of training at once. Nothing here fits: see `fits` for the product's models and `baseline` for what they are held against."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from pipelines.training import folds
from pipelines.training.rows import Row, number

SLOTS = folds.FOLDS
"""Parts of the cross-fit: human-only families, and rows of labelled sources by their group."""
GENERATORS = (
    ("gpt-3.5-turbo",),
    ("text-davinci-003",),
    ("llama-2-70b-chat", "palm-2"),
    ("gpt2-xl", "gpt-neo-2.7B", "gpt-j-6B", "opt-2.7b"),
    ("qwen2:72b-instruct", "solar-1-mini-chat"),
)
"""Generators that are left out together: those of one kind, such as base models without instruction."""


class Labelled(Protocol):
    """What a fold needs of a row of training or of a text that is tried."""

    @property
    def family(self) -> str: ...
    @property
    def machine(self) -> bool: ...
    @property
    def generator(self) -> str: ...
    @property
    def group(self) -> str: ...


@dataclass(frozen=True)
class Fold:
    """Families of sources, generators, and parts of the groups of labelled families, that training does not see."""

    families: frozenset[str] = frozenset()
    generators: frozenset[str] = frozenset()
    slots: frozenset[int] = frozenset()
    slotted: frozenset[str] = frozenset()
    """Families whose groups `slots` divide."""

    def out(self, row: Labelled) -> bool:
        """Whether training must not see it."""
        if row.family in self.families or (row.machine and row.generator in self.generators):
            return True
        return bool(self.slots) and row.family in self.slotted and int(number(row.group, "fold") * SLOTS) in self.slots

    def mask(self, rows: Iterable[Labelled]) -> np.ndarray:
        return np.array([self.out(row) for row in rows], bool)

    def __or__(self, other: "Fold") -> "Fold":
        pairs = ("families", "generators", "slots", "slotted")
        return Fold(*(getattr(self, name) | getattr(other, name) for name in pairs))

    @property
    def name(self) -> str:
        return ", ".join((*sorted(self.families), *sorted(self.generators))) or "nothing"


@dataclass(frozen=True)
class Plan:
    """The cross-fit of `make model`: families with human text alone by part, and families with machine text, together and in parts."""

    human: tuple[tuple[str, ...], ...]
    mixed: tuple[tuple[str, ...], ...]
    kinds: tuple[frozenset[str], ...]

    @classmethod
    def of(cls, rows: Sequence[Row]) -> "Plan":
        """Of the rows that training sees."""
        labelled = {row.family for row in rows if row.machine}
        human, mixed = [], []
        for fold in folds.folds(rows):
            families = {rows[place].family for place in fold.score}
            (mixed if fold.apart else human).append(tuple(sorted(families & labelled if fold.apart else families - labelled)))
        known = {row.generator for row in rows if row.machine} - {""}
        kinds = [frozenset(kind) & known for kind in GENERATORS]
        kinds.append(frozenset(known.difference(*GENERATORS)))
        return cls(tuple(human), tuple(mixed), tuple(kind for kind in kinds if kind))

    @property
    def labelled(self) -> frozenset[str]:
        return frozenset(family for part in self.mixed for family in part)

    def slot(self, place: int) -> Fold:
        """A part of the cross-fit that gives training its calibration."""
        return Fold(frozenset(self.human[place]), slots=frozenset((place,)), slotted=self.labelled)

    def human_folds(self, full: bool) -> list[Fold]:
        """Human families to leave out: one by one if `full`, else a part of the cross-fit at once, which is stricter."""
        if full:
            return [Fold(frozenset((family,))) for part in self.human for family in part]
        return [self.slot(place) for place in range(len(self.human))]

    def source_folds(self, full: bool) -> list[Fold]:
        """Families with machine text: one by one if `full`, else a third at once, which is stricter."""
        parts = [(family,) for part in self.mixed for family in part] if full else self.mixed
        return [Fold(frozenset(part)) for part in parts]

    def generator_folds(self, full: bool) -> list[Fold]:
        """Generators, one by one if `full`, else those of a kind."""
        kinds = [frozenset((one,)) for kind in self.kinds for one in sorted(kind)] if full else self.kinds
        return [Fold(generators=kind) for kind in kinds]
