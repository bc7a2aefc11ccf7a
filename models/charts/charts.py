"""The report's charts: each function takes numbers and returns one SVG string. `plot` draws the frame and its marks.

The challenger is drawn first, in round marks and solid lines; the model beside it in square marks and dashed lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING

from ctr_retrain.models.charts.plot import Axis, Plot
from ctr_retrain.models.number_format import compact, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from ctr_retrain.models.documents.comparison_documents import FreshnessPoint
    from ctr_retrain.models.documents.evaluation_documents import ReliabilityBin


@dataclass(frozen=True)
class RatioDay:
    """One channel's positive ratio of a day, with the band outside which it would have raised an alert."""

    day: date
    ratio: float | None  # None: no figure for the day, nothing is drawn
    low: float | None = None  # the band's ends; None while the history is too short for a band
    high: float | None = None
    alert: bool = False  # drawn so that it stands out


@dataclass(frozen=True)
class CostCurve:
    """One channel's cost over the threshold from which an impression is sent. All costs are per 1,000 impressions."""

    thresholds: Sequence[float]  # the probabilities at which the curves are known
    curves: Mapping[str, Sequence[float]]  # model → cost at each of `thresholds`
    threshold: float  # where decisions are made
    at_threshold: Mapping[str, float | None]  # model → cost at `threshold`; None where it has none
    send_all: float  # cost of sending every impression
    send_none: float  # cost of sending none


def reliability_chart(models: Mapping[str, Sequence[ReliabilityBin]]) -> str:
    """Draw seen against predicted ratio of each model's bins with their intervals, both axes logarithmic.

    A bin without a positive lies on the lower edge.
    """
    bins = [b for model in models.values() for b in model if isfinite(b.mean_probability)]
    seen = [v for b in bins for v in (b.mean_probability, b.rate, b.high) if v > 0] or [0.001, 0.1]
    low, high = min(seen) / 1.3, min(1.0, max(seen) * 1.1)
    plot = Plot(
        "Reliability: predicted against seen positive ratio",
        Axis(low, high, "predicted probability", percent, log=True),
        Axis(low, high, "seen positive ratio", percent, log=True),
    )
    plot.line([low, high], [low, high], "reference")
    for index, (name, model) in enumerate(models.items()):
        for b in model:
            hint = f"{name}: predicted {percent(b.mean_probability)}, seen {percent(b.rate)} of {b.rows:,}"
            plot.interval(b.mean_probability, b.low, b.high, _style(index))
            plot.point(b.mean_probability, b.rate, _style(index), hint)
    plot.legend = [*((name, _style(i), "point") for i, name in enumerate(models)), ("perfect", "reference", "line")]
    return plot.svg()


def cost_chart(channel: str, curve: CostCurve) -> str:
    """Draw each model's cost over the threshold, marked where decisions are made, beside sending all and none."""
    costs = [value for values in curve.curves.values() for value in values if isfinite(value)]
    plot = Plot(
        f"Cost of channel {channel} over the threshold",
        Axis(min(curve.thresholds), max(curve.thresholds), "send from this probability on", percent, log=True),
        Axis(*_padded_range([*costs, curve.send_all, curve.send_none]), "cost per 1,000 impressions", number),
    )
    plot.across(curve.send_all, "send all")
    plot.across(curve.send_none, "send none")
    plot.upright(curve.threshold, f"t* = {percent(curve.threshold)}")
    for index, (name, values) in enumerate(curve.curves.items()):
        plot.line(curve.thresholds, values, _style(index))
        at = curve.at_threshold.get(name)
        if at is not None:
            plot.point(curve.threshold, at, _style(index), f"{name} at t*: {number(at)} per 1,000 impressions")
    plot.legend = [(name, _style(i), "line") for i, name in enumerate(curve.curves)]
    return plot.svg()


def ratio_chart(channel: str, days: Sequence[RatioDay]) -> str:
    """Draw a channel's positive ratio by day over the band that each day's own history gives; alerts stand out."""
    largest = max((d.ratio for d in days if d.ratio), default=0.01)
    highest = max((d.high for d in days if d.high is not None), default=0.0)
    top = 1.12 * max(largest, min(highest, 2 * largest))  # a band without an upper end must not flatten the rest
    plot = Plot(
        f"Positive ratio of channel {channel} by day",
        _days_axis([d.day for d in days]),
        Axis(0, top, "positives seen by the day's end", percent),
    )
    band = [(i, d.low, d.high) for i, d in enumerate(days) if d.low is not None and d.high is not None]
    plot.band(band, "band")
    seen = [(i, d) for i, d in enumerate(days) if d.ratio is not None]
    plot.line([i for i, _ in seen], [d.ratio or 0.0 for _, d in seen], "challenger")
    for i, d in seen:
        expected = f", expected {percent(d.low)} to {percent(d.high or 0)}" if d.low is not None else ""
        style = "alert" if d.alert else "challenger"
        plot.point(i, d.ratio or 0.0, style, f"{d.day}: {percent(d.ratio or 0.0)}{expected}")
    plot.legend = [("seen by the day's end", "challenger", "point")]
    plot.legend += [("alert", "alert", "point")] if any(d.alert for d in days) else []
    plot.legend += [("no alert within", "band", "area")] if band else []
    return plot.svg()


