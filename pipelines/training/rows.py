"""Rows that the models learn from: labelled texts as the pipeline would have extracted them, and their folds.

A table is Parquet with `text` and, where it has them, `label`, `lang`, `source`, `group`, `generator`, `licence`,
`written_at`. A row without a label is human; rows of other labels than human and machine are left out. Each text is rendered as
a small page and goes through `provenance.pages`, so that a model sees what it will see on the web: the extractor's text,
and the language and the word count of the pipeline.
"""

import hashlib
import html
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from provenance import pages

PER_SOURCE = 400
"""Rows of one human-only source and language at most, the least by digest: a source has one voice, however many rows."""
LONGEST = 2600
"""Characters of a text at most, the greatest length of the labelled texts: length shall not tell the classes apart."""
SHORT = (25, 200)
"""Least and greatest number of words of the crops."""
PARAGRAPH = 300
"""Characters from which on a line of a text file is a text of its own."""
FAMILIES = {
    "NLTK inaugural": "speeches",
    "NLTK state_union": "speeches",
    "FewCLUE csl": "abstracts",
    "FewCLUE csldcp": "abstracts",
    "WMT21": "WMT",
    "WMT22": "WMT",
}
"""Sources of one genre and author, which are held out together; any other source is a family of its own."""

# The end of a sentence, for crops alone.
_SENTENCES = re.compile(r"(?<=[.!?])\s+|(?<=[。！？])")
_LABELS = {"human": False, "machine": True}


class Row(msgspec.Struct, frozen=True, order=True):
    """One text; ordered by the digest of what was given, so that no order of tables or rows has a say.

    `text` is the extracted text, `language` and `words` the pipeline's of it.
    """

    digest: str
    text: str
    language: str
    words: int
    machine: bool
    source: str
    group: str
    generator: str = ""
    licence: str = "none stated"
    written: str = ""

    @property
    def family(self) -> str:
        """What is held out together with this row."""
        return FAMILIES.get(self.source, self.source)


class Given(msgspec.Struct, frozen=True, order=True):
    """One row of a table, before extraction."""

    digest: str
    text: str
    machine: bool
    source: str
    language: str
    group: str
    generator: str
    licence: str
    written: str


class Read(msgspec.Struct, frozen=True):
    """The rows of some tables, and what became of the others, counted by reason and source."""

    rows: tuple[Row, ...]
    lost: dict[str, int]


def given(path: Path) -> Iterator[Given]:
    """The rows of a table, human and machine alone; of a file of plain text (`.txt`) its paragraphs, as human text.

    Raises `ValueError` for a table without the column `text`.
    """
    import pyarrow.parquet as pq

    if path.suffix == ".txt":
        yield from _paragraphs(path)
        return
    file = pq.ParquetFile(path)
    if "text" not in file.schema_arrow.names:
        raise ValueError(f"{path} has no column text; nothing could be learnt from it. Give tables with text, label and group.")
    wanted = "text label lang source group generator licence written_at".split()
    columns = [name for name in wanted if name in file.schema_arrow.names]
    for batch in file.iter_batches(batch_size=1000, columns=columns):
        for row in batch.to_pylist():
            name = row.get("label") or "human"
            if name in _LABELS and row["text"] and row["text"].strip():
                yield _given(row, _LABELS[name], path.stem)


def _paragraphs(path: Path) -> Iterator[Given]:
    """Lines of `PARAGRAPH` characters and more of a text file, with the tokenisation of WikiText (Merity et al. 2016) undone."""
    source = path.stem.split(".")[0]
    for line in path.read_text(encoding="utf-8").splitlines():
        text = re.sub(r" @(.)@ ", r"\1", line.replace("<unk>", "").strip())
        if len(text) >= PARAGRAPH:
            licence = "CC-BY-SA-3.0 (WikiText)" if source.startswith("wikitext") else None
            yield _given({"text": text, "source": source, "lang": "en", "licence": licence}, False, source)


def _given(row: dict[str, Any], machine: bool, table: str) -> Given:
    text = row["text"]
    digest = hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
    return Given(
        digest=digest,
        text=text,
        machine=machine,
        source=str(row.get("source") or table).split(" (")[0],
        language=(row.get("lang") or "").split("-")[0],
        group=str(row.get("group") or digest),
        generator=str(row.get("generator") or ""),
        licence=str(row.get("licence") or "none stated"),
        written=str(row.get("written_at") or ""),
    )


