"""xxHash64 with seed 0 of many slices of one buffer (Y. Collet, doc/xxhash_spec.md)."""

from __future__ import annotations

import numpy as np

P1, P2, P3 = np.uint64(0x9E3779B185EBCA87), np.uint64(0xC2B2AE3D27D4EB4F), np.uint64(0x165667B19E3779F9)
P4, P5 = np.uint64(0x85EBCA77C2B2AE63), np.uint64(0x27D4EB2F165667C5)
LANES = np.array([(int(P1) + int(P2)) % 2**64, P2, 0, 2**64 - int(P1)], np.uint64)
TURNS = np.array([1, 7, 12, 18], np.uint64)
B8, R11, R23, R27, R29, R31, R32, R33 = (np.uint64(n) for n in (8, 11, 23, 27, 29, 31, 32, 33))
W64 = np.uint64(64)


def digests(data: np.ndarray, starts: np.ndarray, stops: np.ndarray, out: np.ndarray) -> None:
    """Writes to `out` (uint64) the hash of each slice of `data` (uint8)."""
    lanes = np.empty(4, np.uint64)
    for n in range(starts.shape[0]):
        i, stop = starts[n], stops[n]
        length = np.uint64(stop - i)
        if stop - i >= 32:
            lanes[:] = LANES
            while i + 32 <= stop:
                for lane in range(4):
                    word = np.uint64(0)
                    for j in range(7, -1, -1):
                        word = word << B8 | np.uint64(data[i + j])
                    v = lanes[lane] + word * P2
                    lanes[lane] = (v << R31 | v >> R33) * P1
                    i += 8
            h = np.uint64(0)
            for lane in range(4):
                h += lanes[lane] << TURNS[lane] | lanes[lane] >> (W64 - TURNS[lane])
            for lane in range(4):
                v = lanes[lane] * P2
                h = (h ^ (v << R31 | v >> R33) * P1) * P1 + P4
        else:
            h = P5
        h += length
        while i + 8 <= stop:
            word = np.uint64(0)
            for j in range(7, -1, -1):
                word = word << B8 | np.uint64(data[i + j])
            v = word * P2
            h ^= (v << R31 | v >> R33) * P1
            h = (h << R27 | h >> (W64 - R27)) * P1 + P4
            i += 8
        if i + 4 <= stop:
            word = np.uint64(0)
            for j in range(3, -1, -1):
                word = word << B8 | np.uint64(data[i + j])
            h ^= word * P1
            h = (h << R23 | h >> (W64 - R23)) * P2 + P3
            i += 4
        while i < stop:
            h ^= np.uint64(data[i]) * P5
            h = (h << R11 | h >> (W64 - R11)) * P1
            i += 1
        h = (h ^ h >> R33) * P2
        h = (h ^ h >> R29) * P3
        out[n] = h ^ h >> R32
