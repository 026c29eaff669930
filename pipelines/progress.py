"""What the user sees while a stage runs: parts, documents, MB/s and time left, on standard error.

It watches the receipts, so it shows the same wherever the work is done.
"""

import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator
from typing import TextIO

from pipelines.stage import RECEIPTS, Stage
from store import files

EVERY = 0.5
QUIET_EVERY = 5.0
"""Seconds between two looks at the receipts, on a terminal and in a log."""


class Progress:
    """Prints the progress of stages; on a terminal in place, else a line every few seconds."""

    def __init__(self, quiet: bool = False, out: TextIO | None = None):
        self.quiet, self.out = quiet, out or sys.stderr
        self.seconds: dict[str, float] = {}

    @contextlib.contextmanager
    def stage(self, of: Stage) -> Iterator[None]:
        """Watches one stage while the block runs."""
        stop, started = threading.Event(), time.monotonic()
        watcher = _Watcher(of, self.out, started)
        thread = threading.Thread(target=watcher.watch, args=(stop, self.quiet), daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self.seconds[of.name] = self.seconds.get(of.name, 0.0) + time.monotonic() - started
            if not self.quiet:
                watcher.look()
                watcher.show(final=True)


class _Watcher:
    def __init__(self, of: Stage, out: TextIO, started: float):
        self.of, self.out, self.started = of, out, started
        self.total = len(of.jobs())
        self.weights = {part["name"]: part.get("weight", 0) for part in of.parts}
        self.seen: dict[str, dict[str, int]] = {}
        self.before: set[str] = set()
        self.look()
        self.before = set(self.seen)

    def look(self) -> None:
        """Reads the receipts that are new since the last look."""
        base = files.join(self.of.folder, RECEIPTS)
        for name in files.list_files(base):
            job = name.removesuffix(".json")
            if job not in self.seen and name != job:
                receipt = json.loads(files.read_bytes(files.join(base, name)))
                self.seen[job] = {field: int(receipt.get(field, 0)) for field in ("documents", "bytes")}

    def line(self) -> str:
        seconds = max(time.monotonic() - self.started, 1e-3)
        new = [job for job in self.seen if job not in self.before]
        documents = sum(self.seen[job]["documents"] for job in new)
        size = sum(self.weights.get(job, self.seen[job]["bytes"]) for job in new)
        todo = sum(weight for job, weight in self.weights.items() if job not in self.seen) if not self.of.partitions else 0
        text = f"{self.of.name:<11} {len(self.seen):>5}/{self.total} parts"
        if documents:
            text += f"  {documents:>9,} documents"
        if size:
            text += f"  {size / 1e6 / seconds:7.1f} MB/s"
        if new and todo and size:
            text += f"  {todo / size * seconds:5.0f} s left"
        return f"{text}  {seconds:6.1f} s"

    def show(self, final: bool = False) -> None:
        if self.out.isatty():
            print(f"\r\x1b[K{self.line()}", end="\n" if final else "", file=self.out, flush=True)
        else:
            print(self.line(), file=self.out, flush=True)

    def watch(self, stop: threading.Event, quiet: bool) -> None:
        while not stop.wait(EVERY if self.out.isatty() else QUIET_EVERY):
            if not quiet:
                self.look()
                self.show()


class Meter:
    """Says on standard error how far a count of bytes has come, every few seconds. Call it with each amount done."""

    def __init__(self, what: str, total: int, quiet: bool = False, out: TextIO | None = None):
        self.what, self.total, self.quiet, self.out = what, total, quiet, out or sys.stderr
        self.done = 0
        self.started = self.shown = time.monotonic()

    def __call__(self, amount: int) -> None:
        self.done += amount
        now = time.monotonic()
        if self.quiet or now - self.shown < QUIET_EVERY:
            return
        self.shown, rate = now, self.done / (now - self.started)
        left = (self.total - self.done) / rate if rate else 0
        print(
            f"{self.what}  {self.done / 1e6:,.0f} of {self.total / 1e6:,.0f} MB  {rate / 1e6:.1f} MB/s  {left:.0f} s left",
            file=self.out,
        )
