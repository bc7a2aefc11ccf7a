"""Counts of one channel's day, and how far each of its series lies from its level."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from ctr_retrain.models.levels.drift_days import ChannelSeries

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Counts:
    """One channel's day, as it came or with a fault undone; by column, rows and positives of its values."""

    rows: float
    positives: float
    tables: tuple[tuple[Floats, Floats], ...]
    observed: float = 1.0  # share of the positives that were counted and not put in place of lost ones


@dataclass(frozen=True)
class Change:
    """Distances of some series from their levels on a day; arrays of shape (series,)."""

    size: Floats  # on the series' logarithmic scale
    errors: Floats  # in standard errors
    deviation2: Floats  # variance of the size where nothing has changed
    tested: Flags


@dataclass(frozen=True)
class Measures:
    """One channel's day against all of its levels; by column where slices are concerned."""

    ratio: Change
    volume: Change
    contrasts: tuple[Change, ...]
    shares: tuple[Change, ...]


class ContrastDay(NamedTuple):
    """One column's contrasts on a day, and the levels that they were measured against."""

    change: Change
    level: Floats


def counts_of(series: ChannelSeries, index: int) -> Counts:
    """Return the counts of one of the days."""
    tables = tuple((table.rows[index], table.positives[index]) for table in series.tables)
    return Counts(float(series.rows[index]), float(series.positives[index]), tables)


@dataclass
class Frozen:
    """The series of a channel that learn nothing of a day."""

    ratio: bool
    volume: bool
    contrasts: list[Flags]
    shares: list[Flags]

    @classmethod
    def of(cls, counts: Counts, *, complete: bool) -> Frozen:
        """Return flags that let all of a channel's series learn, or but for ratios where outcomes are missing."""
        contrasts = [np.full(len(rows), not complete) for rows, _ in counts.tables]
        shares = [np.zeros(len(rows), bool) for rows, _ in counts.tables]
        return cls(ratio=not complete, volume=False, contrasts=contrasts, shares=shares)
