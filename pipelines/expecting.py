"""The expected machine share of a mix: an estimate, put together from that of its human side and those of the runs it draws from.

Each run says how much of what it kept is machine text, by the scores of its documents (dataset `prevalence`). What its tags name machine text
is taken out of that, so that the rest lies among the documents that nothing decides. The parts of the mix are then weighed by what the plan
takes of each. Nothing of this is proven: it is printed beside the floor, and `verify` leaves it alone.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from provenance import schema
from provenance.prevalence import LEVEL
from store import files, sql, tables
from store.manifest import Opened

if TYPE_CHECKING:
    from pipelines.planning import Planned

ENDS = ("share", "share_low", "share_high")
Ends = Mapping[str, float | None]
MACHINE = ("machine_generated", "machine_translated")

_TAKEN = """
SELECT source, origin, sum({unit})::BIGINT AS units FROM read_parquet([{shards}], hive_partitioning = false) GROUP BY ALL ORDER BY ALL
"""


def expected(work: str, planned: "Planned", crawled: list[Opened], purity: dict[str, Any], unit: str) -> dict[str, Any]:
    """The machine share of a planned mix with its interval, and beside it those of its human and its other side.

    Shares are estimated in documents and weighed by `unit` (`documents`, else bytes). The ends of the interval are the weighed sums of the
    parts' ends: all parts at their worst at once, so that it is wider than a 95 % interval need be. Null where a part has no estimate.
    """
    counted = "documents" if unit == "documents" else "bytes"
    shards = [files.join(planned.folder, "shards", f"{job['name']}.parquet") for job in planned.shard_jobs]
    found = _taken(work, shards, counted)
    kept = {run.id: unknown(run) for run in crawled}
    human: list[tuple[int, Ends]] = [(units, _ends(purity)) for (_, origin), units in found.items() if origin == "human"]
    other: list[tuple[int, Ends]] = [
        (units, dict.fromkeys(ENDS, 1.0) if origin in MACHINE else kept[source])
        for (source, origin), units in found.items()
        if origin != "human"
    ]
    sides = {"human_side": _weighed(human), "other": _weighed(other)}
    whole = _weighed([*human, *other])
    note = None
    if whole["units"] and whole["share"] is None:
        lacking = [name.replace("_", " ") for name, side in sides.items() if side["units"] and side["share"] is None]
        note = f"there is no estimate for the {' and the '.join(lacking)}"
    elif whole["share"] is not None and whole["share_low"] is None:
        note = "a part of it has no interval"
    told = {"unit": counted, "level": LEVEL, **{name: whole[name] for name in ENDS}, "note": note}
    return told | {name: {"units": side["units"], **{end: side[end] for end in ENDS}} for name, side in sides.items()}


def _taken(work: str, shards: list[str], unit: str) -> dict[tuple[str, str], int]:
    """Units that a plan takes, by source and origin."""
    if not shards:
        return {}
    con = sql.connect(work)
    sql.register(con, shards[0])
    names = ", ".join(sql.quote(sql.pattern(path)) for path in shards)
    rows = con.execute(_TAKEN.format(unit="1" if unit == "documents" else "byte_count", shards=names)).fetchall()
    return {(source, origin): units for source, origin, units in rows}


def unknown(run: Opened) -> Ends:
    """The machine share of the kept documents of a run that no tag names machine text: what the run estimates of all it kept, less what
    is tagged. Documents that no calibrated cell covers count as those that one covers."""
    rows = tables.read(run.files("prevalence"), schema=schema.PREVALENCE).to_pylist()
    kept = next((row for row in rows if row["dimension"] == "kept"), None)
    if kept is None or not kept["documents"]:
        return dict.fromkeys(ENDS)
    tagged = sum(kept[origin] for origin in MACHINE)
    rest = kept["documents"] - tagged
    return {
        name: None if kept[name] is None or not rest else min(1.0, max(0.0, (kept[name] * kept["documents"] - tagged) / rest))
        for name in ENDS
    }


def _ends(purity: dict[str, Any]) -> Ends:
    """Share and interval of the human side; what its dates alone prove pure has no width."""
    ends = {name: purity[name] for name in ENDS}
    return dict.fromkeys(ENDS, 0.0) if purity["estimated"] and purity["estimated"] == purity["before_2020"] else ends


def _weighed(parts: list[tuple[int, Ends]]) -> dict[str, Any]:
    """Shares of parts put together by their units; None where one that has units has none."""
    units = sum(size for size, _ in parts)
    found: dict[str, Any] = {"units": units}
    for name in ENDS:
        known = [(size, ends[name]) for size, ends in parts if size]
        whole = (
            None if not known or any(share is None for _, share in known) else sum(size * (share or 0.0) for size, share in known)
        )
        found[name] = None if whole is None else round(whole / units, 6)
    return found


def line(told: dict[str, Any]) -> str:
    """The estimate in words, for the card, the summary and the report."""
    from pipelines.prevailing import percent

    if told["share"] is None:
        return f"not estimated: {told['note'] or 'the mix is empty'}"
    said = percent(told["share"])
    if told["share_low"] is not None:
        said += f" (95 % interval at least: {percent(told['share_low'])} to {percent(told['share_high'])})"
    parts = [
        f"{words} {percent(told[name]['share'])}"
        for name, words in (("human_side", "its human side"), ("other", "the rest"))
        if told[name]["share"] is not None and told[name]["units"]
    ]
    return said + (f"; {', '.join(parts)}" if len(parts) > 1 else "") + (f" ({told['note']})" if told["note"] else "")
