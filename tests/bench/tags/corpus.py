"""The rows that training sees, the texts that detectors are tried on, and the baseline's counts of them."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import msgspec
import numpy as np

from pipelines.training import rows
from pipelines.training.__main__ import learning
from pipelines.training.rows import PER_SOURCE, Row
from provenance.signals._text import LANGUAGES
from tests.bench.tags import texts
from tests.bench.tags.baseline import Baseline, Fitted
from tests.bench.tags.folds import Fold
from tests.bench.tags.texts import Text, chosen, load, values

DATED = "git-certified-prose"
"""The table of human text whose years are known document by document: all its rows are taken, for the placebo of the clock."""


def learnt(cache: Path) -> list[Row]:
    """The rows of `make model`, which are extracted once and kept in the cache."""
    code = hashlib.sha256(Path(rows.__file__).read_bytes()).hexdigest()
    kept = cache / f"rows-{code[:16]}.msgpack"
    if kept.exists():
        return msgspec.msgpack.decode(kept.read_bytes(), type=list[Row])
    found, _ = learning([texts.MAIN_TRAIN], human_tables(), [texts.MAIN_DEV], PER_SOURCE)
    cache.mkdir(parents=True, exist_ok=True)
    kept.write_bytes(msgspec.msgpack.encode(found))
    return found


def human_tables() -> list[Path]:
    """Tables whose human rows training takes, at most `PER_SOURCE` of a source and language."""
    return [texts.HUMAN_ONLY, *texts.human_tables(), texts.WMT_TRAIN]


def humans(full: bool) -> list[Text]:
    """Human texts of the sources without machine text: as many of a source and language as training takes, or all if `full`."""
    found = [text for text in load(human_tables(), None if full else PER_SOURCE) if not text.machine]
    known = {(text.source, text.digest) for text in found}
    dated = load([path for path in texts.human_tables() if path.stem == DATED])
    return found + [text for text in dated if (text.source, text.digest) not in known]


def text_of(row: Row) -> Text:
    """A row of training as a text to try; no row of a source with machine text is cropped."""
    says = {"source": row.source, "label": "machine" if row.machine else "human", "generator": row.generator, "group": row.group}
    says |= {"written_at": row.written, "lang": row.language, "licence": row.licence}
    return Text(
        f"{row.digest[:31]}{int(row.machine)}", row.digest, row.text, row.language, row.words, dict.fromkeys(texts.SAYS, "") | says
    )


@dataclass
class Corpus:
    """`texts` to try, of which those whose digest is among `rows` are what the baseline learns."""

    rows: Sequence[Row]
    texts: list[Text]
    dev: frozenset[str]

    @classmethod
    def read(cls, cache: Path, full: bool) -> "Corpus":
        """All of it: a minute or two."""
        dev, own = load([texts.MAIN_DEV]), learnt(cache)
        labelled = {row.source for row in own if row.machine}
        found = [*(text_of(row) for row in own if row.source in labelled), *humans(full), *dev]
        return cls(own, found, frozenset(text.key for text in dev))

    @cached_property
    def machine(self) -> np.ndarray:
        return chosen(self.texts, lambda text: text.machine)

    @cached_property
    def source(self) -> np.ndarray:
        return values(self.texts, lambda text: text.source).astype(str)

    @cached_property
    def is_dev(self) -> np.ndarray:
        return chosen(self.texts, lambda text: text.key in self.dev)

    @cached_property
    def learnable(self) -> np.ndarray:
        """Texts that training sees unless a fold leaves them out."""
        own = {row.digest for row in self.rows}
        return chosen(self.texts, lambda text: text.digest in own) & ~self.is_dev

    @cached_property
    def baseline(self) -> Baseline:
        """Counts; texts of languages that the detectors do not read count as empty."""
        return Baseline([text.text if text.language in LANGUAGES else "" for text in self.texts])

    def fit(self, fold: Fold, only: np.ndarray | None = None) -> Fitted:
        """The baseline without a fold, of all that may be learnt or of `only` some of it."""
        rows = np.flatnonzero(self.learnable & ~fold.mask(self.texts) & (True if only is None else only))
        return self.baseline.fit(rows, self.machine[rows])
