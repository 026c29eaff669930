"""The settings of a mix: what contradicts itself is refused before anything is read."""

from typing import Any

import pytest

from provenance.mixture import Mix


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"weights": {"language=de": "0.5", "language=en": "1/2"}},
        {"strata": ("topic", "year"), "weights": {"topic=a=b": 0.25}},
        {"strata": ()},
        {"page_index": True, "content_defined_chunking": True},
        {"format": "tokens", "units": ("tokens",), "tokenizer": "t.json", "sequence_length": 64, "chunk_tokens": 16},
        {"units": ("tokens", "bytes"), "tokenizer": "t.json"},
    ],
)
def test_what_agrees_is_taken(options: dict[str, Any]) -> None:
    assert Mix(**options)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"weights": {"de": "0.5"}}, "write COLUMN=VALUE"),
        ({"weights": {"domain=example.org": "0.5"}}, "all of one column of strata"),
        ({"weights": {"language=de": "0.5", "year=2014": "0.1"}}, "all of one column of strata"),
        ({"strata": (), "weights": {"language=de": "0.5"}}, r"strata \(none\)"),
        ({"weights": {"language=de": "0.7", "language=en": 0.4}}, "add up to 11/10"),
        ({"weights": {"language=de": 0}}, "a share of 0"),
        ({"weights": {"language=de": "much"}}, "is no share"),
        ({"strata": ("language", "Language")}, "one column twice"),
        ({"temperature": float("inf")}, "is no number"),
        ({"temperature": float("nan")}, "is no number"),
        ({"where": " \n"}, "where is empty"),
        ({"format": "jsonl", "page_index": True}, "page_index is an option of format parquet"),
        ({"format": "mds", "content_defined_chunking": True}, "content_defined_chunking is an option of format parquet"),
        ({"sequence_length": 64}, "sequence_length is an option of format tokens"),
        ({"format": "jsonl", "chunk_tokens": 64}, "chunk_tokens is an option of format tokens"),
        ({"format": "tokens"}, "floor in tokens alone"),
        ({"format": "tokens", "units": ("tokens", "bytes"), "tokenizer": "t.json"}, "floor in tokens alone"),
    ],
)
def test_what_contradicts_itself_is_refused(options: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Mix(**options)
