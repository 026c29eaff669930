"""What the signals of markup and text share: one pass over a column for all patterns, and small readings of HTML."""

import itertools
import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from provenance.tag_soup import unescape

TAG = re.compile(r"<[^<>]*>")
_ATTRIBUTE = re.compile(r"""([^\s"'<>/=]+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'=<>`]+)))?""")
_UNSEEN = re.compile(r"<!--|<(script|style|noscript|template)\b[^<>]*>", re.IGNORECASE)
_ENDS = {name: re.compile(rf"</{name}\s*>", re.IGNORECASE) for name in ("script", "style", "noscript", "template")} | {
    None: re.compile("-->")
}
_LOWER = {code: code + 32 for code in range(ord("A"), ord("Z") + 1)}  # keeps every offset, which str.lower does not
_MOST = 20  # places of one string that are looked at; a page that repeats it more often says nothing new
_SENTENCE_END = re.compile(r"[.!?。！？\n]")

QUOTES = {'"': '"', "“": "”", "„": "“”", "«": "»", "»": "«", "‘": "’", "「": "」", "『": "』", "`": "`", "‹": "›", "＂": "＂"}
QUOTING_ELEMENTS = ("blockquote", "q", "code", "pre", "samp", "cite", "textarea")


def hits(column: pa.Array, pattern: str) -> list[int]:
    """Rows whose text has `pattern` (RE2 syntax, any case), in one pass at some 500 MB/s whatever the alternatives are."""
    found = pc.match_substring_regex(column, pattern, ignore_case=True)
    return pc.indices_nonzero(found).to_pylist()


def near(text: str, pattern: str) -> Iterator[tuple[int, int]]:
    """(start, end) of the lines of `text` that `pattern` (as for `hits`) matches: where a slower expression is worth its time."""
    lines = text.split("\n")
    starts = list(itertools.accumulate((len(line) + 1 for line in lines), initial=0))
    for row in hits(pa.array(lines, pa.string()), pattern):
        yield starts[row], starts[row] + len(lines[row])


def attributes(tag: str) -> dict[str, str]:
    """Attributes of a start tag, names in lower case, character references resolved; the first of a name wins."""
    found: dict[str, str] = {}
    for match in _ATTRIBUTE.finditer(tag.strip("<>/ \n\t"), len(tag[1:].split(None, 1)[0].rstrip(">")) if len(tag) > 2 else 0):
        name, *values = match.groups()
        found.setdefault(name.lower(), unescape(next((v for v in values if v is not None), "")))
    return found


def tags(page: str, name: str) -> Iterator[dict[str, str]]:
    """Attributes of every start tag `name` of the page that is not in a script, a style sheet or a comment."""
    for match in re.finditer(rf"<{name}(?=[\s/>])(?:[^<>\"']|\"[^\"]*\"|'[^']*')*>", visible(page), re.IGNORECASE):
        yield attributes(match.group())


def visible(page: str) -> str:
    """The page without scripts, style sheets, templates and comments. One that is not closed hides the rest, as in a browser,
    which also keeps the time linear."""
    pieces, position = [], 0
    while (opened := _UNSEEN.search(page, position)) is not None:
        pieces.append(page[position : opened.start()])
        kind = opened.group(1)
        closed = _ENDS[kind.lower() if kind else None].search(page, opened.end())
        if closed is None:
            return " ".join(pieces)
        position = closed.end()
    return " ".join([*pieces, page[position:]])


def scripts(page: str, kind: str) -> Iterator[str]:
    """Bodies of the script elements whose `type` is `kind`, outside comments."""
    position = 0
    while (opened := _UNSEEN.search(page, position)) is not None:
        name = opened.group(1)
        closed = _ENDS[name.lower() if name else None].search(page, opened.end())
        if closed is None:
            return
        if name and name.lower() == "script" and attributes(opened.group()).get("type", "").split(";")[0].strip().lower() == kind:
            yield page[opened.end() : closed.start()]
        position = closed.end()


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
    """Whether [start, end) stands in quotation marks or is a quoted line (`> `), judged inside its paragraph."""
    line = text.rfind("\n", 0, start) + 1
    if text[line : line + 2].lstrip().startswith(">"):
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
    return False


def in_quoting_element(page: str, found: re.Pattern[str]) -> bool:
    """Whether every place of the page's source that `found` (for any case) matches lies in a quoting element (blockquote, q, code ...).

    False where the source does not show it, for instance because tags stand between its words.
    """
    lower = unescape(visible(page)).translate(_LOWER)
    places = [match.start() for match in itertools.islice(found.finditer(lower), _MOST)]
    return bool(places) and all(any(_inside(lower, element, place) for element in QUOTING_ELEMENTS) for place in places)


def _inside(page: str, element: str, place: int) -> bool:
    """Whether the last tag of `element` before `place` in the lower-cased page opens it."""
    opened = max(page.rfind(f"<{element}>", 0, place), page.rfind(f"<{element} ", 0, place))
    return opened > page.rfind(f"</{element}", 0, place)
