"""Folders that say what is not true, with every digest and number of the manifest made to agree: `verify` accepts none, and takes no end of
time or memory over one."""

import contextlib
import copy
import io
import json
import os
import shutil
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard

from pipelines import verify
from provenance.identity import canonical_json
from provenance.schema import SHARD
from store import verify_proof
from store.errors import UsageError
from store.shards import _pages, _thrift, jsonl, parquet
from store.verify_card import check_croissant
from store.verify_mix import verify_mix
from store.verify_tokens import Encoder
from tests import forge_mix, forge_thrift, mixes
from tests.test_second_verifier import query

PLAIN = forge_mix.SETTINGS
COLUMNS = {name: number for number, name in enumerate(SHARD.names)}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacks")
    frozen, _ = mixes.standard(folder, 14)
    known = forge_mix.documents(frozen)
    humans = [row for i in range(8) for row in forge_mix.chunks(known[f"human-{i}"], "human", PLAIN["chunk_bytes"])]
    others = [row for i in range(14) for row in forge_mix.chunks(mixes.document(f"new-{i}", 400), "unknown", PLAIN["chunk_bytes"])]
    rows = forge_mix.scheduled(humans, others, PLAIN)
    forge_mix.publish(folder / "plain", frozen, [rows])
    forge_mix.publish(folder / "indexed", frozen, [rows], {"page_index": True})
    return folder, frozen, rows


@pytest.fixture
def mix(made, tmp_path):
    shutil.copytree(made[0] / "plain", tmp_path / "mix")
    return tmp_path / "mix"


def shard(mix: Path) -> Path:
    return next((mix / "data").iterdir())


def meta(footer, name, group=0):
    """What a footer says of one column."""
    return footer[4][1][1][group][1][1][1][COLUMNS[name]]


def rows_of_file(footer):
    footer[3] = (6, footer[3][1] - 5)


def rows_of_group(footer):
    footer[4][1][1][0][3] = (6, 10)


def rows_of_all(footer):
    rows_of_group(footer)
    footer[3] = (6, 10)


def other_origins(footer):
    said = meta(footer, "origin")[3][1][12][1]
    said[5] = said[6] = (8, b"unknown")


def no_texts(footer):
    meta(footer, "text")[3][1][12] = (12, {3: (6, footer[3][1])})


def filtered(footer):
    meta(footer, "origin")[3][1].update({14: (6, 4), 15: (5, 64)})


def unknown_field(footer):
    footer[77] = (8, b"x" * 9999)


def ordered(footer):
    footer[4][1][1][0][4] = (9, (12, [{1: (5, 0), 2: (2, False), 3: (2, False)}]))


def smaller(footer):
    meta(footer, "text")[3][1][6] = (6, 5)


def later_page(footer):
    of = meta(footer, "origin")[3][1]
    of[9] = (6, of[9][1] + 7)


def elsewhere(footer):
    meta(footer, "text")[2] = (6, 99)


def encodings(footer):
    meta(footer, "origin")[3][1][13] = (9, (12, [{1: (5, 2), 2: (5, 0), 3: (5, 1)}, {1: (5, 0), 2: (5, 8), 3: (5, 9)}]))


def json_type(footer):
    text = next(element for element in footer[2][1][1] if element[4][1] == b"text")
    text |= {6: (5, 19), 10: (12, {12: (12, {})})}


def own_metadata(footer):
    meta(footer, "text")[3][1][8] = (9, (12, [{1: (8, b"a"), 2: (8, b"b")}]))


LIES = [
    rows_of_file, rows_of_group, rows_of_all, other_origins, no_texts, filtered, unknown_field, ordered, smaller, later_page, elsewhere, encodings,
    json_type, own_metadata,
]  # fmt: skip


@pytest.mark.parametrize("lie", LIES, ids=lambda lie: lie.__name__)
def test_a_footer_that_says_what_the_rows_are_not_is_named(made, mix, lie):
    path = shard(mix)
    body, footer = forge_thrift.cut(path.read_bytes())
    assert forge_thrift.joined(body, footer) == path.read_bytes()
    lie(footer)
    path.write_bytes(forge_thrift.joined(body, footer))
    forge_mix.seal(mix, described=True)
    found = verify_mix(str(mix), made[1].id)
    assert not found["anchored"] and found["wrong"] == [f"data/{path.name}"]


