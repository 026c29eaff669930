"""Indexes: every format gives the same captures, splits lose and repeat nothing, bad lines are counted, real ones agree."""

import base64
import gzip
import hashlib
import io
import itertools
import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance import http
from store import indexes
from store.indexes import _captured, _lines, cdx, cdxj, columnar

Capture = tuple[str, int, str]
MILLISECONDS = pa.timestamp("ms")
START = datetime(2019, 8, 20, 12, tzinfo=UTC)


def sha1(text: str) -> str:
    return base64.b32encode(hashlib.sha1(text.encode()).digest()).decode()


def made(count: int) -> list[Capture]:
    """Captures of addresses of many lengths."""
    return [
        (
            f"https://www.example.com/{'x' * (i % 40)}/{i}?q=ü",
            int((START + timedelta(seconds=i)).timestamp()),
            "sha1:" + sha1(str(i)),
        )
        for i in range(count)
    ]


def stamp(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y%m%d%H%M%S")


def cdx_line(url: str, second: int, digest: str, mime: str = "text/html") -> str:
    return f"com,example)/ {stamp(second)} {url} {mime} 200 {digest.removeprefix('sha1:')} - - 100 0 a.warc.gz"


def cdxj_line(url: str, second: int, digest: str | None, **more: Any) -> str:
    fields = {"url": url, "mime": "text/html", "status": "200", "digest": digest, "filename": "a.warc.gz", **more}
    return f"com,example)/ {stamp(second)} {json.dumps(fields)}"


def read(path: Path | str) -> tuple[list[Capture], indexes.Counts, indexes.Index]:
    """All captures of a file in order, split by split; what was counted adds up."""
    found, counts = indexes.survey(str(path)), indexes.Counts()
    rows: list[Capture] = []
    for split in found.splits:
        for batch in indexes.batches(str(path), found.format or "", split, counts):
            assert batch.schema == indexes.CAPTURED
            rows += zip(*(column.to_pylist() for column in batch.columns), strict=True)
    assert counts.captures == len(rows)
    assert counts.lines == counts.captures + counts.revisits + counts.without + counts.unreadable
    assert found.size == Path(path).stat().st_size
    assert found.sha256 == hashlib.sha256(Path(path).read_bytes()).hexdigest()
    return rows, counts, found


def test_every_format_gives_the_same_captures(tmp_path: Path) -> None:
    rows = made(500)
    legend = " CDX N b a m s k r M S V g\n"
    bare = [(url, second, digest.removeprefix("sha1:")) for url, second, digest in rows]
    texts = {
        "legend.cdx": legend + "\n".join(cdx_line(*row) for row in rows) + "\n",
        "bare.cdx": "\n".join(cdx_line(*row) for row in rows),
        "crlf.cdx": legend.replace("\n", "\r\n") + "\r\n".join(cdx_line(*row) for row in rows) + "\r\n",
        "other.cdx": " CDX k a b\n" + "".join(f"{digest} {url} {stamp(second)}\n" for url, second, digest in bare),
        "tabs.cdx": "\tCDX\tb\tk\ta\r\n" + "".join(f"{stamp(second)}\t{digest}\t{url}\r\n" for url, second, digest in bare),
        "pywb.cdxj": "".join(cdxj_line(*row) + "\n" for row in bare),
        "labelled.cdxj": "!meta {}\n" + "".join(cdxj_line(*row) + "\n" for row in rows),
        "hex.cdxj": "".join(cdxj_line(u, s, base64.b32decode(d).hex()) + "\n" for u, s, d in bare),
        "server.cdxj": "".join(json.dumps({"timestamp": stamp(s), "url": u, "digest": d}) + "\n" for u, s, d in bare),
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, newline="")
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(text.encode(), mtime=0))
        for path in (tmp_path / name, tmp_path / f"{name}.gz"):
            found, counts, index = read(path)
            assert found == rows, path
            assert (counts.lines, index.why) == (500, ""), path
    write_columnar(tmp_path / "a.parquet", rows)
    assert read(tmp_path / "a.parquet")[0] == rows


def write_columnar(path: Path, rows: list[Capture], kind: pa.DataType = MILLISECONDS, **options: Any) -> None:
    url, second, digest = zip(*rows, strict=True)
    columns = {
        "url_surtkey": ["com,example)/"] * len(rows),
        "url": list(url),
        "fetch_time": pa.array([datetime.fromtimestamp(s, UTC).replace(tzinfo=None) for s in second], kind),
        "fetch_status": pa.array([200] * len(rows), pa.int16()),
        "content_digest": [value.removeprefix("sha1:") for value in digest],
    }
    pq.write_table(pa.table(columns), path, **options)


