"""Signed notes: the golden key and note of Go's sumdb/note, and every way in which a note can be another."""

import base64
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store import notes
from store.errors import CheckFailed, UsageError
from store.notes import Signer

# The examples of golang.org/x/mod/sumdb/note (note_test.go, ExampleSign, ExampleOpen and ExampleSign_add_signatures).
PRIVATE = "PRIVATE+KEY+PeterNeumann+c74f20a3+AYEKFALVFGyNhPJEMzD1QIDr+Y7hfZx09iUvxdXHKDFz"
PUBLIC = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
ENOCH = "EnochRoot+af0cfe78+ATtqJ7zOtqQtYqOo0CpvDXNlMhV3HeJDpjrASKGLWdop"
TEXT = "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n"
NOTE = TEXT + "\n— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
BOTH = NOTE + "— EnochRoot rwz+eBzmZa0SO3NbfRGzPCpDckykFXSdeX+MNtCOXm2/5n2tiOHp+vAF1aGrQ5ovTG01oOTGwnWLox33WWd1RvMc+QQ=\n"


@pytest.fixture
def peter(tmp_path: Path) -> Signer:
    (tmp_path / "key").write_text(PRIVATE + "\n")
    return notes.read_key(str(tmp_path / "key"))


def test_golden_note_of_go(peter: Signer) -> None:
    assert peter.verifier.vkey == PUBLIC
    assert notes.sign(TEXT, [peter]) == NOTE.encode()
    assert notes.verify(NOTE.encode(), [notes.verifier(PUBLIC)], "note") == (TEXT, [peter.verifier])
    both = notes.verifiers([PUBLIC, ENOCH])
    assert notes.verify(BOTH.encode(), both, "note") == (TEXT, both)
    assert notes.verify(BOTH.encode(), both[1:], "note") == (TEXT, both[1:])


def test_rfc_8032_key_through_a_note() -> None:
    # RFC 8032 section 7.1, test 1: its secret and public key.
    seed = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
    signer = Signer("rfc8032.example", seed)
    assert signer.verifier.public.hex() == "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"
    assert seed.hex() not in repr(signer) and str(seed) not in repr(signer)


def test_unknown_signatures_are_passed_over_and_never_enough(peter: Signer) -> None:
    with pytest.raises(CheckFailed, match=r"PeterNeumann.*trusted keys are EnochRoot"):
        notes.verify(NOTE.encode(), notes.verifiers([ENOCH]), "note")
    with pytest.raises(CheckFailed, match="none"):
        notes.verify(NOTE.encode(), [], "note")
    same_name = Signer("PeterNeumann", bytes(32))
    with pytest.raises(CheckFailed, match="trusted keys"):
        notes.verify(NOTE.encode(), [same_name.verifier], "note")
    forged = NOTE.encode() + notes.sign("other\n", [Signer("EnochRoot", bytes(32))]).split(b"\n\n")[1]
    assert notes.verify(forged, [peter.verifier], "note")[1] == [peter.verifier]


def test_a_false_signature_of_a_known_key_spoils_the_note(peter: Signer) -> None:
    other = notes.sign("Another text.\n", [peter]).decode().rpartition("\n\n")[2]
    for changed in (f"{TEXT}\n{other}", NOTE + other, f"{NOTE.replace('answer', 'enswer')}"):
        with pytest.raises(CheckFailed, match="not over its text"):
            notes.verify(changed.encode(), [peter.verifier], "note")


