"""SPEC.md against an independent reader: nothing here but the last test imports the code that writes what is described.

Every vector of `golden/spec.json` is recomputed by the small implementation below, and every number that SPEC.md quotes
stands in the vectors.
"""

import base64
import hashlib
import json
import re
import struct
import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

ROOT = Path(__file__).resolve().parents[1]
SPEC = (ROOT / "SPEC.md").read_text()
GOLDEN = (ROOT / "tests/golden/spec.json").read_text()
V: dict[str, Any] = json.loads(GOLDEN)
ESCAPES = {'"': '\\"', "\\": "\\\\", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"}
M32, M64 = 2**32 - 1, 2**64 - 1


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def string(text: str) -> str:
    return '"' + "".join(ESCAPES.get(c) or (f"\\u{ord(c):04x}" if c < " " else c) for c in text) + '"'


def canonical(value: Any) -> str:
    """Section 1, without its last newline."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{string(k)}:{canonical(value[k])}" for k in sorted(value, key=lambda k: [ord(c) for c in k])) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(canonical, value)) + "]"
    if isinstance(value, str):
        return string(value)
    return {True: "true", False: "false", None: "null"}[value] if value is None or isinstance(value, bool) else str(value)


def leaf_hash(data: str) -> bytes:
    return sha256(b"\x00" + data.encode())


def node(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right)


def half(n: int) -> int:
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def root(hashes: list[bytes]) -> bytes:
    if len(hashes) < 2:
        return hashes[0] if hashes else sha256(b"")
    k = half(len(hashes))
    return node(root(hashes[:k]), root(hashes[k:]))


def path(index: int, hashes: list[bytes]) -> list[bytes]:
    if len(hashes) == 1:
        return []
    k = half(len(hashes))
    return [*path(index, hashes[:k]), root(hashes[k:])] if index < k else [*path(index - k, hashes[k:]), root(hashes[:k])]


def consistency(first: int, hashes: list[bytes], whole: bool = True) -> list[bytes]:
    if first == len(hashes):
        return [] if whole else [root(hashes)]
    k = half(len(hashes))
    if first <= k:
        return [*consistency(first, hashes[:k], whole), root(hashes[k:])]
    return [*consistency(first - k, hashes[k:], False), root(hashes[:k])]


def climb(index: int, size: int, leaf: bytes, up: list[bytes]) -> bytes:
    """Root by an audit path, from its end."""
    if size == 1:
        return leaf
    k = half(size)
    *rest, last = up
    return node(climb(index, k, leaf, rest), last) if index < k else node(last, climb(index - k, size - k, leaf, rest))


def descend(start: int, stop: int, leaves: dict[int, bytes], rest: Iterator[bytes]) -> bytes:
    """Root by a multiproof."""
    if not any(start <= index < stop for index in leaves):
        return next(rest)
    if stop - start == 1:
        return leaves[start]
    middle = start + half(stop - start)
    left = descend(start, middle, leaves, rest)
    return node(left, descend(middle, stop, leaves, rest))


def opened(note: str) -> str:
    """The text of a note that the vectors' signer signed."""
    text, _, lines = note.rpartition("\n\n")
    text += "\n"
    dash, name, signed = lines.removesuffix("\n").split(" ")
    raw = base64.b64decode(signed, validate=True)
    public = bytes.fromhex(V["signer"]["public"])
    assert (dash, name) == ("\u2014", V["signer"]["name"]) and base64.b64encode(raw).decode() == signed
    assert raw[:4] == sha256(name.encode() + b"\n\x01" + public)[:4]
    Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], text.encode())
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(public).verify(raw[4:], text.encode() + b"x")
    return text


@pytest.mark.parametrize("case", V["keys"], ids=lambda case: case["key"][:8])
def test_keys(case: dict[str, Any]) -> None:
    said = "\n".join([case["file_sha256"], str(case["copy"]), str(case["offset"]), str(case["member_offset"])])
    assert sha256(said.encode())[:16].hex() == case["key"]


@pytest.mark.parametrize("case", V["identity_forms"], ids=range(len(V["identity_forms"])))
def test_identity_forms(case: dict[str, Any]) -> None:
    form = re.sub(r"\s+", " ", unicodedata.normalize("NFC", case["text"])).strip(" ")
    assert form == case["form"] and sha256(form.encode())[:16].hex() == case["content_id"]
    assert case["id_hash"] == case["content_id"][:16]


@pytest.mark.parametrize("case", V["canonical_json"], ids=range(len(V["canonical_json"])))
def test_canonical_json(case: dict[str, Any]) -> None:
    assert canonical(case["value"]) + "\n" == case["bytes"]
    assert sha256(case["bytes"].encode()).hex() == case["sha256"]


