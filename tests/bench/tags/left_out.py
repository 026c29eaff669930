"""Leave one source out, leave one generator out: detectors that were fitted and calibrated without what they are tried on."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from pipelines.training import calibrate
from provenance.proportions import binomial_interval
from provenance.signals import Tools
from tests.bench.tags import metrics
from tests.bench.tags.corpus import Corpus
from tests.bench.tags.dev_main import RATES, span
from tests.bench.tags.folds import Fold
from tests.bench.tags.judged import Judged, judge
from tests.bench.tags.sheets import Goal, Sheet, number, percent, rate, tally
from tests.bench.tags.texts import Text

STATED, MOST = 0.01, 0.02
"""The stated false-positive rate, and what it may be in any human source that was left out."""


@dataclass(frozen=True)
class Tried:
    """A fold's detectors on the texts that it left out and on those of `dev`: numbers of the texts, which of them the fold left out, what
    the product says of each, and the baseline's score, fitted without the fold as well."""

    fold: Fold
    rows: np.ndarray
    out: np.ndarray
    judged: Judged
    base: np.ndarray


def attempt(corpus: Corpus, fold: Fold, tools: Tools) -> Tried:
    """Tries a fold's `tools`. Texts of `dev` that share a source with what was left out are left out; their prompts are no part of training."""
    out = fold.mask(corpus.texts) & (~corpus.is_dev | ~in_slots(fold, corpus.texts))
    rows = np.flatnonzero(out | corpus.is_dev)
    base = corpus.baseline.score(corpus.fit(fold), rows)
    return Tried(fold, rows, out[rows], judge([corpus.texts[row] for row in rows], tools), base)


def in_slots(fold: Fold, texts: Sequence[Text]) -> np.ndarray:
    """Which texts a fold leaves out by their group alone."""
    whole = Fold(fold.families, fold.generators)
    return fold.mask(texts) & ~whole.mask(texts)


@dataclass
class Left:
    """Of each text what the fold says that left it out; NaN, `` and False for those that none did. `fold` is its number, -1 for none."""

    fold: np.ndarray
    scores: np.ndarray
    cells: np.ndarray
    abstentions: np.ndarray
    flagged: np.ndarray
    base: np.ndarray
    base_flagged: np.ndarray


def gather(corpus: Corpus, tried: Sequence[Tried]) -> Left:
    """Puts the folds together, and holds the baseline against thresholds by the same rule from the texts of other folds."""
    count = len(corpus.texts)
    nothing, nowhere, never = np.full(count, np.nan), np.full(count, "", object), np.zeros(count, bool)
    left = Left(np.full(count, -1), nothing.copy(), nowhere.copy(), nowhere.copy(), never.copy(), nothing.copy(), never.copy())
    for place, one in enumerate(tried):
        rows, own = one.rows[one.out], one.judged[one.out]
        left.scores[rows], left.cells[rows], left.abstentions[rows] = own.scores, own.cells, own.abstentions
        left.flagged[rows], left.base[rows], left.fold[rows] = own.machine, one.base[one.out], place
    for place in range(len(tried)):
        bars = thresholds(corpus, left, (left.fold >= 0) & (left.fold != place))
        rows = np.flatnonzero((left.fold == place) & np.isfinite(left.scores))
        left.base_flagged[rows] = left.base[rows] >= np.array([bars.get(cell, np.inf) for cell in left.cells[rows]])
    return left


def thresholds(corpus: Corpus, left: Left, seen: np.ndarray) -> dict[str, float]:
    """The baseline's threshold by cell, by the rule of the cells' own (`calibrate.threshold`), of the texts of `seen`."""
    found = {}
    human = seen & ~corpus.machine & np.isfinite(left.scores) & np.isfinite(left.base)
    for cell in sorted(set(left.cells[human])):
        own = np.flatnonzero(human & (left.cells == cell))
        kind = calibrate.kind_of(cell.split(", ")[0])
        sources = [calibrate.named(corpus.source[row], corpus.texts[row].language, kind.languages) for row in own]
        found[cell] = calibrate.threshold(left.base[own], np.array(sources), str(STATED), kind.worst)
    return found


