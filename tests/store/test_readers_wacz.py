"""WACZ: the WARC files in it as the WARC reader reads them, everything else counted, and zip files that lie."""

import gzip
import hashlib
import io
import json
import random
import re
import struct
import warnings
import zipfile
import zlib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from store import reading
from store.readers import wacz
from store.readers._members import Content
from store.readers._source import Source
from store.readers._zip import layout
from store.records import Record, Unreadable
from tests.store.test_readers_arc import damaged
from tests.store.test_readers_warc import GZIP, MEMBERS, PLAIN, RECORDS, SMALL, counts, flipped, items, made

Members = list[tuple[str, bytes, int]]
PAGES = ("pages/pages.jsonl", b'{"format": "json-pages-1.0"}\n', zipfile.ZIP_DEFLATED)
INDEX = ("indexes/index.cdx", b"org,example)/ 20200102030405 {}\n", zipfile.ZIP_STORED)


def package(members: Members) -> bytes:
    resources = [{"path": name, "hash": "sha256:" + hashlib.sha256(data).hexdigest()} for name, data, _ in members]
    return json.dumps({"profile": "data-package", "resources": resources}).encode()


def zipped(members: Members, described: bool = False) -> bytes:
    """A zip file; `described` writes sizes behind the data, as a writer that cannot seek has to."""
    out = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(_Pipe(out) if described else out, "w") as archive:
        warnings.simplefilter("ignore")
        for name, data, method in members:
            archive.writestr(zipfile.ZipInfo(name), data, method)
    return out.getvalue()


class _Pipe(io.RawIOBase):
    """A sink that cannot seek."""

    def __init__(self, out: io.BytesIO):
        self._out = out

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        return self._out.write(data)


def made_wacz(
    warc: bytes = GZIP, method: int = zipfile.ZIP_STORED, name: str = "archive/data.warc.gz", described: bool = False
) -> bytes:
    members: Members = [INDEX, (name, warc, method), PAGES]
    return zipped([*members, ("datapackage.json", package(members), zipfile.ZIP_DEFLATED)], described)


WACZ = made_wacz()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def placed(data: bytes, name: str = "archive/data.warc.gz") -> zipfile.ZipInfo:
    return zipfile.ZipFile(io.BytesIO(data)).getinfo(name)


def data_start(data: bytes, name: str = "archive/data.warc.gz") -> int:
    entry = placed(data, name)
    lengths = struct.unpack_from("<2H", data, entry.header_offset + 26)
    return entry.header_offset + 30 + sum(lengths)


@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("warc", [PLAIN, GZIP, gzip.compress(PLAIN)], ids=["plain", "gzip", "one member"])
def test_every_record_of_the_warc_is_read(path: Path, warc: bytes, method: int, described: bool) -> None:
    data = made_wacz(warc, method, described=described)
    found = items(path, data)
    assert counts(found) == (20, Counter(wacz_member=3))
    blocks = [record[record.index(b"\r\n\r\n") + 4 : -4] for record in RECORDS]
    assert [item.block for item in found if isinstance(item, Record)] == blocks
    survey = reading.survey(str(path), SMALL)
    assert (survey.format, survey.damage, survey.boundaries) == ("wacz", None, 24)


def test_offsets_are_those_of_the_bytes_in_the_file(path: Path) -> None:
    start = data_start(WACZ)
    expected = [(start + sum(map(len, MEMBERS[:number])), 0) for number in range(20)]
    assert [(item.offset, item.member_offset) for item in items(path, WACZ) if isinstance(item, Record)] == expected
    data = made_wacz(PLAIN, zipfile.ZIP_DEFLATED)
    header = placed(data).header_offset
    assert [(item.offset, item.member_offset) for item in items(path, data) if isinstance(item, Record)] == [
        (header, number) for number in range(20)
    ]


def test_a_stored_warc_is_split(path: Path) -> None:
    path.write_bytes(WACZ)
    assert len(reading.survey(str(path), SMALL).splits) > 5


