"""Indexes that are text, plain or in gzip: whole lines of a part of a file, in blocks of a few MiB."""

import re
from collections.abc import Callable, Iterator
from typing import BinaryIO

from store import files
from store.indexes._captured import Counts, Split
from store.readers._source import GZIP_MAGIC, Gzip, Source, find_member

BLOCK = 4 << 20
"""Bytes of lines that are parsed at a time."""
SPLIT = 64 << 20
"""Bytes of a file, as it stands, that one part of the work takes."""
LONGEST = 1 << 20
"""A line that is longer counts as unreadable where it outgrows a block; no address that a browser takes comes near."""
HEAD = 1 << 16


def first_bytes(stream: BinaryIO) -> bytes:
    """The first bytes of a file's text, at most `HEAD`, inflated where they are gzip."""
    stream.seek(0)
    data = stream.read(HEAD)
    if not data.startswith(GZIP_MAGIC):
        return data
    return Gzip().peek(data, HEAD)


_BEGINS = re.compile(rb'[!-~]+[ \t]\d{14}[ \t]|[!-~]{60}|[ \t]CDX[ \t]|\{"')


def begins(text: bytes) -> bool:
    """Whether a gzip member that inflates to this begins with a line of an index."""
    return bool(_BEGINS.match(text))


def complete(head: bytes) -> list[bytes]:
    """The lines of a head, without the last where it may be cut."""
    lines = head.split(b"\n")
    return [line.rstrip(b"\r") for line in (lines[:-1] if len(head) >= HEAD else lines) if line.strip()]


def survey(stream: BinaryIO, tap: Callable[[bytes], None]) -> tuple[Split, ...]:
    """Splits of about `SPLIT` bytes: anywhere in plain text, where a gzip member begins with a line in gzip."""
    source = Source(stream, tap)
    if source.at(0, 3) == GZIP_MAGIC:
        cuts, codec = [0], Gzip()
        while (cut := find_member(codec, source, cuts[-1] + SPLIT, begins)) < source.size:
            cuts.append(cut)
    else:
        cuts = list(range(0, max(source.size, 1), SPLIT))
    source.drain()
    ends = [*cuts[1:], source.size]
    return tuple(Split(start, stop, stop - start) for start, stop in zip(cuts, ends, strict=True))


def blocks(url: str, split: Split, counts: Counts) -> Iterator[bytes]:
    """The lines that begin in a split, in blocks that end where a line does. Stretches that do not inflate and lines that are
    too long are counted."""
    with files.open_input(url) as stream:
        zipped = stream.read(3) == GZIP_MAGIC
        yield from _gather(_inflated(stream, split, counts) if zipped else _plain(stream, split), counts)


def _gather(pieces: Iterator[bytes], counts: Counts) -> Iterator[bytes]:
    """Cuts a stream of bytes at line ends."""
    rest: list[bytes] = []
    size, skipping = 0, False
    for piece in pieces:
        if skipping:
            _, newline, piece = piece.partition(b"\n")
            skipping = not newline
        end = piece.rfind(b"\n") + 1
        if end and size + end >= BLOCK:
            yield b"".join([*rest, piece[:end]])
            rest, size, piece = [], 0, piece[end:]
        rest.append(piece)
        size += len(piece)
        if size >= BLOCK + LONGEST:  # no line has ended within `BLOCK`, so the last one is longer than `LONGEST`
            block = b"".join(rest)
            yield block[: block.rfind(b"\n") + 1]
            rest, size, skipping = [], 0, True
            counts.lines += 1
            counts.unreadable += 1
    if size:
        yield b"".join(rest)


def _plain(stream: BinaryIO, split: Split) -> Iterator[bytes]:
    """A byte range of plain text, from the first line that begins in it to the end of the last one."""
    position = max(split.start - 1, 0)
    stream.seek(position)
    inside = split.start == 0
    while data := stream.read(files.CHUNK):
        base, position = position, position + len(data)
        if not inside:
            newline = data.find(b"\n")
            if newline < 0:
                if position >= split.stop:
                    return  # the line before goes on beyond this split
                continue
            inside, data, base = True, data[newline + 1 :], base + newline + 1
            if base >= split.stop:
                return
        if position >= split.stop:
            # The line that holds the last byte of the split is the last.
            end = data.find(b"\n", max(split.stop - 1 - base, 0))
            if end >= 0:
                yield data[: end + 1]
                return
        yield data


def _inflated(stream: BinaryIO, split: Split, counts: Counts) -> Iterator[bytes]:
    """The text of the gzip members that begin in a split. Behind damage it goes on at the next member that begins with a line."""
    source, codec = Source(stream), Gzip()
    position, stop = split.start, min(split.stop, source.size)
    while position < stop:
        if not codec.starts(source.at(position, 3)):
            counts.damaged += bool(source.at(position, min(stop - position, files.CHUNK)).strip(b"\0"))
            position = find_member(codec, source, position + 1, begins)
            continue
        member = codec.open(source, position)
        while data := member.read(files.CHUNK):
            yield data
        if member.fault is None:
            position = member.stop
        else:
            counts.damaged += 1
            yield b"\n"
            position = find_member(codec, source, position + 1, begins)
