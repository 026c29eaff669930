"""The frozen band index gives back what went in, by band and hash range."""

from pathlib import Path

import numpy as np
import pytest

from provenance import bands
from store import files, index


def write(base: Path, hashes: np.ndarray, documents: np.ndarray, ranges: int) -> list[str]:
    urls = []
    places = bands.partition(0, hashes, ranges)
    for part in range(ranges):
        inside = places == part
        entry = index.write(str(base), index.path("x", 3, part, ranges), hashes[inside], documents[inside])
        urls.append(files.join(str(base), entry["path"]))
    return urls


@pytest.mark.parametrize(("frozen", "asked"), [(1, 1), (1, 3), (4, 1), (3, 2), (2, 7)])
def test_every_hash_is_found_whatever_the_ranges(tmp_path: Path, frozen: int, asked: int) -> None:
    rng = np.random.default_rng(1)
    hashes = np.sort(rng.integers(0, 2**64, 30_000, np.uint64, endpoint=False))
    hashes[0], hashes[-1] = 0, 2**64 - 1
    documents = bands.location(rng.integers(0, 5, len(hashes)), rng.integers(0, 2**31, len(hashes)))
    urls = write(tmp_path, hashes, documents, frozen)
    found = []
    for part in range(asked):
        query = hashes[bands.partition(0, hashes, asked) == part]
        for read, located in index.read(urls, 3, part, asked):
            found += list(zip(*bands.join(query, query, read, located), strict=True))
    assert sorted(found) == sorted(zip(hashes.tolist(), documents.tolist(), strict=True))


def test_other_bands_are_not_read(tmp_path: Path) -> None:
    urls = write(tmp_path, np.array([1], np.uint64), np.array([7]), 1)
    assert list(index.read(urls, 2, 0, 1)) == []
    assert [d.tolist() for _, d in index.read(urls, 3, 0, 1)] == [[7]]


def test_a_range_reads_only_the_row_groups_that_may_hold_it(tmp_path: Path) -> None:
    hashes = np.sort(np.random.default_rng(2).integers(0, 2**64, 100_000, np.uint64, endpoint=False))
    urls = write(tmp_path, hashes, np.arange(len(hashes)), 1)
    read = sum(len(found) for found, _ in index.read(urls, 3, 0, 10))
    assert len(hashes) / 10 <= read < len(hashes) / 4
