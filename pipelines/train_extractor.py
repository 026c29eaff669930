"""Training of the extractor `blocks`: `make extract-model`, which needs the extra `train`.

    python -m pipelines.train_extractor --gold FILE... [--phrases FILE...] [--leave-out SOURCE...] [--into FOLDER]

It learns from the rows whose licence permits (MIT, BSD, Apache, CC0, CC BY, public domain, or any with `--any-licence`), says how well
it does on all rows, and writes `blocks.json` and its card: a configuration, which `--config FOLDER/blocks.json` takes. A block's label is the share of its tokens that stand, in order, in
the page's gold text; of pages with phrases, the blocks that hold one have a label. `pipelines/gold.py` says what tables hold.
"""

import argparse
import difflib
import re
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

import msgspec
import numpy as np

from pipelines import gold
from pipelines.gold import Page, Phrases
from provenance.extract import BlockModel
from provenance.extractors import _features as features
from provenance.extractors import blocks as extractor
from provenance.extractors._features import Blocks
from provenance.extractors._walk import Walk

PERMISSIVE = re.compile(r"\s*(?:MIT|BSD|Apache|ISC|CC0|CC[- ]BY(?![- ](?:NC|ND|SA))|public domain)", re.IGNORECASE)
STRENGTH = 0.03
"""Inverse strength of the ridge penalty on standardised weights."""
PHRASE_WEIGHT = 0.2
"""Weight of a block that is labelled by a phrase; one of a page with gold text weighs its share of that text."""
SHORTEST_WEIGHT = 0.002
"""Added to the weight of each block, so that short ones count, up to a tenth for all of a page."""
LARGEST = 400_000_000
"""Product of the tokens of page and gold text above which the two are not aligned."""


@dataclass(frozen=True)
class Prepared:
    """A page's blocks with their labels (0 to 1) and weights, of those that have one."""

    source: str
    page: Walk
    found: Blocks
    rows: np.ndarray
    labels: np.ndarray
    weights: np.ndarray


