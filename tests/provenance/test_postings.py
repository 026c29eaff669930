"""Postings: every hash of every document once, in one partition, whatever the layout, the batches and the order."""

import hashlib
import itertools
import random
from collections import Counter

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import bands, minhash, postings, shingles
from provenance.identity import content_id
from provenance.minhash import MinHash
from provenance.postings import DATASETS, LEFT_OUT, Layout, Postings

OPTIONS = MinHash(permutations=16, bands=3, rows=2)
layouts = st.builds(Layout, st.integers(1, 40), st.integers(1, 300), st.integers(1, 300))


def texts(count: int, seed: int = 0) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(900)}" for _ in range(rng.randrange(80))) for _ in range(count)] + ["", "..."]


def gather(some: list[str], size: int = 7, addresses: bool = True) -> Postings:
    gathered = Postings(OPTIONS, addresses)
    for start in range(0, len(some), size):
        batch = some[start : start + size]
        hashes, offsets = shingles.shingle_sets(pa.array(batch, pa.string()), OPTIONS)
        minima = minhash.minima(hashes, offsets, OPTIONS)
        urls = [f"http://a.example/{len(text)}#part" if len(text) % 3 else None for text in batch]
        gathered.add(minima, np.diff(offsets), pa.array([content_id(text) for text in batch]), hashes, urls)
    return gathered


def rows(gathered: Postings) -> list[tuple[int, int, int]]:
    found = pa.concat_tables(gathered.tables()) if gathered.rows else postings.SCHEMA.empty_table()
    assert found.schema == postings.SCHEMA
    return list(zip(*(found[name].to_pylist() for name in postings.SCHEMA.names), strict=True))


def expected(some: list[str]) -> list[tuple[int, int, int]]:
    """The definition, one document after the other."""
    found = []
    for row, text in enumerate(some):
        hashes, offsets = shingles.shingle_sets(pa.array([text]), OPTIONS)
        if len(hashes):
            own = bands.band_hashes(minhash.minima(hashes, offsets, OPTIONS), OPTIONS)[0].tolist()
            found += [(band, h, row) for band, h in enumerate(own)]
        found.append((3, int(content_id(text)[:16], 16), row))
        found += [(4, h, row) for h in hashes.tolist() if h % 16 == 0]
        if len(text) % 3:
            digest = hashlib.sha256(f"http://a.example/{len(text)}".encode()).hexdigest()
            found.append((5, int(digest[:16], 16), row))
    return sorted(found)


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_they_are_those_documented_whatever_the_batches(size: int) -> None:
    some = texts(40)
    gathered = gather(some, size)
    assert rows(gathered) == expected(some)
    number = Counter(index for index, _, _ in rows(gathered))
    assert list(gathered.counts.values()) == [number[0] + number[1] + number[2], len(some), number[4], number[5]]
    assert number[4] > 40


def test_what_is_not_asked_for_is_not_there() -> None:
    some = texts(10)
    assert {index for index, _, _ in rows(gather(some, addresses=False))} == {0, 1, 2, 3, 4}
    blank = gather(["", "..."], addresses=False)
    assert blank.counts == {"bands": 0, "ids": 2, "samples": 0, "addresses": 0}
    assert Postings(OPTIONS).counts == dict.fromkeys(DATASETS, 0)
    assert rows(Postings(OPTIONS)) == []
    sketched = Postings(OPTIONS)
    sketched.add(np.zeros((2, 16), np.uint32), np.array([9, 0]), pa.array(["ab" * 16, "cd" * 16]))
    assert sketched.counts == {"bands": 3, "ids": 2, "samples": 0, "addresses": 0}


def test_an_id_and_an_address_are_the_first_bytes_of_their_digests() -> None:
    assert postings.id_hashes(pa.array(["00000000000000ff" + "77" * 8, "f" * 32])).tolist() == [255, 2**64 - 1]
    assert postings.address_hash("http://a/b?c#d") == postings.address_hash("http://a/b?c")
    assert postings.address_hash("http://a/b?c") != postings.address_hash("http://a/b")


