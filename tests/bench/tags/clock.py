"""The placebo of the clock: human text of 2015 and before against human text of 2020 and later, within one source.

The machine rows of the training table are of 2023 and 2024 and its human rows older: a detector that has learnt the calendar would
rank later human text above earlier. The scores are those of models that did not see the source; pieces of one document
are averaged, since they are not independent.
"""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from tests.bench.tags import metrics
from tests.bench.tags.sheets import Goal, Sheet, bounds, number
from tests.bench.tags.texts import Text

BEFORE, AFTER = 2015, 2020
"""Last year of the earlier texts, or a source's first year where that is later, and first year of the later texts."""
FEWEST = 15
"""Documents of each side below which a source is no placebo."""
NEAR = 0.10
"""How far from .5 the AUROC of all sources together may lie; chance alone stays within."""


def documents(texts: Sequence[Text], scores: np.ndarray) -> dict[tuple[str, str], list[tuple[int, float]]]:
    """(year, mean score) of each document by source and language; pieces without a score do not count."""
    pieces: dict[tuple[str, str, str, int], list[float]] = defaultdict(list)
    for text, score in zip(texts, scores, strict=True):
        year = text.says["written_at"][:4]
        if year.isdigit() and np.isfinite(score) and not text.machine:
            pieces[text.source, text.language, text.says["url"] or text.key, int(year)].append(float(score))
    found: dict[tuple[str, str], list[tuple[int, float]]] = defaultdict(list)
    for (source, language, _, year), values in sorted(pieces.items()):
        found[source, language].append((year, float(np.mean(values))))
    return found


def rank_correlation(years: np.ndarray, scores: np.ndarray) -> tuple[float, float]:
    """Spearman's rank correlation and its standard error 1 / sqrt(n - 1) where there is none."""
    from scipy.stats import spearmanr

    if len(years) < 3 or len(set(years.tolist())) < 2:
        return float("nan"), float("nan")
    return float(spearmanr(years, scores).statistic), 1 / float(np.sqrt(len(years) - 1))


def placebo(texts: Sequence[Text], ours: np.ndarray, theirs: np.ndarray) -> Sheet:
    """AUROC of later against earlier text by source, ours and the baseline's, and the correlation of score and year."""
    heads = ["source, language", "years", "earlier/later", "AUROC", "95 %", "base", "score with year", "+-"]
    sheet = Sheet(
        "Clock placebo: human text of 2020 and later against human text of 2015 and before, out of source, by document", heads
    )
    sides: list[tuple[float, int, int]] = []
    base = documents(texts, theirs)
    for place, own in sorted(documents(texts, ours).items()):
        years, scores = (np.array(column) for column in zip(*own, strict=True))
        until = max(BEFORE, int(years.min()))
        late, early = scores[years >= AFTER], scores[(years <= until) & (years < AFTER)]
        value, error = rank_correlation(years, scores)
        row = [f"{place[0]}, {place[1]}", f"{years.min()}-{years.max()}", f"{len(early)}/{len(late)}"]
        if min(len(late), len(early)) >= FEWEST:
            found = metrics.auroc(late, early)
            spread = metrics.Z95 * metrics.auroc_error(found, len(late), len(early))
            other = np.array(base.get(place, []), float).reshape(-1, 2)
            their = metrics.auroc(other[other[:, 0] >= AFTER, 1], other[other[:, 0] <= until, 1])
            row += [number(found), bounds((found - spread, found + spread)), number(their)]
            sides.append((found, len(late), len(early)))
        elif years.max() - years.min() >= 10 and len(years) >= 2 * FEWEST:
            row += ["", "", ""]
        else:
            continue
        sheet.rows.append([*row, number(value, 2), number(2 * error, 2)])
    weights = np.array([late * early / (late + early) for _, late, early in sides])
    if len(weights):
        mean = float(np.average([found for found, _, _ in sides], weights=weights))
        sheet.goals.append(
            Goal(f"AUROC within {NEAR} of .5 over the sources, weighed by their documents", abs(mean - 0.5) <= NEAR, f"{mean:.3f}")
        )
    sheet.note = "95 % by Hanley & McNeil; +- is two standard errors of a rank correlation of 0."
    return sheet
