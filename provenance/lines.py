"""The line that the detectors of machine text read: a text without what its source, and not its author, put there.

NFKC, lower case, decimal digits as 0, words and the punctuation that is written alike everywhere, one space between them; a
character of a script without spaces between words is a word. Quotation marks, dashes, Markdown and line breaks are gone:
they separate the classes of training tables but not those of the web, and digits would tell the year.
"""

import unicodedata
from functools import cache

import numpy as np

from provenance.kernels import compiled

READ = 2400
"""Characters that are read from the start of a text: beyond them a text says little more, and time would grow with it."""

SPACE = 0x20
# Han, kana, Thai, Lao, Khmer, Burmese, as in `pages.word_count`, but for the planes that NFKC text hardly has.
_UNSPACED = (
    (0x0E00, 0x0EFF),
    (0x1000, 0x109F),
    (0x1780, 0x17FF),
    (0x3040, 0x30FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
)
PUNCTUATION = ".,;:?!。、"
_LAST = 0x20000
_NOTHING, _WORD, _ALONE = 0, 1, 2


@cache
def _classes() -> np.ndarray:
    """For each code point below `_LAST` and for those from there on: part of a word, a token of its own, or neither (uint8)."""
    table = np.fromiter((chr(point).isalnum() for point in range(_LAST + 1)), np.uint8, _LAST + 1)
    table[_LAST] = _NOTHING
    for first, last in _UNSPACED:
        table[first : last + 1] = _ALONE
    for mark in PUNCTUATION:
        table[ord(mark)] = _ALONE
    return table


@cache
def _digits() -> np.ndarray:
    """Whether a code point is a decimal digit (bool)."""
    return np.fromiter((chr(point).isdecimal() for point in range(_LAST + 1)), np.bool_, _LAST + 1)


def _tokens(points: np.ndarray, classes: np.ndarray, digits: np.ndarray, out: np.ndarray) -> int:
    size = 0
    before = 0
    last = classes.shape[0] - 1
    for i in range(points.shape[0]):
        point = points[i]
        place = min(point, last)
        kind = classes[place]
        if kind != 0:
            if size > 0 and not (kind == 1 and before == 1):
                out[size] = 32
                size += 1
            out[size] = 48 if digits[place] else point
            size += 1
        before = kind
    return size


def line(text: str) -> np.ndarray:
    """The line of a text: uint32 code points, at most two for each character that is read after NFKC. Linear in `READ`."""
    head = unicodedata.normalize("NFKC", text[:READ])[: 2 * READ].lower()
    points = np.frombuffer(head.encode("utf-32-le", "replace"), np.uint32)
    out = np.empty(2 * len(points) + 1, np.uint32)
    return out[: compiled(_tokens)(points, _classes(), _digits(), out)]


def words(points: np.ndarray) -> str:
    """A line as a string."""
    return points.tobytes().decode("utf-32-le")
