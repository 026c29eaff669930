"""Strings that an assistant's answer leaves behind when it is pasted into a page.

Values: 4 an artefact of the assistant's interface, such as `contentReference[oaicite:1]`; 3 the text's own voice says at its
start or end that it is a model, or declines a prompt; 2 the same in the middle, or an artefact on a page about such artefacts, or
an assistant's first words, or words at an edge that people use rarely; 1 weak formulas that helpful people write too; 0 a string
that is quoted or spoken of. -1 is an alarm: an artefact in a capture whose interval ends before November 2022, when there was no
such interface. Then the date or the bytes are false, and it is no evidence of how the text was made. The other strings in such
captures give no row.

Failure modes. Pages about AI quote these strings, so quotation marks, quoting elements (blockquote, q, code, pre), fenced
blocks, mention of the topic in the same sentence, a headline, and a page that keeps to the topic take the weight away; a machine's own
page about AI is then not found, and neither is a careful paste that deletes them. Fiction can speak so. No precision on crawls is
published: of ten random hits for `oaicite` in public repositories ten were genuine residue (SCIENCE 2.7). Interface artefacts in
the page's links are not read: a link copied from an assistant does not make the text around it a machine's; the one in
the text is a reading of 1.
"""

import bisect
import datetime
import itertools
import re
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from provenance.signals import Tools, _scan, readings
from provenance.signals._phrases import ARTEFACT, CLOSER, HEDGE, NEARBY, OPENER, REFUSAL, SPEAKER, TOPIC

NAME = "residue"
VERSION = "2"
STAGE = "page"
COLUMNS = ("key", "text", "html", "date_end")
STATISTICAL = False

FIRST_ASSISTANT = datetime.datetime(2022, 11, 1, tzinfo=datetime.UTC)
"""ChatGPT opened on 30 November 2022; the month's start leaves no capture of it outside."""

INTERFACE, SELF, DOUBTFUL, FORMULA, SPOKEN_OF, ALARM = 4.0, 3.0, 2.0, 1.0, 0.0, -1.0

_EDGE = 400  # characters at the start or the end of a text where an answer's frame stands
_MOST = 50  # strings of one text that are looked at
_DENSE = 1000  # characters for each mention of the topic on a page that keeps to it
_LONG = 100_000  # characters of a text in which its topic shows
_HEADLINE = 160  # characters of a first line that may be a headline

_KINDS = {
    INTERFACE: "artefact of an assistant's interface",
    SELF: "speaks as a model",
    DOUBTFUL: "words that assistants use more than people",
    FORMULA: "formula of an answer",
}
_PHRASES = [
    (base, words, re.compile(phrase, re.IGNORECASE | re.MULTILINE))
    for base, phrases in ((INTERFACE, ARTEFACT), (SELF, SPEAKER + REFUSAL), (DOUBTFUL, HEDGE), (FORMULA, CLOSER))
    for words, phrase in phrases
]
_START = r"^[\s\"“„«#*>]*"
_OPENERS = "|".join(f"(?:{phrase})" for _, phrase in OPENER)
_WORDS = "|".join(sorted({f"(?:{words})" for _, words, _ in _PHRASES}))
_OPENER = re.compile(rf"[\s\"“„«#*>]*(?:{_OPENERS})", re.IGNORECASE)
_OWN = re.compile("|".join(f"(?:{phrase})" for _, phrase in ARTEFACT + SPEAKER + REFUSAL + HEDGE), re.IGNORECASE | re.MULTILINE)
_TOPIC, _NEARBY = re.compile(TOPIC, re.IGNORECASE), re.compile(NEARBY, re.IGNORECASE)
# Daggers in brackets and OpenAI's name in addresses are older than assistants.
_IMPOSSIBLE = (
    "|".join(f"(?:{words})" for words, _ in ARTEFACT if "†" not in words and "utm" not in words) + "|utm_source=(?:chatgpt|copilot)"
)
_IMPOSSIBLE_FORM = re.compile(
    "|".join(f"(?:{phrase})" for words, phrase in ARTEFACT if "†" not in words and "utm" not in words)
    + r"|\butm_source=(?:chatgpt|copilot)\.com\b",
    re.IGNORECASE,
)
_LINK = re.compile(r"utm_source=", re.IGNORECASE)

Place = tuple[float, re.Match[str]]


