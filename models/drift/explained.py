"""Explanations: the figures of a fault, and how much of a change is mix and how much rate."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.drift.evidence import probability

if TYPE_CHECKING:
    from ctr_retrain.models.drift.channel_levels import ChannelLevels, Counts, Measures
    from ctr_retrain.models.drift.faults import Fault


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
    low: float  # of the channel's ratio, the least that is not unusual
    high: float


def explain(
    fault: Fault,
    counts: Counts,
    cleaned: Counts,
    without: Counts,
    levels: ChannelLevels,
    weekday: int,
    measures: Measures,
) -> Explained:
    """Put together a fault's figures; cleaned: without the faults before it, without: without it too."""  # fmt: skip
    change, index = fault.change_in(measures)
    expected_rate = float(probability(levels.ratio.mean(weekday))[0])
    expected_volume = float(np.exp(levels.volume.mean(weekday))[0])
    if fault.of_slice:
        had, has = (part[fault.place] for part in (without.tables, cleaned.tables))
        figures = [float(part[fault.value]) for part in (*has, *had)]
    elif fault.aspect == "volume":
        figures = [counts.rows, counts.positives, expected_volume, expected_volume * expected_rate]
    else:
        figures = [counts.rows, counts.positives, counts.rows, counts.rows * expected_rate]
    spread = 3 * float(np.sqrt(measures.ratio.deviation2[0]))
    level = float(levels.ratio.mean(weekday)[0])
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
        low=float(probability(np.array(level - spread))),
        high=float(probability(np.array(level + spread))),
    )


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
