"""HTML to the text that a model trains on: the one seam through which an extractor is chosen.

An extractor is one file `provenance/extractors/NAME.py` with `NAME`, `VERSION` (its own and its library's) and
`extract(html: str, options: Extract) -> str`. What it is given holds no NUL and no lone surrogate. It returns `` where
it keeps nothing, in time linear in the page, and raises nothing.

Here too: the guard against markup on which DOM builders take quadratic time, the plain tag stripper such pages go to,
and the reading of feeds.
"""

import importlib
import pkgutil
import re
from collections.abc import Callable, Iterator
from html import unescape
from typing import Annotated, Any, NamedTuple

import msgspec
import numpy as np

from provenance import decode

FEED_VERSION = "1"


class Extract(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How payloads become text; every field shapes the text or which pages have one."""

    extractor: Annotated[str, msgspec.Meta(description="name of the extractor, a file in provenance/extractors/")] = "resiliparse"
    max_depth: Annotated[
        int,
        msgspec.Meta(description="elements nested deeper than this (browsers stop at 512) go through the plain tag stripper", ge=1),
    ] = 512
    max_attributes: Annotated[
        int, msgspec.Meta(description="a tag with more attributes than this sends its page through the plain tag stripper", ge=1)
    ] = 4096
    max_bytes: Annotated[
        int, msgspec.Meta(description="a payload, decoded, or a text of more bytes than this is a reject", ge=1)
    ] = 1 << 24
    language_characters: Annotated[
        int, msgspec.Meta(description="characters at the start of a text that its language is identified by", ge=1)
    ] = 1000


def names() -> list[str]:
    """Names of the extractors there are, sorted."""
    import provenance.extractors

    return sorted(module.name for module in pkgutil.iter_modules(provenance.extractors.__path__))


def _module(options: Extract) -> Any:
    if options.extractor not in names():
        raise ValueError(
            f"extract.extractor is {options.extractor!r}, which is no file in provenance/extractors/; choose one of {', '.join(names())}"
        )
    return importlib.import_module(f"provenance.extractors.{options.extractor}")


def extractor(options: Extract) -> Callable[[str], str]:
    """The extractor that `options` names, as a function of the decoded page. Raises `ValueError` for an unknown name."""
    extract = _module(options).extract
    return lambda html: extract(html, options)


def digest(options: Extract) -> dict[str, Any]:
    """Everything that shapes the text, for manifests: another value anywhere here is another version of the data."""
    module = _module(options)
    return {
        "extractor": module.NAME,
        "extractor_version": module.VERSION,
        "decode_version": decode.VERSION,
        "feed_version": FEED_VERSION,
        "options": msgspec.to_builtins(options),
    }


# One tag as the tokenizer of the HTML standard cuts it, a comment, or another `<!` or `<?` construct. Possessive
# throughout: no backtracking, so one pass over the page is linear whatever it holds.
_ATTRIBUTE = r"[^\s/>][^\s/>=]*+(?:\s*+=\s*+(?:\"[^\"]*+\"?|'[^']*+'?|[^\s>\"'][^\s>]*+)?)?"
_TAG = re.compile(
    rf"<(?:!--(?:-?>|(?P<comment>))|(?P<end>/?)(?P<name>[a-zA-Z][^\s/>]*+)(?P<attributes>(?:[\s/]++|{_ATTRIBUTE})*+)>?|[!?/][^>]*+>?)"
)
_ONE_ATTRIBUTE = re.compile(_ATTRIBUTE)
_COMMENT_END = re.compile("--!?>")
_VOID = frozenset("area base basefont bgsound br col embed frame hr img input keygen link meta param source track wbr".split())
# Start tags of these close the one before or do not nest without one of the counted elements between.
_IMPLIED = frozenset(
    "html head body p li dt dd option optgroup tr td th tbody thead tfoot caption colgroup rp rt rb rtc a nobr".split()
)
_RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea", "xmp", "iframe", "noembed", "noframes")
}
_FORMATTING = frozenset("b big code em font i s small strike strong tt u".split())
_INLINE = _FORMATTING | frozenset(
    "span abbr acronym bdi bdo cite data del dfn ins kbd label mark q ruby samp sub sup time var".split()
)
# Elements inside which an end tag cannot reach out (HTML standard, 13.2.4.2), and those of `special` kind.
_SCOPE = frozenset("applet button caption marquee object table template select svg math".split())
_SPECIAL = _SCOPE | frozenset(
    "address article aside blockquote center details dir div dl fieldset figcaption figure footer form frameset h1 h2 h3 h4 h5 h6 "
    "header hgroup listing main menu nav noscript ol pre search section summary ul plaintext".split()
)
_DROPPED = frozenset("script style title iframe noembed".split())
_GAP = 1 << 15
_FEW = 16
_TRUSTED = 3000


def _letters(name: str) -> int:
    """The first three letters of a name in 15 bits; a digit shares its place with a letter."""
    return sum((ord(letter) & 31) << 5 * place for place, letter in enumerate(name[:3]))


# A byte of a name to 5 bits, 0 for a byte that ends a name.
_FOLD = np.array([byte & 31 if chr(byte).isalnum() and byte < 128 else 0 for byte in range(256)], dtype=np.int32)
# Whether tags of these three letters make depth. `option` does: a select of thousands is hostile. `head` is as `header`.
_DEPTH = np.ones(1 << 15, dtype=bool)
_DEPTH[[0, *sorted(_letters(name) for name in (_VOID | _IMPLIED) - {"option", "optgroup", "head", "frame"})]] = False


class _Tag(NamedTuple):
    """A tag, comment or declaration in the tag soup; `name` is `` for what is no tag."""

    start: int
    stop: int
    name: str
    end: bool
    attributes: str


def _tags(html: str) -> Iterator[_Tag]:
    """The tags of `html` in order, none from inside comments, scripts, styles and the like."""
    position = 0
    while (found := _TAG.search(html, position)) is not None:
        name, stop = (found["name"] or "").lower(), found.end()
        if found["comment"] is not None:
            close = _COMMENT_END.search(html, stop)
            stop = close.end() if close else len(html)
        yield _Tag(found.start(), stop, name, bool(found["end"]), found["attributes"] or "")
        position = stop
        if name in _RAW and not found["end"]:
            close = _RAW[name].search(html, stop)
            if close is None:
                return
            position = close.start()


def hostile(html: str, options: Extract) -> str | None:
    """What in `html` makes DOM builders take quadratic time, or None. Linear.

    Measured with resiliparse 2.0.1: 8,000 nested `div` 1.5 s, 1,000 unclosed `<p><font a=N>` 1 s (each paragraph
    reopens all), 50,000 attributes 4.4 s, 50,000 `<option>` of one `<select>` 9 s, each quadratic.
    """
    if _harmless(html, options):
        return None
    stack = _Stack()
    attributes = choices = 0
    for tag in _tags(html):
        if len(tag.attributes) > options.max_attributes or tag.name in ("html", "body"):
            count = sum(1 for _ in _ONE_ATTRIBUTE.finditer(tag.attributes))
            # Those of every further <html> and <body> are merged into the first.
            attributes = attributes + count if tag.name in ("html", "body") else max(attributes, count)
        choices += tag.name == "option" and not tag.end
        if tag.name and tag.name not in _VOID and tag.name not in _IMPLIED:
            stack.add(tag)
        if stack.depth() > options.max_depth:
            return f"{stack.depth()} nested elements"
        if attributes > options.max_attributes:
            return f"{attributes} attributes of one element"
        if choices > 8 * options.max_depth:
            return f"{choices} choices of a form"
    return None


def _harmless(html: str, options: Extract) -> bool:
    """Whether counting alone shows that `html` is not hostile; a tenth of the cost of `hostile`'s scan.

    Tags are told apart by three letters. The depth is at most the sum over names of the largest surplus of start tags
    over end tags before any place, if end tags close what they name. Made-up markup can break this `if`: above 3,000
    start tags counting is not trusted.
    """
    if len(html) <= _GAP and html.count("<") - html.count("</") <= options.max_depth:
        return True
    page = html.encode("utf-8", "replace") + b"   "
    data = np.frombuffer(page, dtype=np.uint8)
    at = np.flatnonzero(data == ord("<")) + 1
    if page.count(b"=") > options.max_attributes:
        signs = np.searchsorted(np.flatnonzero(data == ord("=")), at)
        if int(np.diff(signs, append=page.count(b"=")).max()) > options.max_attributes:
            return False
    if _long_tag(page, at):
        return False
    end = data[at] == ord("/")
    at += end
    first, second, third = (_FOLD[data[at + place]] for place in range(3))
    second *= first > 0
    name = first | second << 5 | (third * (second > 0)) << 10
    if np.count_nonzero((name == _letters("html")) | (name == _letters("body"))) > _FEW:
        return False
    counted = _DEPTH[name]
    name, end = name[counted], end[counted]
    opened = np.bincount(name[~end], minlength=_DEPTH.size)
    if opened.sum() > _TRUSTED:
        return False
    many = np.flatnonzero(opened > _FEW)
    surplus = int(opened.sum() - opened[many].sum())
    for one in many:
        height = np.cumsum(1 - 2 * end[name == one].astype(np.int32))
        surplus += int((height - np.minimum(np.minimum.accumulate(height), 0)).max())
    return surplus <= options.max_depth


def _long_tag(page: bytes, at: np.ndarray) -> bool:
    """Whether a tag may be longer than `_GAP` bytes; `at` holds where tags may begin. Long scripts and texts are none."""
    far = np.flatnonzero(np.diff(at, append=len(page)) > _GAP)
    return any(not 0 <= page.find(b">", int(at[place])) - int(at[place]) <= _GAP for place in far)


class _Stack:
    """Open elements as a DOM builder holds them, near enough to bound its work."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.places: dict[str, list[int]] = {}
        self.special: list[int] = []
        self.scopes: list[int] = []
        self.formatting: dict[str, int] = {}
        self.reopened = 0

    def depth(self) -> int:
        """Elements open, or formatting elements that the next paragraph reopens, whichever are more."""
        return max(len(self.names), self.reopened)

    def add(self, tag: _Tag) -> None:
        if tag.name in _FORMATTING:
            change = -1 if tag.end else 1
            if tag.end <= (self.formatting.get(tag.name, 0) > 0):
                self.formatting[tag.name] = self.formatting.get(tag.name, 0) + change
                self.reopened += change
        if tag.end:
            self._close(tag.name)
        else:
            self.places.setdefault(tag.name, []).append(len(self.names))
            if tag.name in _SPECIAL:
                self.special.append(len(self.names))
            if tag.name in _SCOPE:
                self.scopes.append(len(self.names))
            self.names.append(tag.name)

    def _close(self, name: str) -> None:
        """Close the innermost `name` and what it holds, unless something between keeps its end tag from reaching it."""
        if not self.places.get(name):
            return
        start = self.places[name][-1]
        between = self.scopes if name in _SPECIAL else self.special
        if name not in _SCOPE and between and between[-1] > start:
            return
        for other in self.names[start:]:
            self.places[other].pop()
        del self.names[start:]
        for held in (self.special, self.scopes):
            while held and held[-1] >= start:
                held.pop()


def strip_tags(html: str) -> str:
    """All text outside tags, comments and scripts, one line for each run between block elements. Linear.

    Line feeds of the source are spaces here, in `<pre>` too.
    """
    pieces: list[str] = []
    position, dropped = 0, False
    for tag in _tags(html):
        if not dropped:
            pieces.append(html[position : tag.start].replace("\n", " "))
        if tag.name and tag.name not in _INLINE and tag.name != "a":
            pieces.append("\n")
        dropped = tag.name in _DROPPED and not tag.end
        position = tag.stop
    if not dropped:
        pieces.append(html[position:].replace("\n", " "))
    return tidy(unescape("".join(pieces)))


def tidy(text: str) -> str:
    """Lines with inner white space collapsed, empty ones left out."""
    return "\n".join(line for line in (" ".join(line.split()) for line in text.splitlines()) if line)


_FEED = re.compile(r"<(?:rss|feed|rdf:RDF|channel)\b", re.IGNORECASE)
_FIELD = re.compile(
    r"<((?:[a-z]+:)?(?:title|description|summary|content|encoded|subtitle|tagline|abstract))(?:\s[^>]*)?(?<!/)>", re.IGNORECASE
)
_CDATA = re.compile(r"<!\[CDATA\[(.*?)(?:\]\]>|\Z)", re.DOTALL)


def feed(xml: str) -> str:
    """Text of an XML document: of RSS and Atom the titles, descriptions and contents with their HTML read, of other
    documents all character data. Linear."""
    head = xml[:8192]
    if not _FEED.search(head):
        return strip_tags(_uncdata(xml))
    lower = xml.lower() if len(xml.lower()) == len(xml) else xml
    pieces: list[str] = []
    position, unclosed = 0, set()
    while (found := _FIELD.search(xml, position)) is not None:
        name, position = found[1].lower(), found.end()
        stop = -1 if name in unclosed else lower.find(f"</{name}>", position)
        if stop < 0:
            unclosed.add(name)
            continue
        pieces.append(strip_tags(_unescaped(xml[position:stop])))
        position = stop
    return "\n".join(piece for piece in pieces if piece)


def _uncdata(xml: str) -> str:
    return _CDATA.sub(lambda section: section[1].replace("&", "&amp;").replace("<", "&lt;"), xml)


def _unescaped(field: str) -> str:
    """A field's HTML: escaped once in feeds, or held in CDATA, or its own elements (XHTML)."""
    if "<![CDATA[" in field:
        return _CDATA.sub(lambda section: section[1], field)
    return field if "<" in field else unescape(field)
