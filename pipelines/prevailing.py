"""The stage `prevalence`: how much of a run is machine text, by month, language, host and file, estimated and not counted from tags.

`CountScores` counts one part's documents by host, month, language, file, tag and bin of the score; `EstimatePrevalence` adds the counts up
in DuckDB and estimates one group at a time, so that no document passes through Python twice. All documents count, those that were dropped
as copies too: origin is looked at before any filter.
"""

from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines import moments, toolbox
from pipelines.calibrating import host_of
from provenance import combiner as combining
from provenance import prevalence, schema
from provenance.calibration import Cell, Combiner
from provenance.identity import sha256_hex
from provenance.prevalence import LEVEL, Cells, Counted, Estimate, Sides
from provenance.proportions import binomial_interval
from store import sql, tables

if TYPE_CHECKING:
    import duckdb

COUNTED = pa.schema(
    [
        *((name, pa.string()) for name in ("host", "month", "language", "file")),
        ("before", pa.bool_()),
        ("kept", pa.bool_()),
        ("origin", pa.string()),
        ("bin", pa.int32()),
        ("flagged", pa.bool_()),
        ("documents", pa.int64()),
    ]
)
"""Documents of a part that agree in all of it. `host` of what has none is its file, after a slash; `month` is that of the middle of the
capture interval, null where it spans more than `SPAN`; `before`: whether all of it lies before `PLACEBO`; `bin` is null for what no cell covers."""

GROUPS = 512
"""Random groups that the hosts of a set are put into where they are more."""
LEAST = 15
"""Documents below which a host, file or language has no row of its own, and no group is estimated: 15 pages, as DeGenTWeb asks of a site."""
MOST = 200
"""Hosts, files and languages that have rows of their own, the largest first."""
MONTHS = 240
"""Months that have rows of their own, the largest first: 20 years, more than crawls hold unless their dates are made up."""
SPAN = timedelta(days=62)
"""Longest capture interval that has a month: one that names a month has its days and some hours on both sides."""
SHARES = {
    "share": "share",
    "low": "share_low",
    "high": "share_high",
    "bound_low": "rogan_gladen_low",
    "bound_high": "rogan_gladen_high",
}
"""Name of the column for each field of an `Estimate` that is a share."""
PLACEBO = "2020-01"
"""Month before which there was no model text to speak of on the web."""

OTHERS, NO_HOST, NO_DATE = "all others/", "no host", "no date"
"""Values that stand for several, or for none: no file ends with a slash, and no host or language that counts as one has white space."""

DIMENSIONS = {
    "all": ("'all documents'", "true", 1, 1),
    "kept": ("'kept documents'", "kept", 1, 1),
    "placebo": (f"'captured before {PLACEBO[:4]}'", "before", 1, 1),
    "month": (f"coalesce(month, '{NO_DATE}')", "true", 1, MONTHS),
    "language": ("CASE WHEN regexp_matches(language, '^[^[:space:]]+$') THEN language ELSE 'unknown' END", "true", LEAST, MOST),
    "file": ("file", "true", LEAST, MOST),
    "host": (f"CASE WHEN host LIKE '/%' THEN '{NO_HOST}' ELSE host END", "true", LEAST, MOST),
}
"""Of each dimension: its value and which documents are in it, as SQL over `COUNTED`, the least documents of a value that has a row of its
own, and the most such rows."""

