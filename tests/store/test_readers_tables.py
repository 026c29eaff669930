"""Rows: which columns become what, and that no damage, nesting or odd value loses or raises."""

import bz2
import datetime
import gzip
import io
import json
import random
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from store import reading
from store.records import Record, Unreadable

FINEWEB = {
    "text": "a text",
    "id": "<urn:uuid:1>",
    "dump": "CC-MAIN-2013-20",
    "url": "http://example.org/",
    "date": "2013-05-18T05:48:54Z",
    "file_path": "s3://commoncrawl/x.warc.gz",
    "language": "en",
    "language_score": 0.9,
    "token_count": 717,
}
DOLMA = {
    "id": "d1",
    "text": "b",
    "source": "cc",
    "added": "2023-01-01",
    "created": "2019-01-01",
    "metadata": {"origin": "human", "n": float("nan")},
}


SMALL = reading.Read(part_bytes=500)


def items(path: Path, options: reading.Read = SMALL) -> list[Record | Unreadable]:
    survey = reading.survey(str(path), options)
    found = [list(reading.read(str(path), survey.format, split, options)) for split in survey.splits]
    assert [len(part) for part in found] == [split.records for split in survey.splits]
    flat = [item for part in found for item in part]
    assert len(flat) == survey.records
    assert survey.unaccounted == 0
    assert [item.offset for item in flat] == list(range(len(flat)))
    return flat


def reasons(found: list[Record | Unreadable]) -> Counter[str]:
    return Counter(item.reason for item in found if isinstance(item, Unreadable))


def lines(rows: list[Any]) -> bytes:
    return b"".join(json.dumps(row).encode() + b"\n" for row in rows)


def write(path: Path, rows: list[dict[str, Any]], kind: str) -> Path:
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), path, row_group_size=7)
    else:
        pack: Any = {"plain": bytes, "gzip": gzip.compress, "zstd": zstandard.compress, "bzip2": bz2.compress}[kind]
        path.write_bytes(pack(lines(rows)))
    return path


KINDS = ["parquet", "plain", "gzip", "zstd", "bzip2"]


@pytest.mark.parametrize("kind", KINDS)
def test_fineweb_rows(tmp_path: Path, kind: str) -> None:
    (row,) = items(write(tmp_path / "x", [FINEWEB], kind))
    assert isinstance(row, Record)
    assert (row.text, row.id, row.url, row.date) == ("a text", "<urn:uuid:1>", "http://example.org/", "2013-05-18T05:48:54Z")
    assert (row.record_type, row.block, row.headers) == ("row", b"", {})
    assert row.columns == {
        "dump": "CC-MAIN-2013-20",
        "language": "en",
        "language_score": 0.9,
        "token_count": 717,
        "metadata": {"file_path": "s3://commoncrawl/x.warc.gz"},
    }


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_row_says_of_its_date_and_origin_is_metadata(tmp_path: Path, kind: str) -> None:
    (row,) = items(write(tmp_path / "x", [DOLMA], kind))
    assert isinstance(row, Record)
    assert row.date is None
    assert row.columns["metadata"] == {
        "source": "cc",
        "added": "2023-01-01",
        "created": "2019-01-01",
        "metadata": {"origin": "human", "n": None},
    }
    (other,) = items(write(tmp_path / "y", [{"text": "c", "date": "2001-01-01", "url": "u"}], kind))
    assert isinstance(other, Record)
    assert other.date is None and other.columns["metadata"] == {"date": "2001-01-01"}


@pytest.mark.parametrize("kind", KINDS)
def test_named_columns(tmp_path: Path, kind: str) -> None:
    row = {"body": "t", "number": 7, "link": "u", "seen": "2010-01-01T00:00:00Z", "text": None}
    options = reading.Read(text_column="body", id_column="number", url_column="link", date_column="seen")
    (found,) = items(write(tmp_path / "x", [row], kind), options)
    assert isinstance(found, Record)
    assert (found.text, found.id, found.url, found.date) == ("t", "7", "u", "2010-01-01T00:00:00Z")


