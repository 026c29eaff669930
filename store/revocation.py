"""Revocation: a signed list of what shall no longer count as human. It only ever lowers.

A list is a signed note (`store.notes`) whose text is `lowbackground-revocations v1`, a line with its scope, and one line per
item: kind, value, and the reason in words. Items stand sorted, each once.

* `key HEX`: all leaves of a document.
* `leaf HEX`: one leaf, by its hash; the document keeps what its other leaves prove.
* `witness NAME`: all leaves that rest on this name of a trust list; as above.
* `source HEX`: all documents of a source file, by its SHA-256.

The scope is a snapshot's id (the list is then for that version and all that extend it), an origin (the name of one of the
snapshot's signers: the versions that it signed, and those that extend them) or `*`.
"""

import contextlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa

from provenance import identity
from provenance.schema import ATTESTATIONS, SOURCES
from store import files, notes, proofs, sql, tables, verify_join
from store.errors import CheckFailed, UsageError
from store.manifest import Opened, open_version, parse
from store.notes import Signer

if TYPE_CHECKING:
    import duckdb

HEADER = "lowbackground-revocations v1"
ANY = "*"
LIMIT = 1 << 26
"""Bytes of a list."""
SHOWN = 5
"""Items of a list that are named where they match nothing."""
KINDS = {
    "key": re.compile(r"[0-9a-f]{32}", re.ASCII),
    "leaf": re.compile(r"[0-9a-f]{64}", re.ASCII),
    "source": re.compile(r"[0-9a-f]{64}", re.ASCII),
    "witness": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII),
}
ITEMS = pa.schema([(name, pa.string()) for name in ("kind", "value", "reason")])
TOUCHED = pa.schema([(name, pa.string()) for name in ("key", *ITEMS.names)])
_COLUMNS = {"key": "key", "leaf": "leaf", "witness": "witness"}
"""Which column of a leaf each kind is about; `source` is about keys that `resolved` finds."""
_BATCH = 1 << 13


class Item(NamedTuple):
    """One line of a list."""

    kind: str
    value: str
    reason: str


@dataclass(frozen=True)
class Revocations:
    """A verified list. `items` are sorted by kind and value."""

    scope: str
    items: tuple[Item, ...]
    signed_by: tuple[str, ...] = ()

    def table(self) -> pa.Table:
        """The items: kind, value, reason."""
        columns = list(zip(*self.items, strict=True)) or [(), (), ()]
        return pa.table([pa.array(column, pa.string()) for column in columns], schema=ITEMS)

    def applies(self, name: str, manifest: dict[str, Any], signers: Iterable[str] = ()) -> bool:
        """Whether the list is for the snapshot of this id and manifest; `signers` are verifier keys beside the manifest's."""
        before = [extension.get("manifest") for extension in manifest.get("tree", {}).get("extensions", [])]
        names = [vkey.partition("+")[0] for vkey in [*(manifest.get("signers") or []), *signers]]
        return self.scope in (ANY, name, *before, *names)


def text(scope: str, items: Iterable[Item]) -> str:
    """The text of a list. Raises `ValueError` for what a list cannot carry."""
    lines = sorted(f"{_checked(item).kind} {item.value} {item.reason}\n" for item in set(items))
    made = f"{HEADER}\n{scope}\n{''.join(lines)}"
    decode(made)
    return made


def write(scope: str, items: Iterable[Item], signers: Sequence[Signer]) -> bytes:
    """A signed list. Raises `ValueError` for what a list cannot carry."""
    return notes.sign(text(scope, items), signers)


def _checked(item: Item) -> Item:
    if item.kind not in KINDS:
        raise ValueError(f"{item.kind[:40]!r} can not be revoked; these can: {', '.join(sorted(KINDS))}")
    if not KINDS[item.kind].fullmatch(item.value):
        raise ValueError(f"{item.value[:80]!r} names no {item.kind}")
    if not item.reason or item.reason != item.reason.strip() or any(char < " " for char in item.reason):
        raise ValueError(f"{item.kind} {item.value} has no reason; say why in words, on the same line")
    return item


