"""MDS mixes as mosaicml-streaming reads them, with torch's loader and without."""

import json
import random
from pathlib import Path

import pytest

pytest.importorskip("streaming", reason="needs mosaicml-streaming: make test-formats")
torch = pytest.importorskip("torch", reason="needs torch: make test-formats")

from streaming import StreamingDataset  # noqa: E402
from streaming.base.util import clean_stale_shared_memory, merge_index  # noqa: E402

from store import shards  # noqa: E402
from store.verify_mix import verify_mix  # noqa: E402
from tests import consumers  # noqa: E402

COUNTS = (1, 3, 8)


@pytest.fixture(autouse=True)
def _shared_memory():
    clean_stale_shared_memory()
    yield
    clean_stale_shared_memory()


def plain(opened):
    return opened.manifest["config"]["mix"]


def place(row):
    return row["key"], int(row["epoch"]), int(row["chunk"]), row["text"], row["origin"]


def joined(opened):
    return [row for shard in consumers.rows(opened) for row in shard]


@pytest.mark.parametrize("count", COUNTS)
def test_a_mix_is_one_streaming_dataset(made, count):
    opened = made("mds", count)
    found = list(StreamingDataset(local=f"{opened.url}/data", shuffle=False, batch_size=1))
    assert list(map(place, found)) == list(map(place, joined(opened)))
    assert {row["origin"] for row in found} == {"human", "unknown"}
    assert consumers.keeps(found, plain(opened))
    stop = random.Random(5).randrange(len(found))
    assert consumers.keeps(found[:stop], plain(opened))


def test_each_shard_stands_alone(made):
    opened = made("mds", 3)
    for name, expected in zip(consumers.names(opened), consumers.rows(opened), strict=True):
        found = list(StreamingDataset(local=f"{opened.url}/data/{name}", shuffle=False, batch_size=1))
        assert list(map(place, found)) == list(map(place, expected))
        assert consumers.keeps(found, plain(opened))


def test_every_value_is_there_and_nulls_are_said(made):
    opened = made("mds", 1)
    nullable = shards.named("mds").NULLABLE
    for row, expected in zip(
        StreamingDataset(local=f"{opened.url}/data", shuffle=False, batch_size=1), joined(opened), strict=True
    ):
        absent = {name for bit, name in enumerate(nullable) if row["nulls"] >> bit & 1}
        assert absent == {name for name in nullable if expected[name] is None}
        for name in expected.keys() - {"date"}:
            assert row[name] == (expected[name] if name not in absent else "")


def test_the_joint_index_is_the_one_that_merge_index_makes(made, tmp_path):
    opened = made("mds", 3)
    for name in consumers.names(opened):
        (tmp_path / name).mkdir()
        (tmp_path / name / "index.json").write_bytes(Path(opened.url, "data", name, "index.json").read_bytes())
    merge_index([str(tmp_path / name / "index.json") for name in consumers.names(opened)], str(tmp_path))
    assert json.loads((tmp_path / "index.json").read_bytes()) == json.loads(Path(opened.url, "data", "index.json").read_bytes())


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("count", COUNTS)
def test_torchs_loader_batches_it_as_it_is(made, count, workers):
    """No collate function of one's own: no value is null. Batches of several workers come in turns."""
    opened = made("mds", count)
    dataset = StreamingDataset(local=f"{opened.url}/data", shuffle=False, batch_size=4)
    found = []
    for batch in torch.utils.data.DataLoader(dataset, batch_size=4, num_workers=workers, timeout=60 * bool(workers)):
        found += [{name: values[i] for name, values in batch.items()} for i in range(len(batch["text"]))]
    assert list(map(place, found)) == list(map(place, joined(opened)))
    assert consumers.keeps(found, plain(opened))


@pytest.mark.parametrize("apart", [False, True])
def test_what_streaming_reads_verifies(sources, tmp_path, apart):
    from tests import mixes

    frozen, crawled = sources
    opened = mixes.make(tmp_path / "mix", frozen, [crawled], format="mds", shards=2, human_apart=apart)
    found = verify_mix(opened.url, frozen.id)
    assert found["anchored"] and not found["why"]
    if apart:
        human = list(StreamingDataset(local=f"{opened.url}/human/data", shuffle=False, batch_size=1))
        assert {row["origin"] for row in human} == {"human"}
        assert {row["key"] for row in human} == {row["key"] for row in joined(opened) if row["origin"] == "human"}
