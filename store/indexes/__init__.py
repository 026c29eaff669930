"""Indexes of captures that others keep: CDX, CDXJ and Common Crawl's columnar index, read as address, second and digest.

A format module has

- `NAME: str`;
- `sniff(head: bytes) -> bool`, whether a file that begins with these bytes (decompressed, up to 64 KiB) is of this format;
- `survey(stream, tap) -> tuple[Split, ...] | None`, where a file can be cut (None: it lacks what is needed); `tap` is given
  every byte once and in order;
- `batches(url, split, counts) -> Iterator[pa.RecordBatch]`, the captures of one split as rows of `CAPTURED`. What gives
  none is counted in `counts`. Split by split it yields exactly what it yields over the whole file.

Neither raises for anything that the bytes may hold. What files are, their bytes say and not their names.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from types import ModuleType
from typing import Any, BinaryIO

import pyarrow as pa

from store import files
from store.indexes import cdx, cdxj, columnar
from store.indexes._captured import CAPTURED, Counts, Split, label, normal_urls
from store.indexes._lines import first_bytes

__all__ = ["CAPTURED", "Counts", "Index", "Split", "batches", "label", "normal_urls", "survey"]

FORMATS: dict[str, ModuleType] = {module.NAME: module for module in (columnar, cdxj, cdx)}
"""In the order in which they are asked: the first that knows a file's bytes reads it."""


@dataclass(frozen=True)
class Index:
    """One index file after its survey. `format` is None where no module reads it, and `why` says what it seems to be."""

    sha256: str
    size: int
    format: str | None
    why: str
    splits: tuple[Split, ...]

    def plain(self) -> dict[str, Any]:
        """As plain JSON."""
        return asdict(self)


def survey(url: str) -> Index:
    """One pass over a file: its digest, its format and its splits. Raises `OSError` where it cannot be read."""
    hashed = hashlib.sha256()
    with files.open_input(url) as stream:
        head = first_bytes(stream)
        name = next((name for name, module in FORMATS.items() if module.sniff(head)), None)
        splits = FORMATS[name].survey(stream, hashed.update) if name else _unread(stream, hashed.update)
        size = stream.seek(0, 2)
    if name is None or splits is None:
        return Index(
            hashed.hexdigest(), size, None, _looks_like(head) if head or not size else "it is gzip that does not inflate", ()
        )
    return Index(hashed.hexdigest(), size, name, "", splits)


def batches(url: str, format_name: str, split: Split, counts: Counts) -> Iterator[pa.RecordBatch]:
    """The captures of one split, rows of `CAPTURED`; `format_name` is the survey's. Raises `OSError`."""
    yield from FORMATS[format_name].batches(url, split, counts)


def _unread(stream: BinaryIO, tap: Any) -> tuple[Split, ...]:
    stream.seek(0)
    while data := stream.read(files.CHUNK):
        tap(data)
    return ()


def _looks_like(head: bytes) -> str:
    """What a file that no module reads seems to be."""
    line = head.split(b"\n", 1)[0]
    if not head:
        return "it is empty"
    if b" CDX " in line[:6] or line[1:5] == b"CDX ":
        return "its legend lacks one of a (original url), b (date) and k (digest)"
    if line.count(b"\t") >= 3 and line.split(b"\t")[0][-14:].isdigit():
        return "it is a summary of a ZipNum cluster, which names blocks and no digests; give the cdx files that it points to"
    if head.startswith(b"PAR1"):
        return "it is Parquet without the columns url, fetch_time and content_digest"
    return f"it begins {line[:40]!r}, which is neither CDX, CDXJ nor Common Crawl's columnar index"
