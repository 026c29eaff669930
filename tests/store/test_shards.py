"""What every shard format must do, over all that the folder holds."""

import contextlib
import importlib.util
import io
import json
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from provenance.schema import ORIGINS, PACKED, SHARD, SPANS
from store import shards
from store.errors import UsageError

OPTIONS = {
    "page_index": False,
    "content_defined_chunking": False,
    "sequence_length": 8,
    "chunk_tokens": 8,
}
SHARD_NAME = "train-00000-of-00001"
ROW = {
    "text": 'a "quoted" text\n\twith 東京 😀 \\ and \u2028',
    "key": "0" * 32,
    "id": "<urn:uuid:1>",
    "origin": "human",
    "attestation": "captured",
    "chunk": 0,
    "chunks": 1,
    "epoch": 0,
    "url": "https://example.org/ü?a=1&b=2",
    "date": datetime(2015, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    "language": "en",
    "stratum": "human/en/2015",
}
UNREADABLE = (ValueError, OSError, OverflowError)


def batches(rows=3000):
    every = [
        ROW
        | {
            "key": f"{i:032x}",
            "text": f"{i} {ROW['text']}",
            "date": None if i % 3 else ROW["date"],
            "url": None if i % 5 else ROW["url"],
            "language": None if i % 7 else "",
            "id": None if i % 11 else f"<urn:uuid:{i}>",
        }
        for i in range(rows)
    ]
    return [pa.RecordBatch.from_pylist(every[i : i + 700], schema=SHARD) for i in range(0, rows, 700)]


def packed(rows=300):
    """Rows of eight tokens: a special one, three of a human document that goes on in the next row, four of another."""
    spans = []
    facts = {name: value for name, value in ROW.items() if name not in ("text", "chunk", "chunks")}
    for i in range(rows):
        human = {"start": 1, "stop": 4, "offset": 3 * (i % 2), "tokens": 6, **facts, "key": f"{i // 2:032x}"}
        other = {"start": 4, "stop": 8, "offset": 0, "tokens": 4, **facts, "key": f"{rows + i:032x}", "origin": "unknown"}
        spans.append([human, other | {"attestation": "none", "date": None, "url": None}])
    columns = [
        pa.array([[1, *range(10 + i, 17 + i)] for i in range(rows)], PACKED.field(0).type),
        pa.array(spans, SPANS.field(0).type),
    ]
    whole = pa.RecordBatch.from_arrays(columns, schema=pa.schema([*PACKED, *SPANS]))
    return [whole.slice(at, 100) for at in range(0, rows, 100)]


def some(form, rows=3000):
    return packed(rows) if form.TOKENS else batches(rows)


class Folder(dict):
    """The files of a mix by path, as `create` and `open_` of the protocol see them."""

    @contextlib.contextmanager
    def create(self, path):
        sink = io.BytesIO()
        sink.close = lambda: None
        yield sink
        self[path] = sink.getvalue()

    def open(self, path):
        return io.BytesIO(self[path])


def written(form, rows, root="", **options):
    """The files of one shard. Skips the test where the format's library is not installed."""
    folder = Folder()
    try:
        made = form.write(folder.create, SHARD_NAME, rows, OPTIONS | options, root)
    except UsageError as error:
        if importlib.util.find_spec("streaming"):
            raise
        pytest.skip(str(error))
    assert made == sum(batch.num_rows for batch in rows)
    return folder


def rows_of(form, folder, root="", **options):
    return list(form.read(folder.open, SHARD_NAME, OPTIONS | options, root))


FORMATS = shards.formats()
every_format = pytest.mark.parametrize("form", FORMATS.values(), ids=FORMATS)
text_format = pytest.mark.parametrize(
    "form", [form for form in FORMATS.values() if not form.TOKENS], ids=[name for name, form in FORMATS.items() if not form.TOKENS]
)


@every_format
@pytest.mark.parametrize("root", ["", shards.HUMAN])
def test_rows_come_back_as_they_were(form, root):
    folder = written(form, some(form), root)
    assert pa.Table.from_batches(rows_of(form, folder, root)).equals(pa.Table.from_batches(some(form)))


@every_format
@pytest.mark.parametrize("root", ["", shards.HUMAN])
def test_a_shard_has_the_files_that_it_says(form, root):
    folder = written(form, some(form, 10), root)
    paths = form.paths(SHARD_NAME, root)
    assert set(folder) == set(paths) and len(set(paths)) == len(paths)
    assert all(path.startswith(root) for path in paths)


texts = st.text(max_size=12)
rows_of_text = st.fixed_dictionaries(
    {
        "text": texts,
        "key": st.text("0123456789abcdef", min_size=32, max_size=32),
        "origin": st.sampled_from(ORIGINS),
        "attestation": st.sampled_from(["none", "declared", "captured"]),
        "stratum": st.one_of(texts, st.just("human__a/none")),
        **dict.fromkeys(("chunk", "chunks", "epoch"), st.integers(-(2**31), 2**31 - 1)),
        **dict.fromkeys(("id", "url", "language"), st.none() | texts),
        "date": st.none()
        | st.integers(-(2**51), 2**51).map(lambda instant: datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=instant)),
    }
)


