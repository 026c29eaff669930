"""Proofs and revocation lists on the command line: what is written, what is said, and the exit codes."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines import cli
from pipelines.verify import CONSISTENT
from store import notes, revocation
from store.errors import CheckFailed, UsageError
from store.manifest import Opened
from store.revocation import Item
from tests import mixes
from tests.store.frozen import SIGNER, Builder, key, simple

STRANGER = notes.Signer("example.org/stranger", bytes(range(1, 33)))
VKEY = SIGNER.verifier.vkey


class Command:
    """Runs `lowbackground`; keeps what it said."""

    def __init__(self, capsys: pytest.CaptureFixture[str]):
        self.capsys = capsys

    def __call__(self, *words: str) -> tuple[int, dict[str, Any]]:
        code = cli.main([*words, "--json", "--quiet"])
        return code, json.loads(self.capsys.readouterr().out)


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Command:
    return Command(capsys)


def listed(folder: Path, *items: tuple[str, str], scope: str = "*", signer: notes.Signer = SIGNER) -> str:
    path = folder / "revoked.txt"
    path.write_bytes(revocation.write(scope, [Item(kind, value, "made up") for kind, value in items], [signer]))
    return str(path)


# proofs


@pytest.mark.parametrize("names", [["document-0"], ["document-0", "document-3", "document-17"]], ids=["one", "several"])
def test_a_proof_is_written_and_checked_by_an_id_or_a_key(names: list[str], tmp_path: Path, command: Command) -> None:
    opened, out = simple(tmp_path / "snapshot", signer=SIGNER), str(tmp_path / "proof")
    keys = [key(name) for name in names]
    code, made = command("verify", opened.url, "--prove", ",".join(keys), "--out", out)
    assert (code, made["documents"], made["id"], made["signed"]) == (0, len(keys), opened.id, True)
    for trusted in (["--anchor", opened.id], ["--key", VKEY], ["--anchor", opened.id, "--key", VKEY]):
        code, found = command("verify", out, *trusted)
        assert (code, found["result"]) == (0, "VERIFIED")
        assert sorted(row["key"] for row in found["documents"]) == sorted(keys)
    code, found = command("verify", out)
    assert (code, found["result"]) == (CONSISTENT, "CONSISTENT, NOT ANCHORED")
    for other in (["--anchor", "0" * 64], ["--key", STRANGER.verifier.vkey]):
        code, found = command("verify", out, *other)
        assert (code, found["result"], found["documents"]) == (CheckFailed.exit_code, "FAILED", [])
    Path(out + ".manifest").unlink()
    assert command("verify", out, "--key", VKEY)[0] == 0
    assert command("verify", out, "--anchor", opened.id)[0] == CheckFailed.exit_code


def test_what_cannot_be_proven_is_refused(tmp_path: Path, command: Command) -> None:
    opened = simple(tmp_path / "snapshot")
    code, found = command("verify", opened.url, "--prove", key("document-0"))
    assert code == UsageError.exit_code and "--out FILE" in found["error"]
    code, found = command("verify", opened.url, "--prove", key("nothing"), "--out", str(tmp_path / "proof"))
    assert code == UsageError.exit_code and "has no document" in found["error"]
    assert not (tmp_path / "proof").exists()


# revocation: a snapshot


def witnessed(folder: Path, signer: notes.Signer | None = None) -> Opened:
    """A second version of a signed snapshot, in which an index of somebody else's witnesses two documents."""
    first = simple(folder, signer=SIGNER)
    return Builder(folder, first).witness("document-3").witness("document-3", "index-b").witness("document-7").finish(signer)


ITEMS = [("key", key("document-0")), ("witness", "index-a")]