@given(layouts)
def test_partitions_are_numbered_without_gap_and_tell_what_they_hold(layout: Layout) -> None:
    places = [layout.of(partition) for partition in range(layout.kind("addresses").stop)]
    assert len(set(places)) == len(places) == layout.bands * layout.ranges + 2 * layout.ranges + layout.sampled
    for dataset in DATASETS:
        assert {places[partition].dataset for partition in layout.kind(dataset)} == {dataset}
    for place in places:
        assert place.ranges == (layout.sampled if place.dataset == "samples" else layout.ranges)
        assert place.dataset == (["bands"] * layout.bands + ["ids", "samples", "addresses"])[place.number]
    for wrong in (-1, len(places)):
        with pytest.raises(ValueError, match=f"ask for 0 to {len(places) - 1}"):
            layout.of(wrong)


@given(st.integers(1, 5000), st.integers(0, 2**64 - 1))
def test_ranges_are_equally_wide_and_hold_every_hash_once(ranges: int, value: int) -> None:
    spans = [postings.bounds(part, ranges) for part in range(ranges)]
    assert (spans[0][0], spans[-1][1]) == (0, 2**64 - 1)
    assert all(stop + 1 == start for (_, stop), (start, _) in itertools.pairwise(spans))
    widths = [stop - start + 1 for start, stop in spans]
    assert max(widths) - min(widths) <= 2**32
    low, high = spans[(value >> 32) * ranges >> 32]
    assert low <= value <= high


@pytest.mark.parametrize(
    ("documents", "samples", "ranges", "sampled"), [(0, 0, 1, 1), (1_000_000, 1_000_001, 1, 2), (2_500_000, 155_000_000, 3, 155)]
)
def test_a_layout_keeps_partitions_small(documents: int, samples: int, ranges: int, sampled: int) -> None:
    assert Layout.sized(OPTIONS, documents, samples) == Layout(3, ranges, sampled)


values = st.integers(0, 2**64 - 1) | st.sampled_from([0, 2**64 - 1, 2**63, 2**63 - 1, (2**64 // 3 >> 32) << 32])
some_postings = st.lists(st.tuples(st.integers(0, 5), values, st.integers(0, 9)), max_size=60)


@settings(max_examples=200)
@given(some_postings, st.integers(1, 9), st.integers(1, 9), st.sets(st.integers(0, 9)), st.integers(1, 60))
def test_every_posting_is_in_exactly_one_partition(
    found: list[tuple[int, int, int]], ranges: int, sampled: int, left_out: set[int], size: int
) -> None:
    layout = Layout(3, ranges, sampled)
    place = np.array([LEFT_OUT if row in left_out else 1000 - row for row in range(10)], np.int64)
    table = pa.Table.from_pylist([dict(zip(postings.SCHEMA.names, row, strict=True)) for row in sorted(found)], postings.SCHEMA)
    got: dict[int, list[tuple[int, int]]] = {}
    every = range(layout.kind("addresses").stop)
    for start in range(0, max(len(found), 1), size):
        for partition, part in postings.split(table.slice(start, size), layout, every, place):
            assert part.schema == bands.SCHEMA
            assert part.num_rows
            got.setdefault(partition, []).extend(zip(part["hash"].to_pylist(), part["document"].to_pylist(), strict=True))
    wanted: dict[int, list[tuple[int, int]]] = {}
    for index, value, row in sorted(found):
        width = sampled if index == 4 else ranges
        first = {3: 3 * ranges, 4: 4 * ranges, 5: 4 * ranges + sampled}.get(index, index * ranges)
        if row not in left_out:
            wanted.setdefault(first + ((value >> 32) * width >> 32), []).append((value, 1000 - row))
    assert got == wanted
    asked = set(list(every)[::3])
    assert {partition for partition, _ in postings.split(table, layout, asked, place)} == asked & set(wanted)
