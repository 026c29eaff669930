"""Rarity: how uncommon the words of a text are among the documents of a collection, and which rare words a part of it keeps.

A word is found in the similarity form of a text (NFC, lower-cased by Unicode's full mapping, `provenance.shingles`):

* in scripts that space their words, a maximal run of word characters (Python's `\\w`) that has a letter and at most `LONGEST`
  code points: numbers and encoded data are no vocabulary;
* in scripts that do not (Han, Hiragana, Katakana, Thai, Lao, Khmer, Myanmar), each pair of neighbouring letters, and a letter that
  stands alone: pairs tell documents apart about as words do (J. Nie, J. Gao, J. Zhang and M. Zhou, "On the use of words and n-grams
  for Chinese information retrieval", 2000), and need no dictionary;
* a combining mark belongs to the character before it.

Words are 64-bit hashes: FNV-1a over code points, a pair mixed as a shingle of two is, finished by MurmurHash3's fmix64; 0 is
replaced by 1. Of ten million words two share a hash with a probability below 1e-5.

The rarity of a text is the mean over its distinct words of -log2(df / N), in bits: df of the N documents of the collection have the word.
A word that none of them has counts as one that a single document has, the rarest that can be seen; it need not be remembered then.
Logarithms and means are integers, so that no order of summation and no machine's library of functions shows in a result.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from fractions import Fraction
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from provenance.kernels import compiled
from provenance.shingles import (
    FMIX_A,
    FMIX_B,
    HALF,
    KIND,
    MARK,
    MULTIPLIER,
    OFFSET,
    ONE,
    OTHER,
    PRIME,
    SEED,
    SHIFT,
    UNSPACED,
    WORD,
    ZERO,
    normalised,
    tables,
)

LETTER = 4
"""Bit of the code points that make a run of word characters a word."""
FIRST, NEXT = 1, 2
"""How a letter of an unspaced script stands: alone or first in a run, or after its neighbour."""
LONGEST = 64
LOWER_A = np.uint64(ord("a"))
PAIR = SEED + np.uint64(2)

BITS = 16
"""Fraction bits of a logarithm; a mean has twice as many."""
WITHOUT = -1
"""The mean of a text without words."""
SLOTS = 1 << 12
GROUPS = 10
RARE = 5
"""Greatest document frequency of a rare word."""


@functools.cache
def _tables() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kind (uint8) and lower case (uint32) of code points, and lower case (uint64) of ASCII's word characters, 0 for all else.

    A character of an unspaced script that is no letter, such as a digit, is no part of a word.
    """
    known, lower, _ = tables()
    kind = known & KIND
    letter = np.fromiter((chr(point).isalpha() for point in range(len(kind))), np.bool_, len(kind))
    kind[(kind == UNSPACED) & ~letter] = OTHER
    kind[letter & ((kind == WORD) | (kind == UNSPACED))] |= LETTER
    ascii_ = np.where(kind[:128] & KIND == WORD, lower[:128], 0).astype(np.uint64)
    return kind, lower, ascii_


