"""Training of the detectors of machine text, their calibration and their card: `make model`.

    python -m pipelines.training --train FILE... [--human FILE...] [--held-out FILE...] [--trainer PYTHON] [--into provenance]

A table is Parquet as `pipelines.training.rows` says. Of the human tables at most 400 rows of a source and language are taken. What the
held-out tables hold is only measured, and rows of the same text or group are taken out of training. The same tables give the same bytes.
"""

import argparse
import sys
from pathlib import Path

import msgspec

from pipelines.training import card, fit, folds, rows
from pipelines.training.calibrate import combiner
from pipelines.training.keeping import keep, write_calibration
from provenance.calibration_file import read_calibration
from provenance.signals._text import LANGUAGES


def main(arguments: list[str] | None = None) -> int:
    """Train, calibrate, write models, calibration file and card; exit status 2 for tables that cannot be used."""
    options = _options().parse_args(arguments)
    try:
        calibration = read_calibration((options.into / "calibration.json").read_bytes())
        learn, lost = learning(options.train, options.human, options.held_out, options.per_source)
        held = rows.rows(one for path in options.held_out for one in rows.given(path)).rows
        _say(f"{len(learn):,} rows to learn from; left out: {lost or 'none'}")
        cut = rows.crops(human_only(learn))
        prepared = fit.prepare([*learn, *cut, *held])
        scored, fitted = folds.fitted(prepared, len(learn), len(cut), options.trainer, options.workers)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    found = combiner(
        scored, "scores of texts whose source, or of machine text whose prompt, the models did not see; provenance/models/origin.md"
    )
    if not found.cells:
        _say("no cell has rows enough for a threshold: the readings will weigh nothing")
    for name, data in fitted.files.items():
        (options.into / "models" / name).write_bytes(data)
    write_calibration(
        options.into / "calibration.json", msgspec.structs.replace(calibration, combiner=found if found.cells else None)
    )
    held_values = fit.inputs(fitted, prepared, range(len(prepared.rows) - len(held), len(prepared.rows)))
    text = card.card(learn, lost, scored, found, held, held_values, fitted.files)
    (options.into / "models" / "origin.md").write_text(text, encoding="utf-8")
    if options.keep:
        keep(options.keep, scored, found)
    return 0


def human_only(learn: list[rows.Row]) -> list[rows.Row]:
    """The rows of the sources without machine text."""
    labelled = {row.source for row in learn if row.machine}
    return [row for row in learn if row.source not in labelled]


def learning(train: list[Path], human: list[Path], held_out: list[Path], per_source: int) -> tuple[list[rows.Row], dict[str, int]]:
    """(rows to learn from, what was lost): without texts and groups of the held-out tables, in the languages that are read."""
    given = [one for path in train for one in rows.given(path)]
    given += rows.sampled((one for path in human for one in rows.given(path)), per_source)
    outside = {name for path in held_out for one in rows.given(path) for name in (one.digest, one.group)}
    inside = [one for one in given if one.language in (*LANGUAGES, "") and not {one.digest, one.group} & outside]
    read = rows.rows(inside)
    found = [row for row in read.rows if row.language in LANGUAGES]
    lost = read.lost | {"other languages": len(given) - len(inside) + len(read.rows) - len(found)}
    return found, {reason: count for reason, count in lost.items() if count}


def _options() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--train", nargs="+", type=Path, required=True, metavar="FILE", help="labelled tables to learn from")
    parser.add_argument("--human", nargs="*", type=Path, default=[], metavar="FILE", help="tables of human text to learn from")
    parser.add_argument("--held-out", nargs="*", type=Path, default=[], metavar="FILE", help="labelled tables to measure on")
    parser.add_argument(
        "--trainer",
        type=Path,
        default=Path(".venv-train/bin/python"),
        metavar="PYTHON",
        help="the Python that has fastText's trainer",
    )
    parser.add_argument(
        "--into", type=Path, default=Path("provenance"), metavar="FOLDER", help="folder of calibration.json and models/"
    )
    parser.add_argument(
        "--per-source", type=int, default=rows.PER_SOURCE, metavar="N", help="rows of a human source and language at most"
    )
    parser.add_argument(
        "--workers", type=int, default=1, metavar="N", help="folds that are fitted at a time; the result is the same"
    )
    parser.add_argument(
        "--keep", type=Path, metavar="FILE", help="also write the scores of the rows, by models that did not see them, as Parquet"
    )
    return parser


def _say(words: str) -> None:
    print(words, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
