"""Parquet as the datasets use it: one file per part, written whole, with its digest known when it is closed."""

import contextlib
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from store import files

ROW_GROUP = 8192
DECODED = 512
"""Rows of a row group that are decoded at once where only some are wanted."""
COMPRESSION = "zstd"


UNREPEATED = frozenset(
    "key id content_id url payload_digest metadata text text_sha256 leaf names detail canonical other rank hash value signature offset".split()
)
"""Columns whose values hardly repeat: a dictionary of them is built in vain and slows every read."""


def _repeating(schema: pa.Schema) -> list[str] | bool:
    return [field.name for field in schema if field.name not in UNREPEATED and not pa.types.is_nested(field.type)] or False


class Writer:
    """Context manager that writes record batches of one schema to one file.

    After the block, `entry` is the file's line in a manifest: path as given, size, SHA-256 and rows.
    """

    def __init__(
        self,
        base: str,
        path: str,
        schema: pa.Schema,
        metadata: dict[str, str] | None = None,
        row_group: int = ROW_GROUP,
        **options: Any,
    ):
        self._url, self._path = files.join(base, path), path
        self._schema = schema.with_metadata(metadata) if metadata else schema
        # Page checksums let a reader say which rows of a damaged file are wrong.
        defaults = {"compression": COMPRESSION, "compression_level": 1, "use_dictionary": _repeating(schema)}
        self._options = {**defaults, "write_page_checksum": True, **options}
        self.rows, self._row_group = 0, row_group
        self.entry: dict[str, Any] = {}

    def __enter__(self) -> "Writer":
        self._context = files.create(self._url)
        self._file = self._context.__enter__()
        self._parquet = pq.ParquetWriter(self._file, self._schema, **self._options)
        return self

    def write(self, batch: pa.RecordBatch | pa.Table) -> None:
        """Appends rows, as row groups of their own, at most `row_group` long."""
        if batch.num_rows:
            table = pa.Table.from_batches([batch]) if isinstance(batch, pa.RecordBatch) else batch
            self._parquet.write_table(table.cast(self._schema), row_group_size=self._row_group)
            self.rows += batch.num_rows

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        try:
            self._parquet.close()
        finally:
            if not self._context.__exit__(kind, error, trace) and kind is None:
                self.entry = {"path": self._path, "size": self._file.size, "sha256": self._file.sha256, "rows": self.rows}


def write(base: str, path: str, table: pa.Table | pa.RecordBatch, schema: pa.Schema, **options: Any) -> dict[str, Any]:
    """Writes one table as one file; returns its line in a manifest."""
    with Writer(base, path, schema, **options) as writer:
        writer.write(table)
    return writer.entry


@contextlib.contextmanager
def opened(url: str) -> Iterator[pq.ParquetFile]:
    """A Parquet file to read from.

    Local files are opened by Arrow itself and nothing is read ahead: a Python file that an Arrow thread still holds when
    the interpreter ends aborts the process.
    """
    if files.is_local(url):
        with pa.OSFile(files.split_url(url)[1]) as native:
            yield pq.ParquetFile(native, pre_buffer=False)
    else:
        with files.open_input(url) as file:
            yield pq.ParquetFile(file, pre_buffer=False)


def read(urls: Iterable[str], columns: list[str] | None = None, schema: pa.Schema | None = None) -> pa.Table:
    """The rows of several files of one schema, in the order of the files; `schema` is needed where there may be none."""
    tables = []
    for url in urls:
        with opened(url) as parquet:
            tables.append(parquet.read(columns=columns))
    if tables:
        return pa.concat_tables(tables)
    if schema is None:
        raise ValueError("no files to read, and no schema to make an empty table from")
    return (schema if columns is None else pa.schema([schema.field(name) for name in columns])).empty_table()


def one_batch(table: pa.Table) -> pa.RecordBatch:
    """All rows of a table as one batch, which may be empty."""
    combined = table.combine_chunks().to_batches()
    return combined[0] if combined else pa.RecordBatch.from_pylist([], schema=table.schema)


def batches(url: str, columns: list[str] | None = None, size: int = ROW_GROUP) -> Iterator[pa.RecordBatch]:
    """The rows of one file, in batches of at most `size`."""
    with opened(url) as parquet:
        yield from parquet.iter_batches(batch_size=size, columns=columns)


def take(url: str, rows: Sequence[int] | np.ndarray, columns: list[str]) -> pa.Table:
    """Some rows of one file, in the order asked for, and the columns as they are asked for; only row groups that hold a row are read.

    Raises `IndexError` for a row that the file does not have.
    """
    wanted, where = np.unique(np.asarray(rows, np.int64), return_inverse=True)
    with opened(url) as parquet:
        sizes = [parquet.metadata.row_group(group).num_rows for group in range(parquet.metadata.num_row_groups)]
        starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        if len(wanted) and not (wanted[0] >= 0 and wanted[-1] < starts[-1]):
            raise IndexError(
                f"{url} has {starts[-1]} rows, and rows {wanted[0]} to {wanted[-1]} were asked for; it is not the file that they were found in. "
                "Remove the work folder, if there is one, and run again."
            )
        cuts = np.searchsorted(wanted, starts)
        found = [
            batch
            for group in range(len(sizes))
            for batch in _chosen(parquet, group, wanted[cuts[group] : cuts[group + 1]] - starts[group], columns)
        ]
        table = pa.Table.from_batches(found) if found else parquet.schema_arrow.empty_table()
    return table.select(columns).take(pa.array(where, pa.int64()))


def _chosen(parquet: pq.ParquetFile, group: int, rows: np.ndarray, columns: list[str]) -> Iterator[pa.RecordBatch]:
    """Some rows (sorted, distinct) of a row group, which is decoded a few rows at a time, so that few texts are held that nobody asked for."""
    at = 0
    for batch in parquet.iter_batches(DECODED, row_groups=[group], columns=columns) if len(rows) else ():
        inside = rows[np.searchsorted(rows, at) : np.searchsorted(rows, at + batch.num_rows)] - at
        at += batch.num_rows
        if len(inside):
            yield batch.take(pa.array(inside))
        if at > rows[-1]:
            return
