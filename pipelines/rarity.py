"""The rarity stages: how common each word is among the human documents of a mix, what that makes of each text, and which rare
words those documents keep that enter.

`CountWords` reads the texts of one documents file and writes how many documents have each word, in files sorted by hash. A range of
hashes is then put together from all of them by itself, so that memory does not grow with the corpus: `MergeWords` writes the
frequencies of the words of a range that several documents have, `CountRare` counts which rare ones are kept. `JudgeTexts`
reads texts once more for the mean of each.
"""

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from pipelines.stage import Stage, urls
from provenance import rarity
from provenance.rarity import Counter, Frequencies
from store import files, index, tables

Rows = list[np.ndarray]
"""Rows of each documents file, rising; an empty array for a file of which none is meant."""

TEXTS = 1024
"""Texts that are read at a time."""
WORDS = 1 << 22
"""Words that a count holds before it writes them out: 130 MB at most."""
RANGE = 1 << 22
"""Rows of a range of hashes, if hashes are spread evenly: 64 MB, and several times that while they are put together."""
HELD = 1 << 24
"""Words of a table of frequencies that are held at once, 400 MB; a longer one is read in pieces, for as many words of texts at a time."""

COUNTED = pa.schema([("hash", pa.uint64()), ("documents", pa.uint32()), ("kept", pa.uint32())])
FREQUENCIES = pa.schema([("hash", pa.uint64()), ("documents", pa.uint32())])
PLAN = pa.schema([("row", pa.int64()), ("kept", pa.bool_())])
MEANS = pa.schema([("row", pa.int64()), ("mean", pa.int64())])
DECILES = pa.schema([("part", pa.int32()), ("row", pa.int64()), ("rarity", pa.int8())])
_OPTIONS: dict[str, Any] = index.OPTIONS | {"column_encoding": {"hash": "DELTA_BINARY_PACKED"}}
_PACKAGE = "pipelines.rarity"

SAMPLE = (
    "of a uniform sample of n of N documents a word that c of them have survives with probability 1 - C(N - c, n) / C(N, n), the "
    "hypergeometric law; 1 - (1 - n/N)^c, its limit for a large N, is how expectations of rare recall are usually written"
)


def deciles(parts: Sequence[str], human: Rows, wanted: Rows, work: str, runner: Any) -> pa.Table:
    """The rarity of the wanted rows of documents files: `DECILES`, sorted by part and row.

    `parts` are URLs of the files, `human` the rows that may enter as human, on which frequencies rest and deciles are set, `wanted`
    those to judge. A text without words is null, as all are where no human document has any. Texts of `human` are read
    twice, all others once.
    """
    counted, receipts = _count(parts, human, [np.zeros(0, np.int64)] * len(parts), work, runner, "human")
    documents = sum(receipt["documents"] for receipt in receipts.values())
    judged = [np.union1d(own, other).astype(np.int64) for own, other in zip(human, wanted, strict=True)]
    found = [np.full(len(rows), rarity.WITHOUT, np.int64) for rows in judged]
    if documents:
        merge = _ranges("words", "MergeWords", counted, receipts, work)
        done = runner.run(merge)
        context = {
            "frequencies": urls(merge.folder, done, "frequencies"),
            "words": sum(one["words"] for one in done.values()),
            "documents": documents,
        }
        stage = Stage("rarity", f"{_PACKAGE}:JudgeTexts", work, context, _parts(parts, judged, None, work, "judged"))
        for name, receipt in runner.run(stage).items():
            found[int(name)] = tables.read([files.join(stage.folder, receipt["files"][0]["path"])])["mean"].to_numpy()
    own = [means[np.isin(rows, mine)] for means, rows, mine in zip(found, judged, human, strict=True)]
    edges = rarity.boundaries(np.concatenate([np.zeros(0, np.int64), *own]))
    batches = []
    for number, (rows, means, asked) in enumerate(zip(judged, found, wanted, strict=True)):
        there = np.isin(rows, asked)
        columns = [np.full(int(there.sum()), number, np.int32), rows[there], rarity.deciles(means[there], edges)]
        batches.append(pa.record_batch(columns, schema=DECILES))
    return pa.Table.from_batches(batches, schema=DECILES)


