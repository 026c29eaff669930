"""The folder that a command writes: claimed by the digest of settings and inputs, and finished by a manifest.

The same command finds its own work and goes on, or finds the finished thing and changes nothing; another command is
refused, so that nothing is ever a mixture. All that is in the making lies in the work folder and is moved into place
whole, so a command that is killed leaves nothing beside it.
"""

import contextlib
import json
import os
import time
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from pipelines.progress import Progress
from provenance.identity import canonical_json
from store import files, manifest, tables
from store.errors import Incomplete, UsageError
from store.manifest import WORK, Opened

JOB = "job.json"


def apart(into: str, sources: Sequence[str]) -> None:
    """Raises `UsageError` where a folder to write lies in a folder to read or the reverse: a rerun would read its own output."""
    if not files.is_local(into):
        return
    goal = os.path.realpath(files.split_url(into)[1])
    for source in (os.path.realpath(files.split_url(url)[1]) for url in sources if url and files.is_local(url)):
        if source == goal or goal.startswith(source + os.sep) or source.startswith(goal + os.sep):
            raise UsageError(
                f"--into {into} and SOURCE {source} lie in one another; a rerun would read what it wrote. Name a folder apart."
            )


class Target:
    """One command's hold on its folder; a context manager.

    Entering raises `UsageError` where the folder is no place for a `kind`: it is a file, holds foreign files or a finished
    thing of another kind, or another command works in it.
    """

    def __init__(self, into: str, kind: str):
        self.into, self.kind = into.rstrip("/") or "/", kind
        self.work = files.join(self.into, WORK)
        self.made: Opened | None = None
        self._lock: int | None = None

    def __enter__(self) -> "Target":
        if files.is_file(self.into):
            raise UsageError(f"--into {self.into} is a file, and a {self.kind} is a folder. Name a new or empty folder.")
        self._finished()
        self._stands_alone()
        self._hold()
        return self

    def __exit__(self, *_: Any) -> None:
        if self.made is not None or not files.exists(files.join(self.work, JOB)) or self._finished() is not None:
            files.remove_tree(self.work)
        if self._lock is not None:
            os.close(self._lock)
            with contextlib.suppress(OSError):  # only an empty folder goes
                os.rmdir(files.split_url(self.into)[1])

    def _finished(self) -> Opened | None:
        """The finished thing that lies there, if any."""
        opened: Opened | None = None
        if files.exists(files.join(self.into, manifest.MANIFEST)):
            opened = manifest.open_any(self.into)
        elif manifest.snapshot_ids(self.into):
            opened = manifest.open_snapshot(self.into)
        if opened and opened.kind != self.kind:
            raise UsageError(
                f"{self.into} holds a finished {opened.kind}, and a {self.kind} would be mixed into it. Name another folder."
            )
        if opened is None and not files.exists(files.join(self.work, JOB)):
            foreign = [path for path in files.list_files(self.into) if path.split("/")[0] != WORK]
            if foreign:
                raise UsageError(
                    f"{self.into} holds {foreign[0]} and is no {self.kind}; its files would lie among ours. Name an empty or new folder."
                )
        return opened

    def _stands_alone(self) -> None:
        """A folder inside a finished thing would be an extra one there."""
        above = os.path.dirname(os.path.realpath(files.split_url(self.into)[1])) if files.is_local(self.into) else "/"
        while above != os.path.dirname(above):
            if os.path.exists(os.path.join(above, manifest.MANIFEST)) or manifest.snapshot_ids(above):
                raise UsageError(
                    f"--into {self.into} lies inside {above}, which is finished and would no longer verify. Name a folder apart."
                )
            above = os.path.dirname(above)

    def _hold(self) -> None:
        """Keeps other commands out, as long as this process lives. Object stores have no such lock."""
        if not files.is_local(self.into):
            return
        import fcntl

        os.makedirs(files.split_url(self.work)[1], exist_ok=True)
        self._lock = os.open(files.split_url(files.join(self.work, "lock"))[1], os.O_CREAT | os.O_RDWR)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(self._lock)
            raise UsageError(
                f"another command is writing into {self.into}; the two would undo each other's work. Wait for it, or name another folder."
            ) from error

    def claim(self, job: str) -> Opened | None:
        """Takes the folder for the work named by the digest `job`; returns what is finished there if it is the same.

        Raises `UsageError` where other settings or inputs made what lies there.
        """
        opened = self._finished()
        if opened is not None:
            if opened.manifest["job"] != job:
                raise UsageError(
                    f"{self.into} holds a {self.kind} that other settings or inputs made (its job is {opened.manifest['job'][:12]}, "
                    f"this one {job[:12]}); the two would be mixed. Name another folder."
                )
            return opened
        where = files.join(self.work, JOB)
        if files.exists(where) and (other := json.loads(files.read_bytes(where))["job"]) != job:
            raise UsageError(
                f"{self.into} holds the unfinished work of another command (job {other[:12]}, this one {job[:12]}): settings or inputs "
                f"changed since. Finish that one, or remove {self.into} and run again."
            )
        files.write_bytes(where, canonical_json({"job": job, "kind": self.kind}))
        return None

    def note(self) -> dict[str, str]:
        """What a summary says where nothing had to be done."""
        return {} if self.made is not None else {"unchanged": "it was complete already; nothing was written"}

    def release(self) -> None:
        """Gives up a folder in which nothing was made yet, so that other settings may have it."""
        files.remove(files.join(self.work, JOB))

    def promote(self, receipts: dict[str, dict[str, Any]], folder: str) -> list[dict[str, Any]]:
        """Moves a stage's finished files from its work folder into place; returns their manifest lines.

        May be killed and repeated: a file that is no longer in the work folder has been moved.
        """
        entries = [entry for receipt in receipts.values() for entry in receipt["files"]]
        for entry in entries:
            source, destination = files.join(folder, entry["path"]), files.join(self.into, entry["path"])
            if files.exists(source):
                files.move(source, destination)
            elif not files.exists(destination):
                raise Incomplete(
                    f"{entry['path']} is neither in the work folder nor in {self.into}: somebody removed it. Remove {self.into} and rerun."
                )
        return entries

    def add_table(self, path: str, table: pa.Table, schema: pa.Schema) -> dict[str, Any]:
        """Adds a table that no stage wrote; returns its manifest line."""
        return self._placed(tables.write(self.work, path, table, schema))

    def add_bytes(self, path: str, data: bytes) -> dict[str, Any]:
        """Adds a small file that no stage wrote; returns its manifest line."""
        with files.create(files.join(self.work, path)) as sink:
            sink.write(data)
        return self._placed({"path": path, "sha256": sink.sha256, "size": sink.size, "rows": None})

    def _placed(self, entry: dict[str, Any]) -> dict[str, Any]:
        return self.promote({"": {"files": [entry]}}, self.work)[0]

    def finish(self, body: dict[str, Any]) -> Opened:
        """Writes the manifest, after which the thing is there."""
        write = manifest.write_snapshot if self.kind == "snapshot" else manifest.write
        self.made = write(self.into, {"kind": self.kind, **body}, self.work)
        return self.made

    def log(self, verb: str, progress: Progress) -> None:
        """Appends what was made and the times to the log beside the folder: nothing inside depends on the clock."""
        if self.made is None:
            return
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        seconds = {name: round(value, 3) for name, value in progress.seconds.items()}
        line = json.dumps({"verb": verb, "id": self.made.id, "finished": now, "seconds": seconds})
        where, before = f"{self.into}.log", b""
        with contextlib.suppress(FileNotFoundError):
            before = files.read_bytes(where)
        files.write_bytes(where, before + line.encode() + b"\n")
