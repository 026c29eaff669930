"""`verify` of a mix at the command line: what it prints, with which exit code, and which options it refuses."""

import json
import shutil
from pathlib import Path

import pytest

from pipelines import cli
from store import checkpoint, files, manifest, notes
from tests import forge_mix, mixes

ALICE = notes.Signer("alice.example", b"a" * 32)


def said(capsys: pytest.CaptureFixture[str], *argv: object) -> tuple[int, dict]:
    """Exit code and summary."""
    code = cli.main(["verify", *map(str, argv), "--json", "--quiet"])
    out = capsys.readouterr()
    return code, json.loads(out.out) if out.out.strip() else {"error": out.err}


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mix")
    frozen, crawled = mixes.standard(folder)
    mixes.make(folder / "mix", frozen, [crawled], shards=2)
    return folder, frozen, crawled


def test_the_exit_code_says_whether_it_was_anchored(made, capsys):
    folder, frozen, _ = made
    assert said(capsys, folder / "mix")[0] == 3
    code, found = said(capsys, folder / "mix", "--anchor", frozen.id.upper())
    assert (code, found["result"]) == (0, "VERIFIED")
    assert found["line"].startswith("80 % of the human bytes rest on witness 'archive file'")
    assert said(capsys, folder / "mix", "--anchor", "0" * 64)[0] == 1


def test_a_late_cutoff_is_for_the_user_to_allow(made, tmp_path, capsys):
    _, frozen, _ = made
    late = mixes.snapshot(tmp_path / "late", list(forge_mix.documents(frozen).values()), cutoff="2026-01-01T00:00:00.000000Z")
    crawled = mixes.run(tmp_path / "run", [late], [(mixes.document("new", 500), "unknown", None)])
    mixes.make(tmp_path / "mix", late, [crawled])
    code, found = said(capsys, tmp_path / "mix", "--anchor", late.id)
    assert code == 1 and "--max-cutoff" in found["why"]["proof/snapshot.manifest"]
    assert said(capsys, tmp_path / "mix", "--anchor", late.id, "--max-cutoff", "2026-01-01")[0] == 0
    assert said(capsys, tmp_path / "mix", "--anchor", late.id, "--max-cutoff", "2025-12-31T23:59:59Z")[0] == 1
    assert said(capsys, tmp_path / "mix", "--anchor", late.id, "--max-cutoff", "tomorrow")[0] == 2


@pytest.mark.parametrize("option", ["--max-cutoff", "--texts"])
def test_options_of_mixes_are_refused_for_what_is_none(made, capsys, option):
    folder, frozen, crawled = made
    for target in (frozen.url, crawled.url):
        code, found = said(capsys, target, option, "2022-01-01" if option == "--max-cutoff" else frozen.url)
        assert code == 2 and "would count for nothing" in found["error"]
    if option == "--texts":
        assert said(capsys, folder / "mix", option, frozen.url)[0] == 2


def test_a_signers_key_vouches_for_a_mix(made, tmp_path, capsys):
    _, frozen, _ = made
    known = list(forge_mix.documents(frozen).values())
    signed = mixes.snapshot(tmp_path / "signed", known, signers=[ALICE.verifier.vkey])
    files.write_bytes(files.join(signed.url, checkpoint.path(signed.id)), checkpoint.write(signed, ALICE))
    crawled = mixes.run(tmp_path / "run", [signed], [(mixes.document("new", 500), "unknown", None)])
    mixes.make(tmp_path / "mix", signed, [crawled])
    code, found = said(capsys, tmp_path / "mix", "--key", ALICE.verifier.vkey)
    assert (code, found["result"], found["signed_by"]) == (0, "VERIFIED, SIGNED BY alice.example", ["alice.example"])
    assert said(capsys, tmp_path / "mix")[0] == 3
    other = notes.Signer("bob.example", b"b" * 32).verifier.vkey
    assert said(capsys, tmp_path / "mix", "--key", other)[0] == 1
    assert said(capsys, tmp_path / "mix", "--key", "alice")[0] == 2


def test_one_shard_is_verified_where_it_lies(made, tmp_path, capsys, monkeypatch):
    folder, frozen, _ = made
    name = "train-00001-of-00002"
    for path in (
        "manifest.json",
        "proof/snapshot.manifest",
        f"data/{name}.parquet",
        f"proof/{name}.leaves.zst",
        f"proof/{name}.hashes.bin",
    ):
        (tmp_path / "mix" / path).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(folder / "mix" / path, tmp_path / "mix" / path)
    shard = tmp_path / "mix/data" / f"{name}.parquet"
    code, found = said(capsys, shard, "--anchor", frozen.id)
    assert (code, found["result"]) == (0, "VERIFIED, ONE SHARD")
    assert found["line"].startswith("ONE OF 2 SHARDS: ")
    assert said(capsys, shard)[0] == 3
    monkeypatch.chdir(tmp_path / "mix")
    assert said(capsys, f"data/{name}.parquet", "--anchor", frozen.id)[0] == 0
    monkeypatch.chdir(tmp_path / "mix/data")
    code, found = said(capsys, f"{name}.parquet", "--anchor", frozen.id)
    assert code == 2 and "manifest.json" in found["error"]
    monkeypatch.chdir(tmp_path)
    code, found = said(capsys, tmp_path / "mix", "--anchor", frozen.id)
    assert code == 1 and "data/train-00000-of-00002.parquet" in found["missing"]
    assert said(capsys, shard, "--anchor", frozen.id, "--revoked", "x")[0] == 2
    shard.write_bytes(shard.read_bytes()[:-1] + b"2")
    assert said(capsys, shard, "--anchor", frozen.id)[0] == 1
    (tmp_path / "mix/manifest.json").unlink()
    code, found = said(capsys, shard, "--anchor", frozen.id)
    assert code == 2 and "manifest.json" in found["error"]


