"""Which files a SOURCE names, what format each has, and what is in it.

What a file is, its bytes say and not its name. A file that no reader knows counts as one record, which is unreadable.
"""

import collections
import functools
import hashlib
import importlib
import os
import pkgutil
import zlib
from collections.abc import Iterator, Sequence
from types import ModuleType
from typing import Annotated, BinaryIO, Literal, cast

import fsspec
import msgspec

import store.readers
from store.errors import UsageError
from store.files import open_input
from store.readers import _sidecar
from store.records import Found, Record, Split, Survey, Unreadable

_HEAD = 1 << 16
_CHUNK = 1 << 20
_BLOCK = 1 << 20
"""Bytes of bzip2 that are looked at: nothing of a block of 900 kB comes out before its end."""


class Read(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How files are read."""

    part_bytes: Annotated[int, msgspec.Meta(ge=1, description="bytes of a compressed file that one part of the work takes")] = (
        4 << 20
    )
    max_record_bytes: Annotated[int, msgspec.Meta(ge=1024, description="decompressed bytes above which a record is skipped")] = (
        64 << 20
    )
    max_header_bytes: Annotated[int, msgspec.Meta(ge=256, description="bytes within which a WARC record's header has to end")] = (
        1 << 20
    )
    preset: Annotated[
        Literal["auto", "fineweb", "fineweb_2", "redpajama_2", "dolma", "hplt_3", "wikipedia", "text"],
        msgspec.Meta(
            description="layout of tables; auto knows FineWeb, RedPajama-v2 and HPLT by their columns; text: each file is one text"
        ),
    ] = "auto"
    text_column: Annotated[str, msgspec.Meta(description="column of a table that holds the text; empty: the preset's")] = ""
    id_column: Annotated[str, msgspec.Meta(description="column of a table that names a row; empty: the preset's")] = ""
    url_column: Annotated[
        str, msgspec.Meta(description="column of a table that holds the address of the capture; empty: the preset's")
    ] = ""
    date_column: Annotated[
        str, msgspec.Meta(description="column of a table that holds the time of capture; empty: the preset's, if it has one")
    ] = ""
    sidecar: Annotated[
        str,
        msgspec.Meta(
            description="table (Parquet, JSONL or CSV) with `file_path` and the date, url and more of text files; preset text only"
        ),
    ] = ""

    def __post_init__(self) -> None:
        if self.sidecar and self.preset != "text":
            raise ValueError(
                f"read.sidecar describes files of plain text, and read.preset is {self.preset}; set read.preset to text"
            )


def portable(options: Read) -> Read:
    """The options as they belong into a manifest: the sidecar by its SHA-256 and not by where it lies. Raises `UsageError`."""
    if not options.sidecar:
        return options
    return msgspec.structs.replace(options, sidecar=f"sha256:{_sidecar.load(options.sidecar).sha256}")


def coverage(options: Read, file_paths: Sequence[str]) -> _sidecar.Coverage:
    """Which of all input files have no row in the sidecar, and which rows name no file; none without a sidecar. Raises `UsageError`."""
    return _sidecar.coverage(options.sidecar, file_paths) if options.sidecar else _sidecar.Coverage((), ())


@functools.cache
def readers() -> dict[str, ModuleType]:
    """The reader modules by name: every module of `store.readers` whose name has no underscore in front."""
    names = sorted(module.name for module in pkgutil.iter_modules(store.readers.__path__) if not module.name.startswith("_"))
    modules = [importlib.import_module(f"store.readers.{name}") for name in names]
    return {module.NAME: module for module in modules}


def expand(sources: Sequence[str]) -> list[tuple[str, str]]:
    """The files that SOURCES (files, folders, globs, fsspec URLs) name, each once, as (url, path relative to its SOURCE).

    In the order of the sources and, within one, of the paths. A file's relative path is its name; a glob's matches are
    relative to the longest folder without wildcards. Hidden files and folders are left out unless they are the SOURCE.
    Raises `UsageError` where a source names nothing.
    """
    found: dict[str, tuple[str, str]] = {}
    for source in sources:
        matches = _matches(source)
        if not matches:
            raise UsageError(
                f"SOURCE {source!r} names no file: it is no file, no folder that holds one, and no pattern that matches one. "
                "Nothing would be read from it. Check the path, or quote a pattern so that the shell leaves it alone."
            )
        for identity, url, path in matches:
            found.setdefault(identity, (url, path))
    return _distinct(list(found.values()))


def _distinct(found: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Files of several sources whose relative paths are equal are told apart by more of their folders' names."""
    counts = collections.Counter(path for _, path in found)
    paths = [path for _, path in found]
    for number, (url, path) in enumerate(found):
        depth = path.count("/") + 1
        while counts[path] > 1 and depth < url.count("/") and sum(other.endswith("/" + paths[number]) for other, _ in found) > 1:
            depth += 1
            paths[number] = "/".join(url.split("/")[-depth:])
    return [(url, path) for (url, _), path in zip(found, paths, strict=True)]


def _matches(source: str) -> list[tuple[str, str, str]]:
    """(identity, url, relative path) of a source's files, sorted by path."""
    if not source:
        raise UsageError("a SOURCE is empty, which would be the current folder; a variable may be unset. Name it, or write a dot.")
    try:
        fs, root = fsspec.core.url_to_fs(source)
    except (ValueError, ImportError) as error:
        raise UsageError(
            f"SOURCE {source!r} cannot be opened: {error}. Give a path or a URL of a protocol that is installed."
        ) from error
    root = root.rstrip("/") or "/"
    if fs.isfile(root):
        base, paths = root.rpartition("/")[0], [root]
    elif fs.isdir(root):
        base, paths = root, fs.find(root)
    else:
        base, paths = _fixed_folder(root), _globbed(fs, root)
    local = "file" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)
    result = []
    for path in paths:
        relative = path[len(base) :].lstrip("/") if base else path
        if path != root and any(part.startswith(".") for part in relative.split("/")):
            continue
        if local and not os.path.isfile(path):
            raise UsageError(
                f"{path} is no regular file (a pipe, a device, or a broken link); reading it might never end. Remove it, or name the files."
            )
        url = path if local else fs.unstrip_protocol(path)
        result.append((os.path.realpath(path) if local else url, url, relative))
    return sorted(result, key=lambda match: match[2])


