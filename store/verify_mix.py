"""Verifies a mix from its own bytes and the id of the snapshot that the user trusts, or the key of who signed it.

Everything that can be recomputed is: each file's digest, the floor after every row of every shard in every unit, each
human document's text against a leaf proven to be in the snapshot's tree, and every number in the manifest but those
under `stated`. The folder is listed as a loader would list it. Shares nothing with what writes a mix but hashing,
schemas and the readers of the shard formats.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from typing import Any

from provenance.identity import canonical_json, sha256_hex
from provenance.schema import ATTESTATIONS, SCHEMA_VERSION
from store import checkpoint, notes
from store.errors import UsageError
from store.shards import HUMAN
from store.verify_card import CARD, CROISSANT, check_card, check_croissant
from store.verify_folder import Check, strict_json
from store.verify_mix_manifest import (
    CHECKPOINT,
    FLOOR,
    MANIFEST,
    SNAPSHOT,
    TOKENIZER,
    Said,
    Shard,
    check_totals,
    read,
    totals,
)
from store.verify_orders import Orders
from store.verify_proof import LARGEST, prove, read_leaves
from store.verify_shard import Found, Rows, Terms, Wrong, moment, repeated

__all__ = ["FLOOR", "LATEST_CUTOFF", "verify_mix"]

LATEST_CUTOFF = "2022-01-01"
"""Snapshots of a later cutoff are refused unless the user says otherwise: text of language models is in what came after."""

TOLD = (
    "ids, addresses and languages of documents",
    "strata beside the origin",
    "purity, survival, strata, coverage and near copies",
    "what else the cards say",
)
"""What no shard can show and so remains the maker's statement."""

NUMBERED = re.compile(r"train-([0-9]{5})-of-[0-9]{5}", re.ASCII)


@dataclass(frozen=True)
class Ground:
    """What a mix is held to: by whom its snapshot is known, what rows must keep, and what tokens are counted with."""

    said: Said
    terms: Terms
    signed: tuple[str, ...]
    """Names of the trusted keys that signed the snapshot's checkpoint."""
    tokenizer: bytes | None
    encoder: Any
    """Counts the tokens of texts, None where they are not counted."""
    texts: str | None


def verify_mix(
    url: str,
    anchor: str | None,
    max_cutoff: str = LATEST_CUTOFF,
    *,
    keys: Sequence[str] = (),
    texts: str | None = None,
    shard: str | None = None,
) -> dict[str, Any]:
    """Checks the mix at `url`; `wrong`, `missing` and `extra` name files, `why` says what is wrong with each.

    `anchor` is the snapshot id that the user trusts, `keys` are verifier keys that they trust to have signed it; without either
    the mix is only consistent in itself (`anchored` is false). `max_cutoff` (ISO 8601) refuses snapshots whose cutoff is later.
    `texts` is the folder of the snapshot, by which tokens of a tokenizer that loses text can be checked; `unverified` counts the human
    documents that could not be. `shard` is the path of one shard in the mix: then the others need not be there, and what they all
    add up to is not checked. `line` says on whose word the human side rests. Raises `ValueError` for a `max_cutoff` that is no
    date, `UsageError` for a key or a shard that is none, or for `texts` of a mix that has its own. Never raises for what lies in the folder.
    """
    latest, known, check = moment(max_cutoff), notes.verifiers(keys), Check(url)
    number = _number(shard)
    found: dict[str, Any] = {"id": None, "snapshot": None, "anchor": anchor, "anchored": False, "signed_by": []}
    said = None
    with check.of(MANIFEST):
        said = read(check)
    if said is None:
        return {"line": "nothing is proven: the manifest is not to be trusted", **found, **check.summary()}
    found |= {"id": said.body.id, "snapshot": said.body.snapshot.get("id")}
    if texts is not None and not said.form.TOKENS:
        raise UsageError(
            f"the texts of a snapshot would count for nothing: a mix of format {said.mix.format} has its own. Leave --texts out."
        )
    if number is not None and not _names(said, number, str(shard)):
        raise UsageError(f"{shard} is none of the {len(said.shards)} shards of this mix. Name one that its manifest lists.")
    chosen = said.shards if number is None else [said.shards[number]]
    _check_files(check, said, None if number is None else chosen[0])
    ground = None
    if check.sound(MANIFEST, SNAPSHOT):
        with check.of(SNAPSHOT):
            ground = _ground(check, said, anchor, latest, known, texts)
    if ground is None:
        why = check.why.get(SNAPSHOT, f"{SNAPSHOT} is not there or not to be trusted")
        return {"line": f"nothing is proven: {why}", **found, **check.summary()}
    total = _check_rows(check, ground, chosen)
    if number is None and check.sound(*(path for shard in chosen for path in (*shard.files, *shard.human))):
        _check_whole(check, said)
    if check.clean and texts is None:
        _check_round_trip(check, said, total["unverified"], number is None)
    known_by = bool(anchor or ground.signed)
    found |= {"anchored": known_by and check.clean and not total["unverified"], "signed_by": list(ground.signed)}
    if not check.clean:
        return {"line": "nothing is proven: files are not what was written", **found, **check.summary()}
    return {**_promised(ground, total, number), **found, **total, **check.summary()}


