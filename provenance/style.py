"""Stylometry of a line: numbers that tell how a text is written and hardly what it is about, and the model over them.

The features are old (see Mosteller & Wallace 1964 for function words; Stamatatos 2009, "A survey of modern authorship attribution
methods", for the others): lengths of words and sentences and how much they vary, shares of punctuation, repetition of words and of pairs of
words, the size of the vocabulary, how far the text compresses, the share of words that machine text has in excess over human text
(Kobak et al. 2025, doi:10.1126/sciadv.adt3813), and the shares of the most frequent words of the language, most of them function
words (Burrows 2002, "Delta"). Both lists of words are learnt and belong to the model.
"""

import io
import zipfile
import zlib
from functools import cache
from typing import NamedTuple

import numpy as np

from provenance.kernels import compiled
from provenance.lines import PUNCTUATION

SCALARS = (
    "mean_word deviation_word long_words short_words sentences mean_sentence deviation_sentence variation_sentence "
    "change_sentence distinct distinct_50 once repeated_pairs comma period semicolon colon question exclamation entropy "
    "digits compressed_400 compressed excess excess_distinct"
).split()
"""Names of the features before the shares of frequent words; the length itself is none, or the model would learn the tables' lengths."""


class Trees(NamedTuple):
    """A gradient-boosted model: inner node i goes to `left[i]` where feature[i] <= cut[i], else to `right[i]`; a leaf has feature -1.

    `roots` are the first nodes of the trees, `value` the leaves' contributions, `bias` the sum's start; `vocabulary` are the sorted
    hashes (uint64) of the frequent words whose shares are features after `SCALARS`, `excess` those of the words in excess.
    """

    roots: np.ndarray
    feature: np.ndarray
    cut: np.ndarray
    left: np.ndarray
    right: np.ndarray
    value: np.ndarray
    bias: float
    vocabulary: np.ndarray
    excess: np.ndarray


def word_hash(word: str) -> int:
    """FNV-1a (64 bits) over the code points of a word, by which the kernel knows it."""
    value = 0xCBF29CE484222325
    for character in word:
        value = (value ^ ord(character)) * 0x100000001B3 & 0xFFFFFFFFFFFFFFFF
    return value


def _read(points: np.ndarray, marks: np.ndarray, hashes: np.ndarray, sizes: np.ndarray, kinds: np.ndarray) -> int:
    """Tokens of a line: FNV-1a, length, and the place of a mark, -1 for a word, -2 for one that begins with a digit; how many."""
    size = points.shape[0]
    tokens = start = 0
    while start < size:
        value = np.uint64(0xCBF29CE484222325)
        end = start
        while end < size and points[end] != 32:
            value = (value ^ np.uint64(points[end])) * np.uint64(0x100000001B3)
            end += 1
        kinds[tokens] = -2 if points[start] == 48 else -1
        if end - start == 1:
            for mark in range(marks.shape[0]):
                if points[start] == marks[mark]:
                    kinds[tokens] = mark
        hashes[tokens] = value
        sizes[tokens] = end - start
        tokens += 1
        start = end + 1
    return tokens


def _rhythm(kinds: np.ndarray, words: int, lengths: np.ndarray, out: np.ndarray) -> None:
    """Shares of marks, and lengths of sentences in words."""
    sentences = in_sentence = 0
    for token in range(kinds.shape[0]):
        mark = kinds[token]
        if mark < 0:
            in_sentence += 1
            continue
        # Of .,;:?!。、 the two last count as full stop and comma; the features begin with the comma.
        mark = mark if mark < 6 else mark - 6
        out[13 + (1 if mark == 0 else 0 if mark == 1 else mark)] += 1
        if (mark == 0 or mark >= 4) and in_sentence > 0:
            lengths[sentences] = in_sentence
            sentences += 1
            in_sentence = 0
    if in_sentence > 0:
        lengths[sentences] = in_sentence
        sentences += 1
    for i in range(13, 19):
        out[i] /= words
    out[4] = sentences / words
    mean = words / sentences
    deviation, change = 0.0, 0.0
    for i in range(sentences):
        deviation += (lengths[i] - mean) ** 2
        if i > 0:
            change += abs(lengths[i] - lengths[i - 1])
    deviation = np.sqrt(deviation / sentences)
    out[5], out[6], out[7] = mean, deviation, deviation / mean
    out[8] = change / (mean * (sentences - 1)) if sentences > 1 else 0.0


def _lengths(sizes: np.ndarray, kinds: np.ndarray, out: np.ndarray) -> None:
    """Lengths of words, and the share of numbers."""
    words = sizes.shape[0]
    total = squares = 0.0
    long_words = short_words = digits = 0
    for i in range(words):
        length = sizes[i]
        total += length
        squares += length * length
        long_words += length > 6
        short_words += length < 4
        digits += kinds[i] == -2
    mean = total / words
    out[0], out[1] = mean, np.sqrt(max(squares / words - mean * mean, 0.0))
    out[2], out[3], out[20] = long_words / words, short_words / words, digits / words


