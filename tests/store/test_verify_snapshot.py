"""Snapshots that are right in every file and wrong as a whole, and where in a damaged file the wrong begins."""

import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from provenance.identity import merkle_root
from provenance.schema import INDEXES, LEAVES, SNAPSHOT_DOCUMENTS
from store import files, manifest, tables
from store.damage import Decoder, hold
from store.manifest import Opened
from store.sampling import Sample
from store.verify_leaves import Joined, subtrees
from store.verify_snapshot import check_snapshot
from tests.store.frozen import HIDDEN, PERMUTATIONS, SIGNER, Builder, document, grown, hashed, key, leaf, names, simple

CLEAN: dict[str, Any] = {"wrong": [], "missing": [], "extra": [], "why": {}, "first_wrong_rows": {}}


def test_what_was_built_is_clean(tmp_path: Path) -> None:
    simple(tmp_path / "hidden", index_only=True)
    for opened in (simple(tmp_path / "one", signer=SIGNER), manifest.open_snapshot(str(tmp_path / "hidden"))):
        assert check_snapshot(opened).summary() == CLEAN
    first, middle, last = grown(tmp_path / "many", SIGNER)
    assert check_snapshot(last).summary() == CLEAN
    for older in (first, middle):
        found = check_snapshot(older)
        assert found.missing and not found.extra and not found.wrong
        assert set(found.why.values()) == {f"removed by redaction; version {last.id} replaces it"}


