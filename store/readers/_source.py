"""Random access to a file's raw bytes, and the compressed members (gzip) and frames (zstd) in them.

A member is read to its end or to its damage, whichever comes first, and says which; libraries that hide the members
end silently at the first damaged one.
"""

import zlib
from collections.abc import Callable
from typing import BinaryIO, Protocol, cast

import zstandard

CHUNK = 1 << 20
_FEED = 1 << 15
_STEP = 64  # bytes per call while salvaging: what a call made before it met the damage is lost

GZIP_MAGIC = b"\x1f\x8b\x08"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
ZSTD_DICTIONARY = b"\x5d\x2a\x4d\x18"
"""Skippable frame that holds the dictionary of the frames after it (https://iipc.github.io/warc-specifications/specifications/warc-zstd/)."""
_ZSTD_BLOCK = 1 << 17  # RFC 8878, 3.1.1.2.4: no block exceeds 128 KiB
_ZSTD_WINDOW = 1 << 27  # what zstd decodes by default; more is memory that a file may not ask for
_DICTIONARY = 1 << 24  # bytes; those of ArchiveTeam are about 1 MiB

Fault = tuple[str, str]
"""Reason and detail."""


class Source:
    """Reads at any position of a seekable stream through one buffer; `tap` is given every byte once and in order.

    Without a tap, bytes are read only where they are asked for.
    """

    def __init__(self, stream: BinaryIO, tap: Callable[[bytes], None] | None = None):
        self._stream = stream
        self.size = stream.seek(0, 2)
        self._at = self.size
        self._tap = tap
        self._tapped = 0
        self._data = b""
        self._base = 0

    def at(self, position: int, count: int) -> bytes:
        """`count` bytes from `position`; fewer only where the file ends."""
        start = position - self._base
        if start < 0 or start + count > len(self._data):
            self._load(position, count)
            start = position - self._base
        return self._data[start : start + count]

    def drain(self) -> None:
        """Gives the tap what it has not seen."""
        self._catch_up(self.size)

    def _load(self, position: int, count: int) -> None:
        self._catch_up(position)
        start = position - self._base
        kept = self._data[start:] if 0 <= start < len(self._data) else b""
        fresh = self._read(position + len(kept), max(count - len(kept), CHUNK))
        unseen = fresh[max(self._tapped - position - len(kept), 0) :]
        if self._tap is not None and unseen:
            self._tap(unseen)
            self._tapped += len(unseen)
        self._data, self._base = kept + fresh, position

    def _catch_up(self, position: int) -> None:
        while self._tap is not None and self._tapped < position:
            fresh = self._read(self._tapped, min(CHUNK, position - self._tapped))
            if not fresh:
                return
            self._tap(fresh)
            self._tapped += len(fresh)

    def _read(self, position: int, count: int) -> bytes:
        if position != self._at:
            self._stream.seek(position)
        parts = []
        left = count
        while left > 0 and (part := self._stream.read(left)):
            parts.append(part)
            left -= len(part)
        self._at = position + count - left
        return b"".join(parts)


class Member(Protocol):
    """One compressed member: `read` until it gives nothing; then `fault` says whether it was whole, and `stop` where it ends."""

    offset: int
    stop: int
    fault: Fault | None

    def read(self, count: int) -> bytes:
        """At most `count` bytes, none at the end or at the damage."""
        ...


class Codec(Protocol):
    """How members of one kind are recognised, opened and searched for."""

    magic: bytes
    look: int
    """Bytes after a magic within which `peek` gives its first bytes."""

    def starts(self, head: bytes) -> bool:
        """Whether a member of this kind starts with these bytes."""
        ...

    def open(self, source: Source, offset: int) -> Member:
        """The member at `offset`."""
        ...

    def peek(self, raw: bytes, count: int) -> bytes:
        """The first bytes, at most `count`, that `raw` decompresses to; none where it does not."""
        ...


