"""Small snapshots in the layout of `freeze`, written straight from the schemas: extensions, witnesses, redaction, no text."""

import hashlib
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.redacting import renamed
from provenance.bands import band_hashes
from provenance.identity import Leaf, Tree, content_id, digest
from provenance.minhash import MinHash, minima, parameters
from provenance.schema import ATTESTATIONS, BANDS, EVIDENCE, INDEXES, LEAVES, REJECTS, SNAPSHOT_DOCUMENTS, SOURCES, TAGS, signatures
from provenance.shingles import shingle_sets
from store import checkpoint, files, manifest, tables
from store.manifest import Opened
from store.notes import Signer

CUTOFF = "2022-01-01T00:00:00.000000Z"
PERMUTATIONS = 4
SKETCH = MinHash(permutations=PERMUTATIONS, bands=2, rows=2)
RANGES = 2
SIGNER = Signer("example.org/test", bytes(range(32)))
WITNESSES = {
    name: {"kind": "index", "custodian": custodian, "published": "2020-01-01T00:00:00.000000Z", "sha256": ["5" * 64]}
    for name, custodian in (("index-a", "Archive A"), ("index-b", "Archive B"), ("index-a2", "Archive A"))
}
HIDDEN = ("id", "url", "file_path", "dump", "metadata", "text")
KEPT = ("key", "attestation")
WORDS = "naïve café 東京 water 😀 stone harbour летом bread the of and with letters from a quiet year".split()


def hexed(*parts: object) -> str:
    return hashlib.sha256("|".join(map(str, parts)).encode()).hexdigest()


def key(name: str) -> str:
    return hexed("key", name)[:32]


def prose(name: str, words: int = 60) -> str:
    return " ".join([name, *(WORDS[int(hexed(name, i)[:4], 16) % len(WORDS)] for i in range(words))])


