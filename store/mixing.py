"""Which documents a mix may take, planned in DuckDB over keys and counts; no text passes through here.

Tables of the connection: `frozen` (the snapshot's documents, each with its best leaf), `crawled` (what the runs kept) and
`judged` (the same, each with why it may not enter), `near` (of these, what the match found too like a human document),
`human` and `other` (what may enter, numbered in the order of their class by `position`), `selection` (what enters, with
its shard) and `proven` (the leaves of what enters).
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from provenance.schema import ATTESTATIONS, LEAVES, SELECTION
from store import revocation, sql

PLANNED = SELECTION.append(
    pa.field("leaf_index", pa.int64(), metadata={"doc": "index of the leaf in the snapshot's tree, null for others"})
)
"""A shard's plan: `SELECTION`, and where the document stands in the snapshot's tree."""

OF_SNAPSHOT = ("redacted", "revoked")
OF_RUNS = ("origin_not_allowed", "crawled_revoked", "equal_to_human", "equal_to_other")
"""Why documents of the snapshot, and kept ones of the runs, can never enter. Of the runs' each has one reason, the first of these."""

_FROZEN = """
INSERT INTO stored SELECT ?, file_row_number, key, content_id, eligible, byte_count FROM read_parquet(?, file_row_number = true, hive_partitioning = false)"""


_BOUND = f"""
CREATE TABLE frozen AS
WITH best AS ({sql.best_leaves(f"NOT {revocation.condition()}")})
SELECT part, "row", key, content_id, byte_count, "index" AS leaf_index, attestation,
  list_position($levels, attestation) - 1 AS level, date_end, payload_digest, s.eligible AND best.eligible AS eligible
FROM stored s JOIN best USING (key)"""

_HUMAN = f"""
CREATE TABLE attested AS SELECT * EXCLUDE place FROM (
  SELECT part, "row", key, content_id, level, attestation, byte_count, leaf_index,
    row_number() OVER (PARTITION BY content_id ORDER BY {sql.order_of_survival()}) AS place
  FROM frozen
  WHERE eligible AND level > 0 AND coalesce(epoch_us(date_end) < $cutoff, attestation = 'declared')
) WHERE place = 1"""

_NEAR = """
INSERT INTO near SELECT DISTINCT $run, key FROM read_parquet($file, hive_partitioning = false) SEMI JOIN (FROM tag WHERE canonical IS NULL) USING (key)
WHERE duplicate AND scope = 'snapshot' AND list_contains($versions, snapshot)
  AND other IN (SELECT key FROM frozen WHERE content_id IN (SELECT content_id FROM attested))"""

_JUDGED = """
CREATE VIEW judged AS SELECT *, CASE
  WHEN key IN (SELECT key FROM crawled WHERE (origin IN (SELECT origin FROM allowed)) IS NOT TRUE) THEN 'origin_not_allowed'
  WHEN key IN (SELECT value FROM revoked WHERE kind = 'key') THEN 'crawled_revoked'
  WHEN content_id IN (SELECT content_id FROM attested) THEN 'equal_to_human' END AS reason
FROM crawled"""

_OTHER = """
CREATE TABLE other AS SELECT *, row_number() OVER (ORDER BY rank, key) - 1 AS position FROM (
  SELECT part, "row", key, origin, byte_count, sha256(concat($seed, chr(10), key)) AS rank,
    content_id IN (SELECT content_id FROM crawled JOIN near USING (run, key)) AS near,
    row_number() OVER (PARTITION BY content_id ORDER BY run, key) AS place, row_number() OVER (PARTITION BY key ORDER BY run) AS once
  FROM judged WHERE reason IS NULL
) WHERE place = 1 AND once = 1"""

_SELECTION = """
CREATE TABLE selection AS
SELECT key, part, "row", 'human' AS origin, shard, epoch, rank, byte_count, leaf_index FROM taken_human JOIN human USING (position)
UNION ALL
SELECT key, part, "row", origin, shard, 0 AS epoch, rank, byte_count, NULL FROM taken_other JOIN other USING (position)"""

