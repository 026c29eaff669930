"""Which documents a mix may take, planned in DuckDB over keys and counts; no text passes through here.

Tables of the connection: `frozen` (the snapshot's documents, each with its best leaf) and `certified` (their keys), `attested` (what of
them is human), `crawled` (what the runs kept) and `judged` (the same, each with why it may not enter), `near` (of these, what the match
found too like a human document), `offered` (what of both may enter); each goes when it has been read. `store.strata` divides, filters and orders what is offered, `store.selecting` says what
enters, and where.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from provenance.schema import ATTESTATIONS, LEAVES, SELECTION
from store import revocation, sql

PLANNED = SELECTION.append(
    pa.field("leaf_index", pa.int64(), metadata={"doc": "index of the leaf in the snapshot's tree, null for others"})
)
"""A shard's plan: `SELECTION`, and where the document stands in the snapshot's tree."""

OF_SNAPSHOT = ("redacted", "revoked", "near_copies")
OF_RUNS = ("origin_not_allowed", "crawled_revoked", "equal_to_human", "equal_to_other")
"""Why documents of the snapshot, and kept ones of the runs, can never enter. Of the runs' each has one reason, the first of these."""

_FACTS = "language VARCHAR, url VARCHAR"
_STORED = f'CREATE TABLE stored (part INTEGER, "row" BIGINT, key VARCHAR, content_id VARCHAR, eligible BOOLEAN, byte_count BIGINT, {_FACTS})'
_CRAWLED = (
    'CREATE TABLE crawled (run INTEGER, part INTEGER, "row" BIGINT, key VARCHAR, content_id VARCHAR, origin VARCHAR, byte_count BIGINT, '
    f"{_FACTS}, date TIMESTAMPTZ)"
)

_FROZEN = """
INSERT INTO stored SELECT ?, file_row_number, key, content_id, eligible, byte_count, language, {url}
FROM read_parquet(?, file_row_number = true, hive_partitioning = false)"""

_READ = """
INSERT INTO crawled SELECT ?, ?, d.file_row_number, key, content_id, origin, byte_count, language, {url}, date
FROM read_parquet(?, file_row_number = true, hive_partitioning = false) d JOIN tag USING (key) WHERE canonical IS NULL"""

_RANK = "('0x' || left(sha256(concat($seed, chr(10), key)), 16))::UBIGINT"
"""The first 64 bits of the digest of seed and key: a document's rank, as a number. Of equal ones the lower key stands first."""

_LEAF = "key, \"index\" AS leaf_index, attestation, date, date_end, nullif(payload_digest, '') AS payload_digest, eligible"
_HELD = 'part, "row", key, content_id, level, attestation, byte_count, leaf_index, language, url, date'
_LEVELS = ", ".join(map(sql.quote, ATTESTATIONS))

# Nearly all keys and content ids stand once. What may stand twice is found by 64-bit hashes, and only that is ordered.
_BOUND = f"""
CREATE TABLE repeated AS SELECT hash(key) AS h FROM leaves GROUP BY ALL HAVING count(*) > 1;
CREATE TABLE frozen AS
WITH best AS (
  SELECT {_LEAF} FROM leaves WHERE redacted IS NULL AND {{proves}} AND hash(key) NOT IN (SELECT h FROM repeated)
  UNION ALL
  SELECT {_LEAF} FROM ({sql.best_leaves("{proves}", "(FROM leaves WHERE hash(key) IN (SELECT h FROM repeated))")})
)
SELECT part, "row", key, content_id, byte_count, leaf_index, attestation, language, url, date, date_end, payload_digest,
  s.eligible AS stored, s.eligible AND best.eligible AS eligible
FROM stored s JOIN best USING (key);
DROP TABLE repeated"""

_HUMAN = f"""
CREATE VIEW reaching AS SELECT * FROM (SELECT *, list_position([{_LEVELS}], attestation) - 1 AS level FROM frozen)
WHERE eligible AND level > 0 AND coalesce(epoch_us(date_end) < {{cutoff}}, attestation = 'declared');
CREATE TABLE repeated AS SELECT hash(content_id) AS h FROM reaching GROUP BY ALL HAVING count(*) > 1;
CREATE TABLE attested AS
SELECT {_HELD} FROM reaching WHERE hash(content_id) NOT IN (SELECT h FROM repeated)
UNION ALL
SELECT {_HELD} FROM (
  SELECT *, row_number() OVER (PARTITION BY content_id ORDER BY {sql.order_of_survival()}) AS place
  FROM reaching WHERE hash(content_id) IN (SELECT h FROM repeated)
) WHERE place = 1;
CREATE TABLE certified AS SELECT key, content_id FROM frozen;
DROP VIEW reaching;
DROP TABLE repeated;
DROP TABLE frozen;
DROP TABLE stored"""

