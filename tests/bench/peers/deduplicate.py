"""Deduplication against a frozen reference: freeze and curate beside datatrove's index, over the same texts.

`BENCH_DEDUP=100000 make bench-peers` takes other numbers of documents, of the reference and of the crawl alike. What was removed is held
against brute force over all pairs (`planted`).
"""

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from tests.bench.inputs import DECLARATION, Inputs
from tests.bench.measure import Row, folder_bytes, lowbackground
from tests.bench.peers.planted import Planted, Truth, plant, truth

DRIVER = Path(__file__).parent / "index_dedup.py"
COUNT = 3600
INDEX = ("bands", "ids", "samples")
"""Datasets of a snapshot that are its index."""
RECALL = ((0.8, 0.9, 0.95), (0.9, 1.01, 0.99))
"""Least similarity, the one below which a bin ends, and the share of it that a tool should find."""
WRONG, INSIDE = 0.7, 0.83
"""True similarity below which nothing should be removed, unless that share of one of the two texts is in the other: the 0.85 that curate
asks for, less what another rule of words may make of it."""


@dataclass(frozen=True)
class Outcome:
    """What a tool removed of the crawl, which document it named for each, what it cost beyond its start, and its index."""

    tool: str
    removed: set[str]
    named: dict[str, str]
    cpu: float
    note: str
    index: float | None = None


def names(folder: str) -> dict[str, str]:
    """The ids of a run's or a snapshot's documents by their keys."""
    table = pq.read_table(Path(folder) / "documents", columns=["key", "id"])
    return dict(zip(*(table[name].to_pylist() for name in ("key", "id")), strict=True))


def ours(inputs: Inputs, reference: str, crawl: str, count: int) -> Outcome:
    """Two workers each, as one would run it; start-up is what runs over one page cost."""
    snapshot, run = str(inputs.folder / "dedup-snapshot"), str(inputs.folder / "dedup-run")
    freeze = ("--cutoff", "2022-01-01", "--declare", DECLARATION)
    frozen = lowbackground("freeze", reference, "--into", snapshot, *freeze)[1]
    one = str(inputs.folder / "dedup-one")
    start = lowbackground("freeze", inputs.tiny[1], "--into", one, *freeze)[1]
    cost = lowbackground("curate", crawl, "--into", run, "--against", snapshot)[1]
    begin = lowbackground("curate", inputs.tiny[1], "--into", f"{run}-one", "--against", one)[1]
    known, theirs = names(run), names(snapshot)
    tags = pq.read_table(Path(run) / "tags", columns=["key", "canonical"])
    pairs = zip(*(tags[name].to_pylist() for name in ("key", "canonical")), strict=True)
    named = {known[key]: theirs.get(other) or known[other] for key, other in pairs if other}
    spent = {"freeze": (frozen - start).cpu, "curate": (cost - begin).cpu}
    note = f"{told(spent)}; start-up of {start.cpu + begin.cpu:.0f} CPU-s apart"
    index = sum(folder_bytes(Path(snapshot) / name) for name in INDEX) / count
    return Outcome("Lowbackground", set(named), named, sum(spent.values()), note, index)


def datatrove(
    interpreter: str, inputs: Inputs, reference: str, crawl: str, planted: Planted
) -> tuple[list[Outcome], dict[str, Any]]:
    """By default, and with matches within the crawl too. Raises `RuntimeError` with what it said if it fails."""
    command = [interpreter, str(DRIVER), reference, crawl, str(inputs.folder / "dedup-datatrove")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"datatrove exited with {done.returncode}: {done.stderr[-600:].strip()}")
    said = json.loads(done.stdout.splitlines()[-1])
    made = []
    for name, tool in (("default", "datatrove, default"), ("all", "datatrove, only_dedup_in_index=False")):
        spent = {step: seconds for step, seconds in said["cpu"].items() if step in SHARED_STEPS or step.startswith(f"{name}:")}
        removed = set(planted.crawl) - set(said["kept"][name])
        index = said["index_bytes"] / len(planted.reference)
        made.append(Outcome(tool, removed, {}, sum(spent.values()), told(spent), index))
    return made, said


SHARED_STEPS = ("reference signatures", "index", "crawl signatures")


def told(spent: dict[str, float]) -> str:
    return ", ".join(f"{step.split(': ')[-1]} {seconds:.1f}" for step, seconds in spent.items())


def judged(one: Outcome, planted: Planted, true: Truth) -> list[Row]:
    """What it missed and what it removed wrongly. The goals are for what is ours."""
    mine = one.tool == "Lowbackground"
    exact = [name for name in planted.origin if name.startswith("exact-")]
    leaked = sum(name not in one.removed for name in exact)
    rows = [
        Row(
            f"{one.tool}: exact copies left",
            leaked,
            "documents",
            1 - leaked / len(exact),
            1 if mine else None,
            f"of {len(exact)}; the ratio is the share removed",
        )
    ]
    near = {name: similar for name, similar in true.reference.items() if not name.startswith("exact-")}
    for low, high, goal in RECALL:
        there = [name for name, similar in near.items() if low <= similar < high]
        lost = sum(name not in one.removed for name in there)
        share = 1 - lost / len(there) if there else None
        said = f"of {len(there)} that the reference has at {low} <= J{' < 0.9' if high < 1 else ''}"
        rows.append(Row("  near copies left", lost, "documents", share, goal if mine else None, said))
    below = [name for name in one.removed if true.anything.get(name, 0.0) < WRONG]
    copied = {name for (name, other) in true.pairs if true.alike(name, other, WRONG, INSIDE)}
    wrong = [name for name in below if name not in copied]
    right = 1 - len(wrong) / max(len(one.removed), 1)
    said = (
        f"of {len(one.removed)}; true J with any other document below {WRONG}; {len(below) - len(wrong)} more are contained in one"
    )
    rows.append(Row("  removed wrongly", len(wrong), "documents", right, 1 if mine else None, said))
    apt = sum(true.alike(name, other, WRONG, INSIDE) for name, other in one.named.items())
    share = apt / max(len(one.removed), 1)
    rows.append(Row("  named their match", apt, "documents", share, 1 if mine else None, "of what was removed"))
    return rows


def run(interpreter: str, inputs: Inputs) -> list[Row]:
    count = int(os.environ.get("BENCH_DEDUP", "") or COUNT)
    planted = plant(count)
    true = truth(planted)
    reference, crawl = planted.write(inputs.folder / "dedup")
    mine = ours(inputs, reference, crawl, count)
    peers, said = datatrove(interpreter, inputs, reference, crawl, planted)
    rows = [row for one in (mine, *peers) for row in judged(one, planted, true)]
    base = peers[1].cpu
    rows += [Row(f"{one.tool}: cost", one.cpu, "CPU-s", base / one.cpu, note=one.note) for one in (mine, *peers)]
    rate = said["sample"] / (said["cpu"]["with its own tokenizer"] - said["cpu"]["start"])
    split = 2 * count / (said["cpu"]["reference signatures"] + said["cpu"]["crawl signatures"])
    note = f"with words divided by white space, as above; {rate:,.0f} with its own tokenizer, spaCy's"
    rows.append(Row("datatrove's signatures", split, "documents/CPU-s", note=note))
    rows += [Row(f"{one.tool}: index", one.index, "bytes/document", note="on disk") for one in (mine, peers[0])]
    real = min(planted.real, 2 * count)
    rows.append(Row("texts", 2 * count, "documents", note=f"{real:,} of them pieces of real ones; 3 kB each"))
    return rows
