"""Freezing with two workers: documents/s, bytes on disk, verifying beside SHA-256, and memory at 1x and 10x input.

`BENCH_FREEZE=100000,1000000 make bench BENCH_ARGS=freeze` takes other numbers of documents; only that many say whether the goal for a million
is met, since memory does not grow in a line: parts and shuffles are capped. The texts are words drawn by
Zipf's law with a seed, 3 kB each; one in fifty is an earlier one with a few words changed, one in a hundred a copy.
"""

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.bench_verify import anchored, digest
from tests.bench.inputs import DECLARATION, Inputs
from tests.bench.measure import ROOT, Row, best, folder_bytes, lowbackground

SIZES = (3000, 30_000)
WORKERS = 2
GOAL_DOCUMENTS, GOAL_BYTES = 1_000_000, 4 << 30
PER_FILE = 5000
VOCABULARY, WORDS = 50_000, 480
DATASETS = ("documents", "leaves", "signatures", "bands", "ids", "samples", "tags", "evidence")
EVERY = 0.05
"""Seconds between two looks at the processes' memory."""


def vocabulary(rng: np.random.Generator) -> np.ndarray:
    """Words whose length rises with their rank, as in a language."""
    letters = np.array(list("etaoinshrdlucmfwypvbgkqjxz"))
    lengths = np.clip(rng.normal(2.5 + np.log10(np.arange(1, VOCABULARY + 1)) * 1.3, 1.2), 2, 14).astype(int)
    return np.array(["".join(rng.choice(letters[:20], length)) for length in lengths], dtype=object)


def texts(count: int, seed: int = 1) -> Iterator[list[str]]:
    """Texts of about 3 kB, in lists of at most `PER_FILE`; a longer sequence begins with the shorter one."""
    rng = np.random.default_rng(seed)
    words = vocabulary(rng)
    chance = 1 / np.arange(1, VOCABULARY + 1)
    steps = np.cumsum(chance / chance.sum())
    for start in range(0, count, PER_FILE):
        drawn = np.minimum(np.searchsorted(steps, rng.random((PER_FILE, WORDS))), VOCABULARY - 1)
        edits = np.arange(49, PER_FILE, 50)
        drawn[edits] = drawn[edits - 40]
        drawn[edits[:, None], rng.integers(0, WORDS, (len(edits), 8))] = rng.integers(0, VOCABULARY, (len(edits), 8))
        copies = np.arange(99, PER_FILE, 100)
        drawn[copies] = drawn[copies - 70]
        drawn[:, ::12] = np.minimum(drawn[:, ::12], 60)
        found = words[drawn[: min(PER_FILE, count - start)]]
        yield [". ".join(" ".join(row[at : at + 12]) for at in range(0, WORDS, 12)).capitalize() + "." for row in found]


def write(folder: Path, count: int) -> None:
    """Parquet files of the texts, each with an address and a date before the cutoff."""
    folder.mkdir()
    number = 0
    for part, found in enumerate(texts(count)):
        rows = range(number, number + len(found))
        table = {
            "text": found,
            "id": [f"bench-{row}" for row in rows],
            "url": [f"http://host{row % 997}.invalid/{row}" for row in rows],
            "date": [f"20{10 + row % 11}-{1 + row % 12:02d}-01T00:00:00Z" for row in rows],
        }
        pq.write_table(pa.table(table), folder / f"{part:05d}.parquet", row_group_size=1000)
        number += len(found)


@dataclass
class Memory:
    """Peaks in bytes of resident memory: of the driver, of the worker that took most, and of all together at one moment.

    Pages that processes share count for each of them.
    """

    driver: int = 0
    worker: int = 0
    together: int = 0
    seen: dict[int, int] = field(default_factory=dict)

    def look(self, pid: int) -> None:
        """Reads `/proc` of a process and its children."""
        total = 0
        for one in (pid, *children(pid)):
            now, peak = resident(one)
            total += now
            if one == pid:
                self.driver = max(self.driver, peak)
            else:
                self.worker = max(self.worker, peak)
        self.together = max(self.together, total)


def children(pid: int) -> list[int]:
    try:
        return [int(child) for task in Path(f"/proc/{pid}/task").iterdir() for child in (task / "children").read_text().split()]
    except OSError:  # it has ended
        return []