def test_every_byte_is_told_to_the_meter(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    told: list[int] = []
    check_snapshot(opened, told.append)
    assert sum(told) == sum(entry["size"] for entry in opened.manifest["files"])


@pytest.mark.parametrize("size", range(0, 70, 3))
@pytest.mark.parametrize("cut", [1, 5, 16])
def test_a_tree_joined_from_stretches_is_the_tree(size: int, cut: int) -> None:
    leaves = [bytes([at]) * 32 for at in range(size)]
    joined = Joined()
    for start in range(0, size, cut):
        for height, node in subtrees(start, b"".join(leaves[start : start + cut])):
            joined.push(height, node)
    assert (joined.size, joined.root) == (size, merkle_root(leaves))


def path_of(opened: Opened, dataset: str, number: int = 0) -> tuple[str, Path]:
    path = opened.entries(dataset)[number]["path"]
    return path, Path(opened.url) / path


def rewritten(opened: Opened, dataset: str, change: Callable[[list[dict[str, Any]]], None]) -> str:
    """Writes one file of a dataset anew, with changed rows."""
    path, file = path_of(opened, dataset)
    table = pq.read_table(file)
    rows = table.to_pylist()
    change(rows)
    tables.write(opened.url, path, pa.Table.from_pylist(rows, schema=table.schema), table.schema)
    return path


@pytest.mark.parametrize(
    ("dataset", "column", "value", "said"),
    [
        ("documents", "text", "another text", "text_sha256"),
        ("documents", "eligible", False, "eligible"),
        ("documents", "date_end", None, "date_end"),
        ("documents", "witness", "somebody", "witness"),
        ("documents", "byte_count", 7, "text_bytes"),
        ("documents", "key", "0" * 32, "no leaf"),
        ("leaves", "witness", "somebody", "is not the hash of its fields"),
        ("leaves", "index", 99, "its index is 99"),
        ("leaves", "leaf", "0" * 64, "is not the hash of its fields"),
    ],
)
def test_the_first_row_that_says_something_else_is_named(tmp_path: Path, dataset: str, column: str, value: Any, said: str) -> None:
    opened = simple(tmp_path)

    def change(rows: list[dict[str, Any]]) -> None:
        for at in (13, 8, 19):
            rows[at][column] = value

    path = rewritten(opened, dataset, change)
    found = check_snapshot(opened)
    assert (found.wrong, found.missing, found.extra, found.first_wrong_rows) == ([path], [], [], {path: 8})
    assert said in found.why[path]
    assert re.search("first wrong row: 8 ", found.why[path])


def test_leaves_out_of_order_are_named_where_the_order_breaks(tmp_path: Path) -> None:
    def change(rows: list[dict[str, Any]]) -> None:
        rows[4], rows[9] = rows[9] | {"index": rows[4]["index"]}, rows[4] | {"index": rows[9]["index"]}

    opened = simple(tmp_path)
    path = rewritten(opened, "leaves", change)
    found = check_snapshot(opened)
    assert found.first_wrong_rows == {path: 5}
    assert "out of order" in found.why[path]


def oracle(original: bytes, changed: bytes, folder: Path) -> int | None:
    """The first row that differs or cannot be decoded, column by column and row by row."""
    rows = []
    for name, data in (("a", original), ("b", changed)):
        (folder / name).write_bytes(data)
        decoder = Decoder(hold(str(folder / name), len(data)))
        rows.append([row for batch in decoder for row in batch.to_pylist()])
    return next(
        (at for at, (one, two) in enumerate(zip(*rows, strict=False)) if one != two),
        min(map(len, rows)) if len(rows[0]) != len(rows[1]) else None,
    )


@pytest.mark.parametrize(("dataset", "columns"), [("documents", ["text", "witness", "key"]), ("leaves", LEAVES.names)])
def test_the_first_wrong_row_of_a_flipped_file_is_exact(tmp_path: Path, dataset: str, columns: list[str]) -> None:
    opened = simple(tmp_path / "snapshot", 400)
    path, file = path_of(opened, dataset)
    data, rng, exact = file.read_bytes(), random.Random(5), 0
    metadata = pq.ParquetFile(file).metadata
    (tmp_path / "work").mkdir()
    for _ in range(25):
        chunks = [metadata.row_group(g).column(c) for g in range(metadata.num_row_groups) for c in range(metadata.num_columns)]
        chunk = rng.choice([chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in columns])
        place = chunk.data_page_offset + rng.randrange(chunk.total_compressed_size // 2)
        changed = bytearray(data)
        changed[place] ^= 1 << rng.randrange(8)
        file.write_bytes(changed)
        found = check_snapshot(opened)
        assert found.wrong == [path]
        expected = oracle(data, bytes(changed), tmp_path / "work")
        if expected is not None and expected > 0:
            exact += 1
            assert found.first_wrong_rows[path] == expected, (place, chunk.path_in_schema, found.why)
    assert exact >= 5


@pytest.mark.parametrize("dataset", ["signatures", "tags", "evidence", "rejects", *INDEXES])
def test_in_other_files_the_first_row_of_the_damaged_page_is_named(tmp_path: Path, dataset: str) -> None:
    opened = simple(tmp_path, 60)
    path, file = path_of(opened, dataset)
    metadata = pq.ParquetFile(file).metadata.row_group(0).column(0)
    data = bytearray(file.read_bytes())
    data[metadata.data_page_offset + metadata.total_compressed_size - 2] ^= 4
    file.write_bytes(data)
    found = check_snapshot(opened)
    assert (found.wrong, found.first_wrong_rows) == ([path], {path: 0})
    assert "CRC" in found.why[path] or "cannot be decoded" in found.why[path]


def test_a_file_whose_footer_is_gone_has_no_row(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    for dataset in ("documents", "leaves", "tags"):
        file = path_of(opened, dataset)[1]
        file.write_bytes(file.read_bytes()[:-5])
    found = check_snapshot(opened)
    assert sorted(found.wrong) == sorted(path_of(opened, dataset)[0] for dataset in ("documents", "leaves", "tags"))
    assert all("footer" in why for why in found.why.values()) and not found.first_wrong_rows


def test_missing_and_extra_files_are_named(tmp_path: Path) -> None:
    opened = simple(tmp_path, signer=SIGNER)
    path, file = path_of(opened, "bands")
    file.unlink()
    (tmp_path / "leaves/extra.parquet").write_bytes(b"PAR1")
    (tmp_path / "checkpoints/extra.txt").write_bytes(b"x")
    (tmp_path / f"checkpoints/{'0' * 64}.txt").write_bytes(b"x")
    found = check_snapshot(opened)
    assert (found.missing, found.wrong) == ([path], [])
    assert found.extra == [f"checkpoints/{'0' * 64}.txt", "checkpoints/extra.txt", "leaves/extra.parquet"]


def test_a_signed_snapshot_needs_its_checkpoint_and_an_unsigned_one_has_none(tmp_path: Path) -> None:
    opened = simple(tmp_path / "signed", signer=SIGNER)
    own = f"checkpoints/{opened.id}.txt"
    file = tmp_path / "signed" / own
    data = file.read_bytes()
    file.write_bytes(data.replace(b"\n40\n", b"\n41\n"))
    assert check_snapshot(opened).wrong == [own]
    file.unlink()
    assert check_snapshot(opened).missing == [own]
    bare = simple(tmp_path / "bare")
    files.write_bytes(f"{bare.url}/checkpoints/{bare.id}.txt", data)
    assert check_snapshot(bare).extra == [f"checkpoints/{bare.id}.txt"]


def forge(build: Callable[[Builder], Any], folder: Path, parent: Opened | None = None, **options: Any) -> tuple[Opened, Any]:
    """A snapshot whose every digest is right, made of rows that are wrong."""
    builder = Builder(folder, parent, **options)
    if parent is None:
        builder.add(names(30)).reject()
    build(builder)
    opened = builder.finish()
    return opened, check_snapshot(opened)


def _text(builder: Builder) -> None:
    row = document("other", 1)
    builder.documents[8] |= {name: row[name] for name in ("text", "content_id", "byte_count", "word_count")}


def _leaf_of_nobody(builder: Builder) -> None:
    builder.leaves.append(leaf(document("nobody", 1)))


def _no_leaf(builder: Builder) -> None:
    del builder.leaves[3]


def _twice(builder: Builder) -> None:
    builder.leaves.append(leaf(builder.documents[3]))


def _changed_leaf(builder: Builder) -> None:
    builder.leaves[3]["witness"] = "archive"


def _eligible(builder: Builder) -> None:
    builder.documents[4] |= {"eligible": True, "ineligible_reason": None}


def _unreasoned(builder: Builder) -> None:
    builder.documents[3]["ineligible_reason"] = "x"


@pytest.mark.parametrize(
    ("build", "dataset", "said"),
    [
        (_text, "documents", "text_sha256"),
        (_leaf_of_nobody, "manifests", "not one to one"),
        (_no_leaf, "documents", "it has no leaf"),
        (_twice, "leaves", "stands there twice"),
        (_changed_leaf, "leaves", "is not the hash of its fields"),
        (_eligible, "documents", "eligible"),
        (_unreasoned, "documents", "eligible exactly where"),
    ],
)
def test_rows_that_disagree_are_found_whatever_the_digests_say(tmp_path: Path, build: Any, dataset: str, said: str) -> None:
    found = forge(build, tmp_path)[1]
    assert [path.split("/")[0] for path in found.wrong] == [dataset]
    assert said in next(iter(found.why.values()))
    assert dataset == "manifests" or found.wrong[0] in found.first_wrong_rows


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"counts": {}}, "counts"),
        ({"redacted": {"leaves": 2, "removed": []}}, "leaves are redacted"),
        ({"consistency": ["0" * 64]}, "extends nothing"),
        ({"parent": "0" * 64}, "its parent is"),
    ],
)
def test_a_manifest_that_is_not_of_its_rows_is_wrong(tmp_path: Path, change: dict[str, Any], said: str) -> None:
    opened, found = forge(lambda builder: builder.body.update(change), tmp_path)
    assert found.wrong == [f"manifests/{opened.id}.json"]
    assert said in found.why[found.wrong[0]]


