"""Candidates for a copy: documents that share a bucket, within the crawl and with each reference, and every pair once.

Documents of the crawl go by their rank, documents of a reference by their location, as `pipelines.ranking` says.
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import indexing
from pipelines.ranking import EQUAL, RANKED, places
from provenance import bands, hot, minhash
from provenance.postings import Layout, Place
from store import index, integrity, sql, tables
from store.manifest import Opened

PAIRS = pa.schema(
    [
        ("left", pa.int64()),
        ("right", pa.int64()),
        ("scope", pa.int32()),
        ("samples", pa.int32()),
        ("address", pa.bool_()),
    ]
)
"""The rank of a crawl document, and the rank of an earlier one (scope -1) or a location in reference number `scope`; how many sampled
shingles that both have the row stands for, 0 where the pair is a candidate without; whether both have one address."""

LOCATED = pa.schema(
    [*PAIRS, ("left_part", pa.int32()), ("left_row", pa.int64()), ("right_part", pa.int32()), ("right_row", pa.int64())]
)
CRAWL = -1
SHARED = 2
"""Sampled shingles that make a candidate: one alone is often a phrase."""
PAIRS_PER_FILE = 20_000
GATHERED = 1 << 20
"""Pairs that are held before they are written: about 32 MB."""
ROW_GROUP = 1 << 17
"""Rows of a row group of pairs."""
SKETCHES = 1 << 16
"""Signatures of the crawl's side of a hot bucket that are held: 32 MB of 128 minima each. The other side comes from one row group."""


