"""HTML and SVG elements whose text is always escaped, and numbers and shares in words that do not overstate them."""

import html
import re
from collections.abc import Iterable, Sequence
from fractions import Fraction

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")
_VOID = {"meta", "br"}
SPACE = "\u00a0"
FEW = 20
"""Below this many, a share is said as a count: percentages of a handful mislead."""

ORIGIN_LABELS = {
    "human": "human (verified)",
    "machine_generated": "machine-generated",
    "machine_translated": "machine-translated",
    "unknown": "unknown",
}
LEVEL_WORDS = {
    "none": "nothing",
    "declared": "the owner’s declaration",
    "captured": "the capture time that the archive file itself states, which nobody else has confirmed",
    "released": "checksums published before the cutoff",
    "corroborated": "an independent index of the same captures",
    "timestamped": "an independent timestamp over the exact bytes",
}
LANGUAGE_NAMES = {
    "ar": "Arabic", "bg": "Bulgarian", "bn": "Bengali", "ca": "Catalan", "cs": "Czech", "da": "Danish", "de": "German", "el": "Greek",
    "en": "English", "es": "Spanish", "et": "Estonian", "fa": "Persian", "fi": "Finnish", "fr": "French", "he": "Hebrew", "hi": "Hindi",
    "hr": "Croatian", "hu": "Hungarian", "id": "Indonesian", "it": "Italian", "ja": "Japanese", "ko": "Korean", "lt": "Lithuanian",
    "lv": "Latvian", "nl": "Dutch", "no": "Norwegian", "pl": "Polish", "pt": "Portuguese", "ro": "Romanian", "ru": "Russian",
    "sk": "Slovak", "sl": "Slovenian", "sr": "Serbian", "sv": "Swedish", "ta": "Tamil", "th": "Thai", "tr": "Turkish", "uk": "Ukrainian",
    "ur": "Urdu", "vi": "Vietnamese", "zh": "Chinese",
}  # fmt: skip


class Markup(str):
    """Text that is markup already; any other string is escaped where it enters an element."""

    __slots__ = ()


Child = str | int | float | None | Iterable["Child"]


def escape(text: object) -> str:
    """Text as it may stand in an element or an attribute; characters that HTML forbids become U+FFFD."""
    return html.escape(_CONTROL.sub("\ufffd", str(text)), quote=True)


def join(*children: Child) -> Markup:
    """Children one after another; lists are flattened, None is left out."""
    out = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, str | int | float):
            out.append(child if isinstance(child, Markup) else escape(child))
        else:
            out.append(join(*child))
    return Markup("".join(out))


def element(tag: str, *children: Child, **attributes: object) -> Markup:
    """An element; `class_` is `class`, other underscores are hyphens, and attributes that are None are left out."""
    pairs = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items() if value is not None
    )
    return Markup(f"<{tag}{pairs}>" if tag in _VOID else f"<{tag}{pairs}>{join(*children)}</{tag}>")


def table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> Markup:
    """A table whose numbers stand to the right, with thousands separators."""

    def cell(value: object) -> Markup:
        if isinstance(value, int) and not isinstance(value, bool):
            return element("td", count(value), class_="n")
        return element("td", value if isinstance(value, str) else "" if value is None else str(value))

    body = [element("tr", [cell(value) for value in row]) for row in rows]
    heading = element("thead", element("tr", [element("th", name, scope="col") for name in head]))
    return element("div", element("table", heading, element("tbody", body)), class_="scroll")


def count(number: int) -> str:
    """A number with thousands separators."""
    return f"{number:,}"


def size(number: int) -> str:
    """Bytes in the decimal unit that suits them."""
    amount = float(number)
    for unit in ("bytes", "kB", "MB", "GB", "TB"):
        if amount < 1000 or unit == "TB":
            break
        amount /= 1000
    return (
        f"{number:,}{SPACE}bytes"
        if unit == "bytes"
        else f"{amount:.3g}{SPACE}{unit}"
        if amount < 100
        else f"{amount:,.0f}{SPACE}{unit}"
    )


def percent(part: int, whole: int) -> str:
    """A share of the whole; never rounded to all or nothing where it is not."""
    if not whole:
        return "–"
    share = Fraction(part, whole) * 100
    if share in (0, 100):
        return f"{int(share)}{SPACE}%"
    if share < Fraction(1, 10):
        return f"under 0.1{SPACE}%"
    if share > Fraction(999, 10):
        return f"over 99.9{SPACE}%"
    return f"{float(share):.1f}{SPACE}%"


def share(part: int, whole: int, noun: str = "") -> str:
    """`91 of 420 documents (21.7 %)`, without the percentage where there are few."""
    counted = f"{count(part)} of {count(whole)}{' ' + noun if noun else ''}"
    return counted if whole < FEW else f"{counted} ({percent(part, whole)})"


def plural(number: int, noun: str, many: str | None = None) -> str:
    return f"{count(number)} {noun if number == 1 else many or noun + 's'}"


def language_name(code: str | None) -> str:
    """`German (de)`; the code itself where it has no name here."""
    if not code:
        return "not identified"
    return f"{LANGUAGE_NAMES[code]} ({code})" if code in LANGUAGE_NAMES else code


def rests_on(levels: dict[str, int], unit: str) -> str:
    """Whose word a human side rests on, from amounts by attestation level: the heaviest level first."""
    total = sum(levels.values())
    ordered = sorted(((amount, level) for level, amount in levels.items() if amount), key=lambda pair: (-pair[0], pair[1]))
    if not ordered:
        return "Nothing here counts as human, so nothing rests on anybody’s word."
    first, *rest = [f"{percent(amount, total)} rest on {LEVEL_WORDS.get(level, level)} ({level})" for amount, level in ordered]
    return f"Of the human {unit}, {first}" + "".join(f"; {part}" for part in rest) + "."
