"""Extraction: token F1 against the gold text of real pages, and speed, beside other extractors in the same run.

Every extractor is given the same decoded page. Quality is that of all pages of `html_gold` whose gold text a person marked;
rows of sources that the model was trained on are counted apart. Speed is the best of three rounds in which all take turns;
the slow ones take every eighth page only, and are compared with the product on the same. `pipelines/gold.py` has the metrics.
"""

import re
import subprocess
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from statistics import fmean, median
from typing import Any

import pyarrow.parquet as pq

from pipelines import gold
from pipelines.gold import Page, Phrases
from provenance.extract import Extract, extractor
from provenance.extractors import blocks
from tests.bench import parallel
from tests.bench.inputs import SHARED, Inputs
from tests.bench.measure import ROOT, SHORTEST, Row

Extractor = Callable[[str], str]

GOLD = SHARED / "crawl" / "html_gold"
PRODUCT = "blocks"
F1, F1_OUT, F1_PHRASES = 0.905, 0.90, 0.90
EMPTY = 3 / 1000
SPEED = {"trafilatura": 8.0, "resiliparse": 0.45}
PARALLEL, PARALLEL_IN = 0.9, ("zh", "ja", "ar")
SLOW, EVERY, ROUNDS = ("trafilatura", "readability-lxml"), 8, 3
SHOWN = 10
"""Pages below which a language is no row of its own."""


@dataclass(frozen=True)
class Summary:
    """Means over pages, the median F1, and the pages that have no text."""

    precision: float
    recall: float
    f1: float
    median: float
    empty: int


def summary(texts: Sequence[str], pages: Sequence[Page]) -> Summary:
    scores = [gold.score(text, Counter(gold.tokens(page.gold))) for text, page in zip(texts, pages, strict=True)]
    return Summary(
        fmean(one.precision for one in scores),
        fmean(one.recall for one in scores),
        fmean(one.f1 for one in scores),
        median(one.f1 for one in scores),
        sum(not text.strip() for text in texts),
    )


def trained_on() -> frozenset[str]:
    """Sources that the shipped model was trained on."""
    return frozenset(blocks.shipped().trained_on)


def resiliparse(html: str) -> str:
    from resiliparse.extract.html2text import extract_plain_text

    return extract_plain_text(html, main_content=True, comments=False, alt_texts=False)


def trafilatura(html: str) -> str:
    from trafilatura import extract

    return extract(html, include_comments=False) or ""


def readability(html: str) -> str:
    """The text of what it keeps, a line for each text node, as its summary is HTML."""
    from lxml.html import fromstring
    from readability import Document

    return "\n".join(fromstring(Document(html).summary(html_partial=True)).itertext())


def extractors() -> dict[str, Extractor]:
    """The product's own first, then the peers as their authors ship them."""
    own = {PRODUCT: extractor(Extract(extractor=PRODUCT))}
    return own | {"resiliparse": resiliparse, "trafilatura": trafilatura, "readability-lxml": readability}


def text_of(extract: Extractor, html: str) -> str:
    """The text; `` where a peer raises, as on pages that it takes to be empty."""
    try:
        return extract(html)
    except Exception:  # a foreign parser, for one page; the product's own are tested to raise nothing
        return ""


def speeds(extracts: dict[str, Extractor], pages: Sequence[Page]) -> dict[str, dict[str, float]]:
    """Pages per CPU-second of each, the best round of each: on `every` so many pages, and of the fast ones on `all`."""
    best: dict[str, dict[str, float]] = {"every": {}, "all": {}}
    for _ in range(ROUNDS):
        for name, extract in extracts.items():
            for which, some in (("every", pages[::EVERY]), ("all", [] if name in SLOW else pages)):
                start = time.process_time()
                for page in some:
                    text_of(extract, page.html)
                rate = len(some) / max(time.process_time() - start, SHORTEST)
                best[which][name] = max(best[which].get(name, 0.0), rate)
    return best


