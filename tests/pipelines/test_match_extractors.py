"""One page through two extractors: too unlike for Jaccard, and found by what one text contains of the other."""

import gzip
import random
from collections.abc import Sequence
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests import builders
from tests.match import oracle, planted
from tests.match.runs import Curated, curate, faults, freeze

CONTAINED, RECALL = 0.8, 0.98
HEAD = "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n"


def archive(path: Path, pages: Sequence[str], date: str) -> Path:
    """The pages as one crawler would have stored them."""
    members = []
    for number, page in enumerate(pages):
        body = page.encode()
        block, url = (HEAD % len(body)).encode() + body, f"http://pages.example/{number}"
        members.append(builders.record("response", url, date, block, body, "application/http; msgtype=response", number + 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(gzip.compress(member, mtime=0) for member in members))
    return path


def plain(path: Path, pages: Sequence[str], date: str) -> Path:
    """The whole visible text of each page, menus and all, as a WET file holds it."""
    from resiliparse.extract.html2text import extract_plain_text

    members = []
    for number, page in enumerate(pages):
        text = extract_plain_text(page, main_content=False, alt_texts=False).encode("utf-8", "replace")
        url = f"http://pages.example/{number}"
        members.append(builders.record("conversion", url, date, text, text, "text/plain", number + 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"".join(gzip.compress(member, mtime=0) for member in members))
    return path


def made_pages(count: int) -> list[str]:
    """Articles among menus, teasers, comments and a footer, of which extractors keep different parts."""
    pages = []
    menu = "".join(f'<li><a href="/{n}">{planted.prose("Latin", ("menu", n), 2)}</a></li>' for n in range(12))
    for number in range(count):
        rng = random.Random(f"page {number}")
        title = planted.prose("Latin", ("title", number), 6)
        article = "".join(
            f"<p>{planted.prose('Latin', ('paragraph', number, n), rng.randint(25, 70))}</p>" for n in range(rng.randint(3, 8))
        )
        teasers = "".join(
            f'<div class="teaser"><h3><a href="/{n}">{planted.prose("Latin", ("head", number, n), 5)}</a></h3>'
            f"<p>{planted.prose('Latin', ('teaser', number, n), rng.randint(8, 30))}</p></div>"
            for n in range(rng.randint(0, 5))
        )
        comments = "".join(
            f'<li class="comment"><p>{planted.prose("Latin", ("comment", number, n), rng.randint(10, 45))}</p></li>'
            for n in range(rng.randint(0, 6))
        )
        footer = planted.prose("Latin", "footer", 25)
        # Every other page says of no part what it is.
        body = (
            f"<nav><ul>{menu}</ul></nav><main><article><h1>{title}</h1>{article}</article></main>"
            f'<aside class="related">{teasers}</aside><section id="comments"><ol>{comments}</ol></section><footer><p>{footer}</p></footer>'
            if number % 2
            else f"<div>{menu}</div><div><h1>{title}</h1>{article}</div><div>{teasers}</div><div>{comments}</div><div>{footer}</div>"
        )
        pages.append(f"<!DOCTYPE html><html><head><title>{title}</title></head><body>{body}</body></html>")
    return pages


def judge(run: Path, snapshot: Path, least: int) -> list[oracle.Pair]:
    """Checks that pages of which one text contains most of the other are told, and go where they reach the thresholds; all pairs."""
    found = Curated(run, [snapshot], named_by="url")
    references = {row["url"]: key for key, row in found.references.items() if row["url"]}
    pairs = {(row["key"], row["other"]) for row in found.matches}
    both = [(key, references[row["url"]]) for key, row in found.documents.items() if row["url"] in references]
    truths = {(key, other): found.truth(key, other) for key, other in both}
    inside = {pair for pair, truth in truths.items() if max(truth.containment, truth.contained) >= CONTAINED}
    # What equals another reference is dropped for that one and compared with no more.
    missed = [pair for pair in inside - pairs if found.tags[pair[0]]["canonical"] is None]
    decided = {pair for pair, truth in truths.items() if truth.duplicate}
    stayed = [pair for pair in decided if found.tags[pair[0]]["canonical"] is None]
    unlike = sum(truths[pair].similarity < 0.8 for pair in inside) / max(len(inside), 1)
    print(
        f"{len(inside)} of {len(both)} pages contained, {unlike:.0%} of them of similarity below .8; {len(missed)} not told, "
        f"{len(stayed)} of {len(decided)} duplicates stayed: {[truths[pair] for pair in missed + stayed][:6]}"
    )
    assert len(inside) >= least
    assert len(missed) <= (1 - RECALL) * len(inside)
    assert len(stayed) <= (1 - RECALL) * len(decided)
    assert faults(found) == []
    return list(truths.values())


def test_made_up_pages_through_another_extractor(tmp_path: Path) -> None:
    pages = made_pages(80)
    freeze(archive(tmp_path / "old.warc.gz", pages, "2019-01-01T00:00:00Z"), tmp_path / "snapshot", "--extract=resiliparse")
    curate(archive(tmp_path / "new.warc.gz", pages, "2024-01-01T00:00:00Z"), tmp_path / "run", [tmp_path / "snapshot"])
    truths = judge(tmp_path / "run", tmp_path / "snapshot", 50)
    assert sum(0.3 < truth.similarity < 0.8 for truth in truths) >= 8, "the two extractors agree too well to test anything"


def test_made_up_pages_as_whole_text(tmp_path: Path) -> None:
    pages = made_pages(80)
    freeze(plain(tmp_path / "old.warc.wet.gz", pages, "2019-01-01T00:00:00Z"), tmp_path / "snapshot")
    curate(archive(tmp_path / "new.warc.gz", pages, "2024-01-01T00:00:00Z"), tmp_path / "run", [tmp_path / "snapshot"])
    truths = judge(tmp_path / "run", tmp_path / "snapshot", 70)
    assert sum(truth.similarity < 0.75 for truth in truths) >= 25, "the whole text is too like the article to test anything"


def test_whole_text_against_made_up_pages(tmp_path: Path) -> None:
    pages = made_pages(80)
    freeze(archive(tmp_path / "old.warc.gz", pages, "2019-01-01T00:00:00Z"), tmp_path / "snapshot")
    curate(plain(tmp_path / "new.warc.wet.gz", pages, "2024-01-01T00:00:00Z"), tmp_path / "run", [tmp_path / "snapshot"])
    truths = judge(tmp_path / "run", tmp_path / "snapshot", 70)
    assert any(truth.contained >= 0.85 and not truth.duplicate for truth in truths), "no page is over twice its article"


@pytest.fixture(scope="module")
def gold(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The gold pages, all and every third: as archives of before and after the cutoff, and as whole text."""
    base = tmp_path_factory.mktemp("gold")
    column = pq.read_table(shared / "crawl/html_gold/gold.parquet", columns=["html"])["html"].to_pylist()
    pages = [page.decode("utf-8", "replace") for page in column]
    for name, some in (("all", pages), ("third", pages[::3])):
        for age, date in (("old", "2019-01-01T00:00:00Z"), ("new", "2024-01-01T00:00:00Z")):
            archive(base / f"{name}/{age}.warc.gz", some, date)
            plain(base / f"{name}/{age}.warc.wet.gz", some, date)
    return base


@pytest.mark.slow
@pytest.mark.parametrize(
    ("old", "options", "new", "least"),
    [
        ("all/old.warc.gz", ("--extract=trafilatura",), "all/new.warc.gz", 800),
        ("third/old.warc.gz", ("--extract=resiliparse",), "third/new.warc.gz", 250),
        ("all/old.warc.wet.gz", (), "all/new.warc.gz", 800),
        ("third/old.warc.gz", (), "third/new.warc.wet.gz", 250),
    ],
    ids=["trafilatura", "resiliparse", "whole text", "against whole text"],
)
def test_gold_pages_through_two_extractors(
    gold: Path, tmp_path: Path, old: str, options: tuple[str, ...], new: str, least: int
) -> None:
    freeze(gold / old, tmp_path / "snapshot", *options, "--workers=2")
    curate(gold / new, tmp_path / "run", [tmp_path / "snapshot"], "--workers=2")
    judge(tmp_path / "run", tmp_path / "snapshot", least)
