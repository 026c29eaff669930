"""Snapshots rewritten by whoever can write every file but the id that the user trusts, or made by one who is not to be trusted."""

import copy
import hashlib
import json
import random
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import verify
from provenance.identity import Leaf, Tree, canonical_json
from provenance.schema import INDEXES, LEAVES, SNAPSHOT_DOCUMENTS
from store import manifest, sql, verify_snapshot
from store.manifest import Opened
from tests.store.frozen import PERMUTATIONS, SIGNER, WITNESSES, Builder, Signer, document, hashed, iso, key, leaf, names, simple

LATE = datetime(2025, 1, 1, tzinfo=UTC)
CHECKSUMS = {"kind": "checksums", "custodian": "Archive C", "published": "2020-01-01T00:00:00.000000Z", "sha256": ["6" * 64]}


def put(folder: str | Path, path: str, table: pa.Table) -> dict[str, Any]:
    file = Path(folder) / path
    file.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table, file)
    data = file.read_bytes()
    return {"path": path, "sha256": hashlib.sha256(data).hexdigest(), "size": len(data), "rows": table.num_rows}


def remade(opened: Opened, **body: Any) -> Opened:
    kept = {n: v for n, v in opened.manifest.items() if n not in ("kind", "schema_version", "data_version")}
    (Path(opened.url) / f"manifests/{opened.id}.json").unlink()
    return manifest.write_snapshot(opened.url, kept | body)


def refiled(opened: Opened, change: Callable[[str, pa.Table], pa.Table | None], **body: Any) -> Opened:
    entries = []
    for entry in opened.manifest["files"]:
        made = change(entry["path"].split("/")[0], pq.read_table(Path(opened.url) / entry["path"]))
        entries.append(entry if made is None else put(opened.url, entry["path"], made))
    return remade(opened, files=entries, **body)


def rows(table: pa.Table, **values: Any) -> pa.Table:
    return pa.Table.from_pylist([row | values for row in table.to_pylist()], schema=table.schema)


def refused(opened: Opened, said: str, anchor: str | None = None) -> bool:
    """Whether verify fails, and says so."""
    found = verify.run(f"{opened.url}@{opened.id}", anchor or opened.id, quiet=True)
    assert found["exit_code"] == 1
    return any(re.search(said, why) for why in found["why"].values())


def test_a_listed_file_of_leaves_of_another_name_does_not_switch_the_tree_off(tmp_path: Path) -> None:
    first = simple(tmp_path)
    child = Builder(tmp_path, first).add(names(2, 100)).finish()

    texts: dict[str, dict[str, Any]] = {}
    entries = []
    for entry in child.manifest["files"]:
        table, dataset = pq.read_table(tmp_path / entry["path"]), entry["path"].split("/")[0]
        path = entry["path"].replace("-v", "-w")
        if dataset == "documents":
            made = [row | {"text": "EVIL", "byte_count": 4} for row in table.to_pylist()]
            texts |= {row["key"]: row for row in made}
            entries.append(put(tmp_path, path, pa.Table.from_pylist(made, schema=table.schema)))
        elif dataset in ("signatures", "tags"):
            entries.append(put(tmp_path, path, table))
        elif dataset != "leaves":
            entries.append(entry)
    for entry in child.manifest["files"]:
        if entry["path"].startswith("leaves/"):
            old = pq.read_table(tmp_path / entry["path"]).to_pylist()
            made = [leaf(texts[row["key"]]) | {"index": row["index"]} for row in old]
            entries.append(put(tmp_path, entry["path"].replace("-v", "-w"), pa.Table.from_pylist(made, schema=LEAVES)))
    entries.append(put(tmp_path, "leaves/99999-x", LEAVES.empty_table()))
    sizes = {level: 4 * number for level, number in child.manifest["counts"]["eligible"].items()}
    forged = remade(child, files=manifest.sorted_files(entries), counts=child.manifest["counts"] | {"eligible_bytes": sizes})
    for file in tmp_path.rglob("*.parquet"):
        if str(file.relative_to(tmp_path)) not in {entry["path"] for entry in entries}:
            file.unlink()
    assert refused(forged, "leaves/99999-x.{0,9}, which is no", first.id)


