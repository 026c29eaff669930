"""Watermarks of a tiny random model: text that was made with a key is found by that key and by no other, and other text is not.

`make test-lm` runs them in an environment with torch.
"""

import importlib.util

import msgspec
import pytest

from pipelines import config, watermarks
from provenance import signals
from provenance.calibration import Calibration
from provenance.signals import watermark
from provenance.signals.watermark import Kirchenbauer, SynthID, Watermark
from store.errors import UsageError
from tests.lm import tiny
from tests.provenance.signals.test_watermark import batch

needs_torch = pytest.mark.skipif(importlib.util.find_spec("torch") is None, reason="torch is not installed; make test-lm")
VOCABULARY = 400
KEYS = (654, 400, 836, 123, 340, 443, 597, 160, 57, 29)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return tiny(tmp_path_factory.mktemp("watermarks") / "model", 4, vocabulary=VOCABULARY - 1)


def text(model, settings=None, seed=1):
    """220 tokens sampled by the model, with a watermark or without."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    torch.manual_seed(seed)
    made = AutoModelForCausalLM.from_pretrained(model).eval()
    made.generation_config.eos_token_id = None
    ids = torch.tensor([[1, 2, 3, 4, 5]])
    out = made.generate(
        ids, attention_mask=torch.ones_like(ids), do_sample=True, temperature=3.0, top_k=0, max_new_tokens=220, pad_token_id=0,
        watermarking_config=settings,
    )  # fmt: skip
    return AutoTokenizer.from_pretrained(model).decode(out[0, 5:])


def found(key, *texts, documents=1000):
    tools = signals.Tools(calibration=Calibration(), watermark=watermarks.Detectors(Watermark(keys=(key,)), documents))
    return {row["key"]: row["value"] for row in watermark.watermark(batch(*texts), tools).to_pylist()}


@needs_torch
@pytest.mark.parametrize("scheme", ["lefthash", "selfhash"])
def test_a_green_list_is_found_with_its_key_only(model, scheme):
    from transformers import WatermarkingConfig

    settings = WatermarkingConfig(bias=6.0, greenlist_ratio=0.25, hashing_key=7919, seeding_scheme=scheme, context_width=1)
    key = Kirchenbauer(name="a", tokenizer=str(model), vocabulary=VOCABULARY, hashing_key=7919, seeding_scheme=scheme)
    marked, plain = text(model, settings), text(model)
    assert set(found(key, marked, plain)) == {"0"} and found(key, marked, plain)["0"] > 3
    assert found(msgspec.structs.replace(key, hashing_key=104729), marked, plain) == {}


@needs_torch
def test_a_tournament_is_found_with_its_keys_only(model):
    from transformers import SynthIDTextWatermarkingConfig

    settings = SynthIDTextWatermarkingConfig(keys=list(KEYS), ngram_len=5)
    key = SynthID(name="b", tokenizer=str(model), keys=KEYS)
    marked, plain = text(model, settings), text(model)
    assert set(found(key, marked, plain)) == {"0"} and found(key, marked, plain)["0"] > 3
    assert found(msgspec.structs.replace(key, keys=tuple(key + 1 for key in KEYS)), marked, plain) == {}


@needs_torch
def test_a_short_text_is_not_tested(model):
    key = SynthID(name="b", tokenizer=str(model / "tokenizer.json"), keys=KEYS)
    assert found(key, "w1 w2 w3", "") == {}


def test_the_configuration_and_what_the_manifest_keeps_of_it(tmp_path):
    (tmp_path / "tokenizer.json").write_text("{}")
    key = {"scheme": "synthid", "name": "b", "tokenizer": str(tmp_path), "keys": [1234567, 7654321]}
    given = config.resolve("curate", [], [("watermark.keys", msgspec.json.encode([key]).decode())])["watermark"]
    assert given.keys == (SynthID(name="b", tokenizer=str(tmp_path), keys=(1234567, 7654321)),)
    told = msgspec.json.encode(watermarks.portable(given))
    assert b"1234567" not in told and str(tmp_path).encode() not in told
    assert watermarks.portable(given) != watermarks.portable(Watermark(keys=(msgspec.structs.replace(given.keys[0], keys=(1,)),)))
    with pytest.raises(UsageError, match="section 'watermark'"):
        config.resolve("curate", [], [("watermark.keys", '[{"scheme": "none"}]')])


def test_what_is_missing_is_named(tmp_path, monkeypatch):
    key = SynthID(name="b", tokenizer=str(tmp_path / "nothing"), keys=(1,))
    with pytest.raises(UsageError, match="is not there"):
        watermarks.portable(Watermark(keys=(key,)))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'lowbackground\[lm\]'"):
        watermarks.check(Watermark(keys=(key,)))
    watermarks.check(Watermark())
