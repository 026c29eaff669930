"""The block classifier as it is used: what of a page is its text, and in which form."""

from collections import Counter
from statistics import fmean

import msgspec
import numpy as np
import pytest

from pipelines import gold
from provenance.extract import BlockModel, Extract, digest, extractor
from provenance.extractors import _features, _walk, blocks
from tests.provenance.hostile import BLIND

OPTIONS = Extract(extractor="blocks")
MAIN = extractor(OPTIONS)
SENTENCE = "The old mill by the river, which had stood empty for years, was sold to a baker from the next town. "
LEDE, BODY = f"A spring morning. {SENTENCE * 3}".strip(), f"Nobody had expected it. {SENTENCE * 4}".strip()
MENU = "<nav><ul>" + "".join(f"<li><a href=/{name}>{name}</a>" for name in ("Home", "News", "Sport", "Contact")) + "</ul></nav>"


def page(body: str, title: str = "The mill is sold") -> str:
    return (
        f"<!doctype html><html><head><title>{title} - Daily Paper</title></head><body>{MENU}<article><p>{LEDE}</p>{body}"
        f"<p>{BODY}</p></article><footer>Copyright 2019 Daily Paper. All rights reserved.</footer></body></html>"
    )


def between(body: str) -> str:
    """What stands between the first and the last paragraph of an article with `body` there."""
    text = MAIN(page(body))
    assert text.startswith(LEDE) and text.endswith(BODY)
    return text[len(LEDE) : len(text) - len(BODY)].strip("\n")


def test_paragraphs_stand_apart_without_what_surrounds_them() -> None:
    assert MAIN(page("")) == f"{LEDE}\n\n{BODY}"


def test_inline_markup_does_not_part_a_sentence_and_white_space_is_one_space() -> None:
    body = f"<p>The <b>miller</b>'s\n   <a href=/d>daughter</a>,&nbsp;who <em>left</em> long ago.<wbr> {SENTENCE}</p>"
    assert between(body) == f"The miller's daughter, who left long ago. {SENTENCE}".strip()


def test_a_break_is_a_line_and_two_are_a_paragraph() -> None:
    body = f"<p>First line, {SENTENCE}<br>second line, {SENTENCE}<br>\n<br>Third, {SENTENCE}</p>"
    assert between(body) == f"First line, {SENTENCE.strip()}\nsecond line, {SENTENCE.strip()}\n\nThird, {SENTENCE.strip()}"


def test_headings_go_with_what_they_head() -> None:
    assert between(f"<h2>What the baker plans</h2><p>{SENTENCE * 2}</p>") == f"What the baker plans\n\n{SENTENCE * 2}".strip()


def test_the_title_is_kept_where_the_page_shows_it() -> None:
    html = page("").replace("<article>", "<article><h1>The mill is sold</h1>")
    assert MAIN(html) == f"The mill is sold\n\n{LEDE}\n\n{BODY}"


def test_a_heading_of_what_is_not_kept_goes_with_it() -> None:
    related = "<div class=related-posts><h3>Related stories</h3><ul><li><a href=/a>A bakery opens</a><li><a href=/b>River floods</a></ul></div>"
    assert between(related) == ""


def test_items_of_a_list_are_lines() -> None:
    items = [f"Item {i}: {SENTENCE}".strip() for i in range(3)]
    assert between("<ul>" + "".join(f"<li>{item}</li>" for item in items) + "</ul>") == "\n".join(items)


def test_code_keeps_its_lines_and_indents() -> None:
    code = "def area(r):\n    # of a circle\n\n    return 3.14159 * r ** 2"
    assert between(f"<pre><code>{code}\n</code></pre>") == code
    lines = "".join(f"<div class=line><span>{line or ' '}</span></div>" for line in code.split("\n"))
    assert between(f"<pre>{lines}</pre>") == code


def test_rows_of_a_table_are_lines_with_tabs_between_cells() -> None:
    rows = [("Year", "Flour", "Price"), ("1890", "12 tons", ""), ("1891", "", "7 marks")]
    markup = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    assert between(f"<table>{markup}</table>") == "Year\tFlour\tPrice\n1890\t12 tons\n1891\t\t7 marks"


