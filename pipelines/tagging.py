"""The tag stage: all evidence about a document comes together, and every document gets its verdict, kept or dropped."""

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa

from pipelines import moments
from pipelines.stage import Stage
from pipelines.toolbox import evidence_tools
from provenance import combiner, evidence, schema, verdict
from store import files, tables


def evidence_of(
    prefix: str, parts: Iterable[str], done: Iterable[tuple[Stage, Mapping[str, Mapping[str, Any]]]]
) -> list[list[str]]:
    """URLs of the files of evidence about each part, of all the stages that gave some.

    A file is about the part whose name its own name ends with (`evidence/model-part-00003.parquet`), whatever the parts of the
    stage were that wrote it. Raises `ValueError` for a file that is about none.
    """
    found: dict[str, list[str]] = {f"{prefix}-{name}.parquet": [] for name in parts}
    for stage, receipts in done:
        for receipt in receipts.values():
            for entry in receipt["files"]:
                dataset, _, name = entry["path"].rpartition("/")
                if dataset != "evidence":
                    continue
                owner = name[name.rfind(f"{prefix}-") :]
                if owner not in found:
                    raise ValueError(
                        f"stage {stage.name} wrote {entry['path']}, which is about no part of the crawl; its evidence would be lost. "
                        f"Name it evidence/WORD-{prefix}-PART.parquet."
                    )
                found[owner].append(files.join(stage.folder, entry["path"]))
    return list(found.values())


class TagDocuments:
    """Step: one part's documents, evidence and relations -> tags, and the evidence of the match and of the detectors together.

    `thresholds` of the context are those that the snapshots raised, `language_model` the SHA-256 of the one that was asked.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        self.options = config.restore(self.context["config"], "curate")["verdict"]
        self.tools = evidence_tools(models=False)
        self.combiner = self.tools.calibration.combiner

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        names = ["key", "id", "date", "date_end", "attestation", "language", "word_count"]
        documents = tables.read([part["documents"]], names)
        resolved = tables.read([part["resolved"]])
        if documents["key"] != resolved["key"]:
            raise RuntimeError(
                f"part {part['name']}: documents and their relations are not in the same order. Remove the work folder and rerun."
            )
        joined = pa.table({**_columns(documents), **_columns(resolved)})
        standing = {name: joined[name] for name in verdict.STANDING.names}
        standing["date"] = moments.middles(documents["date"], documents["date_end"])
        found = evidence.score(tables.one_batch(joined), "match", self.tools)
        readings = tables.read(part["evidence"], schema=schema.EVIDENCE)
        decided = self._decided(documents, readings)
        thresholds = self.context.get("thresholds")
        tags = verdict.verdict(
            tables.one_batch(pa.table(standing)).cast(verdict.STANDING),
            pa.concat_tables([readings, pa.Table.from_batches([found])]),
            self.tools.calibration,
            self.options,
            decided,
            thresholds,
        )
        if decided is not None and self.combiner is not None:
            found = pa.concat_batches([found, combiner.evidence(decided, self.combiner)])
        name, base = f"{self.context['prefix']}-{part['name']}.parquet", self.context["folder"]
        entries = [
            tables.write(base, f"evidence/match-{name}", found, schema.EVIDENCE),
            tables.write(base, f"tags/{name}", tags, schema.TAGS),
        ]
        origins = dict.fromkeys(schema.ORIGINS, 0)
        kept = dict(origins)
        for origin, canonical in zip(tags["origin"].to_pylist(), tags["canonical"].to_pylist(), strict=True):
            origins[origin] += 1
            kept[origin] += canonical is None
        return {"files": entries, "documents": tags.num_rows, "origins": origins, "kept": kept}

    def _decided(self, documents: pa.Table, readings: pa.Table) -> pa.RecordBatch | None:
        """What the detectors say together, None where nothing weighs them."""
        if self.combiner is None:
            return None
        scored = combiner.combine(documents, readings, self.combiner)
        context = self.context.get("thresholds"), self.context.get("language_model")
        return combiner.decide(scored, readings, self.combiner, self.options.rate, *context)


def _columns(table: pa.Table) -> dict[str, Any]:
    return {name: table[name] for name in table.column_names}
