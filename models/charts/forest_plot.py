"""A forest plot: one row a comparison, its difference and interval beside a line at zero; the result is an SVG string.

As in `plot`, colours come from the page's style sheet, and a mark shows a text when pointed at. A difference that is
surely better is drawn as a circle, one that is surely worse as a diamond, the rest as squares.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from ctr_retrain.models.charts.plot import Axis, marker
from ctr_retrain.models.number_format import number
from ctr_retrain.models.outside_text import page_text

if TYPE_CHECKING:
    from collections.abc import Sequence

# Pixels: the picture's width, its four margins (the left one holds the names), and the height of a row.
WIDTH, LEFT, RIGHT, TOP, ROW, BOTTOM = 560, 190, 20, 10, 26, 44


@dataclass(frozen=True)
class ForestRow:
    """One comparison with the baseline."""

    name: str
    value: float  # the difference; below zero is better
    low: float  # the interval's ends; infinite ones reach the edge
    high: float
    verdict: str  # better | worse | open: surely better, surely worse, or neither
    hint: str  # shown when the mark is pointed at


# The style classes of `plot`, for the sake of their colours and shapes: circle, square, diamond.
STYLES = {"better": "challenger", "open": "champion", "worse": "alert"}


def forest_chart(title: str, axis_label: str, rows: Sequence[ForestRow], limit: float = 0.0) -> str:
    """Draw differences from a baseline, which is the line at zero; below it is better.

    limit: a difference that is still allowed, a line of its own unless it is 0.
    """
    ends = [bound for row in rows for bound in (row.value, row.low, row.high) if isfinite(bound)] + [0.0, limit]
    padding = 0.06 * (max(ends) - min(ends)) or 1.0
    axis = Axis(min(ends) - padding, max(ends) + padding, axis_label, number)
    height = TOP + ROW * len(rows) + BOTTOM
    bottom = height - BOTTOM
    parts = [f'<svg viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{page_text(title)}">']
    for tick in axis.ticks():
        x = _x(axis, tick)
        parts.append(f'<path class="grid" d="M{x} {TOP}V{bottom}"/>')
        parts.append(f'<text class="label" x="{x}" y="{bottom + 17}">{page_text(number(tick))}</text>')
    middle = (LEFT + WIDTH - RIGHT) / 2
    parts.append(f'<text class="label" x="{middle}" y="{height - 6}">{page_text(axis_label)}</text>')
    for place in dict.fromkeys((0.0, limit)):
        kind = "limit" if place else "upright"
        parts.append(f'<path class="line {kind}" d="M{_x(axis, place)} {TOP}V{bottom}"/>')
    parts += [_row_marks(axis, row, TOP + ROW * index + ROW / 2) for index, row in enumerate(rows)]
    return "".join([*parts, "</svg>"])


def _row_marks(axis: Axis, row: ForestRow, y: float) -> str:
    """Draw a comparison's name, interval and mark at the height y, in pixels."""
    style = STYLES[row.verdict]
    return (
        f'<text x="{LEFT - 10}" y="{y + 4}" text-anchor="end">{page_text(row.name)}</text>'
        f'<path class="interval {style}" d="M{_x(axis, row.low)} {y}H{_x(axis, row.high)}"/>'
        f'<g class="point {style}">{marker(_x(axis, row.value), y, style)}<title>{page_text(row.hint)}</title></g>'
    )


def _x(axis: Axis, value: float) -> float:
    """Return the pixel of a value between the two margins."""
    return round(LEFT + (WIDTH - LEFT - RIGHT) * axis.share(value), 1)