@text_format
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(rows=st.lists(rows_of_text, max_size=5))
def test_any_values_come_back(form, rows):
    made = [pa.RecordBatch.from_pylist(rows, schema=SHARD)]
    found = rows_of(form, written(form, made))
    assert pa.Table.from_batches(found, SHARD).equals(pa.Table.from_batches(made))


@every_format
def test_the_same_rows_give_the_same_bytes(form):
    assert written(form, some(form)) == written(form, some(form))


@every_format
def test_a_shard_may_be_empty(form):
    for nothing in ([], some(form, 1)[:0], [some(form, 1)[0].slice(0, 0)]):
        assert sum(batch.num_rows for batch in rows_of(form, written(form, nothing))) == 0


@every_format
def test_files_that_break_off_are_refused(form):
    folder = written(form, some(form, 200))
    for path, data in folder.items():
        for stop in {0, 1, 5, len(data) // 3, len(data) // 2, len(data) - 9, len(data) - 1}:
            with pytest.raises(UNREADABLE):
                rows_of(form, Folder(folder | {path: data[:stop]}))


@every_format
def test_bytes_that_no_row_needs_are_refused(form):
    folder = written(form, some(form, 200))
    for path, data in folder.items():
        middle = len(data) // 2
        for other in (data + b"\0", data + data, b"\0" + data, data[:middle] + b"{}" + data[middle:], b"no shard at all" * 9):
            with pytest.raises(UNREADABLE):
                rows_of(form, Folder(folder | {path: other}))


@every_format
def test_files_of_another_shard_are_refused(form):
    """Where a shard has several files, each must be of the same rows as the first."""
    whole, part = written(form, some(form, 200)), written(form, some(form, 100))
    for path in form.paths(SHARD_NAME)[1:]:
        with pytest.raises(UNREADABLE):
            rows_of(form, Folder(whole | {path: part[path]}))


@every_format
@pytest.mark.parametrize("root", ["", shards.HUMAN])
def test_the_files_of_all_shards_together_are_made_from_those_of_each(form, root):
    names = [shards.shard_name(number, 3) for number in range(3)]
    folder = Folder()
    for number, name in enumerate(names):
        made = written(form, some(form, 10 * number + 10), root)
        folder |= {path.replace(SHARD_NAME, name): data for path, data in made.items()}
    whole = form.whole(folder.__getitem__, names, root)
    assert whole == form.whole(folder.__getitem__, names, root)
    assert not whole.keys() & folder.keys() and all(path.startswith(root) for path in whole)
    assert bool(whole) == (form.NAME == "mds")


def test_the_formats_that_are_promised_are_there():
    assert {"parquet", "jsonl", "mds", "tokens"} <= set(FORMATS)


@every_format
def test_the_pattern_of_the_card_takes_the_shards_and_nothing_beside_them(form):
    from fnmatch import fnmatchcase

    for root in ("", shards.HUMAN):
        pattern = form.pattern(root)
        if pattern is None:
            continue
        first, *beside = form.paths(SHARD_NAME, root)
        assert fnmatchcase(first, pattern)
        assert not any(fnmatchcase(path, pattern) for path in beside)
        assert not any(fnmatchcase(path, pattern) for path in form.paths(SHARD_NAME, shards.HUMAN if not root else ""))


def test_an_unknown_format_is_named():
    with pytest.raises(UsageError, match="parquet"):
        shards.named("arrow")


# Parquet

PARQUET = shards.named("parquet")
SWITCHES = [(False, False), (True, False), (False, True), (True, True)]


@pytest.mark.parametrize(("index", "chunking"), SWITCHES)
def test_parquet_has_the_page_index_and_cuts_that_were_asked_for(index, chunking):
    options = {"page_index": index, "content_defined_chunking": chunking}
    folder = written(PARQUET, batches(), **options)
    assert pa.Table.from_batches(rows_of(PARQUET, folder, **options)).equals(pa.Table.from_batches(batches()))
    (data,) = folder.values()
    assert pq.ParquetFile(io.BytesIO(data)).metadata.row_group(0).column(0).has_offset_index == index
    assert folder == written(PARQUET, batches(), **options)
    if index:
        with pytest.raises(ValueError, match="page index"):
            rows_of(PARQUET, folder, content_defined_chunking=chunking)


def test_content_defined_chunking_keeps_most_pages_of_a_file_that_grew():
    """A row more at the front moves all that follows; pages cut by content are found again, pages cut by size are not."""
    letters = [chr(ord("a") + i * i * 7919 % 26) for i in range(997)]
    rows = [ROW | {"key": f"{i:032x}", "text": "".join(letters[(i * j) % 997] for j in range(1, 2000))} for i in range(1500)]

    def blocks(rows, chunking):
        data = written(PARQUET, [pa.RecordBatch.from_pylist(rows, schema=SHARD)], content_defined_chunking=chunking)
        reader = pq.ParquetFile(io.BytesIO(*data.values()))
        assert reader.num_row_groups == 1
        (data,) = data.values()
        return data

    def shared(one, other, size=512):
        """How many stretches of `size` bytes of `one` stand somewhere in the other."""
        cuts = [one[i : i + size] for i in range(0, len(one) - size, size)]
        return sum(cut in other for cut in cuts) / len(cuts)

    grown = [ROW | {"key": "f" * 32, "text": "new " * 700}, *rows]
    by_content, by_size = (shared(blocks(rows, on), blocks(grown, on)) for on in (True, False))
    assert by_content > 0.5 and by_content > by_size + 0.3


@pytest.mark.parametrize("other", ["more", "fewer", "type", "order", "null", "words"])
def test_parquet_refuses_other_columns(other):
    table = pa.Table.from_batches(batches(5))
    made = {
        "more": lambda: table.append_column("label", pa.array([1] * 5)),
        "fewer": lambda: table.drop_columns("url"),
        "type": lambda: table.set_column(5, "chunk", pa.array([0] * 5, pa.int64())),
        "order": lambda: table.select(SHARD.names[::-1]),
        "null": lambda: table.cast(pa.schema([field.with_nullable(field.name != "key") for field in SHARD])),
        "words": lambda: table.replace_schema_metadata({"pandas": "{}"}),
    }[other]()
    sink = io.BytesIO()
    pq.write_table(made, sink)
    with pytest.raises(ValueError, match="a shard has"):
        rows_of(PARQUET, Folder({PARQUET.paths(SHARD_NAME)[0]: sink.getvalue()}))


# JSON lines

LINES = shards.named("jsonl")
DOCUMENTS, ATTRIBUTES = LINES.paths(SHARD_NAME)


def lines(folder, path):
    return zstandard.ZstdDecompressor().stream_reader(io.BytesIO(folder[path])).read()


def compressed(data):
    return zstandard.ZstdCompressor().compress(data)


def test_a_line_has_dolmas_fields_and_its_attributes_stand_beside_it():
    folder = written(LINES, batches(3))
    document, beside = (json.loads(lines(folder, path).splitlines()[0]) for path in (DOCUMENTS, ATTRIBUTES))
    assert list(document) == ["id", "text", "source", "created", "metadata"]
    assert document["id"] == beside["id"] == "0" * 32 + ".0.0" and document["source"] == beside["source"]
    assert document["created"] == "2015-01-02T03:04:05.678901Z"
    length = len(document["text"])
    assert length < len(document["text"].encode())
    assert beside["attributes"] == {
        "lowbackground_v1__origin__human": [[0, length, 1.0]],
        "lowbackground_v1__attestation__captured": [[0, length, 1.0]],
        "lowbackground_v1__stratum__human/en/2015": [[0, length, 1.0]],
    }


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"chunk":0', b'"chunk":0,"chunk":0'),
        (b'"chunk":0', b'"chunk": 0'),
        (b'"chunk":0', b'"chunk":"0"'),
        (b'"chunk":0', b'"label":1,"chunk":0'),
        (b'"chunk":0,', b""),
        (b'"chunk":0', b'"chunk":1'),
        (b'"epoch":0', b'"epoch":99999999999'),
        (b'"source":"lowbackground"', b'"source":"another"'),
        (b'{"id":', b'{"attributes":{},"id":'),
        (b".678901Z", b"Z"),
        (b".678901Z", b".678901+00:00"),
        (b"2015-01-02", b"2015-13-02"),
        (b'"text":"0 a', b'"text":"0 \\u0061'),
        (b'"text":"0 a', b'"text":"0 a","text":"0 a'),
        (b'"id":"0', b'"id":"1'),
        (b"}\n", b"}\n\n"),
        (b"}\n", b"}"),
        (b"}\n", b"}\n{}\n"),
    ],
)
def test_documents_that_would_not_have_been_written_are_refused(old, new):
    folder = written(LINES, batches(1))
    data = lines(folder, DOCUMENTS)
    assert old in data
    with pytest.raises(UNREADABLE):
        rows_of(LINES, Folder(folder | {DOCUMENTS: compressed(data.replace(old, new, 1))}))


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"__origin__human", b"__origin__unknown"),
        (b"[[0,", b"[[1,"),
        (b",1.0]]", b",0.5]]"),
        (b",1.0]]", b",1]]"),
        (b",1.0]]", b",1.0],[0,1,1.0]]"),
        (b'"attributes":{', b'"attributes":{"another__b__c":[],'),
        (b'"attributes":{', b'"attributes":{"lowbackground_v1__origin__human":[],'),
        (b"__origin__", b"__attestation__"),
        (b'"lowbackground_v1__attestation', b'"v1__attestation'),
        (b'"id":"0', b'"id":"1'),
        (b"}\n", b"}\n\n"),
    ],
)
def test_attributes_that_would_not_have_been_written_are_refused(old, new):
    folder = written(LINES, batches(1))
    data = lines(folder, ATTRIBUTES)
    assert old in data
    changed = Folder(folder | {ATTRIBUTES: compressed(data.replace(old, new, 1))})
    if new.endswith(b"__unknown"):
        # Another origin is another row and not another form: the verifier finds that its leaf has none.
        assert rows_of(LINES, changed)[0].column("origin").to_pylist() == ["unknown"]
        return
    with pytest.raises(UNREADABLE):
        rows_of(LINES, changed)


