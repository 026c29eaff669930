"""Footers of Parquet files taken apart and put together again, for tests that let them say what is not true.

A struct of Thrift's compact protocol is `{id: (type, value)}`, and a list `(type of its items, items)`.
"""

from typing import Any

TAIL = 8


def cut(data: bytes) -> tuple[bytes, dict[int, Any]]:
    """What lies before the footer of a file, and the footer."""
    length = int.from_bytes(data[-TAIL:-4], "little")
    return data[: -TAIL - length], struct(data[-TAIL - length : -TAIL])[0]


def joined(body: bytes, footer: dict[int, Any]) -> bytes:
    """The file of a footer."""
    made = put_struct(footer)
    return body + made + len(made).to_bytes(4, "little") + b"PAR1"


def struct(data: bytes, at: int = 0) -> tuple[dict[int, Any], int]:
    """The fields of the struct at a place, and the place behind it."""
    found: dict[int, Any] = {}
    last = 0
    while head := data[at]:
        at += 1
        if head >> 4:
            last += head >> 4
        else:
            last, at = _number(data, at)
        value, at = (head & 15 == 1, at) if head & 15 < 3 else _value(data, at, head & 15)
        found[last] = (head & 15, value)
    return found, at + 1


def put_struct(fields: dict[int, Any]) -> bytes:
    """The bytes of a struct."""
    made, last = b"", 0
    for name in sorted(fields):
        kind, value = fields[name]
        kind = (1 if value else 2) if kind < 3 else kind
        step = name - last
        made += bytes([step << 4 | kind]) if 0 < step < 16 else bytes([kind]) + _put_number(name)
        made += b"" if kind < 3 else _put(kind, value)
        last = name
    return made + b"\0"


def _unsigned(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while True:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at


def _number(data: bytes, at: int) -> tuple[int, int]:
    number, at = _unsigned(data, at)
    return number >> 1 ^ -(number & 1), at


def _value(data: bytes, at: int, kind: int) -> tuple[Any, int]:
    if kind in (4, 5, 6):
        return _number(data, at)
    if kind == 8:
        size, at = _unsigned(data, at)
        return data[at : at + size], at + size
    if kind == 12:
        return struct(data, at)
    if kind != 9:
        raise ValueError(f"no type of a Parquet footer: {kind}")
    of, size, at = data[at] & 15, data[at] >> 4, at + 1
    if size == 15:
        size, at = _unsigned(data, at)
    items: list[Any] = []
    for _ in range(size):
        item, at = (data[at] == 1, at + 1) if of < 3 else _value(data, at, of)
        items.append(item)
    return (of, items), at


def _put_unsigned(number: int) -> bytes:
    made = bytearray()
    while number > 127:
        made.append(number & 127 | 128)
        number >>= 7
    return bytes([*made, number])


def _put_number(number: int) -> bytes:
    return _put_unsigned(number << 1 if number >= 0 else (-number << 1) - 1)


def _put(kind: int, value: Any) -> bytes:
    if kind in (4, 5, 6):
        return _put_number(value)
    if kind == 8:
        return _put_unsigned(len(value)) + value
    if kind == 12:
        return put_struct(value)
    of, items = value
    head = bytes([len(items) << 4 | of]) if len(items) < 15 else bytes([0xF0 | of]) + _put_unsigned(len(items))
    return head + b"".join((b"\1" if item else b"\2") if of < 3 else _put(of, item) for item in items)
