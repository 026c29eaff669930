"""Candidates and pairs on hand-made postings and indexes: what is proposed, what is left out and counted, and what a full bucket costs."""

import hashlib
import resource
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from pipelines import config, indexing
from pipelines.matching import CRAWL, LOCATED, PAIRS, FindCandidates, PairUp
from pipelines.ranking import EQUAL, RANKED
from provenance import bands, minhash, schema
from provenance.hot import PRODUCT
from provenance.postings import SAMPLED, Layout, Postings
from store import files, index, tables
from store.errors import CheckFailed

OPTIONS = minhash.MinHash()
SHINGLES = np.random.default_rng(0).integers(0, 2**60, 400, np.uint64) * np.uint64(SAMPLED) + np.uint64(1)


def own(seed: object, count: int) -> np.ndarray:
    """Shingles that no other document has, none of them sampled."""
    rng = np.random.default_rng(int.from_bytes(hashlib.sha256(str(seed).encode()).digest()[:8]))
    return rng.integers(0, 2**60, count, np.uint64) * np.uint64(SAMPLED) + np.uint64(3)


def sample(*numbers: int) -> np.ndarray:
    """Shingles that are sampled."""
    return np.array([number * SAMPLED for number in numbers], np.uint64)


class House:
    """Crawl documents and references, of sets of shingles, as the stage before leaves them."""

    def __init__(self, base: Path, crawl: Sequence[np.ndarray], *references: Sequence[np.ndarray], **match: Any):
        self.base = str(base)
        plain = config.plain(config.resolve("curate", (), [(f"match.{name}", str(value)) for name, value in match.items()]))
        self.gathered = self._documents("part", crawl)
        self.layout = Layout.sized(OPTIONS, len(crawl), 0)
        self.context: dict[str, Any] = {
            "config": plain,
            "folder": files.join(self.base, "candidates"),
            "layout": list(self.layout),
            "equal": None,
            "ranked": [self._ranked(len(crawl))],
            "documents": len(crawl),
            "signatures": [files.join(self.base, "signatures/part-0.parquet")],
            "references": [],
            "signed": [],
        }
        self.part = {
            "name": "0",
            "ranked": self.context["ranked"][0],
            "postings": files.join(self.base, self.gathered["path"]),
        }
        for number, documents in enumerate(references):
            self._reference(number, documents)

    def _documents(self, name: str, sets: Sequence[np.ndarray]) -> dict[str, Any]:
        offsets = np.concatenate([[0], np.cumsum([len(one) for one in sets])]).astype(np.int64)
        hashes = np.concatenate([*sets, np.zeros(0, np.uint64)])
        minima, sizes = minhash.minima(hashes, offsets, OPTIONS), np.diff(offsets)
        keys = pa.array([f"{name}{i}" for i in range(len(sets))])
        column = pa.FixedSizeListArray.from_arrays(pa.array(minima.reshape(-1)), OPTIONS.permutations)
        kind = schema.signatures(OPTIONS.permutations)
        self.signed = tables.write(
            self.base, f"signatures/{name}-0.parquet", pa.table([keys, column, sizes.astype(np.int32)], schema=kind), kind
        )
        gathered = Postings(OPTIONS, addresses=True)
        ids = pa.array([hashlib.sha256(f"{name}{i}".encode()).hexdigest()[:32] for i in range(len(sets))])
        urls = [f"http://{name}/{i % 3}#{i}" for i in range(len(sets))]
        gathered.add(minima, sizes, ids, hashes, urls)
        return indexing.write_postings(self.base, f"{name}-0", gathered)

    def _ranked(self, count: int) -> str:
        rows = np.arange(count)
        columns = [
            np.zeros(count, np.int32),
            rows,
            rows,
            pa.array([f"part{i}" for i in range(count)]),
            rows,
            rows,
            np.zeros(count, bool),
        ]
        tables.write(self.base, "ranked/0.parquet", pa.table(columns, schema=RANKED), RANKED)
        return files.join(self.base, "ranked/0.parquet")

    def _reference(self, number: int, sets: Sequence[np.ndarray]) -> None:
        name = f"reference{number}"
        posted = tables.read([files.join(self.base, self._documents(name, sets)["path"])])
        found: dict[str, list[str]] = {"bands": [], "ids": [], "samples": []}
        for at in np.unique(posted["index"].to_numpy()).tolist():
            dataset = "bands" if at < OPTIONS.bands else {0: "ids", 1: "samples", 2: ""}[at - OPTIONS.bands]
            if not dataset:
                continue
            rows = posted.filter(pa.array(posted["index"].to_numpy() == at))
            path = index.path(name, dataset, at, 0, 1)
            index.write(self.base, path, rows["hash"].to_numpy(), rows["row"].to_numpy().astype(np.int64))
            found[dataset].append(files.join(self.base, path))
        signatures = files.join(self.base, self.signed["path"])
        self.context["references"].append({"kind": "snapshot", **found, "signatures": [signatures]})
        listed = [[self.signed[field] for field in ("path", "sha256", "size")]]
        self.context["signed"].append({"url": self.base, "id": name, "files": listed})

    def step(self) -> FindCandidates:
        step = FindCandidates(self.context)
        step.setup()
        return step

    def run(self, *datasets: str) -> tuple[list[dict[str, Any]], pa.Table]:
        """Receipts of the partitions of some datasets, and the pairs that came of them."""
        step = self.step()
        partitions = frozenset(p for dataset in datasets for p in self.layout.kind(dataset))
        blobs: dict[int, list[bytes]] = {partition: [] for partition in sorted(partitions)}
        for partition, blob in step.split(self.part, partitions):
            blobs[partition].append(blob)
        receipts = [step.join(partition, own_blobs) for partition, own_blobs in blobs.items()]
        urls = [files.join(self.context["folder"], entry["path"]) for receipt in receipts for entry in receipt["files"]]
        return receipts, tables.read(urls, schema=PAIRS)

    def bucket(self, ranks: Sequence[int], reference: Sequence[int], dataset: str = "bands") -> tuple[dict[str, Any], pa.Table]:
        """What becomes of one bucket of a crawl's and a reference's documents, as the first partition of a dataset."""
        partition, hashes = self.layout.kind(dataset)[0], np.full(len(reference), 5, np.uint64)
        path = index.path("made", dataset, 0, 0, 1)
        index.write(self.base, path, hashes, np.asarray(reference, np.int64))
        self.context["references"][0][dataset] = [files.join(self.base, path)]
        rows = pa.table([np.full(len(ranks), 5, np.uint64), np.asarray(ranks, np.int64)], schema=bands.SCHEMA)
        receipt = self.step().join(partition, [bands.to_ipc(rows)])
        urls = [files.join(self.context["folder"], entry["path"]) for entry in receipt["files"]]
        return receipt, tables.read(urls, schema=PAIRS)


