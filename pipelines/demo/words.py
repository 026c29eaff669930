"""The words of an HTML page, and how much two pages have in common: what the plan of the demo is made by.

Written apart from the product's own extraction and matching, so that the truth it is tested against is not its own.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Sequence

from provenance.tag_soup import unescape

WIDTH = 5
"""Words in a shingle."""

_UNSEEN = re.compile(r"<(head|script|style)\b.*?</\1>", re.DOTALL)
_BLOCK = re.compile(r"<(?:p|br|div|tr|td|dt|dd|dl|table|pre|h\d|li)\b[^>]*>")
_TAG = re.compile(r"<[^>]*>")
_WORD = re.compile(r"\w+")
_SENTENCE = re.compile(r"(?:(?<=[.!?])|\n\s*\n|(?<=:))\s+")

Shingles = frozenset[tuple[str, ...]]


def plain(page: str) -> str:
    """Text of a page's body; blocks are set apart by an empty line."""
    body = _UNSEEN.sub(" ", page).replace("&nbsp;", " ")
    return unescape(_TAG.sub("", _BLOCK.sub("\n\n", body)))


def words(page: str) -> list[str]:
    """Lower-cased words of a page's text."""
    return _WORD.findall(plain(page).lower())


def sentences(page: str) -> list[str]:
    """Sentences of prose: with a capital in front, a full stop behind, and words for the most part."""
    found = (" ".join(piece.split()) for piece in _SENTENCE.split(plain(page)))
    return [text for text in found if _is_prose(text)]


def _is_prose(text: str) -> bool:
    parts = text.split(" ")
    alphabetic = sum(part.strip(".,;:()'\"").isalpha() for part in parts)
    return 6 <= len(parts) <= 60 and text[0].isupper() and text[-1] == "." and alphabetic >= 0.8 * len(parts)


def shingles(text: Sequence[str]) -> Shingles:
    """All runs of `WIDTH` words."""
    return frozenset(tuple(text[i : i + WIDTH]) for i in range(len(text) - WIDTH + 1))


class Index:
    """Shingles of many pages by name, to be asked how much of a page any other has."""

    def __init__(self) -> None:
        self._where: dict[tuple[str, ...], list[str]] = defaultdict(list)
        self._sizes: dict[str, int] = {}

    def add(self, name: str, page: Shingles) -> None:
        for shingle in page:
            self._where[shingle].append(name)
        self._sizes[name] = len(page)

    def overlap(self, page: Shingles, apart_from: str = "") -> float:
        """The largest share, 0 to 1, of the smaller of the two that this page and one of the index have in common."""
        common = Counter(name for shingle in page for name in self._where.get(shingle, ()))
        common.pop(apart_from, None)
        return max((count / max(1, min(len(page), self._sizes[name])) for name, count in common.items()), default=0.0)
