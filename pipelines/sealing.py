"""The stages that make extracted documents a snapshot: who counts as human, the leaves and their tree, the band index."""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import moments
from pipelines.toolbox import calibration
from provenance import bands, identity, minhash, schema, verdict
from store import index, sql, tables

WITNESS = {"captured": "archive file", "declared": "declaration"}
ROW_WITNESS = "table row"
"""Who says the date: the archive's own capture record, the owner's declaration, or a table's own column."""


class FindBoilerplate:
    """Step, one part: identity forms that stand on too many hosts to be anybody's text."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        con = sql.connect(self.context["folder"])
        sql.view(con, "documents", part["documents"], pa.schema([schema.DOCUMENTS.field(name) for name in ("content_id", "url")]))
        found = con.sql(
            f"""select content_id from documents where url is not null group by 1
            having count(distinct regexp_extract(lower(url), '^[a-z]+://(?:[^/@]*@)?([^/:?#]+)', 1)) >= {int(self.context["hosts"])} order by 1"""
        ).to_arrow_table()
        return {
            "files": [tables.write(self.context["folder"], "boilerplate.parquet", found, pa.schema([("content_id", pa.string())]))]
        }


class SealDocuments:
    """Step: one part's documents and evidence -> documents with attestation, eligibility and leaf, and their tags."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        sections = config.restore(self.context["config"], "freeze")
        self.options, self.freeze = sections["verdict"], sections["freeze"]
        self.calibration = calibration()
        self.boilerplate = set(tables.read([self.context["boilerplate"]])["content_id"].to_pylist())

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        found = tables.read([part["evidence"]])
        reasons = self._reasons(found)
        name, base = f"{self.context['prefix']}-{part['name']}.parquet", self.context["folder"]
        eligible: dict[str, dict[str, int]] = {}
        ineligible: dict[str, int] = {}
        sealed, standing = tables.Writer(base, f"documents/{name}", schema.SNAPSHOT_DOCUMENTS), []
        with sealed:
            for batch in tables.batches(part["documents"]):
                rows = self._seal(batch, reasons)
                sealed.write(pa.RecordBatch.from_pylist(rows, schema=schema.SNAPSHOT_DOCUMENTS))
                standing += [self._standing(row) for row in rows]
                _count(rows, eligible, ineligible)
        tags = verdict.verdict(pa.RecordBatch.from_pylist(standing, schema=verdict.STANDING), found, self.calibration, self.options)
        tagged = tables.write(base, f"tags/{name}", tags, schema.TAGS)
        return {"files": [sealed.entry, tagged], "documents": sealed.rows, "eligible": eligible, "ineligible": ineligible}

    def _reasons(self, found: pa.Table) -> dict[str, str]:
        """Why flagged documents are not eligible: machine evidence, or a capture that looks false."""
        alarms = verdict.alarms(found, self.calibration)
        flagged = verdict.flagged(found, self.calibration)
        reasons = {
            key: f"the capture looks false: {why}"
            for key, why in zip(*(alarms[c].to_pylist() for c in ("key", "reason")), strict=True)
        }
        return reasons | dict(zip(*(flagged[c].to_pylist() for c in ("key", "reason")), strict=True))

    def _seal(self, batch: pa.RecordBatch, reasons: dict[str, str]) -> list[dict[str, Any]]:
        rows = batch.to_pylist()
        for row in rows:
            if row["attestation"] == "declared" and row["date"] is not None:
                row["witness"] = ROW_WITNESS
            else:
                row["witness"] = WITNESS[row["attestation"]]
            row["ineligible_reason"] = self._ineligible(row, reasons)
            row["eligible"] = row["ineligible_reason"] is None
            row["extractor"], row["rules"] = self.context["extractor"], self.context["rules"]
            row["leaf"] = leaf(row).hash().hex()
        return rows

    def _ineligible(self, row: dict[str, Any], reasons: dict[str, str]) -> str | None:
        if row["word_count"] < self.freeze.minimum_words:
            return f"fewer than {self.freeze.minimum_words} words"
        if row["content_id"] in self.boilerplate:
            return f"boilerplate: on {self.freeze.boilerplate_hosts} or more hosts"
        return reasons.get(row["key"])

    @staticmethod
    def _standing(row: dict[str, Any]) -> dict[str, Any]:
        same = {name: row[name] for name in ("key", "id", "attestation", "word_count")}
        return same | {
            "identical": row["eligible"],
            "reference_attestation": row["attestation"],
            "similarity": None,
            "canonical": None,
            "snapshot": None,
        }


