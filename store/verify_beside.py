"""What stands beside the documents of a snapshot, row by row, and what no leaf binds: tags, signatures, evidence; and all columns' types."""

import functools
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.schema import BANDS, EVIDENCE, INDEXES, LEAVES, ORIGINS, REJECTS, SNAPSHOT_DOCUMENTS, SOURCES, TAGS, signatures
from store.damage import Fault
from store.verify_index import Index, SketchRows, matrix

SCHEMAS = {
    "documents": SNAPSHOT_DOCUMENTS,
    "leaves": LEAVES,
    "rejects": REJECTS,
    "sources": SOURCES,
    **dict.fromkeys(INDEXES, BANDS),
    "evidence": EVIDENCE,
    "tags": TAGS,
}


@functools.cache
def _expected(dataset: str, permutations: int, bits: int) -> tuple[pa.Schema, list[tuple[Any, ...]]]:
    """The Arrow schema of a dataset, and the Parquet columns that it is written as."""
    schema = signatures(permutations, bits) if dataset == "signatures" else SCHEMAS[dataset]
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


def wrong_columns(parquet: pq.ParquetFile, dataset: str, permutations: int, bits: int) -> str | None:
    """What in a file's columns is not as the dataset's: names, order and types, so that no two readers see other things."""
    schema, columns = _expected(dataset, permutations, bits)
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
    sketches: SketchRows | None = None
    fault: Fault | None = None

    def flags(self) -> np.ndarray:
        """The bits as a boolean array of shape (rows,)."""
        return unpacked(self.bits, self.rows)


def unpacked(bits: bytes, rows: int) -> np.ndarray:
    """A boolean array of shape (rows,) from its packed bits."""
    return np.unpackbits(np.frombuffer(bits, np.uint8), count=rows).astype(np.bool_)


def columns_of(dataset: str) -> list[str]:
    """The columns of a row-aligned dataset that are read."""
    return ["key", "origin", "attestation"] if dataset == "tags" else ["key", "signature", "shingles"]


def read_aligned(dataset: str, batches: Iterable[pa.RecordBatch], index: Index, part: int) -> Aligned:
    """Goes through a file of tags or signatures, that of the documents file of the number `part`. Raises `ValueError` for a row
    without a key, with an unknown origin or with a signature that is none."""
    keys, levels, rows, flags = hashlib.sha256(), hashlib.sha256(), 0, [np.zeros(0, np.bool_)]
    sketches, fault = None if dataset == "tags" else SketchRows(), None
    for batch in batches:
        keys.update("".join(_keys(batch)).encode())
        start, rows = rows, rows + batch.num_rows
        if sketches is None:
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
            fault = index.signatures(part, start, matrix(batch.column("signature")), shingles, sketches)
            if fault is not None:
                break
    bits = np.packbits(np.concatenate(flags)).tobytes()
    found = Aligned(rows, keys.hexdigest(), levels.hexdigest(), bits, sketches, fault)
    if sketches is not None:
        index.aligned[part] = found
    return found


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


def wrong_source(batches: Iterable[pa.RecordBatch]) -> str | None:
    """Why a file of sources loses records, None where it does not."""
    for batch in batches:
        for row in batch.to_pylist():
            if row["records"] != row["documents"] + row["rejects"] or row["unaccounted"]:
                return f"{row['file_path']}: records are not documents + rejects"
    return None
