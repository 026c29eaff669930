"""WARC framing: every byte belongs to an item, damage costs the damaged record and no other, and the count is independent."""

import gzip
import random
import zlib
from collections import Counter
from pathlib import Path

import pytest
import zstandard
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provenance import dates
from store import reading
from store.records import Record, Split, Unreadable

OPTIONS = reading.Read()
SMALL = reading.Read(part_bytes=1024, max_record_bytes=1 << 16, max_header_bytes=4096)


def made(number: int, body: bytes | None = None, end: bytes = b"\r\n\r\n", **fields: str | None) -> bytes:
    """One record; `fields` replace header fields by name (underscores for hyphens), None leaves one out."""
    filler = random.Random(number).randbytes(40 + 13 * number).hex().encode()
    block = (
        body if body is not None else b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>page %d</p>\n%s\n" % (number, filler)
    )
    header: dict[str, str | None] = {
        "WARC-Type": "response",
        "WARC-Record-ID": f"<urn:uuid:{number:08d}>",
        "WARC-Date": "2020-01-02T03:04:05Z",
        "WARC-Target-URI": f"<http://example.org/{number}>",
        "Content-Length": str(len(block)),
    }
    header |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in header.items() if value is not None)
    return b"WARC/1.0\r\n" + lines.encode() + b"\r\n" + block + end


RECORDS = [made(number) for number in range(20)]
PLAIN = b"".join(RECORDS)
MEMBERS = [gzip.compress(record, mtime=0) for record in RECORDS]
GZIP = b"".join(MEMBERS)


def items(path: Path, data: bytes | None = None, options: reading.Read = SMALL) -> list[Record | Unreadable]:
    """The file's items, after what must hold of any bytes: the count, the splits, the keys, nothing unaccounted for."""
    if data is not None:
        path.write_bytes(data)
    survey = reading.survey(str(path), options)
    parts = [list(reading.read(str(path), survey.format, split, options)) for split in survey.splits]
    found = [item for part in parts for item in part]
    whole = list(reading.read(str(path), survey.format, Split(0, survey.size, survey.records, survey.size), options))
    assert found == whole
    assert [len(part) for part in parts] == [split.records for split in survey.splits]
    assert len(found) == survey.records
    assert survey.unaccounted == 0
    places = [(item.offset, item.member_offset) for item in found]
    assert places == sorted(set(places))
    return found


def counts(found: list[Record | Unreadable]) -> tuple[int, Counter[str]]:
    """Records, and unreadables by reason."""
    return sum(isinstance(item, Record) for item in found), Counter(item.reason for item in found if isinstance(item, Unreadable))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def skippable(data: bytes) -> bytes:
    return b"\x5d\x2a\x4d\x18" + len(data).to_bytes(4, "little") + data


def dictionary() -> zstandard.ZstdCompressionDict:
    return zstandard.train_dictionary(2048, RECORDS * 20)


def with_dictionary(packed: bool) -> bytes:
    shared = dictionary()
    head = zstandard.compress(shared.as_bytes()) if packed else shared.as_bytes()
    return skippable(head) + b"".join(zstandard.ZstdCompressor(dict_data=shared).compress(record) for record in RECORDS)


