"""Dumps of MediaWiki's wikis (pages-articles XML): plain, bzip2 (one stream or many), gzip or zstd; one item per `<page>`.

Articles (namespace 0, no redirect, wikitext) become records: the text is the wikitext, the date the revision's own
timestamp, the address that of the article in the wiki. All other pages are `Unreadable`s that say why. Layout:
https://www.mediawiki.org/xml/export-0.11.xsd.

Pages are framed by searching for `<page>` and `</page>`: inside, MediaWiki writes every `<` of a text as an entity, so
whoever wrote a text cannot end a page with it. Only what lies between goes to an XML parser, where no document type and so
no entity can be declared. A page may span streams. A damaged stream is one item, and takes with it the page that it cuts;
reading goes on at the next stream that can be read.
"""

import re
from array import array
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from store.readers import _wiki_page
from store.readers._bzip2 import Bzip2
from store.readers._census import Ledger, Splitter
from store.readers._source import CHUNK, Codec, Fault, Gzip, Source, Zstd, find_member
from store.records import Found, Record, Split, Unreadable

if TYPE_CHECKING:
    from store.reading import Read

NAME = "wikipedia"
_START = re.compile(rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml[^>]{0,200}\?>\s*)?<mediawiki[\s>]")
_OPEN, _CLOSE = b"<page>", b"</page>"
_TEXT = re.compile(rb"[^\x00-\x08\x0b\x0c\x0e-\x1f]+")
_PLAIN_PARTS = 4
_SITE = 1 << 20

Place = tuple[int, int]
"""Offset of a stream (of a page in a plain file), and the offset inside the decompressed stream (0 in a plain file)."""


class Piece(NamedTuple):
    """Decompressed bytes that begin `inner` bytes into the stream at `offset` (at `offset`, in a plain file), or a fault there."""

    offset: int
    inner: int
    data: bytes | Fault


class Framed(NamedTuple):
    """A page's bytes, or why there are none; `start` and `stop` count decompressed bytes from where reading began."""

    place: Place
    start: int
    stop: int
    data: bytes | Fault


def sniff(head: bytes) -> bool:
    """Whether it begins with a `mediawiki` element, looking through bzip2 (of which 1 MiB is wanted), gzip and zstd."""
    codec = _codec_of(head)
    return _START.match(head if codec is None else codec.peek(head, 4096)) is not None


def survey(stream: BinaryIO, options: "Read") -> Found:
    """Frames the pages and, apart from that, counts `<page>`; splits lie where streams begin."""
    source = Source(stream)
    codec = _codec(source)
    scan, ledger = _Scan(), Ledger()
    splitter = Splitter(options.part_bytes * (_PLAIN_PARTS if codec is None else 1))
    whole = Split(0, source.size, 0, source.size)
    last = None
    for framed in _walk(source, codec, whole, options.max_record_bytes, scan):
        ledger.cover(framed.start, framed.stop, True)
        # The file is cut where a stream begins, so never between the pages of one, nor before the first page.
        splitter.item(framed.place[0] if last not in (None, framed.place[0]) else 0)
        last = framed.place[0]
    if not splitter.records:
        splitter.item(0)
    damage = None
    if scan.faults and not isinstance(codec, Bzip2 | None):
        # Their checksums come at the end of a stream, after its pages were read; bzip2 compares each block.
        damage = (min(scan.faults), max(scan.faults))
    return Found(splitter.records, len(scan.marks), ledger.unaccounted(scan.marks), splitter.finish(source.size), damage)


def read(stream: BinaryIO, split: Split, options: "Read") -> Iterator[Record | Unreadable]:
    """Pages that begin in the split."""
    source = Source(stream)
    codec = _codec(source)
    site = _wiki_page.site(_first_bytes(source, codec))
    none = True
    for framed in _walk(source, codec, split, options.max_record_bytes, None):
        none = False
        if isinstance(framed.data, tuple):
            yield Unreadable(*framed.place, *framed.data, "row")
        else:
            yield _wiki_page.page(framed.place, framed.data, site)
    if none and split.start == 0 and split.stop >= source.size:
        yield Unreadable(0, 0, "no_page", "the dump has no <page>")


def _codec_of(head: bytes) -> Codec | None:
    codecs: tuple[Codec, ...] = (Bzip2(), Gzip(), Zstd())
    return next((codec for codec in codecs if codec.starts(head)), None)


def _codec(source: Source) -> Codec | None:
    codec = _codec_of(source.at(0, 16))
    return Zstd(source) if isinstance(codec, Zstd) else codec


def _first_bytes(source: Source, codec: Codec | None) -> bytes:
    """The dump's beginning, to where the description of the site ends."""
    parts: list[bytes] = []
    size = 0
    for piece in _pieces(source, codec, 0):
        if isinstance(piece.data, tuple):
            break
        parts.append(piece.data)
        size += len(piece.data)
        if size >= _SITE or b"</siteinfo>" in piece.data:
            break
    return b"".join(parts)[:_SITE]


class _Scan:
    """Counts `<page>` in the decompressed bytes, which it is given piece by piece, and notes where streams are damaged."""

    def __init__(self) -> None:
        self.marks = array("q")
        self.faults: list[int] = []
        self._fed = 0
        self._kept = b""

    def feed(self, piece: Piece) -> None:
        if isinstance(piece.data, tuple):
            self.faults.append(piece.offset)
            self._kept = b""
            return
        joined = self._kept + piece.data
        base = self._fed - len(self._kept)
        self.marks.extend([base + found.start() for found in re.finditer(_OPEN, joined)])
        self._kept = joined[-(len(_OPEN) - 1) :]
        self._fed += len(piece.data)