def test_a_tree_that_is_not_of_its_leaves_is_wrong(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    for tree in (
        opened.manifest["tree"] | {"root": "1" * 64, "extensions": [{"size": 40, "root": "1" * 64, "manifest": None}]},
        opened.manifest["tree"] | {"size": 39, "extensions": [opened.manifest["tree"]["extensions"][0] | {"size": 39}]},
        opened.manifest["tree"] | {"extensions": []},
    ):
        (Path(opened.url) / f"manifests/{opened.id}.json").unlink()
        opened = manifest.write_snapshot(opened.url, opened.manifest | {"tree": tree})
        found = check_snapshot(opened)
        assert found.wrong == [f"manifests/{opened.id}.json"] and "tree" in next(iter(found.why.values()))


def test_a_proof_that_does_not_lead_from_the_parent_is_wrong(tmp_path: Path) -> None:
    first = simple(tmp_path)
    middle = Builder(tmp_path, first).add(names(11, 40)).finish()
    proof = list(middle.manifest["consistency"])
    for nodes in (proof[::-1], proof[1:], []):
        forged = Builder(tmp_path, first).add(names(11, 40))
        forged.body = {"consistency": nodes}
        opened = forged.finish()
        where = f"manifests/{opened.id}.json"
        found = check_snapshot(opened)
        assert found.wrong == [where] and "consisten" in found.why[where]
        Path(opened.url, where).unlink()


def test_a_version_that_rewrites_its_parents_leaves_is_wrong(tmp_path: Path) -> None:
    first = simple(tmp_path)
    builder = Builder(tmp_path, first).add(names(5, 40))
    builder.old[3] |= {"witness": "somebody"}
    builder.old[3]["leaf"] = hashed(builder.old[3])
    opened = builder.finish()
    found = check_snapshot(opened)
    where = f"manifests/{opened.id}.json"
    assert found.wrong == [where] and "consisten" in found.why[where]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"witness": "index-a2"}, "on the word of one custodian"),
        ({}, "names no first leaf"),
        ({"names": "0" * 64}, "names no first leaf"),
        ({"text_sha256": "0" * 64}, "names no first leaf"),
        ({"text_bytes": 1}, "names no first leaf"),
        ({"key": key("document-4")}, "names no first leaf"),
        ({"eligible": False}, "names no first leaf"),
    ],
    ids=str,
)
def test_a_further_witness_names_the_first_leaf_of_the_same_text_on_another_custodians_word(
    tmp_path: Path, more: dict[str, Any], said: str
) -> None:
    first = simple(tmp_path)
    middle = Builder(tmp_path, first).witness("document-3", "index-a").finish()
    assert check_snapshot(middle).clean
    builder = Builder(tmp_path, middle)
    earlier = {"names": next(row for row in builder.old if row["names"])["leaf"]} if not more else {}
    builder.witness("document-3", **({"witness": "index-b"} | earlier | more))
    opened = builder.finish()
    found = check_snapshot(opened)
    assert found.wrong == [opened.entries("leaves")[-1]["path"]]
    assert said in found.why[found.wrong[0]]


