"""Curating against a snapshot without texts: the same copies go as against the one with them, and each match says that it is an estimate."""

import json
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from pipelines import curate, report
from pipelines.cli import Job
from provenance.minhash import MinHash
from store import manifest
from store.errors import CheckFailed
from store.manifest import Opened
from tests import mixes
from tests.builders import prose

QUIET = Job(quiet=True)
NEAR = {"one word": 1, "two words": 2, "three words": 3}
"""Changed words of 200, well above the threshold: at most 15 of 196 shingles are new, a similarity of .86 or more."""


def edited(text: str, changes: int) -> str:
    words = text.split()
    for i in range(changes):
        words[(i + 1) * len(words) // (changes + 1)] = f"changed{i}"
    return " ".join(words)


def document(number: int, **more: Any) -> dict[str, Any]:
    text = prose(number, 200)
    return mixes.document(f"old-{number}", 0, text=text, word_count=len(text.split()), **more)


def crawled() -> dict[str, str]:
    """Texts of the crawl by id: exact copies, one of them with other white space, near copies, parts, and new texts."""
    found = {f"copy {n}": prose(n, 200) for n in range(6)} | {"copy spaced": "  " + prose(2, 200).replace(" ", "\n ")}
    found |= {f"near {what} {n}": edited(prose(n, 200), changes) for what, changes in NEAR.items() for n in range(6, 16)}
    found |= {f"half {n}": " ".join(prose(n, 200).split()[:100]) for n in range(16, 20)}
    found |= {f"new {n}": prose(1000 + n, 200) for n in range(20)}
    # Two equal near copies: what the first is dropped for, the second inherits.
    return found | {"near twin": edited(prose(6, 200), 2), "near twin again": edited(prose(6, 200), 2)}


def rows(opened: Opened, dataset: str) -> list[dict[str, Any]]:
    return [row for url in opened.files(dataset) for row in pq.read_table(url).to_pylist()]


class Curated:
    def __init__(self, folder: Path, against: list[Opened]):
        summary = curate.run([str(folder.parent / "crawl.jsonl")], str(folder), [snapshot.url for snapshot in against], QUIET)
        self.run = manifest.open_run(summary["run"])
        names = {row["key"]: row["id"] for row in rows(self.run, "documents")}
        held = {row["key"] for snapshot in against for row in rows(snapshot, "documents")}
        self.tags = {names[row["key"]]: row for row in rows(self.run, "tags")}
        self.dropped = {name: tag["canonical"] for name, tag in self.tags.items() if tag["canonical"] in held}
        self.matches = {(names[row["key"]], row["other"]): row for row in rows(self.run, "matches") if row["scope"] == "snapshot"}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    base = tmp_path_factory.mktemp("index-only")
    lines = ({"id": name, "text": text, "date": "2025-01-01T00:00:00Z"} for name, text in crawled().items())
    (base / "crawl.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    old = [document(n) for n in range(20)]
    full = mixes.snapshot(base / "full", old, sketch=MinHash())
    blind = mixes.snapshot(base / "blind", old, sketch=MinHash(), index_only=True)
    further = [("old-3", {"attestation": "corroborated", "witness": "an index"})]
    holed = mixes.snapshot(base / "holed", old, sketch=MinHash(), redact={"old-1": "erasure", "old-7": "erasure"}, further=further)
    return {
        "base": base,
        "old": {row["id"]: row["key"] for row in old},
        "blind snapshot": blind,
        "full": Curated(base / "against-full", [full]),
        "blind": Curated(base / "against-blind", [blind]),
        "holed": Curated(base / "against-holed", [holed]),
    }


def test_an_index_without_texts_has_none(made: dict[str, Any]) -> None:
    for row in rows(made["blind snapshot"], "documents"):
        assert [row[name] for name in ("text", "metadata", "id", "url", "file_path", "dump")] == [None] * 6


def test_the_same_copies_are_dropped_for_the_same_documents(made: dict[str, Any]) -> None:
    full, blind = made["full"], made["blind"]
    expected = {name for name in crawled() if name.startswith(("copy", "near"))}
    assert expected <= full.dropped.keys()
    assert {name: blind.dropped[name] for name in expected} == {name: full.dropped[name] for name in expected}
    assert not {name for name in blind.dropped if name.startswith("new")}
    assert {name: tag["origin"] for name, tag in blind.tags.items()} == {name: tag["origin"] for name, tag in full.tags.items()}
    assert {tag["origin"] for name, tag in blind.tags.items() if name.startswith("copy")} == {"human"}


def test_every_match_against_an_index_is_an_estimate_near_what_the_texts_measure(made: dict[str, Any]) -> None:
    measured, estimated = made["full"].matches, made["blind"].matches
    assert sum(row["exact"] for row in measured.values()) > len(measured) / 4, "the signatures leave too little in doubt to test"
    assert estimated and not any(row["exact"] for row in estimated.values())
    for pair in measured.keys() & estimated.keys():
        truth, guess = measured[pair], estimated[pair]
        assert guess["identical"] == truth["identical"] and guess["estimate"] == truth["estimate"]
        # What the signatures decided beyond doubt is told as they tell it, and the texts are not read.
        assert truth["exact"] or {**truth} == {**guess, "snapshot": truth["snapshot"]}
        # Four standard errors of the estimate at 128 permutations.
        assert guess["similarity"] == pytest.approx(truth["similarity"], abs=0 if truth["identical"] else 4 * (0.25 / 128) ** 0.5)
    assert {name for name, _ in estimated} >= {"near twin", "near twin again"}
    halves = [row for (name, _), row in estimated.items() if name.startswith("half")]
    assert all(row["containment"] > row["contained"] for row in halves)


def test_the_run_says_that_its_matches_are_estimates(made: dict[str, Any]) -> None:
    for name, blind in (("full", False), ("blind", True)):
        run = made[name].run
        assert [known["index_only"] for known in run.manifest["snapshots"]] == [blind]
        assert run.manifest["counts"]["pairs_estimated"] > 0
        report.run(run.url, str(made["base"] / f"{name}.html"))
        text = (made["base"] / f"{name}.html").read_text()
        assert ("holds no texts" in text) is blind


def test_redacted_documents_match_nothing_and_the_others_as_before(made: dict[str, Any]) -> None:
    full, holed, old = made["full"], made["holed"], made["old"]
    gone = {old["old-1"], old["old-7"]}
    assert holed.dropped == {name: key for name, key in full.dropped.items() if key not in gone}
    told = {pair: row for pair, row in full.matches.items() if pair[1] not in gone}
    assert {pair: {**row, "snapshot": None} for pair, row in holed.matches.items()} == {
        pair: {**row, "snapshot": None} for pair, row in told.items()
    }
    assert not {other for _, other in holed.matches} & gone


def test_a_copy_inherits_the_level_of_the_best_leaf(made: dict[str, Any]) -> None:
    assert made["full"].tags["copy 3"]["attestation"] == "captured"
    assert made["holed"].tags["copy 3"]["attestation"] == "corroborated"


def test_signatures_that_are_not_what_was_frozen_are_refused(made: dict[str, Any], tmp_path: Path) -> None:
    blind = mixes.snapshot(tmp_path / "blind", [document(n) for n in range(6, 9)], sketch=MinHash(), index_only=True)
    Path(blind.files("signatures")[0]).write_bytes(b"PAR1")
    with pytest.raises(CheckFailed, match="signatures/"):
        curate.run([str(made["base"] / "crawl.jsonl")], str(tmp_path / "run"), [blind.url], QUIET)
