"""One contract for all formats: the library that trainers read a format with gives each row that went into the mix, in order and whole."""

from collections.abc import Callable
from typing import Any

import pytest

pytest.importorskip("streaming", reason="needs mosaicml-streaming: make test-formats")

import datasets
from streaming import StreamingDataset
from streaming.base.util import clean_stale_shared_memory

from store import shards
from store.manifest import Opened
from store.verify_mix import verify_mix
from tests import consumers
from tests.pipelines.test_consumers import as_rows, joined, place

SHARDS = 2


def by_datasets(opened: Opened) -> list[dict[str, Any]]:
    return as_rows(opened, datasets.load_dataset(opened.url, split="train", streaming=True))


def by_streaming(opened: Opened) -> list[dict[str, Any]]:
    clean_stale_shared_memory()
    found = StreamingDataset(local=f"{opened.url}/data", shuffle=False, batch_size=1)
    return [{**row, "epoch": int(row["epoch"]), "chunk": int(row["chunk"])} for row in found]


READERS: dict[str, Callable[[Opened], list[dict[str, Any]]]] = {
    "parquet": by_datasets,
    "jsonl": by_datasets,
    "tokens": by_datasets,
    "mds": by_streaming,
}


def test_each_format_has_a_library_that_reads_it():
    assert READERS.keys() == shards.formats().keys()


@pytest.mark.parametrize("form", sorted(READERS))
def test_what_mix_writes_the_library_reads_and_verify_proves(made, sources, form, tmp_path, monkeypatch):
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path))
    opened = made(form, SHARDS)
    found, written = READERS[form](opened), joined(opened)
    assert [place(row) for row in found] == [place(row) for row in written] and len(found) > SHARDS
    if form == "tokens":
        assert [row["spans"] for row in found] == [row["spans"] for row in written]
    assert consumers.keeps(found, opened.manifest["config"]["mix"])
    assert verify_mix(opened.url, sources[0].id)["anchored"]
