"""The machine share of a set: the maximum is one, planted shares lie in the interval as often as it says, and bounds bound."""

import numpy as np
import pytest

from provenance import prevalence
from provenance.prevalence import Cells, Counted, Sides, estimate, fit, reach, rogan_gladen

BINS = 20
EDGES = np.array([-1.5 + 0.25 * i for i in range(BINS - 1)])
LIMIT, SHIFT = 2.6, 1.5


def histogram(scores: np.ndarray) -> np.ndarray:
    return np.bincount(np.searchsorted(EDGES, scores, side="right"), minlength=BINS)


def hosts(rng: np.random.Generator, number: int, share: float, size: float = 10, apart: float = 0.3) -> tuple[Counted, float]:
    """Documents of hosts of very unequal sizes, whose human scores differ by host, in two cells; and the share that is truly there.

    Of each host another part is machine text: most have none, few have much.
    """
    bins, flagged = np.zeros((number, 2 * BINS), int), np.zeros((number, 2), int)
    machine = 0
    for host in range(number):
        count = 1 + int(rng.lognormal(np.log(size), 1))
        own = rng.beta(share * 2, (1 - share) * 2) if share else 0.0
        cell, made, moved = rng.integers(0, 2, count), rng.random(count) < own, rng.normal(0, apart)
        scores = rng.normal(0, 1, count) + np.where(made, SHIFT, moved) + 0.3 * cell
        machine += int(made.sum())
        for k in (0, 1):
            bins[host, k * BINS : (k + 1) * BINS] = histogram(scores[cell == k])
            flagged[host, k] = (scores[cell == k] > LIMIT + 0.3 * k).sum()
    return Counted(bins, flagged), machine / int(bins.sum())


def cells(rng: np.random.Generator, rows: int = 5000) -> Cells:
    """What was shipped: human text of other sources, which scores a little otherwise, and machine text."""
    human = np.concatenate([histogram(rng.normal(0.1 + 0.3 * cell, 1.1, rows)) / rows for cell in (0, 1)])
    machine = np.concatenate([histogram(rng.normal(SHIFT + 0.3 * cell, 1, rows)) / rows for cell in (0, 1)])
    owner = np.repeat([0, 1], BINS)
    return Cells(
        owner, human, machine, np.array([rows, rows]), np.array([rows, rows]), np.array([[0.08, 0.3]] * 2), np.full(2, 0.01)
    )


def test_the_maximum_is_the_one_of_a_search() -> None:
    rng = np.random.default_rng(1)
    human, machine = rng.dirichlet(np.ones(12), 2)
    for share in (0.0, 0.05, 0.4, 1.0):
        counts = rng.multinomial(3000, (1 - share) * human + share * machine)
        found = float(fit(counts[None], human[None], machine[None])[0])
        slope = machine - human
        among = np.linspace(max(found - 0.05, -0.2), min(found + 0.05, 1.3), 2001)
        mixed = human + among[:, None] * slope
        with np.errstate(invalid="ignore", divide="ignore"):
            likelihood = np.where((mixed > 0).all(axis=1), (counts * np.log(mixed)).sum(axis=1), -np.inf)
        assert found == pytest.approx(float(among[int(np.argmax(likelihood))]), abs=1e-4)


def test_equal_sides_and_single_bins_have_an_answer() -> None:
    same = np.array([[0.5, 0.5]])
    assert fit(np.array([[3, 9]]), same, same).tolist() == [0.0]
    human, machine = np.array([[0.9, 0.1]]), np.array([[0.1, 0.9]])
    assert fit(np.array([[0, 7], [7, 0]]), human, machine).tolist() == pytest.approx([2, -1], abs=1e-6)


