"""Extracts a random sample of a snapshot's documents again from its sources, and compares the texts with the leaves.

The digests of a snapshot show that it was not changed; only its sources show that it held what they gave. Files are known
by size and SHA-256, never by name, and documents are drawn by SHA-256 over a seed that nobody could know before.
"""

import hashlib
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import pyarrow as pa

from pipelines import config
from provenance import identity, pages
from provenance.schema import SNAPSHOT_DOCUMENTS
from store import files, manifest, reading, sampling, sql, tables, verify_join
from store.errors import CheckFailed, UsageError
from store.manifest import Opened
from store.records import Split, Unreadable

if TYPE_CHECKING:
    import duckdb

DOCUMENTS = 200
"""Documents that are drawn where no share is asked for."""
NAMED = 20
"""Missing sources that are named; the others are counted."""


@dataclass(frozen=True)
class _Source:
    """A source file of the snapshot that was found again."""

    url: str
    sha256: str
    copy: int
    file_path: str | None
    documents: int


@dataclass(frozen=True)
class _Drawn:
    """A document to extract again: where it lies, and what its first leaf says."""

    key: str
    path: str
    extension: int
    offset: int
    member_offset: int
    text_sha256: str
    source: _Source


def replay(opened: Opened, sources: Sequence[str], share: float | None, seed: str) -> dict[str, Any]:
    """Draws, extracts and compares; returns the summary, with `differ` (key: why) and `paths` (key: file of documents).

    Raises `UsageError` where SOURCES name nothing, or none of the snapshot's sources; `CheckFailed` for settings of the
    manifest that this program does not have.
    """
    found, missing = _find(opened, sources)
    if not found:
        raise UsageError(
            f"--replay: none of the {len(missing)} source file{'' if len(missing) == 1 else 's'} of {opened.url} is among SOURCES, by size and SHA-256; nothing can be "
            "extracted again. Name the files that it was frozen from."
        )
    total = sum(source.documents for source in found)
    wanted = min(total, DOCUMENTS if share is None else math.ceil(share * total))
    with verify_join.connected(opened) as con:
        drawn = _draw(con, opened, found, wanted, seed)
    versions = _versions(opened)
    other = {number: _other_parameters(version) for number, version in versions.items()}
    differ: dict[str, str] = {}
    proven: set[str] = set()
    for number in sorted({document.extension for document in drawn}):
        version = versions.get(number, opened)
        mine = [document for document in drawn if document.extension == number]
        for key, why in _compare(version, mine).items():
            differ[key] = why
            if not other.get(number, ["its manifest is missing"]):
                proven.add(key)
    return {
        "seed": seed,
        "sources": f"{len(found)} of {len(found) + len(missing)} found",
        "sources_missing": missing[:NAMED] + ([f"and {len(missing) - NAMED} more"] if len(missing) > NAMED else []),
        "drawn": len(drawn),
        "equal": len(drawn) - len(differ),
        "bound": bound(len(differ), len(drawn), total, len(drawn) == total or len(drawn) < wanted),
        "differ": differ,
        "paths": {document.key: document.path for document in drawn if document.key in proven},
        "other_parameters": sorted({what for found_other in other.values() for what in found_other}),
    }


def bound(differing: int, drawn: int, total: int, whole: bool) -> str:
    """What `drawn` of `total` documents say of all documents of the sources that were found: at 95 % confidence, or of each
    where the sample is the `whole`, which leaves out only what has no place in its source any more."""
    if whole:
        found = f"all {drawn:,} were extracted again, {f'and {differing:,} differ' if differing else 'all equal'}"
        left = total - drawn
        more = f"; {left:,} more {'has' if left == 1 else 'have'} no place in a source, as redacted documents" if left else ""
        return (found if drawn else "no document of these files could be extracted again") + more
    limit = sampling.upper_bound(differing, drawn)
    if differing == 0 and drawn:
        return (
            f"none of {drawn:,} differ: with 95 % confidence fewer than {min(3 / drawn, 1):.2%} of the documents of these files do "
            f"(rule of three; exactly {limit:.2%})"
        )
    return f"{differing:,} of {drawn:,} differ: with 95 % confidence at most {limit:.2%} of the documents of these files do (Clopper and Pearson)"


def _find(opened: Opened, sources: Sequence[str]) -> tuple[list[_Source], list[str]]:
    """The snapshot's source files that are among SOURCES, and the names of those that are not."""
    rows = [row for url in opened.files("sources") for row in tables.read([url]).to_pylist()]
    sizes = {row["size"] for row in rows}
    urls: dict[str, str] = {}
    for url, _ in reading.expand(sources):
        if files.version(url)[1] in sizes:
            urls.setdefault(files.file_digest(url)[0], url)
    found = [
        _Source(urls[row["sha256"]], row["sha256"], row["copy"], row["file_path"], row["documents"])
        for row in rows
        if row["sha256"] in urls
    ]
    return found, sorted(str(row["file_path"] or f"sha256:{row['sha256']}") for row in rows if row["sha256"] not in urls)


