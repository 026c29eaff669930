"""HTTP messages as crawlers stored them: status line, headers, transfer and content codings (RFC 9110, 9112).

Stored messages are untrue in ordinary ways: bodies that say `chunked` were stored without chunks, bodies that say
`gzip` were stored inflated, headers end in bare line feeds. Every function here accepts any bytes and raises nothing.
"""

import re
import zlib
from collections.abc import Callable, Iterator
from typing import NamedTuple

from provenance.decode import looks_like_text

MAX_HEADER_BYTES = 1 << 20
"""A header block longer than this is cut here; the longest in our collection of odd archives is 300 kB."""
MAX_CODINGS = 5
"""Stacked codings undone at most; more is a decompression bomb in another shape."""
_WINDOW = 1 << 26
_PIECE = 1 << 16

_STATUS = re.compile(rb"[ \t]*(?:HTTP|ICY)(?:/[0-9.]*)?[ \t]+([0-9]{3})(?![0-9])", re.IGNORECASE)
_PROTOCOL = re.compile(rb"[ \t]*(?:HTTP/[0-9]|ICY[ \t])", re.IGNORECASE)
_END = re.compile(rb"\r?\n\r?\n|\A\r?\n")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_CHUNK = re.compile(rb"[ \t]*([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r?\n")


class Rejection(NamedTuple):
    """Why a record became no document; a row of `rejects`."""

    stage: str
    reason: str
    detail: str


class Response(NamedTuple):
    """A parsed response. `status` is None where no status line stands or it gives no number."""

    status: int | None
    status_line: str
    headers: dict[str, str]
    body: bytes


def parse(block: bytes) -> Response:
    """Split an HTTP response into status, headers (lower-case names, repeated values joined by `, `) and stored body.

    A block that begins with no status line is all body, as in HTTP/0.9; lines without a colon are skipped.
    """
    if not _PROTOCOL.match(block):
        return Response(None, "", {}, block)
    end = _END.search(block, 0, MAX_HEADER_BYTES)
    head, body = (block[: end.start()], block[end.end() :]) if end else (block[:MAX_HEADER_BYTES], block[MAX_HEADER_BYTES:])
    line, _, rest = head.partition(b"\n")
    status = _STATUS.match(line)
    headers: dict[str, list[str]] = {}
    for field in _FOLD.sub(b" ", rest).split(b"\n"):
        name, colon, value = field.partition(b":")
        if colon and name.strip():
            headers.setdefault(_text(name).lower(), []).append(_text(value))
    return Response(
        int(status[1]) if status else None, _text(line)[:200], {name: ", ".join(values) for name, values in headers.items()}, body
    )


