"""`verify`: checks a snapshot, a run or a mix from its own bytes, against an id that the user trusts."""

import re
from typing import Any

from pipelines.progress import Meter
from store import files, integrity, manifest
from store.errors import CheckFailed, UsageError
from store.manifest import Opened

CONSISTENT = 3
"""Exit code for what is consistent in itself but was not held against an id from elsewhere."""


def run(target: str, anchor: str | None, quiet: bool = False) -> dict[str, Any]:
    """Verifies what lies at `target`; returns the summary with `wrong`, `missing`, `extra` and `exit_code`.

    Raises `UsageError` where nothing finished lies there. `anchor` is the id of the snapshot that the user trusts: the
    snapshot's own, the one that a run was curated against, or the one that a mix draws its human side from.
    """
    anchor = _normal(anchor)
    try:
        kind, opened = _open(target)
    except CheckFailed as error:
        return _failed(target, str(error))
    if kind == "mix":
        from store.verify_mix import verify_mix

        summary = verify_mix(target, anchor)
        return summary | {"kind": "mix", "target": target} | _verdict(summary, anchor)
    check = integrity.check_run if kind == "run" else integrity.check_snapshot
    meter = Meter("verify", sum(entry["size"] for entry in opened.manifest["files"]), quiet)
    summary = check(opened, meter).summary() | {"id": opened.id, "kind": kind, "target": target, "anchor": anchor}
    trusted = [opened.id] if kind == "snapshot" else [snapshot["id"] for snapshot in opened.manifest["snapshots"]]
    if anchor and anchor not in trusted:
        where = f"{manifest.MANIFESTS}/{opened.id}.json" if kind == "snapshot" else manifest.MANIFEST
        summary["wrong"].append(where)
        summary["why"][where] = f"the anchor is {anchor}, and this {kind} has {', '.join(trusted) or 'no snapshot'}"
    verdict = _verdict(summary, anchor)
    if kind == "run" and verdict["exit_code"] == 0:
        # A run proves nothing to a third party: it can only be whole, and name the snapshot.
        verdict["result"] = "CONSISTENT, CURATED AGAINST THE ANCHOR"
    return _describe(opened, summary) | verdict


def _normal(anchor: str | None) -> str | None:
    """The anchor as ids are written. Raises `UsageError` for what can be no id."""
    if anchor is not None and not re.fullmatch(r"[0-9a-f]{64}", anchor := anchor.strip().lower()):
        raise UsageError(
            f"--anchor {anchor!r} is no snapshot id, which has 64 hexadecimal digits; nothing could match it. `freeze` prints it."
        )
    return anchor


def _open(target: str) -> tuple[str, Opened]:
    where = files.join(target, manifest.MANIFEST)
    if not files.exists(where):
        return "snapshot", manifest.open_snapshot(target)
    kind = manifest.parse(files.read_bytes(where), where)["kind"]
    if kind == "mix":
        return "mix", Opened(target, "", {"kind": "mix"})
    if kind != "run":
        raise CheckFailed(
            f"{where} says it is a {kind!r}, which nothing writes there; it was changed. Restore it, or make it anew."
        )
    return "run", manifest.open_run(target)


def _failed(target: str, why: str) -> dict[str, Any]:
    """The summary for a manifest that cannot be used: it is the wrong file."""
    base = target.rpartition("@")[0] or target
    path = manifest.MANIFEST if files.exists(files.join(base, manifest.MANIFEST)) else manifest.MANIFESTS
    if path == manifest.MANIFESTS:
        named = [f"{path}/{name}.json" for name in manifest.snapshot_ids(base)]
        wrong = [name for name in named if name in why] or named
    else:
        wrong = [path]
    summary: dict[str, Any] = {"target": target, "wrong": wrong, "missing": [], "extra": [], "why": dict.fromkeys(wrong, why)}
    return summary | _verdict(summary, None)


def _verdict(summary: dict[str, Any], anchor: str | None) -> dict[str, Any]:
    if summary["wrong"] or summary["missing"] or summary["extra"]:
        return {"result": "FAILED", "exit_code": 1}
    if not anchor:
        return {"result": "CONSISTENT, NOT ANCHORED", "exit_code": CONSISTENT}
    return {"result": "VERIFIED", "exit_code": 0}


def _describe(opened: Opened, summary: dict[str, Any]) -> dict[str, Any]:
    """Adds what is proven, in one line, to the summary of a run or snapshot."""
    if summary["wrong"] or summary["missing"]:
        return summary
    counts = opened.manifest["counts"]
    if opened.kind == "run":
        line = f"{counts['records']:,} records = {counts['documents']:,} documents + {counts['rejects']:,} rejects; nothing was lost silently"
    else:
        levels = ", ".join(f"{number:,} {level}" for level, number in sorted(counts["eligible"].items())) or "none"
        line = f"{counts['documents']:,} documents unchanged since id {opened.id[:12]}; eligible as human, by attestation: {levels}; cutoff {opened.manifest['cutoff']}"
    return summary | {"line": line}
