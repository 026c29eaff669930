"""The plan of the two crawls: which pages the first one sees, what the second one finds, and what each of them is.

Nothing here depends on the clock or on chance without a seed; the same Python plans the same pages.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import islice

from pipelines.demo import rewrite
from pipelines.demo.pages import Page
from pipelines.demo.site import Headers, Resource, html_resource
from pipelines.demo.words import Index, sentences, shingles, words
from pipelines.demo.writer_model import WriterModel

SEED = "lowbackground demo 1"
FEWEST_PAGES = 60
FRESH_OVERLAP = 0.4
"""What is to be new has less than this in common with any page of the first crawl."""
NEAR_WORDS = 350
"""Shorter pages have no near copies here: a template's few words would weigh too much."""
EDIT_SHARE = 0.01
MACHINE_WORDS = 280
TRIES = 20
OLD_DAY, OLD_TIME, OLD_HTTP = "2 March 2015", "2015-03-02T09:30:00+00:00", "Mon, 02 Mar 2015 09:30:00 GMT"

UNCHANGED = "unchanged page"
NEAR = "near copy, edited, in another template"
COPIES = "three copies of a page of the first crawl"
NEW_COPIES = "three copies of a new page"
NEW = "new page"
MACHINE = "machine text"
DISCLOSED = "machine text, disclosed by header or markup"
RESIDUE = "machine text with an assistant's residue"
TRANSLATED = "marked as machine translation"
OLD = "new page that claims 2015"
OLD_MACHINE = "machine text that claims 2015"
DAMAGED = "damaged record"
CUT_OFF = "record cut off at the end of the file"
NO_PAGE = "no page (missing, or a picture)"

KINDS = (
    UNCHANGED,
    NEAR,
    COPIES,
    NEW_COPIES,
    NEW,
    OLD,
    MACHINE,
    OLD_MACHINE,
    DISCLOSED,
    RESIDUE,
    TRANSLATED,
    DAMAGED,
    CUT_OFF,
    NO_PAGE,
)

HELD_BACK = {NEW: 24, NEW_COPIES: 3, OLD: 5}
"""Pages that the first crawl does not see, by what the second finds them as."""
FROM_FIRST = {NEAR: 24, COPIES: 3, DAMAGED: 4, CUT_OFF: 1}
"""Pages of the first crawl to which something happens; the others stay as they are."""
WRITTEN = {MACHINE: 12, DISCLOSED: 8, RESIDUE: 4, OLD_MACHINE: 3}
TRANSLATIONS = 8

GENERATED_MARKUP = (
    '<script type="application/ld+json">{"@context": "https://schema.org", "@type": "Article", '
    '"digitalSourceType": "https://schema.org/TrainedAlgorithmicMediaDigitalSource"}</script>\n'
)
GENERATED_HEADER = (("AI-Disclosure", "mode=machine-generated"),)
RESIDUES = (
    "As an AI language model, I cannot look this up, but I can describe it in general terms.",
    "This is described elsewhere :contentReference[oaicite:2]{index=2}.",
)
OLD_HEAD = f'<meta property="article:published_time" content="{OLD_TIME}">\n'
OLD_LINE = f'<p>Published <time datetime="{OLD_TIME}">{OLD_DAY}</time></p>\n'
PICTURE = Resource(b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "image/png")


@dataclass(frozen=True)
class Planted:
    """One address of the second crawl: what it is, and the path of the page that it copies, if any."""

    path: str
    kind: str
    reference: str | None = None


@dataclass(frozen=True)
class Plan:
    """What the site shows at each crawl, in order of fetching, and the truth about the second."""

    first: dict[str, Resource]
    second: dict[str, Resource]
    truth: tuple[Planted, ...]


Item = tuple[Planted, Resource]


def plan(pages: Sequence[Page]) -> Plan:
    """The two crawls over these pages (`pages.distinct`). Raises `ValueError` where they are too few to plant every kind."""
    made = _Planner(pages).plan() if len(pages) >= FEWEST_PAGES else None
    lacking = sorted(set(KINDS) - {planted.kind for planted in made.truth}) if made else KINDS
    if made is None or lacking:
        raise ValueError(
            f"pydoc made {len(pages)} usable pages of this Python's documentation, too few to plant: {'; '.join(lacking)}. "
            "Part of the standard library seems to be missing. Name another Python: make run PYTHON=/path/to/python3."
        )
    return made


def rank(name: str) -> bytes:
    """What mixes pages, the same way every time."""
    return sha256(f"{SEED}\n{name}".encode()).digest()