def told(pairs: pa.Table) -> set[tuple[int, int, int, int]]:
    return set(zip(*(pairs[name].to_pylist() for name in ("left", "right", "scope", "samples")), strict=True))


def test_bands_propose_within_the_crawl_and_with_each_reference(tmp_path: Path) -> None:
    text, other = own("text", 200), own("other", 200)
    receipts, pairs = House(tmp_path, [text, other, text], [own("far", 200), text], [other]).run("bands")
    assert told(pairs) == {(2, 0, CRAWL, 0), (0, 1, 0, 0), (2, 1, 0, 0), (1, 0, 1, 0)}
    assert {receipt["not_compared"] for receipt in receipts} == {0} and not any(pairs["address"].to_pylist())


def test_one_sampled_shingle_proposes_nothing_and_two_do(tmp_path: Path) -> None:
    one, two = np.concatenate([own("a", 9), sample(1)]), np.concatenate([own("b", 300), sample(2, 3)])
    crawl = [np.concatenate([own("c", 50), sample(1, 2, 3, 4)])]
    _, pairs = House(tmp_path, crawl, [one, two]).run("samples")
    assert told(pairs) == {(0, 1, 0, 2)}


def test_samples_of_several_ranges_are_added_up_when_pairs_are_made(tmp_path: Path) -> None:
    rows = [(4, 7, 0, 1, False), (4, 7, 0, 1, False), (5, 7, 0, 1, False), (6, 7, 0, 0, False), (6, 2, CRAWL, 0, True)]
    rows.append((6, 2, CRAWL, 0, False))  # a band proposes them too
    tables.write(str(tmp_path), "candidates/0.parquet", pa.table([*zip(*rows, strict=True)], schema=PAIRS), PAIRS)
    house = House(tmp_path, [own(i, 20) for i in range(8)])
    part = {"candidates": [str(tmp_path / "candidates/0.parquet")], "ranked": house.context["ranked"]}
    receipt = PairUp({"folder": str(tmp_path)}).part({"name": "all", **part})
    pairs = tables.read([files.join(str(tmp_path), entry["path"]) for entry in receipt["files"]])
    assert pairs.schema.names == LOCATED.names
    assert told(pairs) == {(4, 7, 0, 2), (6, 7, 0, 0), (6, 2, CRAWL, 0)}
    assert {row["left"]: row["address"] for row in pairs.to_pylist() if row["scope"] == CRAWL} == {6: True}
    assert receipt["touched"] == {"0": [0]} and receipt["pairs"] == 3


