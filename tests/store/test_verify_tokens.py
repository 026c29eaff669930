"""`verify` of packed tokens: an honest shard passes with the numbers that stand in it, and each forgery is named."""

import contextlib
import copy
import json
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.identity import canonical_json
from store import tables, verify_tokens
from store.verify_shard import Wrong
from store.verify_tokens import Encoder, TokenRows
from tests import packings, vocabularies
from tests.pipelines.test_packing import SHARDS

DOCUMENTS = [
    (f"{word} harbour {i} 東京 " * 6, i % 2 == 0, 0)
    for i, word in enumerate(["stone", "water", "bread", "letters", "year", "house"])
]


@pytest.fixture(scope="module")
def honest():
    return packings.shard(DOCUMENTS, length=16, chunk=9, floor="1/3")


def checked(shard, rows=None, texts=None, size=3, **terms):
    taker = TokenRows(replace(shard.terms, **terms), shard.leaves, shard.tokenizer, texts)
    lengths = [taker.take(batch)["tokens"] for batch in packings.batches(shard.rows if rows is None else rows, size)]
    return taker.end(), lengths


def sums(rows, label):
    """Documents and tokens of the rows, by what `label` says of a span; none where it says nothing."""
    found = {}
    for row in rows:
        for span in row["spans"]:
            if (name := label(span)) is not None:
                group = found.setdefault(name, {"documents": 0, "tokens": 0})
                group["documents"] += span["offset"] == 0
                group["tokens"] += span["stop"] - span["start"]
    return dict(sorted(found.items()))


@given(**SHARDS, size=st.integers(1, 9))
@settings(max_examples=60, deadline=None)
def test_an_honest_shard_passes_with_its_numbers(documents, length, chunk, floor, size):
    shard = packings.shard(documents, length=length, chunk=chunk, floor=floor)
    found, lengths = checked(shard, size=size)
    share, sides = Fraction(floor), []
    for row in shard.rows:
        sizes = [(span["stop"] - span["start"], span["origin"] == "human") for span in row["spans"]]
        sides.append((sum(size for size, human in sizes if human), sum(size for size, _ in sizes)))
    assert [pair for human, total in lengths for pair in zip(human.tolist(), total.tolist(), strict=True)] == sides
    human, total = sum(side for side, _ in sides), sum(side for _, side in sides)
    after = np.cumsum([share.denominator * ours - share.numerator * all_of for ours, all_of in sides])
    surplus = {"minimum_surplus": int(min(after, default=0)), "final_surplus": int(after[-1]) if len(after) else 0}
    assert found.units == {"tokens": {"human": human, "total": total} | surplus}
    assert (found.rows, found.unverified) == (len(shard.rows), 0)
    ours = [span for row in shard.rows for span in row["spans"] if span["origin"] == "human"]
    assert found.counts == {
        "documents": sum(span["offset"] == 0 for row in shard.rows for span in row["spans"]),
        "tokens": total,
        "origins": sums(shard.rows, lambda span: span["origin"]),
        "strata": sums(shard.rows, lambda span: span["stratum"]),
        "attestations": sums(shard.rows, lambda span: "captured" if span["origin"] == "human" else None),
        "witnesses": sums(shard.rows, lambda span: shard.leaves[span["key"]].witness if span["origin"] == "human" else None),
        "years": sums(shard.rows, lambda span: str(span["date"].year) if span["origin"] == "human" else None),
    }
    assert len(found.keys) == 32 * found.counts["documents"]
    assert len(found.digests) == 16 * len({span["key"] for span in ours})


def test_repeats_are_counted_and_looked_at_once():
    documents = [("stone harbour " * 4, True, 0), ("water " * 3, True, 0), ("stone harbour " * 4, True, 1), ("bread", False, 0)]
    shard = packings.shard(documents, epochs=2)
    found, _ = checked(shard)
    assert found.counts["documents"] == 4 and len(found.keys) == 3 * 32
    with pytest.raises(Wrong, match="in epoch 1, and there are 1"):
        checked(shard, epochs=1)
    swapped = copy.deepcopy(shard.rows)
    for row in swapped:
        for span in row["spans"]:
            span["epoch"] = {0: 1, 1: 0}[span["epoch"]] if span["tokens"] == int(shard.encoded.tokens[0]) else span["epoch"]
    with pytest.raises(Wrong, match="as epoch 1 where 0 is due"):
        checked(shard, swapped)


def span_of(rows, which, origin="human", whole=None):
    """Row and number of the `which`-th span of an origin, of those that are whole documents or parts only."""
    found = [
        (at, i)
        for at, row in enumerate(rows)
        for i, span in enumerate(row["spans"])
        if span["origin"] == origin and (whole is None or whole == (span["stop"] - span["start"] == span["tokens"]))
    ]
    return found[which]


