"""Instants as manifests and leaves write them: ISO 8601 in UTC with microseconds and `Z`."""

from datetime import UTC, datetime

import pyarrow as pa
import pyarrow.compute as pc

from provenance.identity import moment as text

__all__ = ["instant", "middles", "text"]


def instant(text: str) -> datetime:
    """The instant that ISO 8601 text names; a date is its first instant, and what names no zone is UTC. Raises `ValueError`."""
    moment = datetime.fromisoformat(text.strip())
    return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)


def middles(dates: pa.ChunkedArray, ends: pa.ChunkedArray) -> pa.ChunkedArray:
    """The middles of capture intervals, null where an end of one is. A date without a time is an interval with hours to spare on both
    sides, which starts in the month before the one it names."""
    start, end = dates.cast(pa.int64()), ends.cast(pa.int64())
    return pc.add(start, pc.divide(pc.subtract(end, start), 2)).cast(dates.type)