def find_member(codec: Codec, source: Source, position: int, accept: Callable[[bytes], bool]) -> int:
    """First position from `position` on where a member starts whose first bytes are accepted; the file's size if none does."""
    while position < source.size:
        data = source.at(position, CHUNK)
        start = data.find(codec.magic)
        while start >= 0:
            if accept(codec.peek(source.at(position + start, codec.look), 64)):
                return position + start
            start = data.find(codec.magic, start + 1)
        if position + len(data) >= source.size or len(data) < len(codec.magic):
            break
        position += len(data) - len(codec.magic) + 1
    return source.size


class Gzip:
    """Members of RFC 1952, as most crawlers write one per record."""

    magic = GZIP_MAGIC
    look = 4096

    def starts(self, head: bytes) -> bool:
        return head.startswith(GZIP_MAGIC)

    def open(self, source: Source, offset: int) -> "GzipMember":
        return GzipMember(source, offset)

    def peek(self, raw: bytes, count: int) -> bytes:
        out = b""
        for step in (count, _STEP):
            inflate = zlib.decompressobj(31)
            feed, out = raw, b""
            try:
                while len(out) < count and (part := inflate.decompress(feed, min(step, count - len(out)))):
                    feed, out = inflate.unconsumed_tail, out + part
                return out
            except zlib.error:
                continue  # again in small steps, which give what lies before the damage
        return out


class GzipMember:
    """A gzip member; its checksum and length are verified at its end."""

    def __init__(self, source: Source, offset: int):
        self.offset = offset
        self.stop = -1
        self.fault: Fault | None = None
        self._source = source
        self._inflate = zlib.decompressobj(31)
        self._fed = offset
        self._tail = b""
        self._given = 0
        self._ended = False

    def read(self, count: int) -> bytes:
        if self._ended:
            return b""
        try:
            out = self._step(count)
        except zlib.error as error:
            self._ended = True
            self.fault = ("damaged_member", f"gzip member at byte {self.offset}: {error}")
            return _salvage(lambda: GzipMember(self._source, self.offset), self._given)
        if not out and not self._ended:
            self._ended = True
            self.fault = ("truncated", f"the file ends inside the gzip member at byte {self.offset}")
        self._given += len(out)
        return out

    def _step(self, count: int) -> bytes:
        """Output of at most `count` bytes; none only at the end of the member or of the file."""
        while True:
            feed = self._tail or self._source.at(self._fed, _FEED)
            if not self._tail:
                self._fed += len(feed)
            out = self._inflate.decompress(feed, count)
            self._tail = self._inflate.unconsumed_tail
            if self._inflate.eof:
                self._ended = True
                self.stop = self._fed - len(self._inflate.unused_data)
                return out
            if out or not feed:
                return out


class Zstd:
    """Frames of RFC 8878; a dictionary in the file's first, skippable frame holds for all frames."""

    magic = ZSTD_MAGIC
    look = _ZSTD_BLOCK + 64

    def __init__(self, source: Source | None = None):
        self._dictionary: zstandard.ZstdCompressionDict | None = None
        data = _zstd_dictionary(source) if source is not None else None
        if data:
            self._dictionary = zstandard.ZstdCompressionDict(data)
            try:
                self._decompressor()
            except zstandard.ZstdError:
                self._dictionary = None  # damaged; the frames that need it will say so

    def starts(self, head: bytes) -> bool:
        return head.startswith(ZSTD_MAGIC) or _skippable(head)

    def open(self, source: Source, offset: int) -> "ZstdMember":
        return ZstdMember(source, offset, self._decompressor())

    def peek(self, raw: bytes, count: int) -> bytes:
        out = b""
        for step in (count, _STEP):
            out = b""
            try:
                with self._decompressor().stream_reader(raw, read_across_frames=False) as reader:
                    while len(out) < count and (part := reader.read(min(step, count - len(out)))):
                        out += part
                return out
            except zstandard.ZstdError:
                continue
        return out

    def _decompressor(self) -> zstandard.ZstdDecompressor:
        return zstandard.ZstdDecompressor(dict_data=self._dictionary, max_window_size=_ZSTD_WINDOW)


