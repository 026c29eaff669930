"""Watermark keys that the user has, looked for with transformers' own hashing."""

import hashlib
import importlib.util
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec

from provenance.identity import digest
from provenance.signals.watermark import Kirchenbauer, SynthID, Trials, Watermark
from store.errors import UsageError

FIRST, LAST = 10.0, 1.0
"""Weights of SynthID's first and last layer, linear between them: later layers say less (Dathathri et al. 2024, weighted mean)."""


def portable(options: Watermark) -> dict[str, Any]:
    """The section as it belongs into a manifest: keys are secrets and stand there by their digest."""
    plain: dict[str, Any] = msgspec.to_builtins(options)
    named = [{**key, "tokenizer": _content(Path(key["tokenizer"]))} for key in plain["keys"]]
    return {**plain, "keys": [f"sha256:{digest(key)}" for key in named]}


def _content(path: Path) -> str:
    """SHA-256 of a tokenizer's file. Raises `UsageError` where there is none."""
    file = path / "tokenizer.json" if path.is_dir() else path
    if not file.is_file():
        raise UsageError(
            f"watermark tokenizer {path} is not there; no text could be cut into the tokens that were marked. Name the folder or the "
            "tokenizer.json of the model whose watermark it is."
        )
    return hashlib.sha256(file.read_bytes()).hexdigest()


def check(options: Watermark) -> None:
    """Tells what is missing before any work is done. Raises `UsageError`."""
    if options.keys and importlib.util.find_spec("torch") is None:
        raise UsageError(
            "watermark.keys is set, but torch is not installed; no watermark can be looked for. pip install 'lowbackground[lm]', or leave "
            "watermark.keys out."
        )
    portable(options)


class Detectors:
    """The keys of a configuration, loaded when they are first given a text. `documents` is the number of a run's documents."""

    def __init__(self, options: Watermark, documents: int):
        self.documents, self.keys = max(documents, 1), len(options.keys)
        self._options = options
        self._loaded: list[Any] | None = None

    def trials(self, texts: Sequence[str]) -> list[list[Trials]]:
        """For each text the trials of each key; a text with too few tokens for a key has none of it."""
        if self._loaded is None:
            self._loaded = [_loaded(key) for key in self._options.keys]
        return [[one for key in self._loaded if (one := key.trials(text, self._options.tokens)) is not None] for text in texts]


def _loaded(key: Kirchenbauer | SynthID) -> Any:
    from transformers import PreTrainedTokenizerFast

    path = Path(key.tokenizer)
    file = path / "tokenizer.json" if path.is_dir() else path
    try:
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(file))
    except Exception as error:  # the library raises bare exceptions; SystemExit and KeyboardInterrupt pass
        raise UsageError(f"watermark tokenizer {file} is no tokenizer.json ({error}). Name such a file.") from error
    return _Green(key, tokenizer) if isinstance(key, Kirchenbauer) else _Tournament(key, tokenizer)


def _ids(tokenizer: Any, text: str, tokens: int) -> Any:
    import torch

    return torch.tensor([tokenizer(text, add_special_tokens=False)["input_ids"][:tokens]], dtype=torch.long)


class _Green:
    """Counts tokens of the keyed share of the vocabulary, each n-gram once."""

    def __init__(self, key: Kirchenbauer, tokenizer: Any):
        from transformers import WatermarkDetector

        self._key, self._tokenizer = key, tokenizer
        config: Any = SimpleNamespace(vocab_size=key.vocabulary, bos_token_id=-1, is_encoder_decoder=False)
        settings = {
            "greenlist_ratio": key.greenlist_ratio,
            "bias": 0.0,
            "hashing_key": key.hashing_key,
            "seeding_scheme": key.seeding_scheme,
            "context_width": key.context_width,
        }
        self._detector = WatermarkDetector(config, "cpu", settings, ignore_repeated_ngrams=True)

    def trials(self, text: str, tokens: int) -> Trials | None:
        ids = _ids(self._tokenizer, text, tokens)
        if ids.shape[1] <= self._key.context_width:
            return None
        found: Any = self._detector(ids, return_dict=True)
        share = int(self._key.vocabulary * self._key.greenlist_ratio) / self._key.vocabulary
        return Trials(self._key.name, (int(found.num_green_tokens[0]),), int(found.num_tokens_scored[0]), share, (1.0,))


class _Tournament:
    """Counts the keyed bits of each layer, each context once."""

    def __init__(self, key: SynthID, tokenizer: Any):
        from transformers import SynthIDTextWatermarkLogitsProcessor

        self._key, self._tokenizer = key, tokenizer
        self._processor = SynthIDTextWatermarkLogitsProcessor(
            ngram_len=key.ngram_len,
            keys=list(key.keys),
            sampling_table_size=key.sampling_table_size,
            sampling_table_seed=key.sampling_table_seed,
            context_history_size=key.context_history_size,
            device="cpu",  # type: ignore[arg-type]
        )

    def trials(self, text: str, tokens: int) -> Trials | None:
        ids = _ids(self._tokenizer, text, tokens)
        if ids.shape[1] < self._key.ngram_len:
            return None
        bits = self._processor.compute_g_values(ids)[0]
        counted = self._processor.compute_context_repetition_mask(ids)[0].bool()
        hits = bits[counted].sum(dim=0).tolist()
        depth = len(self._key.keys)
        weights = tuple(FIRST + (LAST - FIRST) * i / max(depth - 1, 1) for i in range(depth))
        chance = float(self._processor.sampling_table.double().mean())
        return Trials(self._key.name, tuple(int(hit) for hit in hits), int(counted.sum()), chance, weights)