def test_every_leaf_that_the_tree_covers_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("leaves/00009-x.parquet", "leaves/00000-x.r00001.parquet", "leaves/00000-z.parquet"):
        opened = simple(tmp_path)
        more = put(tmp_path, name, LEAVES.empty_table())
        assert refused(remade(opened, files=manifest.sorted_files([*opened.manifest["files"], more])), "extensions|holds more")
        shutil.rmtree(tmp_path)
    opened = simple(tmp_path / "other")
    read = verify_snapshot._Check._rows
    skipped = opened.entries("leaves")[0]["path"]
    monkeypatch.setattr(
        verify_snapshot._Check,
        "_rows",
        lambda self, dataset, held, entry, result: skipped == result.path or read(self, dataset, held, entry, result),
    )
    assert refused(opened, "its rows were not gone through")


def test_files_without_the_suffix_are_no_way_round_the_rows(tmp_path: Path) -> None:
    opened, entries = simple(tmp_path), []
    for entry in opened.manifest["files"]:
        if entry["path"].split("/")[0] in ("documents", "leaves", "signatures", "tags"):
            table = pq.read_table(tmp_path / entry["path"])
            (tmp_path / entry["path"]).unlink()
            table = rows(table, text="EVIL") if entry["path"].startswith("documents") else table
            entry = put(tmp_path, entry["path"].removesuffix(".parquet") + ".pq", table)
        entries.append(entry)
    none = {"documents": 0, "records": 3, "leaves": 0, "eligible": {}, "eligible_bytes": {}, "ineligible": {}}
    assert refused(remade(opened, files=manifest.sorted_files(entries), counts=opened.manifest["counts"] | none), r"\.pq")


@pytest.mark.parametrize(
    "values",
    [
        {"names": None},
        {"names": None, "text_sha256": "0" * 64, "key": "f" * 32},
        {"names": "f" * 63},
        {"witness": None},
        {"attestation": None},
        {"eligible": None},
        {"text_bytes": None},
        {"text_bytes": -1},
        {"payload_digest": None},
        {"extractor": "e" * 63 + "E"},
        {"rules": ""},
        {"key": "F" * 32},
        {"text_sha256": None},
    ],
    ids=str,
)
def test_a_leaf_has_no_field_that_is_null_or_of_another_kind(tmp_path: Path, values: dict[str, Any]) -> None:
    first = simple(tmp_path)
    builder = Builder(tmp_path, first)
    base = next(row for row in builder.old if row["key"] == key("document-3"))
    row = (
        {name: base[name] for name in Leaf._fields}
        | {"attestation": "timestamped", "witness": "index-a", "names": base["leaf"]}
        | values
    )
    fields = [iso(row[name]) if name.startswith("date") else row[name] for name in Leaf._fields]
    data = canonical_json(["lowbackground-leaf-2", *fields])
    builder.leaves.append(row | {"leaf": hashlib.sha256(b"\x00" + data).hexdigest(), "redacted": None})
    assert refused(builder.finish(), "has a field that is null|no witness", first.id)


@pytest.mark.parametrize(
    "values",
    [
        {"attestation": "released", "witness": "list", "date": None},
        {"attestation": "released", "witness": "list", "date_end": datetime(2020, 1, 1, tzinfo=UTC)},
        {"attestation": "timestamped", "witness": "stamp"},
        {"attestation": "declared", "witness": "table row"},
        {"attestation": "declared", "witness": "declaration", "date": None, "date_end": None},
    ],
    ids=str,
)
def test_a_leaf_may_say_what_its_witness_can_know(tmp_path: Path, values: dict[str, Any]) -> None:
    made = Builder(tmp_path).add(names(3), **values)
    made.body = {"witnesses": {"list": CHECKSUMS, "stamp": CHECKSUMS | {"kind": "authority", "published": iso(LATE)}}}
    opened = made.finish()
    assert verify.run(opened.url, opened.id, quiet=True)["exit_code"] == 0


