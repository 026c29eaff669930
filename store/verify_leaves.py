"""A snapshot's leaves, recomputed: hashes from fields, subtrees from hashes, and what each leaf may say at all."""

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa

from provenance import identity
from provenance.schema import LEAVES
from store.damage import NO_ROW, Decoder, Fault, Held, page_fault
from store.verify_manifest import OWNER, Terms
from store.verify_rows import STATED, Tally, encode, spelled, statements

BLOCK = 16
"""Subtrees are hashed in blocks of at most 2**BLOCK leaves."""

FILE_LEVELS = ("released", "timestamped")
"""Levels of a whole source file, whose records may show no time of their own: then the interval has an end alone."""

UNDATED = "declaration"
"""The one witness that may speak of a text without any time."""

DATES = tuple(identity.Leaf._fields.index(name) for name in ("date", "date_end"))
_KEY, _HASH = "[0-9a-f]{32}", "[0-9a-f]{64}"
_ERASED = re.compile(f"{_KEY} {_HASH}", re.ASCII)

Standing = tuple[str, str, str]
"""What orders leaves within an extension: key, what the leaf names, and its witness."""

FIRST: Standing = ("", "", "")


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
    edges: tuple[Standing, Standing] | None = None
    nodes: list[tuple[int, bytes]] = field(default_factory=list)
    fault: Fault | None = None


def read_leaves(batches: Iterable[pa.RecordBatch], start: int, secret: bytes, index_only: bool, terms: Terms) -> LeafRows:
    """Goes through the leaves of one file, whose first has the index `start`; ends at the first wrong row."""
    found, hashes = LeafRows(Tally(secret)), bytearray()
    first: Standing | None = None
    last: Standing | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        columns = {name: spelled(batch.column(name)) for name in LEAVES.names}
        wrong = _wrong_leaf(columns, start + found.rows, last, terms)
        if wrong is not None:
            found.fault = Fault(found.rows + wrong[0], wrong[1])
            break
        hashes += bytes.fromhex("".join(columns["leaf"]))
        ends = [_standing(*(columns[name][at] for name in ("key", "names", "witness", "redacted"))) for at in (0, -1)]
        first, last = first or ends[0], ends[1]
        own = [names == "" for names in columns["names"]]
        found.first.add(statements({name: columns[name] for name in STATED}, own, index_only))
        gone = sum(why is not None for why in columns["redacted"])
        found.rows, found.redacted = found.rows + batch.num_rows, found.redacted + gone
        found.further += batch.num_rows - gone - sum(own)
    found.edges = (first, last) if first and last else None
    if found.fault is None:
        found.nodes = subtrees(start, bytes(hashes))
    return found


def _wrong_leaf(columns: dict[str, list[Any]], index: int, last: Standing | None, terms: Terms) -> tuple[int, str] | None:
    """The first wrong row of a batch of leaves, and why."""
    fields = zip(*(columns[name] for name in identity.Leaf._fields), strict=True)
    digest, version = hashlib.sha256, identity.LEAF_VERSION
    before = last or FIRST
    rest = zip(columns["index"], columns["leaf"], columns["redacted"], strict=True)
    for row, (values, (place, leaf, redacted)) in enumerate(zip(fields, rest, strict=True)):
        if place != index + row:
            return row, f"its index is {place}, where {index + row} follows"
        if redacted is None:
            if digest(b"\x00" + encode((version, *values)) + b"\n").hexdigest() != leaf:
                return row, f"leaf {place} is not the hash of its fields"
            why = misfit(values, terms)
            if why is not None:
                return row, f"leaf {place} {why}"
        elif not _erased(values, leaf, redacted):
            return row, f"leaf {place} is redacted and has more than its key and hash, or not these"
        after = _standing(values[0], values[11], values[6], redacted)
        if not follows(before, after):
            return row, f"the key {after[0]} of leaf {place} is out of order or stands there twice"
        before = after
    return None


_SHAPE = re.compile(" ".join([_KEY, _HASH, f"(?:{_HASH})?", _HASH, _HASH, f"(?:{_HASH})?"]), re.ASCII)
"""Key, digests of text, payload (may be empty), extractor and rules, and what the leaf names (may be empty)."""

_TIME = len("2022-01-01T00:00:00.000000Z")


def misfit(values: tuple[Any, ...], terms: Terms) -> str | None:
    """What in the fields of a leaf, in their order and with times as text, is of another kind than a leaf's, or is nothing that
    this witness can attest; None for a leaf that may be."""
    key, text_sha256, size, date, date_end, level, witness, eligible, payload, extractor, rules, names = values
    if (
        not _SHAPE.fullmatch(f"{key} {text_sha256} {payload} {extractor} {rules} {names}")
        or eligible is None
        or size is None
        or size < 0
    ):
        return "has a field that is null, or none of its kind"
    last = terms.allowed.get((level, witness))
    if last is None or (names and witness in OWNER):
        return f"says {level} by {witness}, which is no witness that this snapshot names for it"
    if date_end == "":
        return None if date == "" and witness == UNDATED else f"has no end of its capture interval, and says {level} by {witness}"
    if len(date_end) != _TIME or date_end >= terms.cutoff or date_end > last:
        return f"ends at {date_end}, and {witness} speaks of times until {last}, before the cutoff {terms.cutoff}"
    if (date == "" and level not in FILE_LEVELS) or len(date) not in (0, _TIME) or date > date_end:
        return f"has a capture interval that begins at {date or 'no time'} and ends at {date_end}"
    return None


def _erased(values: tuple[Any, ...], leaf: Any, why: str) -> bool:
    """Whether a redacted leaf keeps its key and hash alone, and says why."""
    bare = all(value is None or (value == "" and at in DATES) for at, value in enumerate(values) if at)
    return bare and why != "" and bool(_ERASED.fullmatch(f"{values[0]} {leaf}"))


def _standing(key: str, names: str | None, witness: str | None, redacted: str | None) -> Standing:
    return (key, names or "", witness or "") if redacted is None else (key, "redacted", "")


def follows(before: Standing, after: Standing) -> bool:
    """Whether a leaf may come after another within an extension: keys rise, and only further witnesses share one, in their order."""
    if before[0] != after[0]:
        return before[0] < after[0]
    return bool(before[1] and after[1]) and (not before[2] or not after[2] or before[2] < after[2])


def leaf_fault(held: Held, start: int, index_only: bool, terms: Terms) -> Fault:
    """The first wrong row of a damaged file of leaves."""
    decoder = Decoder(held)
    try:
        found = read_leaves(decoder, start, b"", index_only, terms)
    except Exception as error:  # what stands in a damaged file may be of any type
        return Fault(None, f"its rows are not those of leaves: {error}")
    return found.fault or decoder.fault or page_fault(held) or NO_ROW
