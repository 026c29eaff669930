"""The stages that make extracted documents a snapshot: who counts as human, and the documents' leaves."""

import json
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import indexing, moments
from pipelines.toolbox import calibration
from provenance import identity, minhash, postings, schema, verdict
from store import sql, tables
from store.leaves import leaf_bytes

PRESENT = {
    "already_present": "its record or its text is in the snapshot already, as document {}",
    "further_witness": "its text is in the snapshot already, and it became a further witness of document {}",
    "redacted": "the snapshot redacted this record, document {}",
}
"""Rejects of documents that the parent snapshot has, by outcome."""

INDEX_ONLY = ("id", "url", "file_path", "dump", "metadata", "text")
"""Columns of documents that an index-only snapshot leaves empty: the text, and what would give it away."""


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
    """Step: one part's documents, evidence and standing -> documents with attestation and eligibility, their leaves and tags.

    Documents that the parent snapshot has become rejects, and perhaps leaves; the row-aligned signatures follow.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        sections = config.restore(self.context["config"], "freeze")
        self.options, self.freeze = sections["verdict"], sections["freeze"]
        self.calibration = calibration()
        self.boilerplate = tables.read([self.context["boilerplate"]])["content_id"]
        self.minhash = sections["minhash"]
        self.signatures = schema.signatures(self.minhash.permutations, self.minhash.bits)

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        found = tables.read([part["evidence"]])
        reasons = self._reasons(found)
        with _Sealed(self.context, part["name"]) as sealed:
            at = 0
            standing, captured = tables.read([part["standing"]]), tables.read([part["captures"]])
            for batch in tables.batches(part["documents"]):
                count = batch.num_rows
                self._seal(batch, standing.slice(at, count), captured.slice(at, count), reasons, sealed)
                at += count
        kept = pa.concat_arrays(sealed.kept) if sealed.kept else pa.array([], pa.bool_())
        entries = [*sealed.entries, *self._aligned(part, kept, found, sealed), self._places(part, kept)]
        return {
            "files": entries,
            "documents": sealed.documents.rows,
            "leaves": sealed.leaves.rows,
            "eligible": sealed.eligible,
            "ineligible": sealed.ineligible,
            "dropped": sealed.dropped,
            "reasons": sealed.reasons,
        }

    def _reasons(self, found: pa.Table) -> pa.Table:
        """Why flagged documents are not eligible: machine evidence, or a capture that looks false."""
        alarms = verdict.alarms(found, self.calibration)
        flagged = verdict.flagged(found, self.calibration)
        reasons = {
            key: f"the capture looks false: {why}"
            for key, why in zip(*(alarms[c].to_pylist() for c in ("key", "reason")), strict=True)
        }
        reasons |= dict(zip(*(flagged[c].to_pylist() for c in ("key", "reason")), strict=True))
        return pa.table(
            [pa.array(list(reasons), pa.string()), pa.array(list(reasons.values()), pa.string())], names=["key", "reason"]
        )

    def _seal(self, batch: pa.RecordBatch, standing: pa.Table, captured: pa.Table, reasons: pa.Table, sealed: "_Sealed") -> None:
        if batch["key"].to_pylist() != captured["key"].to_pylist():
            raise RuntimeError("documents and their captures are not in the same order. Remove the work folder and rerun.")
        why = self._ineligible(batch, reasons)
        table = pa.Table.from_batches([batch])
        for name in ("attestation", "witness"):
            column = standing[name]
            at = table.schema.get_field_index(name)
            table = table.set_column(at, name, column) if at >= 0 else table.append_column(name, column)
        table = table.append_column("eligible", pc.is_null(why)).append_column("ineligible_reason", why)
        new = pc.is_null(standing["outcome"]).combine_chunks()
        sealed.add(table, standing, captured, new)

    def _ineligible(self, batch: pa.RecordBatch, reasons: pa.Table) -> pa.Array:
        """Why each document may not count as human, null where it may: too short, boilerplate, or flagged."""
        short = pc.less(batch["word_count"], self.freeze.minimum_words)
        common = pc.is_in(batch["content_id"], value_set=self.boilerplate)
        flagged = reasons["reason"].take(pc.index_in(batch["key"], value_set=reasons["key"]))
        flagged = flagged.combine_chunks() if isinstance(flagged, pa.ChunkedArray) else flagged
        if self.context["index_only"]:  # what comes after the colon may quote the page
            flagged = pc.list_element(pc.split_pattern(flagged, ":", max_splits=1), 0)
        return pc.if_else(
            short,
            f"fewer than {self.freeze.minimum_words} words",
            pc.if_else(common, f"boilerplate: on {self.freeze.boilerplate_hosts} or more hosts", flagged),
        )

    def _aligned(self, part: dict[str, Any], kept: pa.Array, found: pa.Table, sealed: "_Sealed") -> list[dict[str, Any]]:
        """Tags of the kept documents, and their signatures and evidence."""
        base, name = self.context["folder"], f"{self.context['prefix']}-{part['name']}.parquet"
        signatures = tables.read([part["signatures"]]).filter(kept)
        held = pc.is_in(found["key"], value_set=signatures["key"].combine_chunks())
        found = found.filter(held)
        tags = verdict.verdict(
            pa.RecordBatch.from_pylist(sealed.standing, schema=verdict.STANDING), found, self.calibration, self.options
        )
        if self.context["index_only"]:
            found = _emptied(found, schema.EVIDENCE, ("detail",))
            tags = _emptied(pa.Table.from_batches([tags]), schema.TAGS, ("id", "reason"))
        parameters = {"minhash": json.dumps(minhash.parameters(self.minhash), sort_keys=True)}
        return [
            tables.write(base, f"signatures/{name}", signatures, self.signatures, metadata=parameters),
            tables.write(base, f"evidence/{name}", found, schema.EVIDENCE),
            tables.write(base, f"tags/{name}", tags, schema.TAGS),
        ]

    def _places(self, part: dict[str, Any], kept: pa.BooleanArray) -> dict[str, Any]:
        """Rows of the kept documents in the sealed file, by which their postings follow them."""
        there = kept.to_numpy(zero_copy_only=False)
        rows = np.where(there, np.cumsum(there) - 1, postings.LEFT_OUT)
        return indexing.write_places(self.context["folder"], f"{self.context['prefix']}-{part['name']}", rows)


def _emptied(table: pa.Table, kind: pa.Schema, names: Iterable[str]) -> pa.Table:
    """The table with some columns null."""
    for name in names:
        table = table.set_column(
            table.schema.get_field_index(name), kind.field(name), pa.nulls(table.num_rows, kind.field(name).type)
        )
    return table


class _Sealed:
    """The files of one sealed part, and what was counted while they were written."""

    def __init__(self, context: dict[str, Any], name: str):
        self.context = context
        path = f"{context['prefix']}-{name}.parquet"
        self.documents = tables.Writer(context["folder"], f"documents/{path}", schema.SNAPSHOT_DOCUMENTS)
        self.leaves = tables.Writer(context["folder"], f"fresh/{path}", schema.LEAVES)
        self.rejects = tables.Writer(context["folder"], f"rejects/{context['prefix']}-{name}-present.parquet", schema.REJECTS)
        self.kept: list[pa.Array] = []
        self.standing: list[dict[str, Any]] = []
        self.eligible: dict[str, dict[str, int]] = {}
        self.ineligible: dict[str, int] = {}
        self.dropped: dict[str, int] = {}
        self.reasons: dict[str, int] = {}

    def __enter__(self) -> "_Sealed":
        for writer in (self.documents, self.leaves, self.rejects):
            writer.__enter__()
        return self

    def __exit__(self, *error: Any) -> None:
        for writer in (self.documents, self.leaves, self.rejects):
            writer.__exit__(*error)

    @property
    def entries(self) -> list[dict[str, Any]]:
        """The files' manifest lines; rejects only where there are some."""
        return [self.documents.entry, self.leaves.entry, *([self.rejects.entry] if self.rejects.rows else [])]

    def add(self, table: pa.Table, standing: pa.Table, captured: pa.Table, new: pa.Array) -> None:
        """Takes documents with their standing and what was captured of them; `new` are those that the parent does not have."""
        self.kept.append(new)
        old = pc.invert(new)
        kept = table.filter(new)
        self._leaves(kept, captured.filter(new), "", kept["eligible"], kept["key"])
        self._count(kept)
        index_only = self.context["index_only"]
        self.documents.write(
            _emptied(kept, schema.DOCUMENTS, INDEX_ONLY if index_only else ()).select(schema.SNAPSHOT_DOCUMENTS.names)
        )
        if standing["outcome"].null_count < standing.num_rows:
            self._drop(table.filter(old), standing.filter(old), captured.filter(old))

    def _leaves(
        self, table: pa.Table, captured: pa.Table, names: pa.ChunkedArray | str, eligible: pa.ChunkedArray, keys: pa.ChunkedArray
    ) -> None:
        """Writes the leaves of some rows: of documents by their own `keys`, of further witnesses by those of the documents that they are of."""
        columns = {
            "key": keys,
            "text_sha256": captured["text_sha256"],
            "text_bytes": captured["text_bytes"],
            **{name: table[name] for name in ("date", "date_end", "attestation", "witness")},
            "eligible": eligible,
            "payload_digest": pc.fill_null(table["payload_digest"], ""),
        }
        count = table.num_rows
        columns |= {name: pa.repeat(self.context[name], count) for name in ("extractor", "rules")}
        columns["names"] = pa.repeat(names, count) if isinstance(names, str) else names
        leaves = pa.table(columns)
        hashes = [identity.leaf_hash(data).hex() for data in leaf_bytes(leaves)]
        leaves = leaves.append_column("leaf", pa.array(hashes, pa.string())).append_column("redacted", pa.nulls(count, pa.string()))
        leaves = leaves.append_column("index", pa.nulls(count, pa.int64()))
        self.leaves.write(leaves.select(schema.LEAVES.names))

    def _drop(self, table: pa.Table, standing: pa.Table, captured: pa.Table) -> None:
        """What the parent has becomes a reject; a further witness becomes a leaf too."""
        further = pc.equal(standing["outcome"], "further_witness")
        of = standing.filter(further)
        self._leaves(table.filter(further), captured.filter(further), of["names"], of["eligible"], of["other"])
        rows = []
        where = [name for name in schema.REJECTS.names if name in table.column_names]
        for row, outcome, other in zip(
            table.select(where).to_pylist(), *(standing[n].to_pylist() for n in ("outcome", "other")), strict=True
        ):
            told = {"stage": "present", "reason": outcome, "detail": PRESENT[outcome].format(other)}
            rows.append(row | told | (dict.fromkeys(("id", "url", "file_path")) if self.context["index_only"] else {}))
            self.reasons[f"present/{outcome}"] = self.reasons.get(f"present/{outcome}", 0) + 1
        self.rejects.write(pa.RecordBatch.from_pylist(rows, schema=schema.REJECTS))
        for source, copy in zip(captured["source"].to_pylist(), captured["copy"].to_pylist(), strict=True):
            self.dropped[f"{source}:{copy}"] = self.dropped.get(f"{source}:{copy}", 0) + 1

    def _count(self, kept: pa.Table) -> None:
        counted = ("key", "id", "attestation", "language", "word_count", "eligible", "ineligible_reason", "byte_count")
        middles = moments.middles(kept["date"], kept["date_end"]).to_pylist()
        for row, middle in zip(kept.select(counted).to_pylist(), middles, strict=True):
            if row["eligible"]:
                level = self.eligible.setdefault(row["attestation"], {"documents": 0, "bytes": 0})
                level["documents"] += 1
                level["bytes"] += row["byte_count"]
            else:
                reason = short_reason(row["ineligible_reason"])
                self.ineligible[reason] = self.ineligible.get(reason, 0) + 1
            self.standing.append(
                {name: row[name] for name in ("key", "id", "attestation", "language", "word_count")}
                | {
                    "date": middle,
                    "identical": row["eligible"],
                    "reference_attestation": row["attestation"],
                    "similarity": None,
                    "canonical": None,
                    "snapshot": None,
                }
            )


def short_reason(reason: str) -> str:
    """The countable part of why a document is not eligible."""
    return reason.split(":")[0]


def rules(config: dict[str, Any], parameters: dict[str, Any]) -> str:
    """Digest of all that decides eligibility: the freeze settings and the rules of the evidence."""
    return identity.digest({"freeze": config["freeze"], "rules": parameters["rules"]})
