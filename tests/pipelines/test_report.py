import html.parser
import re
from fractions import Fraction
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pyarrow.parquet as pq
import pytest

from pipelines import report
from pipelines.reporting import markup, mix_page, page, svg
from store import manifest
from store.errors import CheckFailed, UsageError
from tests import mixes, vocabularies
from tests.pipelines import _fixtures as fixtures
from tests.store import frozen

CONSISTENT = {"exit_code": 3, "line": "100 % of the human units rest on the archive file"}


class Targets(dict[str, manifest.Opened]):
    pass


@pytest.fixture(scope="module")
def targets(tmp_path_factory: pytest.TempPathFactory) -> Targets:
    folder = tmp_path_factory.mktemp("report")
    frozen = fixtures.snapshot(folder / "snapshot")
    curated = fixtures.run(folder / "run", 420, frozen)
    return Targets(
        snapshot=frozen,
        run=curated,
        mix=fixtures.mix(folder / "mix", frozen, curated),
        broken=fixtures.mix(folder / "broken", frozen, curated, honest=False),
        grown=fixtures.snapshot(folder / "grown", grown=True),
        index=mixes.snapshot(folder / "index", [mixes.document(f"old-{i}", 500) for i in range(5)], index_only=True),
        empty_run=fixtures.run(folder / "empty-run", 0),
        empty_snapshot=fixtures.snapshot(folder / "empty-snapshot", 0),
        empty_mix=fixtures.mix(folder / "empty-mix", frozen, curated, empty=True),
    )


def written(targets: Targets, name: str, out: Path, **options: Any) -> str:
    if targets[name].kind == "mix":
        options = {"verification": CONSISTENT, **options}
    summary = report.run(targets[name].url, str(out / f"{name}.html"), **options)
    assert summary["out"] == str(out / f"{name}.html")
    return Path(summary["out"]).read_text(encoding="utf-8")


class Reader(html.parser.HTMLParser):
    """Tags, attributes and text of a page, as a browser's tokenizer sees them."""

    def __init__(self, source: str):
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._in_style = False
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._in_style = tag == "style"

    def handle_data(self, data: str) -> None:
        self.text += "" if self._in_style else data


ALL = ["run", "snapshot", "grown", "index", "mix", "broken", "empty_run", "empty_snapshot", "empty_mix"]


@pytest.mark.parametrize("name", ALL)
def test_a_page_is_self_contained_well_formed_and_inert(targets: Targets, name: str, tmp_path: Path) -> None:
    source = written(targets, name, tmp_path)
    read = Reader(source)
    kinds = {tag for tag, _ in read.tags}
    assert not kinds & {"script", "img", "iframe", "link", "object", "embed", "a", "form", "base"}
    for tag, attributes in read.tags:
        assert not any(key.startswith("on") or key in ("src", "href", "style") for key in attributes), (tag, attributes)
    assert "default-src 'none'" in source.replace("&#x27;", "'")
    style = source[source.index("<style>") : source.index("</style>")]
    assert "url(" not in style and "@import" not in style and "prefers-color-scheme: dark" in style
    for drawn in re.findall(r"<svg.*?</svg>", source, re.DOTALL):
        root = ElementTree.fromstring(drawn)
        assert [child.tag for child in root][:2] == ["title", "desc"] and root.attrib["role"] == "img"
        assert not re.search(r'="[^"]*\b(nan|inf)\b[^"]*"', drawn)


@pytest.mark.parametrize("name", ["run", "grown", "mix"])
def test_the_same_input_gives_the_same_bytes(targets: Targets, name: str, tmp_path: Path) -> None:
    (tmp_path / "again").mkdir()
    assert written(targets, name, tmp_path) == written(targets, name, tmp_path / "again")


def test_hostile_text_is_shown_and_does_nothing(targets: Targets, tmp_path: Path) -> None:
    source = written(targets, "run", tmp_path)
    read = Reader(source)
    if "alert(document.cookie)" not in read.text:
        pytest.fail("the hostile text of the fixture is not in the sample; choose another of its documents")
    assert "<img" not in source and "<script" not in source and "</script" not in source
    assert "</script></style><img src=x onerror=alert(1)>" in read.text


