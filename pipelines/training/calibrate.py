"""From scores of texts that the models did not see to the combiner of the calibration file.

A cell's weights are a logistic regression over the three detectors' values. Its threshold at a stated rate holds for the average of its
human sources and, at a small multiple of the rate, for each of them, by conformal quantiles of scores by models that did not see the
source: sources, and not texts, are what a web crawl draws anew (hierarchical conformal prediction; Dunn, Wasserman & Ramdas 2022,
arXiv:1809.07441; Lee, Barber & Willett 2023, arXiv:2306.06342).
"""

import itertools
import math
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np

from pipelines.training.fit import SIGNALS
from pipelines.training.rows import Row
from provenance.calibration import LLR_BOUND, Cell, Combiner
from provenance.combiner import conformal
from provenance.signals._text import LANGUAGES

VERSION = "1"
RATES = ("0.005", "0.01", "0.02", "0.05")


class Kind(NamedTuple):
    """A group of languages and a range of words for which a cell is made, where its rows suffice (`FEWEST`).

    A source's own false-positive rate may be `worst` times the stated one, which is that of the average source.
    """

    group: str
    languages: tuple[str, ...]
    words_from: int
    words_below: int | None
    worst: int


OTHER = tuple(language for language in LANGUAGES if language != "en")
CELLS = (
    Kind("en", ("en",), 25, 50, 2),
    Kind("en", ("en",), 50, 100, 2),
    Kind("en", ("en",), 100, 200, 2),
    Kind("en", ("en",), 200, None, 2),
    Kind("other", OTHER, 25, None, 1),
)
"""English has sources enough for cells by length. The other languages have machine text of one or two sources each, and human text of few
genres: they are one cell, where every source holds at the stated rate itself in each language, since at twice the rate a translated source
(XQuAD) that calibration left out was flagged at 5 %."""
FEWEST = {"human": 400, "machine": 150, "sources": 4}
"""Rows of each class, and human sources with `SMALLEST` rows, below which there is no cell."""
SMALLEST = 99
"""Rows from which a source has a quantile of its own at 1 %: ceil((n + 1) 0.99) <= n. The smaller ones are one source together."""
RIDGE = 1.0
MARGIN = 0.1
"""Of the range of a detector's values over all that a cell was calibrated on, by which the range that it covers is wider on either side."""
BINS = 16
KNOTS = 24
"""Scores at which the LLR is measured, with as many texts between any two."""
RISE = 0.01
"""Least rise of the LLR for each unit of the score, so that equal LLRs are equal scores."""


class Scored(NamedTuple):
    """Rows with values float64[n, 3] by models that saw neither their group nor, of a human-only source, the source.

    `apart` are the values by models that saw nothing of the row's source (NaN where the row's source has human text alone,
    since `values` are such).
    """

    rows: tuple[Row, ...]
    values: np.ndarray
    apart: np.ndarray


def logistic(values: np.ndarray, machine: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Weights and, last, the constant of a logistic regression by Newton's method: float64[k + 1].

    A weight that turns out negative is set to 0 and the rest is fitted again: no detector shall speak for what it speaks against.
    """
    used = list(range(values.shape[1]))
    while True:
        design = np.column_stack([values[:, used], np.ones(len(values))])
        found = newton(design, machine, weight, np.array([RIDGE] * len(used) + [1e-9]))
        bad = [used[i] for i in range(len(used)) if found[i] < 0]
        if not bad:
            out = np.zeros(values.shape[1] + 1)
            out[used], out[-1] = found[:-1], found[-1]
            return out
        used = [i for i in used if i not in bad]


def newton(design: np.ndarray, machine: np.ndarray, weight: np.ndarray, ridge: np.ndarray) -> np.ndarray:
    """Coefficients (float64[k]) of a weighted logistic regression on `design` (float64[n, k]), each with half its `ridge` times its square
    as penalty, by at most 50 steps of Newton's method."""
    penalty = np.diag(ridge)
    found = np.zeros(design.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(design @ found, -30, 30)))
        gradient = design.T @ (weight * (machine - p)) - penalty @ found
        step = np.linalg.solve((design * (weight * p * (1 - p))[:, None]).T @ design + penalty, gradient)
        found = found + step
        if np.abs(step).max() < 1e-9:
            break
    return found


def even(rows: Sequence[Row]) -> np.ndarray:
    """Weight of each row so that within a class all sources of `SMALLEST` rows and more count the same, and both classes: float64[n],
    mean 1."""
    count: dict[tuple[bool, str], int] = {}
    for row in rows:
        count[row.machine, row.source] = count.get((row.machine, row.source), 0) + 1
    # A source of few rows does not count as much as one of hundreds.
    share = {key: n / max(n, SMALLEST) for key, n in count.items()}
    total = {side: math.fsum(s for (machine, _), s in sorted(share.items()) if machine == side) for side in (False, True)}
    weight = np.array([share[row.machine, row.source] / count[row.machine, row.source] / total[row.machine] for row in rows])
    return weight * len(rows) / 2


