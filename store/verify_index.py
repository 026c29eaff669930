"""What finds a snapshot's documents, held against them: the indexes `bands`, `ids` and `samples`, and the signatures.

Documents, signatures and indexes lie in different orders. That they say the same is shown as in `store.verify_rows`, by sums
that only equal multisets share, here of words through splitmix64's finaliser under a secret of this process. Ids follow from
the content ids and bands from the signatures, so all of them are held against what they follow from. Signatures and samples follow from texts alone:
of a secret share of the documents they are made again, where the caller gives what makes them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.schema import BANDS
from store.damage import Fault
from store.manifest import Opened
from store.verify_manifest import hash_range, place

if TYPE_CHECKING:
    from store.verify_beside import Aligned

Sketch = Callable[[pa.Array], tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Makes sketches of texts (none null): minima (n x permutations), and the hashes of the distinct shingles of all texts (uint64)
with the offsets of each text's (n + 1)."""

SAMPLED = np.uint64(16)
"""Of the shingles those are in `samples` whose hash is a multiple of this (SPEC section 8)."""

STEP = 16
"""Of so many documents one is sketched again, which nobody can know before, and of a small file as many more as `LEAST` asks for: a
sketch costs ten times what all else of verifying its document does."""
LEAST = 16

GROUP = 1 << 16
_MASK = (1 << 64) - 1
_GOLDEN, _MIX_A, _MIX_B = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
_S30, _S27, _S31, _HALF = np.uint64(30), np.uint64(27), np.uint64(31), np.uint64(32)


def _mixed(words: np.ndarray) -> np.ndarray:
    """Splitmix64's finaliser (Steele, Lea and Flood, 2014) of each word."""
    words = (words ^ (words >> _S30)) * _MIX_A
    words = (words ^ (words >> _S27)) * _MIX_B
    return words ^ (words >> _S31)