def test_a_file_that_a_manifest_does_not_call_a_shard_is_none(made, capsys):
    folder, frozen, _ = made
    assert said(capsys, folder / "mix/data/train-00002-of-00002.parquet", "--anchor", frozen.id)[0] == 2


def packed(made, tmp_path, lossy: bool) -> Path:
    _, frozen, crawled = made
    options = {"units": ("tokens",), "format": "tokens", "sequence_length": 64, "shards": 2, "human_apart": True}
    mixes.make(tmp_path / "mix", frozen, [crawled], tokenizer=str(forge_mix.tokenizer(tmp_path / "tokenizer", lossy)), **options)
    return tmp_path / "mix"


def test_tokens_that_give_their_texts_back_verify_alone(made, tmp_path, capsys):
    mix = packed(made, tmp_path, lossy=False)
    code, found = said(capsys, mix, "--anchor", made[1].id)
    assert (code, found["result"], found["unverified"]) == (0, "VERIFIED", 0)
    assert "of the human tokens rest on witness" in found["line"]


def test_tokens_that_lose_text_need_the_snapshot(made, tmp_path, capsys):
    _, frozen, _ = made
    mix = packed(made, tmp_path, lossy=True)
    code, found = said(capsys, mix, "--anchor", frozen.id)
    assert (code, found["result"], found["unverified"]) == (3, "CONSISTENT, NOT VERIFIABLE WITHOUT THE SNAPSHOT", 30)
    assert "NOT VERIFIABLE WITHOUT THE SNAPSHOT: the texts of 30 human documents" in found["line"]
    assert not found["anchored"]
    assert said(capsys, mix)[1]["result"] == "CONSISTENT, NOT ANCHORED, NOT VERIFIABLE WITHOUT THE SNAPSHOT"
    code, found = said(capsys, mix, "--anchor", frozen.id, "--texts", frozen.url)
    assert (code, found["result"], found["unverified"]) == (0, "VERIFIED", 0)
    assert said(capsys, mix, "--anchor", frozen.id, "--texts", tmp_path / "nowhere")[0] == 2
    one = manifest.open_mix(str(mix)).manifest["shards"][1]["path"]
    code, found = said(capsys, mix / one, "--anchor", frozen.id)
    assert code == 3 and "ONE SHARD" in found["result"] and 0 < found["unverified"] < 30


def test_a_report_of_a_late_cutoff_says_that_it_verified_where_that_is_allowed(made, tmp_path, capsys):
    _, frozen, _ = made
    late = mixes.snapshot(tmp_path / "late", list(forge_mix.documents(frozen).values()), cutoff="2026-01-01T00:00:00.000000Z")
    crawled = mixes.run(tmp_path / "run", [late], [(mixes.document("new", 500), "unknown", None)])
    mixes.make(tmp_path / "mix", late, [crawled])
    asked = ["report", str(tmp_path / "mix"), "--anchor", late.id, "--json", "--quiet"]
    assert cli.main(asked) == 1
    assert cli.main([*asked, "--max-cutoff", "2026-01-01"]) == 0
    assert cli.main(["report", frozen.url, "--max-cutoff", "2026-01-01", "--json", "--quiet"]) == 2


def test_what_a_hubs_client_leaves_beside_a_mix_is_no_file_of_it(made, tmp_path, capsys):
    folder, frozen, _ = made
    mix = shutil.copytree(folder / "mix", tmp_path / "mix")
    (mix / ".gitattributes").write_text("*.parquet filter=lfs\n")
    (mix / ".cache/huggingface/download").mkdir(parents=True)
    (mix / ".cache/huggingface/download/manifest.json.metadata").write_text("0\n")
    assert said(capsys, mix, "--anchor", frozen.id)[0] == 0
    for place in (".cache/other", "data/.gitattributes", "data/.cache/huggingface/train-00000-of-00002.parquet"):
        (mix / place).parent.mkdir(parents=True, exist_ok=True)
        (mix / place).write_text("")
        code, found = said(capsys, mix, "--anchor", frozen.id)
        assert (code, found["extra"]) == (1, [place])
        (mix / place).unlink()