_VALUED = """
CREATE OR REPLACE TEMP TABLE valued AS
SELECT CASE WHEN value NOT IN (SELECT value FROM (SELECT value, sum(documents) AS n FROM (SELECT {value} AS value, documents FROM counted
  WHERE {among}) GROUP BY value HAVING n >= {least} ORDER BY n DESC, value LIMIT {most})) THEN {others} ELSE value END AS value,
  host, origin, bin, flagged, before, sum(documents)::BIGINT AS documents
FROM (SELECT {value} AS value, * FROM counted WHERE {among}) GROUP BY ALL
"""
_TOTALS = """
SELECT value, sum(documents)::BIGINT AS documents, coalesce(sum(documents) FILTER (WHERE bin IS NOT NULL), 0)::BIGINT AS estimated,
  count(DISTINCT host) AS hosts, bool_and(before) AS placebo, {origins}
FROM valued GROUP BY value ORDER BY value
"""
_GROUPED = f"""
CREATE OR REPLACE TEMP TABLE grouped AS
SELECT value, (dense_rank() OVER (PARTITION BY value ORDER BY sha256(host), host) - 1) % {GROUPS} AS "group", bin,
  sum(documents)::BIGINT AS documents, (coalesce(sum(documents) FILTER (WHERE flagged), 0))::BIGINT AS flagged
FROM (SELECT value, host, bin, flagged, documents FROM valued WHERE bin IS NOT NULL) GROUP BY value, host, bin
"""


def cells(combiner: Combiner, rate: str) -> Cells | None:
    """What the calibration says of the cells whose scores it counted, at a false-positive rate; None where it counted none."""
    counted = _counted_cells(combiner)
    if not counted:
        return None
    return Cells(
        owner=np.repeat(np.arange(len(counted)), [len(cell.human) for cell in counted]),
        human=np.concatenate([cell.human for cell in counted]),
        machine=np.concatenate([cell.machine for cell in counted]),
        human_rows=np.array([cell.human_rows for cell in counted]),
        machine_rows=np.array([cell.machine_rows for cell in counted]),
        true_positives=np.array([_true(cell, rate) for cell in counted], float),
        # Without a sample of its own the human side may be one source, which may have twice the rate of the average one.
        stated=np.full(len(counted), 2 * float(rate)),
    )


def _counted_cells(combiner: Combiner) -> list[Cell]:
    """Those whose histograms say from how many rows they were counted."""
    return [cell for cell in combiner.cells if cell.edges and cell.human_rows and cell.machine_rows]


def _true(cell: Cell, rate: str) -> tuple[float, float]:
    """The range of a cell's rate of true positives: over sources and generators that were left out, and up to what the machine histogram
    itself has in the bins that reach the threshold, since text of known generators is found more often."""
    low, high = cell.true_positives.get(rate, (0.0, 1.0))
    from_bin = int(np.searchsorted(np.array(cell.edges), cell.thresholds[rate], side="right"))
    return low, max(high, float(np.sum(cell.machine[from_bin:])))


def binned(
    names: Sequence[str | None], scores: np.ndarray, combiner: Combiner, rate: str, thresholds: combining.Thresholds | None
) -> tuple[np.ndarray, np.ndarray]:
    """(bin over all cells of `cells`, -1 for none; whether the score reaches its cell's threshold), of scores in cells of some names."""
    bins, flagged = np.full(len(scores), -1), np.zeros(len(scores), bool)
    named, start = np.array([name or "" for name in names], object), 0
    for cell in _counted_cells(combiner):
        mine = (named == cell.name) & np.isfinite(scores)
        bins[mine] = start + np.searchsorted(np.array(cell.edges), scores[mine], side="right")
        flagged[mine] = scores[mine] >= combining.threshold(cell, rate, thresholds)
        start += len(cell.human)
    return bins, flagged


def counted(hosts: Sequence[str], bins: np.ndarray, flagged: np.ndarray, sides: Cells) -> Counted:
    """Scores by host; hosts are put into at most `GROUPS` groups in the order of their digests. Scores without a bin are left out."""
    there = bins >= 0
    order = {host: i for i, host in enumerate(sorted(set(hosts), key=lambda host: (sha256_hex(host.encode()), host)))}
    group = np.array([order[host] % GROUPS for host in hosts], int)[there]
    shape = (min(len(order), GROUPS), len(sides.owner))
    made, over = np.zeros(shape, np.int64), np.zeros((shape[0], len(sides.human_rows)), np.int64)
    np.add.at(made, (group, bins[there]), 1)
    np.add.at(over, (group, sides.owner[bins[there]]), flagged[there].astype(np.int64))
    return Counted(made[made.any(axis=1)], over[made.any(axis=1)])


