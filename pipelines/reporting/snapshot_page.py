"""The page of a snapshot: what is frozen, what of it may count as human and why the rest may not, and whose word the dates rest on."""

from typing import TYPE_CHECKING, Any

from pipelines.reporting import page, svg
from pipelines.reporting.markup import Child, Markup, count, element, join, percent, plural, rests_on, share, size, table
from pipelines.reporting.page import Excerpt, figure, nothing, notice, rows, section
from pipelines.reporting.run_page import about, rejects
from provenance.schema import ATTESTATIONS, LEAVES
from store.catalog import named_queries
from store.errors import CheckFailed
from store.manifest import Opened, open_version
from store.sql import best_leaves

if TYPE_CHECKING:
    import duckdb

    Con = duckdb.DuckDBPyConnection

SIDES = [svg.Series("human", "may count as human"), svg.Series("not", "may not count")]
KINDS = {
    "eligible": ("may count as human", ""),
    "translated": ("machine-translation evidence", "translation_markup:%"),
    "markup": ("decisive markup", "disclosure:%"),
    "residue": ("residue", "residue:%"),
    "boilerplate": ("boilerplate", "boilerplate%"),
    "short": ("short texts", "fewer than %"),
    "false": ("captures that look false", "the capture looks false:%"),
    "redacted": ("redacted", "redacted%"),
    "other": ("other reasons", "%"),
}
"""What can become of a document: a name, what it is called, and how the reason of those begins that may not count."""

SHOWN = {
    svg.Series("human", KINDS["eligible"][0]): ("eligible",),
    svg.Series("machine_translated", KINDS["translated"][0]): ("translated",),
    svg.Series("machine_generated", "decisive markup or residue"): ("markup", "residue"),
    svg.Series("steel", KINDS["boilerplate"][0]): ("boilerplate",),
    svg.Series("unknown", KINDS["short"][0]): ("short",),
    svg.Series("not", KINDS["other"][0]): ("false", "redacted", "other"),
}
"""The colours of a chart, and the kinds that each stands for."""

_CASES = " ".join(
    f"WHEN reason LIKE '{like.replace('_', '^_')}' ESCAPE '^' THEN '{kind}'" for kind, (_, like) in KINDS.items() if like
)
_STANDING = f"""
CREATE TEMP TABLE standing AS
SELECT language, year, attestation, witness, CASE WHEN eligible THEN 'eligible' {_CASES} END AS kind,
  count(*) AS documents, coalesce(sum(byte_count), 0)::BIGINT AS bytes
FROM (
  SELECT coalesce(d.language, 'unknown') AS language, coalesce(strftime(coalesce(best.date_end, d.date_end), '%Y'), 'no date') AS year,
    coalesce(best.attestation, d.attestation) AS attestation, coalesce(best.witness, d.witness, 'none') AS witness,
    coalesce(d.eligible AND best.eligible, false) AS eligible, coalesce(ineligible_reason, '') AS reason, byte_count
  FROM documents d LEFT JOIN ({best_leaves()}) best USING (key)
) GROUP BY ALL
"""
"""Documents and bytes by all that this page tells them apart by; a document stands as its best leaf says."""

_LEVELS = """
SELECT attestation, sum(documents)::BIGINT AS documents, coalesce(sum(documents) FILTER (WHERE kind = 'eligible'), 0)::BIGINT AS eligible,
  sum(bytes)::BIGINT AS bytes, coalesce(sum(bytes) FILTER (WHERE kind = 'eligible'), 0)::BIGINT AS eligible_bytes,
  count(DISTINCT witness) AS witnesses
FROM standing GROUP BY attestation ORDER BY list_position(?, attestation)
"""
_WITNESSES = """
SELECT witness, attestation, sum(documents)::BIGINT AS documents, sum(bytes)::BIGINT AS bytes
FROM standing WHERE kind = 'eligible' GROUP BY ALL ORDER BY bytes DESC, witness, attestation
"""
_EXTENSION = """
SELECT count(*) FILTER (WHERE names = ''), count(*) FILTER (WHERE names <> ''), count(*) FILTER (WHERE redacted IS NOT NULL),
  coalesce(sum(text_bytes) FILTER (WHERE names = ''), 0)::BIGINT
FROM leaves WHERE "index" >= ? AND "index" < ?
"""


