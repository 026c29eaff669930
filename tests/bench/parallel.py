"""Parallel pages: of one page in two languages an extractor should keep the same blocks.

The Apache httpd manual has its language as a folder (`/docs/trunk/zh-cn/bind.html`), the W3C's articles as a suffix
(`/articles/article-text-size.ar.html`). Translations lag behind: `markup` counts the blocks that a page has to keep.
"""

import re
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from fastwarc.warc import ArchiveIterator, WarcRecordType

from provenance.decode import decode

ARCHIVES = {
    "httpd_manual_parallel.warc.gz": re.compile(r"(?P<before>.*/docs/trunk/)(?P<language>[a-z-]+)(?P<after>/.*)"),
    "w3c_i18n_parallel.warc.gz": re.compile(r"(?P<before>.*)\.(?P<language>[a-z-]+)(?P<after>\.html)"),
}
BLOCK = re.compile(r"<(?:p|li|dt|dd|h[1-6]|pre|blockquote|tr)\b", re.IGNORECASE)


@dataclass(frozen=True)
class Pair:
    """A page and its English parallel, both decoded; `language` without its region."""

    language: str
    html: str
    english: str


def load_pairs(folder: Path) -> list[Pair]:
    """Every page of the parallel archives in `folder` that is not English and has an English parallel."""
    pairs = []
    for name, pattern in ARCHIVES.items():
        versions: defaultdict[tuple[str, str], dict[str, str]] = defaultdict(dict)
        with (folder / name).open("rb") as stream:
            for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
                found = pattern.fullmatch(record.headers["WARC-Target-URI"])
                if found:
                    html = decode(record.reader.read(), record.http_charset)[0]
                    versions[found["before"], found["after"]][found["language"]] = html
        for page in versions.values():
            english = page.pop("en", None)
            pairs += [Pair(language.split("-")[0], html, english) for language, html in page.items() if english]
    return pairs


def lines(text: str) -> int:
    """Kept blocks: lines that are not empty."""
    return sum(map(bool, map(str.strip, text.splitlines())))


def shares(pairs: list[Pair], count: Callable[[str], int]) -> dict[str, list[float]]:
    """By language, each page's count over that of its English parallel. Pages whose parallel counts 0 are left out."""
    counts = {html: count(html) for pair in pairs for html in (pair.html, pair.english)}
    out: defaultdict[str, list[float]] = defaultdict(list)
    for pair in pairs:
        if counts[pair.english]:
            out[pair.language].append(counts[pair.html] / counts[pair.english])
    return dict(sorted(out.items()))


def markup(html: str) -> int:
    """Start tags of blocks in the whole page."""
    return len(BLOCK.findall(html))


def medians(found: dict[str, list[float]]) -> dict[str, float]:
    return {language: median(values) for language, values in found.items()}
