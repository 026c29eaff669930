"""Reads the calibration file, and refuses one that is unordered, out of bounds or at odds with the signals of this release."""

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal, InvalidOperation

import msgspec

from provenance import signals
from provenance.calibration import CLASSES, FORMAT, LLR_BOUND, Calibration, Cell, Combiner, Prior, Second, Weight, months

COMBINED = "combined"
"""The name of what the combiner gives, which is no signal (`provenance.combiner.NAME`)."""
_ROUNDING = 1e-6
"""By how much shares that are written in decimals may miss 1."""


def read_calibration(data: bytes) -> Calibration:
    """The calibration that `data` (JSON) holds. Raises `ValueError` for anything that is unknown, unordered or out of bounds."""
    try:
        calibration = msgspec.json.decode(data, type=Calibration)
    except msgspec.MsgspecError as error:
        raise ValueError(
            f"the calibration file is not usable: {error}; no evidence could be weighed. Restore or rebuild it."
        ) from error
    if calibration.format != FORMAT:
        raise ValueError(
            f"the calibration file has format {calibration.format!r}, this version reads {FORMAT!r}. Rebuild it with `make model`."
        )
    if not math.isfinite(calibration.prior):
        raise ValueError("the calibration file's prior is not a finite number; no probability could follow. Give log-odds in nats.")
    for where, what in _problems(calibration):
        raise ValueError(f"calibration of {where}: {what}; its evidence would be misread. Correct the file or rebuild it.")
    return calibration


def _problems(calibration: Calibration) -> Iterator[tuple[str, str]]:
    """(where, what) is wrong in the file, in its order."""
    for entry, weight in calibration.signals.items():
        if what := _weight(entry, weight):
            yield entry, what
    languages = [prior.language for prior in calibration.priors]
    if len(set(languages)) != len(languages):
        yield "the priors", "a language has two tables"
    for prior in calibration.priors:
        if what := _prior(prior):
            yield f"the prior of {prior.language}", what
    if calibration.combiner is not None:
        yield from _combiner(calibration.combiner, calibration)


def _steps(values: Sequence[float], ratios: Sequence[float], what: str) -> str | None:
    """What is wrong with steps and their LLRs, or None."""
    if len(values) != len(ratios) or not values:
        return f"{what} has {len(values)} steps and {len(ratios)} ratios"
    if not all(map(math.isfinite, (*values, *ratios))):
        return f"{what} has a step or ratio that is no finite number"
    if any(a >= b for a, b in itertools.pairwise(values)):
        return f"the steps of {what} do not rise"
    if any(abs(ratio) > LLR_BOUND for ratio in ratios):
        return f"a ratio of {what} lies beyond {LLR_BOUND:g}"
    return None


def _weight(entry: str, weight: Weight) -> str | None:
    name, at, version = entry.partition("@")
    if not (name and at and version) or "@" in version or name == COMBINED:
        return "its name is not signal@version of a signal"
    if not weight.source:
        return "it does not say its source"
    if weight.speaks_for is not None and weight.speaks_for not in CLASSES:
        return f"speaks_for is {weight.speaks_for!r} and not one of {', '.join(CLASSES)}"
    if weight.speaks_for is None and (weight.decides_from is not None or weight.bars_from is not None):
        return "it decides or bars without speaking for a class"
    bounds = (weight.decides_from, weight.bars_from, weight.alarm_below)
    if not all(math.isfinite(bound) for bound in bounds if bound is not None):
        return "a value from which it decides, bars or alarms is no finite number"
    module = signals.found().get(name)
    if module is not None and module.STATISTICAL and any(bound is not None for bound in bounds):
        return "it is a detector of model text, and one reading of it decides, bars or alarms"
    if module is not None and module.STAGE == "match" and any(bound is not None for bound in bounds):
        return "it reads a capture's time or its likeness to a snapshot, which say nothing of how a text was made, and decides, bars or alarms"
    if weight.decides_from is not None and (weight.bars_from is None or weight.bars_from > weight.decides_from):
        return "it decides from a value from which it does not bar, and what it says is machine text could be frozen as human"
    if len({table.group for table in weight.tables}) != len(weight.tables):
        return "a group has two tables"
    found = (_steps(table.values, table.log_likelihood_ratios, f"group {table.group}") for table in weight.tables)
    return next(filter(None, found), None)


def _prior(prior: Prior) -> str | None:
    if not prior.source:
        return "it does not say its source"
    if not prior.months:
        return "it has no months"
    try:
        numbers = [months(month) for month, _ in prior.months]
    except ValueError as error:
        return str(error)
    if any(a >= b for a, b in itertools.pairwise(numbers)):
        return "its months do not rise"
    if not all(0 < share < 1 for _, share in prior.months):
        return "a share is not above 0 and below 1, and has no log-odds"
    return None


