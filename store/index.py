"""The frozen band index: for each band, (hash, location) sorted by hash, delta-encoded, in files of one hash range each.

A file's name carries its band and range, and its rows rise by hash, so that a range is found by its row groups' statistics.
"""

import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from provenance.schema import BANDS
from store import tables

NAME = re.compile(r"-b(\d+)-r(\d+)of(\d+)\.parquet$")
OPTIONS: dict[str, Any] = {
    "compression": "none",
    "compression_level": None,
    "use_dictionary": False,
    "column_encoding": {"hash": "DELTA_BINARY_PACKED", "part": "DELTA_BINARY_PACKED", "row": "DELTA_BINARY_PACKED"},
}
"""Sorted hashes shrink by their differences, and uncompressed pages are read at memory speed."""


def path(prefix: str, band: int, part: int, ranges: int) -> str:
    """Path, below the snapshot, of one band's hash range `part` of `ranges`."""
    return f"bands/{prefix}-b{band:03d}-r{part:03d}of{ranges:03d}.parquet"


def write(base: str, name: str, hashes: np.ndarray, documents: np.ndarray) -> dict[str, Any]:
    """Writes rows that are sorted by hash; returns the file's line in a manifest."""
    table = pa.table([hashes, (documents >> 32).astype(np.int32), (documents & 0xFFFFFFFF).astype(np.int32)], schema=BANDS)
    return tables.write(base, name, table, BANDS, **OPTIONS)


def read(urls: list[str], band: int, part: int, ranges: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Hashes and locations of one band whose hashes may lie in range `part` of `ranges`, each pair sorted by hash.

    More than the range may come; the join takes only equal hashes, so nothing is found twice across ranges.
    """
    low, high = _bounds(part, ranges)
    for url in urls:
        name = NAME.search(url)
        if name is None or int(name[1]) != band:
            continue
        first, last = _bounds(int(name[2]), int(name[3]))
        if first > high or last < low:
            continue
        with tables.opened(url) as parquet:
            groups = [
                g
                for g in range(parquet.metadata.num_row_groups)
                if _overlaps(parquet.metadata.row_group(g).column(0).statistics, low, high)
            ]
            if groups:
                table = parquet.read_row_groups(groups)
                documents = table["part"].to_numpy().astype(np.int64) << 32 | table["row"].to_numpy()
                yield table["hash"].to_numpy(), documents


def _bounds(part: int, ranges: int) -> tuple[int, int]:
    """Least and greatest hash of range `part`, whose number is the upper 32 bits x ranges >> 32."""
    return -(-(part << 32) // ranges) << 32, (-(-((part + 1) << 32) // ranges) << 32) - 1


def _overlaps(statistics: Any, low: int, high: int) -> bool:
    return statistics is None or not statistics.has_min_max or (statistics.min <= high and statistics.max >= low)