@pytest.mark.parametrize(
    "values",
    [
        {"date": LATE, "date_end": LATE},
        {"attestation": "certified", "witness": "me"},
        {"attestation": "none"},
        {"attestation": "corroborated", "witness": "nobody-listed"},
        {"attestation": "timestamped", "witness": "archive file"},
        {"attestation": "timestamped", "witness": "index-a"},
        {"attestation": "captured", "witness": "declaration"},
        {"attestation": "released", "witness": "list", "date_end": datetime(2020, 1, 1, 0, 0, 1, tzinfo=UTC)},
        {"attestation": "corroborated", "witness": "late"},
        {"date": None},
        {"date": None, "date_end": None},
        {"date": datetime(2016, 1, 1, tzinfo=UTC)},
        {"date": None, "date_end": None, "attestation": "declared", "witness": "table row"},
    ],
    ids=str,
)
def test_a_first_leaf_says_what_its_level_and_the_cutoff_allow(tmp_path: Path, values: dict[str, Any]) -> None:
    made = Builder(tmp_path).add(names(3), **values)
    made.body = {"witnesses": WITNESSES | {"list": CHECKSUMS, "late": WITNESSES["index-a"] | {"published": iso(LATE)}}}
    assert refused(made.finish(), "leaf 2 (says|ends|has)")


@pytest.mark.parametrize(
    ("name", "values"),
    [
        ("document-4", {"eligible": True}),
        ("document-3", {"witness": "nobody-listed"}),
        ("document-3", {"witness": "table row", "attestation": "declared"}),
        ("document-3", {"date": LATE, "date_end": LATE}),
    ],
)
def test_a_further_leaf_is_of_a_listed_witness_before_the_cutoff_and_raises_no_eligibility(
    tmp_path: Path, name: str, values: dict[str, Any]
) -> None:
    assert refused(Builder(tmp_path, simple(tmp_path)).witness(name, **values).finish(), "leaf 40 (names|says|ends)")


@pytest.mark.parametrize("second", ["index-a", "index-a2"])
def test_a_custodian_is_a_further_witness_once(tmp_path: Path, second: str) -> None:
    made = Builder(tmp_path, simple(tmp_path)).witness("document-3", "index-a").witness("document-3", second).finish()
    assert refused(made, "stands there twice|one custodian")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"cutoff": "2030-01-01T00:00:00.000000Z"}, "its cutoff is"),
        ({"index_only": True}, "its index_only is"),
        ({"parameters": {"minhash": {"permutations": 4, "bands": 2, "rows": 2, "bits": 32, "seed": 9}}}, "its parameters.minhash"),
        ({"declaration": "we say so"}, "its declaration"),
        ({"declaration": None}, "its declaration"),
        ({"declaration": "all of it is ours\nand more"}, ""),
        ({"witnesses": {}}, "its witness index-a"),
        ({"redacted": {"leaves": 0, "removed": ["bands/00000-v0-b000-r000of002.parquet"]}}, "which it says that it removed"),
        ({"redacted": {"leaves": 0, "removed": ["x"]}}, "only a redaction removes"),
        ({"redacted": {"leaves": 1, "removed": ["x"]}}, "its parent does not have"),
    ],
    ids=str,
)
def test_a_child_keeps_what_its_parent_fixed(tmp_path: Path, body: dict[str, Any], said: str) -> None:
    builder = Builder(tmp_path).add(names(40)).reject()
    builder.body = {"declaration": "all of it is ours"}
    first = builder.finish()
    child = Builder(tmp_path, first).add(names(2, 100))
    child.body = {"declaration": "all of it is ours"} | body
    if said:
        assert refused(child.finish(), said, first.id)
    else:
        assert verify.run(child.finish().url, first.id, quiet=True)["exit_code"] == 0


