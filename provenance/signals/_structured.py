"""Structured data of a page: what JSON-LD, microdata, RDFa and product data say of the digital source of which thing.

A statement counts fully only for what the page is (an article at the top of the data, or the main entity of its page). Values
are schema.org's members of `IPTCDigitalSourceEnumeration` or IPTC's URIs, under any prefix and scheme, and Google Merchant's
`digital_source_type` of a product's text.
"""

import itertools
import json
import re
from collections.abc import Iterator
from typing import Any

from provenance.signals import _scan
from provenance.tag_soup import unescape

WHOLE, PARTLY, UNCLEAR, OTHER = 3.0, 2.0, 1.0, 0.0
"""Values of the signal `disclosure`."""

Found = tuple[float, str]

_MEDIA = re.compile(
    r"image|video|audio|photo|media|logo|thumbnail|music|recording|clip|screenshot|visual|3dmodel|poster|picture|painting|"
    r"movie|podcast|episode|sound",
    re.IGNORECASE,
)
_TEXTS = re.compile(
    r"article|posting|page$|creativework|report|review|chapter|recipe|howto|answer|question|website|thesis|text|document",
    re.IGNORECASE,
)
_GALLERY = re.compile(r"(?:image|video|media)gallery", re.IGNORECASE)
_MAIN = ("graph", "mainentity", "mainentityofpage")
_OPENING = re.compile(r"<!--|(?://|/\*)?\s*+<!\[CDATA\[(?:\s*+\*/)?")
_TRAILING_COMMA = re.compile(r",(?=\s*[}\]])")
_MOST = 20  # statements in the tags of one page that are looked at
# The atomic group keeps to the first place of the word in a tag: the rest of a tag that does not end is then read once, not once a place.
_PROPERTY = re.compile(r"<[a-z](?>[^<>]*?\bdigital_?sourcetype\b)[^<>]*+>([^<]{0,200})", re.IGNORECASE)
_ITEM = re.compile(r"<(/?)([a-zA-Z][\w:-]*)([^<>]*)>")
_VOID = frozenset("area base br col embed hr img input link meta source track wbr".split())
_PRODUCT_TEXT = re.compile(
    r"<(?:g:)?(structured_title|structured_description|digital_source_type)\b[^<>]*>([^<]{0,200})", re.IGNORECASE
)


def strength(value: str) -> float | None:
    """What a digital source type says of a text, None for any that is not a machine's."""
    name = (
        re.split(r"[/#:]", value.strip().rstrip("/#"))[-1].lower().replace("_", "").replace("-", "").removesuffix("digitalsource")
    )
    if name == "trainedalgorithmicmedia":
        return WHOLE
    partly = ("compositewithtrainedalgorithmicmedia", "algorithmicmedia", "algorithmicallyenhanced", "compositesynthetic")
    return PARTLY if name in partly else None


def _name(word: str) -> str:
    """A property's or a type's name without prefix, scheme, underscores and case."""
    return re.split(r"[/#:]", word.rstrip("/#"))[-1].replace("_", "").lower()


def _placed(said: float, main: bool, kind: str, media: bool, detail: str) -> Found:
    """A statement with the weight that its subject leaves it."""
    if media:
        return OTHER, detail + ", of an image or the like"
    return (said, detail) if main and _TEXTS.search(kind) else (min(said, UNCLEAR), detail + ", of a part or another work")


def _is_media(kind: str) -> bool:
    return bool(_GALLERY.search(kind)) or (bool(_MEDIA.search(kind)) and not _TEXTS.search(kind))


def linked_data(page: str) -> Iterator[Found]:
    """`digitalSourceType` of the things that the page's JSON-LD describes; scripts that are no JSON say nothing."""
    scripts = list(_scan.scripts(page, "application/ld+json"))
    if not any("sourcetype" in script.lower() or "source_type" in script.lower() for script in scripts):
        return
    values = [value for script in scripts for value in _values(script)]
    kinds: dict[str, str] = {}
    for value in values:
        _index(value, kinds)
    for value in values:
        yield from _walk(value, "", kinds, main=True, media=False)


def _values(script: str) -> list[Any]:
    """JSON values of a script, which may be wrapped in a comment, escaped for HTML, or end its lists with a comma."""
    body = _unwrapped(_unwrapped(script)).rstrip(";")
    for form in (body, unescape(body), _TRAILING_COMMA.sub("", body)):
        try:
            return [json.loads(form, strict=False)]
        except (ValueError, RecursionError):
            continue
    return []


def _unwrapped(script: str) -> str:
    """A script without the white space, the comment or the CDATA section around it, commented out or not."""
    body = script.strip()
    opening = _OPENING.match(body)
    body = body[opening.end() :] if opening else body
    if body.endswith("-->"):
        return body.removesuffix("-->").strip()
    inner = body.removesuffix("*/").rstrip()
    if not inner.endswith("]]>"):
        return body.strip()
    inner = inner.removesuffix("]]>").rstrip()
    return inner[: -2 if inner.endswith(("//", "/*")) else None].strip()


def _kind(thing: dict[str, Any]) -> str:
    """The types of a thing, in words; empty where it names none."""
    kinds = thing.get("@type", thing.get("type", ""))
    kinds = kinds if isinstance(kinds, list) else [kinds]
    return " ".join(re.split(r"[/#:]", kind.rstrip("/"))[-1] for kind in kinds if isinstance(kind, str))


