"""The purity of a mix: the machine share that hides in its human side, estimated on a sample and printed apart from what is proven.

What is attested before a cutoff may still be machine text where the cutoff lies after the first language models that wrote for the web,
or where it rests on somebody's word. Of the human documents of the mix a sample, the first in the order of the mix's seed, is scored as a
crawl is. What was captured before 2020 can hold no such text; it is the human side against which the rest is estimated, cell by cell where
there is enough of it, and else the calibration's own human text is, so that no document is held against itself.
"""

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import calibrating, prevailing, toolbox
from pipelines.prevailing import LEAST, PLACEBO, binned, cells, counted
from pipelines.stage import Stage, urls
from provenance import combiner, evidence, prevalence
from provenance.calibration import Combiner
from provenance.prevalence import LEVEL, Cells, Counted, Estimate, Sides
from provenance.verdict import Verdict
from store import files, sql, tables

if TYPE_CHECKING:
    from pipelines.planning import Planned

SAMPLED = 5_000
"""Human documents that are scored at most: by then it is the number of hosts that limits the interval, and they take a core some seconds."""

_CHOSEN = """
SELECT DISTINCT rank, key, source, part, "row" FROM read_parquet([{shards}], hive_partitioning = false)
WHERE origin = 'human' ORDER BY rank, key LIMIT {most}
"""


def estimated(work: str, planned: "Planned", runner: Any) -> dict[str, Any]:
    """The machine share of the human side of a planned mix, as it stands in the manifest; without calibrated cells no model is loaded
    and nothing is estimated."""
    calibration = toolbox.calibration()
    weighed, rate = calibration.combiner, Verdict().rate
    of = cells(weighed, rate) if weighed is not None else None
    if weighed is None or of is None:
        return _nothing("there are no calibrated cells")
    chosen = _chosen(work, planned)
    if not chosen:
        return _nothing("no human documents")
    parts, scores = _parts(planned, chosen, weighed), []
    if parts:
        # All that a score depends on: a stage that is found done is not done again.
        context = {"rules": evidence.rules(calibration, Verdict())}
        stage = Stage("purity", "pipelines.calibrating:ScoreHumans", work, context, tuple(parts))
        scores = urls(stage.folder, runner.run(stage), "scores")
    told = judged(tables.read(scores, schema=calibrating.HUMAN_SCORES), weighed, rate, of)
    return told | {"documents": len(chosen)}


def _chosen(work: str, planned: "Planned") -> list[dict[str, Any]]:
    """The sample: source, file and row of each document."""
    paths = [files.join(planned.folder, "shards", f"{job['name']}.parquet") for job in planned.shard_jobs]
    if not paths:
        return []
    con = sql.connect(work)
    for path in paths[:1]:
        sql.register(con, path)
    shards = ", ".join(sql.quote(sql.pattern(path)) for path in paths)
    return con.sql(_CHOSEN.format(shards=shards, most=SAMPLED)).to_arrow_table().to_pylist()


def _parts(planned: "Planned", chosen: list[dict[str, Any]], weighed: Combiner) -> list[dict[str, Any]]:
    """A part for each file of documents that holds some of the sample which a cell covers, with their rows in a file. Of the others no text
    is read: they would have no score."""
    rows: dict[int, list[int]] = {}
    for one in chosen:
        rows.setdefault(planned.numbers[one["source"]][one["part"]], []).append(one["row"])
    sources = {planned.numbers[one["source"]][one["part"]]: one["source"] for one in chosen}
    parts = []
    for number in sorted(rows):
        found = _covered(planned.urls[number], np.array(sorted(rows[number]), np.int64), weighed)
        if not len(found):
            continue
        table = pa.table([found], schema=calibrating.PLACES)
        path = f"purity/{number:05d}.parquet"
        tables.write(planned.folder, path, table, calibrating.PLACES)
        part = {"name": f"{number:05d}", "snapshot": sources[number], "url": planned.urls[number]}
        parts.append(part | {"sample": files.join(planned.folder, path), "weight": len(found)})
    return parts


