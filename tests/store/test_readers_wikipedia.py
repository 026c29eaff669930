"""Dumps of wikis: which pages are documents, damage, streams and splits, and hostile XML."""

import base64
import bz2
import gzip
import hashlib
from collections import Counter
from html import escape
from pathlib import Path

import pytest

from store import reading
from store.readers import _wiki_page
from store.records import Record, Unreadable

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="no">
  <siteinfo><sitename>Wikipedia</sitename><dbname>nowiki</dbname><base>https://no.wikipedia.org/wiki/Portal:Forside</base>
    <namespaces><namespace key="0" case="first-letter" /><namespace key="6" case="first-letter">Fil</namespace>
      <namespace key="14" case="first-letter">Kategori</namespace></namespaces></siteinfo>
"""
TAIL = "</mediawiki>\n"
OPTIONS = reading.Read(part_bytes=2000, max_record_bytes=50_000)


def base36(text: str) -> str:
    value, digits = int(hashlib.sha1(text.encode()).hexdigest(), 16), ""
    while value:
        value, digit = divmod(value, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return digits.rjust(31, "0")


def page(number: int, text: str = "", ns: int = 0, extra: str = "", sha1: str | None = None, model: str = "wikitext") -> str:
    text = (
        text
        or f"'''Side {number}''' er en [[side]] & <b>mer</b>. "
        + base64.b64encode(hashlib.sha512(b"%d" % number).digest()).decode() * 4
    )
    return f"""  <page>
    <title>Blåbær og {number}</title>
    <ns>{ns}</ns>
    <id>{number}</id>
{extra}    <revision>
      <id>{number + 1000}</id>
      <timestamp>2019-03-0{number % 9 + 1}T10:11:12Z</timestamp>
      <contributor><username>X</username><id>5</id></contributor>
      <model>{model}</model>
      <format>text/x-wiki</format>
      <text bytes="{len(text.encode())}" sha1="{base36(text) if sha1 is None else sha1}" xml:space="preserve">{escape(text)}</text>
      <sha1>{base36(text)}</sha1>
    </revision>
  </page>
