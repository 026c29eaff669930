"""The crowd: which pages score above most human text, so that the pages of a host can be counted across languages and lengths."""

import bisect
import math

import numpy as np
import pyarrow as pa

from provenance.calibration import Cell, Combiner


def quantile(cell: Cell, share: float) -> float | None:
    """Least edge of the cell's bins that at least `share` of human text stays below; without bins None.

    A bin is not divided: where in it the quantile lies is not known, and its upper edge errs towards fewer pages.
    """
    if not cell.edges:
        return None
    below = [math.fsum(cell.human[: number + 1]) for number in range(len(cell.edges))]
    place = bisect.bisect_left(below, share - 1e-9)
    return cell.edges[place] if place < len(cell.edges) else math.inf


def above(scored: pa.RecordBatch, combiner: Combiner, share: float) -> pa.BooleanArray:
    """Whether each document of `combiner.SCORED` reaches the `share` quantile of human text of its cell; null without a score, and in
    cells of which the distribution of human scores is not known."""
    limits = [quantile(cell, share) for cell in combiner.cells]
    known = np.array([math.nan if limit is None else limit for limit in limits] + [math.nan], np.float64)
    cells = scored.column("cell").fill_null(len(combiner.cells)).to_numpy(zero_copy_only=False)
    scores = scored.column("score").cast(pa.float64()).to_numpy(zero_copy_only=False)
    limit = known[cells]
    return pa.array(scores >= limit, pa.bool_(), mask=np.isnan(scores) | np.isnan(limit))
