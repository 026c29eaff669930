"""Words, their frequencies and what follows from them, against plain Python."""

import gzip
import itertools
import math
import random
import unicodedata
from collections import Counter as Bag
from fractions import Fraction

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import rarity
from provenance.families import UNSPACED_RANGES
from provenance.rarity import Counter, Frequencies
from tests.match import real

MASK = (1 << 64) - 1
MIXED = st.text(st.sampled_from("aZé1_ -'’\u0301\u0300Σςß中文字。々かーカกขำ๑ທຄмИ😀\U0001d400\ufe0f\u1100\u1161한\n"), max_size=60)
TEXTS = st.one_of(st.text(max_size=40), MIXED, st.text(st.characters(categories=("L", "M", "N")), max_size=40))


def unspaced(char: str) -> bool:
    return any(first <= ord(char) <= last for first, last in UNSPACED_RANGES)


def kind(char: str) -> str:
    if unicodedata.category(char)[0] == "M":
        return "mark" if ord(char) < 0x40000 else "other"
    word = char.isalnum() or char == "_"
    return "other" if not word or (unspaced(char) and not char.isalpha()) else "unspaced" if unspaced(char) else "word"


def plain(text: str) -> set[tuple[str, ...]]:
    """The words of a text; a pair of unspaced letters is a tuple of two."""
    form = unicodedata.normalize("NFC", text).lower()
    tokens: list[tuple[str, str]] = []
    state = "other"
    for char in form:
        what = kind(char)
        if what == "mark":
            if state != "other":
                tokens[-1] = (state, tokens[-1][1] + char)
            continue
        if what == "word" and state == "word":
            tokens[-1] = (what, tokens[-1][1] + char)
        else:
            tokens.append((what, char if what != "other" else ""))
        state = what
    found: set[tuple[str, ...]] = set()
    for place, (what, token) in enumerate(tokens):
        before = tokens[place - 1] if place else ("", "")
        after = tokens[place + 1] if place + 1 < len(tokens) else ("", "")
        if what == "word" and any(char.isalpha() for char in token) and len(token) <= rarity.LONGEST:
            found.add((token,))
        elif what == "unspaced" and before[0] == "unspaced":
            found.add((before[1], token))
        elif what == "unspaced" and after[0] != "unspaced":
            found.add((token,))
    return found


def fnv(token: str) -> int:
    h = 0xCBF29CE484222325
    for char in token:
        h = (h ^ ord(char)) * 0x100000001B3 & MASK
    return h


def hashed(word: tuple[str, ...]) -> int:
    h = fnv(word[0])
    if len(word) == 2:
        h = 0x9E3779B97F4A7C15 + 2
        for token in word:
            h = (h ^ fnv(token)) * 0x9FB21C651E98DF25 & MASK
            h ^= h >> 32
    for factor in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        h = (h ^ h >> 33) * factor & MASK
    return max(h ^ h >> 33, 1)


def sets(texts: pa.Array | pa.ChunkedArray) -> list[set[int]]:
    hashes, offsets = rarity.words(texts)
    found = [hashes[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    assert all(len(set(own)) == len(own) for own in found) and offsets[-1] == len(hashes)
    return [set(own) for own in found]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don't count 1,000 or 42!", {("don",), ("t",), ("count",), ("or",)}),
        ("ÉCOLE e\u0301cole ΣΊΣΥΦΟΣ", {("école",), ("σίσυφος",)}),
        ("東京都の文書", {("東", "京"), ("京", "都"), ("都", "の"), ("の", "文"), ("文", "書")}),
        ("字 a字b 中文", {("字",), ("a",), ("b",), ("中", "文")}),
        ("กำลัง", {("ก", "ำ"), ("ำ", "ลั"), ("ลั", "ง")}),
        ("__ _x_ 7z", {("_x_",), ("7z",)}),
        ("q" * 64 + " " + "r" * 65, {("q" * 64,)}),
        ("r" * 65 + " " + "q" * 64 + ".", {("q" * 64,)}),
        ("é" * 64 + " " + "ü" * 65 + "a", {("é" * 64,)}),
        ("१२३ ๑๒ 中1文", {("中",), ("文",)}),
        ("", set()),
        ("😀\ufe0f ... \u0301", set()),
    ],
)
def test_what_a_word_is(text: str, words: set[tuple[str, ...]]):
    assert plain(text) == words
    assert sets(pa.array([text])) == [{hashed(word) for word in words}]