def test_pairs_come_in_files_of_bounded_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.matching.PAIRS_PER_FILE", 4)
    rows = [(5, right, CRAWL, 0, False) for right in range(5)] + [(4, right, CRAWL, 0, False) for right in range(4)]
    tables.write(str(tmp_path), "candidates/0.parquet", pa.table([*zip(*rows, strict=True)], schema=PAIRS), PAIRS)
    house = House(tmp_path, [own(i, 20) for i in range(6)])
    part = {"candidates": [str(tmp_path / "candidates/0.parquet")], "ranked": house.context["ranked"]}
    receipt = PairUp({"folder": str(tmp_path)}).part({"name": "all", **part})
    assert [entry["rows"] for entry in receipt["files"]] == [4, 4, 1] and receipt["touched"] == {}


def test_a_common_shingle_looks_up_the_first_of_its_places_and_counts_the_rest(tmp_path: Path) -> None:
    reference = [np.concatenate([own(i, 20), sample(1, 2)]) for i in range(7)]
    crawl = [np.concatenate([own(f"crawl {i}", 20), sample(1, 2)]) for i in range(3)]
    receipts, pairs = House(tmp_path, crawl, reference, common=5).run("samples")
    assert told(pairs) == {(left, right, 0, 2) for left in range(3) for right in range(5)}
    # Two shingles, three documents, two places too many.
    assert [receipt["samples_not_compared"] for receipt in receipts] == [12]


def test_a_common_shingle_counts_its_places_over_all_files_of_a_reference(tmp_path: Path) -> None:
    house = House(tmp_path, [own(i, 20) for i in range(3)], [own(f"old {i}", 20) for i in range(8)], common=5)
    house.bucket(range(3), range(4), "samples")
    more = index.path("more", "samples", 0, 0, 3)
    index.write(house.base, more, np.full(4, 5, np.uint64), np.arange(4, 8))
    step, (partition, *_) = house.step(), house.layout.kind("samples")
    house.context["references"][0]["samples"].append(files.join(house.base, more))
    rows = pa.table([np.full(3, 5, np.uint64), np.arange(3)], schema=bands.SCHEMA)
    assert step.join(partition, [bands.to_ipc(rows)])["samples_not_compared"] == 3 * 3


