"""The trust list: which indexes, checksum lists and authorities count as witnesses, who published them, and since when they are known.

It is YAML, in which every scalar is text:

    witnesses:
      - name: cc-main-2019-35-index     # stands in leaves
        kind: index                     # index, checksums, authority or bitcoin
        custodian: Common Crawl
        published: 2019-09-10           # a date counts from its end
        sha256: [9f86d0...]             # of the index or list files, of the authority's certificate in DER, of the header file
        file: roots/tsa.pem             # authority: its root certificate; bitcoin: its block headers; relative to this file
"""

import re
from datetime import datetime
from typing import Any

import msgspec

from provenance import dates, identity

KINDS = {
    "index": "an index of captures (CDXJ, CDX, Common Crawl's Parquet): of each of its files",
    "checksums": "a published list of SHA-256, SHA-384 or SHA-512: of the list",
    "authority": "a time-stamping authority (RFC 3161): of its root certificate in DER; `file` is that certificate",
    "bitcoin": "Bitcoin's block headers, for OpenTimestamps: of the header file; `file` has a line `height hex` for each",
}
"""What a witness is, and what its digests are of."""

RESERVED = ("declaration",)
"""Words of the owner's that a name of the list could be taken for."""

MAX_BYTES = 16 << 20
"""A longer trust list is refused: it would take half a minute to read."""

_FIELDS = ("name", "kind", "custodian", "published", "sha256", "file")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
_DIGEST = re.compile(r"[0-9a-f]{64}", re.ASCII)


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One witness. `published` is the last instant that the list's own word for it may mean, in UTC."""

    name: str
    kind: str
    custodian: str
    published: datetime
    sha256: tuple[str, ...]
    file: str | None = None

    def plain(self) -> dict[str, Any]:
        """What a manifest says of it."""
        published = identity.moment(self.published)
        return {"kind": self.kind, "custodian": self.custodian, "published": published, "sha256": sorted(self.sha256)}


class Trust(msgspec.Struct, frozen=True):
    """All witnesses of a trust list, in its order."""

    entries: tuple[Entry, ...]

    def by_digest(self, kind: str) -> dict[str, Entry]:
        """The entries of a kind by each SHA-256 that they name."""
        return {digest: entry for entry in self.of(kind) for digest in entry.sha256}

    def of(self, kind: str) -> tuple[Entry, ...]:
        """The entries of a kind, in the order of the list."""
        return tuple(entry for entry in self.entries if entry.kind == kind)

    def custodians(self) -> dict[str, str]:
        """Who stands behind each name."""
        return {entry.name: entry.custodian for entry in self.entries}


def parse(data: bytes) -> Trust:
    """Reads a trust list. Raises `ValueError` that names the entry and the key for anything but the format above."""
    if len(data) > MAX_BYTES:
        raise ValueError(f"the trust list has {len(data)} bytes, and at most {MAX_BYTES} are read; name fewer files in it")
    document = _yaml(data)
    if not isinstance(document, dict) or set(document) != {"witnesses"} or not isinstance(document["witnesses"], list):
        raise ValueError("a trust list has one key, `witnesses`, with a list of entries; see the README, section Attestation")
    entries = tuple(_entry(number, item) for number, item in enumerate(document["witnesses"], 1))
    names: dict[str, int] = {}
    owners: dict[str, str] = {}
    for number, entry in enumerate(entries, 1):
        if entry.name in names:
            raise ValueError(
                f"entry {number}: name {entry.name!r} is also that of entry {names[entry.name]}; leaves name a witness by it"
            )
        names[entry.name] = number
        for digest in entry.sha256:
            if digest in owners:
                raise ValueError(
                    f"entry {number} ({entry.name}): sha256 {digest} is also that of {owners[digest]}; one file has one custodian"
                )
            owners[digest] = entry.name
    return Trust(entries)


