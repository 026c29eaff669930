"""Shards of packed tokens for the tests: a few documents, their order by the floor as a few plain lines have it, and their leaves."""

import contextlib
import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines import packing
from pipelines.tokenizer import Tokenizer
from provenance.identity import Leaf
from provenance.mixture import Mix
from provenance.schema import PACKED, SPANS
from store.shards import tokens
from store.verify_shard import Terms
from tests import mixes, vocabularies

BOTH = pa.schema([*PACKED, *SPANS])
Document = tuple[str, bool, int]
"""Text, whether it is human, and the epoch."""


@dataclass
class Shard:
    """The rows of a shard, and what they are held to."""

    rows: list[dict[str, Any]]
    leaves: dict[str, Leaf]
    terms: Terms
    tokenizer: bytes
    encoded: packing.Encoded
    texts: list[str]
    human: np.ndarray


def scheduled(sizes: list[int], human: list[bool], floor: Fraction) -> list[int]:
    """An order of pieces that keeps the floor: another one as soon as the human ones bear it, those that are never borne left out."""
    ours, others = ([i for i, side in enumerate(human) if side is wanted] for wanted in (True, False))
    p, q, surplus, order = floor.numerator, floor.denominator, 0, []
    while ours or others:
        if others and surplus >= p * sizes[others[0]]:
            order.append(others.pop(0))
            surplus -= p * sizes[order[-1]]
        elif ours:
            order.append(ours.pop(0))
            surplus += (q - p) * sizes[order[-1]]
        else:
            break
    return order


def shard(
    documents: list[Document], name: str = "byte_level", *, length: int = 8, chunk: int = 5, floor: str = "1/2", epochs: int = 1
) -> Shard:
    """A shard of some documents. Those that the floor admits only in part are left out as a whole."""
    data = vocabularies.packed(name)
    made, mix = Tokenizer(data), settings(length, chunk, floor)
    texts, human = [text for text, *_ in documents], np.array([human for _, human, _ in documents], bool)
    distinct = list(dict.fromkeys(texts))
    place = np.array([distinct.index(text) for text in texts], np.int64)
    encoded = packing.encode(pa.chunked_array([distinct], pa.string()), place, made, chunk)
    sizes, sides = (encoded.stop - encoded.start).tolist(), human[encoded.document].tolist()
    while True:
        order = np.array(scheduled(sizes, sides, Fraction(floor)), np.int64)
        kept, wanted = (
            np.bincount(encoded.document[order], minlength=len(texts)),
            np.bincount(encoded.document, minlength=len(texts)),
        )
        if (partly := np.flatnonzero((kept > 0) & (kept < wanted))).size == 0:
            break
        sizes = [10**9 if of in partly else size for size, of in zip(sizes, encoded.document, strict=True)]
    leaves, columns = facts(documents)
    rows = [row for batch in packing.rows(encoded, order, columns, mix, made) for row in batch.to_pylist()]
    terms = Terms(Fraction(floor), ("tokens",), 1, datetime(2022, 1, 1, tzinfo=UTC), 16384, epochs, 1, "0" * 64)
    return Shard(rows, leaves, terms, data, encoded, texts, human)


def settings(length: int, chunk: int, floor: str = "1/2") -> Mix:
    return Mix(format="tokens", units=("tokens",), tokenizer="t", sequence_length=length, chunk_tokens=chunk, floor=floor)


def facts(documents: list[Document]) -> tuple[dict[str, Leaf], dict[str, pa.Array]]:
    """The leaves of the human documents by key, and what the spans of all documents say, a value a document."""
    leaves, rows = {}, []
    for i, (text, human, epoch) in enumerate(documents):
        made = mixes.document(text if human else f"other-{i}", 0, text=text) | {"content_id": ""}
        row = {name: made.get(name) for name in ("key", "id", "url", "date", "language")}
        origin = "human" if human else "unknown"
        row |= {"origin": origin, "attestation": "captured" if human else "none", "epoch": epoch, "stratum": f"{origin}/en"}
        rows.append(row)
        if human:
            leaves[row["key"]] = mixes.leaf(mixes.sealed({**made, "byte_count": len(text.encode())}))
    kinds = {field.name: field.type for field in SPANS.field("spans").type.value_type}
    return leaves, {name: pa.array([row[name] for row in rows], kinds[name]) for name in rows[0]} if rows else {}


def batches(rows: list[dict[str, Any]], size: int = 7) -> Iterator[pa.RecordBatch]:
    """Rows as record batches."""
    for start in range(0, len(rows), size):
        yield pa.RecordBatch.from_pylist(rows[start : start + size], schema=BOTH)


def written(batches: Iterable[pa.RecordBatch]) -> dict[str, bytes]:
    """The files of a shard of some batches, by path."""
    found: dict[str, bytes] = {}

    @contextlib.contextmanager
    def create(path: str) -> Iterator[io.BytesIO]:
        sink = io.BytesIO()
        yield sink
        found[path] = sink.getvalue()

    tokens.write(create, "train-00000-of-00001", batches, {})
    return found
