"""Permutations ((a * x + b) modulo 2**64) modulo 2**61 - 1, as datatrove and RedPajama compute them.

The product overflows 64 bits in their arrays, and so it must here: the same signatures come of no other arithmetic.
"""

from __future__ import annotations

import numpy as np

PRIME = np.uint64((1 << 61) - 1)
WIDE = np.uint64(61)


def permutations(count: int, seed: int, rows: bool) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers a (1 to 2**61 - 2) and summands b (0 to 2**61 - 2): uint64 arrays of `count` each.

    They come of NumPy's `RandomState`, whose streams never change: with `rows` all a and then all b, as in datatrove, else a
    and b of each permutation in turn, as in RedPajama and in datasketch before 2.0.
    """
    draw = np.random.RandomState(seed)
    if rows:
        a = draw.randint(1, PRIME, size=count, dtype=np.uint64)
        return a, draw.randint(0, PRIME, size=count, dtype=np.uint64)
    pairs = [(draw.randint(1, PRIME, dtype=np.uint64), draw.randint(0, PRIME, dtype=np.uint64)) for _ in range(count)]
    a, b = np.array(pairs, np.uint64).reshape(count, 2).T
    return np.ascontiguousarray(a), np.ascontiguousarray(b)


def minima(
    hashes: np.ndarray, offsets: np.ndarray, a: np.ndarray, b: np.ndarray, taken: np.uint64, kept: np.uint64, out: np.ndarray
) -> None:
    """Writes the minima (uint32 or uint64) of texts given by their shingle hashes (uint64).

    The bits of the mask `taken` enter the permutations, those of `kept` are what is compared.
    """
    row = np.empty(a.shape[0], np.uint64)
    for text in range(offsets.shape[0] - 1):
        row[:] = kept
        for i in range(offsets[text], offsets[text + 1]):
            x = hashes[i] & taken
            for j in range(a.shape[0]):
                v = x * a[j] + b[j]
                v = (v & PRIME) + (v >> WIDE)
                v = v - PRIME if v >= PRIME else v
                row[j] = min(row[j], v & kept)
        for j in range(a.shape[0]):
            out[text, j] = row[j]
