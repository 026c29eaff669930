"""Tables of scores that users bring: what is one, and what is said of what is none."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store import scores, sql
from store.errors import UsageError


def written(path: Path, columns: dict[str, Any]) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return str(path)


def test_a_file_a_folder_and_a_glob_are_tables(tmp_path: Path) -> None:
    one = written(tmp_path / "one.parquet", {"key": ["a", "b"], "quality": [0.1, 0.2]})
    written(tmp_path / "more/x.parquet", {"key": ["a"], "toxicity": [1]})
    written(tmp_path / "more/deep/y.parquet", {"key": ["b"], "toxicity": [2]})
    (tmp_path / "more/notes.txt").write_text("not a table")
    first, second = scores.opened([one, str(tmp_path / "more")])
    assert (first.rows, first.columns, second.rows, second.columns) == (2, ("quality",), 2, ("toxicity",))
    third = scores.opened([str(tmp_path / "more" / "**" / "*.parquet")])[0]
    assert third.sha256 == second.sha256 != first.sha256
    odd = written(tmp_path / "no ending", {"key": ["a"], "odd": [None]})
    assert scores.opened([odd])[0].columns == ("odd",)
    assert second.plain == {"sha256": second.sha256, "rows": 2, "columns": ["toxicity"]}


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"key": ["a", "a", "b", None], "x": [1, 2, 3, 4]}, "4 rows, of which 1 have no key and 1 repeat"),
        ({"id": ["a"], "x": [1]}, "no column key"),
        ({"key": [1, 2], "x": [1, 2]}, "key of type BIGINT"),
        ({"key": pa.array([b"a"], pa.binary()), "x": [1]}, "key of type BLOB"),
        ({"key": ["a"], "Language": ["de"]}, "'Language', which every document has"),
        ({"key": ["a"], "rarity": [1]}, "'rarity', which every document has"),
    ],
)
def test_what_cannot_be_joined_is_refused_with_the_numbers(tmp_path: Path, columns: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        scores.opened([written(tmp_path / "table.parquet", columns)])


def test_two_tables_with_one_column_are_refused(tmp_path: Path) -> None:
    one = written(tmp_path / "one.parquet", {"key": ["a"], "quality": [1]})
    two = written(tmp_path / "two.parquet", {"key": ["b"], "QUALITY": [1]})
    with pytest.raises(UsageError, match=r"two.parquet has the column 'QUALITY', which --scores .*one.parquet has"):
        scores.opened([one, two])


def test_a_key_in_two_files_of_a_table_is_refused(tmp_path: Path) -> None:
    for name in ("a", "b"):
        written(tmp_path / f"{name}.parquet", {"key": ["same", name], "x": [1, 2]})
    with pytest.raises(UsageError, match="4 rows, of which 0 have no key and 1 repeat"):
        scores.opened([str(tmp_path)])


@pytest.mark.parametrize("content", [b"", b"PAR1", b"key,score\na,1\n"], ids=["empty", "cut", "csv"])
def test_a_broken_file_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "broken.parquet").write_bytes(content)
    with pytest.raises(UsageError, match="cannot be read as Parquet"):
        scores.opened([str(tmp_path / "broken.parquet")])


def test_files_of_other_columns_are_no_table(tmp_path: Path) -> None:
    written(tmp_path / "a.parquet", {"key": ["a"], "x": [1]})
    written(tmp_path / "b.parquet", {"key": ["b"], "y": [1]})
    with pytest.raises(UsageError, match="more than one schema"):
        scores.opened([str(tmp_path)])


def test_nothing_there_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "text").mkdir()
    for name in "ab":
        (tmp_path / "text" / name).write_text("x")
    with pytest.raises(UsageError, match="names no file"):
        scores.opened([str(tmp_path / "nowhere.parquet")])
    with pytest.raises(UsageError, match="names no file"):
        scores.opened([str(tmp_path / "empty")])
    with pytest.raises(UsageError, match=r"ends in \.parquet"):
        scores.opened([str(tmp_path / "text")])


def test_a_table_without_rows_is_one(tmp_path: Path) -> None:
    table = written(tmp_path / "none.parquet", {"key": pa.array([], pa.string()), "x": pa.array([], pa.float64())})
    assert scores.opened([table])[0].rows == 0


def test_what_is_no_number_is_null(tmp_path: Path) -> None:
    table = written(
        tmp_path / "nan.parquet", {"key": ["a", "b", "c"], "x": [float("nan"), 1.0, None], "y": pa.array([1, 2, 3], pa.int8())}
    )
    con = sql.connect(str(tmp_path))
    scores.join(con, scores.opened([table]))
    assert con.execute("SELECT key, x, y FROM scores_0 ORDER BY key").fetchall() == [("a", None, 1), ("b", 1.0, 2), ("c", None, 3)]


def test_strange_names_are_names(tmp_path: Path) -> None:
    table = written(tmp_path / "a'b [1].parquet", {"key": ["a"], 'say "so"': [1], "дата": [2], "select": [3]})
    con = sql.connect(str(tmp_path))
    scores.join(con, scores.opened([table]))
    assert con.execute('SELECT "say ""so""", "дата", "select" FROM scores_0').fetchall() == [(1, 2, 3)]
