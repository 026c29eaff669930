"""What all index formats give: captures as columns, in one spelling, and the count of what gave none."""

import base64
import binascii
import functools
import re
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

CAPTURED = pa.schema([("url", pa.string()), ("second", pa.int64()), ("digest", pa.string())])
"""One capture: its address as the index writes it, its time in seconds since 1970 UTC, its digest as `label` spells it."""

REVISIT = "warc/revisit"
"""The media type by which CDX and CDXJ mark a line that repeats an earlier capture: nothing was received again."""


@dataclass
class Split:
    """A part of a file that can be read alone; `start` and `stop` are bytes, or row groups of Parquet."""

    start: int
    stop: int
    bytes: int


@dataclass
class Counts:
    """What reading found: lines = captures + revisits + without + unreadable."""

    lines: int = 0
    captures: int = 0
    revisits: int = 0
    without: int = 0
    """Lines without a digest that is a SHA-1 or SHA-256."""
    unreadable: int = 0
    """Lines that do not parse, or show no time precise to the second, or no address."""
    damaged: int = 0
    """Stretches of a compressed file that do not decompress, whose lines nobody can count."""


_SIZES = {"sha1": 20, "sha-1": 20, "sha256": 32, "sha-256": 32}
_BARE = r"^[A-Z2-7]{32}$"
_LABELLED = r"^(sha1:[A-Z2-7]{32}|sha256:[0-9a-f]{64})$"


def label(digest: bytes) -> str:
    """How digests are compared: SHA-1 as `sha1:` and 32 characters of upper-case base32, as crawlers write it; SHA-256 as
    `sha256:` and lower-case hex, as Webrecorder's tools do. Raises `ValueError` for another length."""
    if len(digest) == 20:
        return f"sha1:{base64.b32encode(digest).decode()}"
    if len(digest) == 32:
        return f"sha256:{digest.hex()}"
    raise ValueError(f"a digest of {len(digest)} bytes is neither SHA-1 nor SHA-256; no index holds it")


@functools.lru_cache(maxsize=4096)
def _relabel(text: str) -> str | None:
    """Another spelling of a digest as `label` writes it; None for other algorithms and what is no digest."""
    name, colon, value = text.strip().removeprefix("urn:").partition(":")
    if not colon:
        name, value = "", name
    size = _SIZES.get(name.lower()) if colon else None
    value = value.rstrip("=")
    try:
        padded = value.upper() + "=" * (-len(value) % 8)
        raw = binascii.unhexlify(value) if len(value) in (40, 64) else base64.b32decode(padded)
    except ValueError:
        return None
    if len(raw) not in (20, 32) or (colon and len(raw) != size):
        return None
    return label(raw)


def digests(values: pa.Array) -> pa.Array:
    """Digests as `label` spells them, null where there is none. A bare one is SHA-1 or SHA-256 by its length."""
    bare = pc.fill_null(pc.match_substring_regex(values, _BARE), False)
    joined = pc.binary_join_element_wise("sha1:", values, "")
    if pc.all(bare).as_py():
        return joined
    labelled = pc.fill_null(pc.match_substring_regex(values, _LABELLED), False)
    result = pc.if_else(bare, joined, pc.if_else(labelled, values, pa.scalar(None, pa.string())))
    odd = pc.and_(pc.invert(pc.or_(bare, labelled)), pc.fill_null(pc.greater(pc.binary_length(values), 1), False))
    return _replaced(result, odd, pa.array([_relabel(text) for text in values.filter(odd).to_pylist()], pa.string()))


_NORMAL = r"^[a-z][a-z0-9+.\-]*://[a-z0-9._\-]+(/[^#]*)?$"
"""Addresses that are in the normal form as they stand: most of any crawl."""
_AUTHORITY = re.compile(r"([A-Za-z][A-Za-z0-9+.\-]*)://([^/?#]*)([^#]*)", re.DOTALL)
_PORTS = {"http": "80", "https": "443", "ftp": "21"}
_LOWER = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ", "abcdefghijklmnopqrstuvwxyz")