@pytest.mark.parametrize("case", V["leaves"], ids=lambda case: case["hash"][:8])
def test_leaves(case: dict[str, Any]) -> None:
    assert canonical(["lowbackground-leaf-2", *case["fields"]]) + "\n" == case["bytes"]
    assert leaf_hash(case["bytes"]).hex() == case["hash"]
    text = case["text"].encode()
    assert case["fields"][1:3] == [sha256(text).hex(), len(text)] and len(case["fields"]) == 12


def test_a_further_witness_names_the_first_leaf() -> None:
    first, further, _ = V["leaves"]
    assert further["fields"][11] == first["hash"] and further["fields"][:3] == first["fields"][:3]
    assert further["fields"][6] != first["fields"][6] and first["fields"][11] == ""


def test_tree_order_roots_and_proofs() -> None:
    tree = V["tree"]
    fields = [json.loads(leaf)[1:] for leaf in tree["leaves"]]
    hashes = [leaf_hash(leaf) for leaf in tree["leaves"]]
    assert [one.hex() for one in hashes] == tree["hashes"]
    end = 0
    for extension in tree["extensions"]:
        start, end = end, end + extension["size"]
        order = [(one[0].encode(), one[6].encode()) for one in fields[start:end]]
        assert order == sorted(order) and root(hashes[:end]).hex() == extension["root"]
    assert end == len(hashes) and root(hashes).hex() == tree["root"]
    index, up = tree["inclusion"]["index"], [bytes.fromhex(one) for one in tree["inclusion"]["path"]]
    assert path(index, hashes) == up and climb(index, len(hashes), hashes[index], up).hex() == tree["root"]
    proof = tree["consistency"]
    assert [one.hex() for one in consistency(proof["first"], hashes[: proof["second"]])] == proof["proof"]
    rest = iter(bytes.fromhex(one) for one in tree["multiproof"]["hashes"])
    chosen = {index: hashes[index] for index in tree["multiproof"]["indices"]}
    assert descend(0, len(hashes), chosen, rest).hex() == tree["root"] and next(rest, None) is None


def test_the_shared_vectors_of_rfc_6962() -> None:
    shared = json.loads((ROOT / "tests/golden/rfc6962.json").read_bytes())
    hashes = [sha256(b"\x00" + bytes.fromhex(leaf)) for leaf in shared["leaves"]]
    assert [root(hashes[:size]).hex() for size in range(1, 9)] == shared["roots"]
    for case in shared["inclusion"]:
        up = [bytes.fromhex(one) for one in case["path"]]
        assert climb(case["index"], case["size"], hashes[case["index"]], up).hex() == shared["roots"][case["size"] - 1]


def test_manifest() -> None:
    data = V["manifest"]["bytes"]
    manifest = json.loads(data)
    assert canonical(manifest) + "\n" == data and sha256(data.encode()).hex() == V["manifest"]["id"]
    assert manifest["tree"]["root"] == V["tree"]["root"] == manifest["tree"]["extensions"][-1]["root"]
    assert manifest["consistency"] == V["tree"]["consistency"]["proof"] and manifest["signers"] == [V["signer"]["vkey"]]


def test_signer_and_checkpoint() -> None:
    signer = V["signer"]
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(signer["seed"]))
    public = key.public_key().public_bytes_raw()
    assert public.hex() == signer["public"]
    assert signer["vkey"] == f"{signer['name']}+{signer['key_id']}+{base64.b64encode(bytes([1]) + public).decode()}"
    assert sha256(signer["name"].encode() + b"\n\x01" + public)[:4].hex() == signer["key_id"]
    text = opened(V["checkpoint"])
    encoded = base64.b64encode(bytes.fromhex(V["tree"]["root"])).decode()
    assert text == f"example.org/snapshots\n7\n{encoded}\nlowbackground-snapshot sha256:{V['manifest']['id']}\n"
    assert base64.b64decode(V["checkpoint"].split(" ")[-1])[4:] == key.sign(text.encode())


def test_tlog_proof() -> None:
    head, _, note = V["tlog_proof"].partition("\n\n")
    name, extra, index, *up = head.split("\n")
    assert name == "c2sp.org/tlog-proof@v1" and note == V["checkpoint"]
    leaf = base64.b64decode(extra.removeprefix("extra "), validate=True).decode()
    _, size, encoded, _, _ = opened(note).split("\n")
    found = climb(int(index.removeprefix("index ")), int(size), leaf_hash(leaf), [base64.b64decode(one) for one in up])
    assert found == base64.b64decode(encoded) and leaf in V["tree"]["leaves"]