def test_bytes_and_not_names_say_what_is_a_warc(path: Path) -> None:
    members: Members = [
        INDEX,
        ("archive/notes.warc", b"no archive", zipfile.ZIP_STORED),
        ("extra/a.bin", GZIP, zipfile.ZIP_STORED),
        ("data/archive/b.warc", PLAIN, zipfile.ZIP_STORED),
        ("archive/nested.wacz", WACZ, zipfile.ZIP_STORED),
        ("archive/empty.warc", b"", zipfile.ZIP_STORED),
        ("archive/", b"", zipfile.ZIP_STORED),
    ]
    found = items(path, zipped(members))
    assert counts(found) == (40, Counter(wacz_member=5))
    assert any("a zip file" in item.detail for item in found if isinstance(item, Unreadable))


def test_members_of_one_name_are_all_read(path: Path) -> None:
    one: Members = [("archive/a.warc", made(1), zipfile.ZIP_STORED), ("archive/a.warc", made(2), zipfile.ZIP_DEFLATED)]
    assert counts(items(path, zipped(one))) == (2, Counter())


# What does not agree.


def told(found: list[Record | Unreadable]) -> list[str]:
    return [item.detail for item in found if isinstance(item, Unreadable) and item.reason == "wacz_digest_disagrees"]


@pytest.mark.parametrize("lies", [1, 2])
@pytest.mark.parametrize("first", [False, True], ids=["behind", "in front"])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_a_wrong_sha256_is_said_and_no_damage(path: Path, method: int, first: bool, lies: int) -> None:
    warcs: Members = [(f"archive/{name}.warc.gz", GZIP, method) for name in "abc"]
    lie = package([(name, PLAIN if number < lies else data, method) for number, (name, data, method) in enumerate(warcs)])
    says: Members = [("datapackage.json", lie, zipfile.ZIP_DEFLATED)]
    found = items(path, zipped([INDEX, *says, *warcs] if first else [INDEX, *warcs, *says]))
    assert counts(found) == (60, Counter(wacz_member=1, wacz_digest_disagrees=1))
    hashed = [hashlib.sha256(data).hexdigest() for data in (GZIP, PLAIN)]
    assert told(found) == [
        f"the SHA-256 of 'archive/a.warc.gz' is {hashed[0]}, datapackage.json says {hashed[1]}; WARCs that disagree: {lies}"
    ]
    assert reading.survey(str(path), SMALL).damage is None


def test_digests_in_their_old_place_are_checked(path: Path) -> None:
    for digest, false in ((hashlib.sha256(GZIP).hexdigest(), False), ("0" * 64, True)):
        package = {"resources": [None, {"path": 3}, {"path": "archive/a.warc.gz", "stats": {"hash": digest}, "hashing": "sha256"}]}
        found = items(path, zipped([("archive/a.warc.gz", GZIP, 0), ("datapackage.json", json.dumps(package).encode(), 0)]))
        assert counts(found)[0] == 20 and bool(told(found)) is false


def test_the_digest_of_what_is_no_warc_is_not_checked(path: Path) -> None:
    lie = package([("archive/data.warc.gz", GZIP, 0), ("indexes/index.cdx", b"another", 0)])
    found = items(path, zipped([INDEX, ("archive/data.warc.gz", GZIP, 0), ("datapackage.json", lie, 0)]))
    assert counts(found) == (20, Counter(wacz_member=2))


def test_a_warc_that_the_crc_denies_is_not_held_against_datapackage(path: Path) -> None:
    data = made_wacz(PLAIN)
    found = items(path, flipped(data, data.index(b"<p>page 7<") + 8))
    assert counts(found) == (20, Counter(wacz_member=3))
    assert reading.survey(str(path), SMALL).damage is not None


@pytest.mark.parametrize(
    "text", [b"", b"[" * 100_000, b"{", b"\xff\xfe", b"[]", b'{"resources": {}}', b'{"resources": [{"path": [], "hash": 1}]}']
)
def test_a_datapackage_that_cannot_be_read_says_nothing(path: Path, text: bytes) -> None:
    data = zipped([("archive/a.warc.gz", GZIP, 0), ("datapackage.json", text, 0)])
    assert counts(items(path, data)) == (20, Counter(wacz_member=1))
    assert reading.survey(str(path), SMALL).damage is None


def test_a_wrong_crc_puts_the_warc_into_the_damage(path: Path) -> None:
    data = zipped([INDEX, ("archive/a.warc", PLAIN, zipfile.ZIP_STORED)])
    at = data.index(b"<p>page 7<") + 8
    found = items(path, flipped(data, at))  # a page's text, which the record's own length does not betray
    assert counts(found) == (20, Counter(wacz_member=1))
    damage = reading.survey(str(path), SMALL).damage
    assert damage is not None and all(damage[0] <= item.offset <= damage[1] for item in found if isinstance(item, Record))


