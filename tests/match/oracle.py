"""What two texts have in common, and who survives, by plain sets: the truth that the match is held to.

Written from section 8 of SPEC.md and from DESIGN's rule, with no kernel of the product: a shingle is the tuple of its tokens and no
hash, a threshold is a fraction, and every pair of texts that share a shingle is looked at.
"""

import itertools
import json
import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import NamedTuple

SPEC = Path(__file__).parents[2] / "SPEC.md"
END_OF_TOKENS = 0x40000
"""Code points from here on are in no token, marks among them."""

SIMILARITY, CONTAINMENT, LARGER = Fraction(3, 4), Fraction(17, 20), 2
"""DESIGN, section 8: the defaults of the match."""

Shingle = tuple[str, ...]


def _unspaced() -> list[tuple[int, int]]:
    """The blocks whose letters are tokens by themselves, as SPEC.md lists them."""
    listed = re.search(r"<!-- vector: sketches\.unspaced -->\n```\n(.+?)\n```", SPEC.read_text(), re.S)
    assert listed, "SPEC.md no longer lists the blocks of unspaced scripts"
    pairs = (block.split("-") for block in json.loads(listed[1]))
    return [(int(first, 16), int(last, 16)) for first, last in pairs]


UNSPACED = _unspaced()


def _kind(character: str) -> str:
    point, category = ord(character), unicodedata.category(character)
    if point >= END_OF_TOKENS:
        return "other"
    if category[0] == "M":
        return "mark"
    if category[0] not in "LN" and character != "_":
        return "other"
    return "letter" if any(first <= point <= last for first, last in UNSPACED) else "word"


class _Kinds(dict[str, str]):
    def __missing__(self, character: str) -> str:
        self[character] = found = _kind(character)
        return found


KINDS = _Kinds()


def tokens(text: str) -> list[str]:
    """Tokens of the similarity form."""
    found: list[str] = []
    before = "other"
    for character in unicodedata.normalize("NFC", text).lower():
        kind = KINDS[character]
        if kind == "mark":
            if before != "other":
                found[-1] += character
            continue
        if kind == "word" == before:
            found[-1] += character
        elif kind != "other":
            found.append(character)
        before = kind
    return found


def shingles(text: str, size: int = 5) -> frozenset[Shingle]:
    """The set of a text's runs of `size` tokens; of a shorter text the one over all of them, of one without tokens none."""
    found = tokens(text)
    size = min(size, len(found))
    return frozenset(tuple(found[i : i + size]) for i in range(len(found) - size + 1)) if found else frozenset()


class Pair(NamedTuple):
    """Two sets of shingles: what both have, and how many each has. The right one is the reference, or comes first."""

    common: int
    left: int
    right: int

    @property
    def similarity(self) -> float:
        return self.common / (self.left + self.right - self.common) if self.common else 0.0

    @property
    def containment(self) -> float:
        """Share of the left one in the right."""
        return self.common / self.left if self.left else 0.0

    @property
    def contained(self) -> float:
        """Share of the right one in the left."""
        return self.common / self.right if self.right else 0.0

    @property
    def duplicate(self) -> bool:
        if not self.common:
            return False
        alike = Fraction(self.common, self.left + self.right - self.common) >= SIMILARITY
        inside = Fraction(self.common, self.left) >= CONTAINMENT
        around = Fraction(self.common, self.right) >= CONTAINMENT and self.left <= LARGER * self.right
        return alike or inside or around


def pair(left: frozenset[Shingle], right: frozenset[Shingle]) -> Pair:
    return Pair(len(left & right), len(left), len(right))


def compare(left: str, right: str) -> Pair:
    """Two texts, measured."""
    return pair(shingles(left), shingles(right))


def sharing(
    sets: Sequence[frozenset[Shingle]], others: Sequence[frozenset[Shingle]] | None = None
) -> Iterator[tuple[int, int, Pair]]:
    """Every (place in `sets`, place in `others`, pair) that shares a shingle; without `others` every (later, earlier) of `sets`."""
    holders: dict[Shingle, list[int]] = defaultdict(list)
    if others is not None:
        for place, found in enumerate(others):
            for shingle in found:
                holders[shingle].append(place)
    for place, found in enumerate(sets):
        common = Counter(itertools.chain.from_iterable(holders.get(shingle, ()) for shingle in found))
        for other, count in sorted(common.items()):
            yield place, other, Pair(count, len(found), len((sets if others is None else others)[other]))
        if others is None:
            for shingle in found:
                holders[shingle].append(place)


def survivors(texts: Sequence[str], references: Sequence[str] = ()) -> list[bool]:
    """Whether each text is kept, given in the order of survival: it goes where it has a duplicate in the references, or an
    earlier one that is itself kept, or says the same as an earlier text or a reference."""
    sets, known = [shingles(text) for text in texts], [shingles(text) for text in references]
    lost = {left for left, _, found in sharing(sets, known) if found.duplicate}
    earlier: dict[int, list[int]] = defaultdict(list)
    for left, right, found in sharing(sets):
        if found.duplicate:
            earlier[left].append(right)
    seen = {identity(text) for text in references}
    kept: list[bool] = []
    for place, text in enumerate(texts):
        stays = place not in lost and identity(text) not in seen and not any(kept[other] for other in earlier[place])
        kept.append(stays)
        seen.add(identity(text))
    return kept


def identity(text: str) -> str:
    """DESIGN, section 4: NFC with white space collapsed, nothing folded."""
    return " ".join(unicodedata.normalize("NFC", text).split())
