"""The match as stages: exact copies and ranks, then candidates by bands, then every candidate measured on its texts, or
estimated from its sketches where a text is not there.

Documents of the crawl go by their rank in the order of survival (the best attested is 0), so that the first documents
of a bucket are those that are likeliest to stay; documents of a snapshot go by their location (file << 32 | row).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import bands, minhash, schema, similarity
from store import files, index, sql, tables

RANKED = pa.schema(
    [
        ("part", pa.int32()),
        ("row", pa.int64()),
        ("rank", pa.int64()),
        ("key", pa.string()),
        ("first", pa.int64()),
        ("scope", pa.int32()),
        ("reference", pa.string()),
        ("eligible", pa.bool_()),
        ("reference_attestation", pa.string()),
    ]
)
"""Each document's rank, the rank of the first of its identity form, and the snapshot document that it equals, if any."""

PAIRS = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("scope", pa.int32())])
"""Candidates: a crawl document's rank, and a crawl document's rank (scope -1) or a location in snapshot number `scope`."""

LOCATED = pa.schema(
    [*PAIRS, ("left_part", pa.int32()), ("left_row", pa.int64()), ("right_part", pa.int32()), ("right_row", pa.int64())]
)
MEASURED = pa.schema(
    [*PAIRS, ("key", pa.string()), ("other", pa.string()), *similarity.MEASURES, ("duplicate", pa.bool_()), ("exact", pa.bool_())]
)
CRAWL = -1
PAIRS_PER_FILE = 20_000