_NEAR = """
INSERT INTO near SELECT DISTINCT $run, key FROM read_parquet($file, hive_partitioning = false) SEMI JOIN (FROM tag WHERE canonical IS NULL) USING (key)
WHERE duplicate AND scope = 'snapshot' AND list_contains($versions, snapshot)
  AND other IN (SELECT key FROM certified WHERE content_id IN (SELECT content_id FROM attested))"""

_JUDGED = """
CREATE TABLE both_sides AS SELECT content_id FROM attested WHERE hash(content_id) IN (SELECT hash(content_id) FROM crawled);
CREATE TABLE judged AS SELECT *, CASE
  WHEN key IN (SELECT key FROM crawled WHERE (origin IN (SELECT origin FROM allowed)) IS NOT TRUE) THEN 'origin_not_allowed'
  WHEN key IN (SELECT value FROM revoked WHERE kind = 'key') THEN 'crawled_revoked'
  WHEN content_id IN (SELECT content_id FROM both_sides) THEN 'equal_to_human' END AS reason
FROM crawled;
DROP TABLE both_sides;
DROP TABLE crawled"""

_OFFERED = f"""
CREATE TABLE repeated AS SELECT hash(content_id) AS h FROM judged WHERE reason IS NULL GROUP BY ALL HAVING count(*) > 1
UNION SELECT hash(content_id) FROM judged WHERE hash(key) IN (SELECT hash(key) FROM judged WHERE reason IS NULL GROUP BY ALL HAVING count(*) > 1)
UNION SELECT hash(content_id) FROM judged SEMI JOIN near USING (run, key);
CREATE TABLE offered AS
SELECT part, "row", key, 'human' AS origin, byte_count, leaf_index, attestation, false AS near, language, url, date, {_RANK} AS rank
FROM attested WHERE level >= $level
UNION ALL
SELECT part, "row", key, origin, byte_count, NULL, NULL, false, language, url, date, {_RANK}
FROM judged WHERE reason IS NULL AND hash(content_id) NOT IN (SELECT h FROM repeated)
UNION ALL
SELECT part, "row", key, origin, byte_count, NULL, NULL, near, language, url, date, {_RANK} FROM (
  SELECT *, content_id IN (SELECT content_id FROM judged SEMI JOIN near USING (run, key)) AS near,
    row_number() OVER (PARTITION BY content_id ORDER BY run, key) AS place, row_number() OVER (PARTITION BY key ORDER BY run) AS once
  FROM judged WHERE reason IS NULL AND hash(content_id) IN (SELECT h FROM repeated)
) WHERE place = 1 AND once = 1;
DROP TABLE repeated"""

_BARRED = f"""
CREATE TABLE barred AS
SELECT part, "row", key, origin, byte_count, NULL::VARCHAR AS attestation, language, url, date, {_RANK} AS rank
FROM judged WHERE reason = 'origin_not_allowed'"""

_OF_SNAPSHOT = {
    "redacted": "SELECT count(*) FROM stored WHERE key IN (SELECT key FROM leaves WHERE redacted IS NOT NULL)",
    "revoked": "SELECT (SELECT count(*) FROM stored WHERE eligible) - (SELECT count(*) FROM frozen WHERE stored)",
}


@dataclass(frozen=True)
class Part:
    """One documents file that texts are read from. Its place in the list of parts is its number."""

    source: str
    """Id of the snapshot or run."""
    path: str
    """Path inside it."""
    url: str


