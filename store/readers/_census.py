"""The independent count: record starts found by searching for markers, held against what the reader framed.

The search walks the bytes from one end to the other and knows nothing of lengths or of where the reader stands.
"""

from array import array
from collections.abc import Callable

from store.readers._framing import START, all_marks
from store.readers._source import Codec
from store.records import Found, Split

_MARK_BYTES = 7


class LineScan:
    """Positions of `WARC/` and a digit, in any case, at line starts, in bytes fed piece by piece."""

    def __init__(self) -> None:
        self.marks = array("q")
        self.fed = 0
        self._kept = b"\n"  # the beginning counts as a line start

    def feed(self, data: bytes) -> None:
        joined = self._kept + data
        base = self.fed - len(self._kept)
        self.marks.extend([base + mark for mark in self._all(joined)])
        self._kept = self._tail(joined)
        self.fed += len(data)

    def _all(self, data: bytes) -> list[int]:
        """Every mark in `data`, which begins with what `_tail` left."""
        return all_marks(data)

    def _tail(self, data: bytes) -> bytes:
        """The end of `data` in which a mark may begin that is not whole yet."""
        return data[-(_MARK_BYTES - 1) :]

    def finish(self) -> None:
        """Nothing waits: a marker is found as soon as its last byte is fed."""


class MemberScan:
    """Positions of a compressed member's magic whose first bytes decompress to the start of a record, as `opens` knows it."""

    def __init__(self, codec: Codec, opens: Callable[[bytes], bool] | None = None):
        self.marks = array("q")
        self._codec = codec
        self._opens = opens or opens_record
        self._kept = b""
        self._base = 0

    def feed(self, data: bytes) -> None:
        joined = self._kept + data
        tried = max(len(joined) - self._codec.look, 0)
        self._search(joined, tried)
        self._kept = joined[tried:]
        self._base += tried

    def finish(self) -> None:
        """Tries the last bytes, which may be fewer than a trial wants."""
        self._search(self._kept, len(self._kept))
        self._kept = b""

    def _search(self, data: bytes, stop: int) -> None:
        magic = self._codec.magic
        start = data.find(magic, 0, stop + len(magic) - 1)
        while start >= 0:
            if self._opens(self._codec.peek(data[start : start + self._codec.look], 64)):
                self.marks.append(self._base + start)
            start = data.find(magic, start + 1, stop + len(magic) - 1)


def opens_record(head: bytes) -> bool:
    """Whether decompressed bytes begin with a WARC record, blank lines apart."""
    return START.match(head.lstrip(b"\r\n")) is not None


class Ledger:
    """The stretches that a reader framed, in order, to be held against marks."""

    def __init__(self) -> None:
        self._starts = array("q")
        self._stops = array("q")
        self._whole = bytearray()

    def cover(self, start: int, stop: int, whole: bool) -> None:
        """An item begins at `start`; where `whole`, marks up to `stop` are its content."""
        self._starts.append(start)
        self._stops.append(stop)
        self._whole.append(whole)

    def unaccounted(self, marks: "array[int]") -> int:
        """Marks at which no stretch begins and which no whole stretch contains. Both are in growing order."""
        missing, index, count = 0, -1, len(self._starts)
        for mark in marks:
            while index + 1 < count and self._starts[index + 1] <= mark:
                index += 1
            inside = index >= 0 and (mark == self._starts[index] or (self._whole[index] and mark < self._stops[index]))
            missing += not inside
        return missing


class Splitter:
    """Cuts a file at item starts into parts of about `part_bytes`."""

    def __init__(self, part_bytes: int):
        self._part_bytes = part_bytes
        self._splits: list[Split] = []
        self._start = 0
        self._records = 0
        self.records = 0

    def item(self, offset: int) -> None:
        """One more item, whose offset in the file is at least the last one's."""
        if offset - self._start >= self._part_bytes and self._records:
            self._cut(offset)
        self._records += 1
        self.records += 1

    def finish(self, size: int) -> tuple[Split, ...]:
        self._cut(size)
        return tuple(self._splits)

    def _cut(self, stop: int) -> None:
        self._splits.append(Split(self._start, stop, self._records, stop - self._start, self.records - self._records))
        self._start, self._records = stop, 0


class Census:
    """One survey's count: raw marks and stretches, and those inside each compressed member."""

    def __init__(self, scan: LineScan | MemberScan, part_bytes: int):
        self.scan = scan
        self.ledger = Ledger()
        self.splitter = Splitter(part_bytes)
        self._inner = 0
        self._inner_unaccounted = 0

    def inside(self, scan: LineScan, ledger: Ledger) -> None:
        """Settles a member. A mark at its beginning is the raw mark of the member itself and counts once."""
        self._inner += sum(1 for mark in scan.marks if mark > 0)
        self._inner_unaccounted += ledger.unaccounted(scan.marks)

    def found(self, size: int, drain: Callable[[], None]) -> Found:
        """The result, after the scan has seen every byte."""
        drain()
        self.scan.finish()
        boundaries = len(self.scan.marks) + self._inner
        unaccounted = self.ledger.unaccounted(self.scan.marks) + self._inner_unaccounted
        return Found(self.splitter.records, boundaries, unaccounted, self.splitter.finish(size))
