"""Conditions of a user over candidates: what they keep, what is none, and that they can reach nothing else."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from store.conditions import ROW, passing
from store.errors import UsageError

TABLE = pa.table(
    {
        ROW: pa.array([5, 3, 9, 1], pa.int64()),
        "origin": ["human", "unknown", "unknown", "human"],
        "score": pa.array([0.9, None, 0.2, -1.0]),
        "Größe": pa.array([1, 2, None, 4], pa.int32()),
    }
)


def kept(condition: str) -> list[int]:
    found: np.ndarray = passing(condition, TABLE.to_reader())
    return list(found.tolist())


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("score > 0.1", [5, 9]),
        ("origin = 'human' OR score > 0.1", [1, 5, 9]),
        ('"Größe" IS NULL', [9]),
        ("NOT (score > 0.1)", [1]),
        ("true", [1, 3, 5, 9]),
        ("NULL::BOOLEAN", []),
        ("score > 0.1 -- what is good", [5, 9]),
        ("list_contains(['human'], origin)", [1, 5]),
        ("age(TIMESTAMP '2021-01-01', TIMESTAMP '2020-01-01') > INTERVAL 1 DAY AND score > 0", [5, 9]),
        ("origin SIMILAR TO 'h.*'", [1, 5]),
    ],
)
def test_it_keeps_what_meets_it_and_null_counts_as_not(condition: str, expected: list[int]) -> None:
    assert kept(condition) == expected


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("score >", "cannot evaluate"),
        ("", "cannot evaluate"),
        ("score > 0.1; DROP TABLE candidates", "cannot evaluate"),
        ("score > 0.1) OR (true", "cannot evaluate"),
        ("score > 0.1, true", "cannot evaluate"),
        ("true FROM candidates", "cannot evaluate"),
        ("quality > 0.1", "quality"),
        ("score", "no truth value"),
        ("score + 1", "no truth value"),
        ("NULL", "no truth value"),
        ("origin", "no truth value"),
        ("origin::INTEGER > 1", "cannot evaluate"),
        ("count(*) > 1", "cannot evaluate"),
        ("row_number() OVER () < 2", "cannot evaluate"),
        ("score > (SELECT avg(score) FROM candidates)", "query inside"),
        ("EXISTS (FROM read_csv('/etc/passwd'))", "query inside"),
        ("origin IN (SELECT content FROM read_text('/etc/passwd'))", "query inside"),
        ("random() < 0.5", "another in each run"),
        ("score > 0 AND now() > TIMESTAMPTZ '2020-01-01'", "another in each run"),
        ("current_date > DATE '2020-01-01'", "another in each run"),
        ("uuid()::VARCHAR > 'a'", "another in each run"),
        ("current_setting('memory_limit') = '1GB'", "another in each run"),
        ("age(TIMESTAMP '2020-01-01') > INTERVAL 1 DAY", "another in each run"),
        ("ago(INTERVAL 1 DAY) > TIMESTAMPTZ '2020-01-01'", "another in each run"),
        ("current_localtimestamp() > TIMESTAMP '2020-01-01'", "another in each run"),
        ("list_filter([1], lambda x: x > random()) = []", "another in each run"),
        ("version() = 'x'", "another in each run"),
        ("getenv('HOME') IS NOT NULL", "cannot evaluate"),
        ("score > ?", "cannot evaluate"),
        ("score > $x", "cannot evaluate"),
        ("* IS NULL", "by other than their names"),
    ],
)
def test_what_is_no_condition_is_refused(condition: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        kept(condition)


def test_no_file_is_read_whatever_function_asks(tmp_path: Path) -> None:
    (tmp_path / "secret.csv").write_text("secret\n1\n")
    path = str(tmp_path / "secret.csv")
    for condition in (
        f"read_csv('{path}') IS NOT NULL",
        f"glob('{path}') IS NOT NULL",
        f"'{path}'.secret = 1",
        f'"{path}".secret = 1',
    ):
        with pytest.raises(UsageError):
            kept(condition)


def test_a_column_that_is_named_like_a_clock_is_a_column() -> None:
    table = TABLE.append_column("today", pa.array([1, 2, 3, 4]))
    assert passing("today > 2", table.to_reader()).tolist() == [1, 9]


def test_an_empty_table_keeps_nothing_and_still_checks() -> None:
    empty = TABLE.schema.empty_table()
    assert passing("score > 0", empty.to_reader()).tolist() == []
    with pytest.raises(UsageError, match="nothing_here"):
        passing("nothing_here", empty.to_reader())