def normal_url(url: str) -> str:
    """The form in which addresses are compared: scheme and host in lower case, no default port, no fragment, else as it stands.

    These changes cannot name another resource (RFC 3986, 6.2.2.1 and 6.2.3). Percent-encoding, path, query, user and a
    missing slash stay as they are, and http is not https.
    """
    found = _AUTHORITY.match(url)
    if found is None:
        return url.partition("#")[0]
    scheme, authority, rest = found[1].translate(_LOWER), found[2], found[3]
    user, at, host = authority.rpartition("@")
    name, colon, port = host.rpartition(":")
    if colon and port in ("", _PORTS.get(scheme)):
        host = name
    return f"{scheme}://{user}{at}{host.translate(_LOWER)}{rest}"


def normal_urls(urls: pa.Array) -> pa.Array:
    """`normal_url` of each."""
    odd = pc.fill_null(pc.invert(pc.match_substring_regex(urls, _NORMAL)), False)
    changed = [normal_url(url) for url in urls.filter(odd).to_pylist()]
    return _replaced(urls, odd, pa.array(changed, pa.string())) if changed else urls


def _replaced(values: pa.Array, mask: pa.Array, replacements: pa.Array) -> pa.Array:
    return pc.replace_with_mask(values, mask, replacements) if len(replacements) else values


def seconds(texts: pa.Array) -> tuple[np.ndarray, np.ndarray]:
    """(int64 seconds since 1970 UTC, whether it is one) of binary `YYYYMMDDhhmmss`; what is no such instant is 0 and False.

    A leap second is the instant after second 59, and 24:00:00 the next midnight, as `provenance.dates` reads them.
    """
    whole = pc.fill_null(pc.equal(pc.binary_length(texts), 14), False)
    digits = np.frombuffer(b"".join(texts.filter(whole).to_pylist()), np.uint8).reshape(-1, 14) - np.uint8(ord("0"))
    fine = np.all(digits <= 9, axis=1)
    number = np.where(fine[:, None], digits, 0).astype(np.int64)
    year = number[:, :4] @ np.array([1000, 100, 10, 1])
    month, day, hour, minute, second = (number[:, at] * 10 + number[:, at + 1] for at in range(4, 14, 2))
    fine &= (year >= 1970) & (month >= 1) & (month <= 12) & (day >= 1) & (minute < 60) & (second <= 60)
    fine &= (hour < 24) | ((hour == 24) & (minute == 0) & (second == 0))
    months = np.where(fine, (year - 1970) * 12 + month - 1, 0).astype("datetime64[M]")
    first, after = (moment.astype("datetime64[D]").astype(np.int64) for moment in (months, months + 1))
    fine &= day <= after - first
    values = np.zeros(len(texts), np.int64)
    valid: np.ndarray = whole.to_numpy(zero_copy_only=False).copy()
    values[valid] = np.where(fine, (first + day - 1) * 86400 + hour * 3600 + minute * 60 + second, 0)
    valid[valid] = fine
    return values, valid


def utf8(values: pa.Array) -> pa.Array:
    """Binary values as strings, null where they are no UTF-8."""
    try:
        return values.cast(pa.string())
    except pa.ArrowInvalid:
        return pa.array([_text(value) for value in values.to_pylist()], pa.string())


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode()
    except UnicodeDecodeError:
        return None


def captured(
    urls: pa.Array, second: tuple[np.ndarray, np.ndarray], digest: pa.Array, revisit: pa.Array, counts: Counts
) -> pa.RecordBatch:
    """Rows of `CAPTURED` of those that have all three and are no revisit; adds what they were to `counts`.

    `urls` and `digest` are strings, null where there is none; `revisit` is boolean.
    """
    values, dated = second
    usable = pc.and_(pc.fill_null(pc.greater(pc.binary_length(urls), 1), False), pa.array(dated))
    labelled = digests(digest)
    repeats = pc.and_(usable, pc.fill_null(revisit, False))
    kept = pc.and_(pc.and_not(usable, repeats), pc.is_valid(labelled))
    batch = pa.record_batch([urls, pa.array(values), labelled], schema=CAPTURED).filter(kept)
    counts.lines += len(urls)
    counts.captures += batch.num_rows
    counts.revisits += pc.sum(repeats).as_py() or 0
    counts.unreadable += len(urls) - (pc.sum(usable).as_py() or 0)
    counts.without += (pc.sum(usable).as_py() or 0) - (pc.sum(repeats).as_py() or 0) - batch.num_rows
    return batch
