"""Main text by resiliparse (https://resiliparse.chatnoir.eu): fast, token F1 .866 on the development gold.

It is guarded where it hangs (markup that `provenance.tag_soup.hostile` names) and helped where it is blind
(self-closed `<title/>` and `<script/>` of XHTML, pages of frames, pages in `<noscript>`).
"""

import re
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from provenance.extract import Extract, guarded
from provenance.tag_soup import end_empty_tags, reveal

NAME = "resiliparse"
VERSION = f"2+{NAME}-{version(NAME)}"

_OPTIONS = {"comments": False, "alt_texts": False, "preserve_formatting": True}
_NAVIGATION = ["nav", "footer", "aside"]

_SPACE = re.compile(" +\n")
_LINES = re.compile(r"\n{3,}")


def parameters(options: Extract) -> dict[str, Any]:
    """The keyword arguments of the calls for main content, and of that for all of a page which has none."""
    return {
        "main": {**_OPTIONS, "main_content": True},
        "whole": {**_OPTIONS, "main_content": False, "skip_elements": _NAVIGATION},
    }


def load(options: Extract) -> Callable[[str], str]:
    """The function that gives a page's main text, paragraphs on lines of their own.

    A page of which resiliparse keeps nothing is read again with what hides its text repaired: `<noscript>`, `<noframes>`
    and `<frameset>` are blocks, empty and unended titles and scripts of XHTML end. If that has no main content either, all
    text outside `nav`, `footer` and `aside` is kept. So pages of frames, pages for visitors without scripts, and short
    ones have a text; one with nothing but navigation in those elements has none, while lists of links in other elements
    are text to it.
    """
    from resiliparse.extract.html2text import extract_plain_text

    given = parameters(options)

    def read(html: str) -> str:
        text: str = extract_plain_text(end_empty_tags(html) if "<?xml" in html[:256] else html, **given["main"]).strip()
        if not text:
            revealed = reveal(html)
            text = extract_plain_text(revealed, **given["main"]).strip() or extract_plain_text(revealed, **given["whole"]).strip()
        if " \n" in text:
            text = _SPACE.sub("\n", text)
        return _LINES.sub("\n\n", text) if "\n\n\n" in text else text

    return guarded(read, options)
