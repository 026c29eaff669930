"""Levels that a capture reaches by itself, and the check of its digest."""

import base64
import hashlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provenance.attest import attest, check_digest, held_by_file, labels
from provenance.schema import ATTESTATIONS
from tests.provenance.warcs import records

BODY = b"the payload"
DATED = (datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 1, tzinfo=UTC))


def spellings(name: str) -> list[str]:
    digest = hashlib.new(name, BODY).digest()
    return [
        base64.b32encode(digest).decode(),
        base64.b32encode(digest).decode().lower().rstrip("="),
        digest.hex(),
        digest.hex().upper(),
        base64.b64encode(digest).decode(),
        base64.urlsafe_b64encode(digest).decode().rstrip("="),
    ]


@pytest.mark.parametrize(
    ("label", "name"), [("sha1", "sha1"), ("SHA-256", "sha256"), ("sha256", "sha256"), ("md5", "md5"), ("urn:sha1", "sha1")]
)
def test_every_spelling_of_a_digest_agrees(label: str, name: str) -> None:
    for value in spellings(name):
        assert check_digest(f"{label}:{value}", [BODY]) == "agrees"
        assert check_digest(f"{label}:{value}", [BODY + b"."]) == "disagrees"


def test_either_form_of_the_body_may_agree() -> None:
    value = "sha1:" + spellings("sha1")[0]
    assert check_digest(value, [b"chunked form", BODY]) == "agrees"
    assert check_digest(value, [b"chunked form", b"other"]) == "disagrees"


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        (None, "absent"),
        ("  ", "absent"),
        ("blake3:00ff", "unknown algorithm"),
        ("00ff", "unknown algorithm"),
        (":", "unknown algorithm"),
        ("sha1:", "disagrees"),
        ("sha1:xyz!", "disagrees"),
        ("sha256:" + hashlib.sha1(BODY).hexdigest(), "disagrees"),
        ("sha1:ü", "disagrees"),
        (base64.b32encode(hashlib.sha1(BODY).digest()).decode(), "agrees"),
    ],
)
def test_digests_that_say_less(declared: str | None, expected: str) -> None:
    assert check_digest(declared, [BODY]) == expected


@pytest.mark.parametrize("check", ["agrees", "absent", "unknown algorithm"])
@pytest.mark.parametrize(
    ("record_type", "level"),
    [("response", "captured"), ("resource", "captured"), ("conversion", "captured"), ("row", "declared"), ("metadata", "none")],
)
def test_levels(record_type: str, level: str, check: str) -> None:
    assert attest(record_type, DATED, check).level == level
    assert attest(record_type, None, check).level == "none"
    assert attest(record_type, DATED, "disagrees") == ("none", "digest_disagrees")
    assert level in ATTESTATIONS


def test_why_there_is_no_level() -> None:
    assert attest("response", None, "agrees").reason == "no_date"
    assert attest("metadata", DATED, "absent").reason == "no_capture"
    assert attest("response", DATED, "agrees").reason is None


@given(st.text(max_size=60), st.binary(max_size=30))
def test_no_value_raises(declared: str, body: bytes) -> None:
    for value in (declared, f"sha1:{declared}"):
        assert check_digest(value, [body]) in ("agrees", "disagrees", "absent", "unknown algorithm")


def test_digests_as_other_tools_write_them(shared) -> None:  # type: ignore[no-untyped-def]
    """Base16, base32 and base64 of MD5, SHA-1 and SHA-256 over one robots.txt, every one true."""
    path = shared / "crawl" / "warc_real" / "richardlehane+webarchive__valid-warcrecorddigests-1.warc"
    checks = [
        check_digest(headers["warc-payload-digest"], [block.partition(b"\r\n\r\n")[2]])
        for headers, block in records(path)
        if "warc-payload-digest" in headers
    ]
    assert len(checks) > 5 and set(checks) == {"agrees"}


KNOWN = datetime(2020, 6, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize("level", ["released", "timestamped"])
def test_a_witness_ends_the_interval_where_the_record_shows_a_later_end_or_none(level: str) -> None:
    assert held_by_file(level, KNOWN, *DATED) == DATED
    assert held_by_file(level, KNOWN, KNOWN - DAY, KNOWN + DAY) == (KNOWN - DAY, KNOWN)
    # A clock that ran ahead: the file was known before the capture that it tells of.
    assert held_by_file(level, KNOWN, KNOWN + DAY, KNOWN + DAY) == (KNOWN, KNOWN)
    assert held_by_file(level, KNOWN, None, None) == (None, KNOWN)


@pytest.mark.parametrize("level", ["captured", "corroborated", "declared", "none", ""])
def test_a_file_gives_no_other_level(level: str) -> None:
    with pytest.raises(ValueError, match="no level that a witness of a file gives"):
        held_by_file(level, KNOWN, *DATED)


def test_labels_are_those_of_indexes_and_agree_with_what_they_label() -> None:
    sha1, sha256 = labels(BODY)
    assert sha1 == "sha1:" + base64.b32encode(hashlib.sha1(BODY).digest()).decode()
    assert check_digest(sha1, [BODY]) == check_digest(sha256, [BODY]) == "agrees"
