"""Parquet shards: one zstd file per shard, small row groups, the layout that `datasets` opens by itself."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from provenance.schema import SHARD

NAME = "parquet"
SUFFIX = ".parquet"
LEVEL = 1
BATCH_ROWS = 1024

DICTIONARY = ["origin", "attestation", "language"]


def write(sink: Any, batches: Iterable[pa.RecordBatch]) -> int:
    """Writes each batch as one row group; returns the number of rows."""
    rows = 0
    # Statistics of texts and keys would be long, and help no reader of a shard.
    with pq.ParquetWriter(
        sink, SHARD, compression="zstd", compression_level=LEVEL, use_dictionary=DICTIONARY, write_statistics=["origin"]
    ) as writer:
        for batch in batches:
            writer.write_batch(batch, row_group_size=max(batch.num_rows, 1))
            rows += batch.num_rows
    return rows


def read(source: BinaryIO) -> Iterator[pa.RecordBatch]:
    """The rows in order, at most `BATCH_ROWS` at a time. Raises `ValueError` unless the columns are exactly a shard's."""
    with pq.ParquetFile(source, pre_buffer=False) as file:
        found, wanted = file.schema_arrow, SHARD
        if found.names != wanted.names:
            raise ValueError(f"has the columns {', '.join(found.names)}; a shard has {', '.join(wanted.names)}")
        for field in wanted:
            if found.field(field.name).type != field.type:
                raise ValueError(f"column {field.name} is {found.field(field.name).type}; a shard has {field.type}")
        # Threads of Arrow that hold a Python file when the interpreter ends abort the process. Longer batches join row groups,
        # which copies their texts once more.
        yield from file.iter_batches(batch_size=BATCH_ROWS, use_threads=False)
