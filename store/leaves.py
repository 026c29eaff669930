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
SIZE = 32
"""Bytes of a hash."""


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


def hashes(urls: Iterable[str]) -> Iterator[bytes]:
    """The leaf hashes of some `leaves` files in their order, 32 bytes each. Raises `CheckFailed` where one is none."""
    for url in urls:
        for batch in tables.batches(url, ["leaf"], BATCH):
            try:
                found = [bytes.fromhex(text or "") for text in batch["leaf"].to_pylist()]
            except ValueError:
                found = [b""]
            if any(len(one) != SIZE for one in found):
                raise CheckFailed(
                    f"{url} holds a leaf hash that is none; without it nothing in the tree can be proven. "
                    "Run verify on the snapshot, and restore what it names."
                )
            yield from found


def _ordered(urls: Iterable[str]) -> bool:
    """Whether the leaves' indices count from 0 in the order of the files."""
    first = 0
    for url in urls:
        for batch in tables.batches(url, ["index"], BATCH):
            wanted = np.arange(first, first + batch.num_rows)
            if not (batch["index"].to_numpy(zero_copy_only=False) == wanted).all():
                return False
            first += batch.num_rows
    return True


def tree(frozen: Opened) -> Tree:
    """The Merkle tree of a snapshot from its leaves' hashes, in their order; 64 bytes of memory a leaf.

    Raises `CheckFailed` unless the rows stand in the order of the tree and give the root of the manifest.
    """
    bound, urls, joined = frozen.manifest["tree"], frozen.files("leaves"), bytearray()
    for leaf in hashes(urls):
        joined += leaf
    made = Tree(bytes(joined))
    if not _ordered(urls) or (made.size, made.root.hex()) != (bound["size"], bound["root"]):
        raise CheckFailed(
            f"the leaves of snapshot {frozen.id} do not give the tree root of its manifest; nothing taken from it could be proven. "
            "Run verify on the snapshot, and restore what it names."
        )
    return made


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
