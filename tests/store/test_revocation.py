from pathlib import Path
from typing import Any

import pytest
import zstandard

from provenance.schema import ATTESTATIONS
from store import catalog, manifest, notes, revocation, sql, tables
from store.errors import CheckFailed, UsageError
from store.manifest import Opened
from store.revocation import Item, Revocations
from tests import trees


@pytest.fixture(scope="module")
def frozen(tmp_path_factory: pytest.TempPathFactory) -> Opened:
    return trees.snapshot(tmp_path_factory.mktemp("revocation") / "snapshot", trees.standard(), [trees.OWNER])


def key(i: int) -> str:
    return str(trees.document(i)["key"])


def written(folder: Path, items: list[Item], scope: str = "*", signer: notes.Signer = trees.OWNER) -> str:
    path = folder / "revoked.txt"
    path.write_bytes(revocation.write(scope, items, [signer]))
    return str(path)


ITEMS = [
    Item("witness", "cc-index", "the index was made up"),
    Item("key", key(0), "asked for by its author"),
    Item("leaf", str(trees.standard()[0][6]["leaf"]), "wrong checksum list"),
]


def test_a_list_is_a_signed_note_that_people_can_read(frozen: Opened, tmp_path: Path) -> None:
    url = written(tmp_path, ITEMS, frozen.id)
    lines = Path(url).read_text().split("\n")
    assert lines[:2] == ["lowbackground-revocations v1", frozen.id]
    assert lines[2:5] == [
        f"key {key(0)} asked for by its author",
        f"leaf {ITEMS[2].value} wrong checksum list",
        "witness cc-index the index was made up",
    ]
    assert lines[5] == "" and lines[6].startswith("— example.org/snapshots ")
    found = revocation.read(url, frozen.manifest["signers"])
    assert found == Revocations(frozen.id, tuple(sorted(ITEMS)), ("example.org/snapshots",))
    assert revocation.read(url, [], [trees.OWNER.verifier.vkey]) == found
    assert found.table().to_pylist()[0] == {"kind": "key", "value": key(0), "reason": "asked for by its author"}


def test_an_unsigned_or_wrongly_signed_list_is_refused(frozen: Opened, tmp_path: Path) -> None:
    url = written(tmp_path, ITEMS, signer=trees.STRANGER)
    with pytest.raises(CheckFailed, match=r"trusted keys are example.org/snapshots"):
        revocation.read_for(frozen, url)
    assert revocation.read_for(frozen, url, [trees.STRANGER.verifier.vkey]).signed_by == ("example.org/stranger",)
    with pytest.raises(UsageError, match="names no signers"):
        revocation.read(url)
    Path(url).write_text(revocation.text("*", ITEMS))
    with pytest.raises(CheckFailed, match="no signed note"):
        revocation.read_for(frozen, url)
    Path(url).write_bytes(revocation.write("*", ITEMS, [trees.OWNER]).replace(b"asked", b"Asked"))
    with pytest.raises(CheckFailed, match="not over its text"):
        revocation.read_for(frozen, url)
    with pytest.raises(UsageError, match="is not there"):
        revocation.read_for(frozen, url + "x")
    Path(url).write_bytes(notes.sign("Nothing is revoked.\n", [trees.OWNER]))
    with pytest.raises(CheckFailed, match="no revocation list"):
        revocation.read_for(frozen, url)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "lowbackground-revocations v1\n",
        "lowbackground-revocations v1\n*",
        "lowbackground-revocations v2\n*\n",
        "lowbackground-revocations v1\n\n",
        "lowbackground-revocations v1\n*\n\n",
        f"lowbackground-revocations v1\n*\nkey {'a' * 32}\n",
        f"lowbackground-revocations v1\n*\nkey {'a' * 32} \n",
        f"lowbackground-revocations v1\n*\nkey {'A' * 32} why\n",
        f"lowbackground-revocations v1\n*\nkey {'a' * 31} why\n",
        "lowbackground-revocations v1\n*\nwitness ../etc why\n",
        "lowbackground-revocations v1\n*\nperson somebody why\n",
        f"lowbackground-revocations v1\n*\nleaf {'a' * 64} why\nkey {'a' * 32} why\n",
        f"lowbackground-revocations v1\n*\nkey {'a' * 32} one\nkey {'a' * 32} two\n",
    ],
)
def test_other_spellings_are_no_list(body: str) -> None:
    with pytest.raises(ValueError):
        revocation.decode(body)


@pytest.mark.parametrize(
    "items",
    [
        [Item("key", "x", "why")],
        [Item("witness", "archive file", "why")],
        [Item("key", "a" * 32, "")],
        [Item("key", "a" * 32, "a\nb")],
    ],
)
def test_what_a_list_cannot_carry_is_not_signed(items: list[Item]) -> None:
    with pytest.raises(ValueError):
        revocation.write("*", items, [trees.OWNER])


