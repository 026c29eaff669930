"""Strata of a mix's candidates: what divides them, what a filter leaves of them, and the order that spreads them, in DuckDB.

Tables of the connection, over `offered` (store.mixing), whose `rowid` is a candidate's `id`: `facts` (a view: the columns
that strata and conditions may name), `strata` (number and label), `divided` (each candidate's stratum), `passed` (what the
filter leaves), `crowded` (human documents beyond the passes of their cluster), `entering` (what may be taken, with its
lengths), `human` and `other` (the same, numbered in the order of their class by `position`).
"""

import re
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from store import conditions, sql
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

_FACTS = """
CREATE VIEW facts AS SELECT o.rowid AS id, o.key, o.origin, left(p.source, 12) AS source, o.language, {domain} AS domain,
  year(o.date)::INTEGER AS year, {rarity} AS rarity, o.date, o.url, o.byte_count, o.attestation{columns}
FROM offered o JOIN parts p USING (part) {joins}"""

_VALUE = r"coalesce(left(regexp_replace({column}::VARCHAR, '[/\x00-\x1f\x7f-\x9f\x{{2028}}\x{{2029}}]', '_', 'g'), 80), 'none')"

_CROWDED = """
CREATE TABLE clustered AS
SELECT id, cluster, row_number() OVER (PARTITION BY cluster ORDER BY key != cluster, rank) - 1 AS member,
  count(*) OVER (PARTITION BY cluster) AS members
FROM (SELECT o.rowid AS id, c.cluster, c.key, o.rank FROM near_copies c JOIN offered o USING (key) JOIN passed p ON p.id = o.rowid WHERE o.origin = 'human');
CREATE TABLE crowded AS SELECT id FROM clustered WHERE member >= $passes"""

_ENTERING = """
CREATE TABLE entering AS
SELECT d.id, d.stratum, o.origin = 'human' AS human, o.rank, CASE WHEN c.members > 1 THEN c.cluster END AS cluster,
  coalesce(c.member, 0)::INTEGER AS member, CASE WHEN c.members IS NULL THEN 1 ELSE least(c.members, $passes) END::INTEGER AS members, o.byte_count, {units}
FROM passed p JOIN divided d USING (id) JOIN offered o ON o.rowid = d.id LEFT JOIN clustered c USING (id) {tokens}
WHERE d.id NOT IN (SELECT id FROM crowded)"""

_ORDERED = """
CREATE TABLE {table} AS SELECT * EXCLUDE (before, whole, weight, human),
  row_number() OVER (ORDER BY ((before << 32) + (rank >> 96)::HUGEINT * u0) // weight, rank) - 1 AS position{even}
FROM (
  SELECT e.*, w.weight, sum(u0) OVER (PARTITION BY stratum ORDER BY rank ROWS UNBOUNDED PRECEDING)::HUGEINT - u0 AS before, {whole} AS whole
  FROM entering e JOIN weighed w USING (stratum) WHERE human = {human})"""

_EVEN = ", row_number() OVER (ORDER BY (((before << 32) + (rank >> 96)::HUGEINT * u0) << 30) // whole, rank) - 1 AS even"
_WHOLE = "greatest(sum(u0) OVER (PARTITION BY stratum), 1)::HUGEINT"


