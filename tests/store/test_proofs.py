import base64
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from provenance import identity
from provenance.identity import canonical_json, leaf_hash
from provenance.schema import LEAVES
from store import checkpoint, files, notes, proofs, tables
from store.errors import CheckFailed, UsageError
from store.manifest import Opened
from tests import trees


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return trees.snapshot(tmp_path_factory.mktemp("proofs") / "snapshot", trees.standard(), [trees.OWNER])


@pytest.fixture(scope="module")
def unsigned(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return trees.snapshot(tmp_path_factory.mktemp("unsigned") / "snapshot", trees.standard())


def leaves(opened: Opened) -> list[dict[str, Any]]:
    return tables.read(opened.files("leaves")).to_pylist()


def key(i: int) -> str:
    return str(trees.document(i)["key"])


def test_a_document_is_proven_by_its_best_leaf_as_c2sp_says(frozen: Opened, tmp_path: Path) -> None:
    out = str(tmp_path / "a.tlog-proof")
    made = proofs.write_proof(frozen, [key(1)], out)
    assert made["documents"] == 1 and made["signed"] and made["id"] == frozen.id
    lines = Path(out).read_text().split("\n")
    best = next(row for row in leaves(frozen) if row["witness"] == "cc-index")
    data = base64.b64decode(lines[1].removeprefix("extra "))
    assert lines[0] == "c2sp.org/tlog-proof@v1" and lines[2] == f"index {best['index']}"
    assert leaf_hash(data).hex() == best["leaf"] and json.loads(data)[6:8] == ["corroborated", "cc-index"]
    end = lines.index("")
    path = [base64.b64decode(line) for line in lines[3:end]]
    tree = identity.Tree([bytes.fromhex(row["leaf"]) for row in leaves(frozen)])
    assert path == tree.inclusion(best["index"])
    assert "\n".join(lines[end + 1 :]).encode() == files.read_bytes(files.join(frozen.url, checkpoint.path(frozen.id)))
    assert files.read_bytes(out + ".manifest") == files.read_bytes(files.join(frozen.url, f"manifests/{frozen.id}.json"))


@pytest.mark.parametrize("chosen", [[0], [7], [0, 1, 2, 3, 4, 5, 6, 7], [2, 5], [3, 3]])
def test_proofs_travel(frozen: Opened, unsigned: Opened, tmp_path: Path, chosen: list[int]) -> None:
    out, vkey = str(tmp_path / "proof"), trees.OWNER.verifier.vkey
    for opened, keys in ((frozen, [vkey]), (frozen, []), (unsigned, [])):
        proofs.write_proof(opened, [key(i) for i in chosen], out)
        found = proofs.verify_proof(out, opened.id, keys)
        assert found["anchored"] and not (found["wrong"] or found["missing"]), found["why"]
        assert [row["key"] for row in found["documents"]] == [
            row["key"] for row in leaves(opened) if row["index"] in _indices(found)
        ]
        assert {row["key"] for row in found["documents"]} == {key(i) for i in chosen}
        assert not proofs.verify_proof(out)["anchored"] and not proofs.verify_proof(out)["wrong"]
    proofs.write_proof(frozen, [key(i) for i in chosen], out)
    Path(out + ".manifest").unlink()
    alone = proofs.verify_proof(out, None, [vkey])
    assert alone["anchored"] and alone["signed_by"] == ["example.org/snapshots"]
    assert proofs.verify_proof(out, frozen.id, [vkey])["anchored"]
    lacking = proofs.verify_proof(out, frozen.id)
    assert lacking["missing"] == [out + ".manifest"] and not lacking["anchored"] and not lacking["documents"]


def _indices(found: dict[str, Any]) -> set[int]:
    return {row["index"] for row in found["documents"]}


@pytest.mark.parametrize("chosen", [[1], [2, 5]])
@pytest.mark.parametrize("trust", ["key", "id", "id of an unsigned"])
def test_every_flipped_bit_of_a_proof_is_found(
    frozen: Opened, unsigned: Opened, tmp_path: Path, chosen: list[int], trust: str
) -> None:
    out, opened = str(tmp_path / "proof"), unsigned if trust.endswith("unsigned") else frozen
    anchor, keys = (None, [trees.OWNER.verifier.vkey]) if trust == "key" else (opened.id, [])
    proofs.write_proof(opened, [key(i) for i in chosen], out)
    assert proofs.verify_proof(out, anchor, keys)["anchored"]
    data = Path(out).read_bytes()
    for bit in range(0, 8 * len(data), 41):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        Path(out).write_bytes(flipped)
        found = proofs.verify_proof(out, anchor, keys)
        assert found["wrong"] == [out] and not found["anchored"] and not found["documents"], bit


def test_another_snapshot_signer_or_manifest_is_named(frozen: Opened, unsigned: Opened, tmp_path: Path) -> None:
    out = str(tmp_path / "proof")
    proofs.write_proof(frozen, [key(1)], out)
    assert "the anchor is 000" in proofs.verify_proof(out, "0" * 64)["why"][out]
    assert "trusted keys" in proofs.verify_proof(out, None, [trees.STRANGER.verifier.vkey])["why"][out]
    Path(out + ".manifest").write_bytes(files.read_bytes(files.join(unsigned.url, f"manifests/{unsigned.id}.json")))
    assert "the manifest of" in proofs.verify_proof(out, frozen.id)["why"][out + ".manifest"]
    proofs.write_proof(unsigned, [key(1)], out)
    assert "no signed note" in proofs.verify_proof(out, None, [trees.OWNER.verifier.vkey])["why"][out]
    with pytest.raises(UsageError, match="no verifier key"):
        proofs.verify_proof(out, None, ["nonsense"])


def test_a_liar_cannot_move_a_real_manifest_under_another_tree(unsigned: Opened, tmp_path: Path) -> None:
    out = str(tmp_path / "proof")
    lie = trees.with_leaf(trees.document(1, attestation="timestamped", witness="freetsa"))
    data = trees.leaf_data(lie)
    said = checkpoint.Checkpoint("lowbackground-unsigned", 1, leaf_hash(data), unsigned.id)
    Path(out).write_bytes(proofs.encode(proofs.Proof({0: data}, [], True, said.text())))
    assert proofs.verify_proof(out)["documents"] and not proofs.verify_proof(out)["anchored"]
    Path(out + ".manifest").write_bytes(files.read_bytes(files.join(unsigned.url, f"manifests/{unsigned.id}.json")))
    assert "another than the proof's" in proofs.verify_proof(out, unsigned.id)["why"][out + ".manifest"]
    path = [bytes([i]) * 32 for i in range(4)]
    root = identity.inclusion_root(0, 10, leaf_hash(data), path)
    same_size = said._replace(size=10, root=root).text()
    Path(out).write_bytes(proofs.encode(proofs.Proof({0: data}, path, True, same_size)))
    assert proofs.verify_proof(out)["documents"]
    assert "another than the proof's" in proofs.verify_proof(out, unsigned.id)["why"][out + ".manifest"]


@pytest.mark.parametrize(
    "spoil",
    [
        lambda body: body | {"more": 1},
        lambda body: body | {"format": "other"},
        lambda body: body | {"leaves": body["leaves"][::-1]},
        lambda body: body | {"leaves": [body["leaves"][0]] * 2},
        lambda body: body | {"leaves": body["leaves"][:1]},
        lambda body: body | {"hashes": [*body["hashes"], "00" * 32]},
        lambda body: body | {"hashes": body["hashes"][:-1]},
        lambda body: body | {"hashes": [one.upper() for one in body["hashes"]]},
        lambda body: body | {"hashes": [body["hashes"][0][:-2], *body["hashes"][1:]]},
        lambda body: body | {"leaves": [{**body["leaves"][0], "index": -1}, body["leaves"][1]]},
        lambda body: body | {"leaves": [{**body["leaves"][0], "leaf": "[]\n"}, body["leaves"][1]]},
        lambda body: [],
    ],
)
def test_forged_multiproofs_are_refused(frozen: Opened, tmp_path: Path, spoil: Any) -> None:
    out = tmp_path / "proof"
    proofs.write_proof(frozen, [key(2), key(5)], str(out))
    out.write_bytes(canonical_json(spoil(json.loads(out.read_bytes()))))
    found = proofs.verify_proof(str(out), None, [trees.OWNER.verifier.vkey])
    assert found["wrong"] == [str(out)] and not found["documents"]


def test_leaves_have_one_spelling() -> None:
    data = trees.leaf_data(trees.document(1))
    assert proofs.parse_leaf(data).key == key(1)
    for wrong in (
        data.replace(b",", b", ", 1),
        data.replace(b"leaf-2", b"leaf-1"),
        data.replace(b"true", b"1"),
        b"[",
        b"[" * 5000,
        data[:-2],
    ):
        with pytest.raises(ValueError, match="leaf"):
            proofs.parse_leaf(wrong)


def test_what_cannot_be_proven_is_said(frozen: Opened, tmp_path: Path) -> None:
    for keys, said in (([key(99)], "has no document"), (["x"], "32 hexadecimal"), ([], "32 hexadecimal")):
        with pytest.raises(UsageError, match=said):
            proofs.write_proof(frozen, keys, str(tmp_path / "proof"))
    with pytest.raises(UsageError, match="only a snapshot"):
        proofs.write_proof(Opened("x", "", {"kind": "run"}), [key(1)], str(tmp_path / "proof"))
    first, second = trees.standard()
    gone = [row | {"redacted": "erasure asked for"} if row["key"] == key(1) else row for row in first]
    redacted = trees.snapshot(tmp_path / "redacted", [gone, second[:1]])
    with pytest.raises(UsageError, match="erasure asked for"):
        proofs.write_proof(redacted, [key(1)], str(tmp_path / "proof"))
    proofs.write_proof(redacted, [key(2)], str(tmp_path / "proof"))
    assert proofs.verify_proof(str(tmp_path / "proof"), redacted.id)["anchored"]
    assert sorted(tmp_path.glob("proof*")) == [tmp_path / "proof", tmp_path / "proof.manifest"]


@pytest.mark.parametrize("column", ["attestation", "leaf"])
def test_leaves_that_were_changed_prove_nothing(tmp_path: Path, column: str) -> None:
    opened = trees.snapshot(tmp_path / "snapshot", trees.standard())
    url = opened.files("leaves")[0]
    rows = tables.read([url]).to_pylist()
    rows[2][column] = "timestamped" if column == "attestation" else "00" * 32
    tables.write(opened.url, opened.entries("leaves")[0]["path"], pa.Table.from_pylist(rows, schema=LEAVES), LEAVES)
    with pytest.raises(CheckFailed, match="verify"):
        proofs.prove(opened, [rows[2]["key"], rows[4]["key"]])


def test_a_checkpoint_with_cosignatures_still_proves(frozen: Opened, tmp_path: Path) -> None:
    proof = proofs.prove(frozen, [key(1)])
    text = notes.parse(proof.checkpoint.encode()).text
    witnessed = notes.sign(text, [trees.OWNER, trees.STRANGER]).decode()
    (tmp_path / "proof").write_bytes(proofs.encode(proof._replace(checkpoint=witnessed)))
    keys = [trees.OWNER.verifier.vkey, trees.STRANGER.verifier.vkey]
    assert proofs.verify_proof(str(tmp_path / "proof"), None, keys)["signed_by"] == [trees.OWNER.name, trees.STRANGER.name]
    assert proofs.verify_proof(str(tmp_path / "proof"), None, keys[:1])["anchored"]
