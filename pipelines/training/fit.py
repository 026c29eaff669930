"""Learns the three detectors from rows: fastText over words, a linear model over n-grams, boosted trees over stylometry.

The same rows give the same models: rows are ordered by digest, and everything runs on one thread.
"""

import math
import subprocess
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pipelines.training.rows import Row
from pipelines.training.solver import Sparse, logistic
from provenance import characters, lines, style
from provenance.signals import character_model, origin_model, stylometry

SIGNALS = ("origin_model", "character_model", "stylometry")
"""The detectors, in the order of the columns of `inputs`."""
TREES: dict[str, Any] = {
    "max_iter": 300,
    "learning_rate": 0.1,
    "max_leaf_nodes": 31,
    "min_samples_leaf": 40,
    "l2_regularization": 1.0,
    "max_bins": 64,
    "early_stopping": False,
    "random_state": 0,
}
FREQUENT = {"en": 300, "zh": 200, "de": 40, "es": 40}
"""Frequent words of a language whose shares are features."""
EXCESS = {"ratio": 2.0, "texts": 30, "sources": 2}
"""A word is in excess where its share of machine texts is this many times that of human ones, in that many texts and sources."""


class Prepared(NamedTuple):
    """Rows with all that is computed once: lines (uint32 arrays) and hashed features."""

    rows: tuple[Row, ...]
    lines: list[np.ndarray]
    sparse: Sparse


class Fitted(NamedTuple):
    """The three models as the product reads them, and their files' bytes by name."""

    origin: Any
    characters: characters.Model
    trees: style.Trees
    files: dict[str, bytes]


def prepare(rows: Sequence[Row]) -> Prepared:
    """Rows as `fit` and `inputs` take them."""
    hasher = characters.Hasher()
    found = [lines.line(row.text) for row in rows]
    parts = [hasher.features(points) for points in found]
    starts = np.zeros(len(rows) + 1, np.int64)
    np.cumsum([len(buckets) for buckets, _ in parts], out=starts[1:])
    empty = (np.zeros(0, np.int32), np.zeros(0, np.float32))
    buckets, values = (np.concatenate([part[i] for part in parts] + [empty[i]]) for i in (0, 1))
    return Prepared(tuple(rows), found, Sparse(starts, buckets, values))


def fit(prepared: Prepared, chosen: Sequence[int] | np.ndarray, trainer: Path) -> Fitted:
    """The models of the `chosen` rows; `trainer` is the Python that has fastText's trainer.

    Raises `ValueError` where a class is missing.
    """
    order = np.array(sorted(chosen, key=lambda i: (prepared.rows[i].digest, prepared.rows[i].words)), np.int64)
    machine = np.array([row.machine for row in prepared.rows], np.bool_)
    if len(set(machine[order].tolist())) < 2:
        raise ValueError(
            "the rows to learn from are all of one class; there is nothing to tell apart. Give human and machine text."
        )
    weight = np.ones(len(machine))
    model = _characters(prepared, order, machine, weight)
    trees = _trees(prepared, order, machine)
    origin = fasttext_model([prepared.lines[i] for i in order], machine[order], trainer)
    files = {"origin.ftz": origin, "characters.npz": characters.write(model), "style.npz": style.write(trees)}
    return read(files)


def read(files: dict[str, bytes]) -> Fitted:
    """The models from their files' bytes."""
    import fasttext

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "origin.ftz"
        path.write_bytes(files["origin.ftz"])
        origin = fasttext.load_model(str(path))
    return Fitted(origin, characters.read(files["characters.npz"]), style.read(files["style.npz"]), files)


def inputs(fitted: Fitted, prepared: Prepared, chosen: Sequence[int] | np.ndarray) -> np.ndarray:
    """Log-odds of machine of the `chosen` rows under each model: float64[n, 3], columns as in `SIGNALS`."""
    found = [prepared.lines[i] for i in chosen]
    columns = [
        origin_model.log_odds(fitted.origin, [lines.words(points) for points in found]),
        character_model.log_odds(fitted.characters, found),
        stylometry.log_odds(fitted.trees, found),
    ]
    return np.column_stack(columns) if len(found) else np.zeros((0, len(SIGNALS)))


def _characters(prepared: Prepared, order: np.ndarray, machine: np.ndarray, weight: np.ndarray) -> characters.Model:
    weights, bias = logistic(prepared.sparse, order, machine, weight, 1 << characters.BITS)
    return characters.Model(weights, bias)


