"""OpenTimestamps proofs and block headers made for tests; the headers' work takes a few hashes."""

import hashlib

from provenance.witnesses.opentimestamps import MAGIC

EASY = 0x7FFFFF << 232
"""The target of Bitcoin's regression test network, which every other header meets."""

BITCOIN, PENDING, LITECOIN, ETHEREUM = (
    bytes.fromhex(tag) for tag in ("0588960d73d71901", "83dfe30d2ef90c8e", "06869a0d73d71b45", "30fe8087b5c7ead7")
)
SHA256, FORK = b"\x08", b"\xff"

GENESIS = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3888a51323a9fb8aa"
    "4b1e5e4a29ab5f49ffff001d1dac2b7c"
)
"""Header of Bitcoin's block 0, of 2009-01-03; its hash is 000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f."""

COINBASE = bytes.fromhex(
    "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff4d04ffff001d0104455468652054696d65732030332f4a"
    "616e2f32303039204368616e63656c6c6f72206f6e206272696e6b206f66207365636f6e64206261696c6f757420666f722062616e6b73ffffffff0100f2052a"
    "01000000434104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a"
    "4c702b6bf11d5fac00000000"
)
"""The one transaction of block 0, whose double SHA-256 is the block's Merkle root."""


def number(value: int) -> bytes:
    out = bytearray()
    while True:
        out.append(value & 0x7F | (0x80 if value > 0x7F else 0))
        value >>= 7
        if not value:
            return bytes(out)


def field(data: bytes) -> bytes:
    return number(len(data)) + data


def append(data: bytes) -> bytes:
    return b"\xf0" + field(data)


def prepend(data: bytes) -> bytes:
    return b"\xf1" + field(data)


def attest(tag: bytes, payload: bytes) -> bytes:
    return b"\x00" + tag + field(payload)


def block(height: int) -> bytes:
    return attest(BITCOIN, number(height))


def pending() -> bytes:
    return attest(PENDING, field(b"https://calendar.example.org"))


def proof(digest: bytes, body: bytes) -> bytes:
    """A detached proof over a SHA-256 digest."""
    return MAGIC + b"\x01" + SHA256 + digest + body


def header(root: bytes, time: int, bits: int = 0x207FFFFF) -> bytes:
    """A header with the work that its bits ask for."""
    mantissa, size = bits & 0xFFFFFF, bits >> 24
    target = mantissa << 8 * (size - 3)
    for nonce in range(1 << 32):
        data = (
            (4).to_bytes(4, "little")
            + bytes(32)
            + root
            + time.to_bytes(4, "little")
            + bits.to_bytes(4, "little")
            + nonce.to_bytes(4, "little")
        )
        if int.from_bytes(hashlib.sha256(hashlib.sha256(data).digest()).digest(), "little") <= target:
            return data
    raise ValueError("no nonce found")


def stamped(data: bytes, time: int, height: int = 600_000) -> tuple[bytes, bytes]:
    """A proof over `data`, and the line of the header that it leads to."""
    digest = hashlib.sha256(data).digest()
    root = hashlib.sha256(b"before" + digest + b"after").digest()
    return proof(
        digest, prepend(b"before") + append(b"after") + SHA256 + block(height)
    ), f"{height} {header(root, time).hex()}\n".encode()