def test_each_document_is_held_against_its_own_cell() -> None:
    """In the second cell the sides are swapped: only who looks at cells finds all of the first bin's documents human."""
    owner = np.array([0, 0, 1, 1])
    sides = np.array([0.9, 0.1, 0.1, 0.9]), np.array([0.1, 0.9, 0.9, 0.1])
    many = np.array([10_000, 10_000])
    made = Sides(Cells(owner, *sides, many, many, np.array([[0.5, 0.9]] * 2), np.full(2, 0.01)))
    rows = np.tile([18, 2, 2, 18], (30, 1))
    assert estimate(Counted(rows, np.zeros((30, 2), int)), made).share == pytest.approx(0, abs=0.01)
    assert estimate(Counted(rows[:, ::-1], np.zeros((30, 2), int)), made).share == pytest.approx(0, abs=0.01)
    assert estimate(Counted(rows[:, [1, 0, 3, 2]], np.zeros((30, 2), int)), made).share == pytest.approx(1, abs=0.01)


def test_rogan_gladen_bounds_by_hand() -> None:
    assert rogan_gladen((0.10, 0.12), (0.005, 0.01), (0.2, 0.6)) == (
        pytest.approx((0.10 - 0.01) / (0.6 - 0.01)),
        pytest.approx((0.12 - 0.005) / (0.2 - 0.005)),
    )
    assert rogan_gladen((0.0, 0.01), (0.0, 0.02), (0.2, 0.6))[0] == 0.0
    assert rogan_gladen((0.5, 0.6), (0.0, 0.02), (0.0, 0.6))[1] == 1.0, "a rate of true positives that may be 0 bounds nothing"


def test_the_same_counts_give_the_same_numbers_and_the_rest_of_the_world_none() -> None:
    rng = np.random.default_rng(2)
    shipped, sample, found = cells(rng), hosts(rng, 60, 0.0)[0], hosts(rng, 30, 0.1)[0]
    first = estimate(found, Sides(shipped, sample))
    np.random.seed(5)
    assert estimate(found, Sides(shipped, sample)) == first
    assert estimate(Counted(found.bins[:0], found.flagged[:0]), Sides(shipped)).share is None


def test_a_sample_too_small_for_any_cell_leaves_the_shipped_side() -> None:
    rng = np.random.default_rng(8)
    shipped, sample, found = cells(rng, rows=60), hosts(rng, 15, 0.0, size=2)[0], hosts(rng, 30, 0.1)[0]
    sides = Sides(shipped, sample)
    assert not sides.own.any() and len(sides.cells.owner) < len(shipped.owner)
    told, alone = estimate(found, sides), estimate(found, Sides(shipped))
    assert told.share == alone.share is not None and told.high is not None


def test_few_hosts_have_no_interval_unless_the_snapshots_hosts_say_how_they_differ() -> None:
    rng = np.random.default_rng(3)
    shipped, found = cells(rng), hosts(rng, 1, 0.0, size=200)[0]
    alone = estimate(found, Sides(shipped))
    assert alone.share is not None and (alone.low, alone.high, alone.spread) == (None, None, False)
    sides = Sides(shipped, hosts(rng, 150, 0.0, apart=0.5)[0])
    told = estimate(found, sides)
    assert told.spread and told.low == 0 and told.high is not None
    narrow = Sides(shipped, hosts(rng, 150, 0.0, apart=0.0)[0])
    assert (narrow.spread or 0) < 0.05 < (sides.spread or 0)


@pytest.mark.parametrize("number", [1, 3, 16, 40])
@pytest.mark.parametrize("frozen", [0, 150])
def test_scores_that_are_all_low_or_all_high_give_no_point(number: int, frozen: int) -> None:
    rng = np.random.default_rng(6)
    sample = hosts(rng, frozen, 0.0)[0] if frozen else None
    sides = Sides(cells(rng), sample)
    bins = np.zeros((number, 2 * BINS), int)
    bins[:, 1] = 15
    low = estimate(Counted(bins, np.zeros((number, 2), int)), sides)
    top = estimate(Counted(bins[:, ::-1], np.tile([0, 15], (number, 1))), sides)
    assert low.bound_high is not None and low.bound_high > 3 / (15 * number)
    if low.low is None or low.high is None or top.low is None:
        assert number < prevalence.LEAST_HOSTS and not frozen
        return
    assert (low.share, low.low) == (0, 0) and low.high > 3.6 / (15 * number)
    assert (top.share, top.high) == (1, 1) and top.low < 1