def facts(
    con: "duckdb.DuckDBPyConnection", tables: Sequence[Scores], site: Callable[[str], str | None] | None, rarity: pa.Table | None
) -> None:
    """Makes `facts` of what is offered. `site` gives the domain of an address, where one is asked for; `rarity` has the deciles
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
    con.execute(_FACTS.format(domain=domain, rarity=decile, columns=columns, joins=" ".join(joins)))


def _sites(con: "duckdb.DuckDBPyConnection", site: Callable[[str], str | None]) -> None:
    """Makes `sites` of the addresses that are not plain, which Python reads."""
    con.execute("CREATE TABLE sites (url VARCHAR, site VARCHAR)")
    query = f"SELECT DISTINCT url FROM offered WHERE url IS NOT NULL AND NOT regexp_full_match(url, '{_PLAIN}')"
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
        f"CREATE TABLE divided AS SELECT f.id, s.stratum FROM (SELECT id, {raw} FROM facts) f JOIN valued v ON {same} JOIN strata s USING (label)"
    )
    return [label for (label,) in con.execute("SELECT label FROM strata ORDER BY stratum").fetchall()]


def passing(con: "duckdb.DuckDBPyConnection", condition: str | None, tables: Sequence[Scores]) -> None:
    """Makes `passed` of the candidates that meet a condition, of all without one. Raises `UsageError` for what is none."""
    if condition is None:
        con.execute("CREATE TABLE passed AS SELECT rowid AS id FROM offered")
        return
    names = [*OURS, *(name for table in tables for name in table.columns)]
    cursor = con.cursor()
    cursor.execute("SET TimeZone = 'UTC'")
    selected = ", ".join(map(identifier, names))
    reader = cursor.sql(f"SELECT id AS {conditions.ROW}, {selected} FROM facts").to_arrow_reader(65536)
    con.register("met", pa.table({"id": conditions.passing(condition, reader)}))
    con.execute("CREATE TABLE passed AS SELECT id FROM met")
    con.unregister("met")


def cluster(con: "duckdb.DuckDBPyConnection", near_copies: pa.Table, passes: int) -> dict[str, int]:
    """Makes `clustered` and `crowded` of the snapshot's near copies (columns key, cluster): of a cluster at most `passes` documents
    may enter. Returns how many clusters and documents of them pass, the largest, and what is left out."""
    con.register("near_copies", near_copies)
    con.execute(_CROWDED.partition(";")[0])
    con.execute(_CROWDED.partition(";")[2], {"passes": passes})
    con.unregister("near_copies")
    query = "SELECT count(DISTINCT cluster), count(*), coalesce(max(members), 0) FROM clustered WHERE members > 1"
    number, documents, largest = con.execute(query).fetchall()[0]
    left = con.execute("SELECT count(*) FROM crowded").fetchall()[0][0]
    return {"clusters": number, "documents": documents, "largest": largest, "left_out": left}


def enter(con: "duckdb.DuckDBPyConnection", units: Sequence[str], passes: int) -> None:
    """Makes `entering` of what may be taken, with its lengths in `units` as u0, u1 ... (tokens: from the table `tokens`)."""
    names = {"bytes": "o.byte_count", "documents": "1::BIGINT", "tokens": "t.tokens"}
    lengths = ", ".join(f"{names[unit]} AS u{i}" for i, unit in enumerate(units))
    tokens = 'LEFT JOIN tokens t ON t.part = o.part AND t."row" = o."row"' if "tokens" in units else ""
    con.execute(_ENTERING.format(units=lengths, tokens=tokens), {"passes": passes})


def weigh(con: "duckdb.DuckDBPyConnection", weights: Mapping[int, int]) -> None:
    """Takes the target share of each stratum in its class, in parts of `SHARE`, at least 1."""
    table = pa.table({"stratum": pa.array(weights, pa.int32()), "weight": pa.array(weights.values(), pa.int64())})
    con.register("weights_given", table)
    con.execute("CREATE OR REPLACE TABLE weighed AS SELECT * FROM weights_given")
    con.unregister("weights_given")


def order(con: "duckdb.DuckDBPyConnection", even: bool) -> None:
    """Makes `human` and `other` of what enters: each class in the order of virtual time.

    A document's time is what stands before it in its stratum, in the order of ranks, with a part of its own length that its rank
    draws, over the stratum's target share. In the order of these times every beginning of a class has nearly the target shares,
    and a stratum that is exhausted gives way to the others. With `even`, `human` has a column of that name: the place in the order that
    spreads each stratum over the whole class, by the shares that they have.
    """
    con.execute(_ORDERED.format(table="human", human="true", even=_EVEN if even else "", whole=_WHOLE if even else "1"))
    con.execute(_ORDERED.format(table="other", human="false", even="", whole="1"))


def counts(con: "duckdb.DuckDBPyConnection") -> tuple[dict[int, dict[str, int]], dict[int, dict[str, int]]]:
    """Documents and bytes of each stratum: what is offered, and what of it passed the filter."""
    query = (
        "SELECT stratum, count(*), sum(byte_count)::BIGINT, count(p.id), coalesce(sum(byte_count) FILTER (p.id IS NOT NULL), 0)::BIGINT "
        "FROM divided d JOIN offered o ON o.rowid = d.id LEFT JOIN passed p ON p.id = d.id GROUP BY stratum"
    )
    rows = con.execute(query).fetchall()
    offered = {stratum: {"documents": n, "bytes": size} for stratum, n, size, _, _ in rows}
    return offered, {stratum: {"documents": n, "bytes": size} for stratum, _, _, n, size in rows}


def units(con: "duckdb.DuckDBPyConnection") -> dict[int, int]:
    """What may be taken of each stratum, in the first unit."""
    return dict(con.execute("SELECT stratum, sum(u0)::BIGINT FROM entering GROUP BY stratum").fetchall())


def column(con: "duckdb.DuckDBPyConnection", table: str, name: str, dtype: type = np.int64) -> np.ndarray:
    """A column of `human` or `other` in the order of the class."""
    found = con.execute(f"SELECT position, {name} AS value FROM {table}").fetchnumpy()
    result: np.ndarray = np.zeros(len(found["position"]), dtype)
    result[found["position"]] = found["value"]
    return result


def origins(con: "duckdb.DuckDBPyConnection", names: Sequence[str]) -> np.ndarray:
    """Origin of each of the others in the order of the class, as its index in `names`."""
    con.register("named_origins", pa.table({"origin": list(names), "number": pa.array(range(len(names)), pa.int64())}))
    query = "SELECT c.position, n.number AS value FROM other c JOIN offered o ON o.rowid = c.id JOIN named_origins n USING (origin)"
    found = con.execute(query).fetchnumpy()
    con.unregister("named_origins")
    result = np.zeros(len(found["position"]), np.int64)
    result[found["position"]] = found["value"]
    return result


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
