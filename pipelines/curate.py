"""`curate`: extract a crawl, match it against snapshots, earlier runs and itself, and tag every document's likely origin."""

import fnmatch
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import calibrating, config, crowding, deepening, ingest, prevailing, references, resolving, tagging, toolbox
from pipelines.comparing import Comparison
from pipelines.progress import Progress
from pipelines.runner import Runner, check_beam_args
from pipelines.stage import Stage, urls
from pipelines.target import Target, apart
from provenance import schema
from provenance.identity import digest
from store import files, manifest
from store.errors import UsageError
from store.manifest import Opened

if TYPE_CHECKING:
    from pipelines.cli import Job

PREFIX = "part"


def run(sources: Sequence[str], into: str, against: Sequence[str], job: "Job") -> dict[str, Any]:
    """Runs the verb; returns the closing summary. Raises `UsageError`, `CheckFailed`, `Incomplete`."""
    settings = config.resolve("curate", job.config, job.overrides)
    check_beam_args(job.beam_args, job.workers)
    plain, made = config.plain(settings), parameters(settings)
    located = deepening.locate(settings)
    made |= {"causal_model": located.identity} if located else {}
    opened = references.open_all(against, into)
    references.check_comparable(made["minhash"], opened)
    if job.dry_run:
        writes = [*(f"{dataset}/" for dataset in schema.DATASETS), manifest.MANIFEST]
        return dry_run(sources, into, plain, writes, *(_ids(opened, kind) for kind in ("snapshot", "run")))
    progress = Progress(quiet=job.quiet)
    apart(into, sources)
    with (
        Target(into, "run") as target,
        Runner(job.workers, job.beam_args, progress) as runner,
        ThreadPoolExecutor(1) as beside,
    ):
        whole = [beside.submit(references.require_found, reference) for reference in opened]
        told = config.portable(settings) | deepening.portable(settings, located)
        chain = _Chain(target, plain, told, made, opened, whole, runner)
        chain.located = located
        made_run = chain.run(sources)
        target.log("curate", progress)
    return summary(into, made_run) | ({"notes": chain.notes} if chain.notes else {}) | target.note()


def _ids(opened: Sequence[Opened], kind: str) -> list[str]:
    return [reference.id for reference in opened if reference.kind == kind]


def parameters(settings: dict[str, Any]) -> dict[str, Any]:
    """All that shapes a run's or snapshot's rows beside the configuration: versions of extractor, match and rules."""
    from provenance import combiner, evidence, extract, language, minhash
    from provenance.identity import sha256_hex

    try:
        extracted = extract.digest(settings["extract"])
        extract.extractor(settings["extract"])  # a library that does not load is told before any work
        weights = toolbox.calibration()
        combiner.check_rate(weights.combiner, settings["verdict"].rate)
    except ValueError as error:
        raise UsageError(str(error)) from error
    return {
        "extract": extracted,
        "language_model": sha256_hex(Path(language.model_path()).read_bytes()),
        "minhash": minhash.parameters(settings["minhash"]),
        "rules": evidence.rules(weights, settings["verdict"]),
        "schema_version": schema.SCHEMA_VERSION,
    }


def dry_run(
    sources: Sequence[str], into: str, plain: dict[str, Any], datasets: list[str], snapshots: list[str], runs: Sequence[str] = ()
) -> dict[str, Any]:
    """What the command would read and write; nothing is touched."""
    from store import reading

    inputs = [url for url, _ in reading.expand(sources)]
    return {
        "dry_run": True,
        "config": plain,
        "snapshots": snapshots,
        **({"runs": list(runs)} if runs else {}),
        "inputs": inputs,
        "writes": [files.join(into, name) for name in datasets],
    }


