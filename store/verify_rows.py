"""What the documents of a snapshot say, recomputed, and how it is compared with what their leaves say.

Documents and leaves lie in different orders. That both say the same is shown without a join: every row's statement is
hashed with a secret of this process and the digests are added up modulo 2**256, so that equal sums mean equal multisets;
who does not know the secret can prepare no collision (an additive multiset hash: Bellare and Micciancio, 1997; Clarke et
al., 2003). Only where the sums differ are rows joined, to name them.
"""

import hashlib
import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import identity
from provenance.schema import SNAPSHOT_DOCUMENTS
from store.damage import Decoder, Fault, Held, page_fault
from store.verify_index import Index

HIDDEN_COLUMNS = ("id", "url", "file_path", "dump", "metadata", "text")
"""Columns of documents that are null in an index-only snapshot."""

STATED = ("key", "text_sha256", "text_bytes", "date", "date_end", "attestation", "witness", "eligible", "payload_digest")
"""What a document's row and its first leaf both say."""

REDACTED = "redacted:"
"""Begins the `ineligible_reason` of a document whose text was removed."""

BATCH = 2048

CONTENT_STEP = 16
"""Of so many rows one content id is recomputed, with what it takes to be found in a file whose ids are all false: the identity
form of all texts costs twice what all else of verifying does. Whoever writes a false one can only lose the crawl's copy of a text."""
CONTENT_ROWS = 16

encode = msgspec.json.Encoder().encode


def spelled(column: Any) -> list[Any]:
    """A column as leaves spell it: times as ISO 8601 text, empty for null."""
    if pa.types.is_timestamp(column.type):
        column = pc.fill_null(pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ"), "")
    values: list[Any] = column.to_pylist()
    return values


class Tally:
    """A sum over rows that only equal multisets share; see the module."""

    def __init__(self, secret: bytes):
        self.secret, self.total, self.rows = secret, 0, 0

    def add(self, rows: Iterable[bytes]) -> None:
        """Counts some rows' bytes."""
        sha256, total, secret = hashlib.sha256, 0, self.secret
        count = 0
        for row in rows:
            total += int.from_bytes(sha256(secret + row).digest(), "big")
            count += 1
        self.total, self.rows = (self.total + total) % (1 << 256), self.rows + count

    def merge(self, other: "Tally") -> None:
        self.total, self.rows = (self.total + other.total) % (1 << 256), self.rows + other.rows

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Tally) and (self.total, self.rows) == (other.total, other.rows)

    __hash__ = None  # type: ignore[assignment]


def text_digests(texts: pa.Array) -> list[str | None]:
    """SHA-256, in hex, of each text's UTF-8 bytes; null for null. The texts are not copied."""
    _, offsets, data = texts.buffers()
    at = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4).tolist()
    view, sha256 = memoryview(data or b""), hashlib.sha256
    found: list[str | None] = [sha256(view[low:high]).hexdigest() for low, high in itertools.pairwise(at)]
    if texts.null_count:
        found = [digest if valid else None for digest, valid in zip(found, texts.is_valid().to_pylist(), strict=True)]
    return found


def statements(columns: dict[str, list[Any]], own: Sequence[bool], index_only: bool) -> Iterator[bytes]:
    """The bytes of what some rows state; the text's digest cannot be recomputed where there are no texts."""
    chosen = [values for name, values in columns.items() if not (index_only and name == "text_sha256")]
    for mine, values in zip(own, zip(*chosen, strict=True), strict=True):
        if mine:
            yield encode(values)


@dataclass
class DocumentRows:
    """What one file of documents says."""

    stated: Tally
    rows: int = 0
    redacted: int = 0
    eligible: dict[str, int] = field(default_factory=dict)
    eligible_bytes: dict[str, int] = field(default_factory=dict)
    ineligible: dict[str, int] = field(default_factory=dict)
    keys: str = ""
    levels: str = ""
    """Digest of the levels, row by row, as `keys` is of the keys."""
    able: bytes = b""
    """Which rows are eligible, a bit each."""
    fault: Fault | None = None


NEEDED = ["key", "text", "byte_count", *STATED[3:], "ineligible_reason"]


def needed(index_only: bool) -> list[str]:
    """The columns of documents that are read."""
    return [*NEEDED, "content_id", *(name for name in HIDDEN_COLUMNS if index_only and name not in NEEDED)]


def statement(batch: pa.RecordBatch, index_only: bool) -> dict[str, pa.Array]:
    """What documents state, by the names of `STATED`, with the texts' digests recomputed; a redacted row states nothing."""
    digests = pa.nulls(batch.num_rows, pa.string()) if index_only else pa.array(text_digests(batch.column("text")), pa.string())
    made = {"key": batch.column("key"), "text_sha256": digests, "text_bytes": batch.column("byte_count")}
    made |= {name: batch.column(name) for name in STATED[3:]}
    return made | {"payload_digest": pc.fill_null(batch.column("payload_digest"), "")}


