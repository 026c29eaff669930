"""One record to one page: HTTP, decoding, extraction, language, counts, digest and attestation, or why not.

`page` is total: for any bytes it gives a `Page` or a `Rejection`, and raises nothing.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any

import numpy as np

from provenance import attest, dates, extract, http, language, wikitext
from provenance.decode import clean, decode, looks_like_text, nul_pattern
from provenance.extract import Extract
from provenance.http import Rejection
from provenance.identity import canonical_json, content_id, sha256_hex

__all__ = ["Page", "Rejection", "Tools", "page", "tools", "word_count"]

NO_DOCUMENT = frozenset(("warcinfo", "request", "metadata", "revisit", "continuation", "dns", "ftp", "whois"))
"""Record types that are no captures of a text; each is a reject of that name. The last three are those of ARC records by the
scheme of their address: what a name server, an FTP server or a registry answered a crawler."""

_HTML = frozenset(("text/html", "application/xhtml+xml", "application/vnd.wap.xhtml+xml"))
_XML = frozenset(
    "text/xml application/xml application/rss+xml application/atom+xml application/rdf+xml text/rss+xml text/rss text/atom".split()
)
_UNTOLD = frozenset(
    (
        "",
        "application/octet-stream",
        "application/unknown",
        "unknown/unknown",
        "content/unknown",
        "unknown",
        "*/*",
        "text",
        "text/*",
    )
)
_MEDIA = ("image/", "video/", "audio/", "font/")

_BINARY = (
    (b"%PDF-", "application/pdf"),
    (b"\x89PNG", "image/png"),
    (b"GIF8", "image/gif"),
    (b"\xff\xd8\xff", "image/jpeg"),
    (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b\x08", "application/gzip"),
    (b"Rar!", "application/vnd.rar"),
    (b"7z\xbc\xaf", "application/x-7z-compressed"),
    (b"\x00asm", "application/wasm"),
    (b"wOF", "font/woff"),
    (b"OggS", "application/ogg"),
    (b"ID3", "audio/mpeg"),
    (b"\xd0\xcf\x11\xe0", "application/x-ole-storage"),
    (b"{\\rtf", "application/rtf"),
    (b"%!PS", "application/postscript"),
)
# WHATWG MIME Sniffing section 7.1: the tags that only HTML begins with; a comment alone may be a script's.
_HTML_START = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<!--(?:[^-]|-(?!->)){0,2000}-->\s*)*"
    rb"<(?:!doctype\s+html|html|head|body|title|meta|script|iframe|h1|div|font|table|style|br|p|b|a)[\s/>]",
    re.IGNORECASE,
)
_XML_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:\?xml|rss|feed|rdf:RDF)[\s>]", re.IGNORECASE)
_XHTML = re.compile(rb"<(?:!doctype\s+html|html)[\s>]", re.IGNORECASE)

# Han (with the supplementary planes), kana, Thai, Lao, Khmer, Burmese: scripts written without spaces between words.
_UNSPACED = (
    (0x0E01, 0x0E3A), (0x0E40, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x3040, 0x30FF),
    (0x3400, 0x4DBF), (0x4E00, 0x9FFF), (0xF900, 0xFAFF), (0x20000, 0x3FFFF),
)  # fmt: skip
_CRAWLER_NOTE = re.compile(r"<?(?:metadata|urn|screenshot|warcinfo|whois|dns):", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Tools:
    """What `page` works with; built once per worker by `tools`, and not to be pickled."""

    options: Extract
    extract: Callable[[str], str]
    identify: Callable[[str], tuple[str | None, float | None]]


def tools(options: Extract | None = None) -> Tools:
    """Load the extractor and the language model: about 50 ms. Raises `ValueError` as `extract.extractor` does."""
    options = options or Extract()
    model = language.load()
    return Tools(options, extract.extractor(options), lambda text: language.identify(text, model, options.language_characters))


@dataclass(frozen=True, slots=True)
class Page:
    """A row of `documents` without its key and place, and what the signals look at besides the text.

    `html` is the decoded page (`` for rows and plain text) and `http_headers` the response's, names in lower case;
    `attestation_reason` says why the level is `none`, and `bodies` are a capture's payload as stored and after transfer
    decoding, over which digests may be taken. These four are not stored.
    """

    text: str
    content_id: str
    date: datetime | None
    date_end: datetime | None
    attestation: str
    attestation_reason: str | None
    payload_digest: str | None
    digest_check: str
    charset: str | None
    language: str | None
    language_score: float | None
    token_count: int | None
    word_count: int
    byte_count: int
    metadata: str | None = None
    dump: str | None = None
    html: str = ""
    http_headers: dict[str, str] = field(default_factory=dict)
    bodies: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True)
class _Payload:
    """Payload bytes of a capture: as stored, after transfer decoding, and as text bytes of a kind."""

    bodies: tuple[bytes, ...]
    data: bytes
    kind: str
    charset: str | None
    headers: dict[str, str]


def page(
    record_type: str,
    url: str | None,
    date: str | None,
    block: bytes,
    headers: dict[str, str],
    text: str | None,
    columns: dict[str, Any],
    tools: Tools,
    now: datetime | None = None,
) -> Page | Rejection:
    """The page that a record holds, or why it holds none.

    `block`, `headers` (WARC fields, names in lower case) and `date` are the record's as found; `text` and `columns` a
    table row's. Dates after `now` are no dates; without `now` the future is not checked.
    """
    if record_type == "row":
        return _row(url, date, text, columns, tools, now)
    if record_type in NO_DOCUMENT:
        return Rejection("read", record_type, f"a {record_type} record is no capture of a text")
    if record_type not in attest.CAPTURES:
        return Rejection("read", "record_type", f"unknown record type {clean(record_type)[:60]!r}")
    payload = (
        _response(block, tools.options) if record_type == "response" else _resource(record_type, url, block, headers, tools.options)
    )
    if isinstance(payload, Rejection):
        return payload
    decoded, charset = decode(payload.data, payload.charset)
    if decoded.count("\ufffd") * 10 > len(decoded):
        return Rejection("decode", "garbage", f"more than a tenth of the characters do not decode as {charset}")
    read = {"html": tools.extract, "xml": extract.feed, "plain": extract.plain_text}[payload.kind]
    extracted = clean(read(decoded))
    if not extracted or extracted.isspace():
        by = f"the extractor {tools.options.extractor}" if payload.kind == "html" else f"the reader of {payload.kind}"
        return Rejection("extract", "no_content", f"{by} kept nothing of {len(payload.data)} bytes")
    counted = _counted(extracted, tools.options)
    if isinstance(counted, Rejection):
        return counted
    span = dates.interval(date, now)
    check = attest.check_digest(headers.get("warc-payload-digest"), payload.bodies)
    level = attest.attest(record_type, span, check)
    named, score = tools.identify(counted["text"])
    return Page(
        **counted,
        date=span[0] if span else None,
        date_end=span[1] if span else None,
        attestation=level.level,
        attestation_reason=level.reason,
        payload_digest=sha256_hex(payload.bodies[-1]),
        digest_check=check,
        charset=charset,
        language=named,
        language_score=score,
        token_count=None,
        html="" if payload.kind == "plain" else decoded,
        http_headers=payload.headers,
        bodies=payload.bodies,
    )


def _row(
    url: str | None, date: str | None, text: str | None, columns: dict[str, Any], tools: Tools, now: datetime | None
) -> Page | Rejection:
    """A table row's page: its text as it is, or read where it is wikitext, the columns we know carried, the others as JSON."""
    text = clean(text or "")
    if not text or text.isspace():
        return Rejection("extract", "empty_text", "the row holds no text")
    if columns.get("markup") == "wikitext":
        try:
            text = wikitext.plain_text(text, columns.get("aside", ()))
        except wikitext.TooComplex as error:
            return Rejection("extract", "wikitext_too_complex", str(error))
        if not text:
            return Rejection("extract", "no_content", "the wikitext holds templates and files alone")
    counted = _counted(text, tools.options)
    if isinstance(counted, Rejection):
        return counted
    web = url is not None and url.lower().startswith(("http:", "https:"))
    span = dates.interval(date, now, web)
    level = attest.attest("row", span, "absent")
    named, score = _column(columns, "language", str), _column(columns, "language_score", float)
    if named is None:
        named, score = tools.identify(counted["text"])
    dump = _column(columns, "dump", str)
    return Page(
        **counted,
        date=span[0] if span else None,
        date_end=span[1] if span else None,
        attestation=level.level,
        attestation_reason=level.reason,
        payload_digest=None,
        digest_check="absent",
        charset=None,
        language=clean(named) if named else named,
        language_score=score,
        token_count=_column(columns, "token_count", int),
        metadata=_metadata(columns.get("metadata")),
        dump=clean(dump) if dump else dump,
    )


