"""Where each extracted document stands: what witnesses make of its attestation, and whether the parent snapshot has it already."""

from typing import Any

import pyarrow as pa

from pipelines.corroborating import CAPTURES, WITNESSED
from provenance import schema
from store import sql, tables

CAPTURED = pa.schema(
    [
        *CAPTURES,
        ("attestation", pa.string()),
        ("witness", pa.string()),
        ("date_end", schema.TIME),
        ("payload_digest", pa.string()),
        ("source", pa.string()),
        ("copy", pa.int32()),
    ]
)
"""What the stages after the extraction need of a document beside its row: its witnesses, and the file that it came from."""

STANDING = pa.schema(
    [
        ("part", pa.int32()),
        ("row", pa.int64()),
        ("attestation", pa.string()),
        ("witness", pa.string()),
        ("outcome", pa.string()),
        ("other", pa.string()),
        ("names", pa.string()),
        ("eligible", pa.bool_()),
    ]
)
"""Row-aligned with the extracted documents. `outcome` is null for a new document; `already_present`, `redacted` or
`further_witness` where the parent has it as the document `other`, whose first leaf is `names`."""

_RAISED = """
create table stood as
  select part, row, key, text_sha256, date_end, payload_digest, if(raised, w_level, attestation) as attestation,
    if(raised, w_witness, witness) as witness
  from (select c.*, w.level as w_level, w.witness as w_witness,
          coalesce(list_position($levels, w.level) > list_position($levels, c.attestation), false) as raised
        from captures c left join witnessed w using (key))
"""

_FIRST = """
create table first as select "index", key, text_sha256, leaf, eligible, redacted from leaves where names = '' or redacted is not null
"""

_KNOWN = """
create table known as select distinct key, coalesce(custodian, '') as custodian from leaves left join custodians using (witness)
"""

_OUTCOME = f"""
create table decided as
with same_text as (
    select text_sha256, arg_min(key, "index") as key from first where redacted is null and text_sha256 is not null group by 1
  ),
  hit as (
    select s.*, coalesce(custodian, '') as custodian, coalesce(k.key, t.key) as other, k.redacted is not null as erased,
      k.key is null or k.text_sha256 = s.text_sha256 as same
    from stood s left join custodians using (witness)
    left join (select key, max(redacted) as redacted, any_value(text_sha256) as text_sha256 from first group by 1) k on k.key = s.key
    left join same_text t on t.text_sha256 = s.text_sha256
  ),
  ranked as (
    select part, row, row_number() over (partition by other, custodian order by {sql.order_of_survival()}) as place
    from hit where other is not null and same and not erased and custodian <> ''
      and not exists (select 1 from known where known.key = hit.other and known.custodian = hit.custodian)
  )
select hit.part, hit.row, attestation, witness, other,
  case when other is null then null when erased then 'redacted' when place = 1 then 'further_witness' else 'already_present' end as outcome
from hit left join ranked using (part, row)
"""

_STANDING = """
select d.part, d.row, attestation, witness, outcome, other, if(outcome = 'further_witness', leaf, null) as names, eligible
from decided d left join (select * from first where redacted is null) f on f.key = d.other order by d.part, d.row
"""


_LEVELED = """
create table leveled as
  select key, max(list_position($levels, attestation)) as level, bool_and(eligible) as eligible, any_value(text_bytes) as size
  from leaves where redacted is null group by key
"""

_LIFTED = """
select $levels[level] as before, $levels[now] as after, count(*) as documents, sum(size)::bigint as bytes
from (select other, max(list_position($levels, attestation)) as now from decided where outcome = 'further_witness' group by other) d
  join leveled on leveled.key = d.other
where eligible and now > level group by all order by all
"""
"""Eligible documents of the parent whose best leaf is a stronger one from now on, by level before and after."""


class StandDocuments:
    """Step, one part: every document's attestation after the witnesses, and what the parent snapshot has of it.

    The same record (by key) or the same text (by SHA-256) is stored once. A record of the same text whose witness is a custodian that the
    document has not had yet becomes a further leaf of it, the best one of each custodian; others add nothing.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        con = sql.connect(self.context["folder"])
        sql.view(con, "captures", part["captures"], CAPTURED, "part")
        sql.view(con, "witnessed", part["witnessed"], WITNESSED)
        sql.view(con, "leaves", part["leaves"], schema.LEAVES)
        names = sorted(self.context["custodians"].items())
        con.register("custodians", pa.table({"witness": [n for n, _ in names], "custodian": [c for _, c in names]}, _CUSTODIANS))
        con.execute(_RAISED, {"levels": list(schema.ATTESTATIONS)})
        for statement in (_FIRST, _KNOWN, _OUTCOME):
            con.execute(statement)
        entries, outcomes = [], dict[str, int]()
        for number, table in sql.by_part(sql.stream(con, _STANDING), "part", len(part["captures"]), STANDING):
            entries.append(tables.write(self.context["folder"], f"standing/{number:06d}.parquet", table, STANDING))
            for found in table["outcome"].drop_null().value_counts().to_pylist():
                outcomes[found["values"]] = outcomes.get(found["values"], 0) + found["counts"]
        con.execute(_LEVELED, {"levels": list(schema.ATTESTATIONS)})
        lifted = con.sql(_LIFTED, params={"levels": list(schema.ATTESTATIONS)}).to_arrow_table().to_pylist()
        return {"files": entries, "outcomes": outcomes, "lifted": lifted}


_CUSTODIANS = pa.schema([("witness", pa.string()), ("custodian", pa.string())])