def test_texts_are_drawn_per_origin_with_their_evidence_and_direction(targets: Targets, tmp_path: Path) -> None:
    source = written(targets, "run", tmp_path)
    groups = source.split('<details class="texts">')[1:]
    assert [group.count("<article>") for group in groups] == [20, 20, 20, 20]
    assert all(group.count("<blockquote dir=") == 20 for group in groups)
    assert "snapshot_match" in groups[0] and "combined" in groups[1] and "GTranslate" in groups[2]
    assert 'lang="ar"' in source
    assert max(map(len, re.findall(r"<blockquote[^>]*>(.*?)</blockquote>", source, re.DOTALL))) < 2 * page.EXCERPT


def test_first_lines_of_a_run(targets: Targets, tmp_path: Path) -> None:
    text = Reader(written(targets, "run", tmp_path)).text
    counts = targets["run"].manifest["counts"]
    assert (
        f"{counts['records']:,} records became {counts['documents']:,} documents, of which {counts['kept']:,} are kept. Every record"
        in text
    )
    human = counts["origins"]["human"]
    assert (
        f"{human} of {counts['documents']} documents ({100 * human / counts['documents']:.1f}\u00a0%) equal an eligible document"
        in text
    )
    assert "unchanged since that was frozen if verify passes, dated before 2022-01-01" in text
    assert "rest on the capture time that the archive file itself states" in text
    alone = Reader(written(targets, "empty_run", tmp_path)).text
    assert "against no snapshot, so nothing in it can count as human" in alone


def test_a_lost_record_is_said_first(targets: Targets, tmp_path: Path) -> None:
    opened = targets["run"]
    short = [entry for entry in opened.manifest["files"] if entry["path"] != "rejects/part-00000.parquet"]
    body = {key: value for key, value in opened.manifest.items() if key not in ("id", "files")}
    copy = tmp_path / "copy"
    for entry in short:
        (copy / entry["path"]).parent.mkdir(parents=True, exist_ok=True)
        (copy / entry["path"]).write_bytes((Path(opened.url) / entry["path"]).read_bytes())
    manifest.write(str(copy), {**body, "files": short})
    report.run(str(copy), str(tmp_path / "copy.html"))
    assert "are NOT accounted for" in (tmp_path / "copy.html").read_text()


def test_the_way_into_a_mix_is_shown_for_a_run(targets: Targets, tmp_path: Path) -> None:
    assert "in the shards of the mix" in written(targets, "run", tmp_path, mix=targets["mix"].url)
    with pytest.raises(UsageError):
        report.run(targets["snapshot"].url, mix=targets["mix"].url)


def test_a_snapshot_says_at_once_what_it_is_and_whose_word_it_rests_on(targets: Targets, tmp_path: Path) -> None:
    text = Reader(written(targets, "snapshot", tmp_path)).text
    first, what = text.index("Of the human bytes"), text.index("A frozen snapshot")
    assert (
        what < first < text.index("The human side by year")
        and "Example Library, catalogue of 2019" in text
        and "is not made here" in text
    )
    assert "fewer than 50 words" in text and "machine-translation evidence" in text


def numbers(source: str, title: str, place: int = 0) -> list[dict[str, str]]:
    """The first table (or the one at `place`) of the section that begins with `title`, as texts by column."""
    part = source[source.index(f"<h2>{title}</h2>") :].split("</table>")[place]
    head = re.findall(r'<th scope="col">(.*?)</th>', part)
    return [
        dict(zip(head, re.findall(r"<td[^>]*>(.*?)</td>", line), strict=True)) for line in re.findall(r"<tr>(<td.*?)</tr>", part)
    ]


