"""datatrove's signatures of some texts, with the settings of FineWeb 2, for the preset `fineweb_2`.

Run by the peers' interpreter, so it imports nothing of this project: `python signatures.py REQUEST`, where REQUEST is a JSON
file of `texts`, `unspaced` (first and last code points of the scripts that do not space words) and `languages`. Prints JSON:
under `words` the signatures (a list of 112 minima, or null for a text without shingles) by the words that the preset takes, and
under each language those by datatrove's own tokeniser of it.

The golden vectors of that preset in `tests/golden/families.json` were made by it.
"""

import json
import sys
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupSignature
from datatrove.utils.hashing import HashConfig
from datatrove.utils.word_tokenizers import WordTokenizer

CONFIG = MinhashConfig(hash_config=HashConfig(hash_fc="xxhash", precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5)


class Words(WordTokenizer):
    """White-space words, of which each letter of an unspaced script is one with the marks that follow it."""

    def __init__(self, unspaced: list[list[int]]):
        super().__init__()
        self.unspaced = unspaced

    def word_tokenize(self, text: str) -> list[str]:
        return [token for word in text.split() for token in self.cut(word)]

    def cut(self, word: str) -> list[str]:
        found: list[str] = []
        alone = False
        for c in word:
            inside = any(first <= ord(c) <= last for first, last in self.unspaced)
            if inside and (c.isalnum() or c == "_"):
                found.append(c)
                alone = True
            elif alone and inside and unicodedata.category(c).startswith("M"):
                found[-1] += c
            elif alone or not found:
                found.append(c)
                alone = False
            else:
                found[-1] += c
        return found

    def sent_tokenize(self, text: str) -> list[str]:
        return [text]

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


def signatures(texts: list[str], language: Any, folder: str) -> list[list[int] | None]:
    step = MinhashDedupSignature(folder, CONFIG, language=language)
    found: list[list[int] | None] = []
    for text in texts:
        shingles = step.get_shingles(text)
        found.append([minimum for bucket in step.get_signature(shingles) for minimum in bucket] if shingles.size else None)
    return found


def main(path: str) -> None:
    request = json.loads(Path(path).read_text())
    with tempfile.TemporaryDirectory() as folder:
        made = {"words": signatures(request["texts"], Words(request["unspaced"]), folder)}
        made |= {language: signatures(request["texts"], language, folder) for language in request["languages"]}
    print(json.dumps(made))


if __name__ == "__main__":
    main(*sys.argv[1:])