def test_multiproof_of_an_unsigned_snapshot() -> None:
    proof = json.loads(V["multiproof"])
    assert canonical(proof) + "\n" == V["multiproof"] and proof["format"] == "lowbackground-proof-1"
    origin, size, encoded, extension, end = proof["checkpoint"].split("\n")
    assert (origin, end, extension.rpartition(":")[2]) == ("lowbackground-unsigned", "", V["manifest"]["id"])
    rest = iter(bytes.fromhex(one) for one in proof["hashes"])
    leaves = {one["index"]: leaf_hash(one["leaf"]) for one in proof["leaves"]}
    assert list(leaves) == sorted(leaves) and len(leaves) > 1
    assert descend(0, int(size), leaves, rest) == base64.b64decode(encoded) and next(rest, None) is None


def test_revocation_list() -> None:
    first, scope, *items = opened(V["revocations"]).removesuffix("\n").split("\n")
    assert (first, scope) == ("lowbackground-revocations v1", V["manifest"]["id"]) and items == sorted(items)
    assert {item.split(" ")[0] for item in items} == {"key", "leaf", "source", "witness"}
    assert f"leaf {V['leaves'][2]['hash']} the declaration was withdrawn" in items


def mt19937(seed: int) -> Iterator[int]:
    """Outputs of the Mersenne twister after init_genrand(seed) (Matsumoto and Nishimura, 2002)."""
    state = [seed]
    for i in range(1, 624):
        state.append((1812433253 * (state[-1] ^ state[-1] >> 30) + i) & M32)
    while True:
        for i in range(624):
            mixed = state[i] & 0x80000000 | state[(i + 1) % 624] & 0x7FFFFFFF
            state[i] = state[(i + 397) % 624] ^ mixed >> 1 ^ (0x9908B0DF if mixed & 1 else 0)
        for y in state:
            y ^= y >> 11
            y ^= y << 7 & 0x9D2C5680
            y ^= y << 15 & 0xEFC60000
            yield (y ^ y >> 18) & M32


UNSPACED = [tuple(int(end, 16) for end in block.split("-")) for block in V["sketches"]["unspaced"]]


def unspaced(c: str) -> bool:
    return any(first <= ord(c) <= last for first, last in UNSPACED)


def tokens(text: str) -> list[str]:
    found: list[str] = []
    last = "other"
    for c in unicodedata.normalize("NFC", text).lower():
        if c >= "\U00040000":
            last = "other"
        elif unicodedata.category(c)[0] == "M":
            if last != "other":
                found[-1] += c
        elif not re.match(r"\w", c):
            last = "other"
        elif unspaced(c):
            found.append(c)
            last = "unspaced"
        elif last == "word":
            found[-1] += c
        else:
            found.append(c)
            last = "word"
    return found


def shingles(text: str) -> list[int]:
    hashes = []
    for token in tokens(text):
        h = 0xCBF29CE484222325
        for c in token:
            h = (h ^ ord(c)) * 0x100000001B3 & M64
        h = (h ^ h >> 33) * 0xFF51AFD7ED558CCD & M64
        h = (h ^ h >> 33) * 0xC4CEB9FE1A85EC53 & M64
        hashes.append(h ^ h >> 33)
    n = min(5, len(hashes))
    found: dict[int, None] = {}
    for i in range(len(hashes) - n + 1 if n else 0):
        s = 0x9E3779B97F4A7C15 + n & M64
        for token_hash in hashes[i : i + n]:
            s = (s ^ token_hash) * 0x9FB21C651E98DF25 & M64
            s ^= s >> 32
        found[s or 1] = None
    return list(found)


def signature(found: list[int], a: list[int], b: list[int]) -> list[int]:
    mixed = []
    for s in found:
        x = s >> 32
        x = (x ^ x >> 16) * 0x85EBCA6B & M32
        x = (x ^ x >> 13) * 0xC2B2AE35 & M32
        mixed.append(x ^ x >> 16)
    return [min(((p * x + q) & M32 for x in mixed), default=M32) for p, q in zip(a, b, strict=True)]


def band(number: int, rows: int, minima: list[int]) -> int:
    h = (number + 1) * 0x9E3779B97F4A7C15 & M64
    for m in minima[number * rows : (number + 1) * rows]:
        h ^= m
        h = (h ^ h >> 30) * 0xBF58476D1CE4E5B9 & M64
        h = (h ^ h >> 27) * 0x94D049BB133111EB & M64
        h ^= h >> 31
    return h


def sampled(found: list[int]) -> list[int]:
    return [one for one in found if one % 16 == 0]


