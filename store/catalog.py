"""A finished run, snapshot or mix as one DuckDB database: a view per dataset, over the files that its manifest lists.

A folder whose direct subfolders are mixes is one database too, of all their shards. With a revocation list the database
says what the list touches.

The database is in memory and closed to the world: once the views stand, DuckDB may open the listed files and nothing
else, loads no extension and cannot be talked out of it. What is not in the manifest is not in a view.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from provenance.schema import ATTESTATIONS, BANDS, DATASETS, INDEXES, LEAVES, SHARD, SNAPSHOT_DOCUMENTS
from store import files, revocation
from store.errors import CheckFailed, UsageError
from store.manifest import MANIFEST, MANIFESTS, Opened, open_any, open_mix
from store.revocation import Revocations
from store.shard_views import pieces, shards_of
from store.sql import best_leaves, insert, pattern, quote, register, spill_folder

if TYPE_CHECKING:
    import duckdb

KINDS = ("run", "snapshot", "mix", "mixes")
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
        **{name: kind for name, kind in DATASETS.items() if name not in ("matches", "prevalence")},
        "documents": SNAPSHOT_DOCUMENTS,
        "leaves": LEAVES,
        **dict.fromkeys(INDEXES, BANDS),
    },
    "mix": {},
    "mixes": {},
}
"""Views that are always there, also where the manifest lists no file of theirs."""


@dataclass(frozen=True)
class NamedQuery:
    """One file of `store/queries`: what it answers (its first line), what it can be asked of, its text, and whether it
    needs a revocation list (a third line `-- with: revoked`)."""

    name: str
    answers: str
    kinds: tuple[str, ...]
    sql: str
    revoked: bool = False


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
        found[path.stem] = NamedQuery(path.stem, answers.removeprefix("-- "), kinds, sql, "\n-- with: revoked\n" in sql)
    return found


def open_target(url: str) -> Opened:
    """Whatever can be asked at `url`: a snapshot, a run, a mix, or a folder whose direct subfolders are mixes.

    Such a folder opens as kind `mixes`; its manifest has the mixes' own by folder name, and all their files. Raises
    `UsageError` where there is none of these, `CheckFailed` for a manifest that was changed.
    """
    names = [] if any(files.exists(files.join(url, name)) for name in (MANIFEST, MANIFESTS)) else _mixes(url)
    if not names:
        return open_any(url)
    made = {name: open_mix(files.join(url, name)) for name in names}
    listing = [{**entry, "path": f"{name}/{entry['path']}"} for name, mix in made.items() for entry in mix.manifest["files"]]
    return Opened(url, "", {"kind": "mixes", "mixes": {name: mix.manifest for name, mix in made.items()}, "files": listing})


def _mixes(url: str) -> list[str]:
    """Names of the direct subfolders that hold a manifest of a mix, sorted."""
    fs, path = files.split_url(url)
    if not fs.isdir(path):
        return []
    fs.invalidate_cache()
    folders = sorted(
        str(entry["name"]).rstrip("/").rpartition("/")[2] for entry in fs.ls(path, detail=True) if entry["type"] == "directory"
    )
    found = []
    for name in folders:
        where = files.join(url, name, MANIFEST)
        if files.exists(where) and b'"kind":"mix"' in files.read_bytes(where):
            found.append(name)
    return found


def each_mix(opened: Opened) -> dict[str, Opened]:
    """The mixes of a folder by name; a mix by itself has the empty name."""
    if opened.kind == "mix":
        return {"": opened}
    return {name: Opened(files.join(opened.url, name), body["id"], body) for name, body in opened.manifest["mixes"].items()}


def connect(target: str | Opened, revoked: Revocations | None = None) -> "duckdb.DuckDBPyConnection":
    """An in-memory DuckDB connection with the views of a run, a snapshot (`URL` or `URL@ID`), a mix or a folder of mixes.

    Views: one per dataset (`documents`, `rejects`, ... ; a mix has `shards`, with the number of the `shard` and of the
    `row` in it, and `pieces`, the same with the texts' lengths in their place, see `store.shard_views`), `evidence_wide` (one row
    per document: its tags and a column per signal), `files` (path, size, sha256, rows) and `manifest` (key, value; nested keys are joined by dots). In a folder of mixes, `shards` has the `mix` (its
    folder) as first column, and `mixes` has mix, id and snapshot. Times are UTC.

    With a verified list there are `revoked` (kind, value, reason) and, of a snapshot, `lowered` (key, bytes, the levels
    `before` and `after`), of mixes `touched` (mix, key, kind, value, reason).

    Raises `UsageError` where there is nothing finished, `CheckFailed` where a listed file is missing or unreadable.
    """
    import duckdb

    opened = target if isinstance(target, Opened) else open_target(target)
    con = duckdb.connect(":memory:", config=_CLOSED)
    con.execute("SET TimeZone = 'UTC'")
    con.execute(f"SET temp_directory = {quote(spill_folder())}")
    register(con, opened.url)
    try:
        _create_views(con, opened)
        if revoked is not None:
            _revoke(con, opened, revoked)
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


def _revoke(con: "duckdb.DuckDBPyConnection", opened: Opened, revoked: Revocations) -> None:
    """The tables that say what a list holds and touches."""
    revocation.load(con, revocation.resolved(revoked, opened) if opened.kind == "snapshot" else revoked.table().to_batches())
    if opened.kind == "snapshot":
        levels = _list(list(ATTESTATIONS))
        con.execute(
            f"CREATE VIEW lowered AS SELECT key, bytes, {levels}[before] AS before, {levels}[after] AS after "
            f"FROM ({revocation.judged()}) WHERE after IS DISTINCT FROM before"
        )
    elif opened.kind in ("mix", "mixes"):
        con.execute("CREATE TABLE touched (mix VARCHAR, key VARCHAR, kind VARCHAR, value VARCHAR, reason VARCHAR)")
        for name, mix in each_mix(opened).items():
            if revoked.applies(*revocation.of_mix(mix)):
                batches = revocation.touched(mix, revoked)
                insert(con, "touched", (batch.add_column(0, "mix", pa.repeat(name, batch.num_rows)) for batch in batches))


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
    # The files of a mix are read as its shards, by their format.
    plain = opened.kind not in ("mix", "mixes")
    listed = {entry["path"].split("/")[0] for entry in opened.manifest["files"] if "/" in entry["path"] and plain}
    for dataset in sorted({*schemas, *listed}):
        urls = [url for url in opened.files(dataset) if url.endswith(".parquet")]
        if urls:
            body = f"SELECT * FROM read_parquet({_list([pattern(url) for url in urls])}, hive_partitioning = false)"
        elif dataset in schemas:
            body = _nothing(sql_types(con, schemas[dataset]))
        else:
            continue
        con.execute(f"CREATE VIEW {identifier(dataset)} AS {body}")
    if opened.kind == "mix":
        con.execute(f"CREATE VIEW shards AS {shards_of(con, opened, sql_types(con, SHARD))}")
        con.execute(f"CREATE VIEW pieces AS {pieces(con)}")
    elif opened.kind == "mixes":
        mixes, types = each_mix(opened), sql_types(con, SHARD)
        parts = [f"SELECT {quote(name)} AS mix, * FROM ({shards_of(con, mix, types)})" for name, mix in mixes.items()]
        con.execute(f"CREATE VIEW shards AS {' UNION ALL BY NAME '.join(parts)}")
        con.execute(f"CREATE VIEW pieces AS {pieces(con)}")
        columns = {
            "mix": list(mixes),
            "id": [mix.id for mix in mixes.values()],
            "snapshot": [mix.manifest.get("snapshot", {}).get("id") for mix in mixes.values()],
        }
        con.from_arrow(pa.table({name: pa.array(column, pa.string()) for name, column in columns.items()})).create("mixes")
    else:
        if opened.kind == "snapshot" and opened.manifest["counts"].get("leaves", 0) > opened.manifest["counts"].get("documents", 0):
            con.execute("ALTER VIEW documents RENAME TO documents_as_frozen")
            con.execute(f"CREATE VIEW documents AS {_WITNESSED}")
        con.execute(f"CREATE VIEW evidence_wide AS {_wide(con)}")
    _describe(con, opened)


_WITNESSED = f"""
SELECT d.* REPLACE (coalesce(best.attestation, d.attestation) AS attestation, coalesce(best.witness, d.witness) AS witness)
FROM documents_as_frozen d LEFT JOIN ({best_leaves()}) best USING (key)"""
"""Documents with what their best leaf proves, where further witnesses came after the first."""


def _nothing(types: dict[str, str]) -> str:
    return "SELECT " + ", ".join(f"NULL::{kind} AS {identifier(name)}" for name, kind in types.items()) + " WHERE false"


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
    body = dict(opened.manifest)
    if opened.kind == "mixes":
        body["mixes"] = {name: {n: v for n, v in mix.items() if n != "files"} for name, mix in body["mixes"].items()}
    pairs = dict(flatten({"id": opened.id, "url": opened.url, **body}))
    values = pa.table({"key": pa.array(list(pairs), pa.string()), "value": pa.array(list(pairs.values()), pa.string())})
    con.from_arrow(listing).create("files")
    con.from_arrow(values).create("manifest")
