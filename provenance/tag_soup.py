"""Markup without a DOM, in time linear in the page: what makes DOM builders hang, and the text outside all tags."""

import html as _html
import re
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

VERSION = "2"

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
_BLOCKS = _SPECIAL | {"p", "li", "dd", "dt"}
_DROPPED = frozenset("script style title iframe noembed".split())
_GAP = 1 << 15
_FEW = 16
_TRUSTED = 3000
_REOPENED = 1 << 20
"""Formatting elements that all blocks of a page together may reopen; each is an element of the tree, of about 250 bytes."""


def _letters(name: str) -> int:
    """The first three letters of a name in 15 bits; a digit shares its place with a letter."""
    return sum((ord(letter) & 31) << 5 * place for place, letter in enumerate(name[:3]))


# A byte of a name to 5 bits, 0 for a byte that ends a name.
_FOLD = np.array([byte & 31 if chr(byte).isalnum() and byte < 128 else 0 for byte in range(256)], dtype=np.int32)
# Whether tags of these three letters make depth. `option` does: a select of thousands is hostile. `head` is as `header`.
_DEPTH = np.ones(1 << 15, dtype=bool)
_FORMATS = sorted(_letters(name) for name in _FORMATTING)
_FORMATS_TABLE = np.zeros(1 << 15, dtype=bool)
_FORMATS_TABLE[_FORMATS] = True
_DEPTH[[0, *sorted(_letters(name) for name in (_VOID | _IMPLIED) - {"option", "optgroup", "head", "frame"})]] = False


class _Tag(NamedTuple):
    """A tag, comment or declaration in the tag soup; `name` is `` for what is no tag."""

    start: int
    stop: int
    name: str
    end: bool
    attributes: str


def _tags(html: str) -> Iterator[_Tag]:
    """The tags of `html` in order, none from inside comments, scripts, styles and the like.

    A title that nothing ends is no title: browsers would show an empty page, and its words are there.
    """
    position, unended = 0, False
    while (found := _TAG.search(html, position)) is not None:
        name, stop = (found["name"] or "").lower(), found.end()
        if found["comment"] is not None:
            close = _COMMENT_END.search(html, stop)
            stop = close.end() if close else len(html)
        yield _Tag(found.start(), stop, name, bool(found["end"]), found["attributes"] or "")
        position = stop
        if name in _RAW and not found["end"] and not (unended and name == "title"):
            close = _RAW[name].search(html, stop)
            if close is not None:
                position = close.start()
            elif name == "title":
                unended = True
            else:
                return


def hostile(html: str, max_depth: int = 512, max_attributes: int = 4096) -> str | None:
    """What in `html` makes DOM builders take quadratic time, or None. Linear.

    Measured with resiliparse 2.0.1: 8,000 nested `div` 1.5 s, 1,000 unclosed `<p><font a=N>` 1 s (each paragraph
    reopens all), 50,000 attributes 4.4 s, 50,000 `<option>` of one `<select>` 9 s, each quadratic.
    """
    if _harmless(html, max_depth, max_attributes):
        return None
    stack = _Stack()
    attributes = choices = reopened = 0
    for tag in _tags(html):
        if len(tag.attributes) > max_attributes or tag.name in ("html", "body"):
            count = sum(1 for _ in _ONE_ATTRIBUTE.finditer(tag.attributes))
            # Those of every further <html> and <body> are merged into the first.
            attributes = attributes + count if tag.name in ("html", "body") else max(attributes, count)
        choices += tag.name == "option" and not tag.end
        if tag.name and tag.name not in _VOID and tag.name not in _IMPLIED:
            stack.add(tag)
        if tag.name in _BLOCKS:
            reopened += stack.reopened
        if stack.depth() > max_depth:
            return f"{stack.depth()} nested elements"
        if reopened > _REOPENED:
            return f"{reopened} formatting elements reopened"
        if attributes > max_attributes:
            return f"{attributes} attributes of one element"
        if choices > 8 * max_depth:
            return f"{choices} choices of a form"
    return None


