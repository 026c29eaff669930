"""Signatures: the kernel beside datasketch, over the same texts.

datasketch hashes one shingle at a time with its own default hash; the shingles are made the same way for both.
"""

import re

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from tests.bench.inputs import Inputs
from tests.bench.measure import Row, best, measure

TEXTS, TEXT_BYTES = 4000, 3000
WORD = re.compile(r"\w+")


def texts(paths: list[str]) -> pa.Array:
    """Texts of about 3 kB, repeated where there are too few."""
    columns = [pq.read_table(path, columns=["text"])["text"] for path in paths]
    column = pa.chunked_array([chunk for found in columns for chunk in found.chunks])
    cut = pc.utf8_slice_codeunits(column.filter(pc.greater(pc.utf8_length(column), TEXT_BYTES)), 0, TEXT_BYTES).combine_chunks()
    return cut.take(pa.array([i % len(cut) for i in range(TEXTS)]))


def run(inputs: Inputs) -> list[Row]:
    import datasketch

    from provenance.minhash import MinHash, minhash

    options = MinHash()
    column = texts(inputs.rows)
    minhash(column[:10], options)
    _, ours = best(lambda: minhash(column, options))
    some = column[: TEXTS // 10].to_pylist()

    def theirs() -> None:
        for text in some:
            words = WORD.findall(text.lower())
            sketch = datasketch.MinHash(num_perm=options.permutations, seed=options.seed, scheme=options.scheme)
            sketch.update_batch(
                {" ".join(words[i : i + options.shingle]).encode() for i in range(len(words) - options.shingle + 1)}
            )

    _, cost = measure(theirs)
    ours_rate, their_rate = TEXTS / ours.cpu, len(some) / cost.cpu
    return [
        Row("the kernel", ours_rate, "signatures/CPU-s", ratio=ours_rate / their_rate, note=f"{TEXT_BYTES / 1000:.0f} kB texts"),
        Row("datasketch", their_rate, "signatures/CPU-s"),
    ]
