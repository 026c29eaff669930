"""What was there for a mix and what was taken of it, as the rows of tables: for the cards, and for the closing text of the command."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.cards import words
from pipelines.cards.words import Table
from provenance.schema import ORIGINS

NOTHING = "–"


def asked(plan: Mapping[str, Any], made: Mapping[str, int]) -> Table:
    """What was asked for, what can be reached without repetition, and what is in the mix, in the first unit; `made` is what is there in
    it."""
    wanted, reach, unit = plan["requested"], plan["reachable"], plan["unit"]
    human = NOTHING if wanted["human"] is None else wanted["human"]
    size = "all that the floor admits" if wanted["budget"] is None else wanted["budget"]
    rows: list[list[object]] = [
        [f"human {unit}", human, reach["human"], made["human"]],
        [f"other {unit}", NOTHING, reach["other"], made["total"] - made["human"]],
        [f"{unit} in all", size, reach["total"], made["total"]],
    ]
    return ["", "asked for", "reachable, each text once", "in the mix"], rows


def alternatives(plan: Mapping[str, Any]) -> list[str]:
    """What else could be asked for where the human side does not meet the budget, each with its numbers; none where it does."""
    found, unit = plan["alternatives"] or {}, plan["unit"]
    said = []
    if repeat := found.get("repeat"):
        said.append(
            f"repeat: {repeat['epochs']:g} passes over the human side give {repeat['total']:,} {unit}, worth {repeat['effective']:,} read once"
        )
    if shrink := found.get("shrink"):
        said.append(f"shrink: {shrink['total']:,} {unit} with {shrink['human']:,} human ones, each read once")
    if lower := found.get("lower_floor"):
        said.append(f"lower the floor to {words.floor_text(lower['floor'])}: {lower['total']:,} {unit}")
    return said


def effective(plan: Mapping[str, Any]) -> str:
    """What the mix is worth in text read once."""
    worth, unit = plan["effective"], plan["unit"]
    return f"{worth['human'] + worth['other']:,} {unit} of text read once: {worth['human']:,} human, {worth['other']:,} other ({worth['law']})"


def strata(found: Mapping[str, Mapping[str, Any]], counts: Mapping[str, Mapping[str, int]] | None, most: int) -> Table:
    """Of each stratum the documents offered, those that pass the filter and those chosen, how often these are read, its target share of its
    class, and what it has in the mix (`counts`, where it is written). The `most` with most documents offered, and the sum of the rest.
    """
    columns = words.amounts(counts)[1:] if counts else []
    ranked = sorted(found, key=lambda label: (-found[label]["available"]["documents"], label))
    # What was offered in the runs dwarfs the human side, whose strata are what a floor is about: each class has half of the lines.
    human = [label for label in ranked if words.origin_of(label) == "human"]
    others = [label for label in ranked if words.origin_of(label) != "human"]
    first = max(most // 2, most - len(others))
    shown = human[:first] + others[: most - min(first, len(human))]
    rows = [_stratum(label, [found[label]], [(counts or {}).get(label, {})], columns) for label in shown]
    for name, labels in (("human", human), ("other", others)):
        rest = [label for label in labels if label not in set(shown)]
        if rest:
            some = [(counts or {}).get(label, {}) for label in rest]
            rows.append(_stratum(f"{len(rest):,} more {name}", [found[label] for label in rest], some, columns))
    return ["stratum", "offered", "after the filter", "chosen", "times", "target", *columns], rows


def _stratum(
    name: str, found: Sequence[Mapping[str, Any]], counts: Sequence[Mapping[str, int]], columns: Sequence[str]
) -> list[object]:
    documents = [sum(of[step]["documents"] for of in found) for step in ("available", "passed", "chosen")]
    read = sum(of["chosen"]["documents"] * of["chosen"]["epochs"] for of in found)
    times = f"{read / documents[2]:.3g}" if documents[2] else NOTHING
    target = f"{100 * sum(of['target'] for of in found):.2f} %"
    return [name, *documents, times, target, *(sum(of.get(column, 0) for of in counts) for column in columns)]


def survival(found: Mapping[str, Mapping[str, int]], filtered: Mapping[str, Any] | None) -> Table:
    """Documents of each origin that could enter, that pass the filter and that are in the mix, with the shares of those that could; and what
    the filter would have passed of the origins that have no place in the mix."""
    rows: list[list[object]] = []
    for origin in ORIGINS:
        offered = found["attested" if origin == "human" else "may_enter"][origin]
        if offered:
            passed, chosen = found["passed"][origin], found["in_shards"][origin]
            rows.append([origin, offered, passed, words.share(passed, offered), chosen, words.share(chosen, offered)])
    for origin, of in ((filtered or {}).get("barred") or {}).items():
        rows.append(
            [
                f"{origin}, kept out",
                of["documents"],
                of["passed"],
                words.share(of["passed"], of["documents"]),
                0,
                words.share(0, of["documents"]),
            ]
        )
    return ["origin", "could enter", "after the filter", "of these", "in the mix", "of these"], rows


def scores(found: Mapping[str, Any] | None) -> list[str]:
    """How each table of scores met the candidates."""
    return [
        f"Of {of['rows']:,} rows of scores {of['unmatched']:,} are of no candidate; {of['without']:,} of {of['candidates']:,} candidates have none."
        for of in (found or {}).get("scores", [])
    ]


def clusters(found: Mapping[str, int]) -> str:
    """How many of the human documents are near copies of each other; empty where none are."""
    if not found["documents"]:
        return ""
    return (
        f"Near copies among the human documents: {found['documents']:,} in {words.counted(found['clusters'], 'cluster')}, the largest of "
        f"{found['largest']:,}. What is repeated is counted by cluster, so that {found['left_out']:,} of them were left out."
    )


def coverage(found: Mapping[str, Any]) -> Table:
    """Of the rare words of the human documents those that are kept, beside what a uniform sample would keep."""
    lines = {**found["frequencies"], "all of these": found["all"]}
    rows: list[list[object]] = [
        [number, line["types"], line["kept"], *_percents(line["share"], line["expected"])] for number, line in lines.items()
    ]
    return ["documents that have the word", "words", "kept", "share", "of a uniform sample"], rows


def _percents(*shares: float | None) -> list[str]:
    return [NOTHING if share is None else f"{100 * share:.2f} %" for share in shares]
