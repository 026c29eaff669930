"""`mix`: shards in which at least the set share is verified human, whatever prefix or shard a trainer reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from pipelines import mixcard, purifying, references
from pipelines.mixing import Scatter, WriteShard
from pipelines.planning import Planned, plan
from pipelines.progress import Progress
from pipelines.runner import Runner, check_beam_args
from pipelines.stage import Stage
from pipelines.target import Target
from provenance import floor as floors
from provenance.floor import Mix
from provenance.identity import digest, sha256_hex
from store import files, integrity, manifest, revocation, shards
from store.errors import LowbackgroundError, UsageError
from store.manifest import Opened
from store.revocation import Revocations

if TYPE_CHECKING:
    from pipelines.cli import Job

__all__ = ["Mix", "Scatter", "WriteShard", "plan", "run"]
TOKENIZER = "proof/tokenizer.bin"
SNAPSHOT = "proof/snapshot.manifest"
"""Copies that travel with the mix, under names that no loader of data picks up."""


def run(
    runs: Sequence[str],
    snapshot: str,
    into: str,
    floor: str | None,
    min_attestation: str | None,
    job: "Job",
    revoked: str | None = None,
    vkeys: Sequence[str] = (),
) -> dict[str, Any]:
    """Runs the verb; returns the closing summary. `revoked` is a signed list of leaves that prove nothing any more, believed by
    the snapshot's signers and by `vkeys`.

    Raises `UsageError` for a run that was not curated against the snapshot, or a snapshot without texts, `CheckFailed` where
    the human side does not suffice, `Incomplete` where the run did not finish.
    """
    from pipelines import config

    given = [("mix.floor", floor), ("mix.min_attestation", min_attestation)]
    overrides = [*job.overrides, *((name, value) for name, value in given if value is not None)]
    mix: Any = config.resolve("mix", job.config, overrides)["mix"]
    check_beam_args(job.beam_args, job.workers)
    shards.named(mix.format)
    frozen, crawled = open_sources(snapshot, runs)
    plain, tokenizer = settings(mix)
    lowered = revocation.read_for(frozen, revoked, vkeys) if revoked else None
    order = Order(mix, plain, frozen, crawled, tokenizer, lowered)
    idle = {"revoked_unmatched": revocation.unmatched(frozen, lowered)} if lowered else {}
    if job.dry_run:
        return _dry_run(order, into) | idle
    progress = Progress(quiet=job.quiet)
    with Target(into, "mix") as target, Runner(job.workers, job.beam_args, progress) as runner:
        opened = target.claim(order.job)
        if opened is None:
            try:
                planned = plan(mix, frozen, crawled, target.work, revoked=lowered)
            except LowbackgroundError:
                target.release()
                raise
            opened = write(target, order, planned, runner)
            target.log("mix", progress)
    return summary(into, opened) | target.note() | idle


def open_sources(snapshot: str, runs: Sequence[str]) -> tuple[Opened, list[Opened]]:
    """The snapshot and the runs.

    Raises `UsageError` for a run that was not curated against this snapshot, or a snapshot without texts, `CheckFailed` where
    files are not what a manifest says.
    """
    frozen = manifest.open_snapshot(snapshot)
    references.require_texts(frozen)
    crawled = list({run.id: run for run in map(manifest.open_run, runs)}.values())
    for run in crawled:
        against = [known["id"] for known in run.manifest["snapshots"]]
        if frozen.id not in against:
            raise UsageError(
                f"run {run.url} was curated against {', '.join(against) or 'no snapshot'} and the mix is to rest on {frozen.id}; copies of its "
                f"human documents could stand in the mix as others. Run curate with --against {frozen.url}, or name the snapshot it was curated against."
            )
    references.require(frozen, ("documents", "leaves"))
    for run in crawled:
        integrity.require(run, ("documents", "tags", "matches"))
    return frozen, crawled


def settings(mix: Mix) -> tuple[dict[str, Any], bytes | None]:
    """The configuration as it stands in the manifest, with the tokenizer by its digest, and that file's bytes."""
    plain = msgspec.to_builtins(mix) | {"units": list(mix.units), "floor": str(floors.fraction(mix.floor))}
    plain["ceilings"] = {origin: str(share) for origin, share in mix.ceilings.shares().items()}
    if mix.tokenizer is None:
        return plain, None
    try:
        data = files.read_bytes(mix.tokenizer)
    except OSError as error:
        raise UsageError(
            f"tokenizer {mix.tokenizer} cannot be read ({error}); tokens could not be counted. Name a tokenizer.json."
        ) from error
    return plain | {"tokenizer": sha256_hex(data)}, data


def _dry_run(order: "Order", into: str) -> dict[str, Any]:
    import tempfile

    with tempfile.TemporaryDirectory() as scratch:
        planned = plan(order.mix, order.frozen, order.crawled, scratch, dry_run=True, revoked=order.revoked)
    return {
        "dry_run": True,
        "config": {"mix": order.plain},
        "snapshot": order.frozen.id,
        "inputs": [order.frozen.url, *(run.url for run in order.crawled)],
        "shards": planned.shards,
        "realised": planned.realised,
        **planned.stated,
        **order.revocation,
        "writes": [files.join(into, name) for name in ("data/", "proof/", "README.md", "manifest.json")],
    }


