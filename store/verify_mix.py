"""Verifies a mix from its own bytes and the id of the snapshot that the user trusts.

Everything that can be recomputed is: each file's digest, the floor after every row of every shard in every unit, each
human document's text against a leaf proven to be in the snapshot's tree, and every number in the manifest but those
under `stated`. The folder is listed as a loader would list it. Shares nothing with what writes a mix but hashing,
schemas and the readers of the shard formats.
"""

import contextlib
import hashlib
import json
import re
from collections.abc import Iterator
from datetime import datetime
from fractions import Fraction
from typing import Any

import fsspec
import msgspec
import pyarrow as pa

from provenance.identity import canonical_json, digest, sha256_hex
from provenance.schema import ATTESTATIONS, SCHEMA_VERSION
from store import shards
from store.errors import LowbackgroundError
from store.verify_shard import Found, Rows, Terms, Wrong, moment, prove, read_leaves, repeated

MANIFEST = "manifest.json"
CARD = "README.md"
SNAPSHOT = "proof/snapshot.manifest"
TOKENIZER = "proof/tokenizer.bin"
UNREADABLE = (
    ValueError,
    OSError,
    pa.ArrowException,
    KeyError,
    IndexError,
    TypeError,
    OverflowError,
    RecursionError,
    EOFError,
    ArithmeticError,
    AttributeError,
)
"""What reading a damaged or forged file may raise; each makes that file wrong."""

FLOOR = re.compile(r"[0-9]{1,18}(/[1-9][0-9]{0,17})?", re.ASCII)

HEADER = "---\nlicense: other\nlicense_name: unspecified\nconfigs:\n- config_name: default\n  data_files:\n  - split: train\n    path: data/train-*{}\n---\n\n# "
"""How the card must begin: a loader takes its list of files from there."""


