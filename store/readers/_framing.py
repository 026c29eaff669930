"""Records of one WARC stream (ISO 28500), decompressed or plain, damaged or not.

A record is taken by its Content-Length and counts as intact where a record separator, another record or the end
follows its block. Where that fails the length is wrong, and the next line that starts a record is where reading goes
on. Such a line may in truth be page text inside the damaged record: its digest, not its place, has to vouch for it.
"""

import re
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple

from store.records import Record, Unreadable

if TYPE_CHECKING:
    from store.reading import Read

START = re.compile(rb"WARC/\d", re.IGNORECASE)
# Two patterns, for each has a first byte to look for; with a class in its place the search takes 14 times as long.
_LINE = re.compile(rb"\nWARC/\d", re.IGNORECASE)
_NUL = re.compile(rb"\0WARC/\d", re.IGNORECASE)
_MARK_BYTES = 7
_BLANKS = re.compile(rb"[\r\n]*")
_SEPARATOR = re.compile(rb"(?:(?:\r\n){1,2}|\n{1,2})\Z")
_SPACE = " \t\r"
_SINGLE = ("warc-date", "warc-payload-digest")
_STEP = 1 << 16
_BLANK = 64  # line ends that are looked through after a block; more of them are a stretch of their own


def next_mark(data: bytes, start: int = 0, stop: int = sys.maxsize) -> int:
    """Where in data[start:stop] a line begins with `WARC/` and a digit, -1 if none does.

    What follows a run of NUL, as preallocated files have it, begins a line too. The byte before has to lie in the range.
    """
    start = max(start, 0)
    line = _LINE.search(data, start, stop)
    nul = _NUL.search(data, start, line.start() if line else stop)
    found = nul or line
    return found.start() + 1 if found else -1


def all_marks(data: bytes) -> list[int]:
    """Every such position, in order."""
    return sorted(found.start() + 1 for pattern in (_LINE, _NUL) for found in pattern.finditer(data))


Find = Callable[[bytes, int], int]
"""As `next_mark`: where at or after a position a line opens a record, -1 if none does."""


class Framed(NamedTuple):
    """An item and the stretch [start, stop) of the stream that it stands for; `whole` where its length proved true."""

    start: int
    stop: int
    whole: bool
    item: Record | Unreadable


class Window:
    """A stream of unknown length seen through a buffer that moves forward.

    `read(position, count)` gives the next bytes, none at the end, and is called with growing positions; `rewind(position)`
    makes the next call start there.
    """

    def __init__(self, read: Callable[[int, int], bytes], rewind: Callable[[int], None], start: int = 0, stop: int | None = None):
        self._read = read
        self._rewind = rewind
        self.base = start
        self.data = b""
        self.stop = stop
        """Length of the stream, once it is known."""

    def fill(self, stop: int) -> bool:
        """Buffers up to `stop`; False where the stream ends before."""
        have = self.base + len(self.data)
        if have >= stop:
            return True
        parts = [self.data]
        while have < stop and (part := self._read(have, max(stop - have, _STEP))):
            parts.append(part)
            have += len(part)
        self.data = b"".join(parts)
        if have < stop:
            self.stop = have
        return have >= stop

    def slice(self, start: int, stop: int) -> bytes:
        return self.data[start - self.base : stop - self.base]

    def drop(self, position: int) -> None:
        """Forgets what lies before `position`, which is at most the buffer's end."""
        if position - self.base > _STEP or position - self.base == len(self.data):
            self.data = self.data[position - self.base :]
            self.base = position

    def jump(self, position: int) -> bool:
        """Moves to `position` without keeping what lies between; False where the stream ends before."""
        if self.stop is not None and position > self.stop:
            return False
        while self.base + len(self.data) < position:
            self.data, self.base = b"", self.base + len(self.data)
            if not self.fill(min(position, self.base + _STEP)):
                return False
        self.drop(position)
        return True

    def back(self, position: int) -> None:
        """Moves to `position`, which may lie before the buffer."""
        if position < self.base:
            self._rewind(position)
            self.data, self.base = b"", position

    def mark(self, position: int, find: "Find", reach: int) -> int:
        """Start of the next line at or after `position` that opens a record, its line end included in the search; the end if none.

        `find` sees such a line once `reach` bytes of it are there. Does not keep what lies before.
        """
        while True:
            found = find(self.data, position - self.base)
            if found >= 0:
                return self.base + found
            end = self.base + len(self.data)
            position = max(position, end - reach + 1)
            self.drop(min(position, end))
            if not self.fill(end + 1):
                return end


