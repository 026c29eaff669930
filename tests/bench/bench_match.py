"""Quality of the match: planted near copies found and other texts taken, by language, kind of edit and true similarity.

Every other text of each language is frozen, the rest curated with near copies of all; truth is brute force over sets of shingles
(`tests.match.oracle`). `dropped` is the share of near copies that are removed, `proposed` the share of which the pair with their source was
looked at, `texts` the share of those that was measured from the texts, where the signatures left doubt.
"""

from collections.abc import Sequence
from pathlib import Path

from tests.bench.inputs import Inputs
from tests.bench.measure import Row
from tests.match import planted, real
from tests.match.quality import BANDS, Judged, Quality, between, plant_and_curate, share

TEXTS, EACH = 100, 6
GOALS = ((0.85, 0.99), (0.8, 0.95))
BELOW = 0.7


def goal(low: float) -> float | None:
    """Least recall from a similarity on."""
    return next((recall for least, recall in GOALS if low >= least), None)


def line(what: str, judged: Sequence[Judged], low: float) -> Row:
    proposed = [one for one in judged if one.proposed]
    note = f"proposed {share(one.proposed for one in judged):.3f}, texts {share(bool(one.exact) for one in proposed):.2f} of {len(judged)}"
    found = share(one.dropped for one in judged)
    return Row(what, found, "dropped", ratio=found if goal(low) else None, goal=goal(low), note=note)


def lines(found: Quality) -> list[Row]:
    """Recall by language and by kind of edit, each by band; then what was taken wrongly, and how pairs were decided."""
    rows = []
    for name in ("language", "kind"):
        for value in dict.fromkeys(getattr(one, name) for one in found.judged):
            ours = [one for one in found.judged if getattr(one, name) == value]
            for low, high in BANDS:
                if some := between(ours, low, high):
                    rows.append(line(f"{value}, J {low:.2f}-{min(high, 1):.2f}", some, low))
            inside = [one for one in ours if one.frozen and one.truth.containment >= 0.85 and one.truth.similarity < 0.75]
            if inside:
                rows.append(line(f"{value}, J < .75, inside a reference", inside, 0.8))
    return rows + summary(found)


def summary(found: Quality) -> list[Row]:
    below = [truth for _, truth in found.wrong if truth.similarity < BELOW]
    far = [one for one in between(found.judged, 0, BELOW) if not one.truth.duplicate]
    counts, told = found.counts, [row for row in found.run.matches if not row["identical"]]
    exact, pairs = sum(row["exact"] for row in told), counts["candidates"]
    return [
        Row(
            "removed, true J below .70 and not contained",
            len(below),
            "documents",
            1 - len(below) / max(found.removed, 1),
            1.0,
            f"of {found.removed:,} removed; {len(far):,} near copies lie there",
        ),
        Row(
            "removed and by brute force no duplicate",
            len(found.wrong),
            "documents",
            1 - len(found.wrong) / max(found.removed, 1),
            1.0,
        ),
        Row("candidates", pairs, "pairs", note=f"{pairs / max(counts['documents'], 1):.1f} a document"),
        Row("decided by their signatures", counts["pairs_estimated"], "pairs", counts["pairs_estimated"] / max(pairs, 1)),
        Row("measured from their texts", counts["pairs_measured"], "pairs", counts["pairs_measured"] / max(pairs, 1)),
        Row("rows of matches", len(told), "pairs", note=f"{exact:,} exact"),
    ]


def run(inputs: Inputs) -> list[Row]:
    if inputs.is_real:
        texts = {language: real.texts(language, TEXTS) for language in real.SOURCES}
    else:
        texts = {script: [planted.prose(script, ("bench", n), 150) for n in range(TEXTS)] for script in planted.SCRIPTS}
    folder = Path(inputs.folder) / "match"
    folder.mkdir()
    return lines(plant_and_curate(texts, EACH, folder))
