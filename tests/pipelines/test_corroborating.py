"""`corroborated`: only an index of the trust list lifts, and only by address, second and digest together."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines import corroborating
from pipelines.corroborating import CAPTURES, WITNESSED, Corroboration, corroborate, survey_indexes
from pipelines.runner import Runner
from provenance import http
from provenance.trust import Entry, Trust
from store import files, indexes
from store.errors import Incomplete, UsageError

URL, SECOND, DIGEST = "https://example.com/page", 1566302400, indexes.label(hashlib.sha1(b"payload").digest())
OTHER = indexes.label(hashlib.sha1(b"other").digest())
DAY = datetime(2019, 9, 10, tzinfo=UTC)
CUTOFF = datetime(2022, 1, 1, tzinfo=UTC)


def entry(name: str, paths: Sequence[Path], published: datetime = DAY, kind: str = "index") -> Entry:
    digests = tuple(hashlib.sha256(path.read_bytes()).hexdigest() for path in paths)
    return Entry(name=name, kind=kind, custodian="Common Crawl", published=published, sha256=digests)


def line(url: str = URL, second: int | str = SECOND, digest: str | None = DIGEST, **more: Any) -> str:
    when = second if isinstance(second, str) else datetime.fromtimestamp(second, UTC).strftime("%Y%m%d%H%M%S")
    return f"com,example)/page {when} {json.dumps({'url': url, 'mime': 'text/html', 'digest': digest, **more})}\n"


def index(path: Path, *lines: str) -> Path:
    path.write_text("".join(lines))
    return path


def captures(path: Path, rows: Sequence[tuple[str, str | None, int | None, list[str]]]) -> str:
    columns = [{"key": key, "url": url, "second": second, "digest": digest} for key, url, second, digest in rows]
    pq.write_table(pa.Table.from_pylist([{"text_sha256": "00", "text_bytes": 1, **row} for row in columns], CAPTURES), path)
    return str(path)


ONE = [("aa", URL, SECOND, [DIGEST])]


def run(
    tmp_path: Path, given: Sequence[Path], entries: Sequence[Entry], rows: Sequence[Any] = ONE, workers: int = 1
) -> tuple[list[tuple[str, str, str]], Corroboration]:
    """What the indexes confirm, as rows of WITNESSED."""
    tables = [captures(tmp_path / f"captures-{i}.parquet", rows[i::2]) for i in range(2)]
    with Runner(workers) as runner:
        found = corroborate(
            [str(path) for path in given], Trust(tuple(entries)), CUTOFF, tables, str(tmp_path / "work"), runner, {"prefix": "p"}
        )
    if found.witnessed is None:
        return [], found
    table = pq.read_table(found.witnessed)
    assert table.schema.equals(WITNESSED)
    return [tuple(row.values()) for row in table.to_pylist()], found


@pytest.mark.parametrize("workers", [1, 2])
def test_a_trusted_index_confirms(tmp_path: Path, workers: int) -> None:
    rows = [(f"{i:02x}", f"https://example.com/{i}", SECOND + i, [OTHER, DIGEST]) for i in range(40)]
    a = index(tmp_path / "a.cdxj", *(line(url, second) for _, url, second, _ in rows[::2]), line(mime="warc/revisit"), "bad\n")
    found, said = run(tmp_path, [a], [entry("cc-2019-35", [a])], rows, workers)
    assert found == [(key, "corroborated", "cc-2019-35") for key, *_ in rows[::2]]
    assert said.used == ["cc-2019-35"]
    assert said.lines == ["index cc-2019-35 is the first witness of 20 documents: 22 lines, 20 captures, 1 revisits, 1 unreadable"]


@pytest.mark.parametrize(
    "text",
    [
        line(second=SECOND + 1),
        line(digest=OTHER),
        line(digest=None),
        line(url=URL.replace("https", "http")),
        line(url=URL + "?"),
        line(url=URL + "/"),
        line(url=URL.replace("/page", "/Page")),
        line(url=URL.replace("/page", ":8443/page")),
        line(mime="warc/revisit"),
        line(second="20190820"),
        line(second="201908201200"),
        line(url=URL, second=SECOND)[:-8] + "\n",
        "",
    ],
)
def test_whatever_differs_confirms_nothing(tmp_path: Path, text: str) -> None:
    a = index(tmp_path / "a.cdxj", line("https://elsewhere.example/"), text)
    found, said = run(tmp_path, [a], [entry("cc", [a])])
    assert found == [] and said.used == [] and said.witnessed is not None


def test_what_decides_is_the_exact_join_and_not_the_hashes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corroborating, "hashes", lambda batch: np.zeros(batch.num_rows, np.uint64))
    wrong = [line(second=SECOND + 1), line(digest=OTHER), line(url=URL + "?")]
    a = index(tmp_path / "a.cdxj", *wrong)
    assert run(tmp_path, [a], [entry("cc", [a])])[0] == []
    b = index(tmp_path / "b.cdxj", *wrong, line())
    assert run(tmp_path, [a, b], [entry("cc", [a]), entry("dd", [b])])[0] == [("aa", "corroborated", "dd")]


@pytest.mark.parametrize("url", [URL, "HTTPS://EXAMPLE.com:443/page", URL + "#part"])
def test_spellings_of_one_address_agree(tmp_path: Path, url: str) -> None:
    a = index(tmp_path / "a.cdxj", line(url))
    assert len(run(tmp_path, [a], [entry("cc", [a])])[0]) == 1
    (tmp_path / "turned").mkdir()
    a = index(tmp_path / "b.cdxj", line())
    assert len(run(tmp_path / "turned", [a], [entry("cc", [a])], [("aa", url, SECOND, [DIGEST])])[0]) == 1


@pytest.mark.parametrize(
    "row",
    [
        ("aa", URL, None, [DIGEST]),
        ("aa", None, SECOND, [DIGEST]),
        ("aa", URL, SECOND, []),
    ],
)
def test_a_document_without_time_address_or_own_digest_is_never_confirmed(tmp_path: Path, row: Any) -> None:
    a = index(tmp_path / "a.cdxj", line())
    found, said = run(tmp_path, [a], [entry("cc", [a])], [row])
    assert found == [] and said.witnessed is None and "no index was searched" in said.lines[0]
    (tmp_path / "with").mkdir()
    found, _ = run(tmp_path / "with", [a], [entry("cc", [a])], [row, ("bb", URL, SECOND, [DIGEST])])
    assert [key for key, *_ in found] == ["bb"]


def test_an_index_that_the_trust_list_does_not_name_counts_for_nothing(tmp_path: Path) -> None:
    own = index(tmp_path / "own.cdxj", line())
    published = index(tmp_path / "cc.cdxj", line("https://elsewhere.example/"))
    altered = index(tmp_path / "cc-altered.cdxj", line("https://elsewhere.example/"), line())
    for entries in ([], [entry("cc", [published])], [entry("cc", [own], kind="checksums")]):
        found, said = run(tmp_path, [own, altered], entries)
        assert found == [] and said.witnessed is None and said.used == []
        assert len(said.lines) == 2 and all("counts for nothing" in text for text in said.lines)
    found, said = run(tmp_path, [own, altered, published], [entry("cc", [published])])
    assert found == [] and len(said.lines) == 3


def test_a_trusted_file_that_is_no_index_is_said(tmp_path: Path) -> None:
    a = index(tmp_path / "a.idx", "com,example)/ 20140127171200\tcdx-00000.gz\t0\t275\t1\n")
    found, said = run(tmp_path, [a], [entry("cc", [a])])
    assert found == [] and said.witnessed is None and "ZipNum" in said.lines[0]


def test_the_index_published_first_is_the_witness_then_the_name(tmp_path: Path) -> None:
    rows = [(f"{i:02x}", f"https://example.com/{i}", SECOND, [DIGEST]) for i in range(4)]
    lines = [line(url) for _, url, _, _ in rows]
    late = index(tmp_path / "0", *lines)
    b = index(tmp_path / "1", *lines[:3], lines[0])
    a = index(tmp_path / "2", *lines[:2], "\n")
    early = index(tmp_path / "3", lines[0], "\n\n")
    entries = [
        entry("a-late", [late], datetime(2021, 1, 1, tzinfo=UTC)),
        entry("b", [b]),
        entry("a", [a]),
        entry("z-early", [early], datetime(2018, 1, 1, tzinfo=UTC)),
    ]
    expected = ["z-early", "a", "b", "a-late"]
    for order in ([late, b, a, early], [early, a, b, late]):
        found, said = run(tmp_path, order, entries, rows)
        assert [witness for *_, witness in found] == expected and said.used == sorted(expected)
    found, _ = run(tmp_path, [tmp_path / "[0-3]"], list(reversed(entries)), rows)
    assert [witness for *_, witness in found] == expected


def test_several_files_of_one_entry_and_equal_files(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    a, b = index(tmp_path / "folder" / "a", line()), index(tmp_path / "folder" / "b", line("https://example.com/2"))
    index(tmp_path / "folder" / "copy", line())
    rows = [*ONE, ("bb", "https://example.com/2", SECOND, [DIGEST])]
    found, said = run(tmp_path, [tmp_path / "folder"], [entry("cc", [a, b])], rows)
    assert [key for key, *_ in found] == ["aa", "bb"]
    assert said.lines == ["index cc is the first witness of 2 documents: 2 lines, 2 captures"]


def test_digests_of_the_indexes_are_known_first_and_do_not_depend_on_paths(tmp_path: Path) -> None:
    a, b = index(tmp_path / "a", line()), index(tmp_path / "b", line(digest=OTHER))
    index(tmp_path / "c", line())
    with Runner() as runner:
        found = survey_indexes([str(b), str(a), str(tmp_path / "c")], str(tmp_path / "work"), runner)
        again = survey_indexes([str(tmp_path / "[c-a]"), str(a), str(b)][1:], str(tmp_path / "work"), runner)
        assert survey_indexes([], str(tmp_path / "work"), runner) == []
        with pytest.raises(UsageError, match=r"--index.*no file"):
            survey_indexes([str(tmp_path / "none")], str(tmp_path / "work"), runner)
    assert [sha256 for _, sha256 in found] == [sha256 for _, sha256 in again]
    assert {sha256 for _, sha256 in found} == {hashlib.sha256(path.read_bytes()).hexdigest() for path in (a, b)}


def test_an_index_that_changes_after_its_digest_was_taken_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a = index(tmp_path / "a.cdxj", line("https://elsewhere.example/"))
    trusted = entry("cc", [a])
    gather = corroborating.GatherWanted.part

    def swap(self: Any, part: dict[str, Any]) -> dict[str, Any]:
        index(a, line())
        return gather(self, part)

    monkeypatch.setattr(corroborating.GatherWanted, "part", swap)
    with pytest.raises(Incomplete, match="changed while it was read"):
        run(tmp_path, [a], [trusted])


def test_on_a_store_that_is_not_local(tmp_path: Path) -> None:
    base = "memory://corroborating"
    fs = fsspec.filesystem("memory")
    rows = [(f"{i:03x}", f"https://example.com/{i}", SECOND, [DIGEST]) for i in range(300)]
    text = "".join(line(url) for _, url, _, _ in rows[:200])
    try:
        fs.pipe(f"{base}/index/a.cdxj", text.encode())
        fs.put_file(captures(tmp_path / "captures.parquet", rows), f"{base}/captures.parquet")
        trusted = Entry(name="cc", kind="index", custodian="c", published=DAY, sha256=(hashlib.sha256(text.encode()).hexdigest(),))
        with Runner() as runner:
            found = corroborate(
                [f"{base}/index"], Trust((trusted,)), CUTOFF, [f"{base}/captures.parquet"], f"{base}/work", runner, {}
            )
        assert found.witnessed is not None
        with files.open_input(found.witnessed) as stream:
            assert pq.read_table(stream)["key"].to_pylist() == [key for key, *_ in rows[:200]]
    finally:
        fs.rm(base, recursive=True)


def test_the_hashes_are_sorted_distinct_and_8_bytes_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(corroborating, "_SORTED", 7)
    rows = [(f"{i:04x}", f"https://example.com/{i % 60}", SECOND, [DIGEST, OTHER]) for i in range(100)]
    step = corroborating.GatherWanted({"folder": str(tmp_path / "out")})
    receipt = step.part({"name": "all", "captures": [captures(tmp_path / "a.parquet", rows)]})
    values = np.fromfile(tmp_path / "out" / "wanted.u64", "<u8")
    assert (receipt["rows"], receipt["wanted"]) == (200, 120)
    assert len(values) == 120 and (values[1:] > values[:-1]).all()
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["wanted.u64"]


def rows_of(urls: Sequence[str]) -> pa.RecordBatch:
    count = len(urls)
    return pa.record_batch(
        [pa.array(urls, pa.string()), pa.array([SECOND] * count), pa.array([DIGEST] * count)], schema=indexes.CAPTURED
    )


@given(st.lists(st.text(max_size=40), max_size=20), st.integers(0, 5))
def test_a_hash_depends_on_its_own_row_alone(urls: list[str], skipped: int) -> None:
    whole = corroborating.hashes(rows_of(urls))
    assert [corroborating.hashes(rows_of([url]))[0] for url in urls] == whole.tolist()
    assert corroborating.hashes(rows_of(urls).slice(skipped)).tolist() == whole[skipped:].tolist()
    assert len(set(whole.tolist())) == len(set(urls))


def test_hashes_tell_rows_apart_and_long_addresses_cost_little() -> None:
    urls = [f"https://example.com/{i}" for i in range(200_000)]
    values = corroborating.hashes(rows_of(urls))
    assert len(set(values.tolist())) == len(urls)
    # Each bit is set in about half of them.
    share = [float(((values >> np.uint64(bit)) & np.uint64(1)).mean()) for bit in range(64)]
    assert min(share) > 0.49 and max(share) < 0.51
    long = [URL + "x" * 5_000_000, URL + "x" * 5_000_001, URL]
    assert len(set(corroborating.hashes(rows_of(long)).tolist())) == 3


def test_real_captures_are_confirmed_by_their_own_index_if_it_is_trusted_and_not_otherwise(shared: Path, tmp_path: Path) -> None:
    from fastwarc.warc import ArchiveIterator, WarcRecordType

    base = shared / "crawl" / "warc_real"
    rows = []
    with (base / "ikreymer+pywb-samples__flickr-commons.warc.gz").open("rb") as stream:
        for record in ArchiveIterator(stream, WarcRecordType.response, parse_http=False, auto_decode="none"):
            response = http.parse(record.reader.read())
            digests = sorted({indexes.label(hashlib.sha1(body).digest()) for body in (response.body, http.payload(response))})
            rows.append((f"{len(rows):03x}", record.headers["WARC-Target-URI"], int(record.record_date.timestamp()), digests))
    own = base / "cdx" / "ikreymer+pywb-samples__flickr-commons.cdx"
    other = base / "cdx" / "ikreymer+pywb-samples__googleplus-smithsonian.cdx"
    found, said = run(tmp_path, [own, other], [entry("test-flickr", [own]), entry("test-other", [other])], rows)
    assert found == [(key, "corroborated", "test-flickr") for key, *_ in rows] and len(rows) == 63
    assert said.used == ["test-flickr"]
    found, _ = run(tmp_path, [own, other], [entry("test-other", [other])], rows)
    assert found == []
