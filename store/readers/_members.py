"""The data of a zip member as a seekable stream that keeps count of its checksum."""

import zlib
from typing import NamedTuple

from store.readers._source import CHUNK, Source
from store.readers._zip import DEFLATED, Member

_FEED = 1 << 15
_MARKS = 32
"""Places at most from which inflating can go on; each holds deflate's window, about 50 kB."""


class _Mark(NamedTuple):
    out: int
    fed: int
    tail: bytes
    state: "zlib._Decompress"


class Content:
    """What a stored or deflated member holds, `size` bytes of it as its headers say."""

    def __init__(self, source: Source, member: Member):
        self._source = source
        self._member = member
        self._at = 0
        self._digested = 0
        self._crc = 0
        self._fault: str | None = None
        self._marks = [_Mark(0, member.data, b"", zlib.decompressobj(-15))]
        self._spacing = 4 * CHUNK
        self._inflate = self._marks[0].state.copy()
        self._out, self._fed, self._tail = 0, member.data, b""

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = offset if whence == 0 else (self._at if whence == 1 else self._member.size) + offset
        return self._at

    def tell(self) -> int:
        return self._at

    def read(self, count: int = -1) -> bytes:
        left = max(self._member.size - self._at, 0)
        count = left if count < 0 else min(count, left)
        data = self._inflated(count) if self._member.method == DEFLATED else self._source.at(self._member.data + self._at, count)
        if self._at <= self._digested < self._at + len(data):
            self._crc = zlib.crc32(memoryview(data)[self._digested - self._at :], self._crc)
            self._digested = self._at + len(data)
        self._at += len(data)
        return data

    def disagreement(self) -> str | None:
        """How the data differs from its checksum or size; reads what was not read yet."""
        self.seek(self._digested)
        while self.read(CHUNK):
            pass
        if self._fault or self._digested < self._member.size:
            return self._fault or f"it holds {self._digested} bytes, its header says {self._member.size}"
        if self._member.crc is not None and self._crc != self._member.crc:
            return f"its CRC-32 is {self._crc:08x}, its header says {self._member.crc:08x}"
        if self._member.method == DEFLATED and self._more():
            return f"it holds more than the {self._member.size} bytes that its header says"
        return None

    def _inflated(self, count: int) -> bytes:
        if self._at < self._out:
            self._go(max((mark for mark in self._marks if mark.out <= self._at), key=lambda mark: mark.out))
        while self._out < self._at and self._step(min(self._at - self._out, CHUNK)):
            pass
        parts: list[bytes] = []
        while count > 0 and self._out >= self._at and (part := self._step(min(count, CHUNK))):
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def _go(self, mark: _Mark) -> None:
        self._out, self._fed, self._tail, self._inflate = mark.out, mark.fed, mark.tail, mark.state.copy()

    def _step(self, count: int) -> bytes:
        """The next bytes, none at the end or the damage."""
        if self._out - self._marks[-1].out >= self._spacing:
            self._marks.append(_Mark(self._out, self._fed, self._tail, self._inflate.copy()))
            if len(self._marks) > _MARKS:
                self._marks, self._spacing = self._marks[::2], self._spacing * 2
        while not self._inflate.eof:
            feed = self._tail or self._source.at(self._fed, min(_FEED, self._member.stop - self._fed))
            if not self._tail:
                self._fed += len(feed)
            try:
                out = self._inflate.decompress(feed, count)
            except zlib.error as error:
                self._fault = f"its deflated data is damaged: {error}"
                return b""
            self._tail = self._inflate.unconsumed_tail
            self._out += len(out)
            if out:
                return out
            if not feed:
                return b""
        return b""

    def _more(self) -> bool:
        """Whether data follows the last byte that the header counts."""
        self._at = self._member.size
        return self._inflated(1) != b""