def resident(pid: int) -> tuple[int, int]:
    """Bytes now, and the most there ever were."""
    try:
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("Vm"))
        return tuple(int(lines[name].split()[0]) << 10 for name in ("VmRSS", "VmHWM"))  # type: ignore[return-value]
    except (OSError, KeyError):  # it has ended
        return 0, 0


@dataclass(frozen=True)
class Frozen:
    """One freeze: how many documents went in, where it lies, seconds on the wall, memory."""

    documents: int
    into: str
    seconds: float
    memory: Memory


def freeze(folder: Path, count: int, *options: str) -> Frozen:
    source, into = str(folder / f"rows-{count}"), str(folder / f"frozen-{count}{''.join(options)}")
    if not Path(source).exists():
        write(Path(source), count)
    command = [sys.executable, "-m", "pipelines.cli", "freeze", source, "--into", into, "--cutoff", "2022-01-01"]
    command += ["--declare", DECLARATION, f"--workers={WORKERS}", "--quiet", "--json", *options]
    started = time.perf_counter()
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    memory, stop = Memory(), threading.Event()

    def watch() -> None:
        while not stop.wait(EVERY):
            memory.look(process.pid)

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    out, said = process.communicate()
    seconds = time.perf_counter() - started
    stop.set()
    watcher.join()
    if process.returncode:
        raise RuntimeError(f"freeze exited with {process.returncode}: {said[-600:].strip()}")
    if json.loads(out)["documents"] != count:
        raise RuntimeError(f"{count} rows went in and {json.loads(out)['documents']} documents came out")
    return Frozen(count, into, seconds, memory)


def sizes() -> Sequence[int]:
    return sorted(int(number) for number in os.environ.get("BENCH_FREEZE", "").split(",") if number) or SIZES


def run(inputs: Inputs) -> list[Row]:
    some = [freeze(inputs.folder, count) for count in sizes()]
    small, large = some[0], some[-1]
    rows = [
        Row(
            "documents/s",
            one.documents / one.seconds,
            "1/s",
            note=f"{one.documents:,} documents, {WORKERS} workers, start included",
        )
        for one in some
    ]
    if small is not large:
        rate = (large.documents - small.documents) / (large.seconds - small.seconds)
        rows.append(Row("documents/s, start apart", rate, "1/s", note="the difference of both"))
    rows += [Row("bytes per document on disk", folder_bytes(large.into) / large.documents, "bytes", note="all files")]
    rows += [Row(f"  {name}", folder_bytes(Path(large.into) / name) / large.documents, "bytes") for name in DATASETS]
    sketches = freeze(inputs.folder, small.documents, "--index-only")
    rows += [Row("bytes per document, index only", folder_bytes(sketches.into) / small.documents, "bytes", note="no text in it")]
    return rows + verifying(small, large) + memory(small, large)


def verifying(small: Frozen, large: Frozen) -> list[Row]:
    """Verifying the large snapshot beside SHA-256 of its files; what the small one costs is taken as start-up where there are two."""
    cost = lowbackground(*anchored(large.into, large.into))[1]
    size = folder_bytes(large.into)
    _, bare = best(lambda: digest(large.into))
    if small is not large:
        cost -= lowbackground(*anchored(small.into, small.into))[1]
    moved = size - (folder_bytes(small.into) if small is not large else 0)
    ours, theirs = moved / 1e6 / cost.cpu, size / 1e6 / bare.cpu
    return [
        Row("verify", ours, "MB/CPU-s", ratio=ours / theirs, note=f"{moved / 1e6:,.0f} MB more than the small one"),
        Row(
            "verify, wall",
            moved / 1e6 / cost.wall,
            "MB/s",
            ratio=moved / cost.wall / (size / bare.wall),
            note="of one core's SHA-256",
        ),
        Row("SHA-256 of its files", theirs, "MB/CPU-s"),
    ]


def memory(small: Frozen, large: Frozen) -> list[Row]:
    rows = []
    for one in (small, large) if small is not large else (large,):
        times = one.documents / small.documents
        note = f"{times:g}x input; driver {one.memory.driver >> 20} MiB, most of a worker {one.memory.worker >> 20} MiB"
        rows.append(
            Row(
                f"peak RSS, {one.documents:,}",
                one.memory.together / 2**20,
                "MiB",
                one.memory.together / small.memory.together,
                note=note,
            )
        )
    if large.documents >= GOAL_DOCUMENTS:
        rows.append(Row("goal of 4 GiB", large.memory.together / 2**30, "GiB", GOAL_BYTES / large.memory.together, 1, "measured"))
    return rows
