"""Ranks and equal identity forms: who comes first, and which reference document a copy points to."""

import datetime
import hashlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from pipelines import indexing
from pipelines.ranking import EQUAL, FOUND, RANKED, FindEqual, RankDocuments, RelateDocuments, places
from provenance import minhash, schema
from provenance.postings import LEFT_OUT, Layout, Postings
from store import files, index, tables

DAY = datetime.datetime(2020, 1, 1, tzinfo=datetime.UTC)
OPTIONS = minhash.MinHash()


def content(name: str) -> str:
    return hashlib.sha256(name.encode()).hexdigest()[:32]


def table(rows: list[dict[str, Any]], kind: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([{name: row.get(name) for name in kind.names} for row in rows], schema=kind)


def written(base: Path, path: str, rows: list[dict[str, Any]], kind: pa.Schema) -> str:
    tables.write(str(base), path, table(rows, kind), kind)
    return files.join(str(base), path)


def document(key: str, text: str, level: str = "captured", day: int = 0, path: str = "a.warc", **more: Any) -> dict[str, Any]:
    end = DAY + datetime.timedelta(days=day)
    return {"key": key, "content_id": content(text), "attestation": level, "date_end": end, "file_path": path, **more}


def ranked(base: Path, parts: list[list[dict[str, Any]]], protected: list[str], addresses: bool = False) -> list[dict[str, Any]]:
    urls = [written(base, f"documents/{i}.parquet", rows, schema.DOCUMENTS) for i, rows in enumerate(parts)]
    receipt = RankDocuments({"folder": str(base)}).part({"documents": urls, "protected": protected, "addresses": addresses})
    assert [entry["rows"] for entry in receipt["files"]] == [len(rows) for rows in parts]
    return tables.read([files.join(str(base), entry["path"]) for entry in receipt["files"]], schema=RANKED).to_pylist()


CRAWL = [
    [document("late", "x", day=9), document("none", "y", "none")],
    [],
    [document("early", "x", day=1), document("stamped", "z", "timestamped", day=30), document("held", "y", "none", 99, "keep/b")],
]


def test_ranks_follow_attestation_then_time_and_the_first_of_each_form_is_known(tmp_path: Path) -> None:
    found = {row["key"]: row for row in ranked(tmp_path, CRAWL, [])}
    assert sorted(found, key=lambda key: found[key]["rank"]) == ["stamped", "early", "late", "none", "held"]
    assert {key: row["first"] for key, row in found.items()} == {"stamped": 0, "early": 1, "late": 1, "none": 3, "held": 3}
    assert all(row["form"] == row["first"] for row in found.values())
    assert [(row["part"], row["row"], row["key"]) for row in found.values()] == [
        (0, 0, "late"),
        (0, 1, "none"),
        (2, 0, "early"),
        (2, 1, "stamped"),
        (2, 2, "held"),
    ]


def test_documents_of_protected_sources_come_before_all_others(tmp_path: Path) -> None:
    found = {row["key"]: row for row in ranked(tmp_path, CRAWL, ["keep/b"])}
    assert (found["held"]["rank"], found["none"]["first"]) == (0, 0)
    assert [key for key, row in found.items() if row["protected"]] == ["held"]


def test_only_firsts_that_are_not_set_apart_have_a_place(tmp_path: Path) -> None:
    rows = ranked(tmp_path, [CRAWL[0] + CRAWL[2]], [])
    url = files.join(str(tmp_path), "ranked/00000.parquet")
    assert [row["key"] for row in rows] == ["late", "none", "early", "stamped", "held"]
    assert places(url).tolist() == [LEFT_OUT, 3, 1, 0, LEFT_OUT]
    assert places(url, pa.array([0, 3]).to_numpy()).tolist() == [LEFT_OUT, LEFT_OUT, 1, LEFT_OUT, LEFT_OUT]


def test_one_text_at_several_addresses_has_a_first_at_each(tmp_path: Path) -> None:
    urls = ["http://u/", "http://v/", None, "http://u/#top", "", "http://v/"]
    rows = [document(f"d{i}", "x", day=i, url=url) for i, url in enumerate(urls)] + [document("d6", "y", day=6, url="http://u/")]
    found = ranked(tmp_path, [rows], [], addresses=True)
    assert [(row["form"], row["first"]) for row in found] == [(0, 0), (0, 1), (0, 2), (0, 0), (0, 2), (0, 1), (6, 6)]
    url = files.join(str(tmp_path), "ranked/00000.parquet")
    assert places(url).tolist() == [0] + [LEFT_OUT] * 5 + [6]
    assert places(url, addresses=True).tolist() == [0, 1, 2, LEFT_OUT, LEFT_OUT, LEFT_OUT, 6]
    assert places(url, pa.array([0]).to_numpy(), addresses=True).tolist() == [LEFT_OUT] * 6 + [6]


def test_protected_copies_of_a_reference_are_looked_up_by_address(tmp_path: Path) -> None:
    rows = [document("held", "x", path="keep/b", url="http://u/"), document("loose", "x", url="http://v/")]
    ranked(tmp_path, [rows], ["keep/b"], addresses=True)
    url, apart = files.join(str(tmp_path), "ranked/00000.parquet"), pa.array([0]).to_numpy()
    assert places(url, apart).tolist() == [LEFT_OUT, LEFT_OUT]
    assert places(url, apart, addresses=True).tolist() == [0, LEFT_OUT]


def leaf(number: int, key: str, level: str, eligible: bool, day: int = 0, redacted: str | None = None) -> dict[str, Any]:
    end = DAY + datetime.timedelta(days=day)
    bound = {"attestation": level, "eligible": eligible, "date_end": end, "payload_digest": ""}
    return {"index": number, "key": key, **(dict.fromkeys(bound) if redacted else bound), "redacted": redacted}


def reference(base: Path, name: str, documents: list[dict[str, Any]], leaves: list[dict[str, Any]] | None) -> dict[str, Any]:
    """A snapshot of some documents, or an earlier run where there are no leaves."""
    kind = schema.DOCUMENTS if leaves is None else schema.SNAPSHOT_DOCUMENTS
    hashes = sorted((int(row["content_id"][:16], 16), number) for number, row in enumerate(documents))
    path = index.path(name, "ids", 0, 0, 1)
    index.write(
        str(base),
        path,
        pa.array([h for h, _ in hashes], pa.uint64()).to_numpy(),
        pa.array([n for _, n in hashes], pa.int64()).to_numpy(),
    )
    return {
        "kind": "run" if leaves is None else "snapshot",
        "ids": [files.join(str(base), path)],
        "documents": [written(base, f"{name}/documents.parquet", documents, kind)],
        "leaves": [] if leaves is None else [written(base, f"{name}/leaves.parquet", leaves, schema.LEAVES)],
    }


def related(base: Path, texts: list[str], references: list[dict[str, Any]]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """What the stages `equal` and `relate` find for crawl documents of some texts, by `first`, and the touched files."""
    rows = [document(f"new{i}", text, day=i) for i, text in enumerate(texts)]
    ranked(base, [rows], [])
    gathered, layout = Postings(OPTIONS), Layout.sized(OPTIONS, len(rows), 0)
    signatures = minhash.minhash(pa.array(texts), OPTIONS)
    ids = pa.array([row["content_id"] for row in rows])
    gathered.add(minhash.matrix(signatures["signature"]), signatures["shingles"].to_numpy(), ids)
    entry = indexing.write_postings(str(base), "part-0", gathered)
    equal = FindEqual({"folder": str(base), "layout": list(layout), "references": references})
    equal.setup()
    part = {"ranked": files.join(str(base), "ranked/00000.parquet"), "postings": files.join(str(base), entry["path"])}
    (partition,) = layout.kind("ids")
    blobs = [blob for _, blob in equal.split(part, frozenset([partition]))]
    receipt = equal.join(partition, blobs)
    found = [files.join(str(base), entry["path"]) for entry in receipt["files"]]
    assert tables.read(found, schema=FOUND).num_rows == receipt["found"]
    relate = RelateDocuments({"folder": str(base), "references": references})
    documents = [files.join(str(base), "documents/0.parquet")]
    made = relate.part({"found": found, "documents": documents, "ranked": [part["ranked"]]})
    rows = tables.read([files.join(str(base), "equal.parquet")], schema=EQUAL).to_pylist()
    assert made["equal"] == len(rows)
    return receipt["touched"], rows


def test_a_copy_points_to_the_eligible_document_of_the_best_leaf(tmp_path: Path) -> None:
    one = reference(
        tmp_path,
        "one",
        [document("weak", "x", eligible=True), document("strong", "x", "timestamped", eligible=False), document("gone", "y")],
        [leaf(0, "weak", "captured", True), leaf(1, "strong", "timestamped", False), leaf(2, "weak", "corroborated", True, 5)],
    )
    two = reference(tmp_path, "two", [document("other", "x", eligible=True)], [leaf(0, "other", "captured", True, -9)])
    touched, rows = related(tmp_path, ["x", "new", "x"], [one, two])
    # The ineligible one is better attested, and the other snapshot's is older, but a second leaf lifts the first.
    wanted = {"first": 0, "scope": 0, "reference": "weak", "eligible": True, "reference_attestation": "corroborated"}
    assert rows == [wanted] and touched == {"0": [0], "1": [0]}


def test_an_earlier_run_never_makes_eligible_and_comes_after_snapshots_that_do(tmp_path: Path) -> None:
    snapshot = reference(tmp_path, "snapshot", [document("frozen", "x", eligible=True)], [leaf(0, "frozen", "captured", True)])
    run = reference(tmp_path, "run", [document("x", "x", "timestamped"), document("y", "y")], None)
    _, rows = related(tmp_path, ["y", "x"], [snapshot, run])
    assert [(row["scope"], row["reference"], row["eligible"]) for row in rows] == [(1, "y", False), (0, "frozen", True)]


@pytest.mark.parametrize("leaves", [[], [leaf(0, "frozen", "captured", True, redacted="asked")]], ids=["no leaf", "redacted"])
def test_a_document_without_a_leaf_that_says_so_is_not_eligible(tmp_path: Path, leaves: list[dict[str, Any]]) -> None:
    _, rows = related(tmp_path, ["x"], [reference(tmp_path, "one", [document("frozen", "x", eligible=True)], leaves)])
    assert [(row["reference"], row["eligible"]) for row in rows] == [("frozen", False)]


def test_a_document_that_does_not_say_so_itself_is_not_eligible(tmp_path: Path) -> None:
    flagged = reference(tmp_path, "one", [document("frozen", "x", eligible=False)], [leaf(0, "frozen", "captured", True)])
    _, rows = related(tmp_path, ["x"], [flagged])
    assert [(row["reference"], row["eligible"]) for row in rows] == [("frozen", False)]


def test_ids_that_only_begin_alike_are_not_equal(tmp_path: Path) -> None:
    close = document("close", "x", eligible=True) | {"content_id": content("x")[:16] + "0" * 16}
    touched, rows = related(tmp_path, ["x"], [reference(tmp_path, "one", [close], [leaf(0, "close", "captured", True)])])
    assert rows == [] and touched == {"0": [0]}
