"""The plan of a mix over millions of documents: seconds and memory, of keys, counts and tags alone."""

import json
import resource
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from provenance.schema import DATA_VERSION, DOCUMENTS, LEAVES, MATCHES, SCHEMA_VERSION, SNAPSHOT_DOCUMENTS, TAGS
from tests.bench.inputs import Inputs
from tests.bench.measure import Row, cpu_seconds, python

ROWS = 10_000_000
"""Documents of the snapshot and of the run together, half and half."""
PARTS = 10
"""Files of each."""

_HEAD = "md5(concat('{side}', i)) AS key, md5(concat('text {side}', i)) AS content_id, concat('https://site', hash(i) % 50000, '.example/', i) AS url"
_DATE = "make_timestamptz(2012 + (hash(i + 7) % 9)::INT, 3, 4, 5, 6, 7.0, 'UTC')"
_LANGUAGE = "['en', 'de', 'es', 'fr', 'ja', 'ru', 'cs', 'is'][1 + least((-ln(1 - (hash(i + 3) % 1000) / 1000.0) * 1.5)::INT, 7)]"
_LENGTH = "200 + (exp((hash(i + 5) % 1000) / 170.0) * 20)::BIGINT"
_ROWS = "{head}, {date} AS date, {date} AS date_end, {language} AS language, {length} AS byte_count"


def _write(con: Any, path: Path, schema: pa.Schema, given: str, start: int, stop: int) -> dict[str, Any]:
    """Writes the rows `start` to `stop` of a dataset; columns that are not given are null."""
    path.parent.mkdir(parents=True, exist_ok=True)
    batches = con.sql(f"SELECT {given} FROM range({start}, {stop}) r(i)").to_arrow_reader(1 << 16)
    rows = 0
    with pq.ParquetWriter(path, schema, compression="zstd", compression_level=1, use_dictionary=["language", "origin"]) as writer:
        for batch in batches:
            there = set(batch.schema.names)
            columns = [
                batch[field.name].cast(field.type) if field.name in there else pa.nulls(batch.num_rows, field.type)
                for field in schema
            ]
            writer.write_batch(pa.record_batch(columns, schema=schema))
            rows += batch.num_rows
    return {"path": f"{path.parent.name}/{path.name}", "sha256": "0" * 64, "size": path.stat().st_size, "rows": rows}


def sources(folder: Path, rows: int) -> None:
    """Writes a snapshot and a run of `rows` documents each, without texts, and their manifests as JSON."""
    import duckdb

    con = duckdb.connect()
    con.execute("SET TimeZone = 'UTC'; SET threads = 2")
    common = {"date": _DATE, "language": _LANGUAGE, "length": _LENGTH}
    frozen = _ROWS.format(head=_HEAD.format(side="old"), **common) + ", 'captured' AS attestation, true AS eligible"
    leaf = (
        f"i AS index, md5(concat('old', i)) AS key, 'captured' AS attestation, 'archive file' AS witness, true AS eligible, "
        f"'' AS payload_digest, {_DATE} AS date, {_DATE} AS date_end, sha256(i::VARCHAR) AS leaf"
    )
    crawled = _ROWS.format(head=_HEAD.format(side="new"), **common)
    tag = "md5(concat('new', i)) AS key, 'unknown' AS origin, CASE WHEN hash(i + 9) % 10 = 0 THEN 'copied' END AS canonical"
    listed: dict[str, list[dict[str, Any]]] = {"snapshot": [], "run": []}
    wanted = [
        ("snapshot", "documents", SNAPSHOT_DOCUMENTS, frozen),
        ("snapshot", "leaves", LEAVES, leaf),
        ("run", "documents", DOCUMENTS, crawled),
        ("run", "tags", TAGS, tag),
    ]
    for of, dataset, schema, given in wanted:
        for part in range(PARTS):
            cut = (rows * part // PARTS, rows * (part + 1) // PARTS)
            listed[of].append(_write(con, folder / of / dataset / f"p-{part:05d}.parquet", schema, given, *cut))
    listed["run"].append(_write(con, folder / "run/matches/p-00000.parquet", MATCHES, "NULL AS key", 0, 0))
    (folder / "listed.json").write_text(json.dumps(listed))


def manifests(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """The manifests of `sources`, as far as a plan reads them; the root is that of the leaves."""
    from provenance.identity import Tree
    from store import leaves

    listed = json.loads((folder / "listed.json").read_text())
    urls = [str(folder / "snapshot" / entry["path"]) for entry in listed["snapshot"] if entry["path"].startswith("leaves/")]
    made = Tree(b"".join(leaves.hashes(urls)))
    extension = {"size": made.size, "root": made.root.hex(), "manifest": None}
    versions = {"schema_version": SCHEMA_VERSION, "data_version": DATA_VERSION}
    bound = {"size": made.size, "root": made.root.hex(), "extensions": [extension]}
    frozen = {"kind": "snapshot", **versions, "cutoff": "2022-01-01T00:00:00.000000Z", "parent": None, "tree": bound, "signers": []}
    known = [{"id": "a" * 64, "cutoff": frozen["cutoff"], "index_only": False}]
    return frozen | {"files": listed["snapshot"]}, {"kind": "run", "snapshots": known, "files": listed["run"]}


@contextmanager
def timed(into: dict[str, float], name: str) -> Iterator[None]:
    start = time.perf_counter()
    yield
    into[name] = time.perf_counter() - start


def planned(folder: Path, options: dict[str, Any]) -> dict[str, Any]:
    """Plans a mix of `sources` in this process; seconds and the peak of its memory in MB."""
    from pipelines import planning
    from provenance.mixture import Mix
    from store.manifest import Opened

    found: dict[str, float] = {}
    frozen, crawled = manifests(folder)
    cpu = cpu_seconds()
    mix = Mix(**({"min_attestation": "captured", "coverage": False} | options))
    opened = Opened(str(folder / "snapshot"), "a" * 64, frozen), [Opened(str(folder / "run"), "b" * 64, crawled)]
    with timed(found, "seconds"):
        made = planning.plan(mix, *opened, str(folder / "work"), None)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    return found | {"cpu": cpu_seconds() - cpu, "peak": peak, "shards": made.shards, "realised": made.realised}


def run(inputs: Inputs) -> list[Row]:
    rows = []
    for size in (ROWS // 10, ROWS):
        folder = inputs.folder / f"plan-{size}"
        folder.mkdir()
        sources(folder, size // 2)
        found = python("tests.bench.bench_plan", [str(folder), "{}"])
        rows.append(
            Row(f"plan of {size:,} documents", found["seconds"], "s", note=f"{found['cpu']:.0f} CPU-s, {found['shards']} shards")
        )
        shutil.rmtree(folder)
        rows.append(Row("its peak of memory, with the snapshot's tree", found["peak"], "MB"))
    return rows


if __name__ == "__main__":
    print(json.dumps(planned(Path(sys.argv[1]), json.loads(sys.argv[2]))))
