"""What is measured of a block: its length, links and place, its container's text and score, the names above it, the title.

Readings are sums of integers and of halves, ratios of them, and a logarithm that is exact in floating point, always in one
order: the same on every machine.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from provenance.extractors import _vocabulary as vocabulary
from provenance.extractors import _walk
from provenance.extractors._walk import Walk

NAMES = (
    "length", "link_density", "position", "length_before", "link_density_before", "link_density_after", "sentence_end",
    "link_density_2_up", "link_density_3_up", "share_of_parent", "score_of_parent", "score_above",
    "in_best", "in_parent_of_best", "best_score", "text_alike", "share_alike", "content_names", "doubtful_names", "in_list",
    "is_item", "is_title", "is_heading", "is_caption", "is_other", "in_data_table", "before_title", "beside_title",
)  # fmt: skip
"""Lengths and amounts of text are logarithms of effective letters, scores those of Readability, the rest shares and flags:

`*_before` and `*_after` are of the neighbouring blocks; `parent` is the element above the block's own, `2_up` the one above
that, `3_up` the next; `best` is the element of the highest score, `above` any element from the block's own to the root; `alike` are the blocks whose elements have the same tags and classes up to the root; `before_title` and
`beside_title` say where the block stands to the one that repeats the page's `<title>`, and are 0 where none does.
"""

_WIDE, _COMMA = 1, 2
WIDE_LETTERS = 2.5
"""Letters of an alphabet that one character of Chinese, Japanese, Korean, Thai, Lao, Khmer or Burmese counts for."""
_LONG = 25
_SENTENCE_ENDS = frozenset(".!?。！？…؟।۔:\"”»’'")
_VOTERS = frozenset((_walk.PARAGRAPH, _walk.ITEM, _walk.CODE, _walk.QUOTE))
_TOO_LITTLE = 150
"""Characters: a page that has fewer left, and lost more than three times as many as comments, is believed to be its comments."""

_FLAGS = ("in_best", "in_parent_of_best", "beside_title", "content_names", "doubtful_names", "in_list", "in_data_table")
_BEST, _NEAR, _BESIDE, _CONTENT, _DOUBTFUL, _LIST, _DATA = (1 << bit for bit in range(len(_FLAGS)))
_OF_KIND = {_walk.LIST: _LIST, _walk.DATA: _DATA}


@cache
def _characters() -> np.ndarray:
    """Class of each code point below 0x40000, and of the one after them for all others."""
    table = np.zeros(0x40001, dtype=np.uint8)
    for first, last in ((0x0E00, 0x0EFF), (0x1000, 0x109F), (0x1780, 0x17FF), (0x2E80, 0xA4CF), (0xAC00, 0xD7A3), (0xF900, 0xFAFF)):
        table[first : last + 1] = _WIDE
    table[0x20000:] = _WIDE
    table[[ord(sign) for sign in ",，、،"]] = _COMMA
    return table


def logarithm(values: np.ndarray) -> np.ndarray:
    """log2(1 + x), linear between powers of two. A library's logarithm differs in its last bit between machines."""
    mantissa, exponent = np.frexp(values + 1.0)
    return exponent + 2.0 * mantissa - 2.0


def dropped(page: Walk) -> list[int]:
    """1 for each element that is content nowhere, and for all below it.

    Comments and cookie notices, unless they are nine tenths of the page's text outside links, or two fifths
    with the title or the greater part of what is named content in them: names of a wrapper may tell of its state. Other
    boilerplate where it holds less than two fifths of what is left, and by-lines below 200 characters and a tenth of that.
    """
    parents, marks = page.parents, page.marks
    out = [0] * len(parents)
    if not any(set(marks)):
        return out
    text = [0] * len(parents)
    for block, links, owner in zip(page.texts, page.link_characters, page.owners, strict=True):
        text[owner] += len(block) - links
    for i in range(len(parents) - 1, 0, -1):
        text[parents[i]] += text[i]
    lost = 0
    if any(mark & vocabulary.ALIEN for mark in set(marks)):
        held = _holding(page, text)
        for i, mark in enumerate(marks):
            if out[parents[i]]:
                out[i] = 1
            elif mark & vocabulary.ALIEN and text[i] <= (0.4 if held[i] else 0.9) * text[0]:
                out[i] = 1
                lost += text[i]
    rest = text[0] - lost
    if rest < _TOO_LITTLE and lost > 3 * rest:
        out, rest = [0] * len(parents), text[0]
    for i, (parent, mark) in enumerate(zip(parents, marks, strict=True)):
        if out[parent] or (mark and _is_small(mark, text[i], rest)):
            out[i] = 1
    return out


