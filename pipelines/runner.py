"""Chooses who runs a stage: this process, processes of ours, or the Beam runner that the user names.

The local runner is `FnApiRunner`, in memory, chosen by name. Measured on Beam 2.77: the multi-worker modes of the
direct runner lose records silently, DaskRunner writes empty files, and `DirectRunner` by name first tries to download
Prism; all are refused. More cores come from operating-system processes that each run the same pipeline over their
own parts.
"""

import contextlib
import itertools
import json
import math
import os
import queue
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from typing import Any

from pipelines import stage
from pipelines.progress import Progress
from pipelines.stage import Stage
from store.errors import Incomplete, LowbackgroundError, UsageError

REFUSED = {
    "directrunner": "it first tries to download Prism; leave --runner out for the local runner",
    "bundlebaseddirectrunner": "it is not a portable runner; leave --runner out for the local runner",
    "switchingdirectrunner": "it chooses among others by itself; leave --runner out for the local runner",
    "daskrunner": "it drops what bundles emit at their end and runs only the last sink, silently",
    "interactiverunner": "it keeps results in memory; leave --runner out for the local runner",
}
LOCAL = ("", "fnapirunner")
SHUFFLE = 64 << 20
"""Bytes that one pipeline shuffles at most, by its parts' weights: `FnApiRunner` holds them all, several times over."""


def _option(beam_args: Sequence[str], name: str) -> str:
    """The value of a Beam option on the command line, or the empty string."""
    for i, argument in enumerate(beam_args):
        if argument.startswith(f"--{name}="):
            return argument.partition("=")[2]
        if argument == f"--{name}" and i + 1 < len(beam_args):
            return beam_args[i + 1]
    return ""


def check_beam_args(beam_args: Sequence[str], workers: int) -> None:
    """Refuses runners and modes that lose records. Raises `UsageError`."""
    runner = _option(beam_args, "runner").rpartition(".")[2]
    if why := REFUSED.get(runner.lower()):
        raise UsageError(f"--runner={runner} is refused: {why}.")
    if (mode := _option(beam_args, "direct_running_mode")) not in ("", "in_memory"):
        raise UsageError(
            f"--direct_running_mode={mode} is refused: Beam's multi-worker modes lose records silently. Use --workers N, which starts processes."
        )
    if runner.lower() not in LOCAL:
        _check_known(runner)
    if beam_args and workers > 1 and runner.lower() not in LOCAL:
        raise UsageError(f"--workers {workers} and --runner={runner} exclude each other: that runner has workers of its own.")


def _check_known(name: str) -> None:
    from apache_beam.runners.runner import create_runner

    try:
        create_runner(name)
    except (ValueError, ImportError, AttributeError) as error:
        raise UsageError(f"--runner={name} is none that Beam knows here: {error}. Leave it out for the local runner.") from error


def run_pipeline(spec: dict[str, Any], parts: list[dict[str, Any]], partitions: list[int], beam_args: Sequence[str]) -> None:
    """Runs one stage, or some of its parts, as one Beam pipeline, and waits for it."""
    import apache_beam as beam
    from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
    from apache_beam.runners.portability.fn_api_runner import FnApiRunner
    from apache_beam.transforms import environments

    arguments = list(beam_args)
    runner: Any = None
    if _option(arguments, "runner").rpartition(".")[2].lower() in LOCAL:
        arguments = [a for a in arguments if not a.startswith("--runner")]
        options = PipelineOptions(arguments)
        portable = options.view_as(PortableOptions)
        outside = portable.environment_type and environments.Environment.from_options(portable)
        runner = FnApiRunner(default_environment=outside) if outside else FnApiRunner()
    else:
        options = PipelineOptions(arguments)
    pipeline = beam.Pipeline(runner=runner, options=options)
    stage.build(pipeline, spec, parts, partitions)
    pipeline.run().wait_until_finish()


