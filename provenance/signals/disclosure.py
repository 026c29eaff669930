"""Statements of the publisher that a machine wrote the text.

Read are schema.org's `digitalSourceType` in JSON-LD, microdata and RDFa (values of schema.org or IPTC's
`trainedAlgorithmicMedia` URIs), the `ai-disclosure` meta element, the `AI-Disclosure` HTTP header
(draft-abaris-aicdh-01), and C2PA manifests in text (C2PA 2.4, A.7 to A.9; A.8 hides bytes in variation selectors after
U+FEFF, which Unicode normalisation or a careful editor removes, so it is looked for in the text as decoded).

Values: 3 the text is a machine's by its publisher's word, 2 partly (composite, assisted, summarised, modified), 1 said of
something on the page whose relation to the text is open, 0 said of an image, video or sound only, or a manifest that
does not say. A statement that there was no machine gives no row: nothing that a page says of itself makes it human.

Failure modes. Almost nobody discloses (fewer than 1,000 domains use the schema.org property, May 2026), and text under human
review is exempt from the EU's duty, so silence says nothing. C2PA signatures are not verified here: a manifest is taken
at its word against the text, which is the direction that a forger has no use for.
"""

import base64
import binascii
import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from provenance.signals import Tools, _scan, readings

NAME = "disclosure"
VERSION = "1"
STAGE = "page"
COLUMNS = ("key", "text", "html", "http_headers")
STATISTICAL = False

WHOLE, PARTLY, UNCLEAR, OTHER = 3.0, 2.0, 1.0, 0.0

_MARKUP = r"digitalsourcetype|trainedalgorithmicmedia|ai-disclosure|c2pa|\x{FEFF}\x{E0133}"
_MARK = r"begin c2pa manifest|\x{FEFF}\x{E0133}"
_MEDIA = re.compile(r"image|video|audio|photo|media|logo|thumbnail|music|recording|clip|screenshot|visual|3dmodel", re.IGNORECASE)
_TEXTS = re.compile(
    r"article|posting|page|creativework|report|review|book|chapter|recipe|howto|answer|question|website|course|thesis|text|document",
    re.IGNORECASE,
)
_MAIN = ("@graph", "mainEntity", "mainEntityOfPage", "about")
_MACHINE_WORDS = re.compile(
    r"\b(?:ai|machine|fully)[-_ ](?:generated|originated|written|created|authored)\b|\bgenerated\b|\boriginated\b", re.IGNORECASE
)
_PARTLY_WORDS = re.compile(
    r"assist|summar|modif|edit|enhanc|translat|partial|composite|mixed|co-?(?:written|authored)", re.IGNORECASE
)
_NOTHING = re.compile(r"^\s*(?:none|no|false|0|human|not[-_ ].*)?\s*(?:;|,|$)", re.IGNORECASE)
_SELECTORS = re.compile("\ufeff([\ufe00-\ufe0f\U000e0100-\U000e01ef]{13,})")
_BEGIN, _END = "-----BEGIN C2PA MANIFEST-----", "-----END C2PA MANIFEST-----"
_PROPERTY = re.compile(r"<[^<>]*\b(?:itemprop|property)\s*=\s*[\"']?(?:\w+:)?digitalSourceType\b[^<>]*>([^<]*)", re.IGNORECASE)

Found = tuple[float, str]


