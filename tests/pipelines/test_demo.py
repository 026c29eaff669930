"""The demo's own parts: a plan whose truth is true, pages and records that are real, and outcomes that can be wrong."""

import base64
import gzip
import hashlib
import json
import random
import re
import zlib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pipelines.demo import __main__ as demo
from pipelines.demo import outcome, pages, plant, rewrite
from pipelines.demo.crawl import Capture, crawl, fetch, wait_for_cutoff
from pipelines.demo.damage import damage
from pipelines.demo.pages import Page
from pipelines.demo.site import Resource, Site, html_resource
from pipelines.demo.words import Index, plain, sentences, shingles, words
from pipelines.demo.writer_model import WriterModel
from store.errors import UsageError

fastwarc = pytest.importorskip("fastwarc.warc")


def prose(chance: random.Random, count: int) -> str:
    """Sentences of made-up words with function words between, `count` of them."""
    known = ["".join(chance.choices("abdeiklmnorstu", k=chance.randint(3, 9))) for _ in range(150)]
    common = "the of and to in is that with from when this".split()
    lines = []
    for _ in range(count):
        inner = [chance.choice(known if chance.random() < 0.6 else common) for _ in range(chance.randint(8, 16))]
        lines.append(" ".join(inner).capitalize() + ".")
    return " ".join(lines)


def a_page(number: int, count: int = 36) -> Page:
    text = prose(random.Random(f"page {number}"), count)
    html = f'<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<title>{number}</title>\n</head><body>\n<p>{text} café</p>\n</body></html>'
    return Page(f"/modules/m{number:03}.html", f"m{number:03}", html, tuple(words(html)))


@pytest.fixture(scope="module")
def site_pages() -> list[Page]:
    return [a_page(number) for number in range(110)]


@pytest.fixture(scope="module")
def plan(site_pages: list[Page]) -> plant.Plan:
    return plant.plan(site_pages)


def text_of(resource: Resource) -> list[str]:
    return words(resource.body.decode(resource.content_type.split("charset=")[1]))


# -- the words of a page ----------------------------------------------------------------------------------------------


def test_words_are_those_of_the_body_alone() -> None:
    page = "<html><head><title>No</title></head><body><h1>One&nbsp;two</h1><script>no()</script><p>a<b>b</b>c &amp; D</p></body></html>"
    assert words(page) == ["one", "two", "abc", "d"]
    assert plain("<p>a</p><p>b</p>").split() == ["a", "b"]


def test_sentences_are_prose() -> None:
    page = "<body><p>The quick brown fox jumps over it.</p><p>f(x, y) = {1: 2} + 3 _ _ * 7.</p><p>Too short.</p></body>"
    assert sentences(page) == ["The quick brown fox jumps over it."]


def test_overlap_is_the_share_of_the_smaller_page() -> None:
    index = Index()
    long = [str(n) for n in range(100)]
    index.add("long", shingles(long))
    assert index.overlap(shingles(long[:24])) == 1.0
    assert index.overlap(shingles(long), apart_from="long") == 0.0
    assert index.overlap(shingles([*long[:14], "x", "y"])) == pytest.approx(10 / 12)


# -- pages of this Python ---------------------------------------------------------------------------------------------


def test_modules_that_do_things_on_import_are_not_rendered() -> None:
    named = pages.names()
    assert len(named) > 200
    assert not {"antigravity", "this", "idlelib", "turtledemo", "tkinter", "test"} & {name.split(".")[0] for name in named}
    assert not any(name.startswith("_") for name in named)


def test_the_renderer_gives_the_pages_of_pydoc_the_same_every_time() -> None:
    rows, whole = pages._run(["--topics", "bisect", "no_such_module", "smtplib"])
    assert whole
    found = {row[0]: row[2] for row in rows if len(row) == 3}
    assert {"/modules/bisect.html", "/modules/smtplib.html", "/topics/assert.html"} <= set(found)
    assert [row for row in rows if len(row) == 1] == [["bisect"], ["no_such_module"], ["smtplib"]]
    assert "insort" in found["/modules/bisect.html"]
    again, _ = pages._run(["smtplib"])
    assert again[-1][2] == found["/modules/smtplib.html"]


