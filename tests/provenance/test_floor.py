"""The floor: shares are read exactly, chunks respect characters, and no prefix of any schedule falls below the floor."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import floor
from provenance.floor import Mix

LENGTH = st.integers(0, 10**7) | st.integers(0, 9)
FLOOR = st.one_of(
    st.sampled_from(["0", "1", "1/2", "0.37", "1/3", "0.999999"]).map(floor.fraction), st.fractions(0, 1, max_denominator=10**9)
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
    assert floor.fraction(text) == Fraction(share)


@pytest.mark.parametrize(
    "text",
    ["1.01", -0.1, "-1/2", "3/2", "half", "", "1/0", "0.5.5", "1e-3", "nan", float("nan"), float("inf"), True, "1/2000000000", 2],
)
def test_what_is_no_share_is_refused(text):
    with pytest.raises(ValueError, match=r"share|outside|denominator"):
        floor.fraction(text)


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


@given(st.integers(1, 3).flatmap(lambda units: st.tuples(rows(units), rows(units))), FLOOR)
def test_the_floor_holds_at_every_prefix_in_every_unit(sides, share):
    human, other = sides
    turn = floor.turns(human, other, [share] * human.shape[1])
    found = prefixes(turn, human, other, share)
    assert all(d >= 0 for after in found for d in after)
    assert int(turn.sum()) == len(human)
    for unit in range(human.shape[1]):
        least, last = floor.surpluses(*_columns(turn, human, other, unit), share)
        assert least == min((after[unit] * share.denominator for after in found), default=0)
        assert last == (found[-1][unit] * share.denominator if found else 0)


def _columns(turn: np.ndarray, human: np.ndarray, other: np.ndarray, unit: int) -> tuple[np.ndarray, np.ndarray]:
    total = np.zeros(len(turn), np.int64)
    total[turn], total[~turn] = human[:, unit], other[: int((~turn).sum()), unit]
    return np.where(turn, total, 0), total


@given(rows(1), rows(1), FLOOR)
def test_the_surplus_stays_below_its_bound_while_others_are_left(human, other, share):
    turn = floor.turns(human, other, [share])
    bound = share * int(other.max(initial=0)) + (1 - share) * int(human.max(initial=0))
    left = len(other)
    for is_human, (d,) in zip(turn.tolist(), prefixes(turn, human, other, share), strict=True):
        left -= not is_human
        assert d <= bound or not left


@given(st.lists(st.tuples(rows(2), rows(2)), min_size=1, max_size=4), FLOOR, st.data())
def test_the_floor_holds_at_every_interleaving_of_shard_prefixes(shards, share, data):
    so_far = [Fraction(0), Fraction(0)]
    for human, other in shards:
        found = prefixes(floor.turns(human, other, [share] * 2), human, other, share)
        stop = data.draw(st.integers(0, len(found)))
        if stop:
            so_far = [a + b for a, b in zip(so_far, found[stop - 1], strict=True)]
    assert min(so_far) >= 0


@given(rows(2), rows(2), FLOOR)
def test_one_unit_is_scheduled_as_several_are(human, other, share):
    alone = floor.turns(human[:, :1], other[:, :1], [share])
    doubled = floor.turns(np.repeat(human[:, :1], 2, axis=1), np.repeat(other[:, :1], 2, axis=1), [share] * 2)
    assert alone.tolist() == doubled.tolist()


@given(
    st.integers(1, 2).flatmap(lambda units: st.tuples(st.lists(rows(units), min_size=1, max_size=4), rows(units))), FLOOR, st.data()
)
def test_what_is_admitted_can_be_scheduled_whole_and_keeps_ceiling_and_budget(sides, share, data):
    shards, other = sides
    human = np.array([side.sum(axis=0) for side in shards])
    origins = np.array(data.draw(st.lists(st.integers(0, 1), min_size=len(other), max_size=len(other))), np.int64)
    ceilings = [Fraction(1), data.draw(st.fractions(0, 1, max_denominator=100))]
    budget = data.draw(st.none() | st.integers(0, 10**9))
    taken = floor.admit(human, other, origins, share, ceilings, budget)
    for number, side in enumerate(shards):
        mine = other[taken == number]
        assert len(floor.turns(side, mine, floor.paced(side, mine, share))) == len(side) + len(mine)
    total = int(human[:, 0].sum() + other[taken >= 0, 0].sum())
    assert int(other[(taken >= 0) & (origins == 1), 0].sum()) <= ceilings[1] * total
    assert budget is None or total <= max(budget, int(human[:, 0].sum()))


def test_a_document_that_does_not_fit_is_passed_over():
    taken = floor.admit(
        np.array([[100]]), np.array([[500], [60], [30], [20]]), np.zeros(4, np.int64), Fraction(1, 2), [Fraction(1)]
    )
    assert taken.tolist() == [-1, 0, 0, -1]


def test_a_scarce_other_side_is_spread_over_the_shard():
    human, other = np.full((90, 1), 10), np.full((10, 1), 10)
    turn = floor.turns(human, other, floor.paced(human, other, Fraction(1, 2)))
    assert np.flatnonzero(~turn).tolist() == list(range(9, 100, 10))


def test_repetition_is_worth_what_the_law_says():
    # The table of Muennighoff et al. 2023 gives 3.73 for 4 epochs, within the rounding of R.
    assert floor.effective(1000, 1) == 1000
    assert floor.effective(1000, 0.5) == 500
    assert floor.effective(1000, 4) == pytest.approx(3726, abs=5)
    assert floor.effective(1000, 1e9) == pytest.approx(16390)