class Header(NamedTuple):
    """A record's parsed header."""

    start: int
    body: int
    fields: dict[str, str]

    @property
    def length(self) -> int | None:
        """Content-Length in bytes; None where it is absent or no number."""
        value = self.fields.get("content-length", "")
        return int(value) if value.isascii() and value.isdigit() and len(value) < 19 else None

    @property
    def record_type(self) -> str:
        return self.fields.get("warc-type", "").lower() or "unknown"

    @property
    def id(self) -> str | None:
        return self.fields.get("warc-record-id") or None

    @property
    def url(self) -> str | None:
        """WARC-Target-URI without the angle brackets that WARC 1.0 put around it."""
        value = self.fields.get("warc-target-uri", "")
        return (value[1:-1] if value.startswith("<") and value.endswith(">") else value).strip() or None


def parse_fields(raw: bytes) -> dict[str, str]:
    """Named fields after the version line: names in lower case, folded lines joined, the first of equal names wins.

    A date or payload digest that is given twice and differently is both, joined, and so none that can be read.
    """
    fields: dict[str, str] = {}
    name = ""  # of the field that a folded line continues
    for line in raw.decode("utf-8", "replace").split("\n")[1:]:
        if line[:1] in (" ", "\t"):
            if name:
                fields[name] = f"{fields[name]} {line.strip(_SPACE)}".strip(_SPACE)
            continue
        name, colon, value = line.partition(":")
        name = name.strip(_SPACE).lower()
        if name in _SINGLE and fields.get(name, value.strip(_SPACE)) != value.strip(_SPACE):
            fields[name] = f"{fields[name]}, {value.strip(_SPACE)}"
        if not colon or name in fields:
            name = ""
        if name:
            fields[name] = value.strip(_SPACE)
    return fields


def _header_end(data: bytes, start: int, stop: int) -> tuple[int, int]:
    """Where the last line of a header ends and where the block begins: after the first blank line; (-1, `stop`) without one."""
    spaced = data.find(b"\n\r\n", start, stop)
    bare = data.find(b"\n\n", start, stop if spaced < 0 else spaced)
    if bare >= 0:
        return bare, bare + 2
    return (spaced, spaced + 3) if spaced >= 0 else (-1, stop)


