"""JSON lines shards in dolma's layout, compressed with zstd: `documents/NAME.jsonl.zst`, and row by row beside it
`attributes/lowbackground_v1/NAME.jsonl.zst`.

A line of documents is `{"id", "text", "source", "created", "metadata"}`, with `key.epoch.chunk` as the id that no other row of the mix
has, the start of the capture as `created`, and the other facts of the document under `metadata`. What was decided about a document
never touches it: a line of attributes is `{"id", "source", "attributes"}`, and each attribute a list of spans `[start, end, score]`
in characters. `lowbackground_v1__origin__human`, `lowbackground_v1__attestation__captured` and `lowbackground_v1__stratum__human/en/2014`
(experiment, tagger and type) each span the whole text with score 1.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc
import zstandard

from provenance.schema import SHARD, TIME
from store.shards import Create, Open, _times

NAME = "jsonl"
TOKENS = False
SOURCE = "lowbackground"
EXPERIMENT = "lowbackground_v1"
TAGGERS = ("origin", "attestation", "stratum")
"""Columns that stand in the attributes, in this order."""
FACTS = ("key", "id", "epoch", "chunk", "chunks", "url", "language")
"""Columns that stand in the document's metadata, in this order."""
LEVEL = 1
LONGEST_LINE = 1 << 27
"""Longer lines are refused: a chunk of text has at most 16 MiB, and JSON writes a byte as six at most."""
FEED = 4096
"""Compressed bytes that are unpacked at a time; they can become 128 MiB at most, whoever made them."""
BATCH_ROWS = 1024
BATCH_BYTES = 1 << 26
"""A batch ends with the line that exceeds it, so that a few compressed bytes fill no memory."""
_DTYPES = {pa.string(): "string", pa.int32(): "int32", TIME: "timestamp[us, tz=UTC]"}


class _Metadata(msgspec.Struct, forbid_unknown_fields=True):
    key: str
    id: str | None
    epoch: int
    chunk: int
    chunks: int
    url: str | None
    language: str | None


