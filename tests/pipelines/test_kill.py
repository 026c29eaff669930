"""`kill -9` at random moments of a freeze: no snapshot or the complete one, and the rerun gives the same id and leaves nothing."""

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines import cli, verify
from pipelines.target import PLACING
from store import files, manifest
from tests.builders import Capture, html, prose, write_warc

ROOT = Path(__file__).parents[2]
MOMENTS = 20
SMALL = "--read.part_bytes=4000"
"""Many parts, so that a kill falls between them."""


@pytest.fixture(scope="module")
def sources(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("sources")
    pages = [Capture(f"http://old.example/{i}", html(prose(i), f"Page {i}")) for i in range(40)]
    write_warc(base / "one.warc.gz", pages[:20])
    write_warc(base / "two.warc.gz", pages[15:])
    return base


def command(source: Path, into: Path, *options: str, workers: int) -> list[str]:
    base = [sys.executable, "-m", "pipelines.cli", "freeze", str(source), "--into", str(into), "--quiet", "--json"]
    return [*base, SMALL, f"--workers={workers}", *options]


def whole(run: list[str]) -> float:
    """Runs a command to its end; the seconds from its first sign on disk."""
    work, started = Path(run[run.index("--into") + 1]) / "_work", 0.0
    process = subprocess.Popen(run, cwd=ROOT, stdout=subprocess.DEVNULL)
    while process.poll() is None:
        started = started or (time.monotonic() if work.exists() else 0.0)
        time.sleep(0.002)
    assert process.returncode == 0
    return time.monotonic() - started


def killed(run: list[str], seconds: float, alone: bool) -> bool:
    """Kills a command some seconds after its first sign on disk, its workers with it unless `alone`; whether it was still at it."""
    work = Path(run[run.index("--into") + 1]) / "_work"
    process = subprocess.Popen(run, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not work.exists():
        time.sleep(0.001)
    time.sleep(seconds)
    ended = process.poll() is not None
    if not ended:
        (os.kill if alone else os.killpg)(process.pid, signal.SIGKILL)
    process.wait()
    return not ended


def announced(into: Path) -> set[str]:
    """Files that the command was moving into place."""
    file = into / "_work" / PLACING
    return set(json.loads(file.read_bytes())) if file.exists() else set()


def same(left: Path, right: Path) -> bool:
    paths = files.list_files(str(left))
    return paths == files.list_files(str(right)) and all((left / p).read_bytes() == (right / p).read_bytes() for p in paths)


def beside(into: Path) -> set[str]:
    """What lies beside the snapshot, but for the log of times."""
    return {path.name for path in into.parent.iterdir()} - {into.name, f"{into.name}.log"}


@pytest.mark.slow
@pytest.mark.parametrize("growing", [False, True], ids=["new", "growing"])
def test_killed_at_random_moments_there_is_no_version_or_the_whole_one(sources: Path, tmp_path: Path, growing: bool) -> None:
    reference, before, rng = tmp_path / "reference", tmp_path / "before", random.Random(5)
    first = ("--cutoff=2022-01-01",)
    seconds = whole(command(sources / "one.warc.gz", reference, *first, workers=2))
    (parent,) = manifest.snapshot_ids(str(reference))
    options, source = first, sources / "one.warc.gz"
    if growing:
        options, source = (f"--extends={parent}",), sources / "two.warc.gz"
        shutil.copytree(reference, before)
        seconds = whole(command(source, reference, *options, workers=2))
    (made,) = {*manifest.snapshot_ids(str(reference))} - ({parent} if growing else set())
    hits = attempts = 0
    while hits < MOMENTS:
        attempts += 1
        assert attempts < 4 * MOMENTS, "most kills came too late to hit anything"
        into = tmp_path / f"at-{attempts:02d}" / "web"
        if growing:
            shutil.copytree(before, into)
        run = command(source, into, *options, workers=1 + attempts % 2)
        if not killed(run, rng.uniform(0, seconds), alone=attempts % 4 == 1):
            seconds *= 0.9  # the machine is less busy than it was
            continue
        hits += 1
        ids = set(manifest.snapshot_ids(str(into)))
        assert ids - {parent if growing else ""} <= {made}
        for version in ids:
            found = verify.run(f"{into}@{version}", version, quiet=True)
            assert found["exit_code"] == 0 and set(found.get("in_the_making", ())) <= announced(into), (attempts, version, found)
        assert cli.main([*command(source, into, *options, workers=1)[3:]]) == 0
        assert same(into, reference), attempts
        assert not beside(into)
        shutil.rmtree(into.parent)
