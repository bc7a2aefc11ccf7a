"""The report's charts: numbers in, one SVG string out. What a frame and its marks look like is in `plot`.

The challenger is drawn first, in round marks and solid lines; what it is compared with in square marks and dashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

from ctr_retrain.models.charts.plot import Axis, Plot
from ctr_retrain.models.number_format import compact, number, percent

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import date

    from ctr_retrain.models.judging.metrics import ReliabilityBin


@dataclass(frozen=True)
class RatioDay:
    """One channel's positive ratio of a day, with the band outside which it would have raised an alert."""

    day: date
    ratio: float | None
    low: float | None = None
    high: float | None = None
    alert: bool = False


@dataclass(frozen=True)
class CostCurve:
    """One channel's cost per 1,000 impressions over the threshold; curves: model → (thresholds,).

    at_threshold: what each model costs at `threshold`, where decisions are made.
    """

    thresholds: Sequence[float]
    curves: Mapping[str, Sequence[float]]
    threshold: float
    at_threshold: Mapping[str, float | None]
    send_all: float
    send_none: float


def reliability_chart(models: Mapping[str, Sequence[ReliabilityBin]]) -> str:
    """Seen against predicted ratio of each model's bins with their intervals, both axes logarithmic.

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
    for shift, (name, model) in enumerate(models.items()):
        for b in model:
            words = f"{name}: predicted {percent(b.mean_probability)}, seen {percent(b.rate)} of {b.rows:,}"
            plot.interval(b.mean_probability, b.low, b.high, _style(shift))
            plot.point(b.mean_probability, b.rate, _style(shift), words)
    plot.legend = [*((name, _style(i), "point") for i, name in enumerate(models)), ("perfect", "reference", "line")]
    return plot.svg()


def cost_chart(channel: str, curve: CostCurve) -> str:
    """Cost over the threshold of each model, marked where decisions are made, beside sending all and sending none."""
    costs = [value for values in curve.curves.values() for value in values if isfinite(value)]
    plot = Plot(
        f"Cost of channel {channel} over the threshold",
        Axis(min(curve.thresholds), max(curve.thresholds), "send from this probability on", percent, log=True),
        Axis(*_around([*costs, curve.send_all, curve.send_none]), "cost per 1,000 impressions", number),
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
    """Positive ratio by day with the band that each day's own history gives it; days that alert stand out."""
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
    """Share of eventual positives that has landed, by age in days from 0 on; name → (ages,)."""
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
    """Share of the training weight by age of the day; the line is what recency alone gives to days of equal size."""
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
    """Weighted training loss, smoothed, over the rows seen."""
    rows, losses = [float(row) for row, _ in history], [loss for _, loss in history]
    plot = Plot(
        "Training loss over rows",
        Axis(0, max(rows), "rows seen", compact),
        Axis(*_around([loss for loss in losses if isfinite(loss)]), "weighted loss, nats per row", number),
    )
    plot.line(rows, losses, "challenger")
    return plot.svg()


def trend_chart(days: Sequence[date], costs: Mapping[str, Sequence[float | None]]) -> str:
    """Cost per 1,000 impressions of each model by day; a day without a figure is left out."""
    seen = [value for values in costs.values() for value in values if value is not None]
    plot = Plot(
        "Cost per 1,000 impressions by day",
        _days_axis(days),
        Axis(*_around(seen), "cost per 1,000 impressions", number),
    )
    for index, (name, values) in enumerate(costs.items()):
        known = [(i, value) for i, value in enumerate(values) if value is not None]
        plot.line([i for i, _ in known], [value for _, value in known], _style(index))
        for i, value in known:
            plot.point(i, value, _style(index), f"{days[i]}, {name}: {number(value)}")
    plot.legend = [(name, _style(i), "point") for i, name in enumerate(costs)]
    return plot.svg()


def freshness_chart(curve: Sequence[Mapping[str, Any]]) -> str:
    """Log loss by age of the data, less the youngest's, with paired intervals; points as `compare` writes them."""
    base = curve[0]["log_loss"]
    points = [(p["age_days"], p["log_loss"] - base, p["low"] - base, p["high"] - base) for p in curve]
    ends = [bound for _, *bounds in points for bound in bounds if isfinite(bound)]
    oldest = max(age for age, *_ in points)
    plot = Plot(
        "Log loss by age of the data, less the youngest's",
        Axis(-0.4, oldest + 0.4, "days between the window's end and the newest possible", number, whole=True),
        Axis(*_around([*ends, 0.0]), "log loss less the youngest's", number),
    )
    plot.across(0.0, "youngest")
    plot.line([age for age, *_ in points], [value for _, value, *_ in points], "challenger")
    for age, value, low, high in points:
        plot.interval(age, low, high, "challenger")
        plot.point(age, value, "challenger", f"{age} days old: {number(value)} ({number(low)} to {number(high)})")
    return plot.svg()


def _style(index: int) -> str:
    """The class of a model's marks: the challenger comes first."""
    return ("challenger", "champion")[min(index, 1)]


def _days_axis(days: Sequence[date]) -> Axis:
    """Days by their position, evenly spaced."""
    return Axis(-0.6, len(days) - 0.4, "day, UTC", lambda i: f"{days[round(i)]:%d %b}", whole=True)


def _around(values: Sequence[float]) -> tuple[float, float]:
    """The values' range with some air; never empty."""
    low, high = min(values, default=0.0), max(values, default=1.0)
    air = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - air, high + air
