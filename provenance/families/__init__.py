"""Families of sketches: what a preset of `provenance.minhash.MinHash` fixes, and what it fills in where nothing else is asked for.

Signatures of `datasketch`, `fineweb_2` and `redpajama_2` are those of other projects' code, bit for bit:

* `datasketch`: `datasketch.MinHash` (2.x, its defaults) fed with the word 5-grams of the lower-cased text.
* `fineweb_2`: `MinhashDedupSignature` of datatrove 0.10 with the settings of `fineweb-2-pipeline.py` (xxHash64, 64-bit minima,
  5-grams, 14 x 8), fed with the words of the simplified text. FineWeb 2 cut words with a tokeniser per language (spaCy, Stanza
  and others), whose results change from release to release; here words are what white space separates, and single letters in
  the scripts that do not space words. So published clusters of FineWeb 2 are not reproduced; signatures are those of datatrove
  for a tokeniser that cuts at white space.
* `redpajama_2`: `app/src/dedupe` of RedPajama-Data (13-grams of white-space words, SHA-1, 128 minima of 32 bits, seed 42, which
  is its command's default; that the published signatures were made with it nobody has said). The digest that it logs is
  `permutations_sha256`.

Bands are our own: FineWeb 2 used 14 x 8, which proposes 77 % of the pairs at similarity 0.75 and 92 % at 0.8; RedPajama 2 at 0.8
9 x 13, which proposes 20 % and 40 %; datasketch's `MinHashLSH` chooses the same for 0.8. What is asked for here is that
nothing at the threshold is missed, so all have bands of 5 rows (25 over 128 minima, 22 over 112), which propose at least .997 at 0.75.
"""

from __future__ import annotations

from typing import NamedTuple


class Family(NamedTuple):
    """What makes texts to signatures. The last five are defaults, which options may replace; the others are fixed."""

    normaliser: str
    """Name of the rule by which a text becomes its similarity form."""
    tokens: str
    """Name of the rule by which that becomes tokens."""
    unspaced: bool
    """Whether letters of the scripts that do not space words are tokens by themselves."""
    hash: str
    """Name of the 64-bit hash of a shingle."""
    drawn: int
    """How far a hash is shifted right before the permutations, which take the lower `wide` bits of it."""
    wide: int
    """Bits of the hash that the permutations take: 32 or 64."""
    scheme: str
    """Name of the permutations."""
    bits: int
    """Bits of a minimum: 32 or 64."""
    permutations: int
    seed: int
    bands: int
    rows: int
    shingle: int


DEFAULTS = ("permutations", "seed", "bands", "rows", "shingle")
"""Fields of a family that options may replace."""

FAMILIES = {
    "lowbackground": Family(
        normaliser="nfc-lower-tokens-1",
        tokens="word-runs",
        unspaced=True,
        hash="fnv1a-fmix64-1",
        drawn=32,
        wide=32,
        scheme="affine32",
        bits=32,
        permutations=128,
        seed=1,
        bands=25,
        rows=5,
        shingle=5,
    ),
    "datasketch": Family(
        normaliser="lower-words-1",
        tokens="word-runs",
        unspaced=False,
        hash="sha1-le64",
        drawn=0,
        wide=32,
        scheme="affine32",
        bits=32,
        permutations=128,
        seed=1,
        bands=25,
        rows=5,
        shingle=5,
    ),
    "fineweb_2": Family(
        normaliser="datatrove-simplify-1",
        tokens="white-space",
        unspaced=True,
        hash="xxh64",
        drawn=0,
        wide=64,
        scheme="mersenne61-rows",
        bits=64,
        permutations=112,
        seed=1,
        bands=22,
        rows=5,
        shingle=5,
    ),
    "redpajama_2": Family(
        normaliser="redpajama-normalize-1",
        tokens="white-space",
        unspaced=False,
        hash="sha1-le64",
        drawn=0,
        wide=32,
        scheme="mersenne61-pairs",
        bits=32,
        permutations=128,
        seed=42,
        bands=25,
        rows=5,
        shingle=13,
    ),
}

UNSPACED_RANGES = (
    (0x0E00, 0x0EFF),  # Thai, Lao
    (0x1000, 0x109F),  # Myanmar
    (0x1780, 0x17FF),  # Khmer
    (0x3005, 0x3007),  # Han iteration and closing marks, ideographic zero
    (0x3021, 0x303C),  # Han numerals and marks, kana repeat marks
    (0x3040, 0x30FF),  # Hiragana, Katakana
    (0x31F0, 0x31FF),  # Katakana extensions
    (0x3400, 0x4DBF),  # Han extension A
    (0x4E00, 0x9FFF),  # Han
    (0xA9E0, 0xA9FF),  # Myanmar extended B
    (0xAA60, 0xAA7F),  # Myanmar extended A
    (0xF900, 0xFAFF),  # Han compatibility
    (0xFF66, 0xFF9F),  # half-width Katakana
    (0x1AFF0, 0x1B16F),  # Kana supplements
    (0x20000, 0x3FFFF),  # Han, planes 2 and 3
)
"""Blocks of the scripts that do not space words (Unicode Blocks.txt); letters in them are tokens by themselves."""