def decode(body: str) -> Revocations:
    """A list from its text. Raises `ValueError` for any other spelling; verifies nothing."""
    header, *lines = body.split("\n")
    if header != HEADER or len(lines) < 2 or lines.pop() or not lines[0] or lines[0] != lines[0].strip():
        raise ValueError(f"its text does not begin with {HEADER!r} and a line with its scope, or does not end in a newline")
    scope, *lines = lines
    items = [_checked(Item(*[*line.split(" ", 2), "", ""][:3])) for line in lines]
    if lines != sorted(lines) or len({item[:2] for item in items}) < len(items):
        raise ValueError("its items are not sorted, or one stands there twice")
    return Revocations(scope, tuple(items))


def read(url: str, signers: Iterable[str] = (), vkeys: Iterable[str] = ()) -> Revocations:
    """The list in a file, signed by a key of the snapshot's manifest (`signers`) or of the user (`vkeys`).

    Raises `UsageError` where there is no file or no key to trust, `CheckFailed` for a list that none of the keys signed.
    """
    known = notes.verifiers([*signers, *vkeys])
    if not known:
        raise UsageError(
            f"nobody's key is known by which {url} could be trusted: the snapshot names no signers. Give its signer's key with --key."
        )
    try:
        data = files.read_bytes(url)
    except FileNotFoundError as error:
        raise UsageError(f"{url} is not there, so nothing could be lowered by it. Name a revocation list.") from error
    body, signed = notes.verify(data, known, url, LIMIT)
    try:
        found = decode(body)
    except ValueError as error:
        raise CheckFailed(f"{url} is signed, but is no revocation list ({error}). Ask its signer for the right file.") from error
    return Revocations(found.scope, found.items, tuple(key.name for key in signed))


def signers(opened: Opened) -> list[str]:
    """Verifier keys of who signed a snapshot or a version that it extends: one that was made without a key names none itself.

    Versions whose manifests are not there, or not what their names say, add nothing.
    """
    found = set(opened.manifest.get("signers") or [])
    for extension in opened.manifest["tree"]["extensions"]:
        if extension["manifest"] is not None:
            with contextlib.suppress(FileNotFoundError, CheckFailed):
                found.update(open_version(opened.url, extension["manifest"]).manifest.get("signers") or [])
    return sorted(found)


def read_for(opened: Opened, url: str, vkeys: Iterable[str] = ()) -> Revocations:
    """The list in a file, for a snapshot, signed by one of its `signers` or of `vkeys`. Raises as `read`, and `UsageError` for
    a list of another scope."""
    trusted = signers(opened)
    found = read(url, trusted, vkeys)
    if not found.applies(opened.id, opened.manifest, trusted):
        raise UsageError(
            f"{url} is for {found.scope}, and this is snapshot {opened.id}, which does not extend it; it would lower nothing that it means. "
            "Name the list of this snapshot."
        )
    return found


def resolved(revoked: Revocations, opened: Opened) -> Iterator[pa.RecordBatch]:
    """The items of a list (ITEMS), and after them a `key` item for each document of the files of its `source` items, by
    recomputing the keys.

    Reads the positions of all documents where there is such an item. A key that stands in the list by itself stands once.
    """
    yield from revoked.table().to_batches()
    reasons = {item.value: item.reason for item in revoked.items if item.kind == "source"}
    copies = [place for place in _sources(opened) if place[1] in reasons] if reasons else []
    if not copies:
        return
    by_path: dict[str, list[tuple[str, str, int]]] = {}
    for place in copies:
        by_path.setdefault(place[0], []).append(place)
    held = {item.value for item in revoked.items if item.kind == "key"}
    for url in opened.files("documents"):
        for batch in tables.batches(url, ["key", "file_path", "offset", "member_offset"], _BATCH):
            found = []
            for key, path, offset, member in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                # A redacted document has no position, and one of an index-only snapshot no path.
                for _, source, copy in (copies if path is None else by_path.get(path, ())) if offset is not None else ():
                    if key not in held and identity.key(source, copy, offset, member or 0) == key:
                        found.append(Item("key", key, reasons[source])._asdict())
            yield pa.RecordBatch.from_pylist(found, schema=ITEMS)


