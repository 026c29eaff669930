"""The stages of the match: what is left out where it would find nothing, and what of each is counted."""

import json
from pathlib import Path

import pytest

from store import manifest
from tests.match import planted
from tests.match.runs import DECLARE, curate, freeze, write_rows

TEXTS = {f"old-{n}": planted.prose("Latin", f"comparing {n}", 80) for n in range(4)}
ALWAYS = ["survey", "extract", "rank", "candidates", "pair", "resolve", "stand", "crowd", "tag", "count", "prevalence"]


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A snapshot of two texts; a run against it that keeps one text and drops a copy of the snapshot's."""
    base = tmp_path_factory.mktemp("comparing")
    write_rows(base / "old.parquet", {name: TEXTS[name] for name in ("old-0", "old-1")})
    freeze(base / "old.parquet", base / "snapshot", *DECLARE)
    write_rows(base / "first.parquet", {name: TEXTS[name] for name in ("old-1", "old-2")})
    curate(base / "first.parquet", base / "first", [base / "snapshot"])
    return base


def stages(run: Path) -> list[str]:
    return list(json.loads(Path(f"{run}.log").read_text().splitlines()[-1])["seconds"])


def test_without_references_nothing_is_equalled_or_indexed(base: Path, tmp_path: Path) -> None:
    curate(base / "old.parquet", tmp_path / "run")
    # The two texts share nothing, so that no pair is measured either.
    assert stages(tmp_path / "run") == ALWAYS


def test_relations_are_looked_up_where_something_may_equal(base: Path, tmp_path: Path) -> None:
    write_rows(tmp_path / "new.parquet", {"new": planted.prose("Latin", "quite new", 80)})
    curate(tmp_path / "new.parquet", tmp_path / "new", [base / "snapshot"])
    assert {"equal", "relate"} & set(stages(tmp_path / "new")) == {"equal"}
    curate(base / "old.parquet", tmp_path / "same", [base / "snapshot"])
    assert {"equal", "relate"} <= set(stages(tmp_path / "same"))


def test_an_earlier_run_is_indexed_over_what_it_kept(base: Path, tmp_path: Path) -> None:
    names = ("old-1", "old-2", "old-3")
    crawl = {name: TEXTS[name] for name in names} | {"near": planted.replace_run(TEXTS["old-2"], 20, 2, "near")}
    summary = curate(write_rows(tmp_path / "new.parquet", crawl), tmp_path / "run", [base / "first"])
    assert {"post-0", "index-0"} <= set(stages(tmp_path / "run"))
    run = manifest.open_run(str(tmp_path / "run")).manifest
    assert (run["snapshots"], run["runs"]) == ([], [{"id": manifest.open_run(str(base / "first")).id}])
    # What the first run dropped is kept here: the snapshot that it went for is no reference of this one.
    assert summary["runs"] == [run["runs"][0]["id"]] and (summary["kept"], summary["dropped"]) == (2, 2)
    both = curate(tmp_path / "new.parquet", tmp_path / "both", [base / "first", base / "snapshot"])
    assert (both["kept"], both["dropped"], both["origins"]["human"]) == (1, 3, 1)


def test_counts_add_up(base: Path, tmp_path: Path) -> None:
    crawl = TEXTS | {f"near {n}": planted.replace_run(TEXTS["old-3"], 10 * n, 3, n) for n in range(1, 5)}
    found = curate(write_rows(tmp_path / "new.parquet", crawl), tmp_path / "run", [base / "snapshot"])
    assert found["pairs_estimated"] + found["pairs_measured"] == found["candidates"] > 0
    assert found["kept"] + found["dropped"] == found["documents"] == len(crawl)
    assert sum(found["origins"].values()) == found["documents"] and sum(found["kept_origins"].values()) == found["kept"]
    assert (found["pairs_not_compared"], found["samples_not_compared"], found["protected_kept"]) == (0, 0, 0)
