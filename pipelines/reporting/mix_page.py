"""The page of a mix: whether the floor holds at every row, recomputed from the shards, and what the human side is made of."""

from fractions import Fraction
from typing import TYPE_CHECKING, Any

from pipelines.reporting import mix_parts, page, shares, svg
from pipelines.reporting.markup import (
    LEVEL_WORDS,
    ORIGIN_LABELS,
    Child,
    Markup,
    count,
    element,
    join,
    percent,
    plural,
    rests_on,
    share,
    size,
    table,
)
from pipelines.reporting.page import ORIGIN_SERIES, figure, nothing, notice, rows, section
from provenance.schema import ORIGINS
from store import shards
from store.catalog import flatten, named_queries
from store.manifest import Opened
from store.mixing import OF_RUNS, OF_SNAPSHOT
from store.verify_mix import FLOOR

if TYPE_CHECKING:
    import duckdb

    Con = duckdb.DuckDBPyConnection

SHOWN = 4
"""Shards whose course is drawn; every shard is in the table."""

POINTS = 240
"""Steps of a curve. Each is the row with the least human share among its neighbours, so that no dip is smoothed away."""

RUNNING = """
CREATE TEMP TABLE running AS
SELECT shard, row, sum(human) OVER prefix AS human, sum(total) OVER prefix AS total FROM ({rows})
WINDOW prefix AS (PARTITION BY shard ORDER BY row)
"""
ROWS = {
    "bytes": "SELECT shard, row, CASE WHEN origin = 'human' THEN bytes ELSE 0 END::HUGEINT AS human, bytes::HUGEINT AS total FROM pieces",
    # A row of packed tokens is of several documents.
    "tokens": "SELECT shard, row, coalesce(sum(tokens) FILTER (origin = 'human'), 0)::HUGEINT AS human, sum(tokens)::HUGEINT AS total "
    "FROM pieces GROUP BY shard, row",
}
"""The human and all units of each row, by what the rows of a format are counted in."""
SHARDS = """
SELECT shard, count(*) AS rows, max(total)::BIGINT AS units, max(human)::BIGINT AS human_units, min({surplus}) AS least,
       arg_min(row, ({surplus}, row)) AS at_row, count(*) FILTER (WHERE {surplus} < 0) AS below,
       arg_min({surplus}, -row) AS last
FROM running GROUP BY shard ORDER BY shard
"""
CURVE = """
SELECT arg_min(human, (human / total, row))::BIGINT AS human, arg_min(total, (human / total, row))::BIGINT AS total
FROM running WHERE shard = ? AND total > 0 GROUP BY row * {points} // (SELECT count(*) FROM running WHERE shard = ?) ORDER BY total
"""


def floor_of(opened: Opened) -> Fraction | None:
    """The floor that the mix promises, exactly; None where its manifest does not state one."""
    values = {key: value for key, value in flatten(opened.manifest) if key.rsplit(".", 1)[-1] == "floor"}
    for key in sorted(values, key=lambda key: (key.count("."), key)):
        if FLOOR.fullmatch(values[key]):
            return Fraction(values[key])
    return None


def promised_units(opened: Opened) -> list[str]:
    """Units in which the floor is promised."""
    manifest, config = opened.manifest, opened.manifest.get("config") or {}
    found = manifest.get("units") or (config.get("mix") or config).get("units") or ["bytes"]
    return [str(unit) for unit in found]


def render(opened: Opened, con: "Con", name: str, verification: dict[str, Any] | None) -> bytes:
    """The page as bytes. `verification` is the summary of `verify`, or None where it did not run."""
    unit = "tokens" if shards.named(opened.manifest["config"]["mix"]["format"]).TOKENS else "bytes"
    con.execute(RUNNING.format(rows=ROWS[unit]))
    floor = floor_of(opened)
    failed = page.failed(verification)
    parts = rows(con, SHARDS.format(surplus=_surplus(floor or Fraction(0))))
    made = rows(con, named_queries()["mix_by_origin"].sql)
    total, human = sum(row[unit] for row in made), sum(row[unit] for row in made if row["origin"] == "human")
    documents = con.execute("SELECT count(DISTINCT key) FROM pieces").fetchall()[0][0]
    lowest = min(((part["least"], part["shard"]) for part in parts), default=None)
    figures = [
        (count(documents), "documents"),
        (amount(total, unit), "of text, repeats included"),
        (percent(human, total), f"of the {unit} claim to be human; nothing is proven" if failed else f"of the {unit} are human"),
        (svg.floor_text(floor) if floor is not None else "–", "promised at every prefix"),
        (_least(lowest[0], floor, unit) if lowest and floor is not None else "–", "least surplus over the floor"),
    ]
    body = [
        _status(verification, opened),
        floors(con, parts, floor, promised_units(opened), unit),
        mix_parts.orders(opened),
        composition(made, unit),
        shares.purity(opened),
        mix_parts.machine_share(opened),
        supply(opened, con),
        shares.survival(con, "mix"),
        mix_parts.strata(opened),
        mix_parts.coverage(opened),
        by_year(con, unit),
        epochs(con, unit),
        promised(opened),
        page.settings(con),
    ]
    return page.page(
        name, "mix", f"mix {opened.id}", _answers(opened, made, documents, len(parts), floor, failed, unit), figures, body
    )