def threshold(scores: np.ndarray, sources: np.ndarray, rate: str, worst: int = 2) -> float:
    """Lowest score to flag: at `rate` over the average of the sources, and at no more than `worst` times `rate` in any single one.

    The first is the quantile of the scores with all sources weighing the same, the second the greatest of the sources' own conformal
    quantiles; sources of fewer than `SMALLEST` rows count as one together, and one with too few for a rate gives its greatest score.
    """
    names, counts = np.unique(sources, return_counts=True)
    large = sorted(names[counts >= SMALLEST].tolist())
    parts = [scores[sources == name] for name in large] + [scores[~np.isin(sources, large)]]
    parts = [part for part in parts if len(part) >= SMALLEST or len(part) == len(scores)]
    own = [conformal(part, str(worst * Fraction(rate))) for part in parts]
    bars = [float(np.nextafter(part.max(), math.inf)) if bar is None else bar for part, bar in zip(parts, own, strict=True)]
    size = dict(zip(names.tolist(), counts.tolist(), strict=True))
    weight = np.array([1 / max(size[source], SMALLEST) for source in sources.tolist()])
    order = np.argsort(scores, kind="stable")
    above = 1 - np.cumsum(weight[order]) / weight.sum()
    place = int(np.searchsorted(-above, -float(rate)))
    return max([*bars, float(np.nextafter(scores[order[min(place, len(order) - 1)]], math.inf))])


def kind_of(group: str) -> Kind:
    """The kind of a group's cells, the first of them. Raises `ValueError` for a group without one."""
    for kind in CELLS:
        if kind.group == group:
            return kind
    raise ValueError(f"no cells are made for the group {group!r}; it has no rule for a threshold. Give one of `CELLS`.")


def named(source: str, language: str, languages: Sequence[str]) -> str:
    """Name of a source in a cell: one that was translated is another one in each language."""
    return f"{source} {language}" if len(languages) > 1 else source


def cell_of(rows: Sequence[Row], kind: Kind) -> np.ndarray:
    """Which rows belong to a cell: bool[n]."""
    return np.array(
        [
            row.language in kind.languages
            and kind.words_from <= row.words
            and (kind.words_below is None or row.words < kind.words_below)
            for row in rows
        ],
        np.bool_,
    )


def combiner(scored: Scored, source: str) -> Combiner:
    """The combiner of the cells whose rows suffice."""
    cells = []
    for kind in CELLS:
        inside = np.flatnonzero(cell_of(scored.rows, kind))
        rows = tuple(scored.rows[i] for i in inside)
        if enough(rows):
            cells.append(_cell(kind, Scored(rows, scored.values[inside], scored.apart[inside])))
    return Combiner(version=VERSION, source=source, cells=tuple(cells))


def enough(rows: Sequence[Row]) -> bool:
    """Whether rows suffice for a cell."""
    human = [row.source for row in rows if not row.machine]
    large = [name for name in set(human) if human.count(name) >= SMALLEST]
    return len(human) >= FEWEST["human"] and len(rows) - len(human) >= FEWEST["machine"] and len(large) >= FEWEST["sources"]


def _cell(kind: Kind, own: Scored) -> Cell:
    machine = np.array([row.machine for row in own.rows], np.bool_)
    sources = np.array([named(row.source, row.language, kind.languages) for row in own.rows])
    weights = np.round(logistic(own.values, machine, even(own.rows)), 4)
    scores, apart = own.values @ weights[:-1] + weights[-1], own.apart @ weights[:-1] + weights[-1]
    bars = {rate: round(threshold(scores[~machine], sources[~machine], rate, kind.worst), 4) + 1e-4 for rate in RATES}
    edges = bins(scores)
    human_share = _shares(scores[~machine], edges, even(own.rows)[~machine])
    machine_share = _shares(scores[machine], edges, even(own.rows)[machine])
    values, ratios = knots(scores, apart, machine, even(own.rows))
    return Cell(
        group=kind.group,
        languages=kind.languages,
        words_from=kind.words_from,
        words_below=kind.words_below,
        weights=dict(zip(SIGNALS, map(float, weights[:-1]), strict=True)),
        bias=float(weights[-1]),
        within={name: _covered(column) for name, column in zip(SIGNALS, own.values.T, strict=True)},
        values=values,
        log_likelihood_ratios=ratios,
        thresholds={rate: round(bars[rate], 4) for rate in RATES},
        true_positives={rate: _range(own.rows, apart, bars[rate]) for rate in RATES},
        edges=edges,
        human=human_share,
        machine=machine_share,
        sources=tuple(sorted(set(sources[~machine].tolist()))),
        human_rows=int((~machine).sum()),
        machine_rows=int(machine.sum()),
    )


