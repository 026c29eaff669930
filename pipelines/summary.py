"""The closing table of a command, on standard output: what came in, what went out, and where it went."""

import sys
from typing import Any

HIDDEN = {"exit_code", "rows", "why", "line"}


def show(verb: str, summary: dict[str, Any]) -> None:
    """Prints a verb's summary for a person. `query` has printed its answer already."""
    if verb == "query":
        return
    if line := summary.get("line"):
        print(line)
    for name, value in summary.items():
        if name in HIDDEN or value in (None, {}):
            continue
        _print(name, value, 0)
    for path, why in (summary.get("why") or {}).items():
        print(f"wrong: {path}: {why}", file=sys.stderr)


def _print(name: str, value: Any, depth: int) -> None:
    label = f"{'  ' * depth}{name.replace('_', ' ')}"
    if isinstance(value, dict):
        print(label)
        for inner, content in value.items():
            _print(str(inner), content, depth + 1)
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        print(label)
        for item in value:
            print("  " * (depth + 1) + ", ".join(f"{k} {_text(v)}" for k, v in item.items()))
    else:
        print(f"{label:<34} {_text(value)}")


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.4g}"
    if isinstance(value, list):
        return ", ".join(_text(item) for item in value) or "none"
    return str(value)