def human_side(url: str | None, combiner: Combiner, rate: str, thresholds: combining.Thresholds | None, of: Cells) -> Sides:
    """P and Q of a run, P from the scores of the snapshots' sample at `url` where there are any. What has no host stands for itself."""
    if url is None:
        return Sides(of)
    found = tables.read([url], ["key", "host", "cell", "score"])
    scores = pc.fill_null(found["score"], np.nan).to_numpy()
    bins, flagged = binned(found["cell"].to_pylist(), scores, combiner, rate, thresholds)
    keyed = zip(found["host"].to_pylist(), found["key"].to_pylist(), strict=True)
    sample = counted([host or f"/{key}" for host, key in keyed], bins, flagged, of)
    return Sides(of, sample if sample.documents else None)


def _host(url: str | None, path: str | None) -> str:
    """The host of an address, or the file, after a slash, of what has none. An address may claim a host with white space; there is none such."""
    host = host_of(url)
    return host if host.split() == [host] else f"/{path}"


def _captured(dates: pa.ChunkedArray, ends: pa.ChunkedArray) -> dict[str, Any]:
    """`month` and `before` of capture intervals."""
    short = pc.less_equal(pc.subtract(ends, dates), pa.scalar(SPAN, pa.duration("us")))
    month = pc.strftime(moments.middles(dates, ends), format="%Y-%m")
    return {
        "month": pc.if_else(short, month, pa.scalar(None, pa.string())),
        "before": pc.fill_null(pc.less(ends, pa.scalar(moments.instant(f"{PLACEBO}-01"), schema.TIME)), False),
    }


class CountScores:
    """Step: one part's documents, tags and evidence -> `counted`."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        self.rate = config.restore(self.context["config"], "curate")["verdict"].rate
        self.combiner = toolbox.calibration().combiner

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        documents = tables.read([part["documents"]], ["key", "url", "file_path", "date", "date_end", "language", "word_count"])
        tags = tables.read([part["tags"]], ["key", "origin", "canonical"])
        if documents["key"] != tags["key"]:
            raise RuntimeError(
                f"part {part['name']}: documents and tags are not in the same order. Remove the work folder and rerun."
            )
        bins, flagged = np.full(len(documents), -1), np.zeros(len(documents), bool)
        if self.combiner is not None:
            readings = tables.read(part["evidence"], ["key", "signal", "value"], schema.EVIDENCE)
            scored = combining.combine(documents.select(["key", "language", "word_count"]), readings, self.combiner)
            names = [None if cell is None else self.combiner.cells[cell].name for cell in scored["cell"].to_pylist()]
            scores = pc.fill_null(scored["score"], np.nan).to_numpy(zero_copy_only=False)
            bins, flagged = binned(names, scores, self.combiner, self.rate, self.context["thresholds"])
        pairs = zip(documents["url"].to_pylist(), documents["file_path"].to_pylist(), strict=True)
        table = pa.table(
            {
                "host": pa.array([_host(url, path) for url, path in pairs], pa.string()),
                **_captured(documents["date"], documents["date_end"]),
                "language": documents["language"],
                "file": documents["file_path"],
                "kept": pc.is_null(tags["canonical"]),
                "origin": tags["origin"],
                "bin": pa.array(bins, pa.int32(), mask=bins < 0),
                "flagged": pa.array(flagged),
            }
        )
        names = [field.name for field in COUNTED if field.name != "documents"]
        made = table.group_by(names).aggregate([([], "count_all")]).rename_columns([*names, "documents"])
        made = made.sort_by([(name, "ascending") for name in names]).cast(COUNTED)
        entry = tables.write(self.context["folder"], f"counted/{self.context['prefix']}-{part['name']}.parquet", made, COUNTED)
        return {"files": [entry], "documents": len(documents)}


class EstimatePrevalence:
    """Step, one part: all of `counted` -> `prevalence`, a row for each group of documents."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        from pipelines import config

        rate = config.restore(self.context["config"], "curate")["verdict"].rate
        combiner = toolbox.calibration().combiner
        of = cells(combiner, rate) if combiner is not None else None
        sides = (
            human_side(self.context["human_scores"], combiner, rate, self.context["thresholds"], of) if combiner and of else None
        )
        con = sql.connect(self.context["folder"])
        sql.view(con, "counted", part["counted"], COUNTED)
        rows = [row for dimension in DIMENSIONS for row in _rows(con, dimension, sides, of)]
        table = pa.Table.from_pylist(rows, schema=schema.PREVALENCE)
        path = f"prevalence/{self.context['prefix']}-00000.parquet"
        entry = tables.write(self.context["folder"], path, table, schema.PREVALENCE)
        return {"files": [entry], "summary": summed(rows, sides, rate)}


