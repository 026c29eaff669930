"""Main text by our own classifier of blocks: one walk over the DOM, the readings of each block, a linear model.

What is kept: paragraphs, headings of what is kept, list items, code with its lines, rows of data with tabs between cells.
What is not: navigation, related links, comments, cookie notices, by-lines, formulas in MathML, and text that a browser does not show. Measured on
the development gold: README, "The text". Not made for forums, shops and lists of links, whose text is many short blocks.

Blocks are parted by a blank line, items of a list and rows of a table by a line feed.
"""

import pkgutil
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from importlib.metadata import version
from typing import Any

import msgspec
import numpy as np

from provenance.extract import BlockModel, Extract, guarded
from provenance.extractors import _features as features
from provenance.extractors import _tables, _walk
from provenance.extractors._features import Blocks
from provenance.extractors._walk import Walk
from provenance.tag_soup import end_empty_tags, reveal

NAME = "blocks"
VERSION = f"1+turbohtml-{version('turbohtml')}"

_LITTLE = 200
"""Characters; a page with less may hide its text from the walk."""
_FEW = 150
"""Characters; where less is kept, the threshold is too high for the page."""
_NEARLY = 1.0
_FEW_LINKS = 0.3
_LINKS = 0.95
"""Share of links in what would be kept, above which a page is a list of links and has no content."""
_HOPELESS = -0.7
"""Log-odds, beside the threshold's, that some block must have for a page to have content. Of the 814 development pages all do;
lists of links and menus do not."""


@cache
def shipped() -> BlockModel:
    """The model of the package; how it was trained says models/blocks.md."""
    found = pkgutil.get_data("provenance", "models/blocks.json")  # by the import system: as constant as a module
    if found is None:
        raise ValueError("provenance/models/blocks.json is not in the package; install it again or run `make extract-model`")
    return msgspec.convert(msgspec.json.decode(found)["extract"]["model"], BlockModel)


def _model(options: Extract) -> BlockModel:
    model = options.model or shipped()
    if set(model.weights) != set(features.NAMES):
        wrong = sorted(set(model.weights) ^ set(features.NAMES))
        raise ValueError(
            f"the weights of extract.model are not those of the extractor blocks: {', '.join(wrong)} on one side only; train it again "
            "with `make extract-model`"
        )
    return model


def parameters(options: Extract) -> dict[str, Any]:
    """The weights. Raises `ValueError` where their names are not the features'."""
    return {"model": msgspec.to_builtins(_model(options))}


def load(options: Extract) -> Callable[[str], str]:
    """The function that gives a page's main text. Raises `ValueError` as `parameters`."""
    model = _model(options)
    return guarded(lambda html: text(*_read(html, model)), options)


def log_odds(readings: np.ndarray, model: BlockModel) -> np.ndarray:
    """How much each block (columns of `readings`) is content, 0 at the threshold. Summed in one order on every machine."""
    total = np.full(readings.shape[1], model.intercept - model.threshold)
    for row, name in zip(readings, features.NAMES, strict=True):
        total += model.weights[name] * row
    return total


def blocks(html: str) -> tuple[Walk, Blocks]:
    """The page's blocks, and those of them that may be content with their readings.

    A page with little text is walked again with what may hide it revealed: an unended title, `<noscript>`, frames, names
    that call all of it boilerplate.
    """
    page = _walked(end_empty_tags(html) if "<?xml" in html[:256] else html)
    out = features.dropped(page)
    length = sum(len(block) for block, owner in zip(page.texts, page.owners, strict=True) if not out[owner])
    if length < _LITTLE:
        whole = _walked(reveal(html))
        if sum(map(len, whole.texts)) > 2 * length:
            page, out = whole, [0] * len(whole.parents)
    return page, features.features(page, out)


def _walked(html: str) -> Walk:
    page = _walk.walk(html)
    _tables.join_rows(page)
    return page


def _read(html: str, model: BlockModel) -> tuple[Walk, list[int]]:
    page, found = blocks(html)
    return page, kept(page, found, log_odds(found.readings, model))


