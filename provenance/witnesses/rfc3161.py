"""Verifies RFC 3161 time-stamp tokens offline, as of the moment that they name.

`rfc3161_client` (OpenSSL's verification inside) checks the signature, the digest of the signed content, that the signer's
certificate is one for time stamps alone (critical extended key usage timeStamping, RFC 3161 section 2.3), and its chain to the root
with each certificate's validity, CA flag and path length at the token's genTime and not today: a token of 2019 still verifies
when its certificates have expired. Added here, because the package does without:

- a bare token (`.tst`, a CMS ContentInfo) is read as well as a response (`.tsr`), and so is one whose certificates do not stand
  in DER's order, as `openssl ts` and authorities that use it write them; no signature covers their order;
- the signature rests on SHA-256, SHA-384 or SHA-512: whoever prepares a SHA-1 collision can give a token another time;
- genTime loses its fraction in the package, so a second is added; so is the accuracy, where the token states one.

Refused, as it cannot be checked: an imprint by another hash, more than one signer, a signer without an embedded certificate or
named by key identifier, an anchor that is no root, encodings of indefinite length. Not checked: revocation (a
key that leaked later can sign any time, so list only authorities whose key is kept or destroyed) and the signer's ESSCertID.
"""

from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

MAX_BYTES = 1 << 20
"""A longer token is refused; real ones have a few kilobytes."""

ALGORITHMS = {
    "2.16.840.1.101.3.4.2.1": "sha256",
    "2.16.840.1.101.3.4.2.2": "sha384",
    "2.16.840.1.101.3.4.2.3": "sha512",
}
_SIZES = {"sha256": 32, "sha384": 48, "sha512": 64}
_GRANTED = (0, 1)
_STATUS_GRANTED = bytes.fromhex("3003020100")
"""DER of PKIStatusInfo with status 0, granted."""


class Token(NamedTuple):
    """A token that was read and not verified: the hash of its imprint (`sha256`, `sha384` or `sha512`) and the digest in hex."""

    algorithm: str
    digest: str
    response: Any


def parse(data: bytes) -> Token:
    """Reads a TimeStampResp or a bare TimeStampToken in DER. Raises `ValueError` for anything else."""
    import rfc3161_client

    if len(data) > MAX_BYTES:
        raise ValueError(f"has {len(data)} bytes; a time-stamp token has a few thousand")
    try:
        response = rfc3161_client.decode_timestamp_response(_response(data))
        granted = response.status in _GRANTED
        imprint = response.tst_info.message_imprint if granted else None
        name, digest = (imprint.hash_algorithm.dotted_string, bytes(imprint.message)) if imprint else ("", b"")
    except Exception as error:  # the foreign parser may raise anything over foreign bytes
        raise ValueError(f"is no RFC 3161 response or token in DER: {error}") from error
    if not granted:
        raise ValueError(f"holds no token: the authority did not grant it: status {response.status}")
    if name not in ALGORITHMS:
        raise ValueError(f"stamps a digest of hash {name}; only SHA-256, SHA-384 and SHA-512 bind a file")
    if len(digest) != _SIZES[ALGORITHMS[name]]:
        raise ValueError(f"stamps a digest of {len(digest)} bytes, and {ALGORITHMS[name]} has {_SIZES[ALGORITHMS[name]]}")
    return Token(ALGORITHMS[name], digest.hex(), response)


def root(data: bytes) -> bytes:
    """The DER of the one certificate in PEM or DER that anchors an authority.

    Raises `ValueError` unless it is one certificate that names itself as its issuer. Its own signature is not looked at: the
    trust list names its digest, and roots that are still in use signed themselves with SHA-1.
    """
    from cryptography import x509
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        found = x509.load_pem_x509_certificates(data) if b"-----BEGIN" in data else [x509.load_der_x509_certificate(data)]
        issued = [certificate.issuer != certificate.subject for certificate in found]
    except Exception as error:  # the foreign parser may raise anything over foreign bytes
        raise ValueError(f"is no certificate in PEM or DER: {error}") from error
    if len(found) != 1:
        raise ValueError(f"holds {len(found)} certificates; give the root alone")
    if issued[0]:
        raise ValueError("is a certificate that another one issued, so it is no root; give the root of the authority's chain")
    return found[0].public_bytes(Encoding.DER)


