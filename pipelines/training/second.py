"""Calibrates a language model for the documents that the cheap signals leave open: `make model-lm`.

    python -m pipelines.training.second --scores FILE --model FOLDER [--gguf-file FILE] [--cache FOLDER] [--calibration FILE]

The table of scores is what `make model` keeps with `--keep FILE`: for each text its cell's score by models that did not see
its source. Of each cell that has enough of them, texts between `open_from` and the thresholds are read, and a weight for the
reading and thresholds for the sum are written into the calibration file as `second` of that model; nothing else in it changes but
`open_from`.

The thresholds of the sum follow the rule of the score's own: a text that the score flags counts as infinitely
high, one that it does not leave open as infinitely low, and first or second together keep the stated rate over the average of the
human sources and the same multiple of it in each. A source that spends the rate on its scores alone
thus leaves the reading nothing to flag below its own most suspicious text.
"""

import argparse
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import numpy as np

from pipelines.training import calibrate
from pipelines.training.keeping import write_calibration
from provenance import likelihood
from provenance.calibration import Calibration, Cell, Second
from provenance.calibration_file import read_calibration
from provenance.identity import sha256_hex
from provenance.likelihood import LanguageModel, Statistics
from provenance.signals import language_model as signal

COLUMNS = ("digest", "text", "language", "words", "label", "source", "score")
"""Columns of the table of scores: by what the row is ordered, text as extracted, two letters, count, human or machine, name, score."""
ROWS = 300
"""Human texts of one source that are considered at most, the least by digest; of machine texts, which set no threshold, a third."""
SHARE = 0.1
"""Share of human texts, its sources weighing the same, that `open_from` leaves open or flags."""
FEWEST = {"human": 60, "machine": 60}
"""Open texts of a class with a reading, below which a cell gets no `second`."""
STEPS = 6
"""Steps of the LLR of the sum, with as many texts each."""
RIDGE = np.full(3, 1e-3)
"""Penalty of the regression of the class on constant, score and reading, whose weights sum to 1: enough for it to have an end."""
TOGETHER = "small sources"


class Scored(NamedTuple):
    """Texts of one cell, one entry each: whether machine, source, score by models that did not see it, and what the language model
    reads of it (NaN where it was not asked or has nothing to say)."""

    machine: np.ndarray
    source: np.ndarray
    score: np.ndarray
    reading: np.ndarray


def strength(of: Scored, cell: Cell, weight: float, rate: str) -> np.ndarray:
    """What decides about each text at a rate: infinity where its score is flagged, score + weight x reading where it is open, else
    minus infinity."""
    low = math.inf if cell.open_from is None else cell.open_from
    left = (of.score >= low) & np.isfinite(of.reading)
    summed = np.where(left, of.score + weight * np.where(left, of.reading, 0.0), -math.inf)
    return np.where(of.score >= cell.thresholds[rate], math.inf, summed)


def threshold(strengths: np.ndarray, sources: np.ndarray, rate: str, group: str = "en") -> float:
    """Lowest sum to flag by the rule of the cell's own threshold (`calibrate.threshold`), and not below the least sum that is open.

    Infinite where the scores that are flagged spend the whole rate.
    """
    summed = strengths[np.isfinite(strengths)]
    least = float(summed.min()) if len(summed) else math.inf
    return max(least, calibrate.threshold(strengths, sources, rate, calibrate.kind_of(group).worst))


def by_source(sources: np.ndarray) -> dict[str, np.ndarray]:
    """Rows of each source; together, as for the thresholds, those of all that are small."""
    names, counts = np.unique(sources, return_counts=True)
    large = names[counts >= calibrate.SMALLEST]
    found = {str(name): np.flatnonzero(sources == name) for name in large}
    small = np.flatnonzero(~np.isin(sources, list(found)))
    return found | ({TOGETHER: small} if len(small) >= calibrate.SMALLEST else {})


def balanced(of: Scored) -> np.ndarray:
    """A weight for each text such that the classes weigh the same, and so do the sources of a class."""
    weights = np.zeros(len(of.score))
    for machine in (False, True):
        sources = np.unique(of.source[of.machine == machine])
        for source in sources:
            rows = (of.machine == machine) & (of.source == source)
            weights[rows] = 0.5 / (len(sources) * rows.sum())
    return weights


def weight_of(of: Scored) -> float | None:
    """How many units of score a unit of the reading is worth: the ratio of the coefficients of a logistic regression of the class on
    both, over open texts; None where the reading does not speak for machine text.

    At least a tenth of the score's deviation counts as its own coefficient, so that the sum stays a matter of both.
    """
    scale = np.array([of.score.std(), of.reading.std()])
    if not (scale > 0).all():
        return None
    design = np.stack([np.ones(len(of.score)), of.score / scale[0], of.reading / scale[1]], axis=1)
    design[:, 1:] -= np.average(design[:, 1:], axis=0)
    fitted = calibrate.newton(design, of.machine, balanced(of), RIDGE)
    if fitted[2] <= 0:
        return None
    return float((fitted[2] / scale[1]) / (max(fitted[1], 0.1 * fitted[2]) / scale[0]))


