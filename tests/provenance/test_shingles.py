"""Shingles against a slow reference that follows the documentation word by word, and against golden vectors."""

import itertools
import json
import re
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance.minhash import MinHash
from provenance.shingles import UNSPACED_RANGES, shingle_hashes, shingle_sets, spans, tables

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "match.json").read_text(encoding="utf-8"))
OPTIONS = MinHash()
MASK = 2**64 - 1


def tokens(text: str) -> list[str]:
    """Tokens of the similarity form, one character at a time."""
    found: list[str] = []
    growing = marks = False
    for c in unicodedata.normalize("NFC", text).lower():
        if unicodedata.category(c)[0] == "M" and ord(c) < 0x40000:
            if growing or marks:
                found[-1] += c
        elif not re.fullmatch(r"\w", c):
            growing = marks = False
        elif any(first <= ord(c) <= last for first, last in UNSPACED_RANGES):
            found.append(c)
            growing, marks = False, True
        elif growing:
            found[-1] += c
        else:
            found.append(c)
            growing, marks = True, False
    return found


def token_hash(token: str) -> int:
    h = 0xCBF29CE484222325
    for c in token:
        h = ((h ^ ord(c)) * 0x100000001B3) & MASK
    h = ((h ^ h >> 33) * 0xFF51AFD7ED558CCD) & MASK
    h = ((h ^ h >> 33) * 0xC4CEB9FE1A85EC53) & MASK
    return h ^ h >> 33


def reference(text: str, size: int = 5) -> list[int]:
    hashes = [token_hash(token) for token in tokens(text)]
    length = min(size, len(hashes))
    out = []
    for first in range(len(hashes) - length + 1 if hashes else 0):
        s = (0x9E3779B97F4A7C15 + length) & MASK
        for h in hashes[first : first + length]:
            s = ((s ^ h) * 0x9FB21C651E98DF25) & MASK
            s ^= s >> 32
        out.append(s or 1)
    return out


def hashes_of(texts: pa.Array | pa.ChunkedArray, options: MinHash = OPTIONS) -> list[list[int]]:
    hashes, offsets = shingle_hashes(texts, options)
    assert hashes.dtype == np.uint64
    assert offsets.dtype == np.int64
    return [hashes[a:b].tolist() for a, b in itertools.pairwise(offsets)]


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda v: v["name"])
def test_golden_vectors(vector: dict) -> None:
    found = hashes_of(pa.array([vector["text"]]))[0]
    assert [f"{h:016x}" for h in found[:3]] == vector["shingles"]
    assert len(found) == vector["count"]


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda v: v["name"])
def test_golden_texts_agree_with_the_reference(vector: dict) -> None:
    assert hashes_of(pa.array([vector["text"]]))[0] == reference(vector["text"])


@settings(deadline=None)  # the first example compiles the kernel
@given(st.lists(st.text(max_size=60), max_size=4), st.integers(1, 7))
def test_any_text_agrees_with_the_reference(texts: list[str], size: int) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    assert hashes_of(pa.array(texts, pa.string()), MinHash(shingle=size)) == [reference(text, size) for text in texts]


# Plain random text seldom holds what normalisation is about.
HARD = "aB _1 ΣσΑςİıßẞ\u0301\u0307\u0323\u0345\u1100\u1161\u11a8가\u0958\u0915\u093cक्षेที่กำ漢字かがカ\u3099ﾊﾟ\u09c7\u09be①½²\ufe0f❤\u200d👍ǅﬁÅK-."


@settings(deadline=None)  # the first example compiles the kernel
@given(st.lists(st.text(st.sampled_from(HARD), max_size=40), max_size=4))
def test_hard_characters_agree_with_the_reference(texts: list[str]) -> None:
    assert hashes_of(pa.array(texts, pa.string())) == [reference(text) for text in texts]


def test_every_code_point_lowers_as_python_does() -> None:
    points = [chr(i) for i in range(0x40000) if not 0xD800 <= i < 0xE000]
    texts = [f"x{a}{b}" for a, b in zip(points[::2], points[1::2], strict=True)]
    found = hashes_of(pa.array(texts))
    wrong = [text for text, hashes in zip(texts, found, strict=True) if hashes != reference(text)]
    assert wrong == []


def test_canonically_equivalent_and_differently_cased_texts_are_equal() -> None:
    for a, b in [
        ("Caf\u00e9 au lait", "CAFE\u0301 AU LAIT"),
        ("Å", "\u212b"),
        ("한국", "\u1112\u1161\u11ab\u1100\u116e\u11a8"),
        ("ΟΔΟΣ", "οδος"),
    ]:
        first, second = hashes_of(pa.array([a, b]))
        assert first == second, (a, b)
    assert hashes_of(pa.array(["one two"])) != hashes_of(pa.array(["one three"]))


