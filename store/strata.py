"""Strata of a mix's candidates: what divides them, what a filter leaves of them, and the order that spreads them, in DuckDB.

Tables of the connection, over `offered` (store.mixing), whose `rowid` is a candidate's `id`: `facts` (a view: the columns
that strata and conditions may name), `strata` (number and label), `divided` (each candidate's stratum), `passed` (what the
filter leaves), `clustered` (near copies among them) and `crowded` (human documents beyond the passes of their cluster). What may
be taken then is two classes of arrays (`store.ordering`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from store import conditions, ordering, sql
from store.catalog import identifier
from store.errors import UsageError
from store.scores import OURS, Scores, join

if TYPE_CHECKING:
    import duckdb

BUILT_IN = ("source", "language", "domain", "year", "rarity")
"""What divides candidates without a table of scores."""
MOST = 10_000
"""Strata that a mix may have."""
SHARE = 10**9
"""What the target shares of a class add up to, as integers."""

_PLAIN = r"(?s)https?://([A-Za-z0-9.-]+)(?::[0-9]*)?(?:[/?#].*)?"
"""Addresses whose host can be read off without a parser: nearly all."""
_HOST = rf"nullif(regexp_replace(rtrim(lower(regexp_extract(url, '^{_PLAIN}$', 1)), '.'), '^www\.', ''), '')"

_FACTS = f"""
CREATE VIEW {{view}} AS SELECT o.rowid AS {conditions.ROW}, o.key, o.origin, left(p.source, 12) AS source, o.language, {{domain}} AS domain,
  year(o.date)::INTEGER AS year, {{rarity}} AS rarity, o.date, o.url, o.byte_count, o.attestation{{columns}}
FROM {{table}} o JOIN parts p USING (part) {{joins}}"""

_VALUE = r"coalesce(left(regexp_replace({column}::VARCHAR, '[/\x00-\x1f\x7f-\x9f\x{{2028}}\x{{2029}}]', '_', 'g'), 80), 'none')"

_CLUSTERED = """
CREATE TABLE clustered AS
SELECT id, dense_rank() OVER (ORDER BY cluster) - 1 AS cluster, row_number() OVER (PARTITION BY cluster ORDER BY key != cluster, rank, key) - 1 AS member,
  count(*) OVER (PARTITION BY cluster) AS members
FROM (SELECT o.rowid AS id, c.cluster, c.key, o.rank FROM near_copies c JOIN offered o USING (key) JOIN passed p ON p.id = o.rowid WHERE o.origin = 'human')"""
_CROWDED = "CREATE TABLE crowded AS SELECT id FROM clustered WHERE member >= $passes"

_ENTERED = """
SELECT d.id, d.stratum, o.rank, o.byte_count, (list_position($origins, o.origin) - 1)::TINYINT AS origin, o.near,
  CASE WHEN c.members > 1 THEN c.cluster ELSE -1 END::INTEGER AS cluster, coalesce(c.member, 0)::INTEGER AS member,
  least(coalesce(c.members, 1), $passes)::INTEGER AS members{columns}