@settings(max_examples=400, deadline=None)
@given(st.lists(TEXTS, max_size=6))
def test_words_are_those_of_plain_python(texts: list[str]):
    texts = [text.encode(errors="ignore").decode() for text in texts]
    assert sets(pa.array(texts, pa.string())) == [{hashed(word) for word in plain(text)} for text in texts]


def test_words_of_slices_chunks_large_strings_and_nulls():
    texts = ["Alpha beta", None, "gamma 文字列", "", "δέλτα"]
    whole = pa.array(texts, pa.string())
    expected = [{hashed(word) for word in plain(text or "")} for text in texts]
    assert sets(whole) == sets(whole.cast(pa.large_string())) == sets(pa.chunked_array([whole[:2], whole[2:]])) == expected
    assert sets(whole[1:4]) == expected[1:4] and sets(whole[:0]) == []


def pages() -> list[str]:
    """Pieces of the pages of 44 languages, markup and all, evenly over each file."""
    found = []
    for path in sorted((real.SHARED / "crawl" / "html_pages").glob("*.warc.gz")):
        whole = gzip.decompress(path.read_bytes()).decode(errors="ignore")
        found += [whole[start : start + 1500] for start in range(0, len(whole), max(1500, len(whole) // 200))]
    return found


@pytest.mark.skipif(not real.SHARED.is_dir(), reason="needs human_pre2022 and crawl of the real data")
@pytest.mark.parametrize("source", ["tables", "pages"])
def test_words_of_real_texts_are_those_of_plain_python(source: str):
    texts = real.columns(600, 1500) if source == "tables" else pages()
    expected = [{hashed(word) for word in plain(text)} for text in texts]
    assert sets(pa.array(texts)) == expected
    empty = [text for text, own in zip(texts, expected, strict=True) if not own and any(map(str.isalpha, text))]
    assert len(texts) > 200 and len(empty) < 5


def test_golden_hashes():
    """What a killed command left in its work folder must mean the same to the next version."""
    hashes, _ = rarity.words(pa.array(["water 水道 字"]))
    assert [f"{number:016x}" for number in hashes.tolist()] == ["53927e842af569d2", "116b3bae01578fe6", "36f38502026e83c1"]


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.lists(st.integers(1, 40), max_size=12, unique=True), st.booleans()), max_size=30), st.integers(1, 7))
def test_counts_are_those_of_a_bag(documents: list[tuple[list[int], bool]], step: int):
    counter, parts = Counter(), []
    for start in range(0, len(documents), step):
        some = documents[start : start + step]
        hashes = np.array([word for own, _ in some for word in own], np.uint64)
        offsets = np.cumsum([0, *(len(own) for own, _ in some)])
        counter.add(hashes, offsets, np.array([kept for _, kept in some]))
        if start % 2:
            parts.append(counter.take())
    parts.append(counter.take())
    bags = [Bag(word for own, kept in documents for word in own if kept or not only) for only in (False, True)]
    for found in (rarity.merged(parts), rarity.merged(parts[::-1])):
        assert found.hashes.dtype == np.uint64 and found.hashes.tolist() == sorted(bags[0])
        assert found.documents.tolist() == [bags[0][word] for word in found.hashes.tolist()]
        assert found.kept.tolist() == [bags[1][word] for word in found.hashes.tolist()]


def test_a_counter_grows():
    rng = np.random.default_rng(1)
    counter, seen = Counter(), Bag()
    for _ in range(20):
        hashes = np.unique(rng.integers(1, 30_000, 4000).astype(np.uint64))
        counter.add(hashes, np.array([0, len(hashes)]), np.ones(1, np.bool_))
        seen.update(hashes.tolist())
    assert counter.words == len(seen)
    found = counter.take()
    assert dict(zip(found.hashes.tolist(), found.documents.tolist(), strict=True)) == seen
    assert counter.words == 0 and not len(counter.take().hashes)


def test_merging_nothing_is_nothing():
    empty = Frequencies(np.zeros(0, np.uint64), np.zeros(0, np.uint32), np.zeros(0, np.uint32))
    for found in (rarity.merged([]), rarity.merged([empty, empty])):
        assert [column.dtype for column in found] == [np.uint64, np.uint32, np.uint32] and not len(found.hashes)


