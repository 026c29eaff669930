"""Strings that an assistant's answer leaves behind when it is pasted into a page.

Values: 4 an artefact of the assistant's interface, such as `contentReference[oaicite:1]`; 3 the text's own voice says at its
start or end that it is a model, or declines; 2 the same in the middle, or an artefact on a page about such artefacts, or
an assistant's first words; 1 weak formulas that helpful people write too; 0 a string that is quoted or spoken of.
-1 is an alarm: an artefact in a capture dated before November 2022, when there was no such interface. Then the date or the
bytes are false, and it is no evidence of how the text was made. The other strings in such captures give no row.

Failure modes. Pages about AI quote these strings, so quotation marks, quoting elements (blockquote, q, code, pre), mention of
the topic in the same sentence, and a page that keeps to the topic take the weight away; a careful paste deletes them
and is not found. Fiction can speak so. No precision on crawls is published: of ten random hits for `oaicite` in public
repositories ten were genuine residue (SCIENCE 2.7). Interface artefacts in the page's links are not read: a link copied
from an assistant does not make the text around it a machine's; the one in the text is a reading of 1.
"""

import datetime
import itertools
import re
from collections.abc import Iterator

import pyarrow as pa

from provenance.signals import Tools, _scan, readings
from provenance.signals._phrases import ARTEFACT, CLOSER, OPENER, REFUSAL, SPEAKER, TOPIC

NAME = "residue"
VERSION = "1"
STAGE = "page"
COLUMNS = ("key", "text", "html", "date_end")
STATISTICAL = False

FIRST_ASSISTANT = datetime.datetime(2022, 11, 1, tzinfo=datetime.UTC)
"""ChatGPT opened on 30 November 2022; the month's start leaves no capture of it outside."""

INTERFACE, SELF, DOUBTFUL, FORMULA, SPOKEN_OF, ALARM = 4.0, 3.0, 2.0, 1.0, 0.0, -1.0

_EDGE = 400  # characters at the start or the end of a text where an answer's frame stands
_MOST = 50  # strings of one text that are looked at


def _any(*phrases: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{phrase})" for group in phrases for phrase in group), re.IGNORECASE)


_ARTEFACT, _VOICE, _OPENER, _CLOSER = _any(ARTEFACT), _any(SPEAKER, REFUSAL), _any(OPENER), _any(CLOSER)
_TOPIC = re.compile(TOPIC, re.IGNORECASE)
_LINK = re.compile(r"utm_source=", re.IGNORECASE)
# Every phrase above holds one of these words, so that one pass without backtracking finds the few texts to look at.
_WORDS = (
    r"oaicite|turn\d+(?:search|view|news|fetch|image|file|academia|forecast|finance|sports)\d|【[0-9:]+†|attributableindex|grok[_:-]|utm_source=(?:chatgpt|openai|copilot)|"
    r"language[ -]model|as an? (?:ai|chatbot|artificial)|m an? (?:ai|artificial)|a chatbot|modelo de|inteligencia artificial|como (?:una? )?ia,|ki[- ](?:sprach|modell|assist)|sprachmodell|"
    r"als (?:eine? )?(?:ki|künstliche)|modèle de lang|tant qu|inteligência artificial|como uma ia|modello|quanto ia|come (?:una )?ia|intelligenza artificiale|"
    r"языковая модель|модель ии|ии-модель|искусственный интеллект|модель искусственного|как ии|taalmodel|als (?:een )?ai|model (?:językowy|ai)|asystent ai|sztuczna inteligencja|jako ai|"
    r"言語モデル|AI(?:アシスタント)?(?:として|なので|であるため)|语言模型|作为(?:一个|一名|一款)?(?:AI|人工智能|大)|언어 ?모델|어시스턴트|dil modeli|zek[aâ] asistanı|"
    r"sorry,? but|(?:fulfill?|complete) (?:this|that|your)|knowledge (?:cut|update)|training (?:data|cut)|lo siento, pero|tut mir leid, aber|désolée?, mais|"
    r"muito, mas|desculpe, mas|mi dispiace, ma|не могу выполнить|抱歉，|知识截止|申し訳ありませんが|"
    r"(?:certainly|sure|thing|course|absolutely)[!,.] ?(?:here|below|i['’]d)|(?:claro|supuesto|luego|certeza|certamente|natürlich|gerne|selbstverständlich|klar|sûr ?|certainement ?|absolument ?|"
    r"certo|te|конечно|разумеется|natuurlijk|zeker|oczywiście|jasne)[!,.]+ (?:aqu|a cont|hier|nach|voici|ci-|segue|ecco|di seg|вот|ниже|oto|poni)|以下|こちら|这里是|这是|"
    r"hope this helps|let me know if|feel free to (?:ask|let)|like me to"
)


