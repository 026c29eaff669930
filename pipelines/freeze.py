"""`freeze`: make a snapshot of sources that are older than a cutoff, which nobody can change unnoticed; let it grow, or redact it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipelines import config, freezing, moments
from pipelines.curate import dry_run, ordered, parameters
from pipelines.progress import Progress
from pipelines.runner import Runner, check_beam_args
from pipelines.target import Target, apart
from provenance import minhash, schema
from store import manifest, notes
from store.errors import UsageError
from store.manifest import Opened

if TYPE_CHECKING:
    from pipelines.cli import Job

DATASETS = ("documents", "leaves", "rejects", "sources", "signatures", *schema.INDEXES, "evidence", "tags", "manifests")


@dataclass(frozen=True)
class Order:
    """What a freeze was asked to do, as the command line gives it."""

    sources: Sequence[str]
    into: str
    cutoff: str | None = None
    declaration: str | None = None
    extends: str | None = None
    redact: str | None = None
    sign: str | None = None
    index_only: bool = False
    trust: str | None = None
    checksums: Sequence[str] = field(default=())
    indexes: Sequence[str] = field(default=())
    timestamps: Sequence[str] = field(default=())


def run(order: Order, job: "Job") -> dict[str, Any]:
    """Runs the verb; returns the closing summary. Raises `UsageError`, `CheckFailed`, `Incomplete`."""
    settings = config.resolve("freeze", job.config, job.overrides)
    check_beam_args(job.beam_args, job.workers)
    plain, made = config.plain(settings), parameters(settings)
    parent = _parent(order, made)
    cutoff = _cutoff(order, parent)
    admission = {"cutoff": cutoff, "declaration": _declaration(order.declaration)}
    index_only = order.index_only or bool(parent and parent.index_only)
    if job.dry_run:
        writes = [f"{dataset}/" for dataset in DATASETS]
        return dry_run(order.sources, order.into, plain | {"admission": admission}, writes, [parent.id] if parent else [])
    progress = Progress(quiet=job.quiet)
    apart(order.into, order.sources)
    signer = notes.read_key(order.sign, plain["freeze"]["origin"]) if order.sign else None
    with (
        Target(order.into, "snapshot", parent.id if parent else None) as target,
        Runner(job.workers, job.beam_args, progress) as runner,
    ):
        chain = freezing.Chain(target, plain, config.portable(settings), made, admission, runner, parent, index_only, signer)
        opened, said = chain.run(order)
        target.log("freeze", progress)
    return summary(order.into, opened, said, parent) | target.note()


def _parent(order: Order, made: dict[str, Any]) -> Opened | None:
    """The version to extend. Raises `UsageError` where there is none, or what is asked for does not fit it."""
    if order.extends is None:
        if not order.sources:
            raise UsageError("freeze needs a SOURCE: without --extends there is nothing that it could grow, redact or sign.")
        if order.redact:
            raise UsageError("--redact removes texts from a version that is there. Name it with --extends ID.")
        return None
    if not (order.sources or order.redact or order.sign):
        raise UsageError("--extends was given nothing to do. Name a SOURCE to add, --redact LIST or --sign KEY.")
    parent = manifest.open_snapshot(f"{order.into}@{order.extends}")
    if order.index_only and not parent.index_only:
        raise UsageError(
            f"--index-only was asked for and {parent.id[:12]} keeps its texts; a snapshot is of one kind. Freeze into another folder."
        )
    try:
        minhash.check_compatible(made["minhash"], parent.manifest["parameters"]["minhash"])
    except ValueError as error:
        raise UsageError(f"extending {order.into}@{parent.id[:12]}: {error}") from error
    return parent


def _cutoff(order: Order, parent: Opened | None) -> str:
    """The cutoff as an instant in UTC; a date is its first instant. Raises `UsageError`."""
    text = order.cutoff
    if text is None:
        if parent is None:
            raise UsageError("--cutoff is missing: it is the date before which every capture must end. Write --cutoff 2022-01-01.")
        return str(parent.manifest["cutoff"])
    try:
        instant = moments.instant(text)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--cutoff {text!r} is no date: {error}. Captures are compared with it; write 2022-01-01 or 2022-01-01T00:00:00Z."
        ) from error
    if instant > datetime.now(UTC):
        raise UsageError(
            f"--cutoff {text} lies in the future, so captures that nobody can have made would pass it. Name a past date."
        )
    if parent is not None and moments.text(instant) != parent.manifest["cutoff"]:
        raise UsageError(
            f"--cutoff {text} is not the one of {parent.id[:12]}, {parent.manifest['cutoff']}; its documents were admitted by that one. "
            "Leave the option out."
        )
    return moments.text(instant)


def _declaration(text: str | None) -> str | None:
    if text is not None and not text.strip():
        raise UsageError(
            "--declare is empty; it stays in the manifest as the only word for rows without a capture time. Say who vouches, and why."
        )
    return text


def _added(opened: Opened, parent: Opened) -> dict[str, int]:
    """What a version has that its parent has not, by the counts of both; `redacted` counts documents, as `ineligible` does."""
    ours, theirs = opened.manifest["counts"], parent.manifest["counts"]
    documents, leaves = (ours[name] - theirs[name] for name in ("documents", "leaves"))
    redacted = ours["ineligible"].get("redacted", 0) - theirs["ineligible"].get("redacted", 0)
    return {"documents": documents, "leaves": leaves, "further_witnesses": leaves - documents, "redacted": redacted}


def summary(into: str, opened: Opened, said: Sequence[str] = (), parent: Opened | None = None) -> dict[str, Any]:
    """The closing summary of a finished snapshot, which extends `parent`."""
    lines = []
    found = {
        "snapshot": into,
        "id": opened.id,
        "parent": opened.manifest["parent"],
        "cutoff": opened.manifest["cutoff"],
        "declaration": opened.manifest["declaration"],
        "tree": {name: opened.manifest["tree"][name] for name in ("size", "root")},
        **ordered(opened.manifest["counts"]),
    }
    if parent is not None:
        found["added"] = _added(opened, parent)
        if not (any(found["added"].values()) or opened.manifest["signers"]):
            lines.append("Nothing new: all that was given is in the parent already.")
    if opened.manifest["signers"]:
        found["verifier_key"] = ", ".join(opened.manifest["signers"])
    if said:
        found["notes"] = list(said)
    if opened.index_only:
        lines.append("Index only: it can be deduplicated against, and holds no text that a mix could draw.")
    if not opened.manifest["counts"]["documents"]:
        lines.append("Warning: nothing was frozen; all records were rejected, for the reasons below.")
    return found | ({"line": " ".join(lines)} if lines else {})
