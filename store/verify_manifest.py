"""What a snapshot's manifest must say, by itself and of the version that it extends, before anything follows it.

`store.manifest` refuses what no reader could follow; here is the rest of SPEC sections 4 and 9 that a manifest alone shows.
"""

import itertools
import re
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, NamedTuple

import msgspec

from provenance.identity import digest, moment
from provenance.schema import ATTESTATIONS, INDEXES
from store import notes
from store.errors import UsageError
from store.manifest import Count, Digest, Opened

OWNER = {"archive file": "captured", "table row": "declared", "declaration": "declared"}
"""The owner's own words for a witness, and the level that each gives."""

KINDS = {"index": ("corroborated",), "checksums": ("released",), "authority": ("timestamped",), "bitcoin": ("timestamped",)}
"""Kinds of the trust list, and the levels that each gives."""

DATED = ("index", "checksums")
"""Kinds whose statement has to be published before the cutoff; a stamp has a time of its own."""

SHRINK = (*INDEXES, "evidence")
"""Datasets that lose the rows of a redacted document; all others keep them, emptied."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_PLAIN = re.compile(
    r"(?P<stem>(?:documents|leaves|rejects|sources|signatures|evidence|tags)/(?P<extension>\d{5})-[0-9A-Za-z-]+)"
    r"(?:\.r(?P<redaction>\d{5}))?(?P<tail>)\.parquet",
    re.ASCII,
)
_NUMBER = r"(?:\d{3}|[1-9]\d{3,6})"
_TAIL = rf"-r(?P<part>{_NUMBER})of(?P<ranges>{_NUMBER})"
_INDEX = tuple(
    re.compile(
        rf"(?P<stem>(?P<dataset>{dataset})/(?P<extension>\d{{5}})-[0-9A-Za-z-]+?)(?:\.r(?P<redaction>\d{{5}}))?(?P<tail>{tail})\.parquet",
        re.ASCII,
    )
    for dataset, tail in (("bands", rf"-b(?P<band>{_NUMBER}){_TAIL}"), ("ids|samples", f"(?P<band>){_TAIL}"))
)


class Place(NamedTuple):
    """What a file's path says: its place among the files, which a redaction keeps, and the numbers of the versions that wrote it."""

    name: str
    extension: int
    redaction: int | None

    @property
    def writer(self) -> int:
        """Number of the version that wrote the file, from 0 for the first."""
        return self.extension if self.redaction is None else self.redaction


def place(path: str) -> Place | None:
    """The place of a file of a snapshot, None for a path that no file of one has."""
    found = _PLAIN.fullmatch(path) or _of_index(path)
    if found is None:
        return None
    redaction = found["redaction"]
    return Place(found["stem"] + found["tail"], int(found["extension"]), None if redaction is None else int(redaction))


