"""Names that bytes give themselves: golden vectors, and the tree against its definition."""

import hashlib
import json
import unicodedata
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import identity
from provenance.identity import Leaf, Tree, leaf_hash, merkle_root, multiproof_root

# Leaves and roots of the test vectors that implementations of RFC 6962 share (certificate-transparency, merkle_tree_test).
LEAVES = [
    bytes.fromhex(data)
    for data in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657", "606162636465666768696a6b6c6d6e6f")
]
ROOTS = (
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
)


@pytest.mark.parametrize("size", range(1, 9))
def test_root_golden(size: int) -> None:
    leaves = [leaf_hash(data) for data in LEAVES[:size]]
    assert merkle_root(leaves).hex() == ROOTS[size - 1]
    assert Tree(leaves).root.hex() == ROOTS[size - 1]


RFC6962: dict[str, Any] = json.loads((Path(__file__).parents[1] / "golden/rfc6962.json").read_bytes())


def _defined(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962 section 2.1, by its own words."""
    if len(leaves) < 2:
        return hashlib.sha256(b"\0" + leaves[0] if leaves else b"").digest()
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    return hashlib.sha256(b"\1" + _defined(leaves[:k]) + _defined(leaves[k:])).digest()


def _path(index: int, leaves: list[bytes]) -> list[bytes]:
    """PATH of RFC 6962 section 2.1.1."""
    if len(leaves) == 1:
        return []
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if index < k:
        return [*_path(index, leaves[:k]), _defined(leaves[k:])]
    return [*_path(index - k, leaves[k:]), _defined(leaves[:k])]


def _subproof(m: int, leaves: list[bytes], whole: bool) -> list[bytes]:
    """SUBPROOF of RFC 6962 section 2.1.2."""
    if m == len(leaves):
        return [] if whole else [_defined(leaves)]
    k = 1
    while 2 * k < len(leaves):
        k *= 2
    if m <= k:
        return [*_subproof(m, leaves[:k], whole), _defined(leaves[k:])]
    return [*_subproof(m - k, leaves[k:], False), _defined(leaves[:k])]


def test_the_shared_vectors_are_those_of_the_rfc() -> None:
    data = [bytes.fromhex(leaf) for leaf in RFC6962["leaves"]]
    assert data == LEAVES and tuple(RFC6962["roots"]) == ROOTS
    assert [_defined(data[:size]).hex() for size in range(1, 9)] == RFC6962["roots"] and _defined([]).hex() == RFC6962["empty_root"]
    for case in RFC6962["inclusion"]:
        assert [node.hex() for node in _path(case["index"], data[: case["size"]])] == case["path"]
    for case in RFC6962["consistency"]:
        found = [] if case["first"] == case["second"] else _subproof(case["first"], data[: case["second"]], True)
        assert [node.hex() for node in found] == case["proof"]


@pytest.mark.parametrize("case", RFC6962["inclusion"], ids=lambda case: f"{case['index']}-of-{case['size']}")
def test_audit_paths_golden(case: dict[str, Any]) -> None:
    leaves = [leaf_hash(data) for data in LEAVES]
    path = [bytes.fromhex(node) for node in case["path"]]
    assert Tree(leaves[: case["size"]]).inclusion(case["index"]) == path
    assert identity.inclusion_root(case["index"], case["size"], leaves[case["index"]], path).hex() == ROOTS[case["size"] - 1]


@pytest.mark.parametrize("case", RFC6962["consistency"], ids=lambda case: f"{case['first']}-in-{case['second']}")
def test_consistency_proofs_golden(case: dict[str, Any]) -> None:
    leaves = [leaf_hash(data) for data in LEAVES]
    first, second, proof = case["first"], case["second"], [bytes.fromhex(node) for node in case["proof"]]
    assert Tree(leaves[:second]).consistency(first) == proof
    identity.check_consistency(first, bytes.fromhex(ROOTS[first - 1]), second, bytes.fromhex(ROOTS[second - 1]), proof)
    if proof:
        for spoiled in (proof[:-1], [*proof, proof[0]], [bytes(32), *proof[1:]]):
            with pytest.raises(ValueError):
                identity.check_consistency(
                    first, bytes.fromhex(ROOTS[first - 1]), second, bytes.fromhex(ROOTS[second - 1]), spoiled
                )


@given(st.integers(1, 40), st.data())
def test_paths_and_consistency_are_the_rfcs_at_every_size(size: int, data: st.DataObject) -> None:
    raw = [i.to_bytes(2, "big") for i in range(size)]
    tree = Tree([leaf_hash(one) for one in raw])
    index, first = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    assert tree.inclusion(index) == _path(index, raw)
    assert tree.consistency(first) == ([] if first == size else _subproof(first, raw, True))


def test_empty_root_is_the_hash_of_nothing() -> None:
    assert merkle_root([]) == Tree([]).root == hashlib.sha256(b"").digest()


def test_audit_path_golden() -> None:
    # RFC 6962 2.1.3: the path of leaf 5 (from 0) in a tree of 8, here from left to right.
    tree = Tree([leaf_hash(data) for data in LEAVES])
    path = {proof.hex() for proof in tree.multiproof([5])}
    assert path == {
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    }


@given(st.integers(1, 70), st.data())
def test_multiproof_gives_the_root_and_nothing_else_does(size: int, data: st.DataObject) -> None:
    leaves = [leaf_hash(i.to_bytes(2, "big")) for i in range(size)]
    chosen = sorted(data.draw(st.sets(st.integers(0, size - 1), min_size=1)))
    tree = Tree(leaves)
    proof = tree.multiproof(chosen)
    assert multiproof_root(size, {i: leaves[i] for i in chosen}, proof) == tree.root
    forged = {i: leaves[i] for i in chosen} | {chosen[0]: leaf_hash(b"forged")}
    assert multiproof_root(size, forged, proof) != tree.root
    with pytest.raises(ValueError, match="more hashes"):
        multiproof_root(size, {i: leaves[i] for i in chosen}, [*proof, b"\0" * 32])
    if proof:
        with pytest.raises(ValueError, match="too short"):
            multiproof_root(size, {i: leaves[i] for i in chosen}, proof[:-1])


@given(st.integers(0, 70), st.data())
def test_a_multiproof_is_the_roots_of_the_subtrees_without_its_leaves_from_left_to_right(size: int, data: st.DataObject) -> None:
    tree = Tree([leaf_hash(i.to_bytes(2, "big")) for i in range(size)])
    chosen = sorted(data.draw(st.sets(st.integers(0, size - 1)))) if size else []
    wanted = [tree.subtree(start, stop) for start, stop in identity.absent_ranges(size, chosen)] if size else []
    assert tree.multiproof(chosen) == wanted


def test_index_outside_the_tree_is_refused() -> None:
    with pytest.raises(ValueError, match="outside"):
        multiproof_root(3, {3: leaf_hash(b"")}, [])


LEAF = Leaf(
    key="0" * 32,
    text_sha256=hashlib.sha256("né".encode()).hexdigest(),
    text_bytes=3,
    date="2019-01-01T00:00:00.000000Z",
    date_end="2019-01-01T00:00:00.000000Z",
    attestation="captured",
    witness="archive file",
    eligible=True,
    payload_digest="",
    extractor="e",
    rules="r",
    names="",
)


def test_leaf_golden() -> None:
    assert LEAF.data() == (
        b'["lowbackground-leaf-2","00000000000000000000000000000000",'
        b'"edaceddab76b52a65a36efb7b7a8b35e44ca45deb3a8e4fa3d0eae6eb22f3de0",3,"2019-01-01T00:00:00.000000Z",'
        b'"2019-01-01T00:00:00.000000Z","captured","archive file",true,"","e","r",""]\n'
    ).replace(b"edaceddab76b52a65a36efb7b7a8b35e44ca45deb3a8e4fa3d0eae6eb22f3de0", LEAF.text_sha256.encode())
    assert LEAF.hash() == hashlib.sha256(b"\0" + LEAF.data()).digest()


@pytest.mark.parametrize("field", Leaf._fields)
def test_leaf_binds_every_field(field: str) -> None:
    other = {"text_bytes": 4, "eligible": False}.get(field, "other")
    assert LEAF._replace(**{field: other}).hash() != LEAF.hash()


def test_key_golden_and_distinct() -> None:
    expected = hashlib.sha256(b"abc\n0\n17\n0").hexdigest()[:32]
    assert identity.key("abc", 0, 17) == expected
    assert len({identity.key("abc", c, o, m) for c in (0, 1) for o in (0, 17) for m in (0, 5)}) == 8


def test_identity_form_keeps_case_digits_and_punctuation() -> None:
    assert identity.identity_form("  A\u00a0b\n\tC, 1!  ") == "A b C, 1!"
    decomposed = unicodedata.normalize("NFD", "Käse")
    assert identity.content_id(decomposed) == identity.content_id("Käse")
    assert identity.content_id("a b") == hashlib.sha256(b"a b").hexdigest()[:32]
    assert identity.content_id("A b") != identity.content_id("a b")


def test_canonical_json_is_one_spelling() -> None:
    assert identity.canonical_json({"b": 1, "a": ["ü", None, True]}) == '{"a":["ü",null,true],"b":1}\n'.encode()
    with pytest.raises(ValueError):
        identity.canonical_json(float("nan"))


def test_an_instant_has_one_spelling() -> None:
    east = timezone(timedelta(hours=2))
    assert identity.moment(datetime(2019, 9, 10, 1, 2, 3, tzinfo=east)) == "2019-09-09T23:02:03.000000Z"
    assert identity.moment(datetime(1, 2, 3, microsecond=4, tzinfo=UTC)) == "0001-02-03T00:00:00.000004Z"
    assert identity.moment(None) == ""
