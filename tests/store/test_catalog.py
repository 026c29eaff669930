import shutil
from pathlib import Path

import duckdb
import fsspec
import pyarrow as pa
import pytest

from provenance import schema
from store import catalog, manifest, tables
from store.errors import CheckFailed, UsageError
from store.revocation import Item, Revocations
from tests import trees
from tests.pipelines import _fixtures as fixtures
from tests.store import frozen as built


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("catalog")


@pytest.fixture(scope="module")
def frozen(folder: Path) -> manifest.Opened:
    return fixtures.snapshot(folder / "snapshot", 40)


@pytest.fixture(scope="module")
def curated(folder: Path, frozen: manifest.Opened) -> manifest.Opened:
    return fixtures.run(folder / "it's a [run]* of mine", 60, frozen)


def rows(con: duckdb.DuckDBPyConnection, sql: str) -> list[tuple]:
    return con.execute(sql).fetchall()


def test_a_run_has_a_view_per_dataset_whatever_its_path(curated: manifest.Opened) -> None:
    con = catalog.connect(curated.url)
    for dataset in ("documents", "rejects", "sources", "evidence", "matches", "tags"):
        expected = sum(entry["rows"] for entry in curated.entries(dataset))
        assert rows(con, f"SELECT count(*) FROM {dataset}") == [(expected,)]
    assert rows(con, "SELECT count(*) FROM documents") == [(60,)]


def test_an_unlisted_file_is_in_no_view(curated: manifest.Opened) -> None:
    tables.write(curated.url, "documents/part-99999.parquet", schema.DOCUMENTS.empty_table(), schema.DOCUMENTS)
    row = fixtures.document("stray", 1, fixtures.CUTOFF, 1)
    tables.write(curated.url, "documents/stray.parquet", pa.Table.from_pylist([row], schema=schema.DOCUMENTS), schema.DOCUMENTS)
    assert rows(catalog.connect(curated), "SELECT count(*) FROM documents") == [(60,)]


@pytest.mark.parametrize("dataset", list(schema.DATASETS))
def test_an_empty_dataset_has_its_columns(tmp_path: Path, dataset: str) -> None:
    con = catalog.connect(fixtures.run(tmp_path / "run", 0))
    described = rows(con, f"DESCRIBE {dataset}")
    assert [name for name, *_ in described] == schema.DATASETS[dataset].names
    assert rows(con, f"SELECT count(*) FROM {dataset}") == [(0,)]
    listed = fixtures.run(tmp_path / "full", 20)
    if listed.files(dataset):
        assert [(name, kind) for name, kind, *_ in rows(catalog.connect(listed), f"DESCRIBE {dataset}")] == [
            (n, k) for n, k, *_ in described
        ]


def test_evidence_is_pivoted_to_one_row_per_document(curated: manifest.Opened) -> None:
    con = catalog.connect(curated)
    assert rows(con, "SELECT count(*), count(DISTINCT key) FROM evidence_wide") == [(60, 60)]
    signals = [name for (name,) in rows(con, "SELECT DISTINCT signal FROM evidence ORDER BY 1")]
    columns = [name for name, *_ in rows(con, "DESCRIBE evidence_wide")]
    assert len(signals) > 1
    assert [name for name in columns if name.endswith(("_value", "_llr"))] == [
        f"{s}_{part}" for s in signals for part in ("value", "llr")
    ]
    wrong = "SELECT count(*) FROM evidence e JOIN evidence_wide w USING (key) WHERE e.signal = 'combined' AND e.value IS DISTINCT FROM w.combined_value"
    assert rows(con, wrong) == [(0,)]


def test_a_snapshot_by_version_and_its_wider_documents(folder: Path, frozen: manifest.Opened) -> None:
    con = catalog.connect(f"{frozen.url}@{frozen.id}")
    assert rows(con, "SELECT count(*) FROM documents WHERE eligible")[0][0] > 20
    for dataset in schema.INDEXES:
        assert rows(con, f"SELECT count(*) FROM {dataset}") == [(0,)]
    assert rows(con, "SELECT value FROM manifest WHERE key = 'id'") == [(frozen.id,)]
    assert rows(con, "SELECT value FROM manifest WHERE key = 'parameters.minhash.permutations'") == [("128",)]
    with pytest.raises(UsageError):
        catalog.connect(f"{frozen.url}@{'0' * 64}")