def test_a_further_witness_names_no_later_leaf(tmp_path: Path) -> None:
    builder = Builder(tmp_path, simple(tmp_path)).witness("document-3", "index-b")
    opened = builder.witness("document-3", "index-a", names=builder.leaves[0]["leaf"]).finish()
    found = check_snapshot(opened)
    assert "names no first leaf" in found.why[opened.entries("leaves")[-2]["path"]]


def test_a_document_of_the_parent_has_no_second_first_leaf(tmp_path: Path) -> None:
    first = simple(tmp_path)
    builder = Builder(tmp_path, first).add(names(3, 40))
    builder.leaves.append(leaf(document("document-8", 8)))
    opened = builder.finish()
    found = check_snapshot(opened)
    assert any("second first leaf" in why and path.startswith("leaves/00001-") for path, why in found.why.items())


def test_an_index_only_snapshot_holds_no_text(tmp_path: Path) -> None:
    opened = simple(tmp_path, index_only=True)
    for name in HIDDEN:
        path, file = path_of(opened, "documents")
        rows = pq.read_table(file).to_pylist()
        rows[6][name] = "something"
        entry = tables.write(opened.url, path, pa.Table.from_pylist(rows, schema=SNAPSHOT_DOCUMENTS), SNAPSHOT_DOCUMENTS)
        (Path(opened.url) / f"manifests/{opened.id}.json").unlink()
        listed = [entry if other["path"] == path else other for other in opened.manifest["files"]]
        opened = manifest.write_snapshot(opened.url, opened.manifest | {"files": listed})
        found = check_snapshot(opened)
        assert (found.wrong, found.first_wrong_rows) == ([path], {path: 6})
        assert f"has a {name}" in found.why[path]
        rows[6][name] = None
        tables.write(opened.url, path, pa.Table.from_pylist(rows, schema=SNAPSHOT_DOCUMENTS), SNAPSHOT_DOCUMENTS)


def test_texts_of_documents_whose_rows_are_aligned_with_nothing_are_wrong(tmp_path: Path) -> None:
    def swap(rows: list[dict[str, Any]]) -> None:
        rows[2], rows[3] = rows[3], rows[2]

    for dataset in ("signatures", "tags"):
        opened = simple(tmp_path / dataset)
        path = rewritten(opened, dataset, swap)
        digest, size = files.file_digest(files.join(opened.url, path))
        listed = [
            entry | {"sha256": digest, "size": size} if entry["path"] == path else entry for entry in opened.manifest["files"]
        ]
        (Path(opened.url) / f"manifests/{opened.id}.json").unlink()
        opened = manifest.write_snapshot(opened.url, opened.manifest | {"files": listed})
        found = check_snapshot(opened)
        assert found.wrong == [path] and "key by key" in found.why[path]


REMAINS: list[tuple[str, Callable[[dict[str, Any]], dict[str, Any]]]] = [
    ("documents", lambda row: row | {"url": "https://example.org/document-3"}),
    ("documents", lambda row: row | {"content_id": "0" * 32}),
    ("signatures", lambda row: row | {"signature": [1] * PERMUTATIONS}),
    ("signatures", lambda row: row | {"shingles": 9}),
    ("tags", lambda row: row | {"origin": "human"}),
]


