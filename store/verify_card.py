"""Checks what a loader reads of a mix before its shards: the header of the card, and the distribution of its Croissant file.

Whatever else stands in the two is the maker's statement.
"""

from collections.abc import Mapping
from typing import Any

import yaml

from store.shards import HUMAN, Format
from store.verify_folder import strict_json
from store.verify_shard import Wrong

CARD = "README.md"
CROISSANT = "croissant.json"
KEYS = {
    "license", "license_name", "pretty_name", "language", "size_categories", "task_categories", "tags", "annotations_creators",
    "source_datasets", "configs", "dataset_info",
}  # fmt: skip
"""All that the header of a card may say. `viewer` and the like change what is loaded or shown, as `configs` and `dataset_info` do, which have
to be those of the format."""

MEANT = {"contentUrl", "distribution", "FileObject"}
"""Names by which readers of Croissant find files."""
WORDS = {"@context", "@type", "@id", "@value", "@language"}
"""Words of JSON-LD that move nothing to another place."""

LONGEST_HEADER = 1 << 16
DEEPEST = 8
FENCE = "---\n"


def check_card(data: bytes, form: Format, human_apart: bool) -> None:
    """Raises `ValueError` unless the card's header names the shards, and nothing else, to a loader."""
    text = data.decode()
    header, end, _ = text.removeprefix(FENCE).partition("\n---\n")
    if not text.startswith(FENCE) or not end or len(header) > LONGEST_HEADER:
        raise Wrong(f"it does not begin with a header of at most {LONGEST_HEADER:,} characters between two lines of three dashes")
    # Loaders cut the header out by other ideas of a line's end than a parser of YAML has.
    if odd := sorted({char for char in header if char != "\n" and not char.isprintable()}):
        raise Wrong(f"its header holds the character {odd[0]!r}, at which a loader might see another end of it")
    found = _plain(header)
    if not isinstance(found, dict) or (strange := sorted(found.keys() - KEYS)):
        named = f"the key {strange[0][:60]!r}" if isinstance(found, dict) else "no keys"
        raise Wrong(f"its header has {named}; one of a mix has {', '.join(sorted(KEYS))} only")
    if found.pop("configs", []) != (wanted := _configs(form, human_apart)):
        raise Wrong(f"its header does not have the configs {wanted or 'of none'}; a loader might take other files than the shards")
    # Without it loaders guess the types: they may fail, and are not misled.
    if found.pop("dataset_info", features := _features(form, human_apart)) != features:
        raise Wrong(
            "its header does not have the columns of its format as dataset_info; a loader might read others, or other types"
        )
    for key, value in found.items():
        if not isinstance(value, str) and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
            raise Wrong(f"{key} of its header is neither a text nor a list of texts")


def _configs(form: Format, human_apart: bool) -> list[Any]:
    roots = {"default": "", "human": HUMAN} if human_apart else {"default": ""}
    named = {name: form.pattern(root) for name, root in roots.items()}
    return [
        {"config_name": name, "data_files": [{"split": "train", "path": pattern}]} for name, pattern in named.items() if pattern
    ]


def _features(form: Format, human_apart: bool) -> list[Any]:
    features = form.features()
    names = ["default", *(["human"] if human_apart else [])]
    return [{"config_name": name, "features": features} for name in names] if features is not None and form.pattern() else []


def _plain(header: str) -> Any:
    """What one YAML document without anchors, aliases, tags, merge keys or repeated keys says; scalars as they would load."""
    loader = yaml.SafeLoader(header)
    try:
        depth = 0
        for event in yaml.parse(header, Loader=yaml.SafeLoader):
            depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
            if depth > DEEPEST:  # the parser's time grows with the square of the depth
                raise Wrong(f"its header has more than {DEEPEST} lists and mappings inside each other")
            marked = getattr(event, "anchor", None) is not None or getattr(event, "tag", None) is not None
            if marked or (isinstance(event, yaml.DocumentStartEvent | yaml.DocumentEndEvent) and event.explicit):
                raise Wrong("its header has an anchor, an alias, a tag or a mark of a document, by which loaders differ")
        return _value(loader, loader.get_single_node())
    except yaml.YAMLError as error:
        raise Wrong(f"its header is not one document of YAML: {str(error)[:200]}") from error
    finally:
        loader.dispose()