def _rows(con: "duckdb.DuckDBPyConnection", dimension: str, sides: Sides | None, of: Cells | None) -> Iterator[dict[str, Any]]:
    """The rows of one dimension, in the order of their values."""
    value, among, least, most = DIMENSIONS[dimension]
    con.execute(_VALUED.format(value=value, among=among, least=least, most=most, others=sql.quote(OTHERS)))
    counts = ", ".join(f"coalesce(sum(documents) FILTER (WHERE origin = {sql.quote(o)}), 0)::BIGINT AS {o}" for o in schema.ORIGINS)
    totals = con.sql(_TOTALS.format(origins=counts)).to_arrow_table().to_pylist()
    if not totals and dimension in ("all", "kept"):
        totals = [
            {"value": value.strip("'"), "placebo": False} | dict.fromkeys(("documents", "estimated", "hosts", *schema.ORIGINS), 0)
        ]
    con.execute(_GROUPED)
    scored = _counted(con, of) if of is not None else {}
    for row in totals:
        placebo = dimension == "placebo" or (dimension == "month" and row["value"] < PLACEBO and row["placebo"])
        found = None
        if sides is not None and row["estimated"] >= LEAST:
            found = prevalence.estimate(scored[row["value"]], sides)
        yield {"dimension": dimension, **row, **_shares(found), "placebo": placebo, "note": _note(found, row, placebo, sides)}


def _counted(con: "duckdb.DuckDBPyConnection", of: Cells) -> dict[str, Counted]:
    """The scores of `grouped` by value."""
    found = con.sql('SELECT value, "group", bin, documents, flagged FROM grouped ORDER BY value, "group", bin').to_arrow_table()
    values = found["value"].combine_chunks().dictionary_encode()
    number = values.indices.to_numpy()
    group, place, documents, flagged = (found[name].to_numpy() for name in ("group", "bin", "documents", "flagged"))
    ends = np.searchsorted(number, np.arange(len(values.dictionary) + 1))
    made = {}
    for at, value in enumerate(values.dictionary.to_pylist()):
        mine = slice(ends[at], ends[at + 1])
        there, row = np.unique(group[mine], return_inverse=True)
        bins = np.zeros((len(there), len(of.owner)), np.int64)
        over = np.zeros((len(there), len(of.human_rows)), np.int64)
        np.add.at(bins, (row, place[mine]), documents[mine])
        np.add.at(over, (row, of.owner[place[mine]]), flagged[mine])
        made[value] = Counted(bins, over)
    return made


def shares(found: Estimate | None) -> dict[str, Any]:
    """Share, interval and bounds of an estimate by the names of their columns, all None without one."""
    return {name: getattr(found, field) if found else None for field, name in SHARES.items()}


def _shares(found: Estimate | None) -> dict[str, Any]:
    told = shares(found)
    return told | {"covers_zero": None if told["share_low"] is None else told["share_low"] == 0}


