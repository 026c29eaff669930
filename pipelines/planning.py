"""The plan of a mix: which documents enter, how often, and in which shard; decided over keys and counts."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from fractions import Fraction
from typing import Any

import numpy as np

from pipelines import budget, moments, stating
from pipelines.budget import Humans, Others, Side
from pipelines.mixing import part_name
from provenance import floor as floors
from provenance import locales, mixture, schema
from provenance.identity import Tree
from provenance.mixture import Mix
from store import files, leaves, revocation, selecting, strata, tables
from store.errors import CheckFailed, UsageError
from store.manifest import Opened
from store.mixing import Part, Plan
from store.ordering import Class
from store.revocation import Revocations
from store.scores import Scores
from store.selecting import Selection

ORIGINS = ("unknown", "machine_generated", "machine_translated")

ROUNDS = 5
"""How often the human side of a budget may grow to make up for what its lead or another unit keeps out; each round leaves little."""


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
class Offer:
    """What may be taken: the candidates' database, the snapshot's tree, the labels of the strata, the target share of each, what is said of
    filter and clusters, and both classes in their order."""

    made: Plan
    tree: Tree
    labels: list[str]
    targets: dict[int, int]
    stated: dict[str, Any]
    human: Class
    other: Class


def plan(
    mix: Mix,
    frozen: Opened,
    crawled: list[Opened],
    work: str,
    runner: Any,
    tokenizer: bytes | None = None,
    scores: Sequence[Scores] = (),
    revoked: Revocations | None = None,
) -> Planned:
    """Plans a mix and writes the plan below `work`, one file per shard and per source file.

    `runner` runs the stages that read texts before there is a plan (rarity, tokens, coverage). `tokenizer` is what
    `tokenizer.load` gives, `scores` are tables that strata and the condition may name, and `revoked` names leaves that prove
    nothing any more. Raises `CheckFailed` where no human document reaches the level, a stratum of the human side falls to zero, or the budget
    cannot be met as the config asks; `UsageError` for a condition, a stratum or a weight that means nothing here.
    """
    share = mixture.fraction(mix.floor)
    made, tree = _candidates(mix, frozen, crawled, work, revoked)
    supply = made.supply
    if share > 0 and not supply_at(mix, supply):
        raise CheckFailed(_none(mix, frozen, supply))
    offer = _offered(mix, frozen, made, tree, work, runner, tokenizer, scores)
    con, human, other = made.con, offer.human, offer.other
    targets = strata.by_number(offer.targets) if _uneven(mix) else None
    humans = Humans(human.units[0], human.stratum, human.member, human.members, targets)
    if not len(humans.units) and share > 0:
        raise CheckFailed(stating.nothing_passes(mix, offer.stated))
    ceilings = [mix.ceilings.shares()[origin] for origin in ORIGINS]
    others = Others(tuple(int(other.units[0][other.origin == i].sum()) for i in range(len(ORIGINS))), tuple(ceilings))
    side, more = budget.choose(mix, humans, others, supply, offer.labels), 0
    owner, sides, admitted = _admitted(mix, offer, side, ceilings)
    for _ in range(ROUNDS if mix.shuffle_buffer or len(mix.units) > 1 else 0):
        missing = (side.budget or 0) - int(sides[:, 0].sum() + other.units[0][admitted >= 0].sum())
        # A lead, or another unit, keeps others out that the first unit has room for: more human text makes the room.
        more += math.ceil(share * max(missing, 0))
        again = budget.choose(mix, humans, others, supply, offer.labels, more)
        if len(again.position) == len(side.position):
            break
        side, (owner, sides, admitted) = again, _admitted(mix, offer, again, ceilings)
    taken = np.flatnonzero(admitted >= 0)
    entering = Selection(human, other, side.position, owner, side.epoch, taken, admitted[taken])
    totals = sides.sum(axis=0)
    realised: dict[str, dict[str, int]] = {
        unit: {"human": int(totals[i]), "total": int(totals[i] + other.units[i][taken].sum())} for i, unit in enumerate(mix.units)
    }
    found = stating.planned(mix, humans, others, side, realised)
    budget.check_reached(mix, realised[mix.units[0]]["total"], human.units[0], other.units[0])
    told = offer.stated | stating.strata_of(con, entering, offer.labels, offer.targets)
    stating.check_empty(mix, told["strata"])
    told |= {"plan": found} | stating.stated(mix, made, entering, ORIGINS, humans, side, realised)
    told |= _sources(made, entering, crawled)
    told["coverage"] = _coverage(mix, made, entering, work, runner)
    return _write(offer, entering, len(sides), files.join(work, "plan"), realised, told)


def _admitted(mix: Mix, offer: Offer, side: Side, ceilings: list[Fraction]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The shard of each human row, the human units of each shard, and the shard that takes each other document (-1: none)."""
    shards = _shard_count(mix, offer, side)
    owner = _dealt(side, len(offer.human), shards)
    sides, lengths = np.zeros((shards, len(mix.units)), np.int64), offer.human.lengths[side.position]
    np.add.at(sides, owner, lengths)
    lead = held_back(mix, owner, lengths, shards)
    _check_lead(mix, sides, lead, len(offer.other))
    other, share = offer.other, mixture.fraction(mix.floor)
    return owner, sides, floors.admit(sides, other.lengths, other.origin, share, ceilings, side.budget, lead)


