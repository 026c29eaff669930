"""Small snapshots with real leaves and real keys, in extensions, for the tests of proofs, checkpoints and revocation."""

import hashlib
import itertools
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import zstandard

from provenance.identity import Frontier, key, leaf_hash
from provenance.schema import LEAVES, SHARD, SNAPSHOT_DOCUMENTS, SOURCES
from store import checkpoint, files, manifest, notes, tables
from store.leaves import leaf_bytes
from store.manifest import Opened

ARCHIVES = tuple(hashlib.sha256(name.encode()).hexdigest() for name in ("one.warc.gz", "two.warc.gz"))
OWNER = notes.Signer("example.org/snapshots", bytes(range(32)))
STRANGER = notes.Signer("example.org/stranger", bytes(range(1, 33)))


def text(i: int) -> str:
    return f"Document {i}: " + "the harbour was quiet " * (i + 1)


def document(i: int, **more: Any) -> dict[str, Any]:
    """A document at its place in one of the two archives; leaves as `more` says."""
    body = text(i).encode()
    date = datetime(2019, 6, 1, tzinfo=UTC) + timedelta(hours=i, microseconds=i)
    return {
        "key": key(ARCHIVES[i % 2], 0, 1000 * i, 0),
        "text": text(i),
        "offset": 1000 * i,
        "member_offset": 0,
        "file_path": ("one.warc.gz", "two.warc.gz")[i % 2],
        "language": "en" if i % 3 else "de",
        "byte_count": len(body),
        "text_sha256": hashlib.sha256(body).hexdigest(),
        "text_bytes": len(body),
        "date": date,
        "date_end": date,
        "attestation": "captured",
        "witness": "archive file",
        "eligible": i != 3,
        "ineligible_reason": "fewer than 50 words" if i == 3 else None,
        "payload_digest": hashlib.sha256(b"payload" + body).hexdigest(),
        "extractor": "e" * 64,
        "rules": "r" * 64,
        "names": "",
        "redacted": None,
        **more,
    }


def leaf_data(row: dict[str, Any]) -> bytes:
    """The bytes of a document's leaf."""
    return next(leaf_bytes(pa.Table.from_pylist([row], schema=LEAVES)))


def with_leaf(row: dict[str, Any]) -> dict[str, Any]:
    return row | {"leaf": leaf_hash(leaf_data(row)).hex()}


def further(row: dict[str, Any], level: str, witness: str) -> dict[str, Any]:
    """A further witness of a row that has its leaf."""
    return with_leaf({**row, "attestation": level, "witness": witness, "names": row["leaf"]})


def standard() -> list[list[dict[str, Any]]]:
    """Seven documents in a first extension; in a second one more, and further witnesses of documents 1 and 2."""
    first = [with_leaf(document(i)) for i in range(6)] + [with_leaf(document(6, attestation="released", witness="dump-list"))]
    second = [with_leaf(document(7)), further(first[1], "corroborated", "cc-index"), further(first[2], "timestamped", "freetsa")]
    return [first, second]


def snapshot(target: Path, extensions: Sequence[list[dict[str, Any]]], signers: Sequence[notes.Signer] = ()) -> Opened:
    """A snapshot of these leaves; rows with `redacted` keep only key and hash."""
    listing, frontier, added, documents = [], Frontier(), [], []
    for number, rows in enumerate(extensions):
        made = []
        for row in sorted(rows, key=lambda row: (row["key"], row["names"])):
            place = {"index": frontier.size}
            kept = row if row["redacted"] is None else {name: row[name] for name in ("key", "leaf", "redacted")}
            made.append({name: (kept | place).get(name) for name in LEAVES.names})
            frontier.append(bytes.fromhex(row["leaf"]))
            if not row["names"]:
                documents.append({name: row.get(name) for name in SNAPSHOT_DOCUMENTS.names})
        added.append(
            {"size": len(rows), "root": frontier.root.hex(), "manifest": None if number + 1 == len(extensions) else "ab" * 32}
        )
        table = pa.Table.from_pylist(made, schema=LEAVES)
        listing.append(tables.write(str(target), f"leaves/{number:05d}-x-0000.parquet", table, LEAVES))
    sources = [
        {"file_path": name, "sha256": source, "copy": 0}
        for name, source in zip(("one.warc.gz", "two.warc.gz"), ARCHIVES, strict=True)
    ]
    for name, rows, schema in (("documents", documents, SNAPSHOT_DOCUMENTS), ("sources", sources, SOURCES)):
        table = pa.Table.from_pylist(rows, schema=schema)
        listing.append(tables.write(str(target), f"{name}/00000-x-0000.parquet", table, schema))
    body = {
        "cutoff": "2022-01-01T00:00:00.000000Z",
        "parent": "ab" * 32 if len(extensions) > 1 else None,
        "tree": {"size": frontier.size, "root": frontier.root.hex(), "extensions": added},
        "signers": [signer.verifier.vkey for signer in signers],
        "files": manifest.sorted_files(listing),
        "counts": {"documents": len(documents)},
    }
    opened = manifest.write_snapshot(str(target), body)
    if signers:
        signed = notes.sign(checkpoint.of(opened, signers[0].name).text(), signers)
        files.write_bytes(files.join(str(target), checkpoint.path(opened.id)), signed)
    return opened


def mix(
    target: Path,
    frozen: Opened,
    humans: Sequence[dict[str, Any]],
    others: int,
    floor: str = "1/2",
    epochs: int = 1,
    chunks: int = 1,
) -> Opened:
    """A mix of one shard: these documents of a snapshot in so many chunks and epochs, and some that are not human."""
    held = {row["leaf"]: row["index"] for row in tables.read(frozen.files("leaves"), ["leaf", "index"]).to_pylist()}
    proven = sorted((held[row["leaf"]], leaf_data(row)) for row in humans)
    common = {"id": "", "chunk": 0, "chunks": 1, "url": None, "language": "en", "stratum": "any"}
    rows = []
    for epoch, row, chunk in itertools.product(range(epochs), humans, range(chunks)):
        step = -(-len(row["text"]) // chunks)
        made = {name: row[name] for name in ("key", "attestation", "date")} | {"origin": "human", "epoch": epoch}
        piece = row["text"][chunk * step : (chunk + 1) * step]
        rows.append(common | made | {"text": piece, "chunk": chunk, "chunks": chunks})
    rows += [
        common | {"text": "new " * 20, "key": f"{i:032x}", "attestation": "none", "date": None, "origin": "unknown", "epoch": 0}
        for i in range(others)
    ]
    name = "train-00000-of-00001"
    listing = [tables.write(str(target), f"data/{name}.parquet", pa.Table.from_pylist(rows, schema=SHARD), SHARD)]
    packed = zstandard.compress(b"".join(b"%d %s" % one for one in proven))
    travelling = {
        f"proof/{name}.leaves.zst": packed,
        "proof/snapshot.manifest": files.read_bytes(files.join(frozen.url, f"manifests/{frozen.id}.json")),
    }
    for path, data in travelling.items():
        files.write_bytes(files.join(str(target), path), data)
        listing.append({"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "rows": None})
    body = {
        "kind": "mix",
        "floor": floor,
        "units": ["bytes", "documents", "tokens"],
        "config": {"mix": {"format": "parquet"}},
        "shards": [{"path": f"data/{name}.parquet", "rows": len(rows)}],
        "snapshot": {"id": frozen.id, "cutoff": frozen.manifest["cutoff"]},
        "files": manifest.sorted_files(listing),
    }
    return manifest.write(str(target), body)