def test_rows_out_of_step_are_refused():
    folder = written(LINES, batches(3))
    for path in (DOCUMENTS, ATTRIBUTES):
        one, two, three = lines(folder, path).splitlines(keepends=True)
        for other in (one + three + two, one + two, one + two + three + three, two + three):
            with pytest.raises(UNREADABLE):
                rows_of(LINES, Folder(folder | {path: compressed(other)}))


@pytest.mark.parametrize("place", ["before", "after", "within"])
def test_frames_that_hide_something_are_refused(place):
    folder = written(LINES, batches(3))
    hidden = b"\x50\x2a\x4d\x18" + (9).to_bytes(4, "little") + b"a secret."
    for path, data in folder.items():
        plain = lines(folder, path)
        made = {
            "before": hidden + data,
            "after": data + hidden,
            "within": compressed(plain[:100]) + compressed(plain[100:]),
        }[place]
        with pytest.raises(ValueError, match="bytes follow"):
            rows_of(LINES, Folder(folder | {path: made}))


def test_a_line_without_end_is_refused_before_it_fills_the_memory(monkeypatch):
    monkeypatch.setattr(LINES, "LONGEST_LINE", 1 << 20)
    folder = written(LINES, batches(1))
    endless = compressed(b'{"id":"' + b"a" * (8 << 20))
    with pytest.raises(ValueError, match="longer than"):
        rows_of(LINES, Folder(folder | {DOCUMENTS: endless}))


