"""ARC framing: both versions, headers as broken crawlers wrote them, and damage that costs its own record only."""

import gzip
import random
import re
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from store import reading
from store.readers import arc, warc
from store.readers._url_records import UrlLineScan, find_header, parse_header
from store.records import Record, Unreadable
from tests.store.test_readers_warc import SMALL, counts, flipped, items

VERSION_1 = b"1 0 Crawler\nURL IP-address Archive-date Content-type Archive-length\n\n"
VERSION_2 = (
    b"2 0 Crawler\nURL IP-address Archive-date Content-type Result-code Checksum Location Offset Filename Archive-length\n\n"
)
HEAD = b"filedesc://a.arc 0.0.0.0 20040102030405 text/plain %d\n%s" % (len(VERSION_1), VERSION_1)
HEAD_2 = b"filedesc://a.arc 0.0.0.0 20040102030405 text/plain 200 - - 0 a.arc %d\n%s" % (len(VERSION_2), VERSION_2)


def block(number: int) -> bytes:
    filler = random.Random(number).randbytes(40 + 13 * number).hex().encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<p>page %d</p>\n%s\n" % (number, filler)


def made(
    number: int, header: bytes | None = None, body: bytes | None = None, length: int | None = None, end: bytes = b"\n"
) -> bytes:
    """One record; `header` is its header line without the length."""
    body = block(number) if body is None else body
    line = b"http://example.org/%d 10.0.0.1 20040102030405 text/html" % number if header is None else header
    return b"%s %d\n%s%s" % (line, len(body) if length is None else length, body, end)


def version_2(number: int) -> bytes:
    return made(number, b"http://example.org/%d 10.0.0.1 20040102030405 text/html 200 %032x - %d a.arc" % (number, number, number))


RECORDS = [HEAD, *(made(number) for number in range(19))]
PLAIN = b"".join(RECORDS)
MEMBERS = [gzip.compress(record, mtime=0) for record in RECORDS]
GZIP = b"".join(MEMBERS)
SECOND = b"".join([HEAD_2, *(version_2(number) for number in range(19))])


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(PLAIN, id="version 1"),
        pytest.param(SECOND, id="version 2"),
        pytest.param(b"\n" + PLAIN, id="a blank line first"),
        pytest.param(GZIP, id="gzip, a member per record"),
        pytest.param(gzip.compress(PLAIN, mtime=0), id="gzip, one member"),
        pytest.param(
            b"".join(gzip.compress(b"".join(RECORDS[i : i + 3]), mtime=0) for i in range(0, 20, 3)), id="gzip, three each"
        ),
        pytest.param(b"".join([HEAD, *(made(number, end=b"") for number in range(19))]), id="no blank lines"),
        pytest.param(b"".join([HEAD, *(version_2(number) for number in range(19))]), id="a version block of the other version"),
    ],
)
def test_intact_files_give_every_record(path: Path, data: bytes) -> None:
    found = items(path, data)
    assert counts(found) == (20, Counter())
    assert [item.record_type for item in found] == ["warcinfo", *["response"] * 19]
    assert [item.block for item in found[1:] if isinstance(item, Record)] == [block(number) for number in range(19)]
    survey = reading.survey(str(path), SMALL)
    assert (survey.format, survey.boundaries, survey.damage) == ("arc", 20, None)


def test_fields_come_from_the_header_line(path: Path) -> None:
    first = items(path, PLAIN)[1]
    assert isinstance(first, Record)
    assert (first.id, first.url, first.date) == (None, "http://example.org/0", "20040102030405")
    assert first.headers == {"content-type": "text/html"} and (first.text, first.columns) == (None, {})


def test_offsets_name_the_member_and_the_place_in_it(path: Path) -> None:
    plain = [sum(map(len, RECORDS[:i])) for i in range(20)]
    assert [(item.offset, item.member_offset) for item in items(path, PLAIN)] == [(at, 0) for at in plain]
    members = [sum(map(len, MEMBERS[:i])) for i in range(20)]
    assert [(item.offset, item.member_offset) for item in items(path, GZIP)] == [(at, 0) for at in members]
    assert [(item.offset, item.member_offset) for item in items(path, gzip.compress(PLAIN))] == [(0, at) for at in plain]


