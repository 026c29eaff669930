"""Proofs that travel: that documents stand in a snapshot's tree, checked offline with the proof and one trusted name.

One document gives a C2SP tlog-proof (https://c2sp.org/tlog-proof), whose `extra` line carries the leaf's exact bytes;
several give one compact proof in canonical JSON. Both end in the snapshot's checkpoint. Where nobody signed the snapshot
the checkpoint's text stands there without a signature, under the origin `UNSIGNED`, and only the snapshot's id can vouch
for it: the manifest, whose SHA-256 is that id, lies beside the proof as `FILE.manifest`. With a signer's verifier key the
proof needs no other file.
"""

import base64
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from provenance import identity
from provenance.identity import LEAF_VERSION, Leaf, canonical_json, leaf_hash, sha256_hex
from provenance.schema import ATTESTATIONS, LEAVES
from store import checkpoint, files, notes, tables
from store.checkpoint import Checkpoint
from store.errors import CheckFailed, UsageError
from store.leaves import hashes, leaf_bytes
from store.manifest import MANIFESTS, Opened, parse

HEADER = "c2sp.org/tlog-proof@v1"
FORMAT = "lowbackground-proof-1"
UNSIGNED = "lowbackground-unsigned"
"""Origin in the checkpoint of a snapshot that nobody signed."""
MANIFEST = ".manifest"
"""Ends the name of the manifest's copy beside a proof."""
LIMIT = 1 << 28
_INDEX = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_KEY = re.compile(r"[0-9a-f]{32}", re.ASCII)
_LEAF = tuple[str, str, str, int, str, str, str, str, bool, str, str, str, str]


class Proof(NamedTuple):
    """A proof by its parts. `hashes` is the audit path (leaf's sibling first) of one leaf where `audit`, else a multiproof."""

    leaves: dict[int, bytes]
    hashes: list[bytes]
    audit: bool
    checkpoint: str
    """A signed note, or a checkpoint's text alone."""


def parse_leaf(data: bytes) -> Leaf:
    """A leaf from its exact bytes. Raises `ValueError` for any that no snapshot writes."""
    try:
        plain = json.loads(data)
        version, *fields = msgspec.convert(plain, _LEAF)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise ValueError(f"{data[:60]!r} is no leaf: {error}") from error
    if version != LEAF_VERSION or canonical_json(plain) != data:
        raise ValueError(f"a leaf is of version {version[:40]!r} or not in canonical form; {LEAF_VERSION!r} is known")
    return Leaf._make(fields)


