"""Markup and notices that say a page was translated by a machine, by strength.

Values: 4 decisive (markup that a publisher or proxy sets for nothing else), 3 strong (a notice on the page, a translation
serialised into the saved HTML), 2 medium (a translating plug-in serves the page in another language than the site's own;
its output may have been edited), 1 weak (only a small part of the page is marked). No row: nothing seen.

Sources of the markup: Google's required markup for Cloud Translation output (cloud.google.com/translate/markup: `lang`
with `-x-mtfrom-`, `rel="alternate machine-translated-from"`); Microsoft Learn's `ms.translationtype`; the classes and
`font` pairs that Google's translation of the live page leaves in the DOM, and the attributes and elements of Edge's and Yandex's;
strings of the plug-ins' own output.

Failure modes. A page can translate itself and say nothing (most do). GTranslate's free widget and Google's translate element
act in the reader's browser: the crawled text is the original, so they are no evidence. `hreflang` alternates, WPML and
Polylang say that a site has languages and not who translated. A notice that a page quotes is not about the page: notices
count only outside quotation marks and quoting elements, and those in the text only at its start or end. A plug-in's page whose own
language cannot be told, or that is declared in another language than it reads, gives no row; a plug-in's people may have
corrected its output.
"""

import itertools
import json
import re
from collections.abc import Iterator
from functools import cached_property
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

from provenance.signals import Tools, _scan, readings
from provenance.signals._notices import NOTICE_WORDS, badge, lines, notices
from provenance.tag_soup import unescape

NAME = "translation_markup"
VERSION = "2"
STAGE = "page"
COLUMNS = ("key", "url", "text", "language", "html", "http_headers")
STATISTICAL = False

DECISIVE, STRONG, MEDIUM, WEAK = 4.0, 3.0, 2.0, 1.0

_SERVER = (
    r"cdn\.weglot\.com|weglot\.initialize|data-wg-|weglot-(?:data|container|flags|dropdown)|weglot_(?:switcher|choice)|[\"']wg-drop\b|"
    r"trp-language-switcher|trp_data|translatepress-multilingual|data-no-translation|cdn\.conveythis\.com|conveythis[-_.]|linguise[-_.]|"
    r"bablic\.com|[\"']bablic|transifexlive|live\.transifex|cdn\.transifex\.com|localizecdn\.com|localize\.initialize|localizejs|localize\.js"
)
_MARKUP = (
    r"-x-mtfrom-|machine-translated-from|translationtype|translated-(?:ltr|rtl)|<font\s[^<>]*vertical-align:|_msttexthash|<ya-tr-span|"
    rf"gtranslate|{_SERVER}"
)
_PROXY_HOSTS = re.compile(
    r"(?:\.translate\.goog|^translate\.googleusercontent\.com|\.microsofttranslator\.com|\.translatetheweb\.com|"
    r"^translated\.turbopages\.org|\.translated\.turbopages\.org|^papago\.naver\.net)$"
)
_PROXY_PAGES = re.compile(
    r"^(?:translate\.google\.[a-z.]{2,6}/translate|translate\.yandex\.[a-z]{2,3}/translate|fanyi\.baidu\.com/transpage)\b"
)
_PROXY = r"translate\.goog|translate\.googleusercontent|_x_tr_|microsofttranslator|translatetheweb|turbopages|papago\.naver|translate\.yandex|fanyi\.baidu"
_HEADERS = r"-x-mtfrom-|machine-translated-from"
_FRONT_MATTER = re.compile(r"^[\"']?ms\.translationtype[\"']?\s*:\s*[\"']?(MT|machine)\b", re.IGNORECASE | re.MULTILINE)
_HEAD = 3000  # characters of a text that hold its front matter
_EDGE = 600  # a notice stands in the first or last characters of the text, or apart in the page's furniture
_MOST = 200  # marked elements of one page that are looked at

