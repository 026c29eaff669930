"""The extractors' seam: what each keeps of the contract, and the readers of feeds and plain text."""

import importlib
import importlib.metadata
import itertools
import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import extract, extractors
from provenance.extract import BlockModel, Extract, extractor, feed, plain_text
from provenance.tag_soup import strip_tags

PARAGRAPH = "This is a paragraph of some length, with commas, which an extractor takes for content. " * 3
ARTICLE = f"<html><body><nav><a href=/>Home</a></nav><article><p>A {PARAGRAPH}</p><p>B {PARAGRAPH}</p></article></body></html>"
NAMES = extract.names()


@pytest.fixture(scope="module", params=NAMES)
def read(request: pytest.FixtureRequest) -> Callable[[str], str]:
    return extractor(Extract(extractor=request.param))


def test_the_files_are_the_names() -> None:
    folder = Path(extractors.__file__).parent
    assert sorted(path.stem for path in folder.glob("*.py") if not path.stem.startswith("_")) == NAMES
    assert {"resiliparse", "trafilatura"} <= set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_every_extractor_says_what_shapes_its_text(name: str) -> None:
    options = Extract(extractor=name)
    described = extract.digest(options)
    assert described == json.loads(json.dumps(described))
    assert described["extractor"] == name and described["extractor_version"][:1].isdigit()
    assert described["extractor_parameters"] and described["options"]["max_depth"] == options.max_depth
    assert set(described) == {
        "extractor",
        "extractor_version",
        "extractor_parameters",
        "decode_version",
        "language_version",
        "feed_version",
        "plain_text_version",
        "strip_tags_version",
        "unicode",
        "wikitext_version",
        "options",
    }
    assert "resiliparse" in described["decode_version"]


def test_the_library_is_called_with_the_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
    module = importlib.import_module("provenance.extractors.resiliparse")
    changed = {name: {**given, "alt_texts": True} for name, given in module.parameters(Extract()).items()}
    monkeypatch.setattr(module, "parameters", lambda options: changed)
    page = f"<html><body><p>{PARAGRAPH}<img src=a alt='told instead'></p></body></html>"
    assert "told instead" in extractor(Extract(extractor="resiliparse"))(page)


@pytest.mark.parametrize("name", NAMES)
def test_paragraphs_stand_on_lines_of_their_own_without_navigation(name: str) -> None:
    text = extractor(Extract(extractor=name))(ARTICLE)
    assert [line.strip() for line in text.split("\n") if line] == [f"A {PARAGRAPH}".strip(), f"B {PARAGRAPH}".strip()]


@pytest.mark.parametrize("html", ["", " \n ", "<script>var a = 1</script>", "<!-- unclosed <p>text", "<html><body></body></html>"])
def test_pages_without_text_give_none(read: Callable[[str], str], html: str) -> None:
    assert read(html) == ""


def test_what_came_before_changes_nothing(read: Callable[[str], str]) -> None:
    pages = [ARTICLE, ARTICLE.replace("paragraph", "passage"), "<p>short", ARTICLE + "<div>" * 600]
    first = [read(page) for page in pages]
    assert [read(page) for _ in range(4) for page in pages] == first * 4
    assert [read(page) for page in reversed(pages)] == first[::-1]


@given(page=st.text(st.characters(), max_size=200), soup=st.text(alphabet="<>/!-=\"' abdivpsn\n&;\0\ud800", max_size=200))
def test_no_text_raises_in_any_extractor(page: str, soup: str) -> None:
    for name in NAMES:
        for html in (page, soup, f"<html><body><p>{PARAGRAPH}{page}</p><div>{soup}</div></body></html>"):
            assert isinstance(LOADED[name](html), str)


LOADED = {name: extractor(Extract(extractor=name)) for name in NAMES}


def test_hostile_pages_go_through_the_tag_stripper(read: Callable[[str], str]) -> None:
    assert "the words" in read("<div>" * 100_000 + "the words")


def test_an_unknown_extractor_is_named_with_the_choices() -> None:
    with pytest.raises(ValueError, match=r"'os'.*resiliparse, trafilatura"):
        extractor(Extract(extractor="os"))
    with pytest.raises(ValueError, match="'_walk'"):
        extract.digest(Extract(extractor="_walk"))


