"""Checks one shard of packed tokens from its own rows: whose each position is, the floor after each span, and the tokens of each
human document against a proven leaf.

A text's tokens are what the mix's tokenizer gives for it, so they are decoded, the text's digest is held to the leaf's, and the text
is encoded again: neither other words nor more tokens for the same words can stand for it. Shares nothing with what packs tokens but
schemas and the reader of the format.
"""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.identity import Leaf, canonical_json
from provenance.schema import ORIGINS
from store import files, tables
from store.verify_shard import EPOCH, STRATA, Found, Terms, Wrong, check_keys, moment, year

REQUIRED = ("start", "stop", "offset", "tokens", "key", "origin", "attestation", "epoch", "stratum")
LABELS = ("key", "id", "origin", "attestation", "epoch", "url", "date", "language", "stratum", "tokens")
"""Fields of a span that say the same in all spans of a document."""

IDS = 1 << 24
"""Ids have to lie below; the largest vocabularies have a fiftieth of that."""

PENDING = 1 << 26
"""Tokens of the documents whose texts are looked up together: each time all of the snapshot may have to be read."""

ROWS = 4096
"""Rows of a snapshot's file that are read at once."""


class Encoder:
    """The tokenizer that travels with a mix. Raises `Wrong` or `ValueError` for a file that is none.

    It must neither cut nor pad texts. Ids of special tokens are left out of what it gives for a text.
    """

    def __init__(self, data: bytes):
        import tokenizers

        stated = json.loads(data)
        if canonical_json(stated) != data or stated.keys() != {"tokenizer", "boundary", "end", "pad", "specials"}:
            raise Wrong("it is not a tokenizer as a mix has it: canonical JSON of tokenizer, boundary, end, pad and specials")
        try:
            self._made = tokenizers.Tokenizer.from_str(stated["tokenizer"])
        except Exception as error:  # the library raises bare exceptions; SystemExit and KeyboardInterrupt pass
            raise Wrong(f"its tokenizer does not load: {error}") from error
        if self._made.truncation or self._made.padding:
            raise Wrong("its tokenizer cuts or pads texts, so that their tokens are not all counted")
        if getattr(self._made.model, "dropout", None):
            raise Wrong("its tokenizer merges by chance (dropout), so that a text has other tokens each time")
        self._made.encode_special_tokens = True
        self.boundary, self.end, self.pad = (stated[name] for name in ("boundary", "end", "pad"))
        vocabulary = self._made.get_vocab(with_added_tokens=True).values()
        self.specials = frozenset(stated["specials"])
        if not all(0 <= id_ < IDS for id_ in {*vocabulary, *self.specials}):
            raise Wrong(f"its tokenizer has an id that is not below {IDS:,}")
        self.plain = np.zeros(max({*vocabulary, *self.specials}, default=-1) + 1, bool)
        """Which ids may stand for text."""
        self.plain[list(vocabulary)] = True
        self.plain[list(self.specials)] = False

    def encode(self, text: str) -> np.ndarray:
        """Ids of a text, int32."""
        ids = np.array(self._made.encode_batch_fast([text], add_special_tokens=False)[0].ids, np.int32)
        return ids[self.plain[ids]]

    def counts(self, texts: Sequence[str]) -> np.ndarray:
        """Tokens of each text, int64."""
        return np.array([len(self.encode(text)) for text in texts], np.int64)

    def decode(self, ids: np.ndarray) -> str:
        """The text of some ids."""
        text: str = self._made.decode(ids.tolist(), skip_special_tokens=False)
        return text


@functools.lru_cache(maxsize=1)
def _encoder(data: bytes) -> Encoder:
    """A large vocabulary takes a second to load, and each shard asks for it."""
    return Encoder(data)


@dataclass
class _Spans:
    """The spans of some rows in order: `row` is counted from the first of them, the rest are columns of `SPANS`."""

    row: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    offset: np.ndarray
    tokens: np.ndarray
    human: np.ndarray
    columns: pa.StructArray

    @property
    def sizes(self) -> np.ndarray:
        return self.stop - self.start


@dataclass
class _Open:
    """A document of which more tokens must come."""

    labels: tuple[Any, ...]
    next: int = 0
    ids: list[np.ndarray] = field(default_factory=list)