def number(digest: str, purpose: str) -> float:
    """A number in [0, 1) that the row and its purpose decide: what chance would draw elsewhere."""
    return int.from_bytes(hashlib.sha256(f"{purpose} {digest}".encode()).digest()[:6], "big") / 2**48


def crop(text: str, digest: str) -> str:
    """At most `LONGEST` characters, of a longer text from the start of a line or sentence that the digest chooses."""
    if len(text) <= LONGEST:
        return text
    start = int(number(digest, "start") * (len(text) - LONGEST))
    for mark in ("\n", ". ", "。", " "):
        found = text.find(mark, start, start + LONGEST // 2)
        if start and found >= 0:
            start = found + len(mark)
            break
    end = start + LONGEST
    space = text.rfind(" ", start + LONGEST // 2, end)
    return text[start : space if space > 0 else end]


def page(text: str) -> bytes:
    """A small page whose article is `text`, a paragraph a line, with the furniture of a page around it."""
    lines = "".join(f"<p>{html.escape(line)}</p>\n" for line in text.splitlines() if line.strip())
    return (
        "<!DOCTYPE html>\n<html><head><meta charset=utf-8><title>Page</title></head><body>\n"
        '<header><nav><ul><li><a href="/">Home</a></li><li><a href="/all">All</a></li></ul></nav></header>\n'
        f'<main><article>\n{lines}</article></main>\n<footer><p><a href="/terms">Terms</a></p></footer></body></html>\n'
    ).encode("utf-8", "replace")


def extracted(text: str, tools: pages.Tools) -> pages.Page | pages.Rejection:
    """What the pipeline makes of a page of `text`."""
    headers = {"content-type": "text/html; charset=utf-8"}
    return pages.page("resource", "https://example.org/", None, page(text), headers, None, {}, tools)


def rows(tables: Iterable[Given]) -> Read:
    """The rows through the extractor, by digest, each text once; a text with two labels is left out, and all that is left out counted."""
    tools = pages.tools()
    labels: dict[str, set[bool]] = defaultdict(set)
    unique: dict[str, Given] = {}
    lost: Counter[str] = Counter()
    for one in tables:
        labels[one.digest].add(one.machine)
        unique[one.digest] = min(one, unique.get(one.digest, one))
    found = []
    for digest in sorted(unique):
        one = unique[digest]
        if len(labels[digest]) > 1:
            lost[f"both labels: {one.source}"] += 1
            continue
        made = extracted(crop(one.text, digest), tools)
        if isinstance(made, pages.Rejection):
            lost[f"{made.reason}: {one.source}"] += 1
            continue
        found.append(
            Row(
                digest=digest,
                text=made.text,
                language=made.language or "",
                words=made.word_count,
                machine=one.machine,
                source=one.source,
                group=one.group,
                generator=one.generator,
                licence=one.licence,
                written=one.written,
            )
        )
    return Read(tuple(found), dict(sorted(lost.items())))


def sampled(tables: Iterable[Given], per_source: int = PER_SOURCE) -> list[Given]:
    """At most `per_source` human rows of each source and language, the least by digest."""
    kept: dict[tuple[str, str], dict[str, Given]] = defaultdict(dict)
    for one in tables:
        if not one.machine:
            kept[one.source, one.language][one.digest] = one
    return [kept[place][digest] for place in sorted(kept) for digest in sorted(kept[place])[:per_source]]


def crops(found: Iterable[Row]) -> list[Row]:
    """Of each text some of its sentences, one after another: human text of sources that have long texts alone, for the short cells.

    The number of words aimed at is log-uniform in `SHORT`; the digest says where the crop starts. Texts too short for one have none.
    """
    out = []
    for row in found:
        low, high = SHORT
        high = min(high, int(row.words / 1.5))
        if high > low:
            aim = low * (high / low) ** number(row.digest, "words")
            sentences = [sentence for sentence in _SENTENCES.split(row.text) if sentence.strip()]
            kept: list[str] = []
            words = 0
            for sentence in sentences[int(number(row.digest, "place") * len(sentences)) :]:
                kept.append(sentence)
                words += pages.word_count(sentence)
                if words >= aim:
                    break
            if low <= words <= 1.25 * SHORT[1]:
                text = ("" if row.language == "zh" else " ").join(kept)
                out.append(msgspec.structs.replace(row, text=text, words=pages.word_count(text)))
    return sorted(out)
