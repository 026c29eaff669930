"""Records of one ARC stream (https://archive.org/web/researcher/ArcFileFormat.php), damaged or not.

A record is a header line, `URL IP-address Archive-date Content-type Archive-length` (version 1) or the same with
`Result-code Checksum Location Offset Filename` before the length (version 2), and a block of that length. There is no
magic number: what tells a record is its place. It counts as intact where another header line or the end follows its
block. Where reading has lost its place it goes on at the next line that is a header in every field.
"""

import re
from typing import NamedTuple

from store.readers._census import LineScan
from store.readers._framing import Framed, Framer, Header
from store.records import Record

REACH = 1 << 16
"""Bytes within which a header line has to end."""
_URL = 60_000  # bytes of a URL that resynchronising looks through; with the other fields a line stays below `REACH`
_SCHEME = rb"[A-Za-z][A-Za-z0-9+.\-]{0,30}:"
_IP = rb"(?:[0-9]{1,3}(?:\.[0-9]{1,3}){3}|(?=[0-9A-Fa-f.]*:)[0-9A-Fa-f:.]{2,45})"
_FIELD = rb"[^ \r\n]{1,255}"
# Both versions are taken in any file: archives were concatenated, and some name the one and hold the other.
_HEADER = (
    rb"(" + _SCHEME + rb"[^\n]{0,%d}) " % _URL + _IP + rb" ([0-9]{12}(?:[0-9]{2})?) (" + _FIELD + rb")"
    rb"(?: (?:[0-9]{1,3}|-)(?: " + _FIELD + rb"){4})? ([0-9]{1,18})\r?"
)
_EXACT = re.compile(_HEADER)
# Two patterns, for each has a first byte to look for; behind NUL no second one is passed, or many would take quadratic time.
_LINE = re.compile(rb"\n" + _HEADER + rb"(?=\n)")
_NUL = re.compile(rb"\0" + _HEADER.replace(rb"[^\n]", rb"[^\n\0]") + rb"(?=\n)")
_LENGTH = rb" ([^ \r\n]{1,24})\r?"
_LOOSE = (
    # Date and address in the other's place.
    re.compile(rb"(" + _SCHEME + rb"[^\n]*) ([0-9]{12,14}) " + _IP + rb" ([^\n]*)" + _LENGTH),
    # A date of another length or with something glued to it; a content type with spaces, empty or missing.
    re.compile(
        rb"(" + _SCHEME + rb"[^\n]*) (?:" + _IP + rb"|-|None|0|unknown) ([0-9]{8,17}[^ \r\n]{0,255})(?: ([^\n]*))?" + _LENGTH
    ),
    # The version block, however its other fields are written.
    re.compile(rb"(filedesc:[^ \r\n]*)(?: [^ \r\n]+)? ([^ \r\n]+) ([^ \r\n]+)" + _LENGTH, re.IGNORECASE),
)
_BEGINS = re.compile(_SCHEME + rb"[^\n]*\Z")
_BLANK = 64  # line ends that are looked through after a block; more of them are a stretch of their own
_OTHERS = frozenset(("dns", "ftp", "metadata", "whois"))


def find_header(data: bytes, start: int = 0) -> int:
    """Where at or after `start` a line begins that is a header in every field, -1 if none does.

    What follows a run of NUL begins a line too. The byte before and the line end have to lie in the range.
    """
    start = max(start, 0)
    line = _LINE.search(data, start)
    nul = _NUL.search(data, start, line.start() + 1 if line else len(data))  # both may share a line end
    found = nul or line
    return found.start() + 1 if found else -1


class UrlLineScan(LineScan):
    """Positions of lines that are a header in every field, in bytes fed piece by piece."""

    def _all(self, data: bytes) -> list[int]:
        return sorted(found.start() + 1 for pattern in (_LINE, _NUL) for found in pattern.finditer(data))

    def _tail(self, data: bytes) -> bytes:
        return data[max(data.rfind(b"\n"), len(data) - REACH, 0) :]


class _Fields(NamedTuple):
    url: bytes
    date: bytes
    mime: bytes
    length: bytes


