"""`freeze`: make a snapshot of sources that are older than a cutoff, which nobody can change unnoticed."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from pipelines import config, ingest, matching, moments, sealing
from pipelines.curate import counts, dry_run, ordered, parameters
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

DATASETS = ("documents", "rejects", "sources", "signatures", "bands", "evidence", "tags", "manifests")


def run(sources: Sequence[str], into: str, cutoff: str, declaration: str | None, job: "Job") -> dict[str, Any]:
    """Runs the verb; returns the closing summary. Raises `UsageError`, `CheckFailed`, `Incomplete`."""
    settings = config.resolve("freeze", job.config, job.overrides)
    check_beam_args(job.beam_args, job.workers)
    plain, made = config.plain(settings), parameters(settings)
    admission = {"cutoff": _cutoff(cutoff), "declaration": _declaration(declaration)}
    if job.dry_run:
        return dry_run(sources, into, plain | {"admission": admission}, [f"{dataset}/" for dataset in DATASETS], [])
    progress = Progress(quiet=job.quiet)
    apart(into, sources)
    with Target(into, "snapshot") as target, Runner(job.workers, job.beam_args, progress) as runner:
        opened = _Chain(target, plain, made, admission, runner).run(sources)
        target.log("freeze", progress)
    return summary(into, opened) | target.note()


def _cutoff(text: str) -> str:
    """The cutoff as an instant in UTC; a date is its first instant. Raises `UsageError`."""
    try:
        instant = moments.instant(text)
        if instant > datetime.now(UTC):
            raise UsageError(
                f"--cutoff {text} lies in the future, so captures that nobody can have made would pass it. Name a past date."
            )
        return moments.text(instant)
    except (ValueError, OverflowError) as error:
        raise UsageError(
            f"--cutoff {text!r} is no date: {error}. Captures are compared with it; write 2022-01-01 or 2022-01-01T00:00:00Z."
        ) from error


def _declaration(text: str | None) -> str | None:
    if text is not None and not text.strip():
        raise UsageError(
            "--declare is empty; it stays in the manifest as the only word for rows without a capture time. Say who vouches, and why."
        )
    return text


class _Chain:
    """The stages of one freeze, in order."""

    def __init__(self, target: Target, plain: dict[str, Any], made: dict[str, Any], admission: dict[str, Any], runner: Runner):
        self.target, self.plain, self.made, self.admission, self.runner = target, plain, made, admission, runner
        self.prefix = ""

    def _stage(
        self, name: str, step: str, parts: Sequence[dict[str, Any]], partitions: tuple[int, ...] = (), **context: Any
    ) -> Stage:
        shared = {"config": self.plain, "parameters": self.made, "prefix": self.prefix}
        return Stage(name, f"pipelines.{step}", self.target.work, shared | context, tuple(parts), partitions)

    def run(self, sources: Sequence[str]) -> Opened:
        found = ingest.survey(sources, self.target.work, self.plain, self.runner)
        job = digest([self.plain, self.made, self.admission, ingest.inputs_digest_parts(found)])
        if opened := self.target.claim(job):
            return opened
        # Several versions of a snapshot may share a folder, so their files are told apart by their job.
        self.prefix = job[:12]
        extract = self._stage(
            "extract", "extraction:ExtractPart", ingest.parts(found, self.plain["read"]["part_bytes"]), freeze=self.admission
        )
        extracted = self.runner.run(extract)
        table = ingest.sources_table(found, extracted)
        seal, sealed = self._seal(extract, extracted)
        bands = self._bands(extract, extracted)
        indexed = self.runner.run(bands)
        grow = self._stage(
            "tree", "sealing:GrowTree", [{"name": "all", "documents": matching.urls(seal.folder, sealed, "documents")}]
        )
        tree = self.runner.run(grow)["all"]
        # The extracted documents stay behind: the sealed ones take their place.
        others = {
            name: {**receipt, "files": [f for f in receipt["files"] if not f["path"].startswith("documents/")]}
            for name, receipt in extracted.items()
        }
        entries = (
            self.target.promote(others, extract.folder)
            + self.target.promote(sealed, seal.folder)
            + self.target.promote(indexed, bands.folder)
        )
        entries.append(self.target.add_table(f"sources/{self.prefix}-00000.parquet", table, schema.SOURCES))
        return self._finish(job, entries, extracted, sealed, tree)

    def _seal(self, extract: Stage, extracted: dict[str, dict[str, Any]]) -> tuple[Stage, dict[str, dict[str, Any]]]:
        documents = matching.urls(extract.folder, extracted, "documents")
        search = self._stage(
            "boilerplate",
            "sealing:FindBoilerplate",
            [{"name": "all", "documents": documents}],
            hosts=self.plain["freeze"]["boilerplate_hosts"],
        )
        self.runner.run(search)
        evidence = matching.urls(extract.folder, extracted, "evidence")
        parts = [{"name": name, "documents": a, "evidence": b} for name, a, b in zip(extracted, documents, evidence, strict=True)]
        seal = self._stage(
            "seal",
            "sealing:SealDocuments",
            parts,
            boilerplate=files.join(search.folder, "boilerplate.parquet"),
            extractor=digest(self.made["extract"]),
            rules=sealing.rules(self.plain, self.made),
        )
        return seal, self.runner.run(seal)

    def _bands(self, extract: Stage, extracted: dict[str, dict[str, Any]]) -> Stage:
        count = matching.ranges(sum(receipt["documents"] for receipt in extracted.values()))
        signatures = matching.urls(extract.folder, extracted, "signatures")
        parts = [
            {"name": name, "number": number, "signatures": url}
            for number, (name, url) in enumerate(zip(extracted, signatures, strict=True))
        ]
        options = config.restore(self.plain, "freeze")["minhash"]
        return self._stage("bands", "sealing:IndexBands", parts, matching.partitions(options, count), ranges=count)

    def _finish(
        self, job: str, entries: list[dict[str, Any]], extracted: dict[str, Any], sealed: dict[str, Any], tree: dict[str, Any]
    ) -> Opened:
        body = {
            "job": job,
            "parent": None,
            "cutoff": self.admission["cutoff"],
            "declaration": self.admission["declaration"],
            "config": self.plain,
            "config_digest": digest(self.plain),
            "parameters": self.made,
            "tree": {"size": tree["size"], "root": tree["root"]},
            "files": manifest.sorted_files(entries),
            "counts": counts(extracted) | _sealed_counts(sealed),
        }
        return self.target.finish(body)


def _sealed_counts(sealed: dict[str, dict[str, Any]]) -> dict[str, Any]:
    eligible: dict[str, int] = {}
    size: dict[str, int] = {}
    ineligible: dict[str, int] = {}
    for receipt in sealed.values():
        for level, number in receipt["eligible"].items():
            eligible[level] = eligible.get(level, 0) + number["documents"]
            size[level] = size.get(level, 0) + number["bytes"]
        for reason, number in receipt["ineligible"].items():
            ineligible[reason] = ineligible.get(reason, 0) + number
    return {"eligible": eligible, "eligible_bytes": size, "ineligible": ineligible}


def summary(into: str, opened: Opened) -> dict[str, Any]:
    """The closing summary of a finished snapshot."""
    found = {
        "snapshot": into,
        "id": opened.id,
        "cutoff": opened.manifest["cutoff"],
        "declaration": opened.manifest["declaration"],
        "tree": opened.manifest["tree"],
        **ordered(opened.manifest["counts"]),
    }
    if not opened.manifest["counts"]["documents"]:
        found["line"] = "Warning: nothing was frozen; all records were rejected, for the reasons below."
    return found
