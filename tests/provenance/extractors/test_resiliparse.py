"""resiliparse as it is used: what its second reading finds, and its figure."""

import pytest

from provenance.decode import decode
from provenance.extract import Extract, extractor
from tests.provenance.hostile import BLIND

MAIN = extractor(Extract(extractor="resiliparse"))
PARAGRAPH = "This is a paragraph of some length, with commas, which an extractor takes for content. " * 3


@pytest.mark.parametrize("html", BLIND)
def test_pages_that_the_parser_is_blind_for_have_text(html: str) -> None:
    assert PARAGRAPH.strip() in MAIN(html.replace("{}", PARAGRAPH))


@pytest.mark.parametrize("tag", ["nav", "footer", "aside"])
def test_a_page_of_navigation_alone_has_no_text(tag: str) -> None:
    assert MAIN(f"<html><body><{tag}><ul><li><a href=/>Home</a><li><a href=/b>About us</a></ul></{tag}></body></html>") == ""


def test_main_content_of_a_repaired_page_goes_before_all_of_it() -> None:
    html = f"<html><head><title/></head><body><nav><a href=/>Home</a></nav><article><p>{PARAGRAPH}</p></article></body></html>"
    assert MAIN(html) == PARAGRAPH.strip()


def test_a_lone_surrogate_costs_a_character_and_not_the_extraction() -> None:
    html = f"<html><body><nav><a href=/>Home</a></nav><article><p>\ud800{PARAGRAPH}</p></article></body></html>"
    assert MAIN(html) == "\ufffd" + PARAGRAPH.strip()


def test_f1_on_the_development_gold(shared) -> None:  # type: ignore[no-untyped-def]
    """Token F1 over every eighth page of the human gold; over all 814 it is .866."""
    import collections
    import re
    import unicodedata

    from pyarrow.parquet import read_table

    cjk = "\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f\u1000-\u109f\u1780-\u17ff\u0e80-\u0eff"
    token = re.compile(f"[{cjk}]|[^\\W{cjk}]+")
    rows = read_table(shared / "crawl" / "html_gold" / "gold.parquet", columns=["html", "gold_text", "gold_kind"]).to_pylist()
    scores = []
    for row in [row for row in rows if row["gold_kind"] == "human"][::8]:
        kept, gold = (
            collections.Counter(token.findall(unicodedata.normalize("NFKC", text).lower()))
            for text in (MAIN(decode(row["html"])[0]), row["gold_text"])
        )
        scores.append(2 * (kept & gold).total() / max(kept.total() + gold.total(), 1))
    assert sum(scores) / len(scores) > 0.845