CONTAINERS = {
    "plain": PLAIN,
    "gzip, a member per record": GZIP,
    "gzip, one member": gzip.compress(PLAIN, mtime=0),
    "gzip, several records per member": b"".join(gzip.compress(b"".join(RECORDS[i : i + 3]), mtime=0) for i in range(0, 20, 3)),
    "gzip with empty members": b"".join(member + gzip.compress(b"", mtime=0) for member in MEMBERS),
    "zstd, a frame per record": b"".join(zstandard.compress(record) for record in RECORDS),
    "zstd with checksums": b"".join(zstandard.ZstdCompressor(write_checksum=True).compress(record) for record in RECORDS),
    "zstd, one frame": zstandard.compress(PLAIN),
    "zstd without content size": b"".join(
        zstandard.ZstdCompressor(write_content_size=False).compress(record) for record in RECORDS
    ),
    "zstd with a dictionary": with_dictionary(packed=False),
    "zstd with a compressed dictionary": with_dictionary(packed=True),
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_intact_containers_give_every_record(path: Path, name: str) -> None:
    found = items(path, CONTAINERS[name])
    assert counts(found) == (20, Counter())
    blocks = [record[record.index(b"\r\n\r\n") + 4 : -4] for record in RECORDS]
    assert [item.block for item in found if isinstance(item, Record)] == blocks
    assert reading.survey(str(path), SMALL).boundaries == 20


def test_fields_come_from_the_record_itself(path: Path) -> None:
    first = items(path, made(7, Warc_Thing="A\r\n folded\r\n\tline", warc_target_uri="x:y"))[0]
    assert isinstance(first, Record)
    assert (first.record_type, first.id, first.url, first.date) == (
        "response",
        "<urn:uuid:00000007>",
        "http://example.org/7",
        "2020-01-02T03:04:05Z",
    )
    assert first.headers["warc-thing"] == "A folded line"
    assert first.headers["warc-target-uri"] == "<http://example.org/7>", "the first of equal names wins"


@pytest.mark.parametrize("name", ["warc_date", "warc_payload_digest"])
def test_a_date_or_digest_given_twice_differently_is_none_that_can_be_read(path: Path, name: str) -> None:
    first = items(path, made(7, WARC_Payload_Digest="sha1:A", **{name: "1999"}))[0]
    assert isinstance(first, Record) and first.headers[name.replace("_", "-")].endswith(", 1999")
    assert dates.interval(items(path, made(7, warc_date="1999"))[0].date) is None  # type: ignore[union-attr]
    same = items(path, made(7, warc_date="2020-01-02T03:04:05Z"))[0]
    assert isinstance(same, Record) and same.date == "2020-01-02T03:04:05Z"


def test_offsets_name_the_member_and_the_place_in_it(path: Path) -> None:
    plain = [sum(map(len, RECORDS[:i])) for i in range(20)]
    assert [(item.offset, item.member_offset) for item in items(path, PLAIN)] == [(at, 0) for at in plain]
    members = [sum(map(len, MEMBERS[:i])) for i in range(20)]
    assert [(item.offset, item.member_offset) for item in items(path, GZIP)] == [(at, 0) for at in members]
    assert [(item.offset, item.member_offset) for item in items(path, gzip.compress(PLAIN))] == [(0, at) for at in plain]


def test_line_feeds_alone_and_lower_case_are_read(path: Path) -> None:
    found = items(path, PLAIN.replace(b"\r\n", b"\n").replace(b"WARC/1.0", b"warc/1.1"))
    assert len(found) == 20  # lengths no longer hold where line ends inside blocks were cut, but none is lost
    record = b"WARC/1.0\nWARC-Type: resource\nContent-Length: 3\n\nabc\n\n"
    assert counts(items(path, record * 3)) == (3, Counter())


def test_records_without_separators_are_read(path: Path) -> None:
    assert counts(items(path, b"".join(made(i, end=b"") for i in range(5)))) == (5, Counter())


def test_a_block_may_hold_a_whole_archive(path: Path) -> None:
    for inner in (PLAIN, GZIP):
        found = items(path, made(1, inner) + made(2))
        assert counts(found) == (2, Counter())
        found = items(path, gzip.compress(made(1, inner)) + gzip.compress(made(2)))
        assert counts(found) == (2, Counter())
        assert found[0].block == inner  # type: ignore[union-attr]


# Faults as ARCHIVES.md lists them, made on our own bytes.


def flipped(data: bytes, position: int) -> bytes:
    return data[:position] + bytes([data[position] ^ 0x10]) + data[position + 1 :]


def replaced(number: int, record: bytes) -> bytes:
    return b"".join([*RECORDS[:number], record, *RECORDS[number + 1 :]])


def start_of(number: int) -> int:
    return sum(map(len, MEMBERS[:number]))


@pytest.mark.parametrize(
    ("data", "records", "reasons"),
    [
        pytest.param(GZIP[: start_of(12) + 60], 12, {"truncated": 1}, id="d02 cut inside record 13"),
        pytest.param(GZIP[: start_of(12)], 12, {}, id="d03 cut between members"),
        pytest.param(flipped(GZIP, start_of(7) + 80), 19, {"damaged_member": 1}, id="d04 one bit of member 8"),
        pytest.param(flipped(GZIP, start_of(7)), 19, {"no_member": 1}, id="d05 magic of member 8 lost"),
        pytest.param(flipped(GZIP, start_of(8) - 6), 19, {"damaged_member": 1}, id="d06 wrong checksum of member 8"),
        pytest.param(GZIP + bytes(512), 20, {"no_member": 1}, id="d08 zeros at the end"),
        pytest.param(GZIP + b"<html>502 Bad Gateway</html>", 20, {"no_member": 1}, id="d09 an error page at the end"),
        pytest.param(PLAIN + b"<html>502 Bad Gateway</html>", 20, {"no_record_header": 1}, id="d09 plain"),
        pytest.param(replaced(7, made(7, Content_Length="50")), 19, {"length_mismatch": 1}, id="d17 short length"),
        pytest.param(
            replaced(7, made(7, Content_Length="40")), 20, {"no_record_header": 1}, id="d17 short length that a separator follows"
        ),
        pytest.param(replaced(7, made(7, Content_Length="900")), 19, {"length_mismatch": 1}, id="d18 long length"),
        pytest.param(replaced(7, made(7, Content_Length="60000")), 19, {"length_mismatch": 1}, id="d19 length past the end"),
        pytest.param(replaced(7, made(7, Content_Length="9999999999999")), 19, {"length_mismatch": 1}, id="d19 huge length"),
        pytest.param(replaced(7, made(7, Content_Length="-1")), 20, {}, id="d20 negative length"),
        pytest.param(replaced(7, made(7, Content_Length=None)), 20, {}, id="d21 no length"),
        pytest.param(replaced(7, RECORDS[7] + bytes(4096)), 20, {"no_record_header": 1}, id="d24 zeros between records"),
        pytest.param(GZIP[: start_of(12) + 60] + GZIP, 32, {"damaged_member": 1}, id="d26 two files spliced"),
        pytest.param(replaced(7, made(7, Set_Cookie="x" * 3000)), 20, {}, id="h05 long header"),
        pytest.param(replaced(7, made(7, Set_Cookie="x" * 5000)), 19, {"header_too_large": 1}, id="header above the limit"),
        pytest.param(replaced(7, made(7, b"y" * 70000)), 19, {"too_large": 1}, id="record above the limit"),
        pytest.param(
            replaced(7, b"WARC/1.0\r\nWARC-Type: response\r\n"), 19, {"header_incomplete": 1}, id="header that does not end"
        ),
        pytest.param(PLAIN[:-50], 19, {"truncated": 1}, id="plain file cut"),
    ],
)
def test_a_fault_costs_its_own_record_only(path: Path, data: bytes, records: int, reasons: dict[str, int]) -> None:
    assert counts(items(path, data)) == (records, Counter(reasons))


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress], ids=["gzip", "zstd"])
def test_huge_lengths_inside_one_member(path: Path, pack: object) -> None:
    """The declared end is looked for, and where it proves wrong reading goes back to the next record."""
    data = b"".join(
        [*RECORDS[:5], made(5, Content_Length="9999999999"), *RECORDS[6:9], made(9, Content_Length="70000"), *RECORDS[10:]]
    )
    assert counts(items(path, pack(data + bytes(90000)))) == (18, Counter(length_mismatch=2, no_record_header=1))  # type: ignore[operator]


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.compress], ids=["plain", "gzip", "zstd"])
def test_many_records_before_and_after_a_large_one(path: Path, pack: object) -> None:
    data = PLAIN + made(20, bytes(3 << 20)) + PLAIN
    assert counts(items(path, pack(data))) == (40, Counter(too_large=1))  # type: ignore[operator]


