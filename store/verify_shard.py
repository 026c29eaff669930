"""Checks one shard of a mix from its own rows: the floor after each row, and each human document against a proven leaf.

Shares nothing with what writes shards but hashing, schemas and the readers of the formats.
"""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.identity import Leaf
from provenance.schema import ORIGINS

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
REQUIRED = ("text", "key", "origin", "attestation", "chunk", "chunks", "epoch", "stratum")
STRATA = 10_000
"""Most strata that a mix may have."""


class Wrong(ValueError):
    """A statement of a file that does not hold, in words."""


@dataclass(frozen=True)
class Terms:
    """What the rows of a mix are held to."""

    floor: Fraction
    units: tuple[str, ...]
    minimum: int
    """Rank of the weakest attestation that counts as human."""
    cutoff: datetime
    chunk_bytes: int
    epochs: int
    tree_size: int
    tree_root: str


def moment(text: str) -> datetime:
    """The instant of an ISO 8601 text; one without a zone is UTC. Raises `ValueError`."""
    found = datetime.fromisoformat(text)
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


@dataclass
class Found:
    """What a shard's rows add up to."""

    rows: int = 0
    counts: dict[str, Any] = field(default_factory=dict)
    units: dict[str, dict[str, int]] = field(default_factory=dict)
    keys: bytes = b""
    """The keys of its documents, 32 characters each, a repeated document once."""
    digests: bytes = b""
    """First 16 bytes of the text digests of its human documents."""
    text_bytes: int = 0
    unverified: int = 0
    """Human documents whose texts could not be held to their leaves without the snapshot."""


@dataclass
class _Open:
    """A document of which more chunks must come."""

    origin: str
    attestation: str
    chunks: int
    size: int
    next: int = 0
    hash: Any = None


