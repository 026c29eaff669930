"""Whether what lies in a folder is what a manifest lists: every file's size and SHA-256, nothing missing, nothing more."""

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from provenance.schema import DATASETS
from store import damage, files, sql, tables
from store.errors import CheckFailed
from store.manifest import MANIFEST, WORK, Opened


@dataclass
class Findings:
    """What a check found, by file; all empty if all is well."""

    wrong: list[str] = field(default_factory=list)
    missing: list[str] = field(default_factory=list)
    extra: list[str] = field(default_factory=list)
    why: dict[str, str] = field(default_factory=dict)
    first_wrong_rows: dict[str, int] = field(default_factory=dict)
    in_the_making: list[str] = field(default_factory=list)
    """Files that an unfinished command has moved into place; running it again finishes or replaces them."""
    sampled: dict[str, Any] | None = None
    bytes: int = 0

    @property
    def clean(self) -> bool:
        return not (self.wrong or self.missing or self.extra)

    @property
    def whole(self) -> bool:
        """Whether everything that is listed is there and right."""
        return not (self.wrong or self.missing)

    def blame(self, path: str, why: str) -> None:
        """Notes that a file is wrong; the first reason stays."""
        if path not in self.wrong:
            self.wrong.append(path)
        self.why.setdefault(path, why)

    def lose(self, path: str, why: str = "") -> None:
        """Notes that a file is missing, and why if that is known."""
        self.missing.append(path)
        if why:
            self.why.setdefault(path, why)

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = {name: sorted(getattr(self, name)) for name in ("wrong", "missing", "extra")}
        found |= {"why": self.why, "first_wrong_rows": dict(sorted(self.first_wrong_rows.items()))}
        found |= {"in_the_making": sorted(self.in_the_making)} if self.in_the_making else {}
        return found if self.sampled is None else found | {"sampled": self.sampled}


def check_files(
    base: str, entries: Iterable[dict[str, Any]], found: Findings, seen: Callable[[int], None] = lambda _: None
) -> None:
    """Compares size and SHA-256 of each listed file, on all cores (hashing releases the interpreter lock)."""

    def check(entry: dict[str, Any]) -> tuple[dict[str, Any], tuple[str, int] | OSError]:
        try:
            return entry, files.file_digest(files.join(base, entry["path"]))
        except OSError as error:
            return entry, error

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for entry, actual in pool.map(check, entries):
            path = entry["path"]
            if isinstance(actual, FileNotFoundError):
                found.missing.append(path)
            elif isinstance(actual, OSError):
                found.blame(path, f"cannot be read: {actual}")
            elif actual != (entry["sha256"], entry["size"]):
                found.blame(
                    path,
                    f"{actual[1]} bytes with SHA-256 {actual[0]}, where the manifest lists {entry['size']} with {entry['sha256']}"
                    f"{damage.describe(files.join(base, path), entry['size'])}",
                )
            else:
                found.bytes += entry["size"]
                seen(entry["size"])


def check_nothing_else(base: str, listed: set[str], found: Findings) -> None:
    """Every file below `base` that no manifest lists is an extra one; work in progress is not part of what is there."""
    found.extra += [path for path in files.list_files(base) if path not in listed and path.split("/")[0] != WORK]


def require(opened: Opened, datasets: Iterable[str]) -> None:
    """Refuses to go on unless the files of some datasets are what the manifest lists. Raises `CheckFailed`."""
    require_entries(opened, (entry for dataset in datasets for entry in opened.entries(dataset)))


def require_entries(opened: Opened, entries: Iterable[dict[str, Any]]) -> None:
    """`require` for some of the manifest's lines."""
    found = Findings()
    check_files(opened.url, entries, found)
    if not found.clean:
        named = [f"{path} (wrong)" for path in found.wrong] + [f"{path} (missing)" for path in found.missing]
        raise CheckFailed(
            f"{opened.kind} {opened.url} is not what its manifest {opened.id} says: {', '.join(named)}; "
            "nothing that rests on it could be proven. Restore the files from a copy, or make it anew."
        )


RECOUNT = """
    select (select count(*) from documents), (select count(*) from rejects), (select count(*) from tags),
      (select count(*) from tags t where origin = 'human' and not exists (
        select 1 from matches m where m.key = t.key and m.other = t.canonical and m.identical and m.scope = 'snapshot'
          and m.snapshot = t.snapshot and m.snapshot in (select id from snapshots))),
      (select count(distinct key) from (select key from documents union all select key from rejects))
"""


def _recount_run(opened: Opened, found: Findings) -> None:
    """Holds the manifest's counts against the rows, and every `human` tag against the equality that it rests on."""
    con = sql.connect(opened.url)
    for dataset, columns in {"documents": ["key"], "rejects": ["key"]}.items():
        sql.view(con, dataset, opened.files(dataset), pa.schema([DATASETS[dataset].field(name) for name in columns]))
    for dataset in ("tags", "matches"):
        sql.view(con, dataset, opened.files(dataset), DATASETS[dataset])
    trusted = pa.array([snapshot["id"] for snapshot in opened.manifest["snapshots"]], pa.string())
    con.register("snapshots", pa.table({"id": trusted}))
    documents, rejects, tags, unfounded, keys = con.execute(RECOUNT).fetchall()[0]
    counts = opened.manifest["counts"]
    seen = {"documents": documents, "rejects": rejects, "records": documents + rejects}
    if any(counts.get(name) != number for name, number in seen.items()):
        found.blame(MANIFEST, f"its counts are not those of the rows: {documents} documents and {rejects} rejects")
    if tags != documents or keys != documents + rejects:
        found.blame(MANIFEST, f"{documents} documents and {rejects} rejects have {keys} keys, and {tags} tags")
    if unfounded:
        found.blame(MANIFEST, f"{unfounded} tags say human of documents that equal none of a snapshot by `matches`")


def check_run(opened: Opened, seen: Callable[[int], None] = lambda _: None) -> Findings:
    """Checks a run's files, and that each input file's records are all accounted for."""
    found = Findings()
    check_files(opened.url, opened.manifest["files"], found, seen)
    check_nothing_else(opened.url, {MANIFEST, *(entry["path"] for entry in opened.manifest["files"])}, found)
    for entry in opened.entries("sources"):
        if entry["path"] in found.wrong + found.missing:
            continue
        for row in tables.read([files.join(opened.url, entry["path"])]).to_pylist():
            if row["records"] != row["documents"] + row["rejects"] or row["unaccounted"]:
                found.blame(entry["path"], f"{row['file_path']}: records are not documents + rejects")
    if found.clean:
        _recount_run(opened, found)
    return found