def _hash_tokens(
    data: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    kind: np.ndarray,
    lower: np.ndarray,
    letters: np.ndarray,
    out: np.ndarray,
    joints: np.ndarray,
    counts: np.ndarray,
) -> None:
    """Writes the unfinished hashes of words and of unspaced letters, and the number of each text's to `counts`. Bytes cut short end a text.

    `joints` gets 0 for a word, `FIRST` or `NEXT` for a letter. `out` and `joints` have one place more than there can be tokens."""
    end = 0
    for text in range(starts.shape[0]):
        first, state, h, size, good, joint = end, OTHER, OFFSET, 0, 0, 0
        i, stop = starts[text], stops[text]
        while i < stop:
            # ASCII without a branch at the ends of words, which no processor foresees.
            if state != UNSPACED and data[i] < 0x80:
                while i < stop and data[i] < 0x80:
                    letter = letters[data[i]]
                    inside = 1 if letter != ZERO else 0
                    out[end] = h
                    end += good & (inside ^ 1) & (1 if size <= LONGEST else 0)
                    good = (good | (1 if letter >= LOWER_A else 0)) & inside
                    size = (size + 1) * inside
                    h = (h ^ letter) * PRIME if letter != ZERO else OFFSET
                    i += 1
                state = WORD if size > 0 else OTHER
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
            flags = int(kind[point]) if point < kind.shape[0] else OTHER
            what = flags & KIND
            if state != OTHER and what != MARK and (what != WORD or state != WORD):
                out[end], joints[end] = h, joint
                end += good & (1 if size <= LONGEST or state == UNSPACED else 0)
                h, size, good = OFFSET, 0, 0
            if what != OTHER and (what != MARK or state != OTHER):
                h = (h ^ np.uint64(lower[point])) * PRIME
                size, good = size + 1, good | (flags >> 2)
            if what != MARK:
                joint = 0 if what != UNSPACED else NEXT if state == UNSPACED else FIRST
                state = what
        if state != OTHER:
            out[end], joints[end] = h, joint
            end += good & (1 if size <= LONGEST or state == UNSPACED else 0)
        counts[text] = end - first


def _keep_distinct(
    tokens: np.ndarray, joints: np.ndarray, counts: np.ndarray, slots: np.ndarray, out: np.ndarray, offsets: np.ndarray
) -> int:
    """Joins unspaced letters in pairs, finishes hashes and keeps the first of equal ones of each text; returns how many there are.

    `slots` is an open-addressing table of a power of two, at least twice the most tokens of a text.
    """
    read, end = 0, 0
    for text in range(counts.shape[0]):
        stop, size = read + counts[text], 2
        while size < 2 * counts[text]:
            size *= 2
        slots[:size] = ZERO
        for i in range(read, stop):
            h = tokens[i]
            if joints[i] == FIRST and i + 1 < stop and joints[i + 1] == NEXT:
                continue
            if joints[i] == NEXT:
                h = (PAIR ^ tokens[i - 1]) * MULTIPLIER
                h = ((h ^ (h >> HALF)) ^ tokens[i]) * MULTIPLIER
                h ^= h >> HALF
            h = (h ^ (h >> SHIFT)) * FMIX_A
            h = (h ^ (h >> SHIFT)) * FMIX_B
            h = max(h ^ (h >> SHIFT), ONE)
            slot = np.int64(h) & (size - 1)
            while slots[slot] != ZERO and slots[slot] != h:
                slot = (slot + 1) & (size - 1)
            if slots[slot] == ZERO:
                slots[slot] = h
                out[end] = h
                end += 1
        read = stop
        offsets[text + 1] = end
    return end


