"""Files against the manifest that lists them: digests, sizes, what is missing or too much, and the first wrong row."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.schema import MATCHES
from store import integrity, manifest, tables
from store.damage import WHOLE, Decoder, Fault, describe, earliest, hold, page_fault
from store.errors import CheckFailed
from tests.pipelines import _fixtures as fixtures
from tests.store.frozen import simple

SCHEMA = pa.schema([("key", pa.string()), ("value", pa.int64())])


def table(base: Path, rows: int = 20000) -> dict[str, object]:
    values = pa.table({"key": [f"{at:032x}" for at in range(rows)], "value": list(range(rows))}, schema=SCHEMA)
    return tables.write(str(base), "some/rows.parquet", values, SCHEMA)


def flip(file: Path, place: int) -> None:
    data = bytearray(file.read_bytes())
    data[place] ^= 1
    file.write_bytes(data)


def test_a_wrong_file_is_named_with_its_first_wrong_row(tmp_path: Path) -> None:
    entry, file = table(tmp_path), tmp_path / "some/rows.parquet"
    chunk = pq.ParquetFile(file).metadata.row_group(1).column(0)
    flip(file, chunk.data_page_offset + chunk.total_compressed_size // 2)
    found = integrity.Findings()
    told: list[int] = []
    integrity.check_files(str(tmp_path), [entry], found, told.append)
    assert found.wrong == ["some/rows.parquet"] and not told and not found.whole
    assert f"first wrong row: {tables.ROW_GROUP:,} (column key" in found.why["some/rows.parquet"]


def test_right_missing_and_unreadable_files_are_told_apart(tmp_path: Path) -> None:
    entry = table(tmp_path)
    (tmp_path / "folder").mkdir()
    found = integrity.Findings()
    others = [entry | {"path": "some/none.parquet"}, entry | {"path": "folder"}]
    integrity.check_files(str(tmp_path), [entry, *others], found)
    assert (found.missing, found.wrong, found.bytes) == (["some/none.parquet"], ["folder"], entry["size"])


def test_a_change_outside_of_the_rows_is_said_to_be_one(tmp_path: Path) -> None:
    table(tmp_path, 10)
    file = tmp_path / "some/rows.parquet"
    with file.open("ab"):
        pass
    assert page_fault(hold(str(file), 1)) is None
    assert "every row can be read" in describe(str(file), 1)
    assert describe(str(tmp_path / "manifest.json"), 1) == ""
    file.write_bytes(file.read_bytes()[:100])
    assert "footer" in describe(str(file), 1)


def test_files_too_large_for_memory_are_read_where_they_lie(tmp_path: Path) -> None:
    table(tmp_path, 10)
    url = str(tmp_path / "some/rows.parquet")
    small, large = hold(url, 1), hold(url, WHOLE + 1)
    assert small.data is not None and large.data is None
    assert (small.sha256, small.size) == (large.sha256, large.size)
    for held in (small, large):
        assert sum(batch.num_rows for batch in Decoder(held)) == 10


def test_rows_that_are_no_text_end_the_decoding(tmp_path: Path) -> None:
    values = pa.table({"key": pa.array([b"good", b"\xff\xfe", b"late"])})
    pq.write_table(values, tmp_path / "a.parquet", use_dictionary=False, store_schema=False)
    data = (tmp_path / "a.parquet").read_bytes()
    batch = pa.record_batch([pa.Array.from_buffers(pa.string(), 3, values["key"].chunk(0).buffers())], names=["key"])
    from store.damage import _valid_rows

    assert data and _valid_rows(batch) == 1
    assert _valid_rows(batch.slice(0, 1)) == 1


def test_the_earliest_fault_is_the_one_of_the_lowest_row() -> None:
    late, early, none = Fault(9, "late"), Fault(0, "early"), Fault(None, "no row")
    assert earliest(late, None, early, none) == early
    assert earliest(none, late) == late
    assert earliest(none) == none
    assert earliest(None) is None


def test_what_rests_on_a_changed_file_is_refused(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    integrity.require(opened, ["documents", "leaves"])
    path = opened.entries("leaves")[0]["path"]
    flip(tmp_path / path, 200)
    integrity.require(opened, ["documents"])
    with pytest.raises(CheckFailed, match=path):
        integrity.require(opened, ["documents", "leaves"])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({}, ""),
        ({"scope": "run"}, "equal none of a snapshot"),
        ({"snapshot": "0" * 64}, "equal none of a snapshot"),
        ({"identical": False}, "equal none of a snapshot"),
        ({"other": "0" * 32}, "equal none of a snapshot"),
    ],
    ids=str,
)
def test_a_human_tag_rests_on_equality_with_a_document_of_a_snapshot(tmp_path: Path, change: dict[str, object], said: str) -> None:
    known = fixtures.snapshot(tmp_path / "snapshot", 40)
    opened = fixtures.run(tmp_path / "run", 60, known)
    assert opened.manifest["counts"]["origins"]["human"] > 0
    entries = []
    for entry in opened.manifest["files"]:
        if entry["path"].startswith("matches/"):
            rows = [row | change for row in tables.read([f"{opened.url}/{entry['path']}"]).to_pylist()]
            entry = tables.write(opened.url, entry["path"], pa.Table.from_pylist(rows, schema=MATCHES), MATCHES)
        entries.append(entry)
    kept = {name: value for name, value in opened.manifest.items() if name not in ("id", "schema_version", "data_version")}
    found = integrity.check_run(manifest.write(opened.url, kept | {"files": entries}))
    assert said in found.why.get("manifest.json", "") and found.clean is (not said)


def test_an_earlier_runs_id_makes_no_tag_human(tmp_path: Path) -> None:
    known = fixtures.snapshot(tmp_path / "snapshot", 40)
    opened = fixtures.run(tmp_path / "run", 60, known)
    body = {name: value for name, value in opened.manifest.items() if name not in ("id", "schema_version", "data_version")}
    found = integrity.check_run(manifest.write(opened.url, body | {"snapshots": [], "runs": [{"id": known.id}]}))
    assert "equal none of a snapshot" in found.why["manifest.json"]
