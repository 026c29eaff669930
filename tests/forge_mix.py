"""Mixes written by whoever likes, with nothing of the product but schemas, digests and the formats: every number by the plainest loop.

`publish` writes rows as they are given, true or not, with digests, counts, orders, cards and a manifest that agree with them; an
attacker would do the same. The tests of `verify` forge with it, and hold what `mix` writes against its numbers.
"""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import zstandard

from provenance.identity import Tree, canonical_json, digest, sha256_hex
from provenance.schema import DATA_VERSION, MIX_SCHEMA_VERSION, SHARD
from store import manifest, shards
from store.manifest import Opened
from tests import mixes

Row = dict[str, Any]
SETTINGS: Row = {
    "floor": "1/2",
    "units": ["bytes"],
    "budget": None,
    "shortfall": "fail",
    "max_epochs": 4,
    "min_attestation": "captured",
    "ceilings": {"unknown": "1", "machine_generated": "0", "machine_translated": "0"},
    "shuffle_buffer": 0,
    "human_apart": False,
    "format": "parquet",
    "page_index": False,
    "content_defined_chunking": False,
    "chunk_bytes": 600,
    "tokenizer": None,
}
WORLDS = (2, 4, 8)
NAMED = {"rows": 0, "documents": 0, "bytes": 0}


def chunks(document: Row, origin: str, size: int, epoch: int = 0) -> list[Row]:
    """The rows of one document, of at most `size` bytes each."""
    texts, text = [], document["text"]
    while True:
        cut = len(text)
        while len(text[:cut].encode()) > size:
            cut -= 1
        texts.append(text[:cut])
        text = text[cut:]
        if not text:
            break
    known = {"origin": origin, "epoch": epoch, "chunks": len(texts), "stratum": f"{origin}/{document['language']}"}
    known["attestation"] = document["attestation"] if origin == "human" else "none"
    return [
        {name: document.get(name) for name in SHARD.names} | known | {"text": part, "chunk": number}
        for number, part in enumerate(texts)
    ]


def lengths(row: Row, unit: str) -> int:
    """Units that a row counts when the floor is."""
    if unit == "bytes":
        return len(row["text"].encode())
    return int(row["chunk"] == (row["chunks"] - 1 if row["origin"] == "human" else 0))


def gains(rows: Sequence[Row], unit: str, floor: Fraction) -> list[int]:
    """What each row adds to q * human - p * total."""
    p, q = floor.numerator, floor.denominator
    return [lengths(row, unit) * (q * (row["origin"] == "human") - p) for row in rows]


def scheduled(humans: Sequence[Row], others: Sequence[Row], settings: Row) -> list[Row]:
    """The rows in an order that keeps the floor: others as soon as they may come; documents are left out that may not end."""
    floor, units, made, waiting = Fraction(settings["floor"]), settings["units"], list[Row](), list(others)
    surplus = dict.fromkeys(units, 0)
    for row in humans:
        made.append(row)
        surplus = {unit: surplus[unit] + gains([row], unit, floor)[0] for unit in units}
        while waiting and all(surplus[unit] + gains([waiting[0]], unit, floor)[0] >= 0 for unit in units):
            made.append(waiting.pop(0))
            surplus = {unit: surplus[unit] + gains([made[-1]], unit, floor)[0] for unit in units}
    broken = {row["key"] for row in waiting}
    return [row for row in made if row["key"] not in broken]


def documents(frozen: Opened) -> dict[str, Row]:
    """A snapshot's documents by id."""
    return {row["id"]: row for url in frozen.files("documents") for row in pq.read_table(url).to_pylist()}


def proof(frozen: Opened, keys: set[str]) -> tuple[bytes, bytes]:
    """The lines and the hashes that prove the first leaves of some keys."""
    known = sorted(documents(frozen).values(), key=lambda row: row["key"])
    tree = Tree([mixes.leaf(row).hash() for row in known])
    chosen = [(number, mixes.leaf(row)) for number, row in enumerate(known) if row["key"] in keys]
    lines = b"".join(b"%d " % number + leaf.data() for number, leaf in chosen)
    hashes = b"".join(tree.multiproof([number for number, _ in chosen])) if chosen else b""
    return zstandard.ZstdCompressor(write_checksum=True).compress(lines), hashes


