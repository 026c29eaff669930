"""One `<page>` element, or the `<siteinfo>` of a dump of MediaWiki, as a record."""

import hashlib
import re
from typing import Any, NamedTuple
from urllib.parse import quote
from xml.parsers import expat

from store.records import Record, Unreadable

_DEPTH = 16
_ELEMENTS = 100_000
_LANGUAGE = re.compile(rb"<mediawiki[^>]*\sxml:lang=[\"']([A-Za-z0-9-]{1,35})[\"']")
_SITEINFO = re.compile(rb"<siteinfo>.*?</siteinfo>", re.DOTALL)
_UNESCAPED = ";@$!*(),/~:"
"""Beside what never is, MediaWiki's `wfUrlencode` leaves these as they are."""
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_ASIDE = ("6", "14")
"""Numbers of the namespaces of files and categories, links to which are no part of a text."""


class Site(NamedTuple):
    """What a dump says of its wiki; empty where it does not."""

    addresses: str
    """What article addresses begin with."""
    name: str
    language: str
    aside: tuple[str, ...]
    """Names of the namespaces of files and categories, as the wiki calls them."""


class _Element(NamedTuple):
    path: str
    attributes: dict[str, str]
    text: str


class _TooMuch(ValueError):
    """More elements, or deeper ones, than a page of MediaWiki has."""


def site(head: bytes) -> Site:
    """The site that a dump's first bytes describe."""
    language = _LANGUAGE.search(head)
    found = _SITEINFO.search(head)
    try:
        elements = _elements(found[0]) if found else []
    except ValueError:
        elements = []
    values = {element.path: element.text for element in reversed(elements)}
    base = values.get("siteinfo/base", "")
    aside = tuple(
        element.text
        for element in elements
        if element.path == "siteinfo/namespaces/namespace" and element.attributes.get("key") in _ASIDE and element.text
    )
    return Site(base[: base.rfind("/") + 1], values.get("siteinfo/dbname", ""), language[1].decode() if language else "", aside)


def page(place: tuple[int, int], data: bytes, site: Site) -> Record | Unreadable:
    """The record of a `<page>` element, or why it is none."""
    try:
        elements = _elements(data)
    except ValueError as error:
        reason = "too_deep" if isinstance(error, _TooMuch) else "invalid_xml"
        return Unreadable(*place, "invalid_utf8" if isinstance(error, UnicodeDecodeError) else reason, str(error)[:200], "row")
    values = {element.path.removeprefix("page/"): element for element in reversed(elements)}
    title, number = (values[name].text if name in values else "" for name in ("title", "id"))
    url = site.addresses + quote(title.replace(" ", "_"), safe=_UNESCAPED) if site.addresses and title else None
    why = _no_article(elements, values)
    if why is not None:
        return Unreadable(*place, *why, "row", number or None, url)
    text = values["revision/text"].text
    metadata = {"title": title} | {
        name: values[path].text
        for name, path in (("revision", "revision/id"), ("sha1", "revision/sha1"))
        if path in values and values[path].text
    }
    columns: dict[str, Any] = {"metadata": metadata, "markup": "wikitext", "aside": site.aside}
    columns |= {name: value for name, value in (("dump", site.name), ("language", site.language)) if value}
    date = values["revision/timestamp"].text.strip()[:64] if "revision/timestamp" in values else ""
    return Record(*place, "row", number or None, url, date or None, b"", {}, text, columns)


def _no_article(elements: list[_Element], values: dict[str, _Element]) -> tuple[str, str] | None:
    """Reason and detail of a page that is no article with a text."""
    revisions = sum(element.path == "page/revision" for element in elements)
    if revisions != 1:
        return (
            "several_revisions" if revisions else "no_revision",
            f"{revisions} revisions; a dump of current pages has one of each",
        )
    space = values["ns"].text.strip() if "ns" in values else ""
    if space != "0":
        return "namespace", f"namespace {space[:20] or 'not given'}; articles are in namespace 0"
    if "redirect" in values:
        return "redirect", f"to {values['redirect'].attributes.get('title', '')[:200]!r}"
    model = values["revision/model"].text.strip() if "revision/model" in values else "wikitext"
    if model != "wikitext":
        return "content_model", f"{model[:60]!r} is no wikitext"
    text = values.get("revision/text")
    if text is None or not text.text or text.text.isspace():
        return "empty_text", "deleted" if text is not None and "deleted" in text.attributes else "the revision has no text"
    given = text.attributes.get("sha1") or (values["revision/sha1"].text.strip() if "revision/sha1" in values else "")
    if given and given.rjust(31, "0") != (seen := _sha1(text.text)):
        return "digest_disagrees", f"the dump gives the text's SHA-1 as {given[:40]!r}, and it is {seen} (in base 36)"
    return None


def _sha1(text: str) -> str:
    """SHA-1 of a text's UTF-8 bytes as MediaWiki writes it: base 36, 31 digits."""
    value = int.from_bytes(hashlib.sha1(text.encode(), usedforsecurity=False).digest())
    digits = ""
    while value:
        value, digit = divmod(value, 36)
        digits = _DIGITS[digit] + digits
    return digits.rjust(31, "0")


def _elements(data: bytes) -> list[_Element]:
    """The elements of an XML document, in the order in which they end, each with its own text.

    Raises `ValueError`: no XML, no UTF-8, or more and deeper elements than MediaWiki writes.
    """
    data.decode()
    found: list[_Element] = []
    stack: list[tuple[str, dict[str, str], list[str]]] = []

    def start(name: str, attributes: dict[str, str]) -> None:
        if len(stack) >= _DEPTH or len(found) >= _ELEMENTS:
            raise _TooMuch(f"more than {_DEPTH} levels or {_ELEMENTS} elements")
        stack.append((f"{stack[-1][0]}/{name}" if stack else name, attributes, []))

    def end(name: str) -> None:
        path, attributes, parts = stack.pop()
        found.append(_Element(path, attributes, "".join(parts)))

    def characters(text: str) -> None:
        stack[-1][2].append(text)

    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text, parser.buffer_size = True, 1 << 16
    parser.StartElementHandler, parser.EndElementHandler, parser.CharacterDataHandler = start, end, characters
    try:
        parser.Parse(data, True)
    except expat.ExpatError as error:
        raise ValueError(str(error)) from error
    return found
