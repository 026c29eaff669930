"""Mixes as trainers read them: with `datasets`, pyarrow, DuckDB and plain JSON, in every order that the manifest speaks of."""

import contextlib
import random
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.dataset as pads
import pyarrow.parquet as pq
import pytest
import yaml

from provenance.schema import SHARD
from store import shards
from store.verify_mix import verify_mix
from tests import consumers, mixes

COUNTS = (8, 3)
"""Numbers of shards: one that common numbers of ranks divide, and one that they do not."""
LOADED = ["parquet", "jsonl", "tokens"]
TEXTS = LOADED[:2]


@pytest.fixture(scope="module")
def datasets(tmp_path_factory):
    """The library, offline and with a cache of its own."""
    found = pytest.importorskip("datasets")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(found.config, "HF_HUB_OFFLINE", True)
        patch.setattr(found.config, "HF_DATASETS_CACHE", str(tmp_path_factory.mktemp("cache")))
        patch.setattr(found.config, "SLEEP_TIME_ON_THREADS_SHUTDOWN", 0)
        found.disable_progress_bars()
        yield found


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    return mixes.standard(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="module")
def made(tmp_path_factory, sources):
    """Makes a mix once for all tests of this module that want the same."""
    return consumers.maker(tmp_path_factory.mktemp, sources, "mix")


def plain(opened):
    return opened.manifest["config"]["mix"]


def as_rows(opened, found):
    """Rows of the project's schema from what a loader gives; in dolma's layout the tags stand beside the documents."""
    form = plain(opened)["format"]
    if form == "parquet":
        return list(found)
    if form == "tokens":
        spans = consumers.of_tokens(opened)
        return [{**row, "spans": spans[tuple(row["input_ids"])]} for row in found]
    tags = consumers.of_dolma(opened)
    return [
        {"text": row["text"], **{name: row["metadata"][name] for name in ("key", "epoch", "chunk", "chunks")}, **tags[row["id"]]}
        for row in found
    ]


def place(row):
    if "input_ids" in row:
        return tuple(row["input_ids"])
    return row["key"], row["epoch"], row["chunk"], row["text"], row["origin"]


def joined(opened):
    return [row for shard in consumers.rows(opened) for row in shard]


@pytest.mark.parametrize("streaming", [False, True], ids=["map-style", "iterable"])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("form", LOADED)
def test_datasets_reads_the_rows_in_order_and_keeps_the_floor_wherever_it_stops(datasets, made, form, count, streaming):
    opened = made(form, count)
    found = as_rows(opened, datasets.load_dataset(opened.url, split="train", streaming=streaming))
    assert list(map(place, found)) == list(map(place, joined(opened)))
    assert {of["origin"] for row in found for of in row.get("spans", [row])} == {"human", "unknown"}
    assert consumers.keeps(found, plain(opened))
    stop = random.Random(11).randrange(len(found))
    assert consumers.keeps(found[:stop], plain(opened))


@pytest.mark.parametrize("form", LOADED)
def test_any_interleaving_of_shards_keeps_the_floor(datasets, made, form):
    """Several workers of a loader, or `interleave_datasets`: a union of prefixes of shards after each row."""
    opened = made(form, 8)
    streamed = datasets.load_dataset(opened.url, split="train", streaming=True)
    parts = [streamed.shard(num_shards=8, index=number) for number in range(8)]
    for seed in range(3):
        mixed = datasets.interleave_datasets(
            parts, probabilities=[1 / 8] * 8, seed=seed, stopping_strategy="all_exhausted_without_replacement"
        )
        found = as_rows(opened, mixed)
        assert sorted(map(place, found)) == sorted(map(place, joined(opened)))
        assert consumers.keeps(found, plain(opened))


@pytest.mark.parametrize("world", [2, 4, 8])
@pytest.mark.parametrize("count", COUNTS)
@pytest.mark.parametrize("form", LOADED)
def test_what_the_manifest_says_of_ranks_is_what_datasets_gives_them(datasets, made, form, count, world):
    from datasets.distributed import split_dataset_by_node

    opened = made(form, count)
    for name, streaming in (("strided", True), ("contiguous", False)):
        whole = datasets.load_dataset(opened.url, split="train", streaming=streaming)
        parts = [as_rows(opened, split_dataset_by_node(whole, rank, world)) for rank in range(world)]
        assert sorted(place(row) for part in parts for row in part) == sorted(map(place, joined(opened)))
        measured = consumers.ranks(parts, plain(opened))
        for unit, said in opened.manifest["orders"].items():
            assert said[name][str(world)] == {"whole_shards": streaming and count % world == 0, **measured[unit]}
        if streaming and count % world == 0:
            assert all(consumers.keeps(part, plain(opened)) for part in parts)


