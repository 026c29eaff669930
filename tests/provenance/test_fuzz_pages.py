"""Mutated pages through decoding, every extractor and `pages.page`: no exception, and the same text each time."""

import random
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance.decode import clean, decode
from provenance.extract import Extract, feed, names
from provenance.pages import Page, Rejection, Tools, page, tools
from provenance.tag_soup import hostile, strip_tags

PROSE = "The harbour was quiet when the ferries returned, and people walked home along a wet stone road, talking. "
ARTICLE = f"""<!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN" "x.dtd"><html lang="en"><head><meta charset="utf-8">
<title>Harbour &amp; town &mdash; news</title><style>nav > a {{ color: red }}</style><script>if (a < b) {{ "</p>" }}</script></head>
<body class="single post-12"><header id=top><nav><ul><li><a href="/">Home</a><li><a href="/b?c=1&d=2">About</a></ul></nav></header>
<main><article itemprop='articleBody'><h1>Harbour</h1><p class="byline">By A. Writer</p><p>{PROSE * 4}</p>
<p>{PROSE * 3}<br><br>{PROSE}<b>bold <i>both</b> italic</i></p><pre><code>for x in y:\n    print(x)\n</code></pre>
<table><thead><tr><th>one<th>two</thead><tr><td>1</td><td>&#50;&nbsp;</td></tr></table><blockquote>{PROSE}</blockquote>
<ul><li>item <ul><li>inner</ul><li>item</ul><noscript><img src=a alt="b"><p>{PROSE}</p></noscript></article></main>
<div id="comments" style="display:none"><div class="comment">I say: {PROSE}</div></div><!-- ad --><footer>&copy; 2010</footer></body></html>"""
FORUM = "<HTML><BODY BGCOLOR=#ffffff><TABLE><TR><TD><FONT SIZE=2>" + f"<P>{PROSE}<HR><A HREF=x>Re: {PROSE[:20]}</A>" * 9
CHINESE = f"<html><head><meta http-equiv=Content-Type content='text/html; charset=gb2312'></head><body><p>{'港口很安静，人们沿着湿漉漉的石路走回家。' * 20}</p>"
XHTML = f"<?xml version='1.0' encoding='iso-8859-1'?><html xmlns='http://www.w3.org/1999/xhtml'><head><title/></head><body><p>{PROSE * 5}é</p></body></html>"
FRAMES = f"<html><frameset cols='1,*'><frame src=a><noframes><body><p>{PROSE * 3}</body></noframes></frameset></html>"
FEED = f"<?xml version='1.0'?><rss><channel><item><description><![CDATA[<p>{PROSE}</p>]]></description></item></channel></rss>"
OWN = (
    ARTICLE.encode(),
    FORUM.encode(),
    CHINESE.encode("gb18030"),
    XHTML.encode("latin-1"),
    FRAMES.encode("utf-16"),
    FEED.encode(),
    b"\xef\xbb\xbf" + ARTICLE.encode(),
)
NOISE = (
    b"<", b">", b"</", b"/>", b"<!--", b"-->", b"<![CDATA[", b"]]>", b"&#", b"&#xD800;", b"&#0;", b"&amp", b'"', b"'", b"=", b"\0",
    b"\xff\xfe", b"\xfe\xff", b"\xed\xa0\x80", b"\x1b$B", b"\x80", b"<p>", b"</p>", b"<div>", b"</div>", b"<table><tr>", b"</table>",
    b"<title>", b"<title/>", b"<script>", b"</script>", b"<select><option>", b"<svg><p>", b"<math>", b"<template>", b"</template>",
    b"<plaintext>", b"<noscript>", b"<frameset>", b"<body a=b>", b"<html/>", b"<br>" * 9, b"<b><i></b>", b"<a href=", b"<style>",
    b"<?xml version='1.0'?>", b"<meta charset=utf-16>", b"&#" + b"9" * 5000 + b";",
)  # fmt: skip
LABELS = (
    None,
    "utf-8",
    "iso-8859-1",
    "windows-1251",
    "gb2312",
    "shift_jis",
    "utf-16",
    "utf-7",
    "x-user-defined",
    "nonsense\ud800",
    "",
)
KINDS = ("text/html", "application/xhtml+xml", "text/xml", "text/plain", "", "application/octet-stream")

