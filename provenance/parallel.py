"""Parallel pages: which pages of different languages say the same, and the groups that they make.

B. Thompson et al., "A Shocking Amount of the Web is Machine Translated" (2024): what stands on the web in many languages is mostly machine
translated, and the more languages, the likelier. That holds for the crawl and not for the page: manuals, laws and encyclopedias that
people translated are parallel too.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from provenance.anchors import SKETCH, anchors
from provenance.kernels import compiled
from provenance.locales import alternates, site, without_language
from provenance.minhash import matrix
from provenance.postings import address_hash
from provenance.schema import signatures

LEAST = 8
"""Anchors that a page needs to be compared by them."""

ALIKE = 0.5
"""Estimated Jaccard similarity of the anchors from which two pages of different languages are parallel. Of 2,900 pairs of translated pages of
two sites (httpd's manual, W3C's articles) 61 % reach it, and of pairs of other pages, most of one site, 5 in 100,000."""

UNLIKE = 0.1
"""Below it the anchors speak against two pages whose addresses say that they are parallel."""

ANCHORS, ADDRESS, ALTERNATES = 1, 2, 4
"""How a pair was found; sums of them where by several."""

PAGES = pa.schema(
    [
        ("site", pa.string()),
        ("anchors", pa.int32()),
        ("signature", signatures(SKETCH.permutations, SKETCH.bits).field("signature").type),
        ("address", pa.uint64()),
        ("named", pa.bool_()),
        ("alternates", pa.uint64()),
    ]
)
"""What is kept of a page: its host, the number of its anchors and their sketch, the hash of its address without the language and whether
it named one, and that of the first of the language versions that it names; null where it has none."""

_SIGNATURE = pa.list_(pa.uint32(), SKETCH.permutations)

WAYS = {ADDRESS: "address", ALTERNATES: "hreflang", ANCHORS: "anchors"}


def pages(batch: pa.RecordBatch) -> pa.RecordBatch:
    """`PAGES` of documents with `url`, `text` and `html`, in their order."""
    sketch = anchors(batch.column("text"))
    urls, markup = batch.column("url").to_pylist(), batch.column("html").to_pylist()
    plain = [without_language(url) if url else None for url in urls]
    versions = [alternates(page or "", url or "") for page, url in zip(markup, urls, strict=True)]
    columns = [
        pa.array([site(url) for url in urls], pa.string()),
        sketch.column("shingles"),
        sketch.column("signature").cast(PAGES.field("signature").type),
        pa.array([address_hash(form[0]) if form else None for form in plain], pa.uint64()),
        pa.array([form[1] if form else False for form in plain], pa.bool_()),
        # All versions name the same ones, so that the least of them stands for all.
        pa.array([address_hash(min(named)) if named else None for named in versions], pa.uint64()),
    ]
    return pa.record_batch(columns, schema=PAGES)


def equal_minima(left: pa.ChunkedArray | pa.Array, right: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """Minima that pairs of sketches (lists of `SKETCH.permutations`) have in common: int64, n."""
    agree: np.ndarray = np.sum(matrix(left.cast(_SIGNATURE)) == matrix(right.cast(_SIGNATURE)), axis=1)
    return agree


def parallel(agree: np.ndarray, left: np.ndarray, right: np.ndarray, ways: np.ndarray) -> np.ndarray:
    """By which of the `ways` that proposed them pairs of pages are parallel (uint8, n; 0 for pairs that are not).

    `agree` are the minima of their sketches that are equal, `left` and `right` their numbers of anchors.
    """
    similarity = agree / SKETCH.permutations
    told = (left >= LEAST) & (right >= LEAST)
    by_anchors = np.where(told & (similarity >= ALIKE), ANCHORS, 0)
    by_address = np.where(told & (similarity < UNLIKE), 0, ways & (ADDRESS | ALTERNATES))
    return np.asarray(by_anchors | by_address, np.uint8)


def _join(left: np.ndarray, right: np.ndarray, first: np.ndarray) -> None:
    """Joins the sets of each pair; the root of a set is its smallest member."""
    for pair in range(left.shape[0]):
        a, b = left[pair], right[pair]
        while first[a] != a:
            first[a] = first[first[a]]
            a = first[a]
        while first[b] != b:
            first[b] = first[first[b]]
            b = first[b]
        if a != b:
            first[max(a, b)] = min(a, b)


class Groups:
    """Documents 0 to `count` - 1 and the groups that pairs make of them: 8 bytes a document."""

    def __init__(self, count: int):
        self._first = np.arange(count, dtype=np.int64)

    def join(self, left: np.ndarray, right: np.ndarray) -> None:
        """Joins the groups of each pair; the order of pairs does not matter."""
        compiled(_join)(np.asarray(left, np.int64), np.asarray(right, np.int64), self._first)

    def first(self) -> np.ndarray:
        """The smallest document of each one's group (int64, `count`)."""
        while True:
            further = self._first[self._first]
            if np.array_equal(further, self._first):
                return further
            self._first = further


def words(ways: int) -> str:
    """By which ways a group was found, in words."""
    return " and ".join(name for way, name in WAYS.items() if ways & way)
