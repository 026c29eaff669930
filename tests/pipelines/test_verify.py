"""What `verify` says of a snapshot: anchors of this version and of earlier ones, samples, older rules, and its exit codes."""

from pathlib import Path

import pytest

from pipelines import verify
from provenance import schema
from store import manifest
from store.errors import UsageError
from tests.store.frozen import SIGNER, Builder, grown, names, simple


def test_a_snapshot_is_verified_by_its_own_id_and_only_consistent_without(tmp_path: Path) -> None:
    opened = simple(tmp_path, signer=SIGNER)
    found = verify.run(str(tmp_path), opened.id, quiet=True)
    assert (found["result"], found["exit_code"]) == ("VERIFIED", 0)
    assert found["line"].startswith("40 documents unchanged since")
    found = verify.run(str(tmp_path), None, quiet=True)
    assert (found["result"], found["exit_code"]) == ("CONSISTENT, NOT ANCHORED", 3)
    found = verify.run(str(tmp_path), "0" * 64, quiet=True)
    assert (found["result"], found["exit_code"], found["wrong"]) == ("FAILED", 1, [f"manifests/{opened.id}.json"])


def test_an_anchor_may_be_a_version_that_this_one_extends(tmp_path: Path) -> None:
    first, middle, last = grown(tmp_path)
    for anchor, size in ((first, 40), (middle, 54)):
        found = verify.run(str(tmp_path), anchor.id, quiet=True)
        assert (found["result"], found["exit_code"]) == ("VERIFIED, EXTENDS THE ANCHOR", 0)
        assert f"whose {size} leaves are the first of its 54" in found["line"]
    found = verify.run(str(tmp_path), last.id, quiet=True)
    assert found["result"] == "VERIFIED" and found["line"].startswith(
        f"48 documents unchanged, 3 redacted, since id {last.id[:12]};"
    )


def test_an_older_version_does_not_extend_a_newer_one_nor_a_branch_another(tmp_path: Path) -> None:
    first = simple(tmp_path)
    branches = [Builder(tmp_path, first).add(names(3, start)).finish() for start in (50, 60)]
    for target, anchor in ((first, branches[0]), (branches[0], branches[1])):
        found = verify.run(f"{tmp_path}@{target.id}", anchor.id, quiet=True)
        assert found["exit_code"] == 1 and "does not extend it" in found["why"][f"manifests/{target.id}.json"]
    assert verify.run(f"{tmp_path}@{branches[1].id}", first.id, quiet=True)["exit_code"] == 0


def test_the_way_to_the_anchor_must_be_there(tmp_path: Path) -> None:
    first, middle, _ = grown(tmp_path)
    (tmp_path / f"manifests/{middle.id}.json").unlink()
    found = verify.run(str(tmp_path), first.id, quiet=True)
    assert found["exit_code"] == 1 and any("is missing" in why for why in found["why"].values())


def test_every_step_from_the_anchor_has_to_be_proven(tmp_path: Path) -> None:
    first = simple(tmp_path)
    builder = Builder(tmp_path, first).add(names(11, 40))
    builder.body = {"consistency": []}
    middle = builder.finish()
    Builder(tmp_path, middle).add(names(4, 60)).finish()
    found = verify.run(str(tmp_path), first.id, quiet=True)
    assert found["exit_code"] == 1 and any("consistency proof" in why for why in found["why"].values())


def test_an_older_version_whose_texts_were_redacted_says_who_replaces_it(tmp_path: Path) -> None:
    first, _, last = grown(tmp_path)
    found = verify.run(f"{tmp_path}@{first.id}", first.id, quiet=True)
    assert found["exit_code"] == 1 and not found["wrong"] and not found["extra"]
    assert set(found["why"]) == set(found["missing"])
    assert set(found["why"].values()) == {f"removed by redaction; version {last.id} replaces it"}


