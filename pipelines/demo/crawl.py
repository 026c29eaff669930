"""A small crawler: real HTTP exchanges over a socket, kept byte for byte as WARC/1.1 in one gzip member a record."""

import base64
import gzip
import hashlib
import http.client
import io
import socket
import time
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import urlsplit

AGENT = "lowbackground-demo"
TIMEOUT_SECONDS = 10.0
_NAMES = uuid.uuid5(uuid.NAMESPACE_URL, "lowbackground-demo")


@dataclass(frozen=True)
class Capture:
    """Where the response to one request lies: the compressed member's offset and length in the WARC file."""

    url: str
    date: datetime
    offset: int
    length: int


@dataclass(frozen=True)
class Exchange:
    """The bytes of one request and of its response as they went over the wire, and when it began."""

    date: datetime
    request: bytes
    response: bytes
    payload: bytes


class _Received:
    """Bytes that came off a socket, in the shape that `http.client` reads a response from."""

    def __init__(self, data: bytes):
        self._data = data

    def makefile(self, mode: str) -> io.BytesIO:
        return io.BytesIO(self._data)


def fetch(url: str) -> Exchange:
    """One GET. The payload is the entity body: transfer coding undone, content coding left as it is.

    Raises `OSError` or `http.client.HTTPException` where the server cannot be reached or its answer is not whole.
    """
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    lines = (
        f"GET {path} HTTP/1.1",
        f"Host: {parts.netloc}",
        f"User-Agent: {AGENT}",
        "Accept-Encoding: gzip",
        "Connection: close",
        "",
        "",
    )
    request = "\r\n".join(lines).encode("ascii")
    date = datetime.now(UTC)
    with socket.create_connection((cast(str, parts.hostname), parts.port or 80), TIMEOUT_SECONDS) as connection:
        connection.sendall(request)
        received = b"".join(iter(lambda: connection.recv(1 << 16), b""))
    response = http.client.HTTPResponse(cast(socket.socket, _Received(received)))
    response.begin()
    return Exchange(date, request, received, response.read())


def crawl(base: str, paths: Iterable[str], file: Path) -> list[Capture]:
    """Fetches each path of a site in order and writes the file; a `request` record goes before each `response`."""
    captures = []
    with file.open("wb") as out:
        about = f"software: {AGENT}\r\nformat: WARC File Format 1.1\r\ndescription: DEMO, this Python's own documentation served on loopback\r\n"
        _write(out, "warcinfo", None, datetime.now(UTC), "application/warc-fields", about.encode())
        for path in paths:
            url = base + path
            exchange = fetch(url)
            response = _record_id("response", url, exchange.date)
            together = {"WARC-Concurrent-To": response, "WARC-IP-Address": "127.0.0.1"}
            _write(out, "request", url, exchange.date, "application/http; msgtype=request", exchange.request, together)
            digest = {"WARC-Payload-Digest": _sha1(exchange.payload), "WARC-IP-Address": "127.0.0.1"}
            offset = out.tell()
            _write(out, "response", url, exchange.date, "application/http; msgtype=response", exchange.response, digest)
            captures.append(Capture(url, exchange.date, offset, out.tell() - offset))
    return captures


def wait_for_cutoff(captures: Iterable[Capture]) -> datetime:
    """The first whole second after every capture began and ended; returns once it has come."""
    cutoff = datetime.fromtimestamp(int(max(time.time(), *(capture.date.timestamp() for capture in captures))) + 1, UTC)
    while datetime.now(UTC) <= cutoff:
        time.sleep(0.02)
    return cutoff


def _record_id(kind: str, url: str | None, date: datetime) -> str:
    return f"<urn:uuid:{uuid.uuid5(_NAMES, f'{kind} {url} {date.isoformat()}')}>"


def _sha1(data: bytes) -> str:
    """A digest as WARC files write it: SHA-1 in base 32."""
    return "sha1:" + base64.b32encode(hashlib.sha1(data, usedforsecurity=False).digest()).decode()


def _write(
    out: BinaryIO, kind: str, url: str | None, date: datetime, content_type: str, block: bytes, more: dict[str, str] | None = None
) -> None:
    """One record as one gzip member (WARC/1.1, annex D)."""
    fields = {
        "WARC-Type": kind,
        "WARC-Record-ID": _record_id(kind, url, date),
        "WARC-Date": date.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        **({"WARC-Target-URI": url} if url else {}),
        **(more or {}),
        "WARC-Block-Digest": _sha1(block),
        "Content-Type": content_type,
        "Content-Length": str(len(block)),
    }
    head = "WARC/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in fields.items()) + "\r\n"
    out.write(gzip.compress(head.encode() + block + b"\r\n\r\n", mtime=0))