class FindCandidates:
    """Shuffle step: postings -> pairs that share a band, a sampled shingle or an address.

    Only documents that are the first of their identity form and equal none of a reference take part, by their address those that are
    the first of their form at it, as `pipelines.ranking.places` says. Within the
    crawl each is compared with `match.bucket_limit` of a bucket at most; with a reference by bands with all, by a sampled shingle with
    `match.common` at most. What is left out is counted.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        self.match = config.restore(self.context["config"], "curate")["match"]
        self.layout = Layout(*self.context["layout"])
        equal = [self.context["equal"]] if self.context["equal"] else []
        self.equal = tables.read(equal, ["first"], EQUAL)["first"].to_numpy()
        self._whole: set[tuple[int, int]] = set()

    def split(self, part: dict[str, Any], partitions: frozenset[int]) -> Iterator[tuple[int, bytes]]:
        at_addresses = partitions & frozenset(self.layout.kind("addresses"))
        for some, addresses in ((partitions - at_addresses, False), (at_addresses, True)):
            if some:
                yield from indexing.shuffled(part["postings"], self.layout, some, places(part["ranked"], self.equal, addresses))

    def join(self, partition: int, blobs: Iterable[bytes]) -> dict[str, Any]:
        table = bands.from_ipc(blobs)
        hashes, ranks = table["hash"].to_numpy(), table["document"].to_numpy()
        place = self.layout.of(partition)
        not_compared = left_out = 0
        path = f"candidates/{partition:05d}.parquet"
        with tables.Writer(self.context["folder"], path, PAIRS, row_group=ROW_GROUP) as writer:
            if place.dataset != "samples":
                pairs, not_compared = bands.pairs_within(hashes, ranks, self.match.bucket_limit)
                for later, earlier in pairs:
                    writer.write(_pairs(later, earlier, CRAWL, address=place.dataset == "addresses"))
            if place.dataset != "addresses" and len(hashes):
                left_out = self._with_references(place, hashes, ranks, writer)
        found = {"not_compared": not_compared, "samples_not_compared": left_out, "rows": writer.rows}
        return {"files": [writer.entry] if writer.rows else [], **found}

    def _with_references(self, place: Place, hashes: np.ndarray, ranks: np.ndarray, writer: tables.Writer) -> int:
        """Writes the pairs of a partition with each reference; returns how many were left out."""
        sampled, left_out = place.dataset == "samples", 0
        for scope, reference in enumerate(self.context["references"]):
            buckets = _Buckets(hashes, ranks, self.match.common if sampled else None)
            gathered = _Gathered(writer, scope, sampled, alone=place.ranges == 1)
            where = (place.dataset, place.number, place.part, place.ranges)
            for known, documents in index.stream(reference[place.dataset], *where, buckets.hashes):
                for left, right, samples in self._against(scope, buckets, known, documents):
                    gathered.add(left, right, samples)
            gathered.close()
            left_out += buckets.left_out
        return left_out

    def _against(
        self, scope: int, buckets: "_Buckets", known: np.ndarray, documents: np.ndarray
    ) -> Iterator[tuple[np.ndarray, np.ndarray, int]]:
        """Pairs (rank, location) with a slice of a reference's index, and for how many sampled shingles each stands.

        The signatures of a bucket's crawl documents lie all over the crawl's files, and to read some costs as much as to read all: a
        bucket is reduced only where it has more pairs than the crawl has documents.
        """
        found = buckets.meet(known)
        if buckets.limit is not None:
            # However full the bucket is: signatures must not silence sampled shingles (`measuring.SPEAKING`).
            yield from ((left, right, 1) for left, right in found.pairs(np.ones(len(found.products), np.bool_), documents))
            return
        crowded = found.products > max(hot.PRODUCT, self.context["documents"])
        yield from ((left, right, 0) for left, right in found.pairs(~crowded, documents))
        for bucket in np.flatnonzero(crowded).tolist():
            yield from ((left, right, 0) for left, right in self._reduced(scope, *found.sides(bucket, documents)))

    def _reduced(self, scope: int, ranks: np.ndarray, locations: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """What is left of a hot product; one reference document stands for all of equal signatures."""
        rights = self._sketches(scope, locations)
        own = hot.one_of_each(rights)
        rights, locations = hot.Side(*(column[own] for column in rights)), locations[own]
        for start in range(0, len(ranks), SKETCHES):
            some = ranks[start : start + SKETCHES]
            for left, right in hot.reduced(self._sketches(CRAWL, self._located(some)), rights, self.match):
                yield some[left], locations[right]

    def _located(self, ranks: np.ndarray) -> np.ndarray:
        """Locations of crawl documents by rank, in their order; the ranks rise."""
        where = np.empty(len(ranks), np.int64)
        for number, url in enumerate(self.context["ranked"]):
            own = tables.read([url], ["rank"])["rank"].to_numpy()
            rows = np.flatnonzero(np.isin(own, ranks))
            where[np.searchsorted(ranks, own[rows])] = bands.location(np.full(len(rows), number), rows)
        return where

    def _sketches(self, scope: int, locations: np.ndarray) -> hot.Side:
        """Signatures and sizes of documents, in the order of their locations. Raises `CheckFailed` where a reference's file is not
        what its manifest lists."""
        parts, minima, sizes = locations >> 32, [], []
        urls = self.context["signatures"] if scope == CRAWL else self.context["references"][scope]["signatures"]
        order = np.argsort(locations, kind="stable")
        for part in np.unique(parts).tolist():
            if scope != CRAWL:
                self._require(scope, part)
            rows = locations[order][parts[order] == part] & 0xFFFFFFFF
            table = tables.take(urls[part], rows, ["signature", "shingles"])
            minima.append(minhash.matrix(table["signature"]))
            sizes.append(table["shingles"].to_numpy())
        back = np.argsort(order, kind="stable")
        return hot.Side(np.concatenate(minima)[back], np.concatenate(sizes)[back])

    def _require(self, scope: int, part: int) -> None:
        """Once for each file while the step lives: what was whole in an earlier run of this process may not be any more."""
        signed = self.context["signed"][scope]
        if signed is not None and (scope, part) not in self._whole:
            entry = dict(zip(("path", "sha256", "size"), signed["files"][part], strict=True))
            integrity.require_entries(Opened(signed["url"], signed["id"], {"kind": "snapshot"}), [entry])
            self._whole.add((scope, part))


def _pairs(left: np.ndarray, right: np.ndarray, scope: int, samples: np.ndarray | None = None, address: bool = False) -> pa.Table:
    count = len(left)
    shared = np.zeros(count, np.int32) if samples is None else samples
    return pa.table([left, right, np.full(count, scope, np.int32), shared, np.full(count, address)], schema=PAIRS)


class _Met:
    """Buckets of the crawl that a slice of an index has too: their numbers, and where in the slice they begin and end."""

    def __init__(self, buckets: "_Buckets", which: np.ndarray, low: np.ndarray, high: np.ndarray):
        self._ranks, self._starts, self._counts = buckets.ranks, buckets.starts[which], buckets.counts[which]
        self._low, self._high = low, high
        self.products = self._counts * (high - low)

    def sides(self, bucket: int, documents: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Ranks and locations of one bucket, both rising."""
        start = self._starts[bucket]
        return self._ranks[start : start + self._counts[bucket]], documents[self._low[bucket] : self._high[bucket]]

    def pairs(self, some: np.ndarray, documents: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """All pairs (rank, location) of some of the buckets (bool), in order, a bounded number at a time."""
        counts = self._counts[some]
        ends = np.cumsum(counts)
        ranks = self._ranks[np.arange(counts.sum()) + np.repeat(self._starts[some] - ends + counts, counts)]
        yield from bands.products(ranks, documents, np.repeat(self._low[some], counts), np.repeat(self._high[some], counts))


class _Buckets:
    """A partition's documents by hash, and how many of a reference each bucket has met, where that has a `limit`."""

    def __init__(self, hashes: np.ndarray, ranks: np.ndarray, limit: int | None):
        self.ranks, self.limit, self.left_out = ranks, limit, 0
        self.starts = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]]))
        self.counts = np.diff(np.append(self.starts, len(hashes)))
        self.hashes = hashes[self.starts]
        self._taken = np.zeros(len(self.starts), np.int64)

    def meet(self, known: np.ndarray) -> _Met:
        """The buckets whose hash is in a slice of an index (sorted, not empty), each with what the limit still allows."""
        first, last = int(np.searchsorted(self.hashes, known[0], "left")), int(np.searchsorted(self.hashes, known[-1], "right"))
        own = self.hashes[first:last]
        low = np.searchsorted(known, own, "left")
        found = np.flatnonzero(known[low] == own)
        which, low, high = first + found, low[found], np.searchsorted(known, own[found], "right")
        if self.limit is not None:
            allowed = np.minimum(high - low, self.limit - self._taken[which])
            self.left_out += int(((high - low - allowed) * self.counts[which]).sum())
            self._taken[which] += allowed
            high = low + allowed
        return _Met(self, which, low, high)


