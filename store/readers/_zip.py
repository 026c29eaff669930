"""What lies where in a zip file (https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT), truthful or not.

The central directory says which members there are and is believed where the local headers agree with it. Where there is
none, as in a truncated file, the local headers are followed from the first one on.
"""

import struct
from array import array
from collections.abc import Iterator
from typing import NamedTuple

from store.readers._source import CHUNK, Fault, Source

LOCAL = b"PK\x03\x04"
_CENTRAL = b"PK\x01\x02"
_END = b"PK\x05\x06"
_END_64 = b"PK\x06\x06"
_LOCATOR_64 = b"PK\x06\x07"
_LOCAL_HEADER = struct.Struct("<4s5H3L2H")
_CENTRAL_HEADER = struct.Struct("<4s6H3L5H2L")
_END_HEADER = struct.Struct("<4s4H2LH")
_SHORT, _LONG = 0xFFFF, 0xFFFFFFFF
STORED, DEFLATED = 0, 8
ENCRYPTED = 1
_DESCRIBED = 8  # flag bit 3: sizes and checksum stand behind the data
_DESCRIPTOR = 24  # bytes, at most
_INFLATION = 1032  # bytes that one byte of deflate can become
_STEP = 1 << 16
_MEMBERS = 1 << 16
"""Members above which the rest of a file is one stretch; a WACZ has tens."""


class Member(NamedTuple):
    """A member whose headers agree: its local header at `start`, its data in [data, stop)."""

    name: str
    start: int
    data: int
    stop: int
    size: int
    """Bytes when decompressed."""
    method: int
    flags: int
    crc: int | None


class Stretch(NamedTuple):
    """Bytes [start, stop) that are a member or, with the reason, are none; without either they are the central directory.

    A member with a reason is the last one of a file that then ends.
    """

    start: int
    stop: int
    member: Member | None
    fault: Fault | None


class Layout(NamedTuple):
    """In order of their starts. What the directory tells wrongly is a stretch without bytes, at its entry there."""

    stretches: list[Stretch]
    searched: int | None
    """From where on members were searched for, so that a member's own text may look like one."""


class _Listed(NamedTuple):
    """An entry of the central directory and where it stands."""

    position: int
    name: bytes
    offset: int
    method: int
    flags: int
    crc: int
    packed: int
    size: int


def layout(source: Source) -> Layout:
    """Members, gaps and lies of a file. Raises nothing for any bytes."""
    bounds = _directory_bounds(source)
    listed = _listed(source, *bounds[:2]) if bounds else None
    if bounds is None or listed is None:
        return _walked(source)
    begin, _, end = bounds
    stretches: list[Stretch] = []
    lies: list[Stretch] = []
    position = 0
    for entry in sorted(listed, key=lambda entry: (entry.offset, entry.position)):
        member = _agreed(source, entry, position, begin)
        if isinstance(member, str):
            lies.append(Stretch(entry.position, entry.position, None, ("wacz_directory", f"{_name(entry.name)!r}: {member}")))
            continue
        stretches.extend(_gap(source, position, member.start, 2 * _MEMBERS - len(stretches)))
        position = _behind(source, member, begin)
        stretches.append(Stretch(member.start, position, member, None))
    stretches.extend(_gap(source, position, begin, 2 * _MEMBERS - len(stretches)))
    stretches.append(Stretch(begin, end, None, None))
    stretches.extend(sorted(lies))
    stretches.extend(_gap(source, end, source.size, _MEMBERS))
    return Layout(stretches, None)


def _name(raw: bytes) -> str:
    return raw.decode("utf-8", "replace")


def _directory_bounds(source: Source) -> tuple[int, int, int] | None:
    """Start and end of the central directory, and the end of the record behind it; None where there is none."""
    base = max(source.size - _END_HEADER.size - _SHORT, 0)
    tail = source.at(base, source.size - base)
    at = tail.rfind(_END)
    while at >= 0:
        if at + _END_HEADER.size <= len(tail):
            fields = _END_HEADER.unpack_from(tail, at)
            size, start, comment = fields[5:]
            position = base + at
            stop = position
            if _LONG in (size, start) or _SHORT in fields[3:5]:
                size, start, stop = _end_64(source, position) or (size, start, stop)
            whole = start + size <= stop and position + _END_HEADER.size + comment <= source.size
            if whole and size and source.at(start, 4) == _CENTRAL:
                return start, start + size, position + _END_HEADER.size + comment
        at = tail.rfind(_END, 0, at)
    return None


