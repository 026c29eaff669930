"""Shingles of the families that join words by one space: each is a slice of the text's form, and only its bounds are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from provenance.families import Family, sha1, texts, xxh64
from provenance.kernels import compiled

HASHES: dict[str, Callable[..., Any]] = {"sha1-le64": sha1.digests, "xxh64": xxh64.digests}
SPACE = 0x20


def _bounds(data: np.ndarray, ends: np.ndarray, size: int, starts: np.ndarray, stops: np.ndarray, offsets: np.ndarray) -> int:
    """Writes where the runs of `size` words of each text start and stop in `data`; returns how many there are.

    Text i stands in data[ends[i]:ends[i + 1]], its words separated by single spaces.
    """
    end = 0
    for text in range(ends.shape[0] - 1):
        words = 0
        for i in range(ends[text], ends[text + 1]):
            if i == ends[text] or data[i - 1] == SPACE:
                starts[end + words] = i
                words += 1
            if (i + 1 == ends[text + 1] or data[i + 1] == SPACE) and words >= size and data[i] != SPACE:
                stops[end + words - size] = i + 1
        end += max(0, words - size + 1)
        offsets[text + 1] = end
    return end


def shingle_hashes(
    data: np.ndarray, starts: np.ndarray, stops: np.ndarray, family: Family, size: int
) -> tuple[np.ndarray, np.ndarray]:
    """Hashes of all runs of `size` words of all texts in order (uint64), and offsets (int64, one more than texts).

    Text i is the UTF-8 in data[starts[i]:stops[i]]. One with fewer words has none, as in the code that the family follows.
    """
    form = texts.form(family)
    spans = zip(starts.tolist(), stops.tolist(), strict=True)
    forms = [form(data[first:last].tobytes().decode("utf-8", "replace")).encode("utf-8", "replace") for first, last in spans]
    ends = np.zeros(len(forms) + 1, np.int64)
    np.cumsum([len(one) for one in forms], out=ends[1:])
    payload = np.frombuffer(b"".join(forms), np.uint8)
    # A word takes two bytes with what ends it, but for the last of a text.
    room = (len(payload) + len(forms) + 1) // 2 + len(forms)
    begins, finishes = np.empty(room, np.int64), np.empty(room, np.int64)
    offsets = np.zeros(len(forms) + 1, np.int64)
    found = compiled(_bounds)(payload, ends, size, begins, finishes, offsets)
    hashes = np.empty(found, np.uint64)
    compiled(HASHES[family.hash])(payload, begins[:found], finishes[:found], hashes)
    hashes[hashes == 0] = 1
    return hashes, offsets
