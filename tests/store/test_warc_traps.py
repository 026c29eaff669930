"""What web archives hold that could pass for a dated page and is none: read with the product's reader, judged by `page`.

One test for each trap; those of framing alone stand in `test_readers_warc.py`, those of HTTP in `tests/provenance`.
"""

import base64
import gzip
import hashlib
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import zstandard

from provenance.pages import Page, Rejection, Tools, page, tools
from store import reading
from store.records import Record, Unreadable

TEXT = "This page is about old books and the people who read them, a long time ago in another town. " * 4
HTML = f"<!DOCTYPE html><html><head><title>Books</title></head><body><p>{TEXT}</p></body></html>".encode()
DATE = "2020-05-06T07:08:09Z"
INSTANT = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
NOW = datetime(2026, 1, 1, tzinfo=UTC)
OPTIONS = reading.Read()


@pytest.fixture(scope="module")
def kit() -> Tools:
    return tools()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "file"


def http(body: bytes = HTML, **headers: str) -> bytes:
    fields = {"Content-Type": "text/html", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return b"HTTP/1.1 200 OK\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()).encode() + b"\r\n" + body


def record(block: bytes, record_type: str = "response", date: str | None = DATE, **fields: str | None) -> bytes:
    header: dict[str, str | None] = {
        "WARC-Type": record_type,
        "WARC-Record-ID": "<urn:uuid:00000000-0000-0000-0000-000000000001>",
        "WARC-Date": date,
        "WARC-Target-URI": "http://example.org/",
        "Content-Length": str(len(block)),
    }
    header |= {name.replace("_", "-"): value for name, value in fields.items()}
    lines = "".join(f"{name}: {value}\r\n" for name, value in header.items() if value is not None)
    return b"WARC/1.1\r\n" + lines.encode() + b"\r\n" + block + b"\r\n\r\n"


def read(path: Path, data: bytes | None = None) -> list[Record | Unreadable]:
    if data is not None:
        path.write_bytes(data)
    survey = reading.survey(str(path), OPTIONS)
    assert survey.unaccounted == 0
    return [item for split in survey.splits for item in reading.read(str(path), survey.format, split, OPTIONS)]


def judged(item: Record | Unreadable, kit: Tools, now: datetime | None = NOW) -> Page | Rejection:
    if isinstance(item, Unreadable):
        return Rejection("read", item.reason, item.detail)
    return page(item.record_type, item.url, item.date, item.block, item.headers, item.text, item.columns, kit, now)


def outcomes(path: Path, kit: Tools, data: bytes | None = None) -> list[Page | Rejection]:
    return [judged(item, kit) for item in read(path, data)]


def only(path: Path, kit: Tools, data: bytes) -> Page | Rejection:
    found = outcomes(path, kit, data)
    assert len(found) == 1
    return found[0]


def only_page(path: Path, kit: Tools, data: bytes) -> Page:
    found = only(path, kit, data)
    assert isinstance(found, Page), found
    return found


# Records that are no captures.


@pytest.mark.parametrize("record_type", ["warcinfo", "metadata", "request", "continuation"])
def test_records_about_captures_are_no_captures(path: Path, kit: Tools, record_type: str) -> None:
    """Their dates are those of writing. WAT files are `metadata` records whose block looks like any other."""
    for block in (http(), HTML, TEXT.encode()):
        found = only(path, kit, record(block, record_type, Content_Type="application/http;msgtype=response"))
        assert isinstance(found, Rejection) and found[:2] == ("read", record_type)


REVISIT = "http://netpreserve.org/warc/1.1/revisit/identical-payload-digest"
DIGEST = "sha1:" + base64.b32encode(hashlib.sha1(HTML).digest()).decode()


@pytest.mark.parametrize(
    "refers", ["1999-01-01T00:00:00Z", DATE, "2031-01-01T00:00:00Z", "nonsense"], ids=["earlier", "same", "later", "no date"]
)
@pytest.mark.parametrize("block", [http(b""), http(), b""], ids=["header only", "with the payload", "empty"])
def test_a_revisit_never_becomes_a_document(path: Path, kit: Tools, refers: str, block: bytes) -> None:
    """Whatever it says that it refers to, and even where it carries the page: the date of a page is that of its own capture."""
    revisit = record(
        block,
        "revisit",
        WARC_Profile=REVISIT,
        WARC_Refers_To_Date=refers,
        WARC_Refers_To_Target_URI="http://example.org/",
        WARC_Payload_Digest=DIGEST,
    )
    original = record(http(), WARC_Payload_Digest=DIGEST)
    for order in ([original, revisit], [revisit, original]):
        found = outcomes(path, kit, b"".join(map(gzip.compress, order)))
        pages = [one for one in found if isinstance(one, Page)]
        assert [(one.date, one.attestation) for one in pages] == [(INSTANT, "captured")]
        assert Counter(one.reason for one in found if isinstance(one, Rejection)) == Counter(revisit=1)


def test_revisits_of_real_crawls_never_become_documents(shared: Path, kit: Tools) -> None:
    real = shared / "crawl" / "warc_real"
    seen = Counter[str]()
    for name in (
        "iipc+warc-specifications__20130729-heritrix-revisit-with-http-headers.warc.gz",
        "iipc+warc-specifications__20141129-heritrix-revisit-with-http-headers-and-new-warc-headers.warc.gz",
        "wacz/q-m+scrapy-webarchive__quotes.wacz",
    ):
        for item in read(real / name):
            if item.record_type == "revisit":
                assert judged(item, kit)[:2] == ("read", "revisit")  # type: ignore[index]
                seen[name] += 1
    assert len(seen) == 3 and seen.total() > 70


@pytest.mark.parametrize("record_type", ["resource", "conversion"])
def test_resources_and_conversions_stay_at_captured(path: Path, kit: Tools, record_type: str) -> None:
    """Even with a true digest: what a tool such as warcit dates by a file's time was never fetched."""
    digest = "sha256:" + hashlib.sha256(HTML).hexdigest()
    found = only_page(path, kit, record(HTML, record_type, Content_Type="text/html", WARC_Payload_Digest=digest))
    assert (found.attestation, found.digest_check) == ("captured", "agrees")


def test_notes_of_crawlers_are_no_pages(path: Path, kit: Tools) -> None:
    note = record(
        TEXT.encode(), "resource", WARC_Target_URI="metadata://gnu.org/software/wget/warc/wget.log", Content_Type="text/plain"
    )
    found = only(path, kit, note)
    assert isinstance(found, Rejection) and found.reason == "crawler_note"


def test_a_record_without_a_type_is_none(path: Path, kit: Tools) -> None:
    for fields in ({"WARC_Type": None}, {"WARC_Type": "Responses"}, {"WARC_Type": ""}):
        found = only(path, kit, record(http(), **fields))
        assert isinstance(found, Rejection) and found.reason == "record_type"


# Dates.


@pytest.mark.parametrize(
    "headers",
    [
        {"Date": "Thu, 01 Jan 1998 00:00:00 GMT", "Last_Modified": "Thu, 01 Jan 1998 00:00:00 GMT"},
        {"Memento_Datetime": "Thu, 01 Jan 1998 00:00:00 GMT", "X_Archive_Orig_Date": "Thu, 01 Jan 1998 00:00:00 GMT"},
    ],
)
def test_what_a_server_says_of_time_is_ignored(path: Path, kit: Tools, headers: dict[str, str]) -> None:
    body = HTML.replace(b"<head>", b'<head><meta property="article:published_time" content="1998-01-01T00:00:00Z">')
    found = only_page(path, kit, record(http(body, **headers)))
    assert (found.date, found.date_end, found.attestation) == (INSTANT, INSTANT, "captured")
    undated = only_page(path, kit, record(http(body, **headers), date=None))
    assert (undated.date, undated.date_end, undated.attestation) == (None, None, "none")


@pytest.mark.parametrize(
    "date",
    [
        pytest.param("1995-12-31T23:59:59Z", id="before 1996"),
        pytest.param("1970-01-01T00:00:00Z", id="a clock of 1970"),
        pytest.param("19700101000000", id="a clock of 1970, digits"),
        pytest.param("1904-01-01T00:00:00Z", id="a clock of 1904"),
        pytest.param("0001-01-01T00:00:00Z", id="a zero time"),
        pytest.param("2031-01-01T00:00:00Z", id="the future"),
        pytest.param("26050908173821", id="the far future, as a real ARC has it"),
        pytest.param("2016-13-41T00:00:00Z", id="no date of the calendar"),
        pytest.param("Thu, 31 Jul 2003 11:05:06 GMT", id="an HTTP date"),
        pytest.param("20160211000000jpg", id="text glued to it"),
        pytest.param("now", id="a word"),
        pytest.param("", id="empty"),
        pytest.param(None, id="missing"),
    ],
)
def test_a_date_that_cannot_be_is_none_and_never_now(path: Path, kit: Tools, date: str | None) -> None:
    found = only_page(path, kit, record(http(), date=date))
    assert (found.date, found.date_end, found.attestation, found.attestation_reason) == (None, None, "none", "no_date")


HALF_DAY = timedelta(hours=12)
TICK = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("date", "end"),
    [
        pytest.param("2021", datetime(2022, 1, 1, tzinfo=UTC) + HALF_DAY - TICK, id="a year"),
        pytest.param("2021-12", datetime(2022, 1, 1, tzinfo=UTC) + HALF_DAY - TICK, id="a month"),
        pytest.param("2021-12-31", datetime(2022, 1, 1, tzinfo=UTC) + HALF_DAY - TICK, id="a day"),
        pytest.param("2021-12-31T23:59Z", datetime(2022, 1, 1, tzinfo=UTC) - TICK, id="a minute"),
        pytest.param("2021-12-31T23:59:59", datetime(2021, 12, 31, 23, 59, 59, tzinfo=UTC) + HALF_DAY, id="no zone"),
        pytest.param("2021-12-31T23:59:59-05:00", datetime(2022, 1, 1, 4, 59, 59, tzinfo=UTC), id="another zone"),
    ],
)
def test_reduced_precision_and_missing_zones_count_by_their_end(path: Path, kit: Tools, date: str, end: datetime) -> None:
    found = only_page(path, kit, record(http(), date=date))
    assert found.date_end == end and found.attestation == "captured"


