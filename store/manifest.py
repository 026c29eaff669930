"""What a finished run, snapshot or mix says of itself, written last; without it there is none.

Manifests are canonical JSON, so that any changed byte shows. A snapshot's id is the SHA-256 of its manifest file, whose
name it is; a run or a mix carries the digest of the rest of its manifest in the field `id`.
"""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from provenance.identity import canonical_json, digest, sha256_hex
from provenance.schema import CHANGES, DATA_VERSION, LAYOUTS, SCHEMA_VERSION
from store import files
from store.errors import CheckFailed, UsageError

MANIFEST = "manifest.json"
MANIFESTS = "manifests"
WORK = "_work"
"""Folder of work in progress, below a target; gone when the manifest is there."""
PLACING = "placing.json"
"""In the folder of work: paths of the files that are being moved into place, so that who verifies an earlier version meanwhile,
or after a kill, does not take them for foreign ones."""


def placing(url: str) -> set[str]:
    """Files that an unfinished command is moving into the folder `url`: no version lists them yet. None are known where it has
    just finished, or where what it says of them cannot be read."""
    try:
        return set(msgspec.json.decode(files.read_bytes(files.join(url, WORK, PLACING)), type=list[str]))
    except (FileNotFoundError, ValueError, msgspec.MsgspecError):
        return set()


@dataclass(frozen=True)
class Opened:
    """A finished run, snapshot or mix."""

    url: str
    id: str
    manifest: dict[str, Any]

    @property
    def kind(self) -> str:
        return str(self.manifest["kind"])

    @property
    def index_only(self) -> bool:
        """Whether it is a snapshot of leaves and sketches without text."""
        return self.manifest.get("index_only") is True

    @property
    def parent(self) -> str | None:
        """Id of the version that a snapshot extends, None for a first one."""
        parent: str | None = self.manifest.get("parent")
        return parent

    @property
    def redacted(self) -> int:
        """Leaves of a snapshot whose texts this version or one before it removed."""
        return int((self.manifest.get("redacted") or {}).get("leaves", 0))

    @property
    def removed(self) -> list[str]:
        """Paths of the parent's files that a snapshot no longer has because they held redacted texts."""
        return list((self.manifest.get("redacted") or {}).get("removed", []))

    def entries(self, dataset: str) -> list[dict[str, Any]]:
        """The manifest's lines for one dataset's files, in order of path."""
        return [entry for entry in self.manifest["files"] if entry["path"].split("/")[0] == dataset]

    def files(self, dataset: str) -> list[str]:
        """URLs of one dataset's files, in order of path."""
        return [files.join(self.url, entry["path"]) for entry in self.entries(dataset)]