@pytest.mark.parametrize("name", ["snapshot", "grown"])
@pytest.mark.parametrize(("title", "column"), [("The human side by year", "year"), ("By language", "language")])
def test_why_documents_may_not_count_is_said_by_year_and_language(
    targets: Targets, tmp_path: Path, name: str, title: str, column: str
) -> None:
    found = numbers(written(targets, name, tmp_path), title)
    held = [row for url in targets[name].files("documents") for row in pq.read_table(url).to_pylist()]
    begins = {
        "machine-translation evidence": "translation_markup",
        "decisive markup": "disclosure",
        "residue": "residue",
        "boilerplate": "boilerplate",
        "short texts": "fewer",
        "captures that look false": "the capture",
        "redacted": "redacted",
    }
    for said, start in begins.items():
        there = sum((row["ineligible_reason"] or "").startswith(start) for row in held)
        assert sum(int(row.get(said, 0)) for row in found) == there, said
        assert there or (said == "redacted" and name == "snapshot")
    assert sum(int(row["may count as human"]) for row in found) == sum(row["eligible"] for row in held)
    label = {"year": "no date", "language": "German (de)"}[column]
    (line,) = (row for row in found if row[column] == label)
    chosen = [row for row in held if (row["date_end"] is None if column == "year" else row["language"] == "de")]
    assert int(line["documents"]) == len(chosen)
    assert int(line["residue"]) == sum((row["ineligible_reason"] or "").startswith("residue") for row in chosen)


def test_a_further_witness_is_shown_with_its_custodian_and_since_when_it_is_known(targets: Targets, tmp_path: Path) -> None:
    source = written(targets, "grown", tmp_path)
    (line,) = (row for row in numbers(source, "Witnesses") if row["witness"] == fixtures.INDEX)
    assert [line[name] for name in ("level", "what it is", "custodian", "published", "documents")] == [
        "corroborated",
        "index",
        "Common Crawl",
        "2019-09-10",
        "30",
    ]
    others = [row for row in numbers(source, "Witnesses") if row["witness"] != fixtures.INDEX]
    assert {row["custodian"] for row in others} == {"whoever froze it"}
    levels = {row["level"]: row["eligible"] for row in numbers(source, "By attestation")}
    assert levels["corroborated"] == "30"
    assert "an independent index of the same captures" in Reader(source).text


def test_versions_and_redactions_are_said(targets: Targets, tmp_path: Path) -> None:
    source = written(targets, "grown", tmp_path)
    first, second = numbers(source, "Versions")
    assert (first["leaves it added"], second["leaves it added"]) == ("240", "30")
    assert second["version"] == f"<code>{targets['grown'].id}</code> (this one)"
    assert first["signed by"] == "not known: its manifest is not there" and second["leaves it redacted"] == "not known"
    first, second = numbers(source, "Versions", 1)
    columns = ("documents", "further witnesses", "its leaves redacted by now", "tree size")
    assert [first[name] for name in columns] == ["238", "0", "2", "240"]
    assert [second[name] for name in columns] == ["0", "30", "0", "270"]
    assert second["root of the tree"] == f"<code>{targets['grown'].manifest['tree']['root']}</code>"
    text = Reader(source).text
    assert "The texts of 2 leaves were redacted" in text and "erasure <b>: 2" in text
    held = [row for url in targets["grown"].files("documents") for row in pq.read_table(url).to_pylist()]
    shown = sum(not row["eligible"] for row in held) - 2
    assert f"20 of {shown}" in text.partition("Texts")[2]
    alone = Reader(written(targets, "snapshot", tmp_path)).text
    assert "were redacted;" not in alone and "Redacted." not in alone


def test_versions_say_in_full_who_signed_them_and_what_they_were_for(tmp_path: Path) -> None:
    first = frozen.simple(tmp_path / "s", 12, signer=frozen.SIGNER)
    second = frozen.Builder(tmp_path / "s", first).redact(["document-3", "document-4"]).finish()
    third = frozen.Builder(tmp_path / "s", second).finish(frozen.SIGNER)
    fourth = frozen.Builder(tmp_path / "s", third).add(frozen.names(3, 20)).redact(["document-5"]).finish()
    fifth = frozen.Builder(tmp_path / "s", fourth).finish()
    report.run(fifth.url, str(tmp_path / "page.html"))
    found = numbers((tmp_path / "page.html").read_text(), "Versions")
    name, key, _ = frozen.SIGNER.verifier.vkey.split("+", 2)
    signed = f"<code>{name}+{key}</code>"
    assert [[row[name] for name in ("signed by", "did", "leaves it added", "leaves it redacted")] for row in found] == [
        [signed, "first version", "12", "0"],
        ["nobody", "redaction", "0", "2"],
        [signed, "signature", "0", "0"],
        ["nobody", "adds leaves, redaction", "3", "1"],
        ["nobody", "nothing new", "0", "0"],
    ]
    assert [re.findall("[0-9a-f]{64}", row["version"]) for row in found] == [[v.id] for v in (first, second, third, fourth, fifth)]


