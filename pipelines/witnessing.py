"""Who witnessed the source files of a freeze: checksum lists, time-stamp tokens and proofs, weighed by the trust list.

A witness that the trust list does not name, or that is not before the cutoff, counts for nothing; each such is said in the
summary. Only what cannot be read at all is an error.
"""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from pipelines import moments
from provenance.attest import FILE_LEVELS
from provenance.trust import Entry, Trust, parse
from provenance.witnesses import checksums, opentimestamps, rfc3161
from store import files
from store.errors import UsageError

WIDE = ("sha384", "sha512")
"""Accepted digests that the survey did not take, so that files are read once more where a witness names one."""


class Source(Protocol):
    """What is needed of a source file: where it is, and the SHA-256 of the bytes that the survey read."""

    @property
    def url(self) -> str: ...
    @property
    def sha256(self) -> str: ...


@dataclass
class FileWitnesses:
    """What file witnesses give: by each file's SHA-256 the best one as `level`, `name` and `instant` (ISO 8601 in UTC); the
    entries of the trust list that these name, as manifests write them; lines for the summary; digests of all that was read."""

    witnesses: dict[str, dict[str, str]] = field(default_factory=dict)
    used: dict[str, dict[str, Any]] = field(default_factory=dict)
    said: list[str] = field(default_factory=list)
    identity: dict[str, Any] = field(default_factory=dict)


@dataclass
class _Subject:
    """Something that can be stamped: a source file (`held` is then itself) or a checksum list with the source files in it."""

    url: str
    sha256: str
    held: tuple[str, ...]
    entry: Entry | None = None


def trust_list(url: str) -> tuple[Trust, str]:
    """The trust list at `url` and the SHA-256 of its bytes. Raises `UsageError`."""
    data = _read(url, "--trust", "the trust list")
    try:
        return parse(data), hashlib.sha256(data).hexdigest()
    except ValueError as error:
        raise UsageError(f"--trust {url}: {error}. Whom the snapshot believes hangs on it; correct the list.") from error


def file_witnesses(
    sources: Sequence[Source],
    trust: Trust,
    digest: str,
    base_url: str,
    checksum_urls: Sequence[str],
    stamp_urls: Sequence[str],
    cutoff: str,
    highest_target: int = opentimestamps.HIGHEST_TARGET,
) -> FileWitnesses:
    """The best witness before the cutoff of each source file. `digest` is the SHA-256 of the trust list, beside whose `base_url`
    its certificates and headers lie; `highest_target` bounds the work of Bitcoin's headers from below.

    Raises `UsageError` for a list, token, certificate or header file that cannot be read or is not the one that the trust list
    names.
    """
    weighed = _Weighed(sources, trust, base_url, moments.instant(cutoff), highest_target)
    lists = [weighed.add_list(url) for url in checksum_urls]
    stamps = weighed.add_stamps(stamp_urls)
    weighed.found.identity = {"trust": digest, "checksums": sorted(set(lists)), "timestamps": sorted(set(stamps))}
    used = {witness["name"] for witness in weighed.found.witnesses.values()}
    weighed.found.used = {
        entry.name: entry.plain() for entry in sorted(trust.entries, key=lambda entry: entry.name) if entry.name in used
    }
    return weighed.found


