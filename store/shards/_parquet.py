"""What formats of Parquet files share: whether a file has exactly a schema, and nothing that no row of it needs."""

import pyarrow as pa
import pyarrow.parquet as pq

MAGIC = 4
"""Bytes of the mark that a file begins with."""
TAIL = 8
"""Bytes that follow the footer: its length and the mark again."""


def check(file: pq.ParquetFile, schema: pa.Schema, size: int, indexed: bool = False) -> None:
    """Raises `ValueError` unless a file of `size` bytes has the columns of `schema`, with their descriptions, and column chunks, footer and
    page index, if it is to be `indexed`, take all its bytes."""
    found = file.schema_arrow
    if found.names != schema.names:
        raise ValueError(f"has the columns {', '.join(found.names)}; a shard has {', '.join(schema.names)}")
    for field in schema:
        there = found.field(field.name)
        if (there.type, there.nullable, there.metadata) != (field.type, field.nullable, field.metadata):
            raise ValueError(f"column {field.name} is {there}; a shard has {field}, and the description of its schema")
    if found.metadata or set(file.metadata.metadata or {}) != {b"ARROW:schema"}:
        raise ValueError("has key-value metadata beside the schema; a shard has none")
    _check_layout(file.metadata, size, indexed)


def _check_layout(footer: pq.FileMetaData, size: int, indexed: bool) -> None:
    end = MAGIC
    for group in range(footer.num_row_groups):
        for number in range(footer.num_columns):
            column = footer.row_group(group).column(number)
            start = column.dictionary_page_offset or column.data_page_offset
            if start != end or column.file_path:
                raise ValueError(f"row group {group} has bytes before column {column.path_in_schema} that no row needs")
            if indexed != column.has_offset_index or (column.has_column_index and not indexed):
                raise ValueError(f"{'lacks a' if indexed else 'has a'} page index; the configuration says otherwise")
            end = start + column.total_compressed_size
    left = size - TAIL - footer.serialized_size - end
    if left < 0 or (left and not indexed):
        raise ValueError(f"{left} bytes lie between the last row group and the footer; a shard has none there")