def _sources(opened: Opened) -> Iterator[tuple[str, str, int]]:
    """Path, SHA-256 and copy number of each source file."""
    for url in opened.files("sources"):
        for batch in tables.batches(url, ["file_path", "sha256", "copy"]):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def load(con: "duckdb.DuckDBPyConnection", items: Iterable[pa.RecordBatch]) -> None:
    """Makes the table `revoked` (ITEMS) in a database."""
    con.from_arrow(ITEMS.empty_table()).create("revoked")
    sql.insert(con, "revoked", items)


def condition() -> str:
    """SQL: whether a row with the columns key, leaf and witness is taken away by the items in the table `revoked`."""
    kinds = (f"coalesce({column} in (select value from revoked where kind = '{kind}'), false)" for kind, column in _COLUMNS.items())
    return f"({' or '.join(kinds)})"


JUDGED = """
    select key, max(text_bytes) as bytes,
      max(list_position({levels}, attestation)) as before,
      max(list_position({levels}, attestation)) filter (where not {revoked}) as after
    from leaves where eligible group by key
"""
"""Eligible documents of a view `leaves`, with the rank (from 1) of what their leaves prove with and without a list."""


def judged() -> str:
    """SQL: key, bytes, and ranks of attestation `before` and `after` a list, over the views `leaves` and `revoked`."""
    levels = "[" + ", ".join(map(sql.quote, ATTESTATIONS)) + "]"
    return JUDGED.format(levels=levels, revoked=condition())


def _unmatched(con: "duckdb.DuckDBPyConnection", opened: Opened) -> dict[str, Any]:
    """Items of the table `revoked` that name nothing in the snapshot: their number, and the first few."""
    sql.view(con, "sources", opened.files("sources"), pa.schema([SOURCES.field("sha256")]))
    columns = {**{kind: (column, "leaves") for kind, column in _COLUMNS.items()}, "source": ("sha256", "sources")}
    lacking = " union all ".join(
        f"select kind, value from revoked where kind = '{kind}' and value not in (select {column} from {held} where {column} is not null)"
        for kind, (column, held) in columns.items()
    )
    rows = con.execute(f"select kind, value, count(*) over () from ({lacking}) order by kind, value limit {SHOWN}").fetchall()
    return {"items": rows[0][2] if rows else 0, "first": [f"{kind} {value}" for kind, value, _ in rows]}


def unmatched(opened: Opened, revoked: Revocations) -> dict[str, Any]:
    """`items` of a list that name nothing in a snapshot, by number, and the `first` few: what they mean is not lowered."""
    with verify_join.connected(opened) as con:
        load(con, revoked.table().to_batches())
        return _unmatched(con, opened)


def summary(opened: Opened, revoked: Revocations) -> dict[str, Any]:
    """What a list, read by `read_for`, does to a snapshot: eligible documents and bytes per level before and after, and which of
    its items name nothing in it."""
    with verify_join.connected(opened) as con:
        load(con, resolved(revoked, opened))
        con.execute(f"create temp table judged as {judged()}")
        held = {}
        for column in ("before", "after"):
            asked = f"select {column}, count(*), sum(bytes)::bigint from judged where {column} is not null group by 1 order by 1"
            found = con.execute(asked).fetchall()
            held[column] = {ATTESTATIONS[rank - 1]: {"documents": n, "bytes": size or 0} for rank, n, size in found}
        lowered, lost = con.execute(
            "select count(*) filter (where after is distinct from before), count(*) filter (where after is null) from judged"
        ).fetchall()[0]
        idle = _unmatched(con, opened)
    line = f"{lowered:,} document{'s'[: lowered != 1]} lowered by {len(revoked.items):,} item{'s'[: len(revoked.items) != 1]}, of which {lost:,} no longer count as human"
    if idle["items"]:
        line += f"; {idle['items']:,} items name nothing in this snapshot, such as {idle['first'][0]}"
    listed = {"scope": revoked.scope, "signed_by": list(revoked.signed_by), "items": len(revoked.items), "unmatched": idle}
    return listed | {**held, "lowered": lowered, "lost": lost, "line": line}


