"""Small snapshots and runs for the tests of `mix`, written straight from the schemas; documents of any length."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

from pipelines import mix, planning
from pipelines import stage as stages
from pipelines.stage import Stage
from pipelines.target import Target
from provenance.floor import Mix
from provenance.identity import Leaf, content_id, merkle_root
from provenance.schema import DOCUMENTS, SNAPSHOT_DOCUMENTS, TAGS
from store import manifest, tables
from store.manifest import Opened

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
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else ""


def sealed(row: dict[str, Any]) -> dict[str, Any]:
    """A snapshot's row with its leaf."""
    row = {"witness": "archive file", "eligible": True, "ineligible_reason": None, "extractor": "e" * 64, "rules": "r" * 64, **row}
    leaf = Leaf(
        row["key"],
        hashlib.sha256(row["text"].encode()).hexdigest(),
        row["byte_count"],
        iso(row["date"]),
        iso(row["date_end"]),
        row["attestation"],
        row["witness"],
        row["eligible"],
        row["payload_digest"],
        row["extractor"],
        row["rules"],
    )
    return row | {"leaf": leaf.hash().hex()}


def snapshot(target: Path, rows: list[dict[str, Any]], parts: int = 2) -> Opened:
    """A frozen snapshot of these rows, dealt to several files."""
    made = [sealed(row) for row in rows]
    listing = [
        tables.write(
            str(target),
            f"documents/p-{i:05d}.parquet",
            pa.Table.from_pylist(made[i::parts], schema=SNAPSHOT_DOCUMENTS),
            SNAPSHOT_DOCUMENTS,
        )
        for i in range(parts)
    ]
    leaves = [bytes.fromhex(row["leaf"]) for row in sorted(made, key=lambda row: row["key"])]
    body = {
        "cutoff": CUTOFF,
        "files": listing,
        "tree": {"size": len(leaves), "root": merkle_root(leaves).hex()},
        "counts": {"documents": len(made)},
    }
    return manifest.write_snapshot(str(target), body)


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
        for dataset, (values, schema) in found.items():
            listing.append(
                tables.write(str(target), f"{dataset}/p-{i:05d}.parquet", pa.Table.from_pylist(values, schema=schema), schema)
            )
    body = {"kind": "run", "snapshots": [{"id": s.id, "cutoff": CUTOFF} for s in against], "files": manifest.sorted_files(listing)}
    return manifest.write(str(target), body)


class Here:
    """Runs stages in this process, without Beam."""

    def run(self, of: Stage) -> dict[str, dict[str, Any]]:
        spec = of.spec()
        step = stages.load(spec)
        for part in of.parts:
            stages.do_part(step, spec, part)
        return of.receipts()


def make(into: Path, frozen: Opened, crawled: list[Opened], **options: Any) -> Opened:
    """A mix, made in this process."""
    config = Mix(**({"min_attestation": "captured"} | options))
    plain, tokenizer = mix.settings(config)
    with Target(str(into), "mix") as target:
        planned = planning.plan(config, frozen, crawled, target.work)
        return mix.write(target, mix.Order(config, plain, frozen, crawled, tokenizer), planned, Here())


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
