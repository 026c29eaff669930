"""The calibration file: what every signal's reading weighs, how the detectors of model text are weighed together, and the prior.

A log-likelihood ratio (LLR) is the natural logarithm of P(reading | machine) / P(reading | human). Which reading weighs how
much is data and no code. A signal whose name the file does not know gives readings without weight; one that it knows in
another version is an error, because the weights would belong to other readings.

Detectors of model text have no weights of their own: their readings rest on the same words and would count twice. A `Cell`
(a group of languages and a range of lengths) turns them into one score, and says from which score a document is flagged at
which false-positive rate. The rate is set on human text alone, by scores of models that did not see the text's source: a
threshold keeps it over the average of the human sources, and a small multiple of it in each of them, by conformal quantiles
(Dunn, Wasserman & Ramdas 2022; Lee, Barber & Willett 2023). Where there was too little text to set one there is no cell, and
the verdict abstains.
"""

import bisect
from typing import Annotated

import msgspec

FORMAT = "lowbackground-calibration-2"
CLASSES = ("machine_generated", "machine_translated")
LLR_BOUND = 3.0
"""No table may say more than this, about 20 to 1: beyond it the data of a few thousand documents says nothing."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Steps of one group of documents: a value has the LLR of the last step that it reaches, and none below the first."""

    group: Annotated[str, msgspec.Meta(description="group that the signal names, such as a language; `*` for all others")] = "*"
    values: Annotated[tuple[float, ...], msgspec.Meta(description="lower ends of the steps, rising")] = ()
    log_likelihood_ratios: Annotated[tuple[float, ...], msgspec.Meta(description="LLR of each step, in nats")] = ()

    def look_up(self, value: float) -> float | None:
        """LLR of `value`, or None below the first step."""
        at = bisect.bisect_right(self.values, value) - 1
        return self.log_likelihood_ratios[at] if at >= 0 else None


def between(values: tuple[float, ...], ratios: tuple[float, ...], value: float) -> float:
    """The LLR of `value` on the line through the knots (values, ratios); that of the nearest end beyond them."""
    at = bisect.bisect_right(values, value)
    if at in (0, len(values)):
        return ratios[max(at - 1, 0)]
    low, high = values[at - 1], values[at]
    return ratios[at - 1] + (ratios[at] - ratios[at - 1]) * ((value - low) / (high - low))


