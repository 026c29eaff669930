"""Stylometry's readings: the trees' score of the features of the line."""

import numpy as np

from provenance import signals, style
from provenance.signals.stylometry import stylometry
from tests.provenance.signals.pages import TOOLS, batch

EXCESS = np.array([style.word_hash("delves")], np.uint64)
TREES = style.Trees(
    roots=np.array([0], np.int32),
    feature=np.array([style.SCALARS.index("excess"), -1, -1], np.int16),
    cut=np.array([0.0, 0, 0]),
    left=np.array([1, 0, 0], np.int32),
    right=np.array([2, 0, 0], np.int32),
    value=np.array([0, -1.0, 2.0]),
    bias=0.0,
    vocabulary=np.zeros(0, np.uint64),
    excess=EXCESS,
)


def test_words_in_excess_speak_for_machine():
    tools = signals.Tools(calibration=TOOLS.calibration, stylometry=TREES)
    pages = batch(
        {"text": "This study delves deep. " * 10, "word_count": 40}, {"text": "This study digs deep. " * 10, "word_count": 40}
    )
    found = stylometry(pages, tools).to_pylist()
    assert [(row["key"], row["value"]) for row in found] == [("0", 2.0), ("1", -1.0)]
