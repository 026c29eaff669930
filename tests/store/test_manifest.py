"""Manifests that cannot be trusted, versions of layout and data, and the versions of a snapshot in order."""

from pathlib import Path
from typing import Any

import pytest

from provenance import schema
from provenance.identity import canonical_json, sha256_hex
from store import files, manifest
from store.errors import CheckFailed, UsageError
from tests.store.frozen import Builder, grown, names, simple


@pytest.mark.parametrize("content", [{"kinc": "run"}, {"kind": 7}, {"kind": None}, {}, []])
def test_a_manifest_that_does_not_say_what_it_describes_cannot_be_trusted(content: object) -> None:
    with pytest.raises(CheckFailed, match="cannot be trusted"):
        manifest.parse(canonical_json(content), "RUN/manifest.json")


BROKEN: list[dict[str, Any]] = [
    {"tree": {"size": 40, "root": "0" * 64}},
    {"tree": {"size": 40, "root": "0" * 63, "extensions": []}},
    {"tree": {"size": -1, "root": "0" * 64, "extensions": []}},
    {"consistency": ["no hash"]},
    {"parent": "../../etc/passwd"},
    {"index_only": "yes"},
    {"witnesses": {"a": {"kind": "index"}}},
    {"redacted": {"leaves": 1}},
    {"signers": "x"},
    {"data_version": None},
    {"files": [{"path": "documents/../../x", "sha256": "0" * 64, "size": 1, "rows": 1}]},
]


@pytest.mark.parametrize("change", BROKEN, ids=str)
def test_a_snapshots_manifest_of_another_shape_cannot_be_trusted(tmp_path: Path, change: dict[str, Any]) -> None:
    opened = simple(tmp_path)
    assert manifest.parse(canonical_json(opened.manifest), "x") == opened.manifest
    with pytest.raises(CheckFailed, match="cannot be trusted"):
        manifest.parse(canonical_json(opened.manifest | change), "x")


SHARE = {
    **dict.fromkeys(("share", "share_low", "share_high", "rogan_gladen_low", "rogan_gladen_high", "note")),
    "documents": 0,
    "estimated": 0,
}


@pytest.mark.parametrize(
    "prevalence",
    [
        [],
        {},
        {"all": SHARE},
        {"all": SHARE | {"share": "0.5"}, "placebo_months": {}},
        {"all": {"share": 0.5}, "placebo_months": {}},
    ],
    ids=str,
)
def test_a_run_whose_machine_share_has_another_shape_cannot_be_trusted(tmp_path: Path, prevalence: object) -> None:
    body: dict[str, Any] = {"kind": "run", "files": [], "snapshots": []}
    sound = {"all": SHARE | {"share": 0.5}, "placebo_months": {"estimated": 1}}
    assert manifest.open_run(manifest.write(str(tmp_path / "sound"), body | {"prevalence": sound}).url).kind == "run"
    forged = manifest.write(str(tmp_path / "forged"), body | {"prevalence": prevalence})
    with pytest.raises(CheckFailed, match=r"cannot be trusted.*prevalence|prevalence.*cannot be trusted"):
        manifest.open_run(forged.url)


def test_another_layout_is_refused_with_the_rules_that_changed() -> None:
    with pytest.raises(CheckFailed) as caught:
        manifest.parse(canonical_json({"kind": "snapshot", "schema_version": 1}), "x")
    said = [rule for kind, version, rule in schema.CHANGES if kind == "schema" and version > 1]
    assert said and all(rule in str(caught.value) for rule in said)
    with pytest.raises(CheckFailed, match="cannot know"):
        manifest.parse(canonical_json({"kind": "run", "schema_version": schema.SCHEMA_VERSION + 1}), "x")


def test_older_data_are_read_and_their_other_rules_told(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    assert manifest.older_rules(opened) == []
    older = manifest.write_snapshot(str(tmp_path / "older"), opened.manifest | {"data_version": 1})
    assert manifest.open_snapshot(older.url) == older
    told = manifest.older_rules(older)
    assert told == [f"data {version}: {rule}" for kind, version, rule in schema.CHANGES if kind == "data" and version > 1]
    newer = manifest.write_snapshot(str(tmp_path / "newer"), opened.manifest | {"data_version": schema.DATA_VERSION + 1})
    with pytest.raises(CheckFailed, match="data version"):
        manifest.open_snapshot(newer.url)


def test_the_lineage_goes_from_the_first_version_to_this_one(tmp_path: Path) -> None:
    versions = grown(tmp_path)
    assert manifest.lineage(versions[-1]) == versions
    assert manifest.lineage(versions[0]) == versions[:1]
    assert manifest.open_snapshot(str(tmp_path)) == versions[-1]
    assert (
        manifest.open_snapshot(f"{tmp_path}@{versions[1].id}")
        == versions[1]
        == manifest.open_version(str(tmp_path), versions[1].id)
    )
    assert [version.parent for version in versions] == [None, versions[0].id, versions[1].id]


def test_a_lineage_with_a_missing_or_changed_manifest_is_refused(tmp_path: Path) -> None:
    versions = grown(tmp_path)
    file = tmp_path / f"manifests/{versions[0].id}.json"
    data = file.read_bytes()
    file.write_bytes(data.replace(b'"rows":20', b'"rows":21'))
    with pytest.raises(CheckFailed, match="was changed"):
        manifest.lineage(versions[-1])
    file.unlink()
    with pytest.raises(CheckFailed, match="is missing"):
        manifest.lineage(versions[-1])


def test_two_versions_that_nothing_extends_have_to_be_named(tmp_path: Path) -> None:
    first = simple(tmp_path)
    branches = [Builder(tmp_path, first).add(names(2, start)).finish() for start in (50, 60)]
    with pytest.raises(UsageError, match="name one of them"):
        manifest.open_snapshot(str(tmp_path))
    assert manifest.open_snapshot(f"{tmp_path}@{branches[1].id}").parent == first.id


def test_a_snapshots_id_is_the_digest_of_its_manifest(tmp_path: Path) -> None:
    opened = simple(tmp_path, index_only=True)
    assert opened.index_only and not simple(tmp_path / "text").index_only
    data = files.read_bytes(f"{opened.url}/manifests/{opened.id}.json")
    assert sha256_hex(data) == opened.id
    assert manifest.snapshot_bytes(opened.manifest) == data
