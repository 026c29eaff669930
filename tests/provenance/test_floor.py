"""The floor: shares are read exactly, chunks respect characters, and no prefix of any schedule falls below the floor."""

import hashlib
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import floor, mixture
from provenance.mixture import Mix

LENGTH = st.integers(0, 10**7) | st.integers(0, 9)
FLOOR = st.one_of(
    st.sampled_from(["0", "1", "1/2", "0.37", "1/3", "0.999999"]).map(mixture.fraction), st.fractions(0, 1, max_denominator=10**9)
)


def rows(units: int) -> st.SearchStrategy[np.ndarray]:
    return st.lists(st.tuples(*[LENGTH] * units), max_size=60).map(lambda found: np.array(found, np.int64).reshape(-1, units))


def prefixes(turn: np.ndarray, human: np.ndarray, other: np.ndarray, share: Fraction) -> list[list[Fraction]]:
    """Surplus of each unit after each row, in fractions."""
    ours, theirs, so_far, found = iter(human.tolist()), iter(other.tolist()), [Fraction(0)] * human.shape[1], []
    for is_human in turn.tolist():
        lengths = next(ours if is_human else theirs)
        so_far = [d + (1 - share if is_human else -share) * x for d, x in zip(so_far, lengths, strict=True)]
        found.append(so_far)
    return found


@pytest.mark.parametrize(
    ("text", "share"),
    [
        ("0.37", "37/100"),
        ("1/2", "1/2"),
        (1, "1"),
        (0, "0"),
        (0.1, "1/10"),
        (0.3, "3/10"),
        (" .5 ", "1/2"),
        ("2/4", "1/2"),
        (1e-05, "1/100000"),
    ],
)
def test_a_share_is_read_exactly(text, share):
    assert mixture.fraction(text) == Fraction(share)


@pytest.mark.parametrize(
    "text",
    ["1.01", -0.1, "-1/2", "3/2", "half", "", "1/0", "0.5.5", "1e-3", "nan", float("nan"), float("inf"), True, "1/2000000000", 2],
)
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match=r"share|outside|denominator"):
        mixture.fraction(text)


@pytest.mark.parametrize(
    "options",
    [{"floor": "2"}, {"units": ("bytes", "bytes")}, {"units": ("tokens",)}, {"tokenizer": "t.json"}, {"budget": 0}, {"shards": 0}],
)
def test_a_mix_that_cannot_be_meant_is_refused(options):
    with pytest.raises(ValueError, match=r"\d|unit|token"):
        Mix(**options)


