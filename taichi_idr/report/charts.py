"""Line charts as inline SVG: no library, no script, readable in any browser."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 460, 260
LEFT, RIGHT, TOP, BOTTOM = 56, 26, 34, 44
NARROW = 100.0  # ratio of the values below which powers of ten are too few labels
COLOURS = ("#2b5fb3", "#c4562f", "#2f8a6b", "#8a5fb0", "#a8842c", "#3f8fa8")
LETTER, GAP = 7.2, 12.0  # widths of a caption

STYLE = """
.chart { font: 11px system-ui, sans-serif; }
.chart text { fill: #667085; }
.chart .title { font-size: 13px; font-weight: 600; fill: #1d2430; }
.chart .second { fill: #98a2b3; font-size: 10px; }
.chart .grid { stroke: #e4e7ec; }
"""

Point = tuple[float, float]


@dataclass(frozen=True)
class Axis:
    """Values in [low, high] and the ticks to label; `log` draws powers of ten evenly."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def share(self, value: float) -> float:
        """0 at `low`, 1 at `high`."""
        if self.log:
            return math.log(value / self.low) / math.log(self.high / self.low)
        return (value - self.low) / (self.high - self.low)


def line_chart(
    title: str,
    series: Mapping[str, Sequence[Point]],
    *,
    log: bool = False,
    below: Callable[[float], str] | None = None,
) -> str:
    """An SVG element; points that are not finite (or not positive, for `log`) are left out.

    `below` gives a second line under each label of the x axis. Empty text where nothing can be drawn.
    """
    drawn = {name: [point for point in points if _drawable(point, log)] for name, points in series.items()}
    drawn = {name: points for name, points in drawn.items() if len(points) > 1}
    if not drawn:
        return ""
    xs = [x for points in drawn.values() for x, _ in points]
    ys = [y for points in drawn.values() for _, y in points]
    x_axis, y_axis = linear_axis(0.0, max(xs)), log_axis(min(ys), max(ys)) if log else linear_axis(min(ys), max(ys))
    parts = [*_grid(x_axis, y_axis, below), *_lines(drawn, x_axis, y_axis), *_captions(title, list(drawn))]
    head = f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{html.escape(title)}">'
    return head + "".join(parts) + "</svg>"


def svg_file(charts: Sequence[str]) -> str:
    """Charts of `line_chart` beside each other in a file of its own, with the look that a page would give them."""
    size = f'width="{WIDTH}" height="{HEIGHT}"'
    placed = [chart.replace("<svg", f'<svg x="{k * WIDTH}" {size}', 1) for k, chart in enumerate(charts)]
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {len(charts) * WIDTH} {HEIGHT}">'
    return f'{head}<style>{STYLE}</style><rect width="100%" height="100%" fill="white"/>{"".join(placed)}</svg>\n'


def linear_axis(low: float, high: float, wanted: int = 5) -> Axis:
    """Ticks at 1, 2 or 5 times a power of ten; the axis ends on ticks."""
    span = max(high - low, 1e-9 * max(abs(high), 1.0))
    step = min((m * 10.0 ** math.floor(math.log10(span / wanted)) for m in (1, 2, 5, 10)), key=_misfit(span, wanted))
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    ticks = tuple(round(k * step, 12) for k in range(first, max(last, first + 1) + 1))
    return Axis(ticks[0], ticks[-1], ticks)


def log_axis(low: float, high: float) -> Axis:
    """From power of ten to power of ten; from 1, 2 or 5 times one to another where the values span little."""
    first, last = math.floor(math.log10(low) + 1e-9), math.ceil(math.log10(high) - 1e-9)
    last = max(last, first + 1)
    if high < NARROW * low:
        rungs = [m * 10.0**k for k in range(first, last + 1) for m in (1, 2, 5)]
        begin = max(k for k, rung in enumerate(rungs) if rung <= low * (1 + 1e-9))
        end = max(min(k for k, rung in enumerate(rungs) if rung >= high * (1 - 1e-9)), begin + 1)
        return Axis(rungs[begin], rungs[end], tuple(rungs[begin : end + 1]), log=True)
    every = max(1, (last - first) // 5)
    return Axis(10.0**first, 10.0**last, tuple(10.0**k for k in range(first, last + 1, every)), log=True)


def tick_label(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.6g}"


def _misfit(span: float, wanted: int) -> Callable[[float], float]:
    return lambda step: abs(span / step - wanted)


def _drawable(point: Point, log: bool) -> bool:
    return all(math.isfinite(value) for value in point) and (point[1] > 0 or not log)


def _place(x_axis: Axis, y_axis: Axis, point: Point) -> Point:
    x = LEFT + x_axis.share(point[0]) * (WIDTH - LEFT - RIGHT)
    y = HEIGHT - BOTTOM - y_axis.share(point[1]) * (HEIGHT - TOP - BOTTOM)
    return x, y


def _grid(x_axis: Axis, y_axis: Axis, below: Callable[[float], str] | None) -> list[str]:
    parts = []
    for tick in y_axis.ticks:
        x, y = _place(x_axis, y_axis, (x_axis.low, tick))
        parts.append(f'<line class="grid" x1="{x:.1f}" y1="{y:.1f}" x2="{WIDTH - RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text x="{x - 7:.1f}" y="{y + 4:.1f}" text-anchor="end">{tick_label(tick)}</text>')
    for tick in x_axis.ticks:
        x, y = _place(x_axis, y_axis, (tick, y_axis.low))
        parts.append(f'<text x="{x:.1f}" y="{y + 17:.1f}" text-anchor="middle">{tick_label(tick)}</text>')
        if below:
            label = html.escape(below(tick))
            parts.append(f'<text class="second" x="{x:.1f}" y="{y + 32:.1f}" text-anchor="middle">{label}</text>')
    return parts


def _lines(drawn: dict[str, list[Point]], x_axis: Axis, y_axis: Axis) -> list[str]:
    parts = []
    for colour, points in zip(_cycled(len(drawn)), drawn.values(), strict=True):
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in (_place(x_axis, y_axis, point) for point in points))
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>')
    return parts


def _captions(title: str, names: list[str]) -> list[str]:
    """The title, and the lines' names at the right of it or, where there is no room, below."""
    parts = [f'<text class="title" x="{LEFT}" y="18">{html.escape(title)}</text>']
    if len(names) > 1:
        x = float(WIDTH - RIGHT)
        room = x - LEFT - LETTER * len(title)
        y = 18 if sum(LETTER * len(name) + GAP for name in names) < room else 31
        for colour, name in reversed(list(zip(_cycled(len(names)), names, strict=True))):
            style = f'text-anchor="end" style="fill: {colour}"'
            parts.append(f'<text x="{x:.0f}" y="{y}" {style}>{html.escape(name)}</text>')
            x -= LETTER * len(name) + GAP
    return parts


def _cycled(count: int) -> list[str]:
    return [COLOURS[index % len(COLOURS)] for index in range(count)]