def missing(of: Stage) -> tuple[list[dict[str, Any]], list[int]]:
    """Parts and partitions of a stage that have no receipt yet; all parts of a shuffle with a missing partition."""
    there = set(of.receipts())
    if of.partitions:
        partitions = [p for p in of.partitions if stage.partition_name(p) not in there]
        return (list(of.parts) if partitions else []), partitions
    return [part for part in of.parts if part["name"] not in there], []


class Worker:
    """A process of ours that runs pipelines over the parts that it is sent, one order at a time."""

    def __init__(self, number: int, said: "queue.Queue[tuple[Worker, dict[str, Any] | None]]"):
        self.number, self.part, self.busy = number, "", False
        self.process = subprocess.Popen(
            [sys.executable, "-m", "pipelines.worker"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=_environment()
        )
        self._said = said
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        try:
            for line in self.process.stdout or ():
                self._said.put((self, json.loads(line)))
        except ValueError:
            self.process.kill()  # half a line: it is dying, and must not be waited for
        finally:
            self._said.put((self, None))

    def send(self, order: dict[str, Any]) -> None:
        self.busy = True
        with contextlib.suppress(BrokenPipeError):  # a dead worker is seen by its end of output
            print(json.dumps(order), file=self.process.stdin, flush=True)

    def close(self) -> None:
        self.process.kill()
        self.process.wait()


def _environment() -> dict[str, str]:
    """Workers find this code wherever the driver found it, and leave the cores to each other."""
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    path = os.pathsep.join(filter(None, [here, os.environ.get("PYTHONPATH", "")]))
    return os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1", "ARROW_NUM_THREADS": "1"}


class Runner:
    """Runs stages, one after the other, with the workers that the user asked for.

    Use as a context manager; the processes live as long as it does, since each takes seconds to import Beam.
    """

    def __init__(self, workers: int = 1, beam_args: Sequence[str] = (), progress: Progress | None = None):
        check_beam_args(beam_args, workers)
        self.workers, self.beam_args, self.progress = workers, tuple(beam_args), progress or Progress(quiet=True)
        self._said: queue.Queue[tuple[Worker, dict[str, Any] | None]] = queue.Queue()
        self._pool: list[Worker] = []

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_: Any) -> None:
        for worker in self._pool:
            worker.close()

    def run(self, of: Stage) -> dict[str, dict[str, Any]]:
        """Does what is missing of a stage; returns all its receipts in order. Raises `Incomplete`."""
        parts, partitions = missing(of)
        if parts or partitions:
            with self.progress.stage(of):
                if self.workers > 1:
                    self._run_pool(of, parts, partitions)
                else:
                    self._run_here(of, parts, partitions)
        receipts = of.receipts()
        if lost := [job for job in of.jobs() if job not in receipts]:
            raise Incomplete(
                f"stage {of.name} ended without a receipt for {len(lost)} of {len(of.jobs())} parts, first {lost[0]}; "
                "the result would be short. Run the same command again: it does only what is missing."
            )
        return receipts

    def _run_here(self, of: Stage, parts: list[dict[str, Any]], partitions: list[int]) -> None:
        at = ""

        def note(job: str) -> None:
            nonlocal at
            at = job

        stage.announce = note
        # Another runner gets the whole stage at once; this process takes a shuffle in pieces, as the workers do.
        local = _option(self.beam_args, "runner").rpartition(".")[2].lower() in LOCAL
        pieces = _chunks(parts, partitions, len(of.partitions), 1) if partitions and local else [partitions]
        try:
            for piece in pieces:
                run_pipeline(of.spec(), parts, piece, self.beam_args)
        except LowbackgroundError:
            raise
        except Exception as error:
            raise Incomplete(f"stage {of.name} failed in part {at or 'none yet'}: {type(error).__name__}: {error}") from error
        finally:
            stage.announce = stage.ignore

    def _run_pool(self, of: Stage, parts: list[dict[str, Any]], partitions: list[int]) -> None:
        while len(self._pool) < self.workers:
            self._pool.append(Worker(len(self._pool), self._said))
        orders = _orders(parts, partitions, len(of.partitions), self.workers)
        spec = of.spec() | {"parts": []}
        for worker in self._pool:
            self._next(worker, orders, spec)
        while any(worker.busy for worker in self._pool):
            worker, message = self._said.get()
            if message is None:
                raise Incomplete(
                    f"worker {worker.number} died ({_ending(worker.process.wait())}) in part {worker.part or 'none yet'} of stage {of.name}; "
                    "what it was doing is lost, what has a receipt is not. Look for memory limits, then run the same command again."
                )
            if "part" in message:
                worker.part = message["part"]
            elif "error" in message:
                raise Incomplete(f"stage {of.name} failed in part {worker.part}:\n{message['error']}")
            else:
                worker.busy = False
                self._next(worker, orders, spec)

    def _next(self, worker: Worker, orders: Iterator[dict[str, Any]], spec: dict[str, Any]) -> None:
        if order := next(orders, None):
            worker.send({"spec": spec, "beam_args": self.beam_args, **order})


