"""Records to pages and rejections, each rule once, and any bytes."""

import dataclasses
import gzip
import hashlib
import json
import re
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance import schema
from provenance.identity import content_id
from provenance.pages import NO_DOCUMENT, Page, Rejection, Tools, page, tools, word_count
from tests.provenance.warcs import records

TEXT = "This page is about old books and the people who read them, a long time ago in another town. " * 4
HTML = f"<!DOCTYPE html><html><head><title>Books</title></head><body><p>{TEXT}</p></body></html>".encode()
DATE = "2020-05-06T07:08:09Z"
TRANSIENT = {"attestation_reason", "html", "http_headers", "bodies"}


@pytest.fixture(scope="module")
def kit() -> Tools:
    return tools()


def response(body: bytes = HTML, kind: str = "text/html", status: str = "200 OK", **more: str) -> bytes:
    headers = {"Content-Type": kind, **{name.replace("_", "-"): value for name, value in more.items()}}
    lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items() if value)
    return f"HTTP/1.1 {status}\r\n{lines}\r\n".encode() + body


def capture(  # type: ignore[no-untyped-def]
    kit: Tools, block: bytes, record_type: str = "response", date: str | None = DATE, url: str = "http://a.example/", **headers: str
):
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return page(record_type, url, date, block, fields, None, {}, kit)


def test_a_response_becomes_a_page(kit: Tools) -> None:
    got = capture(kit, response(AI_Disclosure="none"), warc_payload_digest="sha1:" + hashlib.sha1(HTML).hexdigest())
    assert isinstance(got, Page)
    assert got.text == TEXT.strip() and got.content_id == content_id(TEXT)
    assert got.date == got.date_end == datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
    assert (got.attestation, got.attestation_reason, got.digest_check) == ("captured", None, "agrees")
    assert got.payload_digest == hashlib.sha256(HTML).hexdigest()
    assert (got.charset, got.language, got.token_count, got.metadata) == ("utf-8", "en", None, None)
    assert got.byte_count == len(TEXT.strip()) and got.word_count == len(TEXT.split())
    assert got.html == HTML.decode() and got.http_headers["ai-disclosure"] == "none"


def test_a_page_has_the_fields_of_the_schema() -> None:
    fields = {field.name for field in dataclasses.fields(Page)} - TRANSIENT
    place = {"key", "id", "file_path", "offset", "member_offset", "record_type", "url"}
    assert fields == set(schema.DOCUMENTS.names) - place


def test_the_digest_may_be_over_the_chunks_or_what_they_hold(kit: Tools) -> None:
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HTML), HTML)
    block = response(chunked, Transfer_Encoding="chunked")
    for body in (chunked, HTML):
        got = capture(kit, block, warc_payload_digest="sha1:" + hashlib.sha1(body).hexdigest())
        assert got.digest_check == "agrees" and got.payload_digest == hashlib.sha256(HTML).hexdigest()


def test_a_digest_that_disagrees_and_a_missing_date_attest_nothing(kit: Tools) -> None:
    got = capture(kit, response(), warc_payload_digest="sha1:" + "0" * 40)
    assert (got.attestation, got.attestation_reason, got.digest_check) == ("none", "digest_disagrees", "disagrees")
    got = capture(kit, response(), date="yesterday")
    assert (got.attestation, got.attestation_reason, got.date) == ("none", "no_date", None)
    got = page("response", None, DATE, response(), {}, None, {}, kit, datetime(2019, 1, 1, tzinfo=UTC))
    assert isinstance(got, Page) and got.attestation == "none"


def test_a_coded_body_in_another_charset(kit: Tools) -> None:
    russian = "Добрый день, это страница о старых книгах и о людях, которые их читали. " * 5
    body = gzip.compress(f"<html><meta charset=windows-1251><p>{russian}".encode("cp1251"))
    got = capture(kit, response(body, Content_Encoding="gzip"))
    assert got.text == russian.strip() and (got.charset, got.language) == ("cp1251", "ru")
    assert got.payload_digest == hashlib.sha256(body).hexdigest()


@pytest.mark.parametrize("record_type", sorted(NO_DOCUMENT))
def test_records_that_are_no_captures_are_rejects_of_their_name(kit: Tools, record_type: str) -> None:
    assert capture(kit, HTML, record_type)[:2] == ("read", record_type)


@pytest.mark.parametrize("record_type", ["dns", "ftp", "whois"])
def test_what_a_server_that_is_no_web_server_answered_is_a_reject_of_its_name(kit: Tools, record_type: str) -> None:
    """As the ARC reader types records by the scheme of their address."""
    got = capture(kit, b"20060731110420\nexample.org.\t3600\tIN\tA\t192.0.2.1\n", record_type, url=f"{record_type}:example.org")
    assert got == Rejection("read", record_type, f"a {record_type} record is no capture of a text")


