"""What the bench works on: the real data of ../shared/data where it stands, else pages that pydoc writes here."""

import gzip
import importlib
import pydoc
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from tests.bench.measure import ROOT, Cost, lowbackground

SHARED = ROOT.parent / "shared" / "data"
REFERENCE = ("git-certified-prose", "nltk", "eltec-es")
DECLARATION = "the bench: rows of before 2022, as their tables say"

MODULES = """argparse ast asyncio.events base64 bisect calendar cmd code codecs collections concurrent.futures configparser contextlib copy csv
ctypes datetime decimal difflib dis doctest email.message email.policy enum fileinput fractions ftplib functools gettext glob graphlib gzip hashlib
heapq hmac html.parser http.client http.cookiejar imaplib inspect io ipaddress itertools json keyword linecache locale logging logging.handlers lzma
mailbox math mimetypes multiprocessing.pool numbers operator optparse os pathlib pdb pickle pickletools platform plistlib poplib pprint profile
queue random re reprlib sched selectors shelve shlex shutil smtplib socket socketserver sqlite3 ssl stat statistics string struct subprocess tarfile
tempfile textwrap threading timeit tokenize trace traceback types typing unittest.mock urllib.parse urllib.request uuid venv warnings wave weakref
xml.dom.minidom xml.etree.ElementTree xmlrpc.client zipfile zoneinfo""".split()


def warc_record(url: str, html: str) -> bytes:
    """One `response` record as a gzip member of its own."""
    body = html.encode()
    block = b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    fields = {
        "WARC-Type": "response",
        "WARC-Record-ID": f"<urn:bench:{url}>",
        "WARC-Target-URI": url,
        "WARC-Date": "2024-05-01T00:00:00Z",
        "Content-Type": "application/http; msgtype=response",
        "Content-Length": str(len(block)),
    }
    head = "WARC/1.0\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    return gzip.compress(head.encode() + block + b"\r\n\r\n", mtime=0)


def pydoc_page(name: str) -> tuple[str, str, str]:
    """(name, HTML, plain text) of a module of the standard library."""
    html, module = pydoc.HTMLDoc(), importlib.import_module(name)
    return name, html.page(name, html.docmodule(module, name)), pydoc.plaintext.docmodule(module, name)


def write(base: Path, pages: Sequence[tuple[str, str, str]]) -> tuple[str, str]:
    """A WARC file and a Parquet table of the same pages."""
    warc, table = base.with_suffix(".warc.gz"), base.with_suffix(".parquet")
    warc.write_bytes(b"".join(warc_record(f"http://bench.invalid/{name}", html) for name, html, _ in pages))
    pq.write_table(pa.table({"id": [name for name, _, _ in pages], "text": [text for _, _, text in pages]}), table)
    return str(warc), str(table)


def documents(tables: Sequence[str], name: str, size: int) -> list[dict[str, Any]]:
    """Documents of `size` bytes together, cut from the texts of some tables by a generator that `name` seeds."""
    from tests import mixes

    texts = [text for table in tables for text in pq.read_table(table, columns=["text"])["text"].to_pylist() if text]
    whole, chance = "\n".join(texts), np.random.default_rng(list(name.encode()))
    found: list[dict[str, Any]] = []
    while size > 0 or not found:
        length = min(int(chance.lognormal(7.8, 1.0)), len(whole) - 1)
        start = int(chance.integers(len(whole) - length))
        row = mixes.document(f"{name}-{len(found)}", 0, text=f"{name} {len(found)} {whole[start : start + length]}")
        found.append(row)
        size -= row["byte_count"]
    return found


