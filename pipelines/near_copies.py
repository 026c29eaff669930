"""Near copies inside a snapshot: which of its documents are so alike that a mix that takes one repeats the other.

Candidates are what the snapshot's own index proposes, documents that share the hash of a band; the stored signatures decide, and no
text is read. Documents are taken in the order of survival. Each joins the first leader that it is alike to, or becomes a leader; so a
cluster is a document and those that are alike to it, nothing is joined through a chain, and each document is in one cluster at
most. What has equal texts (content ids) is alike too, even where it has no shingles.

The buckets of the index stay on disk, in a database that spills and in mapped files; held are some tens of bytes for each document
that shares a bucket with another.
"""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines import references
from provenance import minhash
from provenance.kernels import compiled
from provenance.postings import ROWS
from provenance.schema import SNAPSHOT_DOCUMENTS
from provenance.similarity import Match, threshold
from store import files, index, sql, tables
from store.errors import CheckFailed
from store.manifest import Opened

if TYPE_CHECKING:
    import duckdb

CLUSTERS = pa.schema([("key", pa.string()), ("cluster", pa.string())])
"""A document that has near copies, or is one, and the first document of its cluster; clusters and their documents in the order of survival."""

LEADERS = 128
"""Leaders of one bucket that a document is compared with: those that survive first. A template that fills a bucket with thousands of unlike
documents costs so many comparisons each; near copies share most of 25 bands, and one that is not full finds them."""

BUCKETS = pa.schema([("bucket", pa.int64()), ("document", pa.int64())])
_READ = ("key", "content_id", "attestation", "date_end", "payload_digest")
_BATCH = 1 << 16


def clusters(frozen: Opened, scratch: str) -> pa.Table:
    """The near copies of a snapshot, as `CLUSTERS`: documents in clusters of two or more.

    Two documents are alike where the share of equal minima in their signatures reaches the similarity of a duplicate that `match` has by
    default. Redacted documents are in no cluster. `scratch` is where the database may spill. Raises `CheckFailed` where
    signatures or bands are not what the manifest lists.
    """
    references.require(frozen, ("signatures", "bands"))
    _check_aligned(frozen)
    # A folder of its own: another database may be spilling beside it.
    own = files.join(scratch, "near_copies")
    with contextlib.closing(sql.connect(own)) as con, tempfile.TemporaryDirectory(dir=_local(own)) as folder:
        sure = _gather(con, frozen)
        return _named(con, _led(con, frozen, sure, folder))


def _local(scratch: str) -> str | None:
    """The folder of a URL where it is on this machine, which is made; None, for the machine's own, where it is not."""
    if not files.is_local(scratch):
        return None
    path = files.split_url(scratch)[1]
    os.makedirs(path, exist_ok=True)
    return path


def _check_aligned(frozen: Opened) -> None:
    """Raises `CheckFailed` unless each documents file has its signatures. A snapshot without any shows equal texts only."""
    documents, signatures = ([entry["rows"] for entry in frozen.entries(name)] for name in ("documents", "signatures"))
    if documents != signatures and (signatures or frozen.entries("bands")):
        raise CheckFailed(
            f"snapshot {frozen.id} has {len(documents)} files of documents and {len(signatures)} of signatures, which are not of the same "
            "rows; near copies would be looked for among other documents. Restore the snapshot, or freeze it anew."
        )


def _gather(con: "duckdb.DuckDBPyConnection", frozen: Opened) -> int:
    """Makes the tables `buckets`, of documents that share something, and `ranked`, of these documents in the order of survival;
    returns the number of the first bucket of equal texts."""
    sql.view(con, "documents", frozen.files("documents"), pa.schema([SNAPSHOT_DOCUMENTS.field(name) for name in _READ]), "part")
    con.register("no_buckets", BUCKETS.empty_table())
    con.execute("create table buckets as select * from no_buckets")
    shared = _Shared(frozen)
    sql.insert(con, "buckets", shared.buckets())
    con.execute(f"""
        insert into buckets select {shared.count} + dense_rank() over (order by content_id) - 1, (part::bigint << 32) | row from documents
        where content_id in (select content_id from documents group by content_id having count(*) > 1);
        create table ranked as select row_number() over (order by {sql.order_of_survival()}) - 1 as rank, document, key
        from (select *, (part::bigint << 32) | row as document from documents)
        where document in (select document from buckets)
    """)
    return shared.count