def test_a_module_that_ends_the_renderer_costs_its_own_page_only(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def dies_at_b(arguments: list[str]) -> tuple[list[list[str]], bool]:
        asked.append(arguments)
        rows: list[list[str]] = []
        for name in arguments:
            rows.append([name])
            if name == "b":
                return rows, False
            rows.append([f"/{name}", name, "<p>x</p>"])
        return rows, True

    monkeypatch.setattr(pages, "_run", dies_at_b)
    assert [page.title for page in pages._render([], ["a", "b", "c", "d"])] == ["a", "c", "d"]
    assert asked == [["a", "b", "c", "d"], ["c", "d"]]


def test_distinct_pages_have_little_in_common() -> None:
    first, other, short = a_page(1), a_page(2), a_page(3, 3)
    near = replace(first, path="/modules/near.html", words=(*first.words, "and", "one", "more"))
    assert pages.distinct([near, other, first, short]) == sorted([first, other], key=lambda page: page.path)


# -- the model --------------------------------------------------------------------------------------------------------


def test_the_model_writes_new_text_of_known_words() -> None:
    learned = [sentence for number in range(40) for sentence in sentences(a_page(number).html)]
    model = WriterModel(learned)
    written = " ".join(model.paragraphs(random.Random("a"), 200))
    assert written == " ".join(model.paragraphs(random.Random("a"), 200))
    assert written != " ".join(model.paragraphs(random.Random("b"), 200))
    assert len(written.split()) >= 200
    assert set(words(written)) <= set(words(" ".join(learned)))
    index = Index()
    index.add("all", shingles(words(" ".join(learned))))
    assert index.overlap(shingles(words(written))) < plant.FRESH_OVERLAP


def test_a_model_needs_something_to_read() -> None:
    with pytest.raises(ValueError, match="no sentence"):
        WriterModel([])


# -- what changes between the crawls ------------------------------------------------------------------------------------


def test_an_edited_page_is_a_near_copy_and_no_copy() -> None:
    page = a_page(7)
    edited = rewrite.edited(page.html, random.Random("x"), plant.EDIT_SHARE)
    ours, theirs = words(edited), list(page.words)
    changed = sum(a != b for a, b in zip(ours, theirs, strict=True))
    assert changed == round(len(theirs) * plant.EDIT_SHARE) > 2
    assert re.findall(r"<[^>]*>", edited) == re.findall(r"<[^>]*>", page.html)
    assert edited[: edited.index("<body>")] == page.html[: page.html.index("<body>")]


def test_a_translation_keeps_markup_and_loses_the_words() -> None:
    page = a_page(8)
    french = rewrite.document("x", rewrite.translated(page.html), language="fr-x-mtfrom-en")
    assert french.startswith('<!DOCTYPE html>\n<html lang="fr-x-mtfrom-en">')
    assert "the" not in words(french)
    assert "le" in words(french)


# -- the plan -----------------------------------------------------------------------------------------------------------


def test_every_kind_is_planted_and_every_address_once(plan: plant.Plan) -> None:
    assert {planted.kind for planted in plan.truth} == set(plant.KINDS) == set(outcome.RIGHT)
    assert [planted.path for planted in plan.truth] == list(plan.second)
    assert plan.truth[-1].kind == plant.CUT_OFF


def test_the_same_pages_give_the_same_plan(site_pages: list[Page], plan: plant.Plan) -> None:
    again = plant.plan(list(reversed(site_pages)))
    assert again == plan
    assert list(again.second) == list(plan.second)


def test_the_truth_is_true(site_pages: list[Page], plan: plant.Plan) -> None:
    by_path = {page.path: page for page in site_pages}
    first = Index()
    for path in plan.first:
        first.add(path, shingles(by_path[path].words))
    for planted in plan.truth:
        if planted.kind == plant.NO_PAGE:
            continue
        text = text_of(plan.second[planted.path])
        if planted.kind in (plant.UNCHANGED, plant.COPIES, plant.DAMAGED, plant.CUT_OFF):
            assert planted.reference in plan.first
            assert text == list(by_path[planted.reference].words)
        elif planted.kind == plant.NEAR:
            ours, theirs = shingles(text), shingles(by_path[planted.reference].words)
            assert planted.reference in plan.first
            assert ours != theirs
            assert 0.75 < len(ours & theirs) / len(ours | theirs) < 1
        else:
            assert planted.path not in plan.first
            assert first.overlap(shingles(text)) < plant.FRESH_OVERLAP


def test_copies_of_a_new_page_name_the_one_that_is_fetched_first(plan: plant.Plan) -> None:
    order = list(plan.second)
    copies = [planted for planted in plan.truth if planted.kind == plant.NEW_COPIES]
    kept = {planted.path for planted in copies if planted.reference is None}
    assert len(copies) == 3 * len(kept) == 9
    for planted in copies:
        if planted.reference:
            assert planted.reference in kept
            assert order.index(planted.reference) < order.index(planted.path)


def test_too_few_pages_are_said(site_pages: list[Page]) -> None:
    with pytest.raises(ValueError, match="59 usable pages"):
        plant.plan(site_pages[:59])
    assert {planted.kind for planted in plant.plan(site_pages[: plant.FEWEST_PAGES]).truth} == set(outcome.RIGHT)
    short = [a_page(number, 25) for number in range(80)]
    with pytest.raises(ValueError, match=re.escape(plant.NEAR)):
        plant.plan(short)


# -- the site and the crawl ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def crawled(plan: plant.Plan, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Capture], datetime, datetime, str]:
    file = tmp_path_factory.mktemp("crawl") / "second.warc.gz"
    with Site() as site:
        site.show(plan.second)
        before = datetime.now(UTC)
        captures = crawl(site.url, [*plan.second, "/nowhere"], file)
        return file, captures, before, wait_for_cutoff(captures), site.url


def test_pages_come_in_several_codings_and_charsets(plan: plant.Plan) -> None:
    resources = list(plan.second.values())
    assert len({(resource.gzipped, resource.chunked) for resource in resources}) == 4
    assert {resource.content_type for resource in resources} >= {
        f"text/html; charset={name}" for name in ("utf-8", "windows-1252", "iso-8859-1", "utf-16")
    }


def test_another_reader_reads_the_file_back(crawled: tuple[Path, list[Capture], datetime, datetime, str], plan: plant.Plan) -> None:
    file, captures, before, cutoff, base = crawled
    kinds, seen = [], {}
    with file.open("rb") as stream:
        for record in fastwarc.ArchiveIterator(stream, parse_http=False):
            kinds.append(record.headers["WARC-Type"])
            assert record.verify_block_digest()
            assert before <= datetime.fromisoformat(record.headers["WARC-Date"]) < cutoff
            if kinds[-1] == "response":
                seen[record.headers["WARC-Target-URI"]] = (record.headers["WARC-Payload-Digest"], record.reader.read())
    assert kinds == ["warcinfo", *["request", "response"] * len(captures)]
    assert list(seen) == [capture.url for capture in captures]
    for path, resource in plan.second.items():
        digest, block = seen[base + path]
        head, _, body = block.partition(b"\r\n\r\n")
        assert (b"Transfer-Encoding: chunked" in head) == resource.chunked
        body = dechunked(body) if resource.chunked else body
        expected = base64.b32encode(hashlib.sha1(body).digest()).decode()
        assert digest == f"sha1:{expected}"
        assert (gzip.decompress(body) if resource.gzipped else body) == resource.body
    assert b" 404 " in seen[base + "/nowhere"][1].split(b"\r\n", 1)[0]


def dechunked(body: bytes) -> bytes:
    """The chunked body joined, by sizes alone."""
    joined, place = b"", 0
    while True:
        end = body.index(b"\r\n", place)
        size = int(body[place:end], 16)
        if not size:
            return joined
        joined += body[end + 2 : end + 2 + size]
        place = end + 2 + size + 2


def test_a_capture_says_where_its_record_lies(crawled: tuple[Path, list[Capture], datetime, datetime, str]) -> None:
    file, captures, *_ = crawled
    data = file.read_bytes()
    for capture in captures:
        record = gzip.decompress(data[capture.offset : capture.offset + capture.length])
        assert record.startswith(b"WARC/1.1\r\nWARC-Type: response\r\n")
        assert f"WARC-Target-URI: {capture.url}\r\n".encode() in record


def test_a_response_that_ends_early_is_an_error() -> None:
    with Site() as site:
        site.show({"/": Resource(b"x" * 10, "text/html", headers=(("Content-Length", "99"),))})
        assert fetch(f"{site.url}/other").response.startswith(b"HTTP/1.1 404 ")
        with pytest.raises(Exception, match="IncompleteRead"):
            fetch(f"{site.url}/")


def test_a_page_that_its_charset_lacks_is_served_as_utf_8() -> None:
    page = '<head><meta charset="utf-8"></head><body>ελληνικά {}</body>'
    served = [html_resource(page.format(number), "x") for number in range(20)]
    assert {resource.content_type for resource in served} == {"text/html; charset=utf-8", "text/html; charset=utf-16"}
    for resource in served:
        assert "ελληνικά" in resource.body.decode(resource.content_type.split("charset=")[1])


# -- damage -------------------------------------------------------------------------------------------------------------


def test_damage_spoils_the_records_it_is_meant_for_and_no_other(
    crawled: tuple[Path, list[Capture], datetime, datetime, str], tmp_path: Path
) -> None:
    file, captures, *_ = crawled
    copy = tmp_path / "damaged.warc.gz"
    copy.write_bytes(file.read_bytes())
    damage(copy, [captures[3], captures[9]], captures[-1])
    data = copy.read_bytes()
    for capture in captures:
        member = data[capture.offset : capture.offset + capture.length]
        if capture in (captures[3], captures[9], captures[-1]):
            with pytest.raises((zlib.error, EOFError, gzip.BadGzipFile)):
                gzip.decompress(member)
        else:
            assert gzip.decompress(member)
    with pytest.raises(ValueError, match="not the last"):
        damage(copy, [], captures[0])


# -- outcomes -----------------------------------------------------------------------------------------------------------


def became(kind: str, reference: str | None = None, **row: str | None) -> outcome.Outcome:
    truth = outcome.Truth("http://x/a", kind, reference, "2026-01-01", 10)
    names = ("origin", "canonical", "verdict", "kept_url", "held_url", "similarity", "stage", "reason", "detail")
    return outcome._outcome(truth, [dict.fromkeys(names) | {"url": truth.url} | row])


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (became(plant.UNCHANGED, "r", origin="human", canonical="k", held_url="r"), True),
        (became(plant.UNCHANGED, "r", origin="human", canonical="k", held_url="s"), False),
        (became(plant.UNCHANGED, "r", origin="unknown", canonical="k", held_url="r"), False),
        (became(plant.UNCHANGED, "r", origin="human"), False),
        (became(plant.NEAR, "r", origin="unknown", canonical="k", held_url="r"), True),
        (became(plant.NEAR, "r", origin="human", canonical="k", held_url="r"), False),
        (became(plant.NEAR, "r", origin="unknown"), False),
        (became(plant.NEW_COPIES, "f", origin="unknown", canonical="k", kept_url="f"), True),
        (became(plant.NEW_COPIES, "f", origin="unknown"), False),
        (became(plant.NEW_COPIES, origin="unknown"), True),
        (became(plant.NEW_COPIES, origin="unknown", canonical="k", kept_url="f"), False),
        (became(plant.MACHINE, origin="machine_generated"), True),
        (became(plant.MACHINE, origin="unknown"), True),
        (became(plant.MACHINE, origin="human"), False),
        (became(plant.DISCLOSED, origin="unknown"), False),
        (became(plant.TRANSLATED, origin="machine_translated"), True),
        (became(plant.TRANSLATED, origin="machine_generated"), False),
        (became(plant.OLD, origin="human"), False),
        (became(plant.DAMAGED, "r", stage="read", reason="damaged_member", detail="x"), True),
        (became(plant.DAMAGED, "r", origin="human", canonical="k", held_url="r"), False),
        (became(plant.DAMAGED, "r"), False),
        (became(plant.NEW), False),
    ],
)
def test_what_is_right(found: outcome.Outcome, right: bool) -> None:
    assert found.right is right
    assert outcome.wrong([found]) == ([] if right else [found])


