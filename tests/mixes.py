"""Small snapshots and runs for the tests of `mix`, written straight from the schemas; documents of any length."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines import mix, planning
from pipelines import stage as stages
from pipelines.stage import Stage
from pipelines.target import Target
from provenance import bands, minhash, postings, schema, shingles
from provenance.identity import Leaf, Tree, content_id
from provenance.minhash import MinHash
from provenance.mixture import Mix
from provenance.schema import DATA_VERSION, DOCUMENTS, LEAVES, SCHEMA_VERSION, SNAPSHOT_DOCUMENTS, TAGS
from store import index, manifest, scores, tables
from store.manifest import Opened
from store.revocation import Revocations

WORDS = "naïve café 東京 water 😀 stone harbour летом bread the of and with letters from a quiet year".split()
CUTOFF = "2022-01-01T00:00:00.000000Z"


def text(seed: str, size: int) -> str:
    """A text of about `size` bytes that nothing else has."""
    number, words, length = int.from_bytes(hashlib.sha256(seed.encode()).digest()[:8], "big"), [seed], len(seed)
    while length < size:
        number = (number * 6364136223846793005 + 1442695040888963407) % 2**64
        words.append(WORDS[(number >> 33) % len(WORDS)])
        length += len(words[-1].encode()) + 1
    return " ".join(words)


def document(name: str, size: int, **more: Any) -> dict[str, Any]:
    content = more.pop("text", None) or text(name, size)
    date = datetime(2015, 3, 4, 5, 6, 7, 89, tzinfo=UTC) + timedelta(days=len(content) % 900)
    row: dict[str, Any] = dict.fromkeys(DOCUMENTS.names)
    return row | {
        "key": hashlib.sha256(name.encode()).hexdigest()[:32],
        "id": name,
        "content_id": content_id(content),
        "url": f"https://example.org/{name}",
        "date": date,
        "date_end": date,
        "attestation": "captured",
        "payload_digest": hashlib.sha256(content.encode()).hexdigest(),
        "language": "en",
        "byte_count": len(content.encode()),
        "text": content,
        **more,
    }


def iso(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0") if moment else ""


def sealed(row: dict[str, Any]) -> dict[str, Any]:
    """A snapshot's row."""
    return {"witness": "archive file", "eligible": True, "ineligible_reason": None, **row}


def leaf(row: dict[str, Any], names: str = "") -> Leaf:
    """The leaf of a snapshot's row."""
    return Leaf(
        row["key"],
        hashlib.sha256(row["text"].encode()).hexdigest(),
        row["byte_count"],
        iso(row["date"]),
        iso(row["date_end"]),
        row["attestation"],
        row["witness"],
        row["eligible"],
        row["payload_digest"] or "",
        "e" * 64,
        "d" * 64,
        names,
    )


