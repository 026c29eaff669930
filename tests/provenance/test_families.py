"""The presets: golden vectors, and slow references that follow the code of the projects whose signatures they are.

The signatures of `fineweb_2` in `tests/golden/families.json` were made by datatrove itself (`tests/bench/peers/signatures.py`), those of
`datasketch` by datasketch, those of `redpajama_2` and the shingles by references like those below. They never change.
"""

import hashlib
import itertools
import json
import re
import string
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasketch
import msgspec
import numpy as np
import pyarrow as pa
import pytest
import xxhash
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines import config
from provenance.families import FAMILIES, UNSPACED_RANGES, mersenne61
from provenance.minhash import MinHash, check_compatible, matrix, minhash, parameters, permutations
from provenance.shingles import shingle_hashes, shingle_sets

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "families.json").read_text(encoding="utf-8"))
TEXTS = list(dict.fromkeys(vector["text"] for vector in GOLDEN))
PRESETS = ["datasketch", "fineweb_2", "redpajama_2"]
PRIME = 2**61 - 1

# What datatrove takes for punctuation beside controls (utils/text.py).
PUNCTUATION = set("""!"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~«´»–—’“”„…∶━►、。〈〉《》「」【】！％（），．１：；？～""")
CONTROLS = {*range(9), *range(11, 13), *range(13, 32), *range(127, 160)}


def sha1(shingle: str) -> int:
    return int.from_bytes(hashlib.sha1(shingle.encode()).digest()[:8], "little")


def xxh64(shingle: str) -> int:
    return xxhash.xxh64_intdigest(shingle.encode())


def runs(words: list[str], size: int) -> list[str]:
    return list(dict.fromkeys(" ".join(words[i : i + size]) for i in range(len(words) - size + 1)))


def datasketch_words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def fineweb_words(text: str) -> list[str]:
    """The simplification one character at a time, and each letter of an unspaced script as a word."""
    form = ""
    for c in unicodedata.normalize("NFD", re.sub(r"\d+([.,،٫⎖⎗⎘]\d+)?", "0", text.lower())):
        if unicodedata.category(c) != "Mn":
            form += " " if c in PUNCTUATION or ord(c) in CONTROLS else c
    found: list[str] = []
    open_word = alone = False
    for c in form:
        inside = any(first <= ord(c) <= last for first, last in UNSPACED_RANGES)
        if c.isspace():
            open_word = alone = False
        elif inside and re.match(r"\w", c):
            found.append(c)
            open_word, alone = False, True
        elif (alone and inside and unicodedata.category(c)[0] == "M") or open_word:
            found[-1] += c
        else:
            found.append(c)
            open_word, alone = True, False
    return found


def redpajama_words(text: str) -> list[str]:
    text = "".join(c for c in text if c not in string.punctuation).lower()
    return unicodedata.normalize("NFD", re.sub(r"\s+", " ", text.strip())).split()


def affine(hashes: list[int], options: MinHash) -> list[int]:
    sketch = datasketch.MinHash(num_perm=options.permutations, seed=options.seed, hashfunc=lambda h: h)
    sketch.update_batch([h % 2**32 for h in hashes])
    return [int(minimum) for minimum in sketch.hashvalues]


def wrapped(hashes: list[int], pairs: list[tuple[int, int]], bits: int) -> list[int]:
    """Integers without bounds, cut to 64 bits where NumPy's overflow."""
    return [min(((h * a + b) % 2**64 % PRIME % 2**bits for h in hashes), default=2**bits - 1) for a, b in pairs]


def fineweb_minima(hashes: list[int], options: MinHash) -> list[int]:
    draw = np.random.RandomState(options.seed)
    a, b = (draw.randint(low, PRIME, size=(1, options.permutations), dtype=np.uint64)[0].tolist() for low in (1, 0))
    return wrapped(hashes, list(zip(a, b, strict=True)), 64)


def redpajama_minima(hashes: list[int], options: MinHash) -> list[int]:
    draw = np.random.RandomState(options.seed)
    pairs = [
        (int(draw.randint(1, PRIME, dtype=np.uint64)), int(draw.randint(0, PRIME, dtype=np.uint64)))
        for _ in range(options.permutations)
    ]
    return wrapped([h % 2**32 for h in hashes], pairs, 32)


REFERENCES: dict[str, tuple[Callable[[str], list[str]], Callable[[str], int], Callable[[list[int], MinHash], list[int]]]] = {
    "datasketch": (datasketch_words, sha1, affine),
    "fineweb_2": (fineweb_words, xxh64, fineweb_minima),
    "redpajama_2": (redpajama_words, sha1, redpajama_minima),
}


