"""The sections of the bench: what each needs is made when the first asks for it, and once."""

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np

from pipelines import toolbox
from provenance.signals import Tools
from tests.bench.tags import clock, dev_main, left_out, texts, translation
from tests.bench.tags.baseline import Baseline
from tests.bench.tags.corpus import Corpus
from tests.bench.tags.fits import Fits
from tests.bench.tags.folds import Fold
from tests.bench.tags.judged import Judged, judge
from tests.bench.tags.left_out import Left, Tried
from tests.bench.tags.sheets import Sheet
from tests.bench.tags.texts import chosen, load


@dataclass
class Bench:
    """`full` leaves sources and generators out one by one and tries all human rows; `fast` calibrates left-out folds by the values of the
    cross-fit of `make model`, of models that may have seen what is left out when they scored the others."""

    trainer: Path
    cache: Path
    workers: int
    full: bool
    fast: bool

    @staticmethod
    def say(words: str) -> None:
        import sys

        print(words, file=sys.stderr, flush=True)

    @cached_property
    def corpus(self) -> Corpus:
        return Corpus.read(self.cache, self.full)

    @cached_property
    def fits(self) -> Fits:
        return Fits.of(self.corpus.rows, self.trainer, self.cache, self.workers, self.say)

    @cached_property
    def shipped(self) -> Tools:
        return toolbox.evidence_tools()

    def tried(self, folds: list[Fold], nested: bool) -> list[Tried]:
        """Fits what is missing, then tries each fold."""
        plan = self.fits.plan
        slots = [plan.slot(place) for place in range(len(plan.human))]
        self.fits.ready([*folds, *(one for fold in folds for one in self.fits.inner(fold))] if nested else [*folds, *slots])
        return [left_out.attempt(self.corpus, fold, self.fits.tools(fold, nested)) for fold in folds]

    @cached_property
    def human_tried(self) -> list[Tried]:
        return self.tried(self.fits.plan.human_folds(self.full), not self.fast)

    @cached_property
    def human_left(self) -> Left:
        return left_out.gather(self.corpus, self.human_tried)

    @cached_property
    def dev(self) -> tuple[np.ndarray, Judged]:
        """Numbers of the texts of `dev`, and what the shipped models say of them."""
        rows = np.flatnonzero(self.corpus.is_dev)
        return rows, judge([self.corpus.texts[row] for row in rows], self.shipped)

    def main(self) -> list[Sheet]:
        """The shipped models on dev-main."""
        rows, judged = self.dev
        corpus, found = self.corpus, [self.corpus.texts[row] for row in self.dev[0]]
        of_main = np.isin(corpus.source, sorted(set(corpus.source[corpus.machine])))
        alone = corpus.baseline.score(corpus.fit(Fold(), of_main), rows)
        theirs = corpus.baseline.score(corpus.fit(Fold()), rows)
        sheet = dev_main.beside(
            "dev-main: the shipped score beside character n-grams, both of the same training rows", found, judged.scores, theirs
        )
        other = dev_main.beside(
            "dev-main: the same beside character n-grams that learnt train-main alone", found, judged.scores, alone
        )
        sheet.note += "\n" + dev_main.alone("the baseline on all texts, of train-main alone", found, alone)
        sheet.note += "\n" + dev_main.alone("the baseline on all texts, of all rows", found, theirs)
        human = [text for text, out in zip(corpus.texts, corpus.learnable & ~corpus.machine, strict=True) if out]
        sets = {"dev-main": (found, judged), "human text of training": (human, judge(human, self.shipped))}
        tables = [
            sheet,
            other,
            dev_main.tagged(found, judged),
            dev_main.breakdown("dev-main at the default thresholds, by length", found, judged),
        ]
        return [*tables, dev_main.marks("Markup, disclosure and residue in rows of tables, which have no markup", sets)]

    def sources(self) -> list[Sheet]:
        """Sources left out."""
        corpus, left = self.corpus, self.human_left
        sheets = [left_out.humans(corpus, left), left_out.machines(corpus, self.human_tried, left)]
        out = (left.fold >= 0) & ~corpus.machine & ~np.isin(corpus.source, sorted(set(corpus.source[corpus.machine])))
        sheets.append(left_out.lengths(corpus, left, out))
        apart = left_out.gather(corpus, self.tried(self.fits.plan.source_folds(self.full), False))
        return [*sheets, left_out.sources(corpus, apart, left)]

    def generators(self) -> list[Sheet]:
        """Generators left out."""
        return [left_out.generators(self.corpus, self.tried(self.fits.plan.generator_folds(self.full), False))]

    def clock(self) -> list[Sheet]:
        """Human text of before and after, by models that did not see the source."""
        corpus, left = self.corpus, self.human_left
        # Of sources with machine text the folds leave out groups alone, so that they are not out of source.
        mixed = np.isin(corpus.source, sorted(set(corpus.source[corpus.machine])))
        return [clock.placebo(corpus.texts, np.where(mixed, np.nan, left.scores), np.where(mixed, np.nan, left.base))]

    def translation(self) -> list[Sheet]:
        """Machine against human translation."""
        train, dev, manuals = (load([path]) for path in (texts.WMT_TRAIN, texts.WMT_DEV, texts.MANUALS))
        counts = Baseline([text.text for text in (*train, *dev, *manuals)])
        rows = np.arange(len(train))
        purpose = counts.score(
            counts.fit(rows, chosen(train, lambda t: t.machine)), np.arange(len(train), len(train) + len(dev) + len(manuals))
        )
        judged = [judge(found, self.shipped) for found in (dev, manuals)]
        sheets = translation.wmt(dev, judged[0], purpose[: len(dev)])
        return [*sheets, translation.manuals(manuals, judged[1], purpose[len(dev) :])]