# The atomic groups keep to the first place of a word in a tag, so that the rest of a tag that does not end is read once.
_MTFROM_ELEMENT = re.compile(r"<(\w++)\s(?>[^<>]*?-x-mtfrom-)[^<>]*+>", re.IGNORECASE)
# A relation of a Link header that names it; the look-ahead leaves what follows the next relation to that one.
_MTFROM_LINK = re.compile(r"rel\s*+=\s*+\"?+(?:(?!rel\s*+=)[^\";])*?machine-translated-from", re.IGNORECASE)
_MTFROM = re.compile(r"^[a-z]{2,8}(?:-[a-z0-9]+)*-x-mtfrom-[a-z0-9-]+$", re.IGNORECASE)
# Google's `font` pairs, Edge's attributes and Yandex's elements around what they translated.
_SAVED = re.compile(
    r"(?:<font\s(?>[^<>]*?vertical-align: ?inherit)[^<>]*+>){1,2}+([^<]+)|"
    r"<\w++\s(?>[^<>]*?\b_msttexthash\s*+=)[^<>]*+>([^<]+)|<ya-tr-span\b[^<>]*+>([^<]+)",
    re.IGNORECASE,
)
_UNSHOWN = re.compile(r"<(\w++)\s(?>[^<>]*?(?:\bdisplay\s*+:\s*+none\b|(?<=\s)hidden(?=[\s>=])))[^<>]*+>", re.IGNORECASE)
_FEW = 20  # hidden elements and places of one notice that are looked at
_SERVER_PLUGINS = re.compile(_SERVER, re.IGNORECASE)
_DEFAULT_LANGUAGE = re.compile(
    r"[\"'](?:language_from|default_language|defaultLanguage|(?:trp_)?original_language|originalLanguage|source_?lang(?:uage)?(?:_code)?)[\"']"
    r"\s*:\s*[\"']([a-z]{2,3})(?![a-z])",
    re.IGNORECASE,
)
_PAID_GTRANSLATE = re.compile(r"[\"']url_structure[\"']\s*:\s*[\"']sub_?(?:directory|domain)", re.IGNORECASE)


