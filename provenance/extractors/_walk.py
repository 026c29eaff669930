"""A page as blocks of text with the elements that hold them: one walk over its DOM, in document order.

A block is a run of text between two boundaries of block elements (the text blocks of Kohlschütter, Fankhauser and Nejdl,
"Boilerplate Detection using Shallow Text Features", WSDM 2010). Inline elements do not end one; two `<br>` in a row do.
White space collapses as in a browser, but in `<pre>`, which is one block with its lines.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import turbohtml

from provenance.extractors import _vocabulary as vocabulary

OTHER, PARAGRAPH, ITEM, TITLE, HEADING, SUBHEADING, CELL, ROW, CODE, QUOTE, LIST, TABLE, DATA, CAPTION = range(14)
"""Kinds of block elements that are told apart; a table becomes one of `DATA` by `_tables.join_rows`."""
HEADINGS = frozenset((TITLE, HEADING, SUBHEADING))

_KINDS = {
    "p": PARAGRAPH, "li": ITEM, "dd": ITEM, "dt": ITEM, "h1": TITLE, "h2": HEADING, "h3": HEADING, "h4": SUBHEADING,
    "h5": SUBHEADING, "h6": SUBHEADING, "td": CELL, "th": CELL, "tr": ROW, "pre": CODE, "listing": CODE, "xmp": CODE,
    "plaintext": CODE, "blockquote": QUOTE, "ul": LIST, "ol": LIST, "dl": LIST, "menu": LIST, "table": TABLE,
    "caption": CAPTION, "figcaption": CAPTION,
}  # fmt: skip
_INLINE = frozenset(
    "abbr acronym b bdi bdo big blink cite code data del dfn em font i img ins kbd label mark nobr o:p picture q rb ruby s samp "
    "small source spacer span strike strong sub sup time tt u var wbr".split()
)
# `rt` and `rp` give the reading of the word beside them.
_SKIPPED = (
    "applet, audio, button, canvas, datalist, embed, head, iframe, input, link, map, math, meta, noframes, noscript, object, option, rp, rt, "
    "rtc, script, select, style, svg, template, textarea, title, video, dialog:not([open])"
)
# A selector costs a look at each element; the rarer classes stand on links, spans and cells.
_MAYBE_HIDDEN = ", ".join(
    (
        "[hidden], [style*='none' i], [style*='hidden' i], [style*='collapse' i]",
        *(f"[class*='{name}']" for name in vocabulary.UNSEEN),
        ":is(a, span, td)[class]:is(" + ", ".join(f"[class*='{name}']" for name in vocabulary.UNSEEN_INLINE) + ")",
    )
)
_SLUGGED = frozenset("h1 h2 h3 h4 h5 h6 section".split())
_ROOTS = frozenset(("html", "body"))
_HIDDEN = re.compile(r"(?:^|[;\s])(?:display\s*:\s*none|visibility\s*:\s*(?:hidden|collapse))", re.IGNORECASE)
_LANDMARKS = {
    "nav": vocabulary.BOILERPLATE, "footer": vocabulary.BOILERPLATE, "aside": vocabulary.BOILERPLATE,
    "article": vocabulary.CONTENT, "main": vocabulary.CONTENT,
}  # fmt: skip
_BREAK = "\0"  # a `<br>` while its block is open: the parser leaves no NUL in a text
_LONGEST_TITLE = _LONGEST_STYLE = 1000
# What an open node is: a block, by the element to return to, or one of these.
_LINK_END, _CODE_END, _INLINE_END = -1, -2, -3


@dataclass(slots=True)
class Walk:
    """Blocks and elements of a page, each in document order; element 0 is the document.

    `texts`, `link_characters` and `owners` have one entry a block: its text, how much of it lies in links, and the element
    that holds it. `parents`, `kinds`, `marks` (bits of `_vocabulary`) and `paths` have one an element: elements with the same
    tags and classes all the way up share their number in `paths`. `title` is that of the document.
    """

    title: str
    texts: list[str] = field(default_factory=list)
    link_characters: list[int] = field(default_factory=list)
    owners: list[int] = field(default_factory=list)
    parents: list[int] = field(default_factory=lambda: [0])
    kinds: list[int] = field(default_factory=lambda: [OTHER])
    marks: list[int] = field(default_factory=lambda: [0])
    paths: list[int] = field(default_factory=lambda: [0])


class _Builder:
    """A `Walk` in the making: the open block, the open element, and whether the walk is in a link or in code."""

    __slots__ = ("broken", "code", "current", "linked", "links", "numbers", "page", "pieces", "sections")

    def __init__(self, title: str) -> None:
        self.page = Walk(title)
        self.pieces: list[str] = []
        self.current = self.links = self.code = 0
        self.linked = self.broken = False
        self.numbers: dict[tuple[int, str, str | None], int] = {}
        self.sections: set[int] = set()

    def text(self, text: str) -> None:
        """Text that is not all white space."""
        self.pieces.append(text)
        self.broken = False
        if self.linked:
            self.links += len(text)

    def line_break(self) -> None:
        """A `<br>`; the second in a row ends the block."""
        if self.broken and not self.code:
            self.end()
        else:
            self.pieces.append(_BREAK)
        self.broken = True

    def enter(self, node: Any, tag: str) -> int:
        """Opens a link or a block element; what `leave` is to be told at its end."""
        if tag == "a":
            if self.linked:
                return _INLINE_END
            self.linked = True
            return _LINK_END
        if self.code:
            self._line_of_code()
            return _CODE_END
        if self.pieces:
            self.end()
        above, self.current = self.current, self._element(node, tag)
        if self.page.kinds[self.current] == CODE:
            self.code = self.current
        return above

    def leave(self, end: int) -> None:
        if end == _LINK_END:
            self.linked = False
        elif end == _CODE_END:
            self._line_of_code()
        elif end >= 0:
            if self.pieces:
                self.end()
            self.current, self.code = end, 0

    def _line_of_code(self) -> None:
        """A block element inside `<pre>` begins and ends a line."""
        if self.pieces and not self.pieces[-1].endswith(("\n", _BREAK)):
            self.pieces.append("\n")

    def _element(self, node: Any, tag: str) -> int:
        page, current = self.page, self.current
        mark, names = _LANDMARKS.get(tag, 0), None
        if (attributes := node.attrs) and tag not in _ROOTS:
            names = node.attr("class")
            name = node.attr("id")
            if name and (tag in _SLUGGED or names == "section") and self._is_slug(tag):
                name = None
            if both := f"{names} {name}" if names and name else names or name:
                mark |= vocabulary.marks(both[: vocabulary.LONGEST])
            if "role" in attributes or "itemprop" in attributes:
                mark |= vocabulary.roles(attributes)
        number = len(page.parents)
        if tag == "section" or names == "section":
            self.sections.add(number)
        page.parents.append(current)
        page.kinds.append(_KINDS.get(tag, OTHER))
        page.marks.append(mark)
        page.paths.append(self.numbers.setdefault((page.paths[current], tag, names), number))
        return number

    def _is_slug(self, tag: str) -> bool:
        """Whether an element's id is made of its title and not what it is for: of headings, and of sections inside sections."""
        return _KINDS.get(tag) in HEADINGS or self.current in self.sections

    def end(self) -> None:
        """Ends the open block; nothing where it holds no text."""
        pieces = self.pieces
        text = pieces[0] if len(pieces) == 1 else "".join(pieces)
        pieces.clear()
        text = _code(text) if self.code else " ".join(text.split())
        if _BREAK in text:
            text = "\n".join(line for line in (line.strip() for line in text.split(_BREAK)) if line)
        if text:
            page = self.page
            page.texts.append(text)
            page.link_characters.append(min(self.links, len(text)) if self.links else 0)
            page.owners.append(self.current)
        self.links, self.broken = 0, False