def _count(rows: list[dict[str, Any]], eligible: dict[str, dict[str, int]], ineligible: dict[str, int]) -> None:
    for row in rows:
        if row["eligible"]:
            level = eligible.setdefault(row["attestation"], {"documents": 0, "bytes": 0})
            level["documents"] += 1
            level["bytes"] += row["byte_count"]
        else:
            reason = row["ineligible_reason"].split(":")[0]
            ineligible[reason] = ineligible.get(reason, 0) + 1


def leaf(row: dict[str, Any]) -> identity.Leaf:
    """The leaf of a row of SNAPSHOT_DOCUMENTS."""
    text = row["text"].encode()
    return identity.Leaf(
        key=row["key"],
        text_sha256=hashlib.sha256(text).hexdigest(),
        text_bytes=len(text),
        date=moments.text(row["date"]),
        date_end=moments.text(row["date_end"]),
        attestation=row["attestation"],
        witness=row["witness"],
        eligible=row["eligible"],
        payload_digest=row["payload_digest"] or "",
        extractor=row["extractor"],
        rules=row["rules"],
    )


class IndexBands:
    """Shuffle step: signatures -> the frozen band index, one sorted file for each band and hash range."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        self.options = config.restore(self.context["config"], "freeze")["minhash"]
        self.ranges = self.context["ranges"]

    def split(self, part: dict[str, Any], partitions: frozenset[int]) -> Iterator[tuple[int, bytes]]:
        sketch = tables.read([part["signatures"]], ["signature", "shingles"])
        documents = bands.location(np.full(sketch.num_rows, part["number"]), np.arange(sketch.num_rows))
        own = sorted({partition // self.ranges for partition in partitions})
        rows = bands.split(
            documents, minhash.matrix(sketch["signature"]), sketch["shingles"].to_numpy(), self.options, self.ranges, own
        )
        yield from ((partition, bands.to_ipc(table)) for partition, table in rows if partition in partitions)

    def join(self, partition: int, blobs: Iterable[bytes]) -> dict[str, Any]:
        table = bands.from_ipc(blobs)
        band, part = divmod(partition, self.ranges)
        name = index.path(self.context["prefix"], band, part, self.ranges)
        return {"files": [index.write(self.context["folder"], name, table["hash"].to_numpy(), table["document"].to_numpy())]}


class GrowTree:
    """Step, one part: the Merkle root over all leaves in order of key."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        leaves = tables.read(part["documents"], ["key", "leaf"], schema.SNAPSHOT_DOCUMENTS).sort_by("key")
        keys = leaves["key"]
        if len(keys) > 1 and pc.any(pc.equal(keys.slice(1), keys.slice(0, len(keys) - 1))).as_py():
            raise RuntimeError("two documents have one key; a proof could stand for either. Report this with the input files.")
        root = identity.merkle_root([bytes.fromhex(value) for value in leaves["leaf"].to_pylist()])
        return {"files": [], "size": leaves.num_rows, "root": root.hex()}


def rules(config: dict[str, Any], parameters: dict[str, Any]) -> str:
    """Digest of all that decides eligibility: the freeze settings and the rules of the evidence."""
    return identity.digest({"freeze": config["freeze"], "rules": parameters["rules"]})