def _number(shard: str | None) -> int | None:
    """Number of the shard that a path names. Raises `UsageError`."""
    if shard is None:
        return None
    found = NUMBERED.search(shard)
    if not found:
        raise UsageError(f"{shard} is no shard of a mix, which is named as train-00000-of-00008 is. Name one, or the mix.")
    return int(found[1])


def _names(said: Said, number: int, path: str) -> bool:
    """Whether a path is the name, a file or a folder of a shard."""
    mine = said.shards[number : number + 1]
    return any(path == shard.name or any(f"{file}/".startswith(f"{path}/") for file in shard.paths) for shard in mine)


def _promised(ground: Ground, total: dict[str, Any], number: int | None) -> dict[str, Any]:
    """What is proven, in words."""
    terms, shards = ground.terms, len(ground.said.shards)
    where = f"{shards} shard{'s'[: shards != 1]}" if number is None else f"shard {number + 1} of {shards}"
    line, unchecked = _line(total, terms.units[0]), list(TOLD)
    if lost := total["unverified"]:
        line = (
            f"{line}; NOT VERIFIABLE WITHOUT THE SNAPSHOT: the texts of {lost:,} human documents, of which the tokenizer loses some"
        )
    if number is not None:
        unchecked = ["repeats across shards, totals, ceilings, budget and what holds in other orders", *unchecked]
        line = f"ONE OF {shards} SHARDS: {line}; repeats across shards, totals and orders were not checked"
    if ground.tokenizer is not None:
        unchecked.append("whether the tokenizer is the one that you know: compare its digest")
    return {
        "line": line,
        "floor": f"at least {terms.floor} of the {' and '.join(terms.units)} at every prefix of {where}",
        "dated_before": ground.said.body.snapshot["cutoff"],
        "weakest_attestation": ATTESTATIONS[terms.minimum],
        **({} if ground.tokenizer is None else {"tokenizer": sha256_hex(ground.tokenizer)}),
        "not_checked": "; ".join(unchecked),
    }


def _check_files(check: Check, said: Said, only: Shard | None) -> None:
    """Compares every file's size and digest, and lists what should not be there. Of one shard, the files of the others are not read."""
    there, listed = check.list(), said.files.keys()
    others = {path for shard in said.shards if shard is not only for path in shard.paths} if only else set()
    needed = listed if only is None else {SNAPSHOT, *only.paths, *([TOKENIZER] if said.tokens else [])}
    check.missing += sorted(needed - there)
    check.extra += sorted(there - listed - {MANIFEST})
    for path in sorted(listed & there - others):
        with check.of(path):
            check.same(path, said.files[path].sha256, said.files[path].size)
            if path == CARD:
                check_card(check.read(path), said.form, said.mix.human_apart)
            elif path == CROISSANT:
                check_croissant(check.read(path), said.data)
    if only is not None:
        check.extra += sorted((said.further & there) - {CHECKPOINT} - _together(check, said, ()).keys())


def _check_round_trip(check: Check, said: Said, lost: int, whole: bool) -> None:
    """Whether human texts come back from their tokens must be as the manifest says, or a forged text could pass for a lossy tokenizer's."""
    claim = said.body.round_trip
    if (claim is None) == said.form.TOKENS or (claim and lost) or (claim is False and whole and not lost):
        check.blame(
            MANIFEST,
            f"its round_trip is {canonical_json(claim).decode()}, and the tokens of {lost:,} human documents do not give the texts of their leaves back",
        )


def _check_whole(check: Check, said: Said) -> None:
    """Makes the files again that belong to all shards together; no other file may be listed."""
    with check.of(MANIFEST):
        made = _together(check, said, [shard.name for shard in said.shards])
        if odd := sorted((said.further - {CHECKPOINT}) ^ made.keys()):
            raise Wrong(f"a mix of this format has other files than it lists, such as {odd[0][:80]!r}")
        for path, data in made.items():
            if check.sound(path) and check.read(path) != data:
                check.blame(path, "it is not what the shards give together")