def _covered(values: np.ndarray) -> tuple[float, float]:
    """The range that a cell covers of a detector's values: text beyond it is unlike all that the cell was calibrated on."""
    low, high = float(values.min()), float(values.max())
    margin = MARGIN * (high - low)
    return round(low - margin, 2), round(high + margin, 2)


def _range(rows: Sequence[Row], scores: np.ndarray, bar: float) -> tuple[float, float]:
    """Least and greatest share of machine text that reaches `bar`, over sources and over generators with 30 rows."""
    shares = []
    for name in ("source", "generator"):
        for value in sorted({getattr(row, name) for row in rows if row.machine}):
            own = np.array([row.machine and getattr(row, name) == value for row in rows]) & np.isfinite(scores)
            if own.sum() >= 30:
                shares.append(float((scores[own] >= bar).mean()))
    return (round(min(shares), 4), round(max(shares), 4)) if shares else (0.0, 1.0)


def bins(scores: np.ndarray) -> tuple[float, ...]:
    """Rising edges that divide the scores evenly into `BINS`."""
    return tuple(sorted({round(float(edge), 3) for edge in np.quantile(scores, np.arange(1, BINS) / BINS)}))


def _shares(scores: np.ndarray, edges: tuple[float, ...], weight: np.ndarray) -> tuple[float, ...]:
    """Weighted shares of the scores in each bin, half a row added to each: len(edges) + 1 shares whose sum is 1."""
    place = np.searchsorted(edges, scores, "right")
    count = np.bincount(place, weight, len(edges) + 1) / weight.sum() * len(scores) + 0.5
    share = np.round(count / count.sum(), 6)
    share[int(share.argmax())] += 1 - share.sum()
    return tuple(round(float(s), 6) for s in share)


def knots(
    scores: np.ndarray, apart: np.ndarray, machine: np.ndarray, weight: np.ndarray, count: int = KNOTS
) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Scores, the middles of `count` steps, and the LLR at each, rising, within `LLR_BOUND`, drawn to 0 by half a text of each class a step.

    Machine text counts half by its `scores`, as of sources that the models know, and half by those `apart`, as of sources that they do not:
    which it will be nobody knows. x goes to B tanh(x / B) for the bound B, so that the order of strong evidence is kept.
    """
    known = np.isfinite(apart) & machine
    scores = np.concatenate([scores, apart[known]])
    weight = np.concatenate([weight, weight[known]])
    machine = np.concatenate([machine, machine[known]])
    edges = np.unique(np.round(np.quantile(scores, np.linspace(0, 1, count + 1)[1:-1]), 3))
    place = np.searchsorted(edges, scores, "right")
    ratios = []
    for step in range(len(edges) + 1):
        shares = []
        for side in (machine, ~machine):
            size = float(side.sum())
            own = float(weight[side & (place == step)].sum() / weight[side].sum() * size)
            shares.append((own + 0.5) / (size + 0.5 * (len(edges) + 1)))
        ratios.append(math.log(shares[0] / shares[1]))
    # A step's LLR stands at its middle; the two outer ones have their middle half a step beyond the edge, and rise on from there.
    least, most = float(scores.min()) - 1, float(scores.max()) + 1
    ends = [least, *edges.tolist(), most]
    middles = [round((low + high) / 2, 3) for low, high in itertools.pairwise(ends)]
    values = [round(least - 20, 3), *middles, round(most + 20, 3)]
    rising = _rising(values, [ratios[0], *ratios, ratios[-1]], [1, *np.bincount(place, minlength=len(ratios)).tolist(), 1])
    return tuple(values), tuple(round(LLR_BOUND * math.tanh(ratio / LLR_BOUND), 4) for ratio in rising)


def _rising(values: Sequence[float], ratios: Sequence[float], counts: Sequence[float]) -> list[float]:
    """The rising sequence nearest to `ratios` (pool adjacent violators; Ayer et al. 1955), which rises by `RISE` for each unit of `values` at least."""
    blocks: list[tuple[float, float, int]] = []
    for value, ratio, count in zip(values, ratios, counts, strict=True):
        blocks.append((ratio - RISE * value, max(count, 0.5), 1))
        while len(blocks) > 1 and blocks[-2][0] >= blocks[-1][0]:
            (a, n, i), (b, m, j) = blocks[-2], blocks[-1]
            blocks[-2:] = [((a * n + b * m) / (n + m), n + m, i + j)]
    flat = [mean for mean, _, size in blocks for _ in range(size)]
    return [ratio + RISE * value for ratio, value in zip(flat, values, strict=True)]
