"""Addresses of language versions: which are one page's, which are not, and what a page says of its alternates."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.locales import alternates, site, without_language

HOST = "https://example.org"


@pytest.mark.parametrize(
    "versions",
    [
        ("/en/shop/a.html", "/fr/shop/a.html", "/pt-BR/shop/a.html", "/zh_Hans/shop/a.html", "/es-419/shop/a.html", "/shop/a.html"),
        ("/docs/bind.html.en", "/docs/bind.html.fr", "/docs/bind.html.ja.utf8", "/docs/bind.html.ko.euc-kr", "/docs/bind.html"),
        ("/docs/", "/docs/index.html", "/docs/index.en.html", "/docs/index.html.de", "/de/docs/index.php"),
        ("/a/page.en.html", "/a/page.pt-br.html", "/a/page_fr.html", "/a/page_zh-CN.html", "/a/page.html"),
        ("/a?x=1&lang=en", "/a?lang=fr&x=1", "/a?x=1&hl=de-AT", "/a?x=1", "/de/a?x=1"),
        ("/", "/en", "/fr/", "?lang=es"),
    ],
)
def test_versions_of_one_page(versions: tuple[str, ...]) -> None:
    forms = {form[0] for path in versions if (form := without_language(HOST + path))}
    assert len(forms) == 1


def test_hosts() -> None:
    urls = ("http://fr.example.org/a", "https://www.example.org/a", "https://example.org:8080/a", "http://DE.example.org/a#top")
    assert {without_language(url)[0] for url in urls} == {"example.org/a?"}  # type: ignore[index]
    assert without_language("https://it.com/a") == ("it.com/a?", False)
    assert [site(url) for url in (*urls[:2], "http://a.co.uk./", "urn:x", "", None, "http://[bad/")] == [
        *("fr.example.org", "example.org", "a.co.uk"),
        *(None, None, None, None),
    ]


@pytest.mark.parametrize(
    ("path", "form"),
    [
        ("/sign-in/how-to.html", "/sign-in/how-to.html?"),
        ("/v1.2/a.tar.gz", "/v1.2/a.tar.gz?"),
        ("/a?id=it", "/a?id=it"),
        ("/a?lang=python", "/a?lang=python"),
        ("/xx/a", "/xx/a?"),
    ],
)
def test_what_names_no_language(path: str, form: str) -> None:
    assert without_language(HOST + path) == ("example.org" + form, False)


@pytest.mark.parametrize("url", ["", "urn:uuid:1", "mailto:a@b.c", "http://[::1", "http:///a", "file:///en/a"])
def test_no_web_address(url: str) -> None:
    assert without_language(url) is None


@given(st.text(max_size=40))
def test_any_text_is_answered(text: str) -> None:
    for url in (text, "http://" + text, "http://a.example/" + text):
        form = without_language(url)
        assert form is None or (isinstance(form[0], str) and isinstance(form[1], bool))
        assert site(url) is None or site(url)
        alternates(f'<link rel="alternate" hreflang="en" href="{text}"><link rel=alternate hreflang=fr href=x>', url)


def links(**hrefs: str) -> str:
    return "<head>" + "".join(
        f'<link rel="alternate" hreflang="{name.replace("_", "-")}" href="{href}">' for name, href in hrefs.items()
    )


def test_alternates() -> None:
    page = links(en="/en/a", fr="https://example.org/fr/a#x", x_default="/choose")
    assert alternates(page, HOST + "/en/a#part") == {HOST + "/en/a", HOST + "/fr/a"}
    assert not alternates(page, HOST + "/en/b"), "a page that is not among its own alternates"
    assert not alternates(links(en="/en/a", en_GB="/gb/a"), HOST + "/en/a"), "countries of one language"
    assert not alternates("<!-- " + page + " -->", HOST + "/en/a")
    assert not alternates("", HOST + "/en/a")