def test_number_of_shingles() -> None:
    texts = [
        "",
        " \n.,;❤\ufe0f",
        "one",
        "one two three four",
        "a b c d e",
        "a b c d e f",
        "日本語の文",
        "日本語の文章",
        "2021年の東京",
        None,
    ]
    assert [len(hashes) for hashes in hashes_of(pa.array(texts))] == [0, 0, 1, 1, 1, 2, 1, 2, 1, 0]


def test_unspaced_scripts_share_shingles_whatever_stands_around_them() -> None:
    article = "吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。"
    around = "Skip to content. " + "Sign in to your account and read more stories like this one. " * 5
    alone, inside = hashes_of(pa.array([article, around + article]))
    assert set(alone) <= set(inside)


def test_words_order_and_boundaries_matter() -> None:
    texts = ["a b c d e", "b a c d e", "ab c d e f", "a bc d e f", "abcde", "a b c d", "a b c d d"]
    found = [tuple(hashes) for hashes in hashes_of(pa.array(texts))]
    assert len(set(found)) == len(found)


TEXTS = [
    "zero",
    "One two three four five six",
    "",
    "Straße und Größe, über Öl",
    None,
    "ภาษาไทยที่ดี",
    "cafe\u0301 İstanbul ΣΑΣ",
    "日本語の文章です",
] * 3


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.string_view(), pa.dictionary(pa.int32(), pa.string())])
def test_slices_and_types(kind: pa.DataType) -> None:
    whole = pa.array(TEXTS, pa.string()).cast(kind) if not pa.types.is_dictionary(kind) else pa.array(TEXTS).dictionary_encode()
    for start, stop in [(0, 24), (3, 9), (5, 6), (7, 24), (4, 4), (24, 24)]:
        assert hashes_of(whole[start:stop]) == [reference(text or "") for text in TEXTS[start:stop]]


def test_chunked_and_empty_arrays() -> None:
    chunked = pa.chunked_array([pa.array(TEXTS[:5])[2:], pa.array([], pa.string()), pa.array(TEXTS[5:9])])
    assert hashes_of(chunked) == [reference(text or "") for text in TEXTS[2:9]]
    assert hashes_of(pa.chunked_array([], pa.string())) == []
    assert hashes_of(pa.array([None, None], pa.string())) == [[], []]


def test_a_null_that_covers_bytes_has_none() -> None:
    offsets, data = np.array([0, 5, 10], np.int32), b"alphabravo"
    texts = pa.Array.from_buffers(pa.string(), 2, [pa.py_buffer(b"\x02"), pa.py_buffer(offsets), pa.py_buffer(data)])
    assert hashes_of(texts) == [[], reference("bravo")]


@pytest.mark.parametrize("data", [b"word \xe6", b"word \xf0\x9f", b"\xff\xff\xff\xff word", b"\x80\x80 a", b"\xf7\xbf\xbf\xbf a b"])
def test_bytes_that_are_not_utf8_are_read_within_bounds(data: bytes) -> None:
    offsets = np.array([0, len(data)], np.int32)
    texts = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    starts = spans(texts)[1]
    hashes, ends = shingle_hashes(texts, OPTIONS)
    assert starts.tolist() == [0]
    assert len(hashes) == ends[-1] <= len(data)


def test_sets_are_distinct_in_order_of_first_occurrence() -> None:
    texts = ["a b c d e a b c d e a b", "x", "", "the same " * 50]
    hashes, offsets = shingle_sets(pa.array(texts), OPTIONS)
    found = [hashes[a:b].tolist() for a, b in itertools.pairwise(offsets)]
    assert found == [list(dict.fromkeys(reference(text))) for text in texts]
    assert [len(hashes) for hashes in found] == [5, 1, 0, 2]


def test_two_threads_get_the_same() -> None:
    texts = pa.array([f"{text or ''} number {i} of many" for i in range(50) for text in TEXTS])
    expected = hashes_of(texts)
    with ThreadPoolExecutor(2) as pool:
        assert all(found == expected for found in pool.map(lambda _: hashes_of(texts), range(8)))


def test_letters_of_the_unspaced_blocks_are_tokens_by_themselves() -> None:
    kind = tables()[0]
    for letter in "漢あアกກကក𠀀":
        assert kind[ord(letter)] & 3 == 2, letter
    for letter in "aéя한ا_7א":
        assert kind[ord(letter)] & 3 == 1, letter