def coverage(parts: Sequence[str], before: Rows, after: Rows, work: str, runner: Any) -> dict[str, Any]:
    """Which rare words of some documents stand in a part of them too, beside what a uniform sample of that size would keep.

    `before` are the rows of each documents file, `after` those of them that are kept. A rare word is one that `rarity.RARE` documents of
    `before` have at most. Each text of `before` is read once, for this alone, so it is asked for where documents are left out.

    The result: `documents` {before, after}; `frequencies`, for each document frequency "1" to "5", {types, kept, share, expected}:
    number of words, how many of them stand in a kept document, that share, and the expected share (null without words); `all` the same
    of all rare words together; `types` {before, kept}, of all words however frequent; and `expectation`, what it rests on.
    """
    counted, receipts = _count(parts, before, after, work, runner, "coverage")
    count = _ranges("rare", "CountRare", counted, receipts, work)
    done = list(runner.run(count).values())
    documents, kept = (sum(receipt[name] for receipt in receipts.values()) for name in ("documents", "kept"))
    types = [[sum(one["rare"][c][side] for one in done) for side in (0, 1)] for c in range(rarity.RARE)]
    chances = [rarity.survival(documents, kept, c) for c in range(1, rarity.RARE + 1)]
    rows = [_survived(there, stayed, there * chance) for (there, stayed), chance in zip(types, chances, strict=True)]
    expected = sum((there * chance for (there, _), chance in zip(types, chances, strict=True)), start=chances[0] * 0)
    return {
        "documents": {"before": documents, "after": kept},
        "frequencies": {str(c): row for c, row in enumerate(rows, 1)},
        "all": _survived(sum(there for there, _ in types), sum(stayed for _, stayed in types), expected),
        "types": {"before": sum(one["words"] for one in done), "kept": sum(one["kept"] for one in done)},
        "expectation": SAMPLE,
    }


def _survived(types: int, kept: int, expected: Any) -> dict[str, Any]:
    """One line of the coverage; `expected` is the exact number of words that a uniform sample would keep."""
    share, chance = (round(kept / types, 6), round(float(expected / types), 6)) if types else (None, None)
    return {"types": types, "kept": kept, "share": share, "expected": chance}


def _parts(parts: Sequence[str], rows: Rows, kept: Rows | None, work: str, name: str) -> tuple[dict[str, Any], ...]:
    """A stage's parts: each file of which some rows are meant, with these in a file below `work`; `kept` are rows among them."""
    found = []
    for number, (url, own) in enumerate(zip(parts, rows, strict=True)):
        own = np.unique(own)
        if len(own):
            mine = np.isin(own, kept[number]) if kept is not None else np.zeros(len(own), np.bool_)
            path = f"{name}/{number:05d}.parquet"
            entry = tables.write(files.join(work, "rarity"), path, pa.table([own.astype(np.int64), mine], schema=PLAN), PLAN)
            plan = files.join(work, "rarity", path)
            found.append({"name": f"{number:05d}", "url": url, "plan": plan, "digest": entry["sha256"], "weight": len(own)})
    return tuple(found)


def _count(
    parts: Sequence[str], rows: Rows, kept: Rows, work: str, runner: Any, name: str
) -> tuple[Stage, dict[str, dict[str, Any]]]:
    stage = Stage("count", f"{_PACKAGE}:CountWords", work, {"words": WORDS}, _parts(parts, rows, kept, work, name))
    return stage, runner.run(stage)


