"""MDS shards, written by mosaicml-streaming's own writer and read without it.

Each shard is a folder that stands alone as a `StreamingDataset`: `data/NAME/shard.00000.mds` and the `index.json` that describes it.
`data/index.json` joins them all, as streaming's `merge_index` does. Nothing is compressed. MDS knows no null, and the loaders of torch
cannot batch one: a null text is empty, and the column `nulls` says which are, a bit for each of `NULLABLE`.

The layout, all integers little-endian: uint32 number of samples n; n + 1 uint32 offsets, where samples start and the last one ends; the
columns as JSON; the samples, each a uint32 size for every column without a fixed one, then the values.
"""

import json
import struct
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa

from provenance.schema import SHARD, TIME
from store.errors import UsageError
from store.shards import Create, Open, _times

NAME = "mds"
TOKENS = False
FILE = "shard.00000.mds"
INDEX = "index.json"
NULLABLE = ("id", "url", "date", "language")
"""Columns that may be null, by their bit in `nulls`: the first has 1, the next 2."""
BATCH_BYTES = 16 << 20
LARGEST = (1 << 32) - 1
"""The last offset that fits an MDS file."""

_ENCODINGS = {pa.string(): "str", TIME: "str", pa.int32(): "int32"}
_COLUMNS = {field.name: _ENCODINGS[field.type] for field in SHARD} | {"nulls": "uint8"}
_SIZES: dict[str, int | None] = {"str": None, "int32": 4, "uint8": 1}
_NAMES = sorted(_COLUMNS)
_TEXTS = [name for name in _NAMES if _COLUMNS[name] == "str"]
_FIXED = [name for name in _NAMES if _COLUMNS[name] != "str"]
_CONFIG: dict[str, Any] = {
    "version": 2,
    "format": "mds",
    "compression": None,
    "hashes": [],
    "size_limit": None,
    "column_names": _NAMES,
    "column_encodings": [_COLUMNS[name] for name in _NAMES],
    "column_sizes": [_SIZES[_COLUMNS[name]] for name in _NAMES],
}
_HEADER = json.dumps(_CONFIG, sort_keys=True).encode()


def paths(name: str, root: str = "") -> tuple[str, ...]:
    """The samples of a shard and their index."""
    return f"{root}data/{name}/{FILE}", f"{root}data/{name}/{INDEX}"


def pattern(root: str = "") -> str | None:
    """Null: `datasets` reads no MDS."""
    return None


def features() -> list[dict[str, Any]] | None:
    """Null: `datasets` reads no MDS."""
    return None


def whole(read: Callable[[str], bytes], names: Sequence[str], root: str = "") -> dict[str, bytes]:
    """The index of all shards together, with each one's folder before its file."""
    shards = []
    for name in names:
        for shard in json.loads(read(paths(name, root)[1]))["shards"]:
            shard["raw_data"]["basename"] = f"{name}/{shard['raw_data']['basename']}"
            shards.append(shard)
    return {f"{root}data/{INDEX}": json.dumps({"version": 2, "shards": shards}, sort_keys=True).encode()}


def index(samples: int, size: int) -> bytes:
    """The `index.json` that belongs to a file of so many samples and bytes, as `MDSWriter` writes it."""
    raw = {"basename": FILE, "bytes": size, "hashes": {}}
    return json.dumps(
        {"version": 2, "shards": [_CONFIG | {"samples": samples, "raw_data": raw, "zip_data": None}]}, sort_keys=True
    ).encode()


def write(create: Create, name: str, batches: Iterable[pa.RecordBatch], options: Mapping[str, Any], root: str = "") -> int:
    """Writes one sample per row; returns the number of rows. The writer holds the whole shard in memory.

    Raises `UsageError` where mosaicml-streaming is not installed, and for a shard that is too large for 32-bit offsets.
    """
    try:
        from streaming.base.format.mds import MDSWriter
    except ImportError as error:
        raise UsageError(
            f"mosaicml-streaming cannot be imported ({error}), and format mds writes with it. Run pip install lowbackground[mds], then "
            "pip install --no-deps mosaicml-streaming; or set mix.format to another one."
        ) from error
    rows = 0
    with tempfile.TemporaryDirectory() as folder:
        writer: Any = MDSWriter(columns=_COLUMNS, out=str(Path(folder, "shard")), size_limit=None, max_workers=1)
        size = 8 + len(_HEADER)
        for batch in batches:
            for sample in _samples(batch):
                writer.write(sample)
            rows += batch.num_rows
            size = writer.new_shard_size
            if size > LARGEST:
                raise UsageError(
                    f"shard {name} has {size} bytes or more, and the offsets of MDS end at {LARGEST}. Set mix.shard_bytes lower, or mix.shards higher."
                )
        if not rows:
            writer.flush_shard()  # `finish` would leave out the file, and every shard of a mix is there
        writer.finish()
        for path, made in zip(paths(name, root), (FILE, INDEX), strict=True):
            with create(path) as sink, Path(folder, "shard", made).open("rb") as source:
                while block := source.read(1 << 20):
                    sink.write(block)
    return rows