class Framer:
    """Frames the records of a window; `place` turns a position in it into (offset, member_offset)."""

    find: Find = staticmethod(next_mark)
    reach = _MARK_BYTES
    """Bytes of a line that tell whether it opens a record."""

    def __init__(self, window: Window, place: Callable[[int], tuple[int, int]], options: "Read"):
        self._window = window
        self._place = place
        self._options = options

    def frames(self, position: int, stop: int | None = None) -> Iterator[Framed]:
        """Items from `position` to the end, or those that start before `stop`, without gap but for blank lines."""
        window = self._window
        while (start := self._skip_blank(position)) is not None and (stop is None or start < stop):
            framed = self._frame(start)
            yield framed
            position = framed.stop
            window.jump(position)

    def _skip_blank(self, position: int) -> int | None:
        """The next position that holds no line end; None at the end."""
        window = self._window
        while window.fill(position + 1):
            blank = _BLANKS.match(window.data, position - window.base)
            position = window.base + (blank.end() if blank else 0)
            if position < window.base + len(window.data):
                return position
            window.jump(position)
        return None

    def _frame(self, start: int) -> Framed:
        header = self._header(start)
        if isinstance(header, Framed):
            return header
        length = header.length
        if length is None:
            return self._unmeasured(header)
        if length > self._options.max_record_bytes:
            return self._oversized(header, length)
        end = header.body + length
        if not self._window.fill(end):
            return self._stretch(header, self._search(header), "truncated", f"the header claims {length} bytes")
        if self._stands(header, end):
            return self._record(header, end)
        return self._stretch(header, self._search(header), "length_mismatch", f"no record ends {length} bytes after the header")

    def _stands(self, header: Header, end: int) -> bool:
        """Whether the length that a header claims proves true."""
        return self._closes(end)

    def _search(self, header: Header) -> int:
        """Where to look for the next record after one whose length is wrong."""
        return header.body - 1

    def _header(self, start: int) -> Header | Framed:
        window = self._window
        window.fill(start + _MARK_BYTES)
        bare = Header(start, start, {})
        if not START.match(window.data, start - window.base):
            seen = window.slice(start, start + 24)
            return self._stretch(bare, start, "no_record_header", f"begins {seen!r}")
        reach = 4096
        while True:
            more = window.fill(start + reach)
            first = start - window.base
            end, body = _header_end(window.data, first, first + self._options.max_header_bytes)
            if next_mark(window.data, first, body) >= 0:
                return self._stretch(bare, start + 1, "header_incomplete", "another record starts inside the header")
            if end >= 0:
                return Header(start, window.base + body, parse_fields(window.data[first:end]))
            if not more:
                return self._stretch(bare, start + 1, "truncated", "the header does not end")
            if reach >= self._options.max_header_bytes:
                detail = f"no end of the header in {self._options.max_header_bytes} bytes (read.max_header_bytes)"
                return self._stretch(bare, start + 1, "header_too_large", detail)
            reach *= 2

    def _closes(self, end: int) -> bool:
        """Whether what follows a block is a record separator, the next record or the end."""
        window = self._window
        window.fill(end + _BLANK + _MARK_BYTES)
        tail = window.slice(end, end + _BLANK + _MARK_BYTES)
        if tail.startswith((b"\r\n\r\n", b"\n\n")):
            return True
        rest = tail.lstrip(b"\r\n")
        return not rest or START.match(rest) is not None

    def _record(self, header: Header, end: int, stop: int | None = None) -> Framed:
        date = header.fields.get("warc-date") or None
        block = self._window.slice(header.body, end)
        record = Record(*self._place(header.start), header.record_type, header.id, header.url, date, block, header.fields, None, {})
        return Framed(header.start, end if stop is None else stop, True, record)

    def _unmeasured(self, header: Header) -> Framed:
        """A record without a usable Content-Length: its block reaches to the next line that starts a record."""
        window, limit = self._window, self._options.max_record_bytes
        reach, searched = _STEP, header.body - 1
        while True:
            more = window.fill(header.body + reach)
            found = next_mark(window.data, searched - window.base)
            if found >= 0 or not more:
                stop = window.base + (len(window.data) if found < 0 else found)
                if stop - header.body > limit:
                    break
                block = window.slice(header.body, stop)
                separator = _SEPARATOR.search(block)
                return self._record(header, header.body + (separator.start() if separator else len(block)), stop)
            if reach > limit:
                break
            searched = window.base + len(window.data) - _MARK_BYTES
            reach *= 2
        return self._stretch(header, header.body - 1, "too_large", f"no length, and over {limit} bytes (read.max_record_bytes)")

    def _oversized(self, header: Header, length: int) -> Framed:
        window = self._window
        end = header.body + length
        if window.jump(end) and self._closes(end):
            detail = f"{length} bytes, more than {self._options.max_record_bytes} (read.max_record_bytes)"
            return Framed(header.start, end, True, self._unreadable(header, "too_large", detail))
        reason = "truncated" if window.stop is not None and window.stop < end else "length_mismatch"
        window.back(header.body - 1)
        return self._stretch(header, header.body - 1, reason, f"the header claims {length} bytes")

    def _stretch(self, header: Header, search: int, reason: str, detail: str) -> Framed:
        """What lies between the header's start and the next line that starts a record."""
        stop = self._window.mark(search, self.find, self.reach)
        if reason == "truncated" and (self._window.stop is None or stop < self._window.stop):
            reason = "length_mismatch" if header.fields else "header_incomplete"
        if header.fields:
            detail = f"{detail}, the next record starts or the data ends after {stop - header.body}"
        return Framed(header.start, stop, False, self._unreadable(header, reason, detail))

    def _unreadable(self, header: Header, reason: str, detail: str) -> Unreadable:
        known = header.record_type if header.fields else None
        return Unreadable(*self._place(header.start), reason, detail, known, header.id, header.url)