def test_the_table_names_what_is_wrong(capsys: pytest.CaptureFixture[str]) -> None:
    good, lost = became(plant.NEW, origin="unknown"), became(plant.DAMAGED, "r")
    outcome.show([good, lost])
    shown = capsys.readouterr().out
    assert f"1 {outcome.UNKNOWN_KEPT}" in shown
    assert "0 of 1" in shown
    assert f"WRONG: http://x/a ({plant.DAMAGED}): {outcome.LOST}" in shown


# -- the folder, and the whole ------------------------------------------------------------------------------------------


def test_only_a_folder_of_the_demo_is_emptied(tmp_path: Path) -> None:
    theirs = tmp_path / "theirs"
    theirs.mkdir()
    (theirs / "thesis.txt").write_text("years of work")
    with pytest.raises(UsageError, match="did not write"):
        demo.prepare(theirs)
    assert demo.main(["--into", str(theirs)]) == 2
    assert (theirs / "thesis.txt").read_text() == "years of work"
    with pytest.raises(UsageError, match="is a file"):
        demo.prepare(theirs / "thesis.txt")
    ours = tmp_path / "a" / "demo"
    demo.prepare(ours)
    (ours / "run").mkdir()
    (ours / "run" / "x").touch()
    (ours / "link").symlink_to(theirs, target_is_directory=True)
    demo.prepare(ours)
    assert [path.name for path in ours.iterdir()] == [demo.MARKER]
    assert (theirs / "thesis.txt").exists()


