"""Levels that a channel's days have taught: of its ratio, its volume, and each slice value's ratio and share.

A slice's ratio is held against the rest of its channel, so that what moves all of them cancels: a holiday, a new
placement, the channel's own drift. Each day gives one `Measures`: how far every series lies from its level.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.drift.evidence import counting_variance, log_odds, probability, standard_errors
from ctr_retrain.models.drift.following_level import FollowingLevel, Pace
from ctr_retrain.models.drift.running_sums import RunningSums

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.drift.drift_days import ChannelSeries, SliceTable

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

# Holidays raise a ratio for days: a level that followed them would make the days after them look like a slide.
RATIO = Pace(level=3.0, step=0.015, weekday=0.08, spread=0.04, least_spread=0.015, holidays=True)
VOLUME = Pace(level=20.0, step=0.03, weekday=0.3, spread=0.06, least_spread=0.02)
# Values of a lasting column, such as devices, move together with their channel, but for weekdays.
CONTRAST = Pace(level=0.8, step=0.01, weekday=0.03, spread=0.04, least_spread=0.015)
SHARE = Pace(level=3.0, step=0.02, weekday=0.1, spread=0.05, least_spread=0.02)
# Campaigns come, tire and go.
CAMPAIGN_CONTRAST = Pace(level=0.6, step=0.05, weekday=0.0, spread=0.1, least_spread=0.05)
CAMPAIGN_SHARE = Pace(level=3.0, step=0.1, weekday=0.0, spread=0.15, least_spread=0.05)

FEWEST_DAYS = 5  # of a value's history before it is held against it
DAYS_BEFORE_SUMS = 14  # of a channel's history, before which its days teach level and weekdays more than they err
FEWEST_EXPECTED = 5.0  # positives that a slice must be expected to have: with fewer no day could be told from chance
FEWEST_IN_SUM = 1.5  # the same in a running sum of days
FEWEST_TEACHING = 0.5  # the same of a day that teaches
LASTING_DAYS = 42  # a value that has been there for so long is missed when it is not


@dataclass(frozen=True)
class Counts:
    """One channel's day, as it came or with a fault undone; by column, rows and positives of its values."""

    rows: float
    positives: float
    tables: tuple[tuple[Floats, Floats], ...]


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


def counts_of(series: ChannelSeries, index: int) -> Counts:
    """Return the counts of one of the days."""
    tables = tuple((table.rows[index], table.positives[index]) for table in series.tables)
    return Counts(float(series.rows[index]), float(series.positives[index]), tables)