@pytest.mark.parametrize(
    ("url", "record_type"),
    [
        (b"HTTPS://example.org/", "response"),
        (b"dns:example.org", "dns"),
        (b"ftp://example.org/a.txt", "ftp"),
        (b"metadata://netarkivet.dk/crawl/setup", "metadata"),
        (b"whois://example.org", "whois"),
        (b"filedesc://b.arc", "warcinfo"),
        (b"gopher://example.org/", "unknown"),
        (b"resource://gre/a", "unknown"),
        (b"conversion:a", "unknown"),
        (b"row:a", "unknown"),
        (b"response:a", "unknown"),
    ],
)
def test_only_pages_are_captures(path: Path, url: bytes, record_type: str) -> None:
    """A scheme never turns a record into a type that may become a document."""
    found = items(path, HEAD + made(1, url + b" 10.0.0.1 20040102030405 text/plain"))
    assert [item.record_type for item in found] == ["warcinfo", record_type]


@pytest.mark.parametrize(
    ("line", "url", "date", "mime"),
    [
        (b"http://a.b/x y?z=1  2 10.0.0.1 20040102030405 text/html", "http://a.b/x y?z=1  2", "20040102030405", "text/html"),
        (b"http://a.b/ 10.0.0.1 20040102030405 text/html; charset=x y", "http://a.b/", "20040102030405", "text/html; charset=x y"),
        (b"http://a.b/ 10.0.0.1 20040102030405 ", "http://a.b/", "20040102030405", None),
        (b"http://a.b/ 10.0.0.1 20040102030405", "http://a.b/", "20040102030405", None),
        (b"http://a.b/ 2001:db8::1 20040102030405 no-type", "http://a.b/", "20040102030405", "no-type"),
        (b"http://a.b/ 10.0.0.1 200401020304 text/html", "http://a.b/", "200401020304", "text/html"),
        (b"http://a.b/ 10.0.0.1 2004010203040549 text/html", "http://a.b/", "2004010203040549", "text/html"),
        (b"http://a.b/c.jp None 20160211000000jpg text/html", "http://a.b/c.jp", "20160211000000jpg", "text/html"),
        (b"http://a.b/ 20040102030405 10.0.0.1 text/html", "http://a.b/", "20040102030405", "text/html"),
        (b"http://a.b/c\r?d 10.0.0.1 20040102030405 text/html", "http://a.b/c\r?d", "20040102030405", "text/html"),
        (b"http://a.b/\xe9 10.0.0.1 20040102030405 text/html", "http://a.b/\xe9", "20040102030405", "text/html"),
        (b"http://a.b/ 1.2.3.4 19990101000000 text/html 5 10.0.0.1 20040102030405 text/html",
         "http://a.b/ 1.2.3.4 19990101000000 text/html 5", "20040102030405", "text/html"),
    ],
)  # fmt: skip
def test_headers_as_broken_crawlers_wrote_them(path: Path, line: bytes, url: str, date: str, mime: str | None) -> None:
    for data in (HEAD + made(1) + made(2, line) + made(3), b"".join(map(gzip.compress, (HEAD, made(1), made(2, line), made(3))))):
        found = items(path, data)
        assert counts(found) == (4, Counter())
        item = found[2]
        assert isinstance(item, Record)
        assert (item.url, item.date, item.headers.get("content-type")) == (url, date, mime)
        assert item.block == block(2)


def replaced(number: int, record: bytes) -> bytes:
    return b"".join([*RECORDS[:number], record, *RECORDS[number + 1 :]])


def start_of(number: int) -> int:
    return sum(map(len, MEMBERS[:number]))


