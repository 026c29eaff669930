"""Who comes first, and who equals whom: ranks in the order of survival, and the reference document that an identity form equals.

Documents of the crawl go by their rank (the best attested is 0), so that the first of a bucket are those that are likeliest to
stay; documents of a reference go by their location (file << 32 | row).
"""

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines import indexing
from provenance import bands, schema
from provenance.postings import LEFT_OUT, Layout
from store import index, sql, tables

RANKED = pa.schema(
    [
        ("part", pa.int32()),
        ("row", pa.int64()),
        ("rank", pa.int64()),
        ("key", pa.string()),
        ("form", pa.int64()),
        ("first", pa.int64()),
        ("protected", pa.bool_()),
    ]
)
"""Row-aligned with documents: the document's rank, the rank of the first of its identity form and, where one URL makes documents
duplicates, of the first that has its URL too (else the same), and whether its source is protected. What drops the first drops all
that share form and URL with it; those that share the form alone may have another fate."""

EQUAL = pa.schema(
    [
        ("first", pa.int64()),
        ("scope", pa.int32()),
        ("reference", pa.string()),
        ("eligible", pa.bool_()),
        ("reference_attestation", pa.string()),
    ]
)
"""Sorted by `first`, the rank of the first of an identity form that equals a document of reference number `scope`."""

FOUND = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("scope", pa.int32())])
"""A rank, and a location in reference number `scope` whose content id begins with the same 8 bytes."""

COMPARED = ("key", "content_id", "attestation", "date_end", "payload_digest")
HELD = pa.schema([*FOUND, *(schema.DOCUMENTS.field(name) for name in COMPARED), ("eligible", pa.bool_())])
ADDRESS = "split_part(nullif(url, ''), '#', 1)"
"""What `provenance.postings.address_hash` hashes; documents without an address share none."""
LEAF = ("index", "key", "attestation", "date_end", "payload_digest", "eligible", "redacted")
BATCH = 1 << 16


class RankDocuments:
    """Step, one part: ranks all documents, protected ones first, and finds those of equal identity form and, with `addresses`, URL."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        con = sql.connect(self.context["folder"])
        columns = pa.schema([schema.DOCUMENTS.field(name) for name in (*COMPARED, "file_path", "url")])
        sql.view(con, "documents", part["documents"], columns, "part")
        con.register("guarded", pa.table({"file_path": pa.array(part["protected"], pa.string())}))
        con.execute(f"""
            create table ranked as
            with guard as (select *, file_path in (select file_path from guarded) as protected from documents)
            select part, row, key, content_id, protected, {ADDRESS} as address,
              row_number() over (order by protected desc, {sql.order_of_survival()}) - 1 as rank
            from guard
        """)
        apart = ", address" if part["addresses"] else ""
        ordered = f"""
            select part, row, rank, key, min(rank) over (partition by content_id) as form,
              min(rank) over (partition by content_id{apart}) as first, protected from ranked order by part, row
        """
        entries = [
            tables.write(self.context["folder"], f"ranked/{number:05d}.parquet", table, RANKED)
            for number, table in sql.by_part(sql.stream(con, ordered), "part", len(part["documents"]), RANKED)
        ]
        return {"files": entries, "documents": sum(entry["rows"] for entry in entries)}


def places(ranked: str, apart: np.ndarray | None = None, addresses: bool = False) -> np.ndarray:
    """By row of a file of `RANKED`: the rank of a document that is the first of its identity form and is not among the ranks
    `apart` (sorted), `LEFT_OUT` for all others.

    With `addresses` it is the first of its form and URL, and of the forms `apart` those that are protected, and stay, are there too.
    """
    table = tables.read([ranked], ["rank", "form", "first", "protected"])
    rank, form = (table[name].to_numpy() for name in ("rank", "form"))
    alone = rank == (table["first"].to_numpy() if addresses else form)
    if apart is not None:
        gone = np.isin(form, apart)
        alone &= ~(gone & ~table["protected"].to_numpy() if addresses else gone)
    return np.where(alone, rank, LEFT_OUT)


class FindEqual:
    """Shuffle step over the ids: firsts of their identity form -> locations in the references that may equal them."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        self.layout = Layout(*self.context["layout"])

    def split(self, part: dict[str, Any], partitions: frozenset[int]) -> Iterator[tuple[int, bytes]]:
        yield from indexing.shuffled(part["postings"], self.layout, partitions, places(part["ranked"]))

    def join(self, partition: int, blobs: Iterable[bytes]) -> dict[str, Any]:
        table = bands.from_ipc(blobs)
        hashes, ranks = table["hash"].to_numpy(), table["document"].to_numpy()
        place = self.layout.of(partition)
        touched: dict[str, list[int]] = {}
        with tables.Writer(self.context["folder"], f"equal/{partition:05d}.parquet", FOUND) as writer:
            for scope, reference in enumerate(self.context["references"]):
                numbers: set[int] = set()
                for known, documents in index.stream(reference["ids"], "ids", 0, place.part, place.ranges, np.unique(hashes)):
                    for left, right in bands.join(hashes, ranks, known, documents):
                        writer.write(pa.table([left, right, np.full(len(left), scope, np.int32)], schema=FOUND))
                        numbers.update(np.unique(right >> 32).tolist())
                touched |= {str(scope): sorted(numbers)} if numbers else {}
        return {"files": [writer.entry] if writer.rows else [], "found": writer.rows, "touched": touched}


