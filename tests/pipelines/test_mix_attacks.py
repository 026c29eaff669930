"""What bad tables, settings and sizes do to `mix`: it refuses them with the numbers, or writes a mix that `verify` passes."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.budget import Humans
from store import conditions, scores, sql
from store.errors import CheckFailed, UsageError
from store.manifest import Opened
from store.verify_mix import verify_mix
from tests import mixes

NAN = float("nan")


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> tuple[Opened, Opened]:
    folder = tmp_path_factory.mktemp("attacked")
    rows = [mixes.document(f"human-{i}", 300 + 40 * i) for i in range(6)]
    frozen = mixes.snapshot(folder / "snapshot", rows)
    crawl: list[tuple[dict[str, Any], str, str | None]] = [(mixes.document(f"new-{i}", 400), "unknown", None) for i in range(6)]
    return frozen, mixes.run(folder / "run", [frozen], crawl)


def make(into: Path, sources: tuple[Opened, Opened], scored: list[str] | None = None, **options: Any) -> Opened:
    return mixes.make(into, sources[0], [sources[1]], None, scored or [], **({"strata": ()} | options))


def table_of(path: Path, name: str, values: Any) -> str:
    """A table of scores of all human documents."""
    keys = [mixes.document(f"human-{i}", 1)["key"] for i in range(6)]
    pq.write_table(pa.table({"key": keys, name: values}), path)
    return str(path)


@pytest.mark.parametrize("name", ["id", "ID", "stratum", "label", "part", "row", "rank", "text", "c0", "f", 'a "b"/c', "語"])
def test_a_column_of_scores_is_the_users_whatever_its_name(sources: tuple[Opened, Opened], tmp_path: Path, name: str) -> None:
    table = table_of(tmp_path / "s.parquet", name, ["x", "y", "y", "x", "x", "x"])
    quoted = '"' + name.replace('"', '""') + '"'
    opened = make(tmp_path / "mix", sources, [table], strata=(name,), where=f"{quoted} IS NOT NULL OR origin = 'unknown'")
    strata = opened.manifest["stated"]["strata"]
    assert {label: of["passed"]["documents"] for label, of in strata.items()} == {"human/x": 4, "human/y": 2, "unknown/none": 6}


def test_the_column_that_numbers_candidates_is_not_to_be_brought(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Rename it"):
        scores.opened([table_of(tmp_path / "s.parquet", conditions.ROW, [1] * 6)])


@pytest.mark.parametrize("kind", [pa.float32(), pa.float64()], ids=str)
@pytest.mark.parametrize("values", [[NAN, 1.0, 2.0, 3.0, 4.0, 5.0], [NAN, NAN, -0.0, 0.0, 1.0, None]], ids=["full", "nulls"])
def test_what_is_no_number_is_null_though_the_statistics_of_the_file_leave_it_out(
    tmp_path: Path, kind: pa.DataType, values: list[float | None]
) -> None:
    table = table_of(tmp_path / "s.parquet", "x", pa.array(values, kind))
    con = sql.connect(str(tmp_path))
    scores.join(con, scores.opened([table]))
    found = [value for (value,) in con.execute("SELECT x::VARCHAR FROM scores_0").fetchall()]
    wanted = [None if value is None or value != value else str(abs(value)) for value in values]
    assert sorted(found, key=str) == sorted(wanted, key=str)


def test_a_score_that_is_no_number_passes_no_condition(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    table = table_of(tmp_path / "s.parquet", "x", [NAN, 1.0, 2.0, 3.0, 4.0, 5.0])
    opened = make(tmp_path / "mix", sources, [table], strata=("x",), where="x > 1.5 OR origin != 'human'", allow_empty=True)
    strata = opened.manifest["stated"]["strata"]
    passed = {label for label, of in strata.items() if of["passed"]["documents"] and label.startswith("human")}
    assert passed == {"human/2.0", "human/3.0", "human/4.0", "human/5.0"} and "human/none" in strata


@pytest.mark.parametrize("shortfall", ["fail", "shrink", "repeat"])
@pytest.mark.parametrize("budget", [1, 250])
def test_a_budget_below_the_first_human_document_is_refused(
    sources: tuple[Opened, Opened], tmp_path: Path, shortfall: str, budget: int
) -> None:
    with pytest.raises(CheckFailed, match=rf"a budget of {budget} bytes has no room .* 6 human documents have 30\d to 50\d bytes"):
        make(tmp_path / "mix", sources, budget=budget, shortfall=shortfall)
    assert not (tmp_path / "mix").exists()


def test_without_a_floor_a_budget_below_every_document_is_kept_too(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    opened = make(tmp_path / "mix", sources, budget=10, floor="0", shortfall="shrink", allow_empty=True)
    assert opened.manifest["realised"]["bytes"]["total"] == 0
    assert verify_mix(str(tmp_path / "mix"), sources[0].id)["anchored"]


@pytest.mark.parametrize("name", ["max_epochs", "shuffle_buffer"])
def test_settings_that_no_mix_could_count_to_are_refused(name: str) -> None:
    from pipelines import config

    with pytest.raises(UsageError, match=f"mix.{name}"):
        config.resolve("mix", [], [(f"mix.{name}", str(10**20))])


def test_the_largest_settings_are_taken(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    opened = make(
        tmp_path / "mix",
        sources,
        floor="1",
        max_epochs=10_000,
        shuffle_buffer=1 << 32,
        quota=10**30,
        seed=-(10**40),
        budget=9000,
        shortfall="repeat",
        shard_bytes=10**30,
        temperature=1e308,
    )
    assert verify_mix(str(tmp_path / "mix"), sources[0].id)["anchored"]
    with pytest.raises(CheckFailed, match=r"needs .* human bytes"):
        make(tmp_path / "large", sources, budget=10**30, shortfall="repeat")
    assert opened.manifest["realised"]["bytes"]["total"] <= 9000


@given(st.integers(1, 9), st.lists(st.tuples(st.integers(0, 99), st.integers(1, 9), st.integers(0, 8)), max_size=20))
@settings(max_examples=200, deadline=None)
def test_what_passes_reach_is_the_sum_of_each(most: int, documents: list[tuple[int, int, int]]) -> None:
    units, sizes, places = np.array(documents, np.int64).reshape(-1, 3).T
    members = np.minimum(sizes, most)
    human = Humans(units, np.zeros(len(units), np.int32), places % members, members)
    expected = np.cumsum([int(units[human.passes(epoch, most)].sum()) for epoch in range(most)]).tolist()
    assert human.reach(most) == expected


def test_small_shards_without_a_floor_are_no_more_than_documents(sources: tuple[Opened, Opened], tmp_path: Path) -> None:
    opened = make(tmp_path / "mix", sources, floor="0", shard_bytes=1)
    assert len(opened.manifest["shards"]) == 8
    assert verify_mix(str(tmp_path / "mix"), sources[0].id)["anchored"]


@pytest.mark.parametrize(
    "condition",
    [
        "ROW < 3",
        '"ROW" < 3',
        "COLUMNS('low.*') < 3",
        "#1 < 3",
        "TABLE::VARCHAR LIKE '%1%'",
        "TABLE.key > ''",
        "hash(TABLE) % 2 = 0",
    ],
)
def test_no_condition_sees_how_candidates_are_numbered(sources: tuple[Opened, Opened], tmp_path: Path, condition: str) -> None:
    condition = condition.replace("ROW", conditions.ROW).replace("TABLE", f"{conditions.ROW}s")
    with pytest.raises(UsageError, match="Name each column"):
        make(tmp_path / "mix", sources, where=condition)