def test_a_child_is_held_against_a_parent_that_is_there(tmp_path: Path) -> None:
    first = simple(tmp_path)
    child = Builder(tmp_path, first).add(names(2, 100)).finish()
    (tmp_path / f"manifests/{first.id}.json").unlink()
    found = verify.run(child.url, child.id, quiet=True)
    assert (found["exit_code"], found["missing"]) == (1, [f"manifests/{first.id}.json"])


def test_a_redacted_file_takes_the_place_of_one_that_was_removed(tmp_path: Path) -> None:
    first = simple(tmp_path)
    builder = Builder(tmp_path, first).redact(["document-3"])
    entry = next(entry for entry in builder.entries if entry["path"].startswith("tags/") and ".r" in entry["path"])
    builder.entries.remove(entry)
    assert refused(builder.finish(), "nothing took its place")


def test_a_child_calls_a_witness_what_its_parent_calls_it(tmp_path: Path) -> None:
    first = simple(tmp_path)
    second = Builder(tmp_path, first).witness("document-3", "index-a").finish()
    third = Builder(tmp_path, second).witness("document-3", "index-a2")
    third.body = {"witnesses": WITNESSES | {"index-a": WITNESSES["index-a"] | {"custodian": "Archive Z"}}}
    assert refused(third.finish(), "its witness index-a", first.id)


def test_a_child_keeps_its_parents_files_but_for_redacted_ones(tmp_path: Path) -> None:
    first = simple(tmp_path)
    child = Builder(tmp_path, first).add(names(2, 100)).finish()

    def change(dataset: str, table: pa.Table) -> pa.Table | None:
        if dataset == "signatures":
            return rows(table, signature=[7] * PERMUTATIONS)
        return rows(table, url="https://evil/", content_id="0" * 32) if dataset == "documents" else None

    assert refused(refiled(child, change), "another file than its parent's", first.id)


def test_a_redaction_cannot_be_undone(tmp_path: Path) -> None:
    first = simple(tmp_path)
    kept = {entry["path"]: (tmp_path / entry["path"]).read_bytes() for entry in first.manifest["files"]}
    second = Builder(tmp_path, first).redact(["document-3"]).finish()
    third = Builder(tmp_path, second).add(names(1, 100)).finish()
    for path, data in kept.items():
        (tmp_path / path).write_bytes(data)
    files = [*first.manifest["files"], *(entry for entry in third.manifest["files"] if "/00002" in entry["path"])]
    counts = (
        third.manifest["counts"]
        | first.manifest["counts"]
        | {n: third.manifest["counts"][n] for n in ("documents", "records", "leaves")}
    )
    more = {"eligible": 1, "eligible_bytes": document("document-100", 0)["byte_count"]}
    for name, amount in more.items():
        counts[name] = counts[name] | {"captured": counts[name]["captured"] + amount}
    forged = remade(third, files=manifest.sorted_files(files), redacted={"leaves": 0, "removed": []}, counts=counts)
    for file in tmp_path.rglob("*.parquet"):
        if str(file.relative_to(tmp_path)) not in {entry["path"] for entry in files}:
            file.unlink()
    assert refused(forged, "0 leaves are redacted and 1 were", second.id)


@pytest.mark.parametrize("signer", [None, Signer(SIGNER.name, bytes(32))])
def test_a_child_of_a_signed_version_by_somebody_else_is_said(tmp_path: Path, signer: Signer | None) -> None:
    first = simple(tmp_path, signer=SIGNER)
    child = Builder(tmp_path, first).add(names(2, 100)).finish(signer)
    found = verify.run(f"{child.url}@{child.id}", first.id, quiet=True)
    assert "the anchor is signed by example.org/test+" in found["line"]