def _outermost(page: Walk, element: int, known: dict[int, int]) -> int:
    """The list round the list `element` that is in no item itself; `element` where it is no list. `known` are answers so far."""
    way = []
    while element not in known:
        above = page.parents[element]
        if page.kinds[element] != _walk.LIST or page.kinds[above] != _walk.ITEM:
            known[element] = element
            break
        way.append(element)
        element = page.parents[above]
    for inner in way:
        known[inner] = known[element]
    return known[element]


def _lists(page: Walk, found: Blocks) -> dict[int, list[int]]:
    """Rows of `found` that are items or rows of one list or table, by its element."""
    lists: dict[int, list[int]] = {}
    known: dict[int, int] = {}
    for row, number in enumerate(found.numbers):
        owner = page.owners[number]
        if page.kinds[owner] in (_walk.ITEM, _walk.ROW):
            lists.setdefault(_outermost(page, page.parents[owner], known), []).append(row)
    return lists


def _together(page: Walk, found: Blocks, odds: np.ndarray, lists: Iterable[list[int]]) -> list[float]:
    """`odds` with those of a list at their mean by length: its items are kept together or not at all."""
    mean: list[float] = odds.tolist()
    for rows in lists:
        if len(rows) > 1:
            lengths = [len(page.texts[found.numbers[row]]) for row in rows]
            value = sum(mean[row] * length for row, length in zip(rows, lengths, strict=True)) / sum(lengths)
            for row in rows:
                mean[row] = value
    return mean


def _is_between(page: Walk, found: Blocks, element: int, rows: Sequence[int], chosen: Sequence[bool]) -> bool:
    """Whether a list of few links stands between two blocks that are kept, beside both. Rows of tables, which stand deeper
    than their neighbours, never do."""
    before, after = rows[0] - 1, rows[-1] + 1
    if before < 0 or after == len(chosen) or not (chosen[before] and chosen[after]):
        return False
    beside = {page.parents[page.owners[found.numbers[row]]] for row in (before, after)} == {page.parents[element]}
    numbers = [found.numbers[row] for row in rows]
    return beside and sum(page.link_characters[i] for i in numbers) <= _FEW_LINKS * sum(len(page.texts[i]) for i in numbers)


def kept(page: Walk, found: Blocks, odds: np.ndarray) -> list[int]:
    """Numbers of the blocks that are content, in order.

    Those at the threshold or above; where that is little text, those near the best. With them go the lists between two of
    them, the headings whose next block is one, and the block that repeats the page's title.
    """
    lists = _lists(page, found)
    values = _together(page, found, odds, lists.values())
    if not values or max(values) < _HOPELESS:
        return []
    least = 0.0
    if sum(len(page.texts[i]) for i, value in zip(found.numbers, values, strict=True) if value >= 0) < _FEW:
        least = min(0.0, max(values) - _NEARLY)
    chosen = [value >= least for value in values]
    for element, rows in lists.items():
        if not chosen[rows[0]] and _is_between(page, found, element, rows, chosen):
            chosen[rows[0] : rows[-1] + 1] = [True] * (rows[-1] + 1 - rows[0])
    follows = False
    for row in range(len(chosen) - 1, -1, -1):
        if page.kinds[page.owners[found.numbers[row]]] in _walk.HEADINGS:
            chosen[row] |= follows
        else:
            follows = chosen[row]
    if found.title is not None:
        chosen[found.title] = True
    numbers = [number for number, yes in zip(found.numbers, chosen, strict=True) if yes]
    links = sum(page.link_characters[number] for number in numbers)
    return numbers if links <= _LINKS * sum(len(page.texts[number]) for number in numbers) else []


def text(page: Walk, numbers: Sequence[int]) -> str:
    """The blocks of these numbers as one text."""
    pieces: list[str] = []
    before = None
    for number in numbers:
        kind = page.kinds[page.owners[number]]
        if pieces:
            pieces.append("\n" if kind == before and kind in (_walk.ITEM, _walk.ROW) else "\n\n")
        pieces.append(page.texts[number])
        before = kind
    return "".join(pieces)