class _File(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    sha256: str
    size: int
    rows: int | None


class _Shard(msgspec.Struct, forbid_unknown_fields=True):
    path: str
    rows: int
    units: dict[str, dict[str, int]]


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
    requested: dict[str, Any]
    realised: dict[str, dict[str, int]]
    files: list[_File]
    shards: list[_Shard]
    counts: dict[str, Any]
    stated: dict[str, Any]


class _Check:
    """What was found so far, by file."""

    def __init__(self, url: str):
        fs, path = fsspec.core.url_to_fs(url)
        self.fs, self.path = fs, str(path).rstrip("/")
        self.why: dict[str, str] = {}
        self.missing: list[str] = []
        self.extra: list[str] = []

    def listing(self) -> set[str]:
        self.fs.invalidate_cache()
        base = self.path + "/"
        return {str(name)[len(base) :] for name in self.fs.find(self.path) if str(name).startswith(base)}

    def open(self, path: str) -> Any:
        return self.fs.open(f"{self.path}/{path}", "rb")

    def read(self, path: str) -> bytes:
        with self.open(path) as file:
            data: bytes = file.read()
        return data

    def blame(self, path: str, why: object) -> None:
        """Notes that a file is wrong; the first reason stays."""
        self.why.setdefault(path, str(why) or type(why).__name__)

    @contextlib.contextmanager
    def of(self, path: str) -> Iterator[None]:
        """Whatever a damaged file raises in the block makes that file wrong."""
        try:
            yield
        except (*UNREADABLE, LowbackgroundError) as error:
            self.blame(path, error if isinstance(error, Wrong) else f"{type(error).__name__}: {error}")

    @property
    def clean(self) -> bool:
        return not (self.why or self.missing or self.extra)

    def summary(self) -> dict[str, Any]:
        return {
            "wrong": sorted(self.why),
            "missing": sorted(self.missing),
            "extra": sorted(self.extra),
            "why": dict(sorted(self.why.items())),
        }


def verify_mix(url: str, anchor: str | None, max_cutoff: str | None = None) -> dict[str, Any]:
    """Checks the mix at `url`; `wrong`, `missing` and `extra` name files, `why` says what is wrong with each.

    `anchor` is the snapshot id that the user trusts; without one the mix is only consistent in itself (`anchored` is
    false). `max_cutoff` (ISO 8601) refuses snapshots whose cutoff is later. `line` says on whose word the human side rests.
    Raises `ValueError` for a `max_cutoff` that is no date. Never raises for what lies in the folder.
    """
    latest = moment(max_cutoff) if max_cutoff else None
    check = _Check(url)
    found: dict[str, Any] = {"id": None, "snapshot": None, "anchor": anchor, "anchored": False}
    manifest = None
    with check.of(MANIFEST):
        manifest = _manifest(check)
    if manifest is None:
        return {"line": "nothing is proven: the manifest is not to be trusted", **found, **check.summary()}
    found |= {"id": manifest.id, "snapshot": manifest.snapshot.get("id")}
    _check_files(check, manifest)
    terms = None
    if not {MANIFEST, SNAPSHOT} & {*check.why, *check.missing}:
        with check.of(SNAPSHOT):
            terms = _terms(check, manifest, anchor, latest)
    if terms is None:
        why = check.why.get(SNAPSHOT, f"{SNAPSHOT} is not there or not to be trusted")
        return {"line": f"nothing is proven: {why}", **found, **check.summary()}
    total = _check_rows(check, manifest, terms)
    found["anchored"] = bool(anchor) and check.clean
    if not check.clean:
        return {"line": "nothing is proven: files are not what was written", **found, **check.summary()}
    units = " and ".join(terms.units)
    promised = (
        f"at least {terms.floor} of the {units} at every prefix of {len(manifest.shards)} shard{'s'[: len(manifest.shards) != 1]}"
    )
    dated = {"floor": promised, "dated_before": manifest.snapshot["cutoff"], "weakest_attestation": ATTESTATIONS[terms.minimum]}
    return {"line": _line(total, terms.units[0]), **found, **dated, **total, **check.summary()}


def _manifest(check: _Check) -> _Manifest:
    """The manifest, if it is what its id says and agrees with itself."""
    data = check.read(MANIFEST)
    plain = _json(data)
    if canonical_json(plain) != data:
        raise Wrong("its bytes are not canonical JSON")
    made = msgspec.convert(plain, _Manifest)
    if made.id != digest({name: value for name, value in plain.items() if name != "id"}):
        raise Wrong("its id is not the digest of its content")
    if (made.kind, made.schema_version) != ("mix", SCHEMA_VERSION):
        raise Wrong(
            f"it describes a {made.kind} of schema version {made.schema_version}; a mix of version {SCHEMA_VERSION} is needed"
        )
    mix = made.config["mix"]
    if made.config_digest != digest(made.config) or (made.floor, made.units) != (mix["floor"], mix["units"]):
        raise Wrong("its floor, units or config_digest are not those of its configuration")
    if (
        made.requested != {name: mix[name] for name in made.requested}
        or not {"floor", "units", "min_attestation"} <= made.requested.keys()
    ):
        raise Wrong("what it says was requested is not its configuration")
    paths = [file.path for file in made.files]
    if len(set(paths)) < len(paths) or any(
        not path or path.startswith("/") or ".." in path.split("/") or path == MANIFEST for path in paths
    ):
        raise Wrong("it lists a file twice, or one outside the mix")
    suffix = shards.named(mix["format"]).SUFFIX
    names = [f"data/{shards.shard_name(i, len(made.shards))}{suffix}" for i in range(len(made.shards))]
    wanted = {CARD, SNAPSHOT, *names, *(_proof(name, kind) for name in names for kind in ("leaves.zst", "hashes.bin"))}
    wanted |= {TOKENIZER} if "tokens" in made.units else set()
    if [shard.path for shard in made.shards] != names or set(paths) != wanted:
        raise Wrong(
            f"a mix of {len(names)} shards has other files than it lists: {', '.join(sorted(set(paths) ^ wanted)) or 'shards out of order'}"
        )
    if any(file.rows is not None for file in made.files if file.path not in names):
        raise Wrong("it lists rows for a file that is no shard")
    return made


def _json(data: bytes) -> Any:
    """JSON without repeated keys."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise Wrong("a JSON object has one key twice")
        return found

    return json.loads(data, object_pairs_hook=once)


def _proof(shard: str, kind: str) -> str:
    return f"proof/{shard.rpartition('/')[2].split('.')[0]}.{kind}"


def _check_files(check: _Check, manifest: _Manifest) -> None:
    """Compares every file's size and digest, and lists what should not be there."""
    there = check.listing()
    listed = {file.path for file in manifest.files}
    check.missing += sorted(listed - there)
    check.extra += sorted(there - listed - {MANIFEST})
    for file in manifest.files:
        if file.path not in there:
            continue
        with check.of(file.path):
            hashed, size = hashlib.sha256(), 0
            with check.open(file.path) as stream:
                while block := stream.read(1 << 20):
                    hashed.update(block)
                    size += len(block)
            if (hashed.hexdigest(), size) != (file.sha256, file.size):
                raise Wrong(f"{size} bytes with SHA-256 {hashed.hexdigest()}; the manifest lists {file.size} with {file.sha256}")
            if file.path == CARD and not check.read(CARD).startswith(
                HEADER.format(shards.named(manifest.config["mix"]["format"]).SUFFIX).encode()
            ):
                raise Wrong("its header is not the one of a mix; a loader might take other files than the shards")


def _terms(check: _Check, manifest: _Manifest, anchor: str | None, latest: datetime | None) -> Terms:
    """What the rows are held to, from the snapshot's manifest that travels with the mix."""
    data = check.read(SNAPSHOT)
    name = sha256_hex(data)
    if anchor and name != anchor.lower():
        raise Wrong(f"it is the manifest of snapshot {name}, and the anchor is {anchor}")
    snapshot, mix = _json(data), manifest.config["mix"]
    if manifest.snapshot != {"id": name, "cutoff": snapshot["cutoff"]}:
        check.blame(
            MANIFEST, f"it names another snapshot or cutoff than {SNAPSHOT}, which is {name} with cutoff {snapshot['cutoff']}"
        )
    if (snapshot["kind"], snapshot["schema_version"]) != ("snapshot", SCHEMA_VERSION):
        raise Wrong(f"it describes a {snapshot['kind']} of schema version {snapshot['schema_version']}, not {SCHEMA_VERSION}")
    cutoff = moment(snapshot["cutoff"])
    if latest and cutoff > latest:
        raise Wrong(f"the snapshot's cutoff is {snapshot['cutoff']}, later than {latest.isoformat()}")
    if not FLOOR.fullmatch(manifest.floor):
        raise Wrong(f"floor {manifest.floor[:40]!r} is no fraction as mixes write it")
    floor = Fraction(manifest.floor)
    if not 0 <= floor <= 1 or not manifest.units or not set(manifest.units) <= {"bytes", "documents", "tokens"}:
        raise Wrong(f"floor {manifest.floor} in {manifest.units} is no floor")
    epochs = int(mix["max_epochs"]) if mix["shortfall"] == "repeat" else 1
    return Terms(
        floor=floor,
        units=tuple(manifest.units),
        minimum=max(1, ATTESTATIONS.index(mix["min_attestation"])),
        cutoff=cutoff,
        chunk_bytes=int(mix["chunk_bytes"]),
        epochs=epochs,
        tree_size=int(snapshot["tree"]["size"]),
        tree_root=str(snapshot["tree"]["root"]),
    )


def _check_rows(check: _Check, manifest: _Manifest, terms: Terms) -> dict[str, Any]:
    """Checks every shard, what stands in two of them, and the manifest's numbers."""
    tokenizer = None
    if "tokens" in terms.units:
        with check.of(TOKENIZER):
            tokenizer = _tokenizer(check, manifest)
        if tokenizer is None:
            return _totals([])
    made: list[Found] = []
    for shard in manifest.shards:
        if found := _check_shard(check, manifest, shard, terms, tokenizer):
            made.append(found)
            if (shard.rows, shard.units) != (found.rows, found.units):
                check.blame(
                    MANIFEST,
                    f"it says {shard.rows} rows and {shard.units} of {shard.path}, which has {found.rows} and {found.units}",
                )
    total = _totals(made)
    if len(made) < len(manifest.shards):
        return total
    for names, width, what in (([f.keys for f in made], 32, "document"), ([f.digests for f in made], 16, "human text")):
        if (twice := repeated(names, width)) is not None:
            text = twice.decode("ascii", "replace") if width == 32 else twice.hex()
            holder = next(s.path for s, of in zip(reversed(manifest.shards), reversed(names), strict=True) if twice in of)
            check.blame(holder, f"{what} {text} stands in the mix twice")
    if manifest.counts != total["counts"] or manifest.realised != total["units"]:
        check.blame(
            MANIFEST,
            f"its counts are {manifest.counts} and {manifest.realised}; the shards give {total['counts']} and {total['units']}",
        )
    return total


def _tokenizer(check: _Check, manifest: _Manifest) -> Any:
    from tokenizers import Tokenizer

    data = check.read(TOKENIZER)
    if sha256_hex(data) != manifest.config["mix"]["tokenizer"]:
        raise Wrong("it is not the tokenizer of the manifest's configuration")
    try:
        made = Tokenizer.from_str(data.decode())
    except Exception as error:  # the library raises bare exceptions for files that it cannot use
        raise Wrong(f"it is no tokenizer: {error}") from error
    made.no_truncation()
    made.no_padding()
    return made


def _check_shard(check: _Check, manifest: _Manifest, shard: _Shard, terms: Terms, tokenizer: Any) -> Found | None:
    """One shard against its proof; None where its files or rows are wrong. Files of another digest are not read."""
    proof = [_proof(shard.path, kind) for kind in ("leaves.zst", "hashes.bin")]
    if {shard.path, *proof} & {*check.why, *check.missing}:
        return None
    leaves = bound = None
    with check.of(proof[0]):
        leaves, bound = read_leaves(check.read(proof[0]), terms)
    if leaves is None or bound is None:
        return None
    try:
        prove(bound, check.read(proof[1]), terms)
    except UNREADABLE as error:  # which of the two is false cannot be known
        for path in proof:
            check.blame(path, error)
        return None
    with check.of(shard.path):
        rows = Rows(terms, leaves, tokenizer)
        with check.open(shard.path) as stream:
            for batch in shards.named(manifest.config["mix"]["format"]).read(stream):
                rows.take(batch)
        listed = next(file.rows for file in manifest.files if file.path == shard.path)
        found = rows.end()
        if listed != found.rows:
            check.blame(MANIFEST, f"it lists {listed} rows for {shard.path}, which has {found.rows}")
        return found
    return None


def _totals(made: list[Found]) -> dict[str, Any]:
    """The sums over shards."""
    units: dict[str, dict[str, int]] = {}
    for found in made:
        for unit, of in found.units.items():
            sums = units.setdefault(unit, {"human": 0, "total": 0})
            for side in sums:
                sums[side] += of[side]
    counts: dict[str, Any] = {}
    for found in made:
        counts = _sum(counts, found.counts)
    return {"rows": sum(f.rows for f in made), "text_bytes": sum(f.text_bytes for f in made), "units": units, "counts": counts}


def _sum(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """Adds nested counts."""
    found = dict(one)
    for name, value in other.items():
        found[name] = _sum(found.get(name, {}), value) if isinstance(value, dict) else found.get(name, 0) + value
    return found


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
