"""Tables of the bench, and the goals that they show as met or not."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from rich.console import Console
from rich.table import Table

from provenance.proportions import binomial_interval


@dataclass(frozen=True)
class Goal:
    """What has to hold; `met` is None where too few texts are there to say."""

    what: str
    met: bool | None
    seen: str


@dataclass
class Sheet:
    """A table: its title, the names of its columns, its rows in words, what has to be read with it, and its goals."""

    title: str
    heads: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    note: str = ""
    goals: list[Goal] = field(default_factory=list)

    def show(self, console: Console) -> None:
        made = Table(*self.heads, box=None, pad_edge=False)
        for column in made.columns[1:]:
            column.justify = "right"
        for row in self.rows:
            made.add_row(*row)
        console.print(self.title, style="bold", highlight=False)
        console.print(made, highlight=False)
        if self.note:
            console.print(self.note, style="dim", highlight=False)
        for goal in self.goals:
            word = {True: "met", False: "NOT MET", None: "not to be told"}[goal.met]
            console.print(f"{word}: {goal.what}; {goal.seen}", highlight=False, markup=False)
        console.print()


def number(value: float, digits: int = 3) -> str:
    """`` for no number, else without the 0 before the point."""
    if value is None or math.isnan(value):
        return ""
    text = f"{value:.{digits}f}"
    return text.replace("0.", ".", 1) if text.startswith(("0.", "-0.")) else text


def percent(hits: int, count: int) -> str:
    return f"{100 * hits / count:.1f} %" if count else ""


def bounds(interval: tuple[float, float], digits: int = 2) -> str:
    return "" if math.isnan(interval[0]) else f"{number(interval[0], digits)}-{number(interval[1], digits)}"


def rate(hits: int, count: int) -> str:
    """A share with its exact interval, in percent."""
    if not count:
        return ""
    low, high = binomial_interval(hits, count, 0.95)
    return f"{100 * hits / count:.1f} % ({100 * low:.1f}-{100 * high:.1f})"


def tally(values: Iterable[str]) -> str:
    """The values that are not empty, by count."""
    found, counts = np.unique([value for value in values if value] or [""], return_counts=True)
    order = sorted(zip((-counts).tolist(), found.tolist(), strict=True))
    return ", ".join(f"{name} {-count}" for count, name in order if name)
