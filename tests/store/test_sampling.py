"""The arithmetic of samples, against counting."""

import itertools
import math

import pytest

from store.sampling import Sample, fresh_seed, given_seed, missed, upper_bound


@pytest.mark.parametrize("population", range(1, 7))
def test_the_probability_of_missing_is_that_of_counting_all_samples(population: int) -> None:
    for drawn in range(population + 1):
        for changed in range(population + 1):
            samples = list(itertools.combinations(range(population), drawn))
            counted = sum(all(at >= changed for at in sample) for sample in samples) / len(samples)
            assert missed(population, drawn, changed) == pytest.approx(counted)


def test_large_populations_are_told_without_large_numbers() -> None:
    assert missed(10**9, 10**7, 1) == pytest.approx(0.99)
    assert missed(10**9, 10**7, 10) == pytest.approx(0.99**10, rel=1e-6)
    assert missed(10, 10, 1) == 0


def test_the_upper_limit_is_clopper_and_pearsons() -> None:
    assert upper_bound(0, 200) == pytest.approx(1 - 0.05 ** (1 / 200))
    assert upper_bound(0, 200) < 3 / 200
    # R: binom.test(2, 100, alternative = "less")$conf.int[2] is 0.06161577; (1, 30) gives 0.1485961.
    assert upper_bound(2, 100) == pytest.approx(0.0616, abs=1e-4)
    assert upper_bound(1, 30) == pytest.approx(0.1486, abs=1e-4)
    assert upper_bound(5, 5) == upper_bound(0, 0) == 1.0


def test_every_file_is_drawn_about_as_often_as_its_share() -> None:
    entries = [{"path": f"documents/{at}", "size": 1} for at in range(20)]
    drawn = [Sample(0.25, str(seed)).files(entries) for seed in range(400)]
    assert {len(one) for one in drawn} == {5}
    for entry in entries:
        # 100 expected; five standard deviations of a binomial of 400 draws at 1/4.
        assert abs(sum(entry["path"] in one for one in drawn) - 100) < 5 * math.sqrt(400 * 0.25 * 0.75)


def test_the_files_hold_the_share_of_the_bytes_whatever_their_sizes() -> None:
    entries = [{"path": f"documents/{at}", "size": 10**6 if at == 7 else 1} for at in range(20)]
    for seed in range(50):
        chosen = Sample(0.5, str(seed)).files(entries)
        assert "documents/7" in chosen and len(chosen) >= 10


def test_rows_are_drawn_without_repeats_and_repeat_by_seed() -> None:
    sample = Sample(0.1, "seed")
    rows = sample.rows("documents/a", 95)
    assert len(set(rows.tolist())) == 10 and rows.tolist() == sorted(rows.tolist())
    assert rows.tolist() == sample.rows("documents/a", 95).tolist() != Sample(0.1, "other").rows("documents/a", 95).tolist()
    assert sample.rows("documents/a", 0).tolist() == []
    assert fresh_seed() != fresh_seed()


def test_a_seed_is_taken_as_it_was_printed() -> None:
    seed = fresh_seed()
    assert given_seed(seed) == given_seed(f" {seed.upper()}\n") == seed