def humans(corpus: Corpus, left: Left) -> Sheet:
    """False positives of each source with human text alone."""
    heads = ["human source left out", "texts", "abstained", "scored", "flagged", "of scored, 95 %", "base", ""]
    sheet = Sheet(f"Leave one source out: human text flagged at the stated {STATED:.0%}", heads)
    own_machine = set(corpus.source[corpus.machine].tolist())
    there_at_all = (left.fold >= 0) & ~corpus.machine & ~np.isin(corpus.source, sorted(own_machine))
    bad, most = [], 0.0
    for name in ("all", *sorted(set(corpus.source[there_at_all]))):
        own = there_at_all & ((corpus.source == name) | (name == "all"))
        there = own & np.isfinite(left.scores)
        hits, count = int((left.flagged & own).sum()), int(there.sum())
        word = "" if hits <= MOST * count else "within error" if binomial_interval(hits, count, 0.95)[0] <= MOST else "ABOVE"
        if name != "all":
            most = max(most, hits / count if count else 0.0)
            bad += [name] if word == "ABOVE" else []
        row = [name, str(int(own.sum())), tally(left.abstentions[own]), str(count), str(hits), rate(hits, count)]
        sheet.rows.append([*row, percent(int((left.base_flagged & there).sum()), count), word if count else "nothing scored"])
    told = f"above: {', '.join(bad) or 'none'}; most {most:.1%}"
    sheet.goals.append(Goal(f"at most {MOST:.0%}, within its error, in every source of human text", not bad, told))
    sheet.note = "Exact 95 % intervals. `base`: the baseline's scores of the same texts against thresholds by the same rule."
    return sheet


def lengths(corpus: Corpus, left: Left, rows: np.ndarray) -> Sheet:
    """The same false positives by language and length; languages in which nothing is scored are counted together."""
    sheet = Sheet(
        "The same by language and length in words", ["language, words", "texts", "scored", "flagged", "of scored, 95 %", "base"]
    )
    spoken = {corpus.texts[row].language for row in np.flatnonzero(rows & np.isfinite(left.scores))}
    places: dict[str, list[int]] = {}
    for row in np.flatnonzero(rows):
        text = corpus.texts[row]
        place = f"{text.language}, {span(text.words)}" if text.language in spoken else "not calibrated"
        places.setdefault(place, []).append(int(row))
    for place in sorted(places):
        own = np.array(places[place])
        there = np.isfinite(left.scores[own])
        hits, count = int(left.flagged[own].sum()), int(there.sum())
        base = percent(int((left.base_flagged[own] & there).sum()), count)
        sheet.rows.append([place, str(len(own)), str(count), str(hits), rate(hits, count), base])
    return sheet


def machines(corpus: Corpus, tried: Sequence[Tried], left: Left) -> Sheet:
    """What the same fitted detectors tag of `dev`, over all folds, beside the baseline."""
    heads = ["machine source", "texts x folds", "tagged", "base, same rule", "base, same rate", ""]
    sheet = Sheet("At that setting: share of the machine texts of dev-main tagged", heads)
    equal = equal_bars(corpus, left)
    sums: dict[str, np.ndarray] = {}
    for place, one in enumerate(tried):
        kept = ~one.out & corpus.machine[one.rows]
        rows, judged, base = one.rows[kept], one.judged[kept], one.base[kept]
        bars = thresholds(corpus, left, (left.fold >= 0) & (left.fold != place))
        scored = judged.scored
        rule = scored & (base >= np.array([bars.get(cell, np.inf) for cell in judged.cells]))
        same = scored & (base >= np.array([equal.get(cell, np.inf) for cell in judged.cells]))
        for name in ("overall", *sorted(set(corpus.source[rows]))):
            own = (corpus.source[rows] == name) | (name == "overall")
            hits = [own.sum(), (judged.machine & own).sum(), (rule & own).sum(), (same & own).sum()]
            sums[name] = sums.get(name, np.zeros(4)) + np.array(hits, float)
    below = []
    for name, (count, *shares) in sums.items():
        ours, rule_share, same_share = (part / count for part in shares)
        word = "above" if ours > same_share else "level" if ours == same_share else "below"
        below += [name] if word == "below" else []
        sheet.rows.append([name, f"{count:.0f}", *(f"{part:.3f}" for part in (ours, rule_share, same_share)), word])
    sheet.note = (
        "Same rule: a threshold by the rule of the cells' own. Same rate: the bar at which the baseline flags as many "
        "human texts of left-out sources in the cell as we do."
    )
    told = f"below: {', '.join(below) or 'none'}"
    sheet.goals.append(
        Goal("more machine texts tagged than by the baseline at the same rate, overall and per source", not below, told)
    )
    return sheet


