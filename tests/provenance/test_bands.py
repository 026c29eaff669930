"""Bands: golden vectors, recall on planted copies, joins against brute force, bounded pairs."""

import json
import random
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import bands
from provenance.minhash import MinHash, matrix, minhash
from provenance.similarity import Match, duplicate, measure

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "match.json").read_text(encoding="utf-8"))
OPTIONS = MinHash()
MASK = 2**64 - 1


def sketch(texts: list[str], options: MinHash = OPTIONS) -> tuple[np.ndarray, np.ndarray]:
    batch = minhash(pa.array(texts, pa.string()), options)
    return matrix(batch.column("signature")), batch.column("shingles").to_numpy()


def together(pairs: Iterable[tuple[np.ndarray, np.ndarray]]) -> list[tuple[int, int]]:
    return [pair for left, right in pairs for pair in zip(left.tolist(), right.tolist(), strict=True)]


def candidates(texts: list[str]) -> set[tuple[int, int]]:
    hashes = bands.band_hashes(sketch(texts)[0], OPTIONS)
    found: set[tuple[int, int]] = set()
    for band in hashes.T:
        pairs, skipped = bands.pairs_within(band, np.arange(len(texts)), 10**6)
        assert skipped == 0
        found |= set(together(pairs))
    return found


def words(rng: random.Random, count: int, vocabulary: int = 5000) -> list[str]:
    return [f"w{int(vocabulary * rng.random() ** 2)}" for _ in range(count)]


def reference_hash(rows: list[int], band: int) -> int:
    h = ((band + 1) * 0x9E3779B97F4A7C15) & MASK
    for row in rows:
        h ^= row
        h = ((h ^ h >> 30) * 0xBF58476D1CE4E5B9) & MASK
        h = ((h ^ h >> 27) * 0x94D049BB133111EB) & MASK
        h ^= h >> 31
    return h


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda v: v["name"])
def test_golden_vectors(vector: dict) -> None:
    hashes = bands.band_hashes(sketch([vector["text"]])[0], OPTIONS)[0]
    assert [f"{h:016x}" for h in hashes[:2].tolist()] == vector["bands"]


def test_hashes_are_those_documented_and_bands_can_be_chosen() -> None:
    signatures = np.random.default_rng(0).integers(0, 2**32, (4, 128), np.uint32)
    hashes = bands.band_hashes(signatures, OPTIONS)
    assert hashes.shape == (4, 25)
    assert hashes.tolist() == [[reference_hash(s[5 * j : 5 * j + 5], j) for j in range(25)] for s in signatures.tolist()]
    assert bands.band_hashes(signatures, OPTIONS, [24, 3]).tolist() == hashes[:, [24, 3]].tolist()
    assert bands.band_hashes(signatures[::2], OPTIONS).tolist() == hashes[::2].tolist()


def test_hashes_depend_on_order_and_band() -> None:
    signature = np.zeros((1, 128), np.uint32)
    assert len(set(bands.band_hashes(signature, OPTIONS)[0].tolist())) == 25
    signature[0, :5] = [1, 2, 3, 4, 5]
    swapped = signature.copy()
    swapped[0, :2] = [2, 1]
    assert bands.band_hashes(signature, OPTIONS)[0, 0] != bands.band_hashes(swapped, OPTIONS)[0, 0]


def test_wrong_bands_and_widths_are_refused() -> None:
    signature = np.zeros((1, 128), np.uint32)
    for wrong in ([25], [-1]):
        with pytest.raises(ValueError, match="ask for 0 to 24"):
            bands.band_hashes(signature, OPTIONS, wrong)
    with pytest.raises(ValueError, match="64 minima"):
        bands.band_hashes(signature[:, :64], OPTIONS)


@pytest.mark.parametrize("kind", [np.uint32, np.uint64])
def test_minima_of_both_widths_are_hashed_as_numbers(kind: type) -> None:
    signatures = np.random.default_rng(0).integers(0, np.iinfo(kind).max, (3, 128), kind, endpoint=True)
    assert bands.band_hashes(signatures, OPTIONS, [2]).tolist() == [[reference_hash(s[10:15], 2)] for s in signatures.tolist()]
    assert bands.band_hashes(signatures.astype(np.uint64), OPTIONS).tolist() == bands.band_hashes(signatures, OPTIONS).tolist()


def test_ipc_gives_one_sorted_table_for_any_order_of_arrival() -> None:
    rng = np.random.default_rng(1)
    parts = [pa.table([rng.integers(0, 9, 40, np.uint64), rng.integers(0, 99, 40)], schema=bands.SCHEMA) for _ in range(3)]
    blobs = [bands.to_ipc(part) for part in parts]
    table = bands.from_ipc(blobs)
    assert table.equals(bands.from_ipc(blobs[::-1]))
    rows = sorted((r["hash"], r["document"]) for part in parts for r in part.to_pylist())
    assert [(r["hash"], r["document"]) for r in table.to_pylist()] == rows
    assert bands.from_ipc([]).schema == bands.SCHEMA


