"""Names that bytes give themselves: keys, content ids, canonical JSON, leaves and the Merkle tree over them.

Both the writers and `verify` import this module; nothing else is shared between them.
"""

import bisect
import hashlib
import json
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

LEAF_VERSION = "lowbackground-leaf-1"


def sha256_hex(data: bytes) -> str:
    """SHA-256 of `data` in lower-case hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def canonical_json(value: Any) -> bytes:
    """The one byte string of a JSON value: UTF-8, sorted keys, no insignificant space, a final newline.

    Raises `ValueError` for NaN and infinities, which JSON lacks.
    """
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False).encode() + b"\n"


def digest(value: Any) -> str:
    """SHA-256 of a JSON value's canonical bytes: how configurations and manifests are named."""
    return sha256_hex(canonical_json(value))


def key(file_sha256: str, copy: int, offset: int, member_offset: int = 0) -> str:
    """The key of a record: unique by construction and free of paths.

    `offset` is the record's byte offset (its member's, if compressed) or row number; `member_offset` tells apart the
    records of one compressed member.
    """
    return hashlib.sha256(f"{file_sha256}\n{copy}\n{offset}\n{member_offset}".encode()).hexdigest()[:32]


def identity_form(text: str) -> str:
    """NFC with white space collapsed to single spaces and stripped; case, digits and punctuation stay."""
    return " ".join(unicodedata.normalize("NFC", text).split())


def content_id(text: str) -> str:
    """First 16 bytes, in hex, of SHA-256 of the identity form's UTF-8 bytes."""
    return hashlib.sha256(identity_form(text).encode()).hexdigest()[:32]


class Leaf(NamedTuple):
    """What a snapshot binds about one document; its hash is the document's leaf in the Merkle tree.

    Times are ISO 8601 in UTC with microseconds and `Z`, or the empty string where the source shows none.
    """

    key: str
    text_sha256: str
    text_bytes: int
    date: str
    date_end: str
    attestation: str
    witness: str
    eligible: bool
    payload_digest: str
    extractor: str
    rules: str

    def data(self) -> bytes:
        """The leaf's exact bytes: canonical JSON of the version and the fields in order."""
        return canonical_json([LEAF_VERSION, *self])

    def hash(self) -> bytes:
        """RFC 6962 leaf hash, SHA-256(0x00 || data): 32 bytes."""
        return leaf_hash(self.data())


def leaf_hash(data: bytes) -> bytes:
    """RFC 6962 section 2.1: SHA-256(0x00 || data)."""
    return hashlib.sha256(b"\x00" + data).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """RFC 6962 section 2.1: SHA-256(0x01 || left || right)."""
    return hashlib.sha256(b"\x01" + left + right).digest()


def _split(size: int) -> int:
    """The largest power of two below `size` (> 1)."""
    return 1 << (size - 1).bit_length() - 1


def merkle_root(leaves: Sequence[bytes]) -> bytes:
    """Root over leaf hashes in order (RFC 6962 section 2.1); SHA-256 of nothing for an empty tree."""
    if not leaves:
        return hashlib.sha256(b"").digest()
    level = list(leaves)
    while len(level) > 1:
        level = _level_above(level)
    return level[0]


def _level_above(level: list[bytes]) -> list[bytes]:
    """Hashes of the pairs, and the last one as it is where it has no partner: RFC 6962's shape, built from below."""
    return [*map(node_hash, level[0::2], level[1::2]), *level[len(level) & ~1 :]]


class Tree:
    """All levels of the tree over `leaves`, so that subtree roots are looked up and not recomputed."""

    def __init__(self, leaves: Sequence[bytes]):
        self.levels = [list(leaves)]
        while len(self.levels[-1]) > 1:
            self.levels.append(_level_above(self.levels[-1]))

    @property
    def root(self) -> bytes:
        return self.levels[-1][0] if self.levels[0] else merkle_root([])

    def subtree(self, start: int, stop: int) -> bytes:
        """Root of the RFC 6962 subtree over leaves [start, stop)."""
        return self.levels[(stop - start - 1).bit_length()][start >> (stop - start - 1).bit_length()]

    def multiproof(self, indices: Sequence[int]) -> list[bytes]:
        """Hashes that, with the leaves at `indices` (sorted, distinct), give the root: the roots of the largest
        subtrees that hold none of them, from left to right. For one index it is the RFC 6962 audit path reordered."""
        size = len(self.levels[0])
        return [self.subtree(start, stop) for start, stop in _absent(0, size, indices, 0, len(indices))] if size else []


def _absent(start: int, stop: int, indices: Sequence[int], low: int, high: int) -> Iterator[tuple[int, int]]:
    """The largest subtrees of [start, stop) without any of `indices[low:high]`, from left to right."""
    if low == high:
        yield start, stop
    elif stop - start > 1:
        middle = start + _split(stop - start)
        cut = bisect.bisect_left(indices, middle, low, high)
        yield from _absent(start, middle, indices, low, cut)
        yield from _absent(middle, stop, indices, cut, high)


def multiproof_root(size: int, leaves: dict[int, bytes], proof: Sequence[bytes]) -> bytes:
    """Root of the tree of `size` leaves that the hashes at some indices and a multiproof give.

    Raises `ValueError` where the proof is too short, too long, or an index lies outside the tree.
    """
    if any(not 0 <= index < size for index in leaves):
        raise ValueError(f"a leaf index lies outside the tree of {size} leaves")
    rest = iter(proof)
    indices = sorted(leaves)

    def subroot(start: int, stop: int, low: int, high: int) -> bytes:
        if low == high:
            found = next(rest, None)
            if found is None:
                raise ValueError("the proof is too short for its leaves")
            return found
        if stop - start == 1:
            return leaves[start]
        middle = start + _split(stop - start)
        cut = bisect.bisect_left(indices, middle, low, high)
        return node_hash(subroot(start, middle, low, cut), subroot(middle, stop, cut, high))

    root = subroot(0, size, 0, len(indices)) if size else merkle_root([])
    if next(rest, None) is not None:
        raise ValueError("the proof has more hashes than its leaves need")
    return root