def _end_64(source: Source, position: int) -> tuple[int, int, int] | None:
    """Size and start of the directory and where the zip64 record of them stands."""
    locator = source.at(max(position - 20, 0), 20)
    if not locator.startswith(_LOCATOR_64) or len(locator) < 20:
        return None
    at = int.from_bytes(locator[8:16], "little")
    record = source.at(at, 56) if at < position else b""
    if not record.startswith(_END_64) or len(record) < 56:
        return None
    return int.from_bytes(record[40:48], "little"), int.from_bytes(record[48:56], "little"), at


def _listed(source: Source, position: int, stop: int) -> list[_Listed] | None:
    """Entries of the directory; None where it is damaged or has too many."""
    found: list[_Listed] = []
    while position < stop:
        head = source.at(position, _CENTRAL_HEADER.size)
        if len(head) < _CENTRAL_HEADER.size or not head.startswith(_CENTRAL) or len(found) == _MEMBERS:
            return None
        _, _, _, flags, method, _, _, crc, packed, size, name, extra, comment, _, _, _, offset = _CENTRAL_HEADER.unpack(head)
        rest = source.at(position + len(head), name + extra)
        size, packed, offset = _wide(rest[name:], (size, packed, offset))
        found.append(_Listed(position, rest[:name], offset, method, flags, crc, packed, size))
        position += len(head) + name + extra + comment
    return found if position == stop else None


def _wide(extra: bytes, values: tuple[int, ...]) -> tuple[int, ...]:
    """Values (in the order of the zip64 field) with those that do not fit in 32 bits taken from that field."""
    at = 0
    while at + 4 <= len(extra):
        kind, size = struct.unpack_from("<2H", extra, at)
        field = extra[at + 4 : at + 4 + size]
        at += 4 + size
        if kind == 1:
            result = []
            for value in values:
                if value == _LONG and len(field) >= 8:
                    value, field = int.from_bytes(field[:8], "little"), field[8:]
                result.append(value)
            return tuple(result)
    return values


def _local(source: Source, position: int) -> tuple[Member, bytes, bool] | None:
    """The member that the local header at `position` claims, its raw name, and whether the header has its sizes."""
    head = source.at(position, _LOCAL_HEADER.size)
    if len(head) < _LOCAL_HEADER.size or not head.startswith(LOCAL):
        return None
    _, _, flags, method, _, _, crc, packed, size, name, extra = _LOCAL_HEADER.unpack(head)
    rest = source.at(position + len(head), name + extra)
    if len(rest) < name + extra:
        return None
    size, packed = _wide(rest[name:], (size, packed))
    data = position + len(head) + name + extra
    told = not flags & _DESCRIBED or bool(packed)
    member = Member(_name(rest[:name]), position, data, data + packed, size, method, flags, None if flags & _DESCRIBED else crc)
    return member, rest[:name], told


def _agreed(source: Source, entry: _Listed, floor: int, ceiling: int) -> Member | str:
    """The member that both headers describe, or how the directory's entry cannot be true."""
    if entry.offset < floor:
        return f"it starts at byte {entry.offset}, inside the member before"
    local = _local(source, entry.offset) if entry.offset < ceiling else None
    if local is None:
        return f"no member starts at byte {entry.offset}"
    claimed, name, told = local
    if name != entry.name:
        return f"the member at byte {entry.offset} calls itself {claimed.name!r}"
    if claimed.method != entry.method or (told and claimed.crc is not None and claimed.crc != entry.crc):
        return "its own header gives another compression or checksum"
    if told and (claimed.stop - claimed.data, claimed.size) != (entry.packed, entry.size):
        return "its own header gives another size"
    member = claimed._replace(stop=claimed.data + entry.packed, size=entry.size, flags=claimed.flags | entry.flags, crc=entry.crc)
    return _impossible(member, ceiling) or member


def _impossible(member: Member, ceiling: int) -> str | None:
    packed = member.stop - member.data
    if member.stop > ceiling:
        return f"its {packed} bytes reach past byte {ceiling}"
    if member.flags & ENCRYPTED:
        return None
    if member.method == STORED and member.size != packed:
        return f"{packed} bytes, stored, are not {member.size}"
    if member.method == DEFLATED and member.size > _INFLATION * packed + CHUNK:
        return f"{packed} bytes cannot become {member.size}"
    return None