class _Document(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    text: str
    source: str
    created: str | None
    metadata: _Metadata


class _Attributes(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    source: str
    attributes: dict[str, list[tuple[int, int, float]]]


_ENCODER = msgspec.json.Encoder()
_DOCUMENT = msgspec.json.Decoder(_Document)
_ATTRIBUTES = msgspec.json.Decoder(_Attributes)


def paths(name: str, root: str = "") -> tuple[str, ...]:
    """The documents and the attributes of a shard."""
    return f"{root}documents/{name}.jsonl.zst", f"{root}attributes/{EXPERIMENT}/{name}.jsonl.zst"


def pattern(root: str = "") -> str | None:
    """The shards' documents, as a card's `data_files` names them."""
    return f"{root}documents/train-*.jsonl.zst"


def features() -> list[dict[str, Any]] | None:
    """The columns of documents and their types."""

    def column(name: str) -> dict[str, str]:
        return {"name": name, "dtype": _DTYPES[SHARD.field(name).type]}

    texts = [{"name": name, "dtype": "string"} for name in ("id", "text", "source")]
    created = {"name": "created", "dtype": _DTYPES[TIME]}
    return [*texts, created, {"name": "metadata", "struct": [column(name) for name in FACTS]}]


def whole(read: Callable[[str], bytes], names: Sequence[str], root: str = "") -> dict[str, bytes]:
    """Nothing stands beside the shards."""
    return {}


def write(create: Create, name: str, batches: Iterable[pa.RecordBatch], options: Mapping[str, Any], root: str = "") -> int:
    """Writes one line per row in each of the two files; returns the number of rows."""
    rows = 0
    into, beside = paths(name, root)
    with (
        create(into) as sink,
        create(beside) as tags,
        _packed(sink) as documents,
        _packed(tags) as attributes,
    ):
        for batch in batches:
            lines = [_lines(row) for row in _rows(batch)]
            documents.write(b"".join([document for document, _ in lines]))
            attributes.write(b"".join([tagged for _, tagged in lines]))
            rows += batch.num_rows
    return rows


def _packed(sink: Any) -> Any:
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=True).stream_writer(sink, closefd=False)


def _rows(batch: pa.RecordBatch) -> Iterator[dict[str, Any]]:
    """The rows with times as texts in UTC and with `length`, the text's characters."""
    columns = {}
    for field in SHARD:
        column = batch.column(field.name)
        columns[field.name] = (_times.texts(column) if field.type == TIME else column).to_pylist()
    columns["length"] = pc.utf8_length(batch.column("text")).to_pylist()
    names = list(columns)
    return (dict(zip(names, values, strict=True)) for values in zip(*columns.values(), strict=True))


def _lines(row: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """The two lines of a row, the only ones that a reader takes for it."""
    name = f"{row['key']}.{row['epoch']}.{row['chunk']}"
    facts = _Metadata(*[row[fact] for fact in FACTS])
    document = _Document(name, row["text"], SOURCE, row["date"], facts)
    span = [(0, row["length"], 1.0)]
    tags = {f"{EXPERIMENT}__{tagger}__{row[tagger]}": span for tagger in TAGGERS}
    return _ENCODER.encode(document) + b"\n", _ENCODER.encode(_Attributes(name, SOURCE, tags)) + b"\n"


def _parse(line: bytes, beside: bytes) -> dict[str, Any]:
    """The row of two lines. Raises `ValueError` unless they are what `write` makes of it."""
    document, tagged = _DOCUMENT.decode(line), _ATTRIBUTES.decode(beside)
    row = {fact: getattr(document.metadata, fact) for fact in FACTS}
    row |= {"text": document.text, "date": document.created, "length": len(document.text)}
    for tagger, name in zip(TAGGERS, tagged.attributes, strict=True):
        row[tagger] = name.removeprefix(f"{EXPERIMENT}__{tagger}__")
    if _lines(row) != (line, beside):
        raise ValueError(
            "a line of documents and the one of attributes beside it are not the one JSON form of a row: of another row, with a "
            "repeated key, another order of keys, another span or score, or space between them"
        )
    return row


def _unpacked(source: Any) -> Iterator[bytes]:
    """The lines of a file that is one zstd frame and nothing else, each with its end."""
    stream = zstandard.ZstdDecompressor().decompressobj()
    held: list[bytes] = []
    length = 0
    while block := source.read(FEED):
        if stream.eof:
            raise ValueError("bytes follow the compressed lines; a shard ends with them")
        data, at = _unpack(stream, block), 0
        while end := data.find(b"\n", at) + 1:  # a list of all lines would take far more memory than the bytes of short ones
            yield b"".join([*held, data[at:end]])
            held, length, at = [], 0, end
        held.append(data[at:])
        length += len(data) - at
        if length > LONGEST_LINE:
            raise ValueError(f"a line is longer than {LONGEST_LINE} bytes; no row of a shard is")
    if not stream.eof or stream.unused_data or length:
        raise ValueError("the compressed lines break off, or bytes follow them")


def _unpack(stream: Any, block: bytes) -> bytes:
    try:
        data: bytes = stream.decompress(block)
    except zstandard.ZstdError as error:
        raise ValueError(f"is not compressed as a shard is: {error}") from error
    return data


def read(open_: Open, name: str, options: Mapping[str, Any], root: str = "") -> Iterator[pa.RecordBatch]:
    """The rows in order. Raises `ValueError` for a line that `write` would not have written from its row, and where the two files
    have not one line for each row."""
    rows: list[dict[str, Any]] = []
    size = 0
    into, beside = paths(name, root)
    with open_(into) as documents, open_(beside) as attributes:
        for line, tagged in zip(_unpacked(documents), _unpacked(attributes), strict=True):
            rows.append(_parse(line, tagged))
            size += len(line) + len(tagged)
            if len(rows) == BATCH_ROWS or size > BATCH_BYTES:
                yield _times.batch(rows)
                rows, size = [], 0
    if rows:
        yield _times.batch(rows)
