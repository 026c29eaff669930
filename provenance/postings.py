"""Postings: the hashes by which a document is found, in numbered indexes.

Indexes 0 to bands - 1 are the bands of the signature; `bands` holds content ids, `bands` + 1 sampled shingles and `bands` + 2
addresses. A shingle is sampled where its hash is a multiple of `SAMPLED`, so that two documents sample the same of what they
share (A. Broder, "On the resemblance and containment of documents", 1997, sketches modulo m): one that contains another is
found by it, however much longer it is. A document without shingles is in no band and has no samples, but an id.

The hashes of each index are cut into ranges of equal width, which are the partitions of a shuffle.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from provenance import bands
from provenance.minhash import MinHash

SCHEMA = pa.schema([("index", pa.uint16()), ("hash", pa.uint64()), ("row", pa.int32())])
SAMPLED = 16
"""One in so many shingles is sampled: about 62 of a page of a thousand."""
DATASETS = ("bands", "ids", "samples", "addresses")
ROWS = 1_000_000
"""Rows of a partition at which an index gets a further range: 16 MB as they are shuffled."""
LEFT_OUT = -1


class Place(NamedTuple):
    """What a partition holds: range `part` of `ranges` of the hashes of index `number`, which belongs to a dataset."""

    number: int
    dataset: str
    part: int
    ranges: int


class Layout(NamedTuple):
    """How indexes are cut into partitions: bands first, then ids, then samples, then addresses, each by rising hash."""

    bands: int
    ranges: int
    """Hash ranges of each band, of the ids and of the addresses."""
    sampled: int
    """Hash ranges of the samples."""

    @classmethod
    def sized(cls, options: MinHash, documents: int, samples: int) -> Layout:
        """A layout whose partitions hold `ROWS` rows at most, if hashes are spread evenly."""
        return cls(options.bands, max(1, -(-documents // ROWS)), max(1, -(-samples // ROWS)))

    def kind(self, dataset: str) -> range:
        """Numbers of the partitions of a dataset."""
        counts = {"bands": self.bands * self.ranges, "ids": self.ranges, "samples": self.sampled, "addresses": self.ranges}
        first = sum(counts[name] for name in DATASETS[: DATASETS.index(dataset)])
        return range(first, first + counts[dataset])

    def of(self, partition: int) -> Place:
        """What a partition holds. Raises `ValueError` for a number that the layout does not have."""
        for number, dataset in enumerate(DATASETS):
            kind = self.kind(dataset)
            if partition in kind:
                inside = partition - kind.start
                if dataset == "bands":
                    return Place(inside // self.ranges, dataset, inside % self.ranges, self.ranges)
                return Place(self.bands + number - 1, dataset, inside, len(kind))
        raise ValueError(f"partition {partition} is asked for and the layout has {kind.stop}; ask for 0 to {kind.stop - 1}.")


def bounds(part: int, ranges: int) -> tuple[int, int]:
    """Least and greatest hash of range `part` of `ranges`, whose number is (upper 32 bits x ranges) >> 32."""
    return -(-(part << 32) // ranges) << 32, (-(-((part + 1) << 32) // ranges) << 32) - 1


def id_hashes(content_ids: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """First 8 bytes of each content id (hexadecimal, none null) as big-endian numbers (uint64)."""
    return np.array([int(text[:16], 16) for text in content_ids.to_pylist()], np.uint64)


def address_hash(url: str) -> int:
    """First 8 bytes, big endian, of the SHA-256 of an address without its fragment."""
    return int.from_bytes(hashlib.sha256(url.partition("#")[0].encode()).digest()[:8])


class Postings:
    """Gathers the postings of the documents of one file, batch by batch in the order of their rows.

    Holds 12 bytes a posting, of a band 8. With `addresses` a document is found by its URL too, where it has one.
    """

    def __init__(self, options: MinHash, addresses: bool = False):
        self.options, self.addresses = options, addresses
        self.rows = 0
        self._rows: dict[str, list[np.ndarray]] = {name: [] for name in DATASETS}
        self._hashes: dict[str, list[np.ndarray]] = {name: [] for name in DATASETS}

    def add(
        self,
        signatures: np.ndarray,
        sizes: np.ndarray,
        content_ids: pa.Array | pa.ChunkedArray,
        hashes: np.ndarray | None = None,
        urls: Sequence[str | None] = (),
    ) -> None:
        """Takes documents that follow those taken before.

        `signatures` are minima (n x permutations) of `sizes` distinct shingles each, and `hashes` (uint64) these shingles, one
        document's after the other's, without which there are no samples; `urls` are needed for addresses only.
        """
        rows = np.arange(self.rows, self.rows + len(signatures), dtype=np.int32)
        some = sizes > 0
        self._take("bands", rows[some], bands.band_hashes(signatures[some], self.options))
        self._take("ids", rows, id_hashes(content_ids))
        if hashes is not None:
            own = (hashes & np.uint64(SAMPLED - 1)) == 0
            self._take("samples", np.repeat(rows, sizes)[own], hashes[own])
        if self.addresses:
            known = [(row, address_hash(url)) for row, url in zip(rows.tolist(), urls, strict=True) if url]
            self._take("addresses", *np.array(known, np.uint64).reshape(-1, 2).T)
        self.rows += len(rows)

    def _take(self, dataset: str, rows: np.ndarray, hashes: np.ndarray) -> None:
        self._rows[dataset].append(rows.astype(np.int32))
        self._hashes[dataset].append(hashes)

    @property
    def counts(self) -> dict[str, int]:
        """Postings by dataset."""
        return {name: sum(taken.size for taken in self._hashes[name]) for name in DATASETS}

    def tables(self) -> Iterator[pa.Table]:
        """One table of `SCHEMA` for each index that holds something, in order, sorted by hash and row."""
        for number, dataset in enumerate(DATASETS):
            if not self.counts[dataset]:
                continue
            rows = np.concatenate(self._rows[dataset])
            if dataset == "bands":
                for band in range(self.options.bands):
                    yield _table(band, np.concatenate([taken[:, band] for taken in self._hashes[dataset]]), rows)
            else:
                yield _table(self.options.bands + number - 1, np.concatenate(self._hashes[dataset]), rows)


def _table(index: int, hashes: np.ndarray, rows: np.ndarray) -> pa.Table:
    """Rows rise already, and a stable order by hash leaves them so within a hash."""
    order = np.argsort(hashes, kind="stable")
    return pa.table([np.full(len(rows), index, np.uint16), hashes[order], rows[order]], schema=SCHEMA)


def split(table: pa.Table, layout: Layout, partitions: Collection[int], place: np.ndarray) -> Iterator[tuple[int, pa.Table]]:
    """Partitions and what a sorted table of postings has for them, as `bands.SCHEMA` (hash, document), sorted by hash.

    `place` (int64, by row) names the document of each row, `LEFT_OUT` where it is none. Partitions that get nothing do not appear.
    """
    numbers, hashes, rows = (table[name].to_numpy() for name in SCHEMA.names)
    for partition in sorted(partitions):
        index, _, part, ranges = layout.of(partition)
        start, stop = np.searchsorted(numbers, np.array([index, index + 1], np.int64).astype(numbers.dtype))
        low, high = bounds(part, ranges)
        first = start + np.searchsorted(hashes[start:stop], np.uint64(low), "left")
        last = start + np.searchsorted(hashes[start:stop], np.uint64(high), "right")
        documents = place[rows[first:last]]
        there = documents != LEFT_OUT
        if there.any():
            yield partition, pa.table([hashes[first:last][there], documents[there]], schema=bands.SCHEMA)