def reference(text: str, options: MinHash) -> tuple[list[int], list[int]]:
    """(distinct shingle hashes, minima) of a text."""
    words, digest, minima = REFERENCES[options.preset]
    hashes = [digest(shingle) for shingle in runs(words(text), options.shingle)]
    return hashes, minima(hashes, options)


def found(texts: pa.Array | pa.ChunkedArray, options: MinHash) -> list[tuple[list[int], list[int]]]:
    hashes, offsets = shingle_sets(texts, options)
    batch = minhash(texts, options)
    assert batch.column("shingles").to_pylist() == np.diff(offsets).tolist()
    sketches = matrix(batch.column("signature"))
    return [(hashes[a:b].tolist(), sketch.tolist()) for (a, b), sketch in zip(itertools.pairwise(offsets), sketches, strict=True)]


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda v: f"{v['preset']}-{v['name']}")
def test_golden_vectors(vector: dict) -> None:
    options = MinHash(preset=vector["preset"])
    hashes, _ = shingle_sets(pa.array([vector["text"]]), options)
    signature = matrix(minhash(pa.array([vector["text"]]), options).column("signature"))[0]
    assert signature.dtype == np.dtype(f"uint{options.bits}")
    assert signature[:4].tolist() == vector["signature"]
    assert hashlib.sha256(signature.astype(f"<u{options.bits // 8}").tobytes()).hexdigest() == vector["signature_sha256"]
    assert [f"{h:016x}" for h in hashes[:3]] == vector["shingles"]
    assert len(hashes) == vector["distinct"]


@pytest.mark.parametrize("preset", PRESETS)
def test_golden_vectors_are_of_every_kind_of_text(preset: str) -> None:
    counts = {vector["name"]: vector["distinct"] for vector in GOLDEN if vector["preset"] == preset}
    for name in ("english", "german", "arabic", "emoji", "nul", "hangul_decomposed"):
        assert counts[name] > 0, name
    assert counts["empty"] == counts["punctuation"] == counts["short"] == 0
    assert {"chinese", "japanese", "thai"} < set(counts)


@pytest.mark.parametrize("preset", PRESETS)
def test_golden_texts_agree_with_the_reference(preset: str) -> None:
    options = MinHash(preset=preset)
    assert found(pa.array(TEXTS), options) == [reference(text, options) for text in TEXTS]


def test_datasketch_itself_gives_the_signature() -> None:
    options = MinHash(preset="datasketch")
    sketches = matrix(minhash(pa.array(TEXTS), options).column("signature"))
    for text, sketch in zip(TEXTS, sketches, strict=True):
        theirs = datasketch.MinHash(num_perm=128)
        for shingle in runs(re.findall(r"\w+", text.lower()), 5):
            theirs.update(shingle.encode())
        assert sketch.tolist() == theirs.hashvalues.tolist(), text[:30]


# Words of few letters and much that the rules are about: numbers, marks, punctuation, white space, unspaced scripts.
HARD = (
    "ab Ab  \t\n.,;_-’१٣٫12.5３，。漢字かが\u3099ｶกำ្កាမြန\u0301é İıßΣς\x00\x1f\x85\xa0\u2003\u200b￥😀\U000e0100\u1112\u1161한𑩂𠀀"
)


@pytest.mark.parametrize("preset", PRESETS)
@settings(deadline=None, max_examples=60)  # the first example compiles the kernels
@given(texts=st.lists(st.text(st.sampled_from(HARD), max_size=60) | st.text(max_size=40), max_size=4), size=st.integers(1, 6))
def test_any_text_agrees_with_the_reference(preset: str, texts: list[str], size: int) -> None:
    texts = [text.encode("utf-8", "ignore").decode() for text in texts]
    options = MinHash(preset=preset, shingle=size, permutations=8, bands=4, rows=2)
    assert found(pa.array(texts, pa.string()), options) == [reference(text, options) for text in texts]


