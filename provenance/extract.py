"""HTML to the text that a model trains on: the one seam through which an extractor is chosen.

An extractor is one file `provenance/extractors/NAME.py` with

- `NAME`, and `VERSION`: its own number and its library's version;
- `parameters(options: Extract) -> dict`: all beside the version and `options` that shapes its text, JSON-able: the very
  values that its library is called with;
- `load(options: Extract) -> Callable[[str], str]`: the function of a decoded page, made once per worker.

That function raises nothing for any `str`, takes time linear in the page, gives the same text whatever pages came
before, and `` where it keeps nothing. Of a page without NUL and lone surrogates it keeps none of either. Its library is
imported where it is loaded, so that naming the extractors costs nothing.

Here too: the reading of feeds and of plain text, which need no extractor.
"""

import importlib
import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import isfinite
from typing import Annotated, Any

import msgspec

from provenance import decode, language, tag_soup, wikitext
from provenance.extractors import names
from provenance.tag_soup import hostile, strip_tags, unescape

__all__ = ["BlockModel", "Extract", "digest", "extractor", "feed", "guarded", "names", "plain_text"]

FEED_VERSION = "2"
PLAIN_TEXT_VERSION = "1"


class BlockModel(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A logistic model of blocks: `weights @ features + intercept` is the log-odds that one is content."""

    weights: Annotated[dict[str, float], msgspec.Meta(description="weight of each feature, by its name")]
    intercept: Annotated[float, msgspec.Meta(description="log-odds of content where all features are 0")]
    threshold: Annotated[float, msgspec.Meta(description="log-odds from which a block is content")] = 0.0
    trained_on: Annotated[dict[str, int], msgspec.Meta(description="pages that the model learnt from, by source")] = {}

    def __post_init__(self) -> None:
        if not all(map(isfinite, (*self.weights.values(), self.intercept, self.threshold))):
            raise ValueError("a weight of the model is no finite number")


class Extract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How payloads become text; every field shapes the text or which pages have one."""

    extractor: Annotated[str, msgspec.Meta(description="name of the extractor, a file in provenance/extractors/")] = "blocks"
    model: Annotated[
        BlockModel | None,
        msgspec.Meta(
            description="weights of the extractor `blocks`, as `make extract-model` writes them; null takes the shipped ones"
        ),
    ] = None
    max_depth: Annotated[
        int,
        msgspec.Meta(description="elements nested deeper than this (browsers stop at 512) go through the plain tag stripper", ge=1),
    ] = 512
    max_attributes: Annotated[
        int, msgspec.Meta(description="a tag with more attributes than this sends its page through the plain tag stripper", ge=1)
    ] = 4096
    max_elements: Annotated[
        int,
        msgspec.Meta(
            description="a page with more elements than this, a start and an end tag each, goes through the plain tag stripper",
            ge=1,
        ),
    ] = 1 << 18
    max_bytes: Annotated[
        int, msgspec.Meta(description="a payload, decoded, or a text of more bytes than this is a reject", ge=1)
    ] = 1 << 24
    language_characters: Annotated[
        int, msgspec.Meta(description="characters, from start, middle and end of a text, that its language is identified by", ge=1)
    ] = language.CHARACTERS


def _module(options: Extract) -> Any:
    """The extractor's module. Raises `ValueError` where there is none, it lacks its library, or it has no use for the model."""
    name = options.extractor
    if name not in names():
        raise ValueError(
            f"extract.extractor is {name!r}, which is no file in provenance/extractors/; choose one of {', '.join(names())}"
        )
    if options.model is not None and name != "blocks":
        raise ValueError(
            f"extract.model has the weights of the extractor blocks, and extract.extractor is {name!r}; leave one of them out"
        )
    with _needs_library(name):
        return importlib.import_module(f"provenance.extractors.{name}")


@contextmanager
def _needs_library(name: str) -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        raise ValueError(
            f'the extractor {name!r} needs a library that is not installed ({error}); pip install "lowbackground[{name}]"'
        ) from error


def extractor(options: Extract) -> Callable[[str], str]:
    """The extractor that `options` names, as a function of the decoded page; to be made once and not to be pickled.

    Raises `ValueError` for an unknown name, a missing library or a model that does not fit.
    """
    load: Callable[[Extract], Callable[[str], str]] = _module(options).load
    with _needs_library(options.extractor):
        return load(options)


def digest(options: Extract) -> dict[str, Any]:
    """Everything that shapes the text, for manifests: another value anywhere here is another version of the data.

    Raises `ValueError` as `extractor` does.
    """
    module = _module(options)
    return {
        "extractor": module.NAME,
        "extractor_version": module.VERSION,
        "extractor_parameters": module.parameters(options),
        "decode_version": decode.VERSION,
        "feed_version": FEED_VERSION,
        "language_version": language.VERSION,
        "plain_text_version": PLAIN_TEXT_VERSION,
        "strip_tags_version": tag_soup.VERSION,
        "unicode": unicodedata.unidata_version,
        "wikitext_version": wikitext.VERSION,
        "options": msgspec.to_builtins(options),
    }


def guarded(read: Callable[[str], str], options: Extract) -> Callable[[str], str]:
    """`read`, a foreign parser, for any `str`: pages that it cannot take, or raises on, go through the plain tag stripper."""

    def guard(html: str) -> str:
        if not html or html.isspace():
            return ""
        if html.count("<") > 2 * options.max_elements or hostile(html, options.max_depth, options.max_attributes):
            return strip_tags(html)
        try:
            return read(html)
        except Exception:  # a foreign parser, for one page: what it cannot read goes the plain way
            clean = decode.clean(html)
            return guard(clean) if clean != html else strip_tags(html)

    return guard


def plain_text(text: str) -> str:
    """`text`, which is no markup, with line feeds for CR LF, CR, form feeds and the separators U+2028 and U+2029."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for separator in "\f\u2028\u2029":
        text = text.replace(separator, "\n")
    return text.strip()


_FEED = re.compile(r"<(?:rss|feed|rdf:RDF|channel)\b", re.IGNORECASE)
_NAMES = r"(?:[a-z]+:)?(?:title|description|summary|content|encoded|subtitle|tagline|abstract)"
_FIELD = re.compile(rf"<({_NAMES})(?:\s[^<>]*+)?(?<!/)>", re.IGNORECASE)
_FIELD_END = re.compile(rf"</({_NAMES})\s*+>", re.IGNORECASE)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)


def feed(xml: str) -> str:
    """Text of an XML document: of RSS and Atom the titles, descriptions and contents with their HTML read, of other
    documents all character data. Linear."""
    head = xml[:8192]
    if not _FEED.search(head):
        return strip_tags(_uncdata(xml))
    ends: dict[str, list[int]] = {}
    for end in _FIELD_END.finditer(xml):
        ends.setdefault(end[1].lower(), []).append(end.start())
    pieces: list[str] = []
    position = 0
    while (found := _FIELD.search(xml, position)) is not None:
        places, position = ends.get(found[1].lower(), []), found.end()
        next_end = bisect_left(places, position)
        if next_end < len(places):
            pieces.append(strip_tags(_unescaped(xml[position : places[next_end]])))
            position = places[next_end]
    return "\n".join(piece for piece in pieces if piece)


def _uncdata(xml: str) -> str:
    return _CDATA.sub(lambda section: section[1].replace("&", "&amp;").replace("<", "&lt;"), xml)


def _unescaped(field: str) -> str:
    """A field's HTML: escaped once in feeds, or held in CDATA, or its own elements (XHTML)."""
    if "<![CDATA[" in field:
        return _CDATA.sub(lambda section: section[1], field)
    return field if "<" in field else unescape(field)
