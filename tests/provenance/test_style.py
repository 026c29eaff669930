"""Style features against plain Python, the trees against a walk by hand, and the file that holds them."""

import itertools
import math
import zlib
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from provenance import lines, style

NOTHING = np.zeros(0, np.uint64)
TEXTS = st.lists(st.sampled_from("the of a cat 是 的 delve . , ; : ? ! 。 0000 tapestry".split()), max_size=130).map(" ".join)


def hashes(*words: str) -> np.ndarray:
    return np.array(sorted(map(style.word_hash, words)), np.uint64)


def oracle(line: str, vocabulary: list[str], excess: list[str]) -> dict[str, float]:
    tokens = line.split()
    words = [token for token in tokens if token not in lines.PUNCTUATION]
    out: dict[str, float] = dict.fromkeys(style.SCALARS, 0.0)
    if line:
        data = line.encode()
        out["compressed"] = len(zlib.compress(data, 6)) / len(data)
        out["compressed_400"] = len(zlib.compress(data[:400], 6)) / len(data[:400])
    if not words:
        return out
    count, size = Counter(words), len(words)
    lengths, sentence = [], 0
    for token in [*tokens, "."]:
        if token in ".?!。":
            lengths += [sentence] * (sentence > 0)
            sentence = 0
        else:
            sentence += token not in lines.PUNCTUATION
    long = np.array(list(map(len, words)))
    pairs = list(itertools.pairwise(words))
    mean = size / len(lengths)
    shares = np.array(list(count.values())) / size
    out |= {
        "mean_word": long.mean(),
        "deviation_word": long.std(),
        "long_words": (long > 6).mean(),
        "short_words": (long < 4).mean(),
        "sentences": len(lengths) / size,
        "mean_sentence": mean,
        "deviation_sentence": np.std(lengths),
        "variation_sentence": np.std(lengths) / mean,
        "change_sentence": np.abs(np.diff(lengths)).sum() / (mean * (len(lengths) - 1)) if len(lengths) > 1 else 0,
        "distinct": len(count) / size,
        "distinct_50": sum(len(set(words[i : i + 50])) for i in range(0, size, 50)) / size,
        "once": sum(n == 1 for n in count.values()) / size,
        "repeated_pairs": 1 - len(set(pairs)) / len(pairs) if pairs else 0,
        "entropy": -(shares * np.log2(shares)).sum() / math.log2(size) if size > 1 else 0,
        "digits": sum(word[0] == "0" for word in words) / size,
        "excess": sum(word in excess for word in words) / size,
        "excess_distinct": sum(word in excess for word in count) / len(count),
        "comma": sum(token in ",、" for token in tokens) / size,
        "period": sum(token in ".。" for token in tokens) / size,
        **{
            name: tokens.count(mark) / size
            for name, mark in zip(("semicolon", "colon", "question", "exclamation"), ";:?!", strict=True)
        },
    }
    for word in sorted(vocabulary, key=style.word_hash):
        out[word] = count[word] / size
    return out


@settings(deadline=None)
@given(TEXTS)
def test_features_equal_the_oracle(text):
    vocabulary, excess = ["the", "of", "是"], ["delve", "tapestry"]
    line = lines.line(text)
    found = style.features(line, hashes(*vocabulary), hashes(*excess))
    expected = oracle(lines.words(line), vocabulary, excess)
    names = [*style.SCALARS, *sorted(vocabulary, key=style.word_hash)]
    assert dict(zip(names, found.tolist(), strict=True)) == pytest.approx(
        {name: expected.get(name, 0.0) for name in names}, abs=1e-9
    )


def test_longest_line_has_room():
    assert np.isfinite(style.features(lines.line("字" * 10_000), NOTHING, NOTHING)).all()
    assert np.isfinite(style.features(lines.line("a. " * 10_000), NOTHING, NOTHING)).all()


def stump(cut: float, name: str = "mean_sentence") -> style.Trees:
    return style.Trees(
        roots=np.array([0], np.int32),
        feature=np.array([style.SCALARS.index(name), -1, -1], np.int16),
        cut=np.array([cut, 0, 0]),
        left=np.array([1, 0, 0], np.int32),
        right=np.array([2, 0, 0], np.int32),
        value=np.array([0, -1.0, 2.0]),
        bias=0.5,
        vocabulary=hashes("the"),
        excess=NOTHING,
    )


def test_score_walks_the_trees():
    features = style.features(lines.line("one two. three four"), hashes("the"), NOTHING)
    assert style.score(features, stump(2.0)) == -0.5 and style.score(features, stump(1.9)) == 2.5


def test_file_holds_the_model():
    data = style.write(stump(2.0))
    read = style.read(data)
    assert style.write(read) == data and read.bias == 0.5 and (read.vocabulary == hashes("the")).all()
    with pytest.raises(ValueError, match="not readable"):
        style.read(data[:50])
    with pytest.raises(ValueError, match="another version"):
        style.read(style.write(stump(2.0)._replace(feature=np.array([99, -1, -1], np.int16))))
