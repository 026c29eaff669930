"""Snapshots on S3 as on a disk, and commands that race for one name: one wins, the other is told, nothing is half-written."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from pipelines import cli
from store import files, manifest
from tests.builders import Capture, html, prose, write_warc
from tests.s3 import s3, server

__all__ = ["s3", "server"]
ROOT = Path(__file__).parents[2]
CUTOFF = ("--cutoff", "2022-01-01")
PAGES = [Capture(f"http://old.example/{i}", html(prose(i), f"Page {i}")) for i in range(12)]


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three archives; the second repeats two pages of the first."""
    base = tmp_path_factory.mktemp("sources")
    for name, pages in {"one": PAGES[:5], "two": PAGES[3:9], "three": PAGES[9:]}.items():
        write_warc(base / f"{name}.warc.gz", pages)
    return base


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> dict[str, Any]:
    """What a command of this process prints with --json."""
    assert cli.main([*arguments, "--json", "--quiet"]) == code, arguments
    return dict(json.loads(capsys.readouterr().out))


def start(*arguments: str) -> "subprocess.Popen[str]":
    command = [sys.executable, "-m", "pipelines.cli", *arguments, "--json", "--quiet"]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def ended(process: "subprocess.Popen[str]") -> tuple[int, dict[str, Any]]:
    """Exit code and summary of a command."""
    out, _ = process.communicate()
    return process.returncode, json.loads(out)


@pytest.fixture(params=["local", "s3"])
def where(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "local":
        return str(tmp_path / "snapshots")
    return str(request.getfixturevalue("s3"))


def listed(into: str) -> list[str]:
    """Every file that the versions of a snapshot list, and their manifests."""
    ids = manifest.snapshot_ids(into)
    entries = {entry["path"] for name in ids for entry in manifest.open_snapshot(f"{into}@{name}").manifest["files"]}
    return sorted(entries | {f"manifests/{name}.json" for name in ids})


def test_a_snapshot_on_s3_is_the_one_on_a_disk_and_grows_verifies_and_answers_there(
    sources: Path, tmp_path: Path, s3: str, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("one", "two"):  # the sources lie there too
        files.write_bytes(files.join(s3, "in", f"{name}.warc.gz"), (sources / f"{name}.warc.gz").read_bytes())
    made: dict[str, list[str]] = {}
    for base, into in ((str(sources), str(tmp_path / "web")), (files.join(s3, "in"), files.join(s3, "out/web"))):
        first = said(capsys, "freeze", f"{base}/one.warc.gz", "--into", into, *CUTOFF)
        second = said(capsys, "freeze", f"{base}/two.warc.gz", "--into", into, "--extends", first["id"])
        made[into] = [first["id"], second["id"]]
        for version in made[into]:
            verified = said(capsys, "verify", f"{into}@{version}", "--anchor", version)
            assert (verified["wrong"], verified["missing"], verified["extra"]) == ([], [], [])
        answer = said(capsys, "query", f"{into}@{second['id']}", "select attestation, count(*) as n from documents group by 1")
        assert answer["answer"] == [{"attestation": "captured", "n": second["documents"]}]
        again = said(capsys, "freeze", f"{base}/two.warc.gz", "--into", into, "--extends", first["id"])
        assert again["id"] == second["id"] and again["unchanged"]
        assert files.list_files(into) == listed(into), "nothing is left in the work folder"
    local, remote = made
    assert made[local] == made[remote]
    assert files.list_files(local) == files.list_files(remote)
    assert all(files.file_digest(files.join(local, p)) == files.file_digest(files.join(remote, p)) for p in files.list_files(local))
    path = next(path for path in files.list_files(remote) if path.startswith("documents/"))
    data = files.read_bytes(files.join(remote, path))
    files.write_bytes(files.join(remote, path), data[:-9] + bytes([data[-9] ^ 1]) + data[-8:])
    assert said(capsys, "verify", remote, "--anchor", made[remote][1], code=1)["wrong"] == [path]


@pytest.mark.slow
def test_a_run_against_a_snapshot_on_s3_and_a_mix_of_both(
    sources: Path, tmp_path: Path, s3: str, capsys: pytest.CaptureFixture[str]
) -> None:
    write_warc(tmp_path / "new.warc.gz", [*PAGES[:2], Capture("http://new.example/", html(prose(99)), "2025-01-01T00:00:00Z")])
    ids = []
    for base in (str(tmp_path / "local"), s3):
        anchor = said(capsys, "freeze", str(sources / "one.warc.gz"), "--into", files.join(base, "web"), *CUTOFF)["id"]
        against = ("--against", f"{base}/web@{anchor}")
        run = said(capsys, "curate", str(tmp_path / "new.warc.gz"), "--into", files.join(base, "run"), *against)
        floor = ("--floor", "0.5", "--min-attestation", "captured")
        mix = said(capsys, "mix", f"{base}/run", "--snapshot", f"{base}/web", "--into", files.join(base, "mix"), *floor)
        assert said(capsys, "verify", f"{base}/mix", "--anchor", anchor)["wrong"] == []
        ids.append([anchor, run["id"], mix["id"]])
        assert not [path for path in files.list_files(base) if "_work" in path]
    assert ids[0] == ids[1]


@pytest.mark.slow
def test_of_two_freezes_for_one_name_one_wins_and_the_other_is_told(sources: Path, where: str) -> None:
    into = files.join(where, "web")
    racing = [start("freeze", str(sources / f"{name}.warc.gz"), "--into", into, *CUTOFF) for name in ("one", "two")]
    (code, won), (other, lost) = sorted((ended(process) for process in racing), key=lambda end: end[0])
    assert (code, other) == (0, 2), (won, lost)
    assert any(words in lost["error"] for words in ("another command", "other settings or inputs")), lost
    assert manifest.snapshot_ids(into) == [won["id"]]
    assert files.list_files(into) == listed(into)


@pytest.mark.slow
def test_of_two_freezes_that_extend_one_version_one_wins_and_the_other_is_told(sources: Path, where: str) -> None:
    into = files.join(where, "web")
    _, first = ended(start("freeze", str(sources / "one.warc.gz"), "--into", into, *CUTOFF))
    growing = ("--into", into, "--extends", first["id"])
    racing = [start("freeze", str(sources / f"{name}.warc.gz"), *growing) for name in ("two", "three")]
    (code, won), (other, lost) = sorted((ended(process) for process in racing), key=lambda end: end[0])
    assert (code, other) == (0, 2), (won, lost)
    assert any(words in lost["error"] for words in ("another command", "extends")), lost
    assert manifest.snapshot_ids(into) == sorted([first["id"], won["id"]])
    assert files.list_files(into) == listed(into)


@pytest.mark.slow
def test_of_two_equal_freezes_on_a_store_without_locks_each_ends_well_or_is_told(sources: Path, s3: str) -> None:
    into = files.join(s3, "web")
    racing = [start("freeze", str(sources / "one.warc.gz"), "--into", into, *CUTOFF) for _ in range(2)]
    ends = [ended(process) for process in racing]
    assert sorted(code for code, _ in ends) in ([0, 0], [0, 2]), ends
    assert {summary["id"] for code, summary in ends if code == 0} == set(manifest.snapshot_ids(into))
    assert all("another command" in summary["error"] for code, summary in ends if code)
    assert files.list_files(into) == listed(into)
