"""What the signals of markup and text share: one pass over a column for all patterns, and small readings of HTML."""

import bisect
import itertools
import re
from collections.abc import Iterator
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.tag_soup import unescape

TAG = re.compile(r"<[^<>]*>")
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?""")
_HIDDEN = ("script", "style", "noscript", "template")
_RAW = ("textarea", "title", "xmp", "iframe", "noembed", "noframes")


def _any_case(name: str) -> str:
    """Expression for an element's name in any case of its ASCII letters, as HTML compares them: `re.IGNORECASE` also takes U+017F for
    an s, and is slower."""
    return "".join(f"[{letter}{letter.upper()}]" for letter in name)


def _hiding(names: tuple[str, ...]) -> re.Pattern[str]:
    """Start tags of `names` and comments. The look-ahead at the first letter passes over most tags at once."""
    first = "".join(sorted({name[0] + name[0].upper() for name in names}))
    return re.compile(rf"<(?=[!{first}])(?:!--(?:-?>)?|({'|'.join(map(_any_case, names))})\b[^<>]*>)")


_UNSEEN, _UNREAD = _hiding(_HIDDEN), _hiding(_HIDDEN + _RAW)
_ENDS = {name: re.compile(rf"</{name}[\s/>]", re.IGNORECASE) for name in _HIDDEN + _RAW}
_INSIDE = r"""(?:[^<>"']++|"[^"]*+"|'[^']*+')*+"""  # of a tag, after its name; a quoted value may hold brackets
_LONGEST_START = 24  # bytes from the bracket on that hold a name of interest and the space after it
_COMMENT_END = re.compile("--!?>")
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}  # keeps every offset, which str.lower does not
_MOST = 20  # places of one string that are looked at; a page that repeats it more often says nothing new
_SENTENCE_END = re.compile(r"[.!?。！？\n]")

_SINGLE = re.compile(r"(?<!\w)'(?=\S)(?:[^'\n]|(?<=\w)'(?=\w))*+'(?!\w)")  # apostrophes within words do not close
QUOTES = {
    '"': '"',
    "“": "”",
    "„": "“”",
    "«": "»",
    "»": "«",
    "‘": "’",
    "「": "」",
    "『": "』",
    "`": "`",
    "‹": "›",
    "＂": "＂",
    "〝": "〞〟",
}
QUOTING_ELEMENTS = ("blockquote", "q", "code", "pre", "samp", "kbd", "cite", "figcaption", "textarea")
_QUOTING = re.compile(rf"<(?:({'|'.join(QUOTING_ELEMENTS)})[ >]|(/(?:{'|'.join(QUOTING_ELEMENTS)})))")


def hits(column: pa.Array, pattern: str) -> list[int]:
    """Rows whose text has `pattern` (RE2 syntax, any case), in one pass at some 500 MB/s whatever the alternatives are, and at 3 GB/s where it
    begins with a literal without the letters s and k, which have a third form."""
    found = pc.match_substring_regex(column, pattern, ignore_case=True)
    return pc.indices_nonzero(found).to_pylist()


def lines(texts: list[str], pattern: str) -> list[tuple[int, int, int]]:
    """(place in `texts`, start, end) of the lines that `pattern` (as for `hits`) matches, in order: where a slower expression is worth
    its time. All texts at once, since an expression is compiled for every pass."""
    parts = pc.split_pattern(pa.array(texts, pa.string()), "\n")
    pieces, first = parts.flatten(), parts.offsets.to_numpy()
    places = np.array(hits(pieces, pattern), dtype=np.int64)
    lengths = pc.utf8_length(pieces).to_numpy().astype(np.int64)
    starts = np.cumsum(lengths + 1) - (lengths + 1)
    rows = np.searchsorted(first, places, side="right") - 1
    within = starts[places] - starts[first[rows]]
    return list(zip(rows.tolist(), within.tolist(), (within + lengths[places]).tolist(), strict=True))


def attributes(tag: str) -> dict[str, str]:
    """Attributes of a start tag, names in lower case, character references resolved; the first of a name wins."""
    found: dict[str, str] = {}
    start = len(tag[1:].split(None, 1)[0].rstrip(">")) if len(tag) > 2 else 0
    for name, double, single, bare in _ATTRIBUTE.findall(tag.strip("<>/ \n\t"), start):
        name, value = name.lower(), double or single or bare
        if name not in found:
            found[name] = unescape(value) if "&" in value else value
    return found


def tags(seen: str, name: str) -> Iterator[dict[str, str]]:
    """Attributes of every start tag `name` of a page that `markup` has read."""
    for match in re.finditer(rf"<{name}(?=[\s/>]){_INSIDE}>", seen, re.IGNORECASE):
        yield attributes(match.group())


def heads(page: str | bytes, names: str, word: str) -> Iterator[dict[str, str]]:
    """Attributes of the start tags `names` (such as `link|a`) that hold `word` (in lower case), as `tags(markup(page), name)` would give
    them but without reading the whole page (text, or UTF-8): only up to the last of them is read for what hides it."""
    start = re.compile(rf"<(?:{'|'.join(map(_any_case, names.split('|')))})\s")
    seen = markup(_until_last(page.encode() if isinstance(page, str) else page, start, word.encode()))
    for tag in re.findall(rf"{start.pattern}{_INSIDE}>", seen):
        if word in tag.lower():
            yield attributes(tag)


def _until_last(page: bytes, start: re.Pattern[str], word: bytes) -> str:
    """The page up to the end of the last tag that `start` begins and that holds `word`; empty if there is none.

    From the end to the beginning, as bytes, which are searched many times as fast as an expression in any case. Linear: each
    step leaves out what the step before it passed over.
    """
    lower = page.lower()
    place = lower.rfind(word)
    while place >= 0:
        opened = page.rfind(b"<", 0, place)
        if opened < 0:
            break
        ended = page.find(b">", opened, place)
        if ended < 0 and start.match(page[opened : min(place, opened + _LONGEST_START)].decode(errors="ignore")):
            following = page.find(b"<", place)
            closed = page.find(b">", place, following if following >= 0 else len(page))
            if closed >= 0:
                return page[: closed + 1].decode()
        place = lower.rfind(word, 0, max(opened, ended))
    return ""


def visible(page: str) -> str:
    """The page without scripts, style sheets, templates and comments. One that is not closed hides the rest, as in a browser,
    which also keeps the time linear."""
    return _without(page, _UNSEEN)


def markup(page: str) -> str:
    """The page without what `visible` leaves out and without the elements whose content holds no tags, such as `textarea`."""
    return _without(page, _UNREAD)


def _without(page: str, hidden: re.Pattern[str]) -> str:
    pieces, position = [], 0
    while (opened := hidden.search(page, position)) is not None:
        pieces.append(page[position : opened.start()])
        closed = _closed(page, opened)
        if closed is None:
            return " ".join(pieces)
        position = closed[1]
    return " ".join([*pieces, page[position:]])


def _closed(page: str, opened: re.Match[str]) -> tuple[int, int] | None:
    """Where what hides text ends: (start, end) of its end tag or of the comment's end, None if it is never closed."""
    if opened.group(1) is None:
        if opened.group().endswith(">"):
            return opened.end(), opened.end()
        closed = _COMMENT_END.search(page, opened.end())
        return closed.span() if closed else None
    closed = _ENDS[opened.group(1).lower()].search(page, opened.end())
    if closed is None:
        return None
    stop = page.find(">", closed.end() - 1)
    return closed.start(), stop + 1 if stop >= 0 else len(page)


def scripts(page: str, kind: str) -> Iterator[str]:
    """Bodies of the script elements whose `type` is `kind`, outside comments."""
    position = 0
    while (opened := _UNREAD.search(page, position)) is not None:
        closed = _closed(page, opened)
        if closed is None:
            return
        name = opened.group(1)
        if name and name.lower() == "script" and attributes(opened.group()).get("type", "").split(";")[0].strip().lower() == kind:
            yield page[opened.end() : closed[0]]
        position = closed[1]


def script_tags(page: str) -> Iterator[str]:
    """Start tags of the page's script elements, as written."""
    return (match.group() for match in re.finditer(r"<script\b[^<>]*>", page, re.IGNORECASE))


def plain(page: str) -> str:
    """Text of a piece of HTML, white space collapsed. Raw, for counting and searching and not for training."""
    return " ".join(unescape(TAG.sub(" ", visible(page))).split())


def sentence(text: str, start: int, end: int) -> str:
    """The sentence of `text` that holds [start, end), at most 300 characters to each side."""
    before = text[max(0, start - 300) : start]
    after = text[end : end + 300]
    cut = [m.end() for m in _SENTENCE_END.finditer(before)]
    stop = _SENTENCE_END.search(after)
    return before[cut[-1] if cut else 0 :] + text[start:end] + after[: stop.start() if stop else len(after)]


def quoted(text: str, start: int, end: int) -> bool:
    """Whether [start, end) stands in quotation marks, is a quoted line (`> `) or lies in a fenced block, judged inside its paragraph."""
    line = text.rfind("\n", 0, start) + 1
    if text[line : line + 2].lstrip().startswith(">") or _fenced(text, line):
        return True
    before = text[max(line, start - 400) : start]
    stop = text.find("\n", end)
    after = text[end : end + 400 if stop < 0 else min(stop, end + 400)]
    for opening, closing in QUOTES.items():
        if opening == closing:
            if before.count(opening) % 2 and opening in after:
                return True
        else:
            place = before.rfind(opening)
            # The German »opening« is the French « closing »: it opens only where the text follows without a space.
            opens = opening not in "»›" or not before[place + 1 : place + 2].isspace()
            if opens and place > max(before.rfind(c) for c in closing) and any(c in after for c in closing):
                return True
    whole = before + text[start:end] + after
    return any(m.start() < len(before) and m.end() > len(before) + end - start for m in _SINGLE.finditer(whole))


def _fenced(text: str, place: int) -> bool:
    """Whether `place` lies in a block of code between lines of three backticks or tildes."""
    for fence in ("```", "~~~"):
        if (text.count(f"\n{fence}", 0, place) + text.startswith(fence)) % 2 and text.find(f"\n{fence}", place) >= 0:
            return True
    return False


class Source:
    """A page's source as it is searched for strings: what the searches share is read when it is first asked for, and once."""

    def __init__(self, page: str) -> None:
        self._page = page

    def in_quoting_element(self, found: re.Pattern[str]) -> bool:
        """Whether every place that `found` (for any case) matches lies in a quoting element (blockquote, q, code ...).

        False where the source does not show it, for instance because tags stand between its words.
        """
        places = [match.start() for match in itertools.islice(found.finditer(self._lower), _MOST)]
        return bool(places) and all(any(self._inside(element, place) for element in QUOTING_ELEMENTS) for place in places)

    @cached_property
    def _lower(self) -> str:
        """What the page shows, character references resolved, in lower case."""
        return unescape(visible(self._page)).translate(_LOWER)

    @cached_property
    def _quoting(self) -> dict[str, list[int]]:
        """Where the start tags of each quoting element (`code`) and its end tags (`/code`) begin."""
        found: dict[str, list[int]] = {}
        for match in _QUOTING.finditer(self._lower):
            found.setdefault(match.group(1) or match.group(2), []).append(match.start())
        return found

    def _inside(self, element: str, place: int) -> bool:
        """Whether the last tag of `element` before `place` opens it."""
        opened, closed = (self._last(name, place - len(element) - 2) for name in (element, f"/{element}"))
        return opened > closed

    def _last(self, name: str, latest: int) -> int:
        """The last of a tag's places up to `latest`, -1 if there is none."""
        places = self._quoting.get(name, [])
        before = bisect.bisect_right(places, latest)
        return places[before - 1] if before else -1
