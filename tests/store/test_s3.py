"""The files on S3, by a real API server on loopback: nothing half-written, nothing remembered, one winner."""

import hashlib
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import boto3
import fsspec
import pyarrow as pa
import pytest

from store import files, sql, tables
from store.errors import UsageError
from tests.s3 import BUCKET, s3, server

__all__ = ["s3", "server"]
ROOT = Path(__file__).parents[2]


def elsewhere(code: str) -> str:
    """What a process of its own prints, which finds the server by the environment alone."""
    run = [sys.executable, "-c", f"import sys; from store import files; {code}"]
    return subprocess.run(run, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout


def test_round_trip_listing_digest_move_and_removal(s3: str) -> None:
    data = os.urandom(100_000)
    files.write_bytes(files.join(s3, "b/c.bin"), data)
    files.write_bytes(files.join(s3, "a.bin"), b"")
    assert files.list_files(s3) == ["a.bin", "b/c.bin"]
    assert files.file_digest(files.join(s3, "b/c.bin")) == (hashlib.sha256(data).hexdigest(), len(data))
    with files.open_input(files.join(s3, "b/c.bin")) as file:
        file.seek(-10, os.SEEK_END)
        assert file.read() == data[-10:]
    files.move(files.join(s3, "b/c.bin"), files.join(s3, "d/e.bin"))
    assert files.list_files(s3) == ["a.bin", "d/e.bin"]
    assert files.read_bytes(files.join(s3, "d/e.bin")) == data
    files.remove(files.join(s3, "a.bin"))
    files.remove(files.join(s3, "a.bin"))
    files.remove_tree(files.join(s3, "d"))
    files.remove_tree(files.join(s3, "d"))
    assert files.list_files(s3) == [] and not files.exists(s3)
    for missing in (files.file_digest, files.read_bytes, files.version):
        with pytest.raises(FileNotFoundError):
            missing(files.join(s3, "a.bin"))


def test_a_folder_is_there_if_something_lies_below_it_and_is_no_file(s3: str, server: str) -> None:
    files.write_bytes(files.join(s3, "folder/x"), b"1")
    assert files.exists(files.join(s3, "folder")) and not files.is_file(files.join(s3, "folder"))
    assert files.is_file(files.join(s3, "folder/x"))
    assert not files.exists(files.join(s3, "fold")), "the beginning of a name is no folder"
    assert not files.exists("s3://no-such-bucket/x") and files.list_files("s3://no-such-bucket/x") == []
    for name in ("marked/", "folder/"):  # consoles mark folders so
        boto3.client("s3", endpoint_url=server).put_object(Bucket=BUCKET, Key=f"{s3.removeprefix(f's3://{BUCKET}/')}/{name}")
    assert files.list_files(s3) == ["folder/x"]


def test_the_version_of_a_changed_file_is_another_one_though_the_size_is_not(s3: str) -> None:
    url = files.join(s3, "x")
    files.write_bytes(url, b"1")
    before = files.version(url)
    assert files.version(url) == before
    files.write_bytes(url, b"2")
    assert files.version(url) != before and files.version(url)[1] == 1


def test_a_failed_write_leaves_the_old_object(s3: str) -> None:
    url = files.join(s3, "x")
    files.write_bytes(url, b"old")
    with pytest.raises(RuntimeError), files.create(url) as file:
        file.write(b"half of the new")
        raise RuntimeError
    assert files.read_bytes(url) == b"old" and files.list_files(s3) == ["x"]


def test_what_another_process_writes_is_seen_at_once(s3: str) -> None:
    url = files.join(s3, "seen/x")
    files.write_bytes(files.join(s3, "seen/y"), b"")
    assert files.list_files(s3) == ["seen/y"] and not files.exists(url)
    fsspec.filesystem("s3").ls(files.join(s3, "seen"))  # a listing that fsspec remembers
    assert elsewhere(f"files.write_bytes({url!r}, b'first'); print(files.list_files({s3!r}))") == "['seen/x', 'seen/y']\n"
    assert files.exists(url) and files.is_file(url) and files.list_files(s3) == ["seen/x", "seen/y"]
    assert files.version(url)[1] == 5
    elsewhere(f"files.write_bytes({url!r}, b'second and longer')")
    assert files.read_bytes(url) == b"second and longer"
    with files.open_input(url) as file:
        assert file.read() == b"second and longer"
    elsewhere(f"files.remove({url!r})")
    assert not files.exists(url)


@pytest.mark.slow
def test_more_objects_than_one_listing_or_one_removal_takes(s3: str) -> None:
    fs = fsspec.filesystem("s3")
    fs.pipe({f"{s3}/many/{number:05d}": b"" for number in range(1100)})
    assert files.list_files(s3) == [f"many/{number:05d}" for number in range(1100)]
    files.remove_tree(files.join(s3, "many"))
    assert files.list_files(s3) == []


def test_a_large_object_goes_in_parts_and_is_there_after_the_last(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts: list[int] = []
    fs = fsspec.filesystem("s3")
    call = type(fs)._call_s3

    async def noted(self: Any, method: str, *arguments: Any, **named: Any) -> Any:
        if method == "upload_part":
            parts.append(len(named["Body"]))
            assert not self.invalidate_cache() and not await self._exists(url)
        return await call(self, method, *arguments, **named)

    monkeypatch.setattr(type(fs), "_call_s3", noted)
    monkeypatch.setattr(files, "BLOCK", 5 << 20)
    url, data = files.join(s3, "large"), os.urandom(1 << 20) * 12
    with files.create(url) as file:
        file.write(data)
    assert sorted(parts) == [2 << 20, 5 << 20, 5 << 20]
    assert files.file_digest(url) == (file.sha256, len(data)) == (hashlib.sha256(data).hexdigest(), len(data))


@pytest.mark.parametrize("blind", [False, True], ids=["", "the store alone decides"])
def test_of_many_that_create_one_object_at_once_one_does(s3: str, monkeypatch: pytest.MonkeyPatch, blind: bool) -> None:
    if blind:
        monkeypatch.setattr(files, "exists", lambda url: False)
        monkeypatch.setattr(files, "_exclusive", threading.Semaphore(99))
    url, barrier = files.join(s3, "claim"), threading.Barrier(8)

    def create(number: int) -> bool:
        barrier.wait()
        return files.create_exclusive(url, f"writer {number}".encode())

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(create, range(8)))
    assert sum(won) == 1
    assert files.read_bytes(url) == f"writer {won.index(True)}".encode()
    assert not files.create_exclusive(url, b"late") and files.read_bytes(url) == f"writer {won.index(True)}".encode()


def answering(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> list[str]:
    """Lets the next conditional puts fail in these ways; returns the list of what was tried."""
    fs, waiting, tried = fsspec.filesystem("s3"), list(errors), []
    pipe = fs.pipe_file

    def put(path: str, data: bytes, mode: str = "overwrite") -> None:
        tried.append(mode)
        if waiting:
            raise waiting.pop(0)
        pipe(path, data, mode=mode)

    monkeypatch.setattr(fs, "pipe_file", put)
    monkeypatch.setattr(files.time, "sleep", lambda _: None)
    return tried


def test_a_conflict_of_two_conditional_puts_is_tried_again(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    tried = answering(monkeypatch, OSError(16, "ConditionalRequestConflict"), OSError(16, "again"))
    assert files.create_exclusive(files.join(s3, "x"), b"1")
    assert tried == ["create"] * 3
    answering(monkeypatch, *[OSError(16, "for ever")] * 9)
    with pytest.raises(UsageError, match="others write"):
        files.create_exclusive(files.join(s3, "y"), b"1")


def test_a_refused_precondition_without_a_name_is_a_loss_and_another_error_none(s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    url = files.join(s3, "x")
    files.write_bytes(url, b"theirs")
    seen = iter([False, True])
    monkeypatch.setattr(files, "exists", lambda _: next(seen))
    answering(monkeypatch, OSError(22, "At least one of the pre-conditions you specified did not hold"))
    assert not files.create_exclusive(url, b"ours")
    answering(monkeypatch, PermissionError(13, "no"))
    monkeypatch.setattr(files, "exists", lambda _: False)
    with pytest.raises(PermissionError):
        files.create_exclusive(url, b"ours")
    assert files.read_bytes(url) == b"theirs"


def test_duckdb_reads_objects_whose_names_hold_wildcards(s3: str) -> None:
    kind = pa.schema([("a", pa.int64())])
    names = ["d/x[1].parquet", "d/x1.parquet"]
    for number, name in enumerate(names):
        tables.write(s3, name, pa.table({"a": [number, number]}), kind)
    con = sql.connect(s3)
    sql.view(con, "x", [files.join(s3, name) for name in names], kind, "part")
    assert con.sql("select part, row, a from x order by all").fetchall() == [(0, 0, 0), (0, 1, 0), (1, 0, 1), (1, 1, 1)]
    assert tables.take(files.join(s3, names[1]), [1], ["a"]).to_pydict() == {"a": [1]}


def test_without_credentials_it_says_what_to_give(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    code = "from store.errors import UsageError\ntry: files.exists('s3://lab/x')\nexcept UsageError as error: print(error)"
    run = [sys.executable, "-c", f"from store import files\n{code}"]
    said = subprocess.run(run, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout
    assert "s3://lab/x cannot be reached" in said and "credentials" in said


def test_fsspec_s_own_variables_name_the_endpoint_too(server: str, s3: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.delenv(name)
    for name, value in {"ENDPOINT_URL": server, "KEY": "testing", "SECRET": "testing"}.items():
        monkeypatch.setenv(f"FSSPEC_S3_{name}", value)
    assert elsewhere(f"files.write_bytes({files.join(s3, 'x')!r}, b'1'); print(files.list_files({s3!r}))") == "['x']\n"