def _harmless(html: str, max_depth: int, max_attributes: int) -> bool:
    """Whether counting alone shows that `html` is not hostile; a tenth of the cost of `hostile`'s scan.

    Tags are told apart by three letters. The depth is at most the sum over names of the largest surplus of start tags
    over end tags before any place, if end tags close what they name. Made-up markup can break this `if`: above 3,000
    start tags counting is not trusted.
    """
    if len(html) <= _GAP and html.count("<") - html.count("</") <= max_depth:
        return True
    page = html.encode("utf-8", "replace") + b"   "
    data = np.frombuffer(page, dtype=np.uint8)
    at = np.flatnonzero(data == ord("<")) + 1
    signs = data == ord("=")
    if np.count_nonzero(signs) > max_attributes:
        signs = np.flatnonzero(signs)
        if int(np.diff(np.searchsorted(signs, at), append=len(signs)).max(initial=0)) > max_attributes:
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
    if _may_reopen(name, end):
        return False
    counted = _DEPTH[name]
    name, end = name[counted], end[counted]
    starts = name[~end]
    if len(starts) <= max_depth or len(starts) > _TRUSTED:
        return len(starts) <= max_depth
    names, opened = np.unique(starts, return_counts=True)
    many = opened > _FEW
    surplus = int(opened[~many].sum())
    for one in names[many]:
        height = np.cumsum(1 - 2 * end[name == one].astype(np.int32))
        surplus += int((height - np.minimum(np.minimum.accumulate(height), 0)).max())
    return surplus <= max_depth


def _may_reopen(name: np.ndarray, end: np.ndarray) -> bool:
    """Whether blocks may reopen more than `_REOPENED` formatting elements: each tag at most the largest surplus of their start tags."""
    if int(np.count_nonzero(_FORMATS_TABLE[name] & ~end)) * len(name) <= _REOPENED:
        return False
    surplus = 0
    for one in _FORMATS:
        height = np.cumsum(1 - 2 * end[name == one].astype(np.int32))
        if len(height):
            surplus += int((height - np.minimum(np.minimum.accumulate(height), 0)).max())
    return surplus * len(name) > _REOPENED


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


_ZEROS = re.compile("&#0++(?=[0-9])")
_BEYOND = re.compile("&#[0-9]{8,}+")


def unescape(text: str) -> str:
    """`html.unescape` for any text: Python refuses to read numbers of more than 4,300 digits."""
    if "&#" in text:
        text = _BEYOND.sub("&#1114112", _ZEROS.sub("&#", text))
    return _html.unescape(text)


def tidy(text: str) -> str:
    """Lines with inner white space collapsed, empty ones left out."""
    return "\n".join(line for line in (" ".join(line.split()) for line in text.splitlines()) if line)


_SELF_CLOSED = re.compile(r"<(title|script|style|textarea|iframe|noscript|noframes)(?:\s|\Z)", re.IGNORECASE)
_UNSEEN = re.compile(r"<(/?)no(?:frames|script)\b|<(/?)frameset\b", re.IGNORECASE)
_TITLE = re.compile(r"<title\b", re.IGNORECASE)
_TITLE_END = re.compile(r"</title\b", re.IGNORECASE)


def end_empty_tags(html: str) -> str:
    """XHTML's empty raw-text elements spelled so that an HTML parser ends them too. Linear: each tag is looked at once."""
    pieces: list[str] = []
    position = previous = 0
    while (stop := html.find("/>", previous)) >= 0:
        start = html.rfind("<", previous, stop)
        found = _SELF_CLOSED.match(html, start, stop) if start >= 0 else None
        previous = stop + 2
        if found:
            pieces += (html[position:stop], "></", found[1], ">")
            position = previous
    return "".join((*pieces, html[position:]))


def reveal(html: str) -> str:
    """A page without what hides its text from a parser: `<noscript>`, `<noframes>` and `<frameset>` are `<div>`, empty
    raw-text elements end, and a title that nothing ends is none."""
    html = _UNSEEN.sub(lambda tag: f"<{tag[1] or tag[2] or ''}div", end_empty_tags(html))
    return html if _TITLE_END.search(html) else _TITLE.sub("<div", html)
