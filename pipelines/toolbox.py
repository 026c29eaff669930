"""Loads what the kernels are lent: models and the calibration file, from the files that the packages ship."""

from importlib import resources
from typing import Any

from provenance import evidence, signals


def calibration() -> "evidence.Calibration":
    """The calibration file of this release."""
    return evidence.read_calibration(resources.files("provenance").joinpath("calibration.json").read_bytes())


def evidence_tools(models: bool = True) -> "signals.Tools":
    """What signals need; without `models` no statistical signal of the page stage can run."""
    return signals.Tools(calibration=calibration(), **(_models() if models else {}))


def _models() -> dict[str, Any]:
    """The shipped detectors of model text by their name in `Tools`; one whose file is missing is left out."""
    import fasttext

    from provenance import characters, style

    folder = resources.files("provenance").joinpath("models")
    read = {"character_model": ("characters.npz", characters.read), "stylometry": ("style.npz", style.read)}
    found: dict[str, Any] = {}
    for name, (file, reader) in read.items():
        path = folder.joinpath(file)
        if path.is_file():
            found[name] = reader(path.read_bytes())
    with resources.as_file(folder.joinpath("origin.ftz")) as path:
        if path.exists():
            found["origin_model"] = fasttext.load_model(str(path))
    return found
