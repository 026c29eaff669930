"""Curating a crawl against frozen snapshots that grow tenfold: time, memory, copies that leak, bytes of the index, and a cold start.

`BENCH_INDEX=100000,1000000,10000000 BENCH_INDEX_CRAWL=200000 make bench BENCH_ARGS=index` takes other numbers of documents. The first
snapshot is frozen of real rows (those of `bench_freeze`); the others are the same with as many more documents in the indexes and the
leaves as they lack, whose hashes are drawn at random: a search has to pass them, and none of them matches. Of the crawl one document in
twenty is an exact copy of a frozen one, one in twenty a near copy; and within it some are copies of each other.
"""

import itertools
import json
import math
import os
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from provenance.minhash import MinHash
from provenance.postings import Layout, bounds
from provenance.schema import INDEXES
from provenance.schema import LEAVES as LEAF
from store import index, manifest, tables
from tests.bench import bench_freeze
from tests.bench.bench_freeze import EVERY, PER_FILE, Memory
from tests.bench.inputs import DECLARATION, Inputs
from tests.bench.measure import ROOT, Cost, Row, folder_bytes, lowbackground, measure

SIZES, CRAWL = (3000, 300_000), 6000
WORKERS = 2
SLOWER, LARGER, COLD = 1.3, 1.2, 1.0
"""Goals: times the time and times the memory for a snapshot ten times as large; seconds for `FEW` documents against `MANY`."""
FEW, MANY = 1000, 1_000_000
SAMPLES = 30
"""Sampled shingles of a made document: those of 480 words."""
EACH, CHANGED = 20, 6
"""One document in so many is an exact copy, and one a near copy with so many words changed."""
ROWS = 25_000
"""Rows of a documents file that hashes drawn at random point to."""
MATCH = ("rank", "equal", "relate", "candidates", "pair", "measure", "resolve")
"""Stages of a run that are the match; of the others extraction takes most of the time, whatever it is matched against."""
LEAVES = 250_000
"""Leaves of a made file of them."""
FREEZE = ("--cutoff", "2022-01-01", "--declare", DECLARATION)


