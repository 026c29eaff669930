"""The machine share of a set of documents, estimated for the set as a whole; no single document is judged by it.

Every document that a calibrated cell (a language group and a range of lengths) covers has a combined score, and each cell knows how the
scores of human and of machine text spread over bins. With P and Q those two histograms, the share a maximises
sum(log((1 - a) P(x) + a Q(x))) over the documents' bins x, each in its own cell (Liang et al. 2024, arXiv 2403.07183). P is the frozen
snapshot's own sample where a cell has enough of it, else the histogram that the calibration ships. The function is concave in a, so that
its maximum is one; it is sought on the whole interval on which all probabilities are positive, below 0 too, and cut to 0..1 when it is told: a
cut inside the bootstrap would hide how far below 0 it lies.

Pages of one host are alike, so intervals come from a bootstrap of hosts (of the documents, and of the snapshot for P; Q is drawn anew
with as many rows as it was counted from): median-corrected percentiles (BC; Efron 1987) at the expanded level of Hesterberg 2015
(arXiv 1411.5279, section 5.3), which is Student's t for few hosts, by the effective number of hosts, (sum n)^2 / sum n^2 (Kish 1965).
No interval is narrower than the likelihood's own for the effective number of documents, so that none of documents that all look human
(or all machine-made) is a point.

What no interval holds: Q is of known generators, and text of others may score like human text. The Rogan-Gladen bounds (1978,
Am. J. Epidemiol. 107) say how far that goes: (flagged - false) / (true - false) over a range of rates of true positives.
Nothing identifies the rate on generators that nobody has seen, so even they are bounds for the known ones.
"""

from dataclasses import dataclass, replace
from functools import cached_property
from statistics import NormalDist

import numpy as np

from provenance.proportions import binomial_interval, student

REPLICATES = 1000
SEED = 20211130
LEVEL = 0.95
LEAST_ROWS = 100
"""Documents of the snapshot's sample in a cell from which its own histogram is P."""
LEAST_HOSTS = 5
"""Effective hosts below which a bootstrap of hosts says nothing of how hosts differ."""
LEAST_SPREAD = 20
"""Hosts of the snapshot with several documents each, from which the spread between hosts can be told."""
LEAST_HELD = 10
"""Hosts of the snapshot, or rows of the shipped histogram, that each bin of P holds; a host counts in each of the bins put together."""


@dataclass(frozen=True)
class Cells:
    """What the calibration says of its cells. K bins in all, those of cell 0 first.

    `owner` (K,): the cell of each bin. `human`, `machine` (K,): shares of scores per bin, 1 over each cell. `human_rows`, `machine_rows`
    (C,): rows that they were counted from. `true_positives` (C, 2): least and greatest share of machine texts flagged. `stated` (C,): the
    greatest false-positive rate that the thresholds leave a single source.
    """

    owner: np.ndarray
    human: np.ndarray
    machine: np.ndarray
    human_rows: np.ndarray
    machine_rows: np.ndarray
    true_positives: np.ndarray
    stated: np.ndarray


@dataclass(frozen=True)
class Counted:
    """Documents by host. `bins` (H, K): documents per bin; `flagged` (H, C): those at or over their cell's threshold.

    A row is a host, or a random group of hosts where there are very many (Wolter 2007, Introduction to Variance Estimation, ch. 2).
    """

    bins: np.ndarray
    flagged: np.ndarray

    @property
    def documents(self) -> int:
        return int(self.bins.sum())

    def effective(self) -> float:
        """The number of equally large hosts that would tell as much; 0 without documents."""
        sizes = self.bins.sum(axis=1).astype(float)
        return float(sizes.sum() ** 2 / (sizes**2).sum()) if sizes.any() else 0.0


@dataclass(frozen=True)
class Estimate:
    """Shares, 0 to 1, each None where it cannot be told. `hosts` are effective; `spread` says that the interval rests on how the
    snapshot's hosts differ, because there are too few of the set's own."""

    share: float | None
    low: float | None
    high: float | None
    bound_low: float | None
    bound_high: float | None
    documents: int
    hosts: float
    spread: bool = False


