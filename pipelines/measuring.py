"""Measuring: every pair decided by its signatures where they leave no doubt, and on its texts where they do.

The only place where texts are read again before the mix. Signatures and texts are gathered block by block, so that memory
grows neither with the pairs of a file nor with the length of their texts.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from pipelines.matching import CRAWL, PAIRS
from provenance import minhash, similarity
from provenance.postings import SAMPLED
from store import tables

MEASURED = pa.schema(
    [
        *PAIRS,
        ("key", pa.string()),
        ("other", pa.string()),
        *similarity.MEASURES,
        ("estimate", pa.float64()),
        ("exact", pa.bool_()),
        ("alike", pa.bool_()),
        ("duplicate", pa.bool_()),
    ]
)
"""Pairs with both keys, what they have in common, the share of equal minima (null where a document has no shingles), whether the
measures are of the texts, whether they reach the thresholds, and whether that or one URL makes them duplicates."""

HELD = 32 << 20
"""Bytes of texts, or of signatures, that are held at once. Shingles and tables of a text take some eight times its size beside it."""

SPEAKING = 2
"""Where sampled shingles say that one in so many of the smaller document's are shared, its texts are read though the signatures say no:
who knows the permutations can edit a long text in the few places that give the minima, but not all that is sampled beside them and
leave a copy."""

CROWD = 64
"""References whose texts are read for one document before it is asked whether one of them is enough. A template that stands in thousands of
documents on both sides would else cost their product."""


class MeasurePairs:
    """Step: one file of pairs -> their similarity, and which are duplicates."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        from pipelines import config

        sections = config.restore(self.context["config"], "curate")
        self.options, self.match = sections["minhash"], sections["match"]

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        pairs = tables.read([part["pairs"]])
        # Minima are of 8 bytes at most, and each pair has two sides.
        size = max(1, HELD // (16 * self.options.permutations))
        blocks = [self._block(pairs.slice(start, size)) for start in range(0, pairs.num_rows, size)]
        result = pa.concat_tables(blocks) if blocks else MEASURED.empty_table()
        entry = tables.write(self.context["folder"], f"measured/{part['name']}.parquet", result, MEASURED)
        measured = int(np.count_nonzero(result["exact"].to_numpy()))
        return {
            "files": [entry],
            "pairs": result.num_rows,
            "duplicates": int(np.count_nonzero(result["duplicate"].to_numpy())),
            "measured": measured,
            "estimated": result.num_rows - measured,
            "settled": pairs.num_rows - result.num_rows,
        }

    def _block(self, pairs: pa.Table) -> pa.Table:
        """MEASURED of some pairs."""
        rows, left, right = _rows(pairs)
        sketches = self._gather(rows, "signatures", ["key", "signature", "shingles"])
        minima, sizes = minhash.matrix(sketches["signature"]), sketches["shingles"].to_numpy()
        agree = (minima[left] == minima[right]).sum(axis=1)
        found, alike = similarity.estimate(minima[left], minima[right], sizes[left], sizes[right], self.match)
        certain, sure = similarity.decide(agree, minima.shape[1], sizes[left], sizes[right], self.match)
        shared = pairs["samples"].to_numpy().astype(np.int64) * SAMPLED
        certain &= sure | (SPEAKING * shared < np.minimum(sizes[left], sizes[right]))
        outside = pairs["scope"].to_numpy() != CRAWL
        needed = np.ones(len(left), np.bool_)
        measures = {name: found.column(name).to_numpy().copy() for name in similarity.MEASURES.names}
        exact = np.zeros(len(left), np.bool_)
        for turn in turns(left, agree, np.flatnonzero(~certain), outside):
            # Whoever is a copy of one reference need not be held against all others.
            copies = np.isin(left[turn.crowded], left[outside & alike & (certain | exact)])
            needed[turn.crowded[copies]] = False
            for places, measured in self._measured(rows, left, right, np.setdiff1d(turn.places, turn.crowded[copies])):
                exact[places] = True
                alike[places] = similarity.duplicate(measured, self.match)
                for name, column in measures.items():
                    column[places] = measured.column(name).to_numpy()
        there = (sizes[left] > 0) & (sizes[right] > 0)
        keys = sketches["key"].combine_chunks()
        columns = {name: pairs[name] for name in PAIRS.names} | measures
        columns |= {"key": keys.take(pa.array(left)), "other": keys.take(pa.array(right))}
        columns |= {"estimate": pa.array(agree / minima.shape[1], mask=~there), "exact": exact, "alike": alike}
        columns["address"] = self._captured_at_one_url(pairs)
        columns["duplicate"] = alike | columns["address"]
        return pa.table([columns[name] for name in MEASURED.names], schema=MEASURED).filter(pa.array(needed))

    def _captured_at_one_url(self, pairs: pa.Table) -> np.ndarray:
        """Whether that is enough to make two documents of the crawl duplicates."""
        if self.match.url != "drop":
            return np.zeros(pairs.num_rows, np.bool_)
        found: np.ndarray = pairs["address"].to_numpy() & (pairs["scope"].to_numpy() == CRAWL)
        return found

    def _measured(
        self, rows: np.ndarray, left: np.ndarray, right: np.ndarray, doubtful: np.ndarray
    ) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """Places of pairs, of those in doubt, whose texts are both there, and their measures."""
        blind = [scope for scope, reference in enumerate(self.context["references"]) if reference["index_only"]]
        doubtful = doubtful[~np.isin(rows[right[doubtful], 0], blind)]
        if not len(doubtful):
            return
        ends = np.stack([left[doubtful], right[doubtful]])
        used, ends = _distinct(ends)
        lengths = self._gather(rows[used], "documents", ["byte_count"])["byte_count"].fill_null(0).to_numpy()
        for block in blocks(ends[0], ends[1], lengths, HELD):
            own, (here, there) = _distinct(ends[:, block])
            texts = self._gather(rows[used[own]], "documents", ["text"])["text"]
            valid = texts.is_valid().to_numpy()
            both = valid[here] & valid[there]
            if both.any():
                yield doubtful[block][both], similarity.measure(texts, here[both], there[both], self.options)

    def _gather(self, rows: np.ndarray, dataset: str, columns: list[str]) -> pa.Table:
        """Columns of documents given by scope, number of the file and row (int64, n x 3; sorted), in that order."""
        files = np.flatnonzero(np.any(np.diff(rows[:, :2], axis=0, prepend=-2), axis=1))
        found = []
        for start, stop in zip(files, [*files[1:], len(rows)], strict=True):
            scope, number = rows[start, :2].tolist()
            urls = (self.context if scope == CRAWL else self.context["references"][scope])[dataset]
            found.append(tables.take(urls[number], rows[start:stop, 2], columns))
        return pa.concat_tables(found)


class Turn(NamedTuple):
    """Pairs to measure at a time: their places, and those of them that are needed only while their document is no copy."""

    places: np.ndarray
    crowded: np.ndarray


def turns(left: np.ndarray, agree: np.ndarray, doubtful: np.ndarray, outside: np.ndarray) -> Iterator[Turn]:
    """The doubtful pairs in turns, of each document those of most equal minima first.

    In the first turn are all pairs within the crawl and, of each document, `CROWD` with references (`outside`); each following
    turn takes as many of a document as all before it.
    """
    own, others = doubtful[~outside[doubtful]], doubtful[outside[doubtful]]
    others = others[np.lexsort((others, -agree[others], left[others]))]
    opens = np.flatnonzero(np.diff(left[others], prepend=-1))
    number = np.arange(len(others)) - np.repeat(opens, np.diff(np.append(opens, len(others))))
    first, end = 0, CROWD
    while first == 0 or first <= number.max(initial=-1):
        some = np.sort(others[(number >= first) & (number < end)])
        yield Turn(np.sort(np.concatenate([own, some])) if first == 0 else some, some if first else some[:0])
        first, end = end, 2 * end


def _rows(pairs: pa.Table) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Scope, number of the file and row of all documents of some pairs, each once and sorted, and where the two sides of each pair
    are among them."""
    count = pairs.num_rows
    ends = np.empty((2 * count, 3), np.int64)
    for side, scope, names in ((0, CRAWL, ("left_part", "left_row")), (1, pairs["scope"].to_numpy(), ("right_part", "right_row"))):
        ends[side * count : (side + 1) * count] = np.stack(
            [np.broadcast_to(scope, count), *(pairs[name].to_numpy() for name in names)], axis=1
        )
    rows, places = np.unique(ends, axis=0, return_inverse=True)
    places = places.reshape(-1)
    return rows, places[:count], places[count:]


def _distinct(ends: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distinct numbers of an array, sorted, and the array with each one's place among them."""
    values, places = np.unique(ends, return_inverse=True)
    return values, places.reshape(ends.shape)


def blocks(left: np.ndarray, right: np.ndarray, lengths: np.ndarray, limit: int) -> Iterator[slice]:
    """Cuts pairs of documents, in their order, into runs whose distinct documents are of `limit` bytes together at most, or of one
    pair. `left` and `right` are places in `lengths`, the bytes of each document."""
    start, held, seen = 0, 0, set[int]()
    sizes = lengths.tolist()
    for place, ends in enumerate(zip(left.tolist(), right.tolist(), strict=True)):
        more = sum(sizes[end] for end in {*ends} - seen)
        if held + more > limit and place > start:
            yield slice(start, place)
            start, held, seen = place, 0, set()
            more = sum(sizes[end] for end in {*ends})
        held += more
        seen.update(ends)
    if start < len(left):
        yield slice(start, len(left))