def moved_boundary(rows):
    """The end of a human span, and the next one's beginning, one position further."""
    at, i = span_of(rows, 1)
    rows[at]["spans"][i]["stop"] -= 1


def swapped_spans(rows):
    at = next(at for at, row in enumerate(rows) if len(row["spans"]) > 1)
    first, second = rows[at]["spans"][:2]
    for name in first:
        if name not in ("start", "stop"):
            first[name], second[name] = second[name], first[name]


def swapped_rows(rows):
    rows[1], rows[2] = rows[2], rows[1]


def swapped_labels(rows):
    """The spans of two rows, of as many positions."""
    rows[1]["spans"], rows[2]["spans"] = rows[2]["spans"], rows[1]["spans"]


def special_inside(rows):
    at, i = span_of(rows, 1)
    rows[at]["input_ids"][rows[at]["spans"][i]["start"]] = 0


def special_inside_others(rows):
    at, i = span_of(rows, 0, "unknown")
    rows[at]["input_ids"][rows[at]["spans"][i]["start"]] = 1


def outside_of_the_vocabulary(rows):
    at, i = span_of(rows, 0, "unknown")
    rows[at]["input_ids"][rows[at]["spans"][i]["start"]] = 99_999


def below_zero(rows):
    at, i = span_of(rows, 0, "unknown")
    rows[at]["input_ids"][rows[at]["spans"][i]["start"]] = -1


def text_where_no_document_is(rows):
    """A token of text in the place of the boundary: it would be learnt, and is nobody's."""
    rows[1]["input_ids"][0] = 77


def another_divider(rows):
    at = next(at for at, row in enumerate(rows) if len(row["spans"]) > 1)
    rows[at]["input_ids"][rows[at]["spans"][0]["stop"]] = 1


def padding_in_the_middle(rows):
    rows[1]["input_ids"][8:] = [0] + [1] * 7
    for span in rows[1]["spans"]:
        span["stop"] = min(span["stop"], 8)
    rows[1]["spans"] = [span for span in rows[1]["spans"] if span["start"] < span["stop"]]


def row_of_nobody(rows):
    rows.insert(2, {"input_ids": [0] + [1] * 15, "spans": []})


def another_document(rows):
    """A span of an other document called one of a human one."""
    at, i = span_of(rows, 0, "unknown")
    human = rows[0]["spans"][0]
    rows[at]["spans"][i] |= {name: human[name] for name in ("key", "origin", "attestation", "date", "stratum", "epoch")}


def tagged_human(rows):
    """All spans of an other document called human, though no leaf proves it."""
    at, i = span_of(rows, 0, "unknown")
    key = rows[at]["spans"][i]["key"]
    for row in rows:
        for span in row["spans"]:
            if span["key"] == key:
                span |= {"origin": "human", "attestation": "captured", "stratum": "human/en"}


def another_word(rows):
    at, i = span_of(rows, 1)
    ids, start = rows[at]["input_ids"], rows[at]["spans"][i]["start"]
    ids[start] = 80 if ids[start] != 80 else 81


def another_stratum(rows):
    at, i = span_of(rows, 0, "unknown")
    rows[at]["spans"][i]["stratum"] = "human/en"


def another_label_later(rows):
    at, i = span_of(rows, -1, "human", whole=False)
    rows[at]["spans"][i]["url"] = "https://example.org/elsewhere"


def another_date(rows):
    for row in rows:
        for span in row["spans"]:
            if span["origin"] == "human":
                span["date"] = span["date"].replace(year=2010)


def attested_machine(rows):
    for row in rows:
        for span in row["spans"]:
            span["attestation"] = "captured"


def last_row_lost(rows):
    rows.pop()


def first_document_lost(rows):
    """Everything of one human document, and of all that stands in its rows."""
    del rows[:]


def more_tokens_said(rows):
    for row in rows:
        for span in row["spans"]:
            span["tokens"] += 1


def offset_moved(rows):
    at, i = span_of(rows, 0, "unknown", whole=False)
    rows[at]["spans"][i]["offset"] += 1


def no_key(rows):
    rows[0]["spans"][0]["key"] = None


def shorter_row(rows):
    rows[1]["input_ids"].pop()


