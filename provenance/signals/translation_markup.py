"""Markup and notices that say a page was translated by a machine, by strength.

Values: 4 decisive (markup that a publisher or proxy sets for nothing else), 3 strong (a notice on the page, a translation
serialised into the saved HTML), 2 medium (a translating plug-in serves the page in another language than the site's own;
its output may have been edited), 1 weak (only a small part of the page is marked). No row: nothing seen.

Sources of the markup: Google's required markup for Cloud Translation output (cloud.google.com/translate/markup: `lang`
with `-x-mtfrom-`, `rel="alternate machine-translated-from"`); Microsoft Learn's `ms.translationtype`; the classes and
`font` pairs that Google's translation of the live page leaves in the DOM; strings of the plug-ins' own output.

Failure modes. A page can translate itself and say nothing (most do). GTranslate's free widget and Google's translate element
act in the reader's browser: the crawled text is the original, so they are no evidence. `hreflang` alternates, WPML and
Polylang say that a site has languages and not who translated. A notice that a page quotes is not about the page: notices
count only outside quotation marks and quoting elements. A plug-in's page whose own language cannot be told gives no row.
"""

import itertools
import re
from collections.abc import Iterator
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa

from provenance.signals import Tools, _scan, readings
from provenance.tag_soup import unescape

NAME = "translation_markup"
VERSION = "1"
STAGE = "page"
COLUMNS = ("key", "url", "text", "language", "html")
STATISTICAL = False

DECISIVE, STRONG, MEDIUM, WEAK = 4.0, 3.0, 2.0, 1.0

_MARKUP = (
    r"-x-mtfrom-|machine-translated-from|translationtype|translated-(?:ltr|rtl)|<font style=.vertical-align: ?inherit|weglot|"
    r"trp-language-switcher|trp_data|conveythis|gtranslate|gt_switcher|bablic|transifexlive|live\.transifex|localizejs|localize\.js"
)
_PROXY_HOSTS = re.compile(
    r"(?:\.translate\.goog|^translate\.googleusercontent\.com|\.microsofttranslator\.com|\.translatetheweb\.com|^translated\.turbopages\.org)$"
)
_PROXY = r"translate\.goog|translate\.googleusercontent|_x_tr_|microsofttranslator|translatetheweb|turbopages"

_NOTICES = (
    r"\b(?:this|the) (?:page|article|document|content|text|post|website|site|topic)(?: (?:was|has been|is|were))(?: (?:automatically|machine|auto)[- ]translated\b| translated (?:automatically|by (?:a )?machine|by (?:google|bing|deepl|microsoft)|using (?:google|machine|ai|deepl|automat)))",
    r"\b(?:automatically|machine)[- ]translated (?:from|by|with) (?:the )?(?:original|english|german|french|spanish|chinese|japanese|russian|google|deepl|microsoft|bing|ai\b)",
    r"\b(?:cette page|cet article|ce (?:contenu|texte|document)) (?:a été|est) (?:traduite? automatiquement|traduite? par (?:une machine|google|deepl))",
    r"\b(?:dieser artikel|dieser inhalt|dieser text|dieses dokument|diese seite) (?:wurde|ist) (?:automatisch|maschinell)(?: \w+){0,4} übersetzt",
    r"\b(?:esta página|este artículo|este contenido|este texto|este documento) (?:ha sido|fue|se ha|se) (?:traducid[oa]|tradujo) (?:automáticamente|por (?:una )?máquina|con (?:google|deepl)|mediante traducción automática)",
    r"\b(?:esta página|este artigo|este conteúdo|este texto|este documento) foi traduzid[oa] (?:automaticamente|por máquina|por (?:uma )?tradução automática)",
    r"\b(?:questa pagina|questo articolo|questo contenuto|questo testo) (?:è stat[oa]|è) tradott[oa] (?:automaticamente|da una macchina|con (?:google|deepl))",
    r"(?:эта страница|эта статья|этот (?:текст|документ)|данная статья) (?:была? |был )?(?:автоматически переведен|переведен\w* (?:автоматически|машин|с помощью (?:машин|google|deepl)))",
    r"\b(?:deze pagina|dit artikel|deze tekst|deze inhoud) (?:is|werd) (?:automatisch|machinaal) vertaald",
    r"\b(?:ta strona|ten artykuł|ten tekst|ta treść) został[ao]? (?:przetłumaczon[yae] )?(?:automatycznie|maszynowo)",
    r"(?:このページ|この記事|この文書|この文章|このコンテンツ)(?:は|の).{0,12}(?:機械翻訳|自動翻訳)(?:され|した|によ|です|で翻訳)",
    r"(?:本(?:页|页面|文|文章|网页)|此(?:页|页面|文章|文|内容)).{0,6}(?:由|经|通过|使用|为|是).{0,6}(?:机器翻译|自动翻译)",
    r"(?:이 (?:페이지|문서|글|콘텐츠))(?:는|은|가|이).{0,10}(?:기계 ?번역|자동 ?번역)(?:되|된|으로|입니다)",
    r"\bbu (?:sayfa|makale|içerik|metin)(?: \w+){0,2} (?:otomatik olarak|makine tarafından) (?:çevril|tercüme)",
)
_NOTICE = re.compile("|".join(f"(?:{notice})" for notice in _NOTICES), re.IGNORECASE)
# Words that every notice needs, so that one pass without backtracking finds the few pages to look at.
_NOTICE_WORDS = (
    r"translated|traduit|übersetzt|traducid|tradujo|traduzid|tradott|переведен|vertaald|przetłumaczon|maszynowo|automatycznie|"
    r"機械翻訳|自動翻訳|机器翻译|自动翻译|기계 ?번역|자동 ?번역|çevril|tercüme"
)
_EDGE = 600  # a notice stands in the first or last characters of the text, or apart in the page's furniture

