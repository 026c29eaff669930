"""Every dataset's Arrow schema, each field with its one-line meaning as metadata.

The names are FineWeb's where the meaning agrees, so that rows load where people already load data. The README's
tables are generated from this module. Keys and digests are lower-case hexadecimal strings: any tool can read and
join them. All times are UTC.
"""

import pyarrow as pa

SCHEMA_VERSION = 4
"""Version of the datasets' layout; it stands in the manifest of each snapshot and run, and a reader refuses another one."""

MIX_SCHEMA_VERSION = 5
"""The same of a mix, whose layout changes apart from that of snapshots and runs: these stay readable."""

LAYOUTS = {"snapshot": SCHEMA_VERSION, "run": SCHEMA_VERSION, "mix": MIX_SCHEMA_VERSION}

DATA_VERSION = 5
"""Version of what stands in the datasets; it stands in every manifest, and a reader that finds another one says what changed."""

CHANGES: tuple[tuple[str, int, str], ...] = (
    ("data", 2, "texts are the block classifier's, charsets come from a cascade, language scores are calibrated"),
    ("schema", 2, "a snapshot keeps its leaves in a dataset of their own, and documents no longer carry them"),
    ("data", 3, "leaves are `lowbackground-leaf-2`, which name the leaf that they are a further witness of"),
    ("schema", 3, "a snapshot indexes content ids and sampled shingles beside its bands, and matches carry the sketches' estimate"),
    ("data", 4, "sketches name their preset and rule of tokens, and clear pairs are decided by their signatures"),
    (
        "schema",
        4,
        "a run's manifest has `calibration`, what the detectors say of the snapshots' documents, and runs estimate `prevalence`",
    ),
    (
        "data",
        5,
        "detectors of model text are weighed together, by thresholds set on human text, and the prior goes by month and language",
    ),
    (
        "mix",
        5,
        "rows of a mix have a stratum, JSON lines are dolma's documents with attributes beside them, and the manifest says what holds in which order",
    ),
)
"""What each version changed, in order: (`schema`, `data` or `mix`, version, rule)."""

ORIGINS = ("human", "machine_generated", "machine_translated", "unknown")
LEVELS = {
    "none": "no usable date (the page's own is never one), or a digest that disagrees: no snapshot holds it",
    "declared": "the person who froze it says so (`--declare`), in words that stay in the manifest, or a table's own column does",
    "captured": "the archive file's own capture record says so, and a payload digest that it gives was recomputed and agrees; "
    "whoever made the file could have written any date",
    "released": "the file's SHA-256 stands in a list of checksums that was published before the cutoff (`--checksums`)",
    "corroborated": "an index by another custodian, published before the cutoff, gives the same URL, second and payload digest (`--index`)",
    "timestamped": "an independent time stamp of before the cutoff over the file, or over a list of checksums that holds it "
    "(`--timestamp`: RFC 3161, OpenTimestamps)",
}
"""Predicate of each attestation level; see `provenance.attest` and `provenance.trust`."""

ATTESTATIONS = tuple(LEVELS)
"""Attestation levels from the weakest to the strongest."""

TIME = pa.timestamp("us", tz="UTC")


def _schema(*fields: tuple[str, pa.DataType, str]) -> pa.Schema:
    return pa.schema([pa.field(name, kind, metadata={"doc": doc}) for name, kind, doc in fields])


KEY = (
    "key",
    pa.string(),
    "first 16 bytes, in hex, of SHA-256 over source file digest, copy number and position; the only join column",
)
ID = ("id", pa.string(), "the name that the source gives it, for display; may repeat or lie")

WHERE = (
    ("file_path", pa.string(), "input file, relative to the SOURCE that was given"),
    ("offset", pa.int64(), "byte offset of the record (of its compressed member) in the file, or row number in a table"),
    ("member_offset", pa.int64(), "offset inside the decompressed member; 0 unless a member holds several records"),
    ("record_type", pa.string(), "WARC record type, or `row`"),
    ("url", pa.string(), "address of the capture"),
)

