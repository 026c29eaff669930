"""WACZ (https://specs.webrecorder.net/wacz/1.1.1/): the WARC files in it, read as the WARC reader reads them.

A member that its bytes call a WARC is read, whatever its name; every other one (indexes, pages, logs, `datapackage.json`)
is one `Unreadable` of the reason `wacz_member`. So are, each with its own reason, members that are encrypted or packed
in another way, entries of the central directory that no member bears out (or that overlap another), bytes that it does
not list, and the missing directory of a truncated file, whose members are then found by their local headers.

A record's `offset` is the byte offset in the WACZ file where the WARC is stored as it is, as it should be. In a deflated
WARC `offset` is that of the member's local header, and `member_offset` the number of the item in the member, from 0.

A WARC that is not what the zip's CRC-32 and size say is read, and lies in the survey's `damage`; so does everything
behind a place from which members had to be searched for. A deflated one has an `Unreadable` as well. Where a WARC is what
the zip says and not what its SHA-256 in `datapackage.json` says, nothing is damaged, for writers get that digest wrong: the
item of `datapackage.json` then has the reason `wacz_digest_disagrees`. The file's own index and signature say nothing that
the file does not say: nobody reads them.
"""

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from store.readers import warc
from store.readers._census import Ledger, Splitter
from store.readers._members import Content
from store.readers._source import CHUNK, Source
from store.readers._zip import DEFLATED, ENCRYPTED, LOCAL, STORED, Layout, Member, Stretch, ZipScan, layout, names
from store.records import Found, Record, Split, Unreadable

if TYPE_CHECKING:
    from store.reading import Read

NAME = "wacz"
_HEAD = 1 << 16
_DATAPACKAGE = 1 << 24  # bytes; it lists tens of members
_NAMES = re.compile(r"(?:data/)?(?:(?:archive|indexes|pages)/|datapackage(?:-digest)?\.json\Z|webarchive\.yaml\Z)")

Digests = dict[str, frozenset[str]]
"""SHA-256 in hex by member name, as `datapackage.json` gives them."""


def sniff(head: bytes) -> bool:
    """Whether it begins with a zip member, and one that starts in `head` has a place in a WACZ."""
    return head.startswith(LOCAL) and any(_NAMES.match(name) for name in names(head))


def survey(stream: BinaryIO, options: "Read") -> Found:
    """Surveys each WARC in it and, apart from that, looks for local headers; checks each WARC's checksum."""
    plan = layout(Source(stream))
    scan, ledger = ZipScan(), Ledger()
    source = Source(stream, scan.feed)
    splitter = Splitter(options.part_bytes)
    boundaries = unaccounted = 0
    damage = [] if plan.searched is None else [plan.searched, source.size]
    for stretch in plan.stretches:
        if stretch.stop > stretch.start:
            ledger.cover(stretch.start, stretch.stop, _whole(stretch))
        if stretch.member is None and stretch.fault is None:
            continue
        if stretch.member is not None and stretch.fault is not None:
            splitter.item(stretch.start)
        if _single(source, stretch) is not None:
            splitter.item(stretch.start)
            continue
        member = cast(Member, stretch.member)
        content = Content(source, member)
        found = warc.survey(cast(BinaryIO, content), options)
        wrong = content.disagreement()
        stored = member.method == STORED
        for split in found.splits:
            for _ in range(split.records):
                splitter.item(member.data + split.start if stored else member.start)
        if wrong is not None and not stored:
            splitter.item(member.start)
        boundaries, unaccounted = boundaries + found.boundaries, unaccounted + found.unaccounted
        damage += [member.start, member.stop] if wrong is not None else []
        damage += [member.data + at if stored else member.start for at in found.damage or ()]
    source.drain()
    boundaries += len(scan.marks)
    unaccounted += ledger.unaccounted(scan.marks)
    bounds = (min(damage), max(damage)) if damage else None
    return Found(splitter.records, boundaries, unaccounted, splitter.finish(source.size), bounds)


def read(stream: BinaryIO, split: Split, options: "Read") -> Iterator[Record | Unreadable]:
    """Items that start in the split; the one that holds `datapackage.json` takes the digest of every WARC."""
    source = Source(stream)
    plan = layout(source)
    package = _package(plan)
    for stretch in plan.stretches:
        starts = split.start <= stretch.start < split.stop
        outside = not starts and (stretch.stop <= split.start or stretch.start >= split.stop)
        if outside or (stretch.member is None and stretch.fault is None):
            continue
        single = _single(source, stretch)
        member = cast(Member, stretch.member)
        if single is None and member.method == STORED:
            yield from _ending(stretch) if starts else ()
            yield from _stored(source, member, split, options)
        elif starts:
            if single is None:
                yield from _deflated(source, member, options)
            else:
                wrong = _denied(source, plan, package) if package is not None and package == member else None
                yield single if wrong is None else replace(single, reason="wacz_digest_disagrees", detail=wrong)
            yield from _ending(stretch)