class Weight(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one version of one signal weighs."""

    source: Annotated[str, msgspec.Meta(description="data or reasoning that the weights come from")] = ""
    speaks_for: Annotated[
        str | None, msgspec.Meta(description="class that high values speak for; null for a signal that only informs")
    ] = None
    decides_from: Annotated[
        float | None, msgspec.Meta(description="value from which one reading decides the tag; null for never")
    ] = None
    bars_from: Annotated[
        float | None, msgspec.Meta(description="value from which a document cannot count as human; null for never")
    ] = None
    alarm_below: Annotated[
        float | None, msgspec.Meta(description="value below which a reading is an alarm about the capture; null for never")
    ] = None
    tables: Annotated[tuple[Table, ...], msgspec.Meta(description="LLR by value, one table a group")] = ()


class Prior(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Share of machine text among captures of a language, by month."""

    language: Annotated[str, msgspec.Meta(description="two letters; `*` for all others")] = "*"
    source: Annotated[str, msgspec.Meta(description="who measured the shares, on what")] = ""
    months: Annotated[
        tuple[tuple[str, float], ...], msgspec.Meta(description="(month as YYYY-MM, share above 0 and below 1), rising months")
    ] = ()


class Second(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a language model's reading adds to the score of a document that a cell leaves open."""

    model: Annotated[str, msgspec.Meta(description="SHA-256 of the weights that the reading has to come from")]
    weight: Annotated[float, msgspec.Meta(description="by which the reading is multiplied before it is added to the score")]
    thresholds: Annotated[dict[str, float], msgspec.Meta(description="lowest sum that is flagged, by false-positive rate")]
    values: Annotated[
        tuple[float, ...], msgspec.Meta(description="sums whose LLR is given, rising; between them it is linear")
    ] = ()
    log_likelihood_ratios: Annotated[
        tuple[float, ...], msgspec.Meta(description="LLR at each of these sums, in nats; without them the score's own LLR stands")
    ] = ()


class Cell(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How documents of a group of languages and a range of lengths are scored, and what a score means.

    The score is `bias` + the sum of weight x value. Texts of `words_from` <= words < `words_below` belong to it.
    """

    group: Annotated[str, msgspec.Meta(description="name of the group of languages")]
    languages: Annotated[tuple[str, ...], msgspec.Meta(description="languages of the group")]
    words_from: Annotated[int, msgspec.Meta(description="least number of words", ge=0)]
    words_below: Annotated[int | None, msgspec.Meta(description="number of words from which it is over; null for none")] = None
    weights: Annotated[dict[str, float], msgspec.Meta(description="weight by signal")]
    bias: Annotated[float, msgspec.Meta(description="score where all values are 0")] = 0.0
    within: Annotated[
        dict[str, tuple[float, float]],
        msgspec.Meta(description="least and greatest value by signal that the cell was calibrated on; beyond, it abstains"),
    ] = {}
    values: Annotated[
        tuple[float, ...], msgspec.Meta(description="scores whose LLR is given, rising; between them it is linear")
    ] = ()
    log_likelihood_ratios: Annotated[tuple[float, ...], msgspec.Meta(description="LLR at each of these scores, in nats")] = ()
    thresholds: Annotated[dict[str, float], msgspec.Meta(description="lowest score that is flagged, by false-positive rate")]
    true_positives: Annotated[
        dict[str, tuple[float, float]],
        msgspec.Meta(
            description="least and greatest share of machine texts flagged, over left-out sources and generators, by rate"
        ),
    ] = {}
    edges: Annotated[tuple[float, ...], msgspec.Meta(description="rising edges of the bins of the score")] = ()
    human: Annotated[
        tuple[float, ...], msgspec.Meta(description="share of human text in each bin, of sources that training left out")
    ] = ()
    machine: Annotated[tuple[float, ...], msgspec.Meta(description="share of machine text in each bin")] = ()
    sources: Annotated[tuple[str, ...], msgspec.Meta(description="human sources that it was calibrated on")] = ()
    human_rows: Annotated[int, msgspec.Meta(description="human texts that it was calibrated on", ge=0)] = 0
    machine_rows: Annotated[int, msgspec.Meta(description="machine texts that it was calibrated on", ge=0)] = 0
    open_from: Annotated[
        float | None,
        msgspec.Meta(description="score from which, up to the threshold, a language model is asked; null for never"),
    ] = None
    second: Annotated[tuple[Second, ...], msgspec.Meta(description="what a language model adds, by its weights")] = ()

    @property
    def name(self) -> str:
        """The cell in words; unique in a valid file."""
        if self.words_below is None:
            return f"{self.group}, {self.words_from} words and more"
        return f"{self.group}, {self.words_from} to {self.words_below - 1} words"

    def covers(self, language: str, words: int) -> bool:
        """Whether a text of a language and length belongs to the cell."""
        return language in self.languages and self.words_from <= words and (self.words_below is None or words < self.words_below)

    @property
    def inputs(self) -> tuple[str, ...]:
        """Signals without whose readings there is no score, in the order in which they are summed."""
        return tuple(sorted({*self.weights, *self.within}))


class Combiner(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How the detectors of model text are weighed together."""

    version: Annotated[str, msgspec.Meta(description="of the way of scoring; which weights and thresholds, `rules` in tags says")]
    source: Annotated[str, msgspec.Meta(description="what the cells were fitted and calibrated on")]
    cells: Annotated[tuple[Cell, ...], msgspec.Meta(description="groups of languages by ranges of length; none overlap")]

    @property
    def rates(self) -> tuple[str, ...]:
        """The false-positive rates that the cells have thresholds for, rising."""
        return tuple(sorted(self.cells[0].thresholds, key=float)) if self.cells else ()

    @property
    def inputs(self) -> tuple[str, ...]:
        """Signals that any cell reads."""
        return tuple(sorted({name for cell in self.cells for name in cell.inputs}))


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The calibration file: weights by `signal@version`, the combiner, and the prior."""

    format: Annotated[str, msgspec.Meta(description="format of this file")] = FORMAT
    prior: Annotated[float, msgspec.Meta(description="log-odds of machine before any evidence, for captures without a date")] = 0.0
    prior_source: Annotated[str, msgspec.Meta(description="where that prior comes from")] = ""
    priors: Annotated[tuple[Prior, ...], msgspec.Meta(description="shares of machine text by month, one table a language")] = ()
    signals: Annotated[dict[str, Weight], msgspec.Meta(description="weights by signal@version")] = {}
    combiner: Annotated[
        Combiner | None, msgspec.Meta(description="how detectors of model text are weighed together; null weighs none")
    ] = None

    def weight(self, name: str, version: str) -> Weight | None:
        """The weights of a signal's version; None for a signal that the file does not know.

        Raises `ValueError` where the file knows the signal in other versions only.
        """
        found = self.signals.get(f"{name}@{version}")
        if found is None:
            known = sorted(entry for entry in self.signals if entry.split("@")[0] == name)
            if known:
                raise ValueError(
                    f"signal {name} has version {version}, but the calibration file weighs {', '.join(known)}; the weights would belong to "
                    "other readings. Recalibrate with `make model`, or take the calibration file of this version."
                )
        return found


def months(text: str) -> int:
    """A month as `YYYY-MM` as a number that rises by 1 a month. Raises `ValueError` for other text."""
    year, _, month = text.partition("-")
    if not (
        len(year) == 4 and len(month) == 2 and year.isdecimal() and month.isdecimal() and text.isascii() and 1 <= int(month) <= 12
    ):
        raise ValueError(f"{text!r} is no month as YYYY-MM")
    return int(year) * 12 + int(month) - 1
