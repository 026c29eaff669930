"""The rows of shards in every format, for random documents: the floor at every prefix and at every interleaving of shards, and the same bytes."""

import contextlib
import importlib.util
import io
from fractions import Fraction

import msgspec
import numpy as np
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipelines import arranging
from pipelines.tokenizer import Tokenizer
from provenance import floor as floors
from provenance.mixture import Mix
from provenance.schema import ORIGINS, SHARD
from store import shards
from tests import consumers, vocabularies

TEXT = st.text("ab é東😀\n", max_size=40)
SIDES = st.tuples(st.lists(TEXT, min_size=1, max_size=8), st.lists(TEXT, max_size=8))
FLOOR = st.sampled_from(["0", "1", "1/2", "0.37", "1/3"]) | st.fractions(0, 1, max_denominator=1000).map(str)
UNITS = st.permutations(["bytes", "documents"]).flatmap(lambda units: st.integers(1, 2).map(lambda count: tuple(units[:count])))


class Folder(dict):
    """The files of a mix by path."""

    @contextlib.contextmanager
    def create(self, path):
        with io.BytesIO() as sink:
            yield sink
            self[path] = sink.getvalue()

    def open(self, path):
        return io.BytesIO(self[path])


def lengths(texts, units, tokenizer):
    """Units of whole documents, shape (documents, units)."""
    count = {
        "bytes": lambda: [len(text.encode()) for text in texts],
        "documents": lambda: [1] * len(texts),
        "tokens": lambda: tokenizer.count(texts),
    }
    return np.array([count[unit]() for unit in units], np.int64).reshape(len(units), len(texts)).T


def columns(texts, human):
    """What rows say of their documents, by row of the plan."""
    facts = {
        "key": [f"{i:032x}" for i in range(len(texts))],
        "origin": ["human" if ours else "unknown" for ours in human],
        "attestation": ["captured" if ours else "none" for ours in human],
        "stratum": ["human/en" if ours else "unknown/en" for ours in human],
        "epoch": [0] * len(texts),
    }
    return {
        field.name: pa.array(facts.get(field.name, [None] * len(texts)), field.type)
        for field in SHARD
        if field.name not in ("text", "chunk", "chunks")
    }


def shard(sides, mix, tokenizer, form, name):
    """The files of a shard of all human documents and of the others that the floor admits beside them; and how many documents it has."""
    ours, others = sides
    human, other = (lengths(texts, mix.units, tokenizer) for texts in (ours, others))
    admitted = floors.admit(human.sum(axis=0)[None], other, np.zeros(len(other), np.int64), Fraction(mix.floor), [Fraction(1)])
    texts = [*ours, *(text for text, into in zip(others, admitted.tolist(), strict=True) if into == 0)]
    is_human = np.arange(len(texts)) < len(ours)
    planned = arranging.Planned(
        pa.chunked_array([texts], pa.string()), np.arange(len(texts)), is_human, columns(texts, is_human.tolist())
    )
    made = arranging.rows(planned, mix, tokenizer, name, form.TOKENS)
    folder = Folder()
    form.write(folder.create, name, made.all(), msgspec.to_builtins(mix))
    return folder, len(texts)


def documents(rows):
    """Keys of the documents that rows are of."""
    return {of["key"] for row in rows for of in row.get("spans", [row])}


@pytest.mark.parametrize("form", sorted(shards.formats()))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(sides=st.lists(SIDES, min_size=1, max_size=3), floor=FLOOR, units=UNITS, seed=st.integers(0, 9), data=st.data())
def test_every_format_keeps_the_floor_at_every_prefix_and_interleaving_and_gives_the_same_bytes(
    form, sides, floor, units, seed, data
):
    if form == "mds" and importlib.util.find_spec("streaming") is None:
        pytest.skip("mosaicml-streaming, which writes MDS, is not installed")
    module, tokenizer = shards.named(form), None
    options = {"units": units, "chunk_bytes": data.draw(st.integers(4, 50))}
    if module.TOKENS:
        tokenizer = Tokenizer(vocabularies.packed("byte_level"))
        cut = {"sequence_length": data.draw(st.integers(8, 20)), "chunk_tokens": data.draw(st.integers(1, 20))}
        options = {"units": ("tokens",), "tokenizer": "named", **cut}
    mix = Mix(floor=floor, seed=seed, format=form, **options)
    plain, read = msgspec.to_builtins(mix), []
    for number, texts in enumerate(sides):
        name = shards.shard_name(number, len(sides))
        files, count = shard(texts, mix, tokenizer, module, name)
        assert shard(texts, mix, tokenizer, module, name)[0] == files
        rows = [row for batch in module.read(files.open, name, plain) for row in batch.to_pylist()]
        assert len(documents(rows)) == count
        assert {of["origin"] for row in rows for of in row.get("spans", [row])} <= set(ORIGINS)
        assert consumers.keeps(rows, plain)
        read.append(rows)
    turns = data.draw(st.permutations([number for number, rows in enumerate(read) for _ in rows]))
    left = [iter(rows) for rows in read]
    assert consumers.keeps([next(left[number]) for number in turns], plain)
