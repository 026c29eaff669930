"""The stages of one freeze, in order: what is read and who witnesses it, what the parent has, leaves, indexes, tree, manifest."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines import attesting, config, indexing, ingest, redacting, references, sealing
from pipelines.curate import counts
from pipelines.extraction import ARCHIVE_FILE, DECLARATION, TABLE_ROW
from pipelines.runner import Runner
from pipelines.stage import Stage, urls
from pipelines.target import Target
from provenance import postings, schema
from provenance.identity import digest, merkle_root, sha256_hex
from store import checkpoint, files, manifest
from store.errors import LowbackgroundError
from store.manifest import Opened
from store.notes import Signer

if TYPE_CHECKING:
    from pipelines.freeze import Order

Receipts = dict[str, dict[str, Any]]
OWNER = (ARCHIVE_FILE, TABLE_ROW, DECLARATION)
"""Witnesses that are the owner's own word: no custodian of their own."""
BUILT_ON = ("documents", "leaves")
REWRITTEN = (*BUILT_ON, "signatures", "tags", "evidence", *schema.INDEXES, "rejects")
"""What of a parent a version rests on, and what it makes anew where it redacts: checked before it does."""
SEALED = ("documents", "captures", "signatures", "evidence")
PARTIAL = (*SEALED, "postings")
"""Datasets of the extraction whose sealed form takes their place, and what the indexes are made of."""
PASSING = ("fresh", "places")
"""Datasets of the sealing that later stages read and no version keeps."""