def sorted_files(entries: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    """Manifest lines in order of path."""
    return sorted(entries, key=lambda entry: str(entry["path"]))


def _place(target: str, path: str, data: bytes, work: str | None) -> None:
    """Writes a manifest in the work folder, if one is given, and moves it into place."""
    if work is None:
        files.write_bytes(files.join(target, path), data)
    else:
        files.write_bytes(files.join(work, path), data)
        files.move(files.join(work, path), files.join(target, path))


def write(target: str, body: dict[str, Any], work: str | None = None) -> Opened:
    """Writes the manifest of a run or a mix, and so finishes it."""
    body = {"schema_version": LAYOUTS.get(body["kind"], SCHEMA_VERSION), "data_version": DATA_VERSION, **body}
    data = canonical_json({**body, "id": digest(body)})
    manifest = json.loads(data)
    _place(target, MANIFEST, data, work)
    return Opened(target, manifest["id"], manifest)


def snapshot_bytes(body: dict[str, Any]) -> bytes:
    """The bytes of a snapshot's manifest, whose SHA-256 will be its id."""
    return canonical_json({"kind": "snapshot", "schema_version": SCHEMA_VERSION, "data_version": DATA_VERSION, **body})


def write_snapshot(target: str, body: dict[str, Any], work: str | None = None) -> Opened:
    """Writes the manifest of a snapshot under its own digest, and so finishes it."""
    data = snapshot_bytes(body)
    name, manifest = sha256_hex(data), json.loads(data)
    _place(target, f"{MANIFESTS}/{name}.json", data, work)
    return Opened(target, name, manifest)


Count = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
"""A number of things; every reader of JSON has integers up to 2**53 exactly."""
Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
"""SHA-256 in lower-case hexadecimal: of a file, a manifest, or a node of the tree."""


class _File(msgspec.Struct):
    path: str
    sha256: Digest
    size: Count
    rows: Count | None


class _Extension(msgspec.Struct):
    """Leaves that one version added; `root` is the whole tree's after it, `manifest` the id of that version, null for this one."""

    size: Count
    root: Digest
    manifest: Digest | None


class _Tree(msgspec.Struct):
    size: Count
    root: Digest
    extensions: list[_Extension]


class _Witness(msgspec.Struct):
    kind: str
    custodian: str
    published: str
    sha256: list[Digest]


class _Redacted(msgspec.Struct):
    leaves: Count
    removed: list[str]


class _Known(msgspec.Struct):
    id: str
    cutoff: str


class _Earlier(msgspec.Struct):
    id: str


class _Share(msgspec.Struct):
    documents: Count
    estimated: Count
    share: float | None
    share_low: float | None
    share_high: float | None
    rogan_gladen_low: float | None
    rogan_gladen_high: float | None
    note: str | None


class _Prevalence(msgspec.Struct):
    all: _Share
    placebo_months: dict[str, Count]
    placebo: _Share | None = None


class _Run(msgspec.Struct):
    id: str
    files: list[_File]
    snapshots: list[_Known]
    runs: list[_Earlier] = []
    calibration: dict[str, Any] | None = None
    prevalence: _Prevalence | None = None
    counts: dict[str, Any] = {}


class _Snapshot(msgspec.Struct):
    data_version: int
    cutoff: str
    tree: _Tree
    files: list[_File]
    parent: Digest | None = None
    index_only: bool = False
    consistency: list[Digest] = []
    signers: list[str] = []
    witnesses: dict[str, _Witness] = {}
    redacted: _Redacted | None = None
    counts: dict[str, Any] = {}


class _Mix(msgspec.Struct):
    id: str
    files: list[_File]


SNAPSHOT_PATH = re.compile(
    r"(documents|leaves|rejects|sources|signatures|bands|ids|samples|evidence|tags)/[A-Za-z0-9][A-Za-z0-9._-]*\.parquet", re.ASCII
)
"""Where the files of a snapshot lie: a name has nothing that could be a pattern or a value of a column."""

SHAPES: dict[str, type[msgspec.Struct]] = {"run": _Run, "snapshot": _Snapshot, "mix": _Mix}
"""What every manifest of a kind has, at least; forged ones are refused before anything follows their paths."""


def _check_paths(kind: str, paths: list[str]) -> None:
    """Raises `ValueError` for paths that lead out of the folder or stand there twice and, in a snapshot, for those that are no
    Parquet file of its datasets, which a reader of these would pass over."""
    for path in paths:
        if not path or path.startswith("/") or "\0" in path or not all(part not in ("", ".", "..") for part in path.split("/")):
            raise ValueError(f"it lists the path {path[:80]!r}, which is none below its folder")
    if len(set(paths)) != len(paths):
        raise ValueError("it lists a file twice")
    if kind == "snapshot":
        if strange := [path for path in paths if not SNAPSHOT_PATH.fullmatch(path)]:
            raise ValueError(f"it lists {strange[0][:80]!r}, which is no Parquet file of a snapshot's datasets")
        if paths != sorted(paths):
            raise ValueError("its files are not sorted by path")


def changes(what: str, ours: int, theirs: int) -> list[str]:
    """The rules that changed between two versions of the `schema`, the `data` or a `mix`, oldest first, each with its version."""
    low, high = sorted((ours, theirs))
    return [f"{kind} {version}: {rule}" for kind, version, rule in CHANGES if kind == what and low < version <= high]


def _check_versions(manifest: dict[str, Any], where: str) -> None:
    """Raises `CheckFailed` for what this program cannot read. Older data of the same layout are readable."""
    kind = str(manifest["kind"])
    for what, ours in (("schema", LAYOUTS.get(kind, SCHEMA_VERSION)), ("data", DATA_VERSION)):
        theirs = manifest.get(f"{what}_version")
        if theirs == ours or (what == "data" and (theirs is None or (isinstance(theirs, int) and theirs < ours))):
            continue
        known = changes("mix" if (kind, what) == ("mix", "schema") else what, ours, theirs) if isinstance(theirs, int) else []
        raise CheckFailed(
            f"{where} has {what} version {theirs!r} and this program reads {ours}; rows may mean other things "
            f"({'; '.join(known) or 'what changed, this program cannot know'}). Use the version of lowbackground that wrote it."
        )


def older_rules(opened: Opened) -> list[str]:
    """The rules that were other when the data were made than they are in this program; none for data of today."""
    theirs = opened.manifest.get("data_version")
    return changes("data", DATA_VERSION, theirs) if isinstance(theirs, int) else []


def parse(data: bytes, where: str) -> dict[str, Any]:
    """A manifest from its bytes. Raises `CheckFailed` unless they are canonical JSON of versions that this program reads."""
    try:
        manifest = json.loads(data)
        if canonical_json(manifest) != data:
            raise ValueError("its bytes are not canonical JSON")
        if not isinstance(manifest, dict):
            raise ValueError("it is no object")
        if not isinstance(manifest.get("kind"), str):
            raise ValueError("it does not say what it describes")
        readable = manifest.get("schema_version") == LAYOUTS.get(manifest["kind"])
        if manifest["kind"] in SHAPES and readable:
            msgspec.convert(manifest, SHAPES[manifest["kind"]])
            _check_paths(manifest["kind"], [entry["path"] for entry in manifest["files"]])
    except (ValueError, TypeError, RecursionError, msgspec.ValidationError) as error:
        raise CheckFailed(
            f"{where} is not a manifest as this project writes them ({error}); what it describes cannot be trusted. "
            "Restore the file, or make the folder anew."
        ) from error
    _check_versions(manifest, where)
    return manifest


def _open_single(url: str, kind: str) -> Opened:
    where = files.join(url, MANIFEST)
    if not files.exists(where):
        raise UsageError(
            f"{url} is no finished {kind}: {MANIFEST} is not there. Name a folder that such a command finished, or rerun it."
        )
    manifest = parse(files.read_bytes(where), where)
    if manifest["kind"] != kind:
        raise UsageError(f"{url} is a {manifest['kind']}, and a {kind} is needed here.")
    body = {name: value for name, value in manifest.items() if name != "id"}
    if manifest.get("id") != digest(body):
        raise CheckFailed(
            f"{where} was changed after it was written: its id is not the digest of its content. Make the {kind} anew."
        )
    return Opened(url, str(manifest["id"]), manifest)


def open_run(url: str) -> Opened:
    """A finished run. Raises `UsageError` if there is none, `CheckFailed` if its manifest was changed."""
    return _open_single(url, "run")


def open_mix(url: str) -> Opened:
    """A finished mix. Raises as `open_run`."""
    return _open_single(url, "mix")


def snapshot_ids(url: str) -> list[str]:
    """Ids of the versions of a snapshot, by the names of their manifests, sorted."""
    names = files.list_files(files.join(url, MANIFESTS))
    return sorted(name.removesuffix(".json") for name in names if name.endswith(".json"))


def _newest(url: str, ids: list[str]) -> str:
    """The version that no other extends: there is no clock in a manifest, and its extensions name all versions before it."""
    before: set[str | None] = set()
    for name in ids:
        where = files.join(url, MANIFESTS, f"{name}.json")
        known = parse(files.read_bytes(where), where)
        if known["kind"] != "snapshot":
            raise CheckFailed(f"{where} describes a {known['kind'][:40]!r}, not a snapshot.")
        before |= {known.get("parent"), *(extension["manifest"] for extension in known.get("tree", {}).get("extensions", []))}
    heads = [name for name in ids if name not in before]
    if len(heads) != 1:
        raise UsageError(
            f"{url} holds {len(heads)} versions that nothing extends; name one of them as {url}@ID: {', '.join(heads or ids)}"
        )
    return heads[0]


def _nothing_at(base: str) -> str:
    """Why there is no snapshot at a folder, and what to do."""
    if files.exists(files.join(base, WORK)):
        return f"{base} holds unfinished work and nothing that could be used yet. Run the command that made it again; it goes on."
    if files.exists(files.join(base, MANIFEST)):
        return f"{base} holds a finished run or mix, and a snapshot is needed here. Name a folder that freeze finished."
    if not files.exists(base):
        return f"{base} is not there. Name a folder that freeze, curate or mix finished."
    return f"{base} holds no finished snapshot, run or mix. Name a folder that such a command finished."


def open_snapshot(url: str) -> Opened:
    """A frozen snapshot, by `URL` (its newest version) or `URL@ID`.

    Raises `UsageError` if there is none, `CheckFailed` if the manifest's bytes are not what its name says.
    """
    base, at, wanted = url.rpartition("@")
    if not at or "/" in wanted or files.exists(files.join(url, MANIFESTS)):
        base, wanted = url, ""
    ids = snapshot_ids(base)
    if not ids:
        raise UsageError(_nothing_at(base))
    if wanted and wanted not in ids:
        raise UsageError(f"{base} holds no version {wanted}; it has {', '.join(ids)}.")
    return open_version(base, wanted or (ids[0] if len(ids) == 1 else _newest(base, ids)))


def open_version(url: str, name: str) -> Opened:
    """The version of this id of the snapshot in the folder `url`.

    Raises `FileNotFoundError` where its manifest is not there, `CheckFailed` if its bytes are not what its name says.
    """
    where = files.join(url, MANIFESTS, f"{name}.json")
    data = files.read_bytes(where)
    if sha256_hex(data) != name:
        raise CheckFailed(
            f"{where} was changed: the SHA-256 of its bytes is not its name. The snapshot cannot be trusted; restore it from a copy."
        )
    manifest = parse(data, where)
    if manifest["kind"] != "snapshot":
        raise CheckFailed(f"{where} describes a {manifest['kind']}, not a snapshot.")
    return Opened(url, name, manifest)


def lineage(opened: Opened) -> list[Opened]:
    """The versions of a snapshot from the first to this one, each the parent of the next.

    Raises `CheckFailed` where a parent's manifest is missing or changed. No circle can be: an id is a digest over the parent's.
    """
    found = [opened]
    while (parent := found[-1].parent) is not None:
        try:
            found.append(open_version(opened.url, parent))
        except FileNotFoundError as error:
            raise CheckFailed(
                f"{files.join(opened.url, MANIFESTS, parent)}.json is missing, and version {found[-1].id} extends it; where its leaves come "
                "from cannot be followed. Restore the file from a copy."
            ) from error
    return found[::-1]


def open_any(url: str) -> Opened:
    """Whatever finished thing lies at `url`: a snapshot, a run or a mix."""
    where = files.join(url, MANIFEST)
    if files.exists(where):
        manifest = parse(files.read_bytes(where), where)
        return _open_single(url, "mix" if manifest["kind"] == "mix" else "run")
    return open_snapshot(url)