def disclosure(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """The strongest statement of each page that makes one."""
    marked = set(_scan.hits(batch.column("html"), _MARKUP))
    texts = set(_scan.hits(batch.column("text"), _MARK))
    headed = set(_scan.hits(batch.column("http_headers"), r'"ai-disclosure"'))
    rows: list[tuple[str, float, str]] = []
    for row in sorted(marked | texts | headed):
        found: list[Found] = []
        if row in headed:
            found += _header(batch.column("http_headers")[row].as_py())
        if row in marked:
            page = batch.column("html")[row].as_py()
            found += [*_linked_data(page), *_properties(page), *_metas(page), *_manifests(page, True)]
        if row in texts:
            found += _manifests(batch.column("text")[row].as_py(), False)
        if found:
            rows.append((batch.column("key")[row].as_py(), *max(found)))
    return readings(rows)


def _strength(value: str) -> float | None:
    """What a digital source type says, None for any that is not a machine's."""
    name = re.split(r"[/#:]", value.strip().rstrip("/"))[-1].lower().removesuffix("digitalsource").replace("_", "")
    if name == "trainedalgorithmicmedia":
        return WHOLE
    return (
        PARTLY
        if name in ("compositewithtrainedalgorithmicmedia", "algorithmicmedia", "algorithmicallyenhanced", "compositesynthetic")
        else None
    )


def _statement(words: str) -> float | None:
    """What a free statement says, such as `ai_summarized; required=yes` or `mode=ai-originated`; None for no machine."""
    words = re.sub(r"^\s*mode\s*=\s*", "", words.strip()).strip("\"' ")
    head = re.split(r"[;,]", words)[0]
    if _NOTHING.match(words):
        return None
    if _PARTLY_WORDS.search(head):
        return PARTLY
    return WHOLE if _MACHINE_WORDS.search(head.replace("_", "-")) or _strength(head) == WHOLE else UNCLEAR


def _header(raw: str) -> Iterator[Found]:
    """The AI-Disclosure header: a structured dictionary whose `mode` counts."""
    try:
        value = json.loads(raw).get("ai-disclosure")
    except (ValueError, AttributeError):
        return
    if not isinstance(value, str):
        return
    mode = re.search(r"\bmode\s*=\s*\"?([\w-]+)", value)
    strength = _statement(mode.group(1) if mode else value)
    if strength is not None:
        yield strength, f"HTTP header AI-Disclosure: {value[:120]}"


def _linked_data(page: str) -> Iterator[Found]:
    """`digitalSourceType` of the things that the page's JSON-LD describes."""
    for script in _scan.scripts(page, "application/ld+json"):
        if "digitalsourcetype" in script.lower():
            try:
                yield from _walk(json.loads(script), main=True, media=False)
            except (ValueError, RecursionError):
                continue


def _walk(thing: Any, main: bool, media: bool) -> Iterator[Found]:
    """Statements in a JSON-LD value; `main`: it is what the page is about, `media`: it hangs on an image or the like."""
    if isinstance(thing, list):
        for part in thing:
            yield from _walk(part, main, media)
    elif isinstance(thing, dict):
        kinds = thing.get("@type", "")
        kind = " ".join(kinds) if isinstance(kinds, list) and all(isinstance(k, str) for k in kinds) else str(kinds)
        media = media or (bool(_MEDIA.search(kind)) and not _TEXTS.search(kind))
        for name, value in thing.items():
            if name.split(":")[-1].split("/")[-1].lower() == "digitalsourcetype":
                for word in _words(value):
                    strength = _strength(word)
                    if strength is not None:
                        yield _placed(strength, main, media, bool(_TEXTS.search(kind)), f"JSON-LD {kind or 'thing'}: {word}")
            else:
                yield from _walk(value, main and name in _MAIN, media or bool(_MEDIA.search(name)))


def _words(value: Any) -> Iterator[str]:
    """The strings that a JSON-LD property value names."""
    for part in value if isinstance(value, list) else [value]:
        named = part.get("@id", part.get("@value")) if isinstance(part, dict) else part
        if isinstance(named, str):
            yield named


def _placed(strength: float, main: bool, media: bool, text: bool, detail: str) -> Found:
    """A statement with the weight that its subject leaves it."""
    if media:
        return OTHER, detail + ", of an image or the like"
    return (strength, detail) if main and text else (UNCLEAR, detail + ", of a part or another work")


def _properties(page: str) -> Iterator[Found]:
    """Microdata and RDFa: the nearest item around the property says whose it is."""
    seen = _scan.visible(page)
    for match in itertools.islice(_PROPERTY.finditer(seen), _MOST):
        tag = _scan.attributes(match.group().split(">", 1)[0] + ">")
        value = next((tag[name] for name in ("content", "href", "resource", "value") if tag.get(name)), match.group(1))
        strength = _strength(value)
        if strength is None:
            continue
        if match.group().lower().startswith("<meta") and "itemprop" not in tag:
            yield strength, f"meta digitalSourceType: {value}"
            continue
        kinds = _items(seen, match.start())
        own = kinds[-1] if kinds else ""
        media = bool(_MEDIA.search(own)) and not _TEXTS.search(own)
        yield _placed(strength, len(kinds) == 1, media, bool(_TEXTS.search(own)), f"microdata {own or 'thing'}: {value}")


_ITEM = re.compile(r"<(/?)(\w+)([^<>]*?)(/?)>")
_MOST = 20  # properties of one page that are looked at
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())


