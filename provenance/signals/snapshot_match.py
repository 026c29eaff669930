"""How near a document is to the frozen snapshot.

The value is 1 where the identity form equals that of an eligible snapshot document, else the best Jaccard similarity with
the snapshot, measured or estimated, capped below 1. It informs and weighs nothing: near is not equal, a human text with machine
edits is a near match too, and equality counts only through the verdict's own rule.
"""

import math

import pyarrow as pa

from provenance.signals import Tools, readings

NAME = "snapshot_match"
VERSION = "1"
STAGE = "match"
COLUMNS = ("key", "identical", "reference", "reference_attestation", "similarity", "containment", "exact")
STATISTICAL = False

_BELOW_ONE = math.nextafter(1.0, 0.0)


def snapshot_match(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the documents that equal or resemble a document of the snapshot."""
    columns = [batch.column(name).to_pylist() for name in COLUMNS]
    rows: list[tuple[str, float, str]] = []
    for key, identical, reference, attestation, similarity, containment, exact in zip(*columns, strict=True):
        if identical:
            rows.append((key, 1.0, f"equals {reference}, attested as {attestation}"))
        elif similarity is not None:
            inside = "" if containment is None else f", {containment:.0%} of it contained"
            guess = " estimated as" if exact is False else ""
            rows.append((key, min(similarity, _BELOW_ONE), f"similarity{guess} {similarity:.3f} with {reference}{inside}"))
    return readings(rows)