def _counted(text: str, options: Extract) -> dict[str, Any] | Rejection:
    """The fields of a page that its text alone gives."""
    size = len(text) if text.isascii() else len(text.encode())
    if size > options.max_bytes:
        return Rejection("extract", "too_large", f"text of {size} bytes, more than {options.max_bytes}")
    return {"text": text, "content_id": content_id(text), "word_count": word_count(text), "byte_count": size}


def _response(block: bytes, options: Extract) -> _Payload | Rejection:
    response = http.parse(block)
    if response.status is None:
        return Rejection("http", "status_line", f"no HTTP status: starts with {clean(repr(block[:40]))}")
    if response.status != 200:
        return Rejection("http", "status", clean(response.status_line))
    media, charset = http.media_type(response.headers.get("content-type"))
    if media.startswith(_MEDIA) and response.headers.get("content-encoding"):
        return Rejection("http", "content_type", media[:100])
    entity = http.payload(response)
    data = http.content(response, entity, options.max_bytes)
    if isinstance(data, Rejection):
        return data
    kind = _kind(media, data)
    if isinstance(kind, Rejection):
        return kind
    return _Payload((response.body, entity), data, kind, charset, response.headers)


def _resource(record_type: str, url: str | None, block: bytes, headers: dict[str, str], options: Extract) -> _Payload | Rejection:
    """A `resource` or `conversion`: its block is the payload, its WARC Content-Type the payload's."""
    if record_type == "resource" and _CRAWLER_NOTE.match(url or ""):
        return Rejection("read", "crawler_note", f"a resource of the crawler's own: {clean(url or '')[:100]}")
    if len(block) > options.max_bytes:
        return Rejection("http", "too_large", f"{len(block)} bytes, more than {options.max_bytes}")
    media, charset = http.media_type(headers.get("content-type"))
    kind = _kind(media, block)
    if isinstance(kind, Rejection):
        return kind
    return _Payload((block,), block, "plain" if record_type == "conversion" and media == "text/plain" else kind, charset, {})


