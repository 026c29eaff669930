"""Mixing: MB of text per CPU-second beside a bare pyarrow copy of the same rows, start-up apart; each format beside its library; memory."""

import contextlib
import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from provenance.mixture import Mix
from store import files, shards
from tests.bench.inputs import Inputs
from tests.bench.measure import ROOT, Cost, Row, best, measure

GOAL = 0.7
MEGABYTES = 300
"""Text of the larger mix: by then what a run costs whatever its size is a small part of it."""
SHARDS = 8
PARTS = 8
TIMES = 3
TOKENISED = 300
"""Rows that are encoded: a tokenizer does a MB or two in a second."""

HELD = """import resource, subprocess, sys
subprocess.run(sys.argv[1:], stdout=subprocess.DEVNULL, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)"""
"""Prints the most memory that a command held, in KiB. What starts a process counts as held by it, so that it has to be small itself."""


def text_bytes(mix: str) -> int:
    """UTF-8 bytes of text in the shards of a mix."""
    columns = (pq.read_table(path, columns=["text"])["text"] for path in sorted(Path(mix).glob("data/*.parquet")))
    return sum(pc.sum(pc.binary_length(column)).as_py() or 0 for column in columns)


def copy(mix: str, into: Path) -> None:
    """Reads every row group of the shards and writes it again with the same compression."""
    into.mkdir(exist_ok=True)
    for path in sorted(Path(mix).glob("data/*.parquet")):
        source = pq.ParquetFile(path)
        compression = source.metadata.row_group(0).column(0).compression
        with pq.ParquetWriter(into / path.name, source.schema_arrow, compression=compression) as writer:
            for group in range(source.num_row_groups):
                writer.write_table(source.read_row_group(group))


def mixed(snapshot: str, run: str, into: str, count: int) -> tuple[Cost, int]:
    """Mixes into so many shards in a process of its own; what it cost, and the most memory that it held, in bytes."""
    options = [
        "--floor",
        "0.5",
        "--min-attestation",
        "captured",
        f"--mix.shards={count}",
        "--mix.coverage=false",
        "--json",
        "--quiet",
    ]
    command = [sys.executable, "-m", "pipelines.cli", "mix", run, "--snapshot", snapshot, "--into", into, *options]

    def work() -> int:
        done = subprocess.run([sys.executable, "-c", HELD, *command], cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"mix exited with an error: {done.stderr[-600:].strip()}")
        return int(done.stdout) * 1024

    held, cost = measure(work)
    return cost, held


def cheapest(inputs: Inputs, into: str) -> tuple[Cost, Cost, Cost, int]:
    """The least that starting, mixing and copying cost, each done `TIMES` in turns, so that what else the machine does meets all alike;
    and the most memory that mixing held. What is mixed last stays at `into`."""
    starts, mixes, copies, held = [], [], [], 0
    for number in range(TIMES):
        shutil.rmtree(into, ignore_errors=True)
        starts.append(mixed(*inputs.sized(0, 1), f"{into}-tiny-{number}", 1)[0])
        cost, peak = mixed(*inputs.sized(MEGABYTES, PARTS), into, SHARDS)
        mixes.append(cost)
        held = max(held, peak)
        copies.append(measure(lambda: copy(into, inputs.folder / "copy"))[1])
    start, whole, bare = (min(costs, key=lambda cost: cost.cpu) for costs in (starts, mixes, copies))
    return start, whole, bare, held


def against_a_copy(what: str, mix: str, cost: Cost, bare: Cost, goal: float | None) -> list[Row]:
    """MB per CPU-second of a mix beside those of a copy of its rows."""
    size = text_bytes(mix) / 1e6
    ours, theirs = size / cost.cpu, size / bare.cpu
    return [
        Row(what, ours, "MB/CPU-s", ratio=ours / theirs, goal=goal, note=f"{size:.1f} MB of text"),
        Row("a bare copy of its rows", theirs, "MB/CPU-s"),
    ]


