"""Readings of a language model: what is read, what is left out, and what a row says."""

import pyarrow as pa
import pytest

from provenance import evidence, signals
from provenance.calibration import Calibration
from provenance.likelihood import Statistics
from provenance.signals import language_model


class Fake:
    """As many tokens as words, and a likelihood by the length."""

    identity = "ab" * 32

    def statistics(self, texts):
        return [Statistics(len(text.split()), -len(text) / 100, 5.0, 1.25, 3.5, -1.5, 0.9) if text else None for text in texts]


def batch(*texts):
    rows = [{"key": f"{i:032x}", "text": text, "language": "en", "word_count": len(text.split())} for i, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, schema=signals.MODEL)


TOOLS = signals.Tools(calibration=Calibration(), language_model=Fake())


def test_a_reading_has_value_statistics_and_model():
    (row,) = language_model.language_model(batch("word " * 60), TOOLS).to_pylist()
    assert row["group"] == "ab" * 32
    assert row["value"] == language_model.value(Fake().statistics(["word " * 60])[0])
    assert "60 tokens" in row["detail"] and "curvature -1.5000" in row["detail"] and "Binoculars 0.9000" in row["detail"]


def test_short_and_unreadable_texts_have_none():
    found = language_model.language_model(batch("word " * 49, "", "word " * 50), TOOLS)
    assert found["key"].to_pylist() == [f"{2:032x}"]


@pytest.mark.parametrize("tools", [signals.Tools(calibration=Calibration()), TOOLS])
def test_no_rows_are_rows_of_evidence(tools):
    assert evidence.score(batch("word " * 20), "model", tools, only=("language_model",)).num_rows == 0


def test_high_values_are_likely_texts():
    likely, unlikely = (Statistics(100, x, 9.0, 1.0, -x, x + 3, 1 - x / 10) for x in (-2.0, -4.0))
    assert language_model.value(likely) > language_model.value(unlikely)
