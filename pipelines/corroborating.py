"""`corroborated` as stages: which captures an index of the trust list confirms by address, second and payload digest.

An index has billions of lines and the sources a small part of their captures. So the captures become one sorted file of
64-bit hashes, which every worker maps; each part of an index streams past it and leaves the lines that may be meant; and
what decides is an exact join of those with the captures, on all three. Memory grows with the captures, by 8 bytes each,
and not with the index.
"""

import os
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import moments
from pipelines.runner import Runner
from pipelines.stage import Stage, urls
from store import files, indexes, sql, tables
from store.errors import Incomplete, UsageError

if TYPE_CHECKING:
    from provenance.trust import Entry, Trust

CAPTURES = pa.schema(
    [
        ("key", pa.string()),
        ("text_sha256", pa.string()),
        ("text_bytes", pa.int64()),
        ("url", pa.string()),
        ("second", pa.int64()),
        ("digest", pa.list_(pa.string())),
    ]
)
"""What can be looked up of each document, row for row: `second` since 1970 UTC of a capture time that is precise to the
second, null otherwise; `digest` as `store.indexes.label` writes them, recomputed from the payload as stored and after transfer
decoding, empty unless the record is a response whose own digest agrees."""

WITNESSED = pa.schema([("key", pa.string()), ("level", pa.string()), ("witness", pa.string())])
"""The documents that an index confirms, sorted by key, with the name that the index has in the trust list."""

LEVEL = "corroborated"

_WANTED = pa.schema([("key", pa.string()), *indexes.CAPTURED])
_HITS = pa.schema([*indexes.CAPTURED, ("entry", pa.int32())])
_COUNTS = tuple(field.name for field in fields(indexes.Counts))
_SORTED = 1 << 20
"""Hashes that are written at a time."""


def wanted(batch: pa.RecordBatch) -> pa.RecordBatch:
    """Rows of CAPTURES -> a row for each digest that can be looked up: key, address in normal form, second, digest."""
    usable = pc.and_(pc.is_valid(batch["url"]), pc.is_valid(batch["second"]))
    rows = batch.filter(usable)
    parents = pc.list_parent_indices(rows["digest"])
    key, url, second = (rows[name].take(parents) for name in ("key", "url", "second"))
    return pa.record_batch([key, indexes.normal_urls(url), second, pc.list_flatten(rows["digest"])], schema=_WANTED)


_ODD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 over the golden ratio: Knuth, TAOCP 3, 6.4
_FOLD = np.uint64(29)
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(9)], np.uint64)
_HASHED = 4096
"""Bytes of a string that its hash covers, beside its length: one long address must not hold up a whole batch."""


def hashes(batch: pa.RecordBatch) -> np.ndarray:
    """uint64 of each row's address, second and digest. Only a filter: equal rows have equal hashes, and few others do."""
    value = _mix(_string_hashes(batch["url"]), batch["second"].to_numpy().astype(np.uint64))
    return _mix(value, _string_hashes(batch["digest"]))


def _mix(state: np.ndarray, word: np.ndarray) -> np.ndarray:
    state = (state ^ word) * _ODD
    return state ^ (state >> _FOLD)


def _string_hashes(values: pa.Array) -> np.ndarray:
    """Multiply and fold, eight bytes of every string at a time; the longest strings stand first, so that those which still
    have bytes are a slice."""
    offsets = np.frombuffer(values.buffers()[1], np.int32)[values.offset : values.offset + len(values) + 1].astype(np.int64)
    length = np.diff(offsets)
    order = np.argsort(-length, kind="stable")
    start, left = offsets[:-1][order], np.minimum(length[order], _HASHED)
    state = length[order].astype(np.uint64) * _ODD
    data = values.buffers()[2] or b""
    padded = np.zeros(len(data) + 8, np.uint8)
    padded[: len(data)] = np.frombuffer(data, np.uint8)
    words = np.ndarray((len(data) + 1,), "<u8", padded.data, 0, (1,))  # the eight bytes that begin at each byte
    for done in range(0, int(left[0]) if len(left) else 0, 8):
        count = int(np.searchsorted(-left, -done))
        mask = _MASKS[np.minimum(left[:count] - done, 8)]
        state[:count] = _mix(state[:count], words[start[:count] + done] & mask)
    result = np.empty(len(values), np.uint64)
    result[order] = state
    return result


