"""CDXJ: lines of `SURT timestamp {JSON}`, as pywb and Common Crawl write them, and what index servers answer: JSON alone.

The keys read are `url`, `digest`, `mime` and, in JSON alone, `timestamp`; see
https://specs.webrecorder.net/cdxj/0.1.0/ and https://index.commoncrawl.org/.
"""

import re
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO

import msgspec
import pyarrow as pa

from store.indexes import _lines
from store.indexes._captured import REVISIT, Counts, Split, captured, seconds

NAME = "cdxj"

_LINE = re.compile(rb"[^ \t]+ \d{14} \{")
_BARE = re.compile(rb'\{.*"timestamp": *"\d{14}"')


class _Entry(msgspec.Struct, gc=False):
    """What of a line's JSON is read; its other keys are skipped without being made."""

    url: str | None = None
    digest: str | None = None
    mime: str | None = None
    timestamp: str | None = None


def sniff(head: bytes) -> bool:
    """Whether one of the first lines is CDXJ; the first ones may be damaged, or begin with `!` (ORS headers)."""
    return any(_LINE.match(line) or _BARE.match(line) for line in _lines.complete(head)[:100])


def survey(stream: BinaryIO, tap: Callable[[bytes], None]) -> tuple[Split, ...]:
    return _lines.survey(stream, tap)


def batches(url: str, split: Split, counts: Counts) -> Iterator[pa.RecordBatch]:
    """Captures of one split, rows of `CAPTURED`."""
    for block in _lines.blocks(url, split, counts):
        yield _batch(block, counts)


def _batch(block: bytes, counts: Counts) -> pa.RecordBatch:
    decode = msgspec.json.Decoder(_Entry).decode
    urls, times, digests, mimes = [], [], [], []
    failed = 0
    for line in block.split(b"\n"):
        try:
            if line.startswith(b"{"):
                entry = decode(line)
                when: Any = (entry.timestamp or "").encode()
            else:
                _, when, text = line.split(b" ", 2)
                entry = decode(text)
        except ValueError:  # msgspec's errors are ValueErrors too
            failed += bool(line.strip()) and not line.startswith(b"!")
            continue
        urls.append(entry.url)
        times.append(when)
        digests.append(entry.digest)
        mimes.append(entry.mime == REVISIT)
    counts.lines += failed
    counts.unreadable += failed
    return captured(
        pa.array(urls, pa.string()),
        seconds(pa.array(times, pa.binary())),
        pa.array(digests, pa.string()),
        pa.array(mimes, pa.bool_()),
        counts,
    )
