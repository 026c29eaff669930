"""The texts of ../shared/data as `curate` reads rows of a table, with what their tables say of them."""

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.training.rows import FAMILIES
from provenance import pages, signals
from tests.bench.inputs import SHARED

LABELLED = SHARED / "labelled"
MAIN_TRAIN, MAIN_DEV = LABELLED / "train-main.parquet", LABELLED / "dev-main.parquet"
WMT_TRAIN, WMT_DEV = LABELLED / "train-wmt.parquet", LABELLED / "dev-wmt.parquet"
HUMAN_ONLY = LABELLED / "train-humanonly.parquet"
MANUALS = SHARED / "crawl" / "mt_labelled" / "ms_docs_ht_mt.parquet"
SAYS = "label lang source group generator attack domain written_at src_lang human_kind licence url".split()


@dataclass(frozen=True)
class Text:
    """One row: its text, the language and the words that the pipeline gives it, and what its table says, `` where nothing."""

    key: str
    digest: str
    text: str
    language: str
    words: int
    says: dict[str, str]

    @property
    def source(self) -> str:
        return self.says["source"].split(" (")[0]

    @property
    def family(self) -> str:
        """What is left out together with it: sources of one author and genre."""
        return FAMILIES.get(self.source, self.source)

    @property
    def generator(self) -> str:
        return self.says["generator"]

    @property
    def group(self) -> str:
        """What the rows of one prompt share."""
        return self.says["group"] or self.digest

    @property
    def machine(self) -> bool:
        return self.says["label"] not in ("", "human", "HT")


def human_tables() -> list[Path]:
    return sorted((SHARED / "human_pre2022").glob("*.parquet"))


def load(tables: Iterable[Path], per_source: int | None = None) -> list[Text]:
    """The rows of tables that are documents to `curate`, each text of a source, language and label once and in the order of digests;
    at most `per_source` of each of these, the first."""
    places: dict[tuple[str, ...], dict[str, dict[str, str]]] = defaultdict(dict)
    for table in tables:
        for row in _rows(table):
            place = row["source"], row["lang"], row["label"]
            places[place].setdefault(hashlib.sha256(row["text"].encode()).hexdigest(), row)
    tools = pages.tools()
    made = (_text(digest, row, tools) for _, rows in sorted(places.items()) for digest, row in sorted(rows.items())[:per_source])
    return [text for text in made if text is not None]


def _rows(table: Path) -> Iterator[dict[str, str]]:
    file = pq.ParquetFile(table)
    columns = ["text", *(name for name in SAYS if name in file.schema_arrow.names)]
    for batch in file.iter_batches(batch_size=1000, columns=columns):
        for row in batch.to_pylist():
            if row["text"]:
                said = {name: str(row.get(name) or "") for name in SAYS}
                yield {**said, "source": said["source"] or table.stem, "text": row["text"]}


def _text(digest: str, row: dict[str, str], tools: pages.Tools) -> Text | None:
    page = pages.page("row", None, None, b"", {}, row["text"], {}, tools)
    if isinstance(page, pages.Rejection):
        return None
    says = {name: value for name, value in row.items() if name != "text"}
    key = hashlib.sha256(f"{digest} {says['source']} {says['label']} {says['group']}".encode()).hexdigest()[:32]
    return Text(key, digest, page.text, page.language or "", page.word_count, says)


def batch(texts: Sequence[Text]) -> pa.RecordBatch:
    """A page-stage batch of the signals: rows of a table have no markup, headers or time."""
    columns: dict[str, list[Any]] = {
        "key": [text.key for text in texts],
        "text": [text.text for text in texts],
        "language": [text.language for text in texts],
        "word_count": [text.words for text in texts],
    }
    empty = {"html": "", "http_headers": "", "attestation": "none"}
    made = [pa.array(columns.get(f.name, [empty.get(f.name)] * len(texts)), f.type) for f in signals.PAGE]
    return pa.record_batch(made, schema=signals.PAGE)


def chosen(texts: Sequence[Text], test: Callable[[Text], bool]) -> np.ndarray:
    """Which texts pass the test: bool[n]."""
    return np.array([test(text) for text in texts], bool)


def values(texts: Sequence[Text], value: Callable[[Text], str]) -> np.ndarray:
    """A string of each text: array of n."""
    return np.array([value(text) for text in texts], object)
