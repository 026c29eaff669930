"""The block classifier on pages made to break it: markup that repeats without end, spellings of hidden, odd containers."""

import time
from collections.abc import Callable

import pytest

from provenance.extract import Extract, extractor

MAIN = extractor(Extract())
LINES = (
    "The council approved the bridge on Tuesday after a debate that lasted until midnight.",
    "Residents of the lower town, who had waited six years, filled the gallery and cheered when the vote was read.",
    "Engineers will begin drilling in March, and the first cars should cross before the end of next year.",
    "Opponents said the cost, now put at 41 million euros, had doubled since the plan was first drawn.",
)
FIRST, LAST = " ".join(LINES[:2]), " ".join(LINES[2:])
SECRET = "Secret words stand here, and nobody who looks at the page in a browser sees them at all."


def page(body: str) -> str:
    return (
        "<!doctype html><html><head><title>Council approves bridge</title></head><body><nav><a href=/>Home</a></nav>"
        f"<article><p>{FIRST}</p>{body}<p>{LAST}</p></article></body></html>"
    )


def between(body: str) -> str:
    """What stands between the first and the last paragraph of an article with `body` there."""
    text = MAIN(page(body))
    assert text.startswith(FIRST) and text.endswith(LAST)
    return text[len(FIRST) : len(text) - len(LAST)].strip("\n")


@pytest.mark.parametrize(
    "make",
    [
        lambda count: "<table><tr>" + "<td>x" * count + "<tr><td>x<td>y</table>",
        lambda count: "<table>" + "<tr><td>x<td>y" * count + "</table>",
        lambda count: "<table>" + "x<tr><td>y" * count + "</table>",
        lambda count: "<ul><li>x</ul>" * count,
        lambda count: ("<table><tr><td>" * 150 + "x" + "</table>" * 150) * (count // 150),
        lambda count: "<pre>" + "<b>x</b>" * count + "</pre>",
        lambda count: "<div>" * 500 + "<p>x" * count,
        lambda count: "<a>x<p>" * count,
        lambda count: "".join(f"<p class=c{number}>x" for number in range(count)),
        lambda count: ("<p>" + "a" * 150 + "b" + "a" * 149) * (count // 10),
        lambda count: "<rt>" * count,
        lambda count: "<optgroup>" * count,
        lambda count: "<span>" * 500 + "</x>" * count,
    ],
)
def test_time_is_linear_in_what_repeats(make: Callable[[int], str]) -> None:
    """A quadratic walk takes 64 times as long for 8 times the page; a linear one 8 times, with room for noise."""

    def seconds(count: int) -> float:
        html = page(make(count)).replace("Council approves bridge", "a" * 1000)
        started = time.process_time()
        MAIN(html)
        return time.process_time() - started

    seconds(1000)
    assert min(seconds(32_000), seconds(32_000)) < 24 * max(min(seconds(4000), seconds(4000)), 0.01)


@pytest.mark.parametrize(
    "hidden",
    [
        "<div style='display:none!important'>{}</div>",
        "<div style='DISPLAY : NONE'>{}</div>",
        "<div style='display&colon;&#110;one'>{}</div>",
        "<div hidden=until-found>{}</div>",
        "<div HIDDEN=''>{}</div>",
        "<div style='display:none'><div style='display:block'>{}</div></div>",
        "<dialog>{}</dialog>",
        "<script type=text/x-handlebars>{}</script>",
        "<div><template shadowrootmode=open>{}</template></div>",
        "<!--[if mso]>{}<![endif]-->",
        "<textarea>{}</textarea>",
        "<video>{}</video>",
        "<svg><text>{}</text></svg>",
    ],
)
def test_other_spellings_of_hidden_are_read(hidden: str) -> None:
    assert "Secret words" not in MAIN(page(hidden.replace("{}", SECRET)))


@pytest.mark.parametrize(
    "shown",
    [
        "<details><summary>More</summary><p>{}</p></details>",
        "<div aria-hidden=false><p>{}</p></div>",
        "<div role=tabpanel aria-hidden=true><p>{}</p></div>",
        "<div class='hidden md:block'><p>{}</p></div>",
        "<div class=hidden-xs><p>{}</p></div>",
        "<form><p>{}</p></form>",
        "<p style='font-size:0.9em'>{}</p>",
        "<my-paragraph>{}</my-paragraph>",
        "<center><font>{}</font></center>",
    ],
)
def test_what_a_browser_shows_is_content(shown: str) -> None:
    assert between(shown.replace("{}", LINES[1])).endswith(LINES[1])


def test_cells_with_a_break_and_lists_in_lists() -> None:
    cells = "<table><tr><th>A<th>B</tr><tr><td>one<br>two<td>three</tr></table>"
    assert between(cells) == "A\tB\none two\tthree"
    nested = "<ul><li>First thing to do today<ul><li>Inner thing number one</li></ul></li><li>Second thing to do today</li></ul>"
    assert between(nested) == "First thing to do today\nInner thing number one\nSecond thing to do today"


def test_a_text_does_not_depend_on_the_pages_before() -> None:
    html = page(f"<h2 class=c1>Costs</h2><p style='color:red'>{LINES[1]}</p>")
    before = MAIN(html)
    for number in range(300):
        MAIN(page(f"<div class='c{number} comment{number}' style='top:{number}px'>{SECRET}</div>"))
    assert MAIN(html) == before


def test_two_answers_with_code_are_kept_and_a_comment_between_them_is_not() -> None:
    answer = "<div class=answer><div class='s-prose js-post-body'><p>{}</p><pre><code>{}</code></pre></div></div>"
    remark = f"<div class=comments><div class=comment><span class=comment-copy>{SECRET}</span></div></div>"
    body = answer.format(LINES[1], "a = [1]\n  b = 2") + remark + answer.format(LINES[3], "for x in a:\n    print(x)")
    assert between(body) == f"{LINES[1]}\n\na = [1]\n  b = 2\n\n{LINES[3]}\n\nfor x in a:\n    print(x)"