def _samples(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    columns: dict[str, list[Any]] = {}
    nulls = np.zeros(batch.num_rows, np.uint8)
    for field in SHARD:
        column = batch.column(field.name)
        if field.name in NULLABLE:
            nulls |= column.is_null().to_numpy(zero_copy_only=False).astype(np.uint8) << NULLABLE.index(field.name)
        if field.type == TIME:
            column = _times.texts(column)
        columns[field.name] = (column if field.type == pa.int32() else column.fill_null("")).to_pylist()
    columns["nulls"] = nulls.tolist()
    return (dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True))


def read(open_: Open, name: str, options: Mapping[str, Any], root: str = "") -> Iterator[pa.RecordBatch]:
    """The rows in order. Raises `ValueError` for a file that `write` would not have written, and an index that is not exactly its own."""
    data, beside = paths(name, root)
    with open_(data) as source:
        size = source.seek(0, 2)
        source.seek(0)
        (samples,) = struct.unpack("<I", _exactly(source, 4))
        first = 4 + 4 * (samples + 1) + len(_HEADER)
        if first > size:
            raise ValueError(f"says that it has {samples} samples, and is too short for their offsets")
        offsets = np.frombuffer(_exactly(source, 4 * (samples + 1)), "<u4").astype(np.int64)
        if offsets[0] != first or offsets[-1] != size or (np.diff(offsets) < 0).any():
            raise ValueError("the offsets of the samples are not those of samples that follow each other to the end of the file")
        if _exactly(source, len(_HEADER)) != _HEADER:
            raise ValueError("the columns in its head are not a shard's")
        with open_(beside) as index_file:
            if index_file.read(len(_HEADER) + (1 << 16)) != index(samples, size):
                raise ValueError(f"{INDEX} is not exactly the one that belongs to {FILE}")
        for batch in _groups(offsets):
            yield _times.batch([_sample(_exactly(source, length)) for length in batch])


def _exactly(source: BinaryIO, size: int) -> bytes:
    data = source.read(size)
    if len(data) != size:
        raise ValueError(f"breaks off: {size} bytes should follow, and {len(data)} do")
    return data


def _groups(offsets: np.ndarray) -> list[list[int]]:
    """The lengths of the samples, in groups of about `BATCH_BYTES`."""
    lengths = np.diff(offsets)
    if not len(lengths):
        return []
    group = (offsets[1:] - offsets[0]) // BATCH_BYTES
    return [part.tolist() for part in np.split(lengths, np.flatnonzero(np.diff(group)) + 1)]


def _sample(data: bytes) -> dict[str, Any]:
    """The values of a sample. Raises `ValueError` unless they take all its bytes."""
    at = 4 * len(_TEXTS)
    sizes = dict(zip(_TEXTS, struct.unpack(f"<{len(_TEXTS)}I", data[:at]), strict=True)) if len(data) >= at else {}
    if not sizes or at + sum(sizes.values()) + sum(_SIZES[_COLUMNS[name]] or 0 for name in _FIXED) != len(data):
        raise ValueError("a sample's sizes do not add up to its bytes")
    row: dict[str, Any] = {}
    for name in _NAMES:
        size = sizes[name] if name in sizes else _SIZES[_COLUMNS[name]] or 0
        value = data[at : at + size]
        row[name] = value.decode() if name in sizes else int.from_bytes(value, "little", signed=_COLUMNS[name] == "int32")
        at += size
    nulls = row.pop("nulls")
    for bit, name in enumerate(NULLABLE):
        if nulls >> bit & 1:
            if row[name]:
                raise ValueError(f"a sample says that {name} is null and has one")
            row[name] = None
    if nulls >> len(NULLABLE):
        raise ValueError("a sample says that a column is null that cannot be")
    return row
