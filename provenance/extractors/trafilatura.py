"""Main text by trafilatura (https://trafilatura.readthedocs.io) without comments: the named reference, token F1 .903 on
the development gold at a thirteenth of the speed of resiliparse.

A page on which a DOM builder hangs, that its parser reads in part only, that it raises on or that is larger than its time
allows goes through the plain tag stripper. What it reads and keeps nothing of has no text: it sees neither `<noframes>`
nor what follows an unended `<title>`.
"""

import logging
from collections.abc import Callable
from configparser import ConfigParser
from importlib.metadata import version
from typing import Any

from provenance.extract import Extract, guarded
from provenance.tag_soup import strip_tags

NAME = "trafilatura"
VERSION = "+".join(["1", *(f"{library}-{version(library)}" for library in (NAME, "lxml", "justext"))])

MAX_CHARACTERS = 2_400_000
"""Longer pages are stripped: libxml2 gives up at 10,000,000 bytes, and a character has at most 4."""
MAX_TAGS = 50_000
"""Pages of more tags are stripped: 20,000 elements take a second, and the largest of the gold pages has 43,138 tags."""
_MEMORABLE = 100_000  # characters of a page whose lines its caches, of 1,024 lines each, may hold: bounded memory


def parameters(options: Extract) -> dict[str, Any]:
    """The keyword arguments of `trafilatura.extract`, its settings file as a mapping, and the bounds that are ours."""
    return {
        "call": {
            "output_format": "txt",
            "fast": False,
            "favor_precision": False,
            "favor_recall": False,
            "include_comments": False,
            "include_tables": True,
            "include_images": False,
            "include_formatting": False,
            "include_links": False,
            "deduplicate": False,  # it would remember pages, and the text would hang on what came before
            "with_metadata": False,
            "target_language": None,
        },
        # The library's own values, so that neither its file nor its next version changes the text unseen.
        "settings": {
            "MIN_EXTRACTED_SIZE": "250",
            "MIN_OUTPUT_SIZE": "1",
            "MIN_OUTPUT_COMM_SIZE": "1",
            "MIN_DUPLCHECK_SIZE": "100",
            "MAX_REPETITIONS": "2",
            "MIN_FILE_SIZE": "0",
            "MAX_FILE_SIZE": str(1 << 30),
            "MAX_TREE_SIZE": "",
            "EXTRACTION_TIMEOUT": "0",
            "EXTENSIVE_DATE_SEARCH": "off",
            "EXTERNAL_URLS": "off",
        },
        "max_characters": MAX_CHARACTERS,
        "max_tags": MAX_TAGS,
    }


def load(options: Extract) -> Callable[[str], str]:
    """The function that gives a page's main text, one block on a line and the cells of a row between bars."""
    from trafilatura import core, utils

    given = parameters(options)
    settings = ConfigParser()
    settings["DEFAULT"] = given["settings"]
    # It reports each page that it keeps nothing of, as an error; such pages are counted as rejects.
    logging.getLogger(NAME).setLevel(logging.CRITICAL + 1)

    def read(html: str) -> str:
        if len(html) > given["max_characters"] or html.count("<") > given["max_tags"]:
            return strip_tags(html)
        tree = utils.load_html(html)
        if tree is None:  # one element without `<html>` round it: no HTML to its loader
            tree = utils.load_html(f"<html><body>{html}")
        if tree is None or _cut(utils.HTML_PARSER.error_log):
            return strip_tags(html)
        text = core.extract(tree, config=settings, **given["call"]) or ""
        if len(html) > _MEMORABLE:
            utils.trim.cache_clear()
            utils.line_processing.cache_clear()
        return text

    return guarded(read, options)


def _cut(log: Any) -> bool:
    """Whether libxml2 gave up inside the page, as its log says: at 256 nested elements or 10,000,000 bytes it drops the rest."""
    return any(entry.level_name == "FATAL" for entry in log)
