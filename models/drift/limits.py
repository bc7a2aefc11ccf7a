"""The limits of a fault: evidence, by the budget of false alarms, and size, by the recipe."""

from __future__ import annotations

from dataclasses import dataclass
from math import log
from typing import TYPE_CHECKING

import numpy as np

from ctr_retrain.models.levels.evidence import Budget, probability
from ctr_retrain.models.levels.running_sums import DOWN, UP

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from ctr_retrain.models.levels.channel_levels import ChannelLevels
    from ctr_retrain.models.levels.measures import Change, Measures
    from ctr_retrain.models.levels.running_sums import RunningSums

    Floats = NDArray[np.float64]
    Flags = NDArray[np.bool_]

# Weights of the families in the budget. Slides get the most, since no single day shows them.
FAMILIES = {
    "ratio": 2.0,
    "slide down": 28.25,
    "slide up": 0.5,
    "volume": 1.0,
    "contrast": 5.25,
    "contrast sum": 2.0,
    "share": 0.7,
    "rows": 0.7,
}

VOLUME = log(1.65)  # a holiday may be a third down
SHARE = 0.5  # of log-odds
FEWEST_SUM_DAYS = 28  # of history before running sums are believed: the first days teach level and weekdays
FEWEST_SUM_DAYS_PLAIN = 10  # the same of a series that has no weekdays to learn
MOVED = 0.08  # of the channel's rows, at least
SLOW = 0.45  # of the least size on one day: what a sum of days must have come to
RISE = 1.5  # the same of rises: three days of a holiday are a sum, too
SLID = 0.25  # the same of falls of a channel's ratio, which is compared with the lowest level of the days before
# By how much, as a logarithm, the run length of falls that are large enough exceeds the bound (make bench-drift).
# Where a day tells little, a sum is of more days, and chance makes more of it that is large enough.
LONGER_RUN, LONGER_RUN_OF_FEW = 1.36, 0.76
TELLS_MUCH = 0.08  # standard deviation of a day, at most
CAMPAIGN = log(2)  # campaigns tire, and are changed by people


def budget_of(a_year: float) -> Budget:
    """Divide a year's false alarms among the families."""
    total = sum(FAMILIES.values())
    return Budget(a_year, {family: weight / total for family, weight in FAMILIES.items()})


@dataclass(frozen=True)
class Sizes:
    """The least sizes of a change, on the logarithmic scale, where a fall counts sooner than a rise.

    Loggers lose and seldom invent; what raises a ratio is mostly a holiday or a good campaign.
    """

    fall: float  # of a ratio
    campaigns: Sequence[bool]  # by column: whether its values come and go

    @classmethod
    def of(cls, min_effect: float, campaigns: Sequence[bool]) -> Sizes:
        """Take the recipe's smallest relative change of the odds."""
        return cls(-log(1 - min_effect), tuple(campaigns))

    def large(self, size: Floats, least: float) -> Flags:
        """Tell the changes that are large enough."""
        return np.asarray((size <= -least) | (size >= 2 * least))

    def of_contrast(self, place: int) -> float:
        """Return the least fall of a slice value's ratio."""
        return CAMPAIGN if self.campaigns[place] else self.fall


@dataclass(frozen=True)
class Alarms:
    """The series of a channel that exceed all limits on a day."""

    ratio: bool
    slide: int | None  # the direction in which the ratio has gone for days: 0 up, 1 down
    volume: bool
    contrasts: tuple[Flags, ...]
    contrast_sums: tuple[Flags, ...]  # (2, values)
    shares: tuple[Flags, ...]

    @property
    def of_ratio(self) -> bool:
        """Return True if the channel's ratio is one of them."""
        return self.ratio or self.slide is not None