def test_a_list_says_what_it_takes_from_a_snapshot(tmp_path: Path, command: Command, capsys: pytest.CaptureFixture[str]) -> None:
    opened = witnessed(tmp_path / "snapshot", SIGNER)
    # `witness archive file ...` names a witness `archive`, which nothing has: a list can not name what has a space in it.
    url = listed(tmp_path, *ITEMS, ("witness", "archive"), ("key", "a" * 32), scope=opened.id)
    code, found = command("verify", opened.url, "--anchor", opened.id, "--revoked", url)
    told = found["revoked"]
    assert (code, found["result"]) == (0, "VERIFIED")
    assert (told["items"], told["signed_by"], told["scope"]) == (4, ["example.org/test"], opened.id)
    before, after = ({level: held["documents"] for level, held in told[name].items()} for name in ("before", "after"))
    assert before == opened.manifest["counts"]["eligible"]
    # Document 0 falls to nothing, 7 to its file's own word; 3 has the word of another index.
    assert after == before | {"captured": before["captured"], "corroborated": before["corroborated"] - 1}
    assert (told["lowered"], told["lost"]) == (2, 1)
    assert told["unmatched"] == {"items": 2, "first": ["key " + "a" * 32, "witness archive"]}
    assert cli.main(["verify", opened.url, "--revoked", url, "--quiet"]) == CONSISTENT
    assert "2 items name nothing in this snapshot" in capsys.readouterr().out


def test_a_source_file_that_was_never_frozen_is_said(tmp_path: Path, command: Command) -> None:
    opened = simple(tmp_path / "snapshot", signer=SIGNER)
    _, found = command("verify", opened.url, "--revoked", listed(tmp_path, ("source", "ab" * 32)))
    assert found["revoked"]["unmatched"] == {"items": 1, "first": [f"source {'ab' * 32}"]} and found["revoked"]["lowered"] == 0


@pytest.mark.parametrize("scope", ["*", SIGNER.name, "the first version"])
def test_who_signed_the_first_version_signs_lists_for_those_after_it(scope: str, tmp_path: Path, command: Command) -> None:
    opened = witnessed(tmp_path / "snapshot")
    assert opened.manifest["signers"] == [] and opened.parent
    url = listed(tmp_path, *ITEMS, scope=opened.parent if scope == "the first version" else scope)
    code, found = command("verify", opened.url, "--anchor", opened.id, "--revoked", url)
    assert (code, found["revoked"]["lowered"]) == (0, 2)


def test_a_list_that_is_not_for_a_snapshot_is_refused(tmp_path: Path, command: Command) -> None:
    opened = simple(tmp_path / "snapshot", signer=SIGNER)
    code, found = command("verify", opened.url, "--revoked", listed(tmp_path, *ITEMS, scope="cd" * 32))
    assert code == UsageError.exit_code and "does not extend it" in found["error"]
    stranger = listed(tmp_path, *ITEMS, signer=STRANGER)
    code, found = command("verify", opened.url, "--revoked", stranger)
    assert code == CheckFailed.exit_code and "trusted keys are example.org/test" in found["error"]
    assert command("verify", opened.url, "--anchor", opened.id, "--revoked", stranger, "--key", STRANGER.verifier.vkey)[0] == 0
    Path(stranger).write_text(revocation.text("*", [Item(*ITEMS[0], "made up")]))
    code, found = command("verify", opened.url, "--revoked", stranger)
    assert code == CheckFailed.exit_code and "no signed note" in found["error"]


# revocation: a mix


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Opened, Opened]:
    """A snapshot of 40 documents, and a mix of them and 20 others with a floor of one half, which 30 of them keep."""
    folder = tmp_path_factory.mktemp("mixed")
    frozen = mixes.snapshot(folder / "snapshot", [mixes.document(f"human-{i}", 1000) for i in range(40)])
    crawled = mixes.run(folder / "run", [frozen], [(mixes.document(f"new-{i}", 1000), "unknown", None) for i in range(20)])
    return frozen, mixes.make(folder / "mix", frozen, [crawled])


def revoked(count: int) -> list[tuple[str, str]]:
    return [("key", mixes.document(f"human-{i}", 1000)["key"]) for i in range(count)]