def _holding(page: Walk, text: Sequence[int]) -> list[int]:
    """1 for each element that holds a first heading or much text that is named content."""
    held = [0] * len(page.parents)
    for i in range(len(held) - 1, 0, -1):
        named = page.marks[i] & (vocabulary.CONTENT | vocabulary.ALIEN) == vocabulary.CONTENT
        if (page.kinds[i] == _walk.TITLE and text[i]) or (named and text[i] > 0.4 * text[0]):
            held[i] = 1
        held[page.parents[i]] |= held[i]
    return held


def _is_small(mark: int, text: int, rest: int) -> bool:
    """Whether an element of these marks is boilerplate or a by-line, and small enough to be."""
    return bool(mark & vocabulary.BOILERPLATE and text < 0.4 * rest) or bool(
        mark & vocabulary.BYLINE and text < min(200, 0.1 * rest)
    )


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of a page that are not dropped: their numbers in the walk, their readings of shape (`NAMES`, blocks), and
    the row among these of the one that repeats the page's title, None where there is none."""

    numbers: list[int]
    readings: np.ndarray
    title: int | None


def features(page: Walk, out: Sequence[int]) -> Blocks:
    """Readings of the blocks of `page` whose elements are not `out`. Linear in blocks, elements and characters."""
    numbers = [i for i, owner in enumerate(page.owners) if not out[owner]]
    if not numbers:
        return Blocks([], np.zeros((len(NAMES), 0)), None)
    texts, owners = [page.texts[i] for i in numbers], [page.owners[i] for i in numbers]
    kinds = [page.kinds[owner] for owner in owners]
    letters, commas, links = _measured(texts, [page.link_characters[i] for i in numbers])
    title = _title_row(page.title, texts, letters, kinds)
    amounts = _Amounts(page, owners, letters, commas, links)
    owner, parents, kind = np.array(owners), np.array(page.parents), np.array(kinds)
    up = parents[owner]
    two = parents[up]
    text, score, total = np.array(amounts.text), np.array(amounts.score), amounts.text[0]
    density = np.array(amounts.links) / np.maximum(text, 1.0)
    alike = np.array([amounts.alike[page.paths[i]] for i in owners])
    flags, above = amounts.inherited(page, owners[title] if title is not None else 0)
    flags = flags[owner]
    length, linked = logarithm(letters), links / letters
    columns = {
        "length": length,
        "link_density": linked,
        "position": (np.cumsum(letters) - letters) / total,
        "length_before": _shifted(length, 1, 0.0),
        "link_density_before": _shifted(linked, 1, 1.0),
        "link_density_after": _shifted(linked, -1, 1.0),
        "sentence_end": [text[-1] in _SENTENCE_ENDS for text in texts],
        "link_density_2_up": density[two],
        "link_density_3_up": density[parents[two]],
        "share_of_parent": text[up] / total,
        "score_of_parent": score[up] / amounts.best_score,
        "score_above": above[owner] / amounts.best_score,
        "best_score": logarithm(np.full(1, amounts.best_score))[0],
        "text_alike": logarithm(alike),
        "share_alike": alike / total,
        "is_item": kind == _walk.ITEM,
        "is_title": kind == _walk.TITLE,
        "is_heading": kind == _walk.HEADING,
        "is_caption": kind == _walk.CAPTION,
        "is_other": kind == _walk.OTHER,
        "before_title": np.arange(len(numbers)) < (title or 0),
        **{name: (flags & (1 << bit)) > 0 for bit, name in enumerate(_FLAGS)},
    }
    readings = np.empty((len(NAMES), len(numbers)))
    for row, name in zip(readings, NAMES, strict=True):
        row[:] = columns[name]
    return Blocks(numbers, readings, title)


