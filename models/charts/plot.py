"""One chart's frame and marks: axes, grid, legend, lines, points, bars, bands; the result is an SVG string.

Written by hand: a chart is a few kilobytes that need no script and no network. Colours come from the page's style
sheet through the class of each mark, so that charts follow its light and dark scheme; markers and dashes tell the
models apart without colour. Numbers that aren't finite are left out. All texts are escaped. A `style` is such a class:
challenger, champion, alert, reference or band. A `hint` is the text that a browser shows when a mark is pointed at.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import ceil, floor, isfinite, log10
from typing import TYPE_CHECKING

from ctr_retrain.models.outside_text import page_text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

WIDTH, HEIGHT = 460, 300  # pixels of the whole picture
LEFT, RIGHT, TOP, BOTTOM = 62, 14, 32, 46  # the margins around the frame, in pixels, for labels and legend
LETTER = 7.2  # pixels that a letter of the legend takes
TICKS = 5  # wanted on an axis


@dataclass(frozen=True)
class Axis:
    """A scale from numbers to shares of the frame, with its label and its ticks."""

    low: float  # the number at the frame's left or lower edge
    high: float  # the number at its right or upper edge
    label: str
    tick_text: Callable[[float], str]  # writes a tick's number
    log: bool = False  # logarithmic; `low` must then be above zero
    whole: bool = False  # ticks only at whole numbers

    def share(self, value: float) -> float:
        """Return a number's place on the axis: 0 at the low end, 1 at the high end; numbers beyond stay on the edge."""
        value = min(max(value, self.low), self.high)
        if self.log:
            return log10(value / self.low) / log10(self.high / self.low)
        return (value - self.low) / (self.high - self.low)

    def ticks(self) -> list[float]:
        """Return about five round numbers."""
        if not self.log:
            return _round_ticks(self.low, self.high, whole=self.whole)
        decades = range(floor(log10(self.low)), ceil(log10(self.high)) + 1)
        for steps in ((1, 2, 5), (1, 3), (1,)):  # the more decades, the fewer ticks fit in each
            ticks = [step * 10.0**decade for decade in decades for step in steps]
            ticks = [tick for tick in ticks if self.low <= tick <= self.high]
            if len(ticks) <= TICKS + 2:
                return ticks
        return ticks