def read_documents(batches: Iterable[pa.RecordBatch], secret: bytes, index_only: bool, index: Index, part: int) -> DocumentRows:
    """Goes through the documents of one file, that of the number `part`; ends at the first row that is wrong by itself."""
    found, keys, levels = DocumentRows(Tally(secret)), hashlib.sha256(), hashlib.sha256()
    able: list[bool] = []
    for batch in batches:
        stated = {name: spelled(values) for name, values in statement(batch, index_only).items()}
        reasons = batch.column("ineligible_reason").to_pylist()
        gone = [reason is not None and reason.startswith(REDACTED) for reason in reasons]
        wrong = _wrong_document(batch, stated, reasons, gone, index_only)
        wrong = wrong if index_only or wrong else _wrong_content(batch, gone, secret)
        wrong = wrong or index.documents(part, found.rows, batch, gone)
        if wrong is not None:
            found.fault = Fault(found.rows + wrong[0], wrong[1])
            break
        found.stated.add(statements(stated, [not redacted for redacted in gone], index_only))
        _count(found, stated, reasons)
        keys.update("".join(stated["key"]).encode())
        levels.update("\n".join([*map(str, stated["attestation"]), ""]).encode())
        able += stated["eligible"]
        found.rows, found.redacted = found.rows + batch.num_rows, found.redacted + sum(gone)
    found.keys, found.levels = keys.hexdigest(), levels.hexdigest()
    found.able = np.packbits(np.array(able, np.bool_)).tobytes()
    return found


def _count(found: DocumentRows, stated: dict[str, list[Any]], reasons: list[Any]) -> None:
    for level, size, eligible, reason in zip(
        *(stated[name] for name in ("attestation", "text_bytes", "eligible")), reasons, strict=True
    ):
        if eligible:
            found.eligible[level] = found.eligible.get(level, 0) + 1
            found.eligible_bytes[level] = found.eligible_bytes.get(level, 0) + size
        else:
            short = reason.split(":")[0]
            found.ineligible[short] = found.ineligible.get(short, 0) + 1


def _wrong_content(batch: pa.RecordBatch, gone: list[bool], secret: bytes) -> tuple[int, str] | None:
    """The first looked-at row whose content id is not its text's: one row in `CONTENT_STEP`, that nobody can know before."""
    step = max(1, min(CONTENT_STEP, batch.num_rows // CONTENT_ROWS))
    rows = range(secret[0] % step, batch.num_rows, step)
    texts, stated = batch.column("text"), batch.column("content_id")
    for row in rows:
        if not gone[row] and identity.content_id(texts[row].as_py()) != stated[row].as_py():
            return row, "its content_id is not its text's"
    return None


def _wrong_document(
    batch: pa.RecordBatch, stated: dict[str, list[Any]], reasons: list[str | None], gone: list[bool], index_only: bool
) -> tuple[int, str] | None:
    """The first row of a batch that is wrong by itself, and why."""
    if index_only:
        for name in HIDDEN_COLUMNS:
            column = batch.column(name)
            if column.null_count < len(column):
                return column.is_valid().index(True).as_py(), f"it has a {name}, and the snapshot is index-only"
    else:
        lengths = pc.binary_length(batch.column("text")).to_pylist()
        for row, (length, said, redacted) in enumerate(zip(lengths, stated["text_bytes"], gone, strict=True)):
            if length != (None if redacted else said):
                return row, f"its text has {length} bytes, and byte_count says {said}{', of a redacted row' if redacted else ''}"
    for row, (key, eligible, reason) in enumerate(zip(stated["key"], stated["eligible"], reasons, strict=True)):
        if len(key or "") != 32 or eligible is not (reason is None):
            return row, "it has no key, or is not eligible exactly where it gives no reason why not"
    return None


class Statements:
    """What a file of documents states, up to its first row that cannot be decoded, which is `fault` after the iteration."""

    def __init__(self, held: Held, index_only: bool):
        self._decoder, self._index_only = Decoder(held, NEEDED), index_only

    @property
    def fault(self) -> Fault | None:
        return self._decoder.fault

    def read(self, wanted: pa.Array | None = None) -> Iterator[tuple[int, dict[str, pa.Array]]]:
        """(number of the first row, columns of `STATED` and `row`) batch by batch, of all rows or those wanted but redacted ones."""
        start = 0
        for batch in self._decoder:
            rows = pa.array(np.arange(start, start + batch.num_rows))
            start += batch.num_rows
            kept = pc.invert(pc.fill_null(pc.starts_with(batch.column("ineligible_reason"), REDACTED), False))
            if wanted is not None:
                kept = pc.and_(kept, pc.is_in(rows, value_set=wanted))
            chosen = batch.filter(kept)
            if chosen.num_rows:
                yield start - batch.num_rows, {**statement(chosen, self._index_only), "row": rows.filter(kept)}


UNBOUND = frozenset(name for name in SNAPSHOT_DOCUMENTS.names if name not in NEEDED)


def own_fault(held: Held) -> Fault | None:
    """The first wrong row of a damaged file of documents by what no leaf binds."""
    return page_fault(held, frozenset(SNAPSHOT_DOCUMENTS.names) - UNBOUND)