def render(opened: Opened, con: "Con", name: str, verification: dict[str, Any] | None = None) -> bytes:
    """The page as bytes. `verification` is the summary of `verify`, or None where it did not run."""
    if not opened.entries("leaves"):
        con.register("leaves", LEAVES.empty_table())
    con.execute(_STANDING)
    levels = rows(con, _LEVELS, [list(ATTESTATIONS)])
    totals = {column: sum(row[column] for row in levels) for column in ("documents", "eligible", "bytes", "eligible_bytes")}
    bad = page.failed(verification)
    figures = [
        (count(totals["documents"]), "documents frozen"),
        (count(totals["eligible"]), "may count as human, it claims; nothing is proven" if bad else "may count as human"),
        (size(totals["eligible_bytes"]), "of text that may count, it claims" if bad else "of text that may count"),
        (str(opened.manifest["cutoff"])[:10], "cutoff, in UTC"),
    ]
    body = [
        page.status(verification),
        _index_only(opened),
        by_year(con),
        by_attestation(levels),
        witnesses(opened, con),
        by_language(con),
        ineligible(con, totals["documents"]),
        versions(opened, con),
        rejects(con),
        texts(opened, con),
        page.settings(con),
    ]
    return page.page(name, "snapshot", f"snapshot {opened.id}", _answers(opened, levels, totals, verification), figures, body)


def _index_only(opened: Opened) -> Markup | None:
    if not opened.index_only:
        return None
    return notice(
        "open",
        element("strong", "Index only: leaves and sketches, no texts."),
        "A crawl can be deduplicated against it: equal texts are found by their digests, near copies by an estimate from the sketches. "
        "A mix cannot draw human rows from it.",
    )


def _answers(
    opened: Opened, levels: list[dict[str, Any]], totals: dict[str, int], verification: dict[str, Any] | None
) -> list[tuple[str, Child]]:
    cutoff, tree = str(opened.manifest["cutoff"])[:10], opened.manifest.get("tree", {})
    kind = "An index-only snapshot" if opened.index_only else "A frozen snapshot"
    what = (
        f"{kind} of {plural(totals['documents'], 'document')} ({size(totals['bytes'])} of text), whose captures end before {cutoff}. "
        f"Its id names every byte; its Merkle root is {str(tree.get('root', 'not stated'))[:16]}."
    )
    if gone := opened.redacted:
        what += (
            f" The texts of {plural(gone, 'leaf', 'leaves')} were redacted; the leaves’ hashes stay, so that the root still proves."
        )
    claimed = f"{share(totals['eligible'], totals['documents'], 'documents')}, {size(totals['eligible_bytes'])}"
    verified = f"{claimed}, may count as human in a mix that accepts their attestation: {page.since(verification, 'they were')}and dated before {cutoff} as far as their witnesses’ word goes. How much machine text hides among them is an estimate, and is not made here."
    if page.failed(verification):
        verified = f"{page.UNPROVEN} The snapshot’s own rows claim that {claimed}, may count; a row proves nothing."
    said = rests_on({row["attestation"]: row["eligible_bytes"] for row in levels}, "bytes")
    declaration = opened.manifest.get("declaration")
    words: Child = join(said, f" The declaration reads: “{declaration}”") if declaration else said
    return [("What is this?", what), ("How much is verified human?", verified), ("What rests on whose word?", words)]


def _by(con: "Con", column: str) -> dict[str, dict[str, int]]:
    """Documents by the values of a column of `standing`, the most frequent first, and by kind."""
    found: dict[str, dict[str, int]] = {}
    query = f"""
        SELECT {column}, kind, sum(documents)::BIGINT AS documents, sum(sum(documents)) OVER (PARTITION BY {column}) AS whole
        FROM standing GROUP BY {column}, kind ORDER BY whole DESC, {column}, kind
    """
    for value, kind, documents, _ in con.execute(query).fetchall():
        found.setdefault(str(value), {})[kind] = documents
    return found


def _stack(kinds: dict[str, int]) -> list[int]:
    """The values of one bar, in the order of `SHOWN`."""
    return [sum(kinds.get(kind, 0) for kind in shown) for shown in SHOWN.values()]


