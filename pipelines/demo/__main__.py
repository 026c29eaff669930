"""`python -m pipelines.demo`: the whole chain on real pages with a known truth, in a minute or two and without a download."""

import argparse
import contextlib
import http.client
import json
import os
import shlex
import shutil
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from pathlib import Path

from pipelines import cli
from pipelines.demo import outcome, plant
from pipelines.demo.crawl import Capture, crawl, wait_for_cutoff
from pipelines.demo.damage import damage
from pipelines.demo.pages import distinct, render
from pipelines.demo.site import Site
from store.errors import CheckFailed, LowbackgroundError, UsageError
from store.manifest import open_mix, open_run, open_snapshot

MARKER = ".lowbackground-demo"
FLOOR = "0.5"
LEVEL = "captured"
WHY = """DEMO. Nothing below proves that anybody is human: the cutoff is minutes ago, and the attestation is `captured`, the word of this
machine alone, which could have written any date. `mix` by default asks for `corroborated`, the word of another archive.
Real are the pages (this Python's own documentation), the HTTP exchanges, their times, and every step that follows."""


def prepare(folder: Path) -> None:
    """An empty folder for the demo, marked as its own. Raises `UsageError` where something else lies there."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file, and the demo needs a folder for what it writes. Name another with --into.")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / MARKER).is_file():
        raise UsageError(
            f"{folder} holds files that the demo did not write, and it begins by emptying its folder. Name another with --into, or move them away."
        )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / MARKER).touch()
    for child in folder.iterdir():
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        elif child.name != MARKER:
            child.unlink()


@contextlib.contextmanager
def step(text: str) -> Iterator[list[str]]:
    """Prints what is done and, after it, the notes left in the list and the seconds that it took."""
    print(f"{text} ... ", end="", flush=True)
    notes: list[str] = []
    start = time.perf_counter()
    yield notes
    print(", ".join([*notes, f"{time.perf_counter() - start:.1f} s"]), flush=True)


def verb(*arguments: str) -> None:
    """Runs one command as a user would type it, after showing it. Raises `CheckFailed` unless it ends well."""
    print(f"\n$ lowbackground {shlex.join(arguments)}", flush=True)
    code = cli.main(arguments)
    sys.stdout.flush()
    if code:
        raise CheckFailed(
            f"`lowbackground {shlex.join(arguments)}` ended with exit code {code}, and the demo rests on it. What it said stands above."
        )


def crawls(folder: Path) -> tuple[str, list[outcome.Truth]]:
    """Renders the site and crawls it before and after it changes. Returns the cutoff and the truth about the second crawl."""
    with step("Rendering the documentation of this Python with pydoc") as notes:
        pages = distinct(render())
        notes.append(f"{len(pages)} pages")
    with step("Planning what will change") as notes:
        plan = plant.plan(pages)
        notes.append(f"{len(plan.second)} addresses")
    with Site() as site:
        with step(f"First crawl of {site.url}") as notes:
            site.show(plan.first)
            first = crawl(site.url, plan.first, folder / "first.warc.gz")
            cutoff = wait_for_cutoff(first).strftime("%Y-%m-%dT%H:%M:%SZ")
            notes.append(f"{len(first)} captures, all before {cutoff}")
        with step("Second crawl, of the changed site") as notes:
            site.show(plan.second)
            second = crawl(site.url, plan.second, folder / "second.warc.gz")
            notes.append(f"{len(second)} captures")
    truth = _truth(site.url, plan, second)
    spoiled = {
        kind: [capture for row, capture in zip(truth, second, strict=True) if row.kind == kind]
        for kind in (plant.DAMAGED, plant.CUT_OFF)
    }
    damage(folder / "second.warc.gz", spoiled[plant.DAMAGED], spoiled[plant.CUT_OFF][-1])
    lines = (json.dumps(asdict(row), ensure_ascii=False) + "\n" for row in truth)
    (folder / "truth.jsonl").write_text("".join(lines), encoding="utf-8")
    return cutoff, truth


def _truth(base: str, plan: plant.Plan, captures: Sequence[Capture]) -> list[outcome.Truth]:
    return [
        outcome.Truth(
            capture.url,
            planted.kind,
            base + planted.reference if planted.reference else None,
            capture.date.isoformat(),
            capture.offset,
        )
        for planted, capture in zip(plan.truth, captures, strict=True)
    ]


def run(folder: Path) -> int:
    """The demo, into `folder`; returns the exit code."""
    start = time.perf_counter()
    prepare(folder)
    print(f"{WHY}\n")
    cutoff, truth = crawls(folder)
    first, second, snapshot, curated, mix = (
        str(folder / name) for name in ("first.warc.gz", "second.warc.gz", "snapshot", "run", "mix")
    )
    verb("freeze", first, "--into", snapshot, "--cutoff", cutoff)
    # Kept from the moment of freezing: an anchor that is read from the folder later proves nothing about it.
    anchor = open_snapshot(snapshot).id
    verb("curate", second, "--into", curated, "--against", snapshot)
    verb("query", curated, "origin_by_month")
    verb("mix", curated, "--snapshot", snapshot, "--floor", FLOOR, "--min-attestation", LEVEL, "--into", mix)
    for target in (snapshot, curated):
        verb("verify", target, "--anchor", anchor)
    verb("verify", mix, "--anchor", anchor, "--max-cutoff", cutoff)
    verb("report", mix, "--anchor", anchor, "--max-cutoff", cutoff, "--out", f"{mix}.html")
    verb("report", curated, "--mix", mix, "--out", f"{curated}.html")
    found = outcome.outcomes(curated, snapshot, truth)
    print()
    outcome.show(found)
    wrong = outcome.wrong(found)
    print(
        f"\nDEMO, {time.perf_counter() - start:.0f} s. {len(found) - len(wrong)} of {len(found)} outcomes are as expected; the truth is in {folder / 'truth.jsonl'}"
    )
    _close(snapshot, curated, mix)
    return 1 if wrong else 0


def _close(snapshot: str, curated: str, mix: str) -> None:
    """Prints the floor, the ids and, last, where the report lies."""
    opened = open_mix(mix)
    for unit, realised in opened.manifest["realised"].items():
        share = realised["human"] / realised["total"]
        print(
            f"Floor: {FLOOR} of the {unit} of every prefix was asked for; {share:.4f} of the whole mix is human, by the attestation `{LEVEL}`"
        )
    print(f"Snapshot {open_snapshot(snapshot).id}\nRun      {open_run(curated).id}\nMix      {opened.id}")
    print(f"Report of the mix: {os.path.abspath(mix)}.html\nReport of the run: {os.path.abspath(curated)}.html", flush=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Entry point; returns the exit code: 0 all outcomes right, 1 some wrong or a step failed, 2 wrong usage."""
    parser = argparse.ArgumentParser(prog="python -m pipelines.demo", description=__doc__)
    parser.add_argument(
        "--into",
        default="demo",
        metavar="DIR",
        help="folder for all that the demo writes, emptied first if it is the demo's (default: demo)",
    )
    folder = Path(parser.parse_args(arguments).into)
    try:
        return run(folder)
    except LowbackgroundError as error:
        print(f"\nerror: {error}", file=sys.stderr)
        return error.exit_code
    except (OSError, http.client.HTTPException, ValueError) as error:
        print(f"\nerror: the demo could not go on: {type(error).__name__}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nerror: interrupted; `make run` begins anew.", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
