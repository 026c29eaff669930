"""`mix`: shards in which at least the set share is verified human, whatever prefix or shard a trainer reads."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from pipelines import expecting, orders, purifying, references
from pipelines.mixing import Scatter, WriteShard
from pipelines.planning import Planned, plan
from pipelines.progress import Progress
from pipelines.runner import Runner, check_beam_args
from pipelines.stage import Stage
from pipelines.target import Target
from provenance import mixture
from provenance.identity import digest, sha256_hex
from provenance.mixture import Mix
from store import checkpoint, files, integrity, manifest, revocation, shards
from store import scores as scoring
from store.errors import LowbackgroundError, UsageError
from store.manifest import Opened
from store.revocation import Revocations
from store.scores import Scores

if TYPE_CHECKING:
    from pipelines.cli import Job

__all__ = ["Mix", "Scatter", "WriteShard", "plan", "run"]
TOKENIZER = "proof/tokenizer.bin"
SNAPSHOT = "proof/snapshot.manifest"
CHECKPOINT = "proof/checkpoint"
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
    scores: Sequence[str] = (),
    where: str | None = None,
) -> dict[str, Any]:
    """Runs the verb; returns the closing summary. `revoked` is a signed list of leaves that prove nothing any more, believed by
    the snapshot's signers and by `vkeys`. `scores` are tables of scores by document, and `where` is a condition over them and
    the documents' own columns.

    Raises `UsageError` for a run that was not curated against the snapshot, a snapshot without texts, or a table or condition
    that means nothing here, `CheckFailed` where the human side does not suffice, `Incomplete` where the run did not finish.
    """
    from pipelines import config

    given = [("mix.floor", floor), ("mix.min_attestation", min_attestation)]
    overrides = [*job.overrides, *((name, value) for name, value in given if value is not None)]
    mix: Any = config.resolve("mix", job.config, overrides)["mix"]
    mix = _filtered(mix, where, job)
    check_beam_args(job.beam_args, job.workers)
    frozen, crawled = open_sources(snapshot, runs)
    plain, tokenizer = settings(mix)
    lowered = revocation.read_for(frozen, revoked, vkeys) if revoked else None
    order = Order(mix, plain, frozen, crawled, tokenizer, lowered, tuple(scoring.opened(scores)))
    idle = {"revoked_unmatched": revocation.unmatched(frozen, lowered)} if lowered else {}
    progress = Progress(quiet=job.quiet)
    with Runner(job.workers, job.beam_args, progress) as runner:
        if job.dry_run:
            return _dry_run(order, into, runner) | idle
        with Target(into, "mix") as target:
            opened = target.claim(order.job)
            if opened is None:
                try:
                    planned = _plan(order, target.work, runner)
                except LowbackgroundError:
                    target.release()
                    raise
                opened = write(target, order, planned, runner)
                target.log("mix", progress)
    return summary(into, opened) | target.note() | idle


def _filtered(mix: Mix, where: str | None, job: "Job") -> Mix:
    """The settings with the condition of the option `--where`."""
    if where is None:
        return mix
    if any(path == "mix.where" and value != where for path, value in job.overrides):
        raise UsageError("--where and --mix.where give two conditions. Give one of them, with AND between its parts.")
    try:
        return msgspec.structs.replace(mix, where=where)
    except ValueError as error:
        raise UsageError(f"--where is wrong: {error}.") from error


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
    plain = msgspec.to_builtins(mix) | {"units": list(mix.units), "floor": str(mixture.fraction(mix.floor))}
    plain["ceilings"] = {origin: str(share) for origin, share in mix.ceilings.shares().items()}
    plain["weights"] = {name: str(mixture.fraction(share)) for name, share in mix.weights.items()}
    form = shards.named(mix.format)
    if mix.tokenizer is None:
        return plain, None
    from pipelines import tokenizer

    data = tokenizer.load(mix.tokenizer, packing=form.TOKENS)
    return plain | {"tokenizer": sha256_hex(data)}, data


def _plan(order: "Order", work: str, runner: Any) -> Planned:
    return plan(order.mix, order.frozen, order.crawled, work, runner, order.tokenizer, order.scores, order.revoked)


def _dry_run(order: "Order", into: str, runner: Any) -> dict[str, Any]:
    """Plans as the mix would be, in a folder that goes afterwards. A budget that `fail` would refuse is planned as `shrink` would have it, so
    that its numbers are there, and exits 1."""
    import tempfile

    form, fails = shards.named(order.mix.format), order.mix.shortfall == "fail"
    lenient = replace(order, mix=msgspec.structs.replace(order.mix, shortfall="shrink")) if fails else order
    with tempfile.TemporaryDirectory() as scratch:
        planned = _plan(lenient, scratch, runner)
        estimated = _estimated(order, planned, scratch, runner)
    planned.stated["plan"]["requested"]["shortfall"] = order.mix.shortfall
    short = {"result": "SHORT: mix.shortfall is fail", "exit_code": 1} if fails and planned.stated["plan"]["alternatives"] else {}
    names = [shards.shard_name(0, planned.shards), *([shards.HUMAN] if order.mix.human_apart else [])]
    data = {path.partition("/")[0] + "/" for path in form.paths(names[0])} | set(names[1:])
    return {
        "dry_run": True,
        **short,
        "config": {"mix": order.plain},
        "snapshot": order.frozen.id,
        "inputs": [order.frozen.url, *(run.url for run in order.crawled), *(url for table in order.scores for url in table.urls)],
        "shards": planned.shards,
        "realised": planned.realised,
        **planned.stated,
        **order.revocation,
        **estimated,
        "machine_share_of_human_side": purifying.line(estimated["purity"]),
        "writes": [files.join(into, name) for name in (*sorted(data), "proof/", "README.md", "croissant.json", "manifest.json")],
    }


def _estimated(order: "Order", planned: Planned, work: str, runner: Any) -> dict[str, Any]:
    """The estimates of machine text among what is planned: of the human side, and of the whole mix."""
    purity = purifying.estimated(work, planned, runner)
    return {"purity": purity, "machine_share": expecting.expected(work, planned, order.crawled, purity, order.mix.units[0])}


@dataclass(frozen=True)
class Order:
    """What is to be mixed: the settings, as a struct and as they stand in the manifest, the sources, the tokenizer's bytes, the
    leaves that prove nothing any more, and the tables of scores."""

    mix: Mix
    plain: dict[str, Any]
    frozen: Opened
    crawled: list[Opened]
    tokenizer: bytes | None
    revoked: Revocations | None = None
    scores: tuple[Scores, ...] = ()

    @property
    def job(self) -> str:
        """Digest of all that shapes the mix."""
        scores = [table.plain for table in self.scores]
        return digest([self.plain, self.frozen.id, [run.id for run in self.crawled], scores, *self.revocation.values()])

    @property
    def revocation(self) -> dict[str, Any]:
        """The list that was kept to, by its scope and the number and digest of its items; nothing where none was given."""
        if self.revoked is None:
            return {}
        items = [[item.kind, item.value] for item in self.revoked.items]
        return {"revoked": {"scope": self.revoked.scope, "items": len(items), "digest": digest(items)}}


def write(target: Target, order: Order, planned: Planned, runner: Any) -> Opened:
    """Writes what was planned: scatters texts by shard where there are several, then writes each shard and its proof, and what belongs to
    all of them."""
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
    # Before anything is moved: a command that is killed and repeated finds the stage's files where they were.
    held = orders.realised(stage.folder, receipts, order.plain)
    entries = target.promote(receipts, stage.folder) + _whole(target, order, planned.shards)
    source = files.join(order.frozen.url, manifest.MANIFESTS, f"{order.frozen.id}.json")
    entries.append(target.add_bytes(SNAPSHOT, files.read_bytes(source)))
    if checkpoint.check_file(order.frozen) is not None:
        signed = files.join(order.frozen.url, checkpoint.path(order.frozen.id))
        entries.append(target.add_bytes(CHECKPOINT, files.read_bytes(signed)))
    if order.tokenizer is not None:
        entries.append(target.add_bytes(TOKENIZER, order.tokenizer))
    stated = planned.stated | order.revocation | _estimated(order, planned, work, runner)
    return _finish(target, order, entries, [receipts[job["name"]] for job in planned.shard_jobs], stated, held)


def _whole(target: Target, order: Order, number: int) -> list[dict[str, Any]]:
    """Writes the files that belong to all shards together, where the format has any; their manifest lines."""
    form, entries = shards.named(order.mix.format), []
    names = [shards.shard_name(shard, number) for shard in range(number)]
    for root in ("", shards.HUMAN) if order.mix.human_apart else ("",):
        made = form.whole(lambda path: files.read_bytes(files.join(target.into, path)), names, root)
        entries += [target.add_bytes(path, data) for path, data in sorted(made.items())]
    return entries


def _finish(
    target: Target,
    order: Order,
    entries: list[dict[str, Any]],
    receipts: list[dict[str, Any]],
    stated: dict[str, Any],
    held: dict[str, Any],
) -> Opened:
    """Writes the cards and, last, the manifest, both from the receipts."""
    from pipelines import cards

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
        "scores": [table.plain for table in order.scores],
        "requested": {
            name: plain[name] for name in ("floor", "units", "budget", "shortfall", "max_epochs", "min_attestation", "ceilings")
        },
        "realised": {
            unit: {side: sum(s["units"][unit][side] for s in written) for side in ("human", "total")} for unit in plain["units"]
        },
        "shards": written,
        "counts": merged([receipt["counts"] for receipt in receipts]),
        "orders": held,
        "round_trip": not sum(receipt["inexact"] for receipt in receipts) if order.mix.format == "tokens" else None,
        "stated": stated,
    }
    entries = [*entries, *(target.add_bytes(path, data) for path, data in cards.written(body, entries).items())]
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
    from pipelines.cards import words

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
        "line": words.headline(body),
    }