def _kind(media: str, data: bytes) -> str | Rejection:
    """`html`, `xml` or `plain`: by the declared type where the bytes bear it out, else by the bytes alone."""
    head = data[:4096]
    if not head.strip():
        return Rejection("http", "empty_body", f"{len(data)} bytes of payload")
    found = next((name for magic, name in _BINARY if head.startswith(magic)), None)
    if found is not None:
        return Rejection("http", "content_type", f"declared {media[:60] or 'nothing'}, bytes are {found}")
    if _HTML_START.match(head) and not (media == "text/plain" and not _XHTML.search(head)):
        return "html"
    if _XML_START.match(head) and (media in _HTML or media in _XML or media in _UNTOLD or media.endswith("+xml")):
        return "html" if media in _HTML or _XHTML.search(head) else "xml"
    if media in _HTML:
        return (
            "html"
            if b"<" in head or looks_like_text(head)
            else Rejection("http", "content_type", f"declared {media}, bytes are binary")
        )
    if media in _XML or media == "text/plain" or media in _UNTOLD:
        if looks_like_text(head):
            return "xml" if media in _XML else "plain"
        return Rejection("http", "content_type", f"declared {media or 'nothing'}, bytes are binary")
    wide = nul_pattern(head)
    if wide and _HTML_START.match(head.replace(b"\0", b"")):
        return "html"
    return Rejection("http", "content_type", media[:100])


@cache
def _classes() -> np.ndarray:
    r"""For each code point below 0x40000 and the one after them: 1 for what `\w` matches, 2 for unspaced scripts, else 0."""
    table = np.fromiter((chr(point).isalnum() or point == 0x5F for point in range(0x20000)), dtype=np.uint8, count=0x20000)
    table = np.concatenate([table, np.zeros(0x20001, dtype=np.uint8)])
    for first, last in _UNSPACED:
        table[first : last + 1] = 2
    return table


def word_count(text: str) -> int:
    r"""Words of `text` by `\w+`; characters of scripts without spaces between words count 1/4 each."""
    points = np.frombuffer(text.encode("utf-32-le", "replace"), dtype=np.uint32)
    kinds = _classes()[np.minimum(points, 0x40000)]
    word = kinds == 1
    starts = int(np.count_nonzero(word[1:] & ~word[:-1])) + int(word[:1].sum())
    return starts + int(np.count_nonzero(kinds == 2)) // 4


def _column(columns: dict[str, Any], name: str, kind: type) -> Any:
    """A column's value as `kind`, None where it is missing or cannot be one."""
    value = columns.get(name)
    if value is None or isinstance(value, (list, dict)):
        return None
    try:
        value = kind(value)
    except (ValueError, TypeError, OverflowError):
        return None
    if (kind is int and not -(1 << 63) <= value < 1 << 63) or (kind is float and not 0 <= value <= 1):
        return None
    return value


def _metadata(value: Any) -> str | None:
    """Other columns as one canonical JSON object without the final newline; None where there are none."""
    if not value:
        return None
    try:
        return canonical_json(value).decode().rstrip("\n")
    except (ValueError, TypeError, RecursionError):
        return canonical_json(_jsonable(value, 32)).decode().rstrip("\n")


def _jsonable(value: Any, depth: int) -> Any:
    """`value` with what JSON or UTF-8 lacks made text: NaN, infinities, lone surrogates, other types, deep nesting."""
    if value is None or isinstance(value, (bool, int)):
        return value
    if isinstance(value, float):
        return value if value - value == 0 else None
    if depth and isinstance(value, dict):
        return {clean(str(name)): _jsonable(item, depth - 1) for name, item in value.items()}
    if depth and isinstance(value, (list, tuple)):
        return [_jsonable(item, depth - 1) for item in value]
    return clean(value if isinstance(value, str) else "..." if isinstance(value, (dict, list, tuple)) else str(value))