def test_a_table_that_lays_out_the_page_is_no_table() -> None:
    menu = "<p>Home</p><p>News</p><p>Sport</p>"
    html = f"<table><tr><td>{menu}</td><td><p>{LEDE}</p><p>{BODY}</p></td></tr><tr><td>Old site</td><td>2004</td></tr></table>"
    text = MAIN(f"<html><body>{html}</body></html>")
    assert f"{LEDE}\n\n{BODY}" in text and "\t" not in text


@pytest.mark.parametrize(
    "hidden",
    [
        "<div style='display: none'>{}</div>",
        "<div style='VISIBILITY:HIDDEN;color:red'>{}</div>",
        "<p hidden>{}</p>",
        "<p>{}</p>".replace("<p>", "<p class='sr-only'>"),
        "<p>Seen. <span style='display:none'>{}</span></p>",
        "<p>Seen. <span class=screen-reader-text>{}</span></p>",
        "<div class=hidden><p>{}</p></div>",
        "<div class='d-none d-md-none'><p>{}</p></div>",
        "<dialog><p>{}</p></dialog>",
        "<template><p>{}</p></template>",
        "<script type=text/template><p>{}</p></script>",
        "<noscript><p>{}</p></noscript>",
        "<select><option>{}</select>",
    ],
)
def test_what_is_not_shown_is_not_content(hidden: str) -> None:
    secret = f"Unseen words. {SENTENCE}"
    assert "Unseen words" not in MAIN(page(hidden.replace("{}", secret)))


@pytest.mark.parametrize(
    "alien",
    [
        "<div id=comments><h3>2 comments</h3><div class=comment><p>{}</p></div></div>",
        "<section id=disqus_thread><p>{}</p></section>",
        "<div class='cookie-banner'><p>{}</p><button>Accept</button></div>",
        "<div id=onetrust-consent-sdk><p>{}</p></div>",
        "<aside><p>{}</p></aside>",
        "<div role=navigation><p>{}</p></div>",
        "<div class=relatedArticles><p>{}</p></div>",
        "<div class=newsletter-signup><p>{}</p></div>",
    ],
)
def test_comments_notices_and_related_texts_are_not_content(alien: str) -> None:
    assert between(alien.replace("{}", f"Alien words. {SENTENCE}")) == ""


def test_commentary_is_no_comment() -> None:
    text = f"A live commentary. {SENTENCE * 2}".strip()
    assert between(f"<div class=commentary><p>{text}</p></div>") == text


@pytest.mark.parametrize(
    "line", ["<p class=byline>By Ann Author</p>", "<div class='post-meta author'>Ann Author, 12 May 2019</div>"]
)
def test_by_lines_are_not_content(line: str) -> None:
    assert between(line) == ""


def test_what_calls_all_of_a_page_boilerplate_is_not_believed() -> None:
    html = f"<html><body><div class=sidebar><p>{LEDE}</p><p>{BODY}</p></div></body></html>"
    assert MAIN(html) == f"{LEDE}\n\n{BODY}"
    html = f"<html><body><div id=comments><p>{LEDE}</p><p>{BODY}</p></div></body></html>"
    assert MAIN(html) == f"{LEDE}\n\n{BODY}"


def test_readings_of_words_are_left_out() -> None:
    body = "<p>" + "<ruby>漢字<rp>(</rp><rt>かんじ</rt><rp>)</rp></ruby>を学ぶことは、長い時間のかかる仕事である。" * 8 + "</p>"
    assert "漢字を学ぶ" in between(body) and "かんじ" not in between(body)


@pytest.mark.parametrize("html", [*BLIND, "<html><body style='display:none'><p>{}</p></body></html>"])
def test_pages_that_hide_their_text_from_a_parser_have_one(html: str) -> None:
    assert LEDE in MAIN(html.replace("{}", LEDE))


@pytest.mark.parametrize("html", ["", " \n ", "<script>var a = 1</script>", "<!-- unclosed <p>text", "<html><body></body></html>"])
def test_pages_without_text_give_none(html: str) -> None:
    assert MAIN(html) == ""


def test_a_page_of_links_alone_has_no_content() -> None:
    links = "".join(f"<li><a href=/{i}>Go to page number {i}</a></li>" for i in range(40))
    assert MAIN(f"<html><body><div id=menu><ul>{links}</ul></div></body></html>") == ""


