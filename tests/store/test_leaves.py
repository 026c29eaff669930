"""Leaves as columns hold them: their bytes, their hashes, the tree over them, and what proves them in a mix."""

import hashlib
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from provenance.identity import Leaf, leaf_hash, merkle_root, moment
from provenance.schema import LEAVES
from store import leaves, tables
from store.errors import CheckFailed
from store.manifest import Opened
from tests import trees

MARKS = "".join(map(chr, [*range(1, 0x100), 0x2028, 0x2029, 0xFEFF, 0xFFFF, 0x1F600])) + '"\\/'


def opened(folder: Path, **changed: Any) -> Opened:
    """A snapshot in which one row of the first leaves file is another."""
    made = trees.snapshot(folder / "snapshot", trees.standard())
    url = made.files("leaves")[0]
    rows = tables.read([url]).to_pylist()
    rows[3] |= changed
    tables.write(made.url, made.entries("leaves")[0]["path"], pa.Table.from_pylist(rows, schema=LEAVES), LEAVES)
    return made


def test_leaves_have_the_bytes_that_every_reader_makes_of_them() -> None:
    rows = [
        trees.document(1, witness=MARKS, date=None, payload_digest=None, names="f" * 64),
        trees.document(2, date=datetime(1, 2, 3, tzinfo=UTC), date_end=datetime(9999, 12, 31, 23, 59, 59, 999999, tzinfo=UTC)),
    ]
    table = pa.Table.from_pylist(rows, schema=LEAVES)
    wanted = [
        Leaf(**{name: moment(row[name]) if name.startswith("date") else row[name] or "" for name in Leaf._fields}).data()
        for row in (row | {"eligible": True} for row in rows)
    ]
    assert list(leaves.leaf_bytes(table)) == wanted
    assert list(leaves.leaf_bytes(table.slice(1).to_batches()[0])) == wanted[1:]


def test_the_tree_is_over_the_hashes_in_their_order(tmp_path: Path) -> None:
    made = opened(tmp_path)
    found = list(leaves.hashes(made.files("leaves")))
    assert found == [bytes.fromhex(text) for text in tables.read(made.files("leaves"))["leaf"].to_pylist()]
    assert leaves.tree(made).root == merkle_root(found) == bytes.fromhex(made.manifest["tree"]["root"])


@pytest.mark.parametrize("text", [None, "", "ab" * 31, "ab" * 33, "x" * 64])
def test_what_is_no_hash_is_named(tmp_path: Path, text: str | None) -> None:
    made = opened(tmp_path, leaf=text)
    with pytest.raises(CheckFailed, match=r"leaves/00000-x-0000.parquet holds a leaf hash that is none.*Run verify"):
        list(leaves.hashes(made.files("leaves")))
    with pytest.raises(CheckFailed, match="holds a leaf hash that is none"):
        leaves.tree(made)


@pytest.mark.parametrize("changed", [{"index": 4}, {"index": None}, {"leaf": "ab" * 32}])
def test_leaves_of_another_order_or_root_make_no_tree(tmp_path: Path, changed: dict[str, Any]) -> None:
    with pytest.raises(CheckFailed, match="do not give the tree root"):
        leaves.tree(opened(tmp_path, **changed))


def test_a_leaf_proves_the_document_that_it_binds_and_no_other() -> None:
    rows = [trees.with_leaf(trees.document(i)) | {"index": 7 + i} for i in (1, 2)]
    table = pa.Table.from_pylist(rows, schema=LEAVES)
    keys, texts = [row["key"] for row in rows], [memoryview(trees.text(i).encode()) for i in (1, 2)]
    lines = list(leaves.proven(table, keys, texts))
    assert [line.split(b" ", 1)[0] for line in lines] == [b"8", b"9"]
    assert [leaf_hash(line.split(b" ", 1)[1]).hex() for line in lines] == [row["leaf"] for row in rows]
    forged = hashlib.sha256(b"another text").hexdigest()
    for wrong in (
        (table, keys[::-1], texts),
        (table, keys, texts[::-1]),
        (pa.Table.from_pylist([rows[0] | {"text_sha256": forged}, rows[1]], schema=LEAVES), keys, texts),
        (pa.Table.from_pylist([rows[0] | {"witness": "somebody else"}, rows[1]], schema=LEAVES), keys, texts),
    ):
        with pytest.raises(CheckFailed, match="is not what the snapshot's leaf binds"):
            list(leaves.proven(*wrong))
