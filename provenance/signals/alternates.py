"""How many languages the page says that it stands in: `hreflang` alternates of its links (`link` and `a` elements with
`rel="alternate"`) and its HTTP Link header.

The value is the number of distinct languages (`en-GB` and `en-US` are one, `x-default` is none, the page's own entry counts);
the detail lists them. It informs and weighs nothing: mass localisation is often machine translation (Thompson et al. 2024, SCIENCE
3.1), but the manuals of Apache and the W3C name a dozen languages and were translated by people. What a crawl shows of
the alternates is the matter of the signals that see all of it.

Failure modes. Shops list countries of one language, which count once here; many sites in many languages say nothing, or only
in a sitemap, which is not read; the tag is often wrong (a missing return link, an unknown code), and codes are not checked
against the registry beyond their form.
"""

import json
import re

import pyarrow as pa

from provenance.signals import Tools, _scan, readings

NAME = "alternates"
VERSION = "1"
STAGE = "page"
COLUMNS = ("key", "html", "http_headers")
STATISTICAL = False

_MARK = r"<(?:link|a)\s[^<>]*hreflang"
_CODE = re.compile(r"([a-z]{2,3})(?:[-_](?:[a-z0-9]{2,8}|\*))*$", re.IGNORECASE)
_SCRIPTS = {
    "hans": "zh-hans",
    "hant": "zh-hant",
    "cn": "zh-hans",
    "sg": "zh-hans",
    "tw": "zh-hant",
    "hk": "zh-hant",
    "mo": "zh-hant",
}
# One target of a Link header and its parameters (RFC 8288); no part of it holds a comma outside quotation marks.
_TARGET = re.compile(r"<[^<>]*>((?:\s*;\s*[\w*-]+\s*(?:=\s*(?:\"[^\"]*\"|[^\s\";,]+))?)*+)")
_PARAMETER = re.compile(r";\s*([\w*-]+)\s*=\s*(?:\"([^\"]*)\"|([^\s\";,]+))")


def alternates(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """A reading of each page that names an alternate in a language."""
    pages, headers = batch.column("html"), batch.column("http_headers")
    marked, headed = set(_scan.hits(pages, _MARK)), set(_scan.hits(headers, "hreflang"))
    rows: list[tuple[str, float, str]] = []
    for row in sorted(marked | headed):
        found = _in_page(pages[row].as_buffer().to_pybytes()) if row in marked else set()
        if row in headed:
            found |= _in_headers(headers[row].as_py())
        if found:
            rows.append((batch.column("key")[row].as_py(), float(len(found)), " ".join(sorted(found))))
    return readings(rows)


def language(code: str) -> str | None:
    """Language of an hreflang value in lower case, Chinese with its script; None for `x-default` and what is no code."""
    match = _CODE.match(code.strip())
    if not match:
        return None
    parts = re.split(r"[-_]", code.strip().lower())
    return next((_SCRIPTS[part] for part in parts[1:] if part in _SCRIPTS), "zh") if parts[0] == "zh" else parts[0]


def _in_page(page: bytes) -> set[str]:
    """Languages of the alternate links of a page in UTF-8."""
    links = _scan.heads(page, "link|a", "hreflang")
    named = [
        language(link["hreflang"]) for link in links if "alternate" in link.get("rel", "").lower().split() and link.get("hreflang")
    ]
    return {name for name in named if name}


def _in_headers(raw: str) -> set[str]:
    """Languages of the alternates that the HTTP Link header names."""
    try:
        headers = json.loads(raw)
    except ValueError:
        return set()
    found: set[str] = set()
    for name, value in headers.items() if isinstance(headers, dict) else ():
        if name.lower() != "link":
            continue
        for target in _TARGET.finditer(", ".join(map(str, value)) if isinstance(value, list) else str(value)):
            parameters = [(key.lower(), quoted or bare) for key, quoted, bare in _PARAMETER.findall(target.group(1))]
            relations = " ".join(given for key, given in parameters if key == "rel").lower().split()
            if "alternate" in relations:
                found |= {known for key, given in parameters if key == "hreflang" and (known := language(given))}
    return found
