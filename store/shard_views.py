"""The shards of a mix as DuckDB views, whatever their format: `shards`, one row per row of a shard, and `pieces`, the same without texts.

Parquet and JSON lines are read where they stand. MDS, which DuckDB cannot read, is copied into a table of the connection that spills to
disk. Of packed tokens a row is a span, the tokens of one document in one row, without its text.
"""

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from provenance.schema import SHARD
from store import files, shards, sql
from store.errors import CheckFailed
from store.manifest import Opened
from store.shards import Format, jsonl

if TYPE_CHECKING:
    import duckdb

    Con = duckdb.DuckDBPyConnection

LABEL = f"{jsonl.EXPERIMENT}__{{}}__"
"""How the attribute of dolma begins that says a row's origin, attestation or stratum."""
LONGEST_OBJECT = 1 << 24
"""Bytes of a line of JSON that DuckDB makes room for at least."""

_LINES = """
SELECT {number}::INTEGER AS shard, d.row, {columns}
FROM (SELECT *, row_number() OVER () - 1 AS row FROM read_json({documents}, {options}, columns = {{
  id: 'VARCHAR', text: 'VARCHAR', created: 'TIMESTAMPTZ', metadata: {metadata}}})) d
JOIN (SELECT row_number() OVER () - 1 AS row, json_keys(attributes) AS names FROM read_json({attributes}, {options}, columns = {{
  attributes: 'JSON'}})) a ON a.row = d.row"""

_SPANS = """
SELECT {number}::INTEGER AS shard, row, {columns}, (span.stop - span.start)::BIGINT AS tokens
FROM (SELECT file_row_number::BIGINT AS row, unnest(spans) AS span FROM read_parquet({attributes}, file_row_number = true, hive_partitioning = false))"""

_PIECES = "SELECT * EXCLUDE (text{more}), strlen(text)::BIGINT AS bytes, {tokens} AS tokens FROM shards"


def shards_of(con: "Con", opened: Opened, types: Mapping[str, str]) -> str:
    """A query over all shards of a mix in the manifest's order: `shard` (number) and `row`, from 0, and the columns of `SHARD`, whose types
    in DuckDB are `types`; of packed tokens `text`, `chunk` and `chunks` are null, and the number of `tokens` comes last.

    Raises `UsageError` for a format that is not there, `CheckFailed` where what is copied is not of its format.
    """
    options = (opened.manifest.get("config") or {}).get("mix") or {}
    form = shards.named(options.get("format", "parquet"))
    listed = [shard["path"] for shard in opened.manifest.get("shards") or []]
    parts = [_shard(con, opened, number, path, form, options, types) for number, path in enumerate(listed)]
    empty = {"shard": "INTEGER", "row": "BIGINT", **types} | ({"tokens": "BIGINT"} if form.TOKENS else {})
    nothing = "SELECT " + ", ".join(f"NULL::{kind} AS {name}" for name, kind in empty.items()) + " WHERE false"
    return " UNION ALL ".join(parts) or nothing


def pieces(con: "Con") -> str:
    """A query over the view `shards` without texts: their `bytes`, null where rows are packed tokens, and their `tokens`, null elsewhere."""
    counted = "tokens" in con.table("shards").columns
    return _PIECES.format(more=", tokens" if counted else "", tokens="tokens" if counted else "NULL::BIGINT")


def _shard(
    con: "Con", opened: Opened, number: int, path: str, form: Format, options: Mapping[str, Any], types: Mapping[str, str]
) -> str:
    name = path.rpartition("/")[2].split(".")[0] if form.NAME != "mds" else path.split("/")[-2]
    urls = [sql.quote(sql.pattern(files.join(opened.url, one))) for one in form.paths(name)]
    if form.TOKENS:
        columns = ", ".join(
            f"{f'span.{column}' if column not in ('text', 'chunk', 'chunks') else 'NULL'}::{kind} AS {column}"
            for column, kind in types.items()
        )
        return _SPANS.format(number=number, columns=columns, attributes=urls[1])
    if form.NAME == "jsonl":
        return _lines(number, urls, options, types)
    if form.NAME == "parquet":
        source = f"read_parquet({urls[0]}, file_row_number = true, hive_partitioning = false)"
        return f"SELECT {number}::INTEGER AS shard, file_row_number::BIGINT AS row, {', '.join(types)} FROM {source}"
    return f"SELECT {number}::INTEGER AS shard, row, {', '.join(types)} FROM {_copied(con, opened, form, name, options, types)}"


def _lines(number: int, urls: list[str], options: Mapping[str, Any], types: Mapping[str, str]) -> str:
    """Documents of JSON lines joined to their attributes, line by line."""

    def column(name: str, kind: str) -> str:
        if name in jsonl.TAGGERS:
            label = sql.quote(LABEL.format(name))
            return f"list_filter(a.names, lambda name: starts_with(name, {label}))[1][length({label}) + 1:]::{kind} AS {name}"
        source = {"text": "d.text", "date": "d.created"}.get(name, f"d.metadata.{name}")
        return f"{source}::{kind} AS {name}"

    longest = max(LONGEST_OBJECT, 8 * int(options.get("chunk_bytes", 0)))
    metadata = "STRUCT(" + ", ".join(f"{name} {types[name]}" for name in jsonl.FACTS) + ")"
    return _LINES.format(
        number=number,
        columns=", ".join(column(name, kind) for name, kind in types.items()),
        documents=urls[0],
        attributes=urls[1],
        options=f"format = 'newline_delimited', hive_partitioning = false, maximum_object_size = {longest}",
        metadata=sql.quote(metadata),
    )


def _copied(con: "Con", opened: Opened, form: Format, name: str, options: Mapping[str, Any], types: Mapping[str, str]) -> str:
    """The name of a new table with the rows of a shard that DuckDB cannot read."""
    tables = con.execute("SELECT count(*) FROM duckdb_tables()").fetchall()[0][0]
    table = f"copied_{tables}"
    con.execute(f"CREATE TABLE {table} (row BIGINT, {', '.join(f'{column} {kind}' for column, kind in types.items())})")

    def numbered() -> Iterator[pa.RecordBatch]:
        start = 0
        for batch in form.read(lambda path: files.open_input(files.join(opened.url, path)), name, options):
            yield batch.select(SHARD.names).add_column(0, "row", pa.array(np.arange(start, start + batch.num_rows)))
            start += batch.num_rows

    try:
        sql.insert(con, table, numbered())
    except (ValueError, OSError, OverflowError) as error:
        raise CheckFailed(
            f"shard {name} of {opened.url} is not what its format {form.NAME} says ({error}), so no answer would be whole. "
            f"Run `lowbackground verify {opened.url}`; it names every wrong and missing file."
        ) from error
    return table
