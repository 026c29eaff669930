"""The match is a function of the documents: the order of the input, the number of workers and `kill -9` change nothing."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.builders import Capture, html, write_warc
from tests.match import planted
from tests.match.runs import Curated, curate, faults, freeze, leaks, same

ROOT = Path(__file__).parents[2]
OPTIONS = ("--match.bucket_limit=4", "--read.part_bytes=20000")
"""Full buckets, where order shows first, and many parts."""
MATCH = ("rank-*", "equal-*", "relate-*", "candidates-*", "pair-*", "measure-*", "resolve-*")


def pages() -> tuple[list[Capture], list[Capture]]:
    """Pages to freeze, and pages of which many are copies of them, of one another, or of one template; some captured at one instant."""
    old = [planted.prose("Latin", f"order {n}", 130) for n in range(20)]
    new: list[tuple[str, str]] = []
    for n in range(8):
        new += [(f"exact/{n}", old[n]), (f"near/{n}", planted.replace_run(old[n + 4], 10 * n, 4, n))]
    for n, text in enumerate(planted.chain("order", 24, words=150, step=6)):
        new.append((f"chain/{n}", text))
    before, after = planted.prose("Latin", "head", 60), planted.prose("Latin", "foot", 60)
    for n in range(40):
        body = planted.prose("Latin", f"body {n // 2}", 60)
        new.append((f"template/{n}", f"{before} {planted.replace_run(body, 20, n % 2, n)} {after}"))
    for n in range(12):
        new.append((f"twice/{n}", planted.prose("Latin", f"twice {n // 3}", 110)))
    instants = [f"2024-0{month}-01T00:00:00Z" for month in (2, 3, 3, 5)]
    captures = [
        Capture(f"http://new.example/{name}", html(text, f"Page {n % 7}"), instants[n % 4]) for n, (name, text) in enumerate(new)
    ]
    return [Capture(f"http://old.example/{n}", html(text)) for n, text in enumerate(old)], captures


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("order")
    old, new = pages()
    write_warc(base / "old.warc.gz", old)
    freeze(base / "old.warc.gz", base / "snapshot")
    for n in range(3):
        write_warc(base / f"new/{n}.warc.gz", new[n * 30 : n * 30 + 30] if n < 2 else new[60:])
    curate(base / "new", base / "run", [base / "snapshot"], *OPTIONS)
    return base


def test_the_run_is_what_the_oracle_says(made: Path) -> None:
    found = Curated(made / "run", [made / "snapshot"], named_by="url")
    assert len(found.documents) == len(pages()[1]) and 25 < len(found.kept()) < 45
    assert faults(found) == [] and leaks(found) == []


@pytest.mark.parametrize("seed", range(2))
def test_another_order_of_files_and_records_keeps_and_measures_the_same(made: Path, tmp_path: Path, seed: int) -> None:
    _, new = pages()
    random.Random(seed).shuffle(new)
    cuts = sorted(random.Random(seed).sample(range(1, len(new)), 4))
    for n, (start, stop) in enumerate(zip([0, *cuts], [*cuts, len(new)], strict=True)):
        write_warc(tmp_path / f"new/{n}.warc.gz", new[start:stop])
    curate(tmp_path / "new", tmp_path / "run", [made / "snapshot"], *OPTIONS)
    kept, measured = Curated(made / "run", [made / "snapshot"]).by_content()
    other_kept, other_measured = Curated(tmp_path / "run", [made / "snapshot"]).by_content()
    assert other_kept == kept
    assert other_measured == measured


def test_two_workers_write_the_same_bytes(made: Path, tmp_path: Path) -> None:
    curate(made / "new", tmp_path / "run", [made / "snapshot"], *OPTIONS, "--workers=2")
    assert same(tmp_path / "run", made / "run")


def command(made: Path, into: Path, workers: int) -> list[str]:
    words = ["curate", made / "new", "--into", into, "--against", made / "snapshot", *OPTIONS, f"--workers={workers}"]
    return [sys.executable, "-m", "pipelines.cli", *map(str, words), "--quiet", "--json"]


def matching(into: Path) -> bool:
    return any(found for pattern in MATCH for found in (into / "_work").glob(pattern))


def killed(words: list[str], into: Path, seconds: float) -> bool:
    """Runs a command and kills it so many seconds after its match began; whether it was still at work."""
    process = subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    while process.poll() is None and not matching(into):
        time.sleep(0.001)
    time.sleep(seconds)
    working = process.poll() is None
    if working:
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return working


def kill_and_rerun(made: Path, folder: Path, moments: int, seed: int) -> None:
    """Kills as many runs in the middle of the match and runs each again, in this process, to the same bytes."""
    rng, hits, seconds = random.Random(seed), 0, 2.0
    for attempt in range(6 * moments):
        into = folder / f"at-{attempt}"
        working = killed(command(made, into, 1 + attempt % 2), into, rng.uniform(0, seconds))
        seconds *= 1 if working else 0.8  # the match takes less than that
        hits += working
        # A manifest is written last but for the folder of work, which goes after it.
        assert not (working and (into / "manifest.json").exists()) or same(into, made / "run", working=True)
        curate(made / "new", into, [made / "snapshot"], *OPTIONS)
        assert same(into, made / "run"), (attempt, hits)
        if hits == moments:
            return
    raise AssertionError("most kills came too late to hit anything")


def test_killed_in_the_middle_of_the_match_the_rerun_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    kill_and_rerun(made, tmp_path, 1, seed=1)


@pytest.mark.slow
def test_killed_at_random_moments_of_the_match_the_rerun_gives_the_same_bytes(made: Path, tmp_path: Path) -> None:
    kill_and_rerun(made, tmp_path, 8, seed=2)