@given(st.text(max_size=300), st.integers(4, 40))
def test_chunks_join_to_the_text_and_cut_no_character(text, size):
    data = text.encode()
    ends = floor.chunk_ends(np.frombuffer(data, np.uint8), size)
    chunks = [data[a:b] for a, b in zip([0, *ends], ends, strict=False)]
    assert "".join(chunk.decode() for chunk in chunks) == text
    assert all(0 < len(chunk) <= size for chunk in chunks) or not data
    assert len(chunks) <= max(1, -(-len(data) // (size - 3)))


SEED = st.none() | st.text(max_size=4)
SIDES = st.integers(1, 3).flatmap(lambda units: st.tuples(rows(units), rows(units)))


@st.composite
def scheduled(draw: st.DrawFn, sides: st.SearchStrategy[tuple[np.ndarray, np.ndarray]] = SIDES) -> tuple[Any, ...]:
    """Two sides, a floor, rows of a shuffle buffer, and the order at the rates that spread the others, or at the floor."""
    human, other = draw(sides)
    share, buffer = draw(FLOOR), draw(st.integers(0, 8))
    held = floor.longest(human, share, buffer)
    rates = floor.paced(human, other, share, held) if draw(st.booleans()) else [share] * human.shape[1]
    return human, other, share, buffer, rates, held, floor.turns(human, other, rates, held, draw(SEED))


def _columns(turn: np.ndarray, human: np.ndarray, other: np.ndarray, unit: int) -> tuple[np.ndarray, np.ndarray]:
    total = np.zeros(len(turn), np.int64)
    total[turn], total[~turn] = human[:, unit], other[: int((~turn).sum()), unit]
    return np.where(turn, total, 0), total


@given(scheduled())
def test_the_floor_holds_at_every_prefix_in_every_unit(plan):
    human, other, share, _, _, _, turn = plan
    found = prefixes(turn, human, other, share)
    assert all(d >= 0 for after in found for d in after)
    assert int(turn.sum()) == len(human)
    for unit in range(human.shape[1]):
        least, last = floor.surpluses(*_columns(turn, human, other, unit), share)
        assert least == min((after[unit] * share.denominator for after in found), default=0)
        assert last == (found[-1][unit] * share.denominator if found else 0)


def greedy(human: np.ndarray, other: np.ndarray, share: Fraction) -> list[bool]:
    """The rule as the module's text has it, in fractions, without lead and jitter."""
    ours, theirs, so_far, order = human.tolist(), other.tolist(), [Fraction(0)] * human.shape[1], []
    while ours or theirs:
        after = [d - share * x for d, x in zip(so_far, theirs[0], strict=True)] if theirs else [Fraction(-1)]
        if min(after) >= 0:
            so_far, _ = after, theirs.pop(0)
            order.append(False)
        elif ours:
            so_far = [d + (1 - share) * x for d, x in zip(so_far, ours.pop(0), strict=True)]
            order.append(True)
        else:
            break
    return order


@given(SIDES, FLOOR)
def test_others_come_as_soon_as_the_floor_lets_them_where_nothing_is_drawn(sides, share):
    human, other = sides
    assert floor.turns(human, other, [share] * human.shape[1]).tolist() == greedy(human, other, share)


@given(scheduled())
def test_the_surplus_stays_within_its_bound_while_others_are_left(plan):
    human, other, _, _, rates, held, turn = plan
    bounds = floor.bound(human, other, rates, held)
    left, surplus = len(other), [0] * len(rates)
    ours, theirs = iter(human.tolist()), iter(other.tolist())
    for is_human in turn[: np.flatnonzero(turn).max(initial=-1) + 1].tolist():
        lengths = next(ours if is_human else theirs)
        scales = [rate.denominator - rate.numerator if is_human else -rate.numerator for rate in rates]
        surplus = [d + scale * x for d, scale, x in zip(surplus, scales, lengths, strict=True)]
        left -= not is_human
        assert not left or any(d <= most for d, most in zip(surplus, bounds, strict=True))


@given(scheduled(), st.data())
def test_a_reader_that_holds_rows_back_never_falls_below_the_floor(plan, data):
    human, other, share, buffer, _, _, turn = plan
    units = range(human.shape[1])
    rows_in_order = [list(zip(*(c.tolist() for c in _columns(turn, human, other, unit)), strict=True)) for unit in units]
    greedily = data.draw(st.sampled_from(["human", "longest", "random"]))
    worth = [sum(row[unit][0] for unit in units) for row in zip(*rows_in_order, strict=True)] if len(turn) else []
    kept: list[int] = []
    human_so_far, total_so_far = [0] * len(units), [0] * len(units)
    for i in range(len(turn)):
        kept.append(i)
        if len(kept) <= buffer:
            continue
        if greedily == "human":
            out = next((j for j in kept if not turn[j]), kept[-1])
        elif greedily == "longest":
            out = min(kept, key=lambda j: (bool(turn[j]), worth[j]))
        else:
            out = data.draw(st.sampled_from(kept))
        kept.remove(out)
        for unit in units:
            human_so_far[unit] += rows_in_order[unit][out][0]
            total_so_far[unit] += rows_in_order[unit][out][1]
            assert human_so_far[unit] >= share * total_so_far[unit]


@given(scheduled())
def test_what_a_reader_may_hold_back_at_worst_is_led_by(plan):
    human, other, share, buffer, _, _, turn = plan
    for unit in range(human.shape[1]):
        ours, total = _columns(turn, human, other, unit)
        for end in range(len(turn) + 1):
            worst = sum(sorted(ours[:end].tolist(), reverse=True)[:buffer])
            assert int(ours[:end].sum()) - worst >= share * (int(total[:end].sum()) - worst)


@given(st.lists(scheduled(st.tuples(rows(2), rows(2))), min_size=1, max_size=4), st.data())
def test_the_floor_holds_at_every_interleaving_of_shard_prefixes(shards, data):
    share, so_far = min(plan[2] for plan in shards), [Fraction(0), Fraction(0)]
    for human, other, _, _, _, _, turn in shards:
        found = prefixes(turn, human, other, share)
        stop = data.draw(st.integers(0, len(found)))
        if stop:
            so_far = [a + b for a, b in zip(so_far, found[stop - 1], strict=True)]
    assert min(so_far) >= 0


@given(rows(2), rows(2), FLOOR, SEED)
def test_one_unit_is_scheduled_as_several_equal_ones_are(human, other, share, seed):
    alone = floor.turns(human[:, :1], other[:, :1], [share], None, seed)
    doubled = floor.turns(np.repeat(human[:, :1], 2, axis=1), np.repeat(other[:, :1], 2, axis=1), [share] * 2, None, seed)
    assert alone.tolist() == doubled.tolist()


@given(SIDES, FLOOR, st.integers(0, 5), SEED)
def test_all_others_find_a_place_where_the_totals_keep_the_floor(sides, share, buffer, seed):
    human, other = sides
    held = floor.longest(human, share, buffer)
    q, p = share.denominator, share.numerator
    room = [(q - p) * (int(human[:, unit].sum()) - held[unit]) for unit in range(human.shape[1])]
    cost = np.cumsum(other.astype(object) * p, axis=0)
    fit = other[: int(sum(all(x <= r for x, r in zip(after, room, strict=True)) for after in cost.tolist()))]
    turn = floor.turns(human, fit, floor.paced(human, fit, share, held), held, seed)
    assert len(turn) == len(human) + len(fit)


@pytest.mark.parametrize("unit", [1, 10**6, 10**12])
def test_sums_beyond_64_bits_are_exact(unit):
    human, other, share = np.full((50, 1), 7 * unit), np.full((49, 1), 7 * unit), Fraction(499_999_999, 10**9)
    turn = floor.turns(human, other, [share], None, None)
    assert len(turn) == 99
    assert turn.tolist() == greedy(human, other, share)
    jittered = floor.turns(human, other, [share], None, "s")
    assert len(jittered) == 99
    assert all(d >= 0 for (d,) in prefixes(jittered, human, other, share))


def test_the_same_seed_gives_the_same_order_and_another_one_another():
    human, other = np.full((200, 1), 10), np.full((200, 1), 10)
    found = [floor.turns(human, other, [Fraction(1, 2)], None, seed).tolist() for seed in ("a", "a", "b")]
    assert found[0] == found[1] != found[2]
    assert hashlib.sha256(bytes(found[0])).hexdigest()[:16] == "64ba7303e9e26074"


@pytest.mark.parametrize(("share", "stride"), [("1/2", 2), ("1/2", 4), ("1/3", 3), ("2/3", 3), ("3/4", 4)])
def test_no_stride_reads_one_class_alone_where_lengths_are_equal(share, stride):
    floor_, humans = Fraction(share), 1200
    others = int(humans / floor_) - humans
    human, other = np.full((humans, 1), 10), np.full((others, 1), 10)
    regular = floor.turns(human, other, [floor_])
    jittered = floor.turns(human, other, [floor_], None, "seed")
    assert len(jittered) == len(regular) == humans + others
    off = [max(abs(order[i::stride].mean() - float(floor_)) for i in range(stride)) for order in (regular, jittered)]
    assert off[0] > 0.2
    assert off[1] < 0.12


def test_what_a_buffer_holds_back_is_led_by_before_the_first_other_row():
    human, other = np.full((100, 1), 10), np.full((100, 1), 10)
    held = floor.longest(human, Fraction(1, 2), 30)
    turn = floor.turns(human, other, [Fraction(1, 2)], held)
    assert held == [300]
    assert turn[:31].all() and not turn[31]
    assert len(turn) == 170
    assert floor.longest(human, Fraction(0), 30) == [0]


@given(
    st.integers(1, 2).flatmap(lambda units: st.tuples(st.lists(rows(units), min_size=1, max_size=4), rows(units))),
    FLOOR,
    st.integers(0, 4),
    st.data(),
)
def test_what_is_admitted_can_be_scheduled_whole_and_keeps_ceiling_and_budget(sides, share, buffer, data):
    shards, other = sides
    human = np.array([side.sum(axis=0) for side in shards])
    lead = np.array([floor.longest(side, share, buffer) for side in shards])
    origins = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(other), max_size=len(other))), np.int64)
    ceilings = [Fraction(1), data.draw(st.fractions(0, 1, max_denominator=100))]
    budget = data.draw(st.none() | st.integers(0, 10**9))
    taken = floor.admit(human, other, origins, share, ceilings, budget, lead if buffer else None)
    for number, side in enumerate(shards):
        mine, held = other[taken == number], lead[number].tolist()
        turn = floor.turns(side, mine, floor.paced(side, mine, share, held), held, "seed")
        assert len(turn) == len(side) + len(mine)
    total = int(human[:, 0].sum() + other[taken >= 0, 0].sum())
    assert int(other[(taken >= 0) & (origins == 1), 0].sum()) <= ceilings[1] * total
    assert budget is None or total <= max(budget, int(human[:, 0].sum()))