def open_from(of: Scored, share: float = SHARE) -> float:
    """Score that `share` of the human texts reach, every source weighing the same."""
    human = Scored(*(column[~of.machine] for column in of))
    weights = balanced(human)
    order = np.argsort(-human.score, kind="stable")
    reached = np.cumsum(weights[order]) / weights.sum()
    return round(float(human.score[order][np.searchsorted(reached, share)]), 4)


def second(of: Scored, cell: Cell, identity: str) -> Second | None:
    """What the model's reading adds in a cell with `open_from`; None where too few texts are open or the reading says nothing."""
    rate = min(cell.thresholds, key=float)
    low = math.inf if cell.open_from is None else cell.open_from
    rows = np.isfinite(of.reading) & (of.score >= low) & (of.score < cell.thresholds[rate])
    left = Scored(*(column[rows] for column in of))
    if min(left.machine.sum() / FEWEST["machine"], (~left.machine).sum() / FEWEST["human"]) < 1:
        return None
    weight = weight_of(left)
    if weight is None:
        return None
    weight = round(weight, 4)
    human = ~of.machine
    bars: dict[str, float] = {}
    beyond = float((left.score + weight * left.reading).max()) + 1.0
    for name in sorted(cell.thresholds, key=float, reverse=True):
        found = threshold(strength(of, cell, weight, name)[human], of.source[human], name, cell.group)
        # Rounded upwards, and never below that of a greater rate.
        found = math.ceil(min(found, beyond) * 1e4) / 1e4
        bars[name] = max([found, *bars.values()])
    sums = left.score + weight * left.reading
    values, ratios = calibrate.knots(sums, np.full(len(sums), math.nan), left.machine, balanced(left), STEPS)
    return Second(
        model=identity,
        weight=weight,
        thresholds={name: bars[name] for name in cell.thresholds},
        values=values,
        log_likelihood_ratios=ratios,
    )


def report(of: Scored, cell: Cell, made: Second) -> str:
    """Lines on what a second adds: flagged by the score alone, and with the reading, by class and source; and the greatest share of
    human text flagged where the thresholds of the sum come from the other sources."""
    lines = [f"{cell.name}: open from {cell.open_from:g}, weight {made.weight:g}, {int(np.isfinite(of.reading).sum())} read"]
    human = ~of.machine
    for rate in cell.thresholds:
        strengths = strength(of, cell, made.weight, rate)
        first, both = np.isposinf(strengths), strengths >= made.thresholds[rate]
        shares = [
            f"{name} {_mean(first, of, machine):.3f} -> {_mean(both, of, machine):.3f}"
            for name, machine in (("machine", True), ("human", False))
        ]
        worst = []
        for source in by_source(of.source[human]):
            own = human & (of.source == source)
            if own.any() and (human & ~own).any():
                bar = threshold(strengths[human & ~own], of.source[human & ~own], rate, cell.group)
                worst.append(((strengths[own] >= bar).mean(), source))
        held = f"; a left-out human source at most {max(worst)[0]:.3f} ({max(worst)[1]})" if worst else ""
        lines.append(f"  at {rate}: {', '.join(shares)}{held}")
    return "\n".join(lines)


def _mean(flagged: np.ndarray, of: Scored, machine: bool) -> float:
    """Mean over sources of the share flagged of one class."""
    sources = np.unique(of.source[of.machine == machine])
    return (
        float(np.mean([flagged[(of.machine == machine) & (of.source == source)].mean() for source in sources]))
        if len(sources)
        else 0.0
    )


class Cache:
    """Statistics of texts by one model, in a file of JSON lines that outlives a run; in memory where no folder is given."""

    def __init__(self, folder: Path | None, identity: str):
        self._path = folder / f"{identity}.jsonl" if folder else None
        self._known: dict[str, Statistics | None] = {}
        if self._path and self._path.exists():
            for line in self._path.read_bytes().splitlines():
                name, found = msgspec.json.decode(line, type=tuple[str, Statistics | None])
                self._known[name] = found

    def __len__(self) -> int:
        return len(self._known)

    @staticmethod
    def name(text: str) -> str:
        """Digest of the text as a model reads it."""
        return sha256_hex(likelihood.form(text).encode("utf-8", "replace"))

    def statistics(self, texts: Sequence[str], model: Any, every: int = 64) -> list[Statistics | None]:
        """Statistics of each text; what is not known is asked of the model, `every` texts at a time, and kept."""
        missing = {self.name(text): text for text in texts if self.name(text) not in self._known}
        names = list(missing)
        for start in range(0, len(names), every):
            chosen = names[start : start + every]
            found = dict(zip(chosen, model.statistics([missing[name] for name in chosen]), strict=True))
            self._known |= found
            if self._path:
                self._path.parent.mkdir(parents=True, exist_ok=True)
                with self._path.open("ab") as file:
                    file.writelines(msgspec.json.encode(entry) + b"\n" for entry in found.items())
            print(f"read {min(start + every, len(names)):,} of {len(names):,} texts", file=sys.stderr)
        return [self._known[self.name(text)] for text in texts]