def test_readers_do_leave_rows_out_for_such_a_footer(mix):
    """What the lies above are good for."""
    path = shard(mix)
    body, footer = forge_thrift.cut(path.read_bytes())
    other_origins(footer)
    path.write_bytes(forge_thrift.joined(body, footer))
    assert duckdb.sql(f"SELECT count(*) FROM '{path}' WHERE origin = 'human'").fetchall() == [(0,)]


@pytest.mark.parametrize(
    "field", [(4, 1, "offset"), (6, 2, "least"), (6, 5, "nulls"), (6, 1, "null pages")], ids=lambda field: field[2]
)
def test_a_page_index_that_is_false_is_named(made, tmp_path, field):
    shutil.copytree(made[0] / "indexed", tmp_path / "mix")
    assert verify_mix(str(tmp_path / "mix"), made[1].id)["anchored"]
    path, (place, number, _) = shard(tmp_path / "mix"), field
    data = bytearray(path.read_bytes())
    _, footer = forge_thrift.cut(bytes(data))
    column = meta(footer, "origin")
    start, length = column[place][1], column[place + 1][1]
    index, _ = forge_thrift.struct(bytes(data[start : start + length]))
    kind, (of, items) = index[number]
    if place == 4:
        items[0][2] = (5, items[0][2][1] - 1)
    elif number == 2:
        items[0] = b"hxman"
    else:
        items[0] = not items[0] if of in (1, 2) else items[0] + 1
    index[number] = (kind, (of, items))
    made_index = forge_thrift.put_struct(index)
    assert len(made_index) == length
    data[start : start + length] = made_index
    path.write_bytes(bytes(data))
    forge_mix.seal(tmp_path / "mix", described=True)
    assert verify_mix(str(tmp_path / "mix"), made[1].id)["wrong"] == [f"data/{path.name}"]


def test_a_page_of_texts_that_unpacks_to_more_than_chunks_can_have_is_refused():
    """A dictionary of one long text, or a page of long ones, would fill the memory with few compressed bytes."""
    rows = forge_mix.chunks(mixes.document("x", 50), "unknown", 600) * 64
    table = pa.Table.from_pylist(rows, schema=SHARD)
    long = table.set_column(0, SHARD.field(0), pa.array(["x" * (1 << 20)] * len(rows)))
    for dictionary, text in ((["text"], table), (False, long)):
        sink = io.BytesIO()
        pq.write_table(text, sink, compression="zstd", use_dictionary=dictionary, write_statistics=False)
        assert len(sink.getvalue()) < 1 << 16
        with pytest.raises(ValueError, match="none of a shard's, or unpacks to more"):
            [*parquet.read(lambda path: io.BytesIO(sink.getvalue()), "x", PLAIN)]  # noqa: B023


@pytest.mark.parametrize("most", [7, 8])
def test_a_row_group_of_more_values_than_are_read_at_once_is_refused(most):
    schema, sink = pa.schema([("x", pa.list_(pa.int32()))]), io.BytesIO()
    pq.write_table(pa.table({"x": [[1, 2, 3, 4], [5, 6, 7, 8]]}, schema=schema), sink, use_dictionary=False, write_statistics=False)
    with pytest.raises(ValueError, match="at most 7") if most == 7 else contextlib.nullcontext():
        _pages.check(sink, len(sink.getvalue()), schema, _pages.Shape([], values=most))


def test_lines_are_given_out_before_they_fill_the_memory(monkeypatch):
    monkeypatch.setattr(jsonl, "BATCH_BYTES", 5000)
    folder: dict[str, io.BytesIO] = {}
    rows = forge_mix.chunks(mixes.document("x", 4000), "unknown", 4000) * 9

    def create(path):
        folder[path] = io.BytesIO()
        return contextlib.nullcontext(folder[path])

    jsonl.write(create, "x", [pa.RecordBatch.from_pylist(rows, schema=SHARD)], {})
    found = [*jsonl.read(lambda path: io.BytesIO(folder[path].getvalue()), "x", {})]
    assert {batch.num_rows for batch in found[:-1]} == {2} and sum(batch.num_rows for batch in found) == len(rows)


