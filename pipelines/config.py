"""The configuration of each verb: frozen, strictly validated, made of the sections that stand beside their kernels.

A YAML file gives sections; `--section.key=value` on the command line goes over it. Unknown keys are errors.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin

import msgspec

from store import files
from store.errors import UsageError

T = TypeVar("T", bound=msgspec.Struct)


class Freeze(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What may enter a snapshot, and what of it counts as human."""

    minimum_words: Annotated[int, msgspec.Meta(description="below this many words a text is never eligible as human", ge=0)] = 50
    boilerplate_hosts: Annotated[
        int, msgspec.Meta(description="a text on this many hosts is boilerplate and counts as nobody's", ge=2)
    ] = 20
    origin: Annotated[
        Annotated[str, msgspec.Meta(pattern=r"^[^\s+]{1,200}$")] | None,
        msgspec.Meta(
            description="name of the log that checkpoints are signed for, such as example.org/snapshots/web; null takes the key's own name, "
            "which a PEM key does not have"
        ),
    ] = None


def sections(verb: str) -> dict[str, type[msgspec.Struct]]:
    """The configuration sections of a verb, by name."""
    if verb == "mix":
        from pipelines.mix import Mix

        return {"mix": Mix}
    if verb not in ("freeze", "curate"):
        return {}
    from provenance.extract import Extract
    from provenance.likelihood import LanguageModel
    from provenance.minhash import MinHash
    from provenance.signals.watermark import Watermark
    from provenance.similarity import Match
    from provenance.verdict import Verdict
    from store.reading import Read

    shared: dict[str, type[msgspec.Struct]] = {"read": Read, "extract": Extract, "minhash": MinHash, "verdict": Verdict}
    if verb == "freeze":
        return shared | {"freeze": Freeze}
    return shared | {"match": Match, "lm": LanguageModel, "watermark": Watermark}


def _parse_yaml(url: str) -> dict[str, Any]:
    import yaml

    try:
        data = yaml.safe_load(files.read_bytes(url))
    except OSError as error:
        raise UsageError(f"--config {url} is not there, or is no file ({error.strerror or error}). Name a YAML file.") from error
    except yaml.YAMLError as error:
        raise UsageError(f"--config {url} is not YAML: {error}.") from error
    if data is None:
        return {}
    if not isinstance(data, dict) or not all(isinstance(section, dict) for section in data.values()):
        raise UsageError(f"--config {url} must hold sections with keys, such as `minhash:` with `permutations: 128` below it.")
    return data


def resolve(verb: str, configs: Sequence[str], overrides: Sequence[tuple[str, str]]) -> dict[str, msgspec.Struct]:
    """The sections of a verb from its YAML files and the dotted overrides, in that order. Raises `UsageError`."""
    kinds = sections(verb)
    given: dict[str, dict[str, Any]] = {name: {} for name in kinds}
    for config in configs:
        for name, values in _parse_yaml(config).items():
            if name not in kinds:
                raise UsageError(
                    f"{config} has a section {name!r}, which {verb} does not know. Its sections are: {', '.join(kinds) or 'none'}."
                )
            given[name] |= values
    result: dict[str, msgspec.Struct] = {}
    dotted: dict[str, dict[str, str]] = {name: {} for name in kinds}
    for path, value in overrides:
        name, _, field = path.partition(".")
        if name not in kinds or field not in kinds[name].__struct_fields__:
            raise UsageError(f"--{path} is no configuration key of {verb}. They are: {', '.join(keys(kinds)) or 'none'}.")
        dotted[name][field] = value
    for name, kind in kinds.items():
        result[name] = _convert(kind, name, given[name], dotted[name])
    return result


def _convert(kind: type[T], name: str, values: Mapping[str, Any], texts: Mapping[str, str]) -> T:
    try:
        fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
        typed = {field: _typed(name, field, fields[field], text) for field, text in texts.items()}
        return msgspec.convert({**values, **typed}, kind)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        whole = _choices(str(error), kind)
        whole += " A whole object, such as a model, is a file of its own: --config FILE." if "got `str`" in str(error) else ""
        raise UsageError(
            f"section {name!r} of the configuration is wrong: {str(error).rstrip('.')}.{whole} See `lowbackground --help` and the README's table of keys."
        ) from error


def _choices(said: str, kind: type[msgspec.Struct]) -> str:
    """What a field takes, where an error says that it takes something else of a list."""
    named = re.search(r"at `\$\.(\w+)|^--\w+\.(\w+) ", said)
    if "Invalid enum value" not in said or named is None:
        return ""
    field = next(field for field in msgspec.structs.fields(kind) if field.name in named.groups())
    choices = ", ".join(_literals(field.type))
    return f" It takes: {choices}." if choices else ""


def _literals(kind: Any) -> list[str]:
    """The values of all `Literal` in a type."""
    inner = get_args(kind)
    return [str(value) for value in inner] if get_origin(kind) is Literal else [text for one in inner for text in _literals(one)]


def _typed(section: str, field: str, kind: Any, text: str) -> Any:
    try:
        return _from_text(kind, text)
    except (msgspec.ValidationError, msgspec.DecodeError) as error:
        raise ValueError(f"--{section}.{field} {text!r}: {error}") from error


def _from_text(kind: Any, text: str) -> Any:
    """A command-line value in the type of its field: JSON for lists and objects, else by msgspec's lax conversion."""
    if text in ("null", ""):
        return msgspec.convert(None, kind)
    if text[:1] in "[{":
        return msgspec.convert(msgspec.json.decode(text.encode()), kind)
    listed = get_origin(get_args(kind)[0] if get_origin(kind) is Annotated else kind) in (list, tuple)
    return msgspec.convert(text.split(",") if listed else text, kind, strict=False)


def keys(kinds: Mapping[str, type[msgspec.Struct]]) -> list[str]:
    """Dotted names of all keys of some sections."""
    return [f"{name}.{field}" for name, kind in kinds.items() for field in kind.__struct_fields__]


def plain(config: Mapping[str, msgspec.Struct]) -> dict[str, Any]:
    """The resolved configuration as JSON-able values, as it stands in manifests."""
    return {name: msgspec.to_builtins(section) for name, section in config.items()}


def portable(config: Mapping[str, msgspec.Struct]) -> dict[str, Any]:
    """The resolved configuration as it belongs into manifests and digests: what it names by a path stands there by its SHA-256.

    Raises `UsageError` where such a file cannot be read.
    """
    from store import reading

    return plain(
        {name: reading.portable(section) if isinstance(section, reading.Read) else section for name, section in config.items()}
    )


def restore(plain_sections: Mapping[str, Any], verb: str) -> dict[str, Any]:
    """The sections from their JSON-able form, as a worker receives them."""
    kinds = sections(verb)
    return {name: msgspec.convert(values, kinds[name]) for name, values in plain_sections.items() if name in kinds}
