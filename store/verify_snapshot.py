"""Whether a snapshot is what its manifest says, and says the same in all its parts: files, leaves, tree, documents, history.

Every file is read once, by all cores (hashing, decompression and decoding release the interpreter lock), and nothing is
kept of it but sums and the roots of subtrees. What is wrong is named by file and, inside Parquet, by its first wrong row.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from provenance.schema import EVIDENCE, INDEXES
from store import files, sampling, tables, verify_beside, verify_history, verify_join, verify_leaves, verify_manifest, verify_rows
from store.damage import NO_ROW, Fault, Held, earliest, hold, page_fault
from store.integrity import Findings
from store.manifest import MANIFESTS, Opened
from store.sampling import Sample
from store.verify_beside import Aligned
from store.verify_index import Index, Sketch
from store.verify_leaves import LeafRows
from store.verify_misplaced import Misplaced
from store.verify_rows import DocumentRows, Statements, Tally

ALIGNED = ("signatures", "tags")
"""Datasets with one row for each row of documents, in files of the same names."""


def check_snapshot(
    opened: Opened, seen: Callable[[int], None] = lambda _: None, sample: Sample | None = None, sketch: Sketch | None = None
) -> Findings:
    """Checks a snapshot: everything, or with `sample` the manifest, the listing, the tree and a random part of the rest.

    `seen` is told the bytes of each file that was read. With `sketch`, which makes sketches as the snapshot's parameters say,
    signatures and samples of a secret share of the documents are made again from their texts.
    """
    found = Findings()
    versions = verify_history.history(opened, found)
    if opened.id not in versions:  # what its manifest says would lead astray
        return found
    check = _Check(opened, sample, found, sketch)
    verify_history.listing(opened, versions, check.chosen, found)
    check.read(seen)
    check.step(check.tree, always=True)
    if sample is not None:
        check.step(check.sampled_rows, always=True)
        found.sampled = check.chances()
    check.step(check.joins)
    if sample is None:
        for further in (check.counts, check.alignment, check.index):
            check.step(further)
    return found


@dataclass
class _Read:
    """What reading one file gave."""

    path: str
    why: str | None = None
    missing: bool = False
    changed: bool = False
    """Whether its bytes are not those listed."""
    fault: Fault | None = None
    leaves: LeafRows | None = None
    documents: DocumentRows | None = None
    aligned: Aligned | None = None
    whole: bool = False
    """Whether its rows were gone through to their end."""
    reasons: Counter[str] = field(default_factory=Counter)


class _Check:
    """The state of one check."""

    def __init__(self, opened: Opened, sample: Sample | None, found: Findings, sketch: Sketch | None):
        self.opened, self.sample, self.found = opened, sample, found
        self.where = f"{MANIFESTS}/{opened.id}.json"
        self.secret = os.urandom(32)
        self.entries: list[dict[str, Any]] = opened.manifest["files"]
        self.by_path = {entry["path"]: entry for entry in self.entries}
        self.results: dict[str, _Read] = {}
        self.terms = verify_manifest.terms(opened)
        self.minhash = opened.manifest["parameters"]["minhash"]
        self.found_by = Index(opened, self.secret, sketch)
        self.beside = {verify_manifest.beside(entry["path"]): entry["path"] for entry in opened.entries("documents")}
        place = verify_join.Places(opened.entries("leaves"))
        self.starts = dict(zip(place.paths, place.starts, strict=False))
        optional = [entry for entry in self.entries if not entry["path"].startswith("leaves/")]
        self.population = len(optional)
        self.chosen = {e["path"] for e in self.entries} if sample is None else sample.files(optional) | set(place.paths)

    def step(self, check: Callable[[], None], always: bool = False) -> None:
        """Does one check of what is whole so far; what a forged row makes a reader raise is a fault of the snapshot."""
        try:
            if always or self.found.whole:
                check()
        except Exception as error:  # the parsers of files whose digests are right, but whose maker is not trusted
            self.found.blame(self.where, f"what it lists cannot be checked: {type(error).__name__}: {error}")

    def read(self, seen: Callable[[int], None]) -> None:
        """Reads the chosen files on all cores, and blames those that are wrong by themselves."""
        entries = [entry for entry in self.entries if entry["path"] in self.chosen and entry["path"] not in self.found.missing]
        damaged = []
        with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
            for entry, result in zip(entries, pool.map(self._read, entries), strict=True):
                seen(entry["size"])
                self.results[result.path] = result
                if result.missing:
                    self.found.missing.append(result.path)
                elif result.changed and result.path.startswith("documents/"):
                    damaged.append(result.path)
                    self.found.blame(result.path, result.why or "")
                elif result.why is not None:
                    self._blame(result.path, result.fault, result.why)
                elif not result.whole:
                    self.found.blame(result.path, "its rows were not gone through")
                else:
                    self.found.bytes += entry["size"]
        for path in damaged:
            try:
                fault = self._damaged_documents(path)
            except Exception as error:  # the parser of a damaged file may raise anything
                fault = Fault(None, f"its rows are not those of documents: {error}")
            self._blame(path, fault, self.found.why.pop(path, ""))

    def _blame(self, path: str, fault: Fault | None, why: str = "") -> None:
        self.found.blame(path, "; ".join(filter(None, (why, str(fault) if fault else ""))))
        if fault is not None and fault.row is not None:
            self.found.first_wrong_rows.setdefault(path, fault.row)

    def _read(self, entry: dict[str, Any]) -> _Read:
        result = _Read(entry["path"])
        dataset = result.path.split("/")[0]
        try:
            held = hold(files.join(self.opened.url, result.path), entry["size"])
        except FileNotFoundError:
            result.missing = True
            return result
        except OSError as error:
            result.why = f"cannot be read: {error}"
            return result
        if (held.sha256, held.size) != (entry["sha256"], entry["size"]):
            result.changed = True
            result.why = (
                f"{held.size} bytes with SHA-256 {held.sha256}, where the manifest lists {entry['size']} with {entry['sha256']}"
            )
            if dataset == "leaves":
                result.fault = verify_leaves.leaf_fault(held, self.starts[result.path], self.opened.index_only, self.terms)
            elif dataset != "documents":
                result.fault = page_fault(held) or NO_ROW
            return result
        try:
            self._rows(dataset, held, entry, result)
        except Exception as error:  # a listed file that is not what it should be may make its parser raise anything
            result.why = f"its rows are not those of {dataset}: {type(error).__name__}: {error}"
        return result

    def _rows(self, dataset: str, held: Held, entry: dict[str, Any], result: _Read) -> None:
        with held.parquet() as parquet:
            if parquet.metadata.num_rows != entry["rows"]:
                result.why = f"{parquet.metadata.num_rows} rows, where the manifest lists {entry['rows']}"
                return
            result.why = verify_beside.wrong_columns(parquet, dataset, self.minhash["permutations"], self.minhash["bits"])
            if result.why is not None:
                return

            def batches(columns: list[str] | None, size: int = verify_rows.BATCH) -> Iterator[pa.RecordBatch]:
                return parquet.iter_batches(size, columns=columns, use_threads=False)

            if dataset == "leaves":
                start, hidden = self.starts[result.path], self.opened.index_only
                result.leaves = verify_leaves.read_leaves(batches(None), start, self.secret, hidden, self.terms)
                result.fault = result.leaves.fault
            elif dataset in INDEXES:
                result.fault = self.found_by.read(result.path, parquet).fault
            elif self.sample is None:
                self._further_rows(dataset, batches, result)
            result.whole = result.why is None and result.fault is None
        if result.fault is not None:
            result.why = "its bytes are those that the manifest lists"

    def _further_rows(self, dataset: str, batches: Callable[..., Iterator[pa.RecordBatch]], result: _Read) -> None:
        """Goes through the rows of a file that is not of leaves."""
        hidden, index = self.opened.index_only, self.found_by
        if dataset in ("documents", *ALIGNED):
            of = self.beside.get(verify_manifest.beside(result.path))
            if of is None:
                result.why = "it is of no file of documents"
            elif dataset == "documents":
                rows = batches(verify_rows.needed(hidden))
                result.documents = verify_rows.read_documents(rows, self.secret, hidden, index, index.number[of])
                result.fault = result.documents.fault
            else:
                rows = batches(verify_beside.columns_of(dataset))
                result.aligned = verify_beside.read_aligned(dataset, rows, index, index.number[of])
                result.fault = result.aligned.fault
        elif dataset == "rejects":
            for batch in batches(["stage", "reason"]):
                result.reasons.update(pc.binary_join_element_wise(batch.column(0), batch.column(1), "/").to_pylist())
        elif dataset == "sources":
            result.why = verify_beside.wrong_source(batches(["file_path", "records", "documents", "rejects", "unaccounted"]))

    def _damaged_documents(self, path: str) -> Fault:
        """The first wrong row of a file of documents whose bytes are not those listed, by the leaves where these are right."""
        held = hold(files.join(self.opened.url, path), self.by_path[path]["size"])
        decoder = Statements(held, self.opened.index_only)
        differing = None
        if not any(p.startswith("leaves/") for p in self.found.wrong + self.found.missing):
            rows = ((path, start, columns) for start, columns in decoder.read())
            with verify_join.connected(self.opened) as con:
                differing = verify_join.disagreements(con, [path], rows, self.opened.index_only).get(path)
        return earliest(differing, decoder.fault, verify_rows.own_fault(held)) or page_fault(held) or NO_ROW

    def tree(self) -> None:
        """Joins the leaves' subtrees: size and root after each extension, and the order of keys from file to file."""
        parts = [(path, self.results[path].leaves) for path in self.starts if path in self.results]
        if len(parts) != len(self.starts) or any(rows is None or rows.fault for _, rows in parts):
            if self.found.whole:
                self.found.blame(self.where, "not all of its leaves were read, so that its tree cannot be checked")
            return
        stated = self.opened.manifest["tree"]
        ends = [(extension["size"], extension["root"]) for extension in stated["extensions"]]
        joined, last, until = verify_leaves.Joined(), verify_leaves.FIRST, 0
        waiting = iter([*parts, ("", LeafRows(Tally(b"")))])
        path, rows = next(waiting)
        for number, (size, root) in enumerate(ends):
            until, last = until + size, verify_leaves.FIRST
            while path and rows is not None and joined.size < until:
                if rows.edges and not verify_leaves.follows(last, rows.edges[0]):
                    self._blame(path, Fault(0, f"the key {rows.edges[0][0]} is out of order or stands there twice"))
                for height, node in rows.nodes:
                    joined.push(height, node)
                last = rows.edges[1] if rows.edges else last
                path, rows = next(waiting)
            if (joined.size, joined.root.hex()) != (until, root):
                self.found.blame(
                    self.where,
                    f"after extension {number} its tree has {until} leaves and root {root}, and the leaves give "
                    f"{joined.size} and {joined.root.hex()}",
                )
                return
        if path:
            self.found.blame(self.where, f"its tree has {until} leaves, and {path} holds more")

    def counts(self) -> None:
        """Holds the manifest's counts against the rows."""
        documents = [result.documents for result in self.results.values() if result.documents]
        rejects = sum((result.reasons for result in self.results.values()), Counter[str]())
        held = sum(part.rows for part in documents)
        expected: dict[str, Any] = {
            "documents": held,
            "rejects": rejects.total(),
            "records": held + rejects.total(),
            "rejects_by_reason": dict(rejects),
            "leaves": sum(result.leaves.rows for result in self.results.values() if result.leaves),
        }
        for name in ("eligible", "eligible_bytes", "ineligible"):
            expected[name] = dict(sum((Counter(getattr(part, name)) for part in documents), Counter[str]()))
        if any(result.leaves and result.leaves.further for result in self.results.values()):
            with verify_join.connected(self.opened) as con:
                for first, best, *moved in verify_join.lifted(con):
                    for name, number in zip(("eligible", "eligible_bytes"), moved, strict=True):
                        expected[name][first] -= number
                        expected[name][best] = expected[name].get(best, 0) + number
        stated = self.opened.manifest["counts"]
        if wrong := [name for name in expected if _nonzero(stated.get(name)) != _nonzero(expected[name])]:
            said = "; ".join(f"{name} {stated.get(name)}, the rows give {expected[name]}" for name in wrong)
            self.found.blame(self.where, f"its counts are not those of the rows: {said}")
        gone = sum(result.leaves.redacted for result in self.results.values() if result.leaves)
        if gone != self.opened.redacted:
            self.found.blame(self.where, f"{gone} leaves are redacted, and it says {self.opened.redacted}")

    def alignment(self) -> None:
        """Holds the files that are row-aligned with documents against them."""
        others = {
            (path.split("/")[0], verify_manifest.beside(path)): result for path, result in self.results.items() if result.aligned
        }
        for path, result in self.results.items():
            if result.documents is None:
                continue
            for dataset in ALIGNED:
                other = others.pop((dataset, verify_manifest.beside(path)), None)
                if other is None or other.aligned is None:
                    self.found.blame(self.where, f"it lists {path} and no file of {dataset} for it")
                elif (other.aligned.rows, other.aligned.keys) != (result.documents.rows, result.documents.keys):
                    self.found.blame(other.path, f"its rows are not those of {path}, key by key")
                elif dataset == "tags":
                    self._tags(other.path, other.aligned, result.documents)
        for other in others.values():
            self.found.blame(other.path, "it is of no file of documents")
        for entry in self.opened.entries("evidence"):
            if entry["rows"]:
                paths = [[entry["path"]], [p for p in (self.beside.get(verify_manifest.beside(entry["path"])),) if p]]
                keys = [tables.read((files.join(self.opened.url, p) for p in part), ["key"], EVIDENCE)["key"] for part in paths]
                if fault := verify_beside.strangers(*keys):
                    self._blame(entry["path"], fault)

    def _tags(self, path: str, tags: Aligned, documents: DocumentRows) -> None:
        """Nothing raises a tag: `human` is what is eligible, at the level of its row in documents."""
        false = tags.flags() & ~verify_beside.unpacked(documents.able, documents.rows)
        if false.any():
            self._blame(path, Fault(int(np.argmax(false)), "it says human, and the document is not eligible"))
        elif tags.levels != documents.levels:
            self.found.blame(path, "its attestations are not those of documents, row by row")

    def index(self) -> None:
        """Each document is found by its id, its bands and its samples, and by nothing else."""
        for path, fault in Misplaced(self.opened, self.found_by).faults():
            self._blame(path or self.where, fault)

    def joins(self) -> None:
        """What only the datasets together show: documents against leaves, further witnesses, redactions."""
        leaves = [result.leaves for result in self.results.values() if result.leaves]
        redacted = any(part.redacted for part in leaves) or any(
            result.documents and result.documents.redacted for result in self.results.values()
        )
        history = self.opened.parent is not None or redacted or any(part.further for part in leaves)
        differ = self.sample is None and self._tallies_differ(leaves)
        if not (history or differ):
            return
        with verify_join.connected(self.opened) as con:
            for path, fault in verify_join.leaf_faults(con, self.opened) if history else ():
                self._blame(path, fault)
            if differ:
                self._name_differing(con)
            elif self.sample is None and redacted:
                for path, fault in verify_join.redaction_faults(con, self.opened):
                    self._blame(path, fault)

    def _tallies_differ(self, leaves: list[LeafRows]) -> bool:
        first, stated = Tally(self.secret), Tally(self.secret)
        for part in leaves:
            first.merge(part.first)
        for result in self.results.values():
            if result.documents:
                stated.merge(result.documents.stated)
        return first != stated

    def _name_differing(self, con: Any) -> None:
        """Finds the documents that are not what their leaves say."""
        paths = [entry["path"] for entry in self.opened.entries("documents")]
        for path in paths:
            decoder = Statements(hold(files.join(self.opened.url, path), self.by_path[path]["size"]), self.opened.index_only)
            rows = ((path, start, columns) for start, columns in decoder.read())
            for name, fault in verify_join.disagreements(con, [path], rows, self.opened.index_only).items():
                self._blame(name, fault)
        if self.found.whole:
            key = verify_join.lacking(con, self.opened)
            self.found.blame(self.where, f"documents and first leaves are not one to one: {key or 'their sums differ'}")

    def sampled_rows(self) -> None:
        """Holds the drawn rows of the drawn files of documents against their leaves."""
        paths = sorted(path for path in self.results if path.startswith("documents/") and path not in self.found.wrong)
        if not paths or any(path.startswith("leaves/") for path in self.found.wrong + self.found.missing):
            return
        with verify_join.connected(self.opened) as con:
            for path, fault in verify_join.disagreements(con, paths, self._drawn(paths), self.opened.index_only).items():
                self._blame(path, fault)

    def _drawn(self, paths: list[str]) -> Iterator[tuple[str, int, dict[str, pa.Array]]]:
        for path in paths:
            entry = self.by_path[path]
            wanted = pa.array(self.sample.rows(path, entry["rows"] or 0) if self.sample else [], pa.int64())
            decoder = Statements(hold(files.join(self.opened.url, path), entry["size"]), self.opened.index_only)
            for start, columns in decoder.read(wanted):
                yield path, start, columns

    def chances(self) -> dict[str, Any]:
        """What was drawn, and the probability that a change in what was not drawn is missed."""
        sample = self.sample or Sample(1.0, "")
        optional = [path for path in self.chosen if not path.startswith("leaves/")]
        drawn = sample.least(self.population)
        documents = [entry["path"] for entry in self.opened.entries("documents")]
        rows = sum(sample.least(self.by_path[path]["rows"] or 0) for path in optional if path.startswith("documents/"))
        chance = {str(n): sampling.missed(self.population, drawn, n) for n in (1, 10) if n <= self.population}
        of_row = (drawn / self.population) * sample.share if self.population and documents else 1.0
        return {
            "seed": sample.seed,
            "share": sample.share,
            "files": f"{len(optional)} of {self.population}, and all {len(self.starts)} of leaves",
            "bytes": sum(e["size"] for e in self.entries if e["path"] in self.chosen),
            "rows": f"{rows:,} of {sum(e['rows'] or 0 for e in self.opened.entries('documents')):,}",
            "missed_if_this_many_files_changed": chance,
            "missed_if_one_text_changed": 1 - of_row,
        }


def _nonzero(counts: Any) -> Any:
    """Counts without those that are 0: a redaction may take the last one of a kind."""
    return {name: number for name, number in counts.items() if number} if isinstance(counts, dict) else counts
