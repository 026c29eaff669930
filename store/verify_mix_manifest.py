"""What a mix's manifest must say by itself, before anything follows it, and what its numbers must be once all rows are counted."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any

import msgspec

from provenance.identity import canonical_json, digest
from provenance.schema import DATA_VERSION, MIX_SCHEMA_VERSION
from store import shards
from store.shards import HUMAN, Format
from store.verify_card import CARD, CROISSANT
from store.verify_folder import Check, strict_json
from store.verify_shard import Found, Terms, Wrong

MANIFEST = "manifest.json"
SNAPSHOT = "proof/snapshot.manifest"
CHECKPOINT = "proof/checkpoint"
TOKENIZER = "proof/tokenizer.bin"
FLOOR = re.compile(r"[0-9]{1,18}(/[1-9][0-9]{0,17})?", re.ASCII)
SHARDS = 99_999

Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]


class _File(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    sha256: str
    size: Count
    rows: Count | None


class _Human(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    rows: Count


class _Shard(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    rows: Count
    units: dict[str, dict[str, int]]
    human: _Human | None


class _Scores(msgspec.Struct, forbid_unknown_fields=True):
    sha256: str
    rows: Count
    columns: list[str]


class _Manifest(msgspec.Struct, forbid_unknown_fields=True):
    kind: str
    schema_version: int
    data_version: int
    id: str
    job: str
    config: dict[str, dict[str, Any]]
    config_digest: str
    floor: str
    units: list[str]
    snapshot: dict[str, str]
    runs: list[str]
    scores: list[_Scores]
    requested: dict[str, Any]
    realised: dict[str, dict[str, int]]
    files: list[_File]
    shards: list[_Shard]
    counts: dict[str, Any]
    orders: dict[str, Any]
    stated: dict[str, Any]
    round_trip: bool | None = None


class Settings(msgspec.Struct):
    """Of the configuration, what rows and totals are held to; the rest says how the mix was made."""

    floor: str
    units: list[str]
    budget: Count | None
    shortfall: str
    max_epochs: Annotated[int, msgspec.Meta(ge=1, le=1 << 31)]
    min_attestation: str
    ceilings: dict[str, str]
    shuffle_buffer: Count
    human_apart: bool
    format: str
    chunk_bytes: Annotated[int, msgspec.Meta(ge=4, le=1 << 24)]
    tokenizer: str | None


@dataclass(frozen=True)
class Shard:
    """One shard: its number, name, row count and files as the manifest has them."""

    number: int
    name: str
    listed: _Shard
    files: tuple[str, ...]
    """The files of its rows."""
    human: tuple[str, ...]
    """The files of its human side apart, none where that is not there."""

    @property
    def leaves(self) -> str:
        return f"proof/{self.name}.leaves.zst"

    @property
    def hashes(self) -> str:
        return f"proof/{self.name}.hashes.bin"

    @property
    def paths(self) -> tuple[str, ...]:
        """All files that belong to it, its proof too."""
        return (*self.files, *self.human, self.leaves, self.hashes)


class Said:
    """What a manifest says, once it agrees with itself. `plain` is the configuration as it stands there."""

    def __init__(self, body: _Manifest):
        self.body, self.plain = body, body.config["mix"]
        self.mix = msgspec.convert(self.plain, Settings)
        self.form: Format = shards.named(self.mix.format)
        self.files = {file.path: file for file in body.files}
        self.shards = [self._shard(number, listed) for number, listed in enumerate(body.shards)]
        self.tokens = "tokens" in body.units

    def _shard(self, number: int, listed: _Shard) -> Shard:
        name = shards.shard_name(number, len(self.body.shards))
        human = self.form.paths(name, HUMAN) if self.mix.human_apart else ()
        return Shard(number, name, listed, self.form.paths(name), human)

    @property
    def roots(self) -> tuple[str, ...]:
        """Where shards lie."""
        return ("", HUMAN) if self.mix.human_apart else ("",)

    @property
    def wanted(self) -> set[str]:
        """The files that every mix of these settings has."""
        of_shards = [path for shard in self.shards for path in shard.paths]
        return {CARD, CROISSANT, SNAPSHOT, *of_shards, *([TOKENIZER] if self.tokens else [])}

    @property
    def further(self) -> set[str]:
        """Files that it lists beside these: the checkpoint of a signed snapshot, and what belongs to all shards together."""
        return self.files.keys() - self.wanted

    @property
    def data(self) -> dict[str, tuple[str, int]]:
        """Digest and size of each file that a loader reads."""
        of_shards = {path for shard in self.shards for path in (*shard.files, *shard.human)}
        read = of_shards | (self.further - {CHECKPOINT})
        return {path: (file.sha256, file.size) for path, file in self.files.items() if path in read}


def read(check: Check) -> Said:
    """The manifest, if it is what its id says and agrees with itself. Raises `ValueError` or another error of a forged one."""
    data = check.read(MANIFEST)
    plain = strict_json(data)
    if canonical_json(plain) != data:
        raise Wrong("its bytes are not canonical JSON")
    kind, version, rules = (plain.get(name) for name in ("kind", "schema_version", "data_version"))
    if (kind, version) != ("mix", MIX_SCHEMA_VERSION):
        raise Wrong(f"it describes a {kind!r} of schema version {version!r}; a mix of version {MIX_SCHEMA_VERSION} is needed")
    if not isinstance(rules, int) or rules > DATA_VERSION:
        raise Wrong(f"its data version is {rules!r}, and this program knows those up to {DATA_VERSION}")
    body = msgspec.convert(plain, _Manifest)
    if body.id != digest({name: value for name, value in plain.items() if name != "id"}):
        raise Wrong("its id is not the digest of its content")
    if not 1 <= len(body.shards) <= SHARDS:
        raise Wrong(f"it lists {len(body.shards):,} shards; a mix has 1 to {SHARDS:,}")
    said = Said(body)
    _check_settings(said)
    _check_files(said)
    return said


def _check_settings(said: Said) -> None:
    body, mix = said.body, said.mix
    if body.config_digest != digest(body.config) or (body.floor, body.units) != (mix.floor, mix.units):
        raise Wrong("its floor, units or config_digest are not those of its configuration")
    asked = {name: said.plain[name] for name in body.requested}
    if body.requested != asked or not {"floor", "units", "budget", "ceilings", "min_attestation"} <= body.requested.keys():
        raise Wrong("what it says was requested is not its configuration")
    if not FLOOR.fullmatch(body.floor) or not 0 <= Fraction(body.floor) <= 1:
        raise Wrong(f"floor {body.floor[:40]!r} is no fraction as mixes write it")
    units = set(body.units)
    if not units or not units <= {"bytes", "documents", "tokens"} or len(units) < len(body.units):
        raise Wrong(f"its units {body.units} are none that a floor is counted in")
    if said.form.TOKENS and body.units != ["tokens"]:
        raise Wrong(f"it is in the format {mix.format}, whose floor is counted in tokens alone, and lists {', '.join(body.units)}")


def _check_files(said: Said) -> None:
    """Raises `Wrong` unless it lists exactly the files of such a mix, so far as names alone can tell."""
    body, paths = said.body, [file.path for file in said.body.files]
    if len(set(paths)) < len(paths) or any(_outside(path) for path in paths):
        raise Wrong("it lists a file twice, or one outside the mix")
    if lacking := said.wanted - set(paths):
        raise Wrong(f"a mix of {len(body.shards)} shards has files that it does not list: {', '.join(sorted(lacking)[:9])}")
    rows: dict[str, int] = {}
    for shard in said.shards:
        rows[shard.files[0]] = shard.listed.rows
        if shard.listed.path != shard.files[0]:
            raise Wrong(f"shard {shard.number} lies at {shard.listed.path[:80]!r} and not at {shard.files[0]}")
        human = shard.listed.human
        if (human.path if human else None) != (shard.human[0] if shard.human else None):
            raise Wrong(f"the human side of shard {shard.number} is not where its configuration puts it")
        if human:
            rows[human.path] = human.rows
    if odd := [path for path, file in said.files.items() if file.rows != rows.get(path)]:
        raise Wrong(f"it lists other rows for {odd[0]} than its shards have")


def _outside(path: str) -> bool:
    return not path or path == MANIFEST or "\0" in path or not all(part not in ("", ".", "..") for part in path.split("/"))


def totals(made: Sequence[Found]) -> dict[str, Any]:
    """The sums over shards: `rows`, `text_bytes`, `unverified` (documents), `units` and `counts`."""
    units: dict[str, dict[str, int]] = {}
    counts: dict[str, Any] = {}
    for found in made:
        for unit, of in found.units.items():
            sums = units.setdefault(unit, {"human": 0, "total": 0})
            for side in sums:
                sums[side] += of[side]
        counts = _sum(counts, found.counts)
    sums = {name: sum(getattr(found, name) for found in made) for name in ("rows", "text_bytes", "unverified")}
    return {**sums, "units": units, "counts": counts}


def _sum(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Adds nested counts."""
    found = dict(one)
    for name, value in other.items():
        found[name] = _sum(found.get(name, {}), value) if isinstance(value, dict) else found.get(name, 0) + value
    return found


