"""The way in, shared by `freeze` and `curate`: survey the input files, cut them into parts, extract each part.

The survey reads every file once for its digest, its records and an independent count of record starts; the parts come
out in order of the files' digests, so that neither paths nor the order of arguments name anything.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa

from pipelines.runner import Runner
from pipelines.stage import Stage
from provenance import schema
from store import files
from store.errors import CheckFailed

DATASETS = ("documents", "rejects", "signatures", "evidence")


@dataclass(frozen=True)
class Source:
    """One input file after the survey."""

    url: str
    file_path: str
    sha256: str
    copy: int
    size: int
    format: str | None
    records: int
    boundaries: int
    unaccounted: int
    splits: tuple[dict[str, int], ...]
    damage: tuple[int, int] | None
    version: str


class SurveyFile:
    """Step: one input file -> its digest, format, records and splits."""

    def __init__(self, context: dict[str, Any]):
        from pipelines import config

        self.options = config.restore(context["config"], "curate")["read"]

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        from store import reading

        found = asdict(reading.survey(part["url"], self.options))
        return {**found, "bytes": found["size"], "files": []}


def survey(sources: Sequence[str], work: str, config: dict[str, Any], runner: Runner) -> list[Source]:
    """Surveys all files of the sources; sorted by digest, equal files numbered in order of their paths.

    Raises `UsageError` where a source matches nothing and `CheckFailed` where a record start is unaccounted for.
    """
    from store import reading

    inputs = reading.expand(sources)
    parts = tuple(
        {"name": f"{i:06d}", "url": url, "version": version, "weight": size}
        for i, (url, (version, size)) in enumerate((url, files.version(url)) for url, _ in inputs)
    )
    versions = {str(part["url"]): str(part["version"]) for part in parts}
    receipts = runner.run(Stage("survey", "pipelines.ingest:SurveyFile", work, {"config": {"read": config["read"]}}, parts))
    found = sorted(
        ((receipt, url, path) for receipt, (url, path) in zip(receipts.values(), inputs, strict=True)),
        key=lambda f: (f[0]["sha256"], f[2], f[1]),
    )
    copies: dict[str, int] = {}
    result = []
    for receipt, url, path in found:
        copy = copies[receipt["sha256"]] = copies.get(receipt["sha256"], -1) + 1
        numbers = {name: receipt[name] for name in ("sha256", "size", "format", "records", "boundaries", "unaccounted")}
        damage = tuple(receipt["damage"]) if receipt["damage"] else None
        version = versions[url]
        result.append(Source(url, path, copy=copy, splits=tuple(receipt["splits"]), damage=damage, version=version, **numbers))
    if lost := [source for source in result if source.unaccounted]:
        raise CheckFailed(
            f"{lost[0].file_path}: {lost[0].unaccounted} of {lost[0].boundaries} record starts that a scan for markers found were read by nobody; "
            "records would be lost silently. This is a fault of the reader: keep the file and report it; leave it out to go on."
        )
    return result


def sidecar(sources: Sequence[Source], plain: dict[str, Any]) -> list[str]:
    """What is to be said of the sidecar table: files that have no row in it, rows that name no file. Raises `UsageError`."""
    from pipelines import config
    from store import reading

    options = config.restore({"read": plain["read"]}, "curate")["read"]
    found = reading.coverage(options, [source.file_path for source in sources])
    told = (
        ("file has no row in the sidecar", "files have no row in the sidecar", found.without_row),
        ("row of the sidecar names no file", "rows of the sidecar name no file", found.without_file),
    )
    return [
        f"1 {one}, {names[0]}" if len(names) == 1 else f"{len(names):,} {many}, first {names[0]}"
        for one, many, names in told
        if names
    ]


def parts(
    sources: Sequence[Source], part_bytes: int, witnesses: Mapping[str, dict[str, str]] | None = None
) -> tuple[dict[str, Any], ...]:
    """Cuts the files into parts of about `part_bytes`: splits of large files alone, small ones together, in order.

    `witnesses` gives who knew a file before the cutoff, by the file's SHA-256.
    """
    packed: list[dict[str, Any]] = []
    for source in sources:
        where = {name: getattr(source, name) for name in ("url", "file_path", "sha256", "copy", "format", "damage", "version")}
        if witnesses and source.sha256 in witnesses:
            where["witness"] = witnesses[source.sha256]
        for split in source.splits:
            size = max(split["bytes"], 1)
            if not packed or packed[-1]["weight"] + size > part_bytes:
                packed.append({"name": f"{len(packed):06d}", "weight": 0, "pieces": []})
            packed[-1]["pieces"].append({**where, "split": split})
            packed[-1]["weight"] += size
    return tuple(packed)


def sources_table(
    sources: Sequence[Source], receipts: dict[str, dict[str, Any]], present: Mapping[str, int] | None = None
) -> pa.Table:
    """The `sources` dataset. Raises `CheckFailed` unless records = documents + rejects for every file.

    `present` says how many of the documents of a file (`SHA-256:copy`) became rejects after they were extracted.
    """
    counts: dict[tuple[str, int], list[int]] = {}
    for receipt in receipts.values():
        for piece in receipt["pieces"]:
            count = counts.setdefault((piece["sha256"], piece["copy"]), [0, 0])
            count[0] += piece["documents"]
            count[1] += piece["rejects"]
    rows = []
    for source in sources:
        documents, rejects = counts.get((source.sha256, source.copy), [0, 0])
        if documents + rejects != source.records:
            raise CheckFailed(
                f"{source.file_path}: {source.records} records were framed, and {documents} documents and {rejects} rejects came of them; "
                "something was lost. Run the same command into an empty folder; if it stays, report it with the file."
            )
        row = {name: value for name, value in asdict(source).items() if name in schema.SOURCES.names}
        again = (present or {}).get(f"{source.sha256}:{source.copy}", 0)
        rows.append(row | {"documents": documents - again, "rejects": rejects + again})
    return pa.Table.from_pylist(sorted(rows, key=lambda row: (row["file_path"], row["sha256"], row["copy"])), schema=schema.SOURCES)


def inputs_digest_parts(sources: Sequence[Source]) -> list[list[Any]]:
    """What identifies the inputs in a manifest: digest, copy number and relative path of each file."""
    return [[source.sha256, source.copy, source.file_path] for source in sources]