def _together(check: Check, said: Said, names: Sequence[str]) -> dict[str, bytes]:
    made: dict[str, bytes] = {}
    for root in said.roots:
        made |= said.form.whole(check.read, names, root)
    return made


def _ground(
    check: Check, said: Said, anchor: str | None, latest: datetime, known: Sequence[notes.Verifier], texts: str | None
) -> Ground | None:
    """What the rows are held to, from the snapshot's manifest that travels with the mix."""
    data = check.read(SNAPSHOT)
    name = sha256_hex(data)
    if anchor and name != anchor.lower():
        raise Wrong(f"it is the manifest of snapshot {name}, and the anchor is {anchor}")
    snapshot, mix = strict_json(data), said.mix
    if said.body.snapshot != {"id": name, "cutoff": snapshot["cutoff"]}:
        check.blame(
            MANIFEST, f"it names another snapshot or cutoff than {SNAPSHOT}, which is {name} with cutoff {snapshot['cutoff']}"
        )
    if (snapshot["kind"], snapshot["schema_version"]) != ("snapshot", SCHEMA_VERSION):
        raise Wrong(f"it describes a {snapshot['kind']} of schema version {snapshot['schema_version']}, not {SCHEMA_VERSION}")
    cutoff = moment(snapshot["cutoff"])
    if cutoff > latest:
        raise Wrong(f"the snapshot's cutoff is {snapshot['cutoff']}, later than {latest.isoformat()}; --max-cutoff allows another")
    terms = Terms(
        floor=Fraction(said.body.floor),
        units=tuple(said.body.units),
        minimum=max(1, ATTESTATIONS.index(mix.min_attestation)),
        cutoff=cutoff,
        chunk_bytes=mix.chunk_bytes,
        epochs=mix.max_epochs if mix.shortfall == "repeat" else 1,
        tree_size=int(snapshot["tree"]["size"]),
        tree_root=str(snapshot["tree"]["root"]),
    )
    signed = _vouched(check, said, snapshot, name, known)
    if not said.tokens:
        return Ground(said, terms, signed, None, None, texts)
    if check.sound(TOKENIZER):
        with check.of(TOKENIZER):
            tokenizer = check.read(TOKENIZER)
            return Ground(said, terms, signed, tokenizer, _encoder(tokenizer, mix.tokenizer), texts)
    return None


def _encoder(data: bytes, digest: str | None) -> Any:
    from store.verify_tokens import Encoder

    if sha256_hex(data) != digest:
        raise Wrong("it is not the tokenizer of the manifest's configuration")
    return Encoder(data)


def _vouched(check: Check, said: Said, snapshot: dict[str, Any], name: str, known: Sequence[notes.Verifier]) -> tuple[str, ...]:
    """Names of the keys among `known` that signed the snapshot; none where no key is given. Its checkpoint has to be sound either way."""
    signers = notes.verifiers(snapshot.get("signers") or [])
    if bool(signers) != (CHECKPOINT in said.files):
        check.blame(MANIFEST, f"the snapshot has {len(signers)} signers, and it lists {'no' if signers else 'a'} checkpoint")
    elif signers and CHECKPOINT in check.there and check.sound(CHECKPOINT):
        with check.of(CHECKPOINT):
            return _signed(check.read(CHECKPOINT), signers, snapshot, name, known)
    elif known and not check.missing:
        why = f"{CHECKPOINT} is not there" if signers else "nobody signed the snapshot"
        check.blame(SNAPSHOT, f"{why}, so no key vouches for it; name its id with --anchor")
    return ()


def _signed(
    data: bytes, signers: list[notes.Verifier], snapshot: dict[str, Any], name: str, known: Sequence[notes.Verifier]
) -> tuple[str, ...]:
    """Raises `Wrong` or `CheckFailed` unless a checkpoint is the snapshot's, signed once by each of its signers and by nobody
    else, of whom one is known where any is to be."""
    made, by = checkpoint.verify(data, signers, CHECKPOINT)
    tree = snapshot["tree"]
    if (made.snapshot, made.size, made.root.hex()) != (name, tree["size"], tree["root"]):
        raise Wrong(f"it is the checkpoint of snapshot {made.snapshot}, or of another tree than {SNAPSHOT} has")
    if {*by} != {*signers} or len(notes.parse(data).signatures) != len({*signers}):
        raise Wrong("it is not signed once by each signer of the snapshot and by nobody else")
    return tuple(key.name for key in checkpoint.verify(data, known, CHECKPOINT)[1]) if known else ()


