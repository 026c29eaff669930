"""`verify`: checks a snapshot, a run or a mix from its own bytes, against an id that the user trusts."""

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from pipelines.progress import Meter
from store import files, integrity, manifest
from store.errors import CheckFailed, UsageError
from store.manifest import Opened

CONSISTENT = 3
"""Exit code for what is consistent in itself but was not held against an id from elsewhere."""
DEEPEST = 4
"""Folders from a mix down to a file of a shard, at most: `human/data/NAME/FILE`."""


def run(
    target: str,
    anchor: str | None,
    quiet: bool = False,
    sample: float | None = None,
    replay: Sequence[str] = (),
    sample_seed: str | None = None,
    keys: Sequence[str] = (),
    max_cutoff: str | None = None,
    texts: str | None = None,
) -> dict[str, Any]:
    """Verifies what lies at `target`; returns the summary with `wrong`, `missing`, `extra` and `exit_code`.

    Raises `UsageError` where nothing finished lies there. `anchor` is the id of the snapshot that the user trusts: the
    snapshot's own or that of a version which it extends, the one that a run was curated against, or the one that a mix draws
    its human side from. `sample` (0 < share <= 1) looks at a random part of a snapshot's files, and `replay` names SOURCES
    to extract a random part of its documents from again; `sample_seed` (hex) repeats a draw. `keys` are verifier keys that the
    user trusts: a checkpoint that one of them signed vouches for a snapshot as its id does, and for the snapshot of a mix.
    `target` may be one shard of a mix. `max_cutoff` (a date) is the latest cutoff of a mix's snapshot, 2022-01-01 without it, and
    `texts` the snapshot of a mix of tokens.
    """
    anchor = _normal(anchor)
    if sample is not None and not 0 < sample <= 1:
        raise UsageError(
            f"--sample {sample} is no share of the files; nothing could be drawn. Give more than 0 and at most 1, such as 0.01."
        )
    if sample_seed is not None:
        from store import sampling

        sample_seed = sampling.given_seed(sample_seed)
    mix, shard = mix_of(target) or (target, None)
    try:
        kind, opened = ("mix", None) if shard else _open(target)
    except CheckFailed as error:
        return _failed(target, str(error))
    if kind != "snapshot" and (sample is not None or replay):
        raise UsageError(
            f"--sample and --replay are for snapshots, and {target} is a {kind}. Leave them out: all of it is checked."
        )
    if kind == "run" and keys:
        raise UsageError(
            f"--key would count for nothing: it is for snapshots, mixes, proofs and lists given with --revoked, and {target} is a run. "
            "Name the id of its snapshot with --anchor."
        )
    if kind == "mix" or opened is None:
        return _mix(target, mix, shard, anchor, keys, max_cutoff, texts)
    if given := [name for name, value in (("--max-cutoff", max_cutoff), ("--texts", texts)) if value is not None]:
        raise UsageError(f"{given[0]} would count for nothing: it is for mixes, and {target} is a {kind}. Leave it out.")
    if kind == "snapshot":
        return _snapshot(target, opened, anchor, quiet, sample, replay, sample_seed, keys)
    meter = Meter("verify", sum(entry["size"] for entry in opened.manifest["files"]), quiet)
    summary = integrity.check_run(opened, meter).summary() | {"id": opened.id, "kind": kind, "target": target, "anchor": anchor}
    trusted = [snapshot["id"] for snapshot in opened.manifest["snapshots"]]
    if anchor and anchor not in trusted:
        _blame(summary, manifest.MANIFEST, f"the anchor is {anchor}, and this run has {', '.join(trusted) or 'no snapshot'}")
    verdict = _verdict(summary, anchor)
    if verdict["exit_code"] == 0:
        # A run proves nothing to a third party: it can only be whole, and name the snapshot.
        verdict["result"] = "CONSISTENT, CURATED AGAINST THE ANCHOR"
    return _describe(opened, summary) | verdict


def mix_of(target: str) -> tuple[str, str] | None:
    """The mix in which a shard lies and the shard's path there, where `target` is a file or folder of one; else None.

    Raises `UsageError` for a shard beside which there is no manifest.
    """
    from store.verify_mix import NUMBERED

    path = target.rstrip("/")
    if not any(NUMBERED.match(part) for part in path.split("/")[-2:]):
        return None
    base = path
    for _ in range(DEEPEST):
        base, slash, _ = base.rpartition("/")
        if files.exists(files.join(base, manifest.MANIFEST) if base else f"{slash}{manifest.MANIFEST}"):
            return base or slash or ".", path.removeprefix(base).removeprefix("/")
        if not base or base.endswith(":/"):
            break
    raise UsageError(
        f"{target} is named as a shard is, and no folder above it has a {manifest.MANIFEST}; without it and the shard's proof nothing "
        "can be checked. Put manifest.json and proof/ of the mix where they lie beside data/."
    )


