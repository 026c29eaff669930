"""Signed notes: text with Ed25519 signatures, as C2SP signed-note writes them (https://c2sp.org/signed-note).

A note is its text, which ends in a newline, an empty line, and a line per signature: em dash, space, key name, space,
base64 of the key id (4 bytes) and the signature. A verifier key (vkey) is `name+hash+base64`, as Go's
golang.org/x/mod/sumdb/note prints it: the hash is the key id in hex, the base64 that of a type byte and the public key.
Only type 0x01, Ed25519 over the text (RFC 8032), is made and verified here. One spelling of each note is accepted.
"""

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field

from store import files
from store.errors import CheckFailed, UsageError

ED25519 = 0x01
LIMIT = 1 << 20
"""Bytes of a note, where no other limit is given."""
SIGNATURES = 100
DASH = "\u2014"
_PRIVATE = "PRIVATE+KEY+"
_PEM = b"-----BEGIN"


@dataclass(frozen=True)
class Verifier:
    """A public key by its name."""

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """Key id: the first 4 bytes of SHA-256(name || 0x0A || 0x01 || public key)."""
        return hashlib.sha256(self.name.encode() + b"\n" + bytes([ED25519]) + self.public).digest()[:4]

    @property
    def vkey(self) -> str:
        """`name+hash+base64`."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(bytes([ED25519]) + self.public).decode()}"

    def verifies(self, data: bytes, signature: bytes) -> bool:
        """Whether the signature is this key's over these bytes."""
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, data)
        except (InvalidSignature, ValueError):
            return False
        return True


@dataclass(frozen=True)
class Signer:
    """A private key by its name; its 32 bytes are never shown."""

    name: str
    seed: bytes = field(repr=False)

    @property
    def verifier(self) -> Verifier:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        return Verifier(self.name, Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw())

    def line(self, text: str) -> str:
        """The signature line of a text, with its newline."""
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        return f"{DASH} {self.name} {base64.b64encode(self.verifier.id + signature).decode()}\n"


@dataclass(frozen=True)
class Signature:
    """One signature line, not yet verified."""

    name: str
    id: bytes
    signature: bytes


@dataclass(frozen=True)
class Note:
    """A note by its parts, not yet verified: the text ends in a newline."""

    text: str
    signatures: tuple[Signature, ...]


def decode(text: str) -> bytes:
    """Bytes of standard base64 in its one canonical spelling. Raises `ValueError` for any other."""
    try:
        data = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError(f"{text[:60]!r} is not base64 ({error})") from error
    if base64.b64encode(data).decode() != text:
        raise ValueError(f"{text[:60]!r} is not the canonical base64 of its bytes")
    return data


def check_name(name: str) -> str:
    """The name of a key. Raises `ValueError` for one that a note cannot carry."""
    if not name or "+" in name or any(char.isspace() or ord(char) < 0x20 or char == "\x7f" for char in name):
        raise ValueError(f"{name[:60]!r} is no key name; one has at least a character and no space, plus or control character")
    return name


def _check_text(text: str) -> str:
    if not text.endswith("\n") or text == "\n" or any(char < " " and char != "\n" for char in text):
        raise ValueError("the text does not end in a newline, is empty, or holds a control character")
    return text


def verifier(vkey: str) -> Verifier:
    """A verifier key from its text `name+hash+base64`. Raises `UsageError` for what is none."""
    try:
        name, given, encoded = vkey.strip().split("+", 2)
        key = decode(encoded)
        if len(key) != 33 or key[0] != ED25519:
            raise ValueError(
                f"it is a key of type {key[:1].hex() or 'none'} with {max(len(key) - 1, 0)} bytes, and only Ed25519 (01, 32 bytes) is known"
            )
        made = Verifier(check_name(name), key[1:])
        if made.id.hex() != given:
            raise ValueError(f"its hash is {given[:20]}, and name and key give {made.id.hex()}")
    except ValueError as error:
        raise UsageError(
            f"{vkey[:100]!r} is no verifier key ({error}); nothing could be verified with it. "
            "Give it as `name+hash+base64`, the way its owner published it."
        ) from error
    return made


def verifiers(vkeys: Iterable[str]) -> list[Verifier]:
    """Verifier keys from their texts. Raises `UsageError`."""
    return [verifier(vkey) for vkey in vkeys]