class Plan:
    """The candidates of a mix. Give it the snapshot and the runs, then `offer` what they hold.

    With `urls` the candidates keep their addresses, which strata or a condition may ask for.
    """

    def __init__(self, seed: int, scratch: str, urls: bool = False):
        self.con = sql.connect(scratch)
        self.con.execute("SET preserve_insertion_order = false")
        self.seed = str(seed)
        self.parts: list[Part] = []
        self.supply: dict[str, dict[str, int]] = {}
        """Human documents and bytes that are there at each attestation level; known when they are offered."""
        self.crawled: dict[str, dict[str, int]] = {}
        """Kept documents and bytes of the runs, by origin; known when they are offered."""
        self._kept_out: dict[str, int] = {}
        self._steps: dict[str, dict[str, int]] = {}
        self.leaves: list[str] = []
        """Files of the snapshot's leaves."""
        self.urls = urls
        self._url = "url" if urls else "NULL"
        self.con.execute(_STORED)
        self.con.execute(_CRAWLED)
        self.con.execute("CREATE TABLE near (run INTEGER, key VARCHAR)")
        self.con.execute("CREATE TABLE tagged (origin VARCHAR, documents BIGINT)")
        self.con.execute("CREATE TABLE revoked (kind VARCHAR NOT NULL, value VARCHAR NOT NULL, reason VARCHAR)")

    def _readable(self, url: str) -> str:
        """What `read_parquet` takes for exactly this file, of any fsspec file system."""
        sql.register(self.con, url)
        return sql.pattern(url)

    def _all(self, statements: str, **values: object) -> None:
        """Executes statements one after the other, each with the values that it names."""
        for statement in statements.split(";\n"):
            self.con.execute(statement, {name: value for name, value in values.items() if f"${name}" in statement})

    def revoke(self, items: Iterable[pa.RecordBatch]) -> None:
        """Takes a list, `revocation.resolved` for the snapshot, of leaves that prove nothing any more. To be said before the
        snapshot is read."""
        sql.insert(self.con, "revoked", items)

    def freeze(self, parts: Sequence[Part], leaves: Sequence[str], cutoff_us: int) -> None:
        """Reads the snapshot's documents, each with its best leaf, which says how well it is attested.

        One per content id may be human, the best attested, if its capture ended before the cutoff (microseconds since 1970),
        and it is eligible. A redacted document has no leaf that could be proven, and one of which all leaves are revoked none
        that may.
        """
        sql.view(self.con, "leaves", leaves, LEAVES)
        self.leaves = list(leaves)
        for part in parts:
            self.con.execute(_FROZEN.format(url=self._url), [len(self.parts), self._readable(part.url)])
            self.parts.append(part)
        listed = self.con.execute("SELECT count(*) FROM revoked").fetchall()[0][0]
        self._all(_BOUND.format(proves=f"NOT {revocation.condition()}" if listed else "true"))
        for name, query in _OF_SNAPSHOT.items():
            self._kept_out[name] = int(self.con.execute(query).fetchall()[0][0])
        self._all(_HUMAN.format(cutoff=cutoff_us))

    def crawl(
        self, run: int, parts: Sequence[Part], tags: Iterable[str], matches: Iterable[str] = (), versions: Sequence[str] = ()
    ) -> None:
        """Reads the kept documents of one run with their tags, and which of them `matches` finds to be copies of human documents
        in any of the snapshot's `versions` (ids). To be said after the snapshot is read."""
        self.con.execute("CREATE TEMP TABLE tag (key VARCHAR, origin VARCHAR, canonical VARCHAR)")
        for url in tags:
            self.con.execute(
                "INSERT INTO tag SELECT key, origin, canonical FROM read_parquet(?, hive_partitioning = false)",
                [self._readable(url)],
            )
        self.con.execute("INSERT INTO tagged SELECT origin, count(*) FROM tag GROUP BY origin")
        for part in parts:
            self.con.execute(_READ.format(url=self._url), [run, len(self.parts), self._readable(part.url)])
            self.parts.append(part)
        for url in matches:
            self.con.execute(_NEAR, {"run": run, "file": self._readable(url), "versions": [*versions, ""]})
        self.con.execute("DROP TABLE tag")

    def offer(self, minimum: str, origins: Sequence[str], barred: bool = False) -> None:
        """Makes `offered` of the human documents that reach a level, and of the crawled documents of some origins, one per
        content id, each with its rank in the order of the seed; and `barred` of those of other origins, where they are asked for. What was
        read goes, when it has been counted."""
        self.con.execute("CREATE TABLE allowed AS SELECT unnest($origins) AS origin", {"origins": [*origins, ""]})
        self._all(_JUDGED)
        self._all(_OFFERED, seed=self.seed, level=ATTESTATIONS.index(minimum))
        if barred:
            self._all(_BARRED, seed=self.seed)
        self.con.execute("CREATE TABLE parts (part INTEGER, source VARCHAR)")
        sources = pa.array([part.source for part in self.parts], pa.string())
        numbers = pa.array(range(len(self.parts)), pa.int32())
        sql.insert(self.con, "parts", [pa.record_batch([numbers, sources], ["part", "source"])])
        self._count()
        for table in ("judged", "attested", "certified", "near", "tagged"):
            self.con.execute(f"DROP TABLE {table}")

    def _count(self) -> None:
        """Counts what was read, by level, origin and reason."""
        rows = self.con.execute("SELECT attestation, count(*), sum(byte_count)::BIGINT FROM attested GROUP BY ALL").fetchall()
        found = {level: {"documents": number, "bytes": size} for level, number, size in rows}
        self.supply = {level: found.get(level, {"documents": 0, "bytes": 0}) for level in ATTESTATIONS[1:]}
        rows = self.con.execute("SELECT origin, count(*), sum(byte_count)::BIGINT FROM judged GROUP BY ALL ORDER BY ALL").fetchall()
        self.crawled = {origin: {"documents": number, "bytes": size} for origin, number, size in rows}
        queries = {
            "frozen": "SELECT 'human', count(*) FROM attested",
            "attested": "SELECT 'human', count(*) FROM offered WHERE origin = 'human'",
            "documents": "SELECT origin, sum(documents)::BIGINT FROM tagged GROUP BY origin",
            "kept": "SELECT origin, count(*) FROM judged GROUP BY origin",
            **{
                name: f"SELECT origin, count(*) FROM judged WHERE reason = {sql.quote(name)} GROUP BY origin"
                for name in OF_RUNS[:-1]
            },
            "may_enter": "SELECT origin, count(*) FROM offered WHERE origin != 'human' GROUP BY origin",
        }
        self._steps = {step: dict(self.con.execute(query).fetchall()) for step, query in queries.items()}
        gone = [self._steps[step] for step in (*OF_RUNS[:-1], "may_enter")]
        twice = {origin: kept - sum(step.get(origin, 0) for step in gone) for origin, kept in self._steps["kept"].items()}
        self._steps[OF_RUNS[-1]] = twice
        self._kept_out |= {name: sum(self._steps[name].values()) for name in OF_RUNS}

    def kept_out(self) -> dict[str, int]:
        """Documents that can never enter, by reason.

        Of the snapshot: `redacted` ones, eligible ones of which all leaves are `revoked`, and near copies of each other beyond the
        passes that a cluster of them may make. Of what `crawled` counts: those of
        an origin that is not allowed, in any of the runs; those whose keys are revoked; those that equal a human document of the
        snapshot, at any attestation, which a run keeps where they are protected; and those that equal another one of the runs,
        or are the same document. What is none of these, passes the filter and is not taken is `left_over`.
        """
        crowded = int(self.con.execute("SELECT count(*) FROM crowded").fetchall()[0][0])
        return {name: crowded if name == "near_copies" else self._kept_out[name] for name in (*OF_SNAPSHOT, *OF_RUNS)}

    def survival(self, origins: Sequence[str], in_shards: dict[str, int]) -> dict[str, dict[str, int]]:
        """Documents by origin at each step of the way into the mix, of which the last, `in_shards`, is given.

        What the snapshot offers as `frozen` and, at the level asked for, as `attested`; of the runs all `documents`, those `kept`, those
        left out for each reason of `OF_RUNS`, and those that `may_enter`; and of both what the filter has `passed`, and what is `in_shards`.
        """
        query = "SELECT origin, count(*) FROM offered o SEMI JOIN passed p ON o.rowid = p.id GROUP BY origin"
        counts = self._steps | {"passed": dict(self.con.execute(query).fetchall()), "in_shards": in_shards}
        return {step: {origin: number.get(origin, 0) for origin in origins} for step, number in counts.items()}

    def count_tokens(self, counts: Iterable[tuple[int, np.ndarray, np.ndarray]]) -> None:
        """Makes `tokens` of token counts: part, rows, tokens."""
        self.con.execute('CREATE TABLE tokens (part INTEGER, "row" BIGINT, tokens BIGINT)')
        kinds = pa.schema([("part", pa.int32()), ("row", pa.int64()), ("tokens", pa.int64())])
        batches = (pa.record_batch([np.full(len(rows), part), rows, numbers], schema=kinds) for part, rows, numbers in counts)
        sql.insert(self.con, "tokens", batches)