def test_dates_of_arc_are_read_alike(path: Path, kit: Tools) -> None:
    """The digits are UTC, 14 of them a second and 12 a minute; dates that cannot be are none."""
    ends = {
        b"20200506070809": INSTANT,
        b"202005060708": datetime(2020, 5, 6, 7, 9, tzinfo=UTC) - TICK,
        b"19700101000000": None,
        b"26050908173821": None,
        b"20201341000000": None,
    }
    block = http()
    for date, end in ends.items():
        found = only_page(path, kit, b"http://example.org/ 10.0.0.1 %s text/html %d\n%s\n" % (date, len(block), block))
        assert found.date_end == end
        assert (found.attestation, found.digest_check) == ("captured" if end else "none", "absent")


def test_odd_dates_of_a_real_file(shared: Path, kit: Tools) -> None:
    """`h06` holds one page under dates as crawlers wrote them: those that are none of the calendar or too early attest nothing."""
    found = {}
    for item in read(shared / "crawl" / "warc_bad" / "derived" / "h06_uris_dates.warc.gz"):
        one = judged(item, kit)
        if isinstance(item, Record) and isinstance(one, Page):
            found[item.date] = one
    assert len(found) > 5
    for date, one in found.items():
        assert (one.attestation == "none") is (one.date_end is None), date
        assert one.date_end is None or datetime(1996, 1, 1, tzinfo=UTC) <= one.date_end
    assert {one.attestation for one in found.values()} == {"none", "captured"}