@pytest.mark.parametrize("kind", KINDS)
def test_splits_keep_row_numbers(tmp_path: Path, kind: str) -> None:
    rows = [{"id": str(i), "text": f"text {i} " * 20} for i in range(50)]
    path = write(tmp_path / "x", rows, kind)
    assert [(item.offset, item.id) for item in items(path)] == [(i, str(i)) for i in range(50)]
    assert (len(reading.survey(str(path), reading.Read(part_bytes=500)).splits) > 3) == (kind in ("parquet", "plain"))


@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_odd_lines_are_counted(tmp_path: Path, kind: str) -> None:
    data = b"\n".join(
        [
            b'\xef\xbb\xbf{"text": "first"}',
            b"",
            b"  \t\r",
            b'{"text": "cut',
            b"[1]",
            b'{"text": "\xff"}',
            b'{"text": 5}',
            b'{"id": "x"}',
            b'{"text": "a", "text": "b"}',
            b'{"text": "' + b"x" * 5000 + b'"}',
            b'{"text": "deep", "m": ' + b"[" * 100 + b"]" * 100 + b"}",
            b'{"text": "deeper", "m": ' + b"[" * 200000 + b"]" * 200000 + b"}",
            b'{"text": "lone \\ud800 pair \\ud83d\\ude00", "m": "\\udfff", "n": NaN}',
            b'{"text": "last"}',
        ]
    )
    path = tmp_path / "x"
    path.write_bytes(data if kind == "plain" else gzip.compress(data))
    found = items(path, reading.Read(max_record_bytes=500_000))
    assert reasons(found) == Counter(invalid_json=1, not_an_object=1, invalid_utf8=1, no_text=2, duplicate_key=1, too_deep=2)
    assert [item.text for item in found if isinstance(item, Record)][::2] == ["first", "lone \ufffd pair \U0001f600"]
    assert found[-2].columns["metadata"] == {"m": "\ufffd", "n": None}  # type: ignore[union-attr]
    assert reasons(items(path, reading.Read(max_record_bytes=2000)))["too_large"] == 2


@pytest.mark.parametrize("pack", [partial(gzip.compress, mtime=0), zstandard.compress, bz2.compress], ids=["gzip", "zstd", "bzip2"])
def test_compressed_lines_resume_after_damage(tmp_path: Path, pack: Any) -> None:
    parts = [lines([{"id": f"{part}-{i}", "text": f"{part} {i}"} for i in range(200)]) for part in range(3)]
    members = [pack(part) for part in parts]
    path = tmp_path / "x"
    middle = members[1][: len(members[1]) // 2]
    path.write_bytes(members[0] + middle + members[2] + bytes(100))
    found = items(path)
    ids = [item.id for item in found if isinstance(item, Record)]
    assert [f"0-{i}" for i in range(200)] == ids[:200]
    assert [f"2-{i}" for i in range(200)] == ids[-200:]
    assert reasons(found)["damaged_member"] == reasons(found)["no_member"] == 1
    assert set(reasons(found)) <= {"damaged_member", "no_member", "invalid_json", "invalid_utf8", "no_text"}, (
        "a cut member may end in garbage"
    )


def test_parquet_values_that_json_lacks(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["t"],
            "bytes": [b"\x01\xff"],
            "when": pa.array([1], pa.timestamp("ns", tz="UTC")),
            "far": pa.array([1 << 60], pa.timestamp("ms")),
            "day": [datetime.date(2020, 1, 2)],
            "nan": [float("nan")],
            "nested": [{"a": [{"b": b"x"}]}],
        }
    )
    pq.write_table(table, tmp_path / "x")
    (row,) = items(tmp_path / "x")
    assert isinstance(row, Record)
    metadata = row.columns["metadata"]
    json.dumps(metadata, allow_nan=False)
    assert metadata["when"] == "1970-01-01T00:00:00+00:00"
    assert (metadata["bytes"], metadata["day"], metadata["nan"], metadata["nested"]) == (
        "01ff",
        "2020-01-02",
        None,
        {"a": [{"b": "78"}]},
    )


def test_parquet_without_text_is_rejected_row_by_row(tmp_path: Path) -> None:
    pq.write_table(pa.table({"body": ["a"] * 20}), tmp_path / "x", row_group_size=7)
    found = items(tmp_path / "x")
    assert reasons(found) == {"no_text_column": 20}
    assert "'text' (read.text_column)" in found[0].detail and "body" in found[0].detail  # type: ignore[union-attr]
    pq.write_table(pa.table({"text": [1, 2]}), tmp_path / "y")
    assert reasons(items(tmp_path / "y")) == {"no_text": 2}
    pq.write_table(pa.table({"text": ["a", None]}), tmp_path / "z")
    assert reasons(items(tmp_path / "z")) == {"no_text": 1}


