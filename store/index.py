"""The frozen indexes of a snapshot: (hash, location) sorted by hash, delta-encoded, in files of one hash range each; and the
postings that they are made of.

A file's name carries its range (and its band), and its rows rise by hash, so that a range is found by its row groups'
statistics and read one row group at a time: memory does not grow with the index.
"""

import re
from collections.abc import Collection, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from provenance.schema import BANDS
from store import tables

NAME = re.compile(r"(?:-b(?P<band>\d+))?-r(?P<part>\d+)of(?P<ranges>\d+)\.parquet$")
ROW_GROUP = 131_072
POSTINGS_GROUP = 65_536
OPTIONS: dict[str, Any] = {
    "compression": "none",
    "compression_level": None,
    "use_dictionary": False,
    "column_encoding": {"hash": "DELTA_BINARY_PACKED", "part": "DELTA_BINARY_PACKED", "row": "DELTA_BINARY_PACKED"},
    "row_group": ROW_GROUP,
}
"""Sorted hashes shrink by their differences, and uncompressed pages are read at memory speed."""
POSTINGS_OPTIONS: dict[str, Any] = {
    "compression": "none",
    "compression_level": None,
    "use_dictionary": ["index"],
    "row_group": POSTINGS_GROUP,
}


class Layout(Protocol):
    """What partitions hold: `provenance.postings.Layout`."""

    def of(self, partition: int, /) -> tuple[int, str, int, int]:
        """Number of the index, dataset, hash range and number of ranges."""


def path(prefix: str, dataset: str, band: int, part: int, ranges: int) -> str:
    """Path, below the snapshot, of hash range `part` of `ranges` of a dataset; `band` counts for `bands` only."""
    banded = f"-b{band:03d}" if dataset == "bands" else ""
    return f"{dataset}/{prefix}{banded}-r{part:03d}of{ranges:03d}.parquet"


def write(base: str, name: str, hashes: np.ndarray, documents: np.ndarray) -> dict[str, Any]:
    """Writes rows that are sorted by hash and location; returns the file's line in a manifest."""
    table = pa.table([hashes, (documents >> 32).astype(np.int32), (documents & 0xFFFFFFFF).astype(np.int32)], schema=BANDS)
    return tables.write(base, name, table, BANDS, **OPTIONS)


def stream(
    urls: Iterable[str], dataset: str, band: int, part: int, ranges: int, wanted: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Hashes (uint64) and locations (int64) of a dataset in range `part` of `ranges`, one row group at a time.

    Each pair of arrays is sorted by hash and location, and the pairs of one file follow each other so; another file starts
    anew. `band` counts for `bands` only. Nothing outside the range comes, and of it only hashes in `wanted` (sorted, distinct)
    where that is given: locations, which take three times as long to decode, are then read only beside one of these.
    """
    low, high = bounds(part, ranges)
    for url in urls:
        name = NAME.search(url)
        if name is None or (dataset == "bands" and int(name["band"] or -1) != band):
            continue
        first, last = bounds(int(name["part"]), int(name["ranges"]))
        if first > high or last < low:
            continue
        with tables.opened(url) as parquet:
            for group in range(parquet.metadata.num_row_groups):
                if not _overlaps(parquet.metadata.row_group(group).column(0).statistics, low, high):
                    continue
                hashes = parquet.read_row_group(group, columns=["hash"], use_threads=False)["hash"].to_numpy()
                rows = _between(hashes, low, high) if wanted is None else _among(hashes, wanted)
                if len(rows):
                    table = parquet.read_row_group(group, columns=["part", "row"], use_threads=False)
                    documents = table["part"].to_numpy()[rows].astype(np.int64) << 32 | table["row"].to_numpy()[rows]
                    yield hashes[rows], documents


def _between(hashes: np.ndarray, low: int, high: int) -> np.ndarray:
    """Places of sorted hashes from `low` to `high`."""
    return np.arange(np.searchsorted(hashes, np.uint64(low), "left"), np.searchsorted(hashes, np.uint64(high), "right"))


def _among(hashes: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """Places of sorted hashes that are in `wanted`, which is sorted too."""
    own = wanted[np.searchsorted(wanted, hashes[0], "left") : np.searchsorted(wanted, hashes[-1], "right")]
    low = np.searchsorted(hashes, own, "left")
    there = hashes[low] == own
    low, high = low[there], np.searchsorted(hashes, own[there], "right")
    counts = high - low
    ends = np.cumsum(counts)
    places: np.ndarray = np.arange(counts.sum()) + np.repeat(low - (ends - counts), counts)
    return places


def slices(url: str, layout: Layout, partitions: Collection[int]) -> Iterator[pa.Table]:
    """The row groups of a file of postings that may hold something of some partitions, one at a time.

    More than the partitions may come, and the rows of a partition may come in several.
    """
    wanted: dict[int, list[tuple[int, int]]] = {}
    for partition in partitions:
        number, _, part, ranges = layout.of(partition)
        wanted.setdefault(number, []).append(bounds(part, ranges))
    with tables.opened(url) as parquet:
        for group in range(parquet.metadata.num_row_groups):
            row_group = parquet.metadata.row_group(group)
            numbers, hashes = (row_group.column(column).statistics for column in (0, 1))
            if any(_overlaps(numbers, n, n) and any(_overlaps(hashes, *span) for span in spans) for n, spans in wanted.items()):
                yield parquet.read_row_group(group, use_threads=False)


def bounds(part: int, ranges: int) -> tuple[int, int]:
    """Least and greatest hash of range `part` of `ranges`, whose number is (upper 32 bits x ranges) >> 32."""
    return -(-(part << 32) // ranges) << 32, (-(-((part + 1) << 32) // ranges) << 32) - 1


def _overlaps(statistics: Any, low: int, high: int) -> bool:
    return statistics is None or not statistics.has_min_max or (statistics.min <= high and statistics.max >= low)
