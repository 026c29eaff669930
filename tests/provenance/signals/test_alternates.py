"""Languages that a page says it stands in, from links and from the Link header."""

import json

import pytest

from provenance.signals.alternates import language
from tests.provenance.signals.pages import read

NAME = "alternates"


def links(*codes: str, tag: str = '<link rel="alternate" hreflang="{0}" href="/{0}">') -> str:
    return "<html><head>" + "".join(tag.format(code) for code in codes) + "</head></html>"


COUNTED = {
    "countries": (links("en-GB", "en-US", "de-AT", "de"), "de en"),
    "x-default": (links("x-default", "en"), "en"),
    "scripts": (links("zh-Hans", "zh-TW", "zh-CN", "zh"), "zh zh-hans zh-hant"),
    "underscore and case": (links("PT_br", "FR"), "fr pt"),
    "order of attributes": (links("it", tag="<LINK HREF='/x' HREFLANG={0} REL='Alternate nofollow'>"), "it"),
    "anchors": (links("ja", "ko", tag='<a href="./{0}/" hreflang="{0}" rel="alternate">x</a>'), "ja ko"),
}
SILENT = {
    "default alone": links("x-default"),
    "no alternate": links("en", tag='<link rel="stylesheet" hreflang="{0}" href="/x">'),
    "link without a relation": links("en", tag='<a hreflang="{0}" href="/x">x</a>'),
    "comment": "<!-- " + links("en", "de") + " -->",
    "no code": links("english-language-page", "1", ""),
}


@pytest.mark.parametrize("case", COUNTED)
def test_languages_of_links(case):
    html, languages = COUNTED[case]
    assert read(NAME, html=html) == (float(len(languages.split())), languages)


@pytest.mark.parametrize("case", SILENT)
def test_none(case):
    assert read(NAME, html=SILENT[case]) is None


def test_languages_of_the_header():
    value = '</de>; rel="alternate"; hreflang="de", </fr,x>; hreflang=fr; rel=alternate, </c.css>; rel=preload; as=style, </x>; rel=alternate; hreflang=x-default'
    assert read(NAME, http_headers=json.dumps({"link": value})) == (2.0, "de fr")
    assert read(NAME, http_headers=json.dumps({"Link": value}), html=links("it", "de")) == (3.0, "de fr it")
    assert read(NAME, http_headers='{"link": 3, "x": "hreflang"}') is None
    assert read(NAME, http_headers="hreflang") is None


def test_codes():
    assert [language(code) for code in ("en", "en-US", "x-default", "zh-Hant-HK", "sr-Latn", " de ", "e", "en-")] == [
        "en", "en", None, "zh-hant", "sr", "de", None, None,
    ]  # fmt: skip


def test_manuals_of_many_languages(shared):
    """Apache's manual names its translations in its links; all are read."""
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    with open(shared / "crawl/html_pages/httpd_manual_parallel.warc.gz", "rb") as stream:
        records = ArchiveIterator(stream, record_types=WarcRecordType.response)
        found = [
            read(NAME, html=record.reader.read().decode("utf-8", "replace")) for _, record in zip(range(40), records, strict=False)
        ]
    assert all(found) and max(value for value, _ in found if value) >= 5