def texts_of(cell: Cell, table: Mapping[str, Sequence[Any]], rows: int) -> list[int]:
    """Rows of a table of scores that belong to a cell, at most `rows` human ones of each source and a third as many machine ones, by
    digest."""
    columns = zip(table["language"], table["words"], strict=True)
    inside = [i for i, (language, words) in enumerate(columns) if cell.covers(language, words)]
    inside = [i for i in inside if math.isfinite(table["score"][i])]
    named = sorted((table["digest"][i], i) for i in inside)
    taken: dict[tuple[str, str], int] = {}
    chosen = []
    for _, i in named:
        place = table["source"][i], table["label"][i]
        taken[place] = taken.get(place, 0) + 1
        if taken[place] <= (rows if table["label"][i] == "human" else rows // 3):
            chosen.append(i)
    return chosen


def calibrated(
    calibration: Calibration, table: Mapping[str, Sequence[Any]], model: Any, cache: Cache, rows: int = ROWS, share: float = SHARE
) -> tuple[Calibration, list[str]]:
    """The calibration with what `model` adds in the cells that it could be calibrated in, and the report's lines."""
    if calibration.combiner is None:
        raise ValueError("the calibration file has no combiner; there is no score to add a reading to. Run `make model` first.")
    cells, lines = [], []
    for cell in calibration.combiner.cells:
        kept = tuple(one for one in cell.second if one.model != model.identity)
        made, said = _cell(msgspec.structs.replace(cell, second=kept), table, model, cache, rows, share)
        cells.append(made)
        lines.append(said)
    combined = msgspec.structs.replace(calibration.combiner, cells=tuple(cells))
    return msgspec.structs.replace(calibration, combiner=combined), lines


def _cell(cell: Cell, table: Mapping[str, Sequence[Any]], model: Any, cache: Cache, rows: int, share: float) -> tuple[Cell, str]:
    """One cell with what the model adds, or as it was, and what is to be said of it."""
    if cell.words_below is not None and cell.words_below <= signal.MIN_TOKENS:
        return cell, f"{cell.name}: too short for a language model"
    chosen = texts_of(cell, table, rows)
    label, score = (np.array([table[name][i] for i in chosen]) for name in ("label", "score"))
    source = np.array([calibrate.named(table["source"][i], table["language"][i], cell.languages) for i in chosen], str)
    of = Scored(label == "machine", source, score.astype(np.float64), np.full(len(chosen), math.nan))
    if min((of.machine).sum() / FEWEST["machine"], (~of.machine).sum() / FEWEST["human"]) < 1:
        return cell, f"{cell.name}: {len(chosen)} texts, too few to calibrate on"
    opened = msgspec.structs.replace(cell, open_from=open_from(of, share))
    left = np.flatnonzero((of.score >= (opened.open_from or 0.0)) & (of.score < max(cell.thresholds.values())))
    found = cache.statistics([table["text"][chosen[i]] for i in left], model)
    of.reading[left] = [signal.value(one) if one is not None and one.tokens >= signal.MIN_TOKENS else math.nan for one in found]
    made = second(of, opened, model.identity)
    if made is None:
        return cell, f"{cell.name}: {len(left)} texts open, and the reading adds nothing or too few are of one class"
    return msgspec.structs.replace(opened, second=(*cell.second, made)), report(of, opened, made)


def arguments(argv: Iterable[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m pipelines.training.second", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--scores", required=True, metavar="FILE", help=f"Parquet with {', '.join(COLUMNS)}")
    parser.add_argument("--model", required=True, metavar="FOLDER", help="as lm.model")
    parser.add_argument("--gguf-file", metavar="FILE", help="as lm.gguf_file")
    parser.add_argument("--observer", metavar="FOLDER", help="as lm.observer")
    parser.add_argument("--tokens", type=int, default=LanguageModel().tokens, help="as lm.tokens")
    parser.add_argument("--calibration", type=Path, default=Path("provenance/calibration.json"), metavar="FILE", help="rewritten")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keeps what was read, for the next time")
    parser.add_argument("--languages", nargs="+", metavar="LANGUAGE", help="that the model knows (default all of the table)")
    parser.add_argument("--rows", type=int, default=ROWS, help="human texts of one source at most")
    parser.add_argument("--share", type=float, default=SHARE, help="share of human texts that is left open or flagged")
    return parser.parse_args(list(argv))


def main(argv: Sequence[str]) -> int:
    import pyarrow.parquet as pq

    from pipelines import language_models

    given = arguments(argv)
    options = LanguageModel(model=given.model, gguf_file=given.gguf_file, observer=given.observer, tokens=given.tokens)
    located = language_models.locate(options)
    table = pq.read_table(given.scores, columns=list(COLUMNS)).to_pydict()
    calibration = read_calibration(given.calibration.read_bytes())
    model = language_models.Lazy(options, located)
    if given.languages:
        kept = [i for i, language in enumerate(table["language"]) if language in given.languages]
        table = {name: [column[i] for i in kept] for name, column in table.items()}
    made, lines = calibrated(calibration, table, model, Cache(given.cache, located.identity), given.rows, given.share)
    write_calibration(given.calibration, made)
    print("\n".join([f"language model {located.identity}", *lines]))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
