"""Statistics of a text under a language model: cases worked out by hand, and plain loops over the formulas of the papers."""

import math

import numpy as np
import pytest

from provenance import likelihood
from provenance.likelihood import LanguageModel, Tokens

RANDOM = np.random.default_rng(3)

HALVES = np.log([[0.5, 0.25, 0.25], [0.5, 0.25, 0.25]])


def softmax(row):
    weights = [math.exp(x) for x in row]
    return [weight / sum(weights) for weight in weights]


def slow(logits, following, observer):
    """One token, one entry of the vocabulary at a time."""
    found = {name: [] for name in Tokens._fields}
    for row, token, seen in zip(logits, following, observer, strict=True):
        p, q = softmax(row), softmax(seen)
        found["log_likelihood"].append(math.log(p[token]))
        found["rank"].append(1 + sum(other > p[token] for other in p))
        found["entropy"].append(-sum(x * math.log(x) for x in p))
        mean = sum(b * math.log(a) for a, b in zip(p, q, strict=True))
        found["mean"].append(mean)
        found["variance"].append(sum(b * (math.log(a) - mean) ** 2 for a, b in zip(p, q, strict=True)))
    return found


def test_two_tokens_by_hand():
    """p = (1/2, 1/4, 1/4) twice, the text takes the first and then the last: in units of ln 2, log p is -1 and -2; the mean is
    -(1/2 + 2/4 + 2/4) = -1.5, the variance 1/2 x 1/4 + 1/2 x 1/4 = 1/4; the last token has rank 2, as has the one beside it."""
    found = likelihood.tokens(HALVES, np.array([0, 2]))
    bits = math.log(2)
    assert found.log_likelihood == pytest.approx([-bits, -2 * bits])
    assert list(found.rank) == [1, 2]
    assert found.entropy == pytest.approx([1.5 * bits] * 2) and found.mean == pytest.approx([-1.5 * bits] * 2)
    assert found.variance == pytest.approx([bits**2 / 4] * 2)
    of = likelihood.statistics(found)
    assert of == (2, round(-1.5 * bits, 4), 1.5, round(bits / 2, 4), round(1.5 * bits, 4), 0.0, 1.0)


def test_curvature_and_ratio_by_hand():
    """The likeliest token twice: (-2 + 3) / sqrt(1/2) and 2 / 3."""
    of = likelihood.statistics(likelihood.tokens(HALVES, np.array([0, 0])))
    assert (of.curvature, of.binoculars) == (1.4142, 0.6667)


def test_an_observer_by_hand():
    """An observer that is sure of the first token expects log p = -1: the cross-perplexity is 1 bit, and nothing varies."""
    sure = np.array([[0.0, -1e9, -1e9], [0.0, -1e9, -1e9]])
    found = likelihood.tokens(HALVES, np.array([1, 2]), sure)
    assert found.mean == pytest.approx([-math.log(2)] * 2) and found.variance == pytest.approx([0, 0])
    assert found.entropy == pytest.approx([1.5 * math.log(2)] * 2)
    assert likelihood.statistics(found) is None


@pytest.mark.parametrize("two", [False, True])
def test_as_the_formulas_say(two):
    logits, observer = RANDOM.normal(0, 3, (40, 17)), RANDOM.normal(0, 3, (40, 17))
    following = RANDOM.integers(0, 17, 40)
    found = likelihood.tokens(logits, following, observer if two else None)
    expected = slow(logits, following, observer if two else logits)
    for name in Tokens._fields:
        assert getattr(found, name) == pytest.approx(expected[name], abs=1e-9), name
    of = likelihood.statistics(found)
    total, mean, variance = (sum(expected[name]) for name in ("log_likelihood", "mean", "variance"))
    assert of.curvature == pytest.approx((total - mean) / math.sqrt(variance), abs=1e-4)
    assert of.binoculars == pytest.approx((-total / 40) / (-mean / 40), abs=1e-4)
    assert of.log_rank == pytest.approx(sum(map(math.log, expected["rank"])) / 40, abs=1e-4)


def test_curvature_is_a_z_score_of_sampled_texts():
    """Texts drawn from the model itself have curvature 0 and deviation 1, which is what the analytic form replaces sampling by."""
    logits = RANDOM.normal(0, 2, (60, 11))
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    drawn = np.stack([RANDOM.choice(11, 400, p=row) for row in p])
    values = [likelihood.statistics(likelihood.tokens(logits, drawn[:, i])).curvature for i in range(400)]
    assert abs(np.mean(values)) < 0.15 and np.std(values) == pytest.approx(1, abs=0.12)


def test_a_constant_changes_nothing_and_extremes_stay_finite():
    logits = np.array([[1000.0, 0.0, -1000.0]])
    assert likelihood.tokens(logits, np.array([1])).log_likelihood == pytest.approx([-1000])
    shifted = likelihood.tokens(HALVES + 7, np.array([0, 2]))
    assert shifted.mean == pytest.approx(likelihood.tokens(HALVES, np.array([0, 2])).mean)
    banned = likelihood.tokens(np.array([[0.0, 0.0, -np.inf]]), np.array([0]))
    assert banned.entropy == pytest.approx([math.log(2)]) and np.isfinite(banned.variance).all()


def test_nothing_can_be_said_of_no_token_or_of_an_impossible_one():
    assert likelihood.statistics(Tokens(*[np.zeros(0)] * 5)) is None
    assert likelihood.statistics(likelihood.tokens(np.array([[0.0, 0.0, -np.inf]]), np.array([2]))) is None


def test_shapes_that_disagree():
    with pytest.raises(ValueError, match="do not belong together"):
        likelihood.tokens(HALVES, np.array([0]))
    with pytest.raises(ValueError, match="do not belong together"):
        likelihood.tokens(HALVES, np.array([0, 1]), HALVES[:, :2])


def test_the_form_of_a_text():
    assert likelihood.form("\u201cWell\u201d \u2014 it\u2019s\n\n  so\u00a0long ") == '"Well" - it\'s so long'


def test_no_model_by_default():
    assert LanguageModel().model is None and not LanguageModel().download