def supply_at(mix: Mix, supply: dict[str, dict[str, int]]) -> int:
    """Human documents at the level that is asked for, or above it."""
    levels = schema.ATTESTATIONS[schema.ATTESTATIONS.index(mix.min_attestation) :]
    return sum(supply[level]["documents"] for level in levels)


def _parts(opened: Opened) -> list[Part]:
    return [Part(opened.id, entry["path"], files.join(opened.url, entry["path"])) for entry in opened.entries("documents")]


def _candidates(mix: Mix, frozen: Opened, crawled: list[Opened], work: str, revoked: Revocations | None) -> tuple[Plan, Tree]:
    urls = "domain" in mix.strata or (mix.where is not None and strata.NAMED.search(mix.where) is not None)
    made, tree = Plan(mix.seed, work, urls), leaves.tree(frozen)
    cutoff = moments.instant(frozen.manifest["cutoff"]) - moments.instant("1970-01-01")
    if revoked is not None:
        made.revoke(revocation.resolved(revoked, frozen))
    made.freeze(_parts(frozen), frozen.files("leaves"), cutoff // timedelta(microseconds=1))
    before = [frozen.parent, *(extension["manifest"] for extension in frozen.manifest["tree"]["extensions"])]
    versions = [frozen.id, *filter(None, before)]
    for number, run in enumerate(crawled):
        made.crawl(number, _parts(run), run.files("tags"), run.files("matches"), versions)
    made.offer(
        mix.min_attestation, [origin for origin, ceiling in mix.ceilings.shares().items() if ceiling > 0], mix.where is not None
    )
    return made, tree


def _offered(
    mix: Mix, frozen: Opened, made: Plan, tree: Tree, work: str, runner: Any, tokenizer: bytes | None, scores: Sequence[Scores]
) -> Offer:
    """Divides, filters and orders the candidates."""
    from pipelines import near_copies, rarity

    con, urls = made.con, [part.url for part in made.parts]
    by = strata.columns(mix.strata, scores)
    deciles = None
    if "rarity" in by:
        some, all_of = ([selecting.wanted(con, i, "offered", only) for i in range(len(urls))] for only in (True, None))
        deciles = rarity.deciles(urls, some, all_of, work, runner)
    strata.facts(con, scores, locales.site if made.urls else None, deciles)
    labels = strata.divide(con, by)
    budget.check_weights(mix, labels)
    barred = strata.passing(con, mix.where, scores)
    found = strata.cluster(con, near_copies.clusters(frozen, work), mix.max_epochs)
    if "tokens" in mix.units and tokenizer is not None:
        from pipelines import lengths

        wanted = [selecting.wanted(con, i, "passed") for i in range(len(urls))]
        made.count_tokens(lengths.tokens(urls, wanted, mix, tokenizer, work, runner))
    human, other = (strata.entered(con, mix.units, mix.max_epochs, ORIGINS, side) for side in (True, False))
    strata.narrow(con)
    targets = budget.shares(mix, labels, strata.units(human) | strata.units(other))
    human, other = strata.ordered(human, targets), strata.ordered(other, targets)
    filtered = None
    if mix.where is not None or scores:
        filtered = {"where": mix.where, "scores": strata.unmatched(con, scores), "barred": barred}
    return Offer(made, tree, labels, targets, {"filter": filtered, "clusters": found}, human, other)


def _uneven(mix: Mix) -> bool:
    """Whether strata are repeated by target shares of their own, and not all alike."""
    return mix.shortfall == "repeat" and (mix.temperature != 1 or bool(mix.weights))


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


def _shard_count(mix: Mix, offer: Offer, side: Side) -> int:
    """Shards of about `shard_bytes`, each with a human document, and with two where documents repeat: in a shard that
    holds one alone its repeats would stand next to each other."""
    repeated = bool(len(side.epoch) and side.epoch[-1] > 0)
    chosen = len(side.first)
    share = mixture.fraction(mix.floor)
    most = max(1, chosen // 2 if repeated else chosen) if share > 0 or repeated else 99999
    if mix.shards is not None:
        if mix.shards > most:
            raise UsageError(
                f"{mix.shards} shards were asked for and {chosen:,} human documents {'are repeated' if repeated else 'are there'}: "
                f"each shard keeps the floor by itself. Ask for {most} shards or fewer."
            )
        return mix.shards
    human, other = int(offer.human.byte_count[side.position].sum()), int(offer.other.byte_count.sum())
    room = math.floor(human / share) - human if share else other
    documents = max(1, chosen + len(offer.other.byte_count))
    return budget.shard_count(min(most, documents), -(-(human + min(other, room)) // mix.shard_bytes))


def _dealt(side: Side, candidates: int, shards: int) -> np.ndarray:
    """The shard of each human row: documents are dealt in the order of their class, so that each shard has its share of every stratum; the
    repeats of a document go where it goes."""
    used = np.zeros(candidates, bool)
    used[side.position] = True
    return np.asarray((np.cumsum(used) - 1)[side.position] % shards, np.int64)


def held_back(mix: Mix, owner: np.ndarray, units: np.ndarray, shards: int) -> np.ndarray:
    """What a reader's shuffle buffer may hold back of the human side of each shard, shape (shards, units), at most.

    `owner` and `units` (rows, units) are of the human documents, by pass. A document of n bytes has rows of at most `chunk_bytes`, whose
    longest are no longer together than as many full ones and the rest; it counts as one document in one of its rows. Tokens of a row of
    text are at most the document's; a packed row holds at most `sequence_length` less one.
    """
    lead = np.zeros((shards, len(mix.units)), np.int64)
    if not mix.shuffle_buffer or not mixture.fraction(mix.floor):
        return lead
    for i, unit in enumerate(mix.units):
        if mix.format == "tokens":
            sums = np.zeros(shards, np.int64)
            np.add.at(sums, owner, units[:, i])
            lead[:, i] = np.minimum(sums, mix.shuffle_buffer * (mix.sequence_length - 1))
        else:
            lead[:, i] = _longest(owner, units[:, i], shards, mix.shuffle_buffer, mix.chunk_bytes if unit == "bytes" else None)
    return lead


def _longest(owner: np.ndarray, units: np.ndarray, shards: int, rows: int, size: int | None) -> np.ndarray:
    """In each shard, the sum of the longest `rows` pieces of documents that are cut into pieces of `size`."""
    whole = np.zeros(shards, np.int64)
    if size is not None:
        np.add.at(whole, owner, units // size)
        units = units % size
    whole = np.minimum(whole, rows)
    by = np.lexsort((-units, owner))
    starts = np.searchsorted(owner[by], np.arange(shards + 1))
    sums = np.concatenate([[0], np.cumsum(units[by])])
    ends = np.minimum(starts[:-1] + rows - whole, starts[1:])
    return np.asarray(whole * (size or 0) + sums[ends] - sums[starts[:-1]], np.int64)


def _check_lead(mix: Mix, sides: np.ndarray, lead: np.ndarray, others: int) -> None:
    """Raises `CheckFailed` where a shuffle buffer may hold all of each shard's human side, so that nothing else could ever enter."""
    if lead.any() and others and (lead[:, 0] >= sides[:, 0]).all() and mixture.fraction(mix.floor) < 1:
        unit = mix.units[0]
        raise CheckFailed(
            f"a shuffle buffer of {mix.shuffle_buffer:,} rows may hold back all {int(sides[:, 0].max()):,} human {unit} of the largest of "
            f"{len(sides):,} shards ({int(lead[:, 0].max()):,} {unit} in its longest rows), so that nothing else may stand in the mix. "
            "Ask for a smaller mix.shuffle_buffer, or fewer and larger shards."
        )


def _coverage(mix: Mix, made: Plan, entering: Selection, work: str, runner: Any) -> dict[str, Any] | None:
    """Which rare words of the snapshot the mix keeps; null where it leaves no human document out, or is not to say."""
    there = made.con.execute("SELECT count(*) FROM offered WHERE origin = 'human'").fetchall()[0][0]
    if not mix.coverage or len(entering.first) == there:
        return None
    selecting.enter(made.con, entering)
    from pipelines import rarity

    number = range(len(made.parts))
    before = [selecting.wanted(made.con, i, "offered", True) for i in number]
    after = [selecting.wanted(made.con, i, "selection", True) for i in number]
    return rarity.coverage([part.url for part in made.parts], before, after, work, runner)


def _sources(made: Plan, entering: Selection, crawled: list[Opened]) -> dict[str, Any]:
    """What of the sources stays out whatever the config says, where near copies were only estimated, and what of each origin is left at
    each step, from the runs' documents before any filter to the shards."""
    blind = {known["id"] for run in crawled for known in run.manifest["snapshots"] if known.get("index_only")}
    return {
        "kept_out": made.kept_out(),
        "estimated_against": sorted(blind),
        "survival": made.survival(schema.ORIGINS, entering.in_shards(ORIGINS)),
    }


def _write(
    offer: Offer, entering: Selection, shards: int, folder: str, realised: dict[str, dict[str, int]], stated: dict[str, Any]
) -> Planned:
    """Writes the plan of each shard with its multiproof, and which rows of each part are read."""
    made, tree = offer.made, offer.tree
    found = selecting.Shards(made.con, entering, shards, offer.labels, made.parts)
    names = [part_name(shard) for shard in range(shards)]
    shard_jobs: list[dict[str, Any]] = []
    for shard, table in enumerate(found.tables()):
        digest = tables.write(folder, f"shards/{names[shard]}.parquet", table, table.schema)["sha256"]
        size = int(np.sum(table["byte_count"].to_numpy()))
        shard_jobs.append({"name": names[shard], "shard": shard, "plan": digest, "weight": size})
    proven, cuts = found.proven(tree.size)
    paths = [f"leaves/{name}.parquet" for name in names]
    for job, entry in zip(shard_jobs, selecting.write_leaves(made.leaves, proven, cuts, folder, paths), strict=True):
        indices = proven[cuts[job["shard"]] : cuts[job["shard"] + 1]].tolist()
        job["leaves"] = entry["sha256"]
        hashes = b"".join(tree.multiproof(indices)) if indices else b""
        files.write_bytes(files.join(folder, "hashes", f"{job['name']}.bin"), hashes)
    parts_jobs: list[dict[str, Any]] = []
    for number, rows in found.rows() if shards > 1 else ():
        name = part_name(number)
        digest = tables.write(folder, f"rows/{name}.parquet", rows, rows.schema)["sha256"]
        parts_jobs.append({"name": name, "part": number, "plan": digest, "weight": rows.num_rows})
    numbers: dict[str, dict[str, int]] = {}
    for number, part in enumerate(made.parts):
        numbers.setdefault(part.source, {})[part.path] = number
    return Planned(shards, folder, [part.url for part in made.parts], numbers, parts_jobs, shard_jobs, realised, stated)
