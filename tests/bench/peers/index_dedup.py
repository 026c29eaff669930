"""datatrove's deduplication against an index: signatures of a reference, an index of them, and a crawl without what is in it.

Run by the peers' interpreter, so it imports nothing of this project: `python index_dedup.py REFERENCE CRAWL INTO`, of folders of Parquet
files with `id` and `text`. Prints as JSON on its last line which documents were kept, the CPU seconds of each step, and the
bytes of the index; by default, where only matches with the index go, and with `only_dedup_in_index=False`, where matches within the crawl go too.

The configuration is that of `fineweb.py`. To datatrove's favour, words are what white space divides in its simplified text: its own
tokenizer is spaCy's for English, ten times slower and hardly another on text without punctuation; its rate is printed beside.
"""

import gzip
import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

SAMPLE = 300
"""Documents over which the rate with its own tokenizer is measured."""


class Words:
    """Words divided by white space."""

    def word_tokenize(self, text: str) -> list[str]:
        return text.split()


def cpu() -> float:
    """CPU seconds so far, of this process and of those that it started and waited for."""
    usages = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in usages)


class Chain:
    """The steps, and what each cost."""

    def __init__(self, reference: str, crawl: str, into: str):
        from datatrove.pipeline.dedup.minhash import MinhashConfig
        from datatrove.utils.hashing import HashConfig

        self.reference, self.crawl, self.into = reference, crawl, into
        self.config = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5)
        self.cpu: dict[str, float] = {}
        self.wall: dict[str, float] = {}

    def step(self, name: str, pipeline: list[Any], tasks: int = 1) -> None:
        from datatrove.executor.local import LocalPipelineExecutor

        started, wall = cpu(), time.perf_counter()
        LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=f"{self.into}/logs/{name}").run()
        self.cpu[name], self.wall[name] = cpu() - started, time.perf_counter() - wall

    def read(self, folder: str, limit: int = -1) -> Any:
        from datatrove.pipeline.readers import ParquetReader

        return ParquetReader(folder, glob_pattern="*.parquet", limit=limit)

    def signatures(self, name: str, words: Any = None) -> Any:
        from datatrove.pipeline.dedup import MinhashDedupSignature

        made = MinhashDedupSignature(f"{self.into}/{name}", self.config)
        made.word_tokenizer = words or made.word_tokenizer
        return made

    def index(self) -> None:
        """The reference as an index."""
        from datatrove.pipeline.dedup import MinhashBuildIndex

        self.step("reference signatures", [self.read(self.reference), self.signatures("reference", Words())])
        build = MinhashBuildIndex(f"{self.into}/reference", f"{self.into}/index", "frozen", self.config)
        self.step("index", [build], self.config.num_buckets)

    def match(self) -> None:
        """The crawl's signatures, once for both ways to match them."""
        self.step("crawl signatures", [self.read(self.crawl), self.signatures("crawl", Words())])

    def remove(self, name: str, only_in_index: bool) -> list[str]:
        """Ids of the documents that are kept."""
        from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter
        from datatrove.pipeline.dedup.minhash import MinhashDedupBuckets
        from datatrove.pipeline.writers.jsonl import JsonlWriter

        base = f"{self.into}/{name}"
        buckets = MinhashDedupBuckets(
            f"{self.into}/crawl", f"{base}/buckets", f"{self.into}/index", config=self.config, only_dedup_in_index=only_in_index
        )
        self.step(f"{name}: buckets", [buckets], self.config.num_buckets)
        self.step(f"{name}: cluster", [MinhashDedupCluster(f"{base}/buckets", f"{base}/remove", self.config)])
        self.step(f"{name}: filter", [self.read(self.crawl), MinhashDedupFilter(f"{base}/remove"), JsonlWriter(f"{base}/kept")])
        return [
            json.loads(line)["id"]
            for path in sorted(Path(f"{base}/kept").glob("*"))
            for line in gzip.decompress(path.read_bytes()).splitlines()
        ]


def main(reference: str, crawl: str, into: str) -> None:
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_ASSETS_CACHE": f"{into}/assets", "HF_HOME": f"{into}/hub"}
    chain = Chain(reference, crawl, into)
    chain.step("start", [chain.read(reference, 1), chain.signatures("start")])
    chain.step("with its own tokenizer", [chain.read(reference, SAMPLE), chain.signatures("own")])
    chain.index()
    chain.match()
    kept = {"default": chain.remove("default", only_in_index=True), "all": chain.remove("all", only_in_index=False)}
    size = sum(path.stat().st_size for path in Path(into, "index").rglob("*") if path.is_file())
    print(json.dumps({"kept": kept, "cpu": chain.cpu, "wall": chain.wall, "index_bytes": size, "sample": SAMPLE}))


if __name__ == "__main__":
    main(*sys.argv[1:])
