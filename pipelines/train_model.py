"""Training of the origin model, its calibration and its card: `make model`, in the training environment.

    python -m pipelines.train_model --train FILE... [--human FILE...] [--held-out FILE...] [--into provenance]

A table is Parquet with `text`, `label` (human or anything else, which is machine), and, where it has them, `lang`, `source`,
`group`, `licence`. Of the training tables one group in ten is held back; with the held-out tables it is what
calibration and card measure. Human-only tables (no `label`) are calibration too, but for the sources that training knows.
The result is the same for the same tables: one thread, one seed, rows ordered by digest.
"""

import argparse
import hashlib
import json
import math
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from provenance.evidence import LLR_BOUND, Calibration, Table, Weight, read_calibration
from provenance.signals import origin_model as signal

SETTINGS: dict[str, Any] = {
    "lr": 0.2,
    "dim": 8,
    "epoch": 15,
    "minn": 3,
    "maxn": 4,
    "wordNgrams": 3,
    "bucket": 1_000_000,
    "minCount": 1,
}
QUANTIZE: dict[str, Any] = {"cutoff": 60_000, "retrain": True, "epoch": 5, "dsub": 2, "qnorm": True}
PER_SOURCE = 400
"""Rows of one human-only source and language that are scored at most."""
FALSE_POSITIVES, OF_ONE_SOURCE = 0.01, 0.02
"""Share of human rows that may reach the threshold: of all together, and of any single source."""
SMALLEST = 100
"""Rows below which a source has no say of its own."""
FEWEST = {"human": 200, "machine": 40}
"""Rows of each class below which a language has no table: its readings weigh nothing."""

_WORDS = signal._TOKENS


class Row(NamedTuple):
    """One labelled text, as the model reads it."""

    order: str
    machine: bool
    language: str
    source: str
    licence: str
    line: str
    words: float


def rows(path: Path, label: str | None = None) -> Iterator[tuple[str, Row]]:
    """(group, row) of a table; `label` for tables without that column."""
    import pyarrow.parquet as pq

    for batch in pq.ParquetFile(path).iter_batches(batch_size=1000):
        for row in batch.to_pylist():
            name = row.get("label") or label
            if name is None:
                raise ValueError(
                    f"{path} has a row without a label; nothing could be learnt from it. Name it after --human, or label it."
                )
            order = hashlib.sha256(row["text"].encode()).hexdigest()
            line = signal.tokens(row["text"])
            pieces = [token for token in _WORDS.findall(row["text"]) if token.isalnum()]
            words = sum(0.25 if len(p) == 1 and ord(p) > 0x0E00 else 1.0 for p in pieces)
            language = (row.get("lang") or "").split("-")[0]
            source = str(row.get("source") or path.stem).split(" (")[0]
            yield (
                str(row.get("group") or order),
                Row(order, name != "human", language, source, str(row.get("licence") or "none stated"), line, words),
            )


def split(tables: Iterable[Path]) -> tuple[list[Row], list[Row]]:
    """(training, held back) rows: one group in ten is held back, so that rows of one prompt stay on one side."""
    kept: list[Row] = []
    held: list[Row] = []
    for path in tables:
        for group, row in rows(path):
            side = held if hashlib.sha256(f"held back {group}".encode()).digest()[0] < 26 else kept
            side.append(row)
    return sorted(kept), sorted(held)


def sample(tables: Iterable[Path], known: set[str]) -> list[Row]:
    """Human rows of sources that training does not know, at most `PER_SOURCE` a source and language, by digest."""
    found: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for path in tables:
        for _, row in rows(path, "human"):
            if row.source not in known:
                found[row.source, row.language].append(row)
    return [row for key in sorted(found) for row in sorted(found[key])[:PER_SOURCE]]


def train(kept: list[Row], into: Path) -> Any:
    """The quantised model, also written to `into`."""
    import fasttext

    with tempfile.TemporaryDirectory() as folder:
        lines = Path(folder) / "lines.txt"
        lines.write_text(
            "".join(f"__label__{'machine' if row.machine else 'human'} {row.line}\n" for row in kept), encoding="utf-8"
        )
        model = fasttext.train_supervised(str(lines), thread=1, seed=1, verbose=0, **SETTINGS)
        model.quantize(str(lines), thread=1, verbose=0, **QUANTIZE)
    model.save_model(str(into))
    return model


def scores(model: Any, found: list[Row]) -> np.ndarray:
    """Log-odds of machine of each row: float64[n]."""
    return signal.log_odds(model, [row.line for row in found])


def wilson(hits: int, count: int, z: float) -> float:
    """Bound of Wilson's score interval for a share: upper for z > 0, lower for z < 0."""
    share, spread = hits / count, z * z / count
    return (share + spread / 2 + z * math.sqrt(share * (1 - share) / count + spread / (4 * count))) / (1 + spread)


def threshold(human: np.ndarray, sources: np.ndarray) -> float:
    """The score that at most 1 % of the human rows reach, and at most 2 % of each source of `SMALLEST` rows and more: the
    highest of these conformal order statistics, ceil((n + 1) (1 - rate))."""
    bars = [_order_statistic(human, FALSE_POSITIVES)]
    for name in sorted(set(sources)):
        own = human[sources == name]
        if len(own) >= SMALLEST:
            bars.append(_order_statistic(own, OF_ONE_SOURCE))
    return float(np.nextafter(max(bars), np.inf))


def _order_statistic(human: np.ndarray, rate: float) -> float:
    return float(np.sort(human)[min(len(human), math.ceil((len(human) + 1) * (1 - rate))) - 1])