def parse_header(line: bytes) -> _Fields | None:
    """Fields of a line (without its end) where a header is due, read as broken crawlers wrote them; None if it is none."""
    found = _EXACT.fullmatch(line) or next((match for form in _LOOSE if (match := form.fullmatch(line))), None)
    return _Fields(*(part or b"" for part in found.groups())) if found else None


def opens_url_record(head: bytes) -> bool:
    """Whether decompressed bytes begin with a header line, or with as much of one as there is; blank lines apart."""
    line, end, _ = head.lstrip(b"\r\n").partition(b"\n")
    return parse_header(line) is not None if end else _BEGINS.match(line) is not None


def record_type(url: str) -> str:
    """`warcinfo` for the version block, `response` for a page, the scheme of a DNS or FTP answer or a crawler's note, else `unknown`."""
    scheme = url.partition(":")[0].lower()
    if scheme in ("http", "https"):
        return "response"
    return "warcinfo" if scheme == "filedesc" else scheme if scheme in _OTHERS else "unknown"


def _text(data: bytes) -> str:
    try:
        return data.decode().strip()
    except UnicodeDecodeError:
        return data.decode("latin-1").strip()


class UrlFramer(Framer):
    """Frames the records of a window that holds ARC."""

    find = staticmethod(find_header)
    reach = REACH

    def _line(self, start: int) -> tuple[bytes, bool]:
        """What begins at `start` up to the line's end, and whether it has one within `REACH`."""
        window, reach = self._window, 1024
        while True:
            more = window.fill(start + reach)
            first = start - window.base
            end = window.data.find(b"\n", first, first + REACH)
            if end >= 0:
                return window.data[first:end], True
            if not more or reach >= REACH:
                return window.data[first : first + REACH], False
            reach *= 4

    def _header(self, start: int) -> Header | Framed:
        line, ended = self._line(start)
        fields = parse_header(line)
        if fields is None:
            return self._stretch(Header(start, start, {}), start, "no_record_header", f"begins {line[:24]!r}")
        url = _text(fields.url)
        named = {
            "content-length": _text(fields.length),
            "content-type": _text(fields.mime),
            "warc-date": _text(fields.date),
            "warc-target-uri": url,
            "warc-type": record_type(url),
        }
        header = Header(start, start + len(line) + ended, named)
        if not ended:
            return self._stretch(header, start, "truncated", "the header line does not end")
        return header

    def _unmeasured(self, header: Header) -> Framed:
        """Nothing tells how long a record without a usable length is."""
        return self._stretch(header, header.start, "no_length", f"the header's length is {header.fields['content-length']!r}")

    def _stands(self, header: Header, end: int) -> bool:
        return self._closes(end) or self._separated(header, end)

    def _search(self, header: Header) -> int:
        return header.start

    def _closes(self, end: int) -> bool:
        """Whether what follows a block is the end or another header line, blank lines apart, and not one that the block cut."""
        window = self._window
        window.fill(end + _BLANK)
        tail = window.slice(end, end + _BLANK)
        rest = tail.lstrip(b"\r\n")
        if not rest:
            return True
        line = self._line(end + len(tail) - len(rest))[0]
        return parse_header(line) is not None and (rest != tail or not self._cuts(end, line))

    def _cuts(self, end: int, line: bytes) -> bool:
        """Whether `line`, which begins at `end`, is the rest of a header line that begins inside the block."""
        data, stop = self._window.data, end - self._window.base
        before = data[data.rfind(b"\n", max(stop - REACH, 0), stop) + 1 : stop]
        return before != b"" and _EXACT.fullmatch(before + line) is not None

    def _separated(self, header: Header, end: int) -> bool:
        """Whether a line ends after the block and no record starts inside, so that the length may hold and the next record be broken."""
        window = self._window
        window.fill(end + 1)
        if window.slice(end, end + 1) not in (b"\r", b"\n"):
            return False
        found = self.find(window.data, header.start - window.base)
        return found < 0 or window.base + found >= end

    def _record(self, header: Header, end: int, stop: int | None = None) -> Framed:
        fields = header.fields
        headers = {"content-type": fields["content-type"]} if fields["content-type"] else {}
        block = self._window.slice(header.body, end)
        date = fields["warc-date"] or None
        record = Record(*self._place(header.start), header.record_type, None, header.url, date, block, headers, None, {})
        return Framed(header.start, end if stop is None else stop, True, record)
