import contextlib
import csv
import io
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from pipelines import query
from store import manifest, revocation
from store.catalog import named_queries
from store.errors import CheckFailed, LowbackgroundError, UsageError
from store.revocation import Item
from tests import trees
from tests.pipelines import _fixtures as fixtures


@pytest.fixture(scope="module")
def curated(tmp_path_factory: pytest.TempPathFactory) -> manifest.Opened:
    folder = tmp_path_factory.mktemp("query")
    return fixtures.run(folder / "a run", 120, fixtures.snapshot(folder / "snapshot", 40))


def answer(target: str, sql: str, fmt: str, tmp_path: Path) -> bytes:
    out = tmp_path / f"answer.{fmt}"
    query.run(target, sql, fmt, str(out))
    return out.read_bytes()


VALUES = r"""
SELECT 'a,"b"' AS text, 1::HUGEINT AS big, TIMESTAMPTZ '2020-01-02 03:04:05.5+00' AS at, 'NaN'::DOUBLE AS nan, [1, NULL] AS list,
       NULL AS nothing, 'x' AS text, {'k': DATE '2020-01-01'} AS struct, 1.50::DECIMAL(9,2) AS exact, '\xab'::BLOB AS bytes
"""


def test_json_is_one_array_with_keys_in_the_order_of_columns(curated: manifest.Opened, tmp_path: Path) -> None:
    found = json.loads(answer(curated.url, VALUES, "json", tmp_path))
    assert list(found[0]) == ["text", "big", "at", "nan", "list", "nothing", "text_1", "struct", "exact", "bytes"]
    assert list(found[0].values()) == [
        'a,"b"',
        1,
        "2020-01-02T03:04:05.500000Z",
        None,
        [1, None],
        None,
        "x",
        {"k": "2020-01-01"},
        1.5,
        "ab",
    ]
    assert json.loads(answer(curated.url, "SELECT key FROM documents WHERE false", "json", tmp_path)) == []


def test_csv_quotes_what_needs_it(curated: manifest.Opened, tmp_path: Path) -> None:
    found = list(csv.DictReader(io.StringIO(answer(curated.url, VALUES, "csv", tmp_path).decode())))
    assert (
        found[0]["text"] == 'a,"b"' and found[0]["nan"] == "" and found[0]["list"] == "[1, null]" and found[0]["at"].endswith("Z")
    )
    many = answer(curated.url, "SELECT text, key FROM documents", "csv", tmp_path).decode()
    assert len(list(csv.reader(io.StringIO(many)))) == 121


def test_parquet_keeps_types_and_rows(curated: manifest.Opened, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(
        answer(curated.url, "SELECT key, key, date FROM documents ORDER BY key", "parquet", tmp_path)
    )
    table = pq.read_table(tmp_path / "x.parquet")
    assert table.column_names == ["key", "key_1", "date"] and table.num_rows == 120
    assert str(table.schema.field("date").type) == "timestamp[us, tz=UTC]"


def test_a_table_in_a_pipe_is_whole(curated: manifest.Opened, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    summary = query.run(curated.url, "SELECT key, text, repeat('w', 500) AS long FROM documents ORDER BY key LIMIT 3")
    shown = capsysbinary.readouterr().out.decode()
    assert summary["rows"] == 3 and shown.count("w" * 500) == 3 and len(shown.splitlines()) == 5


def test_a_terminal_is_not_driven_by_a_page(curated: manifest.Opened, capsysbinary: pytest.CaptureFixture[bytes]) -> None:
    query.run(curated.url, "SELECT chr(27) || '[31m' || chr(8238) || '[bold]x' AS hostile")
    shown = capsysbinary.readouterr().out.decode()
    assert "\x1b" not in shown and "\u202e" not in shown and "\\x1b[31m" in shown and "[bold]x" in shown


@pytest.mark.parametrize("fmt", query.FORMATS)
def test_every_format_goes_to_standard_output_too(
    curated: manifest.Opened, fmt: str, tmp_path: Path, capsysbinary: pytest.CaptureFixture[bytes]
) -> None:
    summary = query.run(curated.url, "origin_by_month", fmt)
    assert summary["rows"] > 5 and capsysbinary.readouterr().out == answer(curated.url, "origin_by_month", fmt, tmp_path)
    assert not sys.stdout.closed


@pytest.mark.parametrize("name", [query_.name for query_ in named_queries().values() if "run" in query_.kinds])
def test_named_queries_are_asked_by_name(curated: manifest.Opened, name: str, tmp_path: Path) -> None:
    out = tmp_path / "answer.json"
    summary = query.run(curated.url, name, "json", str(out))
    assert summary["rows"] == len(json.loads(out.read_bytes()))


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("origin_by_mouth", "origin_by_month"),
        ("snapshot_by_year", "asks about a snapshot"),
        ("SELECT nonsense FROM documents", "nonsense"),
        ("SELEC 1", "syntax error"),
        ("", "was given nothing"),
        ("SELECT 1; SELECT 2", "SELECT, SELECT"),
        ("SELECT * FROM read_text('/etc/hostname')", "Permission"),
        ("CREATE TABLE t AS SELECT 1", "CREATE"),
        ("SELECT 1::TINYINT + 'x'::INTEGER", "x"),
    ],
)
def test_a_wrong_question_is_explained(curated: manifest.Opened, sql: str, said: str) -> None:
    with pytest.raises(UsageError, match=said) as error:
        query.run(curated.url, sql, "json")
    assert error.value.exit_code == 2


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
        "EXPLAIN ANALYZE COPY (SELECT 1) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
        "EXPLAIN (ANALYZE) COPY (SELECT 1) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
        "EXPLAIN COPY (SELECT 1) TO '{file}' (FORMAT parquet, USE_TMP_FILE false)",
    ],
)
def test_a_question_never_writes_into_the_run(curated: manifest.Opened, sql: str, tmp_path: Path) -> None:
    file = Path(curated.files("documents")[0])
    before = file.read_bytes()
    with contextlib.suppress(UsageError):
        query.run(curated.url, sql.format(file=file), "json", str(tmp_path / "out"))
    assert file.read_bytes() == before