@pytest.mark.parametrize(("dataset", "change"), REMAINS)
def test_a_redacted_document_leaves_nothing_behind(tmp_path: Path, dataset: str, change: Any) -> None:
    first = simple(tmp_path)
    builder = Builder(tmp_path, first).redact(["document-3"])
    entry = next(
        e
        for e in builder.entries
        if e["path"].startswith(f"{dataset}/") and key("document-3") in [r["key"] for r in builder._rows(e)]
    )
    rows = builder._rows(entry)
    at = [row["key"] for row in rows].index(key("document-3"))
    rows[at] = change(rows[at])
    builder.entries.remove(entry)
    builder.write(entry["path"], rows)
    opened = builder.finish()
    found = check_snapshot(opened)
    assert (found.wrong, found.first_wrong_rows) == ([entry["path"]], {entry["path"]: at})


def test_evidence_and_indexes_of_a_redacted_document_are_found(tmp_path: Path) -> None:
    for dataset in ("evidence", *INDEXES):
        first = simple(tmp_path / dataset)
        builder = Builder(tmp_path / dataset, first)
        before = [entry for entry in builder.entries if entry["path"].startswith(f"{dataset}/")]
        builder.redact(["document-6"])
        builder.entries = [e for e in builder.entries if not e["path"].startswith(f"{dataset}/")] + before
        builder.removed = [path for path in builder.removed if not path.startswith(f"{dataset}/")]
        found = check_snapshot(builder.finish())
        assert found.extra and {path.split("/")[0] for path in found.wrong} == {dataset}, found.why
        assert set(found.wrong) == set(found.first_wrong_rows), "each with the row"


def test_what_a_redaction_removed_may_not_stay(tmp_path: Path) -> None:
    first = simple(tmp_path)
    opened = Builder(tmp_path, first).redact(["document-3"]).finish(remove=False)
    found = check_snapshot(opened)
    assert not found.wrong and not found.missing
    assert found.extra == sorted(opened.manifest["redacted"]["removed"])
    assert "still there" in found.why[found.extra[0]]
    assert check_snapshot(first).clean


def test_a_sample_looks_at_its_share_and_repeats_by_its_seed(tmp_path: Path) -> None:
    opened = simple(tmp_path, 60, parts=12)
    sampled = [check_snapshot(opened, sample=Sample(0.3, seed)).sampled or {} for seed in ("a", "a", "b")]
    assert sampled[0] == sampled[1] != sampled[2]
    assert sampled[0]["missed_if_this_many_files_changed"]["1"] <= 0.7 + 1e-9
    whole = check_snapshot(opened, sample=Sample(1.0, "c"))
    assert whole.clean and (whole.sampled or {})["missed_if_this_many_files_changed"] == {"1": 0.0, "10": 0.0}


DRAWS = 25


def test_a_sample_finds_a_changed_file_as_often_as_it_says(tmp_path: Path) -> None:
    opened = simple(tmp_path, 24, parts=6)
    path, file = path_of(opened, "signatures", 3)
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 1
    file.write_bytes(data)
    runs = [check_snapshot(opened, sample=Sample(0.5, str(seed))) for seed in range(DRAWS)]
    hits = sum(path in found.wrong for found in runs)
    stated = runs[0].sampled["missed_if_this_many_files_changed"]["1"] if runs[0].sampled else 1.0
    assert all(found.wrong in ([], [path]) for found in runs)
    # At most `stated` are missed; four standard deviations of as many draws are allowed for.
    assert hits / DRAWS >= 1 - stated - 4 * (stated * (1 - stated) / DRAWS) ** 0.5
    assert hits < DRAWS


def test_a_sample_always_checks_the_tree_the_listing_and_the_sizes(tmp_path: Path) -> None:
    tiny = Sample(0.001, "x")
    opened = simple(tmp_path, 60, parts=6)
    path = rewritten(opened, "leaves", lambda rows: rows[3].update(witness="x"))
    assert path in check_snapshot(opened, sample=tiny).wrong
    opened = simple(tmp_path / "sizes", 60, parts=6)
    for number in range(6):
        _, file = path_of(opened, "tags", number)
        file.write_bytes(file.read_bytes() + b"x")
    assert len(check_snapshot(opened, sample=tiny).wrong) >= 6


def test_a_sample_holds_the_texts_of_its_rows_against_the_leaves(tmp_path: Path) -> None:
    opened, found = forge(_text, tmp_path)
    assert found.wrong
    assert check_snapshot(opened, sample=Sample(1.0, "x")).wrong == found.wrong
    missed = [check_snapshot(opened, sample=Sample(0.2, str(seed))).clean for seed in range(30)]
    assert any(missed)
