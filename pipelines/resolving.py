"""Who stays: the survivors among measured pairs, spread to exact copies, as joins over files.

Pairs are sorted and joined by DuckDB, which spills, and read in a stream; beside it one bit for each document is held.
"""

import contextlib
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from pipelines import moments
from pipelines.matching import CRAWL
from pipelines.measuring import MEASURED
from pipelines.ranking import EQUAL, RANKED
from provenance import schema
from provenance.survivors import Survivors
from store import files, sql, tables

if TYPE_CHECKING:
    import duckdb

RESOLVED = pa.schema(
    [
        ("key", pa.string()),
        ("canonical", pa.string()),
        ("protected", pa.bool_()),
        ("identical", pa.bool_()),
        ("reference", pa.string()),
        ("reference_attestation", pa.string()),
        ("similarity", pa.float64()),
        ("containment", pa.float64()),
        ("exact", pa.bool_()),
        ("snapshot", pa.string()),
        ("cutoff", schema.TIME),
    ]
)
"""Row-aligned with documents: the kept document that it copies, and its best relation to a snapshot."""

RIVALS = pa.schema(
    [
        *(MEASURED.field(name) for name in ("left", "scope", "other", "similarity", "containment", "contained", "estimate")),
        *(MEASURED.field(name) for name in ("exact", "duplicate")),
        *(pa.field(name, pa.bool_()) for name in ("address", "text", "identical", "held")),
        ("right", pa.int64()),
    ]
)
"""The pair that drops a document, or, where `held`, that would have dropped a protected one: by its `text`, to which it may be
`identical`, or by its `address`. Documents of the same form and URL are dropped by it too."""

REFERENCES = pa.schema(
    [
        ("scope", pa.int32()),
        ("kind", pa.string()),
        ("id", pa.string()),
        ("cutoff", schema.TIME),
        ("index_only", pa.bool_()),
    ]
)

LEAST_RELATION = 0.5
"""Pairs that reach it in similarity or either containment are rows of `matches`; of other candidates, only duplicates are."""

ROWS_PER_FILE = 500_000
"""Rows of a file of `matches`: some 30 MB."""


