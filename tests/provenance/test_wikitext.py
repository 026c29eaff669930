"""Wikitext to text: what stays, what goes, and that no wikitext takes long."""

import contextlib
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.wikitext import MAX_CHARACTERS, MAX_DEPTH, TooComplex, plain_text

ARTICLE = """{{Short description|City in Norway}}
{{Infobox settlement
| name = Bergen
| image = {{multiple image|a=[[File:x.jpg|thumb|cap]]|b={{c|d}}}}
|}}
'''Bergen''' ({{IPA|no|ber}}; {{Lang|non|Bjørgvin}}), historically ''Bjørgvin'', is a [[city]] and [[Municipalities of Norway|municipality]].<ref name="a">{{cite web|url=http://x.org}}</ref><ref name="a" /> It is old.<!-- a comment [[ {{ -->
[[File:Bergen view.jpg|thumb|left|A view of [[Bergen]] from ''above''<ref>b</ref>]]

== History ==
Founded by [[Olaf III of Norway|King Olav Kyrre]] in&nbsp;1070 [http://example.org/page with a source][http://bare.example].
* first item
** nested item
# numbered
: indented ''talk''

=== Fires ===
{| class="wikitable" style="x"
|+ Table of fires
|-
! Year !! Houses
|-
| 1702 || align=right | 90
|-
| [[1916]]
| 300 ''houses''
|}
The fire of <math>x_{{a}}</math>1702 was <nowiki>[large]</nowiki>.<br />After it came peace.

=== Empty ===
{{main|Foo}}

== References ==
{{reflist}}

== External links ==
* [[Category:Cities]]
[[de:Bergen]] [[Kategorie:Stadt]] [[:Category:Foo|see foo]] [[Bild:A.JPG]]
__NOTOC__
"""

TEXT = """Bergen, historically Bjørgvin, is a city and municipality. It is old.

History

Founded by King Olav Kyrre in 1070 with a source.
- first item
- nested item
- numbered
indented talk

Fires

Table of fires
Year\tHouses
1702\t90
1916\t300 houses

The fire of 1702 was [large].
After it came peace.

External links

see foo"""


def test_an_article() -> None:
    assert plain_text(ARTICLE, ["Datei", "Kategorie"]) == TEXT


def test_the_words_are_those_that_mwparserfromhell_keeps() -> None:
    parser = pytest.importorskip("mwparserfromhell")
    prose = "'''A''' [[city|town]] of ''the'' [[north]] {{with|a {{template}}}} and [http://a.example a link].\n\n== Head ==\nMore &amp; more [[words]]<!-- x --> here.\n"
    kept = parser.parse(prose).strip_code()
    assert plain_text(prose).split() == kept.split()


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("[[File:a.png|thumb|b]]x", "x"),
        ("[[Datei:a|b]]x", "x"),
        ("[[Soubor:a.svg]]x [[Soubor:a|right|b]]", "x"),
        ("[[Foo:bar|baz]]", "baz"),
        ("[[wikt:word|a word]] [[zh-min-nan:x]][[simple:x]]", "a word"),
        ("[[:File:a.png]]", "File:a.png"),
        ("a[[b]]s", "abs"),
        ("call f() ({{a}}) (; {{b}}, )(kept {{c}})", "call f()(kept )"),
        ("{{{1|x}}} {{{{a}}b}} {{a|{{{b}}}}} y", "y"),
        ("unclosed {{template and [[link", "unclosed {{template and [[link"),
        ("stray]]}}<ref /> |}", "stray |}"),
        ("{|\n| a\n{|\n| inner\n|}\n|}", "a inner"),
        ("a<ref>b\n\nc</ref>d", "ad"),
        ("<table><tr><td>a</td><td>b</td></tr></table>", "a\tb"),
        ("<foo>bar</foo> 1 < 2 > 1", "<foo>bar</foo> 1 < 2 > 1"),
        ("<b>a</b><syntaxhighlight lang='c'>x {{ [[ </syntaxhighlight>c", "ac"),
        ("== a ==\n=== b ===\ntext", "a\n\nb\n\ntext"),
        ("== a ==\n== b ==\ntext\n=== c ===", "b\n\ntext"),
        ("=", "="),
        ("===", ""),
        ("&lt;b&gt; &amp;amp; &#65; &nosuch;", "<b> &amp; A &nosuch;"),
        ("-----\n:::a\n----", "a"),
        ("\0{{a}}\0", ""),
        ("", ""),
    ],
)
def test_each_construct(source: str, text: str) -> None:
    assert plain_text(source, {"Datei"}) == text


MEGA = 1 << 17


@pytest.mark.parametrize(
    "source",
    [
        "{{a|" * MEGA, "[[" * MEGA, "{|\n" * MEGA, "<ref>" * MEGA, "<b>" * MEGA, "<math>" * MEGA, "<!--" * MEGA, "<nowiki>" * MEGA,
        "[http://a " * MEGA, "[http://a " * (MEGA // 8) + "]", "'''''a " * MEGA, "== a\n" * MEGA, "=" * 2 * MEGA, "*#:;" * MEGA,
        "({{a}}" * MEGA, "( " * MEGA, "{|\n|" + "a=" * MEGA, "{|\n|" + "a=" * (MEGA // 2) + "\n|}", "{|\n" + "|a||b\n" * (MEGA // 8) + "|}",
        "&" * 2 * MEGA, "]]}}|}\n" * MEGA, ("[[" * 90 + "a" * 20000 + "]]" * 90) * 90, "{{[[{|<b>''<ref>" * MEGA, " " * 2 * MEGA,
        "<div style='" * MEGA, "__A" * MEGA, "[[a:" * 90 + ":" * MEGA + "]]" * 90,
    ],
)  # fmt: skip
def test_no_wikitext_takes_long(source: str) -> None:
    start = time.perf_counter()
    with contextlib.suppress(TooComplex):
        plain_text(source[:MAX_CHARACTERS])
    assert time.perf_counter() - start < 4, "linear: a fraction of a second on an idle core"


def test_what_is_too_large_or_too_deep_is_said() -> None:
    with pytest.raises(TooComplex, match="more than the 2097152"):
        plain_text("a" * (MAX_CHARACTERS + 1))
    assert plain_text("{{" * MAX_DEPTH + "}}" * MAX_DEPTH + "a") == "a"
    with pytest.raises(TooComplex, match="100 levels"):
        plain_text("{{" * (MAX_DEPTH + 1) + "}}" * (MAX_DEPTH + 1))


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.sampled_from(
            ["{{", "}}", "[[", "]]", "\n{|", "\n|}", "\n|-", "\n|", "||", "|", "<ref>", "</ref>", "<b>", "''", "\n", "== ", " ==", "* ", "<!--",
             "-->", "<nowiki>", "</nowiki>", "a", "File:", "(", ")", "[http://x", "]", "&nbsp;", "\0", "é"]
        ),
        max_size=60,
    ).map("".join)
)  # fmt: skip
def test_any_wikitext_gives_text(source: str) -> None:
    text = plain_text(source)
    assert text == text.strip() and "\0" not in text and "\n\n\n" not in text
    assert text == plain_text(source)
