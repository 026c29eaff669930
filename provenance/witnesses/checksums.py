"""Published checksum lists: which digests they name.

Read are the lines of `sha256sum` and its siblings (GNU coreutils: two spaces or ` *`, `\\` before the digest where the name is
escaped), of BSD and `openssl dgst` (`SHA256 (name) = hex`, `SHA2-256(name)= hex`), digests alone on a line, and JSON whose
objects give a digest beside a name: `{"path": ..., "hash": "sha256:..."}` (Frictionless data packages),
`{"sha256": ...}` (Croissant), `{"lfs": {"oid": ...}}` and `{"lfs": {"sha256": ...}}` (Hugging Face listings).

Only SHA-256, SHA-384 and SHA-512 count. Two files of the same MD5 or SHA-1 can be made by anybody with patience, so a list
of those, however old, may mean a file that was written yesterday; such entries are counted as refused.
"""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

MAX_JSON = 256 << 20
"""A JSON listing is read as a whole; a longer one is refused."""
MAX_LINE = 1 << 16

_LENGTHS = {32: "md5", 40: "sha1", 56: "sha224", 64: "sha256", 96: "sha384", 128: "sha512"}
_ACCEPTED = {"sha256": 64, "sha384": 96, "sha512": 128}
_GNU = re.compile(r"\\?([0-9A-Fa-f]{32,128})(?:[ \t].*)?", re.ASCII | re.DOTALL)
_BSD = re.compile(r"\\?([A-Za-z0-9][A-Za-z0-9/-]{1,15}) ?\(.*\) ?= ?([0-9A-Fa-f]{32,128})", re.ASCII | re.DOTALL)


class Checksums(NamedTuple):
    """What a list holds: digests of each accepted algorithm, and refused entries by algorithm."""

    digests: dict[str, set[str]]
    refused: dict[str, int]


def parse(lines: Iterable[bytes], wanted: dict[str, frozenset[str]] | None = None) -> Checksums:
    """Reads a checksum list from its lines, as iterating a binary file gives them.

    `wanted` (algorithm -> digests) keeps only those digests, so that memory does not grow with the list; `digests` then has the
    other algorithms' keys too, without digests. Raises `ValueError` for what holds no checksum at all, of any algorithm.
    """
    digests: dict[str, set[str]] = {}
    refused: dict[str, int] = {}
    seen = False
    for algorithm, digest in _entries(lines):
        seen = True
        if len(digest) != _ACCEPTED.get(algorithm):
            refused[algorithm] = refused.get(algorithm, 0) + 1
            continue
        held = digests.setdefault(algorithm, set())
        if wanted is None or digest in wanted.get(algorithm, ()):
            held.add(digest)
    if not seen:
        raise ValueError("holds no checksum: it has neither lines of `sha256sum` or BSD style nor JSON with digests")
    return Checksums(digests, dict(sorted(refused.items())))


def refusal(refused: dict[str, int]) -> str:
    """Why entries of a list count for nothing, in words; empty where none was refused."""
    counted = ", ".join(f"{count} of {algorithm}" for algorithm, count in sorted(refused.items()))
    return f"{counted} refused: only SHA-256, SHA-384 and SHA-512 bind a file" if refused else ""


def _entries(lines: Iterable[bytes]) -> Iterator[tuple[str, str]]:
    """(algorithm, digest in hex) of each entry; lines that are none are passed over."""
    rest = iter(lines)
    for raw in rest:
        line = raw.removeprefix(b"\xef\xbb\xbf").strip(b"\r\n")
        if not line.strip() or line.startswith((b"#", b";")):
            continue
        if line.lstrip()[:1] in (b"{", b"["):
            yield from _json(raw, rest)
            return
        yield from _line(line)
        break
    for raw in rest:
        line = raw.strip(b"\r\n")
        if not line.startswith((b"#", b";")):
            yield from _line(line)


def _line(raw: bytes) -> Iterator[tuple[str, str]]:
    if len(raw) > MAX_LINE:
        return
    line = raw.decode("utf-8", "replace").strip()
    if found := _GNU.fullmatch(line):
        yield _by_length(found[1].lower())
    elif found := _BSD.fullmatch(line):
        yield _label(found[1]), found[2].lower()


def _by_length(digest: str) -> tuple[str, str]:
    return _LENGTHS.get(len(digest), f"{4 * len(digest)}-bit digests"), digest


def _label(text: str) -> str:
    """`SHA256`, `SHA-256`, `SHA2-256` are all `sha256`; SHA-3 and others keep their names."""
    return re.sub(r"^sha2?-?(224|256|384|512|1)$", r"sha\1", text.lower())


def _json(first: bytes, rest: Iterator[bytes]) -> Iterator[tuple[str, str]]:
    data = bytearray(first)
    for line in rest:
        data += line
        if len(data) > MAX_JSON:
            raise ValueError(
                f"is JSON of more than {MAX_JSON} bytes, which is read as a whole; turn it into lines as `sha256sum` writes them"
            )
    try:
        try:
            documents = [json.loads(data)]
        except json.JSONDecodeError:
            documents = [json.loads(line) for line in bytes(data).splitlines() if line.strip()]
    except (ValueError, RecursionError) as error:
        raise ValueError(f"begins as JSON and cannot be read as such: {error}") from error
    stack: list[Any] = documents[::-1]
    while stack:
        item = stack.pop()
        if isinstance(item, dict):
            yield from _object(item)
            stack.extend(value for key, value in reversed(item.items()) if key != "lfs")
        elif isinstance(item, list):
            stack.extend(reversed(item))


def _object(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The digests that one JSON object gives of the file that it is about."""
    for key in ("md5", "sha1", "sha256", "sha384", "sha512"):
        if isinstance(digest := item.get(key), str):
            yield from _labelled(f"{key}:{digest}")
    for key in ("hash", "checksum", "digest"):
        if isinstance(digest := item.get(key), str):
            yield from _labelled(digest)
    stored = item.get("lfs")
    if isinstance(stored, dict):
        digest = stored.get("sha256") or stored.get("oid")
        if isinstance(digest, str):
            yield from _labelled(f"sha256:{digest.removeprefix('sha256:')}")


def _labelled(text: str) -> Iterator[tuple[str, str]]:
    """(algorithm, digest) of `sha256:hex`; a bare digest is what its length says, as data packages have it for MD5."""
    label, colon, digest = text.strip().rpartition(":")
    digest = digest.lower()
    if re.fullmatch(r"[0-9a-f]{32,128}", digest, re.ASCII):
        yield (_label(label), digest) if colon else _by_length(digest)