def equal_bars(corpus: Corpus, left: Left) -> dict[str, float]:
    """By cell, the baseline's bar at which it flags as many human texts of left-out human-only sources as we do."""
    own_machine = sorted(set(corpus.source[corpus.machine].tolist()))
    human = ~corpus.machine & np.isfinite(left.scores) & ~np.isin(corpus.source, own_machine)
    bars = {}
    for cell in sorted(set(left.cells[human])):
        own = human & (left.cells == cell)
        bars[cell] = metrics.bar(left.base[own], float(left.flagged[own].mean()))
    return bars


def ranked(sheet: Sheet, name: str, machine: np.ndarray, human: np.ndarray, ours: np.ndarray, base: np.ndarray) -> None:
    """A row of machine against human scores, of the texts that have one, both detectors."""
    m, h = machine & np.isfinite(ours), human & np.isfinite(ours)
    found = metrics.auroc(ours[m], ours[h])
    spread = metrics.Z95 * metrics.auroc_error(found, int(m.sum()), int(h.sum())) if m.any() and h.any() else np.nan
    cells = [number(found), number(spread), number(metrics.auroc(base[m], base[h]))]
    cells += [number(metrics.tpr(s[m], s[h], r)) for r in RATES for s in (ours, base)]
    sheet.rows.append([name, f"{m.sum()}/{h.sum()}", *cells])


HEADS = [
    "left out",
    "machine/human scored",
    "AUROC",
    "+-",
    "base",
    *(f"{w} {r:.0%}" for r in RATES for w in ("TPR", "base")),
    "tagged",
]


def sources(corpus: Corpus, left: Left, humans_left: Left) -> Sheet:
    """Each source with machine text, against its own human rows and against the human text of left-out human-only sources."""
    sheet = Sheet("Leave one source out: machine text of sources that training did not see", HEADS)
    elsewhere = ~corpus.machine & (humans_left.fold >= 0) & (left.fold < 0)
    ours, base = (np.where(left.fold >= 0, a, b) for a, b in ((left.scores, humans_left.scores), (left.base, humans_left.base)))
    out = left.fold >= 0
    for name in ("all", *sorted(set(corpus.source[out & corpus.machine]))):
        own = out & ((corpus.source == name) | (name == "all"))
        machine = own & corpus.machine
        share = rate(int((left.flagged & machine).sum()), int(machine.sum()))
        for words, human in (("its own human", own & ~corpus.machine), ("human-only sources", elsewhere)):
            ranked(sheet, f"{name}: {words}", machine, human, ours, base)
            sheet.rows[-1].append(share)
    sheet.note = "All rows of the source, of training and dev. Thresholds of the tags are of the fold; +- is 1.96 standard errors."
    return sheet


def generators(corpus: Corpus, tried: Sequence[Tried]) -> Sheet:
    """Each left-out generator's texts against the human texts of `dev` from the same sources."""
    sheet = Sheet("Leave one generator out: its texts against the human texts of dev-main of the same sources", HEADS)
    for one in tried:
        source = corpus.source[one.rows]
        human = ~corpus.machine[one.rows] & np.isin(source, sorted(set(source[one.out])))
        ranked(sheet, one.fold.name, one.out, human, one.judged.scores, one.base)
        sheet.rows[-1].append(rate(int((one.judged.machine & one.out).sum()), int(one.out.sum())))
    sheet.note = (
        "Fits without the generators; weights and thresholds of the cross-fit, whose rows of these generators are left away."
    )
    return sheet