def test_a_page_keeps_the_same_blocks_in_chinese_as_in_english() -> None:
    english = [SENTENCE * 3, SENTENCE, SENTENCE * 2]
    chinese = ["河边的旧磨坊空了许多年,现在卖给了邻镇的一位面包师。" * count for count in (3, 1, 2)]
    made = [MAIN(page("".join(f"<p>{text}</p>" for text in texts))).count("\n\n") for texts in (english, chinese)]
    assert made[0] == made[1] == 4


def test_weights_are_in_the_digest_and_decide() -> None:
    shipped = blocks.shipped()
    assert digest(OPTIONS)["extractor_parameters"]["model"]["weights"] == shipped.weights
    strict = msgspec.structs.replace(shipped, threshold=50.0)
    assert digest(Extract(extractor="blocks", model=strict)) != digest(OPTIONS)
    assert extractor(Extract(extractor="blocks", model=strict))(page("")) == ""


def test_weights_of_other_features_are_refused_by_name() -> None:
    model = BlockModel(weights={**blocks.shipped().weights, "shoe_size": 1.0}, intercept=0.0)
    with pytest.raises(ValueError, match=r"shoe_size.*make extract-model"):
        extractor(Extract(extractor="blocks", model=model))


def test_the_logarithm_is_exact_at_powers_of_two_and_grows() -> None:
    values = np.arange(0, 5000, dtype=float)
    found = _features.logarithm(values)
    assert [found[(1 << power) - 1] for power in range(12)] == list(range(12))
    assert (np.diff(found) > 0).all() and np.abs(found - np.log2(1 + values)).max() < 0.09


def test_readings_are_numbers_whatever_the_page() -> None:
    for html in ("x", "<p>,", "<h1>The mill is sold</h1>", page("<table><tr><td>a<td>b<tr><td>c<td>d</table>"), "<a>" * 20 + "x"):
        read, found = blocks.blocks(html)
        assert found.readings.shape == (len(_features.NAMES), len(found.numbers)) and np.isfinite(found.readings).all()
        assert len(read.texts) == len(read.owners) == len(read.link_characters)


def test_elements_come_after_their_parents() -> None:
    walked = _walk.walk(page("<div><ul><li><p>a</ul></div>"))
    assert all(parent < i for i, parent in enumerate(walked.parents) if i) and walked.title == "The mill is sold - Daily Paper"


def test_a_column_without_a_name_keeps_its_place() -> None:
    rows = [("", "January", "February"), ("Oslo", "1", "2")]
    markup = "".join("<tr>" + "".join(f"<th>{cell}</th>" for cell in row) + "</tr>" for row in rows)
    assert between(f"<table>{markup}</table>") == "\tJanuary\tFebruary\nOslo\t1\t2".strip("\n")


def test_long_cells_are_cells_up_to_a_thousand_characters() -> None:
    cell = f"{SENTENCE * 9}".strip()
    table = "<table><tr><td>{}</td><td>1890</td></tr><tr><td>{}</td><td>1891</td></tr></table>"
    assert "\t1891" in MAIN(page(table.replace("{}", cell))) and len(cell) < 1000
    assert "\t" not in MAIN(page(table.replace("{}", f"{cell} {SENTENCE * 2}")))


def test_a_list_between_paragraphs_is_theirs_however_short() -> None:
    assert between("<ul><li>2 eggs</li><li>salt</li><li>flour</li></ul>") == "2 eggs\nsalt\nflour"


def test_a_list_is_kept_with_the_lists_in_its_items() -> None:
    inner = "<ul><li>rye</li><li>wheat</li></ul>"
    assert (
        between(f"<ul><li>{SENTENCE}{inner}</li><li>{SENTENCE}</li></ul>") == f"{SENTENCE.strip()}\nrye\nwheat\n{SENTENCE.strip()}"
    )


def test_a_title_without_a_heading_is_kept() -> None:
    html = page("").replace("<article>", "<article><div class=t>The mill is sold</div>")
    assert MAIN(html) == f"The mill is sold\n\n{LEDE}\n\n{BODY}"


def test_of_a_short_page_what_is_near_the_best_is_kept() -> None:
    walked, found = blocks.blocks("<p>One short line.</p><p>Another one.</p><p>A third.</p>")
    assert blocks.kept(walked, found, np.array([-0.2, -0.9, -1.5])) == [0, 1]
    assert blocks.kept(walked, found, np.array([-0.8, -0.8, -0.8])) == []
    long, all_of = blocks.blocks(f"<p>{SENTENCE * 2}</p><p>Another one.</p>")
    assert blocks.kept(long, all_of, np.array([0.1, -0.1])) == [0]