def check_totals(check: Check, said: Said, terms: Terms, total: dict[str, Any], orders: dict[str, Any]) -> None:
    """Holds the manifest's numbers, the budget, the ceilings and the shuffle buffer to what the rows add up to."""
    body, mix, unit = said.body, said.mix, terms.units[0]
    for name, stated, counted in (
        ("counts", body.counts, total["counts"]),
        ("realised", body.realised, total["units"]),
        ("orders", body.orders, orders),
    ):
        if canonical_json(stated) != canonical_json(counted):
            check.blame(MANIFEST, f"its {name} are not what the shards give: {_difference(stated, counted, name)}")
    whole = total["units"][unit]["total"]
    if mix.budget is not None and whole > mix.budget:
        check.blame(MANIFEST, f"the shards hold {whole:,} {unit}, and the budget is {mix.budget:,}")
    for origin, counts in total["counts"]["origins"].items():
        if origin == "human":
            continue
        text = mix.ceilings.get(origin, "")
        if not FLOOR.fullmatch(text) or Fraction(text) * whole < counts[unit]:
            check.blame(
                MANIFEST,
                f"{counts[unit]:,} of {whole:,} {unit} are {origin}, and the ceiling of the configuration is {text[:40] or 'none'}",
            )
    for name, of in orders.items():
        if of["shuffle_buffer"] < min(mix.shuffle_buffer, of["rows"]):
            check.blame(
                MANIFEST,
                f"a reader that holds back {of['shuffle_buffer'] + 1} rows can fall below the floor in {name}, and {mix.shuffle_buffer} are promised",
            )


def _difference(stated: Any, counted: Any, where: str) -> str:
    """The first place where two nested values differ, in words."""
    if isinstance(stated, dict) and isinstance(counted, dict):
        for name in sorted(stated.keys() | counted.keys()):
            if stated.get(name) != counted.get(name):
                return _difference(stated.get(name), counted.get(name), f"{where}.{name[:60]}")
    return f"{where} is {str(stated)[:80]}, and they have {str(counted)[:80]}"
