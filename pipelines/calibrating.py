"""The stages of the snapshots' own calibration: what the detectors of model text say of text that is known to be human.

A sample of the eligible documents of the snapshots of `--against` is scored as the crawl is. It raises a cell's threshold
where the snapshots' own conformal quantile lies above the shipped one: they are one more human source, and the one that is
likest to the crawl. It never lowers one. What the shipped thresholds would have flagged is counted beside.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.references import Rows
from pipelines.runner import Runner
from pipelines.stage import Stage, urls
from provenance import combiner, evidence, schema
from provenance.calibration import Cell, Combiner
from provenance.signals import PAGE
from store import files, tables
from store.manifest import Opened

SAMPLED = 20_000
"""Documents that are scored at most: a share of 1 % is then known to 0.07 points, and 20,000 pages take a core some seconds."""

FILES = 64
"""Files of documents that they are drawn from at most, since each has to be read whole for its digest."""

SMALLEST = 100
"""Human documents of a cell from which the snapshots have a say on its threshold: the least by which 1 % can be seen."""

PLACES = pa.schema([("row", pa.int64())])
"""Rows of one file of documents, rising."""

HUMAN_SCORES = pa.schema(
    [
        ("snapshot", pa.string()),
        ("key", pa.string()),
        ("url", pa.string()),
        ("host", pa.string()),
        ("date", schema.TIME),
        ("date_end", schema.TIME),
        ("language", pa.string()),
        ("word_count", pa.int32()),
        ("cell", pa.string()),
        ("score", pa.float64()),
        ("abstention", pa.string()),
    ]
)
"""One sampled human document a row, sorted by snapshot and key: name of its cell and score, or why there is none."""

BATCH = 512
_READ = ("key", "url", "text", "language", "word_count", "date", "date_end", "attestation", "metadata")


def run(make: Callable[..., Stage], runner: Runner, opened: Sequence[Opened], rows: Rows) -> tuple[dict[str, Any], str] | None:
    """What the snapshots say, as it stands in the run's manifest, and the URL of the file of `HUMAN_SCORES`; None where no snapshot
    has texts. `make` makes a stage of a name, a step and parts. Raises `CheckFailed` where a file is not what its manifest lists."""
    places = chosen(opened)
    if not places:
        return None
    rows.require(({str(place["scope"]): [place["number"]]} for place in places), "documents")
    sample = make("sample", "calibrating:SampleHumans", [{"name": "all", "files": places}])
    drawn = runner.run(sample)
    parts = [
        {"name": f"{number:05d}", "snapshot": place["snapshot"], "url": place["url"], "sample": url}
        for number, (place, url) in enumerate(zip(places, urls(sample.folder, drawn, "sample"), strict=True))
    ]
    score = make("score", "calibrating:ScoreHumans", parts)
    scores = urls(score.folder, runner.run(score), "scores")
    calibrate = make("calibrate", "calibrating:CalibrateRun", [{"name": "all", "scores": scores}])
    done = runner.run(calibrate)
    told = {name: done["all"][name] for name in ("sampled", "scored", "abstained", "cells")}
    ids = sorted({place["snapshot"] for place in places})
    told = {"snapshots": ids, "files": len(places), "documents": drawn["all"]["documents"]} | told
    return told, urls(calibrate.folder, done, "human_scores")[0]


def chosen(opened: Sequence[Opened]) -> list[dict[str, Any]]:
    """The files of documents that the sample is drawn from: `FILES` of the snapshots that have texts, by the order of a digest."""
    found: dict[str, dict[str, Any]] = {}
    for scope, reference in enumerate(opened):
        if reference.kind != "snapshot" or reference.index_only:
            continue
        for number, entry in enumerate(reference.entries("documents")):
            place = {"scope": scope, "number": number, "snapshot": reference.id, "url": files.join(reference.url, entry["path"])}
            if entry["rows"]:  # of versions of one snapshot, a file counts once
                found.setdefault(entry["sha256"], place)
    ordered = sorted(found, key=lambda name: hashlib.sha256(f"calibrate {name}".encode()).digest())
    return sorted((found[name] for name in ordered[:FILES]), key=lambda place: (place["scope"], place["number"]))


class SampleHumans:
    """Step, one part: of the eligible documents of some files, the rows of those whose content ids have the least digests, each text once."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        ranks, places = np.array([], np.uint64), np.empty((0, 2), np.int64)
        eligible = 0
        for number, place in enumerate(part["files"]):
            row = 0
            for batch in tables.batches(place["url"], ["content_id", "eligible"], 1 << 16):
                rows = np.flatnonzero(pc.fill_null(batch["eligible"], False).to_numpy(zero_copy_only=False))
                own = [_rank(text) for text in batch["content_id"].take(pa.array(rows)).to_pylist()]
                ranks = np.concatenate([ranks, np.array(own, np.uint64)])
                places = np.concatenate([places, np.stack([np.full(len(rows), number), rows + row], 1)])
                row += batch.num_rows
                eligible += len(rows)
                # A text that stands there twice, or in two snapshots, has one rank and counts once.
                order = np.lexsort((places[:, 1], places[:, 0], ranks))
                order = order[np.concatenate([[True], np.diff(ranks[order]) != 0])[: len(order)]][:SAMPLED]
                ranks, places = ranks[order], places[order]
        entries = []
        for number in range(len(part["files"])):
            rows = np.sort(places[places[:, 0] == number, 1])
            entries.append(
                tables.write(self.context["folder"], f"sample/{number:05d}.parquet", pa.table([rows], schema=PLACES), PLACES)
            )
        return {"files": entries, "documents": eligible, "sampled": len(ranks)}