def _combiner(combiner: Combiner, calibration: Calibration) -> Iterator[tuple[str, str]]:
    if not (combiner.version and combiner.source and combiner.cells):
        yield "the combiner", "it lacks its version, its source or cells"
    for cell in combiner.cells:
        for what in _cell(cell, calibration):
            yield f"the cell {cell.name}", what
        if set(cell.thresholds) != set(combiner.cells[0].thresholds):
            yield f"the cell {cell.name}", "its false-positive rates are not those of the first cell"
    groups: dict[str, tuple[str, ...]] = {}
    owners: dict[str, str] = {}
    for cell in combiner.cells:
        if groups.setdefault(cell.group, cell.languages) != cell.languages:
            yield f"the cell {cell.name}", "its languages are not those of the other cells of its group"
        for language in cell.languages:
            if owners.setdefault(language, cell.group) != cell.group:
                yield f"the cell {cell.name}", f"its language {language} is in the group {owners[language]} too"
    for one, other in itertools.combinations(combiner.cells, 2):
        if one.group == other.group and _overlap(one, other):
            yield f"the cell {other.name}", f"it overlaps with {one.name}"


def _overlap(one: Cell, other: Cell) -> bool:
    ends = [math.inf if cell.words_below is None else cell.words_below for cell in (one, other)]
    return max(one.words_from, other.words_from) < min(ends)


def _cell(cell: Cell, calibration: Calibration) -> Iterator[str]:
    """What is wrong with one cell."""
    if not cell.group or not cell.languages or not all(cell.languages) or len(set(cell.languages)) != len(cell.languages):
        yield "its group has no name or no languages, or one twice"
    if cell.words_below is not None and cell.words_below <= cell.words_from:
        yield "its range of lengths is empty"
    if not cell.weights:
        yield "it weighs no signal"
    for name in cell.inputs:
        if what := _input(name, calibration):
            yield what
    if not all(map(math.isfinite, (cell.bias, *cell.weights.values()))):
        yield "its bias or a weight is no finite number"
    if not all(math.isfinite(low) and math.isfinite(high) and low <= high for low, high in cell.within.values()):
        yield "a range of values is no range of finite numbers"
    if what := _steps(cell.values, cell.log_likelihood_ratios, "the score"):
        yield what
    if any(a > b for a, b in itertools.pairwise(cell.log_likelihood_ratios)):
        yield "its LLR falls where the score rises"
    if what := thresholds_problem(cell.thresholds):
        yield what
    if not set(cell.true_positives) <= set(cell.thresholds):
        yield "it gives shares of machine text flagged at a false-positive rate that it has no threshold for"
    if not all(0 <= low <= high <= 1 for low, high in cell.true_positives.values()):
        yield "a share of machine text flagged does not lie between 0 and 1"
    yield from _bins(cell)
    if cell.open_from is not None and not math.isfinite(cell.open_from):
        yield "the score from which documents are left open is no finite number"
    if len({second.model for second in cell.second}) != len(cell.second):
        yield "a language model stands there twice"
    for second in cell.second:
        yield from (f"with the language model {second.model[:12]}, {what}" for what in _second(second, cell))


def _input(name: str, calibration: Calibration) -> str | None:
    """What is wrong with a signal that a cell reads, or None."""
    module = signals.found().get(name)
    if module is None or not module.STATISTICAL or module.STAGE != "page":
        return f"it reads {name}, which is no detector of model text that runs on every page"
    own = [weight for entry, weight in calibration.signals.items() if entry.split("@")[0] == name]
    if not own:
        return f"it reads {name}, whose version the file's signals do not state"
    if any(weight.tables for weight in own):
        return f"it reads {name}, which has a table of its own and would count twice"
    return None


def thresholds_problem(thresholds: Mapping[str, float]) -> str | None:
    """What is wrong with thresholds by false-positive rate, or None."""
    if not thresholds:
        return "it has no threshold"
    for rate in thresholds:
        try:
            number = Decimal(rate)
        except InvalidOperation:
            return f"the false-positive rate {rate!r} is no decimal number"
        if not (number.is_finite() and 0 < number < 1) or str(number.normalize()) != rate:
            return f"the false-positive rate {rate!r} is not a plain decimal number above 0 and below 1"
    if not all(map(math.isfinite, thresholds.values())):
        return "a threshold is no finite number"
    ordered = [thresholds[rate] for rate in sorted(thresholds, key=Decimal)]
    if any(later > earlier for earlier, later in itertools.pairwise(ordered)):
        return "a threshold rises with the false-positive rate"
    return None


def _bins(cell: Cell) -> Iterator[str]:
    if not cell.edges:
        if cell.human or cell.machine:
            yield "it has shares of scores and no edges of their bins"
        return
    if not all(map(math.isfinite, cell.edges)) or any(a >= b for a, b in itertools.pairwise(cell.edges)):
        yield "the edges of its bins are no rising finite numbers"
    for name, shares in (("human", cell.human), ("machine", cell.machine)):
        if len(shares) != len(cell.edges) + 1:
            yield f"it has {len(shares)} shares of {name} scores for {len(cell.edges) + 1} bins"
        elif not all(0 <= share <= 1 for share in shares) or abs(math.fsum(shares) - 1) > _ROUNDING:
            yield f"its shares of {name} scores do not sum to 1"


def _second(second: Second, cell: Cell) -> Iterator[str]:
    if not second.model:
        yield "it does not say whose readings it weighs"
    if not math.isfinite(second.weight):
        yield "the weight is no finite number"
    if set(second.thresholds) != set(cell.thresholds):
        yield "the false-positive rates are not those of the cell"
    elif what := thresholds_problem(second.thresholds):
        yield what
    if (second.values or second.log_likelihood_ratios) and (what := _steps(second.values, second.log_likelihood_ratios, "the sum")):
        yield what
