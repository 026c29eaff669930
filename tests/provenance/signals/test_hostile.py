"""Pages that are made to be slow are read in linear time, and input reaches the signals before any Unicode normalisation."""

import json
import time

import pyarrow as pa
import pytest

from provenance import pages, signals, tag_soup
from provenance.signals import _scan
from provenance.signals.disclosure import WHOLE
from tests.provenance.signals import planted
from tests.provenance.signals.pages import TOOLS, batch, read, value

NAMES = ("alternates", "disclosure", "page_generator", "residue", "translation_markup")
MEGABYTE = 1_000_000
BAIT = "ai-disclosure digitalSourceType hreflang generator x-mtfrom- cdn.weglot.com c2pa manifest machine translated oaicite As an AI language model, I "
PIECES = {
    "tags that do not end": "<",
    "double quotes": '"',
    "single quotes": " '",
    "opening quotes": "“",
    "byte order marks": "\ufeff",
    "selectors": "\U000e0133\U000e0122\U000e0140\U000e0131",
    "open scripts": "<script>",
    "open scripts of data": '<script type="application/ld+json">{"digitalSourceType":',
    "scripts of data": '<script type="application/ld+json">{"digitalSourceType":[[</script>',
    "comments": "<!--",
    "closed comments": "<!--x-->",
    "metas": "<meta name=x>",
    "metas of interest": "<meta name=ai-disclosure content=x>",
    "generators": "<meta name=generator ",
    "links": '<link rel=alternate hreflang="en" href=x>',
    "link without an end": "<link hreflang=",
    "link with a quote": '<link hreflang="',
    "translated elements": "<div lang=fr-x-mtfrom-en>",
    "translated elements, closed": "<b lang=fr-x-mtfrom-en>x</b>",
    "fonts": "<font style='vertical-align: inherit'>x",
    "items": "<div itemscope itemtype=Article>",
    "properties": "<a itemprop=digitalSourceType>",
    "closing tags": "</div>",
    "hidden elements": "<p hidden>machine translated",
    "manifests": "-----BEGIN C2PA MANIFEST-----",
    "artefacts": "oaicite ",
    "artefacts in lines": "oaicite\n",
    "voices": "As an AI language model, I ",
    "voices in lines": "as an ai language model, i\n",
    "almost voices": "as an ai ",
    "words of a voice": "language model ",
    "refusals": "I'm sorry, but ",
    "notices": "automatically translated from ",
    "notices in lines": "This page was machine translated\n",
    "fences": "```\n",
    "white space": " \n",
    "characters of no width": "\u200b\u200d",
    "Chinese": "作为一个",
    "Russian": "как языковая ",
    "entities": "&#",
    "attributes": "<a b=c ",
}

NOTICE = "This page was automatically translated by Google."
VOICE = "As an AI language model, I cannot do that."
MANIFEST = "-----BEGIN C2PA MANIFEST-----\n{}\n-----END C2PA MANIFEST-----"
REPEATED = {
    "a source type in an open tag": ("html", "<a ", "digitalsourcetype ", ""),
    "an attribute in an open tag": ("html", "<a ", "ai-disclosure=1 ", ""),
    "a language in an open tag": ("html", "<a ", "-x-mtfrom- ", ""),
    "a style in an open font": ("html", "<font ", "vertical-align:inherit ", ""),
    "a hash in an open tag": ("html", "<a ", "_msttexthash= ", ""),
    "a display in an open tag": ("html", f"<p>{NOTICE}</p><a ", "display:none ", ""),
    "hidden in an open tag": ("html", f"<p>{NOTICE}</p><a ", "hidden ", ""),
    "white space in data": ("html", '<script type="application/ld+json">digitalSourceType', " ", "x</script>"),
    "white space before a section": ("html", '<script type="application/ld+json">digitalSourceType //', " ", "x</script>"),
    "white space in a manifest": ("text", MANIFEST.split("{", 1)[0] + "x", " ", "x" + MANIFEST.split("}", 1)[1]),
    "relations in a header": ("http_headers", '{"link": "machine-translated-from; ', "rel=", '"}'),
}
"""Column, and what stands before, how often, and after the piece that it repeats."""


