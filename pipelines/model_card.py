"""The card of the origin model: what it was trained on, how often it errs, and what it is not for."""

import math
from collections import defaultdict
from typing import Any

import numpy as np

from pipelines.train_model import QUANTIZE, SETTINGS, Row, auroc
from provenance.evidence import Weight
from provenance.signals import origin_model as signal

TEXT = """# Model card: origin.ftz

A quantised fastText classifier ({size:,} bytes) of human against machine-generated text, over words, word n-grams and
character n-grams, read by `provenance/signals/origin_model.py` (version {version}). One signal among others. Made by
`make model`; the weights alone are shipped, none of the text.

## Not for

- certifying that a person wrote a text: no value of it does, and no tag `human` rests on it;
- judging a person's work, such as a pupil's or an applicant's: learners' and formulaic prose are flagged more often;
- texts below {words} words, and languages other than {languages}: no reading. A language whose held-out rows were too few has
  readings without weight;
- machine *translation*, and text of generators, genres and decodings that are not in the table below: expect far less than
  what stands here (the sources below are the ones it was trained on);
- frozen snapshots: detectors of model text do not vote there.

Its machine rows are of 2023 and 2024, its human rows of 2022 and before: part of what it has learnt may be the calendar.

## Training

{kept:,} rows (one group in ten held back), fastText {settings}, quantised with {quantize}, one thread, seed 1. Text is
lower-cased, NFKC, digits as 0, without quotation marks, Markdown and line breaks; the first {read:,} characters count.

{sources}

## Held out, per source

Texts of {words} words and more that training did not see. TPR at the source's own 1 % of human rows where it has 100 of them.
`flagged` is the share that reaches the threshold of its language, which one signal alone needs for a tag.

{held}

## Calibration, per language

The threshold is the highest of the conformal bounds at 1 % of all human rows and at 2 % of each human source with 100 rows or more.
The ratio at the top step is the lower bound that goes into `calibration.json`; below {bound:g} nats the signal alone tags nothing.

{languages_table}
"""


def card(kept: list[Row], found: list[Row], values: np.ndarray, weight: Weight, measured: list[dict[str, Any]], size: int) -> str:
    """The card in Markdown."""
    return TEXT.format(
        size=size,
        version=signal.VERSION,
        words=signal.MIN_WORDS,
        read=signal.READ,
        languages=", ".join(signal.LANGUAGES),
        kept=len(kept),
        settings=_settings(SETTINGS),
        quantize=_settings(QUANTIZE),
        sources=_sources(kept),
        held=_held(found, values, {table.group: table.values[-1] for table in weight.tables}),
        bound=3.0,
        languages_table=_languages(measured),
    )


def _settings(settings: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in settings.items())


def table(header: str, lines: list[list[str]]) -> str:
    """A Markdown table."""
    names = header.split(" | ")
    return "\n".join("| " + " | ".join(line) + " |" for line in [names, ["---"] * len(names), *lines])


def _sources(kept: list[Row]) -> str:
    """Training rows by source, with licence."""
    count: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0, 0])
    languages: dict[tuple[str, str], set[str]] = defaultdict(set)
    for row in kept:
        count[row.source, row.licence][row.machine] += 1
        languages[row.source, row.licence].add(row.language)
    lines = [
        [s, li, ", ".join(sorted(languages[s, li])), f"{count[s, li][0]:,}", f"{count[s, li][1]:,}"] for s, li in sorted(count)
    ]
    return table("source | licence | languages | human | machine", lines)


def _held(found: list[Row], values: np.ndarray, thresholds: dict[str, float]) -> str:
    """Errors by source and language on rows that training did not see."""
    places: dict[tuple[str, str], list[int]] = defaultdict(list)
    for i, row in enumerate(found):
        if row.language in signal.LANGUAGES and row.words >= signal.MIN_WORDS:
            places[row.source, row.language].append(i)
    lines = []
    for (source, language), own in sorted(places.items()):
        v, machine = values[own], np.array([found[i].machine for i in own])
        bar = thresholds.get(language, math.inf)
        line = [
            source,
            found[own[0]].licence,
            language,
            str(int((~machine).sum())),
            str(int(machine.sum())),
            _number(auroc(v[machine], v[~machine])),
        ]
        enough = (~machine).sum() >= 100 and machine.any()
        line.append(_number(float((v[machine] > np.quantile(v[~machine], 0.99)).mean())) if enough else "-")
        line += [_number(_share(v[~machine] >= bar)), _number(_share(v[machine] >= bar))]
        lines.append(line)
    return table("source | licence | language | human | machine | AUROC | TPR at 1 % | flagged human | flagged machine", lines)


def _languages(measured: list[dict[str, Any]]) -> str:
    """What the calibration measured."""
    lines = []
    for m in measured:
        if "threshold" in m:
            numbers = [f"{m['threshold']:.2f}", _number(m["fpr"]), _number(m["tpr"]), f"{m['llr']:.2f}"]
        else:
            numbers = ["too few rows", "-", "-", "none"]
        lines.append([m["language"], str(m["human"]), str(m["machine"]), *numbers])
    return table("language | human | machine | threshold | flagged human | flagged machine | ratio at the top step", lines)


def _share(hits: np.ndarray) -> float:
    return float(hits.mean()) if len(hits) else math.nan


def _number(value: float) -> str:
    return "-" if math.isnan(value) else f"{value:.3f}"
