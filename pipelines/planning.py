"""The plan of a mix: which documents enter, how often, and in which shard; decided over keys and counts."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import numpy as np

from pipelines import mixing as steps
from pipelines import moments
from provenance import floor as floors
from provenance import schema
from provenance.floor import Mix
from provenance.identity import Tree
from store import files, leaves, revocation, tables
from store.errors import CheckFailed, UsageError
from store.manifest import Opened
from store.mixing import Part, Plan
from store.revocation import Revocations

ORIGINS = ("unknown", "machine_generated", "machine_translated")


@dataclass
class Planned:
    """What the steps need, and what is said of the plan beside what is written."""

    shards: int
    folder: str
    urls: list[str]
    """Of the documents files, by number."""
    numbers: dict[str, dict[str, int]]
    """Number of each documents file, by source and path."""
    parts_jobs: list[dict[str, Any]]
    shard_jobs: list[dict[str, Any]]
    realised: dict[str, dict[str, int]]
    stated: dict[str, Any]


@dataclass
class Side:
    """The human rows to write: position and epoch of each, and the budget that is left of the one asked for."""

    position: np.ndarray
    epoch: np.ndarray
    budget: int | None


def plan(
    mix: Mix,
    frozen: Opened,
    crawled: list[Opened],
    work: str,
    dry_run: bool = False,
    revoked: Revocations | None = None,
) -> Planned:
    """Plans a mix and writes the plan below `work`, one file per shard and per source file. `revoked` names leaves that prove
    nothing any more.

    Raises `CheckFailed` where no human document reaches the level, or the budget cannot be met as the config asks.
    """
    share = floors.fraction(mix.floor)
    made, tree = _candidates(mix, frozen, crawled, work, revoked)
    supply = made.supply()
    human, other = made.units("human", mix.units), made.units("other", mix.units)
    if not len(human) and share > 0:
        raise CheckFailed(_none(mix, frozen, supply))
    origins = made.origins(ORIGINS)
    side = choose(mix, human[:, 0], _reachable(mix, other[:, 0], origins), supply)
    shards = _shard_count(mix, made, side, len(human))
    owner = side.position % shards
    sides = np.zeros((shards, len(mix.units)), np.int64)
    np.add.at(sides, owner, human[side.position])
    ceilings = [mix.ceilings.shares()[origin] for origin in ORIGINS]
    admitted = floors.admit(sides, other, origins, share, ceilings, side.budget)
    taken = np.flatnonzero(admitted >= 0)
    made.take(
        {"position": side.position, "shard": owner.astype(np.int32), "epoch": side.epoch.astype(np.int32)},
        {"position": taken, "shard": admitted[taken]},
    )
    totals = sides.sum(axis=0)
    realised: dict[str, dict[str, int]] = {
        unit: {"human": int(totals[i]), "total": int(totals[i] + other[taken, i].sum())} for i, unit in enumerate(mix.units)
    }
    _check_budget(mix, realised, human, other)
    stated = _stated(mix, made, supply, human[:, 0], side, realised) | _sources(made, crawled)
    folder = files.join(work, "plan")
    urls = [part.url for part in made.parts]
    numbers: dict[str, dict[str, int]] = {}
    for number, part in enumerate(made.parts):
        numbers.setdefault(part.source, {})[part.path] = number
    parts_jobs, shard_jobs = ([], []) if dry_run else _write(made, tree, shards, folder)
    return Planned(shards, folder, urls, numbers, parts_jobs, shard_jobs, realised, stated)


def _parts(opened: Opened) -> list[Part]:
    return [Part(opened.id, entry["path"], files.join(opened.url, entry["path"])) for entry in opened.entries("documents")]


def _candidates(mix: Mix, frozen: Opened, crawled: list[Opened], work: str, revoked: Revocations | None) -> tuple[Plan, Tree]:
    made, tree = Plan(mix.seed, work), leaves.tree(frozen)
    cutoff = moments.instant(frozen.manifest["cutoff"]) - moments.instant("1970-01-01")
    if revoked is not None:
        made.revoke(revocation.resolved(revoked, frozen))
    made.freeze(_parts(frozen), frozen.files("leaves"), cutoff // timedelta(microseconds=1))
    made.attest(mix.min_attestation)
    before = [frozen.parent, *(extension["manifest"] for extension in frozen.manifest["tree"]["extensions"])]
    versions = [frozen.id, *filter(None, before)]
    for number, run in enumerate(crawled):
        made.crawl(number, _parts(run), run.files("tags"), run.files("matches"), versions)
    made.allow([origin for origin, ceiling in mix.ceilings.shares().items() if ceiling > 0])
    if "tokens" in mix.units and mix.tokenizer:
        made.count_tokens(_tokens(mix, made))
    return made, tree


def _tokens(mix: Mix, made: Plan) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Tokens of each candidate, summed over its chunks as they will be written."""
    tokenizer = steps.Tokenizer(files.read_bytes(str(mix.tokenizer)))
    for number, part in enumerate(made.parts):
        rows, counts = made.wanted(number), []
        for table in steps.read_rows(part.url, rows):
            place = np.arange(table.num_rows)
            pieces = steps.cut(table["text"], place, mix.chunk_bytes)
            found = steps.measure(pieces, np.zeros(len(pieces.document), bool), ("tokens",), tokenizer)["tokens"]
            counts.append(np.bincount(pieces.document, weights=found, minlength=len(place)).astype(np.int64))
        yield number, rows, np.concatenate(counts) if counts else np.zeros(0, np.int64)


