"""How long the documents of a mix are in each unit: measured of the pieces of a shard, and of candidates before there is a plan."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.pieces import Pieces, cut, grouped, read_rows
from pipelines.stage import Stage, urls
from pipelines.tokenizer import Tokenizer
from provenance.identity import sha256_hex
from provenance.mixture import Mix
from store import files, shards, tables

ROWS = pa.schema([("row", pa.int64())])
"""Rows of a documents file whose tokens are counted, rising."""

COUNTS = pa.schema([("tokens", pa.int64())])
"""Tokens of each of these rows."""


def measure(pieces: Pieces, human: np.ndarray, units: Iterable[str], tokenizer: Tokenizer | None) -> dict[str, np.ndarray]:
    """Length of each row in each unit, int64. A human document counts at its last chunk and any other at its first, so
    that every prefix is safe."""
    found = {"bytes": pieces.stop - pieces.start}
    found["documents"] = np.where(human, pieces.chunk == pieces.chunks - 1, pieces.chunk == 0).astype(np.int64)
    if "tokens" in units and tokenizer:
        groups = grouped(pieces, np.arange(len(human)))
        found["tokens"] = np.array([n for rows in groups for n in tokenizer.count(pieces.texts(rows).to_pylist())], np.int64)
    return found


def tokens(
    parts: Sequence[str], wanted: Sequence[np.ndarray], mix: Mix, tokenizer: bytes, work: str, runner: Any
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Tokens of some rows of documents files, by a Beam stage: for each part with such rows its number, the rows, and their tokens (int64).

    `parts` are URLs, `wanted` has the rising rows of each, and `tokenizer` is what `pipelines.tokenizer.load` gives. In a
    format of texts a document's tokens are those of its chunks as they will be written; in one of tokens, of the whole text.
    """
    counter, base = files.join(work, "counting", "tokenizer.bin"), files.join(work, "counting")
    files.write_bytes(counter, tokenizer)
    jobs = []
    for number, (url, rows) in enumerate(zip(parts, wanted, strict=True)):
        if len(rows):
            entry = tables.write(base, f"rows/{number:05d}.parquet", pa.table([rows], schema=ROWS), ROWS)
            place = {"url": url, "rows": files.join(base, entry["path"]), "digest": entry["sha256"]}
            jobs.append({"name": f"{number:05d}", "part": number, "weight": len(rows), **place})
    whole = shards.named(mix.format).TOKENS
    context = {"tokenizer": counter, "digest": sha256_hex(tokenizer), "chunk_bytes": None if whole else mix.chunk_bytes}
    stage = Stage("tokens", "pipelines.lengths:CountTokens", work, context, tuple(jobs))
    receipts = runner.run(stage)
    for job, counted in zip(jobs, urls(stage.folder, receipts, "tokens"), strict=True):
        yield job["part"], wanted[job["part"]], tables.read([counted])["tokens"].to_numpy()


class CountTokens:
    """Step: some rows of one file of documents -> their tokens. Context: `tokenizer` (url), `chunk_bytes` (null for whole texts)."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        """Loads the tokenizer."""
        self.tokenizer = Tokenizer(files.read_bytes(self.context["tokenizer"]))

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        """Writes `tokens/PART.parquet`, row for row with the part's rows."""
        rows = tables.read([part["rows"]])["row"].to_numpy()
        with tables.Writer(self.context["folder"], f"tokens/{part['name']}.parquet", COUNTS) as writer:
            for table in read_rows(part["url"], rows):
                writer.write(pa.table([self._count(table["text"])], schema=COUNTS))
        return {"files": [writer.entry], "rows": writer.rows}

    def _count(self, texts: pa.ChunkedArray) -> np.ndarray:
        """Tokens of each text, int64."""
        size = self.context["chunk_bytes"]
        if size is None:
            return np.array(self.tokenizer.count(texts.to_pylist()), np.int64)
        pieces = cut(texts, np.arange(len(texts)), size)
        human = np.zeros(len(pieces.document), bool)
        counts = np.zeros(len(texts), np.int64)
        np.add.at(counts, pieces.document, measure(pieces, human, ("tokens",), self.tokenizer)["tokens"])
        return counts