def _whole(stretch: Stretch) -> bool:
    """Whether what looks like a local header inside belongs to the stretch."""
    return stretch.member is not None or stretch.fault is None or stretch.fault[0] == "too_many_members"


def _ending(stretch: Stretch) -> Iterator[Unreadable]:
    """What is missing behind the last member; it stands at the second byte of that member's header, where nothing else does."""
    if stretch.member is not None and stretch.fault is not None:
        yield Unreadable(stretch.start + 1, 0, *stretch.fault)


def _stored(source: Source, member: Member, split: Split, options: "Read") -> Iterator[Record | Unreadable]:
    """Items of the part of a WARC that lies in the split."""
    start, stop = max(split.start, member.data), min(split.stop, member.stop)
    if start < stop:
        part = Split(start - member.data, stop - member.data, 0, stop - start)
        for item in warc.read(cast(BinaryIO, Content(source, member)), part, options):
            yield replace(item, offset=member.data + item.offset)


def _deflated(source: Source, member: Member, options: "Read") -> Iterator[Record | Unreadable]:
    """Items of a whole WARC and, last, what is wrong with it."""
    content = Content(source, member)
    number = 0
    for item in warc.read(cast(BinaryIO, content), Split(0, member.size, 0, member.size), options):
        yield replace(item, offset=member.start, member_offset=number)
        number += 1
    wrong = content.disagreement()
    if wrong is not None:
        yield Unreadable(member.start, number, "damaged_member", f"{member.name!r}: {wrong}")


def _single(source: Source, stretch: Stretch) -> Unreadable | None:
    """The one item of a stretch that is no WARC; None for a WARC."""
    member = stretch.member
    if member is None:
        reason, detail = stretch.fault or ("no_member", "")
        return Unreadable(stretch.start, 0, reason, detail)
    if member.flags & ENCRYPTED:
        return Unreadable(member.start, 0, "wacz_encrypted", f"{member.name!r} is encrypted")
    if member.method not in (STORED, DEFLATED):
        return Unreadable(member.start, 0, "wacz_compression", f"{member.name!r} is packed by method {member.method}")
    head = Content(source, member).read(_HEAD)
    if warc.sniff(head):
        return None
    detail = f"{member.name!r} of {member.size} bytes is no WARC" + (", a zip file" if head.startswith(LOCAL) else "")
    return Unreadable(member.start, 0, "wacz_member", detail)


def _package(plan: Layout) -> Member | None:
    """The `datapackage.json`; None where there is none that can be read."""
    members = (stretch.member for stretch in plan.stretches if stretch.member is not None)
    found = next((member for member in members if member.name == "datapackage.json"), None)
    if found is None or found.size > _DATAPACKAGE or found.method not in (STORED, DEFLATED) or found.flags & ENCRYPTED:
        return None
    return found


def _denied(source: Source, plan: Layout, package: Member) -> str | None:
    """Which WARCs, intact by their checksums, have another SHA-256 than `datapackage.json` says, if any; names the first."""
    digests = _digests(source, package)
    first, count = "", 0
    for stretch in plan.stretches:
        member = stretch.member
        expected = digests.get(member.name) if member is not None else None
        # Without a checksum it is the beginning of a member that a truncated file cut.
        if member is None or not expected or member.crc is None or _single(source, stretch) is not None:
            continue
        content, digest = Content(source, member), hashlib.sha256()
        while data := content.read(CHUNK):
            digest.update(data)
        if digest.hexdigest() not in expected and content.disagreement() is None:
            first = first or f"the SHA-256 of {member.name!r} is {digest.hexdigest()}, datapackage.json says {min(expected)}"
            count += 1
    return f"{first}; WARCs that disagree: {count}" if count else None


def _digests(source: Source, package: Member) -> Digests:
    """What `datapackage.json` says of the other members; nothing where it cannot be read."""
    try:
        said = json.loads(Content(source, package).read())
    except (ValueError, RecursionError):
        return {}
    resources = said.get("resources") if isinstance(said, dict) else None
    digests: dict[str, set[str]] = {}
    for resource in resources if isinstance(resources, list) else []:
        path, digest = _resource(resource)
        if path and digest:
            digests.setdefault(path, set()).add(digest)
    return {path: frozenset(values) for path, values in digests.items()}


def _resource(resource: Any) -> tuple[str | None, str | None]:
    """Path and SHA-256 of an entry, the latter in its own place (`sha256:HEX`) or in that of WACZ 1.0 (`stats.hash`)."""
    if not isinstance(resource, dict):
        return None, None
    stats = resource.get("stats")
    value = resource.get("hash") or (stats.get("hash") if isinstance(stats, dict) else None)
    path = resource.get("path")
    if not isinstance(path, str) or not isinstance(value, str):
        return None, None
    label, _, digest = value.rpartition(":")
    return path, digest.lower() if label.lower() in ("", "sha256") and len(digest) == 64 else None
