from pathlib import Path

import pytest

from store import checkpoint, files, notes
from store.errors import CheckFailed
from store.manifest import Opened
from tests import trees


@pytest.fixture
def frozen(tmp_path: Path) -> Opened:
    return trees.snapshot(tmp_path / "snapshot", trees.standard(), [trees.OWNER])


def signed(opened: Opened) -> bytes:
    return files.read_bytes(files.join(opened.url, checkpoint.path(opened.id)))


def test_a_checkpoint_is_the_note_that_c2sp_describes(frozen: Opened) -> None:
    data = checkpoint.write(frozen, trees.OWNER)
    assert data == signed(frozen)
    lines = data.decode().split("\n")
    assert lines[:2] == ["example.org/snapshots", "10"]
    assert notes.decode(lines[2]).hex() == frozen.manifest["tree"]["root"]
    assert lines[3:5] == [f"lowbackground-snapshot sha256:{frozen.id}", ""]
    assert lines[5].startswith("— example.org/snapshots ") and lines[6:] == [""]
    assert checkpoint.write(frozen, trees.OWNER, "elsewhere.example/log").startswith(b"elsewhere.example/log\n10\n")
    with pytest.raises(ValueError, match="no origin"):
        checkpoint.write(frozen, trees.OWNER, "two\nlines")


def test_the_file_is_checked_by_the_manifests_signers(frozen: Opened, tmp_path: Path) -> None:
    found = checkpoint.check_file(frozen)
    assert found is not None and (found.size, found.snapshot) == (10, frozen.id)
    assert checkpoint.check_file(trees.snapshot(tmp_path / "unsigned", trees.standard())) is None
    (Path(frozen.url) / checkpoint.path(frozen.id)).unlink()
    with pytest.raises(CheckFailed, match="missing"):
        checkpoint.check_file(frozen)


def test_every_flipped_bit_is_found(frozen: Opened) -> None:
    data = signed(frozen)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CheckFailed):
            checkpoint.check(bytes(flipped), frozen, [trees.OWNER.verifier])


def test_every_flipped_bit_is_found_with_two_signers(tmp_path: Path) -> None:
    frozen = trees.snapshot(tmp_path / "snapshot", trees.standard(), [trees.OWNER, trees.STRANGER])
    data, keys = signed(frozen), [trees.OWNER.verifier, trees.STRANGER.verifier]
    checkpoint.check(data, frozen, keys)
    for bit in range(8 * len(data)):
        flipped = bytearray(data)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(CheckFailed):
            checkpoint.check(bytes(flipped), frozen, keys)


def test_signatures_of_nobody_or_of_another_do_not_stand_there(frozen: Opened) -> None:
    keys = [trees.OWNER.verifier]
    text = checkpoint.of(frozen, "example.org/snapshots").text()
    with pytest.raises(CheckFailed, match="trusted keys"):
        checkpoint.check(notes.sign(text, [trees.STRANGER]), frozen, keys)
    for signers in ([trees.OWNER, trees.STRANGER], [trees.OWNER, trees.OWNER]):
        with pytest.raises(CheckFailed, match="by nobody else"):
            checkpoint.check(notes.sign(text, signers), frozen, keys)
    with pytest.raises(CheckFailed, match=r"lacking: example.org/stranger"):
        checkpoint.check(signed(frozen), frozen, [*keys, trees.STRANGER.verifier])


@pytest.mark.parametrize(
    ("field", "value"), [("size", 9), ("root", b"\1" * 32), ("snapshot", "0" * 64)], ids=lambda value: str(value)[:8]
)
def test_what_differs_is_named(frozen: Opened, field: str, value: object) -> None:
    other = checkpoint.of(frozen, "example.org/snapshots")._replace(**{field: value}).text()
    with pytest.raises(CheckFailed, match=f"says {field} .*vouches for another"):
        checkpoint.check(notes.sign(other, [trees.OWNER]), frozen, [trees.OWNER.verifier])


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("\n10\n", "\n010\n"),
        lambda text: text.replace("\n10\n", "\n-10\n"),
        lambda text: text.replace("sha256:", "sha256:0"),
        lambda text: text + "another line\n",
        lambda text: text.rpartition("lowbackground")[0],
        lambda text: text.split("\n")[0] + "\n10\nAAAA\n" + text.split("\n")[3] + "\n",
        lambda text: "\n" + text.partition("\n")[2],
    ],
)
def test_other_spellings_are_no_checkpoint(frozen: Opened, change: object) -> None:
    text = change(checkpoint.of(frozen, "example.org/snapshots").text())  # type: ignore[operator]
    with pytest.raises(ValueError):
        checkpoint.parse(text)
    with pytest.raises(CheckFailed, match="no checkpoint"):
        checkpoint.check(notes.sign(text, [trees.OWNER]), frozen, [trees.OWNER.verifier])