def split(pages: Iterable[Any], key: Callable[[Any], str], least: int = 1) -> dict[str, list[int]]:
    """Places in `pages` by `key`, most first; keys of fewer than `least` pages together as `other`."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for place, page in enumerate(pages):
        places[key(page)].append(place)
    big = {name: found for name, found in places.items() if len(found) >= least}
    other = sorted(place for name, found in places.items() if name not in big for place in found)
    return dict(sorted(big.items(), key=lambda item: (-len(item[1]), item[0]))) | ({"other": other} if other else {})


def beside(count: int, values: dict[str, float]) -> str:
    """The note of a row of a table part: its pages, and what the peers have, in the order that the part's heading names."""
    return f"{count}; " + ", ".join(f"{value:.3f}" for value in values.values())


def heading(what: str, peers: Iterable[str]) -> Row:
    return Row(what, None, "", note="; ".join(("pages", ", ".join(peers))))


def quality(texts: dict[str, list[str]], pages: Sequence[Page], own: str) -> list[Row]:
    """A row for each extractor, then one for each source and language, in which the others stand beside."""
    rows = []
    for name, found in texts.items():
        all_of = summary(found, pages)
        note = f"P {all_of.precision:.3f}, R {all_of.recall:.3f}, median {all_of.median:.3f}, {all_of.empty} of {len(pages)} empty"
        goal = F1 if name == own else None
        rows.append(Row(f"F1, {name}", all_of.f1, "", ratio=all_of.f1 if goal else None, goal=goal, note=note))
    empty = summary(texts[own], pages).empty / len(pages)
    within = EMPTY / max(empty, 1 / len(pages))
    rows.append(
        Row(f"empty, {own}", 1000 * empty, "in 1,000", ratio=within, goal=1, note="ratio: 3 in 1,000 over it, one page at least")
    )
    rows += [heading("F1 by part", [name for name in texts if name != own]), *trained_apart(texts, pages, own)]
    for label, places in (
        ("source", split(pages, lambda page: page.source)),
        ("language", split(pages, lambda page: page.language, SHOWN)),
    ):
        for key, found in places.items():
            values = {name: part(text, pages, found) for name, text in texts.items()}
            rows.append(Row(f"  {label} {key}", values.pop(own), "", note=beside(len(found), values)))
    return rows


def part(texts: Sequence[str], pages: Sequence[Page], places: Sequence[int]) -> float:
    return summary([texts[place] for place in places], [pages[place] for place in places]).f1


def trained_apart(texts: dict[str, list[str]], pages: Sequence[Page], own: str) -> list[Row]:
    """F1 of the rows that the shipped model was not trained on, and of those that it was."""
    sources, rows = trained_on(), []
    for place, (label, goal) in {False: ("not trained on", F1), True: ("trained on", None)}.items():
        found = [number for number, page in enumerate(pages) if (page.source in sources) is place]
        if found:
            values = {name: part(text, pages, found) for name, text in texts.items()}
            ours = values.pop(own)
            note = beside(len(found), values)
            rows.append(Row(f"  {label}", ours, "", ratio=ours if goal else None, goal=goal, note=note))
    return rows


def leave_one_source_out() -> tuple[float, float, int]:
    """F1 of pages and of phrases by models that were trained like the shipped one but without the page's source, and pages."""
    files = {"--gold": GOLD / "gold.parquet", "--phrases": GOLD / "snippets.parquet"}
    sources = {one for file in files.values() for one in pq.read_table(file, columns=["source"])["source"].to_pylist()}
    with tempfile.TemporaryDirectory() as into:
        command = [
            sys.executable,
            "-m",
            "pipelines.train_extractor",
            "--into",
            into,
            "--leave-out",
            *sorted(sources - trained_on()),
        ]
        command += [str(word) for pair in files.items() for word in pair]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    found = re.search(r"without the page's source: ([\d.]+) on (\d+) pages, ([\d.]+) of phrases", done.stdout)
    if done.returncode or not found:
        raise RuntimeError(f"the trainer exited with {done.returncode}: {(done.stderr or done.stdout)[-600:].strip()}")
    return float(found[1]), float(found[3]), int(found[2])


