"""Writes what training made: the calibration file, and the scores of the rows for whoever calibrates further."""

import json
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from pipelines.training.calibrate import Scored
from pipelines.training.fit import SIGNALS
from provenance.calibration import Calibration, Cell, Combiner
from provenance.calibration_file import read_calibration


def place(cells: tuple[Cell, ...], language: str, words: int) -> int:
    """Place of the cell of a text, -1 for none."""
    return next((i for i, cell in enumerate(cells) if cell.covers(language, words)), -1)


def scores(found: Combiner, scored: Scored) -> tuple[np.ndarray, list[str]]:
    """(score or NaN, name of the cell or ``) of each row."""
    places = [place(found.cells, row.language, row.words) for row in scored.rows]
    values = np.full(len(places), np.nan)
    for i, at in enumerate(places):
        if at >= 0:
            cell = found.cells[at]
            values[i] = cell.bias + sum(cell.weights[name] * scored.values[i, k] for k, name in enumerate(SIGNALS))
    return values, [found.cells[at].name if at >= 0 else "" for at in places]


def keep(path: Path, scored: Scored, found: Combiner) -> None:
    """A Parquet table of the rows with the three values, the score and the cell."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    score, cell = scores(found, scored)
    rows = scored.rows
    columns: dict[str, Any] = {
        name: [getattr(row, name) for row in rows]
        for name in "digest source group language generator words machine written text".split()
    }
    columns["label"] = ["machine" if row.machine else "human" for row in rows]
    columns |= {name: scored.values[:, k] for k, name in enumerate(SIGNALS)}
    columns |= {f"{name}_apart": scored.apart[:, k] for k, name in enumerate(SIGNALS)}
    pq.write_table(pa.table(columns | {"score": score, "cell": cell}), path)


def write_calibration(path: Path, calibration: Calibration) -> None:
    """The calibration file; fields that are null are left out. Raises `ValueError` for one that could not be read again."""
    indented = json.dumps(_plain(msgspec.to_builtins(calibration)), indent=1, ensure_ascii=False)
    # A list of numbers or words takes one line.
    data = (
        re.sub(r"\[\n\s*([^\[\]{}]*?)\n\s*\]", lambda found: f"[{re.sub(chr(10) + ' *', ' ', found[1])}]", indented).encode()
        + b"\n"
    )
    read_calibration(data)
    path.write_bytes(data)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items() if inner is not None}
    return [_plain(inner) for inner in value] if isinstance(value, (list, tuple)) else value
