"""The attestation level that a capture reaches by itself, the check of its own digest, and what a witness of its file adds.

`released` and `timestamped` come from who knew the whole file before the cutoff (`provenance.witnesses`), and `corroborated`
from an index that names the one record; whose word counts, `provenance.trust` says.
"""

import base64
import binascii
import hashlib
from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

CAPTURES = frozenset(("response", "resource", "conversion"))
"""WARC record types whose date is the time of capture; others carry the time of writing."""

_HASHES = {
    "md5": "md5",
    "sha1": "sha1",
    "sha-1": "sha1",
    "sha224": "sha224",
    "sha-224": "sha224",
    "sha256": "sha256",
    "sha-256": "sha256",
    "sha384": "sha384",
    "sha-384": "sha384",
    "sha512": "sha512",
    "sha-512": "sha512",
}

_BASE32 = str.maketrans("ABCDEFGHIJKLMNOPQRSTUVWXYZ2345670189", "0123456789ABCDEFGHIJKLMNOPQRSTUVZZZZ")

FILE_LEVELS = ("released", "timestamped")
"""Levels that a witness of a whole source file gives to each record in it."""


class Attestation(NamedTuple):
    """A level of `provenance.schema.ATTESTATIONS` and, where it is `none`, why: `no_date` or `digest_disagrees`."""

    level: str
    reason: str | None


def check_digest(declared: str | None, bodies: Sequence[bytes]) -> str:
    """What recomputing a labelled digest (`sha1:BASE32`, WARC 1.1 section 5.9) gives over any of `bodies`.

    `agrees` if one of them has it, `disagrees`, `absent`, or `unknown algorithm`. The value may be base32, hex or base64
    in any case that its alphabet allows; a bare value of 32 base32 characters is SHA-1, as CDX files write it.
    """
    if not declared or not declared.strip():
        return "absent"
    label, colon, value = declared.strip().removeprefix("urn:").partition(":")
    if not colon:
        label, value = ("sha1", label) if len(label) == 32 else ("", label)
    name = _HASHES.get(label.strip().lower())
    if name is None:
        return "unknown algorithm"
    wanted = _spellings(value.strip(), hashlib.new(name).digest_size)
    seen: list[bytes] = []
    for body in bodies:
        if any(body is other or body == other for other in seen):
            continue
        seen.append(body)
        if hashlib.new(name, body, usedforsecurity=False).digest() in wanted:
            return "agrees"
    return "disagrees"


def _spellings(value: str, size: int) -> set[bytes]:
    """The digests of `size` bytes that `value` may spell: hex, base32 or base64 with either alphabet."""
    bare = value.rstrip("=")
    found: set[bytes] = set()
    try:
        if len(bare) == 2 * size:
            found.add(binascii.unhexlify(bare))
        elif len(bare) == -(-8 * size // 5) and bare.isascii() and bare.isalnum():
            # Several times as fast as base64.b32decode: one integer in base 32, whose digits Python writes 0-9a-v.
            found.add((int(bare.upper().translate(_BASE32), 32) >> 5 * len(bare) - 8 * size).to_bytes(size))
        elif len(bare) == -(-8 * size // 6):
            found.add(base64.urlsafe_b64decode(bare.replace("+", "-").replace("/", "_") + "=" * (-len(bare) % 4)))
    except (ValueError, OverflowError):
        pass
    return found


def attest(record_type: str, interval: tuple[datetime, datetime] | None, digest_check: str) -> Attestation:
    """Level of a record of `record_type` (`row` for tables) with a capture `interval` and the result of `check_digest`.

    `captured` needs a capture record with a usable date whose payload digest does not disagree; a dated row reaches
    `declared`. A digest of an unknown algorithm counts as absent.
    """
    if digest_check == "disagrees":
        return Attestation("none", "digest_disagrees")
    if interval is None:
        return Attestation("none", "no_date")
    if record_type in CAPTURES:
        return Attestation("captured", None)
    if record_type == "row":
        return Attestation("declared", None)
    return Attestation("none", "no_capture")


def held_by_file(level: str, known: datetime, first: datetime | None, last: datetime | None) -> tuple[datetime | None, datetime]:
    """The interval of a record of a file that was known at `known`, given the interval that the record itself shows, if any.

    The end is the earlier one of both: a file cannot hold what was captured after it was known, whatever the record says. Then
    the beginning is no later than the end either. Raises `ValueError` for a level that no file gives.
    """
    if level not in FILE_LEVELS:
        raise ValueError(f"{level} is no level that a witness of a file gives; these are {', '.join(FILE_LEVELS)}")
    end = known if last is None else min(last, known)
    return (None if first is None else min(first, end)), end


def labels(body: bytes) -> tuple[str, str]:
    """SHA-1 (upper-case base32, as CDX files write it) and SHA-256 (hex) of a payload, labelled.

    For joins with indexes, many of which know SHA-1 alone; by itself that binds nothing, as two files of one SHA-1 can be made.
    """
    sha1 = base64.b32encode(hashlib.sha1(body, usedforsecurity=False).digest()).decode()
    return f"sha1:{sha1}", f"sha256:{hashlib.sha256(body).hexdigest()}"