def held_back(values: Sequence[int], most: int) -> int:
    """The largest S of which each prefix can lose its S largest gains, tried one by one."""
    size = 0
    while size < most:
        for end in range(len(values) + 1):
            lost = sorted((gain for gain in values[:end] if gain > 0), reverse=True)[: size + 1]
            if sum(lost) > sum(values[:end]):
                return size
        size += 1
    return most


def reading(ranks: Sequence[Sequence[Row]], unit: str, floor: Fraction, whole: bool) -> Row:
    """What some readers have at their ends, and the least surplus of any on its way."""
    totals = [
        (sum(lengths(r, unit) for r in rank if r["origin"] == "human"), sum(lengths(r, unit) for r in rank)) for rank in ranks
    ]
    human, total = min(((h, t) for h, t in totals if t), key=lambda pair: Fraction(*pair), default=(0, 0))
    least = min(sum(gains(rank[:end], unit, floor)) for rank in ranks for end in range(len(rank) + 1))
    return {"whole_shards": whole, "human": human, "total": total, "minimum_surplus": least}


def orders(of_shards: Sequence[Sequence[Row]], settings: Row) -> Row:
    """What the floor is under other reading orders."""
    rows, floor, found = [row for shard in of_shards for row in shard], Fraction(settings["floor"]), {}
    for unit in settings["units"]:
        strided, contiguous = {}, {}
        for world in WORLDS:
            whole = len(of_shards) % world == 0
            dealt = [[row for shard in of_shards[rank::world] for row in shard] for rank in range(world)]
            strided[str(world)] = reading(dealt if whole else [rows[rank::world] for rank in range(world)], unit, floor, whole)
            each, more = divmod(len(rows), world)
            starts = [each * rank + min(rank, more) for rank in range(world + 1)]
            runs = [rows[starts[rank] : starts[rank + 1]] for rank in range(world)]
            contiguous[str(world)] = reading(runs, unit, floor, False)
        buffers = [held_back(gains(shard, unit, floor), len(rows)) for shard in of_shards]
        found[unit] = {
            "rows": len(rows),
            "longest_row": max((lengths(row, unit) for row in rows), default=0),
            "shuffle_buffer": min(buffers),
            "strided": strided,
            "contiguous": contiguous,
        }
    return found


def counted(rows: Sequence[Row], witnesses: dict[str, str]) -> Row:
    """`counts` of a manifest."""
    found: Row = {"rows": 0, "documents": 0, "bytes": 0}
    groups: dict[str, dict[str, Counter[str]]] = {n: {} for n in ("origins", "strata", "attestations", "witnesses", "years")}
    for row in rows:
        one = {"rows": 1, "documents": int(row["chunk"] == 0), "bytes": len(row["text"].encode())}
        labels = {"origins": row["origin"], "strata": row["stratum"]}
        if row["origin"] == "human":
            year = f"{row['date'].year:04d}" if row["date"] else "none"
            labels |= {"attestations": row["attestation"], "witnesses": witnesses.get(row["key"], ""), "years": year}
        for name, number in one.items():
            found[name] += number
        for name, label in labels.items():
            groups[name].setdefault(label, Counter()).update(one)
    return found | {name: {label: dict(of) for label, of in sorted(group.items())} for name, group in groups.items()}


def summed(rows: Sequence[Row], settings: Row) -> Row:
    """`units` of a shard."""
    floor, found = Fraction(settings["floor"]), {}
    for unit in settings["units"]:
        values = gains(rows, unit, floor)
        found[unit] = {
            "human": sum(lengths(row, unit) for row in rows if row["origin"] == "human"),
            "total": sum(lengths(row, unit) for row in rows),
            "minimum_surplus": min((sum(values[: end + 1]) for end in range(len(values))), default=0),
            "final_surplus": sum(values),
        }
    return found


def card(form: Any, apart: bool) -> bytes:
    """A card that names the shards, in JSON, which is YAML too."""
    roots = {"default": "", "human": shards.HUMAN} if apart else {"default": ""}
    configs = [
        {"config_name": name, "data_files": [{"split": "train", "path": form.pattern(root)}]}
        for name, root in roots.items()
        if form.pattern(root)
    ]
    return f"---\n{json.dumps({'license': 'other', 'language': ['en'], **({'configs': configs} if configs else {})})}\n---\n\n# A mix\n".encode()


