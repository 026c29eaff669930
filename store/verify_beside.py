"""What stands beside the documents of a snapshot and what no leaf binds: signatures, tags, evidence, bands, and all columns' types."""

import functools
import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.schema import BANDS, EVIDENCE, LEAVES, ORIGINS, REJECTS, SNAPSHOT_DOCUMENTS, SOURCES, TAGS, signatures
from store.damage import Fault

SCHEMAS = {
    "documents": SNAPSHOT_DOCUMENTS,
    "leaves": LEAVES,
    "rejects": REJECTS,
    "sources": SOURCES,
    "bands": BANDS,
    "evidence": EVIDENCE,
    "tags": TAGS,
}

_BAND = re.compile(r"-b(\d+)-r(\d+)of(\d+)\.parquet", re.ASCII)


@functools.cache
def _expected(dataset: str, permutations: int) -> tuple[pa.Schema, list[tuple[Any, ...]]]:
    """The Arrow schema of a dataset, and the Parquet columns that it is written as."""
    schema = signatures(permutations) if dataset == "signatures" else SCHEMAS[dataset]
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    return schema.remove_metadata(), _columns(pq.ParquetFile(pa.BufferReader(sink.getvalue())))


def _columns(parquet: pq.ParquetFile) -> list[tuple[Any, ...]]:
    """Path, type and repetition of each column as any Parquet reader sees them, whatever the Arrow schema in the footer says."""
    found = [parquet.schema.column(number) for number in range(len(parquet.schema))]
    return [
        (column.path, column.physical_type, str(column.logical_type), column.max_definition_level, column.max_repetition_level)
        for column in found
    ]


def wrong_columns(parquet: pq.ParquetFile, dataset: str, permutations: int) -> str | None:
    """What in a file's columns is not as the dataset's: names, order and types, so that no two readers see other things."""
    schema, columns = _expected(dataset, permutations)
    there = parquet.schema_arrow
    if there.names != schema.names:
        strange = [name for name in there.names if name not in schema.names] or [n for n in schema.names if n not in there.names]
        return f"its columns are not those of {dataset}, in their order: {', '.join(strange[:3]) or 'another order, or one twice'}"
    for field, wanted in zip(there, schema, strict=True):
        if not field.equals(wanted):
            return f"its columns are not those of {dataset}: {field.name} is {field.type}, and {wanted.type} is written there"
    if _columns(parquet) != columns:
        return f"its columns are not those of {dataset}: Parquet's own types of them are others"
    return None


@dataclass
class Aligned:
    """What a file that is row-aligned with documents says: digests of its keys and levels (as `DocumentRows`) and, a bit a row,
    which are tagged human, or have a sketch."""

    rows: int
    keys: str
    levels: str
    bits: bytes

    def flags(self) -> np.ndarray:
        """The bits as a boolean array of shape (rows,)."""
        return unpacked(self.bits, self.rows)


def unpacked(bits: bytes, rows: int) -> np.ndarray:
    """A boolean array of shape (rows,) from its packed bits."""
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=rows).astype(np.bool_)


def columns_of(dataset: str) -> list[str]:
    """The columns of a row-aligned dataset that are read."""
    return ["key", "origin", "attestation"] if dataset == "tags" else ["key", "shingles"]


def read_aligned(dataset: str, batches: Iterable[pa.RecordBatch]) -> Aligned:
    """Goes through a file of tags or signatures. Raises `ValueError` for a row without a key or with an unknown origin."""
    keys, levels, rows, flags = hashlib.sha256(), hashlib.sha256(), 0, [np.zeros(0, np.bool_)]
    for batch in batches:
        keys.update("".join(_keys(batch)).encode())
        rows += batch.num_rows
        if dataset == "tags":
            origin = batch.column("origin")
            if not pc.all(pc.is_in(origin, value_set=pa.array(ORIGINS))).as_py():
                raise ValueError(f"an origin is none of {', '.join(ORIGINS)}")
            flags.append(pc.equal(origin, "human").to_numpy(zero_copy_only=False))
            levels.update("\n".join([*map(str, batch.column("attestation").to_pylist()), ""]).encode())
        else:
            shingles = batch.column("shingles").to_numpy()
            if (shingles < 0).any():
                raise ValueError("a number of shingles is negative")
            flags.append(shingles > 0)
    return Aligned(rows, keys.hexdigest(), levels.hexdigest(), np.packbits(np.concatenate(flags)).tobytes())