_MTFROM_ELEMENT = re.compile(r"<(\w+)[^<>]*\blang\s*=\s*[\"']?[\w-]+-x-mtfrom-[\w-]+[^<>]*>", re.IGNORECASE)
_FONTS = re.compile(r"<font style=[\"']vertical-align: ?inherit;?[\"']>", re.IGNORECASE)
_FONT_TEXT = re.compile(
    r"<font style=[\"']vertical-align: ?inherit;?[\"']>(?:<font style=[\"']vertical-align: ?inherit;?[\"']>)?([^<]+)", re.IGNORECASE
)
_SERVER_PLUGINS = re.compile(
    r"weglot|trp-language-switcher|trp_data|conveythis|bablic|transifexlive|live\.transifex|localizejs|localize\.js", re.IGNORECASE
)
_DEFAULT_LANGUAGE = re.compile(
    r"[\"'](?:language_from|default_language|defaultLanguage|source_lang(?:uage)?)[\"']\s*:\s*[\"']([a-z]{2,3})\b", re.IGNORECASE
)
_PAID_GTRANSLATE = re.compile(r"[\"']url_structure[\"']\s*:\s*[\"']sub_?(?:directory|domain)", re.IGNORECASE)


def translation_markup(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """The strongest mark of each page that has one."""
    pages = batch.column("html")
    worth = _scan.hits(pages, f"{_MARKUP}|{_NOTICE_WORDS}")
    marked = {worth[i] for i in _scan.hits(pages.take(pa.array(worth, pa.int64())), _MARKUP)}
    noticed = {*worth, *_scan.hits(batch.column("text"), _NOTICE_WORDS)}
    proxied = set(_scan.hits(batch.column("url"), _PROXY))
    rows: list[tuple[str, float, str]] = []
    for row in sorted(marked | noticed | proxied):
        page, text = pages[row].as_py() or "", batch.column("text")[row].as_py() or ""
        found: list[tuple[float, str]] = []
        if row in proxied:
            found += _from_url(batch.column("url")[row].as_py() or "")
        if row in marked:
            found += _from_markup(page, text, batch.column("language")[row].as_py() or "")
        if row in noticed:
            found += _from_notice(page, text)
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
    if _PROXY_HOSTS.search(host):
        return [(DECISIVE, f"served by the translating proxy {host}")]
    source, target = query.get("_x_tr_sl", [""])[0], query.get("_x_tr_tl", [""])[0]
    return [(DECISIVE, f"address of a translated view, {source} to {target}")] if target and source != target else []


def _from_markup(page: str, text: str, language: str) -> list[tuple[float, str]]:
    """Marks in the page's tags."""
    seen = _scan.visible(page)
    found = _mtfrom(seen, text)
    for link in _scan.tags(page, "link"):
        if "machine-translated-from" in link.get("rel", "").lower().split():
            found.append((DECISIVE, f"link rel machine-translated-from {link.get('hreflang', '')}".rstrip()))
    for meta in _scan.tags(page, "meta"):
        if meta.get("name", "").lower().endswith("translationtype") and meta.get("content", "").strip().upper() in (
            "MT",
            "MACHINE",
        ):
            found.append((DECISIVE, f"meta {meta['name']} = {meta['content']}"))
    for root in _scan.tags(page, "html"):
        classes = root.get("class", "").split()
        if "translated-ltr" in classes or "translated-rtl" in classes:
            found.append((STRONG, "class of a page translated in the browser and saved"))
        break
    return found + _serialised(seen, text) + _plugin(page, language)


def _mtfrom(seen: str, text: str) -> list[tuple[float, str]]:
    """`lang="fr-x-mtfrom-en"`: the whole page on its root, else the part of the text that the elements hold."""
    found, share, position = [], 0, 0
    while (match := _MTFROM_ELEMENT.search(seen, position)) is not None:
        element = match.group(1).lower()
        if element in ("html", "body", "main"):
            return [(DECISIVE, f"lang x-mtfrom on <{element}>")]
        stop = _end_of(seen, element, match.end())
        share += len(_scan.plain(seen[match.end() : stop]))
        position = stop
    if share:
        whole = max(1, len(text) or len(_scan.plain(seen)))
        strength = DECISIVE if share >= whole / 2 else MEDIUM if share >= whole / 10 else WEAK
        found.append((strength, f"lang x-mtfrom on about {min(1.0, share / whole):.0%} of the text"))
    return found


def _end_of(seen: str, element: str, start: int) -> int:
    """Where the element that opened before `start` ends; the end of the page if it is never closed."""
    depth = 1
    for match in re.compile(rf"<(/?){element}\b[^<>]*>", re.IGNORECASE).finditer(seen, start):
        depth += -1 if match.group(1) else 1
        if depth == 0:
            return match.start()
    return len(seen)


def _serialised(seen: str, text: str) -> list[tuple[float, str]]:
    """The `font` pairs of a translation in the browser, if they hold most of the text."""
    if len(_FONTS.findall(seen)) < 2:
        return []
    share = sum(len(" ".join(unescape(piece).split())) for piece in _FONT_TEXT.findall(seen))
    whole = max(1, len(text) or len(_scan.plain(seen)))
    strength = STRONG if share >= whole / 3 else MEDIUM if share >= whole / 10 else WEAK
    return [(strength, f"translation in the browser, saved with the page: about {min(1.0, share / whole):.0%} of the text")]


def _plugin(page: str, language: str) -> list[tuple[float, str]]:
    """A translating plug-in, where the page's language is not the site's own."""
    plugin = _SERVER_PLUGINS.search(page)
    if not plugin and not ("gtranslate" in page.lower() and _PAID_GTRANSLATE.search(page)):
        return []
    own = next((root.get("lang", "") for root in _scan.tags(page, "html")), "") or language
    original = _original_language(page)
    if not own or not original or own.split("-")[0].lower() == original:
        return []
    name = plugin.group().lower() if plugin else "gtranslate, paid"
    return [(MEDIUM, f"translating plug-in ({name}) on a page in {own} of a site in {original}")]


def _original_language(page: str) -> str:
    """Language of the site's originals: as the plug-in's settings say, else that of the x-default alternate; or empty."""
    said = _DEFAULT_LANGUAGE.search(page)
    if said:
        return said.group(1).lower()
    links = [link for link in _scan.tags(page, "link") if link.get("hreflang")]
    default = {link.get("href") for link in links if link["hreflang"].lower() == "x-default"}
    return next(
        (
            link["hreflang"].split("-")[0].lower()
            for link in links
            if link.get("href") in default and link["hreflang"].lower() != "x-default"
        ),
        "",
    )


def _from_notice(page: str, text: str) -> list[tuple[float, str]]:
    """A notice that says so of this page, outside quotations."""
    for match in _notices(text):
        edge = match.start() < _EDGE or match.end() > len(text) - _EDGE
        source = re.compile(r"\s+".join(map(re.escape, match.group().split())), re.IGNORECASE)
        if edge and not _scan.quoted(text, *match.span()) and not _scan.in_quoting_element(page, source):
            return [(STRONG, f"notice: {match.group()}")]
    if not page:
        return []
    furniture = _scan.visible(page)
    for match in _notices(furniture):
        source = re.compile(re.escape(match.group()), re.IGNORECASE)
        # In the text it was judged above; here only what the extraction left out, such as a banner.
        if not source.search(text) and not _scan.in_quoting_element(page, source) and not _scan.quoted(furniture, *match.span()):
            return [(STRONG, f"notice beside the text: {_scan.plain(match.group())}")]
    return []


def _notices(text: str) -> Iterator[re.Match[str]]:
    """Places that read like a notice."""
    return itertools.chain.from_iterable(_NOTICE.finditer(text, *line) for line in _scan.near(text, _NOTICE_WORDS))
