"""A random part of a snapshot, and the probability that a change outside of it is missed.

Whoever changed something must not know what will be looked at, so the seed comes from the operating system; it is told,
and the same seed looks at the same places again. The order of files is that of SHA-256 over seed and path, a uniform
permutation; rows are drawn by NumPy's PCG64, seeded with that digest, and are the same as long as NumPy keeps its stream (NEP 19).
"""

import hashlib
import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from store.errors import UsageError


def fresh_seed() -> str:
    """A seed that nobody could know before: 16 bytes in hex."""
    return os.urandom(16).hex()


def given_seed(text: str) -> str:
    """A seed of an earlier sample, in the form in which it was printed. Raises `UsageError` for what can be none."""
    if not re.fullmatch(r"[0-9a-f]{16,}", seed := text.strip().lower(), re.ASCII):
        raise UsageError(
            f"--sample-seed {text!r} is no seed, which has at least 16 hexadecimal digits; whoever can guess it knows what is not looked at. "
            "Give the one that an earlier sample printed, or leave the option out."
        )
    return seed


@dataclass(frozen=True)
class Sample:
    """A share (0 < share <= 1) of the files and of the rows of documents in them, drawn by a seed."""

    share: float
    seed: str

    def _rank(self, path: str) -> bytes:
        return hashlib.sha256(f"{self.seed}\n{path}".encode()).digest()

    def least(self, population: int) -> int:
        """How many of some files are drawn at least."""
        return min(population, math.ceil(self.share * population))

    def files(self, entries: Sequence[dict[str, Any]]) -> set[str]:
        """Paths of a uniform random sample of `least` files, and of further random ones until they hold the share of the bytes."""
        wanted = self.share * sum(entry["size"] for entry in entries)
        chosen, size = set(), 0
        for number, entry in enumerate(sorted(entries, key=lambda entry: self._rank(entry["path"]))):
            if number >= self.least(len(entries)) and size >= wanted:
                break
            chosen.add(entry["path"])
            size += entry["size"]
        return chosen

    def rows(self, path: str, count: int) -> np.ndarray:
        """Sorted numbers (int64) of the drawn rows of a file of `count` rows: ceil(share x count) of them."""
        generator = np.random.default_rng(int.from_bytes(self._rank(path), "big"))
        return np.sort(generator.choice(count, self.least(count), replace=False))


def missed(population: int, drawn: int, changed: int) -> float:
    """Probability that a uniform sample of `drawn` of `population` holds none of `changed` ones, without replacement:
    C(population - changed, drawn) / C(population, drawn), the hypergeometric distribution at 0."""
    changed = min(changed, population)
    if drawn > population - changed:
        return 0.0
    return (
        math.prod((population - changed - i) / (population - i) for i in range(drawn))
        if drawn <= changed
        else math.prod((population - drawn - i) / (population - i) for i in range(changed))
    )


def upper_bound(differing: int, drawn: int, confidence: float = 0.95) -> float:
    """One-sided upper confidence limit of a share, `differing` of `drawn` having been seen (Clopper and Pearson 1934).

    It is the share p at which at most `differing` are seen with probability 1 - confidence. For none it is
    1 - (1 - confidence)**(1/n), which is below 3/n at 95 %: the rule of three (Hanley and Lippman-Hand 1983).
    """
    if drawn == 0 or differing >= drawn:
        return 1.0
    low, high = differing / drawn, 1.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if _at_most(differing, drawn, middle) > 1 - confidence else (low, middle)
    return high


def _at_most(differing: int, drawn: int, share: float) -> float:
    """P(X <= differing) for X binomial of `drawn` trials."""
    if share >= 1:
        return 0.0
    if share <= 0:
        return 1.0
    terms = (
        math.exp(
            math.lgamma(drawn + 1)
            - math.lgamma(k + 1)
            - math.lgamma(drawn - k + 1)
            + k * math.log(share)
            + (drawn - k) * math.log1p(-share)
        )
        for k in range(differing + 1)
    )
    return math.fsum(terms)
