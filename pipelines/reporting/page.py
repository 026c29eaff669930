"""The frame of every report: the page itself, its first lines, figures with their numbers beneath, and excerpts of texts."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.reporting import svg
from pipelines.reporting.markup import ORIGIN_LABELS, Child, Markup, count, element, join, language_name, table
from provenance.schema import ORIGINS
from store.sql import quote

if TYPE_CHECKING:
    import duckdb

SAMPLE = 20
EXCERPT = 600
ROWS_SHOWN = 12
"""Languages, hosts and reasons that a chart shows by name; the rest is one bar."""

POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
"""Content security policy of the page: were a page's markup ever not escaped, nothing would run or load."""

ORIGIN_SERIES = [svg.Series(origin, ORIGIN_LABELS[origin]) for origin in ORIGINS]
Con = "duckdb.DuckDBPyConnection"


class Excerpt(NamedTuple):
    """The start of one text, where it is from, and why it was judged as it was: (bold, rest) per line."""

    text: str
    language: str | None
    about: str
    reasons: list[tuple[str, str]]


def rows(con: "duckdb.DuckDBPyConnection", sql: str, parameters: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """The rows of an answer, by column name."""
    answer = con.execute(sql, parameters) if parameters else con.execute(sql)
    names = [column[0] for column in answer.description]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def listed(keys: Iterable[str]) -> str:
    """Keys as the right side of SQL's IN. As literals they filter while Parquet is read, so other texts stay unread."""
    literals = ", ".join(map(quote, keys))
    return f"({literals or 'NULL'})"


def page(
    title: str,
    kind: str,
    identity: str,
    answers: Sequence[tuple[str, Child]],
    figures: Sequence[tuple[str, str]],
    body: Iterable[Child],
) -> bytes:
    """The whole page as UTF-8; nothing in it asks the network, and nothing in it runs."""
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", http_equiv="Content-Security-Policy", content=POLICY),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("meta", name="generator", content="Lowbackground"),
        element("title", f"{title} · Lowbackground"),
        element("style", Markup(style)),
    )
    top = element(
        "header",
        element("p", f"Lowbackground · {kind}", class_="mark"),
        element("h1", title),
        element("p", identity, class_="id"),
        element("dl", [element("div", element("dt", asked), element("dd", said)) for asked, said in answers], class_="answers"),
        element("div", [element("div", element("b", number), element("span", what)) for number, what in figures], class_="figures"),
    )
    foot = element(
        "footer",
        "“Human” here means: unchanged since it was frozen, and dated before the cutoff by a named witness. It is no statement about who wrote a text. "
        "Colours: pass over a bar for its number; every chart has its numbers beneath. This page is one file and loads nothing.",
    )
    document = element("html", head, element("body", element("main", top, *body, foot)), lang="en")
    return f"<!doctype html>\n{document}\n".encode()


def section(title: str, lead: Child, *content: Child) -> Markup:
    return element("section", element("h2", title), element("p", lead, class_="lead"), *content)


def notice(kind: str, *paragraphs: Child) -> Markup:
    said = [element("p", paragraph) for paragraph in paragraphs if paragraph is not None]
    return element("div", said, class_=f"notice {kind}".strip(), role="note")


UNPROVEN = "Nothing is proven until verify passes."
NAMED = 8
"""Wrong files that a page names; the others are counted."""


def failed(verification: dict[str, Any] | None) -> bool:
    """Whether `verify` ran and found something wrong."""
    return verification is not None and verification.get("exit_code") not in (0, 3)


def since(verification: dict[str, Any] | None, what: str) -> str:
    """That something is unchanged, as far as that is known; `what` is "they were" or the like."""
    if verification is None:
        return f"unchanged since {what} frozen if verify passes, "
    return f"unchanged since {what} frozen, "


def status(
    verification: dict[str, Any] | None,
    *more: Child,
    bad: str = UNPROVEN,
    unasked: str = "The files were not checked for this page: run lowbackground verify with the id that you trust.",
    unanchored: str = "Its files and its manifest agree with each other; whether they are those that you trust, only an id can say.",
) -> Markup:
    """What `verify` said, or that it was not asked."""
    if verification is None:
        return notice("", element("strong", "Not verified here."), unasked, *more)
    said = str(verification.get("line") or verification.get("error") or "") or None
    if failed(verification):
        wrong = [name for part in ("wrong", "missing", "extra") for name in verification.get(part) or []]
        rest = f" and {count(len(wrong) - NAMED)} more" if len(wrong) > NAMED else ""
        files = f"{count(len(wrong))} {'file' if len(wrong) == 1 else 'files'} wrong, missing or not listed: {', '.join(wrong[:NAMED])}{rest}."
        return notice("bad", element("strong", f"FAILED. {bad}"), files if wrong else said, *more)
    if verification.get("exit_code") == 3:
        return notice("open", element("strong", "CONSISTENT, NOT ANCHORED."), said, unanchored, *more)
    result = str(verification.get("result") or "")
    extends = " It extends the version that was given." if "EXTENDS" in result else ""
    head = (
        "CONSISTENT, and curated against the given snapshot id."
        if "CURATED" in result
        else "VERIFIED against the given snapshot id."
    )
    return notice("good", element("strong", head + extends), said, *more)


