"""Rows of formats that have no times: there a time is one text, ISO 8601 in UTC with six digits of a second."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from provenance.schema import SHARD, TIME


def texts(times: pa.Array) -> pa.Array:
    """Times of `TIME` as texts, null for null."""
    return pc.strftime(times, format="%Y-%m-%dT%H:%M:%SZ")  # Arrow's %S has the fraction


def times(found: Sequence[str | None]) -> pa.Array:
    """The times of texts. Raises `ValueError` for one that `texts` would not have written."""
    bare = pa.array([text if text is None else text.removesuffix("Z") for text in found], pa.string())
    made = bare.cast(pa.timestamp("us")).cast(TIME)
    if texts(made).to_pylist() != list(found):
        raise ValueError("a time is not in the one form of a shard's, such as 2015-01-02T03:04:05.678901Z")
    return made


def batch(rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """A batch of `SHARD` from rows whose times are texts. Raises `ValueError` for a value that is not of its column."""
    arrays = []
    for field in SHARD:
        values = [row[field.name] for row in rows]
        arrays.append(times(values) if field.type == TIME else pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=SHARD)
