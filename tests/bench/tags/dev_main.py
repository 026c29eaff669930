"""The shipped model on `dev-main`: how well its score ranks, beside the baseline, and what the default thresholds tag."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tests.bench.tags import metrics
from tests.bench.tags.judged import Judged
from tests.bench.tags.sheets import Goal, Sheet, bounds, number, rate, tally
from tests.bench.tags.texts import Text, chosen, values

RATES = (0.01, 0.05)
TAGGED = 0.35
"""Share of the machine texts of `dev-main` that are to be tagged at the default thresholds."""
LAST = -1e9
"""What ranks a text without a score."""
FEWEST = 5
"""Texts of a class below which a row of a breakdown is left out."""
LENGTHS = (0, 50, 100, 200, 400)
"""Ends of the ranges of words."""


@dataclass(frozen=True)
class Compared:
    """A detector beside the baseline on the same texts: (ours, theirs) of each measure, and the interval of the difference in AUROC."""

    auroc: tuple[float, float]
    shares: tuple[tuple[float, float], ...]
    difference: tuple[float, float]

    @property
    def verdict(self) -> str:
        """`above` or `level`, or the measures in which it is below."""
        measures = {"AUROC": self.auroc} | {f"TPR {rate:.0%}": pair for rate, pair in zip(RATES, self.shares, strict=True)}
        below = [name for name, (ours, theirs) in measures.items() if ours < theirs]
        if below:
            return "below: " + ", ".join(below)
        return "above" if any(ours > theirs for ours, theirs in measures.values()) else "level"


def compare(ours: np.ndarray, theirs: np.ndarray, machine: np.ndarray, times: int = 200) -> Compared:
    """Both detectors on the same texts; the interval by drawing the same texts for both, within each class."""
    pairs = [(metrics.auroc(s[machine], s[~machine]),) for s in (ours, theirs)]
    shares = tuple(tuple(metrics.tpr(s[machine], s[~machine], rate) for s in (ours, theirs)) for rate in RATES)
    chance, places = np.random.default_rng(1), [np.flatnonzero(machine), np.flatnonzero(~machine)]
    drawn = []
    for _ in range(times if all(len(place) for place in places) else 0):
        m, h = (chance.choice(place, len(place)) for place in places)
        drawn.append(metrics.auroc(ours[m], ours[h]) - metrics.auroc(theirs[m], theirs[h]))
    interval = (float(np.quantile(drawn, 0.025)), float(np.quantile(drawn, 0.975))) if drawn else (np.nan, np.nan)
    return Compared((pairs[0][0], pairs[1][0]), shares, interval)


def beside(title: str, texts: Sequence[Text], ours: np.ndarray, theirs: np.ndarray) -> Sheet:
    """Overall and per source, of the texts that have a score; the baseline on the same texts."""
    machine, sources, scored = chosen(texts, lambda t: t.machine), values(texts, lambda t: t.source), np.isfinite(ours)
    heads = ["source", "machine/human", "scored", "AUROC", "base", "difference, 95 %"]
    heads += [f"{word}{rate:.0%}" for rate in RATES for word in ("TPR ", "base ")] + [""]
    sheet = Sheet(
        title,
        heads,
        note="Of the texts that have a score, but for `all texts`, where those without rank last; the baseline on the same texts. TPR where that share of the row's own human texts is flagged.",
    )
    every = "overall, all texts"
    for name in ("overall", every, *sorted(set(sources))):
        own = (sources == name) | (name in ("overall", every))
        there = own & (scored | (name == every))
        # A text without a score is flagged last.
        made = compare(np.where(scored, ours, LAST)[there], theirs[there], machine[there])
        word = made.verdict if len(set(machine[there & scored])) == 2 else "nothing scored"
        row = [name, f"{(machine & there).sum()}/{(~machine & there).sum()}", f"{(own & scored).sum() / max(own.sum(), 1):.0%}"]
        row += [number(made.auroc[0]), number(made.auroc[1]), bounds(made.difference, 3)]
        row += [number(value) for pair in made.shares for value in pair]
        sheet.rows.append([*row, word])
    below = [row[0] for row in sheet.rows if row[-1] != "above" and row[0] != every]
    told = "not above: " + (", ".join(below) or "none")
    sheet.goals.append(Goal("above the baseline overall and in every source", not below, told))
    return sheet


def alone(title: str, texts: Sequence[Text], theirs: np.ndarray) -> str:
    """The baseline's measures on all texts, with the AUROC of each source, in words."""
    machine, sources = chosen(texts, lambda t: t.machine), values(texts, lambda t: t.source)
    parts = [f"AUROC {number(metrics.auroc(theirs[machine], theirs[~machine]))}"]
    parts += [f"TPR {rate:.0%} {number(metrics.tpr(theirs[machine], theirs[~machine], rate))}" for rate in RATES]
    for name in sorted(set(sources)):
        own = sources == name
        parts.append(f"{name} {number(metrics.auroc(theirs[own & machine], theirs[own & ~machine]))}")
    return f"{title}: " + ", ".join(parts)


