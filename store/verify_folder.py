"""A folder that is checked: what lies in it, and what is wrong with each file. Nothing that lies there raises out of it."""

import contextlib
import hashlib
import json
from collections.abc import Iterator
from typing import Any, NoReturn

import fsspec

from store.verify_shard import Wrong

BLOCK = 1 << 20
LARGEST = 1 << 28
"""Bytes of a file that is read as a whole, such as a manifest: of 99,999 shards it has half as many."""

OF_HUB = (".cache/huggingface/", ".gitattributes")
"""What `hf download --local-dir` leaves beside the files: no loader takes rows from there, since the card names the shards by their folder."""


class Check:
    """What was found so far of the files below `url`, by their paths there."""

    def __init__(self, url: str):
        fs, path = fsspec.core.url_to_fs(url)
        self.fs, self.path = fs, str(path).rstrip("/")
        self.why: dict[str, str] = {}
        self.there: set[str] = set()
        self.missing: list[str] = []
        self.extra: list[str] = []

    def list(self) -> set[str]:
        """Paths of all files, hidden ones too, but of those that a hub's client leaves at the root (`OF_HUB`); they stay in `there`."""
        self.fs.invalidate_cache()
        base = self.path + "/"
        found = {str(name)[len(base) :] for name in self.fs.find(self.path) if str(name).startswith(base)}
        self.there = {path for path in found if not path.startswith(OF_HUB[0]) and path != OF_HUB[1]}
        return self.there

    def open(self, path: str) -> Any:
        """A file for reading its bytes; it can seek. Raises `Wrong` for a pipe or a device, whose bytes might never end."""
        place = f"{self.path}/{path}"
        if self.fs.info(place)["type"] != "file":
            raise Wrong("it is no regular file")
        return self.fs.open(place, "rb")

    def read(self, path: str, most: int = LARGEST) -> bytes:
        """A file's bytes. Raises `Wrong` for more than `most`."""
        with self.open(path) as file:
            data: bytes = file.read(most + 1)
        if len(data) > most:
            raise Wrong(f"it has more than {most:,} bytes, and all of it would be in memory at once")
        return data

    def blame(self, path: str, why: object) -> None:
        """Notes that a file is wrong; the first reason stays."""
        self.why.setdefault(path, str(why) or type(why).__name__)

    @contextlib.contextmanager
    def of(self, path: str) -> Iterator[None]:
        """Whatever a damaged or forged file raises in the block makes that file wrong."""
        try:
            yield
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException as error:  # readers of formats raise anything for hostile bytes, and Rust's panics are no Exception
            self.blame(path, error if isinstance(error, Wrong) else f"{type(error).__name__}: {error}")

    def sound(self, *paths: str) -> bool:
        """Whether nothing is wrong so far with some files."""
        return not {*paths} & {*self.why, *self.missing}

    def same(self, path: str, sha256: str, size: int) -> None:
        """Raises `Wrong` unless a file has this digest and size. Of a longer one no more than the beginning is read."""
        hashed, found = hashlib.sha256(), 0
        with self.open(path) as stream:
            while found <= size and (block := stream.read(BLOCK)):
                hashed.update(block)
                found += len(block)
        if (hashed.hexdigest(), found) != (sha256, size):
            raise Wrong(f"{found} bytes with SHA-256 {hashed.hexdigest()}; the manifest lists {size} with {sha256}")

    @property
    def clean(self) -> bool:
        return not (self.why or self.missing or self.extra)

    def summary(self) -> dict[str, Any]:
        """`wrong`, `missing` and `extra` files, and `why` for each wrong one."""
        return {
            "wrong": sorted(self.why),
            "missing": sorted(self.missing),
            "extra": sorted(self.extra),
            "why": dict(sorted(self.why.items())),
        }


def strict_json(data: bytes) -> Any:
    """JSON without repeated keys and without what JSON lacks. Raises `Wrong` or another `ValueError`."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise Wrong("a JSON object has one key twice")
        return found

    def none(word: str) -> NoReturn:
        raise Wrong(f"{word} is no JSON")

    return json.loads(data.decode(), object_pairs_hook=once, parse_constant=none)
