"""Small charts as inline SVG: stacked bars, stacked columns and a share along a shard. Colours come from the page's style."""

import math
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from pipelines.reporting.markup import Markup, count, element, join, percent, size

WIDTH = 760
LETTER = 7.0
"""Mean width of a character at the charts' 12 px, in px; wide (East Asian) ones take two."""


@dataclass(frozen=True)
class Series:
    """One colour of a chart: its class in the style sheet and what it is called."""

    style: str
    label: str


def extent(text: str) -> float:
    """Width of a label in px, roughly."""
    return sum(LETTER * (2 if unicodedata.east_asian_width(char) in "WF" else 1) for char in text)


def shorten(text: str, room: float) -> str:
    """A label cut in its middle to fit `room` px: hosts and paths differ at both ends."""
    if extent(text) <= room:
        return text
    head, tail = text[: len(text) // 2], text[len(text) // 2 :]
    while head and tail and extent(head) + extent(tail) + LETTER > room:
        head, tail = (head[:-1], tail) if len(head) >= len(tail) else (head, tail[1:])
    return f"{head}…{tail}"


def nice_ticks(top: float, wanted: int = 4, whole: bool = True) -> list[float]:
    """Round numbers from 0 to at least `top`, about `wanted` steps; whole numbers for counts."""
    if top <= 0:
        return [0, 1]
    raw = top / wanted
    power = 10 ** math.floor(math.log10(raw))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= raw * (1 - 1e-9))
    if whole:
        step = max(1, math.ceil(step))
    return [step * i for i in range(math.ceil(top / step - 1e-9) + 1)]


def _frame(width: float, height: float, title: str, description: str, *content: Markup) -> Markup:
    head = (element("title", title), element("desc", description))
    return element("svg", head, *content, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=f"{title}. {description}")


def _text(x: float, y: float, text: str, style: str = "label", anchor: str = "start") -> Markup:
    return element("text", text, x=f"{x:.1f}", y=f"{y:.1f}", class_=style, text_anchor=anchor)


def _rect(x: float, y: float, width: float, height: float, style: str, tip: str) -> Markup:
    box = {"x": f"{x:.2f}", "y": f"{y:.2f}", "width": f"{max(width, 0.6):.2f}", "height": f"{max(height, 0.6):.2f}"}
    return element("rect", element("title", tip), class_=style, rx="1.5", **box)


def _line(x1: float, y1: float, x2: float, y2: float, style: str) -> Markup:
    return element("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", class_=style)


def bars(
    title: str,
    description: str,
    rows: Sequence[tuple[str, Sequence[int]]],
    series: Sequence[Series],
    notes: Sequence[str] | None = None,
) -> Markup:
    """Horizontal stacked bars, one per row of (label, a value per series); `notes` stand at their ends, else the totals."""
    notes = notes or [count(sum(values)) for _, values in rows]
    left = min(250.0, max((extent(label) for label, _ in rows), default=0) + 12)
    right = max((extent(note) for note in notes), default=0) + 10
    room, step, thick = WIDTH - left - right, 26, 16
    top = max((sum(values) for _, values in rows), default=0) or 1
    out = []
    for i, ((label, values), note) in enumerate(zip(rows, notes, strict=True)):
        y, x = i * step + 4.0, left
        out.append(element("g", element("title", label), _text(left - 10, y + 12, shorten(label, left - 12), anchor="end")))
        for kind, value in zip(series, values, strict=True):
            if value:
                width = room * value / top
                out.append(
                    _rect(x, y, width - 1 if width > 3 else width, thick, kind.style, f"{label} · {kind.label}: {count(value)}")
                )
                x += width
        out.append(_text(x + 7, y + 12, note, "value"))
    return _frame(WIDTH, len(rows) * step + 4, title, description, *out)


def _thin(labels: Sequence[str], room: float) -> int:
    """Every how many columns a label fits; for months a divisor or multiple of the year."""
    widest = max((extent(label) for label in labels), default=1) + 14
    need = widest / room
    return next((step for step in (1, 2, 3, 4, 6, 12) if step >= need), 12 * math.ceil(need / 12))


def columns(
    title: str,
    description: str,
    labels: Sequence[str],
    stacks: Sequence[Sequence[int]],
    series: Sequence[Series],
    shares: bool = False,
    height: int = 210,
) -> Markup:
    """Vertical stacked columns; `stacks` has one row of values per label. With `shares`, each column is scaled to 100 %."""
    totals = [sum(stack) for stack in stacks]
    ticks = [0, 0.25, 0.5, 0.75, 1] if shares else nice_ticks(max(totals, default=0))
    marks = [f"{tick:.0%}" if shares else count(int(tick)) for tick in ticks]
    left, base, top = max(map(extent, marks)) + 12, height - 24.0, 10.0
    slot = (WIDTH - left) / max(len(labels), 1)
    thick = min(slot * 0.82, 46.0)
    scale = (base - top) / ticks[-1]
    out = []
    for tick, mark in zip(ticks, marks, strict=True):
        y = base - tick * scale
        out += [_line(left, y, WIDTH, y, "grid" if tick else "axis"), _text(left - 8, y + 4, mark, "tick", "end")]
    every = _thin(labels, slot)
    start = next((i for i, label in enumerate(labels) if label.endswith("-01")), 0) % every
    for i, (label, stack, total) in enumerate(zip(labels, stacks, totals, strict=True)):
        x, y = left + slot * i + (slot - thick) / 2, base
        for kind, value in zip(series, stack, strict=True):
            if value:
                tall = value * scale / (total if shares else 1)
                y -= tall
                told = f"{label} · {kind.label}: {count(value)} ({percent(value, total)})"
                out.append(_rect(x, y, thick, tall - 1 if tall > 3 else tall, kind.style, told))
        if i % every == start:
            out.append(
                _text(
                    min(max(x + thick / 2, left + extent(label) / 2), WIDTH - extent(label) / 2),
                    height - 6,
                    label,
                    "tick",
                    "middle",
                )
            )
    return _frame(WIDTH, height, title, description, *out)


