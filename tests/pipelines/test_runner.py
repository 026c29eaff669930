"""The engine: every part done once, resumed, failed by name, alike in this process and in others."""

import os
from pathlib import Path
from typing import Any

import pytest

from pipelines.runner import Runner, check_beam_args, missing
from pipelines.stage import Stage
from pipelines.target import Target
from store import files
from store.errors import Incomplete, UsageError

PARTS = tuple({"name": f"{i:05d}", "weight": 10 - i} for i in range(5))


def stage(tmp_path: Path, step: str = "Echo", parts: tuple[dict[str, Any], ...] = PARTS, **options: Any) -> Stage:
    return Stage("try", f"tests.pipelines.steps:{step}", str(tmp_path / "work"), options.pop("context", {}), parts, **options)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_part_leaves_its_receipt_in_order(tmp_path: Path, workers: int) -> None:
    with Runner(workers) as runner:
        receipts = runner.run(stage(tmp_path))
    assert list(receipts) == [part["name"] for part in PARTS]
    assert all(receipt["ready"] for receipt in receipts.values())
    assert (os.getpid() in {receipt["pid"] for receipt in receipts.values()}) == (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_shuffle_brings_everything_together_and_leaves_empty_partitions_a_receipt(tmp_path: Path, workers: int) -> None:
    parts = tuple({"name": f"{i:05d}", "to": [i % 3, 3]} for i in range(6))
    with Runner(workers) as runner:
        receipts = runner.run(stage(tmp_path, "Deal", parts, partitions=(0, 1, 2, 3, 4)))
    got = [receipt["got"] for receipt in receipts.values()]
    assert got == [["00000", "00003"], ["00001", "00004"], ["00002", "00005"], [f"{i:05d}" for i in range(6)], []]


def test_a_rerun_does_only_what_is_missing(tmp_path: Path) -> None:
    of = stage(tmp_path)
    with Runner() as runner:
        runner.run(of)
        files.remove(files.join(of.folder, "receipts", "00003.json"))
        assert [part["name"] for part in missing(of)[0]] == ["00003"]
        before = {path: os.stat(files.join(of.folder, path)).st_mtime_ns for path in files.list_files(of.folder)}
        runner.run(of)
    after = {path: os.stat(files.join(of.folder, path)).st_mtime_ns for path in files.list_files(of.folder)}
    assert {path for path in after if after[path] != before.get(path)} == {"echo/00003.txt", "receipts/00003.json"}


def test_other_settings_are_another_folder(tmp_path: Path) -> None:
    assert stage(tmp_path, context={"a": 1}).folder != stage(tmp_path, context={"a": 2}).folder
    assert stage(tmp_path).folder != stage(tmp_path, parts=PARTS[:4]).folder
    lighter = tuple({**part, "weight": 0} for part in PARTS)
    assert stage(tmp_path).folder == stage(tmp_path, parts=lighter).folder


@pytest.mark.parametrize("workers", [1, 2])
def test_a_failing_part_is_named_and_the_others_are_kept(tmp_path: Path, workers: int) -> None:
    of = stage(tmp_path, parts=(*PARTS, {"name": "00009", "fail": True}))
    with pytest.raises(Incomplete, match=r"(?s)part 00009.*cannot be done"), Runner(workers) as runner:
        runner.run(of)
    assert "00009" not in of.receipts()


def test_a_worker_that_dies_fails_the_run_and_names_its_part(tmp_path: Path) -> None:
    of = stage(tmp_path, parts=(*PARTS, {"name": "00009", "die": True}))
    with pytest.raises(Incomplete, match=r"died \(signal 9\) in part 00009"), Runner(2) as runner:
        runner.run(of)
    assert set(of.receipts()) < {part["name"] for part in of.parts}


@pytest.mark.parametrize(
    "arguments",
    [
        ["--runner=DirectRunner"],
        ["--runner", "DaskRunner"],
        ["--runner=apache_beam.runners.interactive.interactive_runner.InteractiveRunner"],
        ["--direct_running_mode=multi_threading"],
        ["--direct_running_mode", "multi_processing"],
    ],
)
def test_runners_that_lose_records_are_refused(arguments: list[str]) -> None:
    with pytest.raises(UsageError, match="refused"):
        check_beam_args(arguments, 1)


def test_workers_of_ours_and_a_cluster_exclude_each_other() -> None:
    check_beam_args(["--runner=FlinkRunner"], 1)
    with pytest.raises(UsageError, match="exclude each other"):
        check_beam_args(["--runner=FlinkRunner"], 2)


def test_promotion_can_be_repeated_and_misses_nothing(tmp_path: Path) -> None:
    of = stage(tmp_path)
    with Runner() as runner:
        receipts = runner.run(of)
    target = str(tmp_path / "target")
    promote = Target(target, "run").promote
    files.move(files.join(of.folder, "echo/00001.txt"), files.join(target, "echo/00001.txt"))
    entries = promote(receipts, of.folder)
    assert [entry["path"] for entry in entries] == files.list_files(target) == [f"echo/{part['name']}.txt" for part in PARTS]
    assert promote(receipts, of.folder) == entries
    files.remove(files.join(target, "echo/00002.txt"))
    with pytest.raises(Incomplete, match="00002"):
        promote(receipts, of.folder)