def test_two_readers_see_the_same_columns(tmp_path: Path) -> None:
    def change(dataset: str, table: pa.Table) -> pa.Table | None:
        if dataset != "documents":
            return None
        return table.add_column(0, "ATTESTATION", pa.array(["timestamped"] * table.num_rows)).add_column(
            0, "Text", pa.array(["EVIL"] * table.num_rows)
        )

    made = refiled(simple(tmp_path), change)
    con = sql.connect(str(tmp_path))
    sql.view(con, "d", made.files("documents"), SNAPSHOT_DOCUMENTS)
    assert con.sql("select distinct attestation, text from d").fetchall() == [("timestamped", "EVIL")]
    assert refused(made, "columns are not those of documents.*ATTESTATION")


def test_extra_columns_are_wrong(tmp_path: Path) -> None:
    def change(dataset: str, table: pa.Table) -> pa.Table | None:
        return table.append_column("origin", pa.array(["human"] * table.num_rows)) if dataset == "documents" else None

    assert refused(refiled(simple(tmp_path), change), "columns are not those of documents")


def test_dates_as_text_are_wrong(tmp_path: Path) -> None:
    def change(dataset: str, table: pa.Table) -> pa.Table | None:
        if dataset != "leaves":
            return None
        texts = pa.array([iso(value) for value in table["date_end"].to_pylist()])
        return table.set_column(table.schema.get_field_index("date_end"), "date_end", texts)

    assert refused(refiled(simple(tmp_path), change), "date_end is string")


def test_a_large_string_is_hashed_or_refused(tmp_path: Path) -> None:
    opened, row, found = Builder(tmp_path, parts=1).add(["only"]).finish(), document("only", 0), []

    def change(dataset: str, table: pa.Table) -> pa.Table | None:
        if dataset == "documents":
            return table.set_column(
                table.schema.get_field_index("text"), "text", pa.array(["E" * row["byte_count"]], pa.large_string())
            )
        if dataset == "leaves":
            made = table.to_pylist()[0] | {"text_sha256": hashlib.sha256(b"").hexdigest()}
            found.append(hashed(made))
            return pa.Table.from_pylist([made | {"leaf": found[0]}], schema=LEAVES)
        return None

    made = refiled(opened, change)
    root = Tree([bytes.fromhex(found[0])]).root.hex()
    assert refused(
        remade(made, tree={"size": 1, "root": root, "extensions": [{"size": 1, "root": root, "manifest": None}]}),
        "text is large_string",
    )


def test_tags_do_not_say_human_of_what_is_not_eligible(tmp_path: Path) -> None:
    assert refused(
        refiled(simple(tmp_path), lambda d, t: rows(t, origin="human", attestation="timestamped") if d == "tags" else None),
        "it says human",
    )


def test_content_ids_are_those_of_the_texts(tmp_path: Path) -> None:
    assert refused(
        refiled(simple(tmp_path), lambda d, t: rows(t, content_id="0" * 32) if d == "documents" else None), "content_id is not"
    )


def test_bands_are_not_emptied(tmp_path: Path) -> None:
    assert refused(refiled(simple(tmp_path), lambda d, t: t.slice(0, 0) if d == "bands" else None), "lack the hash of band 0")


def test_evidence_is_of_documents(tmp_path: Path) -> None:
    assert refused(
        refiled(simple(tmp_path), lambda d, t: rows(t, key="0" * 32) if d == "evidence" else None),
        "none of the documents beside it",
    )


def test_a_redacted_row_has_a_redacted_leaf(tmp_path: Path) -> None:
    opened, done = simple(tmp_path), set[str]()

    def change(dataset: str, table: pa.Table) -> pa.Table | None:
        if dataset not in ("documents", "signatures", "tags") or dataset in done:
            return None
        done.add(dataset)
        row = table.to_pylist()[0] | {"key": "ab" * 16}
        row |= {"text": None, "eligible": False, "ineligible_reason": "redacted: x"} if dataset == "documents" else {}
        return pa.concat_tables([table, pa.Table.from_pylist([row], schema=table.schema)])

    counts = opened.manifest["counts"]
    more = {
        "documents": counts["documents"] + 1,
        "records": counts["records"] + 1,
        "ineligible": counts["ineligible"] | {"redacted": 1},
    }
    assert refused(refiled(opened, change, counts=counts | more), "its leaf is not redacted")