def test_a_single_member_keeps_what_was_readable_before_the_damage(path: Path) -> None:
    data = zlib_stored(PLAIN)
    inside = data.index(b"<p>page 15<")
    found = items(path, flipped(data, inside))  # which only the checksum shows
    assert counts(found) == (20, Counter(damaged_member=1))
    assert "any of the member's 20 records may be damaged" in found[-1].detail  # type: ignore[union-attr]
    assert counts(items(path, data[:inside])) == (15, Counter(truncated=1))


def zlib_stored(data: bytes) -> bytes:
    packer = zlib.compressobj(0, zlib.DEFLATED, 31)
    return packer.compress(data) + packer.flush()


def test_damaged_zstd_frame(path: Path) -> None:
    frames = [zstandard.ZstdCompressor(write_checksum=True).compress(record) for record in RECORDS]
    start = sum(map(len, frames[:7]))
    data = b"".join(frames)
    for position in (start, start + 5, start + 60, start + len(frames[7]) - 2):
        records, reasons = counts(items(path, flipped(data, position)))
        assert (records, reasons.total()) == (19, 1), position
    assert counts(items(path, data[: start + 60])) == (7, Counter(truncated=1))


def test_memory_stays_bounded_for_a_bomb(path: Path) -> None:
    import tracemalloc

    path.write_bytes(gzip.compress(made(1, bytes(64 << 20)) + RECORDS[2], compresslevel=1))
    tracemalloc.start()
    found = items(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts(found) == (1, Counter(too_large=1))
    assert peak < 16 << 20


@st.composite
def damages(draw: st.DrawFn, data: bytes) -> bytes:
    for _ in range(draw(st.integers(1, 4))):
        position = draw(st.integers(0, max(len(data) - 1, 0)))
        kind = draw(st.sampled_from(["flip", "cut", "insert", "end"]))
        if kind == "flip" and data:
            data = data[:position] + bytes([data[position] ^ draw(st.integers(1, 255))]) + data[position + 1 :]
        elif kind == "cut":
            data = data[:position] + data[position + draw(st.integers(1, 400)) :]
        elif kind == "insert":
            piece = st.one_of(
                st.binary(min_size=1, max_size=40), st.sampled_from([b"\nWARC/1.0\r\n", b"\x1f\x8b\x08", MEMBERS[3], RECORDS[2]])
            )
            data = data[:position] + draw(piece) + data[position:]
        else:
            data = data[: max(position, 200)]
    return data


@pytest.mark.parametrize(
    "name",
    ["plain", "gzip, a member per record", "gzip, several records per member", "gzip, one member", "zstd, a frame per record"],
)
def test_any_damage_is_accounted_for(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    path = tmp_path_factory.mktemp("damage") / "file"

    @settings(max_examples=60, deadline=None, derandomize=True)
    @given(damages(CONTAINERS[name]))
    @example(b"")
    @example(b"\x1f\x8b\x08")
    def check(data: bytes) -> None:
        items(path, data)

    check()


def test_the_scan_sees_what_a_reader_passes_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that ends at the first damaged member, as libraries do, is found out."""
    from store.readers import warc

    path.write_bytes(flipped(GZIP, start_of(7) + 80))
    monkeypatch.setattr(warc, "find_member", lambda codec, source, position, accept: source.size)
    survey = reading.survey(str(path), SMALL)
    assert (survey.records, survey.boundaries, survey.unaccounted) == (8, 20, 12)


# The real files.


def real_files(shared: Path) -> list[Path]:
    crawl = shared / "crawl"
    return sorted([*crawl.glob("warc_real/*.warc*"), *crawl.glob("warc_bad/**/*.warc*"), *crawl.glob("html_pages/*.warc.gz")])


def test_real_files_are_accounted_for(shared: Path) -> None:
    files = real_files(shared)
    assert len(files) > 150
    for file in files:
        items(file, options=reading.Read(part_bytes=100_000))


def test_intact_real_files_have_the_records_that_fastwarc_counts(shared: Path) -> None:
    fastwarc = pytest.importorskip("fastwarc.warc")
    compared = 0
    for file in [*(shared / "crawl").glob("warc_real/*.warc*"), *(shared / "crawl").glob("html_pages/*.warc.gz")]:
        survey = reading.survey(str(file), OPTIONS)
        found = [item for split in survey.splits for item in reading.read(str(file), survey.format, split, OPTIONS)]
        if survey.format is None or counts(found)[1]:
            continue
        with file.open("rb") as stream:
            theirs = [
                (record.record_id, record.reader.read())
                for record in fastwarc.ArchiveIterator(stream, parse_http=False, auto_decode="none")
            ]
        assert [item.block for item in found if isinstance(item, Record)] == [block for _, block in theirs], file.name
        compared += 1
    assert compared > 80


def test_intact_real_files_have_the_records_that_warcio_counts(shared: Path) -> None:
    iterator = pytest.importorskip("warcio.archiveiterator")
    compared = 0
    for file in (shared / "crawl").glob("warc_real/*.warc*"):
        survey = reading.survey(str(file), OPTIONS)
        found = [item for split in survey.splits for item in reading.read(str(file), survey.format, split, OPTIONS)]
        if survey.format is None or counts(found)[1]:
            continue
        with file.open("rb") as stream:
            try:
                theirs = [
                    record.rec_headers.get_header("WARC-Record-ID")
                    for record in iterator.WARCIterator(stream, no_record_parse=True)
                ]
            except Exception:  # it refuses files that it calls irregular
                continue
        assert [item.id for item in found] == theirs, file.name
        compared += 1
    assert compared > 60


@pytest.mark.parametrize(
    ("name", "records", "reasons"),
    [
        ("d01_ok_control.warc.gz", 20, {}),
        ("d05_member8_magic_lost.warc.gz", 19, {"no_member": 1}),
        ("d06_member8_crc_wrong.warc.gz", 19, {"damaged_member": 1}),
        ("d07_single_member.warc.gz", 20, {}),
        ("d08_trailing_zeros.warc.gz", 20, {"no_member": 1}),
        ("d12_plain_named_gz.warc.gz", 20, {}),
        ("d13_zstd_frame_per_record.warc.zst", 20, {}),
        ("d16_bz2.warc.bz2", 0, {"format_not_supported": 1}),
        ("d17_content_length_short.warc", 20, {}),  # to below zero, so that it is no length
        ("d18_content_length_long.warc", 19, {"length_mismatch": 1}),
        ("d20_content_length_negative.warc", 20, {}),
        ("d21_content_length_missing.warc", 20, {}),
        ("d24_nul_run_between_records.warc", 20, {"no_record_header": 1}),
        ("d26_spliced_two_files.warc.gz", 32, {"damaged_member": 1}),
        ("h05_headers.warc.gz", 10, {}),
    ],
)
def test_injected_faults(shared: Path, name: str, records: int, reasons: dict[str, int]) -> None:
    assert counts(items(shared / "crawl" / "warc_bad" / "derived" / name, options=reading.Read(part_bytes=10_000))) == (
        records,
        Counter(reasons),
    )
