"""datatrove's pipeline as FineWeb was made with it, over a folder of WARC files, with one worker and without a network.

Run by the peers' interpreter, so it imports nothing of this project: `python fineweb.py WARC_FOLDER INTO MODEL`. Prints what
each step forwarded and the URLs of the documents that were kept, as JSON on its last line.

Steps and options are those of `examples/fineweb.py` in datatrove's repository. Left out, all to the peer's favour: the
writers of what each filter excludes, the token count, and the formatters. Two steps would reach for the network. The language
model is `MODEL`, the quantised lid.176 that the product reads too, in place of a download of lid.176.bin; and `tldextract`
reads the list of public suffixes that it ships.
"""

import gzip
import json
import os
import sys
from pathlib import Path
from typing import Any


def base(warcs: str, out: str, model: str) -> list[Any]:
    """WARC to filtered JSON lines."""
    import tldextract
    import trafilatura  # noqa: F401  # the extractor's child processes fork with it loaded; loading outlasts their first deadline
    from datatrove.pipeline.extractors import Trafilatura
    from datatrove.pipeline.filters import (
        C4QualityFilter,
        FineWebQualityFilter,
        GopherQualityFilter,
        GopherRepetitionFilter,
        LanguageFilter,
        URLFilter,
    )
    from datatrove.pipeline.readers import WarcReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter

    urls, language = URLFilter(), LanguageFilter()
    urls.tldextractor = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    language.model.MODEL_URL = Path(model).resolve().as_uri()
    return [
        WarcReader(warcs, glob_pattern="*.warc.gz", default_metadata={"dump": "bench"}),
        urls,
        Trafilatura(favour_precision=True),
        language,
        GopherRepetitionFilter(),
        GopherQualityFilter(),
        C4QualityFilter(filter_no_terminal_punct=False),
        FineWebQualityFilter(),
        JsonlWriter(out),
    ]


def deduplication(found: str, work: str, out: str) -> list[tuple[list[Any], int]]:
    """The four stages of MinHash, each with its number of tasks."""
    from datatrove.pipeline.dedup import MinhashDedupCluster, MinhashDedupFilter, MinhashDedupSignature
    from datatrove.pipeline.dedup.minhash import MinhashConfig, MinhashDedupBuckets
    from datatrove.pipeline.readers import JsonlReader
    from datatrove.pipeline.writers.jsonl import JsonlWriter
    from datatrove.utils.hashing import HashConfig

    config = MinhashConfig(hash_config=HashConfig(precision=64), num_buckets=14, hashes_per_bucket=8, n_grams=5)
    return [
        ([JsonlReader(found), MinhashDedupSignature(f"{work}/signatures", config)], 1),
        ([MinhashDedupBuckets(f"{work}/signatures", f"{work}/buckets", config=config)], config.num_buckets),
        ([MinhashDedupCluster(f"{work}/buckets", f"{work}/remove", config)], 1),
        ([JsonlReader(found), MinhashDedupFilter(f"{work}/remove"), JsonlWriter(out)], 1),
    ]


def run(pipeline: list[Any], tasks: int, logs: str) -> dict[str, int]:
    """Runs one executor with one worker; the documents that each step forwarded."""
    from datatrove.executor.local import LocalPipelineExecutor

    stats = LocalPipelineExecutor(pipeline, tasks=tasks, workers=1, logging_dir=logs).run()
    return {step.name: int(step.stats["forwarded"].total) for step in stats.stats if "forwarded" in step.stats}


def main(warcs: str, into: str, model: str) -> None:
    os.environ |= {"HF_HUB_OFFLINE": "1", "HF_ASSETS_CACHE": f"{into}/assets", "HF_HOME": f"{into}/hub"}
    found, kept = f"{into}/filtered", f"{into}/kept"
    forwarded = run(base(warcs, found, model), 1, f"{into}/logs/base")
    if any(Path(found).glob("*")):
        for number, (pipeline, tasks) in enumerate(deduplication(found, into, kept), 1):
            forwarded |= run(pipeline, tasks, f"{into}/logs/{number}")
    urls = [
        json.loads(line)["metadata"]["url"]
        for path in sorted(Path(kept).glob("*"))
        for line in gzip.decompress(path.read_bytes()).splitlines()
    ]
    print(json.dumps({"forwarded": forwarded, "urls": sorted(urls)}))


if __name__ == "__main__":
    main(*sys.argv[1:])
