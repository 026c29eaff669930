"""Statements of publishers, and statements about something else on the page."""

import base64
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.signals.disclosure import OTHER, PARTLY, UNCLEAR, WHOLE
from tests.provenance.signals.pages import value

NAME = "disclosure"
IPTC = "http://cv.iptc.org/newscodes/digitalsourcetype/"
SCHEMA = "https://schema.org/TrainedAlgorithmicMediaDigitalSource"


def linked(thing: object) -> dict[str, str]:
    return {
        "html": f'<html><head><script type="application/ld+json">{json.dumps(thing)}</script></head><body><p>Text.</p></body></html>'
    }


def hidden(data: bytes, magic: bytes = b"C2PATXT\0") -> str:
    wrapped = magic + struct.pack("!BI", 1, len(data)) + data
    return "\ufeff" + "".join(chr(0xFE00 + b) if b < 16 else chr(0xE0100 + b - 16) for b in wrapped)


MANIFEST = b"jumb c2pa.actions digitalSourceType http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia sig"
IMAGE = {"@type": "ImageObject", "url": "a.jpg", "digitalSourceType": IPTC + "trainedAlgorithmicMedia"}

STATED = {
    "article": (linked({"@context": "https://schema.org", "@type": "Article", "digitalSourceType": SCHEMA}), WHOLE),
    "graph": (
        linked(
            {
                "@graph": [
                    {"@type": "WebSite"},
                    {"@type": ["NewsArticle"], "digitalSourceType": {"@id": IPTC + "trainedAlgorithmicMedia"}},
                ]
            }
        ),
        WHOLE,
    ),
    "main entity": (
        linked(
            {
                "@type": "WebPage",
                "mainEntity": {"@type": "BlogPosting", "digitalSourceType": "TrainedAlgorithmicMediaDigitalSource"},
            }
        ),
        WHOLE,
    ),
    "composite": (linked({"@type": "Article", "digitalSourceType": IPTC + "compositeWithTrainedAlgorithmicMedia"}), PARTLY),
    "another article": (linked({"@type": "WebPage", "hasPart": {"@type": "Article", "digitalSourceType": SCHEMA}}), UNCLEAR),
    "image": (linked({"@type": "Article", "image": IMAGE}), OTHER),
    "image alone": (linked(IMAGE), OTHER),
    "untyped image": (linked({"@type": "Article", "thumbnail": {"digitalSourceType": SCHEMA}}), OTHER),
    "video": (linked([{"@type": "VideoObject", "digitalSourceType": SCHEMA}]), OTHER),
    "microdata": (
        {
            "html": f'<article itemscope itemtype="https://schema.org/Article"><link itemprop="digitalSourceType" href="{SCHEMA}"><p>T</p></article>'
        },
        WHOLE,
    ),
    "microdata meta": (
        {
            "html": f'<div itemscope itemtype="https://schema.org/BlogPosting"><img src=x><meta itemprop=digitalSourceType content={SCHEMA}></div>'
        },
        WHOLE,
    ),
    "microdata of an image": (
        {
            "html": f'<div itemscope itemtype="https://schema.org/Article"><p itemprop=image itemscope itemtype="https://schema.org/ImageObject"><meta itemprop="digitalSourceType" content="{IPTC}trainedAlgorithmicMedia"></p></div>'
        },
        OTHER,
    ),
    "RDFa": (
        {"html": f'<div typeof="schema:Article"><span property="schema:digitalSourceType" resource="{SCHEMA}"></span></div>'},
        WHOLE,
    ),
    "meta": ({"html": '<head><meta name="ai-disclosure" content="ai-generated"></head>'}, WHOLE),
    "Drupal meta": ({"html": '<meta name="ai-disclosure" content="ai_summarized; required=yes">'}, PARTLY),
    "source type meta": ({"html": f'<meta name="IPTC.DigitalSourceType" content="{IPTC}trainedAlgorithmicMedia">'}, WHOLE),
    "header": ({"http_headers": '{"ai-disclosure": "mode=machine-generated; model=\\"x\\""}'}, WHOLE),
    "header, originated": ({"http_headers": '{"ai-disclosure": "mode=\\"ai-originated\\", provider=\\"y\\""}'}, WHOLE),
    "header, modified": ({"http_headers": '{"ai-disclosure": "mode=ai-modified"}'}, PARTLY),
    "hidden manifest": ({"text": "A text." + hidden(MANIFEST)}, WHOLE),
    "hidden manifest in the page": ({"html": "<p>A text." + hidden(MANIFEST) + "</p>"}, WHOLE),
    "hidden manifest of a camera": (
        {"text": "A text." + hidden(MANIFEST.replace(b"trainedAlgorithmicMedia", b"digitalCapture"))},
        OTHER,
    ),
    "manifest lines": (
        {
            "text": f"-----BEGIN C2PA MANIFEST-----\ndata:application/c2pa;base64,{base64.b64encode(MANIFEST).decode()}\n-----END C2PA MANIFEST-----\nText"
        },
        WHOLE,
    ),
    "manifest script": ({"html": f'<script type="application/c2pa">{base64.b64encode(MANIFEST).decode()}</script>'}, WHOLE),
}

