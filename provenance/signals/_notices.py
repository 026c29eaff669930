"""Notices that say that this page was translated by a machine, in the languages with most web pages and some others.

A notice names its page ("this page has been ..."), begins a sentence with what was done to it, or is a line of its own. Sources:
the notices of Microsoft's, Adobe's, eBay's and Alibaba's help pages and of news sites, from memory; wordings are the project's.
"""

import itertools
import re
from collections.abc import Iterator

from provenance.signals import _scan

_THING_EN = r"(?:page|article|document|content|text|post|website|site|topic|translation|review|description|listing|product|material|story|version)"
_BY_EN = r"(?:automatically|by (?:an? )?(?:machine|ai\b|automat\w+|computer)|by (?:google|bing|deepl|microsoft|baidu|yandex)|using (?:an? )?(?:google|machine|ai\b|deepl|automat\w+|artificial|neural)|with (?:google|deepl|the help of (?:ai|machine)))"

_NOTICES = (
    ("lat", (
        rf"\b(?:this|the) {_THING_EN}(?: \w+){{0,3}} (?:was|has been|is|were|may (?:have been|be)) (?:partially |originally written in \w+ and )?(?:(?:automatically|machine|auto|ai)[- ]translated\b|translated (?:from \w+ (?:to|into) \w+ |from \w+ )?{_BY_EN}|(?:an? )?(?:machine|automatic|automated|ai) translation\b)",
        r"(?:^|[.!?*(\[:|>]\s*|\bnote: )(?:automatically|machine|auto|ai)[- ]translated (?:from|by|with|using|version|page|content)\b",
        rf"(?:^|[.!?*(\[:|>]\s*)translated (?:from \w+ )?{_BY_EN}",
        r"\b(?:you are (?:viewing|reading)|this is) an? (?:machine|automatic(?:ally)?|automated|ai)[- ]translat(?:ed|ion)\b",
    )),
    ("tradu", (
        r"\b(?:cette page|cet article|ce (?:contenu|texte|document|site)|cette (?:traduction|version)) (?:a été|est|a peut-être été) (?:traduite? (?:automatiquement|par (?:une |un )?(?:machine|ia|intelligence artificielle|google|deepl|traduct\w+ automatique|logiciel)|à l.aide d.un)|(?:une )?traduction automatique)",
        r"(?:^|[.!?*(\[:|>]\s*)(?:page |article |texte )?traduite? automatiquement\b",
    )),
    ("etz tellt", (
        r"\b(?:dieser artikel|dieser inhalt|dieser text|dieses dokument|diese seite|diese übersetzung|der artikel|die seite|dieser beitrag) (?:wurde|ist|wird) (?:automatisch|maschinell|mit (?:deepl|google|ki|hilfe von ki)|eine (?:maschinelle|automatische))(?: \w+){0,4} (?:übersetzt|übersetzung|erstellt)",
        r"(?:^|[.!?*(\[:|>]\s*)(?:automatisch|maschinell|mit deepl) (?:aus dem \w+ )?übersetzt\b",
    )),
    ("traduc traduj", (
        r"\b(?:(?:esta|la) (?:página|traducción|versión)|(?:este|el) (?:artículo|contenido|texto|documento|sitio)) (?:ha sido|fue|se ha|se|es|está) (?:traducid[oa]|tradujo|una traducción) (?:de forma |de manera )?(?:automátic\w+|por (?:una )?(?:máquina|ia|inteligencia artificial|google)|con (?:google|deepl|ia)|mediante (?:traducción automática|ia)|usando (?:google|ia))",
        r"(?:^|[.!?*(\[:|>]\s*)traducid[oa] automáticamente\b",
    )),
    ("traduz traduç", (
        r"\b(?:(?:esta|a) (?:página|tradução|versão)|(?:este|o) (?:artigo|conteúdo|texto|documento|site)) (?:foi|é) (?:traduzid[oa] (?:automaticamente|de forma automática|por (?:uma )?(?:máquina|ia|inteligência artificial|google|tradução automática)|com (?:google|deepl|ia))|uma tradução automática)",
        r"(?:^|[.!?*(\[:|>]\s*)traduzid[oa] automaticamente\b",
    )),
    ("tradott traduz", (
        r"\b(?:questa (?:pagina|traduzione)|questo (?:articolo|contenuto|testo|documento|sito)) (?:è stat[oa]|è) (?:tradott[oa] (?:automaticamente|in automatico|da una (?:macchina|ia)|con (?:google|deepl|l.ia))|una traduzione automatica)",
        r"(?:^|[.!?*(\[:|>]\s*)tradott[oa] automaticamente\b",
    )),
    ("пере", (
        r"(?:эта страница|эта статья|этот (?:текст|документ|материал|перевод)|данная (?:статья|страница)|данный (?:текст|материал)) (?:была? |был )?(?:автоматически переведен|машинно переведен|переведен\w* (?:автоматически|машин|с помощью (?:машин|google|deepl|ии|искусств|автомат))|переведён\w* (?:автоматически|машин|с помощью (?:машин|google|deepl|ии)))",
        r"(?:^|[.!?*(\[:|>]\s*)(?:переведено (?:автоматически|машин\w+|с помощью (?:google|deepl|ии))|машинный перевод (?:страницы|статьи|с )|автоматический перевод (?:страницы|статьи|с ))",
    )),
    ("vertaald", (
        r"\b(?:deze pagina|dit artikel|deze tekst|deze inhoud|dit document) (?:is|werd) (?:automatisch|machinaal|door (?:een machine|google|ai)) vertaald",
        r"(?:^|[.!?*(\[:|>]\s*)(?:automatisch|machinaal) vertaald\b",
    )),
    ("automatyczn zynowo zynowym", (
        r"\b(?:ta strona|ten artykuł|ten tekst|ta treść|ten dokument) (?:został[ao]?|jest) (?:przetłumaczon[yae] )?(?:automatycznie|maszynowo|tłumaczeniem maszynowym)",
        r"(?:^|[.!?*(\[:|>]\s*)(?:przetłumaczono|tłumaczone) (?:automatycznie|maszynowo)\b",
    )),
    ("翻訳", (
        r"(?:このページ|この記事|この文書|この文章|このコンテンツ|本ページ|本記事|このドキュメント|このサイト|この翻訳)(?:は|の|では)[^。\n「」『』]{0,24}(?:機械翻訳|自動翻訳|AI翻訳)(?:され|した|して|によ|です|で翻訳|であ|を使|を利用)",
        r"(?:^|[。\n（(※*>])\s*(?:機械翻訳|自動翻訳)(?:による|された|で翻訳|です|版)",
    )),
    ("翻译 翻譯", (
        r"(?:本(?:页|頁|页面|頁面|文|文章|网页|網頁|内容|文档)|(?:此|该|該|这个|這個)(?:页|頁|页面|頁面|文章|文|内容|文档|网页|網頁)|(?:以下|上述)(?:内容|文章))[^。\n“”「」]{0,8}(?:由|经|經|通过|透過|使用|为|為|是|采用|採用)[^。\n“”「」]{0,8}(?:机器|機器|自动|自動|机翻|人工智能|AI)(?:翻译|翻譯)",
        r"(?:^|[。\n（(【\[>])\s*(?:本文)?(?:由)?(?:机器|機器|自动|自動)(?:翻译|翻譯)(?:自|生成|版本|结果|，|,|。|\)|）|】|\])",
    )),
    ("번역", (
        r"(?:이|본) (?:페이지|문서|글|콘텐츠|기사|게시물)(?:는|은|가|이)[^.\n]{0,14}(?:기계 ?번역|자동 ?번역|AI ?번역)(?:되|된|으로|입니다|을|했)",
        r"(?:^|[.!?*(\[:|>]\s*)(?:기계|자동) ?번역(?:됨|된 (?:페이지|문서|글|콘텐츠)|입니다)",
    )),
    ("çevr tercüme", (
        r"\bbu (?:sayfa|makale|içerik|metin|belge)(?: \w+){0,3} (?:otomatik olarak|makine (?:tarafından|çevirisi)|yapay zek[aâ] (?:ile|tarafından)|google (?:ile|tarafından)) ?(?:çevril|tercüme|ile çevril)",
        r"(?:^|[.!?*(\[:|>]\s*)otomatik (?:olarak )?(?:çevrilmiştir|çevrildi|tercüme edil)",
    )),
    ("terjemah", (
        r"\b(?:halaman|artikel|konten|teks) ini (?:telah )?diterjemahkan (?:secara otomatis|oleh mesin|dengan google)",
    )),
    ("ịch", (
        r"\b(?:trang|bài viết|nội dung) này (?:được|đã được) dịch (?:tự động|bằng máy|bởi google)",
    )),
    ("ترجمة", (
        r"(?:تمت? ترجمة هذ[ها] (?:الصفحة|المقال\w*|المحتوى) (?:آليا|آليًا|تلقائيا|تلقائيًا)|هذه (?:الصفحة|المقالة) مترجمة (?:آليا|آليًا|تلقائيا))",
    )),
)  # fmt: skip
"""By language: words of which every match holds one in lower case, and the notices. The words have no letter that stands for another
one where case is ignored (as U+017F does for s, and U+0131 for i)."""
_FORMS = [
    (words.split(), re.compile("|".join(f"(?:{notice})" for notice in notices), re.IGNORECASE | re.MULTILINE))
    for words, notices in _NOTICES
]
# A whole line that says no more than this; elsewhere on such a page the words do not occur.
_BADGES = (
    r"machine[- ]translat(?:ed|ion)|auto(?:matically|matic)?[- ]translat(?:ed|ion)|ai[- ]translat(?:ed|ion)|traduction automatique|maschinelle übersetzung|"
    r"automatische übersetzung|traducción automática|tradução automática|traduzione automatica|машинный перевод|автоматический перевод|machinevertaling|"
    r"automatische vertaling|tłumaczenie (?:maszynowe|automatyczne)|(?:この記事は)?(?:機械|自動)翻訳|(?:由)?(?:机器|機器|自动|自動)(?:翻译|翻譯)|(?:기계|자동) ?번역|makine çevirisi|otomatik çeviri"
)
_BADGE = re.compile(rf"^[\s*#>|\-–—•(\[【（※]*(?:{_BADGES})[\s.。!*)\]】）]*$", re.IGNORECASE | re.MULTILINE)
_BADGE_ELEMENT = re.compile(
    rf"<(?:span|div|p|small|em|i|b|strong|aside|section|td)\b[^<>]*>[\s*(\[【（※]*(?:{_BADGES})[\s.。!*)\]】）]*<", re.IGNORECASE
)
# Words that every notice needs, so that one pass without backtracking finds the few pages to look at.
NOTICE_WORDS = (
    r"translated (?:from|by|with|using|automat|version|page|content)|(?:automatically|machine|auto|ai)[- ]translat|automat(?:ic|ed) translation|"
    r"traduite? (?:auto|par|à l)|traduction auto|übersetzt|(?:maschinelle|automatische) übersetzung|"
    r"traducid[oa] |tradujo|traducción auto|traduzid[oa] |tradução auto|tradott[oa] |traduzione auto|переведен|переведён|машинный перевод|автоматический перевод|"
    r" vertaald|machinevertaling|automatische vertaling|przetłumacz|tłumaczeni|tłumaczone|maszynowo|機械翻訳|自動翻訳|AI翻訳|"
    r"(?:机器|機器|自动|自動|机翻|人工智能|AI)(?:翻译|翻譯)|(?:기계|자동|AI) ?번역|çevril|tercüme|makine çeviri|otomatik çeviri|diterjemahkan|dịch (?:tự|bằng|bởi)|ترجمة هذ|مترجمة"
)