def _trees(prepared: Prepared, order: np.ndarray, machine: np.ndarray) -> style.Trees:
    """Boosted trees over the style features, their nodes laid out one after another."""
    from sklearn.ensemble import HistGradientBoostingClassifier
    from threadpoolctl import threadpool_limits

    vocabulary, excess = words_of(prepared, order)
    features = np.array([style.features(prepared.lines[i], vocabulary, excess) for i in order], np.float32)
    with threadpool_limits(1):
        learnt = HistGradientBoostingClassifier(**TREES).fit(features, machine[order])
    roots: list[int] = []
    nodes: list[np.ndarray] = []
    for (tree,) in learnt._predictors:
        start = sum(len(own) for own in nodes)
        roots.append(start)
        own = tree.nodes.copy()
        own["left"] += start
        own["right"] += start
        nodes.append(own)
    whole = np.concatenate(nodes)
    leaf = whole["is_leaf"].astype(bool)
    return style.Trees(
        roots=np.array(roots, np.int32),
        feature=np.where(leaf, -1, whole["feature_idx"]).astype(np.int16),
        cut=whole["num_threshold"].astype(np.float64),
        left=np.where(leaf, 0, whole["left"]).astype(np.int32),
        right=np.where(leaf, 0, whole["right"]).astype(np.int32),
        value=np.where(leaf, whole["value"], 0.0).astype(np.float64),
        bias=float(learnt._baseline_prediction.ravel()[0]),
        vocabulary=vocabulary,
        excess=excess,
    )


def words_of(prepared: Prepared, order: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted hashes (uint64) of the frequent words (`FREQUENT`) and of the words in excess in machine text (`EXCESS`).

    Frequent are the words with the greatest share of texts, averaged over the sources of a language, so that none has the say.
    """
    texts: dict[tuple[str, str, bool], int] = defaultdict(int)
    found: dict[tuple[str, str], dict[tuple[str, bool], int]] = defaultdict(lambda: defaultdict(int))
    for i in order:
        row = prepared.rows[i]
        texts[row.language, row.source, row.machine] += 1
        for word in set(lines.words(prepared.lines[i]).split()):
            found[row.language, word][row.source, row.machine] += 1
    chosen: set[str] = set()
    for language, count in FREQUENT.items():
        own = [(word, counts) for (spoken, word), counts in found.items() if spoken == language]
        total = {(source, side): n for (spoken, source, side), n in texts.items() if spoken == language and n >= 50}
        share = {word: math.fsum(n / total[key] for key, n in sorted(counts.items()) if key in total) for word, counts in own}
        chosen.update(sorted(share, key=lambda word: (-share[word], word))[:count])
    return _hashes(chosen), _hashes(_in_excess(found, texts))


def _in_excess(
    found: Mapping[tuple[str, str], Mapping[tuple[str, bool], int]], texts: Mapping[tuple[str, str, bool], int]
) -> set[str]:
    total: dict[tuple[str, bool], int] = defaultdict(int)
    for (language, _, side), count in texts.items():
        total[language, side] += count
    out = set()
    for (language, word), counts in found.items():
        machine = sum(n for (_, side), n in counts.items() if side)
        human = sum(counts.values()) - machine
        shares = (machine + 1) / (total[language, True] + 2), (human + 1) / (total[language, False] + 2)
        spread = sum(side for _, side in counts)
        if machine >= EXCESS["texts"] and spread >= EXCESS["sources"] and shares[0] > EXCESS["ratio"] * shares[1]:
            out.add(word)
    return out


def _hashes(chosen: Iterable[str]) -> np.ndarray:
    return np.array(sorted(map(style.word_hash, chosen)), np.uint64)


def fasttext_model(found: Sequence[np.ndarray], machine: np.ndarray, trainer: Path) -> bytes:
    """The bytes of the quantised fastText model of these lines. Raises `ValueError` where the trainer fails."""
    with tempfile.TemporaryDirectory() as folder:
        table, model = Path(folder) / "lines.txt", Path(folder) / "origin.ftz"
        with table.open("w", encoding="utf-8") as file:
            for points, label in zip(found, machine, strict=True):
                file.write(f"__label__{'machine' if label else 'human'} {lines.words(points)}\n")
        script = Path(__file__).with_name("fasttext_trainer.py")
        try:
            done = subprocess.run([str(trainer), str(script), str(table), str(model)], capture_output=True, text=True, check=False)
        except OSError as error:
            raise ValueError(
                f"fastText's trainer did not start: {error}; no model could be learnt. `make model` sets up its environment."
            ) from error
        if done.returncode:
            raise ValueError(f"fastText's trainer failed: {done.stderr.strip()[-500:]}. No model could be learnt.")
        return model.read_bytes()