def figure(
    caption: str,
    say: str,
    chart: Child,
    series: Sequence[svg.Series],
    head: Sequence[str],
    numbers: Sequence[Sequence[object]],
    drawn: Iterable[Sequence[int]] | None = None,
) -> Markup:
    """A chart with its legend, and its numbers as a table that opens. With the values that are `drawn`, a row with one of each
    series, the legend leaves out what is nowhere in them."""
    there = [True] * len(series) if drawn is None else [any(column) for column in zip(*drawn, strict=True)]
    shown = [kind for kind, found in zip(series, there, strict=True) if found]
    legend = (
        element("ul", [element("li", element("i", class_=kind.style), kind.label) for kind in shown], class_="legend")
        if len(series) > 1
        else None
    )
    return element(
        "figure",
        element("figcaption", caption),
        element("p", say, class_="say"),
        legend,
        element("div", chart, class_="chart"),
        element("details", element("summary", "Numbers"), table(head, numbers)),
    )


def nothing(say: str) -> Markup:
    """What stands where a chart would be empty."""
    return element("figure", element("p", say, class_="lead"))


def settings(con: "duckdb.DuckDBPyConnection") -> Markup:
    """Every setting and digest of the manifest, closed."""
    found = con.execute(
        "SELECT key, value FROM manifest WHERE NOT regexp_matches(key, '^(counts|stated|requested|realised|prevalence)[.]') AND key NOT IN ('url', 'shards') ORDER BY key"
    ).fetchall()
    body = element("details", element("summary", plural_of(len(found))), table(["setting", "value"], found))
    return section(
        "Settings and digests",
        "What was decided, and what names it. The same settings over the same input give the same bytes.",
        body,
    )


def plural_of(number: int) -> str:
    return f"{count(number)} lines of the manifest"


def top_rows(found: Sequence[tuple[str, Sequence[int]]], shown: int = ROWS_SHOWN) -> list[tuple[str, list[int]]]:
    """The first rows, and one row that sums up all others."""
    first = [(label, list(values)) for label, values in found[:shown]]
    rest = found[shown:]
    if len(rest) == 1:
        return [*first, (rest[0][0], list(rest[0][1]))]
    return first + (
        [(f"{count(len(rest))} others", [sum(column) for column in zip(*(values for _, values in rest), strict=True)])]
        if rest
        else []
    )


def by_origin(found: Sequence[dict[str, Any]], label: str) -> list[tuple[str, list[int]]]:
    """Rows of a named query with a column per origin, as (label, values)."""
    return [(str(row[label]), [row[origin] for origin in ORIGINS]) for row in found]


def language_rows(found: Sequence[tuple[str, list[int]]]) -> list[tuple[str, list[int]]]:
    return [(language_name(None if code == "unknown" else code), values) for code, values in found]


def months(first: str, last: str) -> list[str]:
    """Every month from `YYYY-MM` to `YYYY-MM`, so that an empty one shows as a gap."""
    start, stop = (int(month[:4]) * 12 + int(month[5:7]) - 1 for month in (first, last))
    return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(start, stop + 1)]


def over_time(found: Sequence[tuple[str, list[int]]], most_months: int = 72) -> tuple[str, list[tuple[str, list[int]]], list[int]]:
    """(unit, rows without gaps, values without a date); by year where there would be too many months for a chart."""
    width = len(found[0][1]) if found else 0
    undated = [0] * width
    dated: dict[str, list[int]] = {}
    for label, values in found:
        if label == "no date":
            undated = list(values)
        else:
            dated[label] = list(values)
    if not dated:
        return "month", [], undated
    every = months(min(dated), max(dated))
    if len(every) <= most_months:
        return "month", [(month, dated.get(month, [0] * width)) for month in every], undated
    years: dict[str, list[int]] = {str(year): [0] * width for year in range(int(every[0][:4]), int(every[-1][:4]) + 1)}
    for month, values in dated.items():
        years[str(int(month[:4]))] = [a + b for a, b in zip(years[str(int(month[:4]))], values, strict=True)]
    return "year", list(years.items()), undated


def excerpts(style: str, title: str, say: str, found: Sequence[Excerpt]) -> Markup:
    """A group of texts that opens. A text's direction is its own; its markup is text."""

    def one(sample: Excerpt) -> Markup:
        return element(
            "article",
            element("header", element("bdi", sample.about)),
            element("blockquote", sample.text.strip(), dir="auto", lang=sample.language or None),
            element(
                "ul",
                [element("li", element("b", bold), element("bdi", f" {rest}" if rest else "")) for bold, rest in sample.reasons],
            ),
        )

    summary = element("summary", element("i", class_=style), join(title, " ", element("span", say)))
    return element("details", summary, [one(sample) for sample in found], class_="texts")
