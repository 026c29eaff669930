"""Leaves of a snapshot as its Arrow columns hold them: their exact bytes, the tree over them, and what proves them in a mix."""

import hashlib
from collections.abc import Iterable, Iterator

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.identity import LEAF_VERSION, Leaf, Tree, leaf_hash
from store import tables
from store.errors import CheckFailed
from store.manifest import Opened

BATCH = 1 << 16
HEX = 64
"""Characters of a hash."""


def leaf_bytes(leaves: pa.Table | pa.RecordBatch) -> Iterator[bytes]:
    """The bytes of `Leaf.data` for rows with its columns (as in `schema.LEAVES`), in a tenth of its time.

    A time that is null, and any other text that is, stands as the empty string. Were the bytes ever others than those of
    `Leaf.data`, no hash would be the snapshot's.
    """
    columns = []
    for name in Leaf._fields:
        column = leaves.column(name)
        if pa.types.is_timestamp(column.type):
            column = pc.strftime(column, format="%Y-%m-%dT%H:%M:%SZ")
        columns.append((column.fill_null("") if pa.types.is_string(column.type) else column).to_pylist())
    encode = msgspec.json.Encoder().encode
    for fields in zip(*columns, strict=True):
        yield encode((LEAF_VERSION, *fields)) + b"\n"


def tree(frozen: Opened) -> Tree:
    """The Merkle tree of a snapshot from its leaves' hashes, in their order; 64 bytes of memory a leaf.

    Raises `CheckFailed` unless the rows stand in the order of the tree and give the root of the manifest.
    """
    bound, hashes = frozen.manifest["tree"], bytearray()
    ordered = True
    for url in frozen.files("leaves"):
        for batch in tables.batches(url, ["index", "leaf"], BATCH):
            first = len(hashes) * 2 // HEX
            ordered &= bool((batch["index"].to_numpy(zero_copy_only=False) == np.arange(first, first + batch.num_rows)).all())
            hashes += _unhex(batch["leaf"])
    made = Tree(bytes(hashes))
    if not ordered or (made.size, made.root.hex()) != (bound["size"], bound["root"]):
        raise CheckFailed(
            f"the leaves of snapshot {frozen.id} do not give the tree root of its manifest; nothing taken from it could be proven. "
            "Run verify on the snapshot, and restore what it names."
        )
    return made


def _unhex(column: pa.Array) -> bytes:
    """The bytes of a column of hashes in hex; none where one of them is no hash, which no root can then be right for."""
    if column.null_count or pc.any(pc.not_equal(pc.binary_length(column), HEX)).as_py():
        return b""
    try:
        return bytes.fromhex("".join(column.to_pylist()))
    except ValueError:
        return b""


def proven(leaves: pa.Table, keys: Iterable[str], texts: Iterable[memoryview]) -> Iterator[bytes]:
    """Lines of a shard's proof, `INDEX LEAF`, of some leaves (`schema.LEAVES`) and the documents that they are to bind.

    Raises `CheckFailed` where a document's key or text is not the one that the leaf binds, or the leaf's fields do not
    give its hash.
    """
    wanted = zip(*(leaves[name].to_pylist() for name in ("index", "key", "text_sha256", "text_bytes", "leaf")), strict=True)
    for (index, key, digest, size, bound), data, found, text in zip(wanted, leaf_bytes(leaves), keys, texts, strict=True):
        if (key, digest, size) != (found, hashlib.sha256(text).hexdigest(), len(text)) or leaf_hash(data).hex() != bound:
            raise CheckFailed(
                f"document {found} is not what the snapshot's leaf binds; it could not be proven to anybody. "
                "Run verify on the snapshot, and restore what it names."
            )
        yield b"%d " % index + data
