"""Levels that a channel's days have taught: of its ratio, its volume, and each slice value's ratio and share.

A slice's ratio is held against the rest of its channel, so that what moves all of them cancels: a holiday, a new
placement, the channel's own drift. Each day gives one `Measures`: how far every series lies from its level.
"""

from __future__ import annotations

from copy import deepcopy
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.levels.campaign_mix import CampaignAges, CampaignDay, CommonRatio
from ctr_retrain.models.levels.evidence import counting_variance, log_odds, probability, standard_errors
from ctr_retrain.models.levels.following_level import FollowingLevel, Pace
from ctr_retrain.models.levels.measures import Change, ContrastDay, Counts, Frozen, Measures
from ctr_retrain.models.levels.running_sums import RunningSums
from ctr_retrain.models.levels.slide_evidence import SlideEvidence
from ctr_retrain.models.levels.unusual_days import UnusualDays

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.levels.drift_days import SliceTable

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

# Holidays raise a ratio for days: a level that followed them would make the days after them look like a slide. One
# series learns slowly how much its days differ: chance makes as much of a few days as a change of their law does.
RATIO = Pace(
    level=3.0, step=0.0185, weekday=0.08, spread=0.03, least_spread=0.015, holidays=True, memory_days=80, settles=True
)
VOLUME = Pace(level=20.0, step=0.03, weekday=0.3, spread=0.06, least_spread=0.02)
# Values of a lasting column, such as devices, move together with their channel, but for weekdays.
CONTRAST = Pace(level=0.8, step=0.01, weekday=0.03, spread=0.04, least_spread=0.015)
SHARE = Pace(level=3.0, step=0.02, weekday=0.1, spread=0.05, least_spread=0.02)
# Campaigns come, tire and go.
CAMPAIGN_CONTRAST = Pace(level=0.6, step=0.05, weekday=0.0, spread=0.1, least_spread=0.05)
CAMPAIGN_SHARE = Pace(level=3.0, step=0.1, weekday=0.0, spread=0.15, least_spread=0.05)

FEWEST_DAYS = 5  # of a value's history before it is held against it
DAYS_BEFORE_SUMS = 28  # of a channel's history, before which its days teach level, weekdays and how campaigns tire
FEWEST_EXPECTED = 5.0  # positives that a slice must be expected to have: with fewer no day could be told from chance
FEWEST_IN_SUM = 1.5  # the same in a running sum of days
FEWEST_TEACHING = 0.5  # the same of a day that teaches
RECENT_DAYS = 10  # whose contrasts are kept, to ask what began on one of them
LASTING_DAYS = 42  # a value that has been there for so long is missed when it is not