def crawl(folder: Path, count: int, reference: Path) -> str:
    """Parquet files of `count` documents called `new-N`, or `exact-N` and `near-N` if they are copies of one of the reference."""
    folder.mkdir()
    rng = np.random.default_rng(2)
    frozen = itertools.cycle(sorted(reference.glob("*.parquet")))
    for part, found in enumerate(bench_freeze.texts(count, seed=2)):
        known = pq.read_table(next(frozen), columns=["text"])["text"].to_pylist()
        names = []
        for row in range(len(found)):
            kind = {0: "exact", EACH // 2: "near"}.get(row % EACH, "new")
            names.append(f"{kind}-{part * PER_FILE + row}")
            if kind != "new":
                words = known[row % len(known)].split(" ")
                for place in rng.integers(0, len(words), CHANGED if kind == "near" else 0):
                    words[place] = f"word{rng.integers(1 << 30):x}"
                found[row] = " ".join(words)
        columns = {"id": names, "text": found, "date": ["2024-05-01T00:00:00Z"] * len(found)}
        pq.write_table(pa.table(columns), folder / f"{part:05d}.parquet", row_group_size=1000)
    return str(folder)


def grown(small: str, into: str, count: int) -> str:
    """The snapshot `small` with `count` documents more in its indexes and leaves, which match nothing and are nowhere else."""
    shutil.copytree(small, into, copy_function=os.link, ignore=shutil.ignore_patterns(manifest.MANIFESTS))
    opened = manifest.open_snapshot(small)
    files = [*opened.manifest["files"], *drawn(into, count, len(opened.files("documents")))]
    like = tables.read(opened.files("leaves")[:1]).slice(0, 1)
    files += [leaves(into, like, part, min(LEAVES, count - start)) for part, start in enumerate(range(0, count, LEAVES))]
    stated = {
        name: value for name, value in opened.manifest.items() if name not in ("kind", "schema_version", "data_version", "files")
    }
    manifest.write_snapshot(into, stated | {"files": manifest.sorted_files(files)})
    return into


def leaves(into: str, like: pa.Table, part: int, count: int) -> dict[str, Any]:
    """A file of leaves of documents that are nowhere else, each like the one leaf that is given but for its digests."""
    rng = np.random.default_rng(part)
    table = like.take(np.zeros(count, np.int64))
    for name, size in (("key", 16), ("text_sha256", 32), ("leaf", 32)):
        found = pa.array(
            [digits[i : i + 2 * size] for digits in [rng.bytes(count * size).hex()] for i in range(0, len(digits), 2 * size)]
        )
        table = table.set_column(table.schema.get_field_index(name), name, found.sort() if name == "key" else found)
    return tables.write(into, f"leaves/drawn-{part:05d}.parquet", table, LEAF)


def drawn(into: str, count: int, first: int) -> Iterator[dict[str, Any]]:
    """Index files of hashes spread evenly, whose documents lie in files from number `first` on; their lines in a manifest."""
    rng = np.random.default_rng(count)
    layout = Layout.sized(MinHash(), count, count * SAMPLES)
    rows = {"bands": count // layout.ranges, "ids": count // layout.ranges, "samples": count * SAMPLES // layout.sampled}
    for dataset in INDEXES:
        for partition in layout.kind(dataset):
            number, _, part, ranges = layout.of(partition)
            low, high = bounds(part, ranges)
            places = np.cumsum(rng.exponential(size=rows[dataset] + 1))
            hashes = np.uint64(low) + (places[:-1] / places[-1] * float(high - low)).astype(np.uint64)
            if dataset == "samples":
                hashes &= ~np.uint64(15)
            parts = first + rng.integers(0, -(-count // ROWS), len(hashes))
            documents = parts << 32 | rng.integers(0, ROWS, len(hashes))
            order = np.lexsort((documents, hashes)) if (np.diff(hashes) == 0).any() else slice(None)
            yield index.write(into, index.path("drawn", dataset, number, part, ranges), hashes[order], documents[order])


@dataclass(frozen=True)
class Curated:
    """One run: what it cost, its memory, the seconds of each stage, and the planted copies that it kept, by kind."""

    cost: Cost
    memory: Memory
    seconds: dict[str, float]
    leaked: dict[str, int]
    planted: dict[str, int]

    @property
    def matching(self) -> float:
        """Seconds on the wall of the stages of the match."""
        return sum(self.seconds.get(name, 0.0) for name in MATCH)


def watched(*arguments: str) -> tuple[Cost, Memory]:
    """Runs a verb and looks at the memory of its processes all the while. Raises `RuntimeError` with what it said if it fails."""
    command = [sys.executable, "-m", "pipelines.cli", *arguments, "--json", "--quiet"]
    memory, stop = Memory(), threading.Event()

    def work() -> tuple[int, str]:
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)

        def watch() -> None:
            while not stop.wait(EVERY):
                memory.look(process.pid)

        watcher = threading.Thread(target=watch, daemon=True)
        watcher.start()
        said = process.communicate()[1]
        stop.set()
        watcher.join()
        return process.returncode, said

    (code, said), cost = measure(work)
    if code:
        raise RuntimeError(f"{arguments[0]} exited with {code}: {said[-600:].strip()}")
    return cost, memory


def curate(sources: str, into: Path, snapshot: str, workers: int = WORKERS) -> Curated:
    cost, memory = watched("curate", sources, "--into", str(into), "--against", snapshot, f"--workers={workers}")
    seconds = json.loads(Path(f"{into}.log").read_text().splitlines()[-1])["seconds"]
    tags = pq.read_table(into / "tags", columns=["id", "canonical"])
    leaked, planted = {"exact": 0, "near": 0}, {"exact": 0, "near": 0}
    for name, canonical in zip(*(tags[column].to_pylist() for column in ("id", "canonical")), strict=True):
        if (kind := name.partition("-")[0]) in planted:
            planted[kind] += 1
            leaked[kind] += canonical is None
    shutil.rmtree(into)
    return Curated(cost, memory, seconds, leaked, planted)


def sizes() -> list[int]:
    return sorted(int(number) for number in os.environ.get("BENCH_INDEX", "").split(",") if number) or list(SIZES)


def run(inputs: Inputs) -> list[Row]:
    folder, counts = inputs.folder / "index", sizes()
    folder.mkdir()
    bench_freeze.write(folder / "reference", counts[0])
    small = str(folder / "frozen")
    lowbackground("freeze", str(folder / "reference"), "--into", small, *FREEZE, f"--workers={WORKERS}")
    number = int(os.environ.get("BENCH_INDEX_CRAWL", "") or CRAWL)
    sources = crawl(folder / "crawl", number, folder / "reference")
    found: dict[int, Curated] = {}
    cold: list[Row] = []
    for count in counts:
        snapshot = small if count == counts[0] else grown(small, str(folder / f"grown-{count}"), count - counts[0])
        found[count] = curate(sources, folder / "run", snapshot)
        if count == max((size for size in counts if size <= MANY), default=None):
            cold = few(inputs, folder, snapshot, count)
        if snapshot != small:
            shutil.rmtree(snapshot)
    one = curate(sources, folder / "one", small, workers=1)
    both = found[counts[0]].cost.wall
    two = Row(
        "two workers",
        both,
        "s",
        one.cost.wall / both,
        note=f"one: {one.cost.wall:.1f} s, both with start-up; {os.cpu_count()} cores",
    )
    return [*against(found, number), *growth(found), *copies(found), *stages(found), two, *cold, *size_rows(small, counts[0])]


def against(found: dict[int, Curated], number: int) -> list[Row]:
    rows = []
    for count, one in found.items():
        memory = f"peak of all processes {one.memory.together >> 20} MiB, driver {one.memory.driver >> 20}, worker {one.memory.worker >> 20}"
        note = f"{one.cost.wall:.1f} s wall; {memory}"
        rows.append(Row(f"{number:,} documents against {count:,}", one.cost.cpu, "CPU-s", note=note))
    return rows


def growth(found: dict[int, Curated]) -> list[Row]:
    """How much more each snapshot costs than the one before, per tenfold. The ratio is the goal over it, so that 1 is just good enough."""
    rows = []
    for (few_, less), (many, more) in itertools.pairwise(found.items()):
        power = 1 / math.log10(many / few_)
        for what, before, after, most in (
            ("CPU", less.cost.cpu, more.cost.cpu, SLOWER),
            ("RSS", less.memory.together, more.memory.together, LARGER),
            ("wall", less.cost.wall, more.cost.wall, None),
            ("wall of the match", less.matching, more.matching, None),
        ):
            times = (after / before) ** power
            note = f"{few_:,} to {many:,}" + (f"; at most {most}" if most else "")
            rows.append(Row(f"  {what}, per tenfold", times, "times", most and most / times, most and 1, note))
    return rows


def copies(found: dict[int, Curated]) -> list[Row]:
    rows = []
    for kind in ("exact", "near"):
        leaked, planted = (sum(getattr(one, name)[kind] for one in found.values()) for name in ("leaked", "planted"))
        note = f"of {planted:,} planted in all runs together" + (f"; {CHANGED} words changed" if kind == "near" else "")
        rows.append(
            Row(f"{kind} copies that leak", leaked, "documents", 1 - leaked / planted, 1 if kind == "exact" else 0.99, note)
        )
    return rows


def stages(found: dict[int, Curated]) -> list[Row]:
    """Seconds of each stage against the largest snapshot."""
    (least, small), (_, large) = next(iter(found.items())), list(found.items())[-1]
    rows = [
        Row(f"  stage {name}", seconds, "s", note=f"{small.seconds.get(name, 0):.1f} s against {least:,}")
        for name, seconds in large.seconds.items()
    ]
    rest = [one.cost.wall - sum(one.seconds.values()) for one in (small, large)]
    return [
        *rows,
        Row("  outside stages", rest[1], "s", note=f"{rest[0]:.1f} s against {least:,}: start-up, and the index is hashed"),
    ]


def forget(folder: str) -> str:
    """Drops the files below a folder from the page cache; says how many are out of it."""
    os.sync()
    paths, out = [path for path in Path(folder).rglob("*") if path.is_file()], 0
    for path in paths:
        with path.open("rb", buffering=0) as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
            try:
                os.preadv(file.fileno(), [bytearray(1)], 0, os.RWF_NOWAIT)
            except BlockingIOError:
                out += 1
    return f"{out} of {len(paths)} files out of the page cache"


def few(inputs: Inputs, folder: Path, snapshot: str, count: int) -> list[Row]:
    """`FEW` documents against a snapshot that nothing has read, less the same against a snapshot of one page. One worker, best of three."""
    sources = crawl(folder / "few", FEW, folder / "reference")
    tiny = str(folder / "frozen-tiny")
    lowbackground("freeze", inputs.tiny[1], "--into", tiny, *FREEZE)
    costs: dict[str, list[Cost]] = {tiny: [], snapshot: []}
    for number, where in enumerate((tiny, snapshot) * 3):
        told = forget(where) if hasattr(os, "posix_fadvise") else "warm: this system cannot drop files from its cache"
        costs[where].append(curate(sources, folder / f"few-{number}", where, workers=1).cost)
    start, cost = (min(costs[where], key=lambda cost: cost.wall) for where in (tiny, snapshot))
    apart = cost - start
    index_bytes = sum(folder_bytes(Path(snapshot) / name) for name in INDEXES)
    note = f"start of {start.wall:.1f} s apart; {apart.cpu:.1f} CPU-s; index of {index_bytes / 1e6:,.0f} MB; {told}; at most {COLD:g} s"
    goal = 1 if count >= MANY else None
    return [Row(f"{FEW:,} documents against {count:,}, cold", apart.wall, "s", COLD / apart.wall, goal, note)]


def size_rows(small: str, count: int) -> list[Row]:
    parts = {name: folder_bytes(Path(small) / name) / count for name in INDEXES}
    note = ", ".join(f"{name} {size:.0f}" for name, size in parts.items())
    return [Row("bytes per document of the index", sum(parts.values()), "bytes", note=note)]
