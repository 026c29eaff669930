"""WARC and WET: plain, gzip or zstd (with ArchiveTeam dictionaries), one record per member or many, damaged or not.

The framing is our own because every library loses records without a word: a flipped bit ends the file there, a wrong
Content-Length swallows what follows, a truncated download looks whole. Here each byte belongs to a record, to a blank
line between records, or to an `Unreadable`:

- a damaged or truncated member, or bytes between members: one item up to the next member that opens a record;
- a record whose length is wrong or whose header is broken: one item up to the next line that opens a record;
- a record above `read.max_record_bytes`: one item, skipped without being held;
- a checksum that fails after several whole records of one member: they stay, and one item says that any may be damaged.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from store.readers._census import Census, Ledger, LineScan, MemberScan, opens_record
from store.readers._framing import Framed, Framer, Window
from store.readers._source import GZIP_MAGIC, ZSTD_DICTIONARY, ZSTD_MAGIC, Codec, Gzip, Member, Source, Zstd, find_member
from store.records import Found, Record, Split, Unreadable

if TYPE_CHECKING:
    from store.reading import Read

NAME = "warc"
_HEAD = 1 << 16
_PLAIN_PARTS = 4  # a plain file's parts are this many times as long: about as many records as in compressed ones
_RECORD = re.compile(rb"(?:\A|\n)WARC/\d[^\n]*\n(?:[^\n]*\n){0,20}?WARC-Type:", re.IGNORECASE)
_FOREIGN = (b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"%PDF", b"PAR1", b"filedesc:", b"{", b"[", b"<")
"""Beginnings of other formats, in which an archive may be embedded."""


class Form(NamedTuple):
    """What tells the records of one archive format: how they are framed, searched for, and known by a member's first bytes."""

    framer: type[Framer]
    scan: type[LineScan]
    opens: Callable[[bytes], bool]


_WARC = Form(Framer, LineScan, opens_record)


def sniff(head: bytes) -> bool:
    """Whether it begins with a record, or would but for damage: a record starts in `head` and no other format does."""
    return _kind(head) is not None


def survey(stream: BinaryIO, options: "Read") -> Found:
    """Frames the whole file and holds the result against the search for markers, in one pass over its bytes."""
    kind = _kind(Source(stream).at(0, _HEAD))
    codec = _codec(kind, Source(stream))
    census = Census(LineScan() if codec is None else MemberScan(codec), options.part_bytes * (_PLAIN_PARTS if codec is None else 1))
    source = Source(stream, census.scan.feed)
    damaged: list[int] = []
    for item in walk(source, codec, Split(0, source.size, 0, source.size), options, census):
        census.splitter.item(item.offset)
        if isinstance(item, Unreadable) or not item.headers.get("content-length", "").strip().isdecimal():
            damaged.append(item.offset)
    found = census.found(source.size, source.drain)
    return replace(found, damage=damage(damaged, source.size if codec is None else None))


def damage(offsets: list[int], end: int | None) -> tuple[int, int] | None:
    """Where resynchronising may have taken text of a broken record for a record.

    Who writes a page can put a whole WARC record into it, and into data that a compressed member stores as they are. In a
    plain file nothing tells where the broken record ends. In a compressed one the text of a broken member cannot reach
    behind the last stretch that belongs to no record, since the rest of that member is such a stretch.
    """
    return (min(offsets), max(offsets) if end is None else end) if offsets else None


def read(stream: BinaryIO, split: Split, options: "Read") -> Iterator[Record | Unreadable]:
    """Items that start in the split."""
    source = Source(stream)
    yield from walk(source, _codec(_kind(source.at(0, _HEAD)), source), split, options, None)


def _kind(head: bytes) -> str | None:
    """plain, gzip or zstd; None for what is no WARC."""
    if head.startswith(ZSTD_DICTIONARY):
        return "zstd"
    if opens_record(head):
        return "plain"
    codecs: tuple[tuple[str, Codec], ...] = (("gzip", Gzip()), ("zstd", Zstd()))
    for kind, codec in codecs:
        if codec.starts(head) and _RECORD.search(codec.peek(head, _HEAD)):
            return kind
    if head.startswith(_FOREIGN) or head[257:262] == b"ustar":
        return None
    for kind, codec in codecs:
        start = head.find(codec.magic)
        while start >= 0:
            if opens_record(codec.peek(head[start : start + codec.look], 64)):
                return kind
            start = head.find(codec.magic, start + 1)
    return "plain" if not head.startswith((GZIP_MAGIC, ZSTD_MAGIC)) and _RECORD.search(head) else None


