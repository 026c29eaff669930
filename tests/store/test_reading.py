"""SOURCES, formats by content, and what holds of every reader that lies in the folder."""

import bz2
import gzip
import hashlib
import inspect
import io
import json
import os
import zipfile
from pathlib import Path

import fsspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store import reading
from store.errors import UsageError
from store.records import Record, Split, Unreadable

OPTIONS = reading.Read(part_bytes=300)
WARC = b"".join(b"WARC/1.0\r\nWARC-Type: resource\r\nContent-Length: 9\r\n\r\npage %04d\r\n\r\n" % i for i in range(30))
LINES = b"".join(json.dumps({"text": f"line {i}"}).encode() + b"\n" for i in range(100))


def table() -> bytes:
    sink = io.BytesIO()
    pq.write_table(pa.table({"text": [f"row {i}" for i in range(40)]}), sink, row_group_size=9)
    return sink.getvalue()


SAMPLES = {"warc": WARC, "warc.gz": gzip.compress(WARC), "jsonl": LINES, "jsonl.gz": gzip.compress(LINES), "parquet": table()}


def wacz() -> bytes:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        for name, data in (("datapackage.json", b"{}"), ("archive/data.warc.gz", gzip.compress(WARC)), ("indexes/index.cdx", b"")):
            archive.writestr(name, data)
    return sink.getvalue()


