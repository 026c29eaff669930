"""The fused pass: read -> page -> fingerprint -> score, for one part; no text leaves it but into its own file."""

import contextlib
import hashlib
import json
from dataclasses import fields, replace
from typing import Any

import pyarrow as pa

from pipelines import indexing, moments, toolbox
from provenance import attest, evidence, identity, minhash, pages, parallel, postings, schema, shingles
from provenance.decode import clean
from store import files, reading, tables
from store.errors import Incomplete
from store.records import Record, Split, Unreadable

FLUSH_BYTES = 16 << 20
FLUSH_ROWS = 1024
"""A batch is closed at this much decoded text and markup, or this many documents: bounded memory, full vectors."""

ARCHIVE_FILE, TABLE_ROW, DECLARATION = "archive file", "table row", "declaration"
"""Who says the date where no outside witness does: the archive's capture record, a table's own column, or the owner."""

TELLING = ("id", "url", "file_path", "detail")
"""Columns of rejects that an index-only snapshot leaves empty: they may quote what was not to be handed on."""

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
    """Step: part -> documents, rejects, signatures and evidence of its records, row for row in order, and the documents' postings."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        self.config = config.restore(self.context["config"], "freeze" if "freeze" in self.context else "curate")
        self.options = self.config["minhash"]
        self.tools = pages.tools(self.config["extract"])
        # No detector of model text votes on what is older than the models.
        self.evidence_tools = toolbox.evidence_tools(models="freeze" not in self.context)
        self.signatures = schema.signatures(self.options.permutations, self.options.bits)
        self.admit = Admission(**self.context["freeze"]) if "freeze" in self.context else None
        if self.admit is not None:
            from pipelines.standing import CAPTURED

            self.captured = CAPTURED

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        with _Output(self, part["name"]) as output:
            pieces = [self._piece(piece, output) for piece in part["pieces"]]
        totals = {name: sum(piece[name] for piece in pieces) for name in ("documents", "rejects")}
        counted = {"reasons": output.reasons, "postings": output.postings.counts}
        return {**totals, "bytes": part["weight"], "pieces": pieces, **counted, "files": output.entries}

    def _piece(self, piece: dict[str, Any], output: "_Output") -> dict[str, Any]:
        split = Split(**piece["split"])
        documents = rejects = 0
        self._unchanged(piece)
        for item in reading.read(piece["url"], piece["format"], split, self.config["read"], piece["file_path"]):
            where: dict[str, Any] = {"offset": item.offset, "member_offset": item.member_offset}
            where |= {name: _clean(getattr(item, name)) for name in ("record_type", "id", "url")}
            where |= {
                "key": identity.key(piece["sha256"], piece["copy"], item.offset, item.member_offset),
                "file_path": piece["file_path"],
            }
            made = self._page(item, piece)
            if isinstance(made, pages.Rejection):
                output.reject({**where, "stage": made.stage, "reason": made.reason, "detail": _clean(made.detail)})
                rejects += 1
            else:
                page, captured = made
                output.document(where, page, captured)
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

    def _page(self, item: Record | Unreadable, piece: dict[str, Any]) -> "tuple[pages.Page, dict[str, Any]] | pages.Rejection":
        """The document that an item gives and, in a freeze, what the stages after this one need of it."""
        if isinstance(item, Unreadable):
            return pages.Rejection("read", item.reason, item.detail)
        page = pages.page(item.record_type, item.url, item.date, item.block, item.headers, item.text, item.columns, self.tools)
        if isinstance(page, pages.Rejection):
            return page
        damage = piece["damage"]
        if damage and damage[0] <= item.offset <= damage[1]:
            # It may be text of a broken record, written by whoever wrote the page.
            if self.admit is not None:
                return pages.Rejection("attest", "beside_damage", "follows a damaged record, whose text may hold it")
            return replace(page, attestation="none"), {}
        if self.admit is None:
            return page, {}
        admitted = self.admit(item, page, piece.get("witness"))
        if isinstance(admitted, pages.Rejection):
            return admitted
        # An index may confirm the interval that the leaf states, and not another one that a witness of the file cut.
        may = self.context.get("digests") and item.record_type == "response" and admitted[0].date_end == page.date_end
        return admitted[0], _captured(page, _digests(page) if may else []) | {
            "witness": admitted[1],
            "source": piece["sha256"],
            "copy": piece["copy"],
        }


def _clean(text: str | None) -> str | None:
    """Text that Arrow can hold: what a source says of itself may have lone surrogates."""
    return text if text is None or text.isascii() else clean(text)


class Admission:
    """What `freeze` lets in, and on whose word: captures that end before the cutoff, files that a witness knew before it, and
    rows without a time if somebody declares them."""

    def __init__(self, cutoff: str, declaration: str | None):
        self.cutoff, self.declared = moments.instant(cutoff), declaration is not None

    def __call__(
        self, item: Record, page: "pages.Page", witness: dict[str, str] | None = None
    ) -> "tuple[pages.Page, str] | pages.Rejection":
        if page.digest_check == "disagrees":
            return pages.Rejection("attest", "digest_disagrees", "the payload is not what the record's own digest says")
        if witness is not None:
            known = moments.instant(witness["instant"])
            held = attest.held_by_file(witness["level"], known, page.date, page.date_end)
            return replace(page, attestation=witness["level"], date=held[0], date_end=held[1]), witness["name"]
        if page.date_end is not None and page.date_end >= self.cutoff:
            return pages.Rejection("attest", "after_cutoff", f"captured until {page.date_end.isoformat()}")
        if page.date_end is None and item.date is not None:
            return pages.Rejection("attest", "no_usable_date", f"capture time {item.date!r} is unparsable or cannot be")
        if page.date_end is None and not self.declared:
            return pages.Rejection("attest", "no_capture_time", "shows no capture time; --declare says who vouches for such rows")
        if page.date_end is None:
            return replace(page, attestation="declared"), DECLARATION
        return page, ARCHIVE_FILE if page.attestation == "captured" else TABLE_ROW


def _captured(page: "pages.Page", digests: list[str]) -> dict[str, Any]:
    """What binds a page: its text, and the time and digests by which an index may know its capture.

    `page` is as the record gives it, since a witness of its file may have cut its interval to an instant.
    """
    text = page.text.encode()
    precise = page.date is not None and page.date == page.date_end
    return {
        "text_sha256": hashlib.sha256(text).hexdigest(),
        "text_bytes": len(text),
        "second": int(page.date.timestamp()) if precise and page.date else None,
        "digest": digests,
    }


def _digests(page: "pages.Page") -> list[str]:
    """The payload's digests as indexes write them, none where the record has no digest of its own that agrees."""
    if page.digest_check != "agrees":
        return []
    return [label for body in page.bodies for label in attest.labels(body)]


