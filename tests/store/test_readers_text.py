"""Plain text under its preset, and the table beside it."""

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store import reading
from store.errors import UsageError
from store.records import Record, Unreadable

ROWS = [
    {
        "file_path": "a/one.txt",
        "id": "1",
        "url": "http://a.example/1",
        "date": "2001-02-03T04:05:06Z",
        "language": "nb",
        "author": "x",
    },
    {"file_path": "two.txt", "date": "1999-01-01"},
]


def item(path: Path, file_path: str | None = None, **options: Any) -> Record | Unreadable:
    read = reading.Read(**{"preset": "text", **options})
    survey = reading.survey(str(path), read)
    assert (survey.records, survey.unaccounted) == (1, 0)
    (found,) = (found for split in survey.splits for found in reading.read(str(path), survey.format, split, read, file_path))
    return found


def table(path: Path, kind: str, rows: list[dict[str, Any]] = ROWS) -> str:
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif kind == "jsonl":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        names = list(rows[0])
        path.write_text(
            "\ufeff"
            + "\r\n".join(",".join(str(row.get(name, "")) for name in names) for row in [{name: name for name in names}, *rows])
        )
    return str(path)


@pytest.mark.parametrize(
    "data",
    [
        "blåbær\r\n".encode(),
        "\ufeffblåbær\r\n".encode(),
        "\ufeffblåbær\r\n".encode("utf-16-le"),
        "\ufeffblåbær\r\n".encode("utf-32-be"),
    ],
)
def test_a_file_is_a_record(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    found = item(tmp_path / "x")
    assert isinstance(found, Record)
    assert (found.text, found.id, found.url, found.date, found.record_type) == ("blåbær\r\n", None, None, None, "row")


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("blåbær".encode("latin-1"), "invalid_utf8"),
        (b"\xff\xfea", "invalid_text"),
        (b"", "empty_file"),
        (b"\x1f\x8b\x08\x00", "format_not_supported"),
        (b"a\0b", "format_not_supported"),
        (b"a" * 2000, "too_large"),
    ],
)
def test_what_is_no_text_is_said(tmp_path: Path, data: bytes, reason: str) -> None:
    (tmp_path / "x").write_bytes(data)
    found = item(tmp_path / "x", max_record_bytes=1024)
    assert isinstance(found, Unreadable) and found.reason == reason


def test_no_file_is_text_without_the_preset_and_all_are_with_it(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"just a text")
    assert reading.survey(str(tmp_path / "x"), reading.Read()).format is None
    (tmp_path / "y").write_bytes(b'{"text": "a line of JSON"}\n')
    assert isinstance(found := item(tmp_path / "y"), Record) and found.text == '{"text": "a line of JSON"}\n'


@pytest.mark.parametrize("kind", ["parquet", "jsonl", "csv"])
def test_the_sidecar_says_what_is_known_of_a_file(tmp_path: Path, kind: str) -> None:
    side = table(tmp_path / "side", kind)
    (tmp_path / "one.txt").write_text("one")
    found = item(tmp_path / "one.txt", "a/one.txt", sidecar=side)
    assert isinstance(found, Record)
    assert (found.text, found.id, found.url, found.date) == ("one", "1", "http://a.example/1", "2001-02-03T04:05:06Z")
    assert found.columns["language"] == "nb"
    assert {name: value for name, value in found.columns["metadata"].items() if value is not None} == {"author": "x"}
    assert isinstance(found := item(tmp_path / "one.txt", "b/two.txt", sidecar=side), Record) and found.date == "1999-01-01"
    assert isinstance(found := item(tmp_path / "one.txt", "b/one.txt", sidecar=side), Record) and (found.text, found.date) == (
        "one",
        None,
    )


def test_the_sidecar_is_no_document_and_stands_by_its_digest(tmp_path: Path) -> None:
    side = table(tmp_path / "side.csv", "csv")
    found = item(Path(side), "side.csv", sidecar=side)
    assert isinstance(found, Unreadable) and found.reason == "sidecar"
    options = reading.Read(preset="text", sidecar=side)
    assert reading.portable(options).sidecar == "sha256:" + hashlib.sha256(Path(side).read_bytes()).hexdigest()
    assert reading.portable(reading.Read()) == reading.Read()


def test_rows_and_files_that_do_not_meet_are_said(tmp_path: Path) -> None:
    options = reading.Read(preset="text", sidecar=table(tmp_path / "side", "jsonl"))
    found = reading.coverage(options, ["a/one.txt", "b/three.txt"])
    assert (found.without_row, found.without_file) == (("b/three.txt",), ("two.txt",))
    with pytest.raises(UsageError, match=r"'two\.txt', and 2 files"):
        reading.coverage(options, ["a/two.txt", "b/two.txt"])
    assert reading.coverage(reading.Read(), ["x"]).without_row == ()


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b'{"file_path": "a"}\n{"file_path": "./a"}\n', "two rows"),
        (b"name,date\na,b\n", "file_path"),
        (b'{"file_path": 5}\n', "file_path"),
        (b"[1]\n", "file_path"),
        (b'{"file_path": "a"\n', "no table"),
        (b"PAR1\0\0", "no table"),
        (b"file_path\n\xff\n", "no table"),
    ],
)
def test_a_sidecar_that_cannot_be_used_is_refused(tmp_path: Path, data: bytes, message: str) -> None:
    (tmp_path / "side").write_bytes(data)
    with pytest.raises(UsageError, match=message):
        reading.coverage(reading.Read(preset="text", sidecar=str(tmp_path / "side")), ["a"])


def test_a_sidecar_needs_its_preset_and_to_be_there(tmp_path: Path) -> None:
    with pytest.raises(msgspec.ValidationError, match=r"read.preset"):
        msgspec.convert({"sidecar": "x.csv"}, reading.Read)
    with pytest.raises(UsageError, match="cannot be read"):
        reading.portable(reading.Read(preset="text", sidecar=str(tmp_path / "none.csv")))
