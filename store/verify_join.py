"""What of a snapshot can only be seen by joining its datasets: further witnesses, redactions, documents against leaves.

DuckDB does it, in bounded memory, with what spills in a folder of its own beside no snapshot.
"""

import bisect
import contextlib
import tempfile
from collections.abc import Iterable, Iterator
from itertools import accumulate
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from provenance.schema import ATTESTATIONS, EVIDENCE, INDEXES, LEAVES, SNAPSHOT_DOCUMENTS, TAGS, signatures
from store import files, sql, tables
from store.damage import Fault
from store.manifest import Opened
from store.verify_index import location
from store.verify_rows import REDACTED, STATED

if TYPE_CHECKING:
    import duckdb

KEPT = ("key", "attestation", "eligible", "ineligible_reason", "byte_count", "word_count")
"""Columns of a redacted document that are not null."""

ROWS = pa.schema([("path", pa.int32()), ("row", pa.int64()), *((name, LEAVES.field(name).type) for name in STATED)])


@contextlib.contextmanager
def connected(opened: Opened) -> Iterator["duckdb.DuckDBPyConnection"]:
    """A database with a view `leaves` of the snapshot's."""
    with tempfile.TemporaryDirectory(prefix="lowbackground-verify-") as scratch:
        con = sql.connect(scratch)
        try:
            sql.view(con, "leaves", opened.files("leaves"), LEAVES)
            yield con
        finally:
            con.close()


class Places:
    """Which file and row of a dataset a running number is, by the rows that the manifest lists."""

    def __init__(self, entries: list[dict[str, Any]]):
        self.paths = [entry["path"] for entry in entries]
        self.starts = [0, *accumulate(entry["rows"] or 0 for entry in entries)]

    def __call__(self, number: int) -> tuple[str, int]:
        at = bisect.bisect_right(self.starts, number, 0, len(self.paths)) - 1
        return self.paths[at], number - self.starts[at]


REPEATED = """
    select max("index"), key from leaves where names = '' group by key having count(*) > 1 order by 1 limit 1
"""

FURTHER = """
    select w."index", w.key from (select * from leaves where names is distinct from '' and redacted is null) w
      left join leaves f on f.leaf = w.names
    where f."index" is null or f.names is distinct from '' or f.key is distinct from w.key
      or f."index" >= (select max(start) from extensions where start <= w."index")
      or f.text_sha256 is distinct from w.text_sha256 or f.text_bytes is distinct from w.text_bytes
      or f.eligible is distinct from w.eligible
    order by 1 limit 1
"""

REPEATED_CUSTODIAN = """
    select max("index"), key from leaves join custodians using (witness) group by key, custodian having count(*) > 1 order by 1 limit 1
"""

HALF = """
    select max("index"), key from leaves group by key having count(redacted) not in (0, count(*)) order by 1 limit 1
"""


def leaf_faults(con: "duckdb.DuckDBPyConnection", opened: Opened) -> Iterator[tuple[str, Fault]]:
    """(path, fault) of the first leaf of each kind that only the others show to be wrong."""
    names = sorted((name, str(known["custodian"])) for name, known in opened.manifest["witnesses"].items())
    kind = pa.schema([("witness", pa.string()), ("custodian", pa.string())])
    con.register("custodians", pa.table([[n for n, _ in names], [c for _, c in names]], schema=kind))
    starts = [0, *accumulate(extension["size"] for extension in opened.manifest["tree"]["extensions"])]
    con.register("extensions", pa.table({"start": pa.array(starts, pa.int64())}))
    where = Places(opened.entries("leaves"))
    for statement, why in (
        (REPEATED, "leaf {} is a second first leaf of the document {}"),
        (FURTHER, "leaf {} names no first leaf of an earlier extension of the document {} with the same text and eligibility"),
        (REPEATED_CUSTODIAN, "leaf {} is a second leaf of the document {} on the word of one custodian"),
        (HALF, "leaf {} and another of the document {}: one is redacted and one is not"),
    ):
        for index, key in con.execute(statement).fetchall():
            path, row = where(index)
            yield path, Fault(row, why.format(index, key))


LIFTED = """
    select levels[first], levels[best], count(*), sum(size)::bigint from (
      select $levels as levels, max(list_position($levels, attestation)) filter (where names = '') as first,
        max(list_position($levels, attestation)) as best, bool_and(eligible) as eligible, any_value(text_bytes) as size
      from leaves where redacted is null group by key)
    where eligible and best > first group by all order by all
"""


def lifted(con: "duckdb.DuckDBPyConnection") -> list[tuple[str, str, int, int]]:
    """Eligible documents that a further witness proves at a higher level than their first leaf: both levels, number, bytes."""
    return con.execute(LIFTED, {"levels": list(ATTESTATIONS)}).fetchall()