def seconds(pieces: list[str], size: int) -> float:
    """Processor time of all five signals on pages that each repeat a piece."""
    texts = [BAIT + piece * (size // len(piece)) for piece in pieces]
    link = "<x>; rel=alternate; hreflang=en, " * (size // 100)
    rows = batch(
        *({"text": t, "html": t, "http_headers": json.dumps({"link": link, "ai-disclosure": t[: size // 10]})} for t in texts)
    )
    return spent(rows)


def spent(rows: pa.RecordBatch) -> float:
    """Processor time of all five signals on a batch."""
    start = time.process_time()
    for name in NAMES:
        getattr(signals.found()[name], name)(rows, TOOLS)
    return time.process_time() - start


def repeated(case: str, size: int) -> dict[str, str]:
    """A page of `REPEATED`."""
    column, before, piece, after = REPEATED[case]
    return {column: before + piece * (size // len(piece)) + after}


def test_small_pages_take_no_time():
    """Two seconds are usual for all; what is quadratic takes several seconds for one page even here."""
    signals.found()
    assert seconds(list(PIECES.values()), MEGABYTE // 50) < 12


@pytest.mark.slow
@pytest.mark.parametrize("piece", PIECES)
def test_a_megabyte_is_read_in_seconds(piece):
    """Two to five seconds where a phrase makes the slow expressions read a megabyte of one line; quadratic time would take an hour."""
    assert seconds([PIECES[piece]], MEGABYTE) < 15


@pytest.mark.parametrize("case", REPEATED)
def test_a_word_repeated_in_what_does_not_end_takes_no_time(case):
    """A tenth of a second is usual; what is quadratic takes five and more."""
    signals.found()
    assert spent(batch(repeated(case, MEGABYTE // 4))) < 3


@pytest.mark.slow
@pytest.mark.parametrize("case", REPEATED)
def test_a_megabyte_of_a_word_in_what_does_not_end_is_read_in_seconds(case):
    assert spent(batch(repeated(case, MEGABYTE))) < 10


QUOTED = {
    "residue": {"html": f"<code>{VOICE}</code>" * 40, "text": "\n".join([VOICE] * 40)},
    "translation_markup": {"html": f"<code>{NOTICE}</code>" * 12, "text": "\n".join([NOTICE] * 12)},
}


@pytest.mark.parametrize("name", QUOTED)
def test_the_source_is_read_once_for_all_strings(name, monkeypatch):
    """Each of the strings asks whether it is quoted in the page's source."""
    pages_read = []
    monkeypatch.setattr(_scan, "unescape", lambda page: (pages_read.append(page), tag_soup.unescape(page))[1])
    value(name, **QUOTED[name])
    assert [page.count("<code>") > 1 for page in pages_read].count(True) == 1


@pytest.mark.slow
def test_quoted_strings_of_a_long_page_are_read_in_seconds():
    """The old way, which read the source anew for each of fifty strings, took five seconds."""
    page = "<p>x " * (3 * MEGABYTE // 5) + f"<code>{VOICE}</code>" * 60
    assert spent(batch({"html": page, "text": "\n".join([VOICE] * 60)})) < 4


SURROGATES = {
    "JSON-LD type": (
        {
            "html": '<script type="application/ld+json">{"@type":"Article\\ud800","digitalSourceType":"trainedAlgorithmicMedia"}</script>'
        },
        "JSON-LD Article\ufffd: trainedAlgorithmicMedia",
    ),
    "JSON-LD value": (
        {
            "html": '<script type="application/ld+json">{"@type":"Article","digitalSourceType":"\\udfff/trainedAlgorithmicMedia"}</script>'
        },
        "JSON-LD Article: \ufffd/trainedAlgorithmicMedia",
    ),
    "AI-Disclosure header": (
        {"http_headers": '{"ai-disclosure": "ai-generated; x=\\ud800"}'},
        "HTTP header AI-Disclosure: ai-generated; x=\ufffd",
    ),
}


@pytest.mark.parametrize("case", SURROGATES)
def test_a_lone_surrogate_that_a_page_writes_as_an_escape_is_replaced(case):
    page, detail = SURROGATES[case]
    assert read("disclosure", **page) == (WHOLE, detail)


def test_a_page_whose_language_header_has_a_lone_surrogate_is_read():
    headers = json.dumps({"content-language": "fr-x-mtfrom-en, \ud800"})
    assert read("translation_markup", http_headers=headers) == (4, "HTTP header Content-Language: fr-x-mtfrom-en, \ufffd")


def test_a_response_with_a_lone_surrogate_in_its_data_is_read():
    """The whole way of a capture, from its bytes to a reading."""
    page = RESPONSE.format(
        "text/html", f"<html><body><p>The river reaches the sea.</p>{SURROGATES['JSON-LD type'][0]['html']}</body></html>"
    )
    given = pages.page("response", "https://example.org/a", "2026-01-01T00:00:00Z", page.encode(), {}, None, {}, pages.tools())
    assert isinstance(given, pages.Page)
    assert read("disclosure", text=given.text, html=given.html) == (WHOLE, SURROGATES["JSON-LD type"][1])


@pytest.mark.parametrize("name", ["\u017fcript", "scr\u0131pt", "\u017ftyle", "no\u017fcript", "xmp\u017f"])
def test_an_element_has_its_name_in_ascii(name):
    """Letters that equal others only where case is ignored make another element, which hides nothing."""
    page = f'<{name}>x</{name}><meta name="ai-disclosure" content="ai-generated">'
    assert value("disclosure", html=page) == WHOLE


def test_a_link_at_the_end_of_many_brackets_is_found_in_linear_time():
    """Neither closing brackets without opening ones nor the reverse make the search for the last link start over."""
    last = '<link rel="alternate" hreflang="de" href="/de">'
    for piece in ("hreflang> ", "< hreflang> ", "<link hreflang=", "<b hreflang=x>", "<link>hreflang "):
        start = time.process_time()
        assert value("alternates", html=last + piece * (300_000 // len(piece))) == 1, piece
        assert time.process_time() - start < 3, piece


HIDDEN = "The river reaches the sea." + planted.hidden(planted.DATA)
RESPONSE = "HTTP/1.1 200 OK\r\nContent-Type: {}; charset=utf-8\r\n\r\n{}"


@pytest.mark.parametrize(
    ("kind", "body", "given"),
    [
        ("response", RESPONSE.format("text/html", f"<html><body><p>{HIDDEN}</p></body></html>"), None),
        ("response", RESPONSE.format("text/plain", HIDDEN), None),
        ("response", RESPONSE.format("text/plain", HIDDEN[26:] + HIDDEN[:26]), None),
        ("conversion", HIDDEN, None),
        ("conversion", HIDDEN[26:] + HIDDEN[:26], None),
        ("row", "", HIDDEN),
        ("row", "", HIDDEN[26:] + HIDDEN[:26]),
    ],
)
def test_the_text_comes_as_it_was_decoded(kind, body, given):
    """A manifest in variation selectors survives every way in: a page, plain text, a WET record and a table's row."""
    url, date = "https://example.org/a", "2026-01-01T00:00:00Z"
    headers = {"content-type": "text/plain"} if kind == "conversion" else {}
    page = pages.page(kind, url, date, body.encode(), headers, given, {}, pages.tools())
    assert isinstance(page, pages.Page)
    assert value("disclosure", text=page.text, html=page.html) == WHOLE
