"""Shards of packed tokens: Parquet with the one column `input_ids`, and row for row beside it what each row's tokens are of.

The shards alone are what `datasets` opens and a trainer reads; the spans lie in a folder of their own, since not every row
of theirs belongs into a batch.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from provenance.schema import PACKED, SPANS
from store.shards import Create, Open, _pages, _parquet
from store.shards._parquet import features, pattern, whole

__all__ = ["NAME", "TOKENS", "features", "paths", "pattern", "read", "whole", "write"]

NAME = "tokens"
TOKENS = True
LEVEL = 1
BATCH_TOKENS = 1 << 20
MOST_VALUES = 1 << 23
"""Tokens, or spans, that a group of rows may have: writers put 2^21 tokens into one, and all spans of a row are in memory at once."""

_OPTIONS: dict[str, Any] = {"compression": "zstd", "compression_level": LEVEL, "write_statistics": False}
_LABELS = ["spans.list.element." + name for name in ("origin", "attestation", "language", "stratum", "epoch")]


def paths(name: str, root: str = "") -> tuple[str, ...]:
    """The rows of a shard, and their spans."""
    return (f"{root}data/{name}.parquet", f"{root}attributes/{name}.parquet")


def write(create: Create, name: str, batches: Iterable[pa.RecordBatch], options: Mapping[str, Any], root: str = "") -> int:
    """Writes each batch as one row group of both files; returns the number of rows."""
    rows, (data, attributes) = 0, paths(name, root)
    # Ids in a dictionary of their own take more room and time than as they are.
    with (
        create(data) as packed,
        create(attributes) as beside,
        pq.ParquetWriter(packed, PACKED, use_dictionary=False, **_OPTIONS) as ids,
        pq.ParquetWriter(beside, SPANS, use_dictionary=_LABELS, **_OPTIONS) as spans,
    ):
        for batch in batches:
            for writer, schema in ((ids, PACKED), (spans, SPANS)) if batch.num_rows else ():
                writer.write_batch(batch.select(schema.names), row_group_size=batch.num_rows)
            rows += batch.num_rows
    return rows


def read(open_: Open, name: str, options: Mapping[str, Any], root: str = "") -> Iterator[pa.RecordBatch]:
    """The rows in order, with the columns `input_ids` and `spans`, about `BATCH_TOKENS` tokens at a time.

    Raises `ValueError` unless both files have exactly their column and nothing beside it, one row in one for each in the other, in row groups of the same
    rows, and `options["sequence_length"]` ids in each.
    """
    length, (data, attributes) = options["sequence_length"], paths(name, root)
    with (
        open_(data) as packed,
        open_(attributes) as beside,
        pq.ParquetFile(packed, pre_buffer=False) as ids,
        pq.ParquetFile(beside, pre_buffer=False) as spans,
    ):
        for file, schema, source, dictionaries in ((ids, PACKED, packed, []), (spans, SPANS, beside, _LABELS)):
            _parquet.check(file, source, schema, _pages.Shape(dictionaries, values=MOST_VALUES))
        if _groups(ids) != _groups(spans):
            raise ValueError(f"{attributes} does not have the rows of {data}, group for group")
        size = max(1, BATCH_TOKENS // length)
        for group in range(ids.num_row_groups):
            # Threads of Arrow that hold a Python file when the interpreter ends abort the process.
            both = (file.iter_batches(size, row_groups=[group], use_threads=False) for file in (ids, spans))
            for rows, labels in zip(*both, strict=True):
                yield _joined(rows, labels, length)


def _groups(file: pq.ParquetFile) -> list[int]:
    return [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)]


def _joined(rows: pa.RecordBatch, labels: pa.RecordBatch, length: int) -> pa.RecordBatch:
    ids, spans = rows.column(0), labels.column(0)
    if rows.num_rows != labels.num_rows:
        raise ValueError("the rows and their spans are not as many")
    if ids.null_count or spans.null_count or ids.values.null_count or spans.values.null_count:
        raise ValueError("a row, a token or a span has no value")
    if (np.diff(ids.offsets.to_numpy()) != length).any():
        raise ValueError(f"a row does not have {length} tokens")
    return pa.RecordBatch.from_arrays([ids, spans], names=["input_ids", "spans"])
