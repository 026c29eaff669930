"""Removes texts from a snapshot (erasure, take-downs) and keeps their leaf hashes, so that its root still proves the rest.

Files that hold a redacted document are written anew, in place of the parent's, row for row; the documents around it stay
where they are.
"""

import re
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from pipelines.extraction import TELLING
from provenance import schema
from store import files, index, sql, tables
from store.errors import UsageError
from store.manifest import Opened

_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)
_KEPT = ("key", "attestation")
"""Columns of a redacted document that stay beside what says that it was redacted."""
LEAF_KEPT = ("index", "key", "leaf")
BY_PART = ("documents", "signatures", "tags", "evidence")
"""Datasets whose files have the name of their documents' file."""


def read_list(url: str) -> dict[str, str]:
    """What a redaction list asks for: reason by key or address.

    One item a line: a document's key or its URL, then white space and the reason in words; `#` begins a comment.
    Raises `UsageError` for a list that cannot be read, is empty, or has a line of another form.
    """
    try:
        text = files.read_bytes(url).decode()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(
            f"--redact {url} cannot be read as UTF-8 text: {error}. Give a list of keys or URLs, one a line."
        ) from error
    found: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        name, *reason = line.split(maxsplit=1) or ("",)
        if not name or name.startswith("#"):
            continue
        if not (_KEY.fullmatch(name) or "://" in name):
            raise UsageError(
                f"--redact {url}, line {number}: {name[:60]!r} is no key of 32 hexadecimal digits and no URL; "
                "what it means would be guessed. `query` finds the keys of documents."
            )
        found[name] = reason[0].strip() if reason else "no reason given"
    if not found:
        raise UsageError(f"--redact {url} names nothing. Give keys or URLs, one a line, or leave the option out.")
    return found


def find(parent: Opened, wanted: dict[str, str], scratch: str) -> dict[str, dict[str, Any]]:
    """The documents that a list names: by key, where each is and why it goes. Raises `UsageError` where one is not there."""
    con = sql.connect(scratch)
    shown = ("key", "url", "eligible", "ineligible_reason", "byte_count")
    sql.view(
        con, "documents", parent.files("documents"), pa.schema([schema.SNAPSHOT_DOCUMENTS.field(name) for name in shown]), "part"
    )
    sql.view(con, "leaves", parent.files("leaves"), schema.LEAVES)
    con.register("wanted", pa.table({"name": list(wanted), "reason": list(wanted.values())}))
    con.execute("""
        create table named as select d.*, w.name, w.reason from documents d join wanted w on w.name = d.key or w.name = d.url
    """)
    # A document counts at the level of its best leaf, and so stops counting there.
    query = """
        select n.*, attestation, leaves from named n
        left join (select key, arg_max(attestation, list_position(?, attestation)) as attestation, count(*) as leaves
          from leaves where key in (select key from named) group by key) using (key)
        order by n.key, n.name desc
    """
    rows = con.sql(query, params=[list(schema.ATTESTATIONS)]).to_arrow_table().to_pylist()
    missing = sorted(set(wanted) - {row["name"] for row in rows})
    if missing:
        raise UsageError(
            f"--redact names {missing[0]}, which is no document of {parent.url}@{parent.id[:12]} ({len(missing)} of {len(wanted)} are not); "
            "what was meant would stay. Take the keys or URLs from `query`."
        )
    return {row["key"]: row for row in rows if not (row["ineligible_reason"] or "").startswith("redacted")}


