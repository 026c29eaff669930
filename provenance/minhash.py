"""MinHash: a text as the minima of its shingles under fixed permutations, so that equal shares estimate Jaccard similarity.

The family is datasketch's `affine32` (its default since 2.0): the upper half of a shingle's hash, mixed by MurmurHash3's
fmix32, then (a * x + b) modulo 2**32 for each permutation (a, b), of which the minimum stays. Signatures are equal, bit for
bit, to `datasketch.MinHash` fed with the same 32-bit hashes. A. Broder, "On the resemblance and containment of documents"
(1997) gives the estimate: its standard error at similarity J is sqrt(J (1 - J) / permutations).
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from provenance.schema import signatures
from provenance.shingles import HASH, NORMALISER, compiled, shingle_sets

MIX_A, MIX_B = np.uint32(0x85EBCA6B), np.uint32(0xC2B2AE35)  # MurmurHash3 fmix32
SHIFT_16, SHIFT_13, HALF = np.uint32(16), np.uint32(13), np.uint64(32)
EMPTY = np.uint32(0xFFFFFFFF)


class MinHash(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How texts are sketched. Only sketches of equal settings can be compared.

    Two documents of similarity J become a candidate with probability 1 - (1 - J**rows)**bands: at 25 bands of 5 rows .9999
    for J = 0.8, .999 for 0.75, .55 for 0.5.
    """

    permutations: Annotated[int, msgspec.Meta(description="minima in a signature")] = 128
    seed: Annotated[int, msgspec.Meta(description="seed of the permutations")] = 1
    bands: Annotated[int, msgspec.Meta(description="bands of the signature; two documents that agree on one are candidates")] = 25
    rows: Annotated[int, msgspec.Meta(description="minima in a band")] = 5
    shingle: Annotated[int, msgspec.Meta(description="tokens in a shingle")] = 5
    scheme: Annotated[Literal["affine32"], msgspec.Meta(description="datasketch's name of the family of permutations")] = "affine32"

    def __post_init__(self) -> None:
        for name in ("permutations", "bands", "rows", "shingle"):
            if getattr(self, name) < 1:
                raise ValueError(f"minhash.{name} is {getattr(self, name)}; a sketch needs at least 1. Set it to 1 or more.")
        if self.permutations > LARGEST:
            raise ValueError(f"minhash.permutations is {self.permutations}; more than {LARGEST} say nothing more. Lower it.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"minhash.seed is {self.seed}; the generator takes 32 bits. Set it between 0 and {2**32 - 1}.")
        if self.bands * self.rows > self.permutations:
            raise ValueError(
                f"minhash.bands x minhash.rows is {self.bands} x {self.rows} = {self.bands * self.rows}, and a signature has only"
                f" {self.permutations} minima. Lower one of them or raise minhash.permutations."
            )


LARGEST = 4096
"""Minima of a signature: the standard error of an estimate is below 0.008 there."""


@functools.cache
def permutations(options: MinHash) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers a (odd) and summands b of the permutations: uint32 arrays of `permutations` each, made by datasketch."""
    import datasketch

    a, b = datasketch.MinHash(num_perm=options.permutations, seed=options.seed, scheme=options.scheme).permutations
    return np.ascontiguousarray(a, np.uint32), np.ascontiguousarray(b, np.uint32)


def _minima(hashes: np.ndarray, offsets: np.ndarray, a: np.ndarray, b: np.ndarray, out: np.ndarray) -> None:
    for text in range(offsets.shape[0] - 1):
        row = out[text]
        row[:] = EMPTY
        for i in range(offsets[text], offsets[text + 1]):
            x = np.uint32(hashes[i] >> HALF)
            x = np.uint32((x ^ (x >> SHIFT_16)) * MIX_A)
            x = np.uint32((x ^ (x >> SHIFT_13)) * MIX_B)
            x ^= x >> SHIFT_16
            for j in range(a.shape[0]):
                row[j] = min(row[j], np.uint32(np.uint32(x * a[j]) + b[j]))


def minima(hashes: np.ndarray, offsets: np.ndarray, options: MinHash) -> np.ndarray:
    """Signatures (uint32, texts x permutations) of texts given by their shingle hashes; all ones where a text has none."""
    out = np.empty((len(offsets) - 1, options.permutations), np.uint32)
    compiled(_minima)(hashes, offsets, *permutations(options), out)
    return out


def minhash(texts: pa.Array | pa.ChunkedArray, options: MinHash) -> pa.RecordBatch:
    """One row per text: `signature` (fixed-size list of uint32) and `shingles`, the count of distinct ones (int32).

    A text without tokens has 0 shingles and a signature of all ones, which says nothing: it must not be compared.
    """
    hashes, offsets = shingle_sets(texts, options)
    schema = signatures(options.permutations)
    fields = [schema.field("signature"), schema.field("shingles")]
    sketch = pa.FixedSizeListArray.from_arrays(pa.array(minima(hashes, offsets, options).reshape(-1)), options.permutations)
    return pa.record_batch([sketch.cast(fields[0].type), pa.array(np.diff(offsets).astype(np.int32))], schema=pa.schema(fields))


def matrix(signature: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A column of signatures as uint32 (n, permutations); without a copy where it is one chunk."""
    if isinstance(signature, pa.ChunkedArray):
        signature = signature.combine_chunks()
    return signature.flatten().to_numpy().reshape(-1, signature.type.list_size)


def parameters(options: MinHash) -> dict[str, Any]:
    """Everything that must be equal for signatures and bands to be comparable, for a manifest (JSON-able)."""
    digest = hashlib.sha256(b"".join(array.astype("<u4").tobytes() for array in permutations(options))).hexdigest()
    return {
        "normaliser": NORMALISER,
        "unicode": unicodedata.unidata_version,
        "hash": HASH,
        **msgspec.structs.asdict(options),
        "permutations_sha256": digest,
    }


REMEDIES = {
    "unicode": "Run the Python release whose unicodedata is of {theirs}, or freeze the snapshot again with this one.",
    "permutations_sha256": "Install the release of datasketch that the snapshot was frozen with.",
}


def _remedy(name: str, theirs: Any) -> str:
    if name in REMEDIES:
        return REMEDIES[name].format(theirs=theirs)
    if name not in MinHash.__struct_fields__:
        return "Use the release of Lowbackground that froze the snapshot, or freeze it again with this one."
    if theirs == getattr(MinHash(), name):
        return f"Run the same command again without --minhash.{name}."
    return f"Run the same command again with --minhash.{name}={theirs}."


def check_compatible(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> None:
    """Compares the `parameters` of this run with a snapshot's.

    Raises `ValueError` that names each parameter that differs with both values, why it matters and what to do.
    """
    names = [name for name in {**theirs, **ours} if ours.get(name) != theirs.get(name)]
    # Other permutations are the plain consequence of another seed or count, and no news beside them.
    if {"seed", "permutations", "scheme"} & set(names):
        names = [name for name in names if name != "permutations_sha256"]
    if names:
        raise ValueError(
            "\n".join(
                f"{name} {ours.get(name, 'absent')} does not match the snapshot's {name} {theirs.get(name, 'absent')};"
                f" signatures would not be comparable. {_remedy(name, theirs.get(name))}"
                for name in names
            )
        )
