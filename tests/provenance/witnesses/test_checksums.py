"""Published checksum lists in the forms that people publish them."""

import hashlib
import json

import pytest

from provenance.witnesses.checksums import parse, refusal

ONE, TWO = hashlib.sha256(b"1").hexdigest(), hashlib.sha256(b"2").hexdigest()
WIDE, WIDEST = hashlib.sha384(b"1").hexdigest(), hashlib.sha512(b"1").hexdigest()
MD5, SHA1, SHA224 = hashlib.md5(b"1").hexdigest(), hashlib.sha1(b"1").hexdigest(), hashlib.sha224(b"1").hexdigest()


def lines(text: str) -> list[bytes]:
    return text.encode().splitlines(keepends=True)


@pytest.mark.parametrize(
    "text",
    [
        f"{ONE}  a file.gz\n",
        f"{ONE} *a.gz\n",
        f"\\{ONE}  a\\nb\\\\n\n",
        f"{ONE}\ta.gz\r\n",
        f"{ONE.upper()}  a.gz",
        f"{ONE}\n",
        f"\ufeff{ONE}  a.gz\n",
        f"SHA256 (a (1).gz) = {ONE}\n",
        f"\\SHA256 (a\\nb) = {ONE}\n",
        f"SHA2-256(a.gz)= {ONE}\n",
        f"SHA256(a.gz)= {ONE}\n",
        f"# sums\n\n-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n{ONE}  a.gz\n-----BEGIN PGP SIGNATURE-----\n\niQ=\n",
        json.dumps({"resources": [{"path": "a.gz", "hash": f"sha256:{ONE}", "bytes": 1}]}),
        json.dumps([{"type": "file", "path": "a.gz", "oid": SHA1, "lfs": {"oid": ONE, "size": 1}}], indent=1),
        json.dumps({"siblings": [{"rfilename": "a.gz", "lfs": {"sha256": ONE}}]}),
        json.dumps({"distribution": [{"@type": "cr:FileObject", "name": "a.gz", "sha256": ONE}]}),
        json.dumps({"path": "a.gz", "sha256": ONE}) + "\n" + json.dumps({"path": "b"}) + "\n",
    ],
)
def test_every_form_of_list_is_read(text: str) -> None:
    assert parse(lines(text)).digests == {"sha256": {ONE}}


def test_lists_of_wider_digests() -> None:
    found = parse(lines(f"{WIDE}  a\n{WIDEST}  a\n{ONE}  a\n{ONE}  b\nSHA512 (c) = {WIDEST}\n"))
    assert found.digests == {"sha384": {WIDE}, "sha512": {WIDEST}, "sha256": {ONE}} and found.refused == {}


@pytest.mark.parametrize(
    "text",
    [
        f"{MD5}  a\n{SHA1}  a\n{SHA1} *b\n{SHA224}  c\n",
        f"MD5 (a) = {MD5}\nSHA1(a)= {SHA1}\nSHA1 (b) = {SHA1}\nSHA224 (c) = {SHA224}\n",
    ],
)
def test_digests_that_can_be_collided_are_refused_and_counted(text: str) -> None:
    found = parse(lines(text))
    assert found.digests == {} and found.refused == {"md5": 1, "sha1": 2, "sha224": 1}
    assert refusal(found.refused).startswith("1 of md5, 2 of sha1, 1 of sha224 refused: only SHA-256")
    assert refusal({}) == ""


@pytest.mark.parametrize("label", ["MD5", "SHA3-256", "BLAKE2b", "SHA1"])
def test_a_label_is_believed_over_the_length(label: str) -> None:
    assert parse(lines(f"{label} (a) = {ONE}\n")).digests == {}
    assert parse(lines(json.dumps({"path": "a", "hash": f"{label}:{ONE}"}))).digests == {}


def test_a_digest_of_the_wrong_length_is_refused() -> None:
    assert parse(lines(f"SHA256 (a) = {ONE[:-2]}\n{ONE}00  b\n")).digests == {}


def test_md5_in_a_data_package_is_refused() -> None:
    assert parse(lines(json.dumps({"resources": [{"path": "a", "hash": MD5}]}))).refused == {"md5": 1}


def test_only_the_wanted_are_kept() -> None:
    text = f"{ONE}  a\n{TWO}  b\n{WIDEST}  a\n"
    found = parse(lines(text), {"sha256": frozenset([TWO])})
    assert found.digests == {"sha256": {TWO}, "sha512": set()}


@pytest.mark.parametrize("text", ["", "\n\n", "hello\n", "<html>\n", "{}", '{"a": "b"}', "[1, 2", f"x{ONE}  a\n", "\x00" * 100_000])
def test_what_holds_no_checksum_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match=r"holds no checksum|cannot be read as such"):
        parse(lines(text))


def test_json_that_is_too_deep_is_an_error() -> None:
    with pytest.raises(ValueError, match="cannot be read as such"):
        parse([b"[" * 200_000])


def test_lines_that_say_nothing_are_passed_over() -> None:
    assert parse(lines(f"Checksums of our release:\n{ONE}  a\nthe end\n")).digests == {"sha256": {ONE}}