def disagreements(
    con: "duckdb.DuckDBPyConnection", paths: list[str], rows: Iterable[tuple[str, int, dict[str, pa.Array]]], index_only: bool
) -> dict[str, Fault]:
    """The first row of each file of documents that is not what its first leaf says.

    `rows` are statements (path, number of the first row, columns of `STATED`), or with a column `row` that numbers each.
    """
    numbers = {path: number for number, path in enumerate(paths)}
    con.execute("drop table if exists stated")
    con.register("empty", ROWS.empty_table())
    con.execute("create table stated as select * from empty")
    for path, start, columns in rows:
        count = len(columns["key"])
        place = columns["row"] if "row" in columns else pa.array(range(start, start + count), pa.int64())
        arrays = [pa.repeat(pa.scalar(numbers[path], pa.int32()), count), place, *(columns[name] for name in STATED)]
        con.register("fresh", pa.table([a.cast(f.type) for a, f in zip(arrays, ROWS, strict=True)], schema=ROWS))
        con.execute("insert into stated select * from fresh")
    compared = [name for name in STATED if name != "key" and not (index_only and name == "text_sha256")]
    differing = ", ".join(f"case when s.{name} is distinct from l.{name} then '{name}' end" for name in compared)
    found = con.execute(
        f"""select path, min(row), arg_min(what, row) from (
          select s.path, s.row, if(l.key is null, 'no leaf', concat_ws(', ', {differing})) as what
          from stated s left join (select * from leaves where names = '') l on l.key = s.key) where what <> '' group by 1"""
    ).fetchall()
    con.execute("drop table stated")
    return {
        paths[number]: Fault(row, "it has no leaf" if what == "no leaf" else f"not what its leaf says: {what}")
        for number, row, what in found
    }


def lacking(con: "duckdb.DuckDBPyConnection", opened: Opened) -> str | None:
    """Key of a first leaf without a document, or of a document that stands twice."""
    sql.view(con, "keys", opened.files("documents"), pa.schema([SNAPSHOT_DOCUMENTS.field("key")]))
    found = con.execute(
        "select key from leaves where names = '' and key not in (select key from keys) order by 1 limit 1"
    ).fetchall()
    found = found or con.execute("select key from keys group by 1 having count(*) > 1 order by 1 limit 1").fetchall()
    return found[0][0] if found else None


def redaction_faults(con: "duckdb.DuckDBPyConnection", opened: Opened) -> Iterator[tuple[str, Fault]]:
    """(path, fault) where a redacted document has left something behind, or is one in documents or leaves only."""
    sketched = pa.schema([signatures(1).field(name) for name in ("key", "shingles")])
    kinds = {"documents": SNAPSHOT_DOCUMENTS, "signatures": sketched, "tags": TAGS, "evidence": EVIDENCE}
    for dataset, kind in kinds.items():
        sql.view(con, f"all_{dataset}", opened.files(dataset), kind, "part")
    con.execute("create table gone as select distinct key from leaves where redacted is not null")
    con.execute(
        f"create table erased as select part, row, key from all_documents where starts_with(ineligible_reason, '{REDACTED}')"
    )
    filled = " or ".join(f'd."{name}" is not null' for name in SNAPSHOT_DOCUMENTS.names if name not in KEPT)
    dirty = f"({filled}) or d.eligible or d.byte_count <> 0 or d.word_count <> 0"
    checks = {
        "documents": (
            f"select d.part, d.row from all_documents d join erased using (part, row) where {dirty} or d.key not in (from gone)",
            "it is redacted and still says something, or its leaf is not redacted",
        ),
        "signatures": (
            "select d.part, d.row from all_signatures d join gone using (key) where shingles <> 0",
            "its document is redacted, and its sketch is still there",
        ),
        "tags": (
            "select d.part, d.row from all_tags d join gone using (key) where origin is distinct from 'unknown'",
            "its document is redacted, and its tag is not `unknown`",
        ),
        "evidence": ("select d.part, d.row from all_evidence d join gone using (key)", "evidence of a redacted document"),
    }
    for dataset, (statement, why) in checks.items():
        for part, row in con.execute(f"{statement} order by 1, 2 limit 1").fetchall():
            yield opened.entries(dataset)[part]["path"], Fault(row, why)
    places = con.execute("select part, row from erased").fetchnumpy()
    yield from _indexed(opened, location(places["part"], places["row"]))
    for (key,) in con.execute("select key from gone where key not in (select key from erased) order by 1 limit 1").fetchall():
        place = con.execute('select min("index") from leaves where key = ?', [key]).fetchall()[0][0]
        path, row = Places(opened.entries("leaves"))(place)
        yield path, Fault(row, f"leaf {place} is redacted, and its document {key} is not")


def _indexed(opened: Opened, erased: np.ndarray) -> Iterator[tuple[str, Fault]]:
    """The first row of each file of an index that is of one of some documents, given by location."""
    for entry in (entry for dataset in INDEXES for entry in opened.entries(dataset)):
        start = 0
        for batch in tables.batches(files.join(opened.url, entry["path"]), ["part", "row"]):
            there = np.isin(location(*(column.to_numpy() for column in batch.columns)), erased)
            if there.any():
                at = int(np.argmax(there))
                part, row = (column[at].as_py() for column in batch.columns)
                path = opened.entries("documents")[part]["path"]
                yield entry["path"], Fault(start + at, f"it is of row {row} of {path}, which is redacted")
                break
            start += batch.num_rows