WIKI = (
    b"<mediawiki>"
    + b"".join(b"<page><ns>0</ns><revision><text>page %d</text></revision></page>" % i for i in range(30))
    + b"</mediawiki>"
)
ARC = b"filedesc://x.arc 0.0.0.0 20010101000000 text/plain 9\n1 0 Archi\n\n" + b"".join(
    b"http://a.example/%d 127.0.0.1 20010101000000 text/html 5\nhello\n" % i for i in range(30)
)
SAMPLES |= {
    "wacz": wacz(),
    "wikipedia": WIKI,
    "wikipedia.bz2": bz2.compress(WIKI[:900]) + bz2.compress(WIKI[900:]),
    "jsonl.bz2": bz2.compress(LINES),
    "arc": ARC,
}
ODD = {
    "empty": b"",
    "zeros": bytes(1000),
    "newlines": b"\r\n" * 500,
    "text": b"just a text\n" * 20,
    "empty gzip": gzip.compress(b""),
    "gzip magic": b"\x1f\x8b\x08",
    "zstd magic": b"\x28\xb5\x2f\xfd",
    "zstd dictionary": b"\x5d\x2a\x4d\x18\xff\xff\xff\xff",
    "parquet magic": b"PAR1",
    "bzip2 magic": b"BZh9",
    "empty bzip2": bz2.compress(b""),
    "mediawiki": b"<mediawiki>",
    "warc start": b"WARC/1.0",
    "brace": b'{"',
}
BLOBS = (
    SAMPLES
    | ODD
    | {f"{name} cut at {at}": data[:at] for name, data in SAMPLES.items() for at in (1, 5, 60, len(data) // 2, len(data) - 1)}
)


@pytest.mark.parametrize("name", reading.readers())
def test_reader_contract(name: str) -> None:
    module = reading.readers()[name]
    assert module.__doc__ and name == module.NAME
    assert list(inspect.signature(module.sniff).parameters) == ["head"]
    assert list(inspect.signature(module.survey).parameters) == ["stream", "options"]
    assert list(inspect.signature(module.read).parameters) == ["stream", "split", "options"]
    known = 0
    for label, data in BLOBS.items():
        if not module.sniff(data[: 1 << 16]):
            continue
        known += 1
        found = module.survey(io.BytesIO(data), OPTIONS)
        parts = [list(module.read(io.BytesIO(data), split, OPTIONS)) for split in found.splits]
        assert [len(part) for part in parts] == [split.records for split in found.splits], label
        assert sum(map(len, parts)) == found.records, label
        assert found.unaccounted == 0, label
        items = [item for part in parts for item in part]
        assert all(isinstance(item, Record | Unreadable) for item in items)
        places = [(item.offset, item.member_offset) for item in items]
        assert places == sorted(set(places)), label
    assert known, "no sample is of this format: add one to SAMPLES"


@pytest.mark.parametrize("label", BLOBS)
def test_any_file_is_counted(tmp_path: Path, label: str) -> None:
    path = tmp_path / "misleading.warc.gz"
    path.write_bytes(BLOBS[label])
    survey = reading.survey(str(path), OPTIONS)
    assert (survey.sha256, survey.size) == (hashlib.sha256(BLOBS[label]).hexdigest(), len(BLOBS[label]))
    items = [item for split in survey.splits for item in reading.read(str(path), survey.format, split, OPTIONS)]
    assert len(items) == survey.records >= 1


@pytest.mark.parametrize(
    ("data", "reason", "named"),
    [
        (b"", "empty_file", ""),
        (b"BZh91AY&SY", "format_not_supported", "bzip2"),
        (gzip.compress(b"%PDF-1.4", mtime=0), "format_not_supported", "PDF in gzip"),
        (b"PK\x03\x04" + gzip.compress(WARC, mtime=0), "format_not_supported", "WACZ"),
        (b"<html>WARC/1.0\nWARC/1.0\nWARC-Type: x", "format_not_supported", "markup"),
        (b"\x00\x01garbage", "format_not_supported", "garbage"),
    ],
)
def test_what_no_reader_knows_is_one_unreadable(tmp_path: Path, data: bytes, reason: str, named: str) -> None:
    path = tmp_path / "x.warc.gz"
    path.write_bytes(data)
    survey = reading.survey(str(path), OPTIONS)
    assert (survey.format, survey.records, survey.unaccounted) == (None, 1, 0)
    (item,) = [item for split in survey.splits for item in reading.read(str(path), None, split, OPTIONS)]
    assert isinstance(item, Unreadable)
    assert item.reason == reason and named in item.detail


def test_splits_survive_json(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(LINES)
    for split in reading.survey(str(path), OPTIONS).splits:
        fields = {name: getattr(split, name) for name in Split.__slots__}
        assert Split(**json.loads(json.dumps(fields))) == split


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    for name in ("b.warc", "a/c.warc", "a/b/d.jsonl", ".hidden", ".git/e.warc", "a/.f"):
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")
    return tmp_path / "tree"


def paths(*sources: object) -> list[str]:
    return [path for _, path in reading.expand([str(source) for source in sources])]


def test_expand(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert paths(tree) == ["a/b/d.jsonl", "a/c.warc", "b.warc"]
    assert paths(f"{tree}/") == paths(tree)
    assert paths(tree / "a" / "c.warc") == ["c.warc"]
    assert paths(tree / ".hidden") == [".hidden"]
    assert paths(tree / "*.warc") == ["b.warc"]
    assert paths(tree / "**" / "*.warc") == ["a/c.warc", "b.warc"]
    assert paths(tree / "*") == ["a/b/d.jsonl", "a/c.warc", "b.warc"]
    assert paths(tree / "a" / "?.warc") == ["c.warc"]
    assert paths(f"file://{tree}/a/c.warc") == ["c.warc"]
    monkeypatch.chdir(tree)
    assert paths("b.warc", "a") == ["b.warc", "b/d.jsonl", "c.warc"]
    assert all(os.path.isfile(url) for url, _ in reading.expand(["."]))


def test_expand_counts_a_file_once(tree: Path) -> None:
    (tree / "link.warc").symlink_to(tree / "b.warc")
    assert paths(tree / "b.warc", tree, f"{tree}/a/../b.warc", tree / "*.warc") == ["b.warc", "a/b/d.jsonl", "a/c.warc"]


def test_expand_takes_brackets_in_names_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "x[1].warc").write_bytes(b"")
    assert paths(tmp_path / "x[1].warc") == ["x[1].warc"]


def test_expand_other_file_systems(tmp_path: Path) -> None:
    fs = fsspec.filesystem("memory")
    fs.pipe("/reading/a/x.warc", WARC)
    found = reading.expand(["memory://reading"])
    assert found == [("memory:///reading/a/x.warc", "a/x.warc")] or found == [("memory://reading/a/x.warc", "a/x.warc")]
    assert reading.survey(found[0][0], OPTIONS).records == 30
    fs.rm("/reading", recursive=True)


@pytest.mark.parametrize("source", ["missing.warc", "*.nothing", "nope://x", "empty"])
def test_expand_refuses_what_names_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="SOURCE"):
        reading.expand([source])