@pytest.mark.parametrize("preset", [*PRESETS, "lowbackground"])
@settings(deadline=None, max_examples=40)  # the first example compiles the kernels
@given(
    texts=st.lists(st.none() | st.sampled_from(TEXTS) | st.text(st.sampled_from(HARD), max_size=40), max_size=8),
    cut=st.tuples(st.integers(0, 8), st.integers(0, 8)),
)
def test_batches_slices_chunks_and_nulls_are_equal(preset: str, texts: list[str | None], cut: tuple[int, int]) -> None:
    options = MinHash(preset=preset, shingle=2)
    texts = [None if text is None else text.encode("utf-8", "ignore").decode() for text in texts]
    first, last = min(*cut, len(texts)), min(max(cut), len(texts))
    alone = [pair for text in texts for pair in found(pa.array([text or ""]), options)]
    whole = pa.array(texts, pa.string())
    assert found(whole, options) == alone
    assert found(whole[first:last], options) == alone[first:last]
    assert found(pa.chunked_array([whole[:first], whole[first:last], whole[last:]]), options) == alone
    assert found(whole.cast(pa.large_string()), options) == alone


@pytest.mark.parametrize("preset", PRESETS)
def test_two_threads_get_the_same(preset: str) -> None:
    texts, options = pa.array(TEXTS * 3), MinHash(preset=preset)
    expected = minhash(texts, options)
    with ThreadPoolExecutor(2) as pool:
        assert all(one.equals(expected) for one in pool.map(lambda _: minhash(texts, options), range(4)))


@pytest.mark.parametrize("preset", PRESETS)
def test_a_text_with_fewer_words_than_a_shingle_has_none(preset: str) -> None:
    options = MinHash(preset=preset)
    words = [f"w{chr(97 + n)}" for n in range(options.shingle)]
    batch = minhash(pa.array([" ".join(words[:-1]), " ".join(words), None]), options)
    assert batch.column("shingles").to_pylist() == [0, 1, 0]
    sketches = matrix(batch.column("signature"))
    assert (sketches[[0, 2]] == np.iinfo(sketches.dtype).max).all() and (sketches[1] < np.iinfo(sketches.dtype).max).any()


@pytest.mark.parametrize("preset", PRESETS)
def test_bytes_that_are_not_utf8_are_read_within_bounds(preset: str) -> None:
    data = b"one two \xff\xe6 three \x80 four five six seven \xf0\x9f"
    offsets = np.array([0, len(data)], np.int32)
    texts = pa.Array.from_buffers(pa.string(), 1, [None, pa.py_buffer(offsets), pa.py_buffer(data)])
    options = MinHash(preset=preset, shingle=3)
    assert found(texts, options) == found(pa.array([data.decode("utf-8", "replace")]), options)


def test_letters_of_unspaced_scripts_are_words_of_fineweb_2_only() -> None:
    text = "日本語の文章です"
    counts = {preset: len(shingle_hashes(pa.array([text]), MinHash(preset=preset, shingle=5))[0]) for preset in FAMILIES}
    # か and its voicing mark are one after the simplification: 8 letters are 4 runs of 5.
    assert counts == {"lowbackground": 4, "datasketch": 0, "fineweb_2": 4, "redpajama_2": 0}
    assert parameters(MinHash(preset="redpajama_2"))["unspaced"] == []
    assert parameters(MinHash())["unspaced"] == parameters(MinHash(preset="fineweb_2"))["unspaced"]
    assert parameters(MinHash())["unspaced"][0] == "0e00-0eff"


def test_the_default_is_what_it_was() -> None:
    assert MinHash() == MinHash(preset="lowbackground", permutations=128, seed=1, bands=25, rows=5, shingle=5)
    assert msgspec.to_builtins(MinHash()) == {
        "preset": "lowbackground", "permutations": 128, "seed": 1, "bands": 25, "rows": 5, "shingle": 5,
    }  # fmt: skip


@pytest.mark.parametrize("preset", FAMILIES)
def test_a_preset_is_filled_in_and_round_trips_through_the_configuration(preset: str) -> None:
    made = config.resolve("curate", [], [("minhash.preset", preset), ("minhash.seed", "9")])
    plain = json.loads(json.dumps(config.plain(made)))
    assert all(value is not None for value in plain["minhash"].values())
    assert plain["minhash"] == msgspec.to_builtins(MinHash(preset=preset, seed=9))
    assert config.restore(plain, "curate")["minhash"] == made["minhash"] == MinHash(preset=preset, seed=9)
    assert made["minhash"].shingle == FAMILIES[preset].shingle


def test_explicit_values_go_over_the_preset_and_null_does_not() -> None:
    options = msgspec.convert({"preset": "redpajama_2", "shingle": 5, "seed": None}, MinHash)
    assert (options.shingle, options.seed, options.permutations) == (5, 42, 128)
    with pytest.raises(msgspec.ValidationError, match="23 x 5 = 115"):
        msgspec.convert({"preset": "fineweb_2", "bands": 23}, MinHash)
    with pytest.raises(msgspec.ValidationError, match="preset"):
        msgspec.convert({"preset": "fineweb_1"}, MinHash)


