"""Formats that shards are written in: each module of this package is one, found by listing the folder."""

import importlib
import pkgutil
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO, Protocol, cast

import pyarrow as pa

from store.errors import UsageError


class Format(Protocol):
    """A module of this package."""

    NAME: str
    SUFFIX: str

    def write(self, sink: Any, batches: Iterable[pa.RecordBatch]) -> int:
        """Writes batches of the schema `provenance.schema.SHARD` to a binary sink; returns the number of rows."""

    def read(self, source: BinaryIO) -> Iterator[pa.RecordBatch]:
        """The rows of a shard, in order and in batches that fit in memory.

        Raises `ValueError` (of which Arrow's errors are kinds) or `OSError` for a file that is not exactly of this
        format and schema: another column, a missing one, another type, a repeated JSON key.
        """


def formats() -> dict[str, Format]:
    """Every format, by name."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__))
    modules = [cast(Format, importlib.import_module(f"{__name__}.{name}")) for name in names]
    return {module.NAME: module for module in modules}


def named(name: str) -> Format:
    """The format of a name. Raises `UsageError` for one that is not there."""
    found = formats()
    if name not in found:
        raise UsageError(f"{name!r} is no format of shards; there are {', '.join(found)}. Set mix.format to one of them.")
    return found[name]


def shard_name(shard: int, shards: int) -> str:
    """Name of a shard without its suffix, as Hugging Face names the files of a split."""
    return f"train-{shard:05d}-of-{shards:05d}"
