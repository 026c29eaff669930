"""DuckDB over lists of files: exactly these files, their numbers and rows, and the order of survival."""

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pytest

from provenance.schema import ATTESTATIONS
from store import files, sql, tables
from store.errors import CheckFailed

SCHEMA = pa.schema([("x", pa.int64())])


@pytest.mark.parametrize("folder", ["plain", "a[b] *c's ?", "ü"])
def test_a_view_reads_the_listed_files_in_their_order(tmp_path: Path, folder: str) -> None:
    base = str(tmp_path / folder)
    for name in ("0", "1", "2"):
        tables.write(base, f"{name}.parquet", pa.table({"x": [int(name), 10]}), SCHEMA)
    con = sql.connect(str(tmp_path))
    sql.view(con, "v", [files.join(base, name) for name in ("2.parquet", "0.parquet")], SCHEMA, "part")
    rows = con.sql("select part, row, x from v order by part, row").fetchall()
    assert rows == [(0, 0, 2), (0, 1, 10), (1, 0, 0), (1, 1, 10)]


def test_no_files_make_an_empty_view(tmp_path: Path) -> None:
    con = sql.connect(str(tmp_path))
    sql.view(con, "v", [], SCHEMA, "part")
    assert con.sql("select part, row, x from v").fetchall() == []


def test_the_best_attested_and_earliest_survive_and_never_who_came_first(tmp_path: Path) -> None:
    rows = [
        ("none", 1, "a", "k0"),
        ("captured", None, "a", "k1"),
        ("captured", 5, "a", "k2"),
        ("captured", 3, "b", "k3"),
        ("captured", 3, "a", "k5"),
        ("captured", 3, "a", "k4"),
        ("captured", 3, None, "k6"),
        ("declared", 1, "a", "k7"),
        ("timestamped", 9, "z", "k8"),
    ]
    con = sql.connect(str(tmp_path))
    con.register(
        "d", pa.table(dict(zip(("attestation", "date_end", "payload_digest", "key"), zip(*rows, strict=True), strict=True)))
    )
    found = [key for (key,) in con.sql(f"select key from d order by {sql.order_of_survival()}").fetchall()]
    assert found == ["k8", "k4", "k5", "k3", "k6", "k2", "k1", "k7", "k0"]
    assert ATTESTATIONS[0] == "none"


def test_what_is_far_away_spills_near_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr(sql, "MEMORY", "60MB")
    con, other = sql.connect("memory://far/away"), sql.connect("memory://far/away")
    con.execute("create table t as select i, md5(i::varchar) as m from range(1500000) r(i)")
    assert len(list(tmp_path.glob("lowbackground-duckdb-*/*"))) > 0
    con.close()
    other.close()
    assert list(tmp_path.iterdir()) == []


def test_rows_come_batch_by_batch_and_errors_as_they_are(tmp_path: Path) -> None:
    con = sql.connect(str(tmp_path))
    con.execute("create table t (x bigint)")

    def batches() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"x": [1, 2]}, schema=SCHEMA)
        yield pa.record_batch({"x": []}, schema=SCHEMA)
        raise CheckFailed("the second file is none")

    with pytest.raises(CheckFailed, match="the second file is none"):
        sql.insert(con, "t", batches())
    assert con.sql("select x from t order by x").fetchall() == [(1,), (2,)]