def _numbers(what: str, found: list[tuple[str, dict[str, int]]]) -> tuple[list[str], list[list[object]]]:
    """Head and rows of the table of all kinds: those that the freeze looks for always, others where there are any."""
    there = {kind for _, kinds in found for kind in kinds} | {"eligible", "translated", "markup", "residue", "boilerplate", "short"}
    kinds = [kind for kind in KINDS if kind in there]
    head = [what, "documents", *(KINDS[kind][0] for kind in kinds)]
    return head, [[label, sum(row.values()), *(row.get(kind, 0) for kind in kinds)] for label, row in found]


def by_year(con: "Con") -> Markup:
    title, lead = (
        "The human side by year",
        "By the end of each capture interval: what may count as human, and why the rest may not.",
    )
    found = _by(con, "year")
    undated = found.pop("no date", {})
    lead += _undated(undated)
    if not found:
        return section(title, lead, nothing("No document has a capture time."))
    labels = [f"{year:04d}" for year in range(int(min(found)), int(max(found)) + 1)]
    stacks = [_stack(found.get(label, {})) for label in labels]
    chart = svg.columns("Documents by year", lead, labels, stacks, list(SHOWN))
    numbers = [(label, found.get(label, {})) for label in labels] + ([("no date", undated)] if undated else [])
    return section(title, lead, figure("Documents", "By year of capture", chart, list(SHOWN), *_numbers("year", numbers), stacks))


def _undated(kinds: dict[str, int]) -> str:
    """Why some documents are not in the years."""
    redacted = kinds.get("redacted", 0)
    declared = sum(kinds.values()) - redacted
    said = []
    if declared:
        said.append(
            f"{plural(declared, 'document')} without a capture time {'stands' if declared == 1 else 'stand'} on a declaration"
        )
    if redacted:
        said.append(f"{plural(redacted, 'document')} {'was' if redacted == 1 else 'were'} redacted")
    return f" Not shown: {'; '.join(said)}." if said else ""


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
    return section("By attestation", lead, figure("Documents", "By level", chart, SIDES, head, numbers, [v for _, v in drawn]))


def witnesses(opened: Opened, con: "Con") -> Markup:
    """Eligible text by witness; who keeps each that the trust list names, and since when its statement is known."""
    found, trusted = rows(con, _WITNESSES), opened.manifest.get("witnesses") or {}
    lead = "The witnesses by name, the heaviest first. If one of them is not to be believed, its share of the human side falls with it."
    if not found:
        return section("Witnesses", lead, nothing("Nothing is eligible, so nobody’s word is needed."))
    total = sum(row["bytes"] for row in found)
    drawn = page.top_rows([(row["witness"], [row["bytes"]]) for row in found], 10)
    notes = [f"{size(values[0])}  ({percent(values[0], total)})" for _, values in drawn]
    kind = svg.Series("human", "eligible bytes")
    chart = svg.bars("Eligible bytes by witness", lead, drawn, [kind], notes)
    head = ["witness", "level", "what it is", "custodian", "published", "documents", "bytes", "share"]
    own = {"kind": "the owner’s own word", "custodian": "whoever froze it", "published": "with this snapshot"}
    numbers = []
    for row in found:
        known = trusted.get(row["witness"], own)
        said = [str(known.get(name) or "not stated") for name in ("kind", "custodian")]
        since = str(known.get("published") or "not stated")
        said.append(since[:10] if known is not own else since)
        numbers.append([row["witness"], row["attestation"], *said, row["documents"], row["bytes"], percent(row["bytes"], total)])
    return section("Witnesses", lead, figure("Eligible text", "Bytes by witness", chart, [kind], head, numbers))