def test_shingles_of_one_pair_in_several_ranges_or_pieces_are_all_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shared = sample(1, 2, 1 << 59)
    assert shared[2] > np.uint64(1) << np.uint64(62)
    house = House(tmp_path, [np.concatenate([own("a", 50), shared])], [np.concatenate([own("b", 300), shared])])
    house.layout = Layout(OPTIONS.bands, 1, 4)
    house.context["layout"] = list(house.layout)
    assert sorted(house.run("samples")[1]["samples"].to_pylist()) == [1, 2]
    monkeypatch.setattr(bands, "products", partial(bands.products, most=1))
    monkeypatch.setattr("pipelines.matching.GATHERED", 2)
    house.layout = Layout(OPTIONS.bands, 1, 1)
    house.context["layout"] = list(house.layout)
    assert sorted(house.run("samples")[1]["samples"].to_pylist()) == [1, 2]


def test_a_full_bucket_of_the_crawl_is_capped_and_counted_and_addresses_count_as_such(tmp_path: Path) -> None:
    receipts, pairs = House(tmp_path, [own(i, 20) for i in range(12)], bucket_limit=2, url="drop").run("addresses")
    # Three addresses of four documents: the fourth is paired with two of the three before it.
    assert sum(receipt["not_compared"] for receipt in receipts) == 3
    assert told(pairs) == {(i, j, CRAWL, 0) for i in range(12) for j in (i % 3, i % 3 + 3) if j < i}
    assert all(pairs["address"].to_pylist())


def test_documents_that_equal_a_reference_or_an_earlier_one_take_no_part(tmp_path: Path) -> None:
    text = own("text", 100)
    house = House(tmp_path, [text, text, text], [text])
    columns = [[1], [0], ["key"], [True], ["declared"]]
    tables.write(str(tmp_path), "equal.parquet", pa.table(columns, schema=EQUAL), EQUAL)
    house.context["equal"] = str(tmp_path / "equal.parquet")
    assert told(house.run("bands")[1]) == {(0, 0, 0, 0), (2, 0, 0, 0), (2, 0, CRAWL, 0)}


def test_a_bucket_that_is_full_on_both_sides_is_reduced_and_no_copy_is_lost(tmp_path: Path) -> None:
    """2,000 crawl documents, edited copies of 2,000 pages of one template, in one bucket: four million pairs."""
    count = 2000
    reference = [np.concatenate([SHINGLES[:100], own(f"page {i}", 160)]) for i in range(count)]
    rng = np.random.default_rng(1)
    crawl = [one[rng.random(len(one)) > 0.05 * (i % 5)] for i, one in enumerate(reference)]
    house = House(tmp_path, crawl, reference)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    receipt, pairs = house.bucket(range(count), range(count))
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert receipt["not_compared"] == count * (count - 1) // 2 - (128 * 127 // 2 + (count - 128) * 128)
    found = {(left, right) for left, right, scope, _ in told(pairs) if scope == 0}
    assert {(i, i) for i in range(count)} <= found
    assert len(found) < 3 * count
    assert grown < 200 << 10, "kB"


def test_a_full_bucket_finds_its_signatures_in_all_files_of_the_crawl(tmp_path: Path) -> None:
    count = int(PRODUCT**0.5) + 1
    sets = [np.concatenate([SHINGLES[:100], own(f"page {i}", 160)]) for i in range(count)]
    house = House(tmp_path, sets, sets)
    whole = told(house.bucket(range(count), range(count))[1])
    signatures, ranked = (tables.read(house.context[name]) for name in ("signatures", "ranked"))
    house.context |= {"signatures": [], "ranked": []}
    for part in range(3):
        rows = pa.array(range(part, count, 3)[::-1])
        for name, table in (("signatures", signatures), ("ranked", ranked)):
            tables.write(house.base, f"{name}/cut-{part}.parquet", table.take(rows), table.schema)
            house.context[name].append(files.join(house.base, f"{name}/cut-{part}.parquet"))
    assert told(house.bucket(range(count), range(count))[1]) == whole
    assert {(i, i) for i in range(count)} <= {(left, right) for left, right, scope, _ in whole if scope == 0}