def croissant(data: dict[str, bytes]) -> bytes:
    """A Croissant file of these data files."""
    entries = [
        {"@type": "cr:FileObject", "contentUrl": path, "sha256": sha256_hex(content), "contentSize": f"{len(content)} B"}
        for path, content in sorted(data.items())
    ]
    return json.dumps({"@type": "sc:Dataset", "distribution": entries}).encode()


def publish(
    folder: Path,
    frozen: Opened,
    of_shards: Sequence[Sequence[Row]],
    settings: Row | None = None,
    proven: Sequence[set[str]] | None = None,
    human: Sequence[Sequence[Row]] | None = None,
    change: Callable[[Row], None] = lambda body: None,
    more: dict[str, bytes] | None = None,
) -> Path:
    """Writes a mix of these rows. `proven` are the keys that the proof of each shard lists (those of its human rows), `human` the
    rows of the human side apart (those of the first epoch), `change` what the manifest is to say otherwise, `more` further files."""
    plain = SETTINGS | (settings or {})
    form, written = shards.named(plain["format"]), dict[str, bytes]()

    class Sink:
        def __init__(self, path: str):
            self.path = folder / path
            self.path.parent.mkdir(parents=True, exist_ok=True)

        def __enter__(self) -> Any:
            self.file = self.path.open("wb")
            return self.file

        def __exit__(self, *_: object) -> None:
            self.file.close()

    names = [shards.shard_name(number, len(of_shards)) for number in range(len(of_shards))]
    ours = [{row["key"] for row in rows if row["origin"] == "human"} for rows in of_shards]
    apart = human or [[row for row in rows if row["origin"] == "human" and row["epoch"] == 0] for rows in of_shards]
    listed, rows_of = [], {}
    for number, (name, rows) in enumerate(zip(names, of_shards, strict=True)):
        sides = {"": rows} | ({shards.HUMAN: apart[number]} if plain["human_apart"] else {})
        for root, some in sides.items():
            if form.NAME == "mds":
                mds(Sink, form.paths(name, root), some)
            else:
                form.write(Sink, name, [pa.RecordBatch.from_pylist(some, schema=SHARD)], plain, root)
            rows_of[form.paths(name, root)[0]] = len(some)
            written |= {path: (folder / path).read_bytes() for path in form.paths(name, root)}
        keys = ours[number] if proven is None else proven[number]
        written[f"proof/{name}.leaves.zst"], written[f"proof/{name}.hashes.bin"] = proof(frozen, keys)
        beside = {"path": form.paths(name, shards.HUMAN)[0], "rows": len(apart[number])} if plain["human_apart"] else None
        listed.append({"path": form.paths(name)[0], "rows": len(rows), "units": summed(rows, plain), "human": beside})
    for root in ("", shards.HUMAN) if plain["human_apart"] else ("",):
        written |= form.whole(written.__getitem__, names, root)
    data = {path: content for path, content in written.items() if not path.startswith("proof/")}
    written["proof/snapshot.manifest"] = (Path(frozen.url) / manifest.MANIFESTS / f"{frozen.id}.json").read_bytes()
    if frozen.manifest["signers"]:
        written["proof/checkpoint"] = (Path(frozen.url) / "checkpoints" / f"{frozen.id}.txt").read_bytes()
    written["README.md"] = card(form, plain["human_apart"])
    written["croissant.json"] = croissant(data)
    for path, content in (written | (more or {})).items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content)
    witnesses = {row["key"]: row["witness"] for row in documents(frozen).values()}
    everything = [row for rows in of_shards for row in rows]
    units = {
        unit: {side: sum(shard["units"][unit][side] for shard in listed) for side in ("human", "total")} for unit in plain["units"]
    }
    body = {
        "kind": "mix",
        "schema_version": MIX_SCHEMA_VERSION,
        "data_version": DATA_VERSION,
        "job": "0" * 64,
        "config": {"mix": plain},
        "floor": plain["floor"],
        "units": plain["units"],
        "snapshot": {"id": frozen.id, "cutoff": frozen.manifest["cutoff"]},
        "runs": [],
        "scores": [],
        "requested": {
            name: plain[name] for name in ("floor", "units", "budget", "shortfall", "max_epochs", "min_attestation", "ceilings")
        },
        "realised": units,
        "shards": listed,
        "counts": counted(everything, witnesses),
        "orders": orders(of_shards, plain),
        "stated": {},
        "files": [{"path": path, "rows": rows_of.get(path)} for path in sorted(written | (more or {}))],
    }
    seal(folder, body, change)
    return folder


