"""Lists as a person writes them become signed ones that verifiers take."""

from pathlib import Path

import pytest

from pipelines import revoke
from store import revocation
from tests import trees

KEY = "ab" * 16


@pytest.fixture
def private(tmp_path: Path) -> str:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

    key = Ed25519PrivateKey.from_private_bytes(trees.OWNER.seed).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (tmp_path / "key.pem").write_bytes(key)
    return str(tmp_path / "key.pem")


def run(tmp_path: Path, private: str, text: str, *more: str) -> int:
    (tmp_path / "items").write_text(text)
    return revoke.main([str(tmp_path / "items"), "--scope", "*", "--sign", private, "--out", str(tmp_path / "list"), *more])


def test_items_in_any_order_are_signed_and_read_back(tmp_path: Path, private: str, capsys: pytest.CaptureFixture[str]) -> None:
    text = f"# found in May\nwitness cc-index its bucket was open\nkey {KEY}\n"
    assert run(tmp_path, private, text, "--origin", trees.OWNER.name) == 0
    assert trees.OWNER.verifier.vkey in capsys.readouterr().out
    found = revocation.read(str(tmp_path / "list"), vkeys=[trees.OWNER.verifier.vkey])
    assert [tuple(item) for item in found.items] == [
        ("key", KEY, "no reason given"),
        ("witness", "cc-index", "its bucket was open"),
    ]


@pytest.mark.parametrize("text", ["key\n", "rumour 7 x\n", "key 7 x\n", f"key {KEY} a\nkey {KEY} b\n"])
def test_what_takes_nothing_back_is_an_error_and_writes_nothing(tmp_path: Path, private: str, text: str) -> None:
    assert run(tmp_path, private, text, "--origin", trees.OWNER.name) == 2
    assert not (tmp_path / "list").exists()


def test_a_key_without_a_name_and_files_that_are_not_there_are_errors(tmp_path: Path, private: str) -> None:
    assert run(tmp_path, private, f"key {KEY}\n") == 2
    assert revoke.main(["nowhere", "--scope", "*", "--sign", private, "--origin", "a", "--out", str(tmp_path / "list")]) == 2