@pytest.mark.parametrize(
    ("data", "records", "reasons"),
    [
        pytest.param(GZIP[: start_of(12) + 60], 12, {"truncated": 1}, id="cut inside a member"),
        pytest.param(GZIP[: start_of(12)], 12, {}, id="cut between members"),
        pytest.param(flipped(GZIP, start_of(7) + 80), 19, {"damaged_member": 1}, id="one bit of a member"),
        pytest.param(flipped(GZIP, start_of(7)), 19, {"no_member": 1}, id="magic lost"),
        pytest.param(flipped(GZIP, start_of(8) - 6), 19, {"damaged_member": 1}, id="wrong checksum"),
        pytest.param(flipped(GZIP, 0), 19, {"no_member": 1}, id="magic of the first member lost"),
        pytest.param(GZIP + bytes(512), 20, {"no_member": 1}, id="zeros at the end"),
        pytest.param(GZIP[: start_of(12) + 60] + GZIP, 32, {"damaged_member": 1}, id="two files spliced"),
        pytest.param(PLAIN + b"<html>502 Bad Gateway</html>", 20, {"no_record_header": 1}, id="an error page at the end"),
        pytest.param(PLAIN[:-50], 19, {"truncated": 1}, id="plain file cut"),
        pytest.param(PLAIN[: PLAIN.index(b"/9 10.0") + 5], 10, {"no_record_header": 1}, id="cut inside a header"),
        pytest.param(PLAIN[300:], 18, {"no_record_header": 1}, id="the beginning lost"),
        pytest.param(replaced(7, made(6, length=50)), 19, {"length_mismatch": 1}, id="short length"),
        pytest.param(replaced(7, made(6, length=900)), 19, {"length_mismatch": 1}, id="long length"),
        pytest.param(replaced(7, made(6, length=60000)), 19, {"length_mismatch": 1}, id="length past the end"),
        pytest.param(replaced(7, made(6, length=10**15)), 19, {"length_mismatch": 1}, id="huge length"),
        pytest.param(replaced(7, made(6, length=len(block(6)) + 5)), 19, {"length_mismatch": 1}, id="length into the next header"),
        pytest.param(replaced(7, made(6, length=-1)), 19, {"no_length": 1}, id="negative length"),
        pytest.param(replaced(7, RECORDS[7] + bytes(4096)), 20, {"no_record_header": 1}, id="zeros between records"),
        pytest.param(replaced(7, RECORDS[7] + b"garbage\n"), 20, {"no_record_header": 1}, id="garbage between records"),
        pytest.param(replaced(7, made(6, body=b"y" * 70000)), 19, {"too_large": 1}, id="record above the limit"),
        pytest.param(gzip.compress(replaced(7, made(6, length=900))), 19, {"length_mismatch": 1}, id="long length in one member"),
    ],
)
def test_a_fault_costs_its_own_record_only(path: Path, data: bytes, records: int, reasons: dict[str, int]) -> None:
    assert counts(items(path, data)) == (records, Counter(reasons))


def test_a_length_one_too_long_does_not_pass_the_rest_of_a_header_for_one(path: Path) -> None:
    data = replaced(7, made(6, length=len(block(6)) + 2))  # what is left of the next line begins `ttp://`
    found = items(path, data)
    assert counts(found) == (19, Counter(length_mismatch=1))
    assert all(item.record_type != "unknown" for item in found)


def test_a_block_may_hold_a_whole_archive(path: Path) -> None:
    for inner in (PLAIN, GZIP):
        for data in (HEAD + made(1, body=inner) + made(2), b"".join(map(gzip.compress, (HEAD, made(1, body=inner), made(2))))):
            found = items(path, data)
            assert counts(found) == (3, Counter())
            assert found[1].block == inner  # type: ignore[union-attr]


FORGED = made(99, b"http://forged.example/ 6.6.6.6 20010101000000 text/html")


def test_what_resynchronising_took_from_a_page_lies_in_the_damage(path: Path) -> None:
    """A page can hold a record of any date; it is read as one where the page's own record is broken, and marked."""
    data = replaced(7, made(6, body=b"HTTP/1.1 200 OK\r\n\r\n<p>\n" + FORGED + b"</p>\n", length=9999))
    found = items(path, data)
    forged = next(item for item in found if item.url == "http://forged.example/")
    assert isinstance(forged, Record)
    first, last = reading.survey(str(path), SMALL).damage or (0, 0)
    assert first <= forged.offset <= last == len(data)
    intact = replaced(7, made(6, body=b"HTTP/1.1 200 OK\r\n\r\n<p>\n" + FORGED + b"</p>\n"))
    assert all(item.url != "http://forged.example/" for item in items(path, intact))
    assert reading.survey(str(path), SMALL).damage is None


def test_a_record_before_garbage_lies_in_the_damage(path: Path) -> None:
    """Its length may be wrong: nothing but a line end says where it stops."""
    found = items(path, replaced(7, made(6, length=len(block(6)) - 31, body=block(6)[:-31] + b"\n" + b"x" * 30)))
    assert counts(found) == (20, Counter(no_record_header=1))
    damage = reading.survey(str(path), SMALL).damage
    assert damage is not None and damage[0] == found[7].offset and isinstance(found[7], Record)