def permutations() -> tuple[list[int], list[int]]:
    outputs = mt19937(V["sketches"]["parameters"]["seed"])
    n = V["sketches"]["parameters"]["permutations"]
    a = [2 * (next(outputs) % 2**31) + 1 for _ in range(n)]
    return a, [next(outputs) for _ in range(n)]


def test_permutations() -> None:
    a, b = permutations()
    assert (a[:4], b[:4]) == (V["sketches"]["a"], V["sketches"]["b"])
    packed = struct.pack(f"<{len(a + b)}I", *a, *b)
    assert sha256(packed).hex() == V["sketches"]["parameters"]["permutations_sha256"]


@pytest.mark.parametrize("case", V["sketches"]["texts"], ids=range(len(V["sketches"]["texts"])))
def test_sketches(case: dict[str, Any]) -> None:
    found = shingles(case["text"])
    assert [f"{one:016x}" for one in found] == case["shingles"]
    assert [f"{one:016x}" for one in sampled(found)] == case["samples"]
    minima = signature(found, *permutations())
    assert minima[:8] == case["minima"] and sha256(struct.pack(f"<{len(minima)}I", *minima)).hex() == case["signature_sha256"]
    rows = V["sketches"]["parameters"]["rows"]
    assert {number: f"{band(int(number), rows, minima):016x}" for number in case["bands"]} == case["bands"]


PRESETS: list[dict[str, Any]] = json.loads((ROOT / "tests/golden/families.json").read_text())
ASCII = "".join(c for c in map(chr, range(33, 127)) if not c.isalnum())
CONTROLS = "".join(map(chr, [*range(0x9), *range(0xB, 0x20), *range(0x7F, 0xA0)]))
SIGNS = "".join(re.findall(r"^(« .* ～)\. FineWeb", SPEC, re.M)[0].split())


def simplified(text: str) -> str:
    text = re.sub(r"\d+([.,\u060c\u066b\u2396-\u2398]\d+)?", "0", text.lower())
    text = unicodedata.normalize("NFD", "".join(" " if c in CONTROLS + ASCII + SIGNS else c for c in text))
    found = ""
    for c in text:
        kind = unicodedata.category(c)
        if kind == "Mn":
            continue
        if unspaced(c) and re.match(r"\w", c):
            found += f" {c} "
        elif (
            kind[0] == "M"
            and unspaced(c)
            and found.endswith(" ")
            and found != found.rstrip()
            and unspaced(found.rstrip()[-1:] or " ")
        ):
            found = found[:-1] + f"{c} "
        else:
            found += c
    return found


FORMS = {
    "datasketch": lambda text: re.findall(r"\w+", text.lower()),
    "fineweb_2": lambda text: simplified(text).split(),
    "redpajama_2": lambda text: unicodedata.normalize("NFD", "".join(c for c in text if c not in ASCII).lower()).split(),
}


def drawn(preset: str) -> tuple[list[int], list[int]]:
    """Permutations of `mersenne61`."""
    import numpy as np

    state = np.random.RandomState(1 if preset == "fineweb_2" else 42)
    below = [2**61 - 1] * 2
    if preset == "fineweb_2":
        a, b = (state.randint(low, high, 112, np.uint64).tolist() for low, high in zip((1, 0), below, strict=True))
        return a, b
    pairs = [
        (int(state.randint(1, 2**61 - 1, dtype=np.uint64)), int(state.randint(0, 2**61 - 1, dtype=np.uint64))) for _ in range(128)
    ]
    return [a for a, _ in pairs], [b for _, b in pairs]


@pytest.mark.parametrize("case", PRESETS, ids=lambda case: f"{case['preset']} {case['name']}")
def test_presets(case: dict[str, Any]) -> None:
    import xxhash

    preset = case["preset"]
    words, size = FORMS[preset](case["text"]), 13 if preset == "redpajama_2" else 5
    runs = dict.fromkeys(" ".join(words[at : at + size]).encode() for at in range(len(words) - size + 1))
    hashes = [
        xxhash.xxh64_intdigest(run) if preset == "fineweb_2" else int.from_bytes(hashlib.sha1(run).digest()[:8], "little")
        for run in runs
    ]
    assert len(hashes) == case["distinct"]
    if preset == "datasketch":
        minima = signature([(one & M32) << 32 for one in hashes], *permutations())
    else:
        kept = M64 if preset == "fineweb_2" else M32
        pairs = zip(*drawn(preset), strict=True)
        minima = [min((((a * (x & kept) + b) & M64) % (2**61 - 1) & kept for x in hashes), default=kept) for a, b in pairs]
    assert minima[:4] == case["signature"]
    assert sha256(struct.pack(f"<{len(minima)}{'Q' if preset == 'fineweb_2' else 'I'}", *minima)).hex() == case["signature_sha256"]


