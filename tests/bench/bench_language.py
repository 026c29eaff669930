"""Language: a sample of each text against the whole text, the labels, and what the scores promise.

Texts of `human_pre2022`, some of each file and language. `right` is the share whose language is the file's own; the
calibration error (ten bins) is of crops of 20 to 2,000 characters and says how far scores are from shares that are right.
"""

import random
from collections import Counter, defaultdict

import numpy as np
import pyarrow.parquet as pq

from provenance import language
from tests.bench.inputs import SHARED, Inputs
from tests.bench.measure import Row, measure

EACH, ALONE, CROPS, SEED = 60, 300, 2, 1
ENOUGH = 100
EVERYTHING = 1 << 40


def texts() -> list[tuple[str, str]]:
    """(language, text), at most `EACH` of a language in a file, `ALONE` where it has the file alone."""
    chooser = random.Random(SEED)
    chosen = []
    for path in sorted((SHARED / "human_pre2022").glob("*.parquet")):
        found = defaultdict(list)
        table = pq.read_table(path, columns=["lang", "text"])
        for code, text in zip(table["lang"].to_pylist(), table["text"].to_pylist(), strict=True):
            found[code].append(text)
        for code in sorted(found):
            some = ALONE if len(found) == 1 else EACH
            chosen += [(code, text) for text in chooser.sample(found[code], min(some, len(found[code])))]
    return chosen


def crop(text: str, chooser: random.Random) -> str:
    """A part of `text` of 20 to 2,000 characters, each order of magnitude alike."""
    length = round(20 * 100 ** chooser.random())
    start = chooser.randrange(max(1, len(text) - length))
    return text[start : start + length]


def calibration_error(scores: np.ndarray, right: np.ndarray) -> float:
    """Expected calibration error over ten bins of equal width (Naeini et al. 2015)."""
    bins = np.minimum((scores * 10).astype(int), 9)
    return sum(abs((scores - right)[bins == one].sum()) for one in range(10)) / len(scores)


def run(inputs: Inputs) -> list[Row]:
    if not inputs.is_real:
        return [Row("agreement", None, "", note="needs ../shared/data")]
    model, rows = language.load(), texts()
    language.identify("warm \u00e9", model)
    sampled, cost = measure(lambda: [language.identify(text, model)[0] for _, text in rows])
    whole, whole_cost = measure(lambda: [language.identify(text, model, EVERYTHING)[0] for _, text in rows])
    agree = sum(one == other for one, other in zip(sampled, whole, strict=True)) / len(rows)
    counts = Counter(code for code, _ in rows)
    same = Counter(code for (code, _), one, other in zip(rows, sampled, whole, strict=True) if one == other)
    least = min((same[code] / count, code) for code, count in counts.items() if count >= ENOUGH)
    right = sum(code == named for (code, _), named in zip(rows, sampled, strict=True)) / len(rows)
    chooser = random.Random(SEED)
    crops = [(code, language.identify(crop(text, chooser), model)) for code, text in rows for _ in range(CROPS)]
    scored = [(score, code == named) for code, (named, score) in crops if score is not None]
    error = calibration_error(np.array([score for score, _ in scored]), np.array([hit for _, hit in scored], dtype=float))
    return [
        Row("agreement with the whole text", agree, "", ratio=agree, goal=0.99, note=f"{len(rows)} texts, {len(counts)} languages"),
        Row("the least of a language", least[0], "", ratio=least[0], goal=0.98, note=f"{least[1]}; {ENOUGH} texts and more"),
        Row("right", right, "", note="by the labels"),
        Row("right, crops", sum(hit for _, hit in scored) / len(scored), "", note=f"{len(scored)} crops"),
        Row("calibration error, crops", error, ""),
        Row("speed", len(rows) / cost.cpu, "texts/CPU-s", ratio=whole_cost.cpu / cost.cpu, goal=4, note="times the whole text"),
        Row("cost", cost.cpu / len(rows) * 1e6, "CPU-us/text"),
    ]