def test_work_in_progress_does_not_vouch_for_extra_data(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    shutil.copy(tmp_path / opened.entries("documents")[0]["path"], tmp_path / "documents/zz.parquet")
    (tmp_path / "_work").mkdir()
    (tmp_path / "_work/placing.json").write_text('["documents/zz.parquet"]')
    found = verify.run(f"{opened.url}@{opened.id}", opened.id, quiet=True)
    assert found["extra"] == ["documents/zz.parquet"]


def test_only_files_of_the_next_version_are_in_the_making(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    placed = [
        "documents/00000-zz.parquet",
        "documents/00001-zz.parquet",
        "documents/00000-v0-00000.r00001.parquet",
        "tags/00002-z.parquet",
    ]
    for path in placed:
        put(tmp_path, path, pa.table({"text": ["x"]}))
    (tmp_path / "_work").mkdir()
    (tmp_path / "_work/placing.json").write_text(json.dumps(placed))
    found = verify.run(opened.url, opened.id, quiet=True)
    assert (found["extra"], found["in_the_making"]) == ([placed[0], placed[3]], [placed[2], placed[1]])


def test_a_version_of_another_snapshot_in_the_folder_is_extra(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    other = Builder(tmp_path, parts=1).add(names(3, 500)).finish()
    found = verify.run(f"{opened.url}@{opened.id}", opened.id, quiet=True)
    assert f"manifests/{other.id}.json" in found["extra"]


@pytest.mark.parametrize("data", [b"{", b"5", b"[[2]]", b'[{"a":1}]', b"null", b"\xff"])
def test_a_broken_list_of_placed_files_is_no_traceback(tmp_path: Path, data: bytes) -> None:
    opened = simple(tmp_path)
    (tmp_path / "_work").mkdir()
    (tmp_path / "_work/placing.json").write_bytes(data)
    assert verify.run(f"{opened.url}@{opened.id}", opened.id, quiet=True)["exit_code"] in (0, 1)


def test_an_unrelated_manifest_does_not_vouch_for_extra_data(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    body = {n: v for n, v in opened.manifest.items() if n not in ("kind", "schema_version", "data_version")}
    evil = put(tmp_path, "documents/zz.parquet", pq.read_table(tmp_path / opened.entries("documents")[0]["path"]))
    manifest.write_snapshot(str(tmp_path), body | {"job": "0" * 64, "files": [evil]})
    assert refused(opened, "no name of a file")


def test_files_are_listed_in_order_of_path(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    listed = opened.manifest["files"]
    documents = [entry for entry in listed if entry["path"].startswith("documents/")]
    assert refused(remade(opened, files=[*documents[::-1], *(entry for entry in listed if entry not in documents)]), "not sorted")


def test_files_of_no_dataset_are_refused(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    extra = put(tmp_path, "text/train-00000.parquet", pa.table({"text": ["EVIL"]}))
    assert refused(remade(opened, files=manifest.sorted_files([*opened.manifest["files"], extra])), "text/train")


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"cutoff": "never"}, "cutoff is 'never'"),
        ({"cutoff": "9999-12-31"}, "cutoff is '9999-12-31'"),
        ({"cutoff": "2022-01-01T00:00:00.000000+00:00"}, "no instant"),
        ({"witnesses": {"index-a": WITNESSES["index-a"] | {"kind": "x"}}}, "kind"),
        ({"witnesses": {"index-a": WITNESSES["index-a"] | {"custodian": "\u200b"}}}, "no custodian"),
        ({"witnesses": {"index-a": WITNESSES["index-a"] | {"published": "?"}}}, "published"),
        ({"witnesses": {"index-a": WITNESSES["index-a"] | {"sha256": []}}}, "sha256"),
        ({"witnesses": {"declaration": WITNESSES["index-a"]}}, "no name of a trust list"),
        ({"signers": ["a+b+c"]}, "signers are none"),
        ({"parameters": 5}, "parameters"),
        ({"config": {"freeze": {}}}, "config_digest"),
        ({"counts": {}}, "counts"),
        ({"redacted": {"leaves": 1, "removed": []}}, "extends nothing"),
    ],
    ids=str,
)
def test_an_odd_manifest_is_wrong_and_no_traceback(tmp_path: Path, body: dict[str, Any], said: str) -> None:
    assert refused(remade(simple(tmp_path), **body), said)


def test_a_manifest_without_counts_is_wrong_and_no_traceback(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    body = {n: v for n, v in opened.manifest.items() if n not in ("kind", "schema_version", "data_version", "counts")}
    (tmp_path / f"manifests/{opened.id}.json").unlink()
    assert refused(manifest.write_snapshot(opened.url, body), "counts")


def test_a_manifest_without_parameters_is_wrong_and_no_traceback(tmp_path: Path) -> None:
    made = Builder(tmp_path, simple(tmp_path)).redact(["document-3"]).finish()
    assert refused(remade(made, parameters={}), "parameters")


ODD: list[Any] = [None, -1, 0, 1 << 70, 1.5, True, "", "x", "0" * 64, "../x", [], [[]], {}, {"x": 1}]


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where the values of a JSON value stand, its own place left out."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for name, part in inner for place in [(*at, name), *places(part, (*at, name))]]


def test_no_manifest_makes_verify_raise(tmp_path: Path) -> None:
    first = simple(tmp_path, 8)
    opened = Builder(tmp_path, first).add(names(2, 8)).witness("document-3").redact(["document-0"]).finish()
    where, rng = places(opened.manifest), random.Random(3)
    for number in range(150):
        forged = copy.deepcopy(opened.manifest)
        inside: Any = forged
        *path, last = rng.choice(where)
        for name in path:
            inside = inside[name]
        inside[last] = ODD[number % len(ODD)]
        made = manifest.write_snapshot(opened.url, {"kind": "snapshot"} | forged)
        if made.id != opened.id:
            assert verify.run(f"{opened.url}@{made.id}", first.id, quiet=True)["exit_code"] in (0, 1)
            verify.run(f"{opened.url}@{opened.id}", first.id, quiet=True)
            (tmp_path / f"manifests/{made.id}.json").unlink()


@pytest.mark.parametrize("dataset", ["documents", "leaves", "signatures", "tags", "evidence", *INDEXES, "rejects", "sources"])
def test_no_column_makes_verify_raise(tmp_path: Path, dataset: str) -> None:
    opened = simple(tmp_path, 8)
    path = opened.entries(dataset)[0]["path"]
    table, data = pq.read_table(tmp_path / path), (tmp_path / path).read_bytes()
    for at, field in enumerate(table.schema):
        column = table[field.name]
        odd = [
            pa.nulls(len(column), field.type),
            pa.nulls(len(column), pa.large_string()),
            pa.array([b"\xff"] * len(column)),
            column[::-1],
        ]
        for values in (*odd, pa.chunked_array([pa.array([b"\xff"] * len(column)).view(pa.string())])):
            entry = put(tmp_path, path, table.set_column(at, field.name, values))
            listed = [entry if old["path"] == path else old for old in opened.manifest["files"]]
            made = manifest.write_snapshot(opened.url, opened.manifest | {"files": listed})
            assert verify.run(f"{opened.url}@{made.id}", made.id, quiet=True)["exit_code"] in (0, 1)
            (tmp_path / path).write_bytes(data)
            if made.id != opened.id:
                (tmp_path / f"manifests/{made.id}.json").unlink()