@pytest.mark.parametrize("kind", [pa.timestamp("s"), pa.timestamp("us"), pa.timestamp("ns"), pa.timestamp("ms", tz="UTC")])
def test_columnar_times_of_any_unit(tmp_path: Path, kind: pa.DataType) -> None:
    write_columnar(tmp_path / "a.parquet", made(10), kind)
    assert read(tmp_path / "a.parquet")[0] == made(10)


def test_columnar_rows_that_are_no_captures_are_counted(tmp_path: Path) -> None:
    time = datetime(2020, 1, 1)  # noqa: DTZ001 - as Parquet's times without zone
    rows = [
        ("http://a/", time, 200, sha1("a")),
        ("http://a/", time, 304, sha1("a")),
        (None, time, 200, sha1("a")),
        ("http://a/", None, 200, sha1("a")),
        ("http://a/", time, None, None),
        ("http://a/", time, 200, "-"),
    ]
    names = ["url", "fetch_time", "fetch_status", "content_digest"]
    pq.write_table(pa.table([list(column) for column in zip(*rows, strict=True)], names), tmp_path / "a.parquet")
    found, counts, _ = read(tmp_path / "a.parquet")
    assert found == [("http://a/", 1577836800, "sha1:" + sha1("a"))]
    assert (counts.lines, counts.revisits, counts.unreadable, counts.without) == (6, 1, 2, 2)


def test_parquet_without_the_columns_and_damaged_parquet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pq.write_table(pa.table({"url": ["http://a/"]}), tmp_path / "a.parquet")
    assert "fetch_time" in read(tmp_path / "a.parquet")[2].why
    (tmp_path / "b.parquet").write_bytes((tmp_path / "a.parquet").read_bytes()[:-20])
    assert read(tmp_path / "b.parquet")[2].format is None
    monkeypatch.setattr(columnar, "_SPLIT", 1)
    write_columnar(tmp_path / "c.parquet", made(90), row_group_size=30, compression="gzip", use_dictionary=False)
    assert len(read(tmp_path / "c.parquet")[2].splits) == 3
    data = bytearray((tmp_path / "c.parquet").read_bytes())
    column = pq.ParquetFile(tmp_path / "c.parquet").metadata.row_group(1).column(1)
    stop = column.data_page_offset + column.total_compressed_size
    data[stop - 60 : stop] = bytes(60)
    (tmp_path / "c.parquet").write_bytes(data)
    found, counts, _ = read(tmp_path / "c.parquet")
    assert found == made(90)[:30] + made(90)[60:]
    assert (counts.lines, counts.unreadable) == (90, 30)


@pytest.mark.parametrize("size", [1, 7, 100, 1000, 5000])
@pytest.mark.parametrize("kind", ["plain", "crlf", "members"])
def test_splits_lose_and_repeat_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, kind: str) -> None:
    rows = made(60)
    end = "\r\n" if kind == "crlf" else "\n"
    lines = [cdxj_line(*row) + end for row in rows]
    path = tmp_path / "a.cdxj"
    if kind == "members":
        path.write_bytes(b"".join(gzip.compress("".join(lines[i : i + 7]).encode(), mtime=0) for i in range(0, 60, 7)))
    else:
        path.write_text("".join(lines).rstrip(), newline="")
    monkeypatch.setattr(_lines, "SPLIT", size)
    found, counts, index = read(path)
    assert found == rows and counts.lines == 60
    assert len(index.splits) == (9 if kind == "members" and size < 100 else len(index.splits))
    assert len(index.splits) > 1 or kind == "members"
    assert [split.start for split in index.splits[1:]] == [split.stop for split in index.splits[:-1]]


@given(st.lists(st.binary(max_size=12).filter(lambda line: b"\n" not in line), max_size=12), st.integers(1, 20), st.booleans())
def test_each_line_is_in_exactly_one_split(lines: list[bytes], size: int, ended: bool) -> None:
    data = b"\n".join(lines) + b"\n" * ended
    cuts = [*range(0, len(data), size), len(data)]

    def pieces() -> Iterator[bytes]:
        for start, stop in itertools.pairwise(cuts):
            yield from _lines._plain(io.BytesIO(data), _captured.Split(start, stop, stop - start))

    assert b"".join(pieces()) == data