def _rank(content_id: str) -> int:
    return int.from_bytes(hashlib.sha256(f"calibrate {content_id}".encode()).digest()[:8], "big")


class ScoreHumans:
    """Step: some rows of one file of documents -> their scores."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines.toolbox import evidence_tools

        self.tools = evidence_tools()
        weighed = self.tools.calibration.combiner
        if weighed is None:
            raise RuntimeError("the calibration file has no combiner, and the stage would do nothing. Leave it out.")
        self.combiner = weighed

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        rows = tables.read([part["sample"]])["row"].to_numpy()
        with tables.Writer(self.context["folder"], f"scores/{part['name']}.parquet", HUMAN_SCORES) as writer:
            for start in range(0, len(rows), BATCH):
                table = tables.take(part["url"], rows[start : start + BATCH], list(_READ)).combine_chunks()
                writer.write(self._scored(table.to_batches()[0], part["snapshot"]))
        return {"files": [writer.entry], "documents": writer.rows}

    def _scored(self, documents: pa.RecordBatch, snapshot: str) -> pa.RecordBatch:
        empty = pa.repeat(pa.scalar("", pa.string()), documents.num_rows)
        page = pa.record_batch([documents[n] if n in _READ else empty for n in PAGE.names], PAGE.names)
        found = evidence.score(page, "page", self.tools, self.combiner.inputs)
        scored = combiner.combine(documents, found, self.combiner)
        names = pa.array([cell.name for cell in self.combiner.cells], pa.string())
        columns = {name: documents[name] for name in HUMAN_SCORES.names if name in _READ} | {
            "snapshot": pa.repeat(pa.scalar(snapshot, pa.string()), documents.num_rows),
            "host": pa.array([host_of(url) or None for url in documents["url"].to_pylist()], pa.string()),
            "cell": names.take(scored["cell"]),
            "score": scored["score"],
            "abstention": scored["abstention"],
        }
        return pa.record_batch([columns[name] for name in HUMAN_SCORES.names], schema=HUMAN_SCORES)


def host_of(url: str | None) -> str:
    """The host of an address, lower case, empty for none; as the named query `origin_by_host` has it."""
    try:
        return urlsplit(url or "").hostname or ""
    except ValueError:  # brackets that hold no address
        return ""


class CalibrateRun:
    """Step, one part: the scores of the sample -> one file of `HUMAN_SCORES`, and what they say of each cell."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines.toolbox import calibration

        weighed = calibration().combiner
        self.cells = weighed.cells if weighed else ()

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        table = tables.read(part["scores"], schema=HUMAN_SCORES).sort_by([("snapshot", "ascending"), ("key", "ascending")])
        entry = tables.write(self.context["folder"], "human_scores/all.parquet", table, HUMAN_SCORES)
        return {"files": [entry], **measured(table, self.cells)}


