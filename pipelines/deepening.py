"""The stage `model`: a language model reads what the cheap signals leave open and nothing else, and watermarks are looked for in all.

It runs after the match. What equals a document of a snapshot is not read, since no detector votes there, nor is what the
calibration does not leave open: texts that are tagged without it, that are too short or too plainly human, or in a language
where no model was calibrated. How many that are is in the receipts: the cascade's share.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import language_models, resolving, watermarks
from pipelines.language_models import Located
from pipelines.stage import Stage, urls
from pipelines.toolbox import evidence_tools
from provenance import combiner, evidence, schema, signals
from provenance.calibration import Calibration
from store import tables
from store.errors import UsageError

READ = 256
"""Documents whose texts are in memory at a time."""


class ReadOpen:
    """Step: one part's documents, evidence and relations -> evidence of the model stage about the documents that are open."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        sections = config.restore(self.context["config"], "curate")
        self.rate = sections["verdict"].rate
        self.tools = evidence_tools(models=False)
        if self.context["located"] is not None:
            located = msgspec.convert(self.context["located"], Located)
            self.tools = replace(self.tools, language_model=language_models.Lazy(sections["lm"], located))
        if sections["watermark"].keys:
            detectors = watermarks.Detectors(sections["watermark"], self.context["documents"])
            self.tools = replace(self.tools, watermark=detectors)

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        documents = tables.read([part["documents"]], ["key", "language", "word_count"])
        name = f"evidence/model-{self.context['prefix']}-{part['name']}.parquet"
        rows = self._open(documents, part) if self.tools.language_model is not None else np.zeros(0, np.int64)
        every = np.arange(documents.num_rows if self.tools.watermark is not None else 0)
        found: dict[str, int] = {}
        with tables.Writer(self.context["folder"], name, schema.EVIDENCE) as writer:
            for signal, wanted in (("language_model", rows), ("watermark", every)):
                found[signal] = 0
                for start in range(0, len(wanted), READ):
                    chosen = tables.take(part["documents"], wanted[start : start + READ], list(signals.MODEL.names))
                    scored = evidence.score(tables.one_batch(chosen), "model", self.tools, only=(signal,))
                    found[signal] += scored.num_rows
                    writer.write(scored)
        return {"files": [writer.entry], "open": len(rows), "read": found["language_model"], "watermarked": found["watermark"]}

    def _open(self, documents: pa.Table, part: dict[str, Any]) -> np.ndarray:
        """Rows of the documents that are left open, rising."""
        relations = tables.read([part["resolved"]], ["key", "identical"])
        if documents["key"] != relations["key"]:
            raise RuntimeError(
                f"part {part['name']}: documents and their relations are not in the same order. Remove the work folder and rerun."
            )
        weighing = self.tools.calibration.combiner
        if weighing is None:
            return np.zeros(0, np.int64)
        scored = combiner.combine(tables.one_batch(documents), tables.read(part["evidence"]), weighing)
        left = combiner.open_documents(scored, weighing, self.rate, self.context["thresholds"])
        equal = pc.fill_null(relations["identical"], False).combine_chunks()
        return np.flatnonzero(pc.and_not(left, equal).to_numpy(zero_copy_only=False))


def locate(settings: Mapping[str, Any]) -> Located | None:
    """Where the language model lies that the section `lm` names, if it names one. Raises `UsageError` for what is missing, also for
    watermarks."""
    watermarks.check(settings["watermark"])
    options = settings["lm"]
    if options.model is None and options.observer is not None:
        raise UsageError(
            "lm.observer is set without lm.model; it would be asked about nothing. Name the model that it observes with --lm.model."
        )
    return language_models.locate(options) if options.model else None


def portable(settings: Mapping[str, Any], located: Located | None) -> dict[str, Any]:
    """The sections `lm` and `watermark` as they belong into a manifest: without places and secrets."""
    told = language_models.portable(settings["lm"], located)
    return {"lm": msgspec.to_builtins(told), "watermark": watermarks.portable(settings["watermark"])}


def context(located: Located | None, documents: int) -> dict[str, Any]:
    """What the stage's context holds of the models that were found, and of the run."""
    return {"located": None if located is None else msgspec.to_builtins(located), "documents": documents}


def parts(
    extract: Stage, extracted: dict[str, dict[str, Any]], resolve: Stage, evidence_of: Sequence[Sequence[str]]
) -> list[dict[str, Any]]:
    """The parts of the stage: one for each of the extraction, as heavy as it has documents."""
    documents = urls(extract.folder, extracted, "documents")
    return [
        {
            "name": name,
            "weight": receipt["documents"],
            "documents": documents[number],
            "evidence": list(evidence_of[number]),
            "resolved": resolving.resolved_url(resolve.folder, number),
        }
        for number, (name, receipt) in enumerate(extracted.items())
    ]


def counts(located: Located | None, options: Any, receipts: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """What the stage adds to a run's counts: documents left open by the cheap signals, how many of them were read (a text of few
    tokens gives no reading), and in how many a watermark may be."""
    asked = {"left_open": "open", "read_by_language_model": "read"} if located else {}
    asked |= {"with_watermark": "watermarked"} if options.keys else {}
    return {name: sum(receipt[field] for receipt in receipts.values()) for name, field in asked.items()}


def note(located: Located, calibration: Calibration, found: Mapping[str, int], documents: int) -> str:
    """One sentence on the cascade's share, and on what the model's readings weigh."""
    left, read = found["left_open"], found["read_by_language_model"]
    share = left / documents if documents else 0.0
    said = f"the cheap signals left {left:,} of {documents:,} documents open ({share:.1%}), and the language model read {read:,} of them"
    cells = calibration.combiner.cells if calibration.combiner else ()
    if any(second.model == located.identity for cell in cells for second in cell.second):
        return said
    return (
        f"{said}; it is none that the calibration file knows (identity {located.identity}), so its readings are kept as evidence and weigh "
        "nothing. Calibrate it with `make model-lm`."
    )
