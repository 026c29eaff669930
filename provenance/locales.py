"""Addresses of one page in several languages: by the form of the address, and by the alternates that the page names.

Sites keep the versions of a page apart by a part of the address: a folder (`/fr/`), an ending of the file (`index.html.fr`,
`page.fr.html`, `page_fr.html`), the first label of the host (`fr.example.org`) or a parameter (`?lang=fr`). Without it the addresses are
equal. That is a guess: `/it/` may be a department. Two pages are versions of one only where their texts are of different languages and
their anchors do not speak against it (`provenance.parallel`).
"""

import re
from urllib.parse import SplitResult, parse_qsl, urlencode, urljoin, urlsplit

from provenance.signals import _scan
from provenance.signals.alternates import language

LANGUAGES = frozenset(
    "aa ab af ak am an ar as ay az ba be bg bi bm bn bo br bs ca ce co cs cv cy da de dv dz ee el en eo es et eu fa fi fj fo fr fy ga gd"
    " gl gn gu gv ha he hi hr ht hu hy ia id ie ig is it iu ja jv ka kg kk kl km kn ko ks ku kw ky la lb lg ln lo lt lv mg mi mk ml mn mr ms"
    " mt my nb nd ne nl nn no ny oc om or os pa pl ps pt qu rm rn ro ru rw sa sc sd se sg si sk sl sm sn so sq sr ss st su sv sw ta te tg th"
    " ti tk tl tn to tr ts tt tw ug uk ur uz ve vi vo wa wo xh yi yo za zh zu".split()
)
"""Two-letter codes of ISO 639-1."""

_CODE = re.compile(r"[a-z]{2}(?:[-_](?:[a-z]{2}|[a-z]{4}|\d{3}))?", re.IGNORECASE)
_CHARSET = re.compile(r"utf-?8|iso-?\d+-?\w*|euc-?\w\w|jis|big5|gbk?|koi8-\w|windows-?\d+", re.IGNORECASE)
_SUFFIX = re.compile(r"(.+)_([A-Za-z]{2}(?:[-_][A-Za-z]{2})?)")
_PARAMETERS = frozenset(("lang", "language", "locale", "hl", "lng", "lc", "l", "idioma", "langue", "sprache", "setlang", "uselang"))
_INDEX = re.compile(r"(?:index|default|home)\.(?:html?|php\d?|aspx?|jsp)", re.IGNORECASE)


def is_code(text: str) -> bool:
    """Whether it is written like a language: a code of ISO 639-1, with a region or script or without."""
    if text[:2].lower() not in LANGUAGES:
        return False
    match = _CODE.fullmatch(text)
    return match is not None


def site(url: str | None) -> str | None:
    """The host of an address, lower case, without `www.` and port; None where there is none.

    It stands for the site. Hosts of one registered domain are sites of their own, because on many of them (blogs of one provider,
    universities) they have nothing in common.
    """
    parts = _split(url) if url else None
    return _site(parts) if parts else None


def _split(url: str) -> SplitResult | None:
    try:
        parts = urlsplit(url)
        return parts if parts.hostname else None
    except ValueError:  # brackets that hold no address, a port that is no number
        return None


def _site(parts: SplitResult) -> str | None:
    return (parts.hostname or "").rstrip(".").removeprefix("www.") or None


def without_language(url: str) -> tuple[str, bool] | None:
    """An address as all language versions of the page have it, and whether it named a language; None for what is no web address."""
    parts = _split(url)
    host = _site(parts) if parts else None
    if parts is None or host is None or parts.scheme not in ("http", "https"):
        return None
    first, _, rest = host.partition(".")
    named = "." in rest and is_code(first)
    *folders, file = parts.path.split("/")
    kept = [folder for folder in folders if not is_code(folder)]
    name = _file(file)
    named |= len(kept) < len(folders) or name != file
    query = parts.query
    if query:
        pairs = parse_qsl(query, keep_blank_values=True)
        own = [(key, value) for key, value in pairs if not (key.lower() in _PARAMETERS and is_code(value))]
        named |= len(own) < len(pairs)
        query = urlencode(own)
    path = "/".join([*kept, "" if _INDEX.fullmatch(name) else name]).lstrip("/")
    return f"{rest if '.' in rest and is_code(first) else host}/{path}?{query}", named


def _file(name: str) -> str:
    """The last part of a path without its language, and without the charset that Apache's negotiation puts behind it."""
    if is_code(name):
        return ""
    first, *rest = name.split(".")
    named = [part for part in rest if is_code(part)]
    if named:
        rest = [part for part in rest if not is_code(part) and not _CHARSET.fullmatch(part)]
    ending = _SUFFIX.fullmatch(first)
    if ending and is_code(ending.group(2)):
        first = ending.group(1)
    return ".".join([first, *rest])


def alternates(page: str, url: str) -> frozenset[str]:
    """Addresses of the language versions that a page names by `hreflang`, without fragments, if it is among them itself; else none.

    A page that does not name itself breaks the rule of the attribute and mostly points to the front pages of the languages.
    `x-default` is left out: it may be the same for all pages of a site.
    """
    if "hreflang" not in page:
        return frozenset()
    found, languages = set(), set()
    for link in _scan.heads(page, "link", "hreflang"):
        named = language(link.get("hreflang", ""))
        if named and "alternate" in link.get("rel", "").lower().split():
            try:
                found.add(urljoin(url, link.get("href", "")).partition("#")[0])
            except ValueError:  # brackets that hold no address
                continue
            languages.add(named)
    return frozenset(found) if len(languages) > 1 and url.partition("#")[0] in found else frozenset()
