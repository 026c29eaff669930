"""Hashed n-grams against a slow oracle in Python, and the file that holds their weights."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import characters, lines

MASK = 2**64 - 1
WORDS = st.lists(st.text("ab,是é", min_size=1, max_size=4), max_size=12).map(" ".join)


def bucket(value: int, bits: int) -> int:
    return ((value ^ value >> 31) * 0xBF58476D1CE4E5B9 & MASK) >> (64 - bits)


def oracle(line: str, bits: int = characters.BITS) -> dict[int, float]:
    found: Counter[int] = Counter()
    padded = f" {line} "
    for start in range(len(line) + 1):
        value = 0xCBF29CE484222325
        for character in padded[start : start + characters.CHARACTERS]:
            value = (value ^ ord(character)) * 0x100000001B3 & MASK
            found[bucket(value, bits)] += 1
    words = line.split()
    for start in range(len(words)):
        value = 0x9E3779B97F4A7C15
        for word in words[start : start + characters.WORDS]:
            for character in word + " ":
                value = (value ^ ord(character)) * 0x100000001B3 & MASK
            found[bucket(value, bits)] += 1
    values = {key: 1 + math.log(count) for key, count in found.items()}
    norm = math.sqrt(sum(value * value for value in values.values()))
    return {key: value / norm for key, value in values.items()}


def points(line: str) -> np.ndarray:
    return np.frombuffer(line.encode("utf-32-le"), np.uint32)


@settings(deadline=None)
@given(WORDS, st.sampled_from((4, 20)))
def test_features_equal_the_oracle(line, bits):
    hasher = characters.Hasher(bits)
    for _ in range(2):  # the room is clean again after the first line
        buckets, values = hasher.features(points(line))
        assert dict(zip(buckets.tolist(), values.tolist(), strict=True)) == pytest.approx(oracle(line, bits), abs=1e-6)


def test_score_is_the_weighted_sum():
    weights = np.random.default_rng(1).normal(size=1 << characters.BITS).astype(np.float32)
    line = lines.line("A wireless network, in which packets are broadcast to receivers.")
    expected = sum(value * float(weights[key]) for key, value in oracle(lines.words(line)).items()) + 0.5
    assert characters.Hasher().score(line, characters.Model(weights, 0.5)) == pytest.approx(expected, abs=1e-4)


def test_longest_line_has_room():
    buckets, values = characters.Hasher().features(lines.line("字" * 10_000))
    assert 0 < len(buckets) < 20 and math.isclose(float((values**2).sum()), 1, rel_tol=1e-5)


def test_file_holds_the_model():
    weights = np.zeros(1 << characters.BITS, np.float32)
    weights[7] = 1.5
    data = characters.write(characters.Model(weights, -0.25))
    read = characters.read(data)
    assert (read.weights == weights).all() and read.bias == -0.25
    assert characters.write(read) == data


@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 not an archive", b"\x93NUMPY"])
def test_other_bytes_are_refused(data):
    with pytest.raises(ValueError, match="not readable"):
        characters.read(data)