class ResolveMatches:
    """Step, one part: measured pairs -> `matches`, and for every document what the tag needs to know."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        match = config.restore(self.context["config"], "curate")["match"]
        self.by_address = match.url == "drop"
        pairs = DECIDING_BY_ADDRESS if self.by_address else DECIDING
        self.deciding = pairs.format(near=match.near == "drop", crawl=CRAWL)

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        with contextlib.closing(sql.connect(self.context["folder"])) as con:
            sql.view(con, "ranked", part["ranked"], RANKED)
            sql.view(con, "measured", part["measured"], MEASURED)
            sql.view(con, "equal", [part["equal"]] if part["equal"] else [], EQUAL)
            con.register("referred", self._references())
            rivals = self._rivals(con)
            sql.view(con, "settled", [files.join(self.context["folder"], rivals["path"])], RIVALS)
            con.execute(DECIDED if self.by_address else "create view rivals as from settled")
            con.execute(COPIES)
            con.execute(RELATED)
            matches = self._write_matches(con)
            resolved, dropped = self._write_resolved(con, part["parts"])
            protected = _number(con, PROTECTED_KEPT)
        return {
            "files": [*matches, *resolved, rivals],
            "documents": sum(entry["rows"] for entry in resolved),
            "dropped": dropped,
            "protected_kept": protected,
            "matches": sum(entry["rows"] for entry in matches),
        }

    def _references(self) -> pa.Table:
        rows = [
            {
                "scope": scope,
                "kind": reference["kind"],
                "id": reference["id"],
                "cutoff": moments.instant(reference["cutoff"]) if reference["cutoff"] else None,
                "index_only": reference["index_only"],
            }
            for scope, reference in enumerate(self.context["references"])
        ]
        return pa.Table.from_pylist(rows, schema=REFERENCES)

    def _rivals(self, con: "duckdb.DuckDBPyConnection") -> dict[str, Any]:
        """Writes the pairs that decide, in one pass over the duplicates; returns the file's entry."""
        documents, protected = _number(con, "from ranked"), _number(con, "from ranked where protected")
        if protected and _number(con, "from ranked where protected and rank >= $1", protected):
            raise RuntimeError("documents that are not protected rank before protected ones. Remove the work folder and rerun.")
        several = con.sql(SEVERAL).to_arrow_table()
        state = Survivors(documents, protected, several["form"].to_numpy(), several["rank"].to_numpy())
        with tables.Writer(self.context["folder"], "rivals.parquet", RIVALS) as writer:
            for batch in sql.stream(con, self.deciding):
                left, right, scope = (batch.column(name).to_numpy() for name in ("left", "right", "scope"))
                text = batch.column("text").to_numpy(zero_copy_only=False)
                decide, rivals = state.take(left, right, scope != CRAWL, text)
                deciding = pa.Table.from_batches([batch.take(pa.array(decide))]).drop_columns("right")
                held = pa.array(deciding["left"].to_numpy() < protected)
                writer.write(deciding.append_column("held", held).append_column("right", pa.array(rivals)).select(RIVALS.names))
        return writer.entry

    def _write_matches(self, con: "duckdb.DuckDBPyConnection") -> list[dict[str, Any]]:
        found = MATCHES.format(unmeasured=UNMEASURED if self.by_address else "k.rank <> k.first")
        rows = f"select {', '.join(schema.MATCHES.names)} from ({found}) order by key, other, scope, snapshot"
        entries: list[dict[str, Any]] = []
        for piece in sql.runs(sql.stream(con, rows), ROWS_PER_FILE):
            path = f"matches/{self.context['prefix']}-{len(entries):05d}.parquet"
            with tables.Writer(self.context["folder"], path, schema.MATCHES) as writer:
                for batch in piece:
                    writer.write(batch)
            entries.append(writer.entry)
        return entries

    def _write_resolved(self, con: "duckdb.DuckDBPyConnection", parts: int) -> tuple[list[dict[str, Any]], int]:
        columns = pa.schema([("part", pa.int32()), *RESOLVED])
        rows = sql.stream(con, f"select {', '.join(columns.names)} from ({RELATION}) order by part, row")
        entries, dropped = [], 0
        for number, table in sql.by_part(rows, "part", parts, columns):
            resolved = table.select(RESOLVED.names)
            entries.append(tables.write(self.context["folder"], f"resolved/{number:05d}.parquet", resolved, RESOLVED))
            dropped += table.num_rows - table["canonical"].null_count
        return entries, dropped


def _number(con: "duckdb.DuckDBPyConnection", source: str, *values: Any) -> int:
    """How many rows there are."""
    return int(con.execute(f"select count(*) {source}", list(values)).fetchall()[0][0])


DECIDING = """
    select "left", "right", scope, other, similarity, containment, contained, estimate, exact, duplicate, address, alike as text,
      false as identical
    from measured where duplicate and ({near} or not alike or address)
    order by "left", scope < 0, alike desc, similarity desc, case when scope < 0 then "right" end, other, scope
"""
"""Pairs that may drop a document: of each, those with a reference first, then those by which it is a copy, then the most
similar, then the one whose other document comes first in the order of survival."""

DECIDING_BY_ADDRESS = """
    with apart as (select rank, form from ranked where rank = first and form not in (select first from equal)),
    spread as (
      select f.rank as "left", case when scope < 0 then r.form else m."right" end as "right", scope, other, similarity, containment, contained,
        estimate, exact, duplicate, false as address, true as text, false as identical
      from measured m join ranked l on l.rank = m."left" left join ranked r on scope < 0 and r.rank = m."right"
        join apart f on f.form = l.form and (scope >= 0 or r.form < f.rank)
      where duplicate and alike and {near}
    ),
    pairs as (
      select * from spread
      union all
      select "left", "right", scope, other, similarity, containment, contained, estimate, exact, duplicate, true, false, false
      from measured where duplicate and address
      union all
      select rank, form, {crawl}, null, 1.0, 1.0, 1.0, null, true, true, false, true, true from apart where rank <> form
    )
    select * from pairs
    order by "left", scope < 0, identical desc, text desc, similarity desc, case when scope < 0 then "right" end, other, scope, exact, address
"""
"""Where documents of one text may have fates of their own: what two texts have in common holds for each of their documents, so that
their pairs name the text of the other side; each is a copy of its own text too, and pairs of one URL are of these two documents alone."""

SEVERAL = """
    select form, rank from ranked where rank = first and form in (select form from ranked where rank = first and rank <> form)
    order by form, rank
"""
"""Texts whose documents have fates of their own, and these."""