def read_key(url: str, name: str | None = None) -> Signer:
    """The private key in a file: `PRIVATE+KEY+name+hash+base64` of Go's sumdb/note, or PEM (PKCS #8) of Ed25519.

    `name` is needed for PEM, which has none, and must agree with the other form's. Raises `UsageError`.
    """
    try:
        data = files.read_bytes(url)
    except OSError as error:
        raise UsageError(
            f"the key {url} cannot be read ({error}); nothing can be signed. Name a file that holds a private key."
        ) from error
    try:
        found = _pem(data, name) if data.lstrip().startswith(_PEM) else _private(data.decode("ascii").strip())
        if name and found.name != name:
            raise ValueError(f"it is the key of {found.name!r}, and {name!r} was asked for")
    except ValueError as error:
        raise UsageError(
            f"{url} holds no private key that can sign ({error}). Make one with `openssl genpkey -algorithm ed25519 -out FILE`, "
            "or give a `PRIVATE+KEY+...` line of Go's note."
        ) from error
    return found


def _private(line: str) -> Signer:
    if not line.startswith(_PRIVATE):
        raise ValueError("it begins neither with PRIVATE+KEY+ nor with -----BEGIN")
    name, _, rest = line.removeprefix(_PRIVATE).partition("+")
    given, _, encoded = rest.partition("+")
    try:
        key = decode(encoded)
    except ValueError:
        raise ValueError("what follows its name and hash is not base64") from None  # the message would show the key
    if len(key) != 33 or key[0] != ED25519:
        raise ValueError("it is not of type 01 (Ed25519) with 32 bytes")
    signer = Signer(check_name(name), key[1:])
    if signer.verifier.id.hex() != given:
        raise ValueError(f"its hash is {given[:20]}, and name and key give {signer.verifier.id.hex()}")
    return signer


def _pem(data: bytes, name: str | None) -> Signer:
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    try:
        key = load_pem_private_key(data, password=None)
    except TypeError as error:
        raise ValueError("it is encrypted; decrypt it first with `openssl pkey -in FILE -out PLAIN`") from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise ValueError(f"its PEM cannot be read: {str(error).splitlines()[0]}") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("it is not an Ed25519 key")
    if not name:
        raise ValueError(
            "PEM has no key name, and a signature needs one; name the signer by an address: --freeze.origin=example.org/snapshots"
        )
    return Signer(check_name(name), key.private_bytes_raw())


def sign(text: str, signers: Iterable[Signer]) -> bytes:
    """The note of a text under each key, in their order. Raises `ValueError` for a text that a note cannot carry."""
    lines = [signer.line(_check_text(text)) for signer in signers]
    return f"{text}\n{''.join(lines)}".encode()


def parse(data: bytes, limit: int = LIMIT) -> Note:
    """A note by its parts. Raises `ValueError` for bytes that are not the one spelling of a note; verifies nothing."""
    if len(data) > limit:
        raise ValueError(f"it has {len(data)} bytes, more than {limit}")
    text, gap, rest = data.decode().rpartition("\n\n")
    if not gap or not rest.endswith("\n"):
        raise ValueError("no empty line parts text from signatures, or no newline ends it")
    text = _check_text(text + "\n")
    lines = rest[:-1].split("\n")
    if len(lines) > SIGNATURES:
        raise ValueError(f"it has {len(lines)} signatures, more than {SIGNATURES}")
    return Note(text, tuple(map(_signature, lines)))


def _signature(line: str) -> Signature:
    dash, _, rest = line.partition(" ")
    name, gap, encoded = rest.partition(" ")
    if dash != DASH or not gap:
        raise ValueError(f"{line[:60]!r} is no signature line")
    signed = decode(encoded)
    if len(signed) < 5:
        raise ValueError(f"the signature of {name[:60]!r} has no bytes")
    return Signature(check_name(name), signed[:4], signed[4:])


def verify(data: bytes, known: Iterable[Verifier], where: str, limit: int = LIMIT) -> tuple[str, list[Verifier]]:
    """The text of a note, and the known keys that signed it, each once.

    Signatures of unknown keys are passed over. Raises `CheckFailed` for bytes that are no note, for a signature under a
    known key's name and id that is not that key's, and where no known key signed. `where` names the note in errors.
    """
    try:
        note = parse(data, limit)
    except ValueError as error:
        raise CheckFailed(
            f"{where} is no signed note ({error}); who wrote it cannot be known. Restore it from its source."
        ) from error
    keys = {(key.name, key.id): key for key in known}
    signed: list[Verifier] = []
    for signature in note.signatures:
        key = keys.get((signature.name, signature.id))
        if key is None:
            continue
        if not key.verifies(note.text.encode(), signature.signature):
            raise CheckFailed(
                f"{where} carries a signature of {key.name} that is not over its text: it was changed, or never signed. Restore it from its source."
            )
        if key not in signed:
            signed.append(key)
    if not signed:
        names = ", ".join(sorted({signature.name for signature in note.signatures}))
        trusted = ", ".join(sorted(name for name, _ in keys)) or "none"
        raise CheckFailed(
            f"{where} is signed by {names}, and the trusted keys are {trusted}; it proves nothing here. Give its signer's key if you trust it."
        )
    return note.text, signed