@dataclass(frozen=True)
class Order:
    """What is to be mixed: the settings, as a struct and as they stand in the manifest, the sources, the tokenizer's bytes, and
    the leaves that prove nothing any more."""

    mix: Mix
    plain: dict[str, Any]
    frozen: Opened
    crawled: list[Opened]
    tokenizer: bytes | None
    revoked: Revocations | None = None

    @property
    def job(self) -> str:
        """Digest of all that shapes the mix."""
        return digest([self.plain, self.frozen.id, [run.id for run in self.crawled], *self.revocation.values()])

    @property
    def revocation(self) -> dict[str, Any]:
        """The list that was kept to, by its scope and the number and digest of its items; nothing where none was given."""
        if self.revoked is None:
            return {}
        items = [[item.kind, item.value] for item in self.revoked.items]
        return {"revoked": {"scope": self.revoked.scope, "items": len(items), "digest": digest(items)}}


def write(target: Target, order: Order, planned: Planned, runner: Any) -> Opened:
    """Writes what was planned: scatters texts by shard where there are several, then writes each shard and its proof."""
    work, counter = target.work, files.join(target.work, "tokenizer.bin")
    if order.tokenizer is not None:
        files.write_bytes(counter, order.tokenizer)
    texts = None
    if planned.shards > 1:
        scatter = Stage(
            "scatter", "pipelines.mixing:Scatter", work, {"plan": planned.folder, "parts": planned.urls}, tuple(planned.parts_jobs)
        )
        runner.run(scatter)
        texts = scatter.folder
    context = {
        "mix": order.plain | {"tokenizer": order.mix.tokenizer},
        "shards": planned.shards,
        "plan": planned.folder,
        "parts": planned.urls,
        "numbers": planned.numbers,
        "texts": texts,
        "tokenizer": counter if order.tokenizer is not None else None,
    }
    stage = Stage("shards", "pipelines.mixing:WriteShard", work, context, tuple(planned.shard_jobs))
    receipts = runner.run(stage)
    entries = target.promote(receipts, stage.folder)
    source = files.join(order.frozen.url, manifest.MANIFESTS, f"{order.frozen.id}.json")
    entries.append(target.add_bytes(SNAPSHOT, files.read_bytes(source)))
    if order.tokenizer is not None:
        entries.append(target.add_bytes(TOKENIZER, order.tokenizer))
    purity = purifying.estimated(work, planned, runner)
    return _finish(target, order, planned, entries, list(receipts.values()), purity)


def _finish(
    target: Target,
    order: Order,
    planned: Planned,
    entries: list[dict[str, Any]],
    receipts: list[dict[str, Any]],
    purity: dict[str, Any],
) -> Opened:
    """Writes the card and, last, the manifest, both from the receipts."""
    plain = order.plain
    written = [receipt["shard"] for receipt in receipts]
    body = {
        "kind": "mix",
        "job": order.job,
        "config": {"mix": plain},
        "config_digest": digest({"mix": plain}),
        "floor": plain["floor"],
        "units": plain["units"],
        "snapshot": {"id": order.frozen.id, "cutoff": order.frozen.manifest["cutoff"]},
        "runs": [run.id for run in order.crawled],
        "requested": {
            name: plain[name] for name in ("floor", "units", "budget", "shortfall", "max_epochs", "min_attestation", "ceilings")
        },
        "realised": {
            unit: {side: sum(s["units"][unit][side] for s in written) for side in ("human", "total")} for unit in plain["units"]
        },
        "shards": written,
        "counts": merged([receipt["counts"] for receipt in receipts]),
        "stated": planned.stated | order.revocation | {"purity": purity},
    }
    entries = [*entries, target.add_bytes("README.md", mixcard.card(body, order.mix.format).encode())]
    return target.finish(body | {"files": manifest.sorted_files(entries)})


def merged(counts: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Sums nested counts; a name that one of them lacks counts 0 there."""
    found: dict[str, Any] = {}
    for one in counts:
        for name, value in one.items():
            found[name] = merged([found.get(name, {}), value]) if isinstance(value, dict) else found.get(name, 0) + value
    return dict(sorted(found.items()))


def summary(into: str, opened: Opened) -> dict[str, Any]:
    """The closing summary of a mix, from its manifest."""
    body = opened.manifest
    return {
        "mix": into,
        "id": opened.id,
        "snapshot": body["snapshot"]["id"],
        "floor": body["floor"],
        "requested": body["requested"],
        "realised": body["realised"],
        "shards": len(body["shards"]),
        "counts": body["counts"],
        **body["stated"],
        "machine_share_of_human_side": purifying.line(body["stated"]["purity"]),
        "line": mixcard.headline(body),
    }
