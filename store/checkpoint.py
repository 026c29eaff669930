"""Checkpoints: what a snapshot's owner signs, so that existing tools can verify and witness it.

The text is a C2SP tlog-checkpoint (https://c2sp.org/tlog-checkpoint): a line each for origin, tree size and root (base64),
then one extension line, `lowbackground-snapshot sha256:ID`, which binds the manifest and so every file. The file
`checkpoints/ID.txt` has one spelling: it is recomputed from the manifest and compared, and carries a valid signature of
each of the manifest's signers and no other.
"""

import base64
import re
from collections.abc import Sequence
from typing import NamedTuple

from store import files, notes
from store.errors import CheckFailed
from store.manifest import Opened
from store.notes import Signer, Verifier

FOLDER = "checkpoints"
EXTENSION = "lowbackground-snapshot sha256:"
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_ID = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Checkpoint(NamedTuple):
    """What a checkpoint says: the tree's root is 32 bytes; `snapshot` is the manifest's id, or empty if no line names one."""

    origin: str
    size: int
    root: bytes
    snapshot: str

    def text(self) -> str:
        """The checkpoint's exact text, which is what a key signs."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n{EXTENSION}{self.snapshot}\n"


def path(name: str) -> str:
    """Path, below the snapshot, of the checkpoint of the version of this id."""
    return f"{FOLDER}/{name}.txt"


def of(opened: Opened, origin: str) -> Checkpoint:
    """The checkpoint of a snapshot. Raises `ValueError` for an origin that is no line."""
    if not origin or origin != origin.strip() or any(char < " " for char in origin):
        raise ValueError(f"{origin[:60]!r} is no origin; a checkpoint names its log by one line, such as example.org/snapshots")
    tree = opened.manifest["tree"]
    return Checkpoint(origin, int(tree["size"]), bytes.fromhex(tree["root"]), opened.id)


def write(opened: Opened, key: Signer, origin: str | None = None) -> bytes:
    """The signed checkpoint of a snapshot; its origin is the key's name unless another is given. Raises `ValueError`."""
    return notes.sign(of(opened, origin or key.name).text(), [key])


def parse(text: str) -> Checkpoint:
    """A checkpoint from the text of a note. Raises `ValueError` for any other spelling; verifies nothing."""
    lines = text.split("\n")
    if len(lines) != 5 or lines[4] or not lines[3].startswith(EXTENSION):
        raise ValueError(f"its text is not origin, size, root and one line `{EXTENSION}ID`")
    if not lines[0] or not _SIZE.fullmatch(lines[1]) or not _ID.fullmatch(name := lines[3].removeprefix(EXTENSION)):
        raise ValueError("its origin, size or snapshot id is none")
    root = notes.decode(lines[2])
    if len(root) != 32:
        raise ValueError(f"its root has {len(root)} bytes, where SHA-256 has 32")
    return Checkpoint(lines[0], int(lines[1]), root, name)


def verify(data: bytes, known: Sequence[Verifier], where: str) -> tuple[Checkpoint, list[Verifier]]:
    """What a signed checkpoint says, and the known keys that signed it. Raises `CheckFailed`, as `notes.verify` does."""
    text, signed = notes.verify(data, known, where)
    try:
        return parse(text), signed
    except ValueError as error:
        raise CheckFailed(
            f"{where} is signed, but is no checkpoint of a snapshot ({error}). Ask its signer for the right file."
        ) from error


def check(data: bytes, opened: Opened, signers: Sequence[Verifier]) -> Checkpoint:
    """Whether the bytes of `checkpoints/ID.txt` are the checkpoint of this snapshot, signed by all of its signers.

    Every byte counts: there may be no signature of another key, whose change nobody could see. Raises `CheckFailed` that
    names what differs.
    """
    where = files.join(opened.url, path(opened.id))
    found, signed = verify(data, signers, where)
    lacking = [key.name for key in signers if key not in signed]
    if lacking or len(notes.parse(data).signatures) != len(set(signers)):
        raise CheckFailed(
            f"{where} is not signed once by each signer of the manifest and by nobody else (lacking: {', '.join(lacking) or 'none'}); "
            "keep cosignatures in a copy elsewhere. Restore the file."
        )
    tree = opened.manifest["tree"]
    stated = {"size": (found.size, tree["size"]), "root": (found.root.hex(), tree["root"]), "snapshot": (found.snapshot, opened.id)}
    for name, (said, known) in stated.items():
        if said != known:
            raise CheckFailed(
                f"{where} says {name} {said}, and the manifest {known}: its signer vouches for another snapshot. Restore the file, or the manifest."
            )
    return found


def check_file(opened: Opened) -> Checkpoint | None:
    """Checks a snapshot's own checkpoint file against the keys that its manifest names; None where it names none.

    Raises `CheckFailed`, also where the file is missing.
    """
    signers = notes.verifiers(opened.manifest.get("signers") or [])
    if not signers:
        return None
    where = files.join(opened.url, path(opened.id))
    try:
        data = files.read_bytes(where)
    except FileNotFoundError as error:
        raise CheckFailed(
            f"{where} is missing, and the manifest names {len(signers)} signers. Restore the file from a copy."
        ) from error
    return check(data, opened, signers)
