"""A linear model over hashed character n-grams and word n-grams of a line, and its kernel.

Features are the character n-grams of 1 to `CHARACTERS` code points (spaces and word boundaries included) and the word n-grams
of 1 to `WORDS` words of a line (see `provenance.lines`), hashed into a table without regard to collisions (Weinberger et al.
2009, arXiv:0902.2206). A feature's value is 1 + ln(count), divided by the Euclidean norm of all (Salton & Buckley 1988); the score is the
weights' sum over the values, plus a constant: log-odds of machine under logistic regression.
"""

import io
import zipfile
from typing import NamedTuple

import numpy as np

from provenance.kernels import compiled

CHARACTERS = 5
WORDS = 3
BITS = 20
"""Two to this power is the size of the table of weights."""


class Model(NamedTuple):
    """Weights of the hashed features (float32, 2 ** BITS) and the constant."""

    weights: np.ndarray
    bias: float


def _collect(
    points: np.ndarray,
    bits: int,
    characters: int,
    words: int,
    counts: np.ndarray,
    buckets: np.ndarray,
    starts: np.ndarray,
    out: np.ndarray,
) -> int:
    """Buckets and values of the features of one line; how many. `counts` is all 0 before and after."""
    # Prime and offset basis of FNV-1a (64 bits, http://www.isthe.com/chongo/tech/comp/fnv/); a multiplier of splitmix64's finaliser,
    # since the high bits choose the bucket; word n-grams start from 2 ** 64 divided by the golden ratio.
    prime, mix = np.uint64(0x100000001B3), np.uint64(0xBF58476D1CE4E5B9)
    shift, fold = np.uint64(64 - bits), np.uint64(31)
    size, found, known = points.shape[0], 0, 0
    # A line is read as if a space stood before and after it.
    padded = np.full(size + 2, 32, np.uint64)
    padded[1:-1] = points
    for start in range(size + 1):
        value = np.uint64(0xCBF29CE484222325)
        for place in range(start, min(start + characters, size + 2)):
            value = (value ^ padded[place]) * prime
            bucket = np.int64(((value ^ (value >> fold)) * mix) >> shift)
            if counts[bucket] == 0:
                buckets[found] = bucket
                found += 1
            counts[bucket] += 1
    for i in range(size):
        if points[i] != 32 and (i == 0 or points[i - 1] == 32):
            starts[known] = i
            known += 1
    for w in range(known):
        value = np.uint64(0x9E3779B97F4A7C15)
        place = starts[w]
        for _ in range(words):
            while place < size and points[place] != 32:
                value = (value ^ np.uint64(points[place])) * prime
                place += 1
            value = (value ^ np.uint64(32)) * prime
            bucket = np.int64(((value ^ (value >> fold)) * mix) >> shift)
            if counts[bucket] == 0:
                buckets[found] = bucket
                found += 1
            counts[bucket] += 1
            place += 1
            if place >= size:
                break
    norm = 0.0
    for i in range(found):
        count = counts[buckets[i]]
        value_of = 1.0 if count == 1 else 1.0 + np.log(float(count))
        counts[buckets[i]] = 0
        out[i] = value_of
        norm += value_of * value_of
    norm = np.sqrt(norm)
    for i in range(found):
        out[i] /= norm
    return found


def _dot(buckets: np.ndarray, values: np.ndarray, weights: np.ndarray) -> float:
    total = 0.0
    for i in range(buckets.shape[0]):
        total += values[i] * weights[buckets[i]]
    return total


class Hasher:
    """Room for the features of one line at a time; not to be shared by threads."""

    def __init__(self, bits: int = BITS, characters: int = CHARACTERS, words: int = WORDS) -> None:
        self._shape = (bits, characters, words)
        # 16 bits hold the count of any feature of a line, and the table stays in the processor's cache.
        self._counts = np.zeros(1 << bits, np.uint16)

    def features(self, points: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(buckets int32, values float32) of the distinct features of a line (uint32[n]), in order of first appearance."""
        bits, characters, words = self._shape
        most = (len(points) + 1) * (characters + words)
        buckets, values = np.empty(most, np.int32), np.empty(most, np.float32)
        starts = np.empty(len(points) + 1, np.int32)
        found = compiled(_collect)(points, bits, characters, words, self._counts, buckets, starts, values)
        return buckets[:found], values[:found]

    def score(self, points: np.ndarray, model: Model) -> float:
        """Log-odds of machine for a line."""
        buckets, values = self.features(points)
        return float(compiled(_dot)(buckets, values, model.weights)) + model.bias


def write(model: Model) -> bytes:
    """The model as a compressed NumPy archive of 16-bit weights, which holds numbers alone."""
    file = io.BytesIO()
    np.savez_compressed(file, weights=model.weights.astype(np.float16), bias=np.float64(model.bias))
    return file.getvalue()


def read(data: bytes) -> Model:
    """The model of `write`. Raises `ValueError` for other bytes and for another number of weights."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            weights, bias = arrays["weights"].astype(np.float32), float(arrays["bias"])
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"the character model is not readable ({error}); no text could be scored. Restore it, or run `make model`."
        ) from error
    if weights.shape != (1 << BITS,):
        raise ValueError(
            f"the character model has weights of shape {weights.shape}, not {1 << BITS}; it is of another version. Run `make model`."
        )
    return Model(weights, bias)