class _Chain:
    """The stages of one run, in order."""

    def __init__(
        self,
        target: Target,
        plain: dict[str, Any],
        told: dict[str, Any],
        made: dict[str, Any],
        opened: list[Opened],
        whole: list[Future[None]],
        runner: Runner,
    ):
        self.target, self.plain, self.told, self.made, self.opened, self.runner = target, plain, told, made, opened, runner
        self.whole = whole
        self.notes: list[str] = []
        self.evidence: list[tuple[Stage, dict[str, dict[str, Any]]]] = []
        self.calibrated: dict[str, Any] | None = None
        self.thresholds: dict[str, dict[str, float]] | None = None
        self.human_scores: str | None = None
        self.language_model: str | None = None
        self.located: deepening.Located | None = None

    def _stage(
        self, name: str, step: str, parts: Sequence[dict[str, Any]], partitions: tuple[int, ...] = (), **context: Any
    ) -> Stage:
        shared = {"config": self.plain, "parameters": self.made, "prefix": PREFIX}
        return Stage(name, f"pipelines.{step}", self.target.work, shared | context, tuple(parts), partitions)

    def run(self, sources: Sequence[str]) -> Opened:
        found = ingest.survey(sources, self.target.work, self.plain, self.runner)
        # Hashed while the runner was loaded and the sources were surveyed; what is wrong is told before any work is done on it.
        for checked in self.whole:
            checked.result()
        guarded = protected(self.plain["match"]["protect"], [source.file_path for source in found])
        self.notes = ingest.sidecar(found, self.plain) + references.remarks(self.opened)
        job = digest([self.told, self.made, ingest.inputs_digest_parts(found), [reference.id for reference in self.opened]])
        if opened := self.target.claim(job):
            return opened
        parts = ingest.parts(found, self.plain["read"]["part_bytes"])
        extract = self._stage("extract", "extraction:ExtractPart", parts)
        extracted = self.runner.run(extract)
        table = ingest.sources_table(found, extracted)
        comparison = Comparison(self._stage, self.runner, self.plain, self.opened)
        comparison.run(extract, extracted, guarded)
        resolve, resolved = comparison.done["resolve"]
        self.evidence.append((extract, extracted))
        self._calibrate(comparison)
        read = self._model(extract, extracted, resolve)
        self._crowd(extract, extracted, resolve)
        tag = self._tag(extract, extracted, resolve)
        tagged = self.runner.run(tag)
        shares, summed = self._prevalence(extract, extracted, tag, tagged)
        entries = self.target.promote(_some(extracted, ingest.DATASETS), extract.folder)
        for stage, receipts in self.evidence[1:]:
            entries += self.target.promote(_some(receipts, ("evidence",)), stage.folder)
        entries += self.target.promote(_some(resolved, ("matches",)), resolve.folder)
        entries += self.target.promote(tagged, tag.folder)
        entries += shares
        entries.append(self.target.add_table(f"sources/{PREFIX}-00000.parquet", table, schema.SOURCES))
        snapshots = [reference for reference in self.opened if reference.kind == "snapshot"]
        return self.target.finish(
            {
                "job": job,
                "config": self.told,
                "config_digest": digest(self.told),
                "parameters": self.made,
                "snapshots": [{"id": s.id, "cutoff": s.manifest["cutoff"], "index_only": s.index_only} for s in snapshots],
                "runs": [{"id": name} for name in _ids(self.opened, "run")],
                "calibration": self.calibrated,
                "prevalence": summed,
                "files": manifest.sorted_files(entries),
                "counts": counts(extracted) | comparison.counts(tagged) | read,
            },
        )

    def _calibrate(self, comparison: Comparison) -> None:
        """What the detectors say of the snapshots' own documents, and the thresholds that it raises."""
        weighed = toolbox.calibration().combiner
        if weighed is None:
            return
        self.notes += calibrating.remarks(self.opened, self.made["extract"])
        found = calibrating.run(self._stage, self.runner, self.opened, comparison.rows)
        if found is not None:
            self.calibrated, self.human_scores = found
            self.thresholds = calibrating.raised(self.calibrated, weighed)

    def _model(self, extract: Stage, extracted: dict[str, dict[str, Any]], resolve: Stage) -> dict[str, int]:
        """A language model reads what is open and watermarks are looked for, where either is named; returns what that adds to the counts."""
        marks = config.restore(self.plain, "curate")["watermark"]
        if self.located is None and not marks.keys:
            return {}
        documents = counts(extracted)["documents"]
        parts = deepening.parts(extract, extracted, resolve, tagging.evidence_of(PREFIX, extracted, self.evidence))
        context = deepening.context(self.located, documents)
        stage = self._stage("model", "deepening:ReadOpen", parts, thresholds=self.thresholds, **context)
        receipts = self.runner.run(stage)
        self.evidence.append((stage, receipts))
        found = deepening.counts(self.located, marks, receipts)
        if self.located is not None:
            self.language_model = self.located.identity
            self.notes.append(deepening.note(self.located, toolbox.calibration(), found, documents))
        return found

    def _crowd(self, extract: Stage, extracted: dict[str, dict[str, Any]], resolve: Stage) -> None:
        """What the whole crawl shows: hosts, and pages that stand in several languages."""
        columns: dict[str, Sequence[Any]] = {
            "documents": urls(extract.folder, extracted, "documents"),
            "evidence": tagging.evidence_of(PREFIX, extracted, self.evidence[:1]),
            "resolved": [resolving.resolved_url(resolve.folder, number) for number in range(len(extracted))],
        }
        self.evidence.append(crowding.run(self._stage, self.runner.run, extract, extracted, columns))

    def _tag(self, extract: Stage, extracted: dict[str, dict[str, Any]], resolve: Stage) -> Stage:
        documents = urls(extract.folder, extracted, "documents")
        evidence = tagging.evidence_of(PREFIX, extracted, self.evidence)
        parts = [
            {
                "name": name,
                "documents": documents[number],
                "evidence": evidence[number],
                "resolved": resolving.resolved_url(resolve.folder, number),
            }
            for number, name in enumerate(extracted)
        ]
        return self._stage("tag", "tagging:TagDocuments", parts, thresholds=self.thresholds, language_model=self.language_model)

    def _prevalence(
        self, extract: Stage, extracted: dict[str, dict[str, Any]], tag: Stage, tagged: dict[str, dict[str, Any]]
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The machine share by month, language, host and file: the dataset's files, and what the manifest says of it."""
        columns: dict[str, Sequence[Any]] = {
            "documents": urls(extract.folder, extracted, "documents"),
            "tags": urls(tag.folder, tagged, "tags"),
            "evidence": tagging.evidence_of(PREFIX, extracted, self.evidence),
        }
        parts = [{"name": name} | {of: column[number] for of, column in columns.items()} for number, name in enumerate(extracted)]
        count = self._stage("count", "prevailing:CountScores", parts, thresholds=self.thresholds)
        counted = [{"name": "all", "counted": urls(count.folder, self.runner.run(count), "counted")}]
        shared: dict[str, Any] = {"thresholds": self.thresholds, "human_scores": self.human_scores}
        estimate = self._stage("prevalence", "prevailing:EstimatePrevalence", counted, **shared)
        done = self.runner.run(estimate)
        return self.target.promote(done, estimate.folder), done["all"]["summary"]


def protected(patterns: Sequence[str], paths: Sequence[str]) -> list[str]:
    """The source files that match a pattern. Raises `UsageError` for a pattern that none matches: what it was to keep would be dropped."""
    for pattern in patterns:
        if not any(fnmatch.fnmatchcase(path, pattern) for path in paths):
            raise UsageError(
                f"--protect {pattern!r} matches none of the {len(paths):,} source files, and what it is to keep would be dropped. A pattern is "
                f"held against a file's path below its SOURCE{f', such as {paths[0]!r}' if paths else ''}; --protect '*' protects all."
            )
    return sorted({path for path in paths if any(fnmatch.fnmatchcase(path, pattern) for pattern in patterns)})


def _some(receipts: dict[str, dict[str, Any]], datasets: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The receipts with the files of some datasets only."""
    return {
        name: {**receipt, "files": [f for f in receipt["files"] if f["path"].split("/")[0] in datasets]}
        for name, receipt in receipts.items()
    }


def counts(extracted: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Records, documents and rejects with their reasons, over all parts."""
    reasons: dict[str, int] = {}
    for receipt in extracted.values():
        for reason, number in receipt["reasons"].items():
            reasons[reason] = reasons.get(reason, 0) + number
    documents, rejects = (sum(receipt[name] for receipt in extracted.values()) for name in ("documents", "rejects"))
    ordered = dict(sorted(reasons.items(), key=lambda item: (-item[1], item[0])))
    return {"records": documents + rejects, "documents": documents, "rejects": rejects, "rejects_by_reason": ordered}


def summary(into: str, opened: Opened) -> dict[str, Any]:
    """The closing summary of a finished run."""
    found: dict[str, Any] = {"run": into, "id": opened.id}
    for name in ("snapshots", "runs"):
        ids = [reference["id"] for reference in opened.manifest[name]]
        found |= {name: ids} if ids or name == "snapshots" else {}
    if (calibrated := opened.manifest["calibration"]) is not None:
        rate = str(opened.manifest["config"]["verdict"]["false_positives"])
        found["calibration"] = calibrating.said(calibrated, rate)
    return found | prevailing.said(opened.manifest.get("prevalence")) | ordered(opened.manifest["counts"])


SHOWN = (
    *("records", "documents", "rejects", "rejects_by_reason"),
    *("candidates", "pairs_estimated", "pairs_measured", "pairs_settled", "pairs_not_compared", "samples_not_compared"),
    *("matches", "dropped", "protected_kept", "kept"),
)


def ordered(counts: dict[str, Any]) -> dict[str, Any]:
    """Counts of a manifest in the order in which a document goes, then the rest."""
    reasons = sorted(counts["rejects_by_reason"].items(), key=lambda item: (-item[1], item[0]))
    return {name: counts[name] for name in SHOWN if name in counts} | counts | {"rejects_by_reason": dict(reasons)}
