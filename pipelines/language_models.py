"""Loads causal language models through transformers and reads texts with them: the arithmetic of `provenance.likelihood` on a GPU or CPU.

A folder is read as it lies there. A name of the Hugging Face hub is looked up in its local cache, and fetched only with
`lm.download`. Code that a model brings along is never run.

The same texts in the same order give the same values: batches are made of what is given and of nothing else, texts of one
length beside each other, padded at their end, which no earlier token sees.
"""

import contextlib
import functools
import importlib.util
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from provenance import likelihood
from provenance.identity import digest
from provenance.likelihood import LanguageModel, Statistics, Tokens
from store import files
from store.errors import UsageError

TOKENIZERS = ("merges.txt", "spiece.model", "tokenizer.json", "tokenizer.model", "tokenizer_config.json", "vocab.json")
WEIGHTS = ("*.safetensors", "pytorch_model*.bin")
"""Names of weight files, best first: the first of them that a folder has is what transformers loads."""
FETCHED = ("*.json", "*.safetensors", "*.txt", "*.model")
"""What is fetched of a model of the hub that is not in GGUF; its code and other formats of its weights stay there."""
CHARACTERS = 20
"""Characters read for each token asked for: more than any text of words has, so that none is cut short."""
ROWS = 16
"""Rows of logits that are worked on at a time: what a processor's cache holds."""


class Place(msgspec.Struct, frozen=True):
    """Where one model lies: its folder and, for GGUF, the file."""

    folder: str
    gguf_file: str | None = None

    @property
    def arguments(self) -> dict[str, Any]:
        """Keywords for `from_pretrained`, with which it asks no network."""
        return {"local_files_only": True} | ({"gguf_file": self.gguf_file} if self.gguf_file else {})

    def weights(self) -> list[str]:
        """Paths of the weight files, by name. Raises `UsageError` where there are none."""
        patterns = (self.gguf_file,) if self.gguf_file else WEIGHTS
        found = next((sorted(Path(self.folder).glob(pattern)) for pattern in patterns if any(Path(self.folder).glob(pattern))), [])
        if not found:
            raise UsageError(
                f"{self.folder} holds no {self.gguf_file or 'weights (' + ', '.join(WEIGHTS) + ')'}; nothing could be read with it. Name the folder "
                "of a causal language model and, if its weights are GGUF, the file with --lm.gguf_file."
            )
        return [str(path) for path in found]

    def tokenizer(self) -> list[str]:
        """Paths of the tokenizer's files, by name; none for GGUF, which holds its tokenizer."""
        if self.gguf_file:
            return []
        return [str(path) for name in TOKENIZERS if (path := Path(self.folder) / name).exists()]


class Located(msgspec.Struct, frozen=True):
    """The models that a configuration names, with the SHA-256 of their weight files and the identity of their readings."""

    performer: Place
    observer: Place | None
    identity: str
    weights: dict[str, list[str]]


def locate(options: LanguageModel) -> Located:
    """Finds and hashes the models and tries their tokenizers, before any work is done. Raises `UsageError` for what is missing."""
    _require_installed(options)
    performer = _place("lm.model", options.model or "", options.gguf_file, options)
    observer = _place("lm.observer", options.observer, options.observer_gguf_file, options) if options.observer else None
    tokenizer = _tokenizer("lm.model", performer)
    if observer and _tokenizer("lm.observer", observer).get_vocab() != tokenizer.get_vocab():
        raise UsageError(
            "lm.model and lm.observer have different vocabularies; one's expectation of a token cannot be held against the other's. "
            "Name two models of one family, such as a base model and the one that was instructed from it."
        )
    weights = {
        name: [files.file_digest(path)[0] for path in [*place.weights(), *place.tokenizer()]]
        for name, place in (("model", performer), ("observer", observer))
        if place
    }
    return Located(performer, observer, identity(options, weights), weights)


def identity(options: LanguageModel, weights: dict[str, list[str]]) -> str:
    """Digest of all that readings of one model are a matter of, by which a calibration knows them: the SHA-256 of the files of weights and tokenizer, how
    many tokens are read in which precision, and the version of the statistics."""
    return digest({"weights": weights, "tokens": options.tokens, "dtype": options.dtype, "statistics": likelihood.VERSION})