def test_names_of_a_wrappers_state_say_nothing_of_its_content() -> None:
    for names in ("page comments-open", "no-comments", "has-cookie-bar", "cookies-accepted", "with-sidebar"):
        assert MAIN(page("").replace("<article>", f"<article class='{names}'>")) == f"{LEDE}\n\n{BODY}"
    whole = f"<div class='reply thread'><h1>The mill is sold</h1><p>{LEDE}</p><p>{BODY}</p></div><p>{SENTENCE}</p>"
    assert LEDE in MAIN(f"<html><head><title>The mill is sold</title></head><body>{whole}</body></html>")


def test_comments_that_are_most_of_a_page_are_still_comments() -> None:
    comments = "".join(f"<div class=comment><p>Reader {i}: {SENTENCE}</p></div>" for i in range(30))
    assert between(f"<div id=comments>{comments}</div>") == ""


def test_little_beside_comments_alone_is_no_article() -> None:
    comments = "".join(f"<div class=comment><p>Reader {i}: {SENTENCE * 2}</p></div>" for i in range(4))
    text = MAIN(f"<html><body><p>Comments on the mill.</p><div id=comments>{comments}</div></body></html>")
    assert "Reader 3" in text


@pytest.mark.parametrize("names", ["id=comments", "id=related-work", "id=search-algorithms", "id=footnotes"])
def test_slugs_of_headings_and_sections_are_no_names(names: str) -> None:
    text = f"A chapter. {SENTENCE * 2}".strip()
    assert between(f"<section id=all><section {names}><h2>A chapter of its own</h2><p>{text}</p></section></section>").endswith(
        text
    )
    assert between(f"<h2 {names}>A chapter of its own</h2><p>{text}</p>") == f"A chapter of its own\n\n{text}"


@pytest.mark.parametrize(
    "names", ["d-none d-md-block", "d-md-block d-none", "hidden md:flex", "hentry tag-related category-comments"]
)
def test_what_is_shown_from_a_width_on_is_shown(names: str) -> None:
    text = f"Seen. {SENTENCE * 2}".strip()
    assert between(f"<div class='{names}'><p>{text}</p></div>") == text


@pytest.mark.parametrize("style", ["backface-visibility:hidden", "background:url(/display:none.png)"])
def test_styles_that_only_look_as_if_they_hid(style: str) -> None:
    text = f"Seen. {SENTENCE * 2}".strip()
    assert between(f"<div style='{style}'><p>{text}</p></div>") == text


def test_links_behind_headings_and_line_numbers_are_not_shown() -> None:
    text = f"{SENTENCE * 2}".strip()
    assert between(f"<h2>Plans<a class=headerlink href=#p>¶</a></h2><p>{text}</p>") == f"Plans\n\n{text}"
    assert between(
        "<pre><span class=lineno>1 </span>def mill():\n<span class=lineno>2 </span>    return 'sold to the baker'</pre>"
    ).startswith("def mill")


def test_ideographs_weigh_more_than_letters() -> None:
    sizes, commas, links = _features._measured(["磨坊卖了", "mill,"], [2, 0])
    assert sizes.tolist() == [10.0, 5.0] and commas.tolist() == [0, 1] and links.tolist() == [5.0, 0.0]


@pytest.mark.slow
def test_the_model_beats_the_rules_and_the_figures_hold(shared) -> None:  # type: ignore[no-untyped-def]
    """All pages of the human gold, and all with phrases."""
    from pipelines.train_extractor import rules

    folder = shared / "crawl" / "html_gold"
    pages = [one for one in gold.load_pages([folder / "gold.parquet"]) if one.kind == gold.HUMAN]
    model, reference = [], []
    for one in pages:
        bag = Counter(gold.tokens(one.gold))
        walked, found = blocks.blocks(one.html)
        model.append(gold.score(MAIN(one.html), bag))
        reference.append(gold.score(blocks.text(walked, blocks.kept(walked, found, rules(walked, found))), bag))
    assert fmean(score.f1 for score in model) >= 0.92 > fmean(score.f1 for score in reference) >= 0.91
    phrases = gold.load_phrases([folder / "snippets.parquet"])
    assert gold.phrase_score([MAIN(one.html) for one in phrases], phrases).f1 >= 0.91
