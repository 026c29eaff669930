"""What formats of Parquet files share: how they are found, and whether a file has exactly a schema, and nothing that no row of it needs."""

from collections.abc import Callable, Sequence
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.parquet as pq

from store.shards import _pages


def pattern(root: str = "") -> str | None:
    """The shards' files, as a card's `data_files` names them."""
    return f"{root}data/train-*.parquet"


def features() -> list[dict[str, Any]] | None:
    """Null: the files say their types themselves."""
    return None


def whole(read: Callable[[str], bytes], names: Sequence[str], root: str = "") -> dict[str, bytes]:
    """Nothing stands beside the shards."""
    return {}


def check(file: pq.ParquetFile, source: BinaryIO, schema: pa.Schema, shape: _pages.Shape) -> list[_pages.Claims]:
    """Raises `ValueError` unless a file has the columns of `schema`, with their descriptions, and its pages, indexes and footer are as they
    say and all that it holds. What it says of its rows in `shape.stated` comes back: whoever reads them has to hold them to it."""
    found = file.schema_arrow
    if found.names != schema.names:
        raise ValueError(f"has the columns {', '.join(found.names)}; a shard has {', '.join(schema.names)}")
    for field in schema:
        there = found.field(field.name)
        if (there.type, there.nullable, there.metadata) != (field.type, field.nullable, field.metadata):
            raise ValueError(f"column {field.name} is {there}; a shard has {field}, and the description of its schema")
    if found.metadata or set(file.metadata.metadata or {}) != {b"ARROW:schema"}:
        raise ValueError("has key-value metadata beside the schema; a shard has none")
    return _pages.check(source, source.seek(0, 2), schema, shape)