def test_leaves_that_unpack_without_end_are_named(made, mix, monkeypatch):
    path = next((mix / "proof").glob("*.leaves.zst"))
    monkeypatch.setattr(verify_proof, "UNPACKED", len(zstandard.decompress(path.read_bytes())) - 1)
    found = verify_mix(str(mix), made[1].id)
    assert f"proof/{path.name}" in found["wrong"] and "unpack to more" in found["why"][f"proof/{path.name}"]


@pytest.mark.parametrize("name", ["manifest.json", "README.md", "proof/snapshot.manifest", "data"])
@pytest.mark.parametrize("kind", ["pipe", "link to a pipe", "endless"])
def test_a_pipe_or_a_device_is_named_and_never_read(made, mix, tmp_path, name, kind):
    path = shard(mix) if name == "data" else mix / name
    known = str(path.relative_to(mix))
    path.unlink()
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "endless":
        path.symlink_to("/dev/zero")
    else:
        os.mkfifo(tmp_path / "pipe")
        path.symlink_to(tmp_path / "pipe")
    assert known in verify_mix(str(mix), made[1].id)["wrong"]
    if name == "manifest.json":
        found = verify.run(str(mix), made[1].id, quiet=True)
        assert (found["exit_code"], found["wrong"]) == (1, [known])


def test_a_file_too_large_to_be_read_at_once_is_named(made, mix):
    """It has holes and takes no room on the disk."""
    os.truncate(mix / "manifest.json", 1 << 40)
    assert "more than" in verify_mix(str(mix), made[1].id)["why"]["manifest.json"]


def test_a_link_to_a_file_is_read_as_caches_of_hubs_have_them(made, mix, tmp_path):
    path = shard(mix)
    shutil.move(path, tmp_path / "blob")
    path.symlink_to(tmp_path / "blob")
    assert verify_mix(str(mix), made[1].id)["anchored"]


def test_a_document_twice_is_named_though_keys_of_other_lengths_stand_between(made, tmp_path):
    """Keys are compared at multiples of their length: one short and one long would shift what lies between them."""
    _, frozen, rows = made
    humans = [row for row in rows if row["origin"] == "human"]
    once = forge_mix.chunks(mixes.document("twice", 40), "unknown", 600)
    short, long = ([{**forge_mix.chunks(mixes.document(str(n), 40), "unknown", 600)[0], "key": "0" * n}] for n in (31, 33))
    forge_mix.publish(tmp_path / "mix", frozen, [[*humans, *once, *short, *copy.deepcopy(once), *long]])
    found = verify_mix(str(tmp_path / "mix"), frozen.id)
    assert not found["anchored"] and "key" in " ".join(found["why"].values())


@pytest.mark.parametrize(
    "path",
    [
        "data/train-00000-of-00008.parquet",
        "other/train-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet.bak",
        "train-00000-of-00001x",
    ],
)
def test_another_file_than_the_shard_that_was_checked_is_no_answer(made, mix, path):
    """Nothing lies there: the shard of that number would be checked in its place."""
    with pytest.raises(UsageError, match="none of the 1 shards"):
        verify_mix(str(mix), made[1].id, shard=path)


def test_a_tokenizer_that_merges_by_chance_is_refused(tmp_path):
    data = json.loads(Path(forge_mix.tokenizer(tmp_path / "t", lossy=False), "tokenizer.json").read_text())
    stated = {"boundary": 0, "end": 0, "pad": 0, "specials": [0]}
    Encoder(canonical_json(stated | {"tokenizer": json.dumps(data)}))
    assert data["model"]["type"] == "BPE"
    data["model"]["dropout"] = 0.5
    with pytest.raises(ValueError, match="by chance"):
        Encoder(canonical_json(stated | {"tokenizer": json.dumps(data)}))


