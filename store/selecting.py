"""What of the candidates enters a mix, in which shard, and where in the order of its class; in DuckDB.

Tables of the connection: `selection` (a row for each pass of a document, with its shard) and `proven` (the leaves of what
enters).
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from provenance.schema import LEAVES
from store.mixing import PLANNED, Part

if TYPE_CHECKING:
    import duckdb

_COLUMNS = "position, id, stratum, rank, u0, cluster"
_SELECTION = f"""
CREATE TABLE selection AS
SELECT shard, epoch, c.id, c.stratum, c.rank, c.u0 AS length, c.cluster, o.key, o.part, o."row", o.origin, o.byte_count, o.leaf_index
FROM (SELECT position, shard, epoch, true AS human FROM taken_human UNION ALL SELECT position, shard, 0, false FROM taken_other) t
JOIN (FROM human SELECT {_COLUMNS}, true AS human UNION ALL FROM other SELECT {_COLUMNS}, false) c USING (human, position)
JOIN offered o ON o.rowid = c.id ORDER BY shard"""

_PROVEN = """
CREATE TABLE proven AS SELECT shard, l.* FROM (SELECT DISTINCT shard, leaf_index FROM selection WHERE leaf_index IS NOT NULL) s
JOIN leaves l ON l."index" = s.leaf_index ORDER BY shard, leaf_index"""

PASS = 1 << 62
"""A pass through the documents of a class, in the virtual time of a shard."""

_SHARD = f"""
WITH mine AS (
  SELECT *, (sum(once) OVER (of_stratum ORDER BY rank, epoch ROWS UNBOUNDED PRECEDING) - length)::HUGEINT AS before,
    greatest(sum(once) OVER of_stratum, 1)::HUGEINT AS whole
  FROM (SELECT *, CASE WHEN epoch = 0 THEN length ELSE 0 END AS once FROM selection WHERE shard = $shard)
  WINDOW of_stratum AS (PARTITION BY leaf_index IS NULL, stratum)
), timed AS (
  SELECT *, ((((before << 32) + (rank >> 96)::HUGEINT * length) << 30) // whole)::HUGEINT AS time FROM mine
), spread AS (
  SELECT *, CASE WHEN cluster IS NULL THEN time ELSE (min(time) OVER of_cluster
    + {PASS}::HUGEINT * (row_number() OVER (of_cluster ORDER BY time, rank) - 1) // count(*) OVER of_cluster) % {PASS} END AS place
  FROM timed WINDOW of_cluster AS (PARTITION BY cluster, epoch)
)
SELECT s.key, s.part, s."row", s.origin, s.shard, s.epoch, sha256(concat($seed, chr(10), s.key)) AS rank, strata.label AS stratum,
  s.byte_count, s.leaf_index, s.cluster
FROM spread s JOIN strata USING (stratum) ORDER BY s.leaf_index IS NULL, s.epoch, s.place, s.rank"""


def take(con: "duckdb.DuckDBPyConnection", human: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
    """Says what enters: columns `position`, `shard` and, for human, `epoch`."""
    con.register("taken_human", pa.table(human))
    con.register("taken_other", pa.table(other))
    # A shard's rows lie together, so that its plan reads them alone.
    con.execute("SET preserve_insertion_order = true")
    con.execute(_SELECTION)
    con.execute(_PROVEN)
    con.execute("SET preserve_insertion_order = false")


def shard(con: "duckdb.DuckDBPyConnection", number: int, seed: str, parts: Sequence[Part]) -> pa.Table:
    """The plan of one shard (`PLANNED`): human documents epoch by epoch, then the others, each class in its order.

    The strata of a class stand spread by the shard's own shares. Documents that are near copies of each other (of one cluster)
    stand a pass over their number apart, and never side by side while there is another human document between them.
    """
    rows = con.sql(_SHARD, params={"shard": number, "seed": seed}).to_arrow_table()
    if (order := _apart(rows)) is not None:
        rows = rows.take(pa.array(order))
    columns: dict[str, Any] = {name: rows[name] for name in rows.column_names}
    columns["source"] = pa.array([part.source for part in parts], pa.string()).take(rows["part"])
    columns["part"] = pa.array([part.path for part in parts], pa.string()).take(rows["part"])
    return pa.table(
        {name: columns[name].cast(kind) for name, kind in zip(PLANNED.names, PLANNED.types, strict=True)}, schema=PLANNED
    )


def _apart(rows: pa.Table) -> list[int] | None:
    """An order in which no two human rows of one cluster, or of one document, are neighbours where that can be; null where the
    rows stand so already."""
    human = int(pa.compute.sum(pa.compute.is_valid(rows["leaf_index"])).as_py() or 0)
    named = pa.compute.coalesce(rows["cluster"], rows["key"]).slice(0, human).combine_chunks().dictionary_encode()
    alike = named.indices.to_numpy()
    if not (alike[1:] == alike[:-1]).any():
        return None
    order: list[int] = []
    waiting: list[int] = []
    last = -1
    for row in range(human):
        waiting.append(row)
        while (at := next((i for i, held in enumerate(waiting) if alike[held] != last), None)) is not None:
            last = int(alike[waiting[at]])
            order.append(waiting.pop(at))
    for row in waiting:  # all of one cluster: they go where neither neighbour is of it, the last such places first
        gaps = (i for i in range(len(order), -1, -1) if alike[row] not in alike[order[max(i - 1, 0) : i + 1]])
        order.insert(next(gaps, len(order)), row)
    return [*order, *range(human, rows.num_rows)]


def proofs(con: "duckdb.DuckDBPyConnection", shard: int) -> pa.Table:
    """The leaves of the human documents of one shard (schema `LEAVES`), in the tree's order."""
    query = 'SELECT * EXCLUDE shard FROM proven WHERE shard = ? ORDER BY "index"'
    return con.sql(query, params=[shard]).to_arrow_table().cast(LEAVES)


def rows(con: "duckdb.DuckDBPyConnection", part: int) -> pa.Table:
    """Which rows of a part are read, and the shard that each goes to; a repeated document once."""
    query = 'SELECT DISTINCT "row", shard FROM selection WHERE part = ? ORDER BY shard, "row"'
    return con.sql(query, params=[part]).to_arrow_table()


def chosen(con: "duckdb.DuckDBPyConnection") -> dict[int, dict[str, Any]]:
    """Documents and bytes of each stratum that enter, each document once; and how often they do on average, by the first unit."""
    query = (
        "SELECT stratum, count(*) FILTER (epoch = 0), sum(byte_count) FILTER (epoch = 0)::BIGINT, "
        "sum(length)::DOUBLE / greatest(sum(length) FILTER (epoch = 0), 1) FROM selection GROUP BY stratum"
    )
    rows = con.execute(query).fetchall()
    return {stratum: {"documents": n, "bytes": size, "epochs": round(epochs, 4)} for stratum, n, size, epochs in rows}


def near_human(con: "duckdb.DuckDBPyConnection") -> dict[str, int]:
    """Documents and bytes among the others that entered though the match found them to be near copies of human documents, or
    that equal such a near copy."""
    query = (
        "SELECT count(*), coalesce(sum(o.byte_count), 0)::BIGINT FROM other c SEMI JOIN taken_other USING (position) "
        "JOIN offered o ON o.rowid = c.id WHERE o.near"
    )
    number, size = con.execute(query).fetchall()[0]
    return {"documents": number, "bytes": size}


def left_over(con: "duckdb.DuckDBPyConnection") -> dict[str, dict[str, int]]:
    """Documents and bytes of allowed origins that passed the filter and did not enter, by origin."""
    query = (
        "SELECT o.origin, count(*), sum(o.byte_count)::BIGINT FROM other c ANTI JOIN taken_other USING (position) "
        "JOIN offered o ON o.rowid = c.id GROUP BY ALL ORDER BY ALL"
    )
    return {origin: {"documents": number, "bytes": size} for origin, number, size in con.execute(query).fetchall()}


def wanted(con: "duckdb.DuckDBPyConnection", part: int, among: str, human: bool | None = None) -> np.ndarray:
    """Rows of a part that some candidates (a table with column `id`) stand in, sorted; of the human ones, of the others, or of both."""
    side = "" if human is None else f"AND o.origin {'=' if human else '!='} 'human'"
    join = "" if among == "offered" else f"SEMI JOIN {among} a ON a.id = o.rowid"
    query = f'SELECT "row" FROM offered o {join} WHERE o.part = ? {side} ORDER BY 1'
    return np.asarray(con.execute(query, [part]).fetchnumpy()["row"], np.int64)
