"""The page of a run: what came in, what it was taken for and why, and what is kept."""

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from pipelines.reporting import page, shares, svg
from pipelines.reporting.markup import ORIGIN_LABELS, Child, Markup, count, join, language_name, percent, plural, rests_on, share
from pipelines.reporting.page import ORIGIN_SERIES, Excerpt, figure, nothing, rows, section
from provenance.schema import ORIGINS
from store.catalog import named_queries
from store.manifest import Opened

if TYPE_CHECKING:
    import duckdb

    Con = duckdb.DuckDBPyConnection

LOST = svg.Series("not", "rejected")
READ = svg.Series("steel", "records")


def render(
    opened: Opened, con: "Con", name: str, in_mix: dict[str, int] | None = None, verification: dict[str, Any] | None = None
) -> bytes:
    """The page as bytes. `in_mix` has, by origin, the kept documents of this run that a mix holds; `verification` is the summary
    of `verify`, or None where it did not run."""
    steps = rows(con, named_queries()["funnel"].sql)
    records, documents, kept = (step["documents"] or 0 for step in steps)
    origins = {origin: steps[1][origin] for origin in ORIGINS}
    files = con.execute("SELECT count(DISTINCT (file_path, copy)) FROM sources").fetchall()[0][0]
    answers = _answers(opened, con, records, documents, kept, origins["human"], files, verification)
    human = "verified human" if verification else "tagged human, not verified here"
    figures = [
        (count(records), "records read"),
        (count(documents), "documents"),
        (count(kept), "kept"),
        (percent(origins["human"], documents), "claimed human; nothing is proven" if page.failed(verification) else human),
        (percent(origins["machine_generated"] + origins["machine_translated"], documents), "tagged machine-made"),
    ]
    body = [
        page.status(verification),
        funnel(steps, in_mix),
        shares.survival(con, "run"),
        shares.prevalence(opened, con),
        over_months(con),
        by_language(con),
        by_host(con),
        rejects(con),
        matches(con),
        texts(con),
        page.settings(con),
    ]
    return page.page(name, "run", f"run {opened.id}", answers, figures, body)


def _answers(
    opened: Opened,
    con: "Con",
    records: int,
    documents: int,
    kept: int,
    human: int,
    files: int,
    verification: dict[str, Any] | None,
) -> list[tuple[str, Child]]:
    snapshots = opened.manifest.get("snapshots", [])
    lost = con.execute(
        f"SELECT coalesce(sum(abs(lost)), 0)::BIGINT FROM ({named_queries()['sources_conservation'].sql})"
    ).fetchall()[0][0]
    balance = (
        "Every record is accounted for."
        if not lost
        else f"{plural(lost, 'record')} are NOT accounted for: run lowbackground verify."
    )
    against = " and ".join(f"snapshot {snapshot['id'][:12]} (cutoff {snapshot['cutoff'][:10]})" for snapshot in snapshots)
    what = f"A curated crawl. {plural(files, 'file')} with {plural(records, 'record')} became {plural(documents, 'document')}, of which {count(kept)} are kept. {balance}"
    if not snapshots:
        none = "None. The run was curated against no snapshot, so nothing in it can count as human."
        return [
            ("What is this?", what),
            ("How much is verified human?", none),
            ("What rests on whose word?", rests_on({}, "documents")),
        ]
    cutoff = ", ".join(sorted({snapshot["cutoff"][:10] for snapshot in snapshots}))
    verified = (
        f"{share(human, documents, 'documents')} equal an eligible document of {against}, {page.since(verification, 'that was')}dated before {cutoff}. "
        "They are dropped in favour of the snapshot’s own copy. Nothing else in a run counts as human, whatever its date."
    )
    if page.failed(verification):
        verified = f"{page.UNPROVEN} The run’s own tags claim {share(human, documents, 'documents')}; a tag proves nothing."
    if blind := [snapshot["id"][:12] for snapshot in snapshots if snapshot.get("index_only")]:
        what += f" Snapshot {' and '.join(blind)} holds no texts: near copies of its documents were found by an estimate from the sketches."
    levels = dict(con.execute("SELECT attestation, count(*) FROM tags WHERE origin = 'human' GROUP BY 1 ORDER BY 1").fetchall())
    return [
        ("What is this?", what),
        ("How much is verified human?", verified),
        ("What rests on whose word?", rests_on(levels, "documents")),
    ]


def funnel(steps: list[dict[str, Any]], in_mix: dict[str, int] | None) -> Markup:
    """From records to documents to kept, and to the shards of a mix where one is given; coloured by origin."""
    series = [READ, *ORIGIN_SERIES]
    drawn = [(str(steps[0]["stage"]), [steps[0]["documents"] or 0, 0, 0, 0, 0])]
    drawn += [(str(step["stage"]), [0, *(step[origin] for origin in ORIGINS)]) for step in steps[1:]]
    if in_mix is not None:
        drawn.append(("in the shards of the mix", [0, *(in_mix.get(origin, 0) for origin in ORIGINS)]))
    lead = "How many are left at each step, by origin. Origin is tagged before any quality filter, so that each filter’s effect on it shows."
    if not drawn[0][1][0]:
        return section("From records to documents", lead, nothing("No records were read."))
    notes = [f"{count(sum(values))}  ({percent(sum(values), drawn[0][1][0])})" for _, values in drawn]
    chart = svg.bars("Funnel", lead, drawn, series, notes)
    head = ["step", "all", *(ORIGIN_LABELS[origin] for origin in ORIGINS)]
    numbers = [[label, sum(values), *values[1:]] for label, values in drawn]
    return section(
        "From records to documents",
        lead,
        figure(
            "What is left",
            "Documents by step; in brackets, the share of all records",
            chart,
            series,
            head,
            numbers,
            [v for _, v in drawn],
        ),
    )


