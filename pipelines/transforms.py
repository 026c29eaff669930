"""The three DoFns of every stage. As little as possible happens here: each calls its plain-function twin in `stage`."""

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from pipelines import stage


class _WithStep(beam.DoFn):
    """Makes the step once per worker, where it loads what it needs."""

    def __init__(self, spec: dict[str, Any]):
        self.spec = {name: value for name, value in spec.items() if name != "parts"}

    def setup(self) -> None:
        self.step = stage.load(self.spec)


class DoPart(_WithStep):
    """Part -> receipt."""

    def process(self, element: dict[str, Any]) -> Iterator[str]:
        yield stage.do_part(self.step, self.spec, element)


class SplitPart(_WithStep):
    """Part -> (partition, Arrow IPC bytes)."""

    def __init__(self, spec: dict[str, Any], partitions: list[int]):
        super().__init__(spec)
        self.partitions = frozenset(partitions)

    def process(self, element: dict[str, Any]) -> Iterator[tuple[int, bytes]]:
        yield from stage.split_part(self.step, element, self.partitions)


class DoPartition(_WithStep):
    """(partition, all its bytes) -> receipt."""

    def process(self, element: tuple[int, Iterable[bytes]]) -> Iterator[str]:
        yield stage.do_partition(self.step, self.spec, *element)
