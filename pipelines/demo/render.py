"""Program that prints the HTML pages pydoc makes of topics and modules, one JSON array `[path, title, html]` a line.

Run as a process of its own (`python -s -S -P render.py [--topics] NAME...`) because pydoc imports what it documents:
whatever a module does on import happens here, without input, with its output muted and in an environment that holds
nothing to leak into a page. It needs the standard library alone. A line `[name]` announces a module before it is
imported, so that the caller knows which one ended the process.
"""

import importlib
import json
import os
import pydoc
import re
import sys
import warnings
from collections.abc import Iterator
from typing import TextIO

# Addresses of objects differ from one process to the next, and would make every run's pages new ones.
_ADDRESS = re.compile(r"(\bat(?:\s|&nbsp;)+0x|\bhandle\s)[0-9a-fA-F]+")


def topics() -> Iterator[tuple[str, str, str]]:
    """Pages of the language reference; none where this Python came without them."""
    try:
        texts = importlib.import_module("pydoc_data.topics").topics
    except ImportError:
        return
    html = pydoc.HTMLDoc()
    for name, text in sorted(texts.items()):
        body = f"{html.heading(f'<strong>{html.escape(name)}</strong>')}<div><pre>{html.markup(text)}</pre></div>"
        yield f"/topics/{name}.html", name, html.page(name, body)


def module(name: str) -> tuple[str, str, str] | None:
    """The page of one module, or None where it cannot be imported here or pydoc cannot describe it."""
    html = pydoc.HTMLDoc()
    try:
        text = html.page(name, html.docmodule(importlib.import_module(name), name))
    except (Exception, SystemExit):  # a foreign module may raise anything on import: its page is left out
        return None
    return f"/modules/{name}.html", name, _ADDRESS.sub(r"\1", text)


def _mute() -> TextIO:
    """Detaches this process from its standard streams and returns the real output."""
    real = os.fdopen(os.dup(1), "w", encoding="utf-8", errors="replace")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in range(3):
        os.dup2(nothing, stream)
    return real


def main(names: list[str]) -> None:
    warnings.simplefilter("ignore")
    out = _mute()
    sys.argv = ["pydoc"]
    if names[:1] == ["--topics"]:
        names = names[1:]
        for page in topics():
            print(json.dumps(page), file=out)
    for name in names:
        print(json.dumps([name]), file=out, flush=True)
        if found := module(name):
            print(json.dumps(found), file=out, flush=True)
    # A module may have started a thread, or left something to do at exit.
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