def test_more_documents_of_as_many_hosts_bound_a_share_less_than_more_hosts() -> None:
    rng = np.random.default_rng(7)
    sides = Sides(cells(rng), hosts(rng, 150, 0.0, apart=0.5)[0])

    def high(number: int, size: int) -> float:
        bins = np.zeros((number, 2 * BINS), int)
        bins[:, 1] = size
        found = estimate(Counted(bins, np.zeros((number, 2), int)), sides).high
        assert found is not None
        return found

    assert high(160, 10) < high(16, 100) < high(16, 10)


def test_the_reach_of_a_likelihood_by_hand() -> None:
    """Documents that no machine text can be: (1 - share)^n falls to 0.025, as Clopper & Pearson have it for 0 of n."""
    found = reach(np.array([60.0]), np.array([1.0]), np.array([0.0]), -1.0)
    assert found == pytest.approx(1 - 0.025 ** (1 / 60), abs=1e-6)
    human, machine = np.array([0.9, 0.1]), np.array([0.2, 0.8])
    counts = np.array([690.0, 310.0])
    share = float(fit(counts[None], human[None], machine[None])[0])
    error = float((counts * ((machine - human) / (human + share * (machine - human))) ** 2).sum()) ** -0.5
    assert reach(counts, human, machine, share) == pytest.approx(share + 1.96 * error, abs=2e-3)


def test_bins_of_the_snapshot_that_few_hosts_fill_are_put_together() -> None:
    rng = np.random.default_rng(4)
    sample = hosts(rng, 40, 0.0)[0]
    sides = Sides(cells(rng), sample)
    assert sides.own.all()
    joined = (sides.join(sample.bins) > 0).sum(axis=0)
    assert len(joined) < 2 * BINS and joined.min() >= prevalence.LEAST_HELD / 2, "a host counts in each bin that it has pages in"
    for side in (sides.human, sides.machine, *sides.human_drawn[:3], *sides.machine_drawn[:3]):
        assert np.bincount(sides.cells.owner, weights=side) == pytest.approx([1, 1]) and (side > 0).all()


def test_a_cell_that_the_snapshot_hardly_fills_keeps_what_was_shipped() -> None:
    rng = np.random.default_rng(5)
    sample = hosts(rng, 60, 0.0)[0]
    sample.bins[:, BINS:] = 0
    assert Sides(cells(rng), sample).own.tolist() == [True, False]


@pytest.mark.slow
@pytest.mark.parametrize(("number", "frozen", "share"), [(200, 40, 0.0), (200, 40, 0.03), (20, 300, 0.03), (20, 300, 0.3)])
def test_intervals_cover_planted_shares(number: int, frozen: int, share: float) -> None:
    """Of 40 crawls each, 34 or more of the 95 % intervals hold the share that is there: 3 in 1,000 such tests of a sound
    interval would fail by chance, and one that forgets that hosts differ holds it in some 30. Few hosts on either side are what
    intervals are for: few frozen ones make P uncertain, few crawled ones the share."""
    covered, bounded = 0, 0
    for trial in range(40):
        rng = np.random.default_rng([trial, number, frozen, int(1000 * share)])
        shipped, sample = cells(rng), hosts(rng, frozen, 0.0)[0]
        found, truth = hosts(rng, number, share)
        told = estimate(found, Sides(shipped, sample))
        assert told.low is not None and told.high is not None and told.bound_low is not None and told.bound_high is not None
        covered += told.low <= truth <= told.high
        bounded += told.bound_low <= truth <= told.bound_high
    assert covered >= 34
    assert bounded >= 34
