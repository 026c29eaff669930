"""What a trainer has of a mix after each row, for the tests that read mixes with trainers' libraries."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import zstandard

from provenance import mixture
from store import files, shards
from store.manifest import Opened
from tests import mixes, vocabularies

SETTINGS = {"floor": "2/7", "units": ("documents", "bytes"), "chunk_bytes": 600, "seed": 3}
"""Of the mixes that readers are tried on; `maker` adds what a format of tokens needs."""


def maker(new_folder: Callable[[str], Path], sources: tuple[Opened, Opened], name: str) -> Callable[..., Opened]:
    """What makes a mix of a format and a number of shards, once for all that want the same. `new_folder` makes one under a name,
    `sources` are a snapshot and a run, and mixes are called `name` and a number: `datasets` keeps what it read by a folder's last name."""
    known: dict[tuple[Any, ...], Opened] = {}
    packed = {
        "units": ("tokens",),
        "tokenizer": vocabularies.folder("byte_level", new_folder("tokenizer")),
        "sequence_length": 128,
        "chunk_tokens": 300,
    }

    def made(form: str, count: int, **options: Any) -> Opened:
        wanted = (form, count, *sorted(options.items()))
        if wanted not in known:
            chosen = SETTINGS | (packed if form == "tokens" else {}) | options
            folder = new_folder("made") / f"{name}-{len(known)}"
            known[wanted] = mixes.make(folder, sources[0], [sources[1]], format=form, shards=count, **chosen)
        return known[wanted]

    return made


def names(opened: Opened) -> list[str]:
    """Names of the shards, in order."""
    count = len(opened.manifest["shards"])
    return [shards.shard_name(number, count) for number in range(count)]


def rows(opened: Opened) -> list[list[dict[str, Any]]]:
    """The rows of each shard by the project's own reader, in order."""
    mix = opened.manifest["config"]["mix"]
    form = shards.named(mix["format"])

    def open_(path: str) -> Any:
        return files.open_input(files.join(opened.url, path))

    return [[row for batch in form.read(open_, name, mix) for row in batch.to_pylist()] for name in names(opened)]


def lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a file of compressed JSON lines, by nothing but json and zstandard."""
    with path.open("rb") as source:
        for line in zstandard.ZstdDecompressor().stream_reader(source).read().splitlines():
            yield json.loads(line)


def of_dolma(opened: Opened) -> dict[str, dict[str, Any]]:
    """The rows of a mix in dolma's layout by the id of their documents, read without the project's reader."""
    found = {}
    for path in sorted(Path(opened.url, "attributes").rglob("*.zst")):
        for row in lines(path):
            kinds = dict(name.split("__", 2)[1:] for name in row["attributes"])
            assert found.setdefault(row["id"], kinds) is kinds
    return found


def of_tokens(opened: Opened) -> dict[tuple[int, ...], list[dict[str, Any]]]:
    """The spans of each row of a tokenised mix, by its ids, from the files that stand beside the rows; not by the project's reader."""
    found: dict[tuple[int, ...], list[dict[str, Any]]] = {}
    for name in names(opened):
        ids, spans = (
            pq.read_table(files.join(opened.url, folder, f"{name}.parquet")).to_pylist() for folder in ("data", "attributes")
        )
        for row, beside in zip(ids, spans, strict=True):
            assert found.setdefault(tuple(row["input_ids"]), beside["spans"]) is beside["spans"]
    return found


def lengths(found: Iterable[Mapping[str, Any]], units: Iterable[str]) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Human units and all units of each row (`text`, `origin`, `chunk`, `chunks`, or `spans`), by unit; counted here and not by the project.

    A human document counts where its last chunk stands and any other where its first does. Of packed tokens those in spans count.
    """
    listed = list(found)
    if tuple(units) == ("tokens",):
        sides = [[(span["origin"] == "human", span["stop"] - span["start"]) for span in row["spans"]] for row in listed]
        ours = [sum(size for side, size in row if side) for row in sides]
        return {"tokens": (np.array(ours, np.int64), np.array([sum(size for _, size in row) for row in sides], np.int64))}
    human = np.array([row["origin"] == "human" for row in listed], bool)
    total = {
        "bytes": [len(row["text"].encode()) for row in listed],
        "documents": [int(row["chunk"] == (row["chunks"] - 1 if row["origin"] == "human" else 0)) for row in listed],
    }
    counted = {unit: np.array(total[unit], np.int64) for unit in units}
    return {unit: (np.where(human, values, 0), values) for unit, values in counted.items()}


def surpluses(found: Iterable[Mapping[str, Any]], plain: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """q * human - p * total after each row, by listed unit."""
    floor = mixture.fraction(plain["floor"])
    return {
        unit: np.cumsum(floor.denominator * human - floor.numerator * total)
        for unit, (human, total) in lengths(found, plain["units"]).items()
    }


def keeps(found: Iterable[Mapping[str, Any]], plain: Mapping[str, Any]) -> bool:
    """Whether a consumer that stops after any of these rows has at least the floor, in each listed unit."""
    return all((surplus >= 0).all() for surplus in surpluses(found, plain).values())


def ranks(parts: Iterable[Iterable[Mapping[str, Any]]], plain: Mapping[str, Any]) -> dict[str, dict[str, int]]:
    """By unit, what the manifest says of ranks that share a mix, from the rows that each of them got."""
    floor = mixture.fraction(plain["floor"])
    found = [lengths(part, plain["units"]) for part in parts]
    said = {}
    for unit in plain["units"]:
        sums = [(int(human.sum()), int(total.sum())) for human, total in (of[unit] for of in found)]
        poorest = min((pair for pair in sums if pair[1]), key=lambda pair: Fraction(*pair), default=(0, 0))
        least = [
            0,
            *(int(np.cumsum(floor.denominator * h - floor.numerator * t).min(initial=0)) for h, t in (of[unit] for of in found)),
        ]
        said[unit] = {"human": poorest[0], "total": poorest[1], "minimum_surplus": min(least)}
    return said