def parts(parent: Opened, redacted: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """The parent's files that may hold something of the redacted documents."""
    documents = [entry["path"] for entry in parent.entries("documents")]
    named = {documents[row["part"]].partition("/")[2] for row in redacted.values()}
    wanted = [
        entry["path"]
        for entry in parent.manifest["files"]
        for dataset, _, name in [entry["path"].partition("/")]
        if dataset in (*schema.INDEXES, "leaves", "rejects") or (dataset in BY_PART and name in named)
    ]
    return [{"name": path.replace("/", "-"), "path": path, "url": files.join(parent.url, path)} for path in wanted]


def renamed(path: str, extension: str) -> str:
    """The name of the file that takes the place of `path`: it sorts where that one did."""
    folder, _, name = path.rpartition("/")
    # What an index reads from the end of the name stays there; a prefix may look like a part of it.
    end = name.rindex("-b" if folder == "bands" else "-r") if folder in schema.INDEXES else len(name) - len(".parquet")
    return f"{folder}/{name[:end].split('.')[0]}.r{extension}{name[end:]}"


class RedactFile:
    """Step: one file of the parent -> the same without the redacted documents."""

    def __init__(self, context: dict[str, Any]):
        self.context = context

    def part(self, part: dict[str, Any]) -> dict[str, Any]:
        table = tables.read([part["url"]])
        dataset = part["path"].split("/")[0]
        if dataset in schema.INDEXES:
            made = self._index(table)
        elif dataset == "rejects":
            made = self._rejects(table)
        elif dataset == "evidence":
            made = table.filter(pc.invert(pc.is_in(table["key"], value_set=self._keys())))
        else:
            made = self._rows(table, dataset)
        if made.num_rows == table.num_rows and made.equals(table):
            return {"files": [], "replaces": None}
        options: dict[str, Any] = index.OPTIONS if dataset in schema.INDEXES else {}
        if dataset == "signatures":
            options = {
                "metadata": {
                    key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items() if key == b"minhash"
                }
            }
        name = renamed(part["path"], self.context["extension"])
        entry = tables.write(self.context["folder"], name, made, made.schema.remove_metadata(), **options)
        return {"files": [entry], "replaces": part["path"]}

    def _keys(self) -> pa.Array:
        return pa.array(sorted(self.context["redacted"]), pa.string())

    def _index(self, table: pa.Table) -> pa.Table:
        gone = np.array([row["part"] << 32 | row["row"] for row in self.context["redacted"].values()], np.int64)
        place = table["part"].to_numpy().astype(np.int64) << 32 | table["row"].to_numpy()
        return table.filter(pa.array(~np.isin(place, gone)))

    def _rejects(self, table: pa.Table) -> pa.Table:
        """The rejects without the address and detail of those that tell of a redacted document: other captures of its text, and
        records of its address."""
        other = pc.struct_field(pc.extract_regex(table["detail"], r"document (?P<key>[0-9a-f]{32})"), "key")
        present = pc.and_(pc.equal(table["stage"], "present"), pc.is_in(other, value_set=self._keys()))
        urls = [row["url"] for row in self.context["redacted"].values() if row["name"] == row["url"]]
        gone = pc.or_(pc.fill_null(present, False), pc.is_in(table["url"], value_set=pa.array(urls, pa.string())))
        columns = [pc.if_else(gone, None, table[name]) if name in TELLING else table[name] for name in table.column_names]
        return pa.table(columns, schema=table.schema)

    def _rows(self, table: pa.Table, dataset: str) -> pa.Table:
        """The table with the redacted rows emptied of all that tells of the text."""
        place = pc.index_in(table["key"], value_set=self._keys()).combine_chunks()
        reasons = [self.context["redacted"][key]["reason"] for key in sorted(self.context["redacted"])]
        # Leaves have a column of their own for it; elsewhere it stands with other reasons.
        said = reasons if dataset == "leaves" else [f"redacted: {reason}" for reason in reasons]
        why = pa.array(said, pa.string()).take(place)
        gone = pc.is_valid(place)
        columns = []
        for field in table.schema:
            column = table[field.name]
            with_value = _redacted(dataset, field, why)
            columns.append(column if with_value is None else pc.if_else(gone, with_value, column))
        return pa.table(columns, schema=table.schema)


def _redacted(dataset: str, field: pa.Field, why: pa.Array) -> Any:
    """What a redacted row has in a column; None where it keeps its own."""
    if dataset == "leaves":
        return None if field.name in LEAF_KEPT else why if field.name == "redacted" else pa.scalar(None, field.type)
    if dataset == "signatures":
        if field.name == "signature":
            return pa.scalar([(1 << field.type.value_type.bit_width) - 1] * field.type.list_size, field.type)
        return pa.scalar(0, field.type) if field.name == "shingles" else None
    kept: dict[str, Any] = dict.fromkeys(_KEPT if dataset == "documents" else ("key", "attestation", "rules"))
    if field.name in kept:
        return None
    fixed = {"eligible": False, "byte_count": 0, "word_count": 0, "origin": "unknown", "log_likelihood_ratio": 0.0}
    if field.name == ("reason" if dataset == "tags" else "ineligible_reason"):
        return why
    if dataset == "tags" and field.name == "basis":
        return pa.scalar([], field.type)
    return pa.scalar(fixed.get(field.name), field.type)
