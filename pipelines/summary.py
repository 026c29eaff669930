"""The closing table of a command, on standard output: what came in, what went out, and where it went."""

import sys
from typing import Any

HIDDEN = {"exit_code", "verb", "rows", "why", "line", "kind", "result"}
"""Of no use to a person, or printed in another place."""

DETAILS = {
    "mix": {"requested", "counts", "supply", "crawled", "human_epochs", "human_effective"},
    "verify": {"counts", "units", "anchored", "first_wrong_rows"},
}
"""Parts of a verb's summary that stand in `--json`, in the manifest and in the report, and would bury the table."""


def show(verb: str, summary: dict[str, Any]) -> None:
    """Prints a verb's summary for a person. `query` has printed its answer already."""
    if verb == "query":
        return
    if summary.get("dry_run"):
        import yaml

        print(yaml.safe_dump(summary, sort_keys=False, allow_unicode=True), end="")
        return
    for name in ("line", "result"):
        if line := summary.get(name):
            print(line)
    for name, value in summary.items():
        if name not in HIDDEN | DETAILS.get(verb, set()) and value not in (None, {}):
            _print(name, value, 0)
    for path, why in (summary.get("why") or {}).items():
        print(f"wrong: {path}: {why}", file=sys.stderr)


def _print(name: str, value: Any, depth: int) -> None:
    label = f"{'  ' * depth}{name.replace('_', ' ')}"
    if isinstance(value, dict):
        print(label)
        for inner, content in value.items():
            _print(str(inner), content, depth + 1)
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
    return "none" if value is None else str(value)