def _keys(batch: pa.RecordBatch) -> list[str]:
    values: list[str] = batch.column("key").to_pylist()
    if any(len(value or "") != 32 for value in values):
        raise ValueError("a row has no key")
    return values


def strangers(evidence: pa.ChunkedArray, documents: pa.ChunkedArray) -> Fault | None:
    """The first row of a file of evidence whose key is of none of the documents in the file beside it, given both files' keys."""
    known = pc.is_in(evidence, value_set=documents, skip_nulls=True)
    row = pc.index(known, False).as_py()
    return None if row < 0 else Fault(row, f"it is of {evidence[row].as_py()}, which is none of the documents beside it")


@dataclass
class BandRows:
    """What one file of bands says: which band, and count and keyed sum of the documents in it."""

    band: int
    rows: int = 0
    total: int = 0
    fault: Fault | None = None


def read_bands(path: str, batches: Iterable[pa.RecordBatch], rows: np.ndarray, secret: bytes) -> BandRows:
    """Goes through a file of bands: sorted hashes of its range, and places of documents; `rows` has the number of rows of
    each documents file (shape (files,), int64)."""
    named = _BAND.search(path)
    if named is None:
        raise ValueError("its name does not say which band it holds")
    band, part, ranges = (int(number) for number in named.groups())
    found, before = BandRows(band), 0
    for batch in batches:
        hashes, parts, places = (batch.column(name).to_numpy() for name in ("hash", "part", "row"))
        following = np.concatenate([np.array([before], np.uint64), hashes])
        inside = (parts >= 0) & (parts < len(rows))
        inside[inside] = (places[inside] >= 0) & (places[inside] < rows[parts[inside]])
        ranged = (hashes >> np.uint64(32)) * np.uint64(ranges) >> np.uint64(32) == part
        for right, why in (
            (following[1:] >= following[:-1], "its hash is less than the one before"),
            (ranged, "its hash is not of the range that the file's name says"),
            (inside, "no document stands where it says"),
        ):
            if not right.all():
                found.fault = Fault(found.rows + int(np.argmin(right)), why)
                return found
        before = hashes[-1] if len(hashes) else before
        found.total = (found.total + keyed(parts.astype(np.int64), places.astype(np.int64), secret)) & _MASK
        found.rows += batch.num_rows
    return found


_MASK = (1 << 64) - 1


def keyed(parts: np.ndarray, rows: np.ndarray, secret: bytes) -> int:
    """The sum, modulo 2**64, of places of documents, each through splitmix64's finaliser under a secret, so that only equal
    multisets share it; who does not know the secret can prepare no other."""
    low, high = np.frombuffer(secret[:16], np.uint64)
    x = ((parts.astype(np.uint64) << np.uint64(32)) | rows.astype(np.uint64)) ^ low
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        x = (x ^ (x >> np.uint64(shift))) * np.uint64(factor) + high
    return int((x ^ (x >> np.uint64(31))).sum(dtype=np.uint64))


def wrong_bands(sketches: list[Aligned], read: dict[str, BandRows], bands: int, secret: bytes) -> dict[str, str]:
    """What is wrong by path of a file of bands, or by the empty path for a band that has none: each has each document with a
    sketch, once. `sketches` are of the documents files in their order."""
    count, total = 0, 0
    for part, aligned in enumerate(sketches):
        rows = np.flatnonzero(aligned.flags())
        count += len(rows)
        total += keyed(np.full(len(rows), part), rows, secret)
    held = dict.fromkeys(range(bands), (0, 0))
    first: dict[int, str] = {}
    for path, part_of in read.items():
        before = held.get(part_of.band, (0, 0))
        held[part_of.band] = (before[0] + part_of.rows, before[1] + part_of.total)
        first.setdefault(part_of.band, path)
    return {
        first.get(band, ""): f"band {band} does not hold each of the {count} documents that have a sketch once, and nothing else"
        for band, (rows_of, sum_of) in held.items()
        if band >= bands or (rows_of, sum_of & _MASK) != (count, total & _MASK)
    }


def wrong_source(batches: Iterable[pa.RecordBatch]) -> str | None:
    """Why a file of sources loses records, None where it does not."""
    for batch in batches:
        for row in batch.to_pylist():
            if row["records"] != row["documents"] + row["rejects"] or row["unaccounted"]:
                return f"{row['file_path']}: records are not documents + rejects"
    return None
