"""Shingles: a text as the set of its overlapping runs of tokens, each a 64-bit hash.

What follows is the default family, `lowbackground`; those of other projects stand in `provenance.families`. The similarity form of a text is its NFC, lower-cased by Unicode's full mapping (`str.lower`) and cut into tokens:

* in scripts that space their words, a token is a maximal run of word characters, which are those of Python's `\\w`
  (letters, numbers, the underscore);
* in scripts that do not (Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar), each letter is a token by itself;
* a combining mark belongs to the token before it, and to none where there is none, as in an emoji's variation selector.

A shingle is a run of `shingle` tokens (5 by default): word 5-grams of an English text, character 5-grams of a Chinese one.
The choice is made per character and not per text, so that a Japanese article inside an English page keeps its shingles.
A text with fewer tokens has one shingle over all of them, one without tokens has none.

Hashes, in arithmetic modulo 2**64: a token is h = OFFSET, then h = (h ^ c) * PRIME for each code point c (FNV-1a over code
points), finished by MurmurHash3's fmix64. A shingle over n tokens is s = SEED + n, then s = (s ^ token) * MULTIPLIER and
s ^= s >> 32 for each token; 0 is replaced by 1. Golden vectors are in the tests.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from provenance.families import FAMILIES, UNSPACED_RANGES, slices
from provenance.kernels import compiled

if TYPE_CHECKING:
    from provenance.minhash import MinHash

OFFSET, PRIME = np.uint64(0xCBF29CE484222325), np.uint64(0x100000001B3)  # FNV-1a, 64 bits
FMIX_A, FMIX_B, SHIFT = np.uint64(0xFF51AFD7ED558CCD), np.uint64(0xC4CEB9FE1A85EC53), np.uint64(33)  # MurmurHash3 fmix64
SEED, MULTIPLIER, HALF = np.uint64(0x9E3779B97F4A7C15), np.uint64(0x9FB21C651E98DF25), np.uint64(32)
ZERO, ONE = np.uint64(0), np.uint64(1)

OTHER, WORD, UNSPACED, MARK, KIND, IRREGULAR = 0, 1, 2, 3, 3, 4
"""Kinds of code points, the mask that reads one, and the bit of those that need Python to be normalised."""

HANGUL_JAMO, CAPITAL_SIGMA = (0x1100, 0x11FF), 0x3A3


@functools.cache
def tables() -> tuple[np.ndarray, np.ndarray, re.Pattern[str]]:
    """Kind (uint8) and lower case (uint32) of the code points of planes 0 to 3, by the interpreter's Unicode version, and
    a pattern of those whose lower case depends on their place or is longer than one, which the table cannot give.

    The other planes have no letters; what they hold (tags, supplementary variation selectors, private use) is no token.
    """
    points = "".join(map(chr, range(0x40000)))
    kind = np.zeros(len(points), np.uint8)
    for word in re.finditer(r"\w+", points):
        kind[word.start() : word.end()] = WORD
    for first, last in UNSPACED_RANGES:
        block = kind[first : last + 1]
        block[block == WORD] = UNSPACED
    kind[[name[0] == "M" for name in map(unicodedata.category, points)]] = MARK
    lowered = list(map(str.lower, points))
    special = [index for index, text in enumerate(lowered) if len(text) > 1] + [CAPITAL_SIGMA]
    lower = np.fromiter((ord(text[0]) for text in lowered), np.uint32, len(points))
    kind[special + _composing(points)] |= IRREGULAR
    return kind, lower, re.compile(f"[{''.join(map(chr, special))}]")


@functools.cache
def _letters() -> np.ndarray:
    """Lower case (uint64) of the word characters of ASCII, 0 for all else in it."""
    kind, lower, _ = tables()
    return np.where(kind[:128] & KIND == WORD, lower[:128], 0).astype(np.uint64)


def _composing(points: str) -> list[int]:
    """Code points that NFC may change, reorder or join to the one before: a superset of those whose NFC quick check
    (UAX 15) is No or Maybe, and all of another combining class than 0."""
    found = list(range(HANGUL_JAMO[0], HANGUL_JAMO[1] + 1))
    for index, point in enumerate(points):
        if unicodedata.combining(point):
            found.append(index)
        parts = unicodedata.decomposition(point)
        if parts and parts[0] != "<":
            found.extend(int(part, 16) for part in parts.split()[1:])
            if not unicodedata.is_normalized("NFC", point):
                found.append(index)
    return found


def spans(texts: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Bytes (uint8) of a string array, and where each text starts and stops in them (int64); nulls are empty."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.cast(pa.large_string()).combine_chunks()
    elif not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type)):
        texts = texts.cast(pa.large_string())
    _, places, payload = texts.buffers()
    if not len(texts) or places is None or payload is None:
        return np.zeros(0, np.uint8), np.zeros(len(texts), np.int64), np.zeros(len(texts), np.int64)
    width = np.int64 if pa.types.is_large_string(texts.type) else np.int32
    offsets = np.frombuffer(places, width)[texts.offset : texts.offset + len(texts) + 1].astype(np.int64)
    starts, stops = offsets[:-1], offsets[1:]
    if texts.null_count:
        stops = np.where(texts.is_valid().to_numpy(zero_copy_only=False), stops, starts)
    return np.frombuffer(payload, np.uint8), starts, stops


def _form(text: str, special: re.Pattern[str]) -> str:
    """NFC of a text, and its lower case where the table cannot give it."""
    form = unicodedata.normalize("NFC", text)
    return form.lower() if special.search(form) else form


def normalised(texts: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As `spans`, with those texts replaced that the table alone cannot normalise."""
    kind, _, special = tables()
    data, starts, stops = spans(texts)
    irregular = np.zeros(len(starts), np.bool_)
    compiled(_find_irregular)(data, starts, stops, kind, irregular)
    places = np.flatnonzero(irregular)
    if not len(places):
        return data, starts, stops
    # Only the texts' own bytes are copied: a slice's parent may be far larger.
    first, last = int(starts.min()), int(stops.max())
    forms = [_form(texts[int(place)].as_py(), special).encode() for place in places]
    starts, stops = starts - first, stops - first
    ends = np.cumsum([len(form) for form in forms]) + (last - first)
    starts[places] = np.concatenate([[last - first], ends[:-1]])
    stops[places] = ends
    return np.concatenate([data[first:last], np.frombuffer(b"".join(forms), np.uint8)]), starts, stops


