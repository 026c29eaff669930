"""The forge kit: lies that people can tell about when a text was written, each as files that look as they should.

`lies` writes one folder of sources and returns, for each address in it, the strongest level that the lie may reach: None
where it must not enter a snapshot at all. What goes with the sources (an index of one's own, a release of 2024) is beside
them, for whoever wants to hand it in.
"""

import gzip
import hashlib
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from tests.builders import Capture, html, prose, record, response, warc

HOST = "http://forged.example"


@dataclass(frozen=True)
class Kit:
    """A folder of lies. `levels` says by address what each may reach; the others are what a liar would hand in with it."""

    sources: Path
    levels: dict[str, str | None]
    own_index: Path
    late_release: Path


def members(*records: bytes) -> bytes:
    return b"".join(gzip.compress(data, mtime=0) for data in records)


def page(number: int) -> str:
    return html(prose(7000 + number), f"Forged {number}")


def message(number: int, headers: str = "") -> tuple[bytes, bytes]:
    """(HTTP message, its payload)."""
    body = page(number).encode()
    return f"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body, body


def made_today_dated_2019(folder: Path) -> dict[str, str | None]:
    """A WARC file that is consistent in all its parts and was written today."""
    url = f"{HOST}/consistent"
    (folder / "consistent.warc.gz").write_bytes(warc([Capture(url, page(1), "2019-05-05T05:05:05Z")]))
    return {url: "captured"}


def as_cdx_toolkit_writes(folder: Path) -> dict[str, str | None]:
    """An excerpt whose records were fetched from an archive's replay server and carry the date that was asked for."""
    url = f"{HOST}/cdx-toolkit"
    block, body = message(2, "X-Archive-Orig-Date: Mon, 04 Mar 2019 00:00:00 GMT\r\nX-Archive-Src: somewhere.warc.gz\r\n")
    info = record(
        "warcinfo", "urn:info", "2019-03-04T00:00:00Z", b"software: cdx_toolkit/0.9\r\n", None, "application/warc-fields", 20
    )
    made = record("response", url, "2019-03-04T00:00:00Z", block, body, "application/http; msgtype=response", 21)
    made = made.replace(b"WARC-Target-URI", b"WARC-Source-URI: https://archive.example/web/2019/x\r\nWARC-Target-URI", 1)
    (folder / "toolkit.warc.gz").write_bytes(members(info, made))
    return {url: "captured"}


def as_warcit_writes(folder: Path) -> dict[str, str | None]:
    """A folder of files as `resource` records, dated by their modification times, which `touch` sets."""
    url = f"{HOST}/warcit"
    body = page(3).encode()
    made = record("resource", url, "2018-01-01T00:00:00Z", body, body, "text/html", 31)
    made = made.replace(b"WARC-Target-URI", b"WARC-Creation-Date: 2024-06-01T00:00:00Z\r\nWARC-Target-URI", 1)
    (folder / "warcit.warc.gz").write_bytes(members(made))
    return {url: "captured"}


def revisits(folder: Path) -> dict[str, str | None]:
    """A page of 2024, and revisits of it that say it was there before."""
    url = f"{HOST}/revisited"
    block, body = message(4)
    real = record("response", url, "2024-02-02T00:00:00Z", block, body, "application/http; msgtype=response", 41)
    older = []
    for number, date in ((42, "2016-01-01T00:00:00Z"), (43, "2024-03-03T00:00:00Z")):
        made = record("revisit", f"{url}/{number}", date, block, body, "application/http; msgtype=response", number)
        refers = b"WARC-Refers-To-Target-URI: " + url.encode() + b"\r\nWARC-Refers-To-Date: 2015-01-01T00:00:00Z\r\nWARC-Target-URI"
        older.append(made.replace(b"WARC-Target-URI", refers, 1))
    (folder / "revisits.warc.gz").write_bytes(members(real, *older))
    return {url: None, f"{url}/42": None, f"{url}/43": None}


def clocks(folder: Path) -> dict[str, str | None]:
    """Clocks that were never set, that run ahead, or that say nothing; and what is no capture."""
    dates = {
        "1970": "1970-01-01T00:00:00Z",
        "1990": "1990-05-05T00:00:00Z",
        "2999": "2999-01-01T00:00:00Z",
        "words": "last summer",
        "year": "2020",
        "last-year": "2021",
        "unzoned": "2021-12-31T20:00:00",
    }
    made = [response(Capture(f"{HOST}/clock-{name}", page(50 + i), date), 50 + i) for i, (name, date) in enumerate(dates.items())]
    block, body = message(59)
    made.append(record("metadata", f"{HOST}/metadata", "2015-01-01T00:00:00Z", block, body, "application/json", 59))
    (folder / "clocks.warc.gz").write_bytes(members(*made))
    # What names no zone may be 12 hours later, and so after the cutoff.
    return {f"{HOST}/clock-{name}": None for name in dates} | {f"{HOST}/clock-year": "captured", f"{HOST}/metadata": None}


