"""JSON lines shards, compressed with zstd: one object per row, keys in the schema's order, times as ISO 8601 in UTC."""

import io
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from provenance.schema import SHARD, TIME

NAME = "jsonl"
SUFFIX = ".jsonl.zst"
LONGEST_LINE = 1 << 27
"""Longer lines are refused: a chunk of text has at most 16 MiB, and JSON writes a byte as six at most."""

BATCH_ROWS = 1024

_TYPES: dict[pa.DataType, Any] = {pa.string(): str, pa.int32(): int, TIME: str}
_NULLABLE = {"id", "url", "date", "language"}
Row = msgspec.defstruct(
    "Row",
    [(field.name, _TYPES[field.type] | None if field.name in _NULLABLE else _TYPES[field.type]) for field in SHARD],
    forbid_unknown_fields=True,
)
_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(Row)


def _values(batch: pa.RecordBatch) -> list[list[Any]]:
    columns = []
    for field in SHARD:
        column = batch.column(field.name)
        if field.type == TIME:
            column = pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")  # Arrow's %S has the fraction
        columns.append(column.to_pylist())
    return columns


def write(sink: Any, batches: Iterable[pa.RecordBatch]) -> int:
    """Writes one line per row; returns the number of rows."""
    rows = 0
    with pa.CompressedOutputStream(pa.PythonFile(sink, "w"), "zstd") as stream:
        for batch in batches:
            lines = [_ENCODER.encode(Row(*values)) for values in zip(*_values(batch), strict=True)]
            if lines:
                stream.write(b"\n".join(lines) + b"\n")
            rows += batch.num_rows
    return rows


def _parse(line: bytes) -> Any:
    row = _DECODER.decode(line)
    if _ENCODER.encode(row) + b"\n" != line:
        raise ValueError("a line is not the one JSON form of its row: a repeated key, another order of keys, or space between them")
    return row


def _batch(rows: list[Any]) -> pa.RecordBatch:
    arrays = []
    for field in SHARD:
        values = [getattr(row, field.name) for row in rows]
        if field.type == TIME:
            texts = pa.array([value and value.removesuffix("Z") for value in values], pa.string())
            arrays.append(texts.cast(pa.timestamp("us")).cast(TIME))
        else:
            arrays.append(pa.array(values, field.type))
    return pa.RecordBatch.from_arrays(arrays, schema=SHARD)


def read(source: BinaryIO) -> Iterator[pa.RecordBatch]:
    """The rows in order. Raises `ValueError` for a line that `write` would not have written from its row."""
    rows: list[Any] = []
    stream: Any = pa.CompressedInputStream(pa.PythonFile(source, "r"), "zstd")
    with io.BufferedReader(stream, 1 << 20) as lines:
        while line := lines.readline(LONGEST_LINE):
            rows.append(_parse(line))
            if len(rows) == BATCH_ROWS:
                yield _batch(rows)
                rows = []
    if rows:
        yield _batch(rows)
