"""The page of a snapshot: what is frozen, what of it may count as human, and whose word the dates rest on."""

from typing import TYPE_CHECKING, Any

from pipelines.reporting import page, svg
from pipelines.reporting.markup import Child, Markup, count, join, percent, plural, rests_on, share, size
from pipelines.reporting.page import Excerpt, figure, nothing, rows, section
from pipelines.reporting.run_page import about, rejects
from store.catalog import named_queries
from store.manifest import Opened

if TYPE_CHECKING:
    import duckdb

    Con = duckdb.DuckDBPyConnection

SIDES = [svg.Series("human", "may count as human"), svg.Series("not", "may not count")]
BY_LANGUAGE = """
SELECT coalesce(language, 'unknown') AS language, count(*) FILTER (WHERE eligible) AS eligible, count(*) AS documents
FROM documents GROUP BY 1 ORDER BY documents DESC, language
"""


def render(opened: Opened, con: "Con", name: str) -> bytes:
    """The page as bytes."""
    levels = rows(con, named_queries()["snapshot_by_attestation"].sql)
    totals = {column: sum(row[column] for row in levels) for column in ("documents", "eligible", "bytes", "eligible_bytes")}
    figures = [
        (count(totals["documents"]), "documents frozen"),
        (count(totals["eligible"]), "may count as human"),
        (size(totals["eligible_bytes"]), "of text that may count"),
        (str(opened.manifest["cutoff"])[:10], "cutoff, in UTC"),
    ]
    body = [
        by_year(con),
        by_attestation(levels),
        witnesses(con),
        by_language(con),
        ineligible(con, totals["documents"]),
        rejects(con),
        texts(con),
        page.settings(con),
    ]
    return page.page(name, "snapshot", f"snapshot {opened.id}", _answers(opened, levels, totals), figures, body)


def _answers(opened: Opened, levels: list[dict[str, Any]], totals: dict[str, int]) -> list[tuple[str, Child]]:
    cutoff, tree = str(opened.manifest["cutoff"])[:10], opened.manifest.get("tree", {})
    what = (
        f"A frozen snapshot of {plural(totals['documents'], 'document')} ({size(totals['bytes'])} of text), whose captures end before {cutoff}. "
        f"Its id names every byte; its Merkle root is {str(tree.get('root', 'not stated'))[:16]}."
    )
    verified = (
        f"{share(totals['eligible'], totals['documents'], 'documents')}, {size(totals['eligible_bytes'])}, may count as human in a mix that accepts their attestation: "
        f"unchanged since they were frozen, and dated before {cutoff} as far as their witnesses’ word goes. How much machine text hides among them is an estimate, and is not made here."
    )
    said = rests_on({row["attestation"]: row["eligible_bytes"] for row in levels}, "bytes")
    declaration = opened.manifest.get("declaration")
    words: Child = join(said, f" The declaration reads: “{declaration}”") if declaration else said
    return [("What is this?", what), ("How much is verified human?", verified), ("What rests on whose word?", words)]


def by_year(con: "Con") -> Markup:
    found = [
        (row["year"], [row["eligible"], row["documents"] - row["eligible"]])
        for row in rows(con, named_queries()["snapshot_by_year"].sql)
    ]
    undated = next((sum(values) for year, values in found if year == "no date"), 0)
    dated = dict(item for item in found if item[0] != "no date")
    lead = "By the end of each capture interval."
    if undated:
        lead += f" {plural(undated, 'document')} without a capture time stand on a declaration and are not shown."
    if not dated:
        return section("The human side by year", lead, nothing("No document has a capture time."))
    labels = [str(year) for year in range(int(min(dated)), int(max(dated)) + 1)]
    stacks = [dated.get(label, [0, 0]) for label in labels]
    chart = svg.columns("Documents by year", lead, labels, stacks, SIDES)
    numbers = [[label, *stack] for label, stack in zip(labels, stacks, strict=True)]
    return section(
        "The human side by year",
        lead,
        figure("Documents", "By year of capture", chart, SIDES, ["year", *(s.label for s in SIDES)], numbers),
    )


