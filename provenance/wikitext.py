"""Wikitext to plain text: what a reader of the article sees of its prose.

Templates, references, comments, files, categories, links to other languages, galleries and formulas are left out; headings
stay as lines of their own where their sections have text, list items as lines that begin with `- `, table cells as text, a
row on a line with tabs between.

The markup is paired by one scan with a stack, in linear time. mwparserfromhell, which the tests compare with, takes 17
seconds for 100 kB of unclosed `<ref>` and minutes for mixed openings, and a page of a public wiki may hold 2 MB of those.
What is not known: local names of files other than the dump's own and the canonical ones, unless the link ends like a file
or has two bars; `-{...}-` of wikis in several scripts; what templates would have written.
"""

import html
import re
from collections import Counter
from collections.abc import Collection, Iterator

VERSION = 1
MAX_CHARACTERS = 2 << 20
"""A page of MediaWiki holds 2 MiB at most ($wgMaxArticleSize, https://www.mediawiki.org/wiki/Manual:$wgMaxArticleSize)."""
MAX_DEPTH = 100
"""Templates, links, tables and references inside one another; MediaWiki stops at 100 templates ($wgMaxPPExpandDepth)."""

_ASIDE = frozenset(("file", "image", "media", "category"))
"""Names that MediaWiki knows in every wiki, whatever its language."""
_LANGUAGE = re.compile(r"(?!mw:|voy:)(?:[a-z]{2,3}|simple)(?:-[a-z]{2,12}){0,2}:", re.ASCII)
_FILES = frozenset("jpg jpeg png svg gif tif tiff webp pdf djvu ogg oga ogv webm mp3 wav flac mid".split())

_TOKEN = re.compile(
    r"<!--|\{\{+|\}\}+|\[\[|\]\]|^[ \t:]*\{\||^[ \t]*\|\}(?!\})|<(?P<end>/?)(?P<tag>[a-z][a-z0-9]{0,15})\b(?P<rest>[^<>]*)>",
    re.IGNORECASE | re.MULTILINE,
)
_VERBATIM = frozenset("nowiki pre".split())
_OPAQUE = frozenset(
    "math chem ce score timeline hiero graph syntaxhighlight source templatedata mapframe maplink inputbox script style".split()
)
"""Elements whose content is in another language than wikitext."""
_DROPPED = frozenset("ref references gallery imagemap templatestyles includeonly categorytree indicator section".split())
_BLOCKS = frozenset("p div blockquote center table caption ul ol dl dt dd h1 h2 h3 h4 h5 h6 br hr tr poem".split())
_CELLS = frozenset(("td", "th"))
_INLINE = frozenset(
    "abbr b bdi bdo big cite code data del dfn em font i ins kbd mark q rb rp rt rtc ruby s samp small span strike strong sub sup "
    "time tt u var wbr noinclude onlyinclude nowiki pre thead tbody tfoot".split()
)

_GONE = "\0"
"""Stands where a template or a reference was, until brackets that held nothing else have gone with it."""
_BRACKETS = re.compile(r"[ \t]?[(（]([\s,;:\0]*+)[)）]")
_EXTERNAL = re.compile(r"\[(?:(?:[a-z]{2,10}:)?//|mailto:)[^\s\]]{0,1000}+[ \t]*+([^\]\n]{0,300}+)\]", re.IGNORECASE)
_QUOTES = re.compile(r"'{2,5}")
_SWITCH = re.compile(r"__[A-Z]{3,30}__")
_PREFIX = re.compile(r"[*#:;]+[ \t]*")


class TooComplex(ValueError):
    """Wikitext that is larger or deeper than an article's."""


def plain_text(source: str, aside: Collection[str] = ()) -> str:
    """The text of an article's wikitext. `aside` names the wiki's own namespaces of files and categories.

    Raises `TooComplex` for wikitext of more than `MAX_CHARACTERS` or more than `MAX_DEPTH` levels.
    """
    if len(source) > MAX_CHARACTERS:
        raise TooComplex(f"{len(source)} characters, more than the {MAX_CHARACTERS} of the largest page that MediaWiki keeps")
    names = _ASIDE | {name.casefold() for name in aside}
    lines = [_line(line) for line in _Pairing(source.replace(_GONE, ""), names).text().split("\n")]
    kept, blank = [], True
    for line in _with_text(lines):
        if line or not blank:
            kept.append(line)
        blank = not line
    return "\n".join(kept).strip()