def test_damage_inside_a_warc_costs_its_record_only(path: Path) -> None:
    at = data_start(WACZ) + sum(map(len, MEMBERS[:7])) + 80
    assert counts(items(path, flipped(WACZ, at))) == (19, Counter(wacz_member=3, damaged_member=1))


def test_damaged_deflate_keeps_what_lies_before(path: Path) -> None:
    data = made_wacz(PLAIN, zipfile.ZIP_DEFLATED)
    entry = placed(data)
    at = entry.header_offset + 60 + entry.compress_size // 2
    records, reasons = counts(items(path, flipped(data, at)))
    assert 0 < records <= 20 and reasons["damaged_member"] == 1
    found = items(path)
    damage = reading.survey(str(path), SMALL).damage
    assert damage is not None and all(damage[0] <= item.offset <= damage[1] for item in found if isinstance(item, Record))


# What zip files may say.


def patched(data: bytes, at: int, form: str, *values: int) -> bytes:
    field = struct.pack(form, *values)
    return data[:at] + field + data[at + len(field) :]


def central(data: bytes, number: int) -> int:
    """Position of an entry of the central directory."""
    at = data.index(b"PK\x01\x02")
    for _ in range(number):
        at = data.index(b"PK\x01\x02", at + 1)
    return at


def test_an_encrypted_member_is_one_item(path: Path) -> None:
    header = placed(WACZ).header_offset
    for at in (header + 6, central(WACZ, 1) + 8):
        assert counts(items(path, patched(WACZ, at, "<H", 1))) == (0, Counter(wacz_member=3, wacz_encrypted=1))


def test_another_compression_is_one_item(path: Path) -> None:
    data = patched(patched(WACZ, placed(WACZ).header_offset + 8, "<H", 93), central(WACZ, 1) + 10, "<H", 93)
    assert counts(items(path, data)) == (0, Counter(wacz_member=3, wacz_compression=1))
    data = made_wacz(PLAIN, zipfile.ZIP_BZIP2)
    assert counts(items(path, data)) == (0, Counter(wacz_member=3, wacz_compression=1))


@pytest.mark.parametrize(
    ("at", "form", "values"),
    [
        pytest.param(46, "<4s", (b"evil",), id="another name"),
        pytest.param(10, "<H", (8,), id="another method"),
        pytest.param(16, "<L", (1,), id="another checksum"),
        pytest.param(20, "<2L", (40, 40), id="a smaller size"),
        pytest.param(20, "<2L", (1 << 30, 1 << 30), id="a size past the end"),
        pytest.param(42, "<L", (0,), id="the place of another member"),
        pytest.param(42, "<L", (3,), id="a place where no member starts"),
        pytest.param(42, "<L", (1 << 31,), id="a place past the end"),
    ],
)
def test_an_entry_that_no_member_bears_out_is_not_read(path: Path, at: int, form: str, values: tuple[int]) -> None:
    """The entry and the bytes that nobody lists then are an item each."""
    found = items(path, patched(WACZ, central(WACZ, 1) + at, form, *values))
    assert counts(found) == (0, Counter(wacz_member=3, wacz_directory=1, wacz_unlisted=1))


def test_members_that_overlap_are_read_once(path: Path) -> None:
    """As the non-recursive zip bomb does it: many entries of one stretch of data."""
    at, end = central(WACZ, 1), central(WACZ, 2)
    entry, tail = WACZ[at:end], WACZ.index(b"PK\x05\x06")
    size, start = struct.unpack_from("<2L", WACZ, tail + 12)
    more = 50
    data = WACZ[:tail] + entry * more + patched(WACZ[tail:], 8, "<2H2L", 4 + more, 4 + more, size + more * len(entry), start)
    assert counts(items(path, data)) == (20, Counter(wacz_member=3, wacz_directory=more))


