"""What the rows of a snapshot say, recomputed: leaves' hashes from their fields, texts' digests, and whether both agree.

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
from provenance.schema import LEAVES, SNAPSHOT_DOCUMENTS
from store.damage import NO_ROW, Decoder, Fault, Held, page_fault

HIDDEN_COLUMNS = ("id", "url", "file_path", "dump", "metadata", "text")
"""Columns of documents that are null in an index-only snapshot."""

STATED = ("key", "text_sha256", "text_bytes", "date", "date_end", "attestation", "witness", "eligible", "payload_digest")
"""What a document's row and its first leaf both say."""

REDACTED = "redacted:"
"""Begins the `ineligible_reason` of a document whose text was removed."""

BATCH = 2048
BLOCK = 16
"""Subtrees are hashed in blocks of at most 2**BLOCK leaves."""

_encode = msgspec.json.Encoder().encode


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


def subtrees(start: int, hashes: bytes) -> list[tuple[int, bytes]]:
    """(height, root) of the largest perfect subtrees that leaves [start, start + n) of a tree are made of, left to right."""
    at, end, found = start, start + len(hashes) // 32, []
    while at < end:
        height = min((at & -at).bit_length() - 1 if at else BLOCK, (end - at).bit_length() - 1, BLOCK)
        first = (at - start) * 32
        found.append((height, identity.Tree(hashes[first : first + (32 << height)]).root))
        at += 1 << height
    return found


class Joined:
    """A tree that grows by perfect subtrees, each beginning at a multiple of its size: holds log2(size) hashes."""

    def __init__(self) -> None:
        self.size = 0
        self._stack: list[tuple[int, bytes]] = []

    def push(self, height: int, node: bytes) -> None:
        self.size += 1 << height
        while self._stack and self._stack[-1][0] == height:
            height, node = height + 1, identity.node_hash(self._stack.pop()[1], node)
        self._stack.append((height, node))

    @property
    def root(self) -> bytes:
        if not self._stack:
            return identity.merkle_root([])
        node = self._stack[-1][1]
        for _, left in reversed(self._stack[:-1]):
            node = identity.node_hash(left, node)
        return node


@dataclass
class LeafRows:
    """What one file of leaves says."""

    first: Tally
    rows: int = 0
    further: int = 0
    redacted: int = 0
    edges: tuple[tuple[str, str], tuple[str, str]] | None = None
    nodes: list[tuple[int, bytes]] = field(default_factory=list)
    fault: Fault | None = None


def read_leaves(batches: Iterable[pa.RecordBatch], start: int, secret: bytes, index_only: bool) -> LeafRows:
    """Goes through the leaves of one file, whose first has the index `start`; ends at the first wrong row."""
    found, hashes = LeafRows(Tally(secret)), bytearray()
    first = last = None
    for batch in batches:
        columns = {name: spelled(batch.column(name)) for name in LEAVES.names}
        wrong = _wrong_leaf(columns, start + found.rows, last)
        if wrong is not None:
            found.fault = Fault(found.rows + wrong[0], wrong[1])
            break
        hashes += bytes.fromhex("".join(columns["leaf"]))
        ends = [(columns["key"][at], columns["names"][at] or "") for at in (0, -1)]
        first, last = first or ends[0], ends[1]
        own = [names == "" for names in columns["names"]]
        found.first.add(_statements({name: columns[name] for name in STATED}, own, index_only))
        gone = sum(why is not None for why in columns["redacted"])
        found.rows, found.redacted = found.rows + batch.num_rows, found.redacted + gone
        found.further += batch.num_rows - gone - sum(own)
    found.edges = (first, last) if first and last else None
    if found.fault is None:
        found.nodes = subtrees(start, bytes(hashes))
    return found


def _wrong_leaf(columns: dict[str, list[Any]], index: int, last: tuple[str, str] | None) -> tuple[int, str] | None:
    """The first wrong row of a batch of leaves, and why."""
    fields = zip(*(columns[name] for name in identity.Leaf._fields), strict=True)
    encode, digest, version = _encode, hashlib.sha256, identity.LEAF_VERSION
    before = last or ("", "")
    rest = zip(columns["index"], columns["leaf"], columns["redacted"], strict=True)
    for row, (values, (place, leaf, redacted)) in enumerate(zip(fields, rest, strict=True)):
        if place != index + row:
            return row, f"its index is {place}, where {index + row} follows"
        if redacted is None:
            if digest(b"\x00" + encode((version, *values)) + b"\n").hexdigest() != leaf:
                return row, f"leaf {place} is not the hash of its fields"
        elif len(leaf or "") != 64 or not values[0] or any(value not in (None, "") for value in values[1:]):
            return row, f"leaf {place} is redacted and has more than its key and hash, or not these"
        key, names = values[0], values[11] if redacted is None else "redacted"
        if not follows(before, (key, names)):
            return row, f"the key {key} of leaf {place} is out of order or stands there twice"
        before = key, names
    return None


