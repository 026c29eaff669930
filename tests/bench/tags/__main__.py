"""`python -m tests.bench.tags TRAINER [full|fast] [SECTION...]`: the tables; `TRAINER` is the Python that has fastText's trainer.

By default families of sources are left out several at once, which is stricter and ends in about 25 minutes on two cores; `full` leaves
each out alone and takes hours, and `fast` takes the thresholds of left-out sources from fits that `make model` does as well. `--cache FOLDER` keeps the fits for the next time.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from tests.bench.inputs import SHARED
from tests.bench.tags.sheets import Sheet

SECTIONS = ("main", "sources", "generators", "clock", "translation")


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(prog="make bench-tags", description=(__doc__ or "").splitlines()[0])
    made.add_argument("trainer", type=Path, help="Python that has fastText's trainer")
    made.add_argument(
        "words", nargs="*", metavar="WORD", help=f"`full` or `fast`, and sections of {', '.join(SECTIONS)} (default all)"
    )
    made.add_argument("--cache", type=Path, metavar="FOLDER", help="keep the fits there, and use those that are there")
    made.add_argument("--workers", type=int, default=min(2, os.cpu_count() or 1), help="processes that fit at once")
    made.add_argument("--json", metavar="FILE", help="write the tables there too")
    return made


def main(argv: list[str]) -> int:
    options = parser()
    arguments = options.parse_args(argv)
    wanted = [word for word in arguments.words if word not in ("full", "fast")] or list(SECTIONS)
    if unknown := set(wanted) - set(SECTIONS):
        options.error(f"no section is called {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    if not SHARED.is_dir():
        print("skipped: tags are measured on the labelled text of ../shared/data, which is not there")
        return 0
    from tests.bench.tags.sections import Bench

    console = Console(width=None if sys.stdout.isatty() else 172)
    shown: list[Sheet] = []
    failed: list[str] = []
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="lowbackground-tags-") as folder:
        bench = Bench(
            arguments.trainer,
            arguments.cache or Path(folder),
            arguments.workers,
            "full" in arguments.words,
            "fast" in arguments.words,
        )
        for name in wanted:
            since = time.monotonic()
            try:
                sheets = getattr(bench, name)()
            except (RuntimeError, OSError, ImportError, LookupError, ValueError) as error:
                console.print(f"{name} did not run: {type(error).__name__}: {error}\n", markup=False)
                failed.append(name)
                continue
            for sheet in sheets:
                sheet.show(console)
                shown.append(sheet)
            console.print(f"[dim]{name}: {time.monotonic() - since:.0f} s[/dim]\n")
    goals = [goal for sheet in shown for goal in sheet.goals]
    missed = [goal.what for goal in goals if goal.met is False]
    told = f": {'; '.join(missed)}" if missed else ""
    minutes = (time.monotonic() - started) / 60
    console.print(
        f"{sum(goal.met is True for goal in goals)} goals met, {len(missed)} not{told}; {minutes:.0f} minutes", highlight=False
    )
    if arguments.json:
        Path(arguments.json).write_text(json.dumps([asdict(sheet) for sheet in shown], indent=1) + "\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