def _none(mix: Mix, frozen: Opened, supply: dict[str, dict[str, int]]) -> str:
    levels = "; ".join(
        f"{level} {there['documents']:,} human documents, {there['bytes']:,} bytes" for level, there in supply.items()
    )
    strongest = next((level for level in reversed(supply) if supply[level]["documents"]), None)
    todo = f"Ask for a level that is there (--min-attestation {strongest})" if strongest else "Freeze human text into it first"
    return (
        f"no human document of snapshot {frozen.id} reaches the attestation {mix.min_attestation!r}, so no floor above 0 can be kept. "
        f"What it holds at each level: {levels}. {todo}, or freeze with a stronger witness."
    )


def _reachable(mix: Mix, other: np.ndarray, origins: np.ndarray) -> int:
    """Other units that the ceilings would let into a mix of the budget's size."""
    reachable = 0
    for i, origin in enumerate(ORIGINS):
        there, ceiling = int(other[origins == i].sum()), mix.ceilings.shares()[origin]
        reachable += there if mix.budget is None else min(there, math.floor(ceiling * mix.budget))
    return reachable


def choose(mix: Mix, human: np.ndarray, reachable: int, supply: dict[str, dict[str, int]]) -> Side:
    """The human rows of the mix: each document once without a budget; with one, as many in the seed's order as it needs.

    `human` has the candidates' units in order, `reachable` the other units that may stand beside them. Repetition goes
    epoch by epoch through all documents, and its last epoch ends where the budget is met.
    """
    everything = np.arange(len(human))
    if mix.budget is None:
        return Side(everything, np.zeros(len(human), np.int64), None)
    share, budget, there = floors.fraction(mix.floor), mix.budget, int(human.sum())
    needed = max(math.ceil(share * budget), budget - reachable)
    epochs = 1
    if needed > there and mix.shortfall == "shrink":
        budget = min(there + reachable, math.floor(there / share) if share else there + reachable)
        needed = max(math.ceil(share * budget), budget - reachable)
    elif needed > there:
        epochs = -(-needed // there) if there and mix.shortfall == "repeat" else 1
        if mix.shortfall == "fail" or epochs > mix.max_epochs or len(human) < 2:
            raise CheckFailed(_short(mix, needed, there, reachable, supply))
    position = np.tile(everything, epochs)
    reached = np.cumsum(human[position])
    count = int(np.searchsorted(reached, needed)) + 1 if needed else 0
    if 1 < count <= len(reached) and reached[count - 1] > budget:
        count -= 1
    return Side(position[:count], (np.arange(len(position)) // max(len(human), 1))[:count], budget)


def _short(mix: Mix, needed: int, there: int, reachable: int, supply: dict[str, dict[str, int]]) -> str:
    unit, share = mix.units[0], floors.fraction(mix.floor)
    levels = "; ".join(f"{level} {at['documents']:,} documents, {at['bytes']:,} bytes" for level, at in supply.items())
    shrunk = min(there + reachable, math.floor(there / share)) if share else there + reachable
    repeats = (
        f"repeat would take {needed / there:.2f} epochs of at most {mix.max_epochs}" if there else "there is nothing to repeat"
    )
    return (
        f"a budget of {mix.budget:,} {unit} at floor {share} needs {needed:,} human {unit}, and {there:,} reach the attestation "
        f"{mix.min_attestation!r} ({reachable:,} others may stand beside them). Human documents at each level: {levels}. "
        f"Set mix.shortfall: shrink gives a mix of {shrunk:,} {unit}, {repeats}; or lower the floor or the attestation."
    )


def _check_budget(mix: Mix, realised: dict[str, dict[str, int]], human: np.ndarray, other: np.ndarray) -> None:
    """With `fail`, refuses a mix that stays below its budget by more than documents being whole explains: the longest
    other one, and what the longest human one would have let in."""
    unit, share = mix.units[0], floors.fraction(mix.floor)
    lost = int(human[:, 0].max(initial=0))
    longest = int(other[:, 0].max(initial=0)) + (math.ceil(lost / share) if share else lost)
    total = realised[unit]["total"]
    if mix.budget is not None and mix.shortfall == "fail" and total < mix.budget - longest:
        raise CheckFailed(
            f"a budget of {mix.budget:,} {unit} was asked for and {total:,} can be reached: the floor in the other units, or a ceiling, keeps "
            "documents out. Set mix.shortfall to shrink, or lower the floor, the budget or the units."
        )


def _shard_count(mix: Mix, made: Plan, side: Side, documents: int) -> int:
    """Shards of about `shard_bytes`, each with a human document, and with two where documents repeat: in a shard that
    holds one alone its repeats would stand next to each other."""
    repeated = bool(len(side.epoch) and side.epoch[-1] > 0)
    chosen = min(documents, len(side.position))
    most = max(1, chosen // 2 if repeated else chosen) if floors.fraction(mix.floor) > 0 or repeated else 99999
    if mix.shards is not None:
        if mix.shards > most:
            raise UsageError(
                f"{mix.shards} shards were asked for and {chosen:,} human documents {'are repeated' if repeated else 'are there'}: "
                f"each shard keeps the floor by itself. Ask for {most} shards or fewer."
            )
        return mix.shards
    share = floors.fraction(mix.floor)
    human, other = int(made.units("human", ("bytes",))[side.position, 0].sum()), int(made.units("other", ("bytes",))[:, 0].sum())
    room = math.floor(human / share) - human if share else other
    return min(most, 99999, max(1, -(-(human + min(other, room)) // mix.shard_bytes)))


def _stated(
    mix: Mix, made: Plan, supply: dict[str, dict[str, int]], human: np.ndarray, side: Side, realised: dict[str, dict[str, int]]
) -> dict[str, Any]:
    """What the plan found beside what is written; shards cannot prove these numbers, and `verify` does not check them."""
    unit, unique = mix.units[0], int(human.sum())
    used = np.unique(side.position)
    distinct, total = int(human[used].sum()), realised[unit]["total"]
    passes = min(total / unique, mix.max_epochs) if unique else 0.0
    return {
        "supply": supply,
        "crawled": made.crawled(),
        "left_over": made.left_over(),
        "near_human": made.near_human(),
        "human_epochs": round(realised[unit]["human"] / distinct, 4) if distinct else 0.0,
        "human_effective": round(floors.effective(distinct, realised[unit]["human"] / distinct)) if distinct else 0,
        "alternative": {
            "what": f"the human side alone, repeated to the size of the mix, at most {mix.max_epochs} times",
            "unit": unit,
            "unique": unique,
            "epochs": round(passes, 4),
            "total": round(unique * passes),
            "effective": round(floors.effective(unique, passes)),
            "law": "D' = U + U R (1 - exp(-(epochs - 1) / R)), R = 15.39, Muennighoff et al. 2023",
        },
    }


def _sources(made: Plan, crawled: list[Opened]) -> dict[str, Any]:
    """What of the sources stays out whatever the config says, where near copies were only estimated, and what of each origin is left at
    each step, from the runs' documents before any filter to the shards."""
    blind = {known["id"] for run in crawled for known in run.manifest["snapshots"] if known.get("index_only")}
    return {"kept_out": made.kept_out(), "estimated_against": sorted(blind), "survival": made.survival(schema.ORIGINS)}


def _write(made: Plan, tree: Tree, shards: int, folder: str) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Writes the plan of each shard with its multiproof, and which rows of each part are read; returns the steps' parts."""
    shard_jobs, parts_jobs = [], []
    for shard in range(shards):
        table, bound, name = made.shard(shard), made.proofs(shard), steps.part_name(shard)
        indices = bound["index"].to_pylist()
        files.write_bytes(files.join(folder, "hashes", f"{name}.bin"), b"".join(tree.multiproof(indices)) if indices else b"")
        digest = tables.write(folder, f"shards/{name}.parquet", table, table.schema)["sha256"]
        proofs = tables.write(folder, f"leaves/{name}.parquet", bound, bound.schema)["sha256"]
        size = int(np.sum(table["byte_count"].to_numpy()))
        shard_jobs.append({"name": name, "shard": shard, "plan": digest, "leaves": proofs, "weight": size})
    if shards > 1:
        for number in range(len(made.parts)):
            rows, name = made.rows(number), steps.part_name(number)
            if rows.num_rows:
                digest = tables.write(folder, f"rows/{name}.parquet", rows, rows.schema)["sha256"]
                parts_jobs.append({"name": name, "part": number, "plan": digest, "weight": rows.num_rows})
    return parts_jobs, shard_jobs