def _code(text: str) -> str:
    """The lines of a `<pre>`, without empty ones at its ends and spaces at theirs."""
    return "\n".join(line.rstrip() for line in text.replace(_BREAK, "\n").splitlines()).strip("\n")


def _is_hidden(node: Any) -> bool:
    """Whether an element is not shown, by `hidden`, its style or its classes. The roots may be shown by a script once it has loaded."""
    if node.tag in _ROOTS:
        return False
    if node.attr("hidden") is not None or _HIDDEN.search((node.attr("style") or "")[:_LONGEST_STYLE]):
        return True
    return vocabulary.is_unseen((node.attr("class") or "")[: vocabulary.LONGEST])


def _title(document: Any) -> str:
    """The text of the head's `<title>`; one further down may be an image's."""
    head = document.find("head")
    node = head.find("title") if head is not None else None
    return " ".join(node.text[:_LONGEST_TITLE].split()) if node is not None else ""


def walk(html: str) -> Walk:
    """The blocks of a page outside scripts, forms, media and what is hidden. Linear in the DOM."""
    document = turbohtml.parse(html)
    builder = _Builder(_title(document))
    document.remove(_SKIPPED)
    for found in document.select(_MAYBE_HIDDEN):
        if _is_hidden(found):
            found.decompose()
    pieces = builder.pieces
    text_type, element_type = turbohtml.Text, turbohtml.Element
    stack: list[Iterator[Any]] = [iter(document.children)]
    ends = [0]
    while stack:
        for node in stack[-1]:
            kind = type(node)
            if kind is text_type:
                text = node.data
                if not text.isspace():
                    builder.text(text)
                elif pieces or builder.code:
                    pieces.append(text)
            elif kind is element_type:
                tag = node.tag
                if tag == "br":
                    builder.line_break()
                    continue
                ends.append(_INLINE_END if tag in _INLINE else builder.enter(node, tag))
                stack.append(iter(node.children))
                break
        else:
            stack.pop()
            if (end := ends.pop()) != _INLINE_END:
                builder.leave(end)
    return builder.page