def _shifted(values: np.ndarray, by: int, outside: float) -> np.ndarray:
    """The values of the blocks before (1) or after (-1), `outside` where there is none."""
    moved = np.full(len(values), outside)
    if by > 0:
        moved[1:] = values[:-1]
    else:
        moved[:-1] = values[1:]
    return moved


def _measured(texts: Sequence[str], links: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per block: effective letters, commas, and effective letters inside links."""
    lengths = np.array([len(text) for text in texts])
    whole = "".join(texts)
    if whole.isascii():
        return lengths.astype(float), np.array([text.count(",") for text in texts]), np.array(links, dtype=float)
    starts = np.cumsum(lengths) - lengths
    points = np.frombuffer(whole.encode("utf-32-le", "replace"), dtype=np.uint32)
    classes = _characters()[np.minimum(points, 0x40000)]
    wide = np.add.reduceat(classes == _WIDE, starts, dtype=np.int32)
    commas = np.add.reduceat(classes == _COMMA, starts, dtype=np.int32)
    letters = lengths + (WIDE_LETTERS - 1.0) * wide
    return letters, commas, np.array(links) / lengths * letters


def _title_row(title: str, texts: Sequence[str], letters: np.ndarray, kinds: Sequence[int]) -> int | None:
    """The block that repeats the greatest part of the page's title, headings before others."""
    best, row = 0.0, None
    low = title.casefold()
    for i, text in enumerate(texts):
        if len(text) > len(title) or letters[i] < 8 or len(text) < 0.3 * len(title):
            continue
        weight = len(text) * (2 if kinds[i] in _walk.HEADINGS else 1)
        if weight > best and text.casefold() in low:
            best, row = weight, i
    return row


class _Amounts:
    """Text, links and scores of a page's elements, in effective letters with all below them.

    The score is Readability's (https://github.com/mozilla/readability): a paragraph of 25 letters or more, not half of them
    links, gives its parent 1 + commas + a hundredth of its letters up to 3, its grandparent half of that; an
    element's sum is lowered by its share of links.
    """

    def __init__(self, page: Walk, owners: Sequence[int], letters: np.ndarray, commas: np.ndarray, links: np.ndarray):
        parents, kinds = page.parents, page.kinds
        count = len(parents)
        votes = np.where((letters >= _LONG) & (links < 0.5 * letters), 1 + commas + np.minimum(letters / 100, 3), 0.0).tolist()
        text, linked, score = [0.0] * count, [0.0] * count, [0.0] * count
        alike: dict[int, float] = {}
        for owner, size, link, vote in zip(owners, letters.tolist(), links.tolist(), votes, strict=True):
            text[owner] += size
            linked[owner] += link
            path = page.paths[owner]
            alike[path] = alike.get(path, 0.0) + size
            if vote:
                parent = parents[owner]
                score[parent] += vote
                score[parents[parent]] += vote / 2
                if kinds[owner] not in _VOTERS:
                    score[owner] += vote
        for i in range(count - 1, 0, -1):
            text[parents[i]] += text[i]
            linked[parents[i]] += linked[i]
        self.score = [points * (1 - linked[i] / text[i]) if points else 0.0 for i, points in enumerate(score)]
        self.text, self.links, self.alike = text, linked, alike
        self.best_score = max(max(self.score), 1e-9)
        self.best = self.score.index(max(self.score))

    def inherited(self, page: Walk, title: int) -> tuple[np.ndarray, np.ndarray]:
        """What elements have from those above them: `_FLAGS` as bits, and the best score. `title` holds the title, 0 for none."""
        parents, marks = page.parents, page.marks
        above = list(self.score)
        flags = [_OF_KIND.get(kind, 0) for kind in page.kinds]
        flags[self.best] |= _BEST
        flags[parents[self.best]] |= _NEAR
        if parents[parents[title]]:
            flags[parents[parents[title]]] |= _BESIDE
        for i in range(1, len(parents)):
            parent, mark = parents[i], marks[i]
            if above[parent] > above[i]:
                above[i] = above[parent]
            if not mark:
                flags[i] |= flags[parent]
            elif mark & vocabulary.CONTENT:
                flags[i] |= flags[parent] & ~_DOUBTFUL | _CONTENT
            else:
                flags[i] |= flags[parent] | (_DOUBTFUL if mark & vocabulary.DOUBTFUL else 0)
        return np.array(flags), np.array(above)