class _Planner:
    """The pages in mixed order, divided into held back and first, and a model that has read the first."""

    def __init__(self, pages: Sequence[Page]):
        mixed = sorted(pages, key=lambda page: rank(page.path))
        every = Index()
        for page in mixed:
            every.add(page.path, shingles(page.words))
        apart = [page for page in mixed if every.overlap(shingles(page.words), apart_from=page.path) < FRESH_OVERLAP]
        # A small standard library still has some of each kind.
        self.share = min(1.0, len(apart) / (2 * (sum(HELD_BACK.values()) + sum(FROM_FIRST.values()))))
        self.held = apart[: sum(map(self.count, HELD_BACK.values()))]
        gone = {page.path for page in self.held}
        self.first = [page for page in mixed if page.path not in gone]
        self.apart = [page for page in apart if page.path not in gone]
        self.known = Index()
        for page in self.first:
            self.known.add(page.path, shingles(page.words))
        self.model = WriterModel(sentence for page in self.first for sentence in sentences(page.html))

    def count(self, wanted: int) -> int:
        return max(1, round(wanted * self.share))

    def plan(self) -> Plan:
        first = {page.path: html_resource(page.html, "first") for page in sorted(self.first, key=lambda page: page.path)}
        items = [*self.fresh(), *self.changed(), *self.written(), *self.translations(), *self.no_pages()]
        items.sort(key=lambda item: (item[0].kind == CUT_OFF, rank(item[0].path)))
        return Plan(first, {planted.path: resource for planted, resource in items}, tuple(planted for planted, _ in items))

    def fresh(self) -> Iterator[Item]:
        """Held back pages: as they are, at three addresses, or in a page that claims an old date."""
        waiting = iter(self.held)
        for page in islice(waiting, self.count(HELD_BACK[NEW])):
            yield Planted(page.path, NEW), html_resource(page.html, "second")
        for page in islice(waiting, self.count(HELD_BACK[NEW_COPIES])):
            kept, *others = sorted(_addresses(page), key=rank)
            yield Planted(kept, NEW_COPIES), html_resource(page.html, kept)
            for path in others:
                yield Planted(path, NEW_COPIES, kept), html_resource(page.html, path)
        for page in waiting:
            old = rewrite.document(page.title, OLD_LINE + rewrite.inner(page.html), OLD_HEAD)
            yield Planted(f"/2015/03/{_name(page)}", OLD), html_resource(old, "second", (("Last-Modified", OLD_HTTP),))

    def changed(self) -> Iterator[Item]:
        """Pages of the first crawl: edited, copied, damaged on the way, or as they were."""
        free = {page.path: page for page in self.first}

        def take(kind: str, least: int = 0) -> list[Page]:
            fit = [page for page in self.apart if page.path in free and len(page.words) >= least]
            return [free.pop(page.path) for page in fit[: self.count(FROM_FIRST[kind])]]

        for number, page in enumerate(take(NEAR, NEAR_WORDS)):
            near = rewrite.around(page.title, rewrite.edited(page.html, random.Random(f"{SEED} {page.path}"), EDIT_SHARE))
            # Half of the near copies stand where the reference stood.
            path = page.path if number % 2 else f"/mirror/{_name(page)}"
            yield Planted(path, NEAR, page.path), html_resource(near, "second")
        for page in take(COPIES):
            for path in _addresses(page):
                yield Planted(path, COPIES, page.path), html_resource(page.html, path)
        for kind in (DAMAGED, CUT_OFF):
            for page in take(kind):
                yield Planted(page.path, kind, page.path), html_resource(page.html, "second")
        for page in free.values():
            yield Planted(page.path, UNCHANGED, page.path), html_resource(page.html, "second")

    def written(self) -> Iterator[Item]:
        """Pages of the model: plain, disclosed, with residue, or with an old date on them."""
        for kind, wanted in WRITTEN.items():
            for number in range(self.count(wanted)):
                head, before = "", ""
                headers: Headers = ()
                paragraphs = self.text(f"{kind} {number}")
                if kind == DISCLOSED:
                    head, headers = (GENERATED_MARKUP, headers) if number % 2 else ("", GENERATED_HEADER)
                elif kind == RESIDUE:
                    paragraphs.insert(0, RESIDUES[number % len(RESIDUES)])
                elif kind == OLD_MACHINE:
                    head, before, headers = OLD_HEAD, OLD_LINE, (("Last-Modified", OLD_HTTP),)
                path = f"/blog/{rank(f'{kind} {number}').hex()[:12]}.html"
                title = " ".join(paragraphs[-1].split()[:5]).strip(" .,:;")
                yield Planted(path, kind), html_resource(rewrite.article(title, paragraphs, head, before), "second", headers)

    def text(self, name: str) -> list[str]:
        """Paragraphs of the model that copy no page of the first crawl."""
        for attempt in range(TRIES):
            paragraphs = self.model.paragraphs(random.Random(f"{SEED} {name} {attempt}"), MACHINE_WORDS)
            if self.known.overlap(shingles(words("\n\n".join(paragraphs)))) < FRESH_OVERLAP:
                return paragraphs
        raise ValueError(
            f"in {TRIES} attempts the demo's model wrote nothing but near copies of the first crawl ({name}); report this with your Python's version"
        )

    def translations(self) -> Iterator[Item]:
        """Pages of the first crawl in word-by-word French, marked as machine translation; those that are mostly code would stay as they are."""
        wanted = self.count(TRANSLATIONS)
        for page in reversed(self.apart):
            head = f'<link rel="alternate machine-translated-from" hreflang="en" href="{page.path}">\n'
            html = rewrite.document(f"{page.title} (fr)", rewrite.translated(page.html), head, language="fr-x-mtfrom-en")
            if wanted and len(page.words) >= NEAR_WORDS and self.known.overlap(shingles(words(html))) < FRESH_OVERLAP:
                wanted -= 1
                yield Planted(f"/fr/{_name(page)}", TRANSLATED), html_resource(html, "second")

    def no_pages(self) -> Iterator[Item]:
        missing = Resource(b"<html><body><p>This page has gone.</p></body></html>", "text/html; charset=utf-8", status=404)
        yield Planted("/gone.html", NO_PAGE), missing
        yield Planted("/logo.png", NO_PAGE), PICTURE


def _name(page: Page) -> str:
    return page.path.strip("/").replace("/", "-")


def _addresses(page: Page) -> list[str]:
    return [f"/{folder}/{_name(page)}" for folder in ("download", "print", "www")]