class RankDocuments:
    """Step, one part: ranks all documents and finds those of equal identity form, in the crawl and in the snapshots."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        con = sql.connect(self.context["folder"])
        sql.view(con, "documents", part["documents"], pa.schema([schema.DOCUMENTS.field(name) for name in COMPARED]), "part")
        self._references(con, part["snapshots"])
        con.execute(f"""
            create table ranked as select part, row, key, content_id, row_number() over (order by {sql.order_of_survival()}) - 1 as rank
            from documents
        """)
        ordered = """
            select part, row, rank, ranked.key, min(rank) over (partition by content_id) as first,
              scope, reference, eligible, reference_attestation
            from ranked left join best using (content_id) order by part, row
        """
        entries, equal = [], 0
        for number, table in sql.by_part(sql.stream(con, ordered), "part", len(part["documents"]), RANKED):
            entries.append(tables.write(self.context["folder"], f"ranked/{number:05d}.parquet", table, RANKED))
            equal += table.num_rows - table["reference"].null_count
        return {"files": entries, "documents": sum(entry["rows"] for entry in entries), "equal": equal}

    @staticmethod
    def _references(con: Any, snapshots: list[dict[str, Any]]) -> None:
        """Table `best`: for each identity form in the snapshots, the document that a copy points to.

        A document is attested as its best leaf says. One whose text was redacted has no identity form.
        """
        held, bound = (pa.schema([kind.field(name) for name in names]) for kind, names in REFERENCE_COLUMNS)
        for number, snapshot in enumerate(snapshots):
            sql.view(con, f"snapshot{number}", snapshot["documents"], held)
            sql.view(con, f"leaves{number}", snapshot["leaves"], bound)
        con.register("nothing", held.empty_table())
        con.register("no_leaf", bound.empty_table())
        rows = ["select 0 as scope, * from nothing", *(f"select {n} as scope, * from snapshot{n}" for n in range(len(snapshots)))]
        con.execute(f"""
            create table held as select * from ({" union all ".join(rows)}) where content_id in (select content_id from documents)
        """)
        best = ["select 0 as scope, * from no_leaf"]
        for n in range(len(snapshots)):
            among = f"key in (select key from held where scope = {n})"
            best.append(f"select {n} as scope, * from ({sql.best_leaves(among, f'leaves{n}')})")
        # A document without a leaf would be a broken snapshot's; its copies go all the same.
        con.execute(f"""
            create table best as
            with proven as ({" union all ".join(best)}),
            standing as (select scope, key, content_id, h.eligible and coalesce(p.eligible, false) as eligible,
                coalesce(p.attestation, h.attestation) as attestation, coalesce(p.date_end, h.date_end) as date_end,
                coalesce(p.payload_digest, h.payload_digest) as payload_digest
              from held h left join proven p using (scope, key))
            select content_id, scope, key as reference, eligible, attestation as reference_attestation from standing
            qualify row_number() over (partition by content_id order by eligible desc, {sql.order_of_survival()}, scope) = 1
        """)


COMPARED = ("key", "content_id", "attestation", "date_end", "payload_digest")
REFERENCE_COLUMNS = (
    (schema.SNAPSHOT_DOCUMENTS, (*COMPARED, "eligible")),
    (schema.LEAVES, ("index", "key", "attestation", "date_end", "payload_digest", "eligible", "redacted")),
)


class FindCandidates:
    """Shuffle step: signatures -> pairs that agree on a band, within the crawl and with each snapshot."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        sections = config.restore(self.context["config"], "curate")
        self.options, self.limit = sections["minhash"], sections["match"].bucket_limit
        self.ranges = self.context["ranges"]

    def split(self, part: dict[str, Any], partitions: frozenset[int]) -> Iterator[tuple[int, bytes]]:
        """Bands of the documents that are the first of their identity form and equal none of a snapshot."""
        ranked = tables.read([part["ranked"]], ["rank", "first", "reference"])
        sketch = tables.read([part["signatures"]], ["signature", "shingles"])
        alone = pc.and_(pc.equal(ranked["rank"], ranked["first"]), pc.is_null(ranked["reference"]))
        ranks = ranked["rank"].to_numpy()[alone.to_numpy()]
        sketch = sketch.filter(alone)
        own = sorted({partition // self.ranges for partition in partitions})
        rows = bands.split(
            ranks, minhash.matrix(sketch["signature"]), sketch["shingles"].to_numpy(), self.options, self.ranges, own
        )
        yield from ((partition, bands.to_ipc(table)) for partition, table in rows if partition in partitions)

    def join(self, partition: int, blobs: Iterable[bytes]) -> dict[str, Any]:
        """Pairs of one band and hash range; those with a snapshot are never capped."""
        table = bands.from_ipc(blobs)
        hashes, ranks = table["hash"].to_numpy(), table["document"].to_numpy()
        later, earlier, skipped = bands.pairs_within(hashes, ranks, self.limit)
        found = [_pairs(later, earlier, CRAWL)]
        band, part = divmod(partition, self.ranges)
        for scope, snapshot in enumerate(self.context["snapshots"]):
            for index_hashes, documents in index.read(snapshot["bands"], band, part, self.ranges):
                found.append(_pairs(*bands.join(hashes, ranks, index_hashes, documents), scope))
        pairs = pa.concat_tables(found).sort_by([("scope", "ascending"), ("left", "ascending"), ("right", "ascending")])
        entry = tables.write(self.context["folder"], f"candidates/{partition:05d}.parquet", pairs, PAIRS)
        return {"files": [entry], "candidates": pairs.num_rows, "not_compared": skipped}


def _pairs(left: np.ndarray, right: np.ndarray, scope: int) -> pa.Table:
    return pa.table([left, right, np.full(len(left), scope, np.int32)], schema=PAIRS)


class PairUp:
    """Step, one part: every candidate pair once, with the places of its texts, in files of one left part each."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        con = sql.connect(self.context["folder"])
        sql.view(con, "candidates", part["candidates"], PAIRS)
        sql.view(con, "ranked", part["ranked"], RANKED)
        located = f"""
            with pairs as (select distinct "left", "right", scope from candidates)
            select p."left", p."right", p.scope, l.part as left_part, l.row as left_row,
              coalesce(r.part, p."right" >> 32)::int as right_part, coalesce(r.row, p."right" & 4294967295) as right_row
            from pairs p join ranked l on l.rank = p."left" left join ranked r on p.scope = {CRAWL} and r.rank = p."right"
            order by left_part, p.scope, right_part, p."left", p."right"
        """
        entries: list[dict[str, Any]] = []
        for number, table in sql.by_part(sql.stream(con, located), "left_part", part["parts"], LOCATED):
            for start in range(0, table.num_rows, PAIRS_PER_FILE):
                piece = table.slice(start, PAIRS_PER_FILE)
                entries.append(
                    tables.write(self.context["folder"], f"pairs/{len(entries):05d}.parquet", piece, LOCATED) | {"part": number}
                )
        return {"files": entries, "pairs": sum(entry["rows"] for entry in entries)}


Ends = list[tuple[np.ndarray, np.ndarray, np.ndarray]]
"""Of both sides of some pairs: scope, file number and row."""


class MeasurePairs:
    """Step: one file of pairs -> their similarity; the only place where texts are read again before the mix.

    It is measured where both texts are there, and estimated from the signatures where one is not, in an index-only snapshot.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        sections = config.restore(self.context["config"], "curate")
        self.options, self.match = sections["minhash"], sections["match"]

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        pairs = tables.read([part["pairs"]])
        columns = {name: pairs[name].to_numpy() for name in LOCATED.names}
        ends: Ends = [
            (np.full(pairs.num_rows, CRAWL), columns["left_part"], columns["left_row"]),
            (columns["scope"], columns["right_part"], columns["right_row"]),
        ]
        texts, (left, right) = self._gather(ends, "documents", ["key", "text"])
        there = texts["text"].is_valid().to_numpy()
        exact = there[left] & there[right]
        found = [similarity.measure(texts["text"], left[exact], right[exact], self.options)]
        duplicate = np.zeros(pairs.num_rows, np.bool_)
        duplicate[exact] = similarity.duplicate(found[0], self.match)
        if not exact.all():
            estimates, duplicate[~exact] = self._estimate([tuple(column[~exact] for column in end) for end in ends])
            found.append(estimates)
        order = np.argsort(np.concatenate([np.flatnonzero(exact), np.flatnonzero(~exact)]))
        measures = pa.Table.from_batches(found).take(pa.array(order))
        keys = texts["key"].combine_chunks()
        result = pa.table(
            [*(pairs[name] for name in PAIRS.names), keys.take(left), keys.take(right), *measures.columns, duplicate, exact],
            schema=MEASURED,
        )
        entry = tables.write(self.context["folder"], f"measured/{part['name']}.parquet", result, MEASURED)
        return {"files": [entry], "pairs": result.num_rows, "duplicates": int(duplicate.sum()), "estimated": int((~exact).sum())}

    def _estimate(self, ends: Ends) -> tuple[pa.RecordBatch, np.ndarray]:
        sketches, places = self._gather(ends, "signatures", ["signature", "shingles"])
        minima, sizes = minhash.matrix(sketches["signature"]), sketches["shingles"].to_numpy()
        left, right = places
        return similarity.estimate(minima[left], minima[right], sizes[left], sizes[right], self.match)

    def _gather(self, ends: Ends, dataset: str, columns: list[str]) -> tuple[pa.Table, list[np.ndarray]]:
        """Columns of all the rows that pairs ask for, each row once, and where in them each end of each pair is."""
        places: dict[tuple[int, int], dict[int, int]] = {}
        for end in ends:
            for scope, number, row in zip(*(column.tolist() for column in end), strict=True):
                places.setdefault((scope, number), {}).setdefault(row, 0)
        found, base = [], 0
        for (scope, number), rows in places.items():
            urls = (self.context if scope == CRAWL else self.context["snapshots"][scope])[dataset]
            wanted = sorted(rows)
            found.append(tables.take(urls[number], wanted, columns))
            rows.update({row: base + i for i, row in enumerate(wanted)})
            base += len(wanted)
        where = [
            np.array([places[s, p][r] for s, p, r in zip(*(column.tolist() for column in end), strict=True)], np.int64)
            for end in ends
        ]
        return pa.concat_tables(found), where


def ranges(documents: int) -> int:
    """Hash ranges of each band, so that a group of the shuffle stays far below 100 MB at 16 bytes a row."""
    return max(1, -(-documents // 1_000_000))


def shuffled(documents: int, options: minhash.MinHash) -> int:
    """Bytes that the bands of so many documents are in a shuffle: a hash and a location for each."""
    return 16 * options.bands * documents


def partitions(options: minhash.MinHash, count: int) -> tuple[int, ...]:
    """All partitions of the shuffle: band x `count` + range."""
    return tuple(range(options.bands * count))


def urls(folder: str, receipts: dict[str, dict[str, Any]], dataset: str) -> list[str]:
    """URLs of the files of one dataset that a stage wrote, in the order of its parts."""
    return [
        files.join(folder, entry["path"])
        for receipt in receipts.values()
        for entry in receipt["files"]
        if entry["path"].startswith(f"{dataset}/")
    ]