class Chain:
    """One freeze."""

    def __init__(
        self,
        target: Target,
        plain: dict[str, Any],
        told: dict[str, Any],
        made: dict[str, Any],
        admission: dict[str, Any],
        runner: Runner,
        parent: Opened | None,
        index_only: bool,
        key: Signer | None,
    ):
        self.target, self.plain, self.told, self.made, self.admission, self.runner = target, plain, told, made, admission, runner
        self.parent, self.index_only, self.key = parent, index_only, key
        self.extension = len(parent.manifest["tree"]["extensions"]) if parent else 0
        self.known: dict[str, dict[str, Any]] = parent.manifest["witnesses"] if parent else {}
        self.prefix = ""
        self.witnesses = attesting.Gathered()
        self.lifted: list[dict[str, Any]] = []

    @property
    def _shared(self) -> dict[str, Any]:
        """What every stage is told."""
        return {"config": self.plain, "parameters": self.made, "prefix": self.prefix}

    def _stage(
        self, name: str, step: str, parts: Sequence[dict[str, Any]], partitions: tuple[int, ...] = (), **context: Any
    ) -> Stage:
        return Stage(name, f"pipelines.{step}", self.target.work, self._shared | context, tuple(parts), partitions)

    def run(self, order: "Order") -> tuple[Opened, list[str]]:
        """Does what the order asks for; returns the finished version, and what is to be said of its witnesses."""
        found = ingest.survey(order.sources, self.target.work, self.plain, self.runner) if order.sources else []
        self.witnesses = attesting.gather(order, found, self.admission["cutoff"], self.known, self.target.work, self.runner)
        self.witnesses.said += ingest.sidecar(found, self.plain)
        wanted = redacting.read_list(order.redact) if order.redact else {}
        signers = [self.key.verifier.vkey] if self.key else []
        before = self.parent.id if self.parent else None
        if self.parent and self.parent.manifest["signers"] and not signers:
            self.witnesses.said.append("the version that this one extends is signed, and this one is not: --sign KEY signs it")
        asked = [self.index_only, sorted(wanted.items()), signers, self.witnesses.identity, before]
        job = digest([self.told, self.made, self.admission, ingest.inputs_digest_parts(found), asked])
        if opened := self.target.claim(job):
            return opened, self.witnesses.said
        gone = self._parents(wanted)
        # Files of several versions share a folder, in the order of the versions.
        self.prefix = f"{self.extension:05d}-{job[:12]}"
        redacted = self._redact(gone)
        extract = self._stage(
            "extract",
            "extraction:ExtractPart",
            ingest.parts(found, self.plain["read"]["part_bytes"], self.witnesses.by_file),
            freeze=self.admission,
            index_only=self.index_only,
            digests=bool(order.indexes),
        )
        extracted = self.runner.run(extract)
        seal, sealed = self._seal(extract, extracted, redacted)
        index, indexed = self._index(extract, extracted, seal, sealed, redacted)
        grow, tree = self._grow(seal, sealed, redacted)
        present: dict[str, int] = {}
        for receipt in sealed.values():
            for file, number in receipt["dropped"].items():
                present[file] = present.get(file, 0) + number
        table = ingest.sources_table(found, extracted, present)
        entries = redacted.kept + self.target.promote(redacted.receipts, redacted.folder)
        entries += self.target.promote(_without(extracted, PARTIAL), extract.folder)
        entries += self.target.promote(_without(sealed, PASSING), seal.folder)
        entries += self.target.promote(indexed, index.folder) + self.target.promote(tree, grow.folder)
        if found:
            entries.append(self.target.add_table(f"sources/{self.prefix}-00000.parquet", table, schema.SOURCES))
        body = self._body(job, signers, entries, redacted, tree["all"], _added(extracted, sealed))
        return self._finish(body, redacted.removed), self.witnesses.said

    def _parents(self, wanted: dict[str, str]) -> dict[str, dict[str, Any]]:
        """The parent's documents that a list names, once what this version rests on has proven whole.

        Gives the folder up again where something is wrong: nothing was made in it yet.
        """
        if self.parent is None:
            return {}
        try:
            references.require(self.parent, REWRITTEN if wanted else BUILT_ON)
            return redacting.find(self.parent, wanted, self.target.work) if wanted else {}
        except LowbackgroundError:
            self.target.release()
            raise

    def _redact(self, rows: dict[str, dict[str, Any]]) -> "_Redacted":
        """The parent's files, without the documents that a list removes."""
        if self.parent is None:
            return _Redacted(self.target.into, [], {})
        made = _Redacted(self.target.into, self.parent.manifest["files"], rows)
        if rows:
            stage = self._stage(
                "redact",
                "redacting:RedactFile",
                redacting.parts(self.parent, rows),
                redacted=rows,
                extension=f"{self.extension:05d}",
            )
            made.replace(stage.folder, self.runner.run(stage))
        return made

    def _seal(self, extract: Stage, extracted: Receipts, before: "_Redacted") -> tuple[Stage, Receipts]:
        made = {name: urls(extract.folder, extracted, name) for name in PARTIAL}
        cutoff = self.admission["cutoff"]
        witnessed = self.witnesses.corroborate(made["captures"], cutoff, self.target.work, self.runner, self._shared)
        stand = self._stage(
            "stand",
            "standing:StandDocuments",
            [{"name": "all", "captures": made["captures"], "witnessed": witnessed, "leaves": before.urls("leaves")}],
            custodians=dict.fromkeys(OWNER, "") | self._custodians(),
        )
        stood = self.runner.run(stand)
        self.lifted = stood["all"]["lifted"]
        standing = urls(stand.folder, stood, "standing")
        search = self._stage(
            "boilerplate",
            "sealing:FindBoilerplate",
            [{"name": "all", "documents": before.urls("documents") + made["documents"]}],
            hosts=self.plain["freeze"]["boilerplate_hosts"],
        )
        self.runner.run(search)
        parts = [
            {"name": name, "standing": standing[number], **{dataset: made[dataset][number] for dataset in SEALED}}
            for number, name in enumerate(extracted)
        ]
        seal = self._stage(
            "seal",
            "sealing:SealDocuments",
            parts,
            boilerplate=files.join(search.folder, "boilerplate.parquet"),
            extractor=digest(self.made["extract"]),
            rules=sealing.rules(self.plain, self.made),
            index_only=self.index_only,
        )
        return seal, self.runner.run(seal)

    def _custodians(self) -> dict[str, str]:
        """Custodian of each named witness, of this freeze and of the versions before."""
        return {name: entry["custodian"] for name, entry in self.known.items()} | self.witnesses.custodians

    def _index(
        self, extract: Stage, extracted: Receipts, seal: Stage, sealed: Receipts, before: "_Redacted"
    ) -> tuple[Stage, Receipts]:
        documents = sum(receipt["documents"] for receipt in sealed.values())
        found = [receipt["postings"] for receipt in extracted.values()]
        options = config.restore(self.plain, "freeze")["minhash"]
        layout = postings.Layout.sized(options, documents, sum(counted["samples"] for counted in found))
        first = len(before.urls("documents"))
        gathered, places = urls(extract.folder, extracted, "postings"), urls(seal.folder, sealed, "places")
        parts = [
            {"name": name, "number": first + number, "postings": gathered[number], "places": places[number]}
            | indexing.weighed(layout, found[number], schema.INDEXES)
            for number, name in enumerate(sealed)
        ]
        partitions = [partition for dataset in schema.INDEXES for partition in layout.kind(dataset)]
        stage = self._stage(
            "index",
            "indexing:BuildIndex",
            parts if documents else (),
            tuple(partitions) if documents else (),
            layout=list(layout),
        )
        return stage, self.runner.run(stage)

    def _grow(self, seal: Stage, sealed: Receipts, before: "_Redacted") -> tuple[Stage, Receipts]:
        part = {
            "name": "all",
            "fresh": urls(seal.folder, sealed, "fresh"),
            "added": sum(receipt["leaves"] for receipt in sealed.values()),
            "leaves": before.urls("leaves"),
            "size": self.parent.manifest["tree"]["size"] if self.parent else 0,
            "root": self.parent.manifest["tree"]["root"] if self.parent else merkle_root([]).hex(),
        }
        stage = self._stage("tree", "growing:GrowTree", [part])
        return stage, self.runner.run(stage)

    def _body(
        self,
        job: str,
        signers: list[str],
        entries: list[dict[str, Any]],
        redacted: "_Redacted",
        tree: dict[str, Any],
        added: dict[str, Any],
    ) -> dict[str, Any]:
        parent = self.parent.manifest if self.parent else None
        extensions = list(parent["tree"]["extensions"]) if parent else []
        if self.parent is not None:
            extensions[-1] = extensions[-1] | {"manifest": self.parent.id}
        size = tree["size"] - (parent["tree"]["size"] if parent else 0)
        extensions.append({"size": size, "root": tree["root"], "manifest": None})
        return {
            "job": job,
            "parent": self.parent.id if self.parent else None,
            "cutoff": self.admission["cutoff"],
            "declaration": self._declared(),
            "config": self.told,
            "config_digest": digest(self.told),
            "parameters": self.made,
            "index_only": self.index_only,
            "tree": {"size": tree["size"], "root": tree["root"], "extensions": extensions},
            "consistency": tree["consistency"],
            "signers": signers,
            "witnesses": self.known | self.witnesses.named,
            "redacted": {
                "leaves": (parent["redacted"]["leaves"] if parent else 0) + redacted.leaves,
                "removed": redacted.removed,
            },
            "files": manifest.sorted_files(entries),
            "counts": cumulative(parent["counts"] if parent else None, added, redacted.rows, self.lifted),
        }

    def _declared(self) -> str | None:
        """The owner's words, those of earlier versions first: their leaves rest on them still."""
        before: str | None = self.parent.manifest["declaration"] if self.parent else None
        own: str | None = self.admission["declaration"]
        if before is None or own is None or own in before.split("\n"):
            return before or own
        return f"{before}\n{own}"

    def _finish(self, body: dict[str, Any], removed: list[str]) -> Opened:
        """The checkpoint, then the manifest, after which the version is there; then what it redacted goes."""
        if self.key is not None:
            data = manifest.snapshot_bytes(body)
            made = Opened(self.target.into, sha256_hex(data), manifest.parse(data, "the new manifest"))
            self.target.add_bytes(checkpoint.path(made.id), checkpoint.write(made, self.key))
        opened = self.target.finish(body)
        self.target.remove_listed(removed)
        return opened