@given(st.integers(0, 8 * len(NOTE.encode()) - 1))
def test_every_flipped_bit_is_found(bit: int) -> None:
    data = bytearray(NOTE.encode())
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CheckFailed):
        notes.verify(bytes(data), [notes.verifier(PUBLIC)], "note")


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (TEXT.encode(), "no empty line"),
        (NOTE.encode().replace(b"\n\n", b"\n"), "no empty line"),
        (NOTE.encode().rstrip(b"\n"), "no newline ends it"),
        (NOTE.encode() + b"\n", "signature line|no empty line"),
        (NOTE.encode().replace("—".encode(), b"-"), "signature line"),
        (NOTE.encode().replace(b"PeterNeumann x", b"Peter+Neumann x"), "no key name"),
        (NOTE.encode().replace(b"PeterNeumann x", "Peter\u00a0Neumann x".encode()), "no key name"),
        (NOTE.encode().replace(b"AM=\n", b"AN=\n"), "canonical"),
        (NOTE.encode().replace(b"AM=\n", b"AM\n"), "base64"),
        (NOTE.encode().replace(b"AM=\n", b"AM= \n"), "base64"),
        (NOTE.encode().replace(b"answer", b"ans\x00er"), "control character"),
        (NOTE.encode().replace(b"answer", b"ans\rer"), "control character"),
        (NOTE.encode().replace(b"answer", b"ans\xffer"), "utf-8"),
        (("\n\n" + NOTE.split("\n\n")[1]).encode(), "empty"),
        ((TEXT + "\n" + "— a b AAAA\n").encode(), "base64"),
        ((TEXT + "\n" + "— a AAAAAA==\n").encode(), "no bytes"),
        (b"x" * notes.LIMIT + NOTE.encode(), "more than 1048576"),
        ((NOTE + NOTE.split("\n\n")[1] * notes.SIGNATURES).encode(), "101 signatures"),
    ],
)
def test_other_spellings_are_refused(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        notes.parse(data)
    with pytest.raises(CheckFailed, match=said):
        notes.verify(data, [notes.verifier(PUBLIC)], "note")


def test_a_text_may_have_empty_lines(peter: Signer) -> None:
    text = "one\n\ntwo\n\n"
    assert notes.verify(notes.sign(text, [peter]), [peter.verifier], "note")[0] == text


@pytest.mark.parametrize("text", ["", "no newline", "\n", "tab\there\n"])
def test_what_a_note_cannot_carry_is_not_signed(peter: Signer, text: str) -> None:
    with pytest.raises(ValueError):
        notes.sign(text, [peter])


@pytest.mark.parametrize(
    ("vkey", "said"),
    [
        ("nonsense", "no verifier key"),
        (PUBLIC.replace("c74f20a3", "c74f20a4"), "give c74f20a3"),
        (PUBLIC.replace("PeterNeumann", "Peter"), "name and key give"),
        (PUBLIC[:-4], "type 01 with 29 bytes"),
        ("a+00000000+" + base64.b64encode(b"\x04" + bytes(32)).decode(), "type 04"),
        ("+c74f20a3+" + PUBLIC.split("+", 2)[2], "no key name"),
    ],
)
def test_what_is_no_verifier_key_is_explained(vkey: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        notes.verifier(vkey)


def openssl(*arguments: str) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def test_a_pem_key_of_openssl_signs(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    openssl("genpkey", "-algorithm", "ed25519", "-out", str(path))
    signer = notes.read_key(str(path), "example.org/lab")
    assert notes.verify(notes.sign(TEXT, [signer]), [notes.verifier(signer.verifier.vkey)], "note")[0] == TEXT
    with pytest.raises(UsageError, match="no key name"):
        notes.read_key(str(path))
    openssl("pkey", "-in", str(path), "-aes256", "-passout", "pass:secret", "-out", str(tmp_path / "locked.pem"))
    with pytest.raises(UsageError, match=r"encrypted.*openssl pkey"):
        notes.read_key(str(tmp_path / "locked.pem"), "example.org/lab")
    openssl("genpkey", "-algorithm", "x25519", "-out", str(path))
    with pytest.raises(UsageError, match="not an Ed25519"):
        notes.read_key(str(path), "example.org/lab")


@pytest.mark.parametrize(
    "content",
    [
        "",
        "PRIVATE+KEY+",
        PUBLIC,
        PRIVATE[:-4],
        PRIVATE.replace("c74f", "c74e"),
        PRIVATE.replace("xdXHKDFz", "xdXHKDF!"),
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "schlüssel",
    ],
)
def test_what_is_no_private_key_is_explained_and_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "key"
    path.write_text(content)
    with pytest.raises(UsageError, match="genpkey") as error:
        notes.read_key(str(path), "example.org/lab")
    assert "AYEKFALVFGyN" not in str(error.value)
    with pytest.raises(UsageError, match="cannot be read"):
        notes.read_key(str(tmp_path / "nothing"))


def test_a_key_is_not_used_under_another_name(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(PRIVATE)
    with pytest.raises(UsageError, match=r"'PeterNeumann'.*'example.org/lab'"):
        notes.read_key(str(tmp_path / "key"), "example.org/lab")
