from pathlib import Path

import duckdb
import pytest

from store import catalog, manifest
from store.catalog import QUERIES, named_queries, open_target
from store.revocation import Item, Revocations
from tests import trees
from tests.pipelines import _fixtures as fixtures
from tests.store import frozen

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
    assert len(sound) == 3 and all(row[4:] == (0, 0, 0, 0, 0) for row in sound)
    curated = targets["full"]["run"]
    shorter = manifest.Opened(
        curated.url,
        curated.id,
        {**curated.manifest, "files": [e for e in curated.manifest["files"] if e["path"] != "rejects/part-00001.parquet"]},
    )
    broken = connect(shorter).execute(NAMED["sources_conservation"].sql).fetchall()
    left_out = next(entry["rows"] for entry in curated.entries("rejects") if entry["path"] == "rejects/part-00001.parquet")
    assert sum(row[5] for row in broken) == sum(row[7] for row in broken) == left_out > 0
    assert not any(row[4] for row in broken)


def without(opened: manifest.Opened, path: str) -> manifest.Opened:
    """A snapshot whose manifest forgot a file."""
    body = {**opened.manifest, "files": [entry for entry in opened.manifest["files"] if entry["path"] != path]}
    return manifest.Opened(opened.url, opened.id, body)


def conserved(opened: manifest.Opened) -> list[dict[str, object]]:
    answer = connect(opened).execute(NAMED["sources_conservation"].sql)
    names = [column[0] for column in answer.description]
    return [dict(zip(names, row, strict=True)) for row in answer.fetchall()]


def test_redacted_rows_are_counted_apart_and_raise_no_alarm(tmp_path: Path) -> None:
    """Three documents of one file were redacted: their rows name no file, and its records are all accounted for."""
    last = frozen.grown(tmp_path)[-1]
    (found,) = conserved(last)
    assert (found["documents"], found["rejects"], found["redacted_or_hidden"]) == (48, 5, 3)
    assert (found["lost"], found["documents_miscounted"], found["rejects_miscounted"], found["unaccounted"]) == (0, 0, 0, 0)
    entry = last.entries("documents")[-1]
    (broken,) = conserved(without(last, entry["path"]))
    assert broken["lost"] == broken["documents_miscounted"] == entry["rows"] > 0


def test_what_redacted_rows_do_not_explain_is_lost_though_not_by_which_file(
    targets: dict[str, dict[str, manifest.Opened]], tmp_path: Path
) -> None:
    opened = fixtures.snapshot(tmp_path, grown=True)
    sound = conserved(opened)
    assert len(sound) == 3 and sum(int(str(row["redacted_or_hidden"])) for row in sound) == 2
    assert not any(row["lost"] or row["documents_miscounted"] for row in sound)
    entry = opened.entries("documents")[1]
    broken = conserved(without(opened, entry["path"]))
    assert (
        sum(int(str(row["lost"])) for row in broken)
        == sum(int(str(row["documents_miscounted"])) for row in broken)
        == entry["rows"]
    )
    assert not any(row["redacted_or_hidden"] for row in broken) and "(rows that name no file)" in {
        row["file_path"] for row in broken
    }


def test_only_the_totals_of_an_index_only_snapshot_are_compared(tmp_path: Path) -> None:
    opened = frozen.simple(tmp_path, index_only=True)
    (found,) = conserved(opened)
    assert found["file_path"] == "(all files; the rows name none)"
    assert (found["records"], found["redacted_or_hidden"], found["lost"]) == (43, 43, 0)
    (broken,) = conserved(without(opened, opened.entries("documents")[0]["path"]))
    assert broken["lost"] == broken["documents_miscounted"] == 20 and broken["redacted_or_hidden"] == 23


def test_rejects_that_name_no_file_are_said_and_counted_apart(targets: dict[str, dict[str, manifest.Opened]]) -> None:
    con = duckdb.connect()
    con.execute("CREATE TABLE sources AS FROM (VALUES ('a', 4, 3), ('b', 2, 1), ('c', 9, 0)) t(file_path, records, rejects)")
    con.execute(
        "CREATE TABLE rejects AS FROM (VALUES ('a', 'http', 'status'), (NULL, 'x', 'y'), (NULL, 'x', 'y'), (NULL, 'x', 'y')) t(file_path, stage, reason)"
    )
    found = {row[0]: row[4:] for row in con.execute(NAMED["rejects_by_file"].sql).fetchall()}
    assert found == {"a": ("http/status", 2), "b": ("(not known: its rejects name no file)", 1), "c": (None, 0)}


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
