"""Names that bytes give themselves: keys, content ids, canonical JSON, instants, leaves and the Merkle tree over them.

Both the writers and `verify` import this module; nothing else is shared between them.
"""

import bisect
import hashlib
import json
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import numpy as np

LEAF_VERSION = "lowbackground-leaf-2"
_HASH = 32


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


def moment(instant: datetime | None) -> str:
    """The one spelling of an instant: ISO 8601 in UTC with microseconds and `Z`; empty for None."""
    return "" if instant is None else instant.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


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

    Times are ISO 8601 in UTC with microseconds and `Z`, or the empty string where the source shows none. `names` is the
    hash, in hex, of the earlier leaf that this one is a further witness of, empty for a document's first leaf.
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
    names: str

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


def merkle_root(leaves: Iterable[bytes]) -> bytes:
    """Root over leaf hashes in order (RFC 6962 section 2.1); SHA-256 of nothing for an empty tree. Holds log2(n) hashes."""
    frontier = Frontier()
    for leaf in leaves:
        frontier.append(leaf)
    return frontier.root


class Frontier:
    """The roots of the perfect subtrees at a growing tree's right edge: all that its root needs, log2(size) hashes."""

    def __init__(self) -> None:
        self.size = 0
        self._roots: list[bytes] = []

    def append(self, leaf: bytes) -> None:
        """Adds a leaf hash at the end."""
        filled, node = self.size, leaf
        while filled & 1:
            node = node_hash(self._roots.pop(), node)
            filled >>= 1
        self._roots.append(node)
        self.size += 1

    @property
    def root(self) -> bytes:
        """Root of the tree as it stands."""
        if not self._roots:
            return hashlib.sha256(b"").digest()
        node = self._roots[-1]
        for left in reversed(self._roots[:-1]):
            node = node_hash(left, node)
        return node


class Tree:
    """All levels of the tree over leaf hashes, 64 bytes a leaf, so that subtree roots are looked up and not recomputed."""

    def __init__(self, leaves: Iterable[bytes] | bytes):
        level = leaves if isinstance(leaves, bytes) else b"".join(leaves)
        self.size = len(level) // _HASH
        self._levels = [level]
        while len(level) > _HASH:
            level = _level_above(level)
            self._levels.append(level)

    @property
    def root(self) -> bytes:
        return self._levels[-1] if self.size else merkle_root([])

    def leaf(self, index: int) -> bytes:
        """Hash of the leaf at `index`."""
        return self._levels[0][index * _HASH : (index + 1) * _HASH]

    def subtree(self, start: int, stop: int) -> bytes:
        """Root of the RFC 6962 subtree over leaves [start, stop), which begins at a multiple of its size's next power of two."""
        height = (stop - start - 1).bit_length()
        at = (start >> height) * _HASH
        return self._levels[height][at : at + _HASH]

    def multiproof(self, indices: Sequence[int]) -> list[bytes]:
        """Hashes that, with the leaves at `indices` (sorted, distinct), give the root: the roots of the largest
        subtrees that hold none of them, from left to right. For one index it is the RFC 6962 audit path reordered."""
        if not self.size or not len(indices):
            return [self.root] if self.size else []
        starts, found = [np.zeros(0, np.int64)], [np.zeros((0, _HASH), np.uint8)]
        nodes = np.asarray(indices, np.int64)
        for height, level in enumerate(self._levels[:-1]):
            # Nodes that hold some of them; a subtree belongs to the proof if it holds none and the one beside it does.
            same = np.diff(nodes >> 1) == 0
            beside = nodes[~(np.append(same, False) | np.append(False, same))] ^ 1
            beside = beside[beside < len(level) // _HASH]
            starts.append(beside << height)
            found.append(np.frombuffer(level, np.uint8).reshape(-1, _HASH)[beside])
            nodes = nodes[np.append(True, ~same)] >> 1
        ordered = np.concatenate(found)[np.argsort(np.concatenate(starts))].tobytes()
        return [ordered[at : at + _HASH] for at in range(0, len(ordered), _HASH)]

    def inclusion(self, index: int) -> list[bytes]:
        """The audit path of a leaf (RFC 6962 section 2.1.1), from its sibling up. Raises `ValueError` for no leaf's index."""
        return [self.subtree(start, stop) for start, stop in audit_ranges(self.size, index)]

    def consistency(self, size: int) -> list[bytes]:
        """Proof that the tree of the first `size` leaves is a beginning of this one (RFC 6962 section 2.1.2)."""
        return [self.subtree(start, stop) for start, stop in consistency_ranges(size, self.size)]


def audit_ranges(size: int, index: int) -> list[tuple[int, int]]:
    """The subtrees [start, stop) of a tree of `size` leaves whose roots are the audit path of the leaf at `index`, its sibling
    first (RFC 6962 section 2.1.1). Raises `ValueError` for no leaf's index."""
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} lies outside the tree of {size} leaves")
    found, start, stop = [], 0, size
    while stop - start > 1:
        middle = start + _split(stop - start)
        if index < middle:
            found.append((middle, stop))
            stop = middle
        else:
            found.append((start, middle))
            start = middle
    return found[::-1]