def _chunks(parts: list[dict[str, Any]], partitions: list[int], of: int, workers: int) -> list[list[int]]:
    """The missing partitions, of `of` in the stage, in runs of about equal size: as few as keep each within `SHUFFLE` bytes, if
    one partition is, and as many for each worker. Neighbours stay together, since they lie together in what is read for them."""
    sizes = _sizes(parts, of)
    weights = [sizes.get(partition, 0.0) or 1.0 for partition in partitions]
    count = workers
    while True:
        count = min(count, len(partitions))
        cuts = _cuts(weights, count)
        heaviest = max(sum(weights[start:stop]) for start, stop in itertools.pairwise(cuts))
        if heaviest <= SHUFFLE or count == len(partitions):
            return [partitions[start:stop] for start, stop in itertools.pairwise(cuts)]
        # No fewer than this many hold them all; what is above it is for weights that do not divide.
        count = max(count + workers, -(-math.ceil(sum(weights) / SHUFFLE) // workers) * workers)


def _cuts(weights: list[float], count: int) -> list[int]:
    """Where to cut a sequence into at most `count` runs, each about an equal share of the weight; begins with 0, ends with its length."""
    share = sum(weights) / count
    runs = [int((end - weight / 2) / share) for weight, end in zip(weights, itertools.accumulate(weights), strict=True)]
    return [0, *(i for i in range(1, len(runs)) if runs[i] != runs[i - 1]), len(weights)]


def _sizes(parts: list[dict[str, Any]], of: int) -> dict[int, float]:
    """Bytes of each partition: as parts spread them, or evenly over all `of` of the stage."""
    sizes: dict[int, float] = {}
    for part in parts:
        for start, stop, size in part.get("spread") or [(0, of, part.get("weight", 0))]:
            for partition in range(start, stop):
                sizes[partition] = sizes.get(partition, 0) + size / (stop - start)
    return sizes


def _orders(parts: list[dict[str, Any]], partitions: list[int], of: int, workers: int) -> Iterator[dict[str, Any]]:
    """Work for whichever worker is free: partitions of a shuffle in runs that fit into memory; else the heaviest parts first,
    in orders that get smaller towards the end, so that all end together (guided self-scheduling, Polychronopoulos and Kuck
    1987)."""
    if partitions:
        yield from ({"parts": parts, "partitions": own} for own in _chunks(parts, partitions, of, workers))
        return
    rest = sorted(parts, key=lambda part: (-part.get("weight", 0), part["name"]))
    # An order is a pipeline, which costs a tenth of a second or two to start: the last ones do not get smaller than this.
    least = sum(part.get("weight", 0) + 1 for part in rest) / (20 * workers)
    while rest:
        share = max(sum(part.get("weight", 0) + 1 for part in rest) / (2 * workers), least)
        order: list[dict[str, Any]] = []
        size = 0
        while rest and (not order or size + rest[0].get("weight", 0) < share):
            size += rest[0].get("weight", 0) + 1
            order.append(rest.pop(0))
        yield {"parts": order, "partitions": []}


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
