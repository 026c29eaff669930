"""Corroboration: lines of an index looked up per CPU-second, by format, and memory at one and at ten times the index."""

import base64
import hashlib
import json
import resource
import shutil
import sys
from collections.abc import Iterator
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.inputs import Inputs
from tests.bench.measure import Row, measure, python

GOAL = 200_000
"""CDXJ lines a CPU-second, since the index of one large crawl has billions."""
FLAT = 0.9
"""Least ratio of the memory at one and at ten times the index."""
LINES, CAPTURES = 100_000, 1_000_000
FILE = "crawl-data/CC-MAIN-2019-35/segments/1566027313501.0/warc/CC-MAIN-20190817222907-20190818004907-00000.warc.gz"


def rows() -> Iterator[tuple[str, str, datetime, str]]:
    """Key, address, time and digest of lines as Common Crawl's are."""
    start = datetime(2019, 8, 20)  # noqa: DTZ001 - as Parquet's times without zone
    for i in range(LINES):
        digest = base64.b32encode(hashlib.sha1(str(i).encode()).digest()).decode()
        path = f"/articles/{i}/some-title-of-a-page-{i % 77}.html?id={i}"
        yield f"com,example{i % 5000}){path}", f"https://www.example{i % 5000}.com{path}", start + timedelta(seconds=i), digest


def write(folder: Path) -> dict[str, Path]:
    """One index in each format, and one of ten times its lines."""
    paths = {name: folder / f"index.{name}" for name in ("cdxj", "cdx", "columnar", "cdxj x 10")}
    with paths["cdxj"].open("w") as cdxj, paths["cdx"].open("w") as cdx:
        cdx.write(" CDX N b a m s k r M S V g\n")
        for i, (surt, url, when, digest) in enumerate(rows()):
            fields = {"url": url, "mime": "text/html", "mime-detected": "text/html", "status": "200", "digest": digest}
            fields |= {"length": "12345", "offset": str(i), "filename": FILE, "charset": "UTF-8", "languages": "eng"}
            cdxj.write(f"{surt} {when:%Y%m%d%H%M%S} {json.dumps(fields)}\n")
            cdx.write(f"{surt} {when:%Y%m%d%H%M%S} {url} text/html 200 {digest} - - 12345 {i} {FILE}\n")
    columns = dict(zip(("url_surtkey", "url", "fetch_time", "content_digest"), zip(*rows(), strict=True), strict=True))
    table = pa.table({name: list(values) for name, values in columns.items()})
    pq.write_table(table.append_column("fetch_status", pa.array([200] * LINES, pa.int16())), paths["columnar"])
    with paths["cdxj x 10"].open("wb") as ten:
        for _ in range(10):
            with paths["cdxj"].open("rb") as one:
                shutil.copyfileobj(one, ten)
    np.sort(np.random.default_rng(1).integers(0, 1 << 63, CAPTURES, np.uint64)).tofile(folder / "wanted.u64")
    return paths


def search(url: str, folder: str) -> dict[str, Any]:
    """Looks all lines of one index up in this process."""
    from pipelines.corroborating import SearchIndex
    from store import files, indexes

    found = indexes.survey(url)
    step = SearchIndex({"folder": folder, "wanted": f"{folder}/wanted.u64"})
    step.setup()
    part = {"url": url, "format": found.format, "version": files.version(url)[0], "entry": 0}
    parts = [{**part, "name": str(number), "split": asdict(split)} for number, split in enumerate(found.splits)]
    step.part(parts[0])  # imports apart
    receipts, cost = measure(lambda: [step.part(part) for part in parts])
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    return {"lines": sum(receipt["lines"] for receipt in receipts), "cpu": cost.cpu, "memory": memory}


def run(inputs: Inputs) -> list[Row]:
    folder = inputs.folder / "corroborate"
    folder.mkdir()
    paths = write(folder)
    found = {name: python("tests.bench.bench_corroborate", [str(path), str(folder)]) for name, path in paths.items()}
    rates = {name: one["lines"] / one["cpu"] for name, one in found.items()}
    one, ten = (found[name]["memory"] / 1e6 for name in ("cdxj", "cdxj x 10"))
    size = paths["cdxj"].stat().st_size / 1e6
    note = f"{CAPTURES:,} captures looked for"
    return [
        Row("CDXJ", rates["cdxj x 10"], "lines/CPU-s", ratio=rates["cdxj x 10"] / GOAL, goal=1.0, note=note),
        Row("CDX", rates["cdx"], "lines/CPU-s"),
        Row("columnar", rates["columnar"], "rows/CPU-s"),
        Row(f"memory, CDXJ of {size:.0f} MB", one, "MB"),
        Row(f"memory, CDXJ of {size * 10:.0f} MB", ten, "MB", ratio=one / ten, goal=FLAT),
    ]


if __name__ == "__main__":
    print(json.dumps(search(sys.argv[1], sys.argv[2])))