def _best(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """The leaf that survives among those of one key: best attested, earliest end, payload digest, index."""

    def order(row: dict[str, Any]) -> tuple[Any, ...]:
        end = row["date_end"]
        return (
            -ATTESTATIONS.index(row["attestation"]),
            end is None,
            identity.moment(end),
            row["payload_digest"] or "~",
            row["index"],
        )

    return min(rows, key=order)


def _find(opened: Opened, keys: Sequence[str]) -> list[dict[str, Any]]:
    """The best leaf of each key, in order of the tree. Raises `UsageError` for keys that have none, or a redacted one."""
    wanted = pa.array(sorted(set(keys)), pa.string())
    rows: dict[str, list[dict[str, Any]]] = {}
    for url in opened.files("leaves"):
        for batch in tables.batches(url, LEAVES.names):
            for row in batch.filter(pc.is_in(batch.column("key"), wanted)).to_pylist():
                rows.setdefault(row["key"], []).append(row)
    if lacking := sorted(set(keys) - rows.keys()):
        raise UsageError(
            f"snapshot {opened.id} has no document {', '.join(lacking[:5])}{' ...' if len(lacking) > 5 else ''}; nothing of it can be proven. "
            "Take keys from `query SNAPSHOT 'select key, url from documents'`."
        )
    found = []
    for key in sorted(rows):
        held = [row for row in rows[key] if row["redacted"] is None]
        if not held:
            raise UsageError(
                f"document {key} was redacted ({rows[key][0]['redacted']}): only its leaf's hash is left, which says nothing. Leave it out."
            )
        found.append(_best(held))
    return sorted(found, key=lambda row: int(row["index"]))


def prove(opened: Opened, keys: Sequence[str]) -> Proof:
    """Proof of the best leaf of each key; the leaves are read twice, and the memory is that of the proof.

    Raises `UsageError` for keys that cannot be proven, `CheckFailed` where the leaves are not those of the manifest.
    """
    rows = _find(opened, keys)
    size, root = int(opened.manifest["tree"]["size"]), opened.manifest["tree"]["root"]
    leaves = dict(zip((int(row["index"]) for row in rows), leaf_bytes(pa.Table.from_pylist(rows, schema=LEAVES)), strict=True))
    indices, audit = sorted(leaves), len(leaves) == 1
    wrong = [row["key"] for row in rows if leaf_hash(leaves[row["index"]]).hex() != row["leaf"]]
    try:
        ranges = identity.audit_ranges(size, indices[0]) if audit else list(identity.absent_ranges(size, indices))
        proof = Proof(leaves, identity.subtree_roots(hashes(opened.files("leaves")), ranges), audit, _vouched(opened))
        whole = len(indices) == len(rows) and _root(proof, size).hex() == root
    except ValueError:
        whole = False
    if not whole:
        raise CheckFailed(
            f"the leaves of {opened.url} do not give the tree of its manifest{': ' + wrong[0] if wrong else ''}, so nothing can be proven by them. "
            f"Run `lowbackground verify {opened.url}`; it names the file."
        )
    return proof


def _vouched(opened: Opened) -> str:
    """The snapshot's signed checkpoint, or its text alone where nobody signed."""
    if checkpoint.check_file(opened) is None:
        return checkpoint.of(opened, UNSIGNED).text()
    return files.read_bytes(files.join(opened.url, checkpoint.path(opened.id))).decode()


def _root(proof: Proof, size: int) -> bytes:
    """The root that a proof gives. Raises `ValueError` where it does not fit a tree of this size."""
    hashes = {index: leaf_hash(data) for index, data in proof.leaves.items()}
    if not proof.audit:
        return identity.multiproof_root(size, hashes, proof.hashes)
    ((index, leaf),) = hashes.items()
    return identity.inclusion_root(index, size, leaf, proof.hashes)


def encode(proof: Proof) -> bytes:
    """The proof as its file holds it."""
    if proof.audit:
        ((index, data),) = proof.leaves.items()
        head = [HEADER, f"extra {base64.b64encode(data).decode()}", f"index {index}"]
        lines = [*head, *(base64.b64encode(one).decode() for one in proof.hashes), "", proof.checkpoint]
        return "\n".join(lines).encode()
    return canonical_json(
        {
            "format": FORMAT,
            "leaves": [{"index": index, "leaf": data.decode()} for index, data in sorted(proof.leaves.items())],
            "hashes": [one.hex() for one in proof.hashes],
            "checkpoint": proof.checkpoint,
        }
    )


class _One(msgspec.Struct, forbid_unknown_fields=True):
    index: int
    leaf: str


class _Many(msgspec.Struct, forbid_unknown_fields=True):
    format: str
    leaves: list[_One]
    hashes: list[str]
    checkpoint: str


def decode(data: bytes) -> Proof:
    """A proof from its file. Raises `ValueError` for any other spelling than `encode` gives; proves nothing."""
    if len(data) > LIMIT:
        raise ValueError(f"it has {len(data)} bytes, more than {LIMIT}")
    proof = _decode_one(data.decode()) if data.startswith(HEADER.encode()) else _decode_many(data)
    if encode(proof) != data:
        raise ValueError("its spelling is not the one that proofs have")
    if any(len(one) != 32 for one in proof.hashes):
        raise ValueError("one of its hashes has not 32 bytes")
    return proof


def _decode_one(text: str) -> Proof:
    head, _, signed = text.partition("\n\n")
    _, *lines = head.split("\n")
    if len(lines) < 2 or not lines[0].startswith("extra ") or not lines[1].startswith("index "):
        raise ValueError("it has no line `extra` with a leaf and no line `index`; a proof of this project has both")
    if not _INDEX.fullmatch(number := lines[1].removeprefix("index ")):
        raise ValueError(f"its index {number[:30]!r} is no number")
    leaf = notes.decode(lines[0].removeprefix("extra "))
    return Proof({int(number): leaf}, [notes.decode(line) for line in lines[2:]], True, signed)


def _decode_many(data: bytes) -> Proof:
    try:
        made = msgspec.convert(json.loads(data), _Many)
    except (ValueError, RecursionError, msgspec.ValidationError) as error:
        raise ValueError(f"it is neither a tlog-proof nor a proof in JSON ({error})") from error
    if made.format != FORMAT or len(made.leaves) < 2:
        raise ValueError(
            f"it is of format {made.format[:40]!r} with {len(made.leaves)} leaves, and {FORMAT!r} with two or more is known"
        )
    leaves = {one.index: one.leaf.encode() for one in made.leaves}
    return Proof(leaves, [bytes.fromhex(one) for one in made.hashes], False, made.checkpoint)


def check_proof(proof: Proof) -> tuple[Checkpoint, dict[int, Leaf]]:
    """What a proof's checkpoint says and its leaves, if these give the checkpoint's root. Raises `ValueError`.

    Whoever made the file wrote the checkpoint: it has to be held against a trusted id or key afterwards.
    """
    text = notes.parse(proof.checkpoint.encode()).text if "\n\n" in proof.checkpoint else proof.checkpoint
    said = checkpoint.parse(text)
    leaves = {index: parse_leaf(data) for index, data in proof.leaves.items()}
    root = _root(proof, said.size)
    if root != said.root:
        raise ValueError(f"its leaves and hashes give the root {root.hex()}, and its checkpoint says {said.root.hex()}")
    return said, leaves


def write_proof(opened: Opened, keys: Sequence[str], out_url: str) -> dict[str, Any]:
    """Writes the proof of these documents to `out_url`, and the manifest beside it; returns a summary.

    Raises as `prove`, and `UsageError` for what is no key or a thing that has no tree.
    """
    keys = list(dict.fromkeys(key.strip().lower() for key in keys))
    if opened.kind != "snapshot":
        raise UsageError(f"{opened.url} is a {opened.kind}; only a snapshot has a tree to prove documents by. Name a snapshot.")
    if not keys or not all(map(_KEY.fullmatch, keys)):
        raise UsageError(f"--prove {','.join(keys)[:100]!r} names no keys; a key has 32 hexadecimal digits. `query` shows them.")
    proof = prove(opened, keys)
    manifest = files.read_bytes(files.join(opened.url, MANIFESTS, f"{opened.id}.json"))
    files.write_bytes(out_url, data := encode(proof))
    files.write_bytes(out_url + MANIFEST, manifest)
    signed = "\n\n" in proof.checkpoint
    return {
        "kind": "proof",
        "target": opened.url,
        "id": opened.id,
        "out": out_url,
        "bytes": len(data),
        "signed": signed,
        "documents": len(proof.leaves),
        "line": f"{len(proof.leaves):,} document{'s'[: len(proof.leaves) != 1]} of snapshot {opened.id[:12]} proven in {len(data):,} bytes; "
        + ("its signer's key checks it, or" if signed else "nobody signed the snapshot:")
        + f" its id with {out_url + MANIFEST}",
    }


def verify_proof(url: str, anchor: str | None = None, vkeys: Iterable[str] = ()) -> dict[str, Any]:
    """Checks a proof file against a snapshot id and verifier keys that the user trusts; returns a summary.

    The summary has `wrong`, `missing`, `extra` and `why` as `verify` prints them, `anchored` (whether a trusted id or key
    vouches for it) and the proven `documents`. Raises `UsageError` for keys that are none; `FileNotFoundError`.
    """
    known = notes.verifiers(vkeys)
    found: dict[str, Any] = {"kind": "proof", "target": url, "id": None, "anchor": anchor, "anchored": False, "signed_by": []}
    found |= {"documents": [], "wrong": [], "missing": [], "extra": [], "why": {}}
    try:
        proof = decode(files.read_bytes(url))
        said, leaves = check_proof(proof)
        found["id"] = said.snapshot
        if known:
            found["signed_by"] = [key.name for key in checkpoint.verify(proof.checkpoint.encode(), known, url)[1]]
        if anchor and anchor != said.snapshot:
            raise ValueError(f"it is of snapshot {said.snapshot}, and the anchor is {anchor}")
    except (ValueError, CheckFailed) as error:
        return found | {"wrong": [url], "why": {url: str(error)}, "line": "nothing is proven"}
    if anchor and not known:
        _hold(found, url, anchor, proof, said)
    whole = not (found["wrong"] or found["missing"])
    found["documents"] = [{"index": index, **leaf._asdict()} for index, leaf in sorted(leaves.items())] if whole else []
    found["anchored"] = whole and bool(anchor or known)
    by = f", signed by {' and '.join(found['signed_by'])}" if found["signed_by"] else ""
    proven = f"{len(leaves):,} document{'s stand' if len(leaves) != 1 else ' stands'} in snapshot {said.snapshot[:12]}{by}: {_levels(leaves.values())}"
    return found | {"line": proven if whole else "nothing is proven"}


def _hold(found: dict[str, Any], url: str, anchor: str, proof: Proof, said: Checkpoint) -> None:
    """Holds the checkpoint against the manifest beside the proof, whose digest must be the anchor, and against its signers."""
    where = url + MANIFEST
    try:
        data = files.read_bytes(where)
        if sha256_hex(data) != anchor:
            raise ValueError(f"it is the manifest of {sha256_hex(data)}, and the anchor is {anchor}")
        manifest = parse(data, where)
        if (manifest["kind"], manifest["tree"]["size"], manifest["tree"]["root"]) != ("snapshot", said.size, said.root.hex()):
            raise ValueError("its tree is another than the proof's")
    except FileNotFoundError:
        found["missing"].append(where)
        found["why"][where] = (
            "an id vouches for a manifest, and none lies beside the proof; copy it there, or give the signer's key"
        )
        return
    except (ValueError, CheckFailed) as error:
        found["wrong"].append(where)
        found["why"][where] = str(error)
        return
    try:
        if signers := notes.verifiers(manifest.get("signers") or []):
            found["signed_by"] = [key.name for key in checkpoint.verify(proof.checkpoint.encode(), signers, url)[1]]
        elif proof.checkpoint != said._replace(origin=UNSIGNED).text():
            raise ValueError(f"nobody signed this snapshot, and its checkpoint is not of the origin {UNSIGNED}")
    except (ValueError, CheckFailed, UsageError) as error:
        found["wrong"].append(url)
        found["why"][url] = str(error)


def _levels(leaves: Iterable[Leaf]) -> str:
    """How many of the leaves have each attestation, and may count as human."""
    counts: dict[str, int] = {}
    for leaf in leaves:
        name = f"{leaf.attestation} by {leaf.witness}" + ("" if leaf.eligible else ", not eligible as human")
        counts[name] = counts.get(name, 0) + 1
    return "; ".join(f"{number:,} {name}" for name, number in sorted(counts.items()))
