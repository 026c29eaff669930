"""Shards of packed tokens as files: what is written is read, and a file or a sidecar that is not exactly so is refused."""

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.schema import PACKED, SPANS
from store.shards import tokens
from tests import packings

NAME = "train-00000-of-00001"
DATA, BESIDE = tokens.paths(NAME)


@pytest.fixture(scope="module")
def made():
    shard = packings.shard([(f"stone harbour {i} " * 9, i % 2 == 0, 0) for i in range(6)])
    return shard, packings.written(packings.batches(shard.rows, 5))


def read(found, length=8):
    return [
        row
        for batch in tokens.read(lambda path: io.BytesIO(found[path]), NAME, {"sequence_length": length})
        for row in batch.to_pylist()
    ]


def table(found, path):
    return pq.read_table(io.BytesIO(found[path]))


def saved(rows, **options):
    sink = io.BytesIO()
    pq.write_table(rows, sink, **{"row_group_size": 5, "write_statistics": False, "use_dictionary": False} | options)
    return sink.getvalue()


def test_what_is_written_is_read(made):
    shard, found = made
    assert found.keys() == {DATA, BESIDE}
    assert read(found) == shard.rows
    assert table(found, DATA).column_names == ["input_ids"]


def test_no_rows_are_a_shard(made):
    assert read(packings.written([])) == []


def test_a_root_puts_both_files_below_it():
    assert tokens.paths(NAME, "human/") == (f"human/{DATA}", f"human/{BESIDE}")
    assert tokens.pattern("human/") == "human/data/train-*.parquet"


def test_batches_are_of_few_tokens_and_in_order(made, monkeypatch):
    shard, found = made
    monkeypatch.setattr(tokens, "BATCH_TOKENS", 16)
    batches = list(tokens.read(lambda path: io.BytesIO(found[path]), NAME, {"sequence_length": 8}))
    assert max(batch.num_rows for batch in batches) == 2
    assert [row for batch in batches for row in batch.to_pylist()] == shard.rows


def replaced(rows, at, value):
    """The column of a table with another value in one row."""
    values = rows.column(0).to_pylist()
    values[at] = value
    return pa.table([pa.array(values, rows.schema.field(0).type)], schema=rows.schema)


FORGERIES = {
    "a column more": (DATA, lambda rows: rows.append_column("labels", rows.column(0)), "has the columns"),
    "another column": (DATA, lambda rows: rows.rename_columns(["ids"]), "has the columns"),
    "wider ids": (DATA, lambda rows: rows.cast(pa.schema([("input_ids", pa.list_(pa.int64()))])), "int64"),
    "a longer row": (DATA, lambda rows: replaced(rows, 3, [1] * 9), "does not have 8 tokens"),
    "a row without a value": (DATA, lambda rows: replaced(rows, 3, None), "has no value"),
    "a token without a value": (DATA, lambda rows: replaced(rows, 3, [1, None, 1, 1, 1, 1, 1, 1]), "has no value"),
    "a row less": (DATA, lambda rows: rows.slice(0, rows.num_rows - 1), "group for group"),
    "spans of a row less": (BESIDE, lambda rows: rows.slice(1), "group for group"),
    "spans of no value": (BESIDE, lambda rows: replaced(rows, 2, None), "has no value"),
    "a span of no value": (BESIDE, lambda rows: replaced(rows, 2, [None]), "has no value"),
    "the ids once more": (BESIDE, lambda rows: pa.table({"input_ids": [[1] * 8] * rows.num_rows}), "has the columns"),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_file_that_is_not_exactly_of_the_format_is_refused(made, name):
    path, change, said = FORGERIES[name]
    found = dict(made[1])
    found[path] = saved(change(table(found, path)))
    with pytest.raises(ValueError, match=said):
        read(found)


def test_rows_of_other_groups_than_their_spans_are_refused(made):
    found = dict(made[1])
    found[BESIDE] = saved(table(found, BESIDE), row_group_size=4)
    with pytest.raises(ValueError, match="group for group"):
        read(found)


def test_rows_of_another_length_than_the_configuration_says_are_refused(made):
    with pytest.raises(ValueError, match="does not have 16 tokens"):
        read(made[1], length=16)


def test_the_schemas_are_those_of_the_house(made):
    assert table(made[1], DATA).schema.field(0).type == PACKED.field(0).type
    assert table(made[1], BESIDE).schema.field(0).type == SPANS.field(0).type