def aligned(texts: Sequence[str], text: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Per block the share of its tokens that a longest common alignment finds in `text`, and its weight; None where page and
    text are too large to be aligned."""
    blocks = [gold.tokens(block) for block in texts]
    page, main = [token for block in blocks for token in block], gold.tokens(text)
    if not page or len(page) * len(main) > LARGEST:
        return None
    hits = np.zeros(len(page) + 1)
    matcher = difflib.SequenceMatcher(None, page, main, autojunk=len(page) > 6000)
    for match in matcher.get_matching_blocks():
        hits[match.a : match.a + match.size] = 1
    sums = np.concatenate([[0], np.cumsum(hits[:-1])])
    sizes = np.array([len(block) for block in blocks])
    ends = np.cumsum(sizes)
    labels = (sums[ends] - sums[ends - sizes]) / np.maximum(sizes, 1)
    share = np.minimum(sizes / max(1, len(main), 0.3 * sizes.sum()), 1)
    return labels, share + min(SHORTEST_WEIGHT, 0.1 / len(sizes))


def prepared(one: Page | Phrases) -> Prepared:
    """The blocks of a page and what gold text or phrases say of them."""
    page, found = extractor.blocks(one.html)
    texts = [page.texts[i] for i in found.numbers]
    if isinstance(one, Page):
        found_labels = aligned(texts, one.gold)
        if found_labels is None:
            return Prepared(one.source, page, found, np.zeros(0, dtype=int), np.zeros(0), np.zeros(0))
        return Prepared(one.source, page, found, np.arange(len(texts)), *found_labels)
    known: dict[int, float] = {}
    for row, text in enumerate(map(gold.spaced, texts)):
        if any(gold.spaced(phrase) in text for phrase in one.unwanted):
            known[row] = 0.0
        elif any(gold.spaced(phrase) in text for phrase in one.wanted):
            known[row] = 1.0
    rows, labels = np.array(list(known), dtype=int), np.array(list(known.values()), dtype=float)
    return Prepared(one.source, page, found, rows, labels, np.full(len(rows), PHRASE_WEIGHT))


def fit(pages: Sequence[Prepared]) -> BlockModel:
    """The logistic model of these pages. Raises `ValueError` where they hold no block of content or none of the other kind."""
    from sklearn.linear_model import LogisticRegression

    readings = np.vstack([one.found.readings[:, one.rows].T for one in pages] or [np.zeros((0, len(features.NAMES)))])
    labels = np.concatenate([one.labels for one in pages] or [np.zeros(0)])
    weights = np.concatenate([one.weights for one in pages] or [np.zeros(0)])
    if not (labels > 0).any() or not (labels < 1).any():
        raise ValueError(f"{len(pages)} pages to learn from have no block of content, or nothing else; a model needs both")
    mean, deviation = readings.mean(0), readings.std(0) + 1e-6
    standard = (readings - mean) / deviation
    # A share as a label is two examples, weighted by the share.
    both = np.vstack([standard, standard])
    classes = np.concatenate([np.ones(len(labels)), np.zeros(len(labels))])
    model = LogisticRegression(C=STRENGTH, max_iter=1000).fit(
        both, classes, sample_weight=np.concatenate([weights * labels, weights * (1 - labels)]) + 1e-9
    )
    slopes = model.coef_[0] / deviation
    return BlockModel(
        weights={name: round(float(weight), 4) for name, weight in zip(features.NAMES, slopes, strict=True)},
        intercept=round(float(model.intercept_[0] - (slopes * mean).sum()), 4),
        trained_on=dict(sorted(Counter(one.source or "unnamed" for one in pages).items())),
    )


def text(one: Prepared, model: BlockModel | None) -> str:
    """What the extractor with this model keeps of a page; with None, what the rules without weights keep."""
    odds = extractor.log_odds(one.found.readings, model) if model else rules(one.page, one.found)
    return extractor.text(one.page, extractor.kept(one.page, one.found, odds))


def rules(page: Walk, found: Blocks) -> np.ndarray:
    """Three rules in place of weights, 1 for content and -1 for the rest: below a container of a score near the best, few links
    in it, few around it. The reference that a model must beat."""
    if not found.numbers:
        return np.zeros(0)
    column = dict(zip(features.NAMES, found.readings, strict=True))
    sizes = np.array([len(page.texts[i]) for i in found.numbers])
    share = sizes[column["in_best"] > 0].sum() / sizes.sum()
    near = column["score_above"] >= (0.25 if share > 0.3 else 0.1)
    return np.where(near & (column["link_density"] < 0.5) & (column["link_density_3_up"] < 0.6), 1.0, -1.0)


def without_source(pages: Sequence[Prepared], learnt: Sequence[Prepared], model: BlockModel) -> list[BlockModel | None]:
    """For each page the model of `learnt` without the page's source: `model`, of all `learnt`, where that is the same, None where
    nothing is left."""
    sources = {one.source for one in learnt}
    made: dict[str, BlockModel | None] = {}
    for source in sorted(sources & {one.source for one in pages}):
        others = [one for one in learnt if one.source != source]
        made[source] = fit(others) if others else None
    return [made.get(one.source, model) for one in pages]


@dataclass(frozen=True)
class Figures:
    """F1 of each page with gold text, and of all phrases: by the rules, by the model, by the model without the page's source (NaN
    where there is none)."""

    pages: list[tuple[float, float, float]]
    phrases: tuple[float, float, float]


def measured(
    pages: Sequence[Page], phrases: Sequence[Phrases], made: Sequence[Prepared], held: Sequence[Prepared],
    learnt: Sequence[Prepared], model: BlockModel,
) -> Figures:  # fmt: skip
    """Figures of a model on `made` (of `pages`) and `held` (of `phrases`)."""
    scores = []
    for one, page, other in zip(made, pages, without_source(made, learnt, model), strict=True):
        bag = Counter(gold.tokens(page.gold))
        rule, own = gold.score(text(one, None), bag).f1, gold.score(text(one, model), bag).f1
        scores.append((rule, own, gold.score(text(one, other), bag).f1 if other else float("nan")))
    others = without_source(held, learnt, model)
    rule, own = (gold.phrase_score([text(one, which) for one in held], phrases).f1 for which in (None, model))
    apart = gold.phrase_score([text(one, other) for one, other in zip(held, others, strict=True)], phrases).f1
    return Figures(scores, (rule, own, apart if None not in others else float("nan")))


def permitted(one: Page | Phrases, options: argparse.Namespace) -> bool:
    return one.source not in options.leave_out and (options.any_licence or bool(PERMISSIVE.match(one.licence)))


def main(arguments: list[str] | None = None) -> int:
    """Train, measure, write model and card."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--gold", nargs="+", type=Path, required=True, metavar="FILE", help="tables of pages with gold text")
    parser.add_argument("--phrases", nargs="*", type=Path, default=[], metavar="FILE", help="tables of pages with phrases")
    parser.add_argument("--leave-out", nargs="*", default=[], metavar="SOURCE", help="sources to measure on and not to learn from")
    parser.add_argument(
        "--any-licence", action="store_true", help="learn from rows of any licence: for a model that is not given on"
    )
    parser.add_argument("--into", type=Path, default=Path("provenance/models"), metavar="FOLDER", help="where the model goes")
    options = parser.parse_args(arguments)
    from pipelines.extractor_card import card

    try:
        pages, phrases = gold.load_pages(options.gold), gold.load_phrases(options.phrases)
        made, held = [prepared(page) for page in pages], [prepared(page) for page in phrases]
        everything: list[Page | Phrases] = [*pages, *phrases]
        permits = [bool(len(one.rows)) and permitted(row, options) for one, row in zip((*made, *held), everything, strict=True)]
        learnt = [one for one, yes in zip((*made, *held), permits, strict=True) if yes]
        model = fit(learnt)
        figures = measured(pages, phrases, made, held, learnt, model)
    except (OSError, ValueError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    options.into.mkdir(parents=True, exist_ok=True)
    section = {"extract": {"extractor": "blocks", "model": msgspec.to_builtins(model)}}
    (options.into / "blocks.json").write_bytes(msgspec.json.format(msgspec.json.encode(section), indent=1) + b"\n")
    (options.into / "blocks.md").write_text(card(model, pages, phrases, figures, permits), encoding="utf-8")
    human = [scores for page, scores in zip(pages, figures.pages, strict=True) if page.kind == gold.HUMAN]
    for name, column in (("rules", 0), ("model", 1), ("model without the page's source", 2)):
        mean = fmean(scores[column] for scores in human) if human else float("nan")
        print(f"F1 of {name}: {mean:.4f} on {len(human)} pages, {figures.phrases[column]:.4f} of phrases")
    return 0


if __name__ == "__main__":
    sys.exit(main())