def what_pages_and_servers_say(folder: Path) -> dict[str, str | None]:
    """A page of 2024 that says 2015 in its text, its markup and its HTTP header."""
    url = f"{HOST}/claims"
    body = page(61).replace("<head>", '<head><meta property="article:published_time" content="2015-01-01">', 1)
    headers = "Date: Thu, 01 Jan 2015 00:00:00 GMT\r\nLast-Modified: Thu, 01 Jan 2015 00:00:00 GMT\r\n"
    (folder / "claims.warc.gz").write_bytes(warc([Capture(url, body, "2024-05-05T00:00:00Z", headers=headers)]))
    return {url: None}


def another_payload(folder: Path) -> dict[str, str | None]:
    """A record whose payload was exchanged after its digest was taken."""
    url = f"{HOST}/exchanged"
    block, _ = message(71)
    _, other = message(72)
    made = record("response", url, "2017-01-01T00:00:00Z", block, other, "application/http; msgtype=response", 71)
    (folder / "exchanged.warc.gz").write_bytes(members(made))
    return {url: None}


def rows(folder: Path) -> dict[str, str | None]:
    """Rows in FineWeb's layout with dates of one's own, and rows that say of themselves that they are human and old."""
    url, bare = f"{HOST}/row", f"{HOST}/bare"
    table = {"text": [prose(81)], "id": ["a"], "dump": ["CC-MAIN-2019-35"], "url": [url], "date": ["2019-08-17T23:59:59Z"]}
    table |= {
        "file_path": ["s3://commoncrawl/crawl-data/x.warc.gz"],
        "language": ["en"],
        "language_score": [0.9],
        "token_count": [250],
    }
    pq.write_table(pa.table(table), folder / "rows.parquet")
    row = {
        "text": prose(82),
        "url": bare,
        "origin": "human",
        "created": "2010-01-01",
        "added": "2010-01-01",
        "attestation": "timestamped",
    }
    (folder / "bare.jsonl").write_text(json.dumps(row) + "\n")
    return {url: "declared", bare: None}


def an_archive_with_its_own_index(folder: Path) -> dict[str, str | None]:
    """A WACZ file, whose index is as old as its maker says."""
    url = f"{HOST}/wacz"
    block, body = message(91)
    made = record("response", url, "2019-09-09T09:09:09Z", block, body, "application/http; msgtype=response", 91)
    data = members(made)
    line = {"url": url, "digest": "sha1:X", "mime": "text/html", "offset": 0, "length": len(data), "filename": "data.warc.gz"}
    with zipfile.ZipFile(folder / "own.wacz", "w") as archive:
        archive.writestr("archive/data.warc.gz", data)
        archive.writestr("indexes/index.cdxj", f"example,forged)/wacz 20190909090909 {json.dumps(line)}\n")
        digest = f"sha256:{hashlib.sha256(data).hexdigest()}"
        package = {
            "profile": "data-package",
            "resources": [{"name": "data.warc.gz", "path": "archive/data.warc.gz", "hash": digest, "bytes": len(data)}],
        }
        archive.writestr("datapackage.json", json.dumps(package))
    return {url: "captured"}


LIES = (
    made_today_dated_2019,
    as_cdx_toolkit_writes,
    as_warcit_writes,
    revisits,
    clocks,
    what_pages_and_servers_say,
    another_payload,
    rows,
    an_archive_with_its_own_index,
)


def lies(folder: Path) -> Kit:
    """Writes all of them; returns what each may reach, and a liar's own index and release."""
    sources = folder / "sources"
    sources.mkdir(parents=True)
    levels: dict[str, str | None] = {}
    for lie in LIES:
        levels |= lie(sources)
    return Kit(sources, levels, _own_index(folder), _late_release(folder, sources))


def _own_index(folder: Path) -> Path:
    """An index that confirms every lie that has a payload, made by whoever made them."""
    import base64

    times = {
        1: ("consistent", "20190505050505"),
        2: ("cdx-toolkit", "20190304000000"),
        3: ("warcit", "20180101000000"),
        91: ("wacz", "20190909090909"),
    }
    lines = []
    for number, (name, stamp) in times.items():
        digest = base64.b32encode(hashlib.sha1(page(number).encode()).digest()).decode()
        fields = {
            "url": f"{HOST}/{name}",
            "mime": "text/html",
            "status": "200",
            "digest": digest,
            "length": "1",
            "offset": "0",
            "filename": "x",
        }
        lines.append(f"example,forged)/{name} {stamp} {json.dumps(fields)}\n")
    path = folder / "own.cdxj"
    path.write_text("".join(sorted(lines)))
    return path


def _late_release(folder: Path, sources: Path) -> Path:
    """A true list of checksums of all the files."""
    path = folder / "SHA256SUMS"
    path.write_text(
        "".join(f"{hashlib.sha256(file.read_bytes()).hexdigest()}  {file.name}\n" for file in sorted(sources.iterdir()))
    )
    return path
