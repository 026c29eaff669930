"""Which pages score above most human text."""

import math

import pyarrow as pa
import pytest

from provenance import crowd
from provenance.combiner import SCORED
from tests import calibrations

CELL = calibrations.cell(edges=(-1.0, 0.0, 1.0, 2.0), human=(0.5, 0.3, 0.1, 0.05, 0.05), machine=(0.1, 0.1, 0.1, 0.2, 0.5))


@pytest.mark.parametrize(("share", "least"), [(0.5, -1.0), (0.51, 0.0), (0.9, 1.0), (0.91, 2.0), (0.99, math.inf)])
def test_quantile(share: float, least: float) -> None:
    assert crowd.quantile(CELL, share) == least


def test_above() -> None:
    bare = calibrations.cell(group="de", languages=("de",), edges=(), human=(), machine=())
    combiner = calibrations.combiner(CELL, bare)
    rows = [(0, 0.99), (0, 1.0), (0, None), (None, None), (1, 9.0)]
    scored = [{"key": str(i), "cell": cell, "score": score} for i, (cell, score) in enumerate(rows)]
    found = crowd.above(pa.RecordBatch.from_pylist(scored, schema=SCORED), combiner, 0.9)
    assert found.to_pylist() == [False, True, None, None, None]
    assert crowd.above(pa.RecordBatch.from_pylist([], schema=SCORED), combiner, 0.9).to_pylist() == []