def estimate(found: Counted, sides: "Sides") -> Estimate:
    """The machine share of the documents of `found`, with its interval of level `LEVEL` and the Rogan-Gladen bounds."""
    if not found.documents:
        return Estimate(None, None, None, None, None, 0, 0.0)
    bins = sides.join(found.bins)
    # Only bins that hold a document have a term in the likelihood.
    seen = bins.any(axis=0)
    design = sides.design(found.bins)
    bins = bins[:, seen]
    total = bins.sum(axis=0).astype(float)
    human, machine, flagged = sides.human[seen], sides.machine[seen], found.flagged.sum(axis=1)
    share = float(fit(total[None], human[None], machine[None])[0])
    hosts = found.effective()
    # A group of documents of unequal hosts may be resampled with rows to spare, and still tell no more than its few large ones.
    few = hosts < LEAST_HOSTS
    rng = _rng()
    low = high = None
    flags = binomial_interval(float(flagged.sum()) / design, found.documents / design, LEVEL)
    if not few:
        weights = _weights(rng, len(bins))
        drawn = weights @ bins
        low, high = interval(share, fit(drawn, sides.human_drawn[:, seen], sides.machine_drawn[:, seen]), hosts)
        resampled = _quantiles((weights @ flagged) / drawn.sum(axis=1), hosts)
        flags = min(flags[0], resampled[0]), max(flags[1], resampled[1])
    elif sides.spread is not None:
        drawn = rng.multinomial(found.documents, total / total.sum(), size=REPLICATES).astype(float)
        apart = rng.standard_normal(REPLICATES) * sides.spread / np.sqrt(hosts)
        low, high = interval(share, fit(drawn, sides.human_drawn[:, seen], sides.machine_drawn[:, seen]) + apart, np.inf)
    if low is not None and high is not None:
        # Where all documents lie in bins of one side no resample has others, and its interval would be a point.
        high = max(high, reach(total / design, human, machine, share))
        low = min(low, 1 - reach(total / design, machine, human, 1 - share))
    bounds = rogan_gladen(flags, *sides.rates(sides.join(found.bins).sum(axis=0)))
    told = [None if value is None else _told(value) for value in (share, low, high, *bounds)]
    return Estimate(told[0], told[1], told[2], told[3], told[4], found.documents, round(hosts, 1), few and low is not None)


def reach(counts: np.ndarray, human: np.ndarray, machine: np.ndarray, share: float) -> float:
    """The share up to which the likelihood of `counts` (K,), which need not be whole numbers, does not leave the interval of level
    `LEVEL`, from its maximum at `share`.

    Above 0 the likelihood may fall by the quantile of chi-squared (Wilks 1938). At 0, where that does not hold, it may fall 2 / (1 - LEVEL)
    times: under the true share a ratio to any fixed one is so great with a probability of at most (1 - LEVEL) / 2 (Markov; Wasserman,
    Ramdas & Balakrishnan 2020). For documents that no machine text could be it is the bound of Clopper & Pearson for 0 hits.
    """
    tail = (1 - LEVEL) / 2
    fall = -float(np.log(tail)) if share <= 0 else NormalDist().inv_cdf(1 - tail) ** 2 / 2
    ratio = machine / human - 1

    def level(at: float) -> float:
        return float((counts * np.log1p(at * ratio)).sum())

    low, high = min(max(share, 0.0), 1.0), 1.0 - 1e-9
    if low >= high:
        return 1.0
    least = level(low) - fall
    if level(high) >= least:
        return 1.0
    for _ in range(40):
        middle = (low + high) / 2
        low, high = (middle, high) if level(middle) >= least else (low, middle)
    return high


def _told(share: float) -> float:
    """A share as it is told: inside 0..1, to six decimals, beyond which machines may round differently."""
    return round(min(max(share, 0.0), 1.0), 6) + 0.0