def tagged(texts: Sequence[Text], judged: Judged) -> Sheet:
    """What the default thresholds tag, by source and language, with abstentions by kind."""
    machine, flagged = chosen(texts, lambda t: t.machine), judged.machine
    heads = ["source, language", "machine tagged", "of", "human tagged", "of", "abstained"]
    sheet = Sheet("dev-main at the default thresholds: shares of texts tagged machine_*", heads)
    places = values(texts, lambda t: f"{t.source}, {t.says['lang']}")
    for name in ("overall", *sorted(set(places))):
        own = np.full(len(texts), True) if name == "overall" else places == name
        cells = []
        for part in (own & machine, own & ~machine):
            cells += [rate(int((flagged & part).sum()), int(part.sum())), str(int(part.sum()))]
        sheet.rows.append([name, *cells, tally(judged.abstentions[own])])
    share = float(flagged[machine].mean()) if machine.any() else 0.0
    sheet.goals.append(Goal(f"at least {TAGGED} of the machine texts of dev-main are tagged", share >= TAGGED, f"{share:.3f}"))
    translated = int((judged.origins == "machine_translated").sum())
    sheet.note = f"{translated} are tagged machine_translated. Exact 95 % intervals (Clopper-Pearson) in brackets."
    return sheet


def span(words: int) -> str:
    """The range of lengths that a number of words lies in."""
    low = max(end for end in LENGTHS if end <= max(words, 0))
    later = [end for end in LENGTHS if end > low]
    return f"{low}-{later[0] - 1}" if later else f"{low}+"


def breakdown(title: str, texts: Sequence[Text], judged: Judged) -> Sheet:
    """Shares tagged by language and length in words."""
    machine, flagged = chosen(texts, lambda t: t.machine), judged.machine
    sheet = Sheet(title, ["language, words", "machine tagged", "of", "human tagged", "of", "scored"])
    places = values(texts, lambda t: f"{t.language or 'none'}, {span(t.words)}")
    for name in sorted(set(places), key=lambda p: (p.split(", ")[0], int(p.split(", ")[1].split("-")[0].rstrip("+")))):
        own = places == name
        if own.sum() < FEWEST:
            continue
        cells = []
        for part in (own & machine, own & ~machine):
            cells += [rate(int((flagged & part).sum()), int(part.sum())), str(int(part.sum()))]
        sheet.rows.append([name, *cells, f"{judged.scored[own].mean():.0%}"])
    return sheet


def marks(title: str, sets: dict[str, tuple[Sequence[Text], Judged]]) -> Sheet:
    """Markup, disclosure and residue in texts that have no markup: what stays is residue in the words."""
    sheet = Sheet(title, ["texts", "machine", "with a mark", "human", "with a mark", "signals on human text"])
    for name, (texts, judged) in sets.items():
        machine, marked = chosen(texts, lambda t: t.machine), np.array([bool(mark) for mark in judged.marks], bool)
        cells = []
        for part in (machine, ~machine):
            cells += [str(int(part.sum())), rate(int((marked & part).sum()), int(part.sum()))]
        on_human = [one for mark, is_machine in zip(judged.marks, machine, strict=True) if not is_machine for one in mark]
        sheet.rows.append([name, *cells, tally(on_human)])
    return sheet
