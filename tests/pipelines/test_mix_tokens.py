"""Mixes of packed tokens, end to end: written by `mix`, read back token by token, and held to the snapshot by `verify`."""

import json
from fractions import Fraction

import numpy as np
import pytest

from pipelines import tokenizer
from pipelines.tokenizer import Tokenizer
from store import files, manifest, shards
from store.verify_mix import verify_mix
from tests import mixes, vocabularies

SPECIAL = "<|endoftext|></s>[CLS] "


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """A snapshot and a run, some of whose texts name special tokens; and the tokenizers."""
    folder = tmp_path_factory.mktemp("sources")
    rows = [mixes.document(f"human-{i}", 0, text=SPECIAL * (i % 3) + mixes.text(f"human-{i}", 200 + 90 * i)) for i in range(12)]
    frozen = mixes.snapshot(folder / "snapshot", rows)
    others = [mixes.document(f"new-{i}", 0, text=mixes.text(f"new-{i}", 150 + 40 * i) + SPECIAL * (i % 4)) for i in range(24)]
    crawled = mixes.run(folder / "run", [frozen], [(row, "unknown", None) for row in others])
    names = {name: vocabularies.folder(name, folder / name) for name in vocabularies.DECLARED}
    return frozen, crawled, names


def make(into, sources, name, **options):
    frozen, crawled, names = sources
    packed = {"format": "tokens", "units": ("tokens",), "sequence_length": 32, "chunk_tokens": 50}
    return mixes.make(into, frozen, [crawled], tokenizer=names[name], **(options if "format" in options else packed | options))


def read(opened, root=""):
    """The rows of each shard."""
    form, plain = shards.named("tokens"), opened.manifest["config"]["mix"]
    names = [shards.shard_name(i, len(opened.manifest["shards"])) for i in range(len(opened.manifest["shards"]))]

    def open_(path):
        return files.open_input(files.join(opened.url, path))

    return [[row for batch in form.read(open_, name, plain, root) for row in batch.to_pylist()] for name in names]


@pytest.mark.parametrize(
    ("name", "floor", "options"),
    [
        ("byte_level", "1/2", {"shards": 2, "human_apart": True}),
        ("byte_level", "0.3", {"sequence_length": 8, "chunk_tokens": 3}),
        ("word_pieces", "2/3", {"sequence_length": 512, "chunk_tokens": 4096, "shuffle_buffer": 1}),
        ("unigram", "1/3", {"sequence_length": 64, "shards": 2}),
    ],
    ids=["apart", "short-rows", "long-rows", "unigram"],
)
def test_the_floor_holds_at_every_token_and_verify_says_so(sources, tmp_path, name, floor, options):
    frozen, _, names = sources
    opened = make(tmp_path / "mix", sources, name, floor=floor, **options)
    data = files.read_bytes(files.join(opened.url, "proof/tokenizer.bin"))
    assert data == tokenizer.load(names[name])
    specials, share, made = json.loads(data)["specials"], Fraction(floor), Tokenizer(data)
    texts = {row["key"]: row["text"] for url in frozen.files("documents") for row in mixes.tables.read([url]).to_pylist()}
    whole = {}
    for shard in read(opened):
        human = total = 0
        for row in shard:
            for span in row["spans"]:
                ids = row["input_ids"][span["start"] : span["stop"]]
                human, total = human + len(ids) * (span["origin"] == "human"), total + len(ids)
                assert human >= share * total
                assert not np.isin(ids, specials).any()
                whole[span["key"]] = whole.get(span["key"], []) + ids
    assert total and whole.keys() >= texts.keys()
    for key, text in texts.items():
        assert whole[key] == next(iter(made.encode([text]))).tolist()
    found = verify_mix(opened.url, frozen.id, texts=frozen.url)
    assert (found["anchored"], found["unverified"], found["why"]) == (True, 0, {})


@pytest.mark.parametrize(("name", "lost"), [("byte_level", 0), ("word_pieces", 12), ("unigram", 12)])
def test_a_tokenizer_that_loses_text_needs_the_snapshot(sources, tmp_path, name, lost):
    opened = make(tmp_path / "mix", sources, name)
    found = verify_mix(opened.url, sources[0].id)
    assert (found["unverified"], found["anchored"], found["why"]) == (lost, lost == 0, {})
    assert opened.manifest["round_trip"] is (lost == 0)
    assert ("NOT VERIFIABLE WITHOUT THE SNAPSHOT" in found["line"]) is (lost > 0)


@pytest.mark.parametrize(("name", "claim"), [("byte_level", False), ("byte_level", None), ("unigram", True), ("unigram", None)])
def test_whether_texts_come_back_is_held_to_what_the_manifest_says(sources, tmp_path, name, claim):
    opened = make(tmp_path / "mix", sources, name)
    body = {key: value for key, value in opened.manifest.items() if key != "id"}
    manifest.write(opened.url, body | {"round_trip": claim})
    found = verify_mix(opened.url, sources[0].id)
    assert found["wrong"] == ["manifest.json"] and "round_trip" in found["why"]["manifest.json"]
    if claim is not None:  # with the snapshot's texts the claim is not needed
        assert verify_mix(opened.url, sources[0].id, texts=sources[0].url)["anchored"]


def test_repeated_documents_stand_once_an_epoch_and_verify(sources, tmp_path):
    opened = make(tmp_path / "mix", sources, "byte_level", floor="0.9", budget=6_000, shortfall="repeat", max_epochs=4)
    (shard,) = read(opened)
    epochs = {span["epoch"] for row in shard for span in row["spans"] if span["origin"] == "human"}
    assert len(epochs) > 1
    found = verify_mix(opened.url, sources[0].id)
    assert (found["anchored"], found["why"]) == (True, {})


def test_the_human_side_apart_is_each_human_document_once(sources, tmp_path):
    opened = make(tmp_path / "mix", sources, "byte_level", floor="0.4", human_apart=True, shards=3)
    for shard, apart in zip(read(opened), read(opened, "human/"), strict=True):
        ours = {span["key"] for row in shard for span in row["spans"] if span["origin"] == "human"}
        spans = [span for row in apart for span in row["spans"]]
        assert {span["key"] for span in spans} == ours
        assert {span["origin"] for span in spans} == {"human"}
        assert sum(span["stop"] - span["start"] for span in spans) == sum({span["key"]: span["tokens"] for span in spans}.values())


def test_the_same_input_gives_the_same_bytes(sources, tmp_path):
    made = [make(tmp_path / name, sources, "byte_level", shards=2) for name in ("a", "b")]
    first, second = ({path: files.read_bytes(files.join(one.url, path)) for path in files.list_files(one.url)} for one in made)
    assert first == second


@pytest.mark.parametrize("name", vocabularies.DECLARED)
def test_text_formats_count_tokens_of_their_rows_and_verify(sources, tmp_path, name):
    opened = make(tmp_path / "mix", sources, name, format="parquet", units=("tokens", "bytes"), chunk_bytes=200)
    found = verify_mix(opened.url, sources[0].id)
    assert (found["anchored"], found["why"]) == (True, {})
    made = Tokenizer(files.read_bytes(files.join(opened.url, "proof/tokenizer.bin")))
    (table,) = (mixes.tables.read([files.join(opened.url, shard["path"])]) for shard in opened.manifest["shards"])
    assert sum(made.count(table["text"].to_pylist())) == opened.manifest["counts"]["tokens"]