@dataclass(frozen=True)
class Inputs:
    """Where the bench reads and writes; what several benches need is made once."""

    folder: Path

    @property
    def is_real(self) -> bool:
        return SHARED.is_dir()

    @cached_property
    def tiny(self) -> tuple[str, str]:
        """A WARC file and a table of one page, whose cost is that of starting."""
        return write(self.folder / "tiny", [pydoc_page("argparse")])

    @cached_property
    def made(self) -> tuple[str, str]:
        """A WARC file and a table of the pages that pydoc writes."""
        return write(self.folder / "pydoc", [pydoc_page(name) for name in MODULES])

    @cached_property
    def pages(self) -> list[str]:
        """WARC files of HTML pages."""
        real = sorted(str(path) for path in (SHARED / "crawl" / "html_pages").glob("*.warc.gz"))
        return real or [self.made[0]]

    @cached_property
    def crawl(self) -> list[str]:
        """WARC files of whole crawls, the pages among them."""
        return self.pages + sorted(str(path) for path in (SHARED / "crawl" / "warc_real").glob("*.warc*") if path.is_file())

    @cached_property
    def large(self) -> list[str]:
        """The crawl four times over, so that the work outweighs the start."""
        copies = []
        for number in range(4):
            for source in self.crawl:
                copy = self.folder / "large" / str(number) / Path(source).name
                copy.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(source, copy)
                copies.append(str(copy))
        return copies

    @cached_property
    def rows(self) -> list[str]:
        """Tables of text that goes into the snapshot."""
        real = [str(SHARED / "human_pre2022" / f"{name}.parquet") for name in REFERENCE]
        return real if self.is_real else [self.made[1]]

    def curated(self, name: str, sources: Sequence[str], *options: str) -> tuple[dict[str, Any], Cost]:
        """Curates into the folder `name`, which must be new."""
        return lowbackground("curate", *sources, "--into", str(self.folder / name), *options)

    @cached_property
    def run(self) -> tuple[dict[str, Any], Cost]:
        """The run over `pages`, without a snapshot."""
        return self.curated("pages", self.pages)

    @cached_property
    def tiny_run(self) -> Cost:
        """What a run over one page costs: start-up."""
        return self.curated("tiny-pages", [self.tiny[0]])[1]

    def frozen(self, name: str, sources: Sequence[str]) -> str:
        """Freezes tables into the folder `name`, which must be new."""
        into = str(self.folder / name)
        lowbackground("freeze", *sources, "--into", into, "--cutoff", "2022-01-01", "--declare", DECLARATION)
        return into

    @cached_property
    def snapshot(self) -> str:
        return self.frozen("snapshot", self.rows)

    @cached_property
    def tiny_snapshot(self) -> str:
        return self.frozen("tiny-snapshot", [self.tiny[1]])

    def mixed(self, name: str, snapshot: str, sources: Sequence[str]) -> tuple[str, Cost]:
        """Curates pages against a snapshot and mixes; where the mix lies and what mixing cost."""
        run, into = str(self.folder / f"{name}-run"), str(self.folder / name)
        self.curated(f"{name}-run", sources, "--against", snapshot)
        options = ("--floor", "0.5", "--min-attestation", "declared")
        return into, lowbackground("mix", run, "--snapshot", snapshot, "--into", into, *options)[1]

    @cached_property
    def mix(self) -> tuple[str, Cost]:
        return self.mixed("mix", self.snapshot, self.pages)

    def sized(self, megabytes: int, parts: int) -> tuple[str, str]:
        """A snapshot and a run of so much text each half, made without curating: documents of about 4 KB, log-normal, cut from `rows`."""
        from tests import mixes

        folder = self.folder / f"sized-{megabytes}"
        if not folder.exists():
            human, other = (documents(self.rows, name, megabytes * 500_000) for name in ("human", "other"))
            frozen = mixes.snapshot(folder / "snapshot", human, parts)
            mixes.run(folder / "run", [frozen], [(row, "unknown", None) for row in other], parts)
        return str(folder / "snapshot"), str(folder / "run")

    @cached_property
    def tiny_mix(self) -> tuple[str, Cost]:
        return self.mixed("tiny-mix", self.tiny_snapshot, [self.tiny[0]])
