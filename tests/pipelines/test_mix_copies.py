"""What the mix says of documents of the runs that resemble its human side: what it took, and what it left out."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.cards import KEPT_OUT
from pipelines.summary import show
from provenance.mixture import Ceilings
from provenance.schema import MATCHES
from store import manifest, tables
from store.manifest import Opened
from store.mixing import OF_RUNS, OF_SNAPSHOT
from store.verify_mix import verify_mix
from tests import mixes
from tests.match import planted
from tests.match.runs import DECLARE, curate, done, freeze, write_rows


def text(name: object, words: int = 120) -> str:
    return planted.prose("Latin", f"mixed {name}", words)


def near(name: object, edit: object) -> str:
    return planted.replace_run(text(name), 50, 3, (name, edit))


def rows(opened: Opened) -> list[dict[str, Any]]:
    return [row for url in opened.files("data") for row in pq.read_table(url).to_pylist()]


def drawn(opened: Opened) -> set[str]:
    """Names of the other documents."""
    return {row["id"] for row in rows(opened) if row["origin"] != "human"}


def unaccounted(opened: Opened) -> dict[str, Any]:
    """What is wrong with: crawled = taken + left over + kept out."""
    stated = opened.manifest["stated"]
    crawled = sum(of["documents"] for of in stated["crawled"].values())
    taken = len({row["key"] for row in rows(opened) if row["origin"] != "human"})
    left = sum(of["documents"] for of in stated["left_over"].values())
    out = {name: stated["kept_out"][name] for name in OF_RUNS}
    return {} if crawled == taken + left + sum(out.values()) else {"crawled": crawled, "taken": taken, "left": left} | out


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    base = tmp_path_factory.mktemp("mixed")
    freeze(write_rows(base / "old.parquet", {f"old-{n}": text(f"old-{n}") for n in range(12)}), base / "snapshot", *DECLARE)
    return base


def mixed(base: Path, folder: Path, crawl: dict[str, str], *options: object, floor: str = "0.1") -> tuple[Opened, dict[str, Any]]:
    write_rows(folder / "new/crawl.parquet", crawl)
    curate(folder / "new", folder / "run", [base / "snapshot"], *options)
    said = done(
        *("mix", folder / "run", "--snapshot", base / "snapshot", "--into", folder / "mix"),
        *("--floor", floor, "--min-attestation", "declared"),
    )
    return manifest.open_mix(str(folder / "mix")), said


CRAWL = {
    **{f"new-{n}": text(f"new-{n}") for n in range(6)},
    **{f"equal-{n}": text(f"old-{n}") for n in range(3)},
    "near old-5": near("old-5", "a"),
    "near old-6": near("old-6", "b"),
    "near old-6 again": near("old-6", "b"),
    "near new-1": near("new-1", "c"),
}


def test_protected_copies_are_counted_whether_they_enter_or_not(
    base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    opened, said = mixed(base, tmp_path, CRAWL, "--protect", "*")
    stated, names = opened.manifest["stated"], drawn(opened)
    assert stated["crawled"] == {"unknown": {"documents": 13, "bytes": sum(len(body.encode()) for body in CRAWL.values())}}
    assert stated["kept_out"] == dict.fromkeys((*OF_SNAPSHOT, *OF_RUNS), 0) | {"equal_to_human": 3, "equal_to_other": 1}
    assert len(names) == 9 and not names & {f"equal-{n}" for n in range(3)} and unaccounted(opened) == {}
    # Of two equal near copies one enters, whichever of them the match has measured.
    close = [name for name in names if name.startswith("near old")]
    size = sum(len(CRAWL[name].encode()) for name in close)
    assert len(close) == 2 and stated["near_human"] == {"documents": 2, "bytes": size} == said["near_human"]
    card = (tmp_path / "mix/README.md").read_text()
    assert f"Near copies of human documents among the others: 2 documents, {size:,} bytes." in card
    assert "Documents of the runs that were not drawn: 3 because they equal a human document of the snapshot, 1 because" in card
    show("mix", said)
    lines = [" ".join(line.split()) for line in capsys.readouterr().out.splitlines()]
    place = lines.index("near copies of human documents among the others")
    assert set(lines[place + 1 : place + 3]) == {"documents 2", f"bytes {size:,}"}
    place = lines.index("kept out")
    assert lines[place + 1 : place + 3] == ["equal to human 3", "equal to other 1"] and "redacted 0" not in lines
    assert verify_mix(str(tmp_path / "mix"), opened.manifest["snapshot"]["id"])["anchored"]


def test_near_copies_that_the_match_keeps_are_counted_where_they_enter(base: Path, tmp_path: Path) -> None:
    opened, _ = mixed(base, tmp_path, CRAWL, "--match.near=keep")
    again = {"near old-6", "near old-6 again"}
    assert drawn(opened) - again == {name for name in CRAWL if name.startswith(("new", "near"))} - again
    assert opened.manifest["stated"]["near_human"]["documents"] == 2 and unaccounted(opened) == {}


def test_a_near_copy_that_the_floor_leaves_over_is_not_counted_as_taken(base: Path, tmp_path: Path) -> None:
    opened, _ = mixed(base, tmp_path, CRAWL, "--match.near=keep", floor="0.8")
    stated = opened.manifest["stated"]
    close = {name for name in drawn(opened) if name.startswith("near old")}
    assert stated["left_over"]["unknown"]["documents"] > 0 and unaccounted(opened) == {}
    assert stated["near_human"]["documents"] == len(close)


def test_where_near_copies_went_nothing_is_said(base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened, said = mixed(base, tmp_path, CRAWL)
    assert opened.manifest["stated"]["near_human"] == {"documents": 0, "bytes": 0} and unaccounted(opened) == {}
    show("mix", said)
    assert "near copies" not in capsys.readouterr().out
    assert "Near copies" not in (tmp_path / "mix/README.md").read_text()


def test_every_reason_has_words_in_the_card() -> None:
    assert {source: tuple(reasons) for source, reasons in KEPT_OUT.items()} == {"the snapshot": OF_SNAPSHOT, "the runs": OF_RUNS}


def matched(target: Path, against: list[Opened], crawl: list[Any], pairs: list[dict[str, Any]]) -> Opened:
    """A run with rows of `matches`."""
    run = mixes.run(target, against, crawl)
    table = pa.Table.from_pylist([dict.fromkeys(MATCHES.names) | {"scope": "snapshot"} | pair for pair in pairs], schema=MATCHES)
    entry = tables.write(str(target), "matches/p-00000.parquet", table, MATCHES)
    body = {name: value for name, value in run.manifest.items() if name != "id"}
    return manifest.write(str(target), body | {"files": manifest.sorted_files([*body["files"], entry])})


def test_only_duplicates_of_human_documents_of_this_snapshot_or_one_before_it_count(tmp_path: Path) -> None:
    humans = [mixes.document(f"human-{n}", 900) for n in range(8)]
    machine = mixes.document("machine-2019", 600, eligible=False, ineligible_reason="markup")
    witnessed = [("human-0", {"attestation": "corroborated", "witness": "an index"})]
    frozen = mixes.snapshot(tmp_path / "snapshot", [*humans, machine], further=witnessed)
    assert frozen.parent is not None
    names = ["own", "of before", "elsewhere", "alike", "of a machine", "of the crawl", "gone"]
    found = {name: mixes.document(name, 300) for name in names}
    made: dict[str, dict[str, Any]] = {
        "own": {"snapshot": frozen.id},
        "of before": {"snapshot": frozen.parent},
        "elsewhere": {"snapshot": "f" * 64},
        "alike": {"snapshot": frozen.id, "duplicate": False},
        "of a machine": {"snapshot": frozen.id, "other": machine["key"]},
        "of the crawl": {"scope": "crawl"},
        "gone": {"snapshot": frozen.id},
    }
    pairs = [{"key": found[name]["key"], "other": humans[0]["key"], "duplicate": True} | pair for name, pair in made.items()]
    twice = [*pairs, pairs[0] | {"other": humans[1]["key"]}]
    # Of equal documents the one of the least key enters; that no pair names it makes it no less a near copy.
    found["equal to own"] = mixes.document("equal to own", 0, text=found["own"]["text"], key="0" * 32)
    crawl = [(row, "unknown", humans[0]["key"] if name == "gone" else None) for name, row in found.items()]
    opened = mixes.make(tmp_path / "mix", frozen, [matched(tmp_path / "run", [frozen], crawl, twice)])
    assert drawn(opened) == {*names, "equal to own"} - {"own", "gone"}
    size = found["own"]["byte_count"] + found["of before"]["byte_count"]
    assert opened.manifest["stated"]["near_human"] == {"documents": 2, "bytes": size}
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]


@pytest.mark.parametrize(
    "options", [{}, {"floor": "0.9"}, {"floor": "0.1", "shards": 3}, {"ceilings": Ceilings(machine_generated="0.1")}]
)
def test_every_document_of_the_runs_is_taken_left_over_or_kept_out(tmp_path: Path, options: dict[str, Any]) -> None:
    frozen, first = mixes.standard(tmp_path)
    known = {row["id"]: row for url in frozen.files("documents") for row in pq.read_table(url).to_pylist()}
    again = {row["id"]: row for url in first.files("documents") for row in pq.read_table(url).to_pylist()}
    crawl: list[tuple[dict[str, Any], str, str | None]] = [
        (mixes.document("equal", 0, text=known["human-3"]["text"]), "unknown", None),
        (mixes.document("equal, weak", 0, text=known["weak"]["text"]), "unknown", None),
        (mixes.document("equal, no human", 0, text=known["machine-2019"]["text"]), "unknown", None),
        (again["new-7"], "unknown", None),
        (mixes.document("new-8 elsewhere", 0, text=again["new-8"]["text"]), "unknown", None),
        (again["new-9"], "machine_generated", None),
        (mixes.document("translated", 400), "machine_translated", None),
        (mixes.document("second", 400), "unknown", None),
    ]
    opened = mixes.make(tmp_path / "mix", frozen, [first, mixes.run(tmp_path / "again", [frozen], crawl)], **options)
    assert unaccounted(opened) == {}
    out = {name: number for name, number in opened.manifest["stated"]["kept_out"].items() if number}
    # What one of the runs tags with an origin that is not allowed enters from no run: both of new-9.
    expected = {"origin_not_allowed": 9, "equal_to_human": 2, "equal_to_other": 2}
    if "ceilings" in options:
        expected = {"origin_not_allowed": 2, "equal_to_human": 2, "equal_to_other": 3}
    assert out == expected
    assert verify_mix(str(tmp_path / "mix"), frozen.id)["anchored"]
