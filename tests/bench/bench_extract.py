"""Extraction: token F1 against the human gold text of real pages.

F1 of token bags (NFKC, lower case; characters where words are not spaced), averaged over the pages of `html_gold` whose
gold text a person marked. The baseline is resiliparse's main content of the page as decoded by the bench.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Callable
from typing import Any

import pyarrow.parquet as pq
from resiliparse.extract.html2text import extract_plain_text

from tests.bench.bare import decoded
from tests.bench.inputs import SHARED, Inputs
from tests.bench.measure import Row, measure

UNSPACED = r"\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\u0e00-\u0e7f\u1000-\u109f\u1780-\u17ff\u0e80-\u0eff"
TOKEN = re.compile(rf"[{UNSPACED}]|[^\W{UNSPACED}]+")
BASELINE_F1 = 0.858
"""Of resiliparse's main content on these pages, measured before the project began."""


def tokens(text: str) -> Counter[str]:
    return Counter(TOKEN.findall(unicodedata.normalize("NFKC", text).lower()))


def f1(text: str, gold: Counter[str]) -> float:
    """Harmonic mean of precision and recall of token bags; 1 where both are empty."""
    found = tokens(text)
    if not found and not gold:
        return 1.0
    return 2 * (found & gold).total() / (found.total() + gold.total())


def product() -> Callable[[bytes], str]:
    """The text that the product takes from an HTML page; empty where it rejects the page."""
    from provenance import pages
    from provenance.extract import Extract

    tools = pages.tools(Extract())

    def extract(html: bytes) -> str:
        block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n" + html
        made: Any = pages.page("response", "http://bench.invalid/", "2024-01-01T00:00:00Z", block, {}, None, {}, tools)
        return "" if isinstance(made, pages.Rejection) else made.text

    return extract


def bare(html: bytes) -> str:
    return extract_plain_text(decoded(html, None), main_content=True, comments=False, alt_texts=False)


def run(inputs: Inputs) -> list[Row]:
    if not inputs.is_real:
        return [Row("F1", None, "", note="needs ../shared/data")]
    gold = pq.read_table(SHARED / "crawl" / "html_gold" / "gold.parquet", filters=[("gold_kind", "=", "human")]).to_pylist()
    bags = [tokens(row["gold_text"]) for row in gold]
    out = []
    for name, extract in (("the product, decoding included", product()), ("resiliparse alone", bare)):
        extract(gold[0]["html"])
        texts, cost = measure(lambda extract=extract: [extract(row["html"]) for row in gold])
        score = sum(map(f1, texts, bags)) / len(gold)
        goal = BASELINE_F1 if name.startswith("the product") else None
        out.append(Row(f"F1, {name}", score, "", ratio=round(score, 3) if goal else None, goal=goal, note=f"{len(gold)} pages"))
        out.append(Row(f"speed, {name}", len(gold) / cost.cpu, "pages/CPU-s"))
    return out