def _repetition(hashes: np.ndarray, keys: np.ndarray, counts: np.ndarray, seen: np.ndarray, out: np.ndarray) -> int:
    """Vocabulary, repetition and entropy of words and pairs of words; how many words are distinct.

    `keys`, `counts` (0) are two hash tables, of words and of pairs; `seen` is where a word stood last.
    """
    words, slots = hashes.shape[0], seen.shape[0]
    mask = np.uint64(slots - 1)
    distinct = fresh = repeated = block = 0
    for i in range(words):
        value = hashes[i]
        if i % 50 == 0:
            block = i
        slot = np.int64((value ^ (value >> np.uint64(29))) & mask)
        while counts[slot] > 0 and keys[slot] != value:
            slot = (slot + 1) % slots
        distinct += counts[slot] == 0
        fresh += counts[slot] == 0 or seen[slot] < block
        keys[slot] = value
        counts[slot] += 1
        seen[slot] = i
        if i > 0:
            pair = (hashes[i - 1] * np.uint64(0x9E3779B97F4A7C15)) ^ value
            slot = np.int64((pair ^ (pair >> np.uint64(29))) & mask)
            while counts[slots + slot] > 0 and keys[slots + slot] != pair:
                slot = (slot + 1) % slots
            repeated += counts[slots + slot] > 0
            keys[slots + slot] = pair
            counts[slots + slot] += 1
    once, entropy = 0, 0.0
    for place in range(slots):
        count = counts[place]
        if count > 0:
            once += count == 1
            entropy -= count / words * np.log2(count / words)
    out[9], out[10], out[11] = distinct / words, fresh / words, once / words
    out[12] = repeated / (words - 1) if words > 1 else 0.0
    out[19] = entropy / np.log2(float(words)) if words > 1 else 0.0
    return distinct


def features(points: np.ndarray, vocabulary: np.ndarray, excess: np.ndarray) -> np.ndarray:
    """The features (float64[len(SCALARS) + len(vocabulary)]) of a line (uint32 code points); the two lists are sorted hashes of words."""
    most = len(points) // 2 + 1
    out = np.zeros(len(SCALARS) + len(vocabulary))
    hashes, sizes, kinds = np.empty(most, np.uint64), np.empty(most, np.int32), np.empty(most, np.int32)
    tokens = compiled(_read)(points, _marks(), hashes, sizes, kinds)
    hashes, sizes, kinds = hashes[:tokens], sizes[:tokens], kinds[:tokens]
    spoken = kinds < 0
    words = hashes[spoken]
    if len(words):
        compiled(_rhythm)(kinds, len(words), np.zeros(most, np.int32), out)
        compiled(_lengths)(sizes[spoken], kinds[spoken], out)
        slots = 256
        while slots < 2 * len(words):
            slots *= 2
        tables = np.zeros(2 * slots, np.uint64), np.zeros(2 * slots, np.int32), np.zeros(slots, np.int32)
        distinct = compiled(_repetition)(words, *tables, out)
        strange = words[_among(words, excess) >= 0]
        out[23], out[24] = len(strange) / len(words), len(set(strange.tolist())) / distinct
        places = _among(words, vocabulary)
        out[len(SCALARS) :] = np.bincount(places[places >= 0], minlength=len(vocabulary)) / len(words)
    text = points.tobytes().decode("utf-32-le").encode()
    if text:
        out[21] = len(zlib.compress(text[:400], 6)) / len(text[:400])
        out[22] = len(zlib.compress(text, 6)) / len(text)
    return out


def _among(words: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Place of each word in `known` (sorted), -1 for none."""
    if not len(known):
        return np.full(len(words), -1)
    places = np.minimum(np.searchsorted(known, words), len(known) - 1)
    return np.where(known[places] == words, places, -1)


@cache
def _marks() -> np.ndarray:
    return np.array([ord(mark) for mark in PUNCTUATION], np.uint32)


def _descend(
    values: np.ndarray,
    roots: np.ndarray,
    feature: np.ndarray,
    cut: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
    value: np.ndarray,
) -> float:
    total = 0.0
    for tree in range(roots.shape[0]):
        node = roots[tree]
        while feature[node] >= 0:
            node = left[node] if values[feature[node]] <= cut[node] else right[node]
        total += value[node]
    return total


def score(values: np.ndarray, trees: Trees) -> float:
    """Log-odds of machine for the features of a line."""
    return (
        float(compiled(_descend)(values, trees.roots, trees.feature, trees.cut, trees.left, trees.right, trees.value)) + trees.bias
    )


def write(trees: Trees) -> bytes:
    """The model as a compressed NumPy archive, which holds numbers alone."""
    file = io.BytesIO()
    np.savez_compressed(file, **trees._replace(bias=np.float64(trees.bias))._asdict())
    return file.getvalue()


def read(data: bytes) -> Trees:
    """The model of `write`. Raises `ValueError` for other bytes and for a model of other features."""
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
            trees = Trees(**{name: arrays[name] for name in Trees._fields})
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"the stylometric model is not readable ({error}); no text could be scored. Restore it, or run `make model`."
        ) from error
    count = len(SCALARS) + len(trees.vocabulary)
    if len(trees.feature) and trees.feature.max() >= count:
        raise ValueError(
            f"the stylometric model asks for feature {trees.feature.max()} of {count}; it is of another version. Run `make model`."
        )
    return trees._replace(bias=float(trees.bias))
