"""Similarity forms of the families whose shingles are runs of words, joined by one space: a text as its words in one line."""

from __future__ import annotations

import functools
import re
import string
import sys
import unicodedata
from collections.abc import Callable

from provenance.families import UNSPACED_RANGES, Family

WORDS = re.compile(r"\w+")
WHITE = re.compile(r"\s+")
BEYOND_ASCII = re.compile(r"[^\x00-\x7f]+")

# What datatrove's utils/text.py takes for numbers and punctuation. That of many scripts is not among it (។ and ।) and stays a
# part of words, as it does there.
NUMBERS = re.compile(r"\d+(?:[.,\u060c\u066b\u2396\u2397\u2398]\d+)?")
CONTROLS = "".join(map(chr, [*range(9), *range(11, 32), *range(127, 160)]))
SIGNS = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«´»–—’“”„…∶━►、。〈〉《》「」【】！％（），．１：；？～"
TO_SPACE = re.compile(f"[{re.escape(CONTROLS + SIGNS)}]+")

AWAY = re.compile(f"[{re.escape(string.punctuation)}]+")


@functools.cache
def _unspaced() -> re.Pattern[str]:
    """A letter of a script that does not space words, with the combining marks of these scripts that follow it."""
    blocks = "".join(f"{chr(first)}-{chr(last)}" for first, last in UNSPACED_RANGES)
    points = (chr(point) for first, last in UNSPACED_RANGES for point in range(first, last + 1))
    return re.compile(rf"[{blocks}](?<=\w)[{''.join(point for point in points if unicodedata.category(point)[0] == 'M')}]*")


@functools.cache
def _non_spacing() -> dict[int, None]:
    """The non-spacing marks, for `str.translate`."""
    return dict.fromkeys(point for point in range(0x80, sys.maxunicode + 1) if unicodedata.category(chr(point)) == "Mn")


def _cut(found: re.Match[str]) -> str:
    """A run of characters beyond ASCII without its non-spacing marks, letters of unspaced scripts apart."""
    return _unspaced().sub(r" \g<0> ", found[0].translate(_non_spacing()))


def lower_words(text: str) -> str:
    """Runs of Python's `\\w` in the lower-cased text."""
    return " ".join(WORDS.findall(text.lower()))


def datatrove_simplify(text: str) -> str:
    """datatrove's `simplify_text` with its defaults, then words by white space and the letters of unspaced scripts.

    Lower case, numbers to `0`, punctuation to spaces, NFD without non-spacing marks.
    """
    text = TO_SPACE.sub(" ", NUMBERS.sub("0", text.lower()))
    if not text.isascii():
        text = BEYOND_ASCII.sub(_cut, unicodedata.normalize("NFD", text))
    return " ".join(text.split())


def redpajama_normalize(text: str) -> str:
    """RedPajama's `normalize`: without ASCII punctuation, lower case, one space for white space, NFD."""
    text = WHITE.sub(" ", AWAY.sub("", text).lower().strip())
    return " ".join((text if text.isascii() else unicodedata.normalize("NFD", text)).split())


FORMS: dict[str, Callable[[str], str]] = {
    "lower-words-1": lower_words,
    "datatrove-simplify-1": datatrove_simplify,
    "redpajama-normalize-1": redpajama_normalize,
}


def form(family: Family) -> Callable[[str], str]:
    """The function that gives a text's words, joined by one space."""
    return FORMS[family.normaliser]
