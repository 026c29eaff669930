"""The guard against hostile markup, and the text outside tags."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.tag_soup import end_empty_tags, hostile, reveal, strip_tags, unescape

HOSTILE = {
    "div": "<div>" * 100_000 + "the words",
    "mixed case": "<DiV>" * 100_000 + "the words",
    "span": "<span>word " * 100_000,
    "fonts": "".join(f"<p><font a={i}>x" for i in range(20_000)),
    "fonts before paragraphs": "<p>" + "".join(f"<font a={i}>" for i in range(400)) + "<p>x" * 20_000,
    "fonts before blocks": "".join(f"<font a={i}>" for i in range(100)) + "<div>x</div>" * 200_000,
    "fonts in blocks": "".join(f"<div><font a={i}>x</div>" for i in range(20_000)),
    "options": "<select>" + "<option>x</option>" * 50_000,
    "attributes": "<div " + " ".join(f"a{i}='>'" for i in range(50_000)) + ">x</div>",
    "bare attributes": "<div " + " ".join(f"a{i}" for i in range(50_000)) + ">x</div>",
    "body attributes": "".join(f"<body a{i}=1>" for i in range(50_000)) + "x",
    "ends that do not reach": "<x><div></x>" * 20_000 + "x",
    "ends out of scope": "<div><table></div></table>" * 20_000 + "x",
    "ends in comments": "<div><!--</div>-->" * 20_000 + "x",
    "ends in scripts": "<div><script>'</div>'</script>" * 20_000 + "x",
    "tables": "<table><tr><td>x" * 30_000,
}
HARMLESS = {
    "breaks": "word<br>" * 1_000_000,
    "paragraphs": "<p>word " * 200_000,
    "an attribute of 5 MB": "<p class='" + "x y " * 1_250_000 + "'>hello world</p>",
    "items": "<ul>" + "<li>some words" * 100_000,
    "links": "".join(f"<p><a href={i}>x " for i in range(50_000)),
    "flat blocks": "<div>x</div>" * 100_000,
    "a long script": "<script>" + "a=b;" * 100_000 + "</script><p>hello</p>",
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_markup_is_named_and_stripped_in_time(name: str) -> None:
    started = time.process_time()
    assert hostile(HOSTILE[name]) is not None
    assert strip_tags(HOSTILE[name])
    assert time.process_time() - started < 5


@pytest.mark.parametrize("name", sorted(HARMLESS))
def test_large_but_flat_markup_is_not_hostile(name: str) -> None:
    started = time.process_time()
    assert hostile(HARMLESS[name]) is None
    assert strip_tags(HARMLESS[name])
    assert time.process_time() - started < 10


@pytest.mark.parametrize(
    "piece",
    [
        "<",
        "<a",
        "<a '",
        '<a b="',
        "<!--",
        "<![CDATA[",
        "&lt;",
        "&",
        "&#0",
        "<title>",
        "<script>",
        "</",
        "<a/ ",
        "/>",
        "<title/",
        "<title/>",
    ],
)
def test_broken_markup_takes_linear_time(piece: str) -> None:
    html = piece * (2_000_000 // len(piece))
    started = time.process_time()
    hostile(html)
    strip_tags(html)
    reveal(html)
    assert time.process_time() - started < 5


def test_depth_is_counted_as_a_parser_nests() -> None:
    for html in (
        "<p>" * 999,
        "<br>" * 9999,
        "<div><p>x</div>" * 999,
        "<div><span>x</div>" * 999,
        "<li>" * 999,
        "<section><div></section>" * 999,
    ):
        assert hostile(html) is None
    assert hostile("<div>" * 512) is None
    assert hostile("<div>" * 513) == "513 nested elements"


def test_strip_tags_keeps_text_between_blocks_on_lines() -> None:
    html = "<title>t</title><style>a{}</style><p>One <b>bold</b>&amp;\n  word<p>Two<br>Three<!-- no --><script>no()</script> Four"
    assert strip_tags(html) == "One bold& word\nTwo\nThree\nFour"


def test_a_title_that_nothing_ends_hides_no_text() -> None:
    assert strip_tags("<title>One<meta name=a><p>Two<title>Three<p>Four") == "Two\nFour"
    assert strip_tags("<title>One</title><p>Two") == "Two"
    assert strip_tags("<p>One<script>two<p>three") == "One"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("&amp;&eacute;&#65;&#x42;&#000000000000067;", "&\xe9ABC"),
        (f"&#{'9' * 5000};", "\ufffd"),
        (f"&#{'0' * 5000}65;", "A"),
        (f"&#x{'f' * 5000};", "\ufffd"),
        ("&#1114111;&#1114112;&#99999999;&#xD800;&#0;", "\U0010ffff\ufffd\ufffd\ufffd\ufffd"),
        ("&#;&#x;&", "&#;&#x;&"),
    ],
)
def test_character_references_of_any_length_are_read(text: str, expected: str) -> None:
    assert unescape(text).replace("\U0010ffff", "") == expected.replace("\U0010ffff", "")


def test_empty_elements_of_xhtml_end() -> None:
    assert end_empty_tags("<title/><br/><script src=a /><p/>") == "<title></title><br/><script src=a ></script><p/>"


@pytest.mark.parametrize(
    ("html", "expected"),
    [
        ("<NoScript a=b>x</noscript><noscripts>", "<div a=b>x</div><noscripts>"),
        ("<frameset><noframes>x</noframes></frameset>", "<div><div>x</div></div>"),
        ("<title>x<p>y", "<div>x<p>y"),
        ("<title>x</TITLE><p>y", "<title>x</TITLE><p>y"),
    ],
)
def test_what_hides_text_is_revealed(html: str, expected: str) -> None:
    assert reveal(html) == expected


@given(st.text(st.characters(), max_size=200), st.text(alphabet="<>/!-=\"' abdivpsn\n&#;0", max_size=200))
def test_no_text_raises(text: str, soup: str) -> None:
    for html in (text, soup):
        hostile(html, max_depth=2)
        strip_tags(html)
        reveal(html)
