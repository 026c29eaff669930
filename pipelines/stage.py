"""Turns a stage into a Beam pipeline.

A stage is a list of parts and a step that does one part: it opens its input, does the work, writes its output and
returns a receipt. Elements of the pipelines are part descriptors and receipts, never text. A *shuffle* stage splits
each part into (partition, Arrow IPC bytes), groups them, and joins each partition.

The step is named by its import path and given a JSON-able context, so that a worker on another machine can make it
from a few strings. What is done has a receipt in the stage's folder, whose name carries the digest of the step, its
context and its parts; a rerun does only what has none.
"""

import functools
import importlib
import json
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from provenance.identity import canonical_json, digest
from store import files
from store.errors import Incomplete, LowbackgroundError

logger = logging.getLogger(__name__)
RECEIPTS = "receipts"


@dataclass(frozen=True)
class Stage:
    """One stage. `parts` have a `name` (unique) and a `weight`; `partitions` make it a shuffle stage.

    The weight is the bytes that a part reads; in a shuffle stage, the bytes that it sends into all partitions together, by
    which the stage is cut into pieces that fit into memory.
    """

    name: str
    step: str
    work: str
    context: dict[str, Any]
    parts: tuple[dict[str, Any], ...]
    partitions: tuple[int, ...] = ()

    @functools.cached_property
    def folder(self) -> str:
        """Where the stage writes, by the digest of all that shapes its output."""
        identity = [self.step, self.context, [self._identity(part) for part in self.parts], self.partitions]
        return files.join(self.work, f"{self.name}-{digest(identity)[:16]}")

    @staticmethod
    def _identity(part: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in part.items() if name != "weight"}

    def jobs(self) -> list[str]:
        """Names of all the receipts that the stage will have."""
        return [partition_name(p) for p in self.partitions] if self.partitions else [part["name"] for part in self.parts]

    def receipts(self) -> dict[str, dict[str, Any]]:
        """The receipts that are there, by name, in the order of `jobs`."""
        base = files.join(self.folder, RECEIPTS)
        there = set(files.list_files(base))
        return {job: json.loads(files.read_bytes(files.join(base, f"{job}.json"))) for job in self.jobs() if f"{job}.json" in there}

    def spec(self) -> dict[str, Any]:
        """The stage as plain JSON, for a worker."""
        return asdict(self) | {"folder": self.folder, "parts": list(self.parts), "partitions": list(self.partitions)}


def partition_name(partition: int) -> str:
    return f"{partition:05d}"


def urls(folder: str, receipts: dict[str, dict[str, Any]], dataset: str) -> list[str]:
    """URLs of the files of one dataset that a stage wrote, in the order of its parts."""
    return [
        files.join(folder, entry["path"])
        for receipt in receipts.values()
        for entry in receipt["files"]
        if entry["path"].startswith(f"{dataset}/")
    ]


def ignore(_job: str) -> None:
    """Default of `announce`."""


announce: Callable[[str], None] = ignore
"""Told the name of each part before it is done; a worker process tells its driver by it which part it died on."""


def load(spec: dict[str, Any]) -> Any:
    """The step object of a stage, made from its import path, context and folder, ready to work.

    A process that gets the parts of a stage in several orders makes it once: models take as long to load as pages to do.
    """
    return _load(spec["step"], canonical_json(spec["context"] | {"folder": spec["folder"]}))


@functools.lru_cache(maxsize=1)
def _load(path: str, context: bytes) -> Any:
    module, _, name = path.partition(":")
    step = getattr(importlib.import_module(module), name)(json.loads(context))
    if hasattr(step, "setup"):  # only a step that loads something has one
        step.setup()
    return step


def finish(spec: dict[str, Any], job: str, receipt: dict[str, Any]) -> str:
    """Writes a receipt, after which the part is done; returns it as JSON."""
    data = canonical_json(receipt)
    files.write_bytes(files.join(spec["folder"], RECEIPTS, f"{job}.json"), data)
    return data.decode()


def do_part(step: Any, spec: dict[str, Any], part: dict[str, Any]) -> str:
    """The plain-function twin of `DoPart`: does one part and leaves its receipt."""
    announce(part["name"])
    try:
        receipt = step.part(part)
    except LowbackgroundError:
        raise
    except Exception as error:  # named here, since Beam shows the last line of some errors only
        raise Incomplete(f"part {part['name']} of stage {spec['name']} failed: {type(error).__name__}: {error}") from error
    return finish(spec, part["name"], receipt)


def do_partition(step: Any, spec: dict[str, Any], partition: int, blobs: Iterable[bytes]) -> str:
    """The plain-function twin of `DoPartition`: joins one partition and leaves its receipt."""
    job = partition_name(partition)
    announce(job)
    try:
        receipt = step.join(partition, (blob for blob in blobs if blob))
    except LowbackgroundError:
        raise
    except Exception as error:  # as in `do_part`
        raise Incomplete(f"partition {job} of stage {spec['name']} failed: {type(error).__name__}: {error}") from error
    return finish(spec, job, receipt)


def split_part(step: Any, part: dict[str, Any], partitions: frozenset[int]) -> Iterator[tuple[int, bytes]]:
    """The plain-function twin of `SplitPart`: a part's rows for some partitions, as Arrow IPC bytes."""
    yield from step.split(part, partitions)


def build(root: Any, spec: dict[str, Any], parts: list[dict[str, Any]], partitions: list[int]) -> Any:
    """Adds the stage to the pipeline `root`; returns the collection of receipts as JSON texts."""
    import apache_beam as beam

    from pipelines import transforms

    if not spec["partitions"]:
        return (
            root | "Parts" >> beam.Create(parts, reshuffle=True) | spec["name"].capitalize() >> beam.ParDo(transforms.DoPart(spec))
        )
    # Every partition has an element, so that an empty one leaves a receipt too.
    seeds = root | "Partitions" >> beam.Create([(p, b"") for p in partitions], reshuffle=False)
    rows = root | "Parts" >> beam.Create(parts, reshuffle=True) | "Split" >> beam.ParDo(transforms.SplitPart(spec, partitions))
    grouped = (seeds, rows) | "Flatten" >> beam.Flatten() | "Group" >> beam.GroupByKey()
    return grouped | "Join" >> beam.ParDo(transforms.DoPartition(spec))