def _codec(kind: str | None, source: Source) -> Codec | None:
    return Gzip() if kind == "gzip" else Zstd(source) if kind == "zstd" else None


def walk(
    source: Source, codec: Codec | None, split: Split, options: "Read", census: Census | None, form: Form = _WARC
) -> Iterator[Record | Unreadable]:
    """Items that start in the split of a plain (`codec` None) or compressed file, told to the census, if any."""
    if codec is None:
        return _plain(source, split, options, census, form)
    return _members(source, codec, split, options, census, form)


def _plain(source: Source, split: Split, options: "Read", census: Census | None, form: Form) -> Iterator[Record | Unreadable]:
    window = Window(source.at, lambda position: None, split.start, source.size)
    for framed in form.framer(window, lambda position: (position, 0), options).frames(split.start, split.stop):
        if census is not None:
            census.ledger.cover(framed.start, framed.stop, framed.whole)
        yield framed.item


def _members(
    source: Source, codec: Codec, split: Split, options: "Read", census: Census | None, form: Form
) -> Iterator[Record | Unreadable]:
    position = split.start
    while position < min(split.stop, source.size):
        if codec.starts(source.at(position, 8)):
            scan, ledger = (form.scan(), Ledger()) if census is not None else (None, None)
            opened = _Opened(source, codec, position, scan)
            yield from _inside(opened, options, ledger, form)
            if census is not None and scan is not None and ledger is not None:
                census.inside(scan, ledger)
            whole = opened.member.fault is None
            stop = opened.member.stop if whole else find_member(codec, source, position + 1, form.opens)
        else:
            whole, stop = False, find_member(codec, source, position + 1, form.opens)
            detail = f"{stop - position} bytes that belong to no member, begin {source.at(position, 24)!r}"
            yield Unreadable(position, 0, "no_member", detail)
        if census is not None:
            census.ledger.cover(position, stop, whole)
        position = stop


class _Opened:
    """A member as a stream that can be read again from an earlier position; each byte goes to the scan, if any, once."""

    def __init__(self, source: Source, codec: Codec, offset: int, scan: LineScan | None):
        self._open = lambda: codec.open(source, offset)
        self.member: Member = self._open()
        self._scan = scan

    def read(self, position: int, count: int) -> bytes:
        data = self.member.read(count)
        if self._scan is not None and position + len(data) > self._scan.fed:
            self._scan.feed(data[self._scan.fed - position :])
        return data

    def rewind(self, position: int) -> None:
        self.member = self._open()
        while position > 0 and (data := self.member.read(min(position, _HEAD))):
            position -= len(data)


def _inside(opened: _Opened, options: "Read", ledger: Ledger | None, form: Form) -> Iterator[Record | Unreadable]:
    """Items of one member. The last one waits for the member's end, which may prove it damaged."""
    offset = opened.member.offset
    window = Window(opened.read, opened.rewind)
    held: Framed | None = None
    count = 0
    for framed in form.framer(window, lambda position: (offset, position), options).frames(0):
        if held is not None:
            yield held.item
        held = framed
        count += 1
        if ledger is not None:
            ledger.cover(framed.start, framed.stop, framed.whole)
    yield from _last(opened.member, held, count, window)


def _last(member: Member, held: Framed | None, count: int, window: Window) -> Iterator[Record | Unreadable]:
    if member.fault is None:
        if held is not None:
            yield held.item
        return
    reason, detail = member.fault
    if held is None:
        yield Unreadable(member.offset, 0, reason, detail)
        return
    item, end = held.item, window.stop or held.stop
    if count == 1 or (isinstance(item, Unreadable) and held.stop == end):
        yield Unreadable(item.offset, item.member_offset, reason, detail, item.record_type, item.id, item.url)
        return
    yield item
    yield Unreadable(member.offset, end, reason, f"{detail}; any of the member's {count} records may be damaged")