def location(part: int | np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Number of the documents file << 32 | row, as uint64."""
    return np.asarray(part, np.uint64) << _HALF | rows.astype(np.uint64)


def band_hashes(minima: np.ndarray, rows: int, bands: Iterable[int]) -> Iterable[np.ndarray]:
    """The hash (uint64, n) of each of some bands of signatures (n x permutations), as SPEC section 8 gives it."""
    for band in bands:
        words = np.full(len(minima), (band + 1) * int(_GOLDEN) & _MASK, np.uint64)
        for at in range(band * rows, (band + 1) * rows):
            words = _mixed(words ^ minima[:, at].astype(np.uint64))
        yield words


def matrix(signature: pa.Array) -> np.ndarray:
    """A column of signatures as (n, permutations). Raises `ValueError` where a minimum is null."""
    flat = signature.flatten()
    width = signature.type.list_size
    if signature.null_count or flat.null_count or len(flat) != len(signature) * width:
        raise ValueError("a signature has no value")
    return flat.to_numpy().reshape(-1, width)


def id_hashes(content_ids: pa.Array) -> np.ndarray:
    """The first 8 bytes, big endian, of each content id (uint64)."""
    return np.frombuffer(bytes.fromhex("".join([text[:16] for text in content_ids.to_pylist()])), ">u8").astype(np.uint64)


@dataclass
class IndexRows:
    """What one file of an index says: rows, and their keyed sum."""

    dataset: str
    band: int
    rows: int = 0
    total: int = 0
    fault: Fault | None = None


@dataclass
class SketchRows:
    """What one file of signatures, or the texts of one file of documents, give: the keyed sum of each band, and that of the drawn
    documents' signatures."""

    count: int = 0
    bands: list[int] = field(default_factory=list)
    drawn: int = 0


@dataclass
class FoundRows:
    """By what the documents of one file are found: number and keyed sum of their ids, and what the drawn texts' sketches sum up to."""

    count: int = 0
    ids: int = 0
    signatures: int = 0
    samples: int = 0


class Index:
    """What reading the files of one snapshot gathers; safe to use from several threads."""

    def __init__(self, opened: Opened, secret: bytes, sketch: Sketch | None = None):
        entries = opened.entries("documents")
        self.paths = [entry["path"] for entry in entries]
        self.rows = np.array([entry["rows"] for entry in entries], np.int64)
        self.number = {path: number for number, path in enumerate(self.paths)}
        self.sketch = None if opened.index_only else sketch
        self.minhash: dict[str, Any] = opened.manifest["parameters"]["minhash"]
        extensions = [found.extension if (found := place(path)) else -1 for path in self.paths]
        self._versions = np.array(extensions, np.int64)
        self._keys = np.frombuffer(secret, np.uint64)
        self._steps = np.clip(self.rows // LEAST, 1, STEP).astype(np.uint64)
        self._lock = threading.Lock()
        self.found: dict[int, FoundRows] = {}
        self.aligned: dict[int, Aligned] = {}
        """What the files of signatures gave, by documents file, as `found` is of documents."""
        self.files: dict[str, IndexRows] = {}
        """What the files of indexes gave, by path."""
        self._starts = np.concatenate([[0], np.cumsum(self.rows)])
        self._seen = np.zeros(0, np.bool_)
        self.drawn = np.zeros(len(entries), np.uint64)
        """Keyed sums of the samples of the drawn documents, by documents file."""

    def sampled(self, part: int) -> np.ndarray:
        """Which documents of a file have a sample (boolean, by row)."""
        if not len(self._seen):
            return np.zeros(self.rows[part], np.bool_)
        return self._seen[self._starts[part] : self._starts[part + 1]]

    def keyed(self, locations: np.ndarray, values: np.ndarray) -> np.ndarray:
        """A word (uint64) for each document and value, that who does not know the secret cannot foretell."""
        return self._keyed(self._placed(locations), values)

    def _placed(self, locations: np.ndarray) -> np.ndarray:
        return _mixed(_mixed(locations ^ self._keys[0]) + self._keys[1])

    def _keyed(self, placed: np.ndarray, values: np.ndarray) -> np.ndarray:
        return _mixed((placed ^ values) + self._keys[2])

    def sum(self, locations: np.ndarray, values: np.ndarray) -> int:
        """The sum, modulo 2**64, of the words of some documents and values."""
        return int(self.keyed(locations, values).sum(dtype=np.uint64))

    def samples(self, hashes: np.ndarray) -> np.ndarray:
        """Which shingles are sampled (boolean, n)."""
        return np.asarray(hashes % SAMPLED == 0)

    def draws(self, parts: np.ndarray, locations: np.ndarray) -> np.ndarray:
        """Which documents are sketched again (boolean, n)."""
        if self.sketch is None:
            return np.zeros(len(locations), np.bool_)
        return np.asarray(_mixed(locations ^ self._keys[3]) % self._steps[parts] == 0)

    def read(self, path: str, parquet: pq.ParquetFile) -> IndexRows:
        """Goes through a file of an index, up to the first row that is wrong by itself: sorted by hash and location, all of its range,
        its band and its version's documents. Row groups that say other bounds than theirs are wrong too: a reader would pass over them."""
        named = hash_range(path)
        if named is None:
            raise ValueError("its name does not say which range it holds")
        found, before = self.files.setdefault(path, IndexRows(named.dataset, named.band)), None
        own = np.flatnonzero(self._versions == named.extension)
        edges = (int(own[0]), int(own[-1])) if len(own) else (0, -1)
        for group in range(parquet.metadata.num_row_groups):
            statistics, ends = parquet.metadata.row_group(group).column(0).statistics, []
            start = found.rows
            for batch in parquet.iter_batches(GROUP, row_groups=[group], columns=BANDS.names, use_threads=False):
                hashes, parts, places = (batch.column(name).to_numpy() for name in BANDS.names)
                if not len(hashes):
                    continue
                found.fault = self._wrong(hashes, parts, places, named, edges, before, found.rows)
                if found.fault is not None:
                    return found
                self._gather(found, hashes, parts.astype(np.int64), places)
                before = hashes[-1], parts[-1], places[-1]
                ends += [int(hashes[0]), int(hashes[-1])]
                found.rows += len(hashes)
            if (
                ends
                and statistics is not None
                and statistics.has_min_max
                and (statistics.min, statistics.max) != (ends[0], ends[-1])
            ):
                found.fault = Fault(
                    start, "its row group says other least and greatest hashes than it has, and readers pass over it by them"
                )
                return found
        return found

    def _wrong(
        self, hashes: np.ndarray, parts: np.ndarray, places: np.ndarray, named: Any, edges: tuple[int, int], before: Any, start: int
    ) -> Fault | None:
        """The first wrong row of some, of which the one before them is `before` and the first has the number `start`."""
        inside = (parts >= edges[0]) & (parts <= edges[1])
        inside[inside] = (places[inside] >= 0) & (places[inside] < self.rows[parts[inside]])
        low, high = named.bounds
        ranged = (hashes >= np.uint64(low)) & (hashes <= np.uint64(high))
        located = parts.astype(np.int64) << 32 | places.astype(np.int64) & 0xFFFFFFFF
        rising = np.ones(len(hashes), np.bool_)
        rising[1:] = (hashes[1:] > hashes[:-1]) | ((hashes[1:] == hashes[:-1]) & (located[1:] > located[:-1]))
        if before is not None:
            rising[0] = (int(hashes[0]), int(parts[0]), int(places[0])) > tuple(map(int, before))
        checks = [
            (inside, "no document of its version stands where it says"),
            (ranged, "its hash is not of the range that the file's name says"),
            (rising, "it is not after the row before by hash, part and row"),
        ]
        if named.dataset == "samples":
            checks.append(
                (hashes % SAMPLED == 0, f"its hash is no multiple of {SAMPLED}, so that its shingle is none of the sampled")
            )
        faults = [Fault(start + int(np.argmin(right)), why) for right, why in checks if not right.all()]
        return min(faults, key=lambda fault: fault.row or 0, default=None)

    def _gather(self, found: IndexRows, hashes: np.ndarray, parts: np.ndarray, places: np.ndarray) -> None:
        locations = location(parts, places)
        if found.dataset != "samples":
            found.total = (found.total + self.sum(locations, hashes)) & _MASK
            return
        with self._lock:
            if not len(self._seen):
                self._seen = np.zeros(self._starts[-1], np.bool_)
        self._seen[self._starts[parts] + places] = True
        drawn = self.draws(parts, locations)
        words = self.keyed(locations[drawn], hashes[drawn])
        with self._lock:
            np.add.at(self.drawn, parts[drawn], words)

    def signatures(self, part: int, start: int, minima: np.ndarray, shingles: np.ndarray, found: SketchRows) -> Fault | None:
        """Adds rows of a file of signatures, the first of the number `start`; the first of them that says something of no shingles."""
        some = shingles > 0
        empty = some | (minima == np.iinfo(minima.dtype).max).all(axis=1)
        if not empty.all():
            return Fault(
                start + int(np.argmin(empty)), "it has no shingles, or its document is redacted, and its sketch is still there"
            )
        locations = location(part, np.arange(start, start + len(minima)))
        bands = band_hashes(minima[some], self.minhash["rows"], range(self.minhash["bands"]))
        placed = self._placed(locations[some])
        sums = [int(self._keyed(placed, hashes).sum(dtype=np.uint64)) for hashes in bands]
        found.bands = [(a + b) & _MASK for a, b in zip(found.bands or [0] * len(sums), sums, strict=True)]
        found.count += int(some.sum())
        drawn = some & self.draws(np.full(len(locations), part), locations)
        found.drawn = (found.drawn + self.signed(locations[drawn], minima[drawn], shingles[drawn])) & _MASK
        return None

    def signed(self, locations: np.ndarray, minima: np.ndarray, shingles: np.ndarray) -> int:
        """The keyed sum of the signatures of some documents, none of which is without shingles."""
        if not len(locations):
            return 0
        words = np.column_stack([minima.astype(np.uint64), shingles.astype(np.uint64)])
        words += np.arange(words.shape[1], dtype=np.uint64) * _GOLDEN
        return self.sum(locations[:, None], words)

    def documents(self, part: int, start: int, batch: pa.RecordBatch, gone: list[bool]) -> tuple[int, str] | None:
        """Adds rows of a file of documents, the first of the number `start`, but those that are `gone`; the first of them (from 0) that
        has no content id, and that it has none."""
        kept = np.flatnonzero(~np.array(gone, np.bool_))
        content_ids = batch.column("content_id").take(pa.array(kept))
        formed = pc.fill_null(pc.match_substring_regex(content_ids, "^[0-9a-f]{32}$"), False).to_numpy(zero_copy_only=False)
        if not formed.all():
            return int(kept[np.argmin(formed)]), "it has no content_id of 32 hexadecimal digits"
        locations, found = location(part, start + kept), self.found.setdefault(part, FoundRows())
        found.ids = (found.ids + self.sum(locations, id_hashes(content_ids))) & _MASK
        found.count += len(kept)
        drawn = self.draws(np.full(len(kept), part), locations)
        if self.sketch is not None and drawn.any():
            minima, hashes, offsets = self.sketch(batch.column("text").take(pa.array(kept[drawn])))
            sizes = np.diff(offsets)
            some = sizes > 0
            found.signatures = (found.signatures + self.signed(locations[drawn][some], minima[some], sizes[some])) & _MASK
            own = self.samples(hashes)
            found.samples = (found.samples + self.sum(np.repeat(locations[drawn], sizes)[own], hashes[own])) & _MASK
        return None
