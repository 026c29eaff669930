"""The crowd stage: parallel pages and hosts on planted crawls, their traps, and human-translated manuals."""

import itertools
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import curate, query, toolbox
from pipelines.cli import Job
from pipelines.crowding import FIRSTS, STANDING, JoinCrowd, StandOut
from provenance import parallel, schema
from store import tables
from tests import calibrations
from tests.builders import Capture, html, write_warc
from tests.pipelines._fixtures import prose

Row = dict[str, Any]
LANGUAGES = ("en", "de", "fr", "es", "ar", "ja")
TEXT = pa.schema([("url", pa.string()), ("text", pa.string()), ("html", pa.string())])


def page(url: str, language: str | None, text: str = "", above: bool | None = None) -> Row:
    return {"key": url, "url": url, "language": language, "text": text, "above": above}


def facts(seed: int, count: int = 12, digits: int = 4) -> str:
    chosen = random.Random(seed)
    return " ; ".join(str(chosen.randint(3 * 10 ** (digits - 1), 10**digits - 1)) for _ in range(count))


def joined(base: Path, rows: Sequence[Row], parts: int = 2) -> dict[str, dict[str, tuple[float, str]]]:
    """(value, detail) by signal of each page that has a reading."""
    folder = base / str(len(list(base.iterdir())))
    cuts = [len(rows) * i // parts for i in range(parts + 1)]
    pieces: dict[str, list[str]] = {"pages": [], "standing": []}
    for number, (start, stop) in enumerate(itertools.pairwise(cuts)):
        own = list(rows[start:stop])
        batch = pa.RecordBatch.from_pylist(
            [{"html": ""} | {name: row[name] for name in ("url", "text")} for row in own], schema=TEXT
        )
        made = {"pages": parallel.pages(batch), "standing": pa.RecordBatch.from_pylist(own, schema=STANDING)}
        for name, table in made.items():
            tables.write(str(folder), f"{name}/{number}.parquet", table, table.schema)
            pieces[name].append(str(folder / name / f"{number}.parquet"))
    step = JoinCrowd({"folder": str(folder), "prefix": "part"})
    step.setup()
    receipt = step.part({"name": "all", "parts": [f"{i:06d}" for i in range(parts)], **pieces})
    found: dict[str, dict[str, tuple[float, str]]] = {}
    for entry in receipt["files"]:
        number = int(Path(entry["path"]).stem.removeprefix("crowd-part-"))
        for reading in tables.read([str(folder / entry["path"])]).to_pylist():
            assert reading["key"] in {row["key"] for row in rows[cuts[number] : cuts[number + 1]]}
            found.setdefault(reading["key"], {})[reading["signal"]] = reading["value"], reading["detail"]
    assert sum(map(len, found.values())) == receipt["readings"]
    return found


def languages(found: dict[str, dict[str, tuple[float, str]]]) -> dict[str, int]:
    return {key: int(signals["parallelism"][0]) for key, signals in found.items() if "parallelism" in signals}


def test_one_page_on_hosts_of_several_languages(tmp_path: Path) -> None:
    rows = [page(f"http://shop-{n}.example/{n}", n, facts(1)) for n in LANGUAGES]
    rows += [page(f"http://other-{n}.example/", n, facts(i + 2)) for i, n in enumerate(LANGUAGES)]
    found = joined(tmp_path, rows)
    assert languages(found) == {row["key"]: 6 for row in rows[:6]}
    assert {signals["parallelism"][1] for signals in found.values()} == {
        "parallel in 6 languages (ar, de, en, es, fr, ja) on 6 hosts, by anchors"
    }


def test_addresses_are_enough_where_a_page_has_few_anchors(tmp_path: Path) -> None:
    rows = [page(f"http://a.example/{n}/about", n, "12 and 345") for n in ("en", "de", "fr")]
    found = joined(tmp_path, [*rows, page("http://a.example/en/else", "en"), page("http://a.example/about", "ja")])
    assert languages(found) == {row["key"]: 4 for row in rows} | {"http://a.example/about": 4}
    assert found[rows[0]["key"]]["parallelism"][1].endswith("on 1 host, by address")


TRAPS = {
    "few numbers": [page(f"http://{n}.example/x", n, "in 2020 we sold 12345 of 999") for n in LANGUAGES],
    "a price list in one language": [page(f"http://a.example/{i}", "en", facts(1)) for i in range(30)],
    "the same years": [page(f"http://{n}.example/x", n, " ; ".join(map(str, range(1960, 2030)))) for n in LANGUAGES],
    "days and small numbers": [page(f"http://{n}.example/x", n, " ; ".join(map(str, range(1, 100)))) for n in LANGUAGES],
    "phone lists": [page(f"http://{n}.example/x", n, facts(i, 40, 9)) for i, n in enumerate(LANGUAGES)],
    "one footer": [
        page(f"http://a.example/{i}", n, facts(i, 30) + "; 5551234; info@a.example; 80331") for i, n in enumerate(LANGUAGES)
    ],
    "articles of one name": [page(f"http://{n}.wiki.example/wiki/Berlin", n, facts(i, 30)) for i, n in enumerate(LANGUAGES)],
    "a department": [page("http://a.example/it/staff", "en", facts(1)), page("http://a.example/staff", "en", facts(2))],
    "one address, two captures": [page("http://a.example/x", "en", "one"), page("http://www.a.example/x", "de", "eins")],
    "no known language": [page(f"http://a.example/{n}/x", None, facts(1)) for n in LANGUAGES],
}


@pytest.mark.parametrize("trap", TRAPS)
def test_trap(tmp_path: Path, trap: str) -> None:
    assert languages(joined(tmp_path, TRAPS[trap])) == {}


def test_a_template_in_two_languages_is_found_whatever_fills_its_buckets(tmp_path: Path) -> None:
    rows = [page(f"http://a.example/{n}{i}", n, facts(1)) for n in ("en", "fr") for i in range(3 * FIRSTS)]
    assert languages(joined(tmp_path, rows, 3)) == {row["key"]: 2 for row in rows}


def test_parts_of_one_manual_are_not_joined_by_their_anchors(tmp_path: Path) -> None:
    """Two chapters with the same examples, in languages that overlap in part."""
    rows = [page(f"http://a.example/{n}/one", n, facts(1)) for n in ("en", "de", "fr")]
    rows += [page(f"http://a.example/{n}/two", n, facts(1)) for n in ("en", "es", "ar")]
    assert set(languages(joined(tmp_path, rows)).values()) == {3}


def test_order_and_parts_do_not_matter(tmp_path: Path) -> None:
    rows = [page(f"http://{n}.a.example/{i}", n, facts(i % 7), i % 3 == 0) for i in range(24) for n in LANGUAGES[: 2 + i % 5]]
    expected = joined(tmp_path, rows, 1)
    assert expected
    for seed, parts in ((1, 2), (2, 5), (3, 1)):
        shuffled = random.Random(seed).sample(rows, len(rows))
        assert joined(tmp_path, shuffled, parts) == expected
    assert joined(tmp_path, [], 2) == {}


@pytest.mark.parametrize(("pages", "read"), [(14, 0), (15, 15)])
def test_hosts_need_fifteen_scored_pages(tmp_path: Path, pages: int, read: int) -> None:
    scored = [page(f"http://{'www.' if i % 2 else ''}a.example/{i}", "en", above=i < 6) for i in range(pages)]
    silent = [page(f"http://a.example/short{i}", "en") for i in range(3)]
    found = joined(tmp_path, [*scored, *silent, *(page(f"http://b.example/{i}", "en", above=True) for i in range(14))])
    values = {key: signals["site"][0] for key, signals in found.items()}
    assert len([row for row in scored if row["key"] in values]) == read
    if read:
        # Its own score does not count: a page that looks like a machine's sees one less.
        assert values[scored[0]["key"]] == 5 / 14 and values[scored[14]["key"]] == 6 / 14
        assert {values[row["key"]] for row in silent} == {6 / 15}
        assert not any(key.startswith("http://b.example") for key in values)


def test_standing(tmp_path: Path) -> None:
    """Copies that were dropped and documents without a score do not count."""
    cell = calibrations.cell(edges=(0.0, 1.0), human=(0.5, 0.4, 0.1), machine=(0.1, 0.1, 0.8))
    documents = pa.table(
        {"key": list("abcde"), "language": ["en"] * 4 + [None], "word_count": pa.array([60, 60, 60, 10, 60], pa.int32())}
    )
    pq.write_table(documents, tmp_path / "documents.parquet")
    pq.write_table(pa.table({"canonical": pa.array([None, None, "a", None, None], pa.string())}), tmp_path / "resolved.parquet")
    rows = [(key, calibrations.READS, 0.5 if key == "b" else 2.0) for key in "abcde"]
    tables.write(str(tmp_path), "evidence.parquet", calibrations.readings(*rows), schema.EVIDENCE)
    step = StandOut({"folder": str(tmp_path)})
    part = {"name": "0", "evidence": [str(tmp_path / "evidence.parquet")]}
    part |= {name: str(tmp_path / f"{name}.parquet") for name in ("documents", "resolved")}
    for combiner, above in ((calibrations.combiner(cell), [True, False, None, None, None]), (None, [None] * 5)):
        step.combiner = combiner
        receipt = step.part(part)
        assert tables.read([str(tmp_path / receipt["files"][0]["path"])])["above"].to_pylist() == above


def test_from_archive_to_tag(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A site in six languages is found and not called machine translated; one whose pages all look like a machine's weighs and tips nothing."""
    cell = calibrations.cell(
        thresholds=dict.fromkeys(calibrations.RATES, 99.0), edges=(-99.0, 99.0), human=(0.9, 0.1, 0.0), machine=(0.1, 0.9, 0.0)
    )
    calibrations.install(monkeypatch, tmp_path, calibrations.with_cells(toolbox.calibration(), cell))
    captures = []
    for chapter in range(3):
        numbers = facts(chapter, 10).split(" ; ")
        for name in LANGUAGES:
            words = prose(name, f"{chapter}", 150).split()
            text = " ".join(f"{word} {numbers[i // 12]}" if i % 12 == 0 and i < 120 else word for i, word in enumerate(words))
            captures.append(Capture(f"http://www.a.example/{name}/chapter{chapter}.html", html(text), "2025-01-01T00:00:00Z"))
    captures += [Capture(f"http://b.example/{n}", html(prose("en", f"b{n}", 150)), "2025-01-01T00:00:00Z") for n in range(16)]
    write_warc(tmp_path / "crawl.warc.gz", captures)
    curate.run([str(tmp_path / "crawl.warc.gz")], str(tmp_path / "run"), [], Job(quiet=True))
    rows = query_rows(
        tmp_path / "run",
        "select d.url, t.origin, e.signal, e.value, e.log_likelihood_ratio as ratio from documents d join tags t using (key)"
        " left join evidence e on e.key = d.key and e.signal in ('parallelism', 'site')",
    )
    assert len(rows) == len(captures)
    for row in rows:
        assert row["origin"] == "unknown"
        expected = ("parallelism", 6.0, 0.6) if "a.example" in row["url"] else ("site", 1.0, 0.7)
        assert (row["signal"], row["value"], row["ratio"]) == expected, row
    hosts = query_rows(tmp_path / "run", "parallel_by_host")
    assert [(row["host"], row["documents"], row["parallel"], row["most_languages"], row["in_5_or_more"]) for row in hosts] == [
        ("a.example", 18, 18, 6, 18)
    ]
    sites = query_rows(tmp_path / "run", "sites")
    assert sites == [
        {"host": "b.example", "kept": 16, "scored": 16, "machine_generated": 0, "machine_share": 0.0, "above_share": 1.0}
    ]


def query_rows(run: Path, statement: str) -> list[Row]:
    out = run.parent / "answer.parquet"
    query.run(str(run), statement, "parquet", str(out))
    rows: list[Row] = pq.read_table(out).to_pylist()
    return rows


@pytest.mark.slow
def test_manuals_that_people_translated(shared: Path, tmp_path: Path) -> None:
    """Apache's manual and W3C's articles: found as parallel, and none is tagged as machine translated."""
    pages = shared / "crawl" / "html_pages"
    names = ("httpd_manual_parallel.warc.gz", "w3c_i18n_parallel.warc.gz", "charset_pages.warc.gz")
    curate.run([str(pages / name) for name in names], str(tmp_path / "run"), [], Job(quiet=True))
    rows = query_rows(
        tmp_path / "run",
        "select d.url, d.language, t.origin, e.value from documents d join tags t using (key) left join evidence e on e.key = d.key"
        " and e.signal = 'parallelism' where d.language is not null",
    )
    index = pq.read_table(pages / "pages_index.parquet", columns=["warc", "url", "group"]).to_pylist()
    page_of = {row["url"]: row["group"] for row in index if "parallel" in row["warc"]}
    spoken: dict[str, set[str]] = {}
    for row in rows:
        spoken.setdefault(page_of.get(row["url"], row["url"]), set()).add(row["language"])
    for row in rows:
        row["languages"] = len(spoken[page_of.get(row["url"], row["url"])])
    assert not any(row["origin"] == "machine_translated" for row in rows)
    parallel_ones = [row for row in rows if row["languages"] > 1]
    assert len(parallel_ones) > 1000
    found = [row for row in parallel_ones if row["value"]]
    assert len(found) >= 0.99 * len(parallel_ones)
    assert sum(row["value"] == row["languages"] for row in found) >= 0.97 * len(found)
    assert len([row for row in rows if row["value"]]) == len(found), "pages of other sites are not parallel to anything"