def _text(data: bytes) -> str:
    """Header bytes as text: UTF-8 where they are, else Latin-1 as RFC 9110 section 5.5 reads them; without NUL."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("latin-1")
    return text.replace("\0", "").strip()


def codings(value: str) -> list[str]:
    """Names of a Transfer-Encoding or Content-Encoding list in the order applied, without `identity`."""
    names = (name.partition(";")[0].strip().lower() for name in value.split(","))
    return [name.removeprefix("x-") for name in names if name not in ("", "identity", "none", "binary", "8bit", "7bit")]


def dechunk(body: bytes) -> bytes | None:
    """Undo the chunked coding (RFC 9112 section 7.1); None where `body` is not chunked.

    A cut or damaged body keeps what its whole chunks hold and, after them, the bytes as they stand.
    """
    pieces: list[bytes] = []
    position = 0
    while (size := _CHUNK.match(body, position)) is not None:
        start, length = size.end(), int(size[1], 16)
        if not length:
            return b"".join(pieces)
        stop = start + length
        separator = body[stop : stop + 2]
        if stop < len(body) and not separator.startswith(b"\n") and separator not in (b"\r\n", b"\r"):
            break
        if stop > len(body) and not pieces and length > 2 * len(body):
            return None
        pieces.append(body[start:stop])
        position = stop + (2 if separator.startswith(b"\r") else 1)
    if not pieces:
        return None
    return b"".join(pieces) + body[position:]


def payload(response: Response) -> bytes:
    """The entity body after transfer decoding: what a WARC-Payload-Digest is taken over (WARC 1.1 section 6.3.2).

    Only `chunked` is undone here. Where that is untrue the stored body is the entity.
    """
    if "chunked" in response.headers.get("transfer-encoding", "").lower():
        entity = dechunk(response.body)
        return response.body if entity is None else entity
    return response.body


def content(response: Response, entity: bytes, limit: int) -> bytes | Rejection:
    """The page's bytes: `entity` (from `payload`) after content decoding, at most `limit` bytes.

    An untrue coding is skipped where the bytes look like text. Reasons of a rejection (stage `http`): `too_large`
    (stored above `limit`), `bomb` (inflates above it), `content_encoding` (unknown or damaged, and no text),
    `codings` (more than five).
    """
    applied = codings(response.headers.get("content-encoding", "")) + [
        name for name in codings(response.headers.get("transfer-encoding", "")) if name != "chunked"
    ]
    if len(applied) > MAX_CODINGS:
        return Rejection("http", "codings", f"{len(applied)} stacked codings: {', '.join(applied)[:100]}")
    data = entity
    for name in reversed(applied):
        if len(data) > limit:
            break
        decoded = undo(name, data, limit)
        if decoded is None:
            if not looks_like_text(data):
                return Rejection("http", "content_encoding", f"{name[:40]} does not decode: starts with {data[:8].hex()}")
            continue
        if len(decoded) > limit:
            return Rejection("http", "bomb", f"{len(entity)} bytes inflate by {name} to more than {limit}")
        data = decoded
    if len(data) > limit:
        return Rejection("http", "too_large", f"{len(data)} bytes, more than {limit}")
    return data


def undo(name: str, data: bytes, limit: int) -> bytes | None:
    """Undo one content coding, stopping soon after `limit` bytes; None for an unknown coding or untrue bytes.

    A stream that ends early gives what it holds: crawlers cut bodies. One that breaks before its end gives None.
    """
    decoder = _DECODERS.get(name)
    if decoder is None:
        return None
    if not data:
        return b""
    return decoder(data, limit)


def _collect(pieces: Iterator[bytes], limit: int) -> bytes:
    out: list[bytes] = []
    size = 0
    for piece in pieces:
        out.append(piece)
        size += len(piece)
        if size > limit:
            break
    return b"".join(out)


def _inflate(data: bytes, limit: int, wbits: int) -> bytes | None:
    """zlib streams one after another, as gzip members may stand; bytes after the last are ignored, as zlib does."""

    def pieces() -> Iterator[bytes]:
        rest, first = data, True
        while rest and (first or rest.startswith(b"\x1f\x8b")):
            stream = zlib.decompressobj(wbits)
            while rest and not stream.eof:
                yield stream.decompress(rest, _PIECE)
                rest = stream.unconsumed_tail
            if stream.eof:
                rest, first = stream.unused_data, False
            else:
                yield stream.flush(_PIECE)
                return

    try:
        return _collect(pieces(), limit)
    except zlib.error:
        return None


def _gzip(data: bytes, limit: int) -> bytes | None:
    return _inflate(data, limit, 31) if data.startswith(b"\x1f\x8b") else None


def _deflate(data: bytes, limit: int) -> bytes | None:
    """`deflate` is the zlib format by RFC 9110 section 8.4.1.2, and a raw stream by some servers."""
    decoded = _inflate(data, limit, 15)
    if decoded is None and not looks_like_text(data):
        decoded = _inflate(data, limit, -15)
    return decoded


def _brotli(data: bytes, limit: int) -> bytes | None:
    import brotli

    def pieces() -> Iterator[bytes]:
        stream = brotli.Decompressor()
        piece = stream.process(data, output_buffer_limit=_PIECE)
        while piece:
            yield piece
            piece = b"" if stream.is_finished() else stream.process(b"", output_buffer_limit=_PIECE)

    try:
        decoded = _collect(pieces(), limit)
    except brotli.error:
        return None
    return decoded or None


def _zstd(data: bytes, limit: int) -> bytes | None:
    import zstandard

    if not data.startswith(b"\x28\xb5\x2f\xfd"):
        return None
    try:
        reader = zstandard.ZstdDecompressor(max_window_size=_WINDOW).stream_reader(data, read_across_frames=True)
        return _collect(iter(lambda: reader.read(_PIECE), b""), limit)
    except zstandard.ZstdError:
        return None


_DECODERS: dict[str, Callable[[bytes, int], bytes | None]] = {"gzip": _gzip, "deflate": _deflate, "br": _brotli, "zstd": _zstd}


def media_type(value: str | None) -> tuple[str, str | None]:
    """(type/subtype in lower case or ``, charset parameter or None) of a Content-Type value."""
    if not value:
        return "", None
    essence = re.match(r"\s*([^\s;,]+)", value)
    charset = re.search(r"charset\s*=\s*[\"']?\s*([^\s\"';,]+)", value, re.IGNORECASE)
    return (essence[1].lower() if essence else ""), (charset[1] if charset else None)
