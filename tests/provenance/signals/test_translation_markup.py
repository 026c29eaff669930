"""Marks of machine translation by strength, and what looks like one and is none."""

import pytest

from provenance.signals.translation_markup import DECISIVE, MEDIUM, STRONG, WEAK, translation_markup
from tests.provenance.signals.pages import TOOLS, batch, read, value

TEXT = "La rivière descend des collines et rejoint la mer près du vieux port. " * 10
NAME = "translation_markup"


def page(body: str = "", head: str = "", root: str = 'lang="fr"') -> dict[str, str]:
    return {
        "text": TEXT,
        "language": "fr",
        "html": f"<!doctype html><html {root}><head>{head}</head><body>{body}<p>{TEXT}</p></body></html>",
    }


PAIRS = "<font style='vertical-align: inherit;'><font style='vertical-align: inherit;'>"
WEGLOT = '<script type="application/json" id="weglot-data">{"language_from":"%s"}</script>'
DEFAULT = '<link rel="alternate" hreflang="en" href="/p"><link rel="alternate" hreflang="fr" href="/fr/p"><link rel="alternate" hreflang="x-default" href="/p">'

MARKED = {
    "root": (page(root='lang="fr-x-mtfrom-en"'), DECISIVE),
    "most of the text": (page() | {"html": f'<html><body><div lang="fr-x-mtfrom-en">{TEXT}</div></body></html>'}, DECISIVE),
    "unknown languages": (page(root="lang=und-x-mtfrom-und"), DECISIVE),
    "link": (page(head='<link rel="alternate machine-translated-from" hreflang="en" href="/en">'), DECISIVE),
    "ms": (page(head='<meta name="ms.translationtype" content="MT" />'), DECISIVE),
    "goog": ({"url": "https://example-org.translate.goog/p?_x_tr_sl=en&_x_tr_tl=fr"}, DECISIVE),
    "view": ({"url": "https://example.org/p?_x_tr_sl=en&_x_tr_tl=fr&_x_tr_hl=fr"}, DECISIVE),
    "saved class": (page(root='lang="fr" class="js translated-ltr"'), STRONG),
    "saved fonts": (page() | {"html": f"<p>{PAIRS}{TEXT}</font></font></p><p>{PAIRS}{TEXT}</font></font></p>"}, STRONG),
    "notice in the text": (
        page() | {"text": "This article was automatically translated from the English original.\n" + TEXT},
        STRONG,
    ),
    "German notice": (page() | {"text": TEXT + "\nDieser Artikel wurde maschinell aus dem Englischen übersetzt."}, STRONG),
    "Chinese notice": (page() | {"text": "本文由机器翻译生成。\n" + TEXT}, STRONG),
    "Japanese notice": (page() | {"text": "このページは機械翻訳によるものです。\n" + TEXT}, STRONG),
    "Russian notice": (page() | {"text": "Эта статья была переведена автоматически.\n" + TEXT}, STRONG),
    "notice in a banner": (page(body='<div class="banner">This page has been machine translated.</div>'), STRONG),
    "plug-in": (page(head=WEGLOT % "en"), MEDIUM),
    "plug-in by x-default": (page(head=DEFAULT, body='<div class="trp-language-switcher"></div>'), MEDIUM),
    "paid GTranslate": (
        page(head='<script>window.gtranslateSettings = {"default_language":"en","url_structure":"sub_directory"}</script>'),
        MEDIUM,
    ),
    "one word": (page(body='<span lang="fr-x-mtfrom-en">Bonjour</span>'), WEAK),
}

TRAPS = {
    "free GTranslate": page(
        body='<div class="gtranslate_wrapper gt_switcher_wrapper notranslate"></div><script>window.gtranslateSettings = {"default_language":"en","url_structure":"none"}</script>'
    ),
    "translate element": page(
        body='<div id="google_translate_element"></div><script src="//translate.google.com/translate_a/element.js"></script>'
    ),
    "hreflang": page(
        head="".join(
            f'<link rel="alternate" hreflang="{a}" href="/{a}">'
            for a in ("en", "de", "es", "it", "ja", "ko", "nl", "pl", "pt", "ru", "tr", "zh")
        )
    ),
    "WPML": page(body='<div class="wpml-ls"></div>', head=DEFAULT),
    "plug-in, original language": page(head=WEGLOT % "fr"),
    "plug-in, unknown original": page(head='<script src="https://cdn.weglot.com/weglot.min.js"></script>'),
    "human translation": page(head='<meta name="ms.translationtype" content="HT" />'),
    "markup in a code sample": page(body='<pre>&lt;html lang="fr-x-mtfrom-en"&gt;</pre>'),
    "markup in a comment": page(body='<!-- <div lang="fr-x-mtfrom-en">x</div> <link rel="machine-translated-from"> -->'),
    "quoted notice": page() | {"text": 'Some sites warn: "This page was machine translated from English." We do not.\n' + TEXT},
    "notice in a blockquote": {
        "text": "This article was automatically translated from the English original.\n" + TEXT,
        "html": f"<blockquote>This article was automatically translated from the English original.</blockquote><p>{TEXT}</p>",
    },
    "about translation": page() | {"text": "Machine translation has a long history. Texts are translated by people too. " * 10},
    "same language view": {"url": "https://example.org/p?_x_tr_sl=en&_x_tr_tl=en"},
    "host in the path": {"url": "https://example.org/about/x.translate.goog"},
    "menu of languages": page(body='<a href="https://translate.google.com/translate?sl=fr&tl=en&u=x">English</a>'),
}


@pytest.mark.parametrize("case", MARKED)
def test_marks_are_found(case):
    given, strength = MARKED[case]
    assert read(NAME, **given) is not None, "nothing found"
    assert value(NAME, **given) == strength


@pytest.mark.parametrize("case", TRAPS)
def test_traps_are_not(case):
    assert read(NAME, **TRAPS[case]) is None


def test_saved_translation_as_found(shared):
    html = (shared / "crawl/mt_labelled/google_translated_dom_example.html").read_text()
    from provenance.signals._scan import plain

    assert value(NAME, html=html, text=plain(html)) == STRONG


@pytest.mark.parametrize("name", ["httpd_manual_parallel", "w3c_i18n_parallel"])
def test_human_translated_manuals(shared, name):
    """Parallel, with alternates in many languages, and translated by people: never a machine's."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType
    from resiliparse.extract.html2text import extract_plain_text

    rows = []
    with open(shared / f"crawl/html_pages/{name}.warc.gz", "rb") as stream:
        for i, record in enumerate(ArchiveIterator(stream, record_types=WarcRecordType.response)):
            if i % 4 == 0:  # a quarter is enough to notice a rule that fires on parallelism
                html = record.reader.read().decode("utf-8", "replace")
                text = extract_plain_text(html, main_content=True)
                rows.append({"html": html, "text": text, "url": record.headers.get("WARC-Target-URI", "")})
    assert len(rows) > 25
    assert translation_markup(batch(*rows), TOOLS).to_pylist() == []
