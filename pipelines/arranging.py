"""The rows of a shard, from its documents in the order of their classes to the batches that a format writes.

A document is cut into pieces, which keep their order. Human pieces and others are two sequences, which `provenance.floor` interleaves.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.lengths import measure
from pipelines.pieces import cut, grouped
from provenance import floor, mixture
from provenance.mixture import Mix
from provenance.schema import SHARD
from store.errors import CheckFailed

Sides = tuple[np.ndarray, np.ndarray]
"""Units of each row that are human, and all of them, in the order of the rows."""


@dataclass
class Planned:
    """The documents of a shard as its plan lists them: where each one's text is in `texts`, whether it is human, and the columns of
    `SHARD` that say something of it, by name."""

    texts: pa.ChunkedArray
    place: np.ndarray
    human: np.ndarray
    columns: dict[str, pa.Array]


class Rows(Protocol):
    """The rows of a shard in one kind of format."""

    document: np.ndarray
    """Row in the plan of the document of each piece."""
    measured: dict[str, np.ndarray]
    """Length of each piece by unit, int64."""

    def all(self) -> Iterator[pa.RecordBatch]:
        """The shard's rows, in the order that keeps the floor."""

    def human(self) -> Iterator[pa.RecordBatch]:
        """The rows of the human documents alone, each document once."""

    def lengths(self) -> dict[str, Sides]:
        """Of all rows, by unit; to be asked for when they have been written."""

    def inexact(self) -> int:
        """Human documents whose text cannot be had back from their rows, each counted once."""


def rows(planned: Planned, mix: Mix, tokenizer: Any, name: str, packed: bool) -> Rows:
    """The rows of the shard `name`: texts, or packed tokens. Raises `CheckFailed` where they are longer than they were planned."""
    return Packed(planned, mix, tokenizer, name) if packed else Texts(planned, mix, tokenizer, name)


def arranged(lengths: np.ndarray, human: np.ndarray, held: Sequence[int], mix: Mix, name: str) -> np.ndarray:
    """The order of pieces (their numbers) that keeps the floor. `lengths` has shape (pieces, units), int64; `held` is what a reader may
    hold back of the human ones, by unit. Raises `CheckFailed` where not all of them can stand in the shard."""
    share = mixture.fraction(mix.floor)
    ours, others = lengths[human], lengths[~human]
    turn = floor.turns(ours, others, floor.paced(ours, others, share, held), held, f"{mix.seed}\n{name}")
    if len(turn) != len(human):
        raise CheckFailed(
            f"{name}: the texts are longer than the byte counts that the plan rests on, so the floor cannot hold. Verify the runs."
        )
    order = np.empty(len(turn), np.int64)
    order[turn], order[~turn] = np.flatnonzero(human), np.flatnonzero(~human)
    return order


def once(planned: Planned, document: np.ndarray, order: np.ndarray) -> np.ndarray:
    """Those pieces, in their order, that belong to the first time that each human document is listed."""
    first = np.zeros(len(planned.place), bool)
    first[np.unique(planned.place, return_index=True)[1]] = True
    return order[(first & planned.human)[document[order]]]