def test_data_of_older_rules_verify_and_say_which(tmp_path: Path) -> None:
    opened = simple(tmp_path / "a")
    (tmp_path / f"a/manifests/{opened.id}.json").unlink()
    older = manifest.write_snapshot(opened.url, opened.manifest | {"data_version": schema.DATA_VERSION - 2})
    found = verify.run(opened.url, older.id, quiet=True)
    assert found["exit_code"] == 0
    later = [(n, rule) for kind, n, rule in schema.CHANGES if kind == "data" and n > schema.DATA_VERSION - 2]
    assert len(later) == 2 and found["rules_other_then"] == [f"data {n}: {rule}" for n, rule in later]
    assert "rules_other_then" not in verify.run(str(simple(tmp_path / "b").url), None, quiet=True)


def test_another_layout_is_refused_by_name(tmp_path: Path) -> None:
    opened = simple(tmp_path)
    (tmp_path / f"manifests/{opened.id}.json").unlink()
    other = manifest.write_snapshot(opened.url, opened.manifest | {"schema_version": 1})
    found = verify.run(str(tmp_path), None, quiet=True)
    assert (found["exit_code"], found["wrong"]) == (1, [f"manifests/{other.id}.json"])
    assert "leaves in a dataset of their own" in found["why"][found["wrong"][0]]


def test_a_sample_says_so_in_its_result(tmp_path: Path) -> None:
    opened = simple(tmp_path, 60, parts=6)
    found = verify.run(str(tmp_path), opened.id, quiet=True, sample=0.2)
    assert (found["result"], found["exit_code"]) == ("SAMPLED, NO CHANGE FOUND", 0)
    assert found["line"].startswith("SAMPLED ") and "is missed with a probability of at most" in found["line"]
    assert f"; 60 documents of id {opened.id[:12]};" in found["line"] and "unchanged" not in found["line"]
    again = verify.run(str(tmp_path), None, quiet=True, sample=0.2, sample_seed=found["sampled"]["seed"])
    assert again["sampled"] == found["sampled"]
    assert (again["result"], again["exit_code"]) == ("SAMPLED, NOT ANCHORED", 3)
    assert verify.run(str(tmp_path), None, quiet=True, sample=0.2)["sampled"]["seed"] != found["sampled"]["seed"]


def test_a_sample_of_an_extension_rests_on_the_anchor_too(tmp_path: Path) -> None:
    first = grown(tmp_path)[0]
    assert verify.run(str(tmp_path), first.id, quiet=True, sample=0.5)["result"] == "SAMPLED, NO CHANGE FOUND, EXTENDS THE ANCHOR"


@pytest.mark.parametrize("seed", ["", "abc", "0" * 15, "g" * 16, "seed of today 12345"])
def test_a_seed_that_could_be_guessed_or_mistyped_is_refused(tmp_path: Path, seed: str) -> None:
    simple(tmp_path)
    with pytest.raises(UsageError, match="16 hexadecimal digits"):
        verify.run(str(tmp_path), None, quiet=True, sample=0.5, sample_seed=seed)


@pytest.mark.parametrize("share", [0, -1, 1.5, float("nan")])
def test_a_share_of_nothing_is_refused(tmp_path: Path, share: float) -> None:
    simple(tmp_path)
    with pytest.raises(UsageError, match="no share"):
        verify.run(str(tmp_path), None, quiet=True, sample=share)


def test_progress_is_told_by_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("pipelines.progress.QUIET_EVERY", 0.0)
    simple(tmp_path)
    verify.run(str(tmp_path), None)
    assert "MB/s" in capsys.readouterr().err


@pytest.mark.parametrize("said", ["[", "7", '["sources/00000-x-0000.parquet"]'])
def test_what_is_in_the_making_may_be_unreadable(said: str, tmp_path: Path) -> None:
    opened = simple(tmp_path)
    (tmp_path / "_work").mkdir()
    (tmp_path / "_work" / manifest.PLACING).write_text(said)
    assert verify.run(str(tmp_path), opened.id, quiet=True)["exit_code"] == 0
