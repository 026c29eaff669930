"""Verifies detached OpenTimestamps proofs offline, against Bitcoin block headers that are given.

Format: the reference implementation, github.com/opentimestamps/python-opentimestamps (core/serialize.py, op.py, notary.py and
timestamp.py), whose limits on lengths and forks are kept. It is parsed here: the package brings two more, one to load OpenSSL
through ctypes, for what is a walk over a hundred bytes. Only Bitcoin's attestations count. Pending ones are a calendar's promise,
Litecoin's and Ethereum's chains are cheaper to rewrite, and what a proof derives by a hash that is not known here is skipped.

A file of block headers has a line for each: the height in decimal, a space, the 80 bytes in hex (as `bitcoin-cli getblockheader
HASH false` gives them). Each header must carry its own proof of work, of at least the difficulty that Bitcoin had in early 2016:
to invent one takes some 4e20 double hashes, weeks of a whole machine made for that. A header of a real block cannot
be bent to other data at all. What makes the list as a whole believable stays its entry in the trust list.
"""

import hashlib
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from typing import NamedTuple

MAGIC = b"\x00OpenTimestamps\x00\x00Proof\x00\xbf\x89\xe2\xe8\x84\xe8\x92\x94"
MAX_BYTES = 256 << 10
"""A longer proof is refused; it also bounds the work, as each operation hashes at most `MAX_MESSAGE` bytes."""
MAX_MESSAGE = 4096
MAX_PAYLOAD = 8192
MAX_FORKS = 256

HIGHEST_TARGET = (0xFFFF << 208) // 100_000_000_000
"""Target of difficulty 1e11, which Bitcoin's blocks have exceeded since the last days of 2015."""

CLOCK = timedelta(hours=2)
"""A block's time may lie before its making: it has only to exceed the median of the eleven before it."""

_BITCOIN = bytes.fromhex("0588960d73d71901")
_PENDING = bytes.fromhex("83dfe30d2ef90c8e")
_HASHES = {0x02: "sha1", 0x03: "ripemd160", 0x08: "sha256"}
_KECCAK, _APPEND, _PREPEND, _REVERSE, _HEXLIFY = 0x67, 0xF0, 0xF1, 0xF2, 0xF3
_ATTESTATION, _FORK = 0x00, 0xFF


class Proof(NamedTuple):
    """What a proof says: the file's SHA-256 in hex, the Merkle roots (block height, 32 bytes) that it derives from it, and the
    numbers of attestations that are pending or of other notaries."""

    digest: str
    blocks: tuple[tuple[int, bytes], ...]
    pending: int
    other: int


class Header(NamedTuple):
    """A block header that carries its proof of work: Merkle root as in its bytes, and time in UTC."""

    merkle_root: bytes
    time: datetime


class _Reader:
    """The bytes of a proof, taken from the front."""

    def __init__(self, data: bytes):
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise ValueError(f"ends after {len(self.data)} bytes, in the middle of what it says")
        self.at += size
        return self.data[self.at - size : self.at]

    def byte(self) -> int:
        return self.take(1)[0]

    def number(self) -> int:
        """An unsigned number in base 128, the low digits first, of at most 63 bits."""
        value = 0
        for shift in range(0, 63, 7):
            digit = self.byte()
            value |= (digit & 0x7F) << shift
            if digit < 0x80:
                return value
        raise ValueError("has a number of more than 63 bits")

    def block(self, most: int, least: int = 0) -> bytes:
        size = self.number()
        if not least <= size <= most:
            raise ValueError(f"has a field of {size} bytes, where {least} to {most} may stand")
        return self.take(size)


def parse(data: bytes) -> Proof:
    """Reads a detached proof (`.ots`) over a SHA-256 file digest. Raises `ValueError` for anything else; never recurses."""
    if not data.startswith(MAGIC):
        raise ValueError("is no OpenTimestamps proof: it does not begin with the format's magic bytes")
    if len(data) > MAX_BYTES:
        raise ValueError(f"has {len(data)} bytes; a proof of more than {MAX_BYTES} is not read")
    reader = _Reader(data)
    reader.take(len(MAGIC))
    if (version := reader.number()) != 1:
        raise ValueError(f"is a proof of version {version}, and only version 1 is known")
    if (tag := reader.byte()) != 0x08:
        raise ValueError(f"is over a file digest by {_HASHES.get(tag, hex(tag))}; only SHA-256 says which file it is")
    digest = reader.take(32)
    blocks, pending, other = _walk(reader, digest)
    if reader.at != len(data):
        raise ValueError(f"has {len(data) - reader.at} bytes after its end")
    return Proof(digest.hex(), tuple(blocks), pending, other)


