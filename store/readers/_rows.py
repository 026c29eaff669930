"""Rows of tables as records: which column is what, and everything else as JSON-able metadata.

Which column is what, `store.readers._presets` says. A column is a capture time only where the layout or `read.date_column`
names it: elsewhere `date` may be anything, and dolma's `created` and `added` are not captures. Nothing else that a row says
of itself (`origin`, `label`) is more than metadata.
"""

import datetime
import decimal
import math
from typing import TYPE_CHECKING, Any

from store.readers._presets import OWN, Preset, columns
from store.records import Record, Unreadable

if TYPE_CHECKING:
    from store.reading import Read

_DEPTH = 64
_KINDS: dict[str, type | tuple[type, ...]] = {"dump": str, "language": str, "language_score": (float, int), "token_count": int}


class TooDeep(ValueError):
    """A value is nested too deeply to be carried along."""


class Undecodable:
    """Stands for a text whose bytes are no UTF-8."""


def row(offset: int, values: dict[str, Any], options: "Read") -> Record | Unreadable:
    """The record of one row, given by column name."""
    layout = columns(frozenset(values), options)
    rest = dict(values)
    text = rest.pop(layout.text, None)
    if isinstance(text, str):
        return described(offset, text, rest, layout, options)
    name, url = _taken(rest, layout.id, (str, int)), _taken(rest, layout.url, str)
    reason = "invalid_utf8" if isinstance(text, Undecodable) else "no_text"
    return Unreadable(offset, 0, reason, no_text(layout, values, options, text), "row", name, url)


def no_text(layout: Preset, names: Any, options: "Read", value: Any = None) -> str:
    """What is said where a column of text is not there or holds something else: also which columns there are."""
    seen = "nothing" if value is None else "bytes that are no UTF-8" if isinstance(value, Undecodable) else type(value).__name__
    there = ", ".join(sorted(clean(str(name)) for name in names)[:20])
    return f"column {layout.text!r} (read.text_column) of preset {options.preset} holds {seen}; there are {there}"


def described(offset: int, text: str, values: dict[str, Any], layout: Preset, options: "Read") -> Record | Unreadable:
    """The record of a text and the other columns of its row."""
    values = dict(values)
    name, url = _taken(values, layout.id, (str, int)), _taken(values, layout.url, str)
    if len(text) > options.max_record_bytes:
        return Unreadable(offset, 0, "too_large", f"{len(text)} characters (read.max_record_bytes)", "row", name, url)
    date = _shown_date(values.pop(layout.date, None)) if layout.date else None
    known = {field: value for field in OWN if (value := _known(values, getattr(layout, field), _KINDS[field])) is not None}
    try:
        known["metadata"] = plain(values)
    except TooDeep as error:
        return Unreadable(offset, 0, "too_deep", str(error), "row", name, url)
    return Record(offset, 0, "row", name, url, date, b"", {}, clean(text), known)


def _known(values: dict[str, Any], column: str, kind: type | tuple[type, ...]) -> Any:
    """Takes a column's value out. Of a list, best first, it is the first, and the list stays."""
    value = values.get(column) if column else None
    if isinstance(value, list) and value and isinstance(value[0], kind) and not isinstance(value[0], bool):
        return plain(value[0])
    if not isinstance(value, kind) or isinstance(value, bool):
        return None
    return plain(values.pop(column))


def _shown_date(value: Any) -> str | None:
    """A row's capture time as text, whatever it is: one that cannot be read is not the same as none."""
    if value is None or value == "":
        return None
    return value.isoformat() if isinstance(value, datetime.date) else clean(str(value))[:64]


def _taken(values: dict[str, Any], column: str, kinds: type | tuple[type, ...]) -> str | None:
    """Takes a column's value out, as text; leaves it, and gives None, where it is of another kind."""
    value = values.get(column) if column else None
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
