"""The README's reference tables, made from the code that they describe.

`python -m tests.reference` says which tables are out of date; `--write` rewrites them. A table stands between
`<!-- reference:NAME -->` and `<!-- /reference:NAME -->`.
"""

import argparse
import importlib
import pkgutil
import re
import sys
import typing
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType

import msgspec
import pyarrow as pa

from pipelines import cli, config
from provenance import extractors, schema, signals, trust
from store import catalog, readers, shards
from store.readers._presets import PRESETS

ROOT = Path(__file__).resolve().parents[1]
README = ROOT / "README.md"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table; bars inside cells are escaped."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in line) + " |" for line in lines)


def summary(module: ModuleType) -> str:
    """First paragraph of a module's docstring, on one line and without its final full stop."""
    return " ".join((module.__doc__ or "").strip().split("\n\n")[0].split()).removesuffix(".")


def members(package: ModuleType) -> list[ModuleType]:
    """The modules of a package that stand for something: those that have a `NAME`."""
    names = sorted(module.name for module in pkgutil.iter_modules(package.__path__) if not module.name.startswith("_"))
    modules = [importlib.import_module(f"{package.__name__}.{name}") for name in names]
    return [module for module in modules if hasattr(module, "NAME")]


def subparsers() -> dict[str, argparse.ArgumentParser]:
    """The parser of each verb."""
    action = next(a for a in cli.parser()._actions if isinstance(a, argparse._SubParsersAction))
    return dict(action.choices)


def usage(action: argparse.Action) -> str:
    """How an argument is written."""
    value = action.metavar or ("|".join(action.choices) if action.choices else action.dest.upper())
    value = "" if action.nargs == 0 else str(value)
    return " ".join(filter(None, [*action.option_strings[:1], value])) + ("..." if action.nargs == "+" else "")


def commands() -> str:
    """The verbs, then every argument once with the verbs that take it in that meaning."""
    parsers = subparsers()
    shared: dict[tuple[str, str], list[str]] = {}
    for verb, parser in parsers.items():
        for action in parser._actions:
            if not isinstance(action, argparse._HelpAction):
                needed = ", required" if action.required and action.option_strings else ""
                shared.setdefault((usage(action), (action.help or "") + needed), []).append(verb)
    taken = [
        [f"`{name}`", "all" if len(verbs) == len(parsers) else ", ".join(verbs), text] for (name, text), verbs in shared.items()
    ]
    verbs = table(["verb", "what it does"], [[f"`{verb}`", text] for verb, text in cli.VERBS.items()])
    return f"{verbs}\n\n{table(['argument', 'of', 'meaning'], sorted(taken, key=lambda row: row[0].startswith('`--')))}"


def exit_codes() -> str:
    return table(["code", "meaning"], [[f"`{code}`", text] for code, text in re.findall(r"\b(\d) ([^;.]+)", cli.EPILOGUE)])


def targets() -> str:
    found = re.findall(r"^([a-z-]+):.*## (.+)$", (ROOT / "Makefile").read_text(), re.M)
    return table(["target", "what it does"], [[f"`make {name}`", text] for name, text in found])


def description(kind: type[msgspec.Struct], field: str) -> str:
    """The one-line meaning of a configuration key, from its annotation."""
    hint = typing.get_type_hints(kind, include_extras=True)[field]
    found = [meta.description for meta in getattr(hint, "__metadata__", ()) if isinstance(meta, msgspec.Meta) and meta.description]
    return found[0] if found else ""


def default(field: msgspec.structs.FieldInfo) -> str:
    value = field.default_factory() if field.default_factory is not msgspec.NODEFAULT else field.default
    return "" if value is msgspec.NODEFAULT else msgspec.json.encode(value).decode()


def sections() -> dict[str, tuple[type[msgspec.Struct], list[str]]]:
    """Each configuration section, with the verbs that know it."""
    found: dict[str, tuple[type[msgspec.Struct], list[str]]] = {}
    for verb in cli.VERBS:
        for name, kind in config.sections(verb).items():
            found.setdefault(name, (kind, []))[1].append(verb)
    return found


def keys() -> str:
    rows = [
        [f"`{name}.{field.name}`", f"`{default(field)}`", ", ".join(verbs), description(kind, field.name)]
        for name, (kind, verbs) in sections().items()
        for field in msgspec.structs.fields(kind)
    ]
    return table(["key", "default", "verb", "meaning"], rows)