def test_a_type_that_nobody_knows_is_a_reject_that_says_so(kit: Tools) -> None:
    assert capture(kit, HTML, "gopher")[:2] == ("read", "record_type")


@pytest.mark.parametrize(
    ("block", "stage", "reason"),
    [
        (response(status="404 Not Found"), "http", "status"),
        (response(status="206 Partial"), "http", "status"),
        (HTML, "http", "status_line"),
        (b"", "http", "status_line"),
        (response(b""), "http", "empty_body"),
        (response(b"\x89PNG\r\n\x1a\n" + b"\0" * 90, "image/png"), "http", "content_type"),
        (response(b"%PDF-1.4 ...", "text/html"), "http", "content_type"),
        (response(b"PK\x03\x04" + b"a" * 99, ""), "http", "content_type"),
        (response(b"\x00\x01\x02\x03" * 99, "text/plain"), "http", "content_type"),
        (response(b'{"a": 1}', "application/json"), "http", "content_type"),
        (response(b"a { b: c }", "text/css"), "http", "content_type"),
        (response(b"\x00\x01" * 99, Content_Encoding="br"), "http", "content_encoding"),
        (response(gzip.compress(b"a" * (1 << 25)), Content_Encoding="gzip"), "http", "bomb"),
        (response(b"a" * (1 << 25)), "http", "too_large"),
        (response(b"<html><script>no text</script></html>"), "extract", "no_content"),
        (response(b"<?xml version='1.0'?><rss><channel/></rss>", "text/xml"), "extract", "no_content"),
    ],
)
def test_rejections(kit: Tools, block: bytes, stage: str, reason: str) -> None:
    got = capture(kit, block)
    assert isinstance(got, Rejection) and got[:2] == (stage, reason)


@pytest.mark.parametrize(
    "kind", ["", "application/octet-stream", "image/jpeg", "text/xml", "application/xhtml+xml", "text/plain", "TEXT/HTML ;x"]
)
def test_html_is_known_by_its_bytes(kit: Tools, kind: str) -> None:
    got = capture(kit, response(kind=kind))
    assert isinstance(got, Page) and got.text == TEXT.strip()


def test_feeds_and_plain_text(kit: Tools) -> None:
    feed = f"<?xml version='1.0'?><rss><channel><item><description>&lt;p&gt;{TEXT}&lt;/p&gt;</description></item></channel></rss>"
    for kind in ("application/rss+xml", "text/xml", "application/atom+xml; charset=utf-8", ""):
        assert capture(kit, response(feed.encode(), kind)).text == TEXT.strip()
    got = capture(kit, response(b"a < b\r\n\r\n<p> is a tag\r" + TEXT.encode(), "text/plain"))
    assert got.text.startswith("a < b\n\n<p> is a tag\nThis page") and got.html == ""


def test_resources_and_conversions_are_their_own_payload(kit: Tools) -> None:
    digest = "sha256:" + hashlib.sha256(HTML).hexdigest()
    got = capture(kit, HTML, "resource", content_type="text/html", warc_payload_digest=digest)
    assert got.text == TEXT.strip() and (got.attestation, got.digest_check) == ("captured", "agrees")
    got = capture(kit, HTML, "conversion", content_type="text/plain")
    assert got.text == HTML.decode() and got.attestation == "captured"
    note = capture(kit, TEXT.encode(), "resource", url="metadata://gnu.org/software/wget/warc/wget.log", content_type="text/plain")
    assert note[:2] == ("read", "crawler_note")


def row(kit: Tools, text: str | None, date: str | None = None, **columns: object):  # type: ignore[no-untyped-def]
    return page("row", "http://a.example/", date, b"", {}, text, columns, kit)


def test_a_row_keeps_its_text_and_its_columns(kit: Tools) -> None:
    got = row(
        kit,
        f"  {TEXT}\n",
        DATE,
        language="fr",
        language_score=0.5,
        token_count=99,
        dump="CC-MAIN-2020-24",
        metadata={"b": 1, "a": [None]},
    )
    assert got.text == f"  {TEXT}\n" and got.attestation == "declared"
    assert (got.language, got.language_score, got.token_count, got.dump) == ("fr", 0.5, 99, "CC-MAIN-2020-24")
    assert got.metadata == '{"a":[null],"b":1}' and (got.payload_digest, got.charset, got.digest_check) == (None, None, "absent")


def test_a_row_without_date_or_language(kit: Tools) -> None:
    got = row(kit, TEXT)
    assert (got.attestation, got.attestation_reason, got.language, got.metadata) == ("none", "no_date", "en", None)