def table(language: str, human: np.ndarray, machine: np.ndarray, top: float) -> Table:
    """LLR steps of a language: the ratio of the shares in each step, each share moved to the bound that weakens it
    (Wilson, z = 1.28), then made monotone. Only the step above the threshold may reach the bound of the file."""
    edges = sorted(
        {-signal._BOUND, *(float(round(e, 3)) for e in np.quantile(human, [0.3, 0.6, 0.8, 0.9, 0.95])), round(top + 0.0005, 3)}
    )
    edges = [e for e in edges if e <= round(top + 0.0005, 3)]
    ratios = []
    for low, high in zip(edges, [*edges[1:], math.inf], strict=True):
        h, m = int(((human >= low) & (human < high)).sum()), int(((machine >= low) & (machine < high)).sum())
        ratio = math.log(max(m, 0.5) / len(machine)) - math.log(max(h, 0.5) / len(human))
        z = -1.28 if ratio > 0 else 1.28
        weak = math.log(max(wilson(m, len(machine), z), 1e-9)) - math.log(max(wilson(h, len(human), -z), 1e-9))
        ratios.append(min(weak, 0.0) if ratio <= 0 else max(weak, 0.0))
    limits = [LLR_BOUND - 0.5] * (len(ratios) - 1) + [LLR_BOUND]
    rising = np.maximum.accumulate(ratios)
    return Table(
        group=language,
        values=tuple(edges),
        log_likelihood_ratios=tuple(round(max(-2.0, min(float(r), limit)), 3) for r, limit in zip(rising, limits, strict=True)),
    )


def calibrate(found: list[Row], values: np.ndarray) -> tuple[Weight, list[dict[str, Any]]]:
    """The weights of the model, and what was measured for each language."""
    long = np.array([row.words >= signal.MIN_WORDS for row in found])
    machine = np.array([row.machine for row in found])
    language, source = np.array([row.language for row in found]), np.array([row.source for row in found])
    tables, measured = [], []
    for name in signal.LANGUAGES:
        own = long & (language == name)
        h, m = values[own & ~machine], values[own & machine]
        told = {"language": name, "human": len(h), "machine": len(m)}
        if len(h) >= FEWEST["human"] and len(m) >= FEWEST["machine"]:
            top = threshold(h, source[own & ~machine])
            tables.append(table(name, h, m, top))
            told |= {
                "threshold": top,
                "fpr": float((h >= top).mean()),
                "tpr": float((m >= top).mean()),
                "llr": tables[-1].log_likelihood_ratios[-1],
            }
        measured.append(told)
    words = (
        "measured on rows that training did not see, per language, on texts of 50 words and more; see provenance/models/origin.md"
    )
    return Weight(source=words, speaks_for="machine_generated", tables=tuple(tables)), measured


def auroc(machine: np.ndarray, human: np.ndarray) -> float:
    """Area under the ROC curve, ties counted half; NaN where a class is missing."""
    if not len(machine) or not len(human):
        return math.nan
    order = np.sort(human)
    below = np.searchsorted(order, machine, "left") + np.searchsorted(order, machine, "right")
    return float(below.mean() / (2 * len(human)))


def main(arguments: list[str] | None = None) -> int:
    """Train, calibrate, write model, calibration file and card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", nargs="+", type=Path, required=True, metavar="FILE", help="labelled tables to learn from")
    parser.add_argument("--held-out", nargs="*", type=Path, default=[], metavar="FILE", help="labelled tables to calibrate on")
    parser.add_argument("--human", nargs="*", type=Path, default=[], metavar="FILE", help="tables of human text to calibrate on")
    parser.add_argument(
        "--into", type=Path, default=Path("provenance"), metavar="FOLDER", help="folder of calibration.json and models/"
    )
    options = parser.parse_args(arguments)
    from pipelines.model_card import card

    try:
        calibration = read_calibration((options.into / "calibration.json").read_bytes())
        kept, held = split(options.train)
        outside = sample(options.human, {row.source for row in kept})
        held += sorted(
            row for path in options.held_out for _, row in rows(path) if not (row.machine and row.source.startswith("WMT"))
        )
    except (OSError, ValueError, KeyError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(f"training on {len(kept):,} rows; calibrating on {len(held):,} held out and {len(outside):,} human", file=sys.stderr)
    model = train(kept, options.into / "models" / "origin.ftz")
    found = held + outside
    values = scores(model, found)
    weight, measured = calibrate(found, values)
    entries = {name: entry for name, entry in calibration.signals.items() if not name.startswith(f"{signal.NAME}@")}
    write_calibration(options.into / "calibration.json", calibration, entries | {f"{signal.NAME}@{signal.VERSION}": weight})
    size = (options.into / "models" / "origin.ftz").stat().st_size
    (options.into / "models" / "origin.md").write_text(card(kept, found, values, weight, measured, size), encoding="utf-8")
    return 0


def write_calibration(path: Path, calibration: Calibration, entries: dict[str, Weight]) -> None:
    """The calibration file with `entries` in place of its signals; fields that hold their default are left out."""
    import msgspec

    def plain(value: Any) -> Any:
        return {k: v for k, v in msgspec.to_builtins(value).items() if v is not None}

    body = plain(calibration) | {"signals": {name: plain(entries[name]) for name in sorted(entries)}}
    data = json.dumps(body, indent=1, ensure_ascii=False).encode() + b"\n"
    read_calibration(data)
    path.write_bytes(data)


if __name__ == "__main__":
    sys.exit(main())
