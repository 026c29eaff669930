"""Statements of the publisher that a machine wrote the text.

Read are schema.org's `digitalSourceType` in JSON-LD, microdata and RDFa (values of schema.org or IPTC's
`trainedAlgorithmicMedia` URIs) and Google Merchant's `digital_source_type` of a product's description, the `ai-disclosure`
meta element (grades of Drupal's module ai_disclosure among its values) and attribute, the `AI-Disclosure` HTTP header
(draft-abaris-aicdh-01), and C2PA manifests in text (C2PA 2.4, A.7 to A.9; A.8 hides bytes in variation selectors after
U+FEFF, which Unicode normalisation or a careful editor removes, so it is looked for in the text as decoded; a decoder
takes a leading U+FEFF for a byte order mark, so the magic number alone is enough).

Values: 3 the text is a machine's by its publisher's word, 2 partly (composite, assisted, summarised, modified), 1 said of
something on the page whose relation to the text is open, 0 said of an image, video or sound only, or a manifest that
does not say or lies elsewhere. A statement that there was no machine gives no row: nothing that a page says of itself makes it
human.

Failure modes. Almost nobody discloses (fewer than 1,000 domains use the schema.org property, May 2026), and text under human
review is exempt from the EU's duty, so silence says nothing. A page of several articles of which one is disclosed reads as that
one. C2PA signatures are not verified here: a manifest is taken at its word against the text, which is the direction that
a forger has no use for.
"""

import base64
import binascii
import itertools
import json
import re
from collections.abc import Iterator
from urllib.parse import unquote_to_bytes

import pyarrow as pa

from provenance.signals import Tools, _scan, readings
from provenance.signals._structured import OTHER, PARTLY, UNCLEAR, WHOLE, Found, linked_data, product_texts, properties, strength

NAME = "disclosure"
VERSION = "2"
STAGE = "page"
COLUMNS = ("key", "text", "html", "http_headers")
STATISTICAL = False

_MAGIC = r"(?-i:\x{E0133}\x{E0122}\x{E0140}\x{E0131})"  # "C2PA" in variation selectors, which have no case
_MARKUP = (
    rf"digital_?sourcetype|digital_source_type|trainedalgorithmicmedia|ai[-_]disclosure|c2pa[ -]manifest|/c2pa|x-c2pa|{_MAGIC}"
)
_MARK = "begin c2pa manifest"
_HEADERS = r'"ai-disclosure"|c2pa-manifest'
_MACHINE_WORDS = re.compile(
    r"\b(?:ai|machine|llm|model|bot|fully|automatically|autonomously)-(?:generated|originated|written|created|authored|produced)\b|"
    r"\bgenerated\b|\boriginated\b|\bautonomous",
)
_PARTLY_WORDS = re.compile(
    r"assist|summar|modif|edit|enhanc|translat|partial|partly|composite|mixed|hybrid|\bco-?(?:written|authored|created)|human"
)
_NO_TEXT_WORDS = re.compile(r"metadata|\brated\b|deep-?fake|image|video|audio|thumbnail|illustration")
_NOTHING = re.compile(
    r"(?:none|no|false|0|0%|\?0|n/?a|unknown|undetermined|unspecified|ai-free|human(?:-(?:only|written|authored|made|created|generated|originated))?|"
    r"(?:not?|non|without)-.*|.*=-?(?:\?0|0|false|no|none))?"
)
_SELECTORS = re.compile("[\ufe00-\ufe0f\U000e0100-\U000e01ef]{13,}")
_WRAPPER_MAGIC = b"C2PATXT\0"
_BEGIN, _END = "-----BEGIN C2PA MANIFEST-----", "-----END C2PA MANIFEST-----"
_COMMENT_MARK = re.compile(r"\s*+(?://|#|\*|;|--|%|<!--|rem)\s++", re.IGNORECASE)
# The atomic group keeps to the first place in a tag, so that the rest of a tag that does not end is read once.
_ATTRIBUTE = re.compile(r"<([a-z][\w-]*+)\s(?>[^<>]*?\bai-disclosure\s*+=)[^<>]*+>", re.IGNORECASE)
_ROOTS, _PICTURES = ("html", "body", "main", "article"), ("img", "picture", "figure", "video", "audio", "source", "svg", "canvas")
_MOST = 20  # places of one page that are looked at


