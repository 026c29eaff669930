"""The closing table of a command, on standard output: what came in, what went out, and where it went."""

import re
import sys
from collections.abc import Sequence
from typing import Any

HIDDEN = {"exit_code", "verb", "rows", "why", "line", "kind", "result"}
"""Of no use to a person, or printed in another place."""

DETAILS = {
    "mix": set(
        "requested realised counts supply crawled left_over human_epochs purity machine_share plan strata survival filter "
        "clusters coverage alternative".split()
    ),
    "verify": {"counts", "units", "anchored", "first_wrong_rows"},
}
"""Parts of a verb's summary that stand in `--json`, in the manifest and in the report, and would bury the table."""

WORDS = {
    "curate": {
        "candidates": "candidate pairs, unequal texts",
        "pairs_not_compared": "full buckets: look-ups left out",
        "samples_not_compared": "common shingles: look-ups left out",
        "pairs_estimated": "pairs decided by signatures",
        "pairs_measured": "pairs measured on texts",
        "pairs_settled": "pairs left, copies of another already",
        "matches": "rows of matches",
        "dropped": "documents dropped as copies",
        "protected_kept": "protected copies kept",
        "kept": "documents kept",
        "machine_share": "machine share, estimated from detector scores",
    },
    "mix": {
        "near_human": "near copies of human documents among the others",
        "machine_share_of_human_side": "machine share of the human side, estimated",
        "not_checked": "not checked",
    },
}
"""What a person reads for a count whose name in `--json` and the manifest is too short to say it."""

ABOVE_ZERO = {"mix": {"kept_out", "near_human"}}
"""Groups of counts of which a person reads those above 0."""

GROUPED = 3
"""Notes that end the same way, beyond which they are one note."""
_FILE = re.compile(r"(?P<what>index|checksums|timestamp) (?P<name>.+?)(?:: | (?=counts for nothing))(?P<why>.+)", re.DOTALL)
SHOWN = 10
"""Files that are wrong, or documents of a proof, that a person is shown."""
_IDLE = re.compile(r"for nothing|holds none of")
_DIGEST = re.compile(r"[, ]*\b[0-9a-f]{64}\b")


def show(verb: str, summary: dict[str, Any]) -> None:
    """Prints a verb's summary for a person. `query` has printed its answer already."""
    if verb == "query":
        return
    if summary.get("dry_run"):
        import yaml

        plain = {
            name: _above_zero(verb, name, value) for name, value in summary.items() if verb != "mix" or name not in DETAILS[verb]
        }
        plain = {name: value for name, value in plain.items() if verb != "mix" or value != {}}
        print(yaml.safe_dump(plain, sort_keys=False, allow_unicode=True), end="")
        _close(verb, summary)
        return
    for name in ("line", "result"):
        if line := summary.get(name):
            print(line)
    for name, value in summary.items():
        value = _above_zero(verb, name, value)
        if name not in HIDDEN | DETAILS.get(verb, set()) and value not in (None, {}):
            _print(WORDS.get(verb, {}).get(name, name), notes(value) if name == "notes" else value, 0)
    _close(verb, summary)
    reasons = list((summary.get("why") or {}).items())
    for path, why in reasons[:SHOWN]:
        print(f"{'missing' if path in summary.get('missing', ()) else 'wrong'}: {path}: {why}", file=sys.stderr)
    if len(reasons) > SHOWN:
        print(f"and {len(reasons) - SHOWN:,} more; --json names all", file=sys.stderr)


def _above_zero(verb: str, name: str, value: Any) -> Any:
    if name not in ABOVE_ZERO.get(verb, set()):
        return value
    return {inner: number for inner, number in value.items() if number}


def _close(verb: str, summary: dict[str, Any]) -> None:
    """The tables of a verb that has any."""
    if verb == "mix" and "plan" in summary:
        from pipelines.cards import closing

        print("", *closing.lines(summary), sep="\n")


def notes(lines: Sequence[str]) -> list[str]:
    """What counted first, then what counted for nothing; of more than `GROUPED` files for which the same is said, one line."""
    told = sorted(lines, key=lambda line: _IDLE.search(line) is not None)
    found = {line: _FILE.fullmatch(line) if _IDLE.search(line) else None for line in told}
    groups: dict[tuple[str, str], list[str]] = {}
    for match in filter(None, found.values()):
        groups.setdefault((match["what"], _DIGEST.sub("", match["why"])), []).append(match["name"])
    out: list[str] = []
    for line, idle in found.items():
        what, why = (idle["what"], _DIGEST.sub("", idle["why"])) if idle else ("", "")
        names = groups.get((what, why), [])
        if len(names) <= GROUPED:
            out.append(line)
        elif idle and idle["name"] == names[0]:
            first = ", ".join(names[:GROUPED])
            out.append(f"{what}, each of {len(names):,} files: {why} ({first} and {len(names) - GROUPED:,} more; --json names all)")
    return out


def _print(name: str, value: Any, depth: int) -> None:
    label = f"{'  ' * depth}{name.replace('_', ' ')}"
    if name == "notes" and isinstance(value, list):
        print(label, *(f"  {line}" for line in value), sep="\n")
    elif value == {}:
        return
    elif isinstance(value, list) and value and all(isinstance(item, dict) for item in value):
        for item in value[:SHOWN]:
            _print(name, item, depth)
        if len(value) > SHOWN:
            print(f"and {len(value) - SHOWN:,} more; --json names all")
    elif isinstance(value, dict):
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
