"""datasketch's `affine32`: (a * x + b) modulo 2**32 of a hash x that MurmurHash3's fmix32 has mixed; its default since 2.0."""

from __future__ import annotations

import numpy as np

MIX_A, MIX_B = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)  # MurmurHash3 fmix32
SHIFT_16, SHIFT_13 = np.uint32(16), np.uint32(13)
EMPTY = np.uint32(0xFFFFFFFF)


def permutations(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers a (odd) and summands b: uint32 arrays of `count` each, made by datasketch."""
    import datasketch

    a, b = datasketch.MinHash(num_perm=count, seed=seed, scheme="affine32").permutations
    return np.ascontiguousarray(a, np.uint32), np.ascontiguousarray(b, np.uint32)


def minima(hashes: np.ndarray, offsets: np.ndarray, a: np.ndarray, b: np.ndarray, drawn: np.uint64, out: np.ndarray) -> None:
    """Writes the minima (uint32) of texts given by their shingle hashes (uint64), of which 32 bits from bit `drawn` are taken."""
    four = np.empty(4, np.uint32)
    for text in range(offsets.shape[0] - 1):
        row = out[text]
        row[:] = EMPTY
        # Four at a time, the last again where a text has no more: a row is then read and written once for four.
        for first in range(offsets[text], offsets[text + 1], 4):
            for n in range(4):
                x = np.uint32(hashes[min(first + n, offsets[text + 1] - 1)] >> drawn)
                x = np.uint32((x ^ (x >> SHIFT_16)) * MIX_A)
                x = np.uint32((x ^ (x >> SHIFT_13)) * MIX_B)
                four[n] = x ^ (x >> SHIFT_16)
            x0, x1, x2, x3 = four[0], four[1], four[2], four[3]
            for j in range(a.shape[0]):
                y = min(np.uint32(np.uint32(x0 * a[j]) + b[j]), np.uint32(np.uint32(x1 * a[j]) + b[j]))
                z = min(np.uint32(np.uint32(x2 * a[j]) + b[j]), np.uint32(np.uint32(x3 * a[j]) + b[j]))
                row[j] = min(row[j], min(y, z))