def _walk(reader: _Reader, digest: bytes) -> tuple[list[tuple[int, bytes]], int, int]:
    """The attestations of the tree of operations that begins at the reader: Bitcoin's, and how many of others.

    A branch ends at its attestation; then the message of the last open fork goes on. None is a message that an operation
    unknown here would give.
    """
    blocks: list[tuple[int, bytes]] = []
    pending = other = 0
    message: bytes | None = digest
    forks: list[bytes | None] = []
    while True:
        tag = reader.byte()
        if tag == _FORK:
            if len(forks) == MAX_FORKS:
                raise ValueError(f"has more than {MAX_FORKS} open forks")
            forks.append(message)
            tag = reader.byte()
        if tag != _ATTESTATION:
            message = _operate(tag, message, reader)
            continue
        kind, payload = reader.take(8), _Reader(reader.block(MAX_PAYLOAD))
        if kind == _BITCOIN:
            height = payload.number()
            if payload.at != len(payload.data):
                raise ValueError("has a Bitcoin attestation with more in it than a height")
            if message is not None and len(message) == 32:
                blocks.append((height, message))
            else:
                other += 1
        elif kind == _PENDING:
            pending += 1
        else:
            other += 1
        if not forks:
            return blocks, pending, other
        message = forks.pop()


def _operate(tag: int, message: bytes | None, reader: _Reader) -> bytes | None:
    """The message after an operation."""
    operand = reader.block(MAX_MESSAGE, 1) if tag in (_APPEND, _PREPEND) else b""
    if tag == _KECCAK or message is None:
        if tag not in (_KECCAK, _APPEND, _PREPEND, _REVERSE, _HEXLIFY, *_HASHES):
            raise ValueError(f"has an unknown operation {tag:#04x}")
        return None
    if tag in _HASHES:
        try:
            return hashlib.new(_HASHES[tag], message, usedforsecurity=False).digest()
        except ValueError:
            # OpenSSL 3 keeps RIPEMD-160 in a provider that may not be loaded.
            return None
    if tag == _APPEND:
        message = message + operand
    elif tag == _PREPEND:
        message = operand + message
    elif tag == _REVERSE:
        message = message[::-1]
    elif tag == _HEXLIFY:
        message = message.hex().encode()
    else:
        raise ValueError(f"has an unknown operation {tag:#04x}")
    if len(message) > MAX_MESSAGE:
        raise ValueError(f"derives a message of {len(message)} bytes, where at most {MAX_MESSAGE} may stand")
    return message


def headers(lines: Iterable[bytes], heights: Collection[int], highest_target: int = HIGHEST_TARGET) -> dict[int, Header]:
    """The headers of the wanted heights from a header file's lines, as iterating a binary file gives them.

    `highest_target` is the easiest proof of work that is believed. Raises `ValueError` that names the line for one that is not in
    the format, a height that stands twice, or a wanted header without enough work.
    """
    found: dict[int, Header] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith(b"#"):
            continue
        height, _, header = line.strip().partition(b" ")
        if not (height.isdigit() and len(height) < 10 and len(header) == 160):
            raise ValueError(f"line {number} is not a height and the 160 hexadecimal digits of a block header")
        if int(height) not in heights:
            continue
        if int(height) in found:
            raise ValueError(f"line {number}: height {int(height)} stands twice")
        try:
            found[int(height)] = _header(bytes.fromhex(header.decode("ascii", "replace")), highest_target)
        except ValueError as error:
            raise ValueError(f"line {number}: {error}") from error
    return found


def _header(data: bytes, highest_target: int) -> Header:
    """Reads an 80-byte header (version, previous hash, Merkle root, time, bits, nonce; numbers with the low byte first) and
    checks that its double SHA-256, read so, does not exceed the target that its bits stand for."""
    if len(data) != 80:
        raise ValueError("is not the hexadecimal form of 80 bytes")
    bits = int.from_bytes(data[72:76], "little")
    size, mantissa = bits >> 24, bits & 0xFFFFFF
    target = mantissa << 8 * (size - 3) if size >= 3 else mantissa >> 8 * (3 - size)
    if mantissa > 0x7FFFFF or not 0 < target < 1 << 256:
        raise ValueError(f"the bits {bits:#010x} stand for no target")
    if target > highest_target:
        raise ValueError("the header claims less work than any block of Bitcoin since 2016, so anybody could have made it")
    if int.from_bytes(hashlib.sha256(hashlib.sha256(data).digest()).digest(), "little") > target:
        raise ValueError("the header's hash does not have the work that it claims, so it is no block's")
    return Header(data[36:68], datetime.fromtimestamp(int.from_bytes(data[68:72], "little"), UTC))


def verify(proof: Proof, known: dict[int, Header]) -> datetime:
    """The latest instant of the earliest block that the proof reaches: its time and two hours.

    Raises `ValueError` that says why, where it reaches none of the known headers.
    """
    reached = [known[height].time for height, message in proof.blocks if height in known and known[height].merkle_root == message]
    if reached:
        return min(reached) + CLOCK
    if wrong := sorted(height for height, _ in proof.blocks if height in known):
        raise ValueError(f"does not lead to the Merkle root of block {wrong[0]}")
    if proof.blocks:
        missing = ", ".join(str(height) for height in sorted({height for height, _ in proof.blocks})[:5])
        raise ValueError(f"leads to block {missing}, whose header is not given")
    if proof.pending:
        raise ValueError("is pending: a calendar's promise and no block yet; upgrade it with `ots upgrade`")
    raise ValueError("holds no attestation by Bitcoin, and no other notary counts")
