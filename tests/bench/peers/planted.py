"""A reference and a crawl with planted copies of it, and by brute force what each document of the crawl has in common with others.

Texts are English pieces of `PIECE` characters, of the real ones of ../shared/data as long as there are some, then words drawn by Zipf's law.
Of the crawl `SHARE` are exact copies, `TIMES` of each document that has one, and as many are near copies, with words replaced
so that their similarity is spread evenly. The true similarity is the Jaccard similarity of the sets of 5 words in a row, words being what
`\\w+` finds in lower case: neither tool's own rule.
"""

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench import bench_freeze
from tests.bench.inputs import SHARED

ENGLISH = ("git-certified-prose", "nltk")
PIECE, SHARE, TIMES = 3000, 0.06, 3
LEAST = 0.45
"""Similarity that the most changed near copies are meant to have."""
FLOOR = 0.3
"""Similarity below which a pair is not looked at: any decision that rests on one is wrong."""
WORD, SHINGLE = re.compile(r"\w+"), 5
MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
SHIFT = np.uint64(29)


@dataclass(frozen=True)
class Planted:
    """Texts by name: `ref-N` in the reference, `exact-N`, `near-N` and `new-N` in the crawl."""

    reference: dict[str, str]
    crawl: dict[str, str]
    origin: dict[str, str]
    """Of each planted copy, the document of the reference that it was made of."""
    real: int
    """How many of the pieces are of real texts."""

    def write(self, folder: Path) -> tuple[str, str]:
        """Folders of the two as Parquet, for both tools."""
        for name, found in (("reference", self.reference), ("crawl", self.crawl)):
            (folder / name).mkdir(parents=True)
            columns = {"id": list(found), "text": list(found.values()), "date": ["2019-05-01T00:00:00Z"] * len(found)}
            pq.write_table(pa.table(columns), folder / name / "00000.parquet", row_group_size=1000)
        return str(folder / "reference"), str(folder / "crawl")


def real() -> Iterator[str]:
    """Pieces that do not overlap, no two equal."""
    seen: set[str] = set()
    for name in ENGLISH:
        table = pq.read_table(SHARED / "human_pre2022" / f"{name}.parquet", columns=["text", "lang"])
        for text, language in zip(*(table[column].to_pylist() for column in ("text", "lang")), strict=True):
            for start in range(0, len(text) - PIECE + 1, PIECE) if language == "en" else ():
                piece = text[start : start + PIECE].strip()
                if len(WORD.findall(piece)) >= PIECE // 10 and piece not in seen:
                    seen.add(piece)
                    yield piece


def made() -> Iterator[str]:
    return (text for found in bench_freeze.texts(1 << 40, seed=7) for text in found)


def plant(count: int, seed: int = 1) -> Planted:
    """A reference and a crawl of `count` documents each."""
    rng = np.random.default_rng(seed)
    exact, near = int(count * SHARE) // TIMES * TIMES, int(count * SHARE)
    found = list(itertools.islice(real(), 2 * count))
    rng.shuffle(found)
    number = len(found)
    found += itertools.islice(made(), 2 * count - number)
    reference = {f"ref-{i}": text for i, text in enumerate(found[:count])}
    names = rng.permutation(list(reference))
    origin = {f"exact-{i}": str(names[i // TIMES]) for i in range(exact)}
    crawl = {name: reference[of] for name, of in origin.items()}
    for i, wanted in enumerate(np.linspace(LEAST, 1, near, endpoint=False)):
        name = f"near-{i}"
        origin[name] = str(names[-1 - i])
        crawl[name] = changed(reference[origin[name]], wanted, rng)
    crawl |= {f"new-{i}": text for i, text in enumerate(found[count : 2 * count - exact - near])}
    order = rng.permutation(list(crawl))
    return Planted(reference, {str(name): crawl[name] for name in order}, origin, number)


def changed(text: str, wanted: float, rng: np.random.Generator) -> str:
    """The text with words replaced at random, one at least, so that its similarity comes near `wanted`.

    Where each word is replaced with chance p, s = (1 - p)**5 of the shingles stay, and J = s / (2 - s).
    """
    words = text.split(" ")
    chance = 1 - (2 * wanted / (1 + wanted)) ** (1 / SHINGLE)
    hit = rng.random(len(words)) < chance
    hit[rng.integers(len(words))] = True
    for place in np.flatnonzero(hit):
        words[place] = f"word{rng.integers(1 << 30):x}"
    return " ".join(words)


def shingles(texts: Iterable[str]) -> pa.Table:
    """Table (place of the text, hash) of each text's distinct shingles."""
    numbers: dict[str, int] = {}
    hashes, sizes = [], []
    for text in texts:
        words = WORD.findall(text.lower())
        ids = np.array([numbers.setdefault(word, len(numbers) + 1) for word in words], np.uint64)
        own = np.zeros(max(len(ids) - SHINGLE + 1, 0), np.uint64)
        for at in range(SHINGLE):
            own = (own ^ ids[at : at + len(own)]) * MULTIPLIER
            own ^= own >> SHIFT
        hashes.append(np.unique(own))
        sizes.append(len(hashes[-1]))
    return pa.table({"place": np.repeat(np.arange(len(sizes), dtype=np.int32), sizes), "hash": np.concatenate(hashes)})


@dataclass(frozen=True)
class Truth:
    """Of each document of the crawl the greatest similarity with one of the reference, and with any other document; of pairs the
    similarity and the greater of both containments."""

    reference: dict[str, float]
    anything: dict[str, float]
    pairs: dict[tuple[str, str], tuple[float, float]]

    def alike(self, one: str, other: str, jaccard: float, contained: float) -> bool:
        """Whether two documents reach one of the two."""
        similar, inside = self.pairs.get((one, other), (0.0, 0.0))
        return similar >= jaccard or inside >= contained


def truth(planted: Planted) -> Truth:
    """All pairs of a document of the crawl and another that share a shingle, by joining the shingles themselves."""
    names = [*planted.crawl, *planted.reference]
    con = duckdb.connect()
    con.register("given", shingles([*planted.crawl.values(), *planted.reference.values()]))
    con.execute("create table own as select place, hash from given")
    con.execute("create table sizes as select place, count(*) as size from own group by 1")
    rows = con.sql(f"""
        with pairs as (select a.place as one, b.place as other, count(*) as common from own a join own b using (hash)
          where a.place < {len(planted.crawl)} and a.place <> b.place group by 1, 2)
        select one, other, common / (a.size + b.size - common) as jaccard, common / least(a.size, b.size) as contained
        from pairs join sizes a on a.place = one join sizes b on b.place = other where jaccard >= {FLOOR}
    """).fetchall()
    found = Truth({}, {}, {})
    for one, other, jaccard, contained in ((names[a], names[b], *shares) for a, b, *shares in rows):
        found.pairs[one, other] = jaccard, contained
        found.anything[one] = max(found.anything.get(one, 0.0), jaccard)
        if other.startswith("ref-"):
            found.reference[one] = max(found.reference.get(one, 0.0), jaccard)
    return found
