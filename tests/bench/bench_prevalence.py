"""The machine share of planted crawls: estimate, interval, and whether it holds the share that is there, on real labelled text.

Human texts stand on made-up hosts of one source and language each. Half of the hosts are frozen, of the others crawls are made, in which
machine texts of `dev-main`, which training left out, take the place of a planted share of the pages: of some hosts most, of others
none. `same sources`: snapshot and crawl have the same kinds of text; `other sources`: the crawl's human text is of sources that the snapshot
lacks, which is what placebos are for; `shipped`: there is no snapshot, and the human side is the calibration's own.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow.compute as pc

from pipelines import prevailing, toolbox
from provenance import combiner as combining
from provenance import evidence, prevalence
from provenance.calibration import Combiner
from provenance.prevalence import Cells, Counted, Sides
from tests.bench.inputs import Inputs
from tests.bench.measure import Row

SHARES = (0.0, 0.01, 0.03, 0.1, 0.3)
TRIALS, CRAWLED, PAGES, PER_SOURCE = 20, 60, 12, 120
RATE = "0.01"


@dataclass(frozen=True)
class Scored:
    """Of texts that a cell covers: bin, whether flagged, made-up host, source, and whether they are machine text."""

    bins: np.ndarray
    flagged: np.ndarray
    hosts: np.ndarray
    sources: np.ndarray
    machine: np.ndarray

    def __getitem__(self, rows: np.ndarray) -> "Scored":
        return Scored(self.bins[rows], self.flagged[rows], self.hosts[rows], self.sources[rows], self.machine[rows])

    def counted(self, of: Cells) -> Counted:
        return prevailing.counted(self.hosts.tolist(), self.bins, self.flagged, of)


def scored(weighed: Combiner) -> Scored:
    """Human text of before 2022 and all of `dev-main`, in the order of their keys, with hosts of `PAGES` pages."""
    from tests.bench.tags.texts import MAIN_DEV, batch, human_tables, load

    texts = sorted([*load(human_tables(), PER_SOURCE), *load([MAIN_DEV])], key=lambda text: text.key)
    tools, parts = toolbox.evidence_tools(), []
    for at in range(0, len(texts), 1000):
        some = texts[at : at + 1000]
        documents = batch(some)
        found = combining.combine(documents, evidence.score(documents, "page", tools, weighed.inputs), weighed)
        names = [None if cell is None else weighed.cells[cell].name for cell in found["cell"].to_pylist()]
        values = pc.fill_null(found["score"], np.nan).to_numpy(zero_copy_only=False)
        parts.append(prevailing.binned(names, values, weighed, RATE, None))
    bins, flagged = (np.concatenate([part[i] for part in parts]) for i in (0, 1))
    machine = np.array([text.machine for text in texts], bool)
    seen: dict[tuple[str, str], int] = {}
    hosts = []
    for text in texts:
        place = text.source, text.language
        hosts.append(f"{text.source}-{text.language}-{seen.get(place, 0) // PAGES}.example")
        seen[place] = seen.get(place, 0) + 1
    sources = np.array([text.source for text in texts], object)
    return Scored(bins, flagged, np.array(hosts, object), sources, machine)[bins >= 0]


def crawl(human: Scored, machine: Scored, share: float, rng: np.random.Generator) -> tuple[Scored, float]:
    """Pages of `CRAWLED` hosts of `human`, some of them replaced by machine text, and the share that is then there."""
    names = np.unique(human.hosts)
    there = np.isin(human.hosts, rng.permutation(names)[:CRAWLED])
    pages = human[there]
    parts = {name: (rng.beta(2 * share, 2 * (1 - share)) if share else 0.0) for name in np.unique(pages.hosts)}
    swapped = rng.random(len(pages.bins)) < np.array([parts[name] for name in pages.hosts])
    chosen = rng.integers(0, len(machine.bins), len(pages.bins))
    mixed = [np.where(swapped, their[chosen], own) for own, their in ((pages.bins, machine.bins), (pages.flagged, machine.flagged))]
    return Scored(mixed[0], mixed[1], pages.hosts, pages.sources, swapped), float(swapped.mean())


def halves(names: np.ndarray, rng: np.random.Generator) -> Callable[[np.ndarray], np.ndarray]:
    """Which of some values lie in a random half of the names."""
    half = rng.permutation(np.unique(names))[: len(np.unique(names)) // 2]
    return lambda values: np.isin(values, half)


def trials(found: Scored, of: Cells, regime: str, share: float) -> list[tuple[float, prevalence.Estimate]]:
    """(true share, estimate) of each trial."""
    human, machine, told = found[~found.machine], found[found.machine], []
    for trial in range(TRIALS):
        rng = np.random.default_rng([trial, int(1000 * share)])
        by = human.sources if regime == "other sources" else human.hosts
        frozen = halves(by, rng)(by)
        sides = Sides(of, None if regime == "shipped" else human[frozen].counted(of))
        made, truth = crawl(human[~frozen], machine, share, rng)
        told.append((truth, prevalence.estimate(made.counted(of), sides)))
    return told


def line(regime: str, share: float, told: Sequence[tuple[float, prevalence.Estimate]]) -> Row:
    sure = [(truth, one) for truth, one in told if one.low is not None and one.high is not None]
    covered = sum((one.low or 0.0) <= truth <= (one.high or 0.0) for truth, one in sure)
    bounded = sum((one.bound_low or 0.0) <= truth <= (one.bound_high or 0.0) for truth, one in told)
    estimates, lows, highs = (
        np.mean([getattr(one, name) for _, one in sure]) if sure else np.nan for name in ("share", "low", "high")
    )
    note = f"estimate {estimates:.1%}, interval {lows:.1%} to {highs:.1%}, truth {np.mean([t for t, _ in told]):.1%}; bounds hold {bounded}"
    what = f"{regime}, planted {share:.0%}{' (placebo)' if not share else ''}"
    goal = 0.9 if regime == "same sources" else None
    return Row(what, covered, f"of {len(sure)} cover", covered / max(len(sure), 1) if goal else None, goal, note)


def run(inputs: Inputs) -> list[Row]:
    """Coverage of planted shares by regime."""
    weighed = toolbox.calibration().combiner
    of = prevailing.cells(weighed, RATE) if weighed is not None else None
    if not inputs.is_real or weighed is None or of is None:
        return [Row("prevalence", None, "skipped", note="needs ../shared/data and calibrated cells")]
    found = scored(weighed)
    counts = f"{(~found.machine).sum():,} human and {found.machine.sum():,} machine texts in calibrated cells"
    rows = [Row("texts", len(found.bins), "texts", note=counts)]
    for regime in ("same sources", "other sources", "shipped"):
        rows += [line(regime, share, trials(found, of, regime, share)) for share in SHARES]
    return rows