def test_ranks_that_share_no_whole_shards_may_fall_below_and_the_manifest_says_so(made):
    said = made("parquet", 3).manifest["orders"]["bytes"]
    assert min(said[name][world]["minimum_surplus"] for name in ("strided", "contiguous") for world in said[name]) < 0


HELD = 6
"""Rows that a reader of the mixes below may hold back."""


def shuffled(streamed, buffer, inputs, seed):
    return list(streamed.shuffle(seed=seed, buffer_size=buffer, max_buffer_input_shards=inputs))


@pytest.mark.parametrize("inputs", [1, 10])
@pytest.mark.parametrize("count", [1, 3])
def test_a_shuffle_buffer_that_was_asked_for_keeps_the_floor_at_every_row(datasets, made, count, inputs):
    """Of one file at a time `datasets` holds back half as many rows again as its `buffer_size` says."""
    opened = made("parquet", count, shuffle_buffer=HELD)
    assert opened.manifest["orders"]["bytes"]["shuffle_buffer"] >= HELD
    streamed = datasets.load_dataset(opened.url, split="train", streaming=True)
    expected = [place(row) for row in joined(opened)]
    for seed in range(30):
        found = shuffled(streamed, HELD if inputs > 1 else 2 * HELD // 3, inputs, seed)
        assert [place(row) for row in found] != expected
        assert consumers.keeps(found, plain(opened))


def test_a_shuffle_buffer_that_was_not_asked_for_may_break_the_floor(datasets, made):
    opened = made("parquet", 1)
    assert opened.manifest["orders"]["bytes"]["shuffle_buffer"] < HELD
    streamed = datasets.load_dataset(opened.url, split="train", streaming=True)
    assert not all(consumers.keeps(shuffled(streamed, HELD, 10, seed), plain(opened)) for seed in range(30))


@pytest.mark.parametrize("buffer", [7, 20, 37, 100])
@pytest.mark.parametrize("inputs", [1, 10])
def test_datasets_holds_back_no_more_rows_than_is_said_of_it(datasets, made, buffer, inputs):
    opened = made("parquet", 1)
    streamed = datasets.load_dataset(opened.url, split="train", streaming=True)
    places = {place(row): number for number, row in enumerate(joined(opened))}
    most = 0
    for seed in range(3):
        read = 0
        for given, row in enumerate(shuffled(streamed, buffer, inputs, seed), 1):
            read = max(read, places[place(row)] + 1)
            most = max(most, read - given)
    assert most <= (buffer + buffer // 10 if inputs > 1 else buffer + buffer // 2)
    assert inputs > 1 or most > buffer


@pytest.mark.parametrize("form", TEXTS)
def test_the_human_side_loads_by_its_own_name(datasets, made, form):
    opened = made(form, 3, human_apart=True)
    mixed = datasets.load_dataset(opened.url, "default", split="train")
    apart = datasets.load_dataset(opened.url, "human", split="train")
    texts = "text" if form == "parquet" else "id"
    assert len(mixed) == len(joined(opened))
    wanted = [row for row in joined(opened) if row["origin"] == "human" and row["epoch"] == 0]
    keys = apart["key"][:] if form == "parquet" else [facts["key"] for facts in apart["metadata"][:]]
    assert sorted(keys) == sorted(row["key"] for row in wanted)
    assert len(set(apart[texts][:])) == len(apart)


def test_the_human_side_of_a_tokenised_mix_loads_too(datasets, made):
    opened = made("tokens", 3, human_apart=True)
    apart = datasets.load_dataset(opened.url, "human", split="train")
    sides = [pq.read_table(f"{opened.url}/human/attributes/{name}.parquet").to_pylist() for name in consumers.names(opened)]
    assert len(apart) == sum(map(len, sides)) > 0
    assert {span["origin"] for side in sides for row in side for span in row["spans"]} == {"human"}


def test_pyarrow_reads_the_shards_in_order(made):
    opened = made("parquet", 3)
    found = pads.dataset([f"{opened.url}/data/{name}.parquet" for name in consumers.names(opened)]).to_table().to_pylist()
    assert found == joined(opened)
    assert consumers.keeps(found, plain(opened))


@pytest.mark.parametrize("form", TEXTS)
def test_duckdb_reads_the_shards_in_order(made, form):
    opened = made(form, 3)
    for name, expected in zip(consumers.names(opened), consumers.rows(opened), strict=True):
        paths = [f"{opened.url}/{path}" for path in shards.named(form).paths(name)]
        if form == "parquet":
            found = duckdb.sql(f"FROM read_parquet('{paths[0]}')").arrow().read_all().to_pylist()
        else:
            documents, attributes = (f"read_json('{path}', format='newline_delimited')" for path in paths)
            found = (
                duckdb.sql(
                    f"""
                SELECT text, metadata.key AS key, metadata.epoch AS epoch, metadata.chunk AS chunk, metadata.chunks AS chunks,
                       CASE WHEN attributes.lowbackground_v1__origin__human IS NULL THEN 'unknown' ELSE 'human' END AS origin
                FROM {documents} POSITIONAL JOIN {attributes}
                """
                )
                .arrow()
                .read_all()
                .to_pylist()
            )
        assert list(map(place, found)) == list(map(place, expected))
        assert consumers.keeps(found, plain(opened))


def test_plain_json_reads_the_shards_and_spans_cover_their_texts(made):
    opened = made("jsonl", 3)
    tags, found = consumers.of_dolma(opened), []
    for name in consumers.names(opened):
        documents, attributes = (Path(opened.url, path) for path in shards.named("jsonl").paths(name))
        for row, beside in zip(consumers.lines(documents), consumers.lines(attributes), strict=True):
            assert row["id"] == beside["id"]
            assert all(spans == [[0, len(row["text"]), 1.0]] for spans in beside["attributes"].values())
            found.append({"text": row["text"], **row["metadata"], **tags[row["id"]]})
    assert list(map(place, found)) == list(map(place, joined(opened)))
    assert len(tags) == len(found)


@pytest.mark.parametrize("streaming", [False, True], ids=["map-style", "iterable"])
def test_the_types_that_lines_do_not_say_are_those_that_the_format_lists(datasets, tmp_path, streaming):
    """A loader guesses types from the first rows, and these have only nulls."""
    form, row = shards.named("jsonl"), dict.fromkeys(SHARD.names) | {"chunk": 0, "chunks": 1, "epoch": 0}
    row |= dict.fromkeys(("text", "key", "origin", "attestation", "stratum"), "none")
    said = row | {"id": "x", "url": "https://example.org", "language": "en", "date": datetime(2015, 1, 2, tzinfo=UTC)}

    @contextlib.contextmanager
    def create(path):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        with (tmp_path / path).open("wb") as sink:
            yield sink

    for number, of in enumerate((row, said)):
        form.write(create, shards.shard_name(number, 2), [pa.RecordBatch.from_pylist([of], schema=SHARD)], {})
    listed = {"configs": [{"config_name": "default", "data_files": [{"split": "train", "path": form.pattern()}]}]}
    for header, loads in (
        (listed, False),
        (listed | {"dataset_info": {"config_name": "default", "features": form.features()}}, True),
    ):
        (tmp_path / "README.md").write_text(f"---\n{yaml.safe_dump(header)}---\n")
        try:
            found = list(
                datasets.load_dataset(str(tmp_path), split="train", streaming=streaming, cache_dir=str(tmp_path / f"{loads}"))
            )
        except (TypeError, datasets.exceptions.DatasetGenerationError):
            assert not loads
        else:
            assert loads
            assert [of["metadata"]["url"] for of in found] == [None, said["url"]]
            assert [of["created"] for of in found] == [None, said["date"]]


def test_a_page_index_and_pages_cut_by_content_change_no_row(made, sources):
    opened = made("parquet", 3, page_index=True, content_defined_chunking=True)
    assert consumers.rows(opened) == consumers.rows(made("parquet", 3))
    footer = pq.ParquetFile(f"{opened.url}/{shards.named('parquet').paths(consumers.names(opened)[0])[0]}").metadata
    assert footer.row_group(0).column(0).has_offset_index
    assert verify_mix(opened.url, sources[0].id)["anchored"]
