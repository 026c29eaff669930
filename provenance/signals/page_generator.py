"""The program that the page names as its maker (`<meta name="generator">`).

The value is 1 where one is named. It informs and weighs nothing: a content management system serves people and machines
alike, and a builder that advertises writing with AI says how the page was laid out and not who wrote it. The detail names
the programs, and says where one is known as a builder of that kind, so that hosts can be counted by it.

Failure modes. Anybody can write anything there; most pages name nothing, and caches and themes remove it. A page that a
plug-in made may name only the system under it.
"""

import pyarrow as pa

from provenance.signals import Tools, _scan, readings

NAME = "page_generator"
VERSION = "1"
STAGE = "page"
COLUMNS = ("key", "html")
STATISTICAL = False

_MARK = r"<meta\s[^<>]*generator"
_LONGEST = 120  # characters of a name that are kept
_MOST = 5  # names of one page that are kept
# Builders and plug-ins that write pages with language models by their own description.
_WRITERS = ("10web", "ai engine", "autoblog", "bertha", "bolt.new", "contentbot", "durable", "framer ai", "gamma", "getgenie", "hostinger ai",
            "hocoos", "koala", "lovable", "mixo", "rytr", "seowriting", "unicorn platform", "wordlift", "zimmwriter")  # fmt: skip


def page_generator(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """A reading of each page that names its generator."""
    pages = batch.column("html")
    rows: list[tuple[str, float, str]] = []
    for row in _scan.hits(pages, _MARK):
        named = _named(pages[row].as_buffer().to_pybytes())
        if named:
            known = any(writer in name.lower() for name in named for writer in _WRITERS)
            rows.append(
                (batch.column("key")[row].as_py(), 1.0, "; ".join(named) + (" (a builder that writes with AI)" if known else ""))
            )
    return readings(rows)


def _named(page: bytes) -> list[str]:
    """The generators that a page in UTF-8 names, each once, in order."""
    found: list[str] = []
    for meta in _scan.heads(page, "meta", "generator"):
        name = " ".join(meta.get("content", "").split())[:_LONGEST]
        if meta.get("name", meta.get("property", "")).strip().lower() == "generator" and name and name not in found:
            found.append(name)
        if len(found) == _MOST:
            break
    return found