def by_attestation(levels: list[dict[str, Any]]) -> Markup:
    lead = "Who says the date, from the weakest word to the strongest. A mix states the weakest that it accepts."
    if not levels:
        return section("By attestation", lead, nothing("There are no documents."))
    drawn = [(row["attestation"], [row["eligible"], row["documents"] - row["eligible"]]) for row in levels]
    chart = svg.bars("Documents by attestation", lead, drawn, SIDES)
    numbers = [
        [row["attestation"], row["documents"], row["eligible"], row["bytes"], row["eligible_bytes"], row["witnesses"]]
        for row in levels
    ]
    head = ["level", "documents", "eligible", "bytes", "eligible bytes", "witnesses"]
    return section("By attestation", lead, figure("Documents", "By level", chart, SIDES, head, numbers))


def witnesses(con: "Con") -> Markup:
    found = rows(con, named_queries()["snapshot_by_witness"].sql)
    lead = "The witnesses by name, the heaviest first. If one of them is not to be believed, its share of the human side falls with it."
    if not found:
        return section("Witnesses", lead, nothing("Nothing is eligible, so nobody’s word is needed."))
    total = sum(row["bytes"] for row in found)
    drawn = page.top_rows([(row["witness"], [row["bytes"]]) for row in found], 10)
    notes = [f"{size(values[0])}  ({percent(values[0], total)})" for _, values in drawn]
    kind = svg.Series("human", "eligible bytes")
    chart = svg.bars("Eligible bytes by witness", lead, drawn, [kind], notes)
    numbers = [[row["witness"], row["attestation"], row["documents"], row["bytes"], percent(row["bytes"], total)] for row in found]
    return section(
        "Witnesses",
        lead,
        figure("Eligible text", "Bytes by witness", chart, [kind], ["witness", "level", "documents", "bytes", "share"], numbers),
    )


def by_language(con: "Con") -> Markup:
    found = page.language_rows(
        [(row["language"], [row["eligible"], row["documents"] - row["eligible"]]) for row in rows(con, BY_LANGUAGE)]
    )
    lead = "By the most likely language of each text."
    if not found:
        return section("By language", lead, nothing("There are no documents."))
    chart = svg.bars("Documents by language", lead, page.top_rows(found), SIDES)
    numbers = [[label, *values] for label, values in page.top_rows(found, 100)]
    return section(
        "By language",
        lead,
        figure(plural(len(found), "language"), "Documents", chart, SIDES, ["language", *(s.label for s in SIDES)], numbers),
    )


def ineligible(con: "Con", documents: int) -> Markup:
    found = rows(con, named_queries()["snapshot_ineligible"].sql)
    lead = "Old is not the same as human: what shows signs of machine translation, or is too short to tell, stays frozen but counts for nobody."
    if not found:
        return section("What may not count, and why", lead, nothing("Every document may count."))
    kind = svg.Series("not", "may not count")
    total = sum(row["documents"] for row in found)
    chart = svg.bars(
        "Ineligible documents by reason", lead, page.top_rows([(row["reason"], [row["documents"]]) for row in found], 15), [kind]
    )
    numbers = [[row["reason"], row["documents"], row["bytes"]] for row in found]
    return section(
        "What may not count, and why",
        lead,
        figure(share(total, documents, "documents"), "By reason", chart, [kind], ["reason", "documents", "bytes"], numbers),
    )


def texts(con: "Con") -> Markup:
    """Twenty texts of each side, drawn by a digest of their keys."""
    groups = []
    for eligible, kind in ((True, SIDES[0]), (False, SIDES[1])):
        total = con.execute("SELECT count(*) FROM documents WHERE coalesce(eligible, false) = ?", [eligible]).fetchall()[0][0]
        chosen = "SELECT key FROM documents WHERE coalesce(eligible, false) = ? ORDER BY sha256(key), key LIMIT ?"
        keys = page.listed(key for (key,) in con.execute(chosen, [eligible, page.SAMPLE]).fetchall())
        start = f"left(text, {page.EXCERPT}) AS start, length(text) AS whole"
        sample = rows(con, f"SELECT * EXCLUDE (text), {start} FROM documents WHERE key IN {keys} ORDER BY sha256(key), key")
        found = [Excerpt(row["start"] or "", row["language"], about(row), _reasons(row)) for row in sample]
        groups.append(
            page.excerpts(kind.style, kind.label, f"— {count(len(found))} of {count(total)}" if total else "— none", found)
        )
    return section("Texts", "Up to twenty texts of each side, drawn by a digest of their keys.", join(*groups))


def _reasons(row: dict[str, Any]) -> list[tuple[str, str]]:
    said = [(f"Attestation: {row['attestation']}", f"by {row['witness'] or 'no witness'}")]
    return said if row["eligible"] else [*said, ("May not count as human", str(row["ineligible_reason"] or "no reason stated"))]
