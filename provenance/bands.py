"""Bands: documents whose signatures agree on all rows of one band are candidates for a copy.

A band's rows become one 64-bit hash that depends on their order and on the band's number, so that hashes of different bands
never meet. What is shuffled are tables of (hash, document), one per band and hash range, as Arrow IPC bytes. A document is
named by its location: number of its documents file << 32 | row in that file, an int64.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import pyarrow as pa

from provenance.kernels import compiled
from provenance.minhash import MinHash

SCHEMA = pa.schema([("hash", pa.uint64()), ("document", pa.int64())])
ROW_BYTES = 16
GOLDEN = np.uint64(0x9E3779B97F4A7C15)  # splitmix64, Steele, Lea and Flood (2014)
MIX_A, MIX_B = np.uint64(0xBF58476D1CE4E5B9), np.uint64(0x94D049BB133111EB)
SHIFT_30, SHIFT_27, SHIFT_31 = np.uint64(30), np.uint64(27), np.uint64(31)
PAIRS = 1 << 18
"""Pairs that a join gives at a time: 4 MB."""


def location(part: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Locations (int64) of documents by file number and row."""
    return np.asarray(part, np.int64) << 32 | np.asarray(row, np.int64)


def _hash_bands(signatures: np.ndarray, bands: np.ndarray, rows: int, out: np.ndarray) -> None:
    for i in range(signatures.shape[0]):
        for j in range(bands.shape[0]):
            h = np.uint64(bands[j] + 1) * GOLDEN
            for place in range(bands[j] * rows, (bands[j] + 1) * rows):
                h ^= np.uint64(signatures[i, place])
                h = (h ^ (h >> SHIFT_30)) * MIX_A
                h = (h ^ (h >> SHIFT_27)) * MIX_B
                h ^= h >> SHIFT_31
            out[i, j] = h


def band_hashes(signatures: np.ndarray, options: MinHash, bands: Sequence[int] | None = None) -> np.ndarray:
    """Hashes (uint64, n x len(bands)) of the named bands, all by default, of signatures (uint32 or uint64, n x permutations).

    Each row of a band is mixed in by splitmix64's finaliser, from (band + 1) x the golden ratio.
    """
    chosen = np.arange(options.bands) if bands is None else np.asarray(bands, np.int64).reshape(-1)
    if len(chosen) and not (chosen.min() >= 0 and chosen.max() < options.bands):
        raise ValueError(f"bands {chosen.tolist()} are asked for and there are {options.bands}; ask for 0 to {options.bands - 1}.")
    if signatures.shape[1] != options.permutations:
        raise ValueError(
            f"signatures of {signatures.shape[1]} minima do not fit minhash.permutations {options.permutations}; their bands"
            " would not be comparable. Use the settings that the signatures were made with."
        )
    out = np.empty((len(signatures), len(chosen)), np.uint64)
    compiled(_hash_bands)(np.ascontiguousarray(signatures), chosen.astype(np.int64), options.rows, out)
    return out


def to_ipc(table: pa.Table) -> bytes:
    """The table as an Arrow IPC stream: a slice does not drag its parent along, as it would when pickled."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue().to_pybytes()


def from_ipc(blobs: Iterable[bytes]) -> pa.Table:
    """One table of `SCHEMA`, sorted by hash and document, of several partial ones: the same for every order in which they arrive."""
    tables = [pa.ipc.open_stream(blob).read_all() for blob in blobs]
    table = pa.concat_tables(tables) if tables else SCHEMA.empty_table()
    hashes, documents = table["hash"].to_numpy(), table["document"].to_numpy()
    order = np.lexsort((documents, hashes))
    return pa.table([hashes[order], documents[order]], schema=SCHEMA)


def join(
    query_hash: np.ndarray, query_document: np.ndarray, index_hash: np.ndarray, index_document: np.ndarray, most: int = PAIRS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """All pairs (query document, index document) of equal hash, each side sorted by hash; never capped.

    They come in the order of the queries, then of the index, at most `most` at a time. A query that lies outside of what the
    index holds costs nothing, so that an index may be given in slices.
    """
    if not len(index_hash):
        return
    first = np.searchsorted(query_hash, index_hash[0], "left")
    last = np.searchsorted(query_hash, index_hash[-1], "right")
    query_hash, query_document = query_hash[first:last], query_document[first:last]
    low = np.searchsorted(index_hash, query_hash, "left")
    found = np.flatnonzero(index_hash[low] == query_hash)
    high = np.searchsorted(index_hash, query_hash[found], "right")
    yield from products(query_document[found], index_document, low[found], high, most)


def products(
    left: np.ndarray, right: np.ndarray, low: np.ndarray, high: np.ndarray, most: int = PAIRS
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Each of `left` with each of right[low:high], in order, at most `most` pairs at a time; one `left` may be cut in pieces."""
    ends = np.cumsum(high - low)
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, total, most):
        number = np.arange(start, min(start + most, total))
        which = np.searchsorted(ends, number, "right")
        yield left[which], right[high[which] - (ends[which] - number)]


def pairs_within(
    hashes: np.ndarray, documents: np.ndarray, limit: int, most: int = PAIRS
) -> tuple[Iterator[tuple[np.ndarray, np.ndarray]], int]:
    """Pairs (later document, earlier document) inside the buckets of equal hash, at most `most` at a time, and how many pairs
    are not among them.

    Each document is paired with the first `limit` that come before it in its bucket by number, so a bucket of n costs at most
    n x limit pairs. Where the numbers are ranks in the order of survival, those first ones are the likeliest to be kept.
    """
    if limit < 1:
        raise ValueError(
            f"the limit of pairs for each document is {limit}; nothing would be compared. Set match.bucket_limit to 1 or more."
        )
    arranged = np.lexsort((documents, hashes))
    hashes, documents = hashes[arranged], documents[arranged]
    number = np.arange(len(hashes))
    opens = np.concatenate([[True], hashes[1:] != hashes[:-1]])[: len(hashes)]
    start = np.maximum.accumulate(np.where(opens, number, 0))
    before = number - start
    count = np.minimum(before, limit)
    some = count > 0
    pairs = products(documents[some], documents, start[some], (start + count)[some], most)
    return pairs, int(before.sum() - count.sum())
