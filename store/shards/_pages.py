"""Holds all that a Parquet file says of itself to what its pages hold: readers skip rows, pages and whole groups by such statements, and
each reader by others, so that a false one shows each of them another mix.

Footers, page headers and indexes: https://github.com/apache/parquet-format/blob/master/src/main/thrift/parquet.thrift
"""

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Any, BinaryIO

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from store.shards import _thrift

MAGIC = 4
"""Bytes of the mark that a file begins with."""
TAIL = 8
"""Bytes that follow the footer: its length and the mark again."""
HEADER = 1 << 12
"""Longest description of a page."""
LARGEST_PAGE = 1 << 28
"""Bytes that a page may unpack to; writers begin another after one mebibyte."""
SLACK = 1 << 17
"""Bytes of a page beside its values, or by which one value of few may be longer than is usual."""
LABEL = 1 << 16
"""Bytes of a value, on average over a page, in columns that are no texts."""

# Fields by the structs of the format's definition. What else there is (Bloom filters, sort orders, encryption, metadata) no shard has.
_FOOTER, _GROUP, _CHUNK, _INDEXED = {1, 2, 3, 4, 5, 6, 7}, {1, 2, 3, 5, 6, 7}, {2, 3}, {2, 3, 4, 5, 6, 7}
_META, _STATISTICS, _PAGE = {1, 2, 3, 4, 5, 6, 7, 9, 11, 12, 13, 16}, {1, 2, 3, 5, 6, 7, 8}, {1, 2, 3, 5, 7}
_DATA_PAGE, _DICTIONARY_PAGE = 0, 2
_FALSE = 2


@dataclass(frozen=True)
class Shape:
    """How the files of a format are laid out."""

    dictionaries: Collection[str]
    """Columns that may have a dictionary."""
    stated: str | None = None
    """The column that has statistics; it has to be a flat one of texts."""
    indexed: bool = False
    """Whether there is a page index."""
    longest: tuple[str, int] = ("", 0)
    """A column, and the bytes that a value of it has at most; those of the others have `LABEL` on average."""
    values: int | None = None
    """Most values in a column of a group of rows."""


@dataclass(frozen=True)
class _Page:
    """A page of values: its place, its bytes with the description, its number of values, and its statistics."""

    start: int
    size: int
    values: int
    said: dict[int, Any] | None


class Claims:
    """What a file says of stretches of rows of one column, each its number of rows and statistics; holds the rows to it."""

    def __init__(self, stretches: Iterable[tuple[int, dict[int, Any] | None]]):
        self.waiting = iter([*stretches])
        self.seen: list[pa.Array] = []
        self._next()

    def _next(self) -> None:
        self.left, self.said = next(self.waiting, (0, None))
        self.seen = []

    def take(self, column: pa.Array) -> None:
        """The next rows. Raises `ValueError` where they are not as the file says."""
        while len(column):
            if not self.left:
                raise ValueError("has more rows than its footer says")
            here, column = column[: self.left], column[self.left :]
            if self.said is not None:
                self.seen.append(pc.unique(here) if not here.null_count else here)
            self.left -= len(here)
            if not self.left:
                self._check()
                self._next()

    def end(self) -> None:
        """After the last row. Raises `ValueError` where more were to come."""
        if self.left:
            raise ValueError("has fewer rows than its footer says")

    def _check(self) -> None:
        if self.said is None:
            return
        values = pa.concat_arrays(self.seen)
        least, most = (None if end is None else end.encode() for end in pc.min_max(values).as_py().values())
        true = {1: most, 2: least, 3: values.null_count, 5: most, 6: least, 7: True, 8: True}
        if self.said.keys() - _STATISTICS or any(value != true[name] for name, value in self.said.items()):
            raise ValueError("has statistics that are not those of its rows, by which a reader would leave some out")


def check(source: BinaryIO, size: int, schema: pa.Schema, shape: Shape) -> list[Claims]:
    """Raises `ValueError` unless a file of `size` bytes consists of the groups, pages and indexes that its footer describes, each as it says,
    and nothing else. What is said of rows comes back, for the column `shape.stated`."""
    try:
        return _check(source, size, schema, shape)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"its description lacks a field, or has one of another type: {error}") from error


def _check(source: BinaryIO, size: int, schema: pa.Schema, shape: Shape) -> list[Claims]:
    footer, at = _footer(source, size)
    _only(footer, _FOOTER, "footer")
    sink = pa.BufferOutputStream()
    pq.write_table(schema.empty_table(), sink)
    empty = sink.getvalue()
    if footer[2] != _footer(pa.BufferReader(empty), len(empty))[0][2]:
        raise ValueError("its columns have other types in its footer than a shard's, which readers would take differently")
    groups: list[tuple[int, Any]] = []
    pages: list[tuple[int, Any]] = []
    told: list[tuple[int, Any]] = []
    indexes, end = list[tuple[int, int]](), MAGIC
    for group in footer[4]:
        _only(group, _GROUP, "row group")
        rows, start, unpacked = group[3], end, 0
        for column in group[1]:
            if (4 in column) != shape.indexed:
                raise ValueError(f"{'lacks a' if shape.indexed else 'has a'} page index; the configuration says otherwise")
            _only(column, _INDEXED if shape.indexed else _CHUNK, "column")
            meta, name = column[3], b".".join(column[3][3]).decode()
            _only(meta, _META, "column")
            if name == shape.stated:
                groups.append((rows, meta.get(12)))
            elif meta.get(12):
                raise ValueError(f"has statistics of {name}, and a shard has none")
            found = _pages(source, meta, end, name, shape)
            end, unpacked = end + meta[7], unpacked + meta[6]
            if name == shape.stated:
                pages += [(page.values, page.said) for page in found]
            if shape.indexed:
                told += _index(source, column, found, name == shape.stated)
                indexes += [(column[i], column[i + 1]) for i in (4, 6) if i in column]
            if name == shape.stated and sum(page.values for page in found) != rows:
                raise ValueError("a row group has another number of rows than its pages")
        if (group[5], group[6], group[2]) != (start, end - start, unpacked) or rows < 1 or any(of[2] for of in group[1]):
            raise ValueError("a row group does not have the place or size that it says")
    for start, length in sorted(indexes):
        if start != end or length < 1:
            raise ValueError("bytes lie between its indexes that no row needs")
        end += length
    if footer[3] != sum(group[3] for group in footer[4]) or end != at:
        raise ValueError(
            f"{at - end} bytes lie before its footer that no row needs, or it says another number of rows than its groups"
        )
    return [Claims(groups), Claims(pages), *([Claims(told)] if shape.indexed else [])] if shape.stated else []