def test_bytes_that_the_directory_does_not_list_are_items(path: Path) -> None:
    hidden = zipped([("archive/hidden.warc", made(77), zipfile.ZIP_STORED)])
    hidden = hidden[: hidden.index(b"PK\x01\x02")]
    start = central(WACZ, 0)
    tail = WACZ.index(b"PK\x05\x06")
    size = struct.unpack_from("<L", WACZ, tail + 12)[0]
    data = WACZ[:start] + b"junk junk junk junk junk junk" + hidden + WACZ[start:tail]
    data += patched(WACZ[tail:], 12, "<2L", size, start + 29 + len(hidden)) + b"behind the end"
    assert counts(items(path, data)) == (20, Counter(wacz_member=3, wacz_unlisted=1, no_member=2))


def test_zip64(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(zipfile, "ZIP64_LIMIT", 100)
    monkeypatch.setattr(zipfile, "ZIP_FILECOUNT_LIMIT", 1)
    for described in (False, True):
        data = made_wacz(described=described)
        assert b"PK\x06\x06" in data and b"PK\x06\x07" in data
        assert counts(items(path, data)) == (20, Counter(wacz_member=3))


def test_a_comment_may_hold_the_end_of_a_directory(path: Path) -> None:
    data = patched(WACZ, len(WACZ) - 2, "<H", 30) + b"PK\x05\x06" + bytes(26)
    assert counts(items(path, data)) == (20, Counter(wacz_member=3))


@pytest.mark.parametrize("described", [False, True])
@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
def test_a_truncated_file_gives_what_it_holds(path: Path, method: int, described: bool) -> None:
    members: Members = [("archive/a.warc.gz", GZIP, method), INDEX, ("archive/b.warc.gz", GZIP, method), PAGES]
    data = zipped(members, described)
    told = not described  # without sizes in the local headers only a search could find where a member ends
    for cut in (data.index(b"PK\x01\x02"), data.index(b"PK\x01\x02") + 60, placed(data, PAGES[0]).header_offset):
        records, reasons = counts(items(path, data[:cut]))
        assert reasons["truncated"] == 1 and records == (40 if told else 0)
    cut = placed(data, "archive/b.warc.gz").header_offset + 60 + placed(data, "archive/b.warc.gz").compress_size // 2
    records, reasons = counts(items(path, data[:cut]))
    assert reasons["truncated"] >= 1 and (25 < records < 35 if told else records == 0)
    assert all(counts(items(path, data[:size]))[0] <= 40 for size in range(60, len(data), 997))


def test_a_cut_warc_is_not_held_against_the_digest_of_the_whole(path: Path) -> None:
    warc = ("archive/data.warc.gz", GZIP, zipfile.ZIP_STORED)
    data = zipped([("datapackage.json", package([warc]), zipfile.ZIP_STORED), warc])
    found = items(path, data[: data_start(data) + sum(map(len, MEMBERS[:12])) + 60])
    assert counts(found) == (12, Counter(wacz_member=1, truncated=2))
    damage = reading.survey(str(path), SMALL).damage
    assert damage is not None and all(item.offset < damage[0] for item in found if isinstance(item, Record))


def test_what_is_found_by_searching_lies_in_the_damage(path: Path) -> None:
    """A page may hold a zip member that holds a WARC of any date."""
    forged = zipped([("archive/forged.warc", made(66), zipfile.ZIP_STORED)])
    forged = forged[: forged.index(b"PK\x01\x02")]
    data = WACZ[: placed(WACZ, PAGES[0]).header_offset] + b"bytes of no member" + forged
    found = items(path, data)
    assert counts(found)[0] == 21
    damage = reading.survey(str(path), SMALL).damage
    assert damage is not None
    assert [damage[0] <= item.offset <= damage[1] for item in found if isinstance(item, Record)] == [False] * 20 + [True]


def test_memory_and_time_stay_bounded_for_a_bomb(path: Path) -> None:
    import tracemalloc

    bomb = made(1, bytes(64 << 20)) + RECORDS[2]
    path.write_bytes(made_wacz(gzip.compress(bomb, compresslevel=1), zipfile.ZIP_DEFLATED))
    tracemalloc.start()
    assert counts(items(path)) == (1, Counter(wacz_member=3, too_large=1))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 16 << 20


def test_sizes_that_deflate_cannot_reach_are_not_believed(path: Path) -> None:
    data = made_wacz(PLAIN, zipfile.ZIP_DEFLATED)
    size = 0xFFFFFFF0
    data = patched(patched(data, placed(data).header_offset + 22, "<L", size), central(data, 1) + 24, "<L", size)
    assert counts(items(path, data)) == (0, Counter(wacz_member=3, wacz_directory=1, wacz_unlisted=1))


def test_a_deflated_member_can_be_read_from_anywhere() -> None:
    data = random.Random(2).randbytes(1 << 20) * 12
    source = Source(io.BytesIO(zipped([("archive/a.warc", data, zipfile.ZIP_DEFLATED)])))
    member = layout(source).stretches[0].member
    assert member is not None
    content = Content(source, member)
    for at in (11 << 20, 5, 9 << 20, (4 << 20) + 3, 0, len(data) - 1):
        content.seek(at)
        assert content.read(70_000) == data[at : at + 70_000]
    assert content.disagreement() is None


@pytest.mark.parametrize(
    ("names", "known"),
    [
        (["indexes/index.cdx"], True),
        (["datapackage.json"], True),
        (["data/archive/a.warc"], True),
        (["mimetype", "archive/a.warc"], True),
        (["[Content_Types].xml", "word/document.xml"], False),
        (["META-INF/MANIFEST.MF"], False),
        (["my/archive/a.warc"], False),
    ],
)
def test_not_every_zip_is_a_wacz(names: list[str], known: bool) -> None:
    assert wacz.sniff(zipped([(name, b"x" * 50, zipfile.ZIP_STORED) for name in names])) is known


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED], ids=["stored", "deflated"])
@pytest.mark.parametrize("described", [False, True])
def test_any_damage_is_accounted_for(path: Path, method: int, described: bool) -> None:
    source = random.Random(7)
    members: Members = [INDEX, ("archive/a.warc.gz", GZIP[:3000], method), ("archive/b.warc", PLAIN[:3000], method)]
    whole = zipped([*members, ("datapackage.json", package(members), zipfile.ZIP_DEFLATED)], described)
    for _ in range(80):
        items(path, damaged(whole, source))
    for _ in range(80):  # the headers at the end, which random places seldom meet
        at = source.randrange(whole.index(b"PK\x01\x02"), len(whole))
        items(path, patched(whole, at, "<B", source.randrange(256)))


