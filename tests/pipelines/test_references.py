"""What a run may be compared with, and that no byte of it is used that its manifest does not list."""

from pathlib import Path

import pytest

from pipelines import references
from pipelines.curate import protected
from provenance.schema import INDEXES
from store import manifest, tables
from store.errors import CheckFailed, UsageError
from tests.match import planted
from tests.match.runs import DECLARE, command, curate, done, freeze, write_rows

TEXTS = {f"old-{n}": planted.prose("Latin", f"references {n}", 80) for n in range(12)}
NEW = {"copy": TEXTS["old-1"], "near": planted.replace_run(TEXTS["old-2"], 20, 2, "near"), "own": planted.prose("Latin", "own", 80)}


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of two files of documents, of which the crawl copies only some of the first, and a run against it."""
    base = tmp_path_factory.mktemp("references")
    names = list(TEXTS)
    write_rows(base / "old/a.parquet", {name: TEXTS[name] for name in names[:6]})
    write_rows(base / "old/b.parquet", {name: TEXTS[name] for name in names[6:]})
    freeze(base / "old", base / "snapshot", *DECLARE, "--read.part_bytes=1000")
    curate(write_rows(base / "new.parquet", NEW), base / "run", [base / "snapshot"])
    return base


def holding(base: Path, dataset: str, *keys: str) -> Path:
    """The file of a dataset of the snapshot that holds a text, by the row-aligned documents."""
    opened = manifest.open_snapshot(str(base / "snapshot"))
    for number, url in enumerate(opened.files("documents")):
        if set(keys) & set(tables.read([url], ["id"])["id"].to_pylist()):
            return Path(opened.files(dataset)[number])
    raise AssertionError(keys)


class Flipped:
    """One byte of a file changed while the block lasts."""

    def __init__(self, path: Path):
        self.path, self.data = path, path.read_bytes()

    def __enter__(self) -> None:
        changed = bytearray(self.data)
        changed[len(changed) // 2] ^= 1
        self.path.write_bytes(changed)

    def __exit__(self, *_: object) -> None:
        self.path.write_bytes(self.data)


def refused(base: Path, path: Path, into: Path, against: str = "snapshot") -> bool:
    with Flipped(path):
        found = command("curate", base / "new.parquet", "--into", into, "--against", base / against)
    assert found.code in (0, 1), found.said
    if found.code:
        assert f"{path.parent.name}/{path.name} (wrong)" in found.said and not (into / "manifest.json").exists()
    return found.code == 1


@pytest.mark.parametrize("dataset", INDEXES)
def test_every_file_of_an_index_is_checked(base: Path, tmp_path: Path, dataset: str) -> None:
    paths = [Path(url) for url in manifest.open_snapshot(str(base / "snapshot")).files(dataset)]
    for path in {paths[0], paths[-1]}:
        assert refused(base, path, tmp_path / "run")


@pytest.mark.parametrize(
    ("dataset", "name", "used"),
    [
        ("documents", "old-1", True),
        ("documents", "old-2", True),
        ("signatures", "old-2", True),
        # The detectors are calibrated on a sample of all documents that are eligible.
        ("documents", "old-9", True),
        ("signatures", "old-9", False),
    ],
)
def test_a_file_of_rows_is_checked_if_one_of_its_rows_is_used(
    base: Path, tmp_path: Path, dataset: str, name: str, used: bool
) -> None:
    assert refused(base, holding(base, dataset, name), tmp_path / "run") is used


def test_leaves_are_checked_where_something_equals_a_document(base: Path, tmp_path: Path) -> None:
    (path,) = (Path(url) for url in manifest.open_snapshot(str(base / "snapshot")).files("leaves"))
    assert refused(base, path, tmp_path / "run")
    write_rows(tmp_path / "new.parquet", {"own": NEW["own"]})
    with Flipped(path):
        done("curate", tmp_path / "new.parquet", "--into", tmp_path / "other", "--against", base / "snapshot")


@pytest.mark.parametrize("dataset", references.POSTED)
def test_an_earlier_run_is_checked_as_a_whole(base: Path, tmp_path: Path, dataset: str) -> None:
    (url,) = manifest.open_run(str(base / "run")).files(dataset)
    assert refused(base, Path(url), tmp_path / "run", "run")


def test_snapshots_come_first_and_each_once(base: Path, tmp_path: Path) -> None:
    urls = [str(base / name) for name in ("run", "snapshot", "run", "snapshot")]
    assert [opened.kind for opened in references.open_all(urls, str(tmp_path / "run"))] == ["snapshot", "run"]


def test_the_folder_that_is_written_is_no_reference(base: Path) -> None:
    found = command("curate", base / "new.parquet", "--into", base / "run", "--against", base / "run")
    assert found.code == 2 and "compared with itself" in found.said


def test_what_is_neither_snapshot_nor_run_is_refused(base: Path, tmp_path: Path) -> None:
    mix = ("mix", base / "run", "--snapshot", base / "snapshot", "--into", tmp_path / "mix", "--min-attestation=declared")
    done(*mix, "--floor=0.1")
    for url, said in ((tmp_path / "mix", "is a mix"), (base, "holds no finished"), (base / "nowhere", "is not there")):
        found = command("curate", base / "new.parquet", "--into", tmp_path / "run", "--against", url)
        assert found.code == 2 and said in found.said, found.said


def test_rows_checks_a_file_once(base: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = manifest.open_snapshot(str(base / "snapshot"))
    seen: list[str] = []
    monkeypatch.setattr(
        "store.integrity.require_entries", lambda _, entries: seen.extend(str(entry["path"]).split("/")[0] for entry in entries)
    )
    rows = references.Rows([opened])
    rows.require([{"0": [0]}, {"0": [0]}], "documents", "leaves")
    rows.require([{"0": [0, 1]}], "documents", "signatures")
    assert seen == ["documents", "leaves", "documents", "signatures", "signatures"]


def test_a_snapshot_says_what_its_signatures_must_be_and_a_run_was_checked_as_a_whole(base: Path) -> None:
    opened = manifest.open_snapshot(str(base / "snapshot"))
    told = references.signed(opened)
    assert told is not None and (told["url"], told["id"]) == (opened.url, opened.id)
    listed = [[entry["path"], entry["sha256"], entry["size"]] for entry in opened.entries("signatures")]
    assert told["files"] == listed and len(listed) > 1
    assert references.signed(manifest.open_run(str(base / "run"))) is None


def test_patterns_protect_by_path() -> None:
    paths = ["books/a.parquet", "b.gz", "c.parquet", "books/x/y.gz"]
    assert protected(["books/*", "*.gz"], paths) == ["b.gz", "books/a.parquet", "books/x/y.gz"]
    assert protected([], []) == []


@pytest.mark.parametrize("pattern", ["nothing/*", "old/new.parquet"])
def test_a_pattern_that_protects_nothing_is_an_error_before_any_work(base: Path, tmp_path: Path, pattern: str) -> None:
    found = command("curate", base / "new.parquet", "--into", tmp_path / "run", "--protect", pattern)
    assert found.code == 2 and pattern in found.said and "such as 'new.parquet'" in found.said
    assert not list(tmp_path.glob("run/*"))


def test_the_order_in_which_references_are_named_changes_nothing(base: Path, tmp_path: Path) -> None:
    freeze(write_rows(tmp_path / "more.parquet", {"more": planted.prose("Latin", "more", 80)}), tmp_path / "more", *DECLARE)
    references_of = [base / "snapshot", tmp_path / "more"]
    curate(base / "new.parquet", tmp_path / "run", references_of)
    again = done(
        "curate", base / "new.parquet", "--into", tmp_path / "run", *(x for one in references_of[::-1] for x in ("--against", one))
    )
    assert again["id"] == manifest.open_run(str(tmp_path / "run")).id


def test_references_that_no_setting_fits_together_are_said_to_be_so(base: Path, tmp_path: Path) -> None:
    freeze(base / "old/a.parquet", tmp_path / "other", *DECLARE, "--minhash.seed=5")
    asked = (
        "curate",
        base / "new.parquet",
        "--into",
        tmp_path / "run",
        "--against",
        base / "snapshot",
        "--against",
        tmp_path / "other",
    )
    for seed in (1, 5):
        found = command(*asked, f"--minhash.seed={seed}")
        assert found.code == 2 and "no one setting fits both" in found.said and "Run the same command" not in found.said, found.said


def test_a_missing_file_of_a_reference_is_named(base: Path, tmp_path: Path) -> None:
    opened = manifest.open_snapshot(str(base / "snapshot"))
    entry = {**opened.entries("ids")[0], "path": "ids/gone.parquet"}
    lost = manifest.Opened(opened.url, opened.id, opened.manifest | {"files": [entry]})
    with pytest.raises(CheckFailed, match=r"ids/gone\.parquet \(missing\)"):
        references.require_found(lost)


def test_other_parameters_name_reference_and_both_values(base: Path) -> None:
    opened = manifest.open_run(str(base / "run"))
    with pytest.raises(UsageError, match=r"against run .*seed 7.*1"):
        references.check_comparable(opened.manifest["parameters"]["minhash"] | {"seed": 7}, [opened])


def test_an_earlier_run_without_what_it_was_compared_with_is_told(base: Path, tmp_path: Path) -> None:
    alone = curate(base / "new.parquet", tmp_path / "alone", [base / "run"])
    (note,) = alone["notes"]
    assert manifest.open_snapshot(str(base / "snapshot")).id[:12] in note and "copies in this crawl stay" in note
    assert "notes" not in curate(base / "new.parquet", tmp_path / "both", [base / "run", base / "snapshot"])


def test_a_reference_without_documents_is_told(base: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "none.parquet", {"empty": " "})
    freeze(tmp_path / "none.parquet", tmp_path / "none", *DECLARE)
    (note,) = curate(base / "new.parquet", tmp_path / "run", [tmp_path / "none"])["notes"]
    assert "holds no documents" in note