def portable(options: LanguageModel, located: Located | None) -> LanguageModel:
    """The options as they belong into a manifest: models by the digest of their weights and not by where they lie."""
    if located is None:
        return options
    names = {name: f"sha256:{digests[0] if len(digests) == 1 else digest(digests)}" for name, digests in located.weights.items()}
    # Where a model comes from and how it is fetched is no matter of the readings.
    return msgspec.structs.replace(
        options, model=names["model"], observer=names.get("observer"), gguf_file=None, observer_gguf_file=None, download=False
    )


def _require_installed(options: LanguageModel) -> None:
    needed = ["torch", "transformers", *(["gguf", "accelerate"] if options.gguf_file or options.observer_gguf_file else [])]
    missing = [name for name in needed if importlib.util.find_spec(name) is None]
    if missing:
        raise UsageError(
            f"lm.model is set, but {', '.join(missing)} is not installed; no language model can be read. "
            "pip install 'lowbackground[lm]', or leave lm.model out."
        )


def _place(key: str, name: str, gguf_file: str | None, options: LanguageModel) -> Place:
    """The folder of a model. Raises `UsageError` where it is not here and may not or cannot be fetched."""
    place = Place(name, gguf_file) if Path(name).is_dir() else Place(_cached(key, name, gguf_file, options.download), gguf_file)
    place.weights()
    return place


def _cached(key: str, name: str, gguf_file: str | None, download: bool) -> str:
    from huggingface_hub import snapshot_download

    patterns = [*FETCHED, gguf_file] if gguf_file else list(FETCHED)
    if gguf_file:
        patterns.remove("*.safetensors")
    try:
        return str(snapshot_download(name, local_files_only=not download, allow_patterns=patterns))
    except Exception as error:  # the hub's client raises many kinds; SystemExit and KeyboardInterrupt pass
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        if download:
            raise UsageError(f"--{key} {name} is no folder here, and the hub did not give it: {said}") from error
        raise UsageError(
            f"--{key} {name} is no folder here and no model in the local cache of the Hugging Face hub ({said}). Name a folder, or let it be "
            "fetched with --lm.download=true."
        ) from error


def _tokenizer(key: str, place: Place) -> Any:
    """The model's own tokenizer. Raises `UsageError` where there is none that loads."""
    from transformers import AutoTokenizer

    try:
        return AutoTokenizer.from_pretrained(place.folder, **place.arguments)
    except Exception as error:  # it raises whatever the file at fault makes it raise; SystemExit and KeyboardInterrupt pass
        raise UsageError(
            f"--{key} {place.folder} has no tokenizer that transformers can load ({type(error).__name__}: {error}); no text could be given to the "
            "model. Put its tokenizer.json and tokenizer_config.json there, or name a GGUF file, which holds one."
        ) from error


def load(options: LanguageModel, located: Located) -> "Reader":
    """The models, ready to read. Raises `UsageError` where they do not load."""
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()
    torch.set_num_threads(options.threads)
    device = ("cuda" if torch.cuda.is_available() else "cpu") if options.device == "auto" else options.device
    performer = _model("lm.model", located.performer, options.dtype, device)
    observer = _model("lm.observer", located.observer, options.dtype, device) if located.observer else None
    return Reader(options, _tokenizer("lm.model", located.performer), performer, observer, located.identity)


def _model(key: str, place: Place, dtype: str, device: str) -> Any:
    import torch
    from transformers import AutoModelForCausalLM

    try:
        with contextlib.redirect_stderr(io.StringIO()):  # the bar over the tensors of a GGUF file cannot be turned off
            model = AutoModelForCausalLM.from_pretrained(place.folder, dtype=getattr(torch, dtype), **place.arguments)
        return getattr(model, "to")(device).eval()  # noqa: B009 - the stubs of transformers miss what `to` takes
    except (
        Exception
    ) as error:  # transformers and torch raise whatever the file or device at fault makes them raise; SystemExit passes
        raise UsageError(
            f"--{key} {place.folder} is no causal language model that loads on {device} ({type(error).__name__}: {error}). Name another, or "
            "another --lm.device."
        ) from error