def _mix(
    target: str, mix: str, shard: str | None, anchor: str | None, keys: Sequence[str], max_cutoff: str | None, texts: str | None
) -> dict[str, Any]:
    """Verifies a mix, or one shard of it."""
    from pipelines import moments
    from store.verify_mix import LATEST_CUTOFF, verify_mix

    latest = LATEST_CUTOFF if max_cutoff is None else max_cutoff
    try:
        moments.instant(latest)
    except ValueError as error:
        raise UsageError(
            f"--max-cutoff {max_cutoff!r} is no date ({error}); the cutoff of a snapshot is held against it. Write 2022-01-01."
        ) from error
    where = None if texts is None else manifest.open_snapshot(texts).url
    summary = verify_mix(mix, anchor, latest, keys=keys, texts=where, shard=shard)
    vouched = " AND ".join(summary["signed_by"])
    verdict = _verdict(summary, anchor or vouched)
    if verdict["exit_code"] != 1 and summary["unverified"]:
        anchored = "" if anchor or vouched else ", NOT ANCHORED"
        verdict = {"result": f"CONSISTENT{anchored}, NOT VERIFIABLE WITHOUT THE SNAPSHOT", "exit_code": CONSISTENT}
    if verdict["exit_code"] != 1:
        verdict["result"] += (f", SIGNED BY {vouched}" if vouched else "") + (", ONE SHARD" if shard else "")
    return summary | {"kind": "mix", "target": target} | verdict


def _snapshot(
    target: str,
    opened: Opened,
    anchor: str | None,
    quiet: bool,
    share: float | None,
    replay: Sequence[str],
    seed: str | None,
    keys: Sequence[str],
) -> dict[str, Any]:
    """Verifies a snapshot, or a sample of it."""
    from pipelines import sketching
    from store import sampling
    from store.verify_snapshot import check_snapshot

    seed = seed or sampling.fresh_seed()
    sample = None if share is None else sampling.Sample(share, seed)
    meter = Meter("verify", sum(entry["size"] for entry in opened.manifest["files"]), quiet)
    sketch, again = sketching.sketcher(opened)
    summary = check_snapshot(opened, meter, sample, sketch).summary()
    summary |= {} if sample else {"sketches": again}
    summary |= {"id": opened.id, "kind": "snapshot", "target": target, "anchor": anchor}
    where = f"{manifest.MANIFESTS}/{opened.id}.json"
    extends = None
    if anchor and anchor != opened.id:
        try:
            extends = _extended(opened, anchor)
            summary["extends"] = extends["id"]
        except (CheckFailed, ValueError) as error:
            _blame(summary, where, str(error))
    if older := manifest.older_rules(opened):
        summary["rules_other_then"] = older
    if replay and not (summary["wrong"] or summary["missing"]):
        _replay(opened, replay, share, seed, summary)
    vouched = _vouched(opened, keys, summary)
    verdict = _verdict(summary, anchor or vouched)
    if verdict["exit_code"] != 1 and share is not None:
        verdict["result"] = "SAMPLED, NO CHANGE FOUND" if anchor or vouched else "SAMPLED, NOT ANCHORED"
    if verdict["exit_code"] == 0 and vouched:
        verdict["result"] += f", SIGNED BY {vouched}"
    if verdict["exit_code"] == 0 and extends:
        verdict["result"] += ", EXTENDS THE ANCHOR"
    return _describe(opened, summary, extends) | verdict


def _vouched(opened: Opened, keys: Sequence[str], summary: dict[str, Any]) -> str:
    """Whose trusted signature the snapshot's checkpoint has; empty where no key is given. Notes who signed it."""
    from store import checkpoint, notes

    summary["signed_by"] = (
        [verifier.name for verifier in notes.verifiers(opened.manifest["signers"])] if not summary["wrong"] else []
    )
    known, where = notes.verifiers(keys), checkpoint.path(opened.id)
    if not known:
        return ""
    try:
        signed = checkpoint.verify(files.read_bytes(files.join(opened.url, where)), known, where)[1]
        return " AND ".join(verifier.name for verifier in signed)
    except FileNotFoundError:
        _blame(
            summary,
            f"{manifest.MANIFESTS}/{opened.id}.json",
            "nobody signed this version, so no key vouches for it; name its id with --anchor",
        )
    except CheckFailed as error:
        _blame(summary, where, str(error))
    return ""


