"""Capture times as intervals in UTC.

Three forms are read: W3CDTF (ISO 8601 as WARC-Date writes it, of any precision), the same with a space for `T`, and
the digits of ARC, CDX and wayback addresses (`YYYYMMDDhhmmss` and prefixes of it). What is left out widens the
interval: a reduced precision stands for its whole span, and a time whose zone is missing may be 12 hours off on
either side. The digit form with a time of day is UTC by the definition of ARC and CDX.
"""

import re
from datetime import UTC, datetime, timedelta

EARLIEST = datetime(1996, 1, 1, tzinfo=UTC)
"""No web capture is older: the Internet Archive began in 1996."""
UNZONED = timedelta(hours=12)

_ISO = re.compile(
    r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,12}))?)?)?)?)?"
    r" ?([Zz]|UTC|GMT|[+-]\d{2}:?\d{2})?",
    re.ASCII,
)
_DIGITS = re.compile(r"(\d{4})(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{2})?(\d{1,6})?", re.ASCII)
_TICK = timedelta(microseconds=1)


def interval(text: str | None, now: datetime | None = None, web: bool = True) -> tuple[datetime, datetime] | None:
    """(first, last) instant in UTC that a capture time may mean; equal where it is precise to the second.

    None where it cannot be read or used: no date of the calendar, ended before 1996 (`web` captures only), or begins
    after `now`. Without `now` the future is not checked.
    """
    if not text or len(text) > 64:
        return None
    text = text.strip()
    found = _DIGITS.fullmatch(text)
    if found is not None and len(text) != 4:
        parts, zone = found.groups(), "Z" if found[5] else None
    else:
        found = _ISO.fullmatch(text)
        if found is None:
            return None
        *fields, zone = found.groups()
        parts = tuple(fields)
    try:
        first, last = _span(parts)
        first, last = _to_utc(first, last, zone)
    except (ValueError, OverflowError):
        return None
    if (web and last < EARLIEST) or (now is not None and first > now):
        return None
    return first, last


def _span(parts: tuple[str | None, ...]) -> tuple[datetime, datetime]:
    """First and last instant of year, month, day, hour, minute, second and fraction, as far as they are given.

    A leap second is the instant after second 59; 24:00 is the next day's midnight.
    """
    year, month, day, hour, minute, second = (None if part is None else int(part) for part in parts[:6])
    extra = timedelta()
    if second == 60:
        second, extra = 59, timedelta(seconds=1)
    if hour == 24 and not minute and not second:
        hour, extra = 0, timedelta(days=1)
    first = datetime(year or 0, month or 1, day or 1, hour or 0, minute or 0, second or 0, tzinfo=UTC) + extra
    if parts[6]:
        first += timedelta(microseconds=int(parts[6][:6].ljust(6, "0")))
    if second is not None:
        return first, first
    if month is None:
        after = first.replace(year=first.year + 1)
    elif day is None:
        after = (first + timedelta(days=31)).replace(day=1)
    else:
        after = first + (timedelta(days=1) if hour is None else timedelta(hours=1) if minute is None else timedelta(minutes=1))
    return first, after - _TICK


def _to_utc(first: datetime, last: datetime, zone: str | None) -> tuple[datetime, datetime]:
    if zone is None:
        return first - UNZONED, last + UNZONED
    if not zone.startswith(("+", "-")):
        return first, last
    hours, minutes = int(zone[1:3]), int(zone[-2:])
    if hours > 23 or minutes > 59:
        raise ValueError(f"no zone: {zone}")
    offset = timedelta(hours=hours, minutes=minutes) * (-1 if zone.startswith("-") else 1)
    return first - offset, last - offset
