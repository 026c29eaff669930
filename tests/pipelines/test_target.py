"""The hold on a folder: one of several gets it, the others are told, and a kill at any step is made good by the rerun."""

import itertools
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import pytest

from pipelines.progress import Progress
from pipelines.target import Target
from provenance.identity import canonical_json
from store import files, manifest
from store.errors import CheckFailed, Incomplete, UsageError
from tests.s3 import s3, server

__all__ = ["s3", "server"]
ONE, TWO, THREE = "1" * 64, "2" * 64, "3" * 64


@pytest.fixture(params=["local", "memory", pytest.param("s3", marks=pytest.mark.slow)])
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """As `into`, where the many requests to S3 take their time."""
    return place(request, tmp_path)


@pytest.fixture(params=["local", "memory", "s3"])
def into(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """Where to write, on a disk with locks and on stores without."""
    return place(request, tmp_path)


def place(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        return "memory://lab/snapshot"
    if request.param == "s3":
        return files.join(request.getfixturevalue("s3"), "snapshot")
    return str(tmp_path / "snapshot")


def body(job: str, parent: str | None, entries: list[dict[str, Any]], removed: tuple[str, ...] = ()) -> dict[str, Any]:
    """As little of a snapshot's manifest as its reader takes."""
    tree = {"size": 1, "root": "0" * 64, "extensions": [{"size": 1, "root": "0" * 64, "manifest": None}]}
    parts: dict[str, Any] = {"config": {}, "parameters": {}, "counts": {}, "consistency": [], "witnesses": {}, "signers": []}
    about = {"job": job, "parent": parent, "cutoff": "2022-01-01T00:00:00.000000Z", "index_only": False}
    return parts | about | {"tree": tree, "files": entries, "redacted": {"leaves": 0, "removed": list(removed)}}


def write(target: Target, job: str, without: tuple[str, ...] = ()) -> manifest.Opened:
    """Does the work of a command after its claim: one file more than the parent has, but for those that it removes."""
    before = manifest.open_snapshot(f"{target.into}@{target.extends}").manifest["files"] if target.extends else []
    entries = [entry for entry in before if entry["path"] not in without]
    entries.append(target.add_bytes(f"documents/{job[:5]}.parquet", job.encode()))
    return target.finish(body(job, target.extends, manifest.sorted_files(entries), without))


def make(into: str, job: str, extends: str | None = None, without: tuple[str, ...] = ()) -> str:
    """A whole command; the id of what it made or found."""
    with Target(into, "snapshot", extends) as target:
        opened = target.claim(job)
        if opened is None:
            opened = write(target, job, without)
            target.remove_listed(without)
        return opened.id


def all_files(into: str) -> list[str]:
    """Everything there, the work folder included."""
    return files.list_files(into)


def test_versions_grow_in_a_line_and_the_same_command_changes_nothing(into: str) -> None:
    first = make(into, ONE)
    second = make(into, TWO, first)
    third = make(into, THREE, second)
    there = all_files(into)
    assert there == sorted(
        [f"documents/{n * 5}.parquet" for n in "123"] + [f"manifests/{name}.json" for name in (first, second, third)]
    )
    assert [make(into, ONE), make(into, TWO, first), make(into, THREE, second)] == [first, second, third]
    assert manifest.open_snapshot(into).id == third
    assert all_files(into) == there


def test_what_cannot_grow_is_told_why(into: str) -> None:
    with pytest.raises(UsageError, match=r"no such version and nothing finished"):
        make(into, ONE, "f" * 64)
    first = make(into, ONE)
    with pytest.raises(UsageError, match=f"no such version, it has {first}"):
        make(into, TWO, "f" * 64)
    with pytest.raises(UsageError, match="with --extends ID"):
        make(into, TWO)
    second = make(into, TWO, first)
    with pytest.raises(UsageError, match=f"version {second} extends {first} already"):
        make(into, THREE, first)
    with pytest.raises(UsageError, match="holds a finished snapshot, and a run"), Target(into, "run"):
        pass
    assert not [path for path in all_files(into) if path.startswith("_work")]


def test_a_run_says_nothing_of_extending(tmp_path: Path) -> None:
    into = str(tmp_path / "run")
    shape = {"job": ONE, "snapshots": [], "files": [], "counts": {}, "config": {}, "parameters": {}}
    with Target(into, "run") as target:
        target.claim(ONE)
        target.finish(shape)
    with Target(into, "run") as target:
        assert target.claim(ONE) is not None
        with pytest.raises(UsageError, match=r"the two would be mixed\. Name another folder\.$"):
            target.claim(TWO)


def test_files_that_no_version_lists_are_refused_before_anything_grows(into: str) -> None:
    first = make(into, ONE)
    files.write_bytes(files.join(into, "checkpoints", f"{first}.txt"), b"signed")
    files.write_bytes(files.join(into, "documents/mine.parquet"), b"precious")
    with pytest.raises(UsageError, match=r"documents/mine\.parquet, which no version"):
        make(into, TWO, first)
    assert make(into, ONE) == first, "the same command is not disturbed"
    files.remove(files.join(into, "documents/mine.parquet"))
    make(into, TWO, first)
    assert files.read_bytes(files.join(into, "checkpoints", f"{first}.txt")) == b"signed"


def test_the_unfinished_work_of_another_command_is_left_to_it(into: str) -> None:
    with pytest.raises(Incomplete), Target(into, "snapshot") as target:
        target.claim(ONE)
        raise Incomplete("a part failed")
    with pytest.raises(
        UsageError, match=r"unfinished work of another command \(job 11111.*this one 22222.*remove .* and run again"
    ):
        make(into, TWO)
    first = make(into, ONE)
    with pytest.raises(Incomplete), Target(into, "snapshot", first) as target:
        target.claim(TWO)
        raise Incomplete("a part failed")
    with pytest.raises(UsageError, match=r"remove \S*_work and what `lowbackground verify` then names"):
        make(into, THREE, first)
    assert manifest.open_snapshot(into).id == first
    assert make(into, ONE) == first, "a finished version is found beside unfinished work"
    assert files.exists(files.join(into, "_work/job.json")), "and does not clear it away"
    assert make(into, TWO, first)


def test_of_many_commands_for_one_name_one_wins_and_the_others_are_told(into: str) -> None:
    for extends in (None, make(into, "a" * 64)) if "memory" not in into else (None,):
        where = into + "-new" if extends is None else into
        barrier = threading.Barrier(4)

        def command(number: int, where: str = where, extends: str | None = extends, barrier: threading.Barrier = barrier) -> str:
            barrier.wait()
            try:
                return make(where, f"{number}" * 64, extends)
            except UsageError as error:
                return f"told: {error}"

        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(command, range(4)))
        made = [answer for answer in said if not answer.startswith("told: ")]
        assert len(made) == 1, said
        assert manifest.snapshot_ids(where) == sorted(filter(None, [*made, extends]))
        assert not [path for path in all_files(where) if path.startswith("_work")]
        opened = manifest.open_snapshot(where)
        assert all_files(where) == sorted(
            [entry["path"] for entry in opened.manifest["files"]] + [f"manifests/{i}.json" for i in manifest.snapshot_ids(where)]
        )


def test_a_claim_is_looked_at_again_after_it_is_taken(into: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another command finishes between the look and the claim."""
    if "://" not in into:
        pytest.skip("the lock of a local disk keeps the other one out")
    create, first = files.create_exclusive, []

    def late(url: str, data: bytes) -> bool:
        monkeypatch.setattr(files, "create_exclusive", create)
        first.append(make(into, ONE))
        return create(url, data)

    monkeypatch.setattr(files, "create_exclusive", late)
    with pytest.raises(UsageError, match="other settings or inputs"):
        make(into, TWO)
    assert manifest.snapshot_ids(into) == first
    assert all_files(into) == ["documents/11111.parquet", f"manifests/{first[0]}.json"]
    monkeypatch.setattr(files, "create_exclusive", late)
    second = make(into, TWO, first[0])
    assert make(into, TWO, first[0]) == second


@pytest.mark.parametrize("moment", ["promote", "finish"])
def test_one_that_was_overtaken_writes_nothing_more(into: str, moment: str) -> None:
    if "://" not in into:
        pytest.skip("the lock of a local disk keeps the other one out")
    with pytest.raises(UsageError, match=r"took .* over while this one worked"), Target(into, "snapshot") as slow:
        slow.claim(ONE)
        entry = slow.add_bytes("documents/11111.parquet", ONE.encode()) if moment == "finish" else None
        with Target(into, "snapshot") as quick:  # the same command again, as after a kill
            assert quick.claim(ONE) is None
            if entry:
                slow.finish(body(ONE, None, [entry]))
            else:
                slow.add_bytes("documents/11111.parquet", ONE.encode())
    assert manifest.snapshot_ids(into) == []
    assert make(into, ONE)


def test_one_that_lost_its_work_to_another_is_told_so(into: str) -> None:
    if "://" not in into:
        pytest.skip("the lock of a local disk keeps the other one out")
    with pytest.raises(UsageError, match=r"another command works in .* or finished there.*gone"), Target(into, "snapshot") as slow:
        make(into, TWO)  # finishes while the other still surveys, and clears the work folder
        assert slow.made is None
        raise Incomplete("the survey's receipts are gone.")
    with pytest.raises(Incomplete, match=r"^a source is damaged\.$"), Target(into, "snapshot") as _:
        raise Incomplete("a source is damaged.")


def test_a_claim_whose_writer_was_killed_when_all_was_done_is_nobody_s(into: str) -> None:
    first = make(into, ONE)
    left = canonical_json({"job": ONE, "kind": "snapshot", "owner": "gone"})
    files.write_bytes(files.join(into, "_work/job.json"), left)
    second = make(into, TWO, first)
    assert not [path for path in all_files(into) if path.startswith("_work")]
    files.write_bytes(files.join(into, "_work/job.json"), left)
    assert make(into, TWO, first) == second
    assert not [path for path in all_files(into) if path.startswith("_work")]


def test_what_is_redacted_goes_after_the_manifest_and_a_kill_between_is_made_good(into: str) -> None:
    first = make(into, ONE)
    gone = "documents/11111.parquet"
    target = Target(into, "snapshot", first).__enter__()
    target.claim(TWO)
    assert files.exists(files.join(into, gone))
    second = write(target, TWO, (gone,))
    assert files.exists(files.join(into, gone)), "not before the manifest is there"
    target.__exit__(None, None, None)  # killed, as far as the removal goes
    assert make(into, TWO, first, (gone,)) == second.id
    assert not files.exists(files.join(into, gone))
    with Target(into, "snapshot", second.id) as target:
        target.claim(THREE)
        third = write(target, THREE)
        target.remove_listed([])
        for wrong in ("documents/22222.parquet", "documents/none.parquet", "../outside"):
            with pytest.raises(CheckFailed, match="Nothing was removed"):
                target.remove_listed([gone, wrong])
    assert [entry["path"] for entry in third.manifest["files"]] == ["documents/22222.parquet", "documents/33333.parquet"]
    with Target(into, "snapshot", third.id) as target, pytest.raises(CheckFailed, match="only after the manifest"):
        target.remove_listed([gone])


class Killed(BaseException):
    """Stands for a kill: nothing that would catch it may be run after it."""


STEPS = ("create_exclusive", "write_bytes", "move", "remove", "remove_tree")


def kill(monkeypatch: pytest.MonkeyPatch, at: int) -> None:
    """Ends the command at its `at`-th change of the file system, before or after it, and all that comes later."""
    count = itertools.count()
    for name in STEPS:
        real = getattr(files, name)

        def step(*arguments: Any, real: Any = real) -> Any:
            number = next(count)
            if number * 2 >= at:
                raise Killed
            result = real(*arguments)
            if number * 2 + 1 >= at:
                raise Killed
            return result

        monkeypatch.setattr(files, name, step)


def test_killed_at_every_step_the_rerun_gives_the_same_and_leaves_nothing(anywhere: str, monkeypatch: pytest.MonkeyPatch) -> None:
    first = make(anywhere + "-whole", ONE)
    second = make(anywhere + "-whole", TWO, first, ("documents/11111.parquet",))
    done = False
    for at in range(0, 99, 1 if "s3:" not in anywhere else 5):
        where = f"{anywhere}-{at}"
        assert make(where, ONE) == first
        with monkeypatch.context() as patch:
            kill(patch, at)
            target = Target(where, "snapshot", first)
            try:
                target.__enter__()
                if target.claim(TWO) is None:
                    write(target, TWO, ("documents/11111.parquet",))
                    target.remove_listed(["documents/11111.parquet"])
                    target.log("freeze", Progress(quiet=True))
                target.__exit__(None, None, None)
                done = True
            except Killed:
                lock = target._lock
                if lock is not None:
                    os.close(lock)
        ids = manifest.snapshot_ids(where)
        listed = {entry["path"] for name in ids for entry in manifest.open_snapshot(f"{where}@{name}").manifest["files"]}
        there = {path for path in all_files(where) if path.split("/")[0] not in ("_work", "manifests")}
        announced = files.join(where, "_work/placing.json")
        assert there - listed <= set(json.loads(files.read_bytes(announced)) if files.exists(announced) else ())
        assert ids in ([first], sorted([first, second]))
        assert all(files.exists(files.join(where, entry["path"])) for entry in manifest.open_snapshot(where).manifest["files"])
        assert make(where, TWO, first, ("documents/11111.parquet",)) == second
        assert all_files(where) == all_files(anywhere + "-whole"), at
        files.remove_tree(where)
        if done:
            break
    assert done and at > 10


def test_a_claim_that_is_no_claim_is_nobody_s(into: str) -> None:
    for data in (b"", b"{", b"[]", b'{"job": 1}'):
        files.write_bytes(files.join(into, "_work/job.json"), data)
        with Target(into, "snapshot") as target:
            assert target.claim(ONE) is None
            assert json.loads(files.read_bytes(files.join(into, "_work/job.json")))["job"] == ONE
            target.release()
        assert all_files(into) == []


def test_a_folder_inside_a_finished_thing_is_refused_everywhere(into: str) -> None:
    make(into, ONE)
    with pytest.raises(UsageError, match=r"lies inside .*snapshot, which is finished"), Target(files.join(into, "deep/er"), "run"):
        pass


def test_the_lock_of_a_folder_that_is_being_cleared_is_never_held_by_two(tmp_path: Path) -> None:
    into, held, most = str(tmp_path / "x"), [0], []

    def command(_: int) -> int:
        try:
            with Target(into, "snapshot"):
                held[0] += 1
                most.append(held[0])
                files.write_bytes(files.join(into, "_work/mine"), b"1")
                held[0] -= 1
            return 1
        except UsageError as error:
            return 0 if "another command is writing" in str(error) else 1000

    with ThreadPoolExecutor(8) as pool:
        entered = sum(pool.map(command, range(400)))
    assert 0 < entered < 1000 and max(most) == 1
    assert not (tmp_path / "x").exists()


def test_who_may_see_only_a_part_of_a_bucket_may_write_there(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    into, exists = files.join(s3, "mine/snapshot"), files.exists

    def guarded(url: str) -> bool:
        if not url.startswith(into):
            raise PermissionError(13, "AccessDenied")
        return exists(url)

    monkeypatch.setattr(files, "exists", guarded)
    assert make(into, ONE)
