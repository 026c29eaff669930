"""The attestation level that a capture reaches by itself, and the check of its own digest.

Levels above these (`released`, `corroborated`, `timestamped`) need a witness outside the file.
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