class _Weighed:
    """The witnesses of one freeze, as they are added one by one; the order in which they come changes nothing but the lines said."""

    def __init__(self, sources: Sequence[Source], trust: Trust, base_url: str, cutoff: datetime, highest_target: int):
        self.trust, self.base, self.cutoff, self.highest_target = trust, base_url, cutoff, highest_target
        self.sources = {source.sha256: source for source in sources}
        self.subjects = [_Subject(source.url, sha256, (sha256,)) for sha256, source in self.sources.items()]
        self.lists = trust.by_digest("checksums")
        self.found = FileWitnesses()
        self._wide: dict[tuple[str, str], dict[str, str]] = {}

    def add_list(self, url: str) -> str:
        """Weighs a checksum list; returns its SHA-256."""
        sha256, parsed = self._list(url)
        held = set(parsed.digests.get("sha256", ()))
        for algorithm in WIDE:
            if algorithm in parsed.digests:
                files_by_digest = self._by_digest(algorithm, self._files)
                held |= {files_by_digest[digest].sha256 for digest in parsed.digests[algorithm] if digest in files_by_digest}
        subject = _Subject(url, sha256, tuple(sorted(held)), self.lists.get(sha256))
        self.subjects.append(subject)
        self._weigh_list(subject, checksums.refusal(parsed.refused))
        return sha256

    @property
    def _files(self) -> list[_Subject]:
        """The source files, which stand before the lists."""
        return self.subjects[: len(self.sources)]

    def _list(self, url: str) -> tuple[str, checksums.Checksums]:
        wanted = {"sha256": frozenset(self.sources)}
        for _ in range(2):
            with _Lines(url, "--checksums") as lines:
                try:
                    parsed = checksums.parse(lines, wanted)
                except ValueError as error:
                    raise UsageError(
                        f"--checksums {url} {error}. No file is witnessed by it; give the list as it was published."
                    ) from error
            missing = [name for name in WIDE if name in parsed.digests and name not in wanted]
            if not missing:
                break
            for name in missing:
                wanted[name] = frozenset(self._by_digest(name, self._files))
        return lines.sha256, parsed

    def _weigh_list(self, subject: _Subject, refusal: str) -> None:
        entry, count = subject.entry, _files(len(subject.held))
        refused = f" ({refusal})" if refusal else ""
        if entry is None:
            why = f"the trust list names no checksum list of SHA-256 {subject.sha256}; alone it counts for nothing"
        elif entry.published >= self.cutoff:
            why = (
                f"{entry.name} was published by {moments.text(entry.published)}, not before the cutoff; alone it counts for nothing"
            )
        elif not subject.held:
            why = f"{entry.name} holds none of the source files"
        else:
            self._witness(subject.held, "released", entry, entry.published)
            why = f"{entry.name} ({entry.custodian}) holds {count}, published by {moments.text(entry.published)}"
        self.found.said.append(f"checksums {subject.url}: {why}{refused}")

    def add_stamps(self, urls: Sequence[str]) -> list[str]:
        """Weighs time stamps; returns their SHA-256s. The headers of Bitcoin's blocks are read once for all of them."""
        read: list[tuple[str, opentimestamps.Proof | rfc3161.Token]] = []
        digests: list[str] = []
        for url in urls:
            data = _read(url, "--timestamp", "the time stamp")
            digests.append(hashlib.sha256(data).hexdigest())
            try:
                proof = data.startswith(opentimestamps.MAGIC)
                read.append((url, opentimestamps.parse(data) if proof else rfc3161.parse(data)))
            except ValueError as error:
                raise UsageError(
                    f"--timestamp {url} {error}. It witnesses nothing; give an RFC 3161 response or token (.tsr, .tst) or an "
                    "OpenTimestamps proof (.ots)."
                ) from error
        proofs = [stamp for _, stamp in read if isinstance(stamp, opentimestamps.Proof)]
        known = self._headers({height for proof in proofs for height, _ in proof.blocks}) if proofs else {}
        anchors = self._anchors() if len(proofs) < len(read) else []
        subjects: dict[str, dict[str, _Subject]] = {}
        for url, stamp in read:
            verdict: tuple[Entry, datetime] | str
            if isinstance(stamp, opentimestamps.Proof):
                algorithm, verdict = "sha256", _by_bitcoin(stamp, known)
            else:
                algorithm, verdict = stamp.algorithm, _by_authority(stamp, anchors)
            if algorithm not in subjects:
                subjects[algorithm] = self._by_digest(algorithm, self.subjects)
            self._weigh_stamp(url, f"{algorithm} {stamp.digest}", subjects[algorithm].get(stamp.digest), verdict)
        return digests

    def _anchors(self) -> list[tuple[Entry, bytes]]:
        """The root certificate of each authority of the trust list."""
        found = []
        for entry in self.trust.of("authority"):
            url = self._beside(entry)
            try:
                anchor = rfc3161.root(_read(url, f"trust list, {entry.name}", "its certificate"))
            except ValueError as error:
                raise UsageError(f"trust list, {entry.name}: {url} {error}.") from error
            self._same(entry, url, hashlib.sha256(anchor).hexdigest(), "the certificate in DER")
            found.append((entry, anchor))
        return found

    def _headers(self, heights: set[int]) -> dict[str, tuple[Entry, dict[int, opentimestamps.Header]]]:
        """The wanted block headers of each header file of the trust list."""
        found = {}
        for entry in self.trust.of("bitcoin"):
            url = self._beside(entry)
            with _Lines(url, f"trust list, {entry.name}") as lines:
                try:
                    known = opentimestamps.headers(lines, heights, self.highest_target)
                except ValueError as error:
                    raise UsageError(f"trust list, {entry.name}: {url}, {error}. No stamp can be believed by it.") from error
            self._same(entry, url, lines.sha256, "the file")
            found[entry.name] = (entry, known)
        return found

    def _beside(self, entry: Entry) -> str:
        """Where the file of an entry lies: relative to the trust list."""
        folder, slash, _ = self.base.rpartition("/")
        return f"{folder}{slash}{entry.file}"

    @staticmethod
    def _same(entry: Entry, url: str, digest: str, what: str) -> None:
        if digest not in entry.sha256:
            raise UsageError(
                f"trust list, {entry.name}: the SHA-256 of {url} ({what}) is {digest}, and the list says {entry.sha256[0]}. "
                "Another file than the one that was trusted would decide; restore it, or correct the list."
            )

    def _weigh_stamp(self, url: str, stamped: str, subject: _Subject | None, verdict: tuple[Entry, datetime] | str) -> None:
        if subject is None:
            why = f"it stamps {stamped}, which is no source file's nor that of a list given with --checksums; it counts for nothing"
        elif isinstance(verdict, str):
            why = f"{verdict}; it counts for nothing"
        elif verdict[1] >= self.cutoff:
            why = f"{verdict[0].name} stamped it by {moments.text(verdict[1])}, not before the cutoff; it counts for nothing"
        else:
            entry, instant = verdict
            self._witness(subject.held, "timestamped", entry, instant)
            why = f"{entry.name} ({entry.custodian}) stamped {_files(len(subject.held))} by {moments.text(instant)}"
        self.found.said.append(f"timestamp {url}: {why}")

    def _witness(self, held: Iterable[str], level: str, entry: Entry, instant: datetime) -> None:
        """Notes a witness where it is better than the one so far: the higher level, then the earlier instant, then the name."""
        new = {"level": level, "name": entry.name, "instant": moments.text(instant)}
        for sha256 in held:
            old = self.found.witnesses.get(sha256)
            if old is None or _rank(new) < _rank(old):
                self.found.witnesses[sha256] = new

    def _by_digest(self, algorithm: str, subjects: Sequence[_Subject]) -> dict[str, _Subject]:
        """What can be stamped, by its digest; files are read once more for a wide one, and only then."""
        if algorithm == "sha256":
            return {subject.sha256: subject for subject in subjects}
        return {self._digests(subject)[algorithm]: subject for subject in subjects}

    def _digests(self, subject: _Subject) -> dict[str, str]:
        """The wide digests of a file, which has to be the one that was surveyed still."""
        where = (subject.url, subject.sha256)
        if where not in self._wide:
            hashes = {name: hashlib.new(name) for name in ("sha256", *WIDE)}
            with files.open_input(subject.url) as file:
                while chunk := file.read(files.CHUNK):
                    for each in hashes.values():
                        each.update(chunk)
            if hashes["sha256"].hexdigest() != subject.sha256:
                raise UsageError(
                    f"{subject.url} changed while it was read; the witness would be of other bytes. Let nobody write to it, and run again."
                )
            self._wide[where] = {name: hashes[name].hexdigest() for name in WIDE}
        return self._wide[where]