KITS: dict[str, Tools] = {name: tools(Extract(extractor=name)) for name in names()}


def mutate(data: bytes, other: bytes, chance: random.Random, times: int) -> bytes:
    """`data` with that many changes: noise, flipped and lost bytes, slices twice, pieces of `other`, a cut end."""
    made = bytearray(data)
    for _ in range(times):
        at = chance.randrange(len(made) + 1)
        length = chance.choice((1, 5, 50, 500))
        match chance.randrange(6):
            case 0:
                made[at:at] = chance.choice(NOISE)
            case 1:
                made[at : at + 1] = bytes([chance.randrange(256)])
            case 2:
                del made[at : at + length]
            case 3:
                made[at:at] = made[at : at + length] * chance.choice((1, 1, 20))
            case 4:
                start = chance.randrange(len(other))
                made[at:] = other[start:] if chance.random() < 0.2 else other[start : start + length] + made[at:]
            case 5 if chance.random() < 0.1:
                del made[at:]
    return bytes(made)


def check(data: bytes, label: str | None, kind: str) -> None:
    """Decoding, extraction and the page of some bytes keep their contracts."""
    html, _ = decode(data, label)
    assert html == clean(html)
    hostile(html)
    for text in (feed(html), strip_tags(html)):
        assert text == clean(text)
    block = f"HTTP/1.1 200 OK\r\nContent-Type: {kind}; charset={label}\r\n\r\n".encode("utf-8", "replace") + data
    for name, kit in KITS.items():
        text = kit.extract(html)
        assert isinstance(text, str) and text == clean(text), name
        assert kit.extract(html) == text, name
        made = page("response", "http://a.example/", "2020-05-06T07:08:09Z", block, {}, None, {}, kit)
        assert isinstance(made, Page | Rejection), name
        if isinstance(made, Page):
            assert made.text.strip() and made.text == clean(made.text), name


changes = st.tuples(st.integers(0, 2**32), st.integers(0, len(OWN) - 1), st.integers(0, len(OWN) - 1), st.integers(0, 30))


@given(changes, st.sampled_from(LABELS), st.sampled_from(KINDS))
@settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_mutated_pages_keep_the_contract(change: tuple[int, int, int, int], label: str | None, kind: str) -> None:
    seed, first, second, times = change
    check(mutate(OWN[first], OWN[second], random.Random(seed), times), label, kind)


@pytest.mark.slow
@given(changes, st.sampled_from(LABELS), st.sampled_from(KINDS))
@settings(max_examples=3000, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_many_mutated_pages_keep_the_contract(change: tuple[int, int, int, int], label: str | None, kind: str) -> None:
    seed, first, second, times = change
    check(mutate(OWN[first], OWN[second], random.Random(seed), times), label, kind)


@given(st.binary(max_size=500), st.sampled_from(LABELS), st.sampled_from(KINDS))
@settings(max_examples=100, derandomize=True, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_bytes_keep_the_contract(data: bytes, label: str | None, kind: str) -> None:
    check(data, label, kind)


def real_pages(shared: Path, every: int) -> Iterator[bytes]:
    """Each so many-th page of the gold table, of those under 100 kB."""
    from pyarrow.parquet import read_table

    pages = read_table(shared / "crawl" / "html_gold" / "gold.parquet", columns=["html"])["html"].to_pylist()
    yield from (page for page in pages[::every] if len(page) < 100_000)


def fuzz(pages: list[bytes], rounds: int) -> None:
    chance = random.Random(4)
    for data in pages:
        for _ in range(rounds):
            other = chance.choice(pages)
            check(mutate(data, other, chance, chance.choice((1, 10, 60))), chance.choice(LABELS), chance.choice(KINDS))


def test_mutated_real_pages_keep_the_contract(shared: Path) -> None:
    fuzz(list(real_pages(shared, 60)), 2)


@pytest.mark.slow
def test_many_mutated_real_pages_keep_the_contract(shared: Path) -> None:
    fuzz(list(real_pages(shared, 6)), 5)