class ChannelLevels:
    """The levels of one channel; `measure` holds a day against them, `learn` follows it."""

    def __init__(self, tables: Sequence[SliceTable], campaigns: Collection[str]) -> None:
        """Begin without having seen a day; campaigns: columns whose values come and go."""
        self.ratio = FollowingLevel(1, RATIO, mean=-4.0)
        self.volume = FollowingLevel(1, VOLUME)
        self.unusual_days = UnusualDays()
        paces = [
            (CAMPAIGN_CONTRAST, CAMPAIGN_SHARE) if table.column in campaigns else (CONTRAST, SHARE) for table in tables
        ]
        self.contrasts = [FollowingLevel(len(t.names), pace) for t, (pace, _) in zip(tables, paces, strict=True)]
        self.shares = [
            FollowingLevel(len(t.names), pace, mean=-4.0) for t, (_, pace) in zip(tables, paces, strict=True)
        ]
        self.ages = [CampaignAges(len(t.names)) if t.column in campaigns else None for t in tables]
        self.slides = SlideEvidence()
        self.recent: list[list[ContrastDay]] = [[] for _ in tables]  # days that taught, the newest last
        self.contrast_sums = [RunningSums(len(table.names)) for table in tables]

    def copy(self) -> ChannelLevels:
        """Copy all that it knows, so that days can be tried from here in several ways."""
        return deepcopy(self)

    def meet(self, counts: Counts, day: int) -> None:
        """Begin a day, by its index; of values that nobody has seen yet expect what others of their column are like."""
        for place, (rows, _) in enumerate(counts.tables):
            ages, contrast = self.ages[place], self.contrasts[place]
            if ages:
                contrast.level = contrast.level + ages.meet(rows, day)
            new = (rows > 0) & (self.shares[place].days == 0)
            if new.any():
                self.shares[place].expect_as_others(new)
                contrast.expect_as_others(new, ages.effects() if ages else None)

    def measure(self, counts: Counts, weekday: int) -> Measures:
        """Hold a day against the levels of the days before."""
        campaigns = self._campaign_days(counts, weekday)
        return Measures(
            ratio=self._ratio(counts, weekday, campaigns),
            volume=self._volume(counts, weekday),
            contrasts=tuple(self._contrast(counts, place, weekday, day) for place, day in enumerate(campaigns)),
            shares=tuple(self._share(counts, place, weekday) for place in range(len(counts.tables))),
        )

    def expected_log_odds(self, counts: Counts, place: int, weekday: int) -> Floats:
        """Return the log-odds that each value of a column is expected to have beside the day's rest of its channel."""
        return self._expected_beside(counts, place, weekday, self._campaign_day(counts, place, weekday))

    def _expected_beside(self, counts: Counts, place: int, weekday: int, campaigns: CampaignDay | None) -> Floats:
        """Return the same, with the day's campaigns where the column holds them."""
        if campaigns:
            return campaigns.expected_beside_others()[:-1]
        rows, positives = counts.tables[place]
        # Undone faults leave fractions of positives, of which a rest may have a little less than none.
        rest_rows = np.maximum(counts.rows - rows, 0.0)
        rest = log_odds(np.clip(counts.positives - positives, 0.0, rest_rows), rest_rows)
        return np.asarray(rest + self.contrasts[place].mean(weekday))

    def _campaign_day(self, counts: Counts, place: int, weekday: int) -> CampaignDay | None:
        """Put a column's campaigns beside what is expected of each, last all that belongs to none; None of others."""
        if not self.ages[place]:
            return None
        rows, positives = counts.tables[place]
        usual = self._usual_ratio(counts, weekday)
        expected = usual + self.contrasts[place].mean(weekday)
        return CampaignDay(
            np.append(rows, max(counts.rows - rows.sum(), 0.0)),
            np.append(positives, max(counts.positives - positives.sum(), 0.0)),
            np.append(expected, usual),
            np.append(self.contrasts[place].uncertainty(weekday), 0.0),
        )

    def _campaign_days(self, counts: Counts, weekday: int) -> list[CampaignDay | None]:
        """Return the day's campaigns by column; None where a column holds others than campaigns."""
        return [self._campaign_day(counts, place, weekday) for place in range(len(counts.tables))]

    def expected_ratio(self, counts: Counts, weekday: int) -> float:
        """Return the log-odds that are expected of the channel's ratio with the day's campaigns."""
        day = _first_with_rows(self._campaign_days(counts, weekday), counts)
        return day.expected() if day else float(self._usual_ratio(counts, weekday)[0])

    def ratio_uncertainty(self, counts: Counts, weekday: int) -> Floats:
        """Return the variance of a day's ratio around what is expected of it, without counting noise."""
        return self.ratio.uncertainty(weekday) + self.unusual_days.uncertainty(self._unusual(counts, weekday))

    def _usual_ratio(self, counts: Counts, weekday: int) -> Floats:
        """Return the log-odds expected of what a day's campaigns have in common."""
        return self.ratio.mean(weekday) + self.unusual_days.mean(self._unusual(counts, weekday))

    def _unusual(self, counts: Counts, weekday: int) -> int | None:
        """Return which kind of day a volume makes, if an unusual one."""
        return self.unusual_days.kind(self._volume(counts, weekday), float(self.volume.days[0]))

    def learn(self, counts: Counts, weekday: int, measures: Measures, frozen: Frozen) -> None:
        """Follow a day; frozen: the series that a fault has touched, which learn nothing of it."""
        for place, change in enumerate(measures.contrasts):
            day = ContrastDay(change, self.contrasts[place].level)
            self.recent[place] = [*self.recent[place][-RECENT_DAYS + 1 :], day]
            self._learn_contrast(counts, place, weekday, change, frozen)
            self._learn_share(counts, place, weekday, frozen)
        rows, teaches = np.array([counts.rows]), np.array([counts.rows > 0 and not frozen.volume])
        self._learn_ratio(weekday, measures, frozen, teaches=bool(counts.rows and not frozen.ratio))
        self.volume.learn(np.log(rows + 0.5), 1 / (rows + 0.5), weekday, teaches)

    def _learn_ratio(self, weekday: int, measures: Measures, frozen: Frozen, *, teaches: bool) -> None:
        """Follow what is common to a day's campaigns."""
        if teaches and self.ratio.days[0] >= DAYS_BEFORE_SUMS:
            gain = float(self.ratio.variance[0] / measures.ratio.deviation2[0])
            self.slides = self.slides_after(measures)
            self.slides.follow(gain, float(self.ratio.level[0]))
        size, deviation2 = measures.ratio.size, measures.ratio.deviation2
        noise = deviation2 - self.ratio.uncertainty(weekday)
        self.ratio.learn(self.ratio.mean(weekday) + size, noise, weekday, np.array([teaches]))
        self.unusual_days.learn(
            measures.volume,
            float(self.volume.days[0]),
            float(size[0]),
            float(deviation2[0]),
            teaches=teaches and not frozen.volume,
        )

    def shift(self, clean: Measures, typical: Measures) -> None:
        """Follow a fault of one slice that is normal now: what it does to its channel and to the other slices.

        clean, typical: a day without it, against the levels of before, and one with it, against its own new level.
        """
        by = typical.ratio.size - clean.ratio.size
        self.ratio.shift(by)
        self.slides.levels = self.slides.levels + by
        self.volume.shift(typical.volume.size - clean.volume.size)
        for place, contrast in enumerate(self.contrasts):
            by = typical.contrasts[place].size - clean.contrasts[place].size
            contrast.shift(by)
            self.contrast_sums[place].anchor = self.contrast_sums[place].anchor + by
            self.recent[place] = [ContrastDay(day.change, day.level + by) for day in self.recent[place]]
            self.shares[place].shift(typical.shares[place].size - clean.shares[place].size)

    def slides_after(self, measures: Measures) -> SlideEvidence:
        """Return what the days say of a slide with one more day."""
        return self.slides.after(float(measures.ratio.errors[0]), float(measures.ratio.deviation2[0]) ** 0.5)

    def slid(self, slides: SlideEvidence, way: int, size: float) -> float:
        """Return how far the ratio has gone since the likeliest change began; size: today's distance from its level."""
        today = float(self.ratio.level[0])
        return today - slides.level_before(way, today) + size / 2

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
        ages = self.ages[place]
        if ages and counts.rows:
            ages.learn(rows, positives, counts.positives / counts.rows)

    def _learn_share(self, counts: Counts, place: int, weekday: int, frozen: Frozen) -> None:
        """Follow the shares of rows of a column's values."""
        rows, level = counts.tables[place][0], self.shares[place]
        total = np.full(len(rows), counts.rows)
        noise = counting_variance(level.mean(weekday), total)
        level.learn(log_odds(rows, total), noise, weekday, (rows > 0) & ~frozen.shares[place])

    def _ratio(self, counts: Counts, weekday: int, campaigns: Sequence[CampaignDay | None]) -> Change:
        """Measure the channel's ratio, by what is common to the day's campaigns."""
        day, usual = _first_with_rows(campaigns, counts), float(self._usual_ratio(counts, weekday)[0])
        whole = day.whole() if day else CommonRatio(counts.rows, counts.positives, usual, 0.0)
        common = whole.scaled(counts.observed)
        rows, expected = np.array([common.rows]), np.array([common.expected])
        size = log_odds(np.array([common.positives]), rows) - expected
        deviation2 = self.ratio_uncertainty(counts, weekday) + common.variance
        errors = standard_errors(size, expected, deviation2, rows)
        noise = counting_variance(expected, rows)
        return Change(size, errors, deviation2 + noise, np.array([counts.rows > 0]))

    def _volume(self, counts: Counts, weekday: int) -> Change:
        """Measure the channel's volume against its weekday."""
        size = np.log(np.array([counts.rows + 0.5])) - self.volume.mean(weekday)
        deviation2 = self.volume.uncertainty(weekday) + 1 / (counts.rows + 0.5)
        # A channel that is not there is as far away as its usual volume makes it, whatever the logarithm says.
        return Change(size, size / np.sqrt(deviation2), deviation2, np.array([True]))

    def _contrast(self, counts: Counts, place: int, weekday: int, campaigns: CampaignDay | None) -> Change:
        """Measure the ratios of a column's values beside the rest of their channel."""
        rows, positives = counts.tables[place]
        level, rest_rows = self.contrasts[place], counts.rows - rows
        expected = self._expected_beside(counts, place, weekday, campaigns)
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


def _first_with_rows(campaigns: Sequence[CampaignDay | None], counts: Counts) -> CampaignDay | None:
    """Return the day's campaigns, by the first column that holds some; None where none does."""
    found = zip(campaigns, counts.tables, strict=True)
    return next((day for day, (rows, _) in found if day and rows.any()), None)
