"""Writing shards from a plan: rows in an order that keeps the floor, the human side apart, counts, and what the orders keep."""

import json
from collections import Counter
from fractions import Fraction
from pathlib import Path

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import arranging, mixing, orders, pieces
from pipelines.mixing import PLAN, Scatter, WriteShard
from provenance.mixture import Mix
from provenance.orders import Orders
from provenance.schema import SPANS
from store import files
from store.errors import CheckFailed
from tests import mixes, vocabularies

SIZES = [300, 900, 2500, 40, 5000, 700]


class Planned:
    """A plan of some shards, written by hand: the human documents are dealt to them and repeated, and so are the others."""

    def __init__(self, folder: Path, humans: int = 20, others: int = 20, epochs: int = 1, shards: int = 2):
        rows = [mixes.document(f"human-{i}", SIZES[i % 6], witness="one" if i % 3 else "another") for i in range(humans)]
        rows[0] |= {"date": None, "date_end": None, "attestation": "declared"}
        self.frozen = mixes.snapshot(folder / "snapshot", rows)
        found = [(mixes.document(f"other-{i}", SIZES[(i + 3) % 6] // 2), "unknown", None) for i in range(others)]
        self.run = mixes.run(folder / "run", [self.frozen], found)
        self.folder, self.shards = folder, shards
        leaves = pa.concat_tables([pq.read_table(path) for path in self.frozen.files("leaves")])
        index = dict(zip(leaves["key"].to_pylist(), leaves["index"].to_pylist(), strict=True))
        self.parts, self.numbers = [], {}
        lines: list[list[dict]] = [[] for _ in range(shards)]
        wanted: dict[int, set] = {}
        for opened, origin in ((self.frozen, "human"), (self.run, "unknown")):
            for entry in opened.entries("documents"):
                number, url = len(self.parts), files.join(opened.url, entry["path"])
                self.parts.append(url)
                self.numbers.setdefault(opened.id, {})[entry["path"]] = number
                for row, key in enumerate(pq.read_table(url)["key"].to_pylist()):
                    shard = row % shards
                    wanted.setdefault(number, set()).add((row, shard))
                    for epoch in range(epochs if origin == "human" else 1):
                        line = {"source": opened.id, "part": entry["path"], "row": row, "origin": origin, "epoch": epoch}
                        lines[shard].append(line | {"stratum": f"{origin}/{row % 3}", "leaf_index": index.get(key)})
        kinds = [pa.string(), pa.string(), pa.int64(), pa.string(), pa.int32(), pa.string(), pa.int64()]
        schema = pa.schema(list(zip(PLAN, kinds, strict=True)))
        for shard in range(shards):
            lines[shard].sort(key=lambda line: (line["origin"] != "human", line["epoch"]))
            bound = leaves.filter(
                pa.array([i in {line["leaf_index"] for line in lines[shard]} for i in leaves["index"].to_pylist()])
            )
            self._write(f"shards/{shard:05d}.parquet", pa.Table.from_pylist(lines[shard], schema=schema))
            self._write(f"leaves/{shard:05d}.parquet", bound.sort_by("index"))
            files.write_bytes(str(folder / "plan" / "hashes" / f"{shard:05d}.bin"), b"")
        for number, pairs in wanted.items():
            table = pa.Table.from_pylist([{"row": row, "shard": shard} for row, shard in sorted(pairs, key=lambda x: x[::-1])])
            self._write(f"rows/{number:05d}.parquet", table)

    def _write(self, name: str, table: pa.Table) -> None:
        path = self.folder / "plan" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(table, path)

    def write(self, name: str, scattered: bool = False, **options) -> tuple[list[dict], str, dict]:
        """Does the steps; receipts of the shards, where they lie, and the settings."""
        into, plain = str(self.folder / name), msgspec.to_builtins(Mix(**options))
        context = {"plan": str(self.folder / "plan"), "parts": self.parts, "folder": into}
        if scattered:
            for number in range(len(self.parts)):
                Scatter(context).part({"part": number})
        counter = str(self.folder / "tokenizer.bin") if options.get("tokenizer") else None
        if counter:
            files.write_bytes(counter, vocabularies.packed(options["tokenizer"]))
        more = {"mix": plain, "shards": self.shards, "numbers": self.numbers, "tokenizer": counter}
        step = WriteShard(context | more | {"texts": into if scattered else None})
        step.setup()
        return [step.part({"shard": shard}) for shard in range(self.shards)], into, plain


@pytest.fixture(scope="module")
def planned(tmp_path_factory):
    return Planned(tmp_path_factory.mktemp("planned"), epochs=2)


def rows(receipts, into, root="data"):
    """The rows of each shard, in order."""
    return [
        pq.read_table(files.join(into, entry["path"])).to_pylist()
        for receipt in receipts
        for entry in receipt["files"]
        if entry["path"].startswith(f"{root}/")
    ]


def sizes(shard):
    """Human bytes and bytes of each row."""
    found = [(len(row["text"].encode()) * (row["origin"] == "human"), len(row["text"].encode())) for row in shard]
    return np.array(found, np.int64).reshape(-1, 2).T


def tree(folder):
    return {name: files.read_bytes(files.join(folder, name)) for name in files.list_files(folder) if not name.startswith("texts/")}


@pytest.mark.parametrize("chunk", [9, 300, 16384])
def test_chunks_of_a_document_stand_in_one_shard_and_in_order(planned, chunk):
    receipts, into, _ = planned.write(f"chunks-{chunk}", chunk_bytes=chunk)
    seen: dict = {}
    for number, shard in enumerate(rows(receipts, into)):
        for row in shard:
            seen.setdefault((row["key"], row["epoch"]), []).append((number, row["chunk"], row["chunks"], row["text"]))
    keys = Counter()
    for (key, _), found in seen.items():
        assert [place[:3] for place in found] == [(found[0][0], chunk, len(found)) for chunk in range(len(found))]
        keys[key, "".join(place[3] for place in found)] += 1
    assert sorted(keys.values()) == [1] * 20 + [2] * 20


@pytest.mark.parametrize("units", [("bytes",), ("documents", "bytes")])
@pytest.mark.parametrize("buffer", [0, 3])
def test_a_classes_rows_keep_the_order_of_the_plan(planned, units, buffer):
    receipts, into, _ = planned.write(
        f"order-{buffer}-{len(units)}", units=units, chunk_bytes=400, shuffle_buffer=buffer, floor="0.4"
    )
    for shard, found in enumerate(rows(receipts, into)):
        plan = pq.read_table(planned.folder / "plan" / "shards" / f"{shard:05d}.parquet").to_pylist()
        keys = {name: pq.read_table(url)["key"].to_pylist() for name, url in zip(range(9), planned.parts, strict=False)}
        for origin in ("human", "unknown"):
            wanted = [
                (keys[planned.numbers[line["source"]][line["part"]]][line["row"]], line["epoch"], line["stratum"])
                for line in plan
                if line["origin"] == origin
            ]
            assert wanted == [
                (row["key"], row["epoch"], row["stratum"]) for row in found if row["origin"] == origin and row["chunk"] == 0
            ]


@pytest.mark.parametrize("held", [1, 6000, mixing.SCATTER_BYTES])
def test_texts_scattered_by_shard_give_the_same_bytes_as_texts_read_from_their_files(planned, monkeypatch, held):
    monkeypatch.setattr(mixing, "SCATTER_BYTES", held)
    monkeypatch.setattr(pieces, "STRETCH_ROWS", 3)
    receipts, into, _ = planned.write(f"plain-{held}")
    again, twin, _ = planned.write(f"again-{held}")
    scattered, other, _ = planned.write(f"scattered-{held}", scattered=True)
    assert receipts == again == scattered
    assert tree(into) == tree(twin) == tree(other)


def test_a_part_is_scattered_once_and_by_shard(planned, monkeypatch):
    monkeypatch.setattr(mixing, "SCATTER_BYTES", 1)
    monkeypatch.setattr(pieces, "STRETCH_ROWS", 3)
    into = planned.write("once", scattered=True)[1]
    for number, url in enumerate(planned.parts):
        base = files.join(into, "texts", f"{number:05d}")
        order = json.loads(files.read_bytes(f"{base}.json"))
        with pa.OSFile(f"{base}.arrow") as source:
            reader = pa.ipc.open_file(source)
            found = [(owner, row) for i, owner in enumerate(order) for row in reader.get_batch(i).to_pylist()]
        there = [{name: row[name] for name in pieces.TEXTS.names} for row in pq.read_table(url).to_pylist()]
        for shard in range(planned.shards):
            assert [row for owner, row in found if owner == shard] == there[shard :: planned.shards]
        assert len(found) == len(there) and len(set(order)) < len(order)


def test_another_seed_is_another_order_of_the_same_rows(planned):
    found = [rows(*planned.write(f"seed-{seed}", seed=seed)[:2]) for seed in (0, 1)]
    assert found[0] != found[1]
    assert [sorted(map(repr, shard)) for shard in found[0]] == [sorted(map(repr, shard)) for shard in found[1]]


def test_the_human_side_stands_apart_once_and_in_its_order(planned):
    receipts, into, _ = planned.write("apart", chunk_bytes=500, human_apart=True)
    alone, mixed = rows(receipts, into, "human"), rows(receipts, into)
    for one, shard, receipt in zip(alone, mixed, receipts, strict=True):
        assert one == [row for row in shard if row["origin"] == "human" and row["epoch"] == 0]
        assert receipt["shard"]["human"] == {"path": receipt["shard"]["path"].replace("data/", "human/data/"), "rows": len(one)}
    assert [receipt["shard"]["human"] for receipt in planned.write("beside")[0]] == [None, None]
    plain = tree(planned.write("alone", chunk_bytes=500)[1])
    assert {name: data for name, data in tree(into).items() if not name.startswith("human/")} == plain


@pytest.mark.parametrize("share", ["0", "1/3", "0.5"])
@pytest.mark.parametrize("buffer", [0, 2, 5])
def test_what_is_said_of_reading_orders_is_what_the_rows_give(planned, share, buffer):
    receipts, into, plain = planned.write(
        f"said-{share.replace('/', '-')}-{buffer}",
        chunk_bytes=700,
        floor=share,
        shuffle_buffer=buffer,
        units=("bytes", "documents"),
    )
    said = orders.realised(into, {str(i): receipt for i, receipt in enumerate(receipts)}, plain)
    found = rows(receipts, into)
    expected = Orders(Fraction(share), sum(map(len, found)), len(found))
    for shard in found:
        expected.take(*sizes(shard))
    assert said["bytes"] == expected.stated()
    assert said["bytes"]["shuffle_buffer"] >= buffer
    assert said["documents"]["shuffle_buffer"] >= buffer
    assert said["bytes"]["strided"]["2"] == {
        "whole_shards": True,
        "minimum_surplus": 0,
        **dict(
            zip(("human", "total"), min((sizes(s).sum(axis=1).tolist() for s in found), key=lambda e: e[0] / e[1]), strict=True)
        ),
    }


def test_counts_are_those_of_the_rows(planned):
    receipts, into, _ = planned.write("counts", chunk_bytes=500)
    for receipt, shard in zip(receipts, rows(receipts, into), strict=True):
        counts = receipt["counts"]
        for name, label, among in [
            ("origins", lambda row: row["origin"], shard),
            ("strata", lambda row: row["stratum"], shard),
            ("years", lambda row: str(row["date"].year) if row["date"] else "none", [r for r in shard if r["origin"] == "human"]),
            ("attestations", lambda row: row["attestation"], [r for r in shard if r["origin"] == "human"]),
        ]:
            expected: dict = {}
            for row in among:
                into_ = expected.setdefault(label(row), Counter())
                into_.update(rows=1, documents=row["chunk"] == 0, bytes=len(row["text"].encode()))
            assert counts[name] == expected
        assert {row["attestation"] for row in shard if row["origin"] != "human"} == {"none"}
        assert counts["rows"] == len(shard)
        assert sum(of["bytes"] for of in counts["witnesses"].values()) == counts["origins"]["human"]["bytes"]
        units = receipt["shard"]["units"]["bytes"]
        assert (units["human"], units["total"]) == tuple(sizes(shard).sum(axis=1))


def test_a_buffer_that_the_human_side_cannot_lead_is_an_error(planned):
    with pytest.raises(CheckFailed, match="floor cannot hold"):
        planned.write("lead", shuffle_buffer=1000)


def tokens(receipts, into, root=""):
    """Human tokens and tokens of each row of each shard, by its spans, and the rows' spans."""
    found = []
    for spans in rows(receipts, into, f"{root}attributes"):
        sides = [[sum(s["stop"] - s["start"] for s in row["spans"] if s["origin"] in kinds) for row in spans] for kinds in KINDS]
        found.append((np.array(sides, np.int64), [span for row in spans for span in row["spans"]]))
    return found


KINDS = ({"human"}, {"human", "unknown"})


@pytest.mark.parametrize(("share", "buffer"), [("0.5", 0), ("1/3", 0), ("0.4", 3)])
def test_packed_rows_keep_the_floor_and_what_is_said_of_them(planned, share, buffer):
    pytest.importorskip("tokenizers")
    options = {"format": "tokens", "units": ("tokens",), "tokenizer": "byte_level", "sequence_length": 64, "chunk_tokens": 100}
    name = f"packed-{share.replace('/', '-')}-{buffer}"
    receipts, into, plain = planned.write(name, **options, floor=share, shuffle_buffer=buffer, human_apart=True)
    said = orders.realised(into, {str(i): receipt for i, receipt in enumerate(receipts)}, plain)["tokens"]
    found = tokens(receipts, into)
    expected = Orders(Fraction(share), sum(len(sides[0]) for sides, _ in found), len(found))
    for receipt, (sides, spans), (alone, apart) in zip(receipts, found, tokens(receipts, into, "human/"), strict=True):
        expected.take(*sides)
        human, total = np.cumsum(sides, axis=1)
        assert (human * Fraction(share).denominator >= total * Fraction(share).numerator).all()
        units = receipt["shard"]["units"]["tokens"]
        assert (units["human"], units["total"], receipt["rows"]) == (human[-1], total[-1], len(total))
        assert units["final_surplus"] == human[-1] * Fraction(share).denominator - total[-1] * Fraction(share).numerator
        once = [span["key"] for span in spans if span["origin"] == "human" and span["epoch"] == 0 and span["offset"] == 0]
        assert [span["key"] for span in apart if span["offset"] == 0] == once
        assert {span["epoch"] for span in apart} == {0}
        assert (alone[0] == alone[1]).all()
        assert receipt["counts"]["tokens"] == total[-1]
        assert receipt["counts"]["origins"]["human"] == {"documents": 20, "tokens": human[-1]}
        assert set(receipt["counts"]) >= {"strata", "years", "attestations", "witnesses"} and "rows" not in receipt["counts"]
        assert receipt["inexact"] == 0
    assert said == expected.stated()
    assert said["shuffle_buffer"] >= buffer


def test_texts_that_their_tokens_do_not_give_back_are_counted(planned):
    pytest.importorskip("tokenizers")
    options = {"format": "tokens", "units": ("tokens",), "tokenizer": "word_pieces", "sequence_length": 64}
    assert [receipt["inexact"] for receipt in planned.write("lossy", **options)[0]] == [10, 10]
    assert [receipt["inexact"] for receipt in planned.write("whole")[0]] == [0, 0]


def test_human_tokens_of_packed_rows_are_those_in_spans_of_human_documents():
    blank = dict.fromkeys(field.name for field in SPANS.field("spans").type.value_type)
    made = [
        [blank | {"start": 1, "stop": 4, "origin": "human"}, blank | {"start": 5, "stop": 9, "origin": "unknown"}],
        [],
        [blank | {"start": 1, "stop": 9, "origin": "human"}],
    ]
    batch = pa.RecordBatch.from_arrays([pa.array(made, SPANS.field("spans").type)], schema=SPANS)
    human, total = arranging.packed_lengths(batch)
    assert (human.tolist(), total.tolist()) == ([3, 0, 8], [7, 0, 8])
    empty = arranging.packed_lengths(batch.slice(0, 0))
    assert [side.tolist() for side in empty] == [[], []]