def leaf_rows(found: list[Leaf], redacted: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Rows of the dataset `leaves`, in the order given; `redacted` says why for some keys."""
    rows = []
    for place, one in enumerate(found):
        row = {"index": place, **one._asdict(), "leaf": one.hash().hex(), "redacted": (redacted or {}).get(one.key)}
        for name in ("date", "date_end"):
            row[name] = datetime.fromisoformat(row[name]) if row[name] else None
        if row["redacted"]:
            row = dict.fromkeys(LEAVES.names) | {name: row[name] for name in ("index", "key", "leaf", "redacted")}
        rows.append(row)
    return rows


def write_leaves(target: Path, extensions: list[list[Leaf]], redacted: dict[str, str] | None = None) -> list[dict[str, Any]]:
    """Writes one file of leaves for each extension, each sorted by key; the manifest's lines."""
    rows, lines, start = leaf_rows([one for extension in extensions for one in extension], redacted), [], 0
    for number, extension in enumerate(extensions):
        table = pa.Table.from_pylist(rows[start : start + len(extension)], schema=LEAVES)
        lines.append(tables.write(str(target), f"leaves/{number:05d}-made-00000.parquet", table, LEAVES))
        start += len(extension)
    return lines


def snapshot_body(
    listing: list[dict[str, Any]], extensions: list[list[Leaf]], rows: list[dict[str, Any]], **more: Any
) -> dict[str, Any]:
    """A snapshot's manifest, with every field that one has."""
    leaves = [one.hash() for extension in extensions for one in extension]
    grown, size = [], 0
    for number, extension in enumerate(extensions):
        size += len(extension)
        last = number == len(extensions) - 1
        grown.append(
            {"size": len(extension), "root": Tree(leaves[:size]).root.hex(), "manifest": None if last else f"{number:064x}"}
        )
    before = size - (len(extensions[-1]) if len(extensions) > 1 else size)
    held = [row for row in rows if row["eligible"]]
    levels = sorted({row["attestation"] for row in held})
    reasons = [row["ineligible_reason"].split(":")[0] for row in rows if not row["eligible"]]
    counts = {
        "records": len(rows),
        "documents": len(rows),
        "rejects": 0,
        "rejects_by_reason": {},
        "eligible": {level: sum(row["attestation"] == level for row in held) for level in levels},
        "eligible_bytes": {level: sum(row["byte_count"] for row in held if row["attestation"] == level) for level in levels},
        "ineligible": {reason: reasons.count(reason) for reason in sorted(set(reasons))},
        "leaves": len(leaves),
    }
    body = {
        "data_version": DATA_VERSION,
        "schema_version": SCHEMA_VERSION,
        "job": "a" * 64,
        "parent": f"{len(extensions) - 2:064x}" if len(extensions) > 1 else None,
        "cutoff": CUTOFF,
        "declaration": None,
        "config": {"freeze": {"minimum_words": 50}},
        "config_digest": "c" * 64,
        "parameters": {"minhash": {"permutations": 128, "seed": 1}},
        "index_only": False,
        "tree": {"size": size, "root": Tree(leaves).root.hex(), "extensions": grown},
        "consistency": [node.hex() for node in Tree(leaves).consistency(before)],
        "signers": [],
        "witnesses": {},
        "redacted": {"leaves": 0, "removed": []},
        "files": manifest.sorted_files(listing),
        "counts": counts,
    }
    return body | more


def snapshot(
    target: Path,
    rows: list[dict[str, Any]],
    parts: int = 2,
    further: list[tuple[str, dict[str, Any]]] | None = None,
    redact: dict[str, str] | None = None,
    index_only: bool = False,
    sketch: MinHash | None = None,
    **more: Any,
) -> Opened:
    """A frozen snapshot of these rows, dealt to several files, with signatures and bands where `sketch` says how.

    `further` has, for some rows by id, what a later leaf says otherwise; `redact` why the text of some, by id, was removed.
    """
    made = [sealed(row) for row in rows]
    named = {row["id"]: row for row in made}
    first = sorted((leaf(row) for row in made), key=lambda one: one.key)
    hashes = {one.key: one.hash().hex() for one in first}
    later = [leaf(named[name] | change, hashes[named[name]["key"]]) for name, change in further or []]
    extensions = [first, *([sorted(later, key=lambda one: one.key)] if later else [])]
    gone = {named[name]["key"]: why for name, why in (redact or {}).items()}
    stored = [_stored(row, gone.get(row["key"]), index_only) for row in made]
    listing = [
        tables.write(
            str(target),
            f"documents/p-{i:05d}.parquet",
            pa.Table.from_pylist(stored[i::parts], schema=SNAPSHOT_DOCUMENTS),
            SNAPSHOT_DOCUMENTS,
        )
        for i in range(parts)
    ]
    listing += write_leaves(target, extensions, gone)
    if sketch:
        listing += write_sketches(target, [made[i::parts] for i in range(parts)], set(gone), sketch)
        more = {"parameters": {"minhash": minhash.parameters(sketch)}} | more
    removed = sum(one.key in gone for extension in extensions for one in extension)
    body = snapshot_body(listing, extensions, stored, index_only=index_only, redacted={"leaves": removed, "removed": []}, **more)
    return manifest.write_snapshot(str(target), body)


def write_sketches(target: Path, parts: list[list[dict[str, Any]]], gone: set[str], options: MinHash) -> list[dict[str, Any]]:
    """Writes signatures row-aligned with documents, and the indexes over them; redacted documents are blank, and in no index."""
    kind, lines = schema.signatures(options.permutations, options.bits), []
    indexed: dict[int, list[pa.Table]] = {}
    layout = postings.Layout(options.bands, 1, 1)
    partitions = range(layout.kind("samples").stop)
    for number, rows in enumerate(parts):
        texts = pa.array(["" if row["key"] in gone else row["text"] for row in rows], pa.string())
        hashes, offsets = shingles.shingle_sets(texts, options)
        made = minhash.minhash(texts, options)
        table = pa.table([pa.array([row["key"] for row in rows]), *made.columns], schema=kind)
        lines.append(tables.write(str(target), f"signatures/p-{number:05d}.parquet", table, kind))
        gathered = postings.Postings(options)
        ids = pa.array([content_id(text) for text in texts.to_pylist()], pa.string())
        gathered.add(minhash.matrix(made.column("signature")), np.diff(offsets), ids, hashes)
        blank = np.array([row["key"] in gone for row in rows], np.bool_)
        where = np.where(blank, postings.LEFT_OUT, bands.location(np.full(len(rows), number), np.arange(len(rows))))
        for one in gathered.tables():
            for partition, found in postings.split(one, layout, partitions, where):
                indexed.setdefault(partition, []).append(found)
    for partition, some in indexed.items():
        whole = pa.concat_tables(some).sort_by([("hash", "ascending"), ("document", "ascending")])
        place = layout.of(partition)
        name = index.path("made", place.dataset, place.number, place.part, place.ranges)
        lines.append(index.write(str(target), name, whole["hash"].to_numpy(), whole["document"].to_numpy()))
    return lines


def _stored(row: dict[str, Any], redacted: str | None, index_only: bool) -> dict[str, Any]:
    """The row as it is stored where its text was removed, or none is."""
    if redacted is not None:
        empty = dict.fromkeys(SNAPSHOT_DOCUMENTS.names) | {name: row[name] for name in ("key", "attestation")}
        return empty | {"eligible": False, "ineligible_reason": f"redacted: {redacted}", "byte_count": 0, "word_count": 0}
    return row | dict.fromkeys(("id", "url", "file_path", "dump", "metadata", "text")) if index_only else row


def run(target: Path, against: list[Opened], rows: list[tuple[dict[str, Any], str, str | None]], parts: int = 2) -> Opened:
    """A run of (document, origin, canonical) rows."""
    listing = []
    for i in range(parts):
        some = rows[i::parts]
        tags = [
            dict.fromkeys(TAGS.names) | {"key": row["key"], "id": row["id"], "origin": origin, "canonical": canonical}
            for row, origin, canonical in some
        ]
        found = {"documents": ([row for row, _, _ in some], DOCUMENTS), "tags": (tags, TAGS)}
        for dataset, (values, kind) in found.items():
            listing.append(
                tables.write(str(target), f"{dataset}/p-{i:05d}.parquet", pa.Table.from_pylist(values, schema=kind), kind)
            )
    body = {
        "kind": "run",
        "snapshots": [{"id": s.id, "cutoff": CUTOFF, "index_only": s.manifest["index_only"]} for s in against],
        "files": manifest.sorted_files(listing),
    }
    return manifest.write(str(target), body)


class Here:
    """Runs stages in this process, without Beam."""

    def run(self, of: Stage) -> dict[str, dict[str, Any]]:
        spec = of.spec()
        step = stages.load(spec)
        for part in of.parts:
            stages.do_part(step, spec, part)
        return of.receipts()


def make(
    into: Path,
    frozen: Opened,
    crawled: list[Opened],
    revoked: Revocations | None = None,
    scored: Sequence[str] = (),
    **options: Any,
) -> Opened:
    """A mix, made in this process; `scored` are tables of scores."""
    config = Mix(**({"min_attestation": "captured"} | options))
    plain, tokenizer = mix.settings(config)
    order = mix.Order(config, plain, frozen, crawled, tokenizer, revoked, tuple(scores.opened(scored)))
    with Target(str(into), "mix") as target:
        planned = planning.plan(config, frozen, crawled, target.work, Here(), tokenizer, order.scores, revoked)
        return mix.write(target, order, planned, Here())


def standard(folder: Path, humans: int = 30, others: int = 60) -> tuple[Opened, Opened]:
    """A snapshot and a run: long and short documents, two witnesses, two copies, one ineligible, one too late, one weak."""
    sizes = [300, 900, 2500, 40, 5000, 700]
    rows = [document(f"human-{i}", sizes[i % 6], witness="archive file" if i % 5 else "another archive") for i in range(humans)]
    rows.append(document("copy", 0, text=rows[0]["text"], attestation="declared"))
    rows.append(document("machine-2019", 600, eligible=False, ineligible_reason="markup"))
    late = datetime(2022, 1, 1, tzinfo=UTC)
    rows.append(document("late", 600, date=late, date_end=late))
    rows.append(document("weak", 600, attestation="declared", date=None, date_end=None, witness="declaration"))
    frozen = snapshot(folder / "snapshot", rows)
    found: list[tuple[dict[str, Any], str, str | None]] = [
        (document(f"new-{i}", sizes[(i + 3) % 6]), "unknown", None) for i in range(others)
    ]
    found += [(document(f"machine-{i}", 500), "machine_generated", None) for i in range(5)]
    found.append((document("same", 0, text=rows[1]["text"]), "human", rows[1]["key"]))
    found.append((document("near", 400), "unknown", rows[2]["key"]))
    found.append((document("stray", 500), "human", None))
    return frozen, run(folder / "run", [frozen], found)
