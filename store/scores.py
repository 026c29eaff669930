"""Tables of scores that a user brings to a mix: Parquet files with a document's `key` in each row, and any other columns."""

import contextlib
import tempfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from provenance.identity import digest
from store import conditions, files, reading, sql
from store.catalog import identifier
from store.errors import UsageError

if TYPE_CHECKING:
    import duckdb

OURS = ("key", "origin", "source", "language", "domain", "year", "rarity", "date", "url", "byte_count", "attestation")
"""Columns that a candidate of a mix has by itself; no table of scores may bring one of another meaning."""


@dataclass(frozen=True)
class Scores:
    """One table: its files, its SHA-256 (of several files, the digest of their sorted ones), its rows, and the columns beside `key`."""

    name: str
    urls: tuple[str, ...]
    sha256: str
    rows: int
    columns: tuple[str, ...]

    @property
    def plain(self) -> dict[str, Any]:
        """The table as a manifest names it."""
        return {"sha256": self.sha256, "rows": self.rows, "columns": list(self.columns)}


def opened(tables: Iterable[str]) -> list[Scores]:
    """The tables of scores at some URLs: Parquet files, folders of them, or globs. Only their keys are read, once.

    Raises `UsageError` for one that cannot be read, has no `key`, a key that is null or stands there twice, or a column that a
    document or another of the tables has already.
    """
    with contextlib.closing(sql.connect(tempfile.gettempdir())) as con:
        con.execute("SET enable_progress_bar = false")
        found = [_opened(con, table) for table in tables]
    taken = dict.fromkeys((*OURS, conditions.ROW), "every document")
    for table in found:
        for column in table.columns:
            if other := taken.get(column.lower()):
                raise UsageError(
                    f"--scores {table.name} has the column {column!r}, which {other} has already; a condition could not tell them apart. "
                    "Rename it (DuckDB's names have no case)."
                )
            taken[column.lower()] = f"--scores {table.name}"
    return found


def _opened(con: "duckdb.DuckDBPyConnection", name: str) -> Scores:
    import duckdb

    listed = _files(name)
    for url in listed[:1]:
        sql.register(con, url)
    try:
        described = [con.execute(f"DESCRIBE SELECT * FROM {source([url])}").fetchall() for url in listed]
        types = dict(row[:2] for row in described[0])
        if other := next((url for url, rows in zip(listed, described, strict=True) if rows != described[0]), None):
            raise UsageError(
                f"--scores {name} has files of more than one schema, {listed[0]} and {other}; a column would be missing or mean two things. "
                "Write them alike, or give them as two tables."
            )
        if types.get("key") != "VARCHAR":
            raise UsageError(
                f"--scores {name} has {'a column key of type ' + types['key'] if 'key' in types else 'no column key'}, and scores are joined to "
                f"documents by their keys, which are strings; it has {', '.join(types) or 'no columns'}. Write the documents' `key` into it."
            )
        rows, named, distinct = con.execute(f"SELECT count(*), count(key), count(DISTINCT key) FROM {source(listed)}").fetchall()[0]
    except duckdb.Error as error:
        raise UsageError(
            f"--scores {name} cannot be read as Parquet ({str(error).splitlines()[0]}); a document without its score would count as one that has "
            "none. Write the table anew."
        ) from error
    if rows > distinct:
        raise UsageError(
            f"--scores {name} has {rows:,} rows, of which {rows - named:,} have no key and {named - distinct:,} repeat the key of another; "
            "which score is a document's would be chance. Write one row for each key."
        )
    shas = sorted(files.file_digest(url)[0] for url in listed)
    return Scores(name, tuple(listed), shas[0] if len(shas) == 1 else digest(shas), rows, tuple(n for n in types if n != "key"))


def _files(name: str) -> list[str]:
    """The Parquet files that a table is: a file whatever its name, and of folders and globs what ends in `.parquet`."""
    try:
        found = reading.expand([name])
    except UsageError as error:
        raise UsageError(f"--scores {name} is no table: {error}") from error
    listed = [url for url, path in found if path.endswith(".parquet")] or [url for url, _ in found if len(found) == 1]
    if not listed:
        raise UsageError(f"--scores {name} holds no file that ends in .parquet. Name a Parquet file, a folder or a glob of them.")
    return listed


def source(urls: Sequence[str]) -> str:
    """The rows of some Parquet files of one schema, as SQL."""
    return f"read_parquet([{', '.join(sql.quote(sql.pattern(url)) for url in urls)}], hive_partitioning = false)"


def join(con: "duckdb.DuckDBPyConnection", tables: Sequence[Scores]) -> None:
    """Makes the views `scores_0`, `scores_1` ... of the tables, in which a number that is none (NaN) is null, since DuckDB
    would else have it above every other, and zero has one sign."""
    for number, table in enumerate(tables):
        for url in table.urls[:1]:
            sql.register(con, url)
        types = con.execute(f"DESCRIBE SELECT * FROM {source(table.urls)}").fetchall()
        columns = ", ".join(_column(name, kind) for name, kind, *_ in types)
        con.execute(f"CREATE VIEW scores_{number} AS SELECT {columns} FROM {source(table.urls)}")


def _column(name: str, kind: str) -> str:
    quoted = identifier(name)
    if kind not in ("FLOAT", "DOUBLE"):
        return quoted
    # Of a bare column DuckDB takes Parquet's least and greatest value for all that there are, which leave NaN out.
    return f"CASE WHEN {quoted} = 0 THEN 0 WHEN NOT isnan([{quoted}][1]) THEN {quoted} END AS {quoted}"