def signal_list() -> str:
    rows = [
        [f"`{name}`", module.VERSION, module.STAGE, "yes" if module.STATISTICAL else "no", summary(module)]
        for name, module in signals.found().items()
    ]
    return table(["signal", "version", "stage", "statistical", "what it reads"], rows)


def extractor_list() -> str:
    return table(["extractor", "what it gives"], [[f"`{module.NAME}`", summary(module)] for module in members(extractors)])


def reader_list() -> str:
    return table(["reader", "what it reads"], [[f"`{module.NAME}`", summary(module)] for module in members(readers)])


def preset_list() -> str:
    rows = [
        [f"`{preset.name}`", f"`{preset.text}`", f"`{preset.date}`" if preset.date else "none", preset.reaches]
        for preset in PRESETS.values()
    ]
    return table(["preset", "text", "capture time", "what it can reach"], rows)


def attestation_list() -> str:
    return table(["level", "predicate"], [[f"`{level}`", schema.LEVELS[level]] for level in schema.ATTESTATIONS])


def witness_list() -> str:
    return table(["kind", "what it is, and what `sha256` is of"], [[f"`{kind}`", text] for kind, text in trust.KINDS.items()])


def shard_list() -> str:
    return table(["format", "what it writes"], [[f"`{module.NAME}`", summary(module)] for module in members(shards)])


def query_list() -> str:
    rows = [[f"`{query.name}`", ", ".join(query.kinds), query.answers] for query in catalog.named_queries().values()]
    return table(["query", "of a", "what it answers"], rows)


def fields(kind: pa.Schema, beyond: pa.Schema | None = None) -> str:
    known = set(beyond.names) if beyond else set()
    return table(["column", "type", "meaning"], [[f"`{f.name}`", str(f.type), schema.doc(f)] for f in kind if f.name not in known])


def schemas() -> dict[str, tuple[pa.Schema, pa.Schema | None]]:
    """Every schema by the heading of its table, with the one that it widens."""
    found: dict[str, tuple[pa.Schema, pa.Schema | None]] = {name: (kind, None) for name, kind in schema.DATASETS.items()}
    found["documents of a snapshot, beyond those of a run"] = (schema.SNAPSHOT_DOCUMENTS, schema.DOCUMENTS)
    found["leaves of a snapshot"] = (schema.LEAVES, None)
    found[f"{', '.join(schema.INDEXES[:-1])} and {schema.INDEXES[-1]} of a snapshot"] = (schema.BANDS, None)
    found["selection of a mix, while it is written"] = (schema.SELECTION, None)
    found["shards of a mix"] = (schema.SHARD, None)
    return found


def schema_tables() -> str:
    parts = [
        f"<details><summary>{name}</summary>\n\n{fields(kind, beyond)}\n\n</details>" for name, (kind, beyond) in schemas().items()
    ]
    return "\n\n".join(parts)


SECTIONS: dict[str, Callable[[], str]] = {
    "attestations": attestation_list,
    "commands": commands,
    "exit-codes": exit_codes,
    "extractors": extractor_list,
    "keys": keys,
    "presets": preset_list,
    "queries": query_list,
    "readers": reader_list,
    "schemas": schema_tables,
    "shards": shard_list,
    "signals": signal_list,
    "targets": targets,
    "witnesses": witness_list,
}


def span(text: str, name: str) -> tuple[int, int]:
    """Where the table `name` stands in the README's text. Raises `ValueError` where its markers are not there once each."""
    opening, closing = f"<!-- reference:{name} -->\n", f"<!-- /reference:{name} -->"
    if text.count(opening) != 1 or text.count(closing) != 1:
        raise ValueError(f"the README needs one {opening.strip()} and one {closing}: the table {name} has no place without them.")
    return text.index(opening) + len(opening), text.index(closing)


def shown(text: str, name: str) -> str:
    """The table `name` as the README shows it."""
    start, stop = span(text, name)
    return text[start:stop].strip()


def main(argv: Sequence[str]) -> int:
    text = README.read_text()
    stale = [name for name, make in SECTIONS.items() if shown(text, name) != make()]
    if "--write" not in argv:
        print(f"out of date: {', '.join(stale)}; run make docs" if stale else "the README's tables are up to date")
        return int(bool(stale))
    for name in stale:
        start, stop = span(text, name)
        text = f"{text[:start]}\n{SECTIONS[name]()}\n\n{text[stop:]}"
    README.write_text(text)
    print(f"README.md: {', '.join(stale) or 'nothing'} rewritten")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
