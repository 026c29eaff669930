"""Plain text: one file is one record, under `read.preset` text only, since nearly any file might pass for text.

The text is UTF-8, or UTF-16 or UTF-32 with a byte order mark; no other encoding is guessed. What is known of a file
stands in a table beside it (`read.sidecar`), which `store.reading` lays over the record.
"""

import codecs
import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, BinaryIO

from store.readers._presets import columns
from store.readers._rows import described
from store.readers._source import Source
from store.records import Found, Record, Split, Unreadable

if TYPE_CHECKING:
    from store.reading import Read

NAME = "text"
PRESET = "text"
"""Files are of this format only where `read.preset` says so; then all are, or of none."""

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # before UTF-16, whose mark it begins with
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_CONTROL = re.compile(rb"[\x00-\x08\x0e-\x1a\x1c-\x1f]")


def sniff(head: bytes) -> bool:
    """Whether it begins with a byte order mark, or has no control characters of binary files in it."""
    return bool(head) and (any(head.startswith(mark) for mark, _ in _MARKS) or _CONTROL.search(head) is None)


def survey(stream: BinaryIO, options: "Read") -> Found:
    """One record."""
    size = stream.seek(0, 2)
    return Found(1, 1, 0, (Split(0, size, 1, size),))


def read(stream: BinaryIO, split: Split, options: "Read") -> Iterator[Record | Unreadable]:
    """The file's text."""
    source = Source(stream)
    if source.size > options.max_record_bytes:
        yield Unreadable(
            0, 0, "too_large", f"{source.size} bytes, more than {options.max_record_bytes} (read.max_record_bytes)", "row"
        )
        return
    data = source.at(0, source.size)
    mark, name = next(((mark, name) for mark, name in _MARKS if data.startswith(mark)), (b"", "utf-8"))
    try:
        text = data[len(mark) :].decode(name)
    except UnicodeDecodeError as error:
        reason = "invalid_utf8" if name == "utf-8" else "invalid_text"
        yield Unreadable(0, 0, reason, f"byte {len(mark) + error.start}, as {name}: {error.reason}", "row")
        return
    yield described(0, text, {}, columns(frozenset(), options), options)
