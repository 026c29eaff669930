"""What a reader finds in a file: records, stretches that it cannot use, and the survey of the whole."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Record:
    """One record of an archive or one row of a table, undecoded.

    `offset` and `member_offset` together are unique among all items of a file: the byte offset of the record (of its
    compressed member) and the offset inside the decompressed member; in a table the row number and 0.
    """

    offset: int
    member_offset: int
    record_type: str
    """WARC-Type in lower case (`unknown` where the header has none), or `row`."""
    id: str | None
    """WARC-Record-ID as given, or the row's id."""
    url: str | None
    date: str | None
    """WARC-Date as given, or a row's capture date as text; None where the source shows none."""
    block: bytes
    """The WARC block (for `response` the HTTP message with its header); empty for rows."""
    headers: dict[str, str]
    """WARC named fields by lower-cased name, the first value of each; empty for rows."""
    text: str | None
    """The text column of a row; None for WARC."""
    columns: dict[str, Any]
    """Rows: `dump`, `language`, `language_score`, `token_count` where present, and `metadata`, a JSON-able dict of all other columns."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """A record or a damaged stretch that cannot be used; it becomes a reject of the stage `read`."""

    offset: int
    member_offset: int
    reason: str
    """Short and countable, such as `truncated`."""
    detail: str
    """What was seen."""
    record_type: str | None = None
    id: str | None = None
    url: str | None = None


@dataclass(frozen=True, slots=True)
class Split:
    """A part of a file that can be read alone; `start` and `stop` are in the reader's own unit (bytes or row groups)."""

    start: int
    stop: int
    records: int
    """Items (records and unreadables) that reading it yields."""
    bytes: int
    """Bytes of the file that it spans."""
    row: int = 0
    """Number of its first item in the file, from 0."""


@dataclass(frozen=True, slots=True)
class Found:
    """A reader's part of a `Survey`."""

    records: int
    boundaries: int
    unaccounted: int
    splits: tuple[Split, ...]
    damage: tuple[int, int] | None = None


@dataclass(frozen=True, slots=True)
class Survey:
    """What one pass over a file found. The splits cover it, in order, and yield `records` items together."""

    sha256: str
    size: int
    format: str | None
    """Name of the reader that the file's bytes asked for; None where no reader knows them."""
    records: int
    boundaries: int
    """Record starts that an independent search for markers found."""
    unaccounted: int
    """Of these, starts at which no item begins and which no intact record contains."""
    splits: tuple[Split, ...]
    damage: tuple[int, int] | None = None
    """First and last offset between which a record may be text of a damaged one, written by whoever wrote the page; such
    records are read, and attested by nothing."""
