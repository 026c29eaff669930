"""The stages of the match, one after the other: rank, equal and relate, candidates, pair, measure, resolve.

What would find nothing is left out: without references there is nothing to equal, and sampled shingles propose nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pipelines import config, indexing, references
from pipelines.runner import Runner
from pipelines.stage import Stage, urls
from provenance import schema
from provenance.postings import Layout
from store import files
from store.manifest import Opened

Receipts = dict[str, dict[str, Any]]
Done = tuple[Stage, Receipts]
RUN_INDEXES = ("bands", "ids")
"""Indexes by which an earlier run is found; for samples its texts would have to be read again."""


class Comparison:
    """One run's match.

    `make` makes a stage of a name, a step, parts, partitions and what its context adds; `opened` are the references, checked as
    far as `references.require_found` goes.
    """

    def __init__(self, make: Callable[..., Stage], runner: Runner, plain: Mapping[str, Any], opened: Sequence[Opened]):
        self._make, self._runner, self._opened = make, runner, opened
        sections = config.restore(plain, "curate")
        self._minhash, self._match = sections["minhash"], sections["match"]
        self._references = [references.described(one) for one in opened]
        self.rows = references.Rows(opened)
        self.done: dict[str, Done] = {}

    def _do(
        self, name: str, step: str, parts: Sequence[dict[str, Any]], partitions: Sequence[int] = (), **context: Any
    ) -> Receipts:
        stage = self._make(name, step, parts, tuple(partitions), references=self._references, **context)
        self.done[name] = stage, self._runner.run(stage)
        return self.done[name][1]

    def _urls(self, name: str, dataset: str) -> list[str]:
        return urls(self.done[name][0].folder, self.done[name][1], dataset)

    def run(self, extract: Stage, extracted: Receipts, protected: Sequence[str]) -> None:
        """Does all of it; `protected` are the source files whose documents are never dropped. Raises `CheckFailed` where a file of a
        reference that rows are taken from is not what its manifest lists."""
        self.done["extract"] = extract, extracted
        documents, signatures = (self._urls("extract", name) for name in ("documents", "signatures"))
        addresses = self._match.url == "drop"
        self._do(
            "rank",
            "ranking:RankDocuments",
            [{"name": "all", "documents": documents, "protected": sorted(protected), "addresses": addresses}],
        )
        ranked = self._urls("rank", "ranked")
        self._index_runs()
        counted = [receipt["postings"] for receipt in extracted.values()]
        layout = Layout.sized(
            self._minhash,
            sum(receipt["documents"] for receipt in extracted.values()),
            sum(counts["samples"] for counts in counted),
        )
        equal = self._equal(layout, documents, ranked)
        self._candidates(layout, equal, signatures, ranked)
        found = self._do(
            "pair", "matching:PairUp", [{"name": "all", "candidates": self._urls("candidates", "candidates"), "ranked": ranked}]
        )
        self.rows.require((receipt["touched"] for receipt in found.values()), "documents", "signatures")
        measure = [{"name": f"{i:05d}", "pairs": url} for i, url in enumerate(self._urls("pair", "pairs"))]
        self._do("measure", "measuring:MeasurePairs", measure, documents=documents, signatures=signatures)
        resolve = {"ranked": ranked, "parts": len(ranked), "equal": equal, "measured": self._urls("measure", "measured")}
        self._do("resolve", "resolving:ResolveMatches", [{"name": "all", **resolve}])

    def _index_runs(self) -> None:
        """Indexes of earlier runs, in the folder of work, over what they kept."""
        for scope, reference in enumerate(self._references):
            if reference["kind"] != "run":
                continue
            columns = zip(*(self._opened[scope].files(name) for name in references.POSTED), strict=True)
            parts = [{"name": f"{i:05d}", **dict(zip(references.POSTED, part, strict=True))} for i, part in enumerate(columns)]
            posted = self._do(f"post-{scope}", "indexing:PostRun", parts)
            layout = Layout.sized(self._minhash, sum(receipt["documents"] for receipt in posted.values()), 0)
            gathered, places = (self._urls(f"post-{scope}", name) for name in ("postings", "places"))
            parts = [
                {"name": name, "number": number, "postings": gathered[number], "places": places[number]}
                | indexing.weighed(layout, receipt["postings"], RUN_INDEXES)
                for number, (name, receipt) in enumerate(posted.items())
            ]
            partitions = [partition for name in RUN_INDEXES for partition in layout.kind(name)]
            name = f"index-{scope}"
            self._do(name, "indexing:BuildIndex", parts, partitions if parts else (), layout=list(layout))
            self._references[scope] = reference | {dataset: self._urls(name, dataset) for dataset in RUN_INDEXES}

    def _posted(self, layout: Layout, ranked: Sequence[str], datasets: Sequence[str]) -> list[dict[str, Any]]:
        """Parts of a shuffle of postings: what of some datasets the parts of the extraction have."""
        postings = self._urls("extract", "postings")
        return [
            {"name": name, "ranked": ranked[number], "postings": postings[number]}
            | indexing.weighed(layout, receipt["postings"], datasets)
            for number, (name, receipt) in enumerate(self.done["extract"][1].items())
        ]

    def _equal(self, layout: Layout, documents: Sequence[str], ranked: Sequence[str]) -> str | None:
        """The file of `EQUAL`, None where nothing equals a document of a reference."""
        if not self._references:
            return None
        parts = self._posted(layout, ranked, ("ids",))
        found = self._do("equal", "ranking:FindEqual", parts, layout.kind("ids"), layout=list(layout))
        if not any(receipt["found"] for receipt in found.values()):
            return None
        self.rows.require((receipt["touched"] for receipt in found.values()), "documents", "leaves")
        self._do(
            "relate",
            "ranking:RelateDocuments",
            [{"name": "all", "found": self._urls("equal", "equal"), "documents": documents, "ranked": ranked}],
        )
        return files.join(self.done["relate"][0].folder, "equal.parquet")

    def _candidates(self, layout: Layout, equal: str | None, signatures: Sequence[str], ranked: Sequence[str]) -> None:
        datasets = ["bands"]
        if any(reference["samples"] for reference in self._references):
            datasets.append("samples")
        if self._match.url == "drop":
            datasets.append("addresses")
        self._do(
            "candidates",
            "matching:FindCandidates",
            self._posted(layout, ranked, datasets),
            [partition for dataset in datasets for partition in layout.kind(dataset)],
            layout=list(layout),
            equal=equal,
            ranked=ranked,
            documents=sum(receipt["documents"] for receipt in self.done["extract"][1].values()),
            signatures=signatures,
            signed=[references.signed(one) for one in self._opened],
        )

    def counts(self, tagged: Receipts) -> dict[str, Any]:
        """What the match adds to a run's counts."""
        origins, kept = ({o: sum(r[field][o] for r in tagged.values()) for o in schema.ORIGINS} for field in ("origins", "kept"))
        return {
            "candidates": self._total("pair", "pairs"),
            "pairs_estimated": self._total("measure", "estimated"),
            "pairs_measured": self._total("measure", "measured"),
            "pairs_settled": self._total("measure", "settled"),
            "pairs_not_compared": self._total("candidates", "not_compared"),
            "samples_not_compared": self._total("candidates", "samples_not_compared"),
            "matches": self._total("resolve", "matches"),
            "dropped": self._total("resolve", "dropped"),
            "protected_kept": self._total("resolve", "protected_kept"),
            "kept": sum(kept.values()),
            "origins": origins,
            "kept_origins": kept,
        }

    def _total(self, name: str, field: str) -> int:
        return sum(receipt[field] for receipt in self.done[name][1].values())
