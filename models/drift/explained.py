"""Explanations: the figures of a fault, and how much of a change is mix and how much rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.levels.evidence import log_odds, probability, standard_errors

if TYPE_CHECKING:
    from ctr_retrain.models.drift.cleaned_day import CleanedDay
    from ctr_retrain.models.drift.faults import Fault
    from ctr_retrain.models.levels.channel_levels import ChannelLevels
    from ctr_retrain.models.levels.measures import Counts


USUAL = 3.0  # standard errors within which a figure is not unusual
SIZES = np.linspace(0.0, 8.0, 801)[1:]  # of changes of log-odds that are asked whether they would alert


@dataclass(frozen=True)
class Explained:
    """Figures of a fault's day. Rows and positives are the slice's, or the channel's where the whole of it is meant."""

    rows: float
    positives: float
    expected_rows: float
    expected_positives: float
    share: float | None  # of the change of its channel's positives (or rows) that the fault explains, 0 to 1
    channel_ratio: float
    expected_ratio: float  # of the channel
    mix: float | None  # the part of the ratio's change, in log-odds, that comes from other shares of the values
    errors: float  # standard errors of the fault's series today
    low: float  # of the fault's own figure, a ratio or impressions: the least that is not unusual
    high: float  # the most


def explain(fault: Fault, counts: Counts, day: CleanedDay) -> Explained:
    """Put together a fault's figures; counts: of its day as it came; day: without the faults before it."""
    levels, weekday, cleaned = day.levels, day.weekday, day.counts
    without = day.without(fault).counts
    change, index = fault.change_in(day.measures)
    expected_rate = float(probability(np.array(levels.expected_ratio(counts, weekday))))
    expected_volume = float(np.exp(levels.volume.mean(weekday))[0])
    if fault.of_slice:
        had, has = (part[fault.place] for part in (without.tables, cleaned.tables))
        figures = [float(part[fault.value]) for part in (*has, *had)]
    elif fault.aspect == "volume":
        figures = [counts.rows, counts.positives, expected_volume, expected_volume * expected_rate]
    else:
        figures = [counts.rows, counts.positives, counts.rows, counts.rows * expected_rate]
    low, high = _usual(fault, figures[2], figures[3], USUAL * float(np.sqrt(change.deviation2[index])))
    return Explained(
        rows=figures[0],
        positives=figures[1],
        expected_rows=figures[2],
        expected_positives=figures[3],
        share=_share_of_change(fault, counts, cleaned, without, expected_rate, expected_volume),
        channel_ratio=counts.positives / counts.rows if counts.rows else 0.0,
        expected_ratio=expected_rate,
        mix=_mix(counts, levels, weekday),
        errors=float(change.errors[index]),
        low=low,
        high=high,
    )


def usual_ratios(expected: float, deviation2: float, rows: float, errors: float, fall: float) -> tuple[float, float]:
    """Return the lowest and highest ratio of a day that alert on no day alone, by evidence and by size."""
    limits = []
    for sign, least in ((-1, fall), (1, 2 * fall)):
        sizes = SIZES[least <= SIZES]
        found = np.abs(standard_errors(sign * sizes, np.array(expected), np.array(deviation2), np.array(rows)))
        beyond = found >= errors
        limits.append(expected + sign * (float(sizes[beyond.argmax()]) if beyond.any() else 50.0))
    low, high = probability(np.array(limits))
    return float(low), float(high)


def _usual(fault: Fault, rows: float, positives: float, spread: float) -> tuple[float, float]:
    """Return the least and the most of a fault's own figure that would not be unusual; spread: on its own scale."""
    if fault.aspect in {"volume", "share"}:
        return rows * float(np.exp(-spread)), rows * float(np.exp(spread))
    level = log_odds(np.array([positives]), np.array([max(rows, positives)]))[0]
    low, high = probability(np.array([level - spread, level + spread]))
    return float(low), float(high)


def _share_of_change(
    fault: Fault, counts: Counts, cleaned: Counts, without: Counts, rate: float, volume: float
) -> float | None:
    """Return the share of the channel's change that a slice's fault explains; None where its channel is as usual."""
    if not fault.of_slice:
        return 1.0
    if fault.aspect == "share":
        change, own = counts.rows - volume, cleaned.rows - without.rows
    else:
        change, own = counts.positives - rate * counts.rows, cleaned.positives - without.positives
    return float(np.clip(own / change, 0.0, 1.0)) if change * own > 0 else None


def _mix(counts: Counts, levels: ChannelLevels, weekday: int) -> float | None:
    """Return the change of the channel's log-odds that today's shares of a column's values bring at usual ratios.

    Of several columns the one that brings most; None where there is no column with history.
    """
    found = []
    for place, (rows, _) in enumerate(counts.tables):
        known = (rows > 0) & (levels.contrasts[place].days > 0)
        if known.sum() < 2:
            continue
        usual = probability(levels.ratio.mean(weekday)[0] + levels.contrasts[place].mean(weekday)[known])
        shares = probability(levels.shares[place].mean(weekday)[known])
        today = rows[known] / rows[known].sum()
        found.append(float(np.log(today @ usual) - np.log(shares @ usual / shares.sum())))
    return max(found, key=abs) if found else None
