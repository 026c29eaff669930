"""Whole files or none, on a local disk and on a file system that is not one."""

import errno
import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import fsspec
import pytest

from store import files


@pytest.fixture(params=["local", "memory"])
def base(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        return "memory://bucket/folder"
    return str(tmp_path / "a folder")


def test_round_trip_listing_and_digest(base: str) -> None:
    files.write_bytes(files.join(base, "b/c.bin"), b"12345")
    files.write_bytes(files.join(base, "a.bin"), b"")
    assert files.list_files(base) == ["a.bin", "b/c.bin"]
    assert files.read_bytes(files.join(base, "b", "c.bin")) == b"12345"
    assert files.file_digest(files.join(base, "b/c.bin")) == (hashlib.sha256(b"12345").hexdigest(), 5)
    files.move(files.join(base, "b/c.bin"), files.join(base, "d/e.bin"))
    assert files.list_files(base) == ["a.bin", "d/e.bin"]
    files.remove(files.join(base, "a.bin"))
    files.remove_tree(files.join(base, "d"))
    assert files.list_files(base) == []


def test_a_failed_write_leaves_the_old_file_and_nothing_else(base: str) -> None:
    url = files.join(base, "x")
    files.write_bytes(url, b"old")
    with pytest.raises(RuntimeError), files.create(url) as file:
        file.write(b"half of the new")
        raise RuntimeError
    assert files.read_bytes(url) == b"old"
    assert files.list_files(base) == ["x"]
    if files.is_local(base):
        assert [path.name for path in Path(base).iterdir()] == ["x"]


def test_a_file_in_the_making_has_another_name(tmp_path: Path) -> None:
    with files.create(str(tmp_path / "x")) as file:
        file.write(b"1")
        assert not (tmp_path / "x").exists()
    assert files.list_files(str(tmp_path)) == ["x"]
    assert (file.size, file.sha256) == (1, hashlib.sha256(b"1").hexdigest())


def test_a_digest_that_was_not_to_be_taken_is_not_told(base: str) -> None:
    url = files.join(base, "x")
    with files.create(url, digest=False) as file:
        file.write(b"123")
    assert file.size == 3 and files.read_bytes(url) == b"123"
    with pytest.raises(ValueError, match="not to be taken"):
        _ = file.sha256


def test_the_version_of_a_changed_file_is_another_one(tmp_path: Path) -> None:
    path = tmp_path / "x"
    path.write_bytes(b"1")
    before = files.version(str(path))
    path.write_bytes(b"22")
    assert files.version(str(path)) != before
    assert files.version(str(path))[1] == 2


def test_a_listing_of_nothing_is_empty_and_a_missing_file_an_error(base: str) -> None:
    assert files.list_files(files.join(base, "nowhere")) == []
    assert not files.exists(files.join(base, "nowhere"))
    with pytest.raises(FileNotFoundError):
        files.file_digest(files.join(base, "nowhere"))


def test_of_many_that_create_one_file_at_once_one_does(base: str) -> None:
    url, barrier = files.join(base, "deep/claim"), threading.Barrier(8)

    def create(number: int) -> bool:
        barrier.wait()
        return files.create_exclusive(url, f"writer {number}".encode() * 1000)

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert sum(won) == 1
    assert files.read_bytes(url) == f"writer {won.index(True)}".encode() * 1000
    assert files.list_files(base) == ["deep/claim"]
    assert not files.create_exclusive(url, b"late") and files.read_bytes(url) != b"late"


@pytest.mark.parametrize("number", [errno.EPERM, errno.EOPNOTSUPP])
def test_a_disk_without_hard_links_has_one_winner_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    def link(*_: object) -> None:
        raise OSError(number, "no links here")

    monkeypatch.setattr(os, "link", link)
    url = str(tmp_path / "x")
    assert files.create_exclusive(url, b"first")
    assert not files.create_exclusive(url, b"second")
    assert files.read_bytes(url) == b"first"
    assert files.list_files(str(tmp_path)) == ["x"]


def test_a_disk_that_fails_otherwise_is_not_taken_for_one_that_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "link", link)
    with pytest.raises(OSError, match="full"):
        files.create_exclusive(str(tmp_path / "x"), b"1")
    assert files.list_files(str(tmp_path)) == []


def test_names_with_wildcards_stand_for_themselves(base: str) -> None:
    for name in ("a[1]/x*.bin", "a1/x.bin", "a[1]/?"):
        files.write_bytes(files.join(base, name), name.encode())
    files.move(files.join(base, "a[1]/x*.bin"), files.join(base, "b/[x]"))
    files.remove_tree(files.join(base, "a[1]"))
    assert files.list_files(base) == ["a1/x.bin", "b/[x]"]
    assert files.read_bytes(files.join(base, "b/[x]")) == b"a[1]/x*.bin"
    with pytest.raises(FileNotFoundError):
        files.move(files.join(base, "nothing"), files.join(base, "b/c"))
