"""HTTP messages as crawlers stored them: framing, codings, bounds."""

import gzip
import hashlib
import zlib

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from provenance import http
from provenance.http import Rejection

HTML = b"<!DOCTYPE html><p>" + b"word " * 400
LIMIT = 1 << 20


def raw_deflate(data: bytes) -> bytes:
    stream = zlib.compressobj(wbits=-15)
    return stream.compress(data) + stream.flush()


ENCODERS = {"gzip": gzip.compress, "deflate": zlib.compress, "br": brotli.compress, "zstd": zstandard.compress}


def response(headers: bytes, body: bytes, line: bytes = b"HTTP/1.1 200 OK") -> bytes:
    return line + b"\r\n" + headers + b"\r\n\r\n" + body


def content(headers: bytes, body: bytes, limit: int = LIMIT) -> bytes | Rejection:
    parsed = http.parse(response(headers, body))
    return http.content(parsed, http.payload(parsed), limit)


@pytest.mark.parametrize(
    ("line", "status"),
    [
        (b"HTTP/1.1 200 OK", 200),
        (b"HTTP/2 200", 200),
        (b"http/1.1 200 ok", 200),
        (b"ICY 200 OK", 200),
        (b"HTTP/1.1  200  OK", 200),
        (b"HTTP/1.1 999 Request denied", 999),
        (b"HTTP/1.1 OK", None),
        (b"HTTP/1.1 2000 OK", None),
    ],
)
def test_status_lines_of_real_servers(line: bytes, status: int | None) -> None:
    assert http.parse(response(b"A: b", HTML, line)).status == status


def test_headers_are_folded_joined_and_lower_cased() -> None:
    parsed = http.parse(b"HTTP/1.1 200 OK\nX-Fold: one\n two\n\tthree\nA: 1\nno colon here\nA: 2\nN: caf\xe9\x00\n\nbody")
    assert parsed.headers == {"x-fold": "one two three", "a": "1, 2", "n": "café"}
    assert parsed.body == b"body"


def test_a_block_without_a_status_line_is_all_body() -> None:
    assert http.parse(HTML) == http.Response(None, "", {}, HTML)


def test_a_header_block_without_end_is_bounded() -> None:
    parsed = http.parse(b"HTTP/1.1 200 OK\r\nA: " + b"a" * (2 * http.MAX_HEADER_BYTES))
    assert len(parsed.headers["a"]) < http.MAX_HEADER_BYTES


def chunked(data: bytes, size: int = 100, extension: bytes = b"") -> bytes:
    pieces = [data[i : i + size] for i in range(0, len(data), size)]
    return b"".join(b"%x%s\r\n%s\r\n" % (len(piece), extension, piece) for piece in pieces) + b"0\r\n\r\n"


@pytest.mark.parametrize("extension", [b"", b";name=value", b"  "])
def test_chunks_are_undone(extension: bytes) -> None:
    assert content(b"Transfer-Encoding: chunked", chunked(HTML, extension=extension)) == HTML


def test_chunks_cut_short_keep_what_is_there() -> None:
    assert content(b"Transfer-Encoding: chunked", chunked(HTML)[:950]) == HTML[:898]


@pytest.mark.parametrize("body", [HTML, b"zz\r\n" + HTML, b"deadbeef\r\n" + HTML])
def test_untrue_chunked_gives_the_body_as_stored(body: bytes) -> None:
    assert content(b"Transfer-Encoding: chunked", body) == body


@pytest.mark.parametrize("name", sorted(ENCODERS))
def test_codings_are_undone_and_bounded(name: str) -> None:
    header = b"Content-Encoding: " + name.encode()
    assert content(header, ENCODERS[name](HTML)) == HTML
    bomb = content(header, ENCODERS[name](b"a" * (8 * LIMIT)))
    assert isinstance(bomb, Rejection) and bomb[:2] == ("http", "bomb")


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd", "br"])
def test_a_cut_coded_body_keeps_what_it_holds(name: str) -> None:
    data = "".join(hashlib.sha256(bytes([i % 256, i // 256])).hexdigest() for i in range(12_000)).encode()
    got = content(b"Content-Encoding: " + name.encode(), ENCODERS[name](data)[:-40])
    assert isinstance(got, bytes) and data.startswith(got) and len(got) > 1000


def test_raw_deflate_and_many_gzip_members() -> None:
    assert content(b"Content-Encoding: deflate", raw_deflate(HTML)) == HTML
    assert content(b"Content-Encoding: x-gzip", gzip.compress(HTML) + gzip.compress(HTML)) == HTML * 2
    assert content(b"Content-Encoding: gzip", gzip.compress(HTML) + b"\0\0\0") == HTML


def test_stacked_codings_are_undone_in_reverse_up_to_five() -> None:
    body = brotli.compress(gzip.compress(HTML))
    assert content(b"Content-Encoding: gzip, br", body) == HTML
    assert content(b"Transfer-Encoding: gzip, chunked", chunked(gzip.compress(HTML))) == HTML
    six = content(b"Content-Encoding: " + b"gzip, " * 6, body)
    assert isinstance(six, Rejection) and six.reason == "codings"


@pytest.mark.parametrize("name", [*sorted(ENCODERS), "utf-8", "nonsense"])
def test_an_untrue_coding_over_text_is_skipped_and_over_binary_a_reject(name: str) -> None:
    header = b"Content-Encoding: " + name.encode()
    assert content(header, HTML) == HTML
    binary = content(header, b"\x00\x01\x02\xff" * 50)
    assert isinstance(binary, Rejection) and binary[:2] == ("http", "content_encoding")


def test_a_stored_body_above_the_limit_is_too_large() -> None:
    got = content(b"A: b", b"a" * (LIMIT + 1))
    assert isinstance(got, Rejection) and got.reason == "too_large"


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("TEXT/HTML; Charset=UTF8", ("text/html", "UTF8")),
        ("text/html;charset='windows-1251'", ("text/html", "windows-1251")),
        ("text/html, text/html; charset=utf-8", ("text/html", "utf-8")),
        ("", ("", None)),
        (None, ("", None)),
    ],
)
def test_media_types(value: str | None, expected: tuple[str, str | None]) -> None:
    assert http.media_type(value) == expected


@given(st.binary(max_size=300), st.sampled_from(["", *ENCODERS, "chunked"]), st.booleans())
def test_no_bytes_raise(data: bytes, name: str, framed: bool) -> None:
    headers = f"Content-Encoding: {name}\r\nTransfer-Encoding: {'chunked' if framed else 'gzip'}".encode()
    parsed = http.parse(response(headers, ENCODERS.get(name, bytes)(data)[:-3] + data))
    assert isinstance(http.content(parsed, http.payload(parsed), 1000), bytes | Rejection)
    http.parse(data)
    http.parse(b"HTTP/1.1 " + data)
