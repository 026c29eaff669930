"""Work per CPU-second: processes are measured with their children, and start-up is told apart."""

import json
import resource
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

ROOT = Path(__file__).resolve().parents[2]
T = TypeVar("T")
SHORTEST = 1e-3
"""Seconds below which nothing is told apart from noise; no cost is less, so that it can divide."""


@dataclass(frozen=True)
class Row:
    """One line of a table. `ratio` is product over baseline; `goal` is the least ratio that is good enough."""

    what: str
    value: float | None
    unit: str
    ratio: float | None = None
    goal: float | None = None
    note: str = ""

    @property
    def met(self) -> bool | None:
        return None if self.goal is None or self.ratio is None else self.ratio >= self.goal


@dataclass(frozen=True)
class Cost:
    """Seconds: of all CPUs, children included, and on the wall."""

    cpu: float
    wall: float

    def __sub__(self, start_up: "Cost") -> "Cost":
        """Without start-up."""
        return Cost(max(self.cpu - start_up.cpu, SHORTEST), max(self.wall - start_up.wall, SHORTEST))


def cpu_seconds() -> float:
    """CPU seconds so far, of this process and of the children that it waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


def measure(work: Callable[[], T]) -> tuple[T, Cost]:
    """What `work` gives and what it cost, with the processes that it started and waited for."""
    cpu, wall = cpu_seconds(), time.perf_counter()
    result = work()
    return result, Cost(max(cpu_seconds() - cpu, SHORTEST), time.perf_counter() - wall)


def best(work: Callable[[], T], times: int = 3) -> tuple[T, Cost]:
    """The cheapest of some repetitions."""
    return min((measure(work) for _ in range(times)), key=lambda pair: pair[1].cpu)


def lowbackground(*arguments: str) -> tuple[dict[str, Any], Cost]:
    """Runs a verb in a process of its own; its summary and its cost. Raises `RuntimeError` with what it said if it fails."""
    command = [sys.executable, "-m", "pipelines.cli", *arguments, "--json", "--quiet"]
    done, cost = measure(lambda: subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False))
    if done.returncode:
        raise RuntimeError(f"{arguments[0]} exited with {done.returncode}: {done.stderr[-600:].strip()}")
    return json.loads(done.stdout), cost


def python(module: str, arguments: Sequence[str]) -> dict[str, Any]:
    """Runs a module of the bench in a process of its own; the JSON object that it prints."""
    command = [sys.executable, "-m", module, *arguments]
    return json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True).stdout)


def folder_bytes(folder: str | Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
