"""The character model's readings: those of its kernel, on the line of the text."""

import numpy as np
import pytest

from provenance import characters, lines, signals
from provenance.signals.character_model import character_model, log_odds
from tests.provenance.signals.pages import TOOLS, batch

TEXT = "Furthermore, it is important to note that this delves into a rich tapestry. " * 4


def test_reading_is_the_kernels_score():
    weights = np.random.default_rng(1).normal(size=1 << characters.BITS).astype(np.float32)
    model = characters.Model(weights, 0.25)
    tools = signals.Tools(calibration=TOOLS.calibration, character_model=model)
    (found,) = character_model(batch({"text": TEXT, "word_count": 52}), tools).to_pylist()
    assert found["value"] == pytest.approx(characters.Hasher().score(lines.line(TEXT), model)) and found["detail"] == "en, 52 words"


def test_the_constant_alone_where_no_weight_is():
    model = characters.Model(np.zeros(1 << characters.BITS, np.float32), -1.5)
    assert log_odds(model, [lines.line(TEXT), lines.line("")]).tolist() == [-1.5, -1.5]
    assert len(log_odds(model, [])) == 0
