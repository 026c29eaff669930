"""What every shard format must do, over all that the folder holds."""

import io
from datetime import UTC, datetime

import pyarrow as pa
import pytest

from provenance.schema import SHARD
from store import shards
from store.errors import UsageError

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
}


def batches(rows=3000):
    every = [
        ROW
        | {
            "key": f"{i:032x}",
            "text": f"{i} {ROW['text']}",
            "date": None if i % 3 else ROW["date"],
            "url": None if i % 5 else ROW["url"],
        }
        for i in range(rows)
    ]
    return [pa.RecordBatch.from_pylist(every[i : i + 700], schema=SHARD) for i in range(0, rows, 700)]


def written(form, some):
    sink = io.BytesIO()
    sink.close = lambda: None
    assert form.write(sink, some) == sum(batch.num_rows for batch in some)
    return sink.getvalue()


every_format = pytest.mark.parametrize("form", shards.formats().values(), ids=shards.formats())


@every_format
def test_rows_come_back_as_they_were(form):
    data = written(form, batches())
    found = pa.Table.from_batches(list(form.read(io.BytesIO(data))))
    assert found.equals(pa.Table.from_batches(batches()))


@every_format
def test_the_same_rows_give_the_same_bytes(form):
    assert written(form, batches()) == written(form, batches())


@every_format
def test_a_shard_may_be_empty(form):
    assert sum(batch.num_rows for batch in form.read(io.BytesIO(written(form, [])))) == 0
    assert sum(batch.num_rows for batch in form.read(io.BytesIO(written(form, batches(0))))) == 0


@every_format
def test_damaged_bytes_raise_what_verify_catches(form):
    data = written(form, batches(200))
    for broken in (b"", data[: len(data) // 2], b"no shard at all" * 9):
        with pytest.raises((ValueError, OSError, pa.ArrowException)):
            if not list(form.read(io.BytesIO(broken))):
                raise ValueError("no rows")


def test_a_suffix_belongs_to_one_format():
    suffixes = [form.SUFFIX for form in shards.formats().values()]
    assert len(set(suffixes)) == len(suffixes) >= 2


def test_an_unknown_format_is_named():
    with pytest.raises(UsageError, match="parquet"):
        shards.named("arrow")


def test_parquet_refuses_other_columns():
    import pyarrow.parquet as pq

    form, table = shards.named("parquet"), pa.Table.from_batches(batches(5))
    for other in (
        table.append_column("label", pa.array([1] * 5)),
        table.drop_columns("url"),
        table.set_column(5, "chunk", pa.array([0] * 5, pa.int64())),
    ):
        sink = io.BytesIO()
        pq.write_table(other, sink)
        with pytest.raises(ValueError, match="a shard has"):
            list(form.read(io.BytesIO(sink.getvalue())))


LINE = shards.named("jsonl")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b'"chunk":0', b'"chunk":0,"chunk":0'),
        (b'"chunk":0', b'"chunk": 0'),
        (b'"chunk":0', b'"chunk":"0"'),
        (b'"chunk":0', b'"label":1,"chunk":0'),
        (b'"chunk":0,', b""),
        (b'"epoch":0', b'"epoch":99999999999'),
    ],
)
def test_jsonl_refuses_lines_that_it_would_not_write(old, new):
    with pa.CompressedInputStream(pa.BufferReader(written(LINE, batches(1))), "zstd") as stream:
        line = stream.read()
    assert old in line
    sink = io.BytesIO()
    sink.close = lambda: None
    with pa.CompressedOutputStream(pa.PythonFile(sink, "w"), "zstd") as stream:
        stream.write(line.replace(old, new, 1))
    with pytest.raises(ValueError, match=r"JSON|Expected|unknown|missing|int|line"):
        list(LINE.read(io.BytesIO(sink.getvalue())))
