"""Anchors against a slow reference that follows the documentation, and what has to be equal across languages and scripts."""

import itertools
import re
import unicodedata

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from provenance.anchors import SKETCH, anchor_sets, anchors
from provenance.minhash import matrix, minima

MASK = 2**64 - 1
WORD = re.compile(r"9*[aA_](?:[aA_9m]|[.@](?=[aA_9]))*|9+")
SEPARATORS = (
    {".": ".", "@": "@", "_": "_"} | dict.fromkeys(",'\u2019\u066b\u066c\u00b7", ",") | dict.fromkeys(" \u00a0\u202f\u2009", " ")
)
SEPARATORS |= dict.fromkeys("-/", "-") | dict.fromkeys("\n\r!?:\u2026\u3002\uff01\uff1f\uff1a\u061f\u06d4\u0964\u2022", "!")


def latin(c: str) -> str:
    """The letter without case and accent, empty for what is no Latin letter."""
    base = unicodedata.normalize("NFKD", c)[0]
    return base.lower()[0] if unicodedata.category(c) in ("Lu", "Ll") and unicodedata.name(base, "").startswith("LATIN") else ""


def kind(c: str) -> str:
    category = unicodedata.category(c)
    if ord(c) >= 0x20000:
        return "o"
    if c in SEPARATORS:
        return SEPARATORS[c]
    if latin(c):
        return "A" if category == "Lu" else "a"
    return {"Nd": "9"}.get(category, {"M": "m", "L": "x"}.get(category[0], "o"))


def mixed(values: list[int]) -> int:
    h = 0xCBF29CE484222325
    for value in values:
        h = ((h ^ value) * 0x100000001B3) & MASK
    return h


def finished(h: int, rounds: int = 2) -> int:
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53)[:rounds]:
        h = ((h ^ h >> 33) * multiplier) & MASK
    return max(h ^ h >> 33 if rounds == 2 else h, 1)


def digits(text: str) -> str:
    return "".join(str(unicodedata.decimal(c)) for c in text if unicodedata.category(c) == "Nd")


def words(text: str, kinds: str) -> set[int]:
    """Identifiers and names."""
    found = set()
    for match in WORD.finditer(kinds):
        own, forms = match.group(), text[match.start() : match.end()]
        plain = [(k, c) for k, c in zip(own, forms, strict=True) if k != "m"]
        if not re.search("[aA]", own):
            continue
        size, shape = len(plain), "".join(k for k, _ in plain)
        before = re.sub("[^x!.aA_9]", "", kinds[: match.start()])
        begins = not before or before[-1] in "!."
        identifier = "aA" in shape or (re.search("[._@]", shape) and size > 3) or ("9" in shape and size >= 3)
        name = own[0] == "A" and not begins and re.fullmatch("[aA]{3,}", shape)
        if identifier or name:
            found.add(finished(mixed([ord(latin(c) or (digits(c) if k == "9" else c)) for k, c in plain])))
    return found


def numbers(text: str, kinds: str) -> set[int]:
    """Numbers and dates."""
    runs = [m.span() for m in WORD.finditer(kinds) if set(m.group()) == {"9"}]

    def between(i: int) -> str:
        return kinds[runs[i][1]] if 0 <= i < len(runs) - 1 and runs[i + 1][0] == runs[i][1] + 1 else ""

    found, inside = set(), set()
    for i in range(len(runs) - 2):
        parts = [digits(text[start:stop]) for start, stop in runs[i : i + 3]]
        lengths = [len(part) for part in parts]
        separator = between(i)
        if separator not in (".", "-") or between(i + 1) != separator or separator in (between(i - 1), between(i + 2)):
            continue
        if not (lengths[1] <= 2 and ((lengths[0] == 4 and lengths[2] <= 2) or (lengths[0] <= 2 and lengths[2] == 4))):
            continue
        year, month, day = map(int, parts if lengths[0] == 4 else parts[::-1])
        if 1900 <= year <= 2099:
            found.add(finished(mixed([year, min(month, day), max(month, day)]), 1))
            inside |= {i, i + 1, i + 2}
    i = 0
    while i < len(runs):
        last = i
        while last not in inside and last + 1 not in inside and between(last):
            sizes = [stop - start for start, stop in runs[last : last + 2]]
            if between(last) not in (".", ",") and not (between(last) == " " and sizes[0] <= 3 and sizes[1] == 3):
                break
            last += 1
        number = digits(text[runs[i][0] : runs[last][1]])
        year = i == last and len(number) == 4 and 1900 <= int(number) <= 2099
        if i not in inside and len(number) >= 3 and not year:
            found.add(finished(mixed([ord(c) for c in number])))
        i = last + 1
    return found


