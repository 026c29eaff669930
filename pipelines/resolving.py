"""Who stays: the survivors among measured pairs, spread to exact copies, as one stage over keys and ranks."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import moments
from pipelines.matching import CRAWL, MEASURED, RANKED
from provenance import schema, survivors
from store import files, tables

RESOLVED = pa.schema(
    [
        ("key", pa.string()),
        ("canonical", pa.string()),
        ("identical", pa.bool_()),
        ("reference", pa.string()),
        ("reference_attestation", pa.string()),
        ("similarity", pa.float64()),
        ("containment", pa.float64()),
        ("snapshot", pa.string()),
        ("cutoff", schema.TIME),
    ]
)
"""Row-aligned with documents: the kept document that it copies, and its best relation to a snapshot."""

LEAST_RELATION = 0.5
"""Pairs that reach it in similarity or either containment are rows of `matches`; other candidates are only counted."""


class ResolveMatches:
    """Step, one part: measured pairs -> `matches`, and for every document what the tag needs to know."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        self.near = config.restore(self.context["config"], "curate")["match"].near

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        ranked = tables.read(part["ranked"], schema=RANKED)
        measured = tables.read(part["measured"], schema=MEASURED)
        documents = _Documents(ranked)
        near = self._near(measured, documents) if self.near == "drop" else {}
        best = _best_relation(measured, self.context["snapshots"])
        canonical, copied = documents.canonical(near)
        entries = [self._write_matches(measured, documents, copied)]
        for number in range(len(part["ranked"])):
            rows = documents.rows(number)
            table = documents.resolved(rows, canonical, best, self.context["snapshots"])
            entries.append(tables.write(self.context["folder"], f"resolved/{number:05d}.parquet", table, RESOLVED))
        dropped = sum(key is not None for key in canonical)
        return {"files": entries, "documents": ranked.num_rows, "dropped": dropped, "matches": entries[0]["rows"]}

    @staticmethod
    def _near(measured: pa.Table, documents: "_Documents") -> dict[int, tuple[str, int]]:
        """For each dropped rank: the key of its canonical and the row of the measured pair that says so."""
        pairs = measured.append_column("pair", pa.array(np.arange(measured.num_rows))).filter(measured["duplicate"])
        left = pairs["left"].to_numpy()
        inside = pairs["scope"].to_numpy() == CRAWL
        others, right = np.unique(pairs["other"].to_numpy(zero_copy_only=False)[~inside], return_inverse=True)
        crawl = np.unique(np.concatenate([left, pairs["right"].to_numpy()[inside]]))
        ends = np.empty(len(left), np.int64)
        ends[~inside] = len(crawl) + right
        ends[inside] = np.searchsorted(crawl, pairs["right"].to_numpy()[inside])
        reference = np.arange(len(crawl) + len(others)) >= len(crawl)
        ranks = np.concatenate([crawl, np.arange(len(others))])
        starts = np.searchsorted(crawl, left)
        kept = survivors.survivors(ranks, starts, ends, pairs["similarity"].to_numpy(), np.zeros(len(left), bool), reference)
        row = {(a, b): p for a, b, p in zip(starts.tolist(), ends.tolist(), pairs["pair"].to_pylist(), strict=True)}
        keys = [*(documents.key_of(rank) for rank in crawl.tolist()), *others.tolist()]
        return {int(crawl[i]): (keys[int(kept[i])], row[i, int(kept[i])]) for i in np.flatnonzero(kept[: len(crawl)] >= 0).tolist()}

    def _write_matches(self, measured: pa.Table, documents: "_Documents", copied: list[dict[str, Any]]) -> dict[str, Any]:
        related = pc.greater_equal(
            pc.max_element_wise(measured["similarity"], measured["containment"], measured["contained"]), LEAST_RELATION
        )
        ids = pa.array([snapshot["id"] for snapshot in self.context["snapshots"]] + [None], pa.string())
        shown = measured.filter(related)
        scope = shown["scope"].to_numpy()
        rows = {name: shown[name] for name in ("key", "other", "similarity", "containment", "contained", "duplicate", "exact")}
        rows |= {
            "identical": pa.repeat(False, shown.num_rows),
            "scope": pa.array(np.where(scope == CRAWL, "crawl", "snapshot"), pa.string()),
            "snapshot": ids.take(pa.array(np.where(scope == CRAWL, len(ids) - 1, scope))),
        }
        near = pa.table({name: rows[name] for name in schema.MATCHES.names}, schema=schema.MATCHES)
        exact = pa.Table.from_pylist(
            [*documents.equal_pairs(self.context["snapshots"]), *self._inherited(copied, measured)], schema=schema.MATCHES
        )
        table = pa.concat_tables([near, exact]).sort_by([(name, "ascending") for name in ("key", "other", "scope", "snapshot")])
        return tables.write(self.context["folder"], f"matches/{self.context['prefix']}-00000.parquet", table, schema.MATCHES)

    def _inherited(self, copied: list[dict[str, Any]], measured: pa.Table) -> list[dict[str, Any]]:
        """Pairs of exact copies with what their first was dropped for: equal texts have equal similarity."""
        rows = []
        for copy in copied:
            pair = measured.slice(copy["pair"], 1).to_pylist()[0]
            snapshot = None if pair["scope"] == CRAWL else self.context["snapshots"][pair["scope"]]["id"]
            values = {name: pair[name] for name in ("other", "similarity", "containment", "contained", "duplicate", "exact")}
            scope = "crawl" if pair["scope"] == CRAWL else "snapshot"
            rows.append(values | {"key": copy["key"], "identical": False, "scope": scope, "snapshot": snapshot})
        return rows


