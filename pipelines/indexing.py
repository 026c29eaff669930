"""Postings into indexes: how a shuffle of them is cut, and the step that writes the indexes of a snapshot or of an earlier run."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance import bands, minhash, postings
from store import index, tables
from store.errors import Incomplete

PLACES = pa.schema([("row", pa.int32())])
"""Row-aligned with postings' documents: each one's row in the file that took their place, `postings.LEFT_OUT` where it is not there."""


def weighed(layout: postings.Layout, counts: Mapping[str, int], datasets: Iterable[str] = postings.DATASETS) -> dict[str, Any]:
    """What a part of a shuffle says of itself, given its postings by dataset: the bytes that it sends (`weight`), and into
    which partitions (`spread`: first, end, bytes)."""
    spread = [
        [kind.start, kind.stop, bands.ROW_BYTES * counts[name]] for name in datasets if counts[name] for kind in [layout.kind(name)]
    ]
    return {"weight": sum(size for _, _, size in spread), "spread": spread}


def shuffled(url: str, layout: postings.Layout, partitions: frozenset[int], documents: np.ndarray) -> Iterator[tuple[int, bytes]]:
    """What a file of postings has for some partitions, as Arrow IPC bytes; `documents` (int64) names the document of each row."""
    for table in index.slices(url, layout, partitions):
        for partition, found in postings.split(table, layout, partitions, documents):
            yield partition, bands.to_ipc(found)


class BuildIndex:
    """Shuffle step: postings -> indexes, one sorted file for each hash range that holds something.

    The context has the `layout` (its three numbers) and the `prefix` of the names; a part its `postings`, the `number` of its
    documents file and the `places` of the postings' documents in it.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context
        self.layout = postings.Layout(*context["layout"])

    def split(self, part: dict[str, Any], partitions: frozenset[int]) -> Iterator[tuple[int, bytes]]:
        rows = tables.read([part["places"]])["row"].to_numpy().astype(np.int64)
        documents = np.where(rows == postings.LEFT_OUT, rows, bands.location(np.full(len(rows), part["number"]), rows))
        yield from shuffled(part["postings"], self.layout, partitions, documents)

    def join(self, partition: int, blobs: Iterable[bytes]) -> dict[str, Any]:
        table = bands.from_ipc(blobs)
        if not table.num_rows:
            return {"files": []}
        place = self.layout.of(partition)
        name = index.path(self.context["prefix"], place.dataset, place.number, place.part, place.ranges)
        return {"files": [index.write(self.context["folder"], name, table["hash"].to_numpy(), table["document"].to_numpy())]}


class PostRun:
    """Step: one part of an earlier run -> postings of its documents and the places of those that it kept.

    A run keeps no postings; its bands follow from its signatures, and samples it has none. A part has the URLs of its
    `documents`, `signatures` and `tags`, row-aligned. The receipt counts the documents that were kept, and all postings.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        self.options = config.restore(self.context["config"], "curate")["minhash"]

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        sketches = tables.read([part["signatures"]])
        documents, tags = tables.read([part["documents"]], ["key", "content_id"]), tables.read([part["tags"]], ["key", "canonical"])
        if not documents["key"].equals(sketches["key"]) or not documents["key"].equals(tags["key"]):
            raise Incomplete(
                f"{part['documents']} and the signatures and tags beside it are not of the same documents in the same order; its "
                "copies would go to others. Restore the run, or leave it out of --against."
            )
        gathered = postings.Postings(self.options)
        gathered.add(minhash.matrix(sketches["signature"]), sketches["shingles"].to_numpy(), documents["content_id"])
        kept = pc.is_null(tags["canonical"]).to_numpy()
        # The documents file stays as it is, so those that were kept keep their rows.
        rows = np.where(kept, np.arange(len(kept)), postings.LEFT_OUT)
        name, base = f"{self.context['prefix']}-{part['name']}", self.context["folder"]
        entries = [write_postings(base, name, gathered), write_places(base, name, rows)]
        return {"files": entries, "documents": int(kept.sum()), "postings": gathered.counts}


def write_postings(base: str, name: str, gathered: postings.Postings) -> dict[str, Any]:
    """Writes the postings of a part as `postings/NAME.parquet`, no row group of more than one index; returns the file's line."""
    with tables.Writer(base, f"postings/{name}.parquet", postings.SCHEMA, **index.POSTINGS_OPTIONS) as writer:
        for table in gathered.tables():
            writer.write(table)
    return writer.entry


def write_places(base: str, name: str, rows: np.ndarray) -> dict[str, Any]:
    """Writes `places/NAME.parquet`; returns the file's line."""
    return tables.write(base, f"places/{name}.parquet", pa.table([rows.astype(np.int32)], schema=PLACES), PLACES)