def translation_markup(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """The strongest mark of each page that has one."""
    pages = batch.column("html")
    worth = _scan.hits(pages, f"{_MARKUP}|{NOTICE_WORDS}")
    marked = {worth[i] for i in _scan.hits(pages.take(pa.array(worth, pa.int64())), _MARKUP)}
    noticed = {*worth, *_scan.hits(batch.column("text"), f"{NOTICE_WORDS}|ms\\.translationtype")}
    proxied = set(_scan.hits(batch.column("url"), _PROXY))
    headed = set(_scan.hits(batch.column("http_headers"), _HEADERS))
    notes = _from_notices(batch, sorted(noticed))
    rows: list[tuple[str, float, str]] = []
    for row in sorted(marked | notes.keys() | proxied | headed):
        found: list[tuple[float, str]] = []
        if row in proxied:
            found += _from_url(batch.column("url")[row].as_py() or "")
        if row in headed:
            found += _from_headers(batch.column("http_headers")[row].as_py())
        if row in marked:
            found += _from_markup(*(batch.column(name)[row].as_py() or "" for name in ("html", "text", "language")))
        found += notes.get(row, [])
        if found:
            value, detail = max(found)
            rows.append((batch.column("key")[row].as_py(), value, detail))
    return readings(rows)


def _from_url(url: str) -> list[tuple[float, str]]:
    """Addresses of translating proxies."""
    try:
        parts = urlsplit(url)
        host, query = (parts.hostname or "").rstrip("."), parse_qs(parts.query)
    except ValueError:
        return []
    if _PROXY_HOSTS.search(host) or (
        _PROXY_PAGES.match(host + parts.path) and ("u" in query or "url" in query or "query" in query)
    ):
        return [(DECISIVE, f"served by the translating proxy {host}")]
    source, target = query.get("_x_tr_sl", [""])[0], query.get("_x_tr_tl", [""])[0]
    return [(DECISIVE, f"address of a translated view, {source} to {target}")] if target and source != target else []


def _from_headers(raw: str) -> list[tuple[float, str]]:
    """The same marks in HTTP headers: `Content-Language` and `Link`."""
    try:
        headers = json.loads(raw)
    except ValueError:
        return []
    found = []
    for name, value in headers.items() if isinstance(headers, dict) else ():
        words = str(value).strip()
        if name.lower() == "content-language" and any(_MTFROM.match(word.strip()) for word in words.split(",")):
            found.append((DECISIVE, f"HTTP header Content-Language: {words[:80]}"))
        if name.lower() == "link" and _MTFROM_LINK.search(words):
            found.append((DECISIVE, "HTTP header Link, rel machine-translated-from"))
    return found


def _from_markup(page: str, text: str, language: str) -> list[tuple[float, str]]:
    """Marks in the page's tags."""
    seen = _scan.markup(page)
    found = _mtfrom(seen, text)
    for link in _scan.tags(seen, "link"):
        if "machine-translated-from" in link.get("rel", "").lower().split():
            found.append((DECISIVE, f"link rel machine-translated-from {link.get('hreflang', '')}".rstrip()))
    for meta in _scan.tags(seen, "meta"):
        name, content = meta.get("name", meta.get("property", "")).strip(), meta.get("content", "").strip()
        if name.lower().endswith("translationtype") and content.upper() in ("MT", "MACHINE", "MACHINE TRANSLATION"):
            found.append((DECISIVE, f"meta {name} = {content}"))
        if meta.get("http-equiv", "").strip().lower() == "content-language" and _MTFROM.match(content):
            found.append((DECISIVE, f"meta content-language = {content}"))
    for root in itertools.chain(itertools.islice(_scan.tags(seen, "html"), 1), itertools.islice(_scan.tags(seen, "body"), 1)):
        classes = root.get("class", "").lower().split()
        if "translated-ltr" in classes or "translated-rtl" in classes:
            found.append((STRONG, "class of a page translated in the browser and saved"))
    return found + _serialised(seen, text) + _plugin(page, seen, language)


def _mtfrom(seen: str, text: str) -> list[tuple[float, str]]:
    """`lang="fr-x-mtfrom-en"`: the whole page on its root, else the part of the text that the elements hold."""
    share, position = 0, 0
    for _ in range(_MOST):
        match = _MTFROM_ELEMENT.search(seen, position)
        if match is None:
            break
        position = match.end()
        tag, element = _scan.attributes(match.group()), match.group(1).lower()
        if not any(_MTFROM.match(tag.get(name, "").strip()) for name in ("lang", "xml:lang")):
            continue
        if element in ("html", "body", "main"):
            return [(DECISIVE, f"lang x-mtfrom on <{element}>")]
        stop = _end_of(seen, element, match.end())
        share += len(_scan.plain(seen[match.end() : stop]))
        position = stop
    if not share:
        return []
    whole = max(1, len(text) or len(_scan.plain(seen)))
    strength = DECISIVE if share >= whole / 2 else MEDIUM if share >= whole / 10 else WEAK
    return [(strength, f"lang x-mtfrom on about {min(1.0, share / whole):.0%} of the text")]


def _end_of(seen: str, element: str, start: int) -> int:
    """Where the element that opened before `start` ends; the end of the page if it is never closed."""
    depth = 1
    for match in re.compile(rf"<(/?){element}\b[^<>]*>", re.IGNORECASE).finditer(seen, start):
        depth += -1 if match.group(1) else 1
        if depth == 0:
            return match.start()
    return len(seen)


def _serialised(seen: str, text: str) -> list[tuple[float, str]]:
    """What a translation in the browser leaves around its words, if it holds most of the text."""
    pieces = [next(filter(None, found), "") for found in _SAVED.findall(seen)]
    if len(pieces) < 2:
        return []
    share = sum(len(" ".join(unescape(piece).split())) for piece in pieces)
    whole = max(1, len(text) or len(_scan.plain(seen)))
    strength = STRONG if share >= whole / 3 else MEDIUM if share >= whole / 10 else WEAK
    return [(strength, f"translation in the browser, saved with the page: about {min(1.0, share / whole):.0%} of the text")]


def _plugin(page: str, seen: str, language: str) -> list[tuple[float, str]]:
    """A translating plug-in, where the page's language is not the site's own."""
    code = _code(page, seen)
    plugin = _SERVER_PLUGINS.search(code)
    if not plugin and not ("gtranslate" in code.lower() and _PAID_GTRANSLATE.search(code)):
        return []
    declared = _primary(next((root.get("lang", "") for root in _scan.tags(seen, "html")), ""))
    own, original = declared or _primary(language), _original_language(code, seen)
    # A page that reads in another language than it declares was not translated when it was crawled.
    if not own or not original or own == original or (declared and language and _primary(language) != declared):
        return []
    name = plugin.group().lower().strip("\"'") if plugin else "gtranslate, paid"
    return [(MEDIUM, f"translating plug-in ({name}) on a page in {own} of a site in {original}")]


def _code(page: str, seen: str) -> str:
    """The page's tags, and its scripts that are no data about its content: where a plug-in shows and prose does not."""
    scripts = itertools.chain.from_iterable(
        _scan.scripts(page, kind) for kind in ("", "text/javascript", "module", "application/json")
    )
    return "\n".join(itertools.chain((m.group() for m in re.finditer(r"<[a-zA-Z][^<>]*>", seen)), _scan.script_tags(page), scripts))


def _primary(code: str) -> str:
    """Language of a code such as `pt-BR` or `pt_BR`."""
    return re.split(r"[-_]", code.strip().lower())[0]


def _original_language(code: str, seen: str) -> str:
    """Language of the site's originals: as the plug-in's settings say, else that of the x-default alternate; or empty."""
    said = _DEFAULT_LANGUAGE.search(code)
    if said:
        return said.group(1).lower()
    links = [link for link in _scan.tags(seen, "link") if link.get("hreflang")]
    default = {link.get("href") for link in links if link["hreflang"].lower() == "x-default"}
    named = (
        _primary(link["hreflang"]) for link in links if link.get("href") in default and link["hreflang"].lower() != "x-default"
    )
    return next(named, "")


def _from_notices(batch: pa.RecordBatch, rows: list[int]) -> dict[int, list[tuple[float, str]]]:
    """What the notices of `rows` say, by row. The lines worth reading are found in all of them at once."""
    pages, texts = ([batch.column(name)[row].as_py() or "" for row in rows] for name in ("html", "text"))
    shown = [_scan.visible(page) for page in pages]
    given = zip(pages, texts, lines(texts), shown, lines(shown), strict=True)
    said = {row: _from_notice(*one) for row, one in zip(rows, given, strict=True)}
    return {row: found for row, found in said.items() if found}


def _from_notice(
    page: str, text: str, worth: list[tuple[int, int]], shown: str, worth_shown: list[tuple[int, int]]
) -> list[tuple[float, str]]:
    """A notice that says so of this page, outside quotations and what the page hides, in the lines that are worth reading of its text
    and of what it shows."""
    front = _FRONT_MATTER.search(text[:_HEAD])
    if front and text.lstrip("\ufeff \n").startswith(("---", "ms.", "title:")):
        return [(DECISIVE, f"front matter: {front.group()}")]
    whole, unshown = _scan.Source(page), _Hidden(shown)
    for match in itertools.islice(_at_edges(itertools.chain(notices(text, worth), badge(text, worth)), text), _FEW):
        source = re.compile(r"\s+".join(map(re.escape, match.group().split())), re.IGNORECASE)
        if not _scan.quoted(text, *match.span()) and not whole.in_quoting_element(source) and not unshown.holds(source):
            return [(STRONG, f"notice: {match.group().strip()}")]
    for match in itertools.islice(itertools.chain(notices(shown, worth_shown), badge(shown, worth_shown, elements=True)), _FEW):
        source = re.compile(re.escape(match.group()), re.IGNORECASE)
        told = _scan.plain(match.group())
        # In the text it was judged above; here only what the extraction left out, such as a banner.
        if (
            told not in text
            and not whole.in_quoting_element(source)
            and not _scan.quoted(shown, *match.span())
            and not unshown.holds(source)
        ):
            return [(STRONG, f"notice beside the text: {told}")]
    return []


def _at_edges(found: Iterator[re.Match[str]], text: str) -> Iterator[re.Match[str]]:
    """Those that stand where a notice does."""
    return (match for match in found if match.start() < _EDGE or match.end() > len(text) - _EDGE)


class _Hidden:
    """The elements of a page that are not shown, found when they are first asked for."""

    def __init__(self, shown: str) -> None:
        self._shown = shown

    @cached_property
    def _spans(self) -> list[tuple[int, int]]:
        """Where the elements begin and end."""
        tags = itertools.islice(_UNSHOWN.finditer(self._shown), _FEW)
        return [(tag.end(), _end_of(self._shown, tag.group(1), tag.end())) for tag in tags]

    def holds(self, source: re.Pattern[str]) -> bool:
        """Whether every place of `source` lies in one of them: widgets keep their notices in all languages there."""
        places = [match.start() for match in itertools.islice(source.finditer(self._shown), _FEW)]
        return bool(places) and all(any(start <= place <= stop for start, stop in self._spans) for place in places)
