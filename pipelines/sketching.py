"""Makes the sketches of a snapshot's texts again, as its parameters say, so that `verify` can hold some of them against the texts."""

from typing import Any

import msgspec
import numpy as np
import pyarrow as pa

from store.manifest import Opened
from store.verify_index import STEP, Sketch


def sketcher(opened: Opened) -> tuple[Sketch | None, str]:
    """What makes the sketches of a snapshot, if this program can, and in words which of them `verify` makes again or why none."""
    if opened.index_only:
        return None, "not made again: the snapshot has no texts"
    parameters = opened.manifest.get("parameters")
    stated: Any = parameters.get("minhash") if isinstance(parameters, dict) else None
    differing = other_parameters(stated if isinstance(stated, dict) else {})
    if differing:
        return None, f"not made again: this program makes others ({differing})"

    def sketch(texts: pa.Array) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        from provenance.minhash import MinHash, minima
        from provenance.shingles import shingle_sets

        options = msgspec.convert({name: stated[name] for name in MinHash.__struct_fields__}, MinHash)
        hashes, offsets = shingle_sets(texts, options)
        return minima(hashes, offsets, options), hashes, offsets

    return sketch, f"those of one document in {STEP} made again from the texts"


def other_parameters(stated: dict[str, Any]) -> str:
    """Names of the parameters of sketches that are not those of this program under the same settings; empty where all are."""
    from provenance.minhash import MinHash, parameters

    try:
        options = msgspec.convert({name: stated[name] for name in MinHash.__struct_fields__ if name in stated}, MinHash)
    except (msgspec.ValidationError, ValueError):
        return "its settings are none"
    ours = parameters(options)
    return ", ".join(sorted(name for name in {*ours, *stated} if ours.get(name) != stated.get(name)))
