"""bzip2 streams, as Wikimedia and others write many of them one after the other.

The format has no specification; block sizes and magic numbers are those of bzip2 1.0.8's `decompress.c`.
"""

import bz2
from collections import deque

from store.readers._source import Fault, Source

_FEED = 1 << 15
_STEP = 1 << 16
_MARKS = (b"\x31\x41\x59\x26\x53\x59", b"\x17\x72\x45\x38\x50\x90")
"""What follows the four bytes of a stream's header: a block, or the end of an empty stream."""
_LAG = 1 << 22
"""Bytes that are held back until more follow: a block's checksum is compared when all of the block is out, and a block
is 900 kB before its run-length coding is undone, which text hardly shortens."""


class Bzip2:
    """Streams of bzip2."""

    magic = b"BZh"
    look = 1 << 20  # no more than a block of 900 kB, of which nothing comes before its end

    def starts(self, head: bytes) -> bool:
        mark = head[4:10]
        return head.startswith(self.magic) and head[3:4] in b"123456789" and any(known.startswith(mark) for known in _MARKS)

    def open(self, source: Source, offset: int) -> "Bzip2Member":
        return Bzip2Member(source, offset)

    def peek(self, raw: bytes, count: int) -> bytes:
        if not self.starts(raw[:10]):
            return b""
        try:
            return bz2.BZ2Decompressor().decompress(raw, count)
        except (OSError, ValueError):
            return b""


class Bzip2Member:
    """A bzip2 stream. What it gives is of blocks whose checksums agree: of a damaged stream, the last bytes stay away."""

    def __init__(self, source: Source, offset: int):
        self.offset = offset
        self.stop = -1
        self.fault: Fault | None = None
        self._source = source
        self._inflate = bz2.BZ2Decompressor()
        self._fed = offset
        self._held: deque[bytes] = deque()
        self._size = 0
        self._ended = False

    def read(self, count: int) -> bytes:
        while not self._ended and self._size <= _LAG:
            self._pull()
        ready = self._size if self._ended else self._size - _LAG
        if ready <= 0:
            return b""
        part = self._held.popleft()
        if len(part) > min(count, ready):
            self._held.appendleft(part[min(count, ready) :])
            part = part[: min(count, ready)]
        self._size -= len(part)
        return part

    def _pull(self) -> None:
        feed = self._source.at(self._fed, _FEED) if self._inflate.needs_input else b""
        self._fed += len(feed)
        if self._inflate.needs_input and not feed:
            # All blocks that came out were compared: the decoder asks for more only then.
            self._end(("truncated", f"the file ends inside the bzip2 stream at byte {self.offset}"))
            return
        try:
            out = self._inflate.decompress(feed, _STEP)
        except (OSError, ValueError) as error:
            self._end(("damaged_member", f"bzip2 stream at byte {self.offset}: {error}"))
            self._held.clear()
            self._size = 0
            return
        if out:
            self._held.append(out)
            self._size += len(out)
        if self._inflate.eof:
            self.stop = self._fed - len(self._inflate.unused_data)
            self._end(None)

    def _end(self, fault: Fault | None) -> None:
        self._ended, self.fault = True, fault
