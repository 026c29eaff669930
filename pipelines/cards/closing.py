"""What `mix` prints at its end, and `mix --dry-run` instead of writing: tables of what was asked for, what was there and what was taken."""

import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from pipelines import expecting
from pipelines.cards import supply, words

STRATA = 12
"""Strata that are listed; the report and `--json` have all."""
WIDEST = 48
"""Characters of a label."""
LINE = 110


def lines(summary: Mapping[str, Any]) -> list[str]:
    """The text of a mix's summary, or of a dry run's, line by line."""
    plan = summary["plan"]
    made = summary["realised"][plan["unit"]]
    told = [
        *columns(*supply.asked(plan, made)),
        *_said("worth", supply.effective(plan)),
        *(line for other in supply.alternatives(plan) for line in _said("or", other)),
        *_said("machine share", f"{expecting.line(summary['machine_share'])}{_estimate(summary['machine_share'])}"),
        *_said("human side alone", _alone(summary["alternative"])),
        "",
        *columns(*supply.survival(summary["survival"], summary["filter"])),
        "",
        *columns(*_without_passed(summary)),
    ]
    for note in (*supply.scores(summary["filter"]), supply.clusters(summary["clusters"]), _coverage(summary["coverage"])):
        if note:
            told += ["", *textwrap.wrap(note, LINE)]
    return told


def _estimate(told: Mapping[str, Any]) -> str:
    return "" if told["share"] is None else "; an estimate from detector scores, of the whole mix"


def _alone(other: Mapping[str, Any]) -> str:
    return (
        f"{other['unique']:,} {other['unit']} read {other['epochs']:.3g} times are {other['total']:,}, worth {other['effective']:,} read once, "
        "without any other text"
    )


def _without_passed(summary: Mapping[str, Any]) -> words.Table:
    """The strata; where nothing is filtered, without what passed."""
    head, rows = supply.strata(summary["strata"], None, STRATA)
    if summary["filter"] is not None:
        return head, rows
    place = head.index("after the filter")
    return [*head[:place], *head[place + 1 :]], [[*row[:place], *row[place + 1 :]] for row in rows]


def _coverage(found: Mapping[str, Any] | None) -> str:
    """How the rare words fare, in a sentence; empty where no human document was left out."""
    if not found or found["all"]["share"] is None:
        return ""
    rare = found["all"]
    most = max(map(int, found["frequencies"]))
    return (
        f"Rare words, those of at most {most} of {found['documents']['before']:,} human documents: {rare['kept']:,} of {rare['types']:,} are kept "
        f"({100 * rare['share']:.2f} %), and of a uniform sample of {found['documents']['after']:,} documents {100 * rare['expected']:.2f} % would be."
    )


def _said(label: str, text: str) -> list[str]:
    wrapped = textwrap.wrap(text, LINE - 24)
    return [f"{label if not i else '':<24}{line}" for i, line in enumerate(wrapped)]


def columns(head: Sequence[str], rows: Sequence[Sequence[object]]) -> list[str]:
    """A table as lines of text: the first column to the left, the others to the right; integers have thousands separators."""
    texts = [[_cell(value) for value in row] for row in [head, *rows]]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    return [
        "  ".join(
            [f"{row[0]:<{widths[0]}}", *(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))]
        ).rstrip()
        for row in texts
    ]


def _cell(value: object) -> str:
    text = f"{value:,}" if isinstance(value, int) else " ".join(str(value).split())
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 1]}…"