class Rows:
    """Takes the rows of one shard in order; raises `Wrong` at the first that does not hold."""

    def __init__(self, terms: Terms, leaves: dict[str, Leaf], tokenizer: Any):
        self.terms, self.leaves, self.tokenizer = terms, leaves, tokenizer
        self.found = Found()
        self.open: dict[tuple[str, int], _Open] = {}
        self.passes: Counter[str] = Counter()
        self.surplus = dict.fromkeys(terms.units, 0)
        self.least: dict[str, int] = {}
        self.totals = {unit: {"human": 0, "total": 0} for unit in terms.units}
        self.measures = ("rows", "documents", "bytes", *(("tokens",) if "tokens" in terms.units else ()))
        groups = ("origins", "strata", "attestations", "witnesses", "years")
        self.counts: dict[str, dict[str, Counter[str]]] = {name: {} for name in groups}
        self.keys: list[bytes] = []

    def take(self, batch: pa.RecordBatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Checks the next rows of the shard; returns human units and all units of each, by unit."""
        for name in REQUIRED:
            if batch.column(name).null_count:
                raise Wrong(f"column {name} has no value in one of the rows from {self.found.rows}")
        _check_labels(batch)
        check_keys(batch.column("key"))
        human = pc.equal(batch.column("origin"), "human").to_numpy(zero_copy_only=False)
        sizes = pc.binary_length(batch.column("text")).to_numpy().astype(np.int64)
        chunk, chunks, epoch = (batch.column(name).to_numpy() for name in ("chunk", "chunks", "epoch"))
        if ((chunk < 0) | (chunk >= chunks) | (epoch < 0) | (epoch >= np.where(human, self.terms.epochs, 1))).any():
            raise Wrong(f"the chunk or epoch of one of the rows from {self.found.rows} is out of range")
        if int(sizes.max(initial=0)) > self.terms.chunk_bytes:
            raise Wrong(f"one of the rows from {self.found.rows} is longer than a chunk of {self.terms.chunk_bytes} bytes")
        lengths = self._lengths(batch, human, sizes, chunk, chunks)
        self._floor(human, lengths)
        self._documents(batch, human, chunk, chunks, epoch, sizes)
        self._count(batch, human, lengths, chunk)
        self.found.rows += batch.num_rows
        self.found.text_bytes += int(sizes.sum())
        return {unit: (np.where(human, lengths[unit], 0), lengths[unit]) for unit in self.terms.units}

    def _lengths(
        self, batch: pa.RecordBatch, human: np.ndarray, sizes: np.ndarray, chunk: np.ndarray, chunks: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Units of each row. A human document counts at its last chunk, any other at its first: neither can be claimed
        early or late."""
        lengths = {"bytes": sizes, "documents": np.where(human, chunk == chunks - 1, chunk == 0).astype(np.int64)}
        if self.tokenizer is not None:
            lengths["tokens"] = self.tokenizer.counts(batch.column("text").to_pylist())
        return lengths

    def _floor(self, human: np.ndarray, lengths: dict[str, np.ndarray]) -> None:
        p, q = self.terms.floor.numerator, self.terms.floor.denominator
        for unit in self.terms.units:
            total = lengths[unit]
            ours = np.where(human, total, 0)
            kind: Any = np.int64 if int(total.sum()) * q < 1 << 62 else object
            after = np.cumsum(ours.astype(kind) * q - total.astype(kind) * p)
            if not len(after):
                continue
            least = self.surplus[unit] + int(after.min())
            if least < 0:
                raise Wrong(
                    f"after row {self.found.rows + int(after.argmin())} human {unit} are below {self.terms.floor} of all so far"
                )
            self.least[unit] = min(least, self.least.get(unit, least))
            self.surplus[unit] += int(after[-1])
            self.totals[unit]["human"] += int(ours.sum())
            self.totals[unit]["total"] += int(total.sum())

    def _documents(
        self, batch: pa.RecordBatch, human: np.ndarray, chunk: np.ndarray, chunks: np.ndarray, epoch: np.ndarray, sizes: np.ndarray
    ) -> None:
        """Joins chunks, and holds each human document to its leaf."""
        keys, column = batch.column("key").to_pylist(), batch.column("attestation")
        attestations = column.to_pylist()
        dates = batch.column("date").cast(pa.int64()).to_pylist()
        text = batch.column("text")
        offsets = np.frombuffer(text.buffers()[1], np.int32)[text.offset : text.offset + len(text) + 1].tolist()
        data = memoryview(text.buffers()[2] or b"")
        whole = ~human & (chunks == 1)
        self.keys += [keys[i].encode() for i in np.flatnonzero(whole).tolist()]
        if set(pc.unique(column.filter(pa.array(~human))).to_pylist()) - {"none"}:
            raise Wrong(f"one of the rows from {self.found.rows} that are not human has an attestation, which no leaf proves")
        lengths, parts, passes = sizes.tolist(), chunks.tolist(), epoch.tolist()  # a list gives its items faster than an array
        for i in np.flatnonzero(human).tolist():
            key = keys[i]
            leaf = self.leaves.get(key)
            if leaf is None:
                raise Wrong(f"row {self.found.rows + i} is tagged human and no leaf of the snapshot proves document {key}")
            if leaf.attestation != attestations[i] or dates[i] != _microseconds(leaf.date):
                raise Wrong(f"row {self.found.rows + i} shows another attestation or date than the proven leaf of document {key}")
            if parts[i] == 1:
                self._proven(leaf, hashlib.sha256(data[offsets[i] : offsets[i + 1]]).hexdigest(), lengths[i], passes[i])
        for i in np.flatnonzero(chunks > 1).tolist():
            made = (("human" if human[i] else "other"), attestations[i], parts[i])
            self._chunk(keys[i], passes[i], int(chunk[i]), made, data[offsets[i] : offsets[i + 1]])

    def _chunk(self, key: str, epoch: int, chunk: int, made: tuple[str, str, int], data: memoryview) -> None:
        """The next chunk of a document of several."""
        name = (key, epoch)
        document = self.open.get(name)
        if document is None:
            document = self.open[name] = _Open(*made, size=0, hash=hashlib.sha256() if made[0] == "human" else None)
        if (document.origin, document.attestation, document.chunks) != made or document.next != chunk:
            raise Wrong(f"the chunks of document {key} are not all there in order: {chunk} comes where {document.next} is due")
        document.next, document.size = chunk + 1, document.size + len(data)
        if document.hash:
            document.hash.update(data)
        if document.next == document.chunks:
            del self.open[name]
            if document.hash:
                self._proven(self.leaves[key], document.hash.hexdigest(), document.size, epoch)
            else:
                self.keys.append(key.encode())

    def _proven(self, leaf: Leaf, digest: str, size: int, epoch: int) -> None:
        """A whole human document: its text must be the leaf's, and its epochs must come one after the other."""
        if (digest, size) != (leaf.text_sha256, leaf.text_bytes):
            raise Wrong(f"the text of document {leaf.key} is not the one that the snapshot's leaf binds")
        if self.passes[leaf.key] != epoch:
            raise Wrong(f"document {leaf.key} stands in the shard as epoch {epoch} where {self.passes[leaf.key]} is due")
        self.passes[leaf.key] += 1

    def _count(self, batch: pa.RecordBatch, human: np.ndarray, lengths: dict[str, np.ndarray], chunk: np.ndarray) -> None:
        measured = {"rows": np.ones(len(human), np.int64), "documents": (chunk == 0).astype(np.int64), "bytes": lengths["bytes"]}
        measured |= {"tokens": lengths["tokens"]} if "tokens" in lengths else {}
        everything = np.ones(len(human), bool)
        self._group("origins", batch.column("origin"), measured, everything)
        self._group("strata", batch.column("stratum"), measured, everything)
        self._group("attestations", batch.column("attestation"), measured, human)
        of = [self.leaves[key] for key in batch.column("key").filter(pa.array(human)).to_pylist()]
        ours = {unit: values[human] for unit, values in measured.items()}
        self._group("witnesses", pa.array([leaf.witness for leaf in of], pa.string()), ours, everything[: len(of)])
        self._group("years", pa.array([year(leaf) for leaf in of], pa.string()), ours, everything[: len(of)])
        if len(self.counts["strata"]) > STRATA:
            raise Wrong(f"the rows name more than {STRATA:,} strata")

    def _group(self, name: str, labels: pa.Array, measured: Mapping[str, np.ndarray], among: np.ndarray) -> None:
        encoded = labels.dictionary_encode()
        codes = encoded.indices.to_numpy()[among]
        # A batch's units are far below 2^53, where sums of doubles are exact.
        sums = {unit: np.bincount(codes, values[among]).astype(np.int64).tolist() for unit, values in measured.items()}
        for code in np.unique(codes).tolist():
            group = self.counts[name].setdefault(encoded.dictionary[code].as_py(), Counter())
            group.update({unit: values[code] for unit, values in sums.items()})

    def end(self) -> Found:
        """What the rows added up to, after the last one. Raises `Wrong` for documents that are not whole or stand twice."""
        if self.open:
            key, _ = min(self.open)
            raise Wrong(f"document {key} ends before its last chunk")
        if unused := self.leaves.keys() - self.passes.keys():
            raise Wrong(f"{len(unused)} human documents that the proof lists are not in the shard, such as {min(unused)}")
        found = self.found
        found.keys = b"".join([*self.keys, *(key.encode() for key in self.passes)])
        found.digests = b"".join(bytes.fromhex(leaf.text_sha256)[:16] for leaf in self.leaves.values())
        for unit, totals in self.totals.items():
            found.units[unit] = totals | {"minimum_surplus": self.least.get(unit, 0), "final_surplus": self.surplus[unit]}
        origins = self.counts["origins"].values()
        found.counts = {unit: sum(group[unit] for group in origins) for unit in self.measures}
        for name, groups in self.counts.items():
            found.counts[name] = {label: dict(group) for label, group in sorted(groups.items())}
        return found


def check_keys(keys: pa.Array) -> None:
    """Raises `Wrong` unless all keys are as long as keys are: a repeated one is looked for at multiples of their length."""
    if pc.any(pc.not_equal(pc.binary_length(keys), 32)).as_py():
        raise Wrong("a key is not 32 characters long")


def _check_labels(batch: pa.RecordBatch) -> None:
    """Raises `Wrong` for an origin that is none, or a stratum of another origin than its row's."""
    pairs = pa.table({name: batch.column(name) for name in ("origin", "stratum")}).group_by(["origin", "stratum"]).aggregate([])
    for origin, stratum in zip(pairs["origin"].to_pylist(), pairs["stratum"].to_pylist(), strict=True):
        if origin not in ORIGINS:
            raise Wrong(f"a row has the origin {origin[:40]!r}, which is none")
        if stratum.partition("/")[0] != origin:
            raise Wrong(f"a row of origin {origin} has the stratum {stratum[:40]!r}, which is one of another origin")


def year(leaf: Leaf) -> str:
    """The year, in UTC, in which the capture of a leaf began; `none` where it shows no time."""
    return f"{moment(leaf.date).year:04d}" if leaf.date else "none"


def _microseconds(text: str) -> int | None:
    return (moment(text) - EPOCH) // timedelta(microseconds=1) if text else None


def repeated(names: Sequence[bytes], width: int) -> bytes | None:
    """A name that stands twice among fixed-width names, or None. Takes `width` bytes of memory per name, twice."""
    kind = np.dtype((np.void, width))
    ordered = np.sort(np.frombuffer(b"".join(names), dtype=f"S{width}"))
    twice = np.flatnonzero(ordered[1:] == ordered[:-1])
    return ordered[twice[0] : twice[0] + 1].view(kind)[0].tobytes() if len(twice) else None