PASSED = {"exit_code": 0, "result": "VERIFIED", "line": "all of it holds"}
FAILED = {"exit_code": 1, "result": "FAILED", "wrong": [f"documents/{i}" for i in range(9)], "missing": ["leaves/x"], "extra": []}


@pytest.mark.parametrize("name", ["run", "snapshot", "index", "mix"])
def test_every_page_says_whether_it_was_verified(targets: Targets, tmp_path: Path, name: str) -> None:
    said = Reader(written(targets, name, tmp_path, verification=PASSED)).text
    assert "VERIFIED against the given snapshot id." in said and "all of it holds" in said and "unchanged since" in said
    assert "Not verified here" not in said and "if verify passes" not in said
    said = Reader(written(targets, name, tmp_path, verification=FAILED)).text
    assert f"FAILED. {'Do not train on this' if name == 'mix' else 'Nothing is proven until verify passes'}." in said
    assert "10 files wrong, missing or not listed: documents/0, " in said and "documents/7 and 2 more." in said
    assert "unchanged since they were" not in said and "unchanged since that was" not in said and "VERIFIED" not in said
    assert "claim" in said.partition("How much is verified human?")[2].partition("What rests on")[0]
    assert "nothing is proven" in said.partition("What rests on whose word?")[2].partition("FAILED.")[0]
    if name != "mix":
        said = Reader(written(targets, name, tmp_path)).text
        assert "Not verified here." in said and "VERIFIED" not in said and "frozen if verify passes" in said


@pytest.mark.parametrize(
    ("result", "says"),
    [
        ("VERIFIED, EXTENDS THE ANCHOR", "VERIFIED against the given snapshot id. It extends the version that was given."),
        ("CONSISTENT, CURATED AGAINST THE ANCHOR", "CONSISTENT, and curated against the given snapshot id."),
    ],
)
def test_what_verify_found_is_said_as_it_found_it(targets: Targets, tmp_path: Path, result: str, says: str) -> None:
    assert says in Reader(written(targets, "run", tmp_path, verification={**PASSED, "result": result})).text


def test_what_is_too_damaged_to_draw_says_so_on_its_page(tmp_path: Path) -> None:
    opened = fixtures.snapshot(tmp_path / "s", 30)
    path = opened.entries("documents")[0]["path"]
    (tmp_path / "s" / path).write_bytes(b"PAR1 no more")
    with pytest.raises(CheckFailed):
        report.run(opened.url, str(tmp_path / "page.html"))
    wrong = {"exit_code": 1, "result": "FAILED", "wrong": [path]}
    report.run(opened.url, str(tmp_path / "page.html"), verification=wrong)
    text = Reader((tmp_path / "page.html").read_text()).text
    assert "FAILED. Nothing is proven until verify passes." in text and f"1 file wrong, missing or not listed: {path}." in text


def test_the_legend_has_the_kinds_that_are_there(targets: Targets, tmp_path: Path) -> None:
    def legends(source: str) -> list[list[str]]:
        return [re.findall(r"</i>(.*?)</li>", one) for one in re.findall(r'<ul class="legend">(.*?)</ul>', source)]

    assert "machine-translation evidence" in legends(written(targets, "snapshot", tmp_path))[0]
    assert legends(written(targets, "index", tmp_path)) == [["may count as human"]] * 3
    made = page.figure("c", "s", "", page.ORIGIN_SERIES, [], [], [[0, 2, 0, 0], [1, 0, 0, 0]])
    assert legends(made) == [["human (verified)", "machine-generated"]]


