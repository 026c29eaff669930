from pathlib import Path

import duckdb
import pytest

from store import catalog, manifest
from store.catalog import QUERIES, named_queries, open_target
from store.revocation import Item, Revocations
from tests import trees
from tests.pipelines import _fixtures as fixtures

NAMED = named_queries()
LEVELS = ("declared", "captured")
REVOKED = Revocations(
    "*",
    (
        *(
            Item("key", row["key"], "a text of somebody else")
            for row in sorted(fixtures.reference_rows(8), key=lambda row: str(row["key"]))
        ),
        Item("key", str(trees.document(0)["key"]), "asked for by its author"),
        Item("witness", "cc-index", "made up"),
    ),
)


def connect(opened: manifest.Opened) -> duckdb.DuckDBPyConnection:
    """With a list, which some queries ask about."""
    return catalog.connect(opened, REVOKED if opened.kind in ("snapshot", "mixes") else None)


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, manifest.Opened]]:
    folder = tmp_path_factory.mktemp("queries")
    frozen = fixtures.snapshot(folder / "snapshot", 120)
    curated = fixtures.run(folder / "run", 200, frozen)
    first, second = trees.standard()
    grown = trees.snapshot(folder / "grown", [first, second])
    for name, humans in (("a", [first[0], second[1]]), ("b", first[4:6]), ("empty", [])):
        trees.mix(folder / "mixes" / name, grown, humans, 2 if humans else 0)
    trees.mix(folder / "no-mixes" / "empty", grown, [], 0)
    full = {"snapshot": frozen, "run": curated, "mix": fixtures.mix(folder / "mix", frozen, curated)}
    full["mixes"] = open_target(str(folder / "mixes"))
    nothing = {
        "snapshot": fixtures.snapshot(folder / "empty-snapshot", 0),
        "run": fixtures.run(folder / "empty-run", 0),
        "mix": fixtures.mix(folder / "empty-mix", frozen, curated, empty=True),
        "mixes": open_target(str(folder / "no-mixes")),
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


def test_languages_and_years_add_up(targets: dict[str, dict[str, manifest.Opened]]) -> None:
    con = connect(targets["full"]["snapshot"])
    sql = NAMED["snapshot_by_language_and_year"].sql
    names = [column[0] for column in con.execute(sql).description]
    found = [dict(zip(names, row, strict=True)) for row in con.execute(sql).fetchall()]
    whole = con.execute("SELECT count(*), count(*) FILTER (WHERE eligible), sum(byte_count)::BIGINT FROM documents").fetchall()[0]
    assert tuple(sum(row[name] for row in found) for name in ("documents", "eligible", "bytes")) == whole
    reasons = names[names.index("eligible_bytes") + 1 :]
    assert all(row["documents"] - row["eligible"] == sum(row[name] for name in reasons) for row in found)
    assert sum(row["short"] for row in found) > 0 and sum(row["machine_translation"] for row in found) > 0
    assert sum(row["other"] for row in found) == 0 and len({(row["language"], row["year"]) for row in found}) == len(found) > 20


@pytest.mark.parametrize(
    ("reason", "column"),
    [
        ("redacted: erasure", "redacted"),
        ("fewer than 50 words", "short"),
        ("boilerplate: on 20 or more hosts", "boilerplate"),
        ("translation_markup: <meta name=generator>", "machine_translation"),
        ("residue: As an AI language model; translation_markup: x", "residue"),
        ("disclosure: written by machine", "machine_evidence"),
        ("the capture looks false: residue: ChatGPT in 2011", "false_capture"),
        ("a reason of tomorrow", "other"),
        (None, "other"),
    ],
)
def test_each_reason_has_its_column(reason: str | None, column: str) -> None:
    con = duckdb.connect()
    con.execute(
        "CREATE TABLE documents AS SELECT 'de' AS language, NULL::TIMESTAMPTZ AS date_end, false AS eligible, 5 AS byte_count, $1 AS ineligible_reason",
        [reason],
    )
    answer = con.execute(NAMED["snapshot_by_language_and_year"].sql)
    (row,), names = answer.fetchall(), [item[0] for item in answer.description]
    counted = {name: value for name, value in zip(names, row, strict=True) if value == 1 and name != "documents"}
    assert counted == {column: 1} and row[:2] == ("de", "no date")


def test_witnesses_count_leaves_and_their_documents(tmp_path: Path) -> None:
    con = catalog.connect(trees.snapshot(tmp_path / "snapshot", trees.standard()))
    found = {row[:2]: row[2:6] for row in con.execute(NAMED["witnesses"].sql).fetchall()}
    assert found == {
        ("captured", "archive file"): (7, 6, 0, 7),
        ("released", "dump-list"): (1, 1, 0, 1),
        ("corroborated", "cc-index"): (1, 1, 1, 1),
        ("timestamped", "freetsa"): (1, 1, 1, 1),
    }


def test_revoked_documents_say_what_is_left(tmp_path: Path) -> None:
    con = catalog.connect(trees.snapshot(tmp_path / "snapshot", trees.standard()), REVOKED)
    sizes = [trees.document(i)["text_bytes"] for i in (0, 1)]
    assert con.execute(NAMED["revoked_documents"].sql).fetchall() == [
        ("captured", "nothing", 1, sizes[0]),
        ("corroborated", "captured", 1, sizes[1]),
    ]


def test_revoked_mixes_are_listed_with_documents_and_bytes(targets: dict[str, dict[str, manifest.Opened]]) -> None:
    opened = targets["full"]["mixes"]
    found = connect(opened).execute(NAMED["revoked_mixes"].sql).fetchall()
    grown = opened.manifest["mixes"]["a"]["snapshot"]["id"]
    size = sum(trees.document(i)["text_bytes"] for i in (0, 1))
    assert found[0][:6] == ("a", grown, 2, size, 1.0, 2) and found[0][6].startswith("key ")
    assert [row[:6] for row in found[1:]] == [("b", grown, 0, 0, 0.0, 0), ("empty", grown, 0, 0, 0.0, 0)]