def test_of_references_of_equal_sketches_a_full_bucket_of_a_band_takes_one(tmp_path: Path) -> None:
    count = int(PRODUCT**0.5) + 1
    text = own("text", 200)
    reference = [text, text, *(own(f"page {i}", 160) for i in range(count - 2))]
    crawl = [np.concatenate([text[:160], own("new", 40)]), *(own(f"new {i}", 160) for i in range(count - 1))]
    pairs = told(House(tmp_path, crawl, reference).bucket(range(count), range(count))[1])
    assert {(left, right) for left, right, scope, _ in pairs if scope == 0} == {(0, 0)}


def test_a_full_bucket_of_equal_documents_is_one_pair_for_each(tmp_path: Path) -> None:
    count = int(PRODUCT**0.5) + 1
    text = own("text", 100)
    _, pairs = House(tmp_path, [text] * count, [text] * count, bucket_limit=1).bucket(range(count), range(count))
    assert {pair for pair in told(pairs) if pair[2] == 0} == {(i, 0, 0, 0) for i in range(count)}


def test_no_signature_is_read_for_no_more_pairs_than_the_crawl_has_documents(tmp_path: Path) -> None:
    count = int(PRODUCT**0.5) + 1
    house = House(tmp_path, [own("text", 100)] * count, [own("text", 100)] * count)
    house.context["documents"] = count**2 - 1
    assert house.bucket(range(count), range(count))[1]["scope"].to_pylist().count(0) == count
    house.context["documents"] = count**2
    (tmp_path / "signatures/part-0.parquet").unlink()
    assert house.bucket(range(count), range(count))[1]["scope"].to_pylist().count(0) == count**2


def test_signatures_do_not_silence_a_sampled_shingle_however_crowded(tmp_path: Path) -> None:
    count, known = 1100, 64
    reference = [np.concatenate([SHINGLES[:100], own(f"page {i}", 160)]) for i in range(known)]
    crawl = [np.concatenate([SHINGLES[:1], own(f"new {i}", 160)]) for i in range(count)]
    assert count * known > PRODUCT
    house = House(tmp_path, crawl, reference)
    house.layout = Layout(OPTIONS.bands, 1, 2)  # of one range, pairs of one shingle would go
    house.context["layout"] = list(house.layout)
    _, pairs = house.bucket(range(count), range(known), "samples")
    assert {pair for pair in told(pairs) if pair[2] == 0} == {(i, j, 0, 1) for i in range(count) for j in range(known)}


def test_signatures_that_are_not_what_was_frozen_are_refused(tmp_path: Path) -> None:
    count = int(PRODUCT**0.5) + 1
    sets = [own(i, 20) for i in range(count)]
    house = House(tmp_path, sets, sets)
    path = tmp_path / "signatures/reference0-0.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckFailed, match="signatures/reference0-0"):
        house.bucket(range(count), range(count))
    # A bucket that is not hot reads none of it.
    assert house.bucket(range(4), range(4))[1].num_rows == 6 + 16


def test_signatures_are_checked_by_every_run_of_a_process(tmp_path: Path) -> None:
    count = int(PRODUCT**0.5) + 1
    sets = [own(i, 20) for i in range(count)]
    house = House(tmp_path, sets, sets)
    house.bucket(range(count), range(count))
    path = tmp_path / "signatures/reference0-0.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckFailed, match="signatures/reference0-0"):
        house.bucket(range(count), range(count))


def test_pairs_are_the_same_however_the_parts_come(tmp_path: Path) -> None:
    sets = [np.concatenate([SHINGLES[:90], own(i % 40, 30), sample(i % 7, i % 5)]) for i in range(120)]
    house = House(tmp_path, sets, sets[::3])
    step = house.step()
    for partition in (*house.layout.kind("bands"), *house.layout.kind("samples")):
        whole = b"".join(blob for _, blob in step.split(house.part, frozenset([partition])))
        table = bands.from_ipc([whole])
        pieces = [bands.to_ipc(table.slice(start, 50)) for start in range(0, table.num_rows, 50)]
        digests = [[entry["sha256"] for entry in step.join(partition, order)["files"]] for order in ([whole], pieces, pieces[::-1])]
        assert digests[0] and digests[0] == digests[1] == digests[2]