def test_blocks_end_where_lines_do_and_a_line_without_end_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_lines, "BLOCK", 20)
    monkeypatch.setattr(_lines, "LONGEST", 10)
    data = b"one\ntwo\nthree\nfour\nfive\n" + b"x" * 45 + b"\nsix\nseven"
    for step in (1, 5, 50, 100):
        counts = indexes.Counts()
        blocks = list(_lines._gather((data[i : i + step] for i in range(0, len(data), step)), counts))
        kept = b"".join(blocks).split(b"\n")
        assert all(block.endswith((b"\n", b"seven")) for block in blocks if block)
        if step > 40:
            assert kept == data.split(b"\n") and not counts.lines
        else:
            assert kept == [line for line in data.split(b"\n") if not line.startswith(b"x")]
            assert (counts.lines, counts.unreadable) == (1, 1)


def test_damaged_gzip_costs_its_member_and_is_said(tmp_path: Path) -> None:
    rows = made(90)
    members = [
        gzip.compress("".join(cdx_line(*row) + "\n" for row in rows[i : i + 30]).encode(), mtime=0) for i in range(0, 90, 30)
    ]
    broken = bytearray(members[1])
    broken[len(broken) // 2] ^= 0xFF
    path = tmp_path / "a.cdx.gz"
    path.write_bytes(members[0] + bytes(broken) + members[2])
    found, counts, _ = read(path)
    assert set(found) >= {*rows[:30], *rows[60:]} and found != rows
    assert counts.damaged == 1
    path.write_bytes(members[0] + members[1][:-30])
    found, counts, _ = read(path)
    assert found[:30] == rows[:30] and counts.damaged == 1
    path.write_bytes(members[0] + b"<html>gateway timeout</html>" + members[2])
    found, counts, _ = read(path)
    assert found == rows[:30] + rows[60:] and counts.damaged == 1


def test_lines_that_are_no_captures_are_counted(tmp_path: Path) -> None:
    url, second, digest = made(1)[0]
    good = cdxj_line(url, second, digest)
    lines = {
        "without": [
            cdxj_line(url, second, None),
            cdxj_line(url, second, "-"),
            cdxj_line(url, second, "md5:d41d8cd98f00b204e9800998ecf8427e"),
            cdxj_line(url, second, "sha1:tooshort"),
            cdxj_line(url, second, "sha256:" + "0" * 40),
        ],
        "revisits": [cdxj_line(url, second, digest, mime="warc/revisit")],
        "unreadable": [
            good[:-9],
            good.replace("20190820", "20191320"),
            good.replace("20190820120000", "201908201200"),
            good.replace("20190820120000", "20190820120000123"),
            good.replace('"url"', '"original_uri"'),
            good.replace(f'"{url}"', "7") if f'"{url}"' in good else good.replace("https", "\\ud800"),
            "nothing of the kind",
            "com,example)/ 20190820120000\tcdx-00000.gz\t0\t188224\t1",
        ],
    }
    (tmp_path / "a.cdxj").write_text("\n".join([good, *itertools.chain(*lines.values()), "", "!comment {", good]))
    found, counts, _ = read(tmp_path / "a.cdxj")
    assert found == [(url, second, digest)] * 2
    assert {name: getattr(counts, name) for name in lines} == {name: len(those) for name, those in lines.items()}

    good = cdx_line(url, second, digest)
    bad = [good + " more", "short line", good.replace("20190820120000", "2019"), good.replace(url, "-")]
    plain = [" CDX N b a m s k r M S V g", good, *bad, cdx_line(url, second, "-"), cdx_line(url, second, digest, "warc/revisit")]
    (tmp_path / "a.cdx").write_text("\n".join([*plain, plain[0], good]))
    found, counts, _ = read(tmp_path / "a.cdx")
    assert found == [(url, second, digest)] * 2
    assert (counts.lines, counts.unreadable, counts.without, counts.revisits) == (8, 4, 1, 1)


def test_lines_that_are_no_utf8_are_unreadable(tmp_path: Path) -> None:
    url, second, digest = made(1)[0]
    for line in (cdx_line(url, second, digest), cdxj_line(url, second, digest).replace("\\u00fc", "ü")):
        raw = line.encode()
        (tmp_path / "a").write_bytes(raw + b"\n" + raw.replace("ü".encode(), b"\xfc") + b"\n" + raw)
        found, counts, _ = read(tmp_path / "a")
        assert len(found) == 2 and counts.unreadable == 1


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "empty"),
        (b" CDX a b g\nhttp://a/ 20200101000000 f\n", "legend lacks"),
        (b"com,example)/ 20140127171200\tfoo\t0\t275\t1\n", "ZipNum"),
        (b"<html>", "neither"),
        (b"\x1f\x8b\x08 broken", "does not inflate"),
        (b"http://a/ 1.2.3.4 20040708140340 image/gif 485 a.arc 126291\n", "neither"),
    ],
)
def test_what_no_format_reads_is_said(tmp_path: Path, data: bytes, why: str) -> None:
    (tmp_path / "a").write_bytes(data)
    rows, counts, index = read(tmp_path / "a")
    assert index.format is None and why in index.why
    assert not rows and not counts.lines