def _behind(source: Source, member: Member, ceiling: int) -> int:
    """Where the member ends, the descriptor behind its data included."""
    if not member.flags & _DESCRIBED:
        return member.stop
    tail = source.at(member.stop, min(_DESCRIPTOR + 4, ceiling - member.stop))
    for size in (0, 12, 16, 20, 24):
        if tail[size : size + 4] in (LOCAL, _CENTRAL) or member.stop + size == ceiling:
            return member.stop + size
    return member.stop


def _gap(source: Source, start: int, stop: int, room: int) -> Iterator[Stretch]:
    """Bytes that the directory does not list, cut where a local header seems to start, into not much more than `room` stretches."""
    while start < stop:
        room -= 1
        end = _find(source, start + 1, stop) if room > 0 else stop
        if room <= 0:
            fault = ("too_many_members", f"{end - start} bytes behind more than {_MEMBERS} members and gaps")
        elif source.at(start, 4) == LOCAL:
            fault = ("wacz_unlisted", f"{end - start} bytes that begin like a member, which the directory does not list")
        else:
            fault = ("no_member", f"{end - start} bytes that belong to no member, begin {source.at(start, 24)!r}")
        yield Stretch(start, end, None, fault)
        start = end


def _find(source: Source, position: int, stop: int, *magics: bytes) -> int:
    """Where the next header (of a member, if no magic is given) starts, or `stop`."""
    while position < stop:
        data = source.at(position, min(_STEP, stop - position))
        found = [at for magic in magics or (LOCAL,) if (at := data.find(magic)) >= 0]
        if found:
            return position + min(found)
        if len(data) < 4 or position + len(data) >= stop:
            break
        position += len(data) - 3
    return stop


def _walked(source: Source) -> Layout:
    """The layout of a file without a usable directory, from its local headers."""
    stretches: list[Stretch] = []
    searched: int | None = None
    position = 0
    while position < source.size and len(stretches) < _MEMBERS and not source.at(position, 4).startswith((_CENTRAL, _END)):
        local = _local(source, position)
        member = _cut(local[0], source.size) if local is not None and local[2] else None
        if member is not None:
            stop = _behind(source, member, source.size)
            stretches.append(Stretch(position, stop, member, None))
        else:
            searched = position if searched is None else searched
            stop = _find(source, position + 1, source.size, LOCAL, _CENTRAL)
            what = "a member whose size is not told or cannot be" if local else f"no member, begin {source.at(position, 24)!r}"
            stretches.append(Stretch(position, stop, None, ("no_member", f"{stop - position} bytes: {what}")))
        position = stop
    detail = f"no central directory that can be read; what follows byte {position} is no member"
    if position == source.size and stretches:
        last = stretches.pop()
        detail = detail if last.fault is None else f"{last.fault[1]}; {detail}"
        return Layout([*stretches, last._replace(fault=("truncated", detail))], searched)
    stop = _find(source, position + 1, source.size)
    rest = _gap(source, stop, source.size, 2 * _MEMBERS - len(stretches))
    return Layout([*stretches, Stretch(position, stop, None, ("truncated", detail)), *rest], searched)


def _cut(member: Member, size: int) -> Member | None:
    """The member as far as a file of `size` bytes has it; None where it cannot be one."""
    if member.stop > size:
        member = member._replace(stop=size, crc=None)
        member = member._replace(size=size - member.data) if member.method == STORED else member
    elif _impossible(member, size):
        return None
    return member if member.stop >= member.data else None


def names(head: bytes) -> Iterator[str]:
    """Names of the members whose local headers lie in `head`, as far as each says where the next one is."""
    position = 0
    while head.startswith(LOCAL, position) and position + _LOCAL_HEADER.size <= len(head):
        fields = _LOCAL_HEADER.unpack_from(head, position)
        packed, name, extra = fields[7], fields[9], fields[10]
        start = position + _LOCAL_HEADER.size
        yield _name(head[start : start + name])
        position = start + name + extra + packed


class ZipScan:
    """Positions of the magic number of local headers, in bytes fed piece by piece."""

    def __init__(self) -> None:
        self.marks = array("q")
        self._fed = 0
        self._kept = b""

    def feed(self, data: bytes) -> None:
        joined = self._kept + data
        base = self._fed - len(self._kept)
        at = joined.find(LOCAL)
        while at >= 0:
            self.marks.append(base + at)
            at = joined.find(LOCAL, at + 1)
        self._kept = joined[-(len(LOCAL) - 1) :]
        self._fed += len(data)