class _Shared:
    """The buckets of a snapshot's bands that several documents share, numbered as they come; `count` is how many there were."""

    def __init__(self, frozen: Opened):
        self.urls = frozen.files("bands")
        self.ranges = max(1, -(-sum(entry["rows"] for entry in frozen.entries("documents")) // ROWS))
        self.count = 0

    def buckets(self) -> Iterator[pa.RecordBatch]:
        numbers = sorted({int(name["band"]) for name in map(index.NAME.search, self.urls) if name and name["band"]})
        for band in numbers:
            for part in range(self.ranges):
                # Versions of a snapshot have files of their own, so that a bucket may lie in several.
                slices = list(index.stream(self.urls, "bands", band, part, self.ranges))
                if slices:
                    yield self._batch(*(np.concatenate(column) for column in zip(*slices, strict=True)))

    def _batch(self, hashes: np.ndarray, documents: np.ndarray) -> pa.RecordBatch:
        order = np.argsort(hashes, kind="stable")
        hashes, documents = hashes[order], documents[order]
        same = hashes[1:] == hashes[:-1]
        shared = np.concatenate([[False], same]) | np.concatenate([same, [False]])
        opens = shared & ~np.concatenate([[False], same])
        numbers = self.count + np.cumsum(opens)[shared] - 1
        self.count += int(opens.sum())
        return pa.record_batch([numbers, documents[shared]], schema=BUCKETS)


class _State(NamedTuple):
    """What the pass over the documents holds. By rank: `signatures` (n x permutations, in a mapped file), `leader`, and `checked`, the last
    document that was compared with it. By bucket: where its leaders start in `slots` (rising, in a mapped file) and how many there are."""

    signatures: np.ndarray
    leader: np.ndarray
    checked: np.ndarray
    slots: np.ndarray
    starts: np.ndarray
    filled: np.ndarray


def _led(con: "duckdb.DuckDBPyConnection", frozen: Opened, sure: int, folder: str) -> np.ndarray:
    """The leader of each ranked document (int64, by rank); a leader is its own."""
    found = con.sql("select document, rank from ranked order by document").to_arrow_table()
    sizes = con.sql("select count(*) as size from buckets group by bucket order by bucket").to_arrow_table()["size"].to_numpy()
    starts = np.concatenate([[0], np.cumsum(np.minimum(sizes - 1, LEADERS))]).astype(np.int64)
    state = _State(
        _signatures(frozen, found["document"].to_numpy(), found["rank"].to_numpy(), folder),
        np.arange(found.num_rows, dtype=np.int64),
        np.full(found.num_rows, -1, np.int64),
        _mapped(folder, "slots", (int(starts[-1]),), np.dtype(np.int64)),
        starts,
        np.zeros(len(sizes), np.int64),
    )
    share = threshold("similarity", Match().similarity)
    least = -(-share.numerator * state.signatures.shape[1] // share.denominator)
    rows = sql.stream(con, "select rank, bucket from buckets join ranked using (document) order by rank, bucket")
    for ranks, buckets in _whole(rows):
        compiled(_lead)(ranks, buckets, *state, sure, least)
    return state.leader


def _mapped(folder: str, name: str, shape: tuple[int, ...], kind: np.dtype[Any]) -> np.ndarray:
    """An array in a file of its own; one of no elements, which no file can be, in memory."""
    return np.asarray(np.memmap(os.path.join(folder, name), kind, "w+", shape=shape)) if np.prod(shape) else np.zeros(shape, kind)


def _signatures(frozen: Opened, documents: np.ndarray, ranks: np.ndarray, folder: str) -> np.ndarray:
    """The signatures of some documents (rising) in the order of their ranks, as a mapped array."""
    urls = frozen.files("signatures")
    if not urls:
        return np.zeros((len(ranks), 1), np.uint32)
    with tables.opened(urls[0]) as file:
        kind = file.schema_arrow.field("signature").type
    shape = (len(ranks), kind.list_size)
    made = _mapped(folder, "signatures", shape, np.dtype(kind.value_type.to_pandas_dtype()))
    cuts = np.searchsorted(documents, np.arange(len(urls) + 1, dtype=np.int64) << 32)
    for number, url in enumerate(urls):
        own = slice(int(cuts[number]), int(cuts[number + 1]))
        rows, places = documents[own] & 0xFFFFFFFF, ranks[own]
        with tables.opened(url) as file:
            _copy(file, rows, places, made)
    return made


def _copy(file: pq.ParquetFile, rows: np.ndarray, places: np.ndarray, made: np.ndarray) -> None:
    """Copies the signatures of some rows (rising) of a file to their places."""
    start = 0
    for batch in file.iter_batches(tables.ROW_GROUP, columns=["signature"], use_threads=False) if len(rows) else ():
        low, high = np.searchsorted(rows, [start, start + batch.num_rows])
        if high > low:
            made[places[low:high]] = minhash.matrix(batch.column(0).take(pa.array(rows[low:high] - start)))
        start += batch.num_rows


def _whole(batches: Iterator[pa.RecordBatch]) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Columns of batches that are sorted by the first, cut anew so that no value of it stands in two."""
    held = (np.zeros(0, np.int64), np.zeros(0, np.int64))
    for batch in batches:
        first, second = (np.concatenate(pair) for pair in zip(held, (column.to_numpy() for column in batch.columns), strict=True))
        cut = int(np.searchsorted(first, first[-1], "left")) if len(first) else 0
        held = (first[cut:], second[cut:])
        if cut:
            yield first[:cut], second[:cut]
    if len(held[0]):
        yield held


def _lead(
    ranks: np.ndarray,
    buckets: np.ndarray,
    signatures: np.ndarray,
    leader: np.ndarray,
    checked: np.ndarray,
    slots: np.ndarray,
    starts: np.ndarray,
    filled: np.ndarray,
    sure: int,
    least: int,
) -> None:
    """Finds the leaders of documents (`ranks` rise, with all buckets of each), of which buckets from `sure` on hold equal texts.

    A bucket's leaders rise, so that the first that is alike is its best, and none behind a better one of another bucket counts.
    """
    start = 0
    while start < ranks.shape[0]:
        rank, stop = ranks[start], start
        while stop < ranks.shape[0] and ranks[stop] == rank:
            stop += 1
        best = rank
        for entry in range(start, stop):
            bucket = buckets[entry]
            for slot in range(starts[bucket], starts[bucket] + filled[bucket]):
                other = slots[slot]
                if other >= best:
                    break
                alike = bucket >= sure
                if not alike and checked[other] != rank:
                    checked[other] = rank
                    agree = 0
                    for k in range(signatures.shape[1]):
                        agree += signatures[rank, k] == signatures[other, k]
                    alike = agree >= least
                if alike:
                    best = other
                    break
        leader[rank] = best
        for entry in range(start, stop):
            bucket = buckets[entry]
            if best == rank and starts[bucket] + filled[bucket] < starts[bucket + 1]:
                slots[starts[bucket] + filled[bucket]] = rank
                filled[bucket] += 1
        start = stop


def _named(con: "duckdb.DuckDBPyConnection", leader: np.ndarray) -> pa.Table:
    """`CLUSTERS` of the leader of each rank."""
    members = leader != np.arange(len(leader))
    members[leader[members]] = True
    ranks = np.flatnonzero(members)
    con.register("led", pa.table({"rank": ranks, "leader": leader[ranks]}))
    found = con.sql("""
        select own.key, first.key as cluster from led join ranked own using (rank) join ranked first on first.rank = led.leader
        order by led.leader, led.rank
    """)
    return found.to_arrow_table().cast(CLUSTERS)
