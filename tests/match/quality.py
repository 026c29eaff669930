"""How well the match finds planted near copies, and what else it takes: one freeze and one curate, judged by the oracle."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from tests.match import oracle, planted
from tests.match.runs import DATED, Curated, curate, freeze, write_rows

BANDS = ((0.5, 0.6), (0.6, 0.7), (0.7, 0.75), (0.75, 0.8), (0.8, 0.85), (0.85, 0.9), (0.9, 0.95), (0.95, 1.01))
"""Of the similarity of a near copy and its source."""


class Judged(NamedTuple):
    """One planted near copy, which is no exact one, and what became of it."""

    language: str
    kind: str
    frozen: bool
    """Whether its source is in the snapshot; else it is in the crawl, captured first."""
    truth: oracle.Pair
    proposed: bool
    """Whether the pair with its source was measured or estimated at all, as a row of `matches` shows from a half on."""
    exact: bool | None
    """Whether it was measured from the texts and not from the signatures; None where it was not proposed."""
    dropped: bool


class Quality(NamedTuple):
    judged: list[Judged]
    wrong: list[tuple[str, oracle.Pair]]
    """What was removed for a canonical that it is by the oracle no duplicate of, with the truth."""
    removed: int
    counts: dict[str, Any]
    run: Curated


def plant_and_curate(texts: dict[str, Sequence[str]], each: int, folder: Path, seed: int = 0) -> Quality:
    """Freezes every other text of each language, curates the others with near copies of all, and judges each near copy."""
    old, new, copies = {}, {}, {}
    for language, found in texts.items():
        for place, text in enumerate(found):
            (new if place % 2 else old)[f"{language} {place}"] = text
        for number, copy in enumerate(planted.plant(found, each, seed)):
            copies[f"{language} {copy.source} copy {number}"] = language, copy
    dates = dict.fromkeys(new, "2023-01-01")
    new |= {name: copy.text for name, (_, copy) in copies.items()}
    freeze(write_rows(folder / "old.parquet", old, dict.fromkeys(old, "2020-01-01")), folder / "snapshot", DATED)
    # What was captured at one time goes by its key: the copies come after all texts.
    dates |= dict.fromkeys(copies, "2024-01-01")
    counts = curate(write_rows(folder / "new.parquet", new, dates), folder / "run", [folder / "snapshot"], DATED)
    run = Curated(folder / "run", [folder / "snapshot"])
    return _judge(run, copies, counts)


def _judge(run: Curated, copies: dict[str, tuple[str, planted.Planted]], counts: dict[str, Any]) -> Quality:
    keys, pairs = {name: key for key, name in run.names.items()}, run.pairs()
    judged = []
    for name, (language, copy) in copies.items():
        source = f"{language} {copy.source}"
        if oracle.identity(run.texts[keys[name]]) == oracle.identity(run.texts[keys[source]]):
            continue
        row = pairs.get((name, source)) or pairs.get((source, name))
        truth, frozen = run.truth(keys[name], keys[source]), keys[source] in run.references
        exact, dropped = row and row["exact"], run.tags[keys[name]]["canonical"] is not None
        judged.append(Judged(language, copy.kind, frozen, truth, row is not None, exact, dropped))
    removed = {key: tag["canonical"] for key, tag in run.tags.items() if tag["canonical"]}
    truths = {key: run.truth(key, other) for key, other in removed.items()}
    wrong = [
        (run.names[key], truth)
        for key, truth in truths.items()
        if not truth.duplicate and oracle.identity(run.texts[key]) != oracle.identity(run.texts[removed[key]])
    ]
    return Quality(judged, wrong, len(removed), counts, run)


def between(judged: Iterable[Judged], low: float, high: float = 2.0) -> list[Judged]:
    """The near copies whose true similarity to their source is in [low, high)."""
    return [one for one in judged if low <= one.truth.similarity < high]


def share(values: Iterable[bool]) -> float:
    """The share that is true; 1 of none."""
    found = list(values)
    return sum(found) / len(found) if found else 1.0
