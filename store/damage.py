"""Where a damaged Parquet file begins to be wrong: its first wrong row.

Files are written with page checksums (CRC-32 in each page's header, as the Parquet format defines them), which tell the page
that a flipped bit lies in; where rows can be held against something, `store.verify_rows` tells the row itself.
"""

import contextlib
import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from store import files

WHOLE = 64 << 20
"""Files of at most this many bytes are read once, hashed and decoded from memory; larger ones are read twice."""


@dataclass(frozen=True)
class Held:
    """A file as it was read: what was hashed is what is decoded, where it fits into memory."""

    url: str
    sha256: str
    size: int
    data: bytes | None

    @contextlib.contextmanager
    def parquet(self, checksums: bool = False) -> Iterator[pq.ParquetFile]:
        """The file as Parquet; with `checksums`, reading a page that does not have its checksum raises `OSError`."""
        options: dict[str, Any] = {"pre_buffer": False, "page_checksum_verification": checksums}
        if self.data is not None:
            yield pq.ParquetFile(pa.BufferReader(self.data), **options)
        elif files.is_local(self.url):
            with pa.OSFile(files.split_url(self.url)[1]) as native:
                yield pq.ParquetFile(native, **options)
        else:
            with files.open_input(self.url) as file:
                yield pq.ParquetFile(file, **options)


def hold(url: str, size: int) -> Held:
    """Reads a file that should have `size` bytes, for its digest. Raises `OSError`."""
    if size <= WHOLE:
        with files.open_input(url) as file:
            data = file.read(WHOLE + 1)
        if len(data) <= WHOLE:
            return Held(url, hashlib.sha256(data).hexdigest(), len(data), data)
    return Held(url, *files.file_digest(url), None)


@dataclass(frozen=True)
class Fault:
    """The first wrong row of a file, from 0, and what is wrong with it; `row` is null where no row could be told."""

    row: int | None
    why: str

    def __str__(self) -> str:
        return self.why if self.row is None else f"first wrong row: {self.row:,} ({self.why})"


def earliest(*faults: Fault | None) -> Fault | None:
    """The fault of the lowest row; one without a row only if there is no other."""
    found = [fault for fault in faults if fault is not None]
    return min(found, key=lambda fault: (fault.row is None, fault.row or 0), default=None)


class Decoder:
    """The rows of a damaged file up to the first that cannot be decoded, which is `fault` when the iteration has ended."""

    def __init__(self, held: Held, columns: list[str] | None = None, checksums: bool = False):
        self.held, self.columns, self.checksums = held, columns, checksums
        self.rows = 0
        self.fault: Fault | None = None

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        try:
            with self.held.parquet(self.checksums) as parquet:
                count = parquet.metadata.num_row_groups
        except Exception as error:  # the parser of a damaged file may raise anything
            self.fault = Fault(None, f"its footer cannot be read, so no row can: {_short(error)}")
            return
        for group in range(count):
            for batch in self._group(group):
                valid = _valid_rows(batch)
                yield batch.slice(0, valid)
                if valid < batch.num_rows:
                    self.fault = Fault(
                        self.rows - batch.num_rows + valid, "cannot be decoded: no UTF-8, or offsets that lead astray"
                    )
                    return
            if self.fault is not None:
                return

    def _group(self, group: int) -> Iterator[pa.RecordBatch]:
        try:
            with self.held.parquet(self.checksums) as parquet:
                batches = parquet.read_row_group(group, columns=self.columns, use_threads=False).to_batches()
        except Exception:  # the parser of a damaged file may raise anything; which row it is, the next pass tells
            yield from self._singly(group)
            return
        for batch in batches:
            self.rows += batch.num_rows
            yield batch

    def _singly(self, group: int) -> Iterator[pa.RecordBatch]:
        """The rows of a row group one by one, until one raises."""
        with contextlib.ExitStack() as stack:
            try:
                parquet = stack.enter_context(self.held.parquet(self.checksums))
                rows = parquet.iter_batches(batch_size=1, row_groups=[group], columns=self.columns, use_threads=False)
                ends = parquet.metadata.row_group(group).num_rows
            except Exception as error:  # as above
                self.fault = Fault(self.rows, _short(error))
                return
            for _ in range(ends):
                try:
                    batch = next(rows)
                except Exception as error:  # as above; an early end is one too
                    self.fault = Fault(self.rows, f"cannot be decoded: {_short(error)}")
                    return
                self.rows += batch.num_rows
                yield batch
            self.fault = Fault(self.rows, "its row group cannot be decoded as a whole")


def _valid_rows(batch: pa.RecordBatch) -> int:
    """How many rows at the beginning hold what their types say, text in UTF-8 above all."""
    try:
        batch.validate(full=True)
    except (pa.ArrowInvalid, UnicodeDecodeError):
        low, high = 0, batch.num_rows
        while high - low > 1:
            middle = (low + high) // 2
            try:
                batch.slice(low, middle - low).validate(full=True)
                low = middle
            except (pa.ArrowInvalid, UnicodeDecodeError):
                high = middle
        return low
    return int(batch.num_rows)


def _short(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    return text[:160]


def page_fault(held: Held, without: frozenset[str] = frozenset()) -> Fault | None:
    """The first row of the first page that fails its checksum or cannot be decoded; None where all pages are whole.

    A change of the footer's statistics or of a page's header may leave every row as it was.
    """
    try:
        with held.parquet(checksums=True) as parquet:
            names = [name for name in parquet.schema_arrow.names if name not in without]
    except Exception as error:  # the parser of a damaged file may raise anything
        return Fault(None, f"its footer cannot be read, so no row can: {_short(error)}")
    found: Fault | None = None
    for name in names:
        decoder = Decoder(held, [name], checksums=True)
        for _ in decoder:
            pass
        if decoder.fault is not None:
            found = earliest(found, Fault(decoder.fault.row, f"column {name}: {decoder.fault.why}"))
    return found


NO_ROW = Fault(None, "every row can be read and no page's checksum fails: the change lies in the footer or in a page's header")
"""What is said of a wrong file whose rows are right."""


def describe(url: str, size: int) -> str:
    """What is wrong inside a file whose bytes are not what a manifest lists; empty for what is not Parquet."""
    if not url.endswith(".parquet"):
        return ""
    try:
        return f"; {page_fault(hold(url, size)) or NO_ROW}"
    except OSError as error:
        return f"; it cannot be read again: {error}"
