"""WARC files for the peers: the same records, with the header by which recent Common Crawl says what a payload is."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path

from fastwarc.stream_io import GzipWriter
from fastwarc.warc import ArchiveIterator, WarcRecord, WarcRecordType

HEADER = "WARC-Identified-Payload-Type"
"""Where it is absent datatrove asks libmagic, which calls XHTML `text/xml`, and silently skips two of three of these pages."""


def responses(path: str | Path) -> Iterator[tuple[str, WarcRecord]]:
    """(URL, record) of every response; the record is good until the next is asked for."""
    with Path(path).open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=False):
            yield record.headers["WARC-Target-URI"], record


def single(sources: Iterable[str]) -> set[str]:
    """URLs of exactly one response in all of `sources`."""
    counts = Counter(url for source in sources for url, _ in responses(source))
    return {url for url, count in counts.items() if count == 1}


def mark(sources: Iterable[str], into: Path, urls: Collection[str] | None = None) -> list[str]:
    """Writes the responses again, of `urls` only if given, each said to hold HTML; the new files, one for each source."""
    into.mkdir(parents=True)
    out = [into / Path(source).name for source in sources]
    for source, path in zip(sources, out, strict=True):
        with path.open("wb") as file:
            stream = GzipWriter(file)
            for url, record in responses(source):
                if urls is None or url in urls:
                    record.headers[HEADER] = "text/html"
                    record.write(stream)
            stream.close()
    return [str(path) for path in out if path.stat().st_size]
