"""Snapshots as a run or a mix rests on them: whole, of a version that redaction has not emptied, and with the texts that are needed."""

from collections.abc import Iterable

from store import files, integrity, manifest
from store.errors import CheckFailed, UsageError
from store.manifest import Opened


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
