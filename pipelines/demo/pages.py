"""The pages of the demo's site: what this Python's own pydoc says of the language and the standard library."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from pipelines.demo.words import Index, shingles, words

# Importing these opens a browser or a window, prints, warns of its removal, or loads Python's own test suite.
EXCLUDED = frozenset("antigravity distutils idlelib lib2to3 pydoc_data test this tkinter turtle turtledemo".split())
SUBMODULES = tuple(
    """asyncio.base_events asyncio.events asyncio.futures asyncio.locks asyncio.protocols asyncio.queues asyncio.streams
    asyncio.subprocess asyncio.tasks asyncio.transports collections.abc concurrent.futures concurrent.futures.process
    concurrent.futures.thread ctypes.util curses.ascii curses.textpad dbm.dumb email.charset email.contentmanager email.encoders
    email.feedparser email.generator email.header email.headerregistry email.iterators email.message email.mime.multipart
    email.parser email.policy email.utils encodings.idna encodings.punycode html.entities html.parser http.client
    http.cookiejar http.cookies http.server importlib.abc importlib.machinery importlib.metadata importlib.resources
    importlib.util json.decoder json.encoder json.tool logging.config logging.handlers multiprocessing.connection
    multiprocessing.context multiprocessing.managers multiprocessing.pool multiprocessing.process multiprocessing.queues
    multiprocessing.shared_memory multiprocessing.synchronize multiprocessing.util os.path unittest.case unittest.loader
    unittest.main unittest.mock unittest.result unittest.runner unittest.suite urllib.error urllib.parse urllib.request
    urllib.response urllib.robotparser wsgiref.handlers wsgiref.headers wsgiref.simple_server wsgiref.util wsgiref.validate
    xml.dom.minidom xml.dom.pulldom xml.etree.ElementTree xml.sax.expatreader xml.sax.handler xml.sax.saxutils
    xml.sax.xmlreader xmlrpc.client xmlrpc.server""".split()
)

FEWEST_WORDS = 200
"""Of the pages that Python documents in fewer, the extractor may keep less than the 50 words that a human text needs."""
MOST_WORDS = 5_000
MOST_OVERLAP = 0.65
"""Pages with more in common than this are not both on the site, so that each has one reference and no other."""

RENDER_SECONDS = 120
RESTARTS = 5
PROCESSES = 2


@dataclass(frozen=True)
class Page:
    """One page of the site: where it lies, its title, its HTML and its words."""

    path: str
    title: str
    html: str
    words: tuple[str, ...]


def names() -> list[str]:
    """Modules to describe: public names of the standard library without `EXCLUDED`, and `SUBMODULES`."""
    return [*sorted(name for name in sys.stdlib_module_names if not name.startswith("_") and name not in EXCLUDED), *SUBMODULES]


def render() -> list[Page]:
    """Every page that pydoc can make here, topics first. A module that ends its process or hangs is left out."""
    modules = names()
    # Neighbours in the list take turns, so that the halves weigh about the same.
    halves = [(["--topics"] if number == 0 else [], modules[number::PROCESSES]) for number in range(PROCESSES)]
    with ThreadPoolExecutor(PROCESSES) as pool:
        return [page for pages in pool.map(lambda half: _render(*half), halves) for page in pages]


def _render(options: list[str], waiting: list[str]) -> list[Page]:
    pages: list[Page] = []
    for _ in range(RESTARTS):
        rows, whole = _run([*options, *waiting])
        pages.extend(Page(path, title, text, tuple(words(text))) for path, title, text in (row for row in rows if len(row) == 3))
        announced = [row[0] for row in rows if len(row) == 1]
        waiting = waiting[waiting.index(announced[-1]) + 1 :] if announced else []
        if whole or not waiting:
            break
        options = []
    return pages


def _run(arguments: list[str]) -> tuple[list[list[str]], bool]:
    """The lines that the rendering process printed, and whether it came to its end."""
    kept = ("PATH", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "DYLD_FRAMEWORK_PATH")
    # The order of sets goes by the hash seed; the modules' pages show some of the environment.
    environment = {name: os.environ[name] for name in kept if name in os.environ} | {"PYTHONHASHSEED": "0"}
    program = Path(__file__).with_name("render.py")
    with tempfile.TemporaryFile() as output:
        command = [sys.executable, "-s", "-S", "-P", "-X", "utf8", str(program), *arguments]
        try:
            ended = subprocess.run(
                command,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.DEVNULL,
                env=environment,
                timeout=RENDER_SECONDS,
                check=False,
            )
            whole = ended.returncode == 0
        except subprocess.TimeoutExpired:
            whole = False
        output.seek(0)
        # What the process was writing when it died has no line end.
        return [json.loads(line) for line in output if line.endswith(b"\n")], whole


def distinct(pages: Iterable[Page]) -> list[Page]:
    """Pages of a fair length, no two of which have much in common; the shorter of such two stays. In order of path."""
    seen, kept = Index(), []
    for page in sorted(pages, key=lambda page: (len(page.words), page.path)):
        if not FEWEST_WORDS <= len(page.words) <= MOST_WORDS:
            continue
        found = shingles(page.words)
        if seen.overlap(found) <= MOST_OVERLAP:
            seen.add(page.path, found)
            kept.append(page)
    return sorted(kept, key=lambda page: page.path)