class Range(NamedTuple):
    """What the path of a file of an index says: range `part` of `ranges` of the hashes of a dataset's documents that the version
    of the number `extension` added; of which `band` (0 for what has none)."""

    dataset: str
    extension: int
    band: int
    part: int
    ranges: int
    stem: str

    @property
    def bounds(self) -> tuple[int, int]:
        """Least and greatest hash: those whose upper 32 bits x `ranges` >> 32 are `part`."""
        low, after = (-(-(part << 32) // self.ranges) for part in (self.part, self.part + 1))
        return low << 32, (after << 32) - 1


def _of_index(path: str) -> re.Match[str] | None:
    return next((found for pattern in _INDEX if (found := pattern.fullmatch(path))), None)


def hash_range(path: str) -> Range | None:
    """The range of a file of `INDEXES`, None for a path that is none of one."""
    found = _of_index(path)
    if found is None or int(found["part"]) >= int(found["ranges"]):
        return None
    extension, band, part, ranges = (int(found[name] or 0) for name in ("extension", "band", "part", "ranges"))
    return Range(found["dataset"], extension, band, part, ranges, found["stem"])


def beside(path: str) -> str:
    """What files of documents, signatures, tags and evidence that belong together share: their place without the dataset."""
    found = place(path)
    return path if found is None else found.name.partition("/")[2]


class _Listed(msgspec.Struct):
    path: str
    sha256: Digest
    size: Count
    rows: Count


class _MinHash(msgspec.Struct):
    permutations: Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
    bands: Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
    rows: Annotated[int, msgspec.Meta(ge=1, le=1 << 16)]
    bits: Literal[32, 64]


class _Parameters(msgspec.Struct):
    minhash: _MinHash


class _Counts(msgspec.Struct):
    records: Count
    documents: Count
    rejects: Count
    leaves: Count
    eligible: dict[str, Count]
    eligible_bytes: dict[str, Count]
    ineligible: dict[str, Count]
    rejects_by_reason: dict[str, Count]


class _Witness(msgspec.Struct):
    kind: Literal["index", "checksums", "authority", "bitcoin"]
    custodian: str
    published: str
    sha256: Annotated[list[Digest], msgspec.Meta(min_length=1)]


class _Redacted(msgspec.Struct):
    leaves: Count
    removed: list[str]


class _Manifest(msgspec.Struct):
    job: Digest
    cutoff: str
    declaration: str | None
    config: dict[str, Any]
    config_digest: Digest
    parameters: _Parameters
    index_only: bool
    signers: list[str]
    witnesses: dict[str, _Witness]
    redacted: _Redacted
    files: list[_Listed]
    counts: _Counts


@dataclass(frozen=True)
class Terms:
    """What a snapshot's leaves are held to: the cutoff (as leaves write times) and, of each pair of level and witness that may
    stand in a leaf, the last instant that the witness can speak of (`cutoff` where it says no more)."""

    cutoff: str
    allowed: dict[tuple[str, str], str]


def _instant(what: str, text: str) -> str:
    """The text of an instant. Raises `ValueError` unless it is spelled as manifests spell them."""
    try:
        spelled = moment(datetime.fromisoformat(text).astimezone(UTC)) if text.endswith("Z") else ""
    except (ValueError, OverflowError):
        spelled = ""
    if spelled != text or not text:
        raise ValueError(f"its {what} is {text[:40]!r}, which is no instant as `YYYY-MM-DDThh:mm:ss.ffffffZ`")
    return text


def terms(opened: Opened) -> Terms:
    """The terms of a snapshot whose manifest was checked."""
    cutoff = opened.manifest["cutoff"]
    allowed = {(level, word): cutoff for word, level in OWNER.items()}
    for name, entry in opened.manifest["witnesses"].items():
        if entry["kind"] not in DATED or entry["published"] < cutoff:
            # A list of checksums cannot hold what was captured after it was published; an index says the time of each capture.
            last = entry["published"] if entry["kind"] == "checksums" else cutoff
            allowed |= {(level, name): last for level in KINDS[entry["kind"]]}
    return Terms(cutoff, allowed)


def check(opened: Opened) -> None:
    """Raises `ValueError` that says what in a snapshot's manifest is not as it must be."""
    try:
        stated = msgspec.convert(opened.manifest, _Manifest)
    except msgspec.ValidationError as error:
        raise ValueError(f"it is no manifest of a snapshot: {error}") from error
    _instant("cutoff", stated.cutoff)
    if digest(stated.config) != stated.config_digest:
        raise ValueError("its config_digest is not the digest of its config")
    _check_names(stated)
    sketch = stated.parameters.minhash
    if sketch.bands * sketch.rows > sketch.permutations:
        raise ValueError(f"its {sketch.bands} bands of {sketch.rows} rows need more than its {sketch.permutations} permutations")
    _check_files(stated, len(opened.manifest["tree"]["extensions"]))
    levels = set(stated.counts.eligible) | set(stated.counts.eligible_bytes)
    if wrong := sorted(levels - set(ATTESTATIONS[1:])):
        raise ValueError(f"its counts have the level {wrong[0][:40]!r}, which is none")
    if opened.parent is None and (stated.redacted.leaves or stated.redacted.removed):
        raise ValueError(f"{stated.redacted.leaves} leaves are redacted, it says, and it extends nothing that held their texts")


def _check_names(stated: _Manifest) -> None:
    """Witnesses and signers that can be told apart and mean somebody."""
    for name, entry in stated.witnesses.items():
        if not _NAME.fullmatch(name) or name in OWNER:
            raise ValueError(f"its witness {name[:70]!r} has no name of a trust list")
        if not any(character.isalnum() for character in entry.custodian):
            raise ValueError(f"its witness {name} has no custodian")
        _instant(f"witness {name}, published,", entry.published)
    try:
        notes.verifiers(stated.signers)
    except (ValueError, UsageError) as error:
        raise ValueError(f"its signers are none: {error}") from error


def _check_files(stated: _Manifest, extensions: int) -> None:
    """Files of the datasets alone, sorted, of this version or one before it."""
    paths = [entry.path for entry in stated.files]
    if any(after <= before for before, after in itertools.pairwise(paths)):
        raise ValueError("its files are not sorted by path")
    taken = set[str]()
    for path in paths:
        found = place(path)
        if found is None:
            raise ValueError(f"it lists {path[:80]}, which is no name of a file of a snapshot's datasets")
        if found.writer >= extensions or (found.redaction is not None and found.redaction <= found.extension):
            raise ValueError(f"it lists {path}, and its tree has {extensions} extensions, which are numbered from 0")
        if found.name in taken:
            raise ValueError(f"it lists {path} and another file of the same place")
        taken.add(found.name)
    if listed := sorted(set(paths) & set(stated.redacted.removed)):
        raise ValueError(f"it lists {listed[0]}, which it says that it removed")
    _check_ranges(paths, stated.parameters.minhash.bands)


def _check_ranges(paths: list[str], bands: int) -> None:
    """Each index of a version is cut once, so that no hash has two files and a row that stands twice is seen in one."""
    cuts: dict[tuple[str, int, int], tuple[str, int]] = {}
    for path in paths:
        if path.partition("/")[0] not in INDEXES:
            continue
        found = hash_range(path)
        if found is None or found.band >= bands:
            raise ValueError(f"it lists {path}, which is no range or band of its index")
        cut = found.stem, found.ranges
        if cuts.setdefault((found.dataset, found.extension, found.band), cut) != cut:
            raise ValueError(f"it lists {path}, and another file that cuts the same hashes otherwise")


FIXED = ("cutoff", "index_only")
"""What no version changes; of `parameters`, `minhash` as well."""


def check_child(opened: Opened, parent: Opened) -> None:
    """Raises `ValueError` where a version changes what the one that it extends has fixed. Both manifests were checked by
    themselves."""
    ours, theirs = opened.manifest, parent.manifest
    for name in FIXED:
        if ours[name] != theirs[name]:
            raise ValueError(f"its {name} is {ours[name]}, and its parent's is {theirs[name]}")
    if ours["parameters"]["minhash"] != theirs["parameters"]["minhash"]:
        raise ValueError("its parameters.minhash are not its parent's, so their sketches cannot be compared")
    for name, entry in theirs["witnesses"].items():
        if ours["witnesses"].get(name) != entry:
            raise ValueError(f"its witness {name} is not what its parent calls by that name")
    before, now = theirs["declaration"], ours["declaration"]
    if before is not None and (now is None or not (now + "\n").startswith(before + "\n")):
        raise ValueError("its declaration does not begin with its parent's, on which leaves rest")
    grown = ours["redacted"]["leaves"] - theirs["redacted"]["leaves"]
    if grown < 0 or (grown == 0) != (not ours["redacted"]["removed"]):
        raise ValueError(
            f"{ours['redacted']['leaves']} leaves are redacted and {theirs['redacted']['leaves']} were, and it removed "
            f"{len(ours['redacted']['removed'])} files: what is redacted stays so, and only a redaction removes files"
        )
    _check_kept(opened, parent)


def _check_kept(opened: Opened, parent: Opened) -> None:
    """The parent's files less those that a redaction removed, each with its successor, and own ones."""
    number = len(opened.manifest["tree"]["extensions"]) - 1
    before = {entry["path"]: entry for entry in parent.manifest["files"]}
    removed = set(opened.removed)
    if strange := sorted(removed - set(before)):
        raise ValueError(f"it says that it removed {strange[0][:80]}, which its parent does not have")
    waiting: dict[str, dict[str, Any]] = {}
    for path in removed:
        found = place(path)
        waiting[found.name if found else path] = before[path]
    for entry in opened.manifest["files"]:
        path, found = entry["path"], place(entry["path"])
        old = before.pop(path, None)
        if old is not None:
            if old != entry:
                raise ValueError(f"{path} is another file than its parent's")
        elif found is None or found.writer != number:
            raise ValueError(f"it lists {path}, which its parent lacks and which is not named as its own")
        elif found.redaction is not None:
            replaced = waiting.pop(found.name, None)
            shrinks = path.split("/")[0] in SHRINK
            if replaced is None or not (entry["rows"] == replaced["rows"] or (shrinks and entry["rows"] < replaced["rows"])):
                raise ValueError(f"it lists {path}, and removed no file of as many rows in that place")
    if waiting:
        raise ValueError(f"it removed {min(waiting.values(), key=lambda old: old['path'])['path']}, and nothing took its place")
    if lost := sorted(set(before) - removed):
        raise ValueError(f"it lacks {lost[0]} of its parent, and does not say that it removed it")
