"""Tokens of candidates, counted by a stage before there is a plan, are those that the shards will have."""

import numpy as np
import pyarrow as pa
import pytest

from pipelines import lengths
from pipelines.pieces import cut
from pipelines.tokenizer import Tokenizer
from provenance.mixture import Mix
from store import tables
from tests import mixes, vocabularies

TEXTS = ["stone harbour", "", "naïve café 東京 " * 40, "</s> <|endoftext|>", "летом " * 300, "x"]


@pytest.fixture(scope="module")
def parts(tmp_path_factory):
    """Three documents files, with the texts of `TEXTS` each in an order of its own."""
    folder = tmp_path_factory.mktemp("parts")
    orders = [[0, 1, 2, 3, 4, 5], [5, 4, 3, 2, 1, 0], [2, 2, 2]]
    for number, order in enumerate(orders):
        rows = pa.Table.from_pylist(
            [{"key": f"{number}-{i}", "text": TEXTS[i]} for i in order],
            schema=pa.schema([("key", pa.string()), ("text", pa.string())]),
        )
        tables.write(str(folder), f"{number}.parquet", rows, rows.schema, row_group=2)
    return [str(folder / f"{number}.parquet") for number in range(3)], orders


@pytest.mark.parametrize("form", ["tokens", "parquet"])
@pytest.mark.parametrize("name", vocabularies.DECLARED)
def test_counts_are_of_whole_texts_or_of_the_chunks_that_will_be_written(parts, tmp_path, name, form):
    urls, orders = parts
    wanted = [np.array([0, 2, 3, 4]), np.zeros(0, np.int64), np.array([1])]
    mix = Mix(format=form, units=("tokens",), tokenizer="t", chunk_bytes=100)
    data = vocabularies.packed(name)
    found = list(lengths.tokens(urls, wanted, mix, data, str(tmp_path), mixes.Here()))
    assert [part for part, *_ in found] == [0, 2]
    made = Tokenizer(data)
    for part, rows, counts in found:
        assert rows.tolist() == wanted[part].tolist() and counts.dtype == np.int64
        texts = pa.chunked_array([[TEXTS[orders[part][row]] for row in rows]])
        if form == "parquet":
            pieces = cut(texts, np.arange(len(texts)), 100)
            each = made.count(pieces.texts(np.arange(len(pieces.document))).to_pylist())
            wished = [sum(n for n, of in zip(each, pieces.document, strict=True) if of == i) for i in range(len(texts))]
        else:
            wished = made.count(texts.to_pylist())
        assert counts.tolist() == wished


def test_what_is_counted_is_not_counted_again(parts, tmp_path, monkeypatch):
    urls, _ = parts
    wanted, mix = [np.array([0]), np.array([1]), np.array([2])], Mix(format="tokens", units=("tokens",), tokenizer="t")

    class Once(mixes.Here):
        def run(self, of):
            return of.receipts() or super().run(of)

    first = list(lengths.tokens(urls, wanted, mix, vocabularies.packed("unigram"), str(tmp_path), Once()))
    monkeypatch.setattr(lengths.CountTokens, "part", None)
    again = list(lengths.tokens(urls, wanted, mix, vocabularies.packed("unigram"), str(tmp_path), Once()))
    assert [counts.tolist() for *_, counts in again] == [counts.tolist() for *_, counts in first]
    with pytest.raises(Exception, match="failed"):
        list(lengths.tokens(urls, wanted, mix, vocabularies.packed("byte_level"), str(tmp_path), Once()))


def test_a_text_format_measures_each_row_by_itself():
    made, texts = Tokenizer(vocabularies.packed("byte_level")), pa.chunked_array([TEXTS])
    pieces = cut(texts, np.arange(len(TEXTS)), 50)
    human = pieces.document % 2 == 0
    found = lengths.measure(pieces, human, ("bytes", "documents", "tokens"), made)
    rows = pieces.texts(np.arange(len(pieces.document))).to_pylist()
    assert found["tokens"].tolist() == made.count(rows)
    assert found["bytes"].tolist() == [len(text.encode()) for text in rows]
    assert found["documents"].sum() == len(TEXTS)
    assert "tokens" not in lengths.measure(pieces, human, ("bytes",), made)