def _footer(source: Any, size: int) -> tuple[dict[int, Any], int]:
    """The footer, and where it begins."""
    source.seek(size - TAIL)
    length = int.from_bytes(source.read(4), "little")
    if length > size - TAIL - MAGIC:
        raise ValueError("its footer is longer than the file")
    source.seek(size - TAIL - length)
    footer, used = _thrift.struct(source.read(length))
    if used != length:
        raise ValueError("bytes follow its footer's last field")
    return footer, size - TAIL - length


def _only(found: dict[int, Any], known: set[int], what: str) -> None:
    if odd := found.keys() - known:
        raise ValueError(f"the description of a {what} has the field {min(odd)}, which a shard has not")


def _pages(source: BinaryIO, meta: dict[int, Any], start: int, name: str, shape: Shape) -> list[_Page]:
    """The pages of values of one column in one group of rows. Raises `ValueError` unless they are all that lies there."""
    longest = (shape.longest[1] if name == shape.longest[0] else LABEL) + 4
    found: list[_Page] = []
    kinds: Counter[tuple[int, int]] = Counter()
    at, stop, unpacked, dictionary = start, start + meta[7], 0, None
    if shape.values is not None and meta[5] > shape.values:
        raise ValueError(f"a row group has {meta[5]:,} values of {name}, and at most {shape.values:,} are read at once")
    while at < stop:
        source.seek(at)
        page, used = _thrift.struct(source.read(min(HEADER, stop - at)))
        _only(page, _PAGE, "page")
        first = at == start
        if min(page[2], page[3]) < 0 or page[2] > LARGEST_PAGE:
            raise ValueError(f"a page of {name} has {page[2]:,} bytes; one of a shard has at most {LARGEST_PAGE:,}")
        if page[1] == _DICTIONARY_PAGE and first and name in shape.dictionaries and page[2] <= LABEL * 64:
            dictionary = at
            kinds[_DICTIONARY_PAGE, page[7][2]] += 1
        elif page[1] == _DATA_PAGE and page[5][1] > 0 and page[2] <= page[5][1] * longest + SLACK:
            if page[5].get(5) and name != shape.stated:
                raise ValueError(f"has statistics of {name}, and a shard has none")
            kinds[_DATA_PAGE, page[5][2]] += 1
            found.append(_Page(at, used + page[3], page[5][1], page[5].get(5)))
        else:
            raise ValueError(f"has a page of {name} that is none of a shard's, or unpacks to more than its values can have")
        at, unpacked = at + used + page[3], unpacked + used + page[2]
    placed = (meta.get(11), meta[9]) == (dictionary, found[0].start if found else None)
    if not placed or at != stop or unpacked != meta[6] or sum(page.values for page in found) != meta[5]:
        raise ValueError(f"the pages of {name} are not those that its footer describes; it has bytes that no row needs")
    if sorted((kind[1], kind[2], kind[3]) for kind in meta[13]) != sorted((*kind, many) for kind, many in kinds.items()):
        raise ValueError(f"the pages of {name} are in other encodings than its footer says")
    return found


def _index(source: BinaryIO, column: dict[int, Any], pages: list[_Page], stated: bool) -> list[tuple[int, dict[int, Any]]]:
    """What the page index says of the rows of a stated column. Raises `ValueError` unless it names the pages as they lie."""
    firsts = [sum(page.values for page in pages[:number]) for number in range(len(pages))]
    places = [{1: page.start, 2: page.size, 3: first} for page, first in zip(pages, firsts, strict=True)]
    offsets = _part(source, column[4], column[5])
    if offsets.keys() - {1, 2} or offsets[1] != places:
        raise ValueError("its page index names other pages than there are")
    if not stated:
        if 6 in column or 7 in column:
            raise ValueError("has statistics of pages that a shard has not")
        return []
    said = _part(source, column[6], column[7])
    least, most, nulls = said[2], said[3], said[5]
    orders: dict[int, Any] = {1: False, 2: True}
    odd = said[4] in orders and any(sorted(ends, reverse=orders[said[4]]) != ends for ends in (least, most))
    if odd or said[1] != [_FALSE] * len(pages) or not len(least) == len(most) == len(nulls) == len(pages):
        raise ValueError("its page index is not that of its pages")
    return [(page.values, {3: nulls[i], 5: most[i], 6: least[i]}) for i, page in enumerate(pages)]


def _part(source: BinaryIO, start: int, length: int) -> dict[int, Any]:
    if not 0 < length <= LARGEST_PAGE:
        raise ValueError("an index has no length, or too much")
    source.seek(start)
    found, used = _thrift.struct(source.read(length))
    if used != length:
        raise ValueError("bytes follow an index")
    return found
