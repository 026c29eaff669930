"""Reads the records of test archives without the product's readers."""

from collections.abc import Iterator
from pathlib import Path

from fastwarc.warc import ArchiveIterator

from provenance import http


def records(path: Path) -> Iterator[tuple[dict[str, str], bytes]]:
    """(WARC fields with names in lower case, block) of every record that fastwarc reads."""
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, parse_http=False, max_header_len=5_000_000):
            yield {name.lower(): value for name, value in record.headers.items()}, record.reader.read()


def responses(path: Path) -> Iterator[tuple[dict[str, str], http.Response, str | None]]:
    """(WARC fields, parsed response, declared charset) of every response record."""
    for headers, block in records(path):
        if headers.get("warc-type") == "response":
            response = http.parse(block)
            yield headers, response, http.media_type(response.headers.get("content-type"))[1]