def test_documents_without_a_time_are_told_apart(targets: Targets, tmp_path: Path) -> None:
    held = [row for url in targets["grown"].files("documents") for row in pq.read_table(url).to_pylist() if row["date_end"] is None]
    declared = sum(row["attestation"] == "declared" for row in held)
    assert len(held) - declared == 2
    text = Reader(written(targets, "grown", tmp_path)).text
    assert f"Not shown: {declared} documents without a capture time stand on a declaration; 2 documents were redacted." in text
    alone = Reader(written(targets, "snapshot", tmp_path)).text
    assert "stand on a declaration." in alone


def test_no_label_of_a_mix_is_cut(targets: Targets, tmp_path: Path) -> None:
    source = written(targets, "mix", tmp_path)
    assert "texts that may count as human</text>" in source and "…" not in source


def test_an_index_only_snapshot_says_so_at_once(targets: Targets, tmp_path: Path) -> None:
    text = Reader(written(targets, "index", tmp_path)).text
    assert "An index-only snapshot of 5 documents" in text and "cannot draw human rows" in text
    assert text.index("Index only: leaves and sketches, no texts.") < text.index("The human side by year")


def test_a_mix_says_what_could_not_be_drawn_and_where_copies_were_estimated(targets: Targets, tmp_path: Path) -> None:
    text = Reader(written(targets, "mix", tmp_path)).text
    assert "could not be drawn: 2 redacted and 1 near copies." in text and "documents of 999999999999, which holds no texts" in text


def test_a_mix_says_what_holds_in_which_order_what_its_strata_hold_and_which_rare_words_are_kept(
    targets: Targets, tmp_path: Path
) -> None:
    text = Reader(written(targets, "mix", tmp_path)).text
    assert (
        "any prefix of any shard, row by row" in text
        and "3 shards go evenly to 3 ranks" in text
        and "1,500 bytes short at worst" in text
    )
    assert "Expected machine share of the whole mix: 10.0 %" in text
    assert "human/en/" in text and "5 in 2 clusters, the largest of 3" in text
    assert "in 5 documents: kept" in text and "70.00 %" in text
    assert "A floor of frozen text is a floor of old knowledge." in text


@pytest.mark.parametrize("name", ["jsonl", "tokens"])
def test_a_page_is_drawn_from_the_rows_of_any_format(name: str, tmp_path: Path) -> None:
    frozen, crawled = mixes.standard(tmp_path, humans=12, others=12)
    options: dict[str, Any] = {"format": name, "human_apart": True}
    if name == "tokens":
        tokenizer = vocabularies.folder("byte_level", tmp_path / "tokenizer")
        options |= {"units": ("tokens",), "tokenizer": tokenizer, "sequence_length": 64}
    made = mixes.make(tmp_path / "mix", frozen, [crawled], **options)
    text = Reader(
        Path(report.run(made.url, str(tmp_path / "page.html"), verification=CONSISTENT)["out"]).read_text(encoding="utf-8")
    ).text
    unit = "tokens" if name == "tokens" else "bytes"
    assert f"holds by {unit} at every row of 1 shard." in text and f"human {unit}" in text
    assert f"of the {unit} are human" in text and "rest on the capture time" in text


def test_an_honest_mix_holds_its_floor(targets: Targets, tmp_path: Path) -> None:
    source = written(targets, "mix", tmp_path)
    assert "holds by bytes at every row of 3 shards" in source and 'class="bad"' not in source
    assert "CONSISTENT, NOT ANCHORED" in source and targets["snapshot"].id in source


@pytest.mark.parametrize("points", [5, 240])
def test_one_row_below_the_floor_cannot_hide(
    targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, points: int
) -> None:
    monkeypatch.setattr(mix_page, "POINTS", points)
    source = written(targets, "broken", tmp_path, verification={"exit_code": 1, "wrong": ["data/train-00001-of-00003.parquet"]})
    assert (
        "by bytes, 1 row in 1 shard end below" in source
        and source.count('<circle class="bad"') + source.count('class="bad"><title>below') == 1
    )
    assert "FAILED. Do not train on this." in source and "data/train-00001-of-00003.parquet" in source
    assert "Nothing, until verify passes" in source