FROM passed p JOIN divided d USING (id) JOIN offered o ON o.rowid = d.id LEFT JOIN clustered c USING (id) {joins}
WHERE o.origin {side} 'human' AND coalesce(c.member, 0) < $passes"""


def facts(
    con: "duckdb.DuckDBPyConnection", tables: Sequence[Scores], site: Callable[[str], str | None] | None, rarity: pa.Table | None
) -> None:
    """Makes `facts` of what is offered, and `facts_barred` of what is barred where that is there. `site` gives the domain of an address, where one is asked for; `rarity` has the deciles
    (columns part, row, rarity), where they are."""
    join(con, tables)
    columns = "".join(f", s{i}.{identifier(name)}" for i, table in enumerate(tables) for name in table.columns)
    joins = [f"LEFT JOIN scores_{i} s{i} ON s{i}.key = o.key" for i in range(len(tables))]
    domain, decile = "NULL::VARCHAR", "NULL::TINYINT"
    if site is not None:
        _sites(con, site)
        domain = f"CASE WHEN regexp_full_match(o.url, '{_PLAIN}') THEN {_HOST.replace('url', 'o.url')} ELSE sites.site END"
        joins.append("LEFT JOIN sites ON sites.url = o.url")
    if rarity is not None:
        con.register("rarities_given", rarity)
        con.execute('CREATE TABLE rarities AS SELECT part, "row", rarity FROM rarities_given')
        con.unregister("rarities_given")
        decile = "rarities.rarity"
        joins.append('LEFT JOIN rarities ON rarities.part = o.part AND rarities."row" = o."row"')
    for view, table in _views(con):
        con.execute(_FACTS.format(view=view, table=table, domain=domain, rarity=decile, columns=columns, joins=" ".join(joins)))


def _views(con: "duckdb.DuckDBPyConnection") -> list[tuple[str, str]]:
    """The views of facts, each with the table that it is of."""
    barred = con.execute("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'barred'").fetchall()[0][0]
    return [("facts", "offered"), *([("facts_barred", "barred")] if barred else [])]


def _sites(con: "duckdb.DuckDBPyConnection", site: Callable[[str], str | None]) -> None:
    """Makes `sites` of the addresses that are not plain, which Python reads."""
    con.execute("CREATE TABLE sites (url VARCHAR, site VARCHAR)")
    urls = " UNION ALL ".join(f"SELECT url FROM {table}" for _, table in _views(con))
    query = f"SELECT DISTINCT url FROM ({urls}) WHERE url IS NOT NULL AND NOT regexp_full_match(url, '{_PLAIN}')"
    for batch in con.cursor().sql(query).to_arrow_reader(65536):
        found = pa.record_batch(
            [batch["url"], pa.array([site(url) for url in batch["url"].to_pylist()], pa.string())], ["url", "site"]
        )
        sql.insert(con, "sites", [found])


def columns(given: Sequence[str], tables: Sequence[Scores]) -> list[str]:
    """The columns that divide candidates, checked. Raises `UsageError` for one that nothing has."""
    there = [*BUILT_IN, *(name for table in tables for name in table.columns)]
    if unknown := [name for name in given if name not in there]:
        raise UsageError(
            f"mix.strata names {unknown[0]!r}, which is none of {', '.join(there)}; nothing could be divided by it. "
            "Name one of these, or bring a table that has it (--scores)."
        )
    return list(given)


def divide(con: "duckdb.DuckDBPyConnection", given: Sequence[str]) -> list[str]:
    """Makes `strata` and `divided`; returns the labels, in the order of their numbers. Raises `UsageError` above `MOST`."""
    names = ["origin", *given]
    raw = ", ".join(f"{identifier(name)} AS c{i}" for i, name in enumerate(names))
    label = " || '/' || ".join(["c0", *(_VALUE.format(column=f"c{i}") for i in range(1, len(names)))])
    # Labels are made of the values that there are, and not of each candidate's.
    con.execute(f"CREATE TABLE valued AS SELECT *, {label} AS label FROM (SELECT DISTINCT {raw} FROM facts)")
    con.execute(
        "CREATE TABLE strata AS SELECT (row_number() OVER (ORDER BY label) - 1)::INTEGER AS stratum, label FROM (SELECT DISTINCT label FROM valued)"
    )
    number = con.execute("SELECT count(*) FROM strata").fetchall()[0][0]
    if number > MOST:
        raise UsageError(
            f"{' x '.join(given)} divides the candidates into {number:,} strata, and a mix keeps account of {MOST:,} at most. "
            "Leave one of mix.strata out, or bring a coarser column with --scores."
        )
    same = " AND ".join(f"f.c{i} IS NOT DISTINCT FROM v.c{i}" for i in range(len(names)))
    con.execute(
        f"CREATE TABLE divided AS SELECT f.id, s.stratum FROM (SELECT {conditions.ROW} AS id, {raw} FROM facts) f JOIN valued v ON {same} JOIN strata s USING (label)"
    )
    return [label for (label,) in con.execute("SELECT label FROM strata ORDER BY stratum").fetchall()]


def passing(con: "duckdb.DuckDBPyConnection", condition: str | None, tables: Sequence[Scores]) -> dict[str, dict[str, int]]:
    """Makes `passed` of the candidates that meet a condition, of all without one. Raises `UsageError` for what is none.

    Returns, by origin, how many documents are barred whatever they meet, and how many of them meet it: what a filter prefers shows there.
    """
    if condition is None:
        con.execute("CREATE TABLE passed AS SELECT rowid AS id FROM offered")
        return {}
    con.register("met", pa.table({"id": _met(con, "facts", condition, tables)}))
    con.execute("CREATE TABLE passed AS SELECT id FROM met")
    con.unregister("met")
    if len(_views(con)) == 1:
        return {}
    con.register("met", pa.table({"id": _met(con, "facts_barred", condition, tables)}))
    rows = con.execute(
        "SELECT origin, count(*), count(met.id) FROM barred LEFT JOIN met ON met.id = barred.rowid GROUP BY origin ORDER BY origin"
    ).fetchall()
    con.unregister("met")
    con.execute("DROP VIEW facts_barred; DROP TABLE barred")
    return {origin: {"documents": documents, "passed": passed} for origin, documents, passed in rows}


def _met(con: "duckdb.DuckDBPyConnection", view: str, condition: str, tables: Sequence[Scores]) -> pa.Array:
    names = [*OURS, *(name for table in tables for name in table.columns)]
    cursor = con.cursor()
    cursor.execute("SET TimeZone = 'UTC'")
    selected = ", ".join(map(identifier, names))
    return conditions.passing(condition, cursor.sql(f"SELECT {conditions.ROW}, {selected} FROM {view}").to_arrow_reader(65536))


def cluster(con: "duckdb.DuckDBPyConnection", near_copies: pa.Table, passes: int) -> dict[str, int]:
    """Makes `clustered` and `crowded` of the snapshot's near copies (columns key, cluster): of a cluster at most `passes` documents
    may enter. Returns how many clusters and documents of them pass, the largest, and what is left out."""
    con.register("near_copies", near_copies)
    con.execute(_CLUSTERED)
    con.execute(_CROWDED, {"passes": passes})
    con.unregister("near_copies")
    query = "SELECT count(DISTINCT cluster), count(*), coalesce(max(members), 0) FROM clustered WHERE members > 1"
    number, documents, largest = con.execute(query).fetchall()[0]
    left = con.execute("SELECT count(*) FROM crowded").fetchall()[0][0]
    return {"clusters": number, "documents": documents, "largest": largest, "left_out": left}


def entered(
    con: "duckdb.DuckDBPyConnection", units: Sequence[str], passes: int, origins: Sequence[str], human: bool
) -> ordering.Class:
    """What may be taken of the human side, or of the others, in the order of ranks. `origins` is what their numbers mean; tokens come
    from the table `tokens`."""
    counted = "tokens" in units
    query = _ENTERED.format(
        side="=" if human else "!=",
        columns=", t.tokens" if counted else "",
        joins='LEFT JOIN tokens t ON t.part = o.part AND t."row" = o."row"' if counted else "",
    )
    return ordering.entered(con, query, {"passes": passes, "origins": list(origins)}, units)


def narrow(con: "duckdb.DuckDBPyConnection") -> None:
    """Drops `facts`, and of `offered` what only strata and conditions ask for."""
    con.execute("DROP VIEW facts")
    for name in ("attestation", "language", "url", "date", "rank", "near"):
        con.execute(f"ALTER TABLE offered DROP COLUMN {name}")


def units(made: ordering.Class) -> dict[int, int]:
    """What may be taken of each stratum of a class, in the first unit."""
    sums = np.zeros(MOST, np.int64)
    np.add.at(sums, made.stratum, made.units[0])
    return {stratum: int(sums[stratum]) for stratum in np.flatnonzero(np.bincount(made.stratum)).tolist()}


def by_number(weights: Mapping[int, int]) -> np.ndarray:
    """The target share of each stratum by its number, in parts of `SHARE`, at least 1; int64, shape (MOST,)."""
    found = np.ones(MOST, np.int64)
    found[list(weights)] = list(weights.values())
    return found


def ordered(made: ordering.Class, weights: Mapping[int, int]) -> ordering.Class:
    """A class, given in the order of ranks, in that of virtual time. `weights` is the target share of each stratum, in parts of `SHARE`, at
    least 1."""
    return made.take(ordering.by_weight(made, by_number(weights)))


def counts(con: "duckdb.DuckDBPyConnection") -> tuple[dict[int, dict[str, int]], dict[int, dict[str, int]]]:
    """Documents and bytes of each stratum: what is offered, and what of it passed the filter."""
    query = (
        "SELECT stratum, count(*), sum(byte_count)::BIGINT, count(p.id), coalesce(sum(byte_count) FILTER (p.id IS NOT NULL), 0)::BIGINT "
        "FROM divided d JOIN offered o ON o.rowid = d.id LEFT JOIN passed p ON p.id = d.id GROUP BY stratum"
    )
    rows = con.execute(query).fetchall()
    offered = {stratum: {"documents": n, "bytes": size} for stratum, n, size, _, _ in rows}
    return offered, {stratum: {"documents": n, "bytes": size} for stratum, _, _, n, size in rows}


def unmatched(con: "duckdb.DuckDBPyConnection", tables: Sequence[Scores]) -> list[dict[str, int]]:
    """Of each table of scores, the rows that are of no candidate, and the candidates that have none."""
    offered = con.execute("SELECT count(*) FROM offered").fetchall()[0][0]
    found = []
    for number, table in enumerate(tables):
        matched = con.execute(f"SELECT count(*) FROM scores_{number} SEMI JOIN offered USING (key)").fetchall()[0][0]
        found.append({"rows": table.rows, "unmatched": table.rows - matched, "candidates": offered, "without": offered - matched})
    return found


NAMED = re.compile(r"\b(?:url|domain)\b", re.IGNORECASE)
"""A condition that may name an address or its site."""