class Sides:
    """P and Q with their draws, made once for all sets that are estimated against one snapshot.

    `sample` is the snapshot's; None (or too little of it in a cell) leaves the shipped histogram. Bins that few rows of P's side fall
    into are put together with their neighbours: an empty bin would have no spread in any draw, and every document in it would count as machine.
    """

    def __init__(self, cells: Cells, sample: Counted | None = None):
        rng = _rng(1)
        self.sample = sample if sample is not None and sample.effective() >= LEAST_HOSTS else None
        seen, held = np.zeros(len(cells.human), int), np.zeros(len(cells.human), int)
        if self.sample is not None:
            seen, held = self.sample.bins.sum(axis=0), (self.sample.bins > 0).sum(axis=0)
        self.own = _by_cell(seen, cells) >= LEAST_ROWS
        """(C,): whether P is the snapshot's own."""
        there = self.own[cells.owner]
        self._joined = _join(np.where(there, held, cells.human * cells.human_rows[cells.owner]), cells.owner)
        self.cells = cells = replace(
            cells,
            owner=cells.owner[np.unique(self._joined, return_index=True)[1]],
            human=self.join(cells.human),
            machine=self.join(cells.machine),
        )
        there = self.own[cells.owner]
        shipped, self.machine = (
            _smoothed(h * rows[cells.owner], cells)
            for h, rows in ((cells.human, cells.human_rows), (cells.machine, cells.machine_rows))
        )
        self.machine_drawn = _smoothed(_redrawn(rng, self.machine, cells.machine_rows, cells), cells)
        self.human, self.human_drawn = shipped, _smoothed(_redrawn(rng, shipped, cells.human_rows, cells), cells)
        if self.sample is not None:
            self.sample = replace(self.sample, bins=self.join(self.sample.bins))
        if self.sample is not None and self.own.any():
            own = _smoothed(self.sample.bins.sum(axis=0), cells)
            drawn = _smoothed(_weights(rng, len(self.sample.bins)) @ self.sample.bins, cells)
            self.human = np.where(there, own, shipped)
            self.human_drawn = np.where(there, drawn, self.human_drawn)

    def join(self, values: np.ndarray) -> np.ndarray:
        """Values (..., K) over the calibration's bins, summed over those that are put together."""
        starts = np.unique(self._joined, return_index=True)[1]
        return np.add.reduceat(values, starts, axis=-1)

    @cached_property
    def spread(self) -> float | None:
        """Standard deviation between hosts of the snapshot of what they would be estimated at, in units of the share; None where too few
        hosts say so."""
        return None if self._apart is None else float(np.sqrt(self._apart[0]))

    @cached_property
    def _apart(self) -> tuple[float, float] | None:
        return self._variances(self.sample.bins * self.own[self.cells.owner]) if self.sample is not None else None

    def design(self, bins: np.ndarray) -> float:
        """The design effect of documents `bins` (H, K over the calibration's bins) of hosts whose pages are alike: how many of them tell
        as much as one that stands alone, 1 + (sum n^2 / sum n - 1) * correlation (Kish 1965, section 5.4).

        The correlation of a host's scores is the snapshot's, or the set's own if greater; 1 where neither has hosts enough to say it.
        """
        sizes = bins.sum(axis=1).astype(float)
        known = [
            value for value in (_correlation(self._apart), _correlation(self._variances(self.join(bins)))) if value is not None
        ]
        return 1.0 + (float((sizes**2).sum() / sizes.sum()) - 1.0) * max(known, default=1.0)

    def _variances(self, bins: np.ndarray) -> tuple[float, float] | None:
        """(between, within) hosts: variances of what documents `bins` (H, joined K) would be estimated at; None for too few hosts.

        One-way analysis of variance (Searle, Casella & McCulloch 1992, section 3.6) of each document's influence on the estimate at a
        share of 0, (Q/P - 1) / sum(P (Q/P - 1)^2).
        """
        sizes = bins.sum(axis=1).astype(float)
        if (sizes >= 2).sum() < LEAST_SPREAD:
            return None
        bins, sizes = bins[sizes > 0], sizes[sizes > 0]
        score = np.where(bins.any(axis=0), self.machine / self.human - 1, 0.0)
        total = sizes.sum()
        scale = float((bins.sum(axis=0) / total * score**2).sum())
        if not scale:
            return None
        score = score / scale
        means, mean = bins @ score / sizes, float(bins.sum(axis=0) @ score / total)
        within = float((bins @ score**2 - sizes * means**2).sum()) / max(total - len(sizes), 1.0)
        between = float((sizes * (means - mean) ** 2).sum()) / (len(sizes) - 1)
        each = (total - float((sizes**2).sum()) / total) / (len(sizes) - 1)
        return max((between - within) / each, 0.0), within

    def rates(self, bins: np.ndarray) -> tuple[tuple[float, float], tuple[float, float]]:
        """(least, greatest) rate of false positives, and of true ones, of documents that lie in cells as those of `bins` (K,) do."""
        weight = _by_cell(bins, self.cells) / bins.sum()
        low, high = weight @ self._false_positives
        least, greatest = weight @ self.cells.true_positives
        return (float(low), float(high)), (float(least), float(greatest))

    @cached_property
    def _false_positives(self) -> np.ndarray:
        """(C, 2): the interval of each cell's rate of false positives."""
        return np.array([self._false(cell) for cell in range(len(self.cells.human_rows))])

    def _false(self, cell: int) -> tuple[float, float]:
        """The interval of a cell's rate of false positives: Clopper-Pearson with the effective number of documents (Korn & Graubard
        1998) of the snapshot's sample; from 0 to the stated rate where it has no sample."""
        if self.sample is None or not self.own[cell]:
            return 0.0, float(self.cells.stated[cell])
        sizes = self.sample.bins[:, self.cells.owner == cell].sum(axis=1).astype(float)
        hits, total = self.sample.flagged[:, cell].astype(float), float(sizes.sum())
        rate, hosts = float(hits.sum()) / total, int((sizes > 0).sum())
        design = 1.0
        if 0 < rate < 1 and hosts > 1:
            variance = hosts / (hosts - 1) * float(((hits - rate * sizes) ** 2).sum()) / total**2
            design = max(1.0, variance / (rate * (1 - rate) / total))
        return binomial_interval(rate * total / design, total / design, LEVEL)


