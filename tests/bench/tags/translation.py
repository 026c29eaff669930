"""Machine against human translation: what the combined score and a purpose-trained character model can tell, which is little.

No reading of the text decides `machine_translated`; the tables show why, and the count of tags shows that none does.
"""

from collections.abc import Sequence

import numpy as np

from tests.bench.tags import metrics
from tests.bench.tags.judged import Judged
from tests.bench.tags.sheets import Goal, Sheet, bounds, number, rate
from tests.bench.tags.texts import Text, chosen, values

FEWEST = 10
"""Texts of a class below which a row is left out."""


def kind(text: Text) -> str:
    """`machine`, `reference` (a person's translation) or `original`."""
    return "machine" if text.machine else text.says["human_kind"].replace("translation", "reference") or "reference"


def direction(text: Text) -> str:
    """Language pair of a translation, `into xx` where the source language is not told."""
    own = text.says["lang"].split("-")[0]
    return f"{text.says['src_lang'].split('-')[0] or '?'} to {own}"


def table(title: str, texts: Sequence[Text], judged: Judged, purpose: np.ndarray, place: Sequence[str]) -> Sheet:
    """AUROC of machine translation against human text of the same row, of both scores, and what is tagged."""
    heads = ["", "machine/human", "AUROC, combined", "95 %", "scored", "AUROC, trained for it", "95 %", "MT tagged", "human tagged"]
    sheet = Sheet(title, heads)
    machine, flagged, places = chosen(texts, lambda t: t.machine), judged.machine, np.array(place, object)
    for name in ("all", *sorted(set(place))):
        own = np.full(len(texts), True) if name == "all" else places == name
        m, h = own & machine, own & ~machine
        if min(m.sum(), h.sum()) < FEWEST:
            continue
        row = [name, f"{m.sum()}/{h.sum()}"]
        row += [*_ranked(judged.scores, m, h), f"{judged.scored[own].mean():.0%}", *_ranked(purpose, m, h)]
        row += [rate(int((flagged & part).sum()), int(part.sum())) for part in (m, h)]
        sheet.rows.append(row)
    translated = int((judged.origins == "machine_translated").sum())
    sheet.goals.append(Goal("no text is tagged machine_translated by what it says alone", translated == 0, f"{translated} are"))
    return sheet


def _ranked(scores: np.ndarray, machine: np.ndarray, human: np.ndarray) -> list[str]:
    """AUROC with its interval, of the texts that have a score."""
    there = np.isfinite(scores)
    m, h = scores[machine & there], scores[human & there]
    found = metrics.auroc(m, h)
    if not len(m) or not len(h):
        return ["", ""]
    spread = metrics.Z95 * metrics.auroc_error(found, len(m), len(h))
    return [number(found), bounds((found - spread, min(found + spread, 1.0)))]


def wmt(texts: Sequence[Text], judged: Judged, purpose: np.ndarray) -> list[Sheet]:
    """dev-wmt by language of the text: systems against references, also by direction, and against originals, which are no translations."""
    kinds, languages = values(texts, kind), values(texts, lambda t: t.says["lang"])
    sheets = []
    for other in ("reference", "original"):
        own = np.flatnonzero((kinds == "machine") | (kinds == other))
        part = [texts[row] for row in own]
        title = f"dev-wmt: machine translation against human {other}s, by language of the text"
        sheets.append(table(title, part, judged[own], purpose[own], list(languages[own])))
        if other == "reference":
            title = "dev-wmt: machine translation against human references, by direction"
            sheets.append(table(title, part, judged[own], purpose[own], [direction(text) for text in part]))
    return sheets


def manuals(texts: Sequence[Text], judged: Judged, purpose: np.ndarray) -> Sheet:
    """The publisher's own labels, by language."""
    title = "ms_docs_ht_mt: pages labelled MT against HT by their publisher; the model trained for it saw WMT alone"
    sheet = table(title, texts, judged, purpose, [text.says["lang"] for text in texts])
    sheet.note = "Languages with one label alone enter `all` only, where language and label go together: read the rows by language."
    return sheet