def alarms_of(measures: Measures, levels: ChannelLevels, budget: Budget, sizes: Sizes, channels: int) -> Alarms:
    """Find what exceeds its limits; channels: how many share the budget."""
    ratio, days = measures.ratio, float(levels.ratio.days[0])
    least = sizes.fall
    columns = max(len(measures.contrasts), 1)
    loud = abs(float(ratio.errors[0])) >= budget.one_day("ratio", channels, days)
    volume = measures.volume
    volume_loud = abs(float(volume.errors[0])) >= budget.one_day("volume", channels, float(levels.volume.days[0]))
    places = range(len(measures.contrasts))
    return Alarms(
        ratio=bool(ratio.tested[0] and loud and sizes.large(ratio.size, least)[0]),
        slide=_slide(measures, levels, budget, sizes, channels),
        volume=bool(volume_loud and abs(float(volume.size[0])) >= VOLUME),
        contrasts=tuple(
            _loud_contrasts(measures, levels, budget, channels * columns, p)
            & sizes.large(measures.contrasts[p].size, sizes.of_contrast(p))
            for p in places
        ),
        contrast_sums=tuple(_contrast_sums(measures, levels, budget, sizes, channels * columns, p) for p in places),
        shares=tuple(
            _loud(measures.shares[p], budget, "share", channels * columns, days) & _moved(measures.shares[p], levels, p)
            for p in places
        ),
    )


def _loud(change: Change, budget: Budget, family: str, groups: int, days: float) -> Flags:
    """Tell the series of a column whose evidence is enough; groups: columns and channels that share the budget."""
    tested = int(change.tested.sum())
    return np.asarray(change.tested & (np.abs(change.errors) >= budget.one_day(family, groups * tested, days)))


def _loud_contrasts(measures: Measures, levels: ChannelLevels, budget: Budget, groups: int, place: int) -> Flags:
    """Tell the values of a column whose own ratio is surely another one.

    The budget is of falls: a rise must be twice as large (`Sizes`), and chance hardly makes it so.
    """
    change, spread2 = measures.contrasts[place], levels.contrasts[place].spread2
    series, days = groups * int(change.tested.sum()), float(levels.ratio.days[0])
    least = budget.one_day_falls("contrast", series, days, spread2 / change.deviation2)
    return np.asarray(change.tested & (np.abs(change.errors) >= least))


def _moved(change: Change, levels: ChannelLevels, place: int) -> Flags:
    """Tell the values whose share moved far enough, by its odds and by the channel's rows that it means."""
    level = levels.shares[place].level
    moved = probability(level + change.size) - probability(level)
    return np.asarray((np.abs(change.size) >= SHARE) & (np.abs(moved) >= MOVED))


def summed_effect(sums: RunningSums, level: Floats, size: Floats) -> Floats:
    """Return how far each series has gone since its running sums were zero, (2, series): the level has followed."""
    begun = sums.days > 0
    return np.asarray(np.where(begun, level - sums.anchor, 0.0) + size / 2)


def _slide(measures: Measures, levels: ChannelLevels, budget: Budget, sizes: Sizes, channels: int) -> int | None:
    """Return the direction in which the channel's ratio has gone for days, if any."""
    if levels.ratio.days[0] < FEWEST_SUM_DAYS:
        return None
    slides = levels.slides_after(measures)
    values, size = slides.log_values(), float(measures.ratio.size[0])
    rises, falls = (budget.log_run_length(family, channels) for family in ("slide up", "slide down"))
    tells_much = float(measures.ratio.deviation2[0]) <= TELLS_MUCH**2
    falls -= LONGER_RUN if tells_much else LONGER_RUN_OF_FEW
    if values[DOWN] >= falls and levels.slid(slides, DOWN, size) <= -SLID * sizes.fall:
        return DOWN
    return UP if values[UP] >= rises and levels.slid(slides, UP, size) >= RISE * sizes.fall else None


def _contrast_sums(
    measures: Measures, levels: ChannelLevels, budget: Budget, sizes: Sizes, groups: int, place: int
) -> Flags:
    """Tell the slice values whose ratio has gone one way for days, (2, values)."""
    change, sums, level = measures.contrasts[place], levels.contrast_sums[place], levels.contrasts[place]
    known = level.days >= (FEWEST_SUM_DAYS if level.pace.weekday else FEWEST_SUM_DAYS_PLAIN)
    asked = int((known & measures.shares[place].tested).sum())  # of those that ended nothing is asked any more
    ready, height = known & (sums.days > 0), budget.running_sum("contrast sum", 2 * groups * asked)
    gone, least = summed_effect(sums, level.level, change.size), SLOW * sizes.of_contrast(place)
    large = np.stack([gone[UP] >= RISE / SLOW * least, gone[DOWN] <= -least])
    return np.asarray(ready & (sums.after(change.errors) >= height) & large)