DECIDED = """
    create view rivals as
    select r.* replace (coalesce(o.key, r.other) as other)
    from settled r left join ranked o on r.text and r.scope < 0 and o.rank = r."right"
"""
"""The pairs that decide, with the key of the document that stands for the text that they name."""

COPIES = """
    create view copies as
    with stay as (
      select c.form, min(c.rank) as rank from ranked c left join rivals r on r."left" = c.rank and not r.held
      where c.rank = c.first and r."left" is null and c.form in (select form from ranked where rank = first and rank <> form) group by c.form
    )
    select c.rank, c.key, o.key as original
    from ranked c left join stay s on s.form = c.form and s.rank < c.rank join ranked o on o.rank = coalesce(s.rank, c.form)
    where c.rank <> c.form and c.form not in (select first from equal)
"""
"""Documents that equal an earlier one of the crawl, and which: the first of their identity form that is kept, and where none is that
comes before them, the first."""

RELATED = """
    create view related as
    select m."left", m.other, m.similarity, m.containment, m.exact, s.id from measured m join referred s on s.scope = m.scope
    where s.kind = 'snapshot'
    qualify row_number() over (partition by m."left" order by m.similarity desc, m.containment desc, m.other, m.scope) = 1
"""
"""The most similar document of a snapshot."""

MATCHES = f"""
    select key, other, similarity, containment, contained, estimate, exact, false as identical, address, coalesce(kind, 'crawl') as scope,
      id as snapshot, duplicate
    from measured m left join referred s on s.scope = m.scope
    where duplicate or greatest(similarity, containment, contained) >= {LEAST_RELATION}
    union all
    select k.key, r.other, r.similarity, r.containment, r.contained, r.estimate, r.exact, false, r.address, coalesce(s.kind, 'crawl'), s.id, r.duplicate
    from ranked k join rivals r on r."left" = k.first and not r.identical and (k.rank = k.first or not r.held)
    left join referred s on s.scope = r.scope
    where {{unmeasured}}
    union all
    select key, original, 1.0, 1.0, 1.0, null, true, true, false, 'crawl', null, true from copies
    union all
    select k.key, e.reference, 1.0, 1.0, 1.0, null, not s.index_only, true, false, s.kind, s.id, true
    from ranked k join equal e on e.first = k.form join referred s on s.scope = e.scope
"""
"""Measured pairs; those of exact copies with what they were dropped for, since equal texts are as similar; and equal ones,
which against an index-only snapshot are equal by their digest alone."""

UNMEASURED = """
    not exists (select 1 from measured m where m."left" = k.rank and m.scope = r.scope and m.other = r.other)
"""
"""Pairs that decide by what two other documents of the same texts have in common. Where texts have one fate, their firsts are measured."""

RELATION = """
    select k.part, k.row, k.key, k.protected,
      case when k.protected then null when e.first is not null then e.reference when r.identical then c.original
        when r."left" is not null then r.other when k.rank <> k.first then c.original end as canonical,
      coalesce(s.id is not null and e.eligible, false) as identical,
      if(s.id is not null, e.reference, b.other) as reference,
      if(s.id is not null, e.reference_attestation, null) as reference_attestation,
      if(s.id is not null, 1.0, b.similarity) as similarity,
      if(s.id is not null, 1.0, b.containment) as containment,
      if(s.id is not null, not s.index_only, b.exact) as exact,
      if(s.id is not null, s.id, b.id) as snapshot,
      if(s.id is not null, s.cutoff, (select min(cutoff) from referred)) as cutoff
    from ranked k left join equal e on e.first = k.form left join referred s on s.scope = e.scope and s.kind = 'snapshot'
    left join rivals r on r."left" = k.first and not r.held left join copies c on c.rank = k.rank
    left join related b on b."left" = k.form
"""
"""RESOLVED of all documents. An earlier run certifies nothing: what equals one of its documents has no relation to a snapshot."""

PROTECTED_KEPT = """
    from ranked k left join rivals r on r."left" = k.rank where k.protected
      and (k.rank <> k.first or r.held or k.form in (select first from equal))
"""
"""Protected documents that would have been dropped."""


def resolved_url(folder: str, number: int) -> str:
    return files.join(folder, "resolved", f"{number:05d}.parquet")