class Texts:
    """Rows of `SHARD`."""

    def __init__(self, planned: Planned, mix: Mix, tokenizer: Any, name: str):
        self.planned = planned
        self.pieces = cut(planned.texts, planned.place, mix.chunk_bytes)
        self.document = self.pieces.document
        self.is_human = planned.human[self.document]
        self.measured = measure(self.pieces, self.is_human, mix.units, tokenizer)
        self.units = mix.units
        together = np.stack([self.measured[unit] for unit in mix.units], axis=1)
        held = floor.longest(together[self.is_human], mixture.fraction(mix.floor), mix.shuffle_buffer)
        self.order = arranged(together, self.is_human, held, mix, name)

    def all(self) -> Iterator[pa.RecordBatch]:
        """See `Rows`."""
        return self._batches(self.order, self.planned.columns)

    def human(self) -> Iterator[pa.RecordBatch]:
        """See `Rows`."""
        return self._batches(once(self.planned, self.document, self.order), _first_epoch(self.planned.columns))

    def lengths(self) -> dict[str, Sides]:
        """See `Rows`."""
        human = self.is_human[self.order]
        ordered = {unit: self.measured[unit][self.order] for unit in self.units}
        return {unit: (np.where(human, units, 0), units) for unit, units in ordered.items()}

    def inexact(self) -> int:
        """See `Rows`."""
        return 0

    def _batches(self, order: np.ndarray, columns: dict[str, pa.Array]) -> Iterator[pa.RecordBatch]:
        """A row group at a time."""
        for some in grouped(self.pieces, order):
            document = pa.array(self.document[some])
            made = {
                "text": self.pieces.texts(some),
                **{name: column.take(document) for name, column in columns.items()},
                "chunk": pa.array(self.pieces.chunk[some], pa.int32()),
                "chunks": pa.array(self.pieces.chunks[some], pa.int32()),
            }
            yield pa.RecordBatch.from_arrays([made[name] for name in SHARD.names], schema=SHARD)


class Packed:
    """Rows of `PACKED` and `SPANS`, of whole documents' tokens."""

    def __init__(self, planned: Planned, mix: Mix, tokenizer: Any, name: str):
        from pipelines import packing

        self.planned, self.mix, self.tokenizer = planned, mix, tokenizer
        self.encoded: Any = packing.encode(planned.texts, planned.place, tokenizer, mix.chunk_tokens)
        self.document = self.encoded.document
        human = planned.human[self.document]
        self.measured = {"tokens": (self.encoded.stop - self.encoded.start).astype(np.int64)}
        # A row's first position is nobody's, so that no row has more.
        ours = int(self.measured["tokens"][human].sum())
        held = min(ours, mix.shuffle_buffer * (mix.sequence_length - 1)) if mixture.fraction(mix.floor) else 0
        self.order = arranged(self.measured["tokens"][:, None], human, [held], mix, name)
        self.written: list[Sides] = []

    def all(self) -> Iterator[pa.RecordBatch]:
        """See `Rows`."""
        self.written = []
        for batch in self._batches(self.order, self.planned.columns):
            self.written.append(packed_lengths(batch))
            yield batch

    def human(self) -> Iterator[pa.RecordBatch]:
        """See `Rows`."""
        return self._batches(once(self.planned, self.document, self.order), _first_epoch(self.planned.columns))

    def lengths(self) -> dict[str, Sides]:
        """See `Rows`."""
        empty = np.zeros(0, np.int64)
        human, total = (np.concatenate([empty, *(sides[i] for sides in self.written)]) for i in range(2))
        return {"tokens": (human, total)}

    def inexact(self) -> int:
        """See `Rows`."""
        from pipelines import packing

        planned = self.planned
        return packing.inexact(self.encoded, planned.texts, planned.place, planned.human, self.tokenizer)

    def _batches(self, order: np.ndarray, columns: dict[str, pa.Array]) -> Iterator[pa.RecordBatch]:
        from pipelines import packing

        yield from packing.rows(self.encoded, order, columns, self.mix, self.tokenizer)


def packed_lengths(batch: pa.RecordBatch) -> Sides:
    """Human tokens and all tokens that bear loss of each row of `PACKED` and `SPANS`, int64."""
    spans = batch.column("spans")
    row, flat = pc.list_parent_indices(spans).to_numpy(), pc.list_flatten(spans)
    units = (pc.subtract(flat.field("stop"), flat.field("start"))).to_numpy().astype(np.int64)
    human = np.where(pc.equal(flat.field("origin"), "human").to_numpy(zero_copy_only=False), units, 0)
    found = np.zeros((2, batch.num_rows), np.int64)
    np.add.at(found[0], row, human)
    np.add.at(found[1], row, units)
    return found[0], found[1]


def _first_epoch(columns: dict[str, pa.Array]) -> dict[str, pa.Array]:
    count = len(columns["epoch"])
    return columns | {"epoch": pa.array(np.zeros(count, np.int32))}