class ChannelLevels:
    """The levels of one channel; `measure` holds a day against them, `learn` follows it."""

    def __init__(self, tables: Sequence[SliceTable], campaigns: Collection[str]) -> None:
        """Begin without having seen a day; campaigns: columns whose values come and go."""
        self.ratio = FollowingLevel(1, RATIO, mean=-4.0)
        self.volume = FollowingLevel(1, VOLUME)
        paces = [
            (CAMPAIGN_CONTRAST, CAMPAIGN_SHARE) if table.column in campaigns else (CONTRAST, SHARE) for table in tables
        ]
        self.contrasts = [FollowingLevel(len(t.names), pace) for t, (pace, _) in zip(tables, paces, strict=True)]
        self.shares = [
            FollowingLevel(len(t.names), pace, mean=-4.0) for t, (_, pace) in zip(tables, paces, strict=True)
        ]
        self.ratio_sums = RunningSums(1)
        self.contrast_sums = [RunningSums(len(table.names)) for table in tables]

    def copy(self) -> ChannelLevels:
        """Copy all that it knows, so that days can be tried from here in several ways."""
        return deepcopy(self)

    def meet(self, counts: Counts) -> None:
        """Expect of values that nobody has seen yet what others of their column were like when they are met."""
        for place, (rows, _) in enumerate(counts.tables):
            new = (rows > 0) & (self.shares[place].days == 0)
            if new.any():
                self.shares[place].expect_as_others(new)
                self.contrasts[place].expect_as_others(new)

    def measure(self, counts: Counts, weekday: int) -> Measures:
        """Hold a day against the levels of the days before."""
        return Measures(
            ratio=self._ratio(counts, weekday),
            volume=self._volume(counts, weekday),
            contrasts=tuple(self._contrast(counts, place, weekday) for place in range(len(counts.tables))),
            shares=tuple(self._share(counts, place, weekday) for place in range(len(counts.tables))),
        )

    def expected_log_odds(self, counts: Counts, place: int, weekday: int) -> Floats:
        """Return the log-odds that each value of a column is expected to have beside the day's rest of its channel."""
        rows, positives = counts.tables[place]
        # Undone faults leave fractions of positives, of which a rest may have a little less than none.
        rest_rows = np.maximum(counts.rows - rows, 0.0)
        rest = log_odds(np.clip(counts.positives - positives, 0.0, rest_rows), rest_rows)
        return np.asarray(rest + self.contrasts[place].mean(weekday))

    def learn(self, counts: Counts, weekday: int, measures: Measures, frozen: Frozen) -> None:
        """Follow a day; frozen: the series that a fault has touched, which learn nothing of it."""
        rows, positives = np.array([counts.rows]), np.array([counts.positives])
        mean = self.ratio.mean(weekday)
        teaches = np.array([counts.rows > 0 and not frozen.ratio])
        self.ratio_sums.add(measures.ratio.errors, self.ratio.level, teaches & (self.ratio.days >= DAYS_BEFORE_SUMS))
        self.ratio.learn(log_odds(positives, rows), counting_variance(mean, rows), weekday, teaches)
        teaches = np.array([counts.rows > 0 and not frozen.volume])
        self.volume.learn(np.log(rows + 0.5), 1 / (rows + 0.5), weekday, teaches)
        for place, change in enumerate(measures.contrasts):
            self._learn_contrast(counts, place, weekday, change, frozen)
            self._learn_share(counts, place, weekday, frozen)

    def _learn_contrast(self, counts: Counts, place: int, weekday: int, change: Change, frozen: Frozen) -> None:
        """Follow the ratios of a column's values beside the rest of their channel."""
        rows, positives = counts.tables[place]
        level, rest_rows = self.contrasts[place], counts.rows - rows
        expected = self.expected_log_odds(counts, place, weekday)
        rest = expected - level.mean(weekday)
        # Where the rest has hardly a positive, nothing is known of what a value has beside it.
        expected_positives = rows * probability(expected)
        teaches = (rest_rows > 0) & (expected_positives >= FEWEST_TEACHING) & ~frozen.contrasts[place]
        counts_in_sum = (
            teaches
            & (level.days >= FEWEST_DAYS)
            & (self.ratio.days >= DAYS_BEFORE_SUMS)
            & (expected_positives >= FEWEST_IN_SUM)
        )
        self.contrast_sums[place].add(change.errors, level.level, counts_in_sum)
        noise = counting_variance(expected, rows) + counting_variance(rest, rest_rows)
        level.learn(log_odds(positives, rows) - rest, noise, weekday, teaches)

    def _learn_share(self, counts: Counts, place: int, weekday: int, frozen: Frozen) -> None:
        """Follow the shares of rows of a column's values."""
        rows, level = counts.tables[place][0], self.shares[place]
        total = np.full(len(rows), counts.rows)
        noise = counting_variance(level.mean(weekday), total)
        level.learn(log_odds(rows, total), noise, weekday, (rows > 0) & ~frozen.shares[place])

    def _ratio(self, counts: Counts, weekday: int) -> Change:
        """Measure the channel's ratio."""
        rows, expected = np.array([counts.rows]), self.ratio.mean(weekday)
        size = log_odds(np.array([counts.positives]), rows) - expected
        deviation2 = self.ratio.uncertainty(weekday)
        errors = standard_errors(size, expected, deviation2, rows)
        noise = counting_variance(expected, rows)
        return Change(size, errors, deviation2 + noise, np.array([counts.rows > 0]))

    def _volume(self, counts: Counts, weekday: int) -> Change:
        """Measure the channel's volume against its weekday."""
        size = np.log(np.array([counts.rows + 0.5])) - self.volume.mean(weekday)
        deviation2 = self.volume.uncertainty(weekday) + 1 / (counts.rows + 0.5)
        # A channel that is not there is as far away as its usual volume makes it, whatever the logarithm says.
        return Change(size, size / np.sqrt(deviation2), deviation2, np.array([True]))

    def _contrast(self, counts: Counts, place: int, weekday: int) -> Change:
        """Measure the ratios of a column's values beside the rest of their channel."""
        rows, positives = counts.tables[place]
        level, rest_rows = self.contrasts[place], counts.rows - rows
        expected = self.expected_log_odds(counts, place, weekday)
        size = log_odds(positives, rows) - expected
        rest_noise = counting_variance(expected - level.mean(weekday), rest_rows)
        deviation2 = level.uncertainty(weekday) + rest_noise
        known = (level.days >= FEWEST_DAYS) | level.like_others
        tested = (rows * probability(expected) >= FEWEST_EXPECTED) & (rest_rows > 0) & known
        errors = standard_errors(size, expected, deviation2, rows)
        return Change(size, errors, deviation2 + counting_variance(expected, rows), tested)

    def _share(self, counts: Counts, place: int, weekday: int) -> Change:
        """Measure the shares of rows of a column's values."""
        rows, level = counts.tables[place][0], self.shares[place]
        total = np.full(len(rows), counts.rows)
        expected = level.mean(weekday)
        size = log_odds(rows, total) - expected
        noise = counting_variance(expected, total)
        deviation2 = level.uncertainty(weekday)
        there = (rows > 0) | (level.days >= LASTING_DAYS)
        tested = there & ((level.days >= FEWEST_DAYS) | level.like_others) & (counts.rows > 0)
        return Change(size, standard_errors(size, expected, deviation2, total), deviation2 + noise, tested)


@dataclass
class Frozen:
    """The series of a channel that learn nothing of a day."""

    ratio: bool
    volume: bool
    contrasts: list[Flags]
    shares: list[Flags]

    @classmethod
    def none_of(cls, counts: Counts) -> Frozen:
        """Return flags that let all of a channel's series learn."""
        contrasts, shares = ([np.zeros(len(rows), bool) for rows, _ in counts.tables] for _ in range(2))
        return cls(ratio=False, volume=False, contrasts=contrasts, shares=shares)