@pytest.mark.parametrize("preset", FAMILIES)
def test_bands_of_presets_propose_the_pairs_at_the_threshold(preset: str) -> None:
    options = MinHash(preset=preset)
    assert 1 - (1 - 0.75**options.rows) ** options.bands > 0.997


def test_digests_of_the_permutations() -> None:
    digests = {preset: parameters(MinHash(preset=preset))["permutations_sha256"] for preset in FAMILIES}
    assert digests["lowbackground"] == digests["datasketch"]
    # `MinHash._checksum` of RedPajama-Data is that of the array of (a, b) pairs, transposed.
    draw = np.random.RandomState(42)
    pairs = [(draw.randint(1, PRIME, dtype=np.uint64), draw.randint(0, PRIME, dtype=np.uint64)) for _ in range(128)]
    assert digests["redpajama_2"] == hashlib.sha256(np.array(pairs, np.uint64).T.tobytes()).hexdigest()
    a, b = permutations(MinHash(preset="fineweb_2"))
    assert digests["fineweb_2"] == hashlib.sha256(a.astype("<u8").tobytes() + b.astype("<u8").tobytes()).hexdigest()
    assert [array.tolist() for array in mersenne61.permutations(112, 1, rows=True)] == [a.tolist(), b.tolist()]
    # NumPy promises that these streams stay; that it keeps the promise is seen here.
    assert {preset: digest[:16] for preset, digest in digests.items()} == FROZEN


FROZEN = {
    "lowbackground": "b14750dd0abf30bb",
    "datasketch": "b14750dd0abf30bb",
    "fineweb_2": "3b8ce0e5ff06d695",
    "redpajama_2": "6a5665743fa18846",
}


def test_parameters_of_presets_differ_and_say_their_width() -> None:
    made = {preset: parameters(MinHash(preset=preset)) for preset in FAMILIES}
    assert len({json.dumps(one, sort_keys=True) for one in made.values()}) == len(FAMILIES)
    assert {preset: one["bits"] for preset, one in made.items()} == {
        "lowbackground": 32, "datasketch": 32, "fineweb_2": 64, "redpajama_2": 32,
    }  # fmt: skip
    assert {one["hash"] for one in made.values()} == {"fnv1a-fmix64-1", "sha1-le64", "xxh64"}


@pytest.mark.parametrize(("ours", "theirs"), list(itertools.permutations(FAMILIES, 2)))
def test_another_preset_is_one_line_that_names_both(ours: str, theirs: str) -> None:
    with pytest.raises(ValueError) as error:
        check_compatible(parameters(MinHash(preset=ours)), parameters(MinHash(preset=theirs)))
    remedy = "without --minhash.preset" if theirs == "lowbackground" else f"with --minhash.preset={theirs}"
    assert str(error.value) == (
        f"preset {ours} does not match the snapshot's preset {theirs}; signatures would not be comparable. "
        f"Run the same command again {remedy}."
    )


def test_beside_another_preset_only_what_does_not_follow_from_it_is_named() -> None:
    ours, theirs = parameters(MinHash(preset="redpajama_2", seed=7)), parameters(MinHash(preset="fineweb_2", shingle=4))
    with pytest.raises(ValueError) as error:
        check_compatible(ours, theirs | {"unicode": "99.0"})
    lines = str(error.value).splitlines()
    assert [line.split()[0] for line in lines] == ["preset", "unicode", "seed", "shingle"]
    assert lines[2].endswith("Run the same command again without --minhash.seed.")
    assert lines[3].endswith("Run the same command again with --minhash.shingle=4.")
    with pytest.raises(ValueError, match=r"^preset .* snapshot's preset fineweb_3; .* Use the release of Lowbackground"):
        check_compatible(ours, theirs | {"preset": "fineweb_3"})


def test_a_seed_of_a_preset_is_compared_with_that_preset() -> None:
    made = [parameters(MinHash(preset="redpajama_2", seed=seed)) for seed in (42, 1)]
    with pytest.raises(ValueError, match=r"^seed 1 does .* seed 42; .* again without --minhash.seed\.$"):
        check_compatible(made[1], made[0])
    with pytest.raises(ValueError, match=r"^seed 42 does .* seed 1; .* again with --minhash.seed=1\.$"):
        check_compatible(made[0], made[1])