def seal(folder: Path, body: Row | None = None, change: Callable[[Row], None] = lambda body: None, described: bool = False) -> None:
    """Makes the manifest (that of the folder, where none is given) agree with the files, and writes it; where `described`, the
    Croissant file too."""
    body = json.loads((folder / manifest.MANIFEST).read_bytes()) if body is None else body
    if described:
        cards = ("README.md", "croissant.json", "proof")
        data = {
            entry["path"]: (folder / entry["path"]).read_bytes() for entry in body["files"] if not entry["path"].startswith(cards)
        }
        (folder / "croissant.json").write_bytes(croissant(data))
    for entry in body["files"]:
        data = (folder / entry["path"]).read_bytes()
        entry |= {"sha256": sha256_hex(data), "size": len(data)}
    change(body)
    body["config_digest"] = digest(body["config"])
    body["id"] = digest({name: value for name, value in body.items() if name != "id"})
    (folder / manifest.MANIFEST).write_bytes(canonical_json(body))


def mds(create: Callable[[str], Any], paths: Sequence[str], rows: Sequence[Row]) -> None:
    """An MDS file and its index as `store.shards.mds` describes them, without mosaicml-streaming."""
    kinds = {pa.int32(): ("int32", 4), pa.uint8(): ("uint8", 1)}
    fields = {field.name: field.type for field in SHARD} | {"nulls": pa.uint8()}
    names = sorted(fields)
    encodings = [kinds.get(fields[name], ("str", None)) for name in names]
    config = {"version": 2, "format": "mds", "compression": None, "hashes": [], "size_limit": None, "column_names": names}
    config |= {"column_encodings": [kind for kind, _ in encodings], "column_sizes": [size for _, size in encodings]}
    head, samples = json.dumps(config, sort_keys=True).encode(), []
    for row in rows:
        nulls = sum(1 << bit for bit, name in enumerate(("id", "url", "date", "language")) if row[name] is None)
        sizes, values = b"", b""
        for name in names:
            value = nulls if name == "nulls" else row[name]
            if fields[name] in kinds:
                values += int(value).to_bytes(kinds[fields[name]][1], "little")
            else:
                data = (mixes.iso(value) if name == "date" else value or "").encode()
                sizes, values = sizes + len(data).to_bytes(4, "little"), values + data
        samples.append(sizes + values)
    at = [4 + 4 * (len(samples) + 1) + len(head)]
    for sample in samples:
        at.append(at[-1] + len(sample))
    whole = b"".join(number.to_bytes(4, "little") for number in (len(samples), *at)) + head + b"".join(samples)
    raw = {"basename": "shard.00000.mds", "bytes": len(whole), "hashes": {}}
    shard = config | {"samples": len(samples), "raw_data": raw, "zip_data": None}
    for path, data in zip(paths, (whole, json.dumps({"version": 2, "shards": [shard]}, sort_keys=True).encode()), strict=True):
        with create(path) as sink:
            sink.write(data)


def write(folder: Path, body: Row) -> None:
    """Writes a manifest as it is, under the digests of what it says."""
    if "config" in body:
        body["config_digest"] = digest(body["config"])
    body["id"] = digest({name: value for name, value in body.items() if name != "id"})
    (folder / manifest.MANIFEST).write_bytes(canonical_json(body))


def tokenizer(folder: Path, lossy: bool) -> Path:
    """A folder with a tokenizer by which texts come back, or that forgets their white space."""
    import tokenizers
    from transformers import PreTrainedTokenizerFast

    pre = tokenizers.pre_tokenizers.Whitespace() if lossy else tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    made = tokenizers.Tokenizer(tokenizers.models.BPE(unk_token="<unk>"))
    made.pre_tokenizer = pre
    if not lossy:
        made.decoder = tokenizers.decoders.ByteLevel()
    alphabet = [] if lossy else tokenizers.pre_tokenizers.ByteLevel.alphabet()
    trainer = tokenizers.trainers.BpeTrainer(
        vocab_size=400, special_tokens=["<unk>", "<s>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator([mixes.text(str(i), 500) for i in range(9)], trainer)
    PreTrainedTokenizerFast(tokenizer_object=made, bos_token="<s>", unk_token="<unk>").save_pretrained(str(folder))
    return folder
