"""The engine: every part done once, resumed, failed by name, alike in this process and in others."""

import os
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import runner
from pipelines.runner import Runner, check_beam_args, missing
from pipelines.stage import Stage
from pipelines.target import Target
from store import files
from store.errors import Incomplete, UsageError
from tests.pipelines import steps

PARTS = tuple({"name": f"{i:05d}", "weight": 10 - i} for i in range(5))


def stage(tmp_path: Path, step: str = "Echo", parts: tuple[dict[str, Any], ...] = PARTS, **options: Any) -> Stage:
    return Stage("try", f"tests.pipelines.steps:{step}", str(tmp_path / "work"), options.pop("context", {}), parts, **options)


@pytest.mark.parametrize("workers", [1, 2])
def test_every_part_leaves_its_receipt_in_order(tmp_path: Path, workers: int) -> None:
    with Runner(workers) as engine:
        receipts = engine.run(stage(tmp_path))
    assert list(receipts) == [part["name"] for part in PARTS]
    assert all(receipt["ready"] for receipt in receipts.values())
    assert (os.getpid() in {receipt["pid"] for receipt in receipts.values()}) == (workers == 1)


@pytest.mark.parametrize("workers", [1, 2])
def test_shuffle_brings_everything_together_and_leaves_empty_partitions_a_receipt(tmp_path: Path, workers: int) -> None:
    parts = tuple({"name": f"{i:05d}", "to": [i % 3, 3]} for i in range(6))
    with Runner(workers) as engine:
        receipts = engine.run(stage(tmp_path, "Deal", parts, partitions=(0, 1, 2, 3, 4)))
    got = [receipt["got"] for receipt in receipts.values()]
    assert got == [["00000", "00003"], ["00001", "00004"], ["00002", "00005"], [f"{i:05d}" for i in range(6)], []]


def shuffled(tmp_path: Path, weight: int) -> Stage:
    """A shuffle of 12 partitions, into which six parts send `weight` bytes each."""
    parts = tuple({"name": f"{i:05d}", "to": [i % 3, 3, 11], "weight": weight} for i in range(6))
    return stage(tmp_path, "Deal", parts, partitions=tuple(range(12)))


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize(
    ("weight", "pieces"), [(0, {1: 1, 2: 2}), (runner.SHUFFLE // 6, {1: 1, 2: 2}), (runner.SHUFFLE, {1: 6, 2: 6})]
)
def test_a_shuffle_is_cut_into_pieces_that_fit_into_memory(
    tmp_path: Path, workers: int, weight: int, pieces: dict[int, int]
) -> None:
    of = shuffled(tmp_path, weight)
    chunks = runner._chunks(list(of.parts), list(of.partitions), len(of.partitions), workers)
    assert len(chunks) == pieces[workers]
    assert [p for chunk in chunks for p in chunk] == list(of.partitions)
    assert all(len(chunk) * 6 * weight / 12 <= runner.SHUFFLE for chunk in chunks)
    # A rerun of a few of them is cut by what these hold, not by what all do.
    assert len(runner._chunks(list(of.parts), [4, 5], 12, 1)) == 1


@given(
    st.lists(st.lists(st.integers(0, 3 * runner.SHUFFLE), min_size=3, max_size=3), max_size=3),
    st.sets(st.integers(0, 19), min_size=1),
    st.integers(1, 4),
)
def test_a_shuffle_whose_partitions_are_unequal_is_cut_by_what_they_hold(
    sent: list[list[int]], missing: set[int], workers: int
) -> None:
    bounds = ((0, 4), (4, 5), (5, 20))
    spread = [[[start, stop, size] for (start, stop), size in zip(bounds, sizes, strict=True)] for sizes in sent]
    parts = [{"name": str(i), "spread": one, "weight": sum(size for _, _, size in one)} for i, one in enumerate(spread)]
    chunks = runner._chunks(parts, sorted(missing), 20, workers)
    assert [p for chunk in chunks for p in chunk] == sorted(missing)
    held = [sum(size / (b - a) for one in spread for a, b, size in one if a <= p < b) for p in range(20)]
    for chunk in chunks:
        assert chunk and (len(chunk) == 1 or sum(held[p] for p in chunk) <= runner.SHUFFLE + 20)


@pytest.mark.parametrize("workers", [1, 2])
def test_a_shuffle_in_pieces_gives_the_same_as_in_one(tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch) -> None:
    runs: list[list[int]] = []
    real = runner.run_pipeline

    def noted(spec: Any, parts: Any, partitions: list[int], beam_args: Any) -> None:
        runs.append(partitions)
        real(spec, parts, partitions, beam_args)

    monkeypatch.setattr(runner, "run_pipeline", noted)
    got = []
    for name, weight in (("one", 0), ("many", 2 * runner.SHUFFLE)):
        with Runner(workers) as engine:
            got.append([receipt["got"] for receipt in engine.run(shuffled(tmp_path / name, weight)).values()])
    assert got[0] == got[1]
    assert got[0][3] == [f"{i:05d}" for i in range(6)] and got[0][4] == []
    if workers == 1:
        assert [len(run) for run in runs] == [12, *[1] * 12]


def test_a_partition_that_fails_in_a_later_piece_is_named_and_the_earlier_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    join = steps.Deal.join

    def failing(self: steps.Deal, partition: int, blobs: Any) -> dict[str, Any]:
        if partition == 7:
            raise ValueError("this one cannot be joined")
        return join(self, partition, blobs)

    monkeypatch.setattr(steps.Deal, "join", failing)
    of = shuffled(tmp_path, 2 * runner.SHUFFLE)
    with pytest.raises(Incomplete, match=r"(?s)partition 00007.*cannot be joined"), Runner() as engine:
        engine.run(of)
    assert set(of.receipts()) == {f"{p:05d}" for p in range(7)}


def test_a_rerun_does_only_what_is_missing(tmp_path: Path) -> None:
    of = stage(tmp_path)
    with Runner() as engine:
        engine.run(of)
        files.remove(files.join(of.folder, "receipts", "00003.json"))
        assert [part["name"] for part in missing(of)[0]] == ["00003"]
        before = {path: os.stat(files.join(of.folder, path)).st_mtime_ns for path in files.list_files(of.folder)}
        engine.run(of)
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
    with pytest.raises(Incomplete, match=r"(?s)part 00009.*cannot be done"), Runner(workers) as engine:
        engine.run(of)
    assert "00009" not in of.receipts()


def test_a_worker_that_dies_fails_the_run_and_names_its_part(tmp_path: Path) -> None:
    of = stage(tmp_path, parts=(*PARTS, {"name": "00009", "die": True}))
    with pytest.raises(Incomplete, match=r"died \(signal 9\) in part 00009"), Runner(2) as engine:
        engine.run(of)
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
    with Runner() as engine:
        receipts = engine.run(of)
    target = str(tmp_path / "target")
    promote = Target(target, "run").promote
    files.move(files.join(of.folder, "echo/00001.txt"), files.join(target, "echo/00001.txt"))
    entries = promote(receipts, of.folder)
    placed = [path for path in files.list_files(target) if path.startswith("echo/")]
    assert [entry["path"] for entry in entries] == placed == [f"echo/{part['name']}.txt" for part in PARTS]
    assert promote(receipts, of.folder) == entries
    files.remove(files.join(target, "echo/00002.txt"))
    with pytest.raises(Incomplete, match="00002"):
        promote(receipts, of.folder)
