"""JSON Lines, plain, gzip, zstd or bzip2: one object per line, in any of the layouts of tables.

Every line that holds more than white space is one item, numbered from 0; so is each damaged stretch of a compressed
file, which takes with it the line that it cuts. Reading goes on at the next whole member.
"""

import json
import re
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from store.readers._bzip2 import Bzip2
from store.readers._census import Splitter
from store.readers._rows import row
from store.readers._source import CHUNK, Codec, Fault, Gzip, Source, Zstd, find_member
from store.records import Found, Record, Split, Unreadable

if TYPE_CHECKING:
    from store.reading import Read

NAME = "jsonl"
_HEAD = 1 << 16
_PLAIN_PARTS = 4
_BOM = b"\xef\xbb\xbf"
_OBJECT = re.compile(rb"(?:\xef\xbb\xbf)?\s*\{\s*[\"}]")
_TEXT = re.compile(rb"[^\x00-\x08\x0b\x0c\x0e-\x1f]+")
_LINE = re.compile(rb"\S[^\n]*")

Line = tuple[int, bytes | Fault]
"""Byte position in the decompressed stream, and a line without its end or why there is none."""


def sniff(head: bytes) -> bool:
    """Whether its first line that is not blank opens an object, looking through gzip, zstd and bzip2."""
    codecs: tuple[Codec, ...] = (Gzip(), Zstd(), Bzip2())
    for codec in codecs:
        if codec.starts(head):
            return _OBJECT.match(codec.peek(head, _HEAD)) is not None
    return _OBJECT.match(head) is not None


def survey(stream: BinaryIO, options: "Read") -> Found:
    """Counts lines by walking them and, apart from that, by counting where text begins; plain files are split at lines."""
    source = Source(stream)
    codec = _codec(source)
    count = _Count()
    splitter = Splitter(options.part_bytes * _PLAIN_PARTS if codec is None else source.size + 1)
    for position, _ in _items(_pieces(source, codec, 0, count), 0, options.max_record_bytes):
        splitter.item(position if codec is None else 0)
    return Found(splitter.records, count.lines, max(count.lines - splitter.records, 0), splitter.finish(source.size))


def read(stream: BinaryIO, split: Split, options: "Read") -> Iterator[Record | Unreadable]:
    """Rows of the lines that start in the split."""
    source = Source(stream)
    codec = _codec(source)
    number = split.row
    for position, line in _items(_pieces(source, codec, split.start, None), split.start, options.max_record_bytes):
        if codec is None and position >= split.stop:
            return
        yield Unreadable(number, 0, *line) if isinstance(line, tuple) else _row(number, line, options)
        number += 1


def _codec(source: Source) -> Codec | None:
    head = source.at(0, 16)
    if Gzip().starts(head):
        return Gzip()
    if Bzip2().starts(head):
        return Bzip2()
    return Zstd(source) if Zstd().starts(head) else None


class _Count:
    """Counts lines that hold more than white space, from bytes alone."""

    def __init__(self) -> None:
        self.lines = 0
        self._open = False

    def feed(self, data: bytes) -> None:
        start = 0
        if self._open:
            start = data.find(b"\n")
            if start < 0:
                return
        self._open = False
        last = -1
        for found in _LINE.finditer(data, start):
            self.lines += 1
            last = found.end()
        self._open = last == len(data)

    def cut(self) -> None:
        """What follows is another line."""
        self._open = False


def _pieces(source: Source, codec: Codec | None, start: int, count: _Count | None) -> Iterator[bytes | Fault]:
    """The decompressed stream in pieces, with a fault in place of each damaged stretch."""
    read: Callable[[int], bytes]
    position = start
    while position < source.size:
        fault: Fault | None = None
        if codec is None:
            data = source.at(position, CHUNK)
            position += len(data)
            if not data:
                return
            if count is not None:
                count.feed(data)
            yield data
            continue
        if codec.starts(source.at(position, 8)):
            member = codec.open(source, position)
            read = member.read
            while data := read(CHUNK):
                if count is not None:
                    count.feed(data)
                yield data
            fault, stop = member.fault, member.stop
        else:
            fault, stop = ("no_member", f"byte {position} begins no compressed member: {source.at(position, 24)!r}"), -1
        if fault is not None:
            if count is not None:
                count.cut()
            yield fault
            stop = find_member(codec, source, position + 1, lambda head: _TEXT.fullmatch(head) is not None)
        position = stop


def _items(pieces: Iterator[bytes | Fault], position: int, limit: int) -> Iterator[Line]:
    """Lines and faults in order. A line of more than `limit` bytes is not held."""
    parts: list[bytes] = []
    size = 0
    begin = position
    for piece in pieces:
        if isinstance(piece, tuple):
            yield begin, piece
            parts, size, begin = [], 0, position
            continue
        start = 0
        while (end := piece.find(b"\n", start)) >= 0:
            yield from _line(begin, [*parts, piece[start:end]], size + end - start, limit)
            parts, size, start = [], 0, end + 1
            begin = position + start
        size += len(piece) - start
        parts = [*parts, piece[start:]] if size <= limit else [b"x"]
        position += len(piece)
    yield from _line(begin, parts, size, limit)


def _line(begin: int, parts: list[bytes], size: int, limit: int) -> Iterator[Line]:
    if size > limit:
        yield begin, ("too_large", f"a line of {size} bytes, more than {limit} (read.max_record_bytes)")
    elif line := b"".join(parts).strip():
        yield begin, line


class _Repeated(ValueError):
    """An object names a key twice."""


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) != len(pairs):
        raise _Repeated("an object names a key twice")
    return result


def _row(number: int, line: bytes, options: "Read") -> Record | Unreadable:
    try:
        values = json.loads((line.removeprefix(_BOM) if number == 0 else line).decode(), object_pairs_hook=_once)
    except UnicodeDecodeError as error:
        return Unreadable(number, 0, "invalid_utf8", f"byte {error.start} of the line: {error.reason}", "row")
    except _Repeated as error:
        return Unreadable(number, 0, "duplicate_key", str(error), "row")
    except RecursionError:
        return Unreadable(number, 0, "too_deep", "the line is nested too deeply to be parsed", "row")
    except ValueError as error:
        return Unreadable(number, 0, "invalid_json", str(error)[:200], "row")
    if not isinstance(values, dict):
        return Unreadable(number, 0, "not_an_object", f"the line holds {type(values).__name__}", "row")
    return row(number, values, options)