def consistency_ranges(first: int, second: int) -> list[tuple[int, int]]:
    """The subtrees [start, stop) whose roots prove that a tree of `first` leaves is a beginning of one of `second`, in the
    order of the proof (RFC 6962 section 2.1.2). Raises `ValueError` where it cannot be one."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {first} leaves is no beginning of one of {second}")
    if first in (0, second):
        return []
    found, start, stop, whole = [], 0, second, True
    while first != stop:
        middle = start + _split(stop - start)
        if first <= middle:
            found.append((middle, stop))
            stop = middle
        else:
            found.append((start, middle))
            start, whole = middle, False
    if not whole:
        found.append((start, stop))
    return found[::-1]


def subtree_roots(leaves: Iterable[bytes], ranges: Sequence[tuple[int, int]]) -> list[bytes]:
    """Roots over disjoint ranges [start, stop) of a stream of leaf hashes, in the order of `ranges`; reads the stream to its end."""
    order = sorted(ranges)
    found: dict[tuple[int, int], bytes] = {}
    waiting, frontier = iter(order), Frontier()
    current = next(waiting, None)
    for index, leaf in enumerate(leaves):
        if current is None or index < current[0]:
            continue
        frontier.append(leaf)
        if index + 1 == current[1]:
            found[current] = frontier.root
            current, frontier = next(waiting, None), Frontier()
    if current is not None:
        raise ValueError(f"the stream of leaves ends before leaf {current[1]}")
    return [found[span] for span in ranges]


def _level_above(level: bytes) -> bytes:
    """Hashes of the pairs, and the last one as it is where it has no partner: RFC 6962's shape, built from below."""
    pairs = len(level) // (2 * _HASH)
    sha256, wide = hashlib.sha256, 2 * _HASH
    return b"".join([sha256(b"\x01" + level[i * wide : (i + 1) * wide]).digest() for i in range(pairs)]) + level[pairs * wide :]


def inclusion_root(index: int, size: int, leaf: bytes, path: Sequence[bytes]) -> bytes:
    """Root that a leaf hash at `index` of a tree of `size` and its audit path give (RFC 9162 section 2.1.3.2).

    Raises `ValueError` where the path is too short or too long, or the index lies outside the tree.
    """
    if not 0 <= index < size:
        raise ValueError(f"leaf {index} lies outside the tree of {size} leaves")
    node, at, last, rest = leaf, index, size - 1, iter(path)
    while last:
        if at & 1 or at != last:
            sibling = next(rest, None)
            if sibling is None:
                raise ValueError("the audit path is too short")
            node = node_hash(sibling, node) if at & 1 else node_hash(node, sibling)
        at, last = at >> 1, last >> 1
    if next(rest, None) is not None:
        raise ValueError("the audit path is too long")
    return node


def check_consistency(first: int, first_root: bytes, second: int, second_root: bytes, proof: Sequence[bytes]) -> None:
    """Raises `ValueError` unless the proof shows that the tree of `first` leaves is a beginning of the one of `second`
    (RFC 9162 section 2.1.4.2)."""
    if not 0 <= first <= second:
        raise ValueError(f"a tree of {first} leaves is no beginning of one of {second}")
    if first in (0, second):
        if proof or (first == second and first_root != second_root) or (first == 0 and first_root != merkle_root([])):
            raise ValueError("trees of equal size, or an empty one, are consistent by their roots alone, and these are not")
        return
    rest = iter(proof)
    at, last = first - 1, second - 1
    while at & 1:
        at, last = at >> 1, last >> 1
    old = new = first_root if at == 0 else _next(rest)
    while last:
        if at & 1 or at == last:
            left = _next(rest)
            old, new = node_hash(left, old), node_hash(left, new)
            while not at & 1 and at:
                at, last = at >> 1, last >> 1
        else:
            new = node_hash(new, _next(rest))
        at, last = at >> 1, last >> 1
    if next(rest, None) is not None:
        raise ValueError("the consistency proof is too long")
    if (old, new) != (first_root, second_root):
        raise ValueError("the consistency proof does not lead to the two roots")


def _next(rest: Iterator[bytes]) -> bytes:
    found = next(rest, None)
    if found is None:
        raise ValueError("the consistency proof is too short")
    return found


def absent_ranges(size: int, indices: Sequence[int]) -> Iterator[tuple[int, int]]:
    """The largest subtrees [start, stop) of a tree of `size` leaves that hold none of `indices` (sorted, distinct), from left
    to right: those whose roots are a multiproof."""
    yield from _absent(0, size, indices, 0, len(indices))


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