def _covered(url: str, rows: np.ndarray, weighed: Combiner) -> np.ndarray:
    """Those rows of a file of documents that lie in a cell."""
    facts = tables.one_batch(tables.take(url, rows, ["language", "word_count"]))
    words = pc.fill_null(facts["word_count"], -1).to_numpy(zero_copy_only=False)
    found = [combiner.inside(cell, facts["language"], words) for cell in weighed.cells]
    return rows[np.logical_or.reduce(found)]


def judged(scores: pa.Table, weighed: Combiner, rate: str, of: Cells) -> dict[str, Any]:
    """The estimate from `HUMAN_SCORES` of the sample. The share is of all of it that a cell covers, and so are its interval and bounds."""
    scores = scores.sort_by([("snapshot", "ascending"), ("key", "ascending")])
    values = pc.fill_null(scores["score"], np.nan).to_numpy()
    bins, flagged = binned(scores["cell"].to_pylist(), values, weighed, rate, None)
    pairs = zip(scores["host"].to_pylist(), scores["key"].to_pylist(), strict=True)
    hosts = [host or f"/{key}" for host, key in pairs]
    ended = pc.strftime(scores["date_end"], format="%Y-%m").to_pylist()
    before = np.array([month is not None and month < PLACEBO for month in ended], bool)

    def those(which: np.ndarray) -> Counted:
        return counted([host for host, there in zip(hosts, which.tolist(), strict=True) if there], bins[which], flagged[which], of)

    old, rest = those(before), those(~before)
    known = {"documents": len(values), "estimated": old.documents + rest.documents, "before_2020": old.documents}
    if not known["estimated"]:
        return _nothing("no calibrated cell covers a document of the human side") | known
    if not rest.documents:
        return _told(Estimate(0.0, None, None, None, None, 0, 0.0), 0.0, f"all of it was captured before {PLACEBO[:4]}") | known
    if rest.documents < LEAST:
        return _nothing(f"{rest.documents} documents were captured since {PLACEBO[:4]}, too few to estimate") | known
    sides = Sides(of, old if old.documents else None)
    found = prevalence.estimate(rest, sides)
    told = _told(found, rest.documents / known["estimated"], _note(found))
    told["human_side"] = (
        "the mix's own documents of before 2020"
        if sides.own.all()
        else "the calibration's human text, where the mix has too little of before 2020"
    )
    if old.documents >= LEAST:
        placebo = prevalence.estimate(old, Sides(of))
        told["placebo"] = {"share": placebo.share, "share_low": placebo.low, "share_high": placebo.high}
    return told | known


def _note(found: Estimate) -> str | None:
    if found.low is None:
        return "too few hosts for an interval"
    return "few hosts: the interval rests on how the hosts of before 2020 differ from each other" if found.spread else None


def _told(found: Estimate, part: float, note: str | None) -> dict[str, Any]:
    """An estimate about a part of the documents as one about all of them."""
    scaled = {name: None if share is None else round(share * part, 6) for name, share in prevailing.shares(found).items()}
    return _nothing(note) | scaled


def _nothing(note: str | None) -> dict[str, Any]:
    counts = {"documents": 0, "estimated": 0, "before_2020": 0}
    return {
        "unit": "documents",
        "level": LEVEL,
        **counts,
        **prevailing.shares(None),
        "human_side": None,
        "placebo": None,
        "note": note,
    }


def line(purity: dict[str, Any]) -> str:
    """The estimate in words, for the card, the summary and the report."""
    if purity["share"] is None or purity["share_low"] is None:
        said = (
            "not estimated"
            if purity["share"] is None
            else f"{prevailing.percent(purity['share'])} of {purity['estimated']:,} documents"
        )
        return said + (f": {purity['note']}" if purity["note"] else "")
    said = f"{prevailing.told(purity)}; " + (
        f"{purity['before_2020']:,} of them, captured before {PLACEBO[:4]}, are taken to hold none"
        if purity["before_2020"]
        else f"none of them was captured before {PLACEBO[:4]}"
    )
    if (placebo := purity["placebo"]) and placebo["share_low"]:
        said += f"; DOUBTFUL: held against the calibration's human text, even they are estimated at {prevailing.percent(placebo['share'])}"
    return said