class _Gathered:
    """Pairs with one reference on their way to a file; what several sampled shingles say of one pair becomes one row.

    `alone` says that no other partition has samples of these documents: then pairs that share too few are not written.
    """

    def __init__(self, writer: tables.Writer, scope: int, sampled: bool, alone: bool):
        self._writer, self._scope, self._sampled, self._alone = writer, scope, sampled, alone
        self._held: list[pa.Table] = []
        self._rows, self._cut = 0, False

    def add(self, left: np.ndarray, right: np.ndarray, samples: int) -> None:
        self._held.append(_pairs(left, right, self._scope, np.full(len(left), samples, np.int32)))
        self._rows += len(left)
        if self._rows >= GATHERED:
            self._cut = True
            self._write(whole=False)

    def close(self) -> None:
        self._write(whole=not self._cut)

    def _write(self, whole: bool) -> None:
        if not self._held:
            return
        table = pa.concat_tables(self._held)
        if self._sampled:
            summed = table.group_by(["left", "right"], use_threads=False).aggregate([("samples", "sum")])
            if whole and self._alone:
                summed = summed.filter(pc.greater_equal(summed["samples_sum"], SHARED))
            left, right, samples = (summed[name].to_numpy() for name in ("left", "right", "samples_sum"))
            table = _pairs(left, right, self._scope, samples.astype(np.int32))
        self._writer.write(table)
        self._held, self._rows = [], 0


LAST = "select form, max(rank) as last from ranked where rank = first and rank <> form group by form"
"""The last of the documents of one form that have fates of their own."""


class PairUp:
    """Step, one part: every candidate pair once, with the places of its documents, in files of `PAIRS_PER_FILE` at most.

    Where the text of the earlier document comes once more after the later one, the pair is there the other way round too: which of
    two texts comes first matters to whether one that lies inside the other is its duplicate.
    Pairs that share one sampled shingle and nothing else are none. Sorted by where their documents are, so that a file of pairs
    asks for few files of documents. The receipt says which files of references (`touched`, numbers by scope) they ask for.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        con = sql.connect(self.context["folder"])
        sql.view(con, "candidates", part["candidates"], PAIRS)
        sql.view(con, "ranked", part["ranked"], RANKED)
        located = f"""
            with turned as (select a.last as "left", c."left" as "right", c.scope, 0::int as samples, false as address
              from candidates c join ({LAST}) a on a.form = c."right" and c.scope = {CRAWL} and a.last > c."left"),
            pairs as (select "left", "right", scope, sum(samples)::int as samples, bool_or(address) as address
              from (select * from candidates union all select * from turned)
              group by "left", "right", scope having min(samples) = 0 or sum(samples) >= {SHARED})
            select p."left", p."right", p.scope, p.samples, p.address, l.part as left_part, l.row as left_row,
              coalesce(r.part, p."right" >> 32)::int as right_part, coalesce(r.row, p."right" & 4294967295) as right_row
            from pairs p join ranked l on l.rank = p."left" left join ranked r on p.scope = {CRAWL} and r.rank = p."right"
            order by left_part, p.scope, right_part, p."left", p."right"
        """
        entries: list[dict[str, Any]] = []
        touched: dict[str, set[int]] = {}
        for piece in sql.runs(sql.stream(con, located), PAIRS_PER_FILE):
            table = pa.Table.from_batches([batch.cast(LOCATED) for batch in piece], LOCATED)
            if not table.num_rows:
                break
            entries.append(tables.write(self.context["folder"], f"pairs/{len(entries):05d}.parquet", table, LOCATED))
            scopes, parts = table["scope"].to_numpy(), table["right_part"].to_numpy()
            for scope in np.unique(scopes[scopes != CRAWL]).tolist():
                touched.setdefault(str(scope), set()).update(np.unique(parts[scopes == scope]).tolist())
        return {
            "files": entries,
            "pairs": sum(entry["rows"] for entry in entries),
            "touched": {scope: sorted(numbers) for scope, numbers in touched.items()},
        }
