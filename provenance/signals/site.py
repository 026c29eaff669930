"""The company that a page keeps: what the detectors of model text say of the other pages of its host.

The value is the share of the host's other pages whose combined score reaches the 90th percentile of human text of their cell (language
group and length): 0.1 is what human pages have by definition. The page itself is left out, so that no score counts twice, and so are copies that were
dropped. No reading for hosts with fewer than 15 scored pages, as in DeGenTWeb (SCIENCE 2.3), which aggregates detectors over sites too.

Failure modes: a detector errs alike on all pages of one genre, so that a human host of old speeches or of encyclopedia articles can have a high
share, and a host of an unknown generator a low one; hosts with many authors (forums, blogs of one provider) say little of one page. It therefore
weighs little and speaks for no class: it adds to the log-likelihood ratio and can neither make nor unmake a tag.
"""

import pyarrow as pa

from provenance.signals import Tools, readings

NAME = "site"
VERSION = "1"
STAGE = "crowd"
COLUMNS = ("key", "site", "site_pages", "others", "others_above")
STATISTICAL = True

MIN_PAGES = 15
"""Scored pages that a host needs."""

PERCENTILE = 0.9
"""Of human text in the page's cell: a page that scores above it counts as one that looks like a machine's."""


def site(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the documents of hosts with enough scored pages."""
    del tools
    found = zip(*(batch.column(name).to_pylist() for name in COLUMNS), strict=True)
    return readings(
        [
            (key, above / others, f"{above} of {others} other pages of {host} score above {PERCENTILE:.0%} of human text")
            for key, host, pages, others, above in found
            if pages is not None and pages >= MIN_PAGES
        ]
    )