def by_language(con: "Con") -> Markup:
    title, lead = "By language", "By the most likely language of each text: what may count as human, and why the rest may not."
    found = _by(con, "language")
    if not found:
        return section(title, lead, nothing("There are no documents."))
    drawn = page.top_rows(page.language_rows([(code, _stack(kinds)) for code, kinds in found.items()]))
    chart = svg.bars("Documents by language", lead, drawn, list(SHOWN))
    names = [label for label, _ in page.language_rows([(code, []) for code in found])]
    head, numbers = _numbers("language", list(zip(names, found.values(), strict=True))[:100])
    return section(
        title, lead, figure(plural(len(found), "language"), "Documents", chart, list(SHOWN), head, numbers, [v for _, v in drawn])
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
    numbers = [[row["reason"], row["documents"], row["bytes"]] for row in found[:100]]
    return section(
        "What may not count, and why",
        lead,
        figure(share(total, documents, "documents"), "By reason", chart, [kind], ["reason", "documents", "bytes"], numbers),
    )


def versions(opened: Opened, con: "Con") -> Markup:
    """What each version added to the tree, who signed it, and what it redacted."""
    extensions, start = opened.manifest.get("tree", {}).get("extensions", []), 0
    before: int | None = 0
    made: list[list[object]] = []
    numbers: list[list[object]] = []
    for number, extension in enumerate(extensions):
        stop = start + extension["size"]
        first, further, gone, held = con.execute(_EXTENSION, [start, stop]).fetchall()[0]
        version = _version(opened, extension["manifest"])
        signers = None if version is None else version.manifest.get("signers") or []
        redacts = None if version is None or before is None else version.redacted - before
        before = None if version is None else version.redacted
        identity = join(element("code", extension["manifest"] or opened.id), "" if extension["manifest"] else " (this one)")
        did = _did(number, extension["size"], signers, redacts)
        made.append([number, identity, _signed(signers), did, extension["size"], "not known" if redacts is None else redacts])
        numbers.append([number, first, further, gone, held, stop, element("code", extension["root"])])
        start = stop
    lead = (
        "A snapshot only grows: each version appends its leaves to the tree, and those before it never change. The signers are those that "
        "each version’s manifest names."
    )
    if not made:
        return section("Versions", lead, _redactions(con), nothing("The manifest states no extensions."))
    head = ["no.", "documents", "further witnesses", "its leaves redacted by now", "bytes of text", "tree size", "root of the tree"]
    shown = element(
        "figure",
        table(["no.", "version", "signed by", "did", "leaves it added", "leaves it redacted"], made),
        element("details", element("summary", "Numbers of every version"), table(head, numbers)),
        class_="versions",
    )
    return section("Versions", lead, _redactions(con), shown)


def _version(opened: Opened, name: str | None) -> Opened | None:
    """A version that this one extends, or this one; None where its manifest is not there or was changed."""
    try:
        return open_version(opened.url, name) if name else opened
    except (FileNotFoundError, CheckFailed):
        return None


def _signed(signers: list[str] | None) -> Markup:
    """Who signed a version: name and key hash of each verifier key, which is `name+hash+key`."""
    if signers is None:
        return join("not known: its manifest is not there")
    return join(*(element("code", "+".join(signer.split("+")[:2])) for signer in signers)) if signers else join("nobody")


def _did(number: int, leaves: int, signers: list[str] | None, redacted: int | None) -> str:
    """What a version was made for."""
    done = ["first version" if number == 0 else "adds leaves"] if leaves else []
    done += ["redaction"] if redacted else []
    if not done:
        done = ["not known" if redacted is None or signers is None else "signature" if signers else "nothing new"]
    return ", ".join(done)


def _redactions(con: "Con") -> Markup | None:
    found = con.execute(
        "SELECT redacted, count(*) FROM leaves WHERE redacted IS NOT NULL GROUP BY ALL ORDER BY 2 DESC, 1"
    ).fetchall()
    if not found:
        return None
    total = sum(number for _, number in found)
    reasons = "; ".join(f"{why}: {count(number)}" for why, number in found[: page.ROWS_SHOWN])
    said = f"The texts of {plural(total, 'leaf', 'leaves')} were removed, and nothing here shows them ({reasons}). Their hashes stay in the tree."
    return notice("", element("strong", "Redacted."), said)


def texts(opened: Opened, con: "Con") -> Markup:
    """Twenty texts of each side, drawn by a digest of their keys."""
    if opened.index_only:
        return section("Texts", "An index-only snapshot shows none.", nothing("The texts are not part of it."))
    groups = []
    where = "coalesce(eligible, false) = ? AND NOT coalesce(starts_with(ineligible_reason, 'redacted'), false)"
    for eligible, kind in ((True, SIDES[0]), (False, SIDES[1])):
        total = con.execute(f"SELECT count(*) FROM documents WHERE {where}", [eligible]).fetchall()[0][0]
        chosen = f"SELECT key FROM documents WHERE {where} ORDER BY sha256(key), key LIMIT ?"
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
