"""Revocation: a signed list of what shall no longer count as human. It only ever lowers.

A list is a signed note (`store.notes`) whose text is `lowbackground-revocations v1`, a line with its scope, and one line per
item: kind, value, and the reason in words. Items stand sorted, each once.

* `key HEX`: all leaves of a document.
* `leaf HEX`: one leaf, by its hash; the document keeps what its other leaves prove.
* `witness NAME`: all leaves that rest on this name of a trust list; as above.
* `source HEX`: all documents of a source file, by its SHA-256.

The scope is a snapshot's id (the list is then for that version and all that extend it), an origin (the name of one of the
snapshot's signers: all its versions) or `*`.
"""

import io
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import TYPE_CHECKING, Any, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from provenance import identity
from provenance.schema import ATTESTATIONS
from store import files, notes, sql, tables, verify_join
from store.errors import CheckFailed, UsageError
from store.manifest import Opened, parse
from store.notes import Signer

if TYPE_CHECKING:
    import duckdb

HEADER = "lowbackground-revocations v1"
ANY = "*"
LIMIT = 1 << 26
"""Bytes of a list."""
KINDS = {
    "key": re.compile(r"[0-9a-f]{32}", re.ASCII),
    "leaf": re.compile(r"[0-9a-f]{64}", re.ASCII),
    "source": re.compile(r"[0-9a-f]{64}", re.ASCII),
    "witness": re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII),
}
ITEMS = pa.schema([(name, pa.string()) for name in ("kind", "value", "reason")])
TOUCHED = pa.schema([(name, pa.string()) for name in ("key", *ITEMS.names)])
_COLUMNS = {"key": "key", "leaf": "leaf", "witness": "witness"}
"""Which column of a leaf each kind is about; `source` is about keys that `resolve` finds."""


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

    def values(self, kind: str) -> pa.Array:
        """Values of one kind, sorted."""
        return pa.array([item.value for item in self.items if item.kind == kind], pa.string())

    def lowered(self, leaves: pa.RecordBatch | pa.Table) -> pa.BooleanArray:
        """Which leaves (rows with `key`, `leaf` and `witness`) the list takes away; never null.

        `source` items take none here: replace them by keys with `resolve` first.
        """
        taken = pa.array([False] * leaves.num_rows, pa.bool_())
        for kind, column in _COLUMNS.items():
            values = self.values(kind)
            if len(values) and leaves.num_rows:
                found = pc.is_in(leaves.column(column), values)
                taken = pc.or_(taken, found.combine_chunks() if isinstance(found, pa.ChunkedArray) else found)
        return taken

    def applies(self, name: str, manifest: dict[str, Any]) -> bool:
        """Whether the list is for the snapshot of this id and manifest."""
        before = [extension.get("manifest") for extension in manifest.get("tree", {}).get("extensions", [])]
        names = [vkey.partition("+")[0] for vkey in manifest.get("signers") or []]
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


def read_for(opened: Opened, url: str, vkeys: Iterable[str] = ()) -> Revocations:
    """The list in a file, for a snapshot, with its `source` items replaced by keys. Raises as `read`, and `UsageError` for
    a list of another scope."""
    found = read(url, opened.manifest.get("signers") or [], vkeys)
    if not found.applies(opened.id, opened.manifest):
        raise UsageError(
            f"{url} is for {found.scope}, and this is snapshot {opened.id}, which does not extend it; it would lower nothing that it means. "
            "Name the list of this snapshot."
        )
    return resolve(found, opened)


def resolve(revoked: Revocations, opened: Opened) -> Revocations:
    """The list with each `source` item followed by `key` items for that file's documents, by recomputing their keys.

    Reads the positions of all documents where there is such an item. An item that stands in the list by its own stays.
    """
    wanted = set(revoked.values("source").to_pylist())
    if not wanted:
        return revoked
    reasons = {item.value: item.reason for item in revoked.items if item.kind == "source"}
    copies = {(source, copy) for source, copy in _sources(opened) if source in wanted}
    held = {item.value for item in revoked.items if item.kind == "key"}
    found = []
    for url in opened.files("documents"):
        for batch in tables.batches(url, ["key", "offset", "member_offset"]):
            for key, offset, member in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                for source, copy in copies:
                    if key not in held and offset is not None and identity.key(source, copy, offset, member or 0) == key:
                        found.append(Item("key", key, reasons[source]))
    return Revocations(revoked.scope, tuple(sorted({*revoked.items, *found})), revoked.signed_by)


