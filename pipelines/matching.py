"""The match as stages: exact copies and ranks, then candidates by bands, then every candidate measured on its texts.

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
MEASURED = pa.schema([*PAIRS, ("key", pa.string()), ("other", pa.string()), *similarity.MEASURES, ("duplicate", pa.bool_())])
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
        for number, table in _by_part(sql.stream(con, ordered), "part", len(part["documents"]), RANKED):
            entries.append(tables.write(self.context["folder"], f"ranked/{number:05d}.parquet", table, RANKED))
            equal += table.num_rows - table["reference"].null_count
        return {"files": entries, "documents": sum(entry["rows"] for entry in entries), "equal": equal}

    @staticmethod
    def _references(con: Any, snapshots: list[dict[str, Any]]) -> None:
        """Table `best`: for each identity form in the snapshots, the document that a copy points to."""
        fields = pa.schema([schema.SNAPSHOT_DOCUMENTS.field(name) for name in REFERENCED])
        for number, snapshot in enumerate(snapshots):
            sql.view(con, f"snapshot{number}", snapshot["documents"], fields)
        union = " union all ".join(f"select {n} as scope, * from snapshot{n}" for n in range(len(snapshots)))
        if not snapshots:
            con.register("none", fields.empty_table())
            union = "select 0 as scope, * from none"
        con.execute(f"""
            create table best as select content_id, scope, key as reference, eligible, attestation as reference_attestation from ({union})
            where content_id in (select content_id from documents)
            qualify row_number() over (partition by content_id order by eligible desc, {sql.order_of_survival()}, scope) = 1
        """)


COMPARED = ("key", "content_id", "attestation", "date_end", "payload_digest")
REFERENCED = ("key", "content_id", "attestation", "date_end", "payload_digest", "eligible")


def _by_part(batches: Iterable[pa.RecordBatch], column: str, parts: int, kind: pa.Schema) -> Iterator[tuple[int, pa.Table]]:
    """Cuts rows that are sorted by their part into one table for each part, empty ones included."""
    waiting: list[pa.Table] = []
    number = 0
    for batch in batches:
        table = pa.Table.from_batches([batch]).cast(kind)
        while table.num_rows:
            same = int(np.searchsorted(table[column].to_numpy(), number, "right"))
            waiting.append(table.slice(0, same))
            if same == table.num_rows:
                break
            yield number, pa.concat_tables(waiting)
            waiting, table, number = [], table.slice(same), number + 1
    while number < parts:
        yield number, pa.concat_tables(waiting) if waiting else kind.empty_table()
        waiting, number = [], number + 1


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
        for number, table in _by_part(sql.stream(con, located), "left_part", part["parts"], LOCATED):
            for start in range(0, table.num_rows, PAIRS_PER_FILE):
                piece = table.slice(start, PAIRS_PER_FILE)
                entries.append(
                    tables.write(self.context["folder"], f"pairs/{len(entries):05d}.parquet", piece, LOCATED) | {"part": number}
                )
        return {"files": entries, "pairs": sum(entry["rows"] for entry in entries)}


class MeasurePairs:
    """Step: one file of pairs -> their measured similarity; the only place where texts are read again before the mix."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        sections = config.restore(self.context["config"], "curate")
        self.options, self.match = sections["minhash"], sections["match"]

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        pairs = tables.read([part["pairs"]])
        columns = {name: pairs[name].to_numpy() for name in LOCATED.names}
        places: dict[tuple[int, int], dict[int, int]] = {}
        sides = [
            (np.full(pairs.num_rows, CRAWL), columns["left_part"], columns["left_row"]),
            (columns["scope"], columns["right_part"], columns["right_row"]),
        ]
        for scopes, parts, rows in sides:
            for scope, number, row in zip(scopes.tolist(), parts.tolist(), rows.tolist(), strict=True):
                places.setdefault((scope, number), {}).setdefault(row, 0)
        texts = self._texts(places)
        left, right = (
            np.array([places[s, p][r] for s, p, r in zip(a.tolist(), b.tolist(), c.tolist(), strict=True)], np.int64)
            for a, b, c in sides
        )
        measures = similarity.measure(texts["text"], left, right, self.options)
        keys = texts["key"].combine_chunks()
        duplicate = similarity.duplicate(measures, self.match)
        result = pa.table(
            [*(pairs[name] for name in PAIRS.names), keys.take(left), keys.take(right), *measures.columns, duplicate],
            schema=MEASURED,
        )
        entry = tables.write(self.context["folder"], f"measured/{part['name']}.parquet", result, MEASURED)
        return {"files": [entry], "pairs": result.num_rows, "duplicates": int(duplicate.sum())}

    def _texts(self, places: dict[tuple[int, int], dict[int, int]]) -> pa.Table:
        """Keys and texts of all the rows asked for; notes in `places` where in the result each one is."""
        found, base = [], 0
        for (scope, number), rows in places.items():
            urls = self.context["documents"] if scope == CRAWL else self.context["snapshots"][scope]["documents"]
            wanted = sorted(rows)
            found.append(tables.take(urls[number], wanted, ["key", "text"]))
            rows.update({row: base + i for i, row in enumerate(wanted)})
            base += len(wanted)
        return pa.concat_tables(found)


def ranges(documents: int) -> int:
    """Hash ranges of each band, so that a group of the shuffle stays far below 100 MB at 16 bytes a row."""
    return max(1, -(-documents // 1_000_000))


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
