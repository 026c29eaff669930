"""What the pages say of shares: how much of a run is machine text, what of each origin survives, how pure a mix's human side is."""

from typing import TYPE_CHECKING, Any

from pipelines import prevailing, purifying
from pipelines.reporting import svg
from pipelines.reporting.markup import ORIGIN_LABELS, Markup, count, element, join, language_name, plural, table
from pipelines.reporting.page import figure, notice, rows, section
from provenance.schema import ORIGINS
from store.catalog import named_queries
from store.manifest import Opened

if TYPE_CHECKING:
    import duckdb

    Con = duckdb.DuckDBPyConnection

TAGGED = svg.Series("not", "tagged machine-made")
ESTIMATED = svg.Series("machine_generated", "estimated, with its 95 % interval")
PLACEBO = svg.Series("steel", "estimated, before 2020: a placebo, whose true share is 0")
FAILED = svg.Series("bad", "a placebo that leaves 0 out")
HEAD = ("documents", "estimated", "hosts", "tagged machine-made", "machine share", "95 % interval", "by the rate of flags", "note")
MONTHS = 72
"""Months that are drawn, the last ones; all are in the table."""
LISTED = 60


def prevalence(opened: Opened, con: "Con") -> Markup | None:
    """The estimated machine share of a run by month, language, host and file; None for a run that holds no estimate."""
    whole = rows(con, named_queries()["prevalence"].sql)
    if not whole:
        return None
    lead = (
        "How much of the documents is machine text, estimated for a whole group at once by mixture likelihood and not counted from tags: counts "
        "of tags are biased, because detectors that hardly ever flag a human miss much of what is machine-made. The unit is the document; by tokens "
        "or by sites the same crawl may show twice or half as much. Text of generators that the detectors have never seen is in no interval."
    )
    said = [element("strong", "Of all documents: "), f"{prevailing.told(whole[0])}."]
    failed = prevailing.alarm(stated) if (stated := opened.manifest.get("prevalence")) else None
    found = rows(con, named_queries()["prevalence_by_month"].sql)
    dated = [row for row in found if row["month"] not in (prevailing.NO_DATE, prevailing.OTHERS)]
    numbers = [["all", *_row(whole[0])], *([row["month"], *_row(row)] for row in found)]
    drawn = [_range(row) for row in dated[-MONTHS:]]
    styles = {one.style for one in drawn if one.share is not None}
    series = [TAGGED, *(kind for kind in (ESTIMATED, PLACEBO, FAILED) if kind.style in styles)]
    chart = svg.ranges("Machine share by month", lead, drawn, TAGGED)
    tables = [_listed(what, rows(con, named_queries()[f"prevalence_by_{what}"].sql), what) for what in ("language", "host", "file")]
    return section(
        "How much is machine text",
        lead,
        notice("bad", element("strong", "The placebos fail. "), f"{failed}.") if failed else None,
        notice("", join(*said)),
        figure("Machine share by month", "Of the documents captured in each month", chart, series, ["month", *HEAD], numbers)
        if dated
        else None,
        element("figure", element("figcaption", "Machine share by language, host and source file"), *tables),
    )


def _range(row: dict[str, Any]) -> svg.Range:
    style = ESTIMATED.style
    if row["placebo"]:
        style = FAILED.style if row["covers_zero"] is False else PLACEBO.style
    return svg.Range(row["month"], _tagged(row), row["share"], row["share_low"], row["share_high"], style, row["placebo"])


def _tagged(row: dict[str, Any]) -> float | None:
    return (row["machine_generated"] + row["machine_translated"]) / row["documents"] if row["documents"] else None


def _row(row: dict[str, Any]) -> list[object]:
    def span(low: str, high: str) -> str:
        return "–" if row[low] is None else f"{prevailing.percent(row[low])} to {prevailing.percent(row[high])}"

    tagged = _tagged(row)
    return [
        row["documents"],
        row["estimated"],
        row["hosts"],
        "–" if tagged is None else prevailing.percent(tagged),
        "–" if row["share"] is None else prevailing.percent(row["share"]),
        span("share_low", "share_high"),
        span("rogan_gladen_low", "rogan_gladen_high"),
        row["note"],
    ]


def _listed(what: str, found: list[dict[str, Any]], column: str) -> Markup:
    named = [
        language_name(None if row[column] == "unknown" else row[column]) if what == "language" else row[column] for row in found
    ]
    shown = [[name, *_row(row)] for name, row in zip(named, found, strict=True)][:LISTED]
    more = f", of which {LISTED} are here; `query` gives all" if len(found) > LISTED else ""
    return element("details", element("summary", f"By {what}: {plural(len(found), 'row')}{more}"), table([what, *HEAD], shown))


def survival(con: "Con", kind: str) -> Markup | None:
    """What of each origin is left at each step of a run or into a mix; None where the mix does not state it."""
    found = rows(con, named_queries()["survival" if kind == "run" else "mix_survival"].sql)
    if not found or not any(row["documents"] for row in found):
        return None
    last = found[-1]
    drawn, notes = [], []
    for origin in ORIGINS:
        if (share := last[f"of_{origin}"]) is not None:
            drawn.append((ORIGIN_LABELS[origin], [round(1000 * share)]))
            notes.append(f"{prevailing.percent(share)}: {count(last[origin])} are left")
    lead = (
        "The share of each origin that is left at the end. Filters that prefer one origin change what a crawl is made of: FineWeb’s rules keep "
        "29.3 % of machine-made pages and 12.8 % of human ones. Origin is told before any of them. "
    )
    lead += (
        "Human documents of a run equal those of the snapshot, and are dropped in favour of the snapshot’s own copies."
        if kind == "run"
        else "Of human text, what there was is what the snapshot offers; of the others, the documents of the runs."
    )
    chart = svg.bars("Survival by origin", lead, drawn, [svg.Series("steel", "left, of 1,000")], notes)
    head = ["step", "documents", *(label for o in ORIGINS for label in (ORIGIN_LABELS[o], "of all of its origin")), "machine-made"]
    numbers = [
        [
            row["stage"],
            row["documents"],
            *(cell for o in ORIGINS for cell in (row[o], _part(row[f"of_{o}"]))),
            _part(row["share_machine"]) if row["step"] > 1 else "–",
        ]
        for row in found
    ]
    end = "kept" if kind == "run" else "in the shards"
    return section(
        "What survives, by origin", lead, figure("Survival", f"Share of each origin that is {end}", chart, [], head, numbers)
    )


def _part(share: float | None) -> str:
    return "–" if share is None else prevailing.percent(share)


def purity(opened: Opened) -> Markup | None:
    """How much machine text hides in the human side of a mix, where its manifest says so."""
    stated = (opened.manifest.get("stated") or {}).get("purity")
    if not stated:
        return None
    lead = (
        "An estimate, and no part of what is proven: what is attested before a cutoff may still be machine text where the date rests on somebody’s "
        "word, or where the cutoff lies after the first generators. A sample of the human documents is scored as a crawl is; the unit is the document."
    )
    side = f"The human side that it is held against: {stated['human_side']}." if stated["human_side"] else None
    said = join(element("strong", "Machine share of the human side: "), f"{purifying.line(stated)}.")
    return section("How pure the human side is", lead, notice("", said, side))