def test_a_verb_that_fails_fails_the_demo(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(demo.CheckFailed, match="exit code 2"):
        demo.verb("verify", str(tmp_path / "nothing"))
    assert "$ lowbackground verify" in capsys.readouterr().out


@pytest.mark.slow
def test_the_whole_demo(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    folder = tmp_path / "demo"
    assert demo.main(["--into", str(folder)]) == 0, capfd.readouterr()
    shown = capfd.readouterr().out
    assert shown.startswith("DEMO")
    assert "WRONG" not in shown
    report = Path(shown.strip().splitlines()[-1].removeprefix("Report of the run: "))
    assert "<html" in report.read_text(encoding="utf-8")
    truth = [outcome.Truth(**json.loads(line)) for line in (folder / "truth.jsonl").read_text().splitlines()]
    assert len(truth) > 200
    # The same run, held against a truth that is not true: every such page is found.
    lies = {
        plant.UNCHANGED: plant.NEW,
        plant.NEAR: plant.UNCHANGED,
        plant.NEW: plant.DAMAGED,
        plant.DAMAGED: plant.TRANSLATED,
        plant.DISCLOSED: plant.OLD,
    }
    for kind, lie in lies.items():
        told = [replace(row, kind=lie) if row.kind == kind else row for row in truth]
        wrong = outcome.wrong(outcome.outcomes(str(folder / "run"), str(folder / "snapshot"), told))
        assert [found.truth for found in wrong] == [row for row, was in zip(told, truth, strict=True) if was.kind == kind]
