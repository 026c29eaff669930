"""What is said of a mix's plan beside what is written; shards cannot prove these numbers, and `verify` does not check them."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines import budget
from pipelines.budget import LAW, NAMED, Humans, Others, Side
from provenance import floor as floors
from provenance import mixture
from provenance.mixture import Mix
from store import strata
from store.errors import CheckFailed
from store.mixing import Plan
from store.selecting import Selection

if TYPE_CHECKING:
    import duckdb

NONE = {"documents": 0, "bytes": 0}


def planned(mix: Mix, human: Humans, others: Others, side: Side, realised: dict[str, dict[str, int]]) -> dict[str, Any]:
    """What was asked for beside what can be reached without repetition, in the first unit, and where a budget is not met so, what else
    could be asked for."""
    unit, share = mix.units[0], mixture.fraction(mix.floor)
    most = budget.largest(share, human.total, others)
    reachable = {"human": human.total, "other": most - human.total, "total": most}
    wanted = budget.needed(share, mix.budget, others) if mix.budget is not None else None
    taken = realised[unit]
    distinct = int(human.units[side.first].sum())
    worth = floors.effective(distinct, taken["human"] / distinct) if distinct else 0.0
    return {
        "unit": unit,
        "requested": {
            "floor": str(share),
            "budget": mix.budget,
            "human": wanted,
            "shortfall": mix.shortfall,
            "max_epochs": mix.max_epochs,
            "temperature": mix.temperature,
            "weights": {name: str(mixture.fraction(value)) for name, value in mix.weights.items()},
            "quota": mix.quota,
            "shuffle_buffer": mix.shuffle_buffer,
        },
        "reachable": reachable,
        "effective": {"human": round(worth), "other": taken["total"] - taken["human"], "law": LAW},
        "alternatives": budget.alternatives(mix, human, others) if wanted is not None and wanted > human.total else None,
    }


def stated(
    mix: Mix,
    made: Plan,
    entering: Selection,
    origins: Sequence[str],
    human: Humans,
    side: Side,
    realised: dict[str, dict[str, int]],
) -> dict[str, Any]:
    """What the sources hold, what of it stays behind, and the human side alone, repeated."""
    unit, unique = mix.units[0], human.total
    distinct, total = int(human.units[side.first].sum()), realised[unit]["total"]
    passes = min(total / unique, mix.max_epochs) if unique else 0.0
    return {
        "supply": made.supply,
        "crawled": made.crawled,
        "left_over": entering.left_over(origins),
        "near_human": entering.near_human(),
        "human_epochs": round(realised[unit]["human"] / distinct, 4) if distinct else 0.0,
        "alternative": {
            "what": f"the human side alone, repeated to the size of the mix, at most {mix.max_epochs} times",
            "unit": unit,
            "unique": unique,
            "epochs": round(passes, 4),
            "total": round(unique * passes),
            "effective": round(floors.effective(unique, passes)),
            "law": LAW,
        },
    }


def strata_of(con: "duckdb.DuckDBPyConnection", entering: Selection, labels: list[str], targets: dict[int, int]) -> dict[str, Any]:
    """Field `strata`: for each stratum by its label what was available, what of it passed the filter, its target share of its class, and
    what was chosen (documents once; `epochs`: how often on average, by the first unit)."""
    (available, passed), chosen = strata.counts(con), entering.chosen()
    found = {}
    for stratum, label in enumerate(labels):
        found[label] = {
            "available": available.get(stratum, NONE),
            "passed": passed.get(stratum, NONE),
            "target": round(targets.get(stratum, 0) / strata.SHARE, 9),
            "chosen": chosen.get(stratum, NONE | {"epochs": 0.0}),
        }
    return {"strata": found}


def check_empty(mix: Mix, found: dict[str, Any]) -> None:
    """Raises `CheckFailed` where a stratum of the human side had documents and has none in the mix, unless that is allowed."""
    human = {label: of for label, of in found.items() if label.partition("/")[0] == "human"}
    filtered = {label: of for label, of in human.items() if of["available"]["documents"] and not of["passed"]["documents"]}
    left = {label: of for label, of in human.items() if of["passed"]["documents"] and not of["chosen"]["documents"]}
    if mix.allow_empty or not (filtered or left):
        return
    said = []
    if filtered:
        said.append(f"the filter leaves nothing of {_listed(filtered, 'available')}")
    if left:
        said.append(f"the budget, or near copies of them in other strata, leave nothing of {_listed(left, 'passed')}")
    raise CheckFailed(
        f"strata of the human side fall to zero, so that the mix would lose a part of the snapshot whole: {'; '.join(said)}. "
        "Loosen the condition or raise mix.quota or the budget, divide by fewer mix.strata, or set mix.allow_empty."
    )


def _listed(some: dict[str, Any], step: str) -> str:
    named = ", ".join(f"{label} ({of[step]['documents']:,} documents)" for label, of in list(some.items())[:NAMED])
    return named + (f" and {len(some) - NAMED:,} more" if len(some) > NAMED else "")


def nothing_passes(mix: Mix, told: dict[str, Any]) -> str:
    """What to say where the filter leaves no human document."""
    scores = (told["filter"] or {}).get("scores") or []
    joined = "; ".join(
        f"of {of['rows']:,} rows of scores {of['unmatched']:,} are of no candidate, and {of['without']:,} of {of['candidates']:,} candidates have none"
        for of in scores
    )
    return (
        f"the condition {mix.where!r} leaves no human document, so no floor above 0 can be kept. It counts null as not met, and it is applied to both "
        f"sides{': ' + joined if joined else ''}. Say origin = 'human' OR ... where only the others are meant, or check the keys of --scores."
    )
