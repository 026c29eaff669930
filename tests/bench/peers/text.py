"""The barest loop over WARC files: fastwarc reads, resiliparse takes the main text, and nothing is done with it.

Prints pages with text and the CPU seconds of the cheapest of three rounds as JSON; libraries are loaded before the clock starts.
"""

import json
import sys
import time
from pathlib import Path

from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text

from tests.bench.bare import decoded

ROUNDS = 3


def work(path: str) -> int:
    """Pages that have a text."""
    pages = 0
    with Path(path).open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
            html = decoded(record.reader.read(), record.http_charset)
            pages += bool(extract_plain_text(html, main_content=True, comments=False, alt_texts=False))
    return pages


def main(first: str, *paths: str) -> None:
    work(first)
    rounds = []
    for _ in range(ROUNDS):
        start = time.process_time()
        pages = sum(map(work, paths))
        rounds.append(time.process_time() - start)
    print(json.dumps({"documents": pages, "cpu": min(rounds)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