def _yaml(data: bytes) -> Any:
    """The document with every scalar as text: a digest of digits must not become a number, nor a date lose its precision."""
    import yaml

    # The loader in C overflows its stack where lists nest deeply.
    class Loader(yaml.BaseLoader):  # type: ignore[misc]
        def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
            seen = set()
            for key, _ in node.value:
                if key.value.__hash__ is None or key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"key {key.value!r} stands twice or is no text", key.start_mark
                    )
                seen.add(key.value)
            return dict(super().construct_mapping(node, deep=True))

    try:
        return yaml.load(data, Loader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise ValueError(f"the trust list is not YAML that can be read: {' '.join(str(error).split())}") from error


def _entry(number: int, item: Any) -> Entry:
    where = f"entry {number}"
    if not isinstance(item, dict):
        raise ValueError(f"{where}: is no mapping of keys; it needs {', '.join(_FIELDS[:-1])}")
    if isinstance(item.get("name"), str):
        where += f" ({item['name'][:80]})"
    if unknown := sorted(set(item) - set(_FIELDS)):
        raise ValueError(f"{where}: unknown key {unknown[0]!r}; known are {', '.join(_FIELDS)}")
    for key in _FIELDS[:-1]:
        if key not in item:
            raise ValueError(f"{where}: {key} is missing")
    name, kind, custodian = (_text(where, key, item[key]) for key in ("name", "kind", "custodian"))
    if not _NAME.fullmatch(name):
        raise ValueError(f"{where}: name has to be 1 to 64 letters, digits, `.`, `_` or `-` and begin with a letter or digit")
    if name in RESERVED:
        raise ValueError(f"{where}: {name} is what leaves call the owner's own word; nobody could tell them apart")
    if kind not in KINDS:
        raise ValueError(f"{where}: kind {kind!r} is unknown; known are {', '.join(KINDS)}")
    if not any(character.isalnum() for character in custodian):
        raise ValueError(f"{where}: custodian is empty; a statement that nobody stands behind counts for nothing")
    return Entry(
        name=name,
        kind=kind,
        custodian=custodian.strip(),
        published=_published(where, item["published"]),
        sha256=_digests(where, kind, item["sha256"]),
        file=_file(where, kind, item.get("file")),
    )


def _text(where: str, key: str, value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{where}: {key} has to be text, and is a {type(value).__name__}")
    return value


def _published(where: str, value: Any) -> datetime:
    """The end of the interval that the date means: a day counts from its end, anywhere on Earth if it names no zone."""
    text = _text(where, "published", value)
    found = dates.interval(text, web=False)
    if found is None:
        raise ValueError(f"{where}: published {text!r} is no date; write 2019-09-10 or 2019-09-10T12:00:00Z")
    return found[1]


def _digests(where: str, kind: str, value: Any) -> tuple[str, ...]:
    digests = [value] if isinstance(value, str) else value
    if not isinstance(digests, list) or not digests:
        raise ValueError(f"{where}: sha256 has to be a list of digests in hex, one or more")
    found = tuple(digest.lower() if isinstance(digest, str) else "" for digest in digests)
    for given, digest in zip(digests, found, strict=True):
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{where}: sha256 {str(given)[:80]!r} is not 64 hexadecimal digits")
    if len(set(found)) != len(found):
        raise ValueError(f"{where}: sha256 names a digest twice")
    if kind in ("authority", "bitcoin") and len(found) != 1:
        raise ValueError(f"{where}: sha256 of kind {kind} is one digest, that of `file`; {len(found)} are given")
    return found


def _file(where: str, kind: str, value: Any) -> str | None:
    if kind not in ("authority", "bitcoin"):
        if value is not None:
            raise ValueError(
                f"{where}: file belongs to authority and bitcoin only; the files of kind {kind} are given on the command line"
            )
        return None
    if value is None or not _text(where, "file", value).strip():
        raise ValueError(f"{where}: file is missing; kind {kind} needs one, relative to the trust list")
    if value.startswith(("/", "\\")) or ":" in value:
        raise ValueError(f"{where}: file {value!r} has to be relative to the trust list, so that both can move together")
    return str(value)
