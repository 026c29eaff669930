"""Batches for the tests of signals: one page or one matched document, with the columns that it does not name empty."""

import datetime
from typing import Any

import pyarrow as pa

from provenance import signals
from provenance.evidence import Calibration

TOOLS = signals.Tools(calibration=Calibration())
NOW = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)

_EMPTY: dict[str, Any] = {
    "url": "https://example.org/page",
    "text": "",
    "language": "en",
    "word_count": 0,
    "date": NOW,
    "date_end": NOW,
    "attestation": "captured",
    "html": "",
    "http_headers": "",
    "metadata": "{}",
}


def batch(*rows: dict[str, Any], schema: pa.Schema = signals.PAGE) -> pa.RecordBatch:
    """Rows with keys `0`, `1`, ...; page columns that a row does not name are empty, others null."""
    given = _EMPTY if schema is signals.PAGE else {}
    return pa.RecordBatch.from_pylist([{"key": str(i)} | given | row for i, row in enumerate(rows)], schema=schema)


def read(name: str, **page: Any) -> tuple[float, str] | None:
    """(value, detail) of one signal for one page; None where it gives no row."""
    module = signals.found()[name]
    rows = getattr(module, name)(batch(page), TOOLS).to_pylist()
    return (rows[0]["value"], rows[0]["detail"]) if rows else None


def value(name: str, **page: Any) -> float | None:
    """Value of one signal for one page; None where it gives no row."""
    found = read(name, **page)
    return found[0] if found else None
