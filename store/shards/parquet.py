"""Parquet shards in the layout of Hugging Face: one zstd file per shard, `data/train-NNNNN-of-NNNNN.parquet`, small row groups."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from provenance.schema import SHARD
from store.shards import Create, Open, _pages, _parquet
from store.shards._parquet import features, pattern, whole

__all__ = ["NAME", "TOKENS", "features", "paths", "pattern", "read", "whole", "write"]

NAME = "parquet"
TOKENS = False
LEVEL = 1
BATCH_ROWS = 1024
LARGEST_CHUNK = 1 << 24
"""Most bytes that `mix.chunk_bytes` allows a row's text."""

STATED = "origin"
DICTIONARY = ["origin", "attestation", "language", "stratum"]


def paths(name: str, root: str = "") -> tuple[str, ...]:
    """The one file of a shard."""
    return (f"{root}data/{name}.parquet",)


def write(create: Create, name: str, batches: Iterable[pa.RecordBatch], options: Mapping[str, Any], root: str = "") -> int:
    """Writes each batch that has rows as one row group; returns the number of rows. `options` says whether there is a page index, and
    whether pages are cut by their content."""
    rows = 0
    with (
        create(paths(name, root)[0]) as sink,
        pq.ParquetWriter(
            sink,
            SHARD,
            compression="zstd",
            compression_level=LEVEL,
            use_dictionary=DICTIONARY,
            # Those of texts, keys and addresses would be long, and help no reader: classes lie spread over all row groups.
            write_statistics=[STATED],
            write_page_index=options["page_index"],
            use_content_defined_chunking=options["content_defined_chunking"],
        ) as writer,
    ):
        for batch in batches:
            if batch.num_rows:
                writer.write_batch(batch, row_group_size=batch.num_rows)
                rows += batch.num_rows
    return rows


def read(open_: Open, name: str, options: Mapping[str, Any], root: str = "") -> Iterator[pa.RecordBatch]:
    """The rows in order, at most `BATCH_ROWS` at a time. Raises `ValueError` unless the columns are exactly a shard's, and pages, index
    and footer are all that the file holds and say what the rows are."""
    with open_(paths(name, root)[0]) as source:
        longest = ("text", options.get("chunk_bytes", LARGEST_CHUNK))
        shape = _pages.Shape(DICTIONARY, STATED, options["page_index"], longest)
        with pq.ParquetFile(source, pre_buffer=False) as file:
            claims = _parquet.check(file, source, SHARD, shape)
            # Threads of Arrow that hold a Python file when the interpreter ends abort the process. Longer batches join row
            # groups, which copies their texts once more.
            for batch in file.iter_batches(batch_size=BATCH_ROWS, use_threads=False):
                batch.validate(full=True)
                for claim in claims:
                    claim.take(batch.column(STATED))
                yield batch
            for claim in claims:
                claim.end()
