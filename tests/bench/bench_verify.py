"""Verifying: a snapshot beside SHA-256 over the same files, and a mix in MB of text; start-up apart."""

import hashlib
from pathlib import Path

from tests.bench.bench_mix import text_bytes
from tests.bench.inputs import Inputs
from tests.bench.measure import Row, best, folder_bytes, lowbackground

GOAL = 0.7


def digest(folder: str) -> None:
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            with path.open("rb") as stream:
                hashlib.file_digest(stream, "sha256")


def anchored(folder: str, snapshot: str) -> tuple[str, ...]:
    """The arguments that verify a folder against the id of a snapshot."""
    (manifest,) = Path(snapshot).glob("manifests/*.json")
    return "verify", folder, "--anchor", manifest.stem


def run(inputs: Inputs) -> list[Row]:
    snapshot, mix = inputs.snapshot, inputs.mix[0]
    start_snapshot = lowbackground(*anchored(inputs.tiny_snapshot, inputs.tiny_snapshot))[1]
    start_mix = lowbackground(*anchored(inputs.tiny_mix[0], inputs.tiny_snapshot))[1]
    _, bare = best(lambda: digest(snapshot))
    of_snapshot = lowbackground(*anchored(snapshot, snapshot))[1] - start_snapshot
    of_mix = lowbackground(*anchored(mix, snapshot))[1] - start_mix
    size, text = folder_bytes(snapshot) / 1e6, text_bytes(mix) / 1e6
    ours, theirs = size / of_snapshot.cpu, size / bare.cpu
    return [
        Row("verify a snapshot", ours, "MB/CPU-s", ratio=ours / theirs, goal=GOAL, note=f"{size:.1f} MB of files"),
        Row("SHA-256 of its files", theirs, "MB/CPU-s"),
        Row("verify a mix", text / of_mix.cpu, "MB/CPU-s", note=f"{text:.1f} MB of text"),
        Row("start-up of verify", start_snapshot.cpu, "CPU-s"),
    ]
