"""Structs in Thrift's compact protocol, which the footer, pages and indexes of a Parquet file are described in.

Libraries read past what they do not know and believe what they do; whoever checks a file has to see all of it.
The protocol: https://github.com/apache/thrift/blob/master/doc/specs/thrift-compact-protocol.md
"""

from typing import Any

_TRUE, _FALSE, _BYTE, _DOUBLE, _BINARY, _LIST, _STRUCT = 1, 2, 3, 7, 8, 9, 12
_INTEGERS = (4, 5, 6)
_DEEPEST = 12


def struct(data: bytes, at: int = 0) -> tuple[dict[int, Any], int]:
    """The fields of the struct at a place, by their ids, and the place behind it. Texts are bytes. Raises `ValueError` for bytes that
    are none, and for a field that stands twice."""
    try:
        return _struct(data, at, 0)
    except IndexError as error:
        raise ValueError("its description breaks off") from error


def _struct(data: bytes, at: int, depth: int) -> tuple[dict[int, Any], int]:
    found: dict[int, Any] = {}
    last = 0
    while True:
        head, at = data[at], at + 1
        if not head:
            return found, at
        if head >> 4:
            last += head >> 4
        else:
            number, at = _varint(data, at)
            last = _signed(number)
        if last in found:
            raise ValueError(f"its description has field {last} twice")
        kind = head & 15
        if kind in (_TRUE, _FALSE):
            found[last] = kind == _TRUE
        else:
            found[last], at = _value(data, at, kind, depth)


def _value(data: bytes, at: int, kind: int, depth: int) -> tuple[Any, int]:
    if kind in _INTEGERS:
        number, at = _varint(data, at)
        return _signed(number), at
    if kind in (_BYTE, _TRUE, _FALSE):
        return data[at], at + 1
    if kind in (_BINARY, _DOUBLE):
        size, at = _varint(data, at) if kind == _BINARY else (8, at)
        if size > len(data) - at:
            raise ValueError("its description breaks off")
        return data[at : at + size], at + size
    if depth == _DEEPEST or kind not in (_LIST, _STRUCT):
        raise ValueError(f"its description has a field of type {kind}, or is too deep")
    if kind == _STRUCT:
        return _struct(data, at, depth + 1)
    head, at = data[at], at + 1
    size = head >> 4
    if size == 15:
        size, at = _varint(data, at)
    if size > len(data) - at:
        raise ValueError("its description breaks off")
    items = []
    for _ in range(size):
        item, at = _value(data, at, head & 15, depth + 1)
        items.append(item)
    return items, at


def _varint(data: bytes, at: int) -> tuple[int, int]:
    number = shift = 0
    while shift < 70:
        byte = data[at]
        number |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return number, at
    raise ValueError("its description has a number of more than 64 bits")


def _signed(number: int) -> int:
    return number >> 1 ^ -(number & 1)
