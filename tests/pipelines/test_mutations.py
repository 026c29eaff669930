"""One random bit is flipped in each of many random places of a snapshot, and `verify` names the file each time."""

import base64
import random
import shutil
from collections import Counter
from pathlib import Path

import pytest

from pipelines import verify
from store import files, manifest
from tests.builders import Capture, frozen, html, prose, write_warc
from tests.store.frozen import SIGNER, grown, simple

SEED = 20211130


def key_file(folder: Path) -> str:
    """A signing key as `--sign` takes it."""
    seed = base64.b64encode(b"\x01" + SIGNER.seed).decode()
    file = folder / "key"
    file.write_text(f"PRIVATE+KEY+{SIGNER.name}+{SIGNER.verifier.id.hex()}+{seed}\n")
    return str(file)


def freeze(folder: Path) -> None:
    """A signed snapshot of two versions, by `freeze`."""
    write_warc(folder / "old/a.warc.gz", [Capture(f"http://old.example/{i}", html(prose(i), f"Page {i}")) for i in range(9)])
    write_warc(folder / "more/b.warc.gz", [Capture(f"http://old.example/{i}", html(prose(i), f"Page {i}")) for i in range(7, 14)])
    sign = key_file(folder)
    first = frozen([folder / "old"], folder / "snapshot", sign=sign)
    frozen([folder / "more"], folder / "snapshot", None, extends=first["id"], sign=sign)


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One that the tests wrote row by row, and one that `freeze` made."""
    base = tmp_path_factory.mktemp("mutations")
    grown(base / "built", SIGNER)
    freeze(base)
    return {"built": base / "built", "frozen": base / "snapshot"}


def places(folder: Path, number: int, seed: int) -> list[tuple[str, int, int]]:
    """(file, byte, bit), so that every dataset, the manifests and the checkpoints get equal shares."""
    rng = random.Random(seed)
    groups: dict[str, list[str]] = {}
    listed = {entry["path"] for entry in manifest.open_snapshot(str(folder)).manifest["files"]}
    for path in files.list_files(str(folder)):
        if path in listed or path.startswith(("manifests/", "checkpoints/")):
            groups.setdefault(path.split("/")[0], []).append(path)
    found = []
    for at in range(number):
        path = rng.choice(groups[sorted(groups)[at % len(groups)]])
        found.append((path, rng.randrange((folder / path).stat().st_size), rng.randrange(8)))
    assert {"documents", "leaves", "bands", "manifests", "checkpoints"} <= set(groups)
    return found


def flip_each(folder: Path, number: int, seed: int) -> Counter[str]:
    """Flips, verifies and restores; the datasets whose file was named, with how often."""
    newest = manifest.open_snapshot(str(folder))
    target = f"{folder}@{newest.id}"
    assert verify.run(target, newest.id, quiet=True)["exit_code"] == 0
    named: Counter[str] = Counter()
    for path, place, bit in places(folder, number, seed):
        file = folder / path
        data = file.read_bytes()
        file.write_bytes(data[:place] + bytes([data[place] ^ 1 << bit]) + data[place + 1 :])
        summary = verify.run(target, newest.id, quiet=True)
        file.write_bytes(data)
        assert summary["exit_code"] == 1, (path, place, bit)
        assert summary["wrong"] == [path], (path, place, bit, summary["why"])
        named[path.split("/")[0]] += 1
    assert verify.run(target, newest.id, quiet=True)["exit_code"] == 0
    return named


def test_thirty_flipped_bits_of_rows_written_by_hand_are_all_found_and_named(snapshots: dict[str, Path]) -> None:
    assert flip_each(snapshots["built"], 30, SEED).total() == 30


def test_two_hundred_flipped_bits_are_all_found_and_named(snapshots: dict[str, Path]) -> None:
    assert flip_each(snapshots["frozen"], 200, SEED + 1).total() == 200


def test_a_copy_elsewhere_verifies_by_the_same_id(snapshots: dict[str, Path], tmp_path: Path) -> None:
    newest = manifest.open_snapshot(str(snapshots["frozen"]))
    shutil.copytree(snapshots["frozen"], tmp_path / "copy")
    assert verify.run(str(tmp_path / "copy"), newest.id, quiet=True)["result"] == "VERIFIED"
    assert simple(tmp_path / "other").id != newest.id