@pytest.mark.parametrize("case", V["sketches"]["partition"], ids=lambda case: case["hash"])
def test_ranges_of_bands(case: dict[str, Any]) -> None:
    assert case["partition"] == case["band"] * case["ranges"] + ((int(case["hash"], 16) >> 32) * case["ranges"] >> 32)


def test_every_vector_is_recomputed() -> None:
    tested = "keys identity_forms canonical_json leaves tree manifest signer checkpoint tlog_proof multiproof revocations sketches"
    assert set(V) == set(tested.split())


def value(name: str) -> str:
    found: Any = V
    for part in name.split("."):
        found = found[int(part)] if isinstance(found, list) else found[part]
    return found.rstrip("\n") if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


QUOTED = re.findall(r"<!-- vector: (\S+) -->\n```\n(.*?)\n```", SPEC, re.S)


@pytest.mark.parametrize(("name", "shown"), QUOTED, ids=[name for name, _ in QUOTED])
def test_the_page_quotes_the_vectors(name: str, shown: str) -> None:
    assert shown == value(name)


def test_the_page_quotes_each_kind_and_no_other_number() -> None:
    assert len(QUOTED) == SPEC.count("<!-- vector") == SPEC.count("```") // 2
    assert {name.split(".")[0] for name, _ in QUOTED} == set(V)
    known = GOLDEN + (ROOT / "tests/golden/rfc6962.json").read_text()
    assert [number for number in re.findall(r"[0-9a-f]{32,}", SPEC) if number not in known] == []


def test_the_product_gives_the_vectors(tmp_path: Path) -> None:
    import pyarrow as pa

    from provenance import bands, identity, minhash, postings, schema
    from provenance import shingles as sketching
    from store import checkpoint, notes, proofs, revocation

    for case in V["keys"]:
        assert identity.key(case["file_sha256"], case["copy"], case["offset"], case["member_offset"]) == case["key"]
    for case in V["identity_forms"]:
        assert (identity.identity_form(case["text"]), identity.content_id(case["text"])) == (case["form"], case["content_id"])
        assert postings.id_hashes(pa.array([case["content_id"]])).tolist() == [int(case["id_hash"], 16)]
    for case in V["canonical_json"]:
        assert identity.canonical_json(case["value"]).decode() == case["bytes"]
    for case in V["leaves"]:
        assert identity.Leaf._make(case["fields"]).data().decode() == case["bytes"]
    signer = notes.Signer(V["signer"]["name"], bytes.fromhex(V["signer"]["seed"]))
    text = V["checkpoint"].rpartition("\n\n")[0] + "\n"
    assert notes.sign(text, [signer]).decode() == V["checkpoint"] and checkpoint.parse(text).text() == text
    vkey = V["signer"]["vkey"]
    for name in ("tlog_proof", "multiproof"):
        (tmp_path / name).write_text(V[name])
        (tmp_path / f"{name}.manifest").write_text(V["manifest"]["bytes"])
    assert proofs.verify_proof(str(tmp_path / "tlog_proof"), None, [vkey])["anchored"]
    assert proofs.encode(proofs.decode(V["multiproof"].encode())).decode() == V["multiproof"]
    assert proofs.check_proof(proofs.decode(V["multiproof"].encode()))[0].snapshot == V["manifest"]["id"]
    (tmp_path / "list").write_text(V["revocations"])
    listed = revocation.read(str(tmp_path / "list"), [], [vkey])
    assert revocation.write(listed.scope, listed.items, [signer]).decode() == V["revocations"]
    assert [f"{first:04x}-{last:04x}" for first, last in sketching.UNSPACED_RANGES] == V["sketches"]["unspaced"]
    options = minhash.MinHash()
    for case in V["sketches"]["texts"]:
        hashes, offsets = sketching.shingle_sets(pa.array([case["text"]]), options)
        minima = minhash.minima(hashes, offsets, options)
        assert [f"{one:016x}" for one in hashes] == case["shingles"] and minima[0][:8].tolist() == case["minima"]
        assert [f"{one:016x}" for one in hashes if one % postings.SAMPLED == 0] == case["samples"]
        assert {name: f"{bands.band_hashes(minima, options, [int(name)])[0, 0]:016x}" for name in case["bands"]} == case["bands"]
    rules = {f"| {kind} {version} | {rule} |" for kind, version, rule in schema.CHANGES}
    assert {rule for rule in rules if rule in SPEC} == rules
