"""Steps that the engine's tests run, in this process and in workers."""

import os
from collections.abc import Iterable, Iterator
from typing import Any

from store import files


class Echo:
    """Writes its part's name; fails or kills its process where the part says so."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        self.ready = True

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        if part.get("fail"):
            raise ValueError("this part cannot be done")
        if part.get("die"):
            os.kill(os.getpid(), 9)
        path = f"echo/{part['name']}.txt"
        files.write_bytes(files.join(self.context["folder"], path), part["name"].encode())
        entry = {"path": path, "size": len(part["name"]), "sha256": "", "rows": 1}
        return {"documents": 1, "files": [entry], "pid": os.getpid(), "ready": self.ready}


class Deal:
    """A shuffle: every part sends its name to the partitions that its `to` lists."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def split(self, part: dict[str, Any], partitions: frozenset[int]) -> Iterator[tuple[int, bytes]]:
        yield from ((p, part["name"].encode()) for p in part["to"] if p in partitions)

    def join(self, partition: int, blobs: Iterable[bytes]) -> dict[str, Any]:
        return {"got": sorted(blob.decode() for blob in blobs), "files": []}
