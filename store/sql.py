"""DuckDB over lists of Parquet files, for the plans that a stage makes over keys and counts; spills to disk by itself."""

import os
import tempfile
import uuid
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from provenance.schema import ATTESTATIONS
from store import files

if TYPE_CHECKING:
    import duckdb


MEMORY = "1GB"
"""What one database may hold in memory."""


def connect(scratch: str) -> "duckdb.DuckDBPyConnection":
    """An in-memory database that holds at most `MEMORY` and spills the rest, below `scratch` if that is local and else below the
    machine's folder for temporary files. Rows have an order where a statement gives them one, and only there."""
    import duckdb

    con = duckdb.connect(":memory:")
    con.execute("set TimeZone = 'UTC'; set autoinstall_known_extensions = false; set autoload_known_extensions = false")
    con.execute("set enable_progress_bar = false")
    local = files.is_local(scratch)
    spill = files.join(files.split_url(scratch)[1], "spill") if local else spill_folder()
    # DuckDB makes the folder itself and not those above it, and a stage may spill before it has written anything.
    os.makedirs(os.path.dirname(spill), exist_ok=True)
    con.execute(f"set memory_limit = '{MEMORY}'; set temp_directory = {quote(spill)}")
    return con


def spill_folder() -> str:
    """A folder of one database's own that is not there: DuckDB makes it when it spills, and removes it when it is closed."""
    return os.path.join(tempfile.gettempdir(), f"lowbackground-duckdb-{uuid.uuid4().hex}")


def order_of_survival() -> str:
    """The order in which documents survive, as SQL over their columns: best attested first, then the earliest end of the
    capture interval (none last), then payload digest and key. Arrival has no part in it."""
    levels = ", ".join(quote(level) for level in ATTESTATIONS)
    return f"list_position([{levels}], attestation) desc, date_end nulls last, payload_digest nulls last, key"


def best_leaves(among: str = "true", leaves: str = "leaves") -> str:
    """The best leaf of each key in a table of leaves, as SQL: the first in the order of survival, its index last.

    A further witness of a document is a leaf of the same key and text; redacted leaves prove nothing. `among` is a condition
    on the leaves.
    """
    return (
        f"SELECT * FROM (SELECT * REPLACE (nullif(payload_digest, '') AS payload_digest) FROM {leaves} WHERE redacted IS NULL) of_key "
        f"""WHERE {among} QUALIFY row_number() OVER (PARTITION BY key ORDER BY {order_of_survival()}, "index") = 1"""
    )


def view(con: "duckdb.DuckDBPyConnection", name: str, urls: Sequence[str], schema: pa.Schema, part: str | None = None) -> None:
    """Makes a view of the rows of some files; with `part`, the number of the file as the first column of that name, and the row's number as `row`."""
    for url in urls[:1]:
        register(con, url)
    if not urls:
        extra = [pa.field(part, pa.int32()), pa.field("row", pa.int64())] if part else []
        con.register(name, pa.schema([*extra, *schema]).empty_table())
        return
    paths = ", ".join(quote(pattern(url)) for url in urls)
    # A folder named `attestation=timestamped` would else be a column, in place of the file's own.
    source = f"read_parquet([{paths}], filename = true, file_row_number = true, hive_partitioning = false)"
    columns = ", ".join(f'"{field.name}"' for field in schema)
    if not part:
        con.execute(f"create view {name} as select {columns} from {source}")
        return
    numbers = ", ".join(quote(_name(url)) for url in urls)
    con.execute(
        f"create view {name} as select (list_position([{numbers}], filename) - 1)::int as {part}, file_row_number as row, {columns} from {source}"
    )


def insert(con: "duckdb.DuckDBPyConnection", table: str, batches: Iterable[pa.RecordBatch]) -> None:
    """Appends rows to a table of the same columns, batch by batch; what making a batch raises is raised."""
    for batch in batches:
        con.register("inserted", pa.Table.from_batches([batch]))
        con.execute(f"insert into {table} select * from inserted")
        con.unregister("inserted")


def stream(con: "duckdb.DuckDBPyConnection", sql: str, size: int = 65536) -> Iterator[pa.RecordBatch]:
    """The rows of a statement, in batches."""
    yield from con.sql(sql).to_arrow_reader(size)


def by_part(batches: Iterable[pa.RecordBatch], column: str, parts: int, kind: pa.Schema) -> Iterator[tuple[int, pa.Table]]:
    """Cuts rows that are sorted by the number of their part into one table for each part, empty ones included."""
    waiting: list[pa.Table] = []
    number = 0
    for batch in batches:
        table = pa.Table.from_batches([batch]).cast(kind)
        while table.num_rows:
            same = int(np.searchsorted(table[column].to_numpy(), number, "right"))
            waiting.append(table.slice(0, same))
            if same == table.num_rows:
                break
            yield number, pa.concat_tables(waiting)
            waiting, table, number = [], table.slice(same), number + 1
    while number < parts:
        yield number, pa.concat_tables(waiting) if waiting else kind.empty_table()
        waiting, number = [], number + 1


def runs(batches: Iterable[pa.RecordBatch], size: int) -> Iterator[Iterator[pa.RecordBatch]]:
    """The rows in runs of `size`, of which the last may be shorter; one empty run where there are no rows. Each run is to be
    read to its end before the next one."""
    rest = iter(batches)
    waiting: pa.RecordBatch | None = next(rest, None)

    def run() -> Iterator[pa.RecordBatch]:
        nonlocal waiting
        room = size
        while waiting is not None and room:
            piece = waiting.slice(0, room)
            room -= piece.num_rows
            waiting = waiting.slice(piece.num_rows) if piece.num_rows < waiting.num_rows else next(rest, None)
            yield piece

    yield run()
    while waiting is not None:
        yield run()


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
