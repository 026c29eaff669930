"""Postings are written with the documents: those of their texts and addresses, sorted, beside signatures of the same shingles."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import config, extraction
from pipelines.extraction import ExtractPart
from provenance import bands, minhash, postings, shingles
from provenance.minhash import MinHash
from store import files, reading
from store.reading import Read
from tests.builders import Capture, html, prose, write_warc


def extract(tmp_path: Path, *settings: tuple[str, str], freeze: bool = False) -> tuple[dict[str, Any], dict[str, pa.Table]]:
    """The receipt of one part of 12 pages, two of which have one address, and the tables that it wrote."""
    source = tmp_path / "a.warc.gz"
    pages = [Capture(f"http://a.example/{max(i, 1)}#part{i}", html(prose(i))) for i in range(12)]
    write_warc(source, pages)
    found = reading.survey(str(source), Read())
    piece = {"url": str(source), "file_path": "a", "sha256": found.sha256, "copy": 0, "format": "warc", "damage": None}
    piece |= {"split": asdict(found.splits[0]), "version": files.version(str(source))[0]}
    verb = "freeze" if freeze else "curate"
    context: dict[str, Any] = {"config": config.plain(config.resolve(verb, (), list(settings))), "prefix": "p"}
    if freeze:
        context["freeze"] = {"cutoff": "2022-01-01T00:00:00Z", "declaration": None}
    step = ExtractPart(context | {"folder": str(tmp_path / "out")})
    step.setup()
    receipt = step.part({"name": "000000", "weight": 1, "pieces": [piece]})
    return receipt, {entry["path"].split("/")[0]: pq.read_table(tmp_path / "out" / entry["path"]) for entry in receipt["files"]}


@pytest.mark.parametrize("rows", [1024, 5])
def test_postings_follow_from_the_documents_whatever_the_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int
) -> None:
    monkeypatch.setattr(extraction, "FLUSH_ROWS", rows)
    receipt, made = extract(tmp_path, ("match.url", "drop"))
    documents, options = made["documents"], MinHash()
    assert documents.num_rows == 12
    hashes, offsets = shingles.shingle_sets(documents["text"], options)
    signatures = minhash.minima(hashes, offsets, options)
    assert (minhash.matrix(made["signatures"]["signature"]) == signatures).all()
    expected = [
        (band, value, row)
        for row, own in enumerate(bands.band_hashes(signatures, options).tolist())
        for band, value in enumerate(own)
    ]
    for row, (content_id, url) in enumerate(zip(documents["content_id"].to_pylist(), documents["url"].to_pylist(), strict=True)):
        expected.append((options.bands, int(content_id[:16], 16), row))
        own = hashes[offsets[row] : offsets[row + 1]].tolist()
        expected += [(options.bands + 1, value, row) for value in own if value % postings.SAMPLED == 0]
        expected.append((options.bands + 2, postings.address_hash(url), row))
    names = postings.SCHEMA.names
    assert list(zip(*(made["postings"][name].to_pylist() for name in names), strict=True)) == sorted(expected)
    samples = len(expected) - 12 * (options.bands + 2)
    assert receipt["postings"] == {"bands": 12 * options.bands, "ids": 12, "samples": samples, "addresses": 12}
    addresses = [value for index, value, _ in expected if index == options.bands + 2]
    assert (len(addresses), len(set(addresses))) == (12, 11)


@pytest.mark.parametrize("freeze", [True, False])
def test_addresses_are_posted_only_where_they_are_matched(tmp_path: Path, freeze: bool) -> None:
    receipt, made = extract(tmp_path, freeze=freeze)
    assert receipt["postings"]["addresses"] == 0
    assert receipt["postings"]["ids"] == made["documents"].num_rows == 12
    assert sum(receipt["postings"].values()) == made["postings"].num_rows


def test_no_row_group_of_postings_has_two_indexes(tmp_path: Path) -> None:
    extract(tmp_path)
    parquet = pq.ParquetFile(tmp_path / "out/postings/p-000000.parquet")
    spans = [parquet.metadata.row_group(group).column(0).statistics for group in range(parquet.num_row_groups)]
    assert [span.min for span in spans] == [span.max for span in spans] == list(range(MinHash().bands + 2))


def test_a_preset_with_wide_minima_is_extracted(tmp_path: Path) -> None:
    receipt, made = extract(tmp_path, ("minhash.preset", "fineweb_2"))
    assert made["signatures"].schema.field("signature").type == pa.list_(pa.uint64(), 112)
    assert receipt["postings"]["bands"] == 12 * 22
