"""The prior by month and language: between two months linear in log-odds, constant beyond them."""

import datetime
import math

import pytest

from provenance.calibration import Calibration, Prior
from provenance.prior import priors

FILE = Calibration(
    prior=-1.5,
    priors=(
        Prior(language="*", source="a test", months=(("2023-01", 0.5),)),
        Prior(language="en", source="a test", months=(("2022-01", 0.01), ("2022-11", 0.2), ("2024-01", 0.5))),
    ),
)


def odds(share: float) -> float:
    return math.log(share / (1 - share))


def prior(
    language: str | None, year: int | None, month: int = 1, day: int = 1, constant: float | None = None, file: Calibration = FILE
):
    date = None if year is None else datetime.datetime(year, month, day, tzinfo=datetime.UTC)
    return priors(file, [language], [date], constant)[0]


@pytest.mark.parametrize(
    ("year", "month", "expected"),
    [
        (1999, 5, odds(0.01)),
        (2022, 1, odds(0.01)),
        (2022, 6, odds(0.01) + 5 / 10 * (odds(0.2) - odds(0.01))),
        (2022, 11, odds(0.2)),
        (2023, 1, odds(0.2) + 2 / 14 * (odds(0.5) - odds(0.2))),
        (2024, 1, odds(0.5)),
        (2031, 12, odds(0.5)),
    ],
)
def test_months(year, month, expected):
    assert math.isclose(prior("en", year, month), expected, abs_tol=1e-12)
    assert prior("en", year, month, 28) == prior("en", year, month, 1)


def test_it_never_falls_in_a_table_that_rises():
    found = [prior("en", year, month) for year in range(2021, 2026) for month in range(1, 13)]
    assert found == sorted(found)


@pytest.mark.parametrize("language", ["de", None, ""])
def test_other_languages_have_the_table_for_all(language):
    assert prior(language, 2030) == odds(0.5)


def test_without_a_date_or_a_table_it_is_the_files():
    assert prior("en", None) == -1.5
    assert prior("de", 2030, file=Calibration(prior=-1.5, priors=FILE.priors[1:])) == -1.5


def test_a_constant_stands_for_all():
    assert prior("en", 2022, constant=0.25) == 0.25 and prior(None, None, constant=0.25) == 0.25


def test_the_statement_in_the_docstring_puts_another_prior_in_its_place():
    import duckdb

    from provenance import prior as module

    (statement,) = [line.strip() for line in module.__doc__.splitlines() if line.strip().startswith("select ")]
    con = duckdb.connect()
    con.execute("create table tags as select 'a' as key, 1.5::double as log_likelihood_ratio, 0.1::double as p_machine")
    con.execute("insert into tags values ('b', 9.0, null)")
    ((key, found),) = con.execute(statement).fetchall()
    assert key == "a" and math.isclose(found, 1 / (1 + math.exp(-(1.5 + odds(0.05)))))