def _draw(con: "duckdb.DuckDBPyConnection", opened: Opened, found: list[_Source], wanted: int, seed: str) -> list[_Drawn]:
    """The first `wanted` documents of the found files, in order of SHA-256 over seed and key."""
    names = [entry["path"] for entry in opened.entries("documents")]
    fields = pa.schema([SNAPSHOT_DOCUMENTS.field(name) for name in ("key", "file_path", "offset", "member_offset")])
    sql.view(con, "documents", opened.files("documents"), fields, "part")
    con.register("paths", pa.table({"file_path": pa.array(sorted({source.file_path or "" for source in found}), pa.string())}))
    con.execute(
        """create table ranked as select key, part, file_path, "offset", member_offset from documents
        where "offset" is not null and (file_path is null or file_path in (select file_path from paths))"""
    )
    rows = con.execute(
        """select r.*, l.text_sha256 from ranked r join leaves l on l.key = r.key and l.names = ''
        order by sha256(? || r.key), r.key""",
        [seed],
    )
    by_path: dict[str | None, list[_Source]] = {}
    for source in found:
        by_path.setdefault(source.file_path, []).append(source)
    drawn: list[_Drawn] = []
    while len(drawn) < wanted and (some := rows.fetchmany(wanted)):
        for key, part, file_path, offset, member, text_sha256 in some:
            mine = by_path.get(file_path, []) if file_path is not None else found
            origin = next((s for s in mine if identity.key(s.sha256, s.copy, offset, member) == key), None)
            if origin is not None and len(drawn) < wanted:
                path = names[part]
                drawn.append(_Drawn(key, path, int(path.split("/")[1][:5]), offset, member, text_sha256, origin))
    return drawn


def _versions(opened: Opened) -> dict[int, Opened]:
    """The version that added each extension, by its number, as far as their manifests are there."""
    try:
        return dict(enumerate(manifest.lineage(opened)))
    except CheckFailed:
        return {len(opened.manifest["tree"]["extensions"]) - 1: opened}


def _settings(version: Opened) -> dict[str, Any]:
    """The settings that a version was frozen with. Raises `CheckFailed` where this program has no such settings."""
    try:
        found = config.restore(version.manifest["config"], "freeze")
    except (msgspec.ValidationError, ValueError, KeyError, TypeError) as error:
        raise CheckFailed(
            f"version {version.id} was frozen with settings that this program does not have ({error}); nothing can be extracted as it was "
            "then. Replay it with the version of lowbackground that made it."
        ) from error
    # A sidecar gives dates and addresses and no text, and the manifest has only its digest.
    found["read"] = msgspec.structs.replace(found["read"], sidecar="")
    return found


def _other_parameters(version: Opened) -> list[str]:
    """What shapes a text or its row and is other in this program than it was then, by name, with both values."""
    from pipelines.curate import parameters

    return sorted(_differences(version.manifest["parameters"], parameters(_settings(version)), ""))


def _differences(then: Any, now: Any, name: str) -> Iterator[str]:
    if isinstance(then, dict) and isinstance(now, dict):
        for inner in {*then, *now}:
            yield from _differences(then.get(inner), now.get(inner), f"{name}.{inner}" if name else str(inner))
    elif then != now:
        yield f"{name}: {then} then, {now} now"


def _compare(version: Opened, drawn: list[_Drawn]) -> dict[str, str]:
    """Why each document that is not what its source gives differs, by key."""
    settings = _settings(version)
    tools = pages.tools(settings["extract"])
    differ: dict[str, str] = {}
    for source in {document.source for document in drawn}:
        wanted = {(d.offset, d.member_offset): d for d in drawn if d.source == source}
        for place, item in _items(source, set(wanted), settings["read"]):
            document = wanted.pop(place)
            if isinstance(item, Unreadable):
                differ[document.key] = f"its record cannot be read: {item.reason}"
                continue
            page = pages.page(item.record_type, item.url, item.date, item.block, item.headers, item.text, item.columns, tools)
            if isinstance(page, pages.Rejection):
                differ[document.key] = f"its record gives no document: {page.stage}/{page.reason}"
            elif (text := hashlib.sha256(page.text.encode()).hexdigest()) != document.text_sha256:
                differ[document.key] = f"its text has SHA-256 {text}, and its leaf {document.text_sha256}"
        differ |= {document.key: "its source holds no record where it came from" for document in wanted.values()}
    return dict(sorted(differ.items()))


def _items(source: _Source, places: set[tuple[int, int]], options: reading.Read) -> Iterator[tuple[tuple[int, int], Any]]:
    """The items of a file at some places; the parts that hold them are read, others only where one of them is not found."""
    survey = reading.survey(source.url, options)
    waiting = set(places)

    def likely(split: Split) -> bool:
        return any(split.start <= at < split.stop or split.row <= at < split.row + split.records for at, _ in waiting)

    parts = list(survey.splits)
    for chosen in ([split for split in parts if likely(split)], [split for split in parts if not likely(split)]):
        for split in chosen:
            if not waiting:
                return
            for item in reading.read(source.url, survey.format, split, options):
                place = item.offset, item.member_offset
                if place in waiting:
                    waiting.discard(place)
                    yield place, item