def along(
    title: str, description: str, points: Sequence[tuple[int, int]], floor: Fraction, width: int = WIDTH, height: int = 190
) -> Markup:
    """The human share (y) after so many bytes (x), as steps through `points` of (human, total); a dip below `floor` is marked.

    The scale ends where the curve has settled, after a twentieth of the bytes: the first texts are always human, and one
    share of 100 % would flatten all that matters.
    """
    last = max((total for _, total in points), default=0) or 1
    shares = [human / total for human, total in points if total]
    settled = [human / total for human, total in points if total > last / 20]
    low = max(0.0, math.floor(10 * min([*shares, float(floor)]) - 0.5) / 10)
    high = min(1.0, max(float(floor) + 0.1, math.ceil(20 * max(settled, default=1.0)) / 20))
    left, base, top = 46.0, height - 26.0, 12.0

    def x(total: int) -> float:
        return left + (width - left - 8) * total / last

    def y(share: float) -> float:
        return base - (base - top) * (min(share, high) - low) / (high - low or 1)

    grid = []
    for tick in sorted({low, (low + high) / 2, high}):
        grid += [
            _line(left, y(tick), width, y(tick), "axis" if tick == low else "grid"),
            _text(left - 8, y(tick) + 4, f"{tick * 100:.3g}%", "tick", "end"),
        ]
    path = " L".join(f"{x(total):.1f},{y(human / total):.1f}" for human, total in points if total)
    area = element("path", class_="area", d=f"M{left:.1f},{base:.1f} L{path} L{x(last):.1f},{base:.1f} Z") if path else None
    curve = element("path", class_="curve", d=f"M{path}") if path else None
    bad = [
        element(
            "circle",
            element("title", f"below the floor: {human / total:.2%}"),
            cx=f"{x(total):.1f}",
            cy=f"{y(human / total):.1f}",
            r="3.5",
            class_="bad",
        )
        for human, total in points
        if total and human * floor.denominator < floor.numerator * total
    ]
    rule = (
        _line(left, y(float(floor)), width, y(float(floor)), "floor"),
        _text(left + 6, y(float(floor)) + 14, f"floor {floor_text(floor)}", "floor-label"),
    )
    ends = (_text(left, height - 7, "0", "tick"), _text(width, height - 7, size(last), "tick", "end"))
    return _frame(width, height, title, description, join(grid, area, curve, *rule, *bad, *ends))


def floor_text(floor: Fraction) -> str:
    """A floor as a percentage where that is exact to two places, else as the fraction it is."""
    hundredths = floor * 10_000
    return f"{float(floor) * 100:g}\u00a0%" if hundredths.denominator == 1 else f"{floor.numerator}/{floor.denominator}"


@dataclass(frozen=True)
class Range:
    """An estimated share with its interval beside a counted one, all 0 to 1; those that are None are not drawn. `style` colours it."""

    label: str
    counted: float | None
    share: float | None
    low: float | None
    high: float | None
    style: str
    shaded: bool = False


def ranges(title: str, description: str, found: Sequence[Range], counted: Series, height: int = 220) -> Markup:
    """Shares with their intervals, one column per label, beside bars of the counted ones; `shaded` columns have another ground."""
    reached = [value for one in found for value in (one.counted, one.share, one.high) if value is not None]
    top_share = min(1.0, max([0.05, *reached]))
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.25) if top_share / step <= 5)
    ticks = [step * i for i in range(math.ceil(top_share / step - 1e-9) + 1)]
    left, base, top = 46.0, height - 24.0, 10.0
    slot, scale = (WIDTH - left) / max(len(found), 1), (base - top) / ticks[-1]
    out, every = [], _thin([one.label for one in found], slot)
    for i, one in enumerate(found):
        if one.shaded:
            out.append(element("rect", x=f"{left + slot * i:.2f}", y=top, width=f"{slot:.2f}", height=base - top, class_="shade"))
    for tick in ticks:
        y = base - tick * scale
        out += [_line(left, y, WIDTH, y, "grid" if tick else "axis"), _text(left - 8, y + 4, f"{tick:.0%}", "tick", "end")]
    start = next((i for i, one in enumerate(found) if one.label.endswith("-01")), 0) % every
    for i, one in enumerate(found):
        middle, wide = left + slot * (i + 0.5), min(slot * 0.3, 14.0)
        if one.counted is not None:
            said = f"{one.label} · {counted.label}: {one.counted:.1%}"
            out.append(_rect(middle - wide, base - one.counted * scale, wide, one.counted * scale, counted.style, said))
        if one.share is not None:
            said, x = f"{one.label} · estimated: {one.share:.1%}", middle + wide / 2
            if one.low is not None and one.high is not None:
                said += f", 95 % interval {one.low:.1%} to {one.high:.1%}"
                out.append(_rect(x - 1, base - one.high * scale, 2, (one.high - one.low) * scale, one.style, said))
            out.append(_rect(x - 4, base - one.share * scale - 2, 8, 4, one.style, said))
        if i % every == start:
            half = extent(one.label) / 2
            out.append(_text(min(max(middle, left + half), WIDTH - half), height - 6, one.label, "tick", "middle"))
    return _frame(WIDTH, height, title, description, *out)
