"""Verifying: a snapshot beside SHA-256 over the same files, a sample of it, and a mix in MB of text; start-up apart.

The digest of every file is one part of verifying a snapshot in ten: every text is decompressed and hashed, and every leaf,
whose cost is one of documents and not of bytes. So the goal is a share of what SHA-256 alone does.
"""

import hashlib
from pathlib import Path

from pipelines import verify
from tests.bench.bench_mix import text_bytes
from tests.bench.inputs import Inputs
from tests.bench.measure import Row, best, folder_bytes, lowbackground

GOAL = 0.05


def digest(folder: str) -> None:
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                hashlib.file_digest(stream, "sha256")


def anchor(snapshot: str) -> str:
    """The id of a snapshot of one version."""
    (manifest,) = Path(snapshot).glob("manifests/*.json")
    return manifest.stem


def anchored(folder: str, snapshot: str) -> tuple[str, ...]:
    """The arguments that verify a folder against the id of a snapshot."""
    return "verify", folder, "--anchor", anchor(snapshot)


def run(inputs: Inputs) -> list[Row]:
    snapshot, mix = inputs.snapshot, inputs.mix[0]
    start_snapshot = lowbackground(*anchored(inputs.tiny_snapshot, inputs.tiny_snapshot))[1]
    start_mix = lowbackground(*anchored(inputs.tiny_mix[0], inputs.tiny_snapshot))[1]
    name = anchor(snapshot)
    _, bare = best(lambda: digest(snapshot))
    summary, of_snapshot = best(lambda: verify.run(snapshot, name, quiet=True))
    _, of_sample = best(lambda: verify.run(snapshot, name, quiet=True, sample=0.1))
    of_mix = lowbackground(*anchored(mix, snapshot))[1] - start_mix
    size, text = folder_bytes(snapshot) / 1e6, text_bytes(mix) / 1e6
    ours, theirs = size / of_snapshot.cpu, size / bare.cpu
    return [
        Row(
            "verify a snapshot", ours, "MB/CPU-s", ratio=ours / theirs, goal=GOAL, note=f"{size:.1f} MB of files; {summary['line']}"
        ),
        Row("SHA-256 of its files", theirs, "MB/CPU-s"),
        Row("verify a snapshot, by the clock", size / of_snapshot.wall, "MB/s"),
        Row("SHA-256 of its files, by the clock", size / bare.wall, "MB/s"),
        Row("verify a tenth of it", size / of_sample.wall, "MB/s", note="of all its files, with --sample 0.1"),
        Row("verify a mix", text / of_mix.cpu, "MB/CPU-s", note=f"{text:.1f} MB of text"),
        Row("start-up of verify", start_snapshot.cpu, "CPU-s"),
    ]
