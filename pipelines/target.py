"""The folder that a command writes: claimed by the digest of settings and inputs, and finished by a manifest.

The same command finds its own work and goes on, or finds the finished thing and changes nothing; another command is
refused, so that nothing is ever a mixture. All that is in the making lies in the work folder and is moved into place
whole, so a command that is killed leaves nothing beside it.

The claim is a file that only one of several can create. On local disks a lock keeps others out besides; on object stores,
which have none, a second run of the *same* command cannot be told from one that goes on after a kill: it takes the claim
over, and the first is told before it writes anything that counts.

A snapshot's folder holds its versions, each but the first extending one other, none extended twice.
"""

import contextlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa

from pipelines.progress import Progress
from provenance.identity import canonical_json
from store import checkpoint, files, manifest, tables
from store.errors import CheckFailed, Incomplete, UsageError
from store.manifest import MANIFESTS, PLACING, WORK, Opened

JOB = "job.json"
LOCK = "lock"


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


def _above(url: str) -> Iterator[str]:
    """The folders that a folder lies in, innermost first."""
    fs, path = files.split_url(url)
    local = files.is_local(url)
    path = os.path.realpath(path) if local else path.strip("/")
    while (parent := os.path.dirname(path)) not in ("", path):
        path = parent
        yield path if local else str(fs.unstrip_protocol(path))