class DigestIndex:
    """Step: one index file -> its SHA-256, by which the trust list names it, its format and its splits."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        found = indexes.survey(part["url"]).plain()
        return {**found, "bytes": found["size"], "files": []}


class GatherWanted:
    """Step, one part: all captures that can be looked up -> their sorted distinct hashes, little-endian, in one file."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        folder = self.context["folder"]
        # Sorted in a mapped file, so that the system can write it out where memory is short.
        near = files.split_url(folder)[1] if files.is_local(folder) else None
        if near:
            os.makedirs(near, exist_ok=True)
        with tempfile.TemporaryFile(dir=near) as raw, files.create(files.join(folder, "wanted.u64")) as out:
            count = 0
            for batch in _batches(part["captures"]):
                raw.write(hashes(batch).astype("<u8").tobytes())
                count += batch.num_rows
            raw.flush()
            if count:
                values = np.memmap(raw, "<u8", "r+", shape=(count,))
                values.sort()
                for piece in _distinct(values):
                    out.write(piece.tobytes())
        entry = {"path": "wanted.u64", "size": out.size, "sha256": out.sha256, "rows": out.size // 8}
        return {"files": [entry], "rows": count, "wanted": out.size // 8}


def _distinct(values: np.ndarray) -> Iterator[np.ndarray]:
    """Sorted values, each once, in pieces."""
    for at in range(0, len(values), _SORTED):
        piece = np.asarray(values[at : at + _SORTED])
        before = values[at - 1] if at else ~piece[0]
        yield piece[piece != np.concatenate([[before], piece[:-1]])]


def _batches(captures: Sequence[str]) -> Iterator[pa.RecordBatch]:
    for url in captures:
        for batch in tables.batches(url, ["key", "url", "second", "digest"]):
            yield wanted(batch)


class SearchIndex:
    """Step: one split of an index -> those of its lines that may be captures of ours."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        self.wanted = _mapped(self.context["wanted"])

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        counts = indexes.Counts()
        split = indexes.Split(**part["split"])
        _unchanged(part)
        with tables.Writer(self.context["folder"], f"hits/{part['name']}.parquet", _HITS) as writer:
            for batch in indexes.batches(part["url"], part["format"], split, counts):
                found = self._search(batch)
                writer.write(found.append_column("entry", pa.repeat(pa.scalar(part["entry"], pa.int32()), found.num_rows)))
        _unchanged(part)
        return {**asdict(counts), "hits": writer.rows, "bytes": split.bytes, "files": [writer.entry]}

    def _search(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        batch = batch.set_column(0, "url", indexes.normal_urls(batch["url"]))
        own = hashes(batch)
        order = np.argsort(own)  # one walk along the map, instead of as many jumps as there are rows
        own = own[order]
        place = np.minimum(np.searchsorted(self.wanted, own), len(self.wanted) - 1)
        return batch.take(np.sort(order[self.wanted[place] == own]))


def _mapped(url: str) -> np.ndarray:
    """The hashes as a map of a local file, which is fetched first where it lies elsewhere."""
    fs, path = files.split_url(url)
    if files.is_local(url):
        return np.memmap(path, "<u8", "r")
    with tempfile.NamedTemporaryFile() as copy:
        fs.get_file(path, copy.name)
        return np.memmap(copy.name, "<u8", "r")  # what is mapped stays when the name goes


def _unchanged(part: dict[str, Any]) -> None:
    """Refuses a file that is no longer the one whose digest the trust list names."""
    if (version := files.version(part["url"])[0]) != part["version"]:
        raise Incomplete(
            f"index {part['url']} changed while it was read ({part['version']} when its digest was taken, now {version}); the trust list "
            "names other bytes than were searched. Let nobody write to it, and run again."
        )


class Corroborate:
    """Step, one part: the exact join of the lines found with the captures -> the documents that an index confirms."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        names, confirmed = self.context["names"], dict.fromkeys(self.context["names"], 0)
        con = sql.connect(self.context["folder"])
        sql.view(con, "hits", part["hits"], _HITS)
        con.register("captures", pa.RecordBatchReader.from_batches(_WANTED, _batches(part["captures"])))
        joined = "select key, min(entry) as entry from captures join hits using (url, second, digest) group by key order by key"
        with tables.Writer(self.context["folder"], "witnessed.parquet", WITNESSED) as writer:
            for batch in sql.stream(con, joined):
                entries = batch["entry"].to_numpy()
                witness = pa.array(names, pa.string()).take(entries)
                writer.write(pa.record_batch([batch["key"], pa.repeat(LEVEL, batch.num_rows), witness], schema=WITNESSED))
                for entry, count in zip(*np.unique(entries, return_counts=True), strict=True):
                    confirmed[names[entry]] += int(count)
        return {"files": [writer.entry], "documents": writer.rows, "confirmed": confirmed}


class Corroboration(NamedTuple):
    """What the indexes gave."""

    witnessed: str | None
    """URL of the table WITNESSED; None where nothing was searched."""
    used: list[str]
    """Names of the trust list that stand in it, sorted."""
    lines: list[str]
    """For the summary: what each index confirmed, and which counted for nothing and why."""


def survey_indexes(given: Sequence[str], work: str, runner: Runner) -> list[tuple[str, str]]:
    """(url, SHA-256) of each index file (files, folders, globs), equal ones once, in order of their digests.

    The digests belong in the identity of a job, which has to be known before the captures are. Raises `UsageError` where
    something given names no file.
    """
    return [(found["url"], found["sha256"]) for found in _survey(given, work, runner)]


def _survey(given: Sequence[str], work: str, runner: Runner) -> list[dict[str, Any]]:
    from store import reading

    if not given:
        return []
    try:
        found = [url for url, _ in reading.expand(given)]
    except UsageError as error:
        raise UsageError(f"--index: {error}") from error
    versions = [files.version(url) for url in found]
    parts = tuple(
        {"name": f"{i:06d}", "url": url, "version": version, "weight": size}
        for i, (url, (version, size)) in enumerate(zip(found, versions, strict=True))
    )
    receipts = runner.run(Stage("indexes", "pipelines.corroborating:DigestIndex", work, {}, parts))
    distinct: dict[str, dict[str, Any]] = {}
    for part, receipt in zip(parts, receipts.values(), strict=True):
        distinct.setdefault(receipt["sha256"], {**receipt, "url": part["url"], "version": part["version"]})
    return [distinct[digest] for digest in sorted(distinct)]


def corroborate(
    given: Sequence[str],
    trust: "Trust",
    cutoff: datetime,
    captures: Sequence[str],
    work: str,
    runner: Runner,
    shared: dict[str, Any],
) -> Corroboration:
    """Looks all captures up in the index files that the trust list names. `captures` are URLs of tables CAPTURES.

    A document that several indexes confirm is witnessed by the one that was published first, then by name. Files that the
    trust list does not name by their SHA-256, or that were published at or after the cutoff (what they state is not known
    since before it), are not even searched. Raises `UsageError`, `Incomplete`.
    """
    named = trust.by_digest("index")
    found = _survey(given, work, runner)
    searched = [one for one in found if one["format"] and one["sha256"] in named and named[one["sha256"]].published < cutoff]
    lines = [_unsearched(one, named) for one in found if one not in searched]
    if not searched:
        return Corroboration(None, [], lines)
    used = {named[one["sha256"]].name: named[one["sha256"]] for one in searched}
    order = sorted(used, key=lambda name: (used[name].published, name))
    gather = Stage("wanted", "pipelines.corroborating:GatherWanted", work, shared, ({"name": "all", "captures": list(captures)},))
    gathered = runner.run(gather)["all"]
    if not gathered["wanted"]:
        lines.append("no index was searched: no document has an address, a time to the second and a digest of its own that agrees")
        return Corroboration(None, [], lines)
    context = shared | {"wanted": files.join(gather.folder, "wanted.u64")}
    search = Stage(
        "search", "pipelines.corroborating:SearchIndex", work, context, _parts(searched, {n: i for i, n in enumerate(order)}, named)
    )
    receipts = runner.run(search)
    part = {"name": "all", "captures": list(captures), "hits": urls(search.folder, receipts, "hits")}
    join = Stage("corroborate", "pipelines.corroborating:Corroborate", work, shared | {"names": order}, (part,))
    confirmed = runner.run(join)["all"]["confirmed"]
    lines += [_searched(number, name, confirmed[name], search, receipts) for number, name in enumerate(order)]
    return Corroboration(files.join(join.folder, "witnessed.parquet"), sorted(n for n in order if confirmed[n]), lines)


def _parts(searched: list[dict[str, Any]], entries: dict[str, int], named: "dict[str, Entry]") -> tuple[dict[str, Any], ...]:
    """A part for each split of each index, with the number of its entry."""
    parts: list[dict[str, Any]] = []
    for one in searched:
        where = {name: one[name] for name in ("url", "version", "sha256", "format")}
        entry = entries[named[one["sha256"]].name]
        for split in one["splits"]:
            parts.append({**where, "name": f"{len(parts):06d}", "entry": entry, "split": split, "weight": split["bytes"]})
    return tuple(parts)


def _unsearched(one: dict[str, Any], named: "dict[str, Entry]") -> str:
    """Why an index file counts for nothing."""
    if one["sha256"] not in named:
        return f"index {one['url']} counts for nothing: the trust list names no index with its SHA-256, {one['sha256']}"
    if not one["format"]:
        return f"index {one['url']} counts for nothing: {one['why']}"
    entry = named[one["sha256"]]
    return f"index {one['url']} counts for nothing: {entry.name} was published by {moments.text(entry.published)}, not before the cutoff"


def _searched(number: int, name: str, confirmed: int, search: Stage, receipts: dict[str, dict[str, Any]]) -> str:
    """What an entry of the trust list gave."""
    own = [receipts[part["name"]] for part in search.parts if part["entry"] == number]
    total = {field: sum(receipt[field] for receipt in own) for field in _COUNTS}
    text = f"index {name} is the first witness of {confirmed:,} document{'s'[: confirmed != 1]}: {total['lines']:,} lines, {total['captures']:,} captures"
    left = {
        "revisits": total["revisits"],
        "without a digest": total["without"],
        "unreadable": total["unreadable"],
        "damaged stretches": total["damaged"],
    }
    return text + "".join(f", {count:,} {what}" for what, count in left.items() if count)