def lines(texts: list[str]) -> list[list[tuple[int, int]]]:
    """(start, end) of the lines of each text that have words of a notice."""
    found: list[list[tuple[int, int]]] = [[] for _ in texts]
    for place, start, end in _scan.lines(texts, NOTICE_WORDS):
        found[place].append((start, end))
    return found


def notices(text: str, worth: list[tuple[int, int]]) -> Iterator[re.Match[str]]:
    """Places in the lines `worth` of a text that read like a notice."""
    return itertools.chain.from_iterable(_in_line(text, *line) for line in worth)


def _in_line(text: str, start: int, end: int) -> Iterator[re.Match[str]]:
    """Matches in a line as one expression of all notices would find them, but only those of the languages whose words it has are tried."""
    lower = text[start:end].lower()
    forms = [form for words, form in _FORMS if any(word in lower for word in words)]
    following = [form.search(text, start, end) for form in forms]
    while first := min((match for match in following if match), key=re.Match.start, default=None):
        yield first
        following = [
            form.search(text, first.end(), end) if match and match.start() < first.end() else match
            for form, match in zip(forms, following, strict=True)
        ]


def badge(text: str, worth: list[tuple[int, int]], elements: bool = False) -> list[re.Match[str]]:
    """The line of `worth`, or in a page an element of no function, that is a notice by itself, where it is the only one."""
    if len(worth) != 1:
        return []
    found = list((_BADGE_ELEMENT if elements else _BADGE).finditer(text, *worth[0]))
    return found if len(found) == 1 else []