def test_a_shard_that_a_reader_may_hold_back_whole_takes_nothing():
    human, other = np.array([[100], [100]]), np.full((30, 1), 10)
    lead = np.array([[100], [40]])
    taken = floor.admit(human, other, np.zeros(30, np.int64), Fraction(1, 2), [Fraction(1)], None, lead)
    assert np.bincount(taken + 1).tolist() == [24, 0, 6]


def test_a_document_that_does_not_fit_is_passed_over():
    taken = floor.admit(
        np.array([[100]]), np.array([[500], [60], [30], [20]]), np.zeros(4, np.int64), Fraction(1, 2), [Fraction(1)]
    )
    assert taken.tolist() == [-1, 0, 0, -1]


def test_a_scarce_other_side_is_spread_over_the_shard():
    human, other = np.full((90, 1), 10), np.full((10, 1), 10)
    turn = floor.turns(human, other, floor.paced(human, other, Fraction(1, 2)))
    assert np.flatnonzero(~turn).tolist() == list(range(9, 100, 10))
    jittered = np.flatnonzero(~floor.turns(human, other, floor.paced(human, other, Fraction(1, 2)), None, "seed"))
    assert len(jittered) == 10
    assert np.abs(jittered - np.arange(9, 100, 10)).max() <= 20


def test_repetition_is_worth_what_the_law_says():
    # The table of Muennighoff et al. 2023 gives 3.73 for 4 epochs, within the rounding of R.
    assert floor.effective(1000, 1) == 1000
    assert floor.effective(1000, 0.5) == 500
    assert floor.effective(1000, 4) == pytest.approx(3726, abs=5)
    assert floor.effective(1000, 1e9) == pytest.approx(16390)
