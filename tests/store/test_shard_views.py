"""The shards of a mix in DuckDB: the same rows from every format, and lengths in the place of texts."""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, BinaryIO

import duckdb
import pyarrow as pa
import pytest

from provenance.schema import PACKED, SHARD, SPANS
from store import catalog, manifest, shards
from store.errors import CheckFailed, UsageError
from store.shards import Open

ROW: dict[str, Any] = {
    "text": "naïve \"東京\"\n", "key": "0" * 32, "id": None, "origin": "human", "attestation": "captured", "chunk": 0, "chunks": 1, "epoch": 0,
    "url": None, "date": datetime(2014, 1, 2, 3, 4, 5, 678, tzinfo=UTC), "language": "ja", "stratum": "human/ja/2014__x__/y",
}  # fmt: skip
OTHER = ROW | {
    "text": "",
    "key": "1" * 32,
    "id": "i",
    "origin": "machine_generated",
    "attestation": "none",
    "url": "https://a/é",
    "date": None,
    "stratum": "m",
}
ROWS = [[ROW, OTHER, ROW | {"epoch": 1}], [], [OTHER | {"key": "2" * 32, "chunk": 2, "language": None}]]
OPTIONS: dict[str, Any] = {"page_index": False, "content_defined_chunking": False, "chunk_bytes": 16384, "sequence_length": 8}


def made(folder: Path, name: str, rows: list[Any], kind: pa.Schema = SHARD) -> manifest.Opened:
    """A mix with these rows as shards of a format."""
    form, listing, listed = shards.named(name), [], []

    def create(path: str) -> BinaryIO:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        return (folder / path).open("wb")

    for number, some in enumerate(rows):
        named = shards.shard_name(number, len(rows))
        batches = [pa.RecordBatch.from_pylist(some, kind)] if some else []
        form.write(create, named, batches, OPTIONS)
        paths = form.paths(named)
        listed.append({"path": paths[0], "rows": len(some)})
        listing += [{"path": path, "size": (folder / path).stat().st_size, "sha256": "0" * 64, "rows": None} for path in paths]
    body = {
        "kind": "mix",
        "config": {"mix": {"format": name, **OPTIONS}},
        "shards": listed,
        "files": manifest.sorted_files(listing),
    }
    return manifest.write(str(folder), body)


def rows_of(con: duckdb.DuckDBPyConnection, query: str) -> list[dict[str, Any]]:
    answer: list[dict[str, Any]] = con.sql(query).to_arrow_table().to_pylist()
    return answer


@pytest.mark.parametrize("name", sorted(name for name, form in shards.formats().items() if not form.TOKENS))
def test_every_format_of_texts_gives_the_same_rows(name: str, tmp_path: Path) -> None:
    try:
        opened = made(tmp_path, name, ROWS)
    except UsageError as error:
        pytest.skip(str(error))
    con = catalog.connect(opened)
    found = rows_of(con, "SELECT * FROM shards ORDER BY shard, row")
    assert [(row.pop("shard"), row.pop("row")) for row in found] == [(0, 0), (0, 1), (0, 2), (2, 0)]
    assert found == [row for some in ROWS for row in some]
    lengths = rows_of(con, "SELECT shard, row, key, bytes, tokens FROM pieces ORDER BY shard, row")
    assert [row["bytes"] for row in lengths] == [len(row["text"].encode()) for some in ROWS for row in some]
    assert {row["tokens"] for row in lengths} == {None}


def test_a_format_that_duckdb_cannot_read_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = made(tmp_path, "parquet", [[ROW, OTHER], [OTHER]])
    form = shards.named("parquet")

    class Foreign:
        NAME, TOKENS = "foreign", False
        paths, broken = staticmethod(form.paths), False

        def read(self, open_: Open, name: str, options: Mapping[str, Any], root: str = "") -> Iterator[pa.RecordBatch]:
            for batch in form.read(open_, name, options, root):
                yield from (batch.slice(i, 1) for i in range(batch.num_rows))
            if self.broken:
                raise ValueError("bytes that no row needs")

    monkeypatch.setattr(shards, "named", lambda name: Foreign())
    con = catalog.connect(opened)
    found = rows_of(con, "SELECT shard, row, text FROM shards ORDER BY ALL")
    assert [(row["shard"], row["row"], row["text"]) for row in found] == [(0, 0, ROW["text"]), (0, 1, ""), (1, 0, "")]
    monkeypatch.setattr(Foreign, "broken", True)
    with pytest.raises(CheckFailed, match=r"bytes that no row needs.*verify"):
        catalog.connect(opened)


def packed_rows() -> list[dict[str, Any]]:
    def span(start: int, stop: int, of: dict[str, Any]) -> dict[str, Any]:
        kept = {name: value for name, value in of.items() if name not in ("text", "chunk", "chunks")}
        return {"start": start, "stop": stop, "offset": 0, "tokens": 9, **kept}

    ids = list(range(8))
    spans = [[span(1, 4, ROW), span(5, 8, OTHER)], [], [span(1, 3, ROW)]]
    return [{"input_ids": ids, "spans": some} for some in spans]


def test_packed_tokens_are_a_row_for_each_span(tmp_path: Path) -> None:
    if "tokens" not in shards.formats():
        pytest.skip("there is no format of tokens")
    opened = made(tmp_path, "tokens", [packed_rows()], pa.schema([*PACKED, *SPANS]))
    con = catalog.connect(opened)
    found = rows_of(con, "SELECT * FROM shards ORDER BY shard, row, tokens DESC, origin")
    assert [(row["row"], row["tokens"], row["origin"], row["text"]) for row in found] == [
        (0, 3, "human", None), (0, 3, "machine_generated", None), (2, 2, "human", None)
    ]  # fmt: skip
    assert rows_of(con, "SELECT sum(tokens)::INT AS tokens, sum(bytes)::INT AS bytes FROM pieces") == [{"tokens": 8, "bytes": None}]
    answer = rows_of(con, catalog.named_queries()["mix_by_origin"].sql)
    assert [(row["origin"], row["rows"], row["tokens"]) for row in answer] == [("human", 2, 5), ("machine_generated", 1, 3)]


def test_a_folder_of_mixes_of_several_formats_is_one_view(tmp_path: Path) -> None:
    made(tmp_path / "a", "parquet", [[ROW]])
    made(tmp_path / "b", "jsonl", [[OTHER]])
    if "tokens" in shards.formats():
        made(tmp_path / "c", "tokens", [packed_rows()], pa.schema([*PACKED, *SPANS]))
    con = catalog.connect(str(tmp_path))
    found = {
        row["mix"]: (row["bytes"], row["tokens"])
        for row in rows_of(con, "SELECT mix, sum(bytes)::INT AS bytes, sum(tokens)::INT AS tokens FROM pieces GROUP BY 1")
    }
    assert found == {"a": (16, None), "b": (0, None)} | ({"c": (None, 8)} if "tokens" in shards.formats() else {})
