"""MinHash: a text as the minima of its shingles under fixed permutations, so that equal shares estimate Jaccard similarity.

Which text, which shingles, which hash and which permutations a preset says (`provenance.families`). The default's permutations
are datasketch's `affine32` over the upper half of a shingle's hash; its signatures are equal, bit for bit, to
`datasketch.MinHash` fed with the same 32-bit hashes. A. Broder, "On the resemblance and containment of documents" (1997) gives
the estimate: its standard error at similarity J is sqrt(J (1 - J) / permutations).
"""

from __future__ import annotations

import functools
import hashlib
import unicodedata
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
import numpy as np
import pyarrow as pa

from provenance.families import DEFAULTS, FAMILIES, UNSPACED_RANGES, Family, affine32, mersenne61
from provenance.kernels import compiled
from provenance.schema import signatures
from provenance.shingles import shingle_sets

if TYPE_CHECKING:
    Filled = int
else:
    Filled = int | None
FROM_PRESET: Any = None
"""Default of the fields that `__post_init__` fills from the preset: none is null in options that have been made."""


class MinHash(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """How texts are sketched. Only sketches of equal settings can be compared.

    Two documents of similarity J become a candidate with probability 1 - (1 - J**rows)**bands: at 25 bands of 5 rows .9999
    for J = 0.8, .999 for 0.75, .55 for 0.5.
    """

    preset: Annotated[
        Literal["lowbackground", "datasketch", "fineweb_2", "redpajama_2"],
        msgspec.Meta(description="family of sketches: ours, or one that other projects' code computes; it fills in the other keys"),
    ] = "lowbackground"
    permutations: Annotated[Filled, msgspec.Meta(description="minima in a signature; the preset's: 128, of fineweb_2 112")] = (
        FROM_PRESET
    )
    seed: Annotated[Filled, msgspec.Meta(description="seed of the permutations; the preset's: 1, of redpajama_2 42")] = FROM_PRESET
    bands: Annotated[
        Filled,
        msgspec.Meta(
            description="bands of the signature; two documents that agree on one are candidates; the preset's: 25, of fineweb_2 22"
        ),
    ] = FROM_PRESET
    rows: Annotated[Filled, msgspec.Meta(description="minima in a band; the preset's: 5")] = FROM_PRESET
    shingle: Annotated[Filled, msgspec.Meta(description="tokens in a shingle; the preset's: 5, of redpajama_2 13")] = FROM_PRESET

    def __post_init__(self) -> None:
        for name in DEFAULTS:
            if getattr(self, name) is None:
                msgspec.structs.force_setattr(self, name, getattr(self.family, name))
        for name in ("permutations", "bands", "rows", "shingle"):
            if getattr(self, name) < 1:
                raise ValueError(f"minhash.{name} is {getattr(self, name)}; a sketch needs at least 1. Set it to 1 or more.")
        if self.shingle > LARGEST:
            raise ValueError(
                f"minhash.shingle is {self.shingle}; no text has a run of more than {LARGEST} tokens in common. Lower it."
            )
        if self.permutations > LARGEST:
            raise ValueError(f"minhash.permutations is {self.permutations}; more than {LARGEST} say nothing more. Lower it.")
        if not 0 <= self.seed < 2**32:
            raise ValueError(f"minhash.seed is {self.seed}; the generator takes 32 bits. Set it between 0 and {2**32 - 1}.")
        if self.bands * self.rows > self.permutations:
            raise ValueError(
                f"minhash.bands x minhash.rows is {self.bands} x {self.rows} = {self.bands * self.rows}, and a signature has only"
                f" {self.permutations} minima. Lower one of them or raise minhash.permutations."
            )

    @property
    def family(self) -> Family:
        """What the preset fixes."""
        return FAMILIES[self.preset]

    @property
    def bits(self) -> int:
        """Width of a minimum: 32 or 64."""
        return self.family.bits


LARGEST = 4096
"""Minima of a signature: the standard error of an estimate is below 0.008 there."""


@functools.cache
def permutations(options: MinHash) -> tuple[np.ndarray, np.ndarray]:
    """Multipliers a and summands b of the permutations: arrays of `permutations` each, uint32 or uint64 by the scheme."""
    if options.family.scheme == "affine32":
        return affine32.permutations(options.permutations, options.seed)
    return mersenne61.permutations(options.permutations, options.seed, rows=options.family.scheme == "mersenne61-rows")


def minima(hashes: np.ndarray, offsets: np.ndarray, options: MinHash) -> np.ndarray:
    """Signatures (texts x permutations, uint32 or uint64 by `options.bits`) of texts given by their shingle hashes.

    Where a text has none, all bits are set.
    """
    family = options.family
    a, b = permutations(options)
    out = np.empty((len(offsets) - 1, options.permutations), np.uint32 if family.bits == 32 else np.uint64)
    if family.scheme == "affine32":
        compiled(affine32.minima)(hashes, offsets, a, b, np.uint64(family.drawn), out)
    else:
        taken, kept = np.uint64(2**family.wide - 1), np.uint64(2**family.bits - 1)
        compiled(mersenne61.minima)(hashes, offsets, a, b, taken, kept, out)
    return out


def sketches(hashes: np.ndarray, offsets: np.ndarray, options: MinHash) -> pa.RecordBatch:
    """One row per text, given by its distinct shingle hashes: `signature` (fixed-size list of uint32, or uint64 by `options.bits`) and
    `shingles`, their count (int32).

    A text without tokens has 0 shingles and a signature of all ones, which says nothing: it must not be compared.
    """
    schema = signatures(options.permutations, options.bits)
    fields = [schema.field("signature"), schema.field("shingles")]
    sketch = pa.FixedSizeListArray.from_arrays(pa.array(minima(hashes, offsets, options).reshape(-1)), options.permutations)
    return pa.record_batch([sketch.cast(fields[0].type), pa.array(np.diff(offsets).astype(np.int32))], schema=pa.schema(fields))


def minhash(texts: pa.Array | pa.ChunkedArray, options: MinHash) -> pa.RecordBatch:
    """The `sketches` of texts."""
    return sketches(*shingle_sets(texts, options), options)


def matrix(signature: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """A column of signatures as an array (n, permutations) of its type; without a copy where it is one chunk."""
    if isinstance(signature, pa.ChunkedArray):
        signature = signature.combine_chunks()
    return signature.flatten().to_numpy().reshape(-1, signature.type.list_size)


def parameters(options: MinHash) -> dict[str, Any]:
    """Everything that must be equal for signatures and bands to be comparable, for a manifest (JSON-able)."""
    family = options.family
    own = msgspec.structs.asdict(options)
    digest = hashlib.sha256(b"".join(array.astype(array.dtype.newbyteorder("<")).tobytes() for array in permutations(options)))
    return {
        "preset": own.pop("preset"),
        "normaliser": family.normaliser,
        "unicode": unicodedata.unidata_version,
        "tokens": family.tokens,
        "unspaced": [f"{first:04x}-{last:04x}" for first, last in UNSPACED_RANGES] if family.unspaced else [],
        "hash": family.hash,
        "scheme": family.scheme,
        "bits": family.bits,
        **own,
        "permutations_sha256": digest.hexdigest(),
    }


REMEDIES = {
    "unicode": "Run the Python release whose unicodedata is of {theirs}, or make the {kind} again with this one.",
    "permutations_sha256": "Install the release of datasketch that the {kind} was made with.",
}


def _remedy(name: str, theirs: Mapping[str, Any], kind: str) -> str:
    value = theirs.get(name)
    if name in REMEDIES:
        return REMEDIES[name].format(theirs=value, kind=kind)
    known = name in MinHash.__struct_fields__ and theirs.get("preset") in FAMILIES
    if not known:
        return f"Use the release of Lowbackground that made the {kind}, or make it again with this one."
    if value == (MinHash().preset if name == "preset" else getattr(FAMILIES[theirs["preset"]], name)):
        return f"Run the same command again without --minhash.{name}."
    return f"Run the same command again with --minhash.{name}={value}."


def _follows(name: str, parameters: Mapping[str, Any]) -> bool:
    """Whether a parameter is what its preset makes it, and no news beside the preset."""
    family = FAMILIES.get(parameters.get("preset", ""))
    if name == "unicode":
        return False
    if family is None or name in ("unspaced", "permutations_sha256"):
        return True
    return parameters.get(name) == getattr(family, name)


def check_compatible(ours: Mapping[str, Any], theirs: Mapping[str, Any], kind: str = "snapshot") -> None:
    """Compares the `parameters` of this run with those of a snapshot or, by its `kind`, another.

    Raises `ValueError` that names each parameter that differs with both values, why it matters and what to do: the preset
    first, and what only follows from it not at all.
    """
    names = [name for name in {"preset": None, **theirs, **ours} if ours.get(name) != theirs.get(name)]
    if "preset" in names:
        names = [name for name in names if name == "preset" or not (_follows(name, ours) and _follows(name, theirs))]
    # Other permutations are the plain consequence of another seed or count, and no news beside them.
    if {"seed", "permutations", "scheme"} & set(names):
        names = [name for name in names if name != "permutations_sha256"]
    if names:
        raise ValueError(
            "\n".join(
                f"{name} {ours.get(name, 'absent')} does not match the {kind}'s {name} {theirs.get(name, 'absent')};"
                f" signatures would not be comparable. {_remedy(name, theirs, kind)}"
                for name in names
            )
        )