FILE = {"@type": "cr:FileObject", "contentUrl": "data/a", "sha256": "a" * 64, "contentSize": "1 B"}
HIDDEN = {
    "expanded term": {"@context": {"size": {"@id": "sc:contentUrl"}}, "distribution": [FILE]},
    "typed term": {"@context": {"contentUrl": {"@id": "sc:contentUrl", "@context": {}}}, "distribution": [FILE]},
    "part of a name": {"@context": {"File": "http://mlcommons.org/croissant/File"}, "distribution": [FILE]},
    "prefix": {"@context": {"x": "http://mlcommons.org/croissant/File"}, "distribution": [FILE]},
    "base": {"@context": {"@base": "https://elsewhere.example/"}, "distribution": [FILE]},
    "number": {"@context": {"x": 1}, "distribution": [FILE]},
    "two addresses": {"distribution": [{**FILE, "sc:contentUrl": "https://elsewhere.example"}]},
    "inside a file": {"distribution": [{**FILE, "containedIn": {"sc:contentUrl": "https://elsewhere.example"}}]},
}


@pytest.mark.parametrize("name", HIDDEN)
def test_a_croissant_that_names_files_by_another_word_is_refused(name):
    check_croissant(json.dumps({"distribution": [FILE]}).encode(), {"data/a": ("a" * 64, 1)})
    with pytest.raises(ValueError):
        check_croissant(json.dumps(HIDDEN[name]).encode(), {"data/a": ("a" * 64, 1)})


def test_the_second_verifier_finds_rows_whose_texts_the_file_denies(made, tmp_path, monkeypatch):
    """DuckDB reads no text where a footer says that there is none: without a unit such rows would break no floor."""
    _, frozen, rows = made
    sides = [[row for row in rows if (row["origin"] == "human") == human] for human in (True, False)]
    forge_mix.publish(tmp_path / "mix", frozen, [rows])
    with shard(tmp_path / "mix").open("wb") as sink:
        batches = [pa.RecordBatch.from_pylist(side, schema=SHARD) for side in (sides[0][:5], sides[1])]
        parquet.write(lambda path: contextlib.nullcontext(sink), "x", batches, PLAIN)
    body, footer = forge_thrift.cut(shard(tmp_path / "mix").read_bytes())
    meta(footer, "text", 1)[3][1][12] = (12, {3: (6, len(sides[1]))})
    meta(footer, "text", 0)[3][1][12] = (12, {3: (6, 0)})
    shard(tmp_path / "mix").write_bytes(forge_thrift.joined(body, footer))
    monkeypatch.chdir(tmp_path / "mix")
    assert "below the floor" in {kind for kind, *_ in duckdb.connect().execute(query()).fetchall()}


def test_the_second_verifier_takes_each_file_by_itself(made, tmp_path, monkeypatch):
    """A second file whose name holds that of a shard is none of its rows."""
    _, frozen, rows = made
    sides = [[row for row in rows if (row["origin"] == "human") == human] for human in (True, False)]
    forge_mix.publish(tmp_path / "mix", frozen, [sides[0]])
    pq.write_table(
        pa.Table.from_pylist(sides[1][:3], schema=SHARD), shard(tmp_path / "mix").with_name("train-00000-of-00001-b.parquet")
    )
    monkeypatch.chdir(tmp_path / "mix")
    assert duckdb.connect().execute(query()).fetchall() == [("below the floor", "train-00000-of-00001-b", "from row 0")]


@pytest.mark.parametrize(
    "data", [b"", b"\x15", b"\xff" * 40, b"\x19\xfc\xff\xff\xff\x0f", b"\x1c" * 99, b"\x15\x02\x05\x02\x02\x00"]
)
def test_bytes_that_are_no_struct_are_refused(data):
    with pytest.raises(ValueError):
        _thrift.struct(data)


def test_random_bytes_are_structs_or_refused_and_what_was_written_comes_back():
    chance = np.random.default_rng(3)
    for _ in range(2000):
        with contextlib.suppress(ValueError):
            _thrift.struct(chance.bytes(40))
    fields = {1: (5, -7), 2: (8, b"text"), 20: (9, (5, [1, 2])), 21: (12, {3: (1, True)}), 22: (6, -(1 << 62))}
    assert _thrift.struct(forge_thrift.put_struct(fields))[0] == {1: -7, 2: b"text", 20: [1, 2], 21: {3: True}, 22: -(1 << 62)}
