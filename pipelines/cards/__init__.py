"""The cards of a mix, generated from its manifest: a dataset card for people and the Hub, and its Croissant description for programs."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipelines.cards import croissant, dataset
from pipelines.cards.words import KEPT_OUT, headline

__all__ = ["KEPT_OUT", "headline", "written"]


def written(body: Mapping[str, Any], entries: Sequence[Mapping[str, Any]]) -> dict[str, bytes]:
    """The cards' bytes by path, from the manifest without `files` and `id`, and the entries (path, size, sha256) of the files so far."""
    return {dataset.PATH: dataset.written(body), croissant.PATH: croissant.written(body, entries)}