"""


def dump(pages: list[str]) -> bytes:
    return (HEAD + "".join(pages) + TAIL).encode()


def streams(pages: list[str], each: int = 5) -> list[bytes]:
    """As multistream dumps are: the head, some pages each, the tail."""
    groups = ["".join(pages[start : start + each]) for start in range(0, len(pages), each)]
    return [bz2.compress(part.encode()) for part in [HEAD, *groups, TAIL]]


def items(path: Path, options: reading.Read = OPTIONS, unaccounted: int = 0) -> list[Record | Unreadable]:
    survey = reading.survey(str(path), options)
    assert (survey.format, survey.unaccounted) == ("wikipedia", unaccounted)
    parts = [list(reading.read(str(path), survey.format, split, options)) for split in survey.splits]
    assert [len(part) for part in parts] == [split.records for split in survey.splits]
    flat = [item for part in parts for item in part]
    whole = reading.survey(str(path), reading.Read(part_bytes=1 << 40, max_record_bytes=options.max_record_bytes))
    assert flat == [item for split in whole.splits for item in reading.read(str(path), "wikipedia", split, options)]
    places = [(item.offset, item.member_offset) for item in flat]
    assert places == sorted(set(places))
    return flat


def reasons(found: list[Record | Unreadable]) -> Counter[str]:
    return Counter(item.reason for item in found if isinstance(item, Unreadable))


def ids(found: list[Record | Unreadable]) -> list[int]:
    return [int(item.id or -1) for item in found if isinstance(item, Record)]


PAGES = [page(number) for number in range(60)]
PACKS = {
    "plain": dump(PAGES),
    "gzip": gzip.compress(dump(PAGES)),
    "bzip2": bz2.compress(dump(PAGES)),
    "multistream": b"".join(streams(PAGES)),
    "pbzip2": b"".join(bz2.compress(dump(PAGES)[start : start + 777]) for start in range(0, len(dump(PAGES)), 777)),
}


@pytest.mark.parametrize("kind", PACKS)
def test_articles_of_a_dump(tmp_path: Path, kind: str) -> None:
    (tmp_path / "x").write_bytes(PACKS[kind])
    found = items(tmp_path / "x")
    assert ids(found) == list(range(60)) and not reasons(found)
    first = found[1]
    assert isinstance(first, Record)
    assert (first.url, first.date, first.record_type) == (
        "https://no.wikipedia.org/wiki/Bl%C3%A5b%C3%A6r_og_1",
        "2019-03-02T10:11:12Z",
        "row",
    )
    assert first.text is not None and first.text.startswith("'''Side 1''' er en [[side]] & <b>mer</b>.")
    assert first.columns["markup"] == "wikitext" and first.columns["aside"] == ("Fil", "Kategori")
    assert (first.columns["dump"], first.columns["language"]) == ("nowiki", "no")
    assert first.columns["metadata"] == {"title": "Blåbær og 1", "revision": "1001", "sha1": base36(first.text)}
    survey = reading.survey(str(tmp_path / "x"), OPTIONS)
    assert survey.boundaries == 60 and survey.damage is None
    assert (len(survey.splits) > 3) == (kind in ("plain", "multistream", "pbzip2"))


def test_every_place_where_a_stream_may_cut(tmp_path: Path) -> None:
    data = dump(PAGES[:4])
    for cut in range(len(HEAD), len(data), 13):
        (tmp_path / "x").write_bytes(bz2.compress(data[:cut]) + bz2.compress(data[cut:]))
        assert ids(items(tmp_path / "x", reading.Read(part_bytes=1))) == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (page(1, ns=1), "namespace"),
        (page(1, ns=14), "namespace"),
        (page(1, extra='    <redirect title="B" />\n'), "redirect"),
        (page(1, text=" \n "), "empty_text"),
        (page(1, model="javascript"), "content_model"),
        (page(1, sha1="0" * 31), "digest_disagrees"),
        (page(1).replace("</revision>", "</revision><revision></revision>"), "several_revisions"),
        ("<page><title>a</title><ns>0</ns></page>", "no_revision"),
        (page(1).replace("</title>", ""), "invalid_xml"),
        (page(1).replace("[[side]]", "&nosuch;"), "invalid_xml"),
        (page(1, text="x" * 60_000), "too_large"),
        ("<page>" + "<a>" * 5000 + "</a>" * 5000 + "</page>", "too_deep"),
        ("<page>" + "<a/>" * 120_000 + "</page>", "too_deep"),
        ("<page><!DOCTYPE a [<!ENTITY a 'aaaa'><!ENTITY b '&a;&a;'>]>&b;</page>", "invalid_xml"),
        (page(1).replace("  </page>", ""), "invalid_xml"),
    ],
)
def test_other_pages_are_counted(tmp_path: Path, made: str, reason: str) -> None:
    (tmp_path / "x").write_bytes(dump([page(0), made, page(2)]))
    found = items(tmp_path / "x", reading.Read(max_record_bytes=50_000 if reason == "too_large" else 1 << 20))
    assert ids(found) == [0, 2] and reasons(found) == {reason: 1}


def test_bytes_that_are_no_utf8_cost_their_page(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(dump([page(0), page(1), page(2)]).replace("Blåbær og 1".encode(), b"Bl\xe5b"))
    found = items(tmp_path / "x")
    assert ids(found) == [0, 2] and reasons(found) == {"invalid_utf8": 1}


def test_a_damaged_stream_is_one_item_and_reading_goes_on(tmp_path: Path) -> None:
    parts = streams(PAGES)
    before, damaged = sum(map(len, parts[:4])), 0
    for at in range(before + 12, before + len(parts[4]) - 12, 67):
        data = bytearray(b"".join(parts))
        data[at] ^= 4
        (tmp_path / "x").write_bytes(data)
        found = items(tmp_path / "x")
        if reasons(found):  # a few bits of a stream say nothing
            damaged += 1
            assert reasons(found) == {"damaged_member": 1}
        assert ids(found) == [number for number in range(60) if not reasons(found) or not 15 <= number < 20]
    assert damaged > 10


@pytest.mark.parametrize("kind", PACKS)
def test_a_truncated_dump_is_counted(tmp_path: Path, kind: str) -> None:
    for cut in range(len(PACKS[kind]) // 2, len(PACKS[kind]) - 1, len(PACKS[kind]) // 9):
        (tmp_path / "x").write_bytes(PACKS[kind][:cut])
        if kind == "bzip2":  # the whole dump is one block, of which nothing comes out
            assert reading.survey(str(tmp_path / "x"), OPTIONS).records == 1
            continue
        found = items(tmp_path / "x")
        assert ids(found) == list(range(len(ids(found)))) and set(reasons(found)) <= {"truncated", "no_member"}
        assert 0 < len(ids(found)) < 60


def test_pages_of_a_gzip_stream_whose_checksum_fails_are_beside_damage(tmp_path: Path) -> None:
    data = bytearray(PACKS["gzip"])
    data[-6] ^= 1
    (tmp_path / "x").write_bytes(data)
    assert reasons(items(tmp_path / "x")) == {"damaged_member": 1}
    assert reading.survey(str(tmp_path / "x"), OPTIONS).damage == (0, 0)


def test_a_dump_without_pages_is_one_item(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes((HEAD + TAIL).encode())
    assert reasons(items(tmp_path / "x")) == {"no_page": 1}


def test_any_flip_is_counted(tmp_path: Path) -> None:
    for data in (PACKS["plain"], PACKS["multistream"]):
        for at in range(200, len(data), len(data) // 60):
            (tmp_path / "x").write_bytes(data[:at] + bytes([data[at] ^ 0x21]) + data[at + 1 :])
            if reading.survey(str(tmp_path / "x"), OPTIONS).format == "wikipedia":
                found = items(tmp_path / "x")
                texts = {item.text for item in found if isinstance(item, Record)}
                assert len(texts - {page_text(number) for number in range(60)}) == 0, "the text's own SHA-1 shows a flip in it"


def page_text(number: int) -> str:
    item = _wiki_page.page((0, 0), PAGES[number].strip().encode(), _wiki_page.Site("", "", "", ()))
    assert isinstance(item, Record) and item.text is not None
    return item.text


def test_the_count_of_markers_sees_what_the_framing_passes_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from store.readers import wikipedia

    (tmp_path / "x").write_bytes(PACKS["plain"])
    whole = wikipedia._walk
    monkeypatch.setattr(wikipedia, "_walk", lambda *arguments: list(whole(*arguments))[:58])
    survey = reading.survey(str(tmp_path / "x"), reading.Read())
    assert (survey.records, survey.boundaries, survey.unaccounted) == (58, 60, 2)


def test_large_dumps_are_read_in_pieces(tmp_path: Path) -> None:
    pages = [page(number, text=f"{number} " + hashlib.sha512(b"%d" % number).hexdigest() * 2000) for number in range(9)]
    for data in (dump(pages), bz2.compress(dump(pages)), b"".join(streams(pages, 2))):
        (tmp_path / "x").write_bytes(data)
        assert ids(items(tmp_path / "x", reading.Read(part_bytes=1000))) == list(range(9))
