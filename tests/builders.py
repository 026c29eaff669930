"""Small real inputs that tests make themselves: WARC files and texts."""

import base64
import gzip
import hashlib
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WORDS = (
    "river stone winter harbour letter copper garden market winding quiet engine paper mountain bridge morning silver "
    "field lantern teacher village careful distant ordinary weather history kitchen sailor orchard window travel"
).split()


@dataclass(frozen=True)
class Capture:
    """One response record."""

    url: str
    body: str
    date: str = "2019-06-01T00:00:00Z"
    content_type: str = "text/html; charset=utf-8"
    digest: bool = True
    headers: str = ""
    status: str = "200 OK"


def prose(seed: int, words: int = 200) -> str:
    """Sentences that depend on the seed alone; texts of two seeds share next to no 5-gram."""
    rng = random.Random(seed)
    sentences = []
    while words > 0:
        length = min(words, rng.randint(8, 16))
        sentences.append(" ".join(rng.choice(WORDS) + str(rng.randint(0, 99)) for _ in range(length)).capitalize() + ".")
        words -= length
    return " ".join(sentences)


def html(text: str, title: str = "A page") -> str:
    paragraphs = "".join(f"<p>{sentence}.</p>" for sentence in text.split(". "))
    return f"<!DOCTYPE html><html><head><title>{title}</title></head><body><article><h1>{title}</h1>{paragraphs}</article></body></html>"


def record(kind: str, url: str, date: str, block: bytes, payload: bytes | None, content_type: str, number: int) -> bytes:
    lines = [
        "WARC/1.1",
        f"WARC-Type: {kind}",
        f"WARC-Record-ID: <urn:uuid:00000000-0000-4000-8000-{number:012d}>",
        f"WARC-Date: {date}",
        f"WARC-Target-URI: {url}",
        f"Content-Type: {content_type}",
        f"Content-Length: {len(block)}",
    ]
    if payload is not None:
        lines.append(f"WARC-Payload-Digest: sha1:{base64.b32encode(hashlib.sha1(payload).digest()).decode()}")
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + block + b"\r\n\r\n"


def response(capture: Capture, number: int) -> bytes:
    body = capture.body.encode()
    head = (
        f"HTTP/1.1 {capture.status}\r\nContent-Type: {capture.content_type}\r\n{capture.headers}Content-Length: {len(body)}\r\n\r\n"
    )
    block = head.encode() + body
    return record(
        "response", capture.url, capture.date, block, body if capture.digest else None, "application/http; msgtype=response", number
    )


def warc(captures: list[Capture]) -> bytes:
    """A WARC file with one gzip member a record, and a warcinfo record in front."""
    info = record("warcinfo", "urn:info", "2019-06-01T00:00:00Z", b"software: tests\r\n", None, "application/warc-fields", 0)
    members = [info, *(response(capture, number + 1) for number, capture in enumerate(captures))]
    return b"".join(gzip.compress(member, mtime=0) for member in members)


def frozen(
    sources: list[Path], into: Path | str, cutoff: str | None = "2022-01-01", workers: int = 1, **order: Any
) -> dict[str, Any]:
    """Freezes sources; returns the summary. `order` are the fields of `pipelines.freeze.Order`."""
    from pipelines import cli, freeze

    asked = freeze.Order([str(source) for source in sources], str(into), cutoff, **order)
    return freeze.run(asked, cli.Job(workers=workers, quiet=True))


def write_warc(path: Path, captures: list[Capture]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(warc(captures))
    return path
