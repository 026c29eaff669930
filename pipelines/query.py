"""`query`: one SQL question, or a question that has a name, to a run, a snapshot, a mix or a folder of mixes.

A question only reads. The answer goes to a file or to standard output as a table for people, or as CSV, JSON (one array
of objects) or Parquet for programs.
"""

import csv
import io
import json
import math
import re
import sys
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import TYPE_CHECKING, Any, BinaryIO

import pyarrow as pa

from store import files, revocation
from store.catalog import connect, each_mix, named_queries, open_target
from store.errors import CheckFailed, UsageError
from store.manifest import Opened
from store.revocation import Revocations

if TYPE_CHECKING:
    import duckdb

FORMATS = ("table", "csv", "json", "parquet")
BATCH = 10_000

_NAME = re.compile(r"[A-Za-z_][\w-]*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_READS = ("SELECT", "MULTI", "EXPLAIN")
"""Types of statement that may run; MULTI is what DuckDB makes of PIVOT."""


def run(
    target: str,
    sql_or_name: str,
    fmt: str = "table",
    out: str | None = None,
    revoked: str | None = None,
    keys: Iterable[str] = (),
) -> dict[str, Any]:
    """Answers one question about what lies at `target`; returns its columns and number of rows.

    `fmt` is one of `FORMATS`; `out` is a URL or path, and standard output without it. `revoked` is the URL of a revocation
    list, signed by one of `keys` (verifier keys) or by a signer of the snapshot; it gives the views `revoked` and `lowered`
    (snapshot) or `touched` (mixes). Raises `UsageError` for an unknown name or format, a question for another kind of
    thing, SQL that DuckDB refuses, or a statement that is not a question; `CheckFailed` for a list that nobody signed.
    """
    if fmt not in FORMATS:
        raise UsageError(f"--format {fmt} is not known; it decides how the answer is written. Use one of {', '.join(FORMATS)}.")
    opened = open_target(target)
    sql = _resolve(opened, sql_or_name, revoked)
    with connect(opened, _revocations(opened, revoked, keys)) as con:
        reader = _ask(con, opened, sql)
        names = _distinct(reader.schema.names)
        batches = _batches(reader, opened)
        with _sink(out) as file:
            rows = _WRITERS[fmt](file, names, reader.schema, batches)
            file.flush()
    return {"verb": "query", "target": target, "id": opened.id, "columns": names, "rows": rows, "format": fmt, "out": out}


def _revocations(opened: Opened, url: str | None, keys: Iterable[str]) -> Revocations | None:
    """The list, signed by a key of the user or of a snapshot that is asked about, or that a mix asked about was drawn from."""
    if url is None:
        return None
    if opened.kind == "snapshot":
        return revocation.read_for(opened, url, keys)
    if opened.kind == "run":
        raise UsageError(f"--revoked lowers documents of a snapshot, and {opened.url} is a run. Ask the snapshot, or the mixes.")
    signers = {vkey for mix in each_mix(opened).values() for vkey in revocation.of_mix(mix)[1].get("signers") or []}
    return revocation.read(url, sorted(signers), keys)


def answer(target: str, sql_or_name: str, revoked: str | None = None, keys: Iterable[str] = ()) -> dict[str, Any]:
    """The summary of `run` with the answer itself, a list of objects, under `answer`."""
    with tempfile.TemporaryDirectory() as scratch:
        path = files.join(scratch, "answer.json")
        summary = run(target, sql_or_name, "json", path, revoked, keys)
        return summary | {"out": None, "answer": json.loads(files.read_bytes(path))}


def _resolve(opened: Opened, sql_or_name: str, revoked: str | None = None) -> str:
    """The SQL to run: a named query's, or what was given."""
    text = sql_or_name.strip()
    if not _NAME.fullmatch(text):
        return text
    named = named_queries()
    if text not in named:
        raise UsageError(f"{text} is not a named query, and one word is no SQL. {_hint(opened.kind)}")
    if opened.kind not in named[text].kinds:
        fit = " or a ".join(named[text].kinds)
        raise UsageError(
            f"{text} asks about a {fit}, and {opened.url} is a {opened.kind}, which lacks what it counts. {_hint(opened.kind)}"
        )
    if named[text].revoked and revoked is None:
        raise UsageError(f"{text} asks what a revocation list touches, and none was given. Add --revoked FILE.")
    return named[text].sql


def _hint(kind: str) -> str:
    fitting = [query for query in named_queries().values() if kind in query.kinds]
    return f"Named queries for a {kind}:\n" + "\n".join(f"  {query.name}: {query.answers}" for query in fitting)


def _ask(con: "duckdb.DuckDBPyConnection", opened: Opened, sql: str) -> pa.RecordBatchReader:
    import duckdb

    try:
        statements = con.extract_statements(sql)
        seen = [statement.type.name for statement in statements]
        executes = seen == ["EXPLAIN"] and re.search(r"\banalyze\b", sql, re.IGNORECASE)
        if len(seen) != 1 or seen[0] not in _READS or executes:
            what = ", ".join(seen) or "nothing"
            raise UsageError(
                f"query answers one question that reads (SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, PIVOT), and was given {what}. "
                "What is finished is never changed. Use --out FILE with --format to write an answer."
            )
        return con.sql(statements[0]).to_arrow_reader(BATCH)
    except duckdb.IOException as error:
        raise _unreadable(opened, error) from error
    except duckdb.Error as error:
        views = ", ".join(name for (name,) in con.execute("SHOW TABLES").fetchall())
        raise UsageError(f"DuckDB cannot answer this: {error}\n\nViews: {views}.\n{_hint(opened.kind)}") from error


def _unreadable(opened: Opened, error: Exception) -> CheckFailed:
    return CheckFailed(
        f"a file of {opened.url} cannot be read ({str(error).splitlines()[0]}), so the answer would not be whole. "
        f"Run `lowbackground verify {opened.url}`; it names every wrong and missing file."
    )


def _batches(reader: pa.RecordBatchReader, opened: Opened) -> Iterator[pa.RecordBatch]:
    """The answer piece by piece; DuckDB's errors while it reads come out of Arrow as `OSError` or `ArrowException`."""
    import duckdb

    try:
        yield from reader
    except (duckdb.IOException, OSError) as error:
        raise _unreadable(opened, error) from error
    except (duckdb.Error, pa.ArrowException) as error:
        raise UsageError(f"DuckDB cannot answer this: {error}\n{_hint(opened.kind)}") from error


def _distinct(names: list[str]) -> list[str]:
    """Column names that differ: a repeated one gets a number, so that no value is lost in JSON or Parquet."""
    out: list[str] = []
    for name in names:
        candidate, n = name, 1
        while candidate in out:
            candidate, n = f"{name}_{n}", n + 1
        out.append(candidate)
    return out


def _sink(out: str | None) -> AbstractContextManager[Any]:
    if out is None:
        sys.stdout.flush()
        return nullcontext(sys.stdout.buffer)
    return files.create(out)


def _moment(value: datetime | date | time) -> str:
    if isinstance(value, datetime) and value.tzinfo is not None:
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    return value.isoformat()


def plain(value: Any) -> Any:
    """A DuckDB value as JSON has it: times in ISO 8601 (UTC as `Z`), NaN and infinities null, bytes in hex, exact numbers kept."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if math.isfinite(value) else None
        case datetime() | date() | time():
            return _moment(value)
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case bytes():
            return value.hex()
        case list() | tuple():
            return [plain(item) for item in value]
        case dict():
            return {str(name): plain(item) for name, item in value.items()}
        case _:
            return str(value)


def _rows(batches: Iterator[pa.RecordBatch]) -> Iterator[list[Any]]:
    for batch in batches:
        columns = [column.to_pylist() for column in batch.columns]
        for row in zip(*columns, strict=True):
            yield [plain(value) for value in row]


def _cell(value: Any) -> str:
    """A value on one line of CSV or of a table."""
    if isinstance(value, str):
        return value
    return "" if value is None else json.dumps(value, ensure_ascii=False)


def _write_csv(file: BinaryIO, names: list[str], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(names)
    count = 0
    for row in _rows(batches):
        writer.writerow([_cell(value) for value in row])
        count += 1
        if buffer.tell() > 1 << 20:
            file.write(buffer.getvalue().encode())
            buffer.seek(0)
            buffer.truncate()
    file.write(buffer.getvalue().encode())
    return count


def _write_json(file: BinaryIO, names: list[str], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    count = 0
    for row in _rows(batches):
        file.write(b",\n " if count else b"[\n ")
        file.write(json.dumps(dict(zip(names, row, strict=True)), ensure_ascii=False, allow_nan=False).encode())
        count += 1
    file.write(b"\n]\n" if count else b"[]\n")
    return count


def _write_parquet(file: BinaryIO, names: list[str], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    import pyarrow.parquet as pq

    schema = pa.schema([field.with_name(name) for field, name in zip(schema, names, strict=True)])
    count = 0
    with pq.ParquetWriter(file, schema, compression="zstd") as writer:
        for batch in batches:
            writer.write_batch(pa.RecordBatch.from_arrays(batch.columns, schema=schema))
            count += batch.num_rows
    return count


def _visible(text: str) -> str:
    """Text on one line of a terminal, where a page's escape sequences and direction marks would act and not show."""
    return _CONTROL.sub(lambda found: "⏎" if found[0] == "\n" else " " if found[0] == "\t" else f"\\x{ord(found[0]):02x}", text)


def _write_table(file: BinaryIO, names: list[str], schema: pa.Schema, batches: Iterator[pa.RecordBatch]) -> int:
    from rich import box
    from rich.console import Console
    from rich.measure import Measurement
    from rich.table import Table
    from rich.text import Text

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    for name, field in zip(names, schema, strict=True):
        numeric = pa.types.is_integer(field.type) or pa.types.is_floating(field.type) or pa.types.is_decimal(field.type)
        table.add_column(Text(_visible(name)), justify="right" if numeric else "left", no_wrap=True, overflow="ellipsis")
    for row in _rows(batches):
        table.add_row(*(Text(_visible(_figure(value))) for value in row))
    text = io.TextIOWrapper(file, encoding="utf-8", write_through=True)
    terminal = file is sys.stdout.buffer and sys.stdout.isatty()
    console = Console(file=sys.stdout) if terminal else Console(file=text, width=10_000_000, color_system=None)
    if not terminal:
        console.width = max(Measurement.get(console, console.options, table).maximum, 1)
    console.print(table)
    text.flush()
    text.detach()
    return table.row_count


def _figure(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else _cell(value)


_WRITERS = {"table": _write_table, "csv": _write_csv, "json": _write_json, "parquet": _write_parquet}
