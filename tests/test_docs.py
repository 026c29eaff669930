"""The README covers the code, and shows no command that does not exist."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from pipelines import cli, config
from provenance import schema
from store.errors import LowbackgroundError
from tests import reference

ROOT = Path(__file__).resolve().parents[1]
TEXT = reference.README.read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))
VARIABLES = set(re.findall(r"^([A-Z_]+) :=", (ROOT / "Makefile").read_text(), re.M))


def names(folder: str, suffix: str) -> list[str]:
    """Names of the files in a folder that is a registry."""
    return sorted(path.stem for path in (ROOT / folder).glob(f"*{suffix}") if not path.stem.startswith("_"))


@pytest.mark.parametrize("name", reference.SECTIONS)
def test_the_table_is_up_to_date(name: str) -> None:
    assert reference.shown(TEXT, name) == reference.SECTIONS[name](), "run make docs"


@pytest.mark.parametrize(
    ("section", "expected"),
    [
        ("commands", list(cli.VERBS)),
        ("signals", names("provenance/signals", ".py")),
        ("extractors", names("provenance/extractors", ".py")),
        ("readers", [module.NAME for module in reference.members(reference.readers)]),
        ("shards", [module.NAME for module in reference.members(reference.shards)]),
        ("queries", names("store/queries", ".sql")),
        ("keys", [key for verb in cli.VERBS for key in config.keys(config.sections(verb))]),
        ("exit-codes", ["0", "3", *{str(kind.exit_code) for kind in [LowbackgroundError, *LowbackgroundError.__subclasses__()]}]),
        ("targets", [f"make {target}" for target in sorted(TARGETS)]),
        ("schemas", [name for kind, _ in reference.schemas().values() for name in kind.names]),
    ],
)
def test_everything_is_documented(section: str, expected: list[str]) -> None:
    assert expected
    assert [name for name in expected if f"`{name}`" not in reference.shown(TEXT, section)] == []


def test_every_dataset_has_its_table() -> None:
    shown = reference.shown(TEXT, "schemas")
    assert [name for name in schema.DATASETS if f"<summary>{name}</summary>" not in shown] == []


@pytest.mark.parametrize("name", reference.SECTIONS)
def test_no_cell_is_empty(name: str) -> None:
    """A key, field, option or module without its one-line meaning shows as an empty cell."""
    rows = [line for line in reference.SECTIONS[name]().splitlines() if line.startswith("| ")]
    assert [row for row in rows if re.search(r"\|\s*\|", row) and set(row) - set("| ")] == []


def blocks(text: str, *languages: str) -> Iterator[str]:
    """The content of the fenced blocks in some languages."""
    for language, body in re.findall(r"^```(\w*)\n(.*?)^```", text, re.M | re.S):
        if language in languages:
            yield body


def command_lines(text: str) -> list[str]:
    """Every command of ours in a text: whole lines of its shell blocks, and code spans in its prose."""
    lines = [line for body in blocks(text, "", "sh", "console") for line in body.replace("\\\n", " ").splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    spans = [span for span in re.findall(r"`([^`\n]+)`", prose) if span.startswith(("make ", "lowbackground "))]
    stripped = [line.strip().removeprefix("$ ").removeprefix(".venv/bin/") for line in [*lines, *spans]]
    return [line for line in stripped if line.startswith(("make", "lowbackground"))]


def complaint(line: str) -> str | None:
    """What is wrong with a command line, or None."""
    words = shlex.split(line, comments=True)
    words = words[: min((words.index(sign) for sign in ("|", ">", "&&", ";") if sign in words), default=len(words))]
    if words[0] == "make":
        unknown = [w for w in words[1:] if (w.split("=")[0] not in VARIABLES if "=" in w else w not in TARGETS)]
        return f"make knows no {unknown[0]}" if unknown else None
    if len(words) == 2 and words[1] in (*cli.VERBS, "VERB"):
        return None
    if words[1:] in (["--help"], ["VERB", "--help"]):
        return None
    try:
        arguments, job = cli.parse(words[1:])
        unknown = [key for key, _ in job.overrides if key not in config.keys(config.sections(arguments.verb))]
    except SystemExit as error:
        return None if error.code == 0 else "its arguments do not parse"
    except LowbackgroundError as error:
        return str(error)
    return f"{arguments.verb} knows no {unknown[0]}" if unknown else None


def test_the_readme_shows_commands() -> None:
    used = {line.split()[1] for line in command_lines(TEXT) if line.startswith("lowbackground ") and len(line.split()) > 1}
    assert used >= set(cli.VERBS)


@pytest.mark.parametrize("line", sorted(set(command_lines(TEXT))))
def test_the_command_exists(line: str) -> None:
    assert complaint(line) is None


@pytest.mark.parametrize(
    "line",
    [
        "make nothing",
        "make test NOTHING=1",
        "lowbackground thaw SNAPSHOT",
        "lowbackground curate SOURCE",
        "lowbackground mix RUN --snapshot SNAPSHOT --into MIX --ceiling 1",
        "lowbackground freeze SOURCE --into SNAPSHOT --cutoff 2022-01-01 --minhash.colour=2",
    ],
)
def test_a_wrong_command_is_seen(line: str) -> None:
    (found,) = command_lines(f"```sh\n{line}\n```")
    assert complaint(found)


@pytest.mark.parametrize("body", list(blocks(TEXT, "yaml")))
def test_the_configuration_is_valid(body: str) -> None:
    known = {f"{name}.{field}" for name, (kind, _) in reference.sections().items() for field in kind.__struct_fields__}
    given = {f"{name}.{field}" for name, fields in yaml.safe_load(body).items() for field in fields}
    assert given
    assert given <= known


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\]\((?!https?:|#)([^)#]+)", TEXT))))
def test_the_link_leads_somewhere(target: str) -> None:
    assert (ROOT / target).exists()