# MDS

MDS = shards.named("mds")


def test_mds_says_what_to_install_where_its_writer_is_missing(monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "streaming.base.format.mds", None)
    monkeypatch.setitem(sys.modules, "streaming", None)
    with pytest.raises(UsageError, match=r"pip install lowbackground\[mds\]"):
        MDS.write(Folder().create, SHARD_NAME, batches(1), OPTIONS)


def samples_of(folder):
    return folder[MDS.paths(SHARD_NAME)[0]]


def with_samples(folder, data):
    """The same shard with other samples and the index that belongs to their number and size."""
    first, beside = MDS.paths(SHARD_NAME)
    return Folder(folder | {first: data, beside: MDS.index(int.from_bytes(data[:4], "little"), len(data))})


def test_an_mds_index_has_to_be_exactly_the_one_of_its_samples():
    folder = written(MDS, batches(20))
    beside = MDS.paths(SHARD_NAME)[1]
    plain = json.loads(folder[beside])
    assert rows_of(MDS, with_samples(folder, samples_of(folder)))[0].num_rows == 20
    shard = plain["shards"][0]
    for other in (
        plain | {"shards": [shard | {"samples": 19}]},
        plain | {"shards": [shard | {"raw_data": shard["raw_data"] | {"basename": "../other.mds"}}]},
        plain | {"shards": [shard, shard]},
        plain | {"shards": [shard | {"compression": "zstd"}]},
        plain | {"shards": [shard | {"column_encodings": ["pkl", *shard["column_encodings"][1:]]}]},
        plain | {"more": 1},
    ):
        with pytest.raises(ValueError, match=r"index\.json"):
            rows_of(MDS, Folder(folder | {beside: json.dumps(other, sort_keys=True).encode()}))
    with pytest.raises(ValueError, match=r"index\.json"):
        rows_of(MDS, Folder(folder | {beside: folder[beside] + b" "}))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (b'"format": "mds"', b'"format": "jpg"', "columns"),
        (b'"str"', b'"pkl"', "columns"),
        (b".678901Z", b".67890 Z", "form|timestamp|parse"),
        (b"2015-01-02", b"2015-13-02", "form|timestamp|parse"),
        ("東".encode(), b"\xff\xff\xff", "utf-8"),
    ],
)
def test_samples_that_would_not_have_been_written_are_refused(old, new, said):
    folder = written(MDS, batches(20))
    data = samples_of(folder)
    assert old in data and len(old) == len(new)
    with pytest.raises(ValueError, match=said):
        rows_of(MDS, with_samples(folder, data.replace(old, new, 1)))


def test_an_mds_sample_says_truly_which_values_are_null():
    folder = written(MDS, [pa.RecordBatch.from_pylist([ROW], schema=SHARD)])
    data = samples_of(folder)
    # Fixed columns stand among the others in the order of names: the byte `nulls` lies between `language` and `origin`.
    place = data.rindex(b"human", 0, data.index(b"human/en/2015")) - 1
    assert data[place] == 0
    for bits in (1, 2, 4, 8, 16, 128):
        with pytest.raises(ValueError, match="null"):
            rows_of(MDS, with_samples(folder, data[:place] + bytes([bits]) + data[place + 1 :]))


def test_an_mds_shard_beyond_its_offsets_is_no_shard(monkeypatch):
    written(MDS, batches(1))
    monkeypatch.setattr(MDS, "LARGEST", 1000)
    with pytest.raises(UsageError, match="shard_bytes"):
        MDS.write(Folder().create, SHARD_NAME, batches(20), OPTIONS)
