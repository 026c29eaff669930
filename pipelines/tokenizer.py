"""Named tokenizers: what of one travels with a mix, and what counts and encodes texts. No text can become a special token."""

import json
import os
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from provenance.identity import canonical_json
from store import files
from store.errors import UsageError

HUB_NAME = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?", re.ASCII)
FETCHED = ("*.json", "*.model", "*.txt", "*.tiktoken")
"""Files of a hub's repository that may belong to a tokenizer."""

_TODO = "Name a tokenizer.json, a folder of transformers that has one, or a name on the Hugging Face hub."


def load(name: str, packing: bool = False) -> bytes:
    """What travels with a mix as `proof/tokenizer.bin`, of a tokenizer.json, a folder of transformers or a name on its hub.

    Canonical JSON: `tokenizer`, the text of a tokenizer.json without truncation and padding; the ids `boundary` (bos, else eos, cls
    or sep), `end` (eos, else the boundary) and `pad` (pad, else the end), null where no token is declared as such; and `specials`, the
    ids that no text may become: all special tokens but the one for what is not in the vocabulary. A tokenizer.json by itself declares
    none of the first three. What is in the hub's local cache is not fetched again.

    Raises `UsageError` where there is none, and with `packing` where no token could begin a row.
    """
    config = os.path.join(name, "tokenizer_config.json")
    if os.path.isdir(name) and not os.path.exists(config) and os.path.exists(os.path.join(name, "tokenizer.json")):
        made = _described(_parsed(name, _read(os.path.join(name, "tokenizer.json"))), {})
    elif os.path.isdir(name):
        made = _declared(name, name)
    elif HUB_NAME.fullmatch(name) and not name.endswith(".json") and not files.exists(name):
        made = _declared(name, _fetched(name))
    else:
        made = _described(_parsed(name, _read(name)), {})
    if packing and made["boundary"] is None:
        raise UsageError(
            f"tokenizer {name} declares no bos, eos, cls or sep token, and each row of packed tokens begins with one. Name a folder whose "
            "tokenizer_config.json declares one, or choose a format of texts."
        )
    return canonical_json(made)


def _read(url: str) -> str:
    try:
        return files.read_bytes(url).decode()
    except (OSError, ValueError) as error:
        raise UsageError(f"tokenizer {url} cannot be read ({error}); tokens could not be counted. {_TODO}") from error


def _parsed(name: str, text: str) -> Any:
    """The `tokenizers` object of a tokenizer.json."""
    import tokenizers

    try:
        return tokenizers.Tokenizer.from_str(text)
    except Exception as error:  # the library raises bare exceptions; SystemExit and KeyboardInterrupt pass
        raise UsageError(f"tokenizer {name} is no tokenizer.json ({error}); tokens could not be counted. {_TODO}") from error


def _fetched(name: str) -> str:
    """The local folder of a repository of the hub, from its cache or the network."""
    from huggingface_hub import snapshot_download

    try:
        cached = str(snapshot_download(name, local_files_only=True, allow_patterns=list(FETCHED)))
        if any(os.path.exists(os.path.join(cached, file)) for file in ("tokenizer.json", "tokenizer_config.json")):
            return cached
    except (OSError, ValueError):
        pass  # not in the cache: it is asked for below
    try:
        return str(snapshot_download(name, etag_timeout=10, allow_patterns=list(FETCHED)))
    except Exception as error:  # the hub's client raises many kinds; SystemExit and KeyboardInterrupt pass
        said = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise UsageError(
            f"tokenizer {name} is no file or folder here and not in the local cache of the Hugging Face hub, and the hub did not give it "
            f"({said}); tokens could not be counted. {_TODO}"
        ) from error