def out_rows() -> list[Row]:
    pages, phrases, count = leave_one_source_out()
    return [
        Row("F1, leave one source out", pages, "", pages, F1_OUT, f"{count} pages"),
        Row("snippets F1, leave one source out", phrases, "", phrases, F1_OUT, "nearly all pages with snippets are of one source"),
    ]


def snippets(extracts: dict[str, Extractor], pages: Sequence[Phrases], own: str) -> list[Row]:
    """F1 of phrases that must and must not be in the text."""
    texts = {name: [text_of(extract, page.html) for page in pages] for name, extract in extracts.items()}
    rows = []
    for name, found in texts.items():
        of_all = gold.phrase_score(found, pages)
        goal = F1_PHRASES if name == own else None
        note = f"P {of_all.precision:.3f}, R {of_all.recall:.3f}, {len(pages)} pages"
        rows.append(Row(f"snippets F1, {name}", of_all.f1, "", ratio=of_all.f1 if goal else None, goal=goal, note=note))
    sources = trained_on()
    rows.append(heading("snippets F1 by part", [name for name in texts if name != own]))
    apart = ("", lambda page: "trained on" if page.source in sources else "not trained on", 1)
    for label, key, least in (apart, ("language ", lambda page: page.language, SHOWN)):
        for value, places in split(pages, key, least).items():
            values = {
                name: gold.phrase_score([found[place] for place in places], [pages[place] for place in places]).f1
                for name, found in texts.items()
            }
            rows.append(Row(f"  {label}{value}", values.pop(own), "", note=beside(len(places), values)))
    return rows


def speed(rates: dict[str, dict[str, float]], own: str) -> list[Row]:
    """Pages per CPU-second; the ratio is the product's over the peer's, on the same pages."""
    rows = [Row(f"speed, {own}", rates["all"][own], "pages/CPU-s")]
    for name in rates["all"]:
        if name != own:
            which = "every" if name in SLOW else "all"
            note = f"every {EVERY}th page" if name in SLOW else ""
            goal = SPEED.get(name) if own == PRODUCT else None
            rate = rates[which][name]
            rows.append(Row(f"speed, {own} over {name}", rate, "pages/CPU-s", rates[which][own] / rate, goal, note))
    return rows


def parallels(extract: Extractor, own: str) -> list[Row]:
    """Kept blocks of pages in other languages, relative to their English parallels'."""
    pairs = parallel.load_pairs(SHARED / "crawl" / "html_pages")
    found = parallel.shares(pairs, lambda html: parallel.lines(text_of(extract, html)))
    markup = parallel.medians(parallel.shares(pairs, parallel.markup))
    rows = []
    for language, middle in parallel.medians(found).items():
        goal = PARALLEL if language in PARALLEL_IN and own == PRODUCT else None
        note = f"{len(found[language])} pages; start tags of blocks {markup[language]:.2f}"
        rows.append(Row(f"kept blocks, {language} over en", middle, "median", ratio=middle if goal else None, goal=goal, note=note))
    return sorted(rows, key=lambda row: row.goal is None)


def run(inputs: Inputs) -> list[Row]:
    if not inputs.is_real:
        return [Row("F1", None, "", note="needs ../shared/data")]
    pages = [page for page in gold.load_pages([GOLD / "gold.parquet"]) if page.kind == gold.HUMAN]
    phrases, extracts = gold.load_phrases([GOLD / "snippets.parquet"]), extractors()
    own = next(iter(extracts))
    texts = {name: [text_of(extract, page.html) for page in pages] for name, extract in extracts.items()}
    return [
        *quality(texts, pages, own),
        *out_rows(),
        *snippets(extracts, phrases, own),
        *speed(speeds(extracts, pages), own),
        *parallels(extracts[own], own),
    ]