def test_reading_statements_of_other_forms_work(curated: manifest.Opened, tmp_path: Path) -> None:
    for sql in (
        "FROM tags SELECT count(*)",
        "DESCRIBE documents",
        "SUMMARIZE tags",
        "PIVOT tags ON origin USING count(*)",
        "EXPLAIN SELECT 1",
        "SHOW TABLES",
    ):
        assert json.loads(answer(curated.url, sql, "json", tmp_path)), sql


def test_an_unknown_format_is_refused(curated: manifest.Opened) -> None:
    with pytest.raises(UsageError, match="parquet"):
        query.run(curated.url, "SELECT 1", "xml")


def test_a_damaged_file_is_no_short_answer(tmp_path: Path) -> None:
    opened = fixtures.run(tmp_path / "run", 60)
    file = Path(opened.files("documents")[1])
    data = bytearray(file.read_bytes())
    data[len(data) // 4 : len(data) // 2] = b"\x00" * (len(data) // 2 - len(data) // 4)
    file.write_bytes(data)
    out = tmp_path / "answer.csv"
    with pytest.raises(LowbackgroundError):
        query.run(opened.url, "SELECT * FROM documents", "csv", str(out))
    assert not out.exists()
    file.unlink()
    with pytest.raises(CheckFailed, match="verify"):
        query.run(opened.url, "SELECT * FROM documents", "csv", str(out))


@pytest.fixture(scope="module")
def revoked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A signed snapshot, two mixes of it, and lists by its owner and by a stranger."""
    folder = tmp_path_factory.mktemp("revoked")
    first, second = trees.standard()
    frozen = trees.snapshot(folder / "snapshot", [first, second], [trees.OWNER])
    trees.mix(folder / "mixes/a", frozen, [first[0], second[1]], 2)
    trees.mix(folder / "mixes/b", frozen, [first[4]], 2)
    items = [Item("key", first[0]["key"], "asked for by its author")]
    (folder / "owner.txt").write_bytes(revocation.write(frozen.id, items, [trees.OWNER]))
    (folder / "stranger.txt").write_bytes(revocation.write("*", items, [trees.STRANGER]))
    return folder


def test_a_list_is_asked_about_by_name(revoked: Path, tmp_path: Path) -> None:
    out, listed = tmp_path / "answer.json", str(revoked / "owner.txt")
    query.run(str(revoked / "mixes"), "revoked_mixes", "json", str(out), revoked=listed)
    assert [(row["mix"], row["documents"]) for row in json.loads(out.read_bytes())] == [("a", 1), ("b", 0)]
    query.run(str(revoked / "snapshot"), "revoked_documents", "json", str(out), revoked=listed)
    assert [(row["before"], row["after"], row["documents"]) for row in json.loads(out.read_bytes())] == [("captured", "nothing", 1)]
    query.run(str(revoked / "mixes/a"), "SELECT kind, reason FROM touched", "json", str(out), revoked=listed)
    assert json.loads(out.read_bytes()) == [{"kind": "key", "reason": "asked for by its author"}]


def test_a_list_counts_only_with_a_trusted_signature(revoked: Path, tmp_path: Path) -> None:
    out, listed = str(tmp_path / "answer.json"), str(revoked / "stranger.txt")
    for target in ("snapshot", "mixes"):
        with pytest.raises(CheckFailed, match="trusted keys are example"):
            query.run(str(revoked / target), "SELECT * FROM revoked", "json", out, revoked=listed)
        query.run(str(revoked / target), "SELECT * FROM revoked", "json", out, listed, [trees.STRANGER.verifier.vkey])
        assert len(json.loads(Path(out).read_bytes())) == 1


def test_a_question_about_a_list_needs_one(revoked: Path, curated: manifest.Opened) -> None:
    with pytest.raises(UsageError, match="Add --revoked"):
        query.run(str(revoked / "mixes"), "revoked_mixes", "json")
    with pytest.raises(UsageError, match="is a run"):
        query.run(curated.url, "SELECT 1", "json", revoked=str(revoked / "owner.txt"))