def _surplus(floor: Fraction) -> str:
    """Integer surplus over the floor, in 1/denominator of a byte: q human - p total."""
    return f"({floor.denominator}::HUGEINT * human - {floor.numerator}::HUGEINT * total)"


def amount(number: int, unit: str) -> str:
    """So many bytes in the unit that suits them, or so many tokens."""
    return size(number) if unit == "bytes" else plural(number, "token")


def _least(surplus: int, floor: Fraction, unit: str) -> str:
    return ("−" if surplus < 0 else "") + amount(abs(surplus) // floor.denominator, unit)


def snapshots_of(opened: Opened) -> list[tuple[str, str]]:
    """(id, cutoff) of each snapshot that the human side is drawn from, as the manifest states them."""
    stated = opened.manifest.get("snapshots") or opened.manifest.get("snapshot") or []
    listed = stated if isinstance(stated, list) else [stated]
    cutoff = str(opened.manifest.get("cutoff", ""))
    return [
        (entry["id"], str(entry.get("cutoff", cutoff))[:10]) if isinstance(entry, dict) else (str(entry), cutoff[:10])
        for entry in listed
    ]


def _answers(
    opened: Opened, made: list[dict[str, Any]], documents: int, files: int, floor: Fraction | None, failed: bool, unit: str
) -> list[tuple[str, Child]]:
    total = sum(row[unit] for row in made)
    levels: dict[str, int] = {}
    for row in made:
        if row["origin"] == "human":
            levels[row["attestation"]] = levels.get(row["attestation"], 0) + row[unit]
    human = sum(levels.values())
    drawn = snapshots_of(opened)
    since = ", ".join(sorted({cutoff for _, cutoff in drawn if cutoff})) or "the snapshot’s cutoff"
    names = " and ".join(identity[:12] for identity, _ in drawn) or "a snapshot that its manifest does not name"
    words = ", and by ".join(LEVEL_WORDS.get(level, level) for level in sorted(levels)) or "nobody"
    what = f"A training mix: {plural(documents, 'document')} in {plural(files, 'shard')}, {amount(total, unit)} of text. Its human side is drawn from snapshot {names}."
    verified = f"{percent(human, total)} of the {unit} ({amount(human, unit)} of {amount(total, unit)}): unchanged since they were frozen; dated before {since} by {words}."
    if not human:
        verified = "Nothing: no row of the shards is human."
    elif failed:
        verified = (
            f"Nothing, until verify passes. The shards’ own tags claim {percent(human, total)} of the {unit}; a tag proves nothing."
        )
    if human and not failed and floor is not None:
        verified += f" At least {svg.floor_text(floor)} is promised at every row of every shard."
    return [
        ("What is this?", what),
        ("How much is verified human?", verified),
        ("What rests on whose word?", rests_on(levels, unit)),
    ]


def _status(verification: dict[str, Any] | None, opened: Opened) -> Markup:
    """What `verify` said, or that it was not asked."""
    drawn = ", ".join(identity for identity, _ in snapshots_of(opened)) or "not stated"
    anchor = join("Snapshot id to compare with the one that you trust: ", element("code", drawn))
    return page.status(
        verification,
        anchor,
        bad="Do not train on this.",
        unasked="The files and the inclusion proofs were not checked for this page: run lowbackground verify.",
        unanchored="The shards, their proofs and the manifest agree with each other; whether they rest on a snapshot that you trust, only its id can say.",
    )


def floors(con: "Con", parts: list[dict[str, Any]], floor: Fraction | None, promise: list[str], unit: str) -> Markup:
    """The course of the human share in the first shards, and the least surplus of every shard."""
    lead = f"The human share of all {unit} up to each row. A shard stands alone: whatever prefix of whatever shard is read, the curve must not pass below the line."
    if not parts:
        return section("The floor along a shard", lead, nothing("The mix has no rows."))
    if floor is None:
        return section("The floor along a shard", lead, nothing("The manifest states no floor."))
    aside = "" if unit in promise else f" The floor is promised in {' and '.join(promise)}, not in {unit}; by {unit} it may dip."
    below = [part for part in parts if part["below"]]
    verdict = notice(
        "good",
        f"Recomputed for this page from the shards’ own {'text' if unit == 'bytes' else 'spans of tokens'}, in integers: the floor of {svg.floor_text(floor)} holds by {unit} at every row of {plural(len(parts), 'shard')}.",
    )
    if below:
        first = below[0]
        rows_below = sum(part["below"] for part in below)
        where = f"by {unit}, {plural(rows_below, 'row')} in {plural(len(below), 'shard')} end below {svg.floor_text(floor)}; the lowest of shard {first['shard']} is row {first['at_row']}."
        verdict = notice(
            "bad" if not aside else "",
            element("strong", "The floor does not hold: " if not aside else "Below the line: "),
            where + aside,
        )
    drawn = []
    for part in parts[:SHOWN]:
        points = con.execute(CURVE.format(points=POINTS), [part["shard"], part["shard"]]).fetchall()
        title = f"Shard {part['shard']}"
        alone = len(parts) == 1
        chart = svg.along(
            f"{title}: human share at every prefix", lead, points, floor, *((svg.WIDTH, 200) if alone else (372, 190))
        )
        drawn.append(element("div", element("p", f"{title} · {count(part['rows'])} rows"), chart))
    head = ["shard", "rows", unit, f"human {unit}", "human share", "least surplus", "at row", "surplus at the end"]
    numbers = [
        [
            part["shard"],
            part["rows"],
            part["units"],
            part["human_units"],
            percent(part["human_units"], part["units"]),
            _least(part["least"], floor, unit),
            part["at_row"],
            _least(part["last"], floor, unit),
        ]
        for part in parts
    ]
    say = "Each step of a curve is the lowest share among its rows, so no dip is smoothed away. The scale leaves out the first rows, where a few human texts are all there is."
    picture = element(
        "figure",
        element(
            "figcaption",
            f"Human share at every prefix of {'the shard' if len(parts) == 1 else f'the first {min(SHOWN, len(parts))} shards'}",
        ),
        element("p", say, class_="say"),
        element("div", drawn, class_="pair" if len(parts) > 1 else "chart"),
        element("details", element("summary", "Numbers of every shard"), table(head, numbers)),
    )
    return section("The floor along a shard", lead, verdict, picture)


def composition(made: list[dict[str, Any]], unit: str) -> Markup:
    lead = "What the shards hold, by origin. Repeats count each time."
    if not made:
        return section("What it is made of", lead, nothing("The mix has no rows."))
    total = sum(row[unit] for row in made)
    of = {origin: sum(row[unit] for row in made if row["origin"] == origin) for origin in ORIGINS}
    drawn = [
        (ORIGIN_LABELS[origin], [of[origin] if origin == other else 0 for other in ORIGINS]) for origin in ORIGINS if of[origin]
    ]
    notes = [f"{amount(sum(values), unit)}  ({percent(sum(values), total)})" for _, values in drawn]
    chart = svg.bars(f"{unit.capitalize()} by origin", lead, drawn, ORIGIN_SERIES, notes)
    numbers = [
        [row["origin"], row["attestation"], row["rows"], row["documents"], row[unit], percent(row[unit], total)] for row in made
    ]
    head = ["origin", "attestation", "rows", "documents", unit, "share"]
    return section(
        "What it is made of",
        lead,
        figure("Text by origin", "UTF-8 bytes" if unit == "bytes" else "Tokens that bear loss", chart, [], head, numbers),
    )


def supply(opened: Opened, con: "Con") -> Markup | None:
    """From the documents that were there to those in the shards, where the manifest states what was there."""
    stated = opened.manifest.get("stated") or {}
    frozen, crawled = stated.get("supply"), stated.get("crawled")
    if frozen is None or crawled is None:
        return None
    held = dict(con.execute("SELECT origin, count(DISTINCT key) FROM pieces GROUP BY origin ORDER BY origin").fetchall())
    drawn = [
        ("texts that may count as human", [sum(level["documents"] for level in frozen.values()), 0, 0, 0]),
        ("kept in the runs", [crawled.get(origin, {}).get("documents", 0) for origin in ORIGINS]),
        ("in the shards", [held.get(origin, 0) for origin in ORIGINS]),
    ]
    lead = "What the snapshot (distinct texts) and the runs offer, at any attestation, and what the floor, the ceilings and the budget let in. The rest is left over, and not lost."
    chart = svg.bars("Documents offered and taken", lead, drawn, ORIGIN_SERIES)
    numbers = [[label, sum(values), *values] for label, values in drawn]
    head = ["", "all", *(ORIGIN_LABELS[origin] for origin in ORIGINS)]
    other = stated.get("alternative") or {}
    instead = None
    if {"what", "unique", "unit", "total", "effective"} <= set(other):
        instead = notice(
            "",
            f"The alternative without any other text: {other['what']}. {count(other['unique'])} {other['unit']} become {count(other['total'])}, "
            f"worth {count(other['effective'])} read once.",
        )
    return section(
        "From the runs to the shards",
        lead,
        figure("Documents", "Repeats counted once", chart, ORIGIN_SERIES, head, numbers, [values for _, values in drawn]),
        instead,
        _aside(stated),
    )


def _aside(stated: dict[str, Any]) -> Markup | None:
    """What could not be drawn from the snapshot and the runs, which near copies entered, and where copies were only estimated."""
    kept_out, blind = stated.get("kept_out") or {}, stated.get("estimated_against") or []
    said = []
    for source, listed in (("the snapshot", OF_SNAPSHOT), ("the runs", OF_RUNS)):
        there = {name: kept_out[name] for name in listed if kept_out.get(name)}
        if there:
            reasons = " and ".join(f"{count(number)} {name.replace('_', ' ')}" for name, number in there.items())
            said.append(f"Documents of {source} that could not be drawn: {reasons}.")
    near = stated.get("near_human") or {}
    if near.get("documents"):
        size = count(near["bytes"])
        said.append(f"Near copies of human documents among the others: {plural(near['documents'], 'document')}, {size} bytes.")
    if blind:
        names = " and ".join(name[:12] for name in blind)
        said.append(f"Near copies of documents of {names}, which holds no texts, were found by an estimate from the sketches.")
    return notice("", *said) if said else None


def by_year(con: "Con", unit: str) -> Markup:
    found = rows(con, named_queries()["mix_by_year"].sql)
    undated = sum(row["documents"] for row in found if row["year"] == "no date")
    dated = {row["year"]: row for row in found if row["year"] != "no date"}
    lead = "When the human side was captured; repeats are counted once. A floor of frozen text is a floor of old knowledge."
    if undated:
        lead += f" {plural(undated, 'document')} without a capture time stand on a declaration and are not shown."
    if not dated:
        return section("The human side by year", lead, nothing("No human document has a capture time."))
    labels = [str(year) for year in range(int(min(dated)), int(max(dated)) + 1)]
    stacks = [[dated[label]["documents"]] if label in dated else [0] for label in labels]
    chart = svg.columns("Human documents by year", lead, labels, stacks, [ORIGIN_SERIES[0]])
    numbers = [[label, dated[label]["documents"], dated[label][unit]] if label in dated else [label, 0, 0] for label in labels]
    return section(
        "The human side by year",
        lead,
        figure("Documents", "By year of capture", chart, [ORIGIN_SERIES[0]], ["year", "documents", unit], numbers),
    )


def epochs(con: "Con", unit: str) -> Markup:
    """How often human documents stand in the mix."""
    found = con.execute(
        f"SELECT times, count(*), sum(units)::BIGINT FROM (SELECT key, count(DISTINCT epoch) AS times, sum({unit}) AS units FROM pieces "
        "WHERE origin = 'human' GROUP BY key) GROUP BY times ORDER BY times"
    ).fetchall()
    lead = "Human text may be repeated; four passes are worth about 3.7 times one, and more are worth less and less."
    if not found:
        return section("Repetition", lead, nothing("There are no human documents."))
    documents = sum(number for _, number, _ in found)
    drawn = [(f"{times}×" if times > 1 else "once", [number]) for times, number, _ in found]
    chart = svg.bars("Human documents by number of passes", lead, drawn, [ORIGIN_SERIES[0]])
    again = sum(number for times, number, _ in found if times > 1)
    say = f"{share(again, documents, 'human documents')} stand more than once"
    return section("Repetition", lead, figure("Passes over human documents", say, chart, [], ["passes", "documents", unit], found))


def promised(opened: Opened) -> Markup | None:
    """What was asked for beside what came out, as the manifest states both."""
    asked, got = (dict(flatten(opened.manifest.get(name) or {})) for name in ("requested", "realised"))
    if not asked and not got:
        return None
    lead = "What was asked for and what came out. Short supply is said here, not hidden."
    numbers = [
        [key.replace("_", " ").replace(".", ", "), _figure(asked.get(key, "")), _figure(got.get(key, ""))]
        for key in sorted({*asked, *got})
    ]
    return section("Requested and realised", lead, element("figure", table(["", "requested", "realised"], numbers)))


def _figure(text: str) -> str:
    return count(int(text)) if text.isdigit() else "none" if text == "null" else text