def test_an_empty_list_lowers_nothing(frozen: Opened, tmp_path: Path) -> None:
    found = revocation.read_for(frozen, written(tmp_path, []))
    assert found.table().num_rows == 0 and revocation.summary(frozen, found)["lowered"] == 0


@pytest.mark.parametrize(
    ("scope", "fits"), [("*", True), ("ab" * 32, True), ("example.org/snapshots", True), ("cd" * 32, False), ("example.org", False)]
)
def test_a_list_is_for_a_snapshot_its_extensions_an_origin_or_all(frozen: Opened, tmp_path: Path, scope: str, fits: bool) -> None:
    url = written(tmp_path, ITEMS, scope)
    if fits:
        assert revocation.read_for(frozen, url).scope == scope
    else:
        with pytest.raises(UsageError, match="does not extend it"):
            revocation.read_for(frozen, url)


def fallen(opened: Opened, revoked: Revocations) -> list[tuple[str, str, str | None]]:
    """Documents that a list lowers, with what they proved before and after it."""
    with catalog.connect(opened, revoked) as con:
        return con.execute("select key, before, after from lowered order by key").fetchall()


def test_a_document_falls_to_what_its_other_leaves_prove(frozen: Opened, tmp_path: Path) -> None:
    found = revocation.summary(frozen, revocation.read_for(frozen, written(tmp_path, ITEMS)))
    before = {level: of["documents"] for level, of in found["before"].items()}
    after = {level: of["documents"] for level, of in found["after"].items()}
    assert before == {"captured": 4, "corroborated": 1, "timestamped": 1, "released": 1}
    assert after == {"captured": 4, "timestamped": 1}
    assert (found["lowered"], found["lost"]) == (3, 2)
    assert found["before"]["released"]["bytes"] == trees.document(6)["text_bytes"]
    assert found["unmatched"] == {"items": 0, "first": []} and "name nothing" not in found["line"]
    assert fallen(frozen, revocation.read_for(frozen, written(tmp_path, ITEMS))) == sorted(
        [(key(0), "captured", None), (key(1), "corroborated", "captured"), (key(6), "released", None)]
    )


def test_a_list_never_raises(frozen: Opened) -> None:
    rank = {level: i for i, level in enumerate(ATTESTATIONS)}
    for kind in ("key", "leaf", "witness"):
        for value in {row[kind] for row in tables.read(frozen.files("leaves")).to_pylist()}:
            if " " not in value:
                lowered = fallen(frozen, Revocations("*", (Item(kind, value, "why"),)))
                assert all(after is None or rank[after] < rank[before] for _, before, after in lowered)


def test_a_source_file_takes_all_its_documents(frozen: Opened, tmp_path: Path) -> None:
    url = written(tmp_path, [Item("source", trees.ARCHIVES[1], "the archive was forged"), Item("key", key(1), "by itself")])
    found = revocation.read_for(frozen, url)
    items = [Item(**row) for batch in revocation.resolved(found, frozen) for row in batch.to_pylist()]
    assert sorted(item.value for item in items if item.kind == "key") == sorted([key(1), key(3), key(5), key(7)])
    assert Item("key", key(1), "by itself") in items and Item("key", key(5), "the archive was forged") in items
    assert revocation.summary(frozen, found)["lost"] == 3
    other = written(tmp_path, [Item("source", "ab" * 32, "never frozen here")])
    summed = revocation.summary(frozen, revocation.read_for(frozen, other))
    assert summed["lowered"] == 0 and summed["unmatched"] == {"items": 1, "first": [f"source {'ab' * 32}"]}


def test_a_document_without_a_path_is_found_by_its_position(tmp_path: Path) -> None:
    first, _ = trees.standard()
    hidden = trees.snapshot(tmp_path / "hidden", [[row | {"file_path": None} for row in first]])
    listed = Revocations("*", (Item("source", trees.ARCHIVES[1], "forged"),))
    found = [row["value"] for batch in revocation.resolved(listed, hidden) for row in batch.to_pylist() if row["kind"] == "key"]
    assert sorted(found) == sorted([key(1), key(3), key(5)])


def test_items_that_name_nothing_are_said(frozen: Opened, tmp_path: Path) -> None:
    gone = ["key " + "a" * 32, "leaf " + "b" * 64, "source " + "c" * 64, "witness archive", "witness dump", "witness nobody"]
    # What was meant is the witness `archive file`, which no list can name.
    lost = [Item(*one.split(" "), reason="file made up") for one in gone]
    found = revocation.summary(frozen, revocation.read_for(frozen, written(tmp_path, [*ITEMS, *lost])))
    assert found["unmatched"] == {"items": 6, "first": gone[:5]} and found["lowered"] == 3
    assert found["line"].endswith(f"; 6 items name nothing in this snapshot, such as key {'a' * 32}")
    assert revocation.unmatched(frozen, Revocations("*", tuple(ITEMS))) == {"items": 0, "first": []}