@given(st.binary(max_size=300), st.sampled_from([b"", b" CDX N b a m s k r M S V g\n", b"a 20200101000000 {}\n", b"PAR1"]))
def test_any_bytes_are_read_without_an_error(tmp_path_factory: pytest.TempPathFactory, data: bytes, before: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any-bytes"
    path.write_bytes(before + data)
    read(path)
    path.write_bytes(gzip.compress(before + data)[: 20 + len(data) // 2])
    read(path)


@given(st.datetimes(datetime(1970, 1, 1), datetime(9999, 12, 31, 23, 59, 59)))  # noqa: DTZ001 - the strategy takes them bare
def test_times_are_those_of_the_calendar(moment: datetime) -> None:
    values, valid = _captured.seconds(pa.array([f"{moment:%Y%m%d%H%M%S}".rjust(14, "0").encode()]))
    assert valid.all() and values[0] == int(moment.replace(microsecond=0, tzinfo=UTC).timestamp())


def test_times_that_are_none() -> None:
    good = {b"20161231235960": 1483228800, b"20200101240000": 1577923200, b"20200229000000": 1582934400}
    bad = [b"20190229000000", b"20200001000000", b"20200100000000", b"20200101250000", b"20200101240001", b"20200101006000"]
    bad += [b"20200101000061", b"2020010100000x", b"20200101", b"", None, b"19691231235959", b"00000000000000", b"202001010000000"]
    values, valid = _captured.seconds(pa.array([*good, *bad], pa.binary()))
    assert values.tolist() == [*good.values(), *[0] * len(bad)]
    assert valid.tolist() == [True] * len(good) + [False] * len(bad)
    assert [len(part) for part in _captured.seconds(pa.array([], pa.binary()))] == [0, 0]


@pytest.mark.parametrize(
    ("url", "normal"),
    [
        ("http://example.com/A?b=C", "http://example.com/A?b=C"),
        ("HTTP://Example.COM/A", "http://example.com/A"),
        ("http://example.com:80/", "http://example.com/"),
        ("https://example.com:443/", "https://example.com/"),
        ("http://example.com:443/", "http://example.com:443/"),
        ("http://example.com:/", "http://example.com/"),
        ("http://example.com/#top", "http://example.com/"),
        ("http://example.com#top", "http://example.com"),
        ("http://example.com?Q=1", "http://example.com?Q=1"),
        ("http://User:Pass@EXAMPLE.com:80/", "http://User:Pass@example.com/"),
        ("http://[::1]:80/", "http://[::1]/"),
        ("http://[2001:DB8::80]/", "http://[2001:db8::80]/"),
        ("http://example.com/%7Ea%7ea", "http://example.com/%7Ea%7ea"),
        ("http://BÜCHER.de/", "http://bÜcher.de/"),
        ("dns:example.com", "dns:example.com"),
        ("", ""),
    ],
)
def test_normal_form_of_addresses(url: str, normal: str) -> None:
    assert indexes.normal_urls(pa.array([url, None, "http://a/"])).to_pylist() == [normal, None, "http://a/"]
    assert _captured.normal_url(normal) == normal


@given(st.from_regex(_captured._NORMAL, fullmatch=True))
def test_addresses_that_are_taken_as_they_stand_are_normal(url: str) -> None:
    assert _captured.normal_url(url) == url


def test_spellings_of_digests() -> None:
    first, second = hashlib.sha1(b"a").digest(), hashlib.sha256(b"a").digest()
    wide = base64.b32encode(second).decode()
    same = {
        indexes.label(first): [
            sha1("a"),
            sha1("a").lower(),
            "sha1:" + sha1("a"),
            "SHA-1:" + sha1("a"),
            first.hex(),
            "urn:sha1:" + sha1("a"),
        ]
    }
    same[indexes.label(second)] = [
        "sha256:" + second.hex(),
        "sha256:" + second.hex().upper(),
        second.hex(),
        "sha256:" + wide,
        wide.rstrip("="),
    ]
    for label, spellings in same.items():
        assert _captured.digests(pa.array([*spellings, None])).to_pylist() == [*[label] * len(spellings), None]
    nothing = ["-", "", "sha1:" + second.hex(), "sha256:" + sha1("a"), "md5:" + "0" * 32, "1" * 32, "sha1:ü", None]
    assert _captured.digests(pa.array(nothing)).null_count == len(nothing)
    with pytest.raises(ValueError, match="neither SHA-1"):
        indexes.label(b"short")


PAIRS = {
    "ikreymer+pywb-samples__flickr-commons.cdx": 63,
    "ikreymer+pywb-samples__googleplus-smithsonian.cdx": 193,
    "webrecorder+pywb__example.cdx": 2,
    "webrecorder+pywb__example.cdxj": 2,
    "webrecorder+pywb__httpbin-resource.cdxj": 1,
    "webrecorder+pywb__post-test.cdx": 3,
    "webrecorder+pywb__post-test.cdxj": 3,
    "ukwa+ukwa-pywb__acidtest-20180203004221.cdx": 19,
    "ukwa+ukwa-pywb__cd-test.cdx": 1,
    "ukwa+ukwa-pywb__test-docs.cdx": 3,
    "netarchivesuite+solrwayback__IAH-20080430204825-00000-blackbook.warc.gz.cdx": 821,
}
"""Captures of real indexes that the archive of the same name confirms; all but one line, that of a `warcinfo` record."""


def recomputed(path: Path) -> set[Capture]:
    """Address, second and SHA-1 of every record, of its payload as stored and after transfer decoding."""
    from fastwarc.warc import ArchiveIterator

    found = set()
    with path.open("rb") as stream:
        for record in ArchiveIterator(stream, parse_http=False, auto_decode="none"):
            block = record.reader.read()
            bodies = [block]
            if record.headers.get("WARC-Type") == "response":
                parsed = http.parse(block)
                bodies = [parsed.body, http.payload(parsed)]
            url = _captured.normal_url(record.headers.get("WARC-Target-URI") or "")
            found |= {(url, int(record.record_date.timestamp()), indexes.label(hashlib.sha1(body).digest())) for body in bodies}
    return found


@pytest.mark.parametrize(("name", "agree"), PAIRS.items())
def test_real_indexes_agree_with_their_archives(shared: Path, name: str, agree: int) -> None:
    base = shared / "crawl" / "warc_real"
    rows, counts, _ = read(base / "cdx" / name)
    archive = base / (name.rsplit(".", 1)[0].removesuffix(".warc.gz") + ".warc.gz")
    those = {(_captured.normal_url(url), second, digest) for url, second, digest in rows}
    assert len(those & recomputed(archive)) == agree
    assert len(those) - agree == (1 if agree == 821 else 0) and not counts.unreadable


def test_every_line_of_the_real_indexes_is_counted(shared: Path) -> None:
    formats: dict[str | None, int] = {}
    for path in sorted((shared / "crawl" / "warc_real" / "cdx").iterdir()):
        _, counts, index = read(path)
        formats[index.format] = formats.get(index.format, 0) + 1
        data = path.read_bytes()
        text = gzip.decompress(data) if data.startswith(b"\x1f\x8b") else data
        lines = [line for line in text.split(b"\n") if line.strip() and not line.startswith((b" CDX", b"!"))]
        assert counts.lines == (len(lines) if index.format else 0), path
    assert formats == {"cdx": 19, "cdxj": 14, None: 6}


def test_formats_do_not_claim_each_other() -> None:
    heads = {cdx: b" CDX a b k\n", cdxj: b"a 20200101000000 {}\n", columnar: b"PAR1"}
    for module, head in heads.items():
        assert [other for other in heads if other.sniff(head)] == [module]
    assert np.all([not module.sniff(b"") for module in heads])
