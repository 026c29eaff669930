"""Checks the proof of one shard of a mix: each leaf may count as human, and all are in the snapshot's tree."""

import io
from collections.abc import Iterator
from typing import Any

import msgspec
import pyarrow as pa

from provenance.identity import LEAF_VERSION, Leaf, leaf_hash, multiproof_root
from provenance.schema import ATTESTATIONS
from store.verify_shard import Terms, Wrong, moment

LONGEST_LEAF = 1 << 16
LARGEST = 1 << 30
"""Bytes of a file of a proof."""
UNPACKED = 1 << 31
"""Bytes of the leaves of a shard, all of which are in memory at once; each has about 500."""

_LEAF = msgspec.json.Decoder(tuple[str, str, str, int, str, str, str, str, bool, str, str, str, str])


def read_leaves(packed: bytes, terms: Terms, most: int) -> tuple[dict[str, Leaf], dict[int, bytes]]:
    """The leaves of a shard's human documents, by key, and their hashes by index in the tree.

    Raises `Wrong` (or `ValueError`) unless each is eligible, attested well enough and captured before the cutoff, and there are
    no more than `most`.
    """
    found: dict[str, Leaf] = {}
    bound: dict[int, bytes] = {}
    last = -1
    for line in _lines(packed):
        number, _, data = line.partition(b" ")
        if not number.isdigit() or (index := int(number)) <= last:
            raise Wrong(f"leaf index {number[:40]!r} is no number above the one before")
        if index >= terms.tree_size or len(found) == most:
            raise Wrong(f"leaf {index} lies outside the tree, or there are more leaves than the {most} rows that the shard has")
        version, *fields = _LEAF.decode(data)
        leaf = Leaf._make(fields)
        if version != LEAF_VERSION:
            raise Wrong(f"leaf {index} is of version {version!r}, and {LEAF_VERSION!r} is known")
        _check_leaf(leaf, terms)
        if leaf.key in found:
            raise Wrong(f"two leaves have the key {leaf.key}")
        found[leaf.key], bound[index], last = leaf, leaf_hash(data), index
    return found, bound


def prove(bound: dict[int, bytes], hashes: bytes, terms: Terms) -> None:
    """Raises `Wrong` (or `ValueError`) unless leaves and hashes give the root of the snapshot's tree."""
    if len(hashes) % 32:
        raise Wrong(f"the proof has {len(hashes)} bytes, which is no number of hashes")
    if bound:
        root = multiproof_root(terms.tree_size, bound, [hashes[i : i + 32] for i in range(0, len(hashes), 32)])
        if root.hex() != terms.tree_root:
            raise Wrong(f"the leaves and hashes give the tree root {root.hex()}, and the snapshot has {terms.tree_root}")
    elif hashes:
        raise Wrong("there are hashes that prove no leaf")


def _lines(packed: bytes) -> Iterator[bytes]:
    stream: Any = pa.CompressedInputStream(pa.BufferReader(packed), "zstd")
    left = UNPACKED
    with io.BufferedReader(stream, 1 << 20) as lines:
        while line := lines.readline(LONGEST_LEAF):
            left -= len(line)
            if left < 0:
                raise Wrong(f"the leaves unpack to more than {UNPACKED:,} bytes")
            yield line


def _check_leaf(leaf: Leaf, terms: Terms) -> None:
    """Whether a leaf may count as human in this mix."""
    if not leaf.eligible:
        raise Wrong(f"document {leaf.key} is in the snapshot but not eligible as human")
    if leaf.attestation not in ATTESTATIONS or ATTESTATIONS.index(leaf.attestation) < terms.minimum:
        raise Wrong(f"document {leaf.key} is attested {leaf.attestation!r}, below the mix's {ATTESTATIONS[terms.minimum]!r}")
    if not leaf.date_end:
        if leaf.attestation != "declared":
            raise Wrong(f"document {leaf.key} is attested {leaf.attestation!r} and has no capture time")
    elif moment(leaf.date_end) >= terms.cutoff:
        raise Wrong(f"the capture of document {leaf.key} ended {leaf.date_end}, not before the cutoff {terms.cutoff.isoformat()}")