# Damage.


def test_a_truncated_record_is_no_page(path: Path, kit: Tools) -> None:
    """The cut record would pass for a whole, shorter page."""
    data = gzip.compress(record(http(), WARC_Payload_Digest=DIGEST))
    body = HTML.replace(b"<p>", b"<p>" + hashlib.sha512(b"").hexdigest().encode() * 40)
    cut = gzip.compress(record(http(body)))
    found = outcomes(path, kit, data + cut[: len(cut) - 40])
    assert isinstance(found[0], Page)
    assert [one.reason for one in found[1:] if isinstance(one, Rejection)] == ["truncated"]
    plain = record(http()) + record(http(body))[:-200]
    found = outcomes(path, kit, plain)
    assert isinstance(found[0], Page) and found[1:] != [] and found[1][:2] == ("read", "truncated")  # type: ignore[index]


@pytest.mark.parametrize("length", [30, len(http()) - 20, len(http()) + 40, 10**9])
def test_a_wrong_length_makes_no_page(path: Path, kit: Tools, length: int) -> None:
    """A length too short would cut the page, one too long would add the next record's header to it."""
    data = record(http(), Content_Length=str(length)) + record(http(HTML.replace(b"Books", b"Films")))
    found = outcomes(path, kit, data)
    assert [type(one) for one in found].count(Page) == 1
    assert found[-1].html.count("Films") == 1  # type: ignore[union-attr]


def test_a_digest_shows_a_changed_page(path: Path, kit: Tools) -> None:
    changed = HTML.replace(b"old books", b"new looks")
    found = only_page(path, kit, record(http(changed), WARC_Payload_Digest=DIGEST))
    assert (found.attestation, found.digest_check) == ("none", "disagrees")


