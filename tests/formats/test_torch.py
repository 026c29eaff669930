"""Mixes as torch's loader reads them through `datasets`: iterable and map-style, with and without workers."""

import pytest

torch = pytest.importorskip("torch", reason="needs torch: make test-formats")
datasets = pytest.importorskip("datasets")

from torch.utils.data import DataLoader  # noqa: E402

from tests import consumers  # noqa: E402


@pytest.fixture(autouse=True, scope="module")
def _offline(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(datasets.config, "HF_HUB_OFFLINE", True)
        patch.setattr(datasets.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(datasets.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)
        datasets.disable_progress_bars()
        yield


def loaded(opened, streaming):
    return datasets.load_dataset(opened.url, split="train", streaming=streaming).select_columns(
        ["text", "key", "origin", "chunk", "chunks", "epoch"]
    )


def rows_of(loader):
    found = []
    for batch in loader:
        found += [{name: values[i] for name, values in batch.items()} for i in range(len(batch["text"]))]
    return found


def place(row):
    return row["key"], int(row["epoch"]), int(row["chunk"]), row["text"], row["origin"]


def joined(opened):
    return [row for shard in consumers.rows(opened) for row in shard]


@pytest.mark.parametrize("streaming", [False, True], ids=["map-style", "iterable"])
def test_one_process_reads_the_rows_in_order(made, streaming):
    opened = made("parquet", 3)
    found = rows_of(DataLoader(loaded(opened, streaming), batch_size=5))
    assert list(map(place, found)) == list(map(place, joined(opened)))
    assert consumers.keeps(found, opened.manifest["config"]["mix"])


@pytest.mark.parametrize(("count", "workers"), [(8, 2), (3, 2)])
def test_workers_take_whole_shards_and_any_batch_of_theirs_may_come_first(made, count, workers):
    """What has been read at any moment is a union of prefixes of shards: the floor holds for it, also of a half-read batch."""
    opened = made("parquet", count)
    found = rows_of(DataLoader(loaded(opened, True), batch_size=3, num_workers=workers, timeout=60))
    assert sorted(map(place, found)) == sorted(map(place, joined(opened)))
    assert consumers.keeps(found, opened.manifest["config"]["mix"])


@pytest.mark.parametrize("world", [2, 4, 8])
def test_each_rank_of_several_processes_keeps_the_floor_where_they_divide_the_shards(made, world):
    from datasets.distributed import split_dataset_by_node

    opened = made("parquet", 8)
    parts = [rows_of(DataLoader(split_dataset_by_node(loaded(opened, True), rank, world), batch_size=4)) for rank in range(world)]
    assert sorted(place(row) for part in parts for row in part) == sorted(map(place, joined(opened)))
    assert all(consumers.keeps(part, opened.manifest["config"]["mix"]) for part in parts)
    measured = consumers.ranks(parts, opened.manifest["config"]["mix"])
    for unit, said in opened.manifest["orders"].items():
        assert said["strided"][str(world)] == {"whole_shards": True, **measured[unit]}


@pytest.mark.parametrize("workers", [0, 2])
def test_packed_tokens_come_as_batches_of_one_length_and_keep_the_floor(made, workers):
    """As a trainer of language models reads them: tensors of shape (rows, sequence_length), of which every prefix has the floor."""
    opened = made("tokens", 8)
    ids = datasets.load_dataset(opened.url, split="train", streaming=True).with_format("torch")
    spans, found = consumers.of_tokens(opened), []
    for batch in DataLoader(ids, batch_size=2, num_workers=workers, timeout=60 * bool(workers)):
        assert batch["input_ids"].shape[1] == 128 and batch["input_ids"].dtype in (torch.int32, torch.int64)
        found += [{"spans": spans[tuple(row)]} for row in batch["input_ids"].tolist()]
    assert len(found) == opened.manifest["orders"]["tokens"]["rows"]
    assert consumers.keeps(found, opened.manifest["config"]["mix"])