def test_logarithms_are_close_and_rise():
    numbers = np.unique(np.concatenate([np.arange(1, 70_000), 2 ** np.arange(32), 2 ** np.arange(1, 33) - 1]))
    found = rarity.logarithms(numbers) / 2**rarity.BITS
    exact = np.log2(numbers)
    assert np.all(np.diff(found) >= 0) and np.all(np.abs(exact - found) < 2 / 2**rarity.BITS)
    assert rarity.logarithms(2 ** np.arange(32)).tolist() == [place << rarity.BITS for place in range(32)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(st.integers(1, 60), max_size=15, unique=True), min_size=1, max_size=25), st.integers(0, 2**32))
def test_means_are_those_of_plain_python(documents: list[list[int]], spread: int):
    """Each document by a table of the words that several documents have, in one piece and in two."""
    # Words spread over the range of hashes, or all in one corner of it.
    factor = spread * 2654435761 % 2**58 or 1
    own = [[word * factor for word in document] for document in documents]
    bag = Bag(word for document in own for word in document)
    hashes, offsets = np.array([word for document in own for word in document], np.uint64), np.cumsum([0, *map(len, own)])
    known = sorted(word for word in bag if bag[word] > 1)
    for cut in (0, len(known) // 2):
        sums = np.zeros(len(own), np.int64)
        for piece in (known[:cut], known[cut:]):
            rarity.look_up(
                hashes, offsets, rarity.table(np.array(piece, np.uint64), np.array([bag[word] for word in piece], np.uint32)), sums
            )
        found = rarity.means(sums, offsets, len(own))
        for document, mean in zip(own, found.tolist(), strict=True):
            if not document:
                assert mean == rarity.WITHOUT
                continue
            expected = sum(math.log2(len(own) / bag[word]) for word in document) / len(document)
            assert mean >= 0 and abs(mean / 2 ** (2 * rarity.BITS) - expected) < 4 / 2**rarity.BITS


def test_deciles_are_nearest_rank_and_ties_go_down():
    values = np.arange(1, 101)
    edges = rarity.boundaries(np.random.default_rng(1).permutation(np.append(values, [rarity.WITHOUT] * 7)))
    assert edges.tolist() == list(range(10, 100, 10))
    assert np.bincount(rarity.deciles(values, edges).to_numpy()).tolist() == [10] * 10
    assert rarity.deciles(np.array([0, 10, 11, 90, 91, 10**12]), edges).to_pylist() == [0, 0, 1, 8, 9, 9]
    assert rarity.deciles(np.array([rarity.WITHOUT, 5]), edges).to_pylist() == [None, 0]
    equal = rarity.boundaries(np.full(20, 7))
    assert rarity.deciles(np.array([6, 7, 8]), equal).to_pylist() == [0, 0, 9]
    assert rarity.boundaries(np.array([3, 1, 2])).tolist() == [1, 1, 1, 2, 2, 2, 3, 3, 3]


def test_without_human_documents_nothing_has_a_decile():
    edges = rarity.boundaries(np.array([rarity.WITHOUT]))
    assert len(edges) == 0 and rarity.deciles(np.array([5, rarity.WITHOUT]), edges).to_pylist() == [None, None]


@pytest.mark.parametrize(("documents", "kept"), [(10, 0), (10, 10), (10, 3), (7, 6), (1, 1), (3, 1), (1000, 251)])
def test_the_survival_of_a_word_is_hypergeometric(documents: int, kept: int):
    for frequency in range(min(documents, 6)):
        lost = Fraction(math.comb(documents - frequency, kept), math.comb(documents, kept))
        assert rarity.survival(documents, kept, frequency) == 1 - lost


def test_the_survival_of_a_word_is_what_samples_show():
    rng, documents, kept, rounds = random.Random(7), 40, 13, 4000
    for frequency in range(1, 6):
        seen = sum(min(rng.sample(range(documents), kept)) < frequency for _ in range(rounds)) / rounds
        expected = float(rarity.survival(documents, kept, frequency))
        # Five standard errors: one false alarm in a million.
        assert abs(seen - expected) < 5 * math.sqrt(expected * (1 - expected) / rounds)


def test_the_survival_of_a_word_in_a_large_corpus_is_the_binomial_one():
    for frequency in range(1, 6):
        exact = rarity.survival(10**12, 10**11, frequency)
        assert float(exact) == pytest.approx(1 - 0.9**frequency, abs=1e-9)
    assert rarity.survival(0, 0, 1) == 1