DOCUMENTS = _schema(
    KEY,
    ID,
    ("content_id", pa.string(), "first 16 bytes, in hex, of SHA-256 of the identity form (NFC, white space collapsed)"),
    *WHERE,
    ("dump", pa.string(), "name of the crawl, where the source gives one"),
    ("date", TIME, "start of the capture interval, from the capture record itself"),
    ("date_end", TIME, "last instant of the capture interval; equals `date` where that is precise"),
    (
        "attestation",
        pa.string(),
        "level of `provenance.attest`: what the capture reaches by itself and, in a snapshot, with its witnesses",
    ),
    ("payload_digest", pa.string(), "SHA-256, in hex, of the payload bytes, recomputed"),
    ("digest_check", pa.string(), "what recomputing the record's own digest gave: agrees, disagrees, absent or unknown algorithm"),
    ("charset", pa.string(), "encoding by which the payload was decoded, null for text that came decoded"),
    (
        "language",
        pa.string(),
        "ISO code of the most likely language, by lid.176; null for a text with too few letters to say or in a script it does not know",
    ),
    (
        "language_score",
        pa.float32(),
        "calibrated: of texts with such a score this share was in that language, 0 to 1; low for short texts",
    ),
    ("token_count", pa.int64(), "tokens as the source counts them, null where it does not"),
    ("word_count", pa.int32(), "words; characters of unspaced scripts count 1/4 each"),
    ("byte_count", pa.int64(), "UTF-8 bytes of `text`"),
    ("metadata", pa.string(), "input columns that have no place of their own, as one JSON object"),
    ("text", pa.string(), "the extracted text, as a model trains on it"),
)

SNAPSHOT_DOCUMENTS = pa.schema(
    [
        *DOCUMENTS,
        *_schema(
            ("witness", pa.string(), "who says the date: the archive file, the owner's declaration, or a name of the trust list"),
            ("eligible", pa.bool_(), "whether a mix may count it as human"),
            ("ineligible_reason", pa.string(), "why not, null where eligible; `redacted` and why where the text was removed"),
        ),
    ]
)
"""Documents of a snapshot. In an index-only snapshot and where a text was redacted, `text` and all that would give it away is null."""

LEAVES = _schema(
    ("index", pa.int64(), "place in the Merkle tree, from 0"),
    KEY,
    ("text_sha256", pa.string(), "SHA-256, in hex, of the exact UTF-8 text"),
    ("text_bytes", pa.int64(), "its length in bytes"),
    ("date", TIME, "start of the capture interval"),
    ("date_end", TIME, "last instant of the capture interval"),
    ("attestation", pa.string(), "level that this leaf proves"),
    ("witness", pa.string(), "who says so"),
    ("eligible", pa.bool_(), "whether a mix may count it as human"),
    ("payload_digest", pa.string(), "SHA-256, in hex, of the payload bytes; empty for text that came as a row"),
    ("extractor", pa.string(), "digest of the settings that made the text"),
    ("rules", pa.string(), "digest of the rules that decided eligibility"),
    ("names", pa.string(), "hash of the leaf that this one is a further witness of; empty for a document's first"),
    ("leaf", pa.string(), "RFC 6962 hash of the leaf, in hex: SHA-256(0x00 || its bytes)"),
    ("redacted", pa.string(), "why its text was removed, null where it was not; all else but key, index and leaf is null then"),
)
"""The leaves of a snapshot in the order of its tree: sorted by key within each extension, extensions one after the other."""

REJECTS = _schema(
    KEY,
    ID,
    *WHERE,
    ("stage", pa.string(), "where it ended: read, http, decode, extract, attest, or present (in the snapshot already)"),
    ("reason", pa.string(), "short name of the reason, countable"),
    ("detail", pa.string(), "what was seen"),
)

SOURCES = _schema(
    ("file_path", pa.string(), "input file, relative to the SOURCE that was given"),
    ("sha256", pa.string(), "SHA-256 of the file's bytes"),
    ("copy", pa.int32(), "number of this file among files of equal bytes, from 0"),
    ("size", pa.int64(), "bytes"),
    ("format", pa.string(), "reader that the file's bytes asked for; null where none can read it"),
    ("records", pa.int64(), "records that the reader framed"),
    ("boundaries", pa.int64(), "record starts that an independent scan for markers found"),
    ("unaccounted", pa.int64(), "of these, starts that no framed record begins at or contains; 0, or the run fails"),
    ("documents", pa.int64(), "records that became documents"),
    ("rejects", pa.int64(), "records that did not; records = documents + rejects"),
)

