"""Extracting again what a snapshot was frozen from: the same texts, other texts, other sources, other parameters."""

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines import replay, verify
from provenance.identity import digest, sha256_hex
from provenance.schema import LEAVES, SNAPSHOT_DOCUMENTS
from store import files, manifest, tables
from store.errors import UsageError
from store.manifest import Opened
from tests.builders import Capture, frozen, html, prose, write_warc
from tests.store.frozen import hashed

DECLARED = "the tests say so"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sources, a snapshot of two versions, and one without texts."""
    base = tmp_path_factory.mktemp("replay")
    write_warc(base / "old/a.warc.gz", [Capture(f"http://old.example/{i}", html(prose(i), f"Page {i}")) for i in range(8)])
    shutil.copy(base / "old/a.warc.gz", base / "old/same.warc.gz")
    rows = pa.table({"id": [f"row-{i}" for i in range(9)], "text": [prose(i) for i in range(20, 29)]})
    pq.write_table(rows, base / "old/table.parquet", row_group_size=4)
    (base / "old/lines.jsonl").write_text("".join(json.dumps({"id": f"l{i}", "text": prose(i)}) + "\n" for i in range(40, 45)))
    write_warc(base / "more/b.warc.gz", [Capture(f"http://old.example/{i}", html(prose(i), f"Page {i}")) for i in range(60, 66)])
    first = frozen([base / "old"], base / "snapshot", declaration=DECLARED)
    frozen([base / "more"], base / "snapshot", None, declaration=DECLARED, extends=first["id"])
    frozen([base / "old"], base / "index", declaration=DECLARED, index_only=True)
    return base


def replayed(snapshot: Path, *sources: Path, **options: Any) -> dict[str, Any]:
    opened = manifest.open_snapshot(str(snapshot))
    found = verify.run(str(snapshot), opened.id, quiet=True, replay=[str(source) for source in sources], **options)
    return found


def test_all_that_is_drawn_is_extracted_again_and_equal(base: Path) -> None:
    found = replayed(base / "snapshot", base / "old", base / "more")
    documents = manifest.open_snapshot(str(base / "snapshot")).manifest["counts"]["documents"]
    assert (found["result"], found["exit_code"]) == ("VERIFIED", 0)
    assert found["replay"]["drawn"] == found["replay"]["equal"] == documents > 25
    assert found["replay"]["differ"] == {} and found["replay"]["other_parameters"] == []
    assert found["replay"]["sources"] == "5 of 5 found" and found["replay"]["sources_missing"] == []
    assert found["replay"]["bound"] == f"all {documents} were extracted again, all equal"


def test_files_are_known_by_their_bytes_and_not_by_name(base: Path, tmp_path: Path) -> None:
    shutil.copy(base / "old/a.warc.gz", tmp_path / "renamed")
    (tmp_path / "table.parquet").write_bytes(b"x" * (base / "old/table.parquet").stat().st_size)
    found = replayed(base / "snapshot", tmp_path)["replay"]
    assert found["sources"] == "2 of 5 found"  # one file, which was frozen twice
    assert found["sources_missing"] == ["b.warc.gz", "lines.jsonl", "table.parquet"]
    assert found["drawn"] == found["equal"] == 16
    with pytest.raises(UsageError, match="none of the 5 source files"):
        replayed(base / "snapshot", tmp_path / "table.parquet")


def test_a_snapshot_without_texts_replays_by_its_leaves(base: Path) -> None:
    found = replayed(base / "index", base / "old")["replay"]
    assert found["drawn"] == found["equal"] == manifest.open_snapshot(str(base / "index")).manifest["counts"]["documents"]


def test_a_share_is_drawn_at_random_and_repeats_by_its_seed(base: Path) -> None:
    opened = manifest.open_snapshot(str(base / "snapshot"))
    total = opened.manifest["counts"]["documents"]
    drawn = [replay.replay(opened, [str(base / "old"), str(base / "more")], 0.2, seed) for seed in ("a", "a", "b")]
    assert drawn[0]["drawn"] == -(-total // 5)
    assert drawn[0]["paths"] == drawn[1]["paths"]
    some = -(-total // 5)
    assert drawn[0]["bound"].startswith(f"none of {some} differ: with 95 % confidence fewer than {3 / some:.2%}")
    found = replayed(base / "snapshot", base / "old", sample=0.5, sample_seed="c" * 16)
    assert found["result"] == "SAMPLED, NO CHANGE FOUND" and found["replay"]["seed"] == "c" * 16


def test_a_bound_is_told_only_of_a_part() -> None:
    assert replay.bound(0, 30, 30, True) == "all 30 were extracted again, all equal"
    assert replay.bound(2, 30, 31, True) == (
        "all 30 were extracted again, and 2 differ; 1 more has no place in a source, as redacted documents"
    )
    assert replay.bound(0, 0, 0, True) == "no document of these files could be extracted again"
    assert "Clopper and Pearson" in replay.bound(2, 30, 31, False)


def test_what_was_redacted_is_not_drawn_and_is_said(base: Path, tmp_path: Path) -> None:
    shutil.copytree(base / "snapshot", tmp_path / "snapshot")
    opened = manifest.open_snapshot(str(tmp_path / "snapshot"))
    (tmp_path / "list").write_text("http://old.example/60 asked for\n")
    frozen([], tmp_path / "snapshot", None, extends=opened.id, redact=str(tmp_path / "list"))
    found = replayed(tmp_path / "snapshot", base / "more")["replay"]
    assert found["bound"] == "all 5 were extracted again, all equal; 1 more has no place in a source, as redacted documents"


def forged(base: Path, folder: Path, change: dict[str, Any]) -> Opened:
    """A snapshot in which one document's text is another, and everything else was made to agree with it."""
    shutil.copytree(base / "snapshot", folder)
    opened = manifest.open_snapshot(str(folder))
    first = manifest.open_version(str(folder), opened.parent or "")
    for version in (first, opened):
        (folder / f"manifests/{version.id}.json").unlink()
    path = first.entries("documents")[0]["path"]
    rows = pq.read_table(folder / path).to_pylist()
    # Content id and sketch see no white space, so that they agree with the other text too.
    key, text = rows[0]["key"], rows[0]["text"].replace(" ", "  ", 1)
    rows[0] |= {"text": text, "byte_count": len(text.encode())}
    entries = {path: tables.write(str(folder), path, pa.Table.from_pylist(rows, schema=SNAPSHOT_DOCUMENTS), SNAPSHOT_DOCUMENTS)}
    hashes = []
    for entry in first.entries("leaves"):
        leaves = pq.read_table(folder / entry["path"]).to_pylist()
        for leaf in leaves:
            if leaf["key"] == key:
                leaf |= {"text_sha256": sha256_hex(text.encode()), "text_bytes": len(text.encode())}
                leaf["leaf"] = hashed(leaf)
        hashes += [bytes.fromhex(leaf["leaf"]) for leaf in leaves]
        entries[entry["path"]] = tables.write(str(folder), entry["path"], pa.Table.from_pylist(leaves, schema=LEAVES), LEAVES)
    from provenance.identity import merkle_root

    root = merkle_root(hashes).hex()
    counts = first.manifest["counts"] | {"eligible_bytes": first.manifest["counts"]["eligible_bytes"]}
    sizes: dict[str, int] = {}
    for url in first.files("documents"):
        for row in tables.read([url]).to_pylist():
            if row["eligible"]:
                sizes[row["attestation"]] = sizes.get(row["attestation"], 0) + row["byte_count"]
    listed = [entries.get(entry["path"], entry) for entry in first.manifest["files"]]
    tree = {"size": len(hashes), "root": root, "extensions": [{"size": len(hashes), "root": root, "manifest": None}]}
    body = first.manifest | {"files": listed, "tree": tree, "counts": counts | {"eligible_bytes": sizes}} | change
    kept = {entry["path"] for entry in listed}
    for path in files.list_files(str(folder)):
        if path not in kept:
            (folder / path).unlink()
    return manifest.write_snapshot(str(folder), body)


