"""Rows of tables as records: which column is what, and everything else as JSON-able metadata.

The text is in the column that `read.text_column` names. `id`, `url`, `dump`, `language`, `language_score` and
`token_count` are taken by their names, which FineWeb and others share. A column is a capture time only where
`read.date_column` names it or the table is in FineWeb's layout: elsewhere `date` may be anything, and dolma's `created`
and `added` are not captures. Nothing else that a row says of itself (`origin`, `label`) is more than metadata.
"""

import datetime
import decimal
import math
from collections.abc import Set
from typing import TYPE_CHECKING, Any

from store.records import Record, Unreadable

if TYPE_CHECKING:
    from store.reading import Read

FINEWEB = frozenset({"text", "id", "dump", "url", "date", "file_path"})
"""Columns by which FineWeb's layout is known (https://huggingface.co/datasets/HuggingFaceFW/fineweb)."""
_DEPTH = 64
_OWN: dict[str, type | tuple[type, ...]] = {"dump": str, "language": str, "language_score": (float, int), "token_count": int}


class TooDeep(ValueError):
    """A value is nested too deeply to be carried along."""


class Undecodable:
    """Stands for a text whose bytes are no UTF-8."""


def date_column(names: Set[str], options: "Read") -> str | None:
    """The column that holds capture times, if any."""
    return options.date_column or ("date" if names >= FINEWEB else None)


def row(offset: int, values: dict[str, Any], options: "Read") -> Record | Unreadable:
    """The record of one row, given by column name."""
    values = dict(values)
    name, url = _text_of(values, options.id_column, (str, int)), _text_of(values, options.url_column, str)
    text = values.pop(options.text_column, None)
    if not isinstance(text, str):
        reason = "invalid_utf8" if isinstance(text, Undecodable) else "no_text"
        detail = f"column {options.text_column!r} (read.text_column) holds {'nothing' if text is None else type(text).__name__}"
        return Unreadable(offset, 0, reason, detail, "row", name, url)
    if len(text) > options.max_record_bytes:
        return Unreadable(offset, 0, "too_large", f"{len(text)} characters (read.max_record_bytes)", "row", name, url)
    dated = date_column(values.keys() | {options.text_column, options.id_column, options.url_column}, options)
    date = _shown_date(values.pop(dated, None)) if dated else None
    columns: dict[str, Any] = {}
    for column, kind in _OWN.items():
        value = values.get(column)
        if isinstance(value, kind) and not isinstance(value, bool):
            columns[column] = plain(values.pop(column))
    try:
        columns["metadata"] = plain(values)
    except TooDeep as error:
        return Unreadable(offset, 0, "too_deep", str(error), "row", name, url)
    return Record(offset, 0, "row", name, url, date, b"", {}, clean(text), columns)


def _shown_date(value: Any) -> str | None:
    """A row's capture time as text, whatever it is: one that cannot be read is not the same as none."""
    if value is None or value == "":
        return None
    return value.isoformat() if isinstance(value, datetime.date) else clean(str(value))[:64]


def _text_of(values: dict[str, Any], column: str, kinds: type | tuple[type, ...]) -> str | None:
    """Takes a column's value out, as text; leaves it, and gives None, where it is of another kind."""
    value = values.get(column)
    if not isinstance(value, kinds) or isinstance(value, bool) or value == "":
        return None
    del values[column]
    return value.isoformat() if isinstance(value, datetime.date) else clean(str(value))


def clean(text: str) -> str:
    """The text with lone surrogates, which UTF-8 cannot hold, replaced by U+FFFD."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def plain(value: Any, depth: int = 0) -> Any:
    """The value as JSON can hold it: bytes in hex, times in ISO 8601, what is no finite number null. Raises `TooDeep`."""
    if value is None or isinstance(value, bool | int):
        return value
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if depth >= _DEPTH:
        raise TooDeep(f"a column is nested more than {_DEPTH} levels deep")
    if isinstance(value, dict):
        return {clean(str(key)): plain(item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, depth + 1) for item in value]
    if isinstance(value, bytes | bytearray):
        return value.hex()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat()
    if isinstance(value, datetime.timedelta):
        return value.total_seconds()
    if isinstance(value, decimal.Decimal):
        return str(value)
    return clean(str(value)) if not isinstance(value, Undecodable) else None
