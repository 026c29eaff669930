"""The tag stage: the match's evidence joins the page's, and every document gets its verdict, kept or dropped."""

from typing import Any

import pyarrow as pa

from pipelines.toolbox import evidence_tools
from provenance import evidence, schema, verdict
from store import tables


class TagDocuments:
    """Step: one part's documents, evidence and relations -> tags, and the evidence that the match gives."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        self.options = config.restore(self.context["config"], "curate")["verdict"]
        self.tools = evidence_tools(models=False)

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        documents = tables.read([part["documents"]], ["key", "id", "date", "date_end", "attestation", "word_count"])
        resolved = tables.read([part["resolved"]])
        if documents["key"] != resolved["key"]:
            raise RuntimeError(
                f"part {part['name']}: documents and their relations are not in the same order. Remove the work folder and rerun."
            )
        joined = pa.table({**_columns(documents), **_columns(resolved)})
        found = evidence.score(_batch(joined), "match", self.tools)
        page = tables.read([part["evidence"]])
        tags = verdict.verdict(
            _batch(joined.select(verdict.STANDING.names)).cast(verdict.STANDING),
            pa.concat_tables([page, pa.Table.from_batches([found])]),
            self.tools.calibration,
            self.options,
        )
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


def _columns(table: pa.Table) -> dict[str, Any]:
    return {name: table[name] for name in table.column_names}


def _batch(table: pa.Table) -> pa.RecordBatch:
    combined = table.combine_chunks().to_batches()
    return combined[0] if combined else pa.RecordBatch.from_pylist([], schema=table.schema)