def _ranges(name: str, step: str, counted: Stage, receipts: dict[str, dict[str, Any]], work: str) -> Stage:
    """The stage that puts the counts together, range by range of the hashes."""
    total = sum(entry["rows"] for receipt in receipts.values() for entry in receipt["files"])
    ranges = -(-total // RANGE)
    parts = [{"name": f"{number:05d}", "range": number, "weight": total // ranges} for number in range(ranges)]
    context = {"counted": urls(counted.folder, receipts, "counted"), "ranges": ranges}
    return Stage(name, f"{_PACKAGE}:{step}", work, context, tuple(parts))


def texts(url: str, rows: np.ndarray) -> Iterator[tuple[pa.Array, np.ndarray]]:
    """The texts of some rows (rising) of a documents file, some at a time, and their places in `rows`; a null text comes as null."""
    with tables.opened(url) as file:
        ends = np.cumsum([0, *(file.metadata.row_group(group).num_rows for group in range(file.num_row_groups))])
        for group in np.flatnonzero(np.diff(np.searchsorted(rows, ends))).tolist():
            start = int(ends[group])
            for batch in file.iter_batches(TEXTS, row_groups=[group], columns=["text"], use_threads=False):
                low, high = np.searchsorted(rows, [start, start + batch.num_rows])
                if high > low:
                    yield batch.column(0).take(pa.array(rows[low:high] - start)), np.arange(low, high)
                start += batch.num_rows


class CountWords:
    """Step: some documents of one file -> files of `COUNTED`, each sorted by hash.

    The context has the number of `words` that are held at once; the receipt counts the documents and those that are kept.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        plan = tables.read([part["plan"]])
        rows, kept = plan["row"].to_numpy(), plan["kept"].to_numpy()
        counter, entries = Counter(), list[dict[str, Any]]()
        for some, places in texts(part["url"], rows):
            counter.add(*rarity.words(some), kept[places])
            if counter.words >= self.context["words"]:
                entries.append(self._write(part, len(entries), counter))
        if counter.words:
            entries.append(self._write(part, len(entries), counter))
        return {"files": entries, "documents": len(rows), "kept": int(kept.sum())}

    def _write(self, part: dict[str, Any], number: int, counter: Counter) -> dict[str, Any]:
        table = pa.table(list(counter.take()), schema=COUNTED)
        return tables.write(self.context["folder"], f"counted/{part['name']}-{number:03d}.parquet", table, COUNTED, **_OPTIONS)


class _Merging:
    """Step: one range of the hashes of all counts. The context has the `counted` files and the number of `ranges`."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def merged(self, part: dict[str, Any]) -> Frequencies:
        bounds = index.bounds(part["range"], self.context["ranges"])
        return rarity.merged([piece for url in self.context["counted"] for piece in _between(url, *bounds)])


def _between(url: str, low: int, high: int) -> Iterator[Frequencies]:
    """The words of a sorted file from hash `low` to `high`, by row groups; the others are not read."""
    with tables.opened(url) as file:
        for group in range(file.num_row_groups):
            statistics = file.metadata.row_group(group).column(0).statistics
            if statistics.min <= high and statistics.max >= low:
                columns = [column.to_numpy() for column in file.read_row_group(group, use_threads=False).columns]
                first = np.searchsorted(columns[0], np.uint64(low), "left")
                stop = np.searchsorted(columns[0], np.uint64(high), "right")
                yield Frequencies(*(column[first:stop] for column in columns))


class MergeWords(_Merging):
    """Step: writes the words of a range that two documents or more have, as `FREQUENCIES`; any other word counts as one document's."""

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        found = self.merged(part)
        some = found.documents > 1
        table = pa.table([found.hashes[some], found.documents[some]], schema=FREQUENCIES)
        name = f"frequencies/{part['name']}.parquet"
        entry = tables.write(self.context["folder"], name, table, FREQUENCIES, **_OPTIONS)
        return {"files": [entry], "words": table.num_rows}


class CountRare(_Merging):
    """Step: of the words of a range, how many there are and are kept: by document frequency from 1 to `rarity.RARE`, and in all."""

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        found = self.merged(part)
        kept = found.kept > 0
        numbers = [[int((own := found.documents == c).sum()), int((own & kept).sum())] for c in range(1, rarity.RARE + 1)]
        return {"files": [], "rare": numbers, "words": len(kept), "kept": int(kept.sum())}


class JudgeTexts:
    """Step: some documents of one file -> the mean of each, as `MEANS`.

    The context has the files of `frequencies`, sorted by range, how many `words` these hold, and of how many `documents`.
    """

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def setup(self) -> None:
        self.known = list(self._pieces()) if self.context["words"] <= HELD else None

    def _pieces(self) -> Iterator[rarity.Table]:
        """The table of frequencies, in pieces of about `HELD` words."""
        waiting: list[pa.Table] = []
        for url in self.context["frequencies"]:
            waiting.append(tables.read([url]))
            if sum(map(len, waiting)) >= HELD:
                yield _table(waiting)
                waiting = []
        if waiting:
            yield _table(waiting)

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        rows = tables.read([part["plan"]])["row"].to_numpy()
        with tables.Writer(self.context["folder"], f"means/{part['name']}.parquet", MEANS) as writer:
            for places, hashes, offsets in self._gathered(part["url"], rows):
                sums = np.zeros(len(places), np.int64)
                for known in self._pieces() if self.known is None else self.known:
                    rarity.look_up(hashes, offsets, known, sums)
                means = rarity.means(sums, offsets, self.context["documents"])
                writer.write(pa.record_batch([pa.array(rows[places]), pa.array(means)], schema=MEANS))
        return {"files": [writer.entry], "documents": len(rows)}

    def _gathered(self, url: str, rows: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Places of texts in `rows`, their words and these words' offsets; of many texts at a time where the table is read anew for them."""
        held: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        for some, places in texts(url, rows):
            held.append((places, *rarity.words(some)))
            if self.known is not None or sum(len(hashes) for _, hashes, _ in held) >= HELD:
                yield _joined(held)
                held = []
        if held:
            yield _joined(held)


def _table(pieces: list[pa.Table]) -> rarity.Table:
    whole = pa.concat_tables(pieces)
    return rarity.table(whole["hash"].to_numpy(), whole["documents"].to_numpy())


def _joined(held: list[tuple[np.ndarray, np.ndarray, np.ndarray]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    places, hashes, offsets = zip(*held, strict=True)
    counts = np.concatenate([np.diff(own) for own in offsets])
    return np.concatenate(places), np.concatenate(hashes), np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
