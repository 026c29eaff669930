"""The frozen indexes give back what went in, by dataset, band and hash range, one row group at a time."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance import bands, postings
from store import files, index, tables

GOLDEN_PREFIX = "00001-b12345678901"
"""A prefix that ends like a band's number."""


def made(count: int, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hashes = np.sort(rng.integers(0, 2**64, count, np.uint64, endpoint=False))
    hashes[0], hashes[-1] = 0, 2**64 - 1
    return hashes, bands.location(rng.integers(0, 5, count), rng.integers(0, 2**31, count))


def write(
    base: Path, hashes: np.ndarray, documents: np.ndarray, ranges: int, dataset: str = "bands", prefix: str = "x"
) -> list[str]:
    """One file for each range, of band 3 where the dataset has bands."""
    urls = []
    for part in range(ranges):
        low, high = index.bounds(part, ranges)
        inside = (hashes >= np.uint64(low)) & (hashes <= np.uint64(high))
        entry = index.write(str(base), index.path(prefix, dataset, 3, part, ranges), hashes[inside], documents[inside])
        assert entry["rows"] == inside.sum()
        urls.append(files.join(str(base), entry["path"]))
    return urls


@pytest.mark.parametrize("dataset", ["bands", "ids", "samples"])
@pytest.mark.parametrize(("frozen", "asked"), [(1, 1), (1, 3), (4, 1), (3, 2), (2, 7)])
def test_every_row_comes_once_whatever_the_ranges(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str, frozen: int, asked: int
) -> None:
    monkeypatch.setitem(index.OPTIONS, "row_group", 1000)
    hashes, documents = made(30_000)
    urls = write(tmp_path, hashes, documents, frozen, dataset, GOLDEN_PREFIX)
    found = []
    for part in range(asked):
        low, high = index.bounds(part, asked)
        for read, located in index.stream(urls, dataset, 3, part, asked):
            assert low <= read[0] <= read[-1] <= high
            assert len(read) <= 1000
            found += zip(read.tolist(), located.tolist(), strict=True)
    assert found == list(zip(hashes.tolist(), documents.tolist(), strict=True))


@pytest.mark.parametrize("ranges", [1, 2, 3, 7, 1000])
def test_ranges_are_those_of_the_postings(ranges: int) -> None:
    assert [index.bounds(part, ranges) for part in range(ranges)] == [postings.bounds(part, ranges) for part in range(ranges)]


def test_other_bands_are_not_read(tmp_path: Path) -> None:
    urls = write(tmp_path, np.array([1], np.uint64), np.array([7]), 1)
    assert list(index.stream(urls, "bands", 2, 0, 1)) == []
    assert [d.tolist() for _, d in index.stream(urls, "bands", 3, 0, 1)] == [[7]]


def test_names_say_what_the_files_hold() -> None:
    assert index.path("p", "bands", 3, 7, 1200) == "bands/p-b003-r007of1200.parquet"
    assert index.path("p", "ids", 25, 0, 1) == "ids/p-r000of001.parquet"
    assert index.path("p", "samples", 26, 61, 62) == "samples/p-r061of062.parquet"


def test_a_range_reads_only_the_row_groups_that_may_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes, documents = made(300_000)
    urls = write(tmp_path, hashes, documents, 1)
    assert pq.ParquetFile(urls[0]).num_row_groups == 3
    read = []
    one = pq.ParquetFile.read_row_group
    monkeypatch.setattr(pq.ParquetFile, "read_row_group", lambda self, group, **o: read.append(group) or one(self, group, **o))
    assert sum(len(found) for found, _ in index.stream(urls, "bands", 3, 8, 10)) == pytest.approx(30_000, rel=0.1)
    assert sorted(set(read)) == [1, 2]


def test_of_wanted_hashes_alone_the_locations_are_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes, documents = made(300_000)
    urls = write(tmp_path, hashes, documents, 1)
    read = []
    one = pq.ParquetFile.read_row_group
    monkeypatch.setattr(
        pq.ParquetFile, "read_row_group", lambda self, group, **o: read.append((group, *o["columns"])) or one(self, group, **o)
    )
    wanted = np.unique(np.array([*hashes[[5, 140_000, 140_001]], hashes[7] + np.uint64(1)], np.uint64))
    found = [
        pair for some in index.stream(urls, "bands", 3, 0, 1, wanted) for pair in zip(*(a.tolist() for a in some), strict=True)
    ]
    there = np.isin(hashes, wanted)
    assert found == list(zip(hashes[there].tolist(), documents[there].tolist(), strict=True)) and len(found) >= 3
    assert [group for group, *columns in read if "row" in columns] == [0, 1]
    assert [group for group, *columns in read if columns == ["hash"]] == [0, 1, 2]
    assert list(index.stream(urls, "bands", 3, 0, 1, np.zeros(0, np.uint64))) == []


def test_sorted_hashes_are_stored_by_their_differences(tmp_path: Path) -> None:
    hashes, documents = made(200_000)
    entry = index.write(str(tmp_path), index.path("x", "bands", 0, 0, 1), hashes, documents)
    parquet = pq.ParquetFile(tmp_path / entry["path"])
    columns = [parquet.metadata.row_group(0).column(i) for i in range(3)]
    assert {(column.compression, column.encodings) for column in columns} == {("UNCOMPRESSED", ("RLE", "DELTA_BINARY_PACKED"))}
    assert entry["size"] < 12 * len(hashes)


LAYOUT = postings.Layout(2, 4, 8)


def posted(base: Path, counts: tuple[int, ...], groups: int = 100) -> tuple[str, pa.Table]:
    """A file of postings with so many in each index, in row groups of one index each."""
    rng = np.random.default_rng(3)
    with tables.Writer(
        str(base), "postings/p.parquet", postings.SCHEMA, **index.POSTINGS_OPTIONS | {"row_group": groups}
    ) as writer:
        some = []
        for number, count in enumerate(counts):
            hashes = np.sort(rng.integers(0, 2**64, count, np.uint64))
            columns = [np.full(count, number, np.uint16), hashes, rng.integers(0, 50, count).astype(np.int32)]
            some.append(pa.table(columns, schema=postings.SCHEMA))
            writer.write(some[-1])
    return files.join(str(base), "postings/p.parquet"), pa.concat_tables(some)


def test_slices_bring_all_that_partitions_hold_and_little_more(tmp_path: Path) -> None:
    url, whole = posted(tmp_path, (1000, 1000, 1000, 2500))
    place = np.arange(50)
    every = range(LAYOUT.kind("addresses").stop)
    for asked in ([0], [5], [7, 8], [12, 19], [13], list(every), [23], []):
        expected = {partition: table.to_pydict() for partition, table in postings.split(whole, LAYOUT, asked, place)}
        found: dict[int, dict[str, list[int]]] = {}
        read = 0
        for table in index.slices(url, LAYOUT, asked):
            read += table.num_rows
            for partition, part in postings.split(table, LAYOUT, asked, place):
                for name, values in part.to_pydict().items():
                    found.setdefault(partition, {"hash": [], "document": []})[name] += values
        assert found == expected
        held = sum(len(part["hash"]) for part in expected.values())
        assert read <= held + 200 * len(asked)
