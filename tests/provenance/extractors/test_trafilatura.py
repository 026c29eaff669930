"""trafilatura as it is used: what its parser would drop, its parameters, and that it remembers nothing."""

import pytest

pytest.importorskip("trafilatura", reason='needs pip install "lowbackground[trafilatura]"')

from provenance.extract import Extract, digest, extractor
from provenance.extractors import trafilatura
from provenance.tag_soup import strip_tags

READ = extractor(Extract(extractor="trafilatura"))
PARAGRAPH = "This is a paragraph of some length, with commas, which an extractor takes for content. " * 3


def page(body: str) -> str:
    return f"<html><head><title>Words</title></head><body>{body}</body></html>"


def test_comments_are_left_out_and_rows_of_tables_kept() -> None:
    comments = f"<div id=comments class=comments><div class=comment><p>Said a reader: {PARAGRAPH}</p></div></div>"
    table = "<table><tr><td>one cell<td>another cell</table>"
    text = READ(page(f"<article><p>A {PARAGRAPH}</p>{table}<p>B {PARAGRAPH}</p></article>{comments}"))
    assert "Said a reader" not in text
    assert "one cell | another cell" in text


def test_it_is_the_librarys_own_text() -> None:
    from trafilatura import extract

    html = page(f"<nav><a href=/>Home</a></nav><article><h1>Title</h1><p>A {PARAGRAPH}</p><ul><li>item</ul></article>")
    assert READ(html) == extract(html, include_comments=False)


@pytest.mark.parametrize("start", ["<div>", "<span>", "<ul><li>", "<table><tr><td>"])
@pytest.mark.parametrize("errors", [0, 500])
def test_nothing_below_the_parsers_depth_is_lost(start: str, errors: int) -> None:
    for count in (60, 120, 240, 251, 252, 256, 300):
        html = page("</x>" * errors + start * count + f"<p>Deep. {PARAGRAPH}</p>" + "</p>" + f"<p>Last. {PARAGRAPH}</p>")
        text = READ(html)
        assert "Deep." in text and "Last." in text, (start, count)


def test_nothing_beyond_the_parsers_buffer_is_lost() -> None:
    assert "Last words" in READ(page("<p>" + "\u6f22" * 2_399_000 + "</p><p>Last words, " + PARAGRAPH))
    assert "Last words" in READ(page("<p>" + "word " * 2_100_000 + "</p><p>Last words, " + PARAGRAPH))


def test_larger_pages_than_its_bounds_are_stripped() -> None:
    html = page("<p>x</p>" * (trafilatura.MAX_TAGS // 2) + f"<p>{PARAGRAPH}")
    assert READ(html) == strip_tags(html)
    html = page("<p>" + "word " * (trafilatura.MAX_CHARACTERS // 5))
    assert READ(html) == strip_tags(html)


def test_a_page_of_one_element_is_read() -> None:
    assert READ(f"<p>{PARAGRAPH}</p>") == PARAGRAPH.strip()


def test_the_same_paragraph_on_many_pages_stays() -> None:
    html = page(f"<article><p>{PARAGRAPH * 3}</p></article>")
    first = READ(html)
    assert first and {READ(html) for _ in range(9)} == {first}


def test_its_parameters_stand_in_the_digest_and_name_no_clock() -> None:
    given = digest(Extract(extractor="trafilatura"))["extractor_parameters"]
    assert given["call"]["include_comments"] is False and given["call"]["include_tables"] is True
    assert given["call"]["deduplicate"] is False and given["call"]["with_metadata"] is False
    assert given["settings"]["EXTRACTION_TIMEOUT"] == "0"
    assert (given["max_characters"], given["max_tags"]) == (trafilatura.MAX_CHARACTERS, trafilatura.MAX_TAGS)


def test_its_settings_are_the_librarys_where_they_shape_text() -> None:
    from trafilatura.settings import DEFAULT_CONFIG

    ours = trafilatura.parameters(Extract())["settings"]
    shaping = [
        "MIN_EXTRACTED_SIZE",
        "MIN_OUTPUT_SIZE",
        "MIN_OUTPUT_COMM_SIZE",
        "MIN_DUPLCHECK_SIZE",
        "MAX_REPETITIONS",
        "MAX_TREE_SIZE",
    ]
    assert {name: ours[name] for name in shaping} == {name: DEFAULT_CONFIG["DEFAULT"][name] for name in shaping}


def test_what_it_rejects_is_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    assert READ(page("")) == ""
    assert caplog.records == []