def test_a_mix_is_shards_and_files(tmp_path: Path, frozen: manifest.Opened, curated: manifest.Opened) -> None:
    con = catalog.connect(fixtures.mix(tmp_path / "mix", frozen, curated))
    assert rows(con, "SELECT count(DISTINCT shard), min(row), count(*) = (SELECT sum(rows) FROM files) FROM shards") == [
        (3, 0, True)
    ]
    assert rows(con, "SELECT count(*) FROM (SELECT shard FROM shards GROUP BY shard HAVING max(row) + 1 <> count(*))") == [(0,)]


def test_an_empty_mix_has_its_columns(tmp_path: Path, frozen: manifest.Opened, curated: manifest.Opened) -> None:
    con = catalog.connect(fixtures.mix(tmp_path / "mix", frozen, curated, empty=True))
    assert [name for name, *_ in rows(con, "DESCRIBE shards")] == ["shard", "row", *schema.SHARD.names]


@pytest.mark.parametrize(
    "sql",
    [
        "COPY (SELECT 1) TO '{folder}/out.csv'",
        "EXPORT DATABASE '{folder}/out'",
        "ATTACH '{folder}/out.db'",
        "SELECT * FROM read_text('{folder}/secret.txt')",
        "SELECT * FROM '{folder}/secret.csv'",
        "SELECT * FROM glob('{folder}/*')",
        "INSTALL httpfs",
        "SET enable_external_access = true",
        "SET allowed_paths = ['/']",
    ],
)
def test_sql_reaches_nothing_outside(tmp_path: Path, curated: manifest.Opened, sql: str) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    (tmp_path / "secret.csv").write_text("a\n1\n")
    before = sorted(path.name for path in tmp_path.iterdir())
    con = catalog.connect(curated)
    with pytest.raises(duckdb.Error):
        con.execute(sql.format(folder=tmp_path)).fetchall()
    assert sorted(path.name for path in tmp_path.iterdir()) == before


def test_a_missing_or_broken_file_is_named_and_not_skipped(tmp_path: Path) -> None:
    opened = fixtures.run(tmp_path / "run", 20)
    (tmp_path / "run/tags/part-00000.parquet").unlink()
    with pytest.raises(CheckFailed, match="verify"):
        catalog.connect(opened)
    (tmp_path / "run/tags/part-00000.parquet").write_bytes(b"not parquet at all, but long enough to be read")
    with pytest.raises(CheckFailed, match="verify"):
        catalog.connect(opened)


def test_a_remote_file_system_is_read_through_fsspec(tmp_path: Path) -> None:
    fixtures.run(tmp_path / "run", 20)
    memory = fsspec.filesystem("memory")
    memory.put(str(tmp_path / "run"), "/catalog test/run", recursive=True)
    try:
        con = catalog.connect("memory://catalog test/run")
        assert rows(con, "SELECT count(*) FROM documents JOIN tags USING (key)") == [(20,)]
    finally:
        memory.rm("/catalog test", recursive=True)