EVIDENCE = _schema(
    KEY,
    (
        "signal",
        pa.string(),
        "name of the signal, which is its file in provenance/signals/; `combined` is the detectors of model text weighed together",
    ),
    ("version", pa.string(), "version of the signal's reading"),
    ("value", pa.float64(), "the reading; its meaning is the signal's"),
    ("detail", pa.string(), "what was seen, for a person"),
    (
        "log_likelihood_ratio",
        pa.float64(),
        "log of P(reading | machine) / P(reading | human), from the calibration file; null where it has none",
    ),
)

MATCHES = _schema(
    KEY,
    ("other", pa.string(), "key of the other document of the pair"),
    ("similarity", pa.float64(), "Jaccard similarity of the two shingle sets, 0 to 1"),
    ("containment", pa.float64(), "share of this document's shingles that the other has"),
    ("contained", pa.float64(), "share of the other's shingles that this document has"),
    (
        "estimate",
        pa.float64(),
        "share of equal minima in the two signatures, which estimates the Jaccard similarity; null where none was compared",
    ),
    (
        "exact",
        pa.bool_(),
        "similarity and containments were measured from the texts; else they follow from the estimate, which left no doubt or had no text "
        "beside it, or are 1 by equal digests",
    ),
    ("identical", pa.bool_(), "whether the identity forms are equal"),
    ("address", pa.bool_(), "whether both were captured at one URL, and that alone makes them duplicates"),
    ("scope", pa.string(), "snapshot, run or crawl: where the other document is"),
    ("snapshot", pa.string(), "id of that snapshot or earlier run, null within the crawl"),
    (
        "duplicate",
        pa.bool_(),
        "whether the pair reaches the thresholds of the match, or was captured at one URL where that is enough",
    ),
)

TAGS = _schema(
    KEY,
    ID,
    ("origin", pa.string(), "human, machine_generated, machine_translated or unknown"),
    ("log_likelihood_ratio", pa.float64(), "sum of the evidence's, machine over human"),
    ("prior", pa.float64(), "log-odds of machine before any evidence, by month and language of the capture"),
    (
        "p_machine",
        pa.float64(),
        "1 / (1 + exp(-(prior + log_likelihood_ratio))); null where the detectors of model text have no weight, as for what equals a snapshot document",
    ),
    ("attestation", pa.string(), "level of the capture, or of the reference document that it equals"),
    ("basis", pa.list_(pa.string()), "signals that the verdict rests on"),
    ("reason", pa.string(), "the verdict in words, such as why it abstains"),
    ("canonical", pa.string(), "key of the kept document that this one copies; null if it is kept"),
    ("rules", pa.string(), "digest of the verdict's rules and calibration"),
    ("snapshot", pa.string(), "id of the snapshot that certifies it, null where none does"),
)

PREVALENCE = _schema(
    ("dimension", pa.string(), "what the documents are grouped by: all, kept, placebo, month, language, file or host"),
    ("value", pa.string(), "the group"),
    (
        "documents",
        pa.int64(),
        "documents of the group, the unit of all that follows; shares of tokens or of sites differ from it up to twofold",
    ),
    ("estimated", pa.int64(), "of these, documents that a calibrated cell covers, which the estimate is about"),
    ("hosts", pa.int64(), "hosts that they come from; what has no host counts by its file"),
    *((origin, pa.int64(), f"documents tagged {origin}, for comparison: counts of tags are biased") for origin in ORIGINS),
    (
        "share",
        pa.float64(),
        "estimated machine share of the estimated documents, by mixture likelihood; null where nothing is estimated",
    ),
    (
        "share_low",
        pa.float64(),
        "lower end of its 95 % interval, by a bootstrap of hosts; null where there are too few hosts for one",
    ),
    ("share_high", pa.float64(), "upper end of it"),
    (
        "rogan_gladen_low",
        pa.float64(),
        "least share that the rate of flags allows, over the calibration's range of true-positive rates",
    ),
    ("rogan_gladen_high", pa.float64(), "greatest share that it allows; generators that nobody has seen are in neither"),
    ("placebo", pa.bool_(), "captured before 2020, when there was next to no model text: the true share is 0"),
    ("covers_zero", pa.bool_(), "whether the interval holds 0; null without one"),
    ("note", pa.string(), "what limits the estimate, in words; null where nothing does"),
)

