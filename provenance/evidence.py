"""Evidence: every signal's reading of every document, and what the calibration file says that it weighs."""

import math
from collections.abc import Collection, Mapping
from typing import Any

import msgspec
import pyarrow as pa

from provenance import signals
from provenance.calibration import CLASSES, FORMAT, LLR_BOUND, Calibration, Cell, Combiner, Prior, Second, Table, Weight
from provenance.calibration_file import read_calibration
from provenance.identity import digest
from provenance.schema import EVIDENCE
from provenance.signals import Tools

__all__ = [
    "CLASSES",
    "FORMAT",
    "LLR_BOUND",
    "Calibration",
    "Cell",
    "Combiner",
    "Prior",
    "Second",
    "Table",
    "Weight",
    "read_calibration",
    "rules",
    "score",
]


def rules(calibration: Calibration, options: msgspec.Struct, thresholds: Mapping[str, Any] | None = None) -> str:
    """Digest of all that decides a tag: calibration, verdict options, the versions of the signals and, where the run's snapshots
    moved them, the thresholds."""
    return digest(
        {
            "calibration": msgspec.to_builtins(calibration),
            "options": {type(options).__name__: msgspec.to_builtins(options)},
            "signals": signals.versions(),
        }
        | ({"thresholds": dict(thresholds)} if thresholds is not None else {})
    )


def score(batch: pa.RecordBatch, stage: str, tools: Tools, only: Collection[str] | None = None) -> pa.RecordBatch:
    """Evidence of every signal of `stage`, or of those named in `only`, about the documents of `batch`: rows of `schema.EVIDENCE`.

    Rows are ordered by signal, then as in the batch. Raises `ValueError` for an unknown stage, for missing columns, and for
    a signal that breaks its contract (a null or non-finite value, two rows for one document).
    """
    if stage not in signals.STAGES:
        raise ValueError(f"stage {stage!r} is none of {', '.join(signals.STAGES)}; no signal would run. Name one of them.")
    names = [
        name
        for name, module in signals.found().items()
        if module.STAGE == stage and (only is None or name in only)  # noqa: SIM300
    ]
    parts = [_scored(batch, name, tools) for name in names]
    table = pa.Table.from_batches(parts, schema=EVIDENCE).combine_chunks()
    return table.to_batches()[0] if table.num_rows else pa.RecordBatch.from_pylist([], schema=EVIDENCE)


def _scored(batch: pa.RecordBatch, name: str, tools: Tools) -> pa.RecordBatch:
    """Evidence rows of one signal."""
    module = signals.found()[name]
    missing = [column for column in module.COLUMNS if column not in batch.schema.names]
    if missing:
        raise ValueError(
            f"signal {name} needs the columns {', '.join(missing)}, which the batch lacks; it would stay silent. Add them."
        )
    weight = tools.calibration.weight(name, module.VERSION)
    reading = getattr(module, name)(batch, tools)
    values = reading.column("value").to_pylist()
    if any(value is None or not math.isfinite(value) for value in values):
        raise ValueError(
            f"signal {name} gave a value that is no finite number; it could not be weighed. Give no row where it does not apply."
        )
    keys = reading.column("key")
    if len(set(keys.to_pylist())) != len(keys):
        raise ValueError(f"signal {name} gave two rows for one document; its evidence would count twice. Give one.")
    groups = reading.column("group").to_pylist() if "group" in reading.schema.names else ["*"] * len(values)
    columns = [
        keys,
        pa.repeat(pa.scalar(name, pa.string()), len(values)),
        pa.repeat(pa.scalar(module.VERSION, pa.string()), len(values)),
        reading.column("value"),
        reading.column("detail"),
        pa.array(_ratios(weight, values, groups), pa.float64()),
    ]
    return pa.record_batch(columns, schema=EVIDENCE)


def _ratios(weight: Weight | None, values: list[float], groups: list[str]) -> list[float | None]:
    """LLR of each value by the table of its group, else by that of `*`, else none."""
    tables = {table.group: table for table in weight.tables} if weight else {}
    default = tables.get("*")
    chosen = [tables.get(group, default) for group in groups]
    return [table.look_up(value) if table else None for table, value in zip(chosen, values, strict=True)]
