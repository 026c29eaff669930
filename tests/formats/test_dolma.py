"""JSON lines mixes as dolma's own mixer reads them: documents with the attributes that stand beside them."""

import gzip
import importlib.machinery
import importlib.util
import json
from pathlib import Path

import msgspec
import pytest

if importlib.util.find_spec("dolma") is None:
    pytest.skip("needs dolma: make test-formats", allow_module_level=True)

from store import shards
from tests import consumers

FOLDER = Path(*importlib.util.find_spec("dolma").submodule_search_locations)


def module(name, path):
    """A module of dolma by its file: the package itself imports taggers, and with them a dozen libraries."""
    spec = importlib.util.spec_from_file_location(name, path)
    found = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(found)
    return found


@pytest.fixture(scope="module")
def mixer():
    (library,) = [path for suffix in importlib.machinery.EXTENSION_SUFFIXES for path in FOLDER.glob(f"dolma{suffix}")]
    return module("dolma.dolma", library).mixer_entrypoint


@pytest.fixture(scope="module")
def types():
    return module("dolma_data_types", FOLDER / "core" / "data_types.py")


def mixed(mixer, opened, tmp_path, include=(), replace=()):
    """What `dolma mix` makes of a mix, by the id of the document."""
    stream = {
        "name": "read",
        "documents": [f"{opened.url}/documents/*.jsonl.zst"],
        "attributes": ["lowbackground_v1"],
        "output": {"path": str(tmp_path / "out"), "max_size_in_bytes": 1 << 30},
        "compression": {"input": "zst", "output": "gz"},
        "filter": {"include": list(include), "exclude": []},
        "span_replacement": list(replace),
    }
    work = {"input": str(tmp_path / "input"), "output": str(tmp_path / "output")}
    mixer(json.dumps({"streams": [stream], "processes": 1, "work_dir": work}))
    found = {}
    for path in sorted((tmp_path / "out").iterdir()):
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in lines]
        assert not found.keys() & {row["id"] for row in rows}
        found |= {row["id"]: row for row in rows}
    return found


def name(row):
    return f"{row['key']}.{row['epoch']}.{row['chunk']}"


@pytest.mark.parametrize("count", [1, 3])
def test_dolma_joins_every_document_with_its_attributes(made, mixer, tmp_path, count):
    opened = made("jsonl", count)
    found = mixed(mixer, opened, tmp_path)
    expected = {name(row): row for shard in consumers.rows(opened) for row in shard}
    assert found.keys() == expected.keys()
    for key, row in found.items():
        assert row["text"] == expected[key]["text"]
        assert set(row["attributes"]) == {
            f"lowbackground_v1__{tagger}__{expected[key][tagger]}" for tagger in ("origin", "attestation", "stratum")
        }
        assert row["metadata"]["url"] == expected[key]["url"]


def test_dolma_filters_by_origin(made, mixer, tmp_path):
    opened = made("jsonl", 3)
    found = mixed(mixer, opened, tmp_path, include=["$.attributes[?(@.lowbackground_v1__origin__human)]"])
    rows = [row for shard in consumers.rows(opened) for row in shard]
    assert set(found) == {name(row) for row in rows if row["origin"] == "human"}
    assert 0 < len(found) < len(rows)


def test_dolma_counts_a_spans_characters_as_the_attributes_do(made, mixer, tmp_path):
    """A span of bytes would end inside the text, or beyond it."""
    opened = made("jsonl", 1)
    span = {"span": "$.attributes.lowbackground_v1__origin__human", "min_score": 0.5, "replacement": "was human"}
    found = mixed(mixer, opened, tmp_path, replace=[span])
    rows = {name(row): row for shard in consumers.rows(opened) for row in shard}
    assert {rows[key]["origin"] for key, row in found.items() if row["text"] == "was human"} == {"human"}
    assert all(row["text"] == ("was human" if rows[key]["origin"] == "human" else rows[key]["text"]) for key, row in found.items())


def test_dolmas_types_take_each_line(made, types):
    opened = made("jsonl", 3)
    for shard in consumers.names(opened):
        documents, attributes = (Path(opened.url, path) for path in shards.named("jsonl").paths(shard))
        for row, beside in zip(consumers.lines(documents), consumers.lines(attributes), strict=True):
            document = msgspec.convert(row, types.InputSpec)
            tagged = msgspec.convert(beside, types.OutputSpec)
            made_of = types.DocResult.from_spec(document, tagged)
            assert [span.select(made_of.doc) for span in made_of.spans] == [row["text"]] * 3
            assert {(span.experiment, span.tagger) for span in made_of.spans} == {
                ("lowbackground_v1", tagger) for tagger in ("origin", "attestation", "stratum")
            }
