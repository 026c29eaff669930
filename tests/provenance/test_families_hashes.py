"""The hash kernels against the libraries that everybody else uses."""

import hashlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.families import sha1, xxh64
from provenance.kernels import compiled


def of_sha1(data: bytes) -> int:
    return int.from_bytes(hashlib.sha1(data).digest()[:8], "little")


KERNELS = [(sha1.digests, of_sha1), (xxh64.digests, xxhash.xxh64_intdigest)]


def digests(kernel: Callable[..., Any], data: bytes, starts: list[int], stops: list[int]) -> list[int]:
    out = np.empty(len(starts), np.uint64)
    compiled(kernel)(np.frombuffer(data, np.uint8), np.array(starts, np.int64), np.array(stops, np.int64), out)
    return out.tolist()


@pytest.mark.parametrize(("kernel", "oracle"), KERNELS, ids=["sha1", "xxh64"])
@pytest.mark.parametrize("shift", [0, 1, 7])
def test_every_length_to_300(kernel: Callable[..., Any], oracle: Callable[[bytes], int], shift: int) -> None:
    data = bytes(np.random.default_rng(5).integers(0, 256, 400, np.uint8))
    slices = [data[shift : shift + length] for length in range(301)]
    found = digests(kernel, data, [shift] * 301, [shift + length for length in range(301)])
    assert found == [oracle(one) for one in slices]
    # In one call the digest of a slice does not depend on the one before.
    assert digests(kernel, data, [shift] * 301, [shift + length for length in range(300, -1, -1)]) == found[::-1]


@pytest.mark.parametrize(("kernel", "oracle"), KERNELS, ids=["sha1", "xxh64"])
@pytest.mark.parametrize("byte", [b"\x00", b"\x7f", b"\x80", b"\xff"])
def test_bytes_of_one_value(kernel: Callable[..., Any], oracle: Callable[[bytes], int], byte: bytes) -> None:
    data = byte * 5000
    assert digests(kernel, data, [0, 3, 10], [5000, 4099, 10]) == [oracle(data), oracle(data[3:4099]), oracle(b"")]


@pytest.mark.parametrize(("kernel", "oracle"), KERNELS, ids=["sha1", "xxh64"])
@settings(deadline=None)  # the first example compiles the kernel
@given(data=st.binary(max_size=200), cuts=st.lists(st.tuples(st.integers(0, 200), st.integers(0, 200)), max_size=20))
def test_any_slices(kernel: Callable[..., Any], oracle: Callable[[bytes], int], data: bytes, cuts: list[tuple[int, int]]) -> None:
    starts = [min(a, b, len(data)) for a, b in cuts]
    stops = [min(max(a, b), len(data)) for a, b in cuts]
    assert digests(kernel, data, starts, stops) == [oracle(data[a:b]) for a, b in zip(starts, stops, strict=True)]
