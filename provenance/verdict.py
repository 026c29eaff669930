"""The verdict: one tag per document, from matches and evidence, in documented log-odds with abstention.

The rules, in their order:

1. `human` only where the document's identity form equals that of an eligible snapshot document, that document is
   attested at the configured level, the text is long enough to be one author's, no markup, disclosure or residue
   says machine, and the document is dropped in that one's favour: one of a protected source stays, and what stays in a run is
   never human. Detectors of model text do not vote here: at the prevalence of an attested past nearly all that they flag is
   human (DESIGN 6). No other way leads to `human`: no date, no signal, nothing that a page says of itself.
2. A reading that decides alone (`decides_from` of the calibration file) gives its class; where both classes have one,
   `machine_generated`, since translation by a model is generation too and the reverse does not hold.
3. `machine_generated` where the detectors of model text, weighed together, reach the threshold of the document's cell at the
   stated false-positive rate (`provenance.combiner`); or where the log-likelihood ratios that speak for it sum to `machine_from`
   or more and one above 0 is no detector's. Translation evidence below its deciding strength never adds up to a tag.
4. Else `unknown`, with the reason in words.

The signals are summed as if independent (naive Bayes); the calibration file bounds each of them, and `p_machine` is
1 / (1 + exp(-(prior + sum))), null where the detectors have no weight and for what equals a snapshot document. Prior and sum
stand apart in the tags: see `provenance.prior`.
"""

import math
from collections.abc import Mapping
from typing import Annotated, Any, NamedTuple

import msgspec
import pyarrow as pa

from provenance import combiner, signals
from provenance.combiner import Thresholds
from provenance.evidence import Calibration, rules
from provenance.prior import priors
from provenance.schema import ATTESTATIONS, TAGS, TIME