def _correlation(parts: tuple[float, float] | None) -> float | None:
    """Part of the variance that lies between hosts; None without any variance."""
    return parts[0] / (parts[0] + parts[1]) if parts is not None and sum(parts) > 0 else None


def fit(counts: np.ndarray, human: np.ndarray, machine: np.ndarray) -> np.ndarray:
    """The share of `machine` in `counts` for each of R rows: shapes (R, K), and (R, K) or (1, K) for the histograms, all positive.

    Newton's method inside a bracket that halves where a step would leave it; on [-1, 2] at most, and 0 where the histograms are equal.
    """
    counts = counts.astype(float)
    seen = counts > 0
    slope, base = np.where(seen, machine - human, 0.0), np.where(seen, human, 1.0)
    pole = np.divide(-base, slope, out=np.full(counts.shape, np.nan), where=slope != 0)
    low = np.maximum(np.where(pole < 0, pole, -1.0).max(axis=1, initial=-1.0), -1.0)
    high = np.minimum(np.where(pole > 0, pole, 2.0).min(axis=1, initial=2.0), 2.0)
    at = np.clip(0.1, low + (high - low) * 1e-3, high - (high - low) * 1e-3)
    at = np.where(slope.any(axis=1), at, 0.0)
    # The maximum of what still rises towards an end that is no pole is that end, to which Newton's steps would creep.
    for end in (-1.0, 2.0):
        near = base + end * slope
        open_end = (near > 1e-9).all(axis=1)
        gradient = (counts * np.divide(slope, near, out=np.zeros(counts.shape), where=near > 1e-9)).sum(axis=1)
        at = np.where(open_end & (gradient * end > 0), end, at)
    live = np.flatnonzero((at != -1.0) & (at != 2.0))
    counts, slope, base = counts[live], slope[live], base[live]
    for _ in range(100):
        here = at[live]
        ratio = slope / (base + here[:, None] * slope)
        pull = counts * ratio
        gradient, curve = pull.sum(axis=1), (pull * ratio).sum(axis=1)
        low[live], high[live] = np.where(gradient > 0, here, low[live]), np.where(gradient < 0, here, high[live])
        under, over = low[live], high[live]
        step = here + np.divide(gradient, curve, out=np.zeros_like(here), where=curve > 0)
        step = np.where((step > under) & (step < over), step, np.where(gradient == 0, here, (under + over) / 2))
        at[live] = step
        left = np.abs(step - here) >= 1e-10
        if not left.any():
            break
        if left.sum() < 0.7 * len(left):
            live, counts, slope, base = live[left], counts[left], slope[left], base[left]
    return at


