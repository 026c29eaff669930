from pathlib import Path

import pytest

from store import manifest
from store.catalog import QUERIES, connect, named_queries
from tests.pipelines import _fixtures as fixtures

NAMED = named_queries()


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, manifest.Opened]]:
    folder = tmp_path_factory.mktemp("queries")
    frozen = fixtures.snapshot(folder / "snapshot", 120)
    curated = fixtures.run(folder / "run", 200, frozen)
    full = {"snapshot": frozen, "run": curated, "mix": fixtures.mix(folder / "mix", frozen, curated)}
    nothing = {
        "snapshot": fixtures.snapshot(folder / "empty-snapshot", 0),
        "run": fixtures.run(folder / "empty-run", 0),
        "mix": fixtures.mix(folder / "empty-mix", frozen, curated, empty=True),
    }
    return {"full": full, "empty": nothing}


CASES = [(name, kind) for name, query in NAMED.items() for kind in query.kinds]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_every_query_answers(targets: dict[str, dict[str, manifest.Opened]], name: str, kind: str) -> None:
    answer = connect(targets["full"][kind]).execute(NAMED[name].sql)
    columns = [column[0] for column in answer.description]
    assert len(columns) == len(set(columns)) > 1
    found = answer.fetchall()
    assert found
    empty = connect(targets["empty"][kind]).execute(NAMED[name].sql)
    assert [column[0] for column in empty.description] == columns
    assert all(not any(row[2:]) for row in empty.fetchall())


@pytest.mark.parametrize("name", NAMED)
def test_every_query_says_what_it_answers_and_of_what(name: str) -> None:
    first = (QUERIES / f"{name}.sql").read_text().splitlines()[0]
    assert first == f"-- {NAMED[name].answers}"
    assert first.endswith(".") and len(first) > 40
    assert NAMED[name].kinds


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_the_order_of_rows_is_fixed(targets: dict[str, dict[str, manifest.Opened]], name: str, kind: str) -> None:
    one, many = connect(targets["full"][kind]), connect(targets["full"][kind])
    assert one.execute(NAMED[name].sql).fetchall() == many.execute(NAMED[name].sql).fetchall()


def test_the_funnel_and_the_origins_add_up(targets: dict[str, dict[str, manifest.Opened]]) -> None:
    curated = targets["full"]["run"]
    con, counts = connect(curated), curated.manifest["counts"]
    steps = con.execute(NAMED["funnel"].sql).fetchall()
    assert [row[2] for row in steps] == [counts["records"], counts["documents"], counts["kept"]]
    assert list(steps[1][3:]) == list(counts["origins"].values())
    for name in ("origin_by_month", "origin_by_language", "origin_by_host"):
        found = con.execute(
            f"SELECT sum(documents), sum(human + machine_generated + machine_translated + unknown) FROM ({NAMED[name].sql})"
        )
        assert found.fetchall() == [(counts["documents"], counts["documents"])]
    assert sum(row[2] for row in con.execute(NAMED["rejects_by_reason"].sql).fetchall()) == counts["rejects"]


def test_conservation_sees_a_lost_row(targets: dict[str, dict[str, manifest.Opened]], tmp_path: Path) -> None:
    sound = connect(targets["full"]["run"]).execute(NAMED["sources_conservation"].sql).fetchall()
    assert len(sound) == 3 and all(row[4:] == (0, 0, 0, 0) for row in sound)
    curated = targets["full"]["run"]
    shorter = manifest.Opened(
        curated.url,
        curated.id,
        {**curated.manifest, "files": [e for e in curated.manifest["files"] if e["path"] != "rejects/part-00001.parquet"]},
    )
    broken = connect(shorter).execute(NAMED["sources_conservation"].sql).fetchall()
    left_out = next(entry["rows"] for entry in curated.entries("rejects") if entry["path"] == "rejects/part-00001.parquet")
    assert sum(row[4] for row in broken) == sum(row[6] for row in broken) == left_out > 0


def test_a_host_is_read_from_the_address_and_not_invented(targets: dict[str, dict[str, manifest.Opened]]) -> None:
    hosts = {row[0] for row in connect(targets["full"]["run"]).execute(NAMED["origin_by_host"].sql).fetchall()}
    assert "no host" in hosts and "m.example" in hosts
    assert not any("/" in host or "javascript" in host for host in hosts)
