"""A manifest whose bytes are canonical and whose content is not a manifest's."""

import pytest

from provenance.identity import canonical_json
from store import manifest
from store.errors import CheckFailed


@pytest.mark.parametrize("content", [{"kinc": "run"}, {"kind": 7}, {"kind": None}, {}, []])
def test_a_manifest_that_does_not_say_what_it_describes_cannot_be_trusted(content: object) -> None:
    with pytest.raises(CheckFailed, match="cannot be trusted"):
        manifest.parse(canonical_json(content), "RUN/manifest.json")
