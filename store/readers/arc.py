"""ARC, versions 1 and 2: plain, gzip with a member per record, or gzip as a whole, damaged or not.

A record of http or https is a `response`; the version block, DNS and FTP answers and crawlers' notes have types of
which no document comes. ARC has no record ids and no digests. As in WARC each byte belongs to a record, to a blank
line between records, or to an `Unreadable`, and a fault costs its own record only:

- a damaged or truncated member, or bytes between members: one item up to the next member that opens a record;
- a record whose length is wrong, or bytes that are no record: one item up to the next line that is a header in every field;
- a record above `read.max_record_bytes`: one item, skipped without being held.

A record that a blank line and then no header follows stands, and lies in the survey's `damage`: its length may be wrong.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, BinaryIO

from store.readers import warc
from store.readers._census import Census, MemberScan
from store.readers._source import Gzip, Source
from store.readers._url_records import UrlFramer, UrlLineScan, find_header, opens_url_record
from store.records import Found, Record, Split, Unreadable

if TYPE_CHECKING:
    from store.reading import Read

NAME = "arc"
_HEAD = 1 << 16
_FIRST = 2048  # decompressed bytes in which a header line is looked for where a member starts
_PLAIN_PARTS = 4
_FOREIGN = (b"PK\x03\x04", b"BZh", b"\xfd7zXZ", b"%PDF", b"PAR1", b"{", b"[", b"<", b" CDX")
_FORM = warc.Form(UrlFramer, UrlLineScan, opens_url_record)


class _Gzip(Gzip):
    """Gives as much of a member's beginning as a header line may take."""

    def peek(self, raw: bytes, count: int) -> bytes:
        return super().peek(raw, max(count, _FIRST))


def sniff(head: bytes) -> bool:
    """Whether it begins with a version block or a record, or would but for damage: a record starts in `head` and it is no other format."""
    return _kind(head) is not None


def survey(stream: BinaryIO, options: "Read") -> Found:
    """Frames the whole file and holds the result against the search for header lines, in one pass over its bytes."""
    codec = _codec(Source(stream))
    scan = UrlLineScan() if codec is None else MemberScan(codec, opens_url_record)
    census = Census(scan, options.part_bytes * (_PLAIN_PARTS if codec is None else 1))
    source = Source(stream, scan.feed)
    damaged: list[int] = []
    before = 0
    for item in warc.walk(source, codec, Split(0, source.size, 0, source.size), options, census, _FORM):
        census.splitter.item(item.offset)
        if isinstance(item, Unreadable):
            damaged.append(before if codec is None and item.reason == "no_record_header" else item.offset)
        before = item.offset
    found = census.found(source.size, source.drain)
    return replace(found, damage=warc.damage(damaged, source.size if codec is None else None))


def read(stream: BinaryIO, split: Split, options: "Read") -> Iterator[Record | Unreadable]:
    """Items that start in the split."""
    source = Source(stream)
    yield from warc.walk(source, _codec(source), split, options, None, _FORM)


def _codec(source: Source) -> Gzip | None:
    return _Gzip() if _kind(source.at(0, _HEAD)) == "gzip" else None


def _kind(head: bytes) -> str | None:
    """plain or gzip; None for what is no ARC."""
    codec = _Gzip()
    packed = codec.starts(head)
    if _begins(codec.peek(head, _HEAD) if packed else head):
        return "gzip" if packed else "plain"
    if head.startswith(_FOREIGN) or head[257:262] == b"ustar" or warc.sniff(head):
        return None
    if packed and find_header(codec.peek(head, _HEAD)) >= 0:
        return "gzip"
    start = head.find(codec.magic)
    while start >= 0:
        if _begins(codec.peek(head[start : start + codec.look], _FIRST)):
            return "gzip"
        start = head.find(codec.magic, start + 1)
    return "plain" if not packed and find_header(head) >= 0 else None


def _begins(head: bytes) -> bool:
    """Whether the first line that is not blank is a version block's or any record's header."""
    line, end, _ = head.lstrip(b"\r\n").partition(b"\n")
    return line.startswith(b"filedesc:") or (bool(end) and find_header(b"\n" + line + b"\n") == 1)
