"""The tails of a mix: words counted and judged for each CPU-second, and near copies found inside a snapshot.

Counting is that of a documents file, Parquet read and written included, beside `collections.Counter` over the same texts. The snapshot
is made of random signatures without texts: one document in ten is a near copy of an earlier one, one in a hundred of one and the same, and
one in a hundred stands in a bucket that thousands of unlike ones share. `BENCH_TAILS=200000,2000000` takes other numbers of documents.
"""

import os
import re
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.inputs import Inputs
from tests.bench.measure import Row, best, measure

SIZES = (50_000, 500_000)
PER_FILE = 50_000
COPIED, ONE = 0.11, 0.01
"""Shares of near copies, and of those of one document."""
MEGABYTES = 30.0
"""Goal of counting, in MB for each CPU-second."""
WORD = re.compile(r"\w+")


def plain(texts: list[str]) -> Counter[str]:
    """Document frequencies in plain Python."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update(set(WORD.findall(text.lower())))
    return found


def counting(inputs: Inputs) -> list[Row]:
    from pipelines import rarity
    from pipelines.stage import Stage, urls
    from tests.mixes import Here

    folder, here = Path(inputs.folder) / "tails", Here()
    folder.mkdir()
    table = pa.concat_tables([pq.read_table(path, columns=["text"]) for path in inputs.rows])
    parts = [str(folder / "documents.parquet")]
    pq.write_table(table, parts[0], compression="zstd", row_group_size=8192)
    rows, few, size = [np.arange(len(table))], [np.arange(10)], table.nbytes / 1e6
    rarity.deciles(parts, few, few, str(folder / "warm"), here)
    work = str(folder / "work")
    (counted, receipts), counting = best(lambda: rarity._count(parts, rows, rows, work, here, "human"))
    merge = rarity._ranges("words", "MergeWords", counted, receipts, work)
    merged, merging = best(lambda: here.run(merge))
    words = sum(receipt["words"] for receipt in merged.values())
    context = {"frequencies": urls(merge.folder, merged, "frequencies"), "words": words, "documents": len(table)}
    judge = Stage("rarity", "pipelines.rarity:JudgeTexts", work, context, rarity._parts(parts, rows, None, work, "judged"))
    _, judging = best(lambda: here.run(judge))
    some = table["text"].slice(0, len(table) // 4).to_pylist()
    _, theirs = best(lambda: plain(some), 2)
    slow, own = sum(len(text.encode()) for text in some) / 1e6 / theirs.cpu, size / counting.cpu
    all_words = sum(entry["rows"] for receipt in receipts.values() for entry in receipt["files"])
    return [
        Row("words counted, from a documents file", own, "MB/CPU-s", own / MEGABYTES, 1, f"{size:.0f} MB of text"),
        Row("the same", len(table) / counting.cpu, "documents/CPU-s", own / slow, note="ratio: over Counter in plain Python"),
        Row("Counter in plain Python", slow, "MB/CPU-s"),
        Row("counts put together", all_words / merging.cpu, "words/CPU-s"),
        Row("texts judged, from a documents file", size / judging.cpu, "MB/CPU-s", note=f"{words:,} words in the table"),
    ]


def signatures(count: int, rng: np.random.Generator) -> np.ndarray:
    """Random minima; copies differ in a tenth of them at most."""
    from provenance.minhash import MinHash

    width = MinHash().permutations
    made = rng.integers(0, 1 << 32, (count, width), np.uint32)
    kinds, fresh = rng.random(count), rng.random((count, width)) < 0.1 * rng.random((count, 1))
    copies = np.flatnonzero(kinds < COPIED)
    copies = copies[copies > 0]
    origins = np.where(kinds[copies] < COPIED - ONE, rng.integers(0, copies), 0)
    # A copy of a copy is one of what that had before: chains are not what is measured here.
    made[copies] = np.where(fresh[copies], made[copies], made[origins])
    made[(kinds >= COPIED) & (kinds < COPIED + ONE), :5] = 7
    return made


def snapshot(folder: Path, count: int) -> str:
    """A snapshot of so many documents without texts; its folder."""
    from provenance import bands, minhash, schema
    from provenance.minhash import MinHash
    from store import index, manifest, tables
    from tests import mixes

    rng, options = np.random.default_rng(3), MinHash()
    made, entries = signatures(count, rng), []
    kind = schema.signatures(options.permutations, options.bits)
    columns = schema.SNAPSHOT_DOCUMENTS
    for number, start in enumerate(range(0, count, PER_FILE)):
        some = made[start : start + PER_FILE]
        keys = pa.array([f"{value:032x}" for value in rng.integers(0, 1 << 62, len(some)).tolist()])
        dates = pa.array(rng.integers(10**15, 16 * 10**14, len(some)), pa.int64()).cast(schema.TIME)
        given = {
            "key": keys,
            "content_id": keys,
            "payload_digest": keys,
            "date_end": dates,
            "attestation": pa.repeat("captured", len(some)),
        }
        table = pa.table([given.get(field.name, pa.nulls(len(some), field.type)) for field in columns], schema=columns)
        entries.append(tables.write(str(folder), f"documents/p-{number:05d}.parquet", table, columns))
        sketch = pa.FixedSizeListArray.from_arrays(pa.array(some.reshape(-1)), options.permutations)
        table = pa.table([keys, sketch, pa.repeat(pa.scalar(300, pa.int32()), len(some))], names=kind.names).cast(kind)
        entries.append(tables.write(str(folder), f"signatures/p-{number:05d}.parquet", table, kind))
    places = np.arange(count)
    places = bands.location(places // PER_FILE, places % PER_FILE)
    for band in range(options.bands):
        hashes = bands.band_hashes(made, options, [band])[:, 0]
        order = np.argsort(hashes, kind="stable")
        name = index.path("made", "bands", band, 0, 1)
        entries.append(index.write(str(folder), name, hashes[order], places[order]))
    body = mixes.snapshot_body(entries, [[]], [], parameters={"minhash": minhash.parameters(options)})
    return manifest.write_snapshot(str(folder), body).url


def clustering(inputs: Inputs) -> list[Row]:
    from pipelines import near_copies
    from store import manifest

    found = []
    for count in map(int, os.environ.get("BENCH_TAILS", ",".join(map(str, SIZES))).split(",")):
        folder = Path(inputs.folder) / f"near-{count}"
        opened = manifest.open_snapshot(snapshot(folder, count))
        near_copies.clusters(opened, str(folder / "scratch"))
        table, cost = measure(lambda opened=opened, folder=folder: near_copies.clusters(opened, str(folder / "scratch")))
        note = f"{count:,} documents, {table.num_rows:,} in {len(table['cluster'].unique()):,} clusters"
        found.append(Row("near copies of a snapshot", count / cost.cpu, "documents/CPU-s", note=note))
    return found


def run(inputs: Inputs) -> list[Row]:
    return counting(inputs) + clustering(inputs)
