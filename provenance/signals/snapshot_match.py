"""How near a document is to the frozen snapshot, and by what it differs from the nearest document there.

The value is 1 where the identity form equals that of an eligible snapshot document, else the best Jaccard similarity with
the snapshot, measured or estimated, capped below 1. It informs and weighs nothing: near is not equal, a human text with machine
edits is a near match too, and equality counts only through the verdict's own rule.

The detail gives the difference in both directions: the share of this document's shingles that the reference lacks (what was added
or changed) and the share of the reference's that this document lacks (what was left out or changed). From J = |A n B| / |A u B|
and the containment c = |A n B| / |A| the other containment is 1 / (1/J - 1/c + 1), because |A u B| = |A| + |B| - |A n B|. Where
only the second is small, the document quotes the whole reference among other text; where only the first is, it is an excerpt;
where both are, it was edited; above one fifth on both sides it only shares parts.

Failure modes. Shingles do not know order beyond their length, so a rearranged text looks equal; one changed word costs as many
shingles as a shingle is long, so the shares overstate small edits of short texts; an estimate has the error of its sketches (a
standard error of about 0.04 at 128 permutations), in which shares of a few percent drown. Only the nearest document
of the snapshot is compared: a text put together from several looks new in part.
"""

import math

import pyarrow as pa

from provenance.signals import Tools, readings

NAME = "snapshot_match"
VERSION = "2"
STAGE = "match"
COLUMNS = ("key", "identical", "reference", "reference_attestation", "similarity", "containment", "exact")
STATISTICAL = False

SMALL = 0.2
"""Share of shingles up to which a side counts as kept: the complement of common thresholds of near duplicates, 0.8."""

_BELOW_ONE = math.nextafter(1.0, 0.0)


def snapshot_match(batch: pa.RecordBatch, tools: Tools) -> pa.RecordBatch:
    """Readings of the documents that equal or resemble a document of the snapshot."""
    columns = [batch.column(name).to_pylist() for name in COLUMNS]
    rows: list[tuple[str, float, str]] = []
    for key, identical, reference, attestation, similarity, containment, exact in zip(*columns, strict=True):
        if identical:
            rows.append((key, 1.0, f"equals {reference}, attested as {attestation}"))
        elif similarity is not None:
            guess = " estimated as" if exact is False else ""
            detail = f"similarity{guess} {similarity:.3f} with {reference}{_difference(similarity, containment)}"
            rows.append((key, min(similarity, _BELOW_ONE), detail))
    return readings(rows)


def diff_ratios(similarity: float, containment: float) -> tuple[float, float]:
    """Share of this document's shingles that the reference lacks, and of the reference's that this one lacks, each in 0 to 1.

    `similarity` is the Jaccard similarity of both, `containment` the share of this one's in the reference.
    """
    if similarity <= 0 or containment <= 0:
        return 1.0, 1.0
    contained = 1 / (1 / similarity - 1 / containment + 1) if similarity <= containment else 1.0
    return min(1.0, max(0.0, 1 - containment)), min(1.0, max(0.0, 1 - contained))


def _difference(similarity: float, containment: float | None) -> str:
    """The difference in words, empty where the containment is not known."""
    if containment is None:
        return ""
    added, missing = diff_ratios(similarity, containment)
    kind = (
        ("the same shingles" if added == missing == 0 else "edited" if missing <= SMALL else "an excerpt")
        if added <= SMALL
        else ("quoted whole" if missing <= SMALL else "shares parts")
    )
    return f": {kind}, {added:.1%} of this one not there, {missing:.1%} of that one not here"