def _note(found: Estimate | None, row: dict[str, Any], placebo: bool, sides: Sides | None) -> str | None:
    """What limits an estimate, in words; None for nothing."""
    if not row["documents"]:
        return "there are no documents"
    if sides is None:
        return "there are no calibrated cells"
    if found is None:
        return f"{row['estimated']:,} of its documents lie in calibrated cells, and fewer than {LEAST} are not estimated"
    said = []
    if placebo and found.low:
        said.append(
            "A PLACEBO THAT DOES NOT COVER 0: human text of this crawl scores unlike that of the snapshot, and no share here is to be trusted"
        )
    if found.low is None:
        said.append("too few hosts, here or in the snapshot, for an interval")
    elif found.spread:
        said.append("few hosts: the interval rests on how the snapshot's hosts differ from each other")
    if not sides.own.any():
        said.append("the human side is the calibration's, for want of a snapshot's scores")
    return "; ".join(said) or None


def summed(rows: Sequence[dict[str, Any]], sides: Sides | None, rate: str) -> dict[str, Any]:
    """What stands in the run's manifest: the estimate over all documents, and what the placebos say."""
    one = {row["dimension"]: row for row in rows if row["dimension"] in ("all", "kept", "placebo")}
    names = ("documents", "estimated", "hosts", "share", "share_low", "share_high", "rogan_gladen_low", "rogan_gladen_high", "note")
    months = [row for row in rows if row["dimension"] == "month" and row["placebo"] and row["covers_zero"] is not None]
    return {
        "unit": "documents",
        "level": LEVEL,
        "false_positives": rate,
        "human_side": None if sides is None else "the snapshots' sample" if sides.own.any() else "the calibration's own human text",
        **{name: {n: row[n] for n in names} for name, row in one.items()},
        "placebo_months": {"estimated": len(months), "not_covering_zero": sum(not row["covers_zero"] for row in months)},
    }


def said(prevalence: dict[str, Any] | None) -> dict[str, Any]:
    """What the closing summary says of it: the share in words, and a placebo that failed; nothing where a manifest states none."""
    if prevalence is None:
        return {}
    return {"machine_share": told(prevalence["all"])} | ({"placebo": failed} if (failed := alarm(prevalence)) else {})


def told(row: dict[str, Any]) -> str:
    """A share with its interval and bounds, on one line."""
    if row["share"] is None:
        return f"not estimated: {row['note']}"
    line = f"{percent(row['share'])} of {row['estimated']:,} documents"
    if row["share_low"] is not None:
        line += f" (95 % interval {percent(row['share_low'])} to {percent(row['share_high'])})"
    left = row["documents"] - row["estimated"]
    if row["rogan_gladen_low"] is not None:
        line += f"; {percent(row['rogan_gladen_low'])} to {percent(row['rogan_gladen_high'])} by the rate of flags"
    return line + (f"; {left:,} more are not estimated" if left else "") + (f"; {row['note']}" if row["note"] else "")


def alarm(prevalence: dict[str, Any]) -> str | None:
    """That the placebos fail, in words: the estimate is not to be trusted then. None where they hold, or there are none."""
    months, pooled = prevalence["placebo_months"], prevalence.get("placebo")
    said = []
    if pooled and pooled["share_low"]:
        said.append(f"all documents captured before {PLACEBO[:4]} are estimated at {told(pooled)}")
    missed, among = months.get("not_covering_zero", 0), months.get("estimated", 0)
    # One month in forty leaves 0 out by chance.
    if 0 < missed <= among and binomial_interval(missed, among, LEVEL)[0] > (1 - LEVEL) / 2:
        said.append(f"the intervals of {missed} of {among} months before {PLACEBO[:4]} leave 0 out, more than chance explains")
    if not said:
        return None
    return f"FAILED: {' and '.join(said)}. Human text of this crawl scores unlike the snapshot's; no share here is to be trusted"


def percent(share: float) -> str:
    """A share as a percentage; one that is above 0 is never rounded to it."""
    return "0 %" if share == 0 else "under 0.1 %" if share < 0.001 else f"{100 * share:.1f} %"