def _value(loader: yaml.SafeLoader, node: Any) -> Any:
    if isinstance(node, yaml.SequenceNode):
        return [_value(loader, item) for item in node.value]
    if not isinstance(node, yaml.MappingNode):
        return None if node is None else loader.construct_object(node)
    found: dict[str, Any] = {}
    for name, value in node.value:
        key = _value(loader, name)
        if name.tag != "tag:yaml.org,2002:str" or not isinstance(key, str):
            raise Wrong("a key of its header is no text")
        if key in found:
            raise Wrong(f"its header has the key {key[:60]!r} twice")
        found[key] = _value(loader, value)
    return found


def check_croissant(data: bytes, files: Mapping[str, tuple[str, int]]) -> None:
    """Raises `ValueError` unless the distribution of a Croissant file lists exactly `files`: by path, SHA-256 and size in bytes."""
    found = strict_json(data)
    distribution = found.pop("distribution", None) if isinstance(found, dict) else None
    if not isinstance(distribution, list) or not all(isinstance(entry, dict) for entry in distribution):
        raise Wrong("it has no list of files as its distribution")
    objects = [entry for entry in distribution if _short(entry.get("@type")) == "FileObject"]
    listed = {(entry.get("contentUrl"), entry.get("sha256"), entry.get("contentSize")) for entry in objects}
    if len(listed) < len(objects) or listed != {(path, digest, f"{size} B") for path, (digest, size) in files.items()}:
        raise Wrong(
            f"its distribution does not list the {len(files)} data files of the mix, each once with its sha256 and contentSize"
        )
    others = [entry for entry in distribution if _short(entry.get("@type")) != "FileObject"]
    twice = any(len({_short(name) for name in entry}) < len(entry) for entry in objects)
    names = {_short(name) for name in _names([found, others, [[*entry.values()] for entry in objects]])}
    _check_context(found.get("@context", {}))
    if twice:
        raise Wrong("a FileObject of its distribution has one field twice, by two names for it")
    if odd := sorted(names & MEANT | {name for name in names if name.startswith("@")} - WORDS):
        raise Wrong(f"it has {odd[0]} elsewhere than in the FileObjects of its distribution, where a reader could find other files")


def _check_context(context: Any) -> None:
    """Raises `Wrong` unless a context gives each name the meaning that ends in the name itself, or is a prefix that no part of a name can
    follow: so what lists files has one spelling."""
    if not isinstance(context, dict):
        raise Wrong("its context is none that stands in it, or gives another name to what lists files")
    for name, of in context.items():
        meant = of.get("@id", name) if isinstance(of, dict) else of
        known = isinstance(meant, str) and (_short(meant) == name or name == "@language" or meant.endswith(("/", "#")))
        # Some readers take any name for a prefix: `File` would make a FileObject of `File:Object`.
        part = any(word.startswith(name) and word != name for word in MEANT)
        if not known or part or (isinstance(of, dict) and of.keys() - {"@id", "@type", "@container"}) or name == "@base":
            raise Wrong("its context is none that stands in it, or gives another name to what lists files")


def _short(name: Any) -> str:
    """The last part of a name of JSON-LD: `FileObject` of `cr:FileObject` and of its full address."""
    return str(name).replace("#", "/").replace(":", "/").rpartition("/")[2]


def _names(value: Any) -> list[str]:
    """Short names of all keys, at any depth, but those that the context defines."""
    found, waiting = [], [value]
    while waiting:
        one = waiting.pop()
        if isinstance(one, dict):
            found += [_short(name) for name in one]
            waiting += [item for name, item in one.items() if name != "@context"]
        elif isinstance(one, list):
            waiting += one
    return found
