"""What `verify` says beside whether files are whole: proofs that documents are in a snapshot, and what was revoked since."""

from collections.abc import Sequence
from typing import Any

from pipelines.verify import CONSISTENT
from store import files, proofs, revocation
from store.catalog import connect
from store.errors import CheckFailed, UsageError
from store.manifest import open_any, open_snapshot


def prove(target: str, keys: str, out: str | None) -> dict[str, Any]:
    """Writes the proof for comma-separated `keys` of a snapshot's documents. Raises `UsageError`, `CheckFailed`."""
    if not out:
        raise UsageError("--prove has nowhere to write; name the proof's file with --out FILE.")
    return proofs.write_proof(open_snapshot(target), keys.split(","), out)


def is_proof(target: str) -> bool:
    """Whether a target is one file, and so a proof and no folder."""
    return files.is_file(target)


def check(target: str, anchor: str | None, vkeys: Sequence[str]) -> dict[str, Any]:
    """Checks a proof file against an id or verifier keys that the user trusts."""
    found = proofs.verify_proof(target, anchor, vkeys)
    if found["wrong"] or found["missing"]:
        return found | {"result": "FAILED", "exit_code": 1}
    if not found["anchored"]:
        return found | {"result": "CONSISTENT, NOT ANCHORED", "exit_code": CONSISTENT}
    return found | {"result": "VERIFIED", "exit_code": 0}


def lowered(target: str, url: str, vkeys: Sequence[str], summary: dict[str, Any]) -> dict[str, Any]:
    """The summary of a snapshot or mix that is whole, with what a revocation list takes from it.

    A mix that no longer keeps its floor fails. Raises `UsageError` for a list that cannot be read, `CheckFailed` for one that
    nobody trusted signed.
    """
    opened = open_any(target)
    if opened.kind == "snapshot":
        return summary | {"revoked": revocation.summary(opened, revocation.read_for(opened, url, vkeys))}
    if opened.kind != "mix":
        raise UsageError(f"--revoked is for snapshots and mixes, and {target} is a {opened.kind}. Leave it out.")
    name, snapshot = revocation.of_mix(opened)
    revoked = revocation.read(url, snapshot.get("signers") or [], vkeys)
    if not revoked.applies(name, snapshot):
        raise UsageError(f"{url} is for {revoked.scope}, and this mix draws from snapshot {name}. Name the list of that snapshot.")
    found = revocation.mix_summary(connect(opened, revoked), opened)
    broken = [unit for unit, held in found["units"].items() if held is not None and not held["floor_holds"]]
    if broken:
        found["result"] = f"the floor no longer holds in {' and '.join(broken)}"
        return summary | {"revoked": found, "result": "FAILED: REVOKED BELOW ITS FLOOR", "exit_code": CheckFailed.exit_code}
    return summary | {"revoked": found}
