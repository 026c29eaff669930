"""Signatures: text of 3 kB to minima, normalisation included, beside datasketch and rensa, over the same texts.

The others are given the shingles that Python makes of the lower-cased text, which is part of what they cost; both hash one
shingle at a time with their own hash. Ours of each preset are beside datasketch too, whose preset gives its signatures.
"""

import re
from collections.abc import Callable
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.bench.inputs import Inputs
from tests.bench.measure import Row, best

TEXTS, TEXT_BYTES = 4000, 3000
FEW = 10
"""One text in so many for what is slow."""
GOAL = 30_000.0
WORD = re.compile(r"\w+")


def texts(paths: list[str]) -> pa.Array:
    """Texts of about 3 kB, repeated where there are too few."""
    columns = [pq.read_table(path, columns=["text"])["text"] for path in paths]
    column = pa.chunked_array([chunk for found in columns for chunk in found.chunks])
    cut = pc.utf8_slice_codeunits(column.filter(pc.greater(pc.utf8_length(column), TEXT_BYTES)), 0, TEXT_BYTES).combine_chunks()
    return cut.take(pa.array([i % len(cut) for i in range(TEXTS)]))


def shingles(text: str, size: int) -> list[str]:
    words = WORD.findall(text.lower())
    return list({" ".join(words[i : i + size]) for i in range(len(words) - size + 1)})


def rate(work: Callable[[str], Any], some: list[str]) -> float:
    """Texts for each CPU-second."""
    _, cost = best(lambda: [work(text) for text in some])
    return len(some) / cost.cpu


def run(inputs: Inputs) -> list[Row]:
    import datasketch
    import rensa

    from provenance.families import FAMILIES
    from provenance.minhash import MinHash, minhash

    column = texts(inputs.rows)
    some = column[: TEXTS // FEW].to_pylist()

    def of_datasketch(text: str) -> None:
        datasketch.MinHash(num_perm=128).update_batch([shingle.encode() for shingle in shingles(text, 5)])

    def of_rensa(text: str) -> None:
        sketch = rensa.RMinHash(num_perm=128, seed=1)
        sketch.update(shingles(text, 5))
        sketch.digest()

    theirs = {"datasketch": rate(of_datasketch, some), "rensa": rate(of_rensa, some)}
    ours: dict[str, float] = {}
    for preset in FAMILIES:
        options, batch = MinHash(preset=preset), column if preset == MinHash().preset else column[: len(some)]
        minhash(column[:10], options)
        _, cost = best(lambda batch=batch, options=options: minhash(batch, options), 5)
        ours[preset] = len(batch) / cost.cpu
    own = ours.pop(MinHash().preset)
    unit, note = "signatures/CPU-s", f"{TEXT_BYTES / 1000:.0f} kB texts"
    return [
        Row("the kernel", own, unit, own / theirs["datasketch"], note=f"{note}; ratio: over datasketch"),
        Row("rensa", theirs["rensa"], unit, own / theirs["rensa"], note="ratio: the kernel's over it"),
        Row("datasketch", theirs["datasketch"], unit, own / theirs["datasketch"], note="ratio: the kernel's over it"),
        Row("goal of the kernel", GOAL, unit, own / GOAL, 1),
        *(
            Row(f"preset {preset}", value, unit, value / theirs["datasketch"], note="ratio: over datasketch")
            for preset, value in ours.items()
        ),
    ]