def verify(token: Token, anchor: bytes) -> datetime:
    """The latest instant at which the stamp can have been made, where the token is good and its chain ends at `anchor`.

    `anchor` is a root certificate in DER. Raises `ValueError` that says what is wrong.
    """
    import rfc3161_client
    from cryptography import x509

    try:
        _strong(token.response)
        verifier = rfc3161_client.VerifierBuilder(roots=[x509.load_der_x509_certificate(anchor)]).build()
        verifier.verify(_granted(token.response), bytes.fromhex(token.digest))
        return _latest(token.response.tst_info)
    except Exception as error:  # the foreign parser and verifier may raise anything over foreign bytes
        raise ValueError(_short(error)) from error


def _granted(response: Any) -> Any:
    """The same token with status granted: the verifier refuses `granted with modifications`, which says nothing of the token."""
    import rfc3161_client

    if response.status == 0:
        return response
    return rfc3161_client.decode_timestamp_response(_der(0x30, _STATUS_GRANTED + response.time_stamp_token()))


def _strong(response: Any) -> None:
    """Raises `ValueError` where the signature rests on a hash that can be collided, or that is not known."""
    weak = {oid.dotted_string for oid in response.signed_data.digest_algorithms} - set(ALGORITHMS)
    if weak:
        raise ValueError(f"signed over a hash that can be collided or is not known: {', '.join(sorted(weak))}")


def _latest(info: Any) -> datetime:
    """genTime, its resolution of a second, and the accuracy."""
    latest = info.gen_time.replace(tzinfo=UTC) + timedelta(seconds=1)
    if accuracy := info.accuracy:
        latest += timedelta(seconds=accuracy.seconds or 0, milliseconds=accuracy.millis or 0, microseconds=accuracy.micros or 0)
    return latest


def _response(data: bytes) -> bytes:
    """A TimeStampResp in DER from one or from a bare token, its certificates in DER's order (X.690, section 11.6)."""
    whole = _parts(_only(data, 0x30))
    if whole[0][0] == 0x30 and len(whole) == 1:
        return data
    status, token = (whole[0][1], whole[1][1]) if whole[0][0] == 0x30 else (_STATUS_GRANTED, data)
    kind, content = _parts(_only(token, 0x30))
    signed = _parts(_only(_only(content[1], 0xA0), 0x30))
    fields = [
        _der(tag, b"".join(sorted(item for _, item in _parts(_only(field, tag))))) if tag == 0xA0 else field
        for tag, field in signed
    ]
    return _der(0x30, status + _der(0x30, kind[1] + _der(0xA0, _der(0x30, b"".join(fields)))))


def _parts(data: bytes) -> list[tuple[int, bytes]]:
    """(tag, whole encoding) of each DER value in a sequence of them. Raises `ValueError`."""
    found, at = [], 0
    while at < len(data):
        start, size = _header(data, at)
        if start + size > len(data):
            raise ValueError(f"a value of {size} bytes does not fit")
        found.append((data[at], data[at : start + size]))
        at = start + size
    return found


def _only(data: bytes, tag: int) -> bytes:
    """The content of the one value of `tag` that `data` is. Raises `ValueError`."""
    start, size = _header(data, 0)
    if data[0] != tag or start + size != len(data):
        raise ValueError(f"a value of tag {tag:#04x} and the length of its encoding was expected")
    return data[start:]


def _header(data: bytes, at: int) -> tuple[int, int]:
    """Where the content of the DER value at `at` begins, and its length (X.690, section 8.1.3)."""
    head = data[at : at + 2]
    wide = head[1] & 0x7F if len(head) == 2 and head[1] & 0x80 else 0
    length = data[at + 2 : at + 2 + wide]
    if len(head) < 2 or head[1] == 0x80 or wide > 4 or len(length) < wide:
        raise ValueError("an encoding ends early or has no definite length")
    return at + 2 + wide, int.from_bytes(length) if wide else head[1]


def _der(tag: int, body: bytes) -> bytes:
    """DER of a value."""
    if len(body) < 0x80:
        return bytes([tag, len(body)]) + body
    size = len(body).to_bytes((len(body).bit_length() + 7) // 8)
    return bytes([tag, 0x80 | len(size)]) + size + body


def _short(error: Exception) -> str:
    """What OpenSSL says, without its stack of codes."""
    text = str(error)
    for mark in ("Verify error: ", "reason: "):
        if mark in text:
            return f"OpenSSL refuses it: {text.split(mark, 1)[1].split(chr(34) + ',')[0].strip(chr(34)).split(chr(34))[0]}"
    return text or type(error).__name__
