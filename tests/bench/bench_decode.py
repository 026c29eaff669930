"""Decoding: pages in the right encoding, and pages per CPU-second beside resiliparse's detector and bare UTF-8.

A page is right where at most 0.5 % of its characters differ from the encoding that the archive names for it.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
from resiliparse.parse.encoding import bytes_to_str, detect_encoding

from tests.bench.inputs import SHARED, Inputs
from tests.bench.measure import Row, best

KNOWN = {"charset_pages": 337, "httpd_manual_parallel": 863}
"""Archives whose pages name their encoding, and how many must be right."""
CODECS = {"gb2312": "gb18030", "shift_jis": "cp932", "euc-kr": "cp949", "tis-620": "cp874"}
GOAL_DETECTOR = 1.0
GOAL_UTF8 = 0.1

Page = tuple[bytes, str | None]


def known(path: Path) -> list[tuple[Page, str]]:
    """((bytes, charset of the HTTP header), true text) of every page whose encoding the archive names."""
    from provenance.decode import clean
    from tests.provenance.warcs import responses

    out = []
    for headers, response, charset in responses(path):
        if gold := headers.get("x-gold-encoding", "").lower():
            text = response.body.decode(CODECS.get(gold, gold), "replace")
            out.append(((response.body, charset), clean(text.lstrip("\ufeff"))))
    return out


def is_right(text: str, truth: str) -> bool:
    return len(text) == len(truth) and sum(a != b for a, b in zip(text, truth, strict=True)) <= 0.005 * len(truth)


def speed(pages: list[Page], decode: Callable[[bytes, str | None], Any]) -> float:
    """Pages per CPU-second."""
    return len(pages) / best(lambda: [decode(data, charset) for data, charset in pages])[1].cpu


def detected(data: bytes, charset: str | None) -> str:
    return bytes_to_str(data, detect_encoding(data, html5_compatible=False) or "windows-1252")


def run(inputs: Inputs) -> list[Row]:
    from provenance.decode import decode

    if not inputs.is_real:
        return [Row("right", None, "", note="needs ../shared/data")]
    crawl = SHARED / "crawl"
    rows, pages = [], {}
    for name, least in KNOWN.items():
        truths = known(crawl / "html_pages" / f"{name}.warc.gz")
        pages[name] = [page for page, _ in truths]
        for how, product in (("the product", True), ("resiliparse's detector", False)):
            right = sum(is_right(decode(*page)[0] if product else detected(*page), truth) for page, truth in truths)
            ratio, goal = (right / least, 1.0) if product else (None, None)
            rows.append(Row(f"right, {name}, {how}", right, "pages", ratio=ratio, goal=goal, note=f"of {len(truths)}"))
    gold = pq.read_table(crawl / "html_gold" / "gold.parquet", columns=["html"])["html"].to_pylist()
    pages["html_gold"] = [(html, None) for html in gold]
    for name, some in pages.items():
        ours = speed(some, decode)
        detector, bare = speed(some, detected), speed(some, lambda data, _: data.decode("utf-8", "replace"))
        rows += [
            Row(f"speed, {name}", ours, "pages/CPU-s", note=f"{len(some)} pages"),
            Row("  over resiliparse's detector", detector, "pages/CPU-s", ratio=ours / detector, goal=GOAL_DETECTOR),
            Row("  over bytes.decode('utf-8')", bare, "pages/CPU-s", ratio=ours / bare, goal=GOAL_UTF8),
        ]
    return rows
