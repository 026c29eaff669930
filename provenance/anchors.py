"""Anchors: what a translation leaves as it is, so that pages of different languages can be compared without understanding them.

B. Thompson et al., "A Shocking Amount of the Web is Machine Translated" (2024), align sentences by multilingual embeddings; anchors are the
cheap stand-in at the level of the page. The anchors of a text are a set of 64-bit hashes:

* numbers of `DIGITS` digits or more in any script's digits, written together: `1.234,5`, `1,234.5` and `1 234,5` are 12345. A year of its own
  is none, since menus and calendars of unrelated pages have the same ones;
* dates in digits, whatever the order of day and month and the separator: a year from 1900 to 2099 with two numbers of one or two digits;
* identifiers in Latin script: words with an underscore, with letters and digits, with a capital after a small letter, or joined by a
  point, an at sign or an underscore, such as file names, hosts, e-mail addresses and names of functions;
* names: capitalised Latin words of `LETTERS` letters or more that do not begin a sentence or a line, inside any script.

Latin letters count without case and accents. Texts of one language have anchors in common for many reasons; only pairs of different
languages tell (`provenance.parallel`).
"""

from __future__ import annotations

import functools
import unicodedata

import numpy as np
import pyarrow as pa

from provenance.kernels import compiled
from provenance.minhash import MinHash, sketches
from provenance.shingles import FMIX_A, FMIX_B, OFFSET, ONE, PRIME, SHIFT, ZERO, spans

SKETCH = MinHash(permutations=64, bands=21, rows=3)
"""How anchors are sketched: the Jaccard similarity of two sets is estimated with a standard error of 0.06 at most. Pairs of similarity J
become candidates with a probability of 1 - (1 - J**3)**21: .94 at J = 0.5, .16 at 0.2, .02 at 0.1."""

DIGITS, LETTERS = 3, 3
FIRST_YEAR, LAST_YEAR = 1900, 2099

OTHER, ALPHABET, SMALL, CAPITAL, LINE, POINT, COMMA, SPACE, DATED, AT, SKIPPED, STOP, DIGIT = (
    0,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
    9,
    10,
    11,
    16,
)
"""Kinds of code points: all others, letters that are not Latin, small and capital Latin ones, the underscore, the point, what else
separates the digits of a number, spaces, hyphen and slash, the at sign, marks, the ends of sentences and lines; digits from 16 on by value."""

WORD, NAME, NUMBER = 0, 1, 2
"""Roles of a token: a word, a word that may be a name by where it stands, and a run of digits."""

WIDTH = 0x20000
KINDS = {
    LINE: "_",
    POINT: ".",
    COMMA: ",'\u2019\u066b\u066c\u00b7",
    SPACE: " \u00a0\u202f\u2009",
    DATED: "-/",
    AT: "@",
    STOP: "\n\r!?:\u2026\u3002\uff01\uff1f\uff1a\u061f\u06d4\u0964\u2022",
}


@functools.cache
def tables() -> tuple[np.ndarray, np.ndarray]:
    """Kind (uint8) of the code points of planes 0 and 1, and the form (uint32) by which a Latin letter or a digit is hashed."""
    kind, form = np.zeros(WIDTH, np.uint8), np.zeros(WIDTH, np.uint32)
    for index in range(WIDTH):
        point = chr(index)
        category = unicodedata.category(point)
        if category == "Nd":
            value = unicodedata.decimal(point)
            kind[index], form[index] = DIGIT + value, ord("0") + value
        elif category[0] == "M":
            kind[index] = SKIPPED
        elif category[0] == "L":
            base = unicodedata.normalize("NFKD", point)[0]
            latin = category in ("Lu", "Ll") and unicodedata.name(base, "").startswith("LATIN")
            kind[index] = ALPHABET if not latin else CAPITAL if category == "Lu" else SMALL
            form[index] = ord(base.lower()[0]) if latin else 0
    for value, points in KINDS.items():
        kind[[ord(point) for point in points]] = value
    form[[ord(point) for point in "_.@"]] = [ord(point) for point in "_.@"]
    return kind, form


