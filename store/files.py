"""Every file that the project reads or writes, on any fsspec file system; a write is whole or not there.

A path without a protocol is local. On local disks a file is written under a temporary name, unique per attempt, and
moved into place; on object stores it is written locally first and put as one object, which those stores make atomic.

Object stores get their endpoint and credentials as fsspec and their own library take them: `AWS_ACCESS_KEY_ID`,
`AWS_SECRET_ACCESS_KEY`, `AWS_ENDPOINT_URL_S3` and the like, `FSSPEC_S3_ENDPOINT_URL`, or a file in `~/.config/fsspec`. What
fsspec remembers of a listing is forgotten before each look, since other processes write there too.
"""

import contextlib
import errno
import hashlib
import io
import os
import shutil
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from glob import has_magic
from typing import Any, BinaryIO, cast

import fsspec
from fsspec.implementations.local import LocalFileSystem

from store.errors import LowbackgroundError, UsageError

CHUNK = 1 << 20
BLOCK = 8 << 20
"""Bytes that a remote file is read ahead, and sent in one part: s3fs itself would take 50 MB, ten at a time."""
TEMPORARY = ".lowbackground-tmp"
"""Ends the names of files that are being written."""
_exclusive = threading.Lock()


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


def _fresh(url: str) -> tuple[fsspec.AbstractFileSystem, str]:
    """File system and path, of which nothing is remembered."""
    fs, path = split_url(url)
    fs.invalidate_cache(path)
    return fs, path


def _info(url: str) -> dict[str, Any]:
    """What the file system says of a file or folder. Raises `FileNotFoundError`, other `OSError`s, and `UsageError` where
    the store cannot be reached at all."""
    fs, path = _fresh(url)
    try:
        return cast(dict[str, Any], fs.info(path))
    except (OSError, LowbackgroundError):
        raise
    except Exception as error:  # each store's library has errors of its own for credentials and endpoints
        raise UsageError(
            f"{url} cannot be reached: {type(error).__name__}: {error}. Nothing can be read or written there; "
            "give the store's endpoint and credentials, by the environment or fsspec's configuration."
        ) from error


def exists(url: str) -> bool:
    """Whether a file or folder is there; a folder of an object store is there if anything lies below it."""
    try:
        return bool(_info(url))
    except (FileNotFoundError, NotADirectoryError):
        return False


def is_file(url: str) -> bool:
    try:
        return bool(_info(url)["type"] == "file")
    except (FileNotFoundError, NotADirectoryError):
        return False


def read_bytes(url: str) -> bytes:
    """The file's bytes. Raises `FileNotFoundError`."""
    fs, path = _fresh(url)
    return cast(bytes, fs.cat_file(path))


def open_input(url: str) -> BinaryIO:
    """A seekable stream over the file's bytes."""
    fs, path = _fresh(url)
    if isinstance(fs, LocalFileSystem):
        return open(path, "rb")
    return cast(BinaryIO, fs.open(path, "rb", block_size=BLOCK))


class HashingFile(io.RawIOBase):
    """A binary sink that knows the size of what went through it and, unless it is told not to `digest`, the SHA-256."""

    def __init__(self, file: BinaryIO, digest: bool = True):
        self._file = file
        self._hash = hashlib.sha256() if digest else None
        self.size = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        self._file.write(view)
        if self._hash is not None:
            self._hash.update(view)
        self.size += len(view)
        return len(view)

    def tell(self) -> int:
        return self.size

    @property
    def sha256(self) -> str:
        if self._hash is None:
            raise ValueError("the digest of this file was not to be taken")
        return self._hash.hexdigest()


@contextlib.contextmanager
def create(url: str, digest: bool = True) -> Iterator[HashingFile]:
    """A new file at `url`, there as a whole when the block ends well, and not at all when it raises. Without `digest` its SHA-256
    is not taken."""
    fs, path = split_url(url)
    if isinstance(fs, LocalFileSystem):
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        temporary = f"{path}.{uuid.uuid4().hex}{TEMPORARY}"
    else:
        handle, temporary = tempfile.mkstemp(suffix=TEMPORARY)
        os.close(handle)
    try:
        with open(temporary, "wb") as file:
            yield HashingFile(file, digest)
        if isinstance(fs, LocalFileSystem):
            os.replace(temporary, path)
        else:
            fs.put_file(temporary, path, **_put_options(fs))
            os.unlink(temporary)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
        raise


def _is_s3(fs: fsspec.AbstractFileSystem) -> bool:
    return "s3" in ((fs.protocol,) if isinstance(fs.protocol, str) else fs.protocol)