def residue(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """The strongest string of each text that has one."""
    texts = batch.column("text")
    opened = set(_scan.hits(texts, f"{_START}(?:{_OPENERS})"))
    worded = _scan.hits(texts, _WORDS)
    early = pc.fill_null(pc.less(batch.column("date_end"), pa.scalar(FIRST_ASSISTANT, batch.schema.field("date_end").type)), False)
    before = set(pc.indices_nonzero(early).to_pylist())
    places = _places(texts, [row for row in worded if row not in before])
    rows: list[tuple[str, float, str]] = []
    for row in sorted((opened | set(places)) - before):
        found = _strongest(texts[row].as_py(), batch.column("html")[row].as_py() or "", places.get(row, []))
        if found:
            rows.append((batch.column("key")[row].as_py(), *found))
    for row, seen in _alarms(batch, before, worded):
        alarm = f"artefact of an assistant in a capture dated before {FIRST_ASSISTANT:%Y-%m}: {seen}"
        rows.append((batch.column("key")[row].as_py(), ALARM, alarm))
    return readings(rows)


def _places(texts: pa.Array, rows: list[int]) -> dict[int, list[Place]]:
    """Where the phrases stand, by row, of the texts `rows`. Each phrase is looked for only in lines that have its words, all texts' at
    once."""
    held = [texts[row].as_py() for row in rows]
    lines = _scan.lines(held, _WORDS)
    found: dict[int, list[Place]] = {}
    if not lines:
        return found
    pieces = pa.array([held[i][start:end] for i, start, end in lines], pa.string())
    for base, words, phrase in _PHRASES:
        for place in _scan.hits(pieces, words):
            i, start, end = lines[place]
            known = found.setdefault(rows[i], [])
            if len(known) < _MOST:
                known += [(base, match) for match in itertools.islice(phrase.finditer(held[i], start, end), _MOST)]
    return {row: known for row, known in found.items() if known}


def _alarms(batch: pa.RecordBatch, early: set[int], worded: list[int]) -> Iterator[tuple[int, str]]:
    """(row, artefact) of the captures `early` that hold one before there was any, in the text (one of `worded`, the texts that have
    words of a phrase) or the page's source, where a link counts too; being quoted does not excuse it."""
    held: set[int] = set()
    for name, rows in (("text", [row for row in worded if row in early]), ("html", sorted(early))):
        held |= {rows[i] for i in _scan.hits(batch.column(name).take(pa.array(rows, pa.int64())), _IMPOSSIBLE)}
    for row in sorted(held):
        for name in ("text", "html"):
            match = _IMPOSSIBLE_FORM.search(batch.column(name)[row].as_py() or "")
            if match:
                yield row, match.group()
                break


def _strongest(text: str, page: str, places: list[Place]) -> tuple[float, str] | None:
    """The highest reading of a text, with what was seen."""
    found: list[tuple[float, str]] = []
    source = _scan.Source(page)
    topical = _about_ai(text, places) if places else False
    for base, match in places[:_MOST]:
        found.append((_judged(base, match, text, source, topical), f"{_KINDS[base]}: {' '.join(match.group().split())}"))
    opener = _OPENER.match(text)
    if opener:
        start = opener.end() - len(opener.group().lstrip(' \n\t"“„«#*>'))
        spoken = _scan.quoted(text, start, opener.end())
        found.append((SPOKEN_OF if spoken else DOUBTFUL, f"first words of an assistant: {text[start : opener.end()]}"))
    return max(found, default=None)


def _about_ai(text: str, places: list[Place]) -> bool:
    """Whether the text keeps to the topic apart from what a model says of itself: two places, and one in each 1,000 characters."""
    own = sorted(match.span() for _, match in places)
    starts = [start for start, _ in own]
    text, mentions = text[:_LONG], 0
    for found in _TOPIC.finditer(text):
        before = bisect.bisect_right(starts, found.start()) - 1
        mentions += before < 0 or found.start() >= own[before][1]
    return mentions >= 2 and mentions * _DENSE >= len(text)


def _judged(base: float, match: re.Match[str], text: str, source: _scan.Source, topical: bool) -> float:
    """The reading of one string, after its place and company."""
    start, end = match.span()
    if _scan.quoted(text, start, end) or _spoken_of(base, match, text) or source.in_quoting_element(_source(match.group())):
        return SPOKEN_OF
    if base == INTERFACE:
        if _LINK.search(match.group()):
            return FORMULA
        return DOUBTFUL if topical else INTERFACE
    edge = start < _EDGE or end > len(text) - _EDGE
    if base == SELF:
        if topical:
            return FORMULA
        return SELF if edge else DOUBTFUL
    if base == DOUBTFUL:
        return DOUBTFUL if edge and not topical else FORMULA
    return base if end > len(text) - _EDGE else SPOKEN_OF


def _spoken_of(base: float, match: re.Match[str], text: str) -> bool:
    """Whether the sentence around the string names an assistant or the topic besides, or a headline cites it (`...: what it means`)."""
    whole = _scan.sentence(text, *match.span())
    if _NEARBY.search(_OWN.sub(" ", whole.replace(match.group(), " "))) is not None:
        return True
    line_end = text.find("\n", match.end())
    headline = text[match.end() : line_end] if match.start() < _HEADLINE and 0 <= line_end <= 2 * _HEADLINE else ""
    return base == SELF and bool(re.match(r"[^.!?。！？\n]{0,80}(?::|：| [-–—|] )\s?\S+\s\S+", headline))


def _source(found: str) -> re.Pattern[str]:
    """The string as it stands in the page's source, whatever its white space."""
    return re.compile(r"\s+".join(map(re.escape, found.split())), re.IGNORECASE)
