"""`python -m tests.bench [NAME...]`: prints a table per bench and writes them all as JSON with `--json FILE`."""

import argparse
import dataclasses
import importlib
import json
import os
import pkgutil
import platform
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

import tests.bench
from tests.bench.inputs import Inputs
from tests.bench.measure import Row, measure

ORDER = (
    "decode",
    "extract",
    "language",
    "minhash",
    "match",
    "pages",
    "workers",
    "freeze",
    "index",
    "match",
    "corroborate",
    "tails",
    "plan",
    "mix",
    "verify",
)


def names() -> list[str]:
    """Every bench of this folder, those that need little first."""
    found = [
        module.name.removeprefix("bench_")
        for module in pkgutil.iter_modules(tests.bench.__path__)
        if module.name.startswith("bench_")
    ]
    return sorted(found, key=lambda name: (ORDER.index(name) if name in ORDER else len(ORDER), name))


def number(value: float | None) -> str:
    return "" if value is None else f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def table(rows: list[Row]) -> Table:
    made = Table("", "", "unit", "ratio", "goal", "", "", box=None, pad_edge=False)
    for column in (1, 3, 4):
        made.columns[column].justify = "right"
    for row in rows:
        verdict = "" if row.met is None else "met" if row.met else "NOT MET"
        made.add_row(row.what, number(row.value), row.unit, number(row.ratio), number(row.goal), verdict, row.note)
    return made


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="make bench", description=tests.bench.__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"benches to run, of {', '.join(names())} (default all)")
    parser.add_argument("--json", metavar="FILE", help="write the rows there too")
    arguments = parser.parse_args(argv)
    if unknown := set(arguments.names) - set(names()):
        parser.error(f"no bench is called {', '.join(sorted(unknown))}; there are {', '.join(names())}")
    console = Console(width=None if sys.stdout.isatty() else 132)
    results: dict[str, list[Row]] = {}
    failed: list[str] = []
    with tempfile.TemporaryDirectory(prefix="lowbackground-bench-") as folder:
        inputs = Inputs(Path(folder))
        where = (
            "the real data of ../shared/data"
            if inputs.is_real
            else "pages that pydoc wrote here, for want of ../shared/data: too few for a fair ratio"
        )
        console.print(
            f"Python {platform.python_version()} on {platform.machine()}, load {os.getloadavg()[0]:.1f}; input: {where}\n",
            highlight=False,
        )
        for name in arguments.names or names():
            module = importlib.import_module(f"tests.bench.bench_{name}")
            try:
                results[name], cost = measure(lambda module=module: module.run(inputs))
            except (RuntimeError, OSError, ImportError, LookupError) as error:
                console.print(f"{name} did not run: {type(error).__name__}: {error}\n", markup=False)
                failed.append(name)
                continue
            console.print((module.__doc__ or "").splitlines()[0], style="bold")
            console.print(table(results[name]))
            console.print(f"[dim]{cost.wall:.0f} s[/dim]\n")
    rows = [row for found in results.values() for row in found]
    missed = [row.what for row in rows if row.met is False]
    console.print(
        f"{sum(row.met is True for row in rows)} goals met, {len(missed)} not{': ' + ', '.join(missed) if missed else ''}"
    )
    if arguments.json:
        plain = {name: [dataclasses.asdict(row) for row in found] for name, found in results.items()}
        Path(arguments.json).write_text(json.dumps(plain, indent=1) + "\n")
    return int(bool(failed))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
