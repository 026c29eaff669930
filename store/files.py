"""Every file that the project reads or writes, on any fsspec file system; a write is whole or not there.

A path without a protocol is local. On local disks a file is written under a temporary name, unique per attempt, and
moved into place; on object stores it is written locally first and put in one request, which those stores make atomic.
"""

import contextlib
import hashlib
import io
import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator
from typing import Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from store.errors import UsageError

CHUNK = 1 << 20
TEMPORARY = ".lowbackground-tmp"
"""Ends the names of files that are being written."""


def split_url(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """File system and path of a URL or local path. Raises `UsageError` for an unknown protocol."""
    try:
        fs, path = fsspec.core.url_to_fs(url)
    except (ValueError, ImportError) as error:
        raise UsageError(f"{url} cannot be opened: {error}. Give a path, or a URL of a protocol that is installed.") from error
    return fs, cast(str, path)


def is_local(url: str) -> bool:
    return isinstance(split_url(url)[0], LocalFileSystem)


def join(base: str, *names: str) -> str:
    """The URL of a file below `base`."""
    return "/".join([base.rstrip("/") or "/", *(name.strip("/") for name in names)])


def exists(url: str) -> bool:
    fs, path = split_url(url)
    return bool(fs.exists(path))


def is_file(url: str) -> bool:
    fs, path = split_url(url)
    return bool(fs.isfile(path))


def read_bytes(url: str) -> bytes:
    """The file's bytes. Raises `FileNotFoundError`."""
    fs, path = split_url(url)
    with fs.open(path, "rb") as file:
        return cast(bytes, file.read())


def open_input(url: str) -> BinaryIO:
    """A seekable stream over the file's bytes."""
    fs, path = split_url(url)
    if isinstance(fs, LocalFileSystem):
        return open(path, "rb")
    return cast(BinaryIO, fs.open(path, "rb"))


class HashingFile(io.RawIOBase):
    """A binary sink that knows the SHA-256 and size of what went through it."""

    def __init__(self, file: BinaryIO):
        self._file = file
        self._hash = hashlib.sha256()
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._file.write(view)
        self._hash.update(view)
        self.size += len(view)
        return len(view)

    def tell(self) -> int:
        return self.size

    @property
    def sha256(self) -> str:
        return self._hash.hexdigest()


@contextlib.contextmanager
def create(url: str) -> Iterator[HashingFile]:
    """A new file at `url`, there as a whole when the block ends well, and not at all when it raises."""
    fs, path = split_url(url)
    if isinstance(fs, LocalFileSystem):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        temporary = f"{path}.{uuid.uuid4().hex}{TEMPORARY}"
    else:
        handle, temporary = tempfile.mkstemp(suffix=TEMPORARY)
        os.close(handle)
    try:
        with open(temporary, "wb") as file:
            yield HashingFile(file)
        if isinstance(fs, LocalFileSystem):
            os.replace(temporary, path)
        else:
            fs.put_file(temporary, path)
            os.unlink(temporary)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def write_bytes(url: str, data: bytes) -> None:
    """Writes a whole file, atomically."""
    with create(url) as file:
        file.write(data)


def list_files(url: str) -> list[str]:
    """Paths of all files below `url`, relative to it, sorted."""
    fs, path = split_url(url)
    if not fs.exists(path):
        return []
    fs.invalidate_cache()
    base = path.rstrip("/") + "/"
    found = (cast(str, name) for name in fs.find(path))
    return sorted(name[len(base) :] for name in found if name.startswith(base))


def version(url: str) -> tuple[str, int]:
    """What the file system says to tell a changed file from the same one (time or etag), and the size in bytes."""
    fs, path = split_url(url)
    info = fs.info(path)
    seen = next((info[name] for name in ("ETag", "etag", "mtime", "LastModified", "updated", "created") if info.get(name)), "")
    return f"{seen}:{info['size']}", int(info["size"])


def remove_tree(url: str) -> None:
    """Removes a folder and all below it; nothing happens where there is none."""
    fs, path = split_url(url)
    if isinstance(fs, LocalFileSystem):
        shutil.rmtree(path, ignore_errors=True)
    elif fs.exists(path):
        fs.rm(path, recursive=True)


def remove(url: str) -> None:
    """Removes one file; nothing happens where there is none."""
    fs, path = split_url(url)
    with contextlib.suppress(FileNotFoundError):
        fs.rm_file(path)


def move(source: str, destination: str) -> None:
    """Moves a file within one file system, in one step where that can."""
    fs, path = split_url(source)
    goal = split_url(destination)[1]
    if isinstance(fs, LocalFileSystem):
        os.makedirs(os.path.dirname(goal) or ".", exist_ok=True)
        os.replace(path, goal)
    else:
        fs.copy(path, goal)
        fs.rm_file(path)


def file_digest(url: str) -> tuple[str, int]:
    """SHA-256 in hex and size in bytes of a file. Raises `FileNotFoundError`."""
    with open_input(url) as file:
        return hashlib.file_digest(cast(Any, file), hashlib.sha256).hexdigest(), file.seek(0, os.SEEK_END)
