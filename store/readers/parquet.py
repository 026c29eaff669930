"""Parquet tables in any layout of `store.readers._presets`, or in another whose columns are named.

A split is a run of row groups. The metadata says how many rows there are, and each is an item: rows of a group that
cannot be decoded are so many unreadables. A table without the text column is unreadable row by row.
"""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from store.readers._presets import columns
from store.readers._rows import Undecodable, no_text, row
from store.records import Found, Record, Split, Unreadable

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow.parquet import ParquetFile

    from store.reading import Read

NAME = "parquet"
_NO_PYTHON_VALUE = (ValueError, ArithmeticError, LookupError, ImportError)
_BATCH = 256  # rows that are decoded at a time; pages of text are large


def sniff(head: bytes) -> bool:
    """Whether it begins with Parquet's magic number."""
    return head.startswith(b"PAR1")


def survey(stream: BinaryIO, options: "Read") -> Found:
    """Rows by the row groups' metadata, held against the file's own total."""
    size = stream.seek(0, 2)
    table = _open(stream)
    if isinstance(table, str):
        return Found(1, 0, 0, (Split(0, 1, 1, size),))
    counts = _row_counts(table)
    splits: list[Split] = []
    start = rows = weight = done = 0
    for group, count in enumerate(counts):
        rows += count
        weight += _compressed_bytes(table, group)
        if weight >= options.part_bytes or group == len(counts) - 1:
            splits.append(Split(start, group + 1, rows, weight, done))
            start, done = group + 1, done + rows
            rows = weight = 0
    return Found(done, table.metadata.num_rows, abs(table.metadata.num_rows - done), tuple(splits))


def read(stream: BinaryIO, split: Split, options: "Read") -> Iterator[Record | Unreadable]:
    """Rows of the split's row groups."""
    table = _open(stream)
    if isinstance(table, str):
        yield Unreadable(0, 0, "damaged_table", table)
        return
    counts = _row_counts(table)
    first = sum(counts[: split.start])
    missing = _missing_text(table.schema_arrow, options)
    for group in range(split.start, min(split.stop, len(counts))):
        if missing is None:
            yield from _group(table, group, first, counts[group], options)
        else:
            for number in range(first, first + counts[group]):
                yield Unreadable(number, 0, *missing, "row")
        first += counts[group]


def _open(stream: BinaryIO) -> "ParquetFile | str":
    """The table, or why it cannot be opened."""
    import pyarrow.parquet as pq

    try:
        table = pq.ParquetFile(stream, pre_buffer=False, page_checksum_verification=True)
        counts, total = _row_counts(table), table.metadata.num_rows
        _ = table.schema_arrow
    except Exception as error:  # whatever the library makes of damaged bytes, the file counts as one unreadable
        return _short(error)
    if any(count < 0 for count in counts) or sum(counts) != total:
        return f"the row groups hold {sum(counts)} rows, the file says {total}"
    return table


def _row_counts(table: "ParquetFile") -> list[int]:
    return [table.metadata.row_group(group).num_rows for group in range(table.metadata.num_row_groups)]


def _compressed_bytes(table: "ParquetFile", group: int) -> int:
    metadata = table.metadata.row_group(group)
    return sum(max(metadata.column(column).total_compressed_size, 0) for column in range(metadata.num_columns))


def _missing_text(schema: "pa.Schema", options: "Read") -> tuple[str, str] | None:
    """Reason and detail where the table has no column of text under the name."""
    import pyarrow as pa

    layout = columns(frozenset(schema.names), options)
    if layout.text not in schema.names:
        return "no_text_column", no_text(layout, schema.names, options)
    kind = schema.field(schema.names.index(layout.text)).type
    kind = kind.value_type if pa.types.is_dictionary(kind) else kind
    if pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind):
        return None
    return "no_text", f"column {layout.text!r} (read.text_column) of preset {options.preset} holds {kind}"


def _group(table: "ParquetFile", group: int, first: int, count: int, options: "Read") -> Iterator[Record | Unreadable]:
    number, stop = first, first + count
    fault = "the row group holds fewer rows than its metadata says"
    batches = table.iter_batches(batch_size=_BATCH, row_groups=[group], use_threads=False)
    while number < stop:
        try:
            batch = next(batches, None)
            rows = _rows(batch) if batch is not None else []
        except Exception as error:  # the library raises many kinds; the rest of the group becomes rejects
            fault = _short(error)
            break
        if not rows:
            break
        for values in rows:
            yield row(number, values, options)
            number += 1
    for missing in range(number, stop):
        yield Unreadable(missing, 0, "damaged_row_group", fault, "row")


def _rows(batch: "pa.RecordBatch") -> list[dict[str, Any]]:
    names = _unique(batch.schema.names)
    columns = [_values(batch.column(index)) for index in range(batch.num_columns)]
    return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]


def _unique(names: list[str]) -> list[str]:
    """The names, a repeated one with its number, so that no column hides another."""
    return [name if name not in names[:index] else f"{name}#{index}" for index, name in enumerate(names)]


def _values(column: "pa.Array") -> list[Any]:
    import pyarrow as pa

    try:
        if pa.types.is_timestamp(column.type) and column.type.unit == "ns":
            # Python's times end at microseconds; left to pyarrow, the value would depend on whether pandas is installed.
            column = column.cast(pa.timestamp("us", column.type.tz), safe=False)
        return column.to_pylist()
    except _NO_PYTHON_VALUE:
        return [_value(scalar) for scalar in column]


def _value(scalar: "pa.Scalar") -> Any:
    """A value that Python may not be able to hold: text that is no UTF-8, a time beyond the year 9999 or in nanoseconds."""
    try:
        return scalar.as_py()
    except UnicodeDecodeError:
        return Undecodable()
    except _NO_PYTHON_VALUE:
        number = getattr(scalar, "value", None)  # of a time: units since 1970
        return number if isinstance(number, int) else None


def _short(error: BaseException) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())}"[:200]