@dataclass
class Plot:
    """A frame with two axes, and the marks drawn into it so far."""

    title: str  # read aloud by screen readers, not drawn
    x: Axis
    y: Axis
    marks: list[str] = field(default_factory=list)  # SVG elements, later ones over earlier ones
    legend: list[tuple[str, str, str]] = field(default_factory=list)  # text, style, point | line | area

    def at(self, x: float, y: float) -> tuple[float, float]:
        """Return the pixels of a point, which SVG counts from the top left corner."""
        right, down = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM
        return round(LEFT + right * self.x.share(x), 1), round(HEIGHT - BOTTOM - down * self.y.share(y), 1)

    def line(self, xs: Sequence[float], ys: Sequence[float], style: str) -> None:
        """Draw a line through points."""
        points = [self.at(x, y) for x, y in zip(xs, ys, strict=True) if isfinite(y)]
        self.marks.append(f'<polyline class="line {style}" points="{_joined(points)}"/>')

    def point(self, x: float, y: float, style: str, hint: str) -> None:
        """Draw a marker with a hint."""
        if isfinite(x) and isfinite(y):
            self.marks.append(f'<g class="point {style}">{marker(*self.at(x, y), style)}{_hint(hint)}</g>')

    def interval(self, x: float, low: float, high: float, style: str) -> None:
        """Draw an upright bar from low to high."""
        if isfinite(x):
            (left, bottom), (_, top) = self.at(x, low), self.at(x, high)
            self.marks.append(f'<path class="interval {style}" d="M{left} {bottom}V{top}"/>')

    def bar(self, x: float, y: float, style: str, hint: str) -> None:
        """Draw a column from the axis' low end up to y, with a hint."""
        (left, top), (right, bottom) = self.at(x - 0.42, y), self.at(x + 0.42, self.y.low)
        size = f'width="{right - left:.1f}" height="{bottom - top:.1f}"'
        self.marks.append(f'<rect class="area {style}" x="{left}" y="{top}" {size}>{_hint(hint)}</rect>')

    def band(self, days: Sequence[tuple[int, float, float]], style: str) -> None:
        """Fill the area between low and high of (position, low, high); a gap in the days is a gap in the band."""
        gaps = [0, *(i for i, (a, b) in enumerate(pairwise(days), start=1) if b[0] > a[0] + 1), len(days)]
        for start, stop in pairwise(gaps):
            run = days[start:stop]
            edge = [self.at(i + side, high) for i, _, high in run for side in (-0.5, 0.5)]
            edge += [self.at(i + side, low) for i, low, _ in reversed(run) for side in (0.5, -0.5)]
            if edge:
                self.marks.append(f'<polygon class="area {style}" points="{_joined(edge)}"/>')

    def across(self, y: float, name: str) -> None:
        """Draw a level line with its name at its right end."""
        (left, height), (right, _) = self.at(self.x.low, y), self.at(self.x.high, y)
        self.marks.append(f'<path class="line level" d="M{left} {height}H{right}"/>')
        self.marks.append(
            f'<text class="note" x="{right - 4}" y="{height - 5}" text-anchor="end">{page_text(name)}</text>'
        )

    def upright(self, x: float, name: str) -> None:
        """Draw an upright line at x with its name at the top."""
        (left, bottom), (_, top) = self.at(x, self.y.low), self.at(x, self.y.high)
        self.marks.append(f'<path class="line upright" d="M{left} {bottom}V{top}"/>')
        self.marks.append(f'<text class="note" x="{left + 5}" y="{top + 11}">{page_text(name)}</text>')

    def svg(self) -> str:
        """Return the whole picture as an SVG element."""
        parts = [*self._grid(), *self.marks, *self._legend()]
        opening = f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{page_text(self.title)}">'
        return opening + "".join(parts) + "</svg>"

    def _grid(self) -> list[str]:
        """Draw grid lines, the numbers at their ends and both axes' labels."""
        parts = []
        bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
        for tick in self.y.ticks():
            _, y = self.at(self.x.low, tick)
            parts.append(f'<path class="grid" d="M{LEFT} {y}H{right}"/>')
            parts.append(
                f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{page_text(self.y.tick_text(tick))}</text>'
            )
        for tick in self.x.ticks():
            x, _ = self.at(tick, self.y.low)
            parts.append(f'<path class="grid" d="M{x} {TOP}V{bottom}"/>')
            text = page_text(self.x.tick_text(tick))
            parts.append(f'<text x="{x}" y="{bottom + 16}" text-anchor="middle">{text}</text>')
        middle = (TOP + bottom) / 2
        parts.append(f'<text class="label" x="{(LEFT + right) / 2}" y="{HEIGHT - 8}">{page_text(self.x.label)}</text>')
        turned = f'transform="rotate(-90 12 {middle})"'
        parts.append(f'<text class="label" x="12" y="{middle}" {turned}>{page_text(self.y.label)}</text>')
        return parts

    def _legend(self) -> list[str]:
        """Draw a sample of each kind of mark with its name, side by side above the frame."""
        parts, x = [], float(LEFT)
        for name, style, kind in self.legend:
            if kind == "area":
                sample = f'<rect class="area {style}" x="{x}" y="8" width="14" height="10"/>'
            elif kind == "line":
                sample = f'<path class="line {style}" d="M{x} 13h18"/>'
            else:
                sample = f'<g class="point {style}">{marker(x + 7, 13, style)}</g>'
            parts.append(f'{sample}<text x="{x + 22}" y="17">{page_text(name)}</text>')
            x += 34 + LETTER * len(name)
        return parts


def marker(x: float, y: float, style: str) -> str:
    """Return a circle, a square or a diamond around a point in pixels: the shape tells models apart without colour."""
    if style == "challenger":
        return f'<circle cx="{x}" cy="{y}" r="3.6"/>'
    if style == "champion":
        return f'<rect x="{x - 3.3:.1f}" y="{y - 3.3:.1f}" width="6.6" height="6.6"/>'
    return f'<path d="M{x} {y - 6:.1f}l6 6l-6 6l-6 -6z"/>'


def _hint(text: str) -> str:
    """Return the SVG element whose text a browser shows when its parent is pointed at."""
    return f"<title>{page_text(text)}</title>"


def _joined(points: Sequence[tuple[float, float]]) -> str:
    """Write points as an SVG attribute has them."""
    return " ".join(f"{x},{y}" for x, y in points)


def _round_ticks(low: float, high: float, *, whole: bool) -> list[float]:
    """Return the multiples of 1, 2, 2.5, 5 or 10 times a power of ten that lie on the axis."""
    rough = (high - low) / TICKS
    power = 10.0 ** floor(log10(rough))
    step = next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= rough)
    step = max(1.0, round(step)) if whole else step
    return [n * step + 0.0 for n in range(ceil(low / step), floor(high / step) + 1)]  # + 0.0 turns −0.0 into 0.0
