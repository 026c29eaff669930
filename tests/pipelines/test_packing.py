"""Packed rows: every token stands once and in order, the floor holds at every position, and nothing else bears loss."""

from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import packing
from pipelines.tokenizer import Tokenizer
from store.errors import UsageError
from tests import packings, vocabularies

WORDS = ["stone ", "harbour", " 東京", "</s>", "<|endoftext|>", "x", "\n", "naïve café летом "]
TEXT = st.lists(st.sampled_from(WORDS), max_size=30).map("".join)
SHARDS = {
    "documents": st.lists(st.tuples(TEXT, st.booleans(), st.just(0)), max_size=12, unique_by=lambda one: one[0]),
    "length": st.integers(8, 40),
    "chunk": st.integers(1, 60),
    "floor": st.sampled_from(["0", "1/3", "1/2", "9/10", "1"]),
}


def spans(made):
    """All spans with their row's ids, in order."""
    return [(row["input_ids"], span) for row in made.rows for span in row["spans"]]


def texts_of(made):
    """Tokens of each document that is there, by key and epoch, joined in the order of the rows."""
    found = {}
    for ids, span in spans(made):
        before = found.setdefault((span["key"], span["epoch"]), [])
        assert span["offset"] == len(before)
        before += ids[span["start"] : span["stop"]]
    return found


@given(**SHARDS)
@settings(max_examples=150, deadline=None)
def test_every_token_stands_once_and_in_order_and_the_floor_holds_at_each(documents, length, chunk, floor):
    made = packings.shard(documents, length=length, chunk=chunk, floor=floor)
    tokenizer, share = Tokenizer(made.tokenizer), Fraction(floor)
    found = texts_of(made)
    _, columns = packings.facts(documents)
    keys = columns["key"].to_pylist() if documents else []
    for (key, _), ids in found.items():
        assert tokenizer.decode(ids) == made.texts[keys.index(key)]
        assert all(span["tokens"] == len(ids) for _, span in spans(made) if span["key"] == key)
    assert {key for (key, _) in found} >= {key for key, (_, human, _) in zip(keys, documents, strict=True) if human}
    human = total = 0
    for row in made.rows:
        owners = [None] * length
        for span in row["spans"]:
            owners[span["start"] : span["stop"]] = [span["origin"]] * (span["stop"] - span["start"])
        assert len(row["input_ids"]) == len(owners) == length
        assert row["input_ids"][0] == tokenizer.boundary and owners[0] is None
        for owner in filter(None, owners):
            human, total = human + (owner == "human"), total + 1
            assert human >= share * total


@given(**SHARDS)
@settings(max_examples=60, deadline=None)
def test_one_special_token_divides_two_documents_and_padding_ends_the_shard(documents, length, chunk, floor):
    made = packings.shard(documents, length=length, chunk=chunk, floor=floor)
    tokenizer = Tokenizer(made.tokenizer)
    for number, row in enumerate(made.rows):
        at = 1
        for span in row["spans"]:
            assert span["start"] == at
            at = span["stop"]
            if at < length and at > 1:
                whole = span["offset"] + span["stop"] - span["start"] == span["tokens"]
                assert row["input_ids"][at] == (tokenizer.end if whole else tokenizer.boundary)
                at += 1
        assert row["spans"]
        assert at >= length or number == len(made.rows) - 1
        assert all(token == tokenizer.pad for token in row["input_ids"][at:])


def test_a_run_of_one_document_is_one_span_a_row():
    """Chunks of a document that follow each other are no pieces any more; two documents by turns are."""
    made = packings.shard([("stone " * 40, True, 0)], length=16, chunk=3)
    assert [len(row["spans"]) for row in made.rows] == [1] * len(made.rows)
    assert len(made.rows) == -(-made.encoded.tokens[0] // 15)
    mixed = packings.shard([("stone " * 40, True, 0), ("water " * 20, False, 0)], length=16, chunk=3)
    assert max(len(row["spans"]) for row in mixed.rows) > 2


def test_a_document_longer_than_many_rows_goes_on_after_the_boundary():
    made = packings.shard([("harbour " * 200, True, 0)], length=8, chunk=4096)
    assert len(made.rows) > 20
    assert [row["spans"][0]["offset"] for row in made.rows] == list(range(0, 7 * len(made.rows), 7))
    assert {(row["spans"][0]["start"], row["spans"][0]["stop"]) for row in made.rows[:-1]} == {(1, 8)}


@pytest.mark.parametrize(("documents", "rows"), [([], 0), ([("", True, 0)], 1), ([("", True, 0), ("", False, 0)], 1)])
def test_texts_without_tokens_have_an_empty_span(documents, rows):
    made = packings.shard(documents)
    assert len(made.rows) == rows
    assert [(span["start"], span["stop"], span["tokens"]) for _, span in spans(made)] == [(1, 1, 0)] * len(documents)


def test_an_empty_document_after_a_full_row_begins_the_next():
    text = "stone"
    while (size := Tokenizer(vocabularies.packed("byte_level")).count([text])[0]) < 7:
        text += "x"
    full = packings.shard([(text, True, 0), ("", True, 0)], length=size + 1, chunk=9)
    assert [[(span["start"], span["stop"]) for span in row["spans"]] for row in full.rows] == [[(1, size + 1)], [(1, 1)]]
    shorter = packings.shard([(text, True, 0), ("", True, 0)], length=size + 2, chunk=9)
    assert [[(span["start"], span["stop"]) for span in row["spans"]] for row in shorter.rows] == [[(1, size + 1)], [(1, 1)]]
    assert shorter.rows[0]["input_ids"][-1] == Tokenizer(shorter.tokenizer).end


def test_a_repeated_document_is_encoded_once_and_stands_twice():
    made = packings.shard([("stone harbour", True, 0), ("stone harbour", True, 1)], epochs=2)
    assert len(made.encoded.ids) == made.encoded.tokens[0]
    (first, second) = texts_of(made).values()
    assert first == second


def test_what_the_tokens_do_not_give_back_is_counted_once_a_text():
    texts = ["stone harbour", "Stone Harbour!", "<|endoftext|>", "", "stone harbour"]
    for name, lost in (("byte_level", 0), ("word_pieces", 2), ("unigram", 2)):
        tokenizer, place = Tokenizer(vocabularies.packed(name)), np.array([0, 1, 2, 3, 1])
        column = pa.chunked_array([texts[:2], texts[2:]])
        encoded = packing.encode(column, place, tokenizer, 4)
        assert packing.inexact(encoded, column, place, np.ones(5, bool), tokenizer) == lost
        assert packing.inexact(encoded, column, place, np.zeros(5, bool), tokenizer) == 0


def test_batches_are_cut_between_rows_and_change_nothing(monkeypatch):
    documents = [(f"{word} " * 30, i % 2 == 0, 0) for i, word in enumerate(["stone", "water", "bread", "house"])]
    whole = packings.shard(documents)
    monkeypatch.setattr(packing, "BATCH_TOKENS", 24)
    assert packings.shard(documents).rows == whole.rows


def test_a_tokenizer_without_a_boundary_packs_nothing(tmp_path):
    from pipelines import tokenizer

    vocabularies.byte_level().save(str(tmp_path / "t.json"))
    made = Tokenizer(tokenizer.load(str(tmp_path / "t.json")))
    encoded = packing.encode(pa.chunked_array([["stone"]]), np.array([0]), made, 4)
    with pytest.raises(UsageError, match="declares no bos"):
        next(packing.rows(encoded, np.array([0]), {}, packings.settings(8, 4), made))
