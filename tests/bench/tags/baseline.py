"""The detector to beat: TF-IDF of character 2- to 4-grams and scikit-learn's logistic regression.

The features are those of `TfidfVectorizer(analyzer="char", lowercase=False, ngram_range=(2, 4), sublinear_tf=True, min_df=3)`. N-grams are
counted once for all texts, with numpy; a fit then takes the columns and the inverse document frequencies of its own rows alone, which
gives what a vectorizer of these rows would.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from provenance.lines import READ

SIZES = (2, 3, 4)
FEWEST = 3
"""Rows that an n-gram must stand in."""
STRENGTH = 10.0
"""Inverse of the penalty, scikit-learn's `C`. Of 24 settings of case, `min_df`, vocabulary, scaling and `C` this one was the best on dev-main:
AUROC .930 and TPR .42 at 1 % false positives, where the data's README has .921 and .328."""
AT_ONCE = 1 << 22
_BITS = 16


@dataclass(frozen=True)
class Fitted:
    """A fitted baseline: the columns that it reads, their idf, and its weights."""

    columns: np.ndarray
    idf: np.ndarray
    model: Any


class Baseline:
    """Counts of all texts, from which any rows can be learnt and scored. Of each text the first `READ` characters count, as for the product."""

    def __init__(self, texts: Sequence[str]):
        from scipy.sparse import csr_matrix

        points = [np.array([*map(ord, re.sub(r"\s\s+", " ", text[:READ]))], np.int64) for text in texts]
        letters = np.unique(np.concatenate([np.zeros(0, np.int64), *points]))
        if len(letters) >= 1 << _BITS:
            raise ValueError(
                f"{len(letters)} characters do not fit {_BITS} bits; n-grams would be mistaken for others. Give fewer texts."
            )
        found = [_counts(np.searchsorted(letters, own).astype(np.uint64) + np.uint64(1)) for own in points]
        grams = np.concatenate([np.zeros(0, np.uint64), *(own for own, _ in found)])
        counts = np.concatenate([np.zeros(0, np.float32), *(own for _, own in found)])
        ends = np.cumsum([0, *(len(own) for own, _ in found)])
        del found
        # An n-gram stands once in the grams of each text.
        names, rows = np.unique(grams, return_counts=True)
        names = names[rows >= FEWEST]
        places = np.empty(len(grams), np.int32)
        for at in range(0, len(grams), AT_ONCE):
            part = grams[at : at + AT_ONCE]
            near = np.minimum(np.searchsorted(names, part), max(len(names) - 1, 0))
            places[at : at + AT_ONCE] = np.where(names[near] == part, near, -1) if len(names) else -1
        kept = places >= 0
        starts = np.concatenate([[0], np.cumsum(kept)])[ends]
        self.counts = csr_matrix((np.log(counts[kept]) + 1, places[kept], starts), shape=(len(texts), len(names)))

    def fit(self, rows: np.ndarray, machine: np.ndarray) -> Fitted:
        """Learns the rows of the numbers `rows`, of which `machine` (bool, as many) are."""
        from sklearn.linear_model import LogisticRegression

        own = self.counts[rows]
        frequency = np.bincount(own.indices, minlength=own.shape[1])
        columns = np.flatnonzero(frequency >= FEWEST)
        idf = (np.log((1 + len(rows)) / (1 + frequency[columns])) + 1).astype(np.float32)
        model = LogisticRegression(C=STRENGTH, max_iter=300)
        fitted = Fitted(columns, idf, model)
        model.fit(self._weighted(rows, fitted), machine)
        return fitted

    def score(self, fitted: Fitted, rows: np.ndarray) -> np.ndarray:
        """Log-odds of machine: float64[len(rows)]."""
        return np.asarray(fitted.model.decision_function(self._weighted(rows, fitted)), np.float64)

    def _weighted(self, rows: np.ndarray, fitted: Fitted) -> Any:
        from sklearn.preprocessing import normalize

        made = self.counts[rows][:, fitted.columns]
        made.data *= fitted.idf[made.indices]
        return normalize(made, copy=False)


def _counts(letters: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The n-grams of a text of letters from 1 on, each in the bits of a number (uint64), and how often each stands there."""
    parts = []
    for size in SIZES:
        count = max(len(letters) - size + 1, 0)
        gram = np.zeros(count, np.uint64)
        for place in range(size if count else 0):
            gram = (gram << np.uint64(_BITS)) | letters[place : place + count]
        parts.append(gram)
    names, counts = np.unique(np.concatenate(parts), return_counts=True)
    return names, counts.astype(np.float32)
