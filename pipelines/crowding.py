"""The crowd stage: what only the whole crawl shows, of hosts and of pages that stand in several languages.

Two steps: one reads each part's evidence and says which of its pages score like a machine's, the other joins the parts, over numbers and
hashes and without any text. Pages that share a band of their anchors' sketch, an address without its language or the versions that they
name are candidates for parallel ones; their sketches decide (`provenance.parallel`).
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.stage import Stage, urls
from pipelines.toolbox import evidence_tools
from provenance import bands, combiner, crowd, evidence, minhash, parallel, schema
from provenance.anchors import SKETCH
from provenance.signals import CROWD
from provenance.signals.site import MIN_PAGES, PERCENTILE
from store import sql, tables

if TYPE_CHECKING:
    import duckdb

STANDING = pa.schema([("key", pa.string()), ("language", pa.string()), ("above", pa.bool_())])
"""Row-aligned with documents: whether its score is above `PERCENTILE` of human text, null where it has none or was dropped as a copy."""

POSTINGS = pa.schema(
    [("way", pa.uint8()), ("hash", pa.uint64()), ("document", pa.int64()), ("language", pa.string()), ("named", pa.bool_())]
)
"""By what a page may be found. Documents are numbered through the parts in order."""

EDGES = pa.schema([("left", pa.int64()), ("right", pa.int64()), ("ways", pa.uint8()), ("near", pa.bool_())])
"""A parallel pair, how it was found, and whether both lie on one host."""

SKETCHES = 1 << 14
"""Pairs whose sketches are held at once: 8 MB."""
FIRSTS = 16
"""Pages of each other language that a page is compared with in a bucket: those with the lowest numbers. A bucket of n pages costs at most
n x 16 pairs a language."""

CANDIDATES = """
    create table shared as select way, hash from postings group by way, hash having count(distinct language) > 1;
    create table bucket as select postings.* from postings join shared using (way, hash);
    create table pairs as
    with firsts as (
      select * from bucket qualify row_number() over (partition by way, hash, language order by document) <= {firsts}
    )
    select least(b.document, f.document) as "left", greatest(b.document, f.document) as "right", bit_or(b.way) as ways
    from bucket b join firsts f using (way, hash) where b.language <> f.language and (b.way <> {address} or b.named or f.named)
    group by 1, 2;
    drop table bucket; drop table shared; drop table postings;
    create table wanted as select "left" as document from pairs union select "right" from pairs;
    create table sketched as select document, site, anchors, signature from numbered join wanted using (document);
"""

COMPARED = """
    select p."left", p."right", p.ways, l.anchors as left_anchors, r.anchors as right_anchors, l.signature as left_signature,
      r.signature as right_signature, coalesce(l.site = r.site, false) as near
    from pairs p join sketched l on l.document = p."left" join sketched r on r.document = p."right"
"""

KEPT = f"""
    create table told as select "left" as document from edges where ways <> {parallel.ANCHORS} union
      select "right" from edges where ways <> {parallel.ANCHORS};
    create table kept as select "left", "right", ways from edges where not (near and ways = {parallel.ANCHORS}
      and "left" in (select document from told) and "right" in (select document from told));
    create table members as select document, bit_or(ways) as ways from
      (select "left" as document, ways from kept union all select "right", ways from kept) group by document
"""
"""Of pages of one host whose addresses say which page they are a version of, anchors say nothing more: parts of a manual are alike."""

JOINED = """
    with hosts as (
      select site, count(above) as pages, count(*) filter (where above) as above from numbered join standing using (part, row)
      where site is not null group by site having count(above) >= {least}
    ),
    found as (
      select g.first, list_sort(list(distinct s.language)) as languages, bit_or(m.ways) as ways, count(distinct coalesce(n.site, '')) as hosts
      from members m join grouped g using (document) join numbered n using (document) join standing s using (part, row) group by g.first
    )
    select n.part, s.key, n.site, h.pages as site_pages, h.pages - (s.above is not null)::int as others,
      h.above - coalesce(s.above, false)::int as others_above, f.languages, f.ways, f.hosts
    from numbered n join standing s using (part, row) left join hosts h using (site) left join grouped g using (document)
      left join found f using (first)
    order by n.part, n.row