def over_months(con: "Con") -> Markup:
    unit, timeline, undated = page.over_time(page.by_origin(rows(con, named_queries()["origin_by_month"].sql), "month"))
    lead = "By the time of capture that each record states."
    if sum(undated):
        lead += f" {plural(sum(undated), 'document')} without a capture time {'is' if sum(undated) == 1 else 'are'} not shown."
    title = f"Origin by {unit}"
    if not timeline:
        return section(title, lead, nothing("No document has a capture time."))
    labels, stacks = [label for label, _ in timeline], [values for _, values in timeline]
    head, numbers = [unit, *(ORIGIN_LABELS[o] for o in ORIGINS)], [[label, *values] for label, values in timeline]
    amount = figure(
        "Documents",
        f"Captured in each {unit}",
        svg.columns(title, lead, labels, stacks, ORIGIN_SERIES),
        ORIGIN_SERIES,
        head,
        numbers,
        stacks,
    )
    shares = [[label, *(percent(value, sum(values)) for value in values)] for label, values in timeline]
    drawn = svg.columns(f"{title}, as shares", lead, labels, stacks, ORIGIN_SERIES, shares=True, height=170)
    return section(
        title,
        lead,
        amount,
        figure("Shares", f"Of the documents of each {unit}; a {unit} with few documents says little", drawn, [], head, shares),
    )


def _origin_bars(title: str, lead: str, caption: str, what: str, found: list[tuple[str, list[int]]], missing: str) -> Markup:
    if not found:
        return section(title, lead, nothing(missing))
    shown = page.top_rows(found)
    chart = svg.bars(title, lead, shown, ORIGIN_SERIES)
    numbers = [[label, *values, percent(values[1] + values[2], sum(values))] for label, values in page.top_rows(found, 100)]
    return section(
        title,
        lead,
        figure(
            caption,
            "Documents",
            chart,
            ORIGIN_SERIES,
            [what, *(ORIGIN_LABELS[o] for o in ORIGINS), "machine-made"],
            numbers,
            [values for _, values in shown],
        ),
    )


def by_language(con: "Con") -> Markup:
    found = page.language_rows(page.by_origin(rows(con, named_queries()["origin_by_language"].sql), "language"))
    lead = "By the most likely language of each text."
    return _origin_bars("Origin by language", lead, plural(len(found), "language"), "language", found, "There are no documents.")


def by_host(con: "Con") -> Markup:
    found = page.by_origin(rows(con, named_queries()["origin_by_host"].sql), "host")
    lead = "By the host of each address, the largest first."
    return _origin_bars("Origin by host", lead, plural(len(found), "host"), "host", found, "There are no documents.")


def rejects(con: "Con") -> Markup:
    """Reasons for rejects, of a run or of a snapshot."""
    found = rows(con, named_queries()["rejects_by_reason"].sql)
    lead = "Records that became no document, with the step at which each ended. Requests and descriptions of an archive are rejects too: every record is counted."
    if not found:
        return section("Rejects by reason", lead, nothing("No record was rejected."))
    drawn = page.top_rows([(f"{row['stage']}: {row['reason']}", [row["records"]]) for row in found], 15)
    total = sum(row["records"] for row in found)
    chart = svg.bars("Rejects by reason", lead, drawn, [LOST])
    numbers = [
        [row["stage"], row["reason"], row["records"], percent(row["records"], total), row["example_detail"]] for row in found
    ]
    head = ["step", "reason", "records", "share", "for example"]
    return section("Rejects by reason", lead, figure(plural(total, "reject"), "Records", chart, [LOST], head, numbers))