def _blame(summary: dict[str, Any], path: str, why: str) -> None:
    """Adds a wrong file to a summary; the first reason stays."""
    if path not in summary["wrong"]:
        summary["wrong"] = sorted([*summary["wrong"], path])
    summary["why"].setdefault(path, why)


def _extended(opened: Opened, anchor: str) -> dict[str, Any]:
    """The anchor's tree, which each version from the anchor to this one proves to be a beginning of its own.

    Raises `CheckFailed` where the anchor is none of the versions that this one extends or a manifest between is missing or
    changed, `ValueError` where a proof fails.
    """
    from store.verify_history import check_chain

    versions = manifest.lineage(opened)
    at = next((number for number, version in enumerate(versions) if version.id == anchor), None)
    if at is None:
        raise CheckFailed(f"the anchor is {anchor}, and this snapshot is {opened.id}, which does not extend it")
    for parent, version in pairwise(versions[at:]):
        check_chain(version, parent)
    signed, now = ({tuple(key.split("+")[:2]) for key in one.manifest["signers"]} for one in (versions[at], opened))
    told = [", ".join(map("+".join, sorted(keys))) or "nobody" for keys in (signed, now)]
    by = f"; the anchor is signed by {told[0]}, and this version by {told[1]}" if signed - now else ""
    return {"id": anchor, "size": versions[at].manifest["tree"]["size"], "signed": by}


def _replay(opened: Opened, sources: Sequence[str], share: float | None, seed: str, summary: dict[str, Any]) -> None:
    """Adds what extracting again gave; a text that differs under the same parameters makes its file a wrong one."""
    from pipelines import replay

    try:
        found = replay.replay(opened, sources, share, seed)
    except CheckFailed as error:
        summary["replay"] = {"impossible": str(error)}
        return
    for key, path in found.pop("paths").items():
        _blame(summary, path, f"document {key} is not what its source gives: {found['differ'][key]}")
    if found["other_parameters"]:
        found["note"] = "parameters are not those of the freeze, so a text that differs is no proof of a change"
    summary["replay"] = found


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
    kind = manifest.parse(_bytes(target, where), where)["kind"]
    if kind == "mix":
        return "mix", Opened(target, "", {"kind": "mix"})
    if kind != "run":
        raise CheckFailed(
            f"{where} says it is a {kind!r}, which nothing writes there; it was changed. Restore it, or make it anew."
        )
    return "run", manifest.open_run(target)


def _bytes(target: str, where: str) -> bytes:
    """The manifest of a run or mix. Raises `CheckFailed` for a pipe, a device or more than fits in memory."""
    from store.verify_folder import Check
    from store.verify_shard import Wrong

    try:
        return Check(target).read(manifest.MANIFEST)
    except Wrong as error:
        raise CheckFailed(
            f"{where} is no manifest ({error}), so nothing can be checked. Restore the file, or make the folder anew."
        ) from error


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


def _describe(opened: Opened, summary: dict[str, Any], extends: dict[str, Any] | None = None) -> dict[str, Any]:
    """Adds what is proven, in one line, to the summary of a run or snapshot."""
    if summary["wrong"] or summary["missing"]:
        return summary
    counts = opened.manifest["counts"]
    if opened.kind == "run":
        line = f"{counts['records']:,} records = {counts['documents']:,} documents + {counts['rejects']:,} rejects; nothing was lost silently"
        return summary | {"line": line}
    levels = ", ".join(f"{number:,} {level}" for level, number in sorted(counts["eligible"].items()) if number) or "none"
    sampled = summary.get("sampled")
    gone = (counts.get("ineligible") or {}).get("redacted", 0)
    held = counts["documents"] - gone
    state = ("" if sampled else " unchanged") + (f", {gone:,} redacted," if gone else "")
    line = f"{held:,} document{'' if held == 1 else 's'}{state} {'of' if sampled else 'since'} id {opened.id[:12]}; eligible as human, by attestation: {levels}; cutoff {opened.manifest['cutoff']}"
    if extends:
        line += f"; extends the anchor {extends['id'][:12]}, whose {extends['size']:,} leaves are the first of its {opened.manifest['tree']['size']:,} by consistency proof{extends['signed']}"
    if sampled:
        line = f"{_chances(sampled)}; {line}"
    return summary | {"line": line}


def _chances(sampled: dict[str, Any]) -> str:
    missed = ", ".join(
        f"{chance:.3g} if {number} {'file was' if number == '1' else 'files were'} changed"
        for number, chance in sampled["missed_if_this_many_files_changed"].items()
    )
    return f"SAMPLED {sampled['files']} files; a change is missed with a probability of at most {missed or 0}"