"""


def run(
    make: Callable[..., Stage],
    do: Callable[[Stage], dict[str, dict[str, Any]]],
    extract: Stage,
    extracted: dict[str, dict[str, Any]],
    columns: Mapping[str, Sequence[Any]],
) -> tuple[Stage, dict[str, dict[str, Any]]]:
    """Does both steps; returns the second stage, whose files are evidence, and its receipts.

    `make` makes a stage and `do` runs it; `columns` are the URLs of the documents, of what the match said of them and of the evidence about
    each part of `extract`.
    """
    parts = [{"name": name} | {of: column[number] for of, column in columns.items()} for number, name in enumerate(extracted)]
    stand = make("stand", "crowding:StandOut", parts)
    standing = urls(stand.folder, do(stand), "standing")
    joined = {"name": "all", "parts": list(extracted), "pages": urls(extract.folder, extracted, "pages"), "standing": standing}
    stage = make("crowd", "crowding:JoinCrowd", [joined])
    return stage, do(stage)


class StandOut:
    """Step: one part's documents and evidence -> which of its pages score like a machine's."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        self.combiner = evidence_tools(models=False).calibration.combiner

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        documents = tables.read([part["documents"]], ["key", "language", "word_count"])
        dropped = pc.is_valid(tables.read([part["resolved"]], ["canonical"])["canonical"])
        above = pa.nulls(documents.num_rows, pa.bool_())
        if self.combiner is not None:
            readings = tables.read(part["evidence"], schema=schema.EVIDENCE)
            scored = combiner.combine(documents, readings, self.combiner)
            above = crowd.above(scored, self.combiner, PERCENTILE)
        above = pc.if_else(dropped, pa.scalar(None, pa.bool_()), above)
        table = pa.table([documents["key"], documents["language"], above], schema=STANDING)
        entry = tables.write(self.context["folder"], f"standing/{part['name']}.parquet", table, STANDING)
        return {"files": [entry], "documents": table.num_rows}


class JoinCrowd:
    """Step, one part: the pages of all parts -> evidence about them, one file a part of the crawl."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        self.tools = evidence_tools(models=False)

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        with contextlib.closing(sql.connect(self.context["folder"])) as con:
            count = self._open(con, part)
            self._find(con, part)
            _group(con, count)
            entries = list(self._write(con, part["parts"]))
        return {"files": [entry for entry, _ in entries], "documents": count, "readings": sum(rows for _, rows in entries)}

    def _open(self, con: "duckdb.DuckDBPyConnection", part: Mapping[str, Any]) -> int:
        """Makes the views `standing` and `numbered`, whose `document` counts through the parts; returns how many there are."""
        sql.view(con, "standing", part["standing"], STANDING, "part")
        sql.view(con, "pages", part["pages"], parallel.PAGES, "part")
        sizes = []
        for url in part["pages"]:
            with tables.opened(url) as parquet:
                sizes.append(parquet.metadata.num_rows)
        self.starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
        con.register("starts", pa.table({"part": np.arange(len(sizes), dtype=np.int32), "start": self.starts[:-1]}))
        con.execute("create view numbered as select p.*, s.start + p.row as document from pages p join starts s using (part)")
        return int(self.starts[-1])

    def _find(self, con: "duckdb.DuckDBPyConnection", part: Mapping[str, Any]) -> None:
        """Makes the tables of candidates and of their sketches."""
        _make(con, "postings", POSTINGS)
        for number, (pages, standing) in enumerate(zip(part["pages"], part["standing"], strict=True)):
            sql.insert(con, "postings", _postings(pages, standing, int(self.starts[number])))
        con.execute(CANDIDATES.format(firsts=FIRSTS, address=parallel.ADDRESS))

    def _write(self, con: "duckdb.DuckDBPyConnection", parts: Sequence[str]) -> Iterator[tuple[dict[str, Any], int]]:
        """Writes the evidence of each part that has some; yields the files' entries and rows."""
        rows = sql.stream(con, JOINED.format(least=MIN_PAGES))
        for number, table in sql.by_part(rows, "part", len(parts), _JOINED):
            ways = [parallel.words(way) if way else None for way in table["ways"].to_pylist()]
            columns = [pa.array(ways, pa.string()) if name == "ways" else table[name] for name in CROWD.names]
            batch = pa.table(columns, names=CROWD.names).cast(CROWD).combine_chunks().to_batches()
            found = evidence.score(batch[0], "crowd", self.tools) if batch else None
            if found is not None and found.num_rows:
                path = f"evidence/crowd-{self.context['prefix']}-{parts[number]}.parquet"
                yield tables.write(self.context["folder"], path, found, schema.EVIDENCE), found.num_rows


