"""Formats that shards are written in: each module of this package is one, found by listing the folder.

A shard is one file that loaders iterate, and, where a format needs them, files beside it. The same shards may stand in a
mix twice: at its root, and under `human/` where the human side is written once more by itself; `root` says which. Modules whose names
begin with an underscore are what formats share.
"""

import importlib
import pkgutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, BinaryIO, Protocol, cast

import pyarrow as pa

from store.errors import UsageError

HUMAN = "human/"
"""Root of the shards that hold the human side alone."""

Create = Callable[[str], AbstractContextManager[Any]]
"""Opens a file of the mix, by its path there, for writing bytes."""

Open = Callable[[str], BinaryIO]
"""Opens a file of the mix, by its path there, for reading bytes; what it gives can seek."""


class Format(Protocol):
    """A module of this package. `options` is the section `mix` of the configuration as it stands in the manifest."""

    NAME: str
    TOKENS: bool
    """Whether rows are packed tokens (`provenance.schema.PACKED` and `SPANS`) and not texts (`provenance.schema.SHARD`)."""

    def paths(self, name: str, root: str = "") -> tuple[str, ...]:
        """The files of a shard in the mix, first the one that loaders iterate."""

    def pattern(self, root: str = "") -> str | None:
        """What `data_files` of a Hugging Face card names to load the shards and nothing else; null where `datasets` cannot."""

    def features(self) -> list[dict[str, Any]] | None:
        """The columns as `dataset_info` of a Hugging Face card lists them, for formats whose files do not say their types: a loader would
        guess them from the first rows, and fail where those have only nulls. Null for the others."""

    def write(
        self, create: Create, name: str, batches: Iterable[pa.RecordBatch], options: Mapping[str, Any], root: str = ""
    ) -> int:
        """Writes the files of one shard; returns the number of rows. Text formats take batches of `SHARD`, a format of tokens takes
        batches of `PACKED` with the column of `SPANS` beside it; a batch is what readers get at a time where the format has groups of
        rows. The same batches give the same bytes. Raises `UsageError` where a library is not installed, and for a shard that is too
        large for the format."""

    def read(self, open_: Open, name: str, options: Mapping[str, Any], root: str = "") -> Iterator[pa.RecordBatch]:
        """The rows of a shard as `write` took them, in order and in batches that fit in memory.

        Raises `ValueError` (of which Arrow's errors are kinds), `OSError` or `OverflowError` for files that are not exactly of this
        format and schema: another column, a missing one, another type, a repeated JSON key, files of different rows, bytes that no row
        needs. Needs no library beside those of the project.
        """

    def whole(self, read: Callable[[str], bytes], names: Sequence[str], root: str = "") -> dict[str, bytes]:
        """The files that belong to all shards of a root together, by path, made from those of each (`read` gives the bytes of a
        path); none for most formats. Never reads rows."""


def formats() -> dict[str, Format]:
    """Every format, by name."""
    names = sorted(info.name for info in pkgutil.iter_modules(__path__) if not info.name.startswith("_"))
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
