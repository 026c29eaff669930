"""Multi-way parallel pages: in how many languages of the crawl a page stands.

The value is the number of languages of the group of parallel pages that the page belongs to, 2 or more; how such pages are found,
`provenance.parallel` says. B. Thompson et al., "A Shocking Amount of the Web is Machine Translated" (2024): of what stands in many languages on the
web most is machine translated, the more so the more languages.

Failure modes: manuals, laws and encyclopedias that people translated are as parallel as a shop that a machine translated, and the page that the
others were made from is parallel too. It informs, weighs little from three languages on, and can neither decide nor bar. Translations
that the crawl does not hold are not seen; of pages with few numbers, names and identifiers only those whose addresses say it.
"""

import pyarrow as pa

from provenance.signals import Tools, readings

NAME = "parallelism"
VERSION = "1"
STAGE = "crowd"
COLUMNS = ("key", "languages", "ways", "hosts")
STATISTICAL = False


def parallelism(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the documents that have a group."""
    del tools
    found = zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True)
    return readings([(key, float(len(names)), _detail(names, ways, hosts)) for key, names, ways, hosts in found if names])


def _detail(languages: list[str], ways: str, hosts: int) -> str:
    return (
        f"parallel in {len(languages)} languages ({', '.join(languages)}) on {hosts} {'host' if hosts == 1 else 'hosts'}, by {ways}"
    )