class _Redacted:
    """The parent's files as they go on: those that stay, and those that take the place of others without redacted documents."""

    def __init__(self, base: str, entries: Sequence[dict[str, Any]], rows: dict[str, dict[str, Any]]):
        self.base, self.kept, self.rows = base, list(entries), rows
        self.folder, self.receipts, self.removed = base, Receipts(), list[str]()

    def replace(self, folder: str, receipts: Receipts) -> None:
        """Takes the files that a stage wrote in `folder` in place of the parent's."""
        self.folder, self.receipts = folder, receipts
        self.removed = sorted(receipt["replaces"] for receipt in receipts.values() if receipt["replaces"])
        gone = set(self.removed)
        self.kept = [entry for entry in self.kept if entry["path"] not in gone]

    def urls(self, dataset: str) -> list[str]:
        """Where the files of a dataset are now, in their order."""
        there = {entry["path"]: self.base for entry in self.kept}
        there |= {entry["path"]: self.folder for receipt in self.receipts.values() for entry in receipt["files"]}
        return [files.join(base, path) for path, base in sorted(there.items()) if path.startswith(f"{dataset}/")]

    @property
    def leaves(self) -> int:
        """Leaves that lost their text with a document: its first, and those of further witnesses."""
        return sum(row["leaves"] for row in self.rows.values())