def _find_irregular(data: np.ndarray, starts: np.ndarray, stops: np.ndarray, kind: np.ndarray, irregular: np.ndarray) -> None:
    for text in range(starts.shape[0]):
        i, stop = starts[text], stops[text]
        while i < stop:
            byte = np.int64(data[i])
            if byte < 0x80:
                i += 1
                continue
            width = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4
            if i + width > stop:
                break
            point = byte & (0x7F >> width)
            for place in range(i + 1, i + width):
                point = (point << 6) | (np.int64(data[place]) & 0x3F)
            i += width
            if point < kind.shape[0] and kind[point] & IRREGULAR:
                irregular[text] = True
                break


def _hash_tokens(
    data: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    kind: np.ndarray,
    lower: np.ndarray,
    letters: np.ndarray,
    out: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Writes the hashes of all tokens to `out` and the number of each text's to `counts`. Bytes cut short end a text.

    `out` has one place more than there can be tokens.
    """
    end = 0
    for text in range(starts.shape[0]):
        first, state, h = end, OTHER, OFFSET
        i, stop = starts[text], stops[text]
        while i < stop:
            # ASCII without a branch at the ends of words, which no processor foresees.
            if state != UNSPACED and data[i] < 0x80:
                while i < stop and data[i] < 0x80:
                    letter = letters[data[i]]
                    after = WORD if letter != ZERO else OTHER
                    out[end] = h
                    end += state & ~after
                    h = (h ^ letter) * PRIME if letter != ZERO else OFFSET
                    state = after
                    i += 1
                continue
            point = np.int64(data[i])
            if point < 0x80:
                i += 1
            else:
                width = 2 if point < 0xE0 else 3 if point < 0xF0 else 4
                if i + width > stop:
                    break
                point &= 0x7F >> width
                for place in range(i + 1, i + width):
                    point = (point << 6) | (np.int64(data[place]) & 0x3F)
                i += width
            what = int(kind[point]) & KIND if point < kind.shape[0] else OTHER
            if state == OTHER and what in (OTHER, MARK):
                continue
            if state != OTHER and what != MARK and (what != WORD or state != WORD):
                out[end] = h
                end, state, h = end + 1, OTHER, OFFSET
            if what != OTHER:
                h = (h ^ np.uint64(lower[point])) * PRIME
                state = state if what == MARK else what
        if state != OTHER:
            out[end] = h
            end += 1
        counts[text] = end - first


def _hash_runs(tokens: np.ndarray, counts: np.ndarray, size: int, out: np.ndarray, offsets: np.ndarray) -> int:
    """Writes the shingles of all texts to `out`, and finishes the hashes of `tokens`; returns how many shingles there are."""
    for i in range(counts.sum()):
        h = tokens[i]
        h = (h ^ (h >> SHIFT)) * FMIX_A
        h = (h ^ (h >> SHIFT)) * FMIX_B
        tokens[i] = h ^ (h >> SHIFT)
    read, end = 0, 0
    for text in range(counts.shape[0]):
        length = min(size, counts[text])
        number = counts[text] - length + min(length, 1)
        runs = out[end : end + number]
        runs[:] = SEED + np.uint64(length)
        for place in range(read, read + length):
            for i in range(number):
                s = (runs[i] ^ tokens[place + i]) * MULTIPLIER
                runs[i] = s ^ (s >> HALF)
        for i in range(number):
            runs[i] = max(runs[i], ONE)
        read += counts[text]
        end += number
        offsets[text + 1] = end
    return end


def _distinct(hashes: np.ndarray, offsets: np.ndarray, slots: np.ndarray, out: np.ndarray, out_offsets: np.ndarray) -> int:
    """Keeps the first of equal hashes of each text; `slots` is an open-addressing table of a power of two, twice the longest."""
    end = 0
    for text in range(offsets.shape[0] - 1):
        size = 2
        while size < 2 * (offsets[text + 1] - offsets[text]):
            size *= 2
        slots[:size] = ZERO
        mask = size - 1
        for i in range(offsets[text], offsets[text + 1]):
            slot = np.int64(hashes[i]) & mask
            while slots[slot] != ZERO and slots[slot] != hashes[i]:
                slot = (slot + 1) & mask
            if slots[slot] == ZERO:
                slots[slot] = hashes[i]
                out[end] = hashes[i]
                end += 1
        out_offsets[text + 1] = end
    return end


def shingle_hashes(texts: pa.Array | pa.ChunkedArray, options: MinHash) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all shingles of all texts in order (uint64), and offsets (int64, one more than texts).

    Text i has hashes[offsets[i]:offsets[i + 1]], repeats included. No hash is 0. Null texts have none.
    """
    if options.preset != "lowbackground":
        return slices.shingle_hashes(*spans(texts), FAMILIES[options.preset], options.shingle)
    kind, lower, _ = tables()
    data, starts, stops = normalised(texts)
    # A token takes at least two bytes with what ends it: unspaced letters have three. Pages never written cost no memory.
    room = int(((stops - starts + 1) // 2).sum())
    tokens, out = np.empty(room + 1, np.uint64), np.empty(room, np.uint64)
    counts, offsets = np.zeros(len(starts), np.int64), np.zeros(len(starts) + 1, np.int64)
    compiled(_hash_tokens)(data, starts, stops, kind, lower, _letters(), tokens, counts)
    end = compiled(_hash_runs)(tokens, counts, options.shingle, out, offsets)
    return out[:end], offsets


def shingle_sets(texts: pa.Array | pa.ChunkedArray, options: MinHash) -> tuple[np.ndarray, np.ndarray]:
    """As `shingle_hashes`, each text's hashes distinct, in the order in which they first occur."""
    hashes, offsets = shingle_hashes(texts, options)
    longest = int(np.diff(offsets).max(initial=1))
    slots = np.empty(1 << (2 * longest - 1).bit_length(), np.uint64)
    out, out_offsets = np.empty(len(hashes), np.uint64), np.zeros(len(offsets), np.int64)
    end = compiled(_distinct)(hashes, offsets, slots, out, out_offsets)
    return out[:end], out_offsets
