"""The folder that a command writes: claimed by the digest of settings and inputs, and finished by a manifest.

The same command finds its own work and goes on, or finds the finished thing and changes nothing; another command is
refused, so that nothing is ever a mixture.
"""

import json
import time
from typing import Any

from pipelines.progress import Progress
from provenance.identity import canonical_json
from store import files, manifest
from store.errors import UsageError
from store.manifest import WORK, Opened


def work(into: str) -> str:
    """Folder of work in progress of a target."""
    return files.join(into, WORK)


def finished(into: str, kind: str) -> Opened | None:
    """The finished thing that lies there, if any. Raises `UsageError` where it is of another kind."""
    if files.exists(files.join(into, manifest.MANIFEST)):
        opened: Opened | None = manifest.open_any(into)
    elif manifest.snapshot_ids(into):
        opened = manifest.open_snapshot(into)
    else:
        opened = None
    if opened and opened.kind != kind:
        raise UsageError(f"{into} holds a finished {opened.kind}, and a {kind} would be mixed into it. Name another folder.")
    return opened


def claim(into: str, kind: str, job: str) -> Opened | None:
    """Takes the folder for the work named by the digest `job`; returns what is finished there if it is the same.

    Raises `UsageError` where other settings or inputs made what lies there.
    """
    opened = finished(into, kind)
    if opened is not None:
        # All that a command may have left here is the survey by which it knew its job.
        files.remove_tree(work(into))
        if opened.manifest["job"] != job:
            raise UsageError(
                f"{into} holds a {kind} that other settings or inputs made (its job is {opened.manifest['job'][:12]}, this one {job[:12]}); "
                "the two would be mixed. Name another folder, or remove that one."
            )
        return opened
    where = files.join(work(into), "job.json")
    if files.exists(where):
        other = json.loads(files.read_bytes(where))["job"]
        if other != job:
            raise UsageError(
                f"{into} holds the unfinished work of another command (job {other[:12]}, this one {job[:12]}): settings or inputs changed since. "
                f"Finish that one, or remove {work(into)} and run again."
            )
    foreign = [path for path in files.list_files(into) if path.split("/")[0] not in (WORK, *DATASET_FOLDERS)]
    if foreign:
        raise UsageError(
            f"{into} holds {foreign[0]} and is no {kind}; its files would lie among ours. Name an empty or new folder."
        )
    files.write_bytes(where, canonical_json({"job": job, "kind": kind}))
    return None


def release(into: str) -> None:
    """Gives up a folder in which nothing was made yet, so that other settings may have it."""
    files.remove_tree(work(into))


DATASET_FOLDERS = (
    "documents",
    "rejects",
    "sources",
    "signatures",
    "evidence",
    "matches",
    "tags",
    "bands",
    "data",
    "proof",
    "README.md",
)
"""What an interrupted end of a command may have moved into place before its manifest."""


def close(into: str, log: dict[str, Any], progress: Progress) -> None:
    """Removes the work folder and appends times to the log beside the target: nothing inside depends on the clock."""
    files.remove_tree(work(into))
    line = json.dumps(
        log
        | {
            "finished": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            "seconds": {k: round(v, 3) for k, v in progress.seconds.items()},
        }
    )
    where = into.rstrip("/") + ".log"
    before = files.read_bytes(where) if files.exists(where) else b""
    files.write_bytes(where, before + line.encode() + b"\n")
