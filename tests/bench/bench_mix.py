"""Mixing: MB of text per CPU-second beside a bare pyarrow copy of the same rows, start-up apart."""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.bench.inputs import Inputs
from tests.bench.measure import Row, best

GOAL = 0.7


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


def run(inputs: Inputs) -> list[Row]:
    mix, cost = inputs.mix
    tiny = inputs.tiny_mix[1]
    size = text_bytes(mix) / 1e6
    _, bare = best(lambda: copy(mix, inputs.folder / "copy"))
    ours, theirs = size / (cost - tiny).cpu, size / bare.cpu
    return [
        Row("mix", ours, "MB/CPU-s", ratio=ours / theirs, goal=GOAL, note=f"{size:.1f} MB of text"),
        Row("a bare copy of its rows", theirs, "MB/CPU-s"),
        Row("start-up of mix", tiny.cpu, "CPU-s"),
    ]
