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

`*_before` and `*_after` are of the neighbouring blocks; `container` is the element that holds the block, `2_up` its
grandparent's parent's reading and so on; `best` is the element of the highest score, `above` any element from the block's
own to the root; `alike` are the blocks whose elements have the same tags and classes up to the root; `before_title` and
`beside_title` say where the block stands to the one that repeats the page's `<title>`, and are 0 where none does.
"""

_WIDE, _COMMA = 1, 2
WIDE_LETTERS = 2.5
"""Letters of an alphabet that one character of Chinese, Japanese, Korean, Thai, Lao, Khmer or Burmese counts for."""
_LONG = 25
_SENTENCE_ENDS = frozenset(".!?。！？…؟।۔:\"”»’'")
_VOTERS = frozenset((_walk.PARAGRAPH, _walk.ITEM, _walk.CODE, _walk.QUOTE))


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


def unseen(page: Walk) -> list[int]:
    """1 for each element whose names say that it is not shown, and for all below it."""
    out = [0] * len(page.parents)
    for i, mark in enumerate(page.marks):
        if out[page.parents[i]] or mark & vocabulary.HIDDEN:
            out[i] = 1
    return out


def dropped(page: Walk) -> list[int]:
    """1 for each element that is content nowhere, and for all below it.

    What is never shown. Comments and cookie notices, unless they are nine tenths of the page's text outside links. Other
    boilerplate where it holds less than two fifths of what is left, and by-lines below 200 characters.
    """
    count = len(page.parents)
    text = [0] * count
    for block, links, owner in zip(page.texts, page.link_characters, page.owners, strict=True):
        text[owner] += len(block) - links
    for i in range(count - 1, 0, -1):
        text[page.parents[i]] += text[i]
    out, lost = unseen(page), 0
    for i, mark in enumerate(page.marks):
        if out[page.parents[i]]:
            out[i] = 1
        elif mark & vocabulary.ALIEN and text[i] <= 0.9 * text[0]:
            out[i] = 1
            lost += text[i]
    rest = text[0] - lost
    if rest < 150 and lost > 3 * rest:
        out, rest = unseen(page), text[0]
    for i, mark in enumerate(page.marks):
        if (
            out[page.parents[i]]
            or (mark & vocabulary.BOILERPLATE and text[i] < 0.4 * rest)
            or (mark & vocabulary.BYLINE and text[i] < min(200, 0.1 * rest))
        ):
            out[i] = 1
    return out


@dataclass(frozen=True, slots=True)
class Blocks:
    """The blocks of a page that are not dropped: their numbers in the walk, their readings of shape (blocks, `NAMES`), and
    the row among these of the one that repeats the page's title, None where there is none."""

    numbers: list[int]
    readings: np.ndarray
    title: int | None


def features(page: Walk, out: Sequence[int]) -> Blocks:
    """Readings of the blocks of `page` whose elements are not `out`. Linear in blocks, elements and characters."""
    numbers = [i for i, owner in enumerate(page.owners) if not out[owner]]
    if not numbers:
        return Blocks([], np.zeros((0, len(NAMES))), None)
    texts, owners = [page.texts[i] for i in numbers], [page.owners[i] for i in numbers]
    letters, commas, links = _measured(texts, [page.link_characters[i] for i in numbers])
    title = _title_row(page.title, texts, letters, [page.kinds[owner] for owner in owners])
    amounts = _Amounts(page, owners, letters, commas, links)
    total = amounts.text[0]
    owner = np.array(owners)
    parents = np.array(page.parents)
    up = parents[owner]
    two, three = parents[up], parents[parents[up]]
    kind = np.array(page.kinds)[owner]
    text, score = np.array(amounts.text), np.array(amounts.score)
    density = np.array(amounts.links) / np.maximum(text, 1.0)
    alike = np.array([amounts.alike[page.paths[i]] for i in owners])
    inherited = amounts.inherited(page, owners[title] if title is not None else 0)
    flags = {name: np.array(values, dtype=float)[owner] for name, values in inherited.items()}
    length, linked = logarithm(letters), links / letters
    rows = np.arange(len(numbers))
    columns = {
        "length": length,
        "link_density": linked,
        "position": (np.cumsum(letters) - letters) / total,
        "length_before": np.append(0.0, length[:-1]),
        "link_density_before": np.append(1.0, linked[:-1]),
        "link_density_after": np.append(linked[1:], 1.0),
        "sentence_end": np.array([text[-1] in _SENTENCE_ENDS for text in texts], dtype=float),
        "link_density_2_up": density[two],
        "link_density_3_up": density[three],
        "share_of_parent": text[up] / total,
        "score_of_parent": score[up] / amounts.best_score,
        "score_above": flags["score_above"] / amounts.best_score,
        "in_best": flags["in_best"],
        "in_parent_of_best": flags["in_parent_of_best"],
        "best_score": logarithm(np.full(len(numbers), amounts.best_score)),
        "text_alike": logarithm(alike),
        "share_alike": alike / total,
        "content_names": flags["content_names"],
        "doubtful_names": flags["doubtful_names"],
        "in_list": flags["in_list"],
        "is_item": kind == _walk.ITEM,
        "is_title": kind == _walk.TITLE,
        "is_heading": kind == _walk.HEADING,
        "is_caption": kind == _walk.CAPTION,
        "is_other": kind == _walk.OTHER,
        "in_data_table": flags["in_data_table"],
        "before_title": rows < (title or 0),
        "beside_title": flags["beside_title"],
    }
    return Blocks(numbers, np.column_stack([columns[name] for name in NAMES]).astype(float), title)


def _measured(texts: Sequence[str], links: Sequence[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Per block: effective letters, commas, and effective letters inside links."""
    lengths = np.array([len(text) for text in texts])
    starts = np.cumsum(lengths) - lengths
    points = np.frombuffer("".join(texts).encode("utf-32-le", "replace"), dtype=np.uint32)
    classes = _characters()[np.minimum(points, 0x40000)]
    wide = np.add.reduceat((classes == _WIDE).astype(np.int32), starts)
    commas = np.add.reduceat((classes == _COMMA).astype(np.int32), starts)
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

    def inherited(self, page: Walk, title: int) -> dict[str, list[float]]:
        """What an element has from those above it; `title` is the element that holds the title, 0 for none."""
        parents = page.parents
        count = len(parents)
        above = list(self.score)
        names = ("in_best", "in_parent_of_best", "content_names", "doubtful_names", "in_list", "in_data_table", "beside_title")
        best, near, content, doubtful, lists, tables, beside = made = [[0.0] * count for _ in names]
        best[self.best] = near[parents[self.best]] = 1.0
        if parents[parents[title]]:
            beside[parents[parents[title]]] = 1.0
        for i in range(1, count):
            parent, mark, kind = parents[i], page.marks[i], page.kinds[i]
            if best[parent]:
                best[i] = 1.0
            if near[parent]:
                near[i] = 1.0
            if beside[parent]:
                beside[i] = 1.0
            if above[parent] > above[i]:
                above[i] = above[parent]
            if mark & vocabulary.CONTENT:
                content[i] = 1.0
            else:
                content[i] = content[parent]
                doubtful[i] = 1.0 if mark & vocabulary.DOUBTFUL else doubtful[parent]
            lists[i] = 1.0 if kind == _walk.LIST else lists[parent]
            tables[i] = 1.0 if kind == _walk.DATA else tables[parent]
        return dict(zip(("score_above", *names), (above, *made), strict=True))