class RelateDocuments:
    """Step, one part: of the reference documents that an identity form equals, the one that its copies point to.

    It is the first by: eligible, the order of survival, the number of the reference. A document of a snapshot is attested as its
    best leaf says; one of an earlier run is never eligible.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        con = sql.connect(self.context["folder"])
        sql.view(con, "found", part["found"], FOUND)
        con.register("no_rows", HELD.empty_table())
        con.execute("create table held as select * from no_rows")
        found = sql.stream(con.cursor(), 'select * from found order by scope, "right", "left"', BATCH)
        sql.insert(con, "held", self._held(found))
        sql.view(con, "documents", part["documents"], pa.schema([schema.DOCUMENTS.field("content_id")]), "part")
        sql.view(con, "ranked", part["ranked"], RANKED)
        con.execute("""
            create table own as select rank as "left", content_id from ranked join documents using (part, row)
            where rank in (select "left" from held)
        """)
        chosen = self._chosen(con)
        with tables.Writer(self.context["folder"], "equal.parquet", EQUAL) as writer:
            for batch in sql.stream(con, chosen):
                writer.write(batch)
        return {"files": [writer.entry], "equal": writer.rows}

    def _held(self, found: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """What is compared of the reference documents that were found; only row groups that hold one are read."""
        for batch in found:
            table = pa.Table.from_batches([batch])
            groups = table["scope"].to_numpy().astype(np.int64) << 32 | table["right"].to_numpy() >> 32
            edges = np.flatnonzero(np.concatenate([[True], groups[1:] != groups[:-1], [True]]))
            for start, stop in zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True):
                some = table.slice(start, stop - start)
                reference = self.context["references"][some["scope"][0].as_py()]
                eligible = reference["kind"] == "snapshot"
                names = [*COMPARED, "eligible"] if eligible else list(COMPARED)
                locations = some["right"].to_numpy()
                rows = tables.take(reference["documents"][int(locations[0] >> 32)], (locations & 0xFFFFFFFF).tolist(), names)
                if not eligible:
                    rows = rows.append_column("eligible", pa.repeat(False, rows.num_rows))
                yield from pa.table([*some.columns, *rows.columns], schema=HELD).combine_chunks().to_batches()

    def _chosen(self, con: Any) -> str:
        """The statement that gives `EQUAL`.

        A document without a leaf would be a broken snapshot's; its copies go all the same.
        """
        bound = pa.schema([schema.LEAVES.field(name) for name in LEAF])
        con.register("no_leaf", bound.empty_table())
        best = ["select 0 as scope, * from no_leaf"]
        scopes = {scope for (scope,) in con.execute("select distinct scope from held").fetchall()}
        for n, reference in enumerate(self.context["references"]):
            if n in scopes and reference["kind"] == "snapshot":
                sql.view(con, f"leaves{n}", reference["leaves"], bound)
                among = f"key in (select key from held where scope = {n})"
                best.append(f"select {n} as scope, * from ({sql.best_leaves(among, f'leaves{n}')})")
        return f"""
            with proven as ({" union all ".join(best)}),
            standing as (select h."left" as first, scope, key, h.eligible and coalesce(p.eligible, false) as eligible,
                coalesce(p.attestation, h.attestation) as attestation, coalesce(p.date_end, h.date_end) as date_end,
                coalesce(p.payload_digest, h.payload_digest) as payload_digest
              from held h join own using ("left", content_id) left join proven p using (scope, key))
            select first, scope::int as scope, key as reference, eligible, attestation as reference_attestation from standing
            qualify row_number() over (partition by first order by eligible desc, {sql.order_of_survival()}, scope) = 1
            order by first
        """