def disclosure(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """The strongest statement of each page that makes one."""
    marked = set(_scan.hits(batch.column("html"), _MARKUP))
    # A pass for each of two literals takes a third of the time of one pass for both.
    texts = {row for mark in (_MARK, _MAGIC) for row in _scan.hits(batch.column("text"), mark)}
    headed = set(_scan.hits(batch.column("http_headers"), _HEADERS))
    rows: list[tuple[str, float, str]] = []
    for row in sorted(marked | texts | headed):
        found: list[Found] = []
        if row in headed:
            found += _header(batch.column("http_headers")[row].as_py())
        if row in marked:
            page = batch.column("html")[row].as_py()
            seen = _scan.markup(page)
            found += [*linked_data(page), *properties(seen), *product_texts(seen), *_metas(seen), *_elements(seen)]
            found += [*_manifests(page), *_attached(page, seen)]
        if row in texts:
            found += _manifests(batch.column("text")[row].as_py())
        if found:
            rows.append((batch.column("key")[row].as_py(), *max(found)))
    return readings(rows)


def _statement(words: str) -> float | None:
    """What a free statement says, such as `ai_summarized; required=yes` or `ai-generated`; None for no machine.

    Parts with a name after the first are details (`icon=ai_generated` is of an icon).
    """
    parts = [part.strip().strip("\"' ").lower() for part in re.split(r"[;,]", words)]
    said = [_part(re.sub(r"[_\s]+", "-", part)) for i, part in enumerate(parts) if part and (i == 0 or "=" not in part)]
    known = [value for value in said if value is not None]
    return max(known) if known else None


def _part(words: str) -> float | None:
    """What one part of a statement says, in lower case with hyphens."""
    if _NOTHING.fullmatch(words):
        return None
    if _NO_TEXT_WORDS.search(words):
        return OTHER
    if _PARTLY_WORDS.search(words):
        return PARTLY if not words.startswith("human-") or "ai" in words.split("-") else UNCLEAR
    return WHOLE if _MACHINE_WORDS.search(words) or strength(words) == WHOLE else UNCLEAR


def _header(raw: str) -> Iterator[Found]:
    """The AI-Disclosure header: a structured dictionary whose `mode` counts; and a link to a manifest."""
    try:
        headers = json.loads(raw)
    except ValueError:
        return
    for name, value in headers.items() if isinstance(headers, dict) else ():
        value = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
        if name.lower() == "link" and "c2pa-manifest" in value.lower():
            yield OTHER, "C2PA manifest elsewhere, named by the HTTP header Link"
        if name.lower() == "ai-disclosure":
            modes = re.findall(r"\bmode\s*=\s*[\"']?([\w-]+)", value, re.IGNORECASE)
            for words in modes or [value]:
                said = _statement(words)
                if said is not None:
                    yield said, f"HTTP header AI-Disclosure: {value[:120]}"


def _metas(seen: str) -> Iterator[Found]:
    """`<meta name="ai-disclosure">` and a source type in a meta element of the page."""
    for meta in _scan.tags(seen, "meta"):
        name = (
            next((meta[key] for key in ("name", "property", "http-equiv") if meta.get(key)), "").strip().lower().replace("_", "-")
        )
        content, said = meta.get("content", ""), None
        if name == "ai-disclosure":
            mode = re.search(r"\bmode\s*=\s*[\"']?([\w-]+)", content, re.IGNORECASE)
            said = _statement(mode.group(1) if mode else content)
        elif re.split(r"[:.]", name)[-1].replace("-", "") == "digitalsourcetype" and "itemprop" not in meta and "name" in meta:
            said = strength(content)
        if said is not None:
            yield said, f"meta {name}: {content[:120]}"


def _elements(seen: str) -> Iterator[Found]:
    """The attribute `ai-disclosure` of an element: of the page's root or its article it speaks for the text."""
    for match in itertools.islice(_ATTRIBUTE.finditer(seen), _MOST):
        words, element = _scan.attributes(match.group()).get("ai-disclosure"), match.group(1).lower()
        said = _statement(words) if words else None
        if said is not None:
            own = said if element in _ROOTS else OTHER if element in _PICTURES else min(said, UNCLEAR)
            yield own, f"attribute ai-disclosure of <{element}>: {words}"


def _attached(page: str, seen: str) -> Iterator[Found]:
    """C2PA manifests of an HTML page: a script element that holds one or a link to one (A.7)."""
    for kind in ("application/c2pa", "application/x-c2pa-manifest-store"):
        for script in _scan.scripts(page, kind):
            yield _encoded(script)
    for link in _scan.tags(seen, "link"):
        if "c2pa-manifest" in link.get("rel", "").lower().split():
            yield _encoded(link.get("href", ""))


def _manifests(text: str) -> Iterator[Found]:
    """C2PA manifests hidden in variation selectors (A.8) or between BEGIN and END (A.9), commented out or not."""
    for match in itertools.islice(_SELECTORS.finditer(text), _MOST):
        data = bytes(_byte(character) for character in match.group())
        start = data.find(_WRAPPER_MAGIC)
        if start >= 0:
            yield _manifest(data[start + 13 :], "C2PA manifest hidden in the text")
    for part in itertools.islice(text.split(_BEGIN)[1:], _MOST):
        body, end, _ = part.partition(_END)
        if end:
            yield _encoded("".join(map(_uncommented, body.splitlines())))


def _uncommented(line: str) -> str:
    """A line without the marks of a comment around it."""
    mark = _COMMENT_MARK.match(line)
    line = line[mark.end() :] if mark else line
    ended = line.rstrip()
    if not ended.endswith(("*/", "-->")):
        return line
    return ended[: -2 if ended.endswith("*/") else -3].rstrip()


def _encoded(body: str) -> Found:
    """What a manifest says that is written in base64, as a `data:` URI or, which does not say, as an address."""
    kind, comma, data = body.strip().rpartition(",")
    try:
        if comma and kind.lower().startswith("data:") and not kind.lower().endswith(";base64"):
            return _manifest(unquote_to_bytes(data), "C2PA manifest in the page")
        return _manifest(base64.b64decode("".join(data.split()), validate=True), "C2PA manifest in the page")
    except (binascii.Error, ValueError):
        return OTHER, "C2PA manifest of the page, not embedded or not readable"


def _byte(selector: str) -> int:
    """The byte of a variation selector: U+FE00 to FE0F are 0 to 15, U+E0100 to E01EF 16 to 255."""
    code = ord(selector)
    return code - 0xFE00 if code < 0xE0100 else code - 0xE0100 + 16


def _manifest(data: bytes, detail: str) -> Found:
    """What the source type in a manifest's bytes says; CBOR keeps its URI as plain text."""
    kinds = re.findall(rb"digitalsourcetype/(\w+)", data)
    strengths = [s for s in (strength(kind.decode()) for kind in kinds) if s is not None]
    return (max(strengths), detail) if strengths else (OTHER, detail + " that does not name a machine")
