"""Postings become indexes: the same files for every order of arrival, cut by what parts send, without what was left out."""

import random
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import config, indexing
from provenance import minhash, postings, schema, shingles
from provenance.identity import content_id
from provenance.minhash import MinHash
from provenance.postings import LEFT_OUT, Layout, Postings
from store import tables
from store.errors import Incomplete

OPTIONS = MinHash(permutations=20, bands=4, rows=5)
LAYOUT = Layout(4, 2, 3)
EVERY = frozenset(partition for dataset in schema.INDEXES for partition in LAYOUT.kind(dataset))


def texts(count: int, seed: int) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(f"w{rng.randrange(900)}" for _ in range(rng.randrange(1, 200))) for _ in range(count)]


def posted(base: Path, name: str, some: list[str]) -> tuple[Postings, dict[str, Any]]:
    """Postings of some texts, of which every fifth was left out, as a part of the index stage."""
    gathered = Postings(OPTIONS)
    hashes, offsets = shingles.shingle_sets(pa.array(some), OPTIONS)
    minima = minhash.minima(hashes, offsets, OPTIONS)
    gathered.add(minima, np.diff(offsets), pa.array([content_id(text) for text in some]), hashes)
    kept = np.arange(len(some)) % 5 > 0
    rows = np.where(kept, np.cumsum(kept) - 1, LEFT_OUT)
    entries = [indexing.write_postings(str(base), name, gathered), indexing.write_places(str(base), name, rows)]
    part = {"name": name, "number": int(name), **{entry["path"].split("/")[0]: str(base / entry["path"]) for entry in entries}}
    return gathered, part


def build(base: Path, parts: list[dict[str, Any]], turn: int = 1) -> dict[str, str]:
    """Runs the step over all partitions; the digest of each file."""
    step = indexing.BuildIndex({"folder": str(base), "layout": list(LAYOUT), "prefix": "p"})
    blobs: dict[int, list[bytes]] = {partition: [] for partition in EVERY}
    for part in parts[::turn]:
        for partition, blob in step.split(part, EVERY):
            blobs[partition].append(blob)
    receipts = [step.join(partition, found[::turn]) for partition, found in blobs.items()]
    return {entry["path"]: entry["sha256"] for receipt in receipts for entry in receipt["files"]}


def test_an_index_holds_what_was_kept_sorted_and_the_same_for_every_order(tmp_path: Path) -> None:
    some = [texts(40, 1), texts(30, 2)]
    parts = []
    expected: dict[str, list[tuple[int, int, int]]] = {name: [] for name in schema.INDEXES}
    for number, found in enumerate(some):
        gathered, part = posted(tmp_path, f"{number:06d}", found)
        parts.append(part)
        for index, value, row in zip(
            *(pa.concat_tables(gathered.tables())[n].to_pylist() for n in postings.SCHEMA.names), strict=True
        ):
            if row % 5:
                expected[postings.DATASETS[max(index - OPTIONS.bands + 1, 0)]].append((value, number, row - row // 5 - 1))
    digests = build(tmp_path / "a", parts)
    assert build(tmp_path / "b", parts, -1) == digests
    got: dict[str, list[tuple[int, int, int]]] = {name: [] for name in schema.INDEXES}
    for path in digests:
        table = pq.read_table(tmp_path / "a" / path)
        assert table.schema.equals(schema.BANDS)
        rows = list(zip(*(table[name].to_pylist() for name in schema.BANDS.names), strict=True))
        assert rows == sorted(rows)
        got[path.split("/")[0]] += rows
    assert {name: sorted(rows) for name, rows in got.items()} == {name: sorted(rows) for name, rows in expected.items()}


def test_a_range_that_holds_nothing_has_no_file(tmp_path: Path) -> None:
    paths = build(tmp_path, [posted(tmp_path, "000000", ["", "one two three four five six"])[1]])
    assert [path.split("/")[0] for path in sorted(paths)] == ["bands"] * 4 + ["ids"] + ["samples"] * (len(paths) - 5)
    assert build(tmp_path / "none", []) == {}


def test_a_part_says_what_it_sends_where() -> None:
    counts = {"bands": 400, "ids": 100, "samples": 6000, "addresses": 0}
    found = indexing.weighed(LAYOUT, counts, schema.INDEXES)
    assert found == {"weight": 16 * 6500, "spread": [[0, 8, 6400], [8, 10, 1600], [10, 13, 96_000]]}
    assert indexing.weighed(LAYOUT, counts, ["samples", "addresses"])["weight"] == 96_000


def run(base: Path, name: str, some: list[str], canonical: list[str | None]) -> dict[str, str]:
    """Documents, signatures and tags of one part of a run."""
    keys = [f"{i:032x}" for i in range(len(some))]
    sketch = minhash.minhash(pa.array(some), OPTIONS)
    columns = {
        "documents": (schema.DOCUMENTS, {"key": keys, "content_id": [content_id(text) for text in some]}),
        "tags": (schema.TAGS, {"key": keys, "canonical": canonical}),
        "signatures": (
            schema.signatures(OPTIONS.permutations),
            {"key": keys, "signature": sketch["signature"].to_pylist(), "shingles": sketch["shingles"].to_pylist()},
        ),
    }
    urls = {}
    for dataset, (kind, held) in columns.items():
        arrays = [pa.array(held.get(field.name, [None] * len(keys)), field.type) for field in kind]
        entry = tables.write(str(base), f"{dataset}/{name}.parquet", pa.table(arrays, schema=kind), kind)
        urls[dataset] = str(base / entry["path"])
    return urls


def test_an_earlier_run_is_found_by_its_bands_and_ids_where_it_kept_a_document(tmp_path: Path) -> None:
    some = texts(20, 5)
    urls = run(tmp_path / "run", "000000", some, ["aa" * 16 if i % 4 == 0 else None for i in range(20)])
    context = {"folder": str(tmp_path / "work"), "prefix": "p", "config": config.plain({"minhash": OPTIONS})}
    step = indexing.PostRun(context)
    step.setup()
    receipt = step.part({"name": "000000", **urls})
    assert receipt["documents"] == 15
    assert receipt["postings"] == {"bands": 80, "ids": 20, "samples": 0, "addresses": 0}
    made = {entry["path"].split("/")[0]: str(tmp_path / "work" / entry["path"]) for entry in receipt["files"]}
    paths = build(tmp_path / "index", [{"name": "000000", "number": 6, **made}])
    rows = [row for path in paths if path.startswith("ids/") for row in pq.read_table(tmp_path / "index" / path).to_pylist()]
    expected = {(int(content_id(text)[:16], 16), 6, i) for i, text in enumerate(some) if i % 4}
    assert {(row["hash"], row["part"], row["row"]) for row in rows} == expected
    assert {path.split("/")[0] for path in paths} == {"bands", "ids"}


def test_an_earlier_run_whose_files_do_not_fit_is_refused(tmp_path: Path) -> None:
    urls = run(tmp_path, "000000", texts(4, 5), [None] * 4) | {
        "tags": run(tmp_path / "other", "000000", texts(3, 5), [None] * 3)["tags"]
    }
    step = indexing.PostRun({"folder": str(tmp_path), "prefix": "p", "config": config.plain({"minhash": OPTIONS})})
    step.setup()
    with pytest.raises(Incomplete, match="not of the same documents"):
        step.part({"name": "000000", **urls})
