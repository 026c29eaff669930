"""Capture time against the snapshot's cutoff.

The value is the number of days from the cutoff to the end of the capture interval: negative only if the whole interval
lies before the cutoff. It informs and weighs nothing: the file that carries a capture time can carry any, so an
old date makes no human, and what time does to the odds is the prior's.
"""

import pyarrow as pa

from provenance.signals import Tools, readings

NAME = "capture_time"
VERSION = "1"
STAGE = "match"
COLUMNS = ("key", "date_end", "attestation", "cutoff")
STATISTICAL = False

_DAY = 86_400_000_000  # microseconds


def capture_time(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the documents that have a capture time, where a snapshot gives a cutoff."""
    keys, attestations = batch.column("key").to_pylist(), batch.column("attestation").to_pylist()
    ends, cutoffs = (batch.column(name).cast(pa.int64()).to_pylist() for name in ("date_end", "cutoff"))
    rows: list[tuple[str, float, str]] = []
    for key, attestation, end, cutoff in zip(keys, attestations, ends, cutoffs, strict=True):
        if end is not None and cutoff is not None:
            side = "before the cutoff" if end < cutoff else "at or after the cutoff"
            rows.append((key, (end - cutoff) / _DAY, f"captured {side}, attested as {attestation}"))
    return readings(rows)