def _globbed(fs: fsspec.AbstractFileSystem, pattern: str) -> list[str]:
    """Files that the pattern matches, and those below the folders that it matches."""
    if not any(character in pattern for character in "*?["):
        return []
    paths: list[str] = []
    for path, info in fs.glob(pattern, detail=True).items():
        paths.extend(fs.find(path) if info["type"] == "directory" else [path])
    return sorted(set(paths))


def _fixed_folder(pattern: str) -> str:
    """The longest folder of a pattern that has no wildcard."""
    parts = pattern.split("/")
    fixed = next((index for index, part in enumerate(parts) if any(character in part for character in "*?[")), len(parts) - 1)
    return "/".join(parts[:fixed])


class _Hashing:
    """A seekable stream that hashes what is read in order, so that most files need no second pass for their digest."""

    def __init__(self, stream: BinaryIO):
        self._stream = stream
        self._hash = hashlib.sha256()
        self._hashed = 0
        self._at = 0

    def read(self, count: int = -1) -> bytes:
        data = self._stream.read(count)
        if self._at <= self._hashed < self._at + len(data):
            self._hash.update(memoryview(data)[self._hashed - self._at :])
            self._hashed = self._at + len(data)
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = self._stream.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        return self._at

    def finish(self) -> tuple[str, int]:
        """SHA-256 in hex and size of the whole file."""
        self.seek(self._hashed)
        while self.read(_CHUNK):
            pass
        return self._hash.hexdigest(), self._hashed

    closed = False

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def writable(self) -> bool:
        return False

    def close(self) -> None:
        """The stream below stays open; who opened it closes it."""

    def flush(self) -> None:
        """Nothing is buffered."""


