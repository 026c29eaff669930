"""The command line's own option `--extract`, and what of the extractor's settings reaches a run."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from pipelines import cli, config, curate
from pipelines.stage import Stage
from provenance import extract
from provenance.identity import digest
from store import manifest, proofs, revocation
from store.errors import UsageError
from tests import trees
from tests.builders import Capture, html, prose, write_warc

MODEL = {"weights": {"link_density": -3.0}, "intercept": 0.5, "threshold": 0.45}
NAMES = extract.names()


def overrides(*arguments: str) -> dict[str, str]:
    return dict(cli.parse(["curate", "in", "--into", "out", *arguments])[1].overrides)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("verb", [["curate", "in", "--into", "out"], ["freeze", "in", "--into", "out", "--cutoff", "2022-01-01"]])
def test_extract_names_the_extractor(name: str, verb: list[str]) -> None:
    long = cli.parse([*verb, f"--extract.extractor={name}"])[1]
    assert cli.parse([*verb, f"--extract={name}"])[1] == cli.parse([*verb, "--extract", name])[1] == long
    assert config.resolve(verb[0], (), long.overrides)["extract"].extractor == name  # type: ignore[attr-defined]


def test_extract_goes_over_the_file_and_leaves_its_other_keys(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("extract: {extractor: trafilatura, max_depth: 99}\n")
    job = cli.parse(["curate", "in", "--into", "out", "--config", str(path), "--extract=resiliparse"])[1]
    made = config.plain(config.resolve("curate", job.config, job.overrides))["extract"]
    assert (made["extractor"], made["max_depth"]) == ("resiliparse", 99)


def test_one_extractor_named_twice_is_one_and_two_are_refused() -> None:
    assert overrides("--extract=resiliparse", "--extract.extractor=resiliparse") == {"extract.extractor": "resiliparse"}
    with pytest.raises(UsageError, match=r"--extract=resiliparse and --extract\.extractor=trafilatura"):
        overrides("--extract=resiliparse", "--extract.extractor=trafilatura")


def test_protect_may_repeat_takes_commas_and_is_the_key_of_the_configuration() -> None:
    job = cli.parse(["curate", "in", "--into", "out", "--protect", "books/*", "--protect=a,b/*.gz"])[1]
    assert config.resolve("curate", (), job.overrides)["match"].protect == ("a,b/*.gz", "books/*")  # type: ignore[attr-defined]
    with pytest.raises(UsageError, match=r"--protect=.*books.* and --match\.protect=other"):
        overrides("--protect=books/*", "--match.protect=other")
    with pytest.raises(UsageError, match="protect"):
        cli.parse(["freeze", "in", "--into", "out", "--cutoff", "2022-01-01", "--protect=books/*"])


@pytest.mark.parametrize("verb", ["freeze", "curate"])
def test_unknown_extractors_end_with_the_choices(verb: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main([verb, "in", "--into", "out", "--extract=_walk"])
    assert ended.value.code == 2
    said = capsys.readouterr().err
    assert [name for name in NAMES if name not in said] == []


def test_only_freeze_and_curate_extract() -> None:
    with pytest.raises(UsageError):
        cli.parse(["verify", "run", "--extract=resiliparse"])


def test_a_missing_library_ends_before_any_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "provenance.extractors.trafilatura", None)
    assert cli.main(["curate", str(tmp_path), "--into", str(tmp_path / "out"), "--extract=trafilatura"]) == 2
    assert 'pip install "lowbackground[trafilatura]"' in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_model_for_another_extractor_ends_before_any_work(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"extract": {"model": MODEL}}))
    command = ["curate", str(tmp_path), "--into", str(tmp_path / "out"), "--config", str(path), "--extract=resiliparse"]
    assert cli.main(command) == 2
    assert "extract.model" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "wrong", [{"bias": 1}, {"threshold": float("inf")}, {"weights": {"a": float("nan")}}, {"weights": {"a": "much"}}]
)
def test_a_wrong_model_is_a_usage_error(tmp_path: Path, wrong: dict[str, Any]) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"extract": {"model": {**MODEL, **wrong}}}))
    with pytest.raises(UsageError, match="section 'extract'"):
        config.resolve("curate", [str(path)], [])


def test_a_model_is_the_same_from_a_file_and_from_the_command_line(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(yaml.safe_dump({"extract": {"model": MODEL}}))
    written = config.resolve("curate", [str(path)], [])
    assert config.plain(written)["extract"]["model"].items() >= MODEL.items()
    assert config.resolve("curate", (), [("extract.model", json.dumps(MODEL))]) == written
    assert config.restore(json.loads(json.dumps(config.plain(written))), "curate") == written


def test_another_weight_is_another_stage(tmp_path: Path) -> None:
    folders = set()
    for weight in (-3.0, -3.0, -3.0000001):
        model = {**MODEL, "weights": {"link_density": weight}}
        plain = config.plain(config.resolve("curate", (), [("extract.model", json.dumps(model))]))
        folders.add(Stage("extract", "step", str(tmp_path), {"config": plain}, ()).folder)
    assert len(folders) == 2


PAGES = [Capture(f"http://a.example/{i}", html(prose(i), f"Page {i}")) for i in range(3)]


@pytest.mark.parametrize("name", NAMES)
def test_the_extractor_reaches_the_worker_and_the_manifest(tmp_path: Path, name: str) -> None:
    write_warc(tmp_path / "in/a.warc.gz", [*PAGES, Capture("http://a.example/empty", "<html><script>no()</script></html>")])
    job = cli.parse(["curate", "x", "--into", "y", f"--extract={name}", "--quiet"])[1]
    curate.run([str(tmp_path / "in")], str(tmp_path / "run"), [], job)
    opened = manifest.open_run(str(tmp_path / "run"))
    assert opened.manifest["parameters"]["extract"] == extract.digest(extract.Extract(extractor=name))
    assert opened.manifest["counts"]["documents"] == 3
    assert opened.manifest["counts"]["rejects_by_reason"] == {"extract/no_content": 1, "read/warcinfo": 1}


def test_other_settings_of_the_extractor_into_the_same_folder_are_refused(tmp_path: Path) -> None:
    write_warc(tmp_path / "in/a.warc.gz", PAGES)
    into = str(tmp_path / "run")
    command = ["curate", str(tmp_path / "in"), "--into", into, "--quiet"]
    assert cli.main([*command, "--extract=resiliparse"]) == 0
    assert cli.main([*command, "--extract=trafilatura"]) == 2
    assert cli.main([*command, "--extract=resiliparse", "--extract.max_depth=99"]) == 2
    assert cli.main([*command, "--extract=resiliparse"]) == 0


@pytest.mark.skipif("blocks" not in NAMES, reason="the extractor blocks is not there")
def test_a_users_model_reaches_the_worker_and_the_manifest(tmp_path: Path) -> None:
    """One that keeps everything and one that keeps nothing: other digests, other texts, other folders."""
    from provenance.extractors import blocks

    write_warc(tmp_path / "in/a.warc.gz", PAGES)
    weights = dict.fromkeys(blocks.shipped().weights, 0.0)
    found = {}
    for kind, intercept in (("all", 9.0), ("none", -9.0)):
        path = tmp_path / f"{kind}.yaml"
        path.write_text(yaml.safe_dump({"extract": {"model": {"weights": weights, "intercept": intercept, "threshold": 0.0}}}))
        command = ["curate", str(tmp_path / "in"), "--config", str(path), "--extract=blocks", "--quiet", "--into"]
        assert cli.main([*command, str(tmp_path / kind)]) == 0
        found[kind] = manifest.open_run(str(tmp_path / kind)).manifest
        assert found[kind]["config"]["extract"]["model"]["intercept"] == intercept
    assert digest(found["all"]["parameters"]) != digest(found["none"]["parameters"])
    assert found["all"]["counts"]["documents"] == 3
    assert cli.main([*command, str(tmp_path / "all")]) == 2


def proof_and_list(folder: Path) -> tuple[list[str], str]:
    """A proof that its signer's key checks, and a list by the same key that revokes its document."""
    opened = trees.snapshot(folder / "snapshot", trees.standard(), [trees.OWNER])
    key = str(trees.document(0)["key"])
    revoked = folder / "revoked.txt"
    revoked.write_bytes(revocation.write("*", [revocation.Item("key", key, "made up")], [trees.OWNER]))
    proofs.write_proof(opened, [key], str(folder / "proof.txt"))
    return [str(folder / "proof.txt"), "--key", trees.OWNER.verifier.vkey], str(revoked)


@pytest.mark.parametrize("more", [["--revoked", "LIST"], ["--sample", "0.5"], ["--sample-seed", "00"], ["--replay", "sources"]])
def test_what_a_proof_cannot_be_held_against_is_refused(
    more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    proof, revoked = proof_and_list(tmp_path)
    assert cli.main(["verify", *proof]) == 0
    assert cli.main(["verify", *proof, *(revoked if word == "LIST" else word for word in more)]) == UsageError.exit_code
    assert f"{more[0]} would count for nothing" in capsys.readouterr().err


@pytest.mark.parametrize(
    "more",
    [
        ["--sample-seed", "00"],
        ["--prove", str(trees.document(0)["key"]), "--out", "/nowhere/proof.txt", "--anchor", "0" * 64],
        ["--out", "/nowhere/proof.txt"],
    ],
)
def test_what_verify_would_pass_over_is_refused(more: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened = trees.snapshot(tmp_path / "snapshot", trees.standard(), [trees.OWNER])
    assert cli.main(["verify", opened.url, *more]) == UsageError.exit_code
    assert "Leave it out" in capsys.readouterr().err or more[0] == "--out"