FORGERIES = {
    moved_boundary: "special token|follow each other",
    swapped_spans: "follow each other|another attestation|no leaf|below 1/3|not those",
    swapped_rows: "do not follow each other|below 1/3",
    swapped_labels: "special token|follow each other",
    special_inside: "special token inside",
    special_inside_others: "special token inside",
    outside_of_the_vocabulary: "special token inside",
    below_zero: "special token inside",
    text_where_no_document_is: "none where one belongs",
    another_divider: "none where one belongs",
    padding_in_the_middle: "padding, and rows follow",
    row_of_nobody: "in no document's span",
    another_document: "do not follow each other",
    tagged_human: "no leaf of the snapshot proves",
    another_stratum: "no such pair",
    another_label_later: "say different things",
    another_date: "another attestation or date",
    attested_machine: "which no leaf proves",
    last_row_lost: "ends before its last token|padding, and rows follow",
    first_document_lost: "human documents that the proof lists are not in the shard",
    more_tokens_said: "do not follow each other|ends before",
    offset_moved: "do not follow each other",
    no_key: "lacks a value",
    shorter_row: "is not of 16 tokens",
}


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
@pytest.mark.parametrize("size", [1, 1000])
def test_a_forgery_is_named(honest, forge, size):
    rows = copy.deepcopy(honest.rows)
    forge(rows)
    assert rows != honest.rows
    with pytest.raises(Wrong, match=FORGERIES[forge]):
        checked(honest, rows, size=size)


def test_a_forged_word_is_never_verified(honest, tmp_path):
    """The tokens give another text than the leaf's: without the snapshot that looks like a tokenizer that loses text."""
    rows = copy.deepcopy(honest.rows)
    another_word(rows)
    assert checked(honest, rows)[0].unverified == 1
    snapshot(tmp_path, [text for text, human, _ in DOCUMENTS if human])
    with pytest.raises(Wrong, match="not those that the mix's tokenizer gives"):
        checked(honest, rows, texts=str(tmp_path))


@given(st.data())
@settings(max_examples=150, deadline=None)
def test_no_other_id_stands_where_a_human_document_or_nobody_is(honest, data):
    rows = copy.deepcopy(honest.rows)
    row = data.draw(st.sampled_from(rows))
    others = {at for span in row["spans"] if span["origin"] != "human" for at in range(span["start"], span["stop"])}
    at = data.draw(st.sampled_from([at for at in range(16) if at not in others]))
    row["input_ids"][at] = data.draw(st.integers(-1, 450).filter(lambda id_: id_ != row["input_ids"][at]))
    with contextlib.suppress(Wrong):
        assert checked(honest, rows)[0].unverified == 1


BOUND = {
    "start": st.integers(-1, 17),
    "stop": st.integers(-1, 17),
    "offset": st.integers(-1, 40),
    "tokens": st.integers(-1, 90),
    "key": st.sampled_from(["0" * 32, "", "ü"]),
    "origin": st.sampled_from(["unknown", "machine_generated", "none", ""]),
    "attestation": st.sampled_from(["none", "declared", "timestamped"]),
    "epoch": st.integers(-2, 3),
    "date": st.sampled_from([None, datetime(2014, 1, 1, tzinfo=UTC)]),
}


@pytest.mark.parametrize("name", BOUND)
@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_human_span_says_nothing_else(honest, name, data):
    rows = copy.deepcopy(honest.rows)
    span = data.draw(st.sampled_from([span for row in rows for span in row["spans"] if span["origin"] == "human"]))
    span[name] = data.draw(BOUND[name].filter(lambda value: value != span[name]))
    with pytest.raises(Wrong):
        checked(honest, rows)


def test_the_floor_is_held_inside_a_row():
    """One more other token than the human ones bear, before any row ends."""
    documents = [("stone " * 3, True, 0), ("water", False, 0)]
    shard = packings.shard(documents, length=40, floor="0")
    assert len(shard.rows) == 1
    human = [span["stop"] - span["start"] for span in shard.rows[0]["spans"] if span["origin"] == "human"]
    total = [span["stop"] - span["start"] for span in shard.rows[0]["spans"]]
    share = Fraction(sum(human), sum(total))
    order = [span["origin"] for span in shard.rows[0]["spans"]]
    assert order[0] == "unknown"  # without a floor the other one comes first
    with pytest.raises(Wrong, match="in row 0 human tokens are below"):
        checked(shard, floor=share)


@pytest.mark.parametrize("name", ["byte_level", "word_pieces"])
def test_more_tokens_for_the_same_words_are_refused(name, tmp_path):
    """Ids of single letters decode to the same text as those of words, and would make the human side longer."""
    text = "harbour stone"
    shard = packings.shard([(text, True, 0)], name, length=64)
    encoder = Encoder(shard.tokenizer)
    made = json.loads(shard.tokenizer)["tokenizer"]
    vocabulary = json.loads(made)["model"]["vocab"]
    letters = [letter.replace(" ", "Ġ") for letter in text]
    if name == "word_pieces":
        letters = [letter if i in (0, 7) else f"##{letter}" for i, letter in enumerate("harbourstone")]
    inflated = np.array([vocabulary[letter] for letter in letters], np.int32)
    assert encoder.decode(inflated) == text and len(inflated) > shard.encoded.tokens[0]
    span = shard.rows[0]["spans"][0] | {"stop": 1 + len(inflated), "tokens": len(inflated)}
    ids = [encoder.boundary, *inflated.tolist(), encoder.end]
    with pytest.raises(Wrong, match="not those that the mix's tokenizer gives for its text"):
        checked(shard, [{"input_ids": ids + [encoder.pad] * (64 - len(ids)), "spans": [span]}])