def _read(
    data: np.ndarray,
    starts: np.ndarray,
    stops: np.ndarray,
    kind: np.ndarray,
    form: np.ndarray,
    kinds: np.ndarray,
    forms: np.ndarray,
    offsets: np.ndarray,
) -> None:
    """Writes kind and form of every code point of all texts, and where each text begins; bytes cut short end a text."""
    end = 0
    for text in range(starts.shape[0]):
        i, stop = starts[text], stops[text]
        while i < stop:
            point = np.int64(data[i])
            width = 1
            if point >= 0x80:
                width = 2 if point < 0xE0 else 3 if point < 0xF0 else 4
                if i + width > stop:
                    break
                point &= 0x7F >> width
                for place in range(i + 1, i + width):
                    point = (point << 6) | (np.int64(data[place]) & 0x3F)
            i += width
            if point < kind.shape[0]:
                kinds[end], forms[end] = kind[point], form[point]
            else:
                kinds[end], forms[end] = OTHER, 0
            end += 1
        offsets[text + 1] = end


def _cut(
    kinds: np.ndarray, offsets: np.ndarray, starts: np.ndarray, stops: np.ndarray, roles: np.ndarray, ends: np.ndarray
) -> None:
    """Writes where each token of all texts starts and stops, its role, and where each text's tokens end.

    A token is a run of digits, or one of Latin letters, digits and underscores in which points and at signs stand between two of them.
    """
    token = 0
    for text in range(offsets.shape[0] - 1):
        i, end = offsets[text], offsets[text + 1]
        begins = True
        while i < end:
            what = kinds[i]
            if what in (SMALL, CAPITAL, LINE) or what >= DIGIT:
                starts[token] = i
                word, capital = False, what == CAPITAL and not begins
                while i < end:
                    what = kinds[i]
                    if what in (SMALL, CAPITAL, LINE):
                        word = True
                    elif what < DIGIT and not (word and what == SKIPPED):
                        follows = kinds[i + 1] if i + 1 < end else STOP
                        between = follows in (SMALL, CAPITAL, LINE) or follows >= DIGIT
                        if not (word and between and (what in (POINT, AT))):
                            break
                    i += 1
                stops[token], roles[token], begins = i, (NAME if capital else WORD) if word else NUMBER, False
                token += 1
                continue
            if what in (STOP, POINT):
                begins = True
            elif what == ALPHABET:
                begins = False
            i += 1
        ends[text + 1] = token


def _hash(
    kinds: np.ndarray, forms: np.ndarray, starts: np.ndarray, stops: np.ndarray, roles: np.ndarray, hashes: np.ndarray
) -> None:
    """Writes the hash of each token that is an anchor, and 0 of others. Of numbers only the digits are read."""
    for token in range(starts.shape[0]):
        h, letters, digits, marks, inner, small = OFFSET, 0, 0, 0, False, False
        number = roles[token] == NUMBER
        for i in range(starts[token], stops[token]):
            what = kinds[i]
            if what == SKIPPED or (number and what < DIGIT):
                continue
            if what in (SMALL, CAPITAL):
                letters += 1
                inner |= small and what == CAPITAL
            elif what >= DIGIT:
                digits += 1
            else:
                marks += 1
            small = what == SMALL
            h = (h ^ np.uint64(forms[i])) * PRIME
        size = letters + digits + marks
        identifier = letters > 0 and (inner or (marks > 0 and size > LETTERS) or (digits > 0 and size >= LETTERS))
        name = roles[token] == NAME and letters == size and size >= LETTERS
        h = (h ^ (h >> SHIFT)) * FMIX_A
        h = (h ^ (h >> SHIFT)) * FMIX_B
        hashes[token] = max(h ^ (h >> SHIFT), ONE) if identifier or name or (number and digits >= DIGITS) else ZERO