@pytest.mark.parametrize("packed", [False, True], ids=["plain", "stored in gzip"])
def test_text_that_resynchronising_took_for_a_record_lies_in_the_damage(path: Path, kit: Tools, packed: bool) -> None:
    """Whoever writes a page can put a consistent, old record into it; a broken record around it makes it come out."""
    forged = record(http(), date="2001-01-01T00:00:00Z", WARC_Payload_Digest=DIGEST)
    outer = record(http(b"<pre>\n" + forged + b"</pre>"), Content_Length="99999")
    data = record(http()) + outer + record(http())
    if packed:
        broken = (
            gzip.compress(b"")[:10]
            + b"\x00"
            + len(outer).to_bytes(2, "little")
            + (len(outer) ^ 0xFFFF).to_bytes(2, "little")
            + outer
        )
        inner = gzip.compress(forged, compresslevel=0)
        data = gzip.compress(record(http())) + broken[:-30] + inner + b"\xff" * 40 + gzip.compress(record(http()))
    items = read(path, data)
    damage = reading.survey(str(path), OPTIONS).damage
    old = [item for item in items if isinstance(item, Record) and (item.date or "").startswith("2001")]
    assert damage is not None and old
    assert all(damage[0] <= item.offset <= damage[1] for item in old)
    assert not damage[0] <= items[0].offset <= damage[1]


# HTTP as crawlers stored it.


def test_a_huge_header_hides_no_page(path: Path, kit: Tools) -> None:
    """Readers with a limit for headers lose the file at a Set-Cookie of 300 kB."""
    block = http(Set_Cookie="a=" + "x" * 300_000)
    found = outcomes(path, kit, gzip.compress(record(block)) * 2)
    assert [one.text.strip() for one in found if isinstance(one, Page)] == [TEXT.strip()] * 2
    found = outcomes(path, kit, record(http(), WARC_Cookies="x" * 300_000) * 2)
    assert [one.text.strip() for one in found if isinstance(one, Page)] == [TEXT.strip()] * 2


def test_brotli_bodies_are_read(path: Path, kit: Tools) -> None:
    brotli = pytest.importorskip("brotli")
    found = only_page(path, kit, record(http(brotli.compress(HTML), Content_Encoding="br")))
    assert found.text.strip() == TEXT.strip()


def test_brotli_bodies_of_a_real_crawl_are_read(shared: Path, kit: Tools) -> None:
    name = "ukwa+webarchive-discovery__transfer_compression_brotli.warc"
    for file in (shared / "crawl" / "warc_real" / name, shared / "crawl" / "warc_real" / f"{name}.gz"):
        assert sum(isinstance(one, Page) for one in outcomes(file, kit)) == 1


def test_bodies_that_say_chunked_and_are_not_are_read(path: Path, kit: Tools) -> None:
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HTML), HTML)
    data = b"".join(gzip.compress(record(http(body, Transfer_Encoding="chunked"))) for body in (HTML, chunked))
    assert [one.text.strip() for one in outcomes(path, kit, data) if isinstance(one, Page)] == [TEXT.strip()] * 2


def test_an_untrue_body_of_one_record_ends_no_file(shared: Path, kit: Tools) -> None:
    for name, pages in (("h02_transfer", 7), ("h03_content", None)):
        file = shared / "crawl" / "warc_bad" / "derived" / f"{name}.warc.gz"
        if file.exists():
            found = outcomes(file, kit)
            assert pages is None or sum(isinstance(one, Page) for one in found) == pages


@pytest.mark.parametrize("packed", [False, True], ids=["dictionary as it is", "dictionary compressed"])
def test_zstd_with_a_dictionary_is_read(path: Path, kit: Tools, packed: bool) -> None:
    records = [record(http(HTML.replace(b"Books", b"Book %d" % number))) for number in range(20)]
    samples: list[bytes | bytearray | memoryview] = [*records * 20]
    shared = zstandard.train_dictionary(2048, samples)
    head = zstandard.compress(shared.as_bytes()) if packed else shared.as_bytes()
    data = b"\x5d\x2a\x4d\x18" + len(head).to_bytes(4, "little") + head
    data += b"".join(zstandard.ZstdCompressor(dict_data=shared).compress(one) for one in records)
    found = outcomes(path, kit, data)
    assert [one.attestation for one in found if isinstance(one, Page)] == ["captured"] * 20
    lost = outcomes(path, kit, data[8 + len(head) :])  # without it nothing can be read, and each frame is told
    assert not any(isinstance(one, Page) for one in lost)


def test_names_say_nothing_of_compression(tmp_path: Path, kit: Tools) -> None:
    for name, data in (("a.warc", gzip.compress(record(http()))), ("b.warc.gz", record(http())), ("c.txt", record(http()))):
        assert only_page(tmp_path / name, kit, data).attestation == "captured"