class _Documents:
    """The ranked documents as arrays, and what follows from equal identity forms."""

    def __init__(self, ranked: pa.Table):
        self.parts = ranked["part"].to_numpy()
        self.columns = {
            name: ranked[name].to_pylist()
            for name in ("key", "rank", "first", "scope", "reference", "eligible", "reference_attestation")
        }
        self._by_rank = np.empty(ranked.num_rows, np.int64)
        self._by_rank[ranked["rank"].to_numpy()] = np.arange(ranked.num_rows)

    def key_of(self, rank: int) -> str:
        return str(self.columns["key"][self._by_rank[rank]])

    def rows(self, part: int) -> range:
        return range(int(np.searchsorted(self.parts, part, "left")), int(np.searchsorted(self.parts, part, "right")))

    def canonical(self, near: dict[int, tuple[str, int]]) -> tuple[list[str | None], list[dict[str, Any]]]:
        """For each row the key of the kept document that it copies, and the exact copies that follow a dropped first."""
        result: list[str | None] = []
        copied = []
        for key, rank, first, reference in zip(
            *(self.columns[name] for name in ("key", "rank", "first", "reference")), strict=True
        ):
            if reference is not None:
                result.append(reference)
            elif first in near:
                result.append(near[first][0])
                if rank != first:
                    copied.append({"key": key, "pair": near[first][1]})
            else:
                result.append(None if rank == first else self.key_of(first))
        return result, copied

    def equal_pairs(self, snapshots: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Rows of `matches` for equal identity forms; against an index-only snapshot they are equal by their digest alone."""
        same = {"similarity": 1.0, "containment": 1.0, "contained": 1.0, "exact": True, "identical": True, "duplicate": True}
        rows = []
        for key, rank, first, scope, reference in zip(
            *(self.columns[n] for n in ("key", "rank", "first", "scope", "reference")), strict=True
        ):
            if reference is not None:
                other = {"other": reference, "scope": "snapshot", "snapshot": snapshots[scope]["id"]}
                rows.append(same | other | {"key": key, "exact": not snapshots[scope]["index_only"]})
            elif rank != first:
                rows.append(same | {"key": key, "other": self.key_of(first), "scope": "crawl", "snapshot": None})
        return rows

    def resolved(
        self, rows: range, canonical: list[str | None], best: dict[int, dict[str, Any]], snapshots: list[dict[str, Any]]
    ) -> pa.Table:
        """RESOLVED for some rows."""
        made = []
        for i in rows:
            row = {name: values[i] for name, values in self.columns.items()}
            made.append({"key": row["key"], "canonical": canonical[i], "identical": False, **_relation(row, best, snapshots)})
        return pa.Table.from_pylist(made, schema=RESOLVED)


def _relation(row: dict[str, Any], best: dict[int, dict[str, Any]], snapshots: list[dict[str, Any]]) -> dict[str, Any]:
    """A document's relation to a snapshot: equal to one of its documents, near to one, or none."""
    if row["reference"] is not None:
        snapshot = snapshots[row["scope"]]
        return {
            "identical": bool(row["eligible"]),
            "reference": row["reference"],
            "reference_attestation": row["reference_attestation"],
            "similarity": 1.0,
            "containment": 1.0,
            "snapshot": snapshot["id"],
            "cutoff": moments.instant(snapshot["cutoff"]),
        }
    cutoff = {"cutoff": min(moments.instant(snapshot["cutoff"]) for snapshot in snapshots) if snapshots else None}
    return best.get(row["first"], {}) | cutoff


def _best_relation(measured: pa.Table, snapshots: list[dict[str, Any]]) -> dict[int, dict[str, Any]]:
    """For each rank, its most similar pair with a snapshot."""
    outside = measured.filter(pc.not_equal(measured["scope"], CRAWL)).sort_by(
        [
            ("left", "ascending"),
            ("similarity", "descending"),
            ("containment", "descending"),
            ("other", "ascending"),
            ("scope", "ascending"),
        ]
    )
    best: dict[int, dict[str, Any]] = {}
    for pair in outside.select(["left", "scope", "other", "similarity", "containment"]).to_pylist():
        best.setdefault(
            pair["left"],
            {
                "reference": pair["other"],
                "similarity": pair["similarity"],
                "containment": pair["containment"],
                "snapshot": snapshots[pair["scope"]]["id"],
            },
        )
    return best


def resolved_url(folder: str, number: int) -> str:
    return files.join(folder, "resolved", f"{number:05d}.parquet")