@pytest.mark.parametrize(("count", "holds"), [(0, True), (9, True), (11, False), (40, False)])
def test_a_mix_fails_where_its_floor_no_longer_holds(
    count: int, holds: bool, mixed: tuple[Opened, Opened], tmp_path: Path, command: Command
) -> None:
    frozen, made = mixed
    url = listed(tmp_path, *revoked(count), scope=frozen.id)
    code, found = command("verify", made.url, "--anchor", frozen.id, "--revoked", url, "--key", VKEY)
    told = found["revoked"]
    assert (told["documents"], told["touched"]) == (count, count > 0)
    assert told["units"]["bytes"]["touched"] == told["bytes"] > 1000 * count - 1
    assert told["units"]["bytes"]["floor_holds"] is holds
    assert (code, found["result"]) == ((0, "VERIFIED") if holds else (CheckFailed.exit_code, "FAILED: REVOKED BELOW ITS FLOOR"))
    assert told.get("result") == (None if holds else "the floor no longer holds in bytes")


def test_a_list_that_is_not_for_a_mix_is_refused(mixed: tuple[Opened, Opened], tmp_path: Path, command: Command) -> None:
    frozen, made = mixed
    key = ["--key", VKEY]
    code, found = command("verify", made.url, "--revoked", listed(tmp_path, *revoked(1), scope="cd" * 32), *key)
    assert code == UsageError.exit_code and f"draws from snapshot {frozen.id}" in found["error"]
    code, found = command("verify", made.url, "--revoked", listed(tmp_path, *revoked(1)))
    assert code == UsageError.exit_code and "Give its signer's key with --key" in found["error"]
    code, found = command("verify", made.url, "--revoked", listed(tmp_path, *revoked(1), signer=STRANGER), *key)
    assert code == CheckFailed.exit_code and "trusted keys are example.org/test" in found["error"]
    (tmp_path / "revoked.txt").write_text(revocation.text("*", [Item(*revoked(1)[0], "made up")]))
    code, found = command("verify", made.url, "--revoked", str(tmp_path / "revoked.txt"), *key)
    assert code == CheckFailed.exit_code and "no signed note" in found["error"]


def test_a_mix_is_told_which_items_name_nothing(mixed: tuple[Opened, Opened], tmp_path: Path, command: Command) -> None:
    frozen, made = mixed
    url = listed(tmp_path, *revoked(1), ("witness", "archive"))
    asked = [
        "mix",
        f"{Path(made.url).parent}/run",
        "--snapshot",
        frozen.url,
        "--into",
        str(tmp_path / "mix"),
        "--min-attestation",
        "captured",
    ]
    code, found = command(*asked, "--revoked", url, "--key", VKEY, "--dry-run")
    assert (code, found["revoked_unmatched"]) == (0, {"items": 1, "first": ["witness archive"]})


def test_keys_without_a_list_are_refused(mixed: tuple[Opened, Opened], tmp_path: Path, command: Command) -> None:
    frozen, made = mixed
    for words in (
        ["query", made.url, "SELECT 1"],
        ["mix", f"{Path(made.url).parent}/run", "--snapshot", frozen.url, "--into", str(tmp_path / "mix")],
    ):
        code, found = command(*words, "--key", VKEY)
        assert code == UsageError.exit_code and "--key would count for nothing" in found["error"]
    assert not (tmp_path / "mix").exists()


def test_a_share_of_nothing_is_not_passed_over(tmp_path: Path, command: Command) -> None:
    opened = simple(tmp_path / "snapshot", signer=SIGNER)
    for share in ("0", "1.5", "nan"):
        code, found = command("verify", opened.url, "--sample", share)
        assert code == UsageError.exit_code and "is no share" in found["error"]
    assert command("verify", opened.url, "--prove", key("document-0"), "--out", str(tmp_path / "proof"))[0] == 0
    code, found = command("verify", str(tmp_path / "proof"), "--key", VKEY, "--sample", "0")
    assert code == UsageError.exit_code and "--sample would count for nothing" in found["error"]
