"""Gold text of pages: what extractors are trained on and judged by.

A gold table is Parquet with `html` (bytes), `gold_text`, and, where it has them, `source`, `licence`, `lang` and
`gold_kind` (`human` for a text that a person marked). A table of phrases has `html`, `must` and `mustnot` (lists of strings that
belong to the main text, and that do not) in place of the text.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from provenance.decode import decode

UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f\u1000-\u109f\u1780-\u17ff\u0e80-\u0eff"
TOKEN = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
HUMAN = "human"


@dataclass(frozen=True)
class Page:
    """A page whose main text is known."""

    source: str
    licence: str
    language: str
    kind: str
    html: str
    gold: str


@dataclass(frozen=True)
class Phrases:
    """A page of which phrases are known that belong to its main text, and phrases that do not."""

    source: str
    licence: str
    language: str
    html: str
    wanted: Sequence[str]
    unwanted: Sequence[str]


@dataclass(frozen=True)
class Score:
    """Precision, recall and F1, each 0 to 1."""

    precision: float
    recall: float
    f1: float


def tokens(text: str) -> list[str]:
    """Tokens of `text` (NFKC, lower case) in order: words, and characters where words are not spaced."""
    return TOKEN.findall(unicodedata.normalize("NFKC", text).lower())


def score(text: str, gold: Counter[str]) -> Score:
    """Of the token bags of one page; all 1 where both are empty."""
    found = Counter(tokens(text))
    if not found and not gold:
        return Score(1.0, 1.0, 1.0)
    common = (found & gold).total()
    precision, recall = common / max(found.total(), 1), common / max(gold.total(), 1)
    return Score(precision, recall, 2 * common / (found.total() + gold.total()))


def phrase_score(texts: Sequence[str], pages: Sequence[Phrases]) -> Score:
    """Of all phrases together, white space apart: a text is right to hold what is wanted and wrong to hold the rest."""
    hits = misses = false = 0
    for text, page in zip(texts, pages, strict=True):
        flat = spaced(text)
        held = sum(spaced(phrase) in flat for phrase in page.wanted)
        hits, misses = hits + held, misses + len(page.wanted) - held
        false += sum(spaced(phrase) in flat for phrase in page.unwanted)
    return Score(hits / max(hits + false, 1), hits / max(hits + misses, 1), 2 * hits / max(2 * hits + misses + false, 1))


def spaced(text: str) -> str:
    """`text` with each run of white space as one space."""
    return " ".join(text.split())


def _rows(files: Iterable[Path], needed: Sequence[str]) -> Iterable[dict[str, Any]]:
    """Raises `ValueError` naming the file and the columns that it lacks."""
    import pyarrow.parquet as pq

    for path in files:
        table = pq.ParquetFile(path)
        if missing := [name for name in needed if name not in table.schema_arrow.names]:
            raise ValueError(f"{path} has no column {' and no '.join(missing)}; a gold table has {', '.join(needed)}")
        optional = [name for name in ("source", "licence", "lang", "gold_kind") if name in table.schema_arrow.names]
        yield from table.read(columns=[*needed, *optional]).to_pylist()


def load_pages(files: Iterable[Path]) -> list[Page]:
    """The pages of gold tables, decoded as the product decodes; rows without a page or a text are left out."""
    return [
        Page(
            row.get("source") or "", row.get("licence") or "", row.get("lang") or "", row.get("gold_kind") or HUMAN,
            decode(row["html"])[0], row["gold_text"],
        )
        for row in _rows(files, ("html", "gold_text"))
        if row["html"] and row["gold_text"]
    ]  # fmt: skip


def load_phrases(files: Iterable[Path]) -> list[Phrases]:
    """The pages of tables of phrases, decoded as the product decodes."""
    return [
        Phrases(
            row.get("source") or "", row.get("licence") or "", row.get("lang") or "", decode(row["html"])[0],
            row["must"] or [], row["mustnot"] or [],
        )
        for row in _rows(files, ("html", "must", "mustnot"))
        if row["html"]
    ]  # fmt: skip