def reference(text: str) -> set[int]:
    kinds = "".join(map(kind, text))
    return words(text, kinds) | numbers(text, kinds)


def sets(*texts: str | None) -> list[set[int]]:
    hashes, offsets = anchor_sets(pa.array(texts, pa.string()))
    return [set(hashes[start:stop].tolist()) for start, stop in itertools.pairwise(offsets)]


PIECES = st.sampled_from(
    [
        "12",
        "345",
        "2021",
        "1899",
        "9999",
        "03",
        ".",
        ",",
        " ",
        "  ",
        "-",
        "/",
        "'",
        "_",
        "@",
        "\n",
        "!",
        "a",
        "Ab",
        "McX",
        "HTTP",
        "Ünïc",
        "é",
        "é",
        "́",
        "服务",
        "Привет",
        "٣٤٥",
        "１２３",
        "\xa0",
        "😀",
        "𠀀",
        "x1",
        "config",
        "org",
        ":",
        "(",
        "今年",
    ]
)


@given(st.lists(st.one_of(st.lists(PIECES, max_size=12).map("".join), st.text(max_size=30)), max_size=4))
@example(["12.", "345"])
@example(["1.2.2020-01-02", "2021-11-03 12:30", "192.168.1.1", "1.2.3.2020"])
@settings(deadline=None, max_examples=400)
def test_equals_the_reference(texts: list[str]) -> None:
    assert sets(*texts) == [reference(text) for text in texts]


def test_nulls_slices_and_chunks() -> None:
    column = pa.chunked_array([["see httpd.conf", None], ["12345", ""]])
    hashes, offsets = anchor_sets(column)
    assert np.diff(offsets).tolist() == [1, 0, 1, 0] and np.all(hashes > 0)
    cut = pa.array(["x", "see httpd.conf", "12345"])[1:]
    assert sets(*cut.to_pylist()) == [set(hashes[:1].tolist()), set(hashes[1:].tolist())]
    assert sets() == []


@pytest.mark.parametrize(
    "same",
    [
        (
            "1,234.5",
            "1.234,5",
            "1 234,5",
            "1\u00a0234,5",
            "1\u202f234,5",
            "1'234.5",
            "12345",
            "١٢٣٤٥",
            "１２３４５",
            "१२३४५",
            "١٬٢٣٤٫٥",
        ),
        ("2021-11-03", "03.11.2021", "03/11/2021", "11/03/2021", "2021/11/03"),
        ("siehe httpd.conf", "the file HTTPD.CONF", "文件httpd.conf里", "файл httpd.conf."),
        ("in Zürich", "à Zurich", "在Zürich市", "in Zu\u0308rich"),
    ],
)
def test_the_same_in_every_language(same: tuple[str, ...]) -> None:
    first, *others = sets(*same)
    assert len(first) == 1 and others == [first] * len(others)


@pytest.mark.parametrize(
    "nothing",
    [
        "ordinary words only",
        "Sentence begins. Another one! 12 and 34",
        "in 1999 and 2024",
        "Überschrift\nNoch eine",
        "e.g. z.B. and/or",
        "今年は",
        "",
    ],
)
def test_what_is_no_anchor(nothing: str) -> None:
    assert sets(nothing) == [set()]


@given(st.permutations(["mod_ssl", "port 8080", "AddType", "7,25,310", "at Geneva", "2020-01-31"]))
def test_order_does_not_matter(pieces: list[str]) -> None:
    assert sets("so " + " ; ".join(pieces)) == sets("so mod_ssl ; port 8080 ; AddType ; 7,25,310 ; at Geneva ; 2020-01-31")


def test_sketches_are_those_of_the_kernel() -> None:
    texts = pa.array(["listen on 8080 and 8443 in httpd.conf", ""])
    sketch = anchors(texts)
    assert sketch.column("shingles").to_pylist() == [3, 0]
    assert np.array_equal(matrix(sketch.column("signature")), minima(*anchor_sets(texts), SKETCH))