def _check_rows(check: Check, ground: Ground, chosen: Sequence[Shard]) -> dict[str, Any]:
    """Checks every chosen shard and, where they are all, what stands in two of them and the manifest's numbers."""
    said, terms = ground.said, ground.terms
    rows = sum(shard.listed.rows for shard in said.shards)
    orders = Orders(terms.floor, terms.units, rows, len(said.shards))
    made: list[Found] = []
    for shard in chosen:
        if found := _check_shard(check, ground, shard, orders):
            made.append(found)
            if (shard.listed.rows, shard.listed.units) != (found.rows, found.units):
                check.blame(
                    MANIFEST,
                    f"it says {shard.listed.rows} rows and {shard.listed.units} of {shard.listed.path}, which has {found.rows} and {found.units}",
                )
    total = totals(made)
    if len(made) < len(said.shards) or len(made) < len(chosen):
        return total
    for names, width, what in (([f.keys for f in made], 32, "document"), ([f.digests for f in made], 16, "human text")):
        if (twice := repeated(names, width)) is not None:
            text = twice.decode("ascii", "replace") if width == 32 else twice.hex()
            holder = next(s.listed.path for s, of in zip(reversed(said.shards), reversed(names), strict=True) if twice in of)
            check.blame(holder, f"{what} {text} stands in the mix twice")
    check_totals(check, said, terms, total, orders.end())
    return total


def _check_shard(check: Check, ground: Ground, shard: Shard, orders: Orders) -> Found | None:
    """One shard against its proof; None where its files or rows are wrong. Files of another digest are not read."""
    if not check.sound(*shard.paths):
        return None
    terms, said = ground.terms, ground.said
    leaves = bound = None
    with check.of(shard.leaves):
        # A row of tokens may hold many documents.
        most = terms.tree_size if said.form.TOKENS else shard.listed.rows
        leaves, bound = read_leaves(check.read(shard.leaves, LARGEST), terms, most)
    if leaves is None or bound is None:
        return None
    with check.of(shard.leaves):
        prove(bound, check.read(shard.hashes, LARGEST), terms)
    if not check.sound(shard.leaves):  # which of the two is false cannot be known
        check.blame(shard.hashes, check.why[shard.leaves])
        return None
    found = human = None
    with check.of(shard.files[0]):
        orders.begin()
        found = _check_file(check, ground, terms, shard.name, leaves, orders)
    if shard.human:
        with check.of(shard.human[0]):
            human = _check_file(check, ground, replace(terms, floor=Fraction(1), epochs=1), shard.name, leaves, None)
            if strange := human.counts["origins"].keys() - {"human"}:
                raise Wrong(f"it has rows of origin {sorted(strange)[0]}, and is to be the human side alone")
            if shard.listed.human and human.rows != shard.listed.human.rows:
                raise Wrong(f"it has {human.rows} rows, and the manifest says {shard.listed.human.rows}")
    return found


def _check_file(check: Check, ground: Ground, terms: Terms, name: str, leaves: dict[str, Any], orders: Orders | None) -> Found:
    """The rows of one shard, of the mix where `orders` counts them or of its human side. Raises at the first that does not hold."""
    said, taker = ground.said, _taker(ground, terms, leaves)
    for batch in said.form.read(check.open, name, said.plain, "" if orders else HUMAN):
        lengths = taker.take(batch)
        if orders:
            orders.take(lengths)
    found: Found = taker.end()
    return found


def _taker(ground: Ground, terms: Terms, leaves: dict[str, Any]) -> Any:
    """What takes the rows of a shard and says what they add up to."""
    if ground.said.form.TOKENS:
        from store.verify_tokens import TokenRows

        return TokenRows(terms, leaves, ground.tokenizer or b"", ground.texts)
    return Rows(terms, leaves, ground.encoder)


def _line(total: dict[str, Any], unit: str) -> str:
    """On whose word the human side rests, and how much of it."""
    witnesses = total["counts"].get("witnesses", {})
    of = {name: counts[unit] for name, counts in witnesses.items()}
    whole = sum(of.values())
    if not whole:
        return "no human unit is proven"
    levels = ", ".join(total["counts"]["attestations"])
    named = sorted(of.items(), key=lambda item: (-item[1], item[0]))
    first, *rest = [f"{_percent(size, whole)} {{}}rest on witness {name!r}" for name, size in named]
    words = [first.format(f"of the human {unit} "), *(text.format("") for text in rest)]
    return f"{', '.join(words)} (attested: {levels})"


def _percent(part: int, whole: int) -> str:
    """A share that says 100 % only of all, and 0 % only of nothing."""
    share = 100 * part / whole
    if part == whole:
        return "100 %"
    return "under 0.1 %" if share < 0.1 else f"{min(share, 99.9):.1f} %".replace(".0 %", " %")
