"""Which row of an index or of signatures is not what the documents give; looked for only where their sums differ.

DuckDB compares them, in bounded memory, with what spills in a folder of its own.
"""

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.schema import BANDS
from store import files, sql, tables
from store.damage import Fault
from store.manifest import Opened
from store.verify_index import FoundRows, Index, band_hashes, id_hashes, location, matrix
from store.verify_join import connected
from store.verify_manifest import beside, hash_range, place
from store.verify_rows import REDACTED

WHAT = {"bands": "the hash of band {band}", "ids": "the content id", "samples": "a sampled shingle"}
MASK = (1 << 64) - 1


class Misplaced:
    """Compares what was read of one snapshot, whose files are all there and right by themselves."""

    def __init__(self, opened: Opened, index: Index):
        self.opened, self.index = opened, index
        self.signatures = {beside(entry["path"]): entry["path"] for entry in opened.entries("signatures")}

    def faults(self) -> Iterator[tuple[str, Fault]]:
        """(path, fault) of the first row of each index, or of each file of signatures, that is wrong; the path is empty where no file
        holds a row that should be there."""
        documents = self.index.found.values()
        ids = sum(found.count for found in documents), sum(found.ids for found in documents) & MASK
        if self._held("ids", 0) != ids:
            yield from self._compare("ids", 0, self._ids())
        sketched = [found.sketches for found in self.index.aligned.values() if found.sketches]
        count = sum(found.count for found in sketched)
        for band in range(self.index.minhash["bands"]):
            total = sum(found.bands[band] for found in sketched if found.bands) & MASK
            if self._held("bands", band) != (count, total):
                yield from self._compare("bands", band, self._bands(band))
        for part, aligned in sorted(self.index.aligned.items()):
            false = self.index.sampled(part) & ~aligned.flags()
            if false.any():
                yield self._without(part, int(np.argmax(false)))
            found = self.index.found.get(part, FoundRows())
            if aligned.sketches is not None and aligned.sketches.drawn != found.signatures:
                yield self.signatures[beside(self.index.paths[part])], self._signature(part)
            elif int(self.index.drawn[part]) != found.samples:
                yield from self._compare("samples", 0, self._samples(part), self._drawn(part))

    def _held(self, dataset: str, band: int) -> tuple[int, int]:
        mine = [found for found in self.index.files.values() if (found.dataset, found.band) == (dataset, band)]
        return sum(found.rows for found in mine), sum(found.total for found in mine) & MASK

    def _files(self, dataset: str, band: int) -> list[str]:
        return [path for path, found in self.index.files.items() if (found.dataset, found.band) == (dataset, band)]

    def _compare(
        self, dataset: str, band: int, expected: Iterable[pa.Table], rows: pa.Table | None = None
    ) -> Iterator[tuple[str, Fault]]:
        """The first row of an index that should not be there, and the first that should and is not; of some documents, if `rows` has
        their places."""
        urls = [files.join(self.opened.url, path) for path in self._files(dataset, band)]
        with connected(self.opened) as con:
            con.execute("create table expected (hash ubigint, part int, row int)")
            sql.insert(con, "expected", (batch for table in expected for batch in table.to_batches()))
            sql.view(con, "actual", urls, BANDS)
            con.register("chosen", BANDS.empty_table() if rows is None else rows)
            among = f"(select hash, part, row from actual {'' if rows is None else 'semi join chosen using (part, row)'})"
            surplus = con.execute(f"from {among} except all from expected order by hash, part, row limit 1").fetchall()
            missing = con.execute(f"from expected except all from {among} order by part, row, hash limit 1").fetchall()
        what = WHAT[dataset].format(band=band)
        for hashed, part, row in surplus:
            path = self._path(dataset, band, hashed, part)
            yield (
                path,
                Fault(self._row(path, hashed, part, row), f"{hashed:016x} is not {what} of row {row} of {self.index.paths[part]}"),
            )
        for hashed, part, row in missing:
            path = self._path(dataset, band, hashed, part)
            yield path, Fault(None, f"{dataset} lack {what} of row {row} of {self.index.paths[part]}, {hashed:016x}")
        if not surplus and not missing:
            yield "", Fault(None, f"{dataset} do not hold what the documents give, row for row")

    def _path(self, dataset: str, band: int, hashed: int, part: int) -> str:
        """The file that holds a hash of a document's, empty where there is none."""
        version = place(self.index.paths[part])
        for path in self._files(dataset, band):
            named = hash_range(path)
            if named and version and named.extension == version.extension and named.bounds[0] <= hashed <= named.bounds[1]:
                return path
        return ""

    def _row(self, path: str, hashed: int, part: int, row: int) -> int | None:
        """The number of a row in a file of an index."""
        start = 0
        for batch in tables.batches(files.join(self.opened.url, path), BANDS.names):
            wanted = zip((hashed, part, row), batch.columns, strict=True)
            same = np.logical_and.reduce([column.to_numpy() == value for value, column in wanted])
            if same.any():
                return start + int(np.argmax(same))
            start += batch.num_rows
        return None

    def _documents(self, part: int, columns: list[str]) -> Iterator[tuple[np.ndarray, pa.RecordBatch]]:
        """(numbers of rows, columns) of the documents of a file but redacted ones."""
        start = 0
        for batch in tables.batches(files.join(self.opened.url, self.index.paths[part]), [*columns, "ineligible_reason"]):
            kept = pc.invert(pc.fill_null(pc.starts_with(batch.column("ineligible_reason"), REDACTED), False))
            numbers = start + np.flatnonzero(kept.to_numpy(zero_copy_only=False))
            start += batch.num_rows
            yield numbers, batch.filter(kept)

    def _ids(self) -> Iterator[pa.Table]:
        for part in range(len(self.index.paths)):
            for numbers, batch in self._documents(part, ["content_id"]):
                yield _rows(id_hashes(batch.column("content_id")), part, numbers)

    def _bands(self, band: int) -> Iterator[pa.Table]:
        for part, path in enumerate(self.index.paths):
            start = 0
            for batch in tables.batches(files.join(self.opened.url, self.signatures[beside(path)]), ["signature", "shingles"]):
                some = batch.column("shingles").to_numpy() > 0
                (hashes,) = band_hashes(matrix(batch.column("signature"))[some], self.index.minhash["rows"], [band])
                yield _rows(hashes, part, start + np.flatnonzero(some))
                start += batch.num_rows

    def _sketched(self, part: int) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]]:
        """(numbers, minima, hashes, offsets) of the drawn documents of a file, sketched from their texts."""
        for numbers, batch in self._documents(part, ["text"]):
            drawn = self.index.draws(np.full(len(numbers), part), location(part, numbers))
            if self.index.sketch is not None and drawn.any():
                yield numbers[drawn], *self.index.sketch(batch.column("text").filter(pa.array(drawn)))

    def _samples(self, part: int) -> Iterator[pa.Table]:
        for numbers, _, hashes, offsets in self._sketched(part):
            own = self.index.samples(hashes)
            yield _rows(hashes[own], part, np.repeat(numbers, np.diff(offsets))[own])

    def _drawn(self, part: int) -> pa.Table:
        numbers = np.arange(self.index.rows[part])
        drawn = self.index.draws(np.full(len(numbers), part), location(part, numbers))
        return _rows(np.zeros(drawn.sum(), np.uint64), part, numbers[drawn])

    def _signature(self, part: int) -> Fault:
        """The first drawn row of a file of signatures that is not of its document's text."""
        url = files.join(self.opened.url, self.signatures[beside(self.index.paths[part])])
        for numbers, minima, _, offsets in self._sketched(part):
            table = tables.take(url, numbers.tolist(), ["signature", "shingles"])
            right = (matrix(table["signature"].combine_chunks()) == minima).all(axis=1)
            right &= table["shingles"].to_numpy() == np.diff(offsets)
            if not right.all():
                return Fault(int(numbers[np.argmin(right)]), "its signature is not that of its document's text")
        return Fault(None, "its signatures are not those of the documents' texts")

    def _without(self, part: int, row: int) -> tuple[str, Fault]:
        """The first sample of a document that has no sketch."""
        why = f"a sample of row {row} of {self.index.paths[part]}, which has no shingles or is redacted"
        for path in self._files("samples", 0):
            start = 0
            for batch in tables.batches(files.join(self.opened.url, path), ["part", "row"]):
                same = (batch.column("part").to_numpy() == part) & (batch.column("row").to_numpy() == row)
                if same.any():
                    return path, Fault(start + int(np.argmax(same)), why)
                start += batch.num_rows
        return "", Fault(None, why)


def _rows(hashes: np.ndarray, part: int, rows: np.ndarray) -> pa.Table:
    return pa.table([hashes, np.full(len(rows), part, np.int32), rows.astype(np.int32)], schema=BANDS)