def _sources(opened: Opened) -> Iterator[tuple[str, int]]:
    """SHA-256 and copy number of each source file."""
    for url in opened.files("sources"):
        for batch in tables.batches(url, ["sha256", "copy"]):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)


def condition(alias: str = "") -> str:
    """SQL: whether a row with the columns key, leaf and witness is taken away by the items in the table `revoked`."""
    of = f"{alias}." if alias else ""
    kinds = (
        f"coalesce({of}{column} in (select value from revoked where kind = '{kind}'), false)" for kind, column in _COLUMNS.items()
    )
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


def revoked_keys(con: "duckdb.DuckDBPyConnection", revoked: Revocations) -> pa.Table:
    """Documents of a connection's view `leaves` that a list lowers: key, level before and after (null where nothing is left).

    The list's `source` items must be resolved. Makes the table `revoked` in the connection.
    """
    con.from_arrow(revoked.table()).create("revoked")
    levels = "[" + ", ".join(map(sql.quote, ATTESTATIONS)) + "]"
    return con.sql(
        f"select key, {levels}[before] as before, {levels}[after] as after from ({judged()}) where after is distinct from before order by key"
    ).to_arrow_table()


def summary(opened: Opened, revoked: Revocations) -> dict[str, Any]:
    """What a list, read by `read_for`, does to a snapshot: eligible documents and bytes per level before and after."""
    with verify_join.connected(opened) as con:
        con.from_arrow(revoked.table()).create("revoked")
        con.execute(f"create temp table judged as {judged()}")
        held = {}
        for column in ("before", "after"):
            asked = f"select {column}, count(*), sum(bytes)::bigint from judged where {column} is not null group by 1 order by 1"
            found = con.execute(asked).fetchall()
            held[column] = {ATTESTATIONS[rank - 1]: {"documents": n, "bytes": size or 0} for rank, n, size in found}
        lowered, lost = con.execute(
            "select count(*) filter (where after is distinct from before), count(*) filter (where after is null) from judged"
        ).fetchall()[0]
    line = f"{lowered:,} documents lowered by {len(revoked.items):,} items, of which {lost:,} no longer count as human"
    listed = {"scope": revoked.scope, "signed_by": list(revoked.signed_by), "items": len(revoked.items)}
    return listed | {**held, "lowered": lowered, "lost": lost, "line": line}


def touched(opened: Opened, revoked: Revocations) -> pa.Table:
    """Human documents of a mix that a list takes away (TOUCHED: key, kind, value, reason), by the leaves that prove them.

    A document of a mix is proven by one leaf, so that nothing is left of it without that one. `source` items touch nothing
    here: a mix does not say which file a text came from. Raises `CheckFailed` for proofs that are none.
    """
    why = {(item.kind, item.value): item.reason for item in revoked.items}
    rows = []
    for entry in opened.entries("proof"):
        if not entry["path"].endswith(".leaves.zst"):
            continue
        where = files.join(opened.url, entry["path"])
        for key, leaf, witness in _leaves(files.read_bytes(where), where):
            for kind, value in (("key", key), ("leaf", leaf), ("witness", witness)):
                if (kind, value) in why:
                    rows.append({"key": key, "kind": kind, "value": value, "reason": why[kind, value]})
    return pa.Table.from_pylist(rows, schema=TOUCHED)


def _leaves(packed: bytes, where: str) -> Iterator[tuple[str, str, str]]:
    """Key, hash and witness of each leaf of a shard's proof."""
    try:
        stream: Any = pa.CompressedInputStream(pa.BufferReader(packed), "zstd")
        with io.BufferedReader(stream, 1 << 20) as lines:
            while line := lines.readline(1 << 20):
                data = line.partition(b" ")[2]
                made = identity.Leaf._make(json.loads(data)[1:])
                yield made.key, identity.leaf_hash(data).hex(), made.witness
    except (ValueError, TypeError, OSError, pa.ArrowException) as error:
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