@pytest.mark.parametrize("text", [None, "", " \n\u2003"])
def test_a_row_without_text_is_a_reject(kit: Tools, text: str | None) -> None:
    assert row(kit, text)[:2] == ("extract", "empty_text")


def test_a_row_is_cleaned_and_bounded(kit: Tools) -> None:
    assert row(kit, "a\0b\ud800 c").text == "ab\ufffd c"
    assert row(kit, "é" * (1 << 23) + "a")[:2] == ("extract", "too_large")


def test_columns_that_cannot_be_what_they_should_are_left_out(kit: Tools) -> None:
    got = row(kit, TEXT, language_score="high", token_count=1 << 70, metadata={"x": float("nan"), "y": "\ud800", 3: b"z"})
    assert (got.token_count, got.language) == (None, "en")
    assert json.loads(got.metadata) == {"x": None, "y": "\ufffd", "3": "b'z'"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", 0),
        ("one two, three", 3),
        ("不" * 200, 50),
        ("字" * 4 + " and words", 3),
        ("ก" * 40, 10),
        ("가나다 라마바", 2),
        ("naïve café", 2),
    ],
)
def test_word_count(text: str, words: int) -> None:
    assert word_count(text) == words


@given(st.text(max_size=80))
def test_words_are_those_of_the_regular_expression(text: str) -> None:
    spaced = "".join(letter for letter in text if ord(letter) < 0xE00)
    assert word_count(spaced) == len(re.findall(r"\w+", spaced))
    word_count(text)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.binary(max_size=300),
    st.sampled_from(["text/html", "text/plain", "text/xml", "", "text/html; charset=utf-16", "text/html; charset=gbk"]),
    st.sampled_from(["response", "resource", "conversion", "row", "revisit", "\ud800"]),
)
def test_any_bytes_give_a_page_or_a_rejection(kit: Tools, body: bytes, kind: str, record_type: str) -> None:
    fields = {"content-type": kind, "warc-payload-digest": body.decode("latin-1")}
    for block in (response(body, kind), response(HTML[:60] + body, kind), body):
        got = page(
            record_type,
            body.decode("latin-1"),
            body.decode("latin-1"),
            block,
            fields,
            body.decode("latin-1"),
            {"metadata": {}},
            kit,
        )
        assert isinstance(got, Page | Rejection)
        if isinstance(got, Page):
            got.text.encode()
        else:
            got.detail.encode()


def outcomes(kit: Tools, path) -> list[str]:  # type: ignore[no-untyped-def]
    found = []
    for headers, block in records(path):
        if headers.get("warc-type") == "response":
            got = page("response", headers.get("warc-target-uri"), headers.get("warc-date"), block, headers, None, {}, kit)
            found.append("page" if isinstance(got, Page) else got.reason)
    return found


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("h01_http_odd", ["page"] * 7 + ["status", "status_line"]),
        ("h02_transfer", ["page"] * 7),
        ("h04_bomb", ["bomb", "bomb", "page", "too_large"]),
        ("h05_headers", ["page"] * 7 + ["status_line"] * 2 + ["page"]),
    ],
)
def test_faults_injected_into_real_pages(kit: Tools, shared, name: str, expected: list[str]) -> None:  # type: ignore[no-untyped-def]
    assert outcomes(kit, shared / "crawl" / "warc_bad" / "derived" / f"{name}.warc.gz") == expected


def wiki(kit: Tools, text: str, **columns: object):  # type: ignore[no-untyped-def]
    return page("row", "https://no.wikipedia.org/wiki/A", DATE, b"", {}, text, {"markup": "wikitext", **columns}, kit)


def test_wikitext_is_read_and_other_rows_are_not(kit: Tools) -> None:
    got = wiki(kit, f"{{{{Infobox}}}}'''A''' {TEXT}[[Fil:x|y]]", aside=("Fil",))
    assert isinstance(got, Page)
    assert got.text == f"A {TEXT.strip()}" and got.attestation == "declared" and got.date == got.date_end
    row = page("row", None, DATE, b"", {}, f"{{{{x}}}} {TEXT}", {}, kit)
    assert isinstance(row, Page) and row.text.startswith("{{x}}")


def test_wikitext_without_prose_or_beyond_measure_is_a_reject(kit: Tools) -> None:
    assert wiki(kit, "{{Infobox}}[[File:a.png]]")[:2] == ("extract", "no_content")
    assert wiki(kit, "{{a|" * 1000)[:2] == ("extract", "wikitext_too_complex")


def test_the_bodies_that_digests_are_taken_over_come_with_the_page(kit: Tools) -> None:
    chunked = b"%x\r\n%s\r\n0\r\n\r\n" % (len(HTML), HTML)
    assert capture(kit, response(chunked, Transfer_Encoding="chunked")).bodies == (chunked, HTML)
