"""Loads what the kernels are lent: models and the calibration file, from the files that the packages ship."""

from importlib import resources
from typing import Any

from provenance import evidence, signals


def calibration() -> "evidence.Calibration":
    """The calibration file of this release."""
    return evidence.read_calibration(resources.files("provenance").joinpath("calibration.json").read_bytes())


def evidence_tools(models: bool = True) -> "signals.Tools":
    """What signals need; without `models` no statistical signal of the page stage can run."""
    return signals.Tools(calibration=calibration(), origin_model=_origin_model() if models else None)


def _origin_model() -> Any:
    import fasttext

    path = resources.files("provenance").joinpath("models", "origin.ftz")
    with resources.as_file(path) as file:
        return fasttext.load_model(str(file)) if file.exists() else None