class Target:
    """One command's hold on its folder; a context manager.

    Entering raises `UsageError` where the folder is no place for a `kind`: it is a file, holds foreign files or a finished
    thing of another kind, another command works in it, or it holds no version `extends` (the id of the version of a
    snapshot that the new one is to grow from; None for a new thing).
    """

    def __init__(self, into: str, kind: str, extends: str | None = None):
        self.into, self.kind, self.extends = into.rstrip("/") or "/", kind, extends
        self.work = files.join(self.into, WORK)
        self.made: Opened | None = None
        self._lock: int | None = None
        self._owner = self._job = ""
        self._known: set[str] = set()

    def __enter__(self) -> "Target":
        if files.is_file(self.into):
            raise UsageError(f"--into {self.into} is a file, and a {self.kind} is a folder. Name a new or empty folder.")
        self._owner = uuid.uuid4().hex
        finished = self._finished()
        self._known = {version.id for version in finished}
        if self.extends is not None and self.extends not in {version.id for version in finished}:
            raise UsageError(
                f"--extends {self.extends}: {self.into} holds no such version"
                f"{', it has ' + ', '.join(version.id for version in finished) if finished else ' and nothing finished'}; "
                "there would be nothing to grow from. Name one of its versions, or leave --extends out for a new snapshot."
            )
        if self.extends is not None or not finished:
            self._refuse_foreign(finished)
        self._stands_alone()
        self._hold()
        return self

    def __exit__(self, _kind: Any, error: BaseException | None, _trace: Any) -> None:
        try:
            overtaken = self._overtaken(error)
            claim = self._claimed()
            done = claim is None or (claim["owner"] == self._owner and self.made is not None)
            if done or (claim and self._by(claim["job"], self._finished())):
                self._clear()
            if overtaken:
                raise overtaken from error
        finally:
            if self._lock is not None:
                os.close(self._lock)
                with contextlib.suppress(OSError):  # only an empty folder goes
                    os.rmdir(files.split_url(self.into)[1])

    def _finished(self) -> list[Opened]:
        """The finished things that lie there: the versions of a snapshot, or a run, or a mix."""
        if files.exists(files.join(self.into, manifest.MANIFEST)):
            found = [manifest.open_any(self.into)]
        else:
            found = [manifest.open_snapshot(f"{self.into}@{name}") for name in manifest.snapshot_ids(self.into)]
        if found and found[0].kind != self.kind:
            raise UsageError(
                f"{self.into} holds a finished {found[0].kind}, and a {self.kind} would be mixed into it. Name another folder."
            )
        return found

    @staticmethod
    def _by(job: str, finished: list[Opened]) -> Opened | None:
        """The finished thing that a job made."""
        return next((version for version in finished if version.manifest["job"] == job), None)

    def _refuse_foreign(self, finished: list[Opened]) -> None:
        if self._claimed():  # what the claim's owner has moved into place is in no manifest yet
            return
        listed = {entry["path"] for version in finished for entry in version.manifest["files"]}
        ours = {WORK, MANIFESTS, checkpoint.FOLDER} if finished else {WORK}
        foreign = [path for path in files.list_files(self.into) if path not in listed and path.split("/")[0] not in ours]
        if foreign and finished:
            raise UsageError(
                f"{self.into} holds {foreign[0]}, which no version of the snapshot lists; nobody could tell it from the new one's. "
                f"`lowbackground verify {self.into}` names all such files; remove them."
            )
        if foreign:
            raise UsageError(
                f"{self.into} holds {foreign[0]} and is no {self.kind}; its files would lie among ours. Name an empty or new folder."
            )

    def _stands_alone(self) -> None:
        """A folder inside a finished thing would be an extra one there."""
        for above in _above(self.into):
            found = False
            with contextlib.suppress(PermissionError):  # who may see no more than a folder of a bucket
                found = files.exists(files.join(above, manifest.MANIFEST)) or bool(manifest.snapshot_ids(above))
            if found:
                raise UsageError(
                    f"--into {self.into} lies inside {above}, which is finished and would no longer verify. Name a folder apart."
                )

    def _hold(self) -> None:
        """Keeps other commands out, as long as this process lives. Object stores have no such lock."""
        if not files.is_local(self.into):
            return
        import fcntl

        folder = files.split_url(self.work)[1]
        path = os.path.join(folder, LOCK)
        while self._lock is None:
            try:
                os.makedirs(folder, exist_ok=True)
                lock = os.open(path, os.O_CREAT | os.O_RDWR)
            except (FileNotFoundError, FileExistsError):  # another command is just removing its work folder
                if os.path.isfile(folder):
                    raise
                continue
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.stat(path).st_ino == os.fstat(lock).st_ino:
                    self._lock = lock
                    return
            except FileNotFoundError:  # as above: this lock is no longer anybody's
                pass
            except OSError as error:
                os.close(lock)
                raise UsageError(
                    f"another command is writing into {self.into}; the two would undo each other's work. "
                    "Wait for it, or name another folder."
                ) from error
            os.close(lock)

    def _clear(self) -> None:
        """Removes the work folder; on a local disk the lock last, since whoever finds none makes one of their own."""
        if self._lock is None:
            files.remove_tree(self.work)
            return
        folder = files.split_url(self.work)[1]
        for entry in list(os.scandir(folder)):
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path, ignore_errors=True)
            elif entry.name != LOCK:
                os.unlink(entry.path)
        os.unlink(os.path.join(folder, LOCK))
        with contextlib.suppress(OSError):  # another command may have made its lock there
            os.rmdir(folder)

    def _claimed(self) -> dict[str, str] | None:
        """The claim that lies there: job, kind and owner; None if there is none, or if its writer was killed at it."""
        try:
            claim = json.loads(files.read_bytes(files.join(self.work, JOB)))
            return {name: str(claim[name]) for name in ("job", "kind", "owner")}
        except (FileNotFoundError, ValueError, KeyError, TypeError):
            return None

    def claim(self, job: str) -> Opened | None:
        """Takes the folder for the work named by the digest `job`; returns what is finished there if it is the same, with
        the files that it was to remove gone.

        Raises `UsageError` where other settings or inputs made what lies there, where they are at it, or where another
        version extends the one that this is to extend.
        """
        finished = self._finished()
        for version in finished:
            self._remove(version, finished, version.removed)
        if not (made := self._by(job, finished)):
            self._refuse_others(job, finished)
            self._take(job, finished)
            # Another command may have finished between the look and the claim.
            finished = self._finished()
            if not (made := self._by(job, finished)):
                try:
                    self._refuse_others(job, finished)
                except UsageError:
                    self.release()
                    raise
        self._known = {version.id for version in finished}
        return made

    def _refuse_others(self, job: str, finished: list[Opened]) -> None:
        """Raises `UsageError` unless a new thing may be added to what is finished."""
        if self.extends is not None:
            children = [version.id for version in finished if version.manifest.get("parent") == self.extends]
            if children:
                raise UsageError(
                    f"version {children[0]} extends {self.extends} already, and the history of a snapshot has no branches; what was "
                    f"proven of one would not hold in the other. Extend the newest version, or copy {self.extends} to another folder."
                )
        elif finished:
            other = str(finished[0].manifest["job"])
            growing = " To add to the snapshot, name the version to grow from with --extends ID." if self.kind == "snapshot" else ""
            raise UsageError(
                f"{self.into} holds a {self.kind} that other settings or inputs made (its job is {other[:12]}, "
                f"this one {job[:12]}); the two would be mixed. Name another folder.{growing}"
            )

    def _take(self, job: str, finished: list[Opened]) -> None:
        """Makes the claim ours. Raises `UsageError` where another job has it and is not finished."""
        where, mine = files.join(self.work, JOB), canonical_json({"job": job, "kind": self.kind, "owner": self._owner})
        for _ in range(10):
            if files.create_exclusive(where, mine):
                break
            claim = self._claimed()
            if claim is None or claim["owner"] == self._owner or claim["job"] == job:  # ours after all, or one that was killed
                files.write_bytes(where, mine)
                break
            if not self._by(claim["job"], finished):
                whole = (
                    f"remove {self.work} and what `lowbackground verify` then names as extra" if finished else f"remove {self.into}"
                )
                raise UsageError(
                    f"{self.into} holds the unfinished work of another command (job {claim['job'][:12]}, this one {job[:12]}), or that "
                    "command is at it now: settings or inputs differ, and the two would be mixed. "
                    f"Finish that one, or {whole} and run again."
                )
            files.remove(where)  # it was killed when all was done but this
        self._job = job

    def _still_ours(self) -> None:
        """Raises `UsageError` where another command took the folder since the claim."""
        if not self._job:
            return
        claim = self._claimed()
        if claim is None or claim["owner"] != self._owner or set(manifest.snapshot_ids(self.into)) - self._known:
            raise UsageError(
                f"another command took {self.into} over while this one worked; nothing of this one's was finished. "
                "Look at what is there, and run this command again if it is not what you want."
            )

    def _overtaken(self, error: BaseException | None) -> UsageError | None:
        """What to say where a command failed because another one, on a store without locks, removed what it worked on."""
        if self._lock is not None or not isinstance(error, Incomplete | OSError):
            return None
        claim = self._claimed()
        ours = claim["owner"] == self._owner if claim else not (self._job or {one.id for one in self._finished()} - self._known)
        if ours:
            return None
        return UsageError(
            f"another command works in {self.into} or finished there while this one did, and this one could not go on: {error} "
            "Look at what is there, and run this command again if it is not what you want."
        )

    def note(self) -> dict[str, str]:
        """What a summary says where nothing had to be done."""
        return {} if self.made is not None else {"unchanged": "it was complete already; nothing was written"}

    def release(self) -> None:
        """Gives up a folder in which nothing was made yet, so that other settings may have it."""
        if (claim := self._claimed()) and claim["owner"] == self._owner:
            files.remove(files.join(self.work, JOB))
        self._job = ""

    def promote(self, receipts: dict[str, dict[str, Any]], folder: str) -> list[dict[str, Any]]:
        """Moves a stage's finished files from its work folder into place; returns their manifest lines.

        May be killed and repeated: a file that is no longer in the work folder has been moved. Raises `UsageError` where
        another command took the folder.
        """
        self._still_ours()
        entries = [entry for receipt in receipts.values() for entry in receipt["files"]]
        self._announce([entry["path"] for entry in entries])
        for entry in entries:
            source, destination = files.join(folder, entry["path"]), files.join(self.into, entry["path"])
            with contextlib.suppress(FileNotFoundError):
                files.move(source, destination)
                continue
            if not files.exists(destination):
                raise Incomplete(
                    f"{entry['path']} is neither in the work folder nor in {self.into}: somebody removed it. Remove {self.into} and rerun."
                )
        return entries

    def _announce(self, paths: list[str]) -> None:
        before = manifest.placing(self.into)
        if set(paths) - before:
            files.write_bytes(files.join(self.work, PLACING), canonical_json(sorted(before | set(paths))))

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
        """Writes the manifest, after which the thing is there. Raises `UsageError` where another command took the folder."""
        self._still_ours()
        write = manifest.write_snapshot if self.kind == "snapshot" else manifest.write
        self.made = write(self.into, {"kind": self.kind, **body}, self.work)
        return self.made

    def remove_listed(self, paths: Sequence[str]) -> None:
        """Removes files of earlier versions that the finished version no longer lists; may be killed and repeated.

        Raises `CheckFailed` where a path is none of theirs, and removes nothing then.
        """
        if self.made is None:
            raise CheckFailed("files of earlier versions go only after the manifest of the new one is there. Report this.")
        self._remove(self.made, self._finished(), paths)

    def _remove(self, version: Opened, finished: list[Opened], paths: Sequence[str]) -> None:
        if not paths:
            return
        others = {entry["path"] for other in finished if other.id != version.id for entry in other.manifest["files"]}
        kept = {entry["path"] for entry in version.manifest["files"]}
        if wrong := [path for path in paths if path in kept or path not in others]:
            raise CheckFailed(
                f"version {version.id} of {self.into} is said to have removed {wrong[0]}, which is no file that an earlier version had "
                "and it has not. Nothing was removed; restore the folder from a copy."
            )
        for path in paths:
            files.remove(files.join(self.into, path))

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
        # By way of the work folder, so that a kill leaves no half of it beside the thing.
        files.write_bytes(files.join(self.work, "log"), before + line.encode() + b"\n")
        files.move(files.join(self.work, "log"), where)
