"""Configuration: YAML, dotted overrides over it, and clear refusals."""

from pathlib import Path

import pytest

from pipelines import config
from store.errors import UsageError


def test_defaults_then_yaml_then_overrides(tmp_path: Path) -> None:
    path = tmp_path / "c.yaml"
    path.write_text("minhash:\n  permutations: 256\n  seed: 5\nmatch:\n  similarity: 0.8\n")
    made = config.plain(config.resolve("curate", [str(path)], [("minhash.seed", "9"), ("match.near", "keep")]))
    assert (made["minhash"]["permutations"], made["minhash"]["seed"], made["minhash"]["bands"]) == (256, 9, 25)
    assert made["match"]["near"] == "keep"
    assert made["match"]["similarity"] == "0.8"


@pytest.mark.parametrize("verb", ["freeze", "curate", "mix"])
def test_the_plain_form_restores_to_the_same(verb: str) -> None:
    made = config.resolve(verb, (), [])
    assert config.restore(config.plain(made), verb) == made


@pytest.mark.parametrize(
    ("overrides", "says"),
    [
        ([("minhash.sed", "1")], "minhash.seed"),
        ([("nonsense.seed", "1")], "no configuration key"),
        ([("minhash.seed", "many")], "minhash"),
        ([("minhash.bands", "64")], "minhash"),
        ([("match.similarity", "1.5")], "match"),
        ([("match.near", "away")], "It takes: drop, keep"),
        ([("read.preset", "nonsense")], "It takes: auto, fineweb, "),
    ],
)
def test_wrong_values_are_usage_errors_that_say_what(overrides: list[tuple[str, str]], says: str) -> None:
    with pytest.raises(UsageError, match=says):
        config.resolve("curate", (), overrides)


def test_a_file_with_a_wrong_choice_is_told_what_there_is(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("mix:\n  units: [bytes, pages]\n")
    with pytest.raises(UsageError, match=r"'pages'.*It takes: bytes, documents, tokens"):
        config.resolve("mix", [str(tmp_path / "c.yaml")], [])


@pytest.mark.parametrize("text", ["a: [", "minhash: 3", "unheard: {a: 1}", "minhash: {sed: 1}"])
def test_wrong_files_are_usage_errors(tmp_path: Path, text: str) -> None:
    path = tmp_path / "c.yaml"
    path.write_text(text)
    with pytest.raises(UsageError):
        config.resolve("curate", [str(path)], [])


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not there"):
        config.resolve("curate", [str(tmp_path / "none.yaml")], [])