def words(texts: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of the distinct words of each text (uint64, none 0), in the order in which they first occur, and offsets (int64).

    Text i has hashes[offsets[i]:offsets[i + 1]]. Null texts have none.
    """
    data, starts, stops = normalised(texts)
    # A word takes at least two bytes with what ends it, and an unspaced letter three.
    room = int(((stops - starts + 1) // 2).sum()) + 1
    tokens, joints = np.empty(room, np.uint64), np.zeros(room, np.uint8)
    counts, offsets = np.zeros(len(starts), np.int64), np.zeros(len(starts) + 1, np.int64)
    compiled(_hash_tokens)(data, starts, stops, *_tables(), tokens, joints, counts)
    longest, total = int(counts.max(initial=1)), int(counts.sum())
    slots, out = np.empty(1 << (2 * longest - 1).bit_length(), np.uint64), np.empty(total, np.uint64)
    end = compiled(_keep_distinct)(tokens, joints, counts, slots, out, offsets)
    return out[:end], offsets


def _count(
    hashes: np.ndarray, offsets: np.ndarray, kept: np.ndarray, slots: np.ndarray, first: np.ndarray, second: np.ndarray
) -> int:
    """Counts the documents of each word in an open-addressing table with room for all; returns how many words are new in it."""
    mask, fresh = slots.shape[0] - 1, 0
    for text in range(kept.shape[0]):
        more = np.uint32(kept[text])
        for i in range(offsets[text], offsets[text + 1]):
            slot = np.int64(hashes[i]) & mask
            while slots[slot] != ZERO and slots[slot] != hashes[i]:
                slot = (slot + 1) & mask
            if slots[slot] == ZERO:
                slots[slot] = hashes[i]
                fresh += 1
            first[slot] += np.uint32(1)
            second[slot] += more
    return fresh


class Frequencies(NamedTuple):
    """Words (uint64, rising), how many documents have each, and how many of the kept ones (uint32)."""

    hashes: np.ndarray
    documents: np.ndarray
    kept: np.ndarray


def merged(parts: Sequence[Frequencies]) -> Frequencies:
    """The sums of several tables over disjoint sets of documents, whatever their order."""
    hashes = np.concatenate([part.hashes for part in parts]) if parts else np.zeros(0, np.uint64)
    order = np.argsort(hashes, kind="stable")
    hashes = hashes[order]
    opens = np.flatnonzero(np.concatenate([[True], hashes[1:] != hashes[:-1]])[: len(hashes)])
    sums = [
        np.add.reduceat(np.concatenate([part[column] for part in parts])[order], opens) if len(opens) else np.zeros(0, np.uint32)
        for column in (1, 2)
    ]
    return Frequencies(hashes[opens], *(column.astype(np.uint32) for column in sums))


class Counter:
    """Gathers in how many documents each word stands; 32 bytes a word at most."""

    def __init__(self) -> None:
        self._empty(SLOTS)

    def _empty(self, size: int) -> None:
        self.words = 0
        self._slots = np.zeros(size, np.uint64)
        self._first, self._second = np.zeros(size, np.uint32), np.zeros(size, np.uint32)

    def add(self, hashes: np.ndarray, offsets: np.ndarray, kept: np.ndarray) -> None:
        """Takes the distinct words of documents, as `words` gives them; `kept` (bool) says which of these are kept."""
        if 2 * (self.words + len(hashes)) > len(self._slots):
            held = np.flatnonzero(self._slots)
            before = self._slots[held], self._first[held], self._second[held]
            self._empty(1 << (2 * (len(held) + len(hashes)) - 1).bit_length())
            compiled(_move)(*before, self._slots, self._first, self._second)
            self.words = len(held)
        self.words += compiled(_count)(hashes, offsets, kept, self._slots, self._first, self._second)

    def take(self) -> Frequencies:
        """What was gathered, after which nothing is."""
        held = np.flatnonzero(self._slots)
        held = held[np.argsort(self._slots[held])]
        found = Frequencies(self._slots[held], self._first[held], self._second[held])
        self._empty(SLOTS)
        return found


def _move(
    hashes: np.ndarray, documents: np.ndarray, kept: np.ndarray, slots: np.ndarray, first: np.ndarray, second: np.ndarray
) -> None:
    mask = slots.shape[0] - 1
    for i in range(hashes.shape[0]):
        slot = np.int64(hashes[i]) & mask
        while slots[slot] != ZERO:
            slot = (slot + 1) & mask
        slots[slot], first[slot], second[slot] = hashes[i], documents[i], kept[i]


def logarithms(numbers: np.ndarray) -> np.ndarray:
    """Logarithms to base 2 (int64, in 2**-16, rounded down to within 2**-16 or so) of numbers from 1 to 2**32 - 1.

    The classic method by squaring: each squaring of a mantissa in [1, 2) gives one binary digit (D. Knuth, The Art of Computer
    Programming, volume 1, section 1.2.2), here in integers of 31 fraction bits.
    """
    numbers = np.asarray(numbers, np.uint64)
    whole = np.frexp(numbers.astype(np.float64))[1].astype(np.int64) - 1
    mantissa, found = numbers << (31 - whole).astype(np.uint64), whole
    for _ in range(BITS):
        mantissa = (mantissa * mantissa) >> np.uint64(31)
        digit = mantissa >> np.uint64(32)
        mantissa >>= digit
        found = 2 * found + digit.astype(np.int64)
    return found


class Table(NamedTuple):
    """Words (uint64, rising) with the logarithms of their document frequencies (int32), and where each range of hashes begins."""

    hashes: np.ndarray
    logarithms: np.ndarray
    starts: np.ndarray
    shift: int


def table(hashes: np.ndarray, documents: np.ndarray) -> Table:
    """A table to look words up in, of about one to two words a range; `hashes` rise. About 24 bytes a word."""
    bits = max(1, len(hashes).bit_length() - 1)
    edges = np.arange(1 << bits, dtype=np.uint64) << np.uint64(64 - bits)
    starts = np.append(np.searchsorted(hashes, edges), len(hashes)).astype(np.uint32)
    return Table(hashes, logarithms(documents).astype(np.int32), starts, 64 - bits)


def _look_up(
    words: np.ndarray, offsets: np.ndarray, hashes: np.ndarray, logs: np.ndarray, starts: np.ndarray, shift: int, sums: np.ndarray
) -> None:
    for text in range(sums.shape[0]):
        for i in range(offsets[text], offsets[text + 1]):
            at = np.int64(words[i] >> np.uint64(shift))
            place, stop = np.int64(starts[at]), np.int64(starts[at + 1])
            while place < stop and hashes[place] < words[i]:
                place += 1
            if place < stop and hashes[place] == words[i]:
                sums[text] += np.int64(logs[place])


def look_up(words: np.ndarray, offsets: np.ndarray, known: Table, sums: np.ndarray) -> None:
    """Adds to the sum of each text (int64) the logarithms of its words' frequencies; those of words that the table lacks are 0."""
    if len(known.hashes):
        compiled(_look_up)(words, offsets, *known, sums)


def means(sums: np.ndarray, offsets: np.ndarray, documents: int) -> np.ndarray:
    """Mean of -log2(df / N) over the distinct words of each text (int64, in 2**-32), rounded down; `WITHOUT` where it has no words.

    `sums` are those of the logarithms of df over all tables, `documents` is N, at least 1.
    """
    count = np.diff(offsets)
    total = count * int(logarithms(np.array([documents]))[0]) - sums
    found: np.ndarray = np.where(count > 0, (total << BITS) // np.maximum(count, 1), WITHOUT)
    return found


def boundaries(human: np.ndarray) -> np.ndarray:
    """The nine boundaries of deciles of means: nearest-rank quantiles of those that are not `WITHOUT`; none where there are none."""
    ordered = np.sort(human[human != WITHOUT])
    if not len(ordered):
        return ordered
    found: np.ndarray = ordered[[-(-len(ordered) * step // GROUPS) - 1 for step in range(1, GROUPS)]]
    return found


def deciles(means: np.ndarray, boundaries: np.ndarray) -> pa.Array:
    """Decile of each mean (int8), 0 for the most common words and 9 for the rarest: how many boundaries lie below it.

    Equal means are in one decile, the lowest that they reach. Null where a text has no words, or nothing sets the boundaries.
    """
    found = np.searchsorted(boundaries, means, "left").astype(np.int8)
    return pa.array(found, pa.int8(), mask=(means == WITHOUT) | (len(boundaries) == 0))


def survival(documents: int, kept: int, frequency: int) -> Fraction:
    """The probability, exactly, that a word of `frequency` documents stands in a uniform sample of `kept` of `documents`.

    1 - C(N - c, n) / C(N, n), the hypergeometric law of draws without replacement; 1 - (1 - n/N)^c is its limit for a large N.
    """
    lost = Fraction(1)
    for drawn in range(frequency):
        lost *= Fraction(max(documents - kept - drawn, 0), max(documents - drawn, 1))
    return 1 - lost