def iso(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else ""


def document(name: str, number: int, **more: Any) -> dict[str, Any]:
    """A row of SNAPSHOT_DOCUMENTS; every fifth is not eligible, every seventh is declared and has no date."""
    text = more.pop("text", None) or prose(name)
    date = None if number % 7 == 6 else datetime(2015, 3, 4, 5, 6, 7, 89, tzinfo=UTC) + timedelta(hours=number)
    return dict.fromkeys(SNAPSHOT_DOCUMENTS.names) | {
        "key": key(name),
        "id": name,
        "content_id": content_id(text),
        "file_path": "a.warc.gz",
        "offset": number,
        "member_offset": 0,
        "record_type": "response",
        "url": f"https://example.org/{name}",
        "date": date,
        "date_end": date,
        "attestation": "captured" if date else "declared",
        "witness": "archive file" if date else "declaration",
        "payload_digest": hexed("payload", name) if date else None,
        "digest_check": "agrees",
        "language": "en",
        "language_score": 0.9,
        "word_count": len(text.split()),
        "byte_count": len(text.encode()),
        "text": text,
        "eligible": number % 5 != 4,
        "ineligible_reason": "boilerplate: on 20 hosts" if number % 5 == 4 else None,
        **more,
    }


def leaf(row: dict[str, Any], **more: Any) -> dict[str, Any]:
    """The leaf of a document, without its index."""
    values = {
        **{name: row[name] for name in ("key", "attestation", "witness", "eligible")},
        "text_sha256": hashlib.sha256(row["text"].encode()).hexdigest(),
        "text_bytes": row["byte_count"],
        "date": row["date"],
        "date_end": row["date_end"],
        "payload_digest": row["payload_digest"] or "",
        "extractor": "e" * 64,
        "rules": "f" * 64,
        "names": "",
        **more,
    }
    return values | {"leaf": hashed(values), "redacted": None}


def hashed(values: dict[str, Any]) -> str:
    fields: list[Any] = [iso(values[n]) if n.startswith("date") else values[n] for n in Leaf._fields]
    return Leaf(*fields).hash().hex()


class Builder:
    """What a snapshot is made of, as rows, changed at will before it is written."""

    def __init__(self, folder: Path, parent: Opened | None = None, index_only: bool = False, parts: int = 2):
        self.folder, self.parent, self.index_only, self.parts = str(folder), parent, index_only, parts
        self.number = len(parent.manifest["tree"]["extensions"]) if parent else 0
        self.documents: list[dict[str, Any]] = []
        self.leaves: list[dict[str, Any]] = []
        self.rejects: list[dict[str, Any]] = []
        self.old = tables.read(parent.files("leaves"), schema=LEAVES).to_pylist() if parent else []
        self.entries: list[dict[str, Any]] = list(parent.manifest["files"]) if parent else []
        self.removed: list[str] = []
        self.found_by: dict[tuple[str, int], list[dict[str, int]]] = {}
        """Rows of the indexes, by dataset and band."""
        self.body: dict[str, Any] = {}

    def add(self, names: Iterable[str], **more: Any) -> "Builder":
        """New documents with their first leaves."""
        for name in names:
            row = document(name, len(self.documents), **more)
            self.documents.append(row)
            self.leaves.append(leaf(row))
        return self

    def witness(self, name: str, witness: str = "index-a", **more: Any) -> "Builder":
        """A further leaf of a document of the parent."""
        first = next(row for row in self.old if row["key"] == key(name) and row["names"] == "")
        more = {"attestation": "corroborated", "witness": witness, "names": first["leaf"], **more}
        values = {name: first[name] for name in Leaf._fields} | more
        self.leaves.append(values | {"leaf": hashed(values), "redacted": None})
        return self

    def reject(self, number: int = 3) -> "Builder":
        for at in range(number):
            row = dict.fromkeys(REJECTS.names) | {"key": key(f"reject-{self.number}-{at}"), "offset": at, "stage": "http"}
            self.rejects.append(row | {"reason": "status" if at else "empty", "detail": "404", "file_path": "a.warc.gz"})
        return self

    def redact(self, names: Sequence[str], why: str = "take-down") -> "Builder":
        """Writes the files of the parent that hold these documents anew, without them."""
        keys = {key(name) for name in names}
        locations = set()
        for number, url in enumerate(self.parent.files("documents") if self.parent else ()):
            rows = tables.read([url]).to_pylist()
            locations |= {(number, at) for at, row in enumerate(rows) if row["key"] in keys}
        erase = {
            "documents": lambda row: dict.fromkeys(row) | {n: row[n] for n in KEPT} | _gone(why),
            "leaves": lambda row: dict.fromkeys(row) | {n: row[n] for n in ("index", "key", "leaf")} | {"redacted": why},
            "signatures": lambda row: row | {"signature": [4294967295] * PERMUTATIONS, "shingles": 0},
            "tags": lambda row: row | {"origin": "unknown"},
            "evidence": lambda row: None,
        }
        for entry in list(self.entries):
            dataset = entry["path"].split("/")[0]
            if dataset in erase:
                self._replace(entry, [erase[dataset](row) if row["key"] in keys else row for row in self._rows(entry)])
            elif dataset in INDEXES:
                self._replace(entry, [None if (row["part"], row["row"]) in locations else row for row in self._rows(entry)])
        self.old = [erase["leaves"](row) if row["key"] in keys else row for row in self.old]
        return self

    def _rows(self, entry: dict[str, Any]) -> list[dict[str, Any]]:
        return tables.read([files.join(self.folder, entry["path"])]).to_pylist()

    def _replace(self, entry: dict[str, Any], rows: list[Any]) -> None:
        path = renamed(entry["path"], f"{self.number:05d}")
        self.entries.remove(entry)
        self.removed.append(entry["path"])
        self.write(path, [row for row in rows if row is not None])

    def write(self, path: str, rows: list[dict[str, Any]]) -> None:
        kinds = {
            "documents": SNAPSHOT_DOCUMENTS,
            "leaves": LEAVES,
            "signatures": signatures(PERMUTATIONS),
            "tags": TAGS,
            "evidence": EVIDENCE,
            **dict.fromkeys(INDEXES, BANDS),
            "rejects": REJECTS,
            "sources": SOURCES,
        }
        kind = kinds[path.split("/")[0]]
        self.entries.append(tables.write(self.folder, path, pa.Table.from_pylist(rows, schema=kind), kind))

    def finish(self, signer: Signer | None = None, remove: bool = True) -> Opened:
        """Writes the files, the manifest and, with a signer, the checkpoint; removes what was redacted."""
        before = sum(entry["path"].startswith("documents/") for entry in self.entries)
        prefix = f"{self.number:05d}-v{self.number}"
        for part in range(self.parts if self.documents else 0):
            self._part(f"{prefix}-{part:05d}.parquet", before + part, self.documents[part :: self.parts])
        self.index(prefix)
        self.leaves.sort(key=lambda row: (row["key"], row["witness"]))
        for at, row in enumerate(self.leaves):
            row["index"] = len(self.old) + at
        half = -(-len(self.leaves) // self.parts) if self.leaves else 1
        for file, start in enumerate(range(0, len(self.leaves), half)):
            self.write(f"leaves/{prefix}-{file:05d}.parquet", self.leaves[start : start + half])
        if self.documents or self.rejects:
            self.write(f"rejects/{prefix}-00000.parquet", self.rejects)
            counted = {
                "records": len(self.documents) + len(self.rejects),
                "documents": len(self.documents),
                "rejects": len(self.rejects),
            }
            source = {
                "file_path": "a.warc.gz",
                "sha256": hexed(self.number),
                "copy": 0,
                "size": 9,
                "boundaries": 0,
                "unaccounted": 0,
            }
            self.write(f"sources/{prefix}-00000.parquet", [dict.fromkeys(SOURCES.names) | source | counted])
        opened = manifest.write_snapshot(self.folder, self._body(signer) | self.body)
        if signer:
            files.write_bytes(files.join(self.folder, checkpoint.path(opened.id)), checkpoint.write(opened, signer))
        for path in self.removed if remove else ():
            files.remove(files.join(self.folder, path))
        return opened

    def _part(self, name: str, number: int, rows: list[dict[str, Any]]) -> None:
        hidden = dict.fromkeys(HIDDEN) if self.index_only else {}
        self.write(f"documents/{name}", [row | hidden for row in rows])
        hashes, offsets = shingle_sets(pa.array([row["text"] for row in rows], pa.string()), SKETCH)
        sketches = minima(hashes, offsets, SKETCH)
        some = list(zip(rows, sketches.tolist(), np.diff(offsets).tolist(), strict=True))
        self.write(
            f"signatures/{name}", [{"key": row["key"], "signature": sketch, "shingles": count} for row, sketch, count in some]
        )
        for at, bands in enumerate(band_hashes(sketches, SKETCH).tolist()):
            self._find("ids", 0, int(rows[at]["content_id"][:16], 16), number, at)
            own = sorted(hashes[offsets[at] : offsets[at + 1]].tolist())
            for band, hashed in enumerate(bands if own else ()):
                self._find("bands", band, hashed, number, at)
            for hashed in own:
                if hashed % 16 == 0:
                    self._find("samples", 0, hashed, number, at)
        self.write(
            f"tags/{name}",
            [
                dict.fromkeys(TAGS.names)
                | {
                    "key": row["key"],
                    "origin": "human" if row["eligible"] else "unknown",
                    "attestation": row["attestation"],
                    "basis": [],
                }
                for row in rows
            ],
        )
        self.write(
            f"evidence/{name}",
            [
                {"key": r["key"], "signal": "x", "version": "1", "value": 0.5, "detail": "seen", "log_likelihood_ratio": None}
                for r in rows[::3]
            ],
        )

    def _find(self, dataset: str, band: int, hashed: int, part: int, row: int) -> None:
        self.found_by.setdefault((dataset, band), []).append({"hash": hashed, "part": part, "row": row})

    def index(self, prefix: str) -> None:
        """Writes the indexes, each in `RANGES` ranges."""
        for (dataset, band), rows in self.found_by.items():
            for part in range(RANGES):
                mine = [row for row in rows if (row["hash"] >> 32) * RANGES >> 32 == part]
                name = f"{dataset}/{prefix}{f'-b{band:03d}' if dataset == 'bands' else ''}-r{part:03d}of{RANGES:03d}.parquet"
                if mine:
                    self.write(name, sorted(mine, key=lambda row: (row["hash"], row["part"], row["row"])))

    def _body(self, signer: Signer | None) -> dict[str, Any]:
        tree = Tree([bytes.fromhex(row["leaf"]) for row in (*self.old, *self.leaves)])
        extensions: list[dict[str, Any]] = []
        if self.parent:
            extensions = [dict(extension) for extension in self.parent.manifest["tree"]["extensions"]]
            extensions[-1]["manifest"] = self.parent.id
        extensions.append({"size": len(self.leaves), "root": tree.root.hex(), "manifest": None})
        redacted = sum(row["redacted"] is not None for row in self.old)
        return {
            "job": hexed("job", self.number),
            "parent": self.parent.id if self.parent else None,
            "cutoff": CUTOFF,
            "declaration": None,
            "config": {},
            "config_digest": digest({}),
            "parameters": {"minhash": parameters(SKETCH)},
            "index_only": self.index_only,
            "tree": {"size": tree.size, "root": tree.root.hex(), "extensions": extensions},
            "consistency": [node.hex() for node in tree.consistency(len(self.old))],
            "signers": [signer.verifier.vkey] if signer else [],
            "witnesses": WITNESSES,
            "redacted": {"leaves": redacted, "removed": sorted(self.removed)},
            "files": manifest.sorted_files(self.entries),
            "counts": self._counts(tree.size),
        }

    def _counts(self, leaves: int) -> dict[str, Any]:
        rows = [row for entry in self.entries if entry["path"].startswith("documents/") for row in self._rows(entry)]
        rejects = [row for entry in self.entries if entry["path"].startswith("rejects/") for row in self._rows(entry)]
        found: dict[str, dict[str, int]] = {"eligible": {}, "eligible_bytes": {}, "ineligible": {}, "rejects_by_reason": {}}

        def count(kind: str, name: str, amount: int = 1) -> None:
            found[kind][name] = found[kind].get(name, 0) + amount

        best: dict[str, int] = {}
        for proof in (*self.old, *self.leaves):
            level = _rank(proof["attestation"]) if proof["redacted"] is None else 0
            best[proof["key"]] = max(best.get(proof["key"], 0), level)
        for row in rows:
            if row["eligible"]:
                name = ATTESTATIONS[best.get(row["key"], _rank(row["attestation"]))]
                count("eligible", name)
                count("eligible_bytes", name, row["byte_count"])
            else:
                count("ineligible", row["ineligible_reason"].split(":")[0])
        for row in rejects:
            count("rejects_by_reason", f"{row['stage']}/{row['reason']}")
        numbers = {"documents": len(rows), "rejects": len(rejects), "records": len(rows) + len(rejects), "leaves": leaves}
        return {**numbers, **found}


def _rank(level: str) -> int:
    return max(1, ATTESTATIONS.index(level)) if level in ATTESTATIONS else 1


def _gone(why: str) -> dict[str, Any]:
    return {"eligible": False, "ineligible_reason": f"redacted: {why}", "byte_count": 0, "word_count": 0}


def names(number: int, start: int = 0) -> list[str]:
    return [f"document-{at}" for at in range(start, start + number)]


def simple(folder: Path, number: int = 40, signer: Signer | None = None, **options: Any) -> Opened:
    """A first snapshot."""
    return Builder(folder, **options).add(names(number)).reject().finish(signer)


def grown(folder: Path, signer: Signer | None = None) -> list[Opened]:
    """Three versions: the first, one with documents and witnesses more, one with a redaction."""
    first = simple(folder, signer=signer)
    second = (
        Builder(folder, first)
        .add(names(11, 40))
        .witness("document-3")
        .witness("document-3", "index-b")
        .witness("document-7")
        .reject(2)
    )
    middle = second.finish(signer)
    last = Builder(folder, middle).redact(["document-3", "document-8", "document-44"]).finish(signer)
    return [first, middle, last]