def memory(inputs: Inputs, into: str, whole: int) -> Row:
    """Most memory of a mix of so many shards beside that of one of half as many, each as large."""
    half = mixed(*inputs.sized(MEGABYTES // 2, PARTS // 2), f"{into}-half", SHARDS // 2)[1]
    note = f"{half / 1e6:.0f} MB for half as many shards of the same size"
    return Row(f"memory of mix, {SHARDS} shards", whole / 1e6, "MB", ratio=whole / half, note=note)


Write = Callable[[Path], Any]


def through(name: str, batches: list[pa.RecordBatch], options: dict[str, Any]) -> Write:
    """Writes a shard through the module of a format."""

    def write(folder: Path) -> None:
        @contextlib.contextmanager
        def create(path: str) -> Iterator[Any]:
            with files.create(str(folder / path)) as sink:
                yield sink

        shards.named(name).write(create, shards.shard_name(0, 1), iter(batches), options)

    return write


def parquet(batches: list[pa.RecordBatch]) -> Write:
    """Writes rows as pyarrow does by itself."""

    def write(folder: Path) -> None:
        with pq.ParquetWriter(folder / "rows.parquet", batches[0].schema, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch, row_group_size=batch.num_rows)

    return write


def jsonl(batches: list[pa.RecordBatch]) -> Write:
    """Writes rows as one object per line, with msgspec and zstandard."""
    import zstandard

    def write(folder: Path) -> None:
        encoder = msgspec.json.Encoder()
        with zstandard.open(folder / "rows.jsonl.zst", "wb", cctx=zstandard.ZstdCompressor(level=1)) as out:
            for batch in batches:
                out.write(b"".join([encoder.encode(row) + b"\n" for row in batch.to_pylist()]))

    return write


def mds(batches: list[pa.RecordBatch]) -> Write:
    """Writes rows through MDSWriter."""
    from streaming import MDSWriter

    columns = {field.name: "int32" if pa.types.is_integer(field.type) else "str" for field in batches[0].schema}

    def write(folder: Path) -> None:
        with MDSWriter(out=str(folder / "mds"), columns=columns) as out:
            for batch in batches:
                for row in batch.to_pylist():
                    out.write({name: np.int32(x) if isinstance(x, int) else str(x or "") for name, x in row.items()})

    return write


def formats(mix: str, folder: Path) -> list[Row]:
    """MB of text per CPU-second of each format's module, beside its library's own writer, on the rows of one shard in memory."""
    path = sorted(Path(mix).glob("data/*.parquet"))[0]
    with pq.ParquetFile(path) as source:
        batches = [source.read_row_group(group).combine_chunks().to_batches()[0] for group in range(source.num_row_groups)]
    size, options, rows = (
        sum(pc.sum(pc.binary_length(batch["text"])).as_py() for batch in batches) / 1e6,
        msgspec.to_builtins(Mix()),
        [],
    )
    for name, own, library in (
        ("parquet", parquet, "pyarrow"),
        ("jsonl", jsonl, "msgspec and zstandard"),
        ("mds", mds, "MDSWriter"),
    ):
        try:
            theirs = own(batches)
        except ImportError as error:
            rows.append(Row(f"format {name}", None, "MB/CPU-s", note=f"did not run: {error}"))
            continue
        rows += beside(name, size, through(name, batches, options), theirs, library, folder)
    few = [batches[0].slice(0, TOKENISED)]
    return [*rows, *tokens(few, pc.sum(pc.binary_length(few[0]["text"])).as_py() / 1e6, folder)]


def beside(name: str, size: float, ours: Write, theirs: Write, library: str, folder: Path) -> list[Row]:
    """Two ways of writing the same text."""
    into = folder / name
    into.mkdir(parents=True, exist_ok=True)
    rates = [size / best(functools.partial(write, into))[1].cpu for write in (ours, theirs)]
    return [
        Row(f"format {name}", rates[0], "MB/CPU-s", ratio=rates[0] / rates[1], note=f"{size:.1f} MB of text"),
        Row(f"{library} alone", rates[1], "MB/CPU-s"),
    ]


def tokens(batches: list[pa.RecordBatch], size: float, folder: Path) -> list[Row]:
    """Packed tokens, encoding included, beside the tokenizer and pyarrow alone."""
    try:
        import tokenizers

        from pipelines import packing
        from pipelines.tokenizer import Tokenizer
        from tests import vocabularies

        data = vocabularies.packed("byte_level")
    except ImportError as error:
        return [Row("format tokens", None, "MB/CPU-s", note=f"did not run: {error}")]
    table = pa.Table.from_batches(batches)
    columns = {name: table[name].combine_chunks() for name in table.column_names if name not in ("text", "chunk", "chunks")}
    mix = Mix(format="tokens", units=("tokens",), tokenizer="bench")

    def ours(folder: Path) -> None:
        made = Tokenizer(data)
        encoded = packing.encode(table["text"], np.arange(table.num_rows), made, mix.chunk_tokens)
        order = np.arange(len(encoded.document))
        through("tokens", list(packing.rows(encoded, order, columns, mix, made)), msgspec.to_builtins(mix))(folder)

    def theirs(folder: Path) -> None:
        made, length = tokenizers.Tokenizer.from_str(json.loads(data)["tokenizer"]), mix.sequence_length
        found = [np.array(made.encode(text).ids, np.int32) for text in table["text"].to_pylist()]
        ids = np.concatenate(found)
        packed = pa.FixedSizeListArray.from_arrays(pa.array(ids[: len(ids) // length * length]), length)
        pq.write_table(pa.table({"input_ids": packed}), folder / "packed.parquet", compression="zstd")

    return beside("tokens", size, ours, theirs, "the tokenizer and pyarrow", folder)


def run(inputs: Inputs) -> list[Row]:
    tiny_mix, small = inputs.tiny_mix[1], inputs.mix
    into = str(inputs.folder / "sized-mix")
    start, cost, bare, held = cheapest(inputs, into)
    rows = against_a_copy(f"mix of {SHARDS} shards", into, cost - start, bare, GOAL)
    _, bare = best(lambda: copy(small[0], inputs.folder / "small-copy"))
    rows += against_a_copy("mix of few pages", small[0], small[1] - tiny_mix, bare, None)
    rows += [Row("start-up of mix", start.cpu, "CPU-s"), memory(inputs, into, held)]
    return rows + formats(into, inputs.folder / "formats")