def _by_authority(token: rfc3161.Token, anchors: list[tuple[Entry, bytes]]) -> tuple[Entry, datetime] | str:
    """The authority of the trust list that made a token and its instant, or why there is none."""
    refusals: Counter[str] = Counter()
    for entry, anchor in anchors:
        try:
            return entry, rfc3161.verify(token, anchor)
        except ValueError as error:
            refusals[str(error)] += 1
    if not refusals:
        return "the trust list names no authority"
    return "no authority of the trust list made it: " + "; ".join(sorted(refusals))


def _by_bitcoin(
    proof: opentimestamps.Proof, known: dict[str, tuple[Entry, dict[int, opentimestamps.Header]]]
) -> tuple[Entry, datetime] | str:
    """The header file of the trust list whose block a proof reaches first and the instant, or why there is none."""
    reached: list[tuple[datetime, str]] = []
    refusals: Counter[str] = Counter()
    for name, (_, headers) in known.items():
        try:
            reached.append((opentimestamps.verify(proof, headers), name))
        except ValueError as error:
            refusals[str(error)] += 1
    if reached:
        instant, name = min(reached)
        return known[name][0], instant
    return "the proof " + "; ".join(sorted(refusals)) if refusals else "the trust list names no Bitcoin headers"


def _rank(witness: dict[str, str]) -> tuple[int, str, str]:
    return -FILE_LEVELS.index(witness["level"]), witness["instant"], witness["name"]


def _files(count: int) -> str:
    return f"{count} source file{'' if count == 1 else 's'}"


def _read(url: str, option: str, what: str) -> bytes:
    try:
        return files.read_bytes(url)
    except OSError as error:
        raise UsageError(f"{option}: {what} {url} cannot be read ({error}). Give a file that is there.") from error


class _Lines:
    """The lines of a file, with the SHA-256 of what was read."""

    def __init__(self, url: str, option: str):
        self.url, self.option, self.sha256 = url, option, ""

    def __enter__(self) -> "_Lines":
        try:
            self._file = files.open_input(self.url)
        except OSError as error:
            raise UsageError(f"{self.option}: {self.url} cannot be read ({error}). Give a file that is there.") from error
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()

    def __iter__(self) -> Iterator[bytes]:
        hashed = hashlib.sha256()
        for line in self._file:
            hashed.update(line)
            yield line
        self.sha256 = hashed.hexdigest()
