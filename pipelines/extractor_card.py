"""The card of the extractor's model: what it learnt from, how well it does on which source, and what it is not for."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from pipelines import gold
from pipelines.gold import Page, Phrases
from pipelines.train_extractor import PHRASE_WEIGHT, STRENGTH, Figures
from pipelines.training.card import table
from provenance.extract import BlockModel

TEXT = """# Model card: blocks.json

{count} numbers, by which `provenance/extractors/blocks.py` tells a page's blocks of content from the rest: one weight for each
reading of `provenance/extractors/_features.py`, and an intercept. Made by `make extract-model`; the numbers alone are shipped,
none of the text. The file is a configuration: `lowbackground curate --config blocks.json` uses a model of your own.

## Not for

- forums, shops, search results and other pages whose content is many short blocks or links: nearly no gold here is of that kind;
- pages whose comments are what is wanted: they are dropped before the model is asked;
- deciding whether a text is good, true or human: it only tells an article from what stands round it.

Nine tenths of the pages that it was measured on are English news and blogs of 2007 to 2020. Of other languages the phrases
are German for the most part; for Chinese, Japanese and Arabic the share of kept blocks beside the English parallel pages is
measured by `make bench BENCH_ARGS=extract`, and nothing else.

## Training

Logistic regression with a ridge penalty (C = {strength}) on standardised readings. A block's label is the share of its tokens that
align with the gold text, its weight its share of that text; a block that holds a phrase has the weight {phrase}. Of the rows given,
those whose licence permits were learnt from:

{learnt}

## Measured

Token F1 per page, mean over the pages whose gold text a person marked; `rules` are three rules without weights, the
reference; `apart` is the model trained without the page's source.

{figures}

All phrases of {pages} pages, F1: rules {rules:.3f}, model {model:.3f}, apart {apart:.3f}.

## Weights

{weights}
"""


def card(
    model: BlockModel, pages: Sequence[Page], phrases: Sequence[Phrases], figures: Figures, learnt: Sequence[bool]
) -> str:  # fmt: skip
    """The card as Markdown; `learnt` says for each page, then each page of phrases, whether the model was trained on it."""
    everything: list[Page | Phrases] = [*pages, *phrases]
    sources = Counter(
        (one.source, one.licence or "none stated", "phrases" if isinstance(one, Phrases) else f"gold, {one.kind}")
        for one, yes in zip(everything, learnt, strict=True)
        if yes
    )
    rules, within, apart = figures.phrases
    return TEXT.format(
        count=len(model.weights) + 1,
        strength=STRENGTH,
        phrase=PHRASE_WEIGHT,
        learnt=table("source | licence | labels | pages", [[*name, f"{count:,}"] for name, count in sorted(sources.items())]),
        figures=_figures(pages, figures, learnt),
        pages=len(phrases),
        rules=rules,
        model=within,
        apart=apart,
        weights=table("reading | weight", [[f"`{name}`", f"{weight:.4f}"] for name, weight in model.weights.items()]),
    )


def _figures(pages: Sequence[Page], figures: Figures, learnt: Sequence[bool]) -> str:
    """A row for each source, and one for all pages, for those that the model learnt from and for the others."""
    human = [i for i, page in enumerate(pages) if page.kind == gold.HUMAN]
    parts = {source: [i for i in human if pages[i].source == source] for source in sorted({pages[i].source for i in human})}
    parts["learnt from"], parts["not learnt from"] = [i for i in human if learnt[i]], [i for i in human if not learnt[i]]
    parts["all"] = human
    rows = []
    for name, places in parts.items():
        scores = [figures.pages[i] for i in places]
        if scores:
            means = (f"{fmean(score[column] for score in scores):.3f}" for column in range(3))
            rows.append([name, f"{len(scores):,}", *means])
    return table("source | pages | rules | model | apart", rows)
