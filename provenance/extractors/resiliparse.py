"""Main text by resiliparse (https://resiliparse.chatnoir.eu): fast, token F1 .858 on the development gold.

It is guarded where it hangs (markup that `provenance.extract.hostile` names) and helped where it is blind
(self-closed `<title/>` and `<script/>` of XHTML, pages of frames, pages in `<noscript>`).
"""

import re
from importlib.metadata import version

from resiliparse.extract.html2text import extract_plain_text

from provenance.extract import Extract, hostile, strip_tags

NAME = "resiliparse"
VERSION = f"1+{NAME}-{version('resiliparse')}"

_SELF_CLOSED = re.compile(r"<(title|script|style|textarea|iframe|noscript|noframes)(?:\s|\Z)", re.IGNORECASE)
_SPACE = re.compile(" +\n")
_LINES = re.compile(r"\n{3,}")


def extract(html: str, options: Extract) -> str:
    """Main text of a page, paragraphs on lines of their own; `` where nothing is kept."""
    if not html or html.isspace():
        return ""
    if hostile(html, options):
        return strip_tags(html)
    page = _open_tags(html) if "<?xml" in html[:256] else html
    text = _main(page) or _whole(_open_tags(html))
    if " \n" in text:
        text = _SPACE.sub("\n", text)
    return _LINES.sub("\n\n", text) if "\n\n\n" in text else text


def _main(html: str) -> str:
    try:
        return extract_plain_text(html, main_content=True, comments=False, alt_texts=False, preserve_formatting=True).strip()
    except Exception:  # a foreign parser, for one page: what it cannot read goes the plain way
        return ""


def _whole(html: str) -> str:
    """All text of a page without main content: of its `<noscript>` and `<noframes>` too."""
    html = re.sub(
        r"<(/?)no(?:frames|script)\b|<(/?)frameset\b", lambda tag: f"<{tag[1] or tag[2] or ''}div", html, flags=re.IGNORECASE
    )
    try:
        text: str = extract_plain_text(html, main_content=False, comments=False, alt_texts=False, preserve_formatting=True).strip()
    except Exception:  # as above
        text = ""
    return text or strip_tags(html)


def _open_tags(html: str) -> str:
    """XHTML's empty raw-text elements spelled so that an HTML parser ends them too. Linear: each tag is looked at once."""
    pieces: list[str] = []
    position = previous = 0
    while (stop := html.find("/>", previous)) >= 0:
        start = html.rfind("<", previous, stop)
        found = _SELF_CLOSED.match(html, start, stop) if start >= 0 else None
        previous = stop + 2
        if found:
            pieces += (html[position:stop], "></", found[1], ">")
            position = previous
    return "".join((*pieces, html[position:]))