def test_a_text_that_its_source_does_not_give_is_named(base: Path, tmp_path: Path) -> None:
    opened = forged(base, tmp_path / "forged", {})
    assert verify.run(str(tmp_path / "forged"), opened.id, quiet=True)["exit_code"] == 0
    found = replayed(tmp_path / "forged", base / "old")
    assert (found["exit_code"], found["wrong"]) == (1, [opened.entries("documents")[0]["path"]])
    assert len(found["replay"]["differ"]) == 1 and "its text has SHA-256" in next(iter(found["replay"]["differ"].values()))
    assert "were extracted again, and 1 differ" in found["replay"]["bound"]


def test_under_other_parameters_a_difference_proves_nothing(base: Path, tmp_path: Path) -> None:
    parameters = manifest.open_snapshot(str(base / "snapshot")).manifest["parameters"]
    opened = forged(base, tmp_path / "forged", {"parameters": parameters | {"language_model": "0" * 64}})
    found = replayed(tmp_path / "forged", base / "old")
    assert (found["exit_code"], found["wrong"], len(found["replay"]["differ"])) == (0, [], 1)
    assert found["replay"]["other_parameters"] == [f"language_model: {'0' * 64} then, {parameters['language_model']} now"]
    assert "no proof of a change" in found["replay"]["note"]
    assert opened.parent is None


def test_settings_that_this_program_does_not_have_are_said(base: Path, tmp_path: Path) -> None:
    config = {"extract": {"spoon": 1}}
    forged(base, tmp_path / "forged", {"config": config, "config_digest": digest(config)})
    found = replayed(tmp_path / "forged", base / "old")
    assert "does not have" in found["replay"]["impossible"]


def test_runs_and_mixes_are_not_sampled(base: Path, tmp_path: Path) -> None:
    manifest.write(str(tmp_path), {"kind": "run", "snapshots": [], "files": [], "counts": {}})
    for options in ({"sample": 0.5}, {"replay": [str(base / "old")]}):
        with pytest.raises(UsageError, match="are for snapshots"):
            verify.run(str(tmp_path), None, quiet=True, **options)  # type: ignore[arg-type]
