"""The table beside plain text files: `file_path` and what is known of each file (`read.sidecar`).

It is Parquet, JSON Lines or CSV, as its bytes say. `file_path` is a file's path relative to its SOURCE, or its name alone.
The whole table is held: it has about a row for each input file, of which the survey holds as much.
"""

import csv
import functools
import hashlib
import io
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from store import files
from store.errors import UsageError
from store.readers._presets import columns
from store.readers._rows import described
from store.records import Record, Unreadable

if TYPE_CHECKING:
    from store.reading import Read

KEY = "file_path"


@dataclass(frozen=True, slots=True)
class Sidecar:
    """Rows by `file_path`, and the SHA-256 of the table's bytes, in hex."""

    rows: dict[str, dict[str, Any]]
    sha256: str

    def row(self, file_path: str) -> dict[str, Any] | None:
        """The file's row: that of its path, else that of its name; None where there is neither."""
        found = self.rows.get(file_path)
        return found if found is not None else self.rows.get(file_path.rpartition("/")[2])


def load(url: str) -> Sidecar:
    """The table at `url`, read once per process as long as it stays the same. Raises `UsageError`."""
    try:
        return _load(url, files.version(url)[0])
    except OSError as error:
        raise UsageError(
            f"read.sidecar {url} cannot be read ({error.strerror or error}). Name a Parquet, JSON Lines or CSV file."
        ) from error


@functools.lru_cache(maxsize=2)
def _load(url: str, version: str) -> Sidecar:
    data = files.read_bytes(url)
    rows: dict[str, dict[str, Any]] = {}
    for number, row in enumerate(_rows(url, data)):
        path = row.get(KEY)
        if not isinstance(path, str) or not path:
            raise UsageError(
                f"read.sidecar {url}: row {number} has no text in the column {KEY!r}; its columns are {', '.join(sorted(map(str, row)))}. "
                f"A row is joined to its file by {KEY!r}: give each file's path relative to its SOURCE, or its name."
            )
        path = path.removeprefix("./")
        if path in rows:
            raise UsageError(f"read.sidecar {url} has two rows for {path!r}, and nothing says which holds. Leave one.")
        rows[path] = {name: value for name, value in row.items() if name != KEY}
    return Sidecar(rows, hashlib.sha256(data).hexdigest())


def _rows(url: str, data: bytes) -> list[dict[str, Any]]:
    try:
        if data.startswith(b"PAR1"):
            import pyarrow as pa
            import pyarrow.parquet as pq

            found: list[dict[str, Any]] = pq.read_table(pa.BufferReader(data)).to_pylist()
            return found
        text = data.decode("utf-8-sig")
        if text.lstrip().startswith("{"):
            rows = [json.loads(line) for line in text.split("\n") if line.strip()]
            if not all(isinstance(row, dict) for row in rows):
                raise ValueError("a line holds no object")
            return rows
        reader = csv.DictReader(io.StringIO(text, newline=""), strict=True)
        if KEY not in (reader.fieldnames or ()):
            raise ValueError(f"no column {KEY!r} in the first line {text[:60]!r}")
        return [{str(name): value for name, value in row.items() if value not in ("", None)} for row in reader]
    except (KeyboardInterrupt, SystemExit):
        raise
    except Exception as error:  # pyarrow, json and csv raise many kinds for a damaged table
        detail = " ".join(str(error).split())[:200]
        raise UsageError(
            f"read.sidecar {url} is no table that can be read ({detail}). Give Parquet, JSON Lines or CSV in UTF-8."
        ) from error


def complete(item: Record | Unreadable, file_path: str | None, options: "Read") -> Record | Unreadable:
    """A text file's record with what the table says of the file. A file without a row stays as it is: it has no date."""
    row = load(options.sidecar).row(file_path) if file_path else None
    if row is None or isinstance(item, Unreadable):
        return item
    # A column of the layout's text name is not the file's text.
    return described(item.offset, item.text or "", row, columns(frozenset(), options), options)


@dataclass(frozen=True, slots=True)
class Coverage:
    """How table and files meet: paths of files without a row, and `file_path` of rows that name no file; both sorted."""

    without_row: tuple[str, ...]
    without_file: tuple[str, ...]


def coverage(url: str, file_paths: Sequence[str]) -> Coverage:
    """Holds the table against the relative paths of all files. Raises `UsageError` where a bare name fits several files."""
    table, given = load(url), set(file_paths)
    names = Counter(path.rpartition("/")[2] for path in file_paths if path not in table.rows)
    used = set()
    missing = []
    for path in file_paths:
        name = path.rpartition("/")[2]
        if path in table.rows:
            used.add(path)
        elif name in table.rows:
            if names[name] > 1 or name in given:
                raise UsageError(
                    f"read.sidecar {url} has a row for {name!r}, and {max(names[name], 2)} files have that name, {path} among them; one row would date them all. "
                    "Write each file's path relative to its SOURCE."
                )
            used.add(name)
        else:
            missing.append(path)
    return Coverage(tuple(sorted(missing)), tuple(sorted(set(table.rows) - used)))