def _numbers(
    kinds: np.ndarray, starts: np.ndarray, stops: np.ndarray, owner: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Of runs of digits: starts, stops and texts of the numbers that they make, and hashes and texts of the dates."""
    sizes = stops - starts
    values = np.zeros(len(starts), np.int64)
    for place in range(4):
        digit = kinds[np.minimum(starts + place, len(kinds) - 1)].astype(np.int64) - DIGIT
        values = np.where(sizes > place, values * 10 + digit, values)
    near = np.zeros(len(starts), np.bool_)
    near[:-1] = (starts[1:] == stops[:-1] + 1) & (owner[1:] == owner[:-1])
    separator = np.where(near, kinds[np.minimum(stops, len(kinds) - 1)], OTHER)
    before, following, third = np.roll(separator, 1), np.roll(separator, -1), np.roll(separator, -2)
    middle, last = np.roll(sizes, -1), np.roll(sizes, -2)
    dated = ((separator == POINT) | (separator == DATED)) & (following == separator) & (before != separator) & (third != separator)
    ahead = (sizes == 4) & (last <= 2)
    dated &= (middle <= 2) & (ahead | ((sizes <= 2) & (last == 4)))
    year, day = np.where(ahead, values, np.roll(values, -2)), np.where(ahead, np.roll(values, -2), values)
    dated &= (year >= FIRST_YEAR) & (year <= LAST_YEAR)
    month = np.roll(values, -1)
    parts = np.stack([year, np.minimum(day, month), np.maximum(day, month)]).astype(np.uint64)[:, dated]
    hashes = np.full(parts.shape[1], OFFSET)
    for part in parts:
        hashes = (hashes ^ part) * PRIME
    hashes = (hashes ^ (hashes >> SHIFT)) * FMIX_A
    inside = dated | np.roll(dated, 1) | np.roll(dated, 2)
    spaced = (separator == SPACE) & (sizes <= 3) & (middle == 3)
    joined = ((separator == POINT) | (separator == COMMA) | spaced) & ~inside & ~np.roll(inside, -1)
    opens = ~np.roll(joined, 1)
    single = opens & ~joined
    # A year of its own is no anchor, and a date is one already.
    kept = ~inside & ~(single & (sizes == 4) & (values >= FIRST_YEAR) & (values <= LAST_YEAR))
    return starts[opens & kept], stops[~joined & kept], owner[opens & kept], np.maximum(hashes, ONE), owner[dated]


def anchor_sets(texts: pa.Array | pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """Anchors of all texts (uint64), and offsets (int64, one more than texts).

    Text i has hashes[offsets[i]:offsets[i + 1]], distinct and rising. No hash is 0. Null texts have none.
    """
    kind, form = tables()
    data, first, last = spans(texts)
    room = int((last - first).sum()) + 1
    kinds, forms = np.empty(room, np.uint8), np.empty(room, np.uint32)
    offsets, ends = np.zeros(len(first) + 1, np.int64), np.zeros(len(first) + 1, np.int64)
    compiled(_read)(data, first, last, kind, form, kinds, forms, offsets)
    kinds = kinds[: offsets[-1] + 1]
    kinds[-1] = STOP
    starts, stops, roles = np.empty(room, np.int64), np.empty(room, np.int64), np.empty(room, np.uint8)
    compiled(_cut)(kinds, offsets, starts, stops, roles, ends)
    starts, stops, roles = starts[: ends[-1]], stops[: ends[-1]], roles[: ends[-1]]
    owner = np.repeat(np.arange(len(first)), np.diff(ends))
    runs = roles == NUMBER
    number_starts, number_stops, number_owner, dates, date_owner = _numbers(kinds, starts[runs], stops[runs], owner[runs])
    starts, stops = np.concatenate([starts[~runs], number_starts]), np.concatenate([stops[~runs], number_stops])
    roles = np.concatenate([roles[~runs], np.full(len(number_starts), NUMBER, np.uint8)])
    hashes = np.empty(len(starts), np.uint64)
    compiled(_hash)(kinds, forms, starts, stops, roles, hashes)
    owner = np.concatenate([owner[~runs], number_owner, date_owner])
    hashes = np.concatenate([hashes, dates])
    return _sets(hashes[hashes != ZERO], owner[hashes != ZERO], len(first))


def _sets(hashes: np.ndarray, owner: np.ndarray, texts: int) -> tuple[np.ndarray, np.ndarray]:
    """The distinct hashes of each text, rising, and their offsets."""
    order = np.lexsort((hashes, owner))
    hashes, owner = hashes[order], owner[order]
    first = np.ones(len(hashes), np.bool_)
    first[1:] = (hashes[1:] != hashes[:-1]) | (owner[1:] != owner[:-1])
    return hashes[first], np.searchsorted(owner[first], np.arange(texts + 1)).astype(np.int64)


def anchors(texts: pa.Array | pa.ChunkedArray) -> pa.RecordBatch:
    """The sketch of each text's anchors: `signature` (uint32, 64 minima) and `shingles`, their number (int32)."""
    return sketches(*anchor_sets(texts), SKETCH)
