"""Parts of a mix's page that come from its manifest: what holds in which reading order, the strata, and which rare words are kept."""

from typing import Any

from pipelines import expecting
from pipelines.cards import reading, supply, words
from pipelines.reporting import svg
from pipelines.reporting.markup import Markup, count, element, join, percent, plural, table
from pipelines.reporting.page import ORIGIN_SERIES, figure, notice, section
from store.manifest import Opened

DRAWN = 20
"""Strata of the human side that are drawn."""
LISTED = 200
"""Strata that are listed."""
PLAIN = str.maketrans("", "", "*`")
"""Takes the marks of Markdown away."""
KEPT = svg.Series("human", "kept")
SAMPLE = svg.Series("steel", "of a uniform sample, expected")


def _stated(opened: Opened) -> dict[str, Any]:
    found: dict[str, Any] = opened.manifest.get("stated") or {}
    return found


def orders(opened: Opened) -> Markup | None:
    """Which reading orders keep the floor, and what each misses at most."""
    if not opened.manifest.get("orders"):
        return None
    lead = "The floor holds for whoever reads shards from their beginning, row by row. What other readers get follows from the rows as they stand."
    body = opened.manifest
    return section(
        "What holds in which reading order",
        lead,
        _table("Reading orders", reading.notes(body).translate(PLAIN), reading.holds(body)),
        _table("Ranks", reading.shared(body).translate(PLAIN), reading.ranks(body)),
    )


def _table(caption: str, say: str, content: words.Table) -> Markup:
    return element("figure", element("figcaption", caption), element("p", say, class_="say"), table(*content))


def machine_share(opened: Opened) -> Markup | None:
    """The expected machine share of the whole mix, where its manifest says so."""
    told = _stated(opened).get("machine_share")
    if not told:
        return None
    return notice("", join(element("strong", "Expected machine share of the whole mix: "), f"{expecting.line(told)}."))


def strata(opened: Opened) -> Markup | None:
    """What of each stratum was there and what was taken."""
    found = _stated(opened).get("strata")
    if not found:
        return None
    human = [label for label in found if words.origin_of(label) == "human"]
    human.sort(key=lambda label: (-found[label]["available"]["documents"], label))
    lead = (
        "The classes of the mix are divided into strata, so that no part of the human side vanishes unseen. Documents are counted once; the target is "
        "a stratum’s share of its class, human or other."
    )
    taken = [found[label]["chosen"]["documents"] for label in human[:DRAWN]]
    there = [found[label]["available"]["documents"] for label in human[:DRAWN]]
    drawn = [(label, [own, all_of - own]) for label, own, all_of in zip(human, taken, there, strict=False)]
    notes = [f"{percent(own, all_of)} of {count(all_of)}" for own, all_of in zip(taken, there, strict=True)]
    series = [svg.Series(ORIGIN_SERIES[0].style, "chosen"), svg.Series("not", "left")]
    head, rows = supply.strata(found, opened.manifest["counts"]["strata"], LISTED)
    shown = f"the {DRAWN} largest of {plural(len(human), 'stratum', 'strata')}" if len(human) > DRAWN else "by stratum"
    chart = svg.bars("Strata of the human side", lead, drawn, series, notes) if drawn else None
    picture = figure("Human documents", shown.capitalize(), chart, series, head, rows) if chart else table(head, rows)
    aside = supply.clusters(_stated(opened)["clusters"])
    return section("Strata", lead, picture, notice("", aside) if aside else None)


def coverage(opened: Opened) -> Markup | None:
    """Which rare words are kept; None where no human document was left out, or no word is rare."""
    found = _stated(opened).get("coverage")
    if not found or not found["all"]["types"]:
        return None
    documents = found["documents"]
    lead = (
        f"Of {plural(documents['before'], 'human document')} that could have entered, {count(documents['after'])} did. Rare words go first; beside what is "
        "kept of them stands what a uniform sample of as many documents would keep."
    )
    lines = [(number, line) for number, line in found["frequencies"].items() if line["types"]]
    drawn = [
        (f"in {number} {'document' if number == '1' else 'documents'}: {what}", [own, 0] if what == "kept" else [0, own])
        for number, line in lines
        for what, own in (("kept", round(1000 * line["share"])), ("expected", round(1000 * line["expected"])))
    ]
    notes = [f"{value / 10:.1f} %" for _, values in drawn for value in [sum(values)]]
    head, rows = supply.coverage(found)
    chart = svg.bars("Rare words kept", lead, drawn, [KEPT, SAMPLE], notes)
    return section("Rare words", lead, figure("Rare words", "Kept of 1,000", chart, [KEPT, SAMPLE], head, rows))