class TokenRows:
    """Takes the packed rows of one shard in order; raises `Wrong` at the first that does not hold.

    `tokenizer` is the file that travels with the mix. `texts` is the folder of the snapshot, for documents whose tokens do not give
    their text back; those that it does not have, or all without it, are counted as `unverified`.
    """

    def __init__(self, terms: Terms, leaves: dict[str, Leaf], tokenizer: bytes, texts: str | None = None):
        self.terms, self.leaves, self.texts = terms, leaves, texts
        self.encoder = _encoder(tokenizer)
        special = {self.encoder.boundary, self.encoder.end, self.encoder.pad}
        if not special <= self.encoder.specials:
            raise Wrong("its tokenizer has no special tokens for the boundary, the end and the padding of packed rows")
        self.found = Found()
        self.length, self.padded = 0, False
        self.open: dict[tuple[str, int], _Open] = {}
        self.passes: Counter[str] = Counter()
        self.known: dict[str, bytes] = {}
        self.pending: dict[str, np.ndarray] = {}
        self.held = 0
        self.keys: list[bytes] = []
        self.surplus, self.least, self.human, self.total = 0, None, 0, 0  # type: int, int | None, int, int
        groups = ("origins", "strata", "attestations", "witnesses", "years")
        self.counts: dict[str, dict[str, Counter[str]]] = {name: {} for name in groups}

    def take(self, batch: pa.RecordBatch) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Checks the next rows of the shard; returns human tokens and all tokens of each."""
        ids = self._ids(batch)
        spans = self._spans(batch.column("spans"))
        self._places(ids, spans)
        lengths = self._floor(spans, len(ids))
        self._documents(ids, spans)
        self._count(spans)
        self.found.rows += len(ids)
        return {"tokens": lengths}

    def _ids(self, batch: pa.RecordBatch) -> np.ndarray:
        """The ids, of shape (rows, length)."""
        packed = batch.column("input_ids")
        lengths = pc.list_value_length(packed)
        self.length = self.length or int(pc.max(lengths).as_py() or 0)
        if packed.null_count or pc.any(pc.not_equal(lengths, self.length)).as_py() or self.length < 2:
            raise Wrong(f"one of the rows from {self.found.rows} is not of {self.length} tokens")
        flat = packed.flatten()
        if flat.null_count:
            raise Wrong(f"one of the rows from {self.found.rows} has a token without a value")
        if self.padded and batch.num_rows:
            raise Wrong(f"row {self.found.rows - 1} is filled with padding, and rows follow")
        return flat.to_numpy().reshape(batch.num_rows, self.length)

    def _spans(self, column: pa.ListArray) -> _Spans:
        columns = column.flatten()
        if column.null_count or columns.null_count or any(columns.field(name).null_count for name in REQUIRED):
            raise Wrong(f"one of the spans from row {self.found.rows} lacks a value")
        pairs = (
            pa.table({name: columns.field(name) for name in ("origin", "stratum")}).group_by(["origin", "stratum"]).aggregate([])
        )
        for origin, stratum in zip(pairs["origin"].to_pylist(), pairs["stratum"].to_pylist(), strict=True):
            if origin not in ORIGINS or stratum.partition("/")[0] != origin:
                raise Wrong(f"a span has the origin {origin[:40]!r} and the stratum {stratum[:40]!r}, which is no such pair")
        check_keys(columns.field("key"))
        row = pc.list_parent_indices(column).to_numpy().astype(np.int64)
        start, stop, offset, tokens = (columns.field(name).to_numpy().astype(np.int64) for name in REQUIRED[:4])
        human = pc.equal(columns.field("origin"), "human").to_numpy(zero_copy_only=False)
        return _Spans(row, start, stop, offset, tokens, human, columns)

    def _places(self, ids: np.ndarray, spans: _Spans) -> None:
        """Holds every position to be in one span, with an id that may stand for text, or to have the special id that belongs there."""
        rows, length, base = len(ids), self.length, self.found.rows
        row, start, stop = spans.row, spans.start, spans.stop
        empty = start == stop
        odd = (start < 1) | (stop < start) | (stop > length) | (spans.offset < 0) | (spans.offset + spans.sizes > spans.tokens)
        odd |= empty & (spans.tokens > 0)
        first = np.diff(row, prepend=-1) > 0
        # One id divides two spans. Only after an empty one at the beginning of a row, where the boundary token stands already, is there none.
        before = np.concatenate([[1], stop])[: len(stop)]
        odd |= start != np.where(first | (before == 1), 1, before + 1)
        if odd.any():
            raise Wrong(
                f"the spans of row {base + int(row[odd.argmax()])} do not follow each other as those of packed documents do"
            )
        ends = np.zeros(rows, np.int64)
        np.maximum.at(ends, row, stop)
        if (ends == 0).any():
            raise Wrong(f"row {base + int((ends == 0).argmax())} is in no document's span")
        if (ends[:-1] < length - 1).any():
            raise Wrong(f"row {base + int((ends < length - 1).argmax())} is filled with padding, and rows follow")
        self.padded = bool(rows and ends[-1] < length - 1)
        wanted = np.full((rows, length), self.encoder.pad, np.int64)
        wanted[:, 0] = self.encoder.boundary
        closes = (stop < length) & (stop > 1)
        whole = spans.offset + spans.sizes == spans.tokens
        wanted[row[closes], stop[closes]] = np.where(whole, self.encoder.end, self.encoder.boundary)[closes]
        edges = np.zeros((rows, length + 1), np.int32)
        np.add.at(edges, (row, start), 1)
        np.add.at(edges, (row, stop), -1)
        inside = np.cumsum(edges[:, :length], axis=1) > 0
        known = (ids >= 0) & (ids < len(self.encoder.plain))
        text = known & self.encoder.plain[np.where(known, ids, 0)]
        wrong = np.where(inside, ~text, ids != wanted).any(axis=1)
        if wrong.any():
            at = int(wrong.argmax())
            raise Wrong(f"row {base + at} has a special token inside a document, or none where one belongs")

    def _floor(self, spans: _Spans, rows: int) -> tuple[np.ndarray, np.ndarray]:
        """Holds the floor after each span: inside one the surplus only rises or only falls, so it then holds at every position. Human
        tokens and all tokens of each row."""
        p, q = self.terms.floor.numerator, self.terms.floor.denominator
        ours, everything = np.where(spans.human, spans.sizes, 0), spans.sizes
        kind: Any = np.int64 if int(everything.sum()) * q + self.surplus < 1 << 62 else object
        after = self.surplus + np.cumsum(ours.astype(kind) * q - everything.astype(kind) * p)
        if (after < 0).any():
            row = self.found.rows + int(spans.row[(after < 0).argmax()])
            raise Wrong(f"in row {row} human tokens are below {self.terms.floor} of all so far")
        if len(after):
            ends = after[np.append(np.flatnonzero(np.diff(spans.row)), len(after) - 1)]
            self.least = int(ends.min()) if self.least is None else min(self.least, int(ends.min()))
            self.surplus = int(after[-1])
        # Sums of doubles are exact: a row has far less than 2^53 tokens.
        human, total = (np.bincount(spans.row, of, rows).astype(np.int64) for of in (ours, everything))
        self.human += int(human.sum())
        self.total += int(total.sum())
        return human, total

    def _documents(self, ids: np.ndarray, spans: _Spans) -> None:
        """Joins the spans of each document, and holds a human one to its leaf."""
        fields = [spans.columns.field(name) for name in LABELS]
        labels = [of.cast(pa.int64()).to_pylist() if pa.types.is_timestamp(of.type) else of.to_pylist() for of in fields]
        places = (column.tolist() for column in (spans.row, spans.start, spans.stop, spans.offset, spans.human))
        for label, row, start, stop, offset, human in zip(zip(*labels, strict=True), *places, strict=True):
            key, epoch, tokens = label[0], label[4], label[-1]
            document = self.open.get((key, epoch))
            if document is None:
                self._begins(self.found.rows + row, label, human)
                document = self.open[key, epoch] = _Open(label)
            if document.labels != label or document.next != offset:
                raise Wrong(
                    f"the spans of document {key} do not follow each other: token {offset} of {tokens} comes where {document.next} of "
                    f"{document.labels[-1]} is due, or they say different things of it"
                )
            document.next += stop - start
            if human:
                document.ids.append(ids[row, start:stop].copy())
            if document.next == tokens:
                del self.open[key, epoch]
                if human:
                    self._whole(self.leaves[key], np.concatenate(document.ids), epoch)
                else:
                    self.keys.append(key.encode())

    def _begins(self, row: int, label: tuple[Any, ...], human: bool) -> None:
        """Holds what the first span of a document says to the leaf."""
        key, _, _, attestation, epoch, _, date, *_ = label
        if not human:
            if attestation != "none" or epoch:
                raise Wrong(f"row {row} gives document {key}, which is not human, an attestation or an epoch, which no leaf proves")
            return
        leaf = self.leaves.get(key)
        if leaf is None:
            raise Wrong(f"row {row} has a span tagged human, and no leaf of the snapshot proves document {key}")
        if not 0 <= epoch < self.terms.epochs:
            raise Wrong(f"row {row} has document {key} in epoch {epoch}, and there are {self.terms.epochs}")
        captured = (moment(leaf.date) - EPOCH) // timedelta(microseconds=1) if leaf.date else None
        if (attestation, date) != (leaf.attestation, captured):
            raise Wrong(f"row {row} shows another attestation or date than the proven leaf of document {key}")

    def _whole(self, leaf: Leaf, ids: np.ndarray, epoch: int) -> None:
        """A whole human document: its epochs must come one after the other, and its tokens must be those of the leaf's text."""
        if self.passes[leaf.key] != epoch:
            raise Wrong(f"document {leaf.key} stands in the shard as epoch {epoch} where {self.passes[leaf.key]} is due")
        self.passes[leaf.key] += 1
        self.found.text_bytes += leaf.text_bytes
        digest = hashlib.sha256(ids.tobytes()).digest()
        if self.known.setdefault(leaf.key, digest) != digest:
            raise Wrong(f"document {leaf.key} has other tokens in epoch {epoch} than before")
        if epoch:
            return
        text = self.encoder.decode(ids)
        if _is(text, leaf):
            self._same(leaf, text, ids)
        elif self.texts is None:
            self.found.unverified += 1
        else:
            self.pending[leaf.key] = ids
            self.held += len(ids)
            if self.held > PENDING:
                self._look_up()

    def _look_up(self) -> None:
        """Holds documents whose tokens do not give their text back to the snapshot's texts."""
        if self.texts is None or not self.pending:
            return
        for key, text in snapshot_texts(self.texts, self.pending.keys()):
            if key in self.pending and _is(text, self.leaves[key]):  # the folder need not be sound, nor hold a document once
                self._same(self.leaves[key], text, self.pending.pop(key))
        self.found.unverified += len(self.pending)
        self.pending, self.held = {}, 0

    def _same(self, leaf: Leaf, text: str, ids: np.ndarray) -> None:
        if not np.array_equal(self.encoder.encode(text), ids):
            raise Wrong(f"the tokens of document {leaf.key} are not those that the mix's tokenizer gives for its text")

    def _count(self, spans: _Spans) -> None:
        """Documents, at their first tokens, and tokens, by what their spans say."""
        measured = {"documents": (spans.offset == 0).astype(np.int64), "tokens": spans.sizes}
        ours = {unit: values[spans.human] for unit, values in measured.items()}
        of = [self.leaves[key] for key in spans.columns.field("key").filter(pa.array(spans.human)).to_pylist()]
        self._group("origins", spans.columns.field("origin"), measured)
        self._group("strata", spans.columns.field("stratum"), measured)
        self._group("attestations", pa.array([leaf.attestation for leaf in of], pa.string()), ours)
        self._group("witnesses", pa.array([leaf.witness for leaf in of], pa.string()), ours)
        self._group("years", pa.array([year(leaf) for leaf in of], pa.string()), ours)
        if len(self.counts["strata"]) > STRATA:
            raise Wrong(f"the spans name more than {STRATA:,} strata")

    def _group(self, name: str, labels: pa.Array, measured: Mapping[str, np.ndarray]) -> None:
        encoded = labels.dictionary_encode()
        codes = encoded.indices.to_numpy()
        # A batch's tokens are far below 2^53, where sums of doubles are exact.
        sums = {unit: np.bincount(codes, values).astype(np.int64).tolist() for unit, values in measured.items()}
        for code, label in enumerate(encoded.dictionary.to_pylist()):
            self.counts[name].setdefault(label, Counter()).update({unit: values[code] for unit, values in sums.items()})

    def end(self) -> Found:
        """What the rows added up to, after the last one. Raises `Wrong` for documents that are not whole or stand twice."""
        if self.open:
            key, _ = min(self.open)
            raise Wrong(f"document {key} ends before its last token")
        if unused := self.leaves.keys() - self.passes.keys():
            raise Wrong(f"{len(unused)} human documents that the proof lists are not in the shard, such as {min(unused)}")
        self._look_up()
        found = self.found
        found.keys = b"".join([*self.keys, *(key.encode() for key in self.passes)])
        found.digests = b"".join(bytes.fromhex(leaf.text_sha256)[:16] for leaf in self.leaves.values())
        surplus = {"minimum_surplus": self.least or 0, "final_surplus": self.surplus}
        found.units["tokens"] = {"human": self.human, "total": self.total, **surplus}
        origins = self.counts["origins"].values()
        found.counts = {unit: sum(group[unit] for group in origins) for unit in ("documents", "tokens")}
        for name, groups in self.counts.items():
            found.counts[name] = {label: dict(group) for label, group in sorted(groups.items())}
        return found


def _is(text: str, leaf: Leaf) -> bool:
    data = text.encode()
    return (hashlib.sha256(data).hexdigest(), len(data)) == (leaf.text_sha256, leaf.text_bytes)


def snapshot_texts(url: str, keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """Key and text of those documents of a snapshot's folder that have one of the keys."""
    wanted, base = pa.array(sorted(keys), pa.string()), files.join(url, "documents")
    for path in files.list_files(base):
        place = files.join(base, path)
        found = [pc.is_in(batch.column("key"), wanted) for batch in tables.batches(place, ["key"])]
        rows = np.flatnonzero(np.concatenate([np.zeros(0, bool), *(there.to_numpy(zero_copy_only=False) for there in found)]))
        for start in range(0, len(rows), ROWS):
            table = tables.take(place, rows[start : start + ROWS], ["key", "text"])
            pairs = zip(table["key"].to_pylist(), table["text"].to_pylist(), strict=True)
            yield from ((key, text) for key, text in pairs if text is not None)