def test_who_signed_an_earlier_version_signs_for_those_that_extend_it(tmp_path: Path) -> None:
    first = trees.snapshot(tmp_path / "snapshot", trees.standard()[:1], [trees.OWNER])
    grown = {
        "tree": {
            **first.manifest["tree"],
            "extensions": [
                {**first.manifest["tree"]["extensions"][0], "manifest": first.id},
                {"size": 0, "root": first.manifest["tree"]["root"], "manifest": None},
            ],
        },
        "parent": first.id,
        "signers": [],
    }
    second = manifest.write_snapshot(first.url, first.manifest | grown)
    for scope in ("*", first.id, "example.org/snapshots"):
        assert revocation.read_for(second, written(tmp_path, ITEMS, scope)).signed_by == ("example.org/snapshots",)
    with pytest.raises(CheckFailed, match=r"trusted keys are example.org/snapshots"):
        revocation.read_for(second, written(tmp_path, ITEMS, signer=trees.STRANGER))
    with pytest.raises(UsageError, match="does not extend it"):
        revocation.read_for(first, written(tmp_path, ITEMS, second.id))
    (tmp_path / f"snapshot/manifests/{first.id}.json").unlink()
    with pytest.raises(UsageError, match="names no signers"):
        revocation.read_for(second, written(tmp_path, ITEMS))


def test_redacted_leaves_are_nobodys(tmp_path: Path) -> None:
    first, second = trees.standard()
    gone = [row | {"redacted": "erasure"} if row["key"] == key(1) else row for row in first]
    redacted = trees.snapshot(tmp_path / "redacted", [gone, second[2:]], [trees.OWNER])
    found = revocation.summary(redacted, revocation.read_for(redacted, written(tmp_path, ITEMS)))
    assert (found["lowered"], found["before"].get("corroborated")) == (2, None)
    # A key and a leaf are still there to be named; a witness that only redacted leaves had is not.
    assert found["unmatched"] == {"items": 1, "first": ["witness cc-index"]}


def touched(opened: Opened, revoked: Revocations) -> list[dict[str, Any]]:
    return [row for batch in revocation.touched(opened, revoked) for row in batch.to_pylist()]


@pytest.mark.parametrize("chunks", [1, 3])
def test_a_mix_is_touched_by_the_leaves_that_prove_it(frozen: Opened, tmp_path: Path, chunks: int) -> None:
    first, second = trees.standard()
    made = trees.mix(tmp_path / "mix", frozen, [first[0], second[1], first[4]], 3, floor="1/3", epochs=2, chunks=chunks)
    listed = Revocations("*", tuple(sorted(ITEMS)))
    assert sorted((row["kind"], row["key"]) for row in touched(made, listed)) == [
        ("key", key(0)),
        ("witness", key(1)),
    ]
    assert touched(made, Revocations("*", (Item("key", key(7), "not in it"),))) == []
    name, body = revocation.of_mix(made)
    assert name == frozen.id and listed.applies(name, body)
    found = revocation.mix_summary(catalog.connect(made, listed), made)
    size = {i: trees.document(i)["text_bytes"] for i in range(8)}
    bytes_ = {
        "human": 2 * (size[0] + size[1] + size[4]),
        "total": 2 * (size[0] + size[1] + size[4]) + 240,
        "touched": 2 * (size[0] + size[1]),
    }
    assert found["units"]["bytes"] == bytes_ | {"floor_holds": 3 * (bytes_["human"] - bytes_["touched"]) >= bytes_["total"]}
    assert found["units"]["documents"] == {"human": 6, "total": 9, "touched": 4, "floor_holds": False}
    assert found["units"]["tokens"] is None and (found["touched"], found["documents"], found["bytes"]) == (
        True,
        2,
        bytes_["touched"],
    )
    proof = tmp_path / "mix/proof/train-00000-of-00001.leaves.zst"
    lines = zstandard.decompress(proof.read_bytes(), 1 << 20)
    for wrong in (
        b"no leaves",
        zstandard.compress(lines.replace(b"leaf-2", b"leaf-1")),
        zstandard.compress(lines.replace(b",", b", ")),
    ):
        proof.write_bytes(wrong)
        with pytest.raises(CheckFailed, match="verify"):
            touched(made, listed)
        with pytest.raises(CheckFailed, match="does not hold a mix's leaves"):
            catalog.connect(made, listed)


def test_what_spills_does_not_lie_in_the_snapshot(frozen: Opened, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    connect = sql.connect
    monkeypatch.setattr(sql, "connect", lambda scratch: asked.append(scratch) or connect(scratch))  # type: ignore[func-returns-value]
    revocation.summary(frozen, revocation.read_for(frozen, written(tmp_path, ITEMS)))
    assert asked and not any(folder.startswith(frozen.url) for folder in asked)