def matches(con: "Con") -> Markup:
    found = rows(con, named_queries()["matches_by_similarity"].sql)
    lead = "Sketches propose a pair, and its similarity decides. Identical texts are counted beneath the title and not drawn."
    estimated = con.execute("SELECT count(*) FROM matches WHERE NOT exact AND NOT identical").fetchall()[0][0]
    if estimated:
        lead += (
            f" The similarity of {plural(estimated, 'pair')} is the sketches' estimate, which left no doubt or had no text beside it: its "
            "standard error is 0.044 at most at 128 permutations. All others were measured on the texts."
        )
    if not found:
        return section("Matches by similarity", lead, nothing("No pairs were measured."))
    series = [
        svg.Series("human", "copy of a snapshot document"),
        svg.Series("steel", "copy within the crawl or of an earlier run"),
        svg.Series("not", "no copy"),
    ]
    columns = {round(row["similarity_from"] * 20): row for row in found}
    steps = range(min(columns), 20)
    labels = [f"{step / 20:.2f}" for step in steps]
    stacks = [
        [
            row["snapshot_duplicates"],
            row["crawl_duplicates"] + row["run_duplicates"],
            row["snapshot_others"] + row["crawl_others"] + row["run_others"],
        ]
        if (row := columns.get(step))
        else [0, 0, 0]
        for step in steps
    ]
    pairs, same = (sum(row[name] for row in found) for name in ("pairs", "identical"))
    say = f"Jaccard similarity of the shingle sets, in steps of 0.05; {share(same, pairs, 'pairs')} identical"
    chart = svg.columns("Matches by similarity", lead, labels, stacks, series)
    numbers = [[label, *stack] for label, stack in zip(labels, stacks, strict=True)]
    return section(
        "Matches by similarity",
        lead,
        figure(plural(pairs, "pair"), say, chart, series, ["from", *(s.label for s in series)], numbers, stacks),
    )


def _reasons(tag: dict[str, Any], evidence: list[dict[str, Any]], pairs: list[dict[str, Any]]) -> list[tuple[str, str]]:
    """What decided, in lines: the verdict, the signals that it rests on (first) and saw, and the pair it was dropped for."""
    said = []
    odds = "" if tag["p_machine"] is None else f" p(machine) {tag['p_machine']:.2f}."
    said.append(("Verdict", f"{tag['reason'] or 'none stated'}.{odds} Attestation: {tag['attestation']}."))
    for row in sorted(evidence, key=lambda row: (row["signal"] not in tag["basis"], row["signal"], row["version"])):
        weight = row["log_likelihood_ratio"]
        toward = "" if weight is None else f" ({'towards machine' if weight > 0 else 'away from machine'}, {weight:+.2f})"
        mark = "" if row["signal"] in tag["basis"] else " (seen, not decisive)"
        said.append((row["signal"], f"{row['detail'] or row['value']}{toward}{mark}"))
    for row in pairs:
        if row["other"] == tag["canonical"]:
            how = "measured" if row["exact"] else "equal by its digest," if row["identical"] else "estimated"
            where = {"crawl": "in the crawl", "run": "in an earlier run"}.get(row["scope"], "in the snapshot")
            more = ", captured at one URL" if row["address"] else ""
            said.append(("Copy of", f"{row['other']} {where}, {how} similarity {row['similarity']:.3f}{more}"))
    return said


def host_of(url: str | None) -> str:
    """The host of an address; what is no web address is said as it is."""
    try:
        return (urlsplit(url or "").hostname or url or "no address")[:120]
    except ValueError:
        return str(url)[:120]


def about(row: dict[str, Any]) -> str:
    """Where and when a document is from and how long it is, in one line."""
    date = row["date"].strftime("%Y-%m-%d") if row["date"] else "no date"
    return " · ".join((host_of(row["url"]), date, language_name(row["language"]), plural(row["whole"] or 0, "character")))


def texts(con: "Con") -> Markup:
    """Twenty texts of each origin. The order is that of a digest of the key: random, and the same every time."""
    totals = dict(con.execute("SELECT origin, count(*) FROM tags GROUP BY origin ORDER BY origin").fetchall())
    chosen = "SELECT * FROM tags WHERE origin = ? ORDER BY sha256(key), key LIMIT ?"
    sample = {origin: rows(con, chosen, [origin, page.SAMPLE]) for origin in ORIGINS}
    keys = page.listed(tag["key"] for tags in sample.values() for tag in tags)
    start = f"left(text, {page.EXCERPT}) AS start, length(text) AS whole"
    documents = {
        row["key"]: row for row in rows(con, f"SELECT key, url, date, language, {start} FROM documents WHERE key IN {keys}")
    }
    evidence = _by_key(rows(con, f"SELECT * FROM evidence WHERE key IN {keys} ORDER BY key, signal, version, detail"))
    pairs = _by_key(rows(con, f"SELECT * FROM matches WHERE key IN {keys} ORDER BY key, other"))

    def excerpt(tag: dict[str, Any]) -> Excerpt:
        row, key = documents[tag["key"]], tag["key"]
        reasons = _reasons({**tag, "basis": tag["basis"] or []}, evidence.get(key, []), pairs.get(key, []))
        return Excerpt(row["start"] or "", row["language"], about(row), reasons)

    groups = []
    for origin, tags in sample.items():
        found = [excerpt(tag) for tag in tags if tag["key"] in documents]
        say = f"— {count(len(found))} of {count(totals[origin])}" if found else "— none"
        groups.append(page.excerpts(origin, ORIGIN_LABELS[origin], say, found))
    lead = "Up to twenty texts of each origin, drawn by a digest of their keys, with the evidence that decided. Read a few before you trust a chart."
    return section("Texts", lead, join(*groups))


def _by_key(found: list[dict[str, Any]]) -> dict[str, list[dict[str, Any]]]:
    grouped: dict[str, list[dict[str, Any]]] = {}
    for row in found:
        grouped.setdefault(row["key"], []).append(row)
    return grouped