def _items(seen: str, place: int) -> list[str]:
    """Types of the items (itemscope, typeof) that are open at `place`, outermost first."""
    stack: list[tuple[str, str | None]] = []
    for closing, element, rest, empty in _ITEM.findall(seen[:place]):
        name = element.lower()
        if closing:
            places = [i for i, (open_name, _) in enumerate(stack) if open_name == name]
            del stack[places[-1] if places else len(stack) :]
        elif not empty and name not in _VOID:
            found = _scan.attributes(f"<{element}{rest}>")
            kind = found.get("itemtype") or found.get("typeof") or ("" if "itemscope" in found else None)
            stack.append((name, kind.split("/")[-1] if kind is not None else None))
    return [kind for _, kind in stack if kind is not None]


def _metas(page: str) -> Iterator[Found]:
    """`<meta name="ai-disclosure">` and a source type in a meta element of the page."""
    for meta in _scan.tags(page, "meta"):
        name, content = meta.get("name", "").lower(), meta.get("content", "")
        strength = None
        if name == "ai-disclosure":
            strength = _statement(content)
        elif name.split(":")[-1].split(".")[-1] == "digitalsourcetype":
            strength = _strength(content)
        if strength is not None:
            yield strength, f"meta {name}: {content[:120]}"


def _manifests(page: str, markup: bool) -> Iterator[Found]:
    """C2PA manifests: hidden in variation selectors, between BEGIN and END lines, or in a script element."""
    for match in _SELECTORS.finditer(page):
        data = bytes(_byte(character) for character in match.group(1))
        if data.startswith(b"C2PATXT\0"):
            yield _manifest(data[13:], "C2PA manifest hidden in the text")
    blocks = [part.split(_END, 1)[0] for part in page.split(_BEGIN)[1:] if _END in part]
    if markup:
        blocks += [*_scan.scripts(page, "application/c2pa"), *_scan.scripts(page, "application/x-c2pa-manifest-store")]
    for block in blocks:
        body = block.strip().rsplit("base64,", 1)[-1]
        try:
            yield _manifest(base64.b64decode("".join(body.split()), validate=True), "C2PA manifest in the page")
        except (binascii.Error, ValueError):
            yield OTHER, "C2PA manifest in the page, not embedded or not readable"


def _byte(selector: str) -> int:
    """The byte of a variation selector: U+FE00 to FE0F are 0 to 15, U+E0100 to E01EF 16 to 255."""
    code = ord(selector)
    return code - 0xFE00 if code < 0xE0100 else code - 0xE0100 + 16


def _manifest(data: bytes, detail: str) -> Found:
    """What the source type in a manifest's bytes says; CBOR keeps its URI as plain text."""
    kinds = re.findall(rb"digitalsourcetype/(\w+)", data)
    strengths = [s for s in (_strength(kind.decode()) for kind in kinds) if s is not None]
    return (max(strengths), detail) if strengths else (OTHER, detail + " that does not name a machine")