def survey(url: str, options: Read) -> Survey:
    """One pass over a file: its digest, its format, how many items reading it yields, and where it can be split.

    Raises `OSError` where the file cannot be opened or read.
    """
    with open_input(url) as raw:
        stream = _Hashing(raw)
        name = None if _is_sidecar(url, options) else _format(cast(BinaryIO, stream), options)
        stream.seek(0)
        found = readers()[name].survey(stream, options) if name else None
        sha256, size = stream.finish()
    if found is None:
        found = Found(1, 0, 0, (Split(0, size, 1, size),))
    return Survey(sha256, size, name, found.records, found.boundaries, found.unaccounted, found.splits, found.damage)


def read(
    url: str, survey_format: str | None, split: Split, options: Read, file_path: str | None = None
) -> Iterator[Record | Unreadable]:
    """The items of one split of a file, in order. `survey_format` is its survey's `format`; `file_path`, relative to its
    SOURCE, finds the file's row in the sidecar. Raises `OSError`, and `UsageError` for a sidecar that cannot be used."""
    with open_input(url) as stream:
        if survey_format is None:
            yield _no_document() if _is_sidecar(url, options) else _unknown(stream.read(_HEAD))
        elif options.sidecar:
            for item in readers()[survey_format].read(stream, split, options):
                yield _sidecar.complete(item, file_path, options)
        else:
            yield from readers()[survey_format].read(stream, split, options)


def _is_sidecar(url: str, options: Read) -> bool:
    """Whether the file is the sidecar itself, which often lies among the files that it describes."""
    if not options.sidecar:
        return False
    return url == options.sidecar or ("://" not in url and os.path.realpath(url) == os.path.realpath(options.sidecar))


def _no_document() -> Unreadable:
    return Unreadable(0, 0, "sidecar", "the file is the table that read.sidecar names")


def _format(stream: BinaryIO, options: Read) -> str | None:
    """Name of the reader that knows these bytes; None if none does. A reader that a preset names reads under it alone."""
    head = _full(stream, _HEAD)
    if head.startswith(b"BZh"):
        head += _full(stream, _BLOCK - len(head))
    named = {name: module for name, module in readers().items() if getattr(module, "PRESET", None) == options.preset}
    known = named or {name: module for name, module in readers().items() if not hasattr(module, "PRESET")}
    return next((name for name, module in known.items() if module.sniff(head)), None)


def _full(stream: BinaryIO, count: int) -> bytes:
    parts = []
    while count > 0 and (part := stream.read(count)):
        parts.append(part)
        count -= len(part)
    return b"".join(parts)


_LOOKS_LIKE = (
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ", "xz"),
    (b"PK\x03\x04", "a zip file, as WACZ is"),
    (b"ARROW1", "Arrow"),
    (b"%PDF", "PDF"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b" CDX", "a CDX index"),
    (b"<", "a markup document"),
    (b"[", "a JSON array"),
    (b"{", "JSON"),
    (b"PAR", "an incomplete or encrypted Parquet file"),
)


def _unknown(head: bytes) -> Unreadable:
    """The one item of a file that no reader knows."""
    if not head:
        return Unreadable(0, 0, "empty_file", "the file has no bytes")
    around = ""
    if head.startswith(b"\x1f\x8b"):
        around = " in gzip"
        try:
            head = zlib.decompressobj(31).decompress(head, _HEAD)
        except zlib.error as error:
            return Unreadable(0, 0, "format_not_supported", f"damaged gzip: {error}")
    seen = next((name for start, name in _LOOKS_LIKE if head.lstrip().startswith(start.lstrip())), None)
    return Unreadable(0, 0, "format_not_supported", f"looks like {seen}{around}" if seen else f"begins {head[:24]!r}{around}")
