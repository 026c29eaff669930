"""Rows of Parquet files by their place: only the row groups that hold them are read."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store import files, tables

KIND = pa.schema([("number", pa.int64()), ("name", pa.string())])


@pytest.fixture
def url(tmp_path: Path) -> str:
    rows = pa.table([np.arange(100), [f"row {i}" for i in range(100)]], schema=KIND)
    entry = tables.write(str(tmp_path), "rows.parquet", rows, KIND, row_group=10)
    return files.join(str(tmp_path), entry["path"])


def test_rows_come_in_the_order_and_as_often_as_they_are_asked_for(url: str) -> None:
    found = tables.take(url, [42, 7, 99, 7, 0], ["name", "number"])
    assert found.column_names == ["name", "number"]
    assert found["number"].to_pylist() == [42, 7, 99, 7, 0] and found["name"][0].as_py() == "row 42"
    assert tables.take(url, np.array([], np.int64), ["name"]).to_pydict() == {"name": []}


def test_only_row_groups_that_hold_a_row_are_read(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    read = []
    some = pq.ParquetFile.iter_batches

    def counted(self: Any, size: int, row_groups: list[int], **options: Any) -> Any:
        read.extend(row_groups)
        return some(self, size, row_groups=row_groups, **options)

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counted)
    tables.take(url, [95, 31, 38], ["name"])
    assert read == [3, 9]


@pytest.mark.parametrize("row", [-1, 100])
def test_a_row_that_is_not_there_is_an_error(url: str, row: int) -> None:
    with pytest.raises(IndexError, match="100 rows"):
        tables.take(url, [3, row], ["name"])
