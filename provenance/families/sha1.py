"""SHA-1 (FIPS 180-4) of many slices of one buffer: `hashlib` costs a Python object for each."""

from __future__ import annotations

import numpy as np

K0, K1, K2, K3 = np.uint32(0x5A827999), np.uint32(0x6ED9EBA1), np.uint32(0x8F1BBCDC), np.uint32(0xCA62C1D6)
H0, H1, H2, H3, H4 = (
    np.uint32(0x67452301),
    np.uint32(0xEFCDAB89),
    np.uint32(0x98BADCFE),
    np.uint32(0x10325476),
    np.uint32(0xC3D2E1F0),
)
R1, R2, R5, R27, R30, R31 = np.uint32(1), np.uint32(2), np.uint32(5), np.uint32(27), np.uint32(30), np.uint32(31)
BYTE, B8, B24 = np.uint32(0xFF00), np.uint32(8), np.uint32(24)
WIDE = np.uint64(32)


def digests(data: np.ndarray, starts: np.ndarray, stops: np.ndarray, out: np.ndarray) -> None:
    """Writes to `out` (uint64) the first 8 bytes of the digest of each slice of `data` (uint8), as a little-endian number."""
    w = np.zeros(80, np.uint32)
    for n in range(starts.shape[0]):
        first, length = starts[n], stops[n] - starts[n]
        h0, h1, h2, h3, h4 = H0, H1, H2, H3, H4
        blocks = (length + 8) // 64 + 1
        for block in range(blocks):
            for i in range(16):
                place = block * 64 + i * 4
                if place + 4 <= length:
                    at = first + place
                    word = np.uint32(data[at]) << B24 | np.uint32(data[at + 1]) << np.uint32(16)
                    w[i] = np.uint32(word | np.uint32(data[at + 2]) << B8 | np.uint32(data[at + 3]))
                else:
                    word = np.uint32(0)
                    for j in range(place, place + 4):
                        byte = np.uint32(data[first + j]) if j < length else np.uint32(0x80 if j == length else 0)
                        word = np.uint32(word << B8 | byte)
                    w[i] = word
            if block == blocks - 1:
                w[14], w[15] = np.uint32(length >> 29), np.uint32(length << 3)
            for i in range(16, 80):
                word = np.uint32(w[i - 3] ^ w[i - 8] ^ w[i - 14] ^ w[i - 16])
                w[i] = np.uint32(word << R1 | word >> R31)
            a, b, c, d, e = h0, h1, h2, h3, h4
            for i in range(20):
                t = np.uint32(np.uint32(a << R5 | a >> R27) + np.uint32(d ^ (b & (c ^ d))) + e + K0 + w[i])
                a, b, c, d, e = t, a, np.uint32(b << R30 | b >> R2), c, d
            for i in range(20, 40):
                t = np.uint32(np.uint32(a << R5 | a >> R27) + np.uint32(b ^ c ^ d) + e + K1 + w[i])
                a, b, c, d, e = t, a, np.uint32(b << R30 | b >> R2), c, d
            for i in range(40, 60):
                t = np.uint32(np.uint32(a << R5 | a >> R27) + np.uint32((b & c) | (d & (b | c))) + e + K2 + w[i])
                a, b, c, d, e = t, a, np.uint32(b << R30 | b >> R2), c, d
            for i in range(60, 80):
                t = np.uint32(np.uint32(a << R5 | a >> R27) + np.uint32(b ^ c ^ d) + e + K3 + w[i])
                a, b, c, d, e = t, a, np.uint32(b << R30 | b >> R2), c, d
            h0, h1, h2 = np.uint32(h0 + a), np.uint32(h1 + b), np.uint32(h2 + c)
            h3, h4 = np.uint32(h3 + d), np.uint32(h4 + e)
        low = np.uint32(h0 << B24 | (h0 & BYTE) << B8 | (h0 >> B8) & BYTE | h0 >> B24)
        high = np.uint32(h1 << B24 | (h1 & BYTE) << B8 | (h1 >> B8) & BYTE | h1 >> B24)
        out[n] = np.uint64(low) | np.uint64(high) << WIDE