_JOINED = pa.schema([("part", pa.int32()), *(pa.field("ways", pa.uint8()) if field.name == "ways" else field for field in CROWD)])


def _make(con: "duckdb.DuckDBPyConnection", name: str, kind: pa.Schema) -> None:
    con.register(f"no_{name}", kind.empty_table())
    con.execute(f"create table {name} as select * from no_{name}")


def _postings(pages: str, standing: str, start: int) -> Iterator[pa.RecordBatch]:
    """`POSTINGS` of the pages of one part, numbered from `start`; pages of no known language have none."""
    languages = tables.read([standing], ["language"])["language"].combine_chunks()
    for batch in tables.batches(pages):
        rows = np.arange(len(batch))
        own = languages.slice(0, len(batch)) if isinstance(languages, pa.Array) else languages.chunk(0).slice(0, len(batch))
        languages = languages.slice(len(batch))
        spoken = own.is_valid().to_numpy(zero_copy_only=False)
        named = batch.column("named")
        enough = rows[spoken & (batch.column("anchors").to_numpy() >= parallel.LEAST)]
        hashes = bands.band_hashes(minhash.matrix(batch.column("signature").take(pa.array(enough))), SKETCH)
        found = [(parallel.ANCHORS, np.repeat(enough, SKETCH.bands), hashes.reshape(-1))]
        for way, name in ((parallel.ADDRESS, "address"), (parallel.ALTERNATES, "alternates")):
            column = batch.column(name)
            there = rows[spoken & column.is_valid().to_numpy(zero_copy_only=False)]
            found.append((way, there, column.take(pa.array(there)).to_numpy(zero_copy_only=False)))
        for way, places, keys in found:
            taken = pa.array(places)
            columns = [np.full(len(places), way, np.uint8), keys, places + start, own.take(taken), named.take(taken)]
            yield pa.record_batch([pa.array(column) for column in columns], schema=POSTINGS)
        start += len(batch)


def _edges(con: "duckdb.DuckDBPyConnection") -> Iterator[pa.RecordBatch]:
    """The candidates that are parallel pairs."""
    for batch in sql.stream(con.cursor(), COMPARED, SKETCHES):
        agree = parallel.equal_minima(batch.column("left_signature"), batch.column("right_signature"))
        left, right, ways = (batch.column(name).to_numpy() for name in ("left_anchors", "right_anchors", "ways"))
        found = parallel.parallel(agree, left, right, ways)
        columns = [batch.column("left"), batch.column("right"), pa.array(found), batch.column("near")]
        yield pa.record_batch(columns, schema=EDGES).filter(pa.array(found > 0))


def _group(con: "duckdb.DuckDBPyConnection", count: int) -> None:
    """Makes the tables `members`, each document with a parallel one and how it was found, and `grouped`, the first of its group."""
    _make(con, "edges", EDGES)
    sql.insert(con, "edges", _edges(con))
    con.execute(KEPT)
    groups = parallel.Groups(count)
    for batch in sql.stream(con, 'select "left", "right" from kept'):
        groups.join(*(column.to_numpy() for column in batch.columns))
    documents = con.sql("select document from members order by document").to_arrow_table()["document"].to_numpy()
    con.register("grouped", pa.table({"document": documents, "first": groups.first()[documents]}))