@pytest.mark.parametrize(
    ("head", "known"),
    [
        (PLAIN, True),
        (GZIP, True),
        (b"\r\n\n" + PLAIN, True),
        (made(3), True),
        (b"filedesc:", True),
        (b"", False),
        (b"http://a.b/ 10.0.0.1 20040102030405 text/html 5 a.arc 77\n", False),
        (b"{\"a\": 1}\n" + made(3), False),
        (b"<html>\n" + made(3), False),
        (b"PK\x03\x04\n" + made(3), False),
        (b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 999\r\n\r\n" + PLAIN, False),
        (gzip.compress(b"WARC/1.0\r\nWARC-Type: response\r\nContent-Length: 999\r\n\r\n" + PLAIN), False),
    ],
)  # fmt: skip
def test_bytes_say_what_is_arc(head: bytes, known: bool) -> None:
    assert arc.sniff(head) is known


def test_a_page_may_quote_a_warc(path: Path) -> None:
    """An archive is what its first line says, though both readers could find a record in it."""
    quoted = b"HTTP/1.1 200 OK\r\n\r\nWARC/1.0\r\nWARC-Type: response\r\nContent-Length: 0\r\n\r\n"
    path.write_bytes(gzip.compress(HEAD + made(1, body=quoted)))
    assert warc.sniff(path.read_bytes())
    assert reading.survey(str(path), SMALL).format == "arc"


def test_memory_stays_bounded_for_a_bomb(path: Path) -> None:
    import tracemalloc

    path.write_bytes(gzip.compress(HEAD + made(1, body=bytes(24 << 20)) + RECORDS[2], compresslevel=1))
    tracemalloc.start()
    found = items(path)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert counts(found) == (2, Counter(too_large=1))
    assert peak < 16 << 20


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\nhttp:" + b" 1.2.3.4 20010101000000" * 2500 + b"\n", id="many addresses and dates in a line"),
        pytest.param(b"\na:a" * 100_000, id="many schemes"),
        pytest.param(b"\0a:" * 100_000, id="many schemes behind NUL"),
        pytest.param((b"\0x:" + b" 1:2" * 3) * 10_000, id="addresses behind NUL"),
        pytest.param(b"\nhttp:" + b" " * 1_000_000, id="a line of spaces"),
    ],
)
def test_the_search_takes_linear_time(data: bytes) -> None:
    start = time.process_time()
    find_header(data)
    parse_header(data[1:60_000].partition(b"\n")[0])
    scan = UrlLineScan()
    for at in range(0, len(data), 1 << 16):
        scan.feed(data[at : at + (1 << 16)])
    assert time.process_time() - start < 5


def test_a_header_behind_nul_may_share_its_line_end_with_the_next(path: Path) -> None:
    """Both are found, so that none of the two stretches hides a record start."""
    first, second = b"http://a.b/ 10.0.0.1 20040102030405 text/html 5", b"http://c.d/ 10.0.0.1 20040102030405 text/html 5"
    data = b"x\0" + first + b"\n" + second + b"\n"
    assert find_header(data) == 2 and find_header(data, 3) == len(first) + 3
    assert [item.url for item in items(path, HEAD + data)][-2:] == ["http://a.b/", "http://c.d/"]


@pytest.mark.parametrize("piece", [1, 7, 100, 65_536])
def test_the_scan_does_not_depend_on_the_pieces(piece: int) -> None:
    data = PLAIN + b"\0" * 9 + made(3) + SECOND
    scan = UrlLineScan()
    for at in range(0, len(data), piece):
        scan.feed(data[at : at + piece])
    assert len(scan.marks) == 41
    assert [parse_header(data[mark : data.index(b"\n", mark)]) is not None for mark in scan.marks] == [True] * 41