class ZstdMember:
    """A zstd frame (or a skippable one, which is empty). Its end is found from its block headers, before it is decoded."""

    def __init__(self, source: Source, offset: int, decompressor: zstandard.ZstdDecompressor):
        self.offset = offset
        self._source = source
        self._decompressor = decompressor
        self._given = 0
        self._skipped = _skippable(source.at(offset, 8))
        self.stop, self.fault = _zstd_extent(source, offset)
        view = _View(source, offset, self.stop if self.stop > 0 else source.size)
        self._reader = decompressor.stream_reader(cast(BinaryIO, view), read_size=_FEED, read_across_frames=False)
        self._ended = self._skipped

    def read(self, count: int) -> bytes:
        if self._ended:
            return b""
        try:
            out = self._reader.read(count)
        except zstandard.ZstdError as error:
            self._ended = True
            self.fault = ("damaged_member", f"zstd frame at byte {self.offset}: {error}")
            return _salvage(lambda: ZstdMember(self._source, self.offset, self._decompressor), self._given)
        self._ended = not out
        self._given += len(out)
        return out


def _salvage(again: "Callable[[], GzipMember | ZstdMember]", given: int) -> bytes:
    """What a damaged member, opened again, still holds after its first `given` bytes, but for the last one before the damage."""
    parts: list[bytes] = []
    for size in (_STEP, 1):
        member = again()
        left = given + sum(map(len, parts))
        while left > 0 and (part := member.read(min(left, CHUNK))):
            left -= len(part)
        step = member._step if isinstance(member, GzipMember) else member._reader.read
        try:
            while part := step(size):
                parts.append(part)
        except (zlib.error, zstandard.ZstdError):
            continue  # the damage itself, which the caller has already named
    return b"".join(parts)


class _View:
    """The bytes [start, stop) of a source as a stream."""

    def __init__(self, source: Source, start: int, stop: int):
        self._source, self._next, self._stop = source, start, stop

    def read(self, count: int = -1) -> bytes:
        left = self._stop - self._next
        data = self._source.at(self._next, left if count < 0 else min(count, left))
        self._next += len(data)
        return data


def _skippable(head: bytes) -> bool:
    """RFC 8878, 3.1.2: magic numbers 0x184D2A50 to 0x184D2A5F."""
    return len(head) >= 4 and head[0] & 0xF0 == 0x50 and head[1:4] == b"\x2a\x4d\x18"


def _zstd_extent(source: Source, offset: int) -> tuple[int, Fault | None]:
    """Where the frame at `offset` ends by its block headers (RFC 8878, 3.1.1), or -1 and why that cannot be said."""
    cut = ("truncated", f"the file ends inside the zstd frame at byte {offset}")
    head = source.at(offset, 8)
    if _skippable(head):
        stop = offset + 8 + int.from_bytes(head[4:8], "little")
        return (stop, None) if len(head) == 8 and stop <= source.size else (-1, cut)
    flags = head[4] if len(head) > 4 else 0
    single = flags >> 5 & 1
    position = offset + 6 - single + (0, 1, 2, 4)[flags & 3] + (single, 2, 4, 8)[flags >> 6]
    while True:
        header = source.at(position, 3)
        if len(header) < 3:
            return -1, cut
        value = int.from_bytes(header, "little")
        kind, size = value >> 1 & 3, value >> 3
        if kind == 3 or size > _ZSTD_BLOCK:
            return -1, ("damaged_member", f"zstd frame at byte {offset}: no block header at byte {position}")
        position += 3 + (1 if kind == 1 else size)
        if value & 1:
            break
    position += 4 * (flags >> 2 & 1)
    return (position, None) if position <= source.size else (-1, cut)


def _zstd_dictionary(source: Source) -> bytes | None:
    """The dictionary in the leading skippable frame, itself perhaps compressed; None where there is none that can be read."""
    head = source.at(0, 8)
    size = int.from_bytes(head[4:8], "little")
    if not head.startswith(ZSTD_DICTIONARY) or len(head) < 8 or size > _DICTIONARY:
        return None
    data = source.at(8, size)
    if data.startswith(ZSTD_MAGIC):
        try:
            with zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW).stream_reader(data) as reader:
                return reader.read(_DICTIONARY)
        except zstandard.ZstdError:
            return None
    return data
