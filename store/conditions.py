"""A user's SQL condition over the candidates of a mix: an expression that yields a truth value, evaluated where it can reach nothing.

It is parsed before it runs: no subquery, and no function whose value would not be the same in every run. Then a database of
its own, closed to files and the network, sees the candidates' columns and nothing else.
"""

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from store import sql
from store.errors import UsageError

if TYPE_CHECKING:
    import duckdb

_CLOSED: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
    "memory_limit": sql.MEMORY,
}
_FICKLE = frozenset(
    "age ago current_localtime current_localtimestamp current_time current_timestamp current_user localtime localtimestamp pg_conf_load_time "
    "pg_postmaster_start_time session_user user version".split()
)
"""What depends on the clock or the machine and DuckDB does not name so; `age` does unless it has two arguments."""

ROW = "lowbackground_row"
"""Column that numbers the candidates, in an order that no two runs share: no condition may see it."""
_TABLE = f"{ROW}s"


def passing(condition: str, candidates: pa.RecordBatchReader) -> np.ndarray:
    """The numbers (column `ROW`, int64) of the candidates that meet a condition, ascending; null counts as not.

    Raises `UsageError` for what is no condition, names a column that is not there, or fails on a value.
    """
    import duckdb

    con = duckdb.connect(":memory:", config=_CLOSED)
    try:
        con.execute("SET TimeZone = 'UTC'; SET preserve_insertion_order = false; SET enable_progress_bar = false")
        con.execute("SET enable_external_access = false; SET lock_configuration = true")
        columns = [name for name in candidates.schema.names if name != ROW]
        _check(con, condition, candidates.schema.empty_table())
        con.register(_TABLE, candidates)
        found = con.sql(f"SELECT {ROW} FROM {_TABLE} WHERE (\n{condition}\n)").fetchnumpy()[ROW]
    except duckdb.Error as error:
        raise UsageError(
            f"DuckDB cannot evaluate --where {condition!r}: {str(error).strip()}\nIts columns are {', '.join(columns)}."
        ) from error
    finally:
        con.close()
    return np.sort(np.asarray(found, np.int64))


def _check(con: "duckdb.DuckDBPyConnection", condition: str, empty: pa.Table) -> None:
    import duckdb

    # An expression in parentheses could close them; by itself it could not.
    duckdb.SQLExpression(condition)
    parsed = json.loads(con.execute("SELECT json_serialize_sql(?)", [f"SELECT (\n{condition}\n)"]).fetchall()[0][0])
    nodes = [] if parsed["error"] else list(_nodes(parsed["statements"]))
    if not nodes or any(node.get("class") == "SUBQUERY" for node in nodes):
        what = "cannot be parsed" if not nodes else "has a query inside it"
        raise UsageError(
            f"--where {condition!r} {what}; a mix takes a condition on a document's own columns and those of --scores. "
            "Put what it would look up into a table of scores."
        )
    changing = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_type = 'scalar' AND stability != 'CONSISTENT'"
    fickle = {name for (name,) in con.execute(changing).fetchall()} | _FICKLE
    columns = {name.lower() for name in empty.schema.names}
    called = [(str(node.get("function_name", "")).lower(), node.get("arguments") or []) for node in nodes]
    named = {name for name, given in called if name != "age" or len(given) != 2}
    named |= {node["column_names"][0].lower() for node in nodes if node.get("class") == "COLUMN_REF"} - columns
    if found := sorted(named & fickle):
        raise UsageError(
            f"--where {condition!r} asks {', '.join(found)}, whose value is another in each run; the same settings would give other mixes. "
            "Write the value itself."
        )
    told = [node["column_names"][0].lower() for node in nodes if node.get("class") == "COLUMN_REF"]
    if {ROW, _TABLE} & set(told) or any(node.get("class") in ("STAR", "POSITIONAL_REFERENCE") for node in nodes):
        raise UsageError(
            f"--where {condition!r} asks for columns by other than their names; those that stand beside a document's own would count, and differ "
            "in each run. Name each column."
        )
    con.register(_TABLE, empty)
    try:
        kind = str(con.sql(f"SELECT (\n{condition}\n) AS kind FROM {_TABLE}").types[0])
        con.execute(f"SELECT {ROW} FROM {_TABLE} WHERE (\n{condition}\n)")
    finally:
        con.unregister(_TABLE)
    if kind != "BOOLEAN":
        raise UsageError(
            f"--where {condition!r} yields {kind} and no truth value; which documents it keeps would be a guess. Compare it with something."
        )


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Every object inside a parsed statement."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for inner in value:
            yield from _nodes(inner)
