"""`curate`: extract a crawl, match it against snapshots and itself, and tag every document's likely origin."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines import config, ingest, matching, references, resolving
from pipelines.progress import Progress
from pipelines.runner import Runner, check_beam_args
from pipelines.stage import Stage
from pipelines.target import Target, apart
from provenance import schema
from provenance.identity import digest
from store import files, manifest
from store.errors import UsageError
from store.manifest import Opened

if TYPE_CHECKING:
    from pipelines.cli import Job

PREFIX = "part"
MATCHED_DATASETS = ("bands", "documents", "leaves")
"""What of a snapshot the match reads, and so checks before it does; its signatures too where a text may be missing."""

REFERENCED = (*MATCHED_DATASETS, "signatures")


def run(sources: Sequence[str], into: str, against: Sequence[str], job: "Job") -> dict[str, Any]:
    """Runs the verb; returns the closing summary. Raises `UsageError`, `CheckFailed`, `Incomplete`."""
    settings = config.resolve("curate", job.config, job.overrides)
    check_beam_args(job.beam_args, job.workers)
    plain, made = config.plain(settings), parameters(settings)
    snapshots = list({snapshot.id: snapshot for snapshot in map(manifest.open_snapshot, against)}.values())
    _check_comparable(made["minhash"], snapshots)
    if job.dry_run:
        return dry_run(
            sources, into, plain, [*(f"{dataset}/" for dataset in schema.DATASETS), manifest.MANIFEST], [s.id for s in snapshots]
        )
    progress = Progress(quiet=job.quiet)
    apart(into, sources)
    with Target(into, "run") as target, Runner(job.workers, job.beam_args, progress) as runner:
        for snapshot in snapshots:
            blind = snapshot.index_only or snapshot.redacted
            references.require(snapshot, REFERENCED if blind else MATCHED_DATASETS)
        chain = _Chain(target, plain, config.portable(settings), made, snapshots, runner)
        opened = chain.run(sources)
        target.log("curate", progress)
    return summary(into, opened) | ({"notes": chain.notes} if chain.notes else {}) | target.note()


def parameters(settings: dict[str, Any]) -> dict[str, Any]:
    """All that shapes a run's or snapshot's rows beside the configuration: versions of extractor, match and rules."""
    from pipelines import toolbox
    from provenance import evidence, extract, language, minhash
    from provenance.identity import sha256_hex

    try:
        extracted = extract.digest(settings["extract"])
        extract.extractor(settings["extract"])  # a library that does not load is told before any work
    except ValueError as error:
        raise UsageError(str(error)) from error
    return {
        "extract": extracted,
        "language_model": sha256_hex(Path(language.model_path()).read_bytes()),
        "minhash": minhash.parameters(settings["minhash"]),
        "rules": evidence.rules(toolbox.calibration(), settings["verdict"]),
        "schema_version": schema.SCHEMA_VERSION,
    }


def dry_run(sources: Sequence[str], into: str, plain: dict[str, Any], datasets: list[str], snapshots: list[str]) -> dict[str, Any]:
    """What the command would read and write; nothing is touched."""
    from store import reading

    inputs = [url for url, _ in reading.expand(sources)]
    return {
        "dry_run": True,
        "config": plain,
        "snapshots": snapshots,
        "inputs": inputs,
        "writes": [files.join(into, name) for name in datasets],
    }


def _check_comparable(ours: dict[str, Any], snapshots: list[Opened]) -> None:
    from provenance import minhash

    for snapshot in snapshots:
        try:
            minhash.check_compatible(ours, snapshot.manifest["parameters"]["minhash"])
        except ValueError as error:
            raise UsageError(f"against {snapshot.url}: {error}") from error


class _Chain:
    """The stages of one run, in order."""

    def __init__(
        self,
        target: Target,
        plain: dict[str, Any],
        told: dict[str, Any],
        made: dict[str, Any],
        snapshots: list[Opened],
        runner: Runner,
    ):
        self.target, self.plain, self.told, self.made, self.snapshots, self.runner = target, plain, told, made, snapshots, runner
        self.notes: list[str] = []
        self.references = [
            {"id": s.id, "cutoff": s.manifest["cutoff"], "index_only": s.index_only, **{name: s.files(name) for name in REFERENCED}}
            for s in snapshots
        ]

    def _stage(
        self, name: str, step: str, parts: Sequence[dict[str, Any]], partitions: tuple[int, ...] = (), **context: Any
    ) -> Stage:
        shared = {"config": self.plain, "parameters": self.made, "prefix": PREFIX, "snapshots": self.references}
        return Stage(name, f"pipelines.{step}", self.target.work, shared | context, tuple(parts), partitions)

    def run(self, sources: Sequence[str]) -> Opened:
        found = ingest.survey(sources, self.target.work, self.plain, self.runner)
        self.notes = ingest.sidecar(found, self.plain)
        job = digest([self.told, self.made, ingest.inputs_digest_parts(found), [s.id for s in self.snapshots]])
        if opened := self.target.claim(job):
            return opened
        parts = ingest.parts(found, self.plain["read"]["part_bytes"])
        extract = self._stage("extract", "extraction:ExtractPart", parts)
        extracted = self.runner.run(extract)
        table = ingest.sources_table(found, extracted)
        matched = self._match(extract, extracted)
        tag = self._tag(extract, extracted, matched["resolve"][0])
        tagged = self.runner.run(tag)
        entries = self.target.promote(extracted, extract.folder)
        entries += self.target.promote(_only(matched["resolve"][1], "matches"), matched["resolve"][0].folder)
        entries += self.target.promote(tagged, tag.folder)
        entries.append(self.target.add_table(f"sources/{PREFIX}-00000.parquet", table, schema.SOURCES))
        return self.target.finish(
            {
                "job": job,
                "config": self.told,
                "config_digest": digest(self.told),
                "parameters": self.made,
                "snapshots": [{"id": s.id, "cutoff": s.manifest["cutoff"], "index_only": s.index_only} for s in self.snapshots],
                "files": manifest.sorted_files(entries),
                "counts": counts(extracted) | _matched_counts(matched, tagged),
            },
        )

    def _match(self, extract: Stage, extracted: dict[str, dict[str, Any]]) -> dict[str, tuple[Stage, dict[str, dict[str, Any]]]]:
        documents = matching.urls(extract.folder, extracted, "documents")
        signatures = matching.urls(extract.folder, extracted, "signatures")
        done: dict[str, tuple[Stage, dict[str, dict[str, Any]]]] = {}

        def do(
            name: str, step: str, parts: Sequence[dict[str, Any]], partitions: tuple[int, ...] = (), **context: Any
        ) -> dict[str, dict[str, Any]]:
            stage = self._stage(name, step, parts, partitions, **context)
            done[name] = stage, self.runner.run(stage)
            return done[name][1]

        def urls(name: str, dataset: str) -> list[str]:
            return matching.urls(done[name][0].folder, done[name][1], dataset)

        do("rank", "matching:RankDocuments", [{"name": "all", "documents": documents, "snapshots": self.references}])
        ranked = urls("rank", "ranked")
        count = matching.ranges(sum(receipt["documents"] for receipt in extracted.values()))
        options = config.restore(self.plain, "curate")["minhash"]
        pairs = zip(extracted.items(), ranked, signatures, strict=True)
        parts = [
            {"name": name, "ranked": a, "signatures": b, "weight": matching.shuffled(receipt["documents"], options)}
            for (name, receipt), a, b in pairs
        ]
        do("candidates", "matching:FindCandidates", parts, matching.partitions(options, count), ranges=count)
        do(
            "pair",
            "matching:PairUp",
            [{"name": "all", "candidates": urls("candidates", "candidates"), "ranked": ranked, "parts": len(ranked)}],
        )
        measure = [{"name": f"{i:05d}", "pairs": url} for i, url in enumerate(urls("pair", "pairs"))]
        do("measure", "matching:MeasurePairs", measure, documents=documents, signatures=signatures)
        do("resolve", "resolving:ResolveMatches", [{"name": "all", "ranked": ranked, "measured": urls("measure", "measured")}])
        return done

    def _tag(self, extract: Stage, extracted: dict[str, dict[str, Any]], resolve: Stage) -> Stage:
        parts = [
            {
                "name": name,
                "documents": matching.urls(extract.folder, {name: receipt}, "documents")[0],
                "evidence": matching.urls(extract.folder, {name: receipt}, "evidence")[0],
                "resolved": resolving.resolved_url(resolve.folder, number),
            }
            for number, (name, receipt) in enumerate(extracted.items())
        ]
        return self._stage("tag", "tagging:TagDocuments", parts)


def _only(receipts: dict[str, dict[str, Any]], dataset: str) -> dict[str, dict[str, Any]]:
    """The receipts with the files of one dataset only."""
    return {
        name: {**receipt, "files": [f for f in receipt["files"] if f["path"].startswith(f"{dataset}/")]}
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


def _matched_counts(matched: dict[str, Any], tagged: dict[str, dict[str, Any]]) -> dict[str, Any]:
    def total(name: str, field: str) -> int:
        return sum(receipt[field] for receipt in matched[name][1].values())

    origins, kept = ({o: sum(r[field][o] for r in tagged.values()) for o in schema.ORIGINS} for field in ("origins", "kept"))
    return {
        "candidates": total("pair", "pairs"),
        "pairs_not_compared": total("candidates", "not_compared"),
        "pairs_estimated": total("measure", "estimated"),
        "matches": total("resolve", "matches"),
        "dropped": total("resolve", "dropped"),
        "kept": sum(kept.values()),
        "origins": origins,
        "kept_origins": kept,
    }


def summary(into: str, opened: Opened) -> dict[str, Any]:
    """The closing summary of a finished run."""
    found = {"run": into, "id": opened.id, "snapshots": [s["id"] for s in opened.manifest["snapshots"]]}
    return found | ordered(opened.manifest["counts"])


def ordered(counts: dict[str, Any]) -> dict[str, Any]:
    """Counts of a manifest in the order in which a document goes: records, documents, rejects, then the rest."""
    first = ("records", "documents", "rejects", "rejects_by_reason")
    reasons = sorted(counts["rejects_by_reason"].items(), key=lambda item: (-item[1], item[0]))
    return {name: counts[name] for name in first} | counts | {"rejects_by_reason": dict(reasons)}