def follows(before: tuple[str, str], after: tuple[str, str]) -> bool:
    """Whether a leaf of (key, names) may come after another within an extension: keys rise, and only further witnesses share one."""
    return before[0] < after[0] or (before[0] == after[0] and bool(before[1] and after[1]))


def _statements(columns: dict[str, list[Any]], own: Sequence[bool], index_only: bool) -> Iterator[bytes]:
    """The bytes of what some rows state; the text's digest cannot be recomputed where there are no texts."""
    chosen = [values for name, values in columns.items() if not (index_only and name == "text_sha256")]
    for mine, values in zip(own, zip(*chosen, strict=True), strict=True):
        if mine:
            yield _encode(values)


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
    fault: Fault | None = None


NEEDED = ["key", "text", "byte_count", *STATED[3:], "ineligible_reason"]


def needed(index_only: bool) -> list[str]:
    """The columns of documents that are read."""
    return [*NEEDED, *(name for name in HIDDEN_COLUMNS if name not in NEEDED)] if index_only else NEEDED


def statement(batch: pa.RecordBatch, index_only: bool) -> dict[str, pa.Array]:
    """What documents state, by the names of `STATED`, with the texts' digests recomputed; a redacted row states nothing."""
    digests = pa.nulls(batch.num_rows, pa.string()) if index_only else pa.array(text_digests(batch.column("text")), pa.string())
    made = {"key": batch.column("key"), "text_sha256": digests, "text_bytes": batch.column("byte_count")}
    made |= {name: batch.column(name) for name in STATED[3:]}
    return made | {"payload_digest": pc.fill_null(batch.column("payload_digest"), "")}


def read_documents(batches: Iterable[pa.RecordBatch], secret: bytes, index_only: bool) -> DocumentRows:
    """Goes through the documents of one file; ends at the first row that is wrong by itself."""
    found, keys = DocumentRows(Tally(secret)), hashlib.sha256()
    for batch in batches:
        stated = {name: spelled(values) for name, values in statement(batch, index_only).items()}
        reasons = batch.column("ineligible_reason").to_pylist()
        gone = [reason is not None and reason.startswith(REDACTED) for reason in reasons]
        wrong = _wrong_document(batch, stated, reasons, gone, index_only)
        if wrong is not None:
            found.fault = Fault(found.rows + wrong[0], wrong[1])
            break
        found.stated.add(_statements(stated, [not redacted for redacted in gone], index_only))
        for level, size, eligible, reason in zip(
            *(stated[name] for name in ("attestation", "text_bytes", "eligible")), reasons, strict=True
        ):
            if eligible:
                found.eligible[level] = found.eligible.get(level, 0) + 1
                found.eligible_bytes[level] = found.eligible_bytes.get(level, 0) + size
            else:
                short = reason.split(":")[0]
                found.ineligible[short] = found.ineligible.get(short, 0) + 1
        keys.update("".join(stated["key"]).encode())
        found.rows, found.redacted = found.rows + batch.num_rows, found.redacted + sum(gone)
    found.keys = keys.hexdigest()
    return found


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


def keys_digest(batches: Iterable[pa.RecordBatch]) -> tuple[int, str]:
    """Number and digest of a file's keys in order, to compare row-aligned files. Raises `ValueError` for what is no key."""
    keys, rows = hashlib.sha256(), 0
    for batch in batches:
        values = batch.column("key").to_pylist()
        if any(len(value or "") != 32 for value in values):
            raise ValueError("a row has no key")
        keys.update("".join(values).encode())
        rows += len(values)
    return rows, keys.hexdigest()


def leaf_fault(held: Held, start: int, index_only: bool) -> Fault:
    """The first wrong row of a damaged file of leaves."""
    decoder = Decoder(held)
    try:
        found = read_leaves(decoder, start, b"", index_only)
    except (KeyError, ValueError, TypeError) as error:
        return Fault(None, f"its rows are not those of leaves: {error}")
    return found.fault or decoder.fault or page_fault(held) or NO_ROW


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