def test_ipc_of_a_slice_does_not_carry_its_parent() -> None:
    table = pa.table([np.zeros(100_000, np.uint64), np.zeros(100_000, np.int64)], schema=bands.SCHEMA)
    blob = bands.to_ipc(table.slice(5, 1))
    assert len(blob) < 2000
    assert bands.from_ipc([blob]).num_rows == 1


small = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 50)), max_size=40)


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    rows = sorted(rows)
    return np.array([h for h, _ in rows], np.uint64), np.array([d for _, d in rows], np.int64)


@given(small, small, st.integers(1, 9))
def test_join_equals_brute_force(queries: list, index: list, most: int) -> None:
    chunks = list(bands.join(*columns(queries), *columns(index), most))
    assert all(len(left) == most for left, _ in chunks[:-1])
    assert together(chunks) == [(q, i) for h, q in sorted(queries) for k, i in sorted(index) if h == k]


@given(small, small, st.integers(1, 20))
def test_an_index_may_be_joined_in_slices(queries: list, index: list, size: int) -> None:
    hashes, documents = columns(index)
    sliced = [bands.join(*columns(queries), hashes[i : i + size], documents[i : i + size]) for i in range(0, len(index), size)]
    assert sorted(pair for pairs in sliced for pair in together(pairs)) == sorted(
        together(bands.join(*columns(queries), hashes, documents))
    )


def test_a_hot_bucket_is_joined_in_pieces() -> None:
    hashes, documents = np.zeros(3000, np.uint64), np.arange(3000)
    chunks = bands.join(hashes, documents, hashes, documents)
    sizes = [len(left) for left, _ in chunks]
    assert (sum(sizes), max(sizes)) == (9_000_000, bands.PAIRS)


@given(st.lists(st.integers(0, 4), max_size=40), st.integers(1, 6), st.integers(1, 9), st.randoms(use_true_random=False))
def test_pairs_within_equal_brute_force(hashes: list[int], limit: int, most: int, rng: random.Random) -> None:
    documents = rng.sample(range(1000), len(hashes))
    rows = sorted(zip(hashes, documents, strict=True))
    expected, total = [], 0
    for h in set(hashes):
        bucket = [d for g, d in rows if g == h]
        expected += [(bucket[i], earlier) for i in range(len(bucket)) for earlier in bucket[:i][:limit]]
        total += len(bucket) * (len(bucket) - 1) // 2
    pairs, skipped = bands.pairs_within(np.array(hashes, np.uint64), np.array(documents, np.int64), limit, most)
    chunks = list(pairs)
    assert all(len(later) == most for later, _ in chunks[:-1])
    assert sorted(together(chunks)) == sorted(expected)
    assert skipped == total - len(expected)


def test_a_hot_bucket_costs_no_square() -> None:
    n = 200_000
    pairs, skipped = bands.pairs_within(np.zeros(n, np.uint64), np.arange(n), 10)
    chunks = list(pairs)
    assert sum(len(later) for later, _ in chunks) == 10 * n - 55
    assert skipped == n * (n - 1) // 2 - (10 * n - 55)
    assert max(earlier.max() for _, earlier in chunks) == 9
    with pytest.raises(ValueError, match="bucket_limit"):
        bands.pairs_within(np.zeros(2, np.uint64), np.arange(2), 0)


def test_recall_of_planted_near_copies() -> None:
    rng = random.Random(5)
    texts, pairs = [], []
    for i in range(1500):
        text = words(rng, 250)
        copy = list(text)
        for _ in range(1 + i % 6):
            copy[rng.randrange(len(copy))] = f"edit{rng.getrandbits(60)}"
        pairs.append((len(texts) + 1, len(texts)))
        texts += [" ".join(text), " ".join(copy)]
    later, earlier = np.array(pairs).T
    measured = measure(pa.array(texts), later, earlier, OPTIONS).column("similarity").to_numpy()
    found = candidates(texts)
    for threshold, least, recall in [(0.85, 500, 0.99), (0.75, 900, 0.99)]:
        wanted = [pair for pair, s in zip(pairs, measured, strict=True) if s >= threshold]
        assert len(wanted) > least
        assert sum(pair in found for pair in wanted) >= recall * len(wanted)


def test_unrelated_texts_give_no_duplicate() -> None:
    rng = random.Random(6)
    texts = [" ".join(words(rng, rng.randrange(60, 200), 2000)) for _ in range(5000)]
    left, right = np.array(sorted(candidates(texts)) or np.empty((0, 2)), np.int64).T
    assert not duplicate(measure(pa.array(texts), left, right, OPTIONS), Match()).any()
    assert len(left) < 50
