"""The watermark signal with made-up counts: the bound on the p-value, its correction, and which texts get a row."""

import math

import numpy as np
import pyarrow as pa
import pytest

from provenance import evidence, signals
from provenance.calibration import Calibration
from provenance.signals import watermark
from provenance.signals.watermark import Trials


def exact(hits, trials, p):
    """P(X >= hits) of a binomial."""
    return math.fsum(math.comb(trials, k) * p**k * (1 - p) ** (trials - k) for k in range(hits, trials + 1))


def green(hits, trials, p=0.25):
    return Trials("k", (hits,), trials, p, (1.0,))


@pytest.mark.parametrize("p", [0.25, 0.5])
@pytest.mark.parametrize("trials", [20, 200])
def test_the_bound_holds_and_is_near(p, trials):
    for hits in range(trials + 1):
        bound, truth = watermark.log_p(green(hits, trials, p)), math.log(exact(hits, trials, p))
        assert truth <= bound + 1e-6
        if hits > trials * p:
            assert bound <= truth + math.log(40)


def test_the_bound_by_hand():
    """All hits: p^n. Of one layer it is exp(-n KL(share || p))."""
    assert watermark.log_p(green(30, 30)) == pytest.approx(30 * math.log(0.25), abs=1e-3)
    kl = 0.5 * math.log(0.5 / 0.25) + 0.5 * math.log(0.5 / 0.75)
    assert watermark.log_p(green(50, 100)) == pytest.approx(-100 * kl, abs=1e-6)
    assert watermark.log_p(green(25, 100)) == 0


def test_weighted_layers_hold_on_chance():
    random = np.random.default_rng(5)
    weights = tuple(10 - i for i in range(10))
    found = [
        watermark.log_p(Trials("k", tuple(int(x) for x in random.binomial(50, 0.5, 10)), 50, 0.5, weights)) for _ in range(2000)
    ]
    for level in (0.1, 0.01):
        assert np.mean(np.array(found) <= math.log(level)) <= level


class Fake:
    """A text is the numbers of hits of each key in 100 tokens."""

    documents, keys = 1000, 2

    def trials(self, texts):
        return [[green(int(hits), 100 if int(hits) < 900 else 10) for hits in text.split()] for text in texts]


TOOLS = signals.Tools(calibration=Calibration(), watermark=Fake())


def batch(*texts):
    rows = [{"key": str(i), "text": text, "language": "en", "word_count": 60} for i, text in enumerate(texts)]
    return pa.RecordBatch.from_pylist(rows, schema=signals.MODEL)


def test_only_what_survives_the_correction_has_a_row():
    found = watermark.watermark(batch("25 30", "60 20", "20 90", "38 38", ""), TOOLS).to_pylist()
    assert [row["key"] for row in found] == ["1", "2"]
    assert found[0]["value"] == pytest.approx(-(watermark.log_p(green(60, 100)) + math.log(2000)) / math.log(10), abs=1e-3)
    assert found[1]["value"] > found[0]["value"] > 2
    assert (
        "watermark k: 0.600 hits where chance has 0.250" in found[0]["detail"] and "2 keys and 1000 documents" in found[0]["detail"]
    )


def test_few_tokens_are_not_tested():
    assert watermark.watermark(batch("900"), TOOLS).num_rows == 0


def test_without_keys_there_is_no_row():
    tools = signals.Tools(calibration=Calibration())
    assert evidence.score(batch("90 90"), "model", tools, only=("watermark",)).num_rows == 0