def test_times_are_in_utc(curated: manifest.Opened, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TZ", "Pacific/Auckland")
    assert rows(catalog.connect(curated), "SELECT current_setting('TimeZone')") == [("UTC",)]


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        catalog.connect(str(tmp_path))


def test_a_snapshot_shows_its_leaves_in_the_order_of_the_tree(tmp_path: Path) -> None:
    opened = trees.snapshot(tmp_path / "snapshot", trees.standard())
    con = catalog.connect(opened)
    assert [name for name, *_ in rows(con, "DESCRIBE leaves")] == schema.LEAVES.names
    assert [index for (index,) in rows(con, 'SELECT "index" FROM leaves')] == list(range(10))
    assert rows(con, "SELECT count(*) FROM leaves WHERE names <> ''") == [(2,)]
    bare = manifest.Opened(opened.url, opened.id, {**opened.manifest, "files": []})
    assert rows(catalog.connect(bare), "SELECT count(*) FROM leaves") == [(0,)]


@pytest.fixture(scope="module")
def mixes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mixes") / "my 'mixes' [2022]*"
    first, second = trees.standard()
    grown = trees.snapshot(folder.parent / "snapshot", [first, second])
    trees.mix(folder / "b 'two'", grown, first[:2], 2)
    trees.mix(folder / "a", grown, [second[1], first[4]], 1)
    fixtures.run(folder / "a run", 5)
    (folder / "notes").mkdir()
    (folder / "file.txt").write_text("no mix")
    return folder


def test_a_folder_of_mixes_is_one_database(mixes: Path) -> None:
    opened = catalog.open_target(str(mixes))
    con = catalog.connect(opened)
    assert opened.kind == "mixes" and [name for name, *_ in rows(con, "DESCRIBE shards")][:4] == ["mix", "shard", "row", "text"]
    assert rows(con, "SELECT mix, count(*) FROM shards GROUP BY 1 ORDER BY 1") == [("a", 3), ("b 'two'", 4)]
    each = catalog.each_mix(opened)
    assert rows(con, "SELECT mix, id, snapshot FROM mixes ORDER BY mix") == [
        (name, one.id, one.manifest["snapshot"]["id"]) for name, one in sorted(each.items())
    ]
    assert rows(con, "SELECT value FROM manifest WHERE key = 'mixes.a.floor'") == [("1/2",)]
    assert rows(con, "SELECT count(*) FROM files WHERE path LIKE 'a/data/%'") == [(1,)]
    with pytest.raises(duckdb.Error):
        con.execute("SELECT * FROM touched")


def test_a_changed_mix_is_not_passed_over(mixes: Path, tmp_path: Path) -> None:
    grown = trees.snapshot(tmp_path / "snapshot", trees.standard())
    trees.mix(tmp_path / "mixes/a", grown, [], 1)
    where = tmp_path / "mixes/a/manifest.json"
    where.write_bytes(where.read_bytes().replace(b'"floor":"1/2"', b'"floor":"1/3"'))
    with pytest.raises(CheckFailed, match="changed after"):
        catalog.open_target(str(tmp_path / "mixes"))
    with pytest.raises(UsageError):
        catalog.open_target(str(tmp_path / "nothing"))
    with pytest.raises(UsageError):
        catalog.open_target(str(mixes / "notes"))


def test_mixes_on_a_remote_file_system(mixes: Path, tmp_path: Path) -> None:
    memory = fsspec.filesystem("memory")
    shutil.copytree(mixes / "a", tmp_path / "a")
    memory.put(str(tmp_path / "a"), "/catalog mixes/a", recursive=True)
    try:
        assert rows(catalog.connect("memory://catalog mixes"), "SELECT mix, count(*) FROM shards GROUP BY 1") == [("a", 3)]
    finally:
        memory.rm("/catalog mixes", recursive=True)


def test_a_list_says_what_it_touches(mixes: Path) -> None:
    document, grown = str(trees.document(0)["key"]), str(mixes.parent / "snapshot")
    listed = Revocations("*", (Item("key", document, "it's his"), Item("witness", "cc-index", "made up")))
    con = catalog.connect(grown, listed)
    assert rows(con, "SELECT kind, value, reason FROM revoked ORDER BY 1") == [tuple(item) for item in listed.items]
    assert rows(con, "SELECT before, after FROM lowered ORDER BY before") == [("captured", None), ("corroborated", "captured")]
    con = catalog.connect(str(mixes), listed)
    assert rows(con, "SELECT mix, kind, reason FROM touched ORDER BY mix") == [
        ("a", "witness", "made up"),
        ("b 'two'", "key", "it's his"),
    ]
    assert rows(catalog.connect(str(mixes / "a"), listed), "SELECT mix, kind FROM touched") == [("", "witness")]
    elsewhere = Revocations("cd" * 32, listed.items)
    assert rows(catalog.connect(str(mixes), elsewhere), "SELECT count(*) FROM touched") == [(0,)]


def test_the_indexes_of_a_snapshot_are_views(tmp_path: Path) -> None:
    opened = built.simple(tmp_path, 12)
    con = catalog.connect(opened)
    for dataset in schema.INDEXES:
        assert rows(con, f"SELECT count(*) FROM {dataset}") == [(sum(entry["rows"] for entry in opened.entries(dataset)),)]
    assert rows(con, "SELECT count(*), count(DISTINCT (part, row)) FROM ids") == [(12, 12)]
    assert rows(con, "SELECT count(*) > 0, max(hash % 16) FROM samples") == [(True, 0)]
