"""Packs the tokens of a shard into rows of one length.

Position 0 of each row is the tokenizer's boundary token. Then come the pieces of the shard in their order, in as many rows
as they need, with one token between two of different documents: the end token where a document is whole, the boundary
token where it goes on later. It is left out where a piece ends with its row. The last row is filled with padding. Spans say
which positions are whose; positions in no span are nobody's. Memory is that of the shard's ids, 4 bytes each.
"""

from array import array
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from pipelines.pieces import spans
from pipelines.tokenizer import Tokenizer
from provenance.mixture import Mix
from provenance.schema import PACKED, SPANS
from store.errors import UsageError

BATCH_TOKENS = 1 << 21
"""Tokens of a record batch of packed rows, about."""


@dataclass
class Encoded:
    """The tokens of a shard before they have an order: runs of the documents of its plan.

    `ids` (int32) has the documents' tokens, each document once; `first` and `tokens` say of each row of the plan where its
    document lies there and how many it has. The other arrays have one value per piece: the document's row in the plan, start
    and stop in the document, the piece's number, and the document's pieces. A document without tokens has one empty piece.
    """

    ids: np.ndarray
    first: np.ndarray
    tokens: np.ndarray
    document: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    chunk: np.ndarray
    chunks: np.ndarray


def encode(texts: pa.ChunkedArray, place: np.ndarray, tokenizer: Tokenizer, chunk_tokens: int) -> Encoded:
    """The pieces of the documents at `place` in `texts`, in that order, each of at most `chunk_tokens` tokens.

    A text at several places is encoded once.
    """
    wanted, which = np.unique(place, return_inverse=True)
    held, counts = array("i"), np.zeros(len(wanted), np.int64)
    for i, ids in enumerate(tokenizer.encode(_strings(texts, wanted))):
        held.frombytes(ids.tobytes())
        counts[i] = len(ids)
    tokens, first = counts[which], (np.cumsum(counts) - counts)[which]
    chunks = np.maximum(1, -(-tokens // chunk_tokens))
    document = np.repeat(np.arange(len(place)), chunks)
    chunk = np.arange(len(document)) - (np.cumsum(chunks) - chunks)[document]
    start = chunk * chunk_tokens
    stop = np.minimum(start + chunk_tokens, tokens[document])
    return Encoded(np.frombuffer(held, np.int32), first, tokens, document, start, stop, chunk, chunks[document])


def inexact(encoded: Encoded, texts: pa.ChunkedArray, place: np.ndarray, human: np.ndarray, tokenizer: Tokenizer) -> int:
    """How many texts of the human rows of the plan their tokens do not give back, each counted once."""
    rows = np.flatnonzero(human)
    rows = rows[np.unique(place[rows], return_index=True)[1]]
    found = 0
    for row, text in zip(rows.tolist(), _strings(texts, place[rows]), strict=True):
        at = encoded.first[row]
        found += tokenizer.decode(encoded.ids[at : at + encoded.tokens[row]]) != text
    return found


def _strings(texts: pa.ChunkedArray, places: np.ndarray) -> Iterator[str]:
    """Some texts, one after the other."""
    buffers, *where = spans(texts)
    for i, start, stop in zip(*(column[places].tolist() for column in where), strict=True):
        yield str(buffers[i][start:stop], "utf-8")


@dataclass
class _Layout:
    """Where the runs of one document stand: each value is of the part of a run that one row has. `start` and `stop` are
    positions in the row, `offset` is in the document; after `closes` a token divides this run from the next."""

    rows: int
    row: np.ndarray
    document: np.ndarray
    start: np.ndarray
    stop: np.ndarray
    offset: np.ndarray
    closes: np.ndarray


def _layout(encoded: Encoded, order: np.ndarray, length: int) -> _Layout:
    document, start, stop = encoded.document[order], encoded.start[order], encoded.stop[order]
    joined = (document[1:] == document[:-1]) & (start[1:] == stop[:-1])
    first = np.flatnonzero(np.concatenate([[True], ~joined])[: len(order)])
    last = np.append(first[1:] - 1, len(order) - 1)[: len(first)]
    document, start, stop = document[first], start[first], stop[last]
    # Cells are the positions but the first of each row, counted through all rows.
    room, cell, places = length - 1, 0, []
    for size in (stop - start).tolist():
        places.append(cell)
        cell += size
        cell += cell % room != 0
    begin = np.array(places, np.int64)
    end = begin + stop - start
    top, bottom = begin // room, np.maximum(begin, end - 1) // room
    parts = bottom - top + 1
    run = np.repeat(np.arange(len(begin)), parts)
    row = top[run] + np.arange(len(run)) - (np.cumsum(parts) - parts)[run]
    left, right = np.maximum(begin[run], row * room), np.minimum(end[run], (row + 1) * room)
    closes = (row == bottom[run]) & (right % room != 0)
    return _Layout(
        rows=int(bottom[-1]) + 1 if len(bottom) else 0,
        row=row,
        document=document[run],
        start=left - row * room + 1,
        stop=right - row * room + 1,
        offset=start[run] + left - begin[run],
        closes=closes,
    )


def rows(
    encoded: Encoded, order: np.ndarray, columns: Mapping[str, pa.Array], mix: Mix, tokenizer: Tokenizer
) -> Iterator[pa.RecordBatch]:
    """The packed rows of a shard with the spans beside them, about `BATCH_TOKENS` tokens at a time.

    `order` has the pieces in the order of the shard, `columns` what a span says of its document, by row of the plan.
    Raises `UsageError` for a tokenizer that declares no token to begin a row with.
    """
    if tokenizer.boundary is None:
        raise UsageError(
            "the tokenizer declares no bos, eos, cls or sep token, with which a row begins. Name a folder that declares one."
        )
    layout, length = _layout(encoded, order, mix.sequence_length), mix.sequence_length
    many = max(1, BATCH_TOKENS // length)
    for top in range(0, layout.rows, many):
        bottom = min(top + many, layout.rows)
        inside = slice(*np.searchsorted(layout.row, [top, bottom]).tolist())
        ids = _filled(encoded, layout, inside, np.arange(top, bottom), length, tokenizer)
        ends = pa.array(np.arange(bottom - top + 1, dtype=np.int32) * length)
        packed = pa.ListArray.from_arrays(ends, pa.array(ids.reshape(-1)), type=PACKED.field("input_ids").type)
        yield pa.RecordBatch.from_arrays([packed, _spans(encoded, layout, inside, top, bottom, columns)], schema=_BOTH)


_BOTH = pa.schema([*PACKED, *SPANS])


def _filled(encoded: Encoded, layout: _Layout, inside: slice, numbers: np.ndarray, length: int, tokenizer: Tokenizer) -> np.ndarray:
    """Ids of some rows, int32 of shape (rows, length)."""
    row, document, start = layout.row[inside] - numbers[0], layout.document[inside], layout.start[inside]
    stop, offset, closes = layout.stop[inside], layout.offset[inside], layout.closes[inside]
    out = np.full((len(numbers), length), tokenizer.pad, np.int32)
    out[:, 0] = tokenizer.boundary
    flat, sizes = out.reshape(-1), stop - start
    within = np.arange(int(sizes.sum())) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    flat[np.repeat(row * length + start, sizes) + within] = encoded.ids[np.repeat(encoded.first[document] + offset, sizes) + within]
    whole = offset + sizes == encoded.tokens[document]
    out[row[closes], stop[closes]] = np.where(whole, tokenizer.end, tokenizer.boundary)[closes]
    return out


def _spans(
    encoded: Encoded, layout: _Layout, inside: slice, top: int, bottom: int, columns: Mapping[str, pa.Array]
) -> pa.ListArray:
    """The column `spans` of the rows from `top` to `bottom`."""
    document, kind = layout.document[inside], SPANS.field("spans").type
    own = {"start": layout.start, "stop": layout.stop, "offset": layout.offset, "tokens": encoded.tokens[layout.document]}
    taken = pa.array(document)
    fields = [
        pa.array(own[field.name][inside], field.type) if field.name in own else columns[field.name].take(taken).cast(field.type)
        for field in kind.value_type
    ]
    ends = np.searchsorted(layout.row[inside], np.arange(top, bottom + 1)).astype(np.int32)
    found = pa.StructArray.from_arrays(fields, fields=list(kind.value_type))
    return pa.ListArray.from_arrays(pa.array(ends), found, type=kind)
