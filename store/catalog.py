"""A finished run, snapshot or mix as one DuckDB database: a view per dataset, over the files that its manifest lists.

The database is in memory and closed to the world: once the views stand, DuckDB may open the listed files and nothing
else, loads no extension and cannot be talked out of it. What is not in the manifest is not in a view.
"""

import json
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from provenance.schema import BANDS, DATASETS, SHARD, SNAPSHOT_DOCUMENTS
from store import files
from store.errors import CheckFailed, UsageError
from store.manifest import Opened, open_any
from store.sql import pattern, quote, register

if TYPE_CHECKING:
    import duckdb

KINDS = ("run", "snapshot", "mix")
QUERIES = Path(__file__).parent / "queries"

_CLOSED: dict[str, Any] = {
    "autoinstall_known_extensions": False,
    "autoload_known_extensions": False,
    "allow_community_extensions": False,
    "python_enable_replacements": False,
}
_VIEWS: dict[str, dict[str, pa.Schema]] = {
    "run": DATASETS,
    "snapshot": {
        **{name: kind for name, kind in DATASETS.items() if name != "matches"},
        "documents": SNAPSHOT_DOCUMENTS,
        "bands": BANDS,
    },
    "mix": {},
}
"""Views that are always there, also where the manifest lists no file of theirs."""


@dataclass(frozen=True)
class NamedQuery:
    """One file of `store/queries`: what it answers (its first line), what it can be asked of, and its text."""

    name: str
    answers: str
    kinds: tuple[str, ...]
    sql: str


def named_queries() -> dict[str, NamedQuery]:
    """Every query that has a name, by name. Raises `ValueError` for a file without its two comment lines."""
    found = {}
    for path in sorted(QUERIES.glob("*.sql")):
        sql = path.read_text(encoding="utf-8")
        answers, scope, *_ = [*sql.splitlines(), "", ""]
        kinds = tuple(kind.strip() for kind in scope.removeprefix("-- of:").split(","))
        if not answers.startswith("-- ") or not scope.startswith("-- of:") or not set(kinds) <= set(KINDS):
            raise ValueError(
                f"{path.name} must begin with a line `-- what it answers` and a line `-- of: ` that names any of {', '.join(KINDS)}"
            )
        found[path.stem] = NamedQuery(path.stem, answers.removeprefix("-- "), kinds, sql)
    return found


def connect(target: str | Opened) -> "duckdb.DuckDBPyConnection":
    """An in-memory DuckDB connection with the views of a run, a snapshot (`URL` or `URL@ID`) or a mix.

    Views: one per dataset (`documents`, `rejects`, ... ; a mix has `shards`, with the number of the `shard` and of the
    `row` in it), `evidence_wide` (one row per document: its tags and a column per signal), `files` (path, size, sha256,
    rows) and `manifest` (key, value; nested keys are joined by dots). Times are UTC.

    Raises `UsageError` where there is nothing finished, `CheckFailed` where a listed file is missing or unreadable.
    """
    import duckdb

    opened = target if isinstance(target, Opened) else open_any(target)
    con = duckdb.connect(":memory:", config=_CLOSED)
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"SET temp_directory = {quote(os.path.join(tempfile.gettempdir(), f'lowbackground-duckdb-{os.getpid()}'))}")
    register(con, opened.url)
    try:
        _create_views(con, opened)
    except (duckdb.IOException, duckdb.InvalidInputException, duckdb.HTTPException) as error:
        raise CheckFailed(
            f"{opened.url} cannot be read as its manifest describes it ({_first_line(error)}), so no answer would be whole. "
            f"Run `lowbackground verify {opened.url}`; it names every wrong and missing file."
        ) from error
    allowed = {form for entry in opened.manifest["files"] for form in _allowed(files.join(opened.url, entry["path"]))}
    con.execute(f"SET allowed_paths = {_list(sorted(allowed))}")
    con.execute("SET enable_external_access = false")
    con.execute("SET lock_configuration = true")
    return con


def identifier(name: str) -> str:
    """A SQL identifier, whatever characters it has."""
    return '"' + name.replace('"', '""') + '"'


def sql_types(con: "duckdb.DuckDBPyConnection", schema: pa.Schema) -> dict[str, str]:
    """DuckDB's type for each field of an Arrow schema."""
    relation = con.from_arrow(schema.empty_table())
    return dict(zip(relation.columns, map(str, relation.types), strict=True))


def flatten(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """(dotted key, text) for every leaf of nested objects; lists are one leaf, as JSON. `files` is left to its own view."""
    if isinstance(value, dict):
        for name, inner in value.items():
            if prefix or name != "files":
                yield from flatten(inner, f"{prefix}.{name}" if prefix else str(name))
    else:
        yield prefix, value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]


