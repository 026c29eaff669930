"""Presets: each on a row in its published layout, and what none of them does."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store import reading
from store.readers._presets import PRESETS
from store.records import Record, Unreadable

FINEWEB = {
    "text": "a text", "id": "<urn:uuid:1>", "dump": "CC-MAIN-2013-20", "url": "http://a.example/", "date": "2013-05-18T05:48:54Z",
    "file_path": "s3://commoncrawl/x.warc.gz", "language": "en", "language_score": 0.9, "token_count": 7,
}  # fmt: skip
FINEWEB_2 = {k: v for k, v in FINEWEB.items() if k != "token_count"} | {
    "language": "nob", "language_script": "Latn", "minhash_cluster_size": 3, "top_langs": '{"nob_Latn_score": 0.9}',
}  # fmt: skip
REDPAJAMA_2 = {
    "url": "http://a.example/", "date_download": "2019-02-15T19:15:59Z", "digest": "sha1:S3DTWCONT2L6ORTGCY2KXEZ37LNBB7V2", "length": 6,
    "nlines": 1, "source_domain": "a.example", "title": "A", "raw_content": "a text", "cc_segment": "crawl-data/CC-MAIN-2019-09/x.wet.gz",
    "original_nlines": 3, "original_length": 60, "line_ids": [1], "language": "en", "language_score": 0.9, "perplexity": 300.1, "bucket": "head",
}  # fmt: skip
DOLMA = {
    "id": "d1", "text": "a text", "source": "common-crawl", "added": "2023-04-11T09:57:03.044571+00:00", "created": "2019-01-01T00:00:00.000Z",
    "version": "v0", "metadata": {"origin": "human", "url": "http://a.example/"},
}  # fmt: skip
HPLT_3 = {
    "f": "./x/1.warc.gz", "o": 578687, "s": 8077, "rs": 24691, "u": "http://a.example/", "c": "text/html", "ts": "2021-09-22T16:50:12Z",
    "crawl_id": "wide17", "lang": ["nob_Latn", "nno_Latn"], "prob": [0.98, 0.01], "text": "a text", "seg_langs": ["nob_Latn"], "id": "h1",
    "cluster_size": 2, "filter": "keep", "pii": [[1, 2]], "doc_scores": [9.1], "web-register": {"MT": 0.9},
}  # fmt: skip
WIKIPEDIA = {"id": "12", "url": "https://en.wikipedia.org/wiki/A", "title": "A", "text": "a text"}

EXPECTED: dict[str, tuple[dict[str, Any], tuple[str | None, ...], dict[str, Any]]] = {
    "fineweb": (FINEWEB, ("<urn:uuid:1>", "http://a.example/", "2013-05-18T05:48:54Z"),
                {"dump": "CC-MAIN-2013-20", "language": "en", "language_score": 0.9, "token_count": 7}),
    "fineweb_2": (FINEWEB_2, ("<urn:uuid:1>", "http://a.example/", "2013-05-18T05:48:54Z"),
                  {"dump": "CC-MAIN-2013-20", "language": "nob", "language_score": 0.9}),
    "redpajama_2": (REDPAJAMA_2, (None, "http://a.example/", "2019-02-15T19:15:59Z"), {"language": "en", "language_score": 0.9}),
    "dolma": (DOLMA, ("d1", None, None), {}),
    "hplt_3": (HPLT_3, ("h1", "http://a.example/", "2021-09-22T16:50:12Z"), {"dump": "wide17", "language": "nob_Latn", "language_score": 0.98}),
    "wikipedia": (WIKIPEDIA, ("12", "https://en.wikipedia.org/wiki/A", None), {}),
}  # fmt: skip
KINDS = ["jsonl", "parquet"]


def write(path: Path, row: dict[str, Any], kind: str) -> Path:
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist([row]), path)
    else:
        path.write_text(json.dumps(row) + "\n")
    return path


def only(path: Path, **options: Any) -> Record | Unreadable:
    read = reading.Read(**options)
    survey = reading.survey(str(path), read)
    (item,) = (item for split in survey.splits for item in reading.read(str(path), survey.format, split, read))
    return item


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", EXPECTED)
def test_each_layout(tmp_path: Path, name: str, kind: str) -> None:
    row, place, known = EXPECTED[name]
    preset = PRESETS[name]
    for chosen in {name, "auto"} if preset.known_by or name == "fineweb_2" else {name}:
        item = only(write(tmp_path / "x", row, kind), preset=chosen)
        assert isinstance(item, Record)
        assert (item.text, (item.id, item.url, item.date)) == ("a text", place)
        metadata = item.columns["metadata"]
        assert {k: v for k, v in item.columns.items() if k != "metadata"} == known
        mapped = {preset.text, preset.id, preset.url, preset.date}
        assert set(row) - set(metadata) - mapped <= {"dump", "language", "language_score", "token_count", "crawl_id"}, (
            "no column is lost"
        )


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_capture_is_no_date(tmp_path: Path, kind: str) -> None:
    for chosen in ("auto", "dolma"):
        item = only(write(tmp_path / "x", DOLMA, kind), preset=chosen)
        assert isinstance(item, Record) and item.date is None
        assert item.columns["metadata"]["created"] == DOLMA["created"]
        assert item.columns["metadata"]["metadata"]["origin"] == "human" and "origin" not in item.columns
    for row in (
        {"text": "t", "ts": "2001-01-01"},
        {"text": "t", "date": "2001-01-01", "url": "u"},
        {"text": "t", "date_download": "2001-01-01"},
    ):
        item = only(write(tmp_path / "x", row, kind))
        assert isinstance(item, Record) and item.date is None
    item = only(write(tmp_path / "x", DOLMA, kind), preset="dolma", date_column="created")
    assert isinstance(item, Record) and item.date == DOLMA["created"], "what is named goes over the preset"


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_preset_names_the_columns_that_are_there(tmp_path: Path, kind: str) -> None:
    item = only(write(tmp_path / "x", FINEWEB, kind), preset="redpajama_2")
    assert isinstance(item, Unreadable) and item.reason in ("no_text", "no_text_column")
    assert "'raw_content' (read.text_column) of preset redpajama_2" in item.detail
    assert "there are date, dump, file_path, id, language, language_score, text, token_count, url" in item.detail
    item = only(write(tmp_path / "x", REDPAJAMA_2, kind), preset="fineweb")
    assert isinstance(item, Unreadable) and "raw_content" in item.detail


def test_no_row_is_known_by_two_layouts() -> None:
    known = [preset for preset in PRESETS.values() if preset.known_by]
    for row, _, _ in EXPECTED.values():
        assert sum(row.keys() >= preset.known_by for preset in known) <= 1


def test_every_preset_says_what_it_reaches() -> None:
    field = next(field for field in msgspec.structs.fields(reading.Read) if field.name == "preset")
    assert set(PRESETS) == set(field.type.__origin__.__args__)
    for preset in PRESETS.values():
        assert "declared" in preset.reaches and preset.layout
    assert all("Never `corroborated`" in PRESETS[name].reaches for name in EXPECTED)
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"preset": "c4"}, reading.Read)