def touched(opened: Opened, revoked: Revocations) -> Iterator[pa.RecordBatch]:
    """Human documents of a mix that a list takes away (TOUCHED: key, kind, value, reason), by the leaves that prove them.

    A document of a mix is proven by one leaf, so that nothing is left of it without that one. `source` items touch nothing
    here: a mix does not say which file a text came from. Raises `CheckFailed` for proofs that are none.
    """
    why = {(item.kind, item.value): item.reason for item in revoked.items}
    rows = []
    for entry in opened.entries("proof"):
        if not entry["path"].endswith(".leaves.zst"):
            continue
        for leaf, found in _leaves(files.join(opened.url, entry["path"])):
            for item in (("key", leaf.key), ("leaf", found), ("witness", leaf.witness)):
                if item in why:
                    rows.append(dict(zip(TOUCHED.names, (leaf.key, *item, why[item]), strict=True)))
            if len(rows) >= _BATCH:
                yield pa.RecordBatch.from_pylist(rows, schema=TOUCHED)
                rows = []
    yield pa.RecordBatch.from_pylist(rows, schema=TOUCHED)


def _leaves(where: str) -> Iterator[tuple[identity.Leaf, str]]:
    """Each leaf of a shard's proof, and its hash."""
    try:
        with (
            files.open_input(where) as file,
            pa.CompressedInputStream(file, "zstd") as stream,
            io.BufferedReader(stream, 1 << 20) as lines,
        ):
            while line := lines.readline(1 << 20):
                data = line.partition(b" ")[2]
                yield proofs.parse_leaf(data), identity.leaf_hash(data).hex()
    except (ValueError, OSError, pa.ArrowException) as error:
        raise CheckFailed(f"{where} does not hold a mix's leaves ({error}). Run `lowbackground verify` on the mix.") from error


def of_mix(opened: Opened) -> tuple[str, dict[str, Any]]:
    """Id and manifest of the snapshot that a mix draws its human side from, as it travels with the mix."""
    where = files.join(opened.url, "proof/snapshot.manifest")
    data = files.read_bytes(where)
    return identity.sha256_hex(data), parse(data, where)


UNITS = {
    "bytes": "coalesce(sum(strlen(text)) filter (where {which}), 0)::bigint",
    "documents": "count(*) filter (where {which} and chunk = 0)",
}
"""Units that the rows of whole shards give by themselves."""


def mix_summary(con: "duckdb.DuckDBPyConnection", opened: Opened) -> dict[str, Any]:
    """What a list does to a mix, by its views `shards` and `touched` (`store.catalog.connect` with a list).

    A mix cannot be repaired: for each unit of the floor it gives the human and all units, those touched, and whether the
    floor still holds at the mix's end if the touched rows count as not human; null for tokens, which the rows do not give.
    """
    floor = Fraction(opened.manifest["floor"])
    found: dict[str, Any] = {"documents": 0, "bytes": 0, "units": {}}
    human = "origin = 'human'"
    hit = f"{human} and key in (select key from touched)"
    found["documents"] = con.execute(f"select count(distinct key) from shards where {hit}").fetchall()[0][0]
    for unit, sums in UNITS.items():
        asked = ", ".join(sums.format(which=which) for which in (human, "true", hit))
        ours, every, lost = con.execute(f"select {asked} from shards").fetchall()[0]
        holds = (ours - lost) * floor.denominator >= every * floor.numerator
        if unit in opened.manifest["units"]:
            found["units"][unit] = {"human": ours, "total": every, "touched": lost, "floor_holds": holds}
        found["bytes"] = lost if unit == "bytes" else found["bytes"]
    found["units"] |= {unit: None for unit in opened.manifest["units"] if unit not in UNITS}
    found["touched"] = found["documents"] > 0
    return found