SELECTION = _schema(
    KEY,
    ("source", pa.string(), "snapshot id or run id that the text is read from"),
    ("part", pa.string(), "file of that dataset"),
    ("row", pa.int64(), "row in that file"),
    ("origin", pa.string(), "class in the mix: human, or the run's tag"),
    ("shard", pa.int32(), "shard number, from 0"),
    ("epoch", pa.int32(), "repeat number, from 0"),
    ("rank", pa.string(), "first 64 bits of the digest of seed and key that orders a class, in hexadecimal"),
    ("stratum", pa.string(), "the origin and the values of the columns that divide it, joined by /"),
    ("byte_count", pa.int64(), "UTF-8 bytes of the text"),
)

SHARD = _schema(
    ("text", pa.string(), "the text, or one chunk of it"),
    KEY,
    ID,
    ("origin", pa.string(), "human for leaves of the snapshot, else the run's tag"),
    ("attestation", pa.string(), "level of the leaf; none for rows that are not human, which nothing proves"),
    ("chunk", pa.int32(), "number of this chunk in its document, from 0"),
    ("chunks", pa.int32(), "chunks of the document"),
    ("epoch", pa.int32(), "repeat number of the document in this mix, from 0"),
    ("url", pa.string(), "address of the capture"),
    ("date", TIME, "start of the capture interval"),
    ("language", pa.string(), "ISO code of the most likely language"),
    ("stratum", pa.string(), "the origin and the values of the columns that divide it, joined by /: a label that nothing proves"),
)

PACKED = _schema(
    ("input_ids", pa.list_(pa.int32()), "token ids of a row, each row as long as the next; the first is a special one")
)
"""A row of a tokenised mix."""

_SPAN = [
    ("start", pa.int32(), "first position in the row"),
    ("stop", pa.int32(), "position after the last"),
    ("offset", pa.int64(), "tokens of the document that stand before"),
    ("tokens", pa.int64(), "tokens of the whole document"),
    *(
        (field.name, field.type, field.metadata[b"doc"].decode())
        for field in SHARD
        if field.name not in ("text", "chunk", "chunks")
    ),
]
SPANS = _schema(
    ("spans", pa.list_(pa.struct([pa.field(name, kind) for name, kind, _ in _SPAN])), "what the row's tokens are, in order")
)
"""Row-aligned with `PACKED`: the documents that a row's tokens are of. Positions in no span are specials and padding."""

BANDS = pa.schema(
    field.with_nullable(False)
    for field in _schema(
        ("hash", pa.uint64(), "hash of one band of the signature, of the content id, or of a sampled shingle; sorted"),
        ("part", pa.int32(), "number of the documents file"),
        ("row", pa.int32(), "row in that file"),
    )
)
"""Nothing in it is ever null, and without the levels that would say so it is read a quarter faster."""

INDEXES = ("bands", "ids", "samples")
"""Datasets of a snapshot by which its documents are found, all of the schema `BANDS`: by a band of the signature, by the content id, by a
sampled shingle."""


def signatures(permutations: int, bits: int = 32) -> pa.Schema:
    """Schema of the similarity sketches of `permutations` minima of `bits` (32 or 64) each, row-aligned with documents."""
    return _schema(
        KEY,
        ("signature", pa.list_(pa.uint32() if bits == 32 else pa.uint64(), permutations), "MinHash minima"),
        ("shingles", pa.int32(), "distinct shingles of the similarity form"),
    )


DATASETS: dict[str, pa.Schema] = {
    "documents": DOCUMENTS,
    "rejects": REJECTS,
    "sources": SOURCES,
    "signatures": signatures(128),
    "evidence": EVIDENCE,
    "matches": MATCHES,
    "tags": TAGS,
    "prevalence": PREVALENCE,
}
"""Datasets of a run, by the folder that holds them; a snapshot adds `leaves` and `INDEXES` and widens `documents`."""


def doc(field: pa.Field) -> str:
    """The one-line meaning of a field of these schemas."""
    return (field.metadata or {}).get(b"doc", b"").decode()