def test_a_missing_library_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.delitem(sys.modules, "provenance.extractors.trafilatura")
    monkeypatch.setattr(importlib.metadata, "version", version)
    for use in (extractor, extract.digest):
        with pytest.raises(ValueError, match=r"trafilatura.*pip install \"lowbackground\[trafilatura\]\""):
            use(Extract(extractor="trafilatura"))


def test_naming_the_extractors_loads_none_of_their_libraries() -> None:
    program = "import sys; from provenance import extract; extract.names(); print(*sys.modules, sep=chr(10))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    # The decoder's detector is resiliparse's, in another module than its extractor.
    assert {"trafilatura", "lxml", "turbohtml", "resiliparse.extract.html2text"} & set(done.stdout.split()) == set()


def test_options_are_strict() -> None:
    for wrong in ({"depth": 5}, {"max_depth": 0}, {"model": {}}, {"model": {"weights": {}}}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, Extract)


MODEL = BlockModel(weights={"link_density": -3.0}, intercept=0.5, threshold=0.45)


@pytest.mark.parametrize(
    "wrong",
    [
        {"intercept": float("nan")},
        {"weights": {"a": float("inf")}},
        {"threshold": float("-inf")},
        {"bias": 1.0},
        {"weights": {"a": "b"}},
    ],
)
def test_a_model_is_numbers(wrong: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"model": {**msgspec.to_builtins(MODEL), **wrong}}, Extract)


def test_a_model_is_for_blocks_alone() -> None:
    for use in (extractor, extract.digest):
        with pytest.raises(ValueError, match=r"extract\.model.*'resiliparse'"):
            use(Extract(extractor="resiliparse", model=MODEL))


def test_a_field_may_end_with_a_space() -> None:
    item = "<item><description>Not lost</description ></item><item><title>Kept</title\n></item>"
    assert feed(f"<rss>{item}</rss>") == "Not lost\nKept"


def test_fields_of_many_names_take_linear_time() -> None:
    names = ("".join(letters) for letters in itertools.islice(itertools.product("abcdefghij", repeat=5), 100_000))
    started = time.process_time()
    feed("<rss>" + "".join(f"<{name}:title>" for name in names))
    assert time.process_time() - started < 5


def test_a_page_of_too_many_elements_goes_through_the_tag_stripper() -> None:
    many = "<p><b>word</b> " * 300
    options = Extract(extractor="resiliparse", max_elements=400)
    assert extractor(options)(many) == strip_tags(many)
    assert extractor(msgspec.structs.replace(options, max_elements=600))(many) != strip_tags(many)


@pytest.mark.parametrize("piece", ["<", "<![CDATA[", "&lt;", "&", "<title>", "<title ", "<description>"])
def test_broken_feeds_take_linear_time(piece: str) -> None:
    started = time.process_time()
    feed("<rss>" + piece * (2_000_000 // len(piece)))
    assert time.process_time() - started < 5


RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Old books</title><link>http://example.org/</link>
<item><title>First &amp; last</title><link>http://example.org/1</link><guid>17</guid>
<description>&lt;p&gt;Escaped &lt;b&gt;words&lt;/b&gt;&lt;/p&gt;</description></item>
<item><content:encoded><![CDATA[<p>Words in <i>CDATA</i></p>]]></content:encoded></item></channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>News</title><entry><summary type="text">Short</summary>
<content type="xhtml"><div xmlns="http://www.w3.org/1999/xhtml"><p>Long <em>words</em></p></div></content></entry></feed>"""


def test_feeds_give_their_texts() -> None:
    assert feed(RSS) == "Old books\nFirst & last\nEscaped words\nWords in CDATA"
    assert feed(ATOM) == "News\nShort\nLong words"
    assert feed("<?xml version='1.0'?><urlset><url><loc>http://example.org/</loc></url></urlset>") == "http://example.org/"


@given(st.text(st.characters(), max_size=200), st.text(alphabet="<>/!-=\"' abdivpsn\n&#;0", max_size=200))
def test_no_feed_raises(text: str, soup: str) -> None:
    for xml in (text, soup, f"<rss><title>{text}</title><description>{soup}</description>"):
        feed(xml)


def test_plain_text_has_line_feeds_alone() -> None:
    assert plain_text(" a\r\nb\rc\fd\u2028e\u2029f <p> \n") == "a\nb\nc\nd\ne\nf <p>"