class _Output:
    """The files of a part: those with a row for each record are written in batches, postings when all are there."""

    def __init__(self, step: ExtractPart, name: str):
        self.step, self.name = step, name
        schemas = {
            "documents": schema.DOCUMENTS,
            "rejects": schema.REJECTS,
            "signatures": step.signatures,
            "evidence": schema.EVIDENCE,
        }
        if step.admit is not None:
            schemas["captures"] = step.captured
        else:
            schemas["pages"] = parallel.PAGES
        parameters = {"minhash": json.dumps(minhash.parameters(step.options), sort_keys=True)}
        base = step.context["folder"]
        self.writers = {
            dataset: tables.Writer(
                base, f"{dataset}/{step.context['prefix']}-{name}.parquet", kind, parameters if dataset == "signatures" else None
            )
            for dataset, kind in schemas.items()
        }
        # Documents of one address are copies only where the settings say so, and in a freeze none do.
        match = step.config.get("match")
        self.postings = postings.Postings(step.options, addresses=match is not None and match.url == "drop")
        self.rows: list[dict[str, Any]] = []
        self.captures: list[dict[str, Any]] = []
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
        self.entries.append(
            indexing.write_postings(self.step.context["folder"], f"{self.step.context['prefix']}-{self.name}", self.postings)
        )

    def reject(self, row: dict[str, Any]) -> None:
        reason = f"{row['stage']}/{row['reason']}"
        self.reasons[reason] = self.reasons.get(reason, 0) + 1
        self.rejected.append(row | dict.fromkeys(TELLING) if self.step.context.get("index_only") else row)
        if len(self.rejected) >= FLUSH_ROWS:
            self.flush()

    def document(self, where: dict[str, Any], page: "pages.Page", captured: dict[str, Any]) -> None:
        if captured:
            self.captures.append(where | {name: getattr(page, name) for name in PAGE_FIELDS} | captured)
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
            self._sketch(documents)
            page = pa.record_batch(
                [
                    documents[name] if name in schema.DOCUMENTS.names else pa.array(columns[name], pa.string())
                    for name in PAGE_COLUMNS
                ],
                PAGE_COLUMNS,
            )
            self.writers["evidence"].write(evidence.score(page, "page", self.step.evidence_tools))
            if "pages" in self.writers:
                self.writers["pages"].write(parallel.pages(page))
        if self.captures:
            self.writers["captures"].write(pa.RecordBatch.from_pylist(self.captures, schema=self.step.captured))
        self.rows, self.captures, self.rejected, self.size = [], [], [], 0

    def _sketch(self, documents: pa.RecordBatch) -> None:
        """Signatures and postings, of shingles that are made once for both."""
        hashes, offsets = shingles.shingle_sets(documents["text"], self.step.options)
        sketch = minhash.sketches(hashes, offsets, self.step.options)
        self.writers["signatures"].write(
            pa.record_batch([documents["key"], sketch["signature"], sketch["shingles"]], schema=self.step.signatures)
        )
        urls = documents["url"].to_pylist() if self.postings.addresses else ()
        sizes = sketch["shingles"].to_numpy()
        self.postings.add(minhash.matrix(sketch["signature"]), sizes, documents["content_id"], hashes, urls)