def measured(scores: pa.Table, known: Sequence[Cell]) -> dict[str, Any]:
    """What `HUMAN_SCORES` say: how many have a score, why the others have none, and of each cell that has any, how many the shipped
    thresholds flag, the conformal quantile at each rate, the thresholds to use, and the counts of scores between the cell's edges."""
    cells, values = scores["cell"].to_pylist(), scores["score"].to_numpy()
    abstained: dict[str, int] = {}
    for why in scores["abstention"].to_pylist():
        if why is not None:
            abstained[why] = abstained.get(why, 0) + 1
    named = np.array(["" if name is None else name for name in cells], object)
    own = {cell.name: np.sort(values[(named == cell.name) & np.isfinite(values)]) for cell in known}
    return {
        "sampled": len(values),
        "scored": int(np.isfinite(values).sum()),
        "abstained": dict(sorted(abstained.items())),
        "cells": [_measured(cell, own[cell.name]) for cell in known if len(own[cell.name])],
    }


def _measured(cell: Cell, values: np.ndarray) -> dict[str, Any]:
    """What the scores of one cell say; `values` are float64[n], rising."""
    quantiles = {rate: combiner.conformal(values, rate) for rate in cell.thresholds}
    heard = len(values) >= SMALLEST
    used = {
        rate: max(shipped, own) if heard and (own := quantiles[rate]) is not None else shipped
        for rate, shipped in cell.thresholds.items()
    }
    edges = np.searchsorted(np.array(cell.edges, np.float64), values, side="right")
    return {
        "cell": cell.name,
        "rows": len(values),
        "flagged": {rate: int((values >= shipped).sum()) for rate, shipped in cell.thresholds.items()},
        "quantiles": quantiles,
        "thresholds": used,
        "histogram": np.bincount(edges, minlength=len(cell.edges) + 1).tolist(),
    }


def raised(calibrated: Mapping[str, Any] | None, weighed: Combiner | None) -> dict[str, dict[str, float]] | None:
    """The thresholds that lie above the shipped ones, by cell and rate, None where none do."""
    if calibrated is None or weighed is None:
        return None
    shipped = {cell.name: cell.thresholds for cell in weighed.cells}
    found: dict[str, dict[str, float]] = {}
    for cell in calibrated["cells"]:
        own = {rate: used for rate, used in cell["thresholds"].items() if used > shipped[cell["cell"]][rate]}
        found |= {cell["cell"]: own} if own else {}
    return found or None


def said(calibrated: Mapping[str, Any], rate: str) -> str:
    """What the sample says, as a line of the closing summary."""
    flagged = sum(cell["flagged"][rate] for cell in calibrated["cells"])
    scored, sampled = calibrated["scored"], calibrated["sampled"]
    share = f" ({flagged / scored:.2%})" if scored else ""
    return (
        f"of {scored:,} human documents of the snapshots the detectors would have flagged {flagged:,}{share} at a stated rate of {rate}; "
        f"{sampled - scored:,} of {sampled:,} in the sample have no score"
    )


def remarks(opened: Sequence[Opened], extract: str) -> list[str]:
    """What is to be said of snapshots as calibration: which have no texts, and which have texts of another extractor."""
    found = []
    for one in (one for one in opened if one.kind == "snapshot"):
        if one.index_only:
            found.append(f"snapshot {one.url} holds no texts: what the detectors would flag in it cannot be counted")
        elif one.manifest["parameters"].get("extract") != extract:
            found.append(
                f"snapshot {one.url} holds texts of another extractor: what the detectors flag in it may not be what they flag here"
            )
    return found