_PROVEN = """
CREATE TABLE proven AS SELECT shard, l.* FROM (SELECT DISTINCT shard, leaf_index FROM selection WHERE leaf_index IS NOT NULL) s
JOIN leaves l ON l."index" = s.leaf_index ORDER BY shard, leaf_index"""


@dataclass(frozen=True)
class Part:
    """One documents file that texts are read from. Its place in the list of parts is its number."""

    source: str
    """Id of the snapshot or run."""
    path: str
    """Path inside it."""
    url: str


class Plan:
    """The candidates of a mix. Give it the snapshot and the runs, then ask for units, then say what is taken."""

    def __init__(self, seed: int, scratch: str):
        self.con = sql.connect(scratch)
        self.con.execute("SET preserve_insertion_order = false; SET enable_progress_bar = false")
        self.seed = str(seed)
        self.parts: list[Part] = []
        self.con.execute(
            'CREATE TABLE stored (part INTEGER, "row" BIGINT, key VARCHAR, content_id VARCHAR, eligible BOOLEAN, byte_count BIGINT)'
        )
        self.con.execute(
            'CREATE TABLE crawled (run INTEGER, part INTEGER, "row" BIGINT, key VARCHAR, content_id VARCHAR, origin VARCHAR, byte_count BIGINT)'
        )
        self.con.execute("CREATE TABLE near (run INTEGER, key VARCHAR)")
        self.con.execute("CREATE TABLE tagged (origin VARCHAR, documents BIGINT)")
        self.con.execute("CREATE TABLE revoked (kind VARCHAR NOT NULL, value VARCHAR NOT NULL, reason VARCHAR)")

    def _readable(self, url: str) -> str:
        """What `read_parquet` takes for exactly this file, of any fsspec file system."""
        sql.register(self.con, url)
        return sql.pattern(url)

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
        for part in parts:
            self.con.execute(_FROZEN, [len(self.parts), self._readable(part.url)])
            self.parts.append(part)
        self.con.execute(_BOUND, {"levels": list(ATTESTATIONS)})
        self.con.execute(_HUMAN, {"cutoff": cutoff_us})

    def kept_out(self) -> dict[str, int]:
        """Documents that can never enter, by reason.

        Of the snapshot: `redacted` ones, and eligible ones of which all leaves are `revoked`. Of what `crawled` counts: those of
        an origin that is not allowed, in any of the runs; those whose keys are revoked; those that equal a human document of the
        snapshot, at any attestation, which a run keeps where they are protected; and those that equal another one of the runs,
        or are the same document. What is neither taken nor one of these is `left_over`.
        """
        queries = {
            "redacted": "SELECT count(*) FROM stored WHERE key IN (SELECT key FROM leaves WHERE redacted IS NOT NULL)",
            "revoked": "SELECT count(*) FROM stored WHERE eligible AND key NOT IN (SELECT key FROM frozen)",
        }
        found = {name: int(self.con.execute(query).fetchall()[0][0]) for name, query in queries.items()}
        judged = dict(self.con.execute("SELECT reason, count(*) FROM judged GROUP BY reason").fetchall())
        entering = self.con.execute("SELECT count(*) FROM other").fetchall()[0][0]
        return found | {name: judged.get(name, 0) for name in OF_RUNS} | {"equal_to_other": judged.get(None, 0) - entering}

    def supply(self) -> dict[str, dict[str, int]]:
        """Human documents and bytes that are there at each attestation level."""
        rows = self.con.execute("SELECT attestation, count(*), sum(byte_count)::BIGINT FROM attested GROUP BY ALL").fetchall()
        found = {level: {"documents": number, "bytes": size} for level, number, size in rows}
        return {level: found.get(level, {"documents": 0, "bytes": 0}) for level in ATTESTATIONS[1:]}

    def attest(self, minimum: str) -> None:
        """Makes `human` of what reaches a level, in the order of the seed."""
        self.con.execute(
            "CREATE TABLE human AS SELECT *, row_number() OVER (ORDER BY rank, key) - 1 AS position FROM ("
            "SELECT *, sha256(concat($seed, chr(10), key)) AS rank FROM attested WHERE level >= $level)",
            {"seed": self.seed, "level": ATTESTATIONS.index(minimum)},
        )

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
            self.con.execute(
                "INSERT INTO crawled SELECT ?, ?, d.file_row_number, key, content_id, origin, byte_count "
                "FROM read_parquet(?, file_row_number = true, hive_partitioning = false) d JOIN tag USING (key) WHERE canonical IS NULL",
                [run, len(self.parts), self._readable(part.url)],
            )
            self.parts.append(part)
        for url in matches:
            self.con.execute(_NEAR, {"run": run, "file": self._readable(url), "versions": [*versions, ""]})
        self.con.execute("DROP TABLE tag")

    def allow(self, origins: Sequence[str]) -> None:
        """Makes `other` of the crawled documents of some origins, one per content id, in the order of the seed."""
        self.con.execute("CREATE TABLE allowed AS SELECT unnest($origins) AS origin", {"origins": [*origins, ""]})
        self.con.execute(_JUDGED)
        self.con.execute(_OTHER, {"seed": self.seed})

    def survival(self, origins: Sequence[str]) -> dict[str, dict[str, int]]:
        """Documents by origin at each step of the way into the mix. To be said after `take`.

        What the snapshot offers as `frozen` and, at the level asked for, as `attested`; of the runs all `documents`, those `kept`, those
        left out for each reason of `OF_RUNS`, and those that `may_enter`; and of both what is `in_shards`.
        """
        queries = {
            "frozen": "SELECT 'human', count(*) FROM attested",
            "attested": "SELECT 'human', count(*) FROM human",
            "documents": "SELECT origin, sum(documents)::BIGINT FROM tagged GROUP BY origin",
            "kept": "SELECT origin, count(*) FROM crawled GROUP BY origin",
            **{
                name: f"SELECT origin, count(*) FROM judged WHERE reason = {sql.quote(name)} GROUP BY origin"
                for name in OF_RUNS[:-1]
            },
            "may_enter": "SELECT origin, count(*) FROM other GROUP BY origin",
            "in_shards": "SELECT origin, count(DISTINCT key) FROM selection GROUP BY origin",
        }
        counts = {step: dict(self.con.execute(query).fetchall()) for step, query in queries.items()}
        found = {step: {origin: number.get(origin, 0) for origin in origins} for step, number in counts.items()}
        gone = [found[step] for step in (*OF_RUNS[:-1], "may_enter")]
        return found | {OF_RUNS[-1]: {origin: found["kept"][origin] - sum(step[origin] for step in gone) for origin in origins}}

    def crawled(self) -> dict[str, dict[str, int]]:
        """Kept documents and bytes of the runs, by origin."""
        rows = self.con.execute(
            "SELECT origin, count(*), sum(byte_count)::BIGINT FROM crawled GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        return {origin: {"documents": number, "bytes": size} for origin, number, size in rows}

    def wanted(self, part: int) -> np.ndarray:
        """Rows of a part that may enter, sorted."""
        query = 'SELECT "row" FROM human WHERE part = $part UNION ALL SELECT "row" FROM other WHERE part = $part ORDER BY 1'
        return self.con.execute(query, {"part": part}).fetchnumpy()["row"]

    def count_tokens(self, counts: Iterable[tuple[int, np.ndarray, np.ndarray]]) -> None:
        """Takes token counts: part, rows, tokens."""
        self.con.execute('CREATE TABLE tokens (part INTEGER, "row" BIGINT, tokens BIGINT)')
        for part, rows, numbers in counts:
            table = pa.table(
                {
                    "part": pa.array([part] * len(rows), pa.int32()),
                    "row": pa.array(rows, pa.int64()),
                    "tokens": pa.array(numbers, pa.int64()),
                }
            )
            self.con.register("counted", table)
            self.con.execute("INSERT INTO tokens SELECT * FROM counted")
            self.con.unregister("counted")

    def units(self, table: str, units: Sequence[str]) -> np.ndarray:
        """Shape (documents, units): the lengths of the candidates of a class in its order."""
        columns = {"bytes": "byte_count", "documents": "1::BIGINT", "tokens": "tokens"}
        join = 'LEFT JOIN tokens USING (part, "row")' if "tokens" in units else ""
        query = (
            f"SELECT {', '.join(f'{columns[unit]} AS u{i}' for i, unit in enumerate(units))} FROM {table} {join} ORDER BY position"
        )
        found = self.con.execute(query).fetchnumpy()
        return np.stack([np.asarray(found[f"u{i}"], dtype=np.int64) for i in range(len(units))], axis=1)

    def origins(self, origins: Sequence[str]) -> np.ndarray:
        """Origin of each other candidate, as its index in `origins`."""
        query = "SELECT list_position(?, origin) - 1 AS o FROM other ORDER BY position"
        return np.asarray(self.con.execute(query, [[*origins, ""]]).fetchnumpy()["o"], dtype=np.int64)

    def take(self, human: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> None:
        """Says what enters: columns `position`, `shard` and, for human, `epoch`."""
        self.con.register("taken_human", pa.table(human))
        self.con.register("taken_other", pa.table(other))
        self.con.execute(_SELECTION)
        self.con.execute(_PROVEN)

    def shard(self, shard: int) -> pa.Table:
        """The plan of one shard: human documents epoch by epoch, then the others, each class in its order."""
        rows = self.con.sql(
            "SELECT * FROM selection WHERE shard = ? ORDER BY leaf_index IS NULL, epoch, rank, key", params=[shard]
        ).to_arrow_table()
        numbers = rows["part"].to_pylist()
        columns: dict[str, Any] = {name: rows[name] for name in rows.column_names}
        columns["source"] = pa.array([self.parts[i].source for i in numbers], pa.string())
        columns["part"] = pa.array([self.parts[i].path for i in numbers], pa.string())
        return pa.table(
            {name: columns[name].cast(kind) for name, kind in zip(PLANNED.names, PLANNED.types, strict=True)}, schema=PLANNED
        )

    def proofs(self, shard: int) -> pa.Table:
        """The leaves of the human documents of one shard (schema `LEAVES`), in the tree's order."""
        query = 'SELECT * EXCLUDE shard FROM proven WHERE shard = ? ORDER BY "index"'
        return self.con.sql(query, params=[shard]).to_arrow_table().cast(LEAVES)

    def rows(self, part: int) -> pa.Table:
        """Which rows of a part are read, and the shard that each goes to; a repeated document once."""
        query = 'SELECT DISTINCT "row", shard FROM selection WHERE part = ? ORDER BY shard, "row"'
        return self.con.sql(query, params=[part]).to_arrow_table()

    def near_human(self) -> dict[str, int]:
        """Documents and bytes among the others that entered though the match found them to be near copies of human documents, or
        that equal such a near copy."""
        query = "SELECT count(*), coalesce(sum(byte_count), 0)::BIGINT FROM other SEMI JOIN taken_other USING (position) WHERE near"
        number, size = self.con.execute(query).fetchall()[0]
        return {"documents": number, "bytes": size}

    def left_over(self) -> dict[str, dict[str, int]]:
        """Documents and bytes of allowed origins that did not enter, by origin."""
        rows = self.con.execute(
            "SELECT origin, count(*), sum(byte_count)::BIGINT FROM other ANTI JOIN taken_other USING (position) GROUP BY ALL ORDER BY ALL"
        ).fetchall()
        return {origin: {"documents": number, "bytes": size} for origin, number, size in rows}