def _index(value: Any, kinds: dict[str, str]) -> None:
    """Types of the things that have an `@id`, so that a statement elsewhere finds its subject's."""
    todo = [value]
    while todo:
        thing = todo.pop()
        if isinstance(thing, list):
            todo += thing
        elif isinstance(thing, dict):
            if isinstance(thing.get("@id"), str) and _kind(thing):
                kinds.setdefault(thing["@id"], _kind(thing))
            todo += thing.values()


def _walk(thing: Any, field: str, kinds: dict[str, str], main: bool, media: bool) -> Iterator[Found]:
    """Statements in a JSON-LD value.

    `field` is the property that it is the value of; `main`: it is what the page is; `media`: it hangs on an image or the like.
    """
    todo: list[tuple[Any, str, bool, bool]] = [(thing, field, main, media)]
    while todo:
        thing, field, main, media = todo.pop()
        if isinstance(thing, list):
            todo += [(part, field, main, media) for part in reversed(thing)]
        elif isinstance(thing, dict):
            kind = _kind(thing) or (kinds.get(thing["@id"], "") if isinstance(thing.get("@id"), str) else "")
            if not kind and field == "structureddescription":
                kind = "text of a product"
            media = media or _is_media(kind)
            for name, value in thing.items():
                known = _name(name)
                if known == "digitalsourcetype":
                    for word in _words(value):
                        said = strength(word)
                        if said is not None:
                            yield _placed(said, main, kind, media, f"JSON-LD {kind or 'thing'}: {word}")
                elif isinstance(value, dict | list):
                    inner = main and (known in _MAIN or known == "structureddescription" or name == "@graph")
                    todo.append((value, known, inner, media or bool(_MEDIA.search(known))))


def _words(value: Any) -> Iterator[str]:
    """The strings that a JSON-LD property value names."""
    for part in value if isinstance(value, list) else [value]:
        named = (
            next((part[name] for name in ("@id", "@value", "url", "name") if name in part), None)
            if isinstance(part, dict)
            else part
        )
        if isinstance(named, str):
            yield named


def properties(seen: str) -> Iterator[Found]:
    """Microdata and RDFa in the visible page: the nearest item around the property says whose it is."""
    places = list(itertools.islice(_PROPERTY.finditer(seen), _MOST))
    for match, items in zip(places, _items(seen, [match.start() for match in places]), strict=True):
        tag = _scan.attributes(match.group().split(">", 1)[0] + ">")
        names = f"{tag.get('itemprop', '')} {tag.get('property', '')}".split()
        if "digitalsourcetype" not in map(_name, names):
            continue
        value = next((tag[name] for name in ("content", "href", "resource", "value", "datetime") if tag.get(name)), match.group(1))
        said = strength(value)
        if said is None:
            continue
        own = items[-1] if items else ""
        if not items and match.group()[:5].lower() == "<meta":
            yield said, f"meta digitalSourceType: {value}"
            continue
        # An article inside the item of its page is what the page is.
        main = all(re.search(r"page\b|website", outer, re.IGNORECASE) for outer in items[:-1]) and bool(items)
        yield _placed(said, main, own, _is_media(own), f"microdata {own or 'thing'}: {value.strip()}")


def _items(seen: str, places: list[int]) -> list[list[str]]:
    """Types of the items (itemscope, typeof) that are open at each of `places`, which rise, outermost first. Linear."""
    found: list[list[str]] = []
    open_items: list[tuple[int, str]] = []
    by_name: dict[str, list[int]] = {}
    count, place = 0, iter(places)
    stop = next(place, None)
    for match in _ITEM.finditer(seen):
        while stop is not None and match.start() >= stop:
            found.append([kind for _, kind in open_items])
            stop = next(place, None)
        if stop is None:
            break
        name = match.group(2).lower()
        if match.group(1):
            # An end tag ends the innermost element of its name, and every item inside it.
            ended = by_name[name].pop() if by_name.get(name) else count + 1
            while open_items and open_items[-1][0] >= ended:
                open_items.pop()
        elif name not in _VOID and not match.group(3).endswith("/"):
            count += 1
            by_name.setdefault(name, []).append(count)
            rest = match.group(3).lower()
            if "itemscope" in rest or "itemtype" in rest or "typeof" in rest:
                tag = _scan.attributes(match.group())
                kinds = (tag.get("itemtype") or tag.get("typeof") or "").split()
                open_items.append((count, " ".join(re.split(r"[/#:]", kind.rstrip("/"))[-1] for kind in kinds)))
    return found + [[kind for _, kind in open_items]] * (len(places) - len(found))


def product_texts(seen: str) -> Iterator[Found]:
    """`digital_source_type` beside a product's text in XML data, as Google Merchant reads it."""
    about = ""
    for match in itertools.islice(_PRODUCT_TEXT.finditer(seen), 10 * _MOST):
        element = match.group(1).lower()
        if element != "digital_source_type":
            about = element
        elif strength(match.group(2)) == WHOLE:
            yield (PARTLY if about == "structured_description" else UNCLEAR), f"{about or 'product'}: {match.group(2).strip()}"