def snapshot(folder, texts):
    """A snapshot's folder with the documents of some texts."""
    _, columns = packings.facts([(text, True, 0) for text in texts])
    rows = pa.table({"key": columns["key"], "text": pa.array(texts, pa.string())})
    tables.write(str(folder), "documents/00000.parquet", rows, rows.schema, row_group=2)


def lossy(name):
    texts = ["Stone Harbour", "water", "Bread and  LETTERS " * 5, "naïve </s> CAFÉ", "", "   ", "A quiet Year"]
    return texts, packings.shard([(text, True, 0) for text in texts], name, length=8)


@pytest.mark.parametrize(("name", "exact"), [("word_pieces", 2), ("unigram", 2)])
def test_where_the_tokenizer_loses_text_the_snapshot_is_needed(name, exact, tmp_path, monkeypatch):
    texts, shard = lossy(name)
    found, _ = checked(shard)
    assert found.unverified == len(texts) - exact
    snapshot(tmp_path, texts[::-1])
    for pending in (1, 1 << 26):
        monkeypatch.setattr(verify_tokens, "PENDING", pending)
        assert checked(shard, texts=str(tmp_path))[0].unverified == 0
    (tmp_path / "documents" / "00000.parquet").unlink()
    snapshot(tmp_path, [*texts[1:], "of another snapshot"])
    assert checked(shard, texts=str(tmp_path))[0].unverified == 1


def test_a_snapshot_of_other_texts_verifies_nothing(tmp_path):
    texts, shard = lossy("word_pieces")
    _, columns = packings.facts([(text, True, 0) for text in texts])
    rows = pa.table({"key": columns["key"], "text": pa.array([f"{text}!" for text in texts])})
    tables.write(str(tmp_path), "documents/00000.parquet", rows, rows.schema)
    assert checked(shard, texts=str(tmp_path))[0].unverified == checked(shard)[0].unverified > 0


def test_other_words_that_the_tokenizer_would_lose_are_found_with_the_snapshot(tmp_path):
    texts, shard = lossy("word_pieces")
    rows = copy.deepcopy(shard.rows)
    rows[0]["input_ids"][1] += 1
    snapshot(tmp_path, texts)
    assert checked(shard, rows)[0].unverified >= checked(shard)[0].unverified
    with pytest.raises(Wrong, match="not those that the mix's tokenizer gives"):
        checked(shard, rows, texts=str(tmp_path))


def altered(data, **changes):
    stated = json.loads(data)
    inner = json.loads(stated["tokenizer"]) | changes.pop("inner", {})
    return canonical_json(stated | {"tokenizer": json.dumps(inner)} | changes)


TRUNCATION = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 0}
PADDING = {
    "strategy": {"Fixed": 64},
    "direction": "Right",
    "pad_to_multiple_of": None,
    "pad_id": 1,
    "pad_type_id": 0,
    "pad_token": "x",
}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda data: altered(data, inner={"truncation": TRUNCATION}), "cuts or pads"),
        (lambda data: altered(data, inner={"padding": PADDING}), "cuts or pads"),
        (lambda data: altered(data, tokenizer="{}"), "does not load"),
        (lambda data: altered(data, more=1), "is not a tokenizer as a mix has it"),
        (lambda data: data + b"\n", "is not a tokenizer as a mix has it"),
        (lambda data: altered(data, boundary=None), "no special tokens for the boundary"),
        (lambda data: altered(data, end=77), "no special tokens for the boundary"),
        (lambda data: altered(data, specials=[0, 1, -1]), "not below 16,777,216"),
        (lambda data: altered(data, specials=[0, 1, 1 << 40]), "not below 16,777,216"),
    ],
    ids=["truncation", "padding", "empty", "field", "newline", "boundary", "end", "negative", "large"],
)
def test_a_tokenizer_that_is_none_or_cuts_texts_is_refused(honest, change, said):
    with pytest.raises(Wrong, match=said):
        TokenRows(honest.terms, honest.leaves, change(honest.tokenizer))


@pytest.mark.parametrize("name", vocabularies.DECLARED)
def test_both_sides_count_a_text_the_same(name):
    from pipelines.tokenizer import Tokenizer

    texts = [*vocabularies.TEXTS, "", "</s>", "<|endoftext|> [CLS] [PAD] stone", "A\u0301 ﬁ"]
    data = vocabularies.packed(name)
    assert Encoder(data).counts(texts).tolist() == Tokenizer(data).count(texts)