def maturity_chart(curves: Mapping[str, Sequence[float]]) -> str:
    """Draw the share of eventual positives that has landed over the day's age; curves: name → share at ages 0, 1, …."""
    oldest = max(len(shares) for shares in curves.values()) - 1
    plot = Plot(
        "Share of eventual positives that has landed, by age of the day",
        Axis(-0.3, oldest + 0.3, "age of the event day, days", lambda x: f"{x:.0f}", whole=True),
        Axis(0, 1.05, "share of eventual positives landed", percent),
    )
    for index, (name, shares) in enumerate(curves.items()):
        plot.line(range(len(shares)), shares, _style(index))
        for age, share in enumerate(shares):
            plot.point(age, share, _style(index), f"{name}, age {age} days: {percent(share)} has landed")
    plot.legend = [(name, _style(i), "point") for i, name in enumerate(curves)]
    return plot.svg()


def weight_chart(ages: Sequence[int], shares: Sequence[float], recency: Sequence[float]) -> str:
    """Draw the share of the training weight by age of the day, in days.

    recency: each day's recency weight; the line shows the shares that it alone would give to days of equal size.
    """
    total = sum(recency)
    alone = [value / total for value in recency]
    oldest = max(ages)
    plot = Plot(
        "Share of the training weight by age of the data",
        Axis(-0.6, oldest + 0.6, "age of the day at the cut, days", lambda x: f"{oldest - x:.0f}", whole=True),
        Axis(0, 1.12 * max(*shares, *alone), "share of all weight", percent),
    )
    for age, share in zip(ages, shares, strict=True):
        plot.bar(oldest - age, share, "challenger", f"age {age} days: {percent(share)} of the weight")
    plot.line([oldest - age for age in ages], alone, "champion")
    plot.legend = [("training day", "challenger", "area"), ("recency alone", "champion", "line")]
    return plot.svg()


def loss_chart(history: Sequence[tuple[int, float]]) -> str:
    """Draw the smoothed weighted training loss, in nats a row, over the rows seen; history: (rows, loss) pairs."""
    rows, losses = [float(row) for row, _ in history], [loss for _, loss in history]
    plot = Plot(
        "Training loss over rows",
        Axis(0, max(rows), "rows seen", compact),
        Axis(*_padded_range([loss for loss in losses if isfinite(loss)]), "weighted loss, nats per row", number),
    )
    plot.line(rows, losses, "challenger")
    return plot.svg()


def trend_chart(days: Sequence[date], costs: Mapping[str, Sequence[float | None]]) -> str:
    """Draw each model's cost per 1,000 impressions by day; a day without a figure is left out."""
    seen = [value for values in costs.values() for value in values if value is not None]
    plot = Plot(
        "Cost per 1,000 impressions by day",
        _days_axis(days),
        Axis(*_padded_range(seen), "cost per 1,000 impressions", number),
    )
    for index, (name, values) in enumerate(costs.items()):
        known = [(i, value) for i, value in enumerate(values) if value is not None]
        plot.line([i for i, _ in known], [value for _, value in known], _style(index))
        for i, value in known:
            plot.point(i, value, _style(index), f"{days[i]}, {name}: {number(value)}")
    plot.legend = [(name, _style(i), "point") for i, name in enumerate(costs)]
    return plot.svg()


def freshness_chart(curve: Sequence[FreshnessPoint]) -> str:
    """Draw how much log loss older training data costs, against the newest, with paired intervals.

    curve: its points, the newest data first.
    """
    points = [
        (point.age_days, *((point.delta.value, *point.delta.limits) if point.delta else (0.0, 0.0, 0.0)))
        for point in curve
    ]
    ends = [bound for _, *bounds in points for bound in bounds if isfinite(bound)]
    oldest = max(age for age, *_ in points)
    plot = Plot(
        "Log loss by age of the data, less the youngest's",
        Axis(-0.4, oldest + 0.4, "days between the window's end and the newest possible", number, whole=True),
        Axis(*_padded_range([*ends, 0.0]), "log loss less the youngest's", number),
    )
    plot.across(0.0, "youngest")
    plot.line([age for age, *_ in points], [value for _, value, *_ in points], "challenger")
    for age, value, low, high in points:
        plot.interval(age, low, high, "challenger")
        plot.point(age, value, "challenger", f"{age} days old: {number(value)} ({number(low)} to {number(high)})")
    return plot.svg()


def _style(index: int) -> str:
    """Return the style class of a model's marks: the first model is the challenger, all others look like champions."""
    return ("challenger", "champion")[min(index, 1)]


def _days_axis(days: Sequence[date]) -> Axis:
    """Build an axis with evenly spaced days, each at its position in the list."""
    return Axis(-0.6, len(days) - 0.4, "day, UTC", lambda i: f"{days[round(i)]:%d %b}", whole=True)


def _padded_range(values: Sequence[float]) -> tuple[float, float]:
    """Return the values' range with some room at both ends; never an empty one."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    padding = 0.08 * (high - low) or 0.1 * abs(high) or 1.0  # equal values have no range to take a share of
    return low - padding, high + padding
