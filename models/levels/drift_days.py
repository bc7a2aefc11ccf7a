"""Counts of days as the drift detector reads them: plain values, each day as of its own end, and arrays over days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.data.profile import ChannelCount

if TYPE_CHECKING:
    from datetime import date

    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

MOST_VALUES = 400  # of a slice column: a column of ids tells nothing by value, and would cost a series each


@dataclass(frozen=True)
class ChannelCounts:
    """One channel's impressions of one event day."""

    rows: int  # impressions
    positives: int  # of them, those with a positive outcome landed by the day's end
    hours: int | None = None  # hours with impressions; None where unknown
    slices: Mapping[str, Mapping[str, ChannelCount]] = field(default_factory=dict)  # column → value → its part


@dataclass(frozen=True)
class DriftDay:
    """One day's counts by channel."""

    day: date
    channels: Mapping[str, ChannelCounts]
    lacking: frozenset[str] = frozenset()  # channels whose outcomes are missing: their ratios say nothing


@dataclass(frozen=True)
class SliceTable:
    """One slice column's counts, day by day and value by value."""

    column: str
    names: tuple[str, ...]  # of the values
    rows: Floats  # (days, values)
    positives: Floats  # (days, values)


@dataclass(frozen=True)
class ChannelSeries:
    """One channel's counts over days, oldest first; arrays of shape (days,)."""

    channel: str
    days: tuple[date, ...]
    rows: Floats
    positives: Floats
    hours: Floats  # NaN where unknown
    tables: tuple[SliceTable, ...]
    complete: NDArray[np.bool_]  # False: outcomes are missing, so that positives say nothing


def channel_series(channel: str, days: Sequence[DriftDay]) -> ChannelSeries:
    """Gather one channel's counts of days, which are in order, into arrays."""
    none = ChannelCounts(0, 0)
    counts = [day.channels.get(channel, none) for day in days]
    columns = sorted({column for each in counts for column in each.slices})
    return ChannelSeries(
        channel=channel,
        days=tuple(day.day for day in days),
        rows=np.array([each.rows for each in counts], float),
        positives=np.array([each.positives for each in counts], float),
        hours=np.array([np.nan if each.hours is None else each.hours for each in counts], float),
        tables=tuple(_slice_table(column, [each.slices.get(column, {}) for each in counts]) for column in columns),
        complete=np.array([channel not in day.lacking for day in days], bool),
    )


def _slice_table(column: str, days: Sequence[Mapping[str, ChannelCount]]) -> SliceTable:
    """Gather one column's counts; of very many values those with the most impressions."""
    sizes: Counter[str] = Counter()
    for day in days:
        sizes.update({value: count.rows for value, count in day.items()})
    names = tuple(sorted(value for value, _ in sizes.most_common(MOST_VALUES)))
    place = {value: index for index, value in enumerate(names)}
    rows, positives = np.zeros((2, len(days), len(names)))
    for index, day in enumerate(days):
        for value, count in day.items():
            if value in place:
                rows[index, place[value]] = count.rows
                positives[index, place[value]] = count.positives
    return SliceTable(column, names, rows, positives)