class Verdict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How evidence becomes a tag."""

    false_positives: Annotated[
        str | float,
        msgspec.Meta(description="share of human texts that detectors of model text may flag; one of the calibration file's rates"),
    ] = "0.01"
    machine_from: Annotated[
        float,
        msgspec.Meta(
            description="summed log-likelihood ratio, in nats, from which a document is machine_generated if not only detectors say so",
            gt=0,
        ),
    ] = 3.0
    min_attestation: Annotated[
        str, msgspec.Meta(description="lowest attestation of a reference document that makes its copy human")
    ] = "declared"
    min_words: Annotated[
        int, msgspec.Meta(description="words below which no document is human, because short texts are all alike", ge=1)
    ] = 50
    prior: Annotated[
        float | None,
        msgspec.Meta(description="log-odds of machine before any evidence; null for the calibration file's, by month and language"),
    ] = None

    @property
    def rate(self) -> str:
        """`false_positives` as the calibration file writes it; in YAML it is a number."""
        return str(self.false_positives)

    def __post_init__(self) -> None:
        if self.prior is not None and not math.isfinite(self.prior):
            raise ValueError(f"prior {self.prior} is no finite number; no probability could follow. Give log-odds in nats.")
        if not math.isfinite(self.machine_from):
            raise ValueError(
                f"machine_from {self.machine_from} is no finite number; no sum could be held against it. Give nats above 0."
            )
        if self.min_attestation not in ATTESTATIONS[1:]:
            raise ValueError(
                f"min_attestation {self.min_attestation!r} is none of {', '.join(ATTESTATIONS[1:])}; nothing could be held against it. Name one."
            )


STANDING = pa.schema(
    [
        ("key", pa.string()),
        ("id", pa.string()),
        ("attestation", pa.string()),
        ("language", pa.string()),
        ("date", TIME),
        ("word_count", pa.int32()),
        ("identical", pa.bool_()),
        ("reference_attestation", pa.string()),
        ("similarity", pa.float64()),
        ("exact", pa.bool_()),
        ("canonical", pa.string()),
        ("reference", pa.string()),
        ("protected", pa.bool_()),
        ("snapshot", pa.string()),
    ]
)
"""What `verdict` needs to know of each document: its own attestation, language, date (the middle of its capture interval) and length, whether it equals an eligible snapshot
document and how that one is attested, its best similarity to the snapshot and whether that was measured, the key of the kept
document that it copies (null if it is kept), that of the reference, whether its source is protected, and the id of the snapshot of
the reference."""


class Reading(NamedTuple):
    """One row of evidence as the verdict sees it."""

    signal: str
    value: float
    detail: str
    ratio: float | None
    speaks_for: str | None
    decides: bool
    bars: bool
    alarms: bool
    statistical: bool


def verdict(
    standing: pa.RecordBatch,
    evidence: pa.RecordBatch | pa.Table,
    calibration: Calibration,
    options: Verdict,
    decided: pa.RecordBatch | None = None,
    thresholds: Thresholds | None = None,
) -> pa.RecordBatch:
    """Tags (`schema.TAGS`) of the documents of `standing`, in its order; evidence about other documents is ignored.

    `decided` (`combiner.DECIDED`) is what the detectors say together, by `thresholds` if the run's snapshots moved any; without it
    they say nothing, as at freeze, and evidence that calls itself `combined` is ignored. Raises `ValueError` where evidence has
    another version of a signal than the calibration file.
    """
    readings = _by_key(evidence, calibration)
    together = {row["key"]: row for row in decided.to_pylist()} if decided is not None else {}
    digest = rules(calibration, options, thresholds)
    languages, dates = (standing.column(name).to_pylist() for name in ("language", "date"))
    before = priors(calibration, languages, dates, options.prior)
    rows = [
        _tag(row, readings.get(row["key"], []), together.get(row["key"]), prior, options) | {"rules": digest}
        for row, prior in zip(standing.to_pylist(), before, strict=True)
    ]
    return pa.RecordBatch.from_pylist(rows, schema=TAGS)


def flagged(evidence: pa.RecordBatch | pa.Table, calibration: Calibration) -> pa.RecordBatch:
    """(key, reason) of the documents that cannot count as human: what `freeze` makes ineligible.

    Markup, disclosure and residue that reach their `bars_from`; statistical detectors of model text do not vote, and
    alarms are no machine evidence (see `alarms`). One row a document, ordered by key.
    """
    barred = {key: [r for r in found if r.bars] for key, found in _by_key(evidence, calibration).items()}
    return _reasons(barred)


def alarms(evidence: pa.RecordBatch | pa.Table, calibration: Calibration) -> pa.RecordBatch:
    """(key, reason) of the documents whose capture itself looks false, such as a chatbot's residue before there was one.

    It is no evidence of how the text was made but against its date: whoever freezes it should not count it as attested.
    """
    return _reasons({key: [r for r in found if r.alarms] for key, found in _by_key(evidence, calibration).items()})


def _reasons(found: dict[str, list[Reading]]) -> pa.RecordBatch:
    keys = sorted(key for key, readings in found.items() if readings)
    reasons = ["; ".join(f"{r.signal}: {r.detail}" for r in found[key]) for key in keys]
    return pa.record_batch([pa.array(keys, pa.string()), pa.array(reasons, pa.string())], names=["key", "reason"])


def _by_key(evidence: pa.RecordBatch | pa.Table, calibration: Calibration) -> dict[str, list[Reading]]:
    """Readings of each document, by signal name, so that no order of rows can change a tag."""
    modules = signals.found()
    found: dict[str, list[Reading]] = {}
    columns = [
        evidence.column(name).to_pylist() for name in ("key", "signal", "version", "value", "detail", "log_likelihood_ratio")
    ]
    for key, signal, version, value, detail, ratio in zip(*columns, strict=True):
        if signal == combiner.NAME:
            continue
        weight = calibration.weight(signal, version)
        # A signal that is no longer here is taken for statistical: it then can bar nobody and vouch for nobody.
        statistical = bool(modules[signal].STATISTICAL) if signal in modules else True
        reading = Reading(
            signal,
            value,
            detail or "",
            ratio,
            weight.speaks_for if weight else None,
            bool(weight and not statistical and weight.decides_from is not None and value >= weight.decides_from),
            bool(weight and not statistical and weight.bars_from is not None and value >= weight.bars_from),
            bool(weight and not statistical and weight.alarm_below is not None and value < weight.alarm_below),
            statistical,
        )
        found.setdefault(key, []).append(reading)
    for readings in found.values():
        readings.sort(key=_order)
    return found


def _order(reading: Reading) -> tuple[str, float, str]:
    return reading.signal, reading.value, reading.detail


def _tag(row: dict, readings: list[Reading], decided: Mapping[str, Any] | None, prior: float, options: Verdict) -> dict:
    """One row of TAGS, without `rules`."""
    together = (decided or {}).get("log_likelihood_ratio")
    if decided is not None and decided["value"] is not None:
        said = Reading(
            combiner.NAME, decided["value"], decided["detail"], together, "machine_generated", False, False, False, statistical=True
        )
        readings = sorted([*readings, said], key=_order)
    total = math.fsum(r.ratio for r in readings if r.ratio is not None)
    origin, basis, reason = _decide(row, readings, decided, options)
    human = origin == "human"
    return {
        "key": row["key"],
        "id": row["id"],
        "origin": origin,
        "log_likelihood_ratio": total,
        "prior": prior,
        # The detectors do not say of a copy what they say of other documents: see rule 1.
        "p_machine": None if together is None or row["identical"] else _logistic(prior + total),
        "attestation": row["reference_attestation"] if human else row["attestation"],
        "basis": sorted(set(basis)),
        "reason": reason,
        "canonical": row["canonical"],
        "snapshot": row["snapshot"] if human else None,
    }


def _logistic(x: float) -> float:
    """1 / (1 + exp(-x)) without overflow."""
    return 1 / (1 + math.exp(-x)) if x >= 0 else math.exp(x) / (1 + math.exp(x))


def _decide(row: dict, readings: list[Reading], decided: Mapping[str, Any] | None, options: Verdict) -> tuple[str, list[str], str]:
    """Origin, basis and reason by the rules of this module."""
    for name in ("machine_generated", "machine_translated"):
        deciding = [r for r in readings if r.decides and r.speaks_for == name]
        if deciding:
            return name, [r.signal for r in deciding], "; ".join(r.detail for r in deciding)
    bars = [r for r in readings if r.bars]
    if row["identical"] and not bars and not row["protected"] and _no_copy(row, options) is None:
        return (
            "human",
            ["snapshot_match"],
            f"equals an eligible document of the snapshot, attested as {row['reference_attestation']}",
        )
    # What equals a document of the snapshot is not given to a detector: see rule 1.
    if decided is not None and decided["flagged"] and not row["identical"]:
        return "machine_generated", [combiner.NAME], f"the detectors of model text flag it: {decided['detail']}"
    speaking = [r for r in readings if r.speaks_for == "machine_generated" and r.ratio is not None]
    total = math.fsum(r.ratio or 0.0 for r in speaking)
    positive = [r for r in speaking if (r.ratio or 0.0) > 0]
    if total >= options.machine_from and not row["identical"] and any(not r.statistical for r in positive):
        return "machine_generated", [r.signal for r in positive], f"evidence for machine text sums to {total:.2f} nats"
    return "unknown", [r.signal for r in readings if r.ratio], _abstention(row, readings, decided, options)


def _no_copy(row: dict, options: Verdict) -> str | None:
    """Why a document that equals one of the snapshot is not human all the same, or None."""
    level = row["reference_attestation"]
    if level not in ATTESTATIONS or ATTESTATIONS.index(level) < ATTESTATIONS.index(options.min_attestation):
        return f"equals a document of the snapshot whose attestation is {level}, below {options.min_attestation}"
    if row["word_count"] is None or row["word_count"] < options.min_words:
        return f"equals a document of the snapshot but has fewer than {options.min_words} words"
    return None


def _abstention(row: dict, readings: list[Reading], decided: Mapping[str, Any] | None, options: Verdict) -> str:
    """Why a document is `unknown`, in words."""
    parts = [f"machine evidence too weak for a tag: {r.detail}" for r in readings if r.bars]
    parts += [f"the capture looks false: {r.detail}" for r in readings if r.alarms]
    if row["identical"]:
        stays = f"equals document {row['reference']} of the snapshot and is kept because its source is protected"
        doubt = _no_copy(row, options)
        parts.append(stays if row["protected"] else doubt or "equals a document of the snapshot")
    elif row["similarity"] is not None:
        about = "an estimated similarity of" if row["exact"] is False else "similarity"
        parts.append(f"not equal to any eligible document of a snapshot (nearest at {about} {row['similarity']:.2f})")
    else:
        parts.append("not in a snapshot")
    if row["identical"]:
        parts.append("no detector votes on what equals a document of a snapshot")
    elif decided is not None:
        scored = decided["value"] is not None
        parts.append(f"below the threshold of the detectors: {decided['detail']}" if scored else decided["detail"])
    elif row["word_count"] is not None and row["word_count"] < options.min_words:
        parts.append(f"fewer than {options.min_words} words, too short for a detector")
    else:
        parts.append("no calibrated detector covers it")
    weak = [r for r in readings if not r.statistical and r.speaks_for == "machine_generated" and (r.ratio or 0.0) > 0]
    if weak:
        total = math.fsum(r.ratio or 0.0 for r in readings if r.speaks_for == "machine_generated")
        parts.append(f"the evidence for machine text, {total:.2f} nats, stays below {options.machine_from:g}")
    return "; ".join(parts)