def residue(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """The strongest string of each text that has one."""
    rows: list[tuple[str, float, str]] = []
    for row in _scan.hits(batch.column("text"), _WORDS):
        text, page = batch.column("text")[row].as_py(), batch.column("html")[row].as_py() or ""
        end = batch.column("date_end")[row].as_py()
        found = _alarm(text) if end is not None and end < FIRST_ASSISTANT else _strongest(text, page)
        if found:
            rows.append((batch.column("key")[row].as_py(), *found))
    return readings(rows)


def _places(pattern: re.Pattern[str], text: str, lines: list[tuple[int, int]]) -> Iterator[re.Match[str]]:
    """Matches of `pattern` in some lines of `text`."""
    return itertools.islice(itertools.chain.from_iterable(pattern.finditer(text, *line) for line in lines), _MOST)


def _alarm(text: str) -> tuple[float, str] | None:
    """An artefact where none can be; being quoted does not excuse it."""
    for match in _places(_ARTEFACT, text, list(_scan.near(text, _WORDS))):
        if "†" not in match.group():  # daggers in brackets are older than assistants
            return ALARM, f"artefact of an assistant in a capture dated before {FIRST_ASSISTANT:%Y-%m}: {match.group()}"
    return None


def _strongest(text: str, page: str) -> tuple[float, str] | None:
    """The highest reading of a text, with what was seen."""
    found: list[tuple[float, str]] = []
    lines = list(_scan.near(text, _WORDS))
    topical = None
    for pattern, base in ((_ARTEFACT, INTERFACE), (_VOICE, SELF), (_CLOSER, FORMULA)):
        for match in _places(pattern, text, lines):
            if topical is None:
                topical = _about_ai(text)
            found.append((_judged(base, match, text, page, topical), f"{_KINDS[base]}: {' '.join(match.group().split())}"))
    start = len(text) - len(text.lstrip(' \n\t"“#*>'))
    opener = _OPENER.match(text, start)
    if opener:
        found.append(
            (SPOKEN_OF if _scan.quoted(text, *opener.span()) else DOUBTFUL, f"first words of an assistant: {opener.group()}")
        )
    return max(found, default=None)


_KINDS = {INTERFACE: "artefact of an assistant's interface", SELF: "speaks as a model", FORMULA: "formula of an answer"}


def _about_ai(text: str) -> bool:
    """Whether the text speaks of AI apart from what a model says of itself: two places, not counting its own phrases."""
    rest = _ARTEFACT.sub(" ", _VOICE.sub(" ", text))
    return sum(1 for _ in itertools.islice(_TOPIC.finditer(rest), 2)) == 2


def _judged(base: float, match: re.Match[str], text: str, page: str, topical: bool) -> float:
    """The reading of one string, after its place and company."""
    start, end = match.span()
    if (
        _scan.quoted(text, start, end)
        or _spoken_of(match, text)
        or (page and _scan.in_quoting_element(page, _source(match.group())))
    ):
        return SPOKEN_OF
    if base == INTERFACE:
        if _LINK.search(match.group()):
            return FORMULA
        return DOUBTFUL if topical else INTERFACE
    if base == SELF:
        if topical:
            return FORMULA
        return SELF if start < _EDGE or end > len(text) - _EDGE else DOUBTFUL
    return base if end > len(text) - _EDGE else SPOKEN_OF


def _spoken_of(match: re.Match[str], text: str) -> bool:
    """Whether the sentence around the string names an assistant or the topic besides."""
    whole = _scan.sentence(text, *match.span())
    return _TOPIC.search(_VOICE.sub(" ", whole.replace(match.group(), " "))) is not None


def _source(found: str) -> re.Pattern[str]:
    """The string as it stands in the page's source, whatever its white space."""
    return re.compile(r"\s+".join(map(re.escape, found.split())), re.IGNORECASE)
