"""The size of a mix: how many human documents a budget takes, how often, and what else could be asked for where they are too few."""

import math
from dataclasses import dataclass, field
from decimal import Context, Decimal
from fractions import Fraction
from typing import Any

import numpy as np

from pipelines import repeating
from provenance import floor as floors
from provenance import mixture
from provenance.mixture import Mix
from store.errors import CheckFailed, UsageError
from store.strata import SHARE

LAW = "D' = U + U R (1 - exp(-(epochs - 1) / R)), R = 15.39, Muennighoff et al. 2023"
NAMED = 10
"""Strata that an error names."""
_EXACT = Context(prec=40)


@dataclass(frozen=True)
class Humans:
    """The human candidates in the order of their class, int arrays of one length: units (the first unit), number of the stratum,
    number in the cluster of near copies, how many of that cluster may enter; and, where repeats go by weights, the target share of each
    stratum by its number, in parts of `SHARE`."""

    units: np.ndarray
    stratum: np.ndarray
    member: np.ndarray
    members: np.ndarray
    targets: np.ndarray | None = None
    total: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "total", int(self.units.sum()))

    def passes(self, epoch: int, most: int) -> np.ndarray:
        """Which of them the pass `epoch` (from 0) may hold: those whose cluster has made fewer than `most` by then."""
        return np.asarray(epoch * self.members + self.member < most)

    def reach(self, most: int) -> list[int]:
        """Units after each of `most` passes."""
        ended = np.zeros(most + 1, np.int64)
        np.add.at(ended, -(-(most - self.member) // self.members), self.units)
        return np.cumsum(self.total - np.cumsum(ended[:most])).tolist()


@dataclass(frozen=True)
class Others:
    """Units of each other origin in the first unit, with the ceiling of its share."""

    units: tuple[int, ...]
    ceilings: tuple[Fraction, ...]

    def beside(self, budget: int | None) -> int:
        """Other units that may stand in a mix of this size, and in one of any size."""
        if budget is None:
            return sum(units for units, ceiling in zip(self.units, self.ceilings, strict=True) if ceiling)
        return sum(min(units, math.floor(ceiling * budget)) for units, ceiling in zip(self.units, self.ceilings, strict=True))


@dataclass
class Side:
    """The human rows to write: position and epoch of each, and the budget that is left of the one asked for."""

    position: np.ndarray
    epoch: np.ndarray
    budget: int | None

    @property
    def first(self) -> np.ndarray:
        """Positions of the documents, each once."""
        return self.position[self.epoch == 0]


def needed(share: Fraction, budget: int, others: Others) -> int:
    """Human units that a mix of this size needs: what the floor asks for, and what the others cannot fill."""
    return max(math.ceil(share * budget), budget - others.beside(budget))


def largest(share: Fraction, human: int, others: Others, most: int | None = None) -> int:
    """The size of the largest mix that so many human units allow, `most` at most. Where a class of others would fill no more of a larger
    mix the size ends."""
    top = human + sum(others.units) if not share else min(human + sum(others.units), math.floor(human / share))
    low, high = 0, top if most is None else min(most, top)
    while low < high:  # what the others can fill is concave in the size, so that all sizes below one that is reached are
        middle = (low + high + 1) // 2
        low, high = (middle, high) if needed(share, middle, others) <= human else (low, middle - 1)
    return low


def choose(mix: Mix, human: Humans, others: Others, supply: dict[str, dict[str, int]], labels: list[str], more: int = 0) -> Side:
    """The human rows of the mix: each document once without a budget; with one, as many as it needs and `more` units, where they are there,
    in the order of their class, after `quota` documents of each stratum.

    Repetition goes pass by pass through all documents, and its last pass ends where the budget is met; with `human.targets` each stratum has
    passes of its own. Raises `CheckFailed` where the human side or the quota does not suffice.
    """
    everything = np.arange(len(human.units))
    if mix.budget is None:
        return Side(everything, np.zeros(len(everything), np.int32), None)
    share, budget = mixture.fraction(mix.floor), mix.budget
    wanted, passes = needed(share, budget, others), 1
    if wanted > human.total:
        if mix.shortfall == "shrink":
            budget = largest(share, human.total, others, budget)
            wanted = needed(share, budget, others) if budget else 0
        else:
            reach = human.reach(mix.max_epochs)
            if mix.shortfall == "fail" or reach[-1] < wanted or len(everything) < 2:
                raise CheckFailed(short(mix, wanted, human, others, supply))
            passes = int(np.searchsorted(reach, wanted)) + 1
    elif more:
        wanted = min(wanted + more, human.total, budget)
    first, kept = _quota(mix, human)
    wanted = max(wanted, min(int(human.units[first[:kept]].sum()), budget))
    if human.targets is not None:
        return _weighed(mix, human, first, kept, wanted, budget, labels)
    rows = [first[human.passes(epoch, mix.max_epochs)[first]] for epoch in range(passes)]
    position = np.concatenate(rows)
    reached = np.cumsum(human.units[position])
    count = int(np.searchsorted(reached, wanted)) + 1 if wanted else 0
    if 0 < count <= len(reached) and reached[count - 1] > budget:
        count -= 1
        if share and not count:
            raise CheckFailed(_no_document(mix, human, int(reached[0]), budget))
    if count < kept and not mix.allow_empty:
        raise CheckFailed(_no_room(mix, human, first[:kept], count, budget, labels))
    epoch = np.repeat(np.arange(passes, dtype=np.int32), [len(row) for row in rows])
    return Side(position[:count], epoch[:count], budget)


def _weighed(mix: Mix, human: Humans, first: np.ndarray, kept: int, wanted: int, budget: int, labels: list[str]) -> Side:
    """The human rows where repeats go by weights."""
    position, epoch = repeating.chosen(human, first, kept, wanted, budget, mix.max_epochs)
    if int(human.units[position].sum()) > budget:
        raise CheckFailed(
            _no_room(
                mix,
                human,
                first[:kept],
                int(np.searchsorted(np.cumsum(human.units[first[:kept]]), budget, "right")),
                budget,
                labels,
            )
        )
    if wanted and not len(position) and mixture.fraction(mix.floor):
        raise CheckFailed(_no_document(mix, human, int(human.units[first[0]]), budget))
    return Side(position, epoch, budget)


def _quota(mix: Mix, human: Humans) -> tuple[np.ndarray, int]:
    """The candidates with the first `quota` of each stratum in front, each part in the order of the class; and how many these are."""
    by_stratum = np.argsort(human.stratum, kind="stable")
    starts = np.flatnonzero(np.diff(human.stratum[by_stratum], prepend=-1))
    place = np.empty(len(by_stratum), np.int64)
    place[by_stratum] = np.arange(len(by_stratum)) - np.repeat(starts, np.diff(starts, append=len(by_stratum)))
    due = place < mix.quota
    return np.concatenate([np.flatnonzero(due), np.flatnonzero(~due)]), int(due.sum())


def _no_document(mix: Mix, human: Humans, first: int, budget: int) -> str:
    unit = mix.units[0]
    return (
        f"a budget of {budget:,} {unit} has no room for the first human document, of {first:,} {unit}, and documents enter whole, so that nothing "
        f"else may either. The {len(human.units):,} human documents have {int(human.units.min()):,} to {int(human.units.max()):,} {unit}. Raise the "
        "budget, or leave long documents out by --where."
    )


def _no_room(mix: Mix, human: Humans, due: np.ndarray, count: int, budget: int, labels: list[str]) -> str:
    lacking, numbers = np.unique(human.stratum[due[count:]], return_counts=True)
    some = ", ".join(f"{labels[s]} ({n:,})" for s, n in zip(lacking[:NAMED].tolist(), numbers[:NAMED].tolist(), strict=True))
    more = f" and {len(lacking) - NAMED:,} more" if len(lacking) > NAMED else ""
    unit, least = mix.units[0], int(human.units[due].sum())
    return (
        f"{mix.quota:,} documents of each stratum of the human side need {least:,} {unit}, and the budget leaves room for {count:,} documents in "
        f"{budget:,} {unit}; without their quota (documents lacking) stay {some}{more}. Raise the budget, lower mix.quota, divide by fewer "
        "mix.strata, or set mix.allow_empty."
    )


def alternatives(mix: Mix, human: Humans, others: Others) -> dict[str, Any]:
    """What a budget that the human side does not meet leaves to choose from, in the first unit: to repeat human documents, to shrink the
    mix, or to lower the floor. Null where it would not do."""
    share, budget = mixture.fraction(mix.floor), mix.budget or 0
    wanted, there = needed(share, budget, others), human.total
    reach = human.reach(mix.max_epochs)
    repeats = None
    if there and len(human.units) > 1 and reach[-1] >= wanted:
        epochs = wanted / there
        repeats = {
            "epochs": round(epochs, 4),
            "total": budget,
            "effective": round(floors.effective(there, epochs)) + budget - wanted,
        }
    smaller = largest(share, there, others, budget)
    needs = needed(share, smaller, others)
    shrunk = {"total": smaller, "human": needs, "effective": smaller}
    lower = Fraction(math.floor(Fraction(there, budget) * 10_000), 10_000) if budget else Fraction(0)
    lowered = {"floor": str(lower), "total": budget, "effective": budget} if needed(lower, budget, others) <= there else None
    return {"repeat": repeats, "shrink": shrunk if smaller else None, "lower_floor": lowered}


def short(mix: Mix, wanted: int, human: Humans, others: Others, supply: dict[str, dict[str, int]]) -> str:
    """Why a budget cannot be met, with the numbers of what else could be asked for."""
    unit, share, there = mix.units[0], mixture.fraction(mix.floor), human.total
    levels = "; ".join(f"{level} {at['documents']:,} documents, {at['bytes']:,} bytes" for level, at in supply.items())
    found, reach = alternatives(mix, human, others), human.reach(mix.max_epochs)
    repeats = "there is nothing to repeat"
    if there:
        repeats = f"repeat would take {wanted / there:.2f} epochs of at most {mix.max_epochs}"
        if found["repeat"]:
            repeats += f", worth {found['repeat']['effective']:,} {unit}"
        elif reach[-1] < wanted:
            repeats += f", which reach {reach[-1]:,} {unit}"
    shrinks = f"shrink gives a mix of {found['shrink']['total'] if found['shrink'] else 0:,} {unit}"
    lower = found["lower_floor"]
    floor = (
        f"a floor of {lower['floor']} would do" if lower else "no lower floor would do, because the others do not fill it either"
    )
    return (
        f"a budget of {mix.budget:,} {unit} at floor {share} needs {wanted:,} human {unit}, and {there:,} reach the attestation "
        f"{mix.min_attestation!r} ({others.beside(mix.budget):,} others may stand beside them). Human documents at each level: {levels}. "
        f"Set mix.shortfall: {shrinks}, {repeats}; or lower the floor or the attestation: {floor}."
    )


def check_reached(mix: Mix, total: int, human: np.ndarray, other: np.ndarray) -> None:
    """With `fail`, refuses a mix that stays below its budget by more than documents being whole explains: the longest
    other one, and what the longest human one would have let in. `human` and `other` are candidates' units."""
    unit, share = mix.units[0], mixture.fraction(mix.floor)
    lost = int(human.max(initial=0))
    longest = int(other.max(initial=0)) + (math.ceil(lost / share) if share else lost)
    if mix.budget is not None and mix.shortfall == "fail" and total < mix.budget - longest:
        lead = f" or the lead for a shuffle buffer of {mix.shuffle_buffer:,} rows," if mix.shuffle_buffer else ""
        raise CheckFailed(
            f"a budget of {mix.budget:,} {unit} was asked for and {total:,} can be reached: the floor in the other units,{lead} or a ceiling, keeps "
            "documents out. Set mix.shortfall to shrink, or lower the floor, the budget or the units."
        )


def shares(mix: Mix, labels: list[str], units: dict[int, int]) -> dict[int, int]:
    """The target share of each stratum that holds something in its class, in parts of `SHARE`, at least 1.

    `units` are what each has in the first unit. The strata of a value that `weights` names have its share together; the others have
    the rest. Among themselves strata go by their units to the power 1 / temperature.
    """
    classes: dict[str, dict[int, Decimal]] = {}
    for stratum, there in units.items():
        natural = (
            Decimal(there) if mix.temperature == 1 else _EXACT.power(Decimal(max(there, 1)), 1 / Decimal(repr(mix.temperature)))
        )
        classes.setdefault(labels[stratum].partition("/")[0], {})[stratum] = natural
    found: dict[int, int] = {}
    for members in classes.values():
        groups: dict[Fraction | None, dict[str, dict[int, Decimal]]] = {}
        for stratum, natural in members.items():
            value, share = _weight(mix, labels[stratum])
            groups.setdefault(share, {}).setdefault(value, {})[stratum] = natural
        fixed = [(share, one) for share, named in groups.items() if share is not None for one in named.values()]
        rest = {stratum: natural for one in groups.get(None, {}).values() for stratum, natural in one.items()}
        given = sum((share for share, _ in fixed), Fraction(0))
        whole = given if not rest else Fraction(1)
        for share, one in [*fixed, *([(1 - given, rest)] if rest else [])]:
            total = Fraction(sum(one.values(), Decimal(0)))
            for stratum, natural in one.items():
                part = Fraction(natural) / total if total else Fraction(1, len(one))
                found[stratum] = max(1, int(SHARE * (share / whole if whole else part) * part))
    return found


def _weight(mix: Mix, label: str) -> tuple[str, Fraction | None]:
    """The value that `weights` may name of a stratum, and its share."""
    if not mix.weights:
        return "", None
    column = next(iter(mix.weights)).partition("=")[0]
    name = f"{column}={label.split('/')[1 + mix.strata.index(column)]}"
    return name, mixture.fraction(mix.weights[name]) if name in mix.weights else None


def check_weights(mix: Mix, labels: list[str]) -> None:
    """Raises `UsageError` for a weight of a value that no candidate has."""
    there = {_weight(mix, label)[0] for label in labels}
    if unknown := sorted(set(mix.weights) - there):
        raise UsageError(
            f"mix.weights gives {unknown[0]} a share, and no candidate has that value; it would be nobody's. "
            f"The values are {', '.join(sorted(there)[:NAMED])}{' ...' if len(there) > NAMED else ''}."
        )


def shard_count(most: int, wanted: int) -> int:
    """Shards for about `wanted` ones, `most` at most: 1, 2, 4, 8, then multiples of 8 to 64, then of 64, which common numbers of readers
    divide."""
    allowed = [1, 2, 4, *range(8, 65, 8), *range(128, 99_999, 64)]
    fitting = [number for number in allowed if number <= most]
    return next((number for number in fitting if number >= wanted), fitting[-1])