def test_a_mix_is_verified_where_nobody_did(targets: Targets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pipelines import verify

    asked = []
    monkeypatch.setattr(
        verify,
        "run",
        lambda target, anchor, quiet=False: asked.append((target, anchor)) or {"exit_code": 1, "wrong": ["README.md"]},
    )
    report.run(targets["mix"].url, str(tmp_path / "mix.html"))
    assert asked == [(targets["mix"].url, None)]
    assert "README.md" in (tmp_path / "mix.html").read_text()


@pytest.mark.parametrize("name", ALL)
def test_no_page_says_proven_human(targets: Targets, name: str, tmp_path: Path) -> None:
    assert not re.search(
        r"proven human|certified human|guaranteed human|written by humans", written(targets, name, tmp_path), re.IGNORECASE
    )


def test_the_default_place_is_beside_the_folder_and_not_inside(targets: Targets, tmp_path: Path) -> None:
    opened = fixtures.run(tmp_path / "run", 3)
    summary = report.run(f"{opened.url}/")
    assert summary["out"] == f"{tmp_path}/run.html" and Path(summary["out"]).exists()


def test_shares_do_not_overstate() -> None:
    assert markup.percent(0, 0) == "–"
    assert markup.percent(0, 10**9) == "0\u00a0%" and markup.percent(1, 10**9) == "under 0.1\u00a0%"
    assert markup.percent(10**9, 10**9) == "100\u00a0%" and markup.percent(10**9 - 1, 10**9) == "over 99.9\u00a0%"
    assert markup.share(1, 3, "documents") == "1 of 3 documents"
    assert markup.share(1500, 3000) == "1,500 of 3,000 (50.0\u00a0%)"
    assert [markup.size(n) for n in (0, 999, 1234, 123_456_789, 10**13)] == [
        "0\u00a0bytes",
        "999\u00a0bytes",
        "1.23\u00a0kB",
        "123\u00a0MB",
        "10\u00a0TB",
    ]


def test_markup_escapes_all_but_markup() -> None:
    made = markup.element("p", "<b>&\x00\x1b", markup.element("i", "x"), None, ["a", 1], title='"<')
    assert made == '<p title="&quot;&lt;">&lt;b&gt;&amp;\ufffd\ufffd<i>x</i>a1</p>'


@pytest.mark.parametrize(
    ("top", "ticks"), [(0, [0, 1]), (1, [0, 1]), (3, [0, 1, 2, 3]), (7, [0, 2, 4, 6, 8]), (1000, [0, 250, 500, 750, 1000])]
)
def test_ticks_are_round_whole_numbers_that_reach_the_top(top: int, ticks: list[int]) -> None:
    assert svg.nice_ticks(top) == ticks


def test_a_long_label_is_cut_in_its_middle() -> None:
    cut = svg.shorten("a-very-long-subdomain.of-some.network.example", 120)
    assert svg.extent(cut) <= 120 and cut.startswith("a-very") and cut.endswith("example") and "…" in cut


def test_the_curve_marks_every_point_below_the_floor() -> None:
    drawn = svg.along("t", "d", [(10, 10), (10, 20), (10, 21), (30, 41)], Fraction(1, 2))
    assert drawn.count('class="bad"') == 1 and "below the floor: 47.62%" in drawn


def test_time_has_no_gaps_and_turns_to_years() -> None:
    unit, shown, undated = page.over_time([("2021-11", [1]), ("2022-02", [2]), ("no date", [3])])
    assert (unit, shown, undated) == ("month", [("2021-11", [1]), ("2021-12", [0]), ("2022-01", [0]), ("2022-02", [2])], [3])
    unit, shown, _ = page.over_time([("1999-11", [1]), ("2020-02", [2])])
    assert unit == "year" and len(shown) == 22 and shown[0] == ("1999", [1])
