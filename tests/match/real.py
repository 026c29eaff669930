"""Real text of before 2022 from ../shared/data, by language."""

from pathlib import Path

import pyarrow.compute as pc
import pyarrow.parquet as pq

SHARED = Path(__file__).resolve().parents[3] / "shared" / "data"
HUMAN = SHARED / "human_pre2022"
SOURCES = {
    "English": ("en", ("reuters21578-en", "git-certified-prose", "nltk")),
    "German": ("de", ("eltec-de", "git-certified-prose", "xquad-12langs")),
    "Chinese": ("zh", ("fewclue-zh", "git-certified-prose", "xquad-12langs")),
    "Japanese": ("ja", ("aozora-ja", "git-certified-prose")),
}


def texts(language: str, count: int, least: int = 300, most: int = 2000) -> list[str]:
    """So many texts of a language of at least `least` characters, cut at `most`, evenly from its sources and over each."""
    code, names = SOURCES[language]
    found: list[str] = []
    for number, name in enumerate(names):
        table = pq.read_table(HUMAN / f"{name}.parquet", columns=["text", "lang"])
        column = table["text"].filter(
            pc.and_(pc.equal(table["lang"], code), pc.greater_equal(pc.utf8_length(table["text"]), least))
        )
        wanted = min((count - len(found)) // (len(names) - number), len(column))
        # Neighbours are often parts of one work.
        found += [text[:most] for text in column.take([i * len(column) // wanted for i in range(wanted)]).to_pylist()]
    return found


def columns(count: int, most: int) -> list[str]:
    """So many texts of all tables together, evenly over them, each cut at `most` characters."""
    everything = pq.read_table(sorted(map(str, HUMAN.glob("*.parquet"))), columns=["text"])["text"]
    cut = pc.utf8_slice_codeunits(everything, 0, most)
    return list(cut.take([i * len(cut) // count for i in range(count)]).to_pylist())