class Lazy:
    """A reader that is loaded when it is first given a text: most parts of a crawl may leave nothing open."""

    def __init__(self, options: LanguageModel, located: Located):
        self.identity = located.identity
        self._load: Callable[[], Reader] = functools.cache(lambda: load(options, located))

    def statistics(self, texts: Sequence[str]) -> list[Statistics | None]:
        """As `Reader.statistics`."""
        return self._load().statistics(texts) if texts else []


class Reader:
    """One or two loaded models. `observer` may be None; `identity` is what a calibration knows the readings by."""

    def __init__(self, options: LanguageModel, tokenizer: Any, performer: Any, observer: Any, identity: str):
        self.options, self.identity = options, identity
        self._tokenizer, self._performer, self._observer = tokenizer, performer, observer

    def statistics(self, texts: Sequence[str]) -> list[Statistics | None]:
        """The statistics of each text; None for a text of which nothing can be said."""
        import torch

        ids = self.encode(texts)
        order = sorted((i for i, found in enumerate(ids) if len(found) > 1), key=lambda i: (-len(ids[i]), i))
        result: list[Statistics | None] = [None] * len(ids)
        for start in range(0, len(order), self.options.batch):
            chosen = order[start : start + self.options.batch]
            try:
                read = self._read([ids[i] for i in chosen])
            except torch.OutOfMemoryError as error:
                raise UsageError(
                    f"the device has no room for {len(chosen)} texts of {len(ids[chosen[0]])} tokens at once. Take a smaller --lm.batch."
                ) from error
            for i, found in zip(chosen, read, strict=True):
                result[i] = likelihood.statistics(found)
        return result

    def encode(self, texts: Sequence[str]) -> list[list[int]]:
        """Token numbers of each text as the model reads it, with the special tokens that its tokenizer puts in front."""
        if not texts:
            return []
        cut = [likelihood.form(text[: 2 * CHARACTERS * self.options.tokens])[: CHARACTERS * self.options.tokens] for text in texts]
        encoded = self._tokenizer(cut, return_attention_mask=False, return_token_type_ids=False)["input_ids"]
        return [list(found[: self.options.tokens]) for found in encoded]

    def _read(self, ids: Sequence[Sequence[int]]) -> list[Tokens]:
        """What the models say of each token of some texts, read as one batch."""
        import torch

        longest = max(len(found) for found in ids)
        device = self._performer.device
        padded = torch.tensor([[*found, *[0] * (longest - len(found))] for found in ids], device=device)
        mask = torch.tensor([[1] * len(found) + [0] * (longest - len(found)) for found in ids], device=device)
        with torch.inference_mode():
            logits = self._performer(input_ids=padded, attention_mask=mask, use_cache=False).logits
            observed = self._observer(input_ids=padded, attention_mask=mask, use_cache=False).logits if self._observer else None
            return [
                tokens(
                    logits[i, : len(found) - 1],
                    padded[i, 1 : len(found)],
                    None if observed is None else observed[i, : len(found) - 1],
                )
                for i, found in enumerate(ids)
            ]


def tokens(logits: Any, following: Any, observer: Any = None) -> Tokens:
    """`likelihood.tokens` in torch, in single precision and on the tensors' device, a few rows at a time."""
    import torch

    parts: list[Any] = []
    for start in range(0, len(logits), ROWS):
        rows = slice(start, start + ROWS)
        scored = torch.log_softmax(logits[rows].float(), dim=1)
        found = scored.gather(1, following[rows, None])
        rank = (scored > found).sum(dim=1) + 1
        performed = scored.exp()
        expected = performed if observer is None else torch.softmax(observer[rows].float(), dim=1)
        finite = scored.clamp(min=torch.finfo(torch.float32).min)  # what has no probability adds nothing
        weighed = expected * finite
        mean = weighed.sum(dim=1)
        entropy = -(mean if observer is None else torch.linalg.vecdot(performed, finite))
        variance = (torch.linalg.vecdot(weighed, finite) - mean * mean).clamp(min=0)
        parts.append(torch.stack([found[:, 0], rank.float(), entropy, mean, variance]))
    wide = torch.cat(parts, dim=1).cpu().numpy().astype(np.float64)
    return Tokens(*wide)