def _walk(source: Source, codec: Codec | None, split: Split, limit: int, scan: _Scan | None) -> Iterator[Framed]:
    framer = _Framer(limit, codec is None)
    for piece in _pieces(source, codec, split.start):
        if scan is not None:
            scan.feed(piece)
        for framed in framer.feed(piece):
            if framed.place[0] >= split.stop:
                return
            yield framed
        if framer.next_place(piece)[0] >= split.stop:
            return
    last = framer.finish()
    if last is not None and last.place[0] < split.stop:
        yield last


def _pieces(source: Source, codec: Codec | None, start: int) -> Iterator[Piece]:
    """The decompressed bytes from `start`, where a stream begins, with a fault in place of each stretch that cannot be read."""
    position = start
    while position < source.size:
        if codec is None:
            data = source.at(position, CHUNK)
            if not data:
                return
            yield Piece(position, 0, data)
            position += len(data)
            continue
        fault: Fault | None = ("no_member", f"byte {position} begins no compressed stream: {source.at(position, 24)!r}")
        inner = stop = 0
        if codec.starts(source.at(position, 16)):
            member = codec.open(source, position)
            while data := member.read(CHUNK):
                yield Piece(position, inner, data)
                inner += len(data)
            fault, stop = member.fault, member.stop
        if fault is not None:
            yield Piece(position, inner, fault)
            stop = find_member(codec, source, position + 1, lambda head: _TEXT.fullmatch(head) is not None)
        position = stop


class _Framer:
    """Finds pages in pieces. What is held is one page, or the few bytes in which a tag may have begun."""

    def __init__(self, limit: int, plain: bool):
        self._limit, self._plain = limit, plain
        self._held = b""
        self._base = 0  # counts decompressed bytes, as `Framed` does, at the beginning of what is held
        self._at = 0  # searched so far, in what is held
        self._runs: list[tuple[int, Piece]] = []
        self._open: tuple[Place, int] | None = None

    def feed(self, piece: Piece) -> Iterator[Framed]:
        if isinstance(piece.data, tuple):
            yield self._broken(piece, piece.data)
            return
        self._runs.append((self._base + len(self._held), piece))
        self._held += piece.data
        while self._open is not None or self._opens():
            framed = self._closes()
            if framed is None:
                break
            yield framed
        self._cut()

    def next_place(self, piece: Piece) -> Place:
        """Where the page that is open, or the next one, begins: at this place at the earliest."""
        if self._open is not None:
            return self._open[0]
        return self._place(self._base) if self._held else (piece.offset, piece.inner)

    def finish(self) -> Framed | None:
        """The page that the file's end cuts, if any."""
        if self._open is None:
            return None
        place, start = self._open
        return Framed(place, start, self._base + len(self._held), ("truncated", "the file ends inside the page"))

    def _opens(self) -> bool:
        found = self._held.find(_OPEN, self._at)
        if found < 0:
            self._at = max(len(self._held) - len(_OPEN) + 1, self._at)
            return False
        self._open = self._place(self._base + found), self._base + found
        self._at = found + len(_OPEN)
        return True

    def _closes(self) -> Framed | None:
        """The open page, if what is held goes to its end or to the next page's beginning."""
        if self._open is None:
            return None
        place, start = self._open
        stop = self._held.find(_CLOSE, self._at)
        again = self._held.find(_OPEN, self._at, stop if stop >= 0 else len(self._held))
        if stop < 0 and again < 0:
            self._at = max(len(self._held) - len(_CLOSE) + 1, self._at)
            return None
        data: bytes | Fault
        if again >= 0:
            self._at, end = again, self._base + again
            data = ("invalid_xml", "another page begins before the page ends")
        else:
            self._at, end = stop + len(_CLOSE), self._base + stop + len(_CLOSE)
            if end - start > self._limit:
                data = ("too_large", f"a page of {end - start} bytes, more than {self._limit} (read.max_record_bytes)")
            else:
                data = self._held[start - self._base : end - self._base]
        self._open = None
        return Framed(place, start, end, data)

    def _cut(self) -> None:
        """Lets go of what has been used, and of a page that is larger than any may be."""
        keep = self._at
        if self._open is not None and self._base + len(self._held) - self._open[1] <= self._limit:
            keep = max(self._open[1] - self._base, 0)
        self._held = self._held[keep:]
        self._base += keep
        self._at -= keep
        while len(self._runs) > 1 and self._runs[1][0] <= self._base:
            del self._runs[0]

    def _place(self, position: int) -> Place:
        begin, piece = next(run for run in reversed(self._runs) if run[0] <= position)
        if self._plain:
            return piece.offset + position - begin, 0
        return piece.offset, piece.inner + position - begin

    def _broken(self, piece: Piece, fault: Fault) -> Framed:
        end = self._base + len(self._held)
        place, start = self._open or ((piece.offset, piece.inner), end)
        self._held, self._base, self._at, self._runs, self._open = b"", end, 0, [], None
        return Framed(place, start, end, fault)