def test_the_scan_sees_what_a_reader_passes_over(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path.write_bytes(flipped(GZIP, start_of(7) + 80))
    monkeypatch.setattr(warc, "find_member", lambda codec, source, position, accept: source.size)
    survey = reading.survey(str(path), SMALL)
    assert (survey.records, survey.boundaries, survey.unaccounted) == (8, 20, 12)


def damaged(data: bytes, source: random.Random) -> bytes:
    """The data with up to four faults: flipped, lost, inserted or spliced bytes, and marks of records out of place."""
    pieces: list[Callable[[], bytes]] = [
        lambda: source.randbytes(source.randint(1, 40)),
        lambda: source.choice([FORGED, b"\0" + FORGED, b"\x1f\x8b\x08", b"PK\x03\x04", b"PK\x05\x06", b"\n\n", bytes(3000), HEAD]),
        lambda: data[(start := source.randrange(len(data) + 1)) : start + source.randint(1, 5000)],
    ]
    for _ in range(source.randint(1, 4)):
        at = source.randrange(len(data) + 1)
        kind = source.randrange(4)
        if kind == 0 and at < len(data):
            data = flipped(data, at)
        elif kind == 1:
            data = data[:at] + data[at + source.randint(1, 400) :]
        elif kind == 2:
            data = data[: max(at, 100)]
        else:
            data = data[:at] + source.choice(pieces)() + data[at:]
    return data


@pytest.mark.parametrize("whole", [PLAIN, GZIP, gzip.compress(PLAIN, mtime=0), SECOND], ids=["plain", "gzip", "one member", "2"])
def test_any_damage_is_accounted_for(path: Path, whole: bytes) -> None:
    source = random.Random(5)
    for _ in range(80):
        items(path, damaged(whole, source))


# The real files.


def arcs(folder: Path) -> list[Path]:
    return sorted(file for file in folder.glob("**/*") if re.search(r"\.arc(\.gz)?$", file.name, re.IGNORECASE))


def counted(data: bytes) -> int | None:
    """Records of an intact ARC by the simplest walk: a header line, its last field, so many bytes; None where that fails."""
    if data.startswith(b"\x1f\x8b"):
        data = gzip.decompress(data)
    position = count = 0
    while rest := data[position:].lstrip(b"\r\n"):
        position = len(data) - len(rest)
        line, end, _ = rest.partition(b"\n")
        if (
            not end
            or not re.match(rb"(?:https?|dns|ftp|filedesc|metadata|testdata):", line)
            or not (length := line.split(b" ")[-1].strip()).isdigit()
        ):
            return None
        position += len(line) + 1 + int(length)
        count += 1
        if position > len(data):
            return None
    return count


def test_real_files_are_accounted_for(shared: Path) -> None:
    files = arcs(shared / "crawl")
    assert len(files) > 55
    intact = records = 0
    for file in files:
        found = items(file, options=reading.Read(part_bytes=50_000))
        known = reading.survey(str(file), SMALL).format
        assert known == "arc" or file.name == "netarchivesuite+netarchivesuite__test1.arc"
        try:
            expected = counted(file.read_bytes())
        except (OSError, EOFError):
            continue
        if expected is not None:
            assert counts(found)[0] == expected, file.name
            intact, records = intact + 1, records + expected
    assert intact > 40 and records > 750


@pytest.mark.parametrize(
    ("name", "url", "date"),
    [
        (
            "14_digit_plus_text_date",
            "https://scontent-cdg2-1.xx.fbcdn.net/300261_10150266886136400_4821326_n.",
            "20160211000000jpg",
        ),
        ("16_digit_date", "http://www.afp.com:80/home/img/es.gif", "2000082305410049"),
        ("bad_url_with_colon_1", "http://JavaScript:Wtop('www.pick2hand.com/index2.html')", "20071008060921"),
        ("carriage_return_in_url", "http://cheapchicks.org/cgi-\rbin/count/slcnt.cgi?c=3", "20070216134117"),
        ("non_ascii_url", "http://arevebebe.free.fr/php3/selcateg.php3?selec=\xe9cole", "20021108114510"),
    ],
)
def test_odd_headers_of_real_crawls(shared: Path, name: str, url: str, date: str) -> None:
    last = items(shared / "crawl" / "warc_bad" / f"internetarchive+CDX-Writer__{name}.arc.gz")[-1]
    assert isinstance(last, Record)
    assert (last.record_type, last.url, last.date) == ("response", url, date)


def test_spaces_and_transposed_fields_of_real_crawls(shared: Path) -> None:
    bad = shared / "crawl" / "warc_bad"
    spaced = items(bad / "internetarchive+CDX-Writer__spaces_in_url.arc.gz")[-1]
    assert isinstance(spaced, Record) and (spaced.url or "").count(" ") > 50 and spaced.block.startswith(b"HTTP/1.1 ")
    transposed = items(bad / "internetarchive+CDX-Writer__transposed_header.arc.gz")[-1]
    assert isinstance(transposed, Record) and transposed.date == "20031219215023"


def test_a_damaged_real_file_gives_what_its_whole_members_hold(shared: Path) -> None:
    found = items(shared / "crawl" / "warc_bad" / "commoncrawl+ia-web-commons__cz-pagesinczech.arc.gz")
    assert counts(found) == (3, Counter(damaged_member=5))
    assert all(isinstance(item, Unreadable) or item.block for item in found)
