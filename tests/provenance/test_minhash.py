"""Signatures against datasketch, golden vectors, and the parameters that make two sketches comparable."""

import hashlib
import json
import subprocess
import sys
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import datasketch
import msgspec
import numpy as np
import pyarrow as pa
import pytest

from provenance import schema
from provenance.minhash import MinHash, check_compatible, matrix, minhash, parameters, permutations
from provenance.shingles import shingle_hashes

GOLDEN = json.loads((Path(__file__).parents[1] / "golden" / "match.json").read_text(encoding="utf-8"))
TEXTS = [vector["text"] for vector in GOLDEN] + ["the same words " * 40, "word " * 500 + "end"]


@pytest.mark.parametrize(
    "options", [MinHash(), MinHash(permutations=64, seed=7, bands=8, rows=8, shingle=3), MinHash(permutations=131)]
)
def test_signatures_equal_datasketch(options: MinHash) -> None:
    batch = minhash(pa.array(TEXTS), options)
    hashes, offsets = shingle_hashes(pa.array(TEXTS), options)
    for i, signature in enumerate(matrix(batch.column("signature"))):
        oracle = datasketch.MinHash(num_perm=options.permutations, seed=options.seed, scheme="affine32", hashfunc=lambda h: h)
        own = hashes[offsets[i] : offsets[i + 1]]
        oracle.update_batch([int(h >> np.uint64(32)) for h in own])
        assert signature.tolist() == oracle.hashvalues.tolist(), TEXTS[i][:30]
        assert batch.column("shingles")[i].as_py() == len(set(own.tolist()))


@pytest.mark.parametrize("vector", GOLDEN, ids=lambda v: v["name"])
def test_golden_vectors(vector: dict) -> None:
    batch = minhash(pa.array([vector["text"]]), MinHash())
    signature = matrix(batch.column("signature"))[0]
    assert signature[:4].tolist() == vector["signature"]
    assert hashlib.sha256(signature.astype("<u4").tobytes()).hexdigest() == vector["signature_sha256"]
    assert batch.column("shingles")[0].as_py() == vector["distinct"]


def test_the_batch_has_the_fields_of_the_dataset() -> None:
    options = MinHash(permutations=256)
    batch = minhash(pa.array(["some text", "", None]), options)
    fields = schema.signatures(256)
    assert batch.schema.equals(pa.schema([fields.field("signature"), fields.field("shingles")]), check_metadata=True)
    assert batch.column("shingles").to_pylist() == [1, 0, 0]
    assert (matrix(batch.column("signature"))[1:] == 0xFFFFFFFF).all()
    assert minhash(pa.array([], pa.string()), options).num_rows == 0


def test_slices_of_texts_and_of_signatures() -> None:
    whole = minhash(pa.array(TEXTS), MinHash())
    part = minhash(pa.array(TEXTS)[3:6], MinHash())
    assert part.equals(whole.slice(3, 3))
    assert matrix(whole.slice(3, 3).column("signature")).tolist() == matrix(part.column("signature")).tolist()
    chunked = pa.chunked_array([whole.column("signature")[:2], whole.column("signature")[2:]])
    assert matrix(chunked).tolist() == matrix(whole.column("signature")).tolist()


def test_two_threads_get_the_same() -> None:
    texts = pa.array([f"{text} {i}" for i in range(20) for text in TEXTS])
    expected = minhash(texts, MinHash())
    with ThreadPoolExecutor(2) as pool:
        assert all(found.equals(expected) for found in pool.map(lambda _: minhash(texts, MinHash()), range(6)))


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"bands": 26}, "26 x 5 = 130"),
        ({"rows": 0}, "minhash.rows"),
        ({"permutations": 0}, "minhash.permutations"),
        ({"seed": -1}, "minhash.seed"),
        ({"seed": 2**32}, "minhash.seed"),
        ({"shingle": 0}, "minhash.shingle"),
    ],
)
def test_impossible_settings_are_refused(wrong: dict, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        MinHash(**wrong)
    with pytest.raises(msgspec.ValidationError, match=named):
        msgspec.convert(wrong, MinHash)


def test_unknown_settings_and_presets_are_refused() -> None:
    for wrong in ({"band": 25}, {"scheme": "legacy"}, {"preset": "fineweb"}):
        with pytest.raises(msgspec.ValidationError):
            msgspec.convert(wrong, MinHash)


def test_parameters_say_everything() -> None:
    found = parameters(MinHash())
    assert json.loads(json.dumps(found)) == found
    assert found["unicode"] == unicodedata.unidata_version
    fixed = {"normaliser", "unicode", "tokens", "unspaced", "hash", "scheme", "bits", "permutations_sha256"}
    assert set(found) == set(MinHash.__struct_fields__) | fixed
    assert next(iter(found)) == "preset"
    a, b = permutations(MinHash())
    assert found["permutations_sha256"] == hashlib.sha256(a.tobytes() + b.tobytes()).hexdigest()
    # The family must not change under us with a release of datasketch.
    assert found["permutations_sha256"] == "b14750dd0abf30bb02469d6062895f1dee4f3bf2ef2d0a91310e8dafee9dc551"


def test_equal_parameters_are_compatible() -> None:
    assert check_compatible(parameters(MinHash()), parameters(MinHash())) is None


def test_another_seed_is_named_with_both_values_and_the_remedy() -> None:
    with pytest.raises(ValueError, match="seed 7 does not match") as error:
        check_compatible(parameters(MinHash(seed=7)), parameters(MinHash()))
    assert str(error.value) == (
        "seed 7 does not match the snapshot's seed 1; signatures would not be comparable. "
        "Run the same command again without --minhash.seed."
    )
    with pytest.raises(ValueError, match=r"Run the same command again with --minhash.seed=7\."):
        check_compatible(parameters(MinHash()), parameters(MinHash(seed=7)))


def test_every_differing_parameter_is_named() -> None:
    ours = parameters(MinHash())
    for name in ours:
        with pytest.raises(ValueError, match=f"^{name} .* does not match the snapshot's {name} other; .+ .+") as error:
            check_compatible(ours, {**ours, name: "other"})
        assert "\n" not in str(error.value)
        absent = {other: value for other, value in ours.items() if other != name}
        with pytest.raises(ValueError, match=f"the snapshot's {name} absent"):
            check_compatible(ours, absent)
    with pytest.raises(ValueError, match="bands") as error:
        check_compatible(parameters(MinHash(bands=18, rows=7)), ours)
    assert [line.split()[0] for line in str(error.value).splitlines()] == ["bands", "rows"]


def test_configuration_is_imported_without_the_heavy_libraries() -> None:
    code = (
        "import sys, provenance.minhash, provenance.similarity, provenance.bands, provenance.survivors;"
        "print([m for m in ('numba', 'datasketch', 'scipy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    assert done.stdout.strip() == "[]"
