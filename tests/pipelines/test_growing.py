"""The step that grows the tree: files of so many leaves, their places, the root and the proof, and parents that are not sound."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines import growing
from provenance.identity import Tree, check_consistency
from provenance.schema import LEAVES
from store import files, tables
from store.errors import CheckFailed
from tests import trees


def fresh(folder: Path, rows: list[dict[str, Any]], piece: int = 4) -> list[str]:
    """Files of sealed leaves, without their places in the tree."""
    urls = []
    for at in range(0, len(rows), piece):
        made = [{name: row.get(name) for name in LEAVES.names} | {"index": None} for row in rows[at : at + piece]]
        tables.write(str(folder), f"{at}.parquet", pa.Table.from_pylist(made, schema=LEAVES), LEAVES)
        urls.append(f"{folder}/{at}.parquet")
    return urls


def grow(folder: Path, rows: list[dict[str, Any]], part: dict[str, Any]) -> dict[str, Any]:
    step = growing.GrowTree({"folder": str(folder / "out"), "prefix": "00001-x"})
    return step.part(part | {"fresh": fresh(folder / "fresh", rows), "added": len(rows)})


NOTHING: dict[str, Any] = {"leaves": [], "size": 0, "root": ""}


@pytest.mark.parametrize("room", [1, 3, 5, 11, 100])
def test_leaves_are_cut_into_files_of_so_many(room: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "LEAVES_PER_FILE", room)
    monkeypatch.setattr(growing.sql, "stream", lambda con, sql: con.sql(sql).to_arrow_reader(4))
    rows = [trees.with_leaf(trees.document(i)) for i in range(11)]
    parent = Tree([bytes([i]) * 32 for i in range(5)])
    before = pa.Table.from_pylist(
        [dict.fromkeys(LEAVES.names) | {"index": i, "key": "k", "leaf": parent.leaf(i).hex()} for i in range(5)], schema=LEAVES
    )
    tables.write(str(tmp_path), "before.parquet", before, LEAVES)
    part = {"leaves": [f"{tmp_path}/before.parquet"], "size": 5, "root": parent.root.hex()}
    found = grow(tmp_path, rows, part)
    assert [entry["path"] for entry in found["files"]] == [f"leaves/00001-x-{i:05d}.parquet" for i in range(-(-11 // room))]
    assert [entry["rows"] for entry in found["files"]] == [min(room, 11 - at) for at in range(0, 11, room)]
    urls = [files.join(str(tmp_path / "out"), entry["path"]) for entry in found["files"]]
    assert [files.file_digest(url)[0] for url in urls] == [entry["sha256"] for entry in found["files"]]
    written = tables.read(urls)
    assert written["index"].to_pylist() == list(range(5, 16))
    assert written["key"].to_pylist() == sorted(row["key"] for row in rows)
    whole = Tree([parent.leaf(i) for i in range(5)] + [bytes.fromhex(text) for text in written["leaf"].to_pylist()])
    assert (found["size"], found["root"]) == (16, whole.root.hex())
    check_consistency(5, parent.root, 16, whole.root, [bytes.fromhex(node) for node in found["consistency"]])


def test_without_leaves_there_is_no_file(tmp_path: Path) -> None:
    found = growing.GrowTree({"folder": str(tmp_path), "prefix": "00000-x"}).part(
        NOTHING | {"fresh": [], "added": 0, "root": Tree([]).root.hex()}
    )
    assert found == {"files": [], "size": 0, "root": Tree([]).root.hex(), "consistency": []}


def test_two_first_leaves_of_one_key_are_refused_across_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "LEAVES_PER_FILE", 1)
    rows = [trees.with_leaf(trees.document(1, witness=witness)) for witness in ("one", "two")]
    with pytest.raises(RuntimeError, match="two leaves have the key"):
        grow(tmp_path, rows, NOTHING | {"root": Tree([]).root.hex()})


@pytest.mark.parametrize("text", ["ab" * 32, "no hash"])
def test_nothing_grows_from_leaves_that_are_not_the_parents(text: str, tmp_path: Path) -> None:
    made = trees.snapshot(tmp_path / "snapshot", trees.standard()[:1])
    url = made.files("leaves")[0]
    rows = tables.read([url]).to_pylist()
    rows[2]["leaf"] = text
    tables.write(made.url, made.entries("leaves")[0]["path"], pa.Table.from_pylist(rows, schema=LEAVES), LEAVES)
    part = {"leaves": [url], "size": made.manifest["tree"]["size"], "root": made.manifest["tree"]["root"]}
    with pytest.raises(CheckFailed, match="Run verify on"):
        grow(tmp_path, [trees.with_leaf(trees.document(9))], part)
