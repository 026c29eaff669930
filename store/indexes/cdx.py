"""CDX: one capture a line, fields in the order of the file's legend (` CDX N b a m s k r M S V g`).

The letters are those of https://iipc.github.io/warc-specifications/specifications/cdx-format/cdx-2015/: `a` original url,
`b` date, `k` SHA-1 in base32, `m` media type. A file without a legend is read where its lines have the 11, 10 or 9 fields of
the common layouts. A legend further down is skipped: where the order changes, lines no longer parse and are counted.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

import pyarrow as pa
import pyarrow.compute as pc

from store import files
from store.indexes import _lines
from store.indexes._captured import REVISIT, Counts, Split, captured, seconds, utf8

NAME = "cdx"

_LEGEND = re.compile(rb"([ \t])CDX((?:\1[!-~])+)[ \t\r]*")
_LAYOUTS = {11: "NbamskrMSVg", 10: "NbamskrMVg", 9: "NbamskrVg"}
"""Layouts of files without a legend, by their number of fields: those of wayback's indexers, with and without metadata and size."""
_DATE = re.compile(rb"\d{14}")
_DIGEST = re.compile(rb"-|[A-Z2-7]{32}|[0-9a-f]{40}|sha(?:1|256):.*")


@dataclass(frozen=True)
class Layout:
    """How a file's lines are cut: the delimiter and a letter for each field."""

    delimiter: bytes
    letters: str


def layout(head: bytes) -> Layout | None:
    """The layout of a file that begins with `head`; None where it is no CDX, or lacks address, date or digest."""
    lines = _lines.complete(head)[:100]
    for line in lines:
        if legend := _LEGEND.fullmatch(line):
            letters = legend[2].replace(legend[1], b"").decode()
            return Layout(legend[1], letters) if {"a", "b", "k"} <= set(letters) else None
    for line in lines:
        fields = line.split(b" ")
        if (letters := _LAYOUTS.get(len(fields), "")) and _DATE.fullmatch(fields[1]) and _DIGEST.fullmatch(fields[5]):
            return Layout(b" ", letters)
    return None


def sniff(head: bytes) -> bool:
    """Whether a file that begins with these bytes is a CDX that can be read."""
    return layout(head) is not None


def survey(stream: BinaryIO, tap: Callable[[bytes], None]) -> tuple[Split, ...]:
    return _lines.survey(stream, tap)


def batches(url: str, split: Split, counts: Counts) -> Iterator[pa.RecordBatch]:
    """Captures of one split, rows of `CAPTURED`."""
    with files.open_input(url) as stream:
        found = layout(_lines.first_bytes(stream))
    if found is None:
        raise OSError(f"{url} is no longer the CDX file that was surveyed; its captures cannot be read. Let nobody write to it.")
    for block in _lines.blocks(url, split, counts):
        yield _batch(block, found, counts)


def _batch(block: bytes, found: Layout, counts: Counts) -> pa.RecordBatch:
    places = {letter: found.letters.index(letter) for letter in "abkm" if letter in found.letters}
    url, date, digest, mime = (places.get(letter, places["a"]) for letter in "abkm")
    width, delimiter = len(found.letters), found.delimiter
    if b"\r" in block:
        block = block.replace(b"\r\n", b"\n")
    urls, dates, digests, mimes = [], [], [], []
    for line in block.split(b"\n"):
        fields = line.split(delimiter)
        if len(fields) == width:
            urls.append(fields[url])
            dates.append(fields[date])
            digests.append(fields[digest])
            mimes.append(fields[mime])
        elif line.strip() and not _LEGEND.fullmatch(line):
            counts.lines += 1
            counts.unreadable += 1
    columns = [pa.array(values, pa.binary()) for values in (urls, dates, digests, mimes)]
    return captured(utf8(columns[0]), seconds(columns[1]), utf8(columns[2]), pc.equal(columns[3], REVISIT.encode()), counts)
