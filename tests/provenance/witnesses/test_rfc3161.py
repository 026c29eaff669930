"""Time-stamp tokens: good ones verify years later, and every way to forge one fails."""

import hashlib
import random
from datetime import UTC, datetime
from pathlib import Path

import pytest

from provenance.witnesses import rfc3161

GOLDEN = Path(__file__).parents[2] / "golden" / "timestamps"
STAMPED = datetime(2019, 9, 10, 0, 0, 2, 500100, UTC)
"""2019-09-10, the second that its fraction is lost in, and an accuracy of 1.5001 s."""


def golden(name: str) -> bytes:
    return (GOLDEN / name).read_bytes()


def verified(data: bytes, anchor: str = "root.pem") -> datetime:
    return rfc3161.verify(rfc3161.parse(data), rfc3161.root(golden(anchor)))


@pytest.mark.parametrize(("name", "algorithm"), [("good.tsr", "sha256"), ("good.tst", "sha256"), ("sha512.tsr", "sha512")])
def test_a_token_says_what_it_stamps_and_when_at_the_latest(name: str, algorithm: str) -> None:
    token = rfc3161.parse(golden(name))
    assert (token.algorithm, token.digest) == (algorithm, hashlib.new(algorithm, golden("sample.warc")).hexdigest())
    # The signer's certificate ended in 2024: what counts is that it was good when it signed.
    assert rfc3161.verify(token, rfc3161.root(golden("root.pem"))) == STAMPED


def test_a_token_granted_with_modifications_counts() -> None:
    granted = golden("good.tsr")
    assert granted[4:9] == bytes.fromhex("3003020100")
    assert verified(granted[:8] + b"\x01" + granted[9:]) == STAMPED


def test_the_root_may_be_pem_or_der() -> None:
    anchor = rfc3161.root(golden("root.pem"))
    assert rfc3161.root(anchor) == anchor
    assert verified(golden("good.tsr")) == STAMPED


def test_a_root_that_signed_itself_with_sha1_anchors_as_its_digest_is_what_is_trusted() -> None:
    assert verified(golden("old.tsr"), "old.pem") == STAMPED


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("selfmade.tsr", "unable to get local issuer certificate"),
        ("expired.tsr", "certificate has expired"),
        ("sha1-signed.tsr", "signed over a hash that can be collided"),
        ("forge-no-usage.tst", "unsuitable certificate purpose"),
        ("forge-usage-not-critical.tst", "unsuitable certificate purpose"),
        ("forge-two-usages.tst", "unsuitable certificate purpose"),
        ("forge-by-a-leaf.tst", "invalid CA certificate"),
        ("forge-twin.tst", "unsuitable certificate purpose"),
    ],
)
def test_a_forged_token_is_refused(name: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        verified(golden(name))


def test_a_token_of_another_authority_verifies_with_its_own_root_only() -> None:
    assert verified(golden("selfmade.tsr"), "selfmade.pem") == STAMPED
    with pytest.raises(ValueError, match="unable to get local issuer certificate"):
        verified(golden("good.tsr"), "selfmade.pem")


@pytest.mark.parametrize("name", ["good.tsr", "good.tst"])
def test_another_time_or_another_digest_breaks_the_signature(name: str) -> None:
    data = golden(name)
    digest = hashlib.sha256(golden("sample.warc")).digest()
    for old, new in ((b"20190910", b"20180910"), (b"20190910", b"20190911"), (digest, hashlib.sha256(b"other").digest())):
        assert data.count(old) == 1
        with pytest.raises(ValueError, match=r"digest failure|signature failure|not yet valid"):
            verified(data.replace(old, new))


def test_no_flipped_bit_changes_what_a_token_proves() -> None:
    data, chance = golden("good.tsr"), random.Random(3161)
    token = rfc3161.parse(data)
    for place in chance.sample(range(8 * len(data)), 1500):
        changed = bytearray(data)
        changed[place // 8] ^= 1 << place % 8
        try:
            found = rfc3161.parse(bytes(changed))
            instant = rfc3161.verify(found, rfc3161.root(golden("root.pem")))
        except ValueError:
            continue
        assert (found.algorithm, found.digest, instant) == (token.algorithm, token.digest, STAMPED)


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "no RFC 3161"),
        (b"\x30", "no RFC 3161"),
        (b"\x30\x00", "no RFC 3161"),
        (b"\x30\x80\x00\x00", "no RFC 3161"),
        (b"hello", "no RFC 3161"),
        (b"\x30\x84\xff\xff\xff\xff", "no RFC 3161"),
        (b"\x30" * 5000, "no RFC 3161"),
        (bytes((1 << 20) + 1), "a few thousand"),
        (golden("sample.warc"), "no RFC 3161"),
        (golden("root.pem"), "no RFC 3161"),
        (rfc3161.root(golden("root.pem")), "no RFC 3161"),
        (golden("refused.tsr"), "did not grant it: status 2"),
        (golden("sha1.tsr"), "only SHA-256, SHA-384 and SHA-512"),
        (golden("good.tsr")[:-1], "no RFC 3161"),
        (golden("good.tsr") + b"\x00", "no RFC 3161"),
    ],
)
def test_what_is_no_token_is_an_error(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        rfc3161.parse(data)


OTHER_VERSION = rfc3161.root(golden("root.pem")).replace(b"\xa0\x03\x02\x01\x02", b"\xa0\x03\x02\x01\x05")
"""A certificate that says it is of version 6, which X.509 has none of."""


@pytest.mark.parametrize(
    "data",
    [
        golden("tsa.pem"),
        golden("root.pem") + golden("selfmade.pem"),
        golden("sample.warc"),
        b"",
        b"-----BEGIN CERTIFICATE-----\n",
        OTHER_VERSION,
    ],
)
def test_what_is_no_root_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError):
        rfc3161.root(data)