def test_invalid_utf8_in_parquet_costs_its_row(tmp_path: Path) -> None:
    raw = pa.array([b"good", b"\xff\xfe", b"fine"], pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": raw}), tmp_path / "x")
    found = items(tmp_path / "x")
    assert [type(item).__name__ for item in found] == ["Record", "Unreadable", "Record"]
    assert reasons(found) == {"invalid_utf8": 1}


def test_damaged_parquet(tmp_path: Path) -> None:
    path = write(tmp_path / "x", [{"text": f"text {i} " * 30, "n": i} for i in range(50)], "parquet")
    data = path.read_bytes()
    path.write_bytes(data[:-200])
    assert reasons(items(path)) == {"damaged_table": 1}
    group = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(2).column(0)
    start = group.dictionary_page_offset or group.data_page_offset
    path.write_bytes(data[:start] + bytes(40) + data[start + 40 :])
    found = items(path)
    assert len(found) == 50
    assert reasons(found) == {"damaged_row_group": 7}


def test_any_flip_of_a_parquet_file_is_counted(tmp_path: Path) -> None:
    data = write(tmp_path / "x", [{"text": f"text {i}", "n": i} for i in range(20)], "parquet").read_bytes()
    for position in range(4, len(data), 37):
        (tmp_path / "y").write_bytes(data[:position] + bytes([data[position] ^ 0x41]) + data[position + 1 :])
        items(tmp_path / "y")


@pytest.mark.parametrize("kind", ["plain", "gzip"])
def test_lines_longer_than_a_chunk(tmp_path: Path, kind: str) -> None:
    path = write(tmp_path / "x", [{"text": "x" * (700_000 * i)} for i in range(6)], kind)
    options = reading.Read()
    assert [len(item.text or "") for item in items(path, options) if isinstance(item, Record)] == [700_000 * i for i in range(6)]
    assert reading.survey(str(path), options).boundaries == 6


def test_the_count_of_lines_sees_what_a_reader_passes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from store.readers import jsonl

    path = write(tmp_path / "x", [{"text": str(i)} for i in range(9)], "gzip")
    whole = jsonl._items
    monkeypatch.setattr(jsonl, "_items", lambda *arguments: list(whole(*arguments))[:7])
    survey = reading.survey(str(path), reading.Read())
    assert (survey.records, survey.boundaries, survey.unaccounted) == (7, 9, 2)


def test_a_flipped_bit_in_bzip2_costs_its_stream_and_gives_no_wrong_line(tmp_path: Path) -> None:
    parts = [lines([{"id": f"{part}-{i}", "text": f"{part} {i}"} for i in range(500)]) for part in range(3)]
    streams = [bz2.compress(part) for part in parts]
    good = {f"{part}-{i}" for part in range(3) for i in range(500)}
    for at in range(len(streams[0]) + 12, len(streams[0]) + len(streams[1]) - 12, 211):
        data = bytearray(b"".join(streams))
        data[at] ^= 0x10
        (tmp_path / "x").write_bytes(data)
        found = items(tmp_path / "x")
        assert reasons(found) == {"damaged_member": 1}
        assert {item.id for item in found if isinstance(item, Record)} == {name for name in good if name[0] != "1"}


def test_bzip2_gives_only_bytes_of_blocks_whose_checksums_agree() -> None:
    from store.readers._bzip2 import Bzip2
    from store.readers._source import Source

    words = random.Random(7).choices(
        "lorem ipsum dolor sit amet consectetur adipiscing elit sed do eiusmod tempor".split(), k=900_000
    )
    text = " ".join(words).encode()
    packed = bytearray(bz2.compress(text))
    packed[len(packed) * 95 // 100] ^= 8
    member = Bzip2().open(Source(io.BytesIO(packed)), 0)
    out = b"".join(iter(lambda: member.read(1 << 20), b""))
    assert member.fault is not None and member.fault[0] == "damaged_member"
    assert out and text.startswith(out)
