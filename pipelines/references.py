"""What a run or a mix rests on: snapshots and earlier runs, whole where they are read, and of versions that redaction has not emptied."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pipelines.target import apart
from provenance.schema import INDEXES
from store import files, integrity, manifest
from store.errors import CheckFailed, UsageError
from store.manifest import Opened

BY_ROW = ("documents", "signatures", "leaves")
"""Datasets of a snapshot of which the match reads some rows; a file is checked when one of its rows is to be read."""

POSTED = ("documents", "signatures", "tags")
"""Datasets of an earlier run that its index is made of, in which every row counts."""


def open_all(against: Sequence[str], into: str) -> list[Opened]:
    """The references of a run, snapshots first, each once, in an order of their own. Raises `UsageError` for what cannot be one."""
    found: dict[str, Opened] = {}
    for url in against:
        opened = manifest.open_any(url)
        _check_other(opened.url, into)
        if opened.kind not in ("snapshot", "run"):
            raise UsageError(
                f"--against {url} is a {opened.kind}, whose rows are copies of a snapshot's and a run's; "
                "name those: a crawl is compared with snapshots and earlier runs."
            )
        found.setdefault(opened.id, opened)
    return sorted(found.values(), key=lambda opened: (opened.kind != "snapshot", opened.id))


def _check_other(url: str, into: str) -> None:
    try:
        apart(into, [url])
    except UsageError as error:
        raise UsageError(
            f"--against {url} lies in the folder that is to be written, {into}, or the reverse; a run cannot be compared with itself. "
            "Name another folder with --into."
        ) from error


def check_comparable(ours: Mapping[str, Any], opened: Sequence[Opened]) -> None:
    """Raises `UsageError` where the sketches of a reference were made by other parameters, with both values."""
    reasons = [_incomparable(ours, one) for one in opened]
    fitting = [one.url for one, why in zip(opened, reasons, strict=True) if not why]
    for one, why in zip(opened, reasons, strict=True):
        if not why:
            continue
        if fitting:  # what one of them asks for would be wrong for the other
            differing = "; ".join(line.partition(";")[0] for line in why.splitlines())
            why = f"{differing}. {fitting[0]} has ours, and no one setting fits both. Make one of them anew, sketched as the other is."
        raise UsageError(f"against {one.kind} {one.url}: {why}")


def _incomparable(ours: Mapping[str, Any], opened: Opened) -> str:
    """Why the sketches of a reference cannot be compared with ours; empty where they can."""
    from provenance import minhash

    try:
        minhash.check_compatible(ours, opened.manifest["parameters"]["minhash"], opened.kind)
    except ValueError as error:
        return str(error)
    return ""


def remarks(opened: Sequence[Opened]) -> list[str]:
    """What is to be said of references: which hold nothing to be compared with, and which earlier runs dropped copies of what is no
    reference here, so that further copies of it stay."""
    said = [
        f"{one.kind} {one.url} holds no documents, and nothing can equal one of them"
        for one in opened
        if not one.manifest["counts"]["documents"]
    ]
    here = {one.id for one in opened}
    for one in (one for one in opened if one.kind == "run"):
        lost = [
            reference["id"][:12]
            for name in ("snapshots", "runs")
            for reference in one.manifest[name]
            if reference["id"] not in here
        ]
        if lost:
            said.append(
                f"run {one.url} was compared with {', '.join(lost)}, which --against does not name: it kept no copies of what they hold, and "
                "copies in this crawl stay"
            )
    return said


def described(opened: Opened) -> dict[str, Any]:
    """A reference as the stages are told of it; an earlier run has no cutoff, leaves, or indexes of its own."""
    snapshot = opened.kind == "snapshot"
    return {
        "kind": opened.kind,
        "id": opened.id,
        "url": opened.url,
        "cutoff": opened.manifest["cutoff"] if snapshot else None,
        "index_only": opened.index_only,
        **{dataset: opened.files(dataset) for dataset in (*BY_ROW, *INDEXES)},
    }


def require_found(opened: Opened) -> None:
    """Refuses a reference unless that is whole by which documents are found in it. Raises `CheckFailed`."""
    if opened.kind == "run":
        integrity.require(opened, POSTED)
        return
    _check_removed(opened, {entry["path"] for dataset in (*BY_ROW, *INDEXES) for entry in opened.entries(dataset)})
    integrity.require(opened, INDEXES)


def signed(opened: Opened) -> dict[str, Any] | None:
    """What a step needs to check a file of signatures before it reads it: path, SHA-256 and size of each. None for an earlier run, which
    was checked as a whole."""
    if opened.kind == "run":
        return None
    listed = [[entry[name] for name in ("path", "sha256", "size")] for entry in opened.entries("signatures")]
    return {"url": opened.url, "id": opened.id, "files": listed}


class Rows:
    """Checks the files of references of which rows are to be read, each once; an earlier run was checked as a whole."""

    def __init__(self, opened: Sequence[Opened]):
        self.opened = opened
        self._checked: set[tuple[int, str]] = set()

    def require(self, touched: Iterable[Mapping[str, Sequence[int]]], *datasets: str) -> None:
        """`touched` are numbers of documents files by the number of the reference, as receipts give them; the files of `datasets`
        that are aligned with them have to be what the manifest lists, and all `leaves`. Raises `CheckFailed`."""
        numbers: dict[int, set[int]] = {}
        for found in touched:
            for named, parts in found.items():
                numbers.setdefault(int(named), set()).update(parts)
        for scope, rows in sorted(numbers.items()):
            opened = self.opened[scope]
            if opened.kind == "run":
                continue
            entries: list[dict[str, Any]] = []
            for dataset in datasets:
                listed = opened.entries(dataset)
                entries += listed if dataset == "leaves" else [listed[part] for part in sorted(rows)]
            fresh = [entry for entry in entries if (scope, entry["path"]) not in self._checked]
            integrity.require_entries(opened, fresh)
            self._checked.update((scope, str(entry["path"])) for entry in fresh)


def require(snapshot: Opened, datasets: Iterable[str]) -> None:
    """Refuses to go on unless some datasets of a snapshot are what its manifest lists. Raises `CheckFailed`."""
    names = tuple(datasets)
    _check_removed(snapshot, {entry["path"] for name in names for entry in snapshot.entries(name)})
    integrity.require(snapshot, names)


def _check_removed(snapshot: Opened, needed: set[str]) -> None:
    """Raises `CheckFailed` where a later version has removed a needed file because it held a redacted text."""
    for name in manifest.snapshot_ids(snapshot.url):
        if name == snapshot.id:
            continue
        where = files.join(snapshot.url, manifest.MANIFESTS, f"{name}.json")
        removed = Opened(snapshot.url, name, manifest.parse(files.read_bytes(where), where)).removed
        lost = sorted(path for path in needed & set(removed) if not files.exists(files.join(snapshot.url, path)))
        if lost:
            raise CheckFailed(
                f"version {snapshot.id} of {snapshot.url} no longer has all its files: version {name} redacted texts, and the files that "
                f"held them were removed ({', '.join(lost)}). The leaves still prove what was in it, and no text can be taken from it. "
                f"Use {snapshot.url}@{name} or a later version."
            )


def require_texts(snapshot: Opened) -> None:
    """Refuses a snapshot without texts as the human side of a mix. Raises `UsageError`."""
    if snapshot.index_only:
        raise UsageError(
            f"snapshot {snapshot.id} is index-only: it holds leaves and sketches and no texts, so a mix cannot draw human rows from it. "
            "Name the snapshot of the same sources that was frozen without --index-only, and curate the runs against that one."
        )