def _list(texts: list[str]) -> str:
    return "[" + ", ".join(map(quote, texts)) + "]"


def _allowed(url: str) -> set[str]:
    """The spellings by which DuckDB may ask for a file: as we write it, as it stands on disk, and as it was given."""
    return {pattern(url), files.split_url(url)[1], url}


def _create_views(con: "duckdb.DuckDBPyConnection", opened: Opened) -> None:
    schemas = _VIEWS.get(opened.kind)
    if schemas is None:
        raise UsageError(f"{opened.url} is a {opened.kind}, and only {', '.join(KINDS)} can be queried.")
    listed = {entry["path"].split("/")[0] for entry in opened.manifest["files"] if "/" in entry["path"]}
    for dataset in sorted({*schemas, *listed} - {"data"}):
        urls = [url for url in opened.files(dataset) if url.endswith(".parquet")]
        if urls:
            body = f"SELECT * FROM read_parquet({_list([pattern(url) for url in urls])})"
        elif dataset in schemas:
            body = _nothing(sql_types(con, schemas[dataset]))
        else:
            continue
        con.execute(f"CREATE VIEW {identifier(dataset)} AS {body}")
    if opened.kind == "mix":
        con.execute(f"CREATE VIEW shards AS {_shards(con, opened)}")
    else:
        con.execute(f"CREATE VIEW evidence_wide AS {_wide(con)}")
    _describe(con, opened)


def _nothing(types: dict[str, str]) -> str:
    return "SELECT " + ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in types.items()) + " WHERE false"


def _shards(con: "duckdb.DuckDBPyConnection", opened: Opened) -> str:
    """All shards in the manifest's order, whatever their format; rows are numbered from 0 in the order of the file."""
    types = sql_types(con, SHARD)
    columns = ", ".join(map(identifier, types))
    parts = []
    for number, url in enumerate(opened.files("data")):
        if url.endswith(".parquet"):
            source, row = f"read_parquet({quote(pattern(url))}, file_row_number = true)", "file_row_number"
        elif ".jsonl" in url.rsplit("/", 1)[-1]:
            fields = ", ".join(f"{quote(name)}: {quote(kind)}" for name, kind in types.items())
            source = f"read_json({quote(pattern(url))}, format = 'newline_delimited', columns = {{{fields}}})"
            row = "row_number() OVER () - 1"
        else:
            raise UsageError(
                f"{url} is a shard of a format that the catalog cannot read; it reads .parquet, .jsonl, .jsonl.gz and .jsonl.zst."
            )
        parts.append(f"SELECT {number}::INTEGER AS shard, ({row})::BIGINT AS row, {columns} FROM {source}")
    return " UNION ALL ".join(parts) or _nothing({"shard": "INTEGER", "row": "BIGINT", **types})


def _wide(con: "duckdb.DuckDBPyConnection") -> str:
    """One row per document; the columns are fixed by the signals that the evidence holds."""
    signals = [name for (name,) in con.execute("SELECT DISTINCT signal FROM evidence ORDER BY 1").fetchall()]
    readings = "".join(
        f", max({column}) FILTER (WHERE signal = {quote(name)}) AS {identifier(f'{name}_{suffix}')}"
        for name in signals
        for column, suffix in (("value", "value"), ("log_likelihood_ratio", "llr"))
    )
    return (
        "SELECT d.key, d.id, d.url, d.date, d.language, d.word_count, t.origin, t.p_machine, t.log_likelihood_ratio, t.attestation, "
        "t.basis, t.reason, t.canonical, e.* EXCLUDE (key) FROM documents d LEFT JOIN tags t ON t.key = d.key "
        f"LEFT JOIN (SELECT key, count(*) AS signals{readings} FROM evidence GROUP BY key) e ON e.key = d.key"
    )


def _describe(con: "duckdb.DuckDBPyConnection", opened: Opened) -> None:
    entries = opened.manifest["files"]
    listing = pa.table(
        {
            "path": pa.array([entry["path"] for entry in entries], pa.string()),
            "size": pa.array([entry.get("size") for entry in entries], pa.int64()),
            "sha256": pa.array([entry.get("sha256") for entry in entries], pa.string()),
            "rows": pa.array([entry.get("rows") for entry in entries], pa.int64()),
        }
    )
    pairs = dict(flatten({"id": opened.id, "url": opened.url, **opened.manifest}))
    values = pa.table({"key": pa.array(list(pairs), pa.string()), "value": pa.array(list(pairs.values()), pa.string())})
    con.from_arrow(listing).create("files")
    con.from_arrow(values).create("manifest")
