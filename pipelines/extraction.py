"""The fused pass: read -> page -> fingerprint -> score, for one part; no text leaves it but into its own file."""

import contextlib
import json
from dataclasses import fields, replace
from typing import Any

import pyarrow as pa

from pipelines import moments, toolbox
from provenance import evidence, identity, minhash, pages, schema
from provenance.decode import clean
from store import files, reading, tables
from store.errors import Incomplete
from store.records import Record, Split, Unreadable

FLUSH_BYTES = 16 << 20
FLUSH_ROWS = 1024
"""A batch is closed at this much decoded text and markup, or this many documents: bounded memory, full vectors."""

PAGE_COLUMNS = (
    "key",
    "url",
    "text",
    "language",
    "word_count",
    "date",
    "date_end",
    "attestation",
    "html",
    "http_headers",
    "metadata",
)
PAGE_FIELDS = tuple(field.name for field in fields(pages.Page) if field.name in schema.DOCUMENTS.names)


class ExtractPart:
    """Step: part -> documents, rejects, signatures and evidence of its records, row for row in order."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        self.config = config.restore(self.context["config"], "freeze" if "freeze" in self.context else "curate")
        self.options = self.config["minhash"]
        self.tools = pages.tools(self.config["extract"])
        self.evidence_tools = toolbox.evidence_tools()
        self.signatures = schema.signatures(self.options.permutations)
        self.admit = Admission(**self.context["freeze"]) if "freeze" in self.context else None

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        with _Output(self, part["name"]) as output:
            pieces = [self._piece(piece, output) for piece in part["pieces"]]
        totals = {name: sum(piece[name] for piece in pieces) for name in ("documents", "rejects")}
        return {**totals, "bytes": part["weight"], "pieces": pieces, "reasons": output.reasons, "files": output.entries}

    def _piece(self, piece: dict[str, Any], output: "_Output") -> dict[str, Any]:
        split = Split(**piece["split"])
        documents = rejects = 0
        self._unchanged(piece)
        for item in reading.read(piece["url"], piece["format"], split, self.config["read"]):
            where: dict[str, Any] = {"offset": item.offset, "member_offset": item.member_offset}
            where |= {name: _clean(getattr(item, name)) for name in ("record_type", "id", "url")}
            where |= {
                "key": identity.key(piece["sha256"], piece["copy"], item.offset, item.member_offset),
                "file_path": piece["file_path"],
            }
            made = self._page(item, piece["damage"])
            if isinstance(made, pages.Rejection):
                output.reject({**where, "stage": made.stage, "reason": made.reason, "detail": _clean(made.detail)})
                rejects += 1
            else:
                output.document(where, made)
                documents += 1
        self._unchanged(piece)
        if documents + rejects != split.records:
            raise RuntimeError(
                f"{piece['file_path']}: the survey framed {split.records} records from {split.start}, and {documents + rejects} were read; "
                "the file changed in between or a reader loses records. Run again; if it stays, report it."
            )
        return {"sha256": piece["sha256"], "copy": piece["copy"], "documents": documents, "rejects": rejects}

    @staticmethod
    def _unchanged(piece: dict[str, Any]) -> None:
        """Refuses a file that is no longer the one whose digest the keys carry."""
        if (version := files.version(piece["url"])[0]) != piece["version"]:
            raise Incomplete(
                f"{piece['file_path']} changed while it was read ({piece['version']} when it was surveyed, now {version}); its digest and "
                "keys would name other bytes. Let nobody write to it, and run again."
            )

    def _page(self, item: Record | Unreadable, damage: tuple[int, int] | None) -> "pages.Page | pages.Rejection":
        if isinstance(item, Unreadable):
            return pages.Rejection("read", item.reason, item.detail)
        page = pages.page(item.record_type, item.url, item.date, item.block, item.headers, item.text, item.columns, self.tools)
        if isinstance(page, pages.Rejection):
            return page
        if damage and damage[0] <= item.offset <= damage[1]:
            # It may be text of a broken record, written by whoever wrote the page.
            if self.admit is not None:
                return pages.Rejection("attest", "beside_damage", "follows a damaged record, whose text may hold it")
            return replace(page, attestation="none")
        return page if self.admit is None else self.admit(item, page)


def _clean(text: str | None) -> str | None:
    """Text that Arrow can hold: what a source says of itself may have lone surrogates."""
    return text if text is None or text.isascii() else clean(text)


class Admission:
    """What `freeze` lets in: captures that end before the cutoff, and rows without a time if somebody declares them."""

    def __init__(self, cutoff: str, declaration: str | None):
        self.cutoff, self.declared = moments.instant(cutoff), declaration is not None

    def __call__(self, item: Record, page: "pages.Page") -> "pages.Page | pages.Rejection":
        if page.digest_check == "disagrees":
            return pages.Rejection("attest", "digest_disagrees", "the payload is not what the record's own digest says")
        if page.date_end is not None and page.date_end >= self.cutoff:
            return pages.Rejection("attest", "after_cutoff", f"captured until {page.date_end.isoformat()}")
        if page.date_end is None and item.date is not None:
            return pages.Rejection("attest", "no_usable_date", f"capture time {item.date!r} is unparsable or cannot be")
        if page.date_end is None and not self.declared:
            return pages.Rejection("attest", "no_capture_time", "shows no capture time; --declare says who vouches for such rows")
        if page.date_end is None:
            return replace(page, attestation="declared")
        return page


class _Output:
    """The four files of a part, written in batches."""

    def __init__(self, step: ExtractPart, name: str):
        self.step, self.name = step, name
        schemas = {
            "documents": schema.DOCUMENTS,
            "rejects": schema.REJECTS,
            "signatures": step.signatures,
            "evidence": schema.EVIDENCE,
        }
        parameters = {"minhash": json.dumps(minhash.parameters(step.options), sort_keys=True)}
        base = step.context["folder"]
        self.writers = {
            dataset: tables.Writer(
                base, f"{dataset}/{step.context['prefix']}-{name}.parquet", kind, parameters if dataset == "signatures" else None
            )
            for dataset, kind in schemas.items()
        }
        self.rows: list[dict[str, Any]] = []
        self.rejected: list[dict[str, Any]] = []
        self.size = 0
        self.reasons: dict[str, int] = {}

    def __enter__(self) -> "_Output":
        with contextlib.ExitStack() as stack:
            for writer in self.writers.values():
                stack.enter_context(writer)
            self._open = stack.pop_all()
        return self

    def __exit__(self, *error: Any) -> None:
        if error[0] is not None:
            self._open.__exit__(*error)
            return
        with self._open:
            self.flush()
        self.entries = [writer.entry for writer in self.writers.values()]

    def reject(self, row: dict[str, Any]) -> None:
        reason = f"{row['stage']}/{row['reason']}"
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self.rejected.append(row)
        if len(self.rejected) >= FLUSH_ROWS:
            self.flush()

    def document(self, where: dict[str, Any], page: "pages.Page") -> None:
        headers = json.dumps(page.http_headers) if page.http_headers else ""
        self.rows.append(where | {name: getattr(page, name) for name in PAGE_FIELDS} | {"html": page.html, "http_headers": headers})
        self.size += page.byte_count + len(page.html)
        if self.size >= FLUSH_BYTES or len(self.rows) >= FLUSH_ROWS:
            self.flush()

    def flush(self) -> None:
        """Writes what was gathered: the batch kernels run here."""
        if self.rejected:
            self.writers["rejects"].write(pa.RecordBatch.from_pylist(self.rejected, schema=schema.REJECTS))
        if self.rows:
            columns = {name: [row[name] for row in self.rows] for name in self.rows[0]}
            documents = pa.record_batch(
                [pa.array(columns[field.name], field.type) for field in schema.DOCUMENTS], schema=schema.DOCUMENTS
            )
            self.writers["documents"].write(documents)
            sketch = minhash.minhash(documents["text"], self.step.options)
            self.writers["signatures"].write(
                pa.record_batch([documents["key"], sketch["signature"], sketch["shingles"]], schema=self.step.signatures)
            )
            page = pa.record_batch(
                [
                    documents[name] if name in schema.DOCUMENTS.names else pa.array(columns[name], pa.string())
                    for name in PAGE_COLUMNS
                ],
                PAGE_COLUMNS,
            )
            self.writers["evidence"].write(evidence.score(page, "page", self.step.evidence_tools))
        self.rows, self.rejected, self.size = [], [], 0