def _without(receipts: Receipts, datasets: Sequence[str]) -> Receipts:
    """The receipts without the files of some datasets, which stay behind in the work folder."""
    return {
        name: {**receipt, "files": [f for f in receipt["files"] if f["path"].split("/")[0] not in datasets]}
        for name, receipt in receipts.items()
    }


def _added(extracted: Receipts, sealed: Receipts) -> dict[str, Any]:
    """What this freeze adds to the snapshot's counts."""
    found = counts(extracted)
    eligible: dict[str, int] = {}
    size: dict[str, int] = {}
    ineligible: dict[str, int] = {}
    for receipt in sealed.values():
        for level, number in receipt["eligible"].items():
            eligible[level] = eligible.get(level, 0) + number["documents"]
            size[level] = size.get(level, 0) + number["bytes"]
        _add(ineligible, receipt["ineligible"])
        _add(found["rejects_by_reason"], receipt["reasons"])
    documents = sum(receipt["documents"] for receipt in sealed.values())
    found |= {"rejects": found["records"] - documents, "documents": documents}
    leaves = sum(receipt["leaves"] for receipt in sealed.values())
    return found | {"eligible": eligible, "eligible_bytes": size, "ineligible": ineligible, "leaves": leaves}


def _add(total: dict[str, int], more: Mapping[str, int]) -> None:
    for name, number in more.items():
        total[name] = total.get(name, 0) + number


def cumulative(
    before: dict[str, Any] | None,
    added: dict[str, Any],
    redacted: Mapping[str, dict[str, Any]],
    lifted: Sequence[dict[str, Any]] = (),
) -> dict[str, Any]:
    """The counts of a version: its parent's and what it adds, less what it redacts, with what further witnesses lifted at its
    new level."""
    total: dict[str, Any] = {name: dict(value) if isinstance(value, dict) else value for name, value in (before or {}).items()}
    for name, value in added.items():
        if isinstance(value, dict):
            _add(total.setdefault(name, {}), value)
        else:
            total[name] = total.get(name, 0) + value
    for moved in lifted:
        for name, unit in (("eligible", "documents"), ("eligible_bytes", "bytes")):
            total[name][moved["before"]] -= moved[unit]
            _add(total[name], {moved["after"]: moved[unit]})
    for row in redacted.values():
        if row["eligible"]:
            total["eligible"][row["attestation"]] -= 1
            total["eligible_bytes"][row["attestation"]] -= row["byte_count"]
        else:
            total["ineligible"][sealing.short_reason(row["ineligible_reason"])] -= 1
        _add(total["ineligible"], {"redacted": 1})
    for name in ("eligible", "eligible_bytes", "ineligible"):
        total[name] = {label: number for label, number in total[name].items() if number}
    return total
