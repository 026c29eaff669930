"""Indexes and sketches that are not of their documents, in snapshots whose every digest is right."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.sketching import sketcher
from provenance.bands import band_hashes
from provenance.schema import BANDS, INDEXES
from store import files, manifest, tables, verify_index
from store.integrity import Findings
from store.manifest import Opened
from store.sampling import Sample
from store.verify_manifest import hash_range, place
from store.verify_snapshot import check_snapshot
from tests.store.frozen import PERMUTATIONS, SKETCH, Builder, grown, names, simple

Rows = list[dict[str, Any]]


def check(opened: Opened, **options: Any) -> Findings:
    return check_snapshot(opened, sketch=sketcher(opened)[0], **options)


def listed(opened: Opened, entries: list[dict[str, Any]]) -> Opened:
    kept = {name: value for name, value in opened.manifest.items() if name not in ("kind", "schema_version", "data_version")}
    (Path(opened.url) / f"manifests/{opened.id}.json").unlink()
    return manifest.write_snapshot(opened.url, kept | {"files": manifest.sorted_files(entries)})


def refiled(opened: Opened, change: Callable[[str, Rows], Rows | None], schema: pa.Schema | None = None) -> Opened:
    """The snapshot with changed rows of each file of which `change` (path, rows) gives some."""
    entries = []
    for entry in opened.manifest["files"]:
        table = pq.read_table(Path(opened.url) / entry["path"])
        made = change(entry["path"], table.to_pylist())
        new = (
            None
            if made is None
            else tables.write(opened.url, entry["path"], pa.Table.from_pylist(made, table.schema), table.schema)
        )
        entries.append(new or entry)
    return listed(opened, entries)


def first(dataset: str, change: Callable[[Rows], Rows]) -> Callable[[str, Rows], Rows | None]:
    """A change of the first file of a dataset."""
    done = set[str]()

    def changed(path: str, rows: Rows) -> Rows | None:
        if not path.startswith(f"{dataset}/") or done:
            return None
        done.add(path)
        return change(rows)

    return changed


def ordered(rows: Rows) -> Rows:
    return sorted(rows, key=lambda row: (row["hash"], row["part"], row["row"]))


def at(number: int, **values: Any) -> Callable[[Rows], Rows]:
    return lambda rows: ordered([row | values if place == number else row for place, row in enumerate(rows)])


def repointed(rows: Rows) -> Rows:
    """One row names the next document of its file."""
    return at(3, row=(rows[3]["row"] + 1) % 20)(rows)


def moved(rows: Rows) -> Rows:
    return at(3, part=1 - rows[3]["part"])(rows)


def flipped(rows: Rows) -> Rows:
    return at(3, hash=rows[3]["hash"] ^ 1 << 40)(rows)


def unsampled(rows: Rows) -> Rows:
    return at(3, hash=rows[3]["hash"] + 1)(rows)


def dropped(rows: Rows) -> Rows:
    return rows[:3] + rows[4:]


def doubled(rows: Rows) -> Rows:
    return [*rows[:4], *rows[3:]]


def swapped(rows: Rows) -> Rows:
    return [*rows[:3], rows[4], rows[3], *rows[5:]]


def nowhere(rows: Rows) -> Rows:
    return at(3, row=20)(rows)


def out_of_range(rows: Rows) -> Rows:
    return ordered([*rows[:-1], rows[-1] | {"hash": (1 << 64) - 16}])


ATTACKS = [repointed, moved, flipped, dropped, doubled, swapped, nowhere, out_of_range]
SAID = {
    doubled: "not after the row",
    swapped: "not after the row",
    nowhere: "no document of its version",
    out_of_range: "not of the range",
}


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("dataset", INDEXES)
def test_a_changed_row_of_an_index_is_found_and_its_file_named(tmp_path: Path, dataset: str, attack: Any) -> None:
    opened = refiled(simple(tmp_path), first(dataset, attack))
    path = opened.entries(dataset)[0]["path"]
    found = check(opened)
    assert path in found.wrong, found.why
    assert {wrong.split("/")[0] for wrong in found.wrong} == {dataset}
    assert SAID.get(attack, "") in found.why[path]
    if attack is dropped:
        assert "lack" in found.why[path]
    else:
        assert path in found.first_wrong_rows


def test_the_row_that_points_elsewhere_is_named_and_whom_it_leaves_out(tmp_path: Path) -> None:
    opened = refiled(simple(tmp_path), first("ids", repointed))
    path = opened.entries("ids")[0]["path"]
    found = check(opened)
    assert found.first_wrong_rows == {path: 3} and "is not the content id of row" in found.why[path]
    assert "documents/00000-v0-0000" in found.why[path]


def test_a_sample_that_is_none_is_named(tmp_path: Path) -> None:
    opened = refiled(simple(tmp_path), first("samples", unsampled))
    found = check_snapshot(opened)
    assert "no multiple of 16" in found.why[opened.entries("samples")[0]["path"]]


@pytest.mark.parametrize("dataset", INDEXES)
def test_an_index_file_may_not_be_left_out_or_emptied(tmp_path: Path, dataset: str) -> None:
    opened = simple(tmp_path)
    path = opened.entries(dataset)[0]["path"]
    emptied = refiled(opened, first(dataset, lambda rows: []))
    assert check(emptied).wrong == [path] and "lack" in check(emptied).why[path]
    gone = listed(emptied, [entry for entry in emptied.manifest["files"] if entry["path"] != path])
    found = check(gone)
    assert found.wrong == [f"manifests/{gone.id}.json"] and f"{dataset} lack" in found.why[found.wrong[0]]
    assert found.extra == [path]


@pytest.mark.parametrize("dataset", INDEXES)
@pytest.mark.parametrize(
    "renamed",
    [
        lambda path: path.replace("of002", "of003"),
        lambda path: path.replace("-v0-", "-v1-"),
        lambda path: path.replace("r000of", "r0000of"),
        lambda path: path.replace("r000of", "r009of"),
        lambda path: path.replace("r000of002", "r000of000"),
        lambda path: path.replace(".parquet", "").replace("-r", ".r00000-r") + ".parquet",
        lambda path: (
            path.replace("-v0-b", "-v0-b00") if "-b" in path else path.replace("-v0", "-v0-b000").replace("-r000of002", "")
        ),
    ],
    ids=range(7),
)
def test_an_index_is_cut_once_and_its_files_have_one_name(tmp_path: Path, dataset: str, renamed: Callable[[str], str]) -> None:
    opened = simple(tmp_path)
    entry = opened.entries(dataset)[0]
    copy = tables.write(opened.url, renamed(entry["path"]), tables.read([f"{opened.url}/{entry['path']}"]), BANDS)
    forged = listed(opened, [*opened.manifest["files"], copy])
    assert check(forged).wrong == [f"manifests/{forged.id}.json"]


def test_places_and_ranges_of_index_files() -> None:
    assert place("ids/00002-ab-c.r00003-r001of002.parquet") == ("ids/00002-ab-c-r001of002", 2, 3)
    assert place("samples/00000-x-r000of001.parquet") == ("samples/00000-x-r000of001", 0, None)
    assert (
        place("ids/00000-x.parquet") is place("bands/00000-x-r000of001.parquet") is place("samples/00000-x-r00of1.parquet") is None
    )
    named = hash_range("bands/00001-x-b012-r002of003.parquet")
    assert named and named[:5] == ("bands", 1, 12, 2, 3)
    assert named.bounds == (0xAAAAAAAB00000000, 0xFFFFFFFFFFFFFFFF)
    assert hash_range("ids/00000-x-r002of002.parquet") is hash_range("documents/00000-x.parquet") is None


def test_row_groups_that_hide_their_rows_from_readers_are_wrong(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    path = opened.entries("ids")[0]["path"]
    file = tmp_path / path
    statistics = pq.ParquetFile(file).metadata.row_group(0).column(0).statistics
    least = statistics.min.to_bytes(8, "little")
    data = file.read_bytes()
    assert data.count(least) > 1
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    head, tail = data[:footer], data[footer:]
    file.write_bytes(head + tail.replace(least, (statistics.max - 1).to_bytes(8, "little")))
    told = pq.ParquetFile(file).metadata.row_group(0).column(0).statistics
    assert told.min > statistics.min
    digest, size = files.file_digest(str(file))
    entries = [e | {"sha256": digest, "size": size} if e["path"] == path else e for e in opened.manifest["files"]]
    found = check_snapshot(listed(opened, entries))
    assert found.wrong == [path] and found.first_wrong_rows == {path: 0} and "least and greatest" in found.why[path]


def test_a_version_indexes_its_own_documents(tmp_path: Path) -> None:
    first_version = simple(tmp_path)
    child = Builder(tmp_path, first_version).add(names(8, 100)).finish()

    def change(path: str, rows: Rows) -> Rows | None:
        return [*rows[:-1], rows[-1] | {"part": 0}] if path.startswith("ids/00001-") else None

    found = check(refiled(child, change))
    assert all("its version" in why for why in found.why.values()) and found.wrong


def resigned(opened: Opened, change: Callable[[int, list[int]], tuple[list[int], int]]) -> Opened:
    """Other signatures (and numbers of shingles), with bands that are of them."""
    parts = [entry["path"] for entry in opened.entries("documents")]
    made: dict[tuple[int, int], tuple[list[int], int]] = {}
    for number, path in enumerate(parts):
        rows = pq.read_table(Path(opened.url) / path.replace("documents/", "signatures/")).to_pylist()
        for row, values in enumerate(rows):
            old = values["signature"], values["shingles"]
            made[number, row] = change(row, old[0]) if number == 0 else old

    def changed(path: str, rows: Rows) -> Rows | None:
        if path.startswith("signatures/"):
            number = parts.index(path.replace("signatures/", "documents/"))
            return [row | dict(zip(("signature", "shingles"), made[number, at], strict=True)) for at, row in enumerate(rows)]
        if path.startswith("bands/"):
            named = hash_range(path)
            assert named
            some = {
                key: band_hashes(np.array([minima], np.uint32), SKETCH, [named.band])[0, 0]
                for key, (minima, n) in made.items()
                if n
            }
            rows = [{"hash": int(hashed), "part": part, "row": row} for (part, row), hashed in some.items()]
            return ordered([row for row in rows if named.bounds[0] <= row["hash"] <= named.bounds[1]])
        return None

    return refiled(opened, changed)


def test_signatures_that_are_not_of_their_texts_are_found(tmp_path: Path) -> None:
    opened = resigned(simple(tmp_path), lambda row, old: ([7, 8, 9, 10 + row], 5) if row == 6 else (old, 57))
    path = opened.entries("signatures")[0]["path"]
    assert path in check(opened).wrong and "not that of its document's text" in check(opened).why[path]


def test_the_first_signature_that_is_not_of_its_text_is_named(tmp_path: Path) -> None:
    built = simple(tmp_path)
    path = built.entries("signatures")[0]["path"]
    counts = pq.read_table(tmp_path / path)["shingles"].to_pylist()
    found = check(resigned(built, lambda row, old: ([7, 8, 9, 10], counts[row]) if row in (6, 9) else (old, counts[row])))
    assert (found.wrong, found.first_wrong_rows) == ([path], {path: 6})


def test_a_signature_without_shingles_is_empty_and_its_document_has_no_samples(tmp_path: Path) -> None:
    opened = resigned(simple(tmp_path), lambda row, old: (old, 0) if row == 6 else (old, 57))
    path = opened.entries("signatures")[0]["path"]
    found = check_snapshot(opened)
    assert found.first_wrong_rows == {path: 6} and "has no shingles" in found.why[path]
    empty = [2**32 - 1] * PERMUTATIONS
    opened = resigned(simple(tmp_path / "two"), lambda row, old: (empty, 0) if row == 6 else (old, 57))
    found = check_snapshot(opened)
    assert found.wrong and all(
        path.startswith("samples/") and "has no shingles or is redacted" in found.why[path] for path in found.wrong
    )


@pytest.mark.parametrize("value", [None, [None] * PERMUTATIONS])
def test_minima_that_are_null_are_wrong(tmp_path: Path, value: Any) -> None:
    opened = refiled(simple(tmp_path), first("signatures", lambda rows: [rows[0] | {"signature": value}, *rows[1:]]))
    path = opened.entries("signatures")[0]["path"]
    found = check(opened)
    assert found.wrong == [path] and re.search("has no value|Expected all lists", found.why[path])


def test_a_document_without_its_samples_is_found_by_its_text(tmp_path: Path) -> None:
    opened = refiled(
        simple(tmp_path),
        lambda path, rows: [r for r in rows if (r["part"], r["row"]) != (1, 4)] if path.startswith("samples/") else None,
    )
    assert check_snapshot(opened).clean, "nothing but the text tells"
    found = check(opened)
    assert found.wrong and all(path.startswith("samples/") for path in found.wrong)
    assert "lack a sampled shingle of row 4 of documents/00000-v0-00001" in next(iter(found.why.values()))


def other_id(path: str, rows: Rows) -> Rows | None:
    """Row 5 of the first documents file and its row in ids, under another content id."""
    if path.startswith("documents/00000-v0-00000"):
        return [row | {"content_id": "7" * 32} if at == 5 else row for at, row in enumerate(rows)]
    if path.startswith("ids/"):
        kept = [row for row in rows if (row["part"], row["row"]) != (0, 5)]
        return ordered([*kept, {"hash": 0x7777777777777777, "part": 0, "row": 5}]) if "r000of" in path else kept
    return None


def test_a_content_id_that_is_not_its_texts_is_found_where_there_is_a_text(tmp_path: Path) -> None:
    found = check(refiled(simple(tmp_path / "text"), other_id))
    assert found.wrong == ["documents/00000-v0-00000.parquet"] and "content_id is not its text's" in found.why[found.wrong[0]]
    assert check(refiled(simple(tmp_path / "none", index_only=True), other_id)).clean, "SPEC section 4 says so"


@pytest.mark.parametrize("value", [None, "", "7" * 31, "7" * 31 + "G", "7" * 33, " " * 32])
def test_a_content_id_has_its_form(tmp_path: Path, value: str | None) -> None:
    changed = first("documents", lambda rows: [rows[0], rows[1] | {"content_id": value}, *rows[2:]])
    opened = refiled(simple(tmp_path, index_only=True), changed)
    path = opened.entries("documents")[0]["path"]
    assert check(opened).first_wrong_rows == {path: 1}


def test_large_files_are_drawn_from_and_small_ones_taken_whole(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    index = verify_index.Index(opened, bytes(range(32)), sketcher(opened)[0])
    index.rows = np.array([10, 1 << 16])
    index._steps = np.clip(index.rows // verify_index.LEAST, 1, verify_index.STEP).astype(np.uint64)
    for part, low, high in ((0, 10, 10), (1, 3700, 4500)):  # 4,096 expected; 6 standard deviations
        rows = np.arange(index.rows[part])
        assert low <= index.draws(np.full(len(rows), part), verify_index.location(part, rows)).sum() <= high
    assert not verify_index.Index(opened, bytes(32)).draws(np.zeros(5, np.int64), np.arange(5, dtype=np.uint64)).any()


def test_sums_tell_documents_values_and_secrets_apart() -> None:
    opened = Opened("", "", {"files": [], "parameters": {"minhash": {}}})
    index = verify_index.Index(opened, bytes(range(32)))
    locations = verify_index.location(np.array([0, 1, 1]), np.array([5, 5, 6]))
    sums = {index.sum(locations[[a]], np.array([b], np.uint64)) for a in range(3) for b in range(3)}
    assert len(sums) == 9
    assert index.sum(locations, locations) == index.sum(locations[::-1], locations[::-1])
    assert index.sum(locations, locations) != verify_index.Index(opened, bytes(32)).sum(locations, locations)


def test_a_bit_of_a_minimum_of_any_width_changes_its_sum() -> None:
    index = verify_index.Index(Opened("", "", {"files": [], "parameters": {"minhash": {}}}), bytes(range(32)))
    where, counts = verify_index.location(0, np.array([4])), np.array([57], np.int32)
    for kind in (np.uint32, np.uint64):
        minima = np.full((1, PERMUTATIONS), np.iinfo(kind).max - 9, kind)
        sums = {
            index.signed(where, minima, counts),
            index.signed(where, minima, counts + 1),
            index.signed(where, minima[:, ::-1], counts),
        }
        for bit in range(np.iinfo(kind).bits):
            changed = minima.copy()
            changed[0, 2] ^= kind(1 << bit)
            sums |= {index.signed(where, changed, counts), index.signed(where, changed[:, ::-1], counts)}
        assert len(sums) == 2 + 2 * np.iinfo(kind).bits


def test_bands_are_hashed_as_the_writer_does() -> None:
    for kind in (np.uint32, np.uint64):
        minima = np.random.default_rng(3).integers(0, np.iinfo(kind).max, (50, PERMUTATIONS), kind)
        ours = np.column_stack(list(verify_index.band_hashes(minima, 2, range(2))))
        assert (ours == band_hashes(minima, SKETCH)).all()


def test_grown_and_redacted_versions_with_sketches_are_clean(tmp_path: Path) -> None:
    for opened in grown(tmp_path)[-1:]:
        assert check(opened).clean
        assert check(opened, sample=Sample(1.0, "x")).clean


def test_a_sample_goes_through_the_index_files_that_it_draws(tmp_path: Path) -> None:
    opened = refiled(simple(tmp_path), first("samples", swapped))
    path = opened.entries("samples")[0]["path"]
    assert check_snapshot(opened, sample=Sample(1.0, "x")).first_wrong_rows == {path: 4}
