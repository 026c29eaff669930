"""Evidence: every signal's reading of every document, and what the calibration file says that it weighs.

A log-likelihood ratio (LLR) is the natural logarithm of P(reading | machine) / P(reading | human). Which reading weighs how
much is data and no code: the calibration file. A signal whose name the file does not know gives readings without
weight; one that it knows in another version is an error, because the weights would belong to other readings.
"""

import bisect
import itertools
import math
from typing import Annotated

import msgspec
import pyarrow as pa

from provenance import signals
from provenance.identity import digest
from provenance.schema import EVIDENCE
from provenance.signals import Tools

FORMAT = "lowbackground-calibration-1"
CLASSES = ("machine_generated", "machine_translated")
LLR_BOUND = 3.0
"""No table may say more than this, about 20 to 1: beyond it the data of a few thousand documents says nothing."""


class Table(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Steps of one group of documents: a value has the LLR of the last step that it reaches, and none below the first."""

    group: Annotated[str, msgspec.Meta(description="group that the signal names, such as a language; `*` for all others")] = "*"
    values: Annotated[tuple[float, ...], msgspec.Meta(description="lower ends of the steps, rising")] = ()
    log_likelihood_ratios: Annotated[tuple[float, ...], msgspec.Meta(description="LLR of each step, in nats")] = ()

    def look_up(self, value: float) -> float | None:
        """LLR of `value`, or None below the first step."""
        step = bisect.bisect_right(self.values, value) - 1
        return self.log_likelihood_ratios[step] if step >= 0 else None


class Weight(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What one version of one signal weighs."""

    source: Annotated[str, msgspec.Meta(description="data or reasoning that the weights come from")] = ""
    speaks_for: Annotated[
        str | None, msgspec.Meta(description="class that high values speak for; null for a signal that only informs")
    ] = None
    decides_from: Annotated[
        float | None, msgspec.Meta(description="value from which one reading decides the tag; null for never")
    ] = None
    bars_from: Annotated[
        float | None, msgspec.Meta(description="value from which a document cannot count as human; null for never")
    ] = None
    alarm_below: Annotated[
        float | None, msgspec.Meta(description="value below which a reading is an alarm about the capture; null for never")
    ] = None
    tables: Annotated[tuple[Table, ...], msgspec.Meta(description="LLR by value, one table a group")] = ()


class Calibration(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """The calibration file: weights by `signal@version`, and the prior."""

    format: Annotated[str, msgspec.Meta(description="format of this file")] = FORMAT
    prior: Annotated[float, msgspec.Meta(description="log-odds of machine before any evidence")] = 0.0
    prior_source: Annotated[str, msgspec.Meta(description="where the prior comes from")] = ""
    signals: Annotated[dict[str, Weight], msgspec.Meta(description="weights by signal@version")] = {}

    def weight(self, name: str, version: str) -> Weight | None:
        """The weights of a signal's version; None for a signal that the file does not know.

        Raises `ValueError` where the file knows the signal in other versions only.
        """
        found = self.signals.get(f"{name}@{version}")
        if found is None:
            known = sorted(entry for entry in self.signals if entry.split("@")[0] == name)
            if known:
                raise ValueError(
                    f"signal {name} has version {version}, but the calibration file weighs {', '.join(known)}; the weights would belong to "
                    "other readings. Recalibrate with `make model`, or take the calibration file of this version."
                )
        return found


def read_calibration(data: bytes) -> Calibration:
    """The calibration that `data` (JSON) holds. Raises `ValueError` for anything that is unknown, unordered or out of bounds."""
    try:
        calibration = msgspec.json.decode(data, type=Calibration)
    except msgspec.MsgspecError as error:
        raise ValueError(
            f"the calibration file is not usable: {error}; no evidence could be weighed. Restore or rebuild it."
        ) from error
    if calibration.format != FORMAT:
        raise ValueError(
            f"the calibration file has format {calibration.format!r}, this version reads {FORMAT!r}. Rebuild it with `make model`."
        )
    if not math.isfinite(calibration.prior):
        raise ValueError("the calibration file's prior is not a finite number; no probability could follow. Give log-odds in nats.")
    for entry, weight in calibration.signals.items():
        problem = _problem(entry, weight)
        if problem:
            raise ValueError(f"calibration of {entry}: {problem}; its evidence would be misread. Correct the file or rebuild it.")
    return calibration


def _problem(entry: str, weight: Weight) -> str | None:
    """What is wrong with an entry of the calibration file, or None."""
    name, at, version = entry.partition("@")
    if not (name and at and version):
        return "its name is not signal@version"
    if not weight.source:
        return "it does not say its source"
    if weight.speaks_for is not None and weight.speaks_for not in CLASSES:
        return f"speaks_for is {weight.speaks_for!r} and not one of {', '.join(CLASSES)}"
    if weight.speaks_for is None and (weight.decides_from is not None or weight.bars_from is not None):
        return "it decides or bars without speaking for a class"
    if len({table.group for table in weight.tables}) != len(weight.tables):
        return "a group has two tables"
    for table in weight.tables:
        values, ratios = table.values, table.log_likelihood_ratios
        if len(values) != len(ratios) or not values:
            return f"group {table.group} has {len(values)} steps and {len(ratios)} ratios"
        if any(a >= b for a, b in itertools.pairwise(values)):
            return f"the steps of group {table.group} do not rise"
        if any(abs(ratio) > LLR_BOUND for ratio in ratios):
            return f"a ratio of group {table.group} lies beyond {LLR_BOUND:g}"
    return None


def rules(calibration: Calibration, options: msgspec.Struct) -> str:
    """Digest of all that decides a tag: calibration, verdict options, and the versions of the signals."""
    return digest(
        {
            "calibration": msgspec.to_builtins(calibration),
            "options": {type(options).__name__: msgspec.to_builtins(options)},
            "signals": signals.versions(),
        }
    )


def score(batch: pa.RecordBatch, stage: str, tools: Tools) -> pa.RecordBatch:
    """Evidence of every signal of `stage` about the documents of `batch`: rows of `schema.EVIDENCE`.

    Rows are ordered by signal, then as in the batch. Raises `ValueError` for an unknown stage, for missing columns, and for
    a signal that breaks its contract (a null or non-finite value, two rows for one document).
    """
    if stage not in signals.STAGES:
        raise ValueError(f"stage {stage!r} is none of {', '.join(signals.STAGES)}; no signal would run. Name one of them.")
    names = [name for name, module in signals.found().items() if module.STAGE == stage]  # noqa: SIM300
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