class _Pairing:
    """One scan over wikitext: what is opened and closed, innermost first, gives its text to what it stands in."""

    def __init__(self, source: str, aside: frozenset[str]):
        self._source, self._aside = source, aside
        self._stack: list[tuple[str, str, list[str]]] = [("", "", [])]  # kind, its opening as written, parts
        self._open: Counter[str] = Counter()
        self._unclosed: set[str] = set()  # elements that no later end tag closes

    def text(self) -> str:
        at = 0
        while (found := _TOKEN.search(self._source, at)) is not None:
            self._add(self._source[at : found.start()])
            at = self._token(found)
        self._add(self._source[at:])
        while len(self._stack) > 1:
            self._give_up()
        return "".join(self._stack[0][2])

    def _token(self, found: re.Match[str]) -> int:
        """Takes one token; returns where to go on."""
        token = found[0]
        if token == "<!--":
            stop = self._find("-->", "-->", found.end())
            return len(self._source) if stop is None else stop[1]
        if found["tag"]:
            return self._tag(found)
        if token.startswith("{{"):
            for _ in range(len(token) // 2):
                self._push("{{", token[:2])
        elif token.startswith("}}"):
            for _ in range(len(token) // 2):
                self._close("{{")
        elif token == "[[":
            self._push("[[", token)
        elif token == "]]":
            self._close("[[")
        elif token.endswith("{|"):
            self._push("{|", "")
        else:
            self._close("{|")
        return found.end()

    def _tag(self, found: re.Match[str]) -> int:
        name, closing = found["tag"].lower(), bool(found["end"])
        if name in _OPAQUE or name in _VERBATIM:
            if closing or found["rest"].endswith("/"):
                return found.end()
            stop = self._find(name, f"</{name}", found.end())
            if name in _VERBATIM and stop is not None:
                self._add(self._source[found.end() : stop[0]])
            return found.end() if stop is None else self._past_tag(stop[1])
        if name in _DROPPED:
            if closing:
                self._close(name)
            elif not found["rest"].endswith("/"):
                self._push(name, "")
        elif name in _BLOCKS:
            self._add("\n")
        elif name in _CELLS:
            self._add("" if closing else "\t")
        elif name == "li":
            self._add("" if closing else "\n* ")
        elif name not in _INLINE:
            self._add(found[0])
        return found.end()

    def _past_tag(self, at: int) -> int:
        stop = self._source.find(">", at, at + 100)
        return at if stop < 0 else stop + 1

    def _find(self, name: str, text: str, at: int) -> tuple[int, int] | None:
        """Where `text` next stands, in lower case or as a person types it; each text that is nowhere is sought once."""
        if name in self._unclosed:
            return None
        found = re.compile(re.escape(text), re.IGNORECASE).search(self._source, at)
        if found is None:
            self._unclosed.add(name)
            return None
        return found.span()

    def _add(self, text: str) -> None:
        if text:
            self._stack[-1][2].append(text)

    def _push(self, kind: str, opening: str) -> None:
        if len(self._stack) > MAX_DEPTH:
            raise TooComplex(f"templates, links, tables and references are nested more than {MAX_DEPTH} levels deep")
        self._stack.append((kind, opening, []))
        self._open[kind] += 1

    def _close(self, kind: str) -> None:
        if not self._open[kind]:
            return
        while self._stack[-1][0] != kind:
            self._give_up()
        _, _, parts = self._stack.pop()
        self._open[kind] -= 1
        self._add(self._rendered(kind, "".join(parts)))

    def _give_up(self) -> None:
        """What was opened last is never closed: it is text."""
        kind, opening, parts = self._stack.pop()
        self._open[kind] -= 1
        self._add(opening)
        self._add("".join(parts))

    def _rendered(self, kind: str, inner: str) -> str:
        if kind == "[[":
            return _link(inner, self._aside)
        return _table(inner) if kind == "{|" else _GONE


def _link(inner: str, aside: frozenset[str]) -> str:
    """What a link shows; nothing for files, categories and other languages."""
    target, bar, label = inner.partition("|")
    target = target.strip()
    if target.startswith(":"):
        target = target[1:].strip()
    elif ":" in target:
        prefix = target.partition(":")[0].replace("_", " ").strip().casefold()
        if prefix in aside or _LANGUAGE.match(target) or target.rpartition(".")[2].casefold() in _FILES or "|" in label:
            return ""
    return label if bar and label.strip() else target


def _table(inner: str) -> str:
    """Rows on lines, tabs between cells. The first line holds the table's attributes."""
    rows: list[list[str]] = [[]]
    for line in inner.split("\n")[1:]:
        line = line.strip()
        if line.startswith("|-"):
            rows.append([])
        elif line.startswith("|+"):
            rows += [[_cell(line[2:])], []]
        elif line.startswith(("|", "!")):
            cells = (line[1:].replace("!!", "||") if line[0] == "!" else line[1:]).split("||")
            rows[-1] += [_cell(cell) for cell in cells]
        elif rows[-1]:
            rows[-1][-1] = f"{rows[-1][-1]} {line}".strip()
        elif line:
            rows[-1].append(line)
    return "\n" + "\n".join("\t".join(row) for row in rows if any(row)) + "\n"


def _cell(cell: str) -> str:
    """A cell's text, without the attributes that a single bar ends."""
    before, bar, after = cell.partition("|")
    return (after if bar and "=" in before and "<" not in before else cell).strip()


def _line(line: str) -> tuple[int, str]:
    """A line's text and, of a heading, its level from 1; 0 of other lines."""
    line = line.strip()
    if line.startswith("=") and line.endswith("="):
        level = min(len(line) - len(line.lstrip("=")), len(line) - len(line.rstrip("=")), 6, (len(line) - 1) // 2)
        if level and (text := _inline(line[level:-level])):
            return level, text
    prefix = _PREFIX.match(line)
    if prefix is not None:
        text = _inline(line[prefix.end() :])
        return 0, f"- {text}" if text and prefix[0][0] in "*#" else text
    return 0, "" if line.startswith("----") else _inline(line)


def _inline(text: str) -> str:
    text = _EXTERNAL.sub(lambda link: link[1], text) if "[" in text else text
    text = _SWITCH.sub("", _QUOTES.sub("", text))
    if _GONE in text:
        text = _BRACKETS.sub(lambda held: "" if _GONE in held[1] else held[0], text).replace(_GONE, "")
    if "&" in text:
        text = html.unescape(text)
    return text.replace("\xa0", " ").strip()


def _with_text(lines: list[tuple[int, str]]) -> Iterator[str]:
    """The lines without the headings of sections that hold no text."""
    text_below = [False] * 7
    kept: list[str] = []
    for level, text in reversed(lines):
        if level:
            if text_below[level]:
                kept += ["", text, ""]
            text_below[level:] = [False] * (7 - level)
        else:
            kept.append(text)
            if text:
                text_below = [True] * 7
    return reversed(kept)
