"""Mixes for the readers of this folder, made by `mix` as everywhere; they are skipped where torch and its libraries are not installed."""

import pytest

from tests import mixes, vocabularies

SETTINGS = {"floor": "2/7", "units": ("documents", "bytes"), "chunk_bytes": 600, "seed": 3}


@pytest.fixture(scope="session")
def sources(tmp_path_factory):
    return mixes.standard(tmp_path_factory.mktemp("sources"))


@pytest.fixture(scope="session")
def made(tmp_path_factory, sources):
    """Makes a mix once for all tests that want the same."""
    known = {}
    packed = {
        "units": ("tokens",),
        "tokenizer": vocabularies.folder("byte_level", tmp_path_factory.mktemp("tokenizer")),
        "sequence_length": 128,
        "chunk_tokens": 300,
    }

    def one(form, count, **options):
        wanted = (form, count, *sorted(options.items()))
        if wanted not in known:
            # `datasets` keeps what it read by the folder's last name.
            folder = tmp_path_factory.mktemp("made") / f"formats-{form}-{len(known)}"
            chosen = SETTINGS | (packed if form == "tokens" else {}) | options
            known[wanted] = mixes.make(folder, sources[0], [sources[1]], format=form, shards=count, **chosen)
        return known[wanted]

    return one