def _put_options(fs: fsspec.AbstractFileSystem) -> dict[str, Any]:
    """How large files are sent: in parts of which few are in memory at a time, and the object is there after the last."""
    return {"chunksize": BLOCK, "max_concurrency": 4} if _is_s3(fs) else {}


def write_bytes(url: str, data: bytes) -> None:
    """Writes a whole file, atomically."""
    with create(url) as file:
        file.write(data)


def create_exclusive(url: str, data: bytes) -> bool:
    """Writes a whole file only if nothing is there; whether it did. Of several that race, one gets True.

    Local disks decide by a hard link (where there are none, as on FAT, by creating the file, which a reader may then see
    half-written). S3 decides by a conditional put (`If-None-Match: *`), and so do Google's and Azure's stores. Others are
    asked first and read afterwards: between the two of several writers each can believe that it is alone, for as long as
    one request takes, and only the last one's bytes stay. Whoever depends on it has to look again later.
    """
    fs, path = _fresh(url)
    if isinstance(fs, LocalFileSystem):
        return _link_exclusive(path, data)
    if exists(url):  # for those that put without asking
        return False
    for attempt in range(6):
        try:
            with _exclusive:  # stores in this process's memory have nothing that decides
                fs.pipe_file(path, data, mode="create")
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno == errno.EINVAL and exists(url):  # S3's answer 412 where it does not name the condition
                return False
            if error.errno != errno.EBUSY:  # S3's answer 409: two conditional puts met, and neither won
                raise
            time.sleep(0.1 * 2**attempt)
        else:
            return read_bytes(url) == data
    raise UsageError(f"others write {url} all the time, so it cannot be said whose it is. Wait for them, or name another.")


def _link_exclusive(path: str, data: bytes) -> bool:
    os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
    temporary = f"{path}.{uuid.uuid4().hex}{TEMPORARY}"
    try:
        with open(temporary, "xb") as file:
            file.write(data)
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
            raise
        return _open_exclusive(path, data)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(temporary)
    return True


def _open_exclusive(path: str, data: bytes) -> bool:
    try:
        with open(path, "xb") as file:
            file.write(data)
    except FileExistsError:
        return False
    return True


def list_files(url: str) -> list[str]:
    """Paths of all files below `url`, relative to it, sorted."""
    if not exists(url):
        return []
    fs, path = split_url(url)
    fs.invalidate_cache()
    base = path.rstrip("/") + "/"
    found = (cast(str, name) for name in fs.find(path))
    return sorted(name[len(base) :] for name in found if name.startswith(base) and not name.endswith("/"))


def version(url: str) -> tuple[str, int]:
    """What the file system says to tell a changed file from the same one (time or etag), and the size in bytes."""
    info = _info(url)
    if info.get("size") is None:
        raise UsageError(f"{url}: the server does not say how long it is, so nobody could tell a short copy. Fetch it first.")
    seen = next((info[name] for name in ("ETag", "etag", "mtime", "LastModified", "updated", "created") if info.get(name)), "")
    return f"{seen}:{info['size']}", int(info["size"])


def remove_tree(url: str) -> None:
    """Removes a folder and all below it; nothing happens where there is none."""
    fs, path = _fresh(url)
    if isinstance(fs, LocalFileSystem):
        shutil.rmtree(path, ignore_errors=True)
    elif has_magic(path):  # which `rm` would take for a pattern
        for name in list_files(url):
            remove(join(url, name))
    elif exists(url):
        with contextlib.suppress(FileNotFoundError):
            fs.rm(path, recursive=True)


def remove(url: str) -> None:
    """Removes one file; nothing happens where there is none."""
    fs, path = split_url(url)
    with contextlib.suppress(FileNotFoundError):
        fs.rm_file(path)


def move(source: str, destination: str) -> None:
    """Moves a file within one file system: in one step on local disks, by a copy and a removal elsewhere, so that a reader
    may see both and a kill between them leaves both. Raises `FileNotFoundError`."""
    fs, path = _fresh(source)
    goal = split_url(destination)[1]
    if isinstance(fs, LocalFileSystem):
        os.makedirs(os.path.dirname(goal) or ".", exist_ok=True)
        os.replace(path, goal)
    else:
        fs.cp_file(path, goal)
        fs.rm_file(path)


def file_digest(url: str) -> tuple[str, int]:
    """SHA-256 in hex and size in bytes of a file. Raises `FileNotFoundError`."""
    with open_input(url) as file:
        return hashlib.file_digest(cast(Any, file), hashlib.sha256).hexdigest(), file.seek(0, os.SEEK_END)