# The real files.


def test_real_files_are_accounted_for(shared: Path) -> None:
    """Against Python's zipfile and our own WARC reader, member by member."""
    files = sorted((shared / "crawl" / "warc_real" / "wacz").glob("*.wacz"))
    assert len(files) == 12
    total = 0
    for file in files:
        found = items(file, options=reading.Read(part_bytes=50_000))
        expected: list[bytes] = []
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                data = archive.read(name)
                if ".warc" in name:
                    expected += _blocks(data)
        assert [item.block for item in found if isinstance(item, Record)] == expected, file.name
        total += len(expected)
        assert counts(found)[1].keys() <= {"wacz_member", "wacz_digest_disagrees"}
    assert total == 297


def _blocks(data: bytes) -> list[bytes]:
    """Blocks of an intact WARC by the simplest walk."""
    parts = []
    while data.startswith(b"\x1f\x8b"):
        inflate = zlib.decompressobj(31)
        parts.append(inflate.decompress(data))
        data = inflate.unused_data
    data = b"".join(parts) or data
    blocks = []
    while data := data.lstrip(b"\r\n"):
        end = re.search(rb"\n\r?\n", data)
        length = re.search(rb"(?i)\ncontent-length: *([0-9]+)", data)
        if end is None or length is None:
            raise ValueError(f"no record: {data[:80]!r}")
        blocks.append(data[end.end() : end.end() + int(length[1])])
        data = data[end.end() + int(length[1]) :]
    return blocks


def test_a_real_writer_that_gives_false_digests_is_told(shared: Path) -> None:
    """js-wacz 0.1 wrote a SHA-256 of each WARC that is none, beside a CRC-32 that is right; nothing is damaged."""
    files = sorted((shared / "crawl" / "warc_real" / "wacz").glob("*.wacz"))
    assert all(reading.survey(str(file), reading.Read()).damage is None for file in files)
    false = {file.name for file in files if told(items(file, options=reading.Read()))}
    assert false == {f"harvard-lil+warcbench__{name}.wacz" for name in ("after", "before", "example.com", "test-crawl")}