SILENT = {
    "no machine": {"html": '<meta name="ai-disclosure" content="none">'},
    "human": {"html": '<meta name="ai-disclosure" content="human">', "http_headers": '{"ai-disclosure": "mode=none"}'},
    "photograph": linked({"@type": "Article", "digitalSourceType": IPTC + "digitalCapture"}),
    "img": {"html": f'<img src="a.jpg" data-digitalsourcetype="{IPTC}trainedAlgorithmicMedia" alt="made by a machine">'},
    "spoken of": {
        "html": "<p>Set digitalSourceType to trainedAlgorithmicMedia, or send AI-Disclosure.</p>",
        "text": "ai-disclosure",
    },
    "commented": {"html": '<!-- <meta name="ai-disclosure" content="ai-generated"> -->'},
    "broken": {"html": '<script type="application/ld+json">{"digitalSourceType": </script>'},
    "another header": {"http_headers": '{"x-note": "mode=machine-generated"}'},
    "other selectors": {"text": "heart \u2764\ufe0f \ufeff\ufe0f and " + hidden(b"secret", b"SOMEELSE")},
}


@pytest.mark.parametrize("case", STATED)
def test_statements_are_read(case):
    given, strength = STATED[case]
    assert value(NAME, **given) == strength


@pytest.mark.parametrize("case", SILENT)
def test_silence_stays_silent(case):
    assert value(NAME, **SILENT[case]) is None


def test_removed_selectors_are_gone():
    """The manifest is read from the text as decoded: what removes characters of no width removes it; a taken byte order mark does not."""
    text = "A text." + hidden(MANIFEST)
    assert value(NAME, text=text) == WHOLE
    assert value(NAME, text=text.replace("\ufeff", "")) == WHOLE
    assert value(NAME, text="".join(c for c in text if not 0xE0100 <= ord(c) <= 0xE01EF)) is None


WRAPPERS = st.lists(st.sampled_from(["list", "graph", "page"]), max_size=5)
QUOTES = st.sampled_from(['"', "'", ""])


@settings(max_examples=40, deadline=None)
@given(WRAPPERS, st.sampled_from(["Article", "BlogPosting", "http://schema.org/NewsArticle"]), st.booleans())
def test_any_nesting_of_the_main_thing(wrappers, kind, listed):
    thing: object = {"@type": [kind] if listed else kind, "digitalSourceType": SCHEMA}
    for wrapper in wrappers:
        others = [{"@type": "Organization", "name": "x"}]
        thing = (
            [*others, thing]
            if wrapper == "list"
            else {"@graph": [thing, *others]}
            if wrapper == "graph"
            else {"@type": "WebPage", "mainEntity": thing}
        )
    assert value(NAME, **linked(thing)) == WHOLE


@settings(max_examples=40, deadline=None)
@given(
    st.permutations(["name", "content", "data-x"]),
    QUOTES,
    st.sampled_from([str.upper, str.lower, str.title]),
    st.sampled_from([" ", "\n", "\t "]),
)
def test_any_spelling_of_the_meta_element(order, quote, case, space):
    given = {"name": case("ai-disclosure"), "content": case("ai-generated"), "data-x": "y"}
    tag = space.join(["<" + case("meta"), *(f"{case(name)}={quote}{given[name]}{quote}" for name in order)])
    assert value(NAME, html=f"<html><head>{tag}></head></html>") == WHOLE