def rogan_gladen(flagged: tuple[float, float], false: tuple[float, float], true: tuple[float, float]) -> tuple[float, float]:
    """Least and greatest share that fit the (least, greatest) rates of flags, false positives and true positives.

    (flagged - false) / (true - false), cut to 0..1; 1 from above where machine text might be flagged no more than human text.
    """
    low = (flagged[0] - false[1]) / (true[1] - false[1]) if true[1] > false[1] else 0.0
    high = (flagged[1] - false[0]) / (true[0] - false[0]) if true[0] > false[0] else 1.0
    return min(max(low, 0.0), 1.0), min(max(high, 0.0), 1.0)


def interval(point: float, drawn: np.ndarray, hosts: float) -> tuple[float, float]:
    """The BC interval around `point` from replicates `drawn` (R,), expanded for `hosts` (infinite for not at all)."""
    below = float((drawn < point).mean() + (drawn == point).mean() / 2)
    edge = 1 / (len(drawn) + 1)
    low, high = _quantiles(drawn, hosts, NormalDist().inv_cdf(min(max(below, edge), 1 - edge)))
    return min(low, point), max(high, point)


def _quantiles(drawn: np.ndarray, hosts: float, shift: float = 0.0) -> tuple[float, float]:
    wide = student((1 + LEVEL) / 2, hosts - 1) * (np.sqrt(hosts / (hosts - 1)) if np.isfinite(hosts) else 1.0)
    levels = [NormalDist().cdf(2 * shift - wide), NormalDist().cdf(2 * shift + wide)]
    low, high = np.quantile(drawn, levels)
    return float(low), float(high)


def _rng(stream: int = 0) -> np.random.Generator:
    return np.random.Generator(np.random.Philox(key=[SEED, stream]))


def _weights(rng: np.random.Generator, rows: int) -> np.ndarray:
    """(R, rows): how often each row is drawn in each replicate. Whole numbers in floats, so that sums over them are exact."""
    return rng.multinomial(rows, np.full(rows, 1 / rows), size=REPLICATES).astype(float)


def _by_cell(values: np.ndarray, cells: Cells) -> np.ndarray:
    return np.bincount(cells.owner, weights=values, minlength=len(cells.human_rows))


def _join(held: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """(K,): number of the joined bin of each bin. Within a cell bins are put together from the highest score down until each holds
    `LEAST_HELD`; what is left over at the lower end joins its neighbour."""
    out = np.zeros(len(held), int)
    for cell in np.unique(owner):
        mine = np.flatnonzero(owner == cell)[::-1]
        number, total, names = 0, 0.0, []
        for value in held[mine].tolist():
            if total >= LEAST_HELD:
                number, total = number + 1, 0.0
            total += value
            names.append(number)
        if total < LEAST_HELD and number:
            names = [min(name, number - 1) for name in names]
        out[mine] = max(names) - np.array(names) + (out.max() + 1 if cell != owner[0] else 0)
    return out


def _scaled(values: np.ndarray, cells: Cells) -> np.ndarray:
    """Histograms (..., K) that sum to 1 over each cell."""
    out = np.empty(values.shape)
    for cell in range(len(cells.human_rows)):
        mine = cells.owner == cell
        out[..., mine] = values[..., mine] / values[..., mine].sum(axis=-1, keepdims=True)
    return out


def _smoothed(counts: np.ndarray, cells: Cells) -> np.ndarray:
    """Histograms of counts with half a row more in each bin (Krichevsky & Trofimov 1981), so that none is empty."""
    return _scaled(counts + 0.5, cells)


def _redrawn(rng: np.random.Generator, histogram: np.ndarray, rows: np.ndarray, cells: Cells) -> np.ndarray:
    """(R, K): counts of as many rows as a histogram was counted from, drawn from it."""
    out = np.zeros((REPLICATES, len(histogram)))
    for cell, number in enumerate(rows.tolist()):
        mine = cells.owner == cell
        out[:, mine] = rng.multinomial(number, histogram[mine] / histogram[mine].sum(), size=REPLICATES)
    return out