def _declared(name: str, folder: str) -> dict[str, Any]:
    """The tokenizer of a folder with what its configuration declares."""
    # Else it says on standard error that there is no PyTorch, which no tokenizer needs.
    os.environ.setdefault("TRANSFORMERS_NO_ADVISORY_WARNINGS", "1")
    from transformers import AutoTokenizer

    try:
        made: Any = AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)
    except Exception as error:  # it raises whatever the file at fault makes it raise; SystemExit and KeyboardInterrupt pass
        raise UsageError(
            f"tokenizer {name} is none that transformers can load ({type(error).__name__}: {error}); tokens could not be counted. {_TODO}"
        ) from error
    if not made.is_fast:
        raise UsageError(
            f"tokenizer {name} has no backend of the tokenizers library, and what it gives could not be verified from one file. Convert it "
            "with transformers, or name another."
        )
    kinds = ("bos", "eos", "cls", "sep", "pad", "unk", "mask")
    ids: dict[str, Any] = {kind: getattr(made, f"{kind}_token_id", None) for kind in kinds}
    ids["all"] = [*made.all_special_ids, *(id_ for id_, token in made.added_tokens_decoder.items() if token.special)]
    return _described(made.backend_tokenizer, ids)


def _described(made: Any, ids: dict[str, Any]) -> dict[str, Any]:
    """What `load` gives, of a `tokenizers` object and the ids declared: `bos`, `eos` ..., and all special ones as `all`."""
    plain = json.loads(made.to_str())
    named = [ids[kind] for kind in ("bos", "eos", "cls", "sep") if ids.get(kind) is not None]
    boundary = named[0] if named else None
    end = ids["eos"] if ids.get("eos") is not None else boundary
    unknown = {_unknown(plain["model"], made), ids.get("unk")} - {*named, ids.get("mask")}
    pad = ids["pad"] if ids.get("pad") is not None and ids["pad"] not in unknown else end
    specials = {token["id"] for token in plain["added_tokens"] if token["special"]} | {*ids.get("all", ()), boundary, end, pad}
    specials -= {None, *unknown}
    for token in plain["added_tokens"]:
        # Only a token that is marked as special is found in no text.
        token["special"] = token["special"] or token["id"] in specials
    plain |= {"truncation": None, "padding": None}
    if plain["model"].get("dropout"):
        plain["model"]["dropout"] = None  # that is for training a model: a text has to have the same tokens each time
    text = json.dumps(plain, ensure_ascii=False)
    return {"tokenizer": text, "boundary": boundary, "end": end, "pad": pad, "specials": sorted(specials)}


def _unknown(model: dict[str, Any], made: Any) -> int | None:
    """Id of the token that stands for what a model's vocabulary lacks."""
    if model.get("unk_id") is not None:
        return int(model["unk_id"])
    found: int | None = made.token_to_id(model["unk_token"]) if model.get("unk_token") else None
    return found


class Tokenizer:
    """Counts and encodes texts by a file that `load` gave.

    Names of special tokens in a text are text. Where the vocabulary itself knows such a name as a piece of text (Unigram does),
    those ids are left out, so that none of `specials` is ever given.
    """

    def __init__(self, data: bytes):
        import tokenizers

        stated = json.loads(data)
        self._tokenizer = tokenizers.Tokenizer.from_str(stated["tokenizer"])
        self._tokenizer.encode_special_tokens = True
        self.boundary, self.end, self.pad = (stated[name] for name in ("boundary", "end", "pad"))
        self._specials = np.array(stated["specials"], np.int32)

    def encode(self, texts: Iterable[str]) -> Iterable[np.ndarray]:
        """Ids of each text (int32), without special tokens, one text at a time."""
        for text in texts:
            # A batch of one needs no offsets, which cost a third, and no threads beside those of the stage's workers.
            ids = np.array(self._tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids, np.int32)
            reserved = np.isin(ids, self._specials)
            yield ids[~reserved] if reserved.any() else ids

    def count(self, texts: Iterable[str]) -> list[int]:
        """Tokens of each text."""
        return [len(ids) for ids in self.encode(texts)]

    def decode(self, ids: Sequence[int] | np.ndarray) -> str:
        """The text of some ids as the tokenizer's own decoder gives it, special tokens by their names."""
        found: str = self._tokenizer.decode(ids.tolist() if isinstance(ids, np.ndarray) else list(ids), skip_special_tokens=False)
        return found
