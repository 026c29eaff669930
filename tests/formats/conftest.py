"""Mixes for the readers of this folder, made by `mix` as everywhere; they are skipped where torch and its libraries are not installed."""

import pytest

from tests import consumers, mixes


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    return mixes.standard(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def made(tmp_path_factory, sources):
    """Makes a mix once for all tests that want the same."""
    return consumers.maker(tmp_path_factory.mktemp, sources, "formats")
