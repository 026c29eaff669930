"""The Croissant file of a mix as mlcroissant, its reference library, validates it and reads the shards by it."""

import importlib.util
import sys
import types
from pathlib import Path

import pytest

if importlib.util.find_spec("jsonpath_rw") is None:
    # There is no wheel of it, and it parses JSON paths, which no mix has.
    sys.modules["jsonpath_rw"] = types.ModuleType("jsonpath_rw")
    sys.modules["jsonpath_rw"].lexer = None
mlcroissant = pytest.importorskip("mlcroissant", reason="needs mlcroissant: make test-formats")

import pandas as pd  # noqa: E402

from provenance.schema import PACKED, SHARD  # noqa: E402
from store import shards  # noqa: E402
from store.errors import UsageError  # noqa: E402
from store.shards import shard_name  # noqa: E402


def opened(made, form, count=3):
    try:
        return made(form, count, human_apart=True)
    except UsageError as error:
        pytest.skip(str(error))


def described(mix):
    found = mlcroissant.Dataset(jsonld=str(Path(mix.url) / "croissant.json"))
    issues = found.metadata.ctx.issues
    assert not issues.errors
    # A mix does not know when it is published.
    assert [one for one in issues.warnings if "datePublished" not in one] == []
    assert found.metadata.ctx.is_v1_1()
    return found


def written(mix, root=""):
    """The rows of the shards, in order, as the writer's own reader gives them."""
    plain, count = mix.manifest["config"]["mix"], len(mix.manifest["shards"])
    form = shards.named(plain["format"])
    names = [shard_name(i, count) for i in range(count)]
    batches = [batch for name in names for batch in form.read(lambda path: (Path(mix.url) / path).open("rb"), name, plain, root)]
    return [row for batch in batches for row in batch.to_pylist()]


@pytest.mark.parametrize("form", sorted(shards.formats()))
def test_no_format_gives_an_error_and_only_the_date_is_missing(made, form):
    mix = opened(made, form)
    metadata = described(mix).metadata
    listed = {one.content_url: one.sha256 for one in metadata.file_objects}
    data = {entry["path"]: entry["sha256"] for entry in mix.manifest["files"] if not entry["path"].startswith("proof/")}
    assert listed == {path: digest for path, digest in data.items() if path not in ("README.md", "croissant.json")}
    assert metadata.data_limitations and metadata.data_biases and metadata.data_collection and metadata.data_annotation_protocol
    assert {one.uuid for one in metadata.record_sets} == ({"default", "human"} if form in ("parquet", "tokens") else set())


def test_texts_are_read_back_row_for_row(made):
    mix = opened(made, "parquet")
    found = described(mix)
    for name, root in (("default", ""), ("human", shards.HUMAN)):
        rows = [{field: value(row[f"{name}/{field}"]) for field in SHARD.names} for row in found.records(name)]
        assert rows == written(mix, root) != []
    assert {row["origin"] for row in rows} == {"human"}


def test_packed_tokens_are_read_back_row_for_row(made):
    mix = opened(made, "tokens")
    for name, root in (("default", ""), ("human", shards.HUMAN)):
        rows = [[int(token) for token in row[f"{name}/input_ids"]] for row in described(mix).records(name)]
        assert rows == [row[PACKED.names[0]] for row in written(mix, root)] != []


def value(read):
    """A value as it was written: texts come as bytes, times as those of Pandas, and what is not there as NaN."""
    if pd.isna(read):
        return None
    if isinstance(read, bytes):
        return read.decode()
    return read.to_pydatetime() if isinstance(read, pd.Timestamp) else read
