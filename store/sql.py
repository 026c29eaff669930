"""DuckDB over lists of Parquet files, for the plans that a stage makes over keys and counts; spills to disk by itself."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import pyarrow as pa

from provenance.schema import ATTESTATIONS
from store import files

if TYPE_CHECKING:
    import duckdb


def connect(scratch: str) -> "duckdb.DuckDBPyConnection":
    """An in-memory database whose spilled data go below `scratch` if that is local. Rows have an order where a statement
    gives them one, and only there."""
    import duckdb

    con = duckdb.connect(":memory:")
    con.execute("set TimeZone = 'UTC'; set autoinstall_known_extensions = false; set autoload_known_extensions = false")
    if files.is_local(scratch):
        con.execute("set temp_directory = ?", [files.join(files.split_url(scratch)[1], "spill")])
    return con


def order_of_survival() -> str:
    """The order in which documents survive, as SQL over their columns: best attested first, then the earliest end of the
    capture interval (none last), then payload digest and key. Arrival has no part in it."""
    levels = ", ".join(quote(level) for level in ATTESTATIONS)
    return f"list_position([{levels}], attestation) desc, date_end nulls last, payload_digest nulls last, key"


def view(con: "duckdb.DuckDBPyConnection", name: str, urls: Sequence[str], schema: pa.Schema, part: str | None = None) -> None:
    """Makes a view of the rows of some files; with `part`, the number of the file as the first column of that name, and the row's number as `row`."""
    for url in urls[:1]:
        register(con, url)
    if not urls:
        extra = [pa.field(part, pa.int32()), pa.field("row", pa.int64())] if part else []
        con.register(name, pa.schema([*extra, *schema]).empty_table())
        return
    paths = ", ".join(quote(pattern(url)) for url in urls)
    source = f"read_parquet([{paths}], filename = true, file_row_number = true)"
    columns = ", ".join(f'"{field.name}"' for field in schema)
    if not part:
        con.execute(f"create view {name} as select {columns} from {source}")
        return
    numbers = ", ".join(quote(_name(url)) for url in urls)
    con.execute(
        f"create view {name} as select (list_position([{numbers}], filename) - 1)::int as {part}, file_row_number as row, {columns} from {source}"
    )


def stream(con: "duckdb.DuckDBPyConnection", sql: str, size: int = 65536) -> Iterator[pa.RecordBatch]:
    """The rows of a statement, in batches."""
    yield from con.sql(sql).to_arrow_reader(size)


def register(con: "duckdb.DuckDBPyConnection", url: str) -> None:
    """Lets the connection read from the file system of a URL."""
    fs, _ = files.split_url(url)
    protocols = {fs.protocol} if isinstance(fs.protocol, str) else set(fs.protocol)
    if not files.is_local(url) and not protocols & set(con.list_filesystems()):
        con.register_filesystem(fs)


def quote(text: str) -> str:
    """A SQL string literal."""
    return "'" + text.replace("'", "''") + "'"


def pattern(url: str) -> str:
    """What to write in `read_parquet` for exactly this file: its wildcards stand for themselves."""
    return "".join(f"[{char}]" if char in "*?[" else char for char in _name(url))


def _name(url: str) -> str:
    fs, path = files.split_url(url)
    return path if files.is_local(url) else str(fs.unstrip_protocol(path))
